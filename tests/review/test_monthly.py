"""Actuals of a month, and the plan in the hours of a calendar month."""

import dataclasses
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.review.monthly import (
    HELD,
    PLANNED,
    accelerator_cost,
    against_hosted_plan,
    calendar_plan,
    month_factors,
    plan_factors,
    plan_month,
    planned_cost,
    previous_month,
    realised_value,
    with_hosted_models,
)
from aifactory.review.variance import split_variance


@pytest.mark.parametrize(("month", "before"), [("2026-10", "2026-09"), ("2026-01", "2025-12"), ("2024-03", "2024-02")])
def test_the_month_before(month, before):
    assert previous_month(month) == before


def test_factors_of_the_month_are_units_work_hours_and_cost(road):
    factors, hours = month_factors(road.ws, road.inventory, "2026-10")
    chat = factors.loc["chat"]
    # per day and region: 10 h of 216 and 14 h of 108 good requests; 500 tokens in, 100 of them cached, 100 out
    assert chat["units"] == 3672 * 2 * 31
    assert chat["work"] == 3740 * 500 * 2 * 31
    assert chat["hours"] == 744 * 8
    assert chat["cost"] == pytest.approx(744 * 40 + 0.10)
    assert hours.loc[("chat", "nvidia-h100-sxm"), "hours"].sum() == 744 * 8
    assert hours.index.names == HELD


def test_work_is_units_where_no_tokens_are_counted(road):
    factors, _ = month_factors(road.ws, road.inventory, "2026-10")
    assert factors.at["images", "work"] == factors.at["images", "units"] == 110 * 24 * 31
    assert np.isnan(factors.at["images", "cost"])


def test_a_lease_instalment_is_the_cost_of_a_use_case_without_hours(road):
    bill = road.ws.table("billing")
    lease = bill[bill["month"] == "2026-10"].iloc[:1].assign(
        use_case="images", purchase_option="other_purchase", cost_line="attributed usage", EffectiveCost=Decimal(500)
    )  # fmt: skip
    more = pd.concat([bill, lease, lease.assign(use_case="chat")], ignore_index=True)
    ws = dataclasses.replace(road.ws, tables={**road.ws.tables, "billing": more})
    factors, _ = month_factors(road.ws, road.inventory, "2026-10")
    paid = accelerator_cost(ws, factors, "2026-10")
    assert paid["images"] == 500.0
    assert paid["chat"] == factors.at["chat", "cost"]
    assert accelerator_cost(road.ws, factors, "2026-10").equals(factors["cost"].dropna())


def test_unused_commitment_is_no_usage(road):
    factors, _ = month_factors(road.ws, road.inventory, "2026-10")
    assert factors.at["models", "hours"] == 600 * 8
    assert factors.at["models", "cost"] == pytest.approx(12_000.000001)


def test_a_month_without_data_has_no_factors(road):
    factors, hours = month_factors(road.ws, road.inventory, "2020-01")
    assert factors.empty
    assert hours.empty


def plan(month, **changes):
    row = {"plan_period": "2026-01", "month": month, "use_case_id": "chat", "region": "us", "accelerator_id": "a"}
    return pd.DataFrame([{**row, **dict.fromkeys(PLANNED, 730.0), **changes}])


@pytest.mark.parametrize(("month", "hours"), [("2026-02", 672), ("2028-02", 696), ("2026-10", 744), ("2026-11", 720)])
def test_a_plan_in_standard_months_is_put_into_calendar_hours(month, hours):
    assert calendar_plan(plan(month))[PLANNED].iloc[0].tolist() == [hours] * len(PLANNED)


def test_a_year_of_calendar_months_adds_up_to_the_plan():
    year = pd.concat([plan(f"2026-{month:02d}") for month in range(1, 13)], ignore_index=True)
    assert calendar_plan(year)["cost_usd"].sum() == pytest.approx(year["cost_usd"].sum())


def test_an_empty_plan_stays_empty(road):
    approved = calendar_plan(road.ws.table("approved_plan"))
    assert approved.empty
    factors, hours = plan_factors(approved, "2026-10")
    assert factors.empty
    assert hours.empty


def test_the_plan_of_a_month_adds_regions_and_counts_units_as_work():
    both = pd.concat(
        [plan("2026-10", units=10.0, accelerator_hours=4.0, compute_usd=8.0),
         plan("2026-10", region="eu", accelerator_id="b", units=5.0, accelerator_hours=1.0, compute_usd=3.0),
         plan("2026-11")], ignore_index=True
    )  # fmt: skip
    factors, hours = plan_factors(both, "2026-10")
    assert factors.loc["chat", ["units", "work", "hours", "cost"]].tolist() == [15.0, 15.0, 5.0, 11.0]
    assert hours["cost"].to_dict() == {("chat", "a", "us"): 8.0, ("chat", "b", "eu"): 3.0}
    assert plan_month(both, "2026-10").at["chat", "units"] == 15.0


def test_a_plan_without_values_has_an_unknown_value():
    assert np.isnan(plan_month(plan("2026-10", value_usd=np.nan), "2026-10").at["chat", "value_usd"])


