"""Series of a CSV or XLSX file (`ds,y` or `unique_id,ds,y`) on a regular grid; every repair names its rows.

| what stands in the file | what happens |
|---|---|
| unsorted stamps | sorted, with a warning |
| two rows for one stamp | their mean counts, with a warning: a double delivery is no peak |
| missing stamps or empty `y` | filled from the season before, never scored, with a warning |
| empty `y` before the first value | left out, with a warning |
| more than half of the grid missing | refused |
| stamps with an offset (daylight saving) | hours count in UTC, days and weeks in local dates |
| local hours without an offset | the hour that the clock skips is a gap, the one it repeats a double stamp |
| months | those of the calendar; a stamp may stand anywhere in its month |
| numbers as stamps | times since 1970 or days of a spreadsheet where all are, with a warning |
| days and weeks that end or begin an hour off the others | set to the hour of the others, with a warning: local midnights in UTC |
| stamps between those of the frequency, or of another one | refused with the step that they have |
| text, infinite values or beyond 1e100, no column ds or y | refused |
| a workbook (.xlsx) | its one sheet with columns ds and y is read |
| rare zeros in a busy series | kept and scored; members that smooth see the season before instead |
| a level that halves or doubles and stays | kept; members follow within a season; a warning names the row |
| zeros for two seasons or more before a busy series starts | left out in whole seasons, with a warning |
| zeros for more than a season within a busy series | kept: an end or a pause, no outage |
| a value above 100 times the 95th percentile | kept, with a warning: check its unit |
| a row without a name in `unique_id` | refused |
| blanks around a name in `unique_id` | left out |
| a constant series | forecast as it is; errors are scaled by its value |
| fewer than two seasons | the forecast lies halfway between that without a season and the only one |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.demand.members import long_pauses
from aifactory.demand.stamps import parse_stamps, refuse
from aifactory.errors import InputError
from aifactory.inputs.spreadsheet import read_spreadsheet
from aifactory.inputs.tables import read_text
from aifactory.units import HOURS_PER_MONTH

#: Frequency -> its step and default season in steps.
#: A month is one of the calendar, of whatever length.
MONTH = pd.Timedelta(hours=HOURS_PER_MONTH)
FREQUENCIES = {
    "h": (pd.Timedelta(hours=1), 24),
    "D": (pd.Timedelta(days=1), 7),
    "W": (pd.Timedelta(weeks=1), 1),
    "M": (MONTH, 12),
}
MOST_MISSING = 0.5
#: First bytes of a workbook.
WORKBOOK = b"PK\x03\x04"
#: Beyond it, squares overflow.
LARGEST = 1e100
#: Below it squares of errors are lost to rounding, and bands with them.
SMALLEST = 1e-100
SHIFT_FACTOR, SHIFT_BLOCKS = 2.0, 2
SHOWN_ROWS = 5
#: What daylight saving moves a stamp by, the least step that it is repaired for, and the share of a common step.
CLOCK_CHANGE, MOVED_FROM, LEAST_COMMON = pd.Timedelta(hours=1), pd.Timedelta(days=1), 0.8
#: Seasons of zeros before the start that are left out, and the share of zeros after it up to which it is busy.
SEASONS_BEFORE, BUSY_ZEROS = 2, 0.1
#: A value so many times the 95th percentile of those above zero is named.
FAR_VALUE, FAR_QUANTILE = 100.0, 0.95
#: End of a warning about rows that do not count.
LEFT_OUT = "left out"
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None")


@dataclass(frozen=True)
class Series:
    """One series on its grid: stamps, values (n,) finite, which were observed, and what was repaired.

    `rows` is the row of the file that each value comes from, as a spreadsheet counts; 0 for filled ones.
    """

    name: str
    stamps: pd.DatetimeIndex
    values: np.ndarray
    observed: np.ndarray
    rows: np.ndarray
    warnings: tuple[str, ...]


def season_of(freq: str) -> int:
    """Default season of a frequency in steps.

    >>> season_of("D")
    7
    """
    if freq not in FREQUENCIES:
        raise InputError.at("--freq", "is no frequency.", value=freq, choices=FREQUENCIES)
    return FREQUENCIES[freq][1]


def read_series(path: Path, freq: str, season: int | None = None) -> list[Series]:
    """Read every series of a file, in the order of their first rows.

    Raises
    ------
    InputError
        If the file, a stamp or a value cannot be used; with row and column.
    """
    found = []
    for _, series in each_series(path, freq, season):
        if isinstance(series, InputError):
            raise series
        found.append(series)
    return found


def each_series(path: Path, freq: str, season: int | None = None) -> Iterator[tuple[str, Series | InputError]]:
    """Name of every series of a file with the series, or with the reason why it fits no grid of that frequency.

    Raises
    ------
    InputError
        If the file, a stamp or a value cannot be used; with row and column.
    """
    season = season or season_of(freq)
    frame, told = series_rows(path, daily=freq != "h")
    for name, part in frame.groupby("name", sort=False):
        try:
            series = on_grid(Path(path).name, str(name), part, FREQUENCIES[freq][0], season)
        except InputError as error:
            yield str(name), error
        else:
            yield str(name), replace(series, warnings=(*told, *series.warnings))


def series_rows(path: Path, *, daily: bool) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows of a file of series as they stand, and what was assumed of their stamps.

    Columns: name, ds, y (NaN where empty), row as a spreadsheet counts.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    text = _cells(path)
    absent = [name for name in ("ds", "y") if name not in text]
    if absent:
        raise InputError.at(
            path.name,
            f"a series has the columns ds and y; found {', '.join(text.columns[:8])}",
            row=1,
            column=absent[0],
            choices=[name for name in text.columns if name.casefold() in ("ds", "y")],
        )
    if text.empty:
        raise InputError.at(path.name, "holds no rows")
    if "unique_id" in text:
        names = text["unique_id"].astype("str").str.strip()
        nameless = text["unique_id"].isna() | names.isin(MISSING)
        refuse(path.name, "unique_id", names, nameless, "is empty where other rows name a series; name every row")
    stamps, told = parse_stamps(path.name, text["ds"], daily=daily)
    rows = pd.DataFrame(
        {
            "name": text["unique_id"].astype("str").str.strip() if "unique_id" in text else path.name.split(".")[0],
            "ds": stamps,
            "y": _parse_values(path.name, text["y"]),
            "row": text.index.to_numpy(),
        }
    )
    return rows.reset_index(drop=True), (told,) if told else ()


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook (.xlsx), by its first bytes."""
    with path.open("rb") as stream:
        return stream.read(4) == WORKBOOK


