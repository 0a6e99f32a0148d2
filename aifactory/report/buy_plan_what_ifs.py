"""Page of stage 4: named scenarios of the workspace through orders and cost."""

from __future__ import annotations

from aifactory.buyplan import BuyPlan
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Block, Col, Group, group, section, table
from aifactory.report.buy_plan_guard import of_a_plan
from aifactory.report.text import month_name, num, pct, plural, usd_compact

QUESTION = "What if a named scenario comes true?"
MOST_ROWS = 8


@of_a_plan()
def what_ifs_section(ws: Workspace, plan: BuyPlan) -> Group | Block:
    """Cost and capacity of each named scenario against the expected one; nothing where none is named."""
    rows = plan.what_ifs
    if rows.empty:
        return group()
    moved = rows["usd_change"].abs().max() > 0
    dear = rows.loc[rows["usd_change" if moved else "accelerators_change"].abs().idxmax()]
    more, fleet = dear["usd_change"], dear["accelerators_change"]
    held = f" and {num(abs(fleet))} accelerators {_than(fleet)} in {month_name(dear['change_month'])}" if fleet else ""
    cost = (
        f"{dear['scenario']} moves the cost most of {plural(len(rows), 'named scenario')}: {usd_compact(abs(more))} {_than(more)} "
        f"({pct(abs(dear['usd_change_share']), 1)}) over {ws.plan.horizon_months} months{held}. "
    )
    if not moved:
        cost = f"No named scenario of {len(rows)} moves the cost over {ws.plan.horizon_months} months. "
        cost += f"{dear['scenario']} moves the fleet most:{held.removeprefix(' and')}. " if fleet else ""
    answer = f"{cost}The first orders of the baseline stay firm; all others are made anew by the rule of the plan."
    return group(section(QUESTION, answer), _table(ws, plan))


def _than(change: float) -> str:
    return "more" if change >= 0 else "less"


def _table(ws: Workspace, plan: BuyPlan) -> Block:
    columns = {
        "scenario": Col("Scenario"),
        "note": Col("What happens"),
        "first_month": Col("From", "month"),
        "last_month": Col("To", "month"),
        "accelerators_change": Col("Accelerators, most", "int"),
        "change_month": Col("In", "month"),
        "usd_change": Col("Cost against expected, USD", "usd0"),
        "usd_change_share": Col("Share", "pct1"),
        "commitment_usd_change": Col("Commitments, USD", "usd0"),
        "served_share": Col("Demand served", "pct1"),
    }
    return table(
        plan.what_ifs, caption="Named scenarios against the expected one", source="demand_what_ifs table; orders and prices of this plan",
        as_of=ws.as_of, columns=columns, max_rows=MOST_ROWS,
    )  # fmt: skip
