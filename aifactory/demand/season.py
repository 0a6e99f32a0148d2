"""Does a series repeat with the clock? A permutation test that keeps what happens within a cycle; and what a year looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: A season is accepted at this chance of a false one; so many random turns measure it.
MAX_CHANCE, TURNS = 0.01, 499
_SEED = 20260101
#: Variance within cycles below this share of the mean square counts as none.
NO_VARIANCE = 1e-9


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


def day_means(hourly: np.ndarray) -> np.ndarray:
    """Mean of each whole day of an hourly series, missing hours left out; NaN for a day without any."""
    hourly = np.asarray(hourly, dtype=float)
    days = hourly[: len(hourly) // 24 * 24].reshape(-1, 24)
    return _means(days, np.isfinite(days))


@dataclass(frozen=True)
class YearSeason:
    """Logarithm of demand in each calendar month, January first, beside level and growth: a normal law with its doubt.

    Only differences between months count: what all share is part of the level. See `aifactory.demand.month_trend`.
    """

    log_mean: np.ndarray  # [12]
    covariance: np.ndarray  # [12, 12]

    @property
    def factor(self) -> np.ndarray:
        """Middle factor of each calendar month, [12], geometric mean 1.

        >>> YearSeason(np.log([4.0, *[1.0] * 10, 0.25]), np.zeros((12, 12))).factor.round(2)[[0, 1, 11]].tolist()
        [4.0, 1.0, 0.25]
        """
        return np.exp(self.log_mean - self.log_mean.mean())

    @property
    def log_sd(self) -> np.ndarray:
        """Deviation of the logarithm of each factor, [12]."""
        about = np.eye(len(self.log_mean)) - 1.0 / len(self.log_mean)
        return np.sqrt(np.maximum(np.diag(about @ self.covariance @ about), 0.0))

    def root(self) -> np.ndarray:
        """Symmetric root of the covariance, [12, 12]: times twelve standard normals it is a draw about the mean."""
        values, vectors = np.linalg.eigh(self.covariance)
        return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
