"""What moves the result: the question, the chart and the table of the tornado."""

from __future__ import annotations

from aifactory.buyplan import BuyPlan
from aifactory.inputs.workspace import Workspace
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Figure, figure, missing, section, table
from aifactory.report.buy_plan_charts import expected
from aifactory.report.buy_plan_guard import of_a_plan
from aifactory.report.text import join_words, num, readable, usd_compact

TOP_ASSUMPTIONS = 12


@of_a_plan("What moves the result?")
def sensitivity_section(plan: BuyPlan) -> Block:
    """What moves the result, and what would turn it."""
    question = "What moves the result?"
    if plan.tornado.empty:
        return section(question, "There is no NPV to move: no value per unit is stated.")
    top = [readable(name) for name in plan.tornado["assumption"].head(3)]
    turning = plan.tornado.dropna(subset=["switching_value"])
    turn = "no assumption turns the sign of the NPV within its range"
    if len(turning):
        named = [f"{readable(row.assumption)} at {num(row.switching_value)} {row.unit}" for row in turning.itertuples()]
        turn = f"the NPV turns to zero with {join_words(named)}"
    beyond = plan.tornado.loc[plan.tornado["swing_usd"].isna(), "assumption"].map(readable)
    beyond = (
        f" An end of {join_words(beyond)} asks for more nodes than a plan can hold and has no NPV."
        if len(beyond)
        else ""
    )
    return section(question, f"Most: {join_words(top)}. Taken one at a time, {turn}.{beyond}")


@of_a_plan()
def table_tornado(ws: Workspace, plan: BuyPlan) -> Block:
    """Every assumption that moves the NPV."""
    frame = plan.tornado.assign(label=plan.tornado["assumption"].map(readable))
    columns = {
        "label": Col("Assumption"),
        "low": Col("Low", "sig3"),
        "value": Col("Value", "sig3"),
        "high": Col("High", "sig3"),
        "unit": Col("Unit"),
        "npv_low_usd": Col("NPV at low, USD", "usd0"),
        "npv_high_usd": Col("NPV at high, USD", "usd0"),
        "swing_usd": Col("Swing, USD", "usd0"),
        "switching_value": Col("NPV is zero at", "sig3"),
        "owner_role": Col("Owner"),
    }
    caption = "Effect of each assumption on the NPV, expected scenario"
    note = "Orders are made anew for each value, by the rule of the plan; platforms, and work moved to idle capacity, stay. Each end is taken as certain: a value set with --set keeps its range, from which demand is drawn. With the orders as they are, see the return above."
    return table(frame, caption=caption, source="assumptions of plan.yaml", as_of=ws.as_of, columns=columns, note=note)


@of_a_plan()
def chart_tornado(ws: Workspace, plan: BuyPlan) -> Figure | Block:
    """NPV of the expected scenario with one assumption at its low or high end."""
    if plan.tornado.empty:
        return missing("The tornado", "no value per unit is stated, so there is no NPV to move")
    base = expected(plan.roi)["npv_usd"].iloc[0]
    top = plan.tornado.dropna(subset=["swing_usd"]).head(TOP_ASSUMPTIONS)
    ends = top[["npv_low_usd", "npv_high_usd"]]
    frame = top.assign(
        label=top["assumption"].map(readable), npv_usd=base, lowest_usd=ends.min(axis=1), highest_usd=ends.max(axis=1)
    )
    first = frame.iloc[0]
    ranges = ", ".join(
        f"{row.label} {usd_compact(row.lowest_usd)} to {usd_compact(row.highest_usd)}" for row in frame.itertuples()
    )
    return figure(
        charts.dots_with_range(
            frame, category="label", value="npv_usd", low="lowest_usd", high="highest_usd", fmt="usd_compact",
            zero=False, titles={"npv_usd": "NPV, USD", "lowest_usd": "Lowest NPV", "highest_usd": "Highest NPV"},
        ),
        title=f"{first['label']} moves the result most: {usd_compact(first['swing_usd'])}",
        description=f"Ranges of NPV with one assumption at its low and high end: {ranges}",
        caption="Low and high are P10 and P90 of plan.yaml; orders are chosen anew for each value.",
        source="assumptions of plan.yaml",
        as_of=ws.as_of,
    )  # fmt: skip
