"""One column of text cells as values of its type: each different text is looked at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

import numpy as np
import pandas as pd

from aifactory.inputs.contracts import Field
from aifactory.inputs.problems import Problem

_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no"}
_STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_OFFSET = r"(?:Z|[+-]\d\d:?\d\d)"
_MONTH = r"\d{4}-(?:0[1-9]|1[0-2])"
_WHOLE = r"[+-]?[0-9]{1,18}"
#: 1 or 1,000? Nobody writes a count with three decimals.
_THOUSANDS = r"[+-]?[0-9]{1,3}(?:[.][0-9]{3})+"
#: Without \s and \d, which pandas would hand to Python row by row.
_DECIMAL = r"[ \t]*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?[ \t]*"
#: No quantity of any table is larger; a product of several still is a number.
MOST, TOO_LARGE = 1e18, "must lie within 10^18 of 0"
#: Columns of more rows are looked at side by side; texts and their patterns leave the other core free.
LONG_ROWS, CORES = 100_000, 2
SAMPLE = 2_000

Item, Found = TypeVar("Item"), TypeVar("Found")


@dataclass(frozen=True)
class Coded:
    """A column as its different texts, read, and the number of each row's; -1 where it is missing."""

    codes: np.ndarray
    known: pd.Series

    def flags(self, known: np.ndarray) -> np.ndarray:
        """Rows whose value is flagged."""
        return np.append(known, False)[self.codes]

    def counts(self) -> np.ndarray:
        """Rows of each of the different values."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.known))


@dataclass
class Column:
    """A typed column, the cells that break the rules of its type, and what else there is to say."""

    values: pd.Series
    coded: Coded | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


@dataclass
class _Read:
    """Texts read as one type; which of them break a rule, and which are read with a remark."""

    values: pd.Series
    faults: list[tuple[pd.Series, str]]
    remarks: list[tuple[pd.Series, str]] = field(default_factory=list)


def coded(values: pd.Series) -> Coded | None:
    """The different texts of a column; None for a long one in which most texts are different.

    >>> held = coded(pd.Series(["a", "b", None, "a"], dtype="str"))
    >>> held.codes.tolist(), held.known.tolist()
    ([0, 1, -1, 0], ['a', 'b'])
    """
    if len(values) > LONG_ROWS:
        some = values.iloc[:: max(len(values) // SAMPLE, 1)]
        if some.nunique() > len(some) // 2:
            return None
    codes, known = pd.factorize(values)
    return Coded(codes.astype(np.min_scalar_type(-max(len(known), 1))), pd.Series(known, dtype="str"))


def each(job: Callable[[Item], Found], items: Iterable[Item], rows: int) -> list[Found]:
    """Results of a job for each item in order; side by side where a column has many rows."""
    if rows <= LONG_ROWS:
        return [job(item) for item in items]
    with ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(job, items))


def read_column(item: Field, values: pd.Series | None, missing: Collection[str], index: pd.Index) -> Column:
    """Values of one column by its field; exact numbers stay text, digit by digit, that is known to be a number.

    Cells that break the rules of the type are missing in the values, and named.
    """
    if values is None:
        return Column(pd.Series(index=index, dtype="str" if item.exact else item.dtype))
    if not pd.api.types.is_string_dtype(values):
        return _stored(item, values)
    held = coded(values)
    different = values if held is None else held.known
    gone = different.isin(list(missing)).to_numpy()
    texts = different.where(~gone, None) if gone.any() else different
    read = _READ[item.type](item, texts)
    if held is None:
        return _column(item, read, values, None)
    return _column(item, read, values, held)


def _column(item: Field, read: _Read, values: pd.Series, held: Coded | None) -> Column:
    """The column of all rows from what was read of its different texts, which `held` counts."""
    same = item.type == "string" or item.exact
    if held is None:
        rows = read.values
    elif same and not read.values.isna().any() and not (held.codes < 0).any():
        rows = values
    else:
        rows = _with_missing(read.values).take(held.codes).set_axis(values.index)
    column = Column(_whole(item, rows) if item.type == "integer" else rows)
    if held is not None:  # different texts may be the same time or number
        numbers, known = pd.factorize(read.values)
        column.coded = Coded(np.append(numbers, -1).astype(held.codes.dtype)[held.codes], pd.Series(known))
    for flags, rule in read.faults:
        bad = _rows(flags, held)
        column.problems += [
            Problem(int(row) + 2, item.name, str(text), rule)
            for row, text in zip(values.index[bad], values[bad], strict=True)
        ]
    for flags, rule in read.remarks:
        count = int(_rows(flags, held).sum())
        column.warnings.append(Problem(None, item.name, "", rule.format(count)))
    return column


def _rows(flags: pd.Series, held: Coded | None) -> np.ndarray:
    known = flags.to_numpy(dtype=bool)
    return known if held is None else held.flags(known)


def _with_missing(values: pd.Series) -> pd.Series:
    """The values and a missing one at the end, which -1 takes."""
    return values.reindex(range(len(values) + 1))


def as_decimals(texts: Mapping[str, pd.Series]) -> dict[str, pd.Series]:
    """Amounts, text that is known to be numbers, as Decimals; one that repeats in its row is read once.

    >>> as_decimals({"cost": pd.Series(["1.10", None], dtype="str")})["cost"].tolist()
    [Decimal('1.10'), None]
    """
    done: list[tuple[pd.Series, np.ndarray]] = []
    for cells in texts.values():
        numbers, left = np.full(len(cells), None, dtype="object"), cells.notna().to_numpy(copy=True)
        for before, held in done:
            same = left & (cells == before).fillna(value=False).to_numpy(dtype=bool)
            numbers[same] = held[same]
            left &= ~same
        numbers[left] = np.fromiter(map(Decimal, cells[left].to_list()), "object", int(left.sum()))
        done.append((cells, numbers))
    return {name: pd.Series(numbers, index=cells.index) for name, (cells, numbers) in zip(texts, done, strict=True)}


def _faults(*found: tuple[pd.Series, str]) -> list[tuple[pd.Series, str]]:
    return [(flags, rule) for flags, rule in found if flags.any()]


def _number(item: Field, texts: pd.Series) -> _Read:
    rule = "must be a finite number with a decimal point"
    if item.exact:
        bad = texts.notna() & ~texts.str.fullmatch(_DECIMAL, na=False)
        large = pd.to_numeric(texts.where(~bad), errors="coerce").astype("float64").abs() > MOST
        kept = texts.where(~bad & ~large, None) if (bad | large).any() else texts
        return _Read(kept, _faults((bad, rule), (large, TOO_LARGE)))
    numbers = pd.to_numeric(texts, errors="coerce").astype("float64")
    finite = np.isfinite(numbers)
    return _Read(numbers, _faults((texts.notna() & ~finite, rule), (finite & (numbers.abs() > MOST), TOO_LARGE)))


def _integer(_item: Field, texts: pd.Series) -> _Read:
    plain = texts.str.fullmatch(_WHOLE, na=False)
    # 12.0 and 1e3 are whole too; beyond 2^53 a float would not hold them
    grouped = texts.str.fullmatch(_THOUSANDS, na=False)
    floats = pd.to_numeric(texts.where(~plain & ~grouped), errors="coerce").astype("float64")
    rounded = np.isfinite(floats) & (floats == np.floor(floats)) & (floats.abs() < 2**53)
    bad = texts.notna() & ~plain & ~rounded & ~grouped
    whole = texts.where(plain).str.removeprefix("+").astype("Int64")
    numbers = floats.where(rounded).astype("Int64").mask(plain, whole)
    rule = "may be a decimal number or have points between its thousands; write a whole number without points"
    return _Read(numbers, _faults((bad, "must be a whole number of at most 18 digits"), (grouped, rule)))


def _whole(item: Field, numbers: pd.Series) -> pd.Series:
    return numbers.astype(item.dtype if numbers.notna().all() else "Int64")


def _boolean(_item: Field, texts: pd.Series) -> _Read:
    lower = texts.str.lower()
    bad = texts.notna() & ~lower.isin(_TRUE | _FALSE)
    values = lower.map(lambda text: text in _TRUE if text in _TRUE | _FALSE else None).astype("boolean")
    return _Read(values, _faults((bad, "must be true or false")))


def _string(_item: Field, texts: pd.Series) -> _Read:
    return _Read(texts.astype("str"), [])


def _datetime(_item: Field, texts: pd.Series) -> _Read:
    zoned, naive = (texts.str.fullmatch(form, na=False) for form in (_STAMP + _OFFSET, _STAMP))
    times = pd.to_datetime(texts.where(zoned | naive), format="ISO8601", utc=True, errors="coerce")
    unreal = (zoned | naive) & times.isna()
    other = texts.notna() & ~zoned & ~naive
    read = _Read(times.dt.as_unit("us"), _faults((other, "must be a UTC time such as 2026-10-01T00:00:00Z")))
    if zoned.any() and naive.any():
        rule = "has no zone while other rows have one; write all of them in UTC with Z"
        read.faults += _faults((naive, rule))
    elif naive.any():
        read.remarks.append((naive, "{} times without a zone were read as UTC"))
    read.faults += _faults((unreal, "is not a date of the calendar"))
    return read


def _date(_item: Field, texts: pd.Series) -> _Read:
    dates = pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce")
    return _Read(dates.dt.as_unit("us"), _faults((texts.notna() & dates.isna(), "must be a date such as 2026-10-01")))


def _yearmonth(_item: Field, texts: pd.Series) -> _Read:
    good = texts.str.fullmatch(_MONTH, na=False)
    return _Read(texts.astype("str"), _faults((texts.notna() & ~good, "must be a month such as 2026-10")))


_READ: dict[str, Callable[[Field, pd.Series], _Read]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "string": _string,
    "datetime": _datetime,
    "date": _date,
    "yearmonth": _yearmonth,
}


def _stored(item: Field, values: pd.Series) -> Column:
    """Bring a typed Parquet column to the contract's dtype, if its kind fits; amounts become text."""
    kinds = pd.api.types
    empty = pd.Series(index=values.index, dtype="str" if item.exact else item.dtype)
    if values.isna().all():
        return Column(empty)
    fits = {
        "number": kinds.is_numeric_dtype(values) or (item.exact and isinstance(values.dropna().iloc[0], Decimal)),
        "integer": kinds.is_numeric_dtype(values),
        "boolean": kinds.is_bool_dtype(values) or values.dropna().map(type).eq(bool).all(),
        "datetime": kinds.is_datetime64_any_dtype(values),
        "date": kinds.is_datetime64_any_dtype(values) or hasattr(values.dropna().iloc[0], "isoformat"),
    }.get(item.type, False)
    if not fits:
        return Column(empty, problems=[Problem(None, item.name, str(values.dtype), f"must be stored as {item.type}")])
    if item.type == "datetime":
        times = values.dt.tz_localize("UTC") if values.dt.tz is None else values.dt.tz_convert("UTC")
        return Column(times.dt.as_unit("us"))
    if item.type == "date":
        return Column(pd.to_datetime(values).dt.as_unit("us"))
    if item.type == "boolean":
        return Column(values.astype(item.dtype))
    if item.exact:
        values = values.map(str, na_action="ignore").astype("str")
    read = _stored_integer(values) if item.type == "integer" else _number(item, values)
    return _column(item, read, values, None)


def _stored_integer(values: pd.Series) -> _Read:
    """Whole numbers of a Parquet file; integers never pass through a float."""
    if pd.api.types.is_integer_dtype(values):
        return _Read(values.astype("Int64"), [])
    numbers = values.astype("float64")
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (numbers.abs() < 2**53)
    bad = values.notna() & ~whole
    return _Read(numbers.where(whole).astype("Int64"), _faults((bad, "must be a whole number")))
