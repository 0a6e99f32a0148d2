"""How far predictions are from what was measured, beside what they should reach: one table of all targets.

    python -m aifactory.serving.targets PERFORMANCE.csv DEPLOYMENTS.csv           # constants as shipped
    python -m aifactory.serving.targets PERFORMANCE.csv DEPLOYMENTS.csv --nested  # refitted without what is left out

Columns: rows, median absolute percentage error, target, share of measured values inside the 80 % interval and
the datasheet ratio's error on the same rows (`fidelity.datasheet_ratio`).

Protocols. Published throughput: reviewed rounds of models that two or more other accelerators ran, with each
whole accelerator, model or row left out and every tier trained again on the rest. As shipped, the constants
of the step model and the sizes of the parts come from all rows; nested, the constants of language models are
fitted again from `PHYSICAL` without the accelerator (sizes of parts as shipped); a third line takes `PHYSICAL` itself,
fitted to nothing: six accelerators run interactively, and what fits the others can be worse for the one left out.
Deployments: whole systems, model paths and architectures left out; nested, the sizes of the parts are fitted again
without the system or the architecture (about 5 minutes of CPU each; model paths share architectures and are not nested).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.serving.deployment_fit import fit_parts, usable_deployments
from aifactory.serving.deployment_gap import deviations
from aifactory.serving.deployments import evaluate_deployments, predict_deployments, read_deployments
from aifactory.serving.fidelity import ROUND_SCENARIOS, SPLITS, evaluate
from aifactory.serving.intervals import covered
from aifactory.serving.measurements import read_measurements, with_features
from aifactory.serving.refit import fit_step_constants
from aifactory.serving.step_model import StepConstants
from aifactory.serving.tiers import train

#: Where a fit of the step model starts that must not know the shipped constants: matrix products at 0.6 to 0.8 of the
#: peak, reads at 0.7 to 0.75 of the bandwidth, links at 0.8, 25 us a layer, 20 us a sequence, 8 us an all-reduce.
PHYSICAL = {
    "compute_16bit": 0.8, "compute_8bit": 0.7, "compute_4bit": 0.6, "bandwidth_hbm": 0.75, "bandwidth_other": 0.7,
    "layer_us": 25.0, "sequence_us": 20.0, "allreduce_us": 8.0, "link": 0.8, "kv_factor": 1.2, "prefill": 1.0,
    "knee": 3.0, "moe_factor": 1.2,
}  # fmt: skip
#: Largest median error per figure: split, group, target.
ROUND_TARGETS = {
    ("accelerator", "offline"): 0.08, ("accelerator", "server"): 0.11, ("accelerator", "interactive"): 0.15,
    **{("model", name): 0.35 for name in ROUND_SCENARIOS}, **{("row", name): 0.02 for name in ROUND_SCENARIOS},
}  # fmt: skip
DEPLOYMENT_TARGETS = {"tpot": 0.12, "ttft": 0.35}
DEPLOYMENT_SPLITS = ("unseen accelerator", "unseen model", "unseen architecture")
COLUMNS = ("figure", "rows", "median_error", "target", "coverage80", "baseline_median_error")


def round_targets(path: Path) -> pd.DataFrame:
    """Published rounds against their targets, constants as shipped."""
    summary = evaluate(with_features(read_measurements(path)), None).summary
    rows = summary[summary["by"] == "rounds with two other accelerators"].set_index(["split", "group"])
    lines = []
    for (split, group), target in ROUND_TARGETS.items():
        key = (SPLITS[split], group)
        if key in rows.index:
            found = rows.loc[key]
            lines.append(
                (f"{group}, {SPLITS[split]}", int(found["rows"] - found["refused"]), found["median_error"], target,
                 found["coverage80"], found["baseline_median_error"])
            )  # fmt: skip
    return pd.DataFrame(lines, columns=list(COLUMNS))


def nested_round_targets(path: Path) -> pd.DataFrame:
    """Language models of the rounds with the accelerator left out of the constants' fit too."""
    return _without_accelerator(
        path, "nested", lambda llm, chip: fit_step_constants(llm[llm["chip"] != chip], PHYSICAL)
    )


