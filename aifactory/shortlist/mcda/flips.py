"""How far weights must move before another alternative wins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog

from aifactory.shortlist.mcda.matrix import as_matrix, as_weights
from aifactory.shortlist.mcda.weight_space import WeightSpace


@dataclass(frozen=True)
class Flip:
    """Smallest move of weights after which the challenger is level with the winner.

    moved : share of all weight that changes place, half the sum of |change|, 0..1.
    weights : the weights at that point.
    """

    winner: int
    challenger: int
    moved: float
    weights: np.ndarray


def smallest_flip(values: ArrayLike, weights: ArrayLike, space: WeightSpace | None = None) -> list[Flip]:
    """For each challenger that can catch the winner: the smallest move of weight; the nearest first.

    minimise 1/2 sum_j |w'_j - w_j| subject to w' admissible and sum_j w'_j (v_cj - v_wj) >= 0: a
    linear programme per challenger, exact. Left out are challengers that no admissible weights bring
    level, and those that are nowhere better than the winner and so could never pass it.

    >>> flip = smallest_flip([[1.0, 0.0], [0.0, 1.0]], [0.8, 0.2])[0]
    >>> (flip.challenger, round(flip.moved, 6))
    (1, 0.3)
    """
    table = as_matrix(values, "values")
    n, m = table.shape
    start = as_weights(weights, m, add_up=True)
    where = WeightSpace(m) if space is None else space
    winner = int(np.argmax(table @ start))
    flips = []
    for challenger in (i for i in range(n) if i != winner):
        gain = table[challenger] - table[winner]
        found = _nearest(where, start, gain) if gain.max() > 0 else None
        if found is not None:
            flips.append(Flip(winner, challenger, float(np.abs(found - start).sum() / 2), found))
    return sorted(flips, key=lambda flip: (flip.moved, flip.challenger))


def _nearest(space: WeightSpace, start: np.ndarray, gain: np.ndarray) -> np.ndarray | None:
    """Admissible weights nearest to `start` at which `gain` . w >= 0; variables are w' and |change|."""
    m = len(start)
    rows, ends = space.inequalities
    eye = np.eye(m)
    upper = np.vstack([
        np.hstack([rows, np.zeros((len(rows), m))]),
        np.hstack([-gain[None, :], np.zeros((1, m))]),
        np.hstack([eye, -eye]),
        np.hstack([-eye, -eye]),
    ])  # fmt: skip
    limit = np.concatenate([ends, [0.0], start, -start])
    low, high = space.bounds
    bounds = [*zip(low, high, strict=True), *[(0, None)] * m]
    total = np.concatenate([np.ones(m), np.zeros(m)])[None, :]
    cost = np.concatenate([np.zeros(m), np.full(m, 0.5)])
    found = linprog(cost, A_ub=upper, b_ub=limit, A_eq=total, b_eq=[1.0], bounds=bounds)
    return np.clip(found.x[:m], 0, 1) if found.status == 0 else None


def switching_weights(values: ArrayLike, weights: ArrayLike) -> np.ndarray:
    """Weight of each criterion at which each challenger catches the winner, the others keeping their proportions.

    With w_j = t and the rest scaled by (1 - t) / (1 - w_j), u_c - u_w is linear in t; its root in
    0..1 is the switching value, NaN where there is none.

    Returns
    -------
    (n, m), challenger x criterion; NaN in the rows of the winner and of those nowhere better than it.

    >>> switching_weights([[1.0, 0.0], [0.0, 1.0]], [0.8, 0.2])[1].tolist()
    [0.5, 0.5]
    """
    table = as_matrix(values, "values")
    m = table.shape[1]
    start = as_weights(weights, m, add_up=True)
    winner = int(np.argmax(table @ start))
    gain = table - table[winner]
    rest = gain @ start
    found = np.full(table.shape, np.nan)
    for j in range(m):
        if start[j] >= 1:
            others = np.delete(gain, j, axis=1).mean(axis=1) if m > 1 else np.zeros(len(table))
        else:
            others = (rest - start[j] * gain[:, j]) / (1 - start[j])
        slope = gain[:, j] - others
        root = np.divide(-others, slope, out=np.full(len(table), np.nan), where=np.abs(slope) > 1e-15)
        found[:, j] = np.where((root >= 0) & (root <= 1), root, np.nan)
    found[gain.max(axis=1) <= 0] = np.nan
    return found
