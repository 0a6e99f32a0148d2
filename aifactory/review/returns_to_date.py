"""Value and cost since approval against the plan, and when the plan pays back as things stand."""

from __future__ import annotations

import numpy as np
import pandas as pd

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


def update_payback(approved: pd.DataFrame, to_date: pd.DataFrame, period: str) -> pd.DataFrame:
    """Payback and result over the horizon, as approved and as it stands, columns `PAYBACK_COLUMNS`.

    What no bill shows (staff, integration, contingency: planned cost less planned compute) counts as planned. The
    months to come are the plan times the ratio of actual to planned so far, value and cost apart. Payback is the
    first month from which value has covered cost, undiscounted, counted from the first month of the plan.

    Parameters
    ----------
    approved : the plan in calendar months; `to_date` : from `roi_to_date` on it.
    """
    seen = to_date[["value_usd", "bill_usd"]].notna().all(axis=1) if len(to_date) else pd.Series(dtype=bool)
    if approved.empty or not seen.any() or approved["value_usd"].isna().all():
        return pd.DataFrame(columns=PAYBACK_COLUMNS)
    plan = approved.groupby("month")[["value_usd", "cost_usd", "compute_usd"]].sum()
    done = to_date[seen].set_index("month")
    inside = plan.loc[done.index]
    cost = done["bill_usd"] + inside["cost_usd"] - inside["compute_usd"]
    ratios = done["value_usd"].sum() / inside["value_usd"].sum(), cost.sum() / inside["cost_usd"].sum()
    later = plan.index > period
    stands = (plan["value_usd"] * ratios[0] - plan["cost_usd"] * ratios[1]).where(later)
    stands.loc[done.index] = done["value_usd"] - cost
    stands = stands.fillna(plan["value_usd"] - plan["cost_usd"])  # a month without a bill stands as planned
    planned = plan["value_usd"] - plan["cost_usd"]
    rows = [
        ("value to date", inside["value_usd"].sum(), done["value_usd"].sum(), "USD"),
        ("cost to date, all lines", inside["cost_usd"].sum(), cost.sum(), "USD"),
        ("net to date", planned[done.index].sum(), (done["value_usd"] - cost).sum(), "USD"),
        ("net over the horizon", planned.sum(), stands.sum(), "USD"),
        ("payback", payback_month(planned.to_numpy()), payback_month(stands.to_numpy()), "months from the first"),
    ]
    return pd.DataFrame(rows, columns=PAYBACK_COLUMNS)


def payback_month(net: np.ndarray) -> float:
    """Number of the first month from which the cumulated net stays at or above zero; nan if it never does.

    >>> payback_month(np.array([-5.0, 2.0, 4.0])), payback_month(np.array([-5.0, 1.0]))
    (3.0, nan)
    >>> payback_month(np.array([1.0, -3.0, 4.0]))
    3.0
    """
    below = np.nonzero(np.cumsum(net) < 0)[0]
    first = below[-1] + 2 if len(below) else 1
    return float(first) if first <= len(net) else np.nan
