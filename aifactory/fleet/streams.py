"""Demand streams: one use case in one region on its chosen accelerator, month by month.

Index 0 of every time axis is the period of the report (what was measured), index t the t-th month
after it. Scenarios are in the order of `aifactory.units.SCENARIOS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from aifactory.demand.lumps import at_level
from aifactory.demand.reserve_money import failure_factor
from aifactory.finance.unit_cost import load_factor
from aifactory.fleet.allowed_wait import (
    LATENCY_LIMITS,
    TRAINING_CLASSES,
    WAIT_LIMIT,
    allowed_wait,
    headroom,
    is_movable,
    spread_round,
)
from aifactory.fleet.stand_in import ANY_CLASS, stand_in_shapes
from aifactory.fleet.widths import Widths, no_widths, widths_of
from aifactory.inputs.plan import Plan
from aifactory.inputs.sites import sites_in
from aifactory.serving.staffing import chance_factor
from aifactory.units import HOURS_PER_DAY, HOURS_PER_MONTH, SCENARIOS, SECONDS_PER_HOUR, three_digits

KEY = ["use_case_id", "region"]
ABOUT_POOLS = ["accelerators_per_node", "largest_slice", "tdp_w", "platform_class", "vendor"]
CAPACITY_COLUMNS = [
    "units_per_s_per_accelerator", "low", "high", "tier", "measured_failure_rate", "replica_accelerators",
]  # fmt: skip
#: What chance rests on; a table of capacities without them holds for even loads only.
CHANCE_COLUMNS = ["in_progress_per_accelerator", "spread_constant", "binding_slo", "chance_basis"]
#: Columns of the forecast that streams read month by month.
FORECAST = ["units", "size", "units_p10", "units_p90"]
EXPECTED = SCENARIOS.index("expected")
NOT_SIZED = [*KEY, "service_unit", "units_month", "units_most", "month_most", "reason"]
NO_PLATFORM = "no accelerator chosen in the shortlist"
STATED_ONLY = "nothing was measured and no demand chain is given, its owner states a volume"


@dataclass(frozen=True)
class Streams:
    """Arrays over S scenarios, T + 1 months, K streams, P pools and H hours of the period."""

    table: pd.DataFrame  # K rows: use case, region, accelerator, and what each stream needs
    pools: pd.DataFrame  # P rows: region, accelerator_id and `ABOUT_POOLS`
    months: tuple[str, ...]
    units: np.ndarray  # [S, T + 1, K] service units a month
    reserve: np.ndarray  # [T + 1, K] share added to the peak of a stream
    rule: np.ndarray  # [T + 1, K] the same by the plan's fixed ratios (the article's 20 % and 40 %)
    shape: np.ndarray  # [K, H] hourly load relative to its mean
    not_sized: pd.DataFrame  # demand without capacity, see `_not_sized`
    size: np.ndarray  # [T + 1, K] work of a unit relative to today, expected scenario (see `of_scenario`)
    scenario_size: np.ndarray  # [S, T + 1, K] the same in every scenario
    band: np.ndarray  # [2, T + 1, K] P10 and P90 of the units of each stream alone: not to be added
    chance: (
        np.ndarray
    )  # [T + 1, K] accelerators that keep the SLO though requests come by chance, over those of an even load
    share: (
        np.ndarray
    )  # [T + 1, K] part of a use case in a region that runs on this accelerator; it is in units and band
    widths: Widths  # of the jobs of work that can wait
    season_peak: (
        np.ndarray
    )  # [T + 1, K] highest day of the month over that of now; 1 for work that waits longer than a day

    @cached_property
    def pool(self) -> np.ndarray:
        """Pool of each stream, [K]."""
        return self.table["pool"].to_numpy()

    @cached_property
    def reach(self) -> np.ndarray:
        """[K, H] load of each hour in its busiest window over that of the mean hour."""
        return self.shape * self.table["peak_factor"].to_numpy()[:, None]

    @property
    def highest(self) -> np.ndarray:
        """[T + 1, K] load of the busiest window of each month over that of its mean hour."""
        return self.reach.max(axis=1, initial=1.0) * self.season_peak

    @cached_property
    def waits(self) -> np.ndarray:
        """[K] work that fills the nodes which other work of the pool leaves idle: not where each site stands alone."""
        return self.table["movable"].to_numpy(dtype=bool) & (self.table["sites"].to_numpy() <= 1)

    @cached_property
    def site_terms(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sites, accelerators of a node and share for failures of each stream, [K] each: what `held_in_sites` asks for."""
        size = self.pools["accelerators_per_node"].fillna(1).to_numpy(dtype=float)[self.pool]
        return self.table["sites"].to_numpy(), size, self.table["spare"].to_numpy(dtype=float)

    def accelerators(self, units: np.ndarray) -> np.ndarray:
        """Average accelerators at work, failed work included, for units [..., K] of today's size."""
        per_hour = self.table["units_per_s_per_accelerator"].to_numpy() * SECONDS_PER_HOUR
        return units * self.table["load_factor"].to_numpy() / (per_hour * HOURS_PER_MONTH)

    def sized(self, units: np.ndarray) -> np.ndarray:
        """Average accelerators at work for the units of each month, [..., T + 1, K]: units grow in size."""
        return self.accelerators(units * self.size)

    @property
    def today_units(self) -> np.ndarray:
        """Units of the period in every month, [T + 1, K], where they are served in that month; none after its last expected work."""
        mean = self.share[1:].mean(axis=0)
        retired = ~np.logical_or.accumulate(self.units[EXPECTED][::-1] > 0)[::-1]
        retired[0] = False
        return self.table["units_month"].to_numpy() / np.where(mean > 0, mean, 1.0) * np.where(retired, 0.0, self.share)

    @property
    def main(self) -> np.ndarray:
        """[K] rows that serve most of their use case in their region: all where none is served on two accelerators."""
        most = pd.Series(self.share.sum(axis=0)).groupby([self.table[name].to_numpy() for name in KEY])
        return most.rank(method="first", ascending=False).to_numpy() == 1

    def take(self, rows: Sequence[int]) -> Streams:
        """Some streams in the order of `rows`; the pools stay all."""
        rows = list(rows)
        return replace(
            self, table=self.table.iloc[rows].reset_index(drop=True), units=self.units[:, :, rows],
            reserve=self.reserve[:, rows], rule=self.rule[:, rows], shape=self.shape[rows], size=self.size[:, rows],
            scenario_size=self.scenario_size[:, :, rows], chance=self.chance[:, rows], band=self.band[:, :, rows], share=self.share[:, rows],
            widths=self.widths.take(rows), season_peak=self.season_peak[:, rows],
        )  # fmt: skip

    def of_scenario(self, index: int) -> Streams:
        """The same streams with units as large as in one scenario: what `sized` then counts is its work."""
        return replace(self, size=self.scenario_size[index])

    def of_today(self) -> Streams:
        """The same streams with units that stay as large as today, in fleets as large as today's."""
        return replace(self, size=np.ones_like(self.size), chance=np.repeat(self.chance[:1], len(self.chance), axis=0))


