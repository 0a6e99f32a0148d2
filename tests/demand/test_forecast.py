"""Scenarios by month from profiles: levels, growth, launches, ends, adoption, named scenarios."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.adoption import bass_share
from aifactory.demand.forecast import (
    FORECAST_COLUMNS,
    RELATIVE,
    USD,
    _groups,
    forecast_demand,
    simulate_demand,
    total_weights,
)
from aifactory.demand.growth import damped_factors, scenario_growth
from aifactory.demand.scenario_inputs import DemandBasis
from aifactory.demand.scenarios import WEEKS_PER_MONTH, Settings, Spread, Workload, simulate_paths
from aifactory.inputs.plan import Launch, Scenario
from aifactory.units import HOURS_PER_MONTH

FEW = settings(max_examples=50)
SURE = {"demand_noise_sd": 0.0, "growth_drift_sd": 0.0, "growth_damping": 0.94, "launch_slip_months": 0.0}


def scenario(multiplier=1.0, growth=None, adoption=1.0, name="expected"):
    return Scenario(
        scenario=name, growth_multiplier=multiplier, monthly_growth=growth, adoption=adoption, description="test"
    )


@pytest.fixture(scope="module")
def inventory(mini_stages):
    return mini_stages.inventory


@pytest.fixture(scope="module")
def profile(inventory):
    """Profiles whose trend is known for certain."""
    return inventory.demand_profile.assign(growth_log_sd=0.0, month_scatter=0.0)


def sure(plan, values=SURE, **changes):
    """A plan without doubt: every assumption of the simulation at one value."""
    fixed = {
        name: plan.assumptions[name].model_copy(update=dict.fromkeys(("low", "value", "high"), value))
        for name, value in values.items()
    }
    return plan.model_copy(update={"assumptions": plan.assumptions | fixed, **changes})


def forecast(mini_ws, profile, use_cases=None, **changes):
    """A forecast without doubt but for the plan's scenarios, which keep their spread."""
    cases = mini_ws.table("use_cases") if use_cases is None else use_cases
    return forecast_demand(profile, cases, sure(mini_ws.plan, **changes), "2026-10")


def calm(mini_ws, profile, use_cases=None, **changes):
    """The same where all three scenarios are the expected one: no spread at all."""
    same = [scenario(name=name) for name in ("conservative", "expected", "aggressive")]
    return forecast(mini_ws, profile, use_cases, scenarios=same, **changes)


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


# without spread the forecast is the deterministic one


def test_too_short_a_history_keeps_the_level(mini_ws, profile):
    # 153 an hour on average
    table = calm(mini_ws, profile)
    assert list(table.columns) == FORECAST_COLUMNS
    expected = chat(table)
    assert list(expected.index[[0, -1]]) == ["2026-11", "2029-10"]
    assert expected["units"].tolist() == pytest.approx([153 * 730] * 36)
    assert expected["units_per_hour_peak"].tolist() == pytest.approx([216.0] * 36)
    assert expected["growth_source"].iloc[0] == "level kept: 2 months are too few for a trend"


def test_a_month_of_higher_days_has_a_higher_peak_and_no_more_units(mini_ws, profile):
    peaks = {("chat", "eu"): np.array([1.0] * 10 + [2.0, 1.0])}
    basis = DemandBasis(profile, mini_ws.table("use_cases"), day_peaks=peaks)
    table = simulate_demand(basis, mini_ws.plan, "2026-10").frame.query(
        "scenario == 'expected' and use_case_id == 'chat'"
    )
    usual = forecast_demand(profile, mini_ws.table("use_cases"), mini_ws.plan, "2026-10")
    usual = usual.query("scenario == 'expected' and use_case_id == 'chat'")
    factor = np.where((table["region"] == "eu") & table["month"].str.endswith("-11"), 2.0, 1.0)
    assert table["season_peak"].tolist() == factor.tolist() and factor.sum() > len(table)
    np.testing.assert_allclose(table["units_per_hour_peak"], usual["units_per_hour_peak"] * factor)
    np.testing.assert_allclose(table["units"], usual["units"])


