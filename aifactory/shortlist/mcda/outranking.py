"""Dominance and PROMETHEE: pairwise comparison of alternatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.shortlist.mcda.matrix import as_matrix, as_types, as_weights

#: Shapes of preference over the difference d > 0 of two alternatives, with thresholds q, p and s.
SHAPES = ("usual", "u_shape", "v_shape", "level", "linear", "gaussian")


def dominance(matrix: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """Table (n, n): whether i is at least as good as j everywhere and better somewhere.

    >>> dominance([[1, 1], [2, 2], [3, 1]]).any(axis=0).tolist()
    [True, False, False]
    """
    table = as_matrix(matrix)
    signed = table * as_types(types, table.shape[1])
    least, better = (compare(signed[:, None, :], signed[None, :, :]) for compare in (np.greater_equal, np.greater))
    return least.all(axis=2) & better.any(axis=2)


def interval_dominance(low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """Table (n, n): whether i dominates j whatever the true values in their intervals (more is better).

    i is sure to dominate j when its low end is at least j's high end on every criterion and above it on one.

    >>> interval_dominance([[0.5, 0.5], [0.1, 0.1]], [[0.9, 0.9], [0.5, 0.4]]).any(axis=0).tolist()
    [False, True]
    """
    bottom, top = as_matrix(low, "low"), as_matrix(high, "high")
    if bottom.shape != top.shape or (bottom > top).any():
        raise InputError.at("low", "must have the shape of high and never lie above it")
    least = (bottom[:, None, :] >= top[None, :, :]).all(axis=2)
    sure = least & (bottom[:, None, :] > top[None, :, :]).any(axis=2)
    np.fill_diagonal(sure, val=False)
    return sure


def preference(
    difference: ArrayLike, shape: str = "usual", q: float = 0.0, p: float = 0.0, s: float = 1.0
) -> np.ndarray:
    """Degree 0..1 to which a difference in favour counts (Brans & Vincke 1985).

    usual: d > 0; u_shape: d > q; v_shape: d / p; level: 1/2 between q and p, 1 above p; linear:
    (d - q) / (p - q); gaussian: 1 - exp(-d^2 / (2 s^2)). Differences of 0 or less count 0.

    >>> preference([-1.0, 1.0, 3.0], "linear", q=1.0, p=5.0).tolist()
    [0.0, 0.0, 0.5]
    """
    d = np.asarray(difference, dtype=float)
    if shape not in SHAPES:
        raise InputError.at("preference", "no such shape", value=shape, choices=SHAPES)
    if not (q >= 0 and p >= q) and shape in ("level", "linear"):
        raise InputError.at("preference", f"needs 0 <= q <= p, got q={q:g} and p={p:g}")
    if (shape == "v_shape" and not p > 0) or (shape == "gaussian" and not s > 0) or q < 0:
        raise InputError.at("preference", f"the thresholds of {shape!r} must be above 0")
    if shape == "v_shape":
        degree = np.clip(d / p, 0, 1)
    elif shape == "level":
        degree = 0.5 * (d > q) + 0.5 * (d > p)
    elif shape == "linear":
        degree = np.clip((d - q) / (p - q), 0, 1) if p > q else (d > q).astype(float)
    elif shape == "gaussian":
        degree = -np.expm1(-(d**2) / (2 * s**2))
    else:
        degree = (d > (q if shape == "u_shape" else 0)).astype(float)
    return np.where(d > 0, degree, 0.0)


@dataclass(frozen=True)
class Promethee:
    """Flows of each alternative (n,) and the partial order of PROMETHEE I (n, n)."""

    positive: np.ndarray
    negative: np.ndarray

    @property
    def net(self) -> np.ndarray:
        """Net flow, the complete order of PROMETHEE II."""
        return self.positive - self.negative

    @property
    def outranks(self) -> np.ndarray:
        """Whether i outranks j in PROMETHEE I: no flow worse, at least one better."""
        plus, minus = self.positive, self.negative
        least = (plus[:, None] >= plus) & (minus[:, None] <= minus)
        return least & ((plus[:, None] > plus) | (minus[:, None] < minus))

    @property
    def incomparable(self) -> np.ndarray:
        """Whether i and j are incomparable: each is better on one of the two flows."""
        plus, minus = self.positive, self.negative
        apart = (plus[:, None] > plus) & (minus[:, None] > minus)
        return apart | apart.T


def promethee(
    matrix: ArrayLike,
    weights: ArrayLike,
    types: ArrayLike | None = None,
    preferences: list[dict[str, object]] | None = None,
) -> Promethee:
    """PROMETHEE flows (Brans & Vincke 1985), weights scaled to a sum of 1, flows averaged over n - 1 rivals.

    `preferences` gives one mapping of `preference` arguments per criterion; usual without.

    >>> promethee([[4, 3, 2], [3, 2, 4], [5, 1, 3]], [0.5, 0.3, 0.2]).net.round(3).tolist()
    [0.1, -0.3, 0.2]
    """
    table = as_matrix(matrix)
    n, m = table.shape
    signed, share = table * as_types(types, m), as_weights(weights, m)
    shapes = [{}] * m if preferences is None else list(preferences)
    if len(shapes) != m:
        raise InputError.at("preferences", f"need one for each of {m} criteria, got {len(shapes)}")
    index = np.zeros((n, n))
    for j, settings in enumerate(shapes):
        index += share[j] / share.sum() * preference(signed[:, j][:, None] - signed[:, j], **settings)
    rivals = max(n - 1, 1)
    return Promethee(index.sum(axis=1) / rivals, index.sum(axis=0) / rivals)
