"""Latency against SLO, failures, pools and jobs in the reporting month."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.demand.profile import job_end
from aifactory.inputs.checks import POWER_TOLERANCE
from aifactory.inputs.telemetry import bucket_value, histogram_quantile
from aifactory.inputs.workspace import Workspace
from aifactory.units import KILO

SLO_OF_METRIC = {"ttft_ms": "slo_p95_ttft_ms", "tpot_ms": "slo_p95_tpot_ms", "e2e_ms": "slo_p95_e2e_ms"}
QUANTILE_SOURCE = "histogram, within 0.5 %"
POOL_KEYS = ["pool_id", "region", "accelerator_id", "purchase_option"]


def service_levels(ws: Workspace, profile: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of latency and sizes per use case and region, set against the SLO."""
    month = ws.month("latency_histograms")
    rows = [
        {
            "use_case_id": use_case,
            "region": region,
            "metric": metric,
            **{name: histogram_quantile(group["bucket"].to_numpy(), group["count"].to_numpy(), q) for name, q in
               (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
            "count": int(group["count"].sum()),
            "source": QUANTILE_SOURCE,
        }
        for (use_case, region, metric), group in month.groupby(["use_case_id", "region", "metric"])
    ]  # fmt: skip
    columns = ["use_case_id", "region", "metric", "p50", "p95", "p99", "count", "source"]
    table = pd.DataFrame(rows, columns=columns)
    limits = ws.table("use_cases").set_index("use_case_id")
    slo = [
        limits[SLO_OF_METRIC[metric]].get(name, np.nan) if metric in SLO_OF_METRIC else np.nan
        for name, metric in zip(table["use_case_id"], table["metric"], strict=True)
    ]
    table["slo"] = pd.Series(slo, dtype="float64")
    table["meets_slo"] = (table["p95"] <= table["slo"]).astype("boolean").mask(table["slo"].isna())
    if profile.empty:
        return table.assign(failure_rate=np.nan, slo_max_failure_rate=np.nan)
    failures = profile[["use_case_id", "region", "failure_rate"]]
    table = table.merge(failures, how="left", on=["use_case_id", "region"])
    return table.assign(slo_max_failure_rate=table["use_case_id"].map(limits["slo_max_failure_rate"]))


def token_tail(ws: Workspace) -> pd.DataFrame:
    """Share of all tokens that the longest 1 % and 10 % of requests hold, per use case."""
    histograms = ws.month("latency_histograms")
    sizes = histograms[histograms["metric"].isin(["input_tokens", "output_tokens"])]
    rows = []
    for (use_case, metric), group in sizes.groupby(["use_case_id", "metric"]):
        counts = group.groupby("bucket")["count"].sum().sort_index(ascending=False)
        tokens = counts.to_numpy() * bucket_value(counts.index.to_numpy())
        share = [_top_share(counts.to_numpy(), tokens, top) for top in (0.01, 0.10)]
        rows.append({"use_case_id": use_case, "metric": metric, "top_1_share": share[0], "top_10_share": share[1]})
    return pd.DataFrame(rows, columns=["use_case_id", "metric", "top_1_share", "top_10_share"])


def _top_share(counts: np.ndarray, tokens: np.ndarray, top: float) -> float:
    """Share of tokens in the first `top` of the requests, counts sorted from the largest size; NaN without any."""
    if tokens.sum() == 0:
        return np.nan
    requests = np.cumsum(counts) / counts.sum()
    return float(
        np.interp(top, np.concatenate([[0.0], requests]), np.concatenate([[0.0], np.cumsum(tokens) / tokens.sum()]))
    )


def pool_summary(ws: Workspace, rate: pd.Series) -> pd.DataFrame:
    """Utilisation, power, queue, idle hours and idle money of each pool in the reporting month.

    Idle money is the effective rate of the accelerator in the bill times the idle hours; the
    label of the pool is taken as it stands, and marked suspect where its power does not fit.
    """
    month = ws.month("pools")
    columns = [*POOL_KEYS, "installed", "utilization_mean", "utilization_p95", "power_w_mean", "energy_kwh",
               "queue_depth_mean", "queue_depth_max", "accelerator_hours", "idle_accelerator_hours", "idle_usd",
               "label_suspect", "label_note"]  # fmt: skip
    if month.empty:
        return pd.DataFrame(columns=columns)
    hours = month["window_minutes"] / 60
    month = month.assign(hours=month["installed"] * hours, busy=month["installed"] * hours * month["utilization"],
                         kwh=month["power_w"] * hours / KILO)  # fmt: skip
    groups = month.groupby(POOL_KEYS)
    table = pd.DataFrame(
        {
            "installed": groups["installed"].mean(),
            "utilization_mean": groups["busy"].sum() / groups["hours"].sum(),
            "utilization_p95": groups["utilization"].quantile(0.95),
            "power_w_mean": groups["power_w"].mean(),
            "energy_kwh": groups["kwh"].sum(min_count=1),
            "queue_depth_mean": groups["queue_depth"].mean(),
            "queue_depth_max": groups["queue_depth"].max(),
            "accelerator_hours": groups["hours"].sum(),
            "idle_accelerator_hours": groups["hours"].sum() - groups["busy"].sum(),
        }
    ).reset_index()
    table["idle_usd"] = table["idle_accelerator_hours"] * table["accelerator_id"].map(rate)
    return _with_label_check(table, ws.table("accelerators").set_index("accelerator_id")["tdp_w"])[columns]


def _with_label_check(table: pd.DataFrame, tdp: pd.Series) -> pd.DataFrame:
    watts = table["power_w_mean"] / table["installed"]
    limit = table["accelerator_id"].map(tdp) * POWER_TOLERANCE
    suspect = (watts > limit).fillna(value=False)
    notes = [
        f"draws {w:.0f} W each, {name} is built for {limit_w / POWER_TOLERANCE:.0f} W" if bad else ""
        for w, name, limit_w, bad in zip(watts, table["accelerator_id"], limit, suspect, strict=True)
    ]
    return table.assign(label_suspect=suspect, label_note=notes)


def job_summary(ws: Workspace, speeds: pd.DataFrame) -> pd.DataFrame:
    """Jobs that were submitted in the reporting month: hours, failures, queue."""
    month = ws.month("jobs")
    columns = ["use_case_id", "region", "accelerator_id", "jobs", "accelerator_hours", "reference_accelerator_hours",
               "failed_share", "cancelled_share", "p50_queue_minutes", "p95_queue_minutes", "speed_tier"]  # fmt: skip
    if month.empty:
        return pd.DataFrame(columns=columns)
    hours = (
        (job_end(ws.table("jobs")).reindex(month.index) - month["started_utc"])
        / pd.Timedelta(hours=1)
        * month["accelerators"]
    )
    queue = (month["started_utc"] - month["submitted_utc"]) / pd.Timedelta(minutes=1)
    keys = ["use_case_id", "region", "accelerator_id"]
    ended = {
        name: (month["status"] == name).astype("float64").mask(month["status"] == "unknown")
        for name in ("failed", "cancelled")
    }
    groups = month.assign(hours=hours, queue=queue, **ended).groupby(keys)
    table = pd.DataFrame(
        {
            "jobs": groups.size(),
            "accelerator_hours": groups["hours"].sum(),
            "failed_share": groups["failed"].mean(skipna=False),
            "cancelled_share": groups["cancelled"].mean(skipna=False),
            "p50_queue_minutes": groups["queue"].median(),
            "p95_queue_minutes": groups["queue"].quantile(0.95),
        }
    ).reset_index()
    table = table.merge(speeds, on=["use_case_id", "accelerator_id"])
    return table.assign(reference_accelerator_hours=table["accelerator_hours"] * table["speed"])[columns]
