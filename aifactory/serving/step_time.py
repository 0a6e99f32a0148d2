"""Time of one engine step, as a closed-form law that the event simulator reads.

A step of continuous batching processes T new tokens of B sequences. Its kernels run one after the
other: the matrix products over all T tokens, attention of each prompt chunk over what precedes it,
attention of each decoding sequence over its own context. So the parts add up:

    t = smoothmax(compute, weights) + link T + sequence B + context C + pair A + fixed

with compute = s_per_token x T rounded up to tiles, weights = time to read the weights that T tokens
touch, C = context tokens read by the decoding sequences and A = query-key pairs of the prompt chunks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError


@dataclass(frozen=True)
class StepTime:
    """Parameters of one replica (all its accelerators together); seconds, tokens, watts.

    Attributes
    ----------
    s_per_token : matrix products, per token of the batch, at full compute.
    s_weights : reading the weights that every step reads (dense models: all of them).
    s_experts : reading all experts of a mixture; a step of T tokens reads the share
        1 - (1 - expert_share)^T of them.
    expert_share : experts per token over all experts, 0 to 1.
    knee : exponent p of the smooth maximum (compute^p + weights^p)^(1/p); large means a sharp knee.
    tile_tokens : tokens of a step are rounded up to this for compute.
    s_per_link_token : collectives between the accelerators, per token.
    s_per_sequence : per sequence in the batch (sampling, detokenising).
    s_per_kv_token : decode attention, per token of context read.
    s_per_attention_pair : prompt attention, per query-key pair.
    s_per_step : launch, scheduling and collective latency, per step.
    s_per_transfer_token : moving the KV cache of one prompt token to a decode pool.
    s_per_request : latency of a request outside the steps (client, tokenizer, waking the engine): added to its times,
        occupies nothing.
    kv_capacity_tokens : tokens of KV cache that fit beside the weights.
    block_tokens : tokens of a KV block.
    max_batch : sequences at most in a batch.
    chunk_tokens : tokens at most in a step, decodes and prompt chunks together.
    accelerators : accelerators of the replica (tensor parallel degree).
    idle_w, busy_w : power of the replica without and with a step running; NaN where unknown.
    tier : how the parameters came about.
    """

    s_per_token: float
    s_weights: float
    s_per_kv_token: float
    s_per_attention_pair: float
    s_per_step: float
    kv_capacity_tokens: int
    s_experts: float = 0.0
    expert_share: float = 0.0
    knee: float = 6.0
    tile_tokens: int = 1
    s_per_link_token: float = 0.0
    s_per_sequence: float = 0.0
    s_per_transfer_token: float = 0.0
    s_per_request: float = 0.0
    block_tokens: int = 16
    max_batch: int = 256
    chunk_tokens: int = 2048
    accelerators: int = 1
    idle_w: float = np.nan
    busy_w: float = np.nan
    tier: str = "given"

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in {"idle_w", "busy_w", "tier"}:
                continue
            least = 1 if item.name in _COUNTS else 0
            if not np.isfinite(value) or value < least:
                raise InputError.at("step time", f"must be a number of at least {least}", column=item.name, value=value)
        if self.knee < 1 or self.expert_share > 1:
            raise InputError.at("step time", "knee must be at least 1 and expert_share at most 1")
        if self.linear_s(1) <= 0:
            raise InputError.at("step time", "a step of one token must take time")

    def linear_s(self, tokens: ArrayLike) -> np.ndarray:
        """Part of the step time that depends on the tokens of the batch alone; 0 tokens take s_per_step.

        >>> law = StepTime(1e-4, 8e-3, 5e-8, 1e-10, 1e-3, 400_000, knee=2.0)
        >>> [round(float(x), 6) for x in law.linear_s([1, 60])]
        [0.009001, 0.011]
        """
        count = np.asarray(tokens, dtype=float)
        compute = self.s_per_token * np.ceil(count / self.tile_tokens) * self.tile_tokens
        weights = self.s_weights + self.s_experts * -np.expm1(count * _log1m(self.expert_share))
        high, low = np.maximum(compute, weights), np.minimum(compute, weights)
        ratio = np.divide(low, high, out=np.zeros_like(high), where=high > 0)
        return high * (1 + ratio**self.knee) ** (1 / self.knee) + self.s_per_link_token * count + self.s_per_step

    def step_s(
        self, tokens: ArrayLike, sequences: ArrayLike, context: ArrayLike = 0.0, pairs: ArrayLike = 0.0
    ) -> np.ndarray:
        """Time of a step: `tokens` of `sequences`, decodes reading `context` tokens, chunks of `pairs`.

        >>> law = StepTime(1e-4, 8e-3, 5e-8, 1e-10, 1e-3, 400_000, knee=2.0)
        >>> round(float(law.step_s(60, 4, 20_000, 1e6)), 6)
        0.0121
        """
        return (
            self.linear_s(tokens)
            + self.s_per_sequence * np.asarray(sequences, dtype=float)
            + self.s_per_kv_token * np.asarray(context, dtype=float)
            + self.s_per_attention_pair * np.asarray(pairs, dtype=float)
        )

    def floor_ttft_s(self, input_tokens: int) -> float:
        """Time to first token of a lone request: its prompt in chunks on an idle replica."""
        full, rest = divmod(int(input_tokens), self.chunk_tokens)
        pairs = input_tokens * (input_tokens + 1) / 2
        linear = full * self.linear_s(self.chunk_tokens) + (self.linear_s(rest) if rest else 0.0)
        steps = linear + self.s_per_sequence * (full + bool(rest)) + self.s_per_attention_pair * pairs
        return float(steps + self.s_per_request)

    def floor_tpot_s(self, context_tokens: float = 1.0) -> float:
        """Time per output token of a lone request with so much context."""
        return float(self.step_s(1, 1, context_tokens))

    def slower(self, factor: float) -> StepTime:
        """The same replica with every time multiplied.

        >>> StepTime(1e-4, 8e-3, 5e-8, 1e-10, 1e-3, 400_000).slower(2.0).s_per_step
        0.002
        """
        times = {item.name: factor * getattr(self, item.name) for item in fields(self) if item.name.startswith("s_")}
        return replace(self, **times)


_COUNTS = {"kv_capacity_tokens", "tile_tokens", "block_tokens", "max_batch", "chunk_tokens", "accelerators"}


def _log1m(share: float) -> float:
    """log(1 - share), finite at 1."""
    return float(np.log1p(-min(share, 1 - 1e-15)))
