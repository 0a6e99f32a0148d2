"""From tables to the drivers of a demand simulation: measured profiles, the plan's assumptions, demand chains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from aifactory.demand.chain_factors import adopting, factors, region_share, work_doubt
from aifactory.demand.events import comes_on_its_date, launch_factor
from aifactory.demand.growth import growth_is_stated, planned_growth
from aifactory.demand.lumps import at_level
from aifactory.demand.scenarios import WEEKS_PER_MONTH, YEAR, Launch, Settings, Spread, Workload
from aifactory.demand.season import YearSeason
from aifactory.demand.unit_size import Creep, widened
from aifactory.inputs.plan import Plan
from aifactory.units import HOURS_PER_MONTH, SCENARIOS

#: Months of data that the prior scatter of a month counts as.
NOISE_MONTHS = 12
#: Paths that scenarios are cut from, where memory holds them (`fitting_paths`).
PATHS = 4000


@dataclass(frozen=True)
class DemandBasis:
    """What is known of demand; only the first two are needed."""

    profile: pd.DataFrame  # one row per use case and region, see `aifactory.inventory`
    use_cases: pd.DataFrame
    usd_per_unit: pd.Series = field(default_factory=lambda: pd.Series(dtype="float64"))  # today's, by use case
    chain: pd.DataFrame | None = None  # table demand_chain
    what_ifs: pd.DataFrame | None = None  # table demand_what_ifs
    size_growth: Mapping[str, Creep] = field(default_factory=dict)  # growth of a unit's work, where it has tokens
    years: Mapping[tuple[str, str], YearSeason] = field(default_factory=dict)  # by use case and region
    seasons: Mapping[str, np.ndarray] = field(
        default_factory=dict
    )  # middle factor by calendar month, of a use case over its regions
    day_peaks: Mapping[tuple[str, str], np.ndarray] = field(
        default_factory=dict
    )  # highest day by calendar month over that of now, by use case and region, see `demand.day_peaks`
    weekly_units: Mapping[str, np.ndarray] = field(default_factory=dict)  # since launch, where a trend says little


def settings_of(plan: Plan, period: str, paths: int = PATHS) -> Settings:
    """Settings of a simulation that starts in the month after the period."""
    first = pd.Period(period, "M") + 1
    return Settings(
        months=plan.horizon_months,
        paths=paths,
        seed=plan.seed,
        correlation=plan.value("demand_correlation"),
        noise_memory=min(plan.value("demand_noise_memory"), 0.99),
        damping=spread_of(plan, "growth_damping"),
        delay=spread_of(plan, "launch_slip_months"),
        first_calendar_month=first.month,
    )


def spread_of(plan: Plan, name: str) -> Spread:
    """An assumption with its P10 and P90."""
    item = plan.assumptions[name]
    low, high = (item.value if edge is None else edge for edge in (item.low, item.high))
    return Spread(low, item.value, high)


def read_workloads(basis: DemandBasis, plan: Plan, period: str) -> tuple[list[Workload], tuple[str, ...]]:
    """Drivers of every use case with demand or with a demand chain, and the regions of their arrays."""
    measured = at_level(basis.profile)
    measured = measured[(measured["units_month"] > 0) | measured["lumpy"]]
    chains = factors(basis.chain)
    regions = tuple(sorted({*measured["region"], *(item.region for item in plan.regions)}))
    cases = basis.use_cases.set_index("use_case_id")
    found = []
    for name, rows in measured.groupby("use_case_id", sort=True):
        item = _measured(str(name), rows.set_index("region").reindex(regions), basis, plan, period)
        if name in chains and name in basis.weekly_units:
            share = item.level / item.level.sum()
            curve = adopting(chains[name], basis.weekly_units[name], share, 1 - _age(basis, name), plan.horizon_months)
            item = replace(
                item, adopting=curve, season=None, season_root=None
            )  # the curve holds the shape of its months
        found.append(_with_events(item, cases.loc[name], plan, period))
    for name, chain in sorted(chains.items()):
        if name in cases.index and name not in set(measured["use_case_id"]):
            start = cases.loc[name, "launch_month"]
            first = max(_months_after(period, start), 1) if isinstance(start, str) else 1
            share = region_share(chain, cases.loc[name, "allowed_regions"], regions)
            empty = Workload(name, np.zeros(len(regions)), Spread(0.0, 0.0, 0.0), np.zeros(len(regions)), _noise(np.full(len(regions), np.nan), 0, plan))  # fmt: skip
            item = replace(
                empty, adopting=adopting(chain, None, share, first, plan.horizon_months), **_stated_size(chain, plan)
            )
            found.append(_with_events(item, cases.loc[name], plan, period))
    return sorted(found, key=lambda item: item.name), regions


def _measured(name: str, rows: pd.DataFrame, basis: DemandBasis, plan: Plan, period: str) -> Workload:
    growth = rows["growth_per_month"].fillna(0.0).to_numpy(dtype=float)
    spread = [np.array([planned_growth(value, plan, which) for value in growth]) for which in SCENARIOS]
    doubt = rows.reindex(columns=["growth_log_sd"])["growth_log_sd"].to_numpy(dtype=float)
    doubt = np.hypot(_growth_doubt(doubt, plan), plan.value("growth_drift_sd"))
    scatter = rows.reindex(columns=["month_scatter"])["month_scatter"].to_numpy(dtype=float)
    months = rows["growth_months"].fillna(0).to_numpy(dtype=float)
    adoption = [plan.scenario(which).adoption for which in SCENARIOS]
    today = float(launch_factor(plan, name, pd.period_range(period, periods=1, freq="M"))[0])
    lumpy = rows["lumpy"].eq(True).to_numpy(dtype=bool)  # the level of lumps is without launches already
    return Workload(
        name=name,
        level=rows["units_per_hour_avg"].fillna(0.0).to_numpy(dtype=float)
        * HOURS_PER_MONTH
        / np.where(lumpy, 1.0, today),
        growth=Spread(*spread),
        growth_sd=doubt,
        noise_sd=_noise(scatter, months, plan),
        lumpy=lumpy if lumpy.any() else None,
        start=Spread(*adoption),
        **_size(name, basis, plan),
        **_season([basis.years.get((name, str(region))) for region in rows.index], pd.Period(period, "M").month - 1),
    )


def _season(years: list[YearSeason | None], now: int) -> dict[str, np.ndarray]:
    """Season of each region over that of today's month (0 January), with a root of its covariance; none where none has one."""
    if not any(years):
        return {}
    factor, root = np.ones((len(years), YEAR)), np.zeros((len(years), YEAR, YEAR))
    for place, year in enumerate(years):
        if year is not None:
            over = year.root()
            factor[place], root[place] = year.factor / year.factor[now], over - over[now]
    return {"season": factor, "season_root": root}


