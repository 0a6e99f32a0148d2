"""`vllm bench serve`, its fork in InferenceX, and SGLang's bench_serving: one family of keys, two units of time.

Keys read in vllm-project/vllm@def9ce8 (vllm/benchmarks/serve.py): `<statistic>_<latency>_ms` in milliseconds.
InferenceX writes the same names without `_ms`, in seconds. By default vLLM writes p99 alone and no end-to-end time;
`--save-detailed` adds one value per request (seconds), from which every quantile follows.
"""

from __future__ import annotations

import math

import numpy as np

from aifactory.errors import InputError
from aifactory.inputs.importers.benchmarks.facts import FACTS
from aifactory.inputs.importers.benchmarks.point import (
    EVEN,
    Held,
    Point,
    checked,
    clean,
    epoch,
    quantiles,
    rate_offered,
    stamp,
)
from aifactory.units import MS_PER_S

#: Our latency: spellings of theirs.
LATENCIES = {"ttft": ("ttft",), "tpot": ("tpot",), "itl": ("itl",), "e2e": ("e2el", "e2e_latency")}
#: Engines that a client can only talk to by their own interface, so that its name tells the engine.
ENGINES = {"vllm": "vllm", "sglang": "sglang", "sglang-native": "sglang", "sglang-oai": "sglang",
           "sglang-oai-chat": "sglang", "tgi": "tgi", "tensorrt-llm": "tensorrt-llm", "lmdeploy": "lmdeploy"}  # fmt: skip
#: A server's count and a tokenizer's own may differ by this share (special tokens).
SAME_COUNT = 0.02
#: Concurrency over throughput x time in system: what says that seconds were milliseconds, a factor of 1,000.
CLEAR_FACTOR = 30.0
HINTS = ("model_id", "hw", "tp", "tokenizer_id", "dataset_name", "backend", "label")
SGLANG, VLLM = "sglang bench_serving", "vllm bench serve"


def is_family(values: dict) -> bool:
    """Whether an object is a result of this family."""
    return {"duration", "completed", "request_throughput"} <= set(values)


def read_vllm(file: str, place: str, values: dict) -> Point:
    """The load point of one result."""
    held = Held(file, place, values)
    sglang = "total_output_tokens_retokenized" in values or any(name.endswith("e2e_latency_ms") for name in values)
    point = Point(place, SGLANG if sglang else VLLM)
    done = held.count("completed")
    if not done > 0:
        raise InputError.at(file, "no request was completed: there is nothing to import", column=held.key("completed"), value=done)  # fmt: skip
    _counts(held, point, done)
    _load(held, point)
    _latencies(held, point)
    _from_requests(held, point)
    if sglang:
        _tokens_source(held, point)
    point.put("goodput_requests_per_s", held.number("request_goodput", "request_goodput:"))
    point.started = epoch(file, "benchmark_start_time_unix", held.number("benchmark_start_time_unix")) or stamp(
        file, held.key("date"), held.text("date"), "%Y%m%d-%H%M%S"
    )
    point.hints = {name: held.text(name) for name in HINTS if held.text(name)}
    point.facts = {name: held.text(name) for name in FACTS if held.text(name)}
    if held.text("backend") in ENGINES:
        point.facts.setdefault("engine", ENGINES[held.text("backend")])
    return point


def _counts(held: Held, point: Point, done: float) -> None:
    sent = held.count("num_prompts")
    failed = held.count("failed")
    if math.isnan(failed) and not math.isnan(sent):
        failed = sent - done
        if failed < 0:
            raise InputError.at(held.file, f"is above num_prompts, {sent:g}", column=held.key("completed"), value=done)
    if math.isnan(failed):
        named = [text for text in held.items("errors") if clean(text)]
        failed = float(len(named))
        told = "the list of errors" if held.items("errors") else "nothing"
        point.assumed.append(f"{told} of the file says how many requests failed: {failed:g} are counted")
    point.figures |= {"requests": done + failed, "errors": failed, "duration_s": held.needed("duration")}
    point.requests_per_s = held.needed("request_throughput")
    for ours, theirs in (("input_tokens_mean", "total_input_tokens"), ("output_tokens_mean", "total_output_tokens")):
        point.put(ours, held.number(theirs, factor=1 / done))
    point.put("output_tokens_per_s", held.number("output_throughput"))


