"""What `aifactory fidelity` does: read, predict from the other file, score, write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.serving.deployments import evaluate_deployments, is_deployment_file, read_deployments
from aifactory.serving.fidelity import evaluate
from aifactory.serving.measurements import read_measurements, read_workloads, with_features

LEAVE_OUT = ("row", "accelerator", "model", "round")
PERCENT = ("median_error", "p90_error", "macro_median_error", "coverage80", "baseline_median_error")


@dataclass(frozen=True)
class FidelityReport:
    """Summary table and the predictions of each row in the order of the file."""

    summary: pd.DataFrame
    predictions: pd.DataFrame

    def as_json(self) -> str:
        """Summary as JSON lines of a list; unknown numbers are null."""
        return json.dumps(json.loads(self.summary.to_json(orient="records", double_precision=6)), indent=1)

    def shown(self) -> pd.DataFrame:
        """Summary with percentages as text, for a terminal."""
        table = self.summary.copy()
        for name in PERCENT:
            if name in table:
                table[name] = [f"{value:.1%}" if np.isfinite(value) else "-" for value in table[name].astype(float)]
        return table.rename(columns=lambda name: name.replace("_", " "))


def run_fidelity(
    measurements: Path,
    training: Path | None = None,
    workloads: Path | None = None,
    out: Path | None = None,
    leave_out: str = "row",
) -> FidelityReport:
    """Predict every row of `measurements` from `training`, or cross-validate; write `out` if given.

    Raises InputError for files that cannot be used, and where both files are of different kinds.
    """
    if leave_out not in LEAVE_OUT:
        raise InputError.at("--leave-out", "not a split", value=leave_out, choices=LEAVE_OUT)
    if is_deployment_file(measurements):
        if training is not None and not is_deployment_file(training):
            raise InputError.at(training, "holds no deployments (isl, osl, system), as the measurements do")
        given = read_deployments(training) if training is not None else None
        report = FidelityReport(*evaluate_deployments(read_deployments(measurements), given, leave_out))
    else:
        lengths = read_workloads(workloads) if workloads is not None else None
        rows = with_features(read_measurements(measurements), lengths)
        given = with_features(read_measurements(training), lengths) if training is not None else None
        result = evaluate(rows, given)
        chosen = result.predictions.get("given" if given is not None else leave_out, result.predictions.get("row"))
        chosen = chosen.reindex(rows.index).assign(id=rows["id"])
        unsaid = chosen["tier"].isna()
        chosen.loc[unsaid, ["tier", "reason"]] = [
            "benchmark first",
            "no earlier edition of this source to predict it from",
        ]
        report = FidelityReport(result.summary, chosen)
    if out is not None:
        report.predictions.to_csv(out, index=False)
    return report
