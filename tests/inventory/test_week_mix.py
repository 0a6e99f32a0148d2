"""Months that hold more or fewer working days than their weeks: what plans start from, and what a refresh compares."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.demand.lumps import at_level
from aifactory.fleet.stand_in import of_whole_weeks, period_shapes
from aifactory.inputs.hosted import HOSTED
from aifactory.inventory import demand
from aifactory.review.band_triggers import band_triggers
from aifactory.review.monthly import PLANNED, calendar_plan, mix_of_days, on_its_days, plan_factors
from aifactory.review.variance import split_variance


def office(ws):
    """The workspace with 24 units on each working day and 6 on each day of a weekend, from January to October, and nothing grows."""
    days = pd.date_range("2026-01-01", "2026-10-31", freq="D", tz="UTC")
    units = np.where(days.day_of_week < 5, 24.0, 6.0)
    rows = pd.DataFrame({"window_start_utc": days, "window_minutes": 1440, "use_case_id": "chat", "region": "us", "requests": units,
                         "errors": 0.0, "service_units": units})  # fmt: skip
    windows = rows.reindex(columns=ws.table("demand_windows").columns)
    return dataclasses.replace(ws, tables={**ws.tables, "demand_windows": windows})


@pytest.mark.parametrize(("period", "working"), [("2026-05", 21), ("2026-07", 23), ("2026-09", 22), ("2026-10", 22)])
def test_the_level_of_a_month_is_that_of_its_weeks(mini_ws, period, working):
    """(5 x 24 + 2 x 6) / 7 = 18.857 a day in every month, while a month holds 21 to 23 working days: 18.19 to 19.35."""
    ws = dataclasses.replace(office(mini_ws), period=period)
    windows = demand.all_windows(ws)
    monthly = demand.demand_by_month(ws, windows)
    row = demand.profile_demand(ws, windows, monthly).set_index(["use_case_id", "region"]).loc[("chat", "us")]
    days = pd.Period(period, "M").days_in_month
    mean = (24 * working + 6 * (days - working)) / days
    assert row["units_per_hour_avg"] * 24 == pytest.approx(mean)
    assert row["level_per_hour"] * 24 == pytest.approx(132 / 7)
    assert row["week_mix"] == pytest.approx(mean * 7 / 132)
    even = demand.in_whole_weeks(ws, windows, monthly)
    chat = even[(even["use_case_id"] == "chat") & (even["region"] == "us")].set_index("month")["units"]
    assert chat[period] == pytest.approx(days * 132 / 7)
    others = monthly["use_case_id"] != "chat"
    pd.testing.assert_frame_equal(even[others], monthly[others])


def test_the_forecast_starts_from_the_level_of_weeks_and_keeps_the_peak(mini_ws):
    """July holds 23 working days of 31: mean 19.35 a day, week 18.857; the busiest window is 24 a day in both."""
    ws = dataclasses.replace(office(mini_ws), period="2026-07")
    windows = demand.all_windows(ws)
    profile = demand.profile_demand(ws, windows, demand.demand_by_month(ws, windows))
    row = at_level(profile).set_index(["use_case_id", "region"]).loc[("chat", "us")]
    assert row["units_per_hour_avg"] * 24 == pytest.approx(132 / 7)
    assert row["units_per_hour_avg"] * row["peak_to_average"] == pytest.approx(1.0)
    shape = period_shapes(ws, profile)["chat", "us"]
    assert shape.mean() == pytest.approx(1.0)
    assert shape.max() * row["units_per_hour_avg"] == pytest.approx(1.0)


@given(
    st.lists(st.floats(0.2, 3), min_size=7, max_size=7),
    st.floats(0.94, 1.06),
)
def test_hours_of_whole_weeks_keep_their_mean_and_the_busy_ones_their_load(days, mix):
    shape = np.tile(1.0 + np.arange(24), 28) * np.repeat(np.tile(days, 4), 24)
    shape = shape / shape.mean()
    found = of_whole_weeks(shape, mix)
    assert found.mean() == pytest.approx(1.0)
    assert (found >= 0).all()
    busy = np.repeat(shape.reshape(-1, 24).mean(axis=1) > 1.0 + 1e-9, 24)
    kept = np.allclose(found, shape)  # where the quiet days cannot make up for it
    assert kept or np.allclose(found[busy], mix * shape[busy])


def test_hours_stay_where_the_days_are_alike_or_the_quiet_ones_hold_nothing():
    even = np.ones(48)
    assert of_whole_weeks(even, 0.97) is even
    alone = np.repeat([2.0, 0.0], 24)
    assert of_whole_weeks(alone, 0.97) is alone


def test_an_office_that_does_not_grow_releases_no_order(mini_ws):
    """July holds 23 working days of 31: 2.6 % more than its weeks. An order at 2 % more must wait for growth."""
    ws = dataclasses.replace(office(mini_ws), period="2026-07")
    windows = demand.all_windows(ws)
    monthly = demand.demand_by_month(ws, windows)
    units = 132 / 7 / 24 * 730
    place = {"plan_period": "2026-06", "region": "us", "accelerator_id": "h100"}
    plan = pd.DataFrame(
        [{**place, "month": "2026-07", "use_case_id": "chat", "units": units, "load_accelerators": 10.0}]
    )
    step = pd.DataFrame(
        [{**place, "band": "growth", "kind": "commitment", "purchase_option": "purchase", "accelerators": 8, "order_month": "2027-01",
          "start_month": "2027-03", "threshold_accelerators": 10.2, "lead_time_weeks": 6.0, "commitment_usd": 1.0,
          "milestone": "growth", "owner_role": "head"}]
    )  # fmt: skip
    (by_month,) = band_triggers(plan, step, monthly, "2026-07")[["value", "state"]].to_numpy().tolist()
    assert by_month == [pytest.approx(10.26, abs=0.01), "fired"]
    (by_week,) = band_triggers(plan, step, demand.in_whole_weeks(ws, windows, monthly), "2026-07")[
        ["value", "state"]
    ].to_numpy()
    assert by_week.tolist() == [pytest.approx(10.0), "quiet"]


def mix(share):
    """August with so much of what as many days of whole weeks would carry."""
    monthly = pd.DataFrame({"month": ["2026-08"], "use_case_id": ["chat"], "region": ["us"], "units": [100.0 * share]})
    return mix_of_days(monthly, monthly.assign(units=100.0))


def planned(**changes):
    row = {"use_case_id": "chat", "region": "us", "accelerator_id": "h100", **dict.fromkeys(PLANNED, 50.0), **changes}
    return pd.DataFrame(
        [row | {"month": "2026-08"}, row | {"month": "2026-09"}, row | {"month": "2026-08", "use_case_id": "other"}]
    )


def test_a_plan_is_held_against_the_days_that_the_month_held():
    """August's days carry 96 of 100: so do planned units and value. Kit is paid for all the same; other months and work stay."""
    found = on_its_days(planned(), mix(0.96))
    assert found[["units", "units_p10", "units_p90", "value_usd"]].iloc[0].tolist() == [48.0] * 4
    assert found[["accelerator_hours", "compute_usd", "cost_usd"]].iloc[0].tolist() == [50.0] * 3
    assert found[PLANNED].iloc[1:].eq(50.0).all(axis=None)
    assert on_its_days(planned().iloc[:0], mix(0.96)).empty


