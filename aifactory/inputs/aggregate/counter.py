"""Record batches of request rows, checked and added to the sums of one thread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aifactory.inputs.aggregate import kernel
from aifactory.inputs.aggregate.cube import HISTOGRAMMED, UNIT_PARTS
from aifactory.inputs.aggregate.survey import MISSING, MOST, Reading
from aifactory.inputs.aggregate.tables import KEYS

BATCH_ROWS = 65_536
MOST_WORKLOADS = 1_000
_DAY_US = 86_400_000_000
WORDS = {"use_case_id": kernel.USE_CASE, "region": kernel.REGION, "status": kernel.STATUS, "tenant": kernel.TENANT}
_WHOLE = {"input_tokens": kernel.INPUT, "cached_input_tokens": kernel.CACHED, "output_tokens": kernel.OUTPUT}
_REAL = {name: row for row, name in enumerate(kernel.NUMBERS)}
_STATUSES = ("ok", "error", "cancelled")


class NotPlainError(Exception):
    """Something at which the portable path has to look."""


def need(fits: bool) -> None:
    """Leave the log to the portable path unless this holds."""
    if not fits:
        raise NotPlainError


class Counter:
    """Sums of one thread; room grows as rows need it.

    Parameters
    ----------
    reading, between_us, status_of : as for `survey`.
    share : hashes of one in so many request ids are kept.
    most_pages, most_tenants : pages of 1 kB, and sums of a tenant, workload and day, that this thread may hold.
    """

    def __init__(
        self, reading: Reading, between_us: tuple[int, int], status_of: Callable[[str], str | None],
        share: int, most_pages: int, most_tenants: int,
    ) -> None:  # fmt: skip
        self.reading, self.between_us, self.status_of = reading, between_us, status_of
        self.share, self.most_pages, self.most_tenants = np.uint64(share), most_pages, most_tenants
        self.rows = self.late = self.early = self.naive = self.largest = 0
        self.span_us = (2**62, -(2**62))
        self.known = dict.fromkeys(reading.columns, 0)
        self.words: dict[str, dict[str, int]] = {
            "use_case_id": {},
            "region": {reading.region: 0},
            "tenant": {"": 0},
        }
        self.ids: list[np.ndarray] = []
        self._dictionaries: dict[str, tuple[pa.Array, np.ndarray]] = {}
        self._integers = np.zeros((len(kernel.INTEGERS), BATCH_ROWS), "int64")
        self._integers[[kernel.CACHED, kernel.RETRY]] = -1
        self._numbers = np.full((len(kernel.NUMBERS), BATCH_ROWS), np.nan)
        self.first_day = between_us[0] // _DAY_US
        days = -(-between_us[1] // _DAY_US) - self.first_day
        self.slots = np.zeros((1, 1), "int32")
        self.slot_sums = np.zeros((16, 2), "int64")
        self.lines = np.zeros((16, days), "int32")
        self.index = np.zeros((256, kernel.COLUMNS), "int32")
        self.pages = np.zeros((4_096, kernel.PAGE), "int64")
        self.tenant_keys = np.zeros(1_024, "uint64")
        self.tenants = np.zeros((1_024, len(kernel.TENANT_SUMS)), "int64")
        self.used = np.zeros(kernel.USED, "int64")

    def add(self, batch: pa.RecordBatch) -> None:
        """Check the rows of a batch and count them."""
        rows = batch.num_rows
        kept = self._read_times(batch.column(self.reading.columns["timestamp_utc"]))
        for name, theirs in self.reading.columns.items():
            column = batch.column(theirs)
            if name in WORDS:
                self._read_words(name, column)
            elif name in _WHOLE:
                self._read_whole(name, column)
            elif name in _REAL:
                self._read_real(name, column)
            elif name == "is_retry":
                need(pa.types.is_boolean(column.type))
                self._integers[kernel.RETRY, :rows] = _filled(column.cast("int8"))
            elif name == "request_id":
                self._read_ids(column)
            known = self._is_known(name, column)
            if kept is not None:
                known = kept if known is None else known & kept
            self.known[name] += rows if known is None else int(known.sum())
        self.rows += rows
        if kept is not None:
            rows = int(kept.sum())
            self._integers[:, :rows] = self._integers[:, : len(kept)][:, kept]
            self._numbers[:, :rows] = self._numbers[:, : len(kept)][:, kept]
        if rows:
            self._count(rows)

    def _count(self, rows: int) -> None:
        words = tuple(len(self.words[name]) for name in KEYS)
        if any(np.greater(words, self.slots.shape)):
            wider = np.zeros(tuple(2 * count for count in words), "int32")
            wider[: self.slots.shape[0], : self.slots.shape[1]] = self.slots
            self.slots = wider
        done = 0
        while done < rows:
            done = kernel.count_rows(
                self._integers, self._numbers, done, rows, self.first_day, self.slots, self.slot_sums, self.lines,
                self.index, self.pages, self.tenant_keys, self.tenants, self.used,
            )  # fmt: skip
            self._make_room()
        for number, name in enumerate(HISTOGRAMMED):
            values = self._integers[_WHOLE[name]] if name in _WHOLE else self._numbers[_REAL[name]]
            first, done = kernel.MINUTE_PAGES + number * kernel.BUCKET_PAGES, 0
            while done < rows:
                done = kernel.count_values(
                    values, done, rows, self._integers, first, kernel.LOWER, kernel.UPPER, self.index, self.pages,
                    self.used,
                )  # fmt: skip
                self._make_room()

    def _make_room(self) -> None:
        slots, lines, pages = (int(number) for number in self.used[:3])
        need(slots < MOST_WORKLOADS and pages < self.most_pages)
        self.slot_sums, self.lines = _grown(self.slot_sums, slots + 2), _grown(self.lines, slots + 2)
        self.index, self.pages = _grown(self.index, lines + 2), _grown(self.pages, pages + 2)
        if 2 * self.used[5] >= len(self.tenant_keys):
            need(self.used[5] < self.most_tenants)
            keys, sums = np.zeros(4 * len(self.tenant_keys), "uint64"), self.tenants
            self.tenants = np.zeros((len(keys), sums.shape[1]), "int64")
            kernel.move_tenants(self.tenant_keys, sums, keys, self.tenants)
            self.tenant_keys = keys

    def _read_times(self, column: pa.Array) -> np.ndarray | None:
        """Microseconds since 1970; returns which rows are kept, None for all."""
        need(pa.types.is_timestamp(column.type) and column.null_count == 0)
        times = self._integers[kernel.TIME, : len(column)]
        times[:] = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast("int64").to_numpy()
        self.naive += len(column) if column.type.tz is None else 0
        low, high = self.between_us
        if self._spanned(times, low, high):
            return None
        late, early = times >= high, times < low
        self.late, self.early = self.late + int(late.sum()), self.early + int(early.sum())
        kept = ~(late | early)
        self._spanned(times[kept], low, high)
        return kept

    def _spanned(self, times: np.ndarray, low: int, high: int) -> bool:
        """Whether all times lie between low and high; the span then holds them."""
        if len(times) == 0:
            return True
        first, last = int(times.min()), int(times.max())
        within = first >= low and last < high
        if within:
            self.span_us = min(self.span_us[0], first), max(self.span_us[1], last)
        return within

    def _read_words(self, name: str, column: pa.Array) -> None:
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        need(_is_text(coded.type.value_type) or pa.types.is_integer(coded.type.value_type))
        before, numbers = self._dictionaries.get(name, (None, None))
        if before is None or not before.equals(coded.dictionary):
            words = [*coded.dictionary.cast("string").to_pylist(), None]
            numbers = np.array([self._number(name, word) for word in words])
            self._dictionaries[name] = coded.dictionary, numbers
        codes = coded.indices.fill_null(len(coded.dictionary)) if coded.null_count else coded.indices
        found = np.take(numbers, codes, out=self._integers[WORDS[name], : len(column)], mode="clip")
        need(found.min() >= 0)

    def _number(self, name: str, word: str | None) -> int:
        """Number of a word; -1 if no row may hold it."""
        if name == "status":
            word = (word or "").strip()
            status = "ok" if word in MISSING else self.status_of(word)
            return _STATUSES.index(status) if status in _STATUSES else -1
        known = self.words[name]
        if name == "tenant":
            word = word or ""
        elif word is None or word in MISSING:
            return -1
        elif name == "use_case_id" and self.reading.use_cases:
            word = self.reading.use_cases.get(word, word)
        return known.setdefault(word, len(known))

    def _read_whole(self, name: str, column: pa.Array) -> None:
        if pa.types.is_floating(column.type):  # whole numbers beside unknown ones
            column = pc.if_else(pc.is_nan(column), None, column)
            need((pc.max(pc.abs(column)).as_py() or 0) < 2.0**53)
            column = column.cast("int64")
        need(pa.types.is_integer(column.type))
        need(column.null_count == 0 or name == "cached_input_tokens")
        low, high = pc.min_max(column).as_py().values()
        need((low or 0) >= 0 and (high or 0) <= MOST[name])
        self.largest = max(self.largest, high or 0)
        self._integers[_WHOLE[name], : len(column)] = _filled(column.cast("int64") if column.null_count else column)

    def _read_real(self, name: str, column: pa.Array) -> None:
        need(pa.types.is_floating(column.type) or pa.types.is_integer(column.type))
        held = self._numbers[_REAL[name], : len(column)]
        held[:] = column.to_numpy(zero_copy_only=False)
        most = 2.0**53 / UNIT_PARTS if name == "service_units" else MOST[name]
        need(not np.fmin.reduce(held) < 0 and not np.fmax.reduce(held) > most)

    def _read_ids(self, column: pa.Array) -> None:
        text = column.cast("string")
        need(text.null_count == 0)
        _, offsets, data = text.buffers()
        hashes = np.empty(len(text), "uint64")
        begin = np.frombuffer(offsets, "int32")[text.offset : text.offset + len(text) + 1]
        kept, shortest = kernel.hash_texts(begin, np.frombuffer(data or b"\0", "uint8"), self.share, hashes)
        need(shortest > max(map(len, MISSING)) or not pc.any(pc.is_in(text, value_set=pa.array(MISSING))).as_py())
        self.ids.append(hashes[:kept].copy())

    def _is_known(self, name: str, column: pa.Array) -> np.ndarray | None:
        """Which cells hold something; None for all."""
        rows = len(column)
        if name in _REAL:
            return ~np.isnan(self._numbers[_REAL[name], :rows])
        if name == "cached_input_tokens":
            return self._integers[kernel.CACHED, :rows] >= 0
        if name == "tenant":
            return self._integers[kernel.TENANT, :rows] > 0
        if name == "session_id":
            return pc.not_equal(column.cast("string"), "").fill_null(False).to_numpy(zero_copy_only=False)
        return column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _filled(column: pa.Array) -> np.ndarray:
    return (column.fill_null(-1) if column.null_count else column).to_numpy(zero_copy_only=False)


def _grown(array: np.ndarray, rows: int) -> np.ndarray:
    """Room for at least so many rows, the new ones zero."""
    if rows > len(array):
        array.resize((max(rows, 2 * len(array)), *array.shape[1:]), refcheck=False)
    return array
