"""Shape of a demand series: level, peak, season, outage, growth, running jobs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aifactory.demand.profile import (
    BUSY_SHARE,
    HOURS_PER_WEEK,
    MIN_UNITS,
    MIN_WEEKS,
    PRIOR_GROWTH,
    PRIOR_SCATTER,
    SCATTER_MONTHS,
    autocorrelation,
    hourly_series,
    hourly_shape,
    monthly_growth,
    monthly_trend,
    outage_mask,
    peak_minutes,
    profile_series,
    running_accelerators,
    since_as_fine,
)

FEW = settings(max_examples=50)
FOUR_WEEKS = 4 * HOURS_PER_WEEK


def series(values, minutes=60, start="2026-10-01"):
    times = pd.date_range(start, periods=len(values), freq=f"{minutes}min", tz="UTC")
    return pd.Series(np.asarray(values, dtype=float), index=times)


# outages


def test_an_outage_is_no_low_demand():
    hourly = np.full(FOUR_WEEKS, 100.0)
    hourly[200:206] = 0.0
    assert np.flatnonzero(outage_mask(hourly)).tolist() == list(range(200, 206))


def test_a_series_that_sleeps_at_night_has_no_outage_at_night():
    hourly = np.tile([0.0] * 8 + [100.0] * 16, 28)
    assert not outage_mask(hourly).any()


def test_a_low_hour_is_no_outage():
    hourly = np.full(FOUR_WEEKS, 100.0)
    hourly[200] = 0.5
    assert not outage_mask(hourly).any()


@pytest.mark.parametrize("level", [9.9, 0.0])
def test_sparse_work_has_no_outage(level):
    hourly = np.full(FOUR_WEEKS, level)
    hourly[200] = 0.0
    assert not outage_mask(hourly).any()


def test_three_weeks_cannot_tell_an_outage():
    hourly = np.full(3 * HOURS_PER_WEEK, 100.0)
    hourly[20] = 0.0
    assert not outage_mask(hourly).any()


def test_no_hours_have_no_outage():
    assert outage_mask(np.array([])).shape == (0,)


@FEW
@given(st.integers(0, 10_000), st.integers(0, 1200), st.floats(0.0, 0.4))
def test_the_outage_rule_agrees_with_a_loop_over_every_hour(seed, hours, idle):
    random = np.random.default_rng(seed)
    hourly = np.where(random.random(hours) < idle, 0.0, random.gamma(2.0, 20.0, hours))
    busy = hourly[hourly > 0]
    expected = []
    for hour in range(hours):
        weeks = [hourly[other] for other in range(hour % HOURS_PER_WEEK, hours, HOURS_PER_WEEK)]
        level = np.median(busy) if len(busy) else 0.0
        low = sum(value <= BUSY_SHARE * level for value in weeks)
        expected.append(hourly[hour] == 0 and level >= MIN_UNITS and len(weeks) >= MIN_WEEKS and low == 1)
    assert outage_mask(hourly).tolist() == expected


# the window of a peak


@pytest.mark.parametrize(
    ("rate", "window", "minutes"),
    [(600, 1, 1), (599, 1, 5), (120, 1, 5), (119, 1, 15), (40, 1, 15), (20, 1, 30), (19, 1, 60), (0, 1, 60)],
)
def test_a_peak_window_holds_ten_units(rate, window, minutes):
    assert peak_minutes(rate, window) == minutes


@FEW
@given(st.floats(0, 1e6), st.sampled_from([1, 5, 15, 30, 60, 120, 1440]))
def test_a_peak_window_is_made_of_whole_windows(rate, window):
    minutes = peak_minutes(rate, window)
    assert minutes % window == 0
    assert rate * minutes / 60 >= MIN_UNITS or minutes == max(60, window)


# autocorrelation


@FEW
@given(st.integers(0, 10_000), st.sampled_from([1, 7, 24]), st.integers(72, 300), st.floats(-1, 1))
def test_autocorrelation_agrees_with_pandas_on_detrended_data(seed, lag, length, slope):
    values = np.random.default_rng(seed).normal(10, 2, length) + slope * np.arange(length)
    fit = stats.linregress(np.arange(length), values)
    rest = pd.Series(values - fit.intercept - fit.slope * np.arange(length))
    assert autocorrelation(values, lag) == pytest.approx(rest.autocorr(lag), abs=1e-9)


@FEW
@given(st.integers(0, 10_000), st.floats(0.01, 1e6), st.floats(-1e3, 1e3), st.floats(-5, 5))
def test_level_scale_and_trend_do_not_change_autocorrelation(seed, scale, level, slope):
    values = np.random.default_rng(seed).normal(0, 1, 200)
    moved = scale * (values + level + slope * np.arange(200))
    assert autocorrelation(moved, 24) == pytest.approx(autocorrelation(values, 24), abs=1e-6)


def test_missing_hours_are_left_out_pairwise():
    random = np.random.default_rng(7)
    values = np.sin(np.arange(240) * 2 * np.pi / 24) + random.normal(0, 0.3, 240)
    values[random.choice(240, 20, replace=False)] = np.nan
    known = np.isfinite(values)
    fit = stats.linregress(np.arange(240)[known], values[known])
    rest = pd.Series(values - fit.intercept - fit.slope * np.arange(240))
    assert autocorrelation(values, 24) == pytest.approx(rest.corr(rest.shift(24)), abs=1e-9)


@pytest.mark.parametrize("values", [[], np.ones(71), np.ones(200), np.arange(200.0), np.full(200, np.nan)])
def test_a_short_constant_straight_or_missing_series_has_no_season(values):
    assert np.isnan(autocorrelation(np.asarray(values, dtype=float), 24))


# profile of a series


def test_profile_of_a_working_day_by_hand(mini_ws):
    # October in one region: 10 hours of 216 and 14 of 108 units a day
    windows = mini_ws.table("demand_windows").query("use_case_id == 'chat' and region == 'us'")
    month = windows[windows["window_start_utc"] >= pd.Timestamp("2026-10-01", tz="UTC")]
    profile = profile_series(month.set_index("window_start_utc")["service_units"], 60)
    assert profile.units == 31 * (10 * 216 + 14 * 108) == 113_832
    assert profile.units_per_hour_avg == pytest.approx(153.0)
    assert (profile.units_per_hour_peak, profile.peak_window_minutes) == (216.0, 60)
    assert profile.peak_window_start_utc == pd.Timestamp("2026-10-01T08:00Z")
    assert profile.peak_to_average == pytest.approx(216 / 153)
    assert profile.p95_to_average == pytest.approx(216 / 153)
    assert (profile.busiest_hour_utc, profile.weekend_factor) == (8, pytest.approx(1.0))
    assert (profile.daily_season, profile.outage_hours, profile.observed_hours) == (True, 0, 744.0)


@pytest.mark.parametrize("values", [[], [0.0], [0.0] * 100, [np.nan] * 5])
def test_a_series_without_units_has_no_peak_and_no_season(values):
    profile = profile_series(series(values), 60)
    assert (profile.units, profile.units_per_hour_avg, profile.units_per_hour_peak) == (0.0, 0.0, 0.0)
    assert profile.peak_window_start_utc is None
    assert profile.busiest_hour_utc is None
    assert (profile.daily_season, profile.weekly_season) == (False, False)


def test_one_window_is_a_flat_profile():
    profile = profile_series(series([30.0]), 60)
    assert (profile.units, profile.units_per_hour_avg, profile.peak_to_average) == (30.0, 30.0, 1.0)
    assert profile.observed_hours == 1.0
    assert np.isnan(profile.weekend_factor)


def test_an_outage_lowers_neither_average_nor_season():
    values = np.tile([50.0] * 12 + [150.0] * 12, 28)
    whole = profile_series(series(values), 60)
    values[300:306] = 0.0
    broken = profile_series(series(values), 60)
    assert broken.outage_hours == 6
    assert broken.units == 28 * 2400 - 6 * 150
    assert broken.units_per_hour_avg == pytest.approx((28 * 2400 - 6 * 150) / (28 * 24 - 6))
    assert broken.daily_season == whole.daily_season is True
    assert broken.autocorrelation_24h == pytest.approx(1.0, abs=0.01)


def test_a_cluster_without_jobs_is_idle_and_not_down():
    values = np.full(FOUR_WEEKS, 100.0)
    values[200:206] = 0.0
    profile = profile_series(series(values), 60, may_idle=True)
    assert profile.outage_hours == 0
    assert profile.units_per_hour_avg == pytest.approx(100 * (FOUR_WEEKS - 6) / FOUR_WEEKS)


def test_a_busy_minute_is_a_peak_where_minutes_hold_ten_units():
    values = np.full(120, 20.0)
    values[61] = 80.0
    profile = profile_series(series(values, minutes=1), 1)
    assert (profile.peak_window_minutes, profile.units_per_hour_peak) == (1, 4800.0)
    assert profile.units_per_hour_avg == pytest.approx((119 * 20 + 80) / 2)
    assert profile.peak_window_start_utc == pd.Timestamp("2026-10-01T01:01Z")


def test_a_partial_hour_counts_for_its_minutes():
    # 90 minutes of two units each from half past on
    profile = profile_series(series(np.full(90, 2.0), minutes=1, start="2026-10-01T00:30"), 1)
    assert profile.observed_hours == 1.5
    assert profile.units_per_hour_avg == pytest.approx(120.0)


def test_a_day_in_one_window_is_a_rate_per_hour():
    profile = profile_series(series(np.full(31, 2400.0), minutes=1440), 1440)
    assert (profile.units_per_hour_avg, profile.units_per_hour_peak) == (100.0, 100.0)
    assert (profile.peak_window_minutes, profile.observed_hours) == (1440, 744.0)


def test_the_weekend_factor_is_weekend_over_workday():
    times = pd.date_range("2026-10-01", periods=28 * 24, freq="h", tz="UTC")
    profile = profile_series(pd.Series(np.where(times.day_of_week >= 5, 40.0, 80.0), index=times), 60)
    assert profile.weekend_factor == pytest.approx(0.5)
    assert profile.weekly_season


@FEW
@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(1.0, 1e4))
def test_units_are_kept_and_the_peak_is_never_below_the_average(seed, days, level):
    values = np.random.default_rng(seed).gamma(2.0, level, days * 24)
    profile = profile_series(series(values), 60)
    assert profile.units == pytest.approx(values.sum())
    assert profile.units_per_hour_avg * profile.observed_hours == pytest.approx(values.sum())
    assert profile.units_per_hour_peak == pytest.approx(values.max())
    assert profile.peak_to_average >= 1.0 - 1e-12


def test_a_daily_season_is_found_in_windows_of_ninety_minutes():
    values = np.tile([50.0] * 8 + [150.0] * 8, 31)
    assert profile_series(series(values, minutes=90), 90).daily_season


# growth


@FEW
@given(st.integers(0, 10_000), st.integers(4, 24), st.floats(-0.3, 0.3), st.floats(0.001, 0.4))
def test_growth_is_the_shrunk_slope_of_a_regression(seed, months, slope, scatter):
    logs = 5 + slope * np.arange(months) + np.random.default_rng(seed).normal(0, scatter, months)
    fit = stats.linregress(np.arange(months), logs)
    spread = ((np.arange(months) - (months - 1) / 2) ** 2).sum()
    known, squares = months - 2, fit.stderr**2 * (months - 2) * spread
    doubt = (squares + SCATTER_MONTHS * PRIOR_SCATTER**2) / (known + SCATTER_MONTHS) / spread
    expected = np.exp(fit.slope * PRIOR_GROWTH**2 / (PRIOR_GROWTH**2 + doubt)) - 1
    growth, used = monthly_growth(np.exp(logs))
    assert (growth, used) == (pytest.approx(expected, abs=1e-9), months)
    assert abs(np.log1p(growth)) <= abs(fit.slope) + 1e-9


def test_a_level_history_does_not_grow():
    assert monthly_growth(np.full(12, 700.0)) == (pytest.approx(0.0, abs=1e-12), 12)


@FEW
@given(st.lists(st.floats(1, 1e6), min_size=4, max_size=15), st.floats(0.01, 1e4))
def test_the_unit_of_count_does_not_change_growth(levels, scale):
    levels = np.array(levels)
    assert monthly_growth(levels * scale)[0] == pytest.approx(monthly_growth(levels)[0], abs=1e-8)


@pytest.mark.parametrize("levels", [[], [100.0], [100.0, 110, 121], [0.0] * 12, [np.nan] * 12, [0.0] * 9 + [1, 2, 3]])
def test_fewer_than_four_months_have_no_trend(levels):
    growth, used = monthly_growth(np.array(levels))
    assert np.isnan(growth)
    assert used == sum(value > 0 for value in levels)


def test_months_before_the_launch_and_missing_months_do_not_bend_the_trend():
    # a gap keeps its place in time: 100 x 1.1^t at t = 2, 3, 5, 6
    levels = np.array([0, np.nan, 121, 133.1, np.nan, 161.051, 177.1561])
    doubt = 4 * 0.15**2 / (4 - 2 + 4) / (4 + 1 + 1 + 4)
    expected = np.exp(np.log(1.1) * 0.03**2 / (0.03**2 + doubt)) - 1
    assert monthly_growth(levels) == (pytest.approx(expected, abs=1e-9), 4)


def test_four_months_of_jobs_say_little_of_three_years():
    """Doubled twice, then halved: the line through the logarithms by hand, and what the prior leaves of it."""
    trend = monthly_trend(np.array([1.0, 2.0, 4.0, 2.0]))
    logs = np.log(2) * np.array([0, 1, 2, 1])
    slope = float((np.array([-1.5, -0.5, 0.5, 1.5]) @ logs) / 5)
    rest = logs - logs.mean() - slope * np.array([-1.5, -0.5, 0.5, 1.5])
    doubt = (rest @ rest + 4 * 0.15**2) / 6 / 5
    kept = 0.03**2 / (0.03**2 + doubt)
    assert trend.growth == pytest.approx(np.expm1(slope * kept))
    assert trend.log_sd == pytest.approx(0.03 * np.sqrt(1 - kept))
    assert kept < 0.05
    assert trend.growth < 0.015


def test_the_prior_of_growth_holds_at_its_limits():
    levels = 100 * 1.08 ** np.arange(4)
    assert monthly_trend(levels, prior_sd=0.0).growth == 0.0
    assert monthly_trend(levels, prior_sd=1e6).growth == pytest.approx(0.08)
    assert monthly_trend(100 * 1.08 ** np.arange(60)).growth == pytest.approx(0.08, abs=1e-3)


@FEW
@given(st.floats(0.8, 1.25), st.integers(4, 30))
def test_more_months_of_one_trend_keep_more_of_it(factor, months):
    short, long = (monthly_trend(100 * factor ** np.arange(count)) for count in (months, months + 6))
    assert abs(short.growth) <= abs(long.growth) + 1e-12
    assert long.log_sd < short.log_sd


# hours of a month


def test_hours_without_windows_are_zero():
    times = pd.to_datetime(["2026-10-01T00:10Z", "2026-10-01T00:50Z", "2026-10-01T03:00Z"])
    windows = pd.DataFrame({"window_start_utc": times, "window_minutes": 60, "service_units": [1, 2, 5]})
    assert hourly_series(windows).tolist() == [3.0, 0.0, 0.0, 5.0]
    assert hourly_series(windows.iloc[:0]).empty


def test_the_hourly_shape_by_hand(mini_ws):
    shape = hourly_shape(mini_ws.table("demand_windows"), "chat", "us", "2026-10")
    assert shape.shape == (744,)
    assert shape[:24].tolist() == pytest.approx([108 / 153] * 8 + [216 / 153] * 10 + [108 / 153] * 6)


@pytest.mark.parametrize("pair", [("chat", "nowhere"), ("images", "us"), ("unknown", "us")])
def test_a_pair_without_demand_has_a_flat_shape(mini_ws, pair):
    assert (hourly_shape(mini_ws.table("demand_windows"), *pair, "2026-10") == 1).all()


@FEW
@given(st.integers(0, 10_000), st.integers(0, 743), st.integers(1, 744))
def test_a_shape_has_mean_one_and_unobserved_hours_stand_at_it(seed, first, count):
    times = pd.date_range("2026-10-01", periods=744, freq="h", tz="UTC")[first : first + count]
    load = np.random.default_rng(seed).gamma(1.0, 5.0, len(times)) + 0.1
    windows = pd.DataFrame(
        {"window_start_utc": times, "use_case_id": "a", "region": "r", "window_minutes": 60, "service_units": load}
    )
    shape = hourly_shape(windows, "a", "r", "2026-10")
    assert shape.mean() == pytest.approx(1.0)
    assert (np.delete(shape, np.arange(first, first + len(times))) == 1).all()
    np.testing.assert_allclose(shape[first : first + len(times)], load / load.mean())


def test_the_neighbouring_months_do_not_enter_the_shape():
    times = pd.date_range("2026-09-30T23:00", periods=746, freq="h", tz="UTC")
    load = np.ones(746)
    load[[0, -1]] = 1000.0
    windows = pd.DataFrame(
        {"window_start_utc": times, "use_case_id": "a", "region": "r", "window_minutes": 60, "service_units": load}
    )
    assert (hourly_shape(windows, "a", "r", "2026-10") == 1).all()


def test_a_steady_use_case_counted_by_the_day_has_a_flat_shape():
    times = pd.date_range("2026-10-01", periods=31, freq="D", tz="UTC")
    windows = pd.DataFrame(
        {
            "window_start_utc": times,
            "window_minutes": 1440,
            "use_case_id": "a",
            "region": "r",
            "service_units": 2400.0,
        }
    )
    np.testing.assert_allclose(hourly_shape(windows, "a", "r", "2026-10"), 1.0)


# running jobs

ORIGIN = pd.Timestamp("2026-10-01", tz="UTC")


def jobs_of(rows, use_case="models", region="us"):
    frame = pd.DataFrame(rows, columns=["start_s", "length_s", "accelerators", "speed"])
    started = ORIGIN + pd.to_timedelta(frame["start_s"], unit="s")
    return frame.assign(
        started_utc=started,
        ended_utc=started + pd.to_timedelta(frame["length_s"], unit="s"),
        use_case_id=use_case,
        region=region,
        status="completed",
    )


def test_half_an_hour_in_each_of_two_hours_by_hand():
    jobs = jobs_of([(1800, 3600, 8, 1.0), (1800, 900, 4, 2.0)])
    running = running_accelerators(jobs, jobs["speed"])
    assert running["window_start_utc"].tolist() == [ORIGIN, ORIGIN + pd.Timedelta(hours=1)]
    assert running["service_units"].tolist() == pytest.approx([8 * 0.5 + 4 * 0.25 * 2, 8 * 0.5])


@FEW
@given(
    st.lists(
        st.tuples(st.integers(0, 9_000), st.integers(0, 9_000), st.integers(1, 8), st.sampled_from([0.5, 1.0, 2.5])),
        min_size=1,
        max_size=12,
    )
)
def test_running_accelerators_agree_with_a_count_of_every_second(rows):
    jobs = jobs_of(rows)
    running = running_accelerators(jobs, jobs["speed"])
    load = np.zeros(6 * 3600)
    for start, length, accelerators, speed in rows:
        load[start : start + length] += accelerators * speed
    hourly = pd.Series(load.reshape(6, 3600).sum(axis=1) / 3600, pd.date_range(ORIGIN, periods=6, freq="h"))
    counted = running.set_index("window_start_utc")["service_units"].reindex(hourly.index, fill_value=0.0)
    np.testing.assert_allclose(counted, hourly, atol=1e-6)
    assert running["service_units"].sum() == pytest.approx(sum(n * a * s for _, n, a, s in rows) / 3600, abs=1e-6)


def test_jobs_that_never_started_or_ended_unseen_count_nothing():
    jobs = jobs_of([(0, 3600, 8, 1.0), (0, 3600, 8, 1.0), (0, 3600, 8, 1.0)])
    jobs.loc[1, "ended_utc"] = pd.NaT
    jobs.loc[2, ["started_utc", "ended_utc"]] = pd.NaT
    assert running_accelerators(jobs, jobs["speed"])["service_units"].sum() == pytest.approx(8.0)


def test_a_running_job_counts_up_to_the_latest_moment_of_the_table():
    jobs = jobs_of([(0, 7200, 1, 1.0), (3600, 0, 8, 1.0)])
    jobs.loc[1, ["ended_utc", "status"]] = [pd.NaT, "running"]
    assert running_accelerators(jobs, jobs["speed"])["service_units"].sum() == pytest.approx(2.0 + 8.0)


def test_regions_are_never_mixed():
    jobs = pd.concat([jobs_of([(0, 3600, 8, 1.0)]), jobs_of([(0, 7200, 2, 1.0)], region="eu")], ignore_index=True)
    running = running_accelerators(jobs, jobs["speed"])
    assert running.groupby("region")["service_units"].sum().to_dict() == pytest.approx({"eu": 4.0, "us": 8.0})


def test_no_jobs_run_nothing():
    jobs = jobs_of([])
    running = running_accelerators(jobs, jobs["speed"])
    assert running.empty
    assert list(running.columns) == ["window_start_utc", "use_case_id", "region", "service_units"]


def test_the_jobs_of_a_month_by_hand(mini_ws):
    # four jobs of ten hours on eight reference accelerators in each of two months
    jobs = mini_ws.table("jobs")
    running = running_accelerators(jobs, pd.Series(1.0, index=jobs.index))
    months = running["window_start_utc"].dt.strftime("%Y-%m")
    assert running.groupby(months)["service_units"].sum().to_dict() == {"2026-09": 320.0, "2026-10": 320.0}
    assert running["service_units"].max() == 8.0


def test_older_months_that_are_kept_by_day_say_nothing_of_the_hours():
    """What rests on the hours begins with the windows that are as short as the newest; a longer one at the end keeps all."""
    days = pd.DataFrame({"window_start_utc": pd.date_range("2026-08-01", periods=31, tz="UTC"), "window_minutes": 1440})
    hours = pd.DataFrame(
        {"window_start_utc": pd.date_range("2026-09-01", periods=72, freq="h", tz="UTC"), "window_minutes": 60}
    )
    both = pd.concat([days, hours], ignore_index=True)
    pd.testing.assert_frame_equal(since_as_fine(both).reset_index(drop=True), hours)
    assert since_as_fine(both.iloc[::-1])["window_minutes"].eq(60).all()
    for same in (hours, days, days.iloc[:0]):
        pd.testing.assert_frame_equal(since_as_fine(same), same)
    later = days.assign(window_start_utc=days["window_start_utc"] + pd.Timedelta(days=90))
    assert len(since_as_fine(pd.concat([hours, later]))) == len(hours) + len(later)


def test_hours_without_a_rare_request_of_many_units_are_no_outage():
    """Minutes of audio: a recording of half an hour comes every other hour by chance; that many units of their own would be an outage."""
    rare = np.full(FOUR_WEEKS, 60.0)
    rare[300:309] = 0.0
    assert profile_series(series(rare), 60).outage_hours == 9
    assert profile_series(series(rare), 60, units_per_request=30.0).outage_hours == 0
    many = profile_series(series(rare * 10), 60, units_per_request=30.0)
    assert many.outage_hours == 9
    assert profile_series(series(rare), 60, units_per_request=0.2).outage_hours == 9  # sessions hold several requests


def test_the_peak_window_holds_ten_requests_and_not_ten_of_their_units():
    values = series(np.full(6000, 2.0), minutes=1)
    assert profile_series(values, 1).peak_window_minutes == 5
    assert profile_series(values, 1, units_per_request=12.0).peak_window_minutes == 60
