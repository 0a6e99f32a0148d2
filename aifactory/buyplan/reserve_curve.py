"""Reserve of the plan's served streams as an output: its risk, its price, and the article's ratio beside it.

Capacity of a stream must last from one look at the plan to the next and then until ordered capacity works:
review period plus the quickest way to add accelerators of its pool. The hours of the past are taken at the
level of today (the measured trend out), since growth is in the demand of each month already; what is left are
bursts, seasons and deviations of the level from its trend. The capacity that hours of such a span exceed in
the target share, over the peak hour of the period, is the reserve of every month. Streams without hours of their own
are sized from their demand chain (`aifactory.buyplan.chain_streams`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.demand.chain_reserve import ChainReserve
from aifactory.demand.day_peaks import peaks_over
from aifactory.demand.events import launch_factor
from aifactory.demand.lumps import at_level
from aifactory.demand.profile import hourly_series, since_as_fine
from aifactory.demand.reserve import Reserve, plan_reserve
from aifactory.demand.reserve_money import failure_factor, price_curve
from aifactory.errors import InputError
from aifactory.fleet.allowed_wait import allowed_wait, spread_over
from aifactory.fleet.sites import held_in_sites
from aifactory.inputs.plan import Plan
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.units import HOURS_PER_MONTH

if TYPE_CHECKING:
    from aifactory.buyplan.plan import BuyPlan
    from aifactory.fleet.streams import Streams

HOURS_PER_WEEK, HOURS_PER_DAY = 168, 24
#: History that counts, in lead times and at least a quarter of hours: older ones would weigh little.
MOST_LEADS, LEAST_HOURS = 8, 2190
#: Weeks from order to use where no offer says so: an assumption.
DEFAULT_LEAD_WEEKS = 4.0
STREAM = ["use_case_id", "region", "accelerator_id"]
SUMMARY = [*STREAM, "month", "known_from", "criticality", "target", "lead_weeks", "basis_per_hour", "capacity_per_hour", "reserve", "accelerators",
           "exceedance_backtest", "exceedance_simulated", "risk_low", "risk_high", "hours_per_month_over", "utilization", "origins", "plan_reserve_over_peak",
           "article_over_peak", "article_per_hour", "article_accelerators", "note"]  # fmt: skip
CURVE = [*STREAM, "plan", "reserve", "exceedance", "hours_per_month_over", "utilization", "unserved_share", "accelerators",
         "usd_per_month", "usd_per_hour_avoided"]  # fmt: skip
#: What a reserve is known from.
OWN_HOURS, DEMAND_CHAIN = "own hours", "demand chain"
Place = tuple[str, str]
SiteTerms = Sequence[float]
#: Terms of `held_in_sites` where accelerators share their load, and columns of `SUMMARY` that count accelerators.
ALONE, COUNTED = (1, 1.0, 1.0), ("accelerators", "article_accelerators")


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
    end = pd.Timestamp(f"{ws.period}-01", tz="UTC") + pd.DateOffset(months=1)
    windows = inventory.windows[inventory.windows["window_start_utc"] < end]
    found = {}
    profile = at_level(inventory.demand_profile)
    for row in profile[profile["units_month"] > 0].itertuples(index=False):
        accelerator = chosen.get(row.use_case_id, "")
        if row.service_unit == "accelerator_hour" or not isinstance(accelerator, str) or not accelerator:
            continue
        mine = windows[(windows["use_case_id"] == row.use_case_id) & (windows["region"] == row.region)]
        weeks = ws.plan.value("reserve_review_weeks") + quickest_weeks(prices, accelerator, row.region)
        criticality = str(cases.loc[row.use_case_id, "criticality"])
        hours = hourly_series(since_as_fine(mine))
        months = hours.index.tz_localize(None).to_period("M")
        usual = _over_usual(ws, inventory, row.use_case_id, months.append(_around(ws.period)))
        peaks = peaks_over(inventory.demand_basis.day_peaks, (str(row.use_case_id), str(row.region)), months)
        hours = spread_over(hours.to_numpy() / (usual[:-2] * peaks), int(allowed_wait(cases.loc[[row.use_case_id]])[0]))
        hours = at_todays_level(hours, row.growth_per_month)
        sized = _sized(hours, criticality, target_of(ws.plan, criticality), weeks, row.units_per_hour_avg / usual[-2])
        domains = ws.plan.failure_domains.get(criticality, 0)
        place = str(row.use_case_id), str(row.region)
        first = usual[-1] * peaks_over(inventory.demand_basis.day_peaks, place, _around(ws.period))[-1]
        found[place] = replace(sized, pools=domains, first_month=first)
    return found


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


def in_places(streams: Streams) -> dict[Place, SiteTerms]:
    """Sites, accelerators of a node and share for failures of the places of `streams` whose sites stand alone."""
    table = streams.table
    places = zip(table["use_case_id"], table["region"], strict=True)
    return {place: terms for place, *terms in zip(places, *streams.site_terms, strict=True) if terms[0] > 1}


def with_reserves(
    plan: BuyPlan, sized: Mapping[Place, SizedReserve], sites: Mapping[Place, SiteTerms] | None = None
) -> BuyPlan:
    """The plan with its tables `reserves` and `reserve_curve`, dearest stream first.

    Accelerators are whole nodes at each of the `sites` (`in_places`) that stand alone: a step of safety may cost nothing there.

    Capacity becomes accelerators at the plan's rate per accelerator-hour, and USD at its price on demand,
    else at the cheapest one. Of a stream that two platforms serve, each holds the part of its work that it does.
    """
    need = plan.need[(plan.need["scenario"] == "expected") & (plan.need["accelerator_hours"] > 0)]
    whole = need.groupby(["use_case_id", "region", "month"])["units"].transform("sum")
    need = need.assign(part=need["units"] / whole)
    starts = need.groupby(["use_case_id", "region"])["month"].transform("min")
    served = need[[_shown(row, sized, first) for row, first in zip(need.itertuples(index=False), starts, strict=True)]]
    served = served.sort_values("month", kind="stable").drop_duplicates(STREAM)
    prices = [
        hourly_price(plan.options, *place) for place in zip(served["accelerator_id"], served["region"], strict=True)
    ]
    dear = served.assign(usd_per_hour=served["accelerators_with_reserve"] * prices)
    dear = dear.sort_values("usd_per_hour", ascending=False, kind="stable")
    summary, curves = [], []
    for stream in dear.itertuples(index=False):
        item = sized[stream.use_case_id, stream.region]
        keys = {name: getattr(stream, name) for name in STREAM}
        terms = (sites or {}).get((stream.use_case_id, stream.region), ALONE)
        row = keys | _summary(stream, item)
        held = {name: float(held_in_sites(row[name], *terms)) for name in COUNTED if name in row}
        summary.append(row | held)
        if item.found is not None:
            price = hourly_price(plan.options, stream.accelerator_id, stream.region)
            curves.append(_at_sites(_curve(item, keys, _per_accelerator(stream, item), price), terms))
    return replace(
        plan,
        reserves=pd.DataFrame(summary).reindex(columns=SUMMARY),
        reserve_curve=pd.concat(curves, ignore_index=True)[CURVE] if curves else pd.DataFrame(columns=CURVE),
    )


def _shown(row: tuple, sized: Mapping[Place, SizedReserve], first: str) -> bool:
    """Streams with hours stand with the first month in which the plan has their work, on whatever platform; those of a demand chain
    with the first on each.
    """
    item = sized.get((row.use_case_id, row.region))
    return item is not None and (item.known_from == DEMAND_CHAIN or row.month == first)


def _per_accelerator(stream: tuple, item: SizedReserve) -> float:
    """What an accelerator serves in an hour: units, or times the expected average of the month of a demand chain.

    Units are those of the whole stream, where another platform serves a part of it.
    """
    units = stream.units / stream.accelerator_hours / item.first_month
    return units / stream.part if item.known_from == OWN_HOURS else units / (stream.units / HOURS_PER_MONTH)


def _summary(stream: tuple, item: SizedReserve) -> dict[str, object]:
    article = stream.accelerators_peak * (1 + stream.reserve_rule)
    row: dict[str, object] = {
        "month": stream.month,
        "known_from": item.known_from,
        "criticality": item.criticality,
        "target": item.target,
        "lead_weeks": item.lead_weeks,
        "plan_reserve_over_peak": stream.reserve_ratio,
        "article_over_peak": stream.reserve_rule,
        "article_per_hour": article * stream.units / stream.accelerator_hours,
        "article_accelerators": article,
        "note": "; ".join(text for text in (item.note, _spared(item)) if text),
    }
    found = item.found
    if found is None:
        return row
    simulated = isinstance(found, ChainReserve)
    scale = stream.units / HOURS_PER_MONTH if simulated else stream.part * item.first_month
    risk = {"exceedance_simulated": found.exceedance} if simulated else {"exceedance_backtest": found.exceedance_backtest, "origins": found.origins}  # fmt: skip
    return row | risk | {
        "basis_per_hour": found.basis_value * scale,
        "capacity_per_hour": found.capacity * scale,
        "reserve": found.reserve,
        "accelerators": item.spares * found.capacity / _per_accelerator(stream, item),
        "risk_low": found.risk_low,
        "risk_high": found.risk_high,
        "hours_per_month_over": found.hours_per_month_over,
        "utilization": found.utilization / item.spares,
    }  # fmt: skip


def _spared(item: SizedReserve) -> str:
    return (
        f"accelerators and price times {item.spares:.3g} for one of {item.pools} failure domains" if item.pools else ""
    )


def _curve(item: SizedReserve, keys: dict[str, str], per_accelerator: float, usd_per_hour: float) -> pd.DataFrame:
    per_unit = item.spares / per_accelerator
    priced = price_curve(item.found, usd_per_hour * per_unit * HOURS_PER_MONTH, HOURS_PER_MONTH)
    return priced.assign(
        **keys, accelerators=priced["capacity"] * per_unit, usd_per_month=priced["capacity_usd_per_month"],
        utilization=priced["utilization"] / item.spares,
    )  # fmt: skip


def _at_sites(curve: pd.DataFrame, terms: SiteTerms) -> pd.DataFrame:
    """The curve with whole nodes at each site, and the money of what is then held."""
    if terms == ALONE:
        return curve
    even = curve["accelerators"]
    held = pd.Series(held_in_sites(even, *terms), curve.index)
    dearer = (held.diff() / even.diff()).where(even.diff() != 0)
    return curve.assign(
        accelerators=held,
        usd_per_month=curve["usd_per_month"] * held / even,
        usd_per_hour_avoided=curve["usd_per_hour_avoided"] * dearer,
    )


def hourly_price(options: pd.DataFrame, accelerator_id: str, region: str) -> float:
    """USD per accelerator-hour on demand, else the least effective price of any option, with what goes with it; NaN unknown."""
    mine = options[(options["accelerator_id"] == accelerator_id) & (options["region"] == region)]
    rented = mine[mine["purchase_option"] == "on_demand"]
    price = (rented if len(rented) else mine)["usd_per_accelerator_hour_effective"].min()
    return float(price + mine["around_usd_per_hour"].max())
