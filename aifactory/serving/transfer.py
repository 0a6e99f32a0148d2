"""Capacity of an accelerator that was not measured, from own runs on others and from published measurements.

Own runs are in units of their own (requests, images, hours of a reference). Their level is taken out first:

    level of a case = median over its runs of (log speed - log speed that published measurements predict)

The levelled runs join the published measurements as one more context, so that what they say about each
accelerator (gap to the step model, vendor, generation) counts beside what published rows say; the
prediction for another accelerator gets the level back. Its interval is the calibrated one of the tier that
spoke (`tiers.Predictor`). Without own runs the level is 0 and only published rows speak.

What is asked for is sized like a reviewed round, at the best layout inside the limits; without own runs the
question is what the rounds that hold such work would report. Tables of fixed layouts and batches say little of
that (they put an L40S at 4 times its reviewed figure for Llama 3.1 8B, above an H100).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.serving.measurements import NUMBERS, OWN_RUNS, TEXTS, Facts, to_speed, with_features
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
#: Tier of a prediction for a class that neither reviewed rounds nor own runs measured for such work.
UNSEEN_CLASS = "other classes"
#: What the interval of that tier rests on: see `left_out_classes`.
UNSEEN_EVIDENCE = "nobody published such work on this class, predicted from the others; left out themselves, 8 of 9 classes fell into this kind of interval"
QUESTION = (
    "case", "accelerator_id", "platform_class", "accelerators", "task", "metric", "model", "precision", "input_tokens",
    "output_tokens", "slo_tpot_ms", "year", "value",
)  # fmt: skip
ESTIMATE = ("case", "accelerator_id", "value", "low", "high", "tier", "evidence")


def as_measurements(questions: pd.DataFrame, sources: pd.Series | None = None) -> pd.DataFrame:
    """Columns `QUESTION` as a table of measurements, sized like reviewed rounds; `value` is per accelerator.

    `sources` is the source to write by row, own runs of the case where it is empty or absent.
    """
    table = pd.DataFrame(dict.fromkeys(TEXTS, "") | dict.fromkeys(NUMBERS, np.nan), index=questions.index)
    named = {"accelerator": "accelerator_id", "catalogue_accelerator_id": "accelerator_id", "catalogue_model": "model",
             "accelerator_class": "platform_class", "accel_count": "accelerators"}  # fmt: skip
    same = ("task", "metric", "model", "precision", "input_tokens", "output_tokens", "slo_tpot_ms")
    for name, column in (*named.items(), *zip(same, same, strict=True)):
        table[name] = questions[column]
    table["id"] = questions["case"] + "|" + questions["accelerator_id"]
    table["source"] = OWN_RUNS + ": " + questions["case"]
    if sources is not None:
        table["source"] = sources.where(sources != "", table["source"])
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


def transfer(
    published: pd.DataFrame, own: pd.DataFrame, asked: pd.DataFrame, facts: Facts, *, unseen_classes: bool = False
) -> pd.DataFrame:
    """Estimates for the questions `asked`, one row each in their order, columns `ESTIMATE`.

    Parameters
    ----------
    published : measurements with features.
    own, asked : columns `QUESTION`; `value` of own runs in units per second and accelerator.
    unseen_classes : answer for classes that nobody measured for such work, as tier `UNSEEN_CLASS`,
        instead of refusing them.
    """
    if asked.empty:
        return pd.DataFrame(columns=list(ESTIMATE))
    levelled, levels = _levelled(published, own, facts)
    rows = pd.concat([published, levelled], ignore_index=True) if len(levelled) else published
    sources = _rounds_of(asked, published).mask(asked["case"].isin(levels.index), "")
    questions = _sized(as_measurements(asked.assign(value=1.0), sources), published, facts)
    features = with_features(questions, None, facts)
    said = train(rows[rows["regime"].isin(features["regime"].unique())]).predict(features)
    found = _estimates(asked, said, asked["case"].map(levels).fillna(0.0))
    return _without_thin_classes(found, asked, own, published, unseen_classes)


def _sized(table: pd.DataFrame, published: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Sizes of models that the models table lacks, from the published rows that state them."""
    stated = published[published["sized"] & ~published["model"].isin(facts.models.index)]
    sizes = stated.groupby("model")[["params_b", "active_b"]].median()
    return table.assign(
        params_b=table["model"].map(sizes["params_b"]), active_params_b=table["model"].map(sizes["active_b"])
    )


