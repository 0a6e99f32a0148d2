"""Concentration of the month on tenants."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from aifactory.inventory import demand
from aifactory.inventory.tenants import tenant_concentration


def concentration(ws, *rows):
    columns = ["month", "region", "tenant", "requests", "input_tokens", "output_tokens"]
    frame = pd.DataFrame(rows, columns=columns).assign(use_case_id="chat")
    counts = ["requests", "input_tokens", "output_tokens"]
    used = dataclasses.replace(ws, tables={**ws.tables, "tenant_usage": frame.astype(dict.fromkeys(counts, "Int64"))})
    windows = demand.all_windows(ws)
    return tenant_concentration(used, demand.demand_by_month(ws, windows)).set_index("use_case_id")


def test_by_hand(mini_ws):
    # chat got 115,940 requests in each of two regions: half of them are known by tenant
    table = concentration(
        mini_ws,
        ("2026-10", "us", "a", 50_000, 900, 100),
        ("2026-10", "eu", "a", 20_000, 0, 0),
        ("2026-10", "us", "b", 30_000, 2_000, None),
        ("2026-10", "us", "c", 15_940, 1_000, 0),
        ("2026-09", "us", "c", 999_999, 1, 1),
    )
    row = table.loc["chat"]
    assert row["tenants"] == 3
    assert row["known_share"] == pytest.approx(0.5)
    shares = np.array([70_000, 30_000, 15_940]) / 115_940
    assert row["requests_index"] == pytest.approx((shares**2).sum())
    assert row["requests_as_equals"] == pytest.approx(1 / (shares**2).sum())
    assert row[["requests_top_1_share", "requests_top_tenth_share"]].tolist() == pytest.approx([shares[0]] * 2)
    assert row["requests_top_10_share"] == 1.0
    assert row[["tokens_top_1_share", "tokens_index"]].tolist() == pytest.approx([0.5, 0.25 + 2 * 0.0625])


def test_a_use_case_without_tenants_is_not_measured_and_training_has_none(mini_ws):
    table = concentration(mini_ws, ("2026-10", "us", "a", 10, None, None))
    assert table.index.tolist() == ["chat", "images"]
    assert table.loc["images", ["tenants", "known_share"]].tolist() == [0, 0.0]
    assert table.loc["images"].drop(["tenants", "known_share"]).isna().all()
    assert table.loc["chat", "requests_index"] == 1.0
    assert np.isnan(table.loc["chat", "tokens_index"])


def test_the_sample_is_as_concentrated_as_its_generator_says(sample_ws):
    table = tenant_concentration(sample_ws, demand.demand_by_month(sample_ws, sample_ws.table("demand_windows")))
    table = table.set_index("use_case_id")
    assert table.loc[table["tenants"] > 0, "known_share"].tolist() == [1.0] * 4
    raw = sample_ws.month("tenant_usage").groupby(["use_case_id", "tenant"])["requests"].sum()["support-chat"]
    share = raw / raw.sum()
    assert table.loc["support-chat", "requests_index"] == pytest.approx((share**2).sum())
    assert table.loc["support-chat", "requests_top_10_share"] == pytest.approx(share.nlargest(10).sum())
