"""Fewest replicas that keep latency percentiles, by search over the event simulator.

Three numbers, each with what binds: the steady-state minimum (fluid limit at the mean rate), the SLO-safe
count on the stream as it came, and the reserve that keeps that count up when replicas fail. All counts
are tried on the same requests (common random numbers). Attainment grows with replicas in
aggregate only, so the count next below is looked at again after the bisection.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from aifactory.errors import InputError, nearest
from aifactory.serving.closed_forms import Capacity, fluid_capacity
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, RequestStream
from aifactory.serving.fleet_run import FleetRun
from aifactory.serving.step_time import StepTime
from aifactory.units import MS_PER_S, percent

METRICS = ("ttft_ms", "tpot_ms", "e2e_ms")
MOST = 4096
#: Length of a burst: queues of a serving fleet build up and drain within seconds.
BURST_S = 10.0
#: Unexpected interruptions of one accelerator: 419 in 54 days on 16,384 GPUs (Llama 3 report, 2024).
MTBF_HOURS = 16_384 * 54 * 24 / 419
#: Repair and the share of time that all needed replicas must be up: assumptions of this model.
REPAIR_HOURS, UP_SHARE = 24.0, 0.999
#: Why more replicas than the mean load needs, by the limit that is nearest.
WAITS = {
    "ttft_ms": "prompts must not wait for each other",
    "tpot_ms": "batches must stay small",
    "e2e_ms": "queues and batches must stay small",
}
BINDS = {
    "memory": "the KV cache is full at that rate",
    "tokens": "the token budget of each step, that is compute, is used up at that rate",
    "sequences": "the batch limit is reached at that rate",
}


@dataclass(frozen=True)
class Slo:
    """A latency percentile and its limit, such as p95 of ttft_ms at 500."""

    percentile: float
    metric: str
    limit_ms: float

    def __str__(self) -> str:
        return f"p{self.percentile:g}_{self.metric}={self.limit_ms:g}"


def parse_slos(text: str) -> tuple[Slo, ...]:
    """Read `p95_ttft_ms=500,p95_tpot_ms=50`.

    >>> [str(slo) for slo in parse_slos("p95_ttft_ms=500, p99.9_e2e_ms=2e4")]
    ['p95_ttft_ms=500', 'p99.9_e2e_ms=20000']
    """
    found = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)_(\w+)\s*=\s*(\S+)", part)
        try:
            limit = float(match[3]) if match else np.nan
        except ValueError:
            limit = np.nan
        if match and match[2] not in METRICS:
            raise InputError(f"--slo: {match[2]!r} is no latency.{nearest(match[2], METRICS)}")
        if not match or not np.isfinite(limit) or limit <= 0 or float(match[1]) == 0:
            raise InputError.at("--slo", "must read like p95_ttft_ms=500,p95_tpot_ms=50", value=part)
        found.append(Slo(float(match[1]), match[2], limit))
    if not found:
        raise InputError.at("--slo", "names no limit; it must read like p95_ttft_ms=500,p95_tpot_ms=50", value=text)
    return tuple(found)


@dataclass(frozen=True)
class FleetSize:
    """Replicas needed, in three parts, each with a sentence on what binds."""

    steady_replicas: int
    slo_replicas: int
    reserve_replicas: int
    steady_because: str
    slo_because: str
    reserve_because: str
    run: FleetRun

    @property
    def replicas(self) -> int:
        """SLO-safe count and reserve together."""
        return self.slo_replicas + self.reserve_replicas


def attained_ms(run: FleetRun, slo: Slo) -> float:
    """The percentile over all requests in milliseconds; one that got no answer counts as infinitely late."""
    seconds = {"ttft_ms": run.ttft_s, "tpot_ms": run.tpot_s, "e2e_ms": run.e2e_s}[slo.metric]
    applies = run.requests.output_tokens > 1 if slo.metric == "tpot_ms" else np.ones(len(run.requests), dtype=bool)
    seconds = np.where(run.answered, seconds, np.inf)[applies]
    if seconds.size == 0:
        return 0.0
    late = np.count_nonzero(np.isinf(seconds))
    if late > (1 - slo.percentile / 100) * (seconds.size - 1):
        return np.inf
    value = np.percentile(seconds, slo.percentile, method="lower" if late else "linear")
    return float(value) * MS_PER_S


def meets(run: FleetRun, slos: tuple[Slo, ...]) -> bool:
    """Whether every limit is kept."""
    return all(attained_ms(run, slo) <= slo.limit_ms for slo in slos)


def floor_ms(law: StepTime, requests: RequestStream, slo: Slo) -> float:
    """The percentile if every request were alone on a replica: no fleet can be faster."""
    cached = requests.cached_tokens if requests.cached_tokens.size else np.zeros(len(requests), dtype=np.int32)
    fresh = requests.input_tokens.astype(float) - cached
    steps = requests.output_tokens - 1.0
    full, rest = np.divmod(fresh, law.chunk_tokens)
    parts = full * law.linear_s(law.chunk_tokens) + np.where(rest > 0, law.linear_s(rest), 0.0)
    pairs = fresh * (cached + (fresh + 1) / 2)
    ttft = parts + law.s_per_sequence * (full + (rest > 0)) + law.s_per_attention_pair * pairs + law.s_per_request
    tpot = law.step_s(1, 1, requests.input_tokens + (steps + 1) / 2)
    if slo.metric == "tpot_ms":
        tpot = tpot[steps > 0]
        return float(np.percentile(tpot, slo.percentile)) * MS_PER_S if tpot.size else 0.0
    times = ttft if slo.metric == "ttft_ms" else ttft + steps * tpot
    return float(np.percentile(times, slo.percentile)) * MS_PER_S


def check_floors(law: StepTime, requests: RequestStream, slos: tuple[Slo, ...], name: str) -> None:
    """Refuse limits that no number of replicas can keep."""
    blocks = law.kv_capacity_tokens // law.block_tokens
    longest = int((requests.input_tokens.astype(np.int64) + requests.output_tokens).max())
    if longest > blocks * law.block_tokens * 0.99:
        raise InputError(
            f"cannot keep an SLO for all requests: one of {longest} tokens does not fit into the KV cache of "
            f"{law.kv_capacity_tokens} tokens on {law.accelerators} x {name}"
        )

    for slo in slos:
        floor = floor_ms(law, requests, slo)
        if floor > slo.limit_ms:
            raise InputError(
                f"cannot keep {slo}: alone on an idle replica of {law.accelerators} x {name} the p{slo.percentile:g} is "
                f"already {floor:.3g} ms; ask for more than that, shorter prompts or a faster platform"
            )


def size_fleet(requests: RequestStream, fleet: Fleet, slos: tuple[Slo, ...], name: str = "accelerator") -> FleetSize:
    """Fewest main replicas of a fleet that keep all limits on a stream, with minimum and reserve.

    Raises
    ------
    InputError
        If a limit lies below the physical floor, or no count up to 4,096 keeps it.
    """
    law = fleet.main.law
    check_floors(law, requests, slos, name)
    capacity, rate = fluid_capacity(law, requests, fleet.watermark), mean_rate(requests)
    steady = max(1, int(np.ceil(rate / capacity.requests_per_s - 1e-9)))
    runs: dict[int, FleetRun] = {}

    def good(count: int) -> bool:
        if count not in runs:
            runs.clear() if len(runs) > 8 else None
            runs[count] = simulate_fleet(requests, replace(fleet, main=replace(fleet.main, replicas=count)))
        return meets(runs[count], slos)

    count = fewest(good, min(steady, MOST))
    good(count)
    reserve, reserve_because = failure_reserve(count, law.accelerators)
    return FleetSize(
        steady, count, reserve,
        f"{_many(steady)} for the mean of {rate:.3g} requests/s at {capacity.requests_per_s:.3g} a replica; "
        f"{BINDS[capacity.binds]}",
        _slo_because(requests, capacity, steady, count, runs[count], slos),
        reserve_because, runs[count],
    )  # fmt: skip


def fewest(good: Callable[[int], bool], guess: int, most: int = MOST) -> int:
    """Smallest count found good: doubling from a guess, bisection, then the two counts next below again.

    >>> fewest(lambda count: count >= 11, 3)
    11
    """
    low, high = 0, guess
    while not good(high):
        low, high = high, min(2 * high, most)
        if low >= most:
            raise InputError(f"no count up to {most} keeps the target: what arrives together is too much")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle, high)
    for count in (high - 2, high - 1):
        if count > 0 and good(count):
            return count
    return high


def _many(count: int, what: str = "replica") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def mean_rate(requests: RequestStream) -> float:
    """Requests per second over the stream; a stream without length counts as one second."""
    span = float(requests.arrival_s[-1] - requests.arrival_s[0])
    return len(requests) / span if span > 0 else float(len(requests))


def peak_rate(requests: RequestStream) -> float:
    """Requests per second in the busiest ten seconds."""
    windows = (requests.arrival_s // BURST_S).astype(np.int64)
    span = min(BURST_S, max(float(requests.arrival_s[-1] - requests.arrival_s[0]), 1.0))
    return float(np.unique(windows, return_counts=True)[1].max()) / span


def _slo_because(
    requests: RequestStream, capacity: Capacity, steady: int, count: int, run: FleetRun, slos: tuple[Slo, ...]
) -> str:
    tightest = max(slos, key=lambda slo: attained_ms(run, slo) / slo.limit_ms)
    reached = f"{tightest} is reached at {float(f'{attained_ms(run, tightest):.3g}'):,g} ms"
    if count <= steady:
        return f"{_many(count)}: the steady-state minimum keeps the SLO; {reached}"
    peak = peak_rate(requests)
    if peak / capacity.requests_per_s > 0.8 * count:
        return f"{_many(count)}: burst binds, the busiest ten seconds bring {peak:.3g} requests/s; {reached}"
    return f"{_many(count)}: latency binds, {WAITS[tightest.metric]}; {reached}"


def failure_reserve(replicas: int, accelerators: int) -> tuple[int, str]:
    """Spare replicas so that enough are up 99.9 % of the time, each failing with any of its accelerators.

    Up replicas of N + k are binomial with availability MTBF / (MTBF + repair).

    >>> failure_reserve(4, 8)[0]
    1
    """
    from scipy.stats import binom

    mtbf = MTBF_HOURS / accelerators
    up = mtbf / (mtbf + REPAIR_HOURS)
    spare = 0
    while binom.sf(replicas - 1, replicas + spare, up) < UP_SHARE:
        spare += 1
    return spare, (
        f"{_many(spare, 'spare replica')}: failure binds, with {mtbf:,.0f} h between failures of a replica and {REPAIR_HOURS:g} h "
        f"to repair (assumed), {_many(replicas)} {'is' if replicas == 1 else 'are'} up {percent(UP_SHARE)} of the time or more"
    )
