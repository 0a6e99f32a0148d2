"""Drift of lengths and mix against earlier months, and tokens per request."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.stability import chance_index, stability_index
from aifactory.inputs.telemetry import log_bucket
from aifactory.inventory import demand
from aifactory.inventory.drift import base_months, drift, token_growth


def with_tables(ws, **tables):
    return dataclasses.replace(ws, tables={**ws.tables, **tables})


def lengths(values, month, metric="input_tokens"):
    buckets, counts = np.unique(log_bucket(np.asarray(values, dtype=float)), return_counts=True)
    rows = {"month": month, "use_case_id": "chat", "region": "us", "metric": metric}
    return pd.DataFrame({**rows, "bucket": buckets, "count": counts})


def monthly(rows):
    return pd.DataFrame(rows, columns=["month", "use_case_id", "region", "requests"])


NOTHING = monthly([])


def test_the_month_before_and_the_oldest_of_a_year_are_the_bases():
    months = [str(month) for month in pd.period_range("2025-01", "2026-10", freq="M")]
    assert base_months(months, "2026-10") == ["2026-09", "2025-10"]
    assert base_months(["2026-10", "2026-11"], "2026-10") == []
    assert base_months(["2026-09", "2026-10"], "2026-10") == ["2026-09"]


@pytest.mark.parametrize(("factor", "word"), [(1.0, "stable"), (1.5, "watch"), (2.5, "shifted")])
def test_longer_prompts_are_told_by_their_size(mini_ws, factor, word):
    base = np.exp(np.random.default_rng(1).normal(6, 1, 20_000))
    now = np.exp(np.random.default_rng(2).normal(6, 1, 20_000)) * factor
    table = pd.concat([lengths(base, "2026-09"), lengths(now, "2026-10")], ignore_index=True)
    row = drift(with_tables(mini_ws, latency_histograms=table), NOTHING).iloc[0]
    assert (row["use_case_id"], row["what"], row["compared_with"]) == ("chat", "prompt length", "2026-09")
    assert (row["verdict"], row["cells"], row["requests"]) == (word, 10, 20_000)
    # an index of equal normal laws is the squared shift in deviations
    assert row["stability_index"] == pytest.approx(np.log(factor) ** 2, rel=0.12, abs=0.003)
    assert row["moved"].startswith(f"mean {base.mean():,.0f}"[:7])


def test_a_handful_of_requests_proves_nothing(mini_ws):
    table = pd.concat([lengths([100, 200, 300], "2026-09"), lengths([900, 950], "2026-10")], ignore_index=True)
    assert drift(with_tables(mini_ws, latency_histograms=table), NOTHING)["verdict"].tolist() == ["not proven"]


def test_the_mix_by_hand(mini_ws):
    rows = [("2026-09", "chat", "us", 8000), ("2026-09", "chat", "eu", 2000), ("2026-10", "chat", "us", 6000),
            ("2026-10", "chat", "eu", 4000), ("2026-10", "models", "us", 10**9)]  # fmt: skip
    table = drift(mini_ws, monthly(rows)).set_index(["use_case_id", "what"])
    row = table.loc[("chat", "mix of regions")]
    base, now = np.array([2000, 8000]), np.array([4000, 6000])
    assert row["stability_index"] == pytest.approx(stability_index(base, now))
    assert row["chance_index"] == pytest.approx(chance_index(base, now))
    assert (row["verdict"], row["cells"]) == ("watch", 2)
    assert row["moved"] in ("eu +20.0 points", "us \N{MINUS SIGN}20.0 points")
    # training is no request of a service, so one use case is left and has no mix
    assert table.index.tolist() == [("all", "mix of regions"), ("chat", "mix of regions")]


def test_a_launch_shifts_the_mix_of_use_cases(mini_ws):
    rows = [("2026-09", "chat", "us", 1000), ("2026-10", "chat", "us", 1000), ("2026-10", "images", "us", 500)]
    table = drift(mini_ws, monthly(rows)).set_index("what")
    assert table.loc["mix of use cases", "verdict"] == table.loc["mix of models", "verdict"] == "shifted"
    assert "33.3 points" in table.loc["mix of use cases", "moved"]


def test_tenants_are_a_mix_too(mini_ws):
    keys = {"use_case_id": "chat", "region": "us"}
    rows = [{**keys, "month": m, "tenant": t, "requests": r} for m, t, r in
            [("2026-09", "a", 900), ("2026-09", "b", 100), ("2026-10", "a", 300), ("2026-10", "b", 700)]]  # fmt: skip
    table = drift(with_tables(mini_ws, tenant_usage=pd.DataFrame(rows)), NOTHING)
    assert table[["use_case_id", "what", "verdict"]].to_numpy().tolist() == [["chat", "mix of tenants", "shifted"]]


def test_without_an_earlier_month_there_is_no_drift(mini_ws):
    assert drift(mini_ws, monthly([("2026-10", "chat", "us", 5), ("2026-10", "images", "eu", 5)])).empty
    assert drift(mini_ws, NOTHING).empty


# tokens per request


def test_tokens_per_request_by_hand(mini_ws):
    table = token_growth(mini_ws, demand.all_windows(mini_ws)).set_index(["use_case_id", "tokens"])
    assert table.index.tolist() == [("chat", "input_tokens"), ("chat", "output_tokens")]
    assert table.loc[("chat", "input_tokens"), ["per_request_before", "per_request", "change"]].tolist() == [
        500,
        500,
        0,
    ]
    assert table.loc[("chat", "output_tokens"), "compared_with"] == "2026-09"
    assert np.isnan(table.loc[("chat", "output_tokens"), "growth_per_month"])  # two months are no trend


def test_requests_of_a_session_are_their_own_driver(mini_ws):
    cases = mini_ws.table("use_cases").copy()
    cases.loc[cases["use_case_id"] == "chat", "service_unit"] = "session"
    windows = mini_ws.table("demand_windows").copy()
    windows["service_units"] = windows["requests"] / 8.0
    october = windows["window_start_utc"] >= pd.Timestamp("2026-10-01", tz="UTC")
    windows.loc[october, "service_units"] = windows.loc[october, "requests"] / 10.0
    row = token_growth(with_tables(mini_ws, use_cases=cases), windows).set_index("tokens").loc["requests_per_unit"]
    assert (row["per_request_before"], row["per_request"], row["change"]) == (8, 10, 0.25)
    assert "requests_per_unit" not in set(token_growth(mini_ws, windows)["tokens"])  # counted in requests


def test_windows_without_tokens_do_not_dilute(mini_ws):
    windows = mini_ws.table("demand_windows").copy()
    october = windows["window_start_utc"] >= pd.Timestamp("2026-10-01", tz="UTC")
    windows.loc[october, "input_tokens"] = windows.loc[october, "input_tokens"] * 2
    windows.loc[windows["region"] == "eu", "input_tokens"] = pd.NA
    row = token_growth(mini_ws, windows).set_index("tokens").loc["input_tokens"]
    assert (row["per_request_before"], row["per_request"], row["change"]) == (500, 1000, 1.0)


def test_a_month_without_tokens_has_no_row(mini_ws):
    windows = mini_ws.table("demand_windows").assign(
        input_tokens=pd.array([pd.NA] * len(mini_ws.table("demand_windows")), "Int64")
    )
    assert token_growth(mini_ws, windows)["tokens"].tolist() == ["output_tokens"]
    assert token_growth(mini_ws, windows.iloc[:0]).empty
