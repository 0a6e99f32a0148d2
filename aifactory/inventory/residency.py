"""What keeping demand local costs: peaks of regions against the peak of their sum, in units, accelerators, money."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from aifactory.demand.profile import by_hour
from aifactory.inputs.billing import accelerator_charges
from aifactory.inputs.plan import Plan, Region
from aifactory.inputs.sites import sites_in
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.spend import USAGE, charged_rows

KEYS = ["use_case_id", "workload_class", "service_unit"]
#: More residency rules than this on one accelerator are not combined: constraints double with each.
MAX_RULES = 10
FLEET_COLUMNS = ["accelerator_id", "accelerators_paid", "accelerators_dedicated", "accelerators_in_region", "accelerators_by_latency",
                 "accelerators_by_rule", "accelerators_pooled", "usd_per_accelerator_month", "local_usd", "latency_usd", "residency_usd",
                 "bound_to", "too_far"]  # fmt: skip
LIMITS = ["slo_p95_ttft_ms", "slo_p95_e2e_ms"]
Reach = Mapping[tuple[str, str], frozenset[str]]


def hourly_demand(windows: pd.DataFrame, ws: Workspace) -> pd.DataFrame:
    """Service units per hour of the reporting month by use case and region, with class and unit."""
    first = pd.Timestamp(f"{ws.period}-01", tz="UTC")
    start = windows["window_start_utc"]
    month = windows[(start >= first) & (start < first + pd.offsets.MonthBegin())]
    hourly = by_hour(month).groupby(["use_case_id", "region", "hour"], as_index=False)["service_units"].sum()
    return hourly.merge(ws.table("use_cases")[KEYS], on="use_case_id")


def local_and_pooled(hourly: pd.DataFrame, use_cases: pd.DataFrame, reach: Reach | None = None) -> pd.DataFrame:
    """Peaks of each use case served from several regions: kept local, shared within its rules, shared freely.

    `sum_of_local_peaks_per_hour` adds the regions' own peaks, `allowed_peak_per_hour` is the least capacity that
    serves every hour while demand stays in its `allowed_regions` and within `reach` (see `latency_reach`; without
    one, all are in reach), `pooled_peak_per_hour` the peak of the sum, which knows neither rules nor ways.
    `difference_share` is what staying local costs where it need not: one less allowed over local. Peaks are those of
    whole hours; NaN with more than `MAX_RULES` different sets of regions.
    """
    local = hourly.groupby([*KEYS, "region"])["service_units"].max()
    pooled = hourly.groupby([*KEYS, "hour"])["service_units"].sum().groupby(KEYS).max()
    sums = local.groupby(KEYS).sum()
    table = pd.DataFrame(
        {
            "regions": local.groupby(KEYS).size(),
            "sum_of_local_peaks_per_hour": sums,
            "pooled_peak_per_hour": pooled,
        }
    ).reset_index()
    table = table[table["regions"] > 1].reset_index(drop=True)
    allowed = use_cases.set_index("use_case_id")["allowed_regions"]
    parts = dict(iter(hourly.groupby("use_case_id")))
    least = [_allowed_peak(parts[name], allowed, reach or {}) for name in table["use_case_id"]]
    # the bounds hold by theory; the solver ends within its tolerance of them
    bounds = table["pooled_peak_per_hour"], table["sum_of_local_peaks_per_hour"]
    table.insert(5, "allowed_peak_per_hour", pd.Series(least, dtype=float).clip(*bounds))
    table["difference_share"] = 1 - table["allowed_peak_per_hour"] / table["sum_of_local_peaks_per_hour"]
    return table


def _allowed_peak(load: pd.DataFrame, allowed: pd.Series, reach: Reach) -> float:
    """Least capacity of one use case within its rules and reach, in service units per hour."""
    near = _places(load, allowed, reach)
    return _confined(
        load, load["region"].map({region: places for (_, region), places in near.items()}), "service_units"
    )


def _places(load: pd.DataFrame, allowed: pd.Series, reach: Reach) -> dict[tuple[str, str], frozenset[str]]:
    """Regions that may serve each use case and region of origin of a load, within its rules and within reach."""
    regions = frozenset(load["region"])
    found = {}
    for use_case, origin in load[["use_case_id", "region"]].drop_duplicates().itertuples(index=False):
        rule = _rule(allowed.get(use_case), regions)
        near = (rule & reach.get((use_case, origin), regions)) | ({origin} & rule)
        found[use_case, origin] = near or rule
    return found


def price_local(table: pd.DataFrame, bill: pd.DataFrame, hours: float, partly: Collection[str] = ()) -> pd.DataFrame:
    """Accelerators and USD of the month behind each difference of `local_and_pooled`.

    Today's accelerators of a use case are its accelerator-hours in the bill over the hours of the month;
    capacity is taken to follow the peak, so that the share of the peak which sharing within rules and latency saves
    is the share of accelerators and of their cost. NaN where the bill names no accelerators for it, and for use
    cases that it charges `partly`: in some of their regions only, so that what the others hold is not known.
    """
    paid = accelerators_paid(bill, hours).groupby("use_case_id")[["accelerators", "usd"]].sum()
    mine = paid[~paid.index.isin(partly)].reindex(table["use_case_id"])
    return table.assign(
        accelerators_paid=mine["accelerators"].to_numpy(dtype=float),
        accelerators_local=mine["accelerators"].to_numpy(dtype=float) * table["difference_share"],
        local_usd=mine["usd"].to_numpy(dtype=float) * table["difference_share"],
    )


def _charged(hourly: pd.DataFrame, bill: pd.DataFrame, regions: Sequence[Region]) -> pd.Series:
    """Rows of the demand by hour in the regions that the accelerator charges of their use case name; all without regions."""
    if not regions:
        return pd.Series(data=True, index=hourly.index)
    return charged_rows(bill[accelerator_charges(bill)], hourly.rename(columns={"service_units": "units"}), regions)


def accelerators_paid(bill: pd.DataFrame, hours: float) -> pd.DataFrame:
    """Mean accelerators and USD by use case and accelerator in the usage rows of the bill that name both."""
    named = bill["cost_line"].isin(USAGE) & accelerator_charges(bill)
    usd = bill.loc[named, "EffectiveCost"].astype("float64")
    groups = bill[named].assign(usd=usd).groupby(["use_case", "accelerator_id"])
    table = groups[["accelerator_hours", "usd"]].sum().reset_index()
    table = table.rename(columns={"use_case": "use_case_id"})
    return table.assign(accelerators=table["accelerator_hours"] / hours)


def latency_reach(plan: Plan, use_cases: pd.DataFrame, regions: Iterable[str]) -> dict[tuple[str, str], frozenset[str]]:
    """Regions that may serve each use case and region of origin within its latency limits.

    The round trip may take `detour_share_of_slo` of the tightest limit (first token, whole answer); work without
    a limit bears any way, and a pair of regions whose round trip is not stated is too far for work with one. Work whose
    sites stand alone (column `sites`) is served by no other region.

    Returns
    -------
    Mapping from (use case, region) to regions, its own among them; only of work that stands alone where the plan states no latency at all.
    """
    places = sorted(set(regions))
    stated = use_cases.set_index("use_case_id").reindex(columns=["sites"])["sites"].dropna()
    alone = {
        (str(name), place): frozenset({place})
        for name, text in stated.items()
        for place in places
        if sites_in(text, place) > 1
    }
    if not plan.region_latency:
        return alone
    known = {frozenset(item.between): item.round_trip_ms for item in plan.region_latency}
    share = plan.value("detour_share_of_slo")
    tightest = use_cases.set_index("use_case_id").reindex(columns=LIMITS).min(axis=1)
    near = {
        (str(use_case), origin): frozenset(
            place
            for place in places
            if place == origin or np.isnan(limit) or known.get(frozenset((origin, place)), np.inf) <= share * limit
        )
        for use_case, limit in tightest.items()
        for origin in places
    }
    return near | alone


def pooled_fleet(
    hourly: pd.DataFrame,
    use_cases: pd.DataFrame,
    bill: pd.DataFrame,
    hours: float,
    reach: Reach | None = None,
    regions: Sequence[Region] = (),
) -> pd.DataFrame:
    """Accelerators of each type that the month's peaks need, the more the less may be shared.

    Every use case holds accelerators in proportion to its peaks in the regions of the plan that its charges for the
    accelerator name, as many together as are paid for today; they then follow its load hour by hour. `accelerators_dedicated` is their sum,
    `accelerators_in_region` the sum of the regions' peaks, `accelerators_by_rule` the least fleet that serves every
    hour while demand stays in its `allowed_regions`, `accelerators_by_latency` the same where demand also stays
    within `reach` (see `latency_reach`; without one, all are in reach), `accelerators_pooled` the peak of everything.
    In money: `local_usd` is what staying local costs beyond rules and latency, the gain of pooling; `latency_usd`
    what latency costs beyond the rules, `residency_usd` what the rules cost.
    """
    allowed = use_cases.set_index("use_case_id")["allowed_regions"]
    rows = []
    for accelerator, paid in accelerators_paid(bill, hours).groupby("accelerator_id"):
        mine = hourly[_charged(hourly, bill[bill["accelerator_id"] == accelerator], regions)]
        peaks = mine.groupby(["use_case_id", "region"])["service_units"].max().groupby(level=0).sum()
        held = paid.set_index("use_case_id")["accelerators"] / peaks
        load = mine.assign(accelerators=mine["service_units"] * mine["use_case_id"].map(held).astype(float))
        load = load.dropna(subset="accelerators")
        if load.empty:
            continue
        counted = paid[paid["use_case_id"].isin(load["use_case_id"])]
        rate = float(counted["usd"].sum() / counted["accelerators"].sum())
        rows.append(_fleet_row(str(accelerator), counted, load, allowed, rate, reach or {}))
    return pd.DataFrame(rows, columns=FLEET_COLUMNS)


def local_of(ws: Workspace, hourly: pd.DataFrame, bill: pd.DataFrame, hours: float) -> pd.DataFrame:
    """`local_and_pooled` of a workspace with its price, within its rules and the latency its plan states."""
    cases = ws.table("use_cases")
    table = local_and_pooled(hourly, cases, latency_reach(ws.plan, cases, hourly["region"]))
    unpaid = hourly.loc[~_charged(hourly, bill, ws.plan.regions), "use_case_id"]
    return price_local(table, bill, hours, set(unpaid))


def fleet_of(ws: Workspace, hourly: pd.DataFrame, bill: pd.DataFrame, hours: float) -> pd.DataFrame:
    """`pooled_fleet` of a workspace, within its rules and the latency its plan states."""
    cases = ws.table("use_cases")
    return pooled_fleet(hourly, cases, bill, hours, latency_reach(ws.plan, cases, hourly["region"]), ws.plan.regions)


def _fleet_row(
    name: str, paid: pd.DataFrame, load: pd.DataFrame, allowed: pd.Series, rate: float, reach: Reach
) -> dict[str, object]:
    regions = frozenset(load["region"])
    rules = {use_case: _rule(allowed.get(use_case), regions) for use_case in load["use_case_id"].unique()}
    near = _places(load, allowed, reach)
    shared = load.groupby("hour")["accelerators"].sum()
    in_region = load.groupby(["region", "hour"])["accelerators"].sum().groupby(level=0).max().sum()
    # the bounds hold by theory; the solver ends within its tolerance of them
    by_rule = min(max(_confined(load, load["use_case_id"].map(rules)), float(shared.max())), float(in_region))
    places = pd.Series([near[key] for key in zip(load["use_case_id"], load["region"], strict=True)], index=load.index)
    by_latency = min(max(_confined(load, places), by_rule), float(in_region))
    restricted = sorted(use_case for use_case, rule in rules.items() if rule != regions)
    far = sorted({use_case for (use_case, _), sets in near.items() if sets != rules[use_case]})
    return {
        "accelerator_id": name,
        "accelerators_paid": float(paid["accelerators"].sum()),
        "accelerators_dedicated": float(load.groupby(["use_case_id", "region"])["accelerators"].max().sum()),
        "accelerators_in_region": float(in_region),
        "accelerators_by_latency": by_latency,
        "accelerators_by_rule": by_rule,
        "accelerators_pooled": float(shared.max()),
        "usd_per_accelerator_month": rate,
        "local_usd": (float(in_region) - by_latency) * rate,
        "latency_usd": (by_latency - by_rule) * rate,
        "residency_usd": (by_rule - float(shared.max())) * rate,
        "bound_to": ", ".join(restricted),
        "too_far": ", ".join(far),
    }


def _confined(load: pd.DataFrame, places: pd.Series, column: str = "accelerators") -> float:
    """Least capacity for loads whose regions are given row by row."""
    rules = list(dict.fromkeys(places))
    code = places.map({rule: number for number, rule in enumerate(rules)}).rename("rule")
    sums = load.groupby([code, "hour"])[column].sum()
    return least_capacity({rule: sums.loc[number] for number, rule in enumerate(rules)})


def _rule(text: object, regions: frozenset[str]) -> frozenset[str]:
    """Regions that may serve a use case; all where no rule stands."""
    if not isinstance(text, str) or not text.strip():
        return regions
    return frozenset(part.strip() for part in text.split(";") if part.strip())


def least_capacity(confined: dict[frozenset[str], pd.Series]) -> float:
    """Least total capacity over regions that serves, in every hour, loads confined to sets of regions.

    A capacity c serves an hour if and only if, for every set of regions, the loads that must stay
    inside it do not exceed its capacity (Gale's condition for transport problems, 1957). Only unions of
    the given sets matter. So the answer is the linear programme

        minimise sum_r c_r   subject to   sum_{r in S} c_r >= max_hour (load confined to S).

    Parameters
    ----------
    confined : allowed regions -> load by hour. More than `MAX_RULES` different sets give NaN.

    >>> hours = ["08", "20"]
    >>> least_capacity({frozenset({"eu"}): pd.Series([5.0, 1.0], hours), frozenset({"eu", "us"}): pd.Series([1.0, 9.0], hours)})
    10.0
    """
    rules = sorted(confined, key=sorted)
    if not rules:
        return 0.0
    if len(rules) > MAX_RULES:
        return np.nan
    regions = sorted(frozenset().union(*rules))
    table = pd.DataFrame({place: confined[rule] for place, rule in enumerate(rules)}).fillna(0.0)
    unions = {frozenset().union(*some) for count in range(1, len(rules) + 1) for some in combinations(rules, count)}
    inside = [[place for place, rule in enumerate(rules) if rule <= union] for union in unions]
    need = [float(table[places].sum(axis=1).max()) for places in inside]
    matrix = np.array([[-1.0 if region in union else 0.0 for region in regions] for union in unions])
    solved = linprog(np.ones(len(regions)), A_ub=matrix, b_ub=-np.array(need), bounds=(0, None), method="highs")
    return round(float(solved.fun), 9)
