"""The aggregates of request rows as one compiled loop over arrays: minute cube, log histograms, use by tenant.

All sums are whole numbers in pages of 128, handed out when first touched: 16 minutes of 8 sums, or 128
buckets of one metric, both for one workload and day. So memory follows what occurs, rows in order of time
touch few pages at once, and neither order nor partition of the rows changes a digit. Sums of a tenant and
day stand in a hash table with open addresses, at most half full.

A bucket is found without a logarithm: exponent and seven bits of the mantissa choose a cell narrower
than a bucket, hence with at most one bound in it, and one comparison with that bound decides. The bounds are
those of `log_bucket`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from aifactory.inputs.aggregate.buckets import LARGEST_VALUE, LOWEST_BUCKET, TINY, bounds, log_bucket
from aifactory.inputs.aggregate.cube import HISTOGRAMMED, UNIT_PARTS

#: Rows of the array of whole numbers; -1 in `CACHED` and `RETRY` is unknown. Codes number words from 0.
INTEGERS = ("time_us", "use_case", "region", "status", "tenant", "retry", "input", "cached", "output", "line")
TIME, USE_CASE, REGION, STATUS, TENANT, RETRY, INPUT, CACHED, OUTPUT, LINE = range(len(INTEGERS))
#: Rows of the array of numbers; NaN is unknown.
NUMBERS = ("ttft_ms", "e2e_ms", "queue_ms", "service_units", "tpot_ms", "pair_tokens")
TTFT, E2E, QUEUE, UNITS, TPOT, PAIR = range(len(NUMBERS))
OK = 0
#: Sums of a minute; `known` counts the rows whose cached tokens and, from bit 32 on, whose retries are known;
#: `requests` counts those of the probed second too, from bit 32 on.
CELL = ("requests", "served", "input_tokens", "output_tokens", "cached_input_tokens", "retry", "parts", "known")
KNOWN_RETRY = PROBED = 1 << 32
#: Sums of a tenant on one line; `known` counts the rows whose cached tokens are known, `parts` millionths of units.
TENANT_SUMS = ("requests", "served", "errors", "input_tokens", "output_tokens", "cached_input_tokens", "known", "parts")
#: Places of the array of what is used: workloads, lines, pages, latencies and cached tokens taken back, tenants.
USED = 6
PAGE = 128
MINUTES = PAGE // len(CELL)
MINUTE_PAGES = 1440 // MINUTES
_CELL_SHIFT = 45
_FIRST_CELL = int(np.float64(TINY).view("int64") >> _CELL_SHIFT)


def _bucket_table() -> tuple[np.ndarray, np.ndarray]:
    """Place of the lowest value of each cell, and the upper bound of each place (0 for zero, then by bucket)."""
    last = int(np.float64(2 * LARGEST_VALUE).view("int64") >> _CELL_SHIFT)
    lowest = (np.arange(_FIRST_CELL, last + 1) << _CELL_SHIFT).view("float64")
    first = np.nextafter(lowest, 0) - TINY  # the bucket just below the cell: its bound is the first that may lie inside
    places = np.maximum(log_bucket(np.maximum(first, 0)), LOWEST_BUCKET - 1) - LOWEST_BUCKET + 1
    return places.astype("uint16"), bounds(np.arange(LOWEST_BUCKET - 1, LOWEST_BUCKET + places.max() + 1))


LOWER, UPPER = _bucket_table()
BUCKET_PAGES = -(-len(UPPER) // PAGE)
COLUMNS = MINUTE_PAGES + len(HISTOGRAMMED) * BUCKET_PAGES


#: Kernels hold no references, whose counting doubles the time; indices are unsigned, as negative ones would be looked for.
_HOW = {"nogil": True, "cache": True, "error_model": "numpy", "_nrt": False}
_INNER = {"forceinline": True, "no_cpython_wrapper": True, "_nrt": False}
_U = np.uint64


@njit(**_INNER)
def _number(table, row, column, used, kind, most):  # noqa: ANN001, ANN202, PLR0913
    """The number that stands there; where none does, the next one from 1 on, or 0 if there is no room for it."""
    found = _U(table[row, column])
    if found == 0 and used[kind] < most:
        used[kind] += 1
        found = _U(used[kind])
        table[row, column] = found
    return found


_FACTOR = np.uint64(0xFF51AFD7ED558CCD)


@njit(**_INNER)
def _mixed(number):  # noqa: ANN001, ANN202
    number = (number ^ (number >> np.uint64(33))) * _FACTOR
    return (number ^ (number >> np.uint64(33))) * _FACTOR


@njit(**_INNER)
def _home(keys, key):  # noqa: ANN001, ANN202
    """Place of a key, or the free place where it belongs."""
    mask = _U(len(keys) - 1)
    at = _mixed(key) & mask
    while keys[at] != 0 and keys[at] != key:
        at = (at + _U(1)) & mask
    return at


@njit(**_HOW)
def move_tenants(keys, sums, wider_keys, wider_sums):  # noqa: ANN001, ANN201
    """Copy a hash table of tenants into a larger one."""
    for i in range(len(keys)):
        if keys[i] != 0:
            at = _home(wider_keys, keys[i])
            wider_keys[at] = keys[i]
            for j in range(sums.shape[1]):
                wider_sums[at, j] = sums[i, j]


@njit(**_INNER)
def _probed(minute, day):  # noqa: ANN001, ANN202
    """`cube.probed_second` of a minute."""
    return (minute * _U(37) + minute // _U(60) * _U(11) + day * _U(13)) % _U(60)


@njit(**_INNER)
def _root(prompt, answer):  # noqa: ANN001, ANN202
    """Root of the product of two lengths, unknown unless both are there."""
    return np.sqrt(np.float64(prompt) * np.float64(answer)) if prompt > 0 and answer > 0 else np.nan


@njit(**_HOW)
def count_rows(integers, numbers, start, stop, first_day, slots, slot_sums, lines, index, pages, keys, tenants, used):  # noqa: ANN001, ANN201, PLR0913
    """Add rows start to stop to minutes, workloads and tenants; returns the first row for which there was no room.

    Leaves in `LINE` the line of the workload and day (0 for a request that was not served), in `TPOT` the
    time per output token, in `PAIR` the root of prompt times answer, and takes back what contradicts itself.
    """
    for i in range(_U(start), _U(stop)):
        second = _U(integers[TIME, i]) // _U(1_000_000)
        minute = second // _U(60)
        day = minute // _U(1440)
        probed = second % _U(60) == _probed(minute, day)
        minute -= day * _U(1440)
        slot = _number(slots, _U(integers[USE_CASE, i]), _U(integers[REGION, i]), used, 0, lines.shape[0] - 1)
        line = _number(lines, slot, day - _U(first_day), used, 1, index.shape[0] - 1) if slot else slot
        page = _number(index, line, minute // _U(MINUTES), used, 2, pages.shape[0] - 1) if line else line
        if page == 0 or 2 * used[5] >= len(keys):
            return np.int64(i)
        key = (line << _U(32)) | _U(integers[TENANT, i])
        tenant = _home(keys, key)
        used[5] += keys[tenant] == 0
        keys[tenant] = key
        status = integers[STATUS, i]
        served, failed = status == OK, status != OK
        tokens_in, tokens_out, cached = integers[INPUT, i], integers[OUTPUT, i], integers[CACHED, i]
        first, last = numbers[TTFT, i], numbers[E2E, i]
        if first > last:
            used[3] += 1
            first = last = numbers[TTFT, i] = numbers[E2E, i] = np.nan
        if cached > tokens_in:
            used[4] += 1
            cached = -1
        integers[LINE, i] = line if served else 0
        numbers[TPOT, i] = (last - first) / (tokens_out - 1) if tokens_out > 1 else np.nan
        numbers[PAIR, i] = _root(tokens_in, tokens_out)
        slot_sums[slot, 0] += 1
        slot_sums[slot, 1] += failed
        at = minute % _U(MINUTES) * _U(len(CELL))
        pages[page, at] += 1 + (PROBED if probed else 0)
        pages[page, at + _U(1)] += served
        pages[page, at + _U(2)] += tokens_in
        pages[page, at + _U(3)] += tokens_out
        tenants[tenant, 0] += 1
        tenants[tenant, 1] += served
        tenants[tenant, 2] += failed
        tenants[tenant, 3] += tokens_in
        tenants[tenant, 4] += tokens_out
        if cached >= 0:
            pages[page, at + _U(4)] += cached
            pages[page, at + _U(7)] += 1
            tenants[tenant, 5] += cached
            tenants[tenant, 6] += 1
        if integers[RETRY, i] >= 0:
            pages[page, at + _U(5)] += integers[RETRY, i]
            pages[page, at + _U(7)] += KNOWN_RETRY
        if served:
            units = numbers[UNITS, i]
            parts = UNIT_PARTS if np.isnan(units) else np.int64(np.floor(units * UNIT_PARTS + 0.5))
            pages[page, at + _U(6)] += parts
            tenants[tenant, 7] += parts
    return stop


@njit(**_HOW)
def count_values(values, start, stop, integers, first_column, lower, upper, index, pages, used):  # noqa: ANN001, ANN201, PLR0913
    """Add the values of one metric to the buckets of their line; returns the first row for which there was no room."""
    for i in range(_U(start), _U(stop)):
        line = _U(integers[LINE, i])
        value = np.float64(values[i])
        if line == 0 or not value >= 0:
            continue
        shifted = np.float64(value + TINY)
        place = _U(lower[(np.float64(shifted).view(np.uint64) >> _U(_CELL_SHIFT)) - _U(_FIRST_CELL)])
        place += _U(shifted > upper[place])
        page = _number(index, line, _U(first_column) + place // _U(PAGE), used, 2, pages.shape[0] - 1)
        if page == 0:
            return np.int64(i)
        pages[page, place % _U(PAGE)] += 1
    return stop


@njit(**_HOW)
def add_pages(pages, targets, source, numbers):  # noqa: ANN001, ANN201
    """Add each numbered page of a thread to its target."""
    for i in range(len(numbers)):
        for j in range(PAGE):
            pages[targets[i], j] += source[numbers[i], j]


@njit(**_HOW)
def hash_texts(offsets, data, share, hashes):  # noqa: ANN001, ANN201
    """Hash each text to 64 bits and keep the multiples of `share`; returns how many, and the shortest length.

    Parameters
    ----------
    offsets, data : texts as Arrow keeps them: bytes one after the other, and where each begins.
    """
    shortest, kept = len(data), _U(0)
    for i in range(len(offsets) - 1):
        at, stop = offsets[i], offsets[i + 1]
        shortest = min(shortest, stop - at)
        found = np.uint64(stop - at)
        while at + 8 <= stop:
            word = np.uint64(0)
            for j in range(8):
                word |= np.uint64(data[at + j]) << np.uint64(8 * j)
            found = _mixed(found ^ word)
            at += 8
        word = np.uint64(0)
        for j in range(at, stop):
            word = (word << np.uint64(8)) | np.uint64(data[j])
        found = _mixed(found ^ word)
        found ^= found >> np.uint64(33)
        if found % share == 0:
            hashes[kept] = found
            kept += _U(1)
    return kept, shortest
