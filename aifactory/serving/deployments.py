"""Time to first token and time per output token of whole deployments at a fixed concurrency.

The prior is a closed form: one decode step of the sequences a worker holds (weights touched, KV read,
operations, collectives, share of prefill work that aggregated engines mix in), and a prompt's own
prefill plus the queue that a closed loop of clients builds up. What it misses (engine, version, date, layout,
speculative decoding) is learnt as a gap, like in `ratio.py`, from deployments near in concurrency, lengths
and size.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir
from aifactory.serving.intervals import Scores, covered
from aifactory.serving.measurements import bundled_facts, numbers, read_table
from aifactory.serving.platforms import WEIGHT_BYTES, load_platforms, peak_tflops, precision_class, resolve
from aifactory.serving.ratio import Part, block_out, covariance, groups_of, own_variance
from aifactory.serving.step_model import kv_gb_per_token, layers_and_width

TARGETS = ("ttft", "tpot")
ANCHORED_BY = "evidence: this model on other systems or under other loads"
LEVEL_BY = "evidence: closed form, level of other models on near systems"
LAYOUT = (
    "tp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size", "prefill_num_workers", "prefill_tp_size",
    "prefill_attention_dp_size", "decode_batch_size", "decode_num_workers", "decode_tp_size", "decode_attention_dp_size",
    "batch_size", "silicon_concurrency",
)  # fmt: skip
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
SYSTEMS = {"a100_sxm": "nvidia-a100-80-sxm", "a100_pcie": "nvidia-a100-80-pcie", "rtx_pro_6000": "nvidia-rtxpro6000-se"}
EPOCH = pd.Timestamp("2026-01-01")
SPEED_FACTOR = {"fp4": 4.0, "fp8": 2.0, "int8": 2.0, "bf16": 1.0, "int4": 1.0, "fp32": 0.5}
DENSE_SHARE, MAX_WORKERS = 0.95, 12.0
_WIDE = (("log_concurrency", 2.0), ("log_input", 1.5), ("log_output", 1.8), ("log_gpus", 1.5))
_NEAR = (("log_concurrency", 0.8), ("log_input", 0.7), ("log_output", 0.9), ("log_gpus", 0.6))
_CLOSE = (("log_concurrency", 0.6), ("log_input", 0.5), ("log_output", 0.5), ("log_gpus", 0.4), ("year", 0.08))
_TWIN = (("log_concurrency", 0.3), ("log_input", 0.2), ("log_output", 0.2), ("log_gpus", 0.2), ("year", 0.02))
#: Parts of the gap with their standard deviations for time per output token (natural log).
PARTS: dict[str, tuple[Part, float]] = {
    "architecture": (Part(("architecture",)), 0.3),
    "engine": (Part(("backend",)), 0.3),
    "engine_mode": (Part(("backend", "split")), 0.2),
    "system": (Part(("chip",)), 0.2),
    "precision": (Part(("precision",)), 0.15),
    "engine_precision": (Part(("backend", "precision")), 0.15),
    "version": (Part(("version",)), 0.15),
    "architecture_engine": (Part(("architecture", "backend")), 0.1),
    "system_engine": (Part(("chip", "backend")), 0.1),
    "year": (Part(line="year"), 0.15),
    "wide": (Part(("split", "sparse"), near=_WIDE), 0.4),
    "near_engine": (Part(("backend", "split", "sparse"), near=_NEAR), 0.3),
    "near_architecture": (Part(("architecture", "split"), near=_NEAR), 0.2),
    "near_all": (Part(("architecture", "precision", "backend", "split"), near=_NEAR), 0.15),
    "close_engine": (Part(("backend", "precision", "split", "sparse"), near=_CLOSE), 0.3),
    "close_system": (Part(("chip", "backend", "split", "sparse"), near=_CLOSE), 0.15),
    "twin": (Part(("chip", "backend", "precision", "split", "sparse"), near=_TWIN), 0.5),
    "setup": (Part(("architecture", "backend", "chip", "version", "precision", "split")), 0.1),
    "line_concurrency": (Part(("backend", "split"), line="log_concurrency_centred"), 0.075),
    "line_input": (Part(("backend",), line="log_input_centred"), 0.106),
    "line_gpus": (Part(("split",), line="log_gpus_centred"), 0.106),
    "workers": (Part(line="log_workers_known"), 0.2),
}
#: Time to first token varies more: queueing.
WIDER = {"ttft": 2.0, "tpot": 1.0}
NOISE = {"ttft": 0.02, "tpot": 0.004}


@cache
def deployment_constants() -> dict[str, float]:
    """Fitted constants of the closed form: see `data/prediction/deployment_model.csv`."""
    table = pd.read_csv(data_dir() / "prediction" / "deployment_model.csv")
    return dict(zip(table["constant"], table["value"].astype(float), strict=True))


def is_deployment_file(path: Path) -> bool:
    """Whether the columns are those of a deployment table rather than of published throughput."""
    names = set(read_table(path, ()).columns)
    return {"isl", "osl", "system"} <= names and "accelerator" not in names


def read_deployments(path: Path) -> pd.DataFrame:
    """Read deployments with features; raises InputError naming file, row and column."""
    raw = read_table(path, ("system", "model_path", "isl", "osl"))
    d = pd.DataFrame(index=raw.index)
    for name in ("system", "model_path", *TEXTS):
        d[name] = raw[name].fillna("").str.strip() if name in raw else ""
    for name in ("isl", "osl", *LAYOUT, "silicon_ttft_ms", "silicon_tpot_ms"):
        d[name] = numbers(raw, name, path)
    for name in ("isl", "osl"):
        wrong = ~(d[name] > 0)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError.at(
                path, "must be a positive number of tokens", row=row + 2, column=name, value=raw[name].iloc[row]
            )
    for name in LAYOUT:
        d[name] = d[name].where(d[name] > 0)
    return _features(d)


def _features(d: pd.DataFrame) -> pd.DataFrame:
    names = d["system"].str.lower()
    dashed = names.str.replace("_", "-")
    identifiers = names.map(SYSTEMS).fillna("")
    found = [
        resolve([prefix + name for name in dashed], identifiers)
        for prefix in ("nvidia-", "amd-", "intel-", "google-", "aws-", "")
    ]
    d["chip"] = [next((item for item in options if item), "") for options in zip(*found, strict=True)]
    d["known_chip"] = d["chip"] != ""
    d["chip"] = d["chip"].where(d["known_chip"], names)
    s = load_platforms().reindex(d["chip"]).set_axis(d.index)
    d = pd.concat([d, _models(d["model_path"])], axis=1)
    given = d["precision"].where(d["precision"] != "", d["gemm_quant_mode"])
    d["precision"] = given.map(precision_class).replace("", "bf16")
    expert = d["moe_quant_mode"].map(precision_class)
    d["weight_bytes"] = expert.where(expert != "", d["precision"]).map(WEIGHT_BYTES)
    d["peak"] = peak_tflops(s, d["precision"].to_numpy())
    d["bandwidth"], d["link"] = s["memory_bw_gb_per_s"], s["interconnect_gb_per_s"].fillna(32.0)
    split = d["mode"].str.lower().str.startswith("dis") | (
        d["mode"].eq("") & d["decode_tp_size"].notna() & d["tp_size"].isna()
    )
    d["split"] = np.where(split, "disaggregated", "aggregated")
    d["sparse"] = np.where(d["active_b"] < DENSE_SHARE * d["params_b"], "mixture", "dense")
    one = lambda name: d[name].fillna(1.0)  # noqa: E731
    d["gpus"] = np.where(
        split, one("decode_tp_size") * one("decode_attention_dp_size"), one("tp_size") * one("attention_dp_size")
    )
    d["prefill_gpus"] = np.where(split, one("prefill_tp_size") * one("prefill_attention_dp_size"), d["gpus"])
    d["ranks"] = np.where(split, one("decode_attention_dp_size"), one("attention_dp_size"))
    batch = np.where(split, d["decode_batch_size"], d["batch_size"]) * d["ranks"]
    d["concurrency"] = d["silicon_concurrency"].fillna(pd.Series(batch, index=d.index)).fillna(1.0)
    typical = np.where(split, np.clip(10.0 * d["concurrency"] ** -0.02 * d["gpus"] ** -0.59, 1.0, MAX_WORKERS), 1.0)
    known = np.where(split, d["decode_num_workers"], 1.0)
    d["workers"] = typical
    d["log_workers_known"] = np.where(np.isfinite(known) & split, np.log(known / typical), 0.0)
    d["version"] = d["backend"] + d["backend_version"].str[:5]
    date = pd.to_datetime(d["measured_on"], errors="coerce", format="ISO8601")
    d["year"] = ((date - EPOCH).dt.days / 365).fillna(0.0)
    for name, column in (("concurrency", "concurrency"), ("input", "isl"), ("output", "osl"), ("gpus", "gpus")):
        d[f"log_{name}"] = np.log(d[column])
    for name, centre in (("concurrency", 4.0), ("input", 7.0), ("gpus", 2.0)):
        d[f"log_{name}_centred"] = d[f"log_{name}"] - centre
    return with_prior(d, deployment_constants())


def _models(paths: pd.Series) -> pd.DataFrame:
    """Architecture of each model path: the longest catalogue name it begins with, else sizes in its name."""
    table = bundled_facts().models.reset_index()
    known = {}
    for row in table.itertuples():
        for name in str(row.model).split(" / "):
            known[re.sub(r"-(instruct|thinking)$", "", name.lower())] = row
    lines = {path: _architecture(path, known) for path in paths.unique()}
    return pd.DataFrame([lines[path] for path in paths], index=paths.index)


def _architecture(path: str, known: dict[str, object]) -> dict[str, object]:
    name = path.split("/")[-1].lower()
    candidates = [item for item in known if name.startswith(item)]
    row = known[max(candidates, key=len)] if candidates else None
    mixture, dense = re.search(r"(\d+(?:\.\d+)?)b-a(\d+(?:\.\d+)?)b", name), re.search(r"(\d+(?:\.\d+)?)b\b", name)
    total = (
        row.params_total_b
        if row is not None
        else float(mixture.group(1))
        if mixture
        else float(dense.group(1))
        if dense
        else np.nan
    )
    active = row.params_active_b if row is not None else float(mixture.group(2)) if mixture else total
    if not np.isfinite(total):
        total = active = np.nan
    layers, width = layers_and_width(np.array(total), np.array(active))
    get = lambda key, default: getattr(row, key) if row is not None and getattr(row, key) > 0 else default  # noqa: E731
    family = (
        "deepseek-v3"
        if name.startswith(("deepseek-v3", "deepseek-r1"))
        else max(candidates, key=len)
        if candidates
        else name
    )
    return {
        "params_b": total, "active_b": active, "layers": float(get("layers", layers)), "width": float(get("hidden_size", width)),
        "kv_gb": float(get("kv_bytes_per_token_bf16", kv_gb_per_token(np.array(total), np.array(active)) * 1e9)) / 1e9,
        "architecture": family,
    }  # fmt: skip


def with_prior(d: pd.DataFrame, c: dict[str, float]) -> pd.DataFrame:
    """Closed forms in log milliseconds, `prior_tpot` and `prior_ttft`."""
    held = np.maximum(d["concurrency"] / d["workers"], 1.0)
    mixture = d["sparse"] == "mixture"
    share = np.minimum(d["active_b"] / d["params_b"], 1.0)
    touched = np.where(mixture, 1 - (1 - share) ** (held * c["expert_spread"]), 1.0)
    context = d["isl"] + d["osl"] / 2
    kv = held * context * d["kv_gb"] * np.where(d["weight_bytes"] < 2, c["kv_narrow"], 1.0)
    memory = (d["params_b"] * d["weight_bytes"] * touched + kv) / d["gpus"] / (d["bandwidth"] * c["bandwidth"])
    work = 2e-3 * d["active_b"] * np.where(mixture, c["moe_factor"], 1.0) / d["gpus"] / d["peak"]
    moved = held * d["width"] * 2e-9 / (0.7 * d["link"]) / np.maximum(d["ranks"], 1.0)
    links = np.where(d["gpus"] > 1, 2 * d["layers"] * (c["allreduce_us"] * 1e-6 + 2 * moved), 0.0)
    mixed = np.where(d["split"] == "aggregated", c["mixed"] * held / d["osl"] * d["isl"] * work / c["prefill"], 0.0)
    fixed = (
        d["layers"] * c["layer_us"] * 1e-6
        + held / np.maximum(d["ranks"], 1.0) * c["sequence_us"] * 1e-6
        + c["step_ms"] * 1e-3
    )
    tpot_s = memory + held * work / c["compute"] + links + mixed + fixed
    operations = 2e-3 * d["active_b"] * np.where(mixture, 1.3, 1.0) + d["isl"] * d["layers"] * d["width"] * 2e-12
    own = (
        d["isl"] * operations / (d["prefill_gpus"] * d["peak"] * c["ttft_prefill"])
        + d["layers"] * c["ttft_layer_us"] * 1e-7
    )
    busy = np.minimum(own * d["concurrency"] / np.maximum(tpot_s * d["osl"] + own, 1e-9), 1.0)
    queued = own * c["ttft_queue"] * np.minimum(d["concurrency"] - 1, d["concurrency"] * busy)
    ttft_s = (
        own + queued + tpot_s * c["ttft_steps"] + c["ttft_ms"] * 1e-3 + d["concurrency"] * c["ttft_client_us"] * 1e-6
    )
    return d.assign(prior_tpot=np.log(1e3 * tpot_s), prior_ttft=np.log(1e3 * ttft_s))


def evaluate_deployments(
    rows: pd.DataFrame, training: pd.DataFrame | None, leave_out: str = "row"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors by split and group, and the predictions of every row.

    Without a training table, whole systems, whole models and single rows are left out in turn.
    """
    given = training is not None
    answers = {"given": predict_deployments(rows, training)} if given else _cross_validated(rows)
    chosen = (
        "given"
        if training is not None
        else {"accelerator": "unseen accelerator", "model": "unseen model"}.get(
            leave_out, "known accelerator and model"
        )
    )
    lines = [line for split, answer in answers.items() for line in _errors(rows, answer, split)]
    return pd.DataFrame(lines), answers[chosen].drop(columns=["low80_ttft_ms", "high80_ttft_ms"])


