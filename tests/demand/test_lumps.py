"""Training that comes in lumps: its level, its scatter, and what the simulation makes of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import lognorm

from aifactory.demand.lumps import LUMPY, at_level, given_up, lumps_of
from aifactory.demand.profile import running_accelerators
from aifactory.demand.scenarios import Settings, Spread, Workload, simulate_paths
from aifactory.fleet.widths import jobs_to_go_by, widths_of
from aifactory.inventory import build_inventory
from aifactory.inventory.demand import demand_by_month, profile_demand

MONTHS = np.array([90.0, 0.0, 0.0, 60.0, 0.0, 90.0])


def test_level_and_scatter_by_hand():
    found = lumps_of(MONTHS, 0.0)
    variation = np.sqrt((50**2 + 40**2 + 40**2 + 20**2 + 40**2 + 50**2) / 5) / 40
    assert found.level == pytest.approx(40.0)
    assert found.log_sd == pytest.approx(np.sqrt(np.log(1 + variation**2)))
    assert found.months == 6


def test_growth_brings_months_to_the_level_of_the_last():
    grown = MONTHS * 1.1 ** np.arange(6)
    assert lumps_of(grown, 0.1).level == pytest.approx(40.0 * 1.1**5)
    assert lumps_of(MONTHS, np.nan) == lumps_of(MONTHS, 0.0)


@pytest.mark.parametrize("units", [[80.0, 90.0, 100.0, 95.0, 85.0], [90.0, 0.0, 0.0], [np.nan] * 6, np.zeros(6)])
def test_even_new_or_missing_work_is_no_lumps(units):
    assert lumps_of(np.array(units), 0.0) is None


def test_a_tiny_month_scatters_as_much_as_an_empty_one():
    tiny = np.where(MONTHS > 0, MONTHS, 1e-12)
    assert lumps_of(tiny, 0.0).log_sd == pytest.approx(lumps_of(MONTHS, 0.0).log_sd)


def test_scatter_is_bounded_by_the_number_of_months():
    one = np.zeros(12)
    one[-1] = 5.0
    assert lumps_of(one, 0.0).log_sd <= np.sqrt(np.log1p(12)) + 1e-12


def test_scale_changes_the_level_alone():
    once, thousand = lumps_of(MONTHS, 0.02), lumps_of(1000 * MONTHS, 0.02)
    assert thousand.level == pytest.approx(1000 * once.level)
    assert thousand.log_sd == pytest.approx(once.log_sd)


def test_work_is_given_up_after_a_gap_longer_than_before():
    assert not given_up(np.array([5.0, 0, 0, 0]))
    assert given_up(np.array([5.0, 0, 0, 0, 0]))
    assert not given_up(np.array([5.0, 0, 0, 5.0, 0, 0, 0, 0]))
    assert lumps_of(np.array([90.0, 0, 0, 0, 0, 0]), 0.0) is None


def test_paths_of_lumps_keep_the_mean_and_the_quantiles_of_a_log_normal_month():
    sd = np.array([1.1])
    lumps = Workload("train", np.array([40.0]), Spread(0.0, 0.0, 0.0), np.zeros(1), sd, lumpy=np.array([True]))
    units = simulate_paths([lumps], ("eu",), Settings(months=12, paths=40_000)).units[:, 0, 0]
    assert units.mean() == pytest.approx(40.0, rel=0.03)
    month = lognorm(s=1.1, scale=40.0 * np.exp(-(1.1**2) / 2))
    for level in (0.1, 0.5, 0.9):
        assert np.quantile(units, level) == pytest.approx(month.ppf(level), rel=0.04)


def test_other_work_is_simulated_as_before():
    plain = Workload("train", np.array([40.0]), Spread(0.0, 0.0, 0.0), np.zeros(1), np.array([0.2]))
    told = Workload(
        "train", np.array([40.0]), Spread(0.0, 0.0, 0.0), np.zeros(1), np.array([0.2]), lumpy=np.array([False])
    )
    settings = Settings(months=6, paths=50)
    assert np.array_equal(*(simulate_paths([item], ("eu",), settings).units for item in (plain, told)))


def job(start, hours, accelerators=8):
    begun = pd.Timestamp(start, tz="UTC")
    return {"use_case_id": "t", "region": "eu", "accelerators": accelerators, "submitted_utc": begun, "started_utc": begun,
            "ended_utc": begun + pd.Timedelta(hours=hours), "status": "completed"}  # fmt: skip


def test_hours_without_a_job_hold_exactly_nothing():
    jobs = pd.DataFrame([job("2025-10-03 01:02:17", 7.3), job("2025-12-05 11:13:19", 0.7), job("2026-03-01 00:00", 1)])
    hours = running_accelerators(jobs, pd.Series(1.0, index=jobs.index)).set_index("window_start_utc")["service_units"]
    assert (hours["2025-11"] == 0.0).all() and (hours["2026-02"] == 0.0).all()
    assert hours.sum() == pytest.approx(8 * 9.0)
    assert hours["2026-03-01 00:00:00+00:00"] == pytest.approx(8.0)


def lumpy_workspace(ws, starts):
    """The workspace with one training use case whose jobs start as told, each 10 hours on 8 accelerators."""
    cases = ws.table("use_cases")
    name = cases.loc[cases["service_unit"] == "accelerator_hour", "use_case_id"].iloc[0]
    jobs = ws.table("jobs")
    mine = pd.DataFrame([job(start, 10) for start in starts]).assign(
        use_case_id=name, job_id=[f"j{n}" for n in range(len(starts))], accelerator_id=ws.plan.reference_accelerator
    )
    mine = mine.reindex(columns=jobs.columns).astype(jobs.dtypes.to_dict())
    return name, replace(ws, tables={**ws.tables, "jobs": mine})


def test_a_month_without_a_job_does_not_end_training(mini_ws):
    month = pd.Period(mini_ws.period, "M")
    busy = [str((month - back).start_time.date()) for back in (9, 6, 3)]
    name, ws = lumpy_workspace(mini_ws, busy)
    jobs = ws.table("jobs")
    counts = ["requests", "errors", "retries", "input_tokens", "cached_input_tokens", "output_tokens"]
    hours = running_accelerators(jobs, pd.Series(1.0, index=jobs.index))
    windows = hours.assign(window_minutes=60, **dict.fromkeys(counts, np.nan))
    row = profile_demand(ws, windows, demand_by_month(ws, windows)).set_index("use_case_id").loc[name]
    assert row["units_month"] == 0.0 and row["observed_share"] == 1.0
    assert at_level(pd.DataFrame([row]))["units_per_hour_avg"].item() == row["level_per_hour"] > 0
    assert row["lumpy"]
    # three lots of 80 hours; the month of the first counts only where it was seen for a week
    assert row["level_per_hour"] * 730 == pytest.approx(3 * 80 / 10, rel=0.15)
    assert row["month_scatter"] > LUMPY


def test_widths_of_lumpy_work_come_from_the_jobs_of_earlier_months(mini_ws):
    month = pd.Period(mini_ws.period, "M")
    name, ws = lumpy_workspace(mini_ws, [str((month + step).start_time.date()) for step in (-9, -6, -3, 1)])
    inventory = build_inventory(ws)
    assert ws.month("jobs").empty
    jobs = jobs_to_go_by(ws, inventory.demand_profile)
    assert len(jobs) == 3 and (jobs["submitted_utc"] < pd.Timestamp(ws.as_of, tz="UTC")).all()
    assert widths_of(jobs, pd.DataFrame({"use_case_id": [name], "region": ["eu"]})).widest.tolist() == [8.0]
    even = inventory.demand_profile.assign(lumpy=False)
    assert jobs_to_go_by(ws, even).empty


def test_nobody_is_asked_for_the_volume_of_training_between_its_jobs(mini_ws):
    month = pd.Period(mini_ws.period, "M")
    name, ws = lumpy_workspace(mini_ws, [str((month - back).start_time.date()) for back in (9, 6, 3)])
    asked = build_inventory(ws).owners_to_ask
    assert not asked.loc[asked["field"] == "volume", "use_cases"].str.contains(name).any()
    idle = {**ws.tables, "jobs": ws.table("jobs").iloc[:0]}
    asked = build_inventory(replace(ws, tables=idle)).owners_to_ask
    assert asked.loc[asked["field"] == "volume", "use_cases"].str.contains(name).any()
