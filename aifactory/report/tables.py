"""Tables: caption, header scopes, formatted cells, source line, CSV of all rows."""

from __future__ import annotations

from collections.abc import Mapping
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
) -> Block:
    """Table of the named columns in their order; the first names the row.

    A row named "total" is set off. Above `max_rows` the rest is left to the CSV, and the note says so.
    """
    for name in columns:
        if name not in frame.columns:
            raise AIFactoryError(f"table {caption!r}: no column {name!r}.{nearest(name, map(str, frame.columns))}")
    shown = frame[list(columns)]
    if len(shown) > max_rows:
        note = " ".join([note, f"The first {max_rows} of {plural(len(shown), 'row')}; the CSV file has all."]).strip()
    rows = [_row(values, columns) for values in shown.head(max_rows).itertuples(index=False, name=None)]
    text = csv_text(list(columns), shown.itertuples(index=False, name=None))
    facts = {
        "caption": caption,
        "heads": list(columns.values()),
        "rows": rows,
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
    missing = is_missing(value)
    return {
        "text": format_value(value, column.fmt),
        "missing": missing,
        "css": "w" if column.fmt == "prose" else "" if column.left else "n",
        "tone": tone(value) if column.fmt == "status" and not missing else "",
    }


def _plain(rows: list[dict[str, Any]], columns: Mapping[str, Col]) -> str:
    cells = [[cell["text"] for cell in row["cells"]] for row in rows]
    return pd.DataFrame(cells, columns=[column.label for column in columns.values()]).to_string(index=False)
