"""What `aifactory fidelity` does: read, predict from the other file, score, write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.serving.deployments import evaluate_deployments, is_deployment_file, read_deployments
from aifactory.serving.fidelity import Fidelity, evaluate
from aifactory.serving.measurements import (
    read_measurements,
    read_table,
    read_workloads,
    told_elsewhere,
    with_features,
    with_lengths,
)
from aifactory.serving.model_spellings import as_spelt_in
from aifactory.serving.same_rows import published_apart
from aifactory.serving.tiers import REFUSED, train
from aifactory.serving.unstated import pooled, that_hold_weights, with_conditions

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

    A row with a fault is refused with the reason and teaches nothing; one without its value is predicted
    and not scored. Raises InputError for files that cannot be used (not one sound row, missing columns),
    and where both files are of different kinds.
    """
    if leave_out not in LEAVE_OUT:
        raise InputError.at("--leave-out", "not a split", value=leave_out, choices=LEAVE_OUT)
    if out is not None and not Path(out).absolute().parent.is_dir():
        raise InputError.at("--out", "is in a folder that does not exist", value=str(out))
    deployments = is_deployment_file(measurements)
    _need_content(measurements)
    if deployments:
        if training is not None and not is_deployment_file(training):
            raise InputError.at(training, "holds no deployments (isl, osl, system), as the measurements do")
        report = _deployments(measurements, training, leave_out)
    else:
        lengths = read_workloads(workloads) if workloads is not None else None
        report = _measurements(measurements, training, lengths, leave_out)
    if out is not None:
        report.predictions.to_csv(out, index=False)
    return report


def _deployments(measurements: Path, training: Path | None, leave_out: str) -> FidelityReport:
    faults: dict[int, str] = {}
    rows = read_deployments(measurements, faults)
    _need_rows(rows, faults)
    given = read_deployments(training, {}) if training is not None else None
    summary, answers = evaluate_deployments(rows, given, leave_out)
    ids = read_table(measurements, ()).get("config_id")
    return FidelityReport(summary, _with_refused(answers, faults, "config_id", ids))


def _measurements(
    measurements: Path, training: Path | None, lengths: pd.DataFrame | None, leave_out: str
) -> FidelityReport:
    faults: dict[int, str] = {}
    read = read_measurements(measurements, faults=faults)
    sound, given, copies = _sound(read, faults), None, None
    if training is not None:
        wrong: dict[int, str] = {}
        others = _sound(read_measurements(training, faults=wrong), wrong)
        others = told_elsewhere(others)
        sound = told_elsewhere(sound.assign(model=as_spelt_in(sound["model"], others["model"])), others)
        apart = published_apart(others, sound)
        given = with_features(told_elsewhere(apart, sound), lengths)
        given = given[given["value"].notna()]
        copies = that_hold_weights(with_features(with_conditions(with_lengths(sound, lengths), apart), lengths))
    rows = with_features(told_elsewhere(sound), lengths)
    known = rows[rows["value"].notna()]
    base = known if given is None else given
    if given is None and base.empty and len(rows):
        raise InputError.at(Path(measurements).name, "no row has a value to learn from", column="value")
    result = evaluate(known, given, copies) if len(known) else Fidelity({}, pd.DataFrame())
    chosen = result.predictions.get("given" if given is not None else leave_out, result.predictions.get("row"))
    parts = [part for part in (chosen,) if part is not None and len(part)]
    if len(known) < len(rows) or not parts:
        predictor = train(base)
        blind = predictor.predict(rows.drop(known.index))
        parts.insert(0, blind if copies is None else pooled(blind, copies, predictor.predict))
    chosen = pd.concat(parts)
    chosen = chosen.reindex(rows.index).assign(id=rows["id"])
    unsaid = chosen["tier"].isna()
    chosen.loc[unsaid, ["tier", "reason"]] = [REFUSED, "no earlier edition of this source to predict it from"]
    return FidelityReport(result.summary, _with_refused(chosen, faults, "id", read["id"]))


def _sound(table: pd.DataFrame, faults: dict[int, str]) -> pd.DataFrame:
    sound = table.drop(index=table.index[list(faults)])
    _need_rows(sound, faults)
    return sound


def _need_rows(rows: pd.DataFrame, faults: dict[int, str]) -> None:
    """Refuse a file of faulty rows alone, in the words of its first fault."""
    if rows.empty and faults:
        raise InputError(next(iter(faults.values())))


def _need_content(path: Path) -> None:
    """Refuse a file to predict that holds a header alone."""
    if read_table(path, ()).empty:
        raise InputError.at(Path(path).name, "holds a header and no row to predict", row=2)


def _with_refused(answers: pd.DataFrame, faults: dict[int, str], name: str, ids: pd.Series | None) -> pd.DataFrame:
    """Answers in the order of the file, faulty rows among them with an empty prediction and the reason."""
    refused = pd.DataFrame({"tier": REFUSED, "reason": faults}, index=list(faults))
    if ids is not None:
        refused[name] = ids.iloc[list(faults)].to_numpy()
    return pd.concat([answers, refused]).sort_index()[answers.columns] if faults else answers
