"""Quantiles of buckets with bounds of their own: intervals that hold the truth, and what they say of a limit."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inputs.telemetry import log_bucket
from aifactory.inventory import findings, service
from aifactory.inventory.latency import over_limit, quantile_interval, within

EDGES = [0.0, 100.0, 500.0, 1000.0, 5000.0, np.inf]
EMPTY = pd.DataFrame()


def bounds(counts, metric="ttft_ms", use_case="chat", region="us", day="2026-10-05"):
    """Requests in the buckets of EDGES on one day."""
    rows = {"window_start_utc": pd.Timestamp(day, tz="UTC"), "use_case_id": use_case, "region": region}
    table = pd.DataFrame({**rows, "metric": metric, "lower_ms": EDGES[:-1], "upper_ms": EDGES[1:], "count": counts})
    return table[table["count"] > 0].replace(np.inf, np.nan).reset_index(drop=True)


def levels(ws, *parts, **tables):
    held = {"latency_bounds": pd.concat(parts, ignore_index=True), **tables}
    return service.service_levels(dataclasses.replace(ws, tables={**ws.tables, **held}), EMPTY)


def test_intervals_by_hand(mini_ws):
    row = levels(mini_ws, bounds([60, 30, 5, 4, 1])).iloc[0]  # of 100: rank 50, 95 and 99
    assert [row["p50_low"], row["p50_high"]] == [0.0, 100.0]
    assert [row["p95_low"], row["p95_high"]] == [500.0, 1000.0]
    assert [row["p99_low"], row["p99_high"]] == [1000.0, 5000.0]
    assert row[["p50", "p95", "p99"]].isna().all()  # never a point
    assert row["count"] == 100
    assert row["slo"] == 1000.0
    assert row["meets_slo"]


def test_days_of_the_month_add_up_and_other_months_do_not(mini_ws):
    parts = [
        bounds([94, 0, 0, 0, 0]),
        bounds([0, 0, 0, 6, 0], day="2026-10-31"),
        bounds([0, 0, 0, 0, 900], day="2026-09-30"),
    ]
    row = levels(mini_ws, *parts).iloc[0]
    assert [row["count"], row["p95_low"], row["p95_high"]] == [100, 1000.0, 5000.0]
    assert not row["meets_slo"]  # longer than 1,000 ms, wherever it lies


def test_a_limit_inside_the_bucket_is_neither_met_nor_missed(mini_ws):
    cases = mini_ws.table("use_cases").assign(slo_p95_ttft_ms=700.0)
    table = levels(mini_ws, bounds([60, 30, 5, 4, 1]), use_cases=cases)
    assert pd.isna(table["meets_slo"].iloc[0])
    assert np.isnan(over_limit(table).iloc[0])
    assert findings.gaps(EMPTY, EMPTY, table, EMPTY) == []


def test_requests_of_the_same_metric_say_it_better(mini_ws):
    buckets, counts = np.unique(log_bucket(np.full(10, 700.0)), return_counts=True)
    rows = {"month": "2026-10", "use_case_id": "chat", "region": "us", "metric": "ttft_ms"}
    points = pd.DataFrame({**rows, "bucket": buckets, "count": counts})
    table = levels(mini_ws, bounds([9, 0, 0, 0, 0]), bounds([0, 0, 0, 9, 0], "e2e_ms"), latency_histograms=points)
    assert table["metric"].tolist() == ["e2e_ms", "ttft_ms"]
    assert table["p95"].tolist() == [pytest.approx(np.nan, nan_ok=True), pytest.approx(700, rel=0.0051)]


def test_a_missed_limit_is_said_with_what_is_known(mini_ws):
    table = levels(mini_ws, bounds([50, 0, 0, 50, 0]))
    text = findings.gaps(EMPTY, EMPTY, table, EMPTY)[0].text
    assert text == "chat in us missed its p95 TTFT of 1,000 ms: more than 1,000 ms."


def test_a_point_at_its_limit_meets_it():
    rows = pd.DataFrame({"p95_low": [5.0, 5.0], "p95_high": [5.0, 9.0], "slo": [5.0, 5.0]})
    assert within(rows).tolist() == [True, False]  # every value of a bucket is above its lower bound


def test_nothing_counted_has_no_quantile():
    none = np.empty(0)
    assert np.isnan(quantile_interval(none, none, none, 0.5)).all()


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0.001, 9000), st.booleans()), min_size=1, max_size=60),
    st.sampled_from([0.5, 0.95, 0.99]),
)
def test_the_interval_holds_the_quantile_whatever_buckets_servers_have(requests, q):
    values = np.array([value for value, _ in requests])
    other = np.array([0.0, 40.0, 700.0, np.inf])  # half of the requests are counted by a server with these
    edges = [other if odd else np.array(EDGES) for _, odd in requests]
    at = [int(np.searchsorted(held, value)) for held, value in zip(edges, values, strict=True)]
    lower = np.array([held[i - 1] for held, i in zip(edges, at, strict=True)])
    upper = np.array([held[i] for held, i in zip(edges, at, strict=True)])
    low, high = quantile_interval(lower, upper, np.ones(len(values), dtype=int), q)
    assert low <= np.quantile(values, q, method="inverted_cdf") <= high
