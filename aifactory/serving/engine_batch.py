"""The batch of one replica: who decodes, who waits, what the KV cache holds, who gives way.

All decoding sequences advance together, so one counter of steps per replica and a wheel of finishing
steps replace any work per token; counts of sequences by context modulo block size say how many KV
blocks the next steps take.
"""

from __future__ import annotations

import numpy as np

from aifactory.serving.engine_jit import inline, kernel
from aifactory.serving.engine_prefix import blocks_of, named_blocks, part, reused
from aifactory.serving.engine_state import (
    BATCH,
    BUSY,
    DECODED,
    KV,
    MINUTE_S,
    NEVER,
    NOBODY,
    OVERFLOWED,
    PREFILLED,
    QUEUE,
    SERVED,
    SPILL,
    WHEEL,
)  # fmt: skip


@inline
def account(sim, rep, law, start, length, batch, present, tokens, prefilled):
    """Add a step or leap to the minute table, split where it crosses minutes, up to the horizon."""
    kv = (law.blocks - rep.free) << law.shift
    if start + length < rep.minute_end:
        row = sim.minutes[rep.law, rep.minute]
        row[BUSY] += length
        row[BATCH] += batch * length
        row[KV] += kv * length
        row[QUEUE] += (present - batch) * length
        row[DECODED] += tokens
        row[PREFILLED] += prefilled
        return
    horizon = sim.options[0].horizon_s
    minute, last = int(start / MINUTE_S), int((start + length) / MINUTE_S)
    top = sim.minutes.shape[1] - 1
    rep.minute = min(last, top)
    rep.minute_end = min((rep.minute + 1) * MINUTE_S, horizon)
    for m in range(minute, last + 1):
        part = length if minute == last else min((m + 1) * MINUTE_S, start + length) - max(m * MINUTE_S, start)
        part = max(min(part, horizon - max(m * MINUTE_S, start)), 0.0)
        row = sim.minutes[rep.law, min(m, top)]
        row[BUSY] += part
        row[BATCH] += batch * part
        row[KV] += kv * part
        row[QUEUE] += (present - batch) * part
        row[DECODED] += tokens * (part / length)
        row[PREFILLED] += prefilled * (part / length)


@inline
def close(sim, i, time, status):
    """Finish a request."""
    request = sim.requests[i]
    request.finish_s = time
    request.status = status
    ledger = sim.ledger[0]
    ledger.open -= 1
    ledger.end_s = max(ledger.end_s, time)


@inline
def seat(sim, r, rep, law, i, remaining):
    """Put a sequence on the wheel: it needs `remaining` more steps."""
    request = sim.requests[i]
    request.left = np.int32(rep.tick + remaining)
    context = sim.input_tokens[i] + sim.output_tokens[i] - remaining
    rep.context += context
    rep.running += 1
    sim.residues[r, (context - rep.tick) & law.mask] += 1
    hang(sim, r, rep, i, remaining)


@inline
def hang(sim, r, rep, i, remaining):
    """Link a sequence into the wheel, at its last step or as far as the wheel reaches."""
    key = rep.tick + min(remaining, WHEEL - 1)
    slot = key & (WHEEL - 1)
    sim.requests[i].next = sim.wheel[r, slot]
    sim.wheel[r, slot] = i
    rep.due_tick = min(rep.due_tick, key)


@inline
def give_back(sim, r, rep, law, i, tokens):
    """Free the blocks of a request whose prompt is computed and that holds `tokens`; its prefix may stay idle."""
    if law.prefix_blocks > 0:
        part(sim, r, i, tokens, named_blocks(sim, law, i, np.int64(sim.input_tokens[i])))
    else:
        rep.free += blocks_of(tokens, law)


@inline
def work_of(sim, i, generated):
    """Tokens computed since the last admission of a request with so many tokens of answer, its prompt included."""
    return np.int64(sim.input_tokens[i]) - reused(sim, i) + generated - 1


@inline
def leave(sim, r, rep, law, i):
    """Take a sequence out of the batch: context, blocks, residue; the wheel is the caller's."""
    context = sim.input_tokens[i] + sim.output_tokens[i] - (sim.requests[i].left - rep.tick)
    rep.context -= context
    rep.running -= 1
    give_back(sim, r, rep, law, i, context - 1)
    sim.residues[r, (context - rep.tick) & law.mask] -= 1


