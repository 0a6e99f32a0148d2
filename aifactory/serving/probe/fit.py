"""The step-time law of a probed accelerator, and the share of its datasheet that the law reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from aifactory.errors import InputError
from aifactory.serving.probe.points import Architecture
from aifactory.serving.step_time import StepTime
from aifactory.units import GIGA, TERA

#: Fitted fields with a start and the least and largest value, in seconds but for the knee.
FIELDS = {
    "s_per_token": (1e-5, 1e-9, 1e-1),
    "s_weights": (1e-2, 1e-6, 1e2),
    "knee": (2.0, 1.0, 12.0),
    "s_per_kv_token": (1e-8, 1e-13, 1e-3),
    "s_per_attention_pair": (1e-10, 1e-14, 1e-4),
    "s_per_step": (1e-3, 1e-7, 1.0),
    "s_per_sequence": (1e-6, 1e-10, 1e-1),
}
LEAST_ROWS = 12


@dataclass(frozen=True)
class FittedLaw:
    """Law of one model on one device, its relative errors on the rows it was fitted to, and how many those are."""

    law: StepTime
    median_error: float
    p90_error: float
    rows: int


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

    mfu = 2 P / (s_per_token peak); mbu = bytes / (seconds bandwidth), of all weights and of the cached keys and values;
    attention: 4 layers heads width FLOP a pair.
    """
    peak, bandwidth = _peak_and_bandwidth(accelerator)
    return Efficiency(
        2 * sizes.params / law.s_per_token / peak,
        element_bytes * sizes.params / law.s_weights / bandwidth,
        element_bytes * sizes.kv_elements_per_token / law.s_per_kv_token / bandwidth,
        4 * sizes.layers * sizes.heads * sizes.head_width / law.s_per_attention_pair / peak,
        law.knee,
        law.s_per_step / sizes.layers * 1e6,
    )


def law_of(reached: Efficiency, sizes: Architecture, accelerator: pd.Series, element_bytes: float = 2.0) -> StepTime:
    """Law of a model on an accelerator that reaches the same shares of its datasheet: inverse of `efficiency_of`."""
    peak, bandwidth = _peak_and_bandwidth(accelerator)
    return StepTime(
        s_per_token=2 * sizes.params / reached.mfu / peak,
        s_weights=element_bytes * sizes.params / reached.mbu_weights / bandwidth,
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


def fit_step_law(steps: pd.DataFrame, *, kv_capacity_tokens: int = 10**9) -> FittedLaw:
    """Fit the closed-form step time to measured steps of one model on one device in one mode.

    Least squares of log(law / measured) with a soft L1 loss, so that points where a kernel falls into a slow
    path do not bend the law. The fit is deterministic: fixed starts, no draws.

    Parameters
    ----------
    steps : rows with batch, context_tokens, chunk_tokens, median_ms; at least 12, of decodes and of prompts.

    Raises
    ------
    InputError
        Too few rows, only decodes or only prompts, or several models, devices or modes at once.
    """
    for name in ("device", "model", "mode", "precision"):
        if len(steps[name].unique()) > 1:
            raise InputError.at(
                "steps", "give the rows of one at a time", column=name, value=sorted(steps[name].unique())
            )
    batch, context, chunk = (
        steps[name].fillna(0).to_numpy(float) for name in ("batch", "context_tokens", "chunk_tokens")
    )
    if len(steps) < LEAST_ROWS or not (batch > 0).any() or not (chunk > 0).any():
        raise InputError(f"a law needs {LEAST_ROWS} steps, of decodes and of prompts; {len(steps)} rows are there")
    seconds = steps["median_ms"].to_numpy(float) / 1e3
    at = (batch + chunk, batch + (chunk > 0), batch * context, chunk * (chunk + 1) / 2)

    def law(logs: np.ndarray) -> StepTime:
        return StepTime(**dict(zip(FIELDS, np.exp(logs).tolist(), strict=True)), kv_capacity_tokens=kv_capacity_tokens)

    start, low, high = np.log(np.array(list(FIELDS.values()))).T
    start[1] = np.log(seconds[batch > 0].min() * 0.8)
    start[0] = np.log((seconds[chunk > 0] / chunk[chunk > 0]).min() * 0.8)
    start = np.clip(start, low, high)
    found = least_squares(
        lambda logs: np.log(law(logs).step_s(*at) / seconds), start, bounds=(low, high), loss="soft_l1", f_scale=0.05
    )
    error = np.abs(law(found.x).step_s(*at) / seconds - 1)
    return FittedLaw(law(found.x), float(np.median(error)), float(np.quantile(error, 0.9)), len(steps))
