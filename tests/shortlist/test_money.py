"""Penalties in money: compute, missed service, delay and porting over the horizon."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.shortlist.money import PARTS, PENALTY_COLUMNS, horizon_costs

H100, A100, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"


def forecast(months=36, use_case="chat", units=73_000.0, peak=200.0):
    rows = [
        {"scenario": name, "use_case_id": use_case, "units": units * factor, "units_per_hour_peak": peak * factor}
        for name, factor in (("conservative", 0.5), ("expected", 1.0), ("aggressive", 9.0))
        for _ in range(months)
    ]
    return SimpleNamespace(forecast=pd.DataFrame(rows))


def cells(*rows):
    base = {"use_case_id": "chat", "service_unit": "request", "accelerator_id": H100, "platform_class": "gpu",
            "units_per_s_per_accelerator": 0.01, "usd_per_accelerator_hour": 2.0, "failure_rate": 0.0}  # fmt: skip
    return pd.DataFrame([{**base, **row} for row in rows])


def one(ws, demand, **changes):
    return horizon_costs(ws, demand, cells(changes)).iloc[0]


def test_serving_pays_the_peak_with_reserve_all_month(mini_ws):
    # 200 an hour over 36 an hour each, 40 % reserve, 730 h, 36 months, 2 USD an hour
    assert one(mini_ws, forecast())["compute_usd"] == pytest.approx(200 / 36 * 1.4 * 730 * 36 * 2)


def test_training_pays_the_work_over_planning_utilisation(mini_ws):
    row = one(mini_ws, forecast(use_case="models", units=300.0), use_case_id="models",
              service_unit="accelerator_hour", units_per_s_per_accelerator=2 / 3600)  # fmt: skip
    assert row["compute_usd"] == pytest.approx(300 * 36 / 2 / 0.75 * 2.0)


def test_failed_units_cost_the_share_of_value_that_is_lost(mini_ws):
    # 5 % of 73,000 units a month at 0.01 USD, half attributed, half lost
    assert one(mini_ws, forecast(), failure_rate=0.05)["sla_miss_usd"] == pytest.approx(
        0.05 * 73_000 * 36 * 0.01 * 0.5 * 0.5
    )


def test_an_unknown_failure_rate_costs_nothing(mini_ws):
    assert one(mini_ws, forecast(), failure_rate=np.nan)["sla_miss_usd"] == 0.0


def test_a_move_to_another_class_costs_porting_and_delay(mini_ws):
    row = one(mini_ws, forecast(), accelerator_id=TPU, platform_class="tpu")
    assert (row["launch_delay_usd"], row["porting_usd"]) == (2 * 40_000, 5 * 16_000)


def test_a_move_inside_the_class_costs_neither(mini_ws):
    row = one(mini_ws, forecast())
    assert (row["launch_delay_usd"], row["porting_usd"]) == (0.0, 0.0)


def test_the_class_of_today_is_that_of_the_baseline(changed):
    ws = changed(plan={"baseline_accelerators": {"chat": TPU}})
    table = horizon_costs(ws, forecast(), cells({}, {"accelerator_id": TPU, "platform_class": "tpu"}))
    assert table["porting_usd"].tolist() == [0.5 * 16_000, 0.0]
    assert table["launch_delay_usd"].tolist() == [0.0, 0.0]


def test_a_class_without_an_entry_costs_nothing_to_move_to(changed):
    ws = changed(plan={"porting_person_months": {}, "launch_delay_months": {}})
    row = one(ws, forecast(), accelerator_id=TPU, platform_class="tpu")
    assert (row["launch_delay_usd"], row["porting_usd"]) == (0.0, 0.0)


def test_penalties_can_change_which_platform_is_cheapest(mini_ws):
    table = horizon_costs(
        mini_ws,
        forecast(),
        cells({}, {"accelerator_id": TPU, "platform_class": "tpu", "usd_per_accelerator_hour": 1.9}),
    )
    assert table["cheapest_before_penalties"].tolist() == [False, True]
    assert table["cheapest_after_penalties"].tolist() == [True, False]


def test_parts_add_up_and_unknown_prices_stay_unknown(mini_ws):
    table = horizon_costs(mini_ws, forecast(), cells({}, {"accelerator_id": A100, "usd_per_accelerator_hour": np.nan}))
    assert table.loc[0, "total_usd"] == table.loc[0, PARTS].sum()
    assert np.isnan(table.loc[1, "total_usd"])
    assert not table.loc[1, "cheapest_after_penalties"]


def test_a_cell_without_capacity_has_no_row(mini_ws):
    table = horizon_costs(mini_ws, forecast(), cells({}, {"accelerator_id": A100, "units_per_s_per_accelerator": 0.0}))
    assert table["accelerator_id"].tolist() == [H100]


def test_cells_without_capacity_have_no_row(mini_ws):
    rows = cells({"units_per_s_per_accelerator": 0.0}, {"units_per_s_per_accelerator": np.nan})
    table = horizon_costs(mini_ws, forecast(), rows)
    assert table.empty
    assert list(table.columns) == PENALTY_COLUMNS


def test_a_use_case_without_demand_has_no_cost(mini_ws):
    assert np.isnan(one(mini_ws, forecast(use_case="images"))["total_usd"])


def test_the_matrix_and_the_money_agree_on_the_tiny_workspace(road):
    costs = road.shortlist.penalties.set_index(["use_case_id", "accelerator_id"])
    cell = road.benchmark.capacity.set_index(["use_case_id", "accelerator_id"]).loc[("chat", H100)]
    expected = road.inventory.forecast.query("scenario == 'expected' and use_case_id == 'chat'")
    hours = expected["units_per_hour_peak"].sum() / (cell["units_per_s_per_accelerator"] * 3600) * 1.4 * 730
    assert costs.at[("chat", H100), "compute_usd"] == pytest.approx(hours * cell["usd_per_accelerator_hour"])
    assert costs.groupby("use_case_id")["cheapest_after_penalties"].sum().eq(1).all()


@given(st.floats(0.001, 100), st.floats(0.01, 50), st.floats(0, 1), st.floats(1, 1e4))
@settings(max_examples=30, deadline=None)
def test_costs_scale_with_demand_price_and_inverse_capacity(mini_ws, rate, price, failures, peak):
    demand = forecast(months=12, peak=peak, units=peak * 365)
    row = one(mini_ws, demand, units_per_s_per_accelerator=rate, usd_per_accelerator_hour=price, failure_rate=failures)
    assert row["compute_usd"] == pytest.approx(peak * 12 / (rate * 3600) * 1.4 * 730 * price)
    rework = 0.5 * 16_000 * 0.1 * 4 * 3
    assert row["total_usd"] == pytest.approx(row["compute_usd"] + peak * 365 * 12 * failures * 0.0025 + rework)


def test_each_change_of_prompts_costs_a_share_of_the_porting_again(changed, mini_ws):
    # stability is not stated: 4 changes a year for 3 years, a tenth of 5 person-months each
    chip = {"accelerator_id": TPU, "platform_class": "tpu"}
    assert one(mini_ws, forecast(), **chip)["rework_usd"] == pytest.approx(0.1 * 5 * 16_000 * 12)
    cases = mini_ws.table("use_cases").assign(demand_stability="stable")
    assert one(changed(use_cases=cases), forecast(), **chip)["rework_usd"] == pytest.approx(0.1 * 5 * 16_000 * 3)
    assert one(changed(plan={"rework_share": 0.0}), forecast(), **chip)["rework_usd"] == 0.0


def test_the_total_has_the_interval_of_capacity(mini_ws):
    row = one(mini_ws, forecast(), low=0.005, high=0.02)
    rest = row["total_usd"] - row["compute_usd"]
    assert row["total_low_usd"] == pytest.approx(rest + row["compute_usd"] / 2)
    assert row["total_high_usd"] == pytest.approx(rest + row["compute_usd"] * 2)
    assert one(mini_ws, forecast(), low=0.0, high=0.02)["total_high_usd"] == np.inf


def test_the_present_value_discounts_what_runs_and_not_what_is_paid_at_once(mini_ws):
    row = one(mini_ws, forecast(), accelerator_id=TPU, platform_class="tpu")
    factor = np.mean([(1 + mini_ws.plan.value("wacc")) ** (-month / 12) for month in range(1, 37)])
    once = row["porting_usd"] + row["launch_delay_usd"]
    assert row["present_value_usd"] == pytest.approx(once + (row["total_usd"] - once) * factor)
