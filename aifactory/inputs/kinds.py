"""Rows that are alike are looked at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd


def row_kinds(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Number of the kind of each row, counted from 0 as they appear, and the first row of each kind.

    Rows are of a kind if they are equal; missing values are equal.

    >>> row_kinds(pd.DataFrame({"a": ["x", "y", "x"], "b": [None, "z", None]}))
    (array([0, 1, 0]), array([0, 1]))
    """
    return combined_kinds((pd.factorize(frame[name])[0] for name in frame), len(frame))


def combined_kinds(codes: Iterable[np.ndarray], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """`row_kinds` of columns whose values are numbered from 0, missing ones -1."""
    kind = np.zeros(rows, "int64")
    for column in codes:
        known = int(column.max(initial=-1)) + 1
        if known == 0 or (known == 1 and column.min() == 0):  # one value in all rows
            continue
        kind = pd.factorize(kind * (known + 1) + column.astype("int64") + 1)[0]
    return kind, np.flatnonzero(~pd.Series(kind).duplicated())
