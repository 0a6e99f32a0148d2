"""One load point of a result file, in our units, and how numbers are taken out of somebody else's objects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from aifactory.errors import InputError, with_nearest
from aifactory.units import MS_PER_S

#: Milliseconds of one unit of time, as load tools spell it.
MS_OF = {
    "ns": 1e-6,
    "us": 1e-3,
    "ms": 1.0,
    "millisecond": 1.0,
    "milliseconds": 1.0,
    "s": MS_PER_S,
    "sec": MS_PER_S,
    "second": MS_PER_S,
    "seconds": MS_PER_S,
}
#: Said of arrivals that chance does not bunch.
EVEN = "requests came at even or nearly even intervals: what queues by chance in service is not in these latencies"
#: Texts that mean load without a rate: the next request goes out as soon as one may.
NO_RATE = ("inf", "infinity")
MOST_LETTERS = 80
#: Beginnings that a spreadsheet program takes for a formula, and space.
FORMULA = "=+-@' "
#: No figure of a test is larger: beyond lies a damaged cell or another unit.
LARGEST = 1e15


@dataclass
class Point:
    """What one load point of a result file says.

    `figures` holds columns of the table `benchmarks`; what is absent was not said. `requests_per_s` counts
    successful requests; `hints` are facts in the tool's words, `facts` ours that the file itself names.
    """

    place: str
    tool: str
    figures: dict[str, float] = field(default_factory=dict)
    requests_per_s: float = math.nan
    tool_version: str = ""
    load: str = ""
    tokens_source: str = ""
    tool_verdict: str = ""
    goodput_slo: str = ""
    warmup_excluded: bool | None = None
    started: pd.Timestamp | None = None
    hints: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def put(self, name: str, value: float) -> None:
        """Note a figure that is known; NaN is not."""
        if not math.isnan(value):
            self.figures[name] = value


class Held:
    """An object of a file with the place where it stands, so that every refusal names file and key."""

    def __init__(self, file: str, place: str, values: object) -> None:
        self.file, self.place = file, place
        if not isinstance(values, Mapping):
            raise InputError.at(file, "must be an object of names and values", column=place or "(whole file)")
        self.values = values

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def key(self, name: str) -> str:
        """Where a value stands."""
        return f"{self.place}.{name}" if self.place else name

    def inner(self, name: str) -> Held:
        """An object inside; absent ones are empty."""
        value = self.values.get(name)
        return Held(self.file, self.key(name), {} if value is None else value)

    def items(self, name: str) -> list[object]:
        """A list inside; absent ones are empty."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, list):
            raise InputError.at(self.file, "must be a list", column=self.key(name), value=_shown(value))
        return value or []

    def text(self, name: str) -> str:
        """A text or number as one printable line; '' where absent."""
        return clean(self.values.get(name))

    def number(self, *names: str, factor: float = 1.0) -> float:
        """The first of some names that is there, times `factor`; NaN where none is.

        Raises
        ------
        InputError
            If the value is no finite number of 0 or more.
        """
        for name in names:
            if self.values.get(name) is not None:
                return checked(self.file, self.key(name), self.values[name], factor)
        return math.nan

    def needed(self, *names: str, factor: float = 1.0) -> float:
        """Like `number`, where the point is nothing without it."""
        value = self.number(*names, factor=factor)
        if math.isnan(value):
            raise InputError.at(self.file, "is missing; without it this is no load point", column=self.key(names[0]))
        return value

    def count(self, *names: str) -> float:
        """A whole number of 0 or more; NaN where absent."""
        value = self.number(*names)
        if not math.isnan(value) and value != int(value):
            raise InputError.at(self.file, "must be a whole number", column=self.key(names[0]), value=value)
        return value


def checked(file: str, key: str, value: object, factor: float = 1.0) -> float:
    """A finite number of 0 or more in our unit, or a refusal that names it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError.at(file, "must be a number", column=key, value=_shown(value))
    if not 0 <= value * factor <= LARGEST:
        rule = f"must be a number from 0 to {LARGEST:g}" + (": this was not measured" if value != value else "")
        raise InputError.at(file, rule, column=key, value=str(value)[:MOST_LETTERS])
    return float(value) * factor


def numeric(file: str, key: str, text: str, factor: float = 1.0) -> float:
    """A number written as text, of a CSV cell or a summary; NaN for an empty one."""
    if not text.strip():
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise InputError.at(file, "must be a number", column=key, value=text[:MOST_LETTERS]) from None
    return checked(file, key, value, factor)


def ms_of(file: str, key: str, unit: str) -> float:
    """Milliseconds of a unit that the file names."""
    if unit not in MS_OF:
        rule = with_nearest("is no unit of time that is known", unit, MS_OF)
        raise InputError.at(file, rule, column=key, value=unit[:MOST_LETTERS])
    return MS_OF[unit]


def rate_offered(file: str, key: str, value: object) -> float:
    """Requests per second that a tool was asked to send; infinite where it sent as fast as it may, NaN unknown."""
    if isinstance(value, str):
        if value.strip().casefold() in NO_RATE:
            return math.inf
        return numeric(file, key, value)
    if value is None or value == math.inf:
        return math.nan if value is None else math.inf
    return checked(file, key, value)


def quantiles(values: Sequence[float] | np.ndarray, name: str) -> dict[str, float]:
    """Columns p50, p95, p99 of a latency from single requests, interpolated as load tools do; none without values.

    >>> quantiles([1.0, 2.0, 3.0], "ttft")
    {'p50_ttft_ms': 2.0, 'p95_ttft_ms': 2.9, 'p99_ttft_ms': 2.98}
    """
    held = np.asarray(values, dtype=float)
    if not held.size:
        return {}
    found = np.percentile(held, (50, 95, 99))
    return {f"p{q}_{name}_ms": round(float(value), 9) for q, value in zip((50, 95, 99), found, strict=True)}


def epoch(file: str, key: str, value: float) -> pd.Timestamp | None:
    """UTC time of seconds since 1970; None where unknown or 0."""
    if math.isnan(value) or value == 0:
        return None
    try:
        return pd.to_datetime(value, unit="s", utc=True).floor("us").as_unit("us")
    except (ValueError, OverflowError):
        raise InputError.at(file, "is no time in seconds since 1970", column=key, value=value) from None


def stamp(file: str, key: str, text: str, form: str = "ISO8601") -> pd.Timestamp | None:
    """UTC time of a text; one that names no zone is read as UTC. None where empty."""
    if not text:
        return None
    try:
        return pd.to_datetime(text, format=form, utc=True).as_unit("us")
    except (ValueError, OverflowError):
        raise InputError.at(file, "is no time that is known", column=key, value=text[:MOST_LETTERS]) from None


def clean(value: object) -> str:
    r"""A value as one short printable line that no spreadsheet program takes for a formula.

    >>> clean("=1+1\n"), clean(None)
    ('1+1', '')
    """
    if value is None or isinstance(value, (dict, list)):
        return ""
    line = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return line.lstrip(FORMULA).rstrip()[:MOST_LETTERS]


def _shown(value: object) -> str:
    return str(value)[:MOST_LETTERS] if isinstance(value, str) else type(value).__name__
