"""Cost per service unit by month, and whether the month lies where its trend said it would."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.hosted_today import hosted_usage
from aifactory.inventory.spend import units_charged
from aifactory.review.monthly import month_factors
from aifactory.review.uncharged import working_charges
from aifactory.units import MONTHS_PER_YEAR

LEVEL = 0.8
LEAST_MONTHS = 4
#: Share of a unit's cost below which it has not moved: charges are rounded.
ROUNDING = 1e-4
BAND_COLUMNS = [
    "use_case_id",
    "usd_per_unit",
    "expected",
    "low80",
    "high80",
    "trend_per_month",
    "months",
    "inside_band",
]


def unit_cost_by_month(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    """Attributed cost of accelerators and of hosted models per service unit, by month and use case; units are those of `units_charged`."""
    months = sorted(month for month in inventory.demand_monthly["month"].unique() if month <= ws.period)[-12:]
    parts = [month_factors(ws, inventory, month)[0].assign(month=month) for month in months]
    table = pd.concat(parts).reset_index() if parts else pd.DataFrame(columns=["use_case_id", "units", "cost", "month"])
    hosted = hosted_usage(ws.table("billing")).groupby(["month", "use_case"])["usd"].sum().astype("float64")
    theirs = hosted.reindex(pd.MultiIndex.from_frame(table[["month", "use_case_id"]])).to_numpy()
    table["cost"] = table["cost"].astype("float64").add(pd.Series(theirs, table.index), fill_value=0.0)
    table["units"] = (
        _units_charged(ws, inventory, months)
        .reindex(pd.MultiIndex.from_frame(table[["month", "use_case_id"]]))
        .to_numpy()
    )
    return table.assign(usd_per_unit=table["cost"] / table["units"])[
        ["month", "use_case_id", "units", "cost", "usd_per_unit"]
    ]


def _units_charged(ws: Workspace, inventory: Inventory, months: list[str]) -> pd.Series:
    """Units by month and use case of the regions that charges for accelerators or hosted models name in the month."""
    bill, demand = working_charges(ws.table("billing")), inventory.demand_monthly
    parts = {
        month: units_charged(bill[bill["month"] == month], demand[demand["month"] == month], ws.plan.regions)
        for month in months
    }
    return pd.concat(parts) if parts else pd.Series(dtype="float64", index=pd.MultiIndex.from_arrays([[], []]))


def unit_cost_bands(table: pd.DataFrame, period: str) -> pd.DataFrame:
    """The month against an 80 % prediction interval of the trend of the months before it.

    log(cost per unit) is a straight line in time, fitted by least squares over the months before the period (at
    most eleven, at least four); the interval is that of a new point of the regression (Student's t), and what is
    within `ROUNDING` of the line lies inside too. Use cases with fewer months have no row.
    """
    rows = []
    now = pd.Period(period, "M").ordinal
    known = (table["usd_per_unit"] > 0) & np.isfinite(table["usd_per_unit"])  # no cost of a month without units
    for name, mine in table[known].groupby("use_case_id"):
        months = pd.PeriodIndex(mine["month"], freq="M").asi8 - now
        values = np.log(mine["usd_per_unit"].to_numpy(dtype=float))
        before = (months < 0) & (months > -MONTHS_PER_YEAR)
        if before.sum() >= LEAST_MONTHS and (months == 0).any():
            rows.append((name, *_against_trend(months[before], values[before], float(values[months == 0][0]))))
    return pd.DataFrame(rows, columns=BAND_COLUMNS)


def _against_trend(months: np.ndarray, values: np.ndarray, now: float) -> tuple:
    """Observed, expected and interval at month 0, trend as a share a month."""
    count, center = len(months), months.mean()
    spread = ((months - center) ** 2).sum()
    slope = ((months - center) * (values - values.mean())).sum() / spread
    expected = values.mean() - slope * center
    rest = ((values - values.mean() - slope * (months - center)) ** 2).sum() / (count - 2)
    half = stats.t.ppf((1 + LEVEL) / 2, count - 2) * np.sqrt(rest * (1 + 1 / count + center**2 / spread))
    inside = abs(now - expected) <= max(half, ROUNDING)
    levels = (now, expected, expected - half, expected + half)
    return (*(float(np.exp(level)) for level in levels), float(np.expm1(slope)), count, bool(inside))
