"""One replica of the event simulator: continuous batching with chunked prefill, in steps or leaps.

A step gives one token to every decoding sequence first, then fills what is left of its token budget with
prompt chunks: the request in progress, then waiting ones by priority and arrival (Sarathi scheduling).
Between two changes of the batch the time of a step grows linearly with the context, so a run of steps
is an arithmetic series, taken at once: a leap.
"""

from __future__ import annotations

import numpy as np

from aifactory.serving.engine_batch import (
    account,
    close,
    give_back,
    make_room,
    seat,
    settle,
)  # fmt: skip
from aifactory.serving.engine_events import push
from aifactory.serving.engine_jit import inline, kernel
from aifactory.serving.engine_prefix import (
    blocks_of,
    keep,
    look_up,
    names_prompts,
    reused,
    share,
    trim,
)  # fmt: skip
from aifactory.serving.engine_state import (
    CLOSED,
    E_HANDOFF,
    KIND_SHIFT,
    MOVING,
    NOBODY,
    OVERFLOWED,
    READY,
    ROUND_ROBIN,
    SERVED,
    SPILL,
    TRY_SHIFT,
)  # fmt: skip


@inline
def first_waiting(sim, r):
    """Priority and number of the request that is next; the queue is not empty."""
    p = 0
    while sim.heads[r, p] == NOBODY:
        p += 1
    return p, sim.heads[r, p]


@inline
def admit(sim, r, rep, p, i, blocks):
    """Take the head of queue p into the batch and give it its blocks."""
    request = sim.requests[i]
    sim.heads[r, p] = request.next
    if request.next == NOBODY:
        sim.tails[r, p] = NOBODY
    rep.waiting -= 1
    rep.queued -= sim.input_tokens[i]
    rep.free -= blocks
    if request.start_s < 0.0:
        request.start_s = rep.clock


@inline
def pairs_of(done, piece):
    """Query-key pairs of a chunk of `piece` tokens after `done` tokens."""
    return piece * (done + 0.5 * (piece + 1))


@kernel
def seat_moved(sim, r, rep, law):
    """Seat the waiting requests at the head of the queue whose KV cache was moved here."""
    while rep.waiting > 0 and rep.running < law.max_batch:
        p, i = first_waiting(sim, r)
        blocks = blocks_of(sim.input_tokens[i] + 1, law)
        if sim.requests[i].left != READY or rep.free - blocks < law.watermark:
            return
        admit(sim, r, rep, p, i, blocks)
        seat(sim, r, rep, law, i, sim.output_tokens[i] - 1)


@kernel
def admit_named(sim, r, p, i, blocks):
    """Admit the head of queue p if its blocks leave the watermark free; prefix blocks in use cost nothing."""
    rep = sim.replicas[r]
    law = sim.laws[rep.law]
    hits, idle = np.int64(0), np.int64(0)
    if law.prefix_blocks > 0:
        trim(sim, r)
        hits, idle = look_up(sim, r, i)
    if rep.free - blocks + (hits - idle) * law.prefix_blocks < law.watermark:
        return False
    admit(sim, r, rep, p, i, blocks)
    sim.hits[i] = hits
    if hits > 0:
        share(sim, r, i, hits)
    return True


@kernel
def left_waiting(sim, r, new):
    """Requests that still wait once the next step of a replica has begun, if request `new` joins its queue.

    Those for which that step has no seat, KV blocks or tokens left; what prompts by name could share is not counted.
    """
    rep = sim.replicas[r]
    law = sim.laws[rep.law]
    free = rep.free - sim.residues[r, (1 - rep.tick) & law.mask]
    budget, seats = law.chunk - rep.running, law.max_batch - rep.running
    if rep.partial != NOBODY:
        budget -= sim.requests[rep.partial].left
        seats -= 1
    left, mine = rep.waiting + 1, sim.priority[new] if sim.heads.shape[1] > 1 else 0
    if free < 0:
        return left
    for p in range(sim.heads.shape[1]):
        i, last = np.int64(sim.heads[r, p]), p != mine
        while i != NOBODY or not last:
            if i == NOBODY:
                i, last = new, True
            prompt = np.int64(sim.input_tokens[i]) + sim.requests[i].generated
            free -= blocks_of(prompt, law)
            if budget <= 0 or seats <= 0 or free < law.watermark:
                return left
            budget -= prompt if names_prompts(sim) else prompt - reused(sim, i)
            seats, left = seats - 1, left - 1
            i = np.int64(NOBODY) if i == new else np.int64(sim.requests[i].next)
    return left


