"""Histograms of a server as the table `latency_bounds`: by day, each bucket with its own bounds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.telemetry.prometheus.assemble import DAY_S, Month
from aifactory.inputs.importers.telemetry.prometheus.counters import whole_counts
from aifactory.inputs.telemetry import conform

KEY = list(load_contract("latency_bounds").primary_key)
#: What is said of buckets that no report could place.
NO_REGION = "histograms of workloads served in several regions without a label that says which; reported, not kept: {}"


def latency_table(month: Month, region: str, use_cases: dict[str, str]) -> pd.DataFrame:
    """Rows of `latency_bounds`: whole counts whose sum over the days of a bucket is its rounded sum.

    A histogram without a region has the only one in which its workload was seen, else `region`.
    """
    if not month.bounds:
        return conform(pd.DataFrame(), "latency_bounds")
    rows = pd.DataFrame([(*bucket, count) for bucket, count in month.bounds.items()], columns=[*KEY, "count"])
    held = month.windows.reindex(columns=["use_case_id", "region"]).replace("", None).dropna().drop_duplicates()
    only = held.drop_duplicates("use_case_id", keep=False).set_index("use_case_id")["region"]
    several = set(held["use_case_id"]) - set(only.index)
    lacking = rows["region"] == ""
    found = rows["use_case_id"].map(only).where(~rows["use_case_id"].isin(several), "").fillna(region)
    rows["region"] = rows["region"].where(~lacking, found)
    lost = rows["region"] == ""
    if lost.any():
        names = sorted(rows.loc[lost, "use_case_id"].unique())
        month.warnings.append((NO_REGION.format(", ".join(names)), int(lost.sum())))
    rows = rows[~lost].assign(use_case_id=lambda f: f["use_case_id"].replace(use_cases))
    rows["window_start_utc"] = pd.to_datetime(rows["window_start_utc"] // DAY_S * DAY_S, unit="s", utc=True)
    rows["upper_ms"] = rows["upper_ms"].replace(np.inf, np.nan)
    rows = rows.groupby(KEY, as_index=False, dropna=False)["count"].sum()
    bucket = rows.groupby([name for name in KEY if name != "window_start_utc"], dropna=False)["count"]
    rows["count"] = bucket.transform(lambda counts: whole_counts(counts.to_numpy(dtype=float)))
    return conform(rows[rows["count"] > 0].reset_index(drop=True), "latency_bounds")
