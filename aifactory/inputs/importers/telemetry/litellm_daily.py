"""Daily tables of the LiteLLM proxy as demand windows of a day: the cheapest baseline, without latency.

`LiteLLM_DailyUserSpend`, `...TeamSpend`, `...TagSpend` and their like count the same calls by another
key each: they are views, never parts. Source: BerriAI/litellm, schema.prisma, read 2026-11-25; made
here from that schema, no export of a real proxy was seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.target import Target
from aifactory.inputs.importers.telemetry.common import stated_spend
from aifactory.inputs.importers.telemetry.sanity import AFTER_IMPORT
from aifactory.inputs.money import exact_total
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import type_table
from aifactory.inputs.telemetry import conform

MARKS = {
    "date",
    "api_key",
    "prompt_tokens",
    "completion_tokens",
    "api_requests",
    "successful_requests",
    "failed_requests",
}
#: Column that tells which table it is -> the table.
VIEWS = {
    "user_id": "User",
    "team_id": "Team",
    "tag": "Tag",
    "organization_id": "Organization",
    "end_user_id": "EndUser",
    "agent_id": "Agent",
}
CONTRACT = source_contract(
    "litellm_daily",
    {"date": "date", "api_key": "string", "prompt_tokens": "integer", "completion_tokens": "integer",
     "api_requests": "integer", "successful_requests": "integer", "failed_requests": "integer"},
    {"cache_read_input_tokens": "integer", "cache_creation_input_tokens": "integer", "spend": "amount", "model": "string",
     "model_group": "string", "mcp_namespaced_tool_name": "string", **dict.fromkeys(VIEWS, "string")},
    minimum=0.0,
)  # fmt: skip
TAG = "use_case:"
DAY_MINUTES = 1440
GIVEN_TWICE = "the same row, given again with the same values"
NOBODY = "(none)"
SAME_CALLS = "User, Team, Tag, Organization, EndUser and Agent tables count the same calls: import one of them"


@dataclass
class Daily:
    """Windows of a day and the report on them."""

    view: str
    windows: pd.DataFrame
    report: dict[str, object] = field(default_factory=dict)


def is_daily(names: Iterable[str]) -> bool:
    """Whether columns are those of a daily table."""
    return set(names) >= MARKS


def read_daily(path: Path, text: pd.DataFrame, notes: list[tuple[str, int]], target: Target) -> Daily:
    """A daily table as windows.

    The use case is that of the target where it names one; else of a Team table the team, of a Tag table the tag
    `use_case:NAME` (a call counts once under each of its tags, so no other tag is added up), of the
    others the model group. Prompt tokens hold cached ones. Calls of tools (MCP) are no model calls.
    """
    view = _view(path, text)
    if not target.region:
        raise InputError.at(path.name, "the table names no region; say it with --region")
    typed = type_table(path, text, CONTRACT)
    raise_problems(path.name, typed.problems)
    again = _again(path, text)
    rows, left_out = _model_calls(typed.frame[~again])
    left_out |= {GIVEN_TWICE: int(again.sum())} if again.any() else {}
    warnings = list(notes)
    if target.today is not None:
        late = rows["date"].dt.tz_localize("UTC") > target.today
        left_out |= {AFTER_IMPORT: int(late.sum())} if late.any() else {}
        rows = rows[~late]
    rows = rows.assign(key=_keys(rows, view))
    if view == "Tag":
        tagged = rows["key"].str.startswith(TAG)
        left_out |= (
            {f"rows of other tags than {TAG}NAME, which count the same calls again": int((~tagged).sum())}
            if (~tagged).any()
            else {}
        )
        rows = rows[tagged].assign(key=rows.loc[tagged, "key"].str.removeprefix(TAG))
        if not len(rows):
            raise InputError.at(
                path.name,
                f"no tag begins with {TAG!r}; tags overlap, so they cannot be added up: import the Team or User table",
                column="tag",
            )
    names = rows["key"].map(lambda key: target.use_case or target.use_cases.get(key, key))
    warnings += _remarks(rows, view)
    windows = _windows(rows.assign(use_case_id=names), target.region)
    return Daily(view, windows, _report(path, view, rows, windows, len(text), left_out, warnings))


def _again(path: Path, text: pd.DataFrame) -> pd.Series:
    """Rows given before: the table holds one row of an `id`, so one that comes twice is the same; no other is refused.

    Raises
    ------
    InputError
        If two rows of one `id` differ.
    """
    cells = text.fillna("")
    again = cells.duplicated()
    if "id" in cells:
        other = cells["id"].ne("") & cells.duplicated("id") & ~again
        if other.any():
            row = int(other.to_numpy().argmax())
            rule = "is the id of an earlier row with other values: are these two exports? Import the newer one"
            raise InputError.at(path.name, rule, row=row + 2, column="id", value=cells["id"].iloc[row])
    return again


def _view(path: Path, text: pd.DataFrame) -> str:
    """Which table it is: by the column of its key."""
    found = [name for name in VIEWS if name in text]
    if len(found) != 1:
        rule = f"must hold the key of one daily table ({', '.join(VIEWS)}), holds {', '.join(found) or 'none'}"
        raise InputError.at(path.name, rule, row=1)
    return VIEWS[found[0]]


def _model_calls(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    tools = rows["mcp_namespaced_tool_name"].fillna("") != ""
    return rows[~tools], {"calls of tools (MCP), which are no model calls": int(tools.sum())} if tools.any() else {}


def _keys(rows: pd.DataFrame, view: str) -> pd.Series:
    column = {"Team": "team_id", "Tag": "tag"}.get(view)
    if column:
        return rows[column].fillna(NOBODY)
    return rows["model_group"].fillna(rows["model"]).fillna(NOBODY)


def _remarks(rows: pd.DataFrame, view: str) -> list[tuple[str, int]]:
    found = [
        (f"{SAME_CALLS}; this is the {view} table", len(rows)),
        ("one row a day: no latency, no peak within the day", len(rows)),
    ]
    apart = int((rows["api_requests"] != rows["successful_requests"] + rows["failed_requests"]).sum())
    found += [("successful and failed requests do not add up to all of them", apart)] if apart else []
    over = int((rows["cache_read_input_tokens"] > rows["prompt_tokens"]).fillna(value=False).sum())
    found += [("more cached than prompt tokens: their cached tokens are not used", over)] if over else []
    nobody = int((rows["key"] == NOBODY).sum())
    return [*found, *([(f"rows without a key, under {NOBODY}", nobody)] if nobody else [])]


def _windows(rows: pd.DataFrame, region: str) -> pd.DataFrame:
    over = (rows["cache_read_input_tokens"] > rows["prompt_tokens"]).fillna(value=False)
    table = pd.DataFrame(
        {
            "window_start_utc": rows["date"].dt.tz_localize("UTC"),
            "use_case_id": rows["use_case_id"],
            "requests": rows["api_requests"],
            "errors": rows["failed_requests"],
            "input_tokens": rows["prompt_tokens"],
            "cached_input_tokens": rows["cache_read_input_tokens"].astype("Int64").mask(over),
            "output_tokens": rows["completion_tokens"],
        }
    )
    summed = table.groupby(["window_start_utc", "use_case_id"], as_index=False).sum(min_count=1)
    units = (summed["requests"] - summed["errors"]).astype("float64")
    return conform(summed.assign(window_minutes=DAY_MINUTES, region=region, service_units=units), "demand_windows")


def _report(
    path: Path, view: str, rows: pd.DataFrame, windows: pd.DataFrame, read: int, left_out: dict[str, int], warnings: list[tuple[str, int]]
) -> dict[str, object]:  # fmt: skip
    spend, remarks = stated_spend(rows["spend"])
    by = {} if spend is None else spend.groupby(rows["key"]).agg(exact_total)
    counted = ["requests", "errors", "input_tokens", "output_tokens", "cached_input_tokens"]
    days = windows["window_start_utc"]
    return {
        "source": path.name,
        "format": f"LiteLLM daily spend by {view}",
        "view": view,
        "rows_read": read,
        "rows_kept": len(rows),
        "rows_left_out": left_out,
        "warnings": [{"text": text, "rows": count} for text, count in [*warnings, *remarks]],
        "period": [str(edge)[:10] for edge in (days.min(), days.max())],
        "totals": _counts(windows) | ({} if spend is None else {"spend_usd": str(exact_total(spend))}),
        "workloads": {str(name): _counts(part) for name, part in windows.groupby("use_case_id")},
        "by": {"key": {str(key): str(value) for key, value in by.items()}},
        "coverage": {name: round(float(windows[name].notna().mean()), 6) for name in counted},
    }


def _counts(windows: pd.DataFrame) -> dict[str, int | None]:
    names = {
        "requests": "requests",
        "errors": "errors",
        "input_tokens": "input_tokens",
        "output_tokens": "output_tokens",
        "cached_tokens": "cached_input_tokens",
    }
    return {ours: int(windows[name].sum()) if windows[name].notna().any() else None for ours, name in names.items()}


def refuse_views(reports: list[dict[str, object]]) -> None:
    """Refuse to add up several views of the same calls in one import."""
    views = sorted({str(report["view"]) for report in reports if "view" in report})
    if len(views) > 1:
        raise InputError.at("import telemetry", SAME_CALLS, value=", ".join(views))


def refuse_second_view(held: pd.DataFrame, rows: pd.DataFrame, file: str) -> None:
    """Refuse daily windows beside others of the same days and region under other use cases."""
    daily = held[held["window_minutes"] == DAY_MINUTES]
    same = daily["window_start_utc"].isin(rows["window_start_utc"]) & daily["region"].isin(rows["region"])
    other = daily[same & ~daily["use_case_id"].isin(rows["use_case_id"])]
    if len(other):
        names = ", ".join(sorted(other["use_case_id"].unique())[:4])
        rule = f"already holds {len(other):,} daily windows of these days under other use cases ({names}). {SAME_CALLS}"
        raise InputError.at(file, rule)
