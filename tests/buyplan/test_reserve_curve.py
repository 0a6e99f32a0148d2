"""The reserve of the plan's served streams: targets, lead times, prices, refusals, and orders that follow."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, WAITS, make_inputs, make_plan

from aifactory.buyplan import build_buy_plan
from aifactory.buyplan.plan import with_dates
from aifactory.buyplan.reserve_curve import CURVE, SUMMARY, hourly_price, with_reserves
from aifactory.finance.prices import offers_of, price_table
from aifactory.fleet.risk_reserve import (
    DEFAULT_LEAD_WEEKS,
    at_todays_level,
    held_capacity,
    over_average,
    quickest_weeks,
    size_stream_reserves,
    target_of,
)
from aifactory.fleet.streams import _reserve, build_streams
from aifactory.inputs.plan import Launch
from aifactory.inventory.forecast_scores import score_forecasts
from aifactory.report.buy_plan_page import capacity_section
from aifactory.report.buy_plan_reserve import reserve_section
from aifactory.report.inventory_forecast import forecast_section
from aifactory.shortlist.money import level_factors


@pytest.fixture(scope="module")
def stages(mini_stages):
    return mini_stages.inventory, mini_stages.benchmark, mini_stages.shortlist


@pytest.fixture(scope="module")
def plan(mini_stages):
    return mini_stages.plan


def test_a_row_per_served_stream_and_a_curve_each(plan):
    assert list(plan.reserves.columns) == SUMMARY
    assert list(plan.reserve_curve.columns) == CURVE
    tested = plan.reserves[plan.reserves["capacity_per_hour"].notna()]
    assert len(plan.reserve_curve) == 11 * len(tested) > 0
    assert "models" not in set(plan.reserves["use_case_id"])  # jobs wait instead


def test_the_plan_names_what_it_holds_after_its_support(mini_ws, plan, stages):
    row = plan.fleet[plan.fleet["scenario"] == "expected"].iloc[-1]
    ends = {"accelerator_id": row["accelerator_id"], "event": "end_of_support", "date": row["month"][:4] + "-01", "note": "",
            "source": "contract", "as_of": pd.Timestamp("2026-02-01"), "confidence": "claimed"}  # fmt: skip
    ws = replace(mini_ws, tables={**mini_ws.tables, "lifecycle": pd.DataFrame([ends])})
    held = replace(plan, fleet=plan.fleet.assign(committed=4))
    assert with_dates(held, ws, stages[0]).warnings[-1].startswith(f"Support of {row['accelerator_id']} ends on ")
    assert with_dates(held, mini_ws, stages[0]).warnings == plan.warnings


def test_capacity_money_and_accelerators_agree(plan):
    row = plan.reserves[plan.reserves["capacity_per_hour"].notna()].iloc[0]
    mine = (plan.reserve_curve["use_case_id"] == row["use_case_id"]) & (plan.reserve_curve["region"] == row["region"])
    own = plan.reserve_curve[mine].iloc[-1]
    price = hourly_price(plan.options, row["accelerator_id"], row["region"])
    assert own["accelerators"] == pytest.approx(row["accelerators"])
    assert own["usd_per_month"] == pytest.approx(row["accelerators"] * price * 730)
    assert row["capacity_per_hour"] == pytest.approx(row["basis_per_hour"] * (1 + row["reserve"]))


def test_a_stream_on_two_platforms_holds_its_reserve_once(mini_ws, plan, stages):
    """Three quarters of the work stay, one moves to a twin of the accelerator: the parts add up to the stream alone."""
    sized = size_stream_reserves(mini_ws, stages[0], stages[2].choice, plan.options)
    chat = plan.need["use_case_id"] == "chat"
    amounts = ["units", "accelerator_hours", "accelerators_average", "accelerators_peak", "accelerators_with_reserve"]
    parts = [plan.need[chat].assign(**plan.need.loc[chat, amounts] * part) for part in (0.75, 0.25)]
    twin = plan.options.assign(accelerator_id="twin")
    split = replace(
        plan,
        need=pd.concat([plan.need[~chat], parts[0], parts[1].assign(accelerator_id="twin")], ignore_index=True),
        options=pd.concat([plan.options, twin], ignore_index=True),
    )
    alone, both = (with_reserves(one, sized).reserves.query("use_case_id == 'chat'") for one in (plan, split))
    assert len(both) == 2 * len(alone)
    for column in ("accelerators", "capacity_per_hour", "basis_per_hour", "article_accelerators", "article_per_hour"):
        assert both[column].sum() == pytest.approx(alone[column].sum()), column
        assert both.loc[both["accelerator_id"] == "twin", column].sum() == pytest.approx(alone[column].sum() / 4)
    curve = with_reserves(split, sized).reserve_curve.query("use_case_id == 'chat' and plan == 'this plan'")
    assert curve["accelerators"].sum() == pytest.approx(alone["accelerators"].sum())


def test_work_that_comes_later_has_its_reserve_from_its_first_month(mini_ws, plan, stages):
    sized = size_stream_reserves(mini_ws, stages[0], stages[2].choice, plan.options)
    chat, months = plan.need["use_case_id"] == "chat", sorted(plan.need["month"].unique())
    late = replace(plan, need=plan.need[~chat | (plan.need["month"] > months[1])])
    now, then = (with_reserves(one, sized).reserves.query("use_case_id == 'chat'") for one in (plan, late))
    assert set(now["month"]) == {months[0]} and set(then["month"]) == {months[2]} and len(now) == len(then) > 0
    assert then["accelerators"].sum() == pytest.approx(
        now["accelerators"].sum(), rel=0.05
    )  # units alone may have grown in size


def test_the_plan_holds_what_the_reserve_asks_for(mini_ws, plan, stages):
    """Peak x (1 + reserve) of today's demand is the capacity: 216 an hour at the peak of a steady series."""
    row = plan.reserves[plan.reserves["use_case_id"] == "chat"].iloc[0]
    profile = stages[0].demand_profile.set_index(["use_case_id", "region"]).loc[("chat", row["region"])]
    held = profile["units_per_hour_peak"] * (1 + row["plan_reserve_over_peak"])
    assert held == pytest.approx(row["capacity_per_hour"], rel=1e-9)
    assert row["target"] == target_of(mini_ws.plan, "customer_facing") == 0.01
    assert row["article_over_peak"] == mini_ws.plan.reserve["customer_facing"]
    assert row["article_per_hour"] == pytest.approx(profile["units_per_hour_peak"] * 1.4, rel=0.1)  # a month on


