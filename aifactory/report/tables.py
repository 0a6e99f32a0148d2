"""Tables: caption, header scopes, formatted cells, source line, CSV of all rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from aifactory.errors import AIFactoryError, nearest
from aifactory.report.markup import Block, csv_text, download, render
from aifactory.report.text import FORMATS, LEFT_FORMATS, date_name, format_value, is_missing, plural

#: Colour of a status word; the word itself is always printed.
TONES = {
    **dict.fromkeys(("final", "valid", "choose", "passed", "on plan", "good", "done", "yes"), "good"),
    **dict.fromkeys(("draft", "unverified", "pilot", "warned", "watch", "absent", "open", "not comparable"), "watch"),
    **dict.fromkeys(("failed checks", "invalid", "reject", "failed", "act", "bad", "no"), "bad"),
}
#: Characters that fit beside each other on a page, between two columns, and in a column of broken lines.
LINE_CHARACTERS, GAP_CHARACTERS, BROKEN_CHARACTERS = 156, 2, 14
#: Texts up to one of these lengths (names, dates) stay on one line, the longest that fits the page.
UNBROKEN_CHARACTERS = (24, 20, 16, 12)
#: Longer words (names of files and repositories) may break anywhere.
LONGEST_WORD = 30
_TOTALS = {"total", "all", "sum"}


@dataclass(frozen=True)
class Col:
    """Label and format (a name of `text.FORMATS`) of a column."""

    label: str
    fmt: str = "text"

    def __post_init__(self) -> None:
        if self.fmt not in FORMATS:
            raise AIFactoryError(f"column {self.label!r}: no format {self.fmt!r}.{nearest(self.fmt, FORMATS)}")

    @property
    def left(self) -> bool:
        """Whether the column is set left."""
        return self.fmt in LEFT_FORMATS


def tone(status: object) -> str:
    """Colour class of a status word.

    >>> tone("VALID"), tone("on plan"), tone("whatever")
    ('good', 'good', '')
    """
    return TONES.get(str(status).lower().replace("_", " "), "")


def table(
    frame: pd.DataFrame,
    *,
    caption: str,
    source: str,
    as_of: str,
    columns: Mapping[str, Col],
    max_rows: int = 40,
    note: str = "",
    groups: Sequence[str] = (),
    turned: bool = False,
    empty: str = "",
) -> Block:
    """Table of the named columns in their order; the first that is no group names the row.

    `groups` are columns that stand once above the rows that share them instead of in every row; the CSV and the
    plain text keep them. `turned` sets the columns below each other: for few rows of many figures. A row named "total" is set off. Above `max_rows` the rest is left to the CSV, and the note
    says so. Without rows a sentence stands in its place: `empty`, else that there is none of the caption.
    """
    for name in columns:
        if name not in frame.columns:
            raise AIFactoryError(f"table {caption!r}: no column {name!r}.{nearest(name, map(str, frame.columns))}")
    for name in groups:
        if name not in columns:
            raise AIFactoryError(f"table {caption!r}: no column {name!r} to group by.{nearest(name, columns)}")
    shown = frame[list(columns)]
    if len(shown) > max_rows:
        note = " ".join([note, f"The first {max_rows} of {plural(len(shown), 'row')}; the CSV file has all."]).strip()
    rows = [_row(values, columns) for values in shown.head(max_rows).itertuples(index=False, name=None)]
    text = csv_text(list(columns), shown.itertuples(index=False, name=None))
    heads, lines = [column for name, column in columns.items() if name not in groups], rows
    if groups:
        lines = _grouped(rows, [name in groups for name in columns])
    if turned:
        heads, lines = _turned(heads, rows)
    facts = {
        "caption": caption,
        "heads": heads,
        "rows": _broken(lines, heads) if rows else [],
        "empty": empty or f"{caption}: none.",
        "note": note,
        "source": source,
        "as_of": date_name(as_of) if as_of else "",
        "download": download(caption, text),
    }
    return Block(render("table", facts), f"{caption}\n{_plain(rows, columns)}")


def _row(values: tuple[object, ...], columns: Mapping[str, Col]) -> dict[str, Any]:
    cells = [_cell(value, column) for value, column in zip(values, columns.values(), strict=True)]
    return {"cells": cells, "total": str(values[0]).strip().lower() in _TOTALS}


def _cell(value: object, column: Col) -> dict[str, Any]:
    missing, text = is_missing(value), format_value(value, column.fmt)
    return {
        "text": text,
        "missing": missing,
        "css": "w" if column.fmt == "prose" else "" if column.left else "n",
        "tone": tone(value) if column.fmt == "status" and not missing else "",
    }


def _grouped(rows: list[dict[str, Any]], is_group: list[bool]) -> list[dict[str, Any]]:
    """Rows without the group columns; the first row of each group carries their text as `group`."""
    found, before = [], None
    for row in rows:
        names = [cell["text"] for cell, yes in zip(row["cells"], is_group, strict=True) if yes]
        cells = [cell for cell, yes in zip(row["cells"], is_group, strict=True) if not yes]
        found.append({**row, "cells": cells, "group": ", ".join(names) if names != before else ""})
        before = names
    return found


def _broken(rows: list[dict[str, Any]], heads: list[Col]) -> list[dict[str, Any]]:
    """Rows in which texts too long for the page may break; names and dates stay whole where there is room."""
    texts = [[row["cells"][i]["text"] for row in rows] for i in range(len(heads))]

    def width(limit: int) -> int:
        found = 0
        for head, column in zip(heads, texts, strict=True):
            kept = [len(text) for text in column if not head.left or len(text) <= limit]
            words = [len(word) for text in column if head.left and len(text) > limit for word in text.split()]
            low = BROKEN_CHARACTERS if words else 0
            gaps = GAP_CHARACTERS if head.left else 2 * GAP_CHARACTERS
            found += gaps + max([low, *kept, *words, *map(len, head.label.split())])
        return found

    limit = next((limit for limit in UNBROKEN_CHARACTERS if width(limit) <= LINE_CHARACTERS), 8)
    for cell in (cell for row in rows for cell in row["cells"]):
        if not cell["css"] and len(cell["text"]) > limit:
            cell["css"] = "t u" if max(map(len, cell["text"].split())) > LONGEST_WORD else "t"
    return rows


def _turned(heads: list[Col], rows: list[dict[str, Any]]) -> tuple[list[Col], list[dict[str, Any]]]:
    """Heads and rows with each column as a row; the first column becomes the head."""
    names = [Col(row["cells"][0]["text"], "int") for row in rows]
    lines = [
        {"cells": [_cell(head.label, Col("")), *({**row["cells"][i], "css": "n"} for row in rows)]}
        for i, head in enumerate(heads)
    ]
    return [heads[0], *names], lines[1:]


def _plain(rows: list[dict[str, Any]], columns: Mapping[str, Col]) -> str:
    cells = [[cell["text"] for cell in row["cells"]] for row in rows]
    return pd.DataFrame(cells, columns=[column.label for column in columns.values()]).to_string(index=False)
