"""Comparisons: the plan is never dearer than a rule priced by the same function."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import make_case, make_inputs, make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.case import solve_case
from aifactory.buyplan.compare import api_frame, comparisons_frame, usd_per_unit, worse_policies

HARDWARE = {
    "purchase_option": "purchase",
    "usd_per_accelerator": 20_000.0,
    "region": "*",
    "provider": "vendor",
    "lead_time_weeks": 10.0,
}


def api_rows(**changes):
    row = {
        "api_model": "host/Model-8B-Instruct",
        "provider": "host",
        "input_usd_per_mtok": 0.1,
        "cached_input_usd_per_mtok": np.nan,
        "output_usd_per_mtok": 0.2,
        "batch_input_usd_per_mtok": np.nan,
        "batch_output_usd_per_mtok": np.nan,
        "usd_per_image": 0.03,
        "usd_per_audio_minute": np.nan,
        "deprecation_date": pd.NaT,
        "source": "hand-made",
        "as_of": pd.Timestamp("2026-10-01"),
        "confidence": "measured",
    }
    frame = pd.DataFrame([row | changes])
    return frame.astype({"deprecation_date": "datetime64[us]"})


def compared(case, api=None):
    answer = solve_case(case)
    prices = api_frame(case, api_rows().iloc[:0] if api is None else api, "2026-10-31")
    return comparisons_frame(case, answer, prices).set_index("policy")


def test_policies_by_hand(tiny):
    cost = compared(tiny())["usd_horizon"] / 12
    assert cost["This plan"] == pytest.approx(23_360)
    assert cost["All on demand"] == pytest.approx(3 * 11_680)  # use 1 + 1 + .5 + .5 of a node at 11,680
    # average with reserve 8 x 1.4 + 4 = 15.2 accelerators: four nodes
    assert cost["Average + 20 % / 40 % / 50 % reserved for 1 year"] == pytest.approx(4 * 5_840)
    assert not [name for name in cost.index if "3 years" in name or "bought" in name]  # nobody offers them


def test_a_rule_that_buys_rents_until_delivery_by_hand(tiny):
    """Four nodes at USD 80,000 from month 4 on, sold after 33 months at half a year before; until then three nodes' hours are rented."""
    long = {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 1.9, "term_months": 36}
    plan = make_plan(36, {"residual_decline_per_year": 0.5})
    cost = compared(tiny(plan=plan, prices=make_prices(HARDWARE, long)))["usd_horizon"]
    worn, power = 4 * 80_000 * (1 - 0.5 ** (33 / 12)), 33 * 16 * 730 * 0.1  # 16 accelerators of 1 kW
    assert cost["Average + 20 % / 40 % / 50 % bought"] == pytest.approx(worn + power + 3 * 3 * 11_680)


def test_people_and_storage_are_in_every_policy(tiny):
    """USD 1 an accelerator-hour: reserved whole nodes bear it in all hours, rented ones while they work."""
    cost = compared(tiny(plan=make_plan(values={"operator_usd_per_month": 73_000.0})))["usd_horizon"] / 12
    assert cost["All on demand"] == pytest.approx(3 * (11_680 + 2_920))
    assert cost["Average + 20 % / 40 % / 50 % reserved for 1 year"] == pytest.approx(4 * (5_840 + 2_920))


def test_the_remark_says_what_the_rule_pays_where_no_hours_are_rented(tiny):
    rented = compared(tiny()).loc["All on demand", "note"]
    assert rented == "pays used hours only; spot not used"
    bought = compared(tiny(prices=make_prices(HARDWARE, drop=["on_demand", "reserved_1y"]))).loc[
        "All on demand", "note"
    ]
    assert bought == "no hours are rented: the fleet that the expected demand needs is held"
    name = "Average + 20 % / 40 % / 50 % bought"
    assert compared(tiny(prices=make_prices(HARDWARE)))["note"][name] == "peaks above it on demand"
    held = compared(tiny(prices=make_prices(HARDWARE, drop=["on_demand", "reserved_1y"])))["note"][name]
    assert held == "no hours are rented: at least the fleet that the expected demand needs is held"


