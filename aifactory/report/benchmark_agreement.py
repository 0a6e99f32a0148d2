"""Runs against production in the benchmark page: where they contradict each other, by row, and which is planned with."""

from __future__ import annotations

import pandas as pd

from aifactory.benchmark import Benchmark
from aifactory.benchmark.agreement import AGREES, CONTRADICTS, KEYS, NOT_COMPARABLE
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Block, Col, section, table
from aifactory.report.text import as_of_range, join_words, month_name, plural

SOURCE = "benchmarks, pools, demand_windows and latency tables"
NAMED = 4


def contradicted(bench: Benchmark) -> list[str]:
    """Use cases with their accelerator whose runs production contradicts."""
    rows = bench.agreement[bench.agreement["verdict"] == CONTRADICTS].drop_duplicates(KEYS)
    return [f"{row.use_case_id} on {row.accelerator_id}" for row in rows.itertuples()]


def agreement_blocks(ws: Workspace, bench: Benchmark) -> list[Block]:
    """Whether production bears the runs out, and a row for every figure in which it does not."""
    rows, question = bench.agreement, "Does production bear the runs out?"
    if rows.empty:
        text = "This could not be compared: no use case has both a run and pools of its own on the same accelerator in the month."
        return [section(question, text)]
    against = rows[rows["verdict"] == CONTRADICTS]
    pairs = rows.drop_duplicates(KEYS)
    open_ = pairs[pairs["verdict"] == NOT_COMPARABLE]
    named = contradicted(bench)
    many = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    answer = (
        f"{plural(len(pairs), 'pair')} of use case and accelerator had a run and served in {month_name(ws.period)}. "
        + (
            f"Production contradicts the runs of {join_words(named[:NAMED])}{many}: the rows below say by how much, what may explain it and which is planned with. Such runs are unverified."
            if named
            else "No figure lies beyond what either allows."
        )
    )
    if len(open_):
        reasons = [
            f"{row.use_case_id} on {row.accelerator_id} ({row.finding})" for row in open_.head(NAMED).itertuples()
        ]
        answer += f" Capacity is not comparable for {'; '.join(reasons)}."
    if against.empty:
        return [section(question, f"{answer} {_counts(rows)}")]
    return [section(question, answer), _table(rows, against)]


def _counts(rows: pd.DataFrame) -> str:
    counts = rows["verdict"].value_counts()
    return (
        f"Of {plural(len(rows), 'figure')}, {counts.get(AGREES, 0)} agree, {counts.get(CONTRADICTS, 0)} contradict and {counts.get(NOT_COMPARABLE, 0)} "
        "cannot be compared; all stand in the agreement table of the workbook. A run is refuted by more served inside the limits than its high end, or by a p95 "
        "above its p99 at capacity in hours within it."
    )


def _table(rows: pd.DataFrame, against: pd.DataFrame) -> Block:
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Accelerator"),
        "region": Col("Region"),
        "figure": Col("Figure"),
        "run": Col("Run says"),
        "run_as_of": Col("Run of", "date"),
        "production": Col("Production says"),
        "may_explain": Col("May explain it"),
        "planned": Col("Planned with"),
    }
    shown = against.assign(
        figure=against["figure"] + ", " + against["unit"],
        run=_span(against, "run"),
        production=_span(against, "production") + f" ({against['period'].iloc[0]})",
        planned=against["planned_with"] + ": " + against["why"],
    )
    return table(
        shown,
        caption="Figures in which production contradicts the runs",
        source=SOURCE,
        as_of=as_of_range(against["run_as_of"]),
        columns=columns,
        max_rows=12,
        note=_counts(rows),
    )


def _span(rows: pd.DataFrame, name: str) -> pd.Series:
    """Low to high end in three digits; latency of a run from its median at the lightest load to its p99 at capacity."""
    ends = rows[[f"{name}_low", f"{name}_high"]].astype(float)
    texts = [f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}" for low, high in ends.to_numpy()]
    return pd.Series(texts, index=rows.index)
