"""What stands out in the inventory, in words and money."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from aifactory.inputs.money import exact_total
from aifactory.inputs.workspace import Workspace

#: What an empty table leaves unanswered.
UNANSWERED = {
    "billing": "spend, unit cost and idle money: no bill",
    "pools": "utilisation, power, energy and idle capacity: no pool readings",
    "latency_histograms": "latency against SLO and length tails: no latency data",
    "jobs": "training and fine-tuning demand, queues and failures: no job table",
    "demand_windows": "serving demand: no request telemetry",
    "account_map": "team of untagged charges: no account map",
}
#: What an empty column of a filled table leaves unanswered.
UNREAD = {
    ("pools", "power_w"): "power, energy and the check of pool labels: no power readings",
    ("pools", "queue_depth"): "queues of the pools: no queue readings",
    ("demand_windows", "cached_input_tokens"): "share of cached prompts: no counts of cached tokens",
}
NEEDED_FIELDS = {
    "model": "sizing",
    "slo_p95_e2e_ms": "capacity at SLO",
    "slo_max_failure_rate": "service levels",
    "value_usd_per_unit": "ROI",
    "attribution_share": "ROI",
    "demand_stability": "platform choice",
}


#: Telemetry that covers less of the month is named.
COVERED = 0.9


@dataclass(frozen=True)
class Finding:
    """One finding; `money_usd` is per month and None where money is not the point."""

    kind: str
    text: str
    money_usd: float | None = None


def coverage(use_cases: pd.DataFrame, profile: pd.DataFrame) -> pd.DataFrame:
    """Which fields of the catalogue are filled, and which owner roles to ask."""
    measured = set(profile["use_case_id"]) if len(profile) else set()
    filled = {name: use_cases[name].notna() for name in NEEDED_FIELDS}
    filled["slo_p95_e2e_ms"] = use_cases[["slo_p95_ttft_ms", "slo_p95_tpot_ms", "slo_p95_e2e_ms"]].notna().any(axis=1)
    training = use_cases["service_unit"] == "accelerator_hour"
    for name in ("model", "slo_p95_e2e_ms", "slo_max_failure_rate"):
        filled[name] = filled[name] | training
    needed = {"volume": "demand", **NEEDED_FIELDS}
    filled["volume"] = use_cases["use_case_id"].isin(measured)
    rows = [
        {
            "field": name.replace("slo_p95_e2e_ms", "latency target"),
            "needed_for": purpose,
            "filled": int(filled[name].sum()),
            "total": len(use_cases),
            "filled_share": float(filled[name].mean()) if len(use_cases) else 0.0,
            "missing_use_cases": ", ".join(use_cases.loc[~filled[name], "use_case_id"]),
            "ask_owner_roles": ", ".join(sorted(set(use_cases.loc[~filled[name], "owner_role"]))),
        }
        for name, purpose in needed.items()
    ]
    return pd.DataFrame(rows)


def not_computed(ws: Workspace) -> list[str]:
    """What could not be computed from this workspace, and why."""
    found = [text for table, text in UNANSWERED.items() if not ws.has(table)]
    for (table, column), text in UNREAD.items():
        if ws.has(table) and ws.table(table)[column].isna().all():
            found.append(text)
    return found


def waste(reconciliation: pd.DataFrame, pools: pd.DataFrame, use_cases: pd.DataFrame) -> list[Finding]:
    """Sources of waste in USD per month, largest first."""
    found = []
    for row in pools[pools["idle_usd"].notna() & (pools["accelerator_hours"] > 0)].itertuples(index=False):
        idle = row.idle_accelerator_hours / row.accelerator_hours
        text = f"Pool {row.pool_id} stood idle {idle:.0%} of its hours ({row.installed:.0f} x {row.accelerator_id})."
        found.append(Finding("idle", text, float(row.idle_usd)))
    lines = reconciliation.set_index("line")["effective_cost"] if len(reconciliation) else pd.Series(dtype="object")
    if lines.get("idle commitment"):
        text = "Committed capacity was paid for and not used by anybody."
        found.append(Finding("commitment", text, float(lines["idle commitment"])))
    if len(use_cases):
        failed = use_cases[(use_cases["failure_rate"] > 0) & use_cases["effective_cost_usd"].notna()]
        for row in failed.itertuples(index=False):
            text = f"{row.failure_rate:.1%} of the work of {row.use_case_id} failed and was paid for."
            found.append(Finding("failures", text, float(row.failure_rate * row.effective_cost_usd)))
    return sorted(found, key=lambda item: -(item.money_usd or 0.0))


def late_usage(bill: pd.DataFrame) -> list[Finding]:
    """Usage of other months in the invoice: part of the bill, not of this month's unit cost."""
    late = bill[(bill["month"] != bill["invoice_month"]) & (bill["ChargeCategory"] == "Usage")]
    if late.empty:
        return []
    amount = float(exact_total(late["EffectiveCost"]))
    return [Finding("invoice", f"{len(late)} charge(s) of the invoice are usage of another month.", amount)]


def gaps(
    reconciliation: pd.DataFrame, pools: pd.DataFrame, levels: pd.DataFrame, profile: pd.DataFrame
) -> list[Finding]:
    """Findings that are not waste: governance, labels, missed SLOs, outages."""
    found = []
    lines = reconciliation.set_index("line")["effective_cost"] if len(reconciliation) else pd.Series(dtype="object")
    if lines.get("unattributed usage"):
        share = f"{lines['unattributed usage'] / lines['bill']:.1%}" if lines["bill"] else "Part"
        found.append(Finding("tagging", f"{share} of the bill has no team.", float(lines["unattributed usage"])))
    for row in pools[pools["label_suspect"]].itertuples(index=False) if len(pools) else ():
        found.append(Finding("label", f"Pool {row.pool_id}: {row.label_note}; its label is in doubt."))
    missed = levels[levels["meets_slo"].eq(other=False).fillna(value=False)] if len(levels) else levels
    for row in missed.itertuples(index=False):
        metric = row.metric.removesuffix("_ms").upper()
        found.append(
            Finding(
                "slo",
                f"{row.use_case_id} in {row.region} missed its p95 {metric} of {row.slo:,.0f} ms: {row.p95:,.0f} ms.",
            )
        )
    for row in profile[profile["outage_hours"] > 0].itertuples(index=False) if len(profile) else ():
        found.append(
            Finding(
                "outage",
                f"{row.use_case_id} in {row.region} was down for {row.outage_hours} hours.",
            )
        )
    for row in profile.itertuples(index=False) if len(profile) else ():
        if row.observed_share < COVERED:
            place = f"{row.use_case_id} in {row.region}"
            text = f"Telemetry of {place} covers {row.observed_hours:,.0f} hours, {row.observed_share:.1%} of the month; their level stands for all of it."
            found.append(Finding("coverage", text))
    return found
