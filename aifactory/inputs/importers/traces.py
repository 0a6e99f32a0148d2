"""Public traces into the tables `requests` and `jobs`.

Traces are old or carry no date. `shift` moves them: whole weeks keep hour of day and weekday.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import Contract
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.tables import read_source
from aifactory.inputs.telemetry import conform
from aifactory.units import MS_PER_S

BLOCK_TOKENS = 64
NO_SHIFT = pd.Timedelta(0)
#: Sessions without dates are spread over so many days.
SESSION_DAYS = 28
AZURE_LLM = source_contract(
    "azure_llm", {"TIMESTAMP": "datetime", "ContextTokens": "integer", "GeneratedTokens": "integer"}
)
AGENTIC_CODING = source_contract(
    "agentic_coding",
    {"session": "string", "idx": "integer", "t": "number"},
    {"in": "number", "out": "number", "api_time": "number", "prefix_hit_blocks": "number"},
)
GENTD26 = source_contract(
    "gentd26",
    {"gmt_create": "datetime", "predict_status": "string"},
    {"exec_time_seconds": "number", "num_images_per_prompt": "number", "groupId": "string"},
)
GENTD26_STATUS = {"SUCCEED": "ok", "FAILED": "error", "PENDING": "cancelled"}
PHILLY = source_contract(
    "philly", {"timestamp": "datetime", "duration": "number", "num_gpus": "number"}, {"cluster": "string"}
)


def whole_weeks(first: pd.Timestamp, not_before: pd.Timestamp) -> pd.Timedelta:
    """Shift by whole weeks that brings `first` to `not_before` or at most a week later.

    >>> whole_weeks(pd.Timestamp("2023-11-16T18:15"), pd.Timestamp("2026-10-09"))
    Timedelta('1064 days 00:00:00')
    """
    weeks = np.ceil((not_before - first) / pd.Timedelta(weeks=1))
    return pd.Timedelta(weeks=int(weeks))


def read_azure_llm(path: Path, use_case_id: str, region: str, shift: pd.Timedelta = NO_SHIFT) -> pd.DataFrame:
    """Azure LLM inference trace: arrival, prompt and answer tokens of served requests.

    Source: Azure public dataset, `AzureLLMInferenceTrace_*.csv`. Times have no zone and are read as
    UTC. The trace lists served requests only, so failures are unknown and none is counted.

    Returns
    -------
    Rows of the `requests` table, one per row of the trace.
    """
    rows = read_source(Path(path), AZURE_LLM)
    return _requests(
        rows, use_case_id, region,
        timestamp_utc=rows["TIMESTAMP"] + shift, input_tokens=rows["ContextTokens"], output_tokens=rows["GeneratedTokens"],
    )  # fmt: skip


def read_agentic_coding(
    path: Path, use_case_id: str, region: str, start: pd.Timestamp, end: pd.Timestamp
) -> pd.DataFrame:
    """Sessions of coding agents: tokens, time of each call, prefix reuse.

    Source: kv-cache-tester traces. Times count from the start of each session; arrivals of sessions
    are unknown, so they are spread evenly between `start` and `end`. Rows without token counts stay,
    with unknown tokens. The first request of a session counts one service unit (session), others
    none. Cached tokens are prefix blocks of 64 tokens already seen in the session.
    """
    rows = read_source(Path(path), AGENTIC_CODING)
    number, names = pd.factorize(rows["session"], sort=True)
    spacing = (end - start) / len(names)
    arrival = start + pd.to_timedelta(number * spacing.total_seconds() + rows["t"].to_numpy(), unit="s").round("us")
    first = ~rows.assign(arrival=arrival).sort_values(["arrival", "idx"], kind="stable").duplicated("session")
    cached = np.minimum(rows["prefix_hit_blocks"] * BLOCK_TOKENS, rows["in"])
    return _requests(
        rows, use_case_id, region,
        timestamp_utc=pd.Series(arrival, index=rows.index),
        session_id=rows["session"],
        service_units=first.reindex(rows.index).astype("float64"),
        input_tokens=rows["in"], cached_input_tokens=cached, output_tokens=rows["out"],
        e2e_ms=rows["api_time"] * MS_PER_S,
    )  # fmt: skip


def read_gentd26(path: Path, use_case_id: str, region: str, shift: pd.Timedelta = NO_SHIFT) -> pd.DataFrame:
    """Image generation requests: status, images, execution time.

    Source: Alibaba cluster trace GenTD26. Its hour of day is shifted by an unknown offset. A pending
    request was never served and counts as cancelled; an unknown number of images stays unknown.
    """
    rows = read_source(Path(path), GENTD26)
    unknown = rows.index[~rows["predict_status"].isin(list(GENTD26_STATUS))]
    if len(unknown):
        raise InputError.at(
            Path(path).name, "unknown status.", row=int(unknown[0]) + 2, column="predict_status",
            value=rows.loc[unknown[0], "predict_status"], choices=GENTD26_STATUS,
        )  # fmt: skip
    status = rows["predict_status"].map(GENTD26_STATUS)
    return _requests(
        rows, use_case_id, region,
        timestamp_utc=rows["gmt_create"] + shift, status=status, tenant=rows["groupId"],
        service_units=rows["num_images_per_prompt"], e2e_ms=rows["exec_time_seconds"] * MS_PER_S,
    )  # fmt: skip


def read_philly(
    path: Path, use_case_id: str, region: str, accelerator_id: str, shift: pd.Timedelta = NO_SHIFT
) -> pd.DataFrame:
    """Training jobs: submission, duration, accelerators.

    Source: Philly traces. The file has neither queueing time nor outcome: a job starts when it is
    submitted and its status is unknown.

    Returns
    -------
    Rows of the `jobs` table; accelerator-hours = duration x accelerators of the trace.
    """
    rows = read_source(Path(path), PHILLY)
    submitted = rows["timestamp"] + shift
    jobs = pd.DataFrame(
        {
            "job_id": [f"{use_case_id}-{number}" for number in range(1, len(rows) + 1)],
            "use_case_id": use_case_id,
            "region": region,
            "accelerator_id": accelerator_id,
            "accelerators": rows["num_gpus"],
            "submitted_utc": submitted,
            "started_utc": submitted,
            "ended_utc": submitted + pd.to_timedelta(rows["duration"], unit="s"),
            "status": "unknown",
        }
    )
    return conform(jobs, "jobs")


def _requests(rows: pd.DataFrame, use_case_id: str, region: str, **columns: pd.Series) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "request_id": [f"{use_case_id}-{number}" for number in range(1, len(rows) + 1)],
            "use_case_id": use_case_id,
            "region": region,
            "status": "ok",
        },
        index=rows.index,
    )
    return conform(frame.assign(**columns), "requests")


@dataclass(frozen=True)
class Trace:
    """One public trace format: the table it fills and how it is read and moved."""

    name: str
    table: str
    contract: Contract
    read: Callable[[Path, str, str, str, str], pd.DataFrame]


def _moved(reader: Callable[..., pd.DataFrame], contract: Contract, time: str) -> Callable[..., pd.DataFrame]:
    """Reader that moves the trace by whole weeks to start on or after `first_day`."""

    def read(path: Path, use_case_id: str, region: str, first_day: str, _accelerator: str) -> pd.DataFrame:
        if not first_day:
            return reader(path, use_case_id, region)
        first = read_source(path, contract)[time].min()
        return reader(path, use_case_id, region, whole_weeks(first, _day_of(first_day)))

    return read


def _sessions(path: Path, use_case_id: str, region: str, first_day: str, _accelerator: str) -> pd.DataFrame:
    if not first_day:
        raise InputError.at(path.name, "the trace holds no dates; say with --first-day when it begins")
    start = _day_of(first_day)
    return read_agentic_coding(path, use_case_id, region, start, start + pd.Timedelta(days=SESSION_DAYS))


def _cluster(path: Path, use_case_id: str, region: str, first_day: str, accelerator: str) -> pd.DataFrame:
    if not accelerator:
        raise InputError.at(path.name, "the trace names no accelerator; say with --accelerator what the jobs ran on")
    first = read_source(path, PHILLY)["timestamp"].min()
    shift = whole_weeks(first, _day_of(first_day)) if first_day else NO_SHIFT
    return read_philly(path, use_case_id, region, accelerator, shift)


def _day_of(text: str) -> pd.Timestamp:
    try:
        return pd.Timestamp(text, tz="UTC")
    except ValueError:
        raise InputError.at("--first-day", "must be a date such as 2026-10-01", value=text) from None


TRACES = {
    "azure_llm": Trace(
        "Azure LLM inference trace", "requests", AZURE_LLM, _moved(read_azure_llm, AZURE_LLM, "TIMESTAMP")
    ),
    "gentd26": Trace(
        "Alibaba GenTD26 image requests", "requests", GENTD26, _moved(read_gentd26, GENTD26, "gmt_create")
    ),
    "agentic_coding": Trace("agentic coding sessions", "requests", AGENTIC_CODING, _sessions),
    "philly": Trace("Philly training jobs", "jobs", PHILLY, _cluster),
}


def detect_trace(file: str, header: list[str]) -> str:
    """Format of a trace by its header; an unknown one fails with the known ones."""
    for name, trace in TRACES.items():
        if {field.name for field in trace.contract.fields if field.required} <= set(header):
            return name
    known = ", ".join(trace.name for trace in TRACES.values())
    raise InputError.at(
        file, f"the header fits no known trace ({known}); it begins with {', '.join(header[:6])}", row=1
    )
