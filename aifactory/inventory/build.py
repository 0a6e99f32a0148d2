"""Stage 1 in one call."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from aifactory.demand.events import past_departures, present_departures, unstated_peaks
from aifactory.demand.forecast import DemandScenarios, simulate_demand
from aifactory.demand.profile import hours_of_month
from aifactory.demand.scenario_inputs import DemandBasis
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import demand, findings, service, spend
from aifactory.inventory.basis import demand_basis
from aifactory.inventory.candidates import candidate_gaps, candidate_owners
from aifactory.inventory.chains import chain_table
from aifactory.inventory.drift import drift, token_growth
from aifactory.inventory.efficiency import prefix_reuse, retry_amplification
from aifactory.inventory.hosted_today import closed_today, hosted_findings, hosted_today, hosted_usage, stated_findings
from aifactory.inventory.overlap import find_overlaps
from aifactory.inventory.owners import coverage, filled_fields, no_owner_knows, owners_to_ask
from aifactory.inventory.questions import three_questions
from aifactory.inventory.residency import fleet_of, hourly_demand, local_of
from aifactory.inventory.retiring import retiring_findings, retiring_models
from aifactory.inventory.seasons import told_seasons, untested_seasons
from aifactory.inventory.tenants import tenant_concentration
from aifactory.inventory.today import untold_findings
from aifactory.inventory.waste import find_waste

RECONCILIATION_COLUMNS = ["line", "effective_cost", "billed_cost", "charges"]

SPEND_COLUMNS = ["dimension", "value", "effective_cost", "billed_cost", "accelerator_hours"]
MONTHLY_COLUMNS = ["month", "purchase_option", "effective_cost_usd"]


@dataclass(frozen=True)
class Inventory:
    """Result of the inventory: tables of the reporting month, and of all months where named so."""

    period: str
    use_cases: pd.DataFrame
    coverage: pd.DataFrame
    owners_to_ask: pd.DataFrame
    candidate_gaps: pd.DataFrame
    candidate_owners: pd.DataFrame
    three_questions: pd.DataFrame
    spend: pd.DataFrame
    spend_reconciliation: pd.DataFrame
    spend_monthly: pd.DataFrame
    accelerator_rate: pd.Series
    windows: pd.DataFrame
    demand_monthly: pd.DataFrame
    demand_profile: pd.DataFrame
    class_peaks: pd.DataFrame
    untested_seasons: list[str]
    drift: pd.DataFrame
    token_growth: pd.DataFrame
    demand_basis: DemandBasis
    scenarios: DemandScenarios
    chains: pd.DataFrame
    forecast: pd.DataFrame
    service_levels: pd.DataFrame
    failures_and_queues: pd.DataFrame
    size_tail: pd.DataFrame
    tenants: pd.DataFrame
    retries: pd.DataFrame
    prefix_reuse: pd.DataFrame
    pools: pd.DataFrame
    jobs: pd.DataFrame
    local_vs_pooled: pd.DataFrame
    pooled_fleet: pd.DataFrame
    waste: pd.DataFrame
    overlaps: pd.DataFrame
    retiring_models: pd.DataFrame
    hosted_today: pd.DataFrame
    gaps: list[findings.Finding]
    not_computed: list[str]


def build_inventory(ws: Workspace) -> Inventory:
    """Build the inventory of a workspace for its reporting month.

    Works with whatever tables there are; what is missing stands in `not_computed`. Raises
    `IdentityError` if a split of the bill does not add up to it.
    """
    bill = ws.table("billing")
    used, month = bill[bill["month"] == ws.period], bill[bill["invoice_month"] == ws.period]
    reconciliation = spend.reconcile(month) if len(month) else pd.DataFrame(columns=RECONCILIATION_COLUMNS)
    windows = demand.all_windows(ws)
    monthly = demand.demand_by_month(ws, windows)
    whole = demand.whole_months(ws, windows, monthly)
    profile, years = demand.profile_and_years(ws, windows, monthly)
    rate = spend.accelerator_rate(used)
    pools, levels = service.pool_summary(ws, rate, used), service.service_levels(ws, profile)
    cases, growth = _use_cases(ws, used, monthly), token_growth(ws, windows)
    hours, hourly = float(len(hours_of_month(ws.period))), hourly_demand(windows, ws)
    basis = demand_basis(ws, windows, years, profile, cases, growth)
    scenarios = simulate_demand(basis, ws.plan, ws.period)
    services, moved = service.failures_and_queues(ws, levels, profile), drift(ws, monthly)
    retiring, late = retiring_models(ws, used), _of_levels(ws, whole, basis, cases) + findings.late_usage(month)
    late += findings.failing(services) + findings.drifted(moved)
    hosted = hosted_today(ws, _units_hosted(ws, used, monthly), retiring)
    return Inventory(
        period=ws.period,
        use_cases=cases,
        **_asked(ws, cases, profile),
        three_questions=three_questions(ws, hourly, monthly, cases, profile, levels),
        spend=_spend(ws, month),
        spend_reconciliation=reconciliation,
        spend_monthly=spend.monthly_spend(bill) if len(bill) else pd.DataFrame(columns=MONTHLY_COLUMNS),
        accelerator_rate=rate,
        windows=windows,
        demand_monthly=monthly,
        demand_profile=profile,
        class_peaks=demand.class_peaks(ws, windows),
        untested_seasons=_not_told_of_seasons(ws, profile, whole, basis) + demand.lost_sentences(ws, windows),
        drift=moved,
        token_growth=growth,
        demand_basis=basis,
        scenarios=scenarios,
        chains=chain_table(ws, monthly, basis.size_growth),
        forecast=scenarios.frame,
        service_levels=levels,
        failures_and_queues=services,
        size_tail=service.size_tail(ws),
        tenants=tenant_concentration(ws, monthly),
        retries=retry_amplification(ws, monthly, cases),
        prefix_reuse=prefix_reuse(ws, monthly, cases),
        pools=pools,
        jobs=service.job_summary(ws, demand.relative_speed(ws, ws.table("jobs"))),
        local_vs_pooled=local_of(ws, hourly, used, hours),
        pooled_fleet=fleet_of(ws, hourly, used, hours),
        waste=find_waste(ws, used, pools, cases, profile),
        overlaps=find_overlaps(ws.table("use_cases"), used),
        retiring_models=retiring,
        hosted_today=hosted,
        gaps=findings.gaps(reconciliation, pools, levels, profile) + late + _of_models_and_log(ws, hosted, retiring),
        not_computed=findings.not_computed(ws),
    )


def _spend(ws: Workspace, month: pd.DataFrame) -> pd.DataFrame:
    if month.empty:
        return pd.DataFrame(columns=SPEND_COLUMNS)
    return spend.spend_by_dimension(spend.with_business_units(month, ws.table("use_cases")))


def _of_models_and_log(ws: Workspace, hosted: pd.DataFrame, retiring: pd.DataFrame) -> list[findings.Finding]:
    """Hosted models in use, those that end, use cases whose platform nobody told, and open entries of the decision log."""
    found = hosted_findings(hosted, closed_today(ws)) + stated_findings(ws) + untold_findings(ws)
    found += retiring_findings(retiring, ws.as_of)
    return found + findings.open_entries(ws.table("decisions"), ws.as_of)


def _asked(ws: Workspace, cases: pd.DataFrame, profile: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What is missing from whom, for use cases that go on and for candidates; lumpy training is measured between its jobs."""
    going = cases[~cases["use_case_id"].isin(ws.ended)]
    stated, unbilled = no_owner_knows(ws, going)
    filled = filled_fields(going, [*stated, *profile.loc[profile["lumpy"], "use_case_id"]], unbilled)
    return {
        "coverage": coverage(going, filled),
        "owners_to_ask": owners_to_ask(going, filled),
        "candidate_gaps": candidate_gaps(ws),
        "candidate_owners": candidate_owners(ws),
    }


