"""Freeze a buy plan, so that later months are measured against what was approved."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from aifactory.buyplan.releases import release_steps
from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.workspace import table_file

if TYPE_CHECKING:
    from aifactory.buyplan import BuyPlan

FILE, STEPS = "approved_plan.csv", "approved_bands.csv"
HISTORY = "approved_plans"
DIGITS = 6


def approve_plan(buy_plan: BuyPlan, workspace_path: Path | str, *, force: bool = False) -> Path:
    """Write the plan's monthly figures and the steps that wait for demand to the workspace.

    They go to `approved_plan.csv` and `approved_bands.csv`. A plan approved for another period is replaced only with `force`; every approved plan is also
    kept under `approved_plans/<period>.csv`, one that it replaces under `<period>.1.csv` and so on. Written aside and renamed, so never half.
    """
    folder = Path(workspace_path)
    table = buy_plan.approved_plan[load_contract("approved_plan").columns]
    if table.empty:
        raise InputError.at("approve", "the plan is empty; nothing can be approved")
    period, target, held = str(table["plan_period"].iloc[0]), folder / FILE, table_file(folder, "approved_plan")
    plan_held = _period_of(held) if held else ""
    if plan_held not in ("", period) and not force:
        raise InputError.at(
            held.name, f"holds the plan approved for {plan_held}; use --force to replace it", value=period
        )
    steps = release_steps(buy_plan.fleet, buy_plan.bands, buy_plan.orders, period)
    (folder / HISTORY).mkdir(exist_ok=True)
    old = table_file(folder, "approved_bands")
    _write((folder / STEPS,), steps)  # first, so that a plan never stands without the steps of its own
    history = folder / HISTORY / f"{period}.csv"
    _keep(history, table)
    _write((history, target), table)
    for path, own in ((held, target), (old, folder / STEPS)):
        if path and path != own:
            path.unlink()  # the same table in another format
    return target


def _keep(history: Path, table: pd.DataFrame) -> None:
    """Set aside what was approved for the same period before, unless it is the same to the byte."""
    if not history.is_file() or history.read_text(encoding="utf-8") == _text(table):
        return
    number = next(n for n in count(1) if not history.with_suffix(f".{n}.csv").exists())
    history.rename(history.with_suffix(f".{number}.csv"))


def _text(table: pd.DataFrame) -> str:
    return table.round(DIGITS).to_csv(index=False, lineterminator="\n")


def _write(paths: tuple[Path, ...], table: pd.DataFrame) -> None:
    text = _text(table)
    for path in paths:
        aside = path.with_suffix(".tmp")
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)  # noqa: PTH105 - the atomic one


def _period_of(path: Path) -> str:
    """Period of the plan that a file holds; empty without rows."""
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, usecols=["plan_period"], nrows=1)
    return str(frame["plan_period"].iloc[0]) if len(frame) else ""
