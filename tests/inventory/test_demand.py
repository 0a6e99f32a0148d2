"""Demand by month and its profile, per use case and region."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.events import unstated_peaks
from aifactory.demand.month_trend import trend_of_months
from aifactory.inputs.plan import Launch
from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory, demand
from aifactory.inventory.seasons import untested_seasons

JOBS_HEAD = "job_id,use_case_id,region,accelerator_id,accelerators,submitted_utc,started_utc,ended_utc,status\n"
JOB = "{0},models,{1},nvidia-a100-80-sxm,8,2026-10-10T01:00:00Z,2026-10-10T02:00:00Z,2026-10-10T03:00:00Z,{2}\n"


def with_table(ws, name, frame):
    return dataclasses.replace(ws, tables={**ws.tables, name: frame})


def with_jobs(mini, text):
    (mini / "jobs.csv").write_text(JOBS_HEAD + text, encoding="utf-8")
    return load_workspace(mini)


@pytest.fixture(scope="module")
def windows(mini_ws):
    return demand.all_windows(mini_ws)


@pytest.fixture(scope="module")
def monthly(mini_ws, windows):
    return demand.demand_by_month(mini_ws, windows)


@pytest.fixture(scope="module")
def profile(mini_ws, windows, monthly):
    return demand.profile_demand(mini_ws, windows, monthly).set_index(["use_case_id", "region"])


# speed


def pairs(*chips):
    return pd.DataFrame({"use_case_id": "models", "accelerator_id": list(chips)})


def test_speed_is_anchored_on_arithmetic_rates_without_a_run(mini_ws):
    table = demand.relative_speed(mini_ws, pairs("nvidia-a100-80-sxm", "nvidia-h100-sxm")).set_index("accelerator_id")
    chips = mini_ws.table("accelerators").set_index("accelerator_id")
    flops = chips["achievable_bf16_tflops"].fillna(chips["peak_bf16_dense_tflops"])
    assert mini_ws.plan.reference_accelerator == "nvidia-a100-80-sxm"
    assert table["speed"].tolist() == pytest.approx([1.0, flops["nvidia-h100-sxm"] / flops["nvidia-a100-80-sxm"]])
    assert table["speed_tier"].tolist() == ["measured", "anchored"]


def test_an_accelerator_without_bf16_counts_by_its_fp16_peak(mini_ws):
    """V100: 125 TFLOPS of FP16, of which 80 % are usually reached; A100: 271.2 reached."""
    (row,) = demand.relative_speed(mini_ws, pairs("nvidia-v100-32")).to_dict("records")
    assert (row["speed"], row["speed_tier"]) == (pytest.approx(0.8 * 125 / 271.2), "anchored")


def test_a_run_of_the_use_case_wins_and_counts_per_accelerator(mini_ws):
    # eight accelerators do 20 reference hours an hour: 2.5 each; repeats are averaged
    run = (
        mini_ws.table("benchmarks")
        .iloc[:2]
        .assign(
            use_case_id="models", accelerator_id="nvidia-h100-sxm", accelerators=8.0, units_per_s=[20 / 3600, 24 / 3600]
        )
    )
    ws = with_table(mini_ws, "benchmarks", run)
    table = demand.relative_speed(ws, pairs("nvidia-h100-sxm"))
    assert table["speed"].tolist() == pytest.approx([2.75])
    assert table["speed_tier"].tolist() == ["measured"]


def test_an_accelerator_nobody_knows_counts_as_the_reference(mini_ws):
    table = demand.relative_speed(mini_ws, pairs("unheard-of"))
    assert (table["speed"].tolist(), table["speed_tier"].tolist()) == ([1.0], ["assumed"])
    assert demand.relative_speed(mini_ws, pairs()).empty


# windows


def test_jobs_stand_beside_the_windows_and_lose_nothing(mini_ws, windows):
    serving = mini_ws.table("demand_windows")
    assert len(windows) > len(serving)
    models = windows[windows["use_case_id"] == "models"]
    assert models["service_units"].sum() == pytest.approx(2 * 4 * 8 * 10)
    assert set(models["region"]) == {"us"}
    assert (models["window_minutes"] == 60).all()


def test_without_jobs_the_windows_stand_alone(mini_ws):
    ws = with_table(mini_ws, "jobs", mini_ws.table("jobs").iloc[:0])
    pd.testing.assert_frame_equal(demand.all_windows(ws), mini_ws.table("demand_windows"))


def test_jobs_that_all_wait_add_nothing(mini):
    row = JOB.format("job-1", "us", "running").replace("2026-10-10T02:00:00Z,2026-10-10T03:00:00Z", ",")
    inventory = build_inventory(with_jobs(mini, row))
    assert set(inventory.demand_profile["use_case_id"]) == {"chat", "images"}


# by month


def test_a_month_by_hand(monthly):
    # October, one region: 10 h of 220 and 14 h of 110 requests a day; one in fifty fails, rounded down
    table = monthly.set_index(["month", "use_case_id", "region"])
    row = table.loc[("2026-10", "chat", "us")]
    requests = 31 * (10 * 220 + 14 * 110)
    errors = 31 * (10 * 4 + 14 * 2)
    assert (row["requests"], row["errors"], row["retries"]) == (requests, errors, errors) == (115_940, 2_108, 2_108)
    assert row["units"] == requests - errors == 113_832
    assert (row["input_tokens"], row["cached_input_tokens"], row["output_tokens"]) == (
        500 * requests,
        100 * requests,
        100 * requests,
    )
    assert table.loc[("2026-09", "images", "eu"), "units"] == 30 * 24 * 100
    assert np.isnan(table.loc[("2026-09", "images", "eu"), "input_tokens"])


def test_jobs_are_requests_and_failed_ones_errors(monthly):
    models = monthly[monthly["use_case_id"] == "models"]
    assert models["units"].tolist() == pytest.approx([320.0, 320.0])
    assert models["requests"].tolist() == [4.0, 4.0]
    assert models["errors"].tolist() == [1.0, 1.0]
    assert models["retries"].isna().all()


def test_failed_work_weighs_jobs_by_their_hours(mini):
    # 8 accelerators: one hour that failed beside three hours of two jobs that did not, and one that never began
    longer = JOB.replace("T03:00:00Z,{2}", "T04:00:00Z,{2}").format("job-2", "us", "completed")
    waiting = JOB.replace("2026-10-10T02:00:00Z,2026-10-10T03:00:00Z", ",").format("job-4", "us", "cancelled")
    ws = with_jobs(
        mini, JOB.format("job-1", "us", "failed") + longer + JOB.format("job-3", "us", "completed") + waiting
    )
    table = demand.demand_by_month(ws, demand.all_windows(ws)).query("use_case_id == 'models'")
    assert (table["errors"] / table["requests"]).tolist() == [0.5]
    assert table["failed_work_share"].tolist() == [0.25]
    cases = build_inventory(ws).use_cases.set_index("use_case_id")
    assert cases.at["models", "failure_rate"] == 0.5
    assert cases.at["models", "failed_work_share"] == pytest.approx(0.25)
    assert cases.at["chat", "failed_work_share"] == cases.at["chat", "failure_rate"] == 2_108 / 115_940


def test_failed_work_is_that_of_the_hours_of_the_month(mini):
    # of a job submitted in September and failed in October 2 h run in one and 3 h in the other, beside 3 h and 1 h that were well
    across = JOB.replace(
        "2026-10-10T01:00:00Z,2026-10-10T02:00:00Z,2026-10-10T03",
        "2026-09-30T21:00:00Z,2026-09-30T22:00:00Z,2026-10-01T03",
    )
    well = JOB.replace(
        "2026-10-10T01:00:00Z,2026-10-10T02:00:00Z,2026-10-10T03",
        "2026-09-10T01:00:00Z,2026-09-10T01:00:00Z,2026-09-10T04",
    )
    ws = with_jobs(mini, across.format("job-1", "us", "failed") + well.format("job-2", "us", "completed")
                   + JOB.format("job-3", "us", "completed"))  # fmt: skip
    table = demand.demand_by_month(ws, demand.all_windows(ws)).query("use_case_id == 'models'").set_index("month")
    assert table["units"].to_dict() == pytest.approx({"2026-09": 40.0, "2026-10": 32.0})
    assert table["failed_work_share"].to_dict() == pytest.approx({"2026-09": 2 / 5, "2026-10": 3 / 4})
    assert table["errors"].to_dict() == {"2026-09": 1.0, "2026-10": 0.0}
    found = build_inventory(ws).demand_profile.set_index("use_case_id").loc["models"]
    assert (found["failure_rate"], found["failed_work_share"]) == (0.0, pytest.approx(3 / 4))


def test_an_unknown_outcome_makes_the_errors_unknown(mini):
    ws = with_jobs(mini, JOB.format("job-1", "us", "failed") + JOB.format("job-2", "us", "unknown"))
    table = demand.demand_by_month(ws, demand.all_windows(ws)).query("use_case_id == 'models'")
    assert table["requests"].tolist() == [2.0]
    assert table["errors"].isna().all()
    assert table["failed_work_share"].isna().all()


def test_an_unknown_outcome_in_one_region_makes_the_failure_rate_unknown(mini):
    ws = with_jobs(mini, JOB.format("job-1", "us", "failed") + JOB.format("job-2", "eu", "unknown"))
    cases = build_inventory(ws).use_cases.set_index("use_case_id")
    assert np.isnan(cases.loc["models", "failure_rate"])


def test_months_agree_with_pandas_on_the_sample(sample_ws):
    table = demand.demand_by_month(sample_ws, demand.all_windows(sample_ws))
    windows = sample_ws.table("demand_windows")
    month = windows["window_start_utc"].dt.tz_localize(None).dt.to_period("M").astype("str")
    expected = windows.groupby([month, "use_case_id", "region"])["service_units"].sum()
    keys = [name for name in table.set_index(["month", "use_case_id", "region"]).index if name in expected.index]
    found = table.set_index(["month", "use_case_id", "region"])["units"]
    assert len(keys) == len(expected)
    np.testing.assert_allclose(found[keys], expected[keys])


# the profile of the month


def test_the_profile_of_the_month_by_hand(profile):
    row = profile.loc[("chat", "us")]
    assert (row["units_month"], row["units_per_hour_avg"], row["units_per_hour_peak"]) == (113_832, 153.0, 216.0)
    assert row["failure_rate"] == row["retry_share"] == pytest.approx(2108 / 115_940)
    assert row["cache_share"] == pytest.approx(0.2)
    assert (row["observed_share"], row["growth_months"]) == (1.0, 2)
    images = profile.loc[("images", "eu")]
    assert (images["units_per_hour_avg"], images["peak_to_average"]) == (110.0, 1.0)
    assert (images["failure_rate"], images["daily_season"]) == (0.0, False)


def test_a_restricted_use_case_is_measured_only_where_it_may_run(profile):
    assert sorted(profile.index) == [("chat", "eu"), ("chat", "us"), ("images", "eu"), ("models", "us")]


def test_demand_outside_its_residency_is_not_added_to_the_allowed_region(mini):
    with (mini / "demand_windows.csv").open("a", encoding="utf-8") as stream:
        stream.write("2026-10-05T00:00:00Z,60,images,us,10,0,0,10,,,\n")
    ws = load_workspace(mini)
    table = build_inventory(ws).demand_profile.set_index(["use_case_id", "region"])
    assert table.loc[("images", "eu"), "units_month"] == 110 * 744
    assert table.loc[("images", "us"), "units_month"] == 10
    assert "residency_kept" in set(ws.checks.query("status == 'warned'")["check"])


def test_idle_hours_of_a_training_cluster_are_no_outage(profile):
    row = profile.loc[("models", "us")]
    assert row["outage_hours"] == 0
    assert row["units_per_hour_peak"] == 8.0
    assert row["failure_rate"] == 0.25


def test_one_job_of_a_month_is_not_forecast_as_a_month_of_jobs(mini):
    # 8 accelerators for one hour in October; the month of telemetry ends with the 31st
    inventory = build_inventory(with_jobs(mini, JOB.format("job-1", "us", "completed")))
    row = inventory.demand_profile.set_index("use_case_id").loc["models"]
    assert row["units_per_hour_avg"] * 744 == pytest.approx(8.0)


def test_idle_days_after_the_last_job_lower_the_average(profile):
    assert profile.loc[("models", "us"), "units_per_hour_avg"] == pytest.approx(320 / 744)


def steady(ws, minutes):
    """The workspace with one unit an hour from January to October, counted in windows of so many minutes."""
    times = pd.date_range("2026-01-01", "2026-11-01", freq=f"{minutes}min", tz="UTC", inclusive="left")
    frame = pd.DataFrame(
        {"window_start_utc": times, "window_minutes": minutes, "use_case_id": "images", "region": "eu"}
    )
    blank = dict.fromkeys(demand.COUNTS, 0)
    ws = with_table(ws, "demand_windows", frame.assign(service_units=minutes / 60, **blank))
    return with_table(ws, "jobs", ws.table("jobs").iloc[:0])


def growth_of(ws):
    windows = demand.all_windows(ws)
    row = demand.profile_demand(ws, windows, demand.demand_by_month(ws, windows)).iloc[0]
    return row["growth_per_month"], row["growth_months"]


def test_growth_counts_days_and_not_months(mini_ws):
    # the same units a day in months of 31, 30 and 28 days are no trend
    assert growth_of(steady(mini_ws, 60)) == (pytest.approx(0.0, abs=1e-9), 10)


def test_steady_demand_counted_by_the_day_does_not_grow(mini_ws):
    assert growth_of(steady(mini_ws, 1440)) == (pytest.approx(0.0, abs=1e-9), 10)


@pytest.mark.parametrize("first", ["2026-01-01", "2026-05-22", "2026-05-16"])
def test_weekends_of_a_part_of_a_month_are_no_trend(mini_ws, first):
    # an eighth at weekends, from any day on; mean units per day would grow by 1.0 % a month from May 22 on
    ws = steady(mini_ws, 60)
    windows = ws.table("demand_windows")
    windows = windows[windows["window_start_utc"] >= pd.Timestamp(first, tz="UTC")]
    load = np.where(windows["window_start_utc"].dt.day_of_week < 5, 8.0, 1.0)
    growth = growth_of(with_table(ws, "demand_windows", windows.assign(service_units=load)))[0]
    assert growth == pytest.approx(0.0, abs=1e-9)


def without_days(ws, first, last):
    windows = ws.table("demand_windows")
    gone = windows["window_start_utc"].between(
        pd.Timestamp(first, tz="UTC"), pd.Timestamp(last, tz="UTC"), inclusive="left"
    )
    return with_table(ws, "demand_windows", windows[~gone])


@pytest.mark.parametrize("minutes", [60, 1440])
def test_days_that_were_not_recorded_are_no_decline_and_no_dip(mini_ws, minutes):
    ws = without_days(steady(mini_ws, minutes), "2026-09-11", "2026-09-21")
    assert growth_of(ws) == (pytest.approx(0.0, abs=1e-9), 10)
    windows = demand.all_windows(ws)
    lost = demand.days_lost(ws, windows)
    assert lost[["month", "use_case_id", "region", "days"]].to_numpy().tolist() == [["2026-09", "images", "eu", 10]]
    monthly = demand.demand_by_month(ws, windows).set_index("month")["units"]
    whole = demand.whole_months(ws, windows, monthly.reset_index().assign(use_case_id="images", region="eu"))
    assert monthly["2026-09"] == 20 * 24  # what was recorded stays what it is
    assert whole.set_index("month")["units"].loc[["2026-08", "2026-09"]].tolist() == [31 * 24, 30 * 24]
    assert [text.split(".")[0] for text in demand.lost_sentences(ws, windows)] == [
        "images in eu: nothing was recorded on 10 days of 2026-09"
    ]


def test_a_month_with_lost_days_departs_from_nothing(mini):
    path = mini / "demand_windows.csv"
    days = pd.date_range("2026-01-01", "2026-11-01", tz="UTC", inclusive="left")
    days = days[~((days >= "2026-06-11") & (days < "2026-06-23"))]
    rows = pd.DataFrame({"window_start_utc": days.strftime("%Y-%m-%dT%H:%M:%SZ"), "window_minutes": 1440, "use_case_id": "chat", "region": "us",
                         "requests": 900, "errors": 0, "service_units": 900})  # fmt: skip
    rows.to_csv(path, index=False)
    told = build_inventory(load_workspace(mini)).untested_seasons
    assert not any("stood at" in text for text in told)
    assert sum("chat in us: nothing was recorded on 12 days of 2026-06." in text for text in told) == 1


def test_work_that_ended_or_rests_has_lost_nothing(mini_ws):
    ended = without_days(steady(mini_ws, 60), "2026-10-20", "2026-11-01")
    idle = without_days(steady(mini_ws, 60), "2026-05-02", "2026-07-15")  # more than four weeks
    for ws in (ended, idle):
        assert demand.days_lost(ws, demand.all_windows(ws)).empty


def test_a_month_of_which_less_than_a_week_is_left_says_nothing(mini_ws):
    ws = without_days(steady(mini_ws, 60), "2026-06-02", "2026-06-28")
    windows = demand.all_windows(ws)
    whole = demand.whole_months(ws, windows, demand.demand_by_month(ws, windows)).set_index("month")["units"]
    assert np.isnan(whole["2026-06"])
    assert growth_of(ws) == (pytest.approx(0.0, abs=1e-9), 9)


def yearly_peak(ws, multiple, stated):
    """Steady demand of two years but for a November of so many times as much, with the launches that the plan states."""
    ws = steady(ws, 1440)
    times = pd.date_range("2024-11-01", "2026-11-01", freq="D", tz="UTC", inclusive="left")
    rows = ws.table("demand_windows").iloc[[0] * len(times)].assign(window_start_utc=times)
    units = np.where(times.strftime("%Y-%m") == "2025-11", 24.0 * multiple, 24.0)
    launches = [
        Launch(use_case_id="images", month=month, demand_multiplier=multiple, milestone="peak") for month in stated
    ]
    ws = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"launches": launches}))
    return with_table(ws, "demand_windows", rows.assign(service_units=units))


def test_a_stated_peak_of_the_past_is_no_growth(mini_ws):
    assert growth_of(yearly_peak(mini_ws, 2.0, ["2025-11"]))[0] == pytest.approx(0.0, abs=1e-9)


def test_a_proven_season_at_the_end_is_no_growth(mini_ws):
    """Three years and a month of a peak each October: the last of them tilts the trend of nothing."""
    ws = steady(mini_ws, 1440)
    times = pd.date_range("2023-10-01", "2026-11-01", freq="D", tz="UTC", inclusive="left")
    rows = ws.table("demand_windows").iloc[[0] * len(times)].assign(window_start_utc=times)
    units = np.where(times.month == 10, 48.0, 24.0)
    growth, months = growth_of(with_table(ws, "demand_windows", rows.assign(service_units=units)))
    assert (growth, months) == (pytest.approx(0.0, abs=1e-6), 37)


def test_three_years_show_a_season_of_the_year_one_of_lumps_or_of_stated_launches_is_none(mini_ws):
    """October at twice the other months: in the factors of the cell where nothing states it, and in none where launches do."""
    ws = steady(mini_ws, 1440)
    times = pd.date_range("2023-10-01", "2026-11-01", freq="D", tz="UTC", inclusive="left")
    rows = ws.table("demand_windows").iloc[[0] * len(times)].assign(window_start_utc=times)
    ws = with_table(ws, "demand_windows", rows.assign(service_units=np.where(times.month == 10, 48.0, 24.0)))
    launches = [
        Launch(use_case_id="images", month=f"{year}-10", demand_multiplier=2.0, milestone="peak")
        for year in range(2023, 2027)
    ]
    stated = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"launches": launches}))
    for one, peak, spread in ((ws, 2.0, 0.02), (stated, 1.0, 1e-6)):
        windows = demand.all_windows(one)
        profile, years = demand.profile_and_years(one, windows, demand.demand_by_month(one, windows))
        factor = years["images", profile["region"].iloc[0]].factor
        assert factor[9] / factor[:9] == pytest.approx(np.full(9, peak), rel=0.05)
        assert np.log(factor[:9]).std() < spread


def test_a_peak_that_comes_again_and_was_not_stated_for_its_past_month_is_named(mini_ws):
    for stated, named in ((["2026-11"], True), (["2026-11", "2025-11"], False), (["2027-03"], False)):
        ws = yearly_peak(mini_ws, 2.0, stated)
        found = unstated_peaks(ws.plan, demand.demand_by_month(ws, demand.all_windows(ws)), ws.period)
        assert len(found) == named
        assert not named or found[0].startswith("images: 2025-11 looks like a peak")


def test_growth_from_days_that_grow_is_that_of_the_days(mini_ws):
    # five months and ten days of 5 % a month, weekends at a third: what the prior leaves of the true slope
    ws = steady(mini_ws, 1440)
    windows = ws.table("demand_windows")
    windows = windows[windows["window_start_utc"] >= pd.Timestamp("2026-05-22", tz="UTC")]
    rest = np.where(windows["window_start_utc"].dt.day_of_week < 5, 1.0, 1 / 3)
    units = 1e4 * rest * 1.05 ** (np.arange(len(windows)) / (365.25 / 12))
    growth, months = growth_of(with_table(ws, "demand_windows", windows.assign(service_units=units)))
    centre = np.array([5.0, 25.0, 55.5, 86.5, 117.0, 147.5]) / (365.25 / 12)  # May 22-31, June ... October
    assert (growth, months) == (pytest.approx(trend_of_months(1.05**centre, centre=centre).growth, abs=1e-4), 6)


def test_a_month_with_less_than_a_week_is_no_month_of_a_trend(sample_ws):
    windows = demand.all_windows(sample_ws).query("use_case_id == 'faq-bot'")
    ws = with_table(sample_ws, "jobs", sample_ws.table("jobs").iloc[:0])
    for first, months in (("2026-05-26", 5), ("2026-05-25", 6)):
        cut = windows[windows["window_start_utc"] >= pd.Timestamp(first, tz="UTC")]
        row = demand.profile_demand(ws, cut, demand.demand_by_month(ws, cut)).iloc[0]
        assert row["growth_months"] == months


def test_measured_growth_of_the_sample_has_the_sign_it_was_made_with(sample_ws):
    windows = demand.all_windows(sample_ws)
    table = demand.profile_demand(sample_ws, windows, demand.demand_by_month(sample_ws, windows))
    growth = table.set_index(["use_case_id", "region"])["growth_per_month"]
    assert growth["faq-bot", "us-east"] == pytest.approx(-0.06, abs=0.01)
    assert growth["support-chat", "us-east"] == pytest.approx(0.035, abs=0.01)


# what cannot be tested


def test_a_year_needs_three_years(profile, mini_ws, windows):
    monthly = demand.demand_by_month(mini_ws, windows)
    texts = untested_seasons(profile.reset_index(), monthly, "2026-10")
    assert texts[0] == (
        "A season of the year is not forecast: 2 months of history; it is from 7 on, and 13 hold a calendar month twice."
    )
    for first, word in (("2026-04", "7 months of history, which hold no calendar month twice"), ("2025-10", "as far as 13 months of history bear it out"), ("2023-12", "36 hold each calendar month three times and prove it")):  # fmt: skip
        some = pd.DataFrame({"month": pd.period_range(first, "2026-10", freq="M").astype("str"), "units": 1.0})
        assert word in untested_seasons(profile.reset_index().iloc[:0], some, "2026-10")[0]
    # images run at one level: no variation, so neither season can be seen
    assert any("daily season cannot be tested for images in eu" in text for text in texts)
    long = pd.DataFrame({"month": pd.period_range("2023-11", "2026-10", freq="M").astype("str"), "units": 1.0})
    assert untested_seasons(profile.reset_index().iloc[:0], long, "2026-10") == []


def test_bursts_of_hours_by_hand():
    """Hours with 10 and 30 requests in turn: variance 100 n / (n - 1) over the mean 20; longer windows say nothing."""
    stamps = pd.date_range("2026-10-01", periods=100, freq="h", tz="UTC")
    windows = pd.DataFrame({"window_start_utc": stamps, "requests": np.tile([10, 30], 50)})
    assert demand._bursts(windows, 60)["dispersion_hour"] == pytest.approx(100 * 100 / 99 / 20)
    assert np.isnan(demand._bursts(windows, 60)["dispersion_minute"])
    assert np.isnan(demand._bursts(windows, 1440)["dispersion_hour"])
    assert np.isnan(demand._bursts(windows.drop(columns="requests"), 60)["dispersion_hour"])
