"""How far predictions are from measurements that were held back, beside the datasheet ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.serving.intervals import ENOUGH, covered
from aifactory.serving.measurements import LOWER_IS_BETTER, to_speed, to_value, with_assumed
from aifactory.serving.physics import judge
from aifactory.serving.platforms import load_platforms, native_precision
from aifactory.serving.tiers import (
    ANCHORED,
    EVIDENCE,
    MEASURED,
    NOISE_FLOOR,
    for_any_count,
    look_up,
    measured_reason,
    novelty,
    train,
    without_wide,
)
from aifactory.serving.unstated import pooled

SPLITS = {
    "row": "known accelerator and model",
    "accelerator": "unseen accelerator",
    "model": "unseen model",
    "round": "newer round",
}
#: Scenarios of the peer-reviewed rounds that targets are stated for, with two or more other accelerators.
ROUND_SCENARIOS = ("offline", "server", "interactive")


@dataclass(frozen=True)
class Fidelity:
    """Predictions of every row per split, and the errors by group."""

    predictions: dict[str, pd.DataFrame]
    summary: pd.DataFrame


def evaluate(rows: pd.DataFrame, training: pd.DataFrame | None, copies: pd.DataFrame | None = None) -> Fidelity:
    """Predict `rows` from `training`, or cross-validate inside `rows` where there is none.

    Both tables carry features (`with_features`). Own results are never used: a training table comes without
    the rows asked for (`same_rows`); without one, each split holds back the row, its whole
    accelerator, its whole model, or everything of its date and later. `copies`
    of rows that leave out conditions, with features, answer for those (`unstated.pooled`).
    """
    if training is not None:
        predictor = train(training)
        answer = predictor.predict(rows)
        answers = {"given": answer if copies is None else pooled(answer, copies, predictor.predict)}
        splits = {"given": _relation(rows, predictor.rows)}
        baselines = {"given": datasheet_ratio(rows, predictor.rows)}
    else:
        answers = {name: split(rows) for name, split in CROSS_VALIDATION.items()}
        answers = {name: answer for name, answer in answers.items() if len(answer)}
        splits = {name: pd.Series(SPLITS[name], index=rows.index) for name in answers}
        baselines = {name: datasheet_ratio(rows, rows) for name in answers}
    scored = pd.concat(
        [_scored(rows, answer, baselines[name]).assign(split=splits[name]) for name, answer in answers.items()]
    )
    evidence = answers.get("given", answers.get("accelerator"))
    return Fidelity(answers, pd.concat([summarise(scored), verdicts(rows, evidence)], ignore_index=True))


def verdicts(rows: pd.DataFrame, answer: pd.DataFrame) -> pd.DataFrame:
    """How many rows the physical-limit check calls plausible, above anything measured, impossible, suspect."""
    best = np.where(rows["metric"].isin(LOWER_IS_BETTER), answer["low80"], answer["high80"]).astype(float)
    expected = pd.Series(to_speed(rows.assign(value=best)), index=rows.index)
    found = judge(rows, expected)["verdict"].value_counts()
    return pd.DataFrame({"split": "all rows", "by": "physical limit", "group": found.index, "rows": found.to_numpy()})


def _relation(rows: pd.DataFrame, training: pd.DataFrame) -> pd.Series:
    """Split that each row belongs to, given what the training rows hold."""
    kind = novelty(rows, training)
    names = {
        "new accelerator": SPLITS["accelerator"],
        "new model": SPLITS["model"],
        "both new": "unseen accelerator and model",
    }
    relation = kind.map(names).fillna(SPLITS["row"])
    last = training.groupby("family")["year"].max()
    newer = (rows["year"] > rows["family"].map(last).astype(float)) & (relation == SPLITS["row"])
    return relation.mask(newer, SPLITS["round"])


def _leave_row_out(rows: pd.DataFrame) -> pd.DataFrame:
    """Each row from all others: the median of equal conditions, else the ratio without its own cell.

    The rows that neither answers (no specification, or fewer cells than tell a level without the row's own) are
    predicted one by one from tiers trained without them.
    """
    predictor = train(rows)
    answer = predictor.predict(rows)
    found = look_up(rows, predictor.rows, exclude_self=True)
    hit = found["rows"] > 0
    alone = ~hit
    for regime, model in predictor.models.items():
        cells = model.cells
        if len(cells) < ENOUGH:
            continue
        residual, deviation = model.leave_out(cells["cell"])
        cell = _cell_of(rows[rows["regime"] == regime], model)
        gap = (cells["gap"].to_numpy() - residual)[cell.to_numpy()]
        part = rows.loc[cell.index]
        paired = (cells["chip"] + "|" + cells["model"]).map((cells["chip"] + "|" + cells["model"]).value_counts())
        kind = np.where(paired.to_numpy()[cell.to_numpy()] > 1, "other row", "known")
        asked = list(zip(kind, part["family"], part["task"], strict=True))
        widths = {one: predictor.width(regime, one[0], family=one[1], work=(one[2], "")) for one in set(asked)}
        width = np.array([widths[one] for one in asked])
        half = deviation[cell.to_numpy()] * width
        spoken = ~hit[cell.index].to_numpy() & np.isfinite(part["prior"].to_numpy())
        _fill(answer, part[spoken], (part["prior"].to_numpy() + gap)[spoken], half[spoken], ANCHORED)
        evidence = "evidence: " + pd.Series(kind, index=part.index).map(EVIDENCE)
        answer.loc[part.index[spoken], "reason"] = with_assumed(evidence, part["assumed"])[spoken]
        alone[part.index[spoken]] = False
    half = np.maximum(found["spread"], NOISE_FLOOR) * predictor.lookup_widths(rows["family"], rows["scenario"])
    _fill(answer, rows[hit], found.loc[hit, "speed"].to_numpy(), half[hit].to_numpy(), MEASURED)
    answer.loc[hit, "reason"] = with_assumed(measured_reason(found.loc[hit, "rows"]), rows.loc[hit, "assumed"])
    for place in rows.index[alone]:
        others = rows[(rows["regime"] == rows.loc[place, "regime"]) & (rows.index != place)]
        answer.loc[[place]] = train(others).predict(rows.loc[[place]])
    return without_wide(for_any_count(answer, rows))


def _cell_of(part: pd.DataFrame, model: object) -> pd.Series:
    """Position of the cell of each training row, by id."""
    position = model.membership
    known = part[part["id"].isin(position.index)]
    return pd.Series(position.reindex(known["id"]).to_numpy(dtype=int), index=known.index)


def _fill(answer: pd.DataFrame, part: pd.DataFrame, speed: np.ndarray, half: np.ndarray, tier: str) -> None:
    ends = np.stack([to_value(part, speed - half), to_value(part, speed + half)])
    answer.loc[part.index, "predicted"] = to_value(part, speed)
    answer.loc[part.index, "low80"], answer.loc[part.index, "high80"] = ends.min(axis=0), ends.max(axis=0)
    answer.loc[part.index, "tier"] = tier


def _leave_groups_out(column: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def split(rows: pd.DataFrame) -> pd.DataFrame:
        parts = []
        for label in sorted(rows[column].unique()):
            asked = rows[rows[column] == label]
            others = rows[(rows[column] != label) & rows["regime"].isin(asked["regime"].unique())]
            parts.append(train(others).predict(asked))
        return pd.concat(parts).reindex(rows.index)

    return split


def _leave_rounds_out(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a source that has an earlier edition, predicted from what was dated before them."""
    parts = []
    for source in _later_editions(rows):
        asked = rows[rows["source"] == source]
        before = rows[(rows["year"] < asked["year"].min()) & rows["regime"].isin(asked["regime"].unique())]
        parts.append(train(before).predict(asked))
    return pd.concat(parts).reindex(rows.index).dropna(subset=["id"]) if parts else pd.DataFrame(columns=["id"])


def _later_editions(rows: pd.DataFrame) -> Iterator[str]:
    for _, part in rows.groupby("family"):
        first = part.groupby("source")["year"].min().sort_values()
        yield from first.index[1:]


CROSS_VALIDATION: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "row": _leave_row_out,
    "accelerator": _leave_groups_out("chip"),
    "model": _leave_groups_out("model"),
    "round": _leave_rounds_out,
}


