"""Numbers of a file whose cells are separated by semicolons: a comma may stand before the decimals, or may not.

Spreadsheet programs of many countries write `1.234,56` where others write `1,234.56`. One cell may say
which is meant (`0,5`, `1234,56`, `1.234,56`) or leave it open (`1,234`, `1.234`). A column is read with
decimal commas only where that is certain; what stays open is refused with its cell.
"""

from __future__ import annotations

import re

import pandas as pd

from aifactory.inputs.problems import Problem

_POWER = r"(?:[eE][+-]?\d+)?"
_SIGN = r"[+-]?"
#: One separator with three digits behind it and one to three before: thousands or decimals.
OPEN_COMMA = re.compile(rf"{_SIGN}[1-9]\d{{0,2}},\d{{3}}")
OPEN_POINT = re.compile(rf"{_SIGN}[1-9]\d{{0,2}}\.\d{{3}}")
COMMA = re.compile(rf"{_SIGN}(?:\d+|\d{{1,3}}(?:\.\d{{3}})+),\d+{_POWER}")
POINT = re.compile(rf"{_SIGN}(?:\d+|\d{{1,3}}(?:,\d{{3}})+)\.\d+{_POWER}")
#: Several groups of three digits: thousands, of the one kind or the other.
POINTS_OF_THOUSANDS = re.compile(rf"{_SIGN}\d{{1,3}}(?:\.\d{{3}}){{2,}}")
COMMAS_OF_THOUSANDS = re.compile(rf"{_SIGN}\d{{1,3}}(?:,\d{{3}}){{2,}}")
WHOLE = re.compile(rf"{_SIGN}\d+{_POWER}")
NOTHING = frozenset({"", "null", "nan", "n/a", "-"})


def plain_decimals(text: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem], list[tuple[str, int]]]:
    """Cells with decimal points; cells that could be two numbers; and remarks with the columns changed.

    Only a column in which every filled cell is a number is looked at. It needs a decisive cell of its own: a
    column of open cells is refused, and so is one that writes both.

    >>> frame = pd.DataFrame({"cost": ["1.234,56", "0,5"], "name": ["1,5 h", "x"]})
    >>> plain_decimals(frame)[0].to_numpy().tolist()
    [['1234.56', '1,5 h'], ['0.5', 'x']]
    """
    kinds = {name: found for name in text if (found := kinds_of(text[name]))}
    changed, problems = {}, []
    for name, found in kinds.items():
        ways = set(found.values()) - {"?"}
        if ways == {","}:
            changed[name] = found
        elif ways != {"."}:
            problems.append(_unclear(text[name], name, found, ways))
    if problems or not changed:
        return text, problems, []
    remark = f"numbers with a decimal comma, read as such: {', '.join(changed)}"
    plain = {name: text[name].map(lambda cell, held=found: _plain(cell, held)) for name, found in changed.items()}
    return text.assign(**plain), [], [(remark, len(text))]


def kinds_of(cells: pd.Series) -> dict[str, str]:
    """Different numbers of a column with a separator -> `,`, `.` or `?`; empty if a cell is no number, or none has one."""
    found = {}
    for cell in cells.unique():
        value = cell.strip()
        if value.lower() in NOTHING or WHOLE.fullmatch(value):
            continue
        kind = _kind(value)
        if not kind:
            return {}
        found[cell] = kind
    return found


def _kind(value: str) -> str:
    if OPEN_COMMA.fullmatch(value) or OPEN_POINT.fullmatch(value):
        return "?"
    if COMMA.fullmatch(value) or POINTS_OF_THOUSANDS.fullmatch(value):
        return ","
    return "." if POINT.fullmatch(value) or COMMAS_OF_THOUSANDS.fullmatch(value) else ""


def _plain(cell: str, found: dict[str, str]) -> str:
    return cell.replace(".", "").replace(",", ".") if cell in found else cell


def _unclear(cells: pd.Series, name: str, found: dict[str, str], ways: set[str]) -> Problem:
    """The first cell that could be two numbers, or that is written unlike those above it."""
    if ways:
        first = next(kind for kind in found.values() if kind != "?")
        value = next(cell for cell, kind in found.items() if kind not in ("?", first))
        rule = "is written with another decimal separator than the cells above it; use one"
    else:
        value = next(iter(found))
        rule = "may be thousands or decimals; save the file with ',' between the cells and '.' before decimals"
    return Problem(int(cells.index[cells == value][0]) + 2, name, value, rule)
