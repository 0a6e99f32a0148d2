"""Many simulations: workloads x platforms x fleet sizes x scenarios, on one machine or a cluster.

The backend is configuration: sequential, threading, loky (processes) or dask (an existing cluster: have a
`distributed.Client` open). Each task has its own seed, spawned by its index, so every backend and number
of workers gives the same digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from aifactory.errors import InputError, nearest
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, RequestStream

BACKENDS = ("sequential", "threading", "loky", "dask")


def sweep(
    function: Callable[[Any, np.random.SeedSequence], Any],
    tasks: Sequence[Any],
    *,
    backend: str = "threading",
    workers: int = 1,
    seed: int = 0,
) -> list[Any]:
    """`function(task, its seed)` for every task, in order.

    >>> sweep(lambda task, seed: task * 2, [1, 2, 3], backend="sequential")
    [2, 4, 6]
    """
    if backend not in BACKENDS:
        raise InputError(f"backend {backend!r} is not known.{nearest(backend, BACKENDS)}")
    from joblib import Parallel, delayed, parallel_config

    seeds = np.random.SeedSequence(seed).spawn(len(tasks))
    with parallel_config(backend=backend, n_jobs=workers):
        return list(Parallel()(delayed(function)(task, own) for task, own in zip(tasks, seeds, strict=True)))


@dataclass(frozen=True)
class Case:
    """One cell of a sweep."""

    workload: str
    platform: str
    scenario: str
    requests: RequestStream
    fleet: Fleet


def run_case(case: Case, seed: np.random.SeedSequence) -> dict[str, object]:
    """Figures of one cell."""
    fleet = replace(case.fleet, seed=int(seed.generate_state(1)[0]))
    run = simulate_fleet(case.requests, fleet)
    latencies = {"ttft": run.ttft_s, "tpot": run.tpot_s, "e2e": np.where(run.answered, run.e2e_s, np.nan)}
    return {
        "workload": case.workload,
        "platform": case.platform,
        "scenario": case.scenario,
        "replicas": fleet.main.replicas,
        "requests": len(case.requests),
        **run.counts,
        **{f"{p}_{name}_ms": value for name, s in latencies.items() for p, value in run.percentiles(s).items()},
        "utilization": run.utilization,
        "cost_usd": run.cost_usd,
        "usd_per_million_tokens": run.usd_per_million_tokens,
    }


def sweep_fleets(cases: Sequence[Case], *, backend: str = "threading", workers: int = 1, seed: int = 0) -> pd.DataFrame:
    """One row per case, in their order."""
    return pd.DataFrame(sweep(run_case, cases, backend=backend, workers=workers, seed=seed))
