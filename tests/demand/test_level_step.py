"""Steps of the level: by hand, against ramps and noise, at the limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.level_step import trend_about_a_step
from aifactory.demand.profile import PRIOR_GROWTH, PRIOR_SCATTER, SCATTER_MONTHS, monthly_trend

STEP = np.log(1.49)


def test_a_step_of_49_percent_by_hand():
    """Four months at 100, four at 149: the line through them, what both models leave, and the odds."""
    found, straight = (trend(np.repeat([100.0, 149.0], 4)) for trend in (trend_about_a_step, monthly_trend))
    # times about their mean: -3.5 to 3.5, squares 42; those of the last four add up to 8
    slope = STEP * 8 / 42
    left = 8 * (STEP / 2) ** 2 - slope**2 * 42
    expected = SCATTER_MONTHS * PRIOR_SCATTER**2  # and nothing is left about two levels
    odds = ((left + expected) / expected) ** ((8 + 4) / 2) / 8
    chance = odds / (1 + odds)
    assert found.step == pytest.approx(chance)
    assert 0.8 < chance < 0.9
    # within its levels nothing grows: the months of a level lie -1.5 to 1.5 from its middle, squares 5 and 5
    doubt = expected / (8 - 4 + SCATTER_MONTHS) / 10
    variance = doubt * PRIOR_GROWTH**2 / (PRIOR_GROWTH**2 + doubt)
    line = np.log1p(straight.growth)
    assert found.growth == pytest.approx(np.expm1((1 - chance) * line))
    second = (1 - chance) * (straight.log_sd**2 + line**2) + chance * variance
    assert found.log_sd == pytest.approx(np.sqrt(second - ((1 - chance) * line) ** 2))
    assert straight.growth > 5 * found.growth
    assert (found.months, found.scatter) == (straight.months, straight.scatter)


@pytest.mark.parametrize("months", [9, 12, 18, 24, 36])
@pytest.mark.parametrize("factor", [0.5, 0.67, 1.49, 3.0])
def test_one_lasting_step_is_not_extrapolated(months, factor):
    for before in (3, months // 2, months - 2):
        levels = np.where(np.arange(months) < before, 100.0, 100.0 * factor)
        assert abs(trend_about_a_step(levels).growth) < 0.006
        assert abs(monthly_trend(levels).growth) > 3 * abs(trend_about_a_step(levels).growth)


@settings(max_examples=40)
@given(st.integers(4, 36), st.floats(-0.2, 0.3))
def test_steady_growth_is_that_of_the_line(months, growth):
    levels = 100 * (1 + growth) ** np.arange(months)
    assert trend_about_a_step(levels) == monthly_trend(levels)


def test_growth_about_a_step_is_kept():
    time = np.arange(18)
    found = trend_about_a_step(100 * 1.03**time * np.where(time >= 9, 1.5, 1.0))
    assert found.step > 0.95
    assert found.growth == pytest.approx(0.03, abs=0.004)


def test_noise_seldom_looks_like_a_step_and_steps_are_found():
    random, months = np.random.default_rng(11), 12
    noise = [trend_about_a_step(np.exp(random.normal(0, 0.1, months))).step > 0 for _ in range(100)]
    stepped = [
        trend_about_a_step(np.exp(random.normal(0, 0.07, months) + 0.4 * (np.arange(months) >= place))).step > 0
        for place in random.integers(2, months, 100)
    ]
    assert np.mean(noise) <= 0.15
    assert np.mean(stepped) >= 0.9


@settings(max_examples=40)
@given(st.lists(st.floats(1, 1e6), min_size=0, max_size=15), st.floats(0.01, 1e4))
def test_the_result_is_finite_between_the_models_and_free_of_the_unit(levels, scale):
    levels = np.array(levels)
    found, other = trend_about_a_step(levels), trend_about_a_step(levels * scale)
    if len(levels) < 4:
        assert np.isnan(found.growth)
        return
    assert np.isfinite([found.growth, found.log_sd, found.step]).all()
    assert found.growth == pytest.approx(other.growth, abs=1e-7)
    assert found.log_sd >= 0


def test_gaps_and_the_months_before_the_launch_are_left_out():
    levels = np.repeat([100.0, 149.0], 6)
    gapped = np.concatenate([[0.0, np.nan], levels])
    found, plain = trend_about_a_step(gapped), trend_about_a_step(levels)
    assert (found.growth, found.log_sd, found.step) == pytest.approx((plain.growth, plain.log_sd, plain.step))
    assert trend_about_a_step(levels, prior_sd=0.0).growth == 0.0
