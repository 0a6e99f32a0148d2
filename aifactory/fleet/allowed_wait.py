"""Batch work that must be done within hours: it is spread over the hours that it may wait.

With a limit of L whole hours to the end of a request, n = L - 1 hours are for waiting (the last is for the work itself). The
work of each hour is done in equal parts in it and the n - 1 hours after it, so that nothing waits longer, and a fleet is asked
for the trailing mean of n hours instead of each hour's load: a schedule that keeps the limit, not the best one. Jobs of training
that must start within W hours are spread over W + 1, the hour in which they are asked for and the W after it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.plan import Plan
from aifactory.units import KILO, SECONDS_PER_HOUR, TRAINING_CLASSES

WAIT_LIMIT = "slo_p95_wait_hours"
LATENCY_LIMITS = ["slo_p95_ttft_ms", "slo_p95_tpot_ms", "slo_p95_e2e_ms"]
FIRST_ANSWER = ["slo_p95_ttft_ms", "slo_p95_tpot_ms"]


def allowed_wait(use_cases: pd.DataFrame) -> np.ndarray:
    """[K] hours over which work may be spread: 1 where it is done as it comes.

    Columns `workload_class`, `request_pattern` and the limits. A limit of the first answer or of its speed is one of people who
    wait. Of training the limit of the wait counts alone.

    >>> limits = {"request_pattern": ["batch", "batch", "interactive"], "slo_p95_ttft_ms": np.nan, "slo_p95_tpot_ms": np.nan}
    >>> limits |= {"workload_class": "agentic", "slo_p95_wait_hours": np.nan}
    >>> allowed_wait(pd.DataFrame(limits | {"slo_p95_e2e_ms": [8 * 3_600_000.0, 60_000.0, 8 * 3_600_000.0]})).tolist()
    [7, 1, 1]
    """
    limit = use_cases["slo_p95_e2e_ms"].astype("float64").to_numpy() / (KILO * SECONDS_PER_HOUR)
    batch = (use_cases["request_pattern"] == "batch").to_numpy() & use_cases[FIRST_ANSWER].isna().all(axis=1).to_numpy()
    served = np.where(batch, np.maximum(np.floor(np.nan_to_num(limit)) - 1, 1), 1)
    training = use_cases["workload_class"].isin(TRAINING_CLASSES).to_numpy()
    wait = np.floor(np.nan_to_num(use_cases[WAIT_LIMIT].astype("float64").to_numpy())) + 1
    return np.where(training, wait, served).astype(int)


def is_movable(use_cases: pd.DataFrame) -> pd.Series:
    """Work that waits until there is room: training and batch work without a limit. A fleet for it holds its average."""
    training = use_cases["workload_class"].isin(TRAINING_CLASSES)
    batch = (use_cases["request_pattern"] == "batch") & use_cases[LATENCY_LIMITS].isna().all(axis=1)
    return (training & use_cases[WAIT_LIMIT].isna()) | (~training & batch)


def headroom(plan: Plan) -> float:
    """Share added to the average of movable work."""
    return 1.0 / plan.value("planning_utilization") - 1.0


def spread_over(load: np.ndarray, hours: int) -> np.ndarray:
    """Trailing mean of `hours` hours of a load (H,) in time, shorter at its beginning; what was not seen stays so.

    >>> spread_over(np.array([6.0, 0.0, 0.0, 3.0]), 3).tolist()
    [6.0, 3.0, 2.0, 1.0]
    """
    series = pd.Series(np.asarray(load, dtype=float))
    return series.rolling(hours, min_periods=1).mean().where(series.notna()).to_numpy()


def spread_round(shape: np.ndarray, hours: int) -> np.ndarray:
    """The same of a shape (H,) that repeats: its first hours follow its last, so that its mean stays.

    >>> spread_round(np.array([4.0, 0.0, 0.0, 0.0]), 2).tolist()
    [2.0, 2.0, 0.0, 0.0]
    """
    count = len(shape)
    return spread_over(np.concatenate([shape, shape]), min(hours, count))[count:]
