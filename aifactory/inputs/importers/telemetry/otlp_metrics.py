"""OpenTelemetry GenAI metrics as OTLP/JSON lines: counts by window, histograms as intervals.

A cumulative data point says what was counted since its start, a delta point what was counted in its own
span; both become counters that went up from zero, and take the way of a Prometheus server.
Source: OpenTelemetry semantic conventions for GenAI metrics; OTLP/JSON of the collector's file exporter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aifactory.errors import InputError
from aifactory.inputs.importers.json_text import json_lines, told_in_words
from aifactory.inputs.importers.telemetry.otlp import LARGEST, attribute_values
from aifactory.inputs.importers.telemetry.prometheus.aliases import metric_table
from aifactory.inputs.importers.telemetry.prometheus.answers import Series
from aifactory.inputs.importers.telemetry.prometheus.live import Samples

FORMAT = "OpenTelemetry GenAI metrics (OTLP/JSON)"
TOKENS, TYPE = "gen_ai.client.token.usage", "gen_ai.token.type"
#: Histograms whose observations are calls.
CALLS = ("gen_ai.client.operation.duration", "gen_ai.server.request.duration")
EXPONENTIAL = " with buckets of its own: exponential ones are not read, let the exporter write explicit buckets"
DELTA = (1, "1", "AGGREGATION_TEMPORALITY_DELTA")
NS = 1e9
Labels = tuple[tuple[str, str], ...]


def read_otlp_metrics(path: Path, window_minutes: int) -> tuple[Samples, int]:
    """Samples of the GenAI histograms of a file, and how many data points it holds."""
    streams: dict[tuple[str, Labels], list[tuple[float, float, dict]]] = defaultdict(list)
    delta: set[tuple[str, Labels]] = set()
    points, again, seen, without = 0, 0, set(), [0]
    for line, resource, metric, point, is_delta in _points(path, without):
        points += 1
        with told_in_words(path.name, line, f"a data point of {metric} cannot be read"):
            labels = {
                key: str(value) for key, value in {**resource, **attribute_values(point)}.items() if value is not None
            }
            key = (metric, tuple(sorted(labels.items())))
            one = _point(path, line, metric, point)
            told = (key, *one[:2], one[2]["count"], one[2]["sum"])
            if is_delta and told in seen:
                again += 1
                continue
            seen.add(told)
            streams[key].append(one)
        if is_delta:
            delta.add(key)
    if not streams:
        rule = f"holds no histogram of GenAI ({TOKENS}, {CALLS[0]}, ...)"
        raise InputError.at(path.name, rule + (EXPONENTIAL if without[0] else ""))
    series: dict[str, list[Series]] = defaultdict(list)
    for (metric, labels), held in streams.items():
        for name, one in _series(
            path, metric, dict(labels), sorted(held, key=lambda item: item[1]), delta=(metric, labels) in delta
        ):
            series[name].append(one)
    found = _samples({name: held for name, held in series.items() if name in metric_table().index}, window_minutes)
    found.warnings += [("data points that were exported twice count once", again)] if again else []
    found.warnings += [("data points of exponential histograms are not read", without[0])] if without[0] else []
    return found, points


def _points(path: Path, without: list[int]) -> Iterator[tuple[int, dict, str, dict, bool]]:
    """Line, resource, metric, data point and whether it is a delta; `without` counts points of exponential histograms."""
    for number, held in json_lines(path):
        try:
            for group in held.get("resourceMetrics", []):
                resource = attribute_values(group.get("resource", {}))
                for scope in group.get("scopeMetrics", []):
                    for metric in scope.get("metrics", []):
                        histogram = metric.get("histogram") or {}
                        without[0] += len((metric.get("exponentialHistogram") or {}).get("dataPoints", []))
                        for point in histogram.get("dataPoints", []):
                            if str(metric.get("name", "")).startswith("gen_ai."):
                                yield (
                                    number,
                                    resource,
                                    metric["name"],
                                    point,
                                    histogram.get("aggregationTemporality") in DELTA,
                                )
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError.at(path.name, f"is not OTLP/JSON: {str(error)[:100]}", row=number) from None


def _point(path: Path, line: int, metric: str, point: dict) -> tuple[float, float, dict]:
    """Start and time (s) and the counts of a data point."""
    start, time = int(point["startTimeUnixNano"]) / NS, int(point["timeUnixNano"]) / NS
    counts = np.array([int(item) for item in point.get("bucketCounts", [])], dtype=float)
    bounds = [float(item) for item in point.get("explicitBounds", [])]
    held = {
        "count": float(int(point["count"])),
        "sum": float(point.get("sum", 0.0)),
        "counts": counts,
        "bounds": bounds,
    }
    numbers = np.array([start * NS, time * NS, held["count"], held["sum"], *counts, *bounds])
    if not (np.abs(numbers) < LARGEST).all():
        raise InputError.at(path.name, f"a data point of {metric} holds a number that is not below {LARGEST}", row=line)
    level = len(counts) == len(bounds) + 1 and bounds == sorted(bounds) and counts.sum() == held["count"]
    if len(counts) and not level or (counts < 0).any() or held["count"] < 0 or time < start:
        rule = f"a data point of {metric}: buckets must be one more than bounds, add up to the count, and end after they start"
        raise InputError.at(path.name, rule, row=line)
    return start, time, held


def _series(
    path: Path, metric: str, labels: dict[str, str], points: list[tuple[float, float, dict]], *, delta: bool
) -> Iterator[tuple[str, Series]]:
    """Counters of one stream: calls, tokens by type, buckets; each begins with zero at its start."""
    bounds = points[-1][2]["bounds"]
    if any(item["bounds"] != bounds for _, _, item in points):
        raise InputError.at(
            path.name, f"{metric} changes its buckets; import the parts apart", value=labels.get("service.name")
        )
    times, counts, sums, buckets = [], [], [], []
    zero = np.zeros(len(bounds) + 1)
    begun = None
    for start, time, held in points:
        fresh = begun is None or (start > times[-1] if delta else start != begun)
        if fresh and (begun is None or not delta):
            times.append(start if not times or start > times[-1] else times[-1] + 1e-3)
            counts, sums, buckets = [*counts, 0.0], [*sums, 0.0], [*buckets, zero]
        begun = start
        before = (counts[-1], sums[-1], buckets[-1]) if delta else (0.0, 0.0, zero)
        times.append(max(time, times[-1] + 1e-3))
        counts.append(before[0] + held["count"])
        sums.append(before[1] + held["sum"])
        buckets.append(before[2] + (held["counts"] if len(held["counts"]) else zero))
    at = np.array(times)
    labels = _plain(labels)
    if metric == TOKENS:
        yield f"{metric}:sum", Series(labels, at, np.array(sums))
    if metric in CALLS:
        yield f"{metric}:count", Series(labels, at, np.array(counts))
    if metric != TOKENS:
        cumulative = np.cumsum(np.array(buckets), axis=1)
        for number, bound in enumerate([*bounds, np.inf]):
            le = "+Inf" if np.isinf(bound) else repr(bound)
            yield metric, Series(labels | {"le": le}, at, cumulative[:, number])


def _plain(labels: dict[str, str]) -> dict[str, str]:
    """Labels as a server would name them; a failed call is told by its error."""
    plain = {key.replace(".", "_"): value for key, value in labels.items()}
    return plain | ({"finished_reason": "error"} if "error_type" in plain else {})


def _samples(series: dict[str, list[Series]], window_minutes: int) -> Samples:
    every = [one for held in series.values() for one in held]
    seconds = window_minutes * 60
    start = np.floor(min(one.times[0] for one in every) / seconds) * seconds
    end = np.ceil((max(one.times[-1] for one in every) + 1e-6) / seconds) * seconds
    apart = {name: np.concatenate([np.diff(one.times) for one in held]) for name, held in series.items()}
    # what lies between two points is one interval, however long
    return Samples(start, end, series, {name: float(max(gaps.max(), 1e-3)) for name, gaps in apart.items()})
