"""Parquet files on this machine, checked and counted in one scan by compiled code.

The portable path (`survey`, `cube`) asks an engine several times about a log: to look it over, to code it,
to group it. Here each row group is read once, by as many threads as wanted, and each row is added where it
belongs. The tables are the same to the last digit. Only what is sound and plainly stored is counted here: for
anything else (a negative number, a word nobody knows, text in a column of numbers, an id that stands twice)
`count_files` returns None, and the portable path counts it or names row and column of what is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from aifactory.inputs.aggregate import kernel
from aifactory.inputs.aggregate.buckets import BUCKET_OF_ZERO, LOWEST_BUCKET
from aifactory.inputs.aggregate.counter import BATCH_ROWS, WORDS, Counter, NotPlainError, need
from aifactory.inputs.aggregate.engine import is_parquet
from aifactory.inputs.aggregate.survey import Reading, Survey
from aifactory.inputs.aggregate.tables import KEYS, Aggregates, histograms_table, tenants_table, windows_table

#: Pages of 1 kB that all threads together may hold; the portable path spills what does not fit.
MOST_PAGES = 500_000
#: Sums of a tenant, workload and day that all threads together may hold, about 150 bytes each.
MOST_TENANTS = 2_000_000
NOBODY = "(none)"
#: More threads would wait for the disk, and each needs room for a month of its own.
MOST_THREADS = 4


@dataclass(frozen=True)
class Counted:
    """What one scan tells; teams with requests, errors and sums of tokens; one in `share` ids was compared."""

    survey: Survey
    aggregates: Aggregates
    teams: pd.DataFrame
    share: int


def columns_of(files: Sequence[Path]) -> list[str]:
    """Columns of Parquet files; none if they are of another kind or differ."""
    if not files or not all(is_parquet(path) for path in files):
        return []
    try:
        headers = [parquet.read_schema(path).names for path in files]
    except (pa.ArrowException, OSError):
        return []
    first = headers[0]
    return first if all(sorted(header) == sorted(first) for header in headers) and len(set(first)) == len(first) else []


def count_files(
    files: Sequence[Path], reading: Reading, between_us: tuple[int, int], status_of: Callable[[str], str | None],
    *, ids_compared: int, threads: int = 1,
) -> Counted | None:  # fmt: skip
    """Survey, aggregates and sums by team of Parquet files; None where the portable path has to look.

    Parameters
    ----------
    files : Parquet files with the same columns.
    reading, between_us, status_of : as for `survey`.
    ids_compared : up to so many rows all request ids are compared; beyond, those of one in k.
    """
    groups, rows = [], 0
    for path in files:
        metadata = parquet.read_metadata(path)
        groups += [(path, number) for number in range(metadata.num_row_groups)]
        rows += metadata.num_rows
    share, threads = max(-(-rows // ids_compared), 1), min(threads, MOST_THREADS)
    work, guard, stop = iter(groups), threading.Lock(), threading.Event()

    def count() -> Counter:
        counter = Counter(reading, between_us, status_of, share, MOST_PAGES // threads, MOST_TENANTS // threads)
        try:
            while not stop.is_set():
                with guard:
                    task = next(work, None)
                if task is None:
                    break
                for batch in _batches(*task, reading):
                    counter.add(batch)
        except Exception:
            stop.set()
            raise
        return counter

    try:
        with ThreadPoolExecutor(threads) as pool:
            counters = [done.result() for done in [pool.submit(count) for _ in range(threads)]]
            compared = pool.submit(_compare_ids, counters)
            found = _gathered(counters, reading, between_us, share)
            compared.result()
    except (NotPlainError, pa.ArrowException, OSError):
        return None
    return found


def _batches(path: Path, group: int, reading: Reading) -> Iterator[pa.RecordBatch]:
    schema = parquet.read_schema(path)
    words = [reading.columns[name] for name in WORDS if name in reading.columns]
    coded = [name for name in words if pa.types.is_string(schema.field(name).type)]
    with parquet.ParquetFile(path, read_dictionary=coded) as file:
        yield from file.iter_batches(BATCH_ROWS, [group], list(reading.columns.values()), use_threads=False)


def _compare_ids(counters: list[Counter]) -> None:
    """Two ids of the same 64-bit hash are one id or, once in 10^5 logs of 10^7 compared ids, a reason to look."""
    hashes = np.concatenate([np.empty(0, "uint64"), *(part for counter in counters for part in counter.ids)])
    hashes.sort()
    need(not (hashes[1:] == hashes[:-1]).any())


def _gathered(counters: list[Counter], reading: Reading, between_us: tuple[int, int], share: int) -> Counted:
    added = {name: sum(getattr(one, name) for one in counters) for name in ("rows", "late", "early", "naive")}
    need(added["rows"] > 0 and max(one.largest for one in counters) * added["rows"] < 2**62)
    contradicting, over_cached = (sum(int(one.used[place]) for one in counters) for place in (3, 4))
    parts = [_Part(counter) for counter in counters]
    pairs = sorted(set().union(*(part.pairs for part in parts)))
    need(len(pairs) > 0)
    numbers = {pair: number for number, pair in enumerate(pairs)}
    sums = np.zeros((len(pairs), 2), "int64")
    for part in parts:
        part.number(numbers)
        np.add.at(sums, part.workload, part.counter.slot_sums[1 : len(part.workload) + 1])
    numbered = pd.DataFrame(pairs, columns=KEYS).astype("str").assign(workload=range(len(pairs)))
    found = Survey(
        replace(
            reading,
            between_us=between_us if added["late"] or added["early"] else None,
            contradicting=contradicting > 0,
            over_cached=over_cached > 0,
        ),
        known={name: sum(one.known[name] for one in counters) for name in reading.columns},
        workloads=numbered[KEYS].assign(rows=sums[:, 0], errors=sums[:, 1], workload=numbered["workload"]),
        contradicting=contradicting,
        over_cached=over_cached,
        span_us=(min(one.span_us[0] for one in counters), max(one.span_us[1] for one in counters)),
        **added,
    )
    tenants = pd.concat([part.tenants() for part in parts], ignore_index=True)
    with ThreadPoolExecutor(2) as pool:
        windows = pool.submit(lambda: windows_table(_cube(parts), numbered))
        aggregates = Aggregates(
            histograms=histograms_table(_buckets(parts), numbered),
            windows=windows.result(),
            tenants=tenants_table(tenants[tenants["tenant"] != ""], numbered),
        )
    return Counted(found, aggregates, _teams(tenants), share)


class _Part:
    """Where the pages of one thread belong."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        use_cases, regions = (list(counter.words[name]) for name in KEYS)
        self.pairs = [(use_cases[use_case], regions[region]) for use_case, region in _in_order(counter.slots)]

    def number(self, numbers: dict[tuple[str, str], int]) -> None:
        """Number of the workload of each slot, and workload and day of each line."""
        self.workload = np.array([numbers[pair] for pair in self.pairs], "int64")
        slots, days = _in_order(self.counter.lines[1:]).T
        self.lines = np.stack([self.workload[slots], days + self.counter.first_day])

    def pages(self, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Place (day, column, workload) and number of the pages in some columns; no place occurs twice."""
        index = self.counter.index[1 : self.lines.shape[1] + 1, columns]
        line, column = np.nonzero(index)
        workload, day = self.lines[:, line]
        return np.stack([day, column, workload]), index[line, column]

    def tenants(self) -> pd.DataFrame:
        """Workload, day, name and sums of each tenant; no name stands for requests that name none."""
        used = self.counter.tenant_keys > 0
        keys = self.counter.tenant_keys[used]
        workload, day = self.lines[:, (keys >> np.uint64(32)).astype("int64") - 1]
        names = np.array(list(self.counter.words["tenant"]), "object")[(keys & np.uint64(2**32 - 1)).astype("int64")]
        sums = dict(zip(kernel.TENANT_SUMS, self.counter.tenants[used].T, strict=True))
        return pd.DataFrame({"workload": workload, "day": day, "tenant": pd.Series(names, dtype="str"), **sums})


def _in_order(numbers: np.ndarray) -> np.ndarray:
    """Places of the numbers 1, 2, 3... in a table that holds zeros otherwise."""
    places = np.argwhere(numbers > 0)
    return places[np.argsort(numbers[numbers > 0])]


def _merged(parts: list[_Part], columns: slice, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Pages of all threads in the order of day, group of `blocks` columns, workload and block; same places added."""
    held = [part.pages(columns) for part in parts]
    day, column, workload = np.concatenate([places for places, _ in held], axis=1)
    order = np.lexsort([column % blocks, workload, column // blocks, day])
    places = np.stack([day, column // blocks, workload, column % blocks])[:, order]
    differs = np.ones(len(order), "bool")
    differs[1:] = (np.diff(places) != 0).any(axis=0)
    target = np.empty(len(order), "int64")
    target[order] = np.cumsum(differs) - 1
    pages = np.zeros((int(differs.sum()), kernel.PAGE), "int64")
    ends = np.cumsum([len(numbers) for _, numbers in held])
    for part, (_, numbers), at in zip(parts, held, np.split(target, ends[:-1]), strict=True):
        kernel.add_pages(pages, at, part.counter.pages, numbers)
    return places[:, differs], pages


def _cube(parts: list[_Part]) -> pd.DataFrame:
    """The minute cube in the order of minute and workload."""
    (days, columns, workloads, _), pages = _merged(parts, slice(0, kernel.MINUTE_PAGES), 1)
    cells = pages.reshape(-1, kernel.MINUTES, len(kernel.CELL))
    page, minute = np.nonzero(cells[:, :, 0])
    minutes = days[page] * 1440 + columns[page] * kernel.MINUTES + minute
    order = np.argsort(minutes * (workloads.max() + 1) + workloads[page], kind="stable")
    page, minute = page[order], minute[order]
    sums = dict(zip(kernel.CELL, cells[page, minute].T, strict=True))
    sums["requests"], sums["probed"] = sums["requests"] % kernel.PROBED, sums["requests"] // kernel.PROBED
    known = sums.pop("known")
    for name, rows in (("cached_input_tokens", known % kernel.KNOWN_RETRY), ("retry", known // kernel.KNOWN_RETRY)):
        sums[name] = pd.arrays.IntegerArray(np.ascontiguousarray(sums[name]), rows == 0)
    return pd.DataFrame({"workload": workloads[page], "minute": minutes[order], **sums})


def _buckets(parts: list[_Part]) -> dict[str, np.ndarray]:
    """Counts by day, metric, workload and bucket, in this order."""
    (days, metrics, workloads, blocks), pages = _merged(
        parts, slice(kernel.MINUTE_PAGES, kernel.COLUMNS), kernel.BUCKET_PAGES
    )
    page, place = np.nonzero(pages)
    counts = pages[page, place]
    place += blocks[page] * kernel.PAGE
    buckets = np.where(place == 0, BUCKET_OF_ZERO, place + LOWEST_BUCKET - 1)
    return {"day": days[page], "metric": metrics[page], "workload": workloads[page], "bucket": buckets, "count": counts}


def _teams(tenants: pd.DataFrame) -> pd.DataFrame:
    """Requests, errors and tokens by team."""
    names = tenants["tenant"].where(tenants["tenant"] != "", NOBODY)
    found = tenants[[*kernel.TENANT_SUMS]].groupby(names).sum().astype("Int64")
    return found.assign(cached_input_tokens=found["cached_input_tokens"].where(found["known"] > 0))
