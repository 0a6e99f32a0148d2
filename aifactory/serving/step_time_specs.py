"""Step time from specifications: FLOP over achievable peak, bytes over achievable bandwidth.

Two sets of efficiencies. Priors: measured matrix products reach 0.72 to 0.85 of the dense peak and
measured reads 0.77 to 0.88 of the bandwidth across five generations of datacentre accelerators
(kernel tables of aiconfigurator-core 0.12.0, fitted 2026-11-24). Fitted ones: the constants of the step model
(`data/prediction/step_model.csv`), which whole engines reached in public throughput tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir
from aifactory.serving.attention_cost import attention_params, latent_decode_s, prompt_pair_flop
from aifactory.serving.kv_cache import (
    LATENT,
    LEAST_KV_TOKENS,
    MEMORY_SHARE,
    STATEFUL,
    WINDOWED,
    KvLayout,
    kv_tokens,
    layout_needed,
)
from aifactory.serving.kv_transfer import transfer_gb_per_s, transfer_s_per_token
from aifactory.serving.step_model import STEP_FLOOR_S, step_constants
from aifactory.serving.step_time import StepTime
from aifactory.serving.weights import BYTES, bytes_per_weight, read_bytes, wide_bytes
from aifactory.units import GIGA, TERA

#: Achieved share of the dense peak and of the memory bandwidth, with one standard deviation.
MFU, MFU_SD = 0.78, 0.06
MBU, MBU_SD = 0.82, 0.05
#: Knee between reading weights and computing, fitted to matrix products of 1 to 640 tokens (Llama-3-8B on A100, Vidur
#: profiles of 2024): 6.9e-5 s a token and 9.9e-3 s of reading, where these efficiencies say 6.6e-5 and 9.6e-3.
KNEE = 1.73
#: Per-layer launch overhead, 25-36 us on A100, H100 and A40 (Vidur profiles of 2024).
S_PER_LAYER = 36e-6
#: All-reduce: latency 4-8 us and half of the scale-up bandwidth on 2-8 GPUs (aiconfigurator kernel table).
S_PER_ALL_REDUCE, LINK_SHARE = 6e-6, 0.5
#: Draw over TDP: 0.73 busy (ML.ENERGY and MLPerf power rows, median); idle share assumed.
BUSY_OF_TDP, IDLE_OF_TDP = 0.73, 0.15
PEAK_COLUMN = {"fp8": "peak_fp8_dense_tflops", "int8": "peak_int8_dense_tops", "fp4": "peak_fp4_dense_tflops"}
TENSOR_PARALLEL = (1, 2, 4, 8, 16, 32, 64)
LANGUAGE_KINDS = ("llm", "llm-moe")


@dataclass(frozen=True)
class Efficiency:
    """What an engine reaches of the datasheet: shares of peak, bandwidth and link; factors; seconds."""

    compute: float = MFU
    bandwidth: float = MBU
    knee: float = KNEE
    s_per_layer: float = S_PER_LAYER
    s_per_sequence: float = 0.0
    s_per_step: float = 0.0
    s_per_all_reduce: float = S_PER_ALL_REDUCE
    link: float = LINK_SHARE
    kv_factor: float = 1.0
    mixture_factor: float = 1.0
    s_per_request: float = 0.0
    tier: str = "first principles: datasheet with prior efficiencies"


PRIOR = Efficiency()


@cache
def latency_constants() -> dict[str, float]:
    """Factor on prefill, latency outside the steps and half width of the 80 % interval, of dense models and mixtures."""
    table = pd.read_csv(data_dir() / "prediction" / "latency_model.csv")
    return dict(zip(table["constant"], table["value"].astype(float), strict=True))


def fitted_efficiency(precision: str, *, hbm: bool, achievable_share: float, mixture: bool) -> Efficiency:
    """Efficiencies of the fitted step model at a precision, as shares of the dense peak and the bandwidth.

    MXFP4 and int4 weights are products in 16 bits, with the share of those.

    The compute share is that of prefill, where compute counts: at most what matrix products reach, over the
    factor by which prompts of real deployments were slower (`data/prediction/latency_model.csv`).
    """
    c, latency, kind = step_constants(), latency_constants(), "mixture" if mixture else "dense"
    reach = c.compute_4bit if precision == "fp4" else c.compute_8bit if BYTES[precision] == 1 else c.compute_16bit
    return Efficiency(
        compute=achievable_share * min(reach * c.prefill, 1.0) / latency[f"prefill_{kind}"],
        bandwidth=c.bandwidth_hbm if hbm else c.bandwidth_other,
        knee=c.knee,
        s_per_layer=c.layer_us * 1e-6,
        s_per_sequence=c.sequence_us * 1e-6,
        s_per_step=STEP_FLOOR_S,
        s_per_all_reduce=c.allreduce_us * 1e-6,
        link=min(c.link, 1.0),
        kv_factor=c.kv_factor,
        mixture_factor=c.moe_factor,
        s_per_request=latency[f"request_ms_{kind}"] * 1e-3,
        tier="first principles: fitted step model",
    )


@dataclass(frozen=True)
class Shape:
    """Depth and width of a transformer, guessed from its active parameters."""

    layers: float
    hidden: float


def guess_shape(params_active_b: float) -> Shape:
    """Layers and width from parameters = 12 L h^2 at h = 128 L, the aspect of most dense models.

    >>> shape = guess_shape(8.03)
    >>> round(shape.layers), round(shape.hidden)
    (34, 4408)
    """
    hidden = (params_active_b * GIGA * 128 / 12) ** (1 / 3)
    return Shape(hidden / 128, hidden)


def shape_of(model: pd.Series) -> Shape:
    """Layers and width of a row of the models table, guessed from its size where they are not stated."""
    guess = guess_shape(float(model["params_active_b"]))
    layers, hidden = (float(model.get(name, np.nan)) for name in ("layers", "hidden_size"))
    return Shape(layers, hidden) if layers > 0 and hidden > 0 else guess


def pair_flop(model: pd.Series, context_tokens: float = 0.0) -> float:
    """Operations of attention for one query and one key: 4 x heads x head width (scores and values) x layers that attend.

    The width is that of the hidden vectors where heads are not stated; the rotary part of a latent key is left out.
    Layers that hold a constant state attend to nothing. Those with a window of w see of the c (c + 1) / 2 pairs of a
    prompt w c - w (w - 1) / 2, as do those that select w tokens of a latent; `context_tokens` 0 takes all.

    >>> llama = pd.Series({"params_active_b": 8.03, "attention": "gqa", "layers": 32, "attention_heads": 32, "head_dim": 128})
    >>> pair_flop(llama)
    524288.0
    """
    shape = shape_of(model)
    layers, full, heads, width, window = (
        float(model.get(name, np.nan))
        for name in ("layers", "full_attention_layers", "attention_heads", "head_dim", "window_tokens")
    )
    each = heads * width if heads > 0 and width > 0 else shape.hidden
    if not (layers > 0 and full >= 0):
        return 4 * each * (layers if layers > 0 else shape.layers)
    seen = 0.0 if model["attention"] == STATEFUL else 1.0
    if model["attention"] in (WINDOWED, LATENT) and context_tokens > window > 0:
        seen = (window * context_tokens - window * (window - 1) / 2) / (context_tokens * (context_tokens + 1) / 2)
    if model["attention"] == LATENT:
        return prompt_pair_flop(model, layout_needed(model), 4 * each * full, seen)
    return 4 * each * (full + seen * (layers - full))


def step_time_from_specs(
    model: pd.Series,
    accelerator: pd.Series,
    *,
    tensor_parallel: int = 0,
    precision: str = "",
    context_tokens: float = 0.0,
    attention_ranks: int = 1,
    efficiency: Efficiency = PRIOR,
    engine: dict | None = None,
) -> StepTime:
    """Closed-form step time of one replica from a row of `models` and one of `accelerators`.

    compute per token = 2 P_active / (tp MFU peak); weights read = P bytes / (tp MBU BW), of a mixture
    the share 1 - (1 - P_active / P)^T, or as `weights.read_bytes` says; KV read = copies x KV bytes / (tp MBU BW), copies of `KvLayout.copies`,
    or computing on a latent where that takes longer (`attention_cost.latent_decode_s`); attention of `pair_flop`.
    Precision below the native ones of the accelerator computes at the next higher native peak.

    Parameters
    ----------
    tensor_parallel : accelerators of a replica; 0 takes the smallest of 1, 2, 4, ... whose memory holds
        weights and a quarter as much KV cache.
    precision : bf16, fp16, fp8, int8, fp4, mxfp4, int4; empty takes the model's default.
    context_tokens : mean context of the sequences, for models that keep windows; 0: windows do not help.
    attention_ranks : groups of the accelerators that attend to sequences of their own (attention data parallelism);
        each holds the weights of attention, which takes memory from the KV cache.
    engine : other fields of `StepTime` to set, such as chunk_tokens or max_batch; `s_per_transfer_token` where the
        links between pools are known better than `kv_transfer` does.

    Raises
    ------
    InputError
        The model is no language model, a figure is missing, or the model does not fit.
    """
    _need(model, "model", ("params_total_b", "params_active_b"))
    _need(accelerator, "accelerator_id", ("memory_gb", "memory_bw_gb_per_s"))
    if model["kind"] not in LANGUAGE_KINDS:
        raise InputError.at("models", f"cannot simulate token by token: {model['model']} is of kind {model['kind']}")
    layout = layout_needed(model)
    precision = chosen_precision(model, precision)
    peak = _peak_flops(accelerator, precision)
    weight_bytes = float(model["params_total_b"]) * GIGA * bytes_per_weight(model, precision)
    degree = tensor_parallel or smallest_degree(weight_bytes, accelerator, str(model["model"]))
    _check_ranks(attention_ranks, degree)
    kv_bytes = kv_bytes_per_token(layout, precision, context_tokens) * layout.copies(degree, attention_ranks)
    shape = shape_of(model)
    attention_bytes = wide_bytes(model, precision) * attention_params(model, layout, shape.layers, shape.hidden)
    copied = (attention_ranks - 1) * attention_bytes
    tokens = kv_tokens(weight_bytes + copied, kv_bytes, float(accelerator["memory_gb"]), degree)
    if tokens < LEAST_KV_TOKENS:
        raise InputError(
            f"{model['model']} in {precision} does not fit on {degree} x {accelerator['accelerator_id']}: weights of "
            f"{(weight_bytes + copied) / GIGA:.0f} GB leave room for {max(tokens, 0)} tokens of KV cache"
        )
    cache = _cache_times(
        model, accelerator, layout, degree, attention_ranks, kv_bytes, efficiency, context_tokens, kv_width(precision)
    )  # fmt: skip
    return _law(
        model, accelerator, degree, peak, read_bytes(model, precision), tokens, context_tokens, efficiency, cache | (engine or {}),
        copied, attention_ranks,
    )  # fmt: skip


def _cache_times(
    model: pd.Series, accelerator: pd.Series, layout: KvLayout, degree: int, ranks: int, kv_bytes: float, reached: Efficiency,
    context_tokens: float, width: float,
) -> dict[str, float]:  # fmt: skip
    """Seconds per token of attending to a cache in a decode step, and of moving it to another pool."""
    read = layout.read_per_token(context_tokens, width) / layout.bytes_per_token(context_tokens, width)
    read_s = reached.kv_factor * read * kv_bytes / _bandwidth(accelerator, degree, reached)
    decode_s = latent_decode_s(model, layout, degree, float(accelerator["peak_bf16_dense_tflops"]), context_tokens)
    moved_s = transfer_s_per_token(kv_bytes, degree / ranks, transfer_gb_per_s(accelerator, degree, reached.link))
    return {"s_per_kv_token": max(read_s, decode_s), "s_per_transfer_token": moved_s}


def _check_ranks(attention_ranks: int, degree: int) -> None:
    if attention_ranks < 1 or degree % attention_ranks:
        rule = f"must be 1 or more and divide the {degree} accelerators of a replica"
        raise InputError.at("simulate", rule, column="--attention-ranks", value=attention_ranks)


def chosen_precision(model: pd.Series, precision: str) -> str:
    """The precision asked for, else the model's; InputError for an unknown one."""
    precision = precision or str(model["default_precision"])
    if precision not in BYTES:
        raise InputError.at("precision", "unknown precision.", value=precision, choices=BYTES)
    return precision


