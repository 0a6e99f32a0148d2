"""One month of actuals per use case, from bill and demand."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from aifactory.inputs.billing import OTHER_PURCHASE, accelerator_charges, plan_regions
from aifactory.inputs.hosted import HOSTED
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.hosted_today import hosted_usage
from aifactory.inventory.service import without_field
from aifactory.inventory.spend import USAGE, use_case_cost
from aifactory.review.uncharged import PLACE, place_names, stand_apart
from aifactory.units import HOURS_PER_DAY, HOURS_PER_MONTH

#: What accelerator-hours are held by.
HELD = ["use_case_id", "accelerator_id", "region"]
NOWHERE = pd.MultiIndex.from_arrays([[], []], names=PLACE)
PLANNED = ["units", "units_p10", "units_p90", "accelerator_hours", "compute_usd", "cost_usd", "value_usd"]
#: Of these, what comes on the days on which work comes.
BY_DAYS = ["units", "units_p10", "units_p90", "value_usd"]
SCENARIO_UNITS = ["units_conservative", "units_aggressive"]
#: Bands of whole use cases, by the column of single regions that they stand for.
USE_CASE_BAND = {"units_p10": "use_case_units_p10", "units_p90": "use_case_units_p90"}


def previous_month(period: str) -> str:
    """The month before.

    >>> previous_month("2026-01")
    '2025-12'
    """
    return str(pd.Period(period, "M") - 1)


def month_factors(
    ws: Workspace, inventory: Inventory, month: str, without: pd.MultiIndex = NOWHERE
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Units, work, paid accelerator-hours and their cost per use case in a month.

    Work is tokens (input that was not cached, plus output) where they are counted, else units.

    Parameters
    ----------
    without : use cases and regions whose units and charges are left out, see `uncharged.uncharged`.

    Returns
    -------
    (factors indexed by use_case_id with columns units, work, hours, cost;
    hours and cost indexed by use_case_id, accelerator_id and region of the plan, "" where a charge names none)
    """
    demand = inventory.demand_monthly[inventory.demand_monthly["month"] == month]
    sums = (
        demand[~_at(demand, without)]
        .groupby("use_case_id")[["units", "input_tokens", "cached_input_tokens", "output_tokens"]]
        .sum(min_count=1)
    )
    tokens = sums["input_tokens"] - sums["cached_input_tokens"].fillna(0.0) + sums["output_tokens"].fillna(0.0)
    usage = _accelerator_usage(ws, month)
    if len(without):
        usage = usage[stand_apart(usage, ws.plan.regions, without).isna()]
    usage = usage.assign(
        use_case_id=usage["use_case"], hours=usage["accelerator_hours"], region=plan_regions(usage, ws.plan.regions)
    )
    hours = usage.groupby(HELD)[["hours", "cost"]].sum()
    per_case = hours.groupby(level=0).sum()
    factors = pd.DataFrame({"units": sums["units"], "work": tokens.where(tokens > 0, sums["units"])}).join(per_case)
    return factors.dropna(subset=["units"]), hours


def _at(rows: pd.DataFrame, places: pd.MultiIndex) -> np.ndarray:
    """Which rows are of one of the use cases and regions."""
    return pd.MultiIndex.from_frame(rows[PLACE].astype("str")).isin(places)


def _accelerator_usage(ws: Workspace, month: str) -> pd.DataFrame:
    """Charges for accelerator-hours in a month with `cost`, USD."""
    bill = ws.table("billing")
    usage = bill[(bill["month"] == month) & accelerator_charges(bill) & bill["cost_line"].isin(USAGE)]
    return usage.assign(cost=usage["EffectiveCost"].astype("float64"))


def cost_apart(ws: Workspace, month: str, without: pd.MultiIndex) -> pd.Series:
    """USD of the charges for accelerators that `month_factors` leaves out, by the names of `uncharged.stand_apart`."""
    usage = _accelerator_usage(ws, month)
    return usage["cost"].groupby(stand_apart(usage, ws.plan.regions, without)).sum()


