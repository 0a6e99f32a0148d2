"""What stands out in the inventory, in words and money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from aifactory.inputs.money import exact_total
from aifactory.inputs.workspace import Workspace
from aifactory.units import percent, three_digits

#: What an empty table leaves unanswered.
UNANSWERED = {
    "billing": "spend, unit cost and idle money: no bill",
    "pools": "utilisation, power, energy and idle capacity: no pool readings",
    "latency_histograms": "latency against SLO and length tails: no latency data",
    "jobs": "training and fine-tuning demand, queues and failures: no job table",
    "demand_windows": "serving demand: no request telemetry",
    "account_map": "team of untagged charges: no account map",
    "tenant_usage": "concentration on tenants: no requests that name their tenant",
}
#: What buckets of a server do not tell.
LENGTHS = "length tails and drift of sizes: no requests, only buckets of latency"
#: What an empty column of a filled table leaves unanswered.
UNREAD = {
    ("pools", "power_w"): "power, energy and the check of pool labels: no power readings",
    ("pools", "queue_depth"): "queues of the pools: no queue readings",
    ("demand_windows", "cached_input_tokens"): "share of cached prompts: no counts of cached tokens",
    ("demand_windows", "retries"): "load that retries add: no counts of retries",
}
#: Telemetry that covers less of the month is named.
COVERED = 0.9
#: Kind of a finding about a level that the plan starts from.
LEVEL = "level"


@dataclass(frozen=True)
class Finding:
    """One finding; `money_usd` is per month and None where money is not the point."""

    kind: str
    text: str
    money_usd: float | None = None


def _reached(row: Any) -> str:
    """A measured p95, or the interval that holds it."""
    return f"more than {row.p95_low:,.0f} ms" if pd.isna(row.p95) else f"{row.p95:,.0f} ms"


def not_computed(ws: Workspace) -> list[str]:
    """What could not be computed from this workspace, and why."""
    found = [text for table, text in UNANSWERED.items() if not ws.has(table)]
    if ws.has("latency_bounds"):
        found = [LENGTHS if text == UNANSWERED["latency_histograms"] else text for text in found]
    for (table, column), text in UNREAD.items():
        if ws.has(table) and ws.table(table)[column].isna().all():
            found.append(text)
    return found


def failing(services: pd.DataFrame) -> list[Finding]:
    """Services that fail more often than their limit (`service.failures_and_queues`), furthest first."""
    if services.empty:
        return []
    over = services[services["within_limit"].eq(other=False).fillna(value=False)]
    over = over.assign(times=over["failure_rate"] / over["slo_max_failure_rate"]).sort_values("times", ascending=False)
    return [
        Finding("failures", f"{row.use_case_id} in {row.region} failed in {three_digits(100 * row.failure_rate)} % of its requests, above its limit of {three_digits(100 * row.slo_max_failure_rate)} %.")
        for row in over.itertuples()
    ]  # fmt: skip


def drifted(drift: pd.DataFrame) -> list[Finding]:
    """Work that is no longer what it was in the month before, or in the last one before that: what was measured on it must be repeated."""
    rows = drift[drift["verdict"] == "shifted"].sort_values("compared_with", ascending=False)
    return [
        Finding("drift", f"{row.use_case_id}: {row.what} has shifted since {row.compared_with}, {row.moved}: measurements of before are of other work.")
        for row in rows.drop_duplicates(["use_case_id", "what"]).itertuples()
    ]  # fmt: skip


def late_usage(bill: pd.DataFrame) -> list[Finding]:
    """Usage of other months in the invoice: part of the bill, not of this month's unit cost."""
    late = bill[(bill["month"] != bill["invoice_month"]) & (bill["ChargeCategory"] == "Usage")]
    if late.empty:
        return []
    amount = float(exact_total(late["EffectiveCost"]))
    return [
        Finding(
            "invoice",
            f"{len(late)} {'charge' if len(late) == 1 else 'charges'} of the invoice {'is' if len(late) == 1 else 'are'} usage of another month.",
            amount,
        )
    ]


def outlived(cases: pd.DataFrame, period: str) -> list[Finding]:
    """Use cases with demand in a month in which they should be retired: no month to come holds any of theirs.

    Parameters
    ----------
    cases : `use_cases` with units_month.
    """
    late = cases[(cases["retire_month"] <= period).fillna(value=False) & (cases["units_month"] > 0)]
    return [
        Finding(
            LEVEL,
            f"{row.use_case_id} was to end by {row.retire_month} (retire_month in use_cases), but {three_digits(row.units_month)} of its units were delivered in "
            f"{period}: nothing is planned for it from {period} on. If it goes on, correct the month.",
        )
        for row in late.itertuples(index=False)
    ]


def open_entries(log: pd.DataFrame, as_of: str) -> list[Finding]:
    """What the decision log holds open, by the day it is due (`decisions` contract); the past is overdue."""
    waiting = log[log["status"] == "open"].sort_values("due", na_position="last", kind="stable")
    return [
        Finding("decision", f"{row.text.rstrip('.?')}: open {row.kind} on {row.subject}, {row.owner_role}{_due(row.due, as_of)}.")
        for row in waiting.itertuples(index=False)
    ]  # fmt: skip


def _due(day: pd.Timestamp, as_of: str) -> str:
    """When an entry is due.

    >>> _due(pd.Timestamp("2026-11-05"), "2026-10-31"), _due(pd.Timestamp("2026-10-05"), "2026-10-31"), _due(pd.NaT, "2026-10-31")
    (', due 5 November 2026', ', overdue since 5 October 2026', '')
    """
    if pd.isna(day):
        return ""
    return f", {'overdue since' if day < pd.Timestamp(as_of) else 'due'} {day.day} {day:%B %Y}"


def gaps(
    reconciliation: pd.DataFrame, pools: pd.DataFrame, levels: pd.DataFrame, profile: pd.DataFrame
) -> list[Finding]:
    """Findings that are not waste: governance, labels, missed SLOs, outages."""
    found = []
    lines = reconciliation.set_index("line")["effective_cost"] if len(reconciliation) else pd.Series(dtype="object")
    if lines.get("unattributed usage"):
        share = percent(lines["unattributed usage"] / lines["bill"]) if lines["bill"] else "Part"
        found.append(Finding("tagging", f"{share} of the bill has no team.", float(lines["unattributed usage"])))
    for row in pools[pools["label_suspect"]].itertuples(index=False) if len(pools) else ():
        found.append(Finding("label", f"Pool {row.pool_id}: {row.label_note}; its label is in doubt."))
    missed = levels[levels["meets_slo"].eq(other=False).fillna(value=False)] if len(levels) else levels
    for row in missed.itertuples(index=False):
        metric = row.metric.removesuffix("_ms").upper()
        found.append(
            Finding(
                "slo",
                f"{row.use_case_id} in {row.region} missed its p95 {metric} of {row.slo:,.0f} ms: {_reached(row)}.",
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
            text = f"Telemetry of {place} covers {row.observed_hours:,.0f} hours, {percent(row.observed_share)} of the month; their level stands for all of it."
            found.append(Finding("coverage", text))
    return found
