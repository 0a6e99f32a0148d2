"""When demand comes within a month: hour of the week where a season is proven, bursts within an hour.

A shape is relative to its mean, so that a month's volume times its shape is the load of each hour. The serving
engine takes the hours of a month as windows and the dispersion of minutes within them
(`aifactory.inventory.coming`, through `aifactory.serving.arrivals.stream_from_profile`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.demand.profile import HOURS_PER_DAY, HOURS_PER_WEEK, hours_of_month
from aifactory.units import HOURS_PER_MONTH

DAYS_PER_WEEK = 7


def week_shape(hourly: pd.Series, *, daily: bool, weekly: bool) -> np.ndarray:
    """Mean load of each hour of the week, Monday 00:00 UTC first, mean 1; shape (168,).

    Every hour counts relative to the mean of its own week, so that growth leaves no trace. Without a proven
    weekly season all days are alike, without a daily one all hours of a day; without both the shape is flat.

    Parameters
    ----------
    hourly : load per hour, indexed by time in UTC, missing hours NaN. A first and a last week in part are left
        out where whole ones are there.

    >>> hours = pd.date_range("2026-10-05", periods=336, freq="h", tz="UTC")
    >>> load = pd.Series(np.where(hours.hour == 12, 24.0, 0.0), index=hours)
    >>> week_shape(load, daily=True, weekly=False)[[11, 12, 36]].tolist()
    [0.0, 24.0, 24.0]
    """
    flat = np.ones(HOURS_PER_WEEK)
    load = hourly.astype("float64")
    place = load.index.day_of_week.to_numpy() * HOURS_PER_DAY + load.index.hour.to_numpy()
    week = (load.index.floor("D") - pd.to_timedelta(load.index.day_of_week, unit="D")).asi8
    whole = load.groupby(week).transform("size").to_numpy() == HOURS_PER_WEEK
    kept = whole if whole.any() else np.ones(len(load), dtype=bool)
    mean = load[kept].groupby(week[kept]).transform("mean")
    relative = (load[kept] / mean.where(mean > 0)).to_numpy()
    known = np.isfinite(relative)
    if not known.any() or not (daily or weekly):
        return flat
    keys = place[kept][known]
    keys = keys if daily and weekly else keys % HOURS_PER_DAY if daily else keys // HOURS_PER_DAY
    size = HOURS_PER_WEEK if daily and weekly else HOURS_PER_DAY if daily else DAYS_PER_WEEK
    count = np.bincount(keys, minlength=size)
    means = np.bincount(keys, weights=relative[known], minlength=size) / np.maximum(count, 1)
    means = np.where(count > 0, means, 1.0)
    shape = means if size == HOURS_PER_WEEK else np.tile(means, 7) if daily else np.repeat(means, HOURS_PER_DAY)
    return shape / shape.mean()


def month_shape(week: np.ndarray, month: str) -> np.ndarray:
    """Load of each hour of a month, mean 1, from the shape of a week.

    >>> month_shape(np.ones(168), "2027-02").shape
    (672,)
    """
    hours = hours_of_month(month)
    shape = np.asarray(week, dtype=float)[hours.day_of_week * HOURS_PER_DAY + hours.hour]
    return shape / shape.mean()


def units_by_hour(units_month: float, week: np.ndarray, month: str) -> np.ndarray:
    """Units of each hour of a calendar month; the units are those of a month of 730 hours.

    >>> float(units_by_hour(730.0, np.ones(168), "2027-02").sum())
    672.0
    """
    return units_month / HOURS_PER_MONTH * month_shape(week, month)


def minute_dispersion(per_minute: np.ndarray, minutes: int = 60) -> float:
    """Variance over mean of counts per minute within their hours: 1 for independent arrivals.

    Each hour counts about its own mean, so that the season is not mistaken for bursts; hours weigh by their
    mean. NaN without an hour of counts.

    >>> minute_dispersion(np.tile([0.0, 4.0], 60)) > 1.9
    True
    """
    counts = np.asarray(per_minute, dtype=float)
    table = counts[: len(counts) // minutes * minutes].reshape(-1, minutes)
    table = table[np.isfinite(table).all(axis=1)]
    if not len(table) or table.sum() <= 0:
        return float("nan")
    return float(table.var(axis=1, ddof=1).sum() / table.mean(axis=1).sum())
