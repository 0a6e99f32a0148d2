"""The queue of `aifactory.serving.jobs`, compiled: thousands of jobs that wait at once are looked through at every end.

Jobs are numbers in order of submission. Those that wait form a chain (`after`: who stands behind), those that run a row
sorted by end and number.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Places in the row of whole numbers that a pool is: free accelerators, first and last who wait (-1: nobody), where the
#: row of those that run begins and ends, and jobs that waited too long.
FREE, HEAD, TAIL, FIRST, LAST, LATE = range(6)
compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def run_queue(submit_s, run_s, held, accelerators, backfill, longest_s, most_late):
    """Start of each job in seconds, NaN where it was not reached, and how many waited more than `longest_s`.

    Ends as soon as more than `most_late` did.
    """
    count = submit_s.size
    start_s, after = np.full(count, np.nan), np.full(count, -1)
    ends, who = np.empty(count), np.empty(count, dtype=np.int64)
    pool = np.array([accelerators, -1, -1, 0, 0, 0])
    for number in range(count + 1):
        until = submit_s[number] if number < count else np.inf
        while pool[FIRST] < pool[LAST] and ends[pool[FIRST]] <= until:
            now = ends[pool[FIRST]]
            while pool[FIRST] < pool[LAST] and ends[pool[FIRST]] == now:
                pool[FREE] += held[who[pool[FIRST]]]
                pool[FIRST] += 1
            _schedule(now, submit_s, run_s, held, backfill, longest_s, start_s, after, ends, who, pool)
        if number == count:
            break
        if pool[HEAD] < 0:
            pool[HEAD] = number
        else:
            after[pool[TAIL]] = number
        pool[TAIL] = number
        _schedule(until, submit_s, run_s, held, backfill, longest_s, start_s, after, ends, who, pool)
        if pool[LATE] > most_late:
            break
    return start_s, pool[LATE]


@compiled
def _schedule(now, submit_s, run_s, held, backfill, longest_s, start_s, after, ends, who, pool):
    """Start who is first while it fits, then later jobs in the gap before the first that does not."""
    while pool[HEAD] >= 0 and held[pool[HEAD]] <= pool[FREE]:
        number = pool[HEAD]
        pool[HEAD] = after[number]
        _start(number, now, submit_s, run_s, held, longest_s, start_s, ends, who, pool)
    if not backfill or pool[HEAD] < 0 or pool[FREE] == 0:
        return
    need, at, free = held[pool[HEAD]], now, pool[FREE]
    for place in range(pool[FIRST], pool[LAST]):
        if free >= need and ends[place] > at:  # all that end at that moment are free then
            break
        at, free = ends[place], free + held[who[place]]
    spare, before = free - need, pool[HEAD]
    while after[before] >= 0 and pool[FREE] > 0:
        number = after[before]
        in_time = now + run_s[number] <= at
        if held[number] > pool[FREE] or not (in_time or held[number] <= spare):
            before = number
            continue
        if not in_time:
            spare -= held[number]
        after[before] = after[number]
        if after[before] < 0:
            pool[TAIL] = before
        _start(number, now, submit_s, run_s, held, longest_s, start_s, ends, who, pool)


@compiled
def _start(number, now, submit_s, run_s, held, longest_s, start_s, ends, who, pool):
    """Start a job and enter its end."""
    start_s[number] = now
    if now - submit_s[number] > longest_s:
        pool[LATE] += 1
    pool[FREE] -= held[number]
    end, place = now + run_s[number], pool[LAST]
    while place > pool[FIRST] and (ends[place - 1] > end or (ends[place - 1] == end and who[place - 1] > number)):
        ends[place], who[place] = ends[place - 1], who[place - 1]
        place -= 1
    ends[place], who[place] = end, number
    pool[LAST] += 1
