"""Pools that several use cases share, divided by how their hours move with the demand of each."""

import dataclasses
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.benchmark.shared_pools import LEAST_HOURS, seconds_per_unit
from aifactory.benchmark.telemetry import HELD, shown_capacities
from aifactory.benchmark.telemetry_places import BY_HOURS, _sure_pools, days_served, links_of
from aifactory.inputs.billing import UNATTRIBUTED

H100 = "nvidia-h100-sxm"
NIGHTS = pd.date_range("2026-10-01T20:00Z", periods=30, freq="D")
HOURS = pd.date_range("2026-10-01", "2026-11-01", freq="h", inclusive="left", tz="UTC")


def demand(seed=1, **scale):
    """Chat by day, letters by night, search by day too but at weekends as well, each with its own chance."""
    rng, hour, work = np.random.default_rng(seed), HOURS.hour, HOURS.day_of_week < 5
    mean = {
        "chat": 400 * np.exp(-(((hour - 11) / 4) ** 2)) * np.where(work, 1, 0.2),
        "letters": np.where(hour < 6, 900.0, 40.0),
        "search": 5000 * np.exp(-(((hour - 14) / 5) ** 2)) * np.where(work, 1, 0.8),
    }
    return pd.DataFrame({name: rng.poisson(mean[name] * size) for name, size in scale.items()}, index=HOURS).astype(
        float
    )


@settings(max_examples=25, deadline=None)
@given(
    each=st.tuples(st.floats(0.5, 20), st.floats(0.2, 5), st.floats(0.05, 1)),
    other=st.floats(0, 2000),
    seed=st.integers(0, 99),
)
def test_what_a_unit_takes_is_found_beside_other_use(each, other, seed):
    units = demand(seed, chat=1.0, letters=1.0, search=1.0)
    busy = (units * np.array(each)).sum(axis=1) + other
    found = seconds_per_unit(busy, units)
    assert found.tolist() == pytest.approx(each, rel=1e-6)
    noisy = busy * np.random.default_rng(seed).normal(1, 0.05, len(busy))
    found = seconds_per_unit(noisy, units)
    assert found is None or found.tolist() == pytest.approx(each, rel=0.3)


def test_hours_that_do_not_tell_divide_nothing():
    units = demand(chat=1.0, letters=1.0)
    busy = 3 * units["chat"] + 2 * units["letters"]
    assert seconds_per_unit(busy, units) is not None
    rng = np.random.default_rng(2)
    assert seconds_per_unit(pd.Series(rng.uniform(0, busy.max(), len(busy)), HOURS), units) is None  # other work
    twin = units.assign(letters=units["chat"] * 2)
    assert seconds_per_unit(3 * units["chat"] + rng.normal(0, 20, len(busy)), twin) is None  # moves alike
    half = np.where(HOURS.day_of_year % 2 == 1, 3.0, 1.0)
    assert seconds_per_unit(half * units["chat"] + 2 * units["letters"], units) is None  # differs from day to day
    assert seconds_per_unit(busy[: LEAST_HOURS - 1], units) is None
    assert seconds_per_unit(busy * 0, units) is None
    assert seconds_per_unit(busy, units.assign(letters=5.0)) is None  # never moves
    assert seconds_per_unit(2 * units["letters"], units) is None  # one of them works elsewhere


def night_jobs(ws):
    """Models train on four accelerators for four hours of each of thirty nights."""
    like = ws.table("jobs")
    jobs = pd.DataFrame({"job_id": [f"n{n}" for n in range(30)], "use_case_id": "models", "region": "us", "accelerator_id": H100, "accelerators": 4,
                         "submitted_utc": NIGHTS, "started_utc": NIGHTS, "ended_utc": NIGHTS + pd.Timedelta("4h"), "status": "completed"})  # fmt: skip
    return jobs.reindex(columns=like.columns).astype(like.dtypes.to_dict())


def shared(ws, with_tables, *stated, jobs=None):
    """Chat and images on eight H100 in us, hour by hour: 3 and 20 accelerator-seconds a unit."""
    units = demand(chat=1.0, letters=1.0).rename(columns={"letters": "images"})
    rows = (
        units.rename_axis("window_start_utc")
        .melt(ignore_index=False, var_name="use_case_id", value_name="service_units")
        .reset_index()
    )
    rows = rows.assign(window_minutes=60, region="us", requests=rows["service_units"], errors=0.0)
    like = ws.table("demand_windows")
    busy = (3 * units["chat"] + 2 * units["images"]) / 3600
    pools = pd.DataFrame({"window_start_utc": HOURS, "window_minutes": 60, "pool_id": "all", "region": "us", "accelerator_id": H100,
                          "purchase_option": "purchase", "installed": 8, "utilization": (busy / 8).to_numpy()})  # fmt: skip
    assert busy.max() < 8
    tables = {"demand_windows": rows.reindex(columns=like.columns).astype(like.dtypes.to_dict()),
              "pools": pools.reindex(columns=ws.table("pools").columns), "billing": ws.table("billing").iloc[:0],
              "jobs": ws.table("jobs").iloc[:0] if jobs is None else jobs}  # fmt: skip
    return with_tables(**tables), dict.fromkeys(stated, H100)


