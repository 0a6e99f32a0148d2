"""Fit the constants of the step model and of the deployment closed form to tables of measurements.

    python -m aifactory.serving.refit throughput MEASUREMENTS.csv  > data/prediction/step_model.csv
    python -m aifactory.serving.refit deployments DEPLOYMENTS.csv  > data/prediction/deployment_model.csv

Objective: mean absolute log error after taking out the level of each comparison group, so that the
constants explain differences between accelerators and loads and not the tuning of one source; a
quarter of the weight on the error with levels, and a weak pull towards the shipped constants' start.
Coordinate descent with adaptive steps: no gradients, deterministic.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.serving.deployments import deployment_constants, read_deployments, with_prior
from aifactory.serving.measurements import layout_inputs, read_measurements, with_features
from aifactory.serving.step_model import StepConstants, best_throughput, step_constants

#: Shares of a peak cannot pass 1.
SHARES = ("compute_16bit", "compute_8bit", "compute_4bit", "bandwidth_hbm", "bandwidth_other", "bandwidth")
PULL, LEVEL_WEIGHT, CLIP, SWEEPS = 0.006, 0.25, 0.7, 5


def coordinate_descent(
    error: Callable[[dict[str, float]], float], start: dict[str, float], sweeps: int = SWEEPS
) -> dict[str, float]:
    """Minimise over positive constants, moving one at a time by a factor that grows and shrinks.

    >>> found = coordinate_descent(lambda c: abs(c["a"] - 2.0), {"a": 1.0}, sweeps=30)
    >>> round(found["a"], 2)
    2.0
    """
    values = {name: min(value, 1.0) if name in SHARES else value for name, value in start.items()}
    best = error(values)
    steps = dict.fromkeys(start, 0.25)
    for _ in range(sweeps):
        for name in values:
            for sign in (1, -1):
                moved = float(values[name] * np.exp(sign * steps[name]))
                trial = values | {name: min(moved, 1.0) if name in SHARES else moved}
                score = error(trial)
                if score < best - 1e-9:
                    best, values = score, trial
                    steps[name] *= 1.2
                    break
            else:
                steps[name] *= 0.5
    return values


def robust_error(residual: np.ndarray, group: np.ndarray, weight: np.ndarray) -> float:
    """Weighted mean absolute log error without and with the level of each group, clipped."""
    inside = residual - pd.Series(residual).groupby(group).transform("median").to_numpy()
    level = residual - np.median(residual)
    return float(
        np.average(np.minimum(np.abs(inside), CLIP), weights=weight)
        + LEVEL_WEIGHT * np.average(np.minimum(np.abs(level), 1.0), weights=weight)
    )


def _pull(constants: dict[str, float], start: dict[str, float]) -> float:
    return PULL * sum(np.log(constants[name] / start[name]) ** 2 for name in start)


def fit_step_model(path: Path) -> dict[str, float]:
    """Constants of the step model from published throughput of language models on GPUs."""
    d = with_features(read_measurements(path))
    usable = d["regime"].str.startswith("llm") & (d["metric"] == "tokens_per_s") & d["prior"].notna()
    d = d[usable & (d["accelerator_class"] == "gpu") & d["known_chip"]]
    rows = layout_inputs(d)
    chained = np.log(np.where(d["layers_chained"], d["accelerators"], 1.0))
    group = pd.factorize(d["model"] + d["context"])[0]
    weight = np.where(d["round"], 3.0, np.where(d["family"] == "trtllm-perf", 1.0, 0.5))
    start = asdict(step_constants())

    def error(constants: dict[str, float]) -> float:
        said = best_throughput(rows, StepConstants(**constants))["log_tokens_per_s"].to_numpy() - chained
        return robust_error(d["speed"].to_numpy() - said, group, weight) + _pull(constants, start)

    return coordinate_descent(error, start)


def fit_deployment_model(path: Path) -> dict[str, float]:
    """Constants of the closed forms of time to first token and per output token."""
    d = read_deployments(path)
    d = d[d["prior_tpot"].notna() & (d["silicon_tpot_ms"] > 0) & (d["silicon_ttft_ms"] > 0)]
    group = pd.factorize(d["architecture"] + d["backend"] + d["split"])[0]
    size = pd.Series(group).map(pd.Series(group).value_counts()).to_numpy()
    start = deployment_constants()

    def error(constants: dict[str, float]) -> float:
        said = with_prior(d, constants)
        errors = [
            robust_error(
                np.log(d[f"silicon_{name}_ms"]).to_numpy() - said[f"prior_{name}"].to_numpy(), group, size**-0.5
            )
            for name in ("ttft", "tpot")
        ]
        return sum(errors) + _pull(constants, start)

    return coordinate_descent(error, dict(start))


def main(arguments: list[str]) -> None:
    """Print a table of constants, ready to replace the shipped one but for its source and date."""
    fit = {"throughput": fit_step_model, "deployments": fit_deployment_model}[arguments[0]]
    lines = [f"{name},{value:.4f}" for name, value in fit(Path(arguments[1])).items()]
    sys.stdout.write("\n".join(["constant,value", *lines]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
