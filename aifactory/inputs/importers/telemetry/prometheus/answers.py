"""Answers of the Prometheus HTTP API as series of numbers, checked before anything is counted."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aifactory.errors import InputError

MAX_BYTES = 500_000_000
RESULT_TYPES = ("matrix", "vector")
#: Times of an answer are seconds since 1970; these are the years 2000 and 2100.
EARLIEST_S, LATEST_S = 946_684_800, 4_102_444_800
#: No counter or gauge of a fleet is larger; what is, is damaged.
LARGEST = 1e24
WORKLOAD_LABELS = ("namespace", "exported_namespace", "service", "job", "model_name", "model")


@dataclass(frozen=True)
class Series:
    """One series of an answer: labels, times (s since 1970) and values; NaN where the server says so."""

    labels: dict[str, str]
    times: np.ndarray
    values: np.ndarray

    @property
    def name(self) -> str:
        """The series as PromQL writes it, for messages."""
        return series_name(self.labels)


def series_name(labels: dict[str, str]) -> str:
    """Labels as PromQL writes them.

    >>> series_name({"__name__": "up", "job": "vllm"})
    'up{job="vllm"}'
    """
    inner = ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items()) if key != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}"[:200]


def read_answer(path: Path) -> list[Series]:
    """Series of one answer of `query` or `query_range` in a file, packed or not."""
    return parse_answer(path.name, read_json(path))


def parse_answer(where: str, held: object) -> list[Series]:
    """Series of one answer.

    Raises
    ------
    InputError
        With the server's own words if it refused the query; if there is no series; and, naming series
        and value, for values that are no numbers, times that do not rise or are no seconds, and a
        series that is given twice.
    """
    if not isinstance(held, dict) or "status" not in held:
        raise InputError.at(where, 'is no answer of Prometheus (no "status")')
    if held["status"] != "success":
        said = str(held.get("error", "no reason given"))[:300]
        hint = " Ask for a shorter range or a longer step and import the parts." if "11,000 points" in said else ""
        raise InputError.at(where, f"Prometheus answered with an error: {said}.{hint}")
    data = held.get("data")
    if not isinstance(data, dict) or data.get("resultType") not in RESULT_TYPES:
        kind = data.get("resultType") if isinstance(data, dict) else None
        raise InputError.at(where, "must hold series", column="resultType", value=kind, choices=RESULT_TYPES)
    if not isinstance(data.get("result"), list):
        raise InputError.at(where, "must be a list of series", column="result")
    series = [_series(where, number, item) for number, item in enumerate(data["result"], 1)]
    if not series:
        raise InputError.at(where, "holds no series: check the name of the metric and the time range of the query")
    _refuse_double(where, series)
    return series


def said_with(held: object) -> list[str]:
    """What a server warns of beside the series: that some are missing (Thanos, Mimir), that a limit was met."""
    told = held.get("warnings") if isinstance(held, dict) else None
    return [str(text)[:300] for text in told] if isinstance(told, list) else []


def _series(where: str, number: int, item: object) -> Series:
    labels = item.get("metric") if isinstance(item, dict) else None
    if not isinstance(labels, dict):
        raise InputError.at(where, "holds a series without labels", row=number)
    labels = {str(key): str(value) for key, value in labels.items()}
    name = series_name(labels)
    if "histograms" in item or "histogram" in item:
        raise InputError.at(where, f"series {name} is a native histogram, which is not read", row=number)
    points = item.get("values", [item.get("value")])
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise InputError.at(where, f"series {name} must hold pairs of time and value", row=number)
    times = _numbers(where, number, name, "time", [point[0] for point in points])
    values = _numbers(where, number, name, "value", [point[1] for point in points])
    _check_times(where, number, name, times)
    _check_values(where, number, name, values)
    return Series(labels, times, values)


def _numbers(where: str, number: int, name: str, column: str, held: Sequence[object]) -> np.ndarray:
    if all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in held):
        try:
            return np.array(held, dtype="str").astype("float64") if column == "value" else np.array(held, dtype=float)
        except (ValueError, OverflowError):
            pass
    wrong = next((item for item in held if not _is_number(item)), None)
    raise InputError.at(where, f"series {name}: must be a number", row=number, column=column, value=str(wrong)[:40])


def _is_number(item: object) -> bool:
    try:
        float(item)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(item, bool)


def _check_values(where: str, number: int, name: str, values: np.ndarray) -> None:
    """Counts, shares, times, power: none is negative, and none beyond `LARGEST`; Inf and NaN have a meaning."""
    wrong = (values < 0) | (np.isfinite(values) & (values >= LARGEST))
    if wrong.any():
        value = values[int(wrong.argmax())]
        rule = f"series {name}: must be 0 or more and below {LARGEST:g}"
        raise InputError.at(where, rule, row=number, column="value", value=f"{value:g}")


def _check_times(where: str, number: int, name: str, times: np.ndarray) -> None:
    wrong = ~((times >= EARLIEST_S) & (times < LATEST_S))
    if wrong.any():
        value = times[int(wrong.argmax())]
        rule = f"series {name}: must be seconds since 1970 (milliseconds?)"
        raise InputError.at(where, rule, row=number, column="time", value=f"{value:g}")
    falls = np.diff(times) <= 0
    if falls.any():
        value = times[int(falls.argmax()) + 1]
        rule = f"series {name}: times must rise, and none may come twice"
        raise InputError.at(where, rule, row=number, column="time", value=f"{value:.0f}")


def _refuse_double(where: str, series: list[Series]) -> None:
    seen: set[frozenset[tuple[str, str]]] = set()
    for number, one in enumerate(series, 1):
        key = frozenset(one.labels.items())
        if key in seen:
            raise InputError.at(where, f"series {one.name} is given twice", row=number)
        seen.add(key)


def read_json(path: Path) -> object:
    """JSON of a file, packed or not; damaged, deep and oversized files are refused."""
    try:
        if not path.is_file():
            raise InputError.at(path.name, "no such file")
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError.at(path.name[:80], f"cannot be read: {str(error)[:100]}") from None
    return parse_json(path.name, raw)


def parse_json(where: str, raw: bytes) -> object:
    """JSON in words: what is none, too deep or too large is refused."""
    if len(raw) > MAX_BYTES:
        raise InputError.at(where, f"is larger than {MAX_BYTES:,} bytes")
    if not raw.strip():
        raise InputError.at(where, "is empty, so it is not JSON")
    try:
        return json.loads(raw)
    except RecursionError:
        raise InputError.at(where, "is nested too deeply to be JSON of Prometheus") from None
    except ValueError as error:
        raise InputError.at(where, f"is not JSON: {str(error)[:100]}") from None
