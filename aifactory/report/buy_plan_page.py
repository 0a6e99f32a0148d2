"""Page of stage 4: how much to buy, when, on which terms, and whether it pays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.examine import Examination
from aifactory.buyplan.governance import released_on_triggers, renewed_within_a_year, signed_now
from aifactory.buyplan.releases import not_there_yet
from aifactory.buyplan.returns import Returns
from aifactory.finance.cashflow import NOTHING
from aifactory.finance.options import COMMITTED_OPTIONS, OPTION_NAMES
from aifactory.fleet.allowed_wait import TRAINING_CLASSES
from aifactory.inputs.hosted import RUN_BY_SELLERS
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Block, Col, Group, Kpi, head, section, table
from aifactory.report.buy_plan_bands import bands_section, triggers_told
from aifactory.report.buy_plan_charts import (
    PLAN,
    chart_break_even,
    chart_capacity,
    chart_cash,
    chart_policies,
    chart_tco,
    charts_unit_cost,
    expected,
)
from aifactory.report.buy_plan_examined import given_up_sentence
from aifactory.report.buy_plan_guard import of_a_plan
from aifactory.report.buy_plan_hosted import waiting_for_test
from aifactory.report.buy_plan_money import (
    alternatives_section,
    booking_section,
    by_scenario,
    elsewhere_note,
    governance,
    months_of,
    return_section,
    risks,
    table_cost_by,
    table_leases,
    table_policies,
    table_roi,
    table_tco,
    table_units,
    tco_section,
    unit_section,
)
from aifactory.report.buy_plan_orders import last_nodes, released_how, table_orders
from aifactory.report.buy_plan_reserve import risk_taken
from aifactory.report.buy_plan_returns import hours_are_rented, told_rival, used_prices
from aifactory.report.buy_plan_sensitivity import chart_tornado, sensitivity_section, table_tornado
from aifactory.report.inventory_page import later_run_warnings, silence_warnings, status_of
from aifactory.report.text import count, is_missing, join_words, month_name, num, pct, plural, price, span, usd_compact
from aifactory.serving.staffing import staffing_constants

__all__ = [
    "alternatives_section",
    "bands_section",
    "booking_section",
    "buy_plan_head",
    "capacity_section",
    "chart_break_even",
    "chart_capacity",
    "chart_cash",
    "chart_policies",
    "chart_tco",
    "chart_tornado",
    "charts_unit_cost",
    "financing_section",
    "governance",
    "headline",
    "return_section",
    "risks",
    "sensitivity_section",
    "table_bands",
    "table_cost_by",
    "table_leases",
    "table_need",
    "table_options",
    "table_orders",
    "table_policies",
    "table_roi",
    "table_tco",
    "table_tornado",
    "table_units",
    "tables",
    "tco_section",
    "unit_section",
]
MONTHS = "months after approval"
HEAD_WARNINGS = 3
QUESTION = "How much do we buy, when, on which terms, and does it pay?"


def buy_plan_head(ws: Workspace, plan: BuyPlan, returns: Returns | None, found: Examination | None = None) -> Group:
    """First screen: the decision asked for, how often it loses money, and what `found` says another platform saves."""
    doubts = [waiting_for_test(ws, plan, returns)]
    doubts += [told_rival(ws, plan, returns, hosted=False)] if returns else []
    doubts += [given_up_sentence(found, by_scenario(plan).loc["expected", "tco_usd"])] if found else []
    prices = used_prices(plan, ws.plan.price_freshness_days, ws.as_of)
    rest = len(plan.warnings) - HEAD_WARNINGS
    more = [f"{plural(rest, 'more caveat')} under risks."] if rest > 0 else []
    return head(
        stage="buy_plan",
        question=QUESTION,
        period=ws.period,
        as_of=ws.as_of,
        status="draft" if status_of(ws) == "draft" or _left_open(plan) else "final",
        finding=plan.decision,
        kpis=_kpis(ws, plan, returns) if len(plan.need) else [],
        chart=chart_capacity(ws, plan) if len(plan.need) else None,
        deciders=_deciders(ws),
        warnings=[
            *silence_warnings(ws),
            *later_run_warnings(ws),
            *filter(None, doubts),
            *([prices.sentence] if prices.count else []),
            *plan.warnings[:HEAD_WARNINGS],
            *more,
        ],
    )


def _left_open(plan: BuyPlan) -> bool:
    """Whether the plan leaves out measured demand that could be in it: what runs at a seller of models could not."""
    left = plan.not_sized[plan.not_sized["units_month"] > 0]
    return not left["reason"].isin(RUN_BY_SELLERS).all()


def _deciders(ws: Workspace) -> list[tuple[str, str]]:
    """Who approves what: the duties of the plan, money first."""
    duties: dict[str, list[str]] = {}
    for event in sorted(ws.plan.governance, key=lambda item: -item.every_months):
        duties.setdefault(event.owner_role, []).append(event.name.lower())
    return [(role[:1].upper() + role[1:], join_words(names)) for role, names in duties.items()]


def _kpis(ws: Workspace, plan: BuyPlan, returns: Returns | None) -> list[Kpi]:
    roi, now = by_scenario(plan), signed_now(plan.orders)
    base, horizon = roi.loc["expected"], f"{ws.plan.horizon_months} months"
    later = released_on_triggers(plan.orders)["commitment_usd"].sum()
    renewed = renewed_within_a_year(plan.orders)["commitment_usd"].sum()
    growth = f"{usd_compact(later)} more within a year, {released_how(plan.orders)}"
    growth += f", {usd_compact(renewed)} of renewals" if renewed else ""
    hidden = "hidden cost centres included"
    kpis = [
        Kpi("Commitments to sign", usd_compact(now["commitment_usd"].sum()), growth),
        Kpi(f"Total cost, {horizon}", usd_compact(base["tco_usd"]), hidden, _range(roi["tco_usd"])),
    ]
    if not is_missing(base["npv_usd"]):
        good = "good" if roi["npv_usd"].min() > 0 else "watch" if base["npv_usd"] > 0 else "bad"
        rate = f"value of the services less all cost, at {pct(ws.plan.value('wacc'), 1)} a year"
        if returns is not None:
            rate += f"; a loss in {pct(loss_probability(returns), 1)} of {returns.draws:,} draws"
        discounted = f"discounted: {months_of(base['discounted_payback_month'], base['discounted_payback_status'])}"
        paid = _month_range(roi)
        kpis.append(Kpi("NPV after tax", usd_compact(base["npv_usd"]), rate, _range(roi["npv_usd"]), good))
        kpis.append(Kpi("Payback", months_of(base["payback_month"], base["payback_status"]), discounted, paid))
    policies = plan.comparisons.set_index("policy")
    if (
        "All on demand" in policies.index
        and hours_are_rented(plan)
        and policies.loc["This plan", "present_value_usd"] > 0
    ):
        share = 1 - 1 / (1 + policies.loc["All on demand", "dearer_share"])
        saved = policies.loc["All on demand", "present_value_usd"] * share
        gain = f"{usd_compact(abs(saved))} {'less at present value: what the plan gains' if saved >= 0 else 'more at present value'}; people and storage included, same demand"
        kpis.append(Kpi("Accelerators against all on demand", pct(-share, 0), gain))
    use = expected(plan.capacity_use)
    hours = use[["useful_hours", "failed_hours", "idle_hours"]].sum()
    if hours.sum() > 0:
        idle = f"of the hours paid, {usd_compact(use['idle_usd'].sum())}"
        kpis.append(Kpi("Idle reserve", pct(hours["idle_hours"] / hours.sum(), 0), idle))
    return kpis


def _range(values: pd.Series) -> str:
    return f"{span(usd_compact(values.min()), usd_compact(values.max()))} over the scenarios"


def _month_range(roi: pd.DataFrame) -> str:
    values, status = roi["payback_month"], roi["payback_status"]
    if (status == NOTHING).any():
        return "in all scenarios" if (status == NOTHING).all() else "nothing to pay back in some scenarios"
    if values.isna().any():
        return "not in every scenario"
    return f"{num(values.min(), 1)} to {num(values.max(), 1)} months over the scenarios"


# ------------------------------------------------------------------ capacity


@of_a_plan("How much capacity is needed?")
def capacity_section(ws: Workspace, plan: BuyPlan) -> Block:
    """How much is needed, and what the reserve stands on."""
    question = "How much capacity is needed?"
    if plan.need.empty:
        return section(question, "None: no use case with demand has a chosen accelerator of known capacity.")
    first = plan.need[(plan.need["scenario"] == "expected") & (plan.need["month"] == plan.need["month"].min())]
    first = first.assign(even_with_reserve=first["accelerators_with_reserve"] / first["chance_factor"])
    fleet = expected(plan.fleet)
    now = fleet[fleet["month"] == fleet["month"].min()]
    held, late = now["accelerators"].sum(), not_there_yet(now, plan.options)
    served = first[first["accelerators_peak"] > first["accelerators_average"]]
    held_for = served["even_with_reserve"].sum() / served["accelerators_peak"].sum() - 1 if len(served) else 0.0
    rules = [pct(value) for value in sorted(set(served["reserve_rule"].round(4)))]
    rule = f" (the article's rule: {join_words(rules)})" if rules else ""
    month, average = month_name(first["month"].iloc[0]), count(first["accelerators_average"].sum())
    return section(
        question,
        f"{average[:1].upper()}{average[1:]} accelerators work on average in {month}, {num(held, 0)} are needed to cover peaks, reserve and whole "
        f"nodes{f', {num(late, 0)} of which are still to be delivered and cannot be rented' if late else ''}. Reserves are sized by risk from each stream's own hours and hold {pct(abs(held_for))} "
        f"{'more' if held_for >= 0 else 'less'} than the highest measured window of {month_name(ws.period)}{rule}"
        f"{'' if held_for >= 0 else risk_taken(plan.reserves)}. {_chance_sentence(plan)}{_waiting_sentence(ws, plan)}",
    )


def _waiting_sentence(ws: Workspace, plan: BuyPlan) -> str:
    """What holds for work that waits, where the plan has any."""
    cases = ws.table("use_cases").set_index("use_case_id").loc[plan.need["use_case_id"].unique()]
    free = cases["workload_class"].isin(TRAINING_CLASSES) & cases["slo_p95_wait_hours"].isna()
    if not free.any():
        return ""
    return f"Training {'without a limit of its wait ' if cases['slo_p95_wait_hours'].notna().any() else ''}waits instead and is planned at {pct(ws.plan.value('planning_utilization'))} utilisation."


def _chance_sentence(plan: BuyPlan) -> str:
    """What averages leave out: the extra of the pool where chance weighs most, and of all."""
    sizes = plan.sizes[plan.sizes["understated_share"] > 0] if len(plan.sizes) else plan.sizes
    if sizes.empty:
        return ""
    most = sizes.loc[sizes["understated_share"].idxmax()]
    shares = span(pct(sizes["understated_share"].min()), pct(most["understated_share"]))
    return (
        f"Requests come by chance: averages understate what keeps the SLO by {shares}, most in small fleets "
        f"({most['use_case_id']} in {most['region']}). "
    )


@of_a_plan()
def table_need(ws: Workspace, plan: BuyPlan) -> Block:
    """Three sizes of every use case and region in the first month of its work, each with what binds it."""
    ends = zip(plan.sizes["slo_low"], plan.sizes["slo_high"], strict=True)
    frame = plan.sizes.assign(range80=[str(low) if low == high else f"{low} to {high}" for low, high in ends])
    months = frame["month"].unique()
    when = months[0] if len(months) == 1 else "first month of its work"
    columns = {
        "use_case_id": Col("Use case"),
        "region": Col("Region"),
        "accelerator_id": Col("Accelerator"),
        **({"month": Col("Month")} if len(months) > 1 else {}),
        "average": Col("Average", "num2"),
        "steady": Col("Steady minimum", "int"),
        "slo": Col("SLO-safe", "int"),
        "range80": Col("80 % range"),
        "reserve": Col("Reserve", "int"),
        "total": Col("Held", "int"),
        "steady_because": Col("What binds the minimum"),
        "slo_because": Col("What the SLO adds"),
        "reserve_because": Col("What binds the reserve"),
    }
    fit = staffing_constants()
    within = f"{pct(fit['within_one_share'].min())} to {pct(fit['within_one_share'].max(), 1)} of {num(fit['cases'].sum(), 0)}"
    note = (
        "Steady minimum: the busiest measured window if its requests came evenly. SLO-safe: the same window with requests "
        f"that come by chance, n = R + k sqrt(R / b) fitted to the event simulator ({within} counts within one replica). "
        "Accelerators of whole replicas, each use case alone; those of one pool share nodes hour by hour, so the fleet is smaller than the sum."
    )
    caption = f"Accelerators needed per use case and region, {when}, expected scenario"
    return table(frame, caption=caption, source=PLAN, as_of=ws.as_of, columns=columns, note=note, max_rows=16)


# ------------------------------------------------------------------ bands and orders


@of_a_plan()
def table_bands(ws: Workspace, plan: BuyPlan) -> Block:
    """The procurement bands."""
    frame = plan.bands.assign(
        option=plan.bands["purchase_option"].map(OPTION_NAMES),
        now=triggers_told(plan.bands, plan.orders),
    )
    columns = {
        "accelerator_id": Col("Accelerator"),
        "region": Col("Region"),
        "band": Col("Band"),
        "option": Col("Way to pay"),
        "accelerators_now": Col(f"Needed in {month_name(ws.period)}", "int"),
        "accelerators_end": Col("At the end", "int"),
        "hours_used_share": Col("Hours used", "pct0"),
        "usd_per_accelerator_hour": Col("USD per hour, all in", "usd_hour"),
        "usd_month": Col("USD a month, mean of the horizon", "usd0"),
        "order_by_month": Col("Order by", "month"),
        "lead_time_weeks": Col("Lead, weeks", "int"),
        "expires": Col("Expires", "month"),
        "milestone": Col("Milestone"),
        "now": Col("Trigger, now of threshold"),
    }
    note = (
        "Baseline: nodes that today's demand keeps busy for at least the break-even share of hours, or that stand by a term. Growth: nodes that "
        "reach it later. Surge: peaks and reserve above. What is needed and still to be ordered is rented or missing until it comes. "
        + _trigger_words(plan.bands)
        + " Expected scenario; money without people and storage."
    )
    facts = {"caption": "Procurement bands", "source": PLAN, "as_of": ws.as_of, "groups": ["accelerator_id", "region"]}
    return table(
        frame.sort_values(["accelerator_id", "region"], kind="stable"), **facts, columns=columns, max_rows=30, note=note
    )


def _trigger_words(bands: pd.DataFrame) -> str:
    """What the triggers measure, and who watches them."""
    measured = bands.groupby("trigger_indicator", sort=False)["band"].agg(
        lambda names: join_words(list(dict.fromkeys(names)))
    )
    words = "; ".join(f"{indicator} for {names}" for indicator, names in measured.items())
    return (
        f"Triggers: {words}. The refresh watches loads and utilisation. A pool past its utilisation needs its next band, another band past "
        f"its share of hours is worth a term. Watched by: {join_words(sorted(bands['owner_role'].dropna().unique()))}."
    )


# ------------------------------------------------------------------ financing


@of_a_plan("Which way to pay is cheapest, and from which use on?")
def financing_section(plan: BuyPlan) -> Block:
    """Which way to pay is cheapest, and what that rests on."""
    question = "Which way to pay is cheapest, and from which use on?"
    shares = plan.options.dropna(subset=["break_even_utilization"])
    if shares.empty and plan.options["purchase_option"].isin(COMMITTED_OPTIONS).any():
        ways = join_words(sorted(OPTION_NAMES[name].lower() for name in set(plan.options["purchase_option"])))
        return section(
            question,
            f"No hours of these accelerators are rented, so there is no use from which {ways} pays: what is held must be committed.",
        )
    if shares.empty:
        return section(question, "No commitment is offered for the accelerators of the plan.")
    best = shares.sort_values("break_even_utilization").drop_duplicates(["accelerator_id", "region"])
    dear = best["price_fall_tolerated"] <= 0
    spared = best.loc[~dear, "price_fall_tolerated"]
    falls = (
        f"on-demand prices could fall by {span(pct(spared.min()), pct(spared.max()))} before these commitments cost more at the planned utilisation."
        if len(spared)
        else "no commitment costs less than hours on demand at the planned utilisation."
    )
    already = (
        f" Those for {join_words(best.loc[dear, 'accelerator_id'] + ' in ' + best.loc[dear, 'region'])} cost more there already."
        if len(spared) and dear.any()
        else ""
    )
    pays = span(pct(best["break_even_utilization"].min()), pct(best["break_even_utilization"].max()))
    where = ", depending on accelerator and region" if " to " in pays else ""
    return section(
        question,
        f"The cheapest commitment pays above {pays} of the hours{where}, against hours on demand. "
        f"Prices are kept at today's level; {falls}{already}{last_nodes(plan.orders)}",
    )


@of_a_plan()
def table_options(ws: Workspace, plan: BuyPlan) -> Block:
    """All offers for the pools of the plan."""
    frame = plan.options.assign(option=plan.options["purchase_option"].map(OPTION_NAMES))
    columns = {
        "accelerator_id": Col("Accelerator"),
        "region": Col("Region"),
        "option": Col("Way to pay"),
        "provider": Col("Provider"),
        "usd_per_accelerator": Col("Price, USD", "usd0"),
        "usd_per_accelerator_hour": Col("USD per hour, list", "usd_hour"),
        "usd_per_accelerator_hour_effective": Col("All in", "usd_hour"),
        "usd_per_used_hour": Col("Per used hour", "usd_hour"),
        "break_even_utilization": Col("Pays above, against on demand", "pct0"),
        "term_months": Col("Term, months", "int"),
        "lead_time_weeks": Col("Lead time, weeks", "int"),
        "as_of": Col("As of", "date"),
        "confidence": Col("Price is"),
        "exact_region": Col("Of the region", "bool"),
    }
    used = pct(ws.plan.value("planning_utilization"))
    around = span(*(price(usd) for usd in plan.options["around_usd_per_hour"].agg(["min", "max"])))
    note = f"All in: without people and storage; a used hour: with USD {around} for them, committed hours divided by {used} utilisation. Resale and cost of capital are in a purchase."
    note += elsewhere_note(plan.other_nodes)
    facts = {"caption": "Ways to pay for the accelerators of the plan", "source": "prices table", "as_of": ws.as_of}
    return table(frame, **facts, columns=columns, max_rows=12, note=note, groups=["accelerator_id", "region"])


def loss_probability(returns: Returns) -> float:
    """Share of the draws in which this plan, the first of the options, has an NPV below zero."""
    return float(returns.options["loss_probability"].iloc[0])


def headline(plan: BuyPlan, returns: Returns | None) -> dict[str, tuple[object, str]]:
    """Figures of the first screen for `results.json`."""
    if plan.need.empty:
        return {"caveats": (len(plan.warnings), "sentences"), "decision": (plan.decision, "text")}
    base, policies = by_scenario(plan).loc["expected"], plan.comparisons.set_index("policy")
    on_demand = policies["dearer_share"].get("All on demand", np.nan)
    return {
        "commitments_usd": (signed_now(plan.orders)["commitment_usd"].sum(), "USD"),
        "npv_usd": (base["npv_usd"], "USD"),
        "loss_probability": (loss_probability(returns) if returns else np.nan, "fraction"),
        "payback_month": (base["payback_month"], MONTHS),
        "tco_usd": (base["tco_usd"], "USD"),
        "value_usd": (base["value_usd"], "USD"),
        "capex_usd": (base["capex_usd"], "USD"),
        "served_share": (base["served_share"], "fraction"),
        "all_on_demand_dearer_share": (on_demand, "fraction"),
        "caveats": (len(plan.warnings), "sentences"),
        "decision": (plan.decision, "text"),
    }


def tables(plan: BuyPlan) -> dict[str, pd.DataFrame]:
    """All tables of the plan for the record."""
    held = {name: getattr(plan, name) for name in BuyPlan.__annotations__}
    return {name: value for name, value in held.items() if isinstance(value, pd.DataFrame) and len(value.columns)}
