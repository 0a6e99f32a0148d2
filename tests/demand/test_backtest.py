"""Scores by hand, against published baselines, and the targets on the real series."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.demand.backtest import Plan, backtest_series, default_plan, naive_error, pinball, seasonal_naive_bands
from aifactory.demand.command import Settings, backtest_file
from aifactory.errors import InputError

#: series -> frequency, horizon, MASE and scaled pinball of seasonal naive in backtest_baselines.csv
PUBLISHED = {
    "servegen_m-large_hourly": ("h", 24, 1.5983, 0.4522),
    "servegen_m-mid_hourly": ("h", 24, 1.0202, 0.2888),
    "servegen_m-small_hourly": ("h", 24, 1.3522, 0.4486),
    "gentd26_images_hourly": ("h", 24, None, None),
    "philly_jobs_hourly": ("h", 24, None, None),
    "philly_gpu_hours_daily": ("D", 14, None, None),
    "philly_jobs_daily": ("D", 14, None, None),
    "wp_R_daily": ("D", 28, 1.4592, 0.4755),
    "openrouter_weekly": ("W", 4, 6.036, 2.4143),
}


@pytest.fixture(scope="module")
def scored(shared_dir):
    folder = shared_dir / "data" / "traces" / "series"
    return {
        name: backtest_file(folder / f"{name}.csv", Settings(freq, horizon))[name]
        for name, (freq, horizon, *_) in PUBLISHED.items()
    }


def test_seasonal_naive_is_that_of_the_published_baselines(scored):
    for name, (*_, mase, loss) in PUBLISHED.items():
        if mase:
            assert scored[name]["seasonal_naive"]["mase"] == pytest.approx(mase, abs=2e-4), name
            assert scored[name]["seasonal_naive"]["pinball_scaled"] == pytest.approx(loss, abs=2e-3), name


def test_the_targets_hold_on_the_real_series(scored, shared_dir):
    path = shared_dir / "data" / "traces" / "series" / "wp_R_daily.csv"
    quarter = backtest_file(path, Settings("D", 90))["wp_R_daily"]
    held = [item for name, item in scored.items() if name != "openrouter_weekly"] + [quarter]
    assert np.mean([item["mase"] for item in held]) <= 1.08
    assert np.mean([item["pinball_scaled"] for item in held]) <= 0.36
    for item in [*held, scored["openrouter_weekly"]]:
        assert item["mase"] <= 1.05 * item["seasonal_naive"]["mase"]
        assert item["pinball_scaled"] <= 1.05 * item["seasonal_naive"]["pinball_scaled"]
    for item in held:
        if item["origins"] >= 10:
            assert 0.72 <= item["coverage80"] <= 0.88
            assert 0.02 <= item["exceed_q95"] <= 0.09


def test_scores_by_hand():
    assert naive_error(np.array([1.0, 3.0, 2.0, 6.0]), 2) == 2.0
    assert naive_error(np.full(5, 4.0), 1) == 4.0
    assert naive_error(np.zeros(5), 1) == 1.0
    loss = pinball(np.array([10.0]), np.array([[8.0], [12.0]]), np.array([0.1, 0.9]))
    assert loss.ravel().tolist() == pytest.approx([0.2, 0.2])


def test_seasonal_naive_bands_widen_with_each_season():
    past = np.random.default_rng(1).normal(100, 5, 70)
    point, bands = seasonal_naive_bands(past, 7, 14)
    width = bands[2] - bands[0]
    np.testing.assert_allclose(width[7:], width[:7] * np.sqrt(2))
    np.testing.assert_array_equal(point[:7], past[-7:])


def test_a_perfectly_repeating_series_scores_zero():
    values = np.tile([10.0, 20, 30, 40, 50, 60, 70], 12)
    found = backtest_series(values, np.ones(84, dtype=bool), Plan(7, 7, 7, 28))
    assert found.scores.mase == pytest.approx(0, abs=1e-9)
    assert found.scores.coverage80 == 1.0
    assert found.scores.origins == 8


def test_steps_that_were_not_observed_are_not_scored():
    values = np.tile([10.0, 20.0, 30.0], 20)
    broken, observed = values.copy(), np.ones(60, dtype=bool)
    broken[55], observed[55] = 1e6, False
    whole = backtest_series(values, np.ones(60, dtype=bool), Plan(3, 3, 57, 54))
    assert backtest_series(broken, observed, Plan(3, 3, 57, 54)).scores.mase == pytest.approx(
        whole.scores.mase, abs=1e-9
    )


def test_only_the_past_counts():
    rng = np.random.default_rng(4)
    values = rng.gamma(5, 20, 200)
    other = values.copy()
    other[160:] *= 50
    plan, seen = Plan(7, 7, 7, 100), np.ones(160, dtype=bool)
    np.testing.assert_equal(backtest_series(values[:160], seen, plan), backtest_series(other[:160], seen, plan))


def test_the_longest_past_is_kept_to():
    rng = np.random.default_rng(5)
    values = rng.gamma(5, 20, 300)
    other = values.copy()
    other[:100] *= 9
    plan = Plan(7, 14, 14, 200, max_train=100)
    assert backtest_series(values, np.ones(300, dtype=bool), plan) == backtest_series(
        other, np.ones(300, dtype=bool), plan
    )


def test_at_most_sixteen_origins_count():
    plan = Plan(1, 1, 1, 10)
    assert plan.origins(100) == list(range(84, 100))
    assert default_plan(42, 7, 7).origins(42) == [21, 28, 35]


def test_a_short_series_says_what_it_needs():
    with pytest.raises(InputError, match="needs 42 values .*holds 40: score 12 steps at most"):
        backtest_series(np.ones(40), np.ones(40, dtype=bool), Plan(7, 14, 7, 28))


def test_a_single_season_is_scored_without_one_and_says_so():
    values = np.random.default_rng(8).gamma(5, 20, 30)
    found = backtest_series(values, np.ones(30, dtype=bool), default_plan(30, 24, 6))
    assert found.scores.origins == 3
    assert any("no season is used" in note for note in found.notes)


def test_the_command_prints_scores_beside_seasonal_naive(tmp_path):
    path = tmp_path / "load.csv"
    days = pd.date_range("2026-01-01", periods=84, freq="D").strftime("%Y-%m-%d")
    y = 100 + 10 * np.sin(np.arange(84)) + 30 * (np.arange(84) % 7 < 5)
    pd.DataFrame({"unique_id": "chat", "ds": days, "y": y}).to_csv(path, index=False)
    done = CliRunner().invoke(app, ["backtest", str(path), "--freq", "D", "--horizon", "7", "--json"])
    assert done.exit_code == 0
    item = json.loads(done.stdout)["chat"]
    keys = {"mase", "pinball_scaled", "coverage80", "exceed_q95", "origins", "method"}
    assert keys <= set(item)
    assert keys == set(item["seasonal_naive"])
    text = CliRunner().invoke(app, ["backtest", str(path), "--freq", "D", "--horizon", "7"])
    assert "seasonal naive" in text.stdout


def test_settings_come_from_the_line_then_the_index_then_the_rule(tmp_path):
    days = pd.date_range("2026-01-01", periods=90, freq="D").strftime("%Y-%m-%d")
    pd.DataFrame({"ds": days, "y": np.arange(90) % 7 + 5}).to_csv(tmp_path / "load.csv", index=False)
    (tmp_path / "index.csv").write_text("series,freq,step,min_train,max_train\nload,D,10,40,\n")
    found = backtest_file(tmp_path / "load.csv", Settings("D", 7, min_train=50))["load"]["settings"]
    assert (found["step"], found["min_train"], found["max_train"]) == (10, 50, 0)
    (tmp_path / "index.csv").unlink()
    assert backtest_file(tmp_path / "load.csv", Settings("D", 7))["load"]["settings"]["step"] == 7


@pytest.mark.parametrize(
    ("index", "says"),
    [("", "index.csv: the file is empty"), ("series,step,min_train\nload,abc,5\n", "index.csv, row 2, column 'step': value 'abc'"),
     ("series,step,min_train\nload,7,-1\n", "row 2, column 'min_train': value '-1'.*1 to"),
     ("series,step,min_train\nload,1e300,5\n", "row 2, column 'step'")],
)  # fmt: skip
def test_an_index_that_cannot_be_used_is_refused(tmp_path, index, says):
    days = pd.date_range("2026-01-01", periods=90, freq="D").strftime("%Y-%m-%d")
    pd.DataFrame({"ds": days, "y": np.arange(90) % 7 + 5}).to_csv(tmp_path / "load.csv", index=False)
    (tmp_path / "index.csv").write_text(index)
    with pytest.raises(InputError, match=says):
        backtest_file(tmp_path / "load.csv", Settings("D", 7))


@pytest.mark.parametrize("option", ["horizon", "season", "step", "min_train"])
def test_settings_below_one_are_refused(tmp_path, option):
    values = {"horizon": 7} | {option: 0}
    with pytest.raises(InputError, match="at least 1"):
        backtest_file(tmp_path / "load.csv", Settings("D", **values))


def test_library_models_compete_and_never_break_the_backtest(tmp_path):
    pytest.importorskip("statsforecast")
    days = pd.date_range("2026-01-01", periods=70, freq="D").strftime("%Y-%m-%d")
    trend = 100 + 5.0 * np.arange(70) + np.random.default_rng(3).normal(0, 2, 70)
    pd.DataFrame({"ds": days, "y": trend}).to_csv(tmp_path / "load.csv", index=False)
    alone, helped = (
        backtest_file(tmp_path / "load.csv", Settings("D", 7, min_train=56, library=used))["load"]
        for used in (False, True)
    )
    assert helped["mase"] <= 1.05 * alone["mase"]
    assert "Auto" in helped["method"] or "MSTL" in helped["method"]


def test_a_past_that_hardly_changed_is_no_unit_and_says_so():
    """A thousandth of a request a day, then hundreds: the errors are thousands of times the changes of the past."""
    values = np.r_[np.tile([0.0, 0.001], 30), np.full(14, 300.0)]
    found = backtest_series(values, np.ones(len(values), dtype=bool), Plan(1, 7, 7, 60))
    assert any("hardly changed" in note for note in found.notes)
    steady = 100 + np.tile([0.0, 5.0, 2.0], 30)
    assert not any(
        "hardly changed" in note for note in backtest_series(steady, np.ones(90, dtype=bool), Plan(1, 7, 7, 60)).notes
    )
