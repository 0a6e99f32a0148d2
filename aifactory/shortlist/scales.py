"""Anchored value scales: 0 is unacceptable, 1 good enough, linear between.

The anchors are fixed before results arrive and do not depend on which platforms are compared, so
adding one never changes the order of the others. Unknown scores 0: what nobody measured cannot
count as good enough.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

MATRIX_CRITERIA = ("maturity", "cost", "throughput", "latency", "portability", "operational_risk")
SCORECARD_CRITERIA = ("performance_per_dollar", "performance_per_watt", "software_compatibility",
                      "orchestration_maturity", "observability", "supply", "lock_in")  # fmt: skip
#: (unacceptable, good enough)
COST_ANCHORS = (1.5, 0.5)  # cost per unit over that of today's platform
NODE_ANCHORS = (6.0, 0.0)  # log2 of the nodes one region needs at its peak: 64 nodes, 1 node
DEVICE_ANCHORS = (12.0, 0.0)  # the same for edge devices, which come with their sites: 4,096, 1
LATENCY_ANCHORS = (1.0, 0.5)  # p95 over its limit at half of capacity
WATT_ANCHORS = (-1.0, 1.0)  # log2 of units per watt over today's platform: half, double
ANCHOR_TEXT = {
    "maturity": "judged; 1: production use elsewhere for this work",
    "cost": "cost per unit over today's platform: 0 at 1.5 times, 1 at half",
    "throughput": "nodes for the peak of the largest region: 0 at 64 (edge devices: 4,096), 1 at 1",
    "latency": "p95 over its limit at half load: 0 at the limit, 1 at half of it; 1 where there is no limit",
    "portability": "judged; 1: models move without change",
    "operational_risk": "judged; 1: known failure modes and staff",
    "performance_per_dollar": "mean of the cost scores over use cases",
    "performance_per_watt": "units per watt of design power over today's platform: 0 at half, 1 at double",
    "software_compatibility": "judged",
    "orchestration_maturity": "judged",
    "observability": "judged",
    "supply": "judged; 1: several sources, weeks",
    "lock_in": "judged; 1: free to leave",
}


def anchored(values: ArrayLike, anchors: tuple[float, float]) -> np.ndarray:
    """Linear value between the two anchors, clipped to 0..1; NaN stays NaN.

    >>> anchored([2.0, 1.0, 0.5], (1.5, 0.5)).tolist()
    [0.0, 0.5, 1.0]
    """
    worst, best = anchors
    return np.clip((np.asarray(values, dtype=float) - worst) / (best - worst), 0.0, 1.0)


def weighted_total(scores: pd.DataFrame, weights: dict[str, float]) -> pd.Series:
    """Additive value sum of w v; unknown scores count 0. Weights must name columns of `scores`."""
    return scores[list(weights)].fillna(0.0).mul(pd.Series(weights)).sum(axis=1)


def judged(
    judgements: pd.DataFrame, criterion: str, accelerator: str, platform: str, workload: str
) -> pd.Series | None:
    """The judgement that applies: accelerator before class, workload before '*'; None without one."""
    rows = judgements[judgements["criterion"] == criterion]
    for who in (rows["accelerator_id"] == accelerator, rows["platform_class"] == platform):
        for what in (workload, "*"):
            hits = rows[who & (rows["workload_class"] == what)]
            if len(hits):
                return hits.iloc[0]
    return None
