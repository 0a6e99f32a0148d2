"""Find out what a file of telemetry is by its content, and read it."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import zlib
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.csv_text import header_separator
from aifactory.inputs.importers.json_text import json_lines
from aifactory.inputs.importers.target import Target
from aifactory.inputs.importers.telemetry import devices, langfuse, litellm, litellm_daily, otlp, rows
from aifactory.inputs.importers.telemetry.common import Telemetry, finish, telemetry_report
from aifactory.inputs.importers.telemetry.otlp_metrics import FORMAT as OTLP_METRICS
from aifactory.inputs.importers.telemetry.otlp_metrics import read_otlp_metrics
from aifactory.inputs.importers.telemetry.prometheus.answers import read_answer, read_json
from aifactory.inputs.importers.telemetry.prometheus.assemble import Month, assemble
from aifactory.inputs.importers.telemetry.prometheus.latency import latency_table
from aifactory.inputs.importers.telemetry.prometheus.pools import PoolNames, add_pools
from aifactory.inputs.importers.telemetry.prometheus.report import demand_table, leave_out_future, month_report
from aifactory.inputs.tables import read_text

SNIFFED_BYTES = 65_536
WINDOW_MINUTES = 60
#: Keys of a call that hold what was said.
PAYLOADS = {"messages", "response", "prompt", "completion", "input", "output", "proxy_server_request"}
OTLP_LABELS = {"workload": "service_name", "region": "cloud_region"}
#: The table that a source fills, its rows and the ending of its file.
Table = tuple[str, pd.DataFrame, str]


def import_telemetry(path: Path, target: Target) -> tuple[dict[str, object], list[Table]]:
    """Report on a file of telemetry, and the tables it fills."""
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    begin = _beginning(path)
    if begin.lstrip().startswith(b"{") and b'"resourceMetrics"' in begin:
        return _metrics(path, target)
    if not begin.lstrip().startswith((b"{", b"[")):
        names = _names(path, begin)
        if litellm_daily.is_daily(names):
            daily = litellm_daily.read_daily(path, *read_text(path), target)
            return daily.report, [("demand_windows", daily.windows, ".parquet")]
        if devices.device_columns(names, target.columns) and "input_tokens" not in rows.find_columns(names, {}):
            return _devices(path, begin, target)
    today = target.today if target.today is not None else pd.Timestamp.max.tz_localize("UTC").as_unit("us")
    found = read_telemetry(path, today, region=target.region, use_cases=target.use_cases, columns=target.columns)
    return {"source": path.name} | telemetry_report(found), [("requests", found.rows, ".parquet")]


def _metrics(path: Path, target: Target) -> tuple[dict[str, object], list[Table]]:
    samples, points = read_otlp_metrics(path, WINDOW_MINUTES)
    month = assemble(samples, WINDOW_MINUTES, OTLP_LABELS | target.labels)
    leave_out_future(month, target.today)
    windows = demand_table(path.name, month, target.region, target.use_cases)
    month.rows_read = points
    latency = latency_table(month, target.region, target.use_cases)
    tables = [("demand_windows", windows, ".parquet"), ("latency_bounds", latency, ".parquet")]
    return {"source": path.name} | month_report(month, OTLP_METRICS, points), [item for item in tables if len(item[1])]


def _devices(path: Path, begin: bytes, target: Target) -> tuple[dict[str, object], list[Table]]:
    text, notes = (devices.smi_text(path), []) if devices.is_smi(begin) else read_text(path)
    columns = devices.device_columns(text.columns, target.columns)
    samples, warnings = devices.read_devices(path, text, columns, WINDOW_MINUTES)
    month = Month(pd.DataFrame(), WINDOW_MINUTES, warnings=[*notes, *warnings], rows_read=len(text))
    add_pools(month, samples, PoolNames.of(target))
    days = [pd.Timestamp(edge, unit="s") for edge in (samples.start, samples.end - 1)]
    report = month_report(month, devices.FORMAT, len(text)) | {"period": [str(day)[:10] for day in days]}
    return {"source": path.name} | report, [item for item in [("pools", month.pools, ".csv")] if len(item[1])]


def read_telemetry(
    path: Path | str, today: pd.Timestamp, *, region: str = "", use_cases: dict[str, str] | None = None,
    columns: dict[str, str] | None = None,
) -> Telemetry:  # fmt: skip
    """Read request rows, LiteLLM spend logs, Langfuse observations or OpenTelemetry GenAI spans.

    Parameters
    ----------
    today : day of import; rows after it are left out and counted.
    region : region where the file names none.
    use_cases : name in the file -> use case of the workspace.
    columns : column of the `requests` table -> column of the file, where the names are unusual.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    found = _read(path, region, columns or {})
    renamed = found.rows["use_case_id"].astype("str").replace(use_cases or {})
    found.rows = found.rows.assign(use_case_id=renamed).reindex(
        columns=list(dict.fromkeys([*found.rows.columns, *rows.NAMES]))
    )
    return finish(path.name, found, today)


def _read(path: Path, region: str, columns: dict[str, str]) -> Telemetry:
    begin = _beginning(path)
    if begin.lstrip().startswith(b"["):
        held = read_json(path)
        if b'"resourceSpans"' in begin and isinstance(held, list):
            return otlp.read_otlp(path, region, held)
        return _observations(path, held, region, columns)
    if begin.lstrip().startswith(b"{"):
        return _objects(path, begin, region, columns)
    text, notes = read_text(path)
    found = _calls(path, text, region, columns)
    found.warnings = [*notes, *found.warnings]
    return found