@inline
def gather(sim, r, rep, law):
    """Fill the token budget: (prompt tokens, pairs, sequences, first of those whose prompt ends)."""
    budget = law.chunk - rep.running
    tokens, pairs, sequences, done = 0, 0.0, 0, NOBODY
    i = rep.partial
    if i != NOBODY and budget > 0:
        request = sim.requests[i]
        piece = min(np.int64(request.left), budget)
        pairs += pairs_of(sim.input_tokens[i] + request.generated - request.left, piece)
        request.left -= np.int32(piece)
        tokens, budget, sequences = piece, budget - piece, 1
        if request.left == 0:
            request.next = done
            done = i
            rep.partial = NOBODY
    while budget > 0 and rep.waiting > 0 and rep.running + sequences < law.max_batch:
        p, i = first_waiting(sim, r)
        request = sim.requests[i]
        prompt = np.int64(sim.input_tokens[i]) + request.generated
        blocks = blocks_of(prompt, law)
        if request.left == READY:
            break
        if names_prompts(sim):
            if not admit_named(sim, r, p, i, blocks):
                break
        elif rep.free - blocks < law.watermark:
            break
        else:
            admit(sim, r, rep, p, i, blocks)
        cached = reused(sim, i)
        piece = min(prompt - cached, budget)
        pairs += pairs_of(cached, piece)
        tokens, budget, sequences = tokens + piece, budget - piece, sequences + 1
        request.left = np.int32(prompt - cached - piece)
        if request.left > 0:
            rep.partial = i
        else:
            request.next = done
            done = i
    return tokens, pairs, sequences, done


@inline
def activate(sim, r, rep, law, i):
    """The prompt of a request is done: its first token is out."""
    request = sim.requests[i]
    if request.generated == 0:
        request.first_s = rep.clock
    remaining = sim.output_tokens[i] - request.generated - 1
    if law.prefix_blocks > 0:
        keep(sim, r, i)
    if remaining > 0 and law.handoff == 0:
        seat(sim, r, rep, law, i, remaining)
        return
    give_back(sim, r, rep, law, i, np.int64(sim.input_tokens[i]) + request.generated)
    sim.load[r] -= 1
    if remaining == 0:
        close(sim, i, rep.clock, OVERFLOWED if law.pool == SPILL else SERVED)
        return
    delay = law.s_per_transfer_token * sim.input_tokens[i]
    request.left = MOVING
    sim.ledger[0].moving_s += delay
    push(sim, rep.clock + delay, (np.int64(E_HANDOFF) << KIND_SHIFT) + (np.int64(request.retries) << TRY_SHIFT) + i)


@inline
def mixed_step(sim, r, rep, law, tokens, pairs, sequences, done):
    """One step of decodes and prompt chunks."""
    running = rep.running
    length = (
        sim.linear_s[rep.law, running + tokens]
        + law.s_per_sequence * (running + sequences)
        + law.s_per_kv_token * rep.context
        + law.s_per_pair * pairs
    )
    present = sim.load[r] & (CLOSED - 1)
    account(sim, rep, law, rep.clock, length, running + sequences, present, running, tokens)
    rep.clock += length
    rep.tick += 1
    rep.context += running
    sim.ledger[0].steps += 1
    free = rep.free
    if rep.due_tick == rep.tick:
        settle(sim, r, rep, law)
    while done != NOBODY:
        following = sim.requests[done].next
        activate(sim, r, rep, law, done)
        done = following
    rep.leaving = present - (sim.load[r] & (CLOSED - 1))
    rep.leaving_kv = (rep.free - free) << law.shift


@inline
def series(first, growth, steps):
    """Sum of an arithmetic series."""
    return steps * (first + 0.5 * growth * (steps - 1))


