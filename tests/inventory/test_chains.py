"""Demand taken apart into factors: both products hold in every row, measured or planned."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.unit_size import Creep
from aifactory.inventory.basis import day_peaks_of, size_growth, weekly_units
from aifactory.inventory.chains import CHAIN, CHAIN_COLUMNS, GROWN, MEASURED, STATED, chain_table, stated_lengths
from aifactory.inventory.forecast_scores import score_forecasts
from aifactory.report.inventory_outlook import adoption_section, class_rows, outlook


@pytest.fixture(scope="module")
def inventory(mini_stages):
    return mini_stages.inventory


def chain(name, **values):
    rows = [
        {"use_case_id": name, "factor": factor, "value": value, "source": "test"} for factor, value in values.items()
    ]
    return pd.DataFrame(rows).assign(region=None, low=np.nan, high=np.nan)


def with_tables(ws, **tables):
    return replace(ws, tables={**ws.tables, **tables})


def test_a_measured_use_case_by_hand(mini_ws, inventory):
    table = chain_table(mini_ws, inventory.demand_monthly)
    assert list(table.columns) == CHAIN_COLUMNS
    row = table.set_index("use_case_id").loc["chat"]
    # the mini company: 500 input tokens a request of which 100 cached, 100 output
    tokens = ["uncached_input_tokens_per_request", "cached_input_tokens_per_request", "output_tokens_per_request"]
    assert row[tokens].tolist() == pytest.approx([400, 100, 100])
    assert row["tokens_month"] == pytest.approx(row["units_month"] * row["requests_per_unit"] * 600)
    assert row["basis"] == MEASURED
    assert np.isnan(row["seats"])


def test_seats_of_a_measured_use_case_give_units_per_seat(mini_ws, inventory):
    ws = with_tables(mini_ws, demand_chain=chain("chat", seats=200.0, active_share=0.5))
    row = chain_table(ws, inventory.demand_monthly).set_index("use_case_id").loc["chat"]
    assert row["units_per_seat_month"] * 100 == pytest.approx(row["units_month"])


def test_a_planned_and_a_stated_use_case(mini_ws, inventory):
    cases = mini_ws.table("use_cases")
    chat = cases[cases["use_case_id"] == "chat"]
    coming = chat.assign(use_case_id="pilot")
    said = chat.assign(use_case_id="said", stated_units_per_month=700.0)
    ws = with_tables(
        mini_ws,
        use_cases=pd.concat([cases, coming, said], ignore_index=True),
        demand_chain=chain("pilot", seats=100.0, active_share=0.5, units_per_seat_month=20.0, requests_per_unit=2.0, input_tokens_per_request=1000.0, cached_input_share=0.25, output_tokens_per_request=50.0),
    )  # fmt: skip
    table = chain_table(ws, inventory.demand_monthly).set_index("use_case_id")
    assert table.loc["pilot", "units_month"] == 1000.0
    assert table.loc["pilot", "tokens_month"] == 1000 * 2 * 1050
    assert table.loc["pilot", ["uncached_input_tokens_per_request", "cached_input_tokens_per_request"]].tolist() == [750, 250]  # fmt: skip
    assert table.loc["pilot", "basis"] == CHAIN
    assert table.loc["said", ["units_month", "basis"]].tolist() == [700.0, STATED]


def test_a_use_case_to_come_that_counts_requests_needs_no_requests_per_unit(mini_ws, inventory):
    cases = mini_ws.table("use_cases")
    chat = cases[cases["use_case_id"] == "chat"]
    coming = [
        chat.assign(use_case_id="pilot", service_unit="request"),
        chat.assign(use_case_id="talks", service_unit="session"),
    ]
    sizes = {
        "seats": 100.0,
        "active_share": 0.5,
        "units_per_seat_month": 20.0,
        "input_tokens_per_request": 1000.0,
        "output_tokens_per_request": 50.0,
    }
    factors = pd.concat([chain("pilot", **sizes), chain("talks", **sizes)], ignore_index=True)
    ws = with_tables(mini_ws, use_cases=pd.concat([cases, *coming], ignore_index=True), demand_chain=factors)
    lengths = stated_lengths(factors, ws.table("use_cases"))
    assert lengths.loc["pilot", ["requests_per_unit", "output_tokens_per_unit"]].tolist() == [1.0, 50.0]
    assert lengths.loc["talks", ["requests_per_unit", "output_tokens_per_unit"]].isna().all()
    # 100 x 0.5 x 20 = 1,000 requests of 1,050 tokens
    table = chain_table(ws, inventory.demand_monthly).set_index("use_case_id")
    assert table.loc["pilot", ["requests_per_unit", "tokens_month"]].tolist() == [1.0, 1_050_000.0]
    assert np.isnan(table.loc["talks", "tokens_month"])


def test_size_of_a_request_grows_with_its_tokens_by_their_prices():
    prices = pd.DataFrame({"input_usd_per_mtok": [1.0, 2.0], "output_usd_per_mtok": [4.0, 8.0]})
    growth = pd.DataFrame(
        {"use_case_id": ["a", "a", "b"], "tokens": ["input_tokens", "output_tokens", "input_tokens"], "per_request": [600.0, 100.0, 50.0],
         "growth_per_month": [0.02, 0.0, np.nan], "growth_log_sd": [0.01, 0.01, np.nan]}
    )  # fmt: skip
    found = size_growth(growth, prices, 0.02)
    assert (found["a"].growth, found["a"].log_sd) == (pytest.approx(0.02 * 600 / 1000), pytest.approx(0.01))
    assert (found["b"].growth, found["b"].log_sd) == (0.0, 0.02)  # no trend yet: the doubt of the prior


def test_growth_of_the_work_of_a_unit_stands_in_the_chain(mini_ws, inventory):
    creep = {"chat": Creep(0.012, 0.04)}
    table = chain_table(mini_ws, inventory.demand_monthly, creep).set_index("use_case_id")
    drift = mini_ws.plan.value("size_drift_sd")
    half = 1.2815515655446004 * np.hypot(0.04, drift)
    wanted = [0.012, 1.012 * np.exp(-half) - 1, 1.012 * np.exp(half) - 1]
    assert table.loc["chat", GROWN].tolist() == pytest.approx(wanted)
    assert table.loc["images", GROWN].isna().all()  # nothing counts what an image holds


def test_weeks_of_a_young_use_case():
    stamps = pd.date_range("2026-10-01", periods=31 * 24, freq="h", tz="UTC", unit="us")
    windows = pd.DataFrame({"use_case_id": "new", "window_start_utc": stamps, "service_units": 2.0})
    profile = pd.DataFrame({"use_case_id": ["new"], "growth_months": [1], "growth_log_sd": [np.nan]})
    assert weekly_units(windows, profile, "2026-10", {}, 0.03)["new"].tolist() == [336.0] * 4
    older = profile.assign(growth_months=6, growth_log_sd=0.01)
    assert weekly_units(windows, older, "2026-10", {"new": stamps[0]}, 0.03) == {}


def test_a_short_trend_of_a_known_launch_leaves_the_word_to_adoption():
    """Launched on 1 September, seen from 10 September on: the first two weeks were not seen whole."""
    stamps = pd.date_range("2026-09-10", "2026-10-31 23:00", freq="h", tz="UTC", unit="us")
    windows = pd.DataFrame({"use_case_id": "new", "window_start_utc": stamps, "service_units": 2.0})
    profile = pd.DataFrame({"use_case_id": ["new"], "growth_months": [5], "growth_log_sd": [0.025]})
    launch = pd.Timestamp("2026-09-01", tz="UTC")
    weeks = weekly_units(windows, profile, "2026-10", {"new": launch}, 0.03)["new"]
    np.testing.assert_array_equal(weeks, [np.nan, np.nan, *[336.0] * 6])
    assert weekly_units(windows, profile, "2026-10", {}, 0.03) == {}  # nobody knows when it was launched


def test_the_outlook_shows_bands_beside_the_backtest(mini_ws, inventory):
    scores = score_forecasts(mini_ws, inventory)
    rows = class_rows(inventory, scores)
    assert (rows["year_p10"] <= rows["year_p50"]).all()
    assert rows["mase"].notna().any()
    text = "\n".join(part.text for part in outlook(mini_ws, inventory, scores).parts if hasattr(part, "text"))
    assert "P10, P50 and P90 of 4,000 simulated paths" in text
    empty = replace(inventory, scenarios=replace(inventory.scenarios, total=inventory.scenarios.total.iloc[:0]))
    assert "No demand could be forecast" in outlook(mini_ws, empty, scores).parts[0].text


def test_the_adoption_page_says_what_it_rests_on(mini_ws, inventory, sample_ws, sample_stages):
    assert "No use case follows an adoption curve" in adoption_section(mini_ws, inventory).parts[0].text
    sample = sample_stages.inventory
    group = adoption_section(sample_ws, sample)
    text, end = group.parts[0].text, sample.scenarios.use_cases["month"].max()
    row = sample.scenarios.use_cases.set_index(["use_case_id", "month"]).loc[("voice-agent", end)]
    expected = sample.forecast.query("use_case_id == 'voice-agent' and month == @end and scenario == 'expected'")[
        "units"
    ].sum()
    assert (
        f"In the middle of the paths (P50) Voice agent for bookings asks for {row['p50']:,.0f} sessions"
        in text.replace("\xa0", " ")
    )
    assert expected > 1.05 * row["p50"]  # the plan's scenario is not the median of one use case
    assert f"holds {expected:,.0f}." in text.replace("\xa0", " ")
    assert "priors only: nothing was measured yet" in "\n".join(part.text for part in group.parts if hasattr(part, "text"))  # fmt: skip


def test_days_kept_by_the_day_show_the_peaks_of_months():
    """Last November by the day, four of them at three times the rest; hours since; weeks before all that say nothing of days."""
    days = pd.date_range("2025-09-01", "2026-07-31", tz="UTC")
    old = pd.DataFrame({"window_start_utc": days, "window_minutes": 1440, "service_units": 24.0})
    old.loc[old["window_start_utc"].between("2025-11-27", "2025-11-30"), "service_units"] = 72.0
    hours = pd.date_range("2026-08-01", "2026-10-31 23:00", freq="h", tz="UTC")
    new = pd.DataFrame({"window_start_utc": hours, "window_minutes": 60, "service_units": 1.0})
    weeks = pd.date_range("2025-05-05", "2025-08-18", freq="7D", tz="UTC")
    coarse = pd.DataFrame({"window_start_utc": weeks, "window_minutes": 10_080, "service_units": 168.0})
    windows = pd.concat([coarse, old, new], ignore_index=True).assign(use_case_id="search", region="eu")
    profile = pd.DataFrame({"use_case_id": ["search"], "lumpy": [False]})
    found = day_peaks_of(windows, profile, "2026-10")
    assert list(found) == [("search", "eu")] and found["search", "eu"][10] == pytest.approx(3 / (38 / 30))
    assert day_peaks_of(windows, profile.assign(lumpy=True), "2026-10") == {}
    assert day_peaks_of(windows, profile.assign(service_unit="accelerator_hour"), "2026-10") == {}
    assert day_peaks_of(windows[windows["window_minutes"] < 1440], profile, "2026-10") == {}