def with_hosted_models(
    ws: Workspace, sides: Sequence[tuple[str, pd.DataFrame, pd.DataFrame]], without: pd.MultiIndex = NOWHERE
) -> tuple[pd.DataFrame, ...]:
    """Factors of two months, then their hours, as `split_variance` takes them, with use cases that run on hosted models alone.

    To the sides of `month_factors` come those that are charged for hosted models in both months and for accelerators in none. A hosted model is paid by its work, which stands for its hours: no utilisation, and the price is USD per unit of work.

    Parameters
    ----------
    sides : month, factors and hours of the earlier and of the later month, both `without` these use cases and regions.
    """
    used = hosted_usage(ws.table("billing"))
    if len(without):
        used = used[used["month"].isin([month for month, *_ in sides])]
        used = used[stand_apart(used, ws.plan.regions, without).isna()]
    cost = used.groupby(["use_case", "month"])["usd"].sum()
    cost = cost.unstack("month").reindex(columns=[month for month, *_ in sides])
    alone = cost.index[(cost > 0).all(axis=1)]
    for _, factors, _ in sides:
        unpaid = factors.index[factors["hours"].isna() & (factors["work"] > 0)]
        alone = alone.intersection(unpaid)
    found = []
    for month, factors, hours in sides:
        served = pd.DataFrame({"hours": factors["work"], "cost": cost[month]}).loc[alone].astype("float64")
        whole = factors.assign(
            hours=factors["hours"].fillna(served["hours"]), cost=factors["cost"].fillna(served["cost"])
        )
        by_model = served.set_index(pd.MultiIndex.from_product([alone, [HOSTED], [""]], names=HELD))
        found.append((whole, pd.concat([hours, by_model])))
    return tuple(part for parts in zip(*found, strict=True) for part in parts)


