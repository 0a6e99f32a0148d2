"""The fleet of the event simulator: routing, queue limits, overflow, retries, failures, autoscaling.

One clock for all: arrivals and timed events are taken in order of time; a replica is advanced when somebody
needs to know its state. A replica that only decodes cannot change its number of requests before a
known time, so routing by load does not touch it until then. A router sees the departures of a step
when it ends; a replica fails at the end of the step in progress.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
from numba import njit

from aifactory.serving.engine_batch import close, drop_partial, queue_back, work_of
from aifactory.serving.engine_clients import fail, give_up, next_timeout, retry_or_fail, watch_retry
from aifactory.serving.engine_events import pop, push, uniform
from aifactory.serving.engine_jit import HOW, inline, kernel
from aifactory.serving.engine_prefix import blocks_of, clear, names_prompts
from aifactory.serving.engine_replica import advance, catch_up, left_waiting
from aifactory.serving.engine_state import (
    CLOSED,
    DECODE,
    DOWN,
    DRAINING,
    E_FAIL,
    E_HANDOFF,
    E_READY,
    E_REPAIR,
    E_RETRY,
    E_TICK,
    E_TIMEOUT,
    KIND_SHIFT,
    LEAST_KV,
    LOST,
    MAIN,
    MINUTE_S,
    NEVER,
    NOBODY,
    OFF,
    ON,
    OVERFLOWED,
    PAID,
    QUEUE,
    READY,
    REFUSED,
    ROUND_ROBIN,
    SPILL,
    TO_API,
    TO_CLASS,
    TOO_LARGE,
    TRY_SHIFT,
    WAITING,
    WARMING,
    WHEEL,
)  # fmt: skip


@kernel
def pay(sim, r, until):
    """Book the time a replica was paid for, minute by minute, up to `until`."""
    rep = sim.replicas[r]
    start, top = rep.paid_since, sim.minutes.shape[1] - 1
    while start < until:
        minute = int(start / MINUTE_S)
        end = min(until, (minute + 1) * MINUTE_S)
        if end <= start or minute >= top:
            end = until
        sim.minutes[rep.law, min(minute, top), PAID] += end - start
        start = end
    rep.paid_since = max(rep.paid_since, until)


@inline
def enqueue(sim, r, i, time, left):
    """Hand a request to a replica that has been advanced to `time`."""
    rep = sim.replicas[r]
    if (sim.load[r] & (CLOSED - 1)) == 0:
        rep.clock = max(rep.clock, time)
    if rep.clock > time:
        minute = min(int(time / MINUTE_S), sim.minutes.shape[1] - 1)
        sim.minutes[rep.law, minute, QUEUE] += min(rep.clock, sim.options[0].horizon_s) - time
    request = sim.requests[i]
    request.replica = np.int16(r)
    request.left = np.int32(left)
    if left == 0:
        request.start_s = -1.0
    queue_back(sim, r, i)
    sim.load[r] += 1
    sim.due_s[r] = rep.clock


@inline
def score_of(sim, r, time):
    """What routing by load compares at a time, what a step in progress finishes included; closed replicas lie above `CLOSED`."""
    rep, score = sim.replicas[r], sim.load[r]
    if sim.options[0].policy == LEAST_KV and score < CLOSED:
        law = sim.laws[rep.law]
        score = ((law.blocks - rep.free) << law.shift) + rep.queued
        return score + rep.leaving_kv if rep.clock > time else score
    return score + rep.leaving if rep.clock > time else score


@inline
def next_in_turn(sim, pool):
    """First open replica from the turn on; NOBODY if none is."""
    size = pool.last - pool.first
    for _ in range(size):
        r = pool.first + pool.turn
        pool.turn += 1
        if pool.turn == size:
            pool.turn = 0
        if sim.load[r] < CLOSED:
            return r
    return np.int64(NOBODY)


@inline
def route(sim, which, time):
    """Replica of a pool that takes the next request, advanced to `time`; NOBODY if none is up."""
    pool, policy = sim.pools[which], sim.options[0].policy
    r, best, least = pool.first, np.int64(NOBODY), np.int64(CLOSED)
    if policy == ROUND_ROBIN:
        r, best = pool.last, next_in_turn(sim, pool)
    while r <= pool.last:
        chosen = r == pool.last
        k = best if chosen else r
        if k != NOBODY and (chosen or policy == LEAST_KV or sim.due_s[k] < time):
            advance(sim, k, time)
        if not chosen and score_of(sim, k, time) < least:
            least, best = score_of(sim, k, time), k
        r += 1
    return best


@kernel
def route_rarely(sim, which, time):
    """`route` for callers that are rare."""
    return route(sim, which, time)


@inline
def fits(sim, which, i):
    """Whether a request with all its tokens fits into the KV cache of an empty replica of the pool."""
    pool = sim.pools[which]
    if pool.last <= pool.first:
        return False
    law = sim.laws[sim.replicas[pool.first].law]
    return blocks_of(np.int64(sim.input_tokens[i]) + sim.output_tokens[i], law) + law.watermark <= law.blocks


@inline
def full(sim, r, i):
    """Whether a replica that has been advanced takes no further request: more than the limit would wait."""
    limit = sim.options[0].queue_limit
    return limit >= 0 and sim.replicas[r].waiting >= limit and left_waiting(sim, r, i) > limit


@kernel
def refuse(sim, i, time, final):
    """What happens to a request that no main replica takes: overflow, retry, failure."""
    options, request = sim.options[0], sim.requests[i]
    sim.ledger[0].rejected += 1
    if options.overflow == TO_API:
        request.start_s = time
        request.first_s = time + options.api_ttft_s
        request.replica = np.int16(NOBODY)
        close(sim, i, request.first_s + options.api_tpot_s * (sim.output_tokens[i] - 1), OVERFLOWED)
        sim.ledger[0].moving_s += request.finish_s - time
        return
    if options.overflow == TO_CLASS and fits(sim, SPILL, i):
        final = False
        r = route_rarely(sim, SPILL, time)
        if r != NOBODY and not full(sim, r, i):
            enqueue(sim, r, i, time, 0)
            return
    if final:
        fail(sim, i, time, TOO_LARGE)
    else:
        retry_or_fail(sim, i, time, REFUSED)


@inline
def submit(sim, i, time):
    """A request arrives, for the first time or again."""
    options = sim.options[0]
    too_large = options.oversize and (not fits(sim, MAIN, i) or (options.disaggregated and not fits(sim, DECODE, i)))
    r = np.int64(NOBODY) if too_large else route(sim, MAIN, time)
    if r == NOBODY or full(sim, r, i):
        refuse(sim, i, time, too_large)
    else:
        enqueue(sim, r, i, time, 0)


@kernel
def hand_over(sim, i, time):
    """The KV cache of a request has reached the decode pool."""
    r = route_rarely(sim, DECODE, time)
    if r == NOBODY:
        sim.ledger[0].lost_tokens += work_of(sim, i, np.int64(1))
        retry_or_fail(sim, i, time, LOST)
    else:
        enqueue(sim, r, i, time, READY)


@kernel
def evict(sim, r, time):
    """All requests of a replica are lost to their clients."""
    rep, ledger = sim.replicas[r], sim.ledger[0]
    for p in range(sim.heads.shape[1]):
        i = sim.heads[r, p]
        while i != NOBODY:
            following = sim.requests[i].next
            if sim.requests[i].left == READY:
                ledger.lost_tokens += work_of(sim, i, np.int64(1))
            retry_or_fail(sim, i, time, LOST)
            i = following
        sim.heads[r, p] = NOBODY
        sim.tails[r, p] = NOBODY
    if rep.partial != NOBODY:
        i = rep.partial
        ledger.lost_tokens += drop_partial(sim, r)
        retry_or_fail(sim, i, time, LOST)
    for step in range(WHEEL):
        slot = (rep.tick + 1 + step) & (WHEEL - 1)
        i = sim.wheel[r, slot]
        sim.wheel[r, slot] = NOBODY
        while i != NOBODY:
            following = sim.requests[i].next
            made = np.int64(sim.output_tokens[i] - (sim.requests[i].left - rep.tick))
            ledger.lost_tokens += work_of(sim, i, made)
            retry_or_fail(sim, i, time, LOST)
            i = following
    sim.residues[r, :] = 0
    rep.running = rep.waiting = rep.queued = rep.context = rep.leaving = rep.leaving_kv = 0
    rep.due_tick = NEVER
    rep.free = sim.laws[rep.law].blocks
    sim.load[r] -= sim.load[r] & (CLOSED - 1)
    sim.due_s[r] = np.inf
    if names_prompts(sim):
        clear(sim, r)


@kernel
def break_down(sim, r, time):
    """A replica fails; it is repaired after an exponential time."""
    rep, options = sim.replicas[r], sim.options[0]
    rep.failures += 1
    draw = -np.log(uniform(options.seed, -1 - r, 2 * rep.failures))
    if rep.state not in (ON, DRAINING):
        push(sim, time + draw * options.mtbf_s, (np.int64(E_FAIL) << KIND_SHIFT) + r)
        return
    catch_up(sim, r, time)
    end = max(time, rep.clock)
    evict(sim, r, end)
    if rep.state == ON:
        sim.load[r] += CLOSED
    rep.state = DOWN
    push(sim, end + draw * options.repair_s, (np.int64(E_REPAIR) << KIND_SHIFT) + r)


@kernel
def open_up(sim, r, time):
    """A replica is warm or repaired: it takes requests again, and its next failure is drawn."""
    rep, options = sim.replicas[r], sim.options[0]
    if rep.state == DOWN and options.mtbf_s > 0:
        draw = -np.log(uniform(options.seed, -1 - r, 2 * rep.failures + 1))
        push(sim, time + draw * options.mtbf_s, (np.int64(E_FAIL) << KIND_SHIFT) + r)
    if rep.state in (DOWN, WARMING):
        rep.state = ON
        rep.clock = max(rep.clock, time)
        sim.load[r] -= CLOSED


@kernel
def start_replica(sim, time):
    """Take the first draining replica back, else warm the first that is off."""
    pool = sim.pools[MAIN]
    for r in range(pool.first, pool.last):
        if sim.replicas[r].state == DRAINING:
            sim.replicas[r].state = ON
            sim.load[r] -= CLOSED
            return
    for r in range(pool.first, pool.last):
        if sim.replicas[r].state == OFF:
            sim.replicas[r].state = WARMING
            sim.replicas[r].paid_since = time
            push(sim, time + sim.options[0].warmup_s, (np.int64(E_READY) << KIND_SHIFT) + r)
            return


@kernel
def drain_replica(sim):
    """Close the least loaded replica; of equals the last."""
    pool = sim.pools[MAIN]
    best, least = NOBODY, np.int64(CLOSED)
    for r in range(pool.first, pool.last):
        if sim.replicas[r].state == ON and sim.load[r] <= least:
            least, best = sim.load[r], r
    if best != NOBODY:
        sim.replicas[best].state = DRAINING
        sim.load[best] += CLOSED


@kernel
def scale(sim, time):
    """Autoscaler: replicas = requests in the pool / target load, within bounds, cooling down before less."""
    options, pool, ledger = sim.options[0], sim.pools[MAIN], sim.ledger[0]
    total, active = np.int64(0), np.int64(0)
    for r in range(pool.first, pool.last):
        if sim.due_s[r] < time:
            catch_up(sim, r, time)
        rep = sim.replicas[r]
        total += (sim.load[r] & (CLOSED - 1)) + (rep.leaving if rep.clock > time else 0)
        active += rep.state in (ON, WARMING, DOWN)
        if rep.state == DRAINING and (sim.load[r] & (CLOSED - 1)) == 0:
            pay(sim, r, max(rep.clock, rep.paid_since))
            rep.state = OFF
            if names_prompts(sim):
                clear(sim, r)
    wanted = max(options.least, min(pool.last - pool.first, np.int64(np.ceil(total / options.target_load))))
    if wanted > active:
        for _ in range(wanted - active):
            start_replica(sim, time)
        ledger.last_scaling_s = time
    elif wanted < active and time - ledger.last_scaling_s >= options.cooldown_s:
        for _ in range(active - wanted):
            drain_replica(sim)
        ledger.last_scaling_s = time
    push(sim, time + options.tick_s, np.int64(E_TICK) << KIND_SHIFT)


@kernel
def handle(sim, time):
    """Take the first timed event; returns the request it brings back to the fleet, if any."""
    code = pop(sim)
    kind, number = code >> KIND_SHIFT, code & ((np.int64(1) << KIND_SHIFT) - 1)
    attempt, i = number >> TRY_SHIFT, number & ((np.int64(1) << TRY_SHIFT) - 1)
    if kind == E_HANDOFF:
        if sim.requests[i].status == WAITING and sim.requests[i].retries == attempt:
            hand_over(sim, i, time)
    elif kind == E_TIMEOUT:
        sim.ledger[0].timers -= 1
        give_up(sim, i, time, attempt)
    elif kind == E_RETRY:
        return number
    elif kind == E_FAIL:
        break_down(sim, number, time)
    elif kind == E_TICK:
        scale(sim, time)
    else:
        open_up(sim, number, time)
    return np.int64(NOBODY)


@inline
def simulate(sim, until):
    """Simulate all that starts before `until`; the caller asks again with a later time."""
    ledger, total = sim.ledger[0], sim.arrival_s.shape[0]
    prefill_first, timed = sim.options[0].disaggregated != 0, sim.options[0].timed != 0
    due = next_timeout(sim) if timed else np.inf
    while ledger.arrived < total or ledger.open > 0 or (timed and (ledger.timers > 0 or due < np.inf)):
        arrival = sim.arrival_s[ledger.arrived] if ledger.arrived < total else np.inf
        if timed:
            due = next_timeout(sim)
        time = min(until, arrival, due)
        if ledger.events > 0:
            time = min(time, sim.event_s[0])
        if prefill_first:
            for r in range(sim.pools[MAIN].first, sim.pools[MAIN].last):
                catch_up(sim, r, time)
            if ledger.events > 0:
                time = min(time, sim.event_s[0])
        if time >= until:
            break
        if ledger.events > 0 and sim.event_s[0] <= time:
            i = handle(sim, time)
        elif timed and due <= time:
            give_up(sim, ledger.watched, time, 0)
            i = np.int64(NOBODY)
        else:
            i = ledger.arrived
            ledger.open += 1
            ledger.arrived += 1
        if i != NOBODY:
            attempt = np.int64(sim.requests[i].retries) if timed else np.int64(0)
            submit(sim, i, time)
            if attempt > 0:
                watch_retry(sim, i, time, attempt)
    for r in range(sim.load.shape[0]):
        catch_up(sim, r, until)


def _entries(stamp: str) -> tuple:
    """Compiled entry points, cached on disk under a stamp of all engine sources.

    The compiler's cache looks at one file only; a change in another one would go unnoticed.
    """
    how = {"cache": True, "nogil": True, **HOW}

    @njit(**how)
    def run_until(sim, until):
        _ = stamp
        simulate(sim, until)

    @njit(**how)
    def pay_until(sim, r, until):
        _ = stamp
        pay(sim, r, until)

    return run_until, pay_until


_SOURCES = sorted(Path(__file__).parent.glob("engine_*.py"))
run_until, pay_until = _entries(sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest())
