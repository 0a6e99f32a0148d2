"""Anchored ratios: what measured neighbours say about the gap between step model and measurement.

The gap g = speed - prior of every row is a Gaussian process whose covariance is a sum of hand-readable
parts (same model and context, same vendor and date, near in bandwidth-peak-memory, ...), each with a standard
deviation in log units: hierarchical shrinkage in one linear solve. Rows under equal conditions form one
cell (median), weighted by their count; where accelerators share one batch of images or videos their number is such a
condition (four with two images between them yield less each than one with two of its own). Cells far off under
leave-one-accelerator-out get more noise, so that one odd submission does not move its neighbours. Tables of one team
sweep batches, lengths or accelerators of one setup: what such a series (`SERIES`) is off by as a whole is doubted for
other accelerators and kept for its own rows. Where no other accelerator was measured under the same conditions a cell
can hardly be contradicted: outside language models, whose step model compares all of them, it must be off by more than
twice its predicted deviation.

Leave-group-out residuals come in closed form from one inverse: r_B = (K^-1)_BB^-1 (K^-1 g)_B, variances
the diagonal of (K^-1)_BB^-1 (Rasmussen and Williams 2006, section 5.4.2, for blocks).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.linalg.lapack import dpotrf, dpotri

from aifactory.inputs.resources import data_dir

#: Numeric features: column, centre, scale; the logarithm is taken except of the year.
SCALES = {
    "bandwidth": (8.0, 0.6), "peak": (7.0, 0.7), "peak_bf16": (6.5, 0.7), "memory_left": (4.0, 0.7), "link": (5.0, 1.0),
    "accelerators": (2.0, 1.0), "batch": (4.0, 1.0), "input_tokens": (6.5, 1.0), "output_tokens": (6.5, 1.0),
    "concurrency": (4.0, 1.0), "layout_tp": (0.0, 1.0), "params_b": (3.0, 1.0), "active_b": (3.0, 1.0), "tdp_w": (6.0, 0.6),
}  # fmt: skip
CELL = (
    "chip",
    "model",
    "context",
    "source",
    "precision",
    "size_class",
    "input_tokens",
    "layout_tp",
    "concurrency",
    "length_class",
)
#: Rows of tables that are off together: one accelerator, model and task.
SERIES = ("chip", "model", "context", "task")
#: Years before the first and after the last measurement that the trend over dates is followed: editions of one source are so
#: far apart at most, and later ones are missed by 12.3 % with it and 12.5 % without.
YEARS_BEYOND = 1.1
ROW_VARIANCE, FLOOR_VARIANCE, TOLERATED_GAP, TOLERATED_ALONE = 0.003, 3e-4, 0.25, 2.0


@dataclass(frozen=True)
class Part:
    """One term: rows equal in `same`, times a line in `line`, times nearness in `near` (feature, length)."""

    same: tuple[str, ...] = ()
    line: str = ""
    near: tuple[tuple[str, float], ...] = ()


_CHIP_NEAR = (("bandwidth", 0.4), ("peak", 0.4), ("memory_left", 0.6))
_CHIP_FAR = (("bandwidth", 1.0), ("peak", 1.0), ("memory_left", 1.2))
_SWEEP = (("input_tokens", 2.5), ("output_tokens", 1.9), ("concurrency", 0.9), ("accelerators", 2.5))
_SHAPE = (("input_tokens", 0.8), ("output_tokens", 0.8), ("batch", 1.2), ("layout_tp", 1.0), ("accelerators", 2.0))
PARTS = {
    "level": Part(),
    "context": Part(("context",)),
    "work": Part(("kind", "metric")),
    "class": Part(("accelerator_class",)),
    "model_work": Part(("law", "kind", "metric")),
    "model_context": Part(("law", "context")),
    "architecture": Part(("architecture", "metric")),
    "chip": Part(("chip",)),
    "chip_model": Part(("chip", "architecture")),
    "chip_model_context": Part(("chip", "model", "context")),
    "source": Part(("source",)),
    "source_vendor": Part(("source", "vendor")),
    "source_model_vendor": Part(("source", "vendor", "model", "context")),
    "near_model": Part(("model", "context"), near=_CHIP_NEAR),
    "near_generation": Part(("generation",), near=_CHIP_NEAR),
    "generation_context": Part(("generation", "context")),
    "far_kind": Part(("kind",), near=_CHIP_FAR),
    "precision_context": Part(("precision", "context")),
    "precision_size": Part(("precision",), line="params_b"),
    "vendor_kind": Part(("vendor", "kind")),
    "year": Part(line="year"),
    "system_size": Part(("context",), line="accelerators"),
    "bandwidth": Part(line="bandwidth"),
    "peak": Part(line="peak"),
    "memory_left": Part(line="memory_left"),
    "size_kind": Part(("kind", "metric"), line="active_b"),
    "batch_context": Part(("context",), line="batch"),
    "input_context": Part(("context",), line="input_tokens"),
    "output_context": Part(("context",), line="output_tokens"),
    "tp_context": Part(("context",), line="layout_tp"),
    "shape_context": Part(("context",), near=_SHAPE),
    "shape_model": Part(("model", "context"), near=_SHAPE),
    "shape_chip_model": Part(("chip", "model", "context", "precision"), near=_SHAPE),
    "sweep": Part(("chip", "model", "task", "source", "precision"), near=_SWEEP),
    "sweep_chip": Part(("chip", "task", "source", "metric"), near=_SWEEP),
    "sweep_source": Part(("source", "task", "metric"), near=_SWEEP),
}


@cache
def prior_deviations() -> dict[str, dict[str, float]]:
    """Standard deviation of each part in log units, by regime."""
    table = pd.read_csv(data_dir() / "prediction" / "ratio_parts.csv")
    return {name: dict(zip(rows["part"], rows["deviation"], strict=True)) for name, rows in table.groupby("regime")}


def features_of(d: pd.DataFrame) -> pd.DataFrame:
    """Columns that the parts read: standardised numbers and labels."""
    x = pd.DataFrame({"year": d["year"].to_numpy(dtype=float)}, index=d.index)
    for name, (centre, scale) in SCALES.items():
        values = np.log(np.maximum(d[name].to_numpy(dtype=float), 1e-6))
        x[name] = (np.where(np.isfinite(values), values, centre) - centre) / scale
    labels = {name for part in PARTS.values() for name in part.same} - {"architecture"}
    for name in sorted(labels):
        x[name] = d[name].to_numpy()
    named = d["catalogue_model"].where(d["catalogue_model"] != "", d["model"])
    x["architecture"] = named.where(d["law"] == d["model"], d["law"])
    return x


def covariance(
    a: pd.DataFrame, b: pd.DataFrame, deviations: dict[str, float], parts: dict[str, Part] | None = None
) -> np.ndarray:
    """Prior covariance of the gaps of rows `a` and `b`; shape (len(a), len(b))."""
    parts = PARTS if parts is None else parts
    total = np.zeros((len(a), len(b)))
    codes, near = {}, {}
    for name, deviation in deviations.items():
        if not deviation:
            continue
        part, term = parts[name], deviation**2
        if part.same:
            first, second = _codes(a, b, part.same, codes)
            term = deviation**2 * (first[:, None] == second[None, :])
        if part.line:
            term = term * np.outer(a[part.line], b[part.line])
        if part.near:
            if part.near not in near:
                near[part.near] = np.exp(-0.5 * sum(_squared(a[f], b[f], length) for f, length in part.near))
            term = term * near[part.near]
        total += term
    return total


def _codes(
    a: pd.DataFrame, b: pd.DataFrame, labels: tuple[str, ...], known: dict[tuple[str, ...], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that are equal where rows of `a` and `b` agree in all labels; `known` keeps those worked out."""
    for number, label in enumerate(labels):
        if labels[: number + 1] in known:
            continue
        if (label,) not in known:
            known[(label,)] = pd.factorize(pd.concat([a[label], b[label]]))[0]
        if number:
            before, own = known[labels[:number]], known[(label,)]
            known[labels[: number + 1]] = np.unique(before * (own.max(initial=0) + 2) + own, return_inverse=True)[1]
    return known[labels][: len(a)], known[labels][len(a) :]


