"""Timed events of the simulator: a binary heap ordered by time, then by kind and number."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(_nrt=False, forceinline=True)
def before(sim, a, b):
    """Whether event a of the heap comes before b."""
    if sim.event_s[a] != sim.event_s[b]:
        return sim.event_s[a] < sim.event_s[b]
    return sim.event_code[a] < sim.event_code[b]


@njit(_nrt=False, forceinline=True)
def swap(sim, a, b):
    """Exchange two events of the heap."""
    sim.event_s[a], sim.event_s[b] = sim.event_s[b], sim.event_s[a]
    sim.event_code[a], sim.event_code[b] = sim.event_code[b], sim.event_code[a]


@njit(_nrt=False)
def push(sim, time, code):
    """Add an event."""
    ledger = sim.ledger[0]
    child = ledger.events
    sim.event_s[child] = time
    sim.event_code[child] = code
    ledger.events += 1
    while child > 0 and before(sim, child, (child - 1) >> 1):
        swap(sim, child, (child - 1) >> 1)
        child = (child - 1) >> 1


@njit(_nrt=False)
def pop(sim):
    """Remove the first event and return its code."""
    ledger = sim.ledger[0]
    code = sim.event_code[0]
    ledger.events -= 1
    size = ledger.events
    sim.event_s[0] = sim.event_s[size]
    sim.event_code[0] = sim.event_code[size]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            return code
        if child + 1 < size and before(sim, child + 1, child):
            child += 1
        if not before(sim, child, parent):
            return code
        swap(sim, child, parent)
        parent = child


@njit(_nrt=False)
def uniform(seed, a, b):
    """Uniform number in (0, 1) of three integers (splitmix64 finaliser): the same in any order of calls."""
    x = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
    x ^= (np.uint64(a) + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
    x ^= (np.uint64(b) + np.uint64(1)) * np.uint64(0x94D049BB133111EB)
    for _ in range(2):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (np.float64(x >> np.uint64(11)) + 0.5) / 9007199254740992.0
