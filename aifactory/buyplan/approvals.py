"""Who answers for the plan, what they decided, and on which open conditions: from the plan and the decision log."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.plan import Plan

COLUMNS = ["role", "answers_for", "decided", "date", "open_conditions"]
KINDS = (("duty", "duties"), ("assumption", "assumptions"), ("cost centre", "cost centres"))


def approvals_frame(plan: Plan, log: pd.DataFrame) -> pd.DataFrame:
    """One row per role that owns a part of the plan or logged a decision, by name.

    Parameters
    ----------
    plan : its duties, assumptions and cost centres have owners.
    log : rows of the `decisions` contract, those of the month and before.

    Returns
    -------
    Columns `COLUMNS`: `decided` is the latest decision of the role that is done, with its `date` (NaT without one);
    `open_conditions` are its open entries with the day they are due, earliest first.
    """
    owned = _owned(plan)
    made = log[(log["kind"] == "decision") & (log["status"] == "done")].sort_values("date", kind="stable")
    waiting = log[log["status"] == "open"].sort_values(["due", "date"], na_position="last", kind="stable")
    rows = []
    for role in sorted({*owned, *made["owner_role"], *waiting["owner_role"]}):
        last = made[made["owner_role"] == role].tail(1)
        open_ = waiting[waiting["owner_role"] == role]
        decided = [f"{row.subject}: {row.text}" for row in last.itertuples()]
        conditions = [_condition(row) for row in open_.itertuples()]
        date = last["date"].iloc[0] if len(last) else pd.NaT
        rows.append((role, ", ".join(owned.get(role, [])), "".join(decided), date, "; ".join(conditions)))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.assign(date=pd.to_datetime(frame["date"]))


def _condition(row: tuple) -> str:
    due = "" if pd.isna(row.due) else f" (due {row.due:%Y-%m-%d})"
    return f"{row.subject}: {row.text.rstrip('.')}{due}"


def _owned(plan: Plan) -> dict[str, list[str]]:
    """Number of duties, assumptions and cost centres by role, in words."""
    found: dict[str, list[str]] = {}
    for (one, many), items in zip(KINDS, (plan.governance, plan.assumptions.values(), plan.hidden_costs), strict=True):
        counts = pd.Series([item.owner_role for item in items], dtype="str").value_counts()
        for role, count in counts.items():
            found.setdefault(str(role), []).append(f"{count} {one if count == 1 else many}")
    return found
