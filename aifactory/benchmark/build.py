"""Stage 2 in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.benchmark import capacity
from aifactory.benchmark.agreement import at_production, compare_with_production, mark_contradicted
from aifactory.benchmark.chance import CHANCE_COLUMNS, with_chance
from aifactory.benchmark.point_faults import STANDS_IN
from aifactory.benchmark.replica import with_replicas
from aifactory.benchmark.telemetry import shown_capacities
from aifactory.benchmark.validity import judge
from aifactory.errors import StageError
from aifactory.inputs.workspace import Workspace

CAPACITY_COLUMNS = [
    "use_case_id", "workload_class", "accelerator_id", "platform_class", "service_unit", "precision",
    "units_per_s_per_accelerator", "low", "high", "tier", "binding_slo", "failure_rate", "evidence", "as_of",
    "usd_per_accelerator_hour", "purchase_option", "price_source", "price_as_of", "exact_region", "usd_per_1k_units",
    "usd_per_million_output_tokens", "joules_per_unit", "tokens_per_joule", *CHANCE_COLUMNS,
    "replica_accelerators",
]  # fmt: skip
EXTRA = ["power_w_per_accelerator", "output_tokens_per_unit"]
FIRST_TENTH = (0.05, 0.2)
REPRESENTATIVE = 0.15


@dataclass(frozen=True)
class Benchmark:
    """Result of the bake-off; `capacity` has one row per use case and candidate."""

    validity: pd.DataFrame
    curves: pd.DataFrame
    capacity: pd.DataFrame
    prices: pd.DataFrame
    first_tenth: pd.DataFrame
    prompt_mix: pd.DataFrame
    operation: pd.DataFrame
    not_measured: pd.DataFrame
    agreement: pd.DataFrame  # runs against production, see `compare_with_production`


def build_benchmark(ws: Workspace, *, unseen_classes: bool = False) -> Benchmark:
    """Judge the runs, read capacities off their curves, estimate what was not measured.

    Classes of accelerator that nobody measured for such work have no capacity, unless `unseen_classes`
    asks for the wide interval that the other classes allow.
    """
    ws = ws.without_ended()
    runs, cases = ws.table("benchmarks"), ws.table("use_cases")
    if cases.empty:
        msg = (
            "no use case is complete, so nothing can be measured or sized; the inventory says whose figures are missing"
        )
        raise StageError(msg)
    judged = judge(runs, cases, ws.table("accelerators"))
    considered = judged.counted["accelerator_id"].isin(ws.plan.candidates)
    valid, elsewhere = judged.counted[considered], judged.counted[~considered]
    per_run = capacity.run_capacities(valid, cases)
    measured, shown, mix = capacity.measured_capacities(per_run), shown_capacities(ws), _prompt_mix(ws, valid)
    agreement = compare_with_production(ws, valid, measured, shown, mix)
    measured = at_production(measured, agreement)
    known = _with_elsewhere(measured, capacity.measured_capacities(capacity.run_capacities(elsewhere, cases)))
    missing = capacity.estimate_missing(ws, known, shown, unseen_classes=unseen_classes)
    both = pd.concat([measured, missing], ignore_index=True).infer_objects()
    prices = capacity.hourly_prices(ws)
    both = with_replicas(ws, with_chance(ws, both), shown)
    table = capacity.with_money(ws, both.reindex(columns=[*both.columns, *(c for c in EXTRA if c not in both)]), prices)
    classes = ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    table = table.assign(platform_class=table["accelerator_id"].map(classes)).merge(
        cases[["use_case_id", "workload_class", "service_unit"]], on="use_case_id"
    )
    table = table.reindex(columns=CAPACITY_COLUMNS).sort_values(["use_case_id", "accelerator_id"], ignore_index=True)
    return Benchmark(
        validity=mark_contradicted(judged.runs, agreement),
        curves=_curves(valid, table, cases),
        capacity=table,
        prices=prices,
        first_tenth=_first_tenth(valid, table),
        prompt_mix=mix,
        operation=_operation(valid),
        not_measured=_not_measured(table),
        agreement=agreement,
    )


def _with_elsewhere(measured: pd.DataFrame, elsewhere: pd.DataFrame) -> pd.DataFrame:
    """Own capacities to estimate from: a use case that was measured on no candidate is known by its runs on other accelerators."""
    if elsewhere.empty:
        return measured
    other = elsewhere[~elsewhere["use_case_id"].isin(measured["use_case_id"])] if len(measured) else elsewhere
    return pd.concat([part for part in (measured, other) if len(part)], ignore_index=True)


def _curves(valid: pd.DataFrame, table: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Every valid load point per accelerator, with cost, energy and whether it meets the SLO."""
    price = table.set_index(["use_case_id", "accelerator_id"])["usd_per_accelerator_hour"]
    limits = cases.set_index("use_case_id")
    hourly = price.reindex(pd.MultiIndex.from_frame(valid[["use_case_id", "accelerator_id"]])).to_numpy(dtype=float)
    rate = valid["units_per_s"] / valid["accelerators"]
    meets = np.ones(len(valid), dtype=bool)
    for column, limit in capacity.LATENCY_COLUMNS.values():
        target = limits[limit].reindex(valid["use_case_id"]).to_numpy()
        meets &= ~(valid[column].to_numpy() > target)
    keep = [
        "benchmark_id",
        "point",
        "use_case_id",
        "accelerator_id",
        "precision",
        "engine",
        "concurrency",
        "repeat",
        "as_of",
        "source",
        STANDS_IN,
    ]
    latency = [column for column in valid.columns if column.endswith(("ttft_ms", "tpot_ms", "e2e_ms"))]
    return (
        valid[[*keep, *latency]]
        .assign(
            units_per_s_per_accelerator=rate,
            failure_rate=valid["errors"] / valid["requests"].clip(lower=1),
            power_w_per_accelerator=valid["power_w"] / valid["accelerators"],
            joules_per_unit=valid["power_w"] / valid["units_per_s"],
            usd_per_1k_units=hourly / (rate * 3600) * 1000,
            meets_slo=meets,
        )
        .reset_index(drop=True)
    )


