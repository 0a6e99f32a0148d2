"""`aifactory simulate`: a trace through a fleet of one platform."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.traces.formats import refuse_milliseconds, refuse_part, sniff
from aifactory.inputs.importers.traces.read import read_request_trace
from aifactory.inputs.tables import read_source
from aifactory.serving.capacity_curve import capacity_curve
from aifactory.serving.catalogue_rows import find_model, find_row, price_remark, usd_per_accelerator_hour
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, Pool, Prefixes, RequestStream
from aifactory.serving.fleet_run import FleetRun
from aifactory.serving.measurements import numbers, refuse_rows
from aifactory.serving.measurements import read_table as read_csv
from aifactory.serving.slo_sizing import FleetSize, Slo, parse_slos, size_fleet
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_estimate import estimate_step_time
from aifactory.units import counted

MOST_REPLICAS = 10_000
#: Requests that come more seldom over a longer time may be told in milliseconds.
LONG_S, RARE_S = 30 * 86_400.0, 100.0
PLAIN = {"arrival_s": "number", "input_tokens": "integer", "output_tokens": "integer"}
#: Seconds from the first to the last request of a plain table; a day in milliseconds is more.
MOST_SPAN_S = 2 * 366 * 86_400.0
PLAIN_OPTIONAL = {"cached_input_tokens": "integer", "priority": "integer"}


@dataclass(frozen=True)
class SimulateRequest:
    """What the command line asks; `replicas` 0 and no `slo` means one replica, `timeout_s` 0 clients that never leave."""

    trace: Path
    model: str
    platform: str
    replicas: int = 0
    slo: str = ""
    tensor_parallel: int = 0
    precision: str = ""
    routing: str = "least_outstanding"
    steps: Path | None = None
    timeout_s: float = 0.0
    retries: int = 0
    prefix_cache: bool = True
    curve: str = ""
    attention_ranks: int = 1


def simulate_trace(asked: SimulateRequest) -> tuple[dict[str, object], FleetSize | None]:
    """Run the command: the figures it prints and, where an SLO was given, the three sizes."""
    if asked.slo and asked.replicas:
        raise InputError.at("simulate", "give --replicas or --slo, not both: --slo looks for the replicas")
    slos, counts = parse_slos(asked.slo) if asked.slo else (), _counts(asked.curve)
    if counts and not slos:
        raise InputError.at("simulate", "needs limits: give --slo too", column="--curve", value=asked.curve)
    model = find_model(asked.model, "--model")
    chip = find_row("accelerators", "accelerator_id", asked.platform, "--platform")
    _check_split(model, asked.tensor_parallel)
    requests, remarks = read_noted_stream(asked.trace)
    remarks += _beyond_context(requests, model)
    steps = read_steps(asked.steps) if asked.steps else None
    said = estimate_step_time(
        model, chip, tensor_parallel=asked.tensor_parallel, precision=asked.precision,
        context_tokens=mean_context(requests), attention_ranks=asked.attention_ranks, steps=steps,
    )  # fmt: skip
    price = usd_per_accelerator_hour(str(chip["accelerator_id"])) * said.law.accelerators
    fleet = Fleet(
        Pool(said.law, asked.replicas or 1, price), routing=asked.routing, timeout_s=asked.timeout_s or None,
        retries=asked.retries, prefix_cache=asked.prefix_cache,
    )  # fmt: skip
    size = size_fleet(requests, fleet, slos, str(chip["accelerator_id"])) if slos else None
    _load_engine(fleet)
    began = time.perf_counter()
    run = simulate_fleet(requests, size.run.fleet if size else fleet)
    found = figures(run, time.perf_counter() - began)
    remarks += [f"{counted(count, 'request')} failed: {why}" for why, count in run.causes.items() if count]
    if len(requests) and not run.answered.any():
        remarks.append("no request was served, so no latency is known")
    del run
    ends = {
        name: _at_end(requests, fleet, law, slos, str(chip["accelerator_id"]))
        for name, law in zip(("low80", "high80"), said.ends(), strict=True)
    }
    why = "; ".join([said.reason, price_remark(str(chip["accelerator_id"])), *remarks])
    found |= {"tier": said.tier, "reason": why} | ends | _three_sizes(size)
    if counts:
        curve = capacity_curve(requests, fleet, slos, counts)
        found["requests_per_s_within_slo"] = dict(zip(map(str, curve.replicas), curve.requests_per_s, strict=True))
    return found, size


def _check_split(model: pd.Series, accelerators: int) -> None:
    """Refuse to split attention over a number of accelerators that its heads cannot be dealt out to."""
    heads = model["attention_heads"]
    if accelerators > 1 and pd.notna(heads) and int(heads) % accelerators:
        rule = f"must divide the {int(heads)} attention heads of {model['model']}"
        raise InputError.at("simulate", rule, column="--tensor-parallel", value=accelerators)


def _beyond_context(requests: RequestStream, model: pd.Series) -> list[str]:
    """Remark on requests that are longer than the model takes; nothing where its context is not known."""
    most = model["context_tokens"]
    if pd.isna(most):
        return []
    longer = int((requests.input_tokens.astype(np.int64) + requests.output_tokens > int(most)).sum())
    most_tokens = f"the {int(most):,} tokens of {model['model']}"
    return [f"{counted(longer, 'request')} longer than {most_tokens}: it would refuse or cut them"] if longer else []


def _counts(listed: str) -> tuple[int, ...]:
    """Numbers of replicas in rising order from a list such as 1,2,4."""
    parts = [part.strip() for part in listed.split(",") if part.strip()]
    if not all(part.isdecimal() and 0 < int(part) <= MOST_REPLICAS for part in parts):
        rule = f"must be numbers of replicas from 1 to {MOST_REPLICAS:,}, joined by commas"
        raise InputError.at("simulate", rule, column="--curve", value=listed)
    return tuple(sorted({int(part) for part in parts}))


def _three_sizes(size: FleetSize | None) -> dict[str, object]:
    """Steady-state minimum, SLO-safe count and reserve, each with what binds; nothing without an SLO."""
    if size is None:
        return {}
    parts = ("steady", "slo", "reserve")
    return {
        "sizes": {
            name: {"replicas": getattr(size, f"{name}_replicas"), "because": getattr(size, f"{name}_because")}
            for name in parts
        }
    }


def mean_context(requests: RequestStream) -> float:
    """Tokens that a sequence holds on average while it is served: its prompt and half of its answer."""
    return float(requests.input_tokens.mean(dtype=float) + requests.output_tokens.mean(dtype=float) / 2)


def read_steps(path: Path) -> pd.DataFrame:
    """Measured steps of a probe: CSV with the columns of `own_steps`."""
    needed = ("model", "precision", "accelerators", "batch", "context_tokens", "chunk_tokens", "median_ms", "as_of")
    raw = read_csv(path, needed)
    table = raw.copy()
    for name in needed[2:-1]:
        table[name] = numbers(raw, name, path)
        wrong = ~(table[name] > 0) if name == "median_ms" else table[name] < 0
        refuse_rows(
            path, wrong, "must be positive" if name == "median_ms" else "must not be negative", name, raw[name], None
        )
    undated = pd.to_datetime(raw["as_of"], format="%Y-%m-%d", errors="coerce").isna()
    refuse_rows(path, undated, "must be the date of the measurement, as 2026-10-01", "as_of", raw["as_of"], None)
    return table


def _at_end(
    requests: RequestStream, fleet: Fleet, law: StepTime, slos: tuple[Slo, ...], name: str
) -> dict[str, object]:
    """Figures of the same stream at one end of the interval of the step time; with an SLO, the replicas there."""
    fleet = replace(fleet, main=replace(fleet.main, law=law))
    try:
        size = size_fleet(requests, fleet, slos, name) if slos else None
    except InputError as error:
        return {"replicas": None, "reason": str(error)}
    said = figures(size.run if size else simulate_fleet(requests, fleet), 1.0)
    kept = ("replicas", "ttft_ms", "tpot_ms", "e2e_ms", "utilization", "usd_per_million_tokens")
    return {name: said[name] for name in kept}


def _load_engine(fleet: Fleet) -> None:
    """Compile or load the kernels on one request, so that the wall time is that of the simulation."""
    simulate_fleet(RequestStream(np.zeros(1), np.ones(1, dtype=int), np.ones(1, dtype=int)), fleet)


def figures(run: FleetRun, wall_s: float) -> dict[str, object]:
    """What a run comes to, under the names of the command's JSON; unknown is None."""
    return {
        "requests": len(run.requests),
        **{name: run.counts[name] for name in ("served", "failed", "overflowed", "unfinished")},
        "replicas": run.fleet.main.replicas,
        "ttft_ms": run.percentiles(run.ttft_s, overwrite=True),
        "tpot_ms": run.percentiles(run.tpot_s, overwrite=True),
        "e2e_ms": run.percentiles(np.where(run.answered, run.e2e_s, np.nan), overwrite=True),
        "utilization": run.utilization,
        "requests_per_s_simulated": len(run.requests) / wall_s,
        "wall_s": wall_s,
        "peak_memory_mb": peak_memory_mb(),
        "usd_per_million_tokens": _known(run.usd_per_million_tokens),
        "tier": run.fleet.main.law.tier,
        "prefix_hit_rate": _known(run.prefix_hit_rate),
    }


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, in 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def read_stream(path: Path) -> RequestStream:
    """Requests of a trace: plain columns arrival_s, input_tokens, output_tokens, or any known format."""
    return read_noted_stream(path)[0]


