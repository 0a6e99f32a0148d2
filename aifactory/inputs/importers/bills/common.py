"""What every converter of a bill works with: text in, text in FOCUS columns out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation, localcontext
from math import prod

import numpy as np
import pandas as pd

from aifactory.inputs.kinds import row_kinds
from aifactory.inputs.money import EXACT

NOT_GIVEN = "(not given)"
#: A time as BigQuery writes it.
GOOGLE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?) ?(?:UTC|Z|\+00:00)?")
#: A day with slashes; spreadsheet programs leave zeros away and write midnight behind it.
US_DATE = re.compile(r"(\d\d?)/(\d\d?)/(\d{4})(?: (?:00?:00(?::00)?|12:00:00 AM))?")
#: A year of this or the last century, a month and a day without signs between: no other order fits.
COMPACT_DATE = re.compile(r"((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


@dataclass
class Converted:
    """Text in FOCUS columns, the source column of each, and what the analyst should know."""

    text: pd.DataFrame
    source_of: dict[str, str] = field(default_factory=dict)
    warnings: list[tuple[str, int]] = field(default_factory=list)
    variant: str = ""  # which of several exports of the same charges it is


@dataclass(frozen=True)
class Format:
    """One kind of bill: how its header is known, and how it becomes FOCUS."""

    name: str
    marks: frozenset[str]
    convert: Callable[[pd.DataFrame], Converted]


def pick(text: pd.DataFrame, columns: dict[str, tuple[str, ...]]) -> Converted:
    """Columns by target name: the first source column that is there."""
    found = {target: next((name for name in names if name in text), "") for target, names in columns.items()}
    found = {target: name for target, name in found.items() if name}
    return Converted(pd.DataFrame({target: text[name] for target, name in found.items()}, index=text.index), found)


def renamed(text: pd.DataFrame, name: Callable[[str], str], used: Iterable[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Columns under their plain names, and the name of each in the file; of names not used the first stays.

    Raises
    ------
    ValueError
        If two columns mean the same thing that is used.
    """
    source: dict[str, str] = {}
    for theirs in text:
        first = source.setdefault(name(theirs), theirs)
        if first != theirs and name(theirs) in used:
            raise ValueError(f"row 1: columns {first!r} and {theirs!r} are both {name(theirs)}; remove one of them")
    plain = text[list(source.values())]
    return plain.set_axis(list(source), axis=1), source


def column(text: pd.DataFrame, *names: str) -> pd.Series:
    """First of the named columns; empty text where none is there."""
    name = next((item for item in names if item in text), None)
    return text[name].fillna("") if name else pd.Series("", index=text.index, dtype="str")


def as_text(stored: pd.DataFrame) -> pd.DataFrame:
    """Columns of a Parquet file as the text that a CSV would hold: exact decimals, UTC times, JSON for maps."""
    other = [name for name in stored if not pd.api.types.is_string_dtype(stored[name])]
    return stored.assign(**{name: stored[name].map(_text).astype("str") for name in other}) if other else stored


def flat_structs(stored: pd.DataFrame) -> pd.DataFrame:
    """Nested objects of a Parquet file (BigQuery) as columns with dotted names, as deep as they go."""
    if {str(kind) for kind in stored.dtypes} <= {"str"}:
        return stored
    parts = []
    for name in stored:
        known = stored[name].dropna() if stored[name].dtype == object else stored[name].iloc[:0]
        if len(known) and isinstance(known.iloc[0], dict):
            inner = pd.DataFrame([value or {} for value in stored[name]], index=stored.index)
            parts.append(flat_structs(inner.rename(columns=lambda key, head=name: f"{head}.{key}")))
        else:
            parts.append(stored[[name]])
    return pd.concat(parts, axis=1) if parts else stored


def _text(value: object) -> str:
    if isinstance(value, (list, tuple, np.ndarray)):  # a stored map is a list of pairs
        items = list(value)
        return json.dumps(
            dict(items) if items and all(isinstance(item, tuple) for item in items) else items, default=str
        )
    if isinstance(value, dict):
        return json.dumps(value, default=str)
    if pd.isna(value):
        return ""
    return value.isoformat() if isinstance(value, (pd.Timestamp, date)) else str(value)


def products(*factors: pd.Series) -> pd.Series:
    """Exact products of numbers given as text, row by row, as text; empty where one of them is no number.

    >>> products(pd.Series(["0.1", "2"]), pd.Series(["3", ""])).tolist()
    ['0.3', '']
    """
    columns = pd.DataFrame(dict(enumerate(factors)))
    kind, first = row_kinds(columns)
    found = [_product(row) for row in columns.iloc[first].itertuples(index=False)]
    return pd.Series(found, dtype="str").take(kind).set_axis(columns.index)


def _product(numbers: Iterable[str]) -> str:
    try:
        with localcontext(EXACT):
            return f"{prod(map(Decimal, numbers), start=Decimal(1)):f}"
    except InvalidOperation:
        return ""


