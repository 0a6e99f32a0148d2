"""Record what a stage found: `results.json` for machines, one CSV per table for everybody."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from aifactory.errors import AIFactoryError
from aifactory.report.markup import formula_safe
from aifactory.report.sources import TABLE_SOURCES

RESULTS = "results.json"
TABLES = "tables"
#: Where a road keeps the list of its runs and the reports that others replaced, beside the folders of the months.
RUNS, EARLIER = "runs.jsonl", "earlier"
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,59}$")


def record(
    out_dir: str | Path,
    stage: str,
    headline: Mapping[str, tuple[Any, str]],
    tables: Mapping[str, pd.DataFrame],
    sources: Mapping[str, str] | None = None,
) -> None:
    """Write headline figures and tables of a stage; nothing where `out_dir` is empty.

    Parameters
    ----------
    out_dir : folder of the report.
    stage : name of the stage.
    headline : value and unit by name; a value that is not known is None.
    tables : frames by name. Text that a spreadsheet would take for a formula is made safe.
    sources : inputs that each table was made of, by name; the workbook prints them. Default: `sources.TABLE_SOURCES`.
    """
    for name in [*headline, *tables]:
        if not _NAME.match(name):
            raise AIFactoryError(f"record: {name!r} must be snake_case")
    figures = {name: {"value": _plain(value), "unit": str(unit)} for name, (value, unit) in headline.items()}
    if not out_dir:
        return
    folder = Path(out_dir)
    (folder / TABLES).mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        safe_frame(frame).to_csv(folder / TABLES / f"{name}.csv", index=False, lineterminator="\n")
    content: dict[str, Any] = {"stage": stage, "headline": figures, "tables": sorted(tables)}
    sources = sources or TABLE_SOURCES.get(stage, {})
    if sources:
        content["sources"] = {name: sources[name] for name in sorted(tables) if name in sources}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / RESULTS).write_text(text + "\n", encoding="utf-8")


def recall(out_dir: str | Path, stage: str, period: str, name: str) -> pd.DataFrame:
    """Table of the first report of a stage and month that was published where this one will be.

    Later reports of that month may know more; the first is what its readers were told. Runs with changed settings do
    not count. Empty where `out_dir` is, or where there is no such report or table.
    """
    empty = pd.DataFrame()
    root = next((folder for folder in Path(out_dir).resolve().parents if (folder / RUNS).is_file()), None)
    if not str(out_dir) or root is None:
        return empty
    for line in (root / RUNS).read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        if (run["stage"], run["period"], run["state"], run["settings"]) != (stage, period, "done", {}):
            continue
        kept = root / EARLIER / f"{period}-{stage}-{run['fingerprint'][:12]}"
        for folder in (kept, root / period / stage):
            file, manifest = folder / TABLES / f"{name}.csv", folder / "manifest.json"
            if not (file.is_file() and manifest.is_file()):
                continue
            if json.loads(manifest.read_text(encoding="utf-8"))["aifactory"]["fingerprint"] == run["fingerprint"]:
                return pd.read_csv(file)
    return empty


def safe_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Frame whose texts, column names included, no spreadsheet takes for a formula."""
    safe = frame.rename(columns=lambda name: formula_safe(str(name)))
    for position, name in enumerate(safe.columns):
        column = safe.iloc[:, position]
        if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_datetime64_any_dtype(column):
            safe[name] = column.map(formula_safe)
    return safe


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, Decimal):
        return float(value)
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, (bool, int, float, str)):
        raise AIFactoryError(f"record: a headline value must be a number or a text, got {type(value).__name__}")
    return value
