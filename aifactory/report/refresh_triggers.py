"""Triggers in the monthly refresh: steps of the approved plan, and how full the pools are."""

from __future__ import annotations

import pandas as pd

from aifactory.finance.options import OPTION_NAMES
from aifactory.inputs.workspace import Workspace
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Group, figure, group, section, table
from aifactory.report.text import join_words, month_name, pct, pct_beside, plural
from aifactory.review import Review
from aifactory.review.band_triggers import NO_ROOM, by_date
from aifactory.review.plan_use import CONTRADICTS, NOT_PLANNED

POOLS, STEPS = "pools table", "approved_plan and approved_bands tables; demand_windows and jobs tables"
SHOWN = 12
NAMED = 3
#: A straight line of six months says nothing about what lies further away.
FAR_MONTHS = 36


def trigger_section(ws: Workspace, review: Review) -> Group:
    """Steps that demand released, and pools against the trigger of utilisation."""
    question = "Do we pull a trigger?"
    parts: list[Block | Group] = [
        section(question, " ".join([_steps_answer(ws, review), _pools_answer(review), *_plan_use_answer(review)]))
    ]
    if len(review.band_triggers):
        parts.append(_steps_table(ws, review))
    if len(review.triggers):
        parts.append(_pools(ws, review))
    if len(review.plan_use):
        parts.append(_plan_use(ws, review))
    return group(*parts)


def _steps_answer(ws: Workspace, review: Review) -> str:
    rows = review.band_triggers
    if rows.empty:
        return _no_step_due(ws)
    fired = rows[rows["state"] == "fired"]
    near, held = (int((rows["state"] == state).sum()) for state in ("approaching", "held back"))
    if fired.empty:
        text = f"Demand released no step of the approved plan that waits for a decision in {month_name(ws.period)}"
    else:
        named = [_named(row) for row in fired.head(NAMED).itertuples()]
        rest = [plural(len(fired) - NAMED, "more step")] if len(fired) > NAMED else []
        new = int((fired["fired_in"] == ws.period).sum())
        dated = by_date(fired)
        what = "The date has" if dated.all() else "Demand and the date have" if dated.any() else "Demand has"
        text = f"{what} released {plural(len(fired), 'step')} of the approved plan, {new} of them this month: {join_words([*named, *rest])}"
        text += _below_again(fired[~dated])
    behind = f", {held} wait{'s' * (held == 1)} for demand that is behind plan" if held else ""
    return f"{text}; {near or 'none'} come{'s' * (near == 1)} near{behind}{_no_room(rows)}."


def _below_again(fired: pd.DataFrame) -> str:
    """Released steps whose load is no longer where it released them."""
    back = fired[fired["value"] < fired["threshold"]]
    if back.empty:
        return ""
    named = [f"{row.accelerators} {row.accelerator_id} in {row.region}" for row in back.head(NAMED).itertuples()]
    more = [plural(len(back) - NAMED, "more step")] if len(back) > NAMED else []
    return f"; demand has fallen below the trigger of {join_words([*named, *more])} again: wait with the order, or decide why not"


def _no_room(rows: pd.DataFrame) -> str:
    """Steps whose load is there before power, space or money of the plan are."""
    full = rows[rows["state"] == NO_ROOM]
    if full.empty:
        return ""
    place = full.groupby(["region", "accelerator_id", "not_before"], sort=False)["accelerators"].sum().reset_index()
    named = [
        f"{row.accelerators} {row.accelerator_id} in {row.region} not before {month_name(row.not_before)}"
        for row in place.head(NAMED).itertuples()
    ]
    more = [plural(len(place) - NAMED, "more place")] if len(place) > NAMED else []
    return (
        f"; demand has reached {plural(len(full), 'step')} for which the limits of the plan leave no room yet: "
        f"{join_words([*named, *more])}"
    )


def _no_step_due(ws: Workspace) -> str:
    """Why no step is looked at: no plan was approved, its orders are all firm, or none is due within a year."""
    plan, steps = (
        table[table["plan_period"] < ws.period] for table in map(ws.table, ("approved_plan", "approved_bands"))
    )
    if len(plan) and steps.empty and ws.sources["table"].eq("approved_bands").any():
        return "The approved plan has no steps beside its firm orders."
    if steps.empty or plan.empty:
        return "Steps of an approved plan could not be computed: no plan with steps was approved before this month."
    first = month_name(steps["order_month"].min())
    return f"No step of the approved plan is due within a year; it has {len(steps)}, the first planned for {first}."