@inline
def turn(sim, r, rep):
    """Find the next used slot of the wheel."""
    if rep.running == 0:
        rep.due_tick = NEVER
        return
    tick = rep.tick + 1
    while sim.wheel[r, tick & (WHEEL - 1)] == NOBODY:
        tick += 1
    rep.due_tick = tick


@inline
def settle(sim, r, rep, law):
    """Finish the sequences whose last step this was."""
    slot = rep.tick & (WHEEL - 1)
    i = sim.wheel[r, slot]
    sim.wheel[r, slot] = NOBODY
    status = OVERFLOWED if law.pool == SPILL else SERVED
    while i != NOBODY:
        following = sim.requests[i].next
        remaining = sim.requests[i].left - rep.tick
        if remaining > 0:
            hang(sim, r, rep, i, remaining)
        else:
            leave(sim, r, rep, law, i)
            sim.load[r] -= 1
            close(sim, i, rep.clock, status)
        i = following
    turn(sim, r, rep)


@kernel
def queue_front(sim, r, i):
    """Put a request at the head of its priority's queue."""
    p = sim.priority[i] if sim.heads.shape[1] > 1 else 0
    sim.requests[i].next = sim.heads[r, p]
    sim.heads[r, p] = i
    if sim.tails[r, p] == NOBODY:
        sim.tails[r, p] = i
    sim.replicas[r].waiting += 1
    sim.replicas[r].queued += sim.input_tokens[i]


@inline
def queue_back(sim, r, i):
    """Put a request at the tail of its priority's queue."""
    p = sim.priority[i] if sim.heads.shape[1] > 1 else 0
    sim.requests[i].next = NOBODY
    if sim.tails[r, p] == NOBODY:
        sim.heads[r, p] = i
    else:
        sim.requests[sim.tails[r, p]].next = i
    sim.tails[r, p] = i
    sim.replicas[r].waiting += 1
    sim.replicas[r].queued += sim.input_tokens[i]


@kernel
def later(sim, i, j):
    """Whether request i gives way before j: lower priority, then later arrival."""
    if j == NOBODY:
        return True
    if sim.heads.shape[1] > 1 and sim.priority[i] != sim.priority[j]:
        return sim.priority[i] > sim.priority[j]
    return i > j


@kernel
def drop_partial(sim, r):
    """Give back the blocks of the prompt in progress; returns the tokens computed for nothing."""
    rep = sim.replicas[r]
    law = sim.laws[rep.law]
    i = rep.partial
    rep.partial = NOBODY
    request = sim.requests[i]
    tokens = np.int64(sim.input_tokens[i]) + request.generated
    if law.prefix_blocks > 0:
        part(sim, r, i, tokens, np.int64(sim.hits[i]))
    else:
        rep.free += blocks_of(tokens, law)
    return tokens - reused(sim, i) - request.left


@kernel
def preempt(sim, r):
    """Send the last sequence of the lowest priority back to the queue; its tokens are computed again."""
    rep = sim.replicas[r]
    victim, before = NOBODY, NOBODY
    for slot in range(WHEEL):
        previous, i = NOBODY, sim.wheel[r, slot]
        while i != NOBODY:
            if later(sim, i, victim):
                victim, before = i, previous
            previous, i = i, sim.requests[i].next
    rep.preempted += 1
    if rep.partial != NOBODY and later(sim, rep.partial, victim):
        victim = rep.partial
        sim.ledger[0].preempted_tokens += drop_partial(sim, r)
    else:
        remaining = sim.requests[victim].left - rep.tick
        sim.ledger[0].preempted_tokens += work_of(sim, victim, sim.output_tokens[victim] - remaining)
        if before == NOBODY:
            for slot in range(WHEEL):
                if sim.wheel[r, slot] == victim:
                    sim.wheel[r, slot] = sim.requests[victim].next
        else:
            sim.requests[before].next = sim.requests[victim].next
        leave(sim, r, rep, sim.laws[rep.law], victim)
        sim.requests[victim].generated = np.int32(sim.output_tokens[victim] - remaining)
        turn(sim, r, rep)
    sim.requests[victim].left = 0
    queue_front(sim, r, victim)


@inline
def make_room(sim, r, rep, law):
    """Blocks the decoding sequences need in the coming step; sequences give way until they fit."""
    need = sim.residues[r, (1 - rep.tick) & law.mask]
    while need > rep.free:
        preempt(sim, r)
        need = sim.residues[r, (1 - rep.tick) & law.mask]
    rep.free -= need
