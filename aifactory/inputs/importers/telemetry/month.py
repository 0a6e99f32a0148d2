"""A folder of Prometheus answers as demand windows, and the report on it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.telemetry.common import QUANTILES
from aifactory.inputs.importers.telemetry.prometheus import Month, bucket_interval, read_answers
from aifactory.inputs.telemetry import conform

FORMAT = "Prometheus answers"
COUNTED = ("requests", "errors", "input_tokens", "output_tokens")


def read_month(
    folder: Path, region: str = "", use_cases: dict[str, str] | None = None
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Windows in the columns of `demand_windows`, and the report.

    Increases are extrapolated by the server and rounded to whole requests and tokens per window;
    aborted requests count as failed. Workloads get the region of their raw series, else `region`.
    """
    month = read_answers(folder)
    windows = month.windows
    regions = windows["use_case_id"].map(month.regions).fillna(region).replace("", None)
    if regions.isna().any():
        name = windows.loc[regions.isna(), "use_case_id"].iloc[0]
        raise InputError.at(folder.name, "no series names the region; say it with --region", value=name)
    whole = windows[list(COUNTED)].round().astype("Int64")
    table = windows.assign(**whole, region=regions, window_minutes=month.window_minutes)
    table = table.assign(requests=table["requests"].fillna(0), errors=table["errors"].fillna(0))
    table = table.assign(service_units=(table["requests"] - table["errors"]).astype("float64"))
    table = table.assign(use_case_id=table["use_case_id"].replace(use_cases or {}))
    return conform(table, "demand_windows"), _report(month)


def _report(month: Month) -> dict[str, object]:
    """Totals by workload; latency quantiles as the interval of the bucket that holds them, ms."""
    rows = month.windows
    names = sorted(rows["use_case_id"].unique())
    warnings = [{"text": text, "rows": 0} for text in month.refused.values()]
    warnings += [item for name in names for item in _gaps(month, name)]
    return {
        "format": FORMAT,
        "rows_read": month.files,
        "rows_kept": month.files - len(month.refused),
        "rows_left_out": {"answers without series": len(month.refused)} if month.refused else {},
        "warnings": warnings,
        "period": [str(edge)[:10] for edge in (rows["window_start_utc"].min(), rows["window_start_utc"].max())],
        "totals": {name: int(round(sum(_total(month, item, name) for item in names))) for name in COUNTED},
        "workloads": {name: _workload(month, name) for name in names},
    }


def _gaps(month: Month, workload: str) -> list[dict[str, object]]:
    """Windows without a value between the first and the last one: a scrape gap, an outage, or a query too short."""
    mine = month.windows[month.windows["use_case_id"] == workload].set_index("window_start_utc")
    every = pd.date_range(mine.index.min(), mine.index.max(), freq=f"{month.window_minutes}min")
    gaps = int(mine["requests"].reindex(every).isna().sum())
    found = [{"text": f"{workload}: windows without a count of requests", "rows": gaps}] if gaps else []
    if "requests" not in month.totals:
        text = f"{workload}: requests are the sum of windows, so what was counted in gaps is missing"
        found.append({"text": text, "rows": len(mine)})
    return found


def _total(month: Month, workload: str, metric: str) -> float:
    """Count over the whole span: one query over it where there is one, else the sum of the windows."""
    if metric in month.totals and workload in month.totals.index and pd.notna(month.totals.loc[workload, metric]):
        return float(month.totals.loc[workload, metric])
    mine = month.windows[month.windows["use_case_id"] == workload]
    return float(mine[metric].sum())


def _workload(month: Month, name: str) -> dict[str, object]:
    counts: dict[str, object] = {metric: int(round(_total(month, name, metric))) for metric in COUNTED}
    for (workload, canonical), (bounds, cumulative) in sorted(month.histograms.items()):
        if workload == name:
            counts[canonical] = {q: list(bucket_interval(bounds, cumulative, level)) for q, level in QUANTILES.items()}
    return counts
