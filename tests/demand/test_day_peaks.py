"""Months of the year whose busiest day stands higher above their mean than it does now."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.day_peaks import LEAST_RISE, day_peaks, peak_sentences, peaks_over

PERIOD = "2026-10"


def days_of(start="2025-01-01", end="2026-10-31", **high):
    """One unit a day, but for some days, given as d2025_11_28=3.0."""
    days = pd.Series(1.0, pd.date_range(start, end, tz="UTC"))
    for day, units in high.items():
        days[day[1:].replace("_", "-")] = units
    return days


def test_a_sales_day_of_the_year_before():
    """Four days at 3: the highest of November is 3 over a mean of 38 / 30; those of the last three months are 1."""
    high = {f"d2025_11_{day}": 3.0 for day in (27, 28, 29, 30)}
    found = day_peaks(days_of(**high), PERIOD)
    assert found[10] == pytest.approx(3 / (38 / 30))
    assert np.delete(found, 10).tolist() == [1.0] * 11


def test_two_years_count_as_their_mean():
    one = day_peaks(days_of("2024-01-01", d2025_11_28=3.0), PERIOD)[10]
    both = day_peaks(days_of("2024-01-01", d2025_11_28=3.0, d2024_11_29=3.0), PERIOD)[10]
    assert both == pytest.approx(3 / (32 / 30)) and one == pytest.approx((3 / (32 / 30) + 1) / 2)


def test_after_the_season_nothing_is_held_lower():
    """Planned at the end of November, or after a high day in September: no month falls for it."""
    for end, high in (("2025-11-30", "d2025_11_28"), ("2026-10-31", "d2026_09_10"), ("2026-10-31", "d2026_10_31")):
        assert day_peaks(days_of(end=end, **{high: 3.0}), end[:7]).min() == 1.0


def test_days_without_telemetry_are_no_peak():
    """Twelve of thirty days are missing: those that are left are the mean of the month."""
    gap = {f"d2025_11_{day:02}": 0.0 for day in range(5, 17)}
    assert day_peaks(days_of(**gap), PERIOD).tolist() == [1.0] * 12


@pytest.mark.parametrize(
    "days",
    [
        days_of(),
        days_of(d2025_11_28=1.2),  # less than a quarter more is chance
        days_of("2025-11-10", d2025_11_28=3.0),  # begins within the month
        days_of("2025-11-01", d2025_11_28=3.0),  # and may have
        days_of(d2026_11_28=3.0, end="2026-12-31"),  # after the period
        days_of()[:0],
        0.0 * days_of(),
    ],
)
def test_nothing_is_known_of_it(days):
    assert day_peaks(days, PERIOD).tolist() == [1.0] * 12


def test_by_place_and_month():
    months = pd.period_range("2026-10", "2026-12", freq="M")
    peaks = {("search", "eu"): np.array([1.0] * 10 + [2.0, 1.0])}
    assert peaks_over(peaks, ("search", "eu"), months).tolist() == [1.0, 2.0, 1.0]
    assert peaks_over(peaks, ("search", "us"), months).tolist() == [1.0, 1.0, 1.0]


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 1e6), st.integers(0, 10_000))
def test_it_has_no_unit_and_is_far_from_one_or_one(scale, seed):
    values = np.random.default_rng(seed).lognormal(0, 0.5, len(days_of()))
    days = pd.Series(values, days_of().index)
    found = day_peaks(days, PERIOD)
    np.testing.assert_allclose(found, day_peaks(scale * days, PERIOD))
    assert ((found == 1.0) | (found >= LEAST_RISE - 1e-12)).all()


def test_even_demand_that_comes_by_chance_has_none():
    """Poisson days of a mean of 200, in a week of its own: of 200 series hardly one has a month that is told."""
    rng = np.random.default_rng(7)
    index = days_of().index
    week = np.where(index.day_of_week < 5, 1.2, 0.5)
    told = [(day_peaks(pd.Series(rng.poisson(200 * week).astype(float), index), PERIOD) != 1).any() for _ in range(200)]
    assert np.mean(told) <= 0.01


def test_they_are_told_month_by_month():
    high = np.ones(12)
    high[[10, 11]] = 1.946, 1.3
    november, december = peak_sentences({("search", "eu"): high, ("search", "gb"): high, ("mail", "gb"): np.ones(12)})
    assert "In November of years before" in november and "was 1.95 times as high over the mean of its month" in november
    assert "(search in eu, search in gb)" in november
    assert "In December" in december and "1.3 times" in december
    assert peak_sentences({}) == []
