"""Stage 5 in one call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.demand.forecast import simulate_demand
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.basis import seasons
from aifactory.inventory.demand import profile_demand
from aifactory.review import guardrails
from aifactory.review.band_triggers import band_triggers
from aifactory.review.chargeback import charge_teams
from aifactory.review.monthly import (
    calendar_plan,
    month_factors,
    plan_factors,
    plan_month,
    previous_month,
    realised_value,
)
from aifactory.review.variance import CAUSES, split_variance
from aifactory.units import HOURS_PER_DAY, HOURS_PER_MONTH

if TYPE_CHECKING:
    from aifactory.buyplan import BuyPlan

ON_PLAN, WATCH, ACT = "on plan", "watch", "act"
ACCURACY_COLUMNS = ["month", "use_case_id", "forecast", "actual", "error_share", "inside_band", "basis"]


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
    guardrails: pd.DataFrame
    triggers: pd.DataFrame
    band_triggers: pd.DataFrame
    forecast_accuracy: pd.DataFrame
    unit_cost: pd.DataFrame
    chargeback: pd.DataFrame
    price_watch: pd.DataFrame
    roi_to_date: pd.DataFrame
    changes: pd.DataFrame
    decisions_due: pd.DataFrame
    scenarios: pd.DataFrame
    not_computed: list[str]


def build_review(ws: Workspace, inventory: Inventory, buy_plan: BuyPlan | None = None) -> Review:
    """Compare the month with plan and last month; say what changed, what to watch, what to decide.

    Without an approved plan the forecast made from the data up to last month stands in for it.
    """
    last = previous_month(ws.period)
    now, now_hours = month_factors(ws, inventory, ws.period)
    before, before_hours = month_factors(ws, inventory, last)
    variance = split_variance(before, now, before_hours, now_hours)
    held = ws.table("approved_plan")
    approved = calendar_plan(held)
    log = ws.table("decisions")
    steps = band_triggers(held, ws.table("approved_bands"), inventory.demand_monthly, ws.period, log)
    planned, planned_hours = plan_factors(approved, ws.period)
    against_plan = split_variance(planned, now.assign(work=now["units"]), planned_hours, now_hours)
    unit_cost = unit_cost_by_month(ws, inventory)
    change = _unit_cost_change(unit_cost, ws.period, last)
    rails = guardrails.check_guardrails(ws, inventory, change)
    triggers = guardrails.check_triggers(ws)
    accuracy = forecast_accuracy(ws, inventory, approved)
    status, reason = judge(rails, triggers, steps)
    bill = ws.table("billing")
    month_bill = bill[bill["invoice_month"] == ws.period]
    return Review(
        period=ws.period,
        status=status,
        reason=reason,
        basis=_basis(approved),
        kpis=_kpis(ws, inventory, approved, now, before, accuracy),
        variance=variance.reset_index(names="use_case_id"),
        plan_variance=against_plan.reset_index(names="use_case_id"),
        guardrails=rails,
        triggers=triggers,
        band_triggers=steps,
        forecast_accuracy=accuracy,
        unit_cost=unit_cost,
        chargeback=charge_teams(month_bill) if len(month_bill) else charge_teams(bill.iloc[:0]),
        price_watch=guardrails.watch_prices(ws),
        roi_to_date=roi_to_date(ws, inventory, approved),
        changes=_changes(ws, inventory, last),
        decisions_due=_decisions_due(ws),
        scenarios=_scenarios(buy_plan, inventory, ws.period),
        not_computed=_not_computed(ws, approved, variance),
    )


def judge(rails: pd.DataFrame, triggers: pd.DataFrame, steps: pd.DataFrame | None = None) -> tuple[str, str]:
    """`act` if a trigger or a step of the plan fired or a hard limit broke, `watch` if one is near, else `on plan`."""
    hard = rails[(rails["state"] == guardrails.BREACH) & (rails["guardrail"] != "utilisation floor")]
    states = pd.Series(dtype="str") if steps is None else steps["state"]
    released, coming = int((states == "fired").sum()), int((states == "approaching").sum())
    fired, near = (int((triggers["state"] == state).sum()) for state in ("fired", "approaching"))
    if fired or released or len(hard):
        parts = (
            [f"{_count(released, 'step')} of the approved plan released by demand, no decision yet"] if released else []
        )
        parts += [_count(fired, "capacity trigger") + " fired"] if fired else []
        parts += [_count(len(hard), "guardrail") + " broken"] if len(hard) else []
        return ACT, _and(parts)
    soft = rails[rails["state"] != guardrails.OK]
    if near or coming or len(soft):
        parts = [f"{_count(coming, 'step')} of the approved plan near"] if coming else []
        parts += [f"{_count(near, 'trigger')} within {guardrails.APPROACHING_MONTHS:.0f} months"]
        return WATCH, ", ".join([*parts, f"{_count(len(soft), 'guardrail')} near or below the mark"])
    return ON_PLAN, "every guardrail holds and no trigger is near"


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def unit_cost_by_month(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    """Attributed compute cost per service unit, by month and use case."""
    months = sorted(month for month in inventory.demand_monthly["month"].unique() if month <= ws.period)[-12:]
    parts = [month_factors(ws, inventory, month)[0].assign(month=month) for month in months]
    table = pd.concat(parts).reset_index() if parts else pd.DataFrame(columns=["use_case_id", "units", "cost", "month"])
    return table.assign(usd_per_unit=table["cost"] / table["units"])[
        ["month", "use_case_id", "units", "cost", "usd_per_unit"]
    ]


def _unit_cost_change(unit_cost: pd.DataFrame, period: str, last: str) -> pd.Series:
    per_month = unit_cost.set_index(["month", "use_case_id"])["usd_per_unit"].unstack(0)
    if period not in per_month or last not in per_month:
        return pd.Series(dtype="float64")
    return per_month[period] / per_month[last] - 1


def forecast_accuracy(ws: Workspace, inventory: Inventory, approved: pd.DataFrame) -> pd.DataFrame:
    """Forecast against actual units: the approved plan's months, else one step from last month."""
    actual = inventory.demand_monthly.groupby(["month", "use_case_id"])["units"].sum()
    if len(approved):
        planned = approved.groupby(["month", "use_case_id"])[["units", "units_p10", "units_p90"]].sum(min_count=1)
        planned = planned[planned.index.get_level_values("month") <= ws.period]
        basis = f"plan approved for {approved['plan_period'].iloc[0]}"
    else:
        planned, basis = _one_step_forecast(ws, inventory), f"forecast from data up to {previous_month(ws.period)}"
    joined = planned.join(actual.rename("actual"), how="inner").reset_index()
    inside = (joined["actual"] >= joined["units_p10"]) & (joined["actual"] <= joined["units_p90"])
    table = joined.rename(columns={"units": "forecast"}).assign(
        error_share=joined["units"] / joined["actual"].where(joined["actual"] > 0) - 1, inside_band=inside, basis=basis
    )
    return table.reindex(columns=ACCURACY_COLUMNS)


