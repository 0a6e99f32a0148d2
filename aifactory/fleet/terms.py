"""What each slot costs on each way to pay, as arrays: the price list and the plan in money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.finance.depreciation import residual_value
from aifactory.finance.options import (
    COMMITTED_OPTIONS,
    FLEXIBLE_OPTIONS,
    capex_usd,
    in_field,
    owned_usd_per_hour,
    rented_usd_per_hour,
    running_usd_per_month,
    spot_usd_per_hour,
)
from aifactory.finance.prices import OWN_SITE_OPTIONS
from aifactory.finance.tco import around_usd_per_hour
from aifactory.fleet.nodes import Slots
from aifactory.inputs.plan import Plan
from aifactory.units import HOURS_PER_MONTH, MONTHS_PER_YEAR

WEEKS_PER_MONTH = 365 / 7 / MONTHS_PER_YEAR
BOUGHT = COMMITTED_OPTIONS.index("purchase")
OFFER_COLUMNS = [
    "usd_per_accelerator_hour",
    "usd_per_accelerator",
    "upfront_fraction",
    "term_months",
    "lead_time_weeks",
    "minimum_accelerators",
]
OWN_SITE = np.array([option in OWN_SITE_OPTIONS for option in COMMITTED_OPTIONS])


@dataclass(frozen=True)
class Offers:
    """Prices per pool, read once: what does not change when an assumption does."""

    on_demand: np.ndarray  # [P] USD per accelerator-hour, inf where not offered
    spot: np.ndarray  # [P]
    rent: np.ndarray  # [O, P] USD per accelerator-hour, NaN where not offered; 0 for purchase
    price: np.ndarray  # [P] USD per accelerator bought, NaN where not offered
    upfront: np.ndarray  # [O, P] share of the term's rent paid when it starts
    term: np.ndarray  # [O, P] months
    lead_weeks: np.ndarray  # [O, P] from order to delivery
    minimum: np.ndarray  # [O, P] accelerators of the smallest order
    power_w: np.ndarray  # [P] rated power per accelerator
    field: np.ndarray  # [P] devices in the field, in no data centre
    usd_per_kwh: np.ndarray  # [P]


@dataclass(frozen=True)
class Terms:
    """USD per slot. O committed options, N slots; a month has 730 hours."""

    flexible_usd_per_month: np.ndarray  # [N] on-demand price of a full month, inf where not offered
    spot_usd_per_month: np.ndarray  # [N] same for interruptible work
    rent_usd_month: np.ndarray  # [O, N] rent of a month, whenever paid; 0 for a purchase
    upfront_share: np.ndarray  # [O, N]
    energy_usd_month: np.ndarray  # [O, N] own site only
    space_usd_month: np.ndarray  # [O, N]
    support_usd_month: np.ndarray  # [O, N]
    around_usd_month: (
        np.ndarray
    )  # [N] people and storage of a month on any way to pay; decides, and is booked beside compute
    capex_usd: np.ndarray  # [O, N] paid at the order; 0 but for a purchase
    resale_base_usd: np.ndarray  # [O, N] price that resale declines from
    term: np.ndarray  # [O, N] months; a purchase lasts to the horizon
    first_month: np.ndarray  # [O, N] first whole month of use of an order placed when month 1 starts
    lead: np.ndarray  # [O, N] whole months from order to use
    available: np.ndarray  # [O, N] offered at all
    break_even: np.ndarray  # [N] share of hours above which the cheapest commitment beats on-demand
    decline_per_year: float

    def running_usd_month(self) -> np.ndarray:
        """Energy, space and support of a committed month, [O, N]."""
        return self.energy_usd_month + self.space_usd_month + self.support_usd_month

    def resale_usd(self, months_in_use: np.ndarray) -> np.ndarray:
        """Resale value after some months, [O, N]."""
        return residual_value(self.resale_base_usd, self.decline_per_year, months_in_use)


def read_offers(
    table: pd.DataFrame, pools: pd.DataFrame, plan: Plan, longest_lead_weeks: float | None = None
) -> Offers:
    """Arrange the price table by pool and option; one with a column `pool` speaks of each pool apart, else of its place.

    Hardware without a stated lead time takes `longest_lead_weeks`, by default the longest of the table.
    """
    options = (*FLEXIBLE_OPTIONS, *COMMITTED_OPTIONS)
    option = pd.Index(options).get_indexer(table["purchase_option"])
    pool = table["pool"].to_numpy() if "pool" in table else _pools_of(table, pools)
    blocks = np.full((len(OFFER_COLUMNS), len(options), len(pools)), np.nan)
    known = np.flatnonzero((option >= 0) & (pool >= 0))
    values = table[OFFER_COLUMNS].take(known).astype("float64").to_numpy()
    blocks[:, option[known], pool[known]] = values.T
    hourly, price, upfront, term, lead, minimum = blocks
    rented = len(FLEXIBLE_OPTIONS)
    rent, bought = hourly[rented:].copy(), price[rented + BOUGHT]
    rent[BOUGHT] = np.where(np.isnan(bought), np.nan, 0.0)
    tariffs = {region.region: region.usd_per_kwh for region in plan.regions}
    return Offers(
        on_demand=np.nan_to_num(hourly[FLEXIBLE_OPTIONS.index("on_demand")], nan=np.inf),
        spot=np.nan_to_num(hourly[FLEXIBLE_OPTIONS.index("spot")], nan=np.inf),
        rent=rent,
        price=bought,
        upfront=np.nan_to_num(upfront[rented:]),
        term=np.nan_to_num(term[rented:]),
        lead_weeks=_lead_weeks(
            lead[rented:], longest_lead(table) if longest_lead_weeks is None else longest_lead_weeks
        ),
        minimum=np.nan_to_num(minimum[rented:], nan=1.0),
        power_w=pools["tdp_w"].fillna(0.0).to_numpy(dtype=float),
        field=in_field(pools["platform_class"]),
        usd_per_kwh=pools["region"].map(tariffs).to_numpy(dtype=float),
    )


def _pools_of(table: pd.DataFrame, pools: pd.DataFrame) -> np.ndarray:
    """Pool of the place of each offer; -1 where the plan has none."""
    number = {place: pool for pool, place in enumerate(zip(pools["accelerator_id"], pools["region"], strict=True))}
    return np.array(
        [number.get(place, -1) for place in zip(table["accelerator_id"], table["region"], strict=True)], int
    )


def _break_even(committed: np.ndarray, on_demand: np.ndarray) -> np.ndarray:
    """Share of hours, of prices with all that goes with an hour; 0 where none are rented, 1 where no commitment is offered."""
    rented = np.where(np.isfinite(on_demand), on_demand, 1.0)
    share = np.where(np.isfinite(on_demand), np.minimum(committed, on_demand) / rented, 0.0)
    return np.where(np.isfinite(committed), share, 1.0)


def longest_lead(table: pd.DataFrame) -> float:
    """Longest stated lead time of hardware in a price table, weeks; 0 where none is stated."""
    hardware = table.loc[table["purchase_option"].isin(OWN_SITE_OPTIONS), "lead_time_weeks"].astype("float64").dropna()
    return float(hardware.max()) if len(hardware) else 0.0


def _lead_weeks(stated: np.ndarray, longest: float) -> np.ndarray:
    """Rented capacity without a stated lead time is there at once; hardware takes the longest."""
    return np.where(np.isnan(stated), np.where(OWN_SITE, longest, 0.0)[:, None], stated)


def months_of_lead(weeks: np.ndarray) -> np.ndarray:
    """Whole months from order to use, of weeks."""
    return np.ceil(weeks / WEEKS_PER_MONTH).astype(int)


def spot_is_cheaper(offers: Offers, plan: Plan) -> np.ndarray:
    """[P] pools whose hours cost less on spot, work lost to interruptions included."""
    return spot_usd_per_hour(offers.spot, plan.value("spot_interruption_share")) < offers.on_demand


def build_terms(offers: Offers, slots: Slots, plan: Plan, largest: np.ndarray) -> Terms:
    """Money per slot under a plan; `largest` is the fleet per pool that a minimum order must fit.

    One node can be ordered always: where what stands serves what is expected, more demand than that may still come.
    """
    at, size = slots.pool, slots.size.astype(float)
    months, around = size * HOURS_PER_MONTH, around_usd_per_hour(plan, offers.field)
    price = np.nan_to_num(offers.price)
    energy, space, support = running_usd_per_month(price, offers.power_w, offers.usd_per_kwh, plan, offers.field)
    bought = np.arange(len(COMMITTED_OPTIONS))[:, None] == BOUGHT
    own = OWN_SITE[:, None]
    node = np.zeros(len(offers.price))
    node[at] = size
    available = np.isfinite(offers.rent) & (offers.minimum <= np.maximum(largest, node))
    horizon = plan.horizon_months
    lead = months_of_lead(offers.lead_weeks)
    term = np.where(bought, horizon + 1, np.maximum(offers.term, 1)).astype(int)
    spot = np.minimum(spot_usd_per_hour(offers.spot, plan.value("spot_interruption_share")), offers.on_demand)
    rented = rented_usd_per_hour(
        np.nan_to_num(offers.rent), offers.upfront, np.maximum(offers.term, 1), plan.value("wacc")
    )
    running = np.where(own, energy + space, 0.0) + bought * support
    all_in = np.where(
        bought, owned_usd_per_hour(price, running, plan, offers.field), rented + running / HOURS_PER_MONTH
    )
    cheapest = np.where(available, all_in, np.inf).min(axis=0, initial=np.inf)
    return Terms(
        break_even=_break_even(cheapest + around, offers.on_demand + around)[at],
        flexible_usd_per_month=offers.on_demand[at] * months,
        spot_usd_per_month=spot[at] * months,
        rent_usd_month=np.nan_to_num(offers.rent)[:, at] * months,
        upfront_share=offers.upfront[:, at],
        energy_usd_month=(own * energy)[:, at] * size,
        space_usd_month=(own * space)[:, at] * size,
        support_usd_month=(bought * support)[:, at] * size,
        around_usd_month=around[at] * months,
        capex_usd=(bought * capex_usd(price, plan, offers.field))[:, at] * size,
        resale_base_usd=(bought * price)[:, at] * size,
        term=term[:, at],
        first_month=lead[:, at] + 1,
        lead=lead[:, at],
        available=available[:, at],
        decline_per_year=plan.value("residual_decline_per_year"),
    )
