"""Own kit that no scenario needs any more: how much of it, from when on, and what its sale brings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case
from aifactory.buyplan.governance import money, month_name
from aifactory.finance.depreciation import residual_value
from aifactory.finance.options import with_network
from aifactory.fleet.nodes import TOLERANCE
from aifactory.fleet.placed import BOUGHT
from aifactory.units import MONTHS_PER_YEAR, percent


def idle_sentences(case: Case) -> list[str]:
    """One sentence for each pool with bought nodes that no scenario needs from some month to the end, of the most money first.

    Needed is what is held with its reserve in the scenario that needs most; leases and reserved capacity work before what is owned. The
    number is that of the last year of the horizon, the month the first from which on so many are idle.
    """
    found, decline = [], case.plan.value("residual_decline_per_year")
    for pool, place in enumerate(case.streams.pools.to_dict("records")):
        count, at = _idle(case, pool)
        if count:
            month = case.streams.months[at]
            edge = place["platform_class"] == "edge"
            usd = sale_usd(case, place["region"], place["accelerator_id"], month, field=edge)
            found.append((0.0 if np.isnan(usd) else usd * count, _sentence(place, count, month, usd, decline)))
    return [text for _, text in sorted(found, key=lambda each: -each[0])]


def _idle(case: Case, pool: int) -> tuple[int, int]:
    """Bought accelerators in whole nodes that nothing needs from a month on until the end; 0 where there are none."""
    size = float(case.streams.pools["accelerators_per_node"].iloc[pool])
    needed = np.max([load.level[:, pool] for load in case.loads], axis=0)
    owned = np.minimum(case.placed.bought[:, pool], case.placed.bought[0, pool])  # not what is on order
    spare = np.minimum(case.placed.accelerators[:, pool] - needed, owned)
    nodes = np.floor(np.maximum(spare, 0.0) / size + TOLERANCE)[1:]
    kept_idle = np.minimum.accumulate(nodes[::-1])[::-1]  # from each month to the end
    last_year = kept_idle[max(len(nodes) - MONTHS_PER_YEAR, 0)] if len(nodes) else 0.0
    return int(last_year * size), 1 + int((kept_idle >= last_year).argmax())


def sale_usd(case: Case, region: str, accelerator_id: str, month: str, *, field: bool = False) -> float:
    """Market value in a month of one accelerator bought there, by the order book, USD; NaN without a price.

    Its price, the share of the cluster network left out (none in the `field`), less the plan's decline since it went to work.
    """
    mine = (case.book["region"] == region) & (case.book["accelerator_id"] == accelerator_id)
    priced = (case.book["purchase_option"] == BOUGHT) & (case.book["upfront_usd"] > 0)
    book = case.book[mine & priced & (case.book["start_month"] <= month)]
    if book.empty:
        return np.nan
    price = book["upfront_usd"] / with_network(case.plan, np.array(field))
    age = [(pd.Period(month, "M") - pd.Period(start, "M")).n for start in book["start_month"]]
    return float(
        residual_value(price, case.plan.value("residual_decline_per_year"), age).sum() / book["accelerators"].sum()
    )


def _sentence(place: dict, count: int, month: str, usd: float, decline: float) -> str:
    are, them, its = ("is", "it", "its") if count == 1 else ("are", "them", "their")
    sale = (
        f"{its} sale would bring about {money(usd * count)} then, at a price that falls by {percent(decline)} a year"
        if usd > 0
        else f"what {its} sale would bring is not known, since no order tells {its} price"
    )
    return (
        f"{count:,} {place['accelerator_id']} in {place['region']} that {are} owned {are} idle from {month_name(month)} to the end in every scenario: "
        f"give {them} other work or sell {them}; {sale}, and is in none of the plan's figures."
    )
