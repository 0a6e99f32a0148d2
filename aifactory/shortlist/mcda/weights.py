"""Weights: elicited (swing, rank order, pairwise), and from the data as a peer only.

Weights taken from the data (entropy, CRITIC, MEREC) let the offers decide what matters; the
shortlist never uses them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.shortlist.mcda.matrix import as_matrix, as_types, as_weights
from aifactory.shortlist.mcda.normalise import by_sum, minmax

#: Random consistency index by number of criteria (Saaty 1980).
RANDOM_INDEX = {1: 0.0, 2: 0.0, 3: 0.58, 4: 0.90, 5: 1.12, 6: 1.24, 7: 1.32, 8: 1.41, 9: 1.45, 10: 1.49}
MAX_CONSISTENCY_RATIO = 0.10
#: Nobody ranks more; a larger number is something else.
MOST_CRITERIA = 1_000


def swing(points: ArrayLike) -> np.ndarray:
    """Swing weights: points for the swing from the worst to the best anchor, over their sum.

    100 points go to the swing most worth having (von Winterfeldt & Edwards 1986).

    >>> swing([100, 80, 50, 20]).tolist()
    [0.4, 0.32, 0.2, 0.08]
    """
    values = as_weights(points, np.size(points))
    return values / values.sum()


def rank_order_centroid(n: int) -> np.ndarray:
    """Centre of all weights in the stated order: w_k = 1/n sum_{i>=k} 1/i (Barron & Barrett 1996).

    >>> rank_order_centroid(2).tolist()
    [0.75, 0.25]
    """
    if not 1 <= n <= MOST_CRITERIA or n != int(n):
        raise InputError.at("n", f"must be a whole number from 1 to {MOST_CRITERIA:,}", value=n)
    return np.cumsum(1 / np.arange(int(n), 0, -1))[::-1] / n


@dataclass(frozen=True)
class Ahp:
    """Weights of a pairwise comparison with its consistency."""

    weights: np.ndarray
    lambda_max: float
    consistency_index: float
    consistency_ratio: float

    @property
    def consistent(self) -> bool:
        """Whether the ratio is at most 0.10 (Saaty 1980); others must be refused or asked again."""
        return self.consistency_ratio <= MAX_CONSISTENCY_RATIO


def ahp(pairwise: ArrayLike, random_index: float | None = None) -> Ahp:
    """Principal eigenvector of a reciprocal matrix of pairwise judgements, scaled to a sum of 1.

    CI = (lambda_max - n) / (n - 1); CR = CI / RI. Matrices that are not reciprocal are refused.

    >>> ahp([[1, 3], [1 / 3, 1]]).weights.round(2).tolist()
    [0.75, 0.25]
    """
    table = as_matrix(pairwise, "pairwise")
    n = len(table)
    if table.shape != (n, n) or (table <= 0).any() or not np.allclose(table * table.T, 1, rtol=1e-2):
        raise InputError.at("pairwise", "must be square and above 0, with a_ji = 1 / a_ij")
    roots, vectors = np.linalg.eig(table)
    first = int(np.argmax(roots.real))
    weights = np.abs(vectors[:, first].real)
    largest = float(roots[first].real)
    index = (largest - n) / (n - 1) if n > 1 else 0.0
    scale = RANDOM_INDEX.get(n, 1.49) if random_index is None else random_index
    ratio = index / scale if scale > 0 else 0.0
    return Ahp(weights / weights.sum(), largest, index, ratio)


def entropy(matrix: ArrayLike) -> np.ndarray:
    """Entropy weights (Shannon): 1 - entropy of each criterion's shares, over their sum. Peer only.

    >>> entropy([[1.0, 1.0], [1.0, 3.0]]).tolist()
    [0.0, 1.0]
    """
    share = by_sum(matrix)
    if (share < 0).any():
        raise InputError.at("matrix", "entropy needs values that are not negative")
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    n = len(share)
    spread = np.clip(1 + (share * logs).sum(axis=0) / np.log(n), 0, None) if n > 1 else np.zeros(share.shape[1])
    return _shares(np.where(spread < 1e-15, 0.0, spread))


def critic(matrix: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """CRITIC weights (Diakoulaki et al. 1995): deviation x sum of (1 - correlation). Peer only.

    >>> critic([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]).tolist()
    [0.5, 0.5]
    """
    scaled = minmax(matrix, types)
    spread = scaled.std(axis=0)
    alive = spread > 0
    conflict = np.zeros(scaled.shape[1])
    if alive.sum() > 1:
        conflict[alive] = (1 - np.corrcoef(scaled[:, alive], rowvar=False)).sum(axis=0)
    elif alive.any():
        conflict[alive] = 1.0
    return _shares(spread * conflict)


def merec(matrix: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """MEREC weights (Keshavarz-Ghorabaee et al. 2021): effect of removing each criterion. Peer only.

    >>> merec([[1.0, 2.0], [2.0, 1.0]], [1, 1]).tolist()
    [0.5, 0.5]
    """
    table = as_matrix(matrix)
    if (table <= 0).any():
        raise InputError.at("matrix", "this method takes logarithms: every value must be above 0")
    signs = as_types(types, table.shape[1])
    scaled = np.where(signs > 0, table.min(axis=0) / table, table / table.max(axis=0))
    logs = np.abs(np.log(scaled))
    whole = np.log1p(logs.mean(axis=1))
    without = np.log1p((logs.sum(axis=1)[:, None] - logs) / table.shape[1])
    return _shares(np.abs(without - whole[:, None]).sum(axis=0))


def _shares(values: np.ndarray) -> np.ndarray:
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1 / len(values))
