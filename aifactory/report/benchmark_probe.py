"""Forecast against measurement on accelerators that were probed, in the benchmark page."""

from __future__ import annotations

from functools import cache

import pandas as pd

from aifactory.inputs.resources import data_dir
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Col, Group, group, section, table
from aifactory.report.text import num, pct
from aifactory.serving.probe.compare import OF_A_MIXTURE, compare, error_summary, repeat_spread

SOURCE = (
    "`aifactory bench probe`: transformers with random weights, no engine around them; forecast made before the run"
)

MIXTURE_NOTE = " Experts run as grouped products of PyTorch, which read slower than what engines write for them."


def probe_section(workspace: Workspace) -> Group:
    """Errors of the forecast of each probed accelerator, by part of the work; a sentence where none was probed."""
    question = "Does the engine's forecast hold on real accelerators?"
    found = probe_errors(workspace)
    if found.empty:
        return group(
            section(question, "No accelerator with a forecast was probed: `aifactory bench probe` measures one.")
        )
    columns = {
        "accelerator_id": Col("Accelerator"), "method": Col("Forecast from"), "part": Col("Part"), "rows": Col("Points", "int"),
        "median_error": Col("Median error", "pct1"), "median_abs_error": Col("Median size", "pct1"),
        "p90_abs_error": Col("p90 size", "pct1"), "as_of": Col("Measured", "date"),
    }  # fmt: skip
    shown = table(
        found, caption="Forecast and measurement of kernels and steps", source=SOURCE, as_of=found["as_of"].max(), columns=columns,
        note="Error = forecast / measured - 1; below 0 the forecast was too fast. Steps: fastest mode, without scheduling and sampling."
        + MIXTURE_NOTE * bool(found["part"].str.endswith(OF_A_MIXTURE).any())
        + repeat_note(workspace.table("step_measurements")),
        max_rows=40,
    )  # fmt: skip
    return group(section(question, probe_answer(found)), shown)


def probe_errors(workspace: Workspace) -> pd.DataFrame:
    """Rows of `error_summary` for the step measurements of a workspace that were forecast."""
    measured = workspace.table("step_measurements")
    steps = (measured["kind"] == "step") & (measured["mode"] != "fused")
    parts = [
        compare(measured[~steps & (measured["accelerator_id"] == chip)], rows).assign(method=method)
        for (chip, method), rows in forecasts().groupby(["accelerator_id", "method"], sort=True)
    ]
    return error_summary(pd.concat(parts, ignore_index=True))


def probe_answer(found: pd.DataFrame) -> str:
    """Answer of the section: errors of whole steps by method, those of mixtures apart."""
    steps = found[found["part"].str.contains(" step")]
    mixture = steps["part"].str.endswith(OF_A_MIXTURE).rename("mixture")
    said = [
        f"{num(rows['rows'].sum(), 0)} steps{' of mixtures of experts' * of_experts} from {method}: "
        f"median {pct(_mean(rows, 'median_abs_error'), 1)}, p90 {pct(_mean(rows, 'p90_abs_error'), 0)}"
        for (of_experts, method), rows in steps.groupby([mixture, "method"], sort=False)
    ]
    return f"Errors of forecasts made before the run, mean over parts: {'; '.join(said)}."


def repeat_note(measured: pd.DataFrame) -> str:
    """How well steps and kernels repeated on another machine of the same kind, as a sentence; empty if none was."""
    said = []
    for chip, again in repeats().groupby("accelerator_id", sort=True):
        spread = repeat_spread(measured[measured["accelerator_id"] == chip], again)
        is_step = spread["part"].str.endswith(" step")
        for what, rows in (("steps", spread[is_step]), ("kernels", spread[~is_step])):
            if len(rows):
                size = pct(_mean(rows, "p90_abs_change"), 1)
                said.append(f"{num(rows['rows'].sum(), 0)} {what} of {chip} within {size} (p90)")
    return (
        f" Measured again on a machine of the same kind: {', '.join(said)}; no forecast is surer than that."
        if said
        else ""
    )


@cache
def repeats() -> pd.DataFrame:
    """The same points on a second machine of the same kind; treat as read-only."""
    return pd.read_csv(data_dir() / "prediction" / "probe_repeat.csv")


@cache
def forecasts() -> pd.DataFrame:
    """Forecasts that were written down before the accelerators were measured; treat as read-only."""
    return pd.read_csv(data_dir() / "prediction" / "probe_forecast.csv")


def _mean(rows: pd.DataFrame, column: str) -> float:
    return float((rows[column] * rows["rows"]).sum() / rows["rows"].sum())
