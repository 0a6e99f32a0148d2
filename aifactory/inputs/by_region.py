"""Use cases that may run on another platform in each region: `platform_by_region` of plan.yaml.

A use case has one platform. One that is listed there becomes a use case for each of its regions, `name.region`, as soon as a workspace
is read: what is measured, charged, expected and planned of it stands under these names from then on. Charges that name no region of
the plan keep the old name, and belong to no use case then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from aifactory.inputs.billing import plan_regions
from aifactory.inputs.plan import Plan
from aifactory.inputs.sites import sites_by_region

Tables = Mapping[str, pd.DataFrame]
#: Tables whose rows are of a region.
REGIONAL = ("demand_windows", "requests", "jobs", "latency_bounds", "latency_histograms", "tenant_usage")
USERS = "seats"
SHARE = "region_share"


def name_in(use_case: str, region: str) -> str:
    """Name of a use case in a region.

    >>> name_in("chat", "eu-west")
    'chat.eu-west'
    """
    return f"{use_case}.{region}"


def split_by_region(tables: Tables, plan: Plan) -> tuple[dict[str, pd.DataFrame], Plan]:
    """Tables and plan with a use case for each region of those that `platform_by_region` lists; the plan lists none then."""
    if not plan.platform_by_region:
        return dict(tables), plan
    regions = {name: _regions_of(name, tables, plan) for name in plan.platform_by_region}
    split = dict(tables)
    for table in REGIONAL:
        split[table] = _renamed(tables[table], tables[table]["region"], regions)
    bill = tables["billing"]
    split["billing"] = (
        _renamed(bill, plan_regions(bill, plan.regions), regions, column="use_case") if len(bill) else bill
    )
    split["use_cases"] = _use_cases(tables["use_cases"], regions)
    split["demand_chain"] = _chain(tables["demand_chain"], regions)
    split["benchmarks"] = _repeated(tables["benchmarks"], regions).pipe(_own_runs)
    split["demand_what_ifs"] = _repeated(tables["demand_what_ifs"], regions)
    return split, _plan(plan, regions)


def unplaced_charges(tables: Tables, plan: Plan) -> Iterator[tuple[str, str]]:
    """Listed use cases with charges that name no region of the plan, and what follows."""
    bill = tables["billing"]
    lost = bill[plan_regions(bill, plan.regions) == ""] if plan.platform_by_region and len(bill) else bill.iloc[:0]
    for name, rows in lost[lost["use_case"].isin(plan.platform_by_region)].groupby("use_case"):
        usd = rows["EffectiveCost"].astype("float64").sum()
        yield (
            name,
            f"{len(rows)} of its charges, USD {usd:,.0f} in all, name no region of plan.yaml: platform_by_region cannot place them, and no use case bears them",
        )


def under_old_names(table: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """A table of the names of `split_by_region` with those of the use cases as they are stated."""
    if not plan.platform_by_region or table.empty:
        return table
    old = {name_in(name, item.region): name for name in plan.platform_by_region for item in plan.regions}
    return table.assign(use_case_id=table["use_case_id"].replace(old))


def _regions_of(name: str, tables: Tables, plan: Plan) -> list[str]:
    """Regions of the plan in which a use case is asked for, else may be; all where neither is known."""

    def rows(table: str) -> pd.DataFrame:
        return tables[table][tables[table]["use_case_id"] == name]

    asked = {str(region) for table in REGIONAL[:3] for region in rows(table)["region"]}
    allowed = {part.strip() for text in rows("use_cases")["allowed_regions"].dropna() for part in text.split(";")}
    shared = set(rows("demand_chain")["region"].dropna())
    known = [item.region for item in plan.regions]
    return [region for region in known if region in (asked or shared or allowed or known)]


def _renamed(
    table: pd.DataFrame, region: pd.Series, regions: Mapping[str, list[str]], column: str = "use_case_id"
) -> pd.DataFrame:
    """Rows of the use cases under their name in their region; those of other regions as they are."""
    names = table[column].astype("object")
    mine = names.isin(list(regions))
    if not mine.any():
        return table
    new = [name_in(n, r) if r in regions[n] else n for n, r in zip(names[mine], region[mine].astype(str), strict=True)]
    names = names.copy()
    names[mine] = new
    return table.assign(**{column: names.astype(table[column].dtype)})


def _repeated(table: pd.DataFrame, regions: Mapping[str, list[str]]) -> pd.DataFrame:
    """Rows of the use cases once for each region, in their place."""
    if not table["use_case_id"].isin(list(regions)).any():
        return table
    rows = table.assign(at=table["use_case_id"].map(lambda name: regions.get(name, [""]))).explode(
        "at", ignore_index=True
    )
    split = rows["at"] != ""
    rows["use_case_id"] = rows["use_case_id"].where(~split, rows["use_case_id"] + "." + rows["at"])
    return rows


def _own_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that count in several regions, each under a name of its own."""
    if "at" not in runs:
        return runs
    split = runs["at"] != ""
    return runs.assign(benchmark_id=runs["benchmark_id"].where(~split, runs["benchmark_id"] + "." + runs["at"])).drop(
        columns="at"
    )


