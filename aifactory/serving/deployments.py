"""Time to first token and time per output token of whole deployments at a fixed concurrency.

The prior is a closed form over the layout of each deployment (`deployment_layout.py`, `deployment_model.py`). What
it misses (engine, release, speculation of tokens) is learnt as a gap from deployments near in concurrency,
lengths and size (`deployment_gap.py`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.serving.deployment_crowd import seat_wait_ms, with_crowd
from aifactory.serving.deployment_doubts import with_doubts, with_late
from aifactory.serving.deployment_gap import GapModel
from aifactory.serving.deployment_layout import NODE, concurrency_of, with_layout
from aifactory.serving.deployment_model import ACCEPTED, DENSE_SHARE, STEPS, deployment_constants, with_prior
from aifactory.serving.deployment_names import engine_identifiers, model_shapes, system_identifiers
from aifactory.serving.deployment_recipes import with_recipes, with_speculated
from aifactory.serving.deployment_unstated import DEGREES, LOADS, WORKERS, pooled, with_conditions
from aifactory.serving.intervals import covered
from aifactory.serving.measurements import note, numbers, read_table, refuse_beyond, refuse_rows, spelt, with_assumed
from aifactory.serving.platforms import WEIGHT_BYTES, load_platforms, peak_tflops, precision_class
from aifactory.serving.same_rows import deployed_apart
from aifactory.serving.tiers import REFUSED, STEP_MODEL

#: The time to first token holds waits that last as long as answers do.
TARGETS = ("tpot", "ttft")
ANCHORED_BY = "evidence: this model on other systems or under other loads"
LEVEL_BY = "evidence: closed form, level of other models on near systems"
ALONE_BY = "closed form alone: no measurement to calibrate it by"
LAYOUT = (*LOADS, *DEGREES, *WORKERS)
#: Stages of a pipeline, which no published deployment had more than one of: said and not counted.
STAGES = ("pp_size", "prefill_pp_size", "decode_pp_size")
#: A microsecond to 11 days.
TIMES_MS = (1e-3, 1e9)
TEXTS = (
    "backend",
    "backend_version",
    "precision",
    "mode",
    "gemm_quant_mode",
    "moe_quant_mode",
    "measured_on",
    "config_id",
)
#: What the columns of a table say, as they are read.
READ = (
    "system", "model_path", *TEXTS, "said_precision", "isl", "osl", *LAYOUT, *STAGES, "silicon_ttft_ms", "silicon_tpot_ms",
)  # fmt: skip
#: Largest published figures.
PUBLISHED_MOST = {
    "isl": 15_000,
    "osl": 8_192,
    "silicon_concurrency": 16_130,
    "batch_size": 8_192,
    "decode_batch_size": 8_192,
} | {name: 72 for name in LAYOUT if name.endswith(("_size", "_workers")) and "batch" not in name}
#: What is held back to calibrate the intervals of each split.
CALIBRATED_BY = {
    "known accelerator and model": "row", "unseen accelerator": "accelerator", "unseen model": "path",
    "unseen architecture": "model",
}  # fmt: skip
EPOCH, SLOWEST_LINK_GB_PER_S = pd.Timestamp("2026-01-01"), 32.0


def is_deployment_file(path: Path) -> bool:
    """Whether the columns are those of a deployment table rather than of published throughput.

    Two that only deployments have are enough, so that a missing one is named as such by `read_deployments`.
    """
    names = set(read_table(path, ()).columns.str.casefold())
    return len({"config_id", "model_path", "isl", "osl"} & names) > 1 and not {"accelerator", "metric"} & names


def read_deployments(path: Path, faults: dict[int, str] | None = None) -> pd.DataFrame:
    """Read deployments with features; raises InputError naming file, row and column.

    With `faults`, faulty rows are noted there by number instead and left out.
    """
    raw = read_table(path, ("system", "model_path", "isl", "osl"))
    d = pd.DataFrame(index=raw.index)
    for name in ("system", "model_path", *TEXTS):
        d[name] = raw[name].fillna("").str.strip() if name in raw else ""
    d["backend"] = engine_identifiers(d["backend"])
    d["said_precision"] = d["precision"].where(d["precision"] != "", d["gemm_quant_mode"])
    for name in ("isl", "osl", *LAYOUT, *STAGES, "silicon_ttft_ms", "silicon_tpot_ms"):
        d[name] = numbers(raw, name, path, faults)
    for name in ("isl", "osl"):
        refuse_rows(path, ~(d[name] >= 1), "must be a positive number of tokens, 1 or more", name, raw[name], faults)
    for name in ("silicon_ttft_ms", "silicon_tpot_ms"):
        wrong = d[name].notna() & ~d[name].between(*TIMES_MS)
        rule = f"must be a positive time in ms, {TIMES_MS[0]:g} to {TIMES_MS[1]:,.0f}"
        refuse_rows(path, wrong, rule, name, raw.get(name, d[name]), faults)
    refuse_beyond(path, d, raw, PUBLISHED_MOST, faults)
    for name in (*LAYOUT, *STAGES):
        wrong = (d[name] < (0 if name in LOADS else 1)) & (d[name] != 0)
        rule = "must be at least 0, which means not stated, else 1 or more"
        refuse_rows(path, wrong, rule, name, raw.get(name, d[name]), faults)
        d[name] = d[name].where(d[name] > 0)
    return _features(d.drop(index=d.index[list(faults or ())]))


def _features(d: pd.DataFrame) -> pd.DataFrame:
    """What rows of `READ` columns mean."""
    d = d[list(READ)].copy()
    found = system_identifiers(d["system"])
    d["known_chip"] = found != ""
    d["chip"] = found.where(d["known_chip"], d["system"].str.lower())
    s = load_platforms().reindex(d["chip"]).set_axis(d.index)
    d = pd.concat([d, model_shapes(d["model_path"])], axis=1)
    given = d["said_precision"]
    d["precision"], d["assumed"] = given.map(precision_class).replace("", "bf16"), ""
    note(d, given.map(precision_class) == "", "precision bf16" + (" for " + spelt(given)).where(given != "", ""))
    expert = d["moe_quant_mode"].map(precision_class)
    note(d, (expert == "") & (d["moe_quant_mode"] != ""), d["precision"] + " experts for " + spelt(d["moe_quant_mode"]))
    d["weight_bytes"] = expert.where(expert != "", d["precision"]).map(WEIGHT_BYTES).astype(float)
    d["peak"] = peak_tflops(s, d["precision"].to_numpy())
    d["peak_16bit"] = peak_tflops(s, np.full(len(d), "bf16"))
    d["bandwidth"], d["memory"] = s["memory_bw_gb_per_s"], s["memory_gb"]
    d["link"] = s["interconnect_gb_per_s"].fillna(SLOWEST_LINK_GB_PER_S)
    d["node"] = s["scale_up_accelerators"].astype(float).fillna(NODE).clip(lower=NODE)
    d["sparse"] = np.where(d["active_b"] < DENSE_SHARE * d["params_b"], "mixture", "dense")
    stated = concurrency_of(d)
    d["concurrency"] = stated.clip(lower=1.0)
    note(d, d[list(LOADS)].isna().all(axis=1) | (stated < 1), "1 request at a time")
    d["version"] = d["backend"] + d["backend_version"].str[:5]
    d = with_layout(d)
    unread = ~d["mode"].str.lower().str.match(r"$|agg|dis")
    note(d, unread, d["split"] + " serving for " + spelt(d["mode"]))
    fitted = {name.removeprefix(STEPS) for name in deployment_constants()}
    said = (" for " + spelt(d["backend"])).where(d["backend"] != "", "")
    note(d, ~d["backend"].isin(fitted), "the middle of known engines" + said)
    staged = d[list(STAGES)].max(axis=1)
    note(d, staged > 1, "1 pipeline stage for " + spelt(staged))
    undated = pd.to_datetime(d["measured_on"], errors="coerce", format="ISO8601").isna()
    note(
        d,
        undated,
        f"measured on {EPOCH:%Y-%m-%d}" + (" for " + spelt(d["measured_on"])).where(d["measured_on"] != "", ""),
    )
    note(d, d[list(DEGREES)].isna().all(axis=1), spelt(d["gpus"]) + " accelerators a worker")
    return _laid_out(with_recipes(d.assign(read=d["layout"])))


def _laid_out(d: pd.DataFrame, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """What follows from the layout: seats, shards, nearness in load and size, closed forms."""
    d = with_speculated(with_crowd(d, others), others)
    d["kv_shards"] = np.minimum(d["gpus"] / d["ranks"], d["kv_heads"]) * d["ranks"]
    d["ranked"] = d["ranks"] > 1
    date = pd.to_datetime(d["measured_on"], errors="coerce", format="ISO8601")
    d["campaign"] = d["backend"] + d["backend_version"] + date.dt.strftime(" %Y-%m-%d").fillna("")
    d["year"] = ((date - EPOCH).dt.days / 365).fillna(0.0)
    d["held"] = np.maximum(d["concurrency"] / d["workers"], 1.0)
    for name, column in (("held", "held"), ("input", "isl"), ("output", "osl"), ("gpus", "gpus")):
        d[f"log_{name}"] = np.log(d[column])
    return with_late(with_prior(d, deployment_constants()))


def evaluate_deployments(
    rows: pd.DataFrame, training: pd.DataFrame | None, leave_out: str = "row"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors by split and group, and the predictions of every row.

    Without a training table, whole systems, whole models and single rows are left out in turn. Rows that stand in both
    tables (`same_rows`) teach nothing of themselves.
    """
    given = training is not None
    answers = {"given": predict_deployments(rows, deployed_apart(training, rows))} if given else _cross_validated(rows)
    chosen = (
        "given"
        if training is not None
        else {"accelerator": "unseen accelerator", "model": "unseen model"}.get(
            leave_out, "known accelerator and model"
        )
    )
    lines = [line for split, answer in answers.items() for line in _errors(rows, answer, split)]
    return pd.DataFrame(lines), answers[chosen].drop(columns=["low80_ttft_ms", "high80_ttft_ms"])


