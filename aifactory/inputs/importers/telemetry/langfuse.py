"""Langfuse observations: model calls as request rows; inputs, outputs and metadata are dropped unread.

Layouts: the blob export `observations_v2/` (trace context in each row) and the older `observations/`, in
Parquet, CSV, JSON or JSON lines with names in snake_case; the answer of the public API with names in
camelCase. Source: langfuse.com, blob storage export field reference, read 2026-11-25. No export of a
real project was seen here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.telemetry.common import Telemetry, stated_spend
from aifactory.inputs.importers.telemetry.otlp import INSIDE, nearest
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import type_table

FORMAT = "Langfuse observations"
MARKS = {"trace_id", "start_time", "type", "level"}
USAGE = ("usage_details", "usage")
PLAIN = ("tags", "updated_at", "parent_observation_id", "prompt_tokens", "completion_tokens", "unit", *USAGE)
KEPT = ("id", "trace_id", "type", "start_time", "end_time", "completion_start_time", "level", "name", "trace_name", "session_id", "user_id",
        "environment", "total_cost", *PLAIN)  # fmt: skip
CONTRACT = source_contract(
    "langfuse_observations",
    {"id": "string", "start_time": "datetime", "type": "string"},
    {"end_time": "datetime", "completion_start_time": "datetime", "level": "string", "name": "string", "trace_name": "string",
     "session_id": "string", "user_id": "string", "environment": "string", "total_cost": "amount"},
)  # fmt: skip
#: Observations that are model calls; embeddings give no tokens out, so they are a workload of their own.
CALL, EMBEDDING, SPAN = "GENERATION", "EMBEDDING", "SPAN"
EMBEDDINGS = "-embedding"
USE_CASE, TEAM = "use_case:", "team:"
CACHED = ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "cached_tokens")
_INPUT = re.compile(r"(input|prompt|cache_(read|creation)_input)(_.*)?")
_OUTPUT = re.compile(r"(output|completion)(_.*)?")


def snake(name: str) -> str:
    """Name of the blob export for a name of the API.

    >>> snake("completionStartTime"), snake("trace_id")
    ('completion_start_time', 'trace_id')
    """
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def is_langfuse(names: Iterable[str]) -> bool:
    """Whether columns or keys are those of observations."""
    return set(map(snake, names)) >= MARKS


def read_langfuse(path: Path, found: pd.DataFrame, region: str) -> Telemetry:
    """Generations and embeddings as request rows.

    The use case is the tag `use_case:NAME`, else the name of the trace, else of the observation; the
    tenant is the tag `team:NAME`, else a pseudonym of the user. Latencies come from the times, since the
    unit of Langfuse's own changed. An observation exported twice counts once, as last updated, and so does a call
    that a framework and the client below it tell of. Embeddings of a use case stand under its name with the ending
    `-embedding`.
    """
    if not region:
        raise InputError.at(path.name, "observations name no region; say it with --region")
    rows = found.rename(columns={name: snake(name) for name in found})
    rows = rows[[name for name in KEPT if name in rows]].reset_index(drop=True)
    read, left_out = len(rows), {}
    calls = rows["type"].astype("str").str.upper().isin([CALL, EMBEDDING])
    for kind, count in rows.loc[~calls, "type"].astype("str").value_counts().items():
        left_out[f"observations of type {kind}, which are no model calls"] = int(count)
    log, warnings = _typed(path, rows, calls)
    again = _older(log)
    if again.any():
        left_out["observations exported again, older versions"] = int(again.sum())
        log = log[~again]
    tokens, other_units = _tokens(log)
    inside = _inside(rows, log, tokens)
    if inside.any():
        left_out[INSIDE] = int(inside.sum())
        log, tokens = _with_cost_inside(rows, log, inside), tokens[~inside]
    embedding = log["type"].str.upper() == EMBEDDING
    tokens["output_tokens"] = tokens["output_tokens"].mask(embedding & tokens["input_tokens"].notna(), 0)
    tags = log["tags"].map(_tags) if "tags" in log else pd.Series([[]] * len(log), index=log.index)
    table = pd.DataFrame(
        {
            "request_id": log["id"],
            "timestamp_utc": log["start_time"],
            "use_case_id": tags.map(lambda held: _tag(held, USE_CASE))
            .fillna(log["trace_name"])
            .fillna(log["name"])
            .fillna("(none)")
            + np.where(embedding, EMBEDDINGS, ""),
            "region": region,
            "status": log["level"].map(lambda level: "error" if level == "ERROR" else "ok"),
            "tenant": tags.map(lambda held: _tag(held, TEAM)).fillna(
                log["user_id"].map(_pseudonym, na_action="ignore")
            ),
            "session_id": log["session_id"],
            "ttft_ms": _ms(log["start_time"], log["completion_start_time"]).where(
                log["completion_start_time"] < log["end_time"]
            ),
            "e2e_ms": _ms(log["start_time"], log["end_time"]),
        }
    ).assign(**{name: tokens[name] for name in tokens})
    warnings += [*other_units, *_remarks(log, table)]
    if embedding.any():
        warnings.append((f"embeddings, shown as workloads of their own ({EMBEDDINGS})", int(embedding.sum())))
    spend, remarks = stated_spend(log["total_cost"].reset_index(drop=True))
    return Telemetry(FORMAT, table.reset_index(drop=True), read, left_out, [*warnings, *remarks], spend)


def _typed(path: Path, rows: pd.DataFrame, calls: pd.Series) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Typed columns of the calls; a fault is told with the row of the file."""
    plain = [
        name for name in CONTRACT.columns if name in rows and (rows[name].dtype == "object" or name == "total_cost")
    ]
    texts = rows.assign(**{name: _texts(rows[name]) for name in plain})
    typed = type_table(path, texts, CONTRACT)
    problems = [item for item in typed.problems if item.row is None or calls.iloc[item.row - 2]]
    raise_problems(path.name, problems)
    kept = typed.frame[calls].copy()
    for name in PLAIN:
        if name in rows:
            kept[name] = rows.loc[calls, name]
    return kept, [(f"{item.column}: {item.rule}", int(calls.sum())) for item in typed.warnings]