def kv_bytes_per_token(layout: KvLayout, precision: str, context_tokens: float = 0.0) -> float:
    """KV bytes per token at a weight precision."""
    return layout.bytes_per_token(context_tokens, kv_width(precision))


def kv_width(precision: str) -> float:
    """Bytes of a value of the KV cache: 8 bits where weights have 8 or fewer, else 16."""
    return 1.0 if BYTES[precision] <= 1 else 2.0


def _law(
    model: pd.Series, accelerator: pd.Series, degree: int, peak: float,
    read: tuple[float, float, float], tokens: int, context_tokens: float, reached: Efficiency, engine: dict,
    copied: float, ranks: int,
) -> StepTime:  # fmt: skip
    bandwidth = _bandwidth(accelerator, degree, reached)
    flops, watts = degree * reached.compute * peak, degree * float(accelerator["tdp_w"])
    active, shape = float(model["params_active_b"]), shape_of(model)
    every_step, experts, share = read
    mixture = experts > 0
    link_s, latency_s = _collectives(shape, accelerator, degree, ranks, reached)
    return StepTime(
        s_per_token=2 * active * GIGA / flops * (reached.mixture_factor if mixture else 1.0),
        s_weights=(copied + every_step) / bandwidth,
        s_experts=experts / bandwidth,
        expert_share=share,
        s_per_attention_pair=pair_flop(model, context_tokens) / flops,
        s_per_sequence=reached.s_per_sequence,
        s_per_step=shape.layers * reached.s_per_layer + reached.s_per_step + latency_s,
        s_per_link_token=link_s,
        s_per_request=reached.s_per_request,
        kv_capacity_tokens=tokens,
        knee=reached.knee,
        accelerators=degree,
        idle_w=IDLE_OF_TDP * watts,
        busy_w=BUSY_OF_TDP * watts,
        tier=reached.tier,
        **engine,
    )


