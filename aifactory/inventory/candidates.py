"""Use cases that are known but lack what planning needs: how far each field is filled, and whom to ask."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.use_cases.report import answered, ask_table
from aifactory.inputs.workspace import CANDIDATES, Workspace

GAP_COLUMNS = ["field", "known", "total", "known_share"]


def candidate_gaps(ws: Workspace) -> pd.DataFrame:
    """Of every column and question that keeps candidates out of the plan: in how many it is known.

    Volume, latency target and cost count as known where the owner stated them.
    """
    frame = ws.table(CANDIDATES)
    needed = {item.name: frame[item.name].notna() for item in load_contract("use_cases").fields if item.required}
    known = pd.DataFrame({**needed, **answered(frame)}).drop(columns=["use_case_id", "source", "as_of"])
    rows = [(name, int(known[name].sum()), len(frame)) for name in known]
    table = pd.DataFrame(rows, columns=GAP_COLUMNS[:3])
    return table.assign(known_share=table["known"] / len(frame) if len(frame) else 0.0)


def candidate_owners(ws: Workspace) -> pd.DataFrame:
    """Who must supply volume, latency target and cost of candidates; see `ask_table`."""
    return ask_table(ws.table(CANDIDATES)).rename(columns={"latency target": "latency_target"})