@cache
def _part_tables() -> tuple[dict[str, Part], dict[str, float]]:
    return {name: part for name, (part, _) in PARTS.items()}, {name: size for name, (_, size) in PARTS.items()}


class _Gap:
    """Gap model of one target over its training rows, duplicates merged."""

    def __init__(self, rows: pd.DataFrame, target: str) -> None:
        usable = rows[np.isfinite(rows[f"prior_{target}"]) & (rows[f"silicon_{target}_ms"] > 0)]
        gap = np.log(usable[f"silicon_{target}_ms"]) - usable[f"prior_{target}"]
        keys = [
            "chip",
            "model_path",
            "version",
            "precision",
            "split",
            "concurrency",
            "isl",
            "osl",
            "gpus",
            "prefill_gpus",
            "workers",
            "year",
            "ranks",
        ]
        number = usable.groupby([*keys, "log_workers_known"], dropna=False, sort=False).ngroup().to_numpy()
        self.cells = usable.groupby(number).first()
        self.count = usable.groupby(number).size().to_numpy()
        self.gap = gap.groupby(number).median().to_numpy()
        self.membership = pd.Series(number, index=usable.index)
        self.mean = float(np.median(self.gap)) if len(self.gap) else 0.0
        parts, sizes = _part_tables()
        self.parts, self.sizes = parts, {name: size * WIDER[target] for name, size in sizes.items()}
        noise = 0.002 + NOISE[target] / self.count
        prior = covariance(self.cells, self.cells, self.sizes, parts)
        self.noise = NOISE[target]
        self.inverse = np.linalg.inv(prior + np.diag(noise))

    def predict(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        cross = covariance(rows, self.cells, self.sizes, self.parts)
        weight = cross @ self.inverse
        variance = own_variance(rows, self.sizes, self.parts) - (weight * cross).sum(axis=1) + self.noise
        return self.mean + weight @ (self.gap - self.mean), np.sqrt(np.maximum(variance, self.noise))

    def left_out(self, labels: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        residual, deviation = np.empty(len(self.gap)), np.empty(len(self.gap))
        for group in groups_of(labels):
            residual[group], deviation[group] = block_out(self.inverse, self.gap - self.mean, group)
        return residual, deviation

    def scores(self) -> dict[str, np.ndarray]:
        labels = {
            "row": pd.Series(np.arange(len(self.gap))),
            "accelerator": self.cells["chip"],
            "model": self.cells["model_path"],
        }
        found = {}
        for kind, label in labels.items():
            residual, deviation = self.left_out(label)
            found[kind] = np.abs(residual) / deviation
        return found


def predict_deployments(rows: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """Predictions of `rows`, none of which may be in `training`."""
    columns = {"config_id": rows["config_id"]}
    answer = pd.DataFrame(columns, index=rows.index)
    chips, models = rows["chip"].isin(training["chip"]), rows["architecture"].isin(training["architecture"])
    kind = np.select([chips & models, models], ["row", "accelerator"], "model")
    able = np.isfinite(rows["prior_tpot"]) & np.isfinite(rows["prior_ttft"])
    for target in TARGETS:
        model = _Gap(training, target)
        rows_able = rows[able]
        centre, half = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        if len(model.gap):
            gap, deviation = model.predict(rows_able)
            scores = Scores(model.scores())
            widths = {name: scores.width(name) for name in ("row", "accelerator", "model")}
            half[able] = deviation * np.array([widths[name] for name in kind[able]])
        else:
            gap = np.zeros(int(able.sum()))
            half[able] = 1.0
        centre[able] = rows_able[f"prior_{target}"].to_numpy() + gap
        _write(answer, target, centre, half)
    return _finish(answer, rows, np.where(models, "anchored", "step model"))


def _cross_validated(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    labels = {
        "known accelerator and model": None,
        "unseen accelerator": "chip",
        "unseen model": "model_path",
        "unseen architecture": "architecture",
    }
    answers = {name: pd.DataFrame({"config_id": rows["config_id"]}, index=rows.index) for name in labels}
    for target in TARGETS:
        model = _Gap(rows, target)
        for name, column in labels.items():
            label = model.cells[column] if column else pd.Series(np.arange(len(model.gap)))
            residual, deviation = model.left_out(label)
            score = np.abs(residual) / deviation
            width = pd.Series(np.nan, index=model.cells.index)
            for group in groups_of(label if column else model.cells["chip"]):
                others = np.setdiff1d(np.arange(len(score)), group)
                width.iloc[group] = Scores({name: score[others]}).width(name)
            centre, half = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
            place = rows.index.get_indexer(model.membership.index)
            cell = model.membership.to_numpy()
            centre[place] = rows[f"prior_{target}"].to_numpy()[place] + (model.gap - residual)[cell]
            half[place] = (deviation * width.to_numpy())[cell]
            _write(answers[name], target, centre, half)
    tiers = {"unseen model": "step model", "unseen architecture": "step model"}
    return {
        name: _finish(answer, rows, np.full(len(rows), tiers.get(name, "anchored"), dtype=object))
        for name, answer in answers.items()
    }


def _write(answer: pd.DataFrame, target: str, centre: np.ndarray, half: np.ndarray) -> None:
    answer[f"predicted_{target}_ms"] = np.exp(centre)
    answer[f"low80_{target}_ms"], answer[f"high80_{target}_ms"] = np.exp(centre - half), np.exp(centre + half)


def _finish(answer: pd.DataFrame, rows: pd.DataFrame, tier: np.ndarray) -> pd.DataFrame:
    refused = answer["predicted_tpot_ms"].isna()
    reason = np.select(
        [~refused, ~rows["known_chip"], rows["params_b"].isna()],
        [
            np.where(tier == "anchored", ANCHORED_BY, LEVEL_BY),
            "system unknown to the catalogue: give its specifications or benchmark first",
            "size of the model is not known",
        ],
        "peak or bandwidth of the system is not known: benchmark first",
    )
    answer["tier"], answer["reason"] = np.where(refused, "benchmark first", tier), reason
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
