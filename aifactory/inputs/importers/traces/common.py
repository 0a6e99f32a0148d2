"""What every reader of a trace returns, and how a trace is moved to the days of the analyst.

Traces are old or carry no date. Dated ones move by whole weeks, which keeps hour of day and weekday;
others are laid down from a first day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import Contract
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.unnamed import UNDATED
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import read_text, type_table

#: As milliseconds three centuries: what is larger is a damaged cell, and would not fit a time.
LARGEST = 1e13
NO_SHIFT = pd.Timedelta(0)


@dataclass
class Found:
    """Rows of a trace on the trace's own clock, and how they were read.

    The column `arrival` is a UTC time where the trace is dated, else seconds from its start.
    """

    rows: pd.DataFrame
    rows_read: int
    left_out: dict[str, int] = field(default_factory=dict)
    warnings: list[tuple[str, int]] = field(default_factory=list)

    @property
    def dated(self) -> bool:
        """Whether the trace says on which day it was."""
        return pd.api.types.is_datetime64_any_dtype(self.rows["arrival"])


def trace_contract(name: str, needed: dict[str, str], optional: dict[str, str] | None = None) -> Contract:
    """Contract of a trace: no number is below zero or above `LARGEST`."""
    return source_contract(name, needed, optional, minimum=0.0, maximum=LARGEST)


def typed_rows(path: Path, contract: Contract) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Typed columns of a trace and the remarks on them.

    Raises
    ------
    InputError
        Naming row, column, value and rule of what breaks the contract, and if there is no row.
    """
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    text, notes = read_text(path)
    typed = type_table(path, text, contract)
    if not len(text):
        raise InputError.at(path.name, "holds a header and no rows")
    raise_problems(path.name, typed.problems)
    notes = notes + repeated_rows(int(text.duplicated().sum()))
    return typed.frame, notes + [(f"{item.column}: {item.rule}", len(text)) for item in typed.warnings]


def repeated_rows(count: int) -> list[tuple[str, int]]:
    """Warning on rows that another one equals in every cell: a trace numbers no requests, so nothing can be left out."""
    text = "equal an earlier row in every cell; they count too: is the file put together of two that overlap?"
    return [(text, count)] if count else []


def whole_weeks(first: pd.Timestamp, not_before: pd.Timestamp) -> pd.Timedelta:
    """Shift by whole weeks that brings `first` to `not_before` or at most a week later.

    >>> whole_weeks(pd.Timestamp("2023-11-16T18:15"), pd.Timestamp("2026-10-09"))
    Timedelta('1064 days 00:00:00')
    """
    weeks = np.ceil((not_before - first) / pd.Timedelta(weeks=1))
    return pd.Timedelta(weeks=int(weeks))


def day_of(text: str) -> pd.Timestamp:
    """The day named by `--first-day`, UTC."""
    try:
        return pd.Timestamp(text, tz="UTC")
    except ValueError:
        raise InputError.at("--first-day", "must be a date such as 2026-10-01", value=text) from None


def on_days(found: Found, first_day: str) -> pd.Series:
    """Arrivals as UTC times, moved to begin on or after `first_day`; without dates and it, days count from 1970."""
    arrival = found.rows["arrival"]
    if found.dated:
        return arrival + (whole_weeks(arrival.min(), day_of(first_day)) if first_day else NO_SHIFT)
    if not first_day:
        found.warnings.append((UNDATED, len(arrival)))
    return seconds_after(day_of(first_day or "1970-01-01"), arrival)


def seconds_after(start: pd.Timestamp, seconds: pd.Series) -> pd.Series:
    """Times `seconds` after `start`, to the microsecond; unknown seconds stay unknown."""
    whole = (seconds.astype("float64") * 1e6).round().astype("Int64")
    return (start + pd.to_timedelta(whole, unit="us")).astype("datetime64[us, UTC]")
