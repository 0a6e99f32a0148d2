"""Value functions on anchors that are written down before results arrive.

v(x) is piecewise linear between anchors and flat outside them, and does not depend on which
alternatives are compared: adding or removing one never changes the order of the others (Dezert et
al., FUSION 2020, for the linear case).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.shortlist.mcda.matrix import as_matrix, as_types, as_weights


def piecewise(x: ArrayLike, anchors: Sequence[tuple[float, float]]) -> np.ndarray:
    """Value of `x` on anchors (x, value), linear between neighbours; NaN stays NaN.

    Anchors may come in any order of x but never twice at one x; values lie in 0..1 and never turn
    (monotone), since a value function with a turn hides two criteria in one.

    >>> piecewise([50, 150, 300], [(400, 0.0), (200, 0.6), (100, 1.0)]).tolist()
    [1.0, 0.8, 0.3]
    """
    points = np.array(sorted(anchors), dtype=float)
    if points.ndim != 2 or points.shape[0] < 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise InputError.at("anchors", "need at least two pairs (x, value), all finite")
    steps = np.diff(points[:, 1])
    if (np.diff(points[:, 0]) == 0).any():
        raise InputError.at("anchors", "one x has two values")
    if (points[:, 1] < 0).any() or (points[:, 1] > 1).any() or not ((steps >= 0).all() or (steps <= 0).all()):
        raise InputError.at("anchors", "values must lie in 0..1 and only rise or only fall")
    values = np.asarray(x, dtype=float)
    return np.where(np.isnan(values), np.nan, np.interp(values, points[:, 0], points[:, 1]))


def additive_value(values: ArrayLike, weights: ArrayLike) -> np.ndarray:
    """Additive value sum_j w_j v_j of each alternative; weights add up to 1.

    >>> additive_value([[1.0, 0.0], [0.5, 1.0]], [0.3, 0.7]).round(2).tolist()
    [0.3, 0.85]
    """
    table = as_matrix(values, "values")
    return table @ as_weights(weights, table.shape[1], add_up=True)


def spotis(matrix: ArrayLike, bounds: ArrayLike, weights: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """Distance to the ideal on fixed bounds (Dezert et al. 2020): less is better, rank-reversal free.

    d_i = sum_j w_j |x_ij - best_j| / |max_j - min_j|, w scaled to a sum of 1, with best_j the bound on the good side.
    Inside the bounds it equals 1 minus the additive value with linear anchors at the bounds.

    >>> spotis([[2.0], [8.0]], [[0, 10]], [1.0]).tolist()
    [0.8, 0.2]
    """
    table = as_matrix(matrix)
    limits = as_matrix(bounds, "bounds")
    n = table.shape[1]
    if limits.shape != (n, 2) or (limits[:, 0] >= limits[:, 1]).any():
        raise InputError.at("bounds", f"need (lowest, highest), lowest below highest, for each of {n} criteria")
    share = as_weights(weights, n)
    best = np.where(as_types(types, n) > 0, limits[:, 1], limits[:, 0])
    return (np.abs(table - best) / (limits[:, 1] - limits[:, 0])) @ (share / share.sum())