def test_the_rule_of_the_peak_by_hand(tiny):
    """Peak 16 x 1.4 = 22.4 accelerators: six nodes, at 5,840 a month each for the whole term of 36 months, not 12."""
    three = {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 2.0, "term_months": 36}
    cost = compared(tiny(prices=make_prices(three)))["usd_horizon"]
    assert cost["Peak + 40 % reserved for 3 years"] == pytest.approx(6 * 5_840 * 36)


def test_rules_of_thumb_buy_where_hardware_is_sold(tiny):
    table = compared(tiny(prices=make_prices(HARDWARE, drop=["on_demand", "reserved_1y"])))
    assert set(table.index) >= {"Average + 20 % / 40 % / 50 % bought", "Peak + 40 % bought"}
    assert not [name for name in table.index if "reserved" in name]


def test_terms_that_are_offered_in_part_are_named_and_never_told_twice():
    """Chat on one platform, training on another: three years are offered for one of them, or for neither."""
    inputs = make_inputs(make_plan())
    choice, capacity = inputs["choice"].copy(), inputs["capacity"].copy()
    choice.loc[1, "accelerator_id"] = capacity.loc[1, "accelerator_id"] = "edge"
    three = {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 1.0, "term_months": 36}
    both = pd.concat([make_prices(three), make_prices().assign(accelerator_id="edge")], ignore_index=True)
    parts = {"inputs": {"choice": choice, "capacity": capacity}}
    table = compared(make_case(prices=both, **parts))
    for name in ("Average + 20 % / 40 % / 50 % reserved for 3 years", "Peak + 40 % reserved for 3 years"):
        assert table.loc[name, "note"].endswith(
            "; not offered in every region and node size for edge, held there on other terms"
        )
    one = table.loc["Average + 20 % / 40 % / 50 % reserved for 1 year"]
    assert "not offered" not in one["note"]
    assert one["usd_horizon"] != table.loc["Average + 20 % / 40 % / 50 % reserved for 3 years", "usd_horizon"]
    # offered for a platform that nothing runs on: the rows would be those of one year under another name
    idle = pd.concat(
        [make_prices(), make_prices(three, drop=["on_demand", "reserved_1y"]).assign(accelerator_id="edge")]
    )
    table = compared(make_case(prices=idle))
    assert not [name for name in table.index if "3 years" in name]


def test_all_policies_serve_the_same_demand(tiny):
    table = compared(tiny(growth={"expected": 0.05}, plan=make_plan(24)))
    assert (table["served_share"] == 1.0).all()