def test_a_class_counts_use_cases_whose_cost_nobody_knows():
    """Priced work of 100 units ends, unpriced work of 10 stays: half of the class is left, not none; without any cost they are alike too."""
    parts = [
        Workload("paid", np.array([100.0]), Spread(0.0, 0.0, 0.0), np.zeros(1), np.zeros(1)),
        Workload("free", np.array([10.0]), Spread(0.0, 0.0, 0.0), np.zeros(1), np.zeros(1)),
    ]
    work = np.array([[[100.0, 0.0]], [[10.0, 10.0]]])[None]  # [S, W, R, T]
    kinds = pd.DataFrame({"use_case_id": ["paid", "free"], "workload_class": "batch"})
    found = SimpleNamespace(regions=("eu",), work=work)
    for weight in (np.array([[2.0], [0.0]]), np.zeros((2, 1))):
        groups = _groups(found, parts, weight, ["2026-11", "2026-12"], SimpleNamespace(use_cases=kinds))
        np.testing.assert_allclose(groups["p50"], [1.0, 0.5])


def test_a_use_case_planned_region_by_region_weighs_what_it_costs_in_all():
    """USD 3 a unit for 100 units in eu and 1 for 300 in us are 1.5 over both; what nobody charges weighs as the rest of it."""
    facts = (Spread(0.0, 0.0, 0.0), np.zeros(2), np.zeros(2))
    parts = [Workload("chat.eu", np.array([100.0, 0.0]), *facts), Workload("chat.us", np.array([0.0, 300.0]), *facts)]
    paths = simulate_paths(parts, ("eu", "us"), Settings(months=1, paths=2))
    usd = pd.Series({"chat.eu": 3.0, "chat.us": 1.0})
    weight, unit = total_weights(parts, paths, SimpleNamespace(usd_per_unit=usd))
    assert weight.tolist() == [[1.5, 1.5], [1.5, 1.5]] and unit == USD
    assert total_weights(parts, paths, SimpleNamespace(usd_per_unit=usd[:1]))[0].tolist() == [[3.0, 3.0], [3.0, 3.0]]
    other = [parts[0], Workload("search", np.array([0.0, 300.0]), *facts)]
    mixed = total_weights(
        other,
        simulate_paths(other, ("eu", "us"), Settings(months=1, paths=2)),
        SimpleNamespace(usd_per_unit=pd.Series({"chat.eu": 3.0, "search": 1.0})),
    )
    assert mixed[0].tolist() == [[3.0, 3.0], [1.0, 1.0]]


def test_measured_growth_is_damped_month_by_month(mini_ws, profile):
    table = calm(mini_ws, profile.assign(growth_per_month=0.1, growth_months=12))
    level = 153 * 730
    for name in ("conservative", "expected", "aggressive"):
        assert chat(table, name)["units"].iloc[:2].tolist() == pytest.approx([level * 1.1, level * 1.1 * (1 + 0.1 * 0.94)])  # fmt: skip
    assert chat(table)["growth_source"].iloc[0].startswith("+10.0 % a month at the start: trend of 12 months")


def test_a_launch_multiplies_its_month_and_no_other(mini_ws, profile):
    launch = Launch(use_case_id="chat", month="2027-03", demand_multiplier=1.8, milestone="spring")
    units = chat(calm(mini_ws, profile, launches=[launch]))["units"] / (153 * 730)
    assert units["2027-03"] == pytest.approx(1.8)
    assert units.drop("2027-03").tolist() == pytest.approx([1.0] * 35)


def test_two_launches_in_a_month_multiply(mini_ws, profile):
    launches = [
        Launch(use_case_id="chat", month="2027-03", demand_multiplier=factor, milestone="x") for factor in (2, 3)
    ]
    assert chat(calm(mini_ws, profile, launches=launches))["units"]["2027-03"] == pytest.approx(6 * 153 * 730)


def test_a_launch_outside_the_horizon_changes_nothing(mini_ws, profile):
    launches = [
        Launch(use_case_id="chat", month=month, demand_multiplier=9, milestone="x") for month in ("2026-09", "2031-01")
    ]
    pd.testing.assert_frame_equal(calm(mini_ws, profile, launches=launches), calm(mini_ws, profile))


def test_the_launch_of_the_month_just_measured_does_not_go_on(mini_ws, profile):
    peak = [
        Launch(use_case_id="chat", month=month, demand_multiplier=factor, milestone="peak")
        for month, factor in (("2026-10", 2.0), ("2026-11", 3.0))
    ]
    units = chat(calm(mini_ws, profile, launches=peak))["units"] / (153 * 730)
    # measured at twice its level: three halves of it in November, half of it afterwards
    assert units["2026-11"] == pytest.approx(1.5)
    assert units.drop("2026-11").tolist() == pytest.approx([0.5] * 35)


