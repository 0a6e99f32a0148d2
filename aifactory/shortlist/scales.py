"""Anchored value scales: 0 is unacceptable, 1 good enough, linear between.

The anchors are fixed before results arrive and do not depend on which platforms are compared, so
adding one never changes the order of the others. Unknown scores 0: what nobody measured cannot
count as good enough.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.inputs.weights import PRICED

#: How far a judgement may be off, by its confidence: half, and a fifth, of a step of the five-step scale.
JUDGED_HALF_WIDTH = {"measured": 0.05, "claimed": 0.125, "assumed": 0.125}
#: Steps of the judged criteria, written down before any result; scores between two steps lean to the nearer.
STEPS = {
    "maturity": {0.0: "research only", 0.25: "vendor demonstrations", 0.5: "production at a few others",
                 0.75: "production at many, gaps for this work", 1.0: "production use elsewhere for this work"},
    "portability": {0.0: "rewrite to leave", 0.25: "own compiler and kernels", 0.5: "supported frameworks, retuning",
                    0.75: "small changes", 1.0: "models move without change"},
    "operational_risk": {0.0: "unknown failure modes, no staff", 0.25: "one vendor can help", 0.5: "known, thin staff",
                         0.75: "known failure modes, some staff", 1.0: "known failure modes and staff"},
}  # fmt: skip
#: (unacceptable, good enough)
COST_ANCHORS = (
    1.5,
    0.5,
)  # 1 + what a price over the horizon exceeds that of today's platform by, over the latter alone
NODE_ANCHORS = (6.0, 0.0)  # log2 of the nodes one region needs at its peak: 64 nodes, 1 node
DEVICE_ANCHORS = (12.0, 0.0)  # the same for edge devices, which come with their sites: 4,096, 1
LATENCY_ANCHORS = (1.0, 0.5)  # p95 over its limit at half of capacity
WATT_ANCHORS = (-1.0, 1.0)  # log2 of units per watt over today's platform: half, double
ANCHOR_TEXT = {
    "maturity": "judged; 1: production use elsewhere for this work",
    "cost": "present value over the horizon on the plan's terms, penalties included, beside the other use cases: 0 where dearer than today's platform by half of what that costs alone, 1 where cheaper by half; money, not scored",
    "throughput": "nodes, as bought, for the peak of the largest region (for work that can wait its average): 0 at 64 (edge devices: 4,096), 1 at 1",
    "latency": "p95 over its limit at half load: 0 at the limit, 1 at half of it; 1 where there is no limit",
    "portability": "judged; 1: models move without change",
    "operational_risk": "judged; 1: known failure modes and staff",
    "performance_per_dollar": "compute cost of each use case alone on the plan's terms over today's platform: 0 at 1.5 times, 1 at half; mean over use cases",
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


def unpriced_weights(weights: dict[str, float]) -> dict[str, float]:
    """Weights of the criteria without a price, scaled to a sum of 1.

    >>> unpriced_weights({"cost": 0.5, "maturity": 0.3, "latency": 0.2})
    {'maturity': 0.6, 'latency': 0.4}
    """
    rest = {name: value for name, value in weights.items() if name != PRICED}
    total = sum(rest.values())
    return {name: value / total for name, value in rest.items()}


def weighted_total(scores: pd.DataFrame, weights: dict[str, float]) -> pd.Series:
    """Additive value sum of w v; unknown scores count 0. Weights must name columns of `scores`."""
    return scores[list(weights)].fillna(0.0).mul(pd.Series(weights)).sum(axis=1)


Judgement = dict[str, object]


def judgements_by_key(judgements: pd.DataFrame) -> dict[tuple[str, str, str], Judgement]:
    """Judgements by (criterion, accelerator or platform class, workload class or '*'); the first of equals counts."""
    found: dict[tuple[str, str, str], Judgement] = {}
    for row in judgements.to_dict("records"):
        who = row["accelerator_id"] if isinstance(row["accelerator_id"], str) else row["platform_class"]
        found.setdefault((row["criterion"], who, row["workload_class"]), row)
    return found


def judged(
    judgements: dict[tuple[str, str, str], Judgement], criterion: str, accelerator: str, platform: str, workload: str
) -> Judgement | None:
    """The judgement that applies: accelerator before class, workload before '*'; None without one."""
    keys = ((criterion, who, what) for who in (accelerator, platform) for what in (workload, "*"))
    return next((judgements[key] for key in keys if key in judgements), None)
