"""Request rows to windows and log histograms that can be added."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inputs.telemetry import (
    BUCKET_OF_ZERO,
    GAMMA,
    HISTOGRAMMED,
    aggregate_requests,
    bucket_value,
    conform,
    histogram_quantile,
    log_bucket,
    with_sessions_counted,
)

VALUES = st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=80)
KEYS = ["month", "use_case_id", "region", "metric", "bucket"]
WINDOW = ["window_start_utc", "window_minutes", "use_case_id", "region"]


def requests(*rows):
    base = {"timestamp_utc": "2026-10-05T09:00:00Z", "use_case_id": "chat", "region": "us", "status": "ok"}
    frame = pd.DataFrame([{"request_id": str(n)} | base | row for n, row in enumerate(rows)])
    frame["timestamp_utc"] = pd.to_datetime(frame["timestamp_utc"], format="ISO8601", utc=True)
    return conform(frame, "requests")


CASES = pd.DataFrame({"use_case_id": ["agent", "chat"], "service_unit": ["session", "request"]})


def test_a_session_counts_once_where_it_began():
    """Agent: s1 began at 9 though its row stands last, its failed first try counts nothing; r3 names no session."""
    rows = requests(
        {"use_case_id": "agent", "session_id": "s1", "timestamp_utc": "2026-10-05T10:00:00Z"},
        {"use_case_id": "agent", "session_id": "s2", "service_units": 4.0},
        {"use_case_id": "agent", "session_id": "s1", "timestamp_utc": "2026-10-05T08:00:00Z", "status": "error"},
        {"use_case_id": "agent"},
        {"use_case_id": "agent", "session_id": "s1"},
        {"use_case_id": "chat", "session_id": "s1"},
        {"use_case_id": "chat", "session_id": "s1"},
    )
    windows, _ = aggregate_requests(with_sessions_counted(rows, CASES))
    hours = windows["window_start_utc"].dt.floor("h").dt.hour
    units = windows.groupby(["use_case_id", hours])["service_units"].sum()
    assert units.to_dict() == {("agent", 8): 0.0, ("agent", 9): 6.0, ("agent", 10): 0.0, ("chat", 9): 2.0}
    assert windows.groupby("use_case_id")["requests"].sum().to_dict() == {"agent": 5, "chat": 2}
    assert rows["service_units"].isna().sum() == 6  # the rows themselves stay as they came


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 47)), min_size=1, max_size=40))
def test_sessions_are_as_many_as_begin_well(drawn):
    start = pd.Timestamp("2026-10-05T00:00:00Z")
    rows = requests(
        *(
            {
                "use_case_id": "agent",
                "session_id": f"s{name}",
                "status": "ok" if ok else "error",
                "timestamp_utc": start + pd.Timedelta(hours=hour),
            }
            for name, ok, hour in drawn
        )
    )
    units = with_sessions_counted(rows, CASES)["service_units"]
    assert units.sum() == len({name for name, ok, _ in drawn if ok})
    assert units.isna().tolist() == [not ok for _, ok, _ in drawn]


def test_bucket_of_known_values():
    assert log_bucket(np.array([0.0, -1.0, 1.0, GAMMA, GAMMA**2, 100.0])).tolist() == [
        BUCKET_OF_ZERO, BUCKET_OF_ZERO, 0, 1, 2, 461,
    ]  # fmt: skip


@given(st.integers(-700, 2500))
@settings(max_examples=60)
def test_a_power_of_gamma_lies_in_its_own_bucket(power):
    assert log_bucket(np.array([GAMMA**power]))[0] == power


@given(VALUES)
@settings(max_examples=60)
def test_a_bucket_stands_for_its_values_within_half_a_percent(values):
    values = np.array(values)
    buckets = log_bucket(values)
    assert (np.abs(bucket_value(buckets) / values - 1) <= 0.005 + 1e-9).all()
    assert (values <= GAMMA**buckets * (1 + 1e-9)).all()
    assert (values > GAMMA ** (buckets - 1) * (1 - 1e-9)).all()


def test_zero_stays_zero():
    assert bucket_value(np.array([BUCKET_OF_ZERO])).tolist() == [0.0]


@given(VALUES, st.floats(0, 1))
@settings(max_examples=60)
def test_a_quantile_is_within_half_a_percent_of_the_exact_one(values, q):
    buckets, counts = np.unique(log_bucket(np.array(values)), return_counts=True)
    exact = np.quantile(values, q, method="inverted_cdf")
    assert histogram_quantile(buckets, counts, q) == pytest.approx(exact, rel=0.005 + 1e-9)


@given(VALUES, st.floats(0, 1), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_a_quantile_does_not_depend_on_the_order_of_buckets(values, q, random):
    buckets, counts = np.unique(log_bucket(np.array(values)), return_counts=True)
    order = list(range(len(buckets)))
    random.shuffle(order)
    assert histogram_quantile(buckets[order], counts[order], q) == histogram_quantile(buckets, counts, q)


@pytest.mark.parametrize(
    ("q", "expected"), [(0, 10), (0.25, 10), (0.26, 20), (0.5, 20), (0.75, 30), (0.76, 40), (1, 40)]
)
def test_a_quantile_is_the_value_at_its_rank(q, expected):
    buckets = log_bucket(np.array([10.0, 20.0, 30.0, 40.0]))
    assert histogram_quantile(buckets, np.ones(4), q) == pytest.approx(expected, rel=0.005)


def test_nothing_counted_has_no_quantile():
    assert math.isnan(histogram_quantile(np.array([]), np.array([]), 0.5))
    assert math.isnan(histogram_quantile(np.array([3]), np.array([0]), 0.5))


def test_a_window_adds_what_happened_in_its_minute():
    windows, _ = aggregate_requests(
        requests(
            {"service_units": 3.0, "input_tokens": 100, "cached_input_tokens": 40, "output_tokens": 10},
            {"timestamp_utc": "2026-10-05T09:00:59.999Z", "is_retry": True, "input_tokens": 1},
            {"timestamp_utc": "2026-10-05T09:01:00Z", "status": "error", "service_units": 5.0},
            {"timestamp_utc": "2026-10-05T09:01:00Z", "status": "cancelled", "region": "eu"},
        )
    )
    rows = windows.set_index(["window_start_utc", "region"])
    first = rows.loc[(pd.Timestamp("2026-10-05T09:00Z"), "us")]
    assert (first["requests"], first["errors"], first["retries"], first["service_units"]) == (2, 0, 1, 4.0)
    assert (first["input_tokens"], first["cached_input_tokens"], first["output_tokens"]) == (101, 40, 10)
    failed = rows.loc[(pd.Timestamp("2026-10-05T09:01Z"), "us")]
    assert (failed["requests"], failed["errors"], failed["service_units"]) == (1, 1, 0.0)
    assert rows.loc[(pd.Timestamp("2026-10-05T09:01Z"), "eu"), "errors"] == 1
    assert len(windows) == 3


def test_what_nobody_counted_stays_unknown():
    windows, _ = aggregate_requests(requests({}, {}))
    assert windows[["retries", "input_tokens", "cached_input_tokens", "output_tokens"]].isna().all(axis=None)


def test_time_per_output_token_leaves_out_the_first():
    _, histograms = aggregate_requests(requests({"ttft_ms": 100, "e2e_ms": 1100, "output_tokens": 11}))
    tpot = histograms[histograms["metric"] == "tpot_ms"]
    assert bucket_value(tpot["bucket"].to_numpy())[0] == pytest.approx(100, rel=0.005)


def test_an_answer_of_one_token_has_no_time_per_token():
    _, histograms = aggregate_requests(requests({"ttft_ms": 100, "e2e_ms": 1100, "output_tokens": 1}))
    assert "tpot_ms" not in set(histograms["metric"])


def test_failed_requests_do_not_count_in_latency():
    _, histograms = aggregate_requests(requests({"e2e_ms": 5}, {"e2e_ms": 9000, "status": "error"}))
    assert histograms["count"].sum() == 1


ROW = st.fixed_dictionaries(
    {
        "timestamp_utc": st.sampled_from(["2026-10-05T09:00:00Z", "2026-10-05T09:00:30Z", "2026-11-01T00:00:00Z"]),
        "use_case_id": st.sampled_from(["chat", "code"]),
        "region": st.sampled_from(["us", "eu"]),
        "status": st.sampled_from(["ok", "error", "cancelled"]),
        "is_retry": st.booleans(),
        "input_tokens": st.integers(0, 10_000),
        "output_tokens": st.integers(0, 1000),
        "ttft_ms": st.floats(0, 1000),
        "e2e_ms": st.floats(1000, 9000),
    }
)


@given(st.lists(ROW, min_size=2, max_size=30), st.data())
@settings(max_examples=20)
def test_two_halves_add_up_to_the_whole(rows, data):
    cut = data.draw(st.integers(1, len(rows) - 1))
    whole, first, second = (aggregate_requests(requests(*part)) for part in (rows, rows[:cut], rows[cut:]))
    windows = pd.concat([first[0], second[0]]).groupby(WINDOW, as_index=False).sum(min_count=1)
    pd.testing.assert_frame_equal(conform(windows, "demand_windows"), whole[0])
    together = pd.concat([first[1], second[1]]).groupby(KEYS)["count"].sum()
    pd.testing.assert_series_equal(together.sort_index(), whole[1].set_index(KEYS)["count"].sort_index())


@given(st.lists(ROW, min_size=1, max_size=30))
@settings(max_examples=20)
def test_no_request_is_lost_or_counted_twice(rows):
    windows, histograms = aggregate_requests(requests(*rows))
    good = sum(row["status"] == "ok" for row in rows)
    assert windows["requests"].sum() == len(rows)
    assert windows["errors"].sum() == len(rows) - good
    assert windows["retries"].sum() == sum(row["is_retry"] for row in rows)
    assert windows["service_units"].sum() == good
    assert windows["input_tokens"].sum() == sum(row["input_tokens"] for row in rows)
    counted = histograms.groupby("metric")["count"].sum().to_dict()
    assert set(counted) <= set(HISTOGRAMMED)
    assert counted.get("e2e_ms", 0) == counted.get("ttft_ms", 0) == counted.get("input_tokens", 0) == good
    assert not windows.duplicated(WINDOW).any()
    assert not histograms.duplicated(KEYS).any()


@pytest.mark.real
def test_the_quantiles_of_a_real_gateway_log_hold(shared_dir):
    log = pd.read_csv(shared_dir / "data" / "telemetry" / "litellm_spendlogs_2026_10.csv.gz")
    seconds = pd.to_datetime(log["endTime"]) - pd.to_datetime(log["startTime"])
    e2e = seconds.dt.total_seconds() * 1000
    rows = requests(*({"e2e_ms": value} for value in e2e))
    _, histograms = aggregate_requests(rows)
    for q in (0.5, 0.9, 0.95, 0.99):
        found = histogram_quantile(histograms["bucket"].to_numpy(), histograms["count"].to_numpy(), q)
        assert found == pytest.approx(np.quantile(e2e, q, method="inverted_cdf"), rel=0.0051)
