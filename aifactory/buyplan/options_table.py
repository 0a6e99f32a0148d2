"""Ways to pay side by side: all-in price, price of a used hour, break-even, tolerated price fall."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.finance.options import COMMITTED_OPTIONS, effective_prices
from aifactory.inputs.plan import Plan

UTILIZATIONS = np.linspace(0.1, 1.0, 10)
KEYS = ["accelerator_id", "region"]


def options_frame(prices: pd.DataFrame, pools: pd.DataFrame, accelerators: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Every offer for the pools of the plan, with the cost of an hour that is used.

    `usd_per_used_hour`: committed hours divided by the planning utilization, rented ones as they
    are. `price_fall_tolerated`: by how much on-demand may fall before it is as cheap as the
    commitment at that utilization; negative where on-demand is cheaper already.
    """
    here = prices.merge(pools[KEYS], on=KEYS, how="inner")
    rows = effective_prices(here, accelerators, plan)
    committed = rows["purchase_option"].isin(COMMITTED_OPTIONS)
    use = np.where(committed, plan.value("planning_utilization"), 1.0)
    rows["usd_per_used_hour"] = rows["usd_per_accelerator_hour_effective"] / use
    rows["price_fall_tolerated"] = 1.0 - rows["break_even_utilization"] / plan.value("planning_utilization")
    return rows.sort_values([*KEYS, "usd_per_used_hour", "purchase_option"], ignore_index=True)


def break_even_frame(options: pd.DataFrame) -> pd.DataFrame:
    """Cost of a used hour at ten utilizations, one row per offer and utilization."""
    grid = pd.DataFrame({"utilization": UTILIZATIONS})
    columns = [*KEYS, "purchase_option", "usd_per_accelerator_hour_effective"]
    rows = options[columns].merge(grid, how="cross")
    committed = rows["purchase_option"].isin(COMMITTED_OPTIONS)
    price = rows["usd_per_accelerator_hour_effective"]
    return rows.assign(usd_per_used_hour=np.where(committed, price / rows["utilization"], price))
