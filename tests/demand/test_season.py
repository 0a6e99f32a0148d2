"""Seasons are proven against the clock, not assumed: chance of a false one, power, gaps."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aifactory.demand.profile import autocorrelation
from aifactory.demand.season import MAX_CHANCE, YearSeason, day_means, season_test

FEW = settings(max_examples=40)


def persistent(seed, phi, length=744):
    """Noise that lasts: each hour keeps phi of the last."""
    noise = np.random.default_rng(seed).normal(size=length + 200)
    values = np.zeros(length + 200)
    for hour in range(1, length + 200):
        values[hour] = phi * values[hour - 1] + noise[hour]
    return values[200:]


def test_the_share_by_hand():
    # two cycles of three places, each less its own mean: (-1, 0, 1) and (-2, 1, 1)
    share, _ = season_test(np.array([1.0, 2, 3, 0, 3, 3]), 3)
    assert share == pytest.approx(2 * (1.5**2 + 0.5**2 + 1.0**2) / (2 + 6))


@FEW
@given(st.integers(0, 10_000), st.integers(2, 30), st.sampled_from([7, 24]))
def test_the_share_agrees_with_an_analysis_of_variance(seed, cycles, places):
    table = np.random.default_rng(seed).normal(size=(cycles, places))
    rest = table - table.mean(axis=1, keepdims=True)
    values = 7 + rest.ravel()  # cycles of one level
    f = stats.f_oneway(*rest.T).statistic
    between, within = places - 1, cycles * places - places
    assert season_test(values, places)[0] == pytest.approx(f * between / (f * between + within), rel=1e-9)


def test_the_chance_agrees_with_every_turn_of_a_small_case():
    table = np.random.default_rng(5).normal(size=(4, 4)) + np.array([0, 0, 1.0, 2.0])
    rest = table - table.mean(axis=1, keepdims=True)
    values = 3 + rest.ravel()
    share = lambda turn: (np.mean([np.roll(row, k) for row, k in zip(rest, turn, strict=True)], axis=0) ** 2).sum()  # noqa: E731
    every = np.array([share(turn) for turn in itertools.product(range(4), repeat=4)])
    exact = (every >= every[0] - 1e-12).mean()
    assert season_test(values, 4, turns=4_000)[1] == pytest.approx(exact, abs=0.02)


@FEW
@given(st.integers(0, 10_000), st.floats(0.01, 1e6), st.floats(-1e3, 1e3), st.floats(-20, 20))
def test_unit_level_and_trend_do_not_matter(seed, scale, level, slope):
    values = np.random.default_rng(seed).normal(size=240)
    moved = scale * (values + level + slope * np.arange(240))
    assert season_test(moved, 24)[0] == pytest.approx(season_test(values, 24)[0], rel=1e-6)


@pytest.mark.parametrize("phi", [0.0, 0.9, 0.99])
def test_noise_that_lasts_is_no_season_though_it_correlates(phi):
    found = [persistent(seed, phi) for seed in range(60)]
    false = np.mean([season_test(values, 24, 199)[1] <= MAX_CHANCE for values in found])
    assert false <= 0.05
    if phi == 0.99:  # the plain rule of autocorrelation takes nearly all of them for seasons
        assert np.mean([autocorrelation(values, 24) >= 0.2 for values in found]) > 0.8


def test_a_season_of_a_fifth_of_the_variance_is_found_in_a_month():
    hour = np.cos(2 * np.pi * np.arange(744) / 24)
    found = [season_test(persistent(seed, 0.5) + 0.8 * hour, 24, 199)[1] <= MAX_CHANCE for seed in range(40)]
    assert np.mean(found) >= 0.9


def test_weekends_are_found_in_four_weeks_and_not_in_three():
    days = np.tile([5.0, 5, 5, 5, 5, 2, 2], 4)
    assert season_test(days, 7) == (pytest.approx(1.0), pytest.approx(7.0**-3, abs=0.005))
    assert season_test(days[:21], 7)[1] > MAX_CHANCE


@pytest.mark.parametrize(("places", "length"), [(24, 744), (7, 28)])
def test_growth_is_no_season(places, length):
    time = np.arange(length) / length
    noise = np.random.default_rng(11).normal(0, 0.02, length)
    share, chance = season_test(1.3**time * (1 + noise), places)
    assert chance > MAX_CHANCE
    assert share < 0.5
    assert np.isnan(season_test(100 + time, places)[0])


def test_missing_hours_are_left_out():
    values = np.tile(np.arange(24.0), 20)
    values[[30, 31, 100]] = np.nan
    share, chance = season_test(values, 24)
    assert share > 0.98
    assert chance == pytest.approx(0.002)


@pytest.mark.parametrize("values", [[], np.ones(30), np.ones(240), np.zeros(240), np.full(240, np.nan)])
def test_one_cycle_or_no_variance_says_nothing(values):
    assert all(np.isnan(season_test(np.asarray(values, dtype=float), 24)))


def test_the_mean_of_a_day_leaves_missing_hours_out():
    hourly = np.concatenate([np.full(24, 2.0), [np.nan] * 12, np.full(12, 4.0), np.full(24, np.nan), np.ones(5)])
    np.testing.assert_array_equal(day_means(hourly), [2.0, 4.0, np.nan])


@pytest.mark.real
@pytest.mark.parametrize(
    ("series", "places", "found"),
    [
        ("servegen_m-small_hourly", 24, True),
        ("gentd26_images_hourly", 24, True),
        ("wp_R_daily", 7, True),
        ("servegen_m-large_hourly", 24, False),  # no daily pattern in ten days: autocorrelation -0.10
        ("servegen_m-mid_hourly", 24, False),  # 0.39, but by level shifts and outages as well
        ("philly_jobs_hourly", 168, False),
    ],
)
def test_seasons_of_real_series(shared_dir, series, places, found):
    values = pd.read_csv(shared_dir / "data" / "traces" / "series" / f"{series}.csv")["y"].to_numpy(float)
    if places == 168:
        values, places = day_means(values), 7
    assert (season_test(values, places)[1] <= MAX_CHANCE) is found


@FEW
@given(st.integers(0, 10_000), st.integers(0, 12))
def test_a_year_is_drawn_with_its_doubt_whatever_all_months_share(seed, rank):
    random = np.random.default_rng(seed)
    loads = random.normal(0, 0.1, (12, rank))
    year = YearSeason(random.normal(0, 0.3, 12), loads @ loads.T)
    np.testing.assert_allclose(year.root() @ year.root().T, year.covariance, atol=1e-12)
    np.testing.assert_allclose(year.root(), year.root().T, atol=1e-12)
    assert np.log(year.factor).mean() == pytest.approx(0.0, abs=1e-12)
    moved = YearSeason(year.log_mean + 0.7, year.covariance + 0.04)  # a shared doubt is that of the level
    np.testing.assert_allclose(moved.factor, year.factor)
    np.testing.assert_allclose(moved.log_sd, year.log_sd, atol=1e-7)


def test_the_doubt_of_a_factor_by_hand():
    """One month of variance 1.44, the others known: about the mean of twelve it keeps 11/12 of it, they take 1/12."""
    year = YearSeason(np.zeros(12), np.diag([1.44, *[0.0] * 11]))
    assert year.log_sd.tolist() == pytest.approx([1.2 * 11 / 12, *[1.2 / 12] * 11])
