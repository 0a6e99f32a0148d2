"""Page of stage 4, second half: return, unit and total cost, sensitivity, alternatives, risks, governance."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.approvals import approvals_frame
from aifactory.buyplan.attribution import DRIVERS
from aifactory.buyplan.booking import BASE_LEASED, OURS
from aifactory.buyplan.compare import HOSTED
from aifactory.buyplan.duties import LEAST_HOSTED
from aifactory.buyplan.ledger import PORTING, REWORK
from aifactory.finance.cashflow import NOTHING, TOTAL_LOSS
from aifactory.finance.options import OPTION_NAMES
from aifactory.finance.tax import REGIMES
from aifactory.finance.tco import CONTINGENCY, OVERHEADS
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Block, Col, Group, bullets, group, section, table
from aifactory.report.buy_plan_charts import PLAN, expected
from aifactory.report.buy_plan_guard import of_a_plan
from aifactory.report.buy_plan_units import told_of_units
from aifactory.report.buy_plan_ways import bought_before, hours_are_rented, left_out, no_power, starts_later, told_ways
from aifactory.report.text import is_missing, join_words, num, pct, plural, reference_hours, sig3, span, usd_compact
from aifactory.units import KILO, SCENARIOS


def by_scenario(plan: BuyPlan) -> pd.DataFrame:
    """Return frame indexed by scenario."""
    return plan.roi.set_index("scenario")


#: How the policies end that hold a fixed reserve on one term.
RULES_OF_TERM = ("reserved for 1 year", "reserved for 3 years", "bought")
#: Offers in other nodes that the page names; the table of the workbook holds them all.
NAMED_OFFERS = 2
#: Above this an internal rate says no more than that next to nothing is laid out.
HIGHEST_RATE = 100.0


def months_of(value: float, status: str) -> str:
    """Months of a payback in words, or why there are none (`cashflow.payback_or_why`)."""
    return status if is_missing(value) else f"{num(value, 1)} months"


# ------------------------------------------------------------------ return


@of_a_plan("Does it pay, and how sure is that?")
def return_section(plan: BuyPlan) -> Block:
    """Does it pay, in each scenario."""
    roi = by_scenario(plan)
    question = "Does it pay, and how sure is that?"
    if roi["npv_usd"].isna().all():
        return section(question, "The return is not computed: no use case states a value per unit and its attribution.")
    base = roi.loc["expected"]
    rate = _rate(base)
    loss = [name for name in SCENARIOS if roi.loc[name, "npv_usd"] < 0]
    losing = f"NPV is negative in the {join_words(loss)} scenario" if loss else "NPV is positive in all three scenarios"
    return section(
        question,
        f"{losing}; the expected one returns {usd_compact(base['npv_usd'])} with {rate} and "
        f"{_pays_back(base)}. Value counts served demand only; the scenarios carry no probability.",
    )


def _pays_back(base: pd.Series) -> str:
    if base["payback_status"] == NOTHING:
        return "has nothing to pay back, as its cash is never below zero"
    month = base["payback_month"]
    return "does not pay back within the horizon" if is_missing(month) else f"pays back after {num(month, 1)} months"


def _rate(base: pd.Series) -> str:
    if base["irr_status"] == "total loss":
        return f"no internal rate, as what is paid is all but lost (below {pct(TOTAL_LOSS)} a year)"
    if base["irr_status"] == "borrowing":
        return "no internal rate of return, as money comes in before it goes out"
    if base["irr_status"] == "unique" and base["irr_annual"] > HIGHEST_RATE:
        return f"an internal rate above {pct(HIGHEST_RATE)} a year"
    if base["irr_status"] == "unique":
        return f"an internal rate of {pct(base['irr_annual'])} a year"
    if base["irr_status"] == "none":
        covered = base.get("payback_status") == NOTHING  # an outlay in a month of more value is none to recover
        why = "what comes in always covers what goes out" if covered else "no rate balances what comes in and goes out"
        return f"no internal rate, as {'the costs are never recovered' if base['npv_usd'] < 0 else why}"
    roots = join_words([pct(float(root)) for root in base["irr_roots"].split("; ")])
    return f"several internal rates ({roots} a year), so none is quoted and the MIRR of {pct(base['mirr_annual'])} stands in"


@of_a_plan()
def table_roi(ws: Workspace, plan: BuyPlan) -> Block:
    """Return by scenario."""
    columns = {
        "scenario": Col("Scenario"),
        "npv_usd": Col("NPV, USD", "usd0"),
        "irr_annual": Col("IRR a year", "pct0"),
        "irr_status": Col("IRR is"),
        "mirr_annual": Col("MIRR a year", "pct0"),
        "payback_month": Col("Payback, months", "num1"),
        "payback_status": Col("Payback is"),
        "discounted_payback_month": Col("Discounted payback", "num1"),
        "tco_usd": Col("Total cost, USD", "usd0"),
        "capex_usd": Col("Of it outlay", "usd0"),
        "resale_usd": Col("Resale in the last month, taken off", "usd0"),
        "value_usd": Col("Value, USD", "usd0"),
        "roi_ratio": Col("(Value - cost) / cost", "num2"),
        "served_share": Col("Demand served", "pct1"),
        "accelerators_end": Col("Accelerators at the end", "int"),
        "rented_by_the_hour_share": Col("Hours rented", "pct0"),
        "idle_share": Col("Hours idle", "pct0"),
    }
    wacc, tax = pct(ws.plan.value("wacc"), 1), pct(ws.plan.value("tax_rate"))
    note = (
        f"Monthly cash from approval, discounted at {wacc} a year (the MIRR finances and reinvests at the same rate). "
        f"Tax of {tax} on the profit of each fiscal year, purchases written off {REGIMES[ws.plan.tax_depreciation]}, prepayments over their term; "
        f"losses carried forward offset up to {pct(ws.plan.value('loss_offset_share'))} of a later profit. Pay and cost "
        f"centres rise by {pct(ws.plan.value('cost_inflation'), 1)} a year, so the NPV is in money of the day."
    )
    roi = plan.roi
    beyond = (roi["irr_annual"] > HIGHEST_RATE) & (roi["irr_status"] == "unique")
    return table(
        roi.assign(
            resale_usd=roi["scenario"].map(plan.cash_flow.groupby("scenario")["residual_usd"].sum()),
            irr_annual=roi["irr_annual"].mask(beyond),
            irr_status=roi["irr_status"].mask(beyond, f"above {pct(HIGHEST_RATE)}"),
        ),
        caption="Return in three scenarios",
        source=PLAN,
        as_of=ws.as_of,
        columns=columns,
        note=note,
        turned=True,
    )


@of_a_plan("How will it be booked and taxed?")
def booking_section(ws: Workspace, plan: BuyPlan) -> Block:
    """Tax under other write-offs, leases on the balance sheet; cash decides, this is the second view."""
    other = plan.tax_regimes[plan.tax_regimes["regime"] != ws.plan.tax_depreciation]
    moves = [f"{row.label}: {usd_compact(row.above_stated_usd)}" for row in other.itertuples()]
    stated = REGIMES[ws.plan.tax_depreciation]
    taxed = f"Written off {stated}; on the NPV of the same orders other ways would add: {join_words(moves)}. "
    if plan.roi["npv_usd"].isna().all():
        taxed = f"Written off {stated}; without a value per unit there is no profit to tax. "
    return section("How will it be booked and taxed?", taxed + _booked(ws, plan.leases))


def _booked(ws: Workspace, leases: pd.DataFrame) -> str:
    """Leases in words."""
    service = (
        "Reserved and hosted capacity is usually a service and stays off the balance sheet; the controller decides."
    )
    if leases.empty:
        return f"No lease is signed or offered. {service}"
    ours = bool((leases["way_to_pay"] == OURS).any())
    rows = leases[leases["way_to_pay"] == (OURS if ours else BASE_LEASED)]
    whose = "The leases of this plan put" if ours else "This plan signs no lease; leasing its base instead would put"
    return (
        f"{whose} up to {usd_compact(rows['liability_most_usd'].max())} of liability on the balance sheet at a borrowing rate "
        f"of {pct(ws.plan.value('borrowing_rate'), 1)} (ASC 842, IFRS 16). {service}"
    )


@of_a_plan()
def table_leases(ws: Workspace, plan: BuyPlan) -> Block:
    """Leases by year, as a controller would book them."""
    columns = {
        "way_to_pay": Col("Way to pay"),
        "year": Col("Year", "int"),
        "cash_usd": Col("Paid, USD", "usd0"),
        "liability_most_usd": Col("Highest liability", "usd0"),
        "liability_usd": Col("Liability at its end", "usd0"),
        "asset_usd": Col("Right of use at its end", "usd0"),
        "operating_expense_usd": Col("Expense, operating lease", "usd0"),
        "finance_expense_usd": Col("Expense, finance lease", "usd0"),
    }
    note = (
        "Years count from approval, as far as the horizon. Balances count the whole term, also what is paid after it; the highest is "
        "that at the end of a month. Cash is the same either way."
    )
    return table(
        plan.leases, caption="Leases as booked", source=PLAN, as_of=ws.as_of, columns=columns, max_rows=10, note=note
    )


# ------------------------------------------------------------------ unit and total cost


@of_a_plan("What does one inference cost?")
def unit_section(plan: BuyPlan) -> Block:
    """What one unit costs, against the headline figure."""
    question = "What does one inference cost?"
    rows = plan.unit_summary.dropna(subset=["average_to_headline"])
    if plan.unit_summary.empty:
        return section(question, "Not computed: no use case is in the plan.")
    if rows.empty:
        most = plan.unit_summary.loc[plan.unit_summary["usd_month"].idxmax()]
        return section(
            question,
            f"All cost centres included, a unit of {most['use_case_id']} costs USD {sig3(most['average_usd_per_unit'])}. No hours of the "
            f"accelerators in the plan are rented, so there is no list price to compare it with.{told_of_units(plan.unit_summary)}",
        )
    idle = expected(plan.capacity_use)
    share = idle["idle_usd"].sum() / max(idle[["useful_usd", "failed_usd", "idle_usd"]].to_numpy().sum(), 1e-9)
    worst = rows.loc[rows["average_to_headline"].idxmax()]
    return section(
        question,
        f"All cost centres included, a unit costs {span(num(rows['average_to_headline'].min(), 1), num(worst['average_to_headline'], 1))} "
        f"times list price over peak rate, most for {worst['use_case_id']}. "
        f"Idle reserve is {pct(share)} of the cost of accelerators and is inside it, never added again.{told_of_units(plan.unit_summary)}",
    )


@of_a_plan()
def table_units(ws: Workspace, plan: BuyPlan) -> Block:
    """Unit cost per use case: average, marginal, headline, hosted, value."""
    frame = plan.unit_summary.sort_values("usd_month", ascending=False)
    carbon = plan.cost_by[plan.cost_by["dimension"] == "Workload"].set_index("name")["carbon_kg_month"]
    units = frame["units_month"].where(frame["units_month"] > 0)
    frame = frame.assign(gco2e_per_unit=frame["use_case_id"].map(carbon) * KILO / units)
    columns = {
        "use_case_id": Col("Use case"),
        "service_unit": Col("Unit"),
        "units_month": Col("Units a month", "sig3"),
        "usd_month": Col("USD a month", "usd0"),
        "average_usd_per_unit": Col("Average", "sig3"),
        "marginal_usd_per_unit": Col("One more", "sig3"),
        "headline_usd_per_unit": Col("List over peak", "sig3"),
        "current_usd_per_unit": Col("Bill today", "sig3"),
        "api_usd_per_unit": Col("Hosted", "sig3"),
        "value_usd_per_unit": Col("Value", "sig3"),
        "gco2e_per_unit": Col("gCO2e", "sig3"),
    }
    note = (
        "Units and money of a month of 730 hours at the demand of the period, on this plan's terms, in the mean of the horizon: of what retires before, units and money are few, their ratio is not. Demand grows, so the horizon costs more than so many such months. "
        "The bill today lacks the hidden cost centres; the average holds all, with pay and cost centres as in the mean of the horizon, rises included. One more unit runs on rented hours, with their people and storage, at the same pay. Hosted is the price of the model alone: cost centres, rework and contingency, which the average holds, stay; the policies below compare like with like. "
        + bought_before(ws)
        + "Carbon: rated power of all hours paid for, times PUE (1 in the field), at the mean intensity of the region, without making the hardware."
        + no_power(plan.cost_by)
        + reference_hours(frame["service_unit"], ws.plan.reference_accelerator)
        + starts_later(frame)
    )
    return table(
        frame, caption="Cost of a service unit, USD a unit", source=PLAN, as_of=ws.as_of, columns=columns, note=note
    )


@of_a_plan()
def table_cost_by(ws: Workspace, plan: BuyPlan) -> Block:
    """Cost and carbon of a month by business unit, team, region and platform."""
    columns = {
        "dimension": Col("By"),
        "name": Col("Name"),
        "usd_month": Col("USD a month", "usd0"),
        "share": Col("Share", "pct0"),
        "carbon_kg_month": Col("kg CO2e a month", "int"),
    }
    note = "Each group of rows adds up to the same total. Demand of the period on this plan's terms."
    note += no_power(plan.cost_by) + starts_later(plan.unit_summary) + left_out(plan.not_sized)
    caption = "Cost and carbon by business unit, team, region and platform"
    rows = plan.cost_by[plan.cost_by["dimension"] != "Workload"]
    return table(rows, caption=caption, source=PLAN, as_of=ws.as_of, columns=columns, max_rows=40, note=note)


@of_a_plan("What does it cost in all?")
def tco_section(ws: Workspace, plan: BuyPlan) -> Block:
    """Total cost and its hidden part."""
    lines = expected(plan.tco)
    total = lines["usd_horizon"].sum()
    hidden = lines.loc[lines["group"] == "hidden cost centres", "usd_horizon"].sum()
    people = lines.loc[lines["line"] == "Human operations", "usd_horizon"].sum()
    return section(
        "What does it cost in all?",
        f"{usd_compact(total)} over {ws.plan.horizon_months} months in the expected scenario. Cost centres that no "
        f"bill shows take {usd_compact(hidden)}, operation by people {usd_compact(people)}.{_other_totals(plan)}",
    )


def _other_totals(plan: BuyPlan) -> str:
    """How the total stands to the costs that ways to pay are compared by and that orders are chosen by."""
    own = plan.comparisons[plan.comparisons["policy"] == OURS].squeeze()
    text = (
        f" Of it accelerators, with the storage and people around them, take {usd_compact(own['usd_horizon'])}, {usd_compact(own['present_value_usd'])} "
        "at present value: by that ways to pay are compared."
    )
    if plan.futures is None or plan.futures.best is None:
        return text
    cost = plan.futures.best.cost
    return (
        f"{text} The new orders and rented hours among them cost {usd_compact(cost.expected_usd)} of present value on average over the "
        f"{plan.futures.problem.paths} paths of demand and prices, {usd_compact(cost.objective_usd)} weighed for risk: by that orders are chosen."
    )


@of_a_plan()
def table_tco(ws: Workspace, plan: BuyPlan) -> Block:
    """Total cost by line and scenario."""
    wide = plan.tco.pivot_table(index=["group", "line"], columns="scenario", values="usd_horizon", sort=False)
    lines = wide.reset_index()
    lines = lines[(lines[list(SCENARIOS)] != 0).any(axis=1)]
    total = {"line": "Total", "group": "", **lines[list(SCENARIOS)].sum().to_dict()}
    frame = pd.concat([lines, pd.DataFrame([total])], ignore_index=True)
    frame["owner"] = frame["line"].map(_owners(ws)).fillna("")
    columns = {"line": Col("Cost line"), "group": Col("Group"), "owner": Col("Owner")}
    columns |= {name: Col(f"{name.capitalize()}, USD", "usd0") for name in SCENARIOS}
    note = "Purchases are spread over their months of use, less resale value; the cash view adds up to the same total."
    caption = f"Total cost of ownership over {ws.plan.horizon_months} months"
    return table(frame, caption=caption, source=PLAN, as_of=ws.as_of, columns=columns, max_rows=60, note=note)


def _owners(ws: Workspace) -> dict[str, str]:
    """Who answers for each cost line around the accelerators, the hidden cost centres above all."""
    cases = ws.table("use_cases")["use_case_id"].tolist()
    owners = {
        line: ws.plan.assumptions[assumption].owner_role
        for line, (_, _, assumption) in DRIVERS.items()
        if line in (*OVERHEADS, PORTING, REWORK, CONTINGENCY)
    }
    waits = [
        (item, name) for item in ws.plan.hidden_costs if item.usd_per_waiting_hour for name in item.use_cases or cases
    ]
    owners |= {
        f"{item.name}: {name}": item.owner_role for item, name in waits
    }  # one line a use case, see `with_waiting`
    return owners | {item.name: item.owner_role for item in ws.plan.hidden_costs}


# ------------------------------------------------------------------ sensitivity, alternatives, risks, governance


#: Why a page shows three figures for hosted models.
HOSTED_THRICE = (
    " Hosted models are asked three questions: here whole use cases move and demand is as expected; before signing, the hours for which "
    "it is cheaper, over many paths and weighed for risk; in the return, whole use cases again, all other work rented by the hour."
)


@of_a_plan("Is there a simpler or cheaper way?")
def alternatives_section(plan: BuyPlan) -> Block:
    """Other ways to cover the same demand."""
    question, others = "Is there a simpler or cheaper way?", plan.comparisons[plan.comparisons["policy"] != "This plan"]
    rented = hours_are_rented(plan)
    cheaper = others[others["dearer_share"] < 0]
    if len(cheaper):
        cheaper = cheaper.assign(policy=told_ways(cheaper["policy"], rented=rented))
        named = [f"{row.policy} by {pct(-row.dearer_share)}" for row in cheaper.itertuples()]
        text = f"Cheaper for accelerators, people and storage: {join_words(named)}."
        if not cheaper["policy"].str.startswith("Hosted").all():
            text += " Rules of thumb are neither held to the plan's limits nor made for more than the expected demand."
        return section(question, text + _simple_rule(others))
    text = "No alternative is cheaper."
    if "hosted_share" in plan.hosted and (plan.hosted["hosted_share"] >= LEAST_HOSTED).any():
        text = (
            "No alternative that moves whole use cases is cheaper for the expected demand. Hosted models for a part of them would be "
            "over many paths: see what must be known before signing."
        )
    months = plan.comparisons.set_index("policy")["plan_payback_month"].get("All on demand", float("nan"))
    if rented and not is_missing(months):
        text += f" Against renting everything on demand the outlay is back after {num(months, 1)} months."
    return section(question, text + _simple_rule(others))


def _simple_rule(others: pd.DataFrame) -> str:
    """What the best rule of average demand and a fixed reserve costs more on the expected demand; empty where none is or one is cheaper."""
    rules = others.loc[others["policy"].str.startswith("Average"), "dearer_share"]
    if rules.empty or not rules.min() >= 0:
        return ""
    return f" The rule of average demand plus a fixed reserve costs {pct(rules.min(), 1)} more at best."


@of_a_plan()
def table_policies(ws: Workspace, plan: BuyPlan) -> Block:
    """Policies side by side."""
    columns = {
        "policy": Col("Policy"),
        "present_value_usd": Col("Present value, USD", "usd0"),
        "dearer_share": Col("Against this plan", "pct0"),
        "usd_horizon": Col("Over the horizon, USD", "usd0"),
        "accelerator_hours_paid": Col("Accelerator-hours paid", "int"),
        "plan_payback_month": Col("Plan pays back, months", "num1"),
        "plan_irr_annual": Col("Return on its outlay", "pct0"),
        "note": Col("Remark"),
    }
    caption = "Policies for the same expected demand"
    note = "Payback and return judge the outlay of this plan by what it saves against the policy, before tax; neither where it lays out no more, no return where no single rate fits."
    if hours_are_rented(plan):
        note += " Hours are rented until what a policy holds is delivered."
    unsold = [words for words in RULES_OF_TERM if not plan.comparisons["policy"].str.endswith(words).any()]
    if unsold:
        note += f" No policy is {join_words(unsold, 'or')}: nobody offers that in nodes that its pools could take."
    if plan.comparisons["policy"].str.startswith(HOSTED).any():
        note += HOSTED_THRICE
    rate = plan.comparisons["plan_irr_annual"]
    names = told_ways(plan.comparisons["policy"], rented=hours_are_rented(plan))
    shown = plan.comparisons.assign(policy=names, plan_irr_annual=rate.mask(rate > HIGHEST_RATE))
    return table(shown, caption=caption, source=PLAN, as_of=ws.as_of, columns=columns, note=note)


def elsewhere_note(other: pd.DataFrame) -> str:
    """Which offers are compared nowhere since their nodes do not fit the pools, those far below the plan's price first, in words."""
    if other.empty:
        return ""
    other = other.assign(usd=other["usd_per_accelerator_hour"].fillna(other["usd_per_accelerator"]))
    cheaper = (other["usd"] / other["usd_in_plan"]).sort_values(kind="stable")
    named = [
        f"{OPTION_NAMES[row.purchase_option].lower()} of {row.accelerator_id} in {row.region}, sold in nodes of "
        f"{row.node_accelerators} at USD {row.usd:,.2f} ({row.reason}; its nodes have {row.pool_node_accelerators}"
        + ("" if is_missing(row.usd_in_plan) else f", at USD {row.usd_in_plan:,.2f}")
        + ")"
        for row in other.loc[cheaper.index].head(NAMED_OFFERS).itertuples()
    ]
    rest = f" and {plural(len(other) - NAMED_OFFERS, 'more offer')} (other_nodes)" if len(other) > NAMED_OFFERS else ""
    return f" Not compared: {'; '.join(named)}{rest}."


