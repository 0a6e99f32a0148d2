"""Bills in JSON: rows of a BigQuery export, the answer of the OpenCost API; as text cells, digit by digit."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from aifactory.errors import InputError


def json_rows(file: str, raw: bytes) -> pd.DataFrame:
    """Rows of a JSON bill as text: nested objects under dotted names, lists as JSON, null as empty.

    One object a line (BigQuery), a list of objects, or an answer of OpenCost (allocations by name, under `data` or alone).

    Raises
    ------
    InputError
        If the text is damaged, gives a key twice, or holds no rows.
    """
    try:
        text = raw.decode(json.detect_encoding(raw))  # UTF-8, with a byte order mark or not, or UTF-16
        held = [_parse(text)] if not _is_lines(text) else [_parse(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
        raise InputError.at(file, f"is not valid JSON: {reason}") from None
    rows = held[0] if len(held) == 1 and isinstance(held[0], list) else held
    if len(held) == 1 and isinstance(held[0], dict) and isinstance(held[0].get("data"), list):
        rows = held[0]["data"]
    if all(map(_is_window, rows)):
        rows = [_allocation(name, item) for window in rows for name, item in (window or {}).items()]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError.at(file, "holds no rows: objects, one a line or in a list, are needed")
    return pd.DataFrame([_flat(row) for row in rows]).fillna("").astype("str")


def _is_window(held: Any) -> bool:
    """Allocations of OpenCost by name; a window without any is null or empty."""
    return held is None or (
        isinstance(held, dict) and all(isinstance(item, dict) and "totalCost" in item for item in held.values())
    )


def _is_lines(text: str) -> bool:
    first, _, rest = text.strip().partition("\n")
    return first.startswith("{") and first.rstrip().endswith("}") and rest.lstrip().startswith("{")


def _parse(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} is given twice")
    return held


def _flat(row: dict[str, Any], prefix: str = "") -> dict[str, str]:
    cells: dict[str, str] = {}
    for name, value in row.items():
        if isinstance(value, dict) and value:
            cells |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, dict)):
            cells[prefix + name] = json.dumps(value) if value else ""
        else:
            cells[prefix + name] = "" if value is None else str(value)
    return cells


def _allocation(name: str, item: dict[str, Any]) -> dict[str, Any]:
    """One allocation of OpenCost under the column names of its CSV export."""
    known = item.get("properties") or {}
    window = item.get("window") or {}
    return {
        "Date": str(window.get("start") or item.get("start", "")),
        "End": str(window.get("end") or item.get("end", "")),
        "Namespace": known.get("namespace") or name,
        "ControllerName": known.get("controller") or name,
        "Cluster": known.get("cluster", ""),
        "GPUHours": item.get("gpuHours", ""),
        "TotalCost": item.get("totalCost", ""),
        **{f"Label_{key}": value for key, value in (known.get("labels") or {}).items()},
    }
