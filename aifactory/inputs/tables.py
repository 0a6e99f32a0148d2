"""Read one table strictly: what is not what the contract says is named, never repaired."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import Contract, Field, pandera_schema
from aifactory.inputs.csv_text import read_csv_text
from aifactory.inputs.guard import unguarded
from aifactory.inputs.parts import read_parts
from aifactory.inputs.problems import Problem, raise_problems

SUFFIXES = (".csv", ".csv.gz", ".parquet")
_TRUE, _FALSE = {"true", "1", "yes"}, {"false", "0", "no"}
_STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_OFFSET = r"(?:Z|[+-]\d\d:?\d\d)"
_MONTH = r"\d{4}-(?:0[1-9]|1[0-2])"
_WHOLE = r"[+-]?[0-9]{1,18}"
#: Without \s and \d, which pandas would hand to Python row by row.
_DECIMAL = r"[ \t]*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?[ \t]*"


@dataclass
class ReadTable:
    """A typed table with what was found while reading it."""

    frame: pd.DataFrame
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    #: Text and numbers of the exact columns, and which of them are sound.
    exact: list[tuple[pd.Series, np.ndarray, np.ndarray]] = field(default_factory=list, repr=False)


def read_table(path: Path, contract: Contract) -> ReadTable:
    """Read and type a CSV or Parquet file, then apply the contract's bounds.

    Raises
    ------
    InputError
        If the file as a whole cannot be read as this table (encoding, header, shape). Problems
        of single cells are returned, not raised.
    """
    text, notes = read_text(path)
    if contract.keeps_extra:
        text = text.assign(**{name: unguarded(text[name]) for name in text.select_dtypes("str")})
    extra = [name for name in text.columns if name not in contract.columns]
    unknown = [name for name in extra if not name.startswith("x_")]
    if unknown:
        raise InputError.at(path.name, "unknown column.", row=1, column=unknown[0], choices=contract.columns)
    table = type_table(path, text, contract)
    for name in () if contract.keeps_extra else extra:
        table.warnings.append(Problem(1, name, "", "extra column, not used"))
    table.warnings += [Problem(None, "", "", f"{rule} ({rows} rows)") for rule, rows in notes]
    return table


def read_source(path: Path, contract: Contract) -> pd.DataFrame:
    """Read the columns of a contract from somebody else's file; its other columns are left out.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a required column, or holds a cell that breaks the contract.
    """
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    table = type_table(path, read_text(path)[0], contract)
    raise_problems(path.name, table.problems)
    return table.frame


def read_text(path: Path) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Cells of a CSV file as text, columns of a Parquet file as stored, and remarks with their rows.

    What the file is shows in its first bytes; an ending `.parquet` must be true.
    """
    if path.is_dir():
        return read_parts(path), []
    with path.open("rb") as stream:
        begin = stream.read(4)
    if path.name.endswith(".parquet") or begin == b"PAR1":
        return _read_parquet(path), []
    return read_csv_text(path)


def type_table(path: Path, text: pd.DataFrame, contract: Contract) -> ReadTable:
    """Type the columns of a contract and apply its bounds; problems are collected, not raised."""
    absent = [item.name for item in contract.fields if item.required and item.name not in text.columns]
    if absent:
        found = ", ".join(text.columns[:12])
        raise InputError.at(path.name, f"required column is missing; found: {found}", row=1, column=absent[0])
    table = ReadTable(pd.DataFrame(index=text.index))
    for item in contract.fields:
        _add_column(table, item, text.get(item.name), contract.missing_values)
    told = {(problem.row, problem.column) for problem in table.problems}
    table.problems += [
        item
        for item in bound_problems(table.frame, contract)
        if (item.row, item.column) not in told and (None, item.column) not in told
    ]
    return table


