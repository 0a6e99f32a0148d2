"""What a sheet holds beside use cases: rows of their sums."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from aifactory.inputs.importers.use_cases.quantities import number

_TOTAL = re.compile(r"(?:grand |sub-?)?(?:total|sum)s?\b", re.IGNORECASE)
_TOTAL_NAME = re.compile(
    r"(?:(?:grand |sub-?)?(?:total|sum)s?|gesamt(?:summe)?|(?:zwischen)?summe|totale|somme|suma)(?: of)?(?: (?:all|the)\b.*)?:?",
    re.IGNORECASE,
)
#: Relative difference up to which a figure is the sum of others, which were rounded.
SUMMED = 0.005


def total_rows(frame: pd.DataFrame, name: str | None) -> pd.Series:
    """Rows below or between use cases that hold sums: bool by row.

    Their first filled cell says total, and they have no name or nothing else; or their name says so, and what else they
    hold are numbers, or one of these is the sum of the rows above, from the sum before on or all.
    """
    cells = frame.map(str.strip)
    first = cells.apply(lambda row: next((cell for cell in row if cell), ""), axis="columns")
    unnamed = cells[name] == "" if name else pd.Series(data=True, index=frame.index)
    found = first.str.match(_TOTAL) & (unnamed | (cells != "").sum(axis="columns").eq(1))
    if not name:
        return found
    named = cells[name].str.fullmatch(_TOTAL_NAME) & ~found
    figures = cells.drop(columns=name).map(lambda text: _figure(text))
    numbers_only = ((cells.drop(columns=name) == "") | figures.notna()).all(axis="columns") & figures.notna().any(
        axis="columns"
    )
    parts = figures[~named & ~found]
    sums = pd.Series([_is_sum(figures.loc[row], parts, named, row) for row in frame.index], index=frame.index)
    return found | (named & (numbers_only | sums))


def _figure(text: str) -> float:
    found = number(text, decimal_comma=False)
    return np.nan if found is None else found


def _is_sum(row: pd.Series, parts: pd.DataFrame, named: pd.Series, at: int) -> bool:
    if not named[at]:
        return False
    before = [other for other in named.index[named] if other < at]
    above = parts[parts.index < at]
    for group in (above, above[above.index > max(before, default=-1)]):
        several = group.notna().sum() > 1
        if (several & (row > 0) & ((group.sum() / row - 1).abs() <= SUMMED)).any():
            return True
    return False
