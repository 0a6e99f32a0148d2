"""What must hold within the table of orders placed."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

#: (row of the file, column, value, rule)
Fault = tuple[int, str, str, str]


def book_faults(book: pd.DataFrame) -> Iterator[Fault]:
    """Orders that cannot be true: months out of order, a term without end, money that is not stated."""
    rented = book["purchase_option"] != "purchase"
    yield from _each(book, book["start_month"] < book["order_month"], "start_month", "lies before order_month")
    yield from _each(book, book["end_month"] <= book["start_month"], "end_month", "must lie after start_month")
    endless = rented & book["end_month"].isna()
    yield from _each(
        book, endless, "end_month", "a term needs its first month without it, YYYY-MM; only a purchase has none"
    )
    unpriced = rented & book[["usd_per_accelerator_hour", "upfront_usd"]].isna().all(axis=1)
    rule = "state the rent that is still paid, or 0 where upfront_usd pays for all"
    yield from _each(book, unpriced, "usd_per_accelerator_hour", rule)
    rent = (book["usd_per_accelerator_hour"] > 0) & ~rented
    yield from _each(book, rent, "usd_per_accelerator_hour", "a purchase has no rent; state its outlay in upfront_usd")


def book_gaps(book: pd.DataFrame) -> Iterator[Fault]:
    """Purchases without the money that they cost."""
    unpaid = (book["purchase_option"] == "purchase") & book["upfront_usd"].isna()
    rule = "no outlay of the purchase: outlays to date and capital spent are without it; 0 where nothing is paid"
    yield from _each(book, unpaid, "upfront_usd", rule)


def _each(book: pd.DataFrame, bad: pd.Series, column: str, rule: str) -> Iterator[Fault]:
    for row in book.index[bad.fillna(value=False).astype(bool)]:
        value = book.loc[row, column]
        yield int(row) + 2, column, "" if pd.isna(value) else str(value), rule