def test_a_yearly_peak_comes_on_its_date_on_every_path(mini_ws, profile):
    """Launches that are two months late on every path: the month that is stated for two years is not, the other is."""
    launches = [
        Launch(use_case_id="chat", month=month, demand_multiplier=2.0, milestone="x")
        for month in ("2025-12", "2026-12", "2027-05")
    ]
    same = [scenario(name=name) for name in ("conservative", "expected", "aggressive")]
    plan = sure(mini_ws.plan, SURE | {"launch_slip_months": 2.0}, launches=launches, scenarios=same)
    units = chat(forecast_demand(profile, mini_ws.table("use_cases"), plan, "2026-10"))["units"] / (153 * 730)
    assert units[["2026-12", "2027-02", "2027-05", "2027-07"]].tolist() == pytest.approx([2.0, 1.0, 1.0, 2.0])


def test_a_season_that_is_stated_for_one_year_comes_on_its_date_where_it_says_so(mini_ws, profile):
    peaks = {"use_case_id": "chat", "demand_multiplier": 2.0, "milestone": "x"}
    launches = [Launch(month="2026-12", may_slip=False, **peaks), Launch(month="2027-05", **peaks)]
    same = [scenario(name=name) for name in ("conservative", "expected", "aggressive")]
    plan = sure(mini_ws.plan, SURE | {"launch_slip_months": 2.0}, launches=launches, scenarios=same)
    units = chat(forecast_demand(profile, mini_ws.table("use_cases"), plan, "2026-10"))["units"] / (153 * 730)
    assert units[["2026-12", "2027-02", "2027-05", "2027-07"]].tolist() == pytest.approx([2.0, 1.0, 1.0, 2.0])


def test_a_retired_use_case_needs_nothing_from_its_month_on(mini_ws, profile):
    cases = mini_ws.table("use_cases")
    retiring = cases.assign(retire_month=cases["retire_month"].mask(cases["use_case_id"] == "chat", "2027-04"))
    units = chat(calm(mini_ws, profile, retiring))["units"]
    assert (units[units.index < "2027-04"] > 0).all()
    assert (units[units.index >= "2027-04"] == 0).all()


def test_a_use_case_without_demand_is_not_forecast(mini_ws, profile):
    quiet = profile.assign(units_month=profile["units_month"].mask(profile["use_case_id"] == "chat", 0.0))
    assert set(calm(mini_ws, quiet)["use_case_id"]) == {"images", "models"}
    nothing = calm(mini_ws, profile.iloc[:0])
    assert nothing.empty
    assert list(nothing.columns) == FORECAST_COLUMNS


def test_a_month_has_730_hours_and_the_peak_keeps_its_ratio(mini_ws, profile):
    table = forecast(mini_ws, profile.assign(growth_per_month=0.05, growth_months=9))
    np.testing.assert_allclose(table["units"], table["units_per_hour_avg"] * HOURS_PER_MONTH)
    ratio = profile.set_index(["use_case_id", "region"])["peak_to_average"]
    pairs = pd.MultiIndex.from_frame(table[["use_case_id", "region"]])
    np.testing.assert_allclose(table["units_per_hour_peak"] / table["units_per_hour_avg"], ratio[pairs])


def test_a_restricted_use_case_is_forecast_only_where_it_may_run(mini_ws, profile):
    table = calm(mini_ws, profile)
    assert set(table.loc[table["use_case_id"] == "images", "region"]) == {"eu"}
    assert set(table.loc[table["use_case_id"] == "chat", "region"]) == {"us", "eu"}


def test_the_horizon_of_the_plan_is_kept(mini_ws, profile):
    table = calm(mini_ws, profile, horizon_months=12)
    assert len(table) == 3 * 4 * 12
    assert math.isclose(table.query("scenario == 'expected' and use_case_id == 'images'")["units"].sum(), 110 * 8760)


