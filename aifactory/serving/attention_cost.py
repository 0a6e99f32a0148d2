"""What the weights of attention take, and what decoding on a latent computes.

A latent cache (MLA, DeepSeek-V2, arXiv 2405.04434) is expanded to heads for prompts. A decode step attends to the latent
itself: keys of all heads are the latent and its rotary part, values the latent, which costs more operations and no more
bytes: 2 heads (latent + rotary + latent) a layer and context token, where expanded heads take 4 heads x head width.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.serving.kv_cache import INDEX_WIDTH, LATENT, KvLayout
from aifactory.units import GIGA

#: Width of the rotary key beside a latent, and rank of its queries over that of the latent: DeepSeek-V2, V3, Kimi-K2.
ROTARY_WIDTH, QUERY_RANK = 64, 3
#: Share of the dense 16-bit peak that decoding on a latent reaches: 660 TFLOPS of 989 on H800 (FlashMLA, 2025-04, recalled).
LATENT_SHARE = 0.67


def attention_params(model: pd.Series, layout: KvLayout, layers: float, hidden: float) -> float:
    """Weights of all attention layers: projections of queries, keys, values and output.

    Grouped heads of width d: h d (2 H + 2 KV) a layer. A latent c with queries of rank q = 3 c (judged) and a rotary part
    r: h q + q H (d + r) + h (c + r) + 2 c H d + H d h. Heads that are not stated are as wide as the hidden vectors.

    >>> v3 = pd.Series({"attention": "mla", "attention_heads": 128, "head_dim": 128})
    >>> round(attention_params(v3, KvLayout(576, 61), 61, 7168) / 61)  # published configuration: 187,105,280
    187105280
    """
    heads, width = _heads(model)
    each = heads * width if heads > 0 and width > 0 else hidden
    if model.get("attention") == LATENT and heads > 0 and width > 0:
        latent = layout.values - ROTARY_WIDTH
        rank = QUERY_RANK * latent
        queries = hidden * rank + rank * heads * (width + ROTARY_WIDTH)
        return layers * (queries + hidden * layout.values + 2 * latent * each + each * hidden)
    return layers * hidden * (2 * each + layout.values)


def latent_pair_flop(model: pd.Series, layout: KvLayout, context_tokens: float = 0.0) -> float:
    """Operations of all layers for a query and a token of its context, attending to the latent itself.

    Where a step selects k of c tokens, that share k / c of them, and the index scores all: half as many heads as attend,
    128 wide, at twice the rate (8 bits), so that each counts half.

    >>> v3 = pd.Series({"attention_heads": 128, "head_dim": 128})
    >>> latent_pair_flop(v3, KvLayout(576, 61)) / 61, latent_pair_flop(v3, KvLayout(576, 61, selected_tokens=2048), 8192) / 61
    (278528.0, 77824.0)
    """
    heads, _ = _heads(model)
    whole = 2 * heads * (2 * layout.values - ROTARY_WIDTH) * layout.full_layers
    if not np.isfinite(layout.selected_tokens):
        return whole
    share = min(layout.selected_tokens / max(float(context_tokens), 1.0), 1.0) if context_tokens else 1.0
    return share * whole + heads / 2 * INDEX_WIDTH * layout.full_layers


def prompt_pair_flop(model: pd.Series, layout: KvLayout, expanded: float, seen: float) -> float:
    """Operations of a pair of a prompt on a latent cache: heads expanded, or the selected pairs on the latent where that is less.

    Parameters
    ----------
    expanded : operations with all heads expanded.
    seen : share of the pairs that are selected.
    """
    heads, _ = _heads(model)
    if not (np.isfinite(layout.selected_tokens) and heads > 0):
        return expanded
    dense = latent_pair_flop(model, layout)
    index = heads / 2 * INDEX_WIDTH * layout.full_layers
    return min(expanded, seen * (dense - index)) + index


def latent_decode_s(
    model: pd.Series, layout: KvLayout, accelerators: float, peak_16bit_tflops: float, context_tokens: float = 0.0
) -> float:
    """Seconds of computing on a latent, per context token and sequence; 0 for other attention.

    Heads, or sequences, are dealt out over the accelerators.

    >>> v3 = pd.Series({"attention": "mla", "attention_heads": 128, "head_dim": 128})
    >>> round(latent_decode_s(v3, KvLayout(576, 61), 1, 989.0) * 1e9, 1)  # 2 x 128 x (576 + 512) x 61 operations
    25.6
    """
    heads, _ = _heads(model)
    if model.get("attention") != LATENT or not heads > 0 or not np.isfinite(peak_16bit_tflops):
        return 0.0
    operations = latent_pair_flop(model, layout, context_tokens)
    return operations / (accelerators * LATENT_SHARE * peak_16bit_tflops * 1e3 * GIGA)


def _heads(model: pd.Series) -> tuple[float, float]:
    return float(model.get("attention_heads", np.nan)), float(model.get("head_dim", np.nan))
