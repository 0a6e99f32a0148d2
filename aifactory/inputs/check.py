"""`aifactory check`: what a workspace holds, table by table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import contract_names, load_contract
from aifactory.inputs.findings import CHECK_COLUMNS
from aifactory.inputs.horizon import BILL, DATED
from aifactory.inputs.plan import load_plan
from aifactory.inputs.tables import raise_problems, read_table
from aifactory.inputs.workspace import (
    CANDIDATES,
    CHAIN,
    NO_DEMAND,
    REQUIRED,
    TELEMETRY,
    data_dir,
    find_workspace,
    load_workspace,
    table_file,
)

#: Column by table that tells which months its rows are of; dates to come (ends, retirements) are no coverage.
DATES = DATED | {"billing": BILL[0], "benchmarks": "started_utc"}


@dataclass(frozen=True)
class CheckReport:
    """Result of a check: one row a table, optional tables not given, and the messages."""

    summary: pd.DataFrame
    absent: list[str]
    failures: list[str]
    warnings: list[str]


def check_workspace(path: str | Path = "") -> CheckReport:
    """Check every table on its own, then all together; collects instead of stopping at the first."""
    folder = find_workspace(path)
    failures, rows = [], {}
    for name in sorted(contract_names(), key=CANDIDATES.__ne__):
        rows[name], problem = _check_table(folder, name, rows.get(CANDIDATES, {}).get("rows", 0) > 0)
        failures += [problem] if problem else []
    rows = {name: rows[name] for name in contract_names()}
    failures += _plan_problem(folder)
    catalogue = rows[CANDIDATES]["rows"] > 0
    if not catalogue and not any(table_file(folder, name) for name in (*TELEMETRY, CHAIN)):
        failures.append(NO_DEMAND)
    findings = pd.DataFrame(columns=CHECK_COLUMNS)
    if not failures:
        try:
            findings = load_workspace(folder).checks
        except InputError as error:
            failures.append(str(error))
    for name, row in rows.items():
        mine = findings[findings["table"] == name]
        row |= {status: int((mine["status"] == status).sum()) for status in ("passed", "warned")}
        row["failed"] = row["failed"] + int((mine["status"] == "failed").sum())
    failures += list(findings.loc[findings["status"] == "failed", "message"])
    warnings = list(findings.loc[findings["status"] == "warned", "message"])
    summary = pd.DataFrame([{"table": name, **row} for name, row in rows.items()])
    counts = ["passed", "warned", "failed"]
    shown = (summary["file"] != "") | (summary[counts].sum(axis="columns") > 0)
    for at, name in summary.loc[shown & (summary["file"] == ""), "table"].items():
        summary.loc[at, ["file", "rows"]] = _of_catalogue(name)
    absent = summary.loc[~shown, "table"].tolist()
    return CheckReport(summary.loc[shown, ["table", "file", "rows", "period", *counts]], absent, failures, warnings)


def _check_table(folder: Path, name: str, catalogue: bool) -> tuple[dict[str, object], str]:
    row: dict[str, object] = {"file": name, "rows": 0, "period": "", "failed": 0}
    try:
        path = table_file(folder, name)
    except InputError as error:
        return row | {"failed": 1}, str(error)
    row["file"] = path.name if path else ""
    if path is None:
        missing = name in REQUIRED
        return row | {"failed": int(missing)}, f"{name}.csv: not found; this table is needed" if missing else ""
    try:
        read = read_table(path, load_contract(name))
        row["rows"], row["period"] = len(read.frame), _span(name, read.frame)
        raise_problems(path.name, read.problems)
    except InputError as error:
        return row | {"failed": 1}, str(error)
    if name in REQUIRED and read.frame.empty and not catalogue:
        return row | {"failed": 1}, f"{path.name}: has no rows yet"
    return row, ""


def _of_catalogue(name: str) -> tuple[str, int]:
    """What stands in for a table that is not given, and its rows."""
    path = table_file(data_dir() / "catalogue", name)
    return f"{name} (catalogue)", len(read_table(path, load_contract(name)).frame) if path else 0


def _span(name: str, frame: pd.DataFrame) -> str:
    """First and last month that the rows of a table were measured, charged or decided in; lists without such a date have none."""
    if name not in DATES:
        return ""
    known = frame[DATES[name]].dropna()
    months = known if pd.api.types.is_string_dtype(known) else known.dt.strftime("%Y-%m")
    return f"{months.min()} to {months.max()}" if len(months) else ""


def _plan_problem(folder: Path) -> list[str]:
    try:
        load_plan(folder / "plan.yaml")
    except InputError as error:
        return [str(error)]
    return []
