"""What a measurement would do for the decision: the gain from knowing one uncertain value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.shortlist.mcda.matrix import as_matrix
from aifactory.shortlist.mcda.weight_space import WeightSpace

#: Slices of a driver's range; within one the driver counts as known.
SLICES = 4


def gain_from_knowing(
    low: ArrayLike,
    high: ArrayLike,
    drivers: ArrayLike,
    space: WeightSpace,
    *,
    bets: ArrayLike | None = None,
    opens: Mapping[int, int] | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[int, float]:
    """By how much each driver, once known, would raise the share of draws in which the best bet is first.

    A driver moves all cells that bear its number together between low and high. Knowing it to a
    quarter of its range, one bets on the alternative that is first most often there; the gain is
    the mean of those shares minus the share of the best bet today, at least 0. It is the expected
    value of (nearly) perfect information, in probability of being right.

    low, high, drivers : (n, m); the cells without width need no driver.
    bets : numbers of the alternatives that one may bet on today, all without it.
    opens : driver -> alternative that one may bet on as well once it is known.

    >>> gains = gain_from_knowing([[0.0], [0.5]], [[1.0], [0.5]], [[0], [1]], WeightSpace(1))
    >>> round(gains[0], 1)
    0.5
    >>> gain_from_knowing([[0.0], [0.5]], [[0.0], [0.5]], [[0], [1]], WeightSpace(1), bets=[0], opens={1: 1})
    {1: 1.0}
    """
    bottom, top = as_matrix(low, "low"), as_matrix(high, "high")
    names = np.asarray(drivers)
    if not bottom.shape == top.shape == names.shape or (bottom > top).any():
        raise InputError.at("low", "low, high and drivers need one shape, with low <= high")
    weights = space.draw(draws, seed)
    rng = np.random.default_rng([seed, 3])
    width = top - bottom
    score = bottom @ weights.T
    moved = {}
    for name in np.unique(names[width > 0]):
        moved[int(name)] = rng.random(draws)
        score += (np.where(names == name, width, 0.0) @ weights.T) * moved[int(name)]
    first, opens = np.argmax(score, axis=0), opens or {}
    may = np.zeros(len(bottom), dtype=bool)
    may[np.arange(len(bottom)) if bets is None else np.asarray(bets)] = True
    today = np.bincount(first, minlength=len(may))[may].max() / draws
    gains = {}
    for name in sorted({*moved, *opens}):
        slices = np.minimum((moved.get(name, np.zeros(draws)) * SLICES).astype(int), SLICES - 1)
        then = may | (np.arange(len(may)) == opens.get(name, -1))
        best = sum(int(np.bincount(first[slices == k], minlength=len(may))[then].max()) for k in range(SLICES))
        gains[name] = float(max(best / draws - today, 0.0))
    return gains
