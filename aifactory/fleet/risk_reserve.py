"""Reserve of served streams by risk: the capacity that their own hours exceed in the target share, over a lead time.

Capacity of a stream must last from one look at the plan to the next and then until ordered capacity works:
review period plus the quickest way to add accelerators of its pool. The hours of the past are taken at the
level of today (the measured trend out), since growth is in the demand of each month already; what is left are
bursts, seasons and deviations of the level from its trend. The capacity that hours of such a span exceed in
the target share, over the peak hour of the period, is the reserve of every month.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.demand.chain_reserve import ChainReserve
from aifactory.demand.day_peaks import peaks_over
from aifactory.demand.events import launch_factor
from aifactory.demand.lumps import at_level
from aifactory.demand.profile import hourly_series, since_as_fine
from aifactory.demand.reserve import Reserve, plan_reserve
from aifactory.demand.reserve_money import failure_factor
from aifactory.errors import InputError
from aifactory.fleet.allowed_wait import allowed_wait, spread_over
from aifactory.inputs.plan import Plan
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.units import HOURS_PER_MONTH

HOURS_PER_WEEK, HOURS_PER_DAY = 168, 24
#: History that counts, in lead times and at least a quarter of hours: older ones would weigh little.
MOST_LEADS, LEAST_HOURS = 8, 2190
#: Weeks from order to use where no offer says so: an assumption.
DEFAULT_LEAD_WEEKS = 4.0
#: What a reserve is known from.
OWN_HOURS, DEMAND_CHAIN = "own hours", "demand chain"
Place = tuple[str, str]


@dataclass(frozen=True)
class SizedReserve:
    """Reserve of one use case in one region, before it is priced."""

    criticality: str
    target: float
    lead_weeks: float
    average_per_hour: float  # in the period, without what launches state: what the capacity is relative to
    found: Reserve | ChainReserve | None  # None where the hours do not suffice; `note` says why
    note: str
    pools: int = 0  # failure domains of which one may be down; 0 where none are stated
    first_month: float = (
        1.0  # demand of the plan's first month over the usual, as launches and seasons say, in its busiest hours
    )
    capacity_by_month: np.ndarray | None = None  # [T + 1] over the expected average, of a demand chain; NaN none

    @property
    def known_from(self) -> str:
        """Hours of its own or the paths of its demand chain."""
        return OWN_HOURS if self.capacity_by_month is None else DEMAND_CHAIN

    @property
    def spares(self) -> float:
        """Capacity over need so that the domains but one hold it, as in the plan's need."""
        return failure_factor(self.pools) if self.pools else 1.0

    @property
    def over_average(self) -> float | np.ndarray:
        """Capacity over the average of the period, or over that expected in each month; NaN unknown."""
        if self.capacity_by_month is not None:
            return self.capacity_by_month
        if self.found is None or self.average_per_hour <= 0:
            return np.nan
        return self.found.capacity / self.average_per_hour


def size_stream_reserves(
    ws: Workspace, inventory: Inventory, choice: pd.DataFrame, prices: pd.DataFrame
) -> dict[Place, SizedReserve]:
    """Size the reserve of every served use case and region from its own hours.

    Work that may wait (jobs) is left out: it needs no reserve. Targets are the plan's
    `exceedance_target_...` of each criticality.

    Parameters
    ----------
    choice : use_case_id and accelerator_id.
    prices : offers with accelerator_id, region (of the plan), purchase_option, lead_time_weeks.
    """
    cases = ws.table("use_cases").set_index("use_case_id")
    chosen = choice.set_index("use_case_id")["accelerator_id"]
    windows, found = _windows_so_far(ws, inventory), {}
    profile = at_level(inventory.demand_profile)
    for row in profile[profile["units_month"] > 0].itertuples(index=False):
        accelerator = chosen.get(row.use_case_id, "")
        if row.service_unit == "accelerator_hour" or not isinstance(accelerator, str) or not accelerator:
            continue
        weeks = ws.plan.value("reserve_review_weeks") + quickest_weeks(prices, accelerator, row.region)
        criticality = str(cases.loc[row.use_case_id, "criticality"])
        hours, usual = _usual_hours(ws, inventory, windows, cases, row)
        sized = _sized(hours, criticality, target_of(ws.plan, criticality), weeks, row.units_per_hour_avg / usual[-2])
        domains = ws.plan.failure_domains.get(criticality, 0)
        place = str(row.use_case_id), str(row.region)
        first = usual[-1] * peaks_over(inventory.demand_basis.day_peaks, place, _around(ws.period))[-1]
        found[place] = replace(sized, pools=domains, first_month=first)
    return found


