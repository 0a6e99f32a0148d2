"""Bands: quantiles by hand, coverage on known noise, order and adaptation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aifactory.demand.conformal import (
    FORGOTTEN,
    LEAST_SHARE,
    NAIVE_FOLLOWS,
    NAIVE_GROWTH,
    NAIVE_WEIGHT,
    ORIGIN_DECAY,
    TRACKING_GAIN,
    TRACKING_LIMITS,
    UNPROVEN,
    WIDENING,
    conformal_bands,
    error_scale,
    naive_spread,
    naive_weight,
    tracked,
    weighted_quantiles,
)

LEVELS = np.array([0.1, 0.5, 0.9, 0.95])


def test_quantiles_with_equal_weights_are_hazen():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
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


@settings(max_examples=50)
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


def standing(reach: float, steps: int, shift: float = 0.0) -> tuple[tuple[np.ndarray, np.ndarray], None, np.ndarray]:
    """A band of the same reach at every level, without one of naive, and errors that all lie at `shift`."""
    band = np.sign(LEVELS - 0.5)[:, None] * np.full((4, steps), reach)
    return (band, band), None, np.full(steps, shift)


def test_each_level_follows_its_own_misses():
    found = tracked([standing(1.0, 4, shift=5.0)], LEVELS, widening=1.0)
    # beyond every upper level: exp(0.35 / 0.1 x (1 - 0.08)) and more are beyond the limit; the lower one was missed nowhere
    low = np.exp(TRACKING_GAIN / 0.1 * (0 - 0.8 * 0.1))
    np.testing.assert_allclose(found.factor, [low, 1.0, TRACKING_LIMITS[1], TRACKING_LIMITS[1]])
    assert found.share == 0.5
    below = tracked([standing(1.0, 4, shift=-5.0)], LEVELS, widening=1.0).factor
    np.testing.assert_allclose(below, [TRACKING_LIMITS[1], 1.0, low, low])


def test_a_part_of_a_horizon_moves_a_level_by_its_part():
    bands, _, errors = standing(1.0, 4)
    errors[2:] = np.nan
    half = tracked([(bands, None, errors)], LEVELS, widening=1.0).factor
    apart = tracked([standing(1.0, 4)], LEVELS, widening=1.0, apart=0.5).factor
    assert half[2] == pytest.approx(np.exp(-TRACKING_GAIN * 0.5 * 0.8))
    np.testing.assert_allclose(apart, half)


def test_what_was_missed_is_forgotten_slowly():
    hit, quiet = standing(1.0, 20), standing(1.0, 20)
    hit[2][:4] = 9.0  # a fifth of the steps: 0.35 / 0.1 x (0.2 - 0.08) = 0.42
    factor = tracked([hit, quiet], LEVELS, widening=1.0).factor
    assert np.log(factor[2]) == pytest.approx(0.42 * (1 - FORGOTTEN) - 0.28)


def test_the_band_lies_nearer_the_reach_that_lost_less():
    near, far, errors = standing(1.0, 4)[0][0], standing(8.0, 4)[0][0], np.full(4, 0.9)
    shares = [tracked([((near, far), None, errors)] * count, LEVELS).share for count in (1, 4, 40)]
    assert 0.5 < shares[0] < shares[1] < shares[2] < 1.0
    assert tracked([((far, near), None, errors)] * 4, LEVELS).share == pytest.approx(1 - shares[1])
    # losses 1 : r of one origin, drawn to one half as 1 horizon to 1 + UNPROVEN
    losses = [sum(risk * abs(WIDENING * reach - side * 0.9) for risk, side in ((0.1, -1), (0.1, 1), (0.05, 1))) for reach in (1.0, 8.0)]  # fmt: skip
    proven = losses[1] ** 2 / (losses[0] ** 2 + losses[1] ** 2)
    assert shares[0] == pytest.approx(0.5 + (proven - 0.5) / (1 + UNPROVEN))


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 14))
def test_bands_are_those_of_a_plain_loop(seed, horizon, origins):
    rng = np.random.default_rng(seed)
    earlier, point = rng.gamma(2, 50, (origins, horizon)), rng.gamma(2, 50, horizon)
    actual = rng.gamma(2, 50, (origins, horizon))
    if origins * horizon < 4:
        return
    level = np.array([0.95])
    steps = np.array_split(np.arange(horizon), min(3, horizon))

    def reach(forecast, older):
        found = []
        for relative in (False, True):
            row = np.empty(horizon)
            for inside in steps:
                values, weights = [], []
                for place in range(older, origins):
                    for step in range(horizon):
                        error = actual[place, step] - earlier[place, step]
                        values.append(error / error_scale(earlier[place], 100.0)[step] if relative else error)
                        away = abs(step - inside.mean()) / (horizon * 0.5)
                        weights.append(ORIGIN_DECAY ** (place - older) * np.exp(-away))
                order = np.argsort(values, kind="stable")
                row[inside] = max(weighted_quantiles(np.array(values)[order], np.array(weights)[order], level)[0], 0.0)
            found.append((row * error_scale(forecast, 100.0) if relative else row)[None])
        return tuple(found)

    record = [
        (reach(earlier[place], place + 1), None, actual[place] - earlier[place])
        for place in range(origins - 4, -1, -1)
        if (origins - place - 1) * horizon >= 4
    ]
    found = tracked(record, level, 1.2 * (1 + 0.5 / (2 + origins)), 1.0, 1e-7)
    plain, relative = reach(point, 0)
    widened = 1.2 * (1 + 0.5 / (2 + origins)) * found.factor[0]
    expected = point + widened * plain[0] ** found.share * relative[0] ** (1 - found.share)
    np.testing.assert_allclose(conformal_bands(point, earlier, actual, level, 100.0)[0], expected)


def test_upper_level_keeps_its_risk_where_errors_share_their_level():
    rng, above = np.random.default_rng(8), []
    for _ in range(300):
        errors = 3 * rng.normal(0, 1, (15, 1)) + rng.normal(0, 1, (15, 12))
        flat, deviation = np.full((14, 12), 90.0), np.sqrt(2 * (9 + 1))  # of the changes from one day to the next
        naive = np.full(12, deviation), np.full((14, 12), deviation)
        bands = conformal_bands(flat[0], flat, 90 + errors[1:], LEVELS, 90.0, 1.0, naive)
        above.append(np.mean(90 + errors[0] > bands[3]))
    assert 0.02 <= np.mean(above) <= 0.08  # normal errors lie below the middle: the widening is for heavier ones


def test_misses_come_evenly_where_the_level_wanders():
    """Over runs of ten horizons the band that follows its misses strays less from its risk than one that does not."""
    rng, steps = np.random.default_rng(4), 12
    followed, fixed = [], []
    for _ in range(25):
        drift = np.cumsum(rng.standard_t(3, 40))  # errors of a walk: the day's level moves
        errors = np.diff(drift)[::-1, None] + 0.3 * rng.normal(0, 1, (39, steps))
        over = np.zeros((10, 2))
        for place in range(10):
            past = errors[place + 1 : place + 15]
            flat = np.full((14, steps), 50.0)
            bands = conformal_bands(flat[0], flat, 50 + past, LEVELS, 50.0)
            over[place] = (
                np.mean(50 + errors[place] > bands[3]),
                np.mean(errors[place] > WIDENING * np.quantile(past, 0.95)),
            )
        followed.append(over[:, 0].mean())
        fixed.append(over[:, 1].mean())
    assert np.std(followed) < np.std(fixed)


# the band of seasonal naive


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 12))
def test_the_spread_of_seasonal_naive_is_that_of_a_plain_loop(seed, season, horizon):
    history = np.random.default_rng(seed).gamma(2, 50, 40)
    origins = np.array([39, 25, 2 * season + 1])
    found = naive_spread(history, season, horizon, origins)
    for row, end in zip(found, [40, *origins], strict=True):
        changes = [history[step] - history[step - season] for step in range(season, end)]
        deviation = np.sqrt(np.mean(np.square(changes)))
        np.testing.assert_allclose(row, [deviation * (1 + ahead // season) ** NAIVE_GROWTH for ahead in range(horizon)])


def test_a_short_record_is_drawn_to_the_band_of_naive_and_a_full_one_hardly():
    """Without a record to replay no level is corrected: |own|^(1 - w) x |naive|^w."""
    random = np.random.default_rng(6)
    for horizons, share in ((4.0, 0.75), (8.0, 0.5), (16.0, LEAST_SHARE), (28.0, LEAST_SHARE)):
        weight = NAIVE_WEIGHT * share
        assert naive_weight(horizons, 0.0, 0.0, 0.0) == weight
        point, earlier = np.full(6, 90.0), np.full((3, 6), 90.0)
        actual = 90 + random.normal(0, 5, (3, 6))
        naive = np.full(6, 40.0), np.full((3, 6), 40.0)
        alone, drawn = (
            conformal_bands(point, earlier, actual, LEVELS, 90.0, horizons / 3, given) for given in (None, naive)
        )
        normal = stats.norm.ppf(0.95) * 40.0
        assert drawn[3, 0] - 90 == pytest.approx((alone[3, 0] - 90) ** (1 - weight) * normal**weight)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(4, 14))
def test_the_drawn_band_is_what_follows_its_misses(seed, origins):
    """A plain loop over one level: the band with naive's part in it is held against what came, not that of the errors."""
    random = np.random.default_rng(seed)
    level, own, naive = np.array([0.9]), random.gamma(2, 5, origins), random.gamma(2, 5, origins)
    errors = random.normal(0, 8, (origins, 5))
    flat = [(np.full((1, 5), size),) * 2 for size in own]
    record = [(flat[place], np.full((1, 5), naive[place]), errors[place]) for place in range(origins)]
    log = lost = naive_lost = 0.0

    def loss(size, came):
        return sum(0.9 * (error - size) if error > size else 0.1 * (size - error) for error in came)

    for place in range(origins):
        factor, weight = np.exp(log), naive_weight(origins, place, lost, naive_lost)
        band = (naive[place] * factor**NAIVE_FOLLOWS) ** weight * (1.2 * factor * own[place]) ** (1 - weight)
        lost += loss(1.2 * factor * own[place], errors[place])
        naive_lost += loss(naive[place], errors[place])
        log = (1 - FORGOTTEN) * log + TRACKING_GAIN / 0.1 * ((errors[place] > band).mean() - 0.8 * 0.1)
        log = float(np.clip(log, *np.log(TRACKING_LIMITS)))
    found = tracked(record, level, 1.2, horizons=origins)
    assert found.factor[0] == pytest.approx(np.exp(log))
    assert found.weight == pytest.approx(naive_weight(origins, origins, lost, naive_lost))
    size = found.size(flat[0], np.full((1, 5), 7.0))
    expected = (7.0 * np.exp(log) ** NAIVE_FOLLOWS) ** found.weight * found.own(flat[0]) ** (1 - found.weight)
    np.testing.assert_allclose(size, expected)


