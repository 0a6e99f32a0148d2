"""What the report of a month may see: nothing that happened later.

A report of August that is made again in November must say what it said, whatever was added since.
So rows of later months are left out when a workspace is loaded, and `seen_hash` tells whether what is
left has changed: new months do not touch old reports, a late correction touches its month and the
months after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

#: Column that dates a row; a charge counts from the earlier of the month it was used and billed in.
DATED = {
    "demand_windows": "window_start_utc",
    "requests": "timestamp_utc",
    "jobs": "submitted_utc",
    "pools": "window_start_utc",
    "latency_histograms": "month",
    "latency_bounds": "window_start_utc",
    "tenant_usage": "month",
    "decisions": "date",
}
BILL = ("ChargePeriodStart", "BillingPeriodStart")
PLANS = ("approved_plan", "approved_bands")
#: What makes two rows of the append-only price list prices of one offer.
OFFER = ["provider", "sku", "accelerator_id", "region", "purchase_option", "term_months", "upfront_fraction"]


def seen_until(tables: Mapping[str, pd.DataFrame], period: str) -> dict[str, pd.DataFrame]:
    """The tables of `rows_until`, their rows numbered anew."""
    shown = rows_until(tables, period)
    return {
        name: rows if len(rows) == len(tables[name]) else rows.reset_index(drop=True) for name, rows in shown.items()
    }


def rows_until(tables: Mapping[str, pd.DataFrame], period: str) -> dict[str, pd.DataFrame]:
    """Tables without the rows that are dated after the month, under their numbers; undated rows stay.

    A plan that was approved for a later month does not exist yet; nor do the orders that the month's own plan places.
    A price noted later is left out where the list has an earlier one of the same offer; alone it stands in, as far as no
    other offer of the accelerator is known (`aifactory.finance.prices.price_table`), and the page says so. The same
    holds for benchmarks of one use case and accelerator. Of hosted prices, which come and go, the newest noted by the end of
    the month holds, and none noted later.
    """
    after = (pd.Period(period, "M") + 1).start_time
    seen = dict(tables)
    for name, column in DATED.items():
        seen[name] = _before(seen[name], _is_later(seen[name][column], period, after))
    bill = seen["billing"]
    seen["billing"] = _before(bill, pd.concat([_is_later(bill[c], period, after) for c in BILL], axis=1).all(axis=1))
    for name in PLANS:
        seen[name] = _before(seen[name], (seen[name]["plan_period"] > period).astype(bool))
    prices = seen["prices"]
    first = prices.groupby(OFFER, dropna=False)["as_of"].transform("min")
    seen["prices"] = _before(prices, (prices["as_of"] >= after) & (first < after))
    runs = seen["benchmarks"]
    first = runs.groupby(["use_case_id", "accelerator_id"])["as_of"].transform("min")
    seen["benchmarks"] = _before(runs, (runs["as_of"] >= after) & (first < after))
    hosted = _before(seen["api_prices"], seen["api_prices"]["as_of"] >= after)
    seen["api_prices"] = _before(hosted, hosted["as_of"] < hosted.groupby("api_model")["as_of"].transform("max"))
    seen["commitments"] = _before(seen["commitments"], _is_unseen(seen["commitments"], period))
    return seen


def _is_unseen(book: pd.DataFrame, period: str) -> pd.Series:
    """Orders that the plan of a month cannot know: those it brings about itself, and those placed after it."""
    approved = book["plan_period"].notna()
    later = np.where(approved, book["plan_period"].fillna("") >= period, book["order_month"] > period)
    return pd.Series(later.astype(bool), index=book.index)


def _is_later(column: pd.Series, period: str, after: pd.Timestamp) -> pd.Series:
    if not pd.api.types.is_datetime64_any_dtype(column):
        return (column > period).fillna(False).astype(bool)
    return column >= (after.tz_localize("UTC") if column.dt.tz is not None else after)


def _before(table: pd.DataFrame, later: pd.Series) -> pd.DataFrame:
    return table[~later] if later.any() else table


def seen_hash(table: pd.DataFrame) -> str:
    """SHA-256 over columns and rows, in their order.

    >>> seen_hash(pd.DataFrame({"a": [1, 2]})) == seen_hash(pd.DataFrame({"a": [1, 2]}))
    True
    >>> seen_hash(pd.DataFrame({"a": [1, 2]})) == seen_hash(pd.DataFrame({"a": [2, 1]}))
    False
    """
    digest = hashlib.sha256("|".join(table.columns).encode())
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()
