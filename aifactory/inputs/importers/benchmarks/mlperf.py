"""MLPerf Inference: text summaries of LoadGen, and the JSON of the endpoint harness of v6.1. Times in nanoseconds.

A LoadGen summary states rates, not how many queries ran in how long; it vouches for the least count of queries and
the least time, where it says that they were met. The v6.1 JSON counts throughput in a window of its own (`legacy_loadgen_window_duration_ns`),
which ends with the last arrival: requests and time here are those of the whole run, and both rates are told.
"""

from __future__ import annotations

import math
import re

from aifactory.errors import InputError
from aifactory.inputs.importers.benchmarks.point import Held, Point, epoch, numeric
from aifactory.units import MS_PER_S

LOADGEN, ENDPOINTS = "mlperf loadgen", "mlperf endpoints"
HEAD = "MLPerf Results Summary"
NS_PER_S, MS_PER_NS = 1e9, 1e-6
#: Our column: line of the summary, in nanoseconds.
LINES = {
    "p50_e2e_ms": "50.00 percentile latency (ns)",
    "p95_e2e_ms": "95.00 percentile latency (ns)",
    "p99_e2e_ms": "99.00 percentile latency (ns)",
    "mean_e2e_ms": "Mean latency (ns)",
    "p50_ttft_ms": "50.00 percentile first token latency (ns)",
    "p95_ttft_ms": "95.00 percentile first token latency (ns)",
    "p99_ttft_ms": "99.00 percentile first token latency (ns)",
    "p50_tpot_ms": "50.00 percentile time to output token (ns)",
    "p95_tpot_ms": "95.00 percentile time to output token (ns)",
    "p99_tpot_ms": "99.00 percentile time to output token (ns)",
}
#: Scenario: how it offers load, and lines that may state its rate, the rate of completion first.
SCENARIOS = {
    "Server": ("rate", ("Completed samples per second", "Scheduled samples per second")),
    "Offline": ("", ("Samples per second",)),
    "SingleStream": ("fixed_concurrency", ("QPS w/ loadgen overhead",)),
}
TOKENS = ("Completed tokens per second", "Tokens per second")
SUBMISSION = "facts of a submission, no result; say its precision with --set"
_LINE, _PROCESSED = re.compile(r"\s*(.+?)\s*:\s*(.*?)\s*"), re.compile(r"Processed (\d{1,12}) queries")


def is_summary_text(text: str) -> bool:
    """Whether a text is the summary that LoadGen writes."""
    return HEAD in text[:400]


def read_summary_text(file: str, text: str) -> Point:
    """The load point of `mlperf_log_summary.txt`."""
    lines = {}
    for line in text.splitlines():
        if found := _LINE.fullmatch(line):
            lines.setdefault(found[1], found[2])
    point = Point("", LOADGEN)

    def value(name: str, factor: float = 1.0) -> float:
        return numeric(file, name, lines.get(name, ""), factor)

    scenario = lines.get("Scenario", "")
    if scenario not in SCENARIOS:
        raise InputError.at(file, "is no scenario that can be read.", column="Scenario", value=scenario[:40], choices=SCENARIOS)  # fmt: skip
    if lines.get("Mode", "PerformanceOnly") != "PerformanceOnly":
        raise InputError.at(file, "only a performance run is a measurement of speed", column="Mode", value=lines["Mode"][:40])  # fmt: skip
    point.load, rates = SCENARIOS[scenario]
    point.requests_per_s = next((value(name) for name in rates if lines.get(name)), math.nan)
    if not point.requests_per_s > 0:
        raise InputError.at(file, "is missing; without it this is no load point", column=rates[0])
    if scenario == "Server":
        point.put("offered_requests_per_s", value("target_qps"))
    if scenario == "SingleStream":
        point.put("concurrency", 1.0)
    for ours, theirs in LINES.items():
        point.put(ours, value(theirs, MS_PER_NS))
    tokens = next((value(name) for name in TOKENS if lines.get(name)), math.nan)
    point.put("output_tokens_per_s", tokens)
    point.put("output_tokens_mean", tokens / point.requests_per_s)
    if not math.isnan(tokens):
        point.tokens_source = "server_usage"
        point.assumed.append("tokens are those that the system under test reported to LoadGen")
    _queries(file, text, lines, point)
    point.tool_verdict = {"VALID": "valid", "INVALID": "invalid"}.get(lines.get("Result is", ""), "")
    if not point.tool_verdict:
        raise InputError.at(file, "must be VALID or INVALID", column="Result is", value=lines.get("Result is", "")[:40])
    return point