def month_labels(period: str, months: int) -> tuple[str, ...]:
    """Return the period and the months after it.

    >>> month_labels("2026-11", 2)
    ('2026-11', '2026-12', '2027-01')
    """
    return tuple(str(pd.Period(period, "M") + step) for step in range(months + 1))


def build_streams(
    plan: Plan,
    period: str,
    *,
    forecast: pd.DataFrame,
    demand_profile: pd.DataFrame,
    tokens: pd.DataFrame,
    use_cases: pd.DataFrame,
    accelerators: pd.DataFrame,
    choice: pd.DataFrame,
    capacity: pd.DataFrame,
    shapes: Mapping[tuple[str, str], np.ndarray],
    capacity_over_average: Mapping[tuple[str, str], float | np.ndarray] | None = None,
    jobs: pd.DataFrame | None = None,
) -> Streams:
    """Join demand, choice and measured capacity; say which demand cannot be sized, and why.

    `tokens` holds input, cached and output tokens of the period by use case and region, `shapes`
    the hourly load of the period; streams to come take that of a measured stream of their class (`fleet.stand_in`), others
    without one are taken as flat. `capacity_over_average` is the hourly capacity of each stream over its average that
    its reserve asks for, the same in all months or one for each, [T + 1]; streams and months without one take the plan's
    fixed ratio over their peak. `jobs` are those of the period: how wide they are.
    """
    months = month_labels(period, plan.horizon_months)
    wanted = _wanted(forecast, demand_profile, use_cases, choice, capacity)
    sized = wanted["reason"] == ""
    not_sized = _not_sized(wanted[~sized], forecast, use_cases)
    table = wanted[sized].sort_values(["region", "accelerator_id", "use_case_id"]).reset_index(drop=True)
    table = _with_work(table, tokens)
    held = table["in_progress_per_accelerator"].astype(float)
    table["in_progress_per_accelerator"] = held.mask(
        table["wait_hours"] > 1
    )  # a queue of hours takes what chance brings
    pools = table[["region", "accelerator_id"]].drop_duplicates().reset_index(drop=True)
    about = accelerators.set_index("accelerator_id").reindex(columns=ABOUT_POOLS)
    pools = pools.join(about, on="accelerator_id")
    places = pd.MultiIndex.from_frame(pools[["region", "accelerator_id"]])
    table["pool"] = places.get_indexer(pd.MultiIndex.from_frame(table[["region", "accelerator_id"]]))
    kinds = use_cases.set_index("use_case_id")["workload_class"].to_dict()
    shape = _shapes(table, shapes, stand_in_shapes(shapes, kinds, TRAINING_CLASSES))
    table["peak_factor"] = _peak_factor(table, forecast, shape)
    table["spare"] = failure_factors(table, plan)
    rule = _rule(table, plan, months)
    reserve = _reserve(table, rule, shape, capacity_over_average or {}, launch_months(table, plan, months))
    monthly = _by_month(table, forecast, months)
    units, size = monthly["units"], monthly["size"]
    band = [monthly[name][EXPECTED] for name in ("units_p10", "units_p90")]
    streams = Streams(
        table, pools, months, units, reserve, rule, shape, not_sized, size[EXPECTED], size, np.array(band),
        np.ones_like(size[EXPECTED]), np.ones_like(size[EXPECTED]), _widths(table, jobs), _season_peak(table, forecast, months),
    )  # fmt: skip
    streams = replace(streams, chance=chance_of(streams))
    return replace(streams, reserve=reserve + (failure_factors(table, plan) - 1.0) * (1.0 + reserve))


