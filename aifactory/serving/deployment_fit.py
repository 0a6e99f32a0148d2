"""Fit the closed forms of deployments and the parts of their gaps to a table of measured deployments.

    python -m aifactory.serving.refit deployments DEPLOYMENTS.csv  > data/prediction/deployment_model.csv
    python -m aifactory.serving.refit gaps DEPLOYMENTS.csv         > data/prediction/deployment_parts.csv

Closed forms: least squares with a level per setup (release with its flags on one accelerator), so that constants
explain models, layouts and loads, not the tuning of one release. Parts: clipped absolute log error, mean and
median, with whole systems, architectures and model paths left out in turn, over a sample of cells.

How far fitting helps its own figures (2026-11-26), time per output token with whole systems left out: 12.4 %; with
constants fitted without the system, parts as they were before, 13.5 % where 12.5 % were reached. Before prompts were moved between accelerators and engines that do both
given their host's time for each sequence: 13.7 %, with parts fitted from equal sizes without the system, on 600
cells, 14.7 %; time to first token 34.9 and 39.4 %.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from aifactory.serving.deployment_crowd import measured_ms
from aifactory.serving.deployment_gap import (
    COUNT_MAX,
    FLOOR_VARIANCE,
    PARTS,
    GapModel,
    deviations,
    robust_inverse,
    setup_of,
)
from aifactory.serving.deployment_model import deployment_constants, with_prior
from aifactory.serving.deployments import TARGETS, read_deployments
from aifactory.serving.fitting import SHARES, coordinate_descent
from aifactory.serving.ratio import block_out, covariance, groups_of

SAMPLE, SEED, ROUNDS, ERROR_MAX, PULL = 1200, 0, 1, 0.8, 0.004
#: Held while the others are fitted: the share of the bandwidth that public tables show at a batch of one in 16 bits, and half a
#: millisecond of the host, which deployments do not tell from the layers.
HELD = {"bandwidth": 0.78, "step_ms": 0.5}
#: Fit of the closed forms.
SCALE, RIDGE, LEVEL = {"tpot": 0.15, "ttft": 0.3}, {"tpot": 0.4, "ttft": 0.3}, {"tpot": 0.15, "ttft": 1.0}
#: Where the fit of the time to first token starts: half of the first tenth of the prompts of a run wait for each other
#: (ten requests a client), queues as they are, shares of the peak as in steps, a round number each for what is left.
START = {
    "ttft_dense": 0.7, "ttft_mixture": 0.35, "ttft_moved_gb_per_s": 300.0, "ttft_ms": 40.0, "ttft_layer_us": 100.0,
    "ttft_burst": 0.05, "ttft_steps": 3.0, "ttft_steps_vllm": 3.0, "ttft_steps_trtllm": 20.0, "ttft_steps_sglang": 20.0,
    "ttft_client_us": 20.0, "ttft_steady": 1.0, "ttft_full": 0.2, "ttft_transfer_ms": 30.0, "ttft_behind": 0.25,
    "ttft_far": 1.5,
}  # fmt: skip
#: How much less a time to first token weighs with each factor e that it comes after what all in line explain.
LATE_WEIGHT = 3.0
LEFT_OUT = ("chip", "architecture", "model_path")


def usable_deployments(path: Path) -> pd.DataFrame:
    """Deployments with both measurements and a closed form."""
    d = read_deployments(path)
    return d[d["prior_tpot"].notna() & (d["silicon_tpot_ms"] > 0) & (d["silicon_ttft_ms"] > 0)]


def fit_closed_forms(d: pd.DataFrame, start: dict[str, float] | None = None, steps: int = 25) -> dict[str, float]:
    """Constants of the closed forms, of the time per output token first: the time to first token follows from it.

    Least squares of log errors under a soft absolute loss (`SCALE`), levels of setups taken out, which the gap model
    learns; `LEVEL` of the weight on errors with levels, and a pull of `RIDGE` towards the start, of the time to first token
    towards `START`, which no measurement was asked for. What is read as served with speculated tokens says nothing of steps.
    """
    found = dict(start or deployment_constants() | START) | HELD
    for target in TARGETS:
        names = [name for name in found if name not in HELD and name.startswith("ttft") == (target == "ttft")]
        rows = d[~d["speculated"]] if target == "tpot" else d
        found |= _fit_constants(rows, target, found, names, steps)
    return found


def _fit_constants(
    d: pd.DataFrame, target: str, start: dict[str, float], names: list[str], steps: int
) -> dict[str, float]:
    middle = np.log([start[name] for name in names])
    group = pd.factorize(setup_of(d))[0]
    same = d.groupby([
        "chip", "architecture", "version", "precision", "split", "concurrency", "isl", "osl", "gpus", "silicon_tpot_ms"
    ]).ngroup()  # fmt: skip
    once = 1 / same.map(same.value_counts()).to_numpy()
    weight = np.sqrt(once * pd.Series(once).groupby(group).transform("sum").to_numpy() ** -0.5)
    weight = weight / np.sqrt(np.mean(weight**2)) / SCALE[target]
    if target == "ttft":
        weight = weight / (1 + LATE_WEIGHT * d["late"].to_numpy())
    measured = np.log(measured_ms(d, target))
    pulled = RIDGE[target] * np.sqrt(len(d) / len(names))

    def errors(logs: np.ndarray) -> np.ndarray:
        said = with_prior(d, start | dict(zip(names, np.exp(logs), strict=True)))
        off = measured - said[f"prior_{target}"]
        inside = off - off.groupby(group).transform("median")
        return np.concatenate(
            [weight * inside, LEVEL[target] * weight * (off - off.median()), pulled * (logs - middle)]
        )

    highest = np.maximum([0.0 if name in (*SHARES, "prefill") else np.inf for name in names], middle + 1e-9)
    found = least_squares(
        errors, middle, loss="soft_l1", max_nfev=steps, x_scale=0.3, bounds=(np.full(len(names), -np.inf), highest)
    )
    return dict(zip(names, np.exp(found.x).tolist(), strict=True))


def fit_parts(d: pd.DataFrame, target: str, start: dict[str, float] | None = None, sweeps: int = 2) -> dict[str, float]:
    """Standard deviations of the parts of one target's gap."""
    start = start or deviations(target)
    model = GapModel(d, target, start, rounds=0)
    few = model.cells.index
    if len(few) > SAMPLE:
        few = np.sort(np.random.default_rng(SEED).choice(few, SAMPLE, replace=False))
    rows = d.loc[model.membership.index[model.membership.isin(few)]]
    return coordinate_descent(_LeftOut(GapModel(rows, target, start, rounds=0), start), dict(start), sweeps)