def is_separated_series(path: Path) -> bool:
    """Whether the header of a text names ds and y between semicolons, tabs or bars."""
    with path.open("rb") as stream:
        head = stream.readline(10_000).decode("utf-8-sig", errors="replace")
    names = [[name.strip(' "\r\n') for name in head.split(mark)] for mark in (";", "\t", "|")]
    return any({"ds", "y"} <= set(row) for row in names)


def is_utf16(path: Path) -> bool:
    """Whether a file is marked as UTF-16 text, as spreadsheet programs save it."""
    with path.open("rb") as stream:
        return stream.read(2) in (b"\xff\xfe", b"\xfe\xff")


def _cells(path: Path) -> pd.DataFrame:
    """Cells of the file as text, indexed by the row that a spreadsheet counts."""
    if not is_workbook(path):
        text, _ = read_text(path)
        return text.set_axis(np.arange(2, len(text) + 2))
    sheets = [sheet.frame for sheet in read_spreadsheet(path) if {"ds", "y"} <= set(sheet.frame.columns)]
    if len(sheets) != 1:
        rule = f"holds {len(sheets)} visible sheets with the columns ds and y: keep one, or save it as CSV"
        raise InputError.at(path.name, rule)
    return sheets[0]


def _parse_values(file: str, texts: pd.Series) -> pd.Series:
    words = texts.astype("str").str.strip()
    empty = words.isin(MISSING) | texts.isna()
    values = pd.to_numeric(words.mask(empty), errors="coerce").astype("float64")
    refuse(
        file,
        "y",
        words,
        ~empty & ~(values.abs() <= LARGEST),
        f"must be a number with a decimal point and no other marks, of at most {LARGEST:g}",
    )
    too_small = (values != 0) & (values.abs() < SMALLEST)
    refuse(file, "y", words, too_small, f"must be 0 or at least {SMALLEST:g}: count in a smaller unit")
    return values


def named_rows(rows: Iterable[int]) -> str:
    """`row 3`, `rows 3, 5` or the first five of many.

    >>> named_rows([3, 5])
    'rows 3, 5'
    """
    rows = [int(row) for row in rows]
    shown = ", ".join(map(str, rows[:SHOWN_ROWS])) + (
        f" and {len(rows) - SHOWN_ROWS} more" if len(rows) > SHOWN_ROWS else ""
    )
    return f"row{'s' if len(rows) > 1 else ''} {shown}"


def span(duration: pd.Timedelta) -> str:
    """A duration in its largest unit.

    >>> span(pd.Timedelta(minutes=90)), span(MONTH)
    ('1.5 h', '1 month')
    """
    if duration == MONTH:
        return "1 month"
    for unit, name in ((pd.Timedelta(days=1), "d"), (pd.Timedelta(hours=1), "h"), (pd.Timedelta(minutes=1), "min")):
        if duration >= unit:
            return f"{duration / unit:g} {name}"
    return f"{duration / pd.Timedelta(seconds=1):g} s"


