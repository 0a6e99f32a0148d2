"""What changed since last month, in figures: inputs, prices, forecast, recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.inputs.horizon import DATED
from aifactory.inputs.hosted import HOSTED
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.review.memory import known_prices
from aifactory.review.monthly import previous_month
from aifactory.units import HOURS_PER_DAY, HOURS_PER_MONTH, MONTHS_PER_YEAR

if TYPE_CHECKING:
    from aifactory.buyplan import BuyPlan

COLUMNS = ["what", "subject", "before", "now", "change", "unit", "compared_with"]
INPUTS, PRICE, FORECAST, RECOMMENDATION = "input", "price", "forecast, next 12 months", "recommendation, next 12 months"
LEAST_SHARE = 0.005  # a smaller move of a forecast is noise of its paths


def figures_changed(
    ws: Workspace,
    inventory: Inventory,
    earlier: pd.DataFrame,
    approved: pd.DataFrame,
    buy_plan: BuyPlan | None,
    told: dict[tuple[str, str], float] | None = None,
) -> pd.DataFrame:
    """Every figure that moved, the largest share first within its kind; columns `COLUMNS`.

    Inputs are rows of the month against those of the month before; prices the cheapest offers known at the end of
    either month, or those that the report of the month before told (`told`): a price that was overwritten since leaves
    no trace in the list; the forecast is the median made with last month's data against the one made now, over the same
    months; the recommendation is the plan made now against the approved one.
    """
    rows = [
        *_inputs(ws),
        *_prices(ws, told or known_prices(ws, previous_month(ws.period))),
        *_forecast(ws, inventory, earlier),
        *_recommendation(ws, approved, buy_plan),
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["change"] = table["now"] / table["before"].where(table["before"] != 0) - 1
    moved = table[table["before"].fillna(0.0) != table["now"].fillna(0.0)]
    rank = moved["what"].map({PRICE: 0, RECOMMENDATION: 1, FORECAST: 2, INPUTS: 3})
    size = moved["change"].abs().fillna(np.inf)
    return moved.assign(rank=rank, size=size).sort_values(["rank", "size", "subject"], ascending=[True, False, True], ignore_index=True)[COLUMNS]  # fmt: skip


def _inputs(ws: Workspace) -> list[tuple]:
    last, rows = previous_month(ws.period), []
    for name, column in {**DATED, "billing": "ChargePeriodStart"}.items():
        if name == "decisions":  # a log, shown as a list
            continue
        dates = ws.table(name)[column]
        months = dates.dt.strftime("%Y-%m") if pd.api.types.is_datetime64_any_dtype(dates) else dates
        counts = months.value_counts()
        rows.append((INPUTS, name, float(counts.get(last, 0)), float(counts.get(ws.period, 0)), np.nan, "rows", last))
    return rows


def _prices(ws: Workspace, before: dict[tuple[str, str], float]) -> list[tuple]:
    now, last = known_prices(ws, ws.period), previous_month(ws.period)
    return [
        (PRICE, subject, before.get((subject, unit), np.nan), now.get((subject, unit), np.nan), np.nan, unit, last)
        for subject, unit in sorted({**before, **now})
    ]


def _forecast(ws: Workspace, inventory: Inventory, earlier: pd.DataFrame) -> list[tuple]:
    """Median units a month over the next twelve months, made with last month's data and with this month's."""
    now = inventory.scenarios.use_cases
    months = [str(pd.Period(ws.period, "M") + step) for step in range(1, MONTHS_PER_YEAR + 1)]
    hours = pd.PeriodIndex(now["month"], freq="M").days_in_month.to_numpy() * HOURS_PER_DAY
    made = now.assign(units=now["p50"] * hours / HOURS_PER_MONTH)
    made = made[made["month"].isin(months)].groupby("use_case_id")["units"].mean()
    old = earlier[earlier.index.get_level_values("month").isin(months)]["units"].groupby("use_case_id").mean()
    both = pd.DataFrame({"before": old, "now": made})
    moved = both[((both["now"] / both["before"] - 1).abs() >= LEAST_SHARE) | both.isna().any(axis=1)]
    last = previous_month(ws.period)
    return [
        (FORECAST, str(row.Index), row.before, row.now, np.nan, "units a month", last) for row in moved.itertuples()
    ]


def _recommendation(ws: Workspace, approved: pd.DataFrame, buy_plan: BuyPlan | None) -> list[tuple]:
    """Paid accelerator-hours a month by accelerator over the next twelve months."""
    if approved.empty or buy_plan is None or buy_plan.approved_plan.empty:
        return []
    last = str(pd.Period(ws.period, "M") + MONTHS_PER_YEAR)
    sums = []
    for table in (approved, buy_plan.approved_plan):
        coming = table[(table["month"] > ws.period) & (table["month"] <= last) & (table["accelerator_id"] != HOSTED)]
        sums.append(coming.groupby("accelerator_id")["accelerator_hours"].sum() / max(coming["month"].nunique(), 1))
    both = pd.DataFrame({"before": sums[0], "now": sums[1]}).fillna(0.0)
    made = f"plan approved for {approved['plan_period'].iloc[0]}"
    return [(RECOMMENDATION, str(row.Index), row.before, row.now, np.nan, "accelerator-hours a month", made) for row in both.itertuples()]  # fmt: skip
