"""Whose figures are missing: fields that planning needs, by field and by the role to ask."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from aifactory.inputs.billing import plan_regions
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.today import known_platforms

#: Needed fields and what they are needed for; the order is that of the report.
NEEDED = {
    "volume": "demand",
    "cost": "unit cost",
    "model": "sizing",
    "latency target": "capacity at SLO",
    "slo_max_failure_rate": "service levels",
    "value_usd_per_unit": "ROI, value at risk",
    "attribution_share": "ROI, value at risk",
    "demand_stability": "platform choice",
}
TARGETS = ["slo_p95_ttft_ms", "slo_p95_tpot_ms", "slo_p95_e2e_ms"]
ASK_COLUMNS = ["owner_role", "field", "needed_for", "missing", "of", "use_cases"]


def no_owner_knows(ws: Workspace, cases: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Use cases whose volume cannot be measured yet but is stated, and those of which no bill can tell the cost.

    Before its launch a use case has no measured volume, only a stated one or a demand chain, and no cost. What runs on
    accelerators that are owned and that nobody bills in its regions has its cost in the books, not in a bill.
    """
    coming = cases["stage"].eq("idea") | (cases["launch_month"].astype("str").where(cases["launch_month"].notna(), "") > ws.period)  # fmt: skip
    told = cases["stated_units_per_month"].notna() | cases["use_case_id"].isin(ws.table("demand_chain")["use_case_id"])
    held = [table.loc[table["purchase_option"] == "purchase", "accelerator_id"] for table in (ws.table("pools"), ws.table("commitments"))]  # fmt: skip
    chips, owned, billed = cases["use_case_id"].map(known_platforms(ws)), set(pd.concat(held)), _billed_in(ws)
    places, every = _places(ws), {item.region for item in ws.plan.regions}
    own = [
        chip in owned and not billed.get(chip, set()) & {"", *places.get(name, every)}
        for name, chip in zip(cases["use_case_id"], chips, strict=True)
    ]
    return cases.loc[coming & told, "use_case_id"].tolist(), cases.loc[
        coming | np.array(own, dtype=bool), "use_case_id"
    ].tolist()


def _billed_in(ws: Workspace) -> dict[str, set[str]]:
    """Regions in which the bill holds hours of each accelerator; "" where it names none of the plan."""
    bill = ws.table("billing")
    bill = bill[bill["accelerator_hours"] > 0] if len(bill) else bill
    if bill.empty:
        return {}
    return plan_regions(bill, ws.plan.regions).groupby(bill["accelerator_id"]).agg(set).to_dict()


def _places(ws: Workspace) -> dict[str, set[str]]:
    """Regions in which each use case had work in the month."""
    month = pd.concat([ws.month(name)[["use_case_id", "region"]] for name in ("demand_windows", "jobs")])
    return month.groupby("use_case_id")["region"].agg(set).to_dict()


def filled_fields(cases: pd.DataFrame, stated: Collection[str] = (), unbilled: Collection[str] = ()) -> pd.DataFrame:
    """Whether each use case has each needed field; one column per field.

    Volume and cost count as filled where they were measured (`units_month`, `effective_cost_usd`) or where nobody
    could supply more (`no_owner_knows`). Training needs no model, latency target or failure limit.
    """
    training = cases["service_unit"] == "accelerator_hour"
    return pd.DataFrame(
        {
            "volume": cases["units_month"].gt(0) | cases["use_case_id"].isin(stated),
            "cost": cases["effective_cost_usd"].notna() | cases["use_case_id"].isin(unbilled),
            "model": cases["model"].notna() | training,
            "latency target": cases[TARGETS].notna().any(axis=1) | training,
            "slo_max_failure_rate": cases["slo_max_failure_rate"].notna() | training,
            **{name: cases[name].notna() for name in ("value_usd_per_unit", "attribution_share", "demand_stability")},
        }
    )


def coverage(cases: pd.DataFrame, filled: pd.DataFrame) -> pd.DataFrame:
    """How far each needed field is filled (`filled_fields`), and which owner roles to ask."""
    rows = [
        {
            "field": name,
            "needed_for": purpose,
            "filled": int(filled[name].sum()),
            "total": len(cases),
            "filled_share": float(filled[name].mean()) if len(cases) else 0.0,
            "missing_use_cases": ", ".join(cases.loc[~filled[name], "use_case_id"]),
            "ask_owner_roles": ", ".join(sorted(set(cases.loc[~filled[name], "owner_role"]))),
        }
        for name, purpose in NEEDED.items()
    ]
    return pd.DataFrame(rows)


def owners_to_ask(cases: pd.DataFrame, filled: pd.DataFrame) -> pd.DataFrame:
    """What each owner role must supply: one row per role and missing field, roles with most gaps first.

    Columns owner_role, field, needed_for, missing (use cases without it), of (use cases of the role) and
    use_cases, their identifiers.
    """
    places = {name: place for place, name in enumerate(NEEDED)}
    gaps = (~filled.astype("bool")).assign(owner_role=cases["owner_role"], use_case_id=cases["use_case_id"])
    long = gaps.melt(["owner_role", "use_case_id"], var_name="field", value_name="missing")
    long = long[long["missing"].astype("bool")].astype({"field": "str"})
    groups = long.groupby(["owner_role", "field"], sort=False)["use_case_id"]
    table = pd.DataFrame({"missing": groups.size(), "use_cases": groups.agg(", ".join)}).reset_index()
    table = table.assign(
        needed_for=table["field"].map(NEEDED),
        of=table["owner_role"].map(cases.groupby("owner_role").size()),
        gaps=table.groupby("owner_role")["missing"].transform("sum"),
        place=table["field"].map(places),
    )
    return table.sort_values(["gaps", "owner_role", "place"], ascending=[False, True, True])[ASK_COLUMNS].reset_index(
        drop=True
    )
