"""How far predictions of a trained regime were off, in their own deviations, with evidence of one kind held back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.serving.intervals import ENOUGH, balanced_quantile
from aifactory.serving.ratio import RatioModel, block_out, groups_of

#: Accelerators that a scenario needs before its own scores calibrate the intervals of a new one.
SCENARIO_CHIPS_MIN = 3
#: Models that a new one must have as neighbours before a size trend may speak for it.
SIZED_NEIGHBOURS = 3
#: Name of the scores of all work together.
ALL_WORK = ("", "")
#: Factor by which a size trend may miss the known models of a kind, median over models left out, and still speak.
STRAY_MAX = 5.0


def scenario_scores(model: RatioModel, scenario: str) -> np.ndarray | None:
    """Scores of new accelerators in one scenario; None where fewer than `ENOUGH`, or of too few accelerators."""
    cells = model.cells
    own = ((cells["scenario"] == scenario) & _anchored(cells)).to_numpy()
    count = np.minimum(cells["count"].to_numpy().astype(int), 5)
    if cells["chip"][own].nunique() < SCENARIO_CHIPS_MIN or count[own].sum() < ENOUGH:
        return None
    residual, deviation = model.leave_out(cells["chip"])
    return np.repeat((np.abs(residual) / deviation)[own], count[own])


def _anchored(cells: pd.DataFrame) -> pd.Series:
    """Cells whose conditions another accelerator was measured under."""
    return cells.groupby(["model", "context"])["chip"].transform("nunique") > 1


def calibration_scores(model: RatioModel, kind: str) -> np.ndarray:
    """Scores of one kind of novelty: rows, pairs, accelerators, models or both left out."""
    if kind == "both new":
        return _both_new(model, np.minimum(model.cells["count"].to_numpy().astype(int), 5))
    return np.concatenate([np.array([]), *family_scores(model, kind).values()])


def family_scores(
    model: RatioModel, kind: str, by: tuple[str, ...] = ("family", "task"), least: int = 1
) -> dict[tuple[str, ...], np.ndarray]:
    """Scores of one kind of novelty by source and task, every cell as often as it was measured, at most five times.

    Work (`by`) of which fewer than `least` accelerators, models or pairs were left out is left away.
    """
    cells = model.cells
    pair = cells["chip"] + "|" + cells["model"]
    label = {"other row": cells["cell"], "known": pair, "new accelerator": cells["chip"], "new model": cells["model"]}
    if label[kind].nunique() < 2:  # left out whole, nothing stays to be missed by
        return {}
    residual, deviation = model.leave_out(label[kind])
    kept = np.ones(len(cells), dtype=bool)
    if kind == "other row":
        kept = pair.map(pair.value_counts()).to_numpy() > 1
    if kind == "new accelerator":
        kept = _anchored(cells).to_numpy()
    scores = pd.Series(np.abs(residual) / deviation)[kept].repeat(
        cells["count"].clip(upper=5).to_numpy(dtype=int)[kept]
    )
    labels = [cells[name].reset_index(drop=True).loc[scores.index] for name in by]
    left_out = label[kind].reset_index(drop=True)
    return {
        name: own.to_numpy()
        for name, own in scores.groupby(labels)
        if least == 1 or left_out[own.index].nunique() >= least
    }


def work_scores(model: RatioModel) -> dict[tuple[str, str], np.ndarray]:
    """Scores of new models by task and metric, and of all of them (`ALL_WORK`), where enough of models and scores are known.

    Work that is refused because its models stray counts nowhere. Cells count as often as in `family_scores`.
    """
    cells = model.cells
    if cells["model"].nunique() < 2:  # left out whole, nothing stays to be missed by
        return {}
    residual, deviation = model.leave_out(cells["model"])
    scores = np.abs(residual) / deviation
    works = pd.MultiIndex.from_frame(cells[["task", "metric"]])
    counted = works.map(missed(model)).to_numpy(dtype=float) <= np.log(STRAY_MAX)
    codes, known = pd.factorize(works)
    places = {work: np.flatnonzero(counted & (codes == number)) for number, work in enumerate(known)}
    places[ALL_WORK] = np.flatnonzero(counted)
    count, names = cells["count"].clip(upper=5).to_numpy(dtype=int), cells["model"]
    found = {work: np.repeat(scores[place], count[place]) for work, place in places.items()}
    return {
        work: own
        for work, own in found.items()
        if len(own) >= ENOUGH and names.iloc[places[work]].nunique() >= SIZED_NEIGHBOURS
    }


def _both_new(model: RatioModel, count: np.ndarray) -> np.ndarray:
    """Scores with accelerator and model of each pair left out together."""
    cells, gap = model.cells, model.cells["gap"].to_numpy() - model.mean
    scores = np.full(len(cells), np.nan)
    for pair in groups_of(cells["chip"] + "|" + cells["model"]):
        out = np.flatnonzero(
            (
                (cells["chip"] == cells["chip"].iloc[pair[0]]) | (cells["model"] == cells["model"].iloc[pair[0]])
            ).to_numpy()
        )
        if len(out) == len(cells):
            continue
        residual, deviation = block_out(model.inverse, gap, out)
        deviation = model.forecast_deviation(deviation, out, True)  # pairs hold whole series
        inside = np.isin(out, pair)
        scores[pair] = np.abs(residual[inside]) / deviation[inside]
    kept = np.isfinite(scores)
    return np.repeat(scores[kept], count[kept])


def missed(model: RatioModel) -> pd.Series:
    """Factor (log) by which known models are missed when left out: median over the models of a task and metric."""
    off = np.abs(model.leave_out(model.cells["model"])[0])
    each = pd.Series(off, index=model.cells.index).groupby([model.cells[name] for name in ("task", "metric", "model")])
    return each.median().groupby(["task", "metric"]).median()


def source_width(model: RatioModel) -> float:
    """Half width in deviations of a source that was never measured: 80 % with whole sources left out, all weighing the same.

    Sources differ by tuning, software and what they count (a stock stack against a vendor's best), which no condition
    of a row tells. Work that one source alone measured says nothing of it; 0 where there is no other.
    """
    cells = model.cells
    shared = (cells.groupby(["kind", "metric"])["family"].transform("nunique") > 1).to_numpy()
    if not shared.any():
        return 0.0
    residual, deviation = model.leave_out(cells["family"])
    return balanced_quantile((np.abs(residual) / deviation)[shared], cells["family"].to_numpy()[shared])
