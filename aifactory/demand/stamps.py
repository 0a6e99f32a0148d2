"""Time stamps of a series: what can be read in one way only is read, what cannot is refused with what to write."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from aifactory.errors import InputError

OFFSET = r"(?:Z|[+-]\d{2}:?\d{2})$"
#: How warehouses write the zone of their exports.
NAMED_UTC = r"(?<=\d) ?UTC$"
#: Form of a time counted from 1970, which its digits tell from 2001 to 2286 -> its unit.
SINCE_1970 = {r"\d{10}(?:\.\d+)?": "s", r"\d{13}": "ms", r"\d{16}": "us", r"\d{19}": "ns"}
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
#: Days of a spreadsheet, counted from the day before 1900 (with its leap year that never was): 1954 to 2091.
SERIAL, DAY_ZERO, SERIALS = r"\d{5}(?:\.\d+)?", pd.Timestamp("1899-12-30"), (20_000, 70_000)
#: Dates with the name of their month or with two digits of a year, which are never read, only answered.
SPELT = (
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d-%b-%Y",
    "%d.%m.%y",
    "%G-W%V-%u",
    "%Y-%m-%d %I:%M %p",
    "%Y-%m-%d %I:%M:%S %p",
    "%Y-%m-%d %I %p",
)
WEEK = re.compile(r"\d{4}-W\d{2}")
_PARTS = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[ T,]+(\d{1,2}:\d{2}(?::\d{2})?))?")


def parse_stamps(file: str, texts: pd.Series, *, daily: bool = False) -> tuple[pd.Series, str]:
    """Stamps without zone, in UTC where they have an offset or in local time if `daily`, and what was assumed.

    Numbers are read where all of them are of one kind: times counted from 1970 (UTC), or the days of a spreadsheet
    from 1954 to 2091, to the nearest second and in local time. Dates such as 31.10.2026 are refused with what to write.

    Raises
    ------
    InputError
        For the first stamp that is empty, no date, or has an offset where others have none.

    >>> stamps, told = parse_stamps("a.csv", pd.Series(["45658", "45658.25"]))
    >>> stamps.dt.strftime("%Y-%m-%d %H:%M").tolist(), told
    (['2025-01-01 00:00', '2025-01-01 06:00'], 'ds: numbers were read as days of a spreadsheet since 1900')
    """
    if pd.api.types.is_datetime64_any_dtype(texts):
        return _typed(texts, daily=daily).dt.as_unit("us"), ""
    words = texts.astype("str").str.strip().str.replace(NAMED_UTC, "Z", regex=True)
    counted = _counted(words)
    if counted is not None:
        return counted
    zoned = words.str.contains(OFFSET, regex=True) & words.str.contains(":")
    if zoned.any() and not zoned.all():
        refuse(file, "ds", words, zoned != zoned.iloc[0], "has an offset where other rows have none, or the reverse")
    plain = words.str.replace(OFFSET, "", regex=True) if daily and zoned.any() else words
    stamps = pd.to_datetime(plain, format="ISO8601", errors="coerce", utc=True)
    bad = stamps.isna()
    if bad.any():
        rule = f"must be a date or time such as 2026-10-01 or 2026-10-01T13:00:00{_meant(words[bad].iloc[0])}"
        refuse(file, "ds", words, bad, rule)
    return stamps.dt.tz_localize(None).dt.as_unit("us"), ""


def refuse(file: str, column: str, words: pd.Series, bad: pd.Series, rule: str) -> None:
    """Name the first bad cell."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError.at(file, rule, row=row + 2, column=column, value=words.iloc[row])


def _typed(stamps: pd.Series, *, daily: bool) -> pd.Series:
    if stamps.dt.tz is None:
        return stamps
    return stamps.dt.tz_localize(None) if daily else stamps.dt.tz_convert("UTC").dt.tz_localize(None)


def _counted(words: pd.Series) -> tuple[pd.Series, str] | None:
    """Stamps that are all numbers of one kind."""
    if words.str.fullmatch(SERIAL).all():
        days = words.astype("float64")
        if days.between(*SERIALS).all():
            stamps = DAY_ZERO + pd.to_timedelta((days * 86_400).round(), unit="s")
            return stamps.dt.as_unit("us"), "ds: numbers were read as days of a spreadsheet since 1900"
    for form, unit in SINCE_1970.items():
        if words.str.fullmatch(form).all():
            whole, part = words.str.partition(".")[0].astype("int64"), words.str.partition(".")[2]
            stamps = pd.to_datetime(whole, unit=unit)
            if unit == "s":
                stamps = stamps + pd.to_timedelta((("0." + part + "0").astype("float64") * 1e6).round(), unit="us")
            return stamps.dt.as_unit("us"), f"ds: {UNITS[unit]} since 1970 were read as UTC"
    return None


def _meant(word: str) -> str:
    """What to write instead of a date in another order, '' where it is none."""
    found = _PARTS.fullmatch(word)
    word = f"{word}-1" if WEEK.fullmatch(word) else word  # its Monday
    spelt = [pd.to_datetime(word, format=form, errors="coerce") for form in SPELT] if not found else []
    if any(pd.notna(date) for date in spelt):
        meant = min(date for date in spelt if pd.notna(date))
        return f"; write {meant:{'%Y-%m-%dT%H:%M:%S' if word[-1] in 'mM' else '%Y-%m-%d'}}"
    if not found:
        return "; export numbers of a spreadsheet as dates" if word.replace(".", "", 1).isdigit() else ""
    first, mark, second, year, clock = found.groups()
    orders = [(first, second)] if mark == "." else [(first, second), (second, first)]
    texts = [f"{year}-{int(month):02}-{int(day):02}" + (f"T{clock}" if clock else "") for day, month in orders]
    texts = list(dict.fromkeys(text for text in texts if pd.notna(pd.to_datetime(text[:10], errors="coerce"))))
    return f"; write {' or '.join(texts)}" if texts else ""
