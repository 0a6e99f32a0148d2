"""Kernels that a transformer step is made of, as callables with their FLOP and bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

#: Operands are cycled through so many bytes that no cache of the device holds them (50 MB on an H100).
COLD_BYTES = 256 * 2**20
COLD_BYTES_CPU = 64 * 2**20


@dataclass(frozen=True)
class Kernel:
    """A call that runs a kernel `calls` times, and what one run computes and moves."""

    call: Callable[[], object]
    calls: int
    flop: float
    moved_bytes: float


def matrix_product(m: int, n: int, k: int, dtype: torch.dtype, device: torch.device) -> Kernel:
    """C[m, n] = A[m, k] B[n, k]^T with weights B read from memory: 2 m n k FLOP, (m k + n k + m n) elements."""
    size = torch.tensor([], dtype=dtype).element_size()
    cold = COLD_BYTES if device.type == "cuda" else COLD_BYTES_CPU
    copies = max(1, min(64, -(-cold // (n * k * size))))
    left = _random((m, k), dtype, device)
    right = [_random((n, k), dtype, device) for _ in range(copies)]
    if size == 1:
        one = torch.ones((), device=device)

        def call() -> None:
            for weights in right:
                torch._scaled_mm(left, weights.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16)

        return Kernel(call, copies, 2.0 * m * n * k, m * k + n * k + 2.0 * m * n)

    def call() -> None:
        for weights in right:
            functional.linear(left, weights)

    return Kernel(call, copies, 2.0 * m * n * k, size * (m * k + n * k + m * n))


def prefill_attention(
    tokens: int, heads: int, kv_heads: int, width: int, dtype: torch.dtype, device: torch.device
) -> Kernel:
    """Causal attention of one prompt: 4 heads width FLOP for each of tokens (tokens + 1) / 2 pairs."""
    query = _random((1, heads, tokens, width), dtype, device)
    key, value = (_random((1, kv_heads, tokens, width), dtype, device) for _ in range(2))
    moved = query.element_size() * (2 * query.numel() + 2 * key.numel())
    return Kernel(lambda: causal(query, key, value), 1, 4.0 * heads * width * tokens * (tokens + 1) / 2, float(moved))


def decode_attention(
    batch: int,
    context: int,
    heads: int,
    kv_heads: int,
    width: int,
    dtype: torch.dtype,
    device: torch.device,
    attention: str = "grouped",
) -> Kernel:
    """One new token of each sequence against `context` keys: reads 2 batch context kv_heads width elements."""
    size = torch.tensor([], dtype=dtype).element_size()
    cache_bytes = 2 * batch * context * kv_heads * width * size
    cold = COLD_BYTES if device.type == "cuda" else COLD_BYTES_CPU
    copies = max(1, min(64, -(-cold // cache_bytes)))
    query = _random((batch, heads, width), dtype, device)
    caches = [_random((2, batch, kv_heads, context, width), dtype, device) for _ in range(copies)]

    def call() -> None:
        for cache in caches:
            TOKEN_ATTENTION[attention](query, cache[0], cache[1])

    return Kernel(call, copies, 4.0 * batch * context * heads * width, float(cache_bytes))


def memory_copy(elements: int, device: torch.device) -> Kernel:
    """Copy of `elements` 32-bit numbers: read once, written once."""
    source = torch.zeros(elements, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    return Kernel(lambda: target.copy_(source), 1, 0.0, 8.0 * elements)


def memory_read(elements: int, device: torch.device) -> Kernel:
    """Sum of `elements` 32-bit numbers: read once."""
    source = torch.zeros(elements, dtype=torch.float32, device=device)
    return Kernel(lambda: source.sum(), 1, float(elements), 4.0 * elements)


def causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Causal attention over grouped key-value heads; query [b, heads, t, d], key and value [b, kv heads, t, d]."""
    return functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, enable_gqa=query.shape[1] != key.shape[1]
    )


def grouped_token(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention of one token per sequence: the heads that share keys become rows of one product.

    query [b, heads, d]; key, value [b, kv heads, context, d]; returns [b, heads, d].
    """
    batch, heads, width = query.shape
    grouped = query.view(batch, key.shape[1], heads // key.shape[1], width)
    return functional.scaled_dot_product_attention(grouped, key, value).reshape(batch, heads, width)


def split_token(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """As `grouped_token`, by the library's own grouping, which splits long contexts over the device."""
    grouping = query.shape[1] != key.shape[1]
    return functional.scaled_dot_product_attention(query[:, :, None], key, value, enable_gqa=grouping)[:, :, 0]


#: Ways to attend; a measurement takes the faster one, as an engine does.
TOKEN_ATTENTION = {"grouped": grouped_token, "split": split_token}


def _random(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Small random numbers: zeros would draw less power and run at higher clocks."""
    wide = torch.randn(shape, device=device, dtype=torch.float32 if device.type == "cpu" else torch.bfloat16)
    return (wide * 0.05).to(dtype)
