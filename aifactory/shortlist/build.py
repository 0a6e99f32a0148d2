"""Stage 3 in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.benchmark import Benchmark
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.serving.capacity import overlap
from aifactory.shortlist import matrix, money, scales, scorecard

GENERAL, SPECIALISED, INNOVATION = "general GPU layer", "specialised layer", "innovation track"
CHOICE_COLUMNS = ["use_case_id", "accelerator_id", "platform_class", "tier", "tier_label", "total", "total_usd", "runner_up",
                  "margin_usd", "proven", "reason"]  # fmt: skip


@dataclass(frozen=True)
class Shortlist:
    """Result of the shortlist stage."""

    matrix: pd.DataFrame
    scorecard: pd.DataFrame
    scorecard_long: pd.DataFrame
    penalties: pd.DataFrame
    exclusions: pd.DataFrame
    choice: pd.DataFrame
    pilots: pd.DataFrame
    anchors: pd.DataFrame


def build_shortlist(ws: Workspace, inventory: Inventory, benchmark: Benchmark) -> Shortlist:
    """Score, exclude, price and decide every workload x platform cell, and choose per use case."""
    exclusions = matrix.find_exclusions(ws, benchmark.capacity)
    cells = matrix.decide(ws, matrix.score_matrix(ws, inventory, benchmark), exclusions)
    card, long = scorecard.score_vendors(ws, cells)
    penalties = money.horizon_costs(ws, inventory, cells)
    anchors = pd.DataFrame(
        [(name, ws.plan.matrix_weights.get(name, np.nan), scales.ANCHOR_TEXT[name]) for name in scales.MATRIX_CRITERIA],
        columns=["criterion", "weight", "anchors"],
    )
    return Shortlist(cells, card, long, penalties, exclusions, _choose(cells, penalties), _pilots(cells), anchors)


def _choose(cells: pd.DataFrame, penalties: pd.DataFrame) -> pd.DataFrame:
    """One platform per use case: the cheapest over the horizon among the best-evidenced cells."""
    joined = cells.merge(penalties[[*matrix.KEYS, "total_usd"]], on=matrix.KEYS, how="left")
    rows = [_choice_of(str(name), group) for name, group in joined.groupby("use_case_id", sort=True)]
    texts = ["use_case_id", "accelerator_id", "platform_class", "tier", "tier_label", "runner_up", "reason"]
    return pd.DataFrame(rows, columns=CHOICE_COLUMNS).astype(dict.fromkeys(texts, "str"))


def _choice_of(use_case: str, cells: pd.DataFrame) -> dict[str, object]:
    feasible = cells[cells["total_usd"].notna() & (cells["units_per_s_per_accelerator"] > 0)]
    feasible = feasible[~((feasible["decision"] == "reject") & feasible["total"].isna())]
    groups = (
        (feasible[feasible["decision"] == "choose"], "cheapest over the horizon among the platforms to choose"),
        (
            feasible[(feasible["tier"] == "measured") & _not_excluded(feasible)],
            "best measured; scores below the mark to choose",
        ),
        (feasible[_not_excluded(feasible)], "provisional: nothing was measured on own prompts, benchmark first"),
    )
    pool, reason = next(((group, text) for group, text in groups if len(group)), (feasible.iloc[:0], ""))
    if pool.empty:
        return {"use_case_id": use_case, "reason": "no platform has a known capacity and price: benchmark first"}
    ranked = pool.sort_values(["total_usd", "total"], ascending=[True, False], kind="stable")
    best = ranked.iloc[0]
    row = {
        name: best[name] for name in ("use_case_id", "accelerator_id", "platform_class", "tier", "total", "total_usd")
    }
    row |= {"tier_label": _layer(best["platform_class"], best["tier"]), "reason": reason}
    if len(ranked) > 1:
        second = ranked.iloc[1]
        cost = [_cost_range(item) for item in (best, second)]
        row |= {"runner_up": second["accelerator_id"], "margin_usd": second["total_usd"] - best["total_usd"],
                "proven": not overlap(*cost[0], *cost[1])}  # fmt: skip
    return row


def _cost_range(cell: pd.Series) -> tuple[float, float]:
    """Cost over the horizon at the high and at the low end of capacity; without a low end it has no limit."""
    work = cell["total_usd"] * cell["units_per_s_per_accelerator"]
    return work / cell["high"], work / cell["low"] if cell["low"] > 0 else np.inf


def _not_excluded(cells: pd.DataFrame) -> pd.Series:
    return (cells["decision"] != "reject") | cells["reason"].str.startswith("scores")


def _layer(platform_class: str, tier: str) -> str:
    if platform_class in ("gpu", "cpu"):
        return GENERAL
    return SPECIALISED if tier == "measured" else INNOVATION


def _pilots(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells worth a pilot, with what would change the decision."""
    pilots = cells[cells["decision"] == "pilot"]
    change = np.where(
        pilots["tier"] == "measured",
        "a higher score on the weakest criterion, or a lower price",
        "a run on own prompts that confirms the estimate",
    )
    return (
        pilots[[*matrix.KEYS, "platform_class", "total", "tier", "reason"]]
        .assign(exit_criterion=change)
        .reset_index(drop=True)
    )