def on_grid(file: str, name: str, part: pd.DataFrame, step: pd.Timedelta, season: int) -> Series:
    """One series of `series_rows` on its grid, with a warning for every repair; step `MONTH` is that of the calendar."""
    warnings: list[str] = []
    if step == MONTH:
        part = part.assign(ds=part["ds"].dt.to_period("M").dt.to_timestamp().dt.as_unit("us"))
    if not part["ds"].is_monotonic_increasing:
        back = part["row"][part["ds"] < part["ds"].shift()]
        warnings.append(f"stamps are not in order at {named_rows(back)}: sorted")
        part = part.sort_values("ds", kind="stable")
    empty = part[part["y"].isna()]
    if len(empty):
        warnings.append(f"no value in {named_rows(empty['row'])}: treated as missing")
    if step != MONTH:
        part, told = _on_steps(file, part, step)
        warnings += told
    double = part[part["ds"].duplicated(keep="first")]
    if len(double):
        warnings.append(f"stamps given before in {named_rows(double['row'])}: the mean of each stamp counts")
    merged = part.groupby("ds").agg(y=("y", "mean"), row=("row", "first"))
    merged, told = _from_first_value(merged)
    warnings += told
    first, last = merged.index[0], merged.index[-1]
    months = (last.year - first.year) * 12 + last.month - first.month
    length = (months if step == MONTH else int((last - first) / step)) + 1
    missing = length - int(merged["y"].notna().sum())
    if missing > MOST_MISSING * length:
        rule = f"series {name!r}: {missing:,} of the {length:,} stamps between {first} and {last} are missing, at most half may be"
        raise InputError.at(file, f"{rule}{_other_step(merged.index.to_series(), merged['row'], step)}", column="ds")
    grid = merged.reindex(pd.date_range(first, periods=length, freq="MS" if step == MONTH else step))
    observed = grid["y"].notna().to_numpy()
    rows = grid["row"].fillna(0).astype("int64").to_numpy()
    warnings += _gap_warnings(grid.index, rows)
    values = fill_missing(grid["y"].to_numpy(), season)
    start = _start(values, season)
    if start:
        warnings.append(f"zeros before the start, rows {rows[0]} to {rows[:start].max()}: {LEFT_OUT}")
    stamps, values, observed, rows = grid.index[start:], values[start:], observed[start:], rows[start:]
    warnings += [*_value_warnings(values, rows, season), *_shift_warnings(values, stamps, rows, season)]
    return Series(name, stamps, values, observed, rows, tuple(warnings))


