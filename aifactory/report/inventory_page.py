"""Page of stage 1: what we run, for whom, how much of it, and what it costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.finance.price_age import api_price_age, price_age_of
from aifactory.finance.prices import offers_of
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.service import without_field
from aifactory.inventory.spend import use_case_cost
from aifactory.report.blocks import Group, Kpi, bullets, group, head, section
from aifactory.report.inventory_demand import (
    chart_demand_heatmap,
    chart_demand_months,
    demand_section,
    local_section,
    table_profile,
    table_seasons,
)
from aifactory.report.inventory_load import drift_section, retry_section, reuse_section, tail_section, tenant_section
from aifactory.report.inventory_money import (
    bill_total,
    chart_spend_by_team,
    reconciliation,
    spend_section,
    table_pools,
    table_spend,
)
from aifactory.report.inventory_outlook import adoption_section, chain_doubts, outlook
from aifactory.report.inventory_questions import data_received, table_catalogue, three_questions
from aifactory.report.inventory_service import service_section, unmeasured_targets
from aifactory.report.inventory_waste import overlap_section, waste_section
from aifactory.report.text import a_day, join_words, month_name, num, pct, pct_beside, plural, usd_compact

__all__ = [
    "SOURCES",
    "adoption_section",
    "attention",
    "chart_demand_heatmap",
    "chart_demand_months",
    "data_received",
    "demand_section",
    "drift_section",
    "headline",
    "input_warnings",
    "silence_warnings",
    "inventory_head",
    "local_section",
    "outlook",
    "overlap_section",
    "reconciliation",
    "retry_section",
    "reuse_section",
    "service_section",
    "spend_section",
    "status_of",
    "table_catalogue",
    "table_pools",
    "table_profile",
    "table_seasons",
    "table_spend",
    "tables",
    "tail_section",
    "tenant_section",
    "three_questions",
    "waste_section",
]


#: Inputs of each published table, for the workbook.
SOURCES = {
    **dict.fromkeys(("use_cases", "coverage", "owners_to_ask"), "use_cases, demand and billing tables"),
    **dict.fromkeys(("candidate_gaps", "candidate_owners"), "use_case_candidates table"),
    "three_questions": "use_cases, demand_windows, jobs, latency_histograms, latency_bounds and billing tables",
    **dict.fromkeys(("spend", "spend_reconciliation", "spend_monthly", "overlaps"), "billing table"),
    **dict.fromkeys(("demand_monthly", "demand_profile", "token_growth"), "demand_windows and jobs tables"),
    "class_peaks": "demand_windows and use_cases tables",
    "drift": "latency_histograms, demand_windows and tenant_usage tables",
    **dict.fromkeys(
        ("forecast", "demand_bands", "named_scenarios"), "demand_windows, jobs and billing tables; plan.yaml"
    ),
    "chains": "demand_windows, jobs and demand_chain tables",
    "chain_doubts": "demand_chain table; priors of the package",
    "service_levels": "latency_histograms and latency_bounds tables",
    "failures_and_queues": "demand_windows, latency_histograms and latency_bounds tables",
    "size_tail": "latency_histograms and jobs tables",
    "tenants": "tenant_usage and demand_windows tables",
    "retries": "demand_windows and billing tables",
    "prefix_reuse": "demand_windows, billing and api_prices tables",
    "pools": "pools and billing tables",
    "jobs": "jobs table",
    **dict.fromkeys(("local_vs_pooled", "pooled_fleet"), "demand_windows, jobs, billing and use_cases tables"),
    "waste": "pools, billing and demand_windows tables",
    "retiring_models": "billing, use_cases, models and api_prices tables",
    "hosted_today": "billing, use_cases, demand_windows and api_prices tables",
}


def busy_share(inv: Inventory) -> float:
    """Mean utilisation over the pools that count (`counted_pools`), weighted with their hours; NaN without pools."""
    pools = counted_pools(inv)
    hours = pools["accelerator_hours"].sum()
    return 1 - pools["idle_accelerator_hours"].sum() / hours if hours else np.nan


def counted_pools(inv: Inventory) -> pd.DataFrame:
    """Pools of one mean utilisation: devices in the field are many, small and often idle, and count where there are no others."""
    return without_field(inv.pools, set(inv.pools.loc[inv.pools["in_field"].astype(bool), "accelerator_id"]))


def _field_apart(inv: Inventory) -> str:
    left = float(inv.pools["installed"].sum() - counted_pools(inv)["installed"].sum())
    return f"{plural(round(left), 'device')} in the field apart" if left > 0 else ""


def status_of(ws: Workspace) -> str:
    """`final`, or `draft` while inputs carry warnings."""
    return "draft" if (ws.checks["status"] == "warned").any() or ws.silent else "final"


def input_warnings(ws: Workspace) -> list[str]:
    """For the head of a page: use cases that fell silent, and one line on the checks, which the table below spells out."""
    tables = ws.checks.loc[ws.checks["status"] == "warned", "table"]
    said = f"{plural(len(tables), 'warning')} on the inputs ({join_words(sorted(set(tables)))}): see the checks below."
    return [*silence_warnings(ws), *([said] if len(tables) else [])]


def silence_warnings(ws: Workspace) -> list[str]:
    """A month without demand after months with some is more often a delivery that is missing than the end of the work."""
    bill = ws.table("billing")
    cost = use_case_cost(bill[bill["month"] == ws.period]) if len(bill) else {}
    return [
        f"{name} was asked in the months before and has no demand in {month_name(ws.period)}"
        + (f", though the bill charges {usd_compact(cost[name])} to it" if cost.get(name, 0) > 0 else "")
        + ": nothing is planned for it. Import what is missing, or state its retire_month in use_cases."
        for name in ws.silent
    ]


def price_warnings(ws: Workspace) -> list[str]:
    """Age of the prices of the plan's candidates for the head of a page that stands on them; empty without prices."""
    age = price_age_of(offers_of(ws), ws.plan, ws.as_of)
    return [age.sentence_of("Prices of the candidates")] if age.count else []


