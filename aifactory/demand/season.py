"""Does a series repeat with the clock? A permutation test that keeps what happens within a cycle."""

from __future__ import annotations

import numpy as np

#: A season is accepted at this chance of a false one; so many random turns measure it.
MAX_CHANCE, TURNS = 0.01, 499
_SEED = 20260101
#: Variance within cycles below this share of the mean square counts as none.
NO_VARIANCE = 1e-9
MONTHS_PER_YEAR, YEARS_FOR_A_YEAR = 12, 3


def season_test(values: np.ndarray, places: int, turns: int = TURNS) -> tuple[float, float]:
    """Share of the variance that the place in the cycle explains, and how often chance does as well.

    The series is cut into cycles of `places` values; each loses its own mean and the slope of the cycles'
    means, so that level, growth and longer cycles do not count. The share is that of the means by place,

        share = sum_place n (mean over cycles)^2 / sum of squares,   eta squared of an analysis of variance,

    and the chance comes from turning every cycle by a random number of places: neighbours stay neighbours,
    so noise that lasts for hours is not mistaken for a season, and only agreement with the clock is lost.
    chance = (1 + turned series with at least that share) / (1 + turns). Missing values (NaN) are left out.

    Parameters
    ----------
    values : shape (n,), one value per place, the first cycle from its start; a last, partial cycle is left out.
    places : values in a cycle: 24 hours of a day, 7 days of a week.

    Returns
    -------
    share (0 to 1) and chance; NaN both where fewer than two cycles or no variance are seen. A chance is
    never below places^(1 - cycles), so that a few cycles alone cannot prove a season.

    Reference: permutation tests with restricted (cyclic) shifts, Good, Permutation Tests, 2nd ed. 2000.

    >>> share, chance = season_test(np.tile([1.0, 1, 1, 5], 20), 4)
    >>> round(share, 3), round(chance, 3)
    (1.0, 0.002)
    >>> season_test(np.ones(100), 4)
    (nan, nan)
    """
    values = np.asarray(values, dtype=float)
    cycles = len(values) // places
    if cycles < 2:
        return np.nan, np.nan
    table = values[: cycles * places].reshape(cycles, places)
    known = np.isfinite(table)
    rest = _within(table, known)
    whole = float((rest**2).sum())
    if whole <= NO_VARIANCE * float(np.square(table[known]).sum()):
        return np.nan, np.nan
    found = _explained(rest[None], known[None])[0] / whole
    random = np.random.default_rng(_SEED)
    shift = random.integers(0, places, (turns, cycles, 1))
    place = (np.arange(places) + shift) % places
    cycle = np.arange(cycles)[None, :, None]
    turned = _explained(rest[cycle, place], known[cycle, place]) / whole
    # equal up to rounding counts as equal
    chance = (1 + int((turned >= found * (1 - 1e-9)).sum())) / (1 + turns)
    return float(found), max(chance, float(places) ** (1 - cycles))


def _within(table: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values less the slope over the cycles and less the mean of their cycle; missing ones are 0."""
    means = _means(table, known)
    some = np.flatnonzero(np.isfinite(means))
    slope = np.polyfit(some, means[some], 1)[0] / table.shape[1] if len(some) > 1 else 0.0
    level = table - slope * np.arange(table.shape[1])
    return np.where(known, level - np.nan_to_num(_means(level, known))[:, None], 0.0)


def _means(table: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean of each row over its known values; NaN without any."""
    sums = np.where(known, table, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), sums / np.maximum(known.sum(axis=1), 1), np.nan)


def _explained(rest: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Sum of squares of the means by place; axes turn, cycle, place."""
    count = known.sum(axis=1)
    return (rest.sum(axis=1) ** 2 / np.maximum(count, 1)).sum(axis=1)


def _slope_beside_season(logs: np.ndarray) -> float:
    """Least-squares slope a month, each calendar month about its own mean: that of a line and twelve levels fitted at once."""
    padded = np.concatenate([logs, np.full(-len(logs) % MONTHS_PER_YEAR, np.nan)]).reshape(-1, MONTHS_PER_YEAR)
    time = np.where(np.isfinite(padded), np.arange(padded.size, dtype=float).reshape(padded.shape), np.nan)
    rest = [table - _means(table.T, np.isfinite(table.T)) for table in (time, padded)]
    return float(np.nansum(rest[0] * rest[1]) / np.nansum(rest[0] ** 2))


def day_means(hourly: np.ndarray) -> np.ndarray:
    """Mean of each whole day of an hourly series, missing hours left out; NaN for a day without any."""
    hourly = np.asarray(hourly, dtype=float)
    days = hourly[: len(hourly) // 24 * 24].reshape(-1, 24)
    return _means(days, np.isfinite(days))


def month_factors(monthly: np.ndarray, first_calendar_month: int) -> np.ndarray | None:
    """Factor of each calendar month (January first, geometric mean 1), or None where no season is proven.

    Needs three years: by the test of `season_test` two agree by chance once in twelve times. Months count on
    the logarithm about a straight line, whose slope is that of the years of each calendar month, so that a season that a
    part of a year holds more or less of does not tilt it; missing (NaN) and empty months are left out.

    Parameters
    ----------
    monthly : (n,) units per day of consecutive months, the first of them `first_calendar_month` (1 to 12).

    >>> demand = 100 * 1.02 ** np.arange(48) * np.tile([1.3, *[1.0] * 11], 4)
    >>> found = month_factors(demand, 1)
    >>> round(float(found[0] / found[1]), 2)
    1.3
    >>> month_factors(demand[:24], 1) is None
    True
    """
    monthly = np.asarray(monthly, dtype=float)
    known = monthly > 0
    if known.sum() < YEARS_FOR_A_YEAR * MONTHS_PER_YEAR:
        return None
    logs = np.where(known, np.log(np.where(known, monthly, 1.0)), np.nan)
    # the trend is that of yearly means, so that a season does not tilt it
    whole = len(monthly) // MONTHS_PER_YEAR * MONTHS_PER_YEAR
    table = logs[:whole].reshape(-1, MONTHS_PER_YEAR)
    rest = logs[:whole] - np.repeat(_means(table, np.isfinite(table)), MONTHS_PER_YEAR)
    _, chance = season_test(rest, MONTHS_PER_YEAR)
    if not chance <= MAX_CHANCE:
        return None
    level = logs[:whole] - _slope_beside_season(logs) * np.arange(whole)
    table = level.reshape(-1, MONTHS_PER_YEAR)
    rest = table - _means(table, np.isfinite(table))[:, None]
    by_place = _means(rest.T, np.isfinite(rest.T))
    factor = np.exp(np.roll(by_place, first_calendar_month - 1))
    return factor / np.exp(np.log(factor).mean())
