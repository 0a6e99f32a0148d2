"""Figures of stage 4."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.finance.options import OPTION_NAMES
from aifactory.inputs.workspace import Workspace
from aifactory.report import charts
from aifactory.report.blocks import Block, Figure, Group, figure, group, missing
from aifactory.report.buy_plan_guard import of_a_plan
from aifactory.report.buy_plan_ways import hours_are_rented, told_ways
from aifactory.report.text import count, is_missing, month_name, num, pct, readable, usd, usd_compact
from aifactory.units import BANDS, KILO, MEGA

PLAN = "computed from demand, capacity and prices"
TOP_USE_CASES = 3
QUARTER = 3  # months between the points of the cash curve; the lowest month is always shown
LAST_STEP = "Ports, rework, contingency"
#: groups of unit-cost lines for the waterfall, in their order; all others are hidden cost centres
STEPS = {
    "Compute and memory: useful work": "Useful work",
    "Compute and memory: failed work and retries": "Failed work",
    "Compute and memory: idle reserve": "Idle reserve",
    "Power, space and support": "Power and space",
    "Storage": "Storage and network",
    "Network egress": "Storage and network",
    "Orchestration": "Orchestration and safety",
    "Safety checks": "Orchestration and safety",
    "Human operations": "Human operations",
    "Porting": LAST_STEP,
    "Rework": LAST_STEP,
    "Contingency": LAST_STEP,
    "Commitment beyond the horizon": LAST_STEP,
}
HIDDEN = "Hidden cost centres"
#: Units that a cost is told for: how many, in words, and the column of the chart's data.
BATCHES = (
    (1, "unit", "usd_per_unit"),
    (KILO, "1,000 units", "usd_per_1k_units"),
    (MEGA, "million units", "usd_per_1m_units"),
)


def expected(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the expected scenario."""
    return frame[frame["scenario"] == "expected"]


def chart_capacity(ws: Workspace, plan: BuyPlan) -> Figure | Block:
    """Stacked bands by month, and the need with reserve as a line."""
    if plan.fleet.empty:
        return missing("The capacity needed", "no use case with demand has a chosen accelerator of known capacity")
    monthly = expected(plan.fleet).groupby("month")[[*BANDS, "accelerators", "peak_with_reserve", "average"]].sum()
    long = monthly.reset_index().melt(["month", "peak_with_reserve"], list(BANDS), "band", "accelerators_held")
    first, last = monthly.iloc[0], monthly.iloc[-1]
    sizes = [num(row["accelerators"], 0) for row in (first, last)]
    held = monthly["accelerators"]
    peak = (
        f"; most in {month_name(held.idxmax())}, {num(held.max(), 0)}" if held.max() > max(held.iloc[[0, -1]]) else ""
    )
    return figure(
        charts.stacked_bars(
            long,
            x="month",
            value="accelerators_held",
            color="band",
            order=BANDS,
            line="peak_with_reserve",
            titles={"accelerators_held": "Accelerators", "peak_with_reserve": "Peak with reserve"},
        ),
        title=f"{sizes[0]} accelerators to hold, {sizes[1]} after {len(monthly)} months{peak}",
        description=(
            f"Stacked bars of baseline, growth and surge accelerators by month, expected scenario. First month "
            f"{num(first['baseline'], 0)}, {num(first['growth'], 0)} and {num(first['surge'], 0)}; last month "
            f"{num(last['baseline'], 0)}, {num(last['growth'], 0)} and {num(last['surge'], 0)}."
        ),
        caption=(
            "Accelerators of all kinds in whole nodes; the line is the peak with reserve before rounding to nodes. "
            f"On average {count(first['average'])} work in the first month and {count(last['average'])} in the last."
        ),
        source=PLAN,
        as_of=ws.as_of,
    )


