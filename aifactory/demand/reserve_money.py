"""What each step of safety costs, and what failures and slow scaling add."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.demand.chain_reserve import ChainReserve
from aifactory.demand.reserve import Reserve
from aifactory.errors import InputError
from aifactory.units import HOURS_PER_MONTH

ROUNDING = 1e-9


def price_curve(
    reserve: Reserve | ChainReserve,
    usd_per_unit_month: float,
    windows_per_month: float,
    overflow_usd_per_unit: float = np.nan,
) -> pd.DataFrame:
    """The curve of a reserve with money, cheapest safety first.

    Parameters
    ----------
    usd_per_unit_month : price of one unit of capacity (one unit of demand per window), USD a month.
    overflow_usd_per_unit : price of one unit of demand served elsewhere; NaN where there is no overflow.

    Returns
    -------
    `curve` with capacity, capacity_usd_per_month, overflow_usd_per_month, total_usd_per_month and
    usd_per_hour_avoided: money for each further hour a month that stays within capacity, against
    the fixed reserve before. The last row is this plan with today's reserve and its own record.
    """
    own = reserve.curve["plan"] == "this plan"
    curve = pd.concat(
        [reserve.curve[~own].sort_values("reserve", kind="stable"), reserve.curve[own]], ignore_index=True
    )
    fixed = curve["plan"] == "fixed"
    curve["reserve"] = curve["reserve"].where(fixed, reserve.reserve)
    capacity = (reserve.basis_value * (1 + curve["reserve"])).where(fixed, reserve.capacity)
    money = capacity * usd_per_unit_month
    demand = capacity * curve["utilization"] / (1 - curve["unserved_share"]) * windows_per_month
    overflow = demand * curve["unserved_share"] * overflow_usd_per_unit
    avoided = -curve["hours_per_month_over"].diff()
    return curve.assign(
        capacity=capacity,
        capacity_usd_per_month=money,
        overflow_usd_per_month=overflow,
        total_usd_per_month=money + overflow.fillna(0.0),
        usd_per_hour_avoided=(money.diff() / avoided).where((avoided > 0) & fixed),
    )


def failure_factor(pools: int, down: int = 1) -> float:
    """Capacity over need so that `pools - down` equal pools hold it: k / (k - n).

    Source: AWS Builders' Library, static stability (three zones: 50 % more).

    >>> failure_factor(3), round(failure_factor(4), 4)
    (1.5, 1.3333)
    """
    if down < 0 or pools <= down:
        raise InputError.at("failure domains", f"{down} of {pools} pools cannot be down: one must stay", value=pools)
    return pools / (pools - down)


def with_one_pool_down(accelerators: ArrayLike, size: ArrayLike, spare: ArrayLike) -> np.ndarray:
    """Accelerators of whole nodes that hold a need when one of the equal pools is down over which they are spread. Shapes broadcast.

    With n = ceil(need / size) nodes and spare = k / (k - 1) of k pools (`failure_factor`), the fewest N
    for which N - ceil(N / k) >= n:

        N = n + ceil(n (spare - 1))

    >>> with_one_pool_down([11.8, 16.0, 0.0], 8, 2.0).tolist(), with_one_pool_down(17.0, 8, 1.5).item()
    ([32.0, 32.0, 0.0], 40.0)
    """
    nodes = np.ceil(np.asarray(accelerators, dtype=float) / size - ROUNDING).clip(min=0.0)
    return (nodes + np.ceil(nodes * (np.asarray(spare, dtype=float) - 1.0) - ROUNDING)) * size


def month_windows(window_minutes: float) -> float:
    """Windows of a month of 730 hours.

    >>> month_windows(10)
    4380.0
    """
    return HOURS_PER_MONTH * 60 / window_minutes
