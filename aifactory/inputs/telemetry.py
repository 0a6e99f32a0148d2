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
    "with_sessions_counted",
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


def with_sessions_counted(requests: pd.DataFrame, use_cases: pd.DataFrame) -> pd.DataFrame:
    """Requests of use cases that count sessions, with a unit for each session instead of for each request.

    Where no `service_units` are given, the first successful request of a session stands for it and the others for
    none, so that a session is counted once, where and when it began. A request that names no session is its own.

    Parameters
    ----------
    requests : rows of the table `requests`.
    use_cases : `use_case_id` and `service_unit`.
    """
    counted = use_cases.loc[use_cases["service_unit"] == "session", "use_case_id"]
    named = requests["use_case_id"].isin(counted) & requests["session_id"].notna()
    rows = requests[named & requests["service_units"].isna() & (requests["status"] == "ok")]
    if rows.empty:
        return requests
    first = ~rows.sort_values("timestamp_utc", kind="stable").duplicated(["use_case_id", "session_id"])
    units = requests["service_units"].copy()
    units.loc[rows.index] = first.reindex(rows.index).astype("float64")
    return requests.assign(service_units=units)
