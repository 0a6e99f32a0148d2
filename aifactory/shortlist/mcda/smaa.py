"""SMAA-2: how often each alternative takes each rank over all admissible weights and values.

Lahdelma & Salminen 2001. u_i(w) = sum_j w_j v_ij with w uniform over a `WeightSpace` and, where
intervals are given, v_ij uniform between low and high. rank(i) = 1 + number of alternatives that
are strictly better, so equal alternatives share the better rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.shortlist.mcda.matrix import as_matrix
from aifactory.shortlist.mcda.weight_space import WeightSpace

DRAWS = 10_000
#: A winner is called when it is first under this share of admissible weights and values ...
WINNER_ACCEPTABILITY = 0.7
#: ... and with this probability under its own central weights.
WINNER_CONFIDENCE = 0.8
#: Scores closer than this, relative to the largest value, are equal: rounding decides nothing.
LEVEL = 1e-12
#: Weights drawn at once.
BLOCK = 100_000
_CELLS = 4_000_000


@dataclass(frozen=True)
class Smaa:
    """Result of SMAA-2 for n alternatives and m criteria.

    acceptability : (n, n), share of draws in which alternative i takes rank r + 1; rows add up to 1.
    central_weights : (n, m), mean of the weights under which i is first; NaN if it never is.
    confidence : (n,), share of value draws in which i is first under its central weights; NaN if never first.
    pairwise : (n, n), share of draws in which i is strictly better than j.
    draws : number of draws.
    """

    acceptability: np.ndarray
    central_weights: np.ndarray
    confidence: np.ndarray
    pairwise: np.ndarray
    draws: int

    @property
    def first(self) -> np.ndarray:
        """Rank-1 acceptability of each alternative."""
        return self.acceptability[:, 0]

    @property
    def standard_error(self) -> np.ndarray:
        """Monte Carlo standard error of the acceptabilities, at most 0.5 / sqrt(draws)."""
        return np.sqrt(self.acceptability * (1 - self.acceptability) / self.draws)

    @property
    def expected_rank(self) -> np.ndarray:
        """Mean rank of each alternative."""
        return self.acceptability @ np.arange(1, self.acceptability.shape[1] + 1)

    def winner(self, acceptability: float = WINNER_ACCEPTABILITY, confidence: float = WINNER_CONFIDENCE) -> int | None:
        """Number of the clear winner, or None: no alternative reaches both marks alone."""
        best = int(np.argmax(self.first))
        clear = self.first[best] >= acceptability and self.confidence[best] >= confidence
        alone = (self.first >= acceptability).sum() == 1
        return best if clear and alone else None


def smaa(
    values: ArrayLike,
    space: WeightSpace | None = None,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    drivers: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Smaa:
    """Rank acceptability, central weights, confidence and pairwise winning shares.

    Parameters
    ----------
    values : (n, m), values in 0..1 (or any common scale), more is better.
    space : admissible weights; the whole simplex without.
    low, high : (n, m), intervals of the values; with them each draw takes values uniform between.
    drivers : (n, m) whole numbers; cells with the same number move together between their low and
        high, others independently; each cell on its own without.
    draws, seed : number of draws and their seed; memory stays below about 100 MB for any number.

    >>> smaa([[1, 0], [0, 1], [0.4, 0.4]], draws=2000).first.round(1).tolist()
    [0.5, 0.5, 0.0]
    """
    table = as_matrix(values, "values")
    n, m = table.shape
    where = WeightSpace(m) if space is None else space
    if draws < 1:
        raise InputError.at("draws", "must be at least 1", value=draws)
    if where.n != m:
        raise InputError.at("weights", f"the admissible weights are for {where.n} criteria, the values have {m}")
    ends = _ends(table, low, high)
    level = LEVEL * (np.abs(table).max() if ends is None else max(np.abs(end).max() for end in ends))
    rng = np.random.default_rng([seed, 1])
    counts, beats, sums = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, m))
    moved_by = None if drivers is None else np.asarray(drivers)
    if moved_by is not None and moved_by.shape != table.shape:
        raise InputError.at("drivers", f"need the shape of values {table.shape}, got {moved_by.shape}")
    for part in _blocks(where, draws, seed, n * (1 if ends is None else m)):
        score = _scores(part, table, ends, moved_by, rng)
        ranks = np.zeros(score.shape, dtype=np.int64)
        for i in range(n):
            better = score > score[i] + level
            ranks[i] = better.sum(axis=0)
            beats[:, i] += better.sum(axis=1)
        for i in range(n):
            counts[i] += np.bincount(ranks[i], minlength=n)
        sums += (ranks == 0).astype(float) @ part
    first = counts[:, 0]
    central = np.divide(sums, first[:, None], out=np.full((n, m), np.nan), where=first[:, None] > 0)
    confidence = _confidence(table, ends, moved_by, central, draws, seed)
    return Smaa(counts / draws, central, confidence, beats / draws, draws)


def _ends(table: np.ndarray, low: ArrayLike | None, high: ArrayLike | None) -> tuple[np.ndarray, np.ndarray] | None:
    if low is None and high is None:
        return None
    bottom = table if low is None else as_matrix(low, "low")
    top = table if high is None else as_matrix(high, "high")
    if bottom.shape != table.shape or top.shape != table.shape or (bottom > top).any():
        raise InputError.at("low", "low and high need the shape of values, with low <= high")
    return bottom, top


def _blocks(space: WeightSpace, draws: int, seed: int, cells_each: int) -> Iterator[np.ndarray]:
    """Draws of weights, at most `BLOCK` at a time; the first block is that of `space.draw(draws, seed)`."""
    for block, start in enumerate(range(0, draws, BLOCK)):
        yield from _parts(space.draw(min(BLOCK, draws - start), [seed, block] if block else seed), cells_each)


def _parts(weights: np.ndarray, cells_each: int) -> list[np.ndarray]:
    size = max(1, _CELLS // max(cells_each, 1))
    return [weights[start : start + size] for start in range(0, len(weights), size)]


def _scores(
    weights: np.ndarray,
    table: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray] | None,
    drivers: np.ndarray | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Scores (n, draws) of one block of weights."""
    if ends is None:
        return np.ascontiguousarray(table @ weights.T)
    low, width = ends[0], ends[1] - ends[0]
    score = low @ weights.T
    names = np.arange(table.size).reshape(table.shape) if drivers is None else drivers
    for name in np.unique(names[width > 0]):
        lift = np.where(names == name, width, 0.0)
        rows = np.flatnonzero(lift.any(axis=1))
        score[rows] += (lift[rows] @ weights.T) * rng.random(len(weights))
    return score


def _confidence(
    table: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray] | None,
    drivers: np.ndarray | None,
    central: np.ndarray,
    draws: int,
    seed: int,
) -> np.ndarray:
    """Share of value draws in which each alternative is first under its own central weights."""
    found = np.full(len(table), np.nan)
    for i in np.flatnonzero(np.isfinite(central[:, 0])):
        times = 1 if ends is None else min(draws, DRAWS)
        rng = np.random.default_rng([seed, 2, int(i)])
        won = 0
        for part in _parts(np.repeat(central[[i]], times, axis=0), table.size):
            score = _scores(part, table, ends, drivers, rng)
            won += int((score[i] >= score.max(axis=0) - LEVEL * np.abs(score).max()).sum())
        found[i] = won / times
    return found
