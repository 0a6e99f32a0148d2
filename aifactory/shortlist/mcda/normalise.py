"""Normalisations of a decision matrix. All but `none` depend on the set of alternatives.

Each takes alternatives x criteria and directions (1 more is better, -1 less is better) and returns
a matrix of the same shape. A column that cannot be scaled (all zero, all equal) becomes 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.shortlist.mcda.matrix import as_matrix, as_types


def _over(table: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.divide(table, size, out=np.zeros_like(table), where=size != 0)


def invert(matrix: ArrayLike, types: ArrayLike) -> np.ndarray:
    """Take 1/x where less is better. One cell near 0 then dominates: a poor default, kept as a peer.

    >>> invert([[2.0, 4.0]], [1, -1]).tolist()
    [[2.0, 0.25]]
    """
    table = as_matrix(matrix)
    signs = as_types(types, table.shape[1])
    if (table[:, signs < 0] == 0).any():
        raise InputError.at("matrix", "1/x is not defined for a 0 where less is better; use minmax")
    return np.where(signs < 0, 1 / np.where(signs < 0, table, 1.0), table)


def vector(matrix: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """Each x / sqrt(sum x^2) by criterion; directions are left to the method.

    >>> vector([[3.0], [4.0]]).tolist()
    [[0.6], [0.8]]
    """
    table = as_matrix(matrix)
    as_types(types, table.shape[1])
    return _over(table, np.sqrt((table**2).sum(axis=0)))


def by_sum(matrix: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """Each x / sum(x) by criterion; directions are left to the method.

    >>> by_sum([[1.0], [3.0]]).tolist()
    [[0.25], [0.75]]
    """
    table = as_matrix(matrix)
    as_types(types, table.shape[1])
    return _over(table, table.sum(axis=0))


def by_max(matrix: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """Each x / max(x) where more is better, 1 - x / max(x) where less is better.

    >>> by_max([[1.0, 1.0], [4.0, 4.0]], [1, -1]).tolist()
    [[0.25, 0.75], [1.0, 0.0]]
    """
    table = as_matrix(matrix)
    scaled = _over(table, table.max(axis=0))
    return np.where(as_types(types, table.shape[1]) < 0, 1 - scaled, scaled)


def minmax(matrix: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """0 at the worst and 1 at the best alternative of each criterion.

    >>> minmax([[1.0, 1.0], [3.0, 3.0]], [1, -1]).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    table = as_matrix(matrix) * as_types(types, np.shape(matrix)[1])
    low, high = table.min(axis=0), table.max(axis=0)
    return _over(table - low, high - low)


def none(matrix: ArrayLike, types: ArrayLike | None = None) -> np.ndarray:
    """The matrix as it is.

    >>> none([[1.0]]).tolist()
    [[1.0]]
    """
    table = as_matrix(matrix)
    as_types(types, table.shape[1])
    return table


METHODS: dict[str, Callable[..., np.ndarray]] = {
    "none": none, "vector": vector, "sum": by_sum, "max": by_max, "minmax": minmax,
}  # fmt: skip
#: Normalisations that already turn "less is better" round.
TURNED = frozenset({"max", "minmax"})


def normalised(matrix: ArrayLike, types: ArrayLike | None, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Matrix scaled by the method of that name, with the directions that remain.

    >>> normalised([[1.0], [3.0]], [-1], "minmax")[1].tolist()
    [1.0]
    """
    if how not in METHODS:
        raise InputError.at("normalise", "no such normalisation", value=how, choices=METHODS)
    scaled = METHODS[how](matrix, types)
    signs = as_types(types, scaled.shape[1])
    return scaled, np.ones_like(signs) if how in TURNED else signs
