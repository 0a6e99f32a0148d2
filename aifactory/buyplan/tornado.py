"""What moves the result: NPV of the expected scenario with one thing changed at a time.

Orders are made anew for every value by the rule of the plan, as they would be if it were known before signing, for the
expected demand alone; what the plan over many demand paths earns more or less than such orders is added to every value,
so that the values without a change are those of the plan. The rows of demand are the other two scenarios themselves; prices of the offers
move by `PRICE_RANGE` either way, a way to pay at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.case import (
    LOAD_ASSUMPTIONS,
    SPREAD_ASSUMPTIONS,
    Answer,
    Case,
    rebuilt,
    solve_expected,
    with_assumption,
    with_streams,
)
from aifactory.buyplan.choose import quick_orders
from aifactory.buyplan.ledger import net_present_value
from aifactory.finance.options import COMMITTED_OPTIONS, FLEXIBLE_OPTIONS
from aifactory.fleet.nodes import TooManyNodesError
from aifactory.fleet.streams import EXPECTED, Streams
from aifactory.inputs.plan import Plan
from aifactory.units import SCENARIOS, percent

COLUMNS = [
    "assumption",
    "low",
    "value",
    "high",
    "npv_low_usd",
    "npv_high_usd",
    "swing_usd",
    "switching_value",
    "unit",
    "owner_role",
    "source",
]
DEMAND, CAPACITY = "demand (conservative to aggressive)", "capacity (low to high)"
#: Offers whose prices move together -> their ways to pay.
PRICES = {
    "prices of purchases": ("purchase",),
    "prices of leases and reserved terms": tuple(name for name in COMMITTED_OPTIONS if name != "purchase"),
    "prices by the hour": FLEXIBLE_OPTIONS,
}
#: Share by which the prices of a group are taken lower and higher: quotes carry no range.
PRICE_RANGE = 0.2


def tornado_frame(case: Case, answer: Answer, restream: Callable[[Plan], Streams]) -> pd.DataFrame:
    """Return one row per assumption with a range, widest swing first.

    Empty where NPV is not computed; assumptions without effect on it are left out. An end that asks for more nodes than a plan can
    hold has no NPV; its row has no swing and stands last.

    `restream` makes the streams of another plan, for the assumptions that change the load. The
    switching value is where NPV crosses zero on the straight line between low and high.
    """
    base = net_present_value(answer.expected.ledger, case.plan)
    if np.isnan(base):
        return pd.DataFrame(columns=COLUMNS)
    shift = base - expected_npv(case)
    rows = []
    for name, item in case.plan.assumptions.items():
        if item.low is None or item.high is None or item.low == item.high or name in SPREAD_ASSUMPTIONS:
            continue
        ends = [_npv_with(case, name, value, restream) + shift for value in (item.low, item.high)]
        about = {"unit": item.unit, "owner_role": item.owner_role, "source": item.source}
        rows.append(_row(name, (item.low, item.value, item.high), ends, about))
    rows += [_demand_row(case, answer), _capacity_row(case, shift)]
    rows += [_price_row(case, name, options, shift) for name, options in PRICES.items()]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame = frame[(frame["swing_usd"] > 0) | frame["swing_usd"].isna()]
    return frame.sort_values(["swing_usd", "assumption"], ascending=[False, True], ignore_index=True)


def expected_npv(case: Case) -> float:
    """NPV of the expected scenario with the orders that the rule of the plan makes for it alone."""
    wanted = case.streams.sized(case.streams.units[EXPECTED])[None, 1:]
    return net_present_value(solve_expected(*quick_orders(case, wanted)).ledger, case.plan)


def _npv_with(case: Case, name: str, value: float, restream: Callable[[Plan], Streams]) -> float:
    changed = with_assumption(case, name, value)
    if name in LOAD_ASSUMPTIONS:
        return _npv_of(changed, restream(changed.plan))
    return expected_npv(changed)


def _npv_of(case: Case, streams: Streams) -> float:
    """NPV of the case with other streams; NaN where no plan can hold the nodes that they ask for."""
    try:
        changed = with_streams(case, case.plan, streams)
    except TooManyNodesError:
        return float("nan")
    return expected_npv(changed)


def _row(name: str, values: tuple[float, float, float], ends: list[float], about: dict) -> dict:
    low, value, high = values
    return {
        "assumption": name,
        "low": low,
        "value": value,
        "high": high,
        "npv_low_usd": ends[0],
        "npv_high_usd": ends[1],
        "swing_usd": abs(ends[1] - ends[0]),
        "switching_value": switching_value(low, high, *ends),
        **about,
    }


def switching_value(low: float, high: float, npv_low: float, npv_high: float) -> float:
    """Where the line through both ends crosses zero; NaN if the sign does not change.

    >>> switching_value(1.0, 3.0, 100.0, -300.0)
    1.5
    """
    if npv_low * npv_high > 0 or npv_low == npv_high:
        return float("nan")
    return low + (high - low) * npv_low / (npv_low - npv_high)


def _demand_row(case: Case, answer: Answer) -> dict:
    """NPV of the other two scenarios, placed by their accelerator-hours relative to expected."""
    streams = case.streams
    hours = [streams.of_scenario(index).sized(units)[1:].sum() for index, units in enumerate(streams.units)]
    relative = [value / hours[EXPECTED] if hours[EXPECTED] > 0 else 1.0 for value in hours]
    by_name = dict(zip(SCENARIOS, answer.scenarios, strict=True))
    ends = [net_present_value(by_name[name].ledger, case.plan) for name in ("conservative", "aggressive")]
    values = (relative[SCENARIOS.index("conservative")], 1.0, relative[SCENARIOS.index("aggressive")])
    owner = case.plan.assumptions["growth_damping"].owner_role
    about = {"unit": "of expected accelerator-hours", "owner_role": owner, "source": "scenarios of plan.yaml"}
    return _row(DEMAND, values, ends, about)


def with_prices(case: Case, options: Sequence[str], times: float) -> Case:
    """The case with the offers of some ways to pay at so many times their price; what was ordered before keeps its own, but for the support of owned kit whose price no order tells."""
    mine = case.prices["purchase_option"].isin(options)
    columns = ["usd_per_accelerator_hour", "usd_per_accelerator"]
    changed = case.prices[columns].where(~mine, case.prices[columns] * times)
    return rebuilt(replace(case, prices=case.prices.assign(**changed)), case.plan, case.streams)


def _price_row(case: Case, name: str, options: Sequence[str], shift: float) -> dict:
    """All offers of some ways to pay cheaper or dearer by the same share, today and later."""
    times = 1.0 - PRICE_RANGE, 1.0, 1.0 + PRICE_RANGE
    ends = [expected_npv(with_prices(case, options, value)) + shift for value in (times[0], times[2])]
    owner = case.plan.assumptions["growth_damping"].owner_role
    about = {
        "unit": "times the offers",
        "owner_role": owner,
        "source": f"{percent(PRICE_RANGE)} either way, quotes state no range",
    }
    return _row(name, times, ends, about)


def _capacity_row(case: Case, shift: float) -> dict:
    """All capacities at the low or high end of their intervals at once."""
    table = case.streams.table
    capacity = table["units_per_s_per_accelerator"]
    ends, relative = [], []
    for name in ("low", "high"):
        ratio = (table[name] / capacity).fillna(1.0)
        streams = replace(case.streams, table=table.assign(units_per_s_per_accelerator=capacity * ratio))
        ends.append(_npv_of(case, streams) + shift)
        relative.append(float(np.average(ratio, weights=table["units_month"].clip(lower=1e-9) / capacity)))
    owner = case.plan.assumptions["planning_utilization"].owner_role
    about = {"unit": "of the rate planned with", "owner_role": owner, "source": "benchmark intervals"}
    return _row(CAPACITY, (relative[0], 1.0, relative[1]), ends, about)
