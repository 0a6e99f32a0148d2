"""What the weights of a model take at a precision: on average, and the part that stays in 16 bits.

Models published in 4 bits keep attention, router and embeddings in 16 bits. The published size of a checkpoint W (GB,
column `weights_gb` of the models table, at the model's own precision) tells how many parameters x (1e9) those are: with
P parameters of b bytes else, W = 2 x + b (P - x). Every step reads those of x that a token uses, and of the others the
share that its tokens touch.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.units import GIGA

#: Bytes per weight, scales of blocks included: NVFP4 (`fp4`) 8 bits for 16 weights, MXFP4 8 bits for 32, int4 about as much.
BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5625, "mxfp4": 0.53125, "int4": 0.53}
#: Bytes of a weight that is left in 16 bits.
WIDE = 2.0


def bytes_per_weight(model: pd.Series, precision: str) -> float:
    """Mean bytes of a weight: of the published checkpoint where it has this precision, else those of the precision.

    >>> gpt = pd.Series({"params_total_b": 116.8, "weights_gb": 65.3, "default_precision": "mxfp4"})
    >>> round(bytes_per_weight(gpt, "mxfp4"), 4), bytes_per_weight(gpt, "bf16")
    (0.5591, 2.0)
    """
    published = _published_gb(model, precision)
    return published / float(model["params_total_b"]) if published > 0 else BYTES[precision]


def wide_params_b(model: pd.Series) -> float:
    """Parameters (1e9) that the published checkpoint of fewer bits keeps in 16 bits; 0 where its size is not stated.

    >>> gpt = pd.Series({"params_total_b": 116.8, "weights_gb": 65.3, "default_precision": "mxfp4"})
    >>> round(wide_params_b(gpt), 2)  # model card: attention 0.96, embeddings both ways 1.16
    2.21
    """
    precision, total = str(model.get("default_precision")), float(model["params_total_b"])
    published, bits = _published_gb(model, precision), BYTES.get(precision, WIDE)
    if not published > 0 or bits >= WIDE:
        return 0.0
    return float(np.clip((published - bits * total) / (WIDE - bits), 0.0, total))


def wide_bytes(model: pd.Series, precision: str) -> float:
    """Bytes of a weight outside the experts: 16 bits where a published checkpoint keeps them, else the precision's."""
    kept = precision == model.get("default_precision") and wide_params_b(model) > 0
    return WIDE if kept else BYTES[precision]


def read_bytes(model: pd.Series, precision: str) -> tuple[float, float, float]:
    """Bytes that every step reads, bytes of all experts, and the share of these that one token touches.

    Dense models read everything; of mixtures that do not say more, all weights count as experts.

    >>> gpt = pd.Series({"params_total_b": 116.8, "params_active_b": 5.1, "weights_gb": 65.3, "default_precision": "mxfp4",
    ...     "experts": 128, "experts_per_token": 4})
    >>> every, experts, share = read_bytes(gpt, "mxfp4")
    >>> round(every / 1e9, 2), round(experts / 1e9, 2), share  # 1.52e9 weights of attention and answers at 2 bytes
    (3.04, 60.87, 0.03125)
    """
    total, active = float(model["params_total_b"]), float(model["params_active_b"])
    whole = total * GIGA * bytes_per_weight(model, precision)
    if active >= total:
        return whole, 0.0, 0.0
    wide, routed = wide_params_b(model), float(model.get("experts", np.nan))
    share = float(model.get("experts_per_token", np.nan)) / routed if routed > 0 else np.nan
    if not (wide > 0 and 0 < share < 1):
        return 0.0, whole, active / total
    every = float(np.clip(active - share * (total - wide), 0.0, wide))
    return wide_bytes(model, precision) * every * GIGA, BYTES[precision] * (total - wide) * GIGA, share


def _published_gb(model: pd.Series, precision: str) -> float:
    return float(model.get("weights_gb", np.nan)) if precision == model.get("default_precision") else np.nan
