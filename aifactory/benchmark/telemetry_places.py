"""Which accelerators a use case works on today, how much of them is its own, and how busy they are.

A place is a pool that the bill names (ResourceId), else all other pools of an accelerator in a region. The share of a use case in
a place is its share in the accelerator-hours that the bill attributes there; a place that the bill attributes to nobody belongs to the only
use case that can be on it, by `baseline_accelerators` of the plan and the accelerators of the jobs. Hours that the bill names elsewhere do
not say that a use case is not here too, since own hardware is in no bill; training whose jobs ran no longer than that is not. What runs on a hosted model alone is on none. Where plan.yaml names several, its hours are divided as they move with
the demand of each, if they do so beyond doubt (`shared_pools`); training moves as its jobs run. What is doubtful is left out:
pools whose label is in doubt, places with more than a tenth of their hours attributed to nobody, and use cases that
work on several accelerators of a region.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.benchmark.shared_pools import seconds_per_unit
from aifactory.demand.profile import running_accelerators
from aifactory.inputs.billing import NO_ACCELERATOR, UNATTRIBUTED, plan_regions
from aifactory.inputs.hosted import hosted_only
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.hosted_today import hosted_alone
from aifactory.inventory.service import pool_summary
from aifactory.inventory.spend import USAGE
from aifactory.units import EDGE_CLASS, EDGE_MAX_TDP_W, MINUTES_PER_HOUR, SECONDS_PER_HOUR

#: Share of the hours of a place that must be attributed, and of the work in a region that must be on one accelerator.
ATTRIBUTED, ON_ONE = 0.9, 0.95
#: Share of a window that the telemetry of a pool must cover.
COVERED = 0.9
TRAINING_UNIT = "accelerator_hour"
BY_BILL, BY_PLAN = "by the hours of the bill", "the only use case on this accelerator there"
BY_HOURS = "shared, their hours in use divided as they move with the demand of each"
PLACE = ["place", "accelerator_id", "region"]
DAYS = ["use_case_id", "accelerator_id", "region", "window", "rate", "use", "held", "pool", "linked_by"]


def days_served(ws: Workspace) -> pd.DataFrame:
    """Windows (hours where both tables have them, else days) of each use case on its accelerator in a region: `DAYS`.

    rate : units per second and accelerator; use : share of time in use; held : accelerators, the use case's share, where hours are
    divided its part of those in use in the window: work that comes in few hours takes more then than its share of the month; pool :
    all of the pools that it works on.
    """
    pools, demand = _sure_pools(ws), ws.month("demand_windows")
    if pools.empty or demand.empty:
        return pd.DataFrame(columns=DAYS)
    step = "h" if max(pools["window_minutes"].max(), demand["window_minutes"].max()) <= MINUTES_PER_HOUR else "D"
    held = _held(pools, step)
    links = _on_one(links_of(ws, pools, demand), held)
    if links.empty:
        return pd.DataFrame(columns=DAYS)
    units = demand.assign(window=demand["window_start_utc"].dt.floor(step))
    units = units.groupby(["use_case_id", "region", "window"], as_index=False)["service_units"].sum()
    own = _own_part(links.merge(held, on=PLACE), pd.concat([units, _trained(ws.month("jobs"), links)]))
    mine = own["part"].where(own["seconds_per_unit"].notna(), own["share"])
    own = own.assign(pool=own["held"], held=own["held"] * mine, busy=own["busy"] * own["part"])
    keys = ["use_case_id", "accelerator_id", "region", "window"]
    whole = own.groupby(keys, as_index=False).agg(held=("held", "sum"), pool=("pool", "sum"), busy=("busy", "sum"), linked_by=("linked_by", "first"), places=("place", "nunique"))  # fmt: skip
    whole = whole[whole["places"] == whole.groupby(keys[:3])["places"].transform("max")]
    found = whole.merge(units, on=["use_case_id", "region", "window"])
    found = found[(found["held"] > 0) & (found["service_units"] > 0)]
    seconds = SECONDS_PER_HOUR * (1 if step == "h" else 24)
    return found.assign(rate=found["service_units"] / (found["held"] * seconds), use=found["busy"] / found["held"])[
        DAYS
    ]


def _own_part(own: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """With `part` of the busy time of each window that is the use case's own: its share, or that of its work where the hours tell."""
    asked = own[["use_case_id", "region", "window"]].merge(units, how="left")["service_units"].fillna(0.0).to_numpy()
    work = pd.Series(asked * own["seconds_per_unit"].to_numpy(dtype=float), own.index)
    every = work.groupby([own[name] for name in (*PLACE, "window")]).transform("sum")
    part = (work / every.where(every > 0)).fillna(0.0)
    return own.assign(part=part.where(own["seconds_per_unit"].notna(), own["share"]))


