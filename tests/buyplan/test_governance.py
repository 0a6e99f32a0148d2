"""Calendar, decision and caveats."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from bp_company import PERIOD, make_inputs, make_plan, make_prices

from aifactory.buyplan.bands import bands_frame, orders_frame, pools_frame
from aifactory.buyplan.case import rebuilt, solve_case
from aifactory.buyplan.caveats import (
    EXAMPLE_SOURCE,
    _capacity_warnings,
    before_signing,
    example_sentences,
    fiscal_year,
    other_prompts,
    sale_sentences,
    support_sentences,
    surplus_sentences,
    unbound_prices,
    warnings_list,
    with_open_decisions,
)
from aifactory.buyplan.duties import governance_frame, not_waiting
from aifactory.buyplan.governance import (
    decision_sentence,
    hosted_first,
    money,
    month_name,
    released_on_triggers,
    signed_now,
)
from aifactory.buyplan.options_table import options_frame
from aifactory.buyplan.statements import roi_frame
from aifactory.units import percent

ROOT = Path(__file__).parents[2]
HARDWARE = {
    "purchase_option": "purchase",
    "usd_per_accelerator": 10_000.0,
    "region": "*",
    "provider": "vendor",
    "lead_time_weeks": 10.0,
}
INSTALLED = {"region": ["eu"], "accelerator_id": ["acc"], "purchase_option": ["on_demand"], "installed": [8.0]}


def solved(case):
    answer = solve_case(case)
    return answer, orders_frame(case, answer, case.prices)


def warned(case, inputs=None, installed=None):
    answer, orders = solved(case)
    accelerators = (inputs or make_inputs(case.plan))["accelerators"]
    options = options_frame(case.prices, case.streams.pools, accelerators, case.plan)
    bands = bands_frame(case, answer, options, PERIOD)
    installed = pd.DataFrame(INSTALLED if installed is None else installed)
    tables = {"orders": orders, "bands": bands, "options": options, "accelerators": accelerators}
    pools = pools_frame(case, answer, installed)
    return " ".join(warnings_list(case, answer, **tables, pools=pools, installed=installed))


def test_calendar_repeats_duties_and_dates_orders(tiny):
    case = tiny(plan=make_plan(24))
    calendar = governance_frame(case.plan, PERIOD, solved(case)[1])
    reviews = calendar[calendar["event"] == "Architecture review"]
    assert reviews["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-12-31", "2027-06-30", "2027-12-31", "2028-06-30"]
    orders = calendar[calendar["event"].str.contains("8 acc")].set_index("event")["date"]
    name = "due: 8 acc, reserved, 1 year, eu, baseline, from"
    assert orders[f"Order {name} 2026-11"] == pd.Timestamp("2026-11-01")
    assert orders[f"Renewal {name} 2027-11"] == pd.Timestamp("2027-11-01")
    assert not calendar.duplicated(["date", "event"]).any()
    assert calendar["date"].is_monotonic_increasing
    assert (calendar["owner_role"] != "").all()


def test_decision_names_amount_date_and_return(tiny):
    case = tiny()
    answer, orders = solved(case)
    assert decision_sentence(orders, roi_frame(case, answer), case.plan) == (
        "Approve USD 140,160 of commitments with the first order by November 2026: 8 acc (reserved, 1 year). "
        "The plan costs USD 280,320 over 12 months and has an NPV of USD 981,120 in the expected scenario."
    )


def test_what_waits_for_no_test_is_signed_whatever_it_shows(tiny):
    """Of two orders one is for work that no model serves: the decision says so, and asks for the other only if the test is failed."""
    case = tiny()
    answer, orders = solved(case)
    both = pd.concat([orders, orders.assign(accelerator_id="edge", commitment_usd=10_000.0)], ignore_index=True)
    first, roi = "Test hosted models first.", roi_frame(case, answer)
    told = decision_sentence(both, roi, case.plan, first, anyway=both.iloc[[1]])
    assert told.startswith(
        "Test hosted models first. Approve USD 10,000 in any case, from November 2026 on: "
        "8 edge (reserved, 1 year). If they fail it: approve USD 140,160 more of commitments with the first order by November 2026: 8 acc (reserved, 1 year). The plan costs"
    )
    waits = decision_sentence(both, roi, case.plan, first, anyway=both.iloc[:0])
    assert "If they fail it: approve USD 150,160 of commitments" in waits and "in any case" not in waits
    none = decision_sentence(both, roi, case.plan, first, anyway=both)
    assert none.startswith("Test hosted models first. Approve USD 150,160 of commitments")
    work = both.assign(serves=["chat 100 %", "vision 100 %"])
    assert not_waiting(work, ["chat"])["accelerator_id"].tolist() == ["edge"]
    assert len(not_waiting(work, None)) == 2 and not_waiting(work, []).empty


def test_growth_is_released_on_triggers_not_signed(tiny):
    cheap = make_prices()
    cheap.loc[cheap["purchase_option"] == "reserved_1y", "usd_per_accelerator_hour"] = 1.5
    case = tiny(plan=make_plan(36), prices=cheap, growth={"expected": 0.12})
    answer, orders = solved(case)
    now, later = signed_now(orders), released_on_triggers(orders)
    assert set(now.loc[now["order_index"] > 1, "band"]) <= {"baseline"}
    first = orders[orders["order_index"] <= 1]
    assert "growth" in set(first["band"]) and first.index.isin(now.index).all()  # it can wait for nothing
    assert set(later["band"]) == {"growth"} and not later.index.isin(now.index).any()
    sentence = decision_sentence(orders, roi_frame(case, answer), case.plan)
    assert "growth orders within a year, each on its trigger" in sentence


def test_nothing_is_cheapest_by_the_hour_where_no_hours_are_rented(tiny):
    """Devices at the edge: what stands holds the demand, and orders for a launch wait for its date."""
    case = tiny(prices=make_prices(drop=["reserved_1y"]))
    answer, orders = solved(case)
    roi = roi_frame(case, answer)
    assert orders.empty
    later = pd.DataFrame(
        {"order_index": [3], "band": ["growth"], "renewal": [False], "commitment_usd": [84_075.0], "order_month": ["2026-12"],
         "timing": ["lead time of 2 months binds; there when voice starts"], "accelerators": [295]}
    )  # fmt: skip
    told = decision_sentence(later, roi, case.plan, held=862.0, rented=False)
    start = "Sign no further commitment now: the 862 accelerators owned or committed hold the demand until the next order, and release up to "
    assert told.startswith(
        start + "USD 84,075 of growth orders within a year, each on its trigger or date. The plan costs"
    )
    assert "by the hour" not in told
    base = later.assign(band="baseline", order_index=5)  # for work that moves when a term ends
    assert "USD 84,075 of later orders within a year" in decision_sentence(base, roi, case.plan, held=862.0)
    plain = decision_sentence(later.assign(timing=""), roi, case.plan, held=862.0)
    assert "now: beyond the 862 accelerators owned or committed, capacity by the hour is cheapest" in plain
    assert "each on its trigger. The" in plain


def test_renewals_of_the_first_year_are_told_beside_what_triggers_release(tiny):
    """A block of half a year is signed, and follows itself in month 7 and, a year on, in month 13: the first renewal is of the year."""
    case = tiny(prices=make_prices(drop=["reserved_1y"]))
    answer, _ = solved(case)
    orders = pd.DataFrame(
        {"order_index": [1, 7, 13], "band": "baseline", "renewal": [False, True, True], "commitment_usd": [100.0, 110.0, 120.0],
         "order_month": ["2026-11", "2027-05", "2027-11"], "timing": "", "accelerators": 8, "accelerator_id": "acc",
         "purchase_option": "capacity_block"}
    )  # fmt: skip
    told = decision_sentence(orders, roi_frame(case, answer), case.plan)
    assert told.startswith(
        "Approve USD 100 of commitments with the first order by November 2026: 8 acc (capacity block); renewals of this plan's own terms "
        "within a year would commit USD 110 more. The plan costs"
    )


def test_nothing_to_sign_is_said(tiny):
    case = tiny(prices=make_prices(drop=["reserved_1y"]), value_usd_per_unit=[np.nan, np.nan])
    answer, orders = solved(case)
    sentence = decision_sentence(orders, roi_frame(case, answer), case.plan)
    assert sentence.startswith("Sign no commitment now")
    assert "return is not computed" in sentence


def test_money_and_months_in_words():
    assert money(1_250_000) == "USD 1.2 million"
    assert money(999_999) == "USD 999,999"
    assert month_name("2027-01") == "January 2027"


def test_fiscal_years():
    assert [fiscal_year(month, 4) for month in ("2026-03", "2026-04", "2027-03")] == [2026, 2027, 2027]


def test_beside_a_price_that_is_assumed_stands_how_much_more_its_orders_bear():
    """Of three orders the last nodes bear 4.0 % to 23 % more; one that must stand ready bears whatever it costs."""
    rows = [("a", 4e6, 0.04), ("b", 1e5, 0.23), ("b", 1e5, np.nan)]
    orders = pd.DataFrame(rows, columns=["accelerator_id", "commitment_usd", "cost_rise_kept"])
    orders = orders.assign(confidence="assumed", provider="vendor", purchase_option="purchase")
    (text,) = unbound_prices(orders)
    assert text.endswith("before signing. Their last nodes pay until they cost 4.0 % to 23 % more, resale taken off.")
    assert unbound_prices(orders.tail(1))[0].endswith("get a binding quote before signing.")
    assert unbound_prices(orders.drop(columns="cost_rise_kept"))[0].endswith("get a binding quote before signing.")


def test_a_sound_plan_still_asks_for_quotes_and_benchmarks(tiny):
    text = warned(tiny())
    # the price is an assumption
    assert (
        "The reserved, 1 year price of acc from cloud is assumed, and USD " in text
        and " of orders rest on it: get a binding quote before signing." in text
    )
    assert "Capacity of train on the chosen accelerator is anchored" in text
    assert "No value is counted for train" in text


def test_cost_centres_of_the_template_are_named_until_they_are_replaced(tiny):
    written = yaml.safe_load((ROOT / "data" / "templates" / "plan.yaml").read_text(encoding="utf-8"))["hidden_costs"]
    assert all(item["source"].startswith(EXAMPLE_SOURCE) for item in written)
    assert "Hidden cost centres of USD 85,000 a month are examples of the template" in warned(
        tiny(plan=make_plan(hidden_costs=written))
    )
    case = tiny(plan=make_plan(hidden_costs=written))
    answer = solve_case(case)
    sentence = example_sentences(case, answer)[0]
    lines = answer.expected.ledger.lines
    theirs = sum(lines[item["name"]].sum() for item in written)
    share = theirs / sum(amount.sum() for amount in lines.values())
    assert f"{percent(share)} of the total cost (USD {theirs:,.0f})" in sentence
    assert example_sentences(case, answer, share + 1e-6) == []
    own = [{**item, "source": "controller"} for item in written]
    assert "examples of the template" not in warned(tiny(plan=make_plan(hidden_costs=own)))


def test_commitments_far_beyond_the_expected_need_are_named_at_their_highest():
    fleet = pd.DataFrame(
        [
            ("expected", "2027-01", "eu", "acc", 8, 8),
            ("expected", "2027-02", "eu", "acc", 8, 32),
            ("expected", "2027-03", "eu", "acc", 8, 24),
            ("expected", "2027-03", "us", "acc", 8, 9),
            ("aggressive", "2027-03", "us", "acc", 8, 80),
        ],
        columns=["scenario", "month", "region", "accelerator_id", "accelerators", "committed"],
    )
    assert surplus_sentences(fleet) == [
        "32 acc are committed in eu in February 2027, where the expected demand needs 8: the others wait for more demand "
        "than expected, if any comes, and are paid in any case."
    ]
    assert surplus_sentences(fleet.head(1)) == []
    idle = pd.DataFrame([("expected", "2027-02", "eu", "acc", 0, 8)], columns=fleet.columns)
    assert surplus_sentences(idle)[0].startswith(
        "8 acc are committed in eu in February 2027, where the expected demand needs none: they wait for more demand"
    )


def test_kit_whose_work_ends_waits_for_nothing():
    columns = ["scenario", "month", "region", "accelerator_id", "accelerators", "committed"]
    rows = [("expected", f"2027-0{month}", "eu", "acc", need, 8) for month, need in ((1, 8), (2, 0), (3, 0))]
    assert surplus_sentences(pd.DataFrame(rows, columns=columns)) == [
        "8 acc are committed in eu in February 2027, where the expected demand needs none: nothing is expected to run on them "
        "from then on, and they are paid in any case: reassign, sell or return them. Those on an own site are off then, and no limit "
        "of power or space counts them."
    ]


def test_a_term_that_still_runs_beside_its_successor_waits_for_no_demand():
    months = ["2027-08", "2027-09", "2027-10"]
    rows = [("expected", m, region, "acc", 8, held) for region in ("br", "eu", "us") for m, held in zip(months, (8, 16, 8), strict=True)]  # fmt: skip
    columns = ["scenario", "month", "region", "accelerator_id", "accelerators", "committed"]
    fleet = pd.DataFrame(rows, columns=columns)
    assert surplus_sentences(fleet) == [
        "16 acc are committed in br, eu and us each in September 2027, where the expected demand needs 8: for 1 month a "
        "term still runs while what follows it is delivered, and both are paid."
    ]
    stays = fleet.assign(committed=[8, 16, 16] * 3)
    assert surplus_sentences(stays)[0].endswith("the others wait for more demand than expected, if any comes, and are paid in any case.")  # fmt: skip


def test_kit_that_is_held_after_its_support_is_named():
    columns = ["scenario", "month", "region", "accelerator_id", "accelerators", "committed"]
    months = ["2028-02", "2028-03", "2028-04", "2028-05"]
    fleet = pd.DataFrame([("expected", m, "eu", "old", 8, 16) for m in months], columns=columns)
    ends = pd.DataFrame([("old", "end_of_support", "2028-03", "maintenance contract", pd.Timestamp("2026-02-01")),
                         ("old", "end_of_sale", "2024", "note", pd.Timestamp("2026-02-01"))],
                        columns=["accelerator_id", "event", "date", "source", "as_of"])  # fmt: skip
    (told,) = support_sentences(fleet, ends)
    assert told.startswith(
        "Support of old ends on 2028-03-31 (maintenance contract, 2026-02-01), and 16 of them are held in eu until May 2028"
    )
    assert "the plan counts on them at the same cost" in told
    (unused,) = support_sentences(fleet.assign(accelerators=[8, 8, 0, 0]), ends)
    assert "counts on them" not in unused
    assert unused.endswith("the plan runs nothing on them from then on. Set end_month in the commitments table for what goes.")  # fmt: skip
    assert support_sentences(fleet.head(2), ends) == []  # gone when it ends
    assert support_sentences(fleet.assign(committed=0), ends) == []  # rented by the hour
    assert support_sentences(fleet, ends.tail(1)) == []


MIX = ["use_case_id", "metric", "benchmark_mean", "production_mean", "deviation_share"]
EVEN = pd.DataFrame(columns=MIX), pd.DataFrame(columns=["use_case_id", "accelerator_id", "tier"])


def test_hardware_that_is_no_longer_sold_new_is_named_with_what_is_ordered():
    ends = pd.DataFrame([("old", "end_of_sale", "2024-02", "vendor page", pd.Timestamp("2026-02-01")),
                         ("new", "end_of_sale", "2032", "note", pd.Timestamp("2026-02-01"))],
                        columns=["accelerator_id", "event", "date", "source", "as_of"])  # fmt: skip
    rows = [("old", "purchase", 8, "2026-11", 800.0), ("old", "lease", 4, "2027-02", 200.0), ("old", "reserved_1y", 8, "2026-11", 9.0),
            ("new", "purchase", 8, "2026-11", 800.0)]  # fmt: skip
    orders = pd.DataFrame(
        rows, columns=["accelerator_id", "purchase_option", "accelerators", "order_month", "commitment_usd"]
    )
    orders = orders.assign(source="quote", as_of="2026-10-01", sku="8-way server, refurbished")
    (told,) = sale_sentences(orders, ends)
    assert told.startswith(
        "old has not been sold new since 2024-02 (vendor page, 2026-02-01), and 12 of them are ordered for USD 1,000, "
        "offered as 8-way server, refurbished: what is delivered is stock or has been used."
    )
    bound = orders.assign(provider="shop", confidence=["assumed", "measured", "claimed", "assumed"])
    first, *prices = before_signing(bound, ends, *EVEN)
    assert first == told and before_signing(bound[:0], ends, *EVEN) == []
    assert [text[: text.index(" of orders")] for text in prices] == [  # most money first
        "The purchase price of new, old from shop is assumed, and USD 1,600",
        "The reserved, 1 year price of old from shop is claimed, and USD 9",
    ]
    assert sale_sentences(orders[:0], ends) == [] and sale_sentences(orders, ends[:0]) == []


def test_capacity_that_was_measured_with_other_prompts_is_named():
    """2,700 tokens against 3,920 are 31 % fewer; 5 % fewer are the same work, and what was never measured has a caveat of its own."""
    rows = [("chat", "input_tokens", 2700.0, 3920.0, -0.311), ("chat", "output_tokens", 95.0, 100.0, -0.05), ("docs", "input_tokens", 1.0, 9.0, -0.9)]  # fmt: skip
    mix = pd.DataFrame(rows, columns=MIX)
    table = pd.DataFrame(
        {"use_case_id": ["chat", "docs"], "accelerator_id": ["gpu", "gpu"], "tier": ["measured", "anchored"]}
    )
    (told,) = other_prompts(mix, table)
    assert told.startswith("The capacity of gpu for chat was measured with inputs of 2,700 tokens on average, production has 3,920: it may be lower.")  # fmt: skip
    assert other_prompts(mix[:0], table) == []
    assert told.endswith("Repeat the runs before orders for it are signed.")
    orders = pd.DataFrame({"accelerator_id": ["gpu", "gpu", "other"], "order_month": ["2027-02", "2026-12", "2026-11"]})
    assert other_prompts(mix, table, orders)[0].endswith("are signed, the first in December 2026.")


def test_what_would_no_longer_be_used_names_the_decision_that_is_open_about_it():
    """A pilot pool with an open decision, a pool whose decision is done, and accelerators of another region."""
    pools = pd.DataFrame(
        [("pilot", "eu", "tpu"), ("old", "eu", "gpu")], columns=["pool_id", "region", "accelerator_id"]
    )
    rows = [
        ("pilot", "open", "2027-01-15", "Pilot goes on."),
        ("old", "done", None, "Sold."),
        ("prices", "open", None, "Ask."),
    ]
    log = pd.DataFrame(rows, columns=["subject", "status", "due", "text"]).assign(
        due=lambda f: pd.to_datetime(f["due"])
    )
    said = [f"4 {name} in {place} would no longer be used: return them." for name, place in (("tpu installed", "eu"), ("gpu installed", "eu"), ("tpu installed", "us"))]  # fmt: skip
    told = with_open_decisions(said, log, pools)
    assert told == [f"{said[0]} Still to be decided, due 2027-01-15: Pilot goes on.", *said[1:]]
    assert with_open_decisions(said, log[:0], pools[:0]) == said


def test_unverified_specification(tiny):
    plan = make_plan()
    inputs = make_inputs(plan)
    inputs["accelerators"]["verified_sources"] = 0
    assert "The specification of acc rests on no verified source." in warned(tiny(inputs=inputs), inputs)


def test_stale_and_foreign_prices(tiny):
    old = make_prices()
    old["as_of"] = pd.Timestamp("2026-01-01")
    assert "The on demand price of acc is 303 days old; renew it." in warned(tiny(prices=old))
    other = make_prices()
    other["region"] = "us-1"
    assert (
        "The on demand price of acc in eu is taken from another region of cloud: ask whether it can be had there, and for how much."
        in warned(tiny(prices=other))
    )


def test_residency_and_missing_capacity(tiny):
    assert "chat is served in eu, which its residency rule does not allow" in warned(tiny(allowed_regions=["us", ""]))
    inputs = make_inputs(make_plan())
    inputs["capacity"].loc[1, "units_per_s_per_accelerator"] = np.nan
    assert "train in eu is not in the plan: capacity of the chosen accelerator unknown" in warned(tiny(inputs=inputs))


def test_budgets(tiny):
    plan = make_plan(36, budget={"opex_usd_per_month": 10_000, "capex_usd_per_year": 50_000})
    text = warned(tiny(plan=plan, prices=make_prices(HARDWARE)))
    assert "Operating cost exceeds the budget of USD 10,000 a month" in text
    assert "Capital outlay of fiscal year 2026" in text
    assert text.startswith("Operating cost exceeds") and "Orders placed before" not in text
    generous = make_plan(36, budget={"opex_usd_per_month": 1e9, "capex_usd_per_year": 1e9})
    assert "budget" not in warned(tiny(plan=generous, prices=make_prices(HARDWARE)))


def test_power_limit_of_a_region(tiny):
    plan = make_plan(36)
    region = plan.regions[0]
    tight = plan.model_copy(update={"regions": [region.model_copy(update={"power_limit_kw": 5.0})]})
    assert "above the limit of 5 kW" in warned(tiny(plan=tight, prices=make_prices(HARDWARE)))
    roomy = plan.model_copy(update={"regions": [region.model_copy(update={"power_limit_kw": 500.0})]})
    assert "kW" not in warned(tiny(plan=roomy, prices=make_prices(HARDWARE)))


@pytest.mark.parametrize(("lead", "said"), [(np.nan, True), (10.0, False)])
def test_unknown_lead_time(tiny, lead, said):
    prices = make_prices(HARDWARE | {"lead_time_weeks": 1.0})
    prices.loc[prices["purchase_option"] == "purchase", "lead_time_weeks"] = lead
    assert ("No lead time is stated for acc" in warned(tiny(plan=make_plan(36), prices=prices))) is said


def test_an_order_of_unknown_lead_time_names_the_one_that_the_plan_waits_for(tiny):
    elsewhere = HARDWARE | {"lead_time_weeks": 20.0, "accelerator_id": "edge"}
    prices = make_prices(HARDWARE, elsewhere, drop=["reserved_1y"])
    prices.loc[(prices["accelerator_id"] == "acc") & (prices["purchase_option"] == "purchase"), "lead_time_weeks"] = (
        np.nan
    )
    case = tiny(plan=make_plan(36), prices=prices)
    _, orders = solved(case)
    assert orders["lead_time_weeks"].tolist() == [20.0] * len(orders) and len(orders)
    assert "No lead time is stated for acc: the longest stated one for hardware, 20 weeks, is used." in warned(case)


def test_unserved_demand(tiny):
    late = make_prices(HARDWARE | {"lead_time_weeks": 20.0}, drop=["on_demand", "reserved_1y"])
    said = warned(tiny(prices=late))
    assert (
        "acc in eu cannot be had in time: no hours are rented there and an order of today serves from 2027-04 on"
        in said
    )
    assert "a lead time shorter by 5 months" in said and "chat, train" in said
    case = tiny(prices=late)
    units = case.streams.units.copy()
    units[:, :7, (case.streams.table["use_case_id"] == "train").to_numpy()] = 0.0  # starts once the order serves
    said = warned(rebuilt(case, case.plan, replace(case.streams, units=units)))
    assert "in the mean of a month is missed for chat (" in said and "with reserve, more are lacking" in said
    once = case.streams.units.copy()
    once[:, 1:6] = 0.0
    once[:, 3] = case.streams.units[:, 3]  # January alone, of November to March
    said = warned(rebuilt(case, case.plan, replace(case.streams, units=once)))
    assert "a lead time shorter by 3 months" in said


def test_reserve_on_spot_is_named_beside_that_on_demand():
    bands = pd.DataFrame(
        {"band": "surge", "purchase_option": ["on_demand", "spot", "spot"], "accelerators_max": [94, 100, 43]}
    )
    pools = pd.DataFrame({"installed": [], "needed_max": []})
    both, spot = _capacity_warnings(bands, pools, None), _capacity_warnings(bands.iloc[1:], pools, None)
    assert both[0].startswith(
        "Up to 94 accelerators of the surge band are rented only when needed and up to 143 more on spot: "
    )
    assert "spot is taken back at any time" in both[0] and spot[0].startswith(
        "Up to 143 accelerators of the surge band are rented on spot"
    )


def test_reserve_on_demand_is_no_promise(tiny):
    assert "Up to 8 accelerators of the surge band are rented only when needed" in warned(tiny())


def test_what_is_installed_today_is_not_forgotten(tiny):
    installed = {
        "region": ["eu", "eu"],
        "accelerator_id": ["acc", "edge"],
        "purchase_option": ["reserved_1y", "purchase"],
        "installed": [8.0, 5.0],
    }
    text = warned(tiny(), installed=installed)
    assert "5 edge installed in eu would no longer be used" in text
    assert "8 acc in eu are under contract today" in text


@pytest.mark.parametrize(("share", "first"), [(-0.95, True), (-0.10, True), (-0.06, False), (0.2, False)])
def test_hosted_models_that_cost_much_less_are_tested_before_anything_is_signed(tiny, share, first):
    case = tiny()
    answer, orders = solved(case)
    comparisons = pd.DataFrame(
        {
            "policy": ["This plan", "Hosted API where cheaper"],
            "dearer_share": [0.0, share],
            "present_value_usd": [1e6, 1e6 * (1 + share)],
            "note": ["", "hosted: chat for USD 5 instead of USD 100; the rest as planned"],
        }
    )
    sentence = decision_sentence(orders, roi_frame(case, answer), case.plan, hosted_first(comparisons))
    assert ("If they fail it: approve USD 140,160" in sentence) is first
    assert sentence.startswith("Test hosted models" if first else "Approve USD 140,160")
    if first:
        assert (
            f"{percent(-share)} less for accelerators, people and storage (hosted: chat for USD 5 instead of USD 100"
            in sentence
        )
        assert hosted_first(comparisons, plan_usd=-share * 1e8) == hosted_first(
            comparisons
        )  # one per cent of all costs
        assert hosted_first(comparisons, plan_usd=-share * 1e8 * 1.001) == ""
