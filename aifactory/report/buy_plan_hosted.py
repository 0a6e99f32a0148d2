"""Use cases that run on hosted models today, in the buy plan page: what stays there, and from which demand own accelerators would pay."""

from __future__ import annotations

import numpy as np

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.duties import end_of_test, hosted_cases, late_for_test
from aifactory.buyplan.returns import Returns
from aifactory.buyplan.staying import TIMES
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Col, Group, group, section, table
from aifactory.report.text import date_name, join_words, num, plural, sig3, usd_compact

#: A list price below this share of the bill is worth a word.
CHEAPER = 0.5


def waiting_for_test(ws: Workspace, plan: BuyPlan, returns: Returns | None) -> str:
    """The orders that are due before the test of hosted models ends, and what waiting costs, as the value of information has it; "" without such."""
    tested = hosted_cases(plan.decision, plan.hosted)
    late = late_for_test(tested, plan.orders, ws.plan, ws.period)
    if late.empty:
        return ""
    until = date_name(end_of_test(tested, ws.plan, ws.period))
    due = f"{plural(len(late), 'order')} for such work, {usd_compact(late['commitment_usd'].sum())}, {'is' if len(late) == 1 else 'are'} due before"
    waits = returns.knowledge.dropna(subset=["net_usd"]).sort_values("months") if returns else ()
    costs = (
        [f"{usd_compact(row.wait_usd)} for {plural(int(row.months), 'month')}" for row in waits.itertuples()]
        if len(waits)
        else []
    )
    cost = f", which costs {join_words(costs)} if all orders of that time do" if costs else ""
    return f"The test of hosted models takes one person until {until}; {due}: let more people test, or these orders wait{cost}."


def hosted_today_section(ws: Workspace, plan: BuyPlan) -> Group:
    """Stay or move, use case by use case; nothing where none runs on a hosted model."""
    rows = plan.hosted_today
    if rows.empty:
        return group()
    stay = rows[rows["stays"]]
    answer = f"{len(stay)} of {plural(len(rows), 'use case')} on hosted models {'stays' if len(stay) == 1 else 'stay'} there."
    if len(stay):
        answer += f" At present value they cost {usd_compact(stay['hosted_usd'].sum())} there, {usd_compact(stay['own_usd'].sum())} on own accelerators."
        near = stay.dropna(subset=["own_from"]).sort_values("own_from")
        named = [f"{row.use_case_id} {num(row.own_from, 1)}" for row in near.head(3).itertuples()]
        answer += (
            f" Own accelerators would cost less from so many times the expected demand on: {join_words(named)}."
            if named
            else f" At up to {TIMES[-1]:.0f} times the expected demand that stays so."
        )
    cheap = rows[rows["listed_usd_per_unit"] < CHEAPER * rows["usd_per_unit"]]
    if len(cheap):
        listed = [
            f"{row.use_case_id} USD {sig3(row.listed_usd_per_unit)} instead of USD {sig3(row.usd_per_unit)} a unit"
            for row in cheap.head(3).itertuples()
        ]
        answer += f" Hosted elsewhere, the model that is charged or that the use case names is listed far below the bill: {join_words(listed)}; quality was not compared."
    decided = np.where(rows["hosted_usd"].isna(), "not decided", np.where(rows["stays"], "stays", "moves"))
    columns = {
        "use_case_id": Col("Use case"),
        "decided": Col("Decided"),
        "model": Col("Hosted model today"),
        "provider": Col("Of"),
        "usd_month": Col("Bill of the month, USD", "usd0"),
        "usd_per_unit": Col("USD a unit", "sig3"),
        "listed_usd_per_unit": Col("Cheapest list price of its model, USD a unit", "sig3"),
        "hosted_usd": Col("Present value there, USD", "usd0"),
        "own_usd": Col("On own accelerators, USD", "usd0"),
        "own_high_usd": Col("At the low end of the rate, USD", "usd0"),
        "own_since": Col("Moves at the earliest in"),
        "own_from": Col("Own costs less from, times demand", "num1"),
        "retires": Col("Announced end", "date"),
    }
    note = (
        "Present value before tax over the horizon: the bill of a unit times the expected units as they grow in size, with the shares of compute and the contingency that the plan adds to every bill, against what the plan costs with the use "
        "case less what it costs without it, the work to move, and the bill until that is done. Cheapest list price: of the model that is charged or that the use case "
        "names, whoever sells it. Times demand: the expected demand of that use case alone in every month, tried in steps of a fifth on fleets planned anew; a dash "
        f"where more than {TIMES[-1]:.0f} would be needed."
    )
    return group(
        section("What stays on hosted models, and from which demand on would own accelerators pay?", answer),
        table(rows.assign(decided=decided), caption="Use cases on hosted models today", source="billing, demand_windows and api_prices tables; buy plan stage",
              as_of=ws.as_of, columns=columns, note=note),
    )  # fmt: skip
