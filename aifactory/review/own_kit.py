"""Depreciation on the bill: charges of an own site that spread what was paid once for its accelerators.

A plan counts the outlay of a purchase in the month of its order, and none for kit that was paid for before it. A bill that
charges depreciation would count that money again in a return, and would stand above every plan by money that is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.releases import PLACE
from aifactory.fleet.placed import BOUGHT
from aifactory.inputs.billing import OWN_KIT, accelerator_charges, plan_regions
from aifactory.inputs.plan import Region
from aifactory.inputs.providers import provider_name
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.spend import USAGE

#: Name of the row of a variance that holds it.
PAID_BEFORE = "kit paid for before the plan"


def on_own_sites(rows: pd.DataFrame, regions: Sequence[Region]) -> np.ndarray:
    """Whether the seller of each charge is no cloud provider of its region, or of any where the charge names none, (n,).

    rows : charges with `ProviderName` and `region`, the region of the plan or "".
    """
    clouds = {(name, provider) for item in regions for provider in item.provider_regions for name in (item.region, "")}
    sellers = rows["ProviderName"].astype("str").map(provider_name)
    return np.array([pair not in clouds for pair in zip(rows["region"], sellers, strict=True)], dtype=bool)


def depreciation_usd(
    bill: pd.DataFrame, book: pd.DataFrame, regions: Sequence[Region], ordered_by: str | None = None
) -> pd.Series:
    """USD of each charge that spread the outlay of bought accelerators, on the index of `bill`; 0 for all others.

    Charges for accelerator-hours of an own site hold the outlays of the order book over the months from first use to
    retirement, at most what they come to. Where the book names no outlay or no retirement, those that call themselves
    depreciation or amortisation count whole.

    Parameters
    ----------
    bill : the derived `billing` table. book : the `commitments` table.
    ordered_by : count kit alone that was ordered up to this month 'YYYY-MM', or stands in no order book.
    """
    found = pd.Series(0.0, index=bill.index)
    bought = book[book["purchase_option"] == BOUGHT]
    if bought.empty and not bill["purchase_option"].eq(OWN_KIT).any():
        return found
    rows = bill[bill["cost_line"].isin(USAGE) & bill["EffectiveCost"].gt(0)]
    rows = rows.assign(
        says=rows["purchase_option"] == OWN_KIT,
        region=plan_regions(rows, regions),
        usd=rows["EffectiveCost"].astype("float64"),
    )
    rows = rows[(accelerator_charges(rows) | rows["says"]) & on_own_sites(rows, regions)]
    for (region, accelerator, month), part in rows.groupby([*PLACE, "month"]):
        here = bought[(bought["region"] == region) & (bought["accelerator_id"] == accelerator)]
        found[part.index] = part["usd"] * _shares(part, _in_use(here, month), ordered_by)
    return found


def _in_use(orders: pd.DataFrame, month: str) -> pd.DataFrame:
    ended = orders["end_month"].notna() & (orders["end_month"] <= month)
    return orders[(orders["start_month"] <= month) & ~ended]


def _shares(charges: pd.DataFrame, orders: pd.DataFrame, ordered_by: str | None) -> np.ndarray:
    """Share of each charge of a place and month that spreads outlays of `orders`, the purchases in use there, (n,)."""
    mine = orders if ordered_by is None else orders[orders["order_month"] <= ordered_by]
    if orders.empty or orders[["upfront_usd", "end_month"]].isna().any(axis=None) or (orders["upfront_usd"] <= 0).any():
        share = 1.0 if orders.empty else mine["accelerators"].sum() / orders["accelerators"].sum()
        return charges["says"].to_numpy(dtype=float) * share
    life = [(pd.Period(end, "M") - pd.Period(start, "M")).n for start, end in zip(mine["start_month"], mine["end_month"], strict=True)]  # fmt: skip
    spread = float((mine["upfront_usd"].astype("float64") / np.array(life, dtype=float)).sum())
    return np.full(len(charges), min(spread / float(charges["usd"].sum()), 1.0))


def without_kit_paid_before(ws: Workspace, approved: pd.DataFrame) -> tuple[Workspace, pd.Series]:
    """The workspace with a bill that leaves out kit which the plan counts as paid for, and what that comes to, USD by month.

    approved : the plan; without one nothing is left out.
    """
    bill = ws.table("billing")
    if approved.empty or bill.empty:
        return ws, pd.Series(dtype="float64")
    period = str(approved["plan_period"].iloc[0])
    gone = depreciation_usd(bill, ws.table("commitments"), ws.plan.regions, period)
    rest = bill.assign(EffectiveCost=bill["EffectiveCost"].astype("float64") - gone)
    return replace(ws, tables=ws.tables | {"billing": rest}), gone.groupby(bill["invoice_month"]).sum()
