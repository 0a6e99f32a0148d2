"""inference-perf: the lifecycle report of one stage. Every time is in seconds; delays of its own sending are told.

Read in results of kubernetes-sigs/inference-perf@7de5ef2. Gaps between chunks are `inter_token_latency`, the time per
output token of each request is `time_per_output_token`.
"""

from __future__ import annotations

import math

from aifactory.errors import InputError
from aifactory.inputs.importers.benchmarks.point import Held, Point
from aifactory.units import MS_PER_S

TOOL = "inference-perf"
LATENCIES = {"ttft": "time_to_first_token", "tpot": "time_per_output_token", "itl": "inter_token_latency",
             "e2e": "request_latency"}  # fmt: skip
SERVER_METRICS = "server metrics of Prometheus, no load test; import the lifecycle metrics of the same stage"


def is_lifecycle(values: dict) -> bool:
    """Whether an object is a report of a stage, of the client or of the server."""
    return {"load_summary", "successes", "failures"} <= set(values)


def read_lifecycle(file: str, values: dict) -> Point:
    """The load point of one stage."""
    held = Held(file, "", values)
    offered, good = held.inner("load_summary"), held.inner("successes")
    if not offered.values:
        raise InputError.at(file, SERVER_METRICS)
    point = Point("", TOOL)
    done, failed = good.count("count"), held.inner("failures").number("count")
    if not done > 0:
        raise InputError.at(file, "no request was completed: there is nothing to import", column="successes.count", value=done)  # fmt: skip
    failed = 0.0 if math.isnan(failed) else failed
    pace = good.inner("throughput")
    point.requests_per_s = pace.needed("requests_per_sec")
    if not point.requests_per_s > 0:
        raise InputError.at(file, "must be above 0", column="successes.throughput.requests_per_sec", value=0)
    point.figures |= {"requests": done + failed, "errors": failed, "duration_s": done / point.requests_per_s}
    point.assumed.append("duration is that of the throughput, from the first to the last request (count / requests_per_sec)")  # fmt: skip
    latency = good.inner("latency")
    for ours, theirs in LATENCIES.items():
        spread = latency.inner(theirs)
        point.put(f"p50_{ours}_ms", spread.number("median", "p50", factor=MS_PER_S))
        for quantile in ("p95", "p99"):
            point.put(f"{quantile}_{ours}_ms", spread.number(quantile, factor=MS_PER_S))
    point.put("mean_e2e_ms", latency.inner("request_latency").number("mean", factor=MS_PER_S))
    point.put("input_tokens_mean", good.inner("prompt_len").number("mean"))
    point.put("output_tokens_mean", good.inner("output_len").number("mean"))
    point.put("output_tokens_per_s", pace.number("output_tokens_per_sec"))
    rate = offered.number("requested_rate")
    if not math.isnan(rate):
        point.load = "rate"
        point.put("offered_requests_per_s", rate)
        lag = offered.inner("schedule_delay").values.get("p95")
        if isinstance(lag, float):
            point.put("send_lag_p95_ms", max(lag, 0.0) * MS_PER_S)  # sent a little early is not late
    elif "concurrency" in offered:
        point.load = "fixed_concurrency"
        point.put("concurrency", offered.number("concurrency"))
    else:
        point.assumed.append("the file says neither rate nor concurrency: the load is left open")
    point.tokens_source = "client_tokenizer"
    return point
