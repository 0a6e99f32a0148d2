"""Three scenarios by month: damped growth, adoption, launches, retirement."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.forecast import FORECAST_COLUMNS, damped_factors, forecast_demand, scenario_growth
from aifactory.inputs.plan import Launch, Scenario
from aifactory.inventory import build_inventory
from aifactory.units import HOURS_PER_MONTH

FEW = settings(max_examples=50, deadline=None)


def scenario(multiplier=1.0, growth=None, adoption=1.0, name="expected"):
    return Scenario(
        scenario=name, growth_multiplier=multiplier, monthly_growth=growth, adoption=adoption, description="test"
    )


@pytest.fixture(scope="module")
def profile(mini_ws):
    return build_inventory(mini_ws).demand_profile


def forecast(mini_ws, profile, use_cases=None, **changes):
    plan = mini_ws.plan.model_copy(update=changes)
    cases = mini_ws.table("use_cases") if use_cases is None else use_cases
    return forecast_demand(profile, cases, plan, "2026-10")


def chat(table, name="expected", region="us"):
    rows = table[(table["use_case_id"] == "chat") & (table["region"] == region) & (table["scenario"] == name)]
    return rows.set_index("month")


# damped growth


@FEW
@given(st.floats(-0.5, 0.5), st.floats(0, 1), st.integers(0, 60))
def test_damped_growth_agrees_with_a_loop(growth, damping, months):
    level, expected = 1.0, []
    for month in range(months):
        level *= 1 + growth * damping**month
        expected.append(level)
    np.testing.assert_allclose(damped_factors(growth, damping, months), expected, rtol=1e-12)


def test_damped_growth_by_hand():
    assert damped_factors(0.1, 0.5, 3).tolist() == pytest.approx([1.1, 1.1 * 1.05, 1.1 * 1.05 * 1.025])


def test_growth_without_damping_compounds():
    np.testing.assert_allclose(damped_factors(0.02, 1.0, 36), 1.02 ** np.arange(1, 37))


def test_full_damping_grows_once_and_stays():
    # the growth of the first month is not damped yet
    np.testing.assert_allclose(damped_factors(0.1, 0.0, 5), 1.1)


def test_no_growth_keeps_the_level():
    assert (damped_factors(0.0, 0.9, 12) == 1).all()
    assert damped_factors(0.3, 0.9, 0).shape == (0,)


# growth of a scenario


@pytest.mark.parametrize(
    ("measured", "multiplier", "expected"),
    [(0.1, 0.4, 0.04), (0.1, 1.6, 0.16), (0.1, 0.0, 0.0), (0.0, 1.6, 0.0), (-0.1, 2.0, 0.0), (-0.1, 0.5, -0.15),
     (-0.1, 0.0, -0.2), (-0.1, 3.0, 0.0), (-0.6, 0.0, -0.99)],
)  # fmt: skip
def test_growth_of_a_scenario_by_hand(measured, multiplier, expected):
    assert scenario_growth(measured, scenario(multiplier)) == pytest.approx(expected)


def test_a_scenario_that_sets_its_growth_wins_over_the_trend():
    assert scenario_growth(0.1, scenario(1.6, growth=-0.02)) == -0.02
    assert scenario_growth(0.1, scenario(1.6, growth=0.0)) == 0.0


@FEW
@given(st.floats(-0.9, 0.9), st.floats(0.01, 5), st.floats(0.01, 5))
def test_a_larger_multiplier_never_means_less_demand(measured, one, other):
    low, high = sorted([one, other])
    assert -0.99 <= scenario_growth(measured, scenario(low)) <= scenario_growth(measured, scenario(high))


def test_a_multiplier_of_zero_is_the_most_careful_one():
    assert scenario_growth(-0.1, scenario(0.0)) <= scenario_growth(-0.1, scenario(0.25))


# the forecast


def test_too_short_a_history_keeps_the_level(mini_ws, profile):
    # 153 an hour on average; adoption of the careful scenario is 0.95
    table = forecast(mini_ws, profile)
    assert list(table.columns) == FORECAST_COLUMNS
    expected = chat(table)
    assert list(expected.index[[0, -1]]) == ["2026-11", "2029-10"]
    assert expected["units"].tolist() == pytest.approx([153 * 730] * 36)
    assert expected["units_per_hour_peak"].tolist() == pytest.approx([216.0] * 36)
    assert chat(table, "conservative")["units"].iloc[0] == pytest.approx(0.95 * 153 * 730)
    assert expected["growth_source"].iloc[0] == "level kept: 2 months are too few for a trend"


def test_measured_growth_is_damped_month_by_month(mini_ws, profile):
    table = forecast(mini_ws, profile.assign(growth_per_month=0.1, growth_months=12))
    level = 153 * 730
    assert chat(table)["units"].iloc[:2].tolist() == pytest.approx([level * 1.1, level * 1.1 * (1 + 0.1 * 0.94)])
    assert chat(table, "aggressive")["units"].iloc[0] == pytest.approx(level * 1.16)
    assert chat(table, "conservative")["units"].iloc[0] == pytest.approx(level * 1.04 * 0.95)
    assert chat(table)["growth_source"].iloc[0].startswith("+10.0% a month at the start: trend of 12 months")


def test_a_launch_multiplies_its_month_and_no_other(mini_ws, profile):
    launch = Launch(use_case_id="chat", month="2027-03", demand_multiplier=1.8, milestone="spring")
    units = chat(forecast(mini_ws, profile, launches=[launch]))["units"] / (153 * 730)
    assert units["2027-03"] == pytest.approx(1.8)
    assert units.drop("2027-03").tolist() == pytest.approx([1.0] * 35)


def test_two_launches_in_a_month_multiply(mini_ws, profile):
    launches = [
        Launch(use_case_id="chat", month="2027-03", demand_multiplier=factor, milestone="x") for factor in (2, 3)
    ]
    assert chat(forecast(mini_ws, profile, launches=launches))["units"]["2027-03"] == pytest.approx(6 * 153 * 730)


def test_a_launch_outside_the_horizon_changes_nothing(mini_ws, profile):
    launch = Launch(use_case_id="chat", month="2026-10", demand_multiplier=9, milestone="past")
    pd.testing.assert_frame_equal(forecast(mini_ws, profile, launches=[launch]), forecast(mini_ws, profile))


def test_a_retired_use_case_needs_nothing_from_its_month_on(mini_ws, profile):
    cases = mini_ws.table("use_cases")
    retiring = cases.assign(retire_month=cases["retire_month"].mask(cases["use_case_id"] == "chat", "2027-04"))
    units = chat(forecast(mini_ws, profile, retiring))["units"]
    assert (units[units.index < "2027-04"] > 0).all()
    assert (units[units.index >= "2027-04"] == 0).all()


def test_a_use_case_without_demand_is_not_forecast(mini_ws, profile):
    quiet = profile.assign(units_month=profile["units_month"].mask(profile["use_case_id"] == "chat", 0.0))
    assert set(forecast(mini_ws, quiet)["use_case_id"]) == {"images", "models"}
    nothing = forecast(mini_ws, profile.iloc[:0])
    assert nothing.empty
    assert list(nothing.columns) == FORECAST_COLUMNS


def test_a_month_has_730_hours_and_the_peak_keeps_its_ratio(mini_ws, profile):
    table = forecast(mini_ws, profile.assign(growth_per_month=0.05, growth_months=9))
    np.testing.assert_allclose(table["units"], table["units_per_hour_avg"] * HOURS_PER_MONTH)
    ratio = profile.set_index(["use_case_id", "region"])["peak_to_average"]
    pairs = pd.MultiIndex.from_frame(table[["use_case_id", "region"]])
    np.testing.assert_allclose(table["units_per_hour_peak"] / table["units_per_hour_avg"], ratio[pairs])


def test_a_restricted_use_case_is_forecast_only_where_it_may_run(mini_ws, profile):
    table = forecast(mini_ws, profile)
    assert set(table.loc[table["use_case_id"] == "images", "region"]) == {"eu"}
    assert set(table.loc[table["use_case_id"] == "chat", "region"]) == {"us", "eu"}


@FEW
@given(growth=st.floats(-0.4, 0.4))
def test_the_scenarios_keep_their_order(mini_ws, profile, growth):
    table = forecast(mini_ws, profile.assign(growth_per_month=growth, growth_months=12))
    low, middle, high = (chat(table, name)["units"] for name in ("conservative", "expected", "aggressive"))
    assert (low <= middle + 1e-9).all()
    assert (middle <= high + 1e-9).all()


def test_the_horizon_of_the_plan_is_kept(mini_ws, profile):
    table = forecast(mini_ws, profile, horizon_months=12)
    assert len(table) == 3 * 4 * 12
    assert math.isclose(table.query("scenario == 'expected' and use_case_id == 'images'")["units"].sum(), 110 * 8760)