def _named(row: tuple) -> str:
    ahead = (pd.Period(row.order_month, "M") - pd.Period(row.fired_in, "M")).n
    when = "as planned" if ahead == 0 else f"{plural(abs(ahead), 'month')} {'early' if ahead > 0 else 'late'}"
    return f"{row.accelerators} {row.accelerator_id} in {row.region} ({row.band}, {when})"


def _steps_table(ws: Workspace, review: Review) -> Block:
    rows = review.band_triggers
    rows = rows.assign(
        months=_within_reach(rows["months_to_trigger"]),
        terms=rows["purchase_option"].map(OPTION_NAMES).fillna(rows["purchase_option"]),
    )
    columns = {
        "state": Col("State"),
        "region": Col("Region"),
        "accelerator_id": Col("Accelerator"),
        "band": Col("Band"),
        "kind": Col("Adds"),
        "accelerators": Col("Number", "int"),
        "terms": Col("Terms"),
        "order_month": Col("Planned order", "month"),
        "value": Col("Load now", "num2"),
        "threshold": Col("Released at", "num2"),
        "months": Col("Months to trigger", "num1"),
        "fired_in": Col("Reached in"),
        **(
            {"not_before": Col("No room before", "month")}
            if "not_before" in rows and rows["not_before"].notna().any()
            else {}
        ),
        **(
            {"starts_with": Col("By its date: there when")}
            if "starts_with" in rows and rows["starts_with"].notna().any()
            else {}
        ),
        "owner_role": Col("Owner"),
    }
    note = (
        "Load: accelerators that the work planned there keeps busy on average, at the capacity that was approved, wherever it runs "
        "today, against what the plan expected in the month of the order; straight line through six months. A month counts as its weeks do, whatever working days it holds. Demand is taken as in that month, by the season of the year and stated launches, where accelerators are ordered, and as measured where they are rented. A dash: the trend does not reach it within three years. A fired step is "
        "closed by a decision about its region and accelerator in the decisions table, or by its order in the commitments table."
    )
    if "not_before" in columns:
        note += " No room before: power, space, money or the share of a vendor that the plan may take leave none for the order until then, wherever the load is."
    if "starts_with" in columns:
        note += " An order that is there when a use case starts is released by its date, since no load of today speaks for it; one that is there when a term ends, by its date at the latest."
    caption = "Steps of the approved plan and the load that releases them"
    return table(
        rows,
        caption=caption,
        source=STEPS,
        as_of=ws.as_of,
        columns=columns,
        note=note,
        max_rows=SHOWN,
        groups=["state"],
    )


def _within_reach(months: pd.Series) -> pd.Series:
    """Months to a trigger; none where the trend takes so long that it says nothing."""
    return months.where(months <= FAR_MONTHS)


def _pools_answer(review: Review) -> str:
    rows = review.triggers
    if rows.empty:
        return "Capacity triggers of the pools could not be computed: no pool readings."
    fired, near = (int((rows["state"] == state).sum()) for state in ("fired", "approaching"))
    first = rows.iloc[0]
    text = f"Of the pools {fired or 'none'} {'is' if fired == 1 else 'are'} past the trigger of {pct(first['threshold'], 0)} and {near or 'none'} come{'s' * (near == 1)} within three months; nearest is {first['pool_id']} at {pct_beside(first['value'], first['threshold'])}"
    months = first["months_to_trigger"]
    ahead = "less than a month" if months < 1 else plural(round(months), "month") if months <= FAR_MONTHS else ""
    wait = f", {ahead} away" if months > 0 and ahead else ""
    return " ".join([f"{text}{wait}.", *_next_steps(review)])


def _next_steps(review: Review) -> list[str]:
    """What the approved plan holds for each pool past the trigger."""
    fired, steps = review.triggers[review.triggers["state"] == "fired"], review.band_triggers
    found = []
    for row in fired.head(NAMED).itertuples():
        mine = steps[(steps["region"] == row.region) & (steps["accelerator_id"] == row.accelerator_id)] if len(steps) else steps  # fmt: skip
        if mine.empty:
            found.append(f"{row.pool_id}: no step of the approved plan adds {row.accelerator_id} in {row.region}, so its work is to be planned anew.")  # fmt: skip
        else:
            step = mine.sort_values("order_month").iloc[0]
            found.append(f"{row.pool_id}: the next step adds {step['accelerators']}, planned for {month_name(step['order_month'])} ({step['state']}).")  # fmt: skip
    return found