def _trained(jobs: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Accelerators at work by hour for the training use cases that share a place: use_case_id, region, window, service_units."""
    places = links.loc[links["linked_by"] == BY_HOURS, ["use_case_id", "accelerator_id", "region"]].drop_duplicates()
    mine = jobs.merge(places, on=["use_case_id", "accelerator_id", "region"])
    hours = running_accelerators(mine, pd.Series(1.0, mine.index)).rename(columns={"window_start_utc": "window"})
    return hours[["use_case_id", "region", "window", "service_units"]]


def shares_of_pools(ws: Workspace) -> pd.DataFrame:
    """Who uses the pools that the bill names and attributes to nobody, as far as it is known: pool_id, use_case_id, share (of the hours in use).

    Shares of a pool add up to 1; a pool whose hours do not tell the use cases apart has no row.
    """
    pools, demand = _sure_pools(ws), ws.month("demand_windows")
    columns = ["pool_id", "use_case_id", "share"]
    if pools.empty or demand.empty:
        return pd.DataFrame(columns=columns)
    links = links_of(ws, pools, demand)
    links = links[links["linked_by"].isin((BY_PLAN, BY_HOURS)) & links["place"].isin(set(pools["pool_id"]))]
    return links.rename(columns={"place": "pool_id"})[columns].reset_index(drop=True)


def held_hours(ws: Workspace, days: pd.DataFrame) -> pd.DataFrame:
    """Units per second and accelerator of the pools by hour of the demand (its own windows where they are longer), in windows of `days`."""
    demand = ws.month("demand_windows")
    step = "h" if demand["window_minutes"].max() <= MINUTES_PER_HOUR else "D"
    units = demand.assign(hour=demand["window_start_utc"].dt.floor(step), day=demand["window_start_utc"].dt.floor("D"))
    units = units.groupby(["use_case_id", "region", "day", "hour"], as_index=False)["service_units"].sum()
    mean = days.assign(day=days["window"].dt.floor("D"))
    mean = mean.groupby(["use_case_id", "accelerator_id", "region", "day"], as_index=False)["pool"].mean()
    found = mean.merge(units, on=["use_case_id", "region", "day"])
    seconds = SECONDS_PER_HOUR * (1 if step == "h" else 24)
    return found.assign(rate=found["service_units"] / (found["pool"] * seconds))


def _sure_pools(ws: Workspace) -> pd.DataFrame:
    """Windows of the pools of the month whose label is not in doubt, with the place that each stands for."""
    pools = ws.month("pools")
    if pools.empty:
        return pools.assign(place=pd.Series(dtype="str"))
    summary = pool_summary(ws, pd.Series(dtype=float), _usage(ws))
    doubted = set(summary.loc[summary["label_suspect"], "pool_id"])
    pools = pools[~pools["pool_id"].isin(doubted) & (pools["window_minutes"] <= 24 * MINUTES_PER_HOUR)]
    named = pools["pool_id"].isin(set(_usage(ws)["ResourceId"].dropna()))
    return pools.assign(place=pools["pool_id"].where(named, pools["accelerator_id"] + " in " + pools["region"]))


def _usage(ws: Workspace) -> pd.DataFrame:
    bill = ws.table("billing")
    return bill[(bill["month"] == ws.period) & (bill["accelerator_hours"] > 0)] if len(bill) else bill


def _held(pools: pd.DataFrame, step: str) -> pd.DataFrame:
    """Accelerators held and busy by place and window; windows that the telemetry covers in full."""
    length = MINUTES_PER_HOUR * (1 if step == "h" else 24)
    parts = pools.assign(
        window=pools["window_start_utc"].dt.floor(step),
        held=pools["installed"] * pools["window_minutes"] / length,
        busy=pools["installed"] * pools["utilization"] * pools["window_minutes"] / length,
        covered=pools["window_minutes"] / length,
    )
    each = parts.groupby([*PLACE, "pool_id", "window"], as_index=False)[["held", "busy", "covered"]].sum()
    each = each[each["covered"] >= COVERED]
    each[["held", "busy"]] = each[["held", "busy"]].div(each["covered"], axis=0)
    found = each.groupby([*PLACE, "window"], as_index=False).agg(held=("held", "sum"), busy=("busy", "sum"), pools=("pool_id", "nunique"))  # fmt: skip
    return found[found["pools"] == found.groupby(PLACE)["pools"].transform("max")]


def links_of(ws: Workspace, pools: pd.DataFrame, demand: pd.DataFrame) -> pd.DataFrame:
    """Serving use cases by place with their share in it: use_case_id, `PLACE`, share, linked_by, seconds_per_unit (of `BY_HOURS`).

    Where the hours of a place are divided, training that shares it stands there too.
    """
    cases = ws.table("use_cases")
    serving = set(cases.loc[cases["service_unit"] != TRAINING_UNIT, "use_case_id"])
    places = pools[PLACE].drop_duplicates()
    bill = _usage(ws)
    hours = pd.DataFrame(columns=[*PLACE, "use_case", "accelerator_hours"])
    if len(bill):
        used = bill[bill["cost_line"].isin(USAGE) & (bill["accelerator_id"] != NO_ACCELERATOR)]
        used = used.assign(region=plan_regions(used, ws.plan.regions))
        place = used["ResourceId"].where(used["ResourceId"].isin(places["place"]), used["accelerator_id"] + " in " + used["region"])  # fmt: skip
        hours = used.assign(place=place).groupby(["place", "accelerator_id", "region", "use_case"], as_index=False)["accelerator_hours"].sum()  # fmt: skip
    rows = []
    for spot in places.itertuples(index=False):
        here = hours[hours["place"] == spot.place].groupby("use_case")["accelerator_hours"].sum().astype(float)
        named = here.drop(UNATTRIBUTED, errors="ignore")
        if named.sum() > 0:
            if named.sum() >= ATTRIBUTED * here.sum():
                rows += [
                    (name, *spot, part, BY_BILL, np.nan)
                    for name, part in (named / named.sum()).items()
                    if name in serving
                ]
            continue
        jobs = _jobs_beside(ws, spot, hours)
        able = _able(ws, spot.accelerator_id, spot.region, demand) | set(jobs["use_case_id"])
        if len(able) == 1 and able <= serving:
            rows.append((able.pop(), *spot, 1.0, BY_PLAN, np.nan))
        elif len(able) > 1 and able & serving and able & serving <= set(ws.plan.baseline_accelerators):
            rows += _divided(spot, pools, demand[demand["use_case_id"].isin(able)], jobs, able)
    return pd.DataFrame(rows, columns=["use_case_id", *PLACE, "share", "linked_by", "seconds_per_unit"])


def _jobs_beside(ws: Workspace, spot: tuple, hours: pd.DataFrame) -> pd.DataFrame:
    """Jobs that may run in a place: on its accelerator in its region, of use cases that the bill does not charge elsewhere for as many hours there."""
    jobs = ws.month("jobs")
    jobs = jobs[(jobs["region"] == spot.region) & (jobs["accelerator_id"] == spot.accelerator_id)]
    ran = running_accelerators(jobs, pd.Series(1.0, jobs.index))
    ran = ran[ran["window_start_utc"].dt.strftime("%Y-%m") == ws.period].groupby("use_case_id")["service_units"].sum()
    other = hours[(hours["region"] == spot.region) & (hours["accelerator_id"] == spot.accelerator_id) & (hours["place"] != spot.place)]  # fmt: skip
    charged = other.groupby("use_case")["accelerator_hours"].sum().reindex(ran.index, fill_value=0.0)
    return jobs[~jobs["use_case_id"].isin(ran.index[charged.astype(float) >= ATTRIBUTED * ran])]


def _divided(spot: tuple, pools: pd.DataFrame, demand: pd.DataFrame, jobs: pd.DataFrame, able: set[str]) -> list[tuple]:
    """Links of the use cases that share a place, by its hours; none where those do not tell or are not known.

    Units of training are the accelerators of its `jobs` that run; use cases `able` to be there of which no hours are known leave it undivided.
    """
    demand = demand[demand["region"] == spot.region]
    if max(pools["window_minutes"].max(), demand["window_minutes"].max()) > MINUTES_PER_HOUR:
        return []
    held = _held(pools[pools["place"] == spot.place], "h")
    units = demand.pivot_table(
        index=demand["window_start_utc"].dt.floor("h"), columns="use_case_id", values="service_units", aggfunc="sum"
    )
    trained = running_accelerators(jobs, pd.Series(1.0, jobs.index)).pivot_table(
        index="window_start_utc", columns="use_case_id", values="service_units", aggfunc="sum"
    )
    units = units.astype("float64").join(trained.reindex(units.index, fill_value=0.0).fillna(0.0))
    if set(units.columns) != able:
        return []
    each = seconds_per_unit(held.set_index("window")["busy"] * SECONDS_PER_HOUR, units)
    if each is None:
        return []
    work = each * units.sum()
    return [(name, *spot, work[name] / work.sum(), BY_HOURS, each[name]) for name in each.index]


def _able(ws: Workspace, accelerator: str, region: str, demand: pd.DataFrame) -> set[str]:
    """Serving use cases that may be on an accelerator in a region: on the one that plan.yaml names, else on any that work of their class runs on.

    Those of hosted models are on none.
    """
    today, hosted = ws.plan.baseline_accelerators, hosted_only(ws) | hosted_alone(ws)
    asked = set(demand.loc[(demand["region"] == region) & (demand["service_units"] > 0), "use_case_id"])
    work = ws.table("use_cases").set_index("use_case_id")["workload_class"]
    chip = ws.table("accelerators").set_index("accelerator_id").loc[accelerator]
    return {
        name for name in asked - hosted if (today[name] == accelerator if name in today else _runs(work[name], chip))
    }


def _runs(workload_class: str, chip: pd.Series) -> bool:
    """Whether work of a class may be on a chip: at the edge on what a device may draw, elsewhere on no device."""
    device = chip["platform_class"] == "edge"
    return bool(device or chip["tdp_w"] <= EDGE_MAX_TDP_W) if workload_class == EDGE_CLASS else not device


def _on_one(links: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """Links to the accelerator that does nearly all the work of a use case in a region."""
    if links.empty:
        return links
    work = links.merge(held.groupby(PLACE, as_index=False)["busy"].sum(), on=PLACE)
    work = work.assign(busy=work["busy"] * work["share"])
    most = work.groupby(["use_case_id", "region", "accelerator_id"], as_index=False)["busy"].sum()
    total = most.groupby(["use_case_id", "region"])["busy"].transform("sum")
    most = most[most["busy"] >= ON_ONE * total.where(total > 0, np.inf)]
    return links.merge(most[["use_case_id", "region", "accelerator_id"]])
