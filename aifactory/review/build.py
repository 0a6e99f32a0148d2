"""Stage 5 in one call."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aifactory.buyplan.duties import governance_frame
from aifactory.buyplan.governance import money
from aifactory.buyplan.releases import COMMITMENT
from aifactory.demand.events import usual_factor
from aifactory.demand.lumps import lumpy_cases
from aifactory.inputs.hosted import HOSTED
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.demand import in_whole_weeks
from aifactory.inventory.retiring import retiring_sentence
from aifactory.inventory.service import field_accelerators
from aifactory.review import guardrails
from aifactory.review.band_triggers import band_triggers, by_date, not_followed
from aifactory.review.bill_variance import against_last_month, against_plan
from aifactory.review.changes import figures_changed
from aifactory.review.chargeback import charge_teams, pool_teams, pools_of_nobody
from aifactory.review.firm_orders import with_firm_orders
from aifactory.review.forecast_score import earlier_forecast, forecast_accuracy, score_forecasts
from aifactory.review.hardware import judge_hardware, judge_platforms
from aifactory.review.memory import figures_held, months_restated, told_prices
from aifactory.review.monthly import (
    calendar_plan,
    mean_utilization,
    mix_of_days,
    month_factors,
    on_its_days,
    plan_month,
    previous_month,
    realised_value,
)
from aifactory.review.order_log import order_changes
from aifactory.review.own_kit import without_kit_paid_before
from aifactory.review.paths import follow_paths
from aifactory.review.plan_use import planned_elsewhere, runs_on_today, use_against_plan
from aifactory.review.planned_in_bill import planned_in_bill
from aifactory.review.recommendation import not_booked, recommend
from aifactory.review.returns_to_date import hosted_until, roi_to_date, update_payback
from aifactory.review.uncharged import uncharged, uncharged_note
from aifactory.review.unit_cost import unit_cost_bands, unit_cost_by_month
from aifactory.review.unread import charges_missing, months_unread, partial_months

if TYPE_CHECKING:
    from aifactory.buyplan import BuyPlan

#: Shown where the month has value that the plan does not hold.
OF_PLAN = "of it use cases of the plan"
COST = "cost of accelerator-hours billed to use cases"
#: Shown where the bill depreciates kit that the plan counts as paid for.
COST_NOW = "of it without depreciation of kit paid for before the plan"
ON_PLAN, WATCH, ACT = "on plan", "watch", "act"


@dataclass(frozen=True)
class Review:
    """Result of the monthly refresh."""

    period: str
    status: str
    reason: str
    basis: str
    kpis: pd.DataFrame
    variance: pd.DataFrame
    plan_variance: pd.DataFrame
    cause_ranges: pd.DataFrame
    guardrails: pd.DataFrame
    triggers: pd.DataFrame
    band_triggers: pd.DataFrame
    forecast_accuracy: pd.DataFrame
    unit_cost: pd.DataFrame
    unit_cost_bands: pd.DataFrame
    forecast_scores: pd.DataFrame
    plan_use: pd.DataFrame
    hardware: pd.DataFrame
    platforms: pd.DataFrame
    drift: pd.DataFrame
    token_growth: pd.DataFrame
    chargeback: pd.DataFrame
    pools_of_nobody: pd.Series
    price_watch: pd.DataFrame
    roi_to_date: pd.DataFrame
    payback: pd.DataFrame
    paths: pd.DataFrame
    changes: pd.DataFrame
    figures_changed: pd.DataFrame
    figures_held: pd.DataFrame
    months_restated: pd.DataFrame
    compared_with_told: bool  # whether the report of the month before is known
    governance: pd.DataFrame
    decisions_due: pd.DataFrame
    recommendation: pd.DataFrame
    scenarios: pd.DataFrame
    not_computed: list[str]
    partial: list[str]  # demand that was not measured for all of the month, and `charges_missing`
    charges_missing: list[str]  # signs that the bill of the month is not whole


def build_review(
    ws: Workspace, inventory: Inventory, buy_plan: BuyPlan | None = None, told: pd.DataFrame | None = None
) -> Review:
    """Compare the month with plan and last month; say what changed, what to watch, what to decide.

    Without an approved plan the forecast made from the data up to last month stands in for it. `told`: what the first
    refresh of the month before published (`memory.figures_held`); without it nobody can say which months changed.
    """
    last = previous_month(ws.period)
    now, before = (month_factors(ws, inventory, month)[0] for month in (ws.period, last))
    bill = _bills(inventory)
    variance, split, ranges, left_out = against_last_month(ws, inventory, before, now, bill)
    stored = ws.table("approved_plan")
    weeks = in_whole_weeks(ws, inventory.windows, inventory.demand_monthly)
    mix = mix_of_days(inventory.demand_monthly, weeks)
    held, of_weeks = stored[stored["accelerator_id"] != HOSTED], calendar_plan(stored)
    whole = on_its_days(of_weeks, mix)
    approved = whole[whole["accelerator_id"] != HOSTED]  # own cost and value; `whole` has what stays hosted too
    steps = _steps(ws, inventory, held, weeks)
    unit_cost = unit_cost_by_month(ws, inventory)
    late = charges_missing(ws, inventory, before, now)
    rails = guardrails.check_guardrails(ws, inventory, _unit_cost_change(unit_cost, ws.period, last), late)
    triggers = guardrails.check_triggers(ws)
    earlier = earlier_forecast(ws, inventory, mix)
    accuracy = forecast_accuracy(ws, inventory, whole, earlier)
    followed = approved if len(approved) else whole  # where all stays hosted, that is the plan
    to_date = roi_to_date(ws, inventory, followed, hosted_until(whole))
    hardware, users = judge_hardware(ws, inventory, buy_plan and buy_plan.fleet), pool_teams(ws)
    status, reason = without_plan(*judge(rails, triggers, steps)) if whole.empty else judge(rails, triggers, steps)
    return Review(
        period=ws.period,
        status=status,
        reason=reason,
        basis=_basis(whole),
        kpis=_kpis(ws, inventory, whole, now, before, accuracy),
        variance=variance,
        plan_variance=against_plan(ws, inventory, whole, bill),
        cause_ranges=ranges,
        guardrails=rails,
        triggers=triggers,
        band_triggers=steps,
        forecast_accuracy=accuracy,
        unit_cost=unit_cost,
        unit_cost_bands=unit_cost_bands(unit_cost, ws.period),
        forecast_scores=score_forecasts(ws, inventory, earlier, whole),
        plan_use=use_against_plan(held, inventory.pools, inventory.demand_monthly, ws.period, runs_on_today(ws)),
        hardware=hardware,
        platforms=judge_platforms(ws, hardware),
        chargeback=charge_teams(ws.table("billing").query("invoice_month == @ws.period"), users),
        pools_of_nobody=pools_of_nobody(ws, users),
        price_watch=guardrails.watch_prices(ws),
        roi_to_date=to_date,
        payback=update_payback(approved, to_date, ws.table("commitments"), ws.period),
        paths=follow_paths(of_weeks.loc[followed.index], weeks, ws.period, lumpy_cases(inventory.demand_profile)),
        changes=_changes(ws, inventory, last, told),
        figures_changed=figures_changed(ws, inventory, earlier, approved, buy_plan, told_prices(told)),
        **_memory(ws, inventory, told),
        **_beside(ws, inventory, buy_plan, late),
        recommendation=_recommendation(ws, approved, steps, buy_plan),
        not_computed=[*_not_computed(ws, whole, split, now, steps), *_not_charged(ws, inventory, whole, left_out)],
    )


def _not_charged(ws: Workspace, inventory: Inventory, approved: pd.DataFrame, left_out: pd.MultiIndex) -> list[str]:
    """Work whose plan has no hours beside it, and work that no unit cost counts, beside what the variance leaves out."""
    missing = uncharged(ws, inventory.demand_monthly, [previous_month(ws.period), ws.period])
    return [*planned_elsewhere(ws, approved), *uncharged_note(missing, left_out)]


def _steps(ws: Workspace, inventory: Inventory, held: pd.DataFrame, weeks: pd.DataFrame) -> pd.DataFrame:
    """State of each step of the approved plan, its demand (`in_whole_weeks`) freed of known seasons and launches."""
    usual = partial(usual_factor, ws.plan, inventory.demand_basis.seasons)
    bands, decisions = ws.table("approved_bands"), ws.table("decisions")
    return band_triggers(held, bands, weeks, ws.period, decisions, usual, ws.table("commitments"))


def _beside(ws: Workspace, inventory: Inventory, buy_plan: BuyPlan | None, late: list[str]) -> dict[str, Any]:
    """What the refresh takes over from the inventory and the plan, the dates to come, and what is missing (`late`: charges)."""
    return {
        "drift": inventory.drift,
        "token_growth": inventory.token_growth,
        "governance": _dates(ws, inventory, buy_plan),
        "decisions_due": _decisions_due(ws, inventory.retiring_models),
        "scenarios": pd.DataFrame() if buy_plan is None else buy_plan.roi,
        "partial": [
            *partial_months(inventory.demand_profile, ws.period),
            *months_unread(inventory.demand_monthly, ws.period, {*ws.ended, *lumpy_cases(inventory.demand_profile)}),
            *late,
        ],
        "charges_missing": late,
    }


def _memory(ws: Workspace, inventory: Inventory, told: pd.DataFrame | None) -> dict[str, Any]:
    """Figures kept for the next refresh, and those that have changed since they were told."""
    figures = figures_held(ws, inventory)
    known = told is not None and len(told) > 0
    restated = months_restated(figures, told if known else figures.iloc[:0])
    return {"figures_held": figures, "months_restated": restated, "compared_with_told": known}


def judge(rails: pd.DataFrame, triggers: pd.DataFrame, steps: pd.DataFrame | None = None) -> tuple[str, str]:
    """`act` if a trigger or a step of the plan fired or a hard limit broke, `watch` if one is near, else `on plan`."""
    broken = rails["state"] == guardrails.BREACH
    floor = rails["guardrail"] == guardrails.FLOOR
    hard, idle = rails[broken & ~floor], int((broken & floor).sum())
    states = pd.Series(dtype="str") if steps is None else steps["state"]
    released, coming = int((states == "fired").sum()), int((states == "approaching").sum())
    fired, near = (int((triggers["state"] == state).sum()) for state in ("fired", "approaching"))
    if fired or released or len(hard):
        parts = [f"{_released(steps)} wait{'s' * (released == 1)} for a decision"] if released else []
        parts += [_count(fired, "capacity trigger") + " fired"] if fired else []
        parts += [_count(len(hard), "guardrail") + " broken"] if len(hard) else []
        parts += [_count(idle, "pool") + " below the utilisation floor"] if idle else []
        return ACT, "; ".join(parts)
    soft = rails[rails["state"] != guardrails.OK]
    if near or coming or len(soft):
        parts = [f"{_count(coming, 'step')} of the approved plan near"] if coming else []
        parts += [f"{_count(near, 'trigger')} within {guardrails.APPROACHING_MONTHS:.0f} months"] if near else []
        parts += [f"{_count(len(soft), 'guardrail')} near or below the mark"] if len(soft) else []
        return WATCH, ", ".join(parts)
    return ON_PLAN, "every guardrail holds and no trigger is near"


def without_plan(status: str, reason: str) -> tuple[str, str]:
    """The same where no plan is approved: nothing can be on plan.

    >>> without_plan("on plan", "every guardrail holds and no trigger is near")
    ('watch', 'no plan is approved yet (`aifactory approve` stores one); every guardrail holds and no trigger is near')
    """
    return (
        WATCH if status == ON_PLAN else status
    ), f"no plan is approved yet (`aifactory approve` stores one); {reason}"


def _released(steps: pd.DataFrame) -> str:
    """Orders with their money, and steps of capacity, that fired."""
    fired = steps[steps["state"] == "fired"]
    orders = fired[fired["kind"] == COMMITMENT]
    parts = [f"{_count(len(orders), 'order')} of {money(orders['commitment_usd'].sum())} ({_largest(orders)})"] if len(orders) else []  # fmt: skip
    more = len(fired) - len(orders)
    parts += [_count(more, "step") + " of capacity"] if more else []
    dated = by_date(fired)
    whom = "their date" if dated.all() else "demand or their date" if dated.any() else "demand"
    return " and ".join(parts) + f" of the approved plan, released by {whom},"


def _largest(orders: pd.DataFrame) -> str:
    """The order of most money, by number, accelerator and region."""
    row = orders.loc[orders["commitment_usd"].idxmax()]
    which = "" if len(orders) == 1 else "largest "
    return f"{which}{row['accelerators']} {row['accelerator_id']} in {row['region']}"


def _bills(inventory: Inventory) -> pd.Series:
    return inventory.spend_monthly.groupby("month")["effective_cost_usd"].sum()


def _dates(ws: Workspace, inventory: Inventory, buy_plan: BuyPlan | None) -> pd.DataFrame:
    """Dates to come within a year: those of the plan made now, or duties and decisions alone."""
    known = {
        "lifecycle": ws.table("lifecycle"),
        "decisions": ws.table("decisions"),
        "commitments": ws.table("commitments"),
    }
    alone = governance_frame(
        ws.plan, ws.period, pd.DataFrame(), **known, in_use=list(inventory.pools["accelerator_id"])
    )
    dates = alone if buy_plan is None else buy_plan.governance
    year = pd.Timestamp(ws.as_of) + pd.DateOffset(years=1)
    return dates[(dates["date"] > pd.Timestamp(ws.as_of)) & (dates["date"] <= year)].reset_index(drop=True)


def _recommendation(
    ws: Workspace, approved: pd.DataFrame, states: pd.DataFrame, buy_plan: BuyPlan | None
) -> pd.DataFrame:
    """Orders of the approved plan against today's plan; empty without both, and in the month of the approval itself."""
    if buy_plan is None or approved.empty or str(approved["plan_period"].iloc[0]) == ws.period:
        return pd.DataFrame()
    steps = ws.table("approved_bands")
    mine, book = steps[steps["plan_period"] == approved["plan_period"].iloc[0]], ws.table("commitments")
    mine = with_firm_orders(mine, approved, buy_plan.orders, book)
    return recommend(mine, states, buy_plan.orders, ws.period, book)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _unit_cost_change(unit_cost: pd.DataFrame, period: str, last: str) -> pd.Series:
    per_month = unit_cost.set_index(["month", "use_case_id"])["usd_per_unit"].unstack(0)
    if period not in per_month or last not in per_month:
        return pd.Series(dtype="float64")
    return per_month[period] / per_month[last] - 1


