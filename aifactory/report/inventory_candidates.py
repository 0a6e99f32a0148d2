"""Use cases that wait for figures of their owners, on the inventory page."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.workspace import CANDIDATES, Workspace
from aifactory.inventory import Inventory
from aifactory.report.blocks import Block, Col, section, table
from aifactory.report.text import num, plural, readable

SOURCE = "use_case_candidates table"
TOP = 20


def _asked(owners: pd.DataFrame) -> str:
    """Owners to ask; of teams that name none the team."""
    nobody = int((owners["owner_role"] == "(unknown)").sum())
    named = len(owners) - nobody
    parts = [plural(named, "owner")] if named else []
    parts += [f"{plural(nobody, 'team')} that {'names' if nobody == 1 else 'name'} no owner"] if nobody else []
    return " and ".join(parts)


def candidates_parts(ws: Workspace, inv: Inventory) -> list[Block]:
    """Coverage of the use cases with gaps and the owners to ask; nothing where there are none."""
    if inv.candidate_gaps["total"].max() in (0, None) or not ws.has(CANDIDATES):
        return []
    gaps = inv.candidate_gaps.assign(field=inv.candidate_gaps["field"].map(readable))
    owners = inv.candidate_owners
    shown = owners[:TOP].assign(owner_role=owners["owner_role"][:TOP].str.replace("(unknown)", "nobody named"))
    count = len(ws.table(CANDIDATES))
    worst = gaps.sort_values(["known", "field"]).iloc[0]
    answer = (
        f"{plural(count, 'use case')} are known but in no plan: {worst['field'].lower()} is known for {num(worst['known'], 0)} of them. "
        f"{_asked(owners)} must supply volume, latency target or cost; nothing was guessed."
    )
    columns = {
        "field": Col("Field"),
        "known": Col("Known", "int"),
        "total": Col("Use cases", "int"),
        "known_share": Col("Share", "pct0"),
    }
    asked = {
        "business_unit": Col("Business unit"), "team": Col("Team"), "owner_role": Col("Owner"), "use_cases": Col("Use cases", "int"),
        "volume": Col("Without volume", "int"), "latency_target": Col("Without latency target", "int"), "cost": Col("Without cost", "int"),
    }  # fmt: skip
    note = (
        f"The {TOP} owners with most gaps of {len(owners):,}." if len(owners) > TOP else "Owners with most gaps first."
    )
    return [
        section("Which use cases wait for figures of their owners?", answer),
        table(gaps, caption="Coverage of use cases with gaps", source=SOURCE, as_of=ws.as_of, columns=columns),
        table(
            shown,
            caption="Who must supply volume, latency target and cost",
            source=SOURCE,
            as_of=ws.as_of,
            columns=asked,
            note=note,
        ),
    ]
