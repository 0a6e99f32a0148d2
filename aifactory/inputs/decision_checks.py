"""What must hold within the log of decisions and changes."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

#: (row of the file, column, value, rule)
Fault = tuple[int, str, str, str]


def log_faults(log: pd.DataFrame) -> Iterator[Fault]:
    """Entries that cannot be true: due or looked at again before they were made, or logged twice."""
    for column in ("due", "review_date"):
        yield from _each(log, log[column] < log["date"], column, "lies before the date of the entry")
    twice = log.duplicated(["date", "kind", "subject", "text"])
    yield from _each(log, twice, "subject", "the same entry is logged twice; keep one")


def log_gaps(log: pd.DataFrame) -> Iterator[Fault]:
    """Open decisions that nobody will miss: they have no due date."""
    undated = (log["kind"] == "decision") & (log["status"] == "open") & log["due"].isna()
    yield from _each(log, undated, "due", "an open decision without a due date is in no calendar and never overdue")


def _each(log: pd.DataFrame, bad: pd.Series, column: str, rule: str) -> Iterator[Fault]:
    for row in log.index[bad.fillna(value=False).astype(bool)]:
        value = log.loc[row, column]
        shown = "" if pd.isna(value) else value.date().isoformat() if isinstance(value, pd.Timestamp) else str(value)
        yield int(row) + 2, column, shown, rule
