"""What measured deployments say about the gap between closed form and measurement, as in `ratio.py`.

The gap of a deployment is a Gaussian process whose covariance is a sum of parts (engine, release, model,
system, layout, near in load and lengths, ...). Whether tokens were speculated is not stated and moves the time
per output token by up to a factor of two, so gaps have two modes: cells far off under leave-one-out get more noise
and the estimate follows the larger group instead of the mean between both.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from aifactory.inputs.resources import data_dir
from aifactory.serving.intervals import COVERAGE, balanced_quantile
from aifactory.serving.ratio import Part, block_out, covariance, groups_of, inverse_of, own_variance

_NEAR = (("log_held", 0.8), ("log_input", 0.7), ("log_output", 0.9), ("log_gpus", 0.6))
_WIDE = (("log_held", 2.0), ("log_input", 1.5), ("log_output", 1.8), ("log_gpus", 1.5))
_TWIN = tuple((name, 0.4 * length) for name, length in _NEAR)
PARTS: dict[str, Part] = {
    "level": Part(),
    "split": Part(("split",)),
    "architecture": Part(("architecture",)),
    "engine": Part(("backend",)),
    "engine_split": Part(("backend", "split")),
    "release": Part(("version",)),
    "architecture_engine": Part(("architecture", "backend")),
    "architecture_release": Part(("architecture", "version")),
    "architecture_engine_split": Part(("architecture", "backend", "split")),
    "precision": Part(("precision",)),
    "precision_engine": Part(("precision", "backend")),
    "precision_architecture": Part(("precision", "architecture")),
    "system": Part(("chip",)),
    "system_engine": Part(("chip", "backend")),
    "system_split": Part(("chip", "split")),
    "layout": Part(("layout", "split")),
    "ranked": Part(("ranked", "split", "sparse")),
    "sparse": Part(("sparse",)),
    "wide": Part(("split", "sparse"), near=_WIDE),
    "near_engine": Part(("backend", "split", "sparse"), near=_NEAR),
    "near_architecture": Part(("architecture", "split"), near=_NEAR),
    "near_release": Part(("architecture", "split", "version"), near=_NEAR),
    "near_layout": Part(("architecture", "split", "version", "precision", "layout"), near=_NEAR),
    "near_system": Part(("chip", "split", "sparse"), near=_NEAR),
    "setup": Part(("architecture", "version", "chip", "precision", "split")),
    "twin": Part(("architecture", "version", "chip", "precision", "split"), near=_TWIN),
}
#: Equal conditions: their median is one cell.
CELL = (
    "chip", "model_path", "version", "precision", "split", "concurrency", "isl", "osl", "gpus", "prefill_gpus", "workers",
    "prefill_workers", "year", "ranks", "layout",
)  # fmt: skip
FLOOR_VARIANCE, COUNT_MAX, SHARE_OF_ODD = 0.001, 3, 0.5


@cache
def deviations(target: str) -> dict[str, float]:
    """Standard deviation of each part in log units, with `noise` of a row and `tolerated` gap of an odd one."""
    table = pd.read_csv(data_dir() / "prediction" / "deployment_parts.csv")
    table = table[table["target"] == target]
    return dict(zip(table["part"], table["deviation"].astype(float), strict=True))


class GapModel:
    """Gap model of one target over its training rows, duplicates merged."""

    def __init__(self, rows: pd.DataFrame, target: str, sizes: dict[str, float] | None = None, rounds: int = 2) -> None:
        self.sizes = sizes or deviations(target)
        usable = rows[np.isfinite(rows[f"prior_{target}"]) & (rows[f"silicon_{target}_ms"] > 0)]
        gap = np.log(usable[f"silicon_{target}_ms"]) - usable[f"prior_{target}"]
        number = usable.groupby(list(CELL), dropna=False, sort=False).ngroup().to_numpy()
        self.cells = usable.groupby(number).first()
        self.gap = gap.groupby(number).median().to_numpy()
        self.membership = pd.Series(number, index=usable.index)
        self.row_gap = gap.to_numpy()
        self.mean = float(np.median(self.gap)) if len(self.gap) else 0.0
        self.parts = {name: self.sizes[name] for name in PARTS}
        self.variance = FLOOR_VARIANCE + self.sizes["noise"] ** 2
        count = usable.groupby(number).size().to_numpy()
        self.noise = FLOOR_VARIANCE + self.sizes["noise"] ** 2 / np.minimum(count, COUNT_MAX)
        self.inverse = self._robust(rounds)

    def _robust(self, rounds: int) -> np.ndarray:
        prior = covariance(self.cells, self.cells, self.parts, PARTS)
        base, gap = self.noise, self.gap - self.mean
        for number in range(rounds + 1):
            inverse = inverse_of(prior + np.diag(self.noise))
            if number < rounds:
                off = np.abs(inverse @ gap) / np.diag(inverse)
                self.noise = base + SHARE_OF_ODD * np.maximum(off - self.sizes["tolerated"], 0.0) ** 2
        return inverse

    def predict(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Gap and its standard deviation (uncalibrated) for rows with features."""
        cross = covariance(rows, self.cells, self.parts, PARTS)
        weight = cross @ self.inverse
        variance = own_variance(rows, self.parts, PARTS) - (weight * cross).sum(axis=1) + self.variance
        return self.mean + weight @ (self.gap - self.mean), np.sqrt(np.maximum(variance, self.variance))

    def left_out(self, labels: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Residuals and standard deviations of the cells with each label left out whole."""
        residual, deviation = np.empty(len(self.gap)), np.empty(len(self.gap))
        for group in groups_of(labels):
            residual[group], deviation[group] = block_out(self.inverse, self.gap - self.mean, group)
        variance = deviation**2 - self.noise + self.variance
        return residual, np.sqrt(np.maximum(variance, self.variance))

    def row_scores(self, residual: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """|measured less predicted| / deviation of every row, from the residuals of its cell."""
        cell = self.membership.to_numpy()
        return np.abs(self.row_gap - (self.gap - residual)[cell]) / deviation[cell]

    def width(self, kind: str) -> float:
        """Calibrated half width in deviations: rows held back singly ("row") or with their whole system or model."""
        score, group = self._calibration(kind)
        return balanced_quantile(score, _weighing(kind, group), _raised(kind, group))

    def widths_apart(self, kind: str, apart: pd.Series) -> np.ndarray:
        """Half width of every cell from the rows outside its group `apart`."""
        score, group = self._calibration(kind)
        cell = self.membership.to_numpy()
        width = np.full(len(self.gap), np.nan)
        for own in groups_of(apart):
            others = ~np.isin(cell, own)
            width[own] = balanced_quantile(score[others], _weighing(kind, group[others]), _raised(kind, group[others]))
        return width

    def _calibration(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Score of every row, and the group that it was held back with.

        Systems and architectures weigh the same in the quantile; paths, some of which share an architecture or hold
        a handful of rows, weigh by rows, see `_raised`.
        """
        cell = self.membership.to_numpy()
        label = self.cells[HELD_BACK[kind]] if kind in HELD_BACK else pd.Series(np.arange(len(self.gap)))
        return self.row_scores(*self.left_out(label)), pd.factorize(label)[0][cell]


HELD_BACK = {"accelerator": "chip", "model": "architecture", "path": "model_path"}


def _raised(kind: str, group: np.ndarray) -> float:
    """Coverage to aim at: with G paths weighing by rows, (G + 1) / G of the nominal one as in `tiers.Predictor`."""
    paths = max(len(np.unique(group)), 1)
    return min(COVERAGE * (1 + 1 / paths), 0.95) if kind == "path" else COVERAGE


def _weighing(kind: str, group: np.ndarray) -> np.ndarray:
    """Groups that weigh the same; one for all where rows do."""
    return group if kind in ("accelerator", "model") else np.zeros(len(group))
