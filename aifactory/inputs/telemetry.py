"""Request rows to two small aggregates that can be added: demand windows and log histograms."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from aifactory.inputs.contracts import load_contract
from aifactory.inputs.months import month_of

WINDOW_MINUTES = 1
#: Ratio of neighbouring bucket bounds: any value of a bucket is within 0.5 % of its midpoint.
GAMMA = 1.005 / 0.995
BUCKET_OF_ZERO = -100_000
#: Histogrammed columns of a request row; time per output token is derived.
HISTOGRAMMED = ("ttft_ms", "tpot_ms", "e2e_ms", "queue_ms", "input_tokens", "output_tokens")


def log_bucket(values: np.ndarray) -> np.ndarray:
    """Bucket b with gamma^(b-1) < x <= gamma^b; values of zero or below share one bucket.

    Reference: Masson et al., DDSketch, VLDB 2019.

    >>> log_bucket(np.array([0.0, 1.0, 100.0])).tolist()
    [-100000, 0, 461]
    """
    values = np.asarray(values, dtype=float)
    positive = values > 0
    # the small shift keeps exact powers of gamma in their own bucket in spite of rounding
    raw = np.ceil(np.log(np.where(positive, values, 1.0)) / math.log(GAMMA) - 1e-9)
    return np.where(positive, raw, BUCKET_OF_ZERO).astype("int64")


def bucket_value(buckets: np.ndarray) -> np.ndarray:
    """Midpoint 2 gamma^b / (gamma + 1): at most 0.5 % from any value of the bucket."""
    buckets = np.asarray(buckets)
    return np.where(buckets == BUCKET_OF_ZERO, 0.0, 2 * GAMMA ** np.maximum(buckets, -10_000) / (GAMMA + 1))


def histogram_quantile(buckets: np.ndarray, counts: np.ndarray, q: float) -> float:
    """Value at rank ceil(q n) (inverse of the empirical distribution), within 0.5 %; NaN if empty.

    >>> round(histogram_quantile(log_bucket(np.array([10.0, 20.0, 30.0])), np.array([1, 1, 1]), 0.5), 1)
    20.0
    """
    counts = np.asarray(counts)
    if counts.size == 0 or counts.sum() == 0:
        return math.nan
    order = np.argsort(buckets, kind="stable")
    rank = max(math.ceil(q * counts.sum() - 1e-9), 1)
    position = np.searchsorted(np.cumsum(counts[order]), rank)
    return float(bucket_value(np.asarray(buckets)[order][position]))


def aggregate_requests(requests: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Aggregate request rows into the tables `demand_windows` and `latency_histograms`.

    A successful request without `service_units` counts one unit, a failed one none.
    """
    return _windows(requests), _histograms(requests)


def _windows(requests: pd.DataFrame) -> pd.DataFrame:
    succeeded = requests["status"] == "ok"
    rows = pd.DataFrame(
        {
            "window_start_utc": requests["timestamp_utc"].dt.floor(f"{WINDOW_MINUTES}min"),
            "use_case_id": requests["use_case_id"],
            "region": requests["region"],
            "requests": 1,
            "errors": (~succeeded).astype("int64"),
            "retries": requests["is_retry"].astype("Int64"),
            "service_units": requests["service_units"].fillna(1.0).where(succeeded, 0.0),
            "input_tokens": requests["input_tokens"],
            "cached_input_tokens": requests["cached_input_tokens"],
            "output_tokens": requests["output_tokens"],
        }
    )
    keys = ["window_start_utc", "use_case_id", "region"]
    windows = rows.groupby(keys, as_index=False, sort=True).sum(min_count=1)
    windows.insert(1, "window_minutes", WINDOW_MINUTES)
    return conform(windows, "demand_windows")


def _histograms(requests: pd.DataFrame) -> pd.DataFrame:
    succeeded = requests[requests["status"] == "ok"]
    later_tokens = (succeeded["output_tokens"] - 1).astype("float64")
    decode_ms = succeeded["e2e_ms"] - succeeded["ttft_ms"]
    measured = succeeded.assign(
        month=month_of(succeeded["timestamp_utc"]),
        tpot_ms=(decode_ms / later_tokens.where(later_tokens > 0)),
    )
    parts = [_histogram(measured, metric) for metric in HISTOGRAMMED]
    return conform(pd.concat(parts, ignore_index=True), "latency_histograms")


def _histogram(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    known = rows[rows[metric].notna()]
    bucket = log_bucket(known[metric].to_numpy(dtype=float))
    keys = ["month", "use_case_id", "region", "metric", "bucket"]
    return (
        known.assign(metric=metric, bucket=bucket)
        .groupby(keys, as_index=False, sort=True)
        .size()
        .rename(columns={"size": "count"})
    )


def conform(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Bring a computed frame to the columns, order and dtypes of its contract."""
    contract = load_contract(table)
    known = {field.name: field.dtype for field in contract.fields}
    return frame.reindex(columns=contract.columns).astype(known)
