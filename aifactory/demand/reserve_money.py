"""What each step of safety costs, what failures and slow scaling add, and what early traffic tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from aifactory.demand.reserve import Reserve
from aifactory.errors import InputError
from aifactory.units import HOURS_PER_MONTH


def price_curve(
    reserve: Reserve, usd_per_unit_month: float, windows_per_month: float, overflow_usd_per_unit: float = np.nan
) -> pd.DataFrame:
    """The reserve's curve with money, cheapest safety first.

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


@dataclass(frozen=True)
class EarlyTraffic:
    """Extrapolation of the first part of the traffic to all of it, units per window."""

    mean: float
    low: float
    high: float
    peak_low: float
    peak_high: float
    ratio: float
    verdict: str


def check_early_traffic(
    values: np.ndarray, share: float, projected_mean: float, confidence: float = 0.8, batch: int = 24
) -> EarlyTraffic:
    """Compare the projection with what the first `share` of it tells, with a stated error.

    Mean: observed mean / share, with a Student interval over means of batches, since neighbouring
    windows are alike. Peak (99th percentile): deviations grow with the root of the load where users act
    alone, in proportion where they act together; the truth lies between. The users of the first part
    are taken for users like the others, which is the assumption to doubt first.

    Parameters
    ----------
    values : (n,), demand per window of the early traffic; two batches at least.
    share : part of the projected traffic that is live, above 0, at most 1.
    batch : windows of a batch, a day if there is one.

    Raises
    ------
    InputError
        If there are fewer than two batches or the share is out of bounds.
    """
    values = np.asarray(values, dtype=float)
    if not 0 < share <= 1:
        raise InputError.at("share", "must be above 0 and at most 1", value=share)
    batches = len(values) // batch
    if batches < 2:
        raise InputError(f"{len(values)} windows are fewer than two batches of {batch}: measure for longer")
    means = values[-batches * batch :].reshape(batches, batch).mean(axis=1)
    error = float(stdtrit(batches - 1, (1 + confidence) / 2)) * float(means.std(ddof=1)) / np.sqrt(batches)
    mean, low, high = (
        float(part) / share for part in (means.mean(), max(means.mean() - error, 0.0), means.mean() + error)
    )
    above = max(float(np.quantile(values, 0.99)) - float(values.mean()), 0.0)
    verdict = (
        "below the projection"
        if high < projected_mean
        else "above the projection"
        if low > projected_mean
        else "as projected"
    )
    return EarlyTraffic(
        mean, low, high, mean + above / np.sqrt(share), mean + above / share, mean / projected_mean, verdict
    )


def month_windows(window_minutes: float) -> float:
    """Windows of a month of 730 hours.

    >>> month_windows(10)
    4380.0
    """
    return HOURS_PER_MONTH * 60 / window_minutes