def test_rework_costs_what_the_shortlist_charges(mini_ws, plan, stages):
    """Month by month at the pay of its month, at present value the same as in the choice of platforms."""
    paid = plan.costs.query("line == 'Rework' and scenario == 'expected'")["usd"].to_numpy()
    short = stages[2]
    chosen = short.choice[["use_case_id", "accelerator_id"]].merge(
        short.penalties, on=["use_case_id", "accelerator_id"]
    )
    present = (paid[1:] * level_factors(mini_ws)).sum()
    assert present == pytest.approx(chosen["rework_usd"].sum()) and present > 0


def test_a_lower_target_asks_for_more_and_orders_follow(mini_ws, stages):
    """With bursts in one hour of 50, half a percent must cover them, ten percent need not."""
    inventory, benchmark, shortlist = stages
    windows = inventory.windows.copy()
    burst = np.arange(len(windows)) % 50 == 0
    windows["service_units"] = windows["service_units"].where(~burst, windows["service_units"] * 4)
    bursty = replace(inventory, windows=windows)
    fleets = []
    for target in (0.1, 0.005):
        name = "exceedance_target_customer_facing"
        item = mini_ws.plan.assumptions[name].model_copy(update={"value": target})
        ws = replace(mini_ws, plan=mini_ws.plan.model_copy(update={"assumptions": mini_ws.plan.assumptions | {name: item}}))  # fmt: skip
        found = build_buy_plan(ws, bursty, benchmark, shortlist)
        need = found.need[found.need["use_case_id"] == "chat"]
        mine = found.reserves[found.reserves["use_case_id"] == "chat"]
        fleets.append((need["accelerators_with_reserve"].sum(), mine["capacity_per_hour"].sum()))
    assert fleets[1][0] > 1.2 * fleets[0][0]
    assert fleets[1][1] > fleets[0][1]