@inline
def steps_before(first, growth, gap):
    """Fewest steps that take at least `gap` seconds."""
    p = first - 0.5 * growth
    steps = np.int64(np.ceil(2.0 * gap / (p + np.sqrt(p * p + 2.0 * growth * gap))))
    steps = max(steps, 1)
    while steps > 1 and series(first, growth, steps - 1) >= gap:
        steps -= 1
    while series(first, growth, steps) < gap:
        steps += 1
    return steps


@inline
def steps_with_room(sim, r, rep, law, steps):
    """Steps until the KV blocks run out, at most `steps`; the blocks of the first are taken."""
    if rep.free >= rep.running * ((steps >> law.shift) + 1):
        return steps
    room = rep.free
    for step in range(1, steps):
        room -= sim.residues[r, (1 - rep.tick - step) & law.mask]
        if room < 0:
            return step
    return steps


@inline
def take_blocks(sim, r, rep, law, steps):
    """Blocks of the second to the last step of a leap."""
    rep.free -= ((steps - 1) >> law.shift) * rep.running
    for step in range(1, 1 + ((steps - 1) & law.mask)):
        rep.free -= sim.residues[r, (1 - rep.tick - step) & law.mask]


@inline
def leap(sim, r, rep, law, until, one):
    """Decode steps until a sequence finishes, the KV cache is full or `until` is reached."""
    running = rep.running
    first = sim.linear_s[rep.law, running] + law.s_per_sequence * running + law.s_per_kv_token * rep.context
    growth = law.s_per_kv_token * running
    steps = 1 if one else steps_with_room(sim, r, rep, law, rep.due_tick - rep.tick)
    if steps > 1 and rep.clock + series(first, growth, steps - 1) >= until:
        steps = min(steps, steps_before(first, growth, until - rep.clock))
    if steps > 1:
        take_blocks(sim, r, rep, law, steps)
    length = series(first, growth, steps)
    present = sim.load[r] & (CLOSED - 1)
    account(sim, rep, law, rep.clock, length, running, present, running * steps, 0)
    rep.clock += length
    rep.tick += steps
    rep.context += running * steps
    sim.ledger[0].leaps += 1
    sim.ledger[0].steps += steps
    free = rep.free
    if rep.due_tick == rep.tick:
        settle(sim, r, rep, law)
    rep.leaving = present - (sim.load[r] & (CLOSED - 1))
    rep.leaving_kv = (rep.free - free) << law.shift


@inline
def next_change(sim, r, rep):
    """When the load of a replica can next change: the start of the step in which a sequence finishes."""
    if rep.running == 0 or rep.waiting > 0 or rep.partial != NOBODY:
        return np.inf if (sim.load[r] & (CLOSED - 1)) == 0 else rep.clock
    law = sim.laws[rep.law]
    steps = rep.due_tick - rep.tick
    if rep.free < rep.running * ((steps >> law.shift) + 1):
        return rep.clock
    first = sim.linear_s[rep.law, rep.running] + law.s_per_sequence * rep.running + law.s_per_kv_token * rep.context
    return rep.clock + series(first, law.s_per_kv_token * rep.running, steps - 1)


@inline
def advance(sim, r, until):
    """Run all steps of replica r that start before `until`."""
    rep = sim.replicas[r]
    law = sim.laws[rep.law]
    one = sim.options[0].leap == 0
    while rep.clock < until and (sim.load[r] & (CLOSED - 1)) > 0:
        make_room(sim, r, rep, law)
        if rep.waiting > 0 or rep.partial != NOBODY:
            if rep.waiting > 0 and sim.options[0].disaggregated:
                seat_moved(sim, r, rep, law)
            tokens, pairs, sequences, done = gather(sim, r, rep, law)
            if sequences > 0:
                mixed_step(sim, r, rep, law, tokens, pairs, sequences, done)
                continue
        leap(sim, r, rep, law, until, one)
    sim.due_s[r] = rep.clock if sim.options[0].policy == ROUND_ROBIN else next_change(sim, r, rep)


@kernel
def catch_up(sim, r, until):
    """`advance` for callers that are rare."""
    advance(sim, r, until)
