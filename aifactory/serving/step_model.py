"""First-principles throughput and step time of language models, vectorised over deployments.

One decode step of `n` sequences on `t` accelerators, each with context `c`:

    memory  = (weights touched + n c kv) / (t bandwidth e_b)
    compute = 2 n active parameters / (t peak e_c)
    step    = (memory^k + compute^k)^(1/k) + prefill share + collectives + layers t_layer + n t_sequence + 1 ms

Weights touched by a mixture of experts: share 1 - (1 - k/E)^n of the experts, k/E taken as active over total
parameters. Prefill share: each step admits n / output new prompts. Collectives: two all-reduces a layer,
2 (t-1)/t of the activations each. Throughput is maximised over `t` and `n` where the measurement does not
state them, inside memory and inside the limit on time per output token.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from aifactory.inputs.resources import data_dir

BATCHES = 2.0 ** np.arange(0.0, 12.01, 0.25)
PARALLEL = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
NUMERIC = (
    "params_b", "active_b", "weight_bytes", "kv_gb", "input_tokens", "output_tokens", "bandwidth", "peak", "memory",
    "link", "concurrency", "tp", "accelerators", "slo_tpot_ms",
)  # fmt: skip
MEMORY_SHARE, STEP_FLOOR_S, MAX_BATCH, SLACK = 0.9, 1e-3, 2048.0, 0.95


@dataclass(frozen=True)
class StepConstants:
    """Fitted efficiencies (0-1 unless named): see `data/prediction/step_model.csv` for source and date."""

    compute_16bit: float
    compute_8bit: float
    compute_4bit: float
    bandwidth_hbm: float
    bandwidth_other: float
    layer_us: float
    sequence_us: float
    allreduce_us: float
    link: float
    kv_factor: float
    prefill: float
    knee: float
    moe_factor: float


@cache
def step_constants() -> StepConstants:
    """Constants shipped with the package."""
    table = pd.read_csv(data_dir() / "prediction" / "step_model.csv")
    return StepConstants(**dict(zip(table["constant"], table["value"].astype(float), strict=True)))


def layers_and_width(params_b: np.ndarray, active_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Typical layers and hidden width of a transformer by size, where its configuration is not known.

    >>> [round(float(part[0])) for part in layers_and_width(np.array([70.0]), np.array([70.0]))]
    [76, 8943]
    """
    layers = np.clip(32 * (params_b / 8) ** 0.4, 4, 130)
    return layers, 4096 * (np.maximum(active_b, 0.1) / 8) ** 0.36


def kv_gb_per_token(params_b: np.ndarray, active_b: np.ndarray) -> np.ndarray:
    """16-bit KV cache per token, GB, by size: grouped-query attention; mixtures carry about 0.7 of it."""
    return 90e-6 * np.sqrt(params_b / 8) * np.where(active_b < 0.95 * params_b, 0.7, 1.0)


