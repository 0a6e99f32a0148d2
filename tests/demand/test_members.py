"""Members: by hand, at their limits, against a loop, and what holds for every history."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand import members as m
from aifactory.demand.combine import forecast_series

FEW = settings(max_examples=60)
HISTORIES = st.lists(st.floats(0, 1e9), min_size=4, max_size=120)


def smoothing_loop(values):
    """The definition: one pass per rate, the rate with the least squared one-step error."""
    start = values[: max(1, len(values) // 3)].mean()
    found = []
    for rate in m.SMOOTHING:
        level, error = start, 0.0
        for value in values:
            error += (value - level) ** 2
            level += rate * (value - level)
        found.append((error, level))
    return min(found, key=lambda item: item[0])[1]


@pytest.mark.parametrize("count", [1, 5, 63, 64, 65, 300])
def test_smoothing_in_blocks_is_the_loop(count):
    values = np.random.default_rng(count).normal(100, 10, count).cumsum()
    assert m.smoothed_level(values) == pytest.approx(smoothing_loop(values), rel=1e-9)


def test_members_by_hand():
    history = np.array([1.0, 10.0, 3.0, 30.0, 5.0, 50.0])
    assert m.recent_seasons(history, 2, 2, most=2, decay=0.5).tolist() == pytest.approx(
        [(5 + 1.5) / 1.5, (50 + 15) / 1.5]
    )
    assert m.median_season(history, 2, 3).tolist() == [3.0, 30.0, 3.0]
    assert m.shrunk_drift(np.array([1.0, 2.0, 3.0]), 1, 1, damping=1.0).tolist() == [3.5]
    assert m.damped_trend(np.array([2.0, 2.0, 4.0, 4.0]), 2, 2, damping=0.5).tolist() == [5.0, 5.0]


def test_a_clear_season_is_kept_and_chance_is_not():
    clear = np.tile([0.0, 10.0], 10) + np.random.default_rng(1).normal(0, 0.1, 20)
    assert m.seasonal_index(clear, 2).tolist() == pytest.approx([-5, 5], abs=0.2)
    noise = np.random.default_rng(2).normal(0, 1, 70)
    assert np.abs(m.seasonal_index(noise, 7)).max() < np.abs(noise.reshape(10, 7).mean(axis=0)).max()


def test_a_single_season_has_no_index():
    assert m.seasonal_index(np.arange(9.0), 7).tolist() == [0.0] * 7


def test_zeros_are_outages_only_where_they_are_rare():
    busy = np.full(48, 100.0)
    busy[30] = 0
    assert (m.without_outages(busy, 24) == 100).all()
    sparse = np.tile([0.0, 1.0, 0.0, 2.0], 12)
    assert m.without_outages(sparse, 4) is sparse


def test_zeros_longer_than_a_season_are_a_pause():
    held = np.full(600, 100.0)
    held[200:224], held[300:325] = 0, 0
    filled = m.without_outages(held, 24)
    assert (filled[200:224] == 100).all()  # a season: an outage
    assert (filled[300:325] == 0).all()


@FEW
@given(HISTORIES, st.sampled_from([1, 2, 7, 24]), st.integers(1, 30))
def test_every_answer_is_finite_not_negative_and_bounded(history, season, horizon):
    answers = m.member_forecasts(np.array(history), season, horizon)
    assert answers.shape[1] == horizon
    assert np.isfinite(answers).all()
    assert (answers >= 0).all()
    assert answers.max() <= m.CEILING * max(history)


@FEW
@given(st.integers(0, 99), st.sampled_from([1, 7]), st.sampled_from([1e-6, 1e6]))
def test_answers_scale_with_the_history(seed, season, factor):
    history = np.random.default_rng(seed).gamma(2.0, 50.0, 60) + 1
    once, scaled = m.member_forecasts(history, season, 9), m.member_forecasts(history * factor, season, 9)
    np.testing.assert_allclose(scaled, once * factor, rtol=1e-6)


def test_negative_histories_keep_their_sign():
    answers = m.member_forecasts(np.tile([-5.0, -3.0], 10), 2, 4)
    assert (answers < 0).all()


@FEW
@given(st.integers(0, 99), st.sampled_from([2, 7]), st.integers(2, 9))
def test_the_index_is_shrunk_by_variances_over_the_seasons(seed, season, count):
    """The definition: deviations from the mean of their season, signal the variance of the index, noise that of its mean."""
    values = np.random.default_rng(seed).gamma(2.0, 50.0, season * count)
    about = values.reshape(count, season) - values.reshape(count, season).mean(axis=1, keepdims=True)
    index = about.mean(axis=0)
    kept = max(index.var() - about.var(axis=0, ddof=1).mean() / count, 0.0) / index.var()
    np.testing.assert_allclose(m.seasonal_index(values, season), index * kept, rtol=1e-9, atol=1e-9)


def test_theta_adds_half_the_trend():
    line = 100 + 3.0 * np.arange(40)
    level, theta = m.smoothing_and_theta(line, 1, 4)
    np.testing.assert_allclose(theta - level, 1.5 * np.arange(1, 5))
    assert level.tolist() == m.smoothing(line, 1, 4).tolist()


def test_a_week_of_hours_is_repeated_and_half_of_the_last_day_above_it():
    week = np.repeat([3.0, 3.0, 3.0, 3.0, 3.0, 1.0, 1.0], 24)
    history = np.tile(week, 3)
    np.testing.assert_array_equal(m.week_profile(history, 24, 48), week[:48])
    history[-24:] += 4.0  # the median of the weeks stays at 1, the last day lies 4 above it
    np.testing.assert_array_equal(m.week_profile(history, 24, 48), week[:48] + 2.0)
    np.testing.assert_array_equal(m.week_profile(history[:180], 24, 24), history[156:180])  # no week to repeat yet


def test_the_week_counts_for_hours_of_two_weeks_and_a_day():
    assert m.member_names(24, 359) == m.member_names(7, 1000)
    assert m.member_names(24, 360) == (*m.member_names(24, 359), "week profile (log)")
    office = np.tile(np.repeat([9.0, 9.0, 9.0, 9.0, 9.0, 2.0, 2.0], 24), 6)
    friday = office[: 4 * 168 + 5 * 24]
    found = forecast_series(friday, 24, 24)  # Saturday: seasonal naive says 9
    np.testing.assert_allclose(found.point, 2.0, rtol=0.01)  # every member knows