def test_the_value_counts_delivered_units_and_jobs_that_succeeded(road):
    value = realised_value(road.ws, road.inventory).set_index(["month", "use_case_id"])["value_usd"]
    assert value["2026-10", "chat"] == pytest.approx(3672 * 2 * 31 * 0.01 * 0.5)
    assert value["2026-10", "images"] == pytest.approx(110 * 24 * 31 * 0.05)
    # four jobs of eight accelerators for ten hours, one of them failed
    assert value["2026-10", "models"] == pytest.approx(320 * 0.75 * 5)


def test_no_demand_has_no_value(road):
    silent = dataclasses.replace(road.inventory, demand_monthly=road.inventory.demand_monthly.iloc[:0])
    assert realised_value(road.ws, silent).empty


def test_a_value_that_nobody_attributed_is_not_claimed(changed, road):
    cases = road.ws.table("use_cases").assign(attribution_share=np.nan)
    value = realised_value(changed(use_cases=cases), road.inventory)
    assert not value["value_usd"].gt(0).any()


def hosted_side(units, tokens, hours=None, cost=None):
    factors = pd.DataFrame(
        {"units": [units], "work": [tokens], "hours": [hours], "cost": [cost]}, index=["claims"], dtype=float
    )
    none = pd.DataFrame({"hours": [], "cost": []}, index=pd.MultiIndex.from_arrays([[], [], []], names=HELD))
    return factors, none


def test_a_hosted_model_has_causes_and_no_utilisation():
    """100 units of 10 tokens at USD 0.02 become 120 of 11 at 0.025: volume 4, efficiency 2.4, price 6.6."""
    bill = pd.DataFrame({"month": ["2026-10", "2026-11", "2026-11"], "use_case": "claims", "accelerator_id": "(none)", "cost_line": "attributed usage",
                         "ServiceName": ["Amazon Bedrock"] * 2 + ["Amazon S3"], "ServiceCategory": ["AI and Machine Learning"] * 2 + ["Storage"], "EffectiveCost": [20.0, 33.0, 5.0]})  # fmt: skip
    ws = SimpleNamespace(table=lambda name: bill)
    sides = [("2026-10", *hosted_side(100, 1000)), ("2026-11", *hosted_side(120, 1320))]
    row = split_variance(*with_hosted_models(ws, sides)).loc["claims"]
    assert row[["volume", "efficiency", "utilization", "mix", "price"]].tolist() == pytest.approx(
        [4.0, 2.4, 0.0, 0.0, 6.6]
    )
    moved = [sides[0], ("2026-11", *hosted_side(120, 1320, 50.0, 90.0))]
    assert split_variance(*with_hosted_models(ws, moved)).empty  # hours of an accelerator are no tokens


def hosted_plan(usd, **changes):
    row = plan("2026-11", use_case_id="claims", accelerator_id="(hosted)", units=100.0, accelerator_hours=0.0, compute_usd=usd, **changes)  # fmt: skip
    return plan_factors(row, "2026-11")


def test_what_was_to_stay_hosted_is_compared_with_its_hosted_bill():
    """Planned 100 units for USD 20, came 120 for 33: volume 4, price 9; on accelerators, or not charged, it has no causes."""
    bill = pd.DataFrame({"month": ["2026-10", "2026-11"], "use_case": "claims", "accelerator_id": "(none)", "cost_line": "attributed usage",
                         "ServiceName": "Amazon Bedrock", "ServiceCategory": "AI and Machine Learning", "EffectiveCost": [20.0, 33.0]})  # fmt: skip
    ws = SimpleNamespace(table=lambda name: bill)
    row = split_variance(*against_hosted_plan(ws, hosted_plan(20.0), hosted_side(120, 1320), "2026-11")).loc["claims"]
    assert row[["volume", "efficiency", "utilization", "mix", "price"]].tolist() == pytest.approx(
        [4.0, 0.0, 0.0, 0.0, 9.0]
    )
    moved = hosted_side(120, 1320, hours=8.0, cost=50.0)
    assert split_variance(*against_hosted_plan(ws, hosted_plan(20.0), moved, "2026-11")).empty
    assert split_variance(*against_hosted_plan(ws, hosted_plan(20.0), hosted_side(120, 1320), "2026-12")).empty


def test_hosted_models_of_planned_use_cases_count_against_the_plan():
    bill = pd.DataFrame({"month": "2026-11", "use_case": ["claims", "other"], "accelerator_id": "(none)", "cost_line": "attributed usage",
                         "ServiceName": "Amazon Bedrock", "ServiceCategory": "AI and Machine Learning", "EffectiveCost": [33.0, 7.0]})  # fmt: skip
    ws = SimpleNamespace(table=lambda name: bill)
    paid = planned_cost(ws, pd.Series({"chat": 5.0, "claims": np.nan}), pd.Index(["chat", "claims"]), "2026-11")
    assert paid.to_dict() == {"chat": 5.0, "claims": 33.0}
