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
from scipy.optimize import brentq

from aifactory.benchmark import build_benchmark
from aifactory.fleet.streams import month_labels
from aifactory.inputs.workspace import Workspace
from aifactory.shortlist.build import Shortlist, decide_shortlist, open_market
from aifactory.shortlist.example_answers import answer
from aifactory.shortlist.money import buy_cells
from aifactory.units import HOURS_PER_MONTH

#: Stability of demand whose prompts change every month.
RESTLESS = "volatile"
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
    short, changed = run_examples(ws)
    rows = [
        {"example": example.use_case_id, "argument": example.argument, **answer(example.use_case_id, short, changed)}
        for example in EXAMPLES
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def run_examples(ws: Workspace) -> tuple[Shortlist, Shortlist]:
    """The shortlist of the three examples as they are, and with prompts that change every month.

    Each is an organisation of its own: it shares nodes with no other, and nothing that the workspace holds or ordered is its. Both rest on the same capacities and prices of accelerators: no stability of demand changes them.
    """
    region = ws.plan.regions[0].region
    plan = ws.plan.model_copy(
        update={
            "baseline_accelerators": {item.use_case_id: item.today for item in EXAMPLES},
            "launches": [],
            "owned_accelerators": {},
        }
    )
    tables = {
        **ws.tables,
        "use_cases": _use_cases(ws),
        "demand_windows": _windows(ws, region),
        "benchmarks": ws.table("benchmarks").iloc[:0],
        "jobs": ws.table("jobs").iloc[:0],
        "commitments": ws.table("commitments").iloc[:0],
    }
    mine = dataclasses.replace(ws, plan=plan, tables=tables)
    benchmark = build_benchmark(mine, unseen_classes=True)
    market = open_market(mine, _demand(mine, region), benchmark)
    bought = buy_cells(market, benchmark.capacity)
    restless = tables["use_cases"].assign(demand_stability=RESTLESS)
    changed = dataclasses.replace(mine, tables={**tables, "use_cases": restless})
    other = dataclasses.replace(market, ws=changed)
    return tuple(decide_shortlist(each, benchmark, bought, apart=True) for each in (market, other))


def _use_cases(ws: Workspace) -> pd.DataFrame:
    rows = [
        {"use_case_id": item.use_case_id, "name": item.use_case_id, "workload_class": item.workload_class, "model": item.model,
         "service_unit": item.service_unit, "criticality": item.criticality, "request_pattern": "interactive", "stage": "idea",
         "business_unit": "example", "team": "example", "owner_role": "example", "source": SOURCE, "as_of": pd.Timestamp(ws.as_of),
         "demand_stability": item.stability}
        for item in EXAMPLES
    ]  # fmt: skip
    table = ws.table("use_cases")
    return pd.concat([table.iloc[:0], pd.DataFrame(rows)], ignore_index=True)[table.columns].astype(table.dtypes)


def day_shape(peak_over_mean: float) -> np.ndarray:
    """Load in each hour of a day over its mean: ((1 + cos(2 pi (h - 14) / 24)) / 2)^k with k such that the highest is as asked.

    >>> shape = day_shape(2.5)
    >>> int(shape.argmax()), float(shape.max().round(6)), float(shape.mean().round(6))
    (14, 2.5, 1.0)
    """
    hour = (1 + np.cos(2 * np.pi * (np.arange(24) - 14) / 24)) / 2
    if not 1 < peak_over_mean < 24:
        return np.ones(24)
    power = brentq(lambda k: 1 / (hour**k).mean() - peak_over_mean, 0.0, 1e4)
    return hour**power / (hour**power).mean()


def _windows(ws: Workspace, region: str) -> pd.DataFrame:
    """The hours of the month of each example, so that its region, its day and its tokens per unit are known."""
    table = ws.table("demand_windows")
    start = pd.Timestamp(f"{ws.period}-01", tz=getattr(table["window_start_utc"].dtype, "tz", None))
    hours = pd.date_range(start, start + pd.DateOffset(months=1), freq="h", inclusive="left")
    parts = []
    for item in EXAMPLES:
        units = item.units_per_month / HOURS_PER_MONTH * day_shape(item.peak_over_mean)[hours.hour]
        parts.append(
            pd.DataFrame({"window_start_utc": hours, "window_minutes": 60, "use_case_id": item.use_case_id, "region": region,
                          "requests": units, "service_units": units, "output_tokens": units * item.output_tokens_per_unit})
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True).reindex(columns=table.columns)


def _demand(ws: Workspace, region: str) -> SimpleNamespace:
    """Level demand over the horizon: what the shortlist reads of an inventory."""
    months = month_labels(ws.period, ws.plan.horizon_months)[1:]
    rows = []
    for item in EXAMPLES:
        average = item.units_per_month / HOURS_PER_MONTH
        level = {"use_case_id": item.use_case_id, "region": region, "units": item.units_per_month, "units_per_hour_avg": average,
                 "units_per_hour_peak": average * item.peak_over_mean, "size": 1.0, "units_p10": item.units_per_month,
                 "units_p90": item.units_per_month}  # fmt: skip
        rows += [{"scenario": "expected", "month": month, **level} for month in months]
    forecast = pd.DataFrame(rows)
    today = forecast.drop_duplicates("use_case_id").rename(columns={"units": "units_month"})
    profile = today.assign(failure_rate=0.0, observed_share=1.0).reset_index(drop=True)
    pools = pd.DataFrame(columns=["region", "accelerator_id", "purchase_option", "installed"])
    charged = pd.DataFrame({"use_case_id": [item.use_case_id for item in EXAMPLES], "usd_per_unit": np.nan})  # no bill
    windows = pd.DataFrame()  # level demand has no hours to size a reserve by: the plan's ratios hold
    return SimpleNamespace(forecast=forecast, demand_profile=profile, pools=pools, use_cases=charged, windows=windows)
