"""Verdicts on what an import of result files has read, told at once and not first by the next report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.benchmark.validity import judge
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.store import held_rows
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_source
from aifactory.serving.capacity import LATENCY_COLUMNS

NOWHERE = "(not named)"


def add_verdicts(reports: Sequence[dict[str, object]], into: Path | None) -> None:
    """Put `verdict` and `reasons` into every row of the reports, and the verdict of each run into `runs` of the last
    report with one of its points.

    Without a workspace there are no limits and no bandwidth: what a file shows by itself is judged alone.
    """
    rows = [row for report in reports for row in report.get("rows", ())]
    if not rows:
        return
    runs, cases, chips = _of_workspace(into) if into is not None else _alone(rows)
    judged = judge(runs, cases, chips)
    points = judged.points.assign(file_sha256=runs["file_sha256"]).dropna(subset="file_sha256")
    by_file, told_runs = dict(iter(points.groupby("file_sha256"))), set()
    for report in reversed(reports):
        mine = by_file.get(str(report.get("sha256", "")))
        if mine is None:
            continue
        told = {
            (row.benchmark_id, row.point): {"verdict": row.verdict, "reasons": row.reasons} for row in mine.itertuples()
        }
        for number, row in enumerate(report["rows"], 1):
            row |= told[(row["benchmark_id"], row["point"]) if into is not None else (report["source"], number)]
        new = set(mine["benchmark_id"]) - told_runs
        told_runs |= new
        runs_here = judged.runs[judged.runs["benchmark_id"].isin(new)]
        report["runs"] = runs_here[["benchmark_id", "points", "verdict", "reasons"]].to_dict("records")


def _of_workspace(into: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Runs of a workspace with its use cases and the accelerators of the catalogue, its own first."""
    contract = load_contract("accelerators")
    shipped = read_source(data_dir() / "catalogue" / "accelerators.csv", contract)
    chips = pd.concat([held_rows(into, "accelerators"), shipped], ignore_index=True)
    return held_rows(into, "benchmarks"), held_rows(into, "use_cases"), chips.drop_duplicates("accelerator_id")


def _alone(rows: Sequence[dict[str, object]]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows without a workspace, each file a run of a use case without limits."""
    contract = load_contract("benchmarks")
    frame = pd.DataFrame(list(rows)).reindex(columns=contract.columns)
    numbers = [item.name for item in contract.fields if item.type in ("number", "integer")]
    names = frame["source"].astype("str")
    frame = frame.assign(
        **{name: frame[name].astype("float64") for name in numbers},
        benchmark_id=[str(row["file"]) for row in rows],
        use_case_id=NOWHERE,
        accelerator_id=NOWHERE,
        source=names,
    )
    frame["point"] = frame.groupby("benchmark_id").cumcount() + 1
    case = {"use_case_id": NOWHERE, "service_unit": "request", "slo_max_failure_rate": np.nan}
    cases = pd.DataFrame([case | {limit: np.nan for _, limit in LATENCY_COLUMNS.values()}])
    return frame, cases, pd.DataFrame({"accelerator_id": [NOWHERE], "memory_bw_gb_per_s": [np.nan]})
