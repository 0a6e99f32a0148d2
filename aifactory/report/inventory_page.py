"""Page of stage 1: what we run, for whom, how much of it, and what it costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.report.blocks import (
    Col,
    Group,
    Kpi,
    bullets,
    group,
    head,
    section,
    table,
)
from aifactory.report.inventory_demand import (
    DEMAND,
    chart_demand_heatmap,
    chart_demand_months,
    demand_section,
    local_section,
    outlook,
    service_section,
    table_profile,
    tail_section,
)
from aifactory.report.inventory_money import (
    BILL,
    bill_total,
    chart_spend_by_team,
    reconciliation,
    spend_section,
    table_pools,
    table_spend,
    waste_section,
)
from aifactory.report.text import join_words, month_name, num, pct, plural, usd_compact

__all__ = [
    "attention",
    "chart_demand_heatmap",
    "chart_demand_months",
    "data_received",
    "demand_section",
    "headline",
    "input_warnings",
    "inventory_head",
    "local_section",
    "outlook",
    "reconciliation",
    "service_section",
    "spend_section",
    "status_of",
    "table_pools",
    "table_profile",
    "table_spend",
    "tables",
    "tail_section",
    "three_questions",
    "waste_section",
]


def busy_share(inv: Inventory) -> float:
    """Mean utilisation over all pools, weighted with their hours; NaN without pools."""
    hours = inv.pools["accelerator_hours"].sum()
    return 1 - inv.pools["idle_accelerator_hours"].sum() / hours if hours else np.nan


def status_of(ws: Workspace) -> str:
    """`final`, or `draft` while inputs carry warnings."""
    return "draft" if (ws.checks["status"] == "warned").any() else "final"


def input_warnings(ws: Workspace) -> list[str]:
    """One line on the warnings of the checks, for the head of a page; the checks below spell them out."""
    tables = ws.checks.loc[ws.checks["status"] == "warned", "table"]
    if tables.empty:
        return []
    return [
        f"{plural(len(tables), 'warning')} on the inputs ({join_words(sorted(set(tables)))}): see the checks below."
    ]


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
        warnings=input_warnings(ws),
    )


def finding(inv: Inventory) -> str:
    """The inventory in one sentence or two."""
    live = int(inv.use_cases["units_month"].gt(0).sum())
    total = bill_total(inv)
    if total is None:
        return f"{plural(live, 'use case')} had demand in {month_name(inv.period)}; without a bill nothing can be said of cost."
    text = f"{plural(live, 'use case')} cost {usd_compact(total)} in {month_name(inv.period)}."
    idle = float(inv.pools["idle_usd"].sum())
    if idle > 0:
        text += (
            f" Accelerators stood idle for {pct(1 - busy_share(inv), 0)} of the paid hours, worth {usd_compact(idle)}."
        )
    return text


def _kpis(ws: Workspace, inv: Inventory) -> list[Kpi]:
    kpis = []
    total = bill_total(inv)
    if total is not None:
        months = inv.spend_monthly.groupby("month")["effective_cost_usd"].sum()
        before = months[months.index < ws.period]
        change = f"{pct(float(total) / before.iloc[-1] - 1, 1)} against the month before" if len(before) else ""
        lines = inv.spend_reconciliation.set_index("line")["effective_cost"]
        share = float(lines["unattributed usage"] / total)
        kpis.append(Kpi("Bill of the month", usd_compact(total), change))
        kpis.append(Kpi("Without a team", pct(share, 1), "limit 5 %", status="good" if share <= 0.05 else "bad"))
    if len(inv.pools):
        kpis.append(
            Kpi(
                "Utilisation of accelerators",
                pct(busy_share(inv), 0),
                f"{num(inv.pools['installed'].sum(), 0)} installed",
            )
        )
    levels = inv.service_levels[inv.service_levels["meets_slo"].notna()]
    if len(levels):
        good = float(levels["meets_slo"].astype(float).mean())
        kpis.append(
            Kpi(
                "Latency targets met",
                pct(good, 0),
                f"{len(levels)} targets by use case and region",
                status="good" if good == 1 else "watch",
            )
        )
    failed = inv.use_cases.loc[inv.use_cases["service_unit"] != "accelerator_hour", "failure_rate"]
    if failed.notna().any():
        kpis.append(
            Kpi("Failure rate, worst service", pct(failed.max(), 1), inv.use_cases.loc[failed.idxmax(), "name"])
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


# ------------------------------------------------------------------ three questions in one panel


def three_questions(ws: Workspace, inv: Inventory) -> Group:
    """What is it doing, what does it cost, what happens if it fails: one panel."""
    cases = inv.use_cases[inv.use_cases["units_month"].gt(0)].sort_values(
        "effective_cost_usd", ascending=False, na_position="last"
    )
    worth = cases["value_usd_per_unit"] * cases["attribution_share"] * cases["units_month"] / 730
    frame = cases.assign(
        value_at_stake_usd=worth, label=cases["name"] + " (" + cases["criticality"].str.replace("_", " ") + ")"
    )
    columns = {
        "label": Col("Use case"),
        "units_month": Col("Units in the month", "sig3"),
        "service_unit": Col("Unit"),
        "effective_cost_usd": Col("Cost, USD", "usd0"),
        "usd_per_unit": Col("USD per unit", "sig3"),
        "failure_rate": Col("Failed", "pct1"),
        "value_at_stake_usd": Col("Value of one hour, USD", "usd0"),
        "owner_role": Col("Owner"),
    }
    answer = (
        f"{plural(len(cases), 'use case')} in {plural(cases['workload_class'].nunique(), 'workload class', 'workload classes')}. "
        "The last money column is what an hour of outage puts at stake."
    )
    return group(
        section("What is it doing, what does it cost, what happens if it fails?", answer),
        table(frame, caption="Use cases by cost", source=f"{DEMAND}; {BILL}; use_cases table", as_of=ws.as_of, columns=columns,
              note="Cost is attributed usage; failed counts failed and cancelled jobs for training."),
    )  # fmt: skip


def data_received(ws: Workspace, inv: Inventory) -> Group:
    """What came in, and what is missing from whom."""
    gaps = inv.coverage[inv.coverage["filled"] < inv.coverage["total"]]
    if len(gaps):
        worst = gaps.sort_values("filled_share").iloc[0]
        answer = f"{plural(len(gaps), 'needed field')} are incomplete; {worst['field']} is known for {worst['filled']} of {worst['total']} use cases."
    else:
        answer = "Every field that planning needs is filled for every use case."
    columns = {
        "field": Col("Field"),
        "needed_for": Col("Needed for"),
        "filled": Col("Filled", "int"),
        "total": Col("Use cases", "int"),
        "missing_use_cases": Col("Missing for"),
        "ask_owner_roles": Col("Ask"),
    }
    parts = [
        section("What was received, and whose numbers are missing?", answer),
        table(
            inv.coverage, caption="Coverage of the catalogue", source="use_cases table", as_of=ws.as_of, columns=columns
        ),
    ]
    if inv.not_computed:
        parts.append(bullets([f"Could not be computed: {item}." for item in inv.not_computed], ""))
    return group(*parts)


# ------------------------------------------------------------------ demand


# ------------------------------------------------------------------ money


# ------------------------------------------------------------------ service


# ------------------------------------------------------------------ outlook


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
        "targets_met": (_finite(inv.service_levels["meets_slo"].astype("float64").mean()), "fraction"),
    }


def tables(inv: Inventory) -> dict[str, pd.DataFrame]:
    """Tables to publish with the page."""
    names = ("use_cases", "coverage", "spend", "spend_reconciliation", "spend_monthly", "demand_monthly", "demand_profile", "forecast",
             "service_levels", "token_tail", "pools", "jobs", "local_vs_pooled")  # fmt: skip
    return {name: getattr(inv, name) for name in names}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
