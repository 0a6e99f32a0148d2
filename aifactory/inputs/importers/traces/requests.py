"""Traces with one row per request: arrival, prompt and answer tokens, reuse, session, outcome."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.traces.common import Found, repeated_rows, trace_contract, typed_rows
from aifactory.inputs.importers.traces.json_lines import agentic_archive, fast_warning, mooncake_rows
from aifactory.inputs.importers.traces.reuse import leading_hits
from aifactory.units import MS_PER_S

#: Tokens of a block of the agentic traces and of Mooncake.
AGENTIC_BLOCK, MOONCAKE_BLOCK = 64, 512
#: Sessions without dates are spread over so many days.
SESSION_DAYS = 28
SUBAGENT = "subagent"
AZURE_LLM = trace_contract(
    "azure_llm",
    {"TIMESTAMP": "datetime", "ContextTokens": "integer", "GeneratedTokens": "integer"},
    {"NumImages": "integer"},
)
BURSTGPT = trace_contract(
    "burstgpt",
    {"Timestamp": "number", "Model": "string", "Request tokens": "integer", "Response tokens": "integer"},
    {"Total tokens": "integer", "Log Type": "string", "Session ID": "string", "Elapsed time": "number"},
)
AGENTIC_CODING = trace_contract(
    "agentic_coding",
    {"session": "string", "idx": "integer", "t": "number"},
    {"in": "number", "out": "number", "api_time": "number", "prefix_hit_blocks": "number", "agent": "string",
     "type": "string"},
)  # fmt: skip
GENTD26 = trace_contract(
    "gentd26",
    {"gmt_create": "datetime", "predict_status": "string"},
    {"exec_time_seconds": "number", "num_images_per_prompt": "number", "groupId": "string"},
)
GENTD26_STATUS = {"SUCCEED": "ok", "FAILED": "error", "PENDING": "cancelled", "PROCESSING": "cancelled"}


def azure_llm(path: Path) -> Found:
    """Azure LLM inference traces of 2023 (no zone, read as UTC) and 2024 (zone +00:00).

    Source: Azure public dataset, `AzureLLMInferenceTrace_*.csv`, CC-BY-4.0. They list served requests
    only. The multimodal trace has a further column NumImages, whose image tokens are not counted; it
    was never seen here as a file.
    """
    rows, warnings = typed_rows(path, AZURE_LLM)
    images = rows["NumImages"].fillna(0)
    if images.any():
        warnings.append(("requests with images: image tokens are not in the trace", int((images > 0).sum())))
    table = {"arrival": rows["TIMESTAMP"], "input_tokens": rows["ContextTokens"]}
    frame = pd.DataFrame(table | {"output_tokens": rows["GeneratedTokens"]})
    warnings.append(("served requests only: failures are unknown", len(frame)))
    return Found(frame, len(frame), warnings=warnings)


def burstgpt(path: Path) -> Found:
    """BurstGPT, version 1 and (with session and elapsed time) version 3, CC-BY-4.0.

    Timestamp counts seconds from midnight of the first day, local time of the campus. A request
    without response tokens failed. Source: HPMLL/BurstGPT, README; of version 3 no real row was seen.
    """
    rows, warnings = typed_rows(path, BURSTGPT)
    wrong = rows["Total tokens"].notna() & (rows["Request tokens"] + rows["Response tokens"] != rows["Total tokens"])
    if wrong.any():
        warnings.append(("request and response tokens do not add up to Total tokens", int(wrong.sum())))
    failed = rows["Response tokens"] == 0
    if failed.any():
        warnings.append(("no response tokens: counted as failed", int(failed.sum())))
    models = rows["Model"].value_counts()
    if len(models) > 1:
        shown = ", ".join(f"{name} {count:,}" for name, count in models.items())
        warnings.append((f"several models in one use case: {shown}", len(rows)))
    table = {
        "arrival": rows["Timestamp"],
        "input_tokens": rows["Request tokens"],
        "output_tokens": rows["Response tokens"],
        "session_id": rows["Session ID"],
        "status": failed.map({True: "error", False: "ok"}),
        "e2e_ms": rows["Elapsed time"] * MS_PER_S,
    }
    return Found(pd.DataFrame(table), len(rows), warnings=warnings)


def mooncake(path: Path) -> Found:
    """Mooncake (Kimi): arrival in ms, lengths in tokens, hashes of 512-token blocks; Apache-2.0.

    Cached tokens are the leading blocks that an earlier request held: endless memory, no eviction,
    blocks shared by the whole service. Source: kvcache-ai/Mooncake, FAST25 release.
    """
    rows, blocks = mooncake_rows(path)
    hits = leading_hits(blocks)
    cached = np.minimum(hits * MOONCAKE_BLOCK, rows["input_tokens"])
    frame = pd.DataFrame({"arrival": rows["ms"] / MS_PER_S}).assign(
        input_tokens=rows["input_tokens"], output_tokens=rows["output_tokens"], cached_input_tokens=cached,
        prefix_blocks=blocks,
    )  # fmt: skip
    text = "cached tokens assume endless memory: leading 512-token blocks that were seen before"
    again = frame.astype({"prefix_blocks": "str"}).drop(columns="cached_input_tokens").duplicated()
    return Found(
        frame,
        len(frame),
        warnings=[
            (text, int((hits > 0).sum())),
            *repeated_rows(int(again.sum())),
            *fast_warning(path.name, rows["ms"].to_numpy()),
        ],
    )


def agentic_coding(path: Path, span: pd.Timedelta | None = None) -> Found:
    """Sessions of coding agents: tokens, time of each call, prefix reuse within the session.

    Source: kv-cache-tester traces, Apache-2.0. Times count from the start of each session; arrivals of
    sessions are unknown, so they are spread evenly over `span` (28 days). Rows without token counts
    stay, with unknown tokens. The first request of a session counts one service unit, others none.
    Cached tokens are leading blocks of 64 tokens already seen in the session. A row that only calls a
    sub-agent is no request; times of the sub-agent count from that call.
    """
    rows, warnings = typed_rows(path, AGENTIC_CODING)
    calls = rows["type"].eq(SUBAGENT)
    found = spread_sessions(rows.assign(t=rows["t"] + _called_at(rows, calls))[~calls], warnings, span)
    found.rows_read = len(rows)
    found.left_out = {"calls of sub-agents, which are no requests": int(calls.sum())} if calls.any() else {}
    return found


def _called_at(rows: pd.DataFrame, calls: pd.Series) -> pd.Series:
    """Seconds from the start of the session to the call of the sub-agent that made each row; 0 of the main one."""
    called = rows[calls]
    names = called["session"] + "|" + called["agent"] + "/" + called["idx"].astype("str")
    start = pd.Series(called["t"].to_numpy(), index=names.to_numpy())
    agent, offset = rows["agent"].fillna(""), pd.Series(0.0, index=rows.index)
    while agent.str.contains("/").any():
        offset += (rows["session"] + "|" + agent).map(start).fillna(0.0)
        agent = agent.str.rpartition("/")[0]
    return offset


def agentic_raw(path: Path) -> Found:
    """The same sessions as their original JSON, one file a session, in an archive or folder."""
    return spread_sessions(agentic_archive(path), [], None)


def spread_sessions(rows: pd.DataFrame, warnings: list[tuple[str, int]], span: pd.Timedelta | None) -> Found:
    """Lay sessions of unknown arrival evenly over a span."""
    number, names = pd.factorize(rows["session"], sort=True)
    spacing = (span or pd.Timedelta(days=SESSION_DAYS)).total_seconds() / len(names)
    arrival = pd.Series(number * spacing + rows["t"].to_numpy(), index=rows.index)
    first = ~rows.assign(arrival=arrival).sort_values(["arrival", "idx"], kind="stable").duplicated("session")
    table = {
        "arrival": arrival,
        "session_id": rows["session"],
        "service_units": first.reindex(rows.index).astype("float64"),
        "input_tokens": rows["in"],
        "cached_input_tokens": np.minimum(rows["prefix_hit_blocks"] * AGENTIC_BLOCK, rows["in"]),
        "output_tokens": rows["out"],
        "e2e_ms": rows["api_time"] * MS_PER_S,
    }
    unknown = int((rows["in"].isna() | rows["out"].isna()).sum())
    remarks = [(f"arrivals of the {len(names):,} sessions are unknown: spread evenly", len(rows))]
    remarks += [("requests without token counts stay, with unknown tokens", unknown)] if unknown else []
    return Found(pd.DataFrame(table), len(rows), warnings=warnings + remarks)


def gentd26(path: Path) -> Found:
    """Image generation requests: status, images, execution time.

    Source: Alibaba cluster trace GenTD26. Its hour of day is shifted by an unknown offset. A request
    still pending or processing was not served and counts as cancelled; an unknown number of images
    stays unknown.
    """
    rows, warnings = typed_rows(path, GENTD26)
    unknown = rows.index[~rows["predict_status"].isin(list(GENTD26_STATUS))]
    if len(unknown):
        raise InputError.at(
            path.name, "unknown status.", row=int(unknown[0]) + 2, column="predict_status",
            value=rows.loc[unknown[0], "predict_status"], choices=GENTD26_STATUS,
        )  # fmt: skip
    table = {
        "arrival": rows["gmt_create"],
        "status": rows["predict_status"].map(GENTD26_STATUS),
        "tenant": rows["groupId"],
        "service_units": rows["num_images_per_prompt"],
        "e2e_ms": rows["exec_time_seconds"] * MS_PER_S,
    }
    warnings.append(("the hour of day is shifted by an unknown offset", len(rows)))
    return Found(pd.DataFrame(table), len(rows), warnings=warnings)
