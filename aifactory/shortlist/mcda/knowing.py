"""What a measurement would do for the decision: the gain from knowing one uncertain value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.shortlist.mcda.matrix import as_matrix
from aifactory.shortlist.mcda.weight_space import WeightSpace

#: Slices of a driver's range; within one the driver counts as known.
SLICES = 4


def gain_from_knowing(
    low: ArrayLike, high: ArrayLike, drivers: ArrayLike, space: WeightSpace, *, draws: int = 10_000, seed: int = 0
) -> dict[int, float]:
    """By how much each driver, once known, would raise the share of draws in which the best bet is first.

    A driver moves all cells that bear its number together between low and high. Knowing it to a
    quarter of its range, one bets on the alternative that is first most often there; the gain is
    the mean of those shares minus the share of the best bet today, at least 0. It is the expected
    value of (nearly) perfect information, in probability of being right.

    low, high, drivers : (n, m); the cells without width need no driver.

    >>> gains = gain_from_knowing([[0.0], [0.5]], [[1.0], [0.5]], [[0], [1]], WeightSpace(1))
    >>> round(gains[0], 1)
    0.5
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
    first = np.argmax(score, axis=0)
    today = np.bincount(first).max() / draws
    gains = {}
    for name, level in moved.items():
        slices = np.minimum((level * SLICES).astype(int), SLICES - 1)
        best = sum(int(np.bincount(first[slices == k], minlength=1).max(initial=0)) for k in range(SLICES))
        gains[name] = float(max(best / draws - today, 0.0))
    return gains
