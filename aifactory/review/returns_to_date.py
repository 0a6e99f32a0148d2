"""Value and cost since approval against the plan, and when the plan pays back as things stand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.finance.cashflow import payback
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.review.monthly import realised_value

PAYBACK_COLUMNS = ["figure", "plan", "as_it_stands", "unit"]


def roi_to_date(ws: Workspace, inventory: Inventory, approved: pd.DataFrame) -> pd.DataFrame:
    """Value and bill per month since the plan began, actual beside plan, cumulated."""
    value = realised_value(ws, inventory).groupby("month")["value_usd"].sum(min_count=1)
    cost = inventory.spend_monthly.groupby("month")["effective_cost_usd"].sum()
    table = pd.DataFrame({"value_usd": value, "bill_usd": cost})
    if len(approved):
        planned = approved.groupby("month")[["cost_usd", "value_usd"]].sum(min_count=1)
        table = table.join(
            planned.rename(columns={"cost_usd": "planned_cost_usd", "value_usd": "planned_value_usd"}), how="inner"
        )
    table = table[table.index <= ws.period].reset_index()
    net = (table["value_usd"] - table["bill_usd"]).cumsum()
    return table.assign(cumulative_net_usd=net)


def update_payback(approved: pd.DataFrame, to_date: pd.DataFrame, orders: pd.DataFrame, period: str) -> pd.DataFrame:
    """Payback and result over the horizon, as approved and as it stands, columns `PAYBACK_COLUMNS`.

    What no bill shows (staff, integration, contingency: planned cost less planned compute) counts as planned; outlays
    to date are those of the order book. Months to come have the planned value times the ratio of actual to planned so
    far, the planned cash and as much more of the cost as so far; outlays that were planned to date and not made are
    still to come. Payback is in cash before tax, undiscounted, interpolated and counted from approval.

    Parameters
    ----------
    approved : the plan in calendar months; a plan without cash columns has no payback.
    to_date : from `roi_to_date` on it.
    orders : the `commitments` table.
    """
    seen = to_date[["value_usd", "bill_usd"]].notna().all(axis=1) if len(to_date) else pd.Series(dtype=bool)
    if approved.empty or not seen.any() or approved["value_usd"].isna().all():
        return pd.DataFrame(columns=PAYBACK_COLUMNS)
    plan = (
        _with_cash(approved)
        .groupby("month")[["value_usd", "cost_usd", "compute_usd", "cash_usd", "outlay_usd"]]
        .sum(min_count=1)
    )
    done = to_date[seen].set_index("month")
    inside, later = plan.loc[done.index], plan.index > period
    paid = outlays(orders, done.index)
    other = inside["cost_usd"] - inside["compute_usd"]
    cost = done["bill_usd"] + other
    ratios = done["value_usd"].sum() / inside["value_usd"].sum(), cost.sum() / inside["cost_usd"].sum()
    planned = plan["value_usd"] - plan["cash_usd"]
    to_come = plan["value_usd"] * ratios[0] - plan["cash_usd"] - plan["cost_usd"] * (ratios[1] - 1.0)
    stands = to_come.where(later)
    stands.loc[done.index] = done["value_usd"] - cost - paid
    stands = stands.fillna(planned)  # a month without a bill stands as planned
    if later.any():
        stands[stands.index[later][0]] -= inside["outlay_usd"].sum() - paid.sum()
    rows = [
        ("value to date", inside["value_usd"].sum(), done["value_usd"].sum(), "USD"),
        ("cost to date, all lines", inside["cost_usd"].sum(), cost.sum(), "USD"),
        ("outlays to date", inside["outlay_usd"].sum(), paid.sum(), "USD"),
        ("net cash to date", planned[done.index].sum(), stands[done.index].sum(), "USD"),
        ("net cash over the horizon, before tax", planned.sum(), stands.sum(), "USD"),
        ("payback", _payback(planned), _payback(stands), "months from approval"),
    ]
    return pd.DataFrame(rows, columns=PAYBACK_COLUMNS)


def outlays(orders: pd.DataFrame, months: pd.Index) -> pd.Series:
    """Paid once for accelerators by month: purchases at their order, prepayments at the start of their term, USD."""
    once = orders.dropna(subset=["upfront_usd"])
    month = once["order_month"].where(once["purchase_option"] == "purchase", once["start_month"])
    return once.groupby(month)["upfront_usd"].sum().reindex(months, fill_value=0.0)


def _with_cash(approved: pd.DataFrame) -> pd.DataFrame:
    """The plan with its cash of all lines; NaN in a plan that was approved without it."""
    if "outlay_usd" not in approved:
        return approved.assign(cash_usd=np.nan, outlay_usd=np.nan)
    return approved.assign(cash_usd=approved["cost_usd"] - approved["compute_usd"] + approved["compute_cash_usd"])


def _payback(net: pd.Series) -> float:
    """Months from approval until the cumulated cash stays at or above zero; NaN if never, or not known."""
    found = payback([0.0, *net]) if net.notna().all() else None
    return np.nan if found is None else found
