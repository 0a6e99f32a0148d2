"""The decision asked for, in one sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.finance.options import OPTION_NAMES
from aifactory.inputs.plan import Plan
from aifactory.units import MEGA, MONTHS_PER_YEAR

KINDS_NAMED = 3
DECISION_WINDOW_MONTHS = 3  # orders to sign within ninety days of the approval
MONTH_NAMES = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def signed_now(orders: pd.DataFrame) -> pd.DataFrame:
    """Orders to sign in the decision window: the baseline; renewals are decided when they are due."""
    due = orders["order_index"] <= DECISION_WINDOW_MONTHS
    return orders[due & ~orders["renewal"] & (orders["band"] == "baseline")]


def released_on_triggers(orders: pd.DataFrame) -> pd.DataFrame:
    """Growth orders of the first year: each is placed only when its trigger fires."""
    due = orders["order_index"] <= MONTHS_PER_YEAR
    return orders[due & ~orders["renewal"] & (orders["band"] != "baseline")]


def decision_sentence(orders: pd.DataFrame, roi: pd.DataFrame, plan: Plan) -> str:
    """Return the decision asked for: amount, what, until when, and what it brings."""
    expected = roi[roi["scenario"] == "expected"].iloc[0]
    outlook = f"The plan costs {money(expected['tco_usd'])} over {plan.horizon_months} months"
    if np.isfinite(expected["npv_usd"]):
        outlook += f" and has an NPV of {money(expected['npv_usd'])} in the expected scenario."
    else:
        outlook += "; its return is not computed, because no value per unit is stated."
    now, later = signed_now(orders), released_on_triggers(orders)
    growth = f", and release up to {money(later['commitment_usd'].sum())} of growth orders within a year"
    growth = f"{growth}, each on its trigger" if len(later) else ""
    if now.empty:
        return f"Sign no commitment now: capacity by the hour is cheapest at today's demand{growth}. {outlook}"
    amount, date = money(now["commitment_usd"].sum()), month_name(now["order_month"].min())
    return f"Approve {amount} of commitments with the first order by {date}: {_named(now)}{growth}. {outlook}"


def _named(orders: pd.DataFrame) -> str:
    """Name the orders that take most of the money; the rest is counted."""
    kinds = orders.groupby(["accelerator_id", "purchase_option"], as_index=False)[
        ["accelerators", "commitment_usd"]
    ].sum()
    kinds = kinds.sort_values(["commitment_usd", "accelerator_id"], ascending=[False, True])
    shown = kinds.head(KINDS_NAMED)
    named = [
        f"{row.accelerators} {row.accelerator_id} ({OPTION_NAMES[row.purchase_option].lower()})"
        for row in shown.itertuples()
    ]
    rest = int(kinds["accelerators"].iloc[KINDS_NAMED:].sum())
    return ", ".join([*named, *([f"{rest} others"] if rest else [])])


def money(usd: float) -> str:
    """Amount in words fit for a sentence.

    >>> money(12_345_678), money(-4_200), money(950)
    ('USD 12.3 million', 'USD -4,200', 'USD 950')
    """
    return f"USD {usd / MEGA:,.1f} million" if abs(usd) >= MEGA else f"USD {usd:,.0f}"


def month_name(month: str) -> str:
    """Return the month in words.

    >>> month_name("2026-11")
    'November 2026'
    """
    return f"{MONTH_NAMES[int(month[5:7]) - 1]} {month[:4]}"