def _widths(table: pd.DataFrame, jobs: pd.DataFrame | None) -> Widths:
    """Widths of jobs of work that can wait; what cannot is held by its peak hour."""
    if jobs is None or jobs.empty:
        return no_widths(len(table))
    found = widths_of(jobs, table)
    return replace(found, share=found.share * table["movable"].to_numpy(dtype=float)[:, None])


def failure_factors(table: pd.DataFrame, plan: Plan) -> np.ndarray:
    """Capacity over need of each stream so that its pools but one hold it, [K]; 1 where none are stated, or work waits or is jobs.

    Chance is that of the pools that are left: their fleet is the one without these spares.
    """
    pools = table["criticality"].map(plan.failure_domains)
    factor = np.array([failure_factor(int(count)) if count > 0 else 1.0 for count in pools])
    jobs = table["workload_class"].isin(TRAINING_CLASSES)
    return np.where(table["movable"] | jobs, 1.0, factor)


def _wanted(forecast, demand_profile, use_cases, choice, capacity) -> pd.DataFrame:  # noqa: ANN001
    """Every use case and region with demand, with its accelerator, capacity or the reason why not."""
    keys = pd.concat([forecast[KEY], demand_profile[KEY]]).drop_duplicates()
    about = ["use_case_id", "workload_class", "service_unit", "criticality", "request_pattern", "allowed_regions"]
    about += ["business_unit", "team", "owner_role", "model", "value_usd_per_unit", "attribution_share", "sites"]
    wanted = [*about, *LATENCY_LIMITS, WAIT_LIMIT]
    rows = keys.merge(use_cases.reindex(columns=wanted), on="use_case_id", how="inner")
    rows["sites"] = [sites_in(text, region) for text, region in zip(rows["sites"], rows["region"], strict=True)]
    measured = ["units_month", "units_per_hour_avg", "failure_rate"]
    failed = demand_profile.get("failed_work_share", demand_profile["failure_rate"])  # of jobs by their hours
    level = at_level(demand_profile).assign(failure_rate=failed)
    rows = rows.merge(level[[*KEY, *measured, "observed_share"]], on=KEY, how="left")
    rows = rows.fillna(dict.fromkeys(measured, 0.0))
    rows = rows.merge(choice[["use_case_id", "accelerator_id"]], on="use_case_id", how="left")
    found = capacity.rename(columns={"failure_rate": "measured_failure_rate"})
    found = found.reindex(columns=["use_case_id", "accelerator_id", *CAPACITY_COLUMNS, *CHANCE_COLUMNS])
    rows = rows.merge(found, on=["use_case_id", "accelerator_id"], how="left")
    chosen = rows["accelerator_id"].notna() & (rows["accelerator_id"] != "")
    known = rows["units_per_s_per_accelerator"] > 0
    reason = np.where(known, "", "capacity of the chosen accelerator unknown: benchmark first")
    return rows.assign(reason=np.where(chosen, reason, NO_PLATFORM))


