"""Whose figures are missing: fields that planning needs, by field and by the role to ask."""

from __future__ import annotations

import pandas as pd

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


def filled_fields(cases: pd.DataFrame) -> pd.DataFrame:
    """Whether each use case has each needed field; one column per field.

    Volume and cost count as filled where they were measured (`units_month`, `effective_cost_usd`).
    Training needs no model, latency target or failure limit, and an idea, which is not live, needs no cost.
    """
    training = cases["service_unit"] == "accelerator_hour"
    not_live = cases["stage"].eq("idea")
    return pd.DataFrame(
        {
            "volume": cases["units_month"].gt(0),
            "cost": cases["effective_cost_usd"].notna() | not_live,
            "model": cases["model"].notna() | training,
            "latency target": cases[TARGETS].notna().any(axis=1) | training,
            "slo_max_failure_rate": cases["slo_max_failure_rate"].notna() | training,
            **{name: cases[name].notna() for name in ("value_usd_per_unit", "attribution_share", "demand_stability")},
        }
    )


def coverage(cases: pd.DataFrame) -> pd.DataFrame:
    """How far each needed field is filled, and which owner roles to ask."""
    filled = filled_fields(cases)
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


def owners_to_ask(cases: pd.DataFrame) -> pd.DataFrame:
    """What each owner role must supply: one row per role and missing field, roles with most gaps first.

    Columns owner_role, field, needed_for, missing (use cases without it), of (use cases of the role) and
    use_cases, their identifiers.
    """
    filled = filled_fields(cases)
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
