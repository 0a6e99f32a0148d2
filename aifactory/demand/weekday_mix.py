"""Levels of months that hold other days of the week: what a part of time counts in average days.

A month of 31 days holds 8 to 10 days of a weekend, a month seen for its last eight days two to four of them. Where work rests at
weekends, its mean per day so moves by up to 6 % from one whole month to the next, and by 40 % in a part of one, without
any growth. Divided by the days weighed by what they usually carry, it does not. Growth from 5 months, in 150 draws each
of a service that carries a tenth at weekends, with 3 % of chance a day, began on any day of a month and does not
grow: deviation 0.21 points a month, at most 0.57 (mean per day: 0.44 and 1.26); of 12 months 0.15 and 0.43 (0.23, 0.90).
"""

from __future__ import annotations

import numpy as np

from aifactory.demand.season import MAX_CHANCE, season_test

DAYS_PER_WEEK = 7
#: Days from the Monday before 1970-01-01, a Thursday.
EPOCH_WEEKDAY = 3


def weekday_factors(units_by_day: np.ndarray, first_weekday: int) -> np.ndarray:
    """Usual load of each day of the week over the mean day, Monday first, mean 1; shape (7,).

    The median over weeks of the share of a day in its own week, so that growth, a launch or an outage leave no trace. All ones
    where the week is not proven by `aifactory.demand.season.season_test`, for which four weeks are needed.

    Parameters
    ----------
    units_by_day : (n,), consecutive whole days, oldest first, 0 or more; the last whole weeks count.
    first_weekday : day of the week of the first one, 0 Monday.

    >>> weekday_factors(np.tile([10.0, 10, 10, 10, 10, 1, 5], 5) * np.repeat([1.0, 2, 3, 4, 5], 7), 0).round(3).tolist()
    [1.25, 1.25, 1.25, 1.25, 1.25, 0.125, 0.625]
    >>> weekday_factors(np.full(70, 3.0), 2).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    units = np.asarray(units_by_day, dtype=float)
    skipped = len(units) % DAYS_PER_WEEK
    weeks = units[skipped:].reshape(-1, DAYS_PER_WEEK)
    weeks = weeks[weeks.sum(axis=1) > 0]
    shares = weeks / weeks.mean(axis=1, keepdims=True)
    _, chance = season_test(shares.ravel(), DAYS_PER_WEEK)
    if not chance <= MAX_CHANCE:
        return np.ones(DAYS_PER_WEEK)
    usual = np.roll(np.median(shares, axis=0), first_weekday + skipped)
    return usual / usual.mean() if usual.any() else np.ones(DAYS_PER_WEEK)


def average_days(start: np.ndarray, end: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """What spans of time count in average days: the integral of the usual load of the days of the week over each.

    Parameters
    ----------
    start, end : (n,), days since 1970-01-01 00:00 UTC, parts of a day included.
    factors : (7,), `weekday_factors`.

    >>> week = np.array([1.25, 1.25, 1.25, 1.25, 1.25, 0.5, 0.25])
    >>> average_days(np.array([4.0, 2.0]), np.array([11.0, 3.5]), week).tolist()  # a week from Monday 5, Saturday 3 and half of Sunday
    [7.0, 0.625]
    """
    return _since_monday(np.asarray(end, dtype=float), factors) - _since_monday(np.asarray(start, dtype=float), factors)


def _since_monday(day: np.ndarray, factors: np.ndarray) -> np.ndarray:
    week, within = np.divmod(day + EPOCH_WEEKDAY, DAYS_PER_WEEK)
    whole = np.minimum(within.astype(int), DAYS_PER_WEEK - 1)
    before = np.concatenate([[0.0], np.cumsum(factors)])
    return week * DAYS_PER_WEEK + before[whole] + (within - whole) * factors[whole]