def test_the_scenarios_of_the_plan_are_quantiles(mini_ws, profile):
    # one use case alone, growth at 40, 100 and 160 % of 10 % a month: the cuts of its own total
    alone = profile[(profile["use_case_id"] == "chat") & (profile["region"] == "us")]
    table = forecast(mini_ws, alone.assign(growth_per_month=0.1, growth_months=12))
    first = [chat(table, name)["units"].iloc[0] / (153 * 730) for name in ("conservative", "expected", "aggressive")]
    growth, start = np.random.default_rng(0).standard_normal((2, 400_000)) / 1.2815515655
    level = (1.1 + 0.06 * growth) * (1 + 0.05 * np.minimum(start, 0))
    assert first == pytest.approx(np.quantile(level, [0.1, 0.5, 0.9]), abs=0.01)


@pytest.mark.parametrize("growth", [-0.3, -0.05, 0.0, 0.02, 0.3])
def test_the_total_of_the_scenarios_keeps_its_order(mini_ws, profile, growth):
    found = simulate_demand(
        DemandBasis(profile.assign(growth_per_month=growth, growth_months=12), mini_ws.table("use_cases")),
        mini_ws.plan,
        "2026-10",
    )
    assert (found.total["conservative"] <= found.total["expected"]).all()
    assert (found.total["expected"] <= found.total["aggressive"]).all()


# the total, chains and named scenarios


def test_parts_at_todays_cost_add_up_to_the_total(mini_ws, inventory):
    found = inventory.scenarios
    assert found.unit == USD
    usd = inventory.use_cases.set_index("use_case_id")["usd_per_unit"].fillna(0.0)
    worth = found.frame["units"] * found.frame["size"] * found.frame["use_case_id"].map(usd)
    sums = worth.groupby([found.frame["scenario"], found.frame["month"]]).sum()
    for name in ("conservative", "expected", "aggressive"):
        np.testing.assert_allclose(sums[name], found.total[name], rtol=1e-9)
    assert set(found.uncounted) == {"images"}  # the bill names no cost for it


def test_without_a_bill_use_cases_count_alike(mini_ws, profile):
    found = simulate_demand(DemandBasis(profile, mini_ws.table("use_cases")), sure(mini_ws.plan), "2026-10")
    assert found.unit == RELATIVE
    assert found.today == pytest.approx(1.0)


CHAIN = [("seats", 1000.0), ("active_share", 0.5), ("active_share_day_90", 0.6), ("units_per_seat_month", 20.0)]


def chain_of(name, **ends):
    rows = [{"use_case_id": name, "factor": factor, "value": value, "region": None} for factor, value in CHAIN]
    return pd.DataFrame(rows).assign(low=np.nan, high=np.nan, **ends)


def test_a_use_case_to_come_follows_its_chain(mini_ws, profile):
    cases = mini_ws.table("use_cases")
    coming = pd.concat([cases, cases[cases["use_case_id"] == "chat"].assign(use_case_id="pilot", launch_month="2027-02", allowed_regions="eu")])  # fmt: skip
    basis = DemandBasis(profile, coming, chain=chain_of("pilot"))
    found = simulate_demand(basis, sure(mini_ws.plan), "2026-10")
    assert found.adopting == ("pilot",)
    mine = found.use_cases[found.use_cases["use_case_id"] == "pilot"].set_index("month")
    assert (mine.loc[:"2027-01", ["p10", "p50", "p90"]] == 0).all(axis=None)
    # seats x active share x units per seat in the end, for want of low and high with the doubt of the priors
    assert mine["p50"].iloc[-1] == pytest.approx(1000 * 0.5 * 20, rel=0.05)
    assert mine["p10"].iloc[-1] < 0.75 * mine["p50"].iloc[-1]
    cells = found.frame[found.frame["use_case_id"] == "pilot"]
    assert set(cells["region"]) == {"eu"}
    assert cells["growth_source"].iloc[0] == "adoption of 1,000 seats; priors only: nothing was measured yet"


def test_a_young_use_case_is_pulled_towards_its_weeks(mini_ws, profile):
    cases = mini_ws.table("use_cases")
    few = np.full(8, 10.0)  # ten active seats instead of hundreds
    weekly = {"chat": few * 20 / (365 / 7 / 12)}
    ends = []
    for seen in (weekly, {}):
        young = profile[profile["use_case_id"] == "chat"]
        found = simulate_demand(DemandBasis(young, cases, chain=chain_of("chat"), weekly_units=seen), sure(mini_ws.plan), "2026-10")  # fmt: skip
        ends.append(found)
    assert ends[0].adopting == ("chat",)
    assert ends[1].adopting == ()  # measured, without weeks: its level and trend count
    # the prior says 10,000 units in the end, and 600 seats x 0.6 by day 90
    assert ends[0].use_cases["p50"].iloc[0] < 0.3 * 10_000
    assert ends[0].use_cases["p50"].iloc[-1] < 0.8 * 10_000