def _from_first_value(merged: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows from the first with a value on: before it was no series yet, and later seasons do not tell what it would have been."""
    known = np.flatnonzero(merged["y"].notna().to_numpy())
    if not len(known) or known[0] == 0:
        return merged, []
    return merged.iloc[known[0] :], [
        f"no value before the first one, in {named_rows(merged['row'].iloc[: known[0]])}: {LEFT_OUT}"
    ]


def _on_steps(file: str, part: pd.DataFrame, step: pd.Timedelta) -> tuple[pd.DataFrame, list[str]]:
    """Rows in order of time whose stamps lie a whole number of steps after the first; what was moved for that.

    Days and weeks that all lie within the hour that daylight saving moves them by are set to the nearest step.
    """
    away = (part["ds"] - part["ds"].iloc[0]) % step
    off = away != pd.Timedelta(0)
    if not off.any():
        return part, []
    saved = (away <= CLOCK_CHANGE) | (away >= step - CLOCK_CHANGE)
    if step < MOVED_FROM or not saved.all():
        row = part[off].iloc[0]
        rule = f"lies between the stamps, which count from the first in steps of {span(step)}"
        other = _other_step(part["ds"], part["row"], step)
        raise InputError.at(file, rule + other, row=int(row["row"]), column="ds", value=str(row["ds"]))
    near = part["ds"] - away.where(away <= CLOCK_CHANGE, away - step)
    told = f"stamps up to an hour off those before in {named_rows(part['row'][off])}: read as local days, set to {part['ds'].iloc[0]:%H:%M}"
    return part.assign(ds=near), [told]


def _other_step(stamps: pd.Series, rows: pd.Series, step: pd.Timedelta) -> str:
    """What steps the stamps, in order of time, have in place of the one asked for, and what to do about it."""
    steps = stamps.drop_duplicates().diff().dropna()
    monthly = steps.between(pd.Timedelta(days=28), pd.Timedelta(days=31)).mean() >= LEAST_COMMON
    own = MONTH if monthly else steps.mode().iloc[0] if len(steps) else step
    added = f"add the series up in steps of {span(step)}" if own < step else ""
    if own != step and (monthly or (steps == own).mean() >= LEAST_COMMON):
        known = [f"give --freq {name}" for name, (length, _) in FREQUENCIES.items() if length == own]
        way = (
            " or ".join(filter(None, [*known, added])) or f"no frequency fits: count in one of {', '.join(FREQUENCIES)}"
        )
        return f": most stamps are {span(own)} apart; {way}"
    others = steps[steps != own]
    if others.empty:
        return ""
    way = " or ".join(filter(None, ["correct that stamp, split the file there", added]))
    return (
        f": the step is {span(own)} mostly, but {span(others.iloc[0])} before row {int(rows[others.index[0]])}; {way}"
    )


def _start(values: np.ndarray, season: int) -> int:
    """Whole seasons of zeros before a series that is busy from then on; 0 for fewer than two, or two values."""
    used = np.flatnonzero(values)
    first = int(used[0]) // season * season if len(used) else 0
    rest = values[first:]
    short = first < max(SEASONS_BEFORE * season, 2) or len(rest) < max(SEASONS_BEFORE * season, 4)
    return 0 if short or (rest == 0).mean() >= BUSY_ZEROS else first


def fill_missing(values: np.ndarray, season: int) -> np.ndarray:
    """Missing values from the season before (filled ones included), else after, else interpolated.

    >>> fill_missing(np.array([1.0, 5.0, np.nan, 6.0]), 2).tolist()
    [1.0, 5.0, 1.0, 6.0]
    """
    filled, count = values.copy(), len(values)
    known = np.flatnonzero(np.isfinite(values))
    for place in np.flatnonzero(~np.isfinite(values)):
        near = [filled[other] for other in (place - season, place + season) if 0 <= other < count and season > 1]
        near = [value for value in near if np.isfinite(value)]
        filled[place] = near[0] if near else np.interp(place, known, values[known])
    return filled


def _gap_warnings(stamps: pd.DatetimeIndex, rows: np.ndarray) -> list[str]:
    absent = np.flatnonzero(rows == 0)
    if not len(absent):
        return []
    before = rows[absent - 1][rows[absent - 1] > 0]
    first = f"the first is {stamps[absent[0]]}"
    return [
        f"{len(absent):,} {'stamp is' if len(absent) == 1 else 'stamps are'} missing after {named_rows(before)} ({first}): filled from the season before, not scored"
    ]


def _value_warnings(values: np.ndarray, rows: np.ndarray, season: int) -> list[str]:
    found = []
    if len(values) > 1 and np.ptp(values) == 0:
        found.append(
            f"every value is {values[0]:g} (rows {rows[0]} to {rows[-1]}): errors are scaled by it, not by changes"
        )
    elif (zero := values == 0).any() and zero.mean() < 0.1 and np.median(values) >= 10:
        kept = long_pauses(zero, season)
        if (zero & ~kept).any():
            found.append(f"zeros in a busy series at {named_rows(rows[zero & ~kept])}: taken as outages")
        if kept.any():
            found.append(f"zeros for longer than a season at {named_rows(rows[kept])}: kept, an end or a pause")
    above = values[values > 0]
    far = values > FAR_VALUE * np.quantile(above, FAR_QUANTILE) if len(above) else np.zeros(len(values), dtype=bool)
    if far.any():
        found.append(
            f"up to {values.max():.4g} at {named_rows(rows[far])}, above {FAR_VALUE:.0f} times the 95th percentile: kept; check its unit"
        )
    if season > 1 and len(values) < 2 * season:
        found.append(f"rows {rows[0]} to {rows[-1]} hold less than two seasons of {season} steps: none can be measured")
    if (values < 0).any():
        found.append(f"negative values at {named_rows(rows[values < 0])}: forecasts may be negative too")
    return found


def _shift_warnings(values: np.ndarray, stamps: pd.DatetimeIndex, rows: np.ndarray, season: int) -> list[str]:
    """The last block from which the median level has halved or doubled against the three before, and stays."""
    block = max(season, 4)
    count = len(values) // block
    if count < 3 + SHIFT_BLOCKS or (values < 0).any():
        return []
    start = len(values) - count * block
    level = np.median(values[start:].reshape(count, block), axis=1)
    for first in range(count - SHIFT_BLOCKS, 2, -1):
        before, ratio = float(np.median(level[first - 3 : first])), level[first - 1 :]
        fell, rose = ratio < before / SHIFT_FACTOR, ratio > before * SHIFT_FACTOR
        # the block before has not moved yet, all since have
        if before > 0 and any(not moved[0] and moved[1:].all() for moved in (fell, rose)):
            place, now = start + first * block, np.median(level[first:])
            if now == 0 and values[place + block :].any():  # work that comes rarely has no level that ends
                return []
            row = rows[place:][rows[place:] > 0][0]
            return [
                f"the level moves from {before:.4g} to {now:.4g} about row {row} ({stamps[place]}) and stays: the forecast follows"
            ]
    return []
