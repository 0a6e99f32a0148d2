"""The planning article's three scenarios (section 9) as worked examples on the analyst's own prices and rules.

Each example is an invented workload; its volumes are stated here and owned by nobody. Capacity comes
from public measurements or is scaled from them, prices, porting effort and rules are those of the
workspace, and the whole shortlist stage runs on the three. The answer says whether the result is what
the article argues, and if not, why.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd

from aifactory.benchmark import build_benchmark
from aifactory.inputs.workspace import Workspace
from aifactory.shortlist.build import Shortlist, build_shortlist
from aifactory.shortlist.outcome import GENERAL
from aifactory.units import HOURS_PER_MONTH

SOURCE = "planning article, section 9; volumes invented for the example"
COLUMNS = ["example", "argument", "platform", "layer", "total_usd", "alternative", "alternative_usd", "payback_months",
           "break_even_units_per_month", "bearable_changes_per_year", "as_argued", "explanation"]  # fmt: skip


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

    Columns `COLUMNS`; money is USD over the plan's horizon, payback in months of stable demand
    (infinite: never), bearable_changes_per_year how often prompts, context or retrieval may change
    before the saving is gone.
    """
    short, changed = (run_examples(ws, stability) for stability in (None, "volatile"))
    return pd.DataFrame([_row(example, short, changed) for example in EXAMPLES], columns=COLUMNS)


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
    return build_shortlist(mine, _demand(plan.horizon_months), build_benchmark(mine))


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


def _row(example: Example, short: Shortlist, changed: Shortlist) -> dict[str, object]:
    name = example.use_case_id
    choice = short.choice.set_index("use_case_id").loc[name]
    row = {"example": name, "argument": example.argument, "platform": choice["accelerator_id"], "layer": choice["tier_label"],
           "total_usd": choice["total_usd"]}  # fmt: skip
    moves = short.migrations[short.migrations["use_case_id"] == name]
    moves = moves[moves["accelerator_id"] != choice["accelerator_id"]]
    best = moves.sort_values("payback_months", kind="stable").iloc[0] if len(moves) else None
    if best is not None:
        cost = short.penalties.set_index(["use_case_id", "accelerator_id"])["total_usd"]
        row |= {"alternative": best["accelerator_id"], "alternative_usd": cost[name, best["accelerator_id"]]}
        row |= {key: best[key] for key in ("payback_months", "break_even_units_per_month", "bearable_changes_per_year")}
    argued, why = _JUDGES[name](row, short, changed)
    return row | {"as_argued": argued, "explanation": why}


_UNKNOWN = "no specialised platform has a capacity that public measurements can carry, so benchmark first"


def _copilot(row: dict[str, object], short: Shortlist, changed: Shortlist) -> tuple[bool, str]:
    del changed
    on_gpu = row["layer"] == GENERAL
    if "alternative" not in row:
        return on_gpu, f"GPUs are what can be sized today; {_UNKNOWN}"
    parts = short.penalties.set_index(["use_case_id", "accelerator_id"]).loc[(row["example"], row["alternative"])]
    burden = parts["porting_usd"] + parts["launch_delay_usd"] + parts["rework_usd"]
    text = f"{row['alternative']} would need USD {parts['compute_usd']:,.0f} of compute, and USD {burden:,.0f} of porting, delay and rework come on top"
    if row["alternative_usd"] < row["total_usd"]:
        return (
            on_gpu,
            f"{text}; it is still cheaper by USD {row['total_usd'] - row['alternative_usd']:,.0f}, but nobody measured it: GPUs first, a pilot beside",
        )
    return (
        on_gpu,
        f"{text}: USD {row['alternative_usd'] - row['total_usd']:,.0f} dearer than the GPUs, which serve whatever the prompts become",
    )


def _support(row: dict[str, object], short: Shortlist, changed: Shortlist) -> tuple[bool, str]:
    del short
    if "alternative" not in row:
        return False, f"open: {_UNKNOWN}"
    if not np.isfinite(row["payback_months"]):
        return False, "no specialised platform is cheaper per unit at today's prices, so no volume pays for porting"
    moves = changed.migrations.set_index(["use_case_id", "accelerator_id"])["payback_months"]
    often = moves.get((row["example"], row["alternative"]), np.nan)
    text = (f"{row['alternative']} pays back its porting in {row['payback_months']:.1f} months of stable demand from {row['break_even_units_per_month']:,.0f} units a month on; "
            f"it bears {row['bearable_changes_per_year']:.0f} changes a year, and monthly changes stretch the payback to {often:.1f} months")  # fmt: skip
    return True, f"{text}. The figures are scaled from public measurements: a pilot on own prompts comes first"


def _edge(row: dict[str, object], short: Shortlist, changed: Shortlist) -> tuple[bool, str]:
    del changed
    out = short.exclusions[short.exclusions["use_case_id"] == row["example"]]
    power = out.loc[out["rule"] == "edge power", "accelerator_id"].tolist()
    chips = short.matrix.set_index(["use_case_id", "accelerator_id"])["platform_class"]
    text = (
        f"power rules out {len(power)} of the candidates ({', '.join(power)})"
        if power
        else "no candidate draws too much power"
    )
    if not isinstance(row["platform"], str):
        return False, f"{text}; of the rest no capacity is known: benchmark first"
    at_edge = isinstance(row["platform"], str) and chips[row["example"], row["platform"]] == "edge"
    text = (
        f"power rules out {len(power)} of the candidates ({', '.join(power)})"
        if power
        else "no candidate draws too much power"
    )
    if at_edge:
        return True, f"{text}; the edge device is counted in devices, not in nodes"
    return False, f"{text}; {row['platform']} fits the power limit and costs less over the horizon than the edge device"


_JUDGES = {"copilot-rollout": _copilot, "support-at-scale": _support, "edge-site": _edge}
