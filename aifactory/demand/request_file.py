"""Generated requests as a Parquet file in the terms of the contract `requests`, written as they are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aifactory.demand.request_draw import Rows, draw_hours, joined
from aifactory.demand.request_plan import RequestPlan, plan_requests
from aifactory.errors import InputError
from aifactory.units import counted

FIRST_DAY, DEFAULT_DAYS = "2026-10-05", 28
YEARS = range(1970, 2201)
ROW_GROUP = 1 << 20
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype="uint8")
ID_DIGITS = 12
SUMMED = ("workload_class", "region", "team")


def request_tables(plan: RequestPlan, first_day: str = FIRST_DAY, rows: int = ROW_GROUP) -> Iterator[pa.Table]:
    """Tables of `rows` requests each (the last one shorter), in order of time."""
    held: list[Rows] = []
    waiting, done = 0, 0
    for part in draw_hours(plan):
        held.append(part)
        waiting += len(part.time_us)
        while waiting >= rows:
            whole = joined(held)
            yield _table(plan, whole.take(slice(0, rows)), first_day, done)
            held, waiting, done = [whole.take(slice(rows, None))], waiting - rows, done + rows
    if waiting:
        yield _table(plan, joined(held), first_day, done)


def generate_file(
    path: Path, requests: int, seed: int, days: int = DEFAULT_DAYS, first_day: str = FIRST_DAY, only: str = ""
) -> dict[str, object]:
    """Write the requests of a synthetic company; the same arguments give the same bytes.

    Parameters
    ----------
    requests : rows to write, exactly.
    days : whole days over which they fall, from `first_day`.
    only : a workload class, a use case or use case/region; the whole company without.

    Returns
    -------
    What was written: rows, and requests by class, region and team, each adding up to the rows.

    Raises
    ------
    InputError
        If a number is out of bounds, the day is none, there is no such stream or the file does not end in .parquet.
    """
    path = Path(path)
    if path.suffix != ".parquet":
        raise InputError.at("--out", "must end in .parquet", value=str(path))
    if not path.parent.is_dir():
        raise InputError.at("--out", "lies in a folder that does not exist", value=str(path))
    day = pd.to_datetime(first_day, format="%Y-%m-%d", errors="coerce")
    if pd.isna(day) or day.year not in YEARS:
        rule = f"must be a date such as 2026-10-05, of the years {YEARS[0]} to {YEARS[-1]}"
        raise InputError.at("--first-day", rule, value=first_day)
    plan = plan_requests(requests, days, seed, only)
    names, rows = _names(plan), 0
    sums: dict[str, dict[str, int]] = {name: dict.fromkeys(dict.fromkeys(names[name]), 0) for name in SUMMED}
    part = path.with_name(f".{path.name}.part")
    try:
        with pq.ParquetWriter(part, _schema(), compression="snappy", use_dictionary=list(names)) as writer:
            for table in request_tables(plan, first_day):
                writer.write_table(table, row_group_size=ROW_GROUP)
                rows += table.num_rows
                _add(sums, table)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return {"file": path.name, "rows": rows, "seed": seed, "days": days} | {f"by_{name}": sums[name] for name in SUMMED}


def _add(sums: dict[str, dict[str, int]], table: pa.Table) -> None:
    for name, counts in sums.items():
        column = table[name].combine_chunks()
        held = np.bincount(column.indices.to_numpy(), minlength=len(column.dictionary))
        for word, count in zip(column.dictionary.to_pylist(), held.tolist(), strict=True):
            counts[word] += count


def generated_lines(found: dict[str, object]) -> list[str]:
    """What was written, as text."""
    lines = [
        f"{counted(found['rows'], 'request')} over {counted(found['days'], 'day')} in {found['file']}, seed {found['seed']}."
    ]
    for name in SUMMED:
        counts = ", ".join(f"{word} {count:,}" for word, count in found[f"by_{name}"].items())
        lines.append(f"By {name.replace('_', ' ')}: {counts}.")
    return lines


def _schema() -> pa.Schema:
    words = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("request_id", pa.string()),
            ("timestamp_utc", pa.timestamp("us", tz="UTC")),
            ("use_case_id", words),
            ("workload_class", words),
            ("team", words),
            ("region", words),
            ("tenant", words),
            ("session_id", pa.string()),
            ("status", words),
            ("service_units", pa.float64()),
            ("input_tokens", pa.int32()),
            ("cached_input_tokens", pa.int32()),
            ("output_tokens", pa.int32()),
        ]
    )


def _names(plan: RequestPlan) -> dict[str, list[str]]:
    """Words of each column of words."""
    streams = plan.streams
    return {
        "use_case_id": [stream.use_case for stream in streams],
        "workload_class": [stream.workload_class for stream in streams],
        "team": [stream.team for stream in streams],
        "region": [stream.region for stream in streams],
        "tenant": [f"{stream.use_case}-{stream.region}-{client:04d}" for stream in streams for client in range(stream.shape.clients)],
        "status": ["ok", "error"],
    }  # fmt: skip


def _table(plan: RequestPlan, rows: Rows, first_day: str, done: int) -> pa.Table:
    names, schema = _names(plan), _schema()
    offsets = np.cumsum([0, *(stream.shape.clients for stream in plan.streams)])[:-1]
    start = pd.Timestamp(first_day).value // 1000
    columns = {
        "request_id": _ids(np.arange(done, done + len(rows.time_us), dtype="int64")),
        "timestamp_utc": pa.array(rows.time_us + start, type=schema.field("timestamp_utc").type),
        "tenant": _words(offsets[rows.stream] + rows.client, names["tenant"]),
        "session_id": _ids(rows.session),
        "status": _words(rows.failed, names["status"]),
        **{name: pa.array(getattr(rows, name)) for name in ("service_units", "input_tokens", "cached_input_tokens", "output_tokens")},
        **{name: _words(rows.stream, names[name]) for name in ("use_case_id", "workload_class", "team", "region")},
    }  # fmt: skip
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _words(codes: np.ndarray, words: list[str]) -> pa.DictionaryArray:
    """Codes of words; a word that several codes share stands once."""
    once = {word: place for place, word in enumerate(dict.fromkeys(words))}
    place = np.array([once[word] for word in words], dtype="int32")
    return pa.DictionaryArray.from_arrays(pa.array(place[codes.astype("int32")]), pa.array(list(once)))


def _ids(numbers: np.ndarray) -> pa.StringArray:
    """Numbers as text of twelve hexadecimal digits; missing below 0."""
    count = len(numbers)
    digits = np.empty((count, ID_DIGITS), dtype="uint8")
    for place in range(ID_DIGITS):
        digits[:, place] = _DIGITS[(numbers >> (4 * (ID_DIGITS - 1 - place))) & 15]
    known = numbers >= 0
    offsets = np.concatenate([[0], np.cumsum(np.where(known, ID_DIGITS, 0))]).astype("int32")
    validity = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little").tobytes())
    text = digits if known.all() else digits[known]
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text.tobytes()), validity)