def _queries(file: str, text: str, lines: dict[str, str], point: Point) -> None:
    """Samples that ran, as far as the summary vouches for them, and the time that their rate makes of them."""
    point.assumed.append("LoadGen counts no failed requests: 0; duration is samples over samples per second")
    point.figures["errors"] = 0.0
    per_query = numeric(file, "samples_per_query", lines.get("samples_per_query", "1"))
    told = _PROCESSED.search(text)
    if told:
        point.figures["requests"] = float(told[1]) * (1.0 if math.isnan(per_query) else per_query)
        return
    counted = numeric(file, "min_query_count", lines.get("min_query_count", "")) * per_query
    lasted = numeric(file, "min_duration (ms)", lines.get("min_duration (ms)", "")) / MS_PER_S * point.requests_per_s
    vouched = [least for least, name in ((counted, "Min queries satisfied"), (lasted, "Min duration satisfied")) if lines.get(name) == "Yes" and least > 0]  # fmt: skip
    if vouched:
        point.figures["requests"] = float(round(max(vouched)))
        point.assumed.append(f"at least {max(vouched):,.0f} samples ran, by the minima of queries and time that the test met; mlperf_log_detail.txt has their number")  # fmt: skip


def is_result_summary(values: dict) -> bool:
    """Whether an object is `result_summary.json` of the endpoint harness."""
    return {"n_samples_completed", "duration_ns"} <= set(values)


def read_result_summary(file: str, values: dict) -> Point:
    """The load point of `result_summary.json` (v6.1)."""
    held = Held(file, "", values)
    point = Point("", ENDPOINTS, tool_version=held.text("version"))
    done, failed = held.count("n_samples_completed"), held.count("n_samples_failed")
    failed = 0.0 if math.isnan(failed) else failed
    seconds = held.needed("duration_ns", factor=1 / NS_PER_S)
    if not done > 0 or not seconds > 0:
        raise InputError.at(file, "no request was completed: there is nothing to import", column="n_samples_completed", value=done)  # fmt: skip
    point.figures |= {"requests": done + failed, "errors": failed, "duration_s": seconds}
    point.requests_per_s = done / seconds
    lengths = held.inner("output_sequence_lengths")
    total = lengths.number("total")
    point.put("output_tokens_mean", lengths.number("avg"))
    point.put("output_tokens_per_s", total / seconds)
    for ours, theirs in (("ttft", "ttft"), ("tpot", "tpot"), ("e2e", "latency")):
        spread = held.inner(theirs).inner("percentiles")
        for quantile in (50, 95, 99):
            point.put(f"p{quantile}_{ours}_ms", spread.number(f"{quantile}.0", str(quantile), factor=MS_PER_NS))
    point.put("mean_e2e_ms", held.inner("latency").number("avg", factor=MS_PER_NS))
    settings = held.inner("run_config")
    pattern = settings.inner("load_pattern")
    point.put("offered_requests_per_s", pattern.number("target_qps"))
    point.put("concurrency", pattern.number("target_concurrency"))
    point.load = "rate" if "offered_requests_per_s" in point.figures else "fixed_concurrency" if "concurrency" in point.figures else ""  # fmt: skip
    if "warmup" in settings:
        point.warmup_excluded = settings.inner("warmup").values.get("enabled") is True
    if held.values.get("complete") is False or held.text("state") not in ("", "complete"):
        point.tool_verdict = "cancelled"
    point.started = epoch(file, "test_started_at", held.number("test_started_at"))
    _tell_window(held, point, total, seconds)
    return point


def _tell_window(held: Held, point: Point, tokens: float, seconds: float) -> None:
    """The rate that the file states, over which window, and what it is over the whole run."""
    stated, window = held.number("tps"), held.number("legacy_loadgen_window_duration_ns", factor=1 / NS_PER_S)
    if math.isnan(stated) or math.isnan(tokens):
        return
    used = "the LoadGen window" if abs(stated * window / tokens - 1) < abs(stated * seconds / tokens - 1) else "the run"
    length = window if used == "the LoadGen window" else seconds
    whole = tokens / seconds
    point.assumed.append(f"tps {stated:,.0f} of the file is over {used} ({length:,.0f} s); over the whole run of {seconds:,.0f} s it is {whole:,.0f}, which is taken")  # fmt: skip


def is_endpoint_results(values: dict) -> bool:
    """Whether an object is a result of performance and accuracy in one, of v6.1."""
    inner = values.get("results")
    return isinstance(inner, dict) and "elapsed_time" in inner and "config" in values


def read_endpoint_results(file: str, values: dict) -> Point:
    """The load point of `results.json` (v6.1); it holds no latency."""
    held = Held(file, "", values)
    found, settings = held.inner("results"), held.inner("config")
    point = Point("", ENDPOINTS)
    done, failed = found.count("successful"), found.count("failed")
    seconds = found.needed("elapsed_time")
    if not done > 0 or not seconds > 0:
        raise InputError.at(file, "no request was completed: there is nothing to import", column="results.successful", value=done)  # fmt: skip
    failed = 0.0 if math.isnan(failed) else failed
    point.figures |= {"requests": done + failed, "errors": failed, "duration_s": seconds}
    point.requests_per_s = done / seconds
    rate = settings.number("target_qps")
    if not math.isnan(rate):
        point.load = "rate"
        point.put("offered_requests_per_s", rate)
    point.assumed.append("the file holds no latency: no limit can be proven by it")
    return point


def is_submission_facts(values: dict) -> bool:
    """Whether an object is `measurements.json` of a submission."""
    return "weight_data_types" in values and "weight_transformations" in values
