"""Requests beyond the batch that decode engines are started with, and prefill pools that nobody states.

Engines are started with a largest batch, in published recipes a power of two for each worker or attention rank, and
several loads are measured on one recipe. The highest is often 1.05 to 1.4 times what its seats hold, rounded up, so
that none stays empty. With N requests at a time on S seats each waits (N / S - 1) x the time of an answer for one: a
closed loop's identity. Measured times to first token of disaggregated TensorRT-LLM, over the time of the answer:

    requests over the power of two below   1.05       1.10       1.20       1.30       1.41
    measured                               0.10-0.15  0.13-0.14  0.19-0.23  0.28-0.35  0.37-0.40

Loads below the highest of a recipe find seats (0.03 to 0.15), and so do those far above the power of two, whose limit
was another number. Layouts and loads are compared, never what was measured.

The wait is known once the time per output token is, so it stands outside the gap that deployments learn from each other
(`deployment_gap.py`): engines slow with prompts do not hold a seat longer. Measured times to first token are compared
with the closed form less the wait, a tenth of them at least; predicted ones are given it back.

Prefill workers that no row of the deployment states are taken to keep up: recipes choose them so. Where no recipe told
how many workers there are, typical ones stand in, and neither seats nor prefill follow from them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.serving.deployment_layout import DISAGGREGATED
from aifactory.serving.deployment_recipes import ALONE, TWIN

#: Requests over seats above which the limit on the batch is taken to be no power of two.
CROWD_MAX = 1.45
#: Least share of a measured time to first token that is not the wait for a seat.
OWN_LEAST = 0.1
#: One recipe: its loads ran on engines started alike.
RECIPE = (
    "architecture", "version", "chip", "precision", "split", "isl", "osl", "gpus", "prefill_gpus", "ranks", "workers",
    "prefill_workers",
)  # fmt: skip


def with_crowd(d: pd.DataFrame, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """Add `crowd`, requests per seat of the decode engines (1 or more), and `keeps_up`, 1 where prefill never binds.

    Recipes have the loads of `d` and of `others`, both with the columns of `deployment_recipes.with_recipes`.
    """
    known = d if others is None else pd.concat([d, others])
    batch = known["concurrency"] / known["workers"] / known["ranks"]
    highest = batch.groupby([known[name] for name in RECIPE]).transform("max").iloc[: len(d)]
    batch = batch.iloc[: len(d)]
    beyond = batch / np.exp2(np.floor(np.log2(batch.clip(lower=1.0))))
    whole = np.isclose(batch, np.round(batch))
    apart = d["split"].eq(DISAGGREGATED)
    told = d["layout"].eq("stated") | (d["layout"].isin((TWIN, ALONE)) & d["taken"])
    crowded = apart & told & beyond.between(1.0, CROWD_MAX) & (~whole | (batch >= highest))
    stated = d["prefill_num_workers"].notna() | (d["layout"].eq(TWIN) & d["taken"])
    return d.assign(crowd=beyond.where(crowded, 1.0), keeps_up=np.where(apart & ~stated, 1.0, 0.0))


def seat_wait_ms(d: pd.DataFrame, tpot_ms: pd.Series) -> pd.Series:
    """Mean wait for a seat, (requests per seat - 1) x output tokens x time of one; closed forms where that is unknown."""
    return (d["crowd"] - 1.0) * d["osl"] * tpot_ms.fillna(np.exp(d["prior_tpot"]))


def measured_ms(d: pd.DataFrame, target: str) -> pd.Series:
    """What was measured of a target, the time to first token less the wait for a seat."""
    measured = d[f"silicon_{target}_ms"]
    if target == "tpot":
        return measured
    return np.maximum(measured - seat_wait_ms(d, d["silicon_tpot_ms"]), OWN_LEAST * measured)