def test_bands_that_lose_more_than_those_of_naive_are_drawn_to_them():
    """Reaches that are far too wide for what came; naive of the deviation that came loses less."""
    errors = np.random.default_rng(9).normal(0, 5, (14, 6))
    side = np.sign(LEVELS - 0.5)[:, None]
    wide = (side * np.full((4, 6), 400.0),) * 2
    normal = np.abs(stats.norm.ppf(LEVELS))[:, None] * np.ones(6)
    weights = [tracked([(wide, peer * normal, row) for row in errors], LEVELS).weight for peer in (5.0, 1e5)]
    assert weights == [NAIVE_WEIGHT, NAIVE_WEIGHT * LEAST_SHARE]
    assert naive_weight(16.0, 2.9, 9.0, 1.0) == NAIVE_WEIGHT * LEAST_SHARE  # two replayed horizons say nothing


def test_bands_drawn_to_a_wrong_naive_still_cover_what_they_say():
    """Naive's deviation is four times too small or too wide: what is held against the record is the drawn band."""
    rng = np.random.default_rng(12)
    for wrong in (2.5, 40.0):
        inside = []
        for _ in range(120):
            errors = rng.normal(0, 10, (15, 12))
            naive = np.full(12, wrong), np.full((14, 12), wrong)
            flat = np.full((14, 12), 90.0)
            bands = conformal_bands(flat[0], flat, 90 + errors[1:], LEVELS, 90.0, 0.5, naive)
            inside.append(np.mean((90 + errors[0] >= bands[0]) & (90 + errors[0] <= bands[2])))
        assert 0.76 <= np.mean(inside) <= 0.9
