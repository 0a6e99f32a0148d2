"""Compensating methods that depend on the set of alternatives: a second opinion, never the decision.

Adding an alternative can reverse the order of two others (Belton & Gear 1983) in every method here
but `weighted_sum` on the raw matrix. `rank_reversals` shows where.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.shortlist.mcda.matrix import as_matrix, as_types, as_weights
from aifactory.shortlist.mcda.normalise import minmax, normalised, vector


def weighted_sum(matrix: ArrayLike, weights: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """Sum of w_j x_j with the weights as given; a criterion where less is better counts negative.

    >>> weighted_sum([[1, 0, 3], [0, 5, 6]], [1, 1, 1]).tolist()
    [4.0, 11.0]
    """
    table = as_matrix(matrix)
    n = table.shape[1]
    return table @ (as_weights(weights, n) * as_types(types, n))


def topsis(
    matrix: ArrayLike, weights: ArrayLike, types: ArrayLike | None = None, normalise: str = "vector"
) -> np.ndarray:
    """Closeness to the ideal (Hwang & Yoon 1981): d_worst / (d_best + d_worst), 0..1, more is better.

    Distances are Euclidean in the weighted normalised matrix; alternatives that are all equal get 0.5.

    >>> topsis([[1, 0, 3], [0, 5, 6]], [1, 1, 1], normalise="none").round(4).tolist()
    [0.1464, 0.8536]
    """
    scaled, signs = normalised(matrix, types, normalise)
    weighted = scaled * signs * as_weights(weights, scaled.shape[1])
    best, worst = weighted.max(axis=0), weighted.min(axis=0)
    away, near = (np.sqrt(((weighted - end) ** 2).sum(axis=1)) for end in (worst, best))
    total = away + near
    return np.divide(away, total, out=np.full_like(total, 0.5), where=total > 0)


def vikor(
    matrix: ArrayLike, weights: ArrayLike, types: ArrayLike | None = None, v: float = 0.5
) -> dict[str, np.ndarray]:
    """Compromise ranking (Opricovic & Tzeng 2004): S group regret, R worst regret, Q their mix; less is better.

    Q = v (S - S_min) / (S_max - S_min) + (1 - v) (R - R_min) / (R_max - R_min); weights scaled to a sum of 1.

    >>> vikor([[1.0, 0.0], [0.0, 1.0]], [0.7, 0.3])["Q"].tolist()
    [0.0, 1.0]
    """
    if not 0 <= v <= 1:
        raise InputError.at("v", "must lie in 0..1", value=v)
    scaled = minmax(matrix, types)
    share = as_weights(weights, scaled.shape[1])
    regret = (1 - scaled) * (share / share.sum()) * (np.ptp(as_matrix(matrix), axis=0) > 0)
    group, worst = regret.sum(axis=1), regret.max(axis=1)
    mixed = v * minmax(group[:, None])[:, 0] + (1 - v) * minmax(worst[:, None])[:, 0]
    return {"S": group, "R": worst, "Q": mixed}


def copras(matrix: ArrayLike, weights: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """Complex proportional assessment (Zavadskas et al. 1994), utility over the best: 0..1, more is better.

    On the sum-normalised weighted matrix, Q = S_plus + sum(S_minus) / (S_minus sum(1 / S_minus)).

    >>> copras([[1.0, 2.0], [1.0, 2.0]], [0.5, 0.5], [1, -1]).tolist()
    [1.0, 1.0]
    """
    score, cost = _benefit_and_cost(matrix, weights, types)
    if cost.any():
        if (cost <= 0).any():
            raise InputError.at("matrix", "this method divides by the weighted costs: each must be above 0")
        score = score + cost.sum() / (cost * (1 / cost).sum())
    return _over_best(score)


def copras_as_pymcdm(matrix: ArrayLike, weights: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """What pymcdm 1.4.0 calls COPRAS: its term for costs cancels to S_minus, so that costs count as benefits.

    Kept only to reproduce the published test value of that library; never use it for a decision.

    >>> copras_as_pymcdm([[1.0, 1.0], [1.0, 3.0]], [0.5, 0.5], [1, -1]).tolist()
    [0.6, 1.0]
    """
    score, cost = _benefit_and_cost(matrix, weights, types)
    return _over_best(score + cost)


def _benefit_and_cost(matrix: ArrayLike, weights: ArrayLike, types: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    scaled, signs = normalised(matrix, types, "sum")
    weighted = scaled * as_weights(weights, scaled.shape[1])
    return weighted[:, signs > 0].sum(axis=1), weighted[:, signs < 0].sum(axis=1)


def _over_best(score: np.ndarray) -> np.ndarray:
    if not score.max() > 0:
        raise InputError.at("matrix", "this method divides by the best score, which must be above 0")
    return score / score.max()


def moora(matrix: ArrayLike, weights: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """Ratio system (Brauers & Zavadskas 2006): weighted vector-normalised benefits minus costs.

    >>> moora([[3.0], [4.0]], [1.0]).tolist()
    [0.6, 0.8]
    """
    scaled = vector(matrix, types)
    n = scaled.shape[1]
    return scaled @ (as_weights(weights, n) * as_types(types, n))


def rank_reversals(before: ArrayLike, after: ArrayLike, *, tolerance: float = 1e-12) -> list[tuple[int, int]]:
    """Pairs (i, j) of the first alternatives where i was ahead of j before and is behind after.

    `before` holds the scores of n alternatives, `after` those of the same n and of any added behind
    them; more is better.

    >>> rank_reversals([0.45, 0.47, 0.08], [0.37, 0.29, 0.06, 0.29])
    [(1, 0)]
    """
    old = np.asarray(before, dtype=float)
    new = np.asarray(after, dtype=float)[: len(old)]
    if len(new) < len(old):
        raise InputError.at("after", f"needs the {len(old)} alternatives of before, got {len(new)}")
    ahead = old[:, None] > old[None, :] + tolerance
    behind = new[:, None] < new[None, :] - tolerance
    return [(int(i), int(j)) for i, j in np.argwhere(ahead & behind)]


def reversals_when_added(
    score: Callable[[np.ndarray], np.ndarray], matrix: ArrayLike, added: ArrayLike
) -> list[tuple[int, int]]:
    """Pairs whose order turns when the alternatives `added` join those of `matrix` under `score`.

    >>> by_share = lambda x: (x / x.sum(axis=0)).mean(axis=1)
    >>> reversals_when_added(by_share, [[1, 9, 8], [9, 1, 9], [1, 1, 1]], [[9, 1, 9]])
    [(1, 0)]
    """
    first = as_matrix(matrix)
    return rank_reversals(score(first), score(np.vstack([first, as_matrix(added, "added")])))
