"""LiteLLM spend logs: one row per call of the proxy; messages and responses are dropped unread."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.telemetry.common import Telemetry, stated_spend
from aifactory.inputs.importers.telemetry.rows import statuses
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import type_table

FORMAT = "LiteLLM spend logs"
MARKS = {"completionStartTime", "request_tags", "prompt_tokens", "startTime"}
CONTRACT = source_contract(
    "litellm_spend_logs",
    {"request_id": "string", "startTime": "datetime", "prompt_tokens": "integer", "completion_tokens": "integer"},
    {"endTime": "datetime", "completionStartTime": "datetime", "request_duration_ms": "number", "spend": "amount",
     "team_id": "string", "request_tags": "string", "model_group": "string", "metadata": "string", "status": "string",
     "session_id": "string"},
)  # fmt: skip
TAG = "use_case:"


def read_litellm(path: Path, text: pd.DataFrame, region: str) -> Telemetry:
    """Calls as request rows.

    The use case is the tag `use_case:NAME`, else the model group. The time to first token exists only
    where the answer was streamed (its start lies before its end). Teams are kept as tenants.
    """
    typed = type_table(path, text, CONTRACT)
    raise_problems(path.name, typed.problems)
    log = typed.frame
    streamed = log["completionStartTime"] < log["endTime"]
    first = (log["completionStartTime"] - log["startTime"]) / pd.Timedelta(milliseconds=1)
    whole = (log["endTime"] - log["startTime"]) / pd.Timedelta(milliseconds=1)
    tagged = log["request_tags"].map(_use_case)
    rows = pd.DataFrame(
        {
            "request_id": log["request_id"],
            "timestamp_utc": log["startTime"],
            "use_case_id": tagged.fillna(log["model_group"]).fillna("(none)"),
            "region": region,
            "status": statuses(path, log["status"], "status"),
            "tenant": log["team_id"],
            "session_id": log["session_id"],
            "input_tokens": log["prompt_tokens"],
            "cached_input_tokens": log["metadata"].map(_cached).astype("Int64"),
            "output_tokens": log["completion_tokens"],
            "ttft_ms": first.where(streamed),
            "e2e_ms": log["request_duration_ms"].fillna(whole),
        }
    )
    warnings = [(f"{item.column}: {item.rule}", len(rows)) for item in typed.warnings]
    if tagged.isna().any():
        warnings.append(("no tag use_case:NAME; the model group stands for the use case", int(tagged.isna().sum())))
    if (~streamed).any():
        warnings.append(("not streamed: no time to first token", int((~streamed).sum())))
    spend, remarks = stated_spend(log["spend"])
    return Telemetry(FORMAT, rows, len(rows), warnings=[*warnings, *remarks], spend_usd=spend)


def _use_case(text: object) -> str | None:
    tags = _json(text)
    names = (
        [tag.removeprefix(TAG) for tag in tags if isinstance(tag, str) and tag.startswith(TAG)]
        if isinstance(tags, list)
        else []
    )
    return names[0] if names else None


def _cached(text: object) -> int | None:
    held: object = _json(text)
    for key in ("usage_object", "prompt_tokens_details", "cached_tokens"):
        held = held.get(key) if isinstance(held, dict) else None
    return held if isinstance(held, int) else None


def _json(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