def test_use_cases_that_plan_yaml_puts_on_one_pool_have_their_own_part_of_it(with_tables, mini_ws):
    ws, stated = shared(mini_ws, with_tables, "chat", "images")
    ws = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"baseline_accelerators": stated}))
    found = shown_capacities(ws).set_index("use_case_id")
    for name, seconds in (("chat", 3.0), ("images", 2.0)):
        limited = (
            ws.table("use_cases")
            .set_index("use_case_id")
            .loc[name, ["slo_p95_ttft_ms", "slo_p95_e2e_ms"]]
            .notna()
            .any()
        )
        assert found.loc[name, "units_per_s_per_accelerator"] == pytest.approx((HELD if limited else 1.0) / seconds)
        assert BY_HOURS in found.loc[name, "evidence"]
    unsure = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"baseline_accelerators": {"chat": H100}}))
    assert shown_capacities(unsure).empty  # images may be elsewhere


def test_what_runs_on_a_hosted_model_is_no_reason_to_leave_a_pool_undivided(with_tables, mini_ws):
    ws, stated = shared(mini_ws, with_tables, "chat", "images")
    ws = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"baseline_accelerators": stated}))
    alone = shown_capacities(ws)
    cases, asked = ws.table("use_cases"), ws.table("demand_windows")
    guide = cases[cases["use_case_id"] == "chat"].assign(use_case_id="guide", model="gpt-4.1")
    more = asked[asked["use_case_id"] == "chat"].assign(use_case_id="guide")
    tables = ws.tables | {"use_cases": pd.concat([cases, guide]), "demand_windows": pd.concat([asked, more])}
    pd.testing.assert_frame_equal(shown_capacities(dataclasses.replace(ws, tables=tables)), alone)
    tables["use_cases"] = pd.concat([cases, guide.assign(model="Llama-3.1-8B")])  # its weights may be anywhere
    assert shown_capacities(dataclasses.replace(ws, tables=tables)).empty


@pytest.mark.parametrize(("accelerator", "alone"), [(H100, True), ("nvidia-l4", False)])
def test_work_at_the_edge_is_on_no_part_that_draws_more_than_a_device_may(with_tables, mini_ws, accelerator, alone):
    """A camera of which no accelerator is stated leaves a pool of H100 (700 W) divided, not one of L4 (72 W)."""
    ws, stated = shared(mini_ws, with_tables, "chat", "images")
    cases, asked, pools = ws.table("use_cases"), ws.table("demand_windows"), ws.table("pools")
    camera = cases[cases["use_case_id"] == "chat"].assign(use_case_id="camera", workload_class="edge_on_device")
    more = asked[asked["use_case_id"] == "chat"].assign(use_case_id="camera")
    tables = ws.tables | {"use_cases": pd.concat([cases, camera]), "demand_windows": pd.concat([asked, more]), "pools": pools.assign(accelerator_id=accelerator)}  # fmt: skip
    plan = ws.plan.model_copy(update={"baseline_accelerators": dict.fromkeys(stated, accelerator)})
    told = dataclasses.replace(ws, tables=tables, plan=plan)
    links = links_of(told, _sure_pools(told), told.month("demand_windows"))
    assert (set(links["use_case_id"]) == {"chat", "images"}) == alone
    assert links.empty != alone


@pytest.mark.parametrize(
    ("accelerator", "workload_class"), [("nvidia-jetson-agx-orin", "edge_on_device"), (H100, None)]
)
def test_central_work_is_on_no_device(with_tables, mini_ws, accelerator, workload_class):
    """One camera and one chat, neither stated: a pool of devices is the camera's, one of H100 the chat's."""
    ws, _ = shared(mini_ws, with_tables)
    cases, asked, pools = ws.table("use_cases"), ws.table("demand_windows"), ws.table("pools")
    edge = cases["use_case_id"] == "images"
    cases = cases.assign(workload_class=cases["workload_class"].where(~edge, "edge_on_device"))
    tables = ws.tables | {
        "use_cases": cases,
        "demand_windows": asked,
        "pools": pools.assign(accelerator_id=accelerator),
    }
    told = dataclasses.replace(ws, tables=tables)
    links = links_of(told, _sure_pools(told), told.month("demand_windows"))
    assert links["use_case_id"].tolist() == ["images" if workload_class else "chat"]


