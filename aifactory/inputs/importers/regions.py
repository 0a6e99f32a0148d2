"""Regions as a provider or a label calls them, under the names of the plan."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.plan import load_plan


def settle_regions(
    source: str, report: dict[str, object], tables: dict[str, pd.DataFrame], into: Path | None, mapped: dict[str, str]
) -> None:
    """Put regions of what was read under their names in the plan; the report says which and how many rows.

    The mapping of the analyst (theirs: ours) wins. For a workspace, a name that is no region of its plan but a
    provider region of exactly one becomes that one; a name that is neither is stored as it is, which is said.

    Raises
    ------
    InputError
        If two regions of one delivery become one in a table of sums, whose rows would then repeat.
    """
    known = _provider_regions(into) if into is not None else {}
    plan = {item.region for item in load_plan(into / "plan.yaml").regions} if into is not None else set()
    renamed: Counter[tuple[str, str]] = Counter()
    strange: Counter[str] = Counter()
    for name, rows in tables.items():
        if "region" not in rows:
            continue
        before = rows["region"].astype("str")
        ours = before.map(known | mapped)
        changed = ours.notna() & (ours != before)
        renamed.update(zip(before[changed], ours[changed], strict=True))
        rows["region"] = ours.where(changed, rows["region"])
        now = rows["region"].dropna().astype("str")
        strange.update(now[~now.isin(plan)] if plan else ())
        key = list(load_contract(name).primary_key)
        if changed.any() and "region" in key and rows.duplicated([*key, *({"day"} & set(rows))]).any():
            rule = "two regions of the delivery become one; import them one by one, or keep them apart in plan.yaml"
            raise InputError.at(source, rule, column="region", value=str(ours[changed].iloc[0]))
    for (theirs, name), count in renamed.items():
        text = f"region {theirs} is {name} in the plan"
        report["warnings"] = [*report["warnings"], {"text": text, "rows": count}]
    for theirs, count in strange.items():
        text = (
            f"region {theirs} is not described in plan.yaml, and `check` refuses it: add the region there or the name to provider_regions, "
            "or import again with --replace and --region or `regions` of a --mapping"
        )
        report["warnings"] = [*report["warnings"], {"text": text, "rows": count}]


def _provider_regions(workspace: Path) -> dict[str, str]:
    """Provider region -> the only region of the plan that it belongs to, where it is no region of the plan itself."""
    regions = load_plan(workspace / "plan.yaml").regions
    own = {item.region for item in regions}
    held = Counter(theirs for item in regions for theirs in set(item.provider_regions.values()))
    return {
        theirs: item.region
        for item in regions
        for theirs in item.provider_regions.values()
        if held[theirs] == 1 and theirs not in own
    }
