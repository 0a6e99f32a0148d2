"""Workload x platform matrix: six criteria, exclusions, decision per cell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.benchmark import Benchmark
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.serving.anchor import memory_fits
from aifactory.serving.sizing import accelerator_hours
from aifactory.shortlist import scales

PRECISION_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5, "int4": 0.5}
NOT_FOR_SALE = {"internal", "announced"}
#: What a device at the edge may draw; power and heat rule out server parts there.
EDGE_MAX_TDP_W = 150
KEYS = ["use_case_id", "accelerator_id"]


def find_exclusions(ws: Workspace, capacity: pd.DataFrame) -> pd.DataFrame:
    """Cells that no score can save, each with its rule and reason."""
    chips = ws.table("accelerators").set_index("accelerator_id")
    models, cases = ws.table("models").set_index("model"), ws.table("use_cases").set_index("use_case_id")
    rows = []
    for cell in capacity.itertuples(index=False):
        chip, case = chips.loc[cell.accelerator_id], cases.loc[cell.use_case_id]
        reason = _exclusion(cell, chip, case, models)
        if reason:
            rows.append((cell.use_case_id, cell.accelerator_id, *reason))
    return pd.DataFrame(rows, columns=[*KEYS, "rule", "reason"])


def _exclusion(cell: tuple, chip: pd.Series, case: pd.Series, models: pd.DataFrame) -> tuple[str, str] | None:
    if chip["platform_class"] == "edge" and case["workload_class"] != "edge_on_device":
        return "edge device", "an edge device does not serve central workloads"
    if case["workload_class"] == "edge_on_device" and chip["tdp_w"] > EDGE_MAX_TDP_W:
        return "edge power", f"{chip['tdp_w']:.0f} W is above the {EDGE_MAX_TDP_W} W that an edge site can take"
    if set(chip["availability"].split("|")) <= NOT_FOR_SALE:
        return "availability", f"cannot be bought or rented: {chip['availability']}"
    if case["model"] in models.index and cell.tier != "measured":
        model = models.loc[case["model"]]
        size = PRECISION_BYTES.get(cell.precision if isinstance(cell.precision, str) else "bf16", 2.0)
        if not memory_fits(model["params_total_b"], size, chip["memory_gb"], int(chip["accelerators_per_node"])):
            need, have = model["params_total_b"] * size, chip["memory_gb"] * chip["accelerators_per_node"]
            return "memory", f"weights of {need:,.0f} GB do not fit a node of {have:,.0f} GB"
    if cell.units_per_s_per_accelerator == 0:
        return "SLO", f"misses the {cell.binding_slo} limit even at the lightest load"
    if np.isnan(cell.usd_per_accelerator_hour):
        return "price", "no price from any provider of the plan"
    return None


def score_matrix(ws: Workspace, inventory: Inventory, benchmark: Benchmark) -> pd.DataFrame:
    """Scores of every cell on the six criteria, with the weighted total."""
    cells = benchmark.capacity.copy()
    for criterion in ("maturity", "portability", "operational_risk"):
        found = [
            scales.judged(
                ws.table("judgements"), criterion, cell.accelerator_id, cell.platform_class, cell.workload_class
            )
            for cell in cells.itertuples(index=False)
        ]
        cells[criterion] = [np.nan if item is None else item["score"] for item in found]
    cells["cost"] = scales.anchored(
        cells["usd_per_1k_units"] / _today(ws, cells, "usd_per_1k_units"), scales.COST_ANCHORS
    )
    nodes = np.log2(nodes_at_peak(ws, inventory, cells))
    few, many = (scales.anchored(nodes, anchors) for anchors in (scales.NODE_ANCHORS, scales.DEVICE_ANCHORS))
    cells["throughput"] = np.where(cells["platform_class"] == "edge", many, few)
    cells["latency"] = _latency(ws, benchmark, cells)
    known = cells["units_per_s_per_accelerator"] > 0
    cells["total"] = scales.weighted_total(cells, ws.plan.matrix_weights).where(known)
    return cells


def baseline_accelerators(ws: Workspace, cells: pd.DataFrame) -> pd.Series:
    """Today's platform of each use case: stated in the plan, else the reference accelerator."""
    stated = pd.Series(ws.plan.baseline_accelerators, dtype="str")
    return pd.Series(
        {name: stated.get(name, ws.plan.reference_accelerator) for name in cells["use_case_id"].unique()}, dtype="str"
    )


