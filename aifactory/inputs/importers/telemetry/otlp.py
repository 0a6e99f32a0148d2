"""OpenTelemetry GenAI spans as OTLP/JSON lines; attributes with messages are never read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.telemetry.common import Telemetry

FORMAT = "OpenTelemetry GenAI spans (OTLP/JSON)"
MAX_BYTES = 2_000_000_000
#: Canonical column -> attribute names, the current one first, then older ones.
ATTRIBUTES = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "cached_input_tokens": ("gen_ai.usage.cache_read.input_tokens",),
    "ttft_s": ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"),
    "session_id": ("gen_ai.conversation.id", "session.id"),
}
GENAI_MARKS = ("gen_ai.operation.name", "gen_ai.system", "gen_ai.provider.name", "llm.model_name")
WANTED = {name for names in ATTRIBUTES.values() for name in names} | {*GENAI_MARKS, "error.type"}
ERROR_CODES = (2, "2", "STATUS_CODE_ERROR")


def read_otlp(path: Path, region: str) -> Telemetry:
    """GenAI client spans as request rows; service.name is the use case, the resource's team the tenant.

    Spans of other kinds are left out and counted.
    """
    rows, others, seen = [], 0, 0
    for line, resource, span in _spans(path):
        seen += 1
        held = {
            item["key"]: _value(item.get("value", {}))
            for item in span.get("attributes", [])
            if item.get("key") in WANTED
        }
        if not any(mark in held for mark in GENAI_MARKS):
            others += 1
            continue
        rows.append(_row(path, line, resource, span, held, region))
    if not rows:
        raise InputError.at(
            path.name, f"holds no GenAI span (looked for {', '.join(GENAI_MARKS[:3])}) among {seen} spans"
        )
    frame = pd.DataFrame(rows)
    frame["timestamp_utc"] = pd.to_datetime(frame["start_ns"], unit="ns", utc=True).dt.as_unit("us")
    frame = frame.astype(dict.fromkeys(("input_tokens", "output_tokens", "cached_input_tokens"), "Int64"))
    left_out = {"spans that are no GenAI call": others} if others else {}
    return Telemetry(FORMAT, frame.drop(columns="start_ns"), seen, left_out)


def _row(path: Path, line: int, resource: dict, span: dict, held: dict, region: str) -> dict[str, object]:
    found = {name: next((held[key] for key in keys if key in held), None) for name, keys in ATTRIBUTES.items()}
    try:
        start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        tokens = {
            name: None if found[name] is None else int(found[name])
            for name in ("input_tokens", "output_tokens", "cached_input_tokens")
        }
        ttft = None if found["ttft_s"] is None else float(found["ttft_s"]) * 1000
    except (KeyError, TypeError, ValueError) as error:
        raise InputError.at(path.name, f"a span cannot be read: {error}", row=line) from None
    failed = span.get("status", {}).get("code") in ERROR_CODES or "error.type" in held
    return {
        "request_id": str(span.get("spanId", "")),
        "start_ns": start,
        "use_case_id": str(resource.get("service.name", "(none)")),
        "region": str(resource.get("cloud.region") or region or "(none)"),
        "status": "error" if failed else "ok",
        "tenant": resource.get("team"),
        "session_id": found["session_id"],
        **tokens,
        "ttft_ms": ttft,
        "e2e_ms": (end - start) / 1e6,
    }


def _spans(path: Path) -> Iterator[tuple[int, dict, dict]]:
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    opener = gzip.open if packed else open
    with opener(path, "rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise InputError.at(path.name, f"unpacks to more than {MAX_BYTES:,} bytes")
    for number, line in enumerate(raw.splitlines(), 1):
        if line.strip():
            yield from ((number, resource, span) for resource, span in _of_line(path, number, line))


def _of_line(path: Path, number: int, line: bytes) -> Iterator[tuple[dict, dict]]:
    try:
        held = json.loads(line)
        for group in held.get("resourceSpans", []):
            attributes = {
                item["key"]: _value(item["value"]) for item in group.get("resource", {}).get("attributes", [])
            }
            for scope in group.get("scopeSpans", []):
                for span in scope.get("spans", []):
                    yield attributes, span
    except RecursionError:
        raise InputError.at(path.name, "is nested too deeply", row=number) from None
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise InputError.at(path.name, f"is not OTLP/JSON: {str(error)[:100]}", row=number) from None


def _value(value: dict) -> object:
    """Plain value of an attribute; lists and maps are not needed and stay out."""
    return next(
        (value[kind] for kind in ("stringValue", "intValue", "doubleValue", "boolValue") if kind in value), None
    )
