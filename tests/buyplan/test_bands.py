"""Bands and orders: they add up, and say when to order what."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, make_case, make_inputs, make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.bands import POOL_USE, _milestone, bands_frame, fleet_frame, orders_frame
from aifactory.buyplan.case import solve_case
from aifactory.buyplan.options_table import break_even_frame, options_frame

HARDWARE = {
    "purchase_option": "purchase",
    "usd_per_accelerator": 10_000.0,
    "region": "*",
    "provider": "vendor",
    "lead_time_weeks": 10.0,
}


def bands_of(case):
    answer = solve_case(case)
    accelerators = make_inputs(case.plan)["accelerators"]
    options = options_frame(case.prices, case.streams.pools, accelerators, case.plan)
    return answer, bands_frame(case, answer, options, PERIOD)


def test_bands_by_hand(tiny):
    # nodes 1-4 work at least half the hours (break-even 0.5): baseline; peak and reserve ask for two more
    answer, bands = bands_of(tiny())
    fleet = fleet_frame(tiny(), answer).query("scenario == 'expected'")
    assert (fleet[["accelerators", "baseline", "growth", "surge", "committed"]] == [24, 16, 0, 8, 8]).all().all()
    rows = bands.set_index(["band", "purchase_option"])
    assert rows["accelerators_now"].to_dict() == {
        ("baseline", "on_demand"): 8,
        ("baseline", "reserved_1y"): 8,
        ("surge", "on_demand"): 8,
    }
    assert rows["hours_used_share"].tolist() == pytest.approx([0.5, 1.0, 0.0])
    assert rows["usd_month"].tolist() == pytest.approx([11_680, 11_680, 0.0])
    assert rows["usd_per_accelerator_hour"].tolist() == pytest.approx([4.0, 2.0, 4.0])


def test_order_dates_terms_and_triggers(tiny):
    _, bands = bands_of(tiny())
    row = bands.set_index("purchase_option").loc["reserved_1y"]
    assert (row["order_by_month"], row["expires"], row["lead_time_weeks"]) == ("2026-11", "2027-11", 0.0)
    assert row["trigger_threshold"] == 0.7
    assert row["trigger_indicator"] == POOL_USE and np.isnan(row["current_value"])  # readings of the pool tell it
    surge = bands[bands["band"] == "surge"].iloc[0]
    assert surge["trigger_threshold"] == 0.5
    assert surge["current_value"] == 0.0
    assert surge["order_by_month"] == ""


BLOCK = {
    "purchase_option": "capacity_block",
    "usd_per_accelerator_hour": 1.0,
    "term_months": 6,
    "region": "eu",
    "provider": "cloud",
}


def test_a_slot_paid_for_in_two_ways_is_in_the_band_of_each_while_it_is(tiny):
    """Until bought nodes come, blocks of months bridge; at the end only what is bought stands, and the purchase is no renewal."""
    late = HARDWARE | {"lead_time_weeks": 30.0, "usd_per_accelerator": 5_000.0}
    case = tiny(prices=make_prices(late, BLOCK, drop=["reserved_1y"]))
    answer, bands = bands_of(case)
    rows = bands[bands["accelerators_max"] > 0].set_index(["band", "purchase_option"])
    block, bought = rows.loc[("baseline", "capacity_block")], rows.loc[("baseline", "purchase")]
    assert block["accelerators_now"] == 16 and block["accelerators_end"] == 0
    assert bought["accelerators_now"] == 0 and bought["accelerators_end"] == 16
    orders = orders_frame(case, answer, case.prices)
    assert set(orders["purchase_option"]) == {"capacity_block", "purchase"} and not orders["renewal"].any()
    assert orders.groupby("purchase_option")["order_index"].min().to_dict() == {"purchase": 1, "capacity_block": 2}
    fleet = fleet_frame(case, answer).query("scenario == 'expected'")
    assert bands["accelerators_end"].sum() == fleet["accelerators"].iloc[-1]
    assert bands["accelerators_now"].sum() == fleet["accelerators"].iloc[0]


def test_a_milestone_of_several_months_and_use_cases_is_named_once(tiny):
    launches = [
        {"use_case_id": "chat", "month": month, "demand_multiplier": 2.0, "milestone": name}
        for month, name in (
            ("2027-12", "Christmas"),
            ("2027-11", "Christmas"),
            ("2027-11", "Christmas"),
            ("2027-05", "Fair"),
        )
    ]
    row = SimpleNamespace(region="eu", accelerator_id="acc", band="growth", purchase_option="purchase", hours_used_share=1.0)  # fmt: skip
    said = _milestone(tiny(plan=make_plan(launches=launches)), row, PERIOD, 0)
    assert said == "Christmas (2027-11, 2027-12); Fair (2027-05)"


def test_a_use_case_that_starts_is_a_milestone_of_its_pool(tiny):
    case = tiny(plan=make_plan())
    units = case.streams.units.copy()
    chat = (case.streams.table["use_case_id"] == "chat").to_numpy()
    units[:, :3, chat] = 0.0  # the period and two months
    late = replace(case, streams=replace(case.streams, units=units))
    row = SimpleNamespace(region="eu", accelerator_id="acc", band="growth", purchase_option="purchase", hours_used_share=1.0)  # fmt: skip
    assert _milestone(late, row, PERIOD, 0) == "chat starts (2027-01)"
    assert _milestone(case, row, PERIOD, 0) == f"expected growth to {case.streams.months[-1]}"
    units[:, 0, chat] = 1.0  # it runs on a hosted model until then
    moves = replace(case, streams=replace(case.streams, units=units))
    assert _milestone(moves, row, PERIOD, 0) == "chat moves (2027-01)"


def test_growth_is_ordered_when_the_node_is_busy_enough(tiny):
    # 11.25 + 4 accelerators by day fill four nodes; the fifth is needed from the second month on
    case = tiny(plan=make_plan(24), growth={"expected": 0.06}, chat=7.5)
    answer, bands = bands_of(case)
    fleet = fleet_frame(case, answer).query("scenario == 'expected'")
    assert fleet["growth"].iloc[0] == 0
    assert fleet["growth"].iloc[-1] > 0
    growth = bands[(bands["band"] == "growth") & (bands["purchase_option"] == "reserved_1y")].iloc[0]
    orders = orders_frame(case, answer, case.prices).query("band == 'growth'")
    assert growth["order_by_month"] == orders["order_month"].min() > "2026-11"


def test_launch_is_the_milestone_of_its_pool(tiny):
    launch = {"use_case_id": "chat", "month": "2027-03", "demand_multiplier": 2.0, "milestone": "Spring launch"}
    _, bands = bands_of(tiny(plan=make_plan(launches=[launch])))
    milestones = bands.drop_duplicates("band").set_index("band")["milestone"].to_dict()
    assert milestones == {"baseline": "demand of 2026-10, already served", "surge": "Spring launch (2027-03)"}


def test_orders_by_hand(tiny):
    case = tiny(plan=make_plan(24))
    orders = orders_frame(case, solve_case(case), case.prices)
    # two nodes of four for a year: 2 x 12 x 5,840; renewed once
    assert orders["accelerators"].tolist() == [8, 8]
    assert orders["commitment_usd"].tolist() == pytest.approx([140_160, 140_160])
    assert orders["renewal"].tolist() == [False, True]
    assert orders["order_month"].tolist() == ["2026-11", "2027-11"]
    assert orders["expires"].tolist() == ["2027-11", "2028-11"]
    assert orders["provider"].tolist() == ["cloud", "cloud"]


def test_purchase_order_leads_its_use_and_never_predates_the_report(tiny):
    case = tiny(plan=make_plan(36), prices=make_prices(HARDWARE))
    orders = orders_frame(case, solve_case(case), case.prices).query("purchase_option == 'purchase'")
    first = orders.iloc[0]
    # ten weeks from 1 November end on 10 January: the first whole month of use is February
    assert (first["order_month"], first["start_month"], first["expires"]) == ("2026-11", "2027-02", "")
    assert (orders["order_month"] > PERIOD).all()


@settings(max_examples=10)
@given(st.floats(-0.1, 0.12), st.floats(0.0, 30.0), st.floats(0.0, 30.0))
def test_bands_add_up_in_every_scenario(growth, chat, train):
    case = make_case(
        plan=make_plan(18), growth=dict.fromkeys(("expected", "aggressive"), growth), chat=chat, train=train
    )
    answer, bands = bands_of(case)
    fleet = fleet_frame(case, answer)
    assert (fleet["accelerators"] == fleet[["baseline", "growth", "surge"]].sum(axis=1)).all()
    assert (fleet[["accelerators", "baseline", "growth", "surge"]] % 4 == 0).all().all()
    total = answer.expected.ledger.compute.cost_usd.sum() / 18
    assert bands["usd_month"].sum() == pytest.approx(total, abs=0.01)


def test_no_demand_no_orders(tiny):
    case = tiny(chat=0.0, train=0.0)
    answer, bands = bands_of(case)
    assert bands.empty
    assert orders_frame(case, answer, case.prices).empty
    assert fleet_frame(case, answer)["accelerators"].sum() == 0


def test_options_side_by_side(tiny):
    case = tiny(plan=make_plan(values={"planning_utilization": 0.8}))
    options = options_frame(case.prices, case.streams.pools, make_inputs(case.plan)["accelerators"], case.plan)
    rows = options.set_index("purchase_option")
    assert rows.loc["reserved_1y", "usd_per_used_hour"] == pytest.approx(2.5)
    assert rows.loc["on_demand", "usd_per_used_hour"] == pytest.approx(4.0)
    assert rows.loc["reserved_1y", "price_fall_tolerated"] == pytest.approx(1 - 2.5 / 4)
    assert np.isnan(rows.loc["on_demand", "price_fall_tolerated"])


def test_people_and_storage_are_in_a_used_hour(tiny):
    """USD 1 an hour for people: 3 held against 5 rented pays above 60 %, and list may fall to where (3 / 0.8 - 1) is its price."""
    case = tiny(plan=make_plan(values={"planning_utilization": 0.8, "operator_usd_per_month": 73_000.0}))
    options = options_frame(case.prices, case.streams.pools, make_inputs(case.plan)["accelerators"], case.plan)
    rows = options.set_index("purchase_option")
    assert rows["around_usd_per_hour"].tolist() == [1.0, 1.0]
    assert rows.loc["reserved_1y", "break_even_utilization"] == pytest.approx(0.6)
    assert rows.loc["reserved_1y", "usd_per_used_hour"] == pytest.approx(3 / 0.8)
    assert rows.loc["reserved_1y", "price_fall_tolerated"] == pytest.approx(1 - (3 / 0.8 - 1) / 4)
    lines = break_even_frame(options).set_index(["purchase_option", "utilization"])["usd_per_used_hour"]
    assert lines["reserved_1y"].to_numpy()[4] == pytest.approx(6.0)  # half of the hours
    assert (lines["on_demand"] == 5.0).all()


def test_break_even_lines_cross_at_the_break_even(tiny):
    case = tiny()
    options = options_frame(case.prices, case.streams.pools, make_inputs(case.plan)["accelerators"], case.plan)
    lines = break_even_frame(options).pivot_table(
        index="utilization", columns="purchase_option", values="usd_per_used_hour"
    )
    crossing = lines.loc[np.isclose(lines.index, 0.5)].iloc[0]
    assert crossing["reserved_1y"] == pytest.approx(crossing["on_demand"])
    assert isinstance(lines, pd.DataFrame)
    assert len(lines) == 10


def test_where_no_hours_are_rented_a_band_waits_for_the_load_of_its_order(tiny):
    """Chat grows by 10 % a month from 8, training stays at 4: load of today, 12, over that of the month of the order."""
    bought = {"purchase_option": "purchase", "usd_per_accelerator": 1_000.0, "region": "*", "provider": "vendor"}
    case = tiny(prices=make_prices(bought, drop=["on_demand", "reserved_1y"]), growth={"expected": 0.1})
    options = pd.DataFrame(
        columns=["accelerator_id", "region", "purchase_option", "usd_per_accelerator_hour_effective"]
    )
    bands = bands_frame(case, solve_case(case), options, PERIOD)
    growth = bands[bands["band"] == "growth"].iloc[0]
    step = (pd.Period(growth["order_by_month"], "M") - pd.Period(PERIOD, "M")).n
    assert step > 1 and growth["trigger_threshold"] == 1.0
    assert growth["current_value"] == pytest.approx(12 / (8 * 1.1**step + 4))
    assert "load over that at which its first node is due" in growth["trigger_indicator"]


def test_nodes_that_nobody_rents_are_not_called_rented(tiny):
    """Hardware comes after the horizon; for all of it the nodes are needed and not to be had."""
    bought = {"purchase_option": "purchase", "usd_per_accelerator": 1_000.0, "region": "*", "provider": "vendor",
              "lead_time_weeks": 60.0}  # fmt: skip
    case = tiny(prices=make_prices(bought, drop=["on_demand", "reserved_1y"]))
    options = options_frame(case.prices, case.streams.pools, make_inputs(case.plan)["accelerators"], case.plan)
    bands = bands_frame(case, solve_case(case), options, PERIOD)
    assert set(bands["purchase_option"]) == {"missing"}
    assert (bands["usd_month"] == 0).all() and bands["accelerators_now"].sum() > 0


@pytest.mark.parametrize(
    ("option", "used", "since", "stands", "rent", "words"),
    [
        ("purchase", 0.9, 0, 0.0, 4.0, "demand of 2026-10, already served"),
        ("purchase", 0.9, 0, 8.0, np.inf, "demand of 2026-10, already served"),
        ("purchase", 0.9, 0, 0.0, np.inf, "demand of 2026-10, served on other kit so far"),
        ("purchase", 0.9, 2, 0.0, np.inf, "demand of 2026-10, from 2026-12 on"),  # bought when a running term ends
        ("owned", 0.001, 0, 8.0, 4.0, "runs by its term"),
        ("purchase", 0.001, 2, 8.0, 4.0, "more demand than expected"),
    ],
)
def test_a_baseline_says_whom_it_serves_and_since_when(option, used, since, stands, rent, words):
    table = pd.DataFrame(columns=["use_case_id", "region", "accelerator_id"])
    months = ["2026-10", "2026-11", "2026-12"]
    pools = pd.DataFrame({"region": ["eu", "us"], "accelerator_id": "h100"})
    case = SimpleNamespace(
        streams=SimpleNamespace(table=table, months=months, pools=pools), plan=SimpleNamespace(launches=[]),
        placed=SimpleNamespace(accelerators=np.array([[4.0, stands]])), offers=SimpleNamespace(on_demand=np.array([9.0, rent])),
    )  # fmt: skip
    row = SimpleNamespace(region="us", accelerator_id="h100", band="baseline", purchase_option=option, hours_used_share=used)  # fmt: skip
    assert _milestone(case, row, "2026-10", since) == words