def _today(ws: Workspace, cells: pd.DataFrame, column: str) -> np.ndarray:
    """A column's value on today's platform of the same use case."""
    today = baseline_accelerators(ws, cells)
    values = cells.set_index(KEYS)[column]
    pairs = pd.MultiIndex.from_arrays([cells["use_case_id"], cells["use_case_id"].map(today)])
    return values.reindex(pairs).to_numpy(dtype=float)


def nodes_at_peak(ws: Workspace, inventory: Inventory, cells: pd.DataFrame) -> np.ndarray:
    """Whole nodes that the region with the highest peak needs, reserve included; NaN unknown."""
    profile, cases = inventory.demand_profile, ws.table("use_cases").set_index("use_case_id")
    if profile.empty:
        return np.full(len(cells), np.nan)
    peak = cells["use_case_id"].map(profile.groupby("use_case_id")["units_per_hour_peak"].max())
    reserve = cells["use_case_id"].map(cases["criticality"]).map(ws.plan.reserve)
    size = cells["accelerator_id"].map(ws.table("accelerators").set_index("accelerator_id")["accelerators_per_node"])
    rate = cells["units_per_s_per_accelerator"].where(cells["units_per_s_per_accelerator"] > 0)
    need = accelerator_hours(peak, rate.fillna(1.0)) * (1 + reserve)
    return np.ceil((need / size).where(rate.notna() & peak.notna())).clip(lower=1).to_numpy()


def _latency(ws: Workspace, benchmark: Benchmark, cells: pd.DataFrame) -> np.ndarray:
    """Worst p95 over its limit at half of capacity; 1 where the use case has no latency limit."""
    limits = ws.table("use_cases").set_index("use_case_id")
    names = {"p95_ttft_ms": "slo_p95_ttft_ms", "p95_tpot_ms": "slo_p95_tpot_ms", "p95_e2e_ms": "slo_p95_e2e_ms"}
    curves = {key: group.sort_values("units_per_s_per_accelerator") for key, group in benchmark.curves.groupby(KEYS)}
    values = []
    for cell in cells.itertuples(index=False):
        slo = limits.loc[cell.use_case_id, list(names.values())].astype("float64")
        curve = curves.get((cell.use_case_id, cell.accelerator_id))
        if slo.isna().all():
            values.append(scales.LATENCY_ANCHORS[1])
        elif curve is None:
            values.append(np.nan)
        else:
            curve = curve[curve["precision"] == cell.precision] if cell.tier == "measured" else curve
            half = cell.units_per_s_per_accelerator / 2
            at = [
                np.interp(half, curve["units_per_s_per_accelerator"], curve[column]) / slo[limit]
                for column, limit in names.items()
            ]
            values.append(np.nanmax(at))
    return scales.anchored(values, scales.LATENCY_ANCHORS)


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
    if cell.total >= ws.plan.choose_at and cell.tier == "measured":
        return "choose", f"scores {cell.total:.2f} on measurements (mark {ws.plan.choose_at:.2f})"
    if cell.total >= ws.plan.pilot_at:
        lacking = "below the mark to choose" if cell.tier == "measured" else "not measured on own prompts"
        return "pilot", f"scores {cell.total:.2f}, {lacking}"
    return "reject", f"scores {cell.total:.2f}, below the mark of {ws.plan.pilot_at:.2f} for a pilot"
