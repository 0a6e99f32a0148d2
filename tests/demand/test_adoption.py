"""Adoption curves: against the differential equation, with priors alone, and as data arrive."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from aifactory.demand.adoption import Launch, bass_share, forecast_adoption, logistic_share, prior_rate
from aifactory.errors import InputError

LAUNCH = Launch(seats=1000, saturation=0.6, share_day_90=0.5)


def test_the_bass_curve_solves_its_equation():
    p, q, weeks = 0.02, 0.25, np.arange(0.0, 60)
    solved = solve_ivp(lambda _t, f: (1 - f) * (p + q * f), (0, 60), [0.0], t_eval=weeks, rtol=1e-10, atol=1e-12).y[0]
    np.testing.assert_allclose(bass_share(weeks, p + q, q / p), solved, atol=1e-8)


def test_the_logistic_curve_by_hand():
    assert logistic_share(np.array([0.0]), 0.2, 0.1)[0] == pytest.approx(0.1)
    # a tenfold of odds after ln(9) / rate weeks: from one in ten to one in two
    assert logistic_share(np.array([np.log(9) / 0.2]), 0.2, 0.1)[0] == pytest.approx(0.5)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_the_prior_rate_reaches_the_share_by_day_90(share):
    assert bass_share(np.array([90 / 7]), prior_rate(share), 12.7)[0] == pytest.approx(share)


def test_priors_alone_say_so_and_straddle_the_plan():
    found = forecast_adoption(LAUNCH, 52)
    assert "priors only" in found.basis
    low, middle, high = found.quantiles[:, 12]
    assert low < 0.6 * 0.5 * 1000 < high
    assert middle == pytest.approx(300, rel=0.25)
    assert (found.quantiles <= 1000).all()
    assert (np.diff(found.quantiles, axis=0) >= 0).all()


def truth(weeks, saturation=0.9, rate=0.35, ratio=20.0):
    return 1000 * saturation * bass_share(np.arange(1, weeks + 1), rate, ratio)


def test_data_move_the_forecast_towards_the_truth():
    real = truth(52)
    errors = []
    for weeks in (0, 4, 8, 16):
        noise = np.random.default_rng(weeks).lognormal(0, 0.05, weeks)
        found = forecast_adoption(LAUNCH, 52, real[:weeks] * noise)
        errors.append(abs(found.quantiles[1, -1] - real[-1]))
    assert errors[-1] < 0.1 * real[-1] < errors[0]
    assert errors[2] < errors[0]


def test_bands_hold_the_end_of_curves_drawn_from_the_prior():
    rng, inside = np.random.default_rng(4), 0
    for number in range(60):
        top, rate = 0.6 * np.exp(0.35 * rng.standard_normal()), prior_rate(0.5) * np.exp(0.5 * rng.standard_normal())
        real = 1000 * min(top, 1.0) * bass_share(np.arange(1, 40), rate, 12.7 * np.exp(0.6 * rng.standard_normal()))
        found = forecast_adoption(LAUNCH, 39, real[:6] * rng.lognormal(0, 0.06, 6), seed=number)
        inside += found.quantiles[0, -1] <= real[-1] <= found.quantiles[2, -1]
    assert 0.65 <= inside / 60 <= 0.97


@pytest.mark.parametrize(("weeks", "scatter"), [(4, 0.12), (12, 0.05), (20, 0.12)])
def test_bands_hold_what_comes_after_many_calm_weeks_too(weeks, scatter):
    """Curves of both kinds drawn from the priors: 80 % bands that few draws make hold 45 to 71 % of them."""
    rng, inside, count = np.random.default_rng(17), 0, 60
    for number in range(count):
        normal = rng.standard_normal(3)
        top, rate = min(0.6 * np.exp(0.35 * normal[0]), 1.0), prior_rate(0.5) * np.exp(0.5 * normal[1])
        ratio, time = 12.7 * np.exp(0.6 * normal[2]), np.arange(1, weeks + 14)
        share = bass_share(time, rate, ratio) if number % 2 else logistic_share(time, rate, 1 / (1 + ratio))
        real = 1000 * top * share
        found = forecast_adoption(LAUNCH, weeks + 13, real[:weeks] * np.exp(scatter * rng.standard_normal(weeks)))
        assert found.effective_draws > 1000
        inside += found.quantiles[0, -1] <= real[-1] <= found.quantiles[2, -1]
    assert 0.7 <= inside / count <= 0.97


def test_the_band_is_that_of_a_grid_of_the_parameters():
    """Weights prior x likelihood on a grid of top, rate and ratio, both curves alike; scatter as the module says."""
    seen, launch = truth(12, saturation=0.7, rate=0.3, ratio=15.0) * np.exp(0.1 * np.sin(np.arange(12.0))), LAUNCH
    normal = np.stack(np.meshgrid(*[np.linspace(-3.5, 3.5, 71)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    top = np.minimum(0.6 * np.exp(0.35 * normal[:, :1]), 1.0)
    rate, ratio = prior_rate(0.5) * np.exp(0.5 * normal[:, 1:2]), 12.7 * np.exp(0.6 * normal[:, 2:])
    time = np.arange(1, 27)
    curves = 1000 * top * np.stack([bass_share(time, rate, ratio), logistic_share(time, rate, 1 / (1 + ratio))])
    squares = np.square(np.log((seen + 1) / (curves[..., :12] + 1))).sum(axis=-1)
    variance = (4 * 0.15**2 + squares.min()) / (4 + 12 - 3)
    logs = -0.5 * squares / variance - 0.5 * np.square(normal).sum(axis=1)
    weight = np.exp(logs - logs.max()).ravel()
    order = np.argsort(curves[..., 25].ravel())
    grown = np.cumsum(weight[order]) / weight.sum()
    by_grid = curves[..., 25].ravel()[order][np.searchsorted(grown, [0.1, 0.5, 0.9])]
    found = forecast_adoption(launch, 26, seen)
    np.testing.assert_allclose(found.quantiles[:, 25], by_grid, rtol=0.03)
    assert found.bass_weight == pytest.approx(weight.reshape(2, -1).sum(axis=1)[0] / weight.sum(), abs=0.06)


def test_missing_weeks_are_left_out_and_the_seed_counts():
    seen = truth(10)
    seen[3] = np.nan
    found = forecast_adoption(LAUNCH, 20, seen, seed=1)
    assert found.weeks_seen == 9
    np.testing.assert_array_equal(found.quantiles, forecast_adoption(LAUNCH, 20, seen, seed=1).quantiles)


@pytest.mark.parametrize(
    ("launch", "seen", "told"),
    [
        (Launch(0, 0.5, 0.5), None, "seats"),
        (Launch(10, 1.5, 0.5), None, "saturation"),
        (Launch(10, 0.5, 1.0), None, "share_day_90"),
        (LAUNCH, [1.0, -2.0], "0 or more"),
    ],
)
def test_what_cannot_be_is_refused(launch, seen, told):
    with pytest.raises(InputError, match=told):
        forecast_adoption(launch, 10, seen)