@pytest.mark.parametrize("weeks", [13, 14, 16, 17])
def test_a_young_use_case_goes_on_from_the_week_in_which_it_stands(mini_ws, profile, weeks):
    """A Bass curve of 600 seats, 0.6 of them by day 90, seen without scatter: the months to come are those of the curve."""
    cases = mini_ws.table("use_cases")
    young = profile[(profile["use_case_id"] == "chat")].assign(growth_per_month=np.nan, growth_months=2)
    curve = 10_000 * bass_share(np.arange(6000) / 100, 0.15, 12.7)  # units a month at each hundredth of a week
    by_week = curve.reshape(60, 100).mean(axis=1)
    basis = DemandBasis(young, cases, chain=chain_of("chat"), weekly_units={"chat": by_week[:weeks] / WEEKS_PER_MONTH})
    found = simulate_demand(basis, sure(mini_ws.plan), "2026-10").use_cases["p50"].iloc[:3]
    ends = np.rint(100 * (weeks + np.arange(4) * WEEKS_PER_MONTH)).astype(int)
    months = [curve[first:last].mean() for first, last in zip(ends[:-1], ends[1:], strict=True)]
    assert found.to_numpy() == pytest.approx(months, rel=0.06)


def test_named_scenarios_multiply_what_they_name(mini_ws, profile):
    what_ifs = pd.DataFrame(
        {"scenario": ["double", "nothing"], "use_case_id": [None, "nobody"], "workload_class": None, "region": None,
         "first_month": ["2027-01", None], "last_month": None, "multiplier": [2.0, 5.0]}
    )  # fmt: skip
    basis = DemandBasis(profile, mini_ws.table("use_cases"), what_ifs=what_ifs)
    found = simulate_demand(basis, mini_ws.plan, "2026-10").what_ifs.set_index(["scenario", "month"])
    np.testing.assert_allclose(found.loc["nothing", "p50"], found.loc["nothing", "expected_without"])
    ratio = found.loc["double", "p50"] / found.loc["double", "expected_without"]
    assert ratio[:"2026-12"].tolist() == pytest.approx([1, 1])
    assert ratio["2027-01":].tolist() == pytest.approx([2] * 34)


def test_bands_of_a_use_case_hold_its_median(inventory):
    bands = inventory.scenarios.use_cases
    assert (bands["p10"] <= bands["p50"]).all()
    assert (bands["p50"] <= bands["p90"]).all()
    cells = inventory.forecast
    assert (cells["units_p10"] <= cells["units_p90"]).all()


@pytest.mark.parametrize(
    ("doubt", "drift", "widest"), [(0.0, 0.0, 1.0), (0.04, 0.0, 1.6), (0.0, 0.04, 1.6), (0.06, 0.08, 3.1)]
)
def test_what_has_no_trend_is_as_uncertain_as_the_plan_says(inventory, mini_ws, doubt, drift, widest):
    """Closed form without any other spread: P90 over P50 after a year is exp(1.2816 sd sum of 0.94^k, k < 12)."""
    profile = inventory.demand_profile.assign(
        growth_per_month=np.nan, growth_months=2, growth_log_sd=np.nan, month_scatter=0.0
    )
    plan = sure(mini_ws.plan, SURE | {"unknown_growth_sd": doubt, "growth_drift_sd": drift})
    frame = simulate_demand(DemandBasis(profile, mini_ws.table("use_cases")), plan, "2026-10").frame
    year = frame[(frame["month"] == "2027-10") & (frame["scenario"] == "expected")]
    level = (
        profile.set_index(["use_case_id", "region"])["units_per_hour_avg"].reindex(
            pd.MultiIndex.from_frame(year[["use_case_id", "region"]])
        )
        * HOURS_PER_MONTH
    )
    np.testing.assert_allclose(year["units_p90"] / level.to_numpy(), widest, rtol=0.08)