def amounts(text: pd.Series) -> pd.Series:
    """Amounts for comparisons only; what is reported stays text."""
    return pd.to_numeric(text.replace("", "0"), errors="coerce").fillna(0.0)


def as_tags(parts: dict[str, pd.Series]) -> pd.Series:
    """JSON object of the tags that are filled, row by row; empty where none is."""
    frame = pd.DataFrame(parts)
    if frame.empty or not len(frame.columns):
        return pd.Series("", index=frame.index, dtype="str")
    rows = ({key: value for key, value in row.items() if value} for row in frame.fillna("").to_dict("records"))
    return pd.Series([json.dumps(row) if row else "" for row in rows], index=frame.index, dtype="str")


def instance_details(texts: pd.Series) -> pd.Series:
    """SkuPriceDetails from a JSON object in which Microsoft tells the instance type of a machine as ServiceType."""
    known = {text: as_object(text) for text in texts.fillna("").unique()}
    named = {text: held.get("InstanceType", held.get("ServiceType", "")) for text, held in known.items()}
    return as_tags({"InstanceType": texts.fillna("").map({text: str(name or "") for text, name in named.items()})})


def as_object(text: str) -> dict:
    """JSON object of a text; empty where it is none."""
    try:
        held = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def plain_dates(
    texts: pd.Series, name: str, beside: pd.Series | None = None
) -> tuple[pd.Series, list[tuple[str, int]]]:
    """MM/DD/YYYY, the form of these exports, YYYY-MM-DD and YYYYMMDD as the start of a day in UTC.

    Spreadsheet programs of many countries save DD/MM/YYYY: the dates of a column with a first number beyond 12 are
    such. Where no number is beyond 12, the months must be one, as of a bill, for MM/DD/YYYY to be sure.

    Parameters
    ----------
    texts, name : dates of a column, and what the file calls it.
    beside : dates of another column, written the same way.

    Raises
    ------
    ValueError
        If the dates can be read both ways, or some only one way and some only the other.
    """
    slashed = texts.str.fullmatch(US_DATE.pattern)
    order, notes = ("", []) if not slashed.any() else _order_of_dates(texts[slashed], name, beside)
    return texts.map({text: _day(text, order) for text in texts.unique()}), notes


def _day(text: str, order: str) -> str:
    """Start of a day in UTC of a date as these exports write it; other text stays.

    >>> _day("10/5/2026", "MM/DD/YYYY"), _day("20261005", ""), _day("2026-10-05T07:00:00Z", "")
    ('2026-10-05T00:00:00Z', '2026-10-05T00:00:00Z', '2026-10-05T07:00:00Z')
    """
    if found := US_DATE.fullmatch(text):
        month, day, year = found[2 if order == "DD/MM/YYYY" else 1], found[1 if order == "DD/MM/YYYY" else 2], found[3]
        return f"{year}-{month:0>2}-{day:0>2}T00:00:00Z"
    if found := COMPACT_DATE.fullmatch(text):
        return "-".join(found.groups()) + "T00:00:00Z"
    return text + "T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text


def _order_of_dates(texts: pd.Series, name: str, beside: pd.Series | None) -> tuple[str, list[tuple[str, int]]]:
    """How dates with slashes are written, and a remark that says so."""
    read, texts = (
        len(texts),
        texts if beside is None else pd.concat([texts, beside[beside.str.fullmatch(US_DATE.pattern)]]),
    )
    first, second, year = (texts.str.extract(US_DATE)[part].astype("int64") for part in range(3))
    late = {"DD/MM/YYYY": first > 12, "MM/DD/YYYY": second > 12}
    shown = [order for order, flags in late.items() if flags.any()]
    months = len((year * 100 + first).unique())
    if len(shown) > 1 or (not shown and months > 1):
        flags = late[shown[1]] if shown else first != first.iloc[0]
        row, value = int(texts.index[flags][0]) + 2, texts[flags].iloc[0]
        rule = "is written another way than the dates above it" if shown else "may be MM/DD/YYYY or DD/MM/YYYY"
        raise ValueError(f"row {row}, column {name!r}: value {value!r}: {rule}; write all of them as YYYY-MM-DD")
    order = shown[0] if shown else "MM/DD/YYYY"
    return order, [(f"dates were read as {order}", read)]


def entries(text: str) -> list[dict]:
    """Objects of a JSON list, numbers as text; none where the text is no list."""
    try:
        held = json.loads(text, parse_float=str, parse_int=str) if text else []
    except (ValueError, RecursionError):
        return []
    return [item for item in held if isinstance(item, dict)] if isinstance(held, list) else []


def key_values(text: str) -> str:
    """JSON object of a list of objects with `key` and `value`; an object stays, other text becomes empty."""
    pairs = {str(item["key"]): str(item.get("value", "")) for item in entries(text) if "key" in item}
    return json.dumps(pairs) if pairs else (text if text.startswith("{") else "")
