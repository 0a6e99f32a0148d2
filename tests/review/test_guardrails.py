"""Guardrails, capacity triggers and the age of prices."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inputs.plan import Budget
from aifactory.inventory import build_inventory
from aifactory.review import guardrails
from aifactory.review.guardrails import BREACH, OK, WATCH

NO_CHANGE = pd.Series(dtype="float64")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, OK), (90.0, OK), (90.001, WATCH), (100.0, WATCH), (100.001, BREACH), (np.nan, WATCH), (np.inf, WATCH),
     (-5.0, OK)],
)  # fmt: skip
def test_nine_tenths_of_a_limit_is_watched_and_above_it_is_a_breach(value, expected):
    assert guardrails.state_of(value, 100.0) == expected


def rails(ws, inventory, change=NO_CHANGE):
    return guardrails.check_guardrails(ws, inventory, change).set_index(["guardrail", "subject"])


def test_fewer_units_after_a_yearly_peak_are_no_rise_of_unit_cost(road):
    season = np.ones(12)
    season[8] = 2.0  # September; the road reports October
    basis = dataclasses.replace(road.inventory.demand_basis, seasons={"chat": season})
    seasonal = dataclasses.replace(road.inventory, demand_basis=basis)
    name = "rise of unit cost in a month"
    assert rails(road.ws, road.inventory, pd.Series({"chat": 0.95})).loc[(name, "chat"), "state"] == BREACH
    row = rails(road.ws, seasonal, pd.Series({"chat": 0.95})).loc[name, "chat, beyond its season"]
    assert (row["value"], row["state"]) == (0.0, OK)
    row = rails(road.ws, seasonal, pd.Series({"chat": 1.3})).loc[name, "chat, beyond its season"]
    assert (row["value"], row["state"]) == (pytest.approx(0.15), BREACH)
    assert rails(road.ws, seasonal, pd.Series({"chat": -0.2})).loc[(name, "chat"), "value"] == -0.2


@pytest.mark.parametrize(
    ("budget", "expected"), [(50_000.0, OK), (49_000.0, WATCH), (44_900.850001, WATCH), (44_900.85, BREACH)]
)
def test_the_bill_is_held_against_the_budget(changed, road, budget, expected):
    row = rails(changed(plan={"budget": Budget(opex_usd_per_month=budget)}), road.inventory).loc[
        "monthly budget", "bill"
    ]
    assert row["value"] == pytest.approx(44_900.850001)
    assert row["state"] == expected


def test_without_a_budget_there_is_no_budget_rail(changed, road):
    assert "monthly budget" not in rails(changed(plan={"budget": Budget()}), road.inventory).index.get_level_values(0)


def test_spend_without_a_team_is_a_share_of_the_bill(road):
    row = rails(road.ws, road.inventory).loc["spend without a team", "bill"]
    assert row["value"] == pytest.approx(99.99 / 44_900.850001)
    assert (row["limit"], row["state"]) == (0.05, OK)


def test_failure_rates_are_held_against_the_slo_that_is_stated(changed, road):
    row = rails(road.ws, road.inventory).loc["failure rate", "chat, us"]
    assert (row["value"], row["limit"]) == (pytest.approx(68 / 3740), 0.05)
    cases = road.ws.table("use_cases").assign(slo_max_failure_rate=[0.018, np.nan, 0.26])
    table = rails(changed(use_cases=cases), road.inventory)
    assert table.loc[("failure rate", "chat, eu"), "state"] == BREACH
    assert table.loc[("failure rate", "models, us"), "state"] == WATCH
    assert ("failure rate", "images, eu") not in table.index


@pytest.mark.parametrize(("allowed", "state"), [(0.5, BREACH), (1.0, WATCH), (4.0, OK)])
def test_jobs_are_held_against_the_wait_that_is_allowed(road, allowed, state):
    jobs = road.inventory.jobs.assign(slo_p95_queue_minutes=allowed * 60)  # they wait an hour
    row = rails(road.ws, dataclasses.replace(road.inventory, jobs=jobs)).loc["p95 wait of jobs", "models, us"]
    assert (row["value"], row["limit"], row["unit"], row["state"]) == (1.0, allowed, "hours", state)
    assert row["owner_role"] == "head of planning"


def test_without_a_limit_no_wait_is_held_against_it(road):
    assert "p95 wait of jobs" not in rails(road.ws, road.inventory).index.get_level_values("guardrail")


@pytest.mark.parametrize(("change", "expected"), [(0.0, OK), (-0.5, OK), (0.095, WATCH), (0.101, BREACH)])
def test_the_unit_cost_may_rise_by_a_tenth_a_month(road, change, expected):
    table = rails(road.ws, road.inventory, pd.Series({"chat": change, "images": np.nan}))
    assert table.loc[("rise of unit cost in a month", "chat"), "state"] == expected
    assert ("rise of unit cost in a month", "images") not in table.index


def test_pools_below_the_floor_are_candidates_to_give_up(changed, road):
    table = rails(road.ws, road.inventory).loc["utilisation floor"]
    assert table["state"].to_dict() == {"chat-pool": OK, "train-pool": BREACH}
    exact = rails(changed(plan={"deprecate_below_utilization": 0.25}), road.inventory).loc["utilisation floor"]
    assert set(exact["state"]) == {OK}


@pytest.mark.parametrize(("sites", "subject", "state"), [("us=2", "train-pool", BREACH), ("us=8", "train-pool, one node a site", OK), ("eu=8", "train-pool", BREACH)])  # fmt: skip
def test_a_pool_of_one_node_a_site_cannot_be_given_up(changed, road, sites, subject, state):
    """Eight accelerators, known to be those of training: one each at eight sites, or four each at two."""
    cases = road.ws.table("use_cases")
    cases = cases.assign(sites=cases["use_case_id"].map({"models": sites}))
    chips = road.ws.table("accelerators")
    chips = chips.assign(accelerators_per_node=1)
    ws = changed(plan={"baseline_accelerators": {"models": "nvidia-a100-80-sxm"}}, use_cases=cases, accelerators=chips)
    assert rails(ws, road.inventory).loc[("utilisation floor", subject), "state"] == state


@pytest.mark.parametrize(("sites", "least", "state"), [("us=8", 8, OK), ("us=2", 2, OK), ("us=11", 11, BREACH)])
def test_places_without_a_device_are_named(changed, road, sites, least, state):
    """Eight accelerators at eleven sites that stand alone leave three without; of no sites there is no such limit."""
    cases = road.ws.table("use_cases")
    chips = road.ws.table("accelerators").assign(accelerators_per_node=1)
    plan = {"baseline_accelerators": {"models": "nvidia-a100-80-sxm"}}
    ws = changed(
        plan=plan, use_cases=cases.assign(sites=cases["use_case_id"].map({"models": sites})), accelerators=chips
    )
    row = rails(ws, road.inventory).loc["devices at sites", "nvidia-a100-80-sxm in us"]
    assert (row["value"], row["limit"], row["unit"], row["state"]) == (8.0, least, "devices", state)
    assert "devices at sites" not in rails(road.ws, road.inventory).index.get_level_values("guardrail")


def test_the_worst_latency_of_a_use_case_counts(road, mini_ws):
    levels = pd.DataFrame(
        {"use_case_id": ["chat", "chat", "images"], "p95": [500.0, 950.0, 1.0], "slo": [1000.0, 1000.0, np.nan]}
    ).assign(p95_low=lambda f: f["p95"], p95_high=lambda f: f["p95"])
    table = rails(mini_ws, dataclasses.replace(road.inventory, service_levels=levels)).loc["p95 latency over SLO"]
    assert table["value"].to_dict() == {"chat": 0.95}
    assert table.loc["chat", "state"] == WATCH


def test_a_bucket_that_begins_at_the_limit_is_a_breach(road, mini_ws):
    """p95 in (1500, 2500] misses 1500 though "at least" its lower end over the limit is 1; in (0, 1500] it is met."""
    levels = pd.DataFrame(
        {"use_case_id": ["chat", "chat", "images"], "p95": np.nan, "slo": [1500.0, 900.0, 1500.0],
         "p95_low": [1500.0, 0.0, 0.0], "p95_high": [2500.0, 810.0, 1500.0]}
    )  # fmt: skip
    table = rails(mini_ws, dataclasses.replace(road.inventory, service_levels=levels)).loc["p95 latency over SLO"]
    assert table["state"].to_dict() == {"chat (at least)": BREACH, "images": WATCH}
    assert table.loc["chat (at least)", "value"] == 1.0


@pytest.mark.parametrize(
    ("value", "slope", "expected"),
    [
        (0.5, 0.1, 2.0),
        (0.7, 0.1, 0.0),
        (0.9, -1.0, 0.0),
        (0.5, 0.0, np.inf),
        (0.5, -0.1, np.inf),
        (0.5, np.nan, np.inf),
    ],
)
def test_months_to_trigger_follow_a_straight_line(value, slope, expected):
    assert guardrails.months_to_trigger(value, slope, 0.7) == expected


@given(st.floats(0, 0.69), st.floats(0.001, 1.0))
@settings(max_examples=60)
def test_the_line_reaches_the_limit_after_those_months(value, slope):
    assert value + slope * guardrails.months_to_trigger(value, slope, 0.7) == pytest.approx(0.7, abs=1e-6)


def readings(*rows, pool="p", installed=8.0):
    table = pd.DataFrame(rows, columns=["window_start_utc", "utilization"])
    return table.assign(
        window_start_utc=pd.to_datetime(table["window_start_utc"], utc=True), window_minutes=1440, pool_id=pool,
        region="us", accelerator_id="nvidia-h100-sxm", purchase_option="on_demand", installed=installed,
        power_w=np.nan, queue_depth=np.nan,
    )  # fmt: skip


def monthly(*values, last="2026-10"):
    months = pd.period_range(end=last, periods=len(values), freq="M")
    return readings(*((f"{month}-15", value) for month, value in zip(months, values, strict=True)))


@pytest.mark.parametrize(
    ("values", "state", "months"),
    [
        ((0.3, 0.4, 0.5), "approaching", 2.0),
        ((0.3, 0.35, 0.4), "quiet", 6.0),
        ((0.5, 0.6, 0.7), "fired", 0.0),
        ((0.6, 0.5, 0.4), "quiet", np.inf),
        ((0.4, 0.69), "quiet", np.inf),  # two months are no trend
        ((0.1, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15), "quiet", np.inf),  # only the last six count
    ],
)
def test_triggers_follow_the_trend_of_the_monthly_means(changed, values, state, months):
    row = guardrails.check_triggers(changed(pools=monthly(*values))).iloc[0]
    assert row["state"] == state
    assert row["months_to_trigger"] == pytest.approx(months)
    assert row["value"] == pytest.approx(values[-1])


def test_the_slope_agrees_with_the_closed_form(changed):
    values = np.array([0.2, 0.31, 0.29, 0.4, 0.38, 0.5])
    row = guardrails.check_triggers(changed(pools=monthly(*values))).iloc[0]
    months = np.arange(6) - 2.5
    assert row["slope_per_month"] == pytest.approx((months * values).sum() / (months**2).sum())


def test_a_month_with_nothing_installed_is_no_reading(changed):
    pools = monthly(0.3, 0.4, 0.0, 0.6)  # 0.1 a month but for the third one, in which the pool was empty
    pools.loc[pools["utilization"] == 0.0, "installed"] = 0
    row = guardrails.check_triggers(changed(pools=pools)).iloc[0]
    assert (row["slope_per_month"], row["months_to_trigger"], row["state"]) == (
        pytest.approx(0.1),
        pytest.approx(1.0),
        "approaching",
    )
    pools["installed"] = 0
    assert guardrails.check_triggers(changed(pools=pools)).empty


def test_later_months_and_absent_pools_do_not_count(changed):
    later = pd.concat([monthly(0.2, 0.2, 0.2), monthly(0.9, last="2026-11")], ignore_index=True)
    assert guardrails.check_triggers(changed(pools=later)).iloc[0]["state"] == "quiet"
    assert guardrails.check_triggers(changed(pools=later.iloc[:0])).empty


def test_a_level_pool_never_reaches_its_trigger(changed):
    row = guardrails.check_triggers(changed(pools=monthly(*[0.1] * 6))).iloc[0]
    assert row["months_to_trigger"] == np.inf


def test_a_pool_without_readings_in_the_month_fires_nothing(changed):
    table = guardrails.check_triggers(changed(pools=monthly(0.8, 0.8, 0.8, last="2026-07")))
    assert "fired" not in set(table["state"])


def test_a_gap_in_the_readings_does_not_steepen_the_trend(changed):
    table = readings(("2026-06-15", 0.3), ("2026-09-15", 0.45), ("2026-10-15", 0.5))
    row = guardrails.check_triggers(changed(pools=table)).iloc[0]
    assert row["slope_per_month"] == pytest.approx(0.05)


def test_the_trigger_and_the_inventory_see_the_same_utilisation(changed):
    small, large = readings(("2026-10-01", 0.1), installed=2.0), readings(("2026-10-02", 0.8), installed=98.0)
    ws = changed(pools=pd.concat([small, large], ignore_index=True))
    assert guardrails.check_triggers(ws).iloc[0]["value"] == pytest.approx(
        build_inventory(ws).pools["utilization_mean"].iloc[0]
    )


def test_prices_are_stale_beyond_their_own_limit(road):
    table = guardrails.watch_prices(road.ws)
    limits = road.ws.plan.price_freshness_days
    assert (table["limit_days"] == table["purchase_option"].map(limits)).all()
    assert (table["stale"] == (table["age_days"] > table["limit_days"])).all()
    assert (table["age_days"] == (pd.Timestamp("2026-10-31") - table["as_of"]).dt.days).all()
    assert not table.duplicated(["accelerator_id", "purchase_option"]).any()
    assert table["stale"].tolist() == sorted(table["stale"], reverse=True)


def test_a_price_is_fresh_on_the_last_day_of_its_limit(changed, road):
    row = road.review.price_watch.query("purchase_option == 'on_demand' and not stale").iloc[0]
    for limit, stale in ((int(row["age_days"]), False), (int(row["age_days"]) - 1, True)):
        limits = {**road.ws.plan.price_freshness_days, "on_demand": limit}
        table = guardrails.watch_prices(changed(plan={"price_freshness_days": limits}))
        again = table.query("accelerator_id == @row.accelerator_id and purchase_option == 'on_demand'").iloc[0]
        assert bool(again["stale"]) is stale
