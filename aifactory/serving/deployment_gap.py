"""What measured deployments say about the gap between closed form and measurement, as in `ratio.py`.

The gap of a deployment is a Gaussian process whose covariance is a sum of parts (engine, release, model,
system, layout, near in load and lengths, ...). Whether tokens were speculated is not stated and moves the time
per output token by up to a factor of two, so gaps have two modes: cells far off under leave-one-out get more noise
and the estimate follows the larger group instead of the mean between both. A whole setup (architecture, release,
accelerator, precision, way of serving) can be odd too, run with flags that no column states: what its other setups
do not support, the median gap m of the setup left out whole beyond `SETUP_TOLERATED`, becomes a variance m^2 that
only its own rows share, so that it no longer moves other systems.

Tables repeat measurements under the name of another model or another layout, some with times cut to two decimals: both
times agree to three digits. Such copies count as one together, and who is left out takes them along.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from aifactory.inputs.resources import data_dir
from aifactory.serving.deployment_crowd import measured_ms
from aifactory.serving.intervals import COVERAGE, ENOUGH, balanced_quantile
from aifactory.serving.ratio import Part, block_out, covariance, groups_of, inverse_of, own_variance

_NEAR = (("log_held", 0.8), ("log_input", 0.7), ("log_output", 0.9), ("log_gpus", 0.6))
_WIDE = (("log_held", 2.0), ("log_input", 1.5), ("log_output", 1.8), ("log_gpus", 1.5))
_TWIN = tuple((name, 0.4 * length) for name, length in _NEAR)
#: One engine release with its flags, on one accelerator.
SETUP = ("architecture", "version", "chip", "precision", "split")
PARTS: dict[str, Part] = {
    "level": Part(),
    "split": Part(("split",)),
    "architecture": Part(("architecture",)),
    "engine": Part(("backend",)),
    "engine_split": Part(("backend", "split")),
    "release": Part(("version",)),
    "campaign": Part(("architecture", "campaign", "split")),
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
    "speculated": Part(("speculated",)),
    "wide": Part(("split", "sparse"), near=_WIDE),
    "near_engine": Part(("backend", "split", "sparse"), near=_NEAR),
    "near_architecture": Part(("architecture", "split"), near=_NEAR),
    "near_release": Part(("architecture", "split", "version"), near=_NEAR),
    "near_layout": Part(("architecture", "split", "version", "precision", "layout"), near=_NEAR),
    "near_system": Part(("chip", "split", "sparse"), near=_NEAR),
    "setup": Part(SETUP),
    "twin": Part(SETUP, near=_TWIN),
}
#: Equal conditions: their median is one cell.
CELL = (
    "chip", "model_path", "version", "precision", "split", "concurrency", "isl", "osl", "gpus", "prefill_gpus", "workers",
    "prefill_workers", "year", "campaign", "ranks", "layout",
)  # fmt: skip
#: Rows that are alike in these, times to three digits, are one measurement.
COPY = (
    "chip", "architecture", "precision", "split", "isl", "osl", "concurrency", "silicon_ttft_ms", "silicon_tpot_ms",
)  # fmt: skip
FLOOR_VARIANCE, COUNT_MAX, SHARE_OF_ODD, SETUP_TOLERATED = 0.001, 3, 1.0, 0.15
#: Deployments that the closed forms count as: with 1, 2, 4, 8 measured ones the median error (log) of the time to first
#: token falls from 0.82, 0.72, 0.58, 0.51 to 0.51, 0.45, 0.47, 0.45, of that per output token from 0.35 to 0.24 with one.
ALONE_COUNTS = 5
#: Share of the cells above which a group moves the doubts about the others.
MOVING = 0.05
#: What is held back where each way of serving has a width of its own, told by systems of `ENOUGH` rows, two at least: they
#: differ in what tables do not state (workers, speculation). Most architectures were served one way only.
BY_SPLIT = ("row", "accelerator")
#: Targets whose measurements lie to one side of predictions in every system held back (1 to 4 % below): times to first
#: token lie 14 % below to 9 % above.
LEANING = ("tpot",)


@cache
def deviations(target: str) -> dict[str, float]:
    """Standard deviation of each part in log units, with `noise` of a row and `tolerated` gap of an odd one."""
    table = pd.read_csv(data_dir() / "prediction" / "deployment_parts.csv")
    table = table[table["target"] == target]
    return dict(zip(table["part"], table["deviation"].astype(float), strict=True))


def setup_of(rows: pd.DataFrame) -> np.ndarray:
    """Name of the setup of each row, shape (rows,)."""
    return rows[list(SETUP)].astype(str).agg("|".join, axis=1).to_numpy() if len(rows) else np.empty(0, dtype=object)


def robust_inverse(
    prior: np.ndarray, gap: np.ndarray, noise: np.ndarray, setups: list[np.ndarray], tolerated: float, rounds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse covariance, noise of each cell and variance of each odd setup, after `rounds` of doubting what is far off.

    `prior` (n, n) is the covariance of the parts, `gap` (n,) has mean 0, `setups` are the cells of each setup.
    """
    base, odd = noise, np.zeros(len(setups))
    for number in range(rounds + 1):
        whole = prior + np.diag(noise)
        for group, own in zip(setups, odd, strict=True):
            whole[np.ix_(group, group)] += own
        inverse = inverse_of(whole)
        if number < rounds:
            off = np.abs(inverse @ gap) / np.diag(inverse)
            noise = base + SHARE_OF_ODD * np.maximum(off - tolerated, 0.0) ** 2
            level = np.array([np.median(block_out(inverse, gap, group)[0]) for group in setups])
            odd = np.maximum(np.abs(level) - SETUP_TOLERATED, 0.0) ** 2
    return inverse, noise, odd


