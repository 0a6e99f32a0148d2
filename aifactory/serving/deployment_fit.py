"""Fit the closed forms of deployments and the parts of their gaps to a table of measured deployments.

    python -m aifactory.serving.refit deployments DEPLOYMENTS.csv  > data/prediction/deployment_model.csv
    python -m aifactory.serving.refit gaps DEPLOYMENTS.csv         > data/prediction/deployment_parts.csv

Closed forms: `refit.robust_error` with a level per engine release and way of serving, so that constants explain
models, precisions, systems and loads, not the tuning of one release. Parts: clipped absolute log error, mean and
median, with whole systems, architectures and model paths left out in turn, over a sample of cells.

How far fitting helps its own figures (2026-11-26): with parts as shipped, whole systems left out are missed by 13.7 %
(time per output token) and 34.9 % (first token); with parts fitted from equal sizes without the system, on 600 cells, by
14.7 % and 39.4 %, and 79 and 76 % of the rows lie inside the 80 % interval.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.serving.deployment_gap import (
    COUNT_MAX,
    FLOOR_VARIANCE,
    PARTS,
    GapModel,
    deviations,
    robust_inverse,
)
from aifactory.serving.deployment_model import deployment_constants, with_prior
from aifactory.serving.deployments import TARGETS, read_deployments
from aifactory.serving.fitting import coordinate_descent, pull, robust_error
from aifactory.serving.ratio import covariance, groups_of, leave_out

SAMPLE, SEED, ROUNDS, ERROR_MAX, PULL = 1200, 0, 1, 0.8, 0.004
LEFT_OUT = ("chip", "architecture", "model_path")


def usable_deployments(path: Path) -> pd.DataFrame:
    """Deployments with both measurements and a closed form."""
    d = read_deployments(path)
    return d[d["prior_tpot"].notna() & (d["silicon_tpot_ms"] > 0) & (d["silicon_ttft_ms"] > 0)]


def fit_closed_forms(d: pd.DataFrame, start: dict[str, float] | None = None, sweeps: int = 8) -> dict[str, float]:
    """Constants of the closed forms of time to first token and per output token."""
    start = start or deployment_constants()
    group = pd.factorize(d["version"] + d["split"])[0]
    same = d.groupby([
        "chip", "architecture", "version", "precision", "split", "concurrency", "isl", "osl", "gpus", "silicon_tpot_ms"
    ]).ngroup()  # fmt: skip
    once = 1 / same.map(same.value_counts()).to_numpy()
    weight = once * pd.Series(once).groupby(group).transform("sum").to_numpy() ** -0.5
    measured = {name: np.log(d[f"silicon_{name}_ms"]).to_numpy() for name in TARGETS}

    def error(constants: dict[str, float]) -> float:
        said = with_prior(d, constants)
        parts = [robust_error(measured[name] - said[f"prior_{name}"].to_numpy(), group, weight) for name in TARGETS]
        return sum(parts) + pull(constants, start)

    return coordinate_descent(error, dict(start), sweeps)


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
        self.count = np.minimum(np.bincount(self.rows), COUNT_MAX)
        self.parts = {name: covariance(model.cells, model.cells, {name: 1.0}, PARTS) for name in PARTS}
        self.setups = groups_of(pd.Series(model.setup))
        self.groups = [groups_of(model.cells[label]) for label in LEFT_OUT]

    def __call__(self, sizes: dict[str, float]) -> float:
        prior = sum(sizes[name] ** 2 * part for name, part in self.parts.items())
        noise = FLOOR_VARIANCE + sizes["noise"] ** 2 / self.count
        inverse, _, _ = robust_inverse(prior, self.gap, noise, self.setups, sizes["tolerated"], ROUNDS)
        total = PULL * sum(np.log(sizes[name] / self.start[name]) ** 2 for name in self.start)
        for groups in self.groups:
            off = np.minimum(np.abs(leave_out(inverse, self.gap, groups)[0]), ERROR_MAX)[self.rows]
            total += float(off.mean() + np.median(off))
        return total