def test_the_parts_of_a_shared_pool_add_up_to_its_use(with_tables, mini_ws):
    ws, stated = shared(mini_ws, with_tables, "chat", "images")
    ws = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"baseline_accelerators": stated}))
    pools = _sure_pools(ws)
    links = links_of(ws, pools, ws.month("demand_windows"))
    assert links["share"].sum() == pytest.approx(1.0)
    days = days_served(ws)
    used = (days["use"] * days["held"]).groupby(days["window"]).sum()
    whole = (pools["utilization"] * pools["installed"]).set_axis(pools["window_start_utc"]).loc[used.index]
    assert used.to_numpy() == pytest.approx(whole.to_numpy(dtype=float))


def test_in_each_hour_a_use_case_holds_its_part_of_what_is_in_use(with_tables, mini_ws):
    """Letters come in six hours of the day: then they take more of the pool than their share of the month."""
    ws, stated = shared(mini_ws, with_tables, "chat", "images")
    ws = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"baseline_accelerators": stated}))
    days = days_served(ws)
    pools = ws.month("pools").set_index("window_start_utc")["utilization"]
    assert days["use"].to_numpy() == pytest.approx(pools.loc[days["window"]].to_numpy(dtype=float))
    assert days.groupby("window")["held"].sum().to_numpy() == pytest.approx(8.0)
    shown = shown_capacities(ws).set_index("use_case_id")
    assert (shown["low"] <= [1 / 3, 1 / 2]).all()  # no more than an accelerator in use all the time


def test_a_pool_that_training_shares_is_divided_by_the_hours_of_its_jobs(with_tables, mini_ws):
    """Chat at 3 accelerator-seconds a request, and four accelerators that train for four hours of each night."""
    ws, stated = shared(mini_ws, with_tables, "chat", jobs=night_jobs(mini_ws))
    rows = ws.table("demand_windows").query("use_case_id == 'chat'")
    trains = ((HOURS.hour >= 20) & (NIGHTS[-1] + pd.Timedelta("4h") > HOURS)).astype(float)
    busy = 3 * rows.set_index("window_start_utc")["service_units"].reindex(HOURS).to_numpy() / 3600 + 4 * trains
    tables = ws.tables | {"demand_windows": rows, "pools": ws.table("pools").assign(utilization=busy / 8)}
    ws = dataclasses.replace(ws, tables=tables, plan=ws.plan.model_copy(update={"baseline_accelerators": stated}))
    found = shown_capacities(ws)
    assert found["use_case_id"].tolist() == ["chat"]  # the unit of training is the hour itself
    assert found["units_per_s_per_accelerator"].iloc[0] == pytest.approx(HELD / 3)
    unstated = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"baseline_accelerators": {}}))
    assert shown_capacities(unstated).empty


def test_training_that_the_bill_charges_in_another_pool_leaves_a_shared_pool_divided(with_tables, mini_ws):
    """Chat and images share `all`; models train 480 accelerator-hours on the same hardware, which `night` is charged for."""
    ws, stated = shared(mini_ws, with_tables, "chat", "images", jobs=night_jobs(mini_ws))
    pools = ws.table("pools")
    charge = mini_ws.table("billing").iloc[[0]].assign(
        month="2026-10", RegionId="us", accelerator_id=H100, cost_line="attributed usage", EffectiveCost=Decimal(1000)
    )  # fmt: skip
    for hours, divided in ((480.0, True), (100.0, False)):
        rows = [charge.assign(ResourceId="night", use_case="models", accelerator_hours=hours),
                charge.assign(ResourceId="all", use_case=UNATTRIBUTED, accelerator_hours=8 * 744.0)]  # fmt: skip
        tables = ws.tables | {
            "pools": pd.concat([pools, pools.assign(pool_id="night", utilization=0.1)]),
            "billing": pd.concat(rows),
        }
        told = dataclasses.replace(ws, tables=tables, plan=ws.plan.model_copy(update={"baseline_accelerators": stated}))
        links = links_of(told, _sure_pools(told), told.month("demand_windows"))
        shares = links[links["place"] == "all"].set_index("use_case_id")["share"]
        assert sorted(shares.index) == (["chat", "images"] if divided else []), hours
