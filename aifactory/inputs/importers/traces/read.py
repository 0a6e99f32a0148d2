"""A trace into the table it fills, or as bare arrivals for a simulation."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.target import Target
from aifactory.inputs.importers.telemetry.rows import TYPES, find_columns
from aifactory.inputs.importers.traces import jobs as job_traces
from aifactory.inputs.importers.traces import requests as request_traces
from aifactory.inputs.importers.traces.common import (
    NO_SHIFT,
    Found,
    on_days,
    seconds_after,
    typed_rows,
)
from aifactory.inputs.importers.traces.formats import detect_trace, sniff
from aifactory.inputs.importers.traces.requests import MOONCAKE_BLOCK
from aifactory.inputs.importers.unnamed import UNNAMED
from aifactory.inputs.telemetry import conform

REPLAYED = ("input_tokens", "output_tokens", "cached_input_tokens", "session_id")


def read_request_trace(path: Path | str) -> pd.DataFrame:
    """Arrivals of any trace of requests, for a replay.

    Request rows under the names of a log (`timestamp_utc, input_tokens, output_tokens`) are read too.

    Returns
    -------
    One row per request in order of arrival: `arrival_s` (seconds from the first one), `input_tokens`,
    `output_tokens`, `cached_input_tokens` (0 where the trace tells of no reuse; at most the input),
    `session_id` ("" where there is none), `file_row` (of a CSV) and, of traces that name the blocks of their prompts,
    `prefix_blocks` (hashes; tokens of a block in `attrs["prefix_block_tokens"]`). Requests of unknown length are left out; `attrs` holds
    `format`, `rows_read` and `left_out` (reason -> rows).

    Raises
    ------
    InputError
        If the file holds no requests, or requests without tokens.
    """
    path = Path(path)
    name, found = _request_rows(path)
    rows = found.rows
    known = rows["input_tokens"].notna() & rows["output_tokens"].notna() & rows["arrival"].notna()
    left_out = found.left_out | ({} if known.all() else {"requests of unknown length": int((~known).sum())})
    rows = rows[known].sort_values("arrival", kind="stable")
    since = rows["arrival"] - rows["arrival"].min()
    replay = pd.DataFrame(
        {
            "arrival_s": since / pd.Timedelta(seconds=1) if found.dated else since.astype("float64"),
            "input_tokens": rows["input_tokens"].astype("int64"),
            "output_tokens": rows["output_tokens"].astype("int64"),
        }
    )
    cached = rows["cached_input_tokens"].astype("Float64").fillna(0.0) if "cached_input_tokens" in rows else 0
    replay["cached_input_tokens"] = np.minimum(cached, replay["input_tokens"]).astype("int64")
    sessions = rows["session_id"] if "session_id" in rows else pd.Series("", index=rows.index)
    replay["session_id"] = sessions.astype("str").where(sessions.notna(), "")
    if "prefix_blocks" in rows:
        replay["prefix_blocks"] = rows["prefix_blocks"]
        replay.attrs["prefix_block_tokens"] = MOONCAKE_BLOCK
    if path.is_file() and sniff(path)[0] == "columns":
        replay["file_row"] = replay.index + 2
    replay = replay.reset_index(drop=True)
    replay.attrs |= {"format": name, "rows_read": found.rows_read, "left_out": left_out}
    return replay


def _request_rows(path: Path) -> tuple[str, Found]:
    try:
        fits = detect_trace(path)
    except InputError as error:
        log = _log(path)
        if log is None:
            raise error from None
        return "request rows", log
    if fits.table != "requests":
        raise InputError.at(path.name, f"{fits.name} hold {fits.table.replace('_', ' ')}, not single requests")
    found = fits.read(path)
    if "input_tokens" not in found.rows:
        raise InputError.at(path.name, f"{fits.name} have no tokens, which a replay needs")
    return fits.name, found


def _log(path: Path) -> Found | None:
    """Rows of a request log under the names that logs use; None if it is none."""
    if not path.is_file():
        return None
    kind, names = sniff(path)
    columns = {ours: theirs for ours, theirs in find_columns(names, {}).items() if ours in (*REPLAYED, "timestamp_utc")}
    if kind != "columns" or not {"timestamp_utc", "input_tokens", "output_tokens"} <= set(columns):
        return None
    types = {theirs: TYPES.get(ours, "string") for ours, theirs in columns.items()}
    needed = {columns["timestamp_utc"]: "datetime"}
    rows, warnings = typed_rows(
        path, source_contract("log", needed, {k: v for k, v in types.items() if k not in needed})
    )
    frame = pd.DataFrame({ours: rows[theirs] for ours, theirs in columns.items()})
    return Found(frame.rename(columns={"timestamp_utc": "arrival"}), len(rows), warnings=warnings)


def import_trace(path: Path, target: Target) -> tuple[dict[str, object], str, pd.DataFrame]:
    """Report, name of the table and its rows; a trace names no use case: without one it is called after its file."""
    fits = detect_trace(path)
    found = fits.read(path)
    if not target.use_case and fits.table != "demand_windows":
        target = replace(target, use_case=use_case_of(path))
        text = f"a trace names no use case: {target.use_case}, after the file, was taken; --use-case names another"
        found.warnings.append((text, len(found.rows)))
    rows = _INTO[fits.table](path.name, found, target)
    return trace_report(path, fits.name, fits.table, found, rows), fits.table, rows


def use_case_of(path: Path) -> str:
    """Identifier made of the name of a file.

    >>> use_case_of(Path("Azure LLM_2023.csv.gz"))
    'azure-llm_2023'
    """
    return re.sub(r"[^a-z0-9._-]+", "-", path.name.partition(".")[0].lower()).strip("._-")[:64] or "trace"


def into_requests(file: str, found: Found, target: Target) -> pd.DataFrame:
    """Rows of the `requests` table, numbered by use case."""
    rows = found.rows.assign(timestamp_utc=on_days(found, target.first_day))
    return request_table(rows, target.use_case, target.region, numbered(target.use_case, file))


def numbered(use_case_id: str, file: str) -> str:
    """Beginning of the identifiers of a file: two files of one use case keep apart."""
    return f"{use_case_id}-{file.partition('.')[0]}"


def request_table(rows: pd.DataFrame, use_case_id: str, region: str, begin: str = "") -> pd.DataFrame:
    """Rows of the `requests` table; without a status every request was served."""
    ids = [f"{begin or use_case_id}-{number}" for number in range(1, len(rows) + 1)]
    status = rows.get("status", "ok")
    return conform(rows.assign(request_id=ids, use_case_id=use_case_id, region=region, status=status), "requests")


def into_jobs(file: str, found: Found, target: Target) -> pd.DataFrame:
    """Rows of the `jobs` table."""
    submitted = on_days(found, target.first_day)
    open_ended = int((found.rows["waited_s"].isna() | found.rows["ran_s"].isna()).sum())
    if open_ended:
        found.warnings.append(("jobs without an end: their hours are not counted", open_ended))
    begin = numbered(target.use_case, file)
    return job_table(found, submitted, target.use_case, target.region, target.accelerator or UNNAMED, begin)


def job_table(
    found: Found, submitted: pd.Series, use_case_id: str, region: str, accelerator: str, begin: str = ""
) -> pd.DataFrame:
    """Rows of the `jobs` table: start = submission + wait, end = start + run."""
    rows = found.rows
    zero = pd.Timestamp(0, tz="UTC")
    started = submitted + (seconds_after(zero, rows["waited_s"]) - zero)
    table = rows.assign(
        job_id=[f"{begin or use_case_id}-{number}" for number in range(1, len(rows) + 1)],
        use_case_id=use_case_id,
        region=region,
        accelerator_id=accelerator,
        submitted_utc=submitted,
        started_utc=started,
        ended_utc=started + (seconds_after(zero, rows["ran_s"]) - zero),
    )
    return conform(table, "jobs")


def into_windows(file: str, found: Found, target: Target) -> pd.DataFrame:
    """Rows of the `demand_windows` table; workloads become use cases by the mapping, else the one named."""
    rows = found.rows
    names = rows["workload"].map(
        lambda name: target.use_cases.get(name, target.use_case or use_case_of(Path(name or file)))
    )
    pooled = rows.groupby(names)["workload"].nunique()
    for name in pooled.index[pooled > 1]:
        models = ", ".join(sorted(rows.loc[names == name, "workload"].unique()))
        found.warnings.append((f"{models} are added up in the use case {name}", int((names == name).sum())))
    found.warnings.append(("no failures in the trace: none counted", len(rows)))
    start = on_days(found, target.first_day)
    keys = ["window_start_utc", "window_minutes", "use_case_id"]
    table = rows.assign(window_start_utc=start, use_case_id=names)
    counts = table.groupby(keys, as_index=False)[["requests", "input_tokens", "output_tokens"]]
    summed = counts.agg(lambda part: part.sum(skipna=False))
    summed = summed.assign(region=target.region, errors=0, service_units=summed["requests"])
    whole = ["requests", "input_tokens", "output_tokens"]
    return conform(summed.assign(**summed[whole].astype("Int64")), "demand_windows")


_INTO = {"requests": into_requests, "jobs": into_jobs, "demand_windows": into_windows}
_TIME = {"requests": "timestamp_utc", "jobs": "submitted_utc", "demand_windows": "window_start_utc"}
_KEYS = ("request_id", "job_id", "use_case_id", "status", "window_minutes")


def trace_report(path: Path, name: str, table: str, found: Found, rows: pd.DataFrame) -> dict[str, object]:
    """Counts, period and totals of an imported trace, under the keys of every import."""
    time = rows[_TIME[table]]
    known = [item for item in rows if item not in (*_KEYS, _TIME[table])]
    totals = _job_totals(rows) if table == "jobs" else _request_totals(rows, table)
    return {
        "source": path.name,
        "format": name,
        "table": table,
        "rows_read": found.rows_read,
        "rows_kept": len(found.rows) if table != "demand_windows" else found.rows_read,
        "rows_left_out": found.left_out,
        "warnings": [{"text": text, "rows": count} for text, count in found.warnings],
        "period": [str(edge)[:10] for edge in (time.min(), time.max())],
        "totals": totals,
        "workloads": {str(key): _totals_of(table, part) for key, part in rows.groupby("use_case_id")},
        "coverage": {item: round(float(rows[item].notna().mean()), 6) for item in known},
    }


def _totals_of(table: str, rows: pd.DataFrame) -> dict[str, object]:
    return _job_totals(rows) if table == "jobs" else _request_totals(rows, table)


def _job_totals(rows: pd.DataFrame) -> dict[str, object]:
    hours = (rows["ended_utc"] - rows["started_utc"]) / pd.Timedelta(hours=1) * rows["accelerators"]
    return {"jobs": len(rows), "accelerator_hours": round(float(hours.sum()), 6)}


def _request_totals(rows: pd.DataFrame, table: str) -> dict[str, object]:
    single = table == "requests"
    failed = (rows["status"] != "ok").sum() if single else rows["errors"].sum()
    tokens = {
        "input_tokens": "input_tokens", "output_tokens": "output_tokens", "cached_tokens": "cached_input_tokens"
    }  # fmt: skip
    counts = {name: _whole(rows[column]) for name, column in tokens.items()}
    return {"requests": len(rows) if single else int(rows["requests"].sum()), "errors": int(failed), **counts}


def _whole(values: pd.Series) -> int | None:
    return int(values.sum()) if values.notna().any() else None


def read_azure_llm(path: Path, use_case_id: str, region: str, shift: pd.Timedelta = NO_SHIFT) -> pd.DataFrame:
    """Azure LLM inference trace as rows of the `requests` table, moved by `shift`."""
    return _shifted(request_traces.azure_llm(Path(path)), use_case_id, region, shift)


def read_gentd26(path: Path, use_case_id: str, region: str, shift: pd.Timedelta = NO_SHIFT) -> pd.DataFrame:
    """GenTD26 image requests as rows of the `requests` table, moved by `shift`."""
    return _shifted(request_traces.gentd26(Path(path)), use_case_id, region, shift)


def read_agentic_coding(
    path: Path, use_case_id: str, region: str, start: pd.Timestamp, end: pd.Timestamp
) -> pd.DataFrame:
    """Sessions of coding agents as rows of the `requests` table, spread evenly between `start` and `end`."""
    rows = request_traces.agentic_coding(Path(path), end - start).rows
    return request_table(rows.assign(timestamp_utc=seconds_after(start, rows["arrival"])), use_case_id, region)


def read_philly(
    path: Path, use_case_id: str, region: str, accelerator_id: str, shift: pd.Timedelta = NO_SHIFT
) -> pd.DataFrame:
    """Philly training jobs as rows of the `jobs` table, moved by `shift`."""
    found = job_traces.philly(Path(path))
    return job_table(found, found.rows["arrival"] + shift, use_case_id, region, accelerator_id)


def _shifted(found: Found, use_case_id: str, region: str, shift: pd.Timedelta) -> pd.DataFrame:
    return request_table(found.rows.assign(timestamp_utc=found.rows["arrival"] + shift), use_case_id, region)
