"""The two aggregates run in an engine and brought back as tables of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.inputs.aggregate.buckets import BUCKET_OF_ZERO, LOWEST_BUCKET
from aifactory.inputs.aggregate.cube import HISTOGRAMMED, TOKENS, UNIT_PARTS, bucket_counts, coded, minute_cube
from aifactory.inputs.contracts import load_contract

if TYPE_CHECKING:
    import ibis.expr.types as ir

WINDOW_MINUTES = 1
KEYS = ["use_case_id", "region"]
_COUNTED = ["workload", "day", "metric", "bucket"]


@dataclass(frozen=True)
class Aggregates:
    """Windows in the columns of `demand_windows`; histograms in those of `latency_histograms`, and their day."""

    windows: pd.DataFrame
    histograms: pd.DataFrame

    def monthly(self) -> pd.DataFrame:
        """Histograms added up by month, as the table `latency_histograms`."""
        return add_histograms(self.histograms)


@contextmanager
def kept_apart() -> Iterator[None]:
    """Let inner queries stay inner queries: merged, they would compute each logarithm several times."""
    import ibis

    before = ibis.options.sql.fuse_selects
    ibis.options.sql.fuse_selects = False
    try:
        yield
    finally:
        ibis.options.sql.fuse_selects = before


def aggregate(
    parts: Iterable[ir.Table], workloads: ir.Table, numbered: pd.DataFrame, stage: Callable[[ir.Table], ir.Table]
) -> Aggregates:
    """Aggregate request rows part by part; what comes back does not depend on how they were parted.

    Parameters
    ----------
    parts : request rows, each as `coded` takes them.
    workloads, numbered : use case, region and number of each workload, in the engine and here.
    stage : keeps an intermediate result where the engine can, and returns it as a table.
    """
    cubes, counts = [], []
    with kept_apart():
        for rows in parts:
            codes = stage(coded(rows, workloads))
            cubes.append(fetched(minute_cube(codes)))
            for metric in HISTOGRAMMED:
                if f"b_{metric}" in codes.columns:
                    counts.append(fetched(bucket_counts(codes, metric)).assign(metric=metric))
    return Aggregates(_windows(cubes, numbered), _histograms(counts, numbered))


def fetched(table: ir.Table) -> pd.DataFrame:
    """Result as a frame; whole numbers stay whole, also where some are unknown."""
    import pyarrow as pa

    whole = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.int16(): pd.Int16Dtype()}
    return table.to_pyarrow().to_pandas(types_mapper=whole.get)


def _windows(cubes: list[pd.DataFrame], numbered: pd.DataFrame) -> pd.DataFrame:
    cube = pd.concat(cubes, ignore_index=True)
    cube = cube.astype(dict.fromkeys(("workload", "minute", "requests", "served"), "int64"))
    if len(cubes) > 1:
        cube = cube.groupby(["workload", "minute"], as_index=False, sort=False).sum(min_count=1)
    table = cube.merge(numbered, on="workload")
    start = pd.to_datetime(table["minute"].to_numpy() * 60_000_000, unit="us", utc=True)
    units = table["parts"].astype("float64") / UNIT_PARTS if "parts" in table else table["served"].astype("float64")
    table = table.assign(
        window_start_utc=start,
        window_minutes=WINDOW_MINUTES,
        errors=table["requests"] - table["served"],
        service_units=units,
    ).rename(columns={"retry": "retries"})
    table = table.sort_values(["window_start_utc", *KEYS], ignore_index=True)
    return conform(table.assign(**{name: table.get(name) for name in (*TOKENS, "retries")}), "demand_windows")


def _histograms(counts: list[pd.DataFrame], numbered: pd.DataFrame) -> pd.DataFrame:
    if not counts:
        return load_contract("latency_histograms").empty().assign(day=pd.Series(dtype="str"))
    table = pd.concat(counts, ignore_index=True).astype(dict.fromkeys(("workload", "day", "bucket", "count"), "int64"))
    bucket = np.where(table["bucket"] < LOWEST_BUCKET, BUCKET_OF_ZERO, table["bucket"])
    table = table.assign(bucket=bucket).groupby(_COUNTED, as_index=False, sort=False)["count"].sum()
    days = {day: str(np.datetime64(int(day), "D")) for day in table["day"].unique()}
    table = table.merge(numbered, on="workload").assign(day=lambda rows: rows["day"].map(days).astype("str"))
    table = table.assign(month=table["day"].str[:7])
    order = {name: place for place, name in enumerate(HISTOGRAMMED)}
    table = table.sort_values(["day", "metric", *KEYS, "bucket"], ignore_index=True,
                              key=lambda keys: keys.map(order) if keys.name == "metric" else keys)  # fmt: skip
    return conform(table, "latency_histograms").assign(day=table["day"])


def add_histograms(histograms: pd.DataFrame) -> pd.DataFrame:
    """Counts of the same month, workload, metric and bucket added."""
    key = list(load_contract("latency_histograms").primary_key)
    added = histograms.groupby(key, as_index=False, sort=False)["count"].sum()
    return conform(added, "latency_histograms")


def conform(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Bring a computed frame to the columns, order and dtypes of its contract."""
    contract = load_contract(table)
    known = {field.name: field.dtype for field in contract.fields}
    return frame.reindex(columns=contract.columns).astype(known)