class _LeftOut:
    """Error of the cells of a model with its groups left out, for other deviations; covariances are summed once."""

    def __init__(self, model: GapModel, start: dict[str, float]) -> None:
        self.start, self.gap, self.rows = start, model.gap - model.mean, model.membership.to_numpy()
        self.doubt, self.told, self.count = model.doubt, model.told, np.minimum(np.bincount(self.rows), COUNT_MAX)
        self.parts = {name: covariance(model.cells, model.cells, {name: 1.0}, PARTS) for name in PARTS}
        self.setups = groups_of(pd.Series(model.setup))
        self.groups = [
            [(group, model.with_copies(group)) for group in groups_of(model.cells[label])] for label in LEFT_OUT
        ]

    def __call__(self, sizes: dict[str, float]) -> float:
        prior = sum(sizes[name] ** 2 * part for name, part in self.parts.items())
        noise = (FLOOR_VARIANCE + sizes["noise"] ** 2 / self.count) * self.told + self.doubt
        inverse, _, _ = robust_inverse(prior, self.gap, noise, self.setups, sizes["tolerated"], ROUNDS)
        total = PULL * sum(np.log(sizes[name] / self.start[name]) ** 2 for name in self.start)
        for groups in self.groups:
            off = np.empty(len(self.gap))
            for group, along in groups:
                off[group] = np.abs(block_out(inverse, self.gap, along)[0][: len(group)])
            off = np.minimum(off, ERROR_MAX)[self.rows]
            total += float(off.mean() + np.median(off))
        return total