def _not_sized(rows: pd.DataFrame, forecast: pd.DataFrame, use_cases: pd.DataFrame) -> pd.DataFrame:
    """Demand that the plan does not cover: today's, the highest of the expected scenario with its month, and the reason.

    Use cases that only their owner's word speaks for (nothing measured, no demand chain) stand at the end.
    """
    expected = forecast[forecast["scenario"] == "expected"]
    top = expected.sort_values("units", ascending=False, kind="stable").drop_duplicates(KEY)
    top = top[[*KEY, "units", "month"]].rename(columns={"units": "units_most", "month": "month_most"})
    left = rows[[*KEY, "service_unit", "units_month", "reason"]].merge(top, on=KEY, how="left")
    unknown = use_cases[~use_cases["use_case_id"].isin({*forecast["use_case_id"], *left["use_case_id"]})]
    stated = unknown.reindex(columns=["use_case_id", "allowed_regions", "service_unit", "stated_units_per_month"])
    stated = stated.rename(columns={"allowed_regions": "region", "stated_units_per_month": "units_most"})
    stated = stated[stated["units_most"] > 0].assign(units_month=0.0, reason=STATED_ONLY).fillna({"region": ""})
    both = pd.concat([left, stated], ignore_index=True) if len(stated) else left
    return both[NOT_SIZED].assign(units_most=both["units_most"].fillna(both["units_month"])).fillna({"month_most": ""})


def not_sized_sentences(not_sized: pd.DataFrame) -> list[str]:
    """What the plan leaves out, why, how much of it there will be, and what it costs at its seller: one sentence each."""
    found = []
    for row in not_sized.itertuples(index=False):
        place = f" in {row.region.replace(';', ', ')}" if row.region else ""
        unit = str(row.service_unit).replace("_", " ")
        when = f" by {row.month_most}" if row.month_most else ""
        usd = getattr(row, "hosted_usd_per_unit", np.nan)
        sold = f": USD {three_digits(usd * row.units_most)} a month at the USD {three_digits(usd)} a unit of its bill today, in no figure of the plan"
        much = f"; up to {three_digits(row.units_most)} {unit}s a month are expected{when}"
        end = getattr(row, "hosted_retires", pd.NaT)
        sold += f"; its model ends {end:%Y-%m-%d}, what follows it has a price of its own" if pd.notna(end) else ""
        much = (much + (sold if usd > 0 else " and not covered")) if row.units_most > 0 else ""
        reason = row.reason if row.units_most > 0 else "it has no demand, now or in the forecast"
        found.append(f"{row.use_case_id}{place} is not in the plan: {reason}{much}.")
    return found


def work_per_unit(table: pd.DataFrame) -> np.ndarray:
    """Work at the measured capacity over that of a unit delivered: what fails is work too, but is in hours of jobs already."""
    hours = table["service_unit"] == "accelerator_hour"
    measured = table["measured_failure_rate"].astype(float).mask(hours, 0.0).fillna(0.0)
    return load_factor(table["failure_rate"].mask(hours, 0.0), measured)


