"""Bands: quantiles by hand, coverage on known noise, order and adaptation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.conformal import (
    ORIGIN_DECAY,
    TRACKING_LIMITS,
    conformal_bands,
    error_scale,
    tracked_factors,
    weighted_quantiles,
)

LEVELS = np.array([0.1, 0.5, 0.9, 0.95])


def test_quantiles_with_equal_weights_are_hazen():
    values = np.array([5.0, 1.0, 3.0, 2.0, 4.0])
    levels = np.array([0.1, 0.5, 0.77])
    expected = np.quantile(values, levels, method="hazen")
    np.testing.assert_allclose(weighted_quantiles(values, np.ones(5), levels), expected)


def test_weight_two_counts_as_twice():
    values, twice = np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 2.0, 3.0])
    got = weighted_quantiles(values, np.array([2.0, 1.0, 1.0]), np.array([0.75]))
    assert got[0] == pytest.approx(weighted_quantiles(twice, np.ones(4), np.array([0.75]))[0], abs=0.5)
    assert weighted_quantiles(values, np.array([1e9, 1.0, 1.0]), np.array([0.5]))[0] == pytest.approx(1.0, abs=1e-6)


def test_the_scale_of_a_flat_forecast_is_its_level():
    assert error_scale(np.full(3, 10.0), 0.0).tolist() == pytest.approx([10.0] * 3)


def test_bands_cover_what_they_say_on_known_noise():
    rng, inside, above = np.random.default_rng(3), [], []
    for _ in range(300):
        earlier, point = np.full((14, 24), 100.0), np.full(24, 100.0)
        actual = earlier + rng.normal(0, 10, (14, 24))
        bands = conformal_bands(point, earlier, actual, LEVELS, 100.0)
        coming = 100 + rng.normal(0, 10, 24)
        inside.append(np.mean((coming >= bands[0]) & (coming <= bands[2])))
        above.append(np.mean(coming > bands[3]))
    # widened by design, since real errors share their level within an origin
    assert 0.80 <= np.mean(inside) <= 0.88
    assert 0.02 <= np.mean(above) <= 0.05


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 14))
def test_bands_are_ordered_and_hold_the_forecast(seed, horizon, origins):
    rng = np.random.default_rng(seed)
    earlier, point = rng.gamma(2, 50, (origins, horizon)), rng.gamma(2, 50, horizon)
    actual = rng.gamma(2, 50, (origins, horizon))
    actual[0, horizon // 2 :] = np.nan
    if np.isfinite(actual).sum() < 4:
        return
    bands = conformal_bands(point, earlier, actual, LEVELS, 100.0)
    assert np.isfinite(bands).all()
    assert (np.diff(bands, axis=0) >= -1e-9).all()
    np.testing.assert_allclose(bands[1], point)


def test_errors_that_grow_widen_the_bands():
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 1, (14, 20))
    growing = noise * np.linspace(6, 1, 14)[:, None]
    calm = noise * np.sqrt(np.mean(np.linspace(6, 1, 14) ** 2))
    width = [
        np.ptp(conformal_bands(np.full(20, 50.0), np.full((14, 20), 50.0), 50 + e, LEVELS, 50.0)[[0, 2]], axis=0).mean()
        for e in (growing, calm)
    ]
    assert width[0] > width[1]


def test_each_level_follows_its_own_misses():
    older = [np.array([-1.0, 1.0, -1.0, 1.0])] * 3
    above = np.concatenate([[5.0] * 4, *older])  # the newest origin lies above every upper level
    origin = np.repeat(np.arange(4), 4)
    low, middle, high, highest = tracked_factors(above, origin, LEVELS, 4)
    assert middle == 1.0
    assert low == pytest.approx(np.exp(2 * (0 - 0.1)))  # missed nowhere
    assert high == highest == TRACKING_LIMITS[1]  # exp(2 x 0.9) is beyond the limit
    np.testing.assert_allclose(tracked_factors(-above, origin, 1 - LEVELS[::-1], 4), [2.0, 2.0, 1.0, np.exp(-0.2)])


def test_a_part_of_a_horizon_moves_a_level_by_its_part():
    older = [np.array([-1.0, 1.0, -1.0, 1.0])] * 3
    half = np.concatenate([[0.0] * 2, *older])
    origin = np.concatenate([[0, 0], np.repeat([1, 2, 3], 4)])
    assert tracked_factors(half, origin, np.array([0.9]), 4)[0] == pytest.approx(np.exp(2 * 0.5 * (0 - 0.1)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 14))
def test_factors_are_those_of_a_plain_loop(seed, horizon, origins):
    rng = np.random.default_rng(seed)
    rows = [list(rng.normal(0.2, 1, horizon)) for _ in range(origins)]
    relative, origin = np.concatenate(rows), np.repeat(np.arange(origins), horizon)
    expected = 1.0
    for newest in range(origins - 4, -1, -1):
        older = [error for row in rows[newest + 1 :] for error in row]
        if len(older) < 4:
            continue
        weights = np.array([ORIGIN_DECAY**place for place in range(newest + 1, origins) for _ in range(horizon)])
        quantile = max(weighted_quantiles(np.array(older), weights, np.array([0.95]))[0], 0.0)
        missed = sum(error > quantile * expected + 1e-9 for error in rows[newest]) / horizon
        expected = min(max(expected * np.exp(2 * (missed - 0.05)), 0.5), 2.0)
    assert tracked_factors(relative, origin, np.array([0.95]), horizon)[0] == pytest.approx(expected)


def test_upper_level_keeps_its_risk_where_errors_share_their_level():
    rng, above = np.random.default_rng(8), []
    for _ in range(300):
        errors = 3 * rng.normal(0, 1, (15, 1)) + rng.normal(0, 1, (15, 12))
        bands = conformal_bands(np.full(12, 90.0), np.full((14, 12), 90.0), 90 + errors[1:], LEVELS, 90.0)
        above.append(np.mean(90 + errors[0] > bands[3]))
    assert 0.02 <= np.mean(above) <= 0.08  # normal errors lie below the middle: the widening is for heavier ones
