"""Numbers of a spreadsheet in the writing of another country: groups of digits, decimal commas beside semicolons."""

from __future__ import annotations

import re

from aifactory.inputs.decimal_comma import NOTHING, OPEN_COMMA, OPEN_POINT, kinds_of
from aifactory.inputs.spreadsheet import Sheet

_IN_GROUPS = re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u2009\u202f'\u2019]\d{3})+(?:[.,]\d+)?")
_NUMBER = re.compile(r"[+-]?\d[\d.,]*")
_APART = re.compile("[ \u00a0\u2009\u202f'\u2019]")


def is_open(text: str) -> bool:
    """Whether a number may hold thousands or decimals.

    >>> is_open("1,234"), is_open("1.234"), is_open("0.234"), is_open("1234.5")
    (True, True, False, False)
    """
    return bool(OPEN_COMMA.fullmatch(text) or OPEN_POINT.fullmatch(text))


def unclear_columns(sheet: Sheet, clear: frozenset[str]) -> set[str]:
    """Columns of a sheet beside semicolons in which a comma or point may mean either; `clear` is of `with_plain_numbers`."""
    return set(sheet.frame) - clear if _semicolons(sheet) else set()


def _semicolons(sheet: Sheet) -> bool:
    return any("semicolons" in text for text, _ in sheet.notes)


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
    if _semicolons(sheet):
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