def _kpis(
    ws: Workspace,
    inventory: Inventory,
    approved: pd.DataFrame,
    now: pd.DataFrame,
    before: pd.DataFrame,
    accuracy: pd.DataFrame,
) -> pd.DataFrame:
    planned = plan_month(approved, ws.period)
    in_bill = planned_in_bill(ws, inventory, approved)
    spend = _bills(inventory)
    worth = realised_value(ws, inventory)
    value = worth.groupby("month")["value_usd"].sum(min_count=1)
    of_plan = worth[worth["use_case_id"].isin(planned.index)].groupby("month")["value_usd"].sum(min_count=1)
    counted = worth[(worth["month"] == ws.period) & (worth["value_usd"] > 0)]
    whole = counted["use_case_id"].isin(planned.index).all()
    planned_value = planned["value_usd"].sum(min_count=1)
    busy = mean_utilization(ws.table("pools"), field_accelerators(ws.table("accelerators")))
    latest = accuracy[accuracy["month"] == ws.period]
    last = previous_month(ws.period)
    rows = [
        ("bill", spend.get(ws.period, np.nan), np.nan, spend.get(last, np.nan), "USD"),
        (
            "value of delivered units",
            value.get(ws.period, np.nan),
            planned_value if whole else np.nan,
            value.get(last, np.nan),
            "USD",
        ),
        (OF_PLAN, of_plan.get(ws.period, np.nan), planned_value, of_plan.get(last, np.nan), "USD"),
        *_cost_rows(ws, inventory, approved, (now, before), in_bill["compute_usd"].sum(min_count=1)),
        (
            "accelerator-hours billed to use cases",
            now["hours"].sum(),
            in_bill["accelerator_hours"].sum(min_count=1),
            before["hours"].sum(),
            "h",
        ),
        ("mean utilisation of pools", busy.get(ws.period, np.nan), np.nan, busy.get(last, np.nan), "fraction"),
        ("median forecast error", latest["error_share"].abs().median(), np.nan, np.nan, "fraction"),
        (
            "use cases inside their band",
            latest["inside_band"].mean() if len(latest) else np.nan,
            0.8,
            np.nan,
            "fraction",
        ),
    ]
    shown = [row for row in rows if row[0] != OF_PLAN or not (whole or planned.empty)]
    return pd.DataFrame(shown, columns=["kpi", "actual", "plan", "last_month", "unit"])


