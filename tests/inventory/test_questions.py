"""The three questions by hand: volume, cost, what an hour of outage puts at stake."""

import dataclasses
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory


@pytest.fixture(scope="module")
def table(mini_stages):
    return mini_stages.inventory.three_questions.set_index("use_case_id")


def test_what_is_it_doing(table):
    assert table.index.tolist() == ["chat", "models", "images", "total"]  # by cost, unknown last
    assert table.loc["chat", "units_month"] == 227_664
    assert table.loc["chat", "units_per_hour"] == pytest.approx(2 * 153)
    assert table.loc["chat", "units_per_peak_hour"] == 432  # both regions in one hour
    assert table.loc["models", "units_per_peak_hour"] == 8


def test_the_highest_hour_is_never_below_the_average(mini_ws):
    # half an hour on each side of the clock: 60 units a minute, 3,600 an hour
    times = pd.date_range("2026-10-12T10:30Z", periods=60, freq="min")
    windows = pd.DataFrame({"window_start_utc": times, "window_minutes": 1, "use_case_id": "chat", "region": "us",
                            "requests": 60, "errors": 0, "service_units": 60.0})  # fmt: skip
    windows = windows.reindex(columns=mini_ws.table("demand_windows").columns)
    ws = dataclasses.replace(mini_ws, tables={**mini_ws.tables, "demand_windows": windows})
    row = build_inventory(ws).three_questions.set_index("use_case_id").loc["chat"]
    assert row["units_per_hour"] == row["units_per_peak_hour"] == 3600


def test_what_does_it_cost_a_day(table):
    assert table.loc["chat", "usd"] == pytest.approx(29760.10)
    assert table.loc["chat", "cost_change_share"] == pytest.approx((29760.10 / 31) / (28800.10 / 30) - 1)
    september = 28800.10 / (30 * 24 * 2 * 100 * 0.98 * 34 / 24)
    assert table.loc["chat", "unit_cost_change_share"] == pytest.approx(29760.10 / 227_664 / september - 1, rel=1e-3)
    assert table.loc["images", ["usd", "cost_change_share"]].isna().all()
    assert table.loc["total", "usd"] == pytest.approx(29760.10 + 12000.000001)


def test_a_flat_monthly_charge_has_not_changed_whatever_the_days_of_the_month(mini_ws):
    bill = mini_ws.table("billing")
    like = bill[(bill["use_case"] == "chat") & (bill["cost_line"] == "attributed usage")].iloc[[0]]
    flat = [
        like.assign(month=month, invoice_month=month, EffectiveCost=Decimal(900)) for month in ("2026-09", "2026-10")
    ]
    ws = dataclasses.replace(mini_ws, tables={**mini_ws.tables, "billing": pd.concat(flat, ignore_index=True)})
    row = build_inventory(ws).three_questions.set_index("use_case_id").loc["chat"]
    assert (row["usd"], row["cost_change_share"]) == (900.0, 0.0)


def test_what_happens_if_it_fails(table):
    # value x attribution x units an hour: 0.01 x 0.5 x 306 and 432; 5 x 1 x the 240 h of 320 that succeeded / 744
    assert table.loc["chat", ["value_per_hour_usd", "value_per_peak_hour_usd"]].tolist() == pytest.approx([1.53, 2.16])
    assert table.loc["models", "value_per_hour_usd"] == pytest.approx(5 * 240 / 744)
    assert table.loc["images", "value_per_hour_usd"] == pytest.approx(0.05 * 110)
    known = table.drop(index="total")
    assert table.loc["total", "value_per_hour_usd"] == pytest.approx(known["value_per_hour_usd"].sum())
    assert (table["ask"] == "").all()
    assert table.loc["chat", "criticality"] == "customer_facing"
    assert table.loc["chat", "failure_rate"] == pytest.approx(2108 / 115_940)


def test_an_owner_who_has_not_said_the_value_is_asked(mini):
    path = mini / "use_cases.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",0.05,0.01,0.5,", ",0.05,,0.5,"), encoding="utf-8")
    table = build_inventory(load_workspace(mini)).three_questions.set_index("use_case_id")
    assert np.isnan(table.loc["chat", "value_per_hour_usd"])
    assert table.loc["chat", "ask"] == "ask head of service for the value of a unit"
    assert table.loc["total", "ask"] == "1 not known"
    assert table.loc["total", "value_per_hour_usd"] == pytest.approx(5 * 240 / 744 + 5.5)


def test_targets_missed_are_counted_of_those_measured(mini_ws):
    rows = {"month": "2026-10", "use_case_id": "chat", "region": "us", "bucket": 900, "count": 5}  # 8,000 ms
    histograms = pd.DataFrame(
        [{**rows, "metric": "ttft_ms"}, {**rows, "metric": "e2e_ms"}, {**rows, "metric": "queue_ms"}]
    )
    ws = dataclasses.replace(mini_ws, tables={**mini_ws.tables, "latency_histograms": histograms})
    table = build_inventory(ws).three_questions.set_index("use_case_id")
    assert table.loc["chat", ["targets", "targets_missed"]].tolist() == [2, 1]
    assert table.loc["total", ["targets", "targets_missed"]].tolist() == [2, 1]


def test_without_demand_nothing_is_asked(mini_ws):
    ws = dataclasses.replace(mini_ws, period="2026-01")
    assert build_inventory(ws).three_questions.empty


def test_a_target_inside_a_bucket_is_told_apart_from_one_that_nobody_measured(mini_ws):
    bounds = pd.DataFrame(
        [{"window_start_utc": pd.Timestamp("2026-10-05", tz="UTC"), "use_case_id": "chat", "region": "us",
          "metric": "ttft_ms", "lower_ms": 500.0, "upper_ms": 2000.0, "count": 10}]
    )  # fmt: skip
    ws = dataclasses.replace(mini_ws, tables={**mini_ws.tables, "latency_bounds": bounds})
    table = build_inventory(ws).three_questions.set_index("use_case_id")
    assert table.loc["chat", ["targets", "targets_missed", "targets_untold"]].tolist() == [0, 0, 1]
