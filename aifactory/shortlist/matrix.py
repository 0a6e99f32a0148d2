"""Workload x platform matrix: six criteria with intervals, score without cost, decision per cell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.benchmark import Benchmark
from aifactory.benchmark.telemetry import OWN_EVIDENCE, TELEMETRY, latencies_shown
from aifactory.demand.lumps import at_level
from aifactory.fleet.allowed_wait import allowed_wait, headroom, is_movable, spread_round
from aifactory.fleet.stand_in import period_shapes
from aifactory.inputs.sites import sites_in
from aifactory.inputs.weights import MATRIX_CRITERIA, check_weights
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.today import baseline_accelerators
from aifactory.serving.sizing import accelerator_hours
from aifactory.serving.staffing import chance_factor
from aifactory.shortlist import scales
from aifactory.shortlist.engine_latency import estimate_latencies
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.money import beside, billed_usd
from aifactory.units import decimals_apart

JUDGED = ("maturity", "portability", "operational_risk")
ENDS = ("low", "high")


def score_matrix(ws: Workspace, inventory: Inventory, benchmark: Benchmark, penalties: pd.DataFrame) -> pd.DataFrame:
    """Scores of every cell on the six criteria with their intervals, and the score without cost.

    cost is the value of the whole price over the horizon (`with_cost`) against today's platform and
    enters only the comparison of money with the rest; `total` is the weighted mean of the other
    five. Columns `<criterion>_low` and `<criterion>_high` bound each score: capacity moves cost,
    throughput and latency; judgements move by their confidence; what nobody knows is 0 to 1.
    """
    check_weights(ws.plan.matrix_weights, ws.plan.scorecard_weights, ws.plan.weight_limits)
    cells = _judge(ws, benchmark.capacity.merge(penalties[[*KEYS, "node_accelerators"]], on=KEYS, how="left"))
    billed, computed = billed_usd(ws, inventory), {}
    cells = with_cost(cells, penalties, baseline_accelerators(ws, cells), billed)
    middle = cells["units_per_s_per_accelerator"]
    capacities = [middle, *(cells[end].where(cells[end].notna(), middle) for end in ENDS)]
    shares = latency_shares(ws, benchmark, cells, capacities)
    cells["latency_ratio"], cells["latency_tier"] = shares["ratio"], shares["tier"]
    for end, capacity, column in zip(("", "_low", "_high"), capacities, ("ratio", "at_low", "at_high"), strict=True):
        computed[f"throughput{end}"] = _throughput(ws, inventory, cells.assign(units_per_s_per_accelerator=capacity))
        computed[f"latency{end}"] = scales.anchored(shares[column], scales.LATENCY_ANCHORS)
    cells = cells.assign(**_bounded(computed, "throughput"), **_bounded(computed, "latency"))
    known = cells["units_per_s_per_accelerator"] > 0
    cells["total"] = scales.weighted_total(cells, scales.unpriced_weights(ws.plan.matrix_weights)).where(known)
    return cells


def with_cost(cells: pd.DataFrame, penalties: pd.DataFrame, today: pd.Series, billed: pd.Series) -> pd.DataFrame:
    """Cells with the criterion cost and its ends: v(1 + (price - price of today's platform) / price of today's platform alone).

    Prices over the horizon are those beside the other use cases where `penalties` has them (`sharing.priced_beside`), else those
    of the use case alone; v is linear from 0 at `scales.COST_ANCHORS`[0] to 1. The scale is a price alone, so that it neither
    vanishes nor moves where a use case finds room on nodes of others; where none are shared the ratio of both prices is left.
    Where no offer prices today's platform, what the bill charges for the same work stands for both prices of it.

    today : accelerator that stands for today's platform by use case.
    billed : `money.billed_usd`, by use case.
    """
    names = ("total_usd", "total_high_usd", "total_low_usd")
    money = penalties[KEYS].assign(**{name: beside(penalties, name) for name in names}, alone=penalties["total_usd"])
    at = money.set_index(KEYS)
    usd = at.reindex(pd.MultiIndex.from_frame(cells[KEYS]))
    now = at.reindex(pd.MultiIndex.from_arrays([cells["use_case_id"], cells["use_case_id"].map(today)]))
    charged = cells["use_case_id"].map(billed).to_numpy(dtype=float)
    unpriced = now[["total_usd", "alone"]].isna().any(axis=1).to_numpy()
    first, scale = (np.where(unpriced, charged, now[name].to_numpy(dtype=float)) for name in ("total_usd", "alone"))
    ratio = {end: 1.0 + (usd[name].to_numpy(dtype=float) - first) / scale for end, name in zip(("", "_low", "_high"), names, strict=True)}  # fmt: skip
    values = {f"cost{end}": scales.anchored(found, scales.COST_ANCHORS) for end, found in ratio.items()}
    return cells.assign(**_bounded(values, "cost"))


def _bounded(values: Mapping[str, np.ndarray], criterion: str) -> dict[str, np.ndarray]:
    """A criterion with both ends: 0 and 1 where it is not known, itself where an end is not."""
    middle = np.asarray(values[criterion], dtype=float)
    both = [np.where(np.isnan(middle), edge, values[f"{criterion}_{end}"]) for edge, end in ((0.0, "low"), (1.0, "high"))]  # fmt: skip
    both = [np.where(np.isnan(found), middle, found) for found in both]
    return {criterion: middle, f"{criterion}_low": np.minimum(*both), f"{criterion}_high": np.maximum(*both)}


def _judge(ws: Workspace, cells: pd.DataFrame) -> pd.DataFrame:
    """Add the judged criteria with the interval that the judgement's confidence allows."""
    judgements = scales.judgements_by_key(ws.table("judgements"))
    for criterion in JUDGED:
        found = [scales.judged(judgements, criterion, cell.accelerator_id, cell.platform_class, cell.workload_class)
                 for cell in cells.itertuples(index=False)]  # fmt: skip
        score = np.array([np.nan if item is None else item["score"] for item in found], dtype=float)
        half = np.array(
            [np.nan if item is None else scales.JUDGED_HALF_WIDTH[item["confidence"]] for item in found], dtype=float
        )
        cells[criterion] = score
        cells[f"{criterion}_low"] = np.where(np.isnan(score), 0.0, np.clip(score - half, 0, 1))
        cells[f"{criterion}_high"] = np.where(np.isnan(score), 1.0, np.clip(score + half, 0, 1))
    return cells


def _throughput(ws: Workspace, inventory: Inventory, cells: pd.DataFrame) -> np.ndarray:
    nodes = np.log2(nodes_at_peak(ws, inventory, cells))
    few, many = (scales.anchored(nodes, anchors) for anchors in (scales.NODE_ANCHORS, scales.DEVICE_ANCHORS))
    return np.where(cells["platform_class"] == "edge", many, few)


def nodes_at_peak(ws: Workspace, inventory: Inventory, cells: pd.DataFrame) -> np.ndarray:
    """Whole nodes that the region with the highest peak needs, reserve included; NaN unknown.

    Nodes are of the size in which they are cheapest for the cell (`plan_terms.price_cells`), else of the catalogue's.
    """
    need = nodes_needed(ws, inventory, cells)
    if np.isnan(need).all():
        return need
    sites = _sites_at_peak(ws, inventory, cells)
    return np.where(np.isnan(need), np.nan, np.maximum(np.ceil(need / sites), 1) * sites)


def _sites_at_peak(ws: Workspace, inventory: Inventory, cells: pd.DataFrame) -> np.ndarray:
    """Sites that stand alone in the region with the highest peak of each use case, 1 where it has none."""
    region = _highest_peaks(ws, inventory)["region"]
    stated = ws.table("use_cases").set_index("use_case_id")["sites"]
    return np.array([sites_in(stated.get(name), region.get(name, "")) for name in cells["use_case_id"]], dtype=float)


def nodes_needed(ws: Workspace, inventory: Inventory, cells: pd.DataFrame) -> np.ndarray:
    """The same before rounding up; work that can wait until there is room asks for its average, as in the plan."""
    cases = ws.table("use_cases").set_index("use_case_id")
    if inventory.demand_profile.empty:
        return np.full(len(cells), np.nan)
    peak = cells["use_case_id"].map(_highest_peaks(ws, inventory)["units_per_hour_peak"])
    waits = cells["use_case_id"].map(is_movable(cases))
    reserve = cells["use_case_id"].map(cases["criticality"]).map(ws.plan.reserve).mask(waits, headroom(ws.plan))
    size = node_sizes(ws, cells)
    rate = cells["units_per_s_per_accelerator"].where(cells["units_per_s_per_accelerator"] > 0)
    need = accelerator_hours(peak, rate.fillna(1.0)) * (1 + reserve)
    if "in_progress_per_accelerator" in cells:
        hours = cells["use_case_id"].map(pd.Series(allowed_wait(cases), index=cases.index))
        held = (
            cells["in_progress_per_accelerator"].astype(float).mask((hours > 1) | waits)
        )  # a queue of hours takes what chance brings
        need = need * chance_factor(need, held, cells["spread_constant"])
    return (need / size).where(rate.notna() & peak.notna()).to_numpy(dtype=float)


def _highest_peaks(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    """By use case: `region` with the highest peak and its `units_per_hour_peak`; work with hours to wait is spread over these, movable work over all."""
    profile, cases = at_level(inventory.demand_profile), ws.table("use_cases")
    hours = dict(zip(cases["use_case_id"], allowed_wait(cases), strict=True))
    late = profile[[hours.get(name, 1) > 1 for name in profile["use_case_id"]]]
    shapes = period_shapes(ws, late)
    spread = pd.Series({row.Index: row.units_per_hour_avg * spread_round(shapes[row.use_case_id, row.region], hours[row.use_case_id]).max()
                        for row in late.itertuples()}, dtype=float)  # fmt: skip
    peaks = profile.assign(units_per_hour_peak=spread.reindex(profile.index).fillna(profile["units_per_hour_peak"]))
    movable = profile["use_case_id"].map(is_movable(cases.set_index("use_case_id")))
    peaks["units_per_hour_peak"] = peaks["units_per_hour_peak"].mask(movable, profile["units_per_hour_avg"])
    peaks = peaks.sort_values("units_per_hour_peak", ascending=False, kind="stable")
    return peaks.drop_duplicates("use_case_id").set_index("use_case_id")


def node_sizes(ws: Workspace, cells: pd.DataFrame) -> pd.Series:
    """Accelerators in a node of each cell: as bought, else as in the catalogue."""
    held = ws.table("accelerators").set_index("accelerator_id")["accelerators_per_node"]
    catalogue = cells["accelerator_id"].map(held).astype("float64")
    bought = cells.get("node_accelerators", pd.Series(np.nan, index=cells.index))
    return bought.astype("float64").fillna(catalogue)


def latency_shares(
    ws: Workspace, benchmark: Benchmark, cells: pd.DataFrame, capacities: list[pd.Series]
) -> pd.DataFrame:
    """Worst p95 over its limit at half of capacity: ratio, and at the low and high ends of capacity.

    Read off the measured curve where there is one; that of production, at its load, where production
    gives the capacity; else estimated by the serving engine, else unknown; 0 where the use case has no latency limit. At the low end of capacity the same work is a
    higher share of it, so the p95 is read where that share of the curve lies. `tier` says which.
    """
    names = {"p95_ttft_ms": "slo_p95_ttft_ms", "p95_tpot_ms": "slo_p95_tpot_ms", "p95_e2e_ms": "slo_p95_e2e_ms"}
    limits = ws.table("use_cases").set_index("use_case_id")[list(names.values())].astype("float64").T.to_dict()
    curves = {key: group.sort_values("units_per_s_per_accelerator") for key, group in benchmark.curves.groupby(KEYS)}
    ends = np.column_stack([capacity.to_numpy(dtype=float) for capacity in capacities])
    found = pd.DataFrame(np.nan, index=cells.index, columns=["ratio", "at_low", "at_high"]).assign(tier="unknown")
    seen: dict[tuple[str, str], np.ndarray] = {}
    shown = latencies_shown(ws) if (cells["tier"] == TELEMETRY).any() else pd.DataFrame()
    for row, cell in enumerate(cells.itertuples(index=False)):
        slo, key = limits[cell.use_case_id], (cell.use_case_id, cell.accelerator_id)
        if np.isnan(list(slo.values())).all():
            found.iloc[row] = [0.0, 0.0, 0.0, "no limit"]
        elif key in curves:
            curve = curves[key]
            curve = curve[curve["precision"] == cell.precision] if cell.tier == "measured" else curve
            middle = cell.units_per_s_per_accelerator
            half = np.divide(middle**2 / 2, ends[row], out=np.full(ends.shape[1], np.inf), where=ends[row] > 0)
            load = curve["units_per_s_per_accelerator"].to_numpy(dtype=float)
            at = np.array(
                [
                    np.interp(half, load, curve[column].to_numpy(dtype=float)) / slo[limit]
                    for column, limit in names.items()
                ]
            )
            seen[key] = at[:, 0]
            found.iloc[row] = [*np.nanmax(at, axis=0), "measured"]
        elif cell.tier == TELEMETRY and cell.use_case_id in shown.index:
            seen[key] = shown.loc[cell.use_case_id].to_numpy()
            found.iloc[row] = [*[np.nanmax(seen[key])] * len(capacities), TELEMETRY]
    estimated = estimate_latencies(ws, cells, seen)
    found.loc[estimated.index, ["ratio", "at_low", "at_high", "tier"]] = estimated[
        ["ratio", "high", "low", "tier"]
    ].to_numpy()
    return found.astype({"ratio": float, "at_low": float, "at_high": float})


def decide(ws: Workspace, cells: pd.DataFrame, exclusions: pd.DataFrame) -> pd.DataFrame:
    """Choose, pilot, reject or not comparable for every cell, with the reason and the prior."""
    prior = ws.table("decision_table").set_index(["platform_class", "workload_class"])["prior"]
    excluded = exclusions.set_index(KEYS)["reason"].to_dict()
    decisions = []
    for cell in cells.itertuples(index=False):
        expected = prior.get((cell.platform_class, cell.workload_class), "")
        decision, reason = _decision(ws, cell, excluded.get((cell.use_case_id, cell.accelerator_id)), expected)
        decisions.append((decision, reason, expected, decision == expected))
    table = pd.DataFrame(decisions, columns=["decision", "reason", "prior", "agrees_with_prior"], index=cells.index)
    return pd.concat([cells, table], axis=1)


def _decision(ws: Workspace, cell: tuple, excluded: str | None, prior: str) -> tuple[str, str]:
    if excluded:
        return "reject", excluded
    if cell.tier == "none":
        if cell.platform_class == "neuromorphic" and prior == "pilot":
            return "pilot", "strategic pilot only: nothing comparable is known, power is the promise to test"
        return "not comparable", cell.evidence
    marks = ws.plan.choose_at, ws.plan.pilot_at
    score = f"{cell.total:.{max(decimals_apart(cell.total, mark, 2) for mark in marks)}f}"
    if cell.total >= ws.plan.choose_at and cell.tier in OWN_EVIDENCE:
        basis = "measurements" if cell.tier == "measured" else "what production shows"
        return "choose", f"scores {score} on {basis} (mark {ws.plan.choose_at:.2f})"
    if cell.total >= ws.plan.pilot_at:
        lacking = "below the mark to choose" if cell.tier in OWN_EVIDENCE else "not measured on own prompts"
        return "pilot", f"scores {score}, {lacking}"
    return "reject", f"scores {score}, below the mark of {ws.plan.pilot_at:.2f} for a pilot"


def criteria_with_evidence(ws: Workspace, cells: pd.DataFrame) -> pd.DataFrame:
    """Every criterion of every cell: score, interval, tier, rationale, source and date of the evidence."""
    parts, judgements = [], scales.judgements_by_key(ws.table("judgements"))
    for criterion in MATRIX_CRITERIA:
        part = cells[KEYS].assign(
            criterion=criterion, score=cells[criterion], low=cells[f"{criterion}_low"], high=cells[f"{criterion}_high"]
        )
        if criterion in JUDGED:
            found = [scales.judged(judgements, criterion, cell.accelerator_id, cell.platform_class, cell.workload_class)
                     for cell in cells.itertuples(index=False)]  # fmt: skip
            evidence = [("not judged", "", "", pd.NaT) if item is None else
                        (f"judged, {item['confidence']}", item["rationale"], item["source"], item["as_of"]) for item in found]  # fmt: skip
            part[["tier", "rationale", "source", "as_of"]] = pd.DataFrame(
                evidence, index=part.index, columns=["tier", "rationale", "source", "as_of"]
            )
        else:
            part = part.assign(tier=cells["latency_tier" if criterion == "latency" else "tier"], rationale=scales.ANCHOR_TEXT[criterion], source=cells["evidence"],
                               as_of=pd.to_datetime(cells["as_of"]).fillna(pd.Timestamp(ws.as_of)))  # fmt: skip
        parts.append(part)
    return pd.concat(parts, ignore_index=True).sort_values(KEYS, kind="stable", ignore_index=True)
