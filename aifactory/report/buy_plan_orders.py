"""Orders and renewals in the buy plan page, each with the price that it rests on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.governance import BY_DATE, is_firm, released_on_triggers
from aifactory.finance.options import OPTION_NAMES
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.service import field_accelerators
from aifactory.report.blocks import Block, Col, table
from aifactory.report.buy_plan_bands import at_load
from aifactory.report.buy_plan_charts import PLAN
from aifactory.report.buy_plan_guard import of_a_plan
from aifactory.report.text import date_name, is_missing, month_name, pct, span, usd_compact

OFFER = ["accelerator_id", "region", "purchase_option"]
#: Marks behind a price, and what they mean.
OLD, ELSEWHERE = "past its limit", "not of the region"
LEGEND = "A price past its freshness limit or not of the region (of another one of the provider) needs a new quote before signing."


def price_doubts(options: pd.DataFrame, freshness_days: Mapping[str, int]) -> dict[tuple[str, ...], str]:
    """Marks of the offers whose price is too old or of another region, by accelerator, region and way to pay."""
    if options.empty:
        return {}
    rows = options.groupby(OFFER).agg(age=("age_days", "max"), exact=("exact_region", "all"))
    limit = rows.index.get_level_values("purchase_option").map(freshness_days).astype("float64")
    old = rows["age"].to_numpy() > limit.to_numpy()
    marks = [
        ", ".join([OLD] * bool(aged) + [ELSEWHERE] * (not exact))
        for aged, exact in zip(old, rows["exact"], strict=True)
    ]
    return {key: f", {mark}" for key, mark in zip(rows.index, marks, strict=True) if mark}


@of_a_plan()
def table_orders(ws: Workspace, plan: BuyPlan) -> Block:
    """Orders and renewals of the expected scenario."""
    orders = plan.orders.assign(
        kind=np.where(
            is_firm(plan.orders),
            "firm",
            np.where(plan.orders["renewal"], "renewal", np.where(by_date(plan.orders), "by its date", _on_load(plan))),
        ),
    )
    alike = ["order_month", "start_month", "region", "accelerator_id", "purchase_option", "expires", "kind"]
    summed = dict.fromkeys(("accelerators", "commitment_usd"), "sum")
    first = dict.fromkeys(("why", "paths_share", "price_fall_kept", "provider", "as_of", "confidence"), "first")
    frame = orders.groupby(alike, sort=False, as_index=False).agg(summed | first)
    doubts = price_doubts(plan.options, ws.plan.price_freshness_days)
    frame = frame.assign(
        what=[f"{row.accelerators:,} {row.accelerator_id}, {row.region}" for row in frame.itertuples()],
        terms=[_terms(row, doubts.get(tuple(getattr(row, key) for key in OFFER), "")) for row in frame.itertuples()],
        order_by=[f"Order by {month_name(str(month)[:7])}" for month in frame["order_month"]],
    )
    columns = {
        "order_by": Col("Order by"),
        "start_month": Col("In use from", "month"),
        "what": Col("What", "prose"),
        "terms": Col("Way to pay; price by", "prose"),
        "commitment_usd": Col("USD committed", "usd0"),
        "kind": Col("Kind"),
        "why": Col("Why: whose work, what binds, what it costs otherwise", "prose"),
        "paths_share": Col("Pays on", "pct0"),
        "price_fall_kept": Col("Holds until hours fall by", "pct0"),
    }
    note = (
        "Orders are chosen over many demand paths, by what they save in the mean and in the worst tenth: one that pays on fewer than half may save more there than it costs. "
        "Pays on: share of the paths on which the last node of the order saves more than it costs; capacity above n: the hours in which the last "
        "node of all orders of the place, beyond n, works, in the month in which it is worth most. At load n: placed when today's demand of the work planned there by "
        "then keeps n accelerators busy on average; the refresh watches it. Firm orders are paid in every scenario; the others follow "
        "the demand of their scenario. Hours otherwise: on demand and spot as they would be rented, with their people and "
        f"storage; the last column is about their price alone.{_network(ws, orders)}"
    )
    marked = any(OLD in terms or ELSEWHERE in terms for terms in frame["terms"])
    note += f" {LEGEND}" if marked else ""
    facts = {
        "caption": "Orders and renewals",
        "source": f"prices table; {PLAN}",
        "as_of": ws.as_of,
        "groups": ["order_by"],
    }
    return table(frame, **facts, columns=columns, max_rows=18, note=note)


def _on_load(plan: BuyPlan) -> list[str]:
    """The load that releases each order that waits for one."""
    loads = plan.orders.get("released_at", pd.Series(np.nan, index=plan.orders.index))
    return ["on trigger" if is_missing(load) else at_load(load) for load in loads]


def _network(ws: Workspace, orders: pd.DataFrame) -> str:
    """That money committed to bought accelerators holds their share of the network, which their price does not."""
    field = field_accelerators(ws.table("accelerators"))
    bought = orders[(orders["purchase_option"] == "purchase") & ~orders["accelerator_id"].isin(field)]
    share = ws.plan.value("network_share_of_capex")
    return f" USD committed is the price with {pct(share, 0)} more for the network." if len(bought) and share else ""


def by_date(orders: pd.DataFrame) -> pd.Series:
    """Orders that their date releases, since what they replace or serve ends or begins then."""
    timing = orders["timing"] if "timing" in orders else pd.Series("", index=orders.index)
    return timing.astype("str").str.contains(BY_DATE.replace("(", "(?:"))


def released_how(orders: pd.DataFrame) -> str:
    """What releases the later orders of the first year, with the money of those that their date releases."""
    later = released_on_triggers(orders)
    dated = later.loc[by_date(later), "commitment_usd"].sum()
    if dated <= 0:
        return "on triggers"
    return (
        "on dates"
        if dated >= later["commitment_usd"].sum()
        else f"{usd_compact(dated)} of it on dates, the rest on triggers"
    )


def _terms(row: object, doubts: str) -> str:
    """Way to pay, its end, and whose price of which day it is, with what is doubtful of the price."""
    until = f" to {month_name(row.expires)}" if row.expires else ""
    return (
        f"{OPTION_NAMES[row.purchase_option]}{until}; {row.provider}, {date_name(row.as_of)}, {row.confidence}{doubts}"
    )


def last_nodes(orders: pd.DataFrame) -> str:
    """How far hours may fall until the last node of an order no longer pays, which works for fewer hours than the first."""
    kept = orders["price_fall_kept"].dropna() if "price_fall_kept" in orders else pd.Series(dtype=float)
    if kept.empty:
        return ""
    return f" The last node of each order works less, and pays until hours fall by {span(pct(kept.min(), 0), pct(kept.max(), 0))} (orders below)."
