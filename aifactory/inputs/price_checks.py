"""Prices of an organisation's own against the other offers of the same accelerator, where a wrong unit shows, and against the months of its data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from aifactory.inputs.findings import Finding, Tables
from aifactory.inputs.plan import Plan
from aifactory.inputs.resources import data_dir

#: Beyond this many times the dearest other offer, or below the cheapest divided by it, a price is doubted.
FAR = 2.0
#: So many times the median of the same way to pay, where as many offers of it are known, are doubted too: lists differ by less than 2.3 (catalogue, 2026-10).
FAR_OF_MEDIAN, ENOUGH_OFFERS = 2.5, 5
#: Days after the last window of demand from which the date of a price is doubted.
MOST_DAYS_AHEAD = 366
RENT, OUTLAY = "usd_per_accelerator_hour", "usd_per_accelerator"
#: (row of the file, column, value, rule)
Doubt = tuple[int, str, str, str]


def doubted_prices(rows: pd.DataFrame, accelerators: pd.DataFrame) -> Iterator[Doubt]:
    """Own prices far from every bundled offer of the accelerator.

    Parameters
    ----------
    rows : own rows of `prices` or `commitments`, with the row numbers of their file as index.
    accelerators : `accelerator_id` and `accelerators_per_node`.

    Yields
    ------
    Rents (spot prices aside) beyond `FAR` times the range of all rents or `FAR_OF_MEDIAN` times the median of their way to pay, purchases above `FAR`
    times the dearest: used kit may be cheap. Where the price divided by the accelerators of a node lies in the range, the rule says so.
    """
    known = bundled_prices()
    if "price_id" in rows:
        rows = rows[~rows["price_id"].isin(known["price_id"])]
    nodes = accelerators.set_index("accelerator_id")["accelerators_per_node"]
    rows = rows[rows["purchase_option"] != "spot"]
    for column, unit in ((RENT, "USD an accelerator-hour"), (OUTLAY, "USD an accelerator")):
        if column not in rows:
            continue
        bands = known.groupby("accelerator_id")[column].agg(["min", "max", "count"])
        usual = known.groupby(["accelerator_id", "purchase_option"])[column].agg(["median", "count"])
        usual = usual.loc[usual["count"] >= ENOUGH_OFFERS, "median"].to_dict()
        priced = rows[(rows[column] > 0) & rows["accelerator_id"].isin(bands.index[bands["count"] > 0])]
        for row, value, chip, option in zip(
            priced.index, priced[column], priced["accelerator_id"], priced["purchase_option"], strict=True
        ):
            low, high, offers = bands.loc[chip]
            most = min(high * FAR, usual.get((chip, option), np.inf) * FAR_OF_MEDIAN)
            if (low / FAR <= value or column == OUTLAY) and value <= most:
                continue
            node = int(nodes.get(chip, 1))
            whole = node > 1 and low / FAR <= value / node <= most
            asked = (
                f"; is it the price of a node of {node}? An accelerator of it costs {value / node:.4g}" if whole else ""
            )
            span = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
            rule = f"{int(offers)} other offers of {chip} cost {span} {unit}{asked}"
            yield int(row) + 2, column, f"{value:g}", rule


def prices_dated_ahead(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Own prices are dated no more than a year after the last window of demand."""
    last = pd.to_datetime(tables["demand_windows"]["window_start_utc"], utc=True).max()
    rows = tables["prices"]
    if pd.isna(last):
        return
    rows = rows[~rows["price_id"].isin(bundled_prices()["price_id"])]
    days = (pd.to_datetime(rows["as_of"], utc=True) - last).dt.days
    rule = f"more than a year after the last window of demand, {last:%Y-%m-%d}: such a price is used only where no earlier one is there"
    for row, day in rows.loc[days > MOST_DAYS_AHEAD, "as_of"].items():
        yield Finding("prices", "prices_dated_ahead", "warned", rule, int(row) + 2, "as_of", f"{day:%Y-%m-%d}")


def bundled_prices() -> pd.DataFrame:
    """Prices an hour and an accelerator of the catalogue."""
    columns = ["price_id", "accelerator_id", "purchase_option", RENT, OUTLAY]
    return pd.read_csv(data_dir() / "catalogue" / "prices.csv", usecols=columns)