@settings(max_examples=12)
@given(
    st.floats(-0.08, 0.12),
    st.floats(0.0, 0.25),
    st.floats(0.8, 5.0),
    st.floats(0.6, 4.0),
    st.integers(13, 40),
)
def test_no_rule_is_cheaper_than_the_plan(growth, wacc, one_year, three_years, months):
    three = {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": three_years, "term_months": 36}
    spot = {"purchase_option": "spot", "usd_per_accelerator_hour": 1.2}
    prices = make_prices(three, spot, HARDWARE)
    prices.loc[prices["purchase_option"] == "reserved_1y", "usd_per_accelerator_hour"] = one_year
    plan = make_plan(months, {"wacc": wacc, "residual_decline_per_year": 0.3})
    table = compared(make_case(plan=plan, prices=prices, growth={"expected": growth}))
    assert (table["dearer_share"] >= -1e-9).all()
    assert worse_policies(table.reset_index()) == []


def test_where_nothing_is_rented_every_rule_holds_the_fleet(tiny):
    table = compared(tiny(prices=make_prices(HARDWARE, drop=["on_demand", "reserved_1y"])))
    assert table["usd_horizon"].to_numpy() == pytest.approx(np.full(len(table), table["usd_horizon"].iloc[0]), rel=1e-6)


def test_hosted_model_moves_only_what_it_can(tiny):
    # 1,000 prompt tokens x 0.1 + 200 x 0.2 per million = 0.00014 a unit
    free = {"allowed_regions": ["", ""]}
    table = compared(tiny(**free), api_rows())
    hosted = 12 * 8 * 3600 * 730 * 0.00014
    assert table.loc["Hosted API where priced", "usd_horizon"] == pytest.approx(
        hosted + 12 * 5_840
    )  # training alone keeps one node busy
    assert "chat" in table.loc["Hosted API where priced", "note"]


def test_hosted_and_own_are_compared_in_the_same_present_value(tiny):
    """Bought kit is paid at once: what stays, planned anew, and what moves add up."""
    case = tiny(plan=make_plan(12, {"wacc": 0.1}), prices=make_prices(HARDWARE), allowed_regions=["", ""])
    table = compared(case, api_rows())
    ours, hosted = table.loc["This plan"], table.loc["Hosted API where priced"]
    paid, kept, whole = (float(text.replace(",", "")) for text in re.findall(r"USD ([\d,]+)", hosted["note"]))
    assert whole == pytest.approx(ours["present_value_usd"], abs=1)
    assert hosted["present_value_usd"] == pytest.approx(paid + kept, abs=2)
    assert (hosted["dearer_share"] < 0) == (paid + kept < whole)


def test_a_node_that_the_others_need_in_any_case_is_no_saving(tiny):
    """A tenth of the chat on the node that training fills by a half: free hosting saves what the node costs beyond that."""
    free = api_rows(input_usd_per_mtok=0.0, output_usd_per_mtok=1e-9)
    table = compared(tiny(chat=0.1, train=2.0, allowed_regions=["", ""]), free)
    alone = compared(tiny(chat=0.0, train=2.0))
    hosted = table.loc["Hosted API where priced", "present_value_usd"]
    assert hosted == pytest.approx(alone.loc["This plan", "present_value_usd"], rel=1e-6)


def test_a_cheaper_hosted_model_is_said(tiny):
    cheap = api_rows(input_usd_per_mtok=0.0001, output_usd_per_mtok=0.0001)
    table = compared(tiny(allowed_regions=["", ""]), cheap)
    sentences = worse_policies(table.reset_index())
    assert [text.split(" would")[0] for text in sentences] == [
        "Hosted API where priced"
    ]  # where it is cheaper is the same
    assert "would cost 75 %" in sentences[0]  # 70,080 of 280,320 stays
    assert "not benchmarked on our prompts" in sentences[0]


def test_a_dearer_hosted_model_is_not_chosen(tiny):
    table = compared(tiny(allowed_regions=["", ""]), api_rows(input_usd_per_mtok=5.0))
    assert "Hosted API where cheaper" not in table.index
    assert table.loc["Hosted API where priced", "dearer_share"] > 0


def test_the_outlay_is_judged_by_what_it_saves(tiny):
    # all paid upfront: 140,160 in month 1, saving 23,360 - 11,680 + ... of on-demand rent a month
    prices = make_prices()
    prices.loc[prices["purchase_option"] == "reserved_1y", "upfront_fraction"] = 1.0
    row = compared(tiny(prices=prices)).loc["All on demand"]
    # month 1: -140,160 + 23,360; then + 23,360 a month: cumulative zero after month 6
    assert row["plan_payback_month"] == pytest.approx(6.0)
    assert row["plan_irr_annual"] > 1.0
    # rent paid by the month lays out no more than renting by the hour: nothing is paid back
    row = compared(tiny()).loc["All on demand"]
    assert row["dearer_share"] > 0
    assert row[["plan_payback_month", "plan_irr_annual"]].isna().all()


@pytest.mark.parametrize(
    ("changes", "rows", "reason"),
    [
        ({}, {}, "residency rule: may not leave its regions"),
        ({"allowed_regions": ["", ""], "model": ["other", "other"]}, {}, "no hosted price for this model and unit"),
        ({"allowed_regions": ["", ""], "model": [None, None]}, {}, "no model named"),
        (
            {"allowed_regions": ["", ""]},
            {"deprecation_date": pd.Timestamp("2026-01-01")},
            "no hosted price for this model and unit",
        ),
    ],
)
def test_why_there_is_no_hosted_price(tiny, changes, rows, reason):
    api = api_frame(tiny(**changes), api_rows(**rows), "2026-10-31").set_index("use_case_id")
    assert api.loc["chat", "reason"] == reason


def test_a_hosted_unit_has_the_mean_tokens_of_all_regions(tiny):
    """Three quarters of the units with 500 tokens in and 100 out, a quarter with ten times as many."""
    case = tiny()
    one = case.streams.table.iloc[[0]].assign(allowed_regions="", input_tokens_per_unit=500.0, cached_input_tokens_per_unit=0.0, output_tokens_per_unit=100.0)  # fmt: skip
    two = one.assign(region="eu", input_tokens_per_unit=5000.0, output_tokens_per_unit=1000.0)
    months = case.streams.units.shape[1]
    units = np.broadcast_to([3.0, 1.0], (len(case.streams.units), months, 2))
    streams = SimpleNamespace(table=pd.concat([one, two], ignore_index=True), units=units, months=case.streams.months, size=np.ones((months, 2)))  # fmt: skip
    api = api_frame(SimpleNamespace(streams=streams, plan=case.plan), api_rows(), "2026-10-31").set_index("use_case_id")
    assert api.loc["chat", "api_usd_per_unit"] == pytest.approx((500 * 0.1 + 100 * 0.2) / 1e6 * (0.75 + 2.5))
    assert np.isnan(api.loc["chat", "next_times"])  # nobody else sells it
    offers = [
        api_rows(),
        api_rows(provider="dear", input_usd_per_mtok=0.5, output_usd_per_mtok=1.0, confidence="claimed"),
    ]
    offers.append(api_rows(provider="dearer", input_usd_per_mtok=1.0, output_usd_per_mtok=2.0))
    rows = api_frame(SimpleNamespace(streams=streams, plan=case.plan), pd.concat(offers), "2026-10-31").set_index(
        "use_case_id"
    )
    assert (rows.loc["chat", "confidence"], rows.loc["chat", "next_times"]) == ("measured", pytest.approx(5.0))


@pytest.mark.parametrize(
    ("successor", "move_in_bills", "end", "least"),
    [
        (1.0, 0.0, "2027-04-15", "ends"),  # 12 months at 0.9 against 12 at 1
        (1.1, 0.0, "2027-04-15", "ends"),  # 5 x 0.9 + 7 x 0.99 = 11.43
        (1.2, 0.0, "2027-04-15", "stays"),  # 5 x 0.9 + 7 x 1.08 = 12.06
        (1.0, 1.1, "2027-04-15", "ends"),  # 10.8 and a move for 1.1 months' bills
        (1.0, 1.3, "2027-04-15", "stays"),
        (1.2, 1.3, "2029-01-15", "ends"),  # past the horizon
    ],
)
def test_the_hosted_offer_that_costs_least_over_the_horizon_is_taken(tiny, successor, move_in_bills, end, least):
    """At no cost of capital; 8 x 3,600 x 730 units of 500 tokens in and 100 out cost USD 0.00007 each where nothing ends."""
    move = move_in_bills * 8 * 3_600 * 730 * 0.000_07
    plan = make_plan(values={"api_successor_price_ratio": successor, "api_migration_person_months": 1.0, "engineer_usd_per_month": move})  # fmt: skip
    case = tiny(plan=plan, allowed_regions=["", ""])
    case.streams.table[["input_tokens_per_unit", "cached_input_tokens_per_unit", "output_tokens_per_unit"]] = [500.0, 0.0, 100.0]  # fmt: skip
    ends = api_rows(provider="ends", input_usd_per_mtok=0.09, output_usd_per_mtok=0.18, deprecation_date=pd.Timestamp(end))  # fmt: skip
    api = api_frame(case, pd.concat([api_rows(provider="stays"), ends], ignore_index=True), "2026-10-31")
    assert api.set_index("use_case_id").loc["chat", "provider"] == least


def test_batch_price_for_work_that_waits_and_image_price_for_images():
    offer = api_rows(batch_input_usd_per_mtok=0.05, batch_output_usd_per_mtok=0.1).iloc[0].to_dict()
    tokens = {"input_tokens_per_unit": 1e6, "cached_input_tokens_per_unit": 0.0, "output_tokens_per_unit": 1e6}
    stream = {"service_unit": "request", "movable": False, **tokens}
    assert usd_per_unit(stream, offer) == pytest.approx(0.3)
    assert usd_per_unit(stream | {"movable": True}, offer) == pytest.approx(0.15)
    assert usd_per_unit(stream | {"service_unit": "image"}, offer) == 0.03
    nothing = dict.fromkeys(tokens, 0.0)
    assert np.isnan(usd_per_unit(stream | nothing, offer))