def _first_tenth(valid: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Cost per unit at a tenth of projected traffic against cost at capacity."""
    early = valid[valid["traffic_share"].between(*FIRST_TENTH)]
    keys = ["use_case_id", "accelerator_id"]
    if early.empty:
        return pd.DataFrame(
            columns=[*keys, "traffic_share", "usd_per_1k_units_early", "usd_per_1k_units", "cost_ratio"]
        )
    at = early.assign(rate=early["units_per_s"] / early["accelerators"]).groupby(keys)[["traffic_share", "rate"]].mean()
    joined = at.join(table.set_index(keys)[["usd_per_accelerator_hour", "usd_per_1k_units"]], how="inner").reset_index()
    early_cost = joined["usd_per_accelerator_hour"] / (joined["rate"] * 3600) * 1000
    return joined.assign(usd_per_1k_units_early=early_cost, cost_ratio=early_cost / joined["usd_per_1k_units"]).drop(
        columns=["rate", "usd_per_accelerator_hour"]
    )


def _prompt_mix(ws: Workspace, valid: pd.DataFrame) -> pd.DataFrame:
    """Mean prompt and output length of the benchmark against production in the month."""
    month = ws.month("demand_windows")
    sums = (
        month.groupby("use_case_id")[["requests", "input_tokens", "output_tokens"]].sum(min_count=1).astype("float64")
    )
    rows = []
    for use_case, group in valid.groupby("use_case_id"):
        for column in ("input_tokens", "output_tokens"):
            tested = group[f"{column}_mean"].mean()
            real = sums[column].get(use_case, np.nan) / sums["requests"].get(use_case, np.nan)
            deviation = tested / real - 1
            rows.append((use_case, column, tested, real, deviation, bool(abs(deviation) <= REPRESENTATIVE)))
    columns = ["use_case_id", "metric", "benchmark_mean", "production_mean", "deviation_share", "representative"]
    return pd.DataFrame(rows, columns=columns).dropna(subset=["benchmark_mean", "production_mean"], ignore_index=True)


def _operation(valid: pd.DataFrame) -> pd.DataFrame:
    """Warm start, memory, failures and retries per use case and accelerator."""
    groups = valid.groupby(["use_case_id", "accelerator_id"])
    table = groups.agg(
        warm_start_s=("warm_start_s", "mean"), peak_memory_gb=("peak_memory_gb", "max"), requests=("requests", "sum"),
        errors=("errors", "sum"), retries=("retries", "sum"),
    ).reset_index()  # fmt: skip
    return table.assign(
        failure_rate=table["errors"] / table["requests"].clip(lower=1),
        retry_share=table["retries"] / table["requests"].clip(lower=1),
    ).drop(columns=["errors", "retries"])


def _not_measured(table: pd.DataFrame) -> pd.DataFrame:
    """Pairs without a measurement on own prompts, and what the answer rests on instead."""
    return table.loc[
        (table["tier"] != "measured") & table["binding_slo"].isna(),
        ["use_case_id", "accelerator_id", "tier", "evidence"],
    ].reset_index(drop=True)