@of_a_plan()
def chart_break_even(ws: Workspace, plan: BuyPlan) -> Figure | Block:
    """Cost of a used hour against utilization, for the pool that costs most."""
    if plan.bands.empty:
        return missing("The financing comparison", "the plan holds no accelerators")
    cost = plan.bands.groupby(["accelerator_id", "region"])["usd_month"].sum()
    committed = plan.options.dropna(subset=["break_even_utilization"])
    offered = pd.MultiIndex.from_frame(committed[["accelerator_id", "region"]])
    cost = cost[cost.index.isin(offered)] if cost.index.isin(offered).any() else cost
    accelerator, region = cost.idxmax()
    mine = (plan.break_even["accelerator_id"] == accelerator) & (plan.break_even["region"] == region)
    lines = plan.break_even[mine].assign(option=lambda rows: rows["purchase_option"].map(OPTION_NAMES))
    offers = plan.options[(plan.options["accelerator_id"] == accelerator) & (plan.options["region"] == region)]
    shares = offers.dropna(subset=["break_even_utilization"]).sort_values("break_even_utilization")
    named = ", ".join(
        f"{OPTION_NAMES[row.purchase_option]} breaks even at {pct(row.break_even_utilization)}"
        for row in shares.itertuples()
    )
    only = OPTION_NAMES[offers["purchase_option"].iloc[0]].lower() if len(offers) == 1 else ""
    title = f"{accelerator} in {region}: {f'{only} is the only way to pay' if only else 'no commitment is offered'}"
    if len(shares):
        best = shares.iloc[0]
        name = OPTION_NAMES[best["purchase_option"]].lower()
        title = f"{accelerator} in {region}: {name} pays above {pct(best['break_even_utilization'])} of the hours against on demand"
    return figure(
        charts.scatter_curve(
            lines,
            x="utilization",
            y="usd_per_used_hour",
            color="option",
            titles={"utilization": "Share of hours used", "usd_per_used_hour": "USD per used accelerator-hour"},
            x_fmt="pct0",
            y_fmt="usd2",
            log_y=True,
        ),
        title=title,
        description=f"Cost of a used accelerator-hour by share of hours used: commitments fall, others do not. {named}",
        caption="Included: power, space, support, capital of owned hardware, people and storage, work lost on spot. Shown: the dearest pool with a commitment on offer.",
        source="; ".join(sorted(set(offers["source"]))),
        as_of=ws.as_of,
    )


@of_a_plan()
def chart_cash(ws: Workspace, plan: BuyPlan) -> Figure:
    """Cumulative cash by scenario."""
    low = expected(plan.cash_flow).sort_values("cumulative_usd").iloc[0]
    ends = plan.cash_flow.groupby("scenario", sort=False)["cumulative_usd"].last()
    last = plan.cash_flow["month_index"].max()
    shown = plan.cash_flow["month_index"].mod(QUARTER).eq(last % QUARTER) | plan.cash_flow["month"].eq(low["month"])
    frame = plan.cash_flow.loc[shown, ["month", "scenario", "cumulative_usd"]]
    return figure(
        charts.lines_with_band(
            frame, x="month", y="cumulative_usd", color="scenario", fmt="usd_compact",
            titles={"cumulative_usd": "Cumulative cash after tax, USD"}, reference=[("break-even", 0.0)],
        ),
        title=f"Cash is lowest in {month_name(low['month'])}, at {usd_compact(low['cumulative_usd'])} in the expected scenario{_deeper(plan, low)}",
        description="Lines of cumulative cash after tax by month. At the end: "
        + ", ".join(f"{name} {usd_compact(value)}" for name, value in ends.items()),
        caption="Value of served demand less outlay, operating cost and tax, plus resale in the last month.",
        source=PLAN,
        as_of=ws.as_of,
    )  # fmt: skip


def _deeper(plan: BuyPlan, low: pd.Series) -> str:
    """The scenario whose cash falls lowest, where that is not the expected one."""
    worst = plan.cash_flow.sort_values("cumulative_usd", kind="stable").iloc[0]
    if worst["cumulative_usd"] >= low["cumulative_usd"]:
        return ""
    return f", at {usd_compact(worst['cumulative_usd'])} in {month_name(worst['month'])} in the {worst['scenario']} one"


@of_a_plan()
def charts_unit_cost(ws: Workspace, plan: BuyPlan) -> Group | Block:
    """Waterfall of the cost of units for the use cases that cost most: of one, a thousand or a million, so that it is a dollar or more."""
    if plan.unit_cost.empty:
        return missing("The cost of a unit", "no use case is in the plan")
    top = plan.unit_summary.sort_values("usd_month", ascending=False).head(TOP_USE_CASES)
    return group(*(_waterfall(ws, plan, row) for row in top.itertuples()))