def _rounds_of(asked: pd.DataFrame, published: pd.DataFrame) -> pd.Series:
    """The reviewed rounds that hold most rows of each question's kind of work and metric, "" where none does."""
    rounds = published[published["round"]]
    most = rounds.groupby(["kind", "metric"])["family"].agg(lambda names: names.value_counts().index[0])
    pairs = zip(asked["task"], asked["metric"], strict=True)
    return pd.Series([most.get(pair, "") for pair in pairs], index=asked.index, dtype=str)


def _levelled(published: pd.DataFrame, own: pd.DataFrame, facts: Facts) -> tuple[pd.DataFrame, pd.Series]:
    """Own runs with their level taken out, and the level of each case; runs without specifications count not."""
    if own.empty:
        return pd.DataFrame(), pd.Series(dtype=float)
    features = with_features(_sized(as_measurements(own), published, facts), None, facts)
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
    found: pd.DataFrame, asked: pd.DataFrame, own: pd.DataFrame, published: pd.DataFrame, keep: bool
) -> pd.DataFrame:
    """Refuse, or mark, classes of accelerator that neither reviewed rounds nor own runs of the case measured.

    An accelerator that reviewed rounds hold itself, for such work, speaks for itself.
    """
    known, rounds = classes_measured(published), published[published["round"]]
    themselves = set(zip(rounds["catalogue_accelerator_id"], rounds["kind"], rounds["metric"], strict=True))
    ran = set(zip(own["case"], own["platform_class"], strict=True)) if len(own) else set()
    thin = np.array(
        [
            (row.platform_class, row.task) not in known
            and (row.case, row.platform_class) not in ran
            and (row.accelerator_id, row.task, row.metric) not in themselves
            for row in asked.itertuples(index=False)
        ],
        dtype=bool,
    )
    if keep:
        thin &= (found["tier"] != REFUSED).to_numpy()
        found.loc[thin, "tier"], found.loc[thin, "evidence"] = UNSEEN_CLASS, UNSEEN_EVIDENCE
        return found
    found.loc[thin, ["value", "low", "high"]] = np.nan
    found.loc[thin, "tier"] = REFUSED
    found.loc[thin, "evidence"] = [
        f"reviewed rounds hold no two accelerators of class {name} for this work, and no own run one: benchmark first"
        for name in asked.loc[thin, "platform_class"]
    ]
    return found


def left_out_classes(published: pd.DataFrame) -> pd.DataFrame:
    """How far predictions miss a class of accelerator, general GPUs apart, when all of it is left out.

    One row per regime and class that can be predicted: chips, rows, `median_log_error` (measured over
    predicted), and the share of rows inside of the 80 % interval. This is what `UNSEEN_CLASS` rests on.
    """
    usable = published[np.isfinite(published["speed"]) & np.isfinite(published["prior"])]
    rows = []
    for (regime, name), held in usable.groupby(["regime", "accelerator_class"]):
        rest = usable[(usable["regime"] == regime) & (usable["accelerator_class"] != name)]
        if name == "gpu" or rest.empty:
            continue
        said = train(rest).predict(held.assign(source="question"))
        middle, low, high = (to_speed(held.assign(value=said[part])) for part in ("predicted", "low80", "high80"))
        known = np.isfinite(middle)
        if not known.any():
            continue
        off, half = held["speed"].to_numpy() - middle, np.abs(high - low) / 2
        rows.append((regime, name, held.loc[known, "chip"].nunique(), int(known.sum()), float(np.median(off[known])),
                     float((np.abs(off) <= half)[known].mean())))  # fmt: skip
    return pd.DataFrame(rows, columns=["regime", "accelerator_class", "chips", "rows", "median_log_error", "inside"])


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