def _with_work(table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
    """Add what decides how work is placed: can it wait, be interrupted, how much of it fails."""
    batch = table["request_pattern"] == "batch"
    movable = is_movable(table)
    hours = table["service_unit"] == "accelerator_hour"
    factor = work_per_unit(table)
    success = (1.0 - table["failure_rate"]).where(hours, 1.0)
    counted = ["input_tokens", "cached_input_tokens", "output_tokens"]
    joined = table.merge(tokens[[*KEY, *counted]], on=KEY, how="left")
    units = joined["units_month"].where(joined["units_month"] > 0)
    level = table["units_per_hour_avg"] * HOURS_PER_MONTH
    per_unit = {f"{name}_per_unit": (joined[name].astype("float64") / units).fillna(0.0) for name in counted}
    return table.assign(
        units_month=level,
        movable=movable,
        interruptible=movable | batch | table["workload_class"].isin(TRAINING_CLASSES),
        wait_hours=np.where(movable, 1, allowed_wait(table)),
        load_factor=factor,
        success_share=success,
        **per_unit,
    )


def _shapes(
    table: pd.DataFrame, shapes: Mapping[tuple[str, str], np.ndarray], stand_in: Mapping[str, np.ndarray]
) -> np.ndarray:
    hours = max((len(shape) for shape in shapes.values()), default=HOURS_PER_MONTH)
    flat = np.ones(hours)
    rows = []
    for row in table.itertuples():
        jobs = row.workload_class in TRAINING_CLASSES
        like = flat if jobs or row.units_month > 0 else stand_in.get(row.workload_class, stand_in.get(ANY_CLASS, flat))
        shape = shapes.get((row.use_case_id, row.region), like)
        usable = len(shape) == hours and np.isfinite(shape).all() and not row.movable
        rows.append(spread_round(shape, row.wait_hours) if usable and row.wait_hours > 1 else shape if usable else flat)
    return np.array(rows).reshape(len(rows), hours)


def _peak_factor(table: pd.DataFrame, forecast: pd.DataFrame, shape: np.ndarray) -> np.ndarray:
    """Peak of the shortest windows over the peak of whole hours, at least 1; 1 for work that may wait hours."""
    expected = forecast[(forecast["scenario"] == "expected") & (forecast["units_per_hour_avg"] > 0)]
    usual = expected["units_per_hour_peak"] / expected.get("season_peak", 1.0)
    ratio = (usual / expected["units_per_hour_avg"]).groupby([expected[k] for k in KEY])
    peak = ratio.first().reindex(pd.MultiIndex.from_frame(table[KEY])).to_numpy()
    factor = np.fmax(1.0, peak / shape.max(axis=1, initial=1.0))
    return np.where(table["movable"] | (table["wait_hours"] > 1), 1.0, factor)


def _season_peak(table: pd.DataFrame, forecast: pd.DataFrame, months: tuple[str, ...]) -> np.ndarray:
    """[T + 1, K] `season_peak` of the forecast; 1 in the period, where none is known, and for work that waits longer than a day."""
    found = np.ones((len(months), len(table)))
    if "season_peak" in forecast:
        rows = forecast[forecast["scenario"] == "expected"].pivot_table("season_peak", "month", KEY)
        known = rows.reindex(index=list(months), columns=pd.MultiIndex.from_frame(table[KEY]))
        found[1:] = known.fillna(1.0).to_numpy()[1:]
    return np.where(table["movable"] | (table["wait_hours"] > HOURS_PER_DAY), 1.0, found)


def _by_month(table: pd.DataFrame, forecast: pd.DataFrame, months: tuple[str, ...]) -> dict[str, np.ndarray]:
    """`FORECAST` columns by scenario, month and stream, [S, T + 1, K]; 0 where nothing is forecast, and today's in the first."""
    streams = pd.MultiIndex.from_frame(table[KEY])
    places = streams.unique()
    at = (
        pd.Index(SCENARIOS).get_indexer(forecast["scenario"]),
        pd.Index(months).get_indexer(forecast["month"]),
        places.get_indexer(pd.MultiIndex.from_frame(forecast[KEY])),
    )
    known, found = (at[0] >= 0) & (at[1] > 0) & (at[2] >= 0), {}
    for column in FORECAST:
        sums = np.zeros((len(SCENARIOS), len(months), len(places)))
        rows = forecast[column].astype("float64").fillna(0.0).to_numpy()[known]
        np.add.at(sums, tuple(index[known] for index in at), rows)
        found[column] = np.ascontiguousarray(sums[:, :, places.get_indexer(streams)])
        found[column][:, 0, :] = 1.0 if column == "size" else table["units_month"]
    return found


def launch_months(table: pd.DataFrame, plan: Plan, months: tuple[str, ...]) -> np.ndarray:
    """Whether a stream is launched in a month, [T + 1, K]; a month of less demand than usual is none."""
    found = np.zeros((len(months), len(table)), dtype=bool)
    for launch in plan.launches:
        if launch.month in months and launch.demand_multiplier > 1:
            found[months.index(launch.month), table["use_case_id"] == launch.use_case_id] = True
    return found


def _rule(table: pd.DataFrame, plan: Plan, months: tuple[str, ...]) -> np.ndarray:
    """Fixed ratio by criticality, the plan's highest in launch months; movable work waits instead."""
    ratio = np.tile(table["criticality"].map(plan.reserve).to_numpy(dtype=float), (len(months), 1))
    ratio[launch_months(table, plan, months)] = max(plan.reserve.values())
    return np.where(table["movable"].to_numpy(), headroom(plan), ratio)


def _reserve(
    table: pd.DataFrame,
    rule: np.ndarray,
    shape: np.ndarray,
    capacity_over_average: Mapping[tuple[str, str], float | np.ndarray],
    launches: np.ndarray,
) -> np.ndarray:
    """Reserve over the peak hour that holds the capacity asked for; the rule where none is known.

    It may be negative, where a target allows the highest hours to exceed capacity, but leaves the average
    covered. In launch months it is at least the plan's highest ratio.
    """
    wanted = np.full(rule.shape, np.nan)
    for at, cell in enumerate(zip(table["use_case_id"], table["region"], table["accelerator_id"], strict=True)):
        wanted[:, at] = capacity_over_average.get(cell, capacity_over_average.get(cell[:2], np.nan))
    peak = shape.max(axis=1, initial=1.0)
    ratio = np.maximum(wanted, 1.0) / peak - 1.0
    known = np.isfinite(ratio) & ~table["movable"].to_numpy()
    reserve = np.where(known, ratio, rule)
    return np.where(launches & known, np.maximum(reserve, rule), reserve)


def owned_accelerators(pools: pd.DataFrame, plan: Plan, streams: Streams) -> dict[tuple[str, str], float]:
    """Accelerators owned today by region and accelerator.

    Counted from purchased pools; those that only `plan.owned_accelerators` names are placed in the
    region with the greatest need of them.
    """
    bought = pools[pools["purchase_option"] == "purchase"]
    owned = bought.groupby(["region", "accelerator_id"])["installed"].sum().to_dict()
    need = streams.accelerators(streams.units.max(axis=(0, 1), initial=0.0)) if len(streams.table) else np.zeros(0)
    for accelerator, count in plan.owned_accelerators.items():
        users = streams.table["accelerator_id"] == accelerator
        if users.any() and not any(name == accelerator for _, name in owned):
            region = (
                pd.Series(need)[users.to_numpy()].groupby(streams.table.loc[users, "region"].to_numpy()).sum().idxmax()
            )
            owned[region, accelerator] = count
    return owned


def busiest(streams: Streams) -> np.ndarray:
    """Accelerators of an even load in the busiest window of each month, expected scenario, [T + 1, K]."""
    return streams.sized(streams.units[EXPECTED]) * streams.highest


def chance_of(streams: Streams) -> np.ndarray:
    """Factor of square-root staffing at the planned fleet: the busiest window of the expected scenario with its reserve.

    A reserve below 0 holds less than the busiest window, whose rest is rented beside it: the fleet of that window is as large.
    So less reserve never makes hours dearer. Where no hours can be rented what is held is up to a few percent short of chance.
    The plan stays linear in demand: the factor is that of the planned fleet, in all hours and scenarios. A path of twice
    the demand would need a factor whose excess over 1 is 0.7 times as large, one of half the demand 1.4 times. Movable
    work waits, and work whose requests in progress are unknown gets none.
    """
    table = streams.table
    held = table["in_progress_per_accelerator"].astype(float).mask(table["movable"]).to_numpy()
    k = table["spread_constant"].astype(float).to_numpy()
    fleet = busiest(streams) * (1.0 + np.maximum(streams.reserve, 0.0)) / table["sites"].to_numpy()  # sites stand alone
    return chance_factor(fleet, held, np.where(np.isfinite(k), k, 0.0))
