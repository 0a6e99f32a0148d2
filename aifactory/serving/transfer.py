"""Capacity of an accelerator that was not measured, from own runs on others and from published measurements.

Own runs are in units of their own (requests, images, hours of a reference). Their level is taken out first:

    level of a case = median over its runs of (log speed - log speed that published measurements predict)

The levelled runs join the published measurements as one more context, so that what they say about each
accelerator (gap to the step model, vendor, generation) counts beside what published rows say; the
prediction for another accelerator gets the level back. Its interval is the calibrated one of the tier that
spoke (`tiers.Predictor`). Without own runs the level is 0 and only published rows speak.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.serving.measurements import NUMBERS, OWN_RUNS, TEXTS, Facts, with_features
from aifactory.serving.platforms import precision_class
from aifactory.serving.tiers import REFUSED, train

#: Kinds of model of the models table, and the task and metric of published measurements they compare with.
TASKS = {
    "llm": ("llm", "tokens_per_s"), "llm-moe": ("llm", "tokens_per_s"), "embedding": ("encoder-embedding", "samples_per_s"),
    "embedding-llm": ("encoder-embedding", "samples_per_s"), "asr": ("asr", "samples_per_s"),
    "image": ("text-to-image", "samples_per_s"), "video": ("text-to-video", "samples_per_s"),
    "vision": ("image-classification", "samples_per_s"),
}  # fmt: skip
TRAINING_TASK = ("training", "sequences_per_s")
#: Accelerators of a class that reviewed rounds must hold before another of it is predicted.
CHIPS_MIN = 2
QUESTION = (
    "case", "accelerator_id", "platform_class", "accelerators", "task", "metric", "model", "precision", "input_tokens",
    "output_tokens", "slo_tpot_ms", "year", "value",
)  # fmt: skip
ESTIMATE = ("case", "accelerator_id", "value", "low", "high", "tier", "evidence")


def as_measurements(questions: pd.DataFrame, *, own: bool) -> pd.DataFrame:
    """Columns `QUESTION` as a table of measurements; `value` is per accelerator.

    Own runs are sized like reviewed rounds: at the best layout inside their limits.
    """
    table = pd.DataFrame(dict.fromkeys(TEXTS, "") | dict.fromkeys(NUMBERS, np.nan), index=questions.index)
    named = {"accelerator": "accelerator_id", "catalogue_accelerator_id": "accelerator_id", "catalogue_model": "model",
             "accelerator_class": "platform_class", "accel_count": "accelerators"}  # fmt: skip
    same = ("task", "metric", "model", "precision", "input_tokens", "output_tokens", "slo_tpot_ms")
    for name, column in (*named.items(), *zip(same, same, strict=True)):
        table[name] = questions[column]
    table["id"] = questions["case"] + "|" + questions["accelerator_id"]
    table["source"] = (OWN_RUNS + ": " + questions["case"]) if own else "question"
    table["scenario"] = np.where(questions["metric"] == TRAINING_TASK[1], "training", "server")
    table["date"] = questions["year"].astype(str)
    table["value"] = questions["value"] * questions["accelerators"]
    return table


def common_names(rows: pd.DataFrame) -> pd.DataFrame:
    """Published rows with the catalogue's names of models, where it has one."""
    return rows.assign(model=rows["catalogue_model"].where(rows["catalogue_model"] != "", rows["model"]))


def classes_measured(published: pd.DataFrame) -> set[tuple[str, str]]:
    """Pairs of accelerator class and kind of work of which reviewed rounds hold two accelerators or more.

    One accelerator says nothing of how others of its class differ.
    """
    chips = published[published["round"]].groupby(["accelerator_class", "kind"])["chip"].nunique()
    return set(chips[chips >= CHIPS_MIN].index)


