"""What each use case runs on today: as the plan states it, else as jobs, the bill and the pools show it."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.billing import NO_ACCELERATOR, UNATTRIBUTED, plan_regions
from aifactory.inputs.hosted import hosted_only
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.findings import Finding
from aifactory.inventory.hosted_today import hosted_alone
from aifactory.inventory.spend import USAGE
from aifactory.units import EDGE_CLASS

STATED, BY_JOBS, BY_BILL, BY_PAST, BY_TEAM, BY_ONLY, BY_POOLS, BY_HOSTED, BY_REFERENCE = (
    "stated", "jobs of the month", "bill, own hours", "jobs of the year before", "bill, untagged hours of its team", "bill, its only accelerator",
    "pools, the only accelerator of its kind that no charge names for others", "bill, a hosted model", "nothing known",
)  # fmt: skip
CONFIDENCE = {STATED: "stated", BY_JOBS: "measured", BY_BILL: "measured", BY_PAST: "measured", BY_TEAM: "assumed", BY_ONLY: "assumed", BY_POOLS: "assumed", BY_HOSTED: "assumed", BY_REFERENCE: "assumed"}  # fmt: skip
#: Share of the hours from which one accelerator alone is what a use case runs on.
ON_ONE = 0.95
COLUMNS = ["use_case_id", "accelerator_id", "basis", "confidence", "seen", "seen_share", "seen_basis", "source"]


def todays_platforms(ws: Workspace, names: list[str]) -> pd.DataFrame:
    """Today's platform of each use case, `COLUMNS`.

    accelerator_id is what the plan states, else what is seen where that is a candidate, else the plan's reference
    accelerator, with which money is compared then. seen is the accelerator with most hours: of its jobs of the month, else of the
    usage that the bill tags with it, else of its jobs of the year to the end of the month, else of its team's usage without a use case, else the only one in the bill, unless
    all its hours name other use cases, else the only one in the pools (`_in_pools`);
    seen_share its share of those hours; of what runs on a hosted model alone nothing is seen. What is seen on several accelerators is `mixed` in confidence.
    """
    seen, hosted = _seen(ws, names), hosted_alone(ws)
    rows = []
    for name in names:
        found, share, basis = seen.get(name, ("", float("nan"), ""))
        stated = ws.plan.baseline_accelerators.get(name)
        used = stated or (found if found in ws.plan.candidates else ws.plan.reference_accelerator)
        why = STATED if stated else BY_HOSTED if name in hosted else basis if used == found else BY_REFERENCE
        mixed = why in (BY_JOBS, BY_BILL, BY_PAST) and share < ON_ONE
        read = {STATED: "plan.yaml", BY_REFERENCE: "plan.yaml", BY_JOBS: "jobs", BY_PAST: "jobs", BY_POOLS: "pools"}
        source = read.get(why, "billing")
        rows.append((name, used, why, "mixed" if mixed else CONFIDENCE[why], found, share, basis, source))
    texts = [name for name in COLUMNS if name != "seen_share"]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"seen_share": float} | dict.fromkeys(texts, "str"))


def baseline_accelerators(ws: Workspace, cells: pd.DataFrame) -> pd.Series:
    """Today's platform of the use cases of some cells, by use case (`todays_platforms`)."""
    names = cells["use_case_id"].unique().tolist()
    stated = ws.plan.baseline_accelerators
    if all(name in stated for name in names):
        return pd.Series({name: stated[name] for name in names}, dtype="str")
    return todays_platforms(ws, names).set_index("use_case_id")["accelerator_id"]


def known_platforms(ws: Workspace) -> dict[str, str]:
    """Today's platform of the use cases for which it is known: as the plan states it, else the one of nearly all hours of its own in jobs or bill.

    What is guessed from a team's hours, or seen on several accelerators, is not known.
    """
    table = todays_platforms(ws, ws.table("use_cases")["use_case_id"].tolist())
    sure = table["seen_basis"].isin((BY_JOBS, BY_BILL, BY_PAST)) & (table["seen_share"] >= ON_ONE)
    found = table["accelerator_id"].where(table["basis"] == STATED, table["seen"].where(sure))
    return found.set_axis(table["use_case_id"]).dropna().to_dict()


def known_by_region(ws: Workspace) -> dict[tuple[str, str], str]:
    """Today's platform of the use cases in each region of the plan where it is known there: by use case and region.

    As `known_platforms`, but for what jobs and bill of the month show of a use case in one region alone: one that runs on two platforms, each in
    a region of its own, is known in both.
    """
    known, stated = known_platforms(ws), ws.plan.baseline_accelerators
    found = {(name, item.region): chip for name, chip in known.items() for item in ws.plan.regions}
    bill = _usage(ws)
    bill = bill.assign(use_case_id=bill["use_case"], region=plan_regions(bill, ws.plan.regions)) if len(bill) else bill
    for rows in (bill, _job_hours(ws.month("jobs"))):  # jobs win over the bill
        for region, here in rows.groupby("region") if len(rows) else ():
            seen = _most(here[here["use_case_id"] != UNATTRIBUTED], "use_case_id")
            sure = {name: chip for name, (chip, share) in seen.items() if share >= ON_ONE and name not in stated}
            found |= {(name, str(region)): chip for name, chip in sure.items() if region}
    return found