def later_run_warnings(ws: Workspace) -> list[str]:
    """Benchmarks dated after the month, which stand in where there is no earlier one; for the head of a page that uses them."""
    runs = ws.table("benchmarks")
    later = runs[runs["as_of"] > pd.Timestamp(ws.as_of)].drop_duplicates("benchmark_id")
    if later.empty:
        return []
    count, shown = plural(len(later), "benchmark"), join_words(later["benchmark_id"].head(3))
    more = f" and {len(later) - 3} more" if len(later) > 3 else ""
    return [
        f"{count} {'is' if len(later) == 1 else 'are'} later than this report ({shown}{more}, up to {later['as_of'].max():%Y-%m-%d}) "
        f"and {'stands' if len(later) == 1 else 'stand'} in for want of an earlier one of the same use case and accelerator."
    ]


def hosted_price_warnings(ws: Workspace) -> list[str]:
    """Age of the hosted models' prices, the only list prices that the inventory takes money from."""
    if not ws.month("demand_windows")[["input_tokens", "output_tokens"]].notna().any(axis=None):
        return []  # nothing to weigh: devices that see and hear count no tokens
    age = api_price_age(ws.table("api_prices"), ws.plan.price_freshness_days, ws.as_of)
    return [age.sentence_of("Prices of hosted models, which weigh the tokens saved,")] if age.count else []


def inventory_head(ws: Workspace, inv: Inventory) -> Group:
    """First screen."""
    return head(
        stage="inventory",
        question="What do we run, for whom, how much of it, and what does it cost?",
        period=ws.period,
        as_of=ws.as_of,
        status=status_of(ws),
        finding=finding(inv),
        kpis=_kpis(ws, inv),
        chart=chart_spend_by_team(ws, inv) if len(inv.spend) else chart_demand_months(ws, inv),
        deciders=[
            ("Head of platform", "which pools to shrink or share"),
            ("Cloud cost owner", "who owns the spend without a team"),
            ("Owners of use cases", "the figures that are missing below"),
        ],
        warnings=[*input_warnings(ws), *hosted_price_warnings(ws)],
    )


def finding(inv: Inventory) -> str:
    """The inventory in one sentence or two."""
    live = int(inv.use_cases["units_month"].gt(0).sum())
    total = bill_total(inv)
    if total is None:
        return f"{plural(live, 'use case')} had demand in {month_name(inv.period)}; without a bill nothing can be said of cost."
    text = f"{plural(live, 'use case')} had demand in {month_name(inv.period)}, and the bill is {usd_compact(total)}."
    if len(inv.pools):
        idle, apart = float(counted_pools(inv)["idle_usd"].sum()), _field_apart(inv)
        worth = f", worth {usd_compact(idle)}{_unpriced(inv)}" if idle > 0 else ""
        share = f"{pct(1 - busy_share(inv), 0)} of the hours installed{f' ({apart})' if apart else ''}"
        text += f" Accelerators stood idle for {share}{worth}."
    return text


def _unpriced(inv: Inventory) -> str:
    left = counted_pools(inv)[counted_pools(inv)["idle_usd"].isna()]
    return f" without {plural(len(left), 'pool')} that the bill does not price" if len(left) else ""


def _kept(within: pd.Series) -> str:
    """Whether all stated limits are kept; "" where none is stated."""
    if within.eq(other=False).any():
        return "watch"
    return "good" if within.notna().any() else ""


