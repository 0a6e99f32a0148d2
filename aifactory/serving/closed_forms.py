"""Closed forms of queueing and of continuous batching: cross-checks of the simulator and its fast path.

Queues: Erlang B and C, M/M/c, M/D/1, Allen-Cunneen (any textbook of queueing). Batching: the fluid limit of a
work-conserving mixed batch (Li, Dai, Peng, arXiv 2504.07347) and the KV-memory stability threshold (Nie, Si,
Zhou, arXiv 2605.04595).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aifactory.serving.fleet import RequestStream
from aifactory.serving.step_time import StepTime


def erlang_b(servers: int, load: float) -> float:
    """Share of the requests that find all servers of M/G/c/c busy, where nobody waits (Erlang's loss formula).

    >>> erlang_b(1, 1.0), round(erlang_b(10, 8.0), 4)
    (0.5, 0.1217)
    """
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Probability of waiting in M/M/c at a load of `load` Erlang (arrival rate x service time).

    >>> round(erlang_c(1, 0.5), 6), round(erlang_c(2, 1.0), 6)
    (0.5, 0.333333)
    """
    if not 0 <= load < servers:
        return 1.0
    blocked = erlang_b(servers, load)
    return blocked / (1 - load / servers * (1 - blocked))


def mmc_wait_s(rate: float, service_s: float, servers: int = 1) -> float:
    """Mean wait in M/M/c, C / (c mu - lambda); infinite at or beyond saturation.

    >>> mmc_wait_s(0.5, 1.0)
    1.0
    """
    spare = servers / service_s - rate
    return erlang_c(servers, rate * service_s) / spare if spare > 0 else np.inf


def md1_wait_s(rate: float, service_s: float) -> float:
    """Mean wait in M/D/1, rho S / (2 (1 - rho)): half of M/M/1.

    >>> md1_wait_s(0.5, 1.0)
    0.5
    """
    load = rate * service_s
    return load * service_s / (2 * (1 - load)) if load < 1 else np.inf


def allen_cunneen_wait_s(
    rate: float, service_s: float, servers: int, arrival_cv2: float = 1.0, service_cv2: float = 1.0
) -> float:
    """Mean wait in G/G/c: M/M/c times half the sum of the squared variations; exact for M/G/1.

    >>> allen_cunneen_wait_s(0.5, 1.0, 1, 1.0, 0.0)
    0.5
    """
    return mmc_wait_s(rate, service_s, servers) * (arrival_cv2 + service_cv2) / 2


@dataclass(frozen=True)
class Capacity:
    """Largest stable request rate of one replica, its batch there, and what binds.

    `binds`: memory (KV cache), tokens (token budget of a step), sequences (batch limit).
    """

    requests_per_s: float
    batch: float
    step_s: float
    binds: str


@dataclass(frozen=True)
class _Mix:
    """Means of a stream that the fluid limit needs."""

    fresh: np.ndarray
    prompt: float
    decode: float
    pairs: float
    context: float

    @classmethod
    def of(cls, requests: RequestStream) -> _Mix:
        cached = requests.cached_tokens if requests.cached_tokens.size else np.zeros(len(requests))
        fresh = (requests.input_tokens - cached).astype(float)
        steps = (requests.output_tokens - 1).astype(float)
        total = max(float(steps.sum()), 1.0)
        return cls(
            fresh, float(fresh.mean()), float(steps.mean()), float((fresh * (cached + (fresh + 1) / 2)).mean()),
            float((steps * (requests.input_tokens + (steps + 1) / 2)).sum()) / total,
        )  # fmt: skip


def fluid_capacity(law: StepTime, requests: RequestStream, watermark: float = 0.01) -> Capacity:
    """Saturation throughput of one replica for the mix of lengths of a stream.

    Backlogged, the batch grows until something is full. Where it is the token budget, every step carries n
    decodes and the prompts of n / D new requests, n = budget / (1 + P / D) for P mean prompt tokens to
    compute and D mean decode steps: the rate is n / (D t). Where KV cache or batch limit come first, a
    request costs its share of plain decode steps and what its chunks lengthen the steps they ride on:
    the rate is 1 / (D t(n) / n + E[sum over chunks of t(n + chunk) - t(n)]). Work that preemption repeats is
    left out, so the figure is an upper bound where memory binds.
    """
    mix = _Mix.of(requests)
    prompt, decode = mix.prompt, mix.decode
    if decode == 0:
        share = law.chunk_tokens / prompt
        time = float(law.step_s(law.chunk_tokens, share, 0.0, mix.pairs * share))
        return Capacity(share / time, 0.0, time, "tokens")
    held = mix.context + (law.block_tokens - 1) / 2
    memory = law.kv_capacity_tokens * (1 - watermark) / held
    budget = law.chunk_tokens / (1 + prompt / decode)
    rides = float(np.ceil(mix.fresh / max(law.chunk_tokens - min(law.max_batch, budget), 1.0)).mean())
    limits = {
        "tokens": budget,
        "sequences": law.max_batch / (1 + rides / decode),
        "memory": memory / (1 + rides / decode),
    }
    binds = min(limits, key=limits.get)
    batch = max(limits[binds], 1.0)
    if binds == "tokens":
        new = batch / decode
        time = float(law.step_s(batch + new * prompt, batch + new, batch * mix.context, new * mix.pairs))
        return Capacity(new / time, batch, time, binds)
    plain = float(law.step_s(batch, batch, batch * mix.context))
    room = law.chunk_tokens - batch
    full, rest = np.divmod(mix.fresh, room)
    alone = law.linear_s(batch)
    longer = full * (law.linear_s(law.chunk_tokens) - alone) + (law.linear_s(batch + rest) - alone)
    prompt_s = float(longer.mean()) + rides * law.s_per_sequence + law.s_per_attention_pair * mix.pairs
    rate = 1 / (decode / batch * plain + prompt_s)
    return Capacity(rate, batch, batch / (rate * decode), binds)


def kv_threshold_per_s(law: StepTime, requests: RequestStream, step_s: float) -> float:
    """KV-memory stability threshold M / (b E[g]): KV tokens over step time and token-steps of a request.

    g = sum over the decode steps of the context held, so the threshold is the rate at which the memory is
    full on average; prompts in progress are left out.
    """
    steps = (requests.output_tokens - 1).astype(float)
    token_steps = float((steps * (requests.input_tokens + (steps + 1) / 2)).mean())
    return law.kv_capacity_tokens / (step_s * token_steps) if token_steps > 0 else np.inf