def held_capacity(
    ws: Workspace, inventory: Inventory, cells: pd.DataFrame, prices: pd.DataFrame
) -> dict[tuple[str, str, str], float]:
    """Capacity over the average of the period by use case, region and accelerator, as `size_stream_reserves` sizes it for one that is chosen.

    Parameters
    ----------
    cells : use_case_id and accelerator_id; of a use case those that take as long to order share a reserve. What cannot be sized is left out.
    """
    if inventory.windows.empty:
        return {}
    cases = ws.table("use_cases").set_index("use_case_id")
    windows = _windows_so_far(ws, inventory)
    lists = cells.groupby("use_case_id")["accelerator_id"].unique().to_dict()
    profile = at_level(inventory.demand_profile)
    found: dict[tuple[str, str, str], float] = {}
    for row in profile[profile["units_month"] > 0].itertuples(index=False):
        if row.service_unit == "accelerator_hour" or row.use_case_id not in lists:
            continue
        criticality = str(cases.loc[row.use_case_id, "criticality"])
        hours, usual = _usual_hours(ws, inventory, windows, cases, row)
        sized: dict[float, float] = {}
        for name in lists[row.use_case_id]:
            weeks = ws.plan.value("reserve_review_weeks") + quickest_weeks(prices, name, row.region)
            if weeks not in sized:
                about = criticality, target_of(ws.plan, criticality), weeks, row.units_per_hour_avg / usual[-2]
                sized[weeks] = float(_sized(hours, *about).over_average)
            if np.isfinite(sized[weeks]):
                found[str(row.use_case_id), str(row.region), str(name)] = sized[weeks]
    return found


def _windows_so_far(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    end = pd.Timestamp(f"{ws.period}-01", tz="UTC") + pd.DateOffset(months=1)
    return inventory.windows[inventory.windows["window_start_utc"] < end]


def _usual_hours(
    ws: Workspace, inventory: Inventory, windows: pd.DataFrame, cases: pd.DataFrame, row: tuple
) -> tuple[np.ndarray, np.ndarray]:
    """Hours of a stream at today's level without launches, seasons and peaks of days, and what these make of its months, of the period and the month after it."""
    mine = windows[(windows["use_case_id"] == row.use_case_id) & (windows["region"] == row.region)]
    hours = hourly_series(since_as_fine(mine))
    months = hours.index.tz_localize(None).to_period("M")
    usual = _over_usual(ws, inventory, row.use_case_id, months.append(_around(ws.period)))
    peaks = peaks_over(inventory.demand_basis.day_peaks, (str(row.use_case_id), str(row.region)), months)
    hours = spread_over(hours.to_numpy() / (usual[:-2] * peaks), int(allowed_wait(cases.loc[[row.use_case_id]])[0]))
    return at_todays_level(hours, row.growth_per_month), usual


def _around(period: str) -> pd.PeriodIndex:
    """The period and the first month of the plan."""
    return pd.period_range(period, periods=2, freq="M")


def _over_usual(ws: Workspace, inventory: Inventory, use_case: str, months: pd.PeriodIndex) -> np.ndarray:
    """Demand of each month over the usual one as far as launches and the season of the year say, (n,); a season is over the period's."""
    found, season = launch_factor(ws.plan, use_case, months), inventory.demand_basis.seasons.get(use_case)
    return found if season is None else found * season[months.month - 1] / season[pd.Period(ws.period, "M").month - 1]


def target_of(plan: Plan, criticality: str) -> float:
    """Share of time in which demand may exceed capacity."""
    return plan.value(f"exceedance_target_{criticality}")


def at_todays_level(hourly: np.ndarray, growth_per_month: float) -> np.ndarray:
    """Hours of the past at the level of the last one: x_t (1 + g)^(months since t).

    >>> at_todays_level(np.full(1461, 100.0), 0.1)[[0, 730, 1460]].round(6).tolist()
    [121.0, 110.0, 100.0]
    """
    growth = 0.0 if np.isnan(growth_per_month) else growth_per_month
    ago = np.arange(len(hourly))[::-1] / HOURS_PER_MONTH
    return np.asarray(hourly, dtype=float) * (1 + growth) ** ago


def _sized(hours: np.ndarray, criticality: str, target: float, weeks: float, average: float) -> SizedReserve:
    known = (criticality, target, weeks, average)
    lead = max(round(weeks * HOURS_PER_WEEK), 1)
    try:
        found = plan_reserve(hours[-max(MOST_LEADS * lead, LEAST_HOURS) :], lead, target, HOURS_PER_DAY)
    except InputError as error:
        return SizedReserve(*known, None, str(error))
    return SizedReserve(*known, found, "; ".join(found.notes))


def quickest_weeks(prices: pd.DataFrame, accelerator_id: str, region: str) -> float:
    """Weeks to the quickest dependable capacity on offer: rented by the hour at once, spot does not count."""
    mine = prices[(prices["accelerator_id"] == accelerator_id) & (prices["region"] == region)]
    mine = mine[mine["purchase_option"] != "spot"]
    if mine.empty:
        return DEFAULT_LEAD_WEEKS
    rented = mine["purchase_option"] != "purchase"
    weeks = mine["lead_time_weeks"].astype("float64").fillna(rented.map({True: 0.0, False: DEFAULT_LEAD_WEEKS}))
    return float(weeks.min())


def over_average(sized: Mapping[Place, SizedReserve]) -> dict[Place, float | np.ndarray]:
    """Capacity of each stream over its average, in all months or by month, of those that could be sized."""
    return {place: item.over_average for place, item in sized.items() if np.isfinite(item.over_average).any()}


def known_from(sized: Mapping[Place, SizedReserve]) -> dict[Place, str]:
    """What the reserve of each stream is known from, of those that could be sized."""
    return {place: sized[place].known_from for place in over_average(sized)}
