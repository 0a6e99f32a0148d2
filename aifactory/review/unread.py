"""What of a month was not measured or not charged, in words: figures beside it are too low by the rest."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aifactory.buyplan.governance import money
from aifactory.demand.profile import hours_of_month
from aifactory.inputs.billing import accelerator_charges, plan_regions
from aifactory.inputs.plan import Region
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.findings import COVERED
from aifactory.inventory.hosted_today import hosted_usage
from aifactory.inventory.spend import USAGE
from aifactory.review.monthly import previous_month
from aifactory.review.variance import served_in_both

PROVIDED = ["ProviderName", "RegionId"]


def charges_missing(ws: Workspace, inventory: Inventory, before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """Charges that the month before, or every month before, had: the bill of this one may not be whole.

    before, now : factors of both months, see `monthly.month_factors`.
    """
    places = places_unread(ws.table("billing"), ws.month("pools"), inventory.demand_monthly, ws.plan.regions, ws.period)
    hosted = hosted_unread(ws.table("billing"), inventory.demand_monthly, ws.period)
    return [*charges_unread(before, now), *hosted, *places]


def partial_months(profile: pd.DataFrame, period: str) -> list[str]:
    """Say whose month was not measured whole: its counts are compared as they are, with plan and last month."""
    hours = len(hours_of_month(period))
    rows = profile[profile["observed_share"] < COVERED] if len(profile) else profile
    return [
        f"Telemetry of {row.use_case_id} in {row.region} covers {row.observed_hours:,.0f} of {hours} hours of the month: "
        "what is compared with plan and last month is too low by the rest."
        for row in rows.itertuples(index=False)
    ]


def months_unread(monthly: pd.DataFrame, period: str, may_pause: set[str]) -> list[str]:
    """Say which use cases had demand in the month before and none in this one, as if their telemetry were late.

    may_pause : use cases that ended, or whose work comes in lumps: a month without any is nothing to tell.

    >>> rows = [("2026-09", "chat", "us"), ("2026-09", "chat", "eu"), ("2026-10", "chat", "us")]
    >>> months_unread(pd.DataFrame(rows, columns=["month", "use_case_id", "region"]), "2026-10", set())[0][:32]
    'No demand was read of chat in eu'
    """
    keys = ["use_case_id", "region"]
    now, before = (set(monthly.loc[monthly["month"] == m, keys].itertuples(index=False, name=None)) for m in (period, previous_month(period)))  # fmt: skip
    gone = sorted(place for place in before - now if place[0] not in may_pause)
    if not gone or not now:
        return []
    named = ", ".join(f"{name} in {region}" for name, region in gone)
    return [
        f"No demand was read of {named}, while the month before had some: if telemetry is late, value, volume and "
        "triggers are too low by it."
    ]


def charges_unread(before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """Say which use cases served units in both months and were charged accelerator-hours in the month before alone.

    before, now : factors of a month, see `monthly.month_factors`.
    """
    both = served_in_both(before, now)
    gone = [name for name in both if before.loc[name, "hours"] > 0 and not now.loc[name, "hours"] > 0]
    if not gone:
        return []
    named = ", ".join(f"{name} ({money(before.loc[name, 'cost'])} in the month before)" for name in gone)
    return [
        f"No accelerator-hours were charged to {named}, though it was used: if the bill is late or the tag changed, cost, "
        "unit cost and return to date are off by it, and it stands under other causes."
        if len(gone) == 1
        else f"No accelerator-hours were charged to {named}, though they were used: if the bill is late or tags changed, "
        "cost, unit cost and return to date are off by them, and they stand under other causes."
    ]


def hosted_unread(bill: pd.DataFrame, monthly: pd.DataFrame, period: str) -> list[str]:
    """Say which use cases served units in both months and were charged for hosted models in the month before, but for nothing now.

    Who is charged for accelerators instead has moved.

    Parameters
    ----------
    bill : the derived `billing` table.
    monthly : demand with month, use_case_id, units.
    """
    last = previous_month(period)
    served = monthly[monthly["units"] > 0].groupby("month")["use_case_id"].agg(set)
    both = served.get(period, set()) & served.get(last, set())
    before = hosted_usage(bill[bill["month"] == last]).groupby("use_case")["usd"].sum()
    now = bill[bill["month"] == period]
    charged = set(hosted_usage(now)["use_case"]) | set(now.loc[accelerator_charges(now), "use_case"])
    gone = before[(before > 0) & before.index.isin(list(both - charged))].sort_values(ascending=False, kind="stable")
    if gone.empty:
        return []
    named = ", ".join(f"{name} ({money(usd)} in the month before)" for name, usd in gone.items())
    it, they = ("it was", "it stands") if len(gone) == 1 else ("they were", "they stand")
    return [
        f"No hosted model was charged to {named}, though {it} used: if the bill is late, cost, unit cost and variance are too "
        f"low by it: that is no saving, and {they} under other causes."
    ]


def places_unread(
    bill: pd.DataFrame, pools: pd.DataFrame, monthly: pd.DataFrame, regions: Sequence[Region], period: str
) -> list[str]:
    """Say whose charges for accelerators of one provider or region did not come while its load is still measured.

    A provider's region counts that was charged in each earlier month of the bill from its first on. Load is there where the
    pools of that plan region show any of the accelerators that were charged at work, or, where none of its pools were
    read in the month, where demand of the region was. A month without any such charge is said elsewhere.

    Parameters
    ----------
    bill : the derived `billing` table.
    pools : readings of the month.
    monthly : demand with month, use_case_id, region, units.
    """
    usage = bill[accelerator_charges(bill) & bill["cost_line"].isin(USAGE)]
    usage = usage.assign(place=plan_regions(usage, regions), usd=usage["EffectiveCost"].astype("float64"))
    months = sorted(set(usage.loc[usage["month"] < period, "month"]))
    now = usage[usage["month"] == period]
    if now.empty or not months:
        return []
    charged = set(now[PROVIDED].astype("str").itertuples(index=False, name=None))
    busy = pools[(pools["utilization"] > 0) & (pools["installed"] > 0)]
    asked = set(monthly.loc[(monthly["month"] == period) & (monthly["units"] > 0), "region"])
    found = []
    for (provider, region), rows in usage[usage["month"] < period].groupby(PROVIDED, observed=True):
        first, place = rows["month"].min(), rows["place"].iloc[0]
        always = set(rows["month"]) == {month for month in months if month >= first}
        if (str(provider), str(region)) in charged or not always or not place:
            continue
        here = busy[busy["region"] == place]
        loaded = here["accelerator_id"].isin(rows["accelerator_id"]).any()
        if loaded or (not (pools["region"] == place).any() and place in asked):
            usd = rows.loc[rows["month"] == months[-1], "usd"].sum()
            where = region if region == place else f"{region} ({place})"
            found.append(f"{provider} in {where} ({money(usd)} in {months[-1]})")
    if not found:
        return []
    return [
        f"No accelerator-hours were charged by {'; '.join(found)}, as they were in each month before, though load is still "
        "measured there: if that bill is late, cost, unit cost and variance are too low by it, and it is no saving."
    ]
