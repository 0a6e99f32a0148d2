"""What every reader of telemetry returns, and the report on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pandas as pd

from aifactory.inputs.importers.telemetry.sanity import LATENCIES, sift
from aifactory.inputs.money import exact_total
from aifactory.inputs.telemetry import conform

QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
COUNTS = {"input_tokens": "input_tokens", "output_tokens": "output_tokens", "cached_tokens": "cached_input_tokens"}


@dataclass
class Telemetry:
    """Request rows in the columns of the `requests` table, and how they were read."""

    format: str
    rows: pd.DataFrame
    rows_read: int
    left_out: dict[str, int] = field(default_factory=dict)
    warnings: list[tuple[str, int]] = field(default_factory=list)
    spend_usd: pd.Series | None = None  # Decimal per row, where the source states it


def finish(file: str, found: Telemetry, today: pd.Timestamp) -> Telemetry:
    """Sift the rows (see `sift`) and bring them to the columns of the `requests` table."""
    rows, left_out, remarks = sift(file, found.rows, today)
    if found.spend_usd is not None:
        found.spend_usd = found.spend_usd[rows.index]
    found.left_out |= left_out
    found.warnings += remarks
    found.rows = conform(rows.reset_index(drop=True), "requests")
    return found


def telemetry_report(found: Telemetry) -> dict[str, object]:
    """Counts, tokens and latency quantiles by workload and team; shares of rows in which a field is known.

    Quantiles are the values at rank ceil(q n) of the rows themselves, milliseconds.
    """
    rows = found.rows
    span = (
        [str(edge)[:10] for edge in (rows["timestamp_utc"].min(), rows["timestamp_utc"].max())]
        if len(rows)
        else ["", ""]
    )
    known = [name for name in rows if name not in ("request_id", "use_case_id", "timestamp_utc", "status")]
    report: dict[str, object] = {
        "format": found.format,
        "rows_read": found.rows_read,
        "rows_kept": len(rows),
        "rows_left_out": found.left_out,
        "warnings": [{"text": text, "rows": count} for text, count in found.warnings],
        "period": span,
        "totals": _counts(rows),
        "workloads": {str(name): _counts(group) | _latencies(group) for name, group in rows.groupby("use_case_id")},
        "teams": {str(name): _counts(group) for name, group in rows.groupby(rows["tenant"].fillna("(none)"))},
        "coverage": {name: round(float(rows[name].notna().mean()), 6) if len(rows) else 0.0 for name in known},
    }
    if found.spend_usd is not None:
        spend = found.spend_usd.reset_index(drop=True)
        report["totals"]["spend_usd"] = str(exact_total(spend))
        dimensions = {"team": rows["tenant"].fillna("(none)"), "use_case": rows["use_case_id"]}
        report["by"] = {
            dimension: {str(name): str(exact_total(values)) for name, values in spend.groupby(names)}
            for dimension, names in dimensions.items()
        }
        report["currency"] = "USD"
        for name, amount in report["by"]["team"].items():
            report["teams"][name]["spend_usd"] = amount
    return report


def _counts(rows: pd.DataFrame) -> dict[str, object]:
    tokens = {name: int(rows[column].sum()) if rows[column].notna().any() else None for name, column in COUNTS.items()}
    return {"requests": len(rows), "errors": int((rows["status"] != "ok").sum()), **tokens}


def _latencies(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    known = {name: rows.loc[(rows["status"] == "ok") & rows[name].notna(), name].to_numpy() for name in LATENCIES}
    return {
        name: {q: round(float(np.quantile(values, level, method="inverted_cdf")), 6) for q, level in QUANTILES.items()}
        for name, values in known.items()
        if len(values)
    }


def stated_spend(amounts: pd.Series) -> tuple[pd.Series | None, list[tuple[str, int]]]:
    """Exact amounts, those that are not stated as 0, and a remark on how many; None if no row states any."""
    missing = amounts.isna()
    if missing.all():
        return None, [("no row states its spend", len(amounts))]
    remarks = [("spend that is not stated counts as 0", int(missing.sum()))] if missing.any() else []
    return amounts.mask(missing, Decimal(0)), remarks
