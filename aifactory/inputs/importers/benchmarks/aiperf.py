"""AIPerf: summary in JSON or CSV, and one record per request in JSON lines. Units stand in the files.

Inter-token latency is per request, without the first token: a time per output token. The gaps between chunks are
`inter_chunk_latency`. Read in results of AIPerf 0.13.0.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable

import numpy as np

from aifactory.errors import InputError
from aifactory.inputs.importers.benchmarks.point import (
    EVEN,
    Held,
    Point,
    checked,
    ms_of,
    numeric,
    quantiles,
    stamp,
)
from aifactory.inputs.importers.benchmarks.point import epoch as utc
from aifactory.units import MS_PER_S

TOOL = "aiperf"
#: Our latency: their metric, and its title in the CSV.
LATENCIES = {
    "ttft": ("time_to_first_token", "Time to First Token"),
    "tpot": ("inter_token_latency", "Inter Token Latency"),
    "itl": ("inter_chunk_latency", "Inter Chunk Latency"),
    "e2e": ("request_latency", "Request Latency"),
}
WARM_UP = "warm-up, not measured"
_UNIT = re.compile(r"(.+?) \(([^()]*)\)")
NS_PER_S = 1e9


def is_summary(values: dict) -> bool:
    """Whether an object is the JSON summary."""
    told = [values.get(name) for name in ("request_throughput", "request_latency", "request_count")]
    named = "aiperf_version" in values or ("schema_version" in values and told[0] is not None)
    return named or all(isinstance(item, dict) and "unit" in item for item in told)  # early releases name no version


def is_record(values: dict) -> bool:
    """Whether an object is one record of a request."""
    return "metrics" in values and isinstance(values.get("metadata"), dict) and "benchmark_phase" in values["metadata"]


def read_summary(file: str, values: dict) -> Point:
    """The load point of `profile_export_aiperf.json`."""
    held = Held(file, "", values)
    point = Point("", TOOL, tool_version=held.text("aiperf_version"))
    for ours, (theirs, _) in LATENCIES.items():
        _latency(held.inner(theirs), ours, point)
    done = held.inner("request_count").needed("avg")
    failed = sum(Held(file, f"error_summary[{n}]", item).count("count") for n, item in enumerate(held.items("error_summary")))  # fmt: skip
    named = held.inner("error_request_count").number("avg")
    failed = named if not math.isnan(named) else failed
    length = held.inner("benchmark_duration")
    point.figures |= {
        "requests": done + failed,
        "errors": failed,
        "duration_s": length.needed("avg") * ms_of(file, length.key("unit"), length.text("unit")) / MS_PER_S,
    }
    point.requests_per_s = held.inner("request_throughput").needed("avg")
    point.put("input_tokens_mean", held.inner("input_sequence_length").number("avg"))
    point.put("output_tokens_mean", held.inner("output_sequence_length").number("avg"))
    point.put("output_tokens_per_s", held.inner("output_token_throughput").number("avg"))
    point.put("goodput_requests_per_s", held.inner("goodput").number("avg"))
    point.started = stamp(file, "start_time", held.text("start_time"))
    if held.values.get("was_cancelled") is True or held.values.get("is_complete") is False:
        point.tool_verdict = "cancelled"
    _configuration(held.inner("input_config"), point)
    return point


def _latency(metric: Held, name: str, point: Point) -> None:
    if not metric.values:
        return
    factor = ms_of(metric.file, metric.key("unit"), metric.text("unit"))
    for quantile in ("p50", "p95", "p99"):
        point.put(f"{quantile}_{name}_ms", metric.number(quantile, factor=factor))
    if name == "e2e":
        point.put("mean_e2e_ms", metric.number("avg", factor=factor))


def _configuration(held: Held, point: Point) -> None:
    endpoint = held.inner("endpoint")
    if held.values:
        server = endpoint.values.get("use_server_token_count") is True
        point.tokens_source = "server_usage" if server else "client_tokenizer"
    phases = [Held(held.file, f"input_config.phases[{n}]", item) for n, item in enumerate(held.items("phases"))]
    measured = [phase for phase in phases if phase.text("kind") != "warmup"]
    if phases:
        point.warmup_excluded = len(measured) < len(phases)
    plain = held.inner("loadgen")
    if len(measured) == 1:
        _load(measured[0], point)
    elif plain.values and not phases:
        point.warmup_excluded = plain.number("warmup_request_count") > 0
        _load(plain, point)
    models = held.inner("models").items("items")
    if models:
        point.hints["model_id"] = Held(held.file, "input_config.models.items[0]", models[0]).text("name")
    limits = held.inner("slos")
    point.goodput_slo = ", ".join(f"{name} {limits.number(name):g}" for name in sorted(limits.values) if name.isidentifier())  # fmt: skip


def _load(phase: Held, point: Point) -> None:
    rate = phase.number("rate", "request_rate")
    if "schedule" in phase.text("type"):
        point.load = "trace"
    elif not math.isnan(rate):
        point.load = "rate"
        point.put("offered_requests_per_s", rate)
        if "constant" in (phase.text("type"), phase.text("request_rate_mode"), phase.text("arrival_pattern")):
            point.assumed.append(EVEN)
    elif "concurrency" in phase:
        point.load = "fixed_concurrency"
        point.put("concurrency", phase.number("concurrency"))


def read_csv(file: str, text: str) -> Point:
    """The load point of `profile_export_aiperf.csv`: quantiles above, single figures below an empty line."""
    point, single = Point("", TOOL), {}
    columns: list[str] = []
    for row in csv.reader(io.StringIO(text)):
        if row[:1] == ["Metric"]:
            columns = row
        elif row and len(row) == len(columns):
            cells = dict(zip(columns, row, strict=True))
            found = _UNIT.fullmatch(row[0])
            title, unit = found.groups() if found else (row[0], "")
            single[title] = single[row[0]] = (cells.get("Value") or cells.get("avg") or "", unit, cells)
    for ours, (_, title) in LATENCIES.items():
        if title in single:
            _, unit, cells = single[title]
            factor = ms_of(file, title, unit)
            for quantile in ("p50", "p95", "p99"):
                point.put(f"{quantile}_{ours}_ms", numeric(file, title, cells.get(quantile, ""), factor))
            if ours == "e2e":
                point.put("mean_e2e_ms", numeric(file, title, cells.get("avg", ""), factor))

    def value(title: str) -> float:
        return numeric(file, title, single[title][0]) if title in single else math.nan

    total = value("Completed Requests (Success + Error)")
    done, length = value("Request Count"), value("Benchmark Duration")
    if math.isnan(done) or math.isnan(length):
        raise InputError.at(file, "is missing; without it this is no load point", column="Request Count" if math.isnan(done) else "Benchmark Duration")  # fmt: skip
    failed = 0.0 if math.isnan(total) else total - done
    seconds = ms_of(file, "Benchmark Duration", single["Benchmark Duration"][1]) / MS_PER_S
    point.figures |= {"requests": done + failed, "errors": failed, "duration_s": length * seconds}
    point.requests_per_s = value("Request Throughput")
    for ours, title in (("input_tokens_mean", "Input Sequence Length"), ("output_tokens_mean", "Output Sequence Length"),
                        ("output_tokens_per_s", "Output Token Throughput"), ("goodput_requests_per_s", "Goodput")):  # fmt: skip
        point.put(ours, value(title))
    point.assumed.append("the CSV of AIPerf names no load, date or count of tokens; the JSON beside it does")
    return point


def read_records(file: str, records: Iterable[tuple[int, dict]]) -> Point:
    """One load point from single requests; warm-up is left out, failed and cancelled ones count as failed."""
    point = Point("", TOOL)
    times: dict[str, list[float]] = {name: [] for name in LATENCIES}
    begins, ends, lengths, answers, failed, cancelled = [], [], [], [], 0, 0
    for line, values in records:
        held = Held(file, f"line {line}", values)
        about, metrics = held.inner("metadata"), held.inner("metrics")
        if about.text("benchmark_phase") == "warmup":
            point.left_out[WARM_UP] = point.left_out.get(WARM_UP, 0) + 1
            continue
        if about.values.get("was_cancelled") is True:
            cancelled += 1
        begins.append(about.needed("request_start_ns", factor=1 / NS_PER_S))
        ends.append(about.needed("request_end_ns", factor=1 / NS_PER_S))
        if held.values.get("error") or about.values.get("was_cancelled") is True:
            failed += 1
            continue
        for ours, (theirs, _) in LATENCIES.items():
            times[ours] += _record_times(metrics.inner(theirs))
        lengths.append(metrics.inner("input_sequence_length").number("value"))
        answers.append(metrics.inner("output_sequence_length").number("value"))
    if not times["e2e"]:
        raise InputError.at(file, "holds no measured request", column="metrics.request_latency")
    duration = max(ends) - min(begins)
    if duration <= 0:
        raise InputError.at(file, "all requests end before they begin", column="metadata.request_end_ns")
    done = len(times["e2e"])
    for ours, values in times.items():
        point.figures |= quantiles(values, ours)
    point.figures |= {"requests": float(done + failed), "errors": float(failed), "duration_s": duration}
    point.put("mean_e2e_ms", float(np.mean(times["e2e"])))
    point.requests_per_s = done / duration
    point.put("input_tokens_mean", float(np.mean(lengths)))
    point.put("output_tokens_mean", float(np.mean(answers)))
    point.put("output_tokens_per_s", float(np.sum(answers)) / duration)
    point.warmup_excluded = WARM_UP in point.left_out or None
    point.started = utc(file, "metadata.request_start_ns", min(begins))
    if cancelled:
        point.assumed.append(f"{cancelled} requests were cancelled by the tool: they count as failed")
    point.assumed.append("records of AIPerf name no load: say it (concurrency, or offered_requests_per_s)")
    return point


def _record_times(metric: Held) -> list[float]:
    """Milliseconds of one record: one value, or a list of gaps."""
    if not metric.values:
        return []
    factor = ms_of(metric.file, metric.key("unit"), metric.text("unit"))
    value = metric.values.get("value")
    every = value if isinstance(value, list) else [value]
    return [checked(metric.file, metric.key("value"), item, factor) for item in every]
