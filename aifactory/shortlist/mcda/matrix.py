"""Checks every method shares: a complete matrix, weights that can be weights, directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError

#: How far weights may miss a sum of 1: rounding of eight printed decimals.
SUM_TOLERANCE = 1e-6
#: Share of the largest score within which two scores are equal: sums of products round.
ROUNDING = 1e-12


def as_matrix(matrix: ArrayLike, name: str = "matrix") -> np.ndarray:
    """Alternatives x criteria as floats; refuses ragged, empty, text and missing cells by place.

    >>> as_matrix([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    try:
        table = np.asarray(matrix, dtype=float)
    except (TypeError, ValueError):
        raise InputError.at(name, "must hold numbers, every alternative with the same number of criteria") from None
    if table.ndim != 2 or 0 in table.shape:
        raise InputError.at(name, f"must have alternatives as rows and criteria as columns, got shape {table.shape}")
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        row, column = (int(place) for place in bad[0])
        rule = "a score is missing or infinite; leave the alternative out or give the score as an interval"
        raise InputError.at(name, rule, row=row + 1, column=f"criterion {column + 1}", value=float(table[row, column]))
    return table


def as_weights(weights: ArrayLike, n: int, *, add_up: bool = False) -> np.ndarray:
    """Weights of `n` criteria: finite, not negative, not all 0; with `add_up` their sum must be 1.

    >>> as_weights([0.2, 0.8], 2, add_up=True).tolist()
    [0.2, 0.8]
    """
    try:
        values = np.asarray(weights, dtype=float)
    except (TypeError, ValueError):
        raise InputError.at("weights", "must be numbers") from None
    if values.shape != (n,):
        raise InputError.at("weights", f"need one weight for each of {n} criteria, got shape {values.shape}")
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0))
    if len(wrong):
        place = f"criterion {wrong[0] + 1}"
        raise InputError.at("weights", "must be finite and not negative", column=place, value=float(values[wrong[0]]))
    if not values.sum() > 0:
        raise InputError.at("weights", "at least one weight must be above 0")
    if add_up and abs(values.sum() - 1) > SUM_TOLERANCE:
        raise InputError.at("weights", f"must add up to 1, got {values.sum():.6g}")
    return values


def as_types(types: ArrayLike | None, n: int) -> np.ndarray:
    """Direction of each criterion: 1 more is better, -1 less is better; None takes 1 for all.

    >>> as_types([1, -1], 2).tolist()
    [1.0, -1.0]
    """
    signs = np.ones(n) if types is None else np.asarray(types, dtype=float)
    if signs.shape != (n,) or not np.isin(signs, (1, -1)).all():
        raise InputError.at("types", f"need 1 (more is better) or -1 (less is better) for each of {n} criteria")
    return signs


def rank(score: ArrayLike, *, ascending: bool = False) -> np.ndarray:
    """Rank 1 is best; equal scores share the better rank, also those that differ by rounding alone. `ascending` where less is better.

    >>> rank([4.0, 11.0, 4.0]).tolist(), rank([0.3, 0.1 + 0.2, 0.4]).tolist()
    ([2, 1, 2], [2, 2, 1])
    """
    values = np.asarray(score, dtype=float) * (-1 if ascending else 1)
    noise = ROUNDING * np.abs(values[np.isfinite(values)]).max(initial=0.0)
    return 1 + (values[None, :] > values[:, None] + noise).sum(axis=1)
