"""OpenTelemetry GenAI spans as OTLP/JSON lines; attributes with messages are never read."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.aggregate.survey import MOST
from aifactory.inputs.importers.json_text import json_lines, told_in_words
from aifactory.inputs.importers.telemetry.common import Telemetry

FORMAT = "OpenTelemetry GenAI spans (OTLP/JSON)"
#: Canonical column -> attribute names, the current one first, then older ones and those of OpenInference.
ATTRIBUTES = {
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "cached_input_tokens": ("gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read"),
    "ttft_s": ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"),
    "session_id": ("gen_ai.conversation.id", "session.id"),
}
GENAI_MARKS = ("gen_ai.operation.name", "gen_ai.system", "gen_ai.provider.name", "llm.model_name")
#: What kind of span it is: by the convention of OpenInference, by that of OpenTelemetry.
KIND, OPERATION = "openinference.span.kind", "gen_ai.operation.name"
#: Operations that hold calls of models, and are none: their tokens are those of their calls, once more.
AROUND_CALLS = ("invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "plan", "retrieval")
WANTED = {name for names in ATTRIBUTES.values() for name in names} | {*GENAI_MARKS, KIND, "error.type"}
ERROR_CODES = (2, "2", "STATUS_CODE_ERROR")
#: Later than the last time in nanoseconds that fits 64 bits, or more tokens than any call has.
LARGEST = 2**63
INSIDE = "calls inside a call, which tells of the same tokens"
OPEN = "calls that had not ended"
TWICE = "spans that were exported twice"


def read_otlp(path: Path, region: str, listed: list | None = None) -> Telemetry:
    """GenAI client spans as request rows; service.name is the use case, the resource's team the tenant.

    A call inside a call that tells its tokens is the same call, told by the client below a framework or gateway; spans
    of transport may lie between, agents and tools may not.
    Spans of OpenInference (Phoenix, Arize) count where their kind is LLM. Spans around calls (agents,
    tools, chains) and of other kinds are left out and counted, and so is a span that comes twice. `listed` are the
    objects of a file that is one JSON list.
    """
    rows, others, twice, seen, parents, between = [], 0, 0, set(), [], {}
    read = still_open = 0
    for line, resource, span in _spans(path, listed):
        read += 1
        with told_in_words(path.name, line, "a span cannot be read"):
            held = attribute_values(span, WANTED)
            identity = (str(span.get("traceId")), str(span.get("spanId") or ""))
            above = (identity[0], str(span.get("parentSpanId") or ""))
            if not _is_call(held):
                others += 1
                if not {KIND, *GENAI_MARKS} & held.keys():
                    between[identity] = above
            elif span.get("endTimeUnixNano") in (0, "0"):
                still_open += 1
            elif identity in seen and identity[1]:
                twice += 1
            else:
                seen.add(identity)
                rows.append(_row(path, line, resource, span, held, region))
                parents.append((identity, above))
    if not rows:
        raise InputError.at(
            path.name, f"holds no GenAI span (looked for {', '.join(GENAI_MARKS[:3])}) among {others} spans"
        )
    frame = pd.DataFrame(rows)
    frame["timestamp_utc"] = pd.to_datetime(frame["start_ns"], unit="ns", utc=True).dt.as_unit("us")
    frame = frame.astype(dict.fromkeys(("input_tokens", "output_tokens", "cached_input_tokens"), "Int64"))
    inside = _inside(frame, parents, between)
    counts = {"spans that are no GenAI call": others, TWICE: twice, OPEN: still_open, INSIDE: int(inside.sum())}
    frame = frame[~inside].reset_index(drop=True)
    unknown = int(frame[["input_tokens", "output_tokens"]].isna().any(axis=1).sum())
    warnings = [("calls without a count of tokens: counted, their tokens are unknown", unknown)] if unknown else []
    left_out = {reason: count for reason, count in counts.items() if count}
    return Telemetry(FORMAT, frame.drop(columns="start_ns"), read, left_out, warnings)


def _inside(
    frame: pd.DataFrame,
    parents: list[tuple[tuple[str, str], tuple[str, str]]],
    between: dict[tuple[str, str], tuple[str, str]],
) -> pd.Series:
    """Calls inside a call that tells its tokens: a framework and the client below it tell of the same call.

    `between` holds the parents of spans that are neither calls nor around calls, as those of HTTP.
    """
    told = {mine for (mine, _), known in zip(parents, frame["input_tokens"].notna(), strict=True) if known and mine[1]}
    return pd.Series([nearest(above, between) in told for _, above in parents], index=frame.index, dtype="bool")


def nearest(above: Hashable, between: dict[Hashable, Hashable]) -> Hashable:
    """First span upwards that is not in `between`; where these form a ring, the last one seen."""
    passed = set()
    while above in between and above not in passed:
        passed.add(above)
        above = between[above]
    return above


def _is_call(held: dict[str, object]) -> bool:
    """Whether a span is one call of a model."""
    if KIND in held:
        return str(held[KIND]).upper() == "LLM"
    return any(mark in held for mark in GENAI_MARKS) and held.get(OPERATION) not in AROUND_CALLS


def _row(path: Path, line: int, resource: dict, span: dict, held: dict, region: str) -> dict[str, object]:
    found = {name: next((held[key] for key in keys if key in held), None) for name, keys in ATTRIBUTES.items()}
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    tokens = {
        name: None if found[name] is None else _whole(found[name])
        for name in ("input_tokens", "output_tokens", "cached_input_tokens")
    }
    ttft = None if found["ttft_s"] is None else float(found["ttft_s"]) * 1000
    numbers = [start, end, *tokens.values(), ttft]
    if not all(value is None or abs(value) < LARGEST for value in numbers):
        raise InputError.at(path.name, f"a span holds a number that is not below {LARGEST}", row=line)
    if end < start or any(value is not None and value < 0 for value in (*tokens.values(), ttft)):
        raise InputError.at(
            path.name, "a span ends before it starts, or counts below zero", row=line, value=span.get("spanId")
        )
    for name, value in {**tokens, "ttft_ms": ttft, "e2e_ms": (end - start) / 1e6}.items():
        if value is not None and value > MOST[name]:
            rule = f"{name} of a span is more than {MOST[name]:,.0f}, which no request has"
            raise InputError.at(path.name, rule, row=line, value=value)
    failed = (span.get("status") or {}).get("code") in ERROR_CODES or "error.type" in held
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


def _whole(value: object) -> int:
    """A count; text of digits too, as some exporters write it."""
    number = float(value) if isinstance(value, float) else int(value)  # type: ignore[call-overload]
    if number != int(number):
        raise ValueError(f"{value!r} is no whole number of tokens")
    return int(number)


def _spans(path: Path, listed: list | None) -> Iterator[tuple[int, dict, dict]]:
    for number, held in json_lines(path) if listed is None else enumerate(listed, 1):
        try:
            for group in held.get("resourceSpans") or held.get("batches") or []:
                resource = attribute_values(group.get("resource", {}))
                for scope in group.get("scopeSpans") or group.get("instrumentationLibrarySpans") or []:
                    yield from ((number, resource, span) for span in scope.get("spans", []))
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError.at(path.name, f"is not OTLP/JSON: {str(error)[:100]}", row=number) from None


def attribute_values(holder: dict, wanted: set[str] | None = None) -> dict[str, object]:
    """Plain attributes by name; lists and maps, in which messages lie, are not needed and stay out."""
    return {
        item["key"]: _value(item.get("value", {}))
        for item in holder.get("attributes", [])
        if wanted is None or item.get("key") in wanted
    }


def _value(value: dict) -> object:
    return next(
        (value[kind] for kind in ("stringValue", "intValue", "doubleValue", "boolValue") if kind in value), None
    )