def datasheet_ratio(rows: pd.DataFrame, training: pd.DataFrame) -> pd.Series:
    """Baseline: measured speed of other accelerators times the ratio of sqrt(bandwidth x lowest-precision peak).

    Median over the other accelerators with the same model and context; NaN without any.
    """
    table = load_platforms()
    peaks = table[["peak_fp4_dense_tflops", "peak_fp8_dense_tflops", "peak_int8_dense_tops", "peak_bf16_dense_tflops"]]
    lowest = np.select(
        [native_precision(table) == name for name in ("fp4", "fp8", "int8")],
        peaks.T.to_numpy()[:3],
        peaks.T.to_numpy()[3],
    )
    strength = pd.Series(np.log(lowest * table["memory_bw_gb_per_s"]) / 2, index=table.index)
    level = (
        (training["speed"] - training["chip"].map(strength).astype(float))
        .groupby([training["model"], training["context"], training["chip"]])
        .median()
        .dropna()
        .rename("level")
        .reset_index()
    )
    by_key = {key: part.set_index("chip")["level"] for key, part in level.groupby(["model", "context"])}
    speeds = []
    for chip, model, context in zip(rows["chip"], rows["model"], rows["context"], strict=True):
        others = by_key.get((model, context))
        others = others.drop(chip, errors="ignore") if others is not None else ()
        speeds.append(float(np.median(others)) + strength.get(chip, np.nan) if len(others) else np.nan)
    return pd.Series(to_value(rows, np.array(speeds, dtype=float)), index=rows.index)


