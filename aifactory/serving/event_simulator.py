"""Run the event simulator: a request stream through a fleet, request by request.

Serial and deterministic: the same inputs give the same digits. See `engine_replica` for what a step
does and `engine_fleet` for what happens between replicas.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from aifactory.errors import InputError
from aifactory.serving import engine_state as st
from aifactory.serving.engine_events import push, uniform
from aifactory.serving.engine_fleet import pay_until, run_until
from aifactory.serving.fleet import ROUTINGS, Fleet, Pool, RequestStream
from aifactory.serving.fleet_run import FleetRun
from aifactory.serving.step_time import StepTime

#: Simulated at once after the last arrival before asking whether all is done.
WINDOW_S = 3600.0
#: Simulated at once at most; then replicas that stand idle count their steps from 0 again.
LONGEST_WINDOW_S = 10 * 86_400.0
#: Steps of one replica without a pause, and seconds of a run, at most.
MOST_STEPS, MOST_SPAN_S = 2**31 - 2**24, 20 * 365.25 * 86_400
#: Records of prefix blocks at most, 20 bytes each, over all replicas.
MOST_RECORDS = 40_000_000


def simulate_fleet(
    requests: RequestStream, fleet: Fleet, *, horizon_s: float = np.inf, step_by_step: bool = False
) -> FleetRun:
    """Serve a request stream with a fleet, until all is done or `horizon_s`.

    Parameters
    ----------
    horizon_s : what is not finished by then counts as unfinished.
    step_by_step : take every decode step alone (a test oracle, slower, same results to rounding).

    Returns
    -------
    Times and outcome per request, integrals per minute; requests = served + failed + overflowed + unfinished.

    Raises
    ------
    InputError
        Arrivals of more than 20 years, or a replica that runs 2 x 10^9 steps without a pause.

    >>> from aifactory.serving.step_time import StepTime
    >>> law = StepTime(1e-4, 0.0, 0.0, 0.0, 0.01, 10_000)
    >>> run = simulate_fleet(RequestStream([0.0], [100], [3]), Fleet(Pool(law, 1)))
    >>> [round(float(x), 4) for x in (run.ttft_s[0], run.e2e_s[0])]
    [0.02, 0.0402]
    """
    last_s = float(requests.arrival_s[-1])
    if last_s > MOST_SPAN_S:
        rule = "must be seconds from the start, 20 years at most; are these milliseconds? Divide by 1000"
        raise InputError.at(requests.source, rule, column="arrival_s", value=last_s)
    sim = _build(requests, fleet, step_by_step)
    sim.options["horizon_s"] = horizon_s
    until = 0.0
    while True:
        ahead_s = last_s + WINDOW_S - until if until <= last_s else max(WINDOW_S, until)
        until = min(until + min(ahead_s, LONGEST_WINDOW_S), horizon_s)
        sim = _with_minutes(sim, until)
        run_until(sim, until)
        ledger = sim.ledger[0]
        settled = ledger["open"] == 0 and ledger["timers"] == 0 and ledger["arrived"] == len(requests)
        if (settled and (fleet.timeout_s is None or ledger["watched"] == len(requests))) or until >= horizon_s:
            break
        _count_anew(sim)
    _count_anew(sim)
    return _finish(sim, requests, fleet, horizon_s)


def _count_anew(sim: st.Sim) -> None:
    """Set the step counter of idle replicas to 0: a request keeps the number of its last step in 32 bits."""
    if (sim.replicas["tick"] > MOST_STEPS).any():
        raise InputError("a replica would run more than 2,000,000,000 steps without a pause; simulate a shorter trace")
    sim.replicas["tick"][sim.replicas["running"] == 0] = 0


def _build(requests: RequestStream, fleet: Fleet, step_by_step: bool) -> st.Sim:
    pools = [pool for pool in fleet.pools if pool is not None]
    count, size = sum(pool.replicas for pool in pools), len(requests)
    priorities = int(requests.priority.max()) + 1 if requests.priority.size else 1
    laws = np.zeros(len(pools), dtype=st.LAW)
    timed = size * _timed_events(fleet)
    kept = _prefix_cache(requests, fleet, pools, count)
    sim = st.Sim(
        arrival_s=_read_only(requests.arrival_s),
        input_tokens=_read_only(requests.input_tokens),
        output_tokens=_read_only(requests.output_tokens),
        cached_tokens=_read_only(requests.cached_tokens if fleet.prefix_cache else np.empty(0, dtype=np.int32)),
        priority=_read_only(requests.priority),
        requests=np.zeros(size, dtype=st.REQUEST),
        replicas=np.zeros(count, dtype=st.REPLICA),
        load=np.zeros(count, dtype=np.int64),
        due_s=np.full(count, np.inf),
        wheel=np.full((count, st.WHEEL), st.NOBODY, dtype=np.int32),
        residues=np.zeros((count, max(pool.law.block_tokens for pool in pools)), dtype=np.int32),
        heads=np.full((count, priorities), st.NOBODY, dtype=np.int32),
        tails=np.full((count, priorities), st.NOBODY, dtype=np.int32),
        laws=laws,
        **kept,
        linear_s=_tables(pools),
        pools=np.zeros(3, dtype=st.POOL),
        minutes=np.zeros((len(pools), 0, st.MINUTE_COLUMNS)),
        event_s=np.empty(timed + 3 * count + 16),
        event_code=np.empty(timed + 3 * count + 16, dtype=np.int64),
        options=_options(fleet, step_by_step),
        ledger=np.zeros(1, dtype=st.LEDGER),
    )
    _place(sim, fleet, requests)
    longest = (
        int(requests.input_tokens.max()) + int(requests.output_tokens.max()) + max(p.law.block_tokens for p in pools)
    )
    sim.options["oversize"] = longest > 0.9 * min((1 - fleet.watermark) * pool.law.kv_capacity_tokens for pool in pools)
    _start(sim, fleet)
    return sim


def _read_only(values: np.ndarray) -> np.ndarray:
    """A view that cannot be written to: tables hand out such arrays, and each mixture would be compiled anew."""
    view = values.view()
    view.flags.writeable = False
    return view


def _timed_events(fleet: Fleet) -> int:
    """Events at most that one request has in the heap: each try may leave a time-out and a hand-over behind."""
    tries = 1 + fleet.retries if fleet.timeout_s is not None else 1
    return bool(fleet.retries) + (fleet.retries if fleet.timeout_s is not None else 0) + bool(fleet.decode) * tries


def _prefix_cache(requests: RequestStream, fleet: Fleet, pools: list[Pool], count: int) -> dict[str, np.ndarray]:
    """Arrays of the prefix caches; empty without named prefixes."""
    named = requests.prefixes if fleet.prefix_cache else None
    if named is None:
        return _NO_PREFIXES
    records = max(pool.law.kv_capacity_tokens // named.block_tokens for pool in pools) + 2
    if count * records > MOST_RECORDS:
        raise InputError.at(
            "fleet", f"prefix caches would need more than {MOST_RECORDS:,} records", value=count * records
        )
    prefixes = np.zeros((count, records), dtype=st.PREFIX)
    prefixes["chain"] = np.where(np.arange(records) == records - 1, st.NOBODY, np.arange(records) + 1)
    return {
        "prefix_start": _read_only(named.start),
        "prefix_ids": _read_only(named.ids),
        "hits": np.zeros(len(requests), dtype=np.int32),
        "caches": np.array([(0, st.NOBODY, st.NOBODY, 0)] * count, dtype=st.CACHE),
        "prefixes": prefixes,
        "buckets": np.full((count, 1 << int(records).bit_length()), st.NOBODY, dtype=np.int32),
    }


_NO_PREFIXES = {
    "prefix_start": _read_only(np.empty(0, dtype=np.int64)),
    "prefix_ids": _read_only(np.empty(0, dtype=np.int32)),
    "hits": np.empty(0, dtype=np.int32),
    "caches": np.empty(0, dtype=st.CACHE),
    "prefixes": np.empty((0, 0), dtype=st.PREFIX),
    "buckets": np.empty((0, 0), dtype=np.int32),
}


def _tables(pools: list[Pool]) -> np.ndarray:
    most = max(max(pool.law.chunk_tokens, pool.law.max_batch) for pool in pools)
    return np.stack([_linear_table(pool.law, most) for pool in pools])


@lru_cache(maxsize=64)
def _linear_table(law: StepTime, most: int) -> np.ndarray:
    return law.linear_s(np.arange(most + 1))


def _options(fleet: Fleet, step_by_step: bool) -> np.ndarray:
    options = np.zeros(1, dtype=st.OPTIONS)
    values = {
        "policy": ROUTINGS.index(fleet.routing),
        "leap": not step_by_step,
        "queue_limit": -1 if fleet.queue_limit is None else fleet.queue_limit,
        "overflow": st.TO_CLASS if fleet.spill else st.TO_API if fleet.api else st.REJECT,
        "max_retries": fleet.retries,
        "seed": fleet.seed,
        "backoff_s": fleet.backoff_s,
        "disaggregated": fleet.decode is not None,
        "timed": fleet.timeout_s is not None,
        "timeout_s": np.inf if fleet.timeout_s is None else fleet.timeout_s - fleet.main.law.s_per_request,
    }
    if fleet.api:
        values |= {"api_ttft_s": fleet.api.ttft_s, "api_tpot_s": fleet.api.tpot_s}
    if fleet.failures:
        values |= vars(fleet.failures)
    if fleet.autoscale:
        values |= {name: value for name, value in vars(fleet.autoscale).items() if name != "start"}
    for name, value in values.items():
        options[name] = value
    return options


def _place(sim: st.Sim, fleet: Fleet, requests: RequestStream) -> None:
    """Lay the pools out one after the other and fill the laws."""
    first = number = 0
    for which, pool in enumerate(fleet.pools):
        if pool is None:
            continue
        law = pool.law
        blocks = law.kv_capacity_tokens // law.block_tokens
        kept = requests.prefixes.block_tokens if requests.prefixes and fleet.prefix_cache else 0
        if kept % law.block_tokens:
            raise InputError.at(
                "fleet",
                f"prefix blocks of {kept} tokens must be whole KV blocks",
                column="block_tokens",
                value=law.block_tokens,
            )
        sim.laws[number] = (
            law.chunk_tokens, law.max_batch, law.block_tokens.bit_length() - 1, law.block_tokens - 1,
            blocks, int(fleet.watermark * blocks), which, which == st.MAIN and fleet.decode is not None,
            kept, 0 if which == st.DECODE else kept // law.block_tokens,
            law.s_per_kv_token, law.s_per_attention_pair, law.s_per_sequence, law.s_per_transfer_token,
        )  # fmt: skip
        last = first + pool.replicas
        sim.pools[which] = (first, last, 0)
        sim.replicas["law"][first:last] = number
        sim.replicas["free"][first:last] = blocks
        first, number = last, number + 1
    sim.replicas["due_tick"] = st.NEVER
    sim.replicas["partial"] = st.NOBODY
    sim.replicas["state"] = st.ON


def _start(sim: st.Sim, fleet: Fleet) -> None:
    """State of the replicas at time 0 and the first timed events."""
    if fleet.autoscale:
        off = slice(max(fleet.autoscale.least, min(fleet.autoscale.start, fleet.main.replicas)), fleet.main.replicas)
        sim.replicas["state"][off] = st.OFF
        sim.load[off] = st.CLOSED
        push(sim, fleet.autoscale.tick_s, st.E_TICK << st.KIND_SHIFT)
    if fleet.failures:
        for r in range(sim.load.size):
            time = -np.log(uniform(fleet.seed, -1 - r, 1)) * fleet.failures.mtbf_s
            push(sim, time, (st.E_FAIL << st.KIND_SHIFT) + r)


def _with_minutes(sim: st.Sim, until: float) -> st.Sim:
    """The same run with a minute table that reaches beyond `until`; it doubles, so that a long run copies little."""
    wanted = int(until / st.MINUTE_S) + 62
    if wanted <= sim.minutes.shape[1]:
        return sim
    wanted = max(wanted, 2 * sim.minutes.shape[1])
    table = np.zeros((sim.laws.size, wanted, st.MINUTE_COLUMNS))
    table[:, : sim.minutes.shape[1]] = sim.minutes
    return sim._replace(minutes=table)


def _finish(sim: st.Sim, requests: RequestStream, fleet: Fleet, horizon_s: float) -> FleetRun:
    end_s = float(horizon_s) if np.isfinite(horizon_s) else float(sim.ledger["end_s"][0])
    for r in range(sim.load.size):
        if sim.replicas["state"][r] != st.OFF:
            pay_until(sim, r, end_s)
    return FleetRun(requests, fleet, sim, end_s)
