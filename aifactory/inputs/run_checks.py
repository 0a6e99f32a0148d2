"""What the rows of one thing have in common: load points of a run, months of an approved plan, orders and the pools they stand in."""

from __future__ import annotations

from collections.abc import Iterator

from aifactory.inputs.findings import Finding, Tables, rows_found
from aifactory.inputs.plan import Plan

#: What all load points of a run share.
OF_A_RUN = ("use_case_id", "accelerator_id", "accelerators", "replica_accelerators", "precision")
PLACE = ["region", "accelerator_id"]


def runs_of_one_kind(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Load points of a run are of one use case on one system, and a copy of the model fits into the system."""
    runs = tables["benchmarks"]
    for column in OF_A_RUN:
        first = runs.groupby("benchmark_id")[column].transform("first")
        other = runs[column].notna() & (runs[column] != first)
        rule = "differs from the other load points of this benchmark_id: give what was measured apart an id of its own"
        yield from rows_found(runs, other, "benchmarks", "runs_of_one_kind", "failed", column, rule)
    wide = runs["replica_accelerators"] > runs["accelerators"]
    rule = "is more than the accelerators under test: one copy of the model cannot take more"
    yield from rows_found(runs, wide, "benchmarks", "runs_of_one_kind", "failed", "replica_accelerators", rule, 1)


def one_approved_plan(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """The table of the approved plan holds one plan, which the refresh compares against."""
    plan = tables["approved_plan"]
    rule = "is another plan than the first row's: keep one, as `aifactory approve` writes it"
    other = plan["plan_period"] != plan["plan_period"].iloc[0]
    yield from rows_found(plan, other, "approved_plan", "one_approved_plan", "failed", "plan_period", rule)


def bands_have_plan(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Steps of capacity are of the approved plan: of another, the refresh would follow none and say nothing."""
    steps, known = tables["approved_bands"], set(tables["approved_plan"]["plan_period"])
    have = f"that table holds the plan of {min(known)}" if known else "that table is empty"
    rule = f"has no rows in approved_plan, so that no refresh follows this step; {have}: store both as `aifactory approve` writes them"
    other = ~steps["plan_period"].isin(known)
    yield from rows_found(steps, other, "approved_bands", "bands_have_plan", "warned", "plan_period", rule, 1)


def orders_within_pools(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Running orders are no more than the pools of their region and accelerator hold in the last month of readings."""
    book, pools = tables["commitments"], tables["pools"]
    if pools.empty:
        return
    month = pools["window_start_utc"].max().strftime("%Y-%m")
    here = pools[pools["window_start_utc"].dt.strftime("%Y-%m") == month]
    installed = here.groupby([*PLACE, "pool_id"])["installed"].max().groupby(level=[0, 1]).sum()
    ends = book["end_month"].fillna("9999-12")
    running = book[(book["start_month"] <= month) & (ends > month)]
    for place, rows in running.groupby(PLACE):
        held, seen = int(rows["accelerators"].sum()), installed.get(place)
        if seen is not None and held > seen:
            rule = (
                f"running orders hold {held:,} of it in {place[0]}, its pools {seen:,.0f} in {month}: "
                "a wrong number, an order that has ended, or a pool that is not read"
            )
            row = rows["accelerators"].idxmax()
            shown = str(book.loc[row, "accelerators"])
            yield Finding("commitments", "orders_within_pools", "warned", rule, int(row) + 2, "accelerators", shown)


def same_provider_region(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """A provider region belongs to one region of the plan where a bill names it; else its charges cannot be told apart."""
    named = set(tables["billing"]["RegionId"].dropna())
    owners: dict[str, list[str]] = {}
    for item in plan.regions:
        for place in set(item.provider_regions.values()) & named:
            owners.setdefault(place, []).append(item.region)
    for place, regions in sorted(owners.items()):
        if len(regions) > 1:
            rule = f"(plan.yaml) stands under {' and '.join(regions)}: charges there count in none of them"
            yield Finding("billing", "same_provider_region", "warned", rule, None, "provider_regions", place)


def price_matches_option(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A purchase has a price per accelerator and none per hour, everything else one per hour."""
    frame = tables["prices"]
    purchase = frame["purchase_option"] == "purchase"
    bad = (purchase & frame["usd_per_accelerator"].isna()) | (~purchase & frame["usd_per_accelerator_hour"].isna())
    rule = "a purchase needs usd_per_accelerator, every other option usd_per_accelerator_hour"
    yield from rows_found(frame, bad, "prices", "price_matches_option", "failed", "purchase_option", rule)
    both = purchase & frame["usd_per_accelerator_hour"].notna() & ~bad
    rule = "a purchase has no price an hour: give rent as an offer of its own, on_demand or lease"
    yield from rows_found(frame, both, "prices", "price_matches_option", "failed", "usd_per_accelerator_hour", rule)
