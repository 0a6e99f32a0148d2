"""The table of metric names: what serving engines and exporters call the same thing."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import pandas as pd

#: Names that begin so belong to serving or accelerators; those the table does not know are named.
FAMILIES = (
    "vllm",
    "ray_vllm",
    "sglang",
    "tgi_",
    "trtllm",
    "nv_inference",
    "nv_gpu",
    "DCGM_",
    "dynamo_",
    "gen_ai",
    "lmdeploy",
    "llamacpp",
)
_SUFFIX = re.compile(r"_(bucket|sum|count|created)$")


@cache
def metric_table() -> pd.DataFrame:
    """Metric -> engine, version, kind, unit, factor to the unit of the canonical name, canonical, source, remark."""
    return pd.read_csv(Path(__file__).parents[1] / "metrics.csv").fillna({"remark": ""}).set_index("metric")


@cache
def _lookup() -> dict[str, str]:
    """Names under which a metric may stand, with and without the `_total` that some exporters add."""
    table = metric_table()
    names = {name.removesuffix("_total"): name for name in table.index[table["kind"] == "counter"]}
    return names | {f"{name}_total": full for name, full in names.items()} | {name: name for name in table.index}


def known_metric(name: str) -> str | None:
    """The metric of the table that stands under a name of a server; None if the table has none.

    >>> known_metric("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total")
    'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION'
    >>> known_metric("vllm:time_to_first_token_seconds_bucket")
    'vllm:time_to_first_token_seconds'
    """
    if name in _lookup():
        return _lookup()[name]
    base = name.removesuffix("_bucket")
    return (
        base if base != name and base in metric_table().index and metric_table()["kind"][base] == "histogram" else None
    )


def select_metrics(names: list[str]) -> dict[str, str]:
    """Metric of the table -> its name on the server.

    A counter that a server offers with and without `_total` (Ray does) is read once.
    """
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda item: (not item.endswith("_total"), item)):
        metric = known_metric(name)
        if metric and not (metric_table()["kind"][metric] == "histogram" and not name.endswith("_bucket")):
            found.setdefault(metric, name)
    return found


def unused_metrics(names: list[str], used: dict[str, str]) -> list[str]:
    """Names of serving or accelerators that the table does not know."""
    bases = {_SUFFIX.sub("", name) for name in names if name.startswith(FAMILIES)}
    taken = {_SUFFIX.sub("", name) for name in (*used, *used.values())}
    known = {base for base in bases if known_metric(base) or base in metric_table().index}
    return sorted(bases - taken - known)


def near_metrics(names: list[str], most: int = 5) -> list[str]:
    """`theirs: did you mean ours?` for names that are close to a known one."""
    bases = list(dict.fromkeys(_SUFFIX.sub("", name) for name in names))
    pairs = ((base, get_close_matches(base, list(metric_table().index), n=1, cutoff=0.75)) for base in bases)
    return [f"{base} (near {close[0]})" for base, close in pairs if close][:most]
