"""What commands print: lines, tables and progress bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from aifactory.cli.base import console, errors
from aifactory.units import percent

if TYPE_CHECKING:
    import pandas as pd

    from aifactory.run.runner import Progress, RoadOutcome


#: What the list cost of a bill counts: as much as the columns of the bill add up to.
LIST_COUNTS = "list (all lines that state it; usage under commitments and their fees both count)"


def print_found(found: dict[str, object], as_json: bool, lines: Callable[[dict[str, object]], list[str]]) -> None:
    """Print a result as JSON, or as the lines that `lines` makes of it."""
    import json

    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    for line in lines(found):
        console.print(escape(line), soft_wrap=True)


def print_import(report: dict[str, object]) -> None:
    """Print the report of an import."""
    from aifactory.inputs.importers.lines import report_lines

    days = report.get("months") or ([report["period"]] if isinstance(report["period"], str) else report["period"])
    rows = f"{report['rows_kept']:,} of {report['rows_read']:,} rows"
    head = f"{report['source']}: " + ", ".join(filter(None, [report["format"], rows, " to ".join(dict.fromkeys(days))]))
    console.print(escape(head), soft_wrap=True)
    for name, value in report["totals"].items():
        unit = report["currency"] if name in ("billed", "effective", "list") else ""
        amount = "not given" if value is None else f"{value} {unit}"
        shown = LIST_COUNTS if name == "list" and value is not None else name.replace("_", " ")
        console.print(f"  {shown}: {amount}".rstrip())
    for name, counts in report.get("workloads", {}).items():
        numbers = ", ".join(
            f"{key.replace('_', ' ')} {value:,}" for key, value in counts.items() if isinstance(value, int)
        )
        console.print(f"  {escape(name)}: {numbers}", soft_wrap=True)
    for name, split in report.get("by", {}).items():
        shown = ", ".join(f"{key} {value}" for key, value in list(split.items())[:5])
        console.print(
            f"  by {name.replace('_', ' ')}: {escape(shown)}{' ...' if len(split) > 5 else ''}", soft_wrap=True
        )
    if report.get("coverage"):
        known = ", ".join(f"{name.replace('_', ' ')} {percent(share)}" for name, share in report["coverage"].items())
        console.print(f"  known: {known}", soft_wrap=True)
    for line in report_lines(report):
        console.print(escape(line), soft_wrap=True)
    for reason, rows in report["rows_left_out"].items():
        console.print(f"LEFT OUT {rows:,} rows: {escape(reason)}")
    for item in report["warnings"]:
        console.print(f"WARNING {escape(item['text'])} ({item['rows']:,} rows)", soft_wrap=True)
    if "written" in report:
        console.print(f"  added to {report['written']}")


def print_outcome(outcome: RoadOutcome) -> None:
    """Print what became of each stage, and where the reports are."""
    warned = outcome.workspace.checks.query("status == 'warned'")
    if len(warned):
        console.print(
            f"{len(warned)} warning{'s' if len(warned) > 1 else ''} in the inputs; `aifactory check` lists them."
        )
    for item in outcome.stages:
        took = f" in {item.duration_s:.0f} s" if item.duration_s else ""
        console.print(f"{item.stage.title}: {item.state}{took}  {escape(str(item.folder))}", soft_wrap=True)
        if item.message:
            errors.print(f"  {escape(item.message)}", soft_wrap=True)
    console.print(f"Reports of {outcome.period}: {escape(str(outcome.index))}", soft_wrap=True)


def print_orders(orders: pd.DataFrame, doubts: Mapping[tuple[str, ...], str]) -> None:
    """Say what an approved plan signs at once and what it leaves to triggers.

    `doubts` as of `aifactory.report.buy_plan_orders.price_doubts`: firm orders at such prices are named.
    """
    from aifactory.buyplan.governance import is_firm, money
    from aifactory.finance.options import OPTION_NAMES

    if orders.empty:
        console.print("It orders nothing.")
        return
    firm, renewal = is_firm(orders), orders["renewal"].astype(bool)
    kinds = {"Orders firm, now in the order book": firm, "Orders on triggers": ~firm & ~renewal, "Renewals, decided when they are due": ~firm & renewal}  # fmt: skip
    for words, rows in kinds.items():
        if rows.any() or words.startswith("Orders"):
            console.print(f"{words}: {rows.sum()}, {money(orders.loc[rows, 'commitment_usd'].sum())}.")
    known = (
        (row, doubts.get((row.accelerator_id, row.region, row.purchase_option))) for row in orders[firm].itertuples()
    )
    named = [f"{row.accelerators:,} {row.accelerator_id}, {row.region}, {OPTION_NAMES[row.purchase_option].lower()}{doubt}" for row, doubt in known if doubt]  # fmt: skip
    if named:
        console.print(f"Firm orders whose price needs a new quote before signing: {'; '.join(named)}.", soft_wrap=True)


def print_ports(ports: pd.DataFrame, moves: Mapping[str, str], classes: pd.Series, period: str) -> None:
    """Say which ports, and `moves` off hosted models to an accelerator, begin with an approved plan, as plan.yaml takes them: no later plan then charges their work again."""
    begun = ports[ports["ported"].astype(bool) & (ports["porting_usd"] > 0)] if len(ports) else ports
    chosen = {**moves, **(dict(zip(begun["use_case_id"], begun["chosen_id"], strict=True)) if len(begun) else {})}
    if not chosen:
        return
    console.print(
        f"Work on {'ports' if len(begun) else 'moves off hosted models'} begins. Once it is ordered, say so in plan.yaml, so that no later plan charges it again:",
        soft_wrap=True,
    )
    console.print("ports_under_way:")
    for name, accelerator in sorted(chosen.items()):
        console.print(
            escape(f"  - {{use_case_id: {name}, platform_class: {classes.get(accelerator, '')}, begun: {period}}}"),
            soft_wrap=True,
        )


def progress_bars(names: list[str]) -> AbstractContextManager[Progress]:
    """Progress bars, one a stage, where somebody watches; silence in scheduled runs."""
    if not console.is_terminal:
        return nullcontext(lambda _stage, _done, _total: None)
    return _Bars(names)


class _Bars:
    def __init__(self, names: list[str]) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self.bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self.tasks = {name: self.bars.add_task(name.replace("_", " "), total=None) for name in names}

    def __enter__(self) -> Progress:
        self.bars.start()
        return lambda stage, done, total: self.bars.update(self.tasks[stage], completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.bars.stop()


def table(frame: pd.DataFrame) -> Table:
    """A table for the console; whole numbers to the right, with separators."""
    shown = Table(box=box.SIMPLE_HEAD)
    for column in frame.columns:
        shown.add_column(column, justify="right" if frame[column].dtype.kind == "i" else "left")
    for row in frame.itertuples(index=False):
        shown.add_row(*(f"{cell:,}" if isinstance(cell, int) else escape(str(cell)) for cell in row))
    return shown
