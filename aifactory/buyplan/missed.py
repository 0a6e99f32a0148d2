"""What an accelerator-hour of demand costs that nobody serves: one price for the plan, its stresses and its backtests.

    price of a stream = max(units per accelerator-hour x USD per unit x attributed share x share lost x share at work,
                            `LEAST_HOURS` x dearest hour of its pool)

The share lost is the plan's `sla_miss_usd_per_unit_share`. Demand is planned in hours of whole nodes that it occupies,
which work for a part of the time: a missed hour loses the units of that part. The second term stands alone where no value is stated, and
keeps hours rented wherever they can be: work that is worth less than its hours was taken into the plan by its owner, so
dropping it is no way to save. The dearest hour of a pool is its list price on demand, else that of the dearest term, with the
people and storage that go with it.
Streams of a pool share its nodes, so that all of them miss at the mean of their prices by expected load.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aifactory.buyplan.case import Case
from aifactory.buyplan.optimise.problem import Option
from aifactory.finance.tco import around_usd_per_hour
from aifactory.fleet.missed import LEAST_HOURS, lost_value_usd
from aifactory.fleet.streams import EXPECTED
from aifactory.units import HOURS_PER_MONTH

#: The dearest hour where nothing at all is offered, USD: such demand cannot be planned for and only counts as missed.
UNPRICED_USD = 1.0


def missed_usd(case: Case, options: Sequence[Option], working: np.ndarray) -> np.ndarray:
    """[K] USD of a missed accelerator-hour of each stream: the same for all streams of a pool.

    Parameters
    ----------
    options : what can be committed to, USD per accelerator.
    working : [K] share of the occupied hours of each stream that work fills, 0-1.
    """
    load = case.streams.sized(case.streams.units[EXPECTED])[1:].mean(axis=0)
    pool, least = (
        case.streams.pool,
        LEAST_HOURS
        * (dearest_hour_usd(case.offers.on_demand, options) + around_usd_per_hour(case.plan, case.offers.field)),
    )
    each = np.maximum(lost_value_usd(case.streams, case.plan) * working, least[pool])
    weight = np.where(np.bincount(pool, load, case.pools)[pool] > 0, load, 1.0)
    total = np.bincount(pool, weight * each, case.pools)[pool]
    return total / np.bincount(pool, weight, case.pools)[pool]


def dearest_hour_usd(on_demand: np.ndarray, options: Sequence[Option]) -> np.ndarray:
    """[P] list price of an hour on demand, else the dearest term per hour, else the dearest hour of any pool.

    >>> term = Option("reserved_1y", 1, term_months=12, upfront_usd=730.0 * 12, monthly_usd=730.0)
    >>> dearest_hour_usd(np.array([4.0, np.inf, np.inf]), [term]).tolist()
    [4.0, 2.0, 4.0]
    """
    terms = np.zeros(len(on_demand))
    for option in options:
        hour = (option.upfront_usd / option.term_months + option.monthly_usd) / HOURS_PER_MONTH
        terms[option.platform] = max(terms[option.platform], hour)
    found = np.where(np.isfinite(on_demand), on_demand, terms)
    return np.where(found > 0, found, found.max(initial=0.0) or UNPRICED_USD)