def _kpis(ws: Workspace, inv: Inventory) -> list[Kpi]:
    kpis = []
    total = bill_total(inv)
    if total is not None:
        months = inv.spend_monthly.groupby("month")["effective_cost_usd"].sum()
        before = float(months.get(str(pd.Period(ws.period, "M") - 1), 0.0))
        change = [f"{pct(float(total) / before - 1, 1)} against the month before"] if before > 0 else []
        change += [told] if before > 0 and (told := a_day(float(total), before, ws.period)) else []
        lines = inv.spend_reconciliation.set_index("line")["effective_cost"]
        share = float(lines["unattributed usage"] / total)
        kpis.append(Kpi("Bill of the month", usd_compact(total), ", ".join(change)))
        kpis.append(
            Kpi("Without a team", pct_beside(share, 0.05, 1), "limit 5 %", status="good" if share <= 0.05 else "bad")
        )
    if len(inv.pools):
        kpis.append(
            Kpi(
                "Utilisation of accelerators",
                pct(busy_share(inv), 0),
                ", ".join(
                    filter(None, (f"{num(counted_pools(inv)['installed'].sum(), 0)} installed", _field_apart(inv)))
                ),
            )
        )
    limited = inv.service_levels[inv.service_levels["slo"].notna()]
    levels = limited[limited["meets_slo"].notna()]
    if len(levels):
        good = float(levels["meets_slo"].astype(float).mean())
        kpis.append(
            Kpi(
                "Latency targets met",
                pct(good, 0),
                f"{plural(len(levels), 'target')} by use case and region"
                + (f", {doubt} inside a bucket" if (doubt := int(limited["meets_slo"].isna().sum())) else "")
                + (f", {untold} not measured" if (untold := unmeasured_targets(ws, inv)) else ""),
                status="good" if good == 1 else "watch",
            )
        )
    failed = inv.use_cases.loc[inv.use_cases["service_unit"] != "accelerator_hour", "failure_rate"]
    if failed.notna().any():
        kpis.append(
            Kpi(
                "Failure rate, worst service",
                pct(failed.max(), 1),
                inv.use_cases.loc[failed.idxmax(), "name"],
                status=_kept(inv.failures_and_queues["within_limit"]),
            )
        )
    filled = inv.coverage
    kpis.append(
        Kpi(
            "Catalogue filled",
            pct(filled["filled"].sum() / max(filled["total"].sum(), 1), 0),
            "of the fields that planning needs",
        )
    )
    return kpis[:6]


def attention(inv: Inventory) -> Group:
    """What needs somebody's attention."""
    texts = [item.text for item in inv.gaps]
    answer = (
        f"{plural(len(texts), 'point')} to settle before the plan."
        if texts
        else "Nothing stands in the way of the plan."
    )
    return group(section("What has to be settled?", answer), bullets(texts, "No open points."))


def headline(inv: Inventory) -> dict[str, tuple[object, str]]:
    """Headline figures for `results.json`."""
    total = bill_total(inv)
    return {
        "use_cases_live": (int(inv.use_cases["units_month"].gt(0).sum()), "use cases"),
        "effective_cost": (None if total is None else str(total), "USD"),
        "idle_cost": (float(inv.pools["idle_usd"].sum()) if len(inv.pools) else None, "USD"),
        "utilization": (_finite(busy_share(inv)), "fraction"),
        "waste": (float(inv.waste["usd"].sum()) if len(inv.waste) else None, "USD"),
        "value_at_risk_per_hour": (_value_at_risk(inv), "USD"),
        "targets_met": (_finite(inv.service_levels["meets_slo"].astype("float64").mean()), "fraction"),
    }


def tables(inv: Inventory) -> dict[str, pd.DataFrame]:
    """Tables to publish with the page."""
    names = ("use_cases", "coverage", "owners_to_ask", "candidate_gaps", "candidate_owners", "three_questions", "spend", "spend_reconciliation", "spend_monthly",
             "demand_monthly", "demand_profile", "class_peaks", "drift", "token_growth", "forecast", "service_levels", "failures_and_queues",
             "size_tail", "tenants", "retries", "prefix_reuse", "pools", "jobs", "local_vs_pooled", "pooled_fleet", "waste",
             "overlaps", "chains", "retiring_models", "hosted_today")  # fmt: skip
    more = {
        "demand_bands": inv.scenarios.groups,
        "named_scenarios": inv.scenarios.what_ifs,
        "chain_doubts": chain_doubts(inv),
    }
    return {name: getattr(inv, name) for name in names} | {name: frame for name, frame in more.items() if len(frame)}


def _value_at_risk(inv: Inventory) -> float | None:
    known = inv.three_questions.reindex(columns=["use_case_id", "value_per_hour_usd"])
    total = known[known["use_case_id"] == "total"]["value_per_hour_usd"]
    return _finite(total.iloc[0]) if len(total) else None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
