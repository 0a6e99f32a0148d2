"""Minimal result files of each load tool, made by hand: one healthy load point that tests may change."""

import json

#: 100 requests of 200 + 50 tokens in 20 s at 10 in progress, each 2 s: Little's law holds (5/s x 2 s = 10).
DONE, SECONDS, IN_PROGRESS = 100, 20.0, 10
#: Median, p95 and p99 of the latencies in milliseconds.
MS = {"ttft": (200.0, 300.0, 400.0), "tpot": (36.0, 40.0, 44.0), "e2e": (1990.0, 2300.0, 2500.0)}
MEAN_E2E_MS = 2000.0


def vllm(**changes):
    """`vllm bench serve --save-result --percentile-metrics ttft,tpot,e2el --metric-percentiles 95,99`."""
    values = {
        "date": "20261120-101500", "backend": "vllm", "model_id": "org/model", "num_prompts": DONE, "request_rate": "inf",
        "max_concurrency": IN_PROGRESS, "duration": SECONDS, "completed": DONE, "failed": 0,
        "total_input_tokens": DONE * 200, "total_output_tokens": DONE * 50, "request_throughput": DONE / SECONDS,
        "request_goodput": 4.5, "output_throughput": DONE * 50 / SECONDS, "mean_e2el_ms": MEAN_E2E_MS,
    }  # fmt: skip
    for ours, theirs in (("ttft", "ttft"), ("tpot", "tpot"), ("e2e", "e2el")):
        values |= dict(zip((f"median_{theirs}_ms", f"p95_{theirs}_ms", f"p99_{theirs}_ms"), MS[ours], strict=True))
    return values | changes


def inferencex(**changes):
    """The same in seconds, without a unit in the names; the goodput key of the fork has a colon."""
    values = {name: value for name, value in vllm().items() if not name.endswith("_ms")} | {"request_goodput:": 4.5}
    values |= {name.removesuffix("_ms"): value / 1000 for name, value in vllm().items() if name.endswith("_ms")}
    del values["request_goodput"]
    return values | changes


def sglang(**changes):
    values = {name: value for name, value in vllm(backend="sglang").items() if "e2el" not in name}
    for name in ("date", "failed", "num_prompts", "request_goodput"):
        del values[name]
    values |= {"request_rate": float("inf"), "total_output_tokens_retokenized": DONE * 50, "mean_e2e_latency_ms": MEAN_E2E_MS}  # fmt: skip
    values |= dict(zip(("median_e2e_latency_ms", "p95_e2e_latency_ms", "p99_e2e_latency_ms"), MS["e2e"], strict=True))
    return values | changes


def aiperf(unit="ms", of_ms=1.0, **changes):
    """The JSON summary; times in any unit."""

    def spread(name):
        return {"unit": unit, **dict(zip(("p50", "p95", "p99"), (v * of_ms for v in MS[name]), strict=True))}

    values = {
        "schema_version": "1.4", "aiperf_version": "0.13.0",
        "request_throughput": {"unit": "requests/sec", "avg": DONE / SECONDS},
        "request_count": {"unit": "requests", "avg": float(DONE)},
        "request_latency": {**spread("e2e"), "avg": MEAN_E2E_MS * of_ms},
        "time_to_first_token": spread("ttft"), "inter_token_latency": spread("tpot"),
        "benchmark_duration": {"unit": unit, "avg": SECONDS * 1000 * of_ms},
        "input_sequence_length": {"unit": "tokens", "avg": 200.0},
        "output_sequence_length": {"unit": "tokens", "avg": 50.0},
        "output_token_throughput": {"unit": "tokens/sec", "avg": DONE * 50 / SECONDS},
        "goodput": {"unit": "requests/sec", "avg": 4.5},
        "input_config": {"phases": [{"kind": "warmup", "type": "concurrency"},
                                    {"kind": "profiling", "type": "concurrency", "concurrency": IN_PROGRESS}],
                         "endpoint": {"use_server_token_count": True}, "slos": {"request_latency": 2400.0}},
        "was_cancelled": False, "is_complete": True, "error_summary": [], "start_time": "2026-11-20T10:15:00",
    }  # fmt: skip
    return values | changes


def aiperf_record(start_s, phase="profiling", ttft_ms=200.0, tpot_ms=36.0, e2e_ms=2000.0, **metadata):
    begin = 1_795_000_000_000_000_000 + int(start_s * 1e9)
    about = {"benchmark_phase": phase, "request_start_ns": begin, "request_end_ns": begin + int(e2e_ms * 1e6), "was_cancelled": False}  # fmt: skip
    values = {"time_to_first_token": (ttft_ms, "ms"), "inter_token_latency": (tpot_ms, "ms"), "request_latency": (e2e_ms, "ms"),
              "input_sequence_length": (200, "tokens"), "output_sequence_length": (50, "tokens")}  # fmt: skip
    metrics = {name: {"value": value, "unit": unit} for name, (value, unit) in values.items()}
    return {"metadata": about | metadata, "metrics": metrics}


