"""Purchases that the approved plan signed on approval and the order book does not hold: a hold, or a row that was taken out.

The approved plan tells money alone. What it pays once in a month of its decision window, less the steps of that month that wait for
demand and less what the order book holds of other plans and of this one's approval, is a purchase that was firm; the number follows from the price
of one in its steps, else in the plan of today. Money that is no whole number of them, such as a prepayment, is left out.
"""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan.governance import DECISION_WINDOW_MONTHS
from aifactory.buyplan.keep import ORDERED
from aifactory.buyplan.releases import COMMITMENT, PLACE, written_by_approval

PURCHASE = "purchase"
#: Part of one purchase by which the money may miss a whole number of them: cents of rounding.
NEAR = 0.01


def with_firm_orders(
    steps: pd.DataFrame, approved: pd.DataFrame, orders: pd.DataFrame, book: pd.DataFrame
) -> pd.DataFrame:
    """Steps of the approved plan with its firm purchases that the order book does not hold, as steps of their month.

    Parameters
    ----------
    steps : rows of the `approved_bands` contract of the approved plan.
    approved : rows of the `approved_plan` contract.
    orders : orders of the plan made today.
    book : rows of the `commitments` contract.
    """
    if approved.empty or "outlay_usd" not in approved:
        return steps
    period = str(approved["plan_period"].iloc[0])
    last = str(pd.Period(period, "M") + DECISION_WINDOW_MONTHS)
    paid = approved[approved["month"].between(period, last)].rename(columns={"month": "order_month"})
    keys = [*PLACE, "order_month"]
    waits = steps[(steps["kind"] == COMMITMENT) & (steps["purchase_option"] == PURCHASE)]
    due = waits[waits["order_month"] <= last]
    booked = book[(book["purchase_option"] == PURCHASE) & ~_since(book, period)]
    left = paid.groupby(keys)["outlay_usd"].sum()
    own = written_by_approval(booked, period)  # a row of it that was put off is placed all the same
    booked = booked[(booked["order_month"] > period) & (own | (booked["order_month"] <= last))]
    for known in (due.groupby(keys)["commitment_usd"].sum(), booked.groupby(keys)["upfront_usd"].sum()):
        left = left.astype(float).sub(known.astype(float), fill_value=0.0)
    prices, rows = _prices(waits, orders), []
    for (region, accelerator, month), usd in _over_months(left).items():
        price = prices.get((region, accelerator), 0.0)
        many = usd / price if price > 0 else 0.0
        number = round(many)
        if number and abs(number - many) <= NEAR:
            rows.append((period, COMMITMENT, "baseline", month, region, accelerator, PURCHASE, number, usd))
    names = ["plan_period", "kind", "band", "order_month", *ORDERED, "accelerators", "commitment_usd"]
    return pd.concat([steps, pd.DataFrame(rows, columns=names)], ignore_index=True) if rows else steps


def _over_months(left: pd.Series) -> pd.Series:
    """What is left by place and month, where what the book holds of one month beyond the plan counts for the others of the place."""
    beyond = -left.clip(upper=0.0).groupby(PLACE).transform("sum")
    before = left.clip(lower=0.0).groupby(PLACE).cumsum() - left.clip(lower=0.0)
    found = left.clip(lower=0.0) - (beyond - before).clip(lower=0.0)
    return found[found > 0]


def _since(book: pd.DataFrame, period: str) -> pd.Series:
    """Rows that were entered by hand since approval: they count as steps placed (`keep.placed_since`), not as known to the plan."""
    mine = book["plan_period"].astype(object).fillna(period) == period
    return mine & ~written_by_approval(book, period) & (book["order_month"] > period)


def _prices(steps: pd.DataFrame, orders: pd.DataFrame) -> dict[tuple[str, str], float]:
    """USD of one by region and accelerator, of the plan of today unless the approved one tells it."""
    bought = orders[orders["purchase_option"] == PURCHASE] if len(orders) else steps.iloc[:0]
    found: dict[tuple[str, str], float] = {}
    for rows in (bought, steps):
        sums = rows.groupby(PLACE)[["commitment_usd", "accelerators"]].sum()
        found |= (sums["commitment_usd"] / sums["accelerators"]).to_dict()
    return found
