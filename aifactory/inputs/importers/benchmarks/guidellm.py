"""GuideLLM: every benchmark of a report in JSON, or every row of its CSV with three header rows.

Seconds and milliseconds are mixed: `request_latency` and delays in seconds, `*_ms` in milliseconds. Its time per output
token holds the first token; without it the time is called inter-token latency, the mean of each request. Read in
results of GuideLLM 0.8.1.
"""

from __future__ import annotations

import csv
import io
import json
import math

from aifactory.errors import InputError
from aifactory.inputs.importers.benchmarks.point import EVEN, Held, Point, checked, epoch, numeric, stamp
from aifactory.units import MS_PER_S

TOOL = "guidellm"
#: Our latency: their metric in JSON, its milliseconds, and its title in the CSV.
LATENCIES = {
    "ttft": ("time_to_first_token_ms", 1.0, "Time to First Token"),
    "tpot": ("inter_token_latency_ms", 1.0, "Inter Token Latency"),
    "e2e": ("request_latency", MS_PER_S, "Request Latency"),
}
#: Order of the list in a "Percentiles" cell: from the least to the most, without the median, which has its own column.
ORDER = (0, 0.1, 1, 5, 10, 25, 75, 90, 95, 99, 100)
EVENLY = "constant"
FIXED, RATE = ("synchronous", "concurrent", "throughput"), (EVENLY, "poisson")
ALL_LIMIT = "the throughput load keeps as many requests in progress as may be: concurrency is its limit"


def is_report(values: dict) -> bool:
    """Whether an object is a report of GuideLLM."""
    return isinstance(values.get("benchmarks"), list) and {"metadata", "config"} <= set(values)


def read_report(file: str, values: dict) -> list[Point]:
    """Load points of a report in JSON, one for each benchmark."""
    held = Held(file, "", values)
    version = held.inner("metadata").text("guidellm_version")
    return [
        _benchmark(Held(file, f"benchmarks[{number}]", item), version)
        for number, item in enumerate(held.items("benchmarks"))
    ]


def _benchmark(held: Held, version: str) -> Point:
    point = Point(held.place, TOOL, tool_version=version)
    metrics, settings = held.inner("metrics"), held.inner("config")
    totals = metrics.inner("request_totals")
    done, failed = totals.count("successful"), totals.number("errored")
    _counts(point, held.file, done, failed, totals.number("incomplete"), held.needed("duration"))
    point.requests_per_s = metrics.inner("requests_per_second").inner("successful").needed("mean")
    for ours, (theirs, factor, _) in LATENCIES.items():
        good = metrics.inner(theirs).inner("successful")
        spread = good.inner("percentiles")
        for quantile in ("p50", "p95", "p99"):
            point.put(f"{quantile}_{ours}_ms", spread.number(quantile, factor=factor))
        if ours == "e2e":
            point.put("mean_e2e_ms", good.number("mean", factor=factor))
    for ours, theirs in (("input_tokens_mean", "prompt_token_count"), ("output_tokens_mean", "output_token_count"),
                         ("output_tokens_per_s", "output_tokens_per_second")):  # fmt: skip
        point.put(ours, metrics.inner(theirs).inner("successful").number("mean"))
    goodput = metrics.values.get("request_goodput")
    if isinstance(goodput, (int, float)):
        point.put("goodput_requests_per_s", checked(held.file, metrics.key("request_goodput"), goodput))
    lag = metrics.inner("root_dispatch_delay").inner("percentiles").number("p95", factor=MS_PER_S)
    strategy = settings.inner("strategy")
    _load(point, strategy.text("type_"), strategy.number("max_concurrency"), strategy.number("rate"), lag)
    if "warmup" in settings:
        point.warmup_excluded = held.number("warmup_duration") > 0
    point.started = epoch(held.file, held.key("start_time"), held.number("start_time"))
    point.tokens_source = _tokens_source(held)
    model = settings.inner("backend").text("model")
    point.hints = {"model_id": model} if model else {}
    return point


def _counts(point: Point, file: str, done: float, failed: float, unfinished: float, duration_s: float) -> None:
    if not done > 0:
        rule = "no request was completed: there is nothing to import"
        raise InputError.at(file, rule, column=f"{point.place} successful".strip(), value=done)
    failed = 0.0 if math.isnan(failed) else failed
    point.figures |= {"requests": done + failed, "errors": failed, "duration_s": duration_s}
    if unfinished > 0:
        point.assumed.append(f"{unfinished:g} requests were not finished when the test ended: neither good nor failed")


def _load(point: Point, kind: str, most: float, rate: float, lag_ms: float) -> None:
    if kind in FIXED:
        point.load = "fixed_concurrency"
        point.put("concurrency", 1.0 if kind == "synchronous" else most)
        if kind == "throughput" and not math.isnan(most):
            point.assumed.append(ALL_LIMIT)
    elif kind in RATE:
        point.load = "rate"
        point.put("offered_requests_per_s", rate)
        point.put("send_lag_p95_ms", lag_ms)
        if kind == EVENLY:
            point.assumed.append(EVEN)
    elif kind == "replay" or "trace" in kind:
        point.load = "trace"
        point.put("send_lag_p95_ms", lag_ms)
    else:
        point.assumed.append(f"the load {kind!r} is not known: it is left open")