def expert_share(active_b: np.ndarray, params_b: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Share of the weights that a step of `tokens` tokens reads: 1 - (1 - k/E)^tokens; 1 for dense models.

    >>> float(expert_share(np.array(8.0), np.array(8.0), np.array(1.0))), float(
    ...     expert_share(np.array(1.0), np.array(4.0), np.array(2.0))
    ... )
    (1.0, 0.4375)
    """
    share = np.minimum(active_b / params_b, 1.0)
    return np.where(active_b < 0.95 * params_b, 1 - (1 - share) ** np.maximum(tokens, 1.0), 1.0)


def best_throughput(d: pd.DataFrame, constants: StepConstants | None = None) -> pd.DataFrame:
    """Output tokens per second per accelerator, at the best layout where the row leaves it open.

    Parameters
    ----------
    d : columns params_b, active_b, weight_bytes, kv_gb, input_tokens, output_tokens, bandwidth (GB/s),
        peak (TFLOPS reached at the precision), memory (GB), link (GB/s one way), concurrency (NaN: free),
        tp (NaN: free), accelerators, slo_tpot_ms (NaN: none), precision, hbm (bool).

    Returns
    -------
    Columns log_tokens_per_s, batch, tp, memory_share and prefill_share of the step; same index.
    """
    c = constants or step_constants()
    col = {name: d[name].to_numpy(dtype=float)[:, None, None] for name in NUMERIC}
    tp = np.where(np.isfinite(col["tp"]), col["tp"], PARALLEL[None, :, None])
    free = np.broadcast_to(BATCHES[None, None, :], (len(d), tp.shape[1], len(BATCHES)))
    batch = np.where(
        np.isfinite(col["concurrency"]), np.maximum(col["concurrency"] * tp / col["accelerators"], 1), free
    )
    weights = col["params_b"] * col["weight_bytes"]
    context = col["input_tokens"] + col["output_tokens"] / 2
    room = np.maximum(MEMORY_SHARE * col["memory"] - weights / tp, 0) * tp / (col["kv_gb"] * c.kv_factor * context)
    fits, batch_now = room >= 1, np.minimum(batch, np.maximum(room, 1))
    step, memory, prefill = _step_s(d, col, tp, batch_now, context, c)
    rate = batch_now / step / tp
    limit = np.where(np.isfinite(col["slo_tpot_ms"]), SLACK * col["slo_tpot_ms"] * 1e-3, np.inf)
    allowed = fits & (tp <= np.maximum(col["accelerators"], 1)) & (step <= limit) & (batch <= MAX_BATCH)
    score = np.where(allowed, rate, rate * np.where(fits, 1e-3, 1e-6)).reshape(len(d), -1)
    best = (np.arange(len(d)), score.argmax(axis=1))

    def chosen(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, rate.shape).reshape(len(d), -1)[best]

    return pd.DataFrame(
        {
            "log_tokens_per_s": np.log(np.maximum(chosen(rate), 1e-12)),
            "batch": chosen(batch_now),
            "tp": chosen(tp),
            "memory_share": chosen(memory / step),
            "prefill_share": chosen(prefill / step),
        },
        index=d.index,
    )


def _step_s(
    d: pd.DataFrame,
    col: dict[str, np.ndarray],
    tp: np.ndarray,
    batch: np.ndarray,
    context: np.ndarray,
    c: StepConstants,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    precision = d["precision"].to_numpy()
    reach = np.select(
        [precision == "fp4", np.isin(precision, ["fp8", "int8"])], [c.compute_4bit, c.compute_8bit], c.compute_16bit
    )
    peak = col["peak"] * reach[:, None, None]
    hbm = d["hbm"].to_numpy(dtype=bool)[:, None, None]
    bandwidth = col["bandwidth"] * np.where(hbm, c.bandwidth_hbm, c.bandwidth_other)
    layers, width = layers_and_width(col["params_b"], col["active_b"])
    sparse = col["active_b"] < 0.95 * col["params_b"]
    touched = col["params_b"] * col["weight_bytes"] * expert_share(col["active_b"], col["params_b"], batch)
    memory = (touched + batch * context * col["kv_gb"] * c.kv_factor) / tp / bandwidth
    work = 2e-3 * col["active_b"] * np.where(sparse, c.moe_factor, 1.0) / (tp * peak)
    prompts = col["input_tokens"] / col["output_tokens"]
    prefill = batch * prompts * work / c.prefill
    moved = batch * (1 + prompts) * width * 2e-9
    start = c.allreduce_us * 1e-6 * np.where(col["link"] > 200, 1.0, 2.5)
    ring = 2 * (tp - 1) / tp * moved / (col["link"] * c.link)
    links = np.where(tp > 1, 2 * layers * (start + ring), 0.0)
    body = (memory**c.knee + (batch * work) ** c.knee) ** (1 / c.knee)
    fixed = layers * c.layer_us * 1e-6 + batch * c.sequence_us * 1e-6 + STEP_FLOOR_S
    return body + prefill + links + fixed, memory, prefill