def test_hours_are_taken_at_todays_level():
    hours = 100 * 1.05 ** (np.arange(1461) / 730)
    np.testing.assert_allclose(at_todays_level(hours, 0.05), hours[-1])
    np.testing.assert_array_equal(at_todays_level(hours, np.nan), hours)


def test_the_quickest_dependable_offer_counts():
    prices = pd.DataFrame(
        {"accelerator_id": ["a", "a", "a", "b", "c"], "region": ["r"] * 5, "purchase_option": ["purchase", "spot", "reserved_1y", "purchase", "on_demand"],
         "lead_time_weeks": [20.0, 0.0, 2.0, np.nan, np.nan]}
    )  # fmt: skip
    assert quickest_weeks(prices, "a", "r") == 2
    assert quickest_weeks(prices, "b", "r") == DEFAULT_LEAD_WEEKS
    assert quickest_weeks(prices, "c", "r") == 0
    assert quickest_weeks(prices, "d", "r") == DEFAULT_LEAD_WEEKS


def test_what_stands_by_costs_the_cheapest_dependable_option():
    options = pd.DataFrame(
        {"accelerator_id": ["a", "a", "a", "b"], "region": ["r"] * 4, "purchase_option": ["on_demand", "reserved_1y", "spot", "spot"],
         "usd_per_accelerator_hour_effective": [3.0, 2.0, 1.5, 1.0], "around_usd_per_hour": 0.25}
    )  # fmt: skip
    assert hourly_price(options, "a", "r") == 2.25
    assert hourly_price(options, "b", "r") == 1.25
    assert np.isnan(hourly_price(options, "c", "r"))


def test_reserve_of_streams_by_hand():
    plan = make_plan(launches=[{"use_case_id": "chat", "month": "2027-01", "demand_multiplier": 2.0, "milestone": "x"}])
    inputs = make_inputs(plan, **WAITS)
    # capacity 1.8 x the average over a peak of 1.5: 20 %; the launch month keeps the highest ratio, 50 %
    streams = build_streams(plan, PERIOD, **inputs, capacity_over_average={("chat", "eu"): 1.8, ("train", "eu"): 9.0})
    assert streams.reserve[:, 0].tolist() == pytest.approx([0.2, 0.2, 0.2, 0.5, *[0.2] * 9])
    assert streams.reserve[:, 1].tolist() == streams.rule[:, 1].tolist()  # training waits
    assert streams.rule[0, 0] == 0.4
    # capacity below the average cannot serve it: the average stays covered
    low = build_streams(plan, PERIOD, **inputs, capacity_over_average={("chat", "eu"): 0.5})
    assert (1.5 * (1 + low.reserve[0, 0])) == pytest.approx(1.0)


def test_pages_state_risk_and_price(mini_ws, plan, stages):
    text = "\n".join(part.text for part in reserve_section(mini_ws, plan).parts)
    assert "a fixed 20 % over the same basis" in text
    assert "orders follow the former" in text
    assert "sized by risk" in capacity_section(mini_ws, plan).text
    assert "Training waits instead" in capacity_section(mini_ws, plan).text
    asked = mini_ws.table("use_cases").assign(workload_class="real_time_inference")
    nothing_waits = replace(mini_ws, tables={**mini_ws.tables, "use_cases": asked})
    assert "Training" not in capacity_section(nothing_waits, plan).text
    forecast = "\n".join(part.text for part in forecast_section(mini_ws, score_forecasts(mini_ws, stages[0])).parts)
    assert "repeating the last week" in forecast