def _tokens_source(held: Held) -> str:
    """Sampled requests show it: without figures of the response the count is the one that was requested."""
    sampled = [item for item in held.inner("requests").items("successful") if isinstance(item, dict)]
    if not sampled:
        return ""
    return "server_usage" if all(item.get("response_metrics") for item in sampled) else "requested"


def read_csv(file: str, text: str) -> list[Point]:
    """Load points of GuideLLM's CSV: group, name and unit or statistic stand in three header rows."""
    rows = list(csv.reader(io.StringIO(text)))
    if len(rows) < 4 or len({len(row) for row in rows[:3]}) != 1:
        raise InputError.at(file, "has not the three header rows of GuideLLM and a row below")
    heads = [tuple(part.strip() for part in column) for column in zip(*rows[:3], strict=True)]
    points = []
    for number, row in enumerate(rows[3:], 4):
        if len(row) != len(heads):
            raise InputError.at(file, f"has {len(row)} cells, the header has {len(heads)}", row=number)
        cells: dict[tuple[str, ...], str] = {}
        for head, cell in zip(heads, row, strict=True):
            cells.setdefault(head, cell)  # the first of a name is that of successful requests
        points.append(_row(file, number, cells))
    return points


def _row(file: str, number: int, cells: dict[tuple[str, ...], str]) -> Point:
    point = Point(f"row {number}", TOOL)

    def value(group: str, name: str, statistic: str = "", factor: float = 1.0) -> float:
        return numeric(file, f"{group} / {name}, row {number}", cells.get((group, name, statistic), ""), factor)

    done, failed, unfinished = (value("Request Counts", name) for name in ("Successful", "Errored", "Incomplete"))
    duration = value("Timings", "Duration", "Sec")
    if math.isnan(duration):
        raise InputError.at(
            file, "is missing; without it this is no load point", row=number, column="Timings / Duration"
        )
    _counts(point, file, done, failed, unfinished, duration)
    point.requests_per_s = value("Server Throughput", "Successful Requests/Sec", "Mean")
    for ours, (_, factor, title) in LATENCIES.items():
        unit = "Sec" if factor == MS_PER_S else "ms"
        spread = _percentiles(file, number, title, cells.get((title, f"Successful {unit}", "Percentiles"), ""))
        point.put(f"p50_{ours}_ms", value(title, f"Successful {unit}", "Median", factor))
        for quantile in (95, 99):
            point.put(f"p{quantile}_{ours}_ms", spread.get(quantile, math.nan) * factor)
    point.put("mean_e2e_ms", value("Request Latency", "Successful Sec", "Mean", MS_PER_S))
    for ours, group, name in (("input_tokens_mean", "Token Metrics", "Successful Input Tokens"),
                              ("output_tokens_mean", "Token Metrics", "Successful Output Tokens"),
                              ("output_tokens_per_s", "Token Throughput", "Successful Output Tokens/Sec")):  # fmt: skip
        point.put(ours, value(group, name, "Mean"))
    if "p50_tpot_ms" not in point.figures and "p50_ttft_ms" in point.figures and point.figures.get("output_tokens_mean", 0) > 1:  # fmt: skip
        point.put("p50_tpot_ms", 0.0)
        point.assumed.append("no time between tokens: GuideLLM leaves out of its CSV what sums to 0")
    kind, _, figure = cells.get(("Benchmark", "Strategy", ""), "").partition("@")
    most = numeric(file, "Benchmark / Strategy", figure)
    lag = _percentiles(
        file, number, "Dispatch Delay", cells.get(("Dispatch Delay", "Successful Sec", "Percentiles"), "")
    )
    _load(point, kind, most, most, lag.get(95, math.nan) * MS_PER_S)
    warm_up = value("Timings", "Warmup", "Sec")
    point.warmup_excluded = None if math.isnan(warm_up) else warm_up > 0
    point.started = stamp(file, f"Timings / Start Time, row {number}", cells.get(("Timings", "Start Time", ""), ""))
    point.hints = {"model_id": _model(cells.get(("Run Info", "Backend", ""), ""))}
    return point


def _percentiles(file: str, row: int, title: str, cell: str) -> dict[float, float]:
    """Quantile -> value of a cell that holds a JSON list in a known order."""
    if not cell.strip():
        return {}
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or len(values) != len(ORDER):
        raise InputError.at(file, f"must be a list of {len(ORDER)} numbers", row=row, column=f"{title} / Percentiles", value=cell[:80])  # fmt: skip
    return {q: checked(file, f"{title} / Percentiles, row {row}", v) for q, v in zip(ORDER, values, strict=True)}


def _model(cell: str) -> str:
    try:
        settings = json.loads(cell or "{}")
    except (ValueError, RecursionError):
        return ""
    return str(settings.get("model") or "")[:80] if isinstance(settings, dict) else ""