def own_variance(x: pd.DataFrame, deviations: dict[str, float], parts: dict[str, Part] | None = None) -> np.ndarray:
    """Diagonal of `covariance(x, x, deviations)`."""
    parts = PARTS if parts is None else parts
    total = np.zeros(len(x))
    for name, deviation in deviations.items():
        line = parts[name].line
        total += deviation**2 * (x[line].to_numpy() ** 2 if line else 1.0)
    return total


def _squared(a: pd.Series, b: pd.Series, length: float) -> np.ndarray:
    return ((a.to_numpy()[:, None] - b.to_numpy()[None, :]) / length) ** 2


def to_cells(d: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """One row per set of equal conditions (medians, `count` of measurements), and the cell of each id."""
    size = np.where(d["shared"], d["accelerators"], np.round(np.log2(d["accelerators"])).clip(0, 6) // 3)
    lengths = np.where(d["round"], 0.0, d["output_tokens"])
    keyed = d.assign(size_class=size, length_class=lengths)
    number = keyed.groupby(list(CELL), dropna=False, sort=False).ngroup()
    numeric = [name for name in d.columns if d[name].dtype.kind == "f"]
    grouped = d.groupby(number.to_numpy())
    cells = grouped.first()
    cells[numeric] = grouped[numeric].median()
    cells["count"] = grouped.size()
    cells["cell"] = cells.index
    return cells, pd.Series(number.to_numpy(), index=d["id"].to_numpy())


def groups_of(labels: pd.Series) -> list[np.ndarray]:
    """Positions of the rows of each label."""
    codes = pd.factorize(labels)[0]
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else []


@dataclass(frozen=True)
class RatioModel:
    """Trained gaps of one regime: cells, their inverse covariance and the mean gap.

    `odd` is the variance by which the series of each cell (`SERIES`) is off as a whole: known to its own rows.
    """

    cells: pd.DataFrame
    membership: pd.Series
    features: pd.DataFrame
    inverse: np.ndarray
    noise: np.ndarray
    odd: np.ndarray
    mean: float
    deviations: dict[str, float]

    def predict(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Gap and its prior standard deviation (uncalibrated) for rows with features."""
        x = features_of(rows.assign(year=self.year_of(rows)))
        own, cells = _codes(rows, self.cells, SERIES, {})
        odd = (own[:, None] == cells[None, :]) * self.odd[None, :]
        cross = covariance(x, self.features, self.deviations) + odd
        weight = cross @ self.inverse
        known = own_variance(x, self.deviations) + odd.max(axis=1, initial=0.0)
        variance = known - (weight * cross).sum(axis=1) + ROW_VARIANCE
        gap = self.mean + weight @ (self.cells["gap"].to_numpy() - self.mean)
        return gap, np.sqrt(np.maximum(variance, FLOOR_VARIANCE))

    def year_of(self, rows: pd.DataFrame) -> pd.Series:
        """Year of each row (since `measurements.EPOCH_YEAR`), no further than `YEARS_BEYOND` from those of the cells."""
        known = self.cells["year"]
        return rows["year"].clip(known.min() - YEARS_BEYOND, known.max() + YEARS_BEYOND)

    def leave_out(self, labels: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (measured less predicted) and standard deviations with each label left out whole."""
        residual, deviation = leave_out(self.inverse, self.cells["gap"].to_numpy() - self.mean, groups_of(labels))
        series = self.cells.groupby(list(SERIES), sort=False).ngroup().to_numpy()
        size = pd.Series(series).groupby(series).transform("size")
        whole = (size == pd.Series(series).groupby([series, labels.to_numpy()]).transform("size")).to_numpy()
        return residual, self.forecast_deviation(deviation, np.arange(len(residual)), whole)

    def forecast_deviation(self, deviation: np.ndarray, cells: np.ndarray, whole: np.ndarray | bool) -> np.ndarray:
        """Deviation of a forecast of one row: that a cell, or a series left out `whole`, is odd is not known beforehand."""
        variance = deviation**2 - self.noise[cells] - np.where(whole, self.odd[cells], 0.0) + ROW_VARIANCE
        return np.sqrt(np.maximum(variance, FLOOR_VARIANCE))


def inverse_of(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive definite matrix by Cholesky, in half the operations of the general one."""
    if not len(matrix):
        return matrix
    factor, wrong = dpotrf(matrix, lower=1)
    if wrong:
        return np.linalg.inv(matrix)
    lower = np.tril(dpotri(factor, lower=1)[0])
    return lower + np.tril(lower, -1).T


def leave_out(inverse: np.ndarray, gap: np.ndarray, groups: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Closed-form leave-group-out residuals and standard deviations from an inverse covariance."""
    residual, deviation = np.empty(len(gap)), np.empty(len(gap))
    for group in groups:
        residual[group], deviation[group] = block_out(inverse, gap, group)
    return residual, deviation


def block_out(inverse: np.ndarray, gap: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residuals and standard deviations of one group left out."""
    block = np.linalg.inv(inverse[np.ix_(group, group)])
    return block @ (inverse[group] @ gap), np.sqrt(np.maximum(np.diag(block), FLOOR_VARIANCE))


def fit_ratio(rows: pd.DataFrame, deviations: dict[str, float], rounds: int = 2) -> RatioModel:
    """Train on rows with features and `speed`; `rounds` of down-weighting cells that no neighbour supports."""
    cells, membership = to_cells(rows.assign(gap=rows["speed"] - rows["prior"]))
    x = features_of(cells)
    prior = covariance(x, x, deviations)
    mean = float(np.median(cells["gap"]))
    gap = cells["gap"].to_numpy() - mean
    series = cells.groupby(list(SERIES), sort=False).ngroup()
    together = series.to_numpy()[:, None] == series.to_numpy()[None, :]
    base = FLOOR_VARIANCE + ROW_VARIANCE / cells["count"].to_numpy()
    noise, odd = base, np.zeros(len(cells))
    swept = ((cells["regime"] == "llm_tables") | cells["shared"]).to_numpy()
    neighbours = cells.groupby(["model", "context"])["chip"].transform("nunique").to_numpy() - 1
    alone = (neighbours == 0) & (cells["regime"] == "other").to_numpy()
    for number in range(rounds + 1):
        inverse = inverse_of(prior + np.diag(noise) + together * odd[None, :])
        if number < rounds:
            off, deviation = leave_out(inverse, gap, groups_of(cells["chip"]))
            tolerated = np.maximum(TOLERATED_GAP, np.where(alone, TOLERATED_ALONE * deviation, 0.0))
            level = pd.Series(off).groupby(series.to_numpy()).transform("median").to_numpy()
            shared = np.where(swept, level, 0.0)
            allowed = pd.Series(tolerated).groupby(series.to_numpy()).transform("max").to_numpy()
            odd = 0.5 * np.maximum(np.abs(shared) - allowed, 0.0) ** 2
            noise = base + 0.5 * np.maximum(np.abs(off - shared) - tolerated, 0.0) ** 2
    return RatioModel(cells, membership, x, inverse, noise, odd, mean, deviations)
