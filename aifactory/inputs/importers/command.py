"""`aifactory import`: read files of one kind, report what was read, put it into a workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.bills import bill_report, read_bill
from aifactory.inputs.importers.store import add_rows
from aifactory.inputs.importers.telemetry import read_telemetry, telemetry_report
from aifactory.inputs.importers.telemetry.month import read_month
from aifactory.inputs.importers.traces import TRACES, detect_trace
from aifactory.inputs.plan import read_yaml
from aifactory.inputs.tables import read_text

MAPPED = ("columns", "use_cases")


@dataclass(frozen=True)
class Target:
    """Where rows belong that do not say it themselves, and the names that files use."""

    use_case: str = ""
    region: str = ""
    first_day: str = ""
    accelerator: str = ""
    today: pd.Timestamp | None = None
    columns: dict[str, str] = field(default_factory=dict)
    use_cases: dict[str, str] = field(default_factory=dict)


def read_mapping(path: Path | None) -> dict[str, dict[str, str]]:
    """`columns` (ours: theirs) and `use_cases` (theirs: ours) of a mapping file."""
    held = read_yaml(path) if path else {}
    unknown = next((name for name in held if name not in MAPPED), "")
    if unknown:
        raise InputError.at(path.name, "is no part of a mapping.", value=unknown, choices=MAPPED)
    for name, part in held.items():
        if not isinstance(part, dict) or not all(isinstance(item, str) for pair in part.items() for item in pair):
            raise InputError.at(path.name, "must hold names and names", column=name)
    return held


def import_files(
    kind: str, sources: list[Path], into: Path | None, target: Target, *, replace: bool = False
) -> list[dict[str, object]]:
    """Import files one after the other; nothing is written before every file was read.

    Returns
    -------
    One report per file, with `source` and, if written, `written`.
    """
    if kind not in KINDS:
        raise InputError.at("KIND", "cannot be imported.", value=kind, choices=KINDS)
    read = [KINDS[kind](path, target) for path in sources]
    for report, name, rows, suffix in read:
        if into is not None:
            report["written"] = add_rows(into, name, rows, replace=replace, suffix=suffix).name
    return [report for report, *_ in read]


Read = tuple[dict[str, object], str, pd.DataFrame, str]


def _billing(path: Path, _target: Target) -> Read:
    bill = read_bill(path)
    return {"source": path.name} | bill_report(bill), "billing", bill.table, ".csv"


def _telemetry(path: Path, target: Target) -> Read:
    today = target.today if target.today is not None else pd.Timestamp.max.tz_localize("UTC").as_unit("us")
    if path.is_dir():
        windows, report = read_month(path, target.region, target.use_cases)
        return {"source": path.name} | report, "demand_windows", windows, ".parquet"
    found = read_telemetry(path, today, region=target.region, use_cases=target.use_cases, columns=target.columns)
    return {"source": path.name} | telemetry_report(found), "requests", found.rows, ".parquet"


def _trace(path: Path, target: Target) -> Read:
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    if not target.use_case or not target.region:
        raise InputError.at("import trace", "needs --use-case and --region: a trace does not name them")
    text, notes = read_text(path)
    trace = TRACES[detect_trace(path.name, list(text.columns))]
    rows = trace.read(path, target.use_case, target.region, target.first_day, target.accelerator)
    return trace_report(path, trace.name, trace.table, len(text), rows, notes), trace.table, rows, ".parquet"


def trace_report(
    path: Path, name: str, table: str, rows_read: int, rows: pd.DataFrame, notes: list[tuple[str, int]]
) -> dict[str, object]:
    """Counts, period and totals of an imported trace."""
    time = rows["timestamp_utc" if table == "requests" else "submitted_utc"]
    report: dict[str, object] = {
        "source": path.name,
        "format": name,
        "rows_read": rows_read,
        "rows_kept": len(rows),
        "rows_left_out": {},
        "warnings": [{"text": text, "rows": count} for text, count in notes],
        "period": [str(edge)[:10] for edge in (time.min(), time.max())],
    }
    if table == "jobs":
        hours = (rows["ended_utc"] - rows["started_utc"]) / pd.Timedelta(hours=1) * rows["accelerators"]
        return report | {"totals": {"jobs": len(rows), "accelerator_hours": round(float(hours.sum()), 6)}}
    counts = {name: _whole(rows[name]) for name in ("input_tokens", "output_tokens", "cached_input_tokens")}
    failed = int((rows["status"] != "ok").sum())
    return report | {"totals": {"requests": len(rows), "errors": failed, **counts}}


def _whole(values: pd.Series) -> int | None:
    return int(values.sum()) if values.notna().any() else None


KINDS: dict[str, Callable[[Path, Target], Read]] = {"billing": _billing, "telemetry": _telemetry, "trace": _trace}