def _one_step_forecast(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    last = previous_month(ws.period)
    earlier = Workspace(ws.path, last, ws.plan, ws.tables, ws.checks, ws.sources)
    profile = profile_demand(earlier, inventory.windows, inventory.demand_monthly)
    columns = {"p50": "units", "p10": "units_p10", "p90": "units_p90"}
    seen = seasons(inventory.demand_monthly, last)
    basis = replace(inventory.demand_basis, profile=profile, seasons=seen, weekly_units={}, what_ifs=None)
    bands = simulate_demand(basis, ws.plan, last).use_cases
    sums = bands[bands["month"] == ws.period].set_index(["month", "use_case_id"])[[*columns]]
    hours = pd.Period(ws.period, "M").days_in_month * HOURS_PER_DAY
    return sums.rename(columns=columns) * hours / HOURS_PER_MONTH


def roi_to_date(ws: Workspace, inventory: Inventory, approved: pd.DataFrame) -> pd.DataFrame:
    """Value and bill per month since the plan began, actual beside plan, cumulated."""
    value = realised_value(ws, inventory).groupby("month")["value_usd"].sum(min_count=1)
    cost = inventory.spend_monthly.groupby("month")["effective_cost_usd"].sum()
    table = pd.DataFrame({"value_usd": value, "bill_usd": cost})
    if len(approved):
        planned = approved.groupby("month")[["cost_usd", "value_usd"]].sum(min_count=1)
        table = table.join(
            planned.rename(columns={"cost_usd": "planned_cost_usd", "value_usd": "planned_value_usd"}), how="inner"
        )
    table = table[table.index <= ws.period].reset_index()
    net = (table["value_usd"] - table["bill_usd"]).cumsum()
    return table.assign(cumulative_net_usd=net)


def _kpis(
    ws: Workspace,
    inventory: Inventory,
    approved: pd.DataFrame,
    now: pd.DataFrame,
    before: pd.DataFrame,
    accuracy: pd.DataFrame,
) -> pd.DataFrame:
    planned = plan_month(approved, ws.period)
    in_bill = planned[planned.index.isin(now.index[now["hours"].notna()])]  # edge devices are in no bill
    spend = inventory.spend_monthly.groupby("month")["effective_cost_usd"].sum()
    value = realised_value(ws, inventory).groupby("month")["value_usd"].sum(min_count=1)
    pools = inventory.pools
    busy = (
        (pools["utilization_mean"] * pools["accelerator_hours"]).sum() / pools["accelerator_hours"].sum()
        if len(pools)
        else np.nan
    )
    latest = accuracy[accuracy["month"] == ws.period]
    last = previous_month(ws.period)
    rows = [
        ("bill", spend.get(ws.period, np.nan), np.nan, spend.get(last, np.nan), "USD"),
        (
            "value of delivered units",
            value.get(ws.period, np.nan),
            planned["value_usd"].sum(min_count=1),
            value.get(last, np.nan),
            "USD",
        ),
        (
            "cost of billed accelerator-hours",
            now["cost"].sum(min_count=1),
            in_bill["compute_usd"].sum(min_count=1),
            before["cost"].sum(min_count=1),
            "USD",
        ),
        (
            "billed accelerator-hours",
            now["hours"].sum(),
            in_bill["accelerator_hours"].sum(min_count=1),
            before["hours"].sum(),
            "h",
        ),
        ("mean utilization of pools", busy, np.nan, np.nan, "fraction"),
        ("median forecast error", latest["error_share"].abs().median(), np.nan, np.nan, "fraction"),
        (
            "use cases inside their band",
            latest["inside_band"].mean() if len(latest) else np.nan,
            0.8,
            np.nan,
            "fraction",
        ),
    ]
    return pd.DataFrame(rows, columns=["kpi", "actual", "plan", "last_month", "unit"])


def _changes(ws: Workspace, inventory: Inventory, last: str) -> pd.DataFrame:
    """Logged decisions and changes of the month, and what the data show as new or gone."""
    log = ws.table("decisions")
    month = log[log["date"].dt.strftime("%Y-%m") == ws.period]
    rows = [
        (row.date.date().isoformat(), row.kind, row.subject, row.text, row.owner_role)
        for row in month.itertuples(index=False)
    ]
    demand = inventory.demand_monthly
    now, before = (set(demand.loc[demand["month"] == m, "use_case_id"]) for m in (ws.period, last))
    if before:
        rows += [
            (ws.period, "seen in the data", name, "has demand for the first time", "") for name in sorted(now - before)
        ]
        rows += [(ws.period, "seen in the data", name, "has no demand any more", "") for name in sorted(before - now)]
    return pd.DataFrame(rows, columns=["date", "kind", "subject", "text", "owner_role"])


def _decisions_due(ws: Workspace) -> pd.DataFrame:
    log = ws.table("decisions")
    due = log[(log["status"] == "open")].sort_values("due", na_position="last")
    return due.assign(overdue=due["due"] < pd.Timestamp(ws.as_of))[
        ["due", "subject", "text", "owner_role", "overdue"]
    ].reset_index(drop=True)


def _scenarios(buy_plan: BuyPlan | None, inventory: Inventory, period: str) -> pd.DataFrame:
    """Next month's units by scenario, and the return of the plan in each."""
    following = str(pd.Period(period, "M") + 1)
    demand = inventory.forecast[inventory.forecast["month"] == following]
    table = demand.groupby("scenario", sort=False)["units_per_hour_avg"].size().rename("series").reset_index()
    if buy_plan is None or buy_plan.roi.empty or table.empty:
        return table
    return table.merge(buy_plan.roi, on="scenario", how="left")


def _basis(approved: pd.DataFrame) -> str:
    return (
        f"plan approved for {approved['plan_period'].iloc[0]}"
        if len(approved)
        else "no approved plan: last month's forecast stands in"
    )


def _not_computed(ws: Workspace, approved: pd.DataFrame, variance: pd.DataFrame) -> list[str]:
    found = (
        [] if len(approved) else ["comparison with an approved plan: none is stored; `aifactory approve` stores one"]
    )
    found += [] if ws.has("pools") else ["capacity triggers and the utilisation floor: no pool readings"]
    found += [] if ws.has("billing") else ["bill, unit cost, variance and chargeback: no bill"]
    if ws.has("billing") and variance.empty:
        found.append("cost variance: no use case has accelerator-hours in both months of the bill")
    return found


CAUSE_COLUMNS = list(CAUSES)