def _cost_rows(
    ws: Workspace,
    inventory: Inventory,
    approved: pd.DataFrame,
    factors: tuple[pd.DataFrame, pd.DataFrame],
    planned: float,
) -> list[tuple[str, float, float, float, str]]:
    """Cost of accelerator-hours, of which the plan is held against what is not depreciation of kit paid for before it."""
    now, last = (month["cost"].sum(min_count=1) for month in factors)
    rest, gone = without_kit_paid_before(ws, approved)
    if not gone.get(ws.period, 0.0) > 0:
        return [(COST, now, planned, last, "USD")]
    less = [month_factors(rest, inventory, month)[0]["cost"].sum(min_count=1) for month in (ws.period, previous_month(ws.period))]  # fmt: skip
    return [(COST, now, np.nan, last, "USD"), (COST_NOW, less[0], planned, less[1], "USD")]


def _changes(ws: Workspace, inventory: Inventory, last: str, told: pd.DataFrame | None) -> pd.DataFrame:
    """Logged decisions and changes of the month, what the order book says of it, and what the data show as new or gone."""
    log = ws.table("decisions")
    month = log[log["date"].dt.strftime("%Y-%m") == ws.period]
    rows = [
        (row.date.date().isoformat(), row.kind, row.subject, row.text, row.owner_role)
        for row in month.itertuples(index=False)
    ]
    rows += order_changes(ws.table("commitments"), ws.table("billing"), ws.plan.regions, ws.period, told)
    demand = inventory.demand_monthly
    now, before = (set(demand.loc[demand["month"] == m, "use_case_id"]) for m in (ws.period, last))
    if before:
        rows += [
            (ws.period, "seen in the data", name, "has demand for the first time", "") for name in sorted(now - before)
        ]
        rows += [
            (
                ws.period,
                "seen in the data",
                name,
                "has ended as planned" if name in ws.ended else "has no demand in the data of the month",
                "",
            )
            for name in sorted(before - now)
        ]
    return pd.DataFrame(rows, columns=["date", "kind", "subject", "text", "owner_role"])


