"""A period of Prometheus as demand windows, and the report on it."""

from __future__ import annotations

import math

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.telemetry.common import QUANTILES
from aifactory.inputs.importers.telemetry.prometheus.assemble import Month
from aifactory.inputs.importers.telemetry.prometheus.counters import bucket_interval
from aifactory.inputs.importers.telemetry.sanity import AFTER_IMPORT
from aifactory.inputs.telemetry import conform

REPORTED = ("requests", "errors", "input_tokens", "output_tokens", "cached_input_tokens")
#: Name in a report -> column of the windows.
NAMES = {"cached_tokens": "cached_input_tokens"}


def leave_out_future(month: Month, today: pd.Timestamp | None) -> None:
    """Take windows after the day of import out of a period, and name how many."""
    if today is None or not len(month.windows):
        return
    end = today + pd.Timedelta(days=1)
    month.bounds = {bucket: count for bucket, count in month.bounds.items() if bucket[0] < end.timestamp()}
    late = month.windows["window_start_utc"] >= end
    if late.any():
        month.windows = month.windows[~late]
        month.warnings.append((f"windows {AFTER_IMPORT}, left out", int(late.sum())))


#: Beyond this a float no longer holds each whole number.
LARGEST_COUNT = 2.0**53


def demand_table(where: str, month: Month, region: str, use_cases: dict[str, str]) -> pd.DataFrame:
    """Rows of `demand_windows`: requests received, else served and failed; units are the served ones.

    Raises
    ------
    InputError
        If a workload has no region, neither in its labels nor from the analyst, or counts more in a
        window than any fleet does.
    """
    if not len(month.windows):
        return conform(pd.DataFrame(), "demand_windows")
    for name in sorted({"received", "served", *REPORTED} & set(month.windows.columns)):
        most = month.windows[name].max()
        if most >= LARGEST_COUNT:
            rule = f"{name} of a window must be below {LARGEST_COUNT:g}: is a value damaged?"
            raise InputError.at(where, rule, value=f"{most:g}")
    windows = with_requests(month.windows)
    regions = windows["region"].replace("", region).replace("", None)
    if regions.isna().any():
        name = windows.loc[regions.isna(), "use_case_id"].iloc[0]
        raise InputError.at(where, "no series names the region; say it with --region", value=name)
    table = windows.assign(region=regions, window_minutes=month.window_minutes)
    table = table.assign(use_case_id=table["use_case_id"].replace(use_cases))
    keys = ["window_start_utc", "window_minutes", "use_case_id", "region"]
    summed = table.groupby(keys, as_index=False)[[*REPORTED]].sum(min_count=1)
    if "queue_depth_max" in table:
        summed["queue_depth_max"] = table.groupby(keys, as_index=False)["queue_depth_max"].max()["queue_depth_max"]
    uncounted = summed["requests"].isna()
    if uncounted.any():
        month.warnings.append(
            ("windows with tokens but no count of requests, left out of the table", int(uncounted.sum()))
        )
    summed = summed[~uncounted]
    summed = summed.assign(errors=summed["errors"].fillna(0))
    summed = summed.assign(service_units=(summed["requests"] - summed["errors"]).astype("float64"))
    return conform(summed.sort_values(["window_start_utc", "use_case_id"], ignore_index=True), "demand_windows")


def with_requests(windows: pd.DataFrame) -> pd.DataFrame:
    """Add requests = received, else served + errors; unknown where neither is known."""
    counts = windows.reindex(columns=[*windows.columns, *({"received", "served", *REPORTED} - set(windows.columns))])
    numbers = {name: counts[name].astype("Int64") for name in ("received", "served", *REPORTED)}
    summed = numbers["served"].fillna(0) + numbers["errors"].fillna(0)
    summed = summed.mask(numbers["served"].isna() & numbers["errors"].isna())
    received = numbers["received"].fillna(summed)
    requests = received.where(~(received < numbers["errors"].fillna(0)).fillna(value=False), numbers["errors"])
    return counts.assign(**(numbers | {"requests": requests.astype("Int64")}))


def month_report(month: Month, kind: str, kept: int) -> dict[str, object]:
    """Totals by workload; latency quantiles as the interval of the bucket that holds them, ms."""
    rows = (
        with_requests(month.windows)
        if len(month.windows)
        else pd.DataFrame(columns=["use_case_id", "window_start_utc", *REPORTED])
    )
    names = sorted(rows["use_case_id"].unique())
    figures = {name: _workload(month, rows, name) for name in names}
    span = (
        [str(edge)[:10] for edge in (rows["window_start_utc"].min(), rows["window_start_utc"].max())]
        if names
        else ["", ""]
    )
    report: dict[str, object] = {
        "format": kind,
        "rows_read": month.rows_read,
        "rows_kept": kept,
        "rows_left_out": month.left_out,
        "warnings": [{"text": text, "rows": count} for text, count in month.warnings],
        "period": span,
        "totals": {name: _sum(item.get(name) for item in figures.values()) for name in map(_short, REPORTED)},
        "workloads": figures,
        "coverage": {name: round(float(rows[name].notna().mean()), 6) if names else 0.0 for name in REPORTED},
    }
    return report | ({"pools": month.devices} if month.devices else {})


def _short(column: str) -> str:
    return next((short for short, name in NAMES.items() if name == column), column)


def _sum(values: object) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _workload(month: Month, rows: pd.DataFrame, name: str) -> dict[str, object]:
    mine = rows[rows["use_case_id"] == name]
    counts: dict[str, object] = {}
    for column in REPORTED:
        stated = month.totals.get((name, column))
        summed = int(mine[column].sum()) if mine[column].notna().any() else None
        counts[_short(column)] = int(round(stated)) if stated is not None else summed
    counts["errors"] = counts["errors"] or 0
    for (workload, canonical), (bounds, cumulative, unknown) in sorted(month.histograms.items()):
        if workload == name and cumulative[-1] > 0:
            counts[canonical] = {q: interval(bounds, cumulative, level, unknown) for q, level in QUANTILES.items()}
    for (workload, canonical), held in sorted(month.gauges.items()):
        if workload == name:
            counts[canonical] = dict(held)
    return counts


def interval(bounds: object, cumulative: object, level: float, unknown: float) -> list[float | None]:
    """`[low, high]` in ms; high is None where the last, open bucket holds the quantile."""
    low, high = bucket_interval(bounds, cumulative, level, unknown)
    return [round(low, 6), None if math.isinf(high) else round(high, 6)]
