"""Reserve: by hand, at its limits, on processes of known exceedance, and what it refuses."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.demand.command import ReserveSettings, reserve_file
from aifactory.demand.reserve import exceeded_by, plan_reserve
from aifactory.demand.reserve_money import check_early_traffic, failure_factor, price_curve
from aifactory.errors import InputError

KEYS = {
    "basis", "window", "lead_time", "target", "reserve", "capacity", "exceedance_backtest", "hours_per_month_over", "utilization",
    "article_20", "article_40",
}  # fmt: skip


def poisson(count=3000, mean=60, seed=1):
    return np.random.default_rng(seed).poisson(mean, count).astype(float)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.1, 1e6), min_size=20, max_size=80, unique=True), st.integers(1, 9))
def test_the_pooled_quantile_is_exceeded_by_the_target(values, over):
    top = np.sort(np.array(values))[::-1][None]
    found = exceeded_by(top, np.array([1 / len(values)]), (over + 0.5) / len(values))
    assert (top > found).sum() in (over, over + 1)


def test_origins_count_by_their_weight():
    top = np.array([[10.0, 9.0], [100.0, 90.0]])
    assert exceeded_by(top, np.array([0.5, 1e-9]), 0.5) == pytest.approx(10.0)
    assert exceeded_by(top, np.array([1e-9, 0.5]), 0.5) == pytest.approx(100.0)


def test_beyond_the_highest_the_tail_goes_on():
    pareto = (((np.arange(1000) + 0.5) / 1000) ** -0.3)[None]
    found = exceeded_by(pareto, np.array([1 / 1000]), 1e-4)
    assert found > pareto[0, 0]
    assert found == pytest.approx(1e-4**-0.3, rel=0.25)


@pytest.mark.parametrize("target", [0.01, 0.05])
def test_a_steady_process_is_exceeded_as_often_as_asked(target):
    values = poisson(6000)
    found = plan_reserve(values[:4000], 300, target)
    assert target / 2 <= found.exceedance_backtest <= 2 * target
    assert target / 2 <= (values[4000:] > found.capacity).mean() <= 2 * target


def test_growth_over_a_lead_time_is_in_the_capacity():
    time = np.arange(1500)
    values = poisson(1500, 100 * 1.002**time)
    found = plan_reserve(values, 200, 0.02)
    coming = 100 * 1.002 ** (1500 + np.arange(200))
    assert found.capacity > np.quantile(coming, 0.9)
    assert 0.01 <= found.exceedance_backtest <= 0.04


def test_a_lower_target_costs_more_capacity():
    capacities = [plan_reserve(poisson(), 100, target).capacity for target in (0.1, 0.05, 0.01, 0.002)]
    assert capacities == sorted(capacities)


def test_what_comes_after_an_origin_changes_no_plan_before_it():
    values = poisson(1200)
    later = values.copy()
    later[900:] *= 40
    np.testing.assert_allclose(
        plan_reserve(values[:900], 100, 0.05).capacity, plan_reserve(later[:900], 100, 0.05).capacity
    )


def test_the_curve_falls_and_ends_with_this_plan():
    curve = plan_reserve(poisson(), 100, 0.01).curve
    fixed = curve[curve["plan"] == "fixed"]
    assert fixed["exceedance"].is_monotonic_decreasing
    assert fixed["utilization"].is_monotonic_decreasing
    assert {0.2, 0.4} <= set(fixed["reserve"])
    assert curve.iloc[-1]["plan"] == "this plan"


def test_utilization_and_unserved_by_hand():
    found = plan_reserve(np.tile([10.0, 20.0], 200), 40, 0.01)
    zero = found.curve.iloc[0]
    # p95 of a lead time is 20: nothing is over, three quarters are used
    assert found.basis_value == 20
    assert (zero["exceedance"], zero["unserved_share"], zero["utilization"]) == (0, 0, 0.75)


def test_a_short_history_is_widened_and_says_so():
    values = np.random.default_rng(7).lognormal(4, 0.3, 200)
    long, short = plan_reserve(values, 150, 0.05), plan_reserve(values, 50, 0.05)
    assert any("widened" in note for note in long.notes)
    assert long.capacity > short.capacity


def test_scale_does_not_matter():
    values = poisson(800)
    once, scaled = plan_reserve(values, 80, 0.05), plan_reserve(values * 1e6, 80, 0.05)
    assert scaled.capacity == pytest.approx(once.capacity * 1e6, rel=1e-9)
    assert scaled.reserve == pytest.approx(once.reserve)


@pytest.mark.parametrize(
    ("values", "lead", "target", "told"),
    [
        (np.ones(10), 5, 0.01, "at least 24 windows"),
        (np.ones(300), 4032, 0.01, "at least 2016 windows of history; there are 300"),
        (np.ones(100), 10, 0.0, "target"),
        (np.ones(100), 10, 0.3, "target"),
        (np.ones(100), 0, 0.1, "lead time"),
        (np.append(np.ones(99), -1), 10, 0.1, "not negative"),
        (np.append(np.ones(99), np.nan), 10, 0.1, "finite"),
    ],
)
def test_what_cannot_be_planned_is_refused(values, lead, target, told):
    with pytest.raises(InputError, match=told):
        plan_reserve(values, lead, target)


def test_no_demand_needs_no_capacity():
    found = plan_reserve(np.zeros(200), 20, 0.05)
    assert found.capacity < 1e-6
    assert np.isnan(found.reserve)


# money, failures, early traffic


def test_each_step_of_safety_has_its_price():
    found = plan_reserve(poisson(), 100, 0.01)
    curve = price_curve(found, 2.0, 4380, overflow_usd_per_unit=0.01)
    np.testing.assert_allclose(curve["capacity_usd_per_month"], curve["capacity"] * 2)
    np.testing.assert_allclose(
        curve["total_usd_per_month"], curve["capacity_usd_per_month"] + curve["overflow_usd_per_month"]
    )
    fixed, own = curve[curve["plan"] == "fixed"], curve.iloc[-1]
    saved = fixed["hours_per_month_over"].iloc[0] - fixed["hours_per_month_over"].iloc[1]
    paid = 2 * 0.1 * found.basis_value
    assert fixed["usd_per_hour_avoided"].iloc[1] == pytest.approx(paid / saved)
    assert fixed["overflow_usd_per_month"].is_monotonic_decreasing
    assert (own["plan"], own["capacity"], own["reserve"]) == ("this plan", found.capacity, found.reserve)


def test_failure_domains():
    assert failure_factor(3, 1) == 1.5
    assert failure_factor(5, 2) == pytest.approx(5 / 3)
    with pytest.raises(InputError, match="one must stay"):
        failure_factor(1)


def test_early_traffic_states_its_error():
    rng, inside = np.random.default_rng(11), 0
    for _ in range(200):
        inside += (found := check_early_traffic(rng.poisson(30, 240) * 1.0, 0.1, 300)).low <= 300 <= found.high
    assert 0.72 <= inside / 200 <= 0.88
    assert found.peak_low < found.peak_high
    assert check_early_traffic(rng.poisson(60, 240) * 1.0, 0.1, 300).verdict == "above the projection"
    assert check_early_traffic(np.tile([10.0], 240), 0.1, 100).ratio == pytest.approx(1)


@pytest.mark.parametrize(("values", "share", "told"), [(np.ones(30), 0.1, "two batches"), (np.ones(99), 0, "share")])
def test_too_little_early_traffic_is_refused(values, share, told):
    with pytest.raises(InputError, match=told):
        check_early_traffic(values, share, 10)


# files


def written(tmp_path, values, freq="10min"):
    stamps = pd.date_range("2026-01-01", periods=len(values), freq=freq).strftime("%Y-%m-%dT%H:%M:%SZ")
    pd.DataFrame({"ds": stamps, "y": values}).to_csv(tmp_path / "load.csv", index=False)
    return tmp_path / "load.csv"


def test_the_command_prints_the_reserve(tmp_path):
    path = written(tmp_path, poisson(1500))
    done = CliRunner().invoke(
        app,
        ["reserve", str(path), "--window", "10min", "--lead-time", "1d", "--target", "0.05", "--pools", "3", "--json"],
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found) >= KEYS
    assert found["capacity"] == pytest.approx(found["basis_value"] * (1 + found["reserve"]), rel=1e-4)
    assert found["capacity_with_failure"] == pytest.approx(found["capacity"] * 1.5, rel=1e-4)
    assert found["article_20"]["capacity"] == pytest.approx(found["basis_value"] * 1.2, rel=1e-4)
    text = CliRunner().invoke(app, ["reserve", str(path), "--lead-time", "1d"])
    assert "over the 95th percentile of y per 10min in the last 1 d" in text.stdout


def test_windows_are_added_up_and_gaps_named(tmp_path):
    path = written(tmp_path, np.full(600, 5.0))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:100], *lines[104:]]) + "\n")
    found = reserve_file(path, ReserveSettings("1h", "10h", 0.05))
    assert found["basis_value"] == 30
    assert any("4 stamps are missing" in text for text in found["warnings"])


@pytest.mark.parametrize(
    ("window", "lead", "told"),
    [
        ("5min", "1d", "windows of"),
        ("soon", "1d", "--window"),
        ("10min", "28", "--lead-time"),
        ("1h", "10min", "shorter than a window"),
    ],
)
def test_durations_that_do_not_fit_are_refused(tmp_path, window, lead, told):
    with pytest.raises(InputError, match=told):
        reserve_file(written(tmp_path, poisson(300)), ReserveSettings(window, lead, 0.05))


@pytest.mark.parametrize(
    ("name", "window", "lead"),
    [
        ("azure_llm_2023_conv.csv.gz", "10s", "5min"),
        ("gentd26_lora_request_trace_2024-11-15_12-01.csv.gz", "1h", "2d"),
        ("philly_jobs_2017-09-04_11-12.csv.gz", "1h", "7d"),
        ("mooncake_fast25_conversation_first70pct.jsonl.gz", "10s", "5min"),
    ],
)
def test_real_traces_give_a_capacity_and_its_record(shared_dir, name, window, lead):
    found = reserve_file(shared_dir / "data" / "traces" / name, ReserveSettings(window, lead, 0.05))
    assert found["capacity"] > 0
    assert found["origins"] >= 10
    assert 0 <= found["exceedance_backtest"] <= 0.1  # at most twice the target


def test_jobs_count_accelerators_in_use(tmp_path):
    rows = ["timestamp,duration,num_gpus"]
    rows += [f"2026-01-{day:02d} 00:00:00,43200,8" for day in range(1, 29)]
    path = tmp_path / "jobs.csv"
    path.write_text("\n".join(rows) + "\n")
    found = reserve_file(path, ReserveSettings("1d", "4d", 0.05))
    assert found["unit"] == "accelerators in use per 1d"
    assert found["basis_value"] == pytest.approx(4.0)


def test_an_autoscaler_keeps_less_running(tmp_path):
    time = np.arange(2016)
    values = np.random.default_rng(5).poisson(200 + 150 * np.sin(2 * np.pi * time / 144))
    found = reserve_file(written(tmp_path, values), ReserveSettings("10min", "2d", 0.05, autoscaler_lag="20min"))
    assert found["autoscaled"]["utilization"] > found["utilization"]
    assert found["autoscaled"]["running_now"] <= found["capacity"]
