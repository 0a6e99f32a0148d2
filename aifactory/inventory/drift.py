"""Drift of the reporting month against earlier ones: lengths, mix, tokens per request."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.demand.profile import monthly_trend
from aifactory.demand.stability import chance_index, histogram_index, stability_index, verdict
from aifactory.demand.unit_size import INPUT, OUTPUT, REQUESTS, SIZE_SCATTER
from aifactory.inputs.telemetry import bucket_value
from aifactory.inputs.workspace import Workspace

LENGTHS = {INPUT: "prompt length", OUTPUT: "answer length"}
#: A month is compared with the one before and with the oldest of so many.
MONTHS_BACK = 12
ALL = "all"
DRIFT_COLUMNS = ["use_case_id", "what", "compared_with", "base_requests", "requests", "cells", "stability_index",
                 "chance_index", "verdict", "moved"]  # fmt: skip
GROWTH_COLUMNS = ["use_case_id", "tokens", "compared_with", "per_request_before", "per_request", "change",
                  "growth_per_month", "growth_months", "growth_log_sd"]  # fmt: skip


def base_months(months: list[str], period: str) -> list[str]:
    """Months to compare with: the one before, and the oldest of the last twelve.

    >>> base_months(["2025-09", "2026-08", "2026-09", "2026-10"], "2026-10")
    ['2026-09', '2026-08']
    >>> base_months(["2026-08", "2026-10"], "2026-10")
    ['2026-08']
    """
    this = pd.Period(period, "M")
    known = sorted(month for month in set(months) if 0 < (this - pd.Period(month, "M")).n <= MONTHS_BACK)
    return list(dict.fromkeys([known[-1], known[0]])) if known else []


def drift(ws: Workspace, monthly: pd.DataFrame) -> pd.DataFrame:
    """Population stability of lengths and mix, per use case and over all, against earlier months.

    Lengths come from the log histograms in tenths of the base month, shares from counts of requests; see
    `demand.stability` for index, chance and verdict. Use cases without tokens or tenants have no such row; the mix is
    that of use cases which go on: one that ended as its owner said moves nothing that is still to be measured.
    """
    serving = ws.without_ended().table("use_cases").query("service_unit != 'accelerator_hour'")["use_case_id"]
    counts = monthly[monthly["use_case_id"].isin(serving) & (monthly["requests"] > 0)]
    counts = counts.merge(ws.table("use_cases")[["use_case_id", "model"]], on="use_case_id")
    rows = [
        *_lengths(ws),
        *_mix(counts, "use_case_id", "mix of use cases", ws.period),
        *_mix(counts.dropna(subset="model"), "model", "mix of models", ws.period),
        *_mix(counts, "region", "mix of regions", ws.period),
    ]
    for name, mine in counts.groupby("use_case_id"):
        rows += _mix(mine, "region", "mix of regions", ws.period, str(name))
    for name, mine in ws.table("tenant_usage").groupby("use_case_id"):
        rows += _mix(mine, "tenant", "mix of tenants", ws.period, str(name))
    return pd.DataFrame(rows, columns=DRIFT_COLUMNS)


def _lengths(ws: Workspace) -> list[dict[str, object]]:
    histograms = ws.table("latency_histograms")
    rows = []
    for (name, metric), mine in histograms[histograms["metric"].isin(LENGTHS)].groupby(["use_case_id", "metric"]):
        counts = mine.groupby(["bucket", "month"])["count"].sum().unstack(fill_value=0)
        if ws.period not in counts:
            continue
        size, now = bucket_value(counts.index.to_numpy()), counts[ws.period].to_numpy()
        for month in base_months(list(counts.columns), ws.period):
            base = counts[month].to_numpy()
            index, chance, cells = histogram_index(counts.index.to_numpy(), base, now)
            means = [float(size @ part / part.sum()) for part in (base, now)]
            moved = f"mean {means[0]:,.0f} to {means[1]:,.0f} tokens"
            rows.append(_row(str(name), LENGTHS[str(metric)], month, base, now, index, chance, cells, moved))
    return rows


def _mix(counts: pd.DataFrame, column: str, what: str, period: str, use_case: str = ALL) -> list[dict[str, object]]:
    table = counts.groupby([column, "month"])["requests"].sum().unstack(fill_value=0)
    if period not in table or table[period].sum() == 0:
        return []
    now = table[period].to_numpy(dtype=float)
    rows = []
    for month in base_months(list(table.columns), period):
        base = table[month].to_numpy(dtype=float)
        if base.sum() == 0 or ((base + now) > 0).sum() < 2:
            continue
        change = pd.Series(now / now.sum() - base / base.sum(), index=table.index)
        most = change.abs().idxmax()
        moved = f"{most} {_points(change[most])}"
        cells = int(((base + now) > 0).sum())
        rows.append(
            _row(use_case, what, month, base, now, stability_index(base, now), chance_index(base, now), cells, moved)
        )
    return rows


def _points(share: float) -> str:
    """A change of a share in percentage points.

    >>> _points(0.0213), _points(-0.009), _points(-0.0002)
    ('+2.1 points', '−0.9 points', 'under 0.1 points')
    """
    text = f"{100 * share:+.1f} points".replace("-", "\N{MINUS SIGN}")
    return "under 0.1 points" if abs(share) < 0.0005 else text


def _row(
    use_case: str, what: str, month: str, base: np.ndarray, now: np.ndarray, index: float, chance: float, cells: int,
    moved: str,
) -> dict[str, object]:  # fmt: skip
    values = [use_case, what, month, float(base.sum()), float(now.sum()), cells, index, chance, verdict(index, chance)]
    return dict(zip(DRIFT_COLUMNS, [*values, moved], strict=True))


def token_growth(ws: Workspace, windows: pd.DataFrame) -> pd.DataFrame:
    """What makes up the work of a unit: this month, the last one before it, and the trend over all months.

    Rows are tokens per request by kind and, of use cases counted in sessions, requests per unit. Windows that do not
    know a figure are left out of both of its sums. The trend is that of `demand.profile.monthly_trend` with the
    prior of sizes, see `demand.unit_size`.
    """
    seen = windows.reindex(columns=["use_case_id", "window_start_utc", "service_units", "requests", *LENGTHS])
    seen = seen[seen[["requests", *LENGTHS]].notna().any(axis=1)]
    month = seen["window_start_utc"].dt.tz_localize(None).to_numpy().astype("datetime64[M]").astype("datetime64[s]")
    seen = seen.assign(month=month)
    of_sessions = seen["use_case_id"].isin(ws.table("use_cases").query("service_unit == 'session'")["use_case_id"])
    ratios = [(tokens, seen, tokens, "requests") for tokens in LENGTHS]
    rows = []
    for what, frame, over, under in [*ratios, (REQUESTS, seen[of_sessions], "requests", "service_units")]:
        known = frame[frame[over].notna()]
        sums = known[[over, under]].astype("float64").groupby([known["use_case_id"], known["month"]]).sum()
        for name, series in (sums[over] / sums[under].where(sums[under] > 0)).dropna().groupby(level=0):
            values = series.droplevel(0)
            values.index = values.index.strftime("%Y-%m")
            values = values[values.index <= ws.period]
            if ws.period in values.index:
                rows.append(_growth_row(str(name), what, values, ws))
    return pd.DataFrame(rows, columns=GROWTH_COLUMNS).sort_values(["use_case_id", "tokens"], ignore_index=True)


def _growth_row(name: str, what: str, values: pd.Series, ws: Workspace) -> dict[str, object]:
    span = pd.period_range(values.index.min(), ws.period, freq="M").astype("str")
    prior = ws.plan.value("unknown_size_growth_sd")
    trend = monthly_trend(values.reindex(span).to_numpy(dtype=float), prior, SIZE_SCATTER)
    earlier = values.index[values.index < ws.period]
    before, last = (float(values[earlier[-1]]), earlier[-1]) if len(earlier) else (np.nan, "")
    now = float(values[ws.period])
    change = now / before - 1 if before > 0 else np.nan
    row = [name, what, last, before, now, change, trend.growth, trend.months, trend.log_sd]
    return dict(zip(GROWTH_COLUMNS, row, strict=True))
