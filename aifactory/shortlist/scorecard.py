"""Vendor scorecard: seven criteria per candidate, each contribution with its source.

The scorecard compares vendors and decides no cell: performance per dollar is one of its criteria
for the template's sake, and `total_unpriced` leaves it out, to be read beside the money.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.weights import SCORECARD_CRITERIA
from aifactory.inputs.workspace import Workspace
from aifactory.shortlist import scales
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.money import on_todays_platform

PRICED = "performance_per_dollar"
COMPUTED = ("performance_per_dollar", "performance_per_watt")


def score_vendors(ws: Workspace, cells: pd.DataFrame, penalties: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scorecard and its long form (one row per candidate and criterion).

    Returns
    -------
    (scorecard, scorecard_long): the first with one column per criterion, `total` and
    `total_unpriced`, the second
    with weight, score, contribution = weight x score, rationale, source and as_of.
    """
    computed = {
        "performance_per_dollar": _per_dollar(ws, cells, penalties),
        "performance_per_watt": _per_watt(ws, cells),
    }
    classes = ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    rows, judgements = [], scales.judgements_by_key(ws.table("judgements"))
    for name in ws.plan.candidates:
        for criterion in SCORECARD_CRITERIA:
            rows.append({"accelerator_id": name, "platform_class": classes[name], "criterion": criterion,
                         **_entry(ws, criterion, name, classes[name], computed, judgements)})  # fmt: skip
    long = pd.DataFrame(rows)
    long["weight"] = long["criterion"].map(ws.plan.scorecard_weights).fillna(0.0)
    long["contribution"] = long["weight"] * long["score"].fillna(0.0)
    wide = long.pivot(index=["accelerator_id", "platform_class"], columns="criterion", values="score")
    wide = wide[list(SCORECARD_CRITERIA)].assign(
        total=long.groupby(["accelerator_id", "platform_class"])["contribution"].sum(),
        total_unpriced=_unpriced(long),
    )
    return wide.sort_values("total", ascending=False).reset_index(), long


def _unpriced(long: pd.DataFrame) -> pd.Series:
    """Weighted mean of the six criteria without a price: what money does not say about the vendor."""
    rest = long[long["criterion"] != PRICED]
    sums = rest.groupby(["accelerator_id", "platform_class"])[["contribution", "weight"]].sum()
    return sums["contribution"] / sums["weight"].where(sums["weight"] > 0)


def _entry(
    ws: Workspace,
    criterion: str,
    name: str,
    platform: str,
    computed: dict[str, pd.Series],
    judgements: dict[tuple[str, str, str], scales.Judgement],
) -> dict[str, object]:
    if criterion in COMPUTED:
        score = computed[criterion].get(name, np.nan)
        return {
            "score": score,
            "rationale": scales.ANCHOR_TEXT[criterion],
            "source": "benchmark stage",
            "as_of": pd.Timestamp(ws.as_of),
        }
    found = scales.judged(judgements, criterion, name, platform, "*")
    if found is None:
        return {"score": np.nan, "rationale": "not judged", "source": "", "as_of": pd.NaT}
    return {
        "score": found["score"],
        "rationale": found["rationale"],
        "source": found["source"],
        "as_of": found["as_of"],
    }


def _per_dollar(ws: Workspace, cells: pd.DataFrame, penalties: pd.DataFrame) -> pd.Series:
    """Mean over use cases of the score for compute cost on the plan's terms against today's platform."""
    cells = cells[KEYS].merge(penalties[[*KEYS, "compute_usd"]], on=KEYS, how="left")
    ratio = cells["compute_usd"] / on_todays_platform(ws, cells, "compute_usd")
    score = scales.anchored(ratio, scales.COST_ANCHORS)
    return pd.Series(score, index=cells.index).groupby(cells["accelerator_id"]).mean()


def _per_watt(ws: Workspace, cells: pd.DataFrame) -> pd.Series:
    """Mean over use cases of the score for units per watt of design power against today's platform."""
    tdp = cells["accelerator_id"].map(ws.table("accelerators").set_index("accelerator_id")["tdp_w"])
    with_watts = cells.assign(per_watt=cells["units_per_s_per_accelerator"].where(lambda rate: rate > 0) / tdp)
    score = scales.anchored(
        np.log2(with_watts["per_watt"] / on_todays_platform(ws, with_watts, "per_watt")), scales.WATT_ANCHORS
    )
    return pd.Series(score, index=cells.index).groupby(cells["accelerator_id"]).mean()
