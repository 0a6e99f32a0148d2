"""How much of the installed accelerators worked, by month: the measure of the capacity triggers."""

from __future__ import annotations

import pandas as pd

from aifactory.units import MONTHS_PER_YEAR


def monthly_utilization(pools: pd.DataFrame) -> pd.Series:
    """Mean utilisation by pool, accelerator, region and month (ordinal), weighted by accelerator-hours; months without any are left out."""
    start = pools["window_start_utc"].dt
    month = ((start.year - 1970) * MONTHS_PER_YEAR + start.month - 1).rename("month")
    hours = pools["installed"] * pools["window_minutes"]
    keys = [pools["pool_id"], pools["accelerator_id"], pools["region"], month]
    held = hours.groupby(keys).sum()
    return ((hours * pools["utilization"]).groupby(keys).sum() / held)[held > 0]


def utilization_of_places(pools: pd.DataFrame, month: str) -> pd.Series:
    """Mean utilisation of a month of the fullest pool of each region and accelerator_id; places without readings are left out."""
    rows = pools[pools["window_start_utc"].dt.strftime("%Y-%m") == month]
    return monthly_utilization(rows).groupby(level=["region", "accelerator_id"]).max()
