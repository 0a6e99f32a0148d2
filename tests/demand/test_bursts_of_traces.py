"""Bursts of seconds and correlation of lengths of public traces, through the aggregates, against the rows themselves."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.lengths import length_correlation
from aifactory.demand.shapes import second_dispersion
from aifactory.inputs.aggregate.cube import probed_second
from aifactory.inputs.telemetry import aggregate_requests, conform


def azure(folder):
    rows = pd.read_csv(folder / "azure_llm_2023_conv.csv.gz")
    return pd.to_datetime(rows["TIMESTAMP"], utc=True), rows["ContextTokens"], rows["GeneratedTokens"]


def mooncake(folder):
    with gzip.open(folder / "mooncake_fast25_conversation_first70pct.jsonl.gz") as lines:
        rows = pd.DataFrame([json.loads(line) for line in lines])
    start = pd.Timestamp("2026-10-01", tz="UTC")
    return start + pd.to_timedelta(rows["timestamp"], unit="ms"), rows["input_length"], rows["output_length"]


@pytest.fixture(scope="module", params=[azure, mooncake])
def trace(request, shared_dir):
    times, prompts, answers = request.param(shared_dir / "data" / "traces")
    rows = pd.DataFrame({"timestamp_utc": times, "input_tokens": prompts, "output_tokens": answers, "use_case_id": "chat", "region": "us", "status": "ok"})  # fmt: skip
    return conform(rows.assign(request_id=[str(n) for n in range(len(rows))]), "requests")


def test_correlation_is_that_of_the_logarithms(trace):
    _, histograms = aggregate_requests(trace)
    known = trace[["input_tokens", "output_tokens"]].astype("float64")
    expected = np.corrcoef(np.log(known["input_tokens"]), np.log(known["output_tokens"]))[0, 1]
    assert length_correlation(histograms) == pytest.approx(expected, abs=0.002)


def test_one_second_of_each_minute_says_what_all_seconds_do(trace):
    """Within three standard errors, sqrt(2 / minutes) of the value each: the traces last an hour or less."""
    windows, _ = aggregate_requests(trace)
    minute = windows["window_start_utc"].dt.tz_localize(None).to_numpy().astype("datetime64[m]").astype("int64")
    found = second_dispersion(windows["requests"].to_numpy(), windows["probed_requests"].to_numpy(), probed_second(minute))  # fmt: skip
    second = (
        (trace["timestamp_utc"] - trace["timestamp_utc"].min().floor("min")) // pd.Timedelta(seconds=1)
    ).to_numpy()
    counts = np.bincount(second)
    table = counts[: len(counts) // 60 * 60].reshape(-1, 60)[1:]
    whole = table.var(axis=1, ddof=1).sum() / table.mean(axis=1).sum()
    assert abs(found - whole) < 3 * whole * np.sqrt(2 / len(table))