def _texts(values: pd.Series) -> pd.Series:
    return values.map(lambda value: "" if value is None or value != value else str(value)).astype("str")


def _older(log: pd.DataFrame) -> pd.Series:
    updated = log["updated_at"].astype("str") if "updated_at" in log else pd.Series("", index=log.index)
    order = log.assign(updated=updated).sort_values("updated", kind="stable")
    return order.duplicated("id", keep="last").reindex(log.index)


def _tokens(log: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Tokens of each call, unknown where its usage is counted in another unit, which the remarks name."""
    inner = [_mapping(item).get("unit") for item in log["usage"]] if "usage" in log else [None] * len(log)
    outer = log["unit"] if "unit" in log else [None] * len(log)
    said = [next((str(one) for one in both if one and one == one), "") for both in zip(inner, outer, strict=True)]
    other = pd.Series(said, index=log.index, dtype="str").str.upper().replace("TOKENS", "")
    tokens = pd.DataFrame([token_counts(item) for item in _usage(log)], index=log.index).astype("Int64")
    remarks = [
        (f"usage is counted in {unit}: tokens are unknown", int(count))
        for unit, count in other[other != ""].value_counts().items()
    ]
    return tokens.mask(other != ""), remarks


def _inside(rows: pd.DataFrame, log: pd.DataFrame, tokens: pd.DataFrame) -> pd.Series:
    """Calls of `log` inside a call that tells its tokens, plain spans or nothing between; `rows` are all observations."""
    if "parent_observation_id" not in log:
        return pd.Series(False, index=log.index)
    told = set(log["id"][tokens["input_tokens"].notna()])
    return _callers(rows, log).isin(told)


def _callers(rows: pd.DataFrame, log: pd.DataFrame) -> pd.Series:
    """Observation that each call stands in, plain spans between left out."""
    spans = rows[rows["type"].astype("str").str.upper() == SPAN]
    between = dict(zip(spans["id"], spans["parent_observation_id"], strict=True))
    return pd.Series([nearest(above, between) for above in log["parent_observation_id"]], index=log.index, dtype=object)


def _with_cost_inside(rows: pd.DataFrame, log: pd.DataFrame, inside: pd.Series) -> pd.DataFrame:
    """Calls that stay, with the cost of those inside them where they state none of their own: of each that of the outermost that states one."""
    cost = log["total_cost"]
    callers = _callers(rows, log)
    owner = dict(zip(log["id"][inside], callers[inside], strict=True))  # of calls that are left out
    stated = dict(zip(log["id"], cost.notna(), strict=True))
    found: dict[object, object] = {}  # exact amounts, as they are stated
    for name, usd in zip(log["id"][inside], cost[inside], strict=True):
        passed = {name}
        above = owner[name]
        while above in owner and not stated[above] and above not in passed:
            passed.add(above)
            above = owner[above]
        if not pd.isna(usd) and above not in owner:
            found[above] = usd if above not in found else found[above] + usd
    kept = log[~inside]
    return kept.assign(total_cost=kept["total_cost"].where(kept["total_cost"].notna(), kept["id"].map(found)))


def _usage(log: pd.DataFrame) -> list[dict[str, object]]:
    """Token counts by category of each call, from the newest layout that has any."""
    usage = [_mapping(item) for item in log["usage_details"]] if "usage_details" in log else [{}] * len(log)
    older = [_mapping(item) for item in log["usage"]] if "usage" in log else [{}] * len(log)
    counts = [log[name] if name in log else [None] * len(log) for name in ("prompt_tokens", "completion_tokens")]
    plain = [{"input": a, "output": b} for a, b in zip(*counts, strict=True)]
    return [
        new or old or {k: v for k, v in rest.items() if not pd.isna(v) and v != ""}
        for new, old, rest in zip(usage, older, plain, strict=True)
    ]


def _mapping(value: object) -> dict[str, object]:
    """A map as JSON text, as an object, or as the pairs of a Parquet map."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except (ValueError, RecursionError):
            return {}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list) and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        value = dict(value)
    return {str(key): held for key, held in value.items()} if isinstance(value, dict) else {}