def stated(mini_ws, profile, growths, **doubts):
    """Cells after a year where the plan states growth for (conservative, expected, aggressive); None: a multiple."""
    names = ("conservative", "expected", "aggressive")
    plans = [scenario(m, g, name=n) for m, g, n in zip((0.5, 1.0, 1.5), growths, names, strict=True)]
    plan = sure(mini_ws.plan, SURE | doubts, scenarios=plans)
    frame = simulate_demand(DemandBasis(profile, mini_ws.table("use_cases")), plan, "2026-10").frame
    year = frame[(frame["month"] == "2027-10") & (frame["use_case_id"] == "chat") & (frame["region"] == "us")]
    return year.set_index("scenario").assign(today=chat_level(profile))


def chat_level(profile):
    return profile.set_index(["use_case_id", "region"]).loc[("chat", "us"), "units_per_hour_avg"] * HOURS_PER_MONTH


def year_of(growth):
    return np.prod(1 + growth * 0.94 ** np.arange(12))


def test_a_stated_growth_is_a_plan_whose_doubt_remains(mini_ws, profile):
    """Closed form: P90 over P50 after a year is exp(1.2816 hypot(unknown, drift) sum of 0.94^k, k < 12)."""
    at = stated(mini_ws, profile, (None, 0.03, None), unknown_growth_sd=0.0, growth_drift_sd=0.0)
    cell = at.loc["expected"]
    # the other two multiply what is stated, not the trend: they keep their order about it
    wanted = [year_of(share * 0.03) for share in (0.5, 1.5)]
    assert [cell["units_p10"] / cell["today"], cell["units_p90"] / cell["today"]] == pytest.approx(wanted, rel=0.02)
    wide = stated(mini_ws, profile, (None, 0.03, None), unknown_growth_sd=0.03, growth_drift_sd=0.04).loc["expected"]
    assert wide["units_p90"] / cell["units_p90"] == pytest.approx(1.74, rel=0.08)


def test_stated_p10_and_p90_are_the_doubt_of_a_stated_growth_but_drift_remains(mini_ws, profile):
    growths = (0.01, 0.03, 0.05)
    sharp = stated(mini_ws, profile, growths, unknown_growth_sd=0.5, growth_drift_sd=0.0).loc["expected"]
    assert sharp["units_p90"] / sharp["today"] == pytest.approx(year_of(0.05), rel=0.02)
    assert sharp["units_p10"] / sharp["today"] == pytest.approx(year_of(0.01), rel=0.02)
    wide = stated(mini_ws, profile, growths, unknown_growth_sd=0.5, growth_drift_sd=0.04).loc["expected"]
    assert wide["units_p90"] > 1.3 * sharp["units_p90"]


def test_a_step_set_apart_from_growth_is_told(inventory, mini_ws):
    profile = inventory.demand_profile.assign(growth_per_month=0.002, growth_months=9, growth_log_sd=0.01)
    for step, season, word in (
        (0.9, 0.2, "trend of 9 months about a lasting step of the level (90 % likely), adjusted"),
        (0.3, 0.7, "trend of 9 months about a season of the year (70 % likely), adjusted"),
        (0.9, 0.7, "about a lasting step of the level (90 % likely) and a season of the year (70 % likely)"),
        (0.5, 0.5, "9 months, adjusted"),
    ):
        basis = DemandBasis(profile.assign(growth_step=step, growth_season=season), mini_ws.table("use_cases"))
        frame = simulate_demand(basis, mini_ws.plan, "2026-10", 10).frame
        assert word in frame["growth_source"].iloc[0]


def test_a_short_trend_says_how_much_of_it_is_kept(inventory, mini_ws):
    """Three quarters of the prior's variance left: a quarter of the trend is kept; half a prior's: three quarters."""
    prior = mini_ws.plan.value("unknown_growth_sd")
    for share, word in ((0.75, "trend of 4 months (25 % of it kept: short)"), (0.25, "trend of 4 months, adjusted")):
        profile = inventory.demand_profile.assign(
            growth_per_month=0.02, growth_months=4, growth_log_sd=prior * np.sqrt(share)
        )
        frame = simulate_demand(DemandBasis(profile, mini_ws.table("use_cases")), mini_ws.plan, "2026-10", 10).frame
        assert word in frame["growth_source"].iloc[0]
