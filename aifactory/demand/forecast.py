"""Demand over the horizon: conservative, expected and aggressive cuts of one simulation, as tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.demand.chain_factors import adoption_basis, factors
from aifactory.demand.day_peaks import peaks_over
from aifactory.demand.growth import damped_factors, planned_growth, scenario_growth
from aifactory.demand.lumps import at_level
from aifactory.demand.month_trend import TOLD
from aifactory.demand.profile import SHORT_TREND, kept_share
from aifactory.demand.scenario_cuts import LEVELS, Cuts, cut_paths, groups_of_paths
from aifactory.demand.scenario_inputs import PATHS, DemandBasis, read_workloads, settings_of
from aifactory.demand.scenarios import Paths, Workload, drawn_as, fitting_paths, simulate_paths
from aifactory.demand.what_ifs import multipliers
from aifactory.inputs.plan import Plan
from aifactory.units import HOURS_PER_MONTH, SCENARIOS, percent

__all__ = ["DemandScenarios", "damped_factors", "forecast_demand", "scenario_growth", "simulate_demand"]
KEYS = ["use_case_id", "workload_class", "region", "service_unit"]
#: `season_peak` is in `units_per_hour_peak`: the highest day of the month over that of now, see `demand.day_peaks`. `units_p10` and `units_p90` are those of the cell alone: wider than its part of a cut, and not to be added.
FORECAST_COLUMNS = [
    "scenario",
    "month",
    *KEYS,
    "units",
    "units_per_hour_avg",
    "units_per_hour_peak",
    "season_peak",
    "size",
    "units_p10",
    "units_p90",
    "growth_source",
]
QUANTILES = ["p10", "p50", "p90"]
GROUP_COLUMNS = ["workload_class", "region", "month", *QUANTILES]
WHAT_IF_COLUMNS = ["scenario", "month", *QUANTILES, "expected_without"]
USD, RELATIVE = "USD a month at today's cost of a unit", "times today's demand, mean over use cases"


@dataclass(frozen=True)
class DemandScenarios:
    """Result of a demand simulation over the horizon."""

    frame: pd.DataFrame  # columns FORECAST_COLUMNS; in each scenario and month the cells add up to the cut
    total: pd.DataFrame  # month and the total of each scenario, in `unit`
    groups: pd.DataFrame  # P10, P50, P90 of each class in each region relative to today; not to be added
    use_cases: pd.DataFrame  # P10, P50, P90 of each use case over its regions, units a month; not to be added
    adopting: tuple[str, ...]  # use cases that follow an adoption curve
    what_ifs: pd.DataFrame  # P10, P50, P90 of the total under each named scenario, relative to today
    today: float  # the total today
    unit: str  # of the total
    paths: int
    uncounted: tuple[str, ...]  # use cases without a known cost, which do not move the total


def forecast_demand(demand_profile: pd.DataFrame, use_cases: pd.DataFrame, plan: Plan, period: str) -> pd.DataFrame:
    """Frame of `simulate_demand` from profiles alone."""
    return simulate_demand(DemandBasis(demand_profile, use_cases), plan, period).frame


def simulate_demand(basis: DemandBasis, plan: Plan, period: str, paths: int = PATHS) -> DemandScenarios:
    """Simulate demand over the plan's horizon and cut it at P10, P50 and P90 of its total.

    Levels are averages per hour today x 730 h, a twelfth of a year; of a month observed in part they stand for
    a whole one. Growth is measured; the plan's three scenarios say at which share of it, or at which rate, P10,
    P50 and P90 lie, its `adoption` which share of the level stays. The peak keeps its measured ratio to the
    average; of a use case without history it is the median ratio of its class. The total counts every unit at
    today's cost, or, where no cost is known, every use case relative to its own level.

    See `aifactory.demand.scenarios` for the model and `aifactory.demand.scenario_cuts` for the cuts.
    """
    workloads, regions = read_workloads(basis, plan, period)
    months = [str(pd.Period(period, "M") + step) for step in range(1, plan.horizon_months + 1)]
    paths = fitting_paths(paths, len(workloads), len(regions), len(months))
    if not workloads:
        return _nothing()
    found = simulate_paths(workloads, regions, settings_of(plan, period, paths))
    weight, unit = total_weights(workloads, found, basis)
    cuts = cut_paths(found, weight)
    today = float((weight * np.array([item.level for item in workloads])).sum())
    unknown = [item.name for item, row in zip(workloads, weight, strict=True) if not row.any()]
    return DemandScenarios(
        frame=_frame(cuts, workloads, regions, months, basis, plan),
        total=pd.DataFrame({"month": months, **dict(zip(SCENARIOS, cuts.total, strict=True))}),
        groups=_groups(found, workloads, weight, months, basis),
        use_cases=_use_cases(cuts, found, months),
        adopting=tuple(item.name for item in workloads if item.adopting is not None),
        what_ifs=_what_ifs(found, weight, cuts, today, months, basis),
        today=today,
        unit=unit,
        paths=paths,
        uncounted=tuple(unknown),
    )


def _nothing() -> DemandScenarios:
    empty = {
        "frame": FORECAST_COLUMNS,
        "total": ["month", *SCENARIOS],
        "groups": GROUP_COLUMNS,
        "use_cases": ["use_case_id", "month", *QUANTILES],
        "what_ifs": WHAT_IF_COLUMNS,
    }
    frames = {name: pd.DataFrame(columns=columns) for name, columns in empty.items()}
    return DemandScenarios(**frames, adopting=(), today=0.0, unit=RELATIVE, paths=0, uncounted=())


def total_weights(workloads: list[Workload], found: Paths, basis: DemandBasis) -> tuple[np.ndarray, str]:
    """Weight of a unit of each cell in the total, [W, R], and the unit of the total.

    Use cases without a known cost per unit weigh nothing, if any cost is known. One that is planned region by region weighs in each
    what it costs over all of them, so that planning it so moves no scenario.
    """
    names = [item.name for item in workloads]
    whole = [drawn_as(name, names, found.regions) for name in names]
    rows = pd.DataFrame(
        {
            "usd": basis.usd_per_unit.reindex(names).to_numpy(dtype=float),
            "units": [item.level.sum() for item in workloads],
        }
    )
    rows = rows.assign(cost=rows["usd"] * rows["units"], units=rows["units"].where(rows["usd"].notna()))
    sums = rows.groupby(whole)[["cost", "units"]].transform("sum")
    several = pd.Series(whole).duplicated(keep=False) & (sums["units"] > 0)
    usd = rows["usd"].mask(several, sums["cost"] / sums["units"]).to_numpy(copy=True)
    known = np.isfinite(usd) & (usd > 0)
    if known.any() and (found.units[:, known] > 0).any():
        return np.repeat(np.where(known, usd, 0.0)[:, None], len(found.regions), axis=1), USD
    level = np.array([item.level.sum() for item in workloads])
    level = np.where(level > 0, level, found.units.sum(axis=2).mean(axis=(0, 2)))
    share = np.divide(1 / len(level), level, out=np.zeros_like(level), where=level > 0)
    return np.repeat(share[:, None], len(found.regions), axis=1), RELATIVE


def _frame(
    cuts: Cuts, workloads: list[Workload], regions: tuple[str, ...], months: list[str], basis: DemandBasis, plan: Plan
) -> pd.DataFrame:
    about = basis.use_cases.set_index("use_case_id")[["workload_class", "service_unit"]]
    profile = at_level(basis.profile)
    measured, peaks = profile.set_index(["use_case_id", "region"]), _peaks(profile)
    parts = []
    for w, item in enumerate(workloads):
        kind = about.loc[item.name]
        for r in np.flatnonzero(cuts.cell_units[-1, w].sum(axis=-1) > 0):
            place = (item.name, regions[r])
            ratio = measured["peak_to_average"].get(place, np.nan)
            ratio = peaks.get(kind["workload_class"], peaks["all"]) if np.isnan(ratio) else ratio
            season = peaks_over(basis.day_peaks, place, pd.PeriodIndex(months, freq="M"))
            keys = dict(zip(KEYS, (item.name, kind["workload_class"], regions[r], kind["service_unit"]), strict=True))
            for level, scenario in enumerate(SCENARIOS):
                units = cuts.units[level, w, r]
                average = units / HOURS_PER_MONTH
                columns = {
                    "units": units,
                    "units_per_hour_avg": average,
                    "units_per_hour_peak": average * ratio * season,
                    "season_peak": season,
                    "size": np.divide(cuts.work[level, w, r], units, out=np.ones_like(units), where=units > 0),
                    "units_p10": cuts.cell_units[0, w, r],
                    "units_p90": cuts.cell_units[-1, w, r],
                    "growth_source": _growth_source(item, measured, place, scenario, basis, plan),
                }
                parts.append(pd.DataFrame({"scenario": scenario, "month": months, **keys, **columns}))
    order = {name: place for place, name in enumerate(SCENARIOS)}
    frame = pd.concat(parts, ignore_index=True)[FORECAST_COLUMNS]
    return frame.sort_values("scenario", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def _peaks(profile: pd.DataFrame) -> dict[str, float]:
    """Median ratio of peak to average by class, and over all, 1 where nothing is measured."""
    ratios = profile[profile["peak_to_average"].notna()]
    found = ratios.groupby("workload_class")["peak_to_average"].median().to_dict()
    return found | {"all": float(ratios["peak_to_average"].median()) if len(ratios) else 1.0}


def _growth_source(
    item: Workload, measured: pd.DataFrame, place: tuple[str, str], scenario: str, basis: DemandBasis, plan: Plan
) -> str:
    if item.adopting is not None:
        return adoption_basis(factors(basis.chain)[item.name], basis.weekly_units.get(item.name))
    row = measured.loc[place]
    chosen = plan.scenario(scenario)
    growth = planned_growth(
        0.0 if np.isnan(row["growth_per_month"]) else float(row["growth_per_month"]), plan, scenario
    )
    if chosen.monthly_growth is not None:
        return f"{100 * growth:+.1f} % a month, set in plan.yaml"
    if plan.scenario("expected").monthly_growth is not None:
        return f"{100 * growth:+.1f} % a month: that set in plan.yaml for the expected scenario, adjusted"
    if np.isnan(row["growth_per_month"]):
        return f"level kept: {row['growth_months']} months are too few for a trend"
    kept = kept_share(row["growth_log_sd"], plan.value("unknown_growth_sd"))
    short = f" ({percent(kept)} of it kept: short)" if kept < SHORT_TREND else ""
    lumps = (
        f" about the mean of {row['growth_months']} months, as jobs come in lumps" if row.get("lumpy", False) else ""
    )
    chances = {"a lasting step of the level": row.get("growth_step", 0.0), "a season of the year": row.get("growth_season", 0.0)}  # fmt: skip
    apart = [f"{what} ({percent(chance)} likely)" for what, chance in chances.items() if chance >= TOLD]
    set_apart = f" about {' and '.join(apart)}" if apart else short
    return f"{100 * growth:+.1f} % a month at the start{lumps}: trend of {row['growth_months']} months{set_apart}, adjusted for the scenario"


def _groups(
    found: Paths, workloads: list[Workload], weight: np.ndarray, months: list[str], basis: DemandBasis
) -> pd.DataFrame:
    """Bands of each class in each region, relative to today; a cell without cost counts as the mean of those with one, all alike where none has."""
    kind = basis.use_cases.set_index("use_case_id")["workload_class"]
    level = np.array([item.level for item in workloads])
    rows = []
    for name in dict.fromkeys(kind[item.name] for item in workloads):
        for r, region in enumerate(found.regions):
            inside = np.array([kind[item.name] == name for item in workloads])[:, None] & np.eye(len(found.regions), dtype=bool)[r] & (level > 0)  # fmt: skip
            if not inside.any():
                continue
            cost = np.where(inside & (weight > 0), weight * level, 0.0)
            usual = cost[cost > 0].mean() if cost.any() else 1.0
            own = np.divide(usual, level, out=np.zeros_like(level), where=inside)
            counted = np.where(cost > 0, weight, own)
            path = groups_of_paths(found.work, counted[None])[:, 0] / (counted * level).sum()
            parts = dict(zip(QUANTILES, np.quantile(path, LEVELS, axis=0), strict=True))
            rows.append(pd.DataFrame({"workload_class": name, "region": region, "month": months, **parts}))
    return pd.concat(rows, ignore_index=True)[GROUP_COLUMNS] if rows else pd.DataFrame(columns=GROUP_COLUMNS)


def _use_cases(cuts: Cuts, found: Paths, months: list[str]) -> pd.DataFrame:
    """Bands of each use case over all its regions."""
    bands = np.quantile(found.units.sum(axis=2), cuts.levels, axis=0)
    keys = pd.MultiIndex.from_product([found.workloads, months], names=["use_case_id", "month"]).to_frame(index=False)
    return keys.assign(**{name: band.ravel() for name, band in zip(QUANTILES, bands, strict=True)})


def _what_ifs(
    found: Paths, weight: np.ndarray, cuts: Cuts, today: float, months: list[str], basis: DemandBasis
) -> pd.DataFrame:
    rows = []
    unit = today if today > 0 else 1.0
    kind = basis.use_cases.set_index("use_case_id")["workload_class"]
    for name, factor in multipliers(basis.what_ifs, found.workloads, kind, found.regions, months).items():
        total = np.einsum("swrt,wr,wrt->st", found.work, weight, factor)
        parts = dict(zip(QUANTILES, np.quantile(total, cuts.levels, axis=0) / unit, strict=True))
        rows.append(
            pd.DataFrame({"scenario": name, "month": months, **parts, "expected_without": cuts.total[1] / unit})
        )
    return pd.concat(rows, ignore_index=True)[WHAT_IF_COLUMNS] if rows else pd.DataFrame(columns=WHAT_IF_COLUMNS)
