"""What hours without capacity cost: the value of the work that is lost, at least some of the dearest hours of its place."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.finance.tco import around_usd_per_hour
from aifactory.fleet.compute import Compute
from aifactory.fleet.missed import LEAST_HOURS, lost_value_usd
from aifactory.fleet.nodes import Load, Slots
from aifactory.fleet.placed import PLACE
from aifactory.fleet.streams import EXPECTED, Streams
from aifactory.fleet.terms import Offers, Terms
from aifactory.inputs.plan import Plan
from aifactory.units import HOURS_PER_MONTH


def rented_anywhere(prices: pd.DataFrame, pools: pd.DataFrame) -> np.ndarray:
    """[P] USD of the cheapest accelerator-hour on demand at the place of each pool, in nodes of whatever size; 0 where there is none."""
    hours = prices[prices["purchase_option"] == "on_demand"].groupby(PLACE)["usd_per_accelerator_hour"].min()
    return hours.reindex(pd.MultiIndex.from_frame(pools[PLACE])).fillna(0.0).to_numpy()


def missed_usd(
    plan: Plan, streams: Streams, offers: Offers, anywhere_usd: np.ndarray, bought: tuple[Load, Slots, Terms, Compute]
) -> np.ndarray:
    """[T + 1, P] price of hours that find no capacity.

    The value is that of the work of the month, so that work which starts later makes what is missed before neither dearer nor cheaper.
    The dearest hour of a pool is one on demand; where its nodes are not rented out, the dearest way to hold one, and no less than
    an hour in other nodes (`anywhere_usd`, [P], as `rented_anywhere`): a size that nobody rents out makes no miss cheaper.
    """
    load, slots, terms, compute = bought
    pools, months = len(streams.pools), len(load.use) - 1
    occupied = slots.total(load.use * slots.size, pools)
    hours = occupied * HOURS_PER_MONTH * (1.0 - compute.served)
    monthly = terms.capex_usd / months + terms.rent_usd_month + terms.running_usd_month()
    hourly = np.where(terms.available, monthly / (slots.size * HOURS_PER_MONTH), 0.0)
    dearest = np.zeros(pools)
    np.maximum.at(dearest, slots.pool, hourly.max(axis=0, initial=0.0))
    dearest = np.where(np.isfinite(offers.on_demand), offers.on_demand, np.maximum(dearest, anywhere_usd))
    dearest = dearest + around_usd_per_hour(plan, offers.field)
    work = streams.accelerators(streams.units[EXPECTED])
    total, value = _monthly(streams, work), _monthly(streams, work * lost_value_usd(streams, plan))
    taken = np.maximum(total, occupied)  # accelerators at work are at most those occupied
    return hours * np.maximum(value / np.where(taken > 0, taken, 1.0), LEAST_HOURS * dearest)


def _monthly(streams: Streams, work: np.ndarray) -> np.ndarray:
    """[T + 1, P] sums of what streams have by month, [T + 1, K]."""
    return np.array([np.bincount(streams.pool, row, len(streams.pools)) for row in work])