def _pools(ws: Workspace, review: Review) -> Group:
    rows = review.triggers
    fired, limit = int((rows["state"] == "fired").sum()), float(rows["threshold"].iloc[0])
    chart = charts.bars(
        rows.sort_values("value", ascending=False),
        category="pool_id",
        value="value",
        color="state",
        fmt="pct0",
        titles={"value": "Utilisation of the month"},
        reference=[("trigger", limit)],
    )
    used = [pct_beside(row.value, row.threshold) for row in rows.itertuples()]
    frame = rows.assign(months=_within_reach(rows["months_to_trigger"]), used=used)
    columns = {
        "pool_id": Col("Pool"),
        "accelerator_id": Col("Accelerator"),
        "region": Col("Region"),
        "used": Col("Utilisation"),
        "threshold": Col("Trigger", "pct0"),
        "slope_per_month": Col("Trend a month", "pct1"),
        "months": Col("Months to trigger", "num1"),
        "state": Col("State"),
    }
    return group(
        figure(chart, title=f"{plural(fired, 'pool')} past the trigger of {pct(limit, 0)}", description="Bars of mean utilisation per pool against the trigger line.",
               caption="Mean utilisation of the month; past the line the next band is ordered.", source=POOLS, as_of=ws.as_of),
        table(frame, caption="Capacity triggers of the pools", source=POOLS, as_of=ws.as_of, columns=columns, max_rows=SHOWN,
              note="Straight line through the last six monthly means, whatever season lies in them; a dash means that the trend does not reach the trigger within three years."),
    )  # fmt: skip


def contradictions(review: Review) -> list[str]:
    """Platforms whose telemetry contradicts the plan, with both figures and dates."""
    rows = review.plan_use[review.plan_use["state"] == CONTRADICTS] if len(review.plan_use) else ()
    found = [
        f"{row.accelerator_id} in {row.region} ({pct(row.measured_utilization, 0)} in use, {pct(row.expected_utilization, 0)} expected)"
        for row in (rows.itertuples() if len(rows) else ())
    ]
    if not found:
        return []
    months = f"readings of {month_name(review.period)} against the capacity of the plan approved for {month_name(rows['plan_period'].iloc[0])}"
    return [f"Telemetry contradicts the plan's utilisation of {join_words(found)}: {months}."]


def moves_outstanding(review: Review) -> list[str]:
    """Use cases that still run elsewhere than the approved plan has them by now."""
    rows = review.plan_use[review.plan_use["not_moved"].notna()] if len(review.plan_use) else review.plan_use
    if rows.empty:
        return []
    found = [f"{row.not_moved} to {row.accelerator_id} in {row.region}" for row in rows.itertuples()]
    rest = [plural(len(found) - NAMED, "more move")] if len(found) > NAMED else []
    return [
        f"Work that the plan has moved by {month_name(review.period)} still runs elsewhere: {'; '.join([*found[:NAMED], *rest])} "
        "(platforms of today as plan.yaml states them, else as jobs and bill show them)."
    ]


def _plan_use_answer(review: Review) -> list[str]:
    """Contradictions, outstanding moves, and how many platforms are in use on which the plan has no work."""
    idle = int((review.plan_use["state"] == NOT_PLANNED).sum()) if len(review.plan_use) else 0
    text = f"{plural(idle, 'place')} with readings {'has' if idle == 1 else 'have'} no work in the plan of this month."
    return [*contradictions(review), *moves_outstanding(review), *([text] if idle else [])]


def _plan_use(ws: Workspace, review: Review) -> Block:
    columns = {
        "state": Col("Finding"),
        "region": Col("Region"),
        "accelerator_id": Col("Accelerator"),
        "planned_accelerators": Col("Planned", "num1"),
        "planned_utilization": Col("Use planned", "pct0"),
        "installed": Col("Installed", "num1"),
        "at_work": Col("At work by the plan's capacity", "num2"),
        "expected_utilization": Col("Use expected", "pct0"),
        "measured_utilization": Col("Use measured", "pct0"),
        "not_moved": Col("Still elsewhere"),
        "plan_period": Col("Plan of", "month"),
        "month": Col("Readings of", "month"),
    }
    note = (
        "Expected: this month's units at the capacity that was approved, over the accelerators installed, without work that still runs "
        "elsewhere. It contradicts where the readings are less than half or more than twice of it. Readings count the time in which a "
        "device works, not how full it is: far above, other work runs there or an accelerator serves less than planned; far below, it serves more."
    )
    facts = {"caption": "Use of the pools against the approved plan", "as_of": ws.as_of, "max_rows": SHOWN}
    source = f"{POOLS}; approved_plan table; demand_windows and jobs tables"
    return table(review.plan_use, **facts, columns=columns, note=note, source=source)