def test_a_history_without_enough_hours_keeps_the_articles_ratio(mini_ws, plan, stages):
    inventory, _, shortlist = stages
    few = inventory.windows[inventory.windows["window_start_utc"] >= pd.Timestamp("2026-10-29", tz="UTC")]
    prices = pd.DataFrame(columns=["accelerator_id", "region", "purchase_option", "lead_time_weeks"])
    sized = size_stream_reserves(mini_ws, replace(inventory, windows=few), shortlist.choice, prices)
    assert over_average(sized) == {}
    short = with_reserves(plan, sized)
    assert short.reserve_curve.empty
    assert all("needs at least" in note for note in short.reserves["note"])
    assert "could not be tested" in reserve_section(mini_ws, short).parts[0].text


def test_reserve_tables_hold_the_spares_of_failure_domains_like_the_orders(mini_ws, stages, plan):
    """One of three domains down: 3 / 2 of the accelerators and of the money, for the same hours over capacity."""
    spared = replace(mini_ws, plan=mini_ws.plan.model_copy(update={"failure_domains": {"customer_facing": 3}}))
    found = build_buy_plan(spared, *stages)
    before, after = (p.reserves.set_index(["use_case_id", "region"]) for p in (plan, found))
    key = next(key for key in after.index if key[0] == "chat")
    assert after.loc[key, "accelerators"] == pytest.approx(1.5 * before.loc[key, "accelerators"])
    assert after.loc[key, "utilization"] == pytest.approx(before.loc[key, "utilization"] / 1.5)
    assert after.loc[key, "exceedance_backtest"] == before.loc[key, "exceedance_backtest"]
    assert "times 1.5 for one of 3 failure domains" in after.loc[key, "note"]
    profile = stages[0].demand_profile.set_index(["use_case_id", "region"]).loc[key]
    held = profile["units_per_hour_peak"] * (1 + after.loc[key, "plan_reserve_over_peak"])
    assert held == pytest.approx(1.5 * after.loc[key, "capacity_per_hour"]), "orders hold the same"
    curves = [p.reserve_curve.set_index(["use_case_id", "region"]).loc[[key]] for p in (plan, found)]
    for name in ("accelerators", "usd_per_month"):
        assert curves[1][name].to_numpy() == pytest.approx(1.5 * curves[0][name].to_numpy())
    assert curves[1]["exceedance"].tolist() == curves[0]["exceedance"].tolist()


def test_months_kept_by_day_do_not_smooth_the_hours_that_the_reserve_is_sized_from(mini_ws, stages):
    """The reserve of hours that follow months by day is that of these hours alone."""
    inventory, benchmark, short = stages
    windows = inventory.windows[inventory.windows["use_case_id"] == "chat"]
    early = windows["window_start_utc"] < pd.Timestamp("2026-10-01", tz="UTC")
    days = windows[early].assign(window_start_utc=windows["window_start_utc"][early].dt.floor("D"), window_minutes=1440)
    days = days.groupby(["use_case_id", "region", "window_start_utc", "window_minutes"], as_index=False)[
        "service_units"
    ].sum()
    hours = windows[~early]

    def sized(rows):
        return size_stream_reserves(mini_ws, replace(inventory, windows=rows), short.choice, mini_ws.table("prices"))

    alone, both = sized(hours)["chat", "us"], sized(pd.concat([days, hours], ignore_index=True))["chat", "us"]
    assert alone.over_average == both.over_average > 1


