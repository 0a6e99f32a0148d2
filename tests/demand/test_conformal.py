"""Bands: quantiles by hand, coverage on known noise, order and adaptation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.conformal import conformal_bands, error_scale, weighted_quantiles

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
