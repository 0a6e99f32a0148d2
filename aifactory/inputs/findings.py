"""What a check between columns and tables found, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

Tables = Mapping[str, pd.DataFrame]
CHECK_COLUMNS = ["table", "check", "status", "row", "column", "value", "rule", "message"]


@dataclass(frozen=True)
class Finding:
    """One row of the checks table."""

    table: str
    check: str
    status: str
    rule: str
    row: int | None = None
    column: str = ""
    value: str = ""

    @property
    def message(self) -> str:
        """The finding in a sentence."""
        place = ", ".join(
            [self.table]
            + ([f"row {self.row}"] if self.row else [])
            + ([f"column {self.column!r}"] if self.column else [])
        )
        return f"{place}:{f' value {self.value!r}:' if self.value else ''} {self.rule}"


def findings_frame(findings: list[Finding]) -> pd.DataFrame:
    """Findings as a table with the columns `CHECK_COLUMNS`."""
    rows = [[getattr(item, name) for name in CHECK_COLUMNS] for item in findings]
    return pd.DataFrame(rows, columns=CHECK_COLUMNS).astype({"row": "Int64"})


def _shown(value: object) -> str:
    """A cell as a finding shows it.

    >>> _shown(None), _shown(float("nan")), _shown("Hours")
    ('(empty)', '(empty)', 'Hours')
    """
    return "(empty)" if pd.isna(value) else str(value)[:80]


def rows_found(
    frame: pd.DataFrame, bad: pd.Series, table: str, check: str, status: str, column: str, rule: str, most: int = 5
) -> Iterator[Finding]:
    """Findings for the first bad rows; the last one counts the rest."""
    flags = bad.fillna(value=False).astype(bool)
    hits = frame.index[flags]
    for number, row in enumerate(hits[:most]):
        rest = f" ({len(hits)} rows in all)" if number == 0 and len(hits) > 1 else ""
        yield Finding(table, check, status, rule + rest, int(row) + 2, column, _shown(frame.loc[row, column]))