def _decisions_due(ws: Workspace, retiring: pd.DataFrame) -> pd.DataFrame:
    """Open decisions of the log, and hosted models in use whose end is announced, by the day they are due."""
    log = ws.table("decisions")
    ends = [
        (row.retires, f"hosted model {row.model}", f"{retiring_sentence(row, ws.as_of)} {row.action}.", row.owner_role)
        for row in retiring.itertuples()
    ]
    columns = ["due", "subject", "text", "owner_role"]
    models = pd.DataFrame(ends, columns=columns).astype({"due": log["due"].dtype})
    due = pd.concat([log.loc[log["status"] == "open", columns], models], ignore_index=True)
    due = due.sort_values("due", na_position="last", kind="stable", ignore_index=True)
    return due.assign(overdue=due["due"] < pd.Timestamp(ws.as_of))


def _basis(approved: pd.DataFrame) -> str:
    return (
        f"plan approved for {approved['plan_period'].iloc[0]}"
        if len(approved)
        else "no approved plan: last month's forecast stands in"
    )


def _not_computed(
    ws: Workspace, approved: pd.DataFrame, variance: pd.DataFrame, now: pd.DataFrame, steps: pd.DataFrame
) -> list[str]:
    months = sorted(approved["month"].unique()) if len(approved) else []
    found = [] if months else ["comparison with an approved plan: none is stored; `aifactory approve` stores one"]
    if months and ws.period not in months:
        when = f"begins in {months[0]}" if ws.period < months[0] else f"ends in {months[-1]}"
        found.append(f"actual against plan: the approved plan {when}, this report is of {ws.period}")
    outside = set(now.index) - set(approved["use_case_id"]) if ws.period in months else ()
    if outside:
        names = ", ".join(sorted(outside))
        found.append(
            f"plan of {names}: the approved plan does not hold {'it' if len(outside) == 1 else 'them'}, while the actual figures do"
        )
    found += [] if len(now) else [f"units, forecast score and steps of the plan: no demand was measured in {ws.period}"]
    if len(now):
        found += not_followed(ws.table("approved_bands"), approved, steps, ws.period, ws.table("commitments"))
    found += not_booked(ws.table("approved_bands"), steps, ws.table("commitments"))
    found += [] if ws.has("pools") else ["capacity triggers and the utilisation floor: no pool readings"]
    if not ws.has("billing"):
        return [*found, "bill, unit cost, variance and chargeback: no bill"]
    missing = [month for month in (previous_month(ws.period), ws.period) if month not in set(ws.table("billing")["invoice_month"])]  # fmt: skip
    if missing:
        found.append(f"bill, variance and chargeback: no bill of {' and '.join(missing)}")
    elif variance.empty:
        found.append("cost variance: no use case has accelerator-hours in both months of the bill")
    return found
