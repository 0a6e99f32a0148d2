"""Price processes: hand-made histories, and the published history beside the checkout."""

import numpy as np
import pandas as pd
import pytest

from aifactory.finance.price_process import POOLED_MONTHS, fit_prices, next_generation, score_intervals


def history(prices, kind="on_demand", accelerator="a", start="2025-01"):
    months = pd.period_range(start, periods=len(prices), freq="M")
    return pd.DataFrame(
        {
            "date": [f"{month}-15" for month in months], "provider": "V", "region": "r", "instance_type": "i",
            "accelerator": accelerator, "kind": kind, "usd_per_accel_hour": prices,
        }
    )  # fmt: skip


FLAT = history([4.0] * 25)


def test_a_flat_list_price_stays():
    process = fit_prices(FLAT)["list"]
    assert process.steps_per_year == 0
    assert process.interval(4.0, 24) == (4.0, 4.0, 4.0)
    assert (process.paths(4.0, 24, 50, seed=1) == 4.0).all()


def test_steps_are_counted_by_series_and_year_and_sized_once_by_event():
    two = pd.concat([history([4.0] * 12 + [2.0] * 13), history([8.0] * 12 + [4.0] * 13).assign(region="q")])
    process = fit_prices(two)["list"]
    assert process.steps_per_year == pytest.approx(2 / process.series_years)
    np.testing.assert_allclose(process.step_sizes, [np.log(0.5)])
    paths = process.paths(1.0, 36, 4_000, seed=2)
    stepped = (paths[:, -1] < 1).mean()
    assert stepped == pytest.approx(1 - np.exp(-3 * process.steps_per_year), abs=0.03)
    assert (paths[:, 0] == 1).all()


def test_spot_moves_both_ways_and_wider_with_time():
    moves = np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.1, 60)))
    process = fit_prices(history(moves, "spot"))["spot"]
    assert process.monthly_spread == pytest.approx(0.1, rel=0.3)
    point, low, high = process.interval(2.0, 6)
    assert low < point == 2.0 < high
    assert high / low > process.interval(2.0, 1)[2] / process.interval(2.0, 1)[1]
    ends = process.paths(2.0, 6, 40_000, seed=4)[:, -1]
    np.testing.assert_allclose(np.quantile(ends, [0.1, 0.9]), [low, high], rtol=0.03)


def test_a_price_that_mostly_stands_has_a_narrow_month_and_the_same_later_spread():
    """A move in one month of four: level 1 - 0.2 / 0.25 = 0.2 of a normal twice as wide, z(0.6) = 0.2533."""
    moves = np.cumsum(np.tile([0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, -0.2], 6))
    process = fit_prices(history(np.exp(np.r_[0.0, moves]), "spot"))["spot"]
    assert process.moving_share == pytest.approx(0.25)
    assert process.monthly_spread == pytest.approx(0.1)
    assert np.log(process.interval(1.0, 1)[2]) == pytest.approx(0.2533 * 0.2, abs=1e-4)
    assert process.interval(1.0, 1, level=0.7) == (1.0, 1.0, 1.0)  # less likely to move than to stand outside
    paths = np.log(process.paths(1.0, 12, 40_000, seed=5))
    assert (np.diff(paths, axis=1) == 0).mean() == pytest.approx(0.75, abs=0.01)
    assert paths[:, 1].std() == pytest.approx(0.1, rel=0.03)
    assert paths[:, 12].std() == pytest.approx(0.1 * np.sqrt(12 + 12 * 11 * 0.25), rel=0.03)


def test_the_three_are_fitted_apart():
    all_kinds = pd.concat([FLAT, history([1.0, 1.5] * 6, "spot"), history([2.0] * 11 + [1.8], "cud_1y")])
    fitted = fit_prices(all_kinds)
    assert fitted["list"].steps_per_year == 0
    assert fitted["contract"].steps_per_year > 0
    assert fitted["spot"].monthly_spread > 0.3
    assert fit_prices(FLAT)["spot"].interval(1.0, 3) == (1.0, 1.0, 1.0)  # nothing known: nothing claimed


def test_next_generation():
    assert next_generation("AMD", 4) == (10.0, 0.5)
    assert next_generation("nvidia", 60)[0] == 0
    with pytest.raises(ValueError, match="no cadence"):
        next_generation("nobody", 1)


def test_refusals():
    with pytest.raises(ValueError, match="positive price"):
        fit_prices(FLAT)["list"].paths(0.0, 3, 1, 1)
    assert score_intervals(FLAT, "spot", 3)["origins"] == 0


@pytest.mark.real
def test_published_history(shared_dir):
    rows = pd.read_csv(shared_dir / "data" / "catalogue" / "price_history.csv")
    rows = rows[rows["provider"].isin(["AWS", "Azure", "GCP"])]
    fitted = fit_prices(rows)
    assert fitted["list"].steps_per_year == pytest.approx(0.029, abs=0.002)
    assert (fitted["list"].step_sizes < 0).all()
    assert (fitted["spot"].step_sizes > 0).any()


@pytest.mark.real
@pytest.mark.parametrize(("months", "widest"), [(1, 0.15), (2, 0.4), (3, 0.5), (6, 0.9)])
def test_spot_intervals_hold_four_in_five_at_rolling_origins(shared_dir, months, widest):
    rows = pd.read_csv(shared_dir / "data" / "catalogue" / "price_history.csv")
    score = score_intervals(rows[(rows["provider"] == "GCP") & (rows["kind"] == "spot")], "spot", months)
    assert 0.75 <= score["coverage"] <= 0.85
    assert score["width"] < widest


def test_a_calm_accelerator_has_a_narrower_interval_and_an_unknown_one_that_of_all():
    wild, calm = history([1.0, 2.0] * 12, "spot", "wild"), history([1.0, 1.01] * 12, "spot", "calm")
    process = fit_prices(pd.concat([wild, calm]))["spot"]
    reach = {name: process.interval(1.0, 3, accelerator=name)[2] for name in ("wild", "calm", "new")}
    assert reach["calm"] < reach["new"] < reach["wild"]
    assert reach["new"] == process.interval(1.0, 3)[2]
    n, pooled = 23, process.monthly_spread
    own = np.sqrt((n * np.log(2) ** 2 + POOLED_MONTHS * pooled**2) / (n + POOLED_MONTHS))
    assert process.spread("wild") == pytest.approx(own)
    ends = process.paths(1.0, 3, 40_000, seed=4, accelerator="calm")[:, -1]
    np.testing.assert_allclose(np.quantile(ends, 0.9), reach["calm"], rtol=0.03)
