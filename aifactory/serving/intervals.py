"""Calibrated intervals: how far off predictions of one kind were when their evidence was held back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

COVERAGE = 0.8
#: Rows needed before a kind speaks for itself; below, the pooled quantile of its regime counts.
ENOUGH = 15
#: Half width of a normal law, in deviations, that holds 80 %: what counts without scores, and at least below `FEW`, of
#: which no rank reaches 80 %.
NORMAL, FEW = 1.2816, 4
#: Points that stand for an answer in a pool, by equal shares of a normal law whose 80 % are its interval.
POINTS = norm.ppf((np.arange(50) + 0.5) / 50) / norm.ppf(0.9)


@dataclass(frozen=True)
class Scores:
    """Calibration scores |residual| / deviation by kind of novelty, in log units."""

    by_kind: dict[str, np.ndarray]

    def width(self, kind: str, coverage: float = COVERAGE) -> float:
        """Conformal quantile of one kind: the ceil((n + 1) coverage)-th smallest score.

        Kinds with fewer than `ENOUGH` scores borrow the pooled ones. Source: Vovk, Gammerman and Shafer
        2005; Papadopoulos 2008 for scores normalised by a predicted deviation.
        """
        own = self.by_kind.get(kind, np.array([]))
        if len(own) < ENOUGH:
            pooled = [scores for scores in self.by_kind.values() if len(scores)]
            own = np.concatenate([own, *pooled]) if pooled else own
        return conformal_quantile(own, coverage)


def conformal_quantile(scores: np.ndarray, coverage: float) -> float:
    """The ceil((n + 1) coverage)-th smallest score; of fewer than `FEW` the largest, `NORMAL` at least.

    >>> conformal_quantile(np.arange(1.0, 10.0), 0.8)
    8.0
    """
    ordered = np.sort(np.asarray(scores, dtype=float))
    if len(ordered) < FEW:
        return float(np.max(ordered, initial=NORMAL))
    rank = int(np.ceil((len(ordered) + 1) * coverage))
    return float(ordered[min(rank, len(ordered)) - 1])


def balanced_quantile(scores: np.ndarray, groups: np.ndarray, coverage: float = COVERAGE) -> float:
    """Smallest score below which `coverage` of the weight lies, every group weighing the same; `NORMAL` at least below `FEW`.

    Whole groups are what is exchangeable when a whole group is left out; rows of one large group are not evidence
    for another. Shapes: `scores` and `groups` (n,).

    >>> balanced_quantile(np.array([1.0, 1.0, 1.0, 1.0, 5.0]), np.array([0, 0, 0, 0, 1]))
    5.0
    """
    scores = np.asarray(scores, dtype=float)
    if len(scores) < FEW:
        return float(np.max(scores, initial=NORMAL))
    _, place, size = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    share = np.cumsum((1.0 / size[place])[order]) / len(size)
    return float(scores[order][min(int(np.searchsorted(share, coverage - 1e-12)), len(scores) - 1)])


def covered(measured: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Share of measured values inside their interval; NaN without any."""
    inside = (measured >= low) & (measured <= high)
    return float(np.mean(inside)) if len(inside) else float("nan")


def pooled_quantiles(low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Low end, middle and high end of the mixture of n answers that weigh the same: quantiles 10, 50 and 90 % in logs, shape (3,).

    Each is a law of logs with its median in the middle and normal sides, whose 80 % are its interval.

    >>> pooled_quantiles(np.array([5.0, 50.0]), np.array([10.0, 100.0]), np.array([20.0, 200.0])).round(1).tolist()
    [6.3, 31.6, 157.7]
    """
    low, middle, high = (np.log(np.asarray(of, dtype=float))[:, None] for of in (low, middle, high))
    points = middle + np.where(POINTS < 0, middle - low, high - middle) * POINTS
    return np.exp(np.quantile(points, [0.1, 0.5, 0.9], method="hazen"))