def bound_problems(frame: pd.DataFrame, contract: Contract) -> list[Problem]:
    """Bounds, enumerations, patterns, required values, unique columns and primary key."""
    import pandera.errors

    problems: list[Problem] = []
    try:
        pandera_schema(contract).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        for case in errors.failure_cases.itertuples(index=False):
            item = contract.field(str(case.column))
            rule = "a value is required" if "not_nullable" in str(case.check) else f"must be {item.rule}"
            value = "" if pd.isna(case.failure_case) else str(case.failure_case)
            problems.append(Problem(int(case.index) + 2, item.name, value, rule, item.enum))
    key = list(contract.primary_key)
    if len(key) > 1 and not problems:
        again = frame.index[frame.duplicated(key)]
        shown = ", ".join(key)
        problems += [
            Problem(int(row) + 2, shown, ", ".join(str(v) for v in frame.loc[row, key]), "this key is given twice")
            for row in again
        ]
    return problems


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        frame = parquet.read_table(path).to_pandas(ignore_metadata=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError.at(path.name, f"is not a readable Parquet file: {str(error).splitlines()[0][:120]}") from None
    return frame[[name for name in frame if not name.startswith("__index_level_")]]


def _add_column(table: ReadTable, item: Field, values: pd.Series | None, missing: Iterable[str]) -> None:
    if values is None:
        table.frame[item.name] = pd.Series(index=table.frame.index, dtype=item.dtype)
        return
    if pd.api.types.is_string_dtype(values):
        known = values.where(~values.isin(list(missing)), None)
        table.frame[item.name] = _CONVERT[item.type](table, item, known)
    else:
        table.frame[item.name] = _retype(table, item, values)


def _fail(table: ReadTable, item: Field, texts: pd.Series, bad: pd.Series, rule: str) -> None:
    for row in texts.index[bad]:
        table.problems.append(Problem(int(row) + 2, item.name, str(texts[row]), rule))


def _number(table: ReadTable, item: Field, texts: pd.Series) -> pd.Series:
    if item.exact:
        return _decimal(table, item, texts)
    position, known = pd.factorize(texts)  # each different text is read once
    different = pd.to_numeric(pd.Series(known), errors="coerce").astype("float64").to_numpy()
    numbers = pd.Series(np.append(different, np.nan)[position], index=texts.index)
    bad = texts.notna() & ~np.isfinite(numbers)
    _fail(table, item, texts, bad, "must be a finite number with a decimal point")
    return numbers


def _decimal(table: ReadTable, item: Field, texts: pd.Series) -> pd.Series:
    """Exact numbers; a cell that repeats one of the same row, as costs often do, is not read again."""
    numbers, good = np.full(len(texts), None, dtype="object"), np.zeros(len(texts), "bool")
    for before, held, sound in table.exact:
        same = sound & ~good & (texts == before).fillna(value=False).to_numpy(dtype=bool)
        numbers[same] = held[same]
        good |= same
    rest = np.flatnonzero(~good)
    cells = texts.iloc[rest]
    sound = cells.str.fullmatch(_DECIMAL, na=False).to_numpy(dtype=bool)
    numbers[rest[sound]] = np.fromiter(map(Decimal, cells[sound].to_list()), "object", int(sound.sum()))
    good[rest[sound]] = True
    _fail(table, item, texts, texts.notna() & ~good, "must be a finite number with a decimal point")
    table.exact.append((texts, numbers, good))
    return pd.Series(numbers, index=texts.index)


def _integer(table: ReadTable, item: Field, texts: pd.Series) -> pd.Series:
    plain = texts.str.fullmatch(_WHOLE, na=False)
    # 12.0 and 1e3 are whole too; beyond 2^53 a float would not hold them
    floats = pd.to_numeric(texts.where(~plain), errors="coerce").astype("float64")
    rounded = np.isfinite(floats) & (floats == np.floor(floats)) & (floats.abs() < 2**53)
    _fail(table, item, texts, texts.notna() & ~plain & ~rounded, "must be a whole number of at most 18 digits")
    numbers = floats.where(rounded).astype("Int64").mask(plain, texts.where(plain).astype("Int64"))
    return _whole(item, numbers)


def _whole(item: Field, numbers: pd.Series) -> pd.Series:
    return numbers.astype(item.dtype if numbers.notna().all() else "Int64")


def _stored_integer(table: ReadTable, item: Field, values: pd.Series) -> pd.Series:
    """Whole numbers of a Parquet file; integers never pass through a float."""
    if pd.api.types.is_integer_dtype(values):
        return _whole(item, values.astype("Int64"))
    numbers = values.astype("float64")
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (numbers.abs() < 2**53)
    _fail(table, item, values.astype("str"), values.notna() & ~whole, "must be a whole number")
    return _whole(item, numbers.where(whole).astype("Int64"))


def _boolean(table: ReadTable, item: Field, texts: pd.Series) -> pd.Series:
    lower = texts.str.lower()
    _fail(table, item, texts, texts.notna() & ~lower.isin(_TRUE | _FALSE), "must be true or false")
    return lower.map(lambda text: text in _TRUE if text in _TRUE | _FALSE else None).astype("boolean")


def _string(_table: ReadTable, _item: Field, texts: pd.Series) -> pd.Series:
    return texts.astype("str")


def _datetime(table: ReadTable, item: Field, texts: pd.Series) -> pd.Series:
    position, known = pd.factorize(texts)  # a bill holds few times, each of them in many rows
    known = pd.Series([*known, None], dtype="str")  # the last one is for rows without a time
    zoned, naive = (known.str.fullmatch(form, na=False) for form in (_STAMP + _OFFSET, _STAMP))
    times = pd.to_datetime(known.where(zoned | naive), format="ISO8601", utc=True, errors="coerce")
    unreal = (zoned | naive) & times.isna()
    zoned, naive, unreal = (flags.take(position).set_axis(texts.index) for flags in (zoned, naive, unreal))
    given = texts.notna()
    _fail(table, item, texts, given & ~zoned & ~naive, "must be a UTC time such as 2026-10-01T00:00:00Z")
    if zoned.any() and naive.any():
        _fail(table, item, texts, naive, "has no zone while other rows have one; write all of them in UTC with Z")
    elif naive.any():
        table.warnings.append(Problem(None, item.name, "", f"{int(naive.sum())} times without a zone were read as UTC"))
    _fail(table, item, texts, unreal, "is not a date of the calendar")
    return times.dt.as_unit("us").take(position).set_axis(texts.index)


def _date(table: ReadTable, item: Field, texts: pd.Series) -> pd.Series:
    dates = pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce")
    _fail(table, item, texts, texts.notna() & dates.isna(), "must be a date such as 2026-10-01")
    return dates.dt.as_unit("us")


def _yearmonth(table: ReadTable, item: Field, texts: pd.Series) -> pd.Series:
    good = texts.str.fullmatch(_MONTH, na=False)
    _fail(table, item, texts, texts.notna() & ~good, "must be a month such as 2026-10")
    return texts.astype("str")


_CONVERT: dict[str, Callable[[ReadTable, Field, pd.Series], pd.Series]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "string": _string,
    "datetime": _datetime,
    "date": _date,
    "yearmonth": _yearmonth,
}


def _retype(table: ReadTable, item: Field, values: pd.Series) -> pd.Series:
    """Bring a typed Parquet column to the contract's dtype, if its kind fits."""
    kinds = pd.api.types
    if values.isna().all():
        return pd.Series(index=values.index, dtype=item.dtype)
    fits = {
        "number": kinds.is_numeric_dtype(values) or (item.exact and isinstance(values.dropna().iloc[0], Decimal)),
        "integer": kinds.is_numeric_dtype(values),
        "boolean": kinds.is_bool_dtype(values) or values.dropna().map(type).eq(bool).all(),
        "datetime": kinds.is_datetime64_any_dtype(values),
        "date": kinds.is_datetime64_any_dtype(values) or hasattr(values.dropna().iloc[0], "isoformat"),
    }.get(item.type, False)
    if not fits:
        table.problems.append(Problem(None, item.name, str(values.dtype), f"must be stored as {item.type}"))
        return pd.Series(index=values.index, dtype=item.dtype)
    if item.type == "datetime":
        return (values.dt.tz_localize("UTC") if values.dt.tz is None else values.dt.tz_convert("UTC")).dt.as_unit("us")
    if item.type == "date":
        return pd.to_datetime(values).dt.as_unit("us")
    if item.exact:
        return _decimal(table, item, values.map(str, na_action="ignore").astype("str"))
    if item.type == "integer":
        return _stored_integer(table, item, values)
    if item.type == "number":
        return _number(table, item, values)
    return values.astype(item.dtype)
