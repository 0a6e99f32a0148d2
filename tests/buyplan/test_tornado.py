"""Tornado: direction, order, switching values, assumptions that change the load."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, WAITS, make_inputs, make_plan, make_prices

from aifactory.buyplan.case import solve_case, solve_expected, with_assumption
from aifactory.buyplan.ledger import net_present_value
from aifactory.buyplan.tornado import (
    CAPACITY,
    COLUMNS,
    DEMAND,
    PRICES,
    expected_npv,
    switching_value,
    tornado_frame,
    with_prices,
)
from aifactory.fleet.streams import build_streams
from aifactory.report.buy_plan_sensitivity import chart_tornado, sensitivity_section

VALUES = {"wacc": 0.1, "tax_rate": 0.25, "contingency_share": 0.05, "spot_interruption_share": 0.1}
GROWTH = {"conservative": -0.02, "expected": 0.02, "aggressive": 0.06}


def tornado(tiny, fields=None, **changes):
    plan = make_plan(18, VALUES | changes.pop("values", {}))
    tables = make_inputs(plan, growth=GROWTH, **fields or {})
    case = tiny(plan=plan, growth=GROWTH, **changes, **fields or {})
    return case, tornado_frame(case, solve_case(case), lambda other: build_streams(other, PERIOD, **tables))


def test_widest_swing_first_and_only_what_matters(tiny):
    _, frame = tornado(tiny)
    assert frame["swing_usd"].is_monotonic_decreasing
    assert (frame["swing_usd"] > 0).all()
    assert "pue" not in set(frame["assumption"])  # nothing is owned
    assert {"wacc", "tax_rate", "contingency_share", DEMAND, CAPACITY} <= set(frame["assumption"])


def test_each_end_is_the_plan_with_that_value(tiny):
    case, frame = tornado(tiny)
    row = frame.set_index("assumption").loc["wacc"]
    assert (row["low"], row["value"], row["high"]) == pytest.approx((0.05, 0.1, 0.15))
    shift = net_present_value(solve_case(case).expected.ledger, case.plan) - expected_npv(case)
    assert row["npv_low_usd"] == pytest.approx(expected_npv(with_assumption(case, "wacc", 0.05)) + shift)
    assert row["npv_low_usd"] > row["npv_high_usd"]
    assert row["owner_role"] == "Analyst"


def test_more_demand_and_more_capacity_are_worth_more(tiny):
    _, frame = tornado(tiny)
    for name in (DEMAND, CAPACITY):
        row = frame.set_index("assumption").loc[name]
        assert row["low"] < 1 < row["high"]
        assert row["npv_low_usd"] < row["npv_high_usd"]


def test_offers_move_by_a_fifth_a_way_to_pay_at_a_time(tiny):
    """Hours a fifth cheaper save a fifth of what they cost where nothing is committed; a way to pay that nobody offers moves nothing."""
    case, frame = tornado(tiny, prices=make_prices(drop=["reserved_1y"]), values={"tax_rate": 0.0, "wacc": 0.0})
    rows = frame.set_index("assumption")
    assert set(PRICES) & set(rows.index) == {"prices by the hour"}
    row = rows.loc["prices by the hour"]
    assert (row["low"], row["value"], row["high"]) == (0.8, 1.0, 1.2)
    assert row["npv_low_usd"] > row["npv_high_usd"]
    line = solve_expected(case).ledger.compute.cost_usd.sum()
    contingency = 1 + case.plan.value("contingency_share")
    assert row["swing_usd"] == pytest.approx(0.4 * line * contingency, rel=0.25)  # shares of compute go with it
    assert row["swing_usd"] >= 0.4 * line


def test_a_cheaper_purchase_never_earns_less(tiny):
    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor"}
    case, frame = tornado(tiny, prices=make_prices(hardware))
    row = frame.set_index("assumption").loc["prices of purchases"]
    assert row["npv_low_usd"] > row["npv_high_usd"] > -np.inf
    dearer = with_prices(case, ["purchase"], 1.2)
    assert np.nanmax(dearer.offers.price) == pytest.approx(1.2 * np.nanmax(case.offers.price))
    np.testing.assert_array_equal(dearer.offers.on_demand, case.offers.on_demand)


def test_headroom_of_training_changes_the_fleet_that_must_be_held(tiny):
    # hardware only: twice the headroom for training means more nodes to buy
    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor"}
    prices = make_prices(hardware, drop=["on_demand", "reserved_1y"])
    _, frame = tornado(tiny, prices=prices, values={"planning_utilization": 0.8}, fields=WAITS)
    row = frame.set_index("assumption").loc["planning_utilization"]
    assert row["npv_low_usd"] < row["npv_high_usd"]


def test_porting_follows_the_cost_of_engineers(tiny):
    case = tiny(plan=make_plan(values={"engineer_usd_per_month": 10_000.0}), porting={"chat": 50_000.0})
    assert with_assumption(case, "engineer_usd_per_month", 15_000.0).porting["chat"] == pytest.approx(75_000)
    assert with_assumption(case, "wacc", 0.2).porting["chat"] == 50_000
    assert case.plan.value("wacc") == 0.0  # the case itself is unchanged


def test_without_value_there_is_no_tornado(tiny):
    _, frame = tornado(tiny, value_usd_per_unit=[np.nan, np.nan])
    assert frame.empty
    assert list(frame.columns) == COLUMNS


@pytest.mark.parametrize(
    ("ends", "expected"),
    [((100.0, -300.0), 1.5), ((-100.0, 100.0), 2.0), ((0.0, 50.0), 1.0), ((10.0, 20.0), np.nan), ((5.0, 5.0), np.nan)],
)
def test_switching_value(ends, expected):
    found = switching_value(1.0, 3.0, *ends)
    assert found == pytest.approx(expected, nan_ok=True)


def test_an_end_that_no_plan_can_hold_has_no_npv_and_fails_nothing(tiny):
    """Growth without damping asks for more nodes than can be planned: that end alone is left open, and its row stands last."""
    plan = make_plan(18, VALUES | {"growth_damping": 0.6})
    tables = make_inputs(plan, growth=GROWTH)
    case = tiny(plan=plan, growth=GROWTH)

    def restream(other):
        huge = other.value("growth_damping") > 0.8
        return build_streams(other, PERIOD, **(make_inputs(other, growth=GROWTH, chat=1e6) if huge else tables))

    frame = tornado_frame(case, solve_case(case), restream)
    last = frame.iloc[-1]
    assert (
        last["assumption"] == "growth_damping" and np.isnan(last["npv_high_usd"]) and np.isfinite(last["npv_low_usd"])
    )
    assert np.isnan(last["swing_usd"]) and np.isnan(last["switching_value"])
    rest = frame.iloc[:-1]["swing_usd"]
    assert rest.notna().all() and rest.is_monotonic_decreasing
    page = SimpleNamespace(tornado=frame, need=frame, roi=pd.DataFrame({"scenario": ["expected"], "npv_usd": [1.0]}))
    text = sensitivity_section(page).text
    assert "An end of Growth damping asks for more nodes than a plan can hold and has no NPV." in text
    drawn = chart_tornado(SimpleNamespace(as_of="2026-10-31"), page)
    assert "Growth damping" not in str(drawn.spec.get("datasets", drawn.spec))
