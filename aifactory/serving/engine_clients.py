"""What clients do in the event simulator: they give up, try again after a back-off, or fail.

A client gives up `timeout_s` after a try began. First tries give up in the order they came, so one
pointer over the arrivals watches them; later ones have timed events. Work in progress is cancelled at the
end of the step in progress, which nobody can stop; an answer that comes later than that is not taken.
"""

from __future__ import annotations

import numpy as np

from aifactory.serving.engine_batch import close, drop_partial, leave, turn, work_of
from aifactory.serving.engine_events import push, uniform
from aifactory.serving.engine_jit import inline, kernel
from aifactory.serving.engine_replica import catch_up, next_change
from aifactory.serving.engine_state import (
    E_RETRY,
    E_TIMEOUT,
    FAILED,
    KIND_SHIFT,
    MOVING,
    NOBODY,
    READY,
    TIMED_OUT,
    TRY_SHIFT,
    WAITING,
    WHEEL,
)  # fmt: skip


@inline
def retry_or_fail(sim, i, time, why):
    """The client tries again after a back-off that doubles and varies by half, or gives up for good."""
    options, request = sim.options[0], sim.requests[i]
    request.generated = 0
    request.left = 0
    if request.retries >= options.max_retries:
        fail(sim, i, time, why)
        return
    spread = 0.5 + uniform(options.seed, i, request.retries)
    delay = options.backoff_s * 2.0**request.retries * spread
    request.retries += np.uint8(1)
    sim.ledger[0].backoff_s += delay
    push(sim, time + delay, (np.int64(E_RETRY) << KIND_SHIFT) + i)


@inline
def fail(sim, i, time, why):
    """Close a request that gets no answer."""
    close(sim, i, time, FAILED)
    sim.requests[i].left = np.int32(why)


@inline
def next_timeout(sim):
    """When the first client on its first try would give up; infinity if all have their answer."""
    ledger, timeout_s = sim.ledger[0], sim.options[0].timeout_s
    while ledger.watched < ledger.arrived:
        request = sim.requests[ledger.watched]
        due = sim.arrival_s[ledger.watched] + timeout_s
        if request.retries == 0 and (
            request.status == WAITING or (request.status != FAILED and request.finish_s > due)
        ):
            return due
        ledger.watched += 1
    return np.inf


@inline
def watch_retry(sim, i, time, attempt):
    """A later try gives up at a timed event, unless it ended already."""
    request = sim.requests[i]
    if request.retries == attempt and request.status != FAILED:
        code = (np.int64(E_TIMEOUT) << KIND_SHIFT) + (np.int64(attempt) << TRY_SHIFT) + i
        push(sim, time + sim.options[0].timeout_s, code)
        sim.ledger[0].timers += 1


@kernel
def give_up(sim, i, time, attempt):
    """The client of a request leaves at `time` if its try is still on: what is done for it is cancelled."""
    request, ledger = sim.requests[i], sim.ledger[0]
    if request.retries != attempt or request.status == FAILED:
        return
    if request.status == WAITING and request.left != MOVING:
        catch_up(sim, np.int64(request.replica), time)
        if request.retries != attempt:
            return
    if request.status != WAITING:
        late = request.finish_s - time
        if late <= 0:
            return
        request.status = WAITING
        ledger.open += 1
        if request.replica == NOBODY:
            ledger.moving_s -= late
        else:
            ledger.lingering_s += late
            ledger.lost_tokens += work_of(sim, i, np.int64(sim.output_tokens[i]))
    elif request.left == MOVING:
        arrives = request.first_s + sim.laws[0].s_per_transfer_token * sim.input_tokens[i]
        ledger.moving_s -= arrives - max(time, request.first_s)
        ledger.lingering_s += max(request.first_s - time, 0.0)
        ledger.end_s = max(ledger.end_s, request.first_s)
        ledger.lost_tokens += work_of(sim, i, np.int64(1))
    else:
        withdraw(sim, np.int64(request.replica), i, time)
    retry_or_fail(sim, i, time, TIMED_OUT)


@kernel
def withdraw(sim, r, i, time):
    """Take a request out of the batch or the queue of its replica."""
    rep, ledger, request = sim.replicas[r], sim.ledger[0], sim.requests[i]
    ledger.lingering_s += max(rep.clock - time, 0.0)
    ledger.end_s = max(ledger.end_s, rep.clock)
    if rep.partial == i:
        ledger.lost_tokens += drop_partial(sim, r)
    elif request.left > 0:
        ledger.lost_tokens += work_of(sim, i, np.int64(sim.output_tokens[i] - (request.left - rep.tick)))
        unhang(sim, r, i)
        leave(sim, r, rep, sim.laws[rep.law], i)
        turn(sim, r, rep)
    else:
        if request.left == READY:
            ledger.lost_tokens += work_of(sim, i, np.int64(1))
        unqueue(sim, r, i)
    sim.load[r] -= 1
    sim.due_s[r] = next_change(sim, r, rep)


@kernel
def unhang(sim, r, i):
    """Take a sequence off the wheel: from the step it ends in or, of a long one, from where it waits."""
    slot = np.int64(sim.requests[i].left) & (WHEEL - 1)
    for offset in range(WHEEL):
        at = (slot - offset) & (WHEEL - 1)
        before, j = np.int64(NOBODY), np.int64(sim.wheel[r, at])
        while j not in (NOBODY, i):
            before, j = j, np.int64(sim.requests[j].next)
        if j == i:
            if before == NOBODY:
                sim.wheel[r, at] = sim.requests[i].next
            else:
                sim.requests[before].next = sim.requests[i].next
            return


@kernel
def unqueue(sim, r, i):
    """Take a request out of the queue of its priority."""
    p = sim.priority[i] if sim.heads.shape[1] > 1 else 0
    before, j = np.int64(NOBODY), np.int64(sim.heads[r, p])
    while j != i:
        before, j = j, np.int64(sim.requests[j].next)
    following = sim.requests[i].next
    if before == NOBODY:
        sim.heads[r, p] = following
    else:
        sim.requests[before].next = following
    if following == NOBODY:
        sim.tails[r, p] = before
    sim.replicas[r].waiting -= 1
    sim.replicas[r].queued -= sim.input_tokens[i]
