"""The aggregates run in an engine and brought back as tables of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.inputs.aggregate.buckets import BUCKET_OF_ZERO, LOWEST_BUCKET
from aifactory.inputs.aggregate.cube import (
    HISTOGRAMMED,
    TOKENS,
    UNIT_PARTS,
    bucket_counts,
    coded,
    minute_cube,
    tenant_sums,
)
from aifactory.inputs.aggregate.engine import release
from aifactory.inputs.contracts import load_contract

if TYPE_CHECKING:
    import ibis.expr.types as ir

WINDOW_MINUTES = 1
KEYS = ["use_case_id", "region"]
_TENANT = ["day", "workload", "tenant"]
_NO_TENANTS = pd.DataFrame(columns=[*_TENANT, "requests", "served"])
_COUNTED = ["day", "metric", "workload", "bucket"]


@dataclass(frozen=True)
class Aggregates:
    """Windows in the columns of `demand_windows`.

    Histograms in those of `latency_histograms` and use by tenant in those of `tenant_usage`, each with its day.
    """

    windows: pd.DataFrame
    histograms: pd.DataFrame
    tenants: pd.DataFrame

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
    workloads, numbered : use case, region and number of each workload, in the engine and here; numbered
        from 0 in the order of use case and region.
    stage : keeps an intermediate result where the engine can, and returns it as a table.
    """
    cubes, counts, tenants = [], [], []
    with kept_apart():
        for rows in parts:
            codes = stage(coded(rows, workloads))
            cubes.append(fetched(minute_cube(codes)))
            if "tenant" in codes.columns:
                tenants.append(fetched(tenant_sums(codes)))
            for number, metric in enumerate(HISTOGRAMMED):
                if f"b_{metric}" in codes.columns:
                    counts.append(_narrow(fetched(bucket_counts(codes, metric)), number))
    release(codes)
    windows = _windows(cubes, numbered)
    cubes.clear()  # what is to come needs the room
    return Aggregates(
        windows,
        _histograms(counts, numbered),
        tenants_table(pd.concat(tenants or [_NO_TENANTS], ignore_index=True), numbered),
    )


def _narrow(counts: pd.DataFrame, metric: int) -> dict[str, np.ndarray]:
    """Counts by day, metric, workload and bucket as plain columns, no wider than they must be."""
    keys = {name: counts[name].to_numpy("int32") for name in ("day", "workload", "bucket")}
    return {**keys, "metric": np.full(len(counts), metric, "int8"), "count": counts["count"].to_numpy("int64")}


def fetched(table: ir.Table) -> pd.DataFrame:
    """Result as a frame; whole numbers stay whole, also where some are unknown."""
    import pyarrow as pa

    whole = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.int16(): pd.Int16Dtype()}
    return table.to_pyarrow().to_pandas(types_mapper=whole.get)


def _windows(cubes: list[pd.DataFrame], numbered: pd.DataFrame) -> pd.DataFrame:
    cube = pd.concat(cubes, ignore_index=True)
    cube = cube.astype(dict.fromkeys(("workload", "minute", "requests", "served", "probed"), "int64"))
    cube = cube.sort_values(["minute", "workload"], ignore_index=True)
    if cube.duplicated(["minute", "workload"]).any():
        cube = cube.groupby(["minute", "workload"], as_index=False, sort=False).sum(min_count=1)
    return windows_table(cube, numbered)


def windows_table(cube: pd.DataFrame, numbered: pd.DataFrame) -> pd.DataFrame:
    """The minute cube, in the order of minute and workload, as the table `demand_windows`."""
    table = cube.assign(
        **_named(cube["workload"], numbered),
        window_start_utc=pd.to_datetime(cube["minute"].to_numpy() * 60_000_000, unit="us", utc=True),
        window_minutes=WINDOW_MINUTES,
        errors=cube["requests"] - cube["served"],
        service_units=_units(cube),
    ).rename(columns={"retry": "retries", "probed": "probed_requests"})
    return conform(table.assign(**{name: table.get(name) for name in (*TOKENS, "retries")}), "demand_windows")


def _units(sums: pd.DataFrame) -> pd.Series:
    """Service units: their millionths if they were given, else one for each request that was served."""
    return sums["parts"].astype("float64") / UNIT_PARTS if "parts" in sums else sums["served"].astype("float64")


def tenants_table(sums: pd.DataFrame, numbered: pd.DataFrame) -> pd.DataFrame:
    """Sums by workload number, day and tenant, in any order and pieces, as `tenant_usage` by day."""
    added = sums.groupby(_TENANT, as_index=False).sum(min_count=1)
    day = pd.Series(added["day"].to_numpy("int64").astype("datetime64[D]").astype("str"), dtype="str")
    table = added.assign(
        **_named(added["workload"], numbered),
        month=day.str[:7],
        errors=added["requests"] - added["served"],
        service_units=_units(added),
    )
    return conform(table, "tenant_usage").assign(day=day)


def _histograms(counts: list[dict[str, np.ndarray]], numbered: pd.DataFrame) -> pd.DataFrame:
    """Counts of all parts added; `counts` is emptied on the way, as millions of rows stand in it."""
    if not sum(len(part["count"]) for part in counts):
        return histograms_table({"count": np.empty(0)}, numbered)
    columns = {name: np.concatenate([part.pop(name) for part in counts]) for name in (*_COUNTED, "count")}
    columns["bucket"][columns["bucket"] < LOWEST_BUCKET] = BUCKET_OF_ZERO
    order = np.lexsort([columns[name] for name in reversed(_COUNTED)])
    first = np.zeros(len(order), "bool")
    first[0] = True
    for name in _COUNTED:
        columns[name] = columns[name][order]
        first[1:] |= columns[name][1:] != columns[name][:-1]
    total = np.add.reduceat(columns.pop("count")[order], np.flatnonzero(first))
    del order
    return histograms_table({name: columns.pop(name)[first] for name in _COUNTED} | {"count": total}, numbered)


def histograms_table(columns: dict[str, np.ndarray], numbered: pd.DataFrame) -> pd.DataFrame:
    """One row a day, metric, workload and bucket, in this order; metrics as `HISTOGRAMMED` lists them."""
    if not len(columns["count"]):
        return load_contract("latency_histograms").empty().assign(day=pd.Series(dtype="str"))
    days, which = np.unique(columns["day"], return_inverse=True)
    names = pd.Series(days.astype("datetime64[D]").astype("str"), dtype="str")
    day = names.take(which).reset_index(drop=True)
    table = pd.DataFrame(
        {
            **_named(pd.Series(columns["workload"]), numbered),
            "month": names.str[:7].take(which).reset_index(drop=True),
            "metric": pd.Series(HISTOGRAMMED, dtype="str").take(columns["metric"]).reset_index(drop=True),
            "bucket": columns["bucket"],
            "count": columns["count"],
        }
    )
    return conform(table, "latency_histograms").assign(day=day)


def _named(workloads: pd.Series, numbered: pd.DataFrame) -> dict[str, pd.Series]:
    """Use case and region of workload numbers, which count the workloads in their order."""
    return {key: numbered[key].take(workloads).reset_index(drop=True) for key in KEYS}


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
