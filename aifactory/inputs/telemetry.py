"""Request rows to two small aggregates that can be added: demand windows and log histograms."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.aggregate.buckets import BUCKET_OF_ZERO, GAMMA, bucket_value, histogram_quantile, log_bucket
from aifactory.inputs.aggregate.cube import HISTOGRAMMED
from aifactory.inputs.aggregate.tables import KEYS, WINDOW_MINUTES, aggregate, conform

__all__ = [
    "BUCKET_OF_ZERO",
    "GAMMA",
    "HISTOGRAMMED",
    "WINDOW_MINUTES",
    "aggregate_requests",
    "bucket_value",
    "conform",
    "histogram_quantile",
    "log_bucket",
]


def aggregate_requests(requests: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Aggregate request rows into the tables `demand_windows` and `latency_histograms`, by DuckDB in this process.

    A successful request without `service_units` counts one unit, a failed one none.
    """
    from aifactory.inputs.aggregate.engine import duckdb_session, held, stage

    numbered = requests[KEYS].drop_duplicates().sort_values(KEYS, ignore_index=True)
    numbered = numbered.assign(workload=range(len(numbered)))
    used = [name for name in requests if name not in ("request_id", "tenant", "session_id")]
    with duckdb_session(threads=1) as backend:
        rows, workloads = held(backend, "requests", requests[used]), held(backend, "workloads", numbered)
        found = aggregate([rows], workloads, numbered, stage)
    return found.windows, found.monthly()