def token_counts(usage: dict[str, object]) -> dict[str, int | None]:
    """Input (cached included), cached and output tokens of a breakdown by category.

    The categories of Langfuse exclude each other, so those of the input add up; where `total` equals
    input + output alone, the others are details within them.

    >>> token_counts({"input": 2140, "input_cached_tokens": 1024, "output": 96, "output_reasoning_tokens": 310, "total": 3570})
    {'input_tokens': 3164, 'cached_input_tokens': 1024, 'output_tokens': 406}
    >>> token_counts({"input": 2140, "input_cached_tokens": 1024, "output": 96, "total": 2236})
    {'input_tokens': 2140, 'cached_input_tokens': 1024, 'output_tokens': 96}
    """
    held = {snake(key): _count(value) for key, value in usage.items()}
    held = {key: value for key, value in held.items() if value is not None}
    inputs = {key: value for key, value in held.items() if _INPUT.fullmatch(key)}
    outputs = {key: value for key, value in held.items() if _OUTPUT.fullmatch(key)}
    main = [
        next((part[key] for key in keys if key in part), None)
        for part, keys in (
            (inputs, ("input", "prompt_tokens", "prompt")),
            (outputs, ("output", "completion_tokens", "completion")),
        )
    ]
    within = (
        None not in main
        and held.get("total") == sum(main)
        and sum(inputs.values()) + sum(outputs.values()) != sum(main)
    )
    cached = next((held[key] for key in CACHED if key in held), None)
    return {
        "input_tokens": main[0] if within else (sum(inputs.values()) if inputs else None),
        "cached_input_tokens": cached,
        "output_tokens": main[1] if within else (sum(outputs.values()) if outputs else None),
    }


def _count(value: object) -> int | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return int(number) if 0 <= number < 2**53 and number == int(number) else None


def _tags(value: object) -> list[str]:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except (ValueError, RecursionError):
            return []
    held = value.tolist() if hasattr(value, "tolist") else value
    return [item for item in held if isinstance(item, str)] if isinstance(held, list) else []


def _tag(tags: list[str], mark: str) -> str | None:
    return next((tag.removeprefix(mark) for tag in tags if tag.startswith(mark)), None)


def _pseudonym(user: str) -> str:
    return f"user-{hashlib.sha256(user.encode()).hexdigest()[:12]}"


def _ms(start: pd.Series, end: pd.Series) -> pd.Series:
    """Milliseconds from start to end; unknown where the end lies before the start."""
    return ((end - start) / pd.Timedelta(milliseconds=1)).where(end >= start)


def _remarks(log: pd.DataFrame, table: pd.DataFrame) -> list[tuple[str, int]]:
    found = []
    unknown = int((table["input_tokens"].isna() | table["output_tokens"].isna()).sum())
    found += [("calls without token counts stay, with unknown tokens", unknown)] if unknown else []
    late = int((log["end_time"] < log["start_time"]).sum())
    found += [("calls that end before they start: no latency", late)] if late else []
    plain = int(table["ttft_ms"].isna().sum())
    found += [("not streamed, or no first token: no time to first token", plain)] if plain else []
    environments = log["environment"].dropna().value_counts()
    if len(environments) > 1:
        shown = ", ".join(f"{name} {count:,}" for name, count in environments.items())
        found.append((f"calls of several environments: {shown}", len(log)))
    users = int(log["user_id"].notna().sum())
    return [*found, *([("users are kept as pseudonyms", users)] if users else [])]