def _use_cases(cases: pd.DataFrame, regions: Mapping[str, list[str]]) -> pd.DataFrame:
    rows = _repeated(cases, regions)
    if "at" not in rows:
        return rows
    split = rows["at"] != ""
    sites = [_sites(text, region) if region else text for text, region in zip(rows["sites"], rows["at"], strict=True)]
    return rows.assign(
        name=rows["name"].where(~split, rows["name"] + " (" + rows["at"] + ")"),
        allowed_regions=rows["allowed_regions"].where(~split, rows["at"]),
        sites=pd.Series(sites, rows.index, dtype=rows["sites"].dtype),
    ).drop(columns="at")


def _sites(text: object, region: str) -> object:
    found = sites_by_region(text)
    return str(found.get(region, 1)) if isinstance(found, dict) else text


def _chain(chain: pd.DataFrame, regions: Mapping[str, list[str]]) -> pd.DataFrame:
    """Factors of each region: those of the whole, with its share of the users."""
    rows = _repeated(chain, regions)
    if "at" not in rows:
        return rows
    shares = chain[chain["factor"] == SHARE].set_index(["use_case_id", "region"])["value"].astype(float).to_dict()
    split = rows["at"] != ""
    rows = rows[~(split & (rows["factor"] == SHARE))]
    split = rows["at"] != ""
    base = [name.removesuffix(f".{region}") for name, region in zip(rows["use_case_id"], rows["at"], strict=True)]
    even = {name: 1.0 / len(found) for name, found in regions.items()}
    part = pd.Series(
        [shares.get((name, region), even.get(name, 1.0)) for name, region in zip(base, rows["at"], strict=True)],
        rows.index,
    )
    scaled = split & (rows["factor"] == USERS)
    ends = {end: rows[end].where(~scaled, rows[end].astype(float) * part) for end in ("value", "low", "high")}
    return rows.assign(**ends).drop(columns="at").reset_index(drop=True)


def _plan(plan: Plan, regions: Mapping[str, list[str]]) -> Plan:
    """What the plan says of a use case holds in each of its regions; what it says of the name in a region counts before that."""

    def names(listed: Iterable[str]) -> list[str]:
        return [
            new for name in listed for new in ([name_in(name, r) for r in regions[name]] if name in regions else [name])
        ]

    def by_name(stated: Mapping[str, object]) -> dict[str, object]:
        spread = {new: value for name, value in stated.items() for new in names([name])}
        return spread | {name: value for name, value in stated.items() if name not in regions}

    return plan.model_copy(update={
        "platform_by_region": [],  # done
        "launches": [item.model_copy(update={"use_case_id": new}) for item in plan.launches for new in names([item.use_case_id])],
        "ports_under_way": [item.model_copy(update={"use_case_id": new}) for item in plan.ports_under_way for new in names([item.use_case_id])],
        "baseline_accelerators": by_name(plan.baseline_accelerators),
        "required_frameworks": by_name(plan.required_frameworks),
        "restrictions": [item.model_copy(update={"use_cases": names(item.use_cases)}) for item in plan.restrictions],
        "hidden_costs": [item.model_copy(update={"use_cases": names(item.use_cases)}) for item in plan.hidden_costs],
    })  # fmt: skip
