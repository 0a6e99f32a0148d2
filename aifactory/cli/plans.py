"""Commands about plans: what each way to plan would have cost on a history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aifactory.cli.printing import print_found

app = typer.Typer()


@app.command("backtest-plans")
def backtest_plans(
    file: Annotated[Path, typer.Argument(help="CSV with the columns ds,y or unique_id,ds,y: units per step.")],
    freq: Annotated[str, typer.Option(help="Step of the series: h, D or W.")],
    capacity: Annotated[float, typer.Option(help="Units that one accelerator serves in an hour.")],
    on_demand: Annotated[
        float, typer.Option(help="USD of an accelerator-hour on demand; inf where none can be rented.")
    ],
    term: Annotated[list[str], typer.Option(help="Commitment name:periods:USD per accelerator-hour; may be repeated.")],
    period: Annotated[str, typer.Option(help="Orders are placed by day, week or month.")] = "month",
    train_share: Annotated[float, typer.Option(help="Share of the history to plan on.")] = 0.5,
    replan_every: Annotated[int, typer.Option(help="Periods between plans.")] = 1,
    node_size: Annotated[int, typer.Option(help="Accelerators committed at once.")] = 8,
    missed: Annotated[
        float | None, typer.Option(help="USD of a missed accelerator-hour. Default: 3 of the dearest hour.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same plans.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, series name to policies.")] = False,
) -> None:
    """Plan on the first part of a history, pay for the rest: peak, average plus reserve, on demand, our plan, foresight."""
    from aifactory.buyplan.backtest_file import Settings, backtest_plans_file, backtest_plans_lines

    settings = Settings(
        freq, period, capacity, on_demand, tuple(term), train_share, replan_every, node_size, missed, seed
    )  # fmt: skip
    print_found(backtest_plans_file(file, settings), as_json, backtest_plans_lines)