def _bandwidth(accelerator: pd.Series, degree: int, reached: Efficiency) -> float:
    """Bytes per second that so many accelerators read together."""
    return degree * reached.bandwidth * float(accelerator["memory_bw_gb_per_s"]) * GIGA


def smallest_degree(weight_bytes: float, accelerator: pd.Series, model: str) -> int:
    """Smallest tensor parallel degree whose memory holds the weights and a quarter as much KV cache."""
    usable = MEMORY_SHARE * float(accelerator["memory_gb"]) * GIGA
    for degree in TENSOR_PARALLEL:
        if degree <= max(int(accelerator["accelerators_per_node"]), 8) and degree * usable >= 1.25 * weight_bytes:
            return degree
    raise InputError(
        f"{model} does not fit on one node of {accelerator['accelerator_id']}: weights of {weight_bytes / GIGA:.0f} GB "
        f"against {usable / GIGA:.1f} usable GB an accelerator"
    )


def _collectives(
    shape: Shape, accelerator: pd.Series, degree: int, ranks: int, reached: Efficiency
) -> tuple[float, float]:
    """Seconds per token and per step of the all-reduces; (0, 0) on one accelerator.

    Two a layer: after the feed-forward part over all accelerators, after attention over those of a rank.
    """
    if degree == 1:
        return 0.0, 0.0
    link = float(accelerator["interconnect_gb_per_s"])
    if not np.isfinite(link):
        raise InputError(
            f"{accelerator['accelerator_id']}: bandwidth between accelerators is unknown; {degree} of them cannot be simulated"
        )
    each = degree / ranks
    shares = (degree - 1) / degree + (each - 1) / each / ranks
    calls = 2 if each > 1 else 1
    per_token = shape.layers * 2 * shape.hidden * 2 * shares
    return per_token / (reached.link * link * GIGA), calls * shape.layers * reached.s_per_all_reduce


def _peak_flops(accelerator: pd.Series, precision: str) -> float:
    """Dense peak in FLOP/s at the precision, else at the next higher precision that is known."""
    order = {"fp4": ("fp4", "fp8", "bf16"), "fp8": ("fp8", "bf16"), "int8": ("int8", "bf16")}.get(precision, ("bf16",))
    for name in order:
        peak = accelerator[PEAK_COLUMN.get(name, "peak_bf16_dense_tflops")]
        if np.isfinite(peak):
            return float(peak) * TERA
    raise InputError(
        f"{accelerator['accelerator_id']}: no dense peak at {precision} or above is known; benchmark first"
    )


def _need(row: pd.Series, key: str, columns: tuple[str, ...]) -> None:
    missing = [name for name in columns if not np.isfinite(row[name])]
    if missing:
        raise InputError(f"{row[key]}: {', '.join(missing)} unknown; it cannot be simulated, benchmark first")
