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
SECONDS = 60
#: Requests that the seconds looked at must hold on average, and roundings of times that are looked for, in seconds.
MIN_PROBED, ROUNDED_S = 30, (60, 30, 20, 15, 12, 10, 6, 5, 4, 3, 2)


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


def second_dispersion(per_minute: np.ndarray, probed: np.ndarray, second: np.ndarray) -> float:
    """Variance over mean of counts per second within their minutes, from one second of each: 1 for independent arrivals.

    Of the N requests of a minute a second that is looked at without regard to them holds n; were they independent, n
    would vary by N (1/60) (59/60) about N/60. So

        D = sum (n - N/60)^2 / sum N 59/3600

    over minutes. The minute's own rate is taken as it is: seasons and bursts of whole minutes are left to
    `minute_dispersion`. NaN with fewer than `MIN_PROBED` requests expected in the seconds looked at, or where times
    are rounded to more than a second, so that some seconds of the clock never hold any.

    Parameters
    ----------
    per_minute, probed, second : shape (n,), requests of a minute, those in one second of it and which second (0 to 59);
        minutes without requests may be left out.

    >>> alternating = np.tile([0.0, 2.0, 2.0, 0.0], 900)
    >>> round(second_dispersion(np.full(3600, 60.0), alternating, np.arange(3600) // 60), 4)
    1.0169
    """
    counts, seen = np.asarray(per_minute, dtype=float), np.asarray(probed, dtype=float)
    known = np.isfinite(counts) & np.isfinite(seen)
    counts, seen, at = counts[known], seen[known], np.asarray(second)[known]
    mean = counts / SECONDS
    if mean.sum() < MIN_PROBED:
        return float("nan")
    for step in ROUNDED_S:
        between = at % step != 0
        if mean[between].sum() >= MIN_PROBED and seen[between].sum() == 0:
            return float("nan")
    return float(np.square(seen - mean).sum() / (mean * (1 - 1 / SECONDS)).sum())