def predict_deployments(
    rows: pd.DataFrame, training: pd.DataFrame, sizes: dict[str, dict[str, float]] | None = None
) -> pd.DataFrame:
    """Predictions of `rows`, none of which may be in `training`; `sizes` of parts by target, else the shipped ones.

    Rows without load or layout are answered by the pool over those of measured deployments of their kind.
    """
    answer, copies = _predicted(rows, training, sizes), with_conditions(rows, training)
    if copies.empty:
        return answer
    copied = _features(copies).assign(copy_of=copies["copy_of"], unstated=copies["unstated"])
    return pooled(answer, copied, lambda some: _predicted(some, training, sizes))


def _predicted(rows: pd.DataFrame, training: pd.DataFrame, sizes: dict[str, dict[str, float]] | None) -> pd.DataFrame:
    """Predictions of rows as they are read."""
    rows = _laid_out(with_recipes(rows, training), training)
    columns = {"config_id": rows["config_id"]}
    answer = pd.DataFrame(columns, index=rows.index)
    training = training[(training["silicon_tpot_ms"] > 0) | (training["silicon_ttft_ms"] > 0)]
    chips, models = rows["chip"].isin(training["chip"]), rows["architecture"].isin(training["architecture"])
    kind = np.select([chips & models, models], ["row", "accelerator"], "model")
    able = np.isfinite(rows["prior_tpot"]) & np.isfinite(rows["prior_ttft"])
    for target in TARGETS:
        model = GapModel(training, target, (sizes or {}).get(target))
        rows_able = rows[able]
        centre, half = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        if len(model.gap):
            gap, deviation = model.predict(rows_able)
            new = ~(rows_able["chip"].isin(training["chip"]) & rows_able["model_path"].isin(training["model_path"]))
            gap = gap + np.where(new, model.lean() if new.any() else 0.0, 0.0)
            asked = list(zip(kind[able], rows_able["split"], strict=True))
            widths = {pair: model.width(*pair) for pair in sorted(set(asked))}
            half[able] = deviation * np.array([widths[pair] for pair in asked])
        else:
            gap = np.zeros(int(able.sum()))
            half[able] = 1.0
        centre[able] = rows_able[f"prior_{target}"].to_numpy() + gap
        _write(answer, target, centre, half, rows)
    return _finish(answer, rows, np.where(models, "anchored", "step model" if len(training) else ""))


