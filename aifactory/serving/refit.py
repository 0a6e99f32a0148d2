"""Fit the constants of the step model, of latencies and of the deployment closed form to tables of measurements.

    python -m aifactory.serving.refit throughput MEASUREMENTS.csv  > data/prediction/step_model.csv
    python -m aifactory.serving.refit latency DEPLOYMENTS.csv      > data/prediction/latency_model.csv
    python -m aifactory.serving.refit deployments DEPLOYMENTS.csv  > data/prediction/deployment_model.csv
    python -m aifactory.serving.refit gaps DEPLOYMENTS.csv         > data/prediction/deployment_parts.csv

Objective: mean absolute log error after taking out the level of each comparison group, so that the
constants explain differences between accelerators and loads and not the tuning of one source; a
quarter of the weight on the error with levels, and a weak pull towards the shipped constants' start.
Coordinate descent with adaptive steps: no gradients, deterministic.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir
from aifactory.serving.deployment_fit import fit_closed_forms, fit_parts, usable_deployments
from aifactory.serving.deployment_gap import COPY
from aifactory.serving.deployments import TARGETS, read_deployments
from aifactory.serving.fitting import coordinate_descent, pull, robust_error
from aifactory.serving.intervals import ENOUGH, balanced_quantile
from aifactory.serving.measurements import Facts, bundled_facts, layout_inputs, read_measurements, with_features
from aifactory.serving.step_model import StepConstants, best_throughput, step_constants
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_specs import fitted_efficiency, latency_constants, step_time_from_specs

#: Requests at a time up to which a deployment counts as lightly loaded: no queue, small batches.
QUIET = 4
#: Constants that throughput tables do not tell from compute and launch times, held where the fit starts: fitted with one
#: accelerator left out, the share of the bandwidth came out between 0.68 and 0.92 by which one it was.
HELD = ("bandwidth_hbm", "bandwidth_other", "kv_factor")


def fit_step_model(path: Path) -> dict[str, float]:
    """Constants of the step model from published throughput of language models on GPUs."""
    return fit_step_constants(with_features(read_measurements(path)), asdict(step_constants()))


def fit_step_constants(d: pd.DataFrame, start: dict[str, float]) -> dict[str, float]:
    """Constants of the step model from rows with features, pulled weakly towards `start`; `HELD` stay there."""
    usable = d["regime"].str.startswith("llm") & (d["metric"] == "tokens_per_s") & d["prior"].notna()
    d = d[usable & (d["accelerator_class"] == "gpu") & d["known_chip"]]
    rows = layout_inputs(d)
    chained = np.log(np.where(d["layers_chained"], d["accelerators"], 1.0))
    group = pd.factorize(d["model"] + d["context"])[0]
    weight = np.where(d["round"], 3.0, np.where(d["family"] == "trtllm-perf", 1.0, 0.5))

    held = {name: start[name] for name in HELD}

    def error(free: dict[str, float]) -> float:
        constants = held | free
        said = best_throughput(rows, StepConstants(**constants))["log_tokens_per_s"].to_numpy() - chained
        return robust_error(d["speed"].to_numpy() - said, group, weight) + pull(constants, start)

    found = held | coordinate_descent(error, {name: value for name, value in start.items() if name not in held})
    return {name: found[name] for name in start}


def fit_latency_model(path: Path) -> dict[str, float]:
    """What deployments add to the fitted step model: factor on prefill, latency outside the steps, interval.

    Factor and latency make the time to first token of lightly loaded (up to 4 requests at a time),
    aggregated deployments right; the interval is the 80 % quantile of the absolute log error of the time per output
    token over all aggregated deployments, which none of the constants was fitted to, and of those times
    to first token. Systems weigh the same in it; those with fewer than `ENOUGH` rows do not count. A measurement that is
    listed twice counts once.
    """
    d = read_deployments(path).drop_duplicates(list(COPY))
    d = d[(d["split"] == "aggregated") & (d["silicon_tpot_ms"] > 0) & (d["silicon_ttft_ms"] > 0)]
    found = {}
    for kind, rows in d.groupby("sparse"):
        laws = deployment_laws(rows)
        rows = rows.loc[list(laws)]
        quiet = rows[rows["concurrency"] <= QUIET]

        def error(c: dict[str, float], quiet: pd.DataFrame = quiet, laws: dict[int, StepTime] = laws) -> float:
            return float(np.mean(np.abs(_ttft_error(quiet, laws, c))))

        c = coordinate_descent(error, {"prefill": 1.5, "request_ms": 50.0}, sweeps=12)
        off = pd.concat([_tpot_error(rows, laws, c["prefill"]), _ttft_error(quiet, laws, c)]).abs()
        system = rows.loc[off.index, "system"]
        counted = (system.map(system.value_counts()) >= ENOUGH).to_numpy()
        half = balanced_quantile(off.to_numpy()[counted], system.to_numpy()[counted])
        found |= {f"prefill_{kind}": c["prefill"], f"request_ms_{kind}": c["request_ms"], f"half80_{kind}": half}
    return found


def deployment_laws(rows: pd.DataFrame) -> dict[int, StepTime]:
    """Law of the fitted step model, prompts at full compute, of each deployment whose model and system are known."""
    facts, laws = bundled_facts(), {}
    chips = pd.read_csv(data_dir() / "catalogue" / "accelerators.csv").set_index("accelerator_id", drop=False)
    names = {
        part.lower().removesuffix("-instruct"): name for name in facts.models.index for part in name.split(" / ")
    } | {"llama-3.3-70b": "Llama-3.1-70B / 3.3-70B"}
    for number, row in rows.iterrows():
        name = names.get(row["architecture"])
        if name is None or row["chip"] not in chips.index:
            continue
        try:
            laws[number] = _law(facts, chips.loc[row["chip"]], name, row)
        except InputError:
            continue
    return laws


def _law(facts: Facts, chip: pd.Series, name: str, row: pd.Series) -> StepTime:
    model = facts.models.loc[name].copy()
    model["model"] = name
    known = facts.platforms.loc[row["chip"]]
    reached = fitted_efficiency(
        row["precision"], hbm=known["memory_type"] == "hbm", achievable_share=known["achievable_share"],
        mixture=row["sparse"] == "mixture",
    )  # fmt: skip
    full = latency_constants()[f"prefill_{row['sparse']}"]
    reached = replace(reached, compute=reached.compute * full, s_per_request=0.0)
    return step_time_from_specs(
        model, chip, tensor_parallel=int(row["gpus"]), precision=row["precision"],
        context_tokens=row["isl"] + row["osl"] / 2, attention_ranks=int(row["ranks"]), efficiency=reached,
    )  # fmt: skip


def _slower_prompts(law: StepTime, factor: float) -> StepTime:
    return replace(law, s_per_token=factor * law.s_per_token, s_per_attention_pair=factor * law.s_per_attention_pair)


def _ttft_error(rows: pd.DataFrame, laws: dict[int, StepTime], c: dict[str, float]) -> pd.Series:
    said = [
        1e3 * _slower_prompts(laws[n], c["prefill"]).floor_ttft_s(isl) + c["request_ms"]
        for n, isl in rows["isl"].items()
    ]
    return np.log(pd.Series(said, index=rows.index) / rows["silicon_ttft_ms"])


def _tpot_error(rows: pd.DataFrame, laws: dict[int, StepTime], prefill: float) -> pd.Series:
    """Steps of the sequences held, each mixed with the share of prompts that keeps their number."""
    said = {}
    for number, row in rows.iterrows():
        held, prompts = row["concurrency"], row["concurrency"] * row["isl"] / row["osl"]
        context = row["isl"] + row["osl"] / 2
        law = _slower_prompts(laws[number], prefill)
        said[number] = 1e3 * float(law.step_s(held + prompts, held, held * context, prompts * row["isl"] / 2))
    return np.log(pd.Series(said) / rows["silicon_tpot_ms"])


def fit_deployment_model(path: Path) -> dict[str, float]:
    """Constants of the closed forms of deployments."""
    return fit_closed_forms(usable_deployments(path))


def main(arguments: list[str]) -> None:
    """Print a table of constants, ready to replace the shipped one but for its source and date."""
    if arguments[0] == "gaps":
        d = usable_deployments(Path(arguments[1]))
        found = {f"{target},{name}": value for target in TARGETS for name, value in fit_parts(d, target).items()}
        head = "target,part,deviation"
    else:
        fits = {"throughput": fit_step_model, "latency": fit_latency_model, "deployments": fit_deployment_model}
        found, head = fits[arguments[0]](Path(arguments[1])), "constant,value"
    sys.stdout.write("\n".join([head, *(f"{name},{value:.4f}" for name, value in found.items())]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