def unfitted_round_targets(path: Path) -> pd.DataFrame:
    """Language models of the rounds with the accelerator left out and constants that were fitted to nothing."""
    return _without_accelerator(path, "constants not fitted", lambda _, __: PHYSICAL)


def _without_accelerator(
    path: Path, label: str, constants_for: Callable[[pd.DataFrame, str], dict[str, float]]
) -> pd.DataFrame:
    """Rounds with each accelerator left out, and the constants that `constants_for(language rows, accelerator)` gives."""
    table = read_measurements(path)
    base = with_features(table)
    llm = base[base["regime"].str.startswith("llm")]
    several = llm.groupby(["model", "context"])["chip"].transform("nunique") > 2
    tuned = several & (llm["regime"] == "llm_rounds") & llm["scenario"].isin(ROUND_SCENARIOS)
    parts = []
    for chip in sorted(llm.loc[tuned, "chip"].unique()):
        constants = StepConstants(**constants_for(llm, chip))
        rows = with_features(table[table["id"].isin(llm.loc[llm["regime"] == "llm_rounds", "id"])], constants=constants)
        asked = rows[(rows["chip"] == chip) & rows.index.isin(tuned.index[tuned])]
        answer = train(rows[rows["chip"] != chip]).predict(asked).drop(columns="id")
        parts.append(asked[["scenario", "value"]].join(answer))
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    scored = pd.concat(parts)
    lines = []
    for name, part in scored.groupby("scenario"):
        said = part[part["predicted"].notna()]
        error = (said["predicted"].astype(float) / said["value"] - 1).abs()
        inside = covered(said["value"].to_numpy(), said["low80"].to_numpy(), said["high80"].to_numpy())
        figure = f"{name}, language models, unseen accelerator, {label}"
        lines.append((figure, len(said), float(error.median()), ROUND_TARGETS["accelerator", name], inside, np.nan))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def deployment_targets(path: Path) -> pd.DataFrame:
    """Deployments against their targets, constants as shipped."""
    summary, _ = evaluate_deployments(read_deployments(path), None)
    rows = summary[summary["group"] == "all"].set_index(["split", "by"])
    lines = []
    for split in DEPLOYMENT_SPLITS:
        for name, target in DEPLOYMENT_TARGETS.items():
            found = rows.loc[(split, f"{name} all")]
            said = int(found["rows"] - found["refused"])
            lines.append((f"{name}, {split}", said, found["median_error"], target, found["coverage80"], np.nan))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def nested_deployment_targets(path: Path) -> pd.DataFrame:
    """Deployments with each whole system, then each architecture, left out of the fit of the parts too."""
    rows, lines = usable_deployments(path), []
    for split, label in (("unseen accelerator", "chip"), ("unseen architecture", "architecture")):
        parts = []
        for held in sorted(rows[label].unique()):
            others, asked = rows[rows[label] != held], rows[rows[label] == held]
            sizes = {name: fit_parts(others, name, dict.fromkeys(deviations(name), 0.1)) for name in DEPLOYMENT_TARGETS}
            parts.append(predict_deployments(asked, others, sizes))
        said = pd.concat(parts).loc[rows.index]
        for name, target in DEPLOYMENT_TARGETS.items():
            measured = rows[f"silicon_{name}_ms"]
            error = (said[f"predicted_{name}_ms"] / measured - 1).abs().median()
            inside = covered(measured, said[f"low80_{name}_ms"], said[f"high80_{name}_ms"])
            lines.append((f"{name}, {split}, nested", len(rows), float(error), target, inside, np.nan))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def main(arguments: list[str]) -> None:
    """Print the table."""
    performance, deployments = (Path(name) for name in arguments[:2])
    parts = [round_targets(performance), unfitted_round_targets(performance), deployment_targets(deployments)]
    if "--nested" in arguments:
        parts += [nested_round_targets(performance), nested_deployment_targets(deployments)]
    table = pd.concat(parts, ignore_index=True)
    for name in ("median_error", "target", "coverage80", "baseline_median_error"):
        table[name] = [f"{value:.1%}" if np.isfinite(value) else "-" for value in table[name].astype(float)]
    sys.stdout.write(table.to_string(index=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