def read_noted_stream(path: Path) -> tuple[RequestStream, list[str]]:
    """Requests of a trace and what was left out of it.

    Of known formats and logs, requests without an answer (they failed, there is nothing to serve) and of
    unknown length are left out; plain columns must be whole.
    """
    if not path.is_file() and not path.is_dir():
        raise InputError.at(path.name, "no such file", value=str(path))
    kind, names = sniff(path)
    if kind == "columns" and set(PLAIN) <= set(names):
        stream = _plain_stream(path, names)
        return stream, _perhaps_milliseconds(stream.arrival_s)
    if kind == "columns":
        refuse_part(path.name, names, "requests", tuple(PLAIN))
    rows = read_request_trace(path)
    left_out = dict(rows.attrs["left_out"])
    answered = rows["output_tokens"] != 0
    if not answered.all():
        left_out["requests without an answer"] = int((~answered).sum())
        attrs, rows = rows.attrs, rows[answered].reset_index(drop=True)
        rows.attrs |= attrs
    if not len(rows):
        raise InputError.at(path.name, "there are no requests of known length with an answer")
    inputs = rows["input_tokens"].to_numpy()
    if "file_row" in rows and (inputs < 1).any():
        at = int(rows["file_row"][inputs < 1].min())
        raise InputError.at(
            path.name, "a request needs a prompt of 1 token or more", row=at, column="input_tokens", value=0
        )
    prefixes = _prefixes(rows)
    cached = np.minimum(rows["cached_input_tokens"].to_numpy(), np.maximum(inputs - 1, 0))
    if prefixes and (inputs > 0).all():
        cached = prefixes.best_hits(inputs)
    stream = RequestStream(
        rows["arrival_s"].to_numpy(), inputs, rows["output_tokens"].to_numpy(),
        cached if cached.any() else np.empty(0, dtype=np.int32), source=path.name, prefixes=prefixes,
    )  # fmt: skip
    return stream, [f"left out of the trace: {count:,} {what}" for what, count in left_out.items() if count]


