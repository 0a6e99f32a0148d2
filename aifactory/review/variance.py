"""Why cost moved: five causes that add up to the difference exactly.

cost = units x w x (h / w) x p, with units of service, w work per unit (tokens; 1 where none are
counted), h paid accelerator-hours per unit and p the mean price of an accelerator-hour. The
causes are taken one after the other, from base to actual, in this order:

volume       (u1 - u0) w0 (h/w)0 p0
efficiency   u1 (w1 - w0) (h/w)0 p0           more or less work per unit
utilization  u1 w1 ((h/w)1 - (h/w)0) p0       more or fewer paid hours per work
mix          H1 (p0' - p0)                    other accelerators, at the base's prices
price        H1 (p1 - p0')                    the same accelerators at other prices

H1 = u1 w1 (h/w)1 are the paid hours, p0' the base's prices weighted with the actual hours. An
accelerator that the base did not use is priced at its actual rate, so its effect is mix.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

CAUSES = ("volume", "efficiency", "utilization", "mix", "price")
FACTOR_COLUMNS = ["units", "work", "hours", "cost"]


def split_variance(
    base: pd.DataFrame, actual: pd.DataFrame, base_hours: pd.DataFrame, actual_hours: pd.DataFrame
) -> pd.DataFrame:
    """Split the cost difference of each row by cause.

    Parameters
    ----------
    base, actual : indexed alike (use case), columns units, work, hours, cost (USD); hours and
        cost cover the same charges.
    base_hours, actual_hours : hours and cost per (index, accelerator_id), columns hours, cost.

    Returns
    -------
    Columns base_usd, actual_usd, difference_usd and one column per cause; rows present in both
    with hours on both sides. Causes add up to the difference.
    """
    rows = base.index.intersection(actual.index)
    usable = rows[((base.loc[rows, ["units", "hours"]] > 0) & (actual.loc[rows, ["units", "hours"]] > 0)).all(axis=1)]
    zero, one = base.loc[usable], actual.loc[usable]
    work0, work1 = zero["work"] / zero["units"], one["work"] / one["units"]
    pace0, pace1 = zero["hours"] / zero["work"], one["hours"] / one["work"]
    price0, price1 = zero["cost"] / zero["hours"], one["cost"] / one["hours"]
    mixed = _base_price_of_actual_mix(base_hours, actual_hours).reindex(usable)
    table = pd.DataFrame(
        {"base_usd": zero["cost"], "actual_usd": one["cost"], "difference_usd": one["cost"] - zero["cost"]}
    )
    table["volume"] = (one["units"] - zero["units"]) * work0 * pace0 * price0
    table["efficiency"] = one["units"] * (work1 - work0) * pace0 * price0
    table["utilization"] = one["units"] * work1 * (pace1 - pace0) * price0
    table["mix"] = one["hours"] * (mixed - price0)
    table["price"] = one["hours"] * (price1 - mixed)
    return table


def _base_price_of_actual_mix(base: pd.DataFrame, actual: pd.DataFrame) -> pd.Series:
    """Base prices weighted with the actual hours, per first index level."""
    own = actual["cost"] / actual["hours"]
    rate = (base["cost"] / base["hours"]).reindex(actual.index)
    rate = rate.where(np.isfinite(rate), own)
    weighted = (rate * actual["hours"]).groupby(level=0).sum()
    return weighted / actual["hours"].groupby(level=0).sum()
