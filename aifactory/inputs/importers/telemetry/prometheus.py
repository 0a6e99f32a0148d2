"""Answers of the Prometheus HTTP API: counters as windows, histograms as the interval that holds the truth.

A histogram of buckets does not know a quantile, only the bucket it lies in; that interval is reported,
never a point within it.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError

MAX_BYTES = 500_000_000
INDEX = "index.json"
#: Reasons for which a request ended without being served.
ABORTED = ("abort", "aborted", "error")
WORKLOAD_LABELS = ("namespace", "exported_namespace", "service", "job", "model_name")
_METRIC = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*?)(_bucket)?\s*(?:\{[^}]*\})?\[(\d+)([smhd])\]")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Series:
    """One series of an answer: labels, times (s since 1970) and values; NaN where the server says so."""

    labels: dict[str, str]
    times: np.ndarray
    values: np.ndarray


def read_answer(path: Path) -> list[Series]:
    """Series of one answer of `query` or `query_range`.

    Raises
    ------
    InputError
        With the server's own words if it refused the query, and if there is no series.
    """
    held = _json(path)
    if not isinstance(held, dict) or "status" not in held:
        raise InputError.at(path.name, 'is no answer of Prometheus (no "status")')
    if held["status"] != "success":
        said = str(held.get("error", "no reason given"))[:300]
        hint = " Ask for a shorter range or a longer step and import the parts." if "11,000 points" in said else ""
        raise InputError.at(path.name, f"Prometheus answered with an error: {said}.{hint}")
    try:
        series = [_series(item) for item in held["data"]["result"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError.at(path.name, f"holds a series that cannot be read: {error}") from None
    if not series:
        raise InputError.at(path.name, "holds no series: check the name of the metric and the time range of the query")
    return series


def _series(item: dict) -> Series:
    points = item["values"] if "values" in item else [item["value"]]
    times, values = zip(*((float(time), float(value)) for time, value in points), strict=True)
    return Series({str(key): str(value) for key, value in item["metric"].items()}, np.array(times), np.array(values))


def _json(path: Path) -> object:
    if not path.is_file():
        raise InputError.at(path.name, "no such file")
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise InputError.at(path.name, f"unpacks to more than {MAX_BYTES:,} bytes")
        return json.loads(raw)
    except RecursionError:
        raise InputError.at(path.name, "is nested too deeply") from None
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError.at(path.name, f"is not JSON: {str(error)[:100]}") from None


def counter_increase(values: np.ndarray) -> np.ndarray:
    """Increase between neighbouring samples of a counter; after a reset it has counted from zero.

    Shape (n - 1,). A scrape gap loses nothing, since the next sample holds what was counted meanwhile;
    what was counted between the last sample and a reset is lost, as in every counter.

    >>> counter_increase(np.array([10.0, 15.0, 2.0, 2.0])).tolist()
    [5.0, 2.0, 0.0]
    """
    values = np.asarray(values, dtype=float)
    step = np.diff(values)
    return np.where(step < 0, values[1:], step)


def bucket_interval(bounds: np.ndarray, cumulative: np.ndarray, q: float) -> tuple[float, float]:
    """Interval [low, high] of the bucket that holds rank q n of a cumulative histogram; NaN if empty.

    Parameters
    ----------
    bounds : upper bounds ("le") in rising order, the last one infinite.
    cumulative : observations at or below each bound.

    >>> bucket_interval(np.array([0.1, 0.5, np.inf]), np.array([50.0, 90.0, 100.0]), 0.9)
    (0.1, 0.5)
    """
    total = cumulative[-1] if len(cumulative) else 0.0
    if not total > 0:
        return float("nan"), float("nan")
    at = int(np.searchsorted(cumulative, q * total * (1 - 1e-12)))
    return (float(bounds[at - 1]) if at else 0.0), float(bounds[at])


@cache
def metric_table() -> pd.DataFrame:
    """Metric names of the serving engines with unit, factor and canonical name."""
    return pd.read_csv(Path(__file__).with_name("metrics.csv")).set_index("metric")


@dataclass(frozen=True)
class Month:
    """What a folder of answers says: hourly windows by workload, bucket histograms, remarks."""

    windows: pd.DataFrame  # window_start_utc, use_case_id, requests, errors, input_tokens, output_tokens
    window_minutes: int
    totals: pd.DataFrame  # by use_case_id, where the answers hold a query over the whole span
    histograms: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]  # (workload, canonical) -> bounds, cumulative
    regions: dict[str, str]
    files: int
    refused: dict[str, str]


def read_answers(folder: Path) -> Month:
    """All answers of a folder whose `index.json` names file and query of each."""
    index = _json(folder / INDEX) if (folder / INDEX).is_file() else None
    if not isinstance(index, list) or not all(
        isinstance(item, dict) and {"file", "query"} <= set(item) for item in index
    ):
        raise InputError.at(f"{folder.name}/{INDEX}", "must list the answers with file and query")
    counted, whole, histograms, regions, refused = [], [], {}, {}, {}
    for item in index:
        path = folder / Path(str(item["file"])).name
        try:
            series = read_answer(path)
        except InputError as error:
            refused[path.name] = str(error)
            continue
        for one in series:
            if "region" in one.labels:
                regions[_workload(one)] = one.labels["region"]
        found = _METRIC.search(str(item["query"]))
        if found is None or "increase(" not in item["query"] or "histogram_quantile" in item["query"]:
            continue
        name, bucket, seconds = found.group(1), found.group(2), int(found.group(3)) * _SECONDS[found.group(4)]
        if name not in metric_table().index:
            continue
        alias = metric_table().loc[name]
        if bucket:
            _add_buckets(histograms, series, alias)
        elif item.get("endpoint") == "query":
            whole += [(_workload(one), alias["canonical"], float(one.values[-1])) for one in series]
        elif item.get("step_s") == seconds:
            counted += [_window_rows(one, alias["canonical"], seconds) for one in series]
    if not counted:
        raise InputError.at(
            folder.name, "holds no query_range answer of increase() over its own step for a known metric"
        )
    return _month(pd.concat(counted, ignore_index=True), whole, histograms, regions, len(index), refused)


def _workload(series: Series) -> str:
    return next((series.labels[name] for name in WORKLOAD_LABELS if name in series.labels), "(none)")


def _window_rows(series: Series, canonical: str, seconds: int) -> pd.DataFrame:
    """Increase of each step; a point at time t counts what happened in the step before it."""
    aborted = series.labels.get("finished_reason") in ABORTED
    known = np.isfinite(series.values)
    return pd.DataFrame(
        {
            "window_start_utc": pd.to_datetime(series.times[known] - seconds, unit="s", utc=True),
            "use_case_id": _workload(series),
            "metric": "errors" if canonical == "requests" and aborted else canonical,
            "value": series.values[known],
            "seconds": seconds,
        }
    )


def _add_buckets(histograms: dict, series: list[Series], alias: pd.Series) -> None:
    """Sum the buckets of all days; the counts of a workload rise with the bound."""
    held: dict[str, dict[float, float]] = {}
    for one in series:
        bound = float(one.labels["le"].replace("+Inf", "inf"))
        mine = held.setdefault(_workload(one), {})
        mine[bound] = mine.get(bound, 0.0) + float(np.nansum(one.values))
    for workload, counts in held.items():
        bounds = np.array(sorted(counts))
        cumulative = np.maximum.accumulate(np.array([counts[bound] for bound in bounds]))
        histograms[workload, alias["canonical"]] = (bounds * float(alias["factor"]), cumulative)


def _month(
    counted: pd.DataFrame, whole: list[tuple[str, str, float]], histograms: dict, regions: dict[str, str], files: int,
    refused: dict[str, str],
) -> Month:  # fmt: skip
    keys = ["window_start_utc", "use_case_id"]
    seconds = int(counted["seconds"].min())
    wide = counted[counted["seconds"] == seconds].pivot_table(
        index=keys, columns="metric", values="value", aggfunc="sum"
    )
    wide = wide.reindex(columns=["requests", "errors", "input_tokens", "output_tokens"])
    wide["requests"] = wide["requests"].add(wide["errors"], fill_value=0.0)
    totals = pd.DataFrame(whole, columns=["use_case_id", "metric", "value"])
    totals = totals.pivot_table(index="use_case_id", columns="metric", values="value", aggfunc="sum")
    return Month(wide.reset_index(), seconds // 60, totals, histograms, regions, files, refused)
