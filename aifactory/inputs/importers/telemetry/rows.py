"""Request logs with one row per request, under the names that gateways and analysts use."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.telemetry.common import Telemetry
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import type_table

#: Column of the `requests` table -> names it goes by, in lower case.
NAMES = {
    "timestamp_utc": ("timestamp_utc", "ts", "timestamp", "time", "start_time", "starttime", "created_at"),
    "use_case_id": ("use_case_id", "use_case", "workload", "service", "service_name", "application", "app"),
    "input_tokens": ("input_tokens", "in_tokens", "prompt_tokens", "tokens_in"),
    "output_tokens": ("output_tokens", "out_tokens", "completion_tokens", "tokens_out", "generated_tokens"),
    "cached_input_tokens": ("cached_input_tokens", "cached_tokens", "cache_read_input_tokens"),
    "region": ("region", "cloud_region", "location"),
    "status": ("status", "status_code", "http_status", "outcome"),
    "ttft_ms": ("ttft_ms", "time_to_first_token_ms"),
    "e2e_ms": ("e2e_ms", "latency_ms", "duration_ms", "request_duration_ms"),
    "queue_ms": ("queue_ms", "queue_time_ms"),
    "tenant": ("tenant", "team", "team_id", "client", "user"),
    "session_id": ("session_id", "session"),
    "request_id": ("request_id", "id", "call_id"),
    "is_retry": ("is_retry", "retry"),
    "service_units": ("service_units",),
}
TOKENS = ("input_tokens", "output_tokens")
NEEDED = ("timestamp_utc", "use_case_id", "input_tokens", "output_tokens")
TYPES = {"timestamp_utc": "datetime", "input_tokens": "integer", "output_tokens": "integer", "cached_input_tokens": "integer",
         "ttft_ms": "number", "e2e_ms": "number", "queue_ms": "number", "is_retry": "boolean", "service_units": "number"}  # fmt: skip
FORMAT = "request rows"
NO_TOKENS = "failed requests without a count of tokens: counted, their tokens are unknown"
ALIKE = (
    "equal to an earlier request in every column, and no identifiers: counted; is a part of the log in the file twice?"
)
#: Form of a time counted from 1970 -> its unit.
_EPOCH = {r"\d{10}(\.\d+)?": "s", r"\d{13}": "ms", r"\d{16}": "us", r"\d{19}": "ns"}
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_UNIT_WORDS = {"seconds": ("s", "sec", "secs", "second", "seconds"), "microseconds": ("us", "µs", "micros", "microseconds"),
               "nanoseconds": ("ns", "nanos", "nanoseconds"), "minutes": ("min", "minutes")}  # fmt: skip
_UNIT_END = re.compile(rf"[_ .(\[-]({'|'.join(word for words in _UNIT_WORDS.values() for word in words)})[)\]]?$")
#: HTTP codes with or without their words, the names of gRPC, and what gateways write.
_WORDS = r"( [a-z' -]+)?"
_OK = re.compile(rf"(2\d\d{_WORDS}|ok|success|succeeded|succeed|completed|stop|true)(\.0)?", re.IGNORECASE)
_BAD = re.compile(
    rf"([45]\d\d{_WORDS}|error|failure|failed|fail|timeout|false|internal|unavailable|unknown|unimplemented|unauthenticated|data_loss|"
    r"deadline_exceeded|resource_exhausted|invalid_argument|permission_denied|not_found|failed_precondition|out_of_range)(\.0)?",
    re.IGNORECASE,
)
_CANCELLED = re.compile(rf"(499{_WORDS}|cancelled|canceled|abort|aborted|pending)(\.0)?", re.IGNORECASE)


def find_columns(header: list[str], mapping: dict[str, str]) -> dict[str, str]:
    """Column of the table -> column of the file; the mapping of the analyst wins."""
    lower = {name.lower(): name for name in reversed(header)}
    found = {target: next((lower[name] for name in names if name in lower), "") for target, names in NAMES.items()}
    return {target: name for target, name in (found | mapping).items() if name}


def unit_in(name: str) -> str:
    """Unit of time other than milliseconds that the end of a name of a column says; empty if none.

    >>> unit_in("ttft_s"), unit_in("latency (seconds)"), unit_in("e2e_us"), unit_in("ttft_ms"), unit_in("tokens_per_s")
    ('seconds', 'seconds', 'microseconds', '', '')
    """
    found = None if "per_" in name.lower() else _UNIT_END.search(name.lower())  # a rate is no time
    return next(unit for unit, words in _UNIT_WORDS.items() if found[1] in words) if found else ""


def unused_columns(names: list[str]) -> list[tuple[str, int]]:
    """Remarks on columns that are not read; latencies in another unit are named apart."""
    other = [name for name in names if unit_in(name)]
    found = [(f"columns not used: {', '.join(names)}", 0)] if names else []
    if other:
        found.append((f"times in other units than milliseconds are not read: {', '.join(other)}", 0))
    return found


def require_columns(path: Path, header: list[str], columns: dict[str, str], region: str) -> None:
    """Refuse a log that lacks a needed column, or names no region where none is given, or a mapped column."""
    for target in NEEDED:
        if target not in columns:
            rule = f"required column is missing ({target}; known names: {', '.join(NAMES[target])}); found: {', '.join(header[:12])}"
            raise InputError.at(path.name, rule, row=1, column=NAMES[target][1])
    if "region" not in columns and not region:
        raise InputError.at(path.name, "no column names the region; say it with --region", row=1, column="region")
    for target in (name for name in columns if name.endswith("_ms")):
        if unit := unit_in(columns[target]):
            rule = f"is in {unit} by its name, {target} is in milliseconds; convert it before the import"
            raise InputError.at(path.name, rule, row=1, column=columns[target])
    absent = next((name for name in columns.values() if name not in header), "")
    if absent:
        raise InputError.at(
            path.name, "is named in the mapping, but the file has no such column.", row=1, column=absent, choices=header
        )


def read_rows(path: Path, text: pd.DataFrame, columns: dict[str, str], region: str) -> Telemetry:
    """Type the known columns strictly; every problem names the column of the file."""
    require_columns(path, list(text.columns), columns, region)
    source = {columns[target]: TYPES.get(target, "string") for target in columns}
    needed = {columns[target]: source[columns[target]] for target in NEEDED if target not in TOKENS}
    contract = source_contract("requests", needed, {name: kind for name, kind in source.items() if name not in needed})
    if "status" in columns:  # codes may be stored as numbers
        text = text.assign(**{columns["status"]: text[columns["status"]].map(str, na_action="ignore").astype("str")})
    text, counted = _from_1970(text, columns["timestamp_utc"])
    typed = type_table(path, text, contract)
    raise_problems(path.name, typed.problems)
    rows = pd.DataFrame({target: typed.frame[name] for target, name in columns.items()})
    rows["status"] = statuses(path, rows["status"], columns["status"]) if "status" in columns else "ok"
    if "region" not in rows:
        rows["region"] = region
    if "request_id" not in rows:
        again = int(rows.duplicated().sum())
        counted += [(ALIKE, again)] if again else []
        rows["request_id"] = [f"{path.name}-{number}" for number in range(2, len(rows) + 2)]
    counted += _unknown_tokens(path, rows, columns)
    negative = next((name for name in TOKENS if (rows[name] < 0).any()), "")
    if negative:
        row = int((rows[negative] < 0).idxmax())
        raise InputError.at(
            path.name, "must be 0 or more", row=row + 2, column=columns[negative], value=str(rows[negative][row])
        )
    warnings = counted + [(f"{item.column}: {item.rule}", len(rows)) for item in typed.warnings]
    warnings += unused_columns([name for name in text if name not in columns.values()])
    return Telemetry(FORMAT, rows, len(rows), warnings=warnings)


def _unknown_tokens(path: Path, rows: pd.DataFrame, columns: dict[str, str]) -> list[tuple[str, int]]:
    """Refuse a served request without its tokens; those of failed ones may be unknown, and are counted."""
    for name in TOKENS:
        absent = rows[name].isna() & (rows["status"] == "ok")
        if absent.any():
            raise InputError.at(
                path.name, "a value is required", row=int(absent.to_numpy().argmax()) + 2, column=columns[name]
            )
    unknown = int(rows[[*TOKENS]].isna().any(axis=1).sum())
    return [(NO_TOKENS, unknown)] if unknown else []


def _from_1970(text: pd.DataFrame, column: str) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Times that all count from 1970 in one unit, which their digits tell from 2001 to 2286, as UTC times."""
    cells = text[column].map(str, na_action="ignore").astype("str")
    form = next((form for form in _EPOCH if len(cells) and cells.str.fullmatch(form).all()), "")
    if not form:
        return text, []
    unit, whole = _EPOCH[form], cells.str.partition(".")[0].astype("int64")
    part = ("0." + cells.str.partition(".")[2] + "0").astype("float64")
    times = pd.to_datetime(whole, unit=unit, utc=True) + pd.to_timedelta((part * 1e6).round(), unit="us")
    told = (f"{column}: {_UNITS[unit]} since 1970 were read as UTC", len(text))
    return text.assign(**{column: times.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}), [told]


def statuses(path: Path, values: pd.Series, column: str) -> pd.Series:
    """HTTP codes and words as ok, error, cancelled; an empty one is ok, an unknown one is refused."""
    text = values.fillna("ok").astype("str").str.strip()
    known = {value: status_of(value) for value in text.unique()}
    unknown = text.map(known).isna()
    if unknown.any():
        row = int(unknown.idxmax())
        rule = "is no status that is known: HTTP codes, ok, success, error, failure, cancelled"
        raise InputError.at(path.name, rule, row=row + 2, column=column, value=text[row])
    return text.map(known)


def status_of(value: str) -> str | None:
    """Outcome that an HTTP code or a word stands for; None if nobody knows it."""
    for pattern, name in ((_CANCELLED, "cancelled"), (_OK, "ok"), (_BAD, "error")):
        if pattern.fullmatch(value):
            return name
    return None
