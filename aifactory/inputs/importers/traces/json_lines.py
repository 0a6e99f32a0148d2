"""Traces stored as JSON: Mooncake lines, and the original sessions of coding agents."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.json_text import json_lines, parse_object
from aifactory.inputs.importers.traces.archives import members
from aifactory.inputs.importers.traces.reuse import leading_hits

#: Requests a second, on average, above which times with parts of a millisecond are taken for seconds.
MOST_PER_S = 100.0
_MOONCAKE = {"ms": "timestamp", "input_tokens": "input_length", "output_tokens": "output_length"}


def mooncake_rows(path: Path) -> tuple[pd.DataFrame, list[list[int | str]]]:
    """Rows (ms, input_tokens, output_tokens) in order of arrival, and the hashes of the blocks of each.

    Times are milliseconds, or seconds in a file whose name says so (as a bench pack names its own, and GuideLLM's).

    Raises
    ------
    InputError
        For a line that is no request, and for parts of milliseconds at a rate that nobody serves: those are seconds.
    """
    rows, blocks = [], []
    for number, line in json_lines(path):
        rows.append([_number(path.name, number, line, key, whole=ours != "ms") for ours, key in _MOONCAKE.items()])
        ids = line.get("hash_ids", [])
        if not isinstance(ids, list) or not all(isinstance(item, int | str) for item in ids):
            raise InputError.at(path.name, "must be a list of block hashes", row=number, column="hash_ids")
        blocks.append(ids)
    if not rows:
        raise InputError.at(path.name, "holds no requests")
    frame = pd.DataFrame(rows, columns=list(_MOONCAKE))
    frame["ms"] *= 1000.0 if _unit(path.name) == "seconds" else 1.0
    _refuse_seconds(path.name, frame["ms"].to_numpy())
    order = np.argsort(frame["ms"].to_numpy(), kind="stable")
    return frame.iloc[order].reset_index(drop=True), [blocks[at] for at in order]


def _unit(name: str) -> str:
    """Unit of the times that the name of a file states: seconds, milliseconds, or '' where it states none.

    >>> _unit("a.mooncake.seconds.jsonl"), _unit("a.mooncake.milliseconds.jsonl"), _unit("trace.jsonl")
    ('seconds', 'milliseconds', '')
    """
    found = re.search(r"(?<![a-z])(milli)?seconds(?![a-z])", name.lower())
    return found[0] if found else ""


def fast_warning(file: str, ms: np.ndarray) -> list[tuple[str, int]]:
    """Whole numbers that are read as milliseconds at a rate that few serve may be seconds; nothing where the name tells."""
    rate = (len(ms) - 1) / max(float(np.ptp(ms)) / 1000, 1e-9)
    if _unit(file) or rate <= MOST_PER_S:
        return []
    way = "where they are seconds, say so in the name of the file, as in trace.seconds.jsonl"
    return [(f"times were read as milliseconds, {rate:,.0f} requests a second on average: {way}", len(ms))]


def _refuse_seconds(file: str, ms: np.ndarray) -> None:
    """Refuse times with parts of a millisecond that would mean more than `MOST_PER_S` requests a second on average."""
    parts = np.flatnonzero(ms != np.round(ms))
    rate = (len(ms) - 1) / max(float(np.ptp(ms)) / 1000, 1e-9)
    if len(parts) and rate > MOST_PER_S and not _unit(file):
        rule = f"is no whole number of milliseconds, and {rate:,.0f} requests would come a second: are these seconds? "
        way = "Say in the name of the file which they are, as in trace.seconds.jsonl or trace.milliseconds.jsonl"
        raise InputError.at(file, rule + way, row=int(parts[0]) + 1, column="timestamp", value=float(ms[parts[0]]))


def _number(file: str, row: int, held: dict, key: str, *, whole: bool, required: bool = True) -> float | int | None:
    value = held.get(key)
    if value is None and not required:
        return None
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
    if not good or not math.isfinite(value) or (whole and value != int(value)):
        rule = f"must be a {'whole ' if whole else ''}number, 0 or more"
        raise InputError.at(file, rule, row=row, column=key, value=value if value is None else str(value)[:40])
    return int(value) if whole else float(value)


def agentic_archive(path: Path) -> pd.DataFrame:
    """Requests of all sessions: session, idx, t, in, out, api_time, prefix_hit_blocks.

    Requests of sub-agents stand inside their own list; a session shares one space of block hashes.
    """
    rows: list[list[object]] = []
    for name, content in members(path):
        if name.endswith(".json"):
            rows += _session(name, parse_object(name, None, content))
    if not rows:
        raise InputError.at(path.name, "holds no session of requests")
    return pd.DataFrame(rows, columns=["session", "idx", "t", "in", "out", "api_time", "prefix_hit_blocks"])


def _session(file: str, held: dict) -> list[list[object]]:
    calls = list(_calls(file, held.get("requests"), 0.0))
    blocks = [call.get("hash_ids") or [] for _, call in calls]
    hits = leading_hits(blocks)
    return [
        [
            str(held.get("id", file)),
            number,
            start,
            _number(file, number + 1, call, "in", whole=True, required=False),
            _number(file, number + 1, call, "out", whole=True, required=False),
            _number(file, number + 1, call, "api_time", whole=False, required=False),
            int(hits[number]),
        ]
        for number, (start, call) in enumerate(calls)
    ]


def _calls(file: str, requests: object, offset: float, depth: int = 0) -> Iterator[tuple[float, dict]]:
    if not isinstance(requests, list) or depth > 8:
        raise InputError.at(file, 'must hold a list of "requests"')
    for number, call in enumerate(requests, 1):
        if not isinstance(call, dict):
            raise InputError.at(file, "must be a JSON object", row=number)
        start = offset + float(_number(file, number, call, "t", whole=False) or 0.0)
        if isinstance(call.get("requests"), list):
            yield from _calls(file, call["requests"], start, depth + 1)
        else:
            yield start, call


def text_of(raw: bytes) -> io.StringIO:
    """Text of a member of an archive."""
    return io.StringIO(raw.decode("utf-8", errors="replace"))