def guidellm(strategy=None, **changes):
    """A report with one benchmark; `changes` are of the benchmark."""

    def status(p50, p95, p99, **more):
        return {"successful": {"percentiles": {"p50": p50, "p95": p95, "p99": p99}, **more}}

    e2e_s = [value / 1000 for value in MS["e2e"]]
    benchmark = {
        "duration": SECONDS, "start_time": 1_795_169_700.0, "warmup_duration": 2.0,
        "config": {"strategy": strategy or {"type_": "concurrent", "max_concurrency": IN_PROGRESS},
                   "backend": {"model": "org/model"}, "warmup": {"percent": 0.1}},
        "requests": {"successful": [{"response_metrics": {"text_tokens": 50}}]},
        "metrics": {
            "request_totals": {"successful": DONE, "errored": 0, "incomplete": 0},
            "requests_per_second": {"successful": {"mean": DONE / SECONDS}},
            "request_latency": status(*e2e_s, mean=MEAN_E2E_MS / 1000),
            "time_to_first_token_ms": status(*MS["ttft"]), "inter_token_latency_ms": status(*MS["tpot"]),
            "time_per_output_token_ms": status(40.0, 46.0, 50.0),
            "prompt_token_count": {"successful": {"mean": 200.0}}, "output_token_count": {"successful": {"mean": 50.0}},
            "output_tokens_per_second": {"successful": {"mean": DONE * 50 / SECONDS}},
            "request_goodput": 4.5, "root_dispatch_delay": {"percentiles": {"p95": 0.01}},
        },
    }  # fmt: skip
    return {"metadata": {"guidellm_version": "0.8.1"}, "config": {}, "benchmarks": [benchmark | changes]}


def inference_perf(**changes):
    def spread(name):
        return dict(zip(("median", "p95", "p99"), (value / 1000 for value in MS[name]), strict=True))

    latency = {"request_latency": spread("e2e") | {"mean": MEAN_E2E_MS / 1000}, "time_to_first_token": spread("ttft"),
               "time_per_output_token": spread("tpot")}  # fmt: skip
    pace = {"requests_per_sec": DONE / SECONDS, "output_tokens_per_sec": DONE * 50 / SECONDS}
    good = {"count": DONE, "latency": latency, "throughput": pace, "prompt_len": {"mean": 200.0}, "output_len": {"mean": 50.0}}  # fmt: skip
    offered = {"count": DONE, "requested_rate": 5.0, "schedule_delay": {"p95": 0.01}}
    return {"load_summary": offered, "successes": good, "failures": {"count": 0}} | changes


def loadgen(verdict="VALID", scenario="Server", of_ms=1e6, **lines):
    """A summary with latencies in nanoseconds."""
    names = {"ttft": "first token latency (ns)", "tpot": "time to output token (ns)", "e2e": "latency (ns)"}
    rows = [
        f"{quantile}.00 percentile {names[name]} : {value * of_ms:.0f}"
        for name in names
        for quantile, value in zip((50, 95, 99), MS[name], strict=True)
    ]
    settings = {"samples_per_query": 1, "target_qps": 5, "min_duration (ms)": 20000, "min_query_count": 100} | lines
    return "\n".join([
        "=" * 48, "MLPerf Results Summary", "=" * 48, f"Scenario : {scenario}", "Mode     : PerformanceOnly",
        "Completed samples per second    : 5.00", "Completed tokens per second: 250.00", f"Result is : {verdict}",
        "  Min duration satisfied : Yes", "  Min queries satisfied : Yes", *rows,
        f"Mean latency (ns) : {MEAN_E2E_MS * of_ms:.0f}", *(f"{name} : {value}" for name, value in settings.items()),
    ]) + "\n"  # fmt: skip


def result_summary(**changes):
    """`result_summary.json` of MLPerf v6.1: nanoseconds, throughput in a window of its own."""

    def spread(name):
        values = [value * 1e6 for value in MS[name]]
        return {"percentiles": dict(zip(("50.0", "95.0", "99.0"), values, strict=True))}

    values = {
        "version": "0.1.0", "test_started_at": 1_795_169_700, "n_samples_completed": DONE, "n_samples_failed": 0,
        "duration_ns": SECONDS * 1e9, "legacy_loadgen_window_duration_ns": 16e9, "tps": DONE * 50 / 16, "qps": DONE / 16,
        "state": "complete", "complete": True, "ttft": spread("ttft"), "tpot": spread("tpot"),
        "latency": spread("e2e") | {"avg": MEAN_E2E_MS * 1e6}, "output_sequence_lengths": {"total": DONE * 50, "avg": 50.0},
        "run_config": {"load_pattern": {"type": "poisson", "target_qps": 5.2}, "warmup": {"enabled": True}},
    }  # fmt: skip
    return values | changes


def write(folder, name, content):
    """Write an object as JSON, several as JSON lines, a text as it is."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        content = "\n".join(map(json.dumps, content)) + "\n"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path