def _cross_validated(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    labels = {
        "known accelerator and model": None,
        "unseen accelerator": "chip",
        "unseen model": "model_path",
        "unseen architecture": "architecture",
    }
    answers = {name: pd.DataFrame({"config_id": rows["config_id"]}, index=rows.index) for name in labels}
    for target in TARGETS:
        model = GapModel(rows, target)
        for name, column in labels.items():
            label = model.cells[column] if column else pd.Series(np.arange(len(model.gap)))
            residual, deviation = model.left_out(label)
            lean = model.leans_apart(label) if column else 0.0
            cell = model.membership.to_numpy()
            width = model.widths_apart(CALIBRATED_BY[name], label if column else model.cells["chip"])
            centre, half = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
            place = rows.index.get_indexer(model.membership.index)
            centre[place] = rows[f"prior_{target}"].to_numpy()[place] + (model.gap - residual + lean)[cell]
            half[place] = (deviation * width)[cell]
            _write(answers[name], target, centre, half, rows)
    for name, column in labels.items():
        _predict_unmeasured(answers[name], rows, column)
    return {name: _finish(answers[name], rows, _tier_apart(rows, column)) for name, column in labels.items()}


def _tier_apart(rows: pd.DataFrame, column: str | None) -> np.ndarray:
    """Tier of each row with its label in `column`, or the row itself, left out: "" where nothing else is left."""
    label = rows[column] if column else pd.Series(rows.index, index=rows.index)
    others = label.groupby(rows["architecture"]).transform("nunique") > 1
    return np.select([label.nunique() < 2, others], ["", "anchored"], "step model")


def _predict_unmeasured(answer: pd.DataFrame, rows: pd.DataFrame, column: str | None) -> None:
    """Fill the target that a row has no measured time of: from all rows, or from those of other labels in `column`."""
    for target in TARGETS:
        unmeasured = rows[rows[f"silicon_{target}_ms"].isna()]
        for _, asked in unmeasured.groupby(unmeasured[column] if column else lambda _: 0):
            others = rows[rows[column] != asked[column].iloc[0]] if column else rows
            columns = [f"{part}_{target}_ms" for part in ("predicted", "low80", "high80")]
            answer.loc[asked.index, columns] = predict_deployments(asked, others)[columns]


def _write(answer: pd.DataFrame, target: str, centre: np.ndarray, half: np.ndarray, rows: pd.DataFrame) -> None:
    """Predictions of a target; the time to first token after that per output token, which waits for a seat follow."""
    wait = seat_wait_ms(rows, answer["predicted_tpot_ms"]) if target == "ttft" else 0.0
    answer[f"predicted_{target}_ms"] = np.exp(centre) + wait
    answer[f"low80_{target}_ms"], answer[f"high80_{target}_ms"] = (
        np.exp(centre - half) + wait,
        np.exp(centre + half) + wait,
    )


def _finish(answer: pd.DataFrame, rows: pd.DataFrame, tier: np.ndarray) -> pd.DataFrame:
    """Columns of the answer with tier and reason; `tier` "" is a step model that no measurement calibrates."""
    refused = answer["predicted_tpot_ms"].isna()
    reason = np.select(
        [~refused, ~rows["known_chip"], rows["params_b"].isna()],
        [
            np.select([tier == "anchored", tier == ""], [ANCHORED_BY, ALONE_BY], LEVEL_BY),
            "system unknown to the catalogue: give its specifications or benchmark first",
            "size of the model is not known",
        ],
        "peak or bandwidth of the system is not known: benchmark first",
    )
    answer["tier"], answer["reason"] = np.select([refused, tier == ""], [REFUSED, STEP_MODEL], tier), reason
    assumed = rows[["assumed"]].copy()
    note(assumed, rows["speculated"], f"tokens speculated, {ACCEPTED:g} kept a step, as no list holds it")
    said = with_doubts(with_assumed(answer["reason"], assumed["assumed"]), rows)
    answer["reason"] = answer["reason"].mask(~refused, said)
    order = [
        "config_id",
        "predicted_ttft_ms",
        "predicted_tpot_ms",
        "low80_tpot_ms",
        "high80_tpot_ms",
        "tier",
        "reason",
        "low80_ttft_ms",
        "high80_ttft_ms",
    ]
    return answer[order]


def _errors(rows: pd.DataFrame, answer: pd.DataFrame, split: str) -> list[dict[str, object]]:
    lines = []
    for target in TARGETS:
        measured = rows[f"silicon_{target}_ms"]
        error = (answer[f"predicted_{target}_ms"] / measured - 1).abs()
        groups = {
            "all": pd.Series("all", index=rows.index),
            "system": rows["system"],
            "engine": rows["backend"],
            "model": rows["model_path"],
        }
        for by, labels in groups.items():
            for group, index in labels.groupby(labels).groups.items():
                said = error.loc[index].dropna()
                inside = said.index
                lines.append(
                    {
                        "split": split, "by": f"{target} {by}", "group": group, "rows": len(index), "refused": int(answer.loc[index, "predicted_tpot_ms"].isna().sum()),
                        "median_error": float(said.median()) if len(said) else np.nan, "p90_error": float(said.quantile(0.9)) if len(said) else np.nan,
                        "coverage80": covered(measured[inside].to_numpy(), answer.loc[inside, f"low80_{target}_ms"].to_numpy(), answer.loc[inside, f"high80_{target}_ms"].to_numpy()),
                    }
                )  # fmt: skip
    return lines
