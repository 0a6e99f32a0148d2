"""Shapes of a week and of minutes: only what is proven, mean 1, growth leaves no trace."""

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.shapes import minute_dispersion, month_shape, second_dispersion, units_by_hour, week_shape
from aifactory.inputs.aggregate.cube import probed_second


def hours(days, start="2026-09-02"):
    return pd.date_range(start, periods=24 * days, freq="h", tz="UTC")


def load(days=60, growth=0.0):
    stamps = hours(days)
    day, weekend = (
        np.where((stamps.hour >= 8) & (stamps.hour < 20), 1.5, 0.5),
        np.where(stamps.day_of_week >= 5, 0.3, 1.28),
    )
    return pd.Series(day * weekend * (1 + growth) ** (np.arange(len(stamps)) / 730), index=stamps)


def test_a_week_by_hand():
    found = week_shape(load(), daily=True, weekly=True)
    assert found.mean() == pytest.approx(1.0)
    assert found[9] / found[3] == pytest.approx(3.0)
    assert found[9] / found[5 * 24 + 9] == pytest.approx(1.28 / 0.3)


def test_growth_leaves_no_trace():
    np.testing.assert_allclose(
        week_shape(load(growth=0.05), daily=True, weekly=True), week_shape(load(), daily=True, weekly=True), rtol=0.015
    )


def test_seasons_that_are_not_proven_are_left_out():
    assert (week_shape(load(), daily=False, weekly=False) == 1).all()
    daily = week_shape(load(), daily=True, weekly=False)
    np.testing.assert_allclose(daily[:24], daily[24:48])
    weekly = week_shape(load(), daily=False, weekly=True)
    np.testing.assert_allclose(weekly[:24], weekly[0])


def test_a_month_takes_its_own_weekdays_and_keeps_its_volume():
    week = week_shape(load(), daily=True, weekly=True)
    shape = month_shape(week, "2027-02")  # starts on a Monday, four whole weeks
    np.testing.assert_allclose(shape[:168], week)
    assert units_by_hour(7300.0, week, "2027-05").sum() == pytest.approx(10 * 744)


def test_missing_hours_and_short_histories():
    series = load()
    series.iloc[100:150] = np.nan
    np.testing.assert_allclose(week_shape(series, daily=True, weekly=True), week_shape(load(), daily=True, weekly=True), rtol=0.06)  # fmt: skip
    assert week_shape(load(3), daily=True, weekly=False).shape == (168,)
    assert (week_shape(pd.Series(np.zeros(24), index=hours(1)), daily=True, weekly=True) == 1).all()


def test_dispersion_of_poisson_counts_is_one_whatever_the_season():
    rate = np.repeat(np.tile([20.0, 200.0], 200), 60)
    counts = np.random.default_rng(0).poisson(rate)
    assert minute_dispersion(counts) == pytest.approx(1.0, abs=0.03)
    assert np.isnan(minute_dispersion(np.zeros(120)))


# seconds within minutes


def probes(seconds, minutes=2000):
    """Requests of each minute, those in its probed second, and which that is, from counts per second."""
    table = np.asarray(seconds, dtype=float).reshape(minutes, 60)
    at = probed_second(np.arange(minutes))
    return table.sum(axis=1), table[np.arange(minutes), at], at


def test_independent_requests_have_a_second_dispersion_of_one():
    draw = np.random.default_rng(4)
    level = np.repeat(draw.gamma(2.0, 2.0, 2000), 60)  # minutes differ; that is not taken for bursts of seconds
    assert second_dispersion(*probes(draw.poisson(level))) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("size", [3, 10])
def test_batches_are_dispersed_by_their_size_within_a_minute(size):
    counts = size * np.random.default_rng(5).poisson(0.8, 2000 * 60)
    assert second_dispersion(*probes(counts)) == pytest.approx(size, rel=0.12)


def test_oracle_all_seconds_counted():
    """One second of each minute estimates what all sixty say."""
    counts = np.random.default_rng(6).negative_binomial(0.5, 0.2, 2000 * 60)
    table = counts.reshape(2000, 60)
    whole = table.var(axis=1, ddof=1).sum() / table.mean(axis=1).sum()
    assert second_dispersion(*probes(counts)) == pytest.approx(whole, rel=0.1)


@pytest.mark.parametrize("step", [2, 3, 5, 10, 30, 60])
def test_rounded_times_say_nothing_of_seconds(step):
    counts = np.zeros((2000, 60))
    counts[:, ::step] = step
    assert np.isnan(second_dispersion(*probes(counts)))


def test_few_requests_and_unknown_probes_say_nothing():
    counts, seen, at = probes(np.random.default_rng(7).poisson(1.0, 2000 * 60))
    assert np.isnan(second_dispersion(counts[:20], seen[:20], at[:20]))
    assert np.isnan(second_dispersion(counts, np.full(2000, np.nan), at))


def test_every_second_of_the_minute_is_probed_alike():
    minutes = np.arange(60 * 24 * 60)
    for chosen in (minutes, minutes[minutes % 60 == 0], minutes[minutes % 1440 == 540]):
        times = np.bincount(probed_second(chosen), minlength=60)
        assert times.min() * 60 == len(chosen)
