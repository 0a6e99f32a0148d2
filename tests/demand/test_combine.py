"""The combined forecast: no leak, no negative, no NaN, refusals, and further forecasters only when they win."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.combine import COMBINATION, forecast_series, halfway
from aifactory.demand.members import seasonal_naive
from aifactory.errors import InputError


def seasonal(count=120, season=24, seed=0):
    time = np.arange(count)
    return 100 * (1 + 0.5 * np.sin(2 * np.pi * time / season)) * np.random.default_rng(seed).lognormal(0, 0.05, count)


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1e8), min_size=4, max_size=90), st.sampled_from([1, 7, 24]), st.integers(1, 28))
def test_never_negative_never_nan_always_ordered(history, season, horizon):
    found = forecast_series(np.array(history), season, horizon)
    for array in (found.point, found.quantiles):
        assert np.isfinite(array).all()
        assert (array >= 0).all()
    assert (np.diff(found.quantiles, axis=0) >= -1e-9 * max(1.0, *history)).all()


def test_the_season_is_found():
    truth = 100 * (1 + 0.5 * np.sin(2 * np.pi * np.arange(240, 264) / 24))
    found = forecast_series(seasonal(240), 24, 24)
    assert np.abs(found.point / truth - 1).mean() < 0.06
    assert np.mean((truth > found.quantiles[0]) & (truth < found.quantiles[2])) > 0.9


def test_a_forecast_never_changes_with_what_comes_after():
    long = seasonal(240)
    alone = forecast_series(long[:200].copy(), 24, 24)
    long[200:] = 1e9
    again = forecast_series(long[:200], 24, 24)
    np.testing.assert_array_equal(alone.quantiles, again.quantiles)


def test_same_history_same_digits():
    np.testing.assert_array_equal(
        forecast_series(seasonal(), 24, 24).quantiles, forecast_series(seasonal(), 24, 24).quantiles
    )


def test_weights_add_up():
    assert sum(forecast_series(seasonal(), 24, 24).weights.values()) == pytest.approx(1, abs=1e-4)


def test_all_zero_stays_zero():
    found = forecast_series(np.zeros(60), 7, 7)
    assert found.quantiles.max() == 0


@pytest.mark.parametrize(
    ("history", "what"),
    [([], "holds 0"), ([1.0, 2.0], "holds 2"), ([1, 2, np.nan, 4], "missing"), ([1, 2, np.inf, 4], "infinite")],
)
def test_what_cannot_be_supported_is_refused(history, what):
    with pytest.raises(InputError, match=what):
        forecast_series(np.array(history), 7, 7)


def test_a_single_season_counts_half_and_is_told():
    history = seasonal(40)
    found, without = forecast_series(history, 24, 24), forecast_series(history, 1, 24)
    assert found.point == pytest.approx(np.sqrt(without.point * seasonal_naive(history, 24, 24)))
    assert any(
        "fewer than two seasons of 24 steps in the past: halfway to the only one" in note for note in found.notes
    )


def test_less_than_a_season_leaves_the_forecast_and_says_so():
    history = seasonal(23)
    found = forecast_series(history, 24, 24)
    assert found.point.tolist() == forecast_series(history, 1, 24).point.tolist()
    assert any("no season is used" in note for note in found.notes)


@pytest.mark.parametrize(
    ("one", "other", "between"), [(1e-200, 1e200, 1.0), (0.0, 6.0, 3.0), (-2.0, 6.0, 2.0), (9.0, 4.0, 6.0)]
)
def test_halfway_is_a_ratio_above_zero_and_a_mean_elsewhere(one, other, between):
    assert halfway(np.array([one]), np.array([other])) == pytest.approx([between])


def test_a_level_that_collapses_is_followed():
    history = np.concatenate([np.full(72, 1000.0), np.full(48, 50.0)]) * np.random.default_rng(2).lognormal(
        0, 0.05, 120
    )
    assert forecast_series(history, 24, 24).point.max() < 100


def test_another_forecaster_is_used_only_where_it_wins():
    steps = np.repeat([100.0, 200.0, 50.0, 400.0, 80.0, 300.0, 90.0, 500.0], 20)
    whole = {
        "oracle": lambda past, _season, horizon: (
            np.resize(steps[len(past) :], horizon) if len(past) < len(steps) else np.full(horizon, 7.0)
        )
    }
    assert forecast_series(steps, 1, 5, extra=whole).method == "oracle"
    assert forecast_series(steps, 1, 5, extra={"bad": lambda _p, _s, h: np.full(h, 1e5)}).method != "bad"


def test_seasonal_naive_must_win_by_more_than_five_percent():
    assert forecast_series(seasonal(240), 24, 24).method == COMBINATION