def against_hosted_plan(
    ws: Workspace, planned: tuple[pd.DataFrame, pd.DataFrame], actual: tuple[pd.DataFrame, pd.DataFrame], month: str
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Factors of plan and month, then their hours, as `split_variance` takes them, with what was to stay on hosted models.

    Units stand for the hours of a hosted model on both sides: no utilisation, and the price is USD per unit. What was to stay and
    is charged for accelerators, or for nothing, has no causes.

    Parameters
    ----------
    planned, actual : factors and hours of `plan_factors` and of `month_factors`.
    """
    (base, base_hours), (now, now_hours) = planned, actual
    cost = _hosted_usd(ws, month)
    stays = base_hours.index[base_hours.index.get_level_values(1) == HOSTED].get_level_values(0)
    alone = stays.intersection(cost.index[cost > 0]).intersection(now.index[now["hours"].isna() & (now["units"] > 0)])
    now = now.assign(work=now["units"])
    now.loc[alone, "hours"], now.loc[alone, "cost"] = now.loc[alone, "units"], cost[alone]
    served = now.loc[alone, ["hours", "cost"]]
    served.index = pd.MultiIndex.from_product([alone, [HOSTED], [""]], names=HELD)
    base = base.assign(hours=base["hours"].mask(base.index.isin(stays.difference(alone))))
    return base, now, base_hours, pd.concat([now_hours, served])


def _hosted_usd(ws: Workspace, month: str) -> pd.Series:
    """Effective cost of hosted models in a month by use case, USD."""
    used = hosted_usage(ws.table("billing"))
    return used[used["month"] == month].groupby("use_case")["usd"].sum().astype("float64")


def planned_cost(ws: Workspace, paid: pd.Series, planned: pd.Index, month: str) -> pd.Series:
    """USD of a month to hold against a plan: `accelerator_cost`, and hosted models of planned use cases without any."""
    cost = _hosted_usd(ws, month)
    return paid.dropna().combine_first(cost[cost.index.isin(planned)])


def accelerator_cost(ws: Workspace, factors: pd.DataFrame, month: str) -> pd.Series:
    """USD that each use case paid for accelerators in a month: its hours of `month_factors`, else what was bought for it.

    A lease instalment is a purchase that names no hours: it is the cost of a use case of which no hours are billed.
    """
    bill = ws.table("billing")
    bought = bill[(bill["month"] == month) & (bill["purchase_option"] == OTHER_PURCHASE)]
    return factors["cost"].dropna().combine_first(use_case_cost(bought))


def mean_utilization(pools: pd.DataFrame, in_field: Collection[str] = ()) -> pd.Series:
    """Mean utilisation of all pools by month, weighed by installed accelerators and length of each reading.

    in_field : accelerators of class edge: many, small and idle by their nature, they count only where there are no others.
    """
    pools = without_field(pools, in_field)
    hours = (pools["installed"] * pools["window_minutes"]).astype(float)
    month = pools["window_start_utc"].dt.strftime("%Y-%m").rename("month")
    return (hours * pools["utilization"]).groupby(month).sum() / hours.groupby(month).sum()


def calendar_plan(approved: pd.DataFrame) -> pd.DataFrame:
    """Amounts of a plan, which counts standard months of 730 h, in the hours of each calendar month."""
    hours = pd.PeriodIndex(approved["month"], freq="M").days_in_month.to_numpy() * HOURS_PER_DAY
    counted = [
        *PLANNED,
        *(
            name
            for name in (*SCENARIO_UNITS, *USE_CASE_BAND.values(), "storage_network_usd", "hourly_usd")
            if name in approved
        ),
    ]
    scale = hours / HOURS_PER_MONTH
    plan = approved.assign(**{name: approved[name] * scale for name in counted})
    if "outlay_usd" in approved:  # paid once, however long the month
        running = approved["compute_cash_usd"] - approved["outlay_usd"]
        plan["compute_cash_usd"] = running * scale + approved["outlay_usd"]
    return plan


def mix_of_days(monthly: pd.DataFrame, weeks: pd.DataFrame) -> pd.Series:
    """What the days of each measured month usually carry, over as many days of whole weeks, by month and use case.

    Parameters
    ----------
    monthly, weeks : measured units, and the same `inventory.demand.in_whole_weeks`.
    """
    units, mean = (table.groupby(["month", "use_case_id"])["units"].sum() for table in (monthly, weeks))
    return units / mean.where(mean > 0)


def on_its_days(plan: pd.DataFrame, mix: pd.Series) -> pd.DataFrame:
    """A calendar plan, which counts mean weeks, with units and value of measured months as their own days carry them (`mix_of_days`).

    A month of 20 working days brings less than one of 23, of which nobody departs from the plan. What stays on a hosted model is paid by
    its units; accelerators are there on every day.
    """
    if plan.empty:
        return plan
    share = mix.reindex(pd.MultiIndex.from_frame(plan[mix.index.names].astype("str"))).fillna(1.0).to_numpy()
    units = [name for name in (*BY_DAYS, *SCENARIO_UNITS, *USE_CASE_BAND.values()) if name in plan]
    paid = np.where(plan["accelerator_id"] == HOSTED, share, 1.0)
    return plan.assign(
        **{name: plan[name] * share for name in units},
        **{name: plan[name] * paid for name in ("compute_usd", "cost_usd")},
    )


def planned_bands(approved: pd.DataFrame) -> pd.DataFrame:
    """Planned units with P10 and P90 by month and use case; where a plan holds bands of its regions alone, their sums, which are wider."""
    groups = approved.groupby(["month", "use_case_id"])
    sums = groups[["units", *USE_CASE_BAND]].sum(min_count=1)
    whole = {band: groups[own].first() for band, own in USE_CASE_BAND.items() if own in approved}
    return sums.assign(**{band: values.fillna(sums[band]) for band, values in whole.items()})


def plan_month(approved: pd.DataFrame, month: str, without: pd.MultiIndex = NOWHERE) -> pd.DataFrame:
    """Planned units, band, hours, cost and value per use case in a month, `without` some use cases and regions."""
    return (
        approved[(approved["month"] == month) & ~_at(approved, without)]
        .groupby("use_case_id")[PLANNED]
        .sum(min_count=1)
    )


def plan_factors(
    approved: pd.DataFrame, month: str, without: pd.MultiIndex = NOWHERE
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The plan of a month in the form of `month_factors`; a plan counts no tokens, so work is units.

    Units stand for the hours of a hosted model. What is planned for the use cases and regions of `without` is left out.
    """
    approved = approved[~_at(approved, without)]
    hosted = approved["accelerator_id"] == HOSTED
    approved = approved.assign(accelerator_hours=approved["accelerator_hours"].mask(hosted, approved["units"]))
    planned = plan_month(approved, month).rename(columns={"accelerator_hours": "hours", "compute_usd": "cost"})
    rows = approved[approved["month"] == month].rename(columns={"accelerator_hours": "hours", "compute_usd": "cost"})
    hours = rows.groupby(HELD)[["hours", "cost"]].sum()
    return planned.assign(work=planned["units"])[["units", "work", "hours", "cost"]], hours


def plan_apart(approved: pd.DataFrame, month: str, without: pd.MultiIndex) -> pd.Series:
    """USD that the plan of a month holds for accelerators of the use cases and regions of `without`, "use case in region"."""
    rows = approved[(approved["month"] == month) & _at(approved, without)]
    cost = rows.groupby(PLACE)["compute_usd"].sum()
    return cost.set_axis(place_names(cost.index))


def realised_value(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    """Value of the delivered units per month and use case, USD: units x success x value x attribution.

    A value without an attribution is not claimed. Accelerator-hours count those of failed jobs too, so the share of hours of jobs that succeeded
    applies; other units are counted when delivered.
    """
    cases = ws.table("use_cases").set_index("use_case_id")
    worth = cases["value_usd_per_unit"] * cases["attribution_share"]
    demand = inventory.demand_monthly
    failed = demand["failed_work_share"].where(demand["service_unit"] == "accelerator_hour", 0.0)
    units = (demand["units"] * (1.0 - failed.fillna(0.0))).groupby([demand["month"], demand["use_case_id"]]).sum()
    value = units * worth.reindex(units.index.get_level_values("use_case_id")).to_numpy()
    return value.rename("value_usd").reset_index()
