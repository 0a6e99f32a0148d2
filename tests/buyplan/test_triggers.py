"""What a plan says releases its next steps is what the refresh watches."""

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.bands import POOL_USE
from aifactory.buyplan.compare import HOSTED
from aifactory.buyplan.triggers import BY_LOAD, ON_DATE, next_triggers, released_steps, with_readings, with_triggers
from aifactory.inventory.demand import in_whole_weeks
from aifactory.inventory.utilization import utilization_of_places
from aifactory.review.build import _steps as refresh_steps
from aifactory.review.guardrails import check_triggers

PLACE = {"region": "us", "accelerator_id": "h100"}


def step(band, option, kind, number, month, limit, now, starts=None):
    return {
        **PLACE,
        "band": band,
        "purchase_option": option,
        "kind": kind,
        "accelerators": number,
        "order_month": month,
        "threshold_accelerators": limit,
        "load_now": now,
        "starts_with": starts,
    }


STEPS = pd.DataFrame(
    [
        step("growth", "purchase", "commitment", 8, "2027-05", 46.5, 31.0),
        step("growth", "purchase", "commitment", 16, "2027-02", 40.0, 30.0),
        step("growth", "purchase", "capacity", 32, "2027-01", 20.0, 30.0),
        step("surge", "on_demand", "capacity", 8, "2027-03", 41.0, np.nan),
        step("baseline", "lease", "commitment", 24, "2027-04", 50.0, 30.0, "24 a100 end"),
    ]
)
BANDS = pd.DataFrame(
    [
        {
            **PLACE,
            "band": band,
            "purchase_option": option,
            "trigger_indicator": "general",
            "trigger_threshold": 0.7,
            "current_value": 0.5,
        }
        for band, option in (
            ("baseline", "owned"),
            ("baseline", "lease"),
            ("growth", "purchase"),
            ("surge", "on_demand"),
        )
    ]
)


def test_each_band_tells_its_next_step_and_keeps_its_general_trigger_without_one():
    found = next_triggers(BANDS, STEPS)
    assert found["trigger_indicator"].tolist() == ["general", ON_DATE, BY_LOAD, BY_LOAD]
    np.testing.assert_allclose(found["trigger_threshold"], [0.7, np.nan, 40.0, 41.0])
    np.testing.assert_allclose(found["current_value"], [0.5, np.nan, 30.0, np.nan])
    assert found["next_step_accelerators"].tolist() == [0, 24, 16, 8]  # an order waits for orders, hours for capacity
    assert found["next_step_month"].tolist() == ["", "2027-04", "2027-02", "2027-03"]


def test_the_baseline_tells_the_utilisation_of_its_pool_as_the_refresh_does(changed, mini_ws):
    """Of two pools of one place, 8 at 90 % and 24 at 50 %, the fuller one is told, which the refresh watches by itself; the month before does not count."""
    rows = mini_ws.table("pools").iloc[[0, 0, 0]].reset_index(drop=True)
    start = pd.Timestamp(f"{mini_ws.period}-03", tz="UTC")
    rows = rows.assign(
        pool_id=["a", "b", "a"], region="us", accelerator_id="h100", installed=[8, 24, 8], window_minutes=60,
        utilization=[0.9, 0.5, 0.1], window_start_utc=[start, start, start - pd.DateOffset(months=1)],
    )  # fmt: skip
    bands = BANDS.assign(trigger_indicator=[POOL_USE, POOL_USE, "general", "general"])
    found = with_readings(bands, utilization_of_places(rows, mini_ws.period))
    np.testing.assert_allclose(found["current_value"], [0.9, 0.9, 0.5, 0.5])
    assert check_triggers(changed(pools=rows.iloc[:2]))["value"].tolist() == [0.9, 0.5]
    elsewhere = with_readings(bands.assign(region="eu"), utilization_of_places(rows, mini_ws.period))
    assert elsewhere["current_value"].isna().tolist() == [True, True, False, False]


def test_a_plan_without_steps_keeps_the_triggers_of_its_bands():
    found = next_triggers(BANDS, STEPS.iloc[:0])
    pd.testing.assert_frame_equal(found[BANDS.columns], BANDS)
    assert not found["next_step_accelerators"].any()


def test_the_refresh_of_the_same_month_tells_the_same_loads(mini_ws, mini_stages, changed, monkeypatch):
    """Approved today and refreshed today: load and threshold of every step are those that the plan tells."""
    inventory, plan = mini_stages.inventory, mini_stages.plan
    own = plan.approved_plan[plan.approved_plan["accelerator_id"] != HOSTED]
    kinds = pd.DataFrame({"kind": ["commitment", "capacity"], "purchase_option": ["purchase", "on_demand"]})
    steps = own[["region", "accelerator_id"]].drop_duplicates().merge(kinds, how="cross")
    steps = steps.assign(
        plan_period=mini_ws.period, band="growth", accelerators=8, order_month="2027-02", start_month="2027-03",
        threshold_accelerators=[1.5 + at for at in range(len(steps))], lead_time_weeks=4.0, commitment_usd=1e5,
        milestone="growth", owner_role="head", starts_with=None, not_before=None,
    )  # fmt: skip
    monkeypatch.setattr("aifactory.buyplan.triggers.release_steps", lambda *_: steps)
    told = released_steps(plan, mini_ws, inventory)
    approved = changed(approved_plan=plan.approved_plan, approved_bands=steps)
    weeks = in_whole_weeks(mini_ws, inventory.windows, inventory.demand_monthly)
    states = refresh_steps(approved, inventory, own, weeks)
    both = states.merge(told, on=[*PLACE, "kind", "order_month"])
    assert len(both) == len(states) == len(told) > 2
    np.testing.assert_allclose(both["value"], both["load_now"], rtol=1e-12)
    assert (both["load_now"] > 0).all()


def test_orders_that_wait_tell_the_load_that_releases_them(mini_ws, mini_stages, monkeypatch):
    """Of three orders one waits for a load; one is signed at once, one comes on its date."""
    waits = STEPS[STEPS["kind"] == "commitment"].assign(start_month="2027-06")
    orders = waits[[*PLACE, "purchase_option", "order_month", "start_month", "band"]].iloc[1:]
    orders = pd.concat([orders, orders.iloc[:1].assign(order_month="2026-11")], ignore_index=True)
    monkeypatch.setattr("aifactory.buyplan.triggers.released_steps", lambda *_: waits)
    plan = with_triggers(replace(mini_stages.plan, orders=orders, bands=BANDS), mini_ws, mini_stages.inventory)
    np.testing.assert_allclose(plan.orders["released_at"], [40.0, np.nan, np.nan])
    assert plan.bands["next_step_accelerators"].tolist() == [0, 24, 16, 0]