def risks(plan: BuyPlan) -> Group:
    """Caveats, one sentence each."""
    return group(
        section("What must be known before signing?", f"{plural(len(plan.warnings), 'caveat')}."),
        bullets(plan.warnings, "No caveat was found."),
    )


def governance(ws: Workspace, plan: BuyPlan) -> Group:
    """Dates of the first year, and everybody who signs."""
    dates = plan.governance
    year = dates[dates["date"] <= pd.Timestamp(ws.as_of) + pd.DateOffset(years=1)]
    columns = {"date": Col("Date", "date"), "event": Col("What"), "owner_role": Col("Who"), "rule": Col("Rule")}
    answer = (
        f"{plural(len(year), 'date')} in the first year, {len(dates)} over the horizon. Hardware below "
        f"{pct(ws.plan.deprecate_below_utilization)} utilisation is a candidate to give up."
    )
    note = "The calendar file beside this report holds all dates."
    facts = {"source": "plan.yaml", "as_of": ws.as_of}
    approvals = approvals_frame(ws.plan, ws.table("decisions")).assign(signature="")
    signed = {
        "role": Col("Role"),
        "answers_for": Col("Answers for"),
        "decided": Col("Decided last"),
        "date": Col("On", "date"),
        "open_conditions": Col("Open conditions"),
        "signature": Col("Signature"),
    }
    return group(
        section("Who does what by when?", answer),
        table(year, caption="Calendar of the first year", columns=columns, max_rows=20, note=note, **facts),
        table(approvals, caption="Approvals", columns=signed, source="plan.yaml; decisions table", as_of=ws.as_of),
    )
