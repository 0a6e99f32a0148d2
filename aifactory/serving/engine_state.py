"""Memory of the event simulator: records, codes and limits shared by its kernels.

Everything lives in arrays, so a run can stop at any time and go on later. A request is 40 bytes,
beside its arrival and token counts, which are read where the caller keeps them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Wheel of finishing steps: sequences further away than this are looked at again when it turns.
WHEEL = 1024
NEVER = np.iinfo(np.int64).max // 4
#: Added to the load of a replica that takes no requests.
CLOSED = 1 << 40
NOBODY = -1
#: `left` of a request whose KV cache has been moved to a decode replica, or is on its way there.
READY, MOVING = -1, -2

WAITING, SERVED, FAILED, OVERFLOWED = 0, 1, 2, 3
#: Why a request failed.
REFUSED, TOO_LARGE, LOST, TIMED_OUT = 1, 2, 3, 4
OFF, WARMING, ON, DRAINING, DOWN = 0, 1, 2, 3, 4
MAIN, DECODE, SPILL = 0, 1, 2
ROUND_ROBIN, LEAST_OUTSTANDING, LEAST_KV = 0, 1, 2
REJECT, TO_CLASS, TO_API = 0, 1, 2
#: Kinds of timed events; at equal times the lower kind comes first.
E_HANDOFF, E_RETRY, E_READY, E_REPAIR, E_FAIL, E_TICK, E_TIMEOUT = 0, 1, 2, 3, 4, 5, 6
KIND_SHIFT = 40
#: Events of one try of a request carry the number of the try above this bit.
TRY_SHIFT = 32
#: Columns of the minute table, each an integral over the minute.
BUSY, BATCH, KV, QUEUE, PAID, DECODED, PREFILLED, UP = 0, 1, 2, 3, 4, 5, 6, 7
MINUTE_COLUMNS = 8
MINUTE_S = 60.0

REQUEST = np.dtype(
    [
        ("first_s", "f8"),
        ("finish_s", "f8"),
        ("start_s", "f8"),
        ("left", "i4"),  # prompt tokens to do; while decoding: tick of the last step; failed: why
        ("generated", "i4"),  # tokens made before a preemption
        ("next", "i4"),
        ("replica", "i2"),
        ("status", "u1"),
        ("retries", "u1"),
    ],
    align=True,
)
REPLICA = np.dtype(
    [
        ("clock", "f8"),  # end of the last step
        ("paid_since", "f8"),
        ("minute_end", "f8"),  # end and row of the minute the last step ended in
        ("minute", "i8"),
        ("tick", "i8"),  # steps so far
        ("due_tick", "i8"),  # step at which the next sequence finishes
        ("context", "i8"),  # tokens the decoding sequences will read in the next step
        ("running", "i8"),
        ("free", "i8"),  # KV blocks
        ("waiting", "i8"),
        ("queued", "i8"),  # prompt tokens of the waiting requests
        ("partial", "i8"),  # request whose prompt is partly done
        ("law", "i8"),
        ("state", "i8"),
        ("failures", "i8"),
        ("preempted", "i8"),
        ("leaving", "i8"),  # requests that the last step finished, here until its end
        ("leaving_kv", "i8"),  # KV tokens that they give back
    ],
    align=True,
)
#: The prefix cache of a replica.
CACHE = np.dtype(
    [
        ("idle", "i8"),  # KV blocks of prefixes that nobody uses: part of `free`, evicted when it shrinks
        ("oldest", "i8"),  # idle prefix block that goes first
        ("newest", "i8"),
        ("spare", "i8"),  # first unused record of a prefix block
    ],
    align=True,
)
#: A block of prompt tokens whose KV cache a replica holds.
PREFIX = np.dtype(
    [
        ("id", "i4"),
        ("users", "i4"),  # requests in the batch that share it; 0: idle
        ("older", "i4"),  # neighbours among the idle ones
        ("newer", "i4"),
        ("chain", "i4"),  # next record of the same bucket, or next spare one
    ],
    align=True,
)
LAW = np.dtype(
    [
        ("chunk", "i8"),
        ("max_batch", "i8"),
        ("shift", "i8"),  # log2 of block_tokens
        ("mask", "i8"),
        ("blocks", "i8"),
        ("watermark", "i8"),
        ("pool", "i8"),
        ("handoff", "i8"),  # 1: finished prompts leave for the decode pool
        ("prefix_tokens", "i8"),  # tokens and KV blocks of a prefix block; 0: no prefix is kept
        ("prefix_blocks", "i8"),
        ("s_per_kv_token", "f8"),
        ("s_per_pair", "f8"),
        ("s_per_sequence", "f8"),
        ("s_per_transfer_token", "f8"),
    ],
    align=True,
)
POOL = np.dtype([("first", "i8"), ("last", "i8"), ("turn", "i8")], align=True)
OPTIONS = np.dtype(
    [
        ("policy", "i8"),
        ("leap", "i8"),
        ("queue_limit", "i8"),
        ("overflow", "i8"),
        ("max_retries", "i8"),
        ("seed", "i8"),
        ("backoff_s", "f8"),
        ("api_ttft_s", "f8"),
        ("api_tpot_s", "f8"),
        ("mtbf_s", "f8"),
        ("repair_s", "f8"),
        ("tick_s", "f8"),
        ("target_load", "f8"),
        ("warmup_s", "f8"),
        ("cooldown_s", "f8"),
        ("least", "i8"),
        ("disaggregated", "i8"),
        ("oversize", "i8"),  # 1: some request may not fit into a KV cache
        ("timed", "i8"),  # 1: clients give up
        ("timeout_s", "f8"),  # after this, less what a request spends outside the steps
        ("horizon_s", "f8"),  # what a step does after this is booked nowhere
    ],
    align=True,
)
LEDGER = np.dtype(
    [
        ("arrived", "i8"),
        ("open", "i8"),
        ("events", "i8"),
        ("rejected", "i8"),
        ("steps", "i8"),
        ("leaps", "i8"),
        ("last_scaling_s", "f8"),
        ("backoff_s", "f8"),
        ("moving_s", "f8"),
        ("end_s", "f8"),
        ("timers", "i8"),  # time-outs of later tries among the events
        ("watched", "i8"),  # first request that may still give up on its first try
        ("lingering_s", "f8"),  # request-seconds from giving up to the end of the step in progress
        ("lost_tokens", "i8"),  # computed for tries that were abandoned or lost
        ("preempted_tokens", "i8"),  # computed and thrown away by preemption
    ],
    align=True,
)


class Sim(NamedTuple):
    """Arrays of one run; shapes: n requests, R replicas, P priorities, L laws, M minutes."""

    arrival_s: np.ndarray  # (n,) f8
    input_tokens: np.ndarray  # (n,) i4
    output_tokens: np.ndarray  # (n,) i4
    cached_tokens: np.ndarray  # (n,) i4 or (0,)
    priority: np.ndarray  # (n,) i1 or (0,)
    requests: np.ndarray  # (n,) REQUEST
    replicas: np.ndarray  # (R,) REPLICA
    load: np.ndarray  # (R,) i8, requests on the replica
    due_s: np.ndarray  # (R,) f8, the load of the replica does not change before; round robin does not ask
    wheel: np.ndarray  # (R, WHEEL) i4, first request that finishes at a step
    residues: np.ndarray  # (R, block) i4, sequences by context modulo block
    heads: np.ndarray  # (R, P) i4
    tails: np.ndarray  # (R, P) i4
    laws: np.ndarray  # (L,) LAW
    prefix_start: np.ndarray  # (n + 1,) i8 or (0,), where the prefix blocks of a request begin
    prefix_ids: np.ndarray  # (ids,) i4
    hits: np.ndarray  # (n,) i4 or (0,), prefix blocks found at the last admission
    caches: np.ndarray  # (R,) CACHE
    prefixes: np.ndarray  # (R, K) PREFIX
    buckets: np.ndarray  # (R, H) i4, first record by hash of the id
    linear_s: np.ndarray  # (L, T) f8, step time by tokens
    pools: np.ndarray  # (3,) POOL
    minutes: np.ndarray  # (L, M, MINUTE_COLUMNS) f8
    event_s: np.ndarray  # heap
    event_code: np.ndarray
    options: np.ndarray  # (1,) OPTIONS
    ledger: np.ndarray  # (1,) LEDGER