def test_a_stated_low_month_asks_for_no_reserve_of_the_usual_level(mini_ws, stages):
    """The measured month at a tenth, stated so: the reserve is that of the same hours without it, and what is shown is of its month."""
    inventory, _, short = stages
    windows = inventory.windows[inventory.windows["use_case_id"] == "chat"]
    late = windows["window_start_utc"] >= pd.Timestamp("2026-10-01", tz="UTC")
    low = windows.assign(service_units=windows["service_units"] * np.where(late, 0.1, 1.0))
    profile = inventory.demand_profile[inventory.demand_profile["use_case_id"] == "chat"]
    tenth = profile.assign(**{name: profile[name] * 0.1 for name in ("units_per_hour_avg", "level_per_hour")})

    def sized(rows, measured, *months):
        launches = [
            Launch(use_case_id="chat", month=month, demand_multiplier=0.1, milestone="recess") for month in months
        ]
        ws = replace(mini_ws, plan=mini_ws.plan.model_copy(update={"launches": launches}))
        found = replace(inventory, windows=rows, demand_profile=measured)
        return size_stream_reserves(ws, found, short.choice, mini_ws.table("prices"))["chat", "us"]

    usual, stated = sized(windows, profile), sized(low, tenth, "2026-10", "2026-11")
    assert stated.over_average == pytest.approx(usual.over_average)
    assert (usual.first_month, stated.first_month) == (1.0, 0.1)
    assert sized(low, tenth).over_average > 5 * usual.over_average  # not stated, the months before ask for more


def test_sites_that_stand_alone_hold_whole_nodes_at_each_step(plan, mini_ws, stages):
    """Forty sites of one device: whatever the reserve, 40 stand, and further safety within them costs nothing."""
    inventory, benchmark, shortlist = stages
    sized = size_stream_reserves(mini_ws, inventory, shortlist.choice, plan.options)
    place = ("chat", "us")
    shared, apart = (with_reserves(plan, sized, sites) for sites in ({}, {place: (40, 1.0, 1.0)}))
    mine = "use_case_id == 'chat' and region == 'us'"
    before, after = (found.reserve_curve.query(mine) for found in (shared, apart))
    assert (before["accelerators"] < 40).all() and (after["accelerators"] == 40).all()
    assert np.ptp(after["usd_per_month"]) < 1e-6
    price = before["usd_per_month"] / before["accelerators"]
    assert after["usd_per_month"].to_numpy() == pytest.approx(40 * price.to_numpy())
    assert (after["usd_per_hour_avoided"].dropna() == 0).all() and after["usd_per_hour_avoided"].notna().any()
    assert apart.reserves.query(mine)["accelerators"].item() == 40.0
    other = "use_case_id != 'chat' or region != 'us'"
    pd.testing.assert_frame_equal(shared.reserve_curve.query(other), apart.reserve_curve.query(other))


def test_a_cell_of_the_shortlist_holds_what_the_plan_would_hold_on_it(mini_ws, mini_stages):
    """Whichever platform is chosen: the same hours, target and lead time give the same capacity; jobs have none."""
    ws, inventory = mini_ws, mini_stages.inventory
    prices = price_table(offers_of(ws), ws.plan, ws.as_of)
    names = ["nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"]
    cases = ws.table("use_cases")["use_case_id"]
    cells = pd.DataFrame([(case, name) for case in cases for name in names], columns=["use_case_id", "accelerator_id"])
    held = held_capacity(ws, inventory, cells, prices)
    assert held
    for name in names:
        chosen = over_average(size_stream_reserves(ws, inventory, cells[cells["accelerator_id"] == name], prices))
        assert {place[:2]: share for place, share in held.items() if place[2] == name} == pytest.approx(chosen)


def test_streams_take_the_capacity_of_their_own_platform(mini_stages):
    """Of two platforms of one use case each has its own reserve; a capacity by place alone holds for both."""
    table = pd.DataFrame(
        {
            "use_case_id": "chat",
            "region": "us",
            "accelerator_id": ["a", "b"],
            "movable": False,
            "criticality": "internal",
        }
    )
    rule, shape, launches = np.full((2, 2), 0.4), np.full((2, 4), [2.0, 1.0, 0.5, 0.5]), np.zeros((2, 2), dtype=bool)
    one = _reserve(table, rule, shape, {("chat", "us", "a"): 1.8, ("chat", "us", "b"): 2.4}, launches)
    np.testing.assert_allclose(one, [[-0.1, 0.2], [-0.1, 0.2]])
    np.testing.assert_allclose(_reserve(table, rule, shape, {("chat", "us"): 2.2}, launches), 0.1)