class GapModel:
    """Gap model of one target over its training rows, duplicates merged."""

    def __init__(self, rows: pd.DataFrame, target: str, sizes: dict[str, float] | None = None, rounds: int = 2) -> None:
        self.sizes, self.target = sizes or deviations(target), target
        usable = rows[np.isfinite(rows[f"prior_{target}"]) & (rows[f"silicon_{target}_ms"] > 0)]
        gap = np.log(measured_ms(usable, target)) - usable[f"prior_{target}"]
        number = usable.groupby(list(CELL), dropna=False, sort=False).ngroup().to_numpy()
        self.cells = usable.groupby(number).first()
        self.gap = gap.groupby(number).median().to_numpy()
        self.membership = pd.Series(number, index=usable.index)
        self.row_gap = gap.to_numpy()
        self.mean = _level(self.gap)
        self.parts = {name: self.sizes[name] for name in PARTS}
        self.variance = FLOOR_VARIANCE + self.sizes["noise"] ** 2
        count = usable.groupby(number).size().to_numpy()
        self.measurement = _measurements(usable)
        listed = pd.Series(number).groupby(self.measurement).transform("nunique")
        self.told = listed.groupby(number).median().to_numpy()
        late = usable["late"].groupby(number).median().to_numpy()
        self.doubt = late**2 if target == "ttft" else np.zeros(len(late))
        self.base = (FLOOR_VARIANCE + self.sizes["noise"] ** 2 / np.minimum(count, COUNT_MAX)) * self.told + self.doubt
        codes, self.setups = pd.factorize(setup_of(self.cells))
        self.setup = codes
        self.prior, self.rounds, self._left_out = covariance(self.cells, self.cells, self.parts, PARTS), rounds, {}
        self.inverse, self.noise, self.odd = robust_inverse(
            self.prior, self.gap - self.mean, self.base, groups_of(pd.Series(codes)), self.sizes["tolerated"], rounds
        )

    def predict(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Gap and its standard deviation (uncalibrated) for rows with features."""
        cross, own = covariance(rows, self.cells, self.parts, PARTS), own_variance(rows, self.parts, PARTS)
        if len(self.odd):
            setup = pd.Index(self.setups).get_indexer(setup_of(rows))
            odd = np.where(setup >= 0, self.odd[setup], 0.0)
            cross += odd[:, None] * (setup[:, None] == self.setup[None, :])
            own += odd
        weight = cross @ self.inverse
        variance = own - (weight * cross).sum(axis=1) + self.variance
        return self.mean + weight @ (self.gap - self.mean), np.sqrt(np.maximum(variance, self.variance))

    def left_out(self, labels: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """Residuals and standard deviations of the cells with each label left out whole.

        Groups of more than `MOVING` of the cells are left out of the doubts and of the mean too, as if never measured;
        smaller ones hardly move them and are taken out in closed form. That a row or a setup is odd is not known
        before it was measured: its deviation does not hold it.
        """
        codes = pd.factorize(labels)[0]
        key = codes.tobytes()
        if key not in self._left_out:
            residual, variance = np.empty(len(self.gap)), np.empty(len(self.gap))
            for group in groups_of(pd.Series(codes)):
                along = self.with_copies(group)
                apart = MOVING * len(self.gap) < len(along)
                found = self._apart(along) if apart else self._taken_out(along)
                residual[group], variance[group] = (value[: len(group)] for value in found)
            self._left_out[key] = residual, np.sqrt(np.maximum(variance, self.variance))
        return self._left_out[key]

    def with_copies(self, group: np.ndarray) -> np.ndarray:
        """The cells of a group, then cells outside it that repeat one of its measurements."""
        cell = self.membership.to_numpy()
        repeated = np.unique(cell[np.isin(self.measurement, self.measurement[np.isin(cell, group)])])
        return np.concatenate([group, np.setdiff1d(repeated, group)])

    def _taken_out(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        residual, deviation = block_out(self.inverse, self.gap - self.mean, group)
        size = np.bincount(self.setup, minlength=len(self.odd))
        inside = np.bincount(self.setup[group], minlength=len(size)) == size
        unknown = np.where(inside, self.odd, 0.0)[self.setup[group]]
        return residual, deviation**2 - self.noise[group] - unknown + self.variance

    def _apart(self, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals and variances of cells predicted from a model of the others; from the closed form without any."""
        rest = np.setdiff1d(np.arange(len(self.gap)), group)
        if not len(rest):
            return self.gap[group], own_variance(self.cells, self.parts, PARTS)[group] + self.variance
        mean = _level(self.gap[rest])
        setups, kept = pd.factorize(self.setup[rest])
        inverse, _, odd = robust_inverse(
            self.prior[np.ix_(rest, rest)], self.gap[rest] - mean, self.base[rest], groups_of(pd.Series(setups)),
            self.sizes["tolerated"], self.rounds,
        )  # fmt: skip
        known = np.zeros(self.setup.max() + 1)
        known[kept] = odd
        shared = self.setup[group][:, None] == self.setup[rest][None, :]
        cross = self.prior[np.ix_(group, rest)] + known[self.setup[group]][:, None] * shared
        weight = cross @ inverse
        own = self.prior[group, group] + known[self.setup[group]]
        residual = self.gap[group] - mean - weight @ (self.gap[rest] - mean)
        return residual, own - (weight * cross).sum(axis=1) + self.variance

    def row_scores(self, residual: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """|measured less predicted| / deviation of every row, from the residuals of its cell."""
        cell = self.membership.to_numpy()
        return np.abs(self.row_gap - (self.gap - residual)[cell]) / deviation[cell]

    def width(self, kind: str, split: str = "") -> float:
        """Calibrated half width in deviations: rows held back singly ("row") or with their whole system or model.

        `split` is the way of serving asked for, see `BY_SPLIT`.
        """
        score, group = self._calibration(kind)
        counted = self._counted(kind, split, np.ones(len(score), dtype=bool), group)
        return _width(kind, score[counted], group[counted])

    def widths_apart(self, kind: str, apart: pd.Series) -> np.ndarray:
        """Half width of every cell from the rows outside its group `apart`, of its way of serving."""
        score, group = self._calibration(kind)
        cell, splits = self.membership.to_numpy(), self.cells["split"].to_numpy()
        width = np.full(len(self.gap), np.nan)
        for own in groups_of(apart):
            others = ~np.isin(cell, own)
            for split in np.unique(splits[own]):
                counted = self._counted(kind, split, others, group)
                width[own[splits[own] == split]] = _width(kind, score[counted], group[counted])
        return width

    def lean(self, others: np.ndarray | None = None) -> float:
        """Median of log measured / predicted over rows whose whole system is held back: those of `others`, shape (rows,).

        Gaps are skewed: a Gaussian process tells their mean, an answer is their median. 0 where fewer than two systems
        of `ENOUGH` rows tell it, and for targets that do not lean (`LEANING`).
        """
        cell, chip = self.membership.to_numpy(), pd.factorize(self.cells["chip"])[0]
        counted = np.ones(len(cell), dtype=bool) if others is None else others
        counted = counted & (np.bincount(chip[cell[counted]], minlength=len(self.gap)) >= ENOUGH)[chip[cell]]
        if self.target not in LEANING or len(np.unique(chip[cell[counted]])) < 2:
            return 0.0
        residual, _ = self.left_out(self.cells["chip"])
        return float(np.median((self.row_gap - (self.gap - residual)[cell])[counted]))

    def leans_apart(self, apart: pd.Series) -> np.ndarray:
        """`lean` of every cell by the rows outside its group `apart` that repeat none of its measurements."""
        cell, lean = self.membership.to_numpy(), np.empty(len(self.gap))
        for own in groups_of(apart):
            lean[own] = self.lean(~np.isin(cell, self.with_copies(own)))
        return lean

    def _counted(self, kind: str, split: str, others: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Rows of `others` whose scores tell the width of a way of serving."""
        if kind not in BY_SPLIT:
            return others
        alike = others & (self.cells["split"].to_numpy() == split)[self.membership.to_numpy()]
        if kind == "row":
            return alike if alike.sum() >= ENOUGH else others
        size = np.bincount(group[alike], minlength=group.max(initial=0) + 1)
        return alike & (size >= ENOUGH)[group] if (size >= ENOUGH).sum() > 1 else others

    def _calibration(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Score of every row, and the group that it was held back with.

        Systems and architectures weigh the same in the quantile; paths, some of which share an architecture or hold
        a handful of rows, weigh by rows, see `_raised`.
        """
        cell = self.membership.to_numpy()
        label = self.cells[HELD_BACK[kind]] if kind in HELD_BACK else pd.Series(np.arange(len(self.gap)))
        return self.row_scores(*self.left_out(label)), pd.factorize(label)[0][cell]


def _measurements(rows: pd.DataFrame) -> np.ndarray:
    """Number of the measurement that each row states, the same for copies of one: shape (rows,)."""
    times = {name: rows[name].map(lambda ms: float(f"{ms:.3g}")) for name in COPY if name.endswith("_ms")}
    return rows.assign(**times).groupby(list(COPY), dropna=False, sort=False).ngroup().to_numpy()


def _level(gap: np.ndarray) -> float:
    """Median of the gaps, pulled to the closed forms as if those were `ALONE_COUNTS` more: a few move the others less."""
    return float(np.median(gap)) * len(gap) / (len(gap) + ALONE_COUNTS) if len(gap) else 0.0


HELD_BACK = {"accelerator": "chip", "model": "architecture", "path": "model_path"}


def _width(kind: str, score: np.ndarray, group: np.ndarray) -> float:
    return balanced_quantile(score, _weighing(kind, group), _raised(kind, group))


def _raised(kind: str, group: np.ndarray) -> float:
    """Coverage to aim at: with G models known, (G + 1) / G of the nominal one as in `tiers.Predictor`: few of them."""
    models = max(len(np.unique(group)), 1)
    return min(COVERAGE * (1 + 1 / models), 0.95) if kind in ("path", "model") else COVERAGE


def _weighing(kind: str, group: np.ndarray) -> np.ndarray:
    """Groups that weigh the same; one for all where rows do."""
    return group if kind in ("accelerator", "model") else np.zeros(len(group))