def _growth_doubt(measured: np.ndarray, plan: Plan) -> np.ndarray:
    """Doubt of today's growth a month: that of its trend, of an unknown one where there is none.

    A stated growth is a plan and no measurement: it is as doubtful as an unknown one, unless P10 and P90 are stated
    beside it, which then are its doubt. How far growth wanders from then on comes on top in every case.
    """
    stated, with_ends = growth_is_stated(plan)
    unknown = plan.value("unknown_growth_sd")
    if stated:
        return np.full(len(measured), 0.0 if with_ends else unknown)
    return np.where(np.isfinite(measured), measured, unknown)


def _size(name: str, basis: DemandBasis, plan: Plan) -> dict[str, float]:
    """Growth of a unit's work with its doubt; none of work that is not counted in tokens."""
    found = basis.size_growth.get(name)
    if found is None:
        return {}
    return {"size_growth": found.growth, "size_growth_sd": widened(found.log_sd, plan)}


def _noise(scatter: np.ndarray, months: np.ndarray | float, plan: Plan) -> np.ndarray:
    """Scatter about the trend: that of the data, shrunk towards the prior by its months."""
    seen = np.where(np.isfinite(scatter), months, 0.0)
    prior = plan.value("demand_noise_sd")
    return np.sqrt((seen * np.square(np.nan_to_num(scatter)) + NOISE_MONTHS * prior**2) / (seen + NOISE_MONTHS))


def _with_events(item: Workload, case: pd.Series, plan: Plan, period: str) -> Workload:
    """Launches and the end of a use case, in months after the period."""
    launches = [
        Launch(_months_after(period, event.month), event.demand_multiplier, slips=not comes_on_its_date(plan, event))
        for event in plan.launches
        if event.use_case_id == item.name
    ]
    ends = case["retire_month"]
    retires = _months_after(period, ends) if isinstance(ends, str) else None
    return replace(item, launches=tuple(launch for launch in launches if launch.month >= 1), retires=retires)


def _months_after(period: str, month: str) -> int:
    return (pd.Period(month, "M") - pd.Period(period, "M")).n


def _age(basis: DemandBasis, name: str) -> float:
    """Months since a young use case was launched, parts included: its weeks of data end with the period."""
    return len(basis.weekly_units[name]) / WEEKS_PER_MONTH


def _stated_size(chain: pd.DataFrame, plan: Plan) -> dict[str, float]:
    """Doubt of the work of a unit that only its chain describes, and of its growth; none without tokens."""
    found = work_doubt(chain)
    if found is None:
        return {}
    return {"size_sd": found, "size_growth_sd": widened(plan.value("unknown_size_growth_sd"), plan)}
