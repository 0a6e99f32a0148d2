"""Names that a file does not hold and nobody gave: shown as such in a report, never written to a workspace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError, with_nearest
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.target import Target
from aifactory.inputs.plan import load_plan
from aifactory.inputs.tables import read_source
from aifactory.inputs.workspace import table_file

#: Stands for a name until it is known, and in the report if it never is.
UNNAMED = "(not named)"
#: Said of a trace whose times count from its beginning.
UNDATED = "the trace holds no dates: its days are counted from 1970-01-01; say with --first-day when it begins"
OPTIONS = {
    "region": ("region", "--region"),
    "use_case_id": ("use case", "--use-case"),
    "accelerator_id": ("accelerator", "--accelerator"),
}


def unnamed_target(target: Target, kind: str) -> Target:
    """A target whose gaps carry a mark, so that a file is read and reported whatever names it lacks.

    >>> unnamed_target(Target(use_case="chat"), "jobs").region
    '(not named)'
    """
    marked = replace(target, region=target.region or UNNAMED)
    if kind == "jobs":
        marked = replace(marked, use_case=target.use_case or UNNAMED)
    return marked


def settle_names(source: str, report: dict[str, object], frames: list[pd.DataFrame], into: Path | None) -> None:
    """Fill marked names from the workspace where only one is possible; the report says how many rows it concerns.

    Without a workspace nothing is written, so the mark stays and is explained.

    Raises
    ------
    InputError
        If rows for a workspace lack a name and the workspace leaves a choice.
    """
    if into is not None and any(item["text"] == UNDATED for item in report["warnings"]):
        raise InputError.at(source, UNDATED)
    for column, (what, option) in OPTIONS.items():
        lacking = [frame for frame in frames if column in frame and (frame[column] == UNNAMED).any()]
        rows = sum(int((frame[column] == UNNAMED).sum()) for frame in lacking)
        if not rows:
            continue
        if into is None:
            text = f"no {what} is named: shown as {UNNAMED}; say it with {option} to write to a workspace"
            if column in report.get("coverage", {}):
                all_rows = sum(len(frame) for frame in frames if column in frame)
                report["coverage"] = {**report["coverage"], column: round(1 - rows / all_rows, 6)}
        else:
            choices = _possible(into, column)
            if len(choices) != 1 or column != "region":
                raise InputError.at(source, f"names no {what}; say it with {option}.", choices=choices)
            for frame in lacking:
                frame[column] = frame[column].replace(UNNAMED, choices[0])
            text = f"no {what} is named: {choices[0]}, the only one of plan.yaml, was taken; {option} names another"
        report["warnings"] = [*report["warnings"], {"text": text, "rows": rows}]


def tell_unknown_use_cases(report: dict[str, object], frames: list[pd.DataFrame], into: Path | None) -> None:
    """Warn of use cases that the workspace does not list, once it lists any: `check` refuses their rows."""
    known = _possible(into, "use_case_id") if into is not None else []
    named = [frame["use_case_id"].dropna().astype("str") for frame in frames if "use_case_id" in frame]
    if not known or not named:
        return
    names = pd.concat(named)
    for name, rows in names[~names.isin([*known, UNNAMED])].value_counts().sort_index().items():
        rule = (
            f"{name} is no use case of the workspace, and `check` refuses it: add it to use_cases, or import again with --replace and "
            "--use-case or `use_cases` of a --mapping."
        )
        text = with_nearest(rule, name, known)
        report["warnings"] = [*report["warnings"], {"text": text, "rows": int(rows)}]


def _possible(workspace: Path, column: str) -> list[str]:
    """What a name could be in a workspace."""
    if column == "region":
        return [item.region for item in load_plan(workspace / "plan.yaml").regions]
    if column == "accelerator_id":
        return list(load_plan(workspace / "plan.yaml").candidates)
    held = table_file(workspace, "use_cases")
    return read_source(held, load_contract("use_cases"))["use_case_id"].tolist() if held else []
