"""Reserve of the dearest streams of the plan as an output: its risk, its price, and the plan's own ratio beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.buyplan.plan import BuyPlan
from aifactory.demand.profile import hourly_series
from aifactory.demand.reserve import Reserve, plan_reserve
from aifactory.demand.reserve_money import price_curve
from aifactory.errors import InputError
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.units import HOURS_PER_MONTH

HOURS_PER_WEEK, HOURS_PER_DAY = 168, 24
#: Streams shown, the dearest.
STREAMS = 3
#: Share of hours over capacity that a criticality bears: assumptions.
TARGETS = {"experimental": 0.05, "internal": 0.02, "customer_facing": 0.01, "critical": 0.005}
#: Weeks from order to use where no order says so: an assumption.
DEFAULT_LEAD_WEEKS = 4
STREAM = ["use_case_id", "region", "accelerator_id"]
SUMMARY = [*STREAM, "criticality", "target", "lead_weeks", "basis_per_hour", "capacity_per_hour", "reserve", "accelerators",
           "exceedance_backtest", "hours_per_month_over", "utilization", "origins", "plan_reserve_over_peak", "plan_capacity_per_hour", "note"]  # fmt: skip
CURVE = [*STREAM, "plan", "reserve", "exceedance", "hours_per_month_over", "utilization", "unserved_share", "accelerators",
         "usd_per_month", "usd_per_hour_avoided"]  # fmt: skip


@dataclass(frozen=True)
class ReserveCurves:
    """`summary`: a row per stream. `curve`: a row per stream and step of safety, in accelerators and USD a month."""

    summary: pd.DataFrame
    curve: pd.DataFrame


def size_reserves(ws: Workspace, inventory: Inventory, plan: BuyPlan) -> ReserveCurves:
    """Size the reserve of the plan's dearest served streams from their own hours.

    The lead time is the longest of the plan's orders for the accelerator and region. Capacity becomes
    accelerators at the plan's rate per accelerator-hour, and USD at its price on demand, else at the
    cheapest one. Work that may wait (jobs) is left out: it needs no reserve.
    """
    if plan.need.empty:  # nothing could be sized
        return ReserveCurves(pd.DataFrame(columns=SUMMARY), pd.DataFrame(columns=CURVE))
    cases = ws.table("use_cases").set_index("use_case_id")
    first = plan.need[(plan.need["scenario"] == "expected") & (plan.need["month"] == plan.need["month"].min())]
    served = first[first["use_case_id"].map(cases["service_unit"]) != "accelerator_hour"]
    prices = [
        hourly_price(plan.options, *place) for place in zip(served["accelerator_id"], served["region"], strict=True)
    ]
    dear = served.assign(usd_per_hour=served["accelerators_with_reserve"] * prices)
    largest = dear[dear["accelerator_hours"] > 0].nlargest(STREAMS, "usd_per_hour")
    summary, curves = [], []
    end = pd.Timestamp(f"{ws.period}-01", tz="UTC") + pd.DateOffset(months=1)
    for stream in largest.itertuples(index=False):
        mine = inventory.windows[
            (inventory.windows["use_case_id"] == stream.use_case_id) & (inventory.windows["region"] == stream.region)
        ]
        hourly = hourly_series(mine[mine["window_start_utc"] < end]).to_numpy()
        row, curve = _stream(stream, hourly, str(cases.loc[stream.use_case_id, "criticality"]), plan)
        summary.append(row)
        curves += [curve] if curve is not None else []
    return ReserveCurves(
        pd.DataFrame(summary).reindex(columns=SUMMARY),
        pd.concat(curves, ignore_index=True)[CURVE] if curves else pd.DataFrame(columns=CURVE),
    )


def _stream(
    stream: tuple, hourly: np.ndarray, criticality: str, plan: BuyPlan
) -> tuple[dict[str, object], pd.DataFrame | None]:
    keys = {name: getattr(stream, name) for name in STREAM}
    weeks, target = lead_weeks(plan.orders, stream.accelerator_id, stream.region), TARGETS[criticality]
    row: dict[str, object] = keys | {"criticality": criticality, "target": target, "lead_weeks": weeks, "note": ""}
    try:
        found = plan_reserve(hourly, round(weeks * HOURS_PER_WEEK), target, HOURS_PER_DAY)
    except InputError as error:
        return row | {"note": str(error)}, None
    per_accelerator = stream.units / stream.accelerator_hours
    peak_per_hour = stream.accelerators_peak * per_accelerator
    row |= {
        "basis_per_hour": found.basis_value,
        "capacity_per_hour": found.capacity,
        "reserve": found.reserve,
        "accelerators": found.capacity / per_accelerator,
        "exceedance_backtest": found.exceedance_backtest,
        "hours_per_month_over": found.hours_per_month_over,
        "utilization": found.utilization,
        "origins": found.origins,
        "plan_reserve_over_peak": stream.reserve_ratio,
        "plan_capacity_per_hour": peak_per_hour * (1 + stream.reserve_ratio),
        "note": "; ".join(found.notes),
    }
    return row, _curve(found, keys, per_accelerator, hourly_price(plan.options, stream.accelerator_id, stream.region))


def _curve(found: Reserve, keys: dict[str, str], per_accelerator: float, usd_per_hour: float) -> pd.DataFrame:
    priced = price_curve(found, usd_per_hour / per_accelerator * HOURS_PER_MONTH, HOURS_PER_MONTH)
    return priced.assign(
        **keys, accelerators=priced["capacity"] / per_accelerator, usd_per_month=priced["capacity_usd_per_month"]
    )


def lead_weeks(orders: pd.DataFrame, accelerator_id: str, region: str) -> float:
    """Longest lead time of the plan's orders for an accelerator in a region, else the default, weeks."""
    mine = orders[(orders["accelerator_id"] == accelerator_id) & (orders["region"] == region)]["lead_time_weeks"]
    longest = float(mine.max()) if mine.notna().any() else 0.0
    return longest if longest > 0 else float(DEFAULT_LEAD_WEEKS)


def hourly_price(options: pd.DataFrame, accelerator_id: str, region: str) -> float:
    """USD per accelerator-hour on demand, else the least effective price of any option; NaN unknown."""
    mine = options[(options["accelerator_id"] == accelerator_id) & (options["region"] == region)]
    rented = mine[mine["purchase_option"] == "on_demand"]
    price = (rented if len(rented) else mine)["usd_per_accelerator_hour_effective"].min()
    return float(price)
