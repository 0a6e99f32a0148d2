"""What releases the next step of each band: the load that the monthly refresh watches, beside the load of today."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.buyplan.bands import POOL_USE
from aifactory.buyplan.compare import HOSTED
from aifactory.buyplan.pool_load import step_loads
from aifactory.buyplan.releases import COMMITMENT, PLACE, RENTED, counted_in, release_steps
from aifactory.demand.events import usual_factor
from aifactory.inventory.demand import in_whole_weeks
from aifactory.inventory.utilization import utilization_of_places

if TYPE_CHECKING:
    from aifactory.buyplan.plan import BuyPlan
    from aifactory.inputs.workspace import Workspace
    from aifactory.inventory import Inventory

BY_LOAD, ON_DATE = (
    "load, in accelerators that the work planned there keeps busy on average",
    "the date on which other kit ends or a use case starts",
)


def released_steps(plan: BuyPlan, ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    """`release_steps` of a plan as approval freezes them, with `load_now`: the accelerators at work that the refresh of the month would tell (NaN: none yet)."""
    steps = release_steps(plan.fleet, plan.bands, plan.orders, plan.options, ws.period)
    own = plan.approved_plan[plan.approved_plan["accelerator_id"] != HOSTED]
    if steps.empty or own.empty:
        return steps.assign(load_now=np.nan)
    weeks = in_whole_weeks(ws, inventory.windows, inventory.demand_monthly)
    usual = partial(usual_factor, ws.plan, inventory.demand_basis.seasons)
    return steps.assign(load_now=_loads_now(steps, step_loads(own, steps, weeks, ws.period, usual), ws.period))


def with_triggers(plan: BuyPlan, ws: Workspace, inventory: Inventory) -> BuyPlan:
    """The plan whose bands and orders tell what the monthly refresh will watch; orders gain `released_at` (NaN: no load releases them)."""
    steps = released_steps(plan, ws, inventory)
    bands = with_readings(plan.bands, utilization_of_places(ws.table("pools"), ws.period))
    plan = replace(plan, bands=next_triggers(bands, steps))
    if plan.orders.empty:
        return plan
    keys = [*PLACE, "purchase_option", "order_month", "start_month", "band"]
    waits = steps[(steps["kind"] == COMMITMENT) & steps["starts_with"].isna()].drop_duplicates(keys).set_index(keys)
    limits = waits["threshold_accelerators"].reindex(pd.MultiIndex.from_frame(plan.orders[keys])).to_numpy(dtype=float)
    return replace(plan, orders=plan.orders.assign(released_at=limits))


def _loads_now(steps: pd.DataFrame, loads: dict[tuple[str, str], pd.DataFrame], period: str) -> list[float]:
    found = []
    for step, month in zip(steps.itertuples(), counted_in(steps), strict=True):
        table, place = loads[month, step.kind], (step.region, step.accelerator_id)
        known = period in table.index and place in table.columns
        found.append(float(table.loc[period, place]) if known else np.nan)
    return found


def with_readings(bands: pd.DataFrame, used: pd.Series) -> pd.DataFrame:
    """Bands whose baseline tells the utilisation of its pool: `used` of the month by region and accelerator (NaN: no readings)."""
    base = (bands["trigger_indicator"] == POOL_USE).to_numpy()
    now = used.reindex(pd.MultiIndex.from_frame(bands[PLACE])).to_numpy(dtype=float)
    return bands.assign(current_value=np.where(base, now, bands["current_value"]))


def next_triggers(bands: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """Bands with the trigger of their next step in place of their general one; rows without a step stay as they are.

    Adds `next_step_accelerators` and `next_step_month` (0 and empty without one). A way to pay that commits waits for its orders, one by
    the hour for its capacity.
    """
    keys = [*PLACE, "band", "purchase_option"]
    kind = np.where(steps["purchase_option"].isin(RENTED), steps["kind"] != COMMITMENT, steps["kind"] == COMMITMENT)
    due = steps[kind].sort_values("order_month", kind="stable").drop_duplicates(keys).set_index(keys)
    due = due.reindex(pd.MultiIndex.from_frame(bands[keys]))
    mine, dated = due["accelerators"].notna().to_numpy(), due["starts_with"].notna().to_numpy()
    by_load = mine & ~dated
    return bands.assign(
        trigger_indicator=np.where(by_load, BY_LOAD, np.where(dated, ON_DATE, bands["trigger_indicator"])),
        trigger_threshold=np.where(
            mine, np.where(dated, np.nan, due["threshold_accelerators"]), bands["trigger_threshold"]
        ),
        current_value=np.where(mine, np.where(dated, np.nan, due["load_now"]), bands["current_value"]),
        next_step_accelerators=due["accelerators"].fillna(0).to_numpy(dtype=int),
        next_step_month=due["order_month"].fillna("").to_numpy(),
    )
