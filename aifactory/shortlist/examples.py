"""The planning article's three scenarios (section 9) as worked examples on the analyst's own prices and rules.

Each example is an invented workload; its volumes are stated here and owned by nobody. Capacity comes
from public measurements or is scaled from them; classes of accelerator that nobody measured for such work
carry the wide interval that the other classes allow (`serving.transfer.UNSEEN_CLASS`), which can argue for
a benchmark and never for a purchase. Prices, porting effort and rules are those of the workspace, and the
whole shortlist stage runs on the three. The answer says whether the result is what the article argues, in
which share of the draws, which benchmark would decide, and if it is not as argued, why.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd

from aifactory.benchmark import Benchmark, build_benchmark
from aifactory.benchmark.capacity import EDGE_CLASS, use_case_regions
from aifactory.finance.options import COMMITTED_OPTIONS
from aifactory.finance.prices import OWN_SITE_OPTIONS
from aifactory.inputs.workspace import Workspace
from aifactory.shortlist.build import Shortlist, build_shortlist
from aifactory.shortlist.example_answers import answer
from aifactory.units import HOURS_PER_MONTH

SOURCE = "planning article, section 9; volumes invented for the example"
COLUMNS = ["example", "argument", "platform", "layer", "total_usd", "alternative", "alternative_usd", "alternative_low_usd",
           "alternative_high_usd", "alternative_tier", "cheaper_probability", "payback_months", "break_even_units_per_month",
           "bearable_changes_per_year", "needed_units_per_s", "benchmark_net_usd", "as_argued", "explanation"]  # fmt: skip


@dataclass(frozen=True)
class Example:
    """One scenario: its workload and what the article argues for it."""

    use_case_id: str
    argument: str
    workload_class: str
    model: str
    service_unit: str
    criticality: str
    stability: str
    units_per_month: float
    peak_over_mean: float
    output_tokens_per_unit: float
    today: str


EXAMPLES = (
    Example("copilot-rollout", "demand and prompts still change: start on GPUs, benchmark specialised hardware as usage settles",
            "real_time_inference", "Llama-3.1-70B / 3.3-70B", "request", "internal", "volatile", 2e6, 5.0, 300.0, "nvidia-h100-sxm"),
    Example("support-at-scale", "stable, short, repetitive and very many: specialised hardware may win unless prompts change often",
            "real_time_inference", "Llama-3.1-8B", "request", "customer_facing", "stable", 2e9, 2.5, 150.0, "nvidia-h100-sxm"),
    Example("edge-site", "power, heat and latency dominate: a capacity class of its own, outside the data centre",
            "edge_on_device", "gptj-6b", "inference", "critical", "stable", 2e7, 3.0, np.nan, "nvidia-jetson-agx-orin"),
)  # fmt: skip


def work_examples(ws: Workspace) -> pd.DataFrame:
    """One row per example: the platform, the specialised alternative, and whether it comes out as argued.

    Columns `COLUMNS`; money is USD over the plan's horizon with its 80 % interval, cheaper_probability the
    share of draws in which the alternative costs less, payback in months of stable demand (infinite:
    never), bearable_changes_per_year how often prompts, context or retrieval may change before the saving
    is gone, needed_units_per_s the capacity of an accelerator from which the alternative is cheaper,
    benchmark_net_usd what finding that out is worth at most, less its cost.
    """
    short, changed = (run_examples(ws, stability) for stability in (None, "volatile"))
    rows = [
        {"example": example.use_case_id, "argument": example.argument, **answer(example.use_case_id, short, changed)}
        for example in EXAMPLES
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def run_examples(ws: Workspace, stability: str | None = None) -> Shortlist:
    """The shortlist of the three examples; `stability` replaces that of each."""
    region = ws.plan.regions[0].region
    tables = {
        **ws.tables,
        "use_cases": _use_cases(ws, stability),
        "demand_windows": _windows(ws, region),
        "benchmarks": ws.table("benchmarks").iloc[:0],
        "jobs": ws.table("jobs").iloc[:0],
    }
    plan = ws.plan.model_copy(update={"baseline_accelerators": {item.use_case_id: item.today for item in EXAMPLES}})
    mine = dataclasses.replace(ws, plan=plan, tables=tables)
    benchmark = build_benchmark(mine, unseen_classes=True)
    return build_shortlist(mine, _demand(plan.horizon_months), _on_long_terms(mine, benchmark))


def _on_long_terms(ws: Workspace, benchmark: Benchmark) -> Benchmark:
    """Price stable examples at the cheapest commitment that is offered, hours included; a site at what stands there.

    Platforms that can only be bought and others that can be rented by the hour then compare like with like.
    """
    table, usd = benchmark.capacity.copy(), "usd_per_accelerator_hour_effective"
    for item in EXAMPLES:
        if item.stability != "stable":
            continue
        options = OWN_SITE_OPTIONS if item.workload_class == EDGE_CLASS else (*COMMITTED_OPTIONS, "on_demand")
        here = benchmark.prices["region"].isin(use_case_regions(ws, item.use_case_id)) & benchmark.prices[usd].gt(0)
        best = benchmark.prices[here & benchmark.prices["purchase_option"].isin(options)].sort_values(
            usd, kind="stable"
        )
        best = best.drop_duplicates("accelerator_id").set_index("accelerator_id")
        mine = table["use_case_id"] == item.use_case_id
        for column, source in (("usd_per_accelerator_hour", usd), ("purchase_option", "purchase_option")):
            table.loc[mine, column] = table.loc[mine, "accelerator_id"].map(best[source]).astype(table[column].dtype)
    return dataclasses.replace(benchmark, capacity=table)


def _use_cases(ws: Workspace, stability: str | None) -> pd.DataFrame:
    rows = [
        {"use_case_id": item.use_case_id, "name": item.use_case_id, "workload_class": item.workload_class, "model": item.model,
         "service_unit": item.service_unit, "criticality": item.criticality, "request_pattern": "interactive", "stage": "idea",
         "business_unit": "example", "team": "example", "owner_role": "example", "source": SOURCE, "as_of": pd.Timestamp(ws.as_of),
         "demand_stability": stability or item.stability}
        for item in EXAMPLES
    ]  # fmt: skip
    table = ws.table("use_cases")
    return pd.concat([table.iloc[:0], pd.DataFrame(rows)], ignore_index=True)[table.columns].astype(table.dtypes)


def _windows(ws: Workspace, region: str) -> pd.DataFrame:
    """One hour of each example, so that its region and its tokens per unit are known."""
    table = ws.table("demand_windows")
    start = pd.Timestamp(f"{ws.period}-01", tz=getattr(table["window_start_utc"].dtype, "tz", None))
    rows = [
        {"window_start_utc": start, "window_minutes": 60, "use_case_id": item.use_case_id, "region": region, "requests": 1.0,
         "service_units": 1.0, "output_tokens": item.output_tokens_per_unit}
        for item in EXAMPLES
    ]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=table.columns)


def _demand(months: int) -> SimpleNamespace:
    """Level demand over the horizon: what the shortlist reads of an inventory."""
    rows = [
        {"scenario": "expected", "use_case_id": item.use_case_id, "units": item.units_per_month,
         "units_per_hour_peak": item.units_per_month / HOURS_PER_MONTH * item.peak_over_mean}
        for item in EXAMPLES for _ in range(months)
    ]  # fmt: skip
    forecast = pd.DataFrame(rows)
    profile = forecast.groupby("use_case_id", as_index=False)["units_per_hour_peak"].max()
    return SimpleNamespace(forecast=forecast, demand_profile=profile)