def _scored(rows: pd.DataFrame, answer: pd.DataFrame, baseline: pd.Series) -> pd.DataFrame:
    rows = rows.loc[answer.index]
    chips = rows.groupby(["model", "context"])["chip"].transform("nunique")
    tuned = rows["family"].eq("mlperf-inference") & (chips > 2) & rows["scenario"].isin(ROUND_SCENARIOS)
    return pd.DataFrame(
        {
            "task": rows["task"], "scenario": rows["scenario"], "accelerator class": rows["accelerator_class"],
            "tier": answer["tier"], "rounds with two other accelerators": rows["scenario"].where(tuned),
            "macro": rows["source"] + "|" + rows["accelerator"] + "|" + rows["model"],
            "error": (answer["predicted"].astype(float) / rows["value"] - 1).abs(),
            "baseline_error": (baseline.loc[rows.index] / rows["value"] - 1).abs(),
            "inside": (rows["value"] >= answer["low80"]) & (rows["value"] <= answer["high80"]),
            "measured": rows["value"], "low80": answer["low80"], "high80": answer["high80"],
        }
    )  # fmt: skip


def summarise(scored: pd.DataFrame) -> pd.DataFrame:
    """Errors by split and, within it, by task, scenario, accelerator class and tier."""
    lines = []
    for split, part in scored.groupby("split", sort=False):
        lines.append({"split": split, "by": "all", "group": "all", **_errors(part)})
        for by in ("task", "scenario", "accelerator class", "tier", "rounds with two other accelerators"):
            lines += [{"split": split, "by": by, "group": group, **_errors(rows)} for group, rows in part.groupby(by)]
    return pd.DataFrame(lines)


def _errors(part: pd.DataFrame) -> dict[str, float]:
    said = part[part["error"].notna()]
    quantile = lambda column, q: float(said[column].quantile(q)) if len(said) else float("nan")  # noqa: E731
    macro = said.groupby("macro")["error"].median().median() if len(said) else np.nan
    return {
        "rows": len(part),
        "refused": len(part) - len(said),
        "median_error": quantile("error", 0.5),
        "p90_error": quantile("error", 0.9),
        "macro_median_error": float(macro),
        "coverage80": covered(said["measured"], said["low80"], said["high80"]),
        "baseline_rows": int(part["baseline_error"].notna().sum()),
        "baseline_median_error": float(part["baseline_error"].median()),
    }
