"""Which trace a file is, by what it holds and never by its name; and what no table can take, with the reason."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aifactory.errors import InputError
from aifactory.inputs.contracts import Contract
from aifactory.inputs.csv_text import OTHER_KINDS, header_separator
from aifactory.inputs.importers.json_text import parse_object
from aifactory.inputs.importers.traces import archives, jobs, requests, windows
from aifactory.inputs.importers.traces.common import Found

SNIFFED_BYTES = 1_000_000


@dataclass(frozen=True)
class Format:
    """One trace format: the table it fills, the names that tell it, and its reader."""

    name: str
    table: str
    marks: frozenset[str]
    read: Callable[[Path], Found]
    kind: str = "columns"


def _of(name: str, table: str, contract: Contract, read: Callable[[Path], Found]) -> Format:
    return Format(name, table, frozenset(item.name for item in contract.fields if item.required), read)


FORMATS = (
    _of("Azure LLM inference trace", "requests", requests.AZURE_LLM, requests.azure_llm),
    _of("BurstGPT requests", "requests", requests.BURSTGPT, requests.burstgpt),
    _of("Alibaba GenTD26 image requests", "requests", requests.GENTD26, requests.gentd26),
    _of("agentic coding sessions", "requests", requests.AGENTIC_CODING, requests.agentic_coding),
    _of("Philly training jobs", "jobs", jobs.PHILLY, jobs.philly),
    _of("Alibaba GPU 2023 pods", "jobs", jobs.ALIBABA_PODS, jobs.alibaba_pods),
    _of("ServeGen client rates", "demand_windows", windows.SERVEGEN_RATES, windows.servegen_rates),
    _of("series of counts (ds, y)", "demand_windows", windows.SERIES, windows.series),
    Format("Mooncake requests", "requests", frozenset({"timestamp", "input_length", "output_length"}), requests.mooncake, "keys"),
    Format("agentic coding sessions (JSON)", "requests", frozenset({"traces/trace_"}), requests.agentic_raw, "members"),
    Format("ServeGen clients", "demand_windows", frozenset({"chunk-"}), windows.servegen_raw, "members"),
)  # fmt: skip

#: Columns of what is known and fits no table -> why, and what it is good for.
REFUSED: dict[frozenset[str], str] = {
    frozenset({"value", "timestamp_anon", "request_type"}): "GenTD26 gateway rates are scaled by the publisher, so they hold no counts of requests; use their profile over the day",
    frozenset({"value", "timestamp_anon", "container_ip"}): "a GenTD26 file of samples does not say what its value is (latency in ms, queue length and GPU duty cycle share one header in three orders of columns); no table takes samples of latency without requests. Its GPU duty cycle can become pools: import it as telemetry with the mapping `columns: {utilization_percent: value, timestamp: timestamp_anon, device: container_ip}`",
    frozenset({"category", "model", "client_id", "field", "p50"}): "ServeGen length quantiles hold no arrivals; import the original layout (MODEL/chunk-N-trace.csv and -dataset.json), which has both",
    frozenset({"instance_sn", "role", "app_name", "gpu_request"}): "instances of recommendation services are no jobs, and pools would need their utilisation; two in five lack even a creation time. Use them for the sizes of services",
    frozenset({"sn", "cpu_milli", "gpu", "model"}): "a list of nodes has no utilisation and no price, which pools need; use it for the mix of cards",
    frozenset({"gpu_model", "gpu_capacity_num", "node_name"}): "a list of nodes has no utilisation and no price, which pools need; use it for the mix of cards",
    frozenset({"session", "models", "block_size", "n_requests_top"}): "a list of sessions has no arrivals; the requests are in the file of requests beside it",
    frozenset({"week_ending", "slug", "total_tokens", "request_count"}): "weekly totals of a market: no window of demand is longer than a day, and spreading a week would invent a profile; use them for growth",
    frozenset({"series", "i", "value"}): "cumulative distributions have no time; use them to compare utilisation and power",
    frozenset({"id", "job_num", "gpu_job_num"}): "a summary of clusters has no rows of jobs; use it to compare queueing and outcomes",
}  # fmt: skip
#: Seconds from 1970 to the year 3000; milliseconds of today are more.
LATEST_S = 32_503_680_000.0
#: Names of columns of which a trace needs one.
TIME_WORDS = ("time", "ts", "ds", "timestamp", "arrival", "created", "start", "t", "date")


def detect_trace(path: Path) -> Format:
    """Format of a trace by its columns, the keys of its first line or the names in its archive.

    Raises
    ------
    InputError
        With the reason where the file is known and no table can take it, else with the known formats.
    """
    if not path.exists():
        raise InputError.at(path.name, "no such file", value=str(path))
    kind, names = sniff(path)
    if not names and path.is_file():
        raise InputError.at(path.name, "is empty", row=1)
    for item in FORMATS:
        if item.kind == kind and (_in_members(item, names) if kind == "members" else item.marks <= set(names)):
            return item
    if kind == "columns":
        _refuse_known(path.name, names)
    known = ", ".join(item.name for item in FORMATS)
    what = {"columns": "header", "keys": "first line", "members": "archive or folder"}[kind]
    raise InputError.at(
        path.name, f"the {what} fits no known trace ({known}); it begins with {', '.join(names[:6])}", row=1
    )


def _in_members(item: Format, names: list[str]) -> bool:
    return any(mark in name for mark in item.marks for name in names)


def _refuse_known(file: str, names: list[str]) -> None:
    for marks, reason in REFUSED.items():
        if marks <= set(names):
            raise InputError.at(file, f"fills no table: {reason}", row=1)
    words = {part for name in names for part in name.lower().replace(" ", "_").split("_")}
    if not words & set(TIME_WORDS):
        shown = ", ".join(names[:6])
        raise InputError.at(
            file, f"the header fits no known trace, and no column says when something happened ({shown})", row=1
        )


def refuse_part(file: str, names: list[str], what: str, needed: tuple[str, ...]) -> None:
    """Refuse a table that has the first of the needed columns, in whatever case, and lacks any of them as written.

    Raises
    ------
    InputError
        Naming the first column that is missing and the nearest that is there.
    """
    missing = [name for name in needed if name not in names]
    if missing and needed[0] in {name.strip().casefold() for name in names}:
        rule = f"is missing: a table of {what} has the columns {', '.join(needed)}"
        raise InputError.at(
            file, rule, row=1, column=missing[0], choices=[name for name in names if name not in needed]
        )


def refuse_milliseconds(file: str, column: str, first: float, row: int | None) -> None:
    """Refuse a time in seconds that lies beyond the year 3000, as milliseconds since 1970 do.

    Raises
    ------
    InputError
        Naming the time and what to do.
    """
    if first > LATEST_S:
        rule = "must be seconds: that many are in no year to come. Are these milliseconds? Divide by 1000"
        raise InputError.at(file, rule, row=row, column=column, value=first)


def sniff(path: Path) -> tuple[str, list[str]]:
    """Kind of a file and its names: columns, keys of the first line, or members."""
    if path.is_dir():
        return "members", archives.names(path)
    with path.open("rb") as stream:
        begin = stream.read(SNIFFED_BYTES)
    if begin.startswith(b"PAR1"):
        return "columns", _parquet_names(path)
    if begin.startswith(b"\x1f\x8b"):
        begin = _unpacked(path)
    if begin[257:262] == b"ustar":
        return "members", archives.names(path)
    begin = begin.removeprefix(codecs.BOM_UTF8)
    if begin.lstrip().startswith(b"{"):
        return "keys", list(parse_object(path.name, 1, begin.splitlines()[0] if b"\n" in begin else begin))
    kind = next((name for mark, name in OTHER_KINDS if begin.startswith(mark)), "")
    if kind or b"\0" in begin[:4096]:
        held = f"holds {kind}" if kind else "is no text"
        raise InputError.at(
            path.name, f"{held}; a trace is CSV, Parquet, JSON with one object a line, or a tar archive"
        )
    text = begin.decode("utf-8", errors="replace")
    return "columns", next(csv.reader(io.StringIO(text, newline=""), delimiter=header_separator(text)), [])


def _parquet_names(path: Path) -> list[str]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_schema(path).names
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError.at(path.name, f"is not a readable Parquet file: {str(error).splitlines()[0][:120]}") from None


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as stream:
            return stream.read(SNIFFED_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError.at(path.name, f"cannot be read: {error}") from None
