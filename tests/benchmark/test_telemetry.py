"""Capacity that production shows: hand-made months, a simulated device as oracle, and what is left out."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.benchmark import build_benchmark
from aifactory.benchmark.telemetry import BATCH_GAIN, HELD, TELEMETRY, capacity_shown, shown_capacities, with_telemetry
from aifactory.benchmark.telemetry_places import links_of

H100, A100, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"
#: chat in us on 8 H100, half in use: days of 10 hours of 216 and 14 hours of 108 good requests
DAY, BUSY_HOUR = (10 * 216 + 14 * 108) / 86_400 / 8, 216 / 3_600 / 8
VALUE = HELD * DAY / 0.5
HIGH = VALUE * BATCH_GAIN * 0.5 / math.log(2)


def row_of(ws, case="chat"):
    return shown_capacities(ws).set_index("use_case_id").loc[case]


def test_a_month_computed_by_hand(mini_ws):
    found = shown_capacities(mini_ws)
    assert found[["use_case_id", "accelerator_id", "tier"]].to_numpy().tolist() == [["chat", H100, TELEMETRY]]
    row = found.iloc[0]
    assert row["low"] == pytest.approx(BUSY_HOUR) == pytest.approx(0.0075)
    assert row["units_per_s_per_accelerator"] == pytest.approx(VALUE) == pytest.approx(0.00765)
    assert row["high"] == pytest.approx(HIGH) == pytest.approx(0.066222, rel=1e-4)
    for words in (
        "0.0075 units/s",
        "in us",
        "2026-10",
        "latency not measured",
        "50 %",
        "31 windows",
        "the only use case",
    ):
        assert words in row["evidence"]


def test_hours_of_pools_are_met_with_hours_of_demand(with_tables, mini_ws):
    pools = mini_ws.table("pools")
    hourly = pools.loc[pools.index.repeat(24)].assign(window_minutes=60)
    hourly["window_start_utc"] += pd.to_timedelta(hourly.groupby(level=0).cumcount(), unit="h")
    working = hourly["window_start_utc"].dt.hour.between(8, 17)
    row = row_of(with_tables(pools=hourly.assign(utilization=working * 0.4 + 0.2)))
    assert row["units_per_s_per_accelerator"] == pytest.approx(max(HELD * BUSY_HOUR / 0.6, BUSY_HOUR))
    assert "744 windows" in row["evidence"]


@given(
    rates=st.lists(st.floats(0.01, 100), min_size=1, max_size=30), use=st.floats(0.02, 1.0), held=st.floats(0.3, 1.0)
)
def test_ends_enclose_the_value_and_what_was_served(rates, use, held):
    x = np.array(rates)
    low, value, high = capacity_shown(x, x, np.full(len(x), use), held)
    assert low <= value <= high <= max(low, BATCH_GAIN * value)
    assert low == pytest.approx(max(np.quantile(x, 0.95), np.median(x)))


@pytest.mark.parametrize("rate", [0.2, 1.0, 3.0])
def test_the_high_end_is_the_capacity_of_a_device_that_batches_freely(rate):
    rng = np.random.default_rng(7)
    start = np.cumsum(rng.exponential(1 / rate, 200_000))  # each request is in the device for a second
    gaps = np.diff(start)
    use = np.minimum(gaps, 1.0).sum() / gaps.sum()
    _, _, high = capacity_shown([rate], [rate], [use], held=1.0)
    assert high == pytest.approx(max(BATCH_GAIN, rate), rel=0.02)


def test_a_device_that_waits_for_its_host_is_still_above_the_low_end():
    capacity, rate = 1.0, 0.7  # the host serves one a second, of which kernels run a fifth
    low, value, _ = capacity_shown([rate], [rate], [rate / capacity * 0.2])
    assert low <= capacity < value


@pytest.mark.parametrize(("rate", "use"), [([0.0], [0.5]), ([1.0], [0.0]), ([1.0], [0.01])])
def test_idle_devices_tell_nothing(rate, use):
    assert np.isnan(capacity_shown(rate, rate, use)).all()


def test_a_missed_target_is_no_capacity(with_tables):
    bounds = pd.DataFrame({
        "window_start_utc": pd.to_datetime(["2026-10-01"], utc=True), "use_case_id": "chat", "region": "us",
        "metric": "ttft_ms", "lower_ms": [1500.0], "upper_ms": [2000.0], "count": [100],
    })  # fmt: skip
    assert shown_capacities(with_tables(latency_bounds=bounds)).empty
    met = bounds.assign(lower_ms=100.0, upper_ms=500.0)
    assert "within its latency limits" in row_of(with_tables(latency_bounds=met))["evidence"]


def test_a_doubtful_label_and_a_gap_are_left_out(with_tables, mini_ws):
    pools = mini_ws.table("pools")
    assert shown_capacities(with_tables(pools=pools.assign(power_w=pools["power_w"] * 100))).empty
    half = pools.assign(window_minutes=720)
    assert shown_capacities(with_tables(pools=half)).empty  # half of each day is not covered
    assert shown_capacities(with_tables(pools=pools.iloc[:0])).empty
    assert shown_capacities(with_tables(demand_windows=mini_ws.table("demand_windows").iloc[:0])).empty


def test_work_on_two_accelerators_of_a_region_is_not_split(with_tables, mini_ws):
    pools = mini_ws.table("pools")
    chat = pools[pools["pool_id"] == "chat-pool"]
    more = pd.concat([pools, chat.assign(pool_id="other", accelerator_id="nvidia-l4", power_w=100.0)])
    assert shown_capacities(with_tables(pools=more)).empty
    little = pd.concat([pools, chat.assign(pool_id="other", accelerator_id="nvidia-l4", installed=0.2, power_w=1.0)])
    assert row_of(with_tables(pools=little))["units_per_s_per_accelerator"] == pytest.approx(VALUE)


def billed(ws, hours, pool="chat-pool"):
    """The bill with the charges of the pool split: accelerator-hours by use case."""
    bill = ws.table("billing")
    mine = bill[(bill["accelerator_id"] == H100) & (bill["month"] == ws.period)].iloc[:1]
    parts = [mine.assign(use_case=name, accelerator_hours=amount) for name, amount in hours.items()]
    return pd.concat(parts).assign(ResourceId=pool, RegionId="us")


def test_the_bill_says_whose_share_of_a_pool_it_is(with_tables, mini_ws):
    ws = with_tables(billing=billed(mini_ws, {"chat": 750.0, "images": 250.0}))
    row = row_of(ws)
    # three quarters of 8 accelerators: a third more per accelerator; its hours are counted on all of the pool
    assert row["units_per_s_per_accelerator"] == pytest.approx(VALUE / 0.75)
    assert row["low"] == pytest.approx(max(BUSY_HOUR, DAY / 0.75))
    assert "by the hours of the bill" in row["evidence"]
    assert set(shown_capacities(ws)["use_case_id"]) == {"chat"}  # images has no demand in us


def test_a_pool_that_is_largely_nobodys_is_left_out(with_tables, mini_ws):
    some = {"chat": 800.0, "(unattributed)": 200.0}
    assert shown_capacities(with_tables(billing=billed(mini_ws, some))).empty
    few = {"chat": 950.0, "(unattributed)": 50.0}
    assert row_of(with_tables(billing=billed(mini_ws, few)))["units_per_s_per_accelerator"] == pytest.approx(VALUE)


def test_without_a_bill_the_plan_says_who_is_there(with_tables, mini_ws):
    extra = mini_ws.table("demand_windows").query("use_case_id == 'images'").assign(region="us")
    demand = pd.concat([mini_ws.table("demand_windows"), extra], ignore_index=True)
    ws = with_tables(demand_windows=demand)
    assert shown_capacities(ws).empty  # chat or images
    plan = ws.plan.model_copy(update={"baseline_accelerators": {"images": A100}})
    assert row_of(dataclasses.replace(ws, plan=plan))["units_per_s_per_accelerator"] == pytest.approx(VALUE)
    pools = ws.month("pools").assign(place="x")
    assert links_of(ws, pools[pools["pool_id"] == "none"], ws.month("demand_windows")).empty


def test_a_model_that_nobody_measured_enters_the_comparison(with_tables, runs, mini_ws):
    cases = mini_ws.table("use_cases").assign(model="nobody-knows")
    table = build_benchmark(with_tables(benchmarks=runs.iloc[:0], use_cases=cases)).capacity
    chat = table[table["use_case_id"] == "chat"].set_index("accelerator_id")
    assert chat["tier"].to_dict() == {H100: TELEMETRY, A100: "anchored", TPU: "none"}
    assert chat.at[H100, "units_per_s_per_accelerator"] == pytest.approx(VALUE)
    other = chat.loc[A100]
    assert f"from own telemetry on {H100}" in other["evidence"]
    assert 0.2 * VALUE < other["units_per_s_per_accelerator"] < VALUE
    # as uncertain as its level at least: log deviations in squares
    assert other["high"] / other["units_per_s_per_accelerator"] > HIGH / VALUE
    assert other["usd_per_1k_units"] > 0


def test_a_run_is_never_replaced(mini_ws, mini_benchmark):
    chat = mini_benchmark.capacity.set_index(["use_case_id", "accelerator_id"]).loc["chat", H100]
    assert (chat["tier"], chat["units_per_s_per_accelerator"]) == ("measured", 6.0)


def said(low, value, high):
    return pd.DataFrame({"use_case_id": ["chat"], "accelerator_id": [H100], "units_per_s_per_accelerator": [value],
                         "low": [low], "high": [high], "tier": ["anchored"], "evidence": ["public"]})  # fmt: skip


SHOWN = said(1.0, 2.0, 8.0).assign(tier=TELEMETRY, evidence="seen")


@pytest.mark.parametrize(
    ("estimate", "low", "value", "tier", "evidence"),
    [
        ((0.1, 0.4, 0.9), 1.0, 2.0, TELEMETRY, "seen"),  # served more than it: refuted
        ((np.nan, np.nan, np.nan), 1.0, 2.0, TELEMETRY, "seen"),
        ((0.5, 3.0, 20.0), 1.0, 2.0, TELEMETRY, "seen"),  # wider
        ((1.5, 3.0, 6.0), 1.5, 3.0, "anchored", "public"),  # narrower
        ((0.8, 0.9, 2.0), 1.0, 1.0, "anchored", "public; low end raised to what production shows: seen"),
        ((9.0, 30.0, 900.0), 9.0, 30.0, "anchored", "public; production shows less"),
    ],
)
def test_which_evidence_speaks(estimate, low, value, tier, evidence):
    row = with_telemetry(said(*estimate), SHOWN).iloc[0]
    assert (row["low"], row["units_per_s_per_accelerator"], row["tier"]) == (low, value, tier)
    assert row["evidence"].startswith(evidence)