def test_a_hosted_model_is_paid_on_the_days_that_the_month_held():
    found = on_its_days(planned(accelerator_id=HOSTED), mix(0.96))
    assert found[["units", "compute_usd", "cost_usd", "value_usd"]].iloc[0].tolist() == [48.0] * 4


@given(share=st.floats(0.5, 1.5))
def test_volume_at_plan_is_no_variance_whatever_the_days(share):
    """Exactly what the weeks of the plan say came on the days of the month: no volume, and the plan's cost is all there."""
    base, base_hours = plan_factors(on_its_days(planned(), mix(share)), "2026-08")
    came = base.assign(units=[50.0 * share, 50.0], work=[50.0 * share, 50.0])
    table = split_variance(base, came, base_hours, base_hours)
    assert table["volume"].abs().max() == pytest.approx(0.0, abs=1e-9)
    assert table["base_usd"].tolist() == [50.0, 50.0]


def test_a_month_of_few_working_days_is_no_lower_volume(mini_ws):
    """July 2026 holds 23 working days of 31, May 21: a plan at the level of a week meets both, to the last unit."""
    windows = demand.all_windows(office(mini_ws))
    level = 132 / 7 / 24
    for period in ("2026-05", "2026-07"):
        ws = dataclasses.replace(office(mini_ws), period=period)
        monthly = demand.demand_by_month(ws, windows)
        days = mix_of_days(monthly, demand.in_whole_weeks(ws, windows, monthly))
        month = planned(units=level * 730).iloc[:1].assign(month=period)
        plan = on_its_days(calendar_plan(month), days)["units"].sum()
        (came,) = monthly.query("use_case_id == 'chat' and month == @period")["units"]
        assert plan == pytest.approx(came, rel=1e-6)
        assert abs(calendar_plan(month)["units"].sum() / came - 1) > 0.02
