"""What a sheet holds beside use cases: rows of their sums, and numbers in the writing of another country."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from aifactory.inputs.decimal_comma import NOTHING, kinds_of
from aifactory.inputs.importers.use_cases.quantities import number
from aifactory.inputs.spreadsheet import Sheet

_TOTAL = re.compile(r"(?:grand |sub-?)?(?:total|sum)s?\b", re.IGNORECASE)
_TOTAL_NAME = re.compile(
    r"(?:(?:grand |sub-?)?(?:total|sum)s?|gesamt(?:summe)?|(?:zwischen)?summe|totale|somme|suma)(?: of)?(?: (?:all|the)\b.*)?:?",
    re.IGNORECASE,
)
#: Relative difference up to which a figure is the sum of others, which were rounded.
SUMMED = 0.005
_IN_GROUPS = re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u2009\u202f'\u2019]\d{3})+(?:[.,]\d+)?")
_NUMBER = re.compile(r"[+-]?\d[\d.,]*")
_APART = re.compile("[ \u00a0\u2009\u202f'\u2019]")


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


def with_plain_numbers(sheet: Sheet) -> frozenset[str]:
    """Rewrite numbers in groups (1 200 000, 1'200'000) and, beside semicolons, with decimal commas; columns without doubt there.

    A column is rewritten where every filled cell is a number. Where cells may be read in two ways (1,234), all others
    must be of one way.
    """
    grouped = sheet.frame.map(lambda text: _APART.sub("", text) if _IN_GROUPS.fullmatch(text.strip()) else text)
    all_numbers = grouped.map(
        lambda text: text.strip().lower() in NOTHING or bool(_NUMBER.fullmatch(text.strip()))
    ).all()
    grouped = grouped.where(all_numbers, sheet.frame, axis="columns")
    changed = int((grouped != sheet.frame).any(axis="columns").sum())
    if changed:
        sheet.notes.append(("numbers in groups of three digits, read as one number each", changed))
    sheet.frame, found = grouped, set()
    if any("semicolons" in text for text, _ in sheet.notes):
        for name in sheet.frame:
            kinds = kinds_of(sheet.frame[name])
            ways = set(kinds.values()) - {"?"}
            if not ways or (len(ways) > 1 and "?" in kinds.values()):
                continue
            plain = {cell: _plain(cell, kind if kind != "?" else min(ways)) for cell, kind in kinds.items()}
            sheet.frame[name] = sheet.frame[name].replace(plain)
            found.add(name)
            if "," in ways:
                sheet.notes.append((f"numbers with a decimal comma, read as such: {name}", len(sheet.frame)))
    return frozenset(found)


def _plain(cell: str, kind: str) -> str:
    """A number with a decimal point and without groups; `kind` is what stands before its decimals."""
    return cell.replace(".", "").replace(",", ".") if kind == "," else cell.replace(",", "")
