"""Reserve: by hand, at its limits, on processes of known exceedance, and what it refuses."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.demand import reserve
from aifactory.demand.command import ReserveSettings, reserve_file, reserve_lines
from aifactory.demand.reserve import _Plan, _Record, budget_left, plan_reserve
from aifactory.demand.reserve_money import failure_factor, price_curve
from aifactory.demand.reserve_quantile import exceeded_by, unserved_by
from aifactory.errors import InputError

KEYS = {
    "basis", "window", "lead_time", "target", "reserve", "capacity", "exceedance_backtest", "hours_per_month_over", "utilization",
    "article_20", "article_40",
}  # fmt: skip


def poisson(count=3000, mean=60, seed=1):
    return np.random.default_rng(seed).poisson(mean, count).astype(float)


@settings(max_examples=60)
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


def test_a_plan_that_is_held_meets_its_target_whatever_the_plans_of_its_record_met():
    """Of 30 steady histories; plans that make good what a record overdrew by chance do in 19."""
    met = 0
    for seed in range(30):
        values = poisson(3000, seed=seed)
        met += 0.005 <= (values[1500:] > plan_reserve(values[:1500], 100, 0.01).capacity).mean() <= 0.02
    assert met >= 26
    burst = np.concatenate([poisson(1400), poisson(100, 90, seed=2), poisson(500, seed=3)])
    found = plan_reserve(burst, 100, 0.05)
    assert found.budget < 1
    assert found.capacity == _Plan(100, 0.05, 0, "windows").capacity(burst, 1.0)


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


def test_a_level_that_fell_for_good_leaves_the_windows_before_it_out():
    before, since = poisson(600, 1000), poisson(600, 100, seed=2)
    found = plan_reserve(np.concatenate([before, since]), 60, 0.05)
    assert 600 <= found.first_window <= 650
    assert found.capacity < 150
    # a fall that did not last changes nothing
    assert plan_reserve(np.concatenate([before, since[:60], before]), 60, 0.05).first_window == 0


def test_growth_is_taken_only_where_it_is_beyond_a_random_walk():
    walk = np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.02, 1000))) * 100
    grown = poisson(1000, 100 * 1.001 ** np.arange(1000))
    assert plan_reserve(grown, 100, 0.05).growth == pytest.approx(1.001**100 - 1, rel=0.1)
    assert abs(plan_reserve(walk, 100, 0.05).growth) < 0.2


def test_what_is_left_of_the_target_is_the_next_one():
    rising = np.concatenate([poisson(1000, 100), poisson(400, 130, seed=4)])
    assert plan_reserve(rising, 50, 0.05).budget < 1
    assert budget_left(0.02, 1, 0.02) == 1
    assert budget_left(0.01, 1, 0.02) == 1.5  # half a lead time's target is left over
    assert budget_left(0.0, 100, 0.02) == 3.0  # never above three times the target
    assert budget_left(0.2, 100, 0.02) == pytest.approx(1 / 10)


def test_a_budget_counts_the_windows_of_plans_that_still_run():
    """A record of two plans, the second over capacity in the half of its lead time that is over: 3 of 15 windows."""
    record = _Record(poisson(80), _Plan(10, 0.1, 0, "windows"))
    record.origins, record.step = np.array([40, 50]), 10
    record.missed = [np.cumsum(np.zeros(10)), np.cumsum([1, 1, 1, 0, 0, 1, 1, 1, 1, 1])]
    record.counted = [np.arange(1, 11)] * 2
    assert record.budget_at(40) == 1.0
    assert record.budget_at(50) == budget_left(0.0, 1.0, 0.1)
    assert record.budget_at(55) == budget_left(3 / 15, 1.5, 0.1)
    assert record.budget_at(80) == budget_left(8 / 20, 2.0, 0.1)


def test_overloads_that_last_count_once():
    calm = poisson(4000)
    lasting = np.repeat(poisson(400), 10)
    alone, together = (plan_reserve(values, 50, 0.05) for values in (calm, lasting))
    assert alone.overloads_expected == pytest.approx(0.05 * 2000, rel=0.25)
    assert together.overloads_expected == pytest.approx(alone.overloads_expected / 10, rel=0.35)
    for found in (alone, together):
        assert found.overloads_expected == pytest.approx(0.05 * found.independent_windows)
        assert found.exceedance_low < found.exceedance_backtest < found.exceedance_high
    assert together.exceedance_high > alone.exceedance_high


def test_a_record_too_short_for_its_target_names_the_one_it_can_show():
    lasting = np.repeat(poisson(300), 10)  # overloads last ten windows: 1500 windows hold 1.5 of them at 1 %
    short, long = plan_reserve(lasting, 100, 0.01), plan_reserve(poisson(4000), 100, 0.05)
    assert short.overloads_expected < 3
    assert short.target_supported == pytest.approx(0.01 * 3 / short.overloads_expected)
    assert f"or any below {100 * short.target_supported:.2g} %" in short.notes[-1]
    assert long.overloads_expected > 3
    assert long.target_supported < 0.05
    assert not any("cannot show" in note for note in long.notes)


def test_a_record_without_overload_still_has_a_range():
    found = plan_reserve(np.tile([8.0, 10.0, 9.0, 10.0], 100), 40, 0.01)
    assert found.exceedance_backtest == found.exceedance_low == 0
    # 200 windows that repeat themselves in every lead time weigh in full: 1 - 0.1^(1 / 200)
    assert found.independent_windows == 200
    assert found.exceedance_high == pytest.approx(1 - 0.1 ** (1 / 200))


def test_windows_that_are_mostly_empty_need_no_capacity_and_say_so():
    values = np.zeros(3000)
    values[::150] = 5.0  # two thirds of a percent
    found = plan_reserve(values, 300, 0.05)
    assert found.capacity == 0
    assert any("only 0.7 % of the windows hold any demand, 5.0 % may be over: no capacity would do" in note for note in found.notes)  # fmt: skip
    told = plan_reserve(values, 300, 0.001).notes
    assert not any("hold any demand" in note for note in told)
    bounded = plan_reserve(values, 300, 0.05, goal="unserved")
    assert bounded.capacity == pytest.approx(5.0, rel=0.15)
    assert not any("hold any demand" in note for note in bounded.notes)


def test_minutes_ahead_follow_the_level_of_now():
    time = np.arange(2016)
    values = np.random.default_rng(5).poisson(200 + 150 * np.sin(2 * np.pi * time / 144)).astype(float)
    low = plan_reserve(values[: 144 * 13 + 108], 2, 0.05, 144)  # at the lowest of the day
    high = plan_reserve(values[: 144 * 13 + 36], 2, 0.05, 144)
    assert low.capacity < high.capacity / 2
    assert 0.025 <= low.exceedance_backtest <= 0.1


# the other target: demand that is not served


@settings(max_examples=60)
@given(st.lists(st.floats(0.1, 1e6), min_size=2, max_size=60), st.floats(0.001, 0.24))
def test_the_unserved_share_is_the_target(values, target):
    values = np.array(values)
    capacity = unserved_by(values[:, None], np.full(len(values), 1 / len(values)), target)
    assert np.maximum(values - capacity, 0).sum() / values.sum() == pytest.approx(target, rel=1e-6)


def test_unserved_by_hand_and_at_its_limits():
    weights = np.full(4, 0.25)
    # of 10, a tenth: only the 4 is cut, by 1
    assert unserved_by(np.array([4.0, 3.0, 2.0, 1.0])[:, None], weights, 0.1) == 3.0
    assert unserved_by(np.zeros((4, 1)), weights, 0.1) == 0.0
    assert unserved_by(np.full((4, 1), 7.0), weights, 0.01) == pytest.approx(7 * 0.99)


def test_a_plan_for_unserved_demand_leaves_that_share():
    values = np.random.default_rng(8).gamma(4.0, 5.0, 6000)
    found = plan_reserve(values[:4000], 200, 0.02, goal="unserved")
    assert found.goal == "unserved"
    assert 0.01 <= found.unserved_backtest <= 0.04
    later = values[4000:]
    assert 0.01 <= np.maximum(later - found.capacity, 0).sum() / later.sum() <= 0.04
    with pytest.raises(InputError, match="goal"):
        plan_reserve(values, 200, 0.02, goal="demand")


def test_tiny_units_are_planned_like_others():
    """Overloads count relative to the capacity, not in the unit: what is counted in billions is no rounding."""
    values = np.random.default_rng(3).gamma(2, 50, 600)
    whole, tiny = plan_reserve(values, 48, 0.05), plan_reserve(values * 1e-12, 48, 0.05)
    assert tiny.capacity == pytest.approx(whole.capacity * 1e-12)
    assert tiny.exceedance_backtest == whole.exceedance_backtest > 0


def test_scale_does_not_matter():
    values = poisson(800)
    once, scaled = plan_reserve(values, 80, 0.05), plan_reserve(values * 1e6, 80, 0.05)
    assert scaled.capacity == pytest.approx(once.capacity * 1e6, rel=1e-9)
    assert scaled.reserve == pytest.approx(once.reserve)


@pytest.mark.parametrize(
    ("values", "lead", "target", "told"),
    [
        (np.ones(10), 5, 0.01, "at least 24 windows"),
        (np.ones(300), 4032, 0.01, "at least 2,016 windows of history; there are 300"),
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


# money, failures


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


def test_the_command_plans_for_unserved_demand(tmp_path):
    path = written(tmp_path, poisson(1500))
    done = CliRunner().invoke(app, ["reserve", str(path), "--lead-time", "1d", "--target-unserved", "0.01", "--json"])
    found = json.loads(done.stdout)
    assert (found["goal"], found["target"]) == ("unserved", 0.01)
    assert found["capacity"] < json.loads(
        CliRunner().invoke(app, ["reserve", str(path), "--lead-time", "1d", "--json"]).stdout
    )["capacity"]  # fmt: skip
    text = CliRunner().invoke(app, ["reserve", str(path), "--lead-time", "1d", "--target-unserved", "0.01"]).stdout
    assert "1.00 % of the demand not served" in text


def warned(tmp_path, stamps, values, **settings):
    path = tmp_path / "load.csv"
    pd.DataFrame({"ds": stamps, "y": values}).to_csv(path, index=False)
    found = reserve_file(path, ReserveSettings(**{"window": "1h", "lead_time": "10h", "target": 0.05, **settings}))
    assert np.isfinite(found["capacity"])
    return found, "\n".join(found["warnings"])


def hours(count, zone=None, start="2026-03-20"):
    return [stamp.isoformat() for stamp in pd.date_range(start, periods=count, freq="h", tz=zone)]


def test_unsorted_and_double_stamps_name_their_rows(tmp_path):
    stamps, values = hours(240), poisson(240)
    stamps[4], stamps[5] = stamps[5], stamps[4]
    found, told = warned(tmp_path, [*stamps, stamps[9]], [*values, values[9]])
    assert "rows 7, 242: sorted" in told
    assert "given before in row 242: the mean" in told
    assert found["windows"] == 240


def test_gaps_empty_values_and_zeros_name_their_rows(tmp_path):
    stamps, values = hours(240), poisson(240)
    values[20] = 0
    texts = values.astype(str)
    texts[50] = ""
    keep = np.delete(np.arange(240), [100, 101])
    _, told = warned(tmp_path, np.array(stamps)[keep], texts[keep])
    assert "no value in row 52" in told
    assert "2 stamps are missing after row 101" in told
    assert "zeros in a busy series at row 22" in told


def test_the_clock_change_is_straight_with_offsets_and_named_without(tmp_path):
    local = pd.date_range("2026-10-20", periods=240, freq="h", tz="Europe/Berlin")
    found, told = warned(tmp_path, [stamp.isoformat() for stamp in local], poisson(240))
    assert (found["windows"], told) == (240, "")
    _, told = warned(tmp_path, local.tz_localize(None).astype(str), poisson(240))
    assert "stamps given before in row" in told


def test_a_wandering_level_asks_for_no_more_than_twice_the_highest_window(monkeypatch):
    """A ratio of when the level was low times a last level that is high: six times anything that ever came, without the bound."""
    random = np.random.default_rng(68)
    walk = np.cumsum(random.normal(0, 0.08, 400))
    history = np.exp(walk - walk[-20:].mean()) * random.exponential(1, 400) ** 2
    plan = _Plan(40, 0.005, 0, "windows")
    assert plan.capacity(history, 1.0) == pytest.approx(2 * history.max())
    monkeypatch.setattr(reserve, "MOST_OVER_HIGHEST", np.inf)
    assert plan.capacity(history, 1.0) > 6 * history.max()


def test_a_collapse_a_constant_series_and_a_single_season_say_so(tmp_path):
    fallen = np.concatenate([poisson(480, 1000), poisson(240, 100)])
    found, told = warned(tmp_path, hours(720), fallen)
    assert "the level moves about row 48" in told and "do not count" in told
    assert found["capacity"] < 150
    found, told = warned(tmp_path, hours(240), np.full(240, 5.0))
    assert "every value is 5 (rows 2 to 241)" in told
    assert (found["capacity"], found["exceedance_backtest"]) == (5, 0)
    _, told = warned(tmp_path, hours(40), poisson(40), lead_time="5h")
    assert "rows 2 to 41 hold less than two seasons of 24 steps" in told


def test_several_series_are_never_mixed(tmp_path):
    path = tmp_path / "many.csv"
    frame = pd.DataFrame({"unique_id": ["a"] * 240 + ["b"] * 240, "ds": hours(240) * 2, "y": [1.0] * 240 + [9.0] * 240})
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match="holds 2 series"):
        reserve_file(path, ReserveSettings("1h", "10h", 0.05))
    assert reserve_file(path, ReserveSettings("1h", "10h", 0.05, workload="b"))["capacity"] == 9


def test_stamps_between_the_steps_are_refused_by_row(tmp_path):
    stamps = hours(240)
    stamps[7] = "2026-03-20T07:20:00"
    with pytest.raises(InputError, match="row 9.*correct that stamp"):
        warned(tmp_path, stamps, poisson(240))


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


def test_a_level_that_wanders_is_followed_and_one_that_does_not_is_averaged():
    rng = np.random.default_rng(4)
    level = 1000 * np.exp(np.cumsum(rng.normal(0, 0.01, 2000)))
    walk = level * rng.uniform(0.95, 1.05, 2000)
    ends = (300, 1000, 1500, 2000)
    over_level = [plan_reserve(walk[:end], 40, 0.05).capacity / level[end - 1] for end in ends[1:]]
    assert max(over_level) / min(over_level) < 1.25  # as far over its last level wherever that lies
    steady = rng.uniform(900, 1100, 2000)
    steady[-20:] = 910  # a low end of what does not wander changes little
    assert plan_reserve(steady, 40, 0.05).capacity > 1050


def test_zeros_need_no_capacity():
    assert plan_reserve(np.zeros(200), 20, 0.05).capacity == 0.0


def test_work_in_few_windows_needs_nothing_where_the_target_allows_all_of_them():
    values = np.zeros(400)
    values[::40] = 50.0  # a fortieth of the windows
    assert plan_reserve(values, 40, 0.1).capacity == 0.0
    assert plan_reserve(values, 40, 0.005).capacity > 0


def test_between_work_and_none_the_capacity_lies_on_a_line():
    assert exceeded_by(np.array([[8.0, 0.0, 0.0, 0.0]]), np.array([0.25]), 0.3) == pytest.approx(8 * 0.8)


def test_of_a_long_history_the_last_windows_count():
    values = np.concatenate([np.full(3_000, 900.0), poisson(50_000)])
    found = plan_reserve(values, 30, 0.05)
    assert found.capacity == plan_reserve(values[3_000:], 30, 0.05).capacity
    assert found.notes == ("only the last 50,000 windows count, 3,000 before them do not",)


def test_a_trace_without_tokens_is_not_one_of_no_tokens(tmp_path):
    path = tmp_path / "azure.csv"
    count = 400
    stamps = pd.date_range("2026-01-01", periods=count, freq="10s").strftime("%Y-%m-%d %H:%M:%S.0000000")
    trace = pd.DataFrame({"TIMESTAMP": stamps, "ContextTokens": "100", "GeneratedTokens": "20"})
    trace.to_csv(path, index=False)
    settings = ReserveSettings("1min", "5min", 0.05, "tokens")
    assert reserve_file(path, settings)["basis_value"] == 6 * 120


def test_client_rates_without_lengths_have_no_tokens(shared_dir):
    path = shared_dir / "data" / "traces" / "servegen_language_client_rates_day00_09.parquet"
    with pytest.raises(InputError, match="no tokens; count requests"):
        reserve_file(path, ReserveSettings("1h", "1d", 0.05, "tokens"))


@pytest.mark.parametrize(
    ("prices", "says"),
    [((-1.0, None), "--usd-per-unit-hour: value -1.0"), ((np.nan, None), "--usd-per-unit-hour"), ((2.0, np.inf), "--overflow"),
     ((None, 3.0), "--overflow-usd-per-unit.*give --usd-per-unit-hour too")],
)  # fmt: skip
def test_prices_that_are_none_are_refused_before_the_file_is_read(tmp_path, prices, says):
    capacity, overflow = prices
    settings = ReserveSettings("1h", "10h", 0.05, usd_per_unit_hour=capacity, overflow_usd_per_unit=overflow)
    with pytest.raises(InputError, match=says):
        reserve_file(tmp_path / "never-read.csv", settings)


def test_a_target_too_small_for_two_digits_is_not_told_as_none(tmp_path):
    path = tmp_path / "load.csv"
    stamps = pd.date_range("2026-01-01", periods=200, freq="D").strftime("%Y-%m-%d")
    pd.DataFrame({"ds": stamps, "y": poisson(200)}).to_csv(path, index=False)
    found = reserve_file(path, ReserveSettings("1d", "14d", 1e-6))
    told = next(line for line in reserve_lines(found) if line.startswith("Target"))
    assert told.startswith("Target: under 0.01 % of the windows")


@pytest.mark.parametrize(("header", "told"), [("DS,Y", "Did you mean 'DS'"), ("ds,load", "'y': is missing")])
def test_a_series_with_other_names_of_columns_is_told_which(tmp_path, header, told):
    path = tmp_path / "load.csv"
    path.write_text(f"{header}\n2026-10-01,5\n")
    with pytest.raises(InputError, match=told):
        reserve_file(path, ReserveSettings("1d", "14d", 0.05))


@pytest.mark.parametrize(("lead_days", "most"), [(1, 0.2), (7, 0.1)])
def test_the_reserve_does_not_follow_the_hour_or_weekday_on_which_the_history_ends(lead_days, most):
    """Hours of an office week, half the work at weekends: whatever day ends the history, what its busy hours need is held."""
    days = np.arange(60 * 24) / 24
    shape = (1 + 0.6 * np.sin(2 * np.pi * (days % 1 * 24 - 9) / 24)) * np.where(days.astype(int) % 7 < 5, 1.0, 0.5)
    hours = np.random.default_rng(5).poisson(1_000 * shape).astype(float)
    ideal = np.quantile(hours, 0.99)
    for ends in range(36, 50):
        found = plan_reserve(hours[: ends * 24], lead_days * 24, 0.01, season=24)
        assert abs(found.capacity / ideal - 1) < most
    by_day = hours.reshape(-1, 24).sum(axis=1)
    for ends in range(40, 54):
        assert abs(plan_reserve(by_day[:ends], 7, 0.05, season=1).capacity / by_day.max() - 1) < 0.1


@pytest.mark.parametrize(("silent_days", "earlier_days", "told"), [(2, 0, True), (2, 1, False), (0, 2, False)])
def test_a_history_that_ends_in_an_outage_is_named(tmp_path, silent_days, earlier_days, told):
    load = np.tile(100 + 50 * np.sin(np.arange(24) / 24 * 2 * np.pi), 60)
    load[24 * 20 : 24 * (20 + earlier_days)] = 0
    load[len(load) - 24 * silent_days :] = 0
    stamps = pd.date_range("2026-08-01", periods=len(load), freq="h")
    path = tmp_path / "load.csv"
    pd.DataFrame({"ds": stamps, "y": load}).to_csv(path, index=False)
    found = reserve_file(path, ReserveSettings("1h", "7d", 0.01))["warnings"]
    words = "the last 48 windows hold nothing, 0 in a row at most since demand began: leave them out where they are an outage"
    assert [text.startswith(words) for text in found if "hold nothing" in text] == [True] * told
