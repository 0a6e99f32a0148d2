"""The share of its datasheet that a probed accelerator reaches in whole steps, and the law of another from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from aifactory.errors import InputError
from aifactory.serving.probe.points import Architecture, architecture
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_fit import steps_s
from aifactory.units import GIGA, TERA

#: Start, least and largest value of each share, knee and overhead.
BOUNDS = {
    "mfu": (0.6, 0.01, 1.0),
    "mbu_weights": (0.8, 0.01, 1.2),
    "mbu_kv": (0.8, 0.01, 1.2),
    "mfu_attention": (0.5, 0.01, 1.0),
    "knee": (2.5, 1.0, 12.0),
    "layer_us": (10.0, 0.01, 1e4),
}
LEAST_ROWS = 12


@dataclass(frozen=True)
class Efficiency:
    """Shares (0-1) of the datasheet that whole steps reach: dense peak and bandwidth; knee; microseconds a layer."""

    mfu: float
    mbu_weights: float
    mbu_kv: float
    mfu_attention: float
    knee: float
    layer_us: float


def efficiency_of(law: StepTime, sizes: Architecture, accelerator: pd.Series, element_bytes: float = 2.0) -> Efficiency:
    """What a fitted law reaches of the dense peak and bandwidth of its accelerator.

    mfu = 2 P / (s_per_token peak) with P the weights of a token; mbu = bytes / (seconds bandwidth), of all weights and of the
    cached keys and values; attention: 4 layers heads width FLOP a pair.
    """
    peak, bandwidth = _peak_and_bandwidth(accelerator)
    return Efficiency(
        2 * sizes.active_params / law.s_per_token / peak,
        element_bytes * sizes.params / (law.s_weights + law.s_experts) / bandwidth,
        element_bytes * sizes.kv_elements_per_token / law.s_per_kv_token / bandwidth,
        4 * sizes.layers * sizes.heads * sizes.head_width / law.s_per_attention_pair / peak,
        law.knee,
        law.s_per_step / sizes.layers * 1e6,
    )


def law_of(reached: Efficiency, sizes: Architecture, accelerator: pd.Series, element_bytes: float = 2.0) -> StepTime:
    """Law of a model on an accelerator that reaches the same shares of its datasheet: inverse of `efficiency_of`.

    Of a mixture a step of T tokens reads the share 1 - (1 - k/E)^T of the experts.
    """
    peak, bandwidth = _peak_and_bandwidth(accelerator)
    s_per_weight = element_bytes / reached.mbu_weights / bandwidth
    return StepTime(
        s_per_token=2 * sizes.active_params / reached.mfu / peak,
        s_weights=s_per_weight * (sizes.params - sizes.expert_params),
        s_experts=s_per_weight * sizes.expert_params,
        expert_share=sizes.experts_per_token / sizes.experts if sizes.experts else 0.0,
        s_per_kv_token=element_bytes * sizes.kv_elements_per_token / reached.mbu_kv / bandwidth,
        s_per_attention_pair=4 * sizes.layers * sizes.heads * sizes.head_width / reached.mfu_attention / peak,
        s_per_step=reached.layer_us * 1e-6 * sizes.layers,
        kv_capacity_tokens=10**9,
        knee=reached.knee,
    )


def _peak_and_bandwidth(accelerator: pd.Series) -> tuple[float, float]:
    """FLOP/s dense at 16 bits, and bytes/s."""
    return (
        float(accelerator["peak_bf16_dense_tflops"]) * TERA,
        float(accelerator["memory_bw_gb_per_s"]) * GIGA,
    )


def fit_efficiency(steps: pd.DataFrame, accelerators: pd.DataFrame) -> Efficiency:
    """Shares of the datasheet that measured steps reach, one set for all models and accelerators given.

    Least squares of log(law / measured) with a soft L1 loss, so that points where a kernel falls into a slow path
    do not bend the law. Fixed start, no draws. Several models tell the time of a layer from that of its weights.

    Parameters
    ----------
    steps : rows of one precision and mode with accelerator_id, model, batch, context_tokens, chunk_tokens, median_ms.
    accelerators : peak_bf16_dense_tflops and memory_bw_gb_per_s, indexed by accelerator_id.

    Raises
    ------
    InputError
        Fewer than 12 rows, only decodes or only prompts, or several precisions or modes at once.
    """
    for name in ("mode", "precision"):
        if len(steps[name].unique()) > 1:
            raise InputError.at("steps", "give the rows of one at a time", column=name, value=sorted(set(steps[name])))
    batch, chunk = (steps[name].fillna(0).to_numpy(float) for name in ("batch", "chunk_tokens"))
    if len(steps) < LEAST_ROWS or not (batch > 0).any() or not (chunk > 0).any():
        raise InputError(f"steps: {LEAST_ROWS} are needed, of decodes and of prompts; {len(steps)} rows are there")
    groups = [
        (architecture(model), accelerators.loc[chip], rows)
        for (chip, model), rows in steps.groupby(["accelerator_id", "model"], sort=True)
    ]
    start, low, high = np.log(np.array(list(BOUNDS.values()))).T

    def off(logs: np.ndarray) -> np.ndarray:
        reached = Efficiency(*np.exp(logs).tolist())
        return np.concatenate([step_errors(law_of(reached, *at), rows) for *at, rows in groups])

    found = least_squares(off, start, bounds=(low, high), loss="soft_l1", f_scale=0.05)
    return Efficiency(*np.exp(found.x).tolist())


def step_errors(law: StepTime, steps: pd.DataFrame) -> np.ndarray:
    """log(law / measured) of each step; positive where the law is too slow."""
    sizes = steps.fillna({"batch": 0, "context_tokens": 0, "chunk_tokens": 0})
    return np.log(steps_s(law, sizes) / (steps["median_ms"].to_numpy(float) / 1e3))
