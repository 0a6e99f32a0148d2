"""Steps of the approved plan that the measured demand releases.

The load of a pool is the average of accelerators that its use cases keep at work, at the capacity and choice
of platform that were approved: measured units times planned accelerators per unit. Its use cases are those that the
plan has there in the month of the order, wherever they work today: an order for work that moves when a term ends is
released by the growth of that work. Capacity counts the work that the plan has there by now: it is needed from the day
on which the work moves, however much has grown before. A step fires in the first month in which the load reaches what
the plan expected at its order; one that is there when a use case starts in the month of its order, one that is there when a term
ends in that month at the latest. Where limits of the plan leave no room before some month, a load that is there earlier releases
the step in that month.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.keep import ORDERED, beyond_book, placed_since
from aifactory.buyplan.pool_load import Usual, step_loads
from aifactory.buyplan.releases import COMMITMENT, PLACE, counted_in
from aifactory.review.guardrails import APPROACHING_MONTHS, TREND_MONTHS, months_to_trigger
from aifactory.units import MONTHS_PER_YEAR

FIRED, RELEASED, APPROACHING, HELD, QUIET = "fired", "released", "approaching", "held back", "quiet"
NO_ROOM = "no room yet"
#: How `starts_with` of a launch ends (`buyplan.order_months.launches`).
LAUNCH = " starts"
WEEKS_PER_MONTH = 365.25 / 7 / MONTHS_PER_YEAR
COLUMNS = [*PLACE, "band", "kind", "purchase_option", "accelerators", "order_month", "value", "threshold",
           "slope_per_month", "months_to_trigger", "state", "fired_in", "lead_time_weeks", "commitment_usd",
           "milestone", "starts_with", "not_before", "owner_role"]  # fmt: skip


def band_triggers(
    approved: pd.DataFrame,
    steps: pd.DataFrame,
    monthly: pd.DataFrame,
    period: str,
    decisions: pd.DataFrame | None = None,
    usual: Usual | None = None,
    book: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """State of every step of the approved plan whose order is due within a year: by state, orders before capacity, nearest first.

    A level load crosses the threshold of far steps by chance, so a step counts from a year before its order.
    `fired`: the load reached the threshold since approval and nothing was decided; `released`: a decision about
    the pool (subject `region accelerator_id`, or with its `purchase_option` behind them for that alone) stands in the log since, or the order `book` (rows of the `commitments` contract)
    holds its order: of one that it holds in part the rest waits; `approaching`: the straight line of the last
    six months reaches it within three months or the lead time; `no room yet`: the load is there, and power, space or money of
    the plan are not before `not_before`; `held back`: the order month has come, the load has not; else `quiet`.

    Orders stay for their term, so their load is what the demand of a month comes to in the month of the order (of what replaces
    kit that ends, in the month in which that ends), by the season of the year and stated launches (`usual`, see `demand.events.usual_factor`): a yearly peak alone releases none. Capacity
    is held while demand is there, so its load is the measured one.
    """
    if approved.empty or steps.empty or approved["load_accelerators"].isna().all():
        return pd.DataFrame(columns=COLUMNS)
    plan_period = str(approved["plan_period"].iloc[0])
    mine = steps[steps["plan_period"] == plan_period]
    mine = mine[mine["order_month"] <= str(pd.Period(period, "M") + MONTHS_PER_YEAR)]
    loads = step_loads(approved, mine, monthly, period, usual)
    decided = _decided(decisions)
    rows = [
        _row(step, loads[month, step.kind], plan_period, period, decided)
        for step, month in zip(mine.itertuples(index=False), counted_in(mine), strict=True)
    ]
    table = _with_orders(pd.DataFrame([row for row in rows if row], columns=COLUMNS), placed_since(mine, book))
    rank = table["state"].map({FIRED: 0, NO_ROOM: 1, APPROACHING: 2, HELD: 3, QUIET: 4, RELEASED: 5})
    order = ["rank", "hours", "months_to_trigger", "order_month", *PLACE, "kind", "band"]
    table = table.assign(rank=rank, hours=table["kind"] != COMMITMENT)
    return table.sort_values(order, ignore_index=True)[COLUMNS]


def _with_orders(states: pd.DataFrame, placed: dict[tuple[str, ...], int]) -> pd.DataFrame:
    """States with what was ordered since approval: it counts for what a decision released first, then for the earliest orders."""
    left = dict(placed)
    orders = states[states["kind"] == COMMITMENT].sort_values("order_month", kind="stable")
    rank = (orders["state"] != RELEASED).sort_values(kind="stable").index
    found = states.copy() if left else states
    for step in orders.loc[rank].itertuples():
        key = tuple(getattr(step, name) for name in ORDERED)
        taken = min(left.get(key, 0), step.accelerators)
        left[key] = left.get(key, 0) - taken
        if taken and taken == step.accelerators:
            found.loc[step.Index, "state"] = RELEASED
        elif taken and step.state != RELEASED:
            rest = step.accelerators - taken
            found.loc[step.Index, ["accelerators", "commitment_usd"]] = (
                rest,
                step.commitment_usd * rest / step.accelerators,
            )
    return found


def by_date(states: pd.DataFrame) -> pd.Series:
    """Which steps of `band_triggers` their date released, not the load."""
    if "starts_with" not in states:
        return pd.Series(False, index=states.index)
    return states["starts_with"].notna() & (states["fired_in"] == states["order_month"])


def not_followed(
    steps: pd.DataFrame, approved: pd.DataFrame, states: pd.DataFrame, period: str, book: pd.DataFrame | None = None
) -> list[str]:
    """Orders of the approved plan due within a year that no measured load can release, and that the `book` does not hold: the plan has no work there by then."""
    if approved.empty or approved["load_accelerators"].isna().all():
        return []
    last, plan_period = str(pd.Period(period, "M") + MONTHS_PER_YEAR), str(approved["plan_period"].iloc[0])
    due = (steps["plan_period"] == plan_period) & (steps["order_month"] <= last) & (steps["kind"] == COMMITMENT)
    seen = set(zip(states["region"], states["accelerator_id"], states["order_month"], strict=True))
    return [
        f"the trigger of {row.accelerators} {row.accelerator_id} in {row.region}, to be ordered in {row.order_month}: no "
        "work that was measured is there in that month by the plan, so that its date decides"
        for row in beyond_book(steps[due], book).itertuples(index=False)
        if (row.region, row.accelerator_id, row.order_month) not in seen
    ]


def _decided(decisions: pd.DataFrame | None) -> dict[str, str]:
    """Month of the last decision about each subject: a pool, or one way to pay in it."""
    if decisions is None or decisions.empty:
        return {}
    made = decisions[(decisions["kind"] == "decision") & (decisions["status"] != "dropped")]
    return made["date"].dt.strftime("%Y-%m").groupby(made["subject"]).max().to_dict()


def _row(step: tuple, loads: pd.DataFrame, plan_period: str, period: str, decided: dict[str, str]) -> tuple | None:
    place = (step.region, step.accelerator_id)
    starts = getattr(step, "starts_with", None)
    starts = starts if isinstance(starts, str) else None
    if starts and starts.endswith(LAUNCH):
        return _by_date(step, period, decided)
    if place not in loads.columns or period not in loads.index or np.isnan(loads.loc[period, place]):
        return None
    series = loads[place].dropna()
    value, limit = float(series[period]), float(step.threshold_accelerators)
    slope = _slope(series, period)
    wait = months_to_trigger(value, slope, limit)
    earliest = max(str(pd.Period(step.order_month, "M") - MONTHS_PER_YEAR), str(pd.Period(plan_period, "M") + 1))
    since = series[(series.index >= earliest) & (series >= limit)]
    due = step.order_month <= period
    fired_in = str(since.index[0]) if len(since) else step.order_month if starts and due else ""
    notice = max(APPROACHING_MONTHS, step.lead_time_weeks / WEEKS_PER_MONTH)
    until = _months_until(step, period)
    near = wait <= notice or bool(starts and until <= APPROACHING_MONTHS)
    wait = min(wait, float(until)) if starts else wait  # its date comes, wherever the load is
    room = _room(step)
    fired_in = max(fired_in, room) if fired_in else ""
    done = _decided_in(step, decided) >= fired_in
    state = (RELEASED if done else FIRED) if fired_in else APPROACHING if near else HELD if due else QUIET
    if fired_in > period:
        wait, state, fired_in = float(_months_from(period, room)), RELEASED if done else NO_ROOM, ""
    return (*place, step.band, step.kind, step.purchase_option, step.accelerators, step.order_month, value, limit, slope,
            0.0 if fired_in else wait, state, fired_in, step.lead_time_weeks, step.commitment_usd, step.milestone,
            starts, room or None, step.owner_role)  # fmt: skip


def _decided_in(step: tuple, decided: dict[str, str]) -> str:
    """Month of the last decision about the pool of a step, or about its way to pay there; empty without one."""
    place = f"{step.region} {step.accelerator_id}"
    return max(decided.get(place, ""), decided.get(f"{place} {step.purchase_option}", ""))


def _room(step: tuple) -> str:
    """First month in which limits of the plan leave room for a step; empty where none keeps it."""
    room = getattr(step, "not_before", None)
    return room if isinstance(room, str) else ""


def _months_until(step: tuple, period: str) -> int:
    return _months_from(period, step.order_month)


def _months_from(period: str, month: str) -> int:
    return (pd.Period(month, "M") - pd.Period(period, "M")).n


def _by_date(step: tuple, period: str, decided: dict[str, str]) -> tuple:
    """State of a step that its date alone releases: no load is at work yet that it will serve."""
    wait = _months_until(step, period)
    done = _decided_in(step, decided) >= step.order_month
    state = (RELEASED if done else FIRED) if wait <= 0 else APPROACHING if wait <= APPROACHING_MONTHS else QUIET
    return (step.region, step.accelerator_id, step.band, step.kind, step.purchase_option, step.accelerators, step.order_month,
            np.nan, np.nan, np.nan, float(max(wait, 0)), state, step.order_month if wait <= 0 else "", step.lead_time_weeks,
            step.commitment_usd, step.milestone, step.starts_with, _room(step) or None, step.owner_role)  # fmt: skip


def _slope(series: pd.Series, period: str) -> float:
    """Least-squares slope over the last six calendar months; unknown with fewer than three of them."""
    months = pd.PeriodIndex(series.index, freq="M").asi8 if len(series) else np.zeros(0)
    now = pd.Period(period, "M").ordinal
    recent = months > now - TREND_MONTHS
    if recent.sum() < 3:
        return np.nan
    return float(np.polyfit(months[recent] - now, series.to_numpy()[recent], 1)[0])