def _seen(ws: Workspace, names: list[str]) -> dict[str, tuple[str, float, str]]:
    """Accelerator with most hours, its share of them and where they are seen, by use case."""
    found = {name: (*best, BY_JOBS) for name, best in _most(_job_hours(ws.month("jobs")), "use_case_id").items()}
    past = {name: (*best, BY_PAST) for name, best in _most(_job_hours(_jobs_of_the_year(ws)), "use_case_id").items()}
    pools = _in_pools(ws)
    bill = _usage(ws)
    if bill.empty:
        return pools | past | found
    named = bill["use_case"] != UNATTRIBUTED
    own, team = _most(bill[named], "use_case"), _most(bill[~named & (bill["team"] != UNATTRIBUTED)], "team")
    cases = ws.table("use_cases").set_index("use_case_id")
    teams, classes = cases["team"].to_dict(), cases["workload_class"].to_dict()
    only = bill["accelerator_id"].unique() if not named.all() else ()
    hosted = hosted_only(ws) | hosted_alone(ws)
    for name in names:
        if name in found:
            continue
        if name in hosted:
            continue  # its team's hours are those of others
        if name in own:
            found[name] = (*own[name], BY_BILL)
        elif name in past:
            found[name] = past[name]
        elif classes[name] != EDGE_CLASS and teams[name] in team:  # devices of a site are in no bill of its team
            found[name] = (*team[teams[name]], BY_TEAM)
        elif classes[name] != EDGE_CLASS and len(only) == 1:
            found[name] = (str(only[0]), 1.0, BY_ONLY)
        elif name in pools:
            found[name] = pools[name]
    return found


def _in_pools(ws: Workspace) -> dict[str, tuple[str, float, str]]:
    """By use case that has begun: the only accelerator of its kind (edge device or not) in the pools where it may run."""
    kinds = _kinds_in_pools(ws)
    return {name: (chips[0], 1.0, BY_POOLS) for name, chips in kinds.items() if len(chips) == 1}


def _kinds_in_pools(ws: Workspace) -> dict[str, list[str]]:
    """By use case that has begun: accelerators of its kind (edge device or not) in the pools where it may run, where there are any.

    Accelerators whose hours on the bill all name use cases are theirs alone.
    """
    pools, bill = ws.month("pools"), _usage(ws)
    theirs: set[str] = set()
    if len(bill):
        theirs = set(bill["accelerator_id"]) - set(bill.loc[bill["use_case"] == UNATTRIBUTED, "accelerator_id"])
    free = pools.loc[pools["installed"] > 0, ["region", "accelerator_id"]].drop_duplicates()
    free = free[~free["accelerator_id"].isin(theirs)]
    kinds = ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    free = free.assign(edge=free["accelerator_id"].map(kinds) == "edge")
    found = {}
    for row in ws.table("use_cases").itertuples(index=False):
        mine = free[free["edge"] == (row.workload_class == EDGE_CLASS)]
        if isinstance(row.allowed_regions, str):
            mine = mine[mine["region"].isin([part.strip() for part in row.allowed_regions.split(";")])]
        begun = not isinstance(row.launch_month, str) or row.launch_month <= ws.period
        if begun and len(mine):
            found[row.use_case_id] = sorted(str(chip) for chip in mine["accelerator_id"].unique())
    return found


def untold_findings(ws: Workspace) -> list[Finding]:
    """Use cases with demand in the month whose own pools hold several accelerators while neither plan, jobs nor bill say which is theirs."""
    rows = [ws.month(name)["use_case_id"] for name in ("demand_windows", "jobs")]
    sure = {*known_platforms(ws), *hosted_only(ws), *hosted_alone(ws)}
    asked = [name for name in _kinds_in_pools(ws) if name in set(pd.concat(rows)) - sure]
    table = todays_platforms(ws, asked)
    asked = table.loc[table["seen"] == "", "use_case_id"]
    kinds = _kinds_in_pools(ws)
    return [
        Finding(
            "platform",
            f"{name} runs on {' or '.join(kinds[name])}, as its pools stand, and neither jobs nor bill say on which: state it under "
            "baseline_accelerators in plan.yaml. Only then production shows what an accelerator carries.",
        )
        for name in asked
        if len(kinds[name]) > 1
    ]


def _jobs_of_the_year(ws: Workspace) -> pd.DataFrame:
    """Jobs of the twelve months up to the end of the month: large runs are few, and a month may hold none."""
    jobs, end = ws.table("jobs"), pd.Timestamp(ws.as_of, tz="UTC") + pd.Timedelta(days=1)
    return jobs[(jobs["submitted_utc"] < end) & (jobs["submitted_utc"] >= end - pd.DateOffset(years=1))]


def _job_hours(jobs: pd.DataFrame) -> pd.DataFrame:
    if jobs.empty:
        return pd.DataFrame(columns=["use_case_id", "accelerator_id", "accelerator_hours"])
    hours = (jobs["ended_utc"] - jobs["started_utc"]) / pd.Timedelta(hours=1) * jobs["accelerators"]
    return jobs.assign(accelerator_hours=hours.fillna(0.0).astype(float))


def _usage(ws: Workspace) -> pd.DataFrame:
    bill = ws.table("billing")
    if bill.empty:
        return bill
    named = bill["cost_line"].isin(USAGE) & (bill["accelerator_id"] != NO_ACCELERATOR)
    return bill[(bill["month"] == ws.period) & named & (bill["accelerator_hours"] > 0)]


def _most(rows: pd.DataFrame, key: str) -> dict[str, tuple[str, float]]:
    """Accelerator with most hours and its share of the hours, by `key`; of equals the first by name."""
    rows = rows[rows["accelerator_id"].notna()]
    hours = rows.groupby([key, "accelerator_id"])["accelerator_hours"].sum().astype(float).reset_index()
    hours = hours[hours["accelerator_hours"] > 0]
    share = hours["accelerator_hours"] / hours.groupby(key)["accelerator_hours"].transform("sum")
    best = hours.assign(share=share).sort_values("share", ascending=False, kind="stable").drop_duplicates(key)
    return {row[0]: (row[1], row[2]) for row in best[[key, "accelerator_id", "share"]].itertuples(index=False)}
