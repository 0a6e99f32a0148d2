"""The prefix cache of one replica: prompt blocks whose KV cache outlives their request.

Prompts are named by blocks: equal number, equal tokens and equal tokens before. A block in use is held once,
whoever shares it. When its last user leaves it becomes idle: it stays in the memory that running
requests do not use, until they need it; the least recently used goes first, of one prompt its end before its
beginning. `free` counts idle blocks in, so nothing else has to know of them; they are trimmed before
`free` grows and before anybody looks.
"""

from __future__ import annotations

import numpy as np

from aifactory.serving.engine_jit import inline, kernel
from aifactory.serving.engine_state import NOBODY


@inline
def blocks_of(tokens, law):
    """KV blocks that hold so many tokens."""
    return (tokens + law.mask) >> law.shift


@inline
def names_prompts(sim):
    """Whether prompts are named by blocks."""
    return sim.hits.shape[0] > 0


@inline
def reused(sim, i):
    """Prompt tokens whose KV cache a request found at its last admission."""
    if names_prompts(sim):
        return np.int64(sim.hits[i]) * sim.laws[0].prefix_tokens
    if sim.cached_tokens.shape[0] > 0:
        return np.int64(sim.cached_tokens[i])
    return np.int64(0)


@inline
def named_blocks(sim, law, i, tokens):
    """Full prefix blocks of a request among its first `tokens`."""
    return min(sim.prefix_start[i + 1] - sim.prefix_start[i], tokens // law.prefix_tokens)


@inline
def bucket_of(sim, number):
    """Bucket of a block by the upper bits of a product (Fibonacci hashing)."""
    return np.int64((np.uint64(number) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & (sim.buckets.shape[1] - 1)


@inline
def find(sim, r, number):
    """Record of a block on a replica; NOBODY if it is not there."""
    at = np.int64(sim.buckets[r, bucket_of(sim, number)])
    while at != NOBODY and sim.prefixes[r, at].id != number:
        at = np.int64(sim.prefixes[r, at].chain)
    return at


@inline
def unlink(sim, r, at):
    """Take a record out of the idle ones."""
    cache = sim.caches[r]
    older, newer = sim.prefixes[r, at].older, sim.prefixes[r, at].newer
    if older == NOBODY:
        cache.oldest = newer
    else:
        sim.prefixes[r, older].newer = newer
    if newer == NOBODY:
        cache.newest = older
    else:
        sim.prefixes[r, newer].older = older


@kernel
def forget(sim, r, at):
    """Drop a record from its bucket."""
    bucket = bucket_of(sim, sim.prefixes[r, at].id)
    if sim.buckets[r, bucket] == at:
        sim.buckets[r, bucket] = sim.prefixes[r, at].chain
    else:
        before = np.int64(sim.buckets[r, bucket])
        while sim.prefixes[r, before].chain != at:
            before = np.int64(sim.prefixes[r, before].chain)
        sim.prefixes[r, before].chain = sim.prefixes[r, at].chain
    cache = sim.caches[r]
    sim.prefixes[r, at].chain = np.int32(cache.spare)
    cache.spare = at


@kernel
def trim(sim, r):
    """Evict idle blocks until they fit into the free memory."""
    rep, cache = sim.replicas[r], sim.caches[r]
    blocks = sim.laws[rep.law].prefix_blocks
    while cache.idle > rep.free:
        at = cache.oldest
        unlink(sim, r, at)
        forget(sim, r, at)
        cache.idle -= blocks


@kernel
def look_up(sim, r, i):
    """Leading blocks of a prompt that are there, and how many of them are idle; one token stays to be computed."""
    rep = sim.replicas[r]
    law = sim.laws[rep.law]
    first = sim.prefix_start[i]
    most = named_blocks(sim, law, i, np.int64(sim.input_tokens[i]) - 1)
    hits, idle = np.int64(0), np.int64(0)
    while hits < most:
        at = find(sim, r, sim.prefix_ids[first + hits])
        if at == NOBODY:
            break
        idle += sim.prefixes[r, at].users == 0
        hits += 1
    return hits, idle


@inline
def use(sim, r, rep, law, at):
    """One more user of a block."""
    if sim.prefixes[r, at].users == 0:
        unlink(sim, r, at)
        sim.caches[r].idle -= law.prefix_blocks
        rep.free -= law.prefix_blocks
    sim.prefixes[r, at].users += np.int32(1)


@kernel
def share(sim, r, i, hits):
    """An admitted request shares the blocks it found instead of holding its own."""
    rep = sim.replicas[r]
    law = sim.laws[rep.law]
    first = sim.prefix_start[i]
    for number in range(hits):
        use(sim, r, rep, law, find(sim, r, sim.prefix_ids[first + number]))
    rep.free += hits * law.prefix_blocks
    sim.hits[i] = hits


@kernel
def keep(sim, r, i):
    """A prompt is computed: its full blocks can be found from now on; copies of what was there are given up."""
    trim(sim, r)
    rep, cache = sim.replicas[r], sim.caches[r]
    law = sim.laws[rep.law]
    first = sim.prefix_start[i]
    for k in range(sim.hits[i], named_blocks(sim, law, i, np.int64(sim.input_tokens[i]))):
        number = sim.prefix_ids[first + k]
        at = find(sim, r, number)
        if at != NOBODY:
            use(sim, r, rep, law, at)
            rep.free += law.prefix_blocks
            continue
        at = cache.spare
        record = sim.prefixes[r, at]
        cache.spare = record.chain
        bucket = bucket_of(sim, number)
        record.id, record.users, record.chain = number, np.int32(1), sim.buckets[r, bucket]
        sim.buckets[r, bucket] = at


@kernel
def part(sim, r, i, tokens, count):
    """A request that holds `tokens` frees its blocks but for `count` shared ones, which it leaves, its last first."""
    trim(sim, r)
    rep, cache = sim.replicas[r], sim.caches[r]
    law = sim.laws[rep.law]
    first = sim.prefix_start[i]
    rep.free += blocks_of(tokens, law) - count * law.prefix_blocks
    for k in range(count - 1, -1, -1):
        at = find(sim, r, sim.prefix_ids[first + k])
        record = sim.prefixes[r, at]
        record.users -= np.int32(1)
        if record.users == 0:
            record.older, record.newer = np.int32(cache.newest), np.int32(NOBODY)
            if cache.newest == NOBODY:
                cache.oldest = at
            else:
                sim.prefixes[r, cache.newest].newer = at
            cache.newest = at
            cache.idle += law.prefix_blocks
            rep.free += law.prefix_blocks


@kernel
def clear(sim, r):
    """The memory of a replica is lost: no prefix is there any more."""
    cache = sim.caches[r]
    cache.idle, cache.oldest, cache.newest, cache.spare = 0, NOBODY, NOBODY, 0
    sim.buckets[r, :] = NOBODY
    last = sim.prefixes.shape[1] - 1
    for at in range(last + 1):
        sim.prefixes[r, at].chain = NOBODY if at == last else at + 1