def _not_told_of_seasons(ws: Workspace, profile: pd.DataFrame, monthly: pd.DataFrame, basis: DemandBasis) -> list[str]:
    served = monthly[monthly["service_unit"] != "accelerator_hour"]
    return (
        untested_seasons(profile, monthly, ws.period)
        + unstated_peaks(ws.plan, monthly, ws.period)
        + past_departures(ws.plan, served, ws.period, told_seasons(profile, basis.seasons))
    )


def _of_levels(ws: Workspace, monthly: pd.DataFrame, basis: DemandBasis, cases: pd.DataFrame) -> list[findings.Finding]:
    """Levels that all months to come are planned from, though they stand out from the months before, or were to be gone."""
    served = monthly[monthly["service_unit"] != "accelerator_hour"]
    told = present_departures(ws.plan, served, ws.period, told_seasons(basis.profile, basis.seasons))
    return [findings.Finding(findings.LEVEL, text) for text in told] + findings.outlived(cases, ws.period)


def _use_cases(ws: Workspace, bill: pd.DataFrame, monthly: pd.DataFrame) -> pd.DataFrame:
    """Catalogue of use cases with the month's volume, attributed cost and the cost of a unit, see `spend.charged_rows`.

    `units_charged` and `failed_share_charged` are units and failed share of the work that the attributed cost pays for.
    """
    table, here = ws.table("use_cases"), monthly[monthly["month"] == ws.period]
    charged = _month_sums(here[spend.charged_rows(bill, here, ws.plan.regions)]).reindex(table["use_case_id"])
    month = _month_sums(here).reindex(table["use_case_id"])
    charged, month = charged.set_axis(table.index), month.set_axis(table.index)
    cost = (
        table["use_case_id"].map(spend.use_case_cost(bill)) if len(bill) else pd.Series(float("nan"), index=table.index)
    )
    trains = table["service_unit"] == "accelerator_hour"
    return table.assign(
        units_month=month["units"],
        units_charged=charged["units"],
        failure_rate=month["errors"] / month["requests"],
        failed_work_share=_failed_share(month, trains),
        failed_share_charged=_failed_share(charged, trains),
        effective_cost_usd=cost.astype("float64"),
        usd_per_unit=(cost / charged["units"]).astype("float64"),
    )


def _units_hosted(ws: Workspace, bill: pd.DataFrame, monthly: pd.DataFrame) -> pd.Series:
    """Units of the month by use case in the regions that its charges for hosted models name."""
    return spend.units_charged(hosted_usage(bill), monthly[monthly["month"] == ws.period], ws.plan.regions)


def _month_sums(rows: pd.DataFrame) -> pd.DataFrame:
    """Units, requests, errors and failed units of the demand of a month by use case."""
    failed = (rows["units"] * rows["failed_work_share"]).where(rows["units"] > 0, 0.0)
    groups = rows.assign(failed=failed).groupby("use_case_id")
    return groups[["units", "requests"]].sum(min_count=1).join(groups[["errors", "failed"]].sum(skipna=False))


def _failed_share(month: pd.DataFrame, trains: pd.Series) -> pd.Series:
    """Failed share of the work: of accelerator-hours where it trains, else of requests."""
    return (month["errors"] / month["requests"]).mask(trains & (month["units"] > 0), month["failed"] / month["units"])