def _calls(path: Path, text: pd.DataFrame, region: str, columns: dict[str, str]) -> Telemetry:
    """A table with one row for each call, of whatever layout."""
    if langfuse.is_langfuse(text.columns):
        return langfuse.read_langfuse(path, text, region)
    if set(text.columns) >= litellm.MARKS:
        if not region:
            raise InputError.at(path.name, "the log names no region; say it with --region")
        return litellm.read_litellm(path, text, region)
    return rows.read_rows(path, text, rows.find_columns(list(text.columns), columns), region)


def _objects(path: Path, begin: bytes, region: str, columns: dict[str, str]) -> Telemetry:
    """A file of JSON objects: spans, an answer of Prometheus, observations, or a log with one object a line."""
    if b'"resourceSpans"' in begin or (b'"batches"' in begin and b'Spans"' in begin):  # Tempo: batches
        return otlp.read_otlp(path, region)
    if b'"resource_spans"' in begin:
        rule = "names its fields as resource_spans, start_time_unix_nano; OTLP/JSON has resourceSpans, startTimeUnixNano: export it so"
        raise InputError.at(path.name, rule)
    first = _first_object(path)
    if first is not None and langfuse.is_langfuse(first):
        return langfuse.read_langfuse(path, _frame([held for _, held in json_lines(path)]), region)
    if first is not None and _is_call(first, columns):
        return _calls(path, _cells([held for _, held in json_lines(path)]), region, columns)
    if b'"status"' in begin:
        read_answer(path)  # tells what the server said, or that there is no series
        raise InputError.at(path.name, "is one answer of Prometheus; import the folder that holds it and the others")
    if b'"data"' in begin:
        held = read_json(path)
        found = _observations(path, held.get("data") if isinstance(held, dict) else None, region, columns)
        found.warnings += _pages(held)
        return found
    raise InputError.at(
        path.name, 'is JSON, but not OTLP spans (no "resourceSpans" in its beginning) nor a log of calls'
    )


def _pages(held: object) -> list[tuple[str, int]]:
    """A remark where an answer of an API is one page of several."""
    meta = held.get("meta") if isinstance(held, dict) else None
    pages = meta.get("totalPages", 1) if isinstance(meta, dict) else 1
    if not isinstance(pages, int) or pages <= 1:
        return []
    rows = meta.get("totalItems")
    return [(f"is page {meta.get('page', '?')} of {pages}: import all of them", rows if isinstance(rows, int) else 0)]


def _observations(path: Path, held: object, region: str, columns: dict[str, str]) -> Telemetry:
    """A JSON list of Langfuse observations or of other calls."""
    if not isinstance(held, list) or not held or not all(isinstance(item, dict) for item in held):
        raise InputError.at(path.name, "is a JSON list, not telemetry; spans and answers begin with '{'")
    frame = _frame(held)
    if not langfuse.is_langfuse(frame.columns):
        if _is_call(held[0], columns):
            return _calls(path, _cells(held), region, columns)
        rule = f"is a JSON list of objects, but neither of calls nor of Langfuse observations ({', '.join(sorted(langfuse.MARKS))})"
        raise InputError.at(path.name, rule)
    return langfuse.read_langfuse(path, frame, region)


def _is_call(item: dict, columns: dict[str, str]) -> bool:
    """Whether an object has most of what a request row needs, or is a call of the proxy."""
    found = rows.find_columns(list(item), columns)
    return sum(name in found for name in rows.NEEDED) > 1 or item.keys() >= litellm.MARKS


def _cells(held: list[dict]) -> pd.DataFrame:
    """Objects as the cells of a table: what is nested as JSON, null as an empty cell; prompts and answers dropped."""
    texts = [{name: _cell(value) for name, value in item.items() if name not in PAYLOADS} for item in held]
    return pd.DataFrame(texts, dtype="str").fillna("")


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _frame(held: list[dict]) -> pd.DataFrame:
    """Observations without their payloads, which are dropped before anything else sees them."""
    kept = [{key: value for key, value in item.items() if langfuse.snake(key) in langfuse.KEPT} for item in held]
    return pd.DataFrame(kept, dtype="object")


def _first_object(path: Path) -> dict | None:
    """The first line as an object; None if it is none."""
    try:
        return next(json_lines(path))[1]
    except (InputError, StopIteration):
        return None


def _names(path: Path, begin: bytes) -> list[str]:
    """Columns of a file by its beginning: the schema of Parquet, or the first line; what cannot be read has none."""
    if not begin.startswith(b"PAR1"):
        text = begin.decode("utf-8", errors="replace")
        return next(csv.reader(text.splitlines()[:1], delimiter=header_separator(text)), [])
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_schema(path).names
    except (pa.ArrowInvalid, OSError):
        return []  # told in words by whoever reads it


def _beginning(path: Path) -> bytes:
    """First bytes of a file, unpacked; of one that is marked as Unicode, as UTF-8 without its mark."""
    raw = _first_bytes(path)
    marked = raw.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return raw.decode(json.detect_encoding(raw), "replace").encode("utf-8", "replace") if marked else raw


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        raw = stream.read(SNIFFED_BYTES)
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        with gzip.open(path) as stream:
            return stream.read(SNIFFED_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError.at(path.name, f"cannot be read: {error}") from None
