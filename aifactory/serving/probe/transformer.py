"""A transformer with random weights: the time of one engine step without an engine.

Layer: RMS norm, fused query-key-value product, rotary position, attention over grouped key-value heads,
output product, RMS norm, gated feed-forward: one, or of a mixture the experts that a router scores highest, as grouped
products over the tokens in order of their experts. Then the last norm and the vocabulary product of one token
per sequence. Weights and caches of every layer are memory of their own, so that nothing is read from a cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from aifactory.serving.probe.kernels import TOKEN_ATTENTION, causal
from aifactory.serving.probe.points import Architecture

ROTARY_BASE = 500_000.0
#: How far the embedding of a token outweighs what layers add to it: routers then deal the tokens of a prompt evenly, as trained
#: ones do; without it attention makes them alike and they all take the same experts.
OWN_SHARE = 1000.0


@dataclass(frozen=True)
class StepPoint:
    """One step: `batch` decodes of `context` tokens each, and a chunk of `chunk` prompt tokens after `past`."""

    batch: int = 0
    context: int = 0
    chunk: int = 0


class RandomTransformer:
    """Random weights of an architecture on a device.

    `fused` compiles the elementwise parts (norm, rotation, gate) into one kernel each, as engines write them by hand.
    """

    def __init__(self, sizes: Architecture, dtype: torch.dtype, device: torch.device, *, fused: bool = False) -> None:
        self.sizes, self.dtype, self.device = sizes, dtype, device
        heads_width = sizes.heads * sizes.head_width
        self.query_key_value = self._each_layer(heads_width + 2 * sizes.kv_heads * sizes.head_width, sizes.hidden)
        self.output = self._each_layer(sizes.hidden, heads_width)
        each = (sizes.experts,) if sizes.experts else ()
        self.gate_up = self._each_layer(*each, 2 * sizes.feed_forward, sizes.hidden)
        self.down = self._each_layer(*each, sizes.hidden, sizes.feed_forward)
        self.router = self._each_layer(sizes.experts, sizes.hidden) if each else []
        self.gain = torch.ones(sizes.hidden, dtype=dtype, device=device)
        self.embedding, self.unembedding = (self._random(sizes.vocabulary, sizes.hidden) for _ in range(2))
        self.embedding.mul_(OWN_SHARE)
        parts = (_add_norm, _rotate, _gate)
        self.add_norm, self.rotate, self.gate = (
            (torch.compile(part, dynamic=True) for part in parts) if fused else parts
        )

    def caches(self, point: StepPoint) -> list[torch.Tensor]:
        """Keys and values of the decoding sequences, one tensor [2, batch, kv heads, context, width] a layer."""
        return self._each_layer(2, point.batch, self.sizes.kv_heads, point.context, self.sizes.head_width)

    @torch.no_grad()
    def step(
        self, tokens: torch.Tensor, caches: list[torch.Tensor], point: StepPoint, attention: str = "grouped"
    ) -> torch.Tensor:
        """Next token of each decoding sequence and of the chunk; `tokens` [batch + chunk], decodes first.

        The last place of each cache is written by the step; `attention` is a key of `TOKEN_ATTENTION`.
        """
        stream = functional.embedding(tokens, self.embedding)
        stream, normal = self.add_norm(stream, torch.zeros_like(stream), self.gain)
        cosine, sine = self._turns(point)
        for layer in range(self.sizes.layers):
            attended = self._attend(normal, layer, caches, (cosine, sine), point, attention)
            stream, normal = self.add_norm(stream, functional.linear(attended, self.output[layer]), self.gain)
            stream, normal = self.add_norm(stream, self._feed_forward(normal, layer), self.gain)
        final = torch.cat([normal[: point.batch], normal[-1:]]) if point.chunk else normal
        return functional.linear(final, self.unembedding).argmax(dim=-1)

    def _feed_forward(self, normal: torch.Tensor, layer: int) -> torch.Tensor:
        """The gated product of every token, or those of its experts, weighted by the router."""
        if not self.router:
            return functional.linear(self.gate(functional.linear(normal, self.gate_up[layer])), self.down[layer])
        many = self.sizes.experts_per_token
        scores, chosen = functional.linear(normal, self.router[layer]).topk(many, dim=-1)
        expert, order = chosen.flatten().sort()
        places = torch.arange(self.sizes.experts, device=self.device)
        ends = torch.searchsorted(expert, places, right=True).to(torch.int32)
        inner = self.gate(_grouped(normal[order // many], self.gate_up[layer], ends))
        found = torch.empty_like(normal).repeat(many, 1)
        found[order] = _grouped(inner, self.down[layer], ends)
        return (found.view(len(normal), many, -1) * scores.softmax(dim=-1)[..., None]).sum(dim=1)

    def _attend(
        self,
        normal: torch.Tensor,
        layer: int,
        caches: list[torch.Tensor],
        turns: tuple[torch.Tensor, torch.Tensor],
        point: StepPoint,
        attention: str,
    ) -> torch.Tensor:
        s, n = self.sizes, point.batch
        joint = functional.linear(normal, self.query_key_value[layer]).view(len(normal), -1, s.head_width)
        turned = self.rotate(joint[:, : s.heads + s.kv_heads], *turns)
        query, key, value = turned[:, : s.heads], turned[:, s.heads :], joint[:, s.heads + s.kv_heads :]
        parts = []
        if n:
            keys, values = caches[layer]
            keys[:, :, -1], values[:, :, -1] = key[:n], value[:n]
            parts.append(TOKEN_ATTENTION[attention](query[:n], keys, values))
        if point.chunk:
            prompt = causal(*(part[n:].transpose(0, 1)[None] for part in (query, key, value)))
            parts.append(prompt[0].transpose(0, 1))
        return torch.cat(parts).reshape(len(normal), -1)

    def _turns(self, point: StepPoint) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosine and sine of the rotary angles, each [tokens, 1, width / 2]."""
        half = self.sizes.head_width // 2
        decoding = torch.full((point.batch,), max(point.context - 1, 0), device=self.device)
        place = torch.cat([decoding, torch.arange(point.chunk, device=self.device)])
        angle = place[:, None].float() * ROTARY_BASE ** (-torch.arange(half, device=self.device) / half)
        return angle.cos()[:, None].to(self.dtype), angle.sin()[:, None].to(self.dtype)

    def _each_layer(self, *shape: int) -> list[torch.Tensor]:
        return [self._random(*shape) for _ in range(self.sizes.layers)]

    def _random(self, *shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=self.dtype, device=self.device).normal_(0, 0.02)


def _grouped(rows: torch.Tensor, weights: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Rows [tokens, in], in order of their experts, times the weights [experts, out, in] of each; `ends` [experts] of its rows."""
    return functional.grouped_mm(rows, weights.transpose(1, 2), offs=ends)


def _add_norm(stream: torch.Tensor, update: torch.Tensor, gain: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Residual sum and its RMS norm."""
    total = stream + update
    return total, functional.rms_norm(total, (total.shape[-1],), gain, 1e-5)


def _rotate(heads: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Rotary position of heads [tokens, heads, width]."""
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def _gate(joint: torch.Tensor) -> torch.Tensor:
    """SiLU of the first half times the second."""
    gate, up = joint.chunk(2, dim=-1)
    return functional.silu(gate) * up