def transfer(published: pd.DataFrame, own: pd.DataFrame, asked: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Estimates for the questions `asked`, one row each in their order, columns `ESTIMATE`.

    Parameters
    ----------
    published : measurements with features.
    own, asked : columns `QUESTION`; `value` of own runs in units per second and accelerator.
    """
    levelled, levels = _levelled(published, own, facts)
    rows = pd.concat([published, levelled], ignore_index=True) if len(levelled) else published
    anchored = asked["case"].isin(levels.index)
    parts = []
    for flag, questions in asked.groupby(anchored):
        features = with_features(as_measurements(questions.assign(value=1.0), own=bool(flag)), None, facts)
        regimes = features["regime"].unique()
        said = train(rows[rows["regime"].isin(regimes)]).predict(features)
        parts.append(_estimates(questions, said, questions["case"].map(levels).fillna(0.0)))
    found = pd.concat(parts).loc[asked.index] if parts else pd.DataFrame(columns=list(ESTIMATE))
    return _without_thin_classes(found, asked, own, published)


def _levelled(published: pd.DataFrame, own: pd.DataFrame, facts: Facts) -> tuple[pd.DataFrame, pd.Series]:
    """Own runs with their level taken out, and the level of each case; runs without specifications count not."""
    if own.empty:
        return pd.DataFrame(), pd.Series(dtype=float)
    features = with_features(as_measurements(own, own=True), None, facts)
    features["case"] = own["case"].to_numpy()
    features = features[np.isfinite(features["prior"]) & np.isfinite(features["speed"])]
    expected = pd.Series(0.0, index=features.index)
    predictor = train(published[published["regime"].isin(features["regime"].unique())])
    for regime, rows in features.groupby("regime"):
        gap = predictor.models[regime].predict(rows)[0] if regime in predictor.models else 0.0
        expected[rows.index] = rows["prior"] + gap
    levels = (features["speed"] - expected).groupby(features["case"]).median()
    features["speed"] -= features["case"].map(levels)
    return features.drop(columns="case"), levels


def _estimates(questions: pd.DataFrame, said: pd.DataFrame, level: pd.Series) -> pd.DataFrame:
    factor = np.exp(level.to_numpy()) / questions["accelerators"].to_numpy(dtype=float)
    found = questions[["case", "accelerator_id"]].copy()
    for name, column in (("value", "predicted"), ("low", "low80"), ("high", "high80")):
        found[name] = said[column].to_numpy(dtype=float) * factor
    return found.assign(tier=said["tier"].to_numpy(), evidence=said["reason"].to_numpy())


def _without_thin_classes(
    found: pd.DataFrame, asked: pd.DataFrame, own: pd.DataFrame, published: pd.DataFrame
) -> pd.DataFrame:
    """Refuse classes of accelerator that neither reviewed rounds nor own runs of the case measured for such work."""
    known = classes_measured(published)
    ran = set(zip(own["case"], own["platform_class"], strict=True)) if len(own) else set()
    thin = [
        (row.platform_class, row.task) not in known and (row.case, row.platform_class) not in ran
        for row in asked.itertuples(index=False)
    ]
    found.loc[thin, ["value", "low", "high"]] = np.nan
    found.loc[thin, "tier"] = REFUSED
    found.loc[thin, "evidence"] = [
        f"reviewed rounds hold no two accelerators of class {name} for this work, and no own run one: benchmark first"
        for name in asked.loc[thin, "platform_class"]
    ]
    return found


def shared_precision(precisions: Sequence[str], specification: pd.Series) -> str:
    """Lowest precision of own runs that an accelerator has a peak for, else bf16.

    >>> shared_precision(["bf16", "fp8"], pd.Series({"peak_fp8_dense_tflops": np.nan, "peak_int8_dense_tops": 624.0}))
    'bf16'
    """
    peaks = {"fp4": "peak_fp4_dense_tflops", "fp8": "peak_fp8_dense_tflops", "int8": "peak_int8_dense_tops"}
    used = {precision_class(name) for name in precisions}
    for name, column in peaks.items():
        if name in used and np.isfinite(specification.get(column, np.nan)):
            return name
    return "bf16"
