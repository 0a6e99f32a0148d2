"""Growth beside steps and seasons: against the same models written as covariances, at the limits, on draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand import month_trend
from aifactory.demand.month_trend import MONTHS_BEFORE, SCATTERS, SEASONS, STEP_SD, by_calendar, trend_of_months
from aifactory.demand.profile import PRIOR_GROWTH, PRIOR_SCATTER, SCATTER_MONTHS, monthly_trend

YEAR = 12


def by_covariances(logs, time, number, prior_sd):
    """Mean [13] and covariance of the slope and the seasons, chance of a step and of a season, every model one normal law of the months.

    b ~ N(0, p^2) makes b t a part p^2 t t' of the covariance, and E[b | y] = p^2 t' C^-1 y; so with the season.
    """
    year = np.arange(YEAR)
    usual = prior_sd / np.sqrt(0.95 + 0.05 * 16)
    ones, found = np.ones(len(logs)), []
    places = [None, *range(MONTHS_BEFORE, len(logs))]
    for u in SEASONS:
        for v in SCATTERS:
            for p, seldom in ((usual, 0.95), (4 * usual, 0.05)):
                for k in places:
                    law = v**2 * np.eye(len(logs)) + u**2 * by_calendar(number, number) + 1e4 * np.outer(ones, ones)
                    law = law + p**2 * np.outer(time, time)
                    chance = seldom * (0.5 if u == 0 else 0.5 / 4) * 0.5
                    if k is not None:
                        step = (np.arange(len(logs)) >= k).astype(float)
                        law, chance = law + STEP_SD**2 * np.outer(step, step), chance / (len(places) - 1)
                    prior = np.log(chance) - SCATTER_MONTHS * (np.log(v) + PRIOR_SCATTER**2 / (2 * v**2))
                    shared = np.vstack([p**2 * time, u**2 * by_calendar(year, number)])
                    own = np.zeros((1 + YEAR, 1 + YEAR))
                    own[0, 0], own[1:, 1:] = p**2, u**2 * by_calendar(year, year)
                    told = np.linalg.solve(law, shared.T).T
                    weight = prior - 0.5 * (np.linalg.slogdet(law)[1] + logs @ np.linalg.solve(law, logs))
                    found.append((weight, told @ logs, own - told @ shared.T, k is not None, u > 0))
    weight, mean, covariance, step, season = (np.array(part, dtype=float) for part in zip(*found, strict=True))
    chance = np.exp(weight - weight.max())
    chance /= chance.sum()
    every, away = chance @ mean, mean - chance @ mean
    covariance = np.einsum("m,mij->ij", chance, covariance) + np.einsum("m,mi,mj->ij", chance, away, away)
    return every, covariance, chance @ step, chance @ season


@pytest.mark.parametrize("kind", ["noise", "step", "season", "gaps"])
def test_the_same_models_as_laws_of_the_months(kind):
    random = np.random.default_rng(5)
    number = np.array([0, 1, 2, 5, 6, 8, 13]) if kind == "gaps" else np.arange(15 if kind == "season" else 7)
    logs = random.normal(0, 0.1, len(number)) + 0.02 * number
    logs = logs + (0.4 * (number >= 3) if kind == "step" else 0.2 * np.sin(number * 2 * np.pi / YEAR))
    levels = np.full(number[-1] + 1, np.nan)
    levels[number] = np.exp(logs)
    found = trend_of_months(levels, first_calendar_month=3)
    mean, covariance, step, season = by_covariances(
        logs - logs.mean(), number - number.mean(), number + 2, PRIOR_GROWTH
    )
    told = np.expm1(mean[0]), np.sqrt(covariance[0, 0]), step, season
    assert (found.growth, found.log_sd, found.step, found.season) == pytest.approx(told, abs=2e-5)
    np.testing.assert_allclose(found.year.factor, np.exp(mean[1:] - mean[1:].mean()), atol=2e-5)
    apart = np.eye(YEAR) - 1 / YEAR  # differences of months: what all share is level
    np.testing.assert_allclose(apart @ found.year.covariance @ apart, apart @ covariance[1:, 1:] @ apart, atol=2e-6)


@pytest.mark.parametrize("months", [9, 12, 18, 24, 36])
@pytest.mark.parametrize("factor", [0.5, 0.67, 1.49, 3.0])
def test_one_lasting_step_is_not_extrapolated(months, factor):
    """Less than a point a month of it is told as growth, and less than a third of what a line makes of it."""
    for before in (3, months // 2, months - 2):
        levels = np.where(np.arange(months) < before, 100.0, 100.0 * factor)
        found = trend_of_months(levels)
        assert abs(found.growth) < 0.01 and found.step > 0.8
        assert abs(monthly_trend(levels).growth) > 3 * abs(found.growth)


@pytest.mark.parametrize(("months", "most"), [(15, 0.0075), (19, 0.006), (21, 0.0055), (24, 0.0025)])
def test_the_way_from_a_low_season_to_a_high_one_is_no_growth(months, most):
    """In whatever season the history begins, two per cent a month are missed by less than by a line, and within the doubt."""
    time, missed = np.arange(months), []
    for first in range(YEAR):
        levels = 100 * 1.02**time * np.exp(0.25 * np.cos((time + first) * 2 * np.pi / YEAR))
        found, line = trend_of_months(levels), monthly_trend(levels)
        missed.append((found.growth - 0.02, line.growth - 0.02))
        assert found.season > 0.9 and abs(missed[-1][0]) < 1.2816 * found.log_sd
    ours, line = np.abs(missed).max(axis=0)
    assert ours < most and line > 1.3 * ours


@settings(max_examples=40)
@given(st.integers(13, 36), st.floats(-0.2, 0.3))
def test_steady_growth_is_that_of_the_line(months, growth):
    levels = 100 * (1 + growth) ** np.arange(months)
    found = trend_of_months(levels)
    assert np.log1p(found.growth) == pytest.approx(np.log1p(growth), rel=0.1)
    assert found.log_sd < 0.02


@pytest.mark.parametrize("growth", [0.03, 0.05, 0.1, 0.2])
def test_longer_histories_keep_more_of_the_same_growth_and_more_of_a_larger_one(growth):
    told = [trend_of_months((1 + growth) ** np.arange(months)).growth for months in (4, 5, 6, 9, 12, 18, 24)]
    assert (np.diff(told) > 0).all() and told[-1] < growth
    more = [trend_of_months((1.3 * growth + 1) ** np.arange(months)).growth for months in (4, 5, 6, 9, 12, 18, 24)]
    assert (np.array(more) > told).all()


def test_growth_about_a_step_is_kept():
    time = np.arange(18)
    found = trend_of_months(100 * 1.03**time * np.where(time >= 9, 1.5, 1.0))
    assert found.step > 0.95
    assert found.growth == pytest.approx(0.03, abs=0.004)


def test_noise_seldom_looks_like_a_step_or_a_season_and_both_are_found():
    random, months = np.random.default_rng(11), 18
    time = np.arange(months)

    def drawn(of):
        found = [trend_of_months(np.exp(of())) for _ in range(100)]
        return (np.mean([getattr(one, name) >= month_trend.TOLD for one in found]) for name in ("step", "season"))

    step, season = drawn(lambda: random.normal(0, 0.1, months))
    assert step <= 0.05 and season <= 0.05
    step, _ = drawn(lambda: random.normal(0, 0.07, months) + 0.4 * (time >= random.integers(3, months - 1)))
    assert step >= 0.9
    wave = 2 * np.pi / YEAR
    _, season = drawn(lambda: random.normal(0, 0.07, months) + 0.2 * np.cos((time + random.integers(YEAR)) * wave))
    assert season >= 0.9


@pytest.mark.parametrize("months", [6, 13, 18, 24])
def test_four_of_five_intervals_hold_the_growth(months):
    """Half of the draws with a season, growth as the prior expects it: no less than 72 % do."""
    random = np.random.default_rng(months)
    time, held = np.arange(months), []
    for draw in range(200):
        growth = random.normal(0, 0.03)
        wave = (draw % 2) * 0.25 * np.cos((time + random.integers(YEAR)) * 2 * np.pi / YEAR)
        levels = np.exp(growth * time + wave + random.normal(0, 0.06, months))
        found = trend_of_months(levels)
        held.append(abs(np.log1p(found.growth) - growth) < 1.2816 * found.log_sd)
    assert np.mean(held) >= 0.72


@settings(max_examples=40)
@given(st.lists(st.floats(1, 1e6), min_size=0, max_size=15), st.floats(0.01, 1e4))
def test_the_result_is_finite_and_free_of_the_unit(levels, scale):
    levels = np.array(levels)
    found, other = trend_of_months(levels), trend_of_months(levels * scale)
    if len(levels) < 4:
        assert np.isnan(found.growth)
        return
    assert np.isfinite([found.growth, found.log_sd, found.step, found.season]).all()
    assert found.growth == pytest.approx(other.growth, abs=1e-7)
    assert found.log_sd >= 0 and 0 <= min(found.step, found.season) <= max(found.step, found.season) <= 1 + 1e-12


def test_gaps_and_the_months_before_the_launch_are_left_out():
    levels = np.repeat([100.0, 149.0], 6)
    gapped = np.concatenate([[0.0, np.nan], levels])
    found, plain = trend_of_months(gapped), trend_of_months(levels)
    assert (found.growth, found.log_sd, found.step) == pytest.approx((plain.growth, plain.log_sd, plain.step))
    assert trend_of_months(levels, prior_sd=0.0).growth == 0.0


@pytest.mark.parametrize("months", [36, 42, 47, 60])
@pytest.mark.parametrize("first", [1, 5, 11])
def test_a_peak_of_the_year_does_not_tilt_its_own_factors(months, first):
    """What ends within a year holds the peak more often than other months: the trend must not take it for growth."""
    year = np.array([0.85, *[1.0] * 8, 1.15, 2.7, 1.8])
    calendar = (first - 1 + np.arange(months)) % YEAR
    found = trend_of_months(1000 * 1.02 ** np.arange(months) * year[calendar], first_calendar_month=first)
    np.testing.assert_allclose(found.year.factor, year / np.exp(np.log(year).mean()), rtol=0.06)
    assert found.growth == pytest.approx(0.02, abs=0.002)


def test_factors_of_the_year_leave_missing_months_out():
    year = np.array([0.85, *[1.0] * 8, 1.15, 2.7, 1.8])
    demand = 1000 * 1.02 ** np.arange(45) * year[np.arange(45) % YEAR]
    demand[[3, 22]] = np.nan, 0.0
    found = trend_of_months(demand).year
    np.testing.assert_allclose(found.factor, year / np.exp(np.log(year).mean()), rtol=0.06)


def test_more_years_of_the_same_season_keep_more_of_it_with_less_doubt():
    """Of a wave of 0.25 a half-year holds no season, a year some of it, and every year more."""
    wave = np.exp(0.25 * np.cos(np.arange(60) * 2 * np.pi / YEAR))
    assert trend_of_months(wave[:6]).year is None
    years = [trend_of_months(wave[:months]).year for months in (9, 13, 18, 24, 36, 60)]
    swing = [float(np.log(year.factor[0] / year.factor[6])) for year in years]
    doubt = [float(year.log_sd.mean()) for year in years]
    assert swing[0] > 0.05 and (np.diff(swing) > 0).all() and 0.47 < swing[-1] < 0.5
    assert (np.diff(doubt[1:]) < 0).all() and doubt[-1] < 0.03


def test_months_without_a_season_have_factors_near_one():
    random = np.random.default_rng(4)
    for months, most in ((9, 0.1), (13, 0.05), (24, 0.03), (48, 0.03)):
        far = [
            np.abs(np.log(trend_of_months(np.exp(random.normal(0, 0.08, months))).year.factor)).max() for _ in range(40)
        ]
        assert np.mean(far) < most / 2 and np.quantile(far, 0.9) < most


def missed(kind, months, draws=60):
    """Mean error of the logarithm of the twelve months after, with the season and with the level of the last month kept for it."""
    random, time, both = np.random.default_rng(months), np.arange(months + YEAR), []
    for _ in range(draws):
        logs = random.normal(0, 0.02) * time + random.normal(0, 0.07, len(time))
        first, size = random.integers(YEAR), random.uniform(0.1, 0.35)
        if kind == "wave":
            logs = logs + size * np.cos((time + first) * 2 * np.pi / YEAR)
        if kind == "peak":
            logs = logs + 3 * size * ((time + first) % YEAR == 0)
        if kind == "step":
            logs = logs + 0.4 * (time >= random.integers(3, months - 1))
        found = trend_of_months(np.exp(logs[:months]))
        after = logs[months - 1] + np.log1p(found.growth) * np.arange(1, YEAR + 1)
        season = np.log(found.year.factor[time[months:] % YEAR] / found.year.factor[(months - 1) % YEAR])
        both.append([np.abs(logs[months:] - after - season).mean(), np.abs(logs[months:] - after).mean()])
    return np.mean(both, axis=0)


@pytest.mark.parametrize(("kind", "months", "share"), [("wave", 9, 0.97), ("wave", 13, 0.75), ("wave", 24, 0.5), ("peak", 13, 0.98), ("peak", 24, 0.75)])  # fmt: skip
def test_months_ahead_are_missed_by_less_with_the_season_than_with_the_level_of_the_last_month(kind, months, share):
    ours, kept = missed(kind, months)
    assert ours < share * kept


@pytest.mark.parametrize("kind", ["nothing", "step"])
@pytest.mark.parametrize("months", [9, 13, 24])
def test_months_ahead_are_missed_by_no_more_where_no_season_is(kind, months):
    ours, kept = missed(kind, months)
    assert ours < 1.03 * kept


def test_the_scatter_is_that_beside_the_season():
    random, time = np.random.default_rng(8), np.arange(36)
    wave = 0.3 * np.cos(time * 2 * np.pi / YEAR)
    found = [trend_of_months(np.exp(wave + random.normal(0, 0.1, 36))).scatter for _ in range(40)]
    assert np.mean(found) == pytest.approx(0.1, rel=0.1)
    plain = np.exp(random.normal(0, 0.1, 36))
    assert trend_of_months(plain).scatter <= monthly_trend(plain).scatter