def _load(held: Held, point: Point) -> None:
    most = held.number("max_concurrency")
    if held.text("request_rate") == "trace":
        point.load = "trace"
        return
    if held.text("ramp_up_strategy"):
        start, end = (held.number(f"ramp_up_{edge}_rps") for edge in ("start", "end"))
        known = math.isfinite(start) and math.isfinite(end)
        span = f" from {start:g} to {end:g} requests per second" if known else ""
        point.assumed.append(f"the rate rose{span}: this is no one load, which is left open")
        return
    rate = rate_offered(held.file, held.key("request_rate"), held.values.get("request_rate"))
    if math.isfinite(rate):
        point.load = "rate"
        if held.number("burstiness") > 1:
            point.assumed.append(EVEN)
        point.put("offered_requests_per_s", rate)
        if not math.isnan(most):
            point.assumed.append(f"at most {most:g} requests were in progress (max_concurrency): beside the rate this may have held load back")  # fmt: skip
    elif rate == math.inf or not math.isnan(most):
        point.load = "fixed_concurrency"
        if math.isnan(most):
            most = point.figures["requests"]
            point.assumed.append("no rate and no max_concurrency: all requests were sent at once")
        point.put("concurrency", most)


def _latencies(held: Held, point: Point) -> None:
    seconds = False
    for ours, spellings in LATENCIES.items():
        for theirs in spellings:
            for ending, factor in (("_ms", 1.0), ("", MS_PER_S)):
                found = {
                    f"p50_{ours}_ms": held.number(f"median_{theirs}{ending}", f"p50_{theirs}{ending}", factor=factor),
                    f"p95_{ours}_ms": held.number(f"p95_{theirs}{ending}", factor=factor),
                    f"p99_{ours}_ms": held.number(f"p99_{theirs}{ending}", factor=factor),
                }
                if ours == "e2e":
                    found["mean_e2e_ms"] = held.number(f"mean_{theirs}{ending}", factor=factor)
                for name, value in found.items():
                    point.put(name, value)
                    seconds |= not ending and not math.isnan(value)
    if seconds:
        point.assumed.append("times without a unit in their names are seconds, as InferenceX writes them")
        _refuse_other_unit(held, point)


def _refuse_other_unit(held: Held, point: Point) -> None:
    """Requests in progress tell the unit of a time: throughput x time in system; a factor of a thousand is plain."""
    stay_ms = point.figures.get("mean_e2e_ms", point.figures.get("p50_e2e_ms", math.nan))
    ratio = point.figures.get("concurrency", math.nan) / (point.requests_per_s * stay_ms / MS_PER_S or math.nan)
    if ratio > CLEAR_FACTOR or ratio < 1 / CLEAR_FACTOR:
        rule = f"read as seconds it fits neither throughput nor concurrency ({ratio:.2g} times off): say its unit in its name (_ms)"
        raise InputError.at(held.file, rule, column=held.key("median_e2el"), value=held.values.get("median_e2el"))


def _from_requests(held: Held, point: Point) -> None:
    """Quantiles from single requests where a detailed result has them and the summary leaves them out."""
    firsts, gaps, lengths = (held.items(name) for name in ("ttfts", "itls", "output_lens"))
    if not firsts or len(firsts) != len(gaps):
        return
    file = held.file
    ttft = np.array([checked(file, held.key(f"ttfts[{n}]"), value) for n, value in enumerate(firsts)]) * MS_PER_S
    decode = np.zeros(len(gaps))
    for number, row in enumerate(gaps):
        if not isinstance(row, list):
            raise InputError.at(file, "must be a list", column=held.key(f"itls[{number}]"), value=clean(row))
        decode[number] = sum(checked(file, held.key(f"itls[{number}]"), value) for value in row) * MS_PER_S
    good = ttft > 0  # a request that failed at once has the first-token time 0, one that broke off has an error
    failed = [bool(clean(text)) for text in held.items("errors")]
    good &= ~np.array(failed) if len(failed) == len(firsts) else True
    e2e = (ttft + decode)[good]
    found = quantiles(ttft[good], "ttft") | quantiles(e2e, "e2e")
    found |= {"mean_e2e_ms": float(e2e.mean())} if e2e.size else {}
    if len(lengths) == len(firsts):
        tokens = np.array([checked(file, held.key(f"output_lens[{n}]"), value) for n, value in enumerate(lengths)])
        several = good & (tokens > 1)
        found |= quantiles(decode[several] / (tokens[several] - 1), "tpot")
    added = [name for name in found if name not in point.figures]
    point.figures |= {name: found[name] for name in added}
    if added:
        point.assumed.append(f"{', '.join(added)}: from the single requests of the file")


def _tokens_source(held: Held, point: Point) -> None:
    again, told = held.number("total_output_tokens_retokenized"), held.number("total_output_tokens")
    if math.isnan(again) or not told > 0:
        return
    if again == 0:
        point.tokens_source = "requested"
        point.assumed.append(f"no text came back (0 of {told:g} tokens when counted again): the count is the requested one")  # fmt: skip
    elif abs(again / told - 1) <= SAME_COUNT:
        point.tokens_source = "client_tokenizer"
        point.assumed.append(f"the tokenizer of the client counts {again:g} output tokens, the server {told:g}: they agree")  # fmt: skip