def _perhaps_milliseconds(arrival_s: np.ndarray) -> list[str]:
    """A remark on whole numbers of seconds that stretch few requests over many days, as milliseconds would."""
    span_s = float(arrival_s[-1] - arrival_s[0])
    apart_s = span_s / max(len(arrival_s) - 1, 1)
    if span_s < LONG_S or apart_s < RARE_S or (arrival_s % 1).any():
        return []
    told = f"{span_s / 86_400:,.0f} days, one request in {apart_s:,.0f} s"
    return [f"arrival_s holds whole numbers over {told}: where they are milliseconds, divide by 1000"]


def _prefixes(rows: pd.DataFrame) -> Prefixes | None:
    """Names of the prompt blocks, where the trace has them."""
    if "prefix_blocks" not in rows or not rows["prefix_blocks"].str.len().any():
        return None
    return Prefixes.of(rows["prefix_blocks"].tolist(), rows.attrs["prefix_block_tokens"])


def _plain_stream(path: Path, names: list[str]) -> RequestStream:
    rows = read_source(path, source_contract("plain requests", PLAIN, PLAIN_OPTIONAL))
    if not len(rows):
        raise InputError.at(path.name, "there are no requests")
    columns = {name: rows[name].to_numpy(dtype=float, na_value=np.nan) for name in PLAIN}
    extra = {}
    for name, field in (("cached_input_tokens", "cached_tokens"), ("priority", "priority")):
        if name in names:
            extra[field] = rows[name].fillna(0).to_numpy(dtype=float)
    refuse_milliseconds(path.name, "arrival_s", float(columns["arrival_s"][0]), 2)
    stream = RequestStream(**columns, **extra, source=path.name)
    stream = replace(stream, arrival_s=stream.arrival_s - stream.arrival_s[0])
    last_s = float(stream.arrival_s[-1])
    if last_s > MOST_SPAN_S:
        rule = "must be seconds, two years from the first to the last at most; are these milliseconds? Divide by 1000"
        raise InputError.at(path.name, rule, column="arrival_s", value=last_s)
    return stream
