"""Ways to pay side by side: all-in price, price of a used hour, break-even, tolerated price fall."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.finance.options import COMMITTED_OPTIONS, break_even_utilization, effective_prices, in_field
from aifactory.finance.tco import around_usd_per_hour
from aifactory.inputs.plan import Plan

UTILIZATIONS = np.linspace(0.1, 1.0, 10)
KEYS = ["accelerator_id", "region"]


def options_frame(prices: pd.DataFrame, pools: pd.DataFrame, accelerators: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Every offer for the pools of the plan, with the cost of an hour that is used.

    `around_usd_per_hour`: people and storage that go with an hour paid for, the same on every way to pay.
    `usd_per_used_hour`: the effective price and what goes with it; committed hours divided by the planning utilization,
    rented ones as they are. `break_even_utilization`: share of hours above which a commitment is the cheaper, both with what
    goes with them. `price_fall_tolerated`: by how much the price on demand may fall before it is as cheap as the
    commitment at that utilization; negative where on-demand is cheaper already.
    """
    here = prices.merge(pools[KEYS], on=KEYS, how="inner")
    rows = effective_prices(here, accelerators, plan)
    committed = rows["purchase_option"].isin(COMMITTED_OPTIONS)
    utilization = plan.value("planning_utilization")
    classes = accelerators.set_index("accelerator_id")["platform_class"]
    around = around_usd_per_hour(plan, in_field(rows["accelerator_id"].map(classes)))
    whole = rows["usd_per_accelerator_hour_effective"] + around
    rented = rows.loc[rows["purchase_option"] == "on_demand"].set_index(KEYS)["usd_per_accelerator_hour_effective"]
    listed = rented.reindex(pd.MultiIndex.from_frame(rows[KEYS])).where(committed.to_numpy()).to_numpy()
    rows["around_usd_per_hour"] = around
    rows["usd_per_used_hour"] = whole / np.where(committed, utilization, 1.0)
    rows["break_even_utilization"] = break_even_utilization(whole, listed + around)
    rows["price_fall_tolerated"] = (1.0 - rows["break_even_utilization"] / utilization) * (listed + around) / listed
    return rows.sort_values([*KEYS, "usd_per_used_hour", "purchase_option"], ignore_index=True)


def break_even_frame(options: pd.DataFrame) -> pd.DataFrame:
    """Cost of a used hour at ten utilizations, one row per offer and utilization."""
    grid = pd.DataFrame({"utilization": UTILIZATIONS})
    columns = [*KEYS, "purchase_option", "usd_per_accelerator_hour_effective", "around_usd_per_hour"]
    rows = options[columns].merge(grid, how="cross")
    committed = rows["purchase_option"].isin(COMMITTED_OPTIONS)
    price = rows["usd_per_accelerator_hour_effective"] + rows.pop("around_usd_per_hour")
    return rows.assign(usd_per_used_hour=np.where(committed, price / rows["utilization"], price))
