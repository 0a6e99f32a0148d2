"""The reserve of the plan's dearest streams: prices, lead times, refusals."""

import numpy as np
import pandas as pd
import pytest

from aifactory.benchmark import build_benchmark
from aifactory.buyplan import build_buy_plan
from aifactory.buyplan.reserve_curve import CURVE, DEFAULT_LEAD_WEEKS, SUMMARY, hourly_price, lead_weeks, size_reserves
from aifactory.inventory import build_inventory
from aifactory.inventory.forecast_scores import score_forecasts
from aifactory.report.buy_plan_reserve import reserve_section
from aifactory.report.inventory_forecast import forecast_section
from aifactory.shortlist import build_shortlist


@pytest.fixture(scope="module")
def built(mini_ws):
    inventory, benchmark = build_inventory(mini_ws), build_benchmark(mini_ws)
    plan = build_buy_plan(mini_ws, inventory, benchmark, build_shortlist(mini_ws, inventory, benchmark))
    return inventory, plan, size_reserves(mini_ws, inventory, plan)


def test_a_row_per_stream_and_a_curve_each(built):
    _, _, found = built
    assert list(found.summary.columns) == SUMMARY
    assert list(found.curve.columns) == CURVE
    tested = found.summary[found.summary["capacity_per_hour"].notna()]
    assert len(found.curve) == 11 * len(tested) > 0


def test_capacity_money_and_accelerators_agree(built):
    _, plan, found = built
    row = found.summary[found.summary["capacity_per_hour"].notna()].iloc[0]
    own = found.curve[
        (found.curve["use_case_id"] == row["use_case_id"]) & (found.curve["region"] == row["region"])
    ].iloc[-1]
    price = hourly_price(plan.options, row["accelerator_id"], row["region"])
    assert own["accelerators"] == pytest.approx(row["accelerators"])
    assert own["usd_per_month"] == pytest.approx(row["accelerators"] * price * 730)
    assert row["capacity_per_hour"] == pytest.approx(row["basis_per_hour"] * (1 + row["reserve"]))


def test_lead_time_is_the_longest_of_the_orders():
    orders = pd.DataFrame(
        {"accelerator_id": ["a", "a", "b"], "region": ["r"] * 3, "lead_time_weeks": [4.0, 20.0, np.nan]}
    )
    assert lead_weeks(orders, "a", "r") == 20
    assert lead_weeks(orders, "b", "r") == DEFAULT_LEAD_WEEKS
    assert lead_weeks(orders, "a", "elsewhere") == DEFAULT_LEAD_WEEKS


def test_price_is_on_demand_else_the_least():
    options = pd.DataFrame(
        {"accelerator_id": ["a", "a", "b"], "region": ["r"] * 3, "purchase_option": ["on_demand", "reserved_1y", "reserved_3y"],
         "usd_per_accelerator_hour_effective": [3.0, 2.0, 1.0]}
    )  # fmt: skip
    assert hourly_price(options, "a", "r") == 3.0
    assert hourly_price(options, "b", "r") == 1.0
    assert np.isnan(hourly_price(options, "c", "r"))


def test_pages_state_risk_and_price(mini_ws, built):
    inventory, _, found = built
    text = "\n".join(part.text for part in reserve_section(mini_ws, found).parts)
    assert "a fixed 20 % over the same basis" in text
    forecast = "\n".join(part.text for part in forecast_section(mini_ws, score_forecasts(mini_ws, inventory)).parts)
    assert "repeating the last week" in forecast


def test_a_history_without_enough_hours_says_so(mini_ws, built):
    from dataclasses import replace

    inventory, plan, _ = built
    few = inventory.windows[inventory.windows["window_start_utc"] >= pd.Timestamp("2026-10-29", tz="UTC")]
    short = size_reserves(mini_ws, replace(inventory, windows=few), plan)
    assert short.curve.empty
    assert all("needs at least" in note for note in short.summary["note"])
    assert "could not be tested" in reserve_section(mini_ws, short).parts[0].text
