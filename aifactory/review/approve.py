"""Freeze a buy plan, so that later months are measured against what was approved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from aifactory.buyplan.releases import firm_orders_book, release_steps, written_by_approval
from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.hold import writing
from aifactory.inputs.tables import read_table
from aifactory.inputs.workspace import table_file

if TYPE_CHECKING:
    from aifactory.buyplan import BuyPlan

FILE, STEPS, BOOK = "approved_plan.csv", "approved_bands.csv", "commitments.csv"
HISTORY = "approved_plans"
DIGITS = 6
#: Digits of large ones: what differs beyond them differs by the processor.
SIGNIFICANT = "%.12g"


def approve_plan(buy_plan: BuyPlan, workspace_path: Path | str, *, force: bool = False) -> Path:
    """Write the plan's monthly figures, the steps that wait for demand and the orders that are firm to the workspace.

    They go to `approved_plan.csv`, `approved_bands.csv` and `commitments.csv`, which keeps all other orders: the plan of
    the next month starts from it and recommends the difference. A plan approved for another period is replaced only with `force`; every approved plan is also
    kept under `approved_plans/<period>.csv`, one that it replaces under `<period>.1.csv` and so on. Written aside and renamed, so never half.
    """
    with writing(Path(workspace_path)):
        return _approve(buy_plan, Path(workspace_path), force=force)


def check_may_approve(folder: Path, period: str, *, force: bool = False) -> None:
    """Refuse a period beside the one whose plan the workspace holds, unless `force`: InputError."""
    held = table_file(folder, "approved_plan")
    plan_held = _period_of(held) if held else ""
    if plan_held not in ("", period) and not force:
        raise InputError.at(
            held.name, f"holds the plan approved for {plan_held}; use --force to replace it", value=period
        )


def _approve(buy_plan: BuyPlan, folder: Path, *, force: bool) -> Path:
    table = buy_plan.approved_plan[load_contract("approved_plan").columns]
    if table.empty:
        raise InputError.at("approve", "the plan is empty; nothing can be approved")
    period, target, held = str(table["plan_period"].iloc[0]), folder / FILE, table_file(folder, "approved_plan")
    check_may_approve(folder, period, force=force)
    steps = release_steps(buy_plan.fleet, buy_plan.bands, buy_plan.orders, buy_plan.options, period)
    (folder / HISTORY).mkdir(exist_ok=True)
    old, ordered = table_file(folder, "approved_bands"), table_file(folder, "commitments")
    firm = firm_orders_book(buy_plan.orders, period, pd.Period(period, "M").end_time.date().isoformat())
    book = _book(ordered, firm, period)
    history = folder / HISTORY / f"{period}.csv"
    tables = {folder / STEPS: steps}  # first, so that a plan never stands without the steps of its own
    if len(book) or ordered:
        tables[folder / BOOK] = book
    with _written(tables | {history: table, target: table}):
        _keep(history, table)
    for path, own in ((held, target), (old, folder / STEPS), (ordered, folder / BOOK)):
        if path and path != own:
            path.unlink()  # the same table in another format
    return target


def _book(path: Path | None, firm: pd.DataFrame, period: str) -> pd.DataFrame:
    """The order book with the firm orders of a plan in place of those that a plan of the same period signed before."""
    contract = load_contract("commitments")
    held = read_table(path, contract).frame if path else contract.empty()
    held = held.assign(as_of=held["as_of"].dt.strftime("%Y-%m-%d"))
    kept = held[~written_by_approval(held, period)]
    return pd.concat([kept.astype(object), firm.astype(object)], ignore_index=True)[contract.columns]


def _keep(history: Path, table: pd.DataFrame) -> None:
    """Set aside what was approved for the same period before, unless it is the same to the byte."""
    if not history.is_file() or history.read_text(encoding="utf-8") == _text(table):
        return
    number = next(n for n in count(1) if not history.with_suffix(f".{n}.csv").exists())
    history.rename(history.with_suffix(f".{number}.csv"))


def _text(table: pd.DataFrame) -> str:
    return table.round(DIGITS).to_csv(index=False, lineterminator="\n", float_format=SIGNIFICANT)


@contextmanager
def _written(tables: dict[Path, pd.DataFrame]) -> Iterator[None]:
    """Write all tables aside, and rename them only then: a full disk changes none of them."""
    aside = {path: path.with_suffix(".tmp") for path in tables}
    try:
        for path, table in tables.items():
            aside[path].write_text(_text(table), encoding="utf-8")
        yield
        for path, written in aside.items():
            os.replace(written, path)  # noqa: PTH105 - the atomic one
    finally:
        for written in aside.values():
            written.unlink(missing_ok=True)


def _period_of(path: Path) -> str:
    """Period of the plan that a file holds; empty without rows."""
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, usecols=["plan_period"], nrows=1)
    return str(frame["plan_period"].iloc[0]) if len(frame) else ""
