"""Daily demand by class and region, its scores beside seasonal naive, and the next four weeks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aifactory.inventory.forecast_scores import DAYS, HORIZON_DAYS, SCORES, UNEVEN, daily_demand, score_forecasts


@pytest.fixture(scope="module")
def inventory(mini_stages):
    return mini_stages.inventory


@pytest.fixture(scope="module")
def found(mini_ws, inventory):
    return score_forecasts(mini_ws, inventory)


def test_whole_days_add_up_to_the_windows(mini_ws, inventory):
    daily = daily_demand(inventory.windows, mini_ws.table("use_cases"), "2026-10")
    chat = inventory.windows[inventory.windows["use_case_id"] == "chat"]
    both = daily[daily["workload_class"] == "real_time_inference"]
    assert both["units"].sum() == pytest.approx(chat["service_units"].sum())
    assert len(both) == 2 * 61


def test_nothing_after_the_period_counts(mini_ws, inventory):
    daily = daily_demand(inventory.windows, mini_ws.table("use_cases"), "2026-09")
    assert daily["date"].max() < pd.Timestamp("2026-10-01", tz="UTC")


def test_a_day_seen_in_part_is_left_out(mini_ws, inventory):
    late = inventory.windows[inventory.windows["window_start_utc"] >= pd.Timestamp("2026-09-01T05:00", tz="UTC")]
    daily = daily_demand(late, mini_ws.table("use_cases"), "2026-10")
    assert daily["date"].min() == pd.Timestamp("2026-09-02", tz="UTC")


def test_a_day_without_windows_is_missing_and_without_jobs_zero(mini_ws, inventory):
    day = pd.Timestamp("2026-09-10", tz="UTC")
    windows = inventory.windows
    gap = windows[(windows["window_start_utc"] < day) | (windows["window_start_utc"] >= day + pd.Timedelta(days=1))]
    daily = daily_demand(gap, mini_ws.table("use_cases"), "2026-10").set_index(["workload_class", "date"])
    assert daily.loc[("real_time_inference", day), "units"].isna().all()
    assert (daily.loc[("batch_training", day), "units"] == 0).all()


def test_every_series_has_a_row_with_scores_beside_seasonal_naive(found):
    assert list(found.scores.columns) == SCORES
    assert len(found.scores) == 4
    chat = found.scores[found.scores["workload_class"] == "real_time_inference"]
    assert (chat["mase"] <= 1.05 * chat["naive_mase"]).all()
    assert chat["units_per_day_low"].le(chat["units_per_day_next"]).all()
    assert chat["units_per_day_next"].le(chat["units_per_day_high"]).all()


def test_the_forecast_begins_the_day_after_the_last(found):
    assert list(found.days.columns) == DAYS
    coming = found.days[found.days["kind"] == "forecast"]
    assert (coming.groupby(["workload_class", "region"]).size() == HORIZON_DAYS).all()
    last = found.days[found.days["kind"] == "measured"].groupby(["workload_class", "region"])["date"].max()
    first = coming.groupby(["workload_class", "region"])["date"].min()
    assert (first - last == pd.Timedelta(days=1)).all()
    assert np.isfinite(coming[["units", "low", "high"]]).all().all()


def test_too_short_a_history_says_so(mini_ws, inventory):
    few = inventory.windows[inventory.windows["window_start_utc"] >= pd.Timestamp("2026-10-29", tz="UTC")]
    short = score_forecasts(mini_ws, replace(inventory, windows=few))
    assert short.scores["mase"].isna().all()
    assert (short.scores["note"] != "").all()


def test_jobs_of_a_few_days_a_month_have_no_usual_day(found):
    row = found.scores.set_index("service_unit").loc[
        "accelerator_hour"
    ]  # four jobs of 80 hours a month, three in its last four weeks
    assert row["note"].startswith("nothing ran on over half of its days")
    assert np.isnan(row[["units_per_day_next", "units_per_day_low", "units_per_day_high"]].to_numpy("float")).all()
    assert row["units_per_day_last"] == pytest.approx(240 / 28)


@pytest.mark.parametrize(("gang", "told"), [(1600.0, False), (150.0, True)])
def test_work_that_comes_on_few_days_has_no_usual_day(mini_ws, inventory, gang, told):
    """40 a day and a gang on the third of each month: two gangs of 1,600 in 61 days make the mean 91 where the middle day has 40."""
    days = pd.date_range("2026-09-01", "2026-10-31", freq="D", tz="UTC")
    cases = mini_ws.table("use_cases").set_index("workload_class")["use_case_id"]
    mine = inventory.windows["use_case_id"] == cases["batch_training"]
    one = inventory.windows[mine].iloc[[0]]
    parts = [
        one.assign(window_start_utc=day + pd.Timedelta(hours=hour), service_units=(gang if day.day == 3 else 40.0) / 24)
        for day in days
        for hour in range(24)
    ]
    windows = pd.concat([inventory.windows[~mine], *parts], ignore_index=True)
    row = (
        score_forecasts(mini_ws, replace(inventory, windows=windows))
        .scores.set_index("workload_class")
        .loc["batch_training"]
    )
    assert row["units_per_day_last"] == pytest.approx(40.0)  # the last four weeks hold no gang
    assert row["note"].startswith(UNEVEN) != told
    assert bool(np.isfinite(row["units_per_day_next"])) is told
