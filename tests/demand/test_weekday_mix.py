"""What days of the week carry, and what a part of time counts in average days."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.demand.month_trend import trend_of_months
from aifactory.demand.profile import monthly_trend
from aifactory.demand.weekday_mix import average_days, weekday_factors

OFFICE = np.array([1.2, 1.25, 1.25, 1.2, 1.1, 0.6, 0.4])


def test_factors_by_hand_from_any_day_of_the_week_on():
    # a Thursday first: five weeks and two days, of which the last five weeks count
    days = np.tile(np.roll(OFFICE, -3), 6)[:37] * 40.0
    np.testing.assert_allclose(weekday_factors(days, 3), OFFICE)


def test_growth_a_launch_and_an_outage_leave_no_trace():
    days = np.tile(OFFICE, 12) * 1.01 ** np.repeat(np.arange(12), 7)
    days[42:] *= 3.0
    days[[10, 60]] = 0.0
    np.testing.assert_allclose(weekday_factors(days, 0), OFFICE, rtol=1e-9)


@pytest.mark.parametrize("days", [np.zeros(0), np.zeros(70), np.full(70, 5.0), np.tile(OFFICE, 3), OFFICE[:5]])
def test_without_a_proven_week_all_days_are_alike(days):
    assert weekday_factors(days, 4).tolist() == [1.0] * 7


def test_noise_is_rarely_taken_for_a_week():
    random = np.random.default_rng(7)
    found = [weekday_factors(random.gamma(4.0, 25.0, 140), 0).tolist() != [1.0] * 7 for _ in range(300)]
    assert np.mean(found) < 0.03


@given(st.lists(st.floats(0, 5), min_size=7, max_size=7), st.floats(0, 30_000), st.floats(0, 400), st.floats(0, 400))
def test_spans_add_up_and_whole_weeks_count_seven_days(factors, start, first, second):
    factors = np.array(factors) + 0.1
    factors /= factors.mean()
    at = np.array([start])
    whole = average_days(at, at + first + second, factors)
    parts = average_days(at, at + first, factors) + average_days(at + first, at + first + second, factors)
    assert whole[0] == pytest.approx(parts[0], abs=1e-6)
    assert average_days(at, at + 35, factors)[0] == pytest.approx(35, abs=1e-6)


def test_average_days_are_the_sum_over_a_calendar():
    days = pd.date_range("2026-08-01", "2026-10-31", tz="UTC")
    epoch = pd.Timestamp("1970-01-01", tz="UTC")
    for month in ("2026-08", "2026-09", "2026-10"):
        inside = days[days.strftime("%Y-%m") == month]
        ends = (np.array([(moment - epoch).days], float) for moment in (inside[0], inside[-1] + pd.Timedelta(days=1)))
        assert average_days(*ends, OFFICE)[0] == pytest.approx(OFFICE[inside.day_of_week].sum())


def levels_of(first, end, growth, random=None):
    """Months of an office service by units per day and by units per average day, each with its middle."""
    days = pd.date_range(first, end, inclusive="left")
    load = OFFICE[days.day_of_week] * (1 + growth) ** (np.arange(len(days)) / 30.4375)
    load = load * (1.0 if random is None else np.exp(random.normal(0, 0.03, len(days))))
    factors = weekday_factors(load, days[0].day_of_week)
    months = pd.Series(load, days).groupby(days.to_period("M"))
    number = pd.Series(np.arange(len(days)) + 0.5, days).groupby(days.to_period("M")).mean() / 30.4375
    weighed = months.sum() / pd.Series(factors[days.day_of_week], days).groupby(days.to_period("M")).sum()
    return months.mean().to_numpy(), weighed.to_numpy(), number.to_numpy()


def test_months_of_an_office_that_does_not_grow_have_no_trend():
    plain, weighed, centre = levels_of("2026-03-21", "2026-09-01", 0.0)
    assert abs(monthly_trend(plain).growth) > 0.0025
    assert trend_of_months(weighed, centre=centre).growth == pytest.approx(0.0, abs=1e-9)


def test_true_growth_is_the_slope_at_the_middle_of_what_was_seen():
    _, weighed, centre = levels_of("2026-03-21", "2026-09-01", 0.05)
    found = monthly_trend(weighed, prior_sd=1e6, centre=centre).growth
    assert found == pytest.approx(0.05, abs=4e-4)
    assert abs(monthly_trend(weighed, prior_sd=1e6).growth - 0.05) > 2e-3  # taken for whole months


def test_growth_that_is_not_there_is_half_as_large_on_average():
    random = np.random.default_rng(3)
    plain, weighed = [], []
    for _ in range(40):
        first = pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(random.integers(0, 600)))
        raw, mixed, centre = levels_of(first, first + pd.offsets.MonthBegin(5), 0.0, random)
        seen = np.diff(np.append(centre, centre[-1] + 1)) > 0.6  # less than a week is no month of a trend
        seen[1:] = True
        plain.append(trend_of_months(np.where(seen, raw, np.nan)).growth)
        weighed.append(trend_of_months(np.where(seen, mixed, np.nan), centre=centre).growth)
    assert np.nanstd(weighed) < 0.6 * np.nanstd(plain)