def _waterfall(ws: Workspace, plan: BuyPlan, row: object) -> Figure:
    lines = plan.unit_cost[plan.unit_cost["use_case_id"] == row.use_case_id]
    step = lines["line"].map(STEPS).fillna(HIDDEN)
    order = [*(name for name in dict.fromkeys(STEPS.values()) if name != LAST_STEP), HIDDEN, LAST_STEP]
    one = lines["usd_per_unit"].groupby(step).sum().reindex(order).fillna(0.0)
    size, words, column = next((b for b in BATCHES if one.sum() * b[0] >= 1.0), BATCHES[-1])
    amounts = one * size
    total = float(amounts.sum())
    steps = pd.DataFrame({"step": [*amounts.index, "Total"], column: [*amounts, total]})
    useful = amounts["Useful work"] / total
    worked = f"{pct(useful)} of it useful work" if useful > 0 else "its accelerators were paid before"
    listed = f"a list price over the peak rate would say {usd(row.headline_usd_per_unit * size)}."
    if is_missing(row.headline_usd_per_unit):
        listed = "no hours of its accelerators are rented, so there is no list price."
    return figure(
        charts.waterfall(
            steps, label="step", amount=column, totals=["Total"], fmt="sig3",
            titles={column: f"USD per {words} ({readable(row.service_unit).lower()})"},
        ),
        title=f"{row.use_case_id}: {usd(total)} per {words}, {worked}",
        description=f"Steps from useful work to the full cost per {words} of {row.use_case_id}: "
        + ", ".join(f"{name} {usd(value)}" for name, value in amounts.items()),
        caption=f"Demand of {month_name(ws.period)} served on this plan's terms; {listed}",
        source=PLAN,
        as_of=ws.as_of,
    )  # fmt: skip


@of_a_plan()
def chart_tco(ws: Workspace, plan: BuyPlan) -> Figure:
    """Bars of the total cost of ownership by group of lines, expected scenario."""
    lines = expected(plan.tco)
    groups = lines.groupby("group", sort=False)["usd_horizon"].sum().sort_values(ascending=False).reset_index()
    total = groups["usd_horizon"].sum()
    outside = 1 - float(groups.set_index("group")["usd_horizon"].get("compute", 0.0)) / total if total > 0 else 0.0
    return figure(
        charts.bars(
            groups.assign(group=groups["group"].str.capitalize()), category="group", value="usd_horizon",
            fmt="usd_compact", titles={"usd_horizon": "USD over the horizon"},
        ),
        title=f"{pct(outside)} of the total cost is not the accelerators",
        description="Bars of total cost by group: "
        + ", ".join(f"{row.group} {usd_compact(row.usd_horizon)}" for row in groups.itertuples()),
        caption=f"Total cost over {ws.plan.horizon_months} months, expected scenario: {usd_compact(total)}.",
        source=PLAN,
        as_of=ws.as_of,
    )  # fmt: skip


@of_a_plan()
def chart_policies(ws: Workspace, plan: BuyPlan) -> Figure:
    """Present value of the accelerators under each policy."""
    frame = plan.comparisons.sort_values("present_value_usd", kind="stable")
    frame = frame.assign(policy=told_ways(frame["policy"], rented=hours_are_rented(plan)))
    others = frame[frame["policy"] != "This plan"]
    nearest = others.iloc[0]
    return figure(
        charts.bars(frame, category="policy", value="present_value_usd", fmt="usd_compact",
                    titles={"present_value_usd": "Present value of the accelerators, USD"}),
        title=f"The nearest alternative, {nearest['policy'][:1].lower() + nearest['policy'][1:]}, is {pct(nearest['dearer_share'])} dearer"
        if nearest["dearer_share"] >= 0
        else f"{nearest['policy']} is {pct(-nearest['dearer_share'])} cheaper",
        description="Bars of present value by policy: "
        + ", ".join(f"{row.policy} {usd_compact(row.present_value_usd)}" for row in frame.itertuples()),
        caption="Same expected demand, same cost function; accelerators with the people and storage around them.",
        source=PLAN,
        as_of=ws.as_of,
    )  # fmt: skip
