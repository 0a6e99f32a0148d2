"""What the order book says of a month: terms that began or ended, orders that moved, and those that no bill shows."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.finance.options import OPTION_NAMES
from aifactory.fleet.placed import OWN_SITE
from aifactory.inputs.billing import accelerator_charges, plan_regions
from aifactory.inputs.plan import Region
from aifactory.review.returns_to_date import COMMITTED
from aifactory.units import HOURS_PER_DAY

KIND = "order book"
#: Share of the hours of a term from which it counts as billed where another one takes hours before it.
LEAST_BILLED = 0.1
#: In the figures that a refresh keeps: accelerators of an order, under the month of its start or of its end.
START, END = "order start", "order end"


def orders_held(book: pd.DataFrame) -> list[tuple]:
    """Rows of `memory.figures_held`: accelerators of each order under the months in which it starts and ends; their unit says what and where."""
    return [
        (what, month, row.order_id, float(row.accelerators), f"{row.accelerator_id} in {row.region}")
        for what, column in ((START, "start_month"), (END, "end_month"))
        for month, row in zip(book[column], book.itertuples(), strict=True)
        if isinstance(month, str)
    ]


def order_changes(
    book: pd.DataFrame, bill: pd.DataFrame, regions: Sequence[Region], period: str, told: pd.DataFrame | None = None
) -> list[tuple]:
    """Rows of the change log: month, kind, accelerators, what happened, owner (none).

    Parameters
    ----------
    book : the `commitments` table as the month knows it. bill : the `billing` table.
    told : `memory.figures_held` of the first refresh of the month before; what it does not hold is not compared.
    """
    names = _names_told(told) | {
        row.order_id: f"{row.accelerators} {row.accelerator_id} in {row.region}" for row in book.itertuples()
    }
    rows = [(order, text) for order, text in _in_the_month(book, period)]
    rows += [(row.order_id, f"run since {row.start_month} by the order book, and the bill of the month has no hours of them: late, or charged elsewhere")
             for row in _not_billed(book, bill, regions, period).itertuples()]  # fmt: skip
    rows += _moved(orders_held(book), told)
    alone = set(book.loc[book["accelerators"] == 1, "order_id"])
    rows = [(order, _of_one(text) if order in alone else text) for order, text in rows]
    return [(period, KIND, names.get(order, order), f"{text} (order {order})", "") for order, text in rows]


def _names_told(told: pd.DataFrame | None) -> dict[str, str]:
    """What the report before knew of each order; earlier ones kept how many accelerators, not which."""
    if told is None or told.empty:
        return {}
    known = told[told["what"] == START]
    units = known["unit"].where((known["value"] != 1) | (known["unit"] != "accelerators"), "accelerator")
    return {
        order: f"{count:,.0f} {unit}"
        for order, count, unit in zip(known["subject"], known["value"], units, strict=True)
    }


def _of_one(text: str) -> str:
    """What happens to a single accelerator.

    >>> _of_one("begin, purchase"), _of_one("are new in the order book"), _of_one("left the order book")
    ('begins, purchase', 'is new in the order book', 'left the order book')
    """
    verb = re.match(r"\w+", text).group()
    return {"begin": "begins", "end": "ends", "run": "runs", "are": "is"}.get(verb, verb) + text[len(verb) :]


def _in_the_month(book: pd.DataFrame, period: str) -> list[tuple[str, str]]:
    """Orders that begin with the month, and terms that ended before it."""
    begun, ended = book[book["start_month"] == period], book[book["end_month"] == period]
    found = [
        (row.order_id, f"begin, {OPTION_NAMES.get(row.purchase_option, row.purchase_option).lower()}")
        for row in begun.itertuples()
    ]
    before = str(pd.Period(period, "M") - 1)
    return found + [(row.order_id, f"ended with {before}; work that stays there is paid by the hour") for row in ended.itertuples()]  # fmt: skip


def _not_billed(book: pd.DataFrame, bill: pd.DataFrame, regions: Sequence[Region], period: str) -> pd.DataFrame:
    """Rented terms in service in the month whose hours the bill of their accelerator and region lacks, the last to begin first.

    A term is paid for in every hour, and takes what the terms before it leave. Charges under a commitment count where there are any, else all;
    those that name no region cover what the regions lack.
    """
    charged = bill[(bill["month"] == period) & accelerator_charges(bill)]
    if charged.empty:
        return book.iloc[:0]
    held = charged["purchase_option"].isin(COMMITTED)
    where = pd.Series(plan_regions(charged, regions), charged.index)
    place = pd.MultiIndex.from_arrays([charged["accelerator_id"].astype("str"), where.astype("str")])
    anywhere = pd.MultiIndex.from_arrays([charged["accelerator_id"].astype("str"), [""] * len(charged)])
    under = place.isin(place[held]) | anywhere.isin(place[held])
    where, charged = where[held | ~under], charged[held | ~under]
    places = [charged["accelerator_id"], where]
    left = charged["accelerator_hours"].groupby(places).sum().to_dict()
    runs = (book["start_month"] <= period) & (book["end_month"].isna() | (period < book["end_month"]))
    terms = book[runs & ~book["purchase_option"].isin(OWN_SITE)].sort_values("start_month", kind="stable")
    hours, lacking, before = pd.Period(period, "M").days_in_month * HOURS_PER_DAY, [], set()
    for row in terms.itertuples():
        due = whole = row.accelerators * hours
        for place in ((row.accelerator_id, row.region), (row.accelerator_id, "")):
            taken = min(due, left.get(place, 0.0))
            left[place], due = left.get(place, 0.0) - taken, due - taken
        least = LEAST_BILLED * whole if (row.accelerator_id, row.region) in before else 0.0
        lacking.append(whole - due <= least)
        before.add((row.accelerator_id, row.region))
    return terms[np.array(lacking, dtype=bool)].sort_index()


def _moved(held: list[tuple], told: pd.DataFrame | None) -> list[tuple[str, str]]:
    """Orders whose start, end or size is not what the report of the month before told; new ones and those gone."""
    known = pd.DataFrame() if told is None or told.empty else told[told["what"].isin([START, END])]
    if known.empty:
        return []
    before = {(row.what, row.subject): (row.month, row.value) for row in known.itertuples()}
    now = {(what, order): (month, count) for what, month, order, count, _ in held}
    rows = [(order, "are new in the order book") for what, order in now if what == START and (what, order) not in before]  # fmt: skip
    rows += [(order, "left the order book") for what, order in before if what == START and (what, order) not in now]
    for (what, order), (month, count) in now.items():
        old_month, old_count = before.get((what, order), (month, count))
        verb = "begin" if what == START else "end"
        if month != old_month:
            rows.append((order, f"{verb} in {month}, told was {old_month}"))
        if what == START and count != old_count:
            rows.append((order, f"are {count:,.0f}, told were {old_count:,.0f}"))
    return rows
