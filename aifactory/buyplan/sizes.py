"""Three sizes of every served stream: what an even load needs, what keeps the SLO by chance, and the reserve.

Accelerators of whole replicas in the first month of the expected scenario in which a use case has work in a region, each stream
alone: streams of a pool share its nodes, so the fleet is smaller than the sum.

- steady: the busiest measured window if its requests came evenly;
- SLO-safe: the same window with requests that come by chance (`aifactory.serving.staffing`);
- reserve: what the plan holds above it, from the stream's own hours at the stated risk; below 0 where the target lets the
  busiest windows exceed capacity.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.benchmark.chance import OF_TRACE
from aifactory.buyplan.job_capacity import JOB_QUEUE
from aifactory.demand.reserve_money import with_one_pool_down
from aifactory.fleet.allowed_wait import TRAINING_CLASSES
from aifactory.fleet.risk_reserve import DEMAND_CHAIN
from aifactory.fleet.sites import held_in_sites
from aifactory.fleet.streams import EXPECTED, Streams, busiest, launch_months
from aifactory.inputs.plan import Plan
from aifactory.serving.staffing import safe_accelerators
from aifactory.units import counted, signed_percent

KEYS = ["use_case_id", "region", "accelerator_id"]
SIZES = [*KEYS, "month", "average", "steady", "slo", "slo_low", "slo_high", "reserve", "total", "understated_share", "tier",
         "steady_because", "slo_because", "reserve_because"]  # fmt: skip
BINDS = {"TTFT": "time to first token", "TPOT": "time per output token", "E2E": "time to the end"}


def whole(accelerators: np.ndarray, replica: np.ndarray | float = 1.0) -> np.ndarray:
    """Accelerators of whole replicas of `replica` accelerators; one at least where there is work.

    >>> whole(np.array([0.0, 0.2, 3.0, 3.1])).tolist(), whole(np.array([0.2, 2.0, 3.1]), 2.0).tolist()
    ([0, 1, 3, 4], [2, 2, 4])
    """
    replica = np.asarray(replica)
    return (np.ceil(np.asarray(accelerators) / replica - 1e-9) * replica).round().astype(int)


def sizes_frame(streams: Streams, plan: Plan, by_risk: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """One row per stream; `by_risk` says what the reserve of a stream is known from (`reserve_curve`), where it is."""
    table = streams.table
    first = _first_months(streams)
    at = first, np.arange(len(table))
    even = busiest(streams)[at]
    held = table["in_progress_per_accelerator"].astype(float).to_numpy()
    k = table["spread_constant"].astype(float).to_numpy()
    spread = ~table["movable"].to_numpy() & np.isfinite(held) & (k > 0)

    def safe(load: np.ndarray) -> np.ndarray:
        return np.where(spread, safe_accelerators(load, np.where(spread, held, 1.0), np.where(spread, k, 0.0)), load)

    slo = safe(even)
    replica = table["replica_accelerators"].astype(float).fillna(1.0).clip(lower=1.0).to_numpy()
    wanted, spare = even * (1.0 + streams.reserve[at]) * streams.chance[at], table["spare"].to_numpy()
    total = held_in_sites(wanted, *streams.site_terms)
    total = np.where(spare > 1, np.maximum(total, with_one_pool_down(wanted / spare, replica, spare)), total)
    low, high = (
        (table["units_per_s_per_accelerator"] / table[end]).fillna(1.0).to_numpy(float) for end in ("high", "low")
    )
    frame = table[[*KEYS, "tier"]].assign(
        month=np.array(streams.months)[first],
        average=streams.sized(streams.units[EXPECTED])[at],
        steady=whole(even, replica),
        slo=whole(slo, replica),
        slo_low=whole(safe(even * low), replica),
        slo_high=whole(safe(even * high), replica),
        total=np.maximum(whole(total, replica), 0),
        understated_share=np.divide(slo, even, out=np.ones_like(slo), where=even > 0) - 1.0,
    )
    frame["reserve"] = frame["total"] - frame["slo"]
    frame["steady_because"] = [_steady(stream) for stream in table.itertuples()]
    frame["slo_because"] = [
        _slo(stream, load * busy, known)
        for stream, load, busy, known in zip(table.itertuples(), even, held, spread, strict=True)
    ]
    launched = launch_months(table, plan, streams.months)[at]
    frame["reserve_because"] = [
        _reserve(stream, ratio, launch, by_risk.get((stream.use_case_id, stream.region)))
        + _spare(stream, plan.failure_domains.get(stream.criticality, 0))
        + (f", whole nodes at each of {stream.sites} sites" if stream.sites > 1 else "")
        for stream, ratio, launch in zip(table.itertuples(), streams.reserve[at], launched, strict=True)
    ]
    frame = frame[frame["average"] > 0].sort_values("total", ascending=False, kind="stable")
    return frame[SIZES].reset_index(drop=True)


def _first_months(streams: Streams) -> np.ndarray:
    """First month (from 1) in which the use case and region of each stream has work on any platform, [K]; 1 where it has none."""
    works = pd.DataFrame((streams.units[EXPECTED, 1:] > 0).T).groupby([streams.table[key] for key in KEYS[:2]])
    return works.transform("any").to_numpy().argmax(axis=1) + 1


def _steady(stream: tuple) -> str:
    if stream.movable:
        return "mean work binds: jobs wait for room"
    if stream.workload_class in TRAINING_CLASSES:
        return f"the busiest hours bind: jobs wait up to {_hours(stream)}"
    latency = BINDS.get(str(stream.binding_slo))
    return f"{latency} binds in the busiest window" if latency else "throughput binds in the busiest window"


def _hours(stream: tuple) -> str:
    return f"{stream.slo_p95_wait_hours:g} hour{'s' * (stream.slo_p95_wait_hours != 1)}"


def _slo(stream: tuple, in_progress: float, spread: bool) -> str:
    if stream.movable or (not spread and stream.workload_class in TRAINING_CLASSES):
        return "nothing added: jobs have no latency limit"
    if not spread:
        if stream.wait_hours > 1:
            return f"nothing added: its limit leaves {stream.wait_hours} hours to wait"
        if stream.chance_basis == OF_TRACE:
            return "nothing added: the test replayed a trace, which holds what chance brings"
        return "nothing added: requests in progress unknown or in no common queue"
    many = counted(round(in_progress), "request") if in_progress > 0.5 else "less than 1 request"
    return f"chance binds: {many} in progress, at times more"


def _reserve(stream: tuple, ratio: float, launch: bool, known_from: str | None) -> str:
    if stream.movable:
        return "planned utilisation binds: jobs wait less"
    if launch:
        return f"launch binds: {signed_percent(ratio)} on the busiest window"
    if known_from == DEMAND_CHAIN:
        return f"doubt of the demand chain binds: {signed_percent(ratio)} on the busiest window"
    if known_from == JOB_QUEUE:
        return f"queue binds: 95 of 100 jobs start within {_hours(stream)}"
    if known_from is None:
        return f"fixed ratio of the plan binds: {signed_percent(ratio)} on the busiest window"
    return f"{'bursts bind' if ratio >= 0 else 'target risk binds'}: {signed_percent(ratio)} on the busiest window"


def _spare(stream: tuple, pools: int) -> str:
    waits = stream.movable or stream.workload_class in TRAINING_CLASSES
    return "" if waits or not pools else f", one of {pools} pools down"
