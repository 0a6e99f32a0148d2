"""Local and pooled peaks in units, accelerators and money; residency rules kept."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from aifactory.inventory import demand
from aifactory.inventory.residency import (
    accelerators_paid,
    fleet_of,
    hourly_demand,
    latency_reach,
    least_capacity,
    local_and_pooled,
    local_of,
    pooled_fleet,
    price_local,
)

FEW = settings(max_examples=40)
HOURS = 10.0
NO_RULES = pd.DataFrame({"use_case_id": ["chat"], "allowed_regions": [None]})


def frame_by_hour(us, eu, use_case="chat"):
    times = pd.date_range("2026-10-01", periods=len(us), freq="h", tz="UTC")
    parts = [
        pd.DataFrame({"window_start_utc": times, "use_case_id": use_case, "region": region, "service_units": units, "window_minutes": 60})
        for region, units in (("us", us), ("eu", eu))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def bill(*rows):
    columns = ["use_case", "accelerator_id", "accelerator_hours", "EffectiveCost", "cost_line"]
    return pd.DataFrame([[*row, "attributed usage"] for row in rows], columns=columns).assign(
        purchase_option="on_demand"
    )


# use cases


def test_peaks_at_different_hours_cost_what_they_could_share(mini_ws):
    row = local_and_pooled(hourly_demand(frame_by_hour([30.0, 10.0], [10.0, 20.0]), mini_ws), NO_RULES).iloc[0]
    assert (row["regions"], row["sum_of_local_peaks_per_hour"], row["pooled_peak_per_hour"]) == (2, 50.0, 40.0)
    assert row["difference_share"] == pytest.approx(0.2)


def test_peaks_at_the_same_hour_cost_nothing(mini_ws):
    table = local_and_pooled(hourly_demand(demand.all_windows(mini_ws), mini_ws), NO_RULES)
    assert table["use_case_id"].tolist() == ["chat"]  # the others have one region
    assert table.loc[0, ["sum_of_local_peaks_per_hour", "pooled_peak_per_hour"]].tolist() == [432.0, 432.0]
    assert table.loc[0, "difference_share"] == 0.0


@FEW
@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0.1, 1e4)), min_size=1, max_size=24))
def test_the_pooled_peak_is_never_above_the_sum_of_the_local_ones(mini_ws, rows):
    us, eu = (list(part) for part in zip(*rows, strict=True))
    row = local_and_pooled(hourly_demand(frame_by_hour(us, eu), mini_ws), NO_RULES).iloc[0]
    assert row["sum_of_local_peaks_per_hour"] == pytest.approx(max(us) + max(eu))
    assert row["pooled_peak_per_hour"] == pytest.approx(np.add(us, eu).max())
    assert -1e-9 <= row["difference_share"] <= 0.5 + 1e-9


def test_without_demand_there_is_nothing_to_pool(mini_ws):
    windows = demand.all_windows(mini_ws).iloc[:0]
    assert local_and_pooled(hourly_demand(windows, mini_ws), NO_RULES).empty
    nothing, cases = hourly_demand(windows, mini_ws), mini_ws.table("use_cases")
    for paid in (bill(), bill(("chat", "a", 50.0, 500))):
        assert pooled_fleet(nothing, cases, paid, HOURS).empty


def test_daily_windows_have_a_peak_per_hour(mini_ws):
    frame = frame_by_hour([240.0], [480.0]).assign(window_minutes=1440)
    assert local_and_pooled(hourly_demand(frame, mini_ws), NO_RULES).iloc[0]["pooled_peak_per_hour"] == pytest.approx(
        30.0
    )


def test_the_month_is_the_reporting_month(mini_ws):
    hourly = hourly_demand(demand.all_windows(mini_ws), mini_ws)
    assert hourly["hour"].min() == pd.Timestamp("2026-10-01", tz="UTC")
    assert hourly["hour"].max() == pd.Timestamp("2026-10-31T23:00", tz="UTC")


def test_rules_and_ways_bound_what_a_use_case_shares(mini_ws):
    hourly = hourly_demand(frame_by_hour([30.0, 10.0], [10.0, 20.0]), mini_ws)
    both, only_eu = frozenset({"us", "eu"}), frozenset({"eu"})
    apart = {("chat", "us"): frozenset({"us"}), ("chat", "eu"): only_eu}
    one_way = {("chat", "us"): both, ("chat", "eu"): only_eu}
    eu_rule = NO_RULES.assign(allowed_regions="eu")
    peaks = {
        "free": local_and_pooled(hourly, NO_RULES).iloc[0],
        "apart": local_and_pooled(hourly, NO_RULES, apart).iloc[0],
        "one way": local_and_pooled(hourly, NO_RULES, one_way).iloc[0],
        "rule": local_and_pooled(hourly, eu_rule, apart).iloc[0],
    }
    # one way: Europe holds 20, the first hour needs 40 together; a rule sends all to Europe
    assert {name: row["allowed_peak_per_hour"] for name, row in peaks.items()} == pytest.approx(
        {"free": 40.0, "apart": 50.0, "one way": 40.0, "rule": 40.0}
    )
    assert peaks["apart"]["difference_share"] == 0.0
    assert {row["pooled_peak_per_hour"] for row in peaks.values()} == {40.0}


# accelerators and money


def test_staying_local_in_accelerators_and_money_by_hand(mini_ws):
    table = local_and_pooled(hourly_demand(frame_by_hour([30.0, 10.0], [10.0, 20.0]), mini_ws), NO_RULES)
    row = price_local(table, bill(("chat", "h100", 50.0, 100), ("chat", "l4", 30.0, 60)), HOURS).iloc[0]
    assert (row["accelerators_paid"], row["accelerators_local"], row["local_usd"]) == (
        8.0,
        pytest.approx(1.6),
        pytest.approx(32.0),
    )
    unknown = price_local(table, bill(("other", "h100", 50.0, 100)), HOURS).iloc[0]
    assert unknown[["accelerators_paid", "local_usd"]].isna().all()


def test_only_usage_of_named_accelerators_counts():
    rows = bill(("chat", "h100", 50.0, 100), ("chat", "(none)", None, 40), ("chat", "h100", 20.0, 7))
    rows.loc[2, "cost_line"] = "idle commitment"
    assert accelerators_paid(rows, HOURS)[["accelerators", "usd"]].to_numpy().tolist() == [[5.0, 100.0]]
    less = bill(("chat", "h100", None, -9)).assign(purchase_option="discount")
    paid = accelerators_paid(pd.concat([rows, less]), HOURS)
    assert paid[["accelerators", "usd"]].to_numpy().tolist() == [[5.0, 91.0]]


def test_a_fleet_by_hand(mini_ws):
    # chat peaks at 30 (us, first hour) and 20 (eu, second), images at 10 in eu only, by rule
    hourly = hourly_demand(
        pd.concat(
            [frame_by_hour([30.0, 10.0], [10.0, 20.0]), frame_by_hour([0.0, 0.0], [10.0, 4.0], "images")],
            ignore_index=True,
        ),
        mini_ws,
    )
    # five accelerators for chat: one per ten units; two for images: one per five
    row = pooled_fleet(
        hourly, mini_ws.table("use_cases"), bill(("chat", "a", 50.0, 500), ("images", "a", 20.0, 200)), HOURS
    ).iloc[0]
    assert (row["accelerators_paid"], row["accelerators_dedicated"], row["bound_to"]) == (7.0, 7.0, "images")
    assert row["accelerators_in_region"] == pytest.approx(3 + max(1 + 2, 2 + 0.8))
    assert row["accelerators_pooled"] == row["accelerators_by_rule"] == pytest.approx(max(4 + 2, 3 + 0.8))
    assert row["usd_per_accelerator_month"] == 100.0
    assert (row["local_usd"], row["residency_usd"]) == (0.0, 0.0)


def test_accelerators_stand_in_the_regions_that_their_charges_name(mini_ws):
    # chat is charged for "a" in us alone: eu, where it runs on kit without a charge, takes no part of the five
    hourly = hourly_demand(frame_by_hour([30.0, 10.0], [10.0, 20.0]), mini_ws)
    regions = [SimpleNamespace(region=name, provider_regions={}) for name in ("us", "eu")]
    charges = bill(("chat", "a", 50.0, 500), ("chat", "b", 20.0, 80)).assign(RegionId=["us", "eu"])
    row = pooled_fleet(hourly, NO_RULES, charges, HOURS, regions=regions).set_index("accelerator_id").loc["a"]
    assert row["accelerators_paid"] == row["accelerators_in_region"] == row["accelerators_pooled"] == 5.0
    assert row["local_usd"] == 0.0
    spread = pooled_fleet(hourly, NO_RULES, charges, HOURS).set_index("accelerator_id").loc["a"]
    assert spread["accelerators_pooled"] == 4.0


def test_staying_local_is_not_priced_where_a_region_has_no_charge(sample_ws):
    charges = sample_ws.table("billing")
    hourly = hourly_demand(demand.all_windows(sample_ws), sample_ws)
    paid = charges[charges["month"] == "2026-10"]
    local = local_of(sample_ws, hourly, paid, 744).set_index("use_case_id")
    # the pool of document summaries in eu-west names no use case
    assert local.loc["doc-summary", ["accelerators_paid", "accelerators_local", "local_usd"]].isna().all()
    assert local.loc["support-chat", "accelerators_paid"] == pytest.approx(48.79, abs=0.01)
    fleet = fleet_of(sample_ws, hourly, paid, 744).set_index("accelerator_id")
    assert (fleet.loc["google-tpu-v6e", ["local_usd", "latency_usd"]] == 0).all()  # one pool, in us-east


def test_a_rule_costs_what_its_region_must_hold(mini_ws):
    # images (eu only) and chat (anywhere) peak at different hours in different regions
    cases = mini_ws.table("use_cases")
    hourly = hourly_demand(
        pd.concat(
            [frame_by_hour([8.0, 1.0], [0.0, 0.0]), frame_by_hour([0.0, 0.0], [0.0, 6.0], "images")], ignore_index=True
        ),
        mini_ws,
    )
    charges = bill(("chat", "a", 80.0, 800), ("images", "a", 60.0, 600))
    free = pooled_fleet(hourly, cases, charges, HOURS).iloc[0]
    assert free["accelerators_by_rule"] == free["accelerators_pooled"] == 8.0  # chat may move to eu
    bound = cases.assign(allowed_regions=cases["use_case_id"].map({"chat": "us", "images": "eu"}))
    row = pooled_fleet(hourly, bound, charges, HOURS).iloc[0]
    assert (row["accelerators_by_rule"], row["residency_usd"]) == (14.0, pytest.approx(6 * 100.0))
    assert row["bound_to"] == "chat, images"


def test_the_levels_of_sharing_are_in_order_for_the_sample(sample_ws):
    windows = demand.all_windows(sample_ws)
    charges = sample_ws.table("billing")
    fleet = pooled_fleet(
        hourly_demand(windows, sample_ws), sample_ws.table("use_cases"), charges[charges["month"] == "2026-10"], 744
    )
    levels = fleet[["accelerators_dedicated", "accelerators_in_region", "accelerators_by_rule", "accelerators_pooled"]]
    assert (levels.diff(axis=1).iloc[:, 1:] <= 1e-9).all(axis=None)
    np.testing.assert_allclose(fleet["accelerators_dedicated"], fleet["accelerators_paid"])
    assert fleet.set_index("accelerator_id").loc["nvidia-a100-80-sxm", "bound_to"] == "claims-assistant, fraud-model"


# the least capacity


def exact(loads, regions):
    """Capacities and flows of every hour in one linear programme."""
    rules, hours = list(loads), len(next(iter(loads.values())))
    flows = [(rule, region, hour) for rule in rules for region in regions if region in rule for hour in range(hours)]
    cost = np.concatenate([np.ones(len(regions)), np.zeros(len(flows))])
    serve = np.zeros((len(rules) * hours, len(cost)))
    hold = np.zeros((len(regions) * hours, len(cost)))
    for place, (rule, region, hour) in enumerate(flows, len(regions)):
        serve[rules.index(rule) * hours + hour, place] = 1
        hold[regions.index(region) * hours + hour, place] = 1
    for region, hour in itertools.product(range(len(regions)), range(hours)):
        hold[region * hours + hour, region] = -1
    need = np.concatenate([loads[rule] for rule in rules])
    return linprog(cost, A_ub=hold, b_ub=np.zeros(len(hold)), A_eq=serve, b_eq=need, method="highs").fun


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_the_least_capacity_agrees_with_every_hour_served(seed, count):
    random = np.random.default_rng(seed)
    regions = ["ap", "eu", "us"]
    sets = [frozenset(s) for size in (1, 2, 3) for s in itertools.combinations(regions, size)]
    rules = [sets[place] for place in random.choice(len(sets), count, replace=False)]
    loads = {rule: random.integers(0, 20, 5).astype(float) for rule in rules}
    series = {rule: pd.Series(load) for rule, load in loads.items()}
    assert least_capacity(series) == pytest.approx(exact(loads, regions), abs=1e-6)


def test_limits_of_the_least_capacity():
    assert least_capacity({}) == 0.0
    load = pd.Series([3.0, 5.0])
    assert least_capacity({frozenset({"eu"}): load}) == 5.0
    assert least_capacity({frozenset({"eu"}): load, frozenset({"us"}): load[::-1].reset_index(drop=True)}) == 10.0
    assert np.isnan(least_capacity({frozenset({f"r{number}"}): load for number in range(11)}))


# latency between regions


def near(plan, ms, *pairs):
    rows = [
        {"between": pair, "round_trip_ms": ms, "source": "test", "as_of": "2026-10-31"}
        for pair in pairs or (("us", "eu"),)
    ]
    return type(plan).model_validate(plan.model_dump() | {"region_latency": rows})


def opposite(mini_ws):
    """Chat peaks at 30 in the US in one hour, at 20 in Europe in the other; 10 accelerators at USD 100."""
    hourly = hourly_demand(frame_by_hour([30.0, 10.0], [10.0, 20.0]), mini_ws)
    return hourly, bill(("chat", "acc", 10 * HOURS, 1000.0))


def test_a_detour_within_a_tenth_of_the_limit_is_pooled_and_a_longer_one_is_not(mini_ws):
    """Chat's first token may take 1,000 ms: a round trip of 100 ms is borne, one of 101 ms is not."""
    hourly, paid = opposite(mini_ws)
    cases = mini_ws.table("use_cases")
    rows = {}
    for ms in (100.0, 101.0):
        reach = latency_reach(near(mini_ws.plan, ms), cases, hourly["region"])
        rows[ms] = pooled_fleet(hourly, cases, paid, HOURS, reach).iloc[0]
    free, bound = rows[100.0], rows[101.0]
    # held in proportion to the peaks 30 + 20: 10 accelerators; the peak of the sum is 40 of 50
    assert free[
        ["accelerators_in_region", "accelerators_by_latency", "local_usd", "latency_usd"]
    ].tolist() == pytest.approx([10, 8, 200, 0])
    assert bound[
        ["accelerators_in_region", "accelerators_by_latency", "local_usd", "latency_usd"]
    ].tolist() == pytest.approx([10, 10, 0, 200])
    assert (free["too_far"], bound["too_far"]) == ("", "chat")


