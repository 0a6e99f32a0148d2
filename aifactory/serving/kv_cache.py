"""Bytes of KV cache by attention type: grouped heads, a latent, windows, layers with a constant state.

    values of a layer and token = 2 KV heads x head width   (mha, gqa, mqa; keys and values)
                                = latent + rotary key       (mla; with selection also an index key of its own bytes)
    bytes of a context of c tokens = bytes per value x values x (full c + windowed min(c, window))

Full layers keep every token; windowed ones (attention `sliding`) at most their window; the others of a
`hybrid` keep a state of constant size that is not counted here. A latent cache whose steps select tokens (DeepSeek-V3.2,
GLM-5) keeps all of them and an index key each, reads all index keys and of the rest what is selected. Sources: Shazeer arXiv 1911.02150 (mqa), Ainslie
et al. arXiv 2305.13245 (gqa), DeepSeek-V2 arXiv 2405.04434 (mla).

Accelerators that share a model by tensor parallelism deal out its KV heads, whole ones: beyond as many accelerators as
heads each head lies on several, and a latent cache on every one (`KvLayout.copies`). Accelerators that attend to
sequences of their own (attention data parallelism) keep no copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.units import GIGA

GROUPED, LATENT, WINDOWED, STATEFUL = ("mha", "gqa", "mqa"), "mla", "sliding", "hybrid"
BYTES_16BIT = 2.0
#: Share of the memory an engine fills, as vLLM's default gpu_memory_utilization.
MEMORY_SHARE = 0.9
#: A KV pool smaller than this many tokens serves no realistic prompt.
LEAST_KV_TOKENS = 4096
#: Bytes of an index key by token and layer: 128 values of 8 bits and a scale of 32 (DeepSeek-V3.2, vLLM's indexer cache).
INDEX_BYTES, INDEX_WIDTH = 132.0, 128
#: Tokens of a step, and vectors kept per token, shared out and on every accelerator.
STEP_TOKENS, SPLIT_VECTORS, COPIED_VECTORS = 2048, 12, 2


@dataclass(frozen=True)
class KvLayout:
    """What one sequence keeps: layers that keep all tokens, layers that keep a window, values of each.

    Attributes
    ----------
    values : numbers kept per token and layer.
    full_layers, window_layers : layers of either kind.
    window_tokens : tokens that the windowed layers keep.
    heads : parts that accelerators can share the cache by: KV heads, 1 of a latent; infinite where not known.
    selected_tokens : tokens of a context that a step reads at most, found by an index of `index_bytes` a token and layer.
    """

    values: float
    full_layers: float
    window_layers: float = 0.0
    window_tokens: float = np.inf
    heads: float = np.inf
    selected_tokens: float = np.inf
    index_bytes: float = 0.0

    def bytes_of(self, context_tokens: ArrayLike, bytes_per_value: float = BYTES_16BIT) -> np.ndarray:
        """KV bytes of one sequence with so much context; shape as given.

        >>> float(KvLayout(2 * 8 * 128, 80).bytes_of(1)) / 1024  # Llama-3.1-70B, 16 bits, KiB
        320.0
        >>> float(KvLayout(576, 61).bytes_of(1))  # DeepSeek-V3
        70272.0
        """
        tokens = np.asarray(context_tokens, dtype=float)
        kept = self.full_layers * tokens
        if self.window_layers:
            kept = kept + self.window_layers * np.minimum(tokens, self.window_tokens)
        return bytes_per_value * self.values * kept + self.index_bytes * self.full_layers * tokens

    def bytes_per_token(self, context_tokens: float = 0.0, bytes_per_value: float = BYTES_16BIT) -> float:
        """Bytes per token of sequences whose mean context is given, B(c) / c; 0: no window helps.

        B is concave, so sequences of mean context c never keep more than B(c) each on average (Jensen): a
        pool divided by this figure is never overrun by sequences that are at least as long on average.

        >>> KvLayout(1024, 18, 18, 128).bytes_per_token(), KvLayout(1024, 18, 18, 128).bytes_per_token(1280)
        (73728.0, 40550.4)
        """
        context = max(float(context_tokens), 1.0)
        return float(self.bytes_of(context, bytes_per_value)) / context

    def read_per_token(self, context_tokens: float = 0.0, bytes_per_value: float = BYTES_16BIT) -> float:
        """Bytes that a step reads per token of such a context; 0: no window and no selection helps.

        >>> sparse = KvLayout(576, 61, selected_tokens=2048, index_bytes=132)
        >>> sparse.bytes_per_token(8192, 1.0) / 61, sparse.read_per_token(8192, 1.0) / 61
        (708.0, 276.0)
        """
        unread = max(1 - self.selected_tokens / max(float(context_tokens), 1.0), 0.0)
        return (
            self.bytes_per_token(context_tokens, bytes_per_value)
            - unread * bytes_per_value * self.values * self.full_layers
        )

    def copies(self, accelerators: int, attention_ranks: int = 1) -> float:
        """How often the cache of a sequence is kept: t ceil(h / t) / h over t accelerators with h heads, 1 at least.

        Parameters
        ----------
        attention_ranks : groups of the accelerators that attend to sequences of their own.

        >>> grouped, latent = KvLayout(2 * 4 * 128, 48, heads=4), KvLayout(576, 61, heads=1)
        >>> grouped.copies(4), grouped.copies(8), latent.copies(8), latent.copies(8, 8)
        (1.0, 2.0, 8.0, 1.0)
        """
        each = accelerators / attention_ranks
        return float(each * np.ceil(self.heads / each) / self.heads) if np.isfinite(self.heads) else 1.0


def kv_layout(model: pd.Series) -> KvLayout | None:
    """Layout of a row of the models table; None where its attention is not described.

    `kv_bytes_per_token_bf16` alone describes a model whose layers all keep everything.
    """
    kind = model.get("attention", "")
    layers, full = _number(model, "layers"), _number(model, "full_attention_layers")
    full = layers if np.isnan(full) else full
    if kind == LATENT:
        values = _number(model, "kv_latent_dim")
    else:
        values = 2 * _number(model, "kv_heads") * _number(model, "head_dim")
    windowed, window = (layers - full, _number(model, "window_tokens")) if kind == WINDOWED else (0.0, np.inf)
    heads = 1.0 if kind == LATENT else _number(model, "kv_heads")
    heads = heads if heads > 0 else np.inf
    selected = _number(model, "window_tokens") if kind == LATENT else np.inf
    picked = (selected, INDEX_BYTES) if 0 < selected < np.inf else (np.inf, 0.0)
    known = np.isfinite(values) and full >= 0 and windowed >= 0 and window > 0
    if kind in (*GROUPED, LATENT, WINDOWED, STATEFUL) and known:
        return KvLayout(values, full, windowed, window, heads, *picked)
    stated = _number(model, "kv_bytes_per_token_bf16")
    return KvLayout(stated / BYTES_16BIT, 1.0, heads=heads) if stated > 0 else None


def _number(model: pd.Series, name: str) -> float:
    return float(model.get(name, np.nan))


def kv_tokens(weight_bytes: float, kv_bytes: float, memory_gb: float, degree: int) -> int:
    """Tokens of KV cache beside the weights in 90 % of the memory; negative where the weights do not fit.

    `kv_bytes` of a token are those on all accelerators, copies included.

    >>> kv_tokens(16.06e9, 131072, 80.0, 1)
    426788
    """
    return int((MEMORY_SHARE * memory_gb * GIGA * degree - weight_bytes) // kv_bytes)


def sequences_that_fit(
    layout: KvLayout, context_tokens: float, weight_bytes: float, memory_gb: float, degree: int,
    bytes_per_value: float = BYTES_16BIT,
) -> int:  # fmt: skip
    """Sequences of so much context that fit at a time beside the weights; 0 where none does.

    >>> sequences_that_fit(KvLayout(2 * 8 * 128, 80), 8192, 141.1e9, 80.0, 4)
    54
    """
    room = MEMORY_SHARE * memory_gb * GIGA * degree - weight_bytes
    return max(int(room // float(layout.bytes_of(context_tokens, bytes_per_value))), 0)


@dataclass(frozen=True)
class MemoryNeed:
    """Least memory that serves a model, in GB: weights, KV cache of `context_tokens`, activations of a step.

    Parts that are not known are 0, so the total is a lower bound; NaN where the weights are unknown.
    """

    weights_gb: float
    kv_gb: float
    activation_gb: float
    context_tokens: float

    @property
    def total_gb(self) -> float:
        """All three."""
        return self.weights_gb + self.kv_gb + self.activation_gb

    def fits(self, memory_gb: float, accelerators: int) -> bool:
        """Whether it fills at most 90 % of the memory of so many accelerators; unknown sizes fit."""
        known = np.isfinite(self.total_gb) and np.isfinite(memory_gb)
        return not known or self.total_gb <= MEMORY_SHARE * memory_gb * accelerators

    def __str__(self) -> str:
        parts = [f"weights of {self.weights_gb:,.3g} GB"]
        if self.kv_gb:
            parts.append(f"{self.kv_gb:,.2g} GB of KV cache for {self.context_tokens:,.0f} tokens")
        if self.activation_gb:
            parts.append(f"{self.activation_gb:,.2g} GB of activations")
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def memory_need(
    model: pd.Series, weight_bytes: float, accelerators: int, context_tokens: float = 0.0, sequences: int = 1
) -> MemoryNeed:
    """Least memory for a row of the models table whose weights take so many bytes each.

    The KV cache holds `sequences` of `context_tokens`, no less than 4,096 tokens in all, at 8 bits a value
    where weights have 8 or fewer, else 16, as often as the accelerators must keep it (`KvLayout.copies`). A step of 2,048 tokens keeps 12 hidden vectors of 16 bits
    a token (queries, keys, values, both gates of the feed-forward part and their product, split over the
    accelerators) and on every accelerator 2 more (residual and norm): an assumption of this model that
    agrees with what engines set aside within a factor of two.

    >>> llama = pd.Series({"params_total_b": 70.6, "attention": "gqa", "layers": 80, "kv_heads": 8, "head_dim": 128,
    ...     "hidden_size": 8192})
    >>> need = memory_need(llama, 2.0, 8, 8192)
    >>> round(need.weights_gb, 1), round(need.kv_gb, 2), round(need.activation_gb, 2)
    (141.2, 2.68, 0.94)
    >>> need.fits(80.0, 8), memory_need(llama, 2.0, 1, 8192).fits(141.0, 1)
    (True, False)
    """
    layout, hidden = kv_layout(model), _number(model, "hidden_size")
    context = max(float(np.nan_to_num(context_tokens)), LEAST_KV_TOKENS / sequences)
    kv = 0.0
    if layout is not None:
        kv = sequences * float(layout.bytes_of(context, 1.0 if weight_bytes <= 1 else BYTES_16BIT))
        kv *= layout.copies(accelerators)
    vectors = SPLIT_VECTORS + COPIED_VECTORS * accelerators
    activation = STEP_TOKENS * vectors * hidden * BYTES_16BIT if hidden > 0 else 0.0
    weights = _number(model, "params_total_b") * weight_bytes
    return MemoryNeed(weights, kv / GIGA, activation / GIGA, sequences * context)


def layout_needed(model: pd.Series) -> KvLayout:
    """Layout of a model that is to be served; InputError where it cannot be told."""
    layout = kv_layout(model)
    if layout is None:
        raise InputError(
            f"{model['model']}: kv_bytes_per_token_bf16 and the layout of its attention are unknown; it cannot be "
            "simulated, benchmark first"
        )
    return layout