def test_without_stated_latency_all_are_in_reach_and_an_unstated_pair_is_too_far(mini_ws):
    hourly, paid = opposite(mini_ws)
    cases = mini_ws.table("use_cases")
    assert latency_reach(mini_ws.plan, cases, ["us", "eu"]) == {}
    assert pooled_fleet(hourly, cases, paid, HOURS, {}).iloc[0]["accelerators_by_latency"] == pytest.approx(8)
    reach = latency_reach(near(mini_ws.plan, 1.0), cases, ["us", "eu", "ap"])
    assert reach["chat", "us"] == {"us", "eu"}
    assert reach["chat", "ap"] == {"ap"}
    assert reach["models", "ap"] == {"us", "eu", "ap"}  # no limit: bears any way


def test_sites_that_stand_alone_are_served_by_no_other_region(mini_ws):
    """Chat of opposite hours in two regions: shared it needs 8, each region its own 8 where sites stand alone."""
    hourly, paid = opposite(mini_ws)
    cases = mini_ws.table("use_cases").assign(sites=["us=3; eu=2", None, "1"])
    alone = latency_reach(mini_ws.plan, cases, ["us", "eu"])
    assert alone == {("chat", "us"): {"us"}, ("chat", "eu"): {"eu"}}
    table = pooled_fleet(hourly, cases, paid, HOURS, alone).iloc[0]
    assert table["accelerators_by_latency"] == pytest.approx(table["accelerators_dedicated"])
    with_ways = latency_reach(near(mini_ws.plan, 1.0), cases, ["us", "eu"])
    assert with_ways["chat", "us"] == {"us"} and with_ways["images", "us"] == {"us", "eu"}
    part = cases.assign(sites=["us=3", None, None])
    assert latency_reach(mini_ws.plan, part, ["us", "eu"]) == {("chat", "us"): {"us"}}


def test_latency_of_an_unknown_region_is_refused(mini_ws):
    with pytest.raises(ValueError, match="'mars' is no region of this plan"):
        near(mini_ws.plan, 1.0, ("us", "mars"))


@FEW
@given(
    rows=st.lists(st.tuples(st.floats(0, 1e4), st.floats(0.1, 1e4)), min_size=1, max_size=12),
    ms=st.floats(0, 400),
)
def test_latency_costs_something_between_nothing_and_what_pooling_gains(mini_ws, rows, ms):
    us, eu = (list(part) for part in zip(*rows, strict=True))
    hourly = hourly_demand(frame_by_hour(us, eu), mini_ws)
    cases = mini_ws.table("use_cases")
    row = pooled_fleet(
        hourly,
        cases,
        bill(("chat", "acc", 10 * HOURS, 1000.0)),
        HOURS,
        latency_reach(near(mini_ws.plan, ms), cases, ["us", "eu"]),
    ).iloc[0]
    order = ["accelerators_pooled", "accelerators_by_rule", "accelerators_by_latency", "accelerators_in_region"]
    assert (np.diff(row[order].to_numpy(dtype=float)) >= -1e-6).all()
    assert min(row["local_usd"], row["latency_usd"], row["residency_usd"]) >= -1e-4
    whole = (row["accelerators_in_region"] - row["accelerators_pooled"]) * row["usd_per_accelerator_month"]
    assert row["local_usd"] + row["latency_usd"] + row["residency_usd"] == pytest.approx(whole, abs=1e-3)
