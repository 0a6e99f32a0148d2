"""What a price must pass before it is believed, and how a new list differs from the held one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from aifactory.inputs.contracts import load_contract
from aifactory.inputs.guard import STARTS
from aifactory.inputs.importers.prices.offers import FORMULA, KEY
from aifactory.inputs.tables import read_table
from aifactory.inputs.write import write_table

#: Shares of on-demand that tools put where they know no spot price (floor of SkyPilot, default of AWS lists).
PLACEHOLDERS = (0.10, 0.30)
MOVED, QUARANTINE = 0.05, 2.0
#: A new offer this many times above the dearest or below the cheapest known price is in another unit.
OUT_OF_BAND = 3.0
MOST_USD_HOUR = 100_000  # beyond any unit; a price of a month is below it and goes to quarantine
APART = r"(?i)^(?:us-gov|usgov|usdod|cn-|china)"
PLACE = ["provider", "sku", "accelerator_id", "region", "as_of"]


def guard(offers: pd.DataFrame) -> tuple[pd.DataFrame, Counter[str]]:
    """Rows that may be prices, and why the others may not, counted."""
    price = offers["usd_per_accelerator_hour"].astype(float).fillna(offers["usd_per_accelerator"].astype(float))
    demand = offers[offers["purchase_option"] == "on_demand"].drop_duplicates(PLACE).set_index(PLACE)
    reference = (
        demand["usd_per_accelerator_hour"].reindex(pd.MultiIndex.from_frame(offers[PLACE])).to_numpy(dtype=float)
    )
    with np.errstate(invalid="ignore"):
        share = price.to_numpy() / np.where(reference > 0, reference, np.nan)
    spot, reserved = offers["purchase_option"] == "spot", offers["purchase_option"].str.startswith("reserved")
    named = offers[["provider", "sku", "region"]].astype("str")
    rules = {
        FORMULA: named.apply(lambda c: c.str.match(STARTS)).any(axis=1),
        "price is 0, negative or missing": ~(price > 0) | ~np.isfinite(price),
        f"price above USD {MOST_USD_HOUR:,} an accelerator-hour: in another unit": offers["usd_per_accelerator_hour"]
        > MOST_USD_HOUR,
        "two prices of the same offer in this file": _contradicted(offers, price),
        "government or China region, priced apart": offers["region"].str.contains(APART),
        "spot above on-demand": spot & (share > 1 + 1e-9),
        "spot equals on-demand, so there is no market": spot & (np.abs(share - 1) <= 1e-9),
        "spot is exactly 10 % or 30 % of on-demand, a placeholder": spot
        & np.any([np.abs(share - part) <= 5e-5 for part in PLACEHOLDERS], axis=0),
        "commitment not below on-demand": reserved & (share >= 1 - 1e-9),
    }
    found: Counter[str] = Counter()
    bad = np.zeros(len(offers), dtype=bool)
    for rule, broken in rules.items():
        fresh = np.asarray(broken, dtype=bool) & ~bad
        found[rule] += int(fresh.sum())
        bad |= fresh
    return offers[~bad].reset_index(drop=True), +found


def as_held(rows: pd.DataFrame, table: str) -> tuple[pd.DataFrame, Counter[str]]:
    """Rows as the table of a workspace gives them back, and why the others could not be read again, counted.

    A cell that reads as no value (`null`), a bound of the contract: what is stored must never stop the next reading.
    """
    contract = load_contract(table)
    with TemporaryDirectory() as folder:
        read = read_table(write_table(rows.reindex(columns=list(contract.columns)), table, Path(folder)), contract)
    bad = {item.row: f"breaks a rule of the table {table}: {item.column} {item.rule}" for item in read.problems}
    kept = [position for position in range(len(rows)) if position + 2 not in bad]
    return read.frame.iloc[kept].reset_index(drop=True), Counter(bad.values())


def _contradicted(offers: pd.DataFrame, price: pd.Series) -> np.ndarray:
    """Offers that the file prices in two ways: neither is believed."""
    keys = [*KEY, "as_of"]
    counts = offers[keys].assign(price=price).groupby(keys, dropna=False)["price"].transform("nunique")
    return counts.to_numpy() > 1


def compare(offers: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """Offers with the newest held price of the same offer and what became of it.

    Adds `before`, `before_as_of`, `change` (relative) and `state`: `new`; `same` (to the cent's
    thousandth); `moved` by more than 5 %; `changed` by less; `quarantined`: more than doubled or less
    than half, or a new offer far from what its accelerator and option are known to cost (`_band`); `held` if this very row is there already; `older` than what is held;
    `conflict`: another price of the same day.
    """
    past = _known(held)
    newest = past.sort_values("as_of", kind="stable").drop_duplicates(KEY, keep="last").set_index(KEY)
    keys = pd.MultiIndex.from_frame(_keyed(offers)[KEY])
    price = (
        offers["usd_per_accelerator_hour"].astype(float).fillna(offers["usd_per_accelerator"].astype(float)).to_numpy()
    )
    before = newest["price"].reindex(keys).to_numpy(dtype=float)
    dated = pd.to_datetime(newest["as_of"].reindex(keys)).to_numpy()
    same_day = past.drop_duplicates([*KEY, "as_of"], keep="last").set_index([*KEY, "as_of"])["price"]
    dated_keys = pd.MultiIndex.from_frame(_keyed(offers)[[*KEY, "as_of"]])
    today = same_day.reindex(dated_keys).to_numpy(dtype=float)
    band = _band(offers, past)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = price / before
        far = (ratio > QUARANTINE) | (ratio < 1 / QUARANTINE)
        strange = (price > band[:, 1]) | (price < band[:, 0])
        strange &= np.isnan(before)
        state = np.select(
            [
                np.abs(price / today - 1) <= 1e-6,
                ~np.isnan(today),
                offers["as_of"].to_numpy() < dated,
                far | strange,
                np.isnan(before),
                np.abs(ratio - 1) > MOVED,
                np.abs(ratio - 1) > 1e-6,
            ],
            ["held", "conflict", "older", "quarantined", "new", "moved", "changed"],
            "same",
        )
    return offers.assign(price=price, before=before, before_as_of=dated, change=ratio - 1, state=state)


def _band(offers: pd.DataFrame, past: pd.DataFrame) -> np.ndarray:
    """Lowest and highest price that a new offer is believed at, [n, 2]; NaN where nothing is known.

    A third of the cheapest and three times the dearest known price of its accelerator and option. An
    option that nobody offered so far is measured by the hours of all options but spot; with a term it is
    not believed above the dearest of them, as nobody commits to pay more than by the hour.
    """
    each = ["accelerator_id", "purchase_option"]
    own = past.groupby(each)["price"].agg(["min", "max"])
    own = own.reindex(pd.MultiIndex.from_frame(offers[each])).to_numpy(dtype=float)
    hours = past[~past["purchase_option"].isin(["purchase", "spot"])]
    other = hours.groupby("accelerator_id")["price"].agg(["min", "max"])
    other = other.reindex(offers["accelerator_id"]).to_numpy(dtype=float)
    hourly = (offers["purchase_option"] != "purchase").to_numpy()
    known = ~np.isnan(own[:, 0])
    committed = ~known & (offers["term_months"].astype(float) > 0).to_numpy()
    band = np.where((known | ~hourly)[:, None], own, other)
    return band * np.column_stack([np.full(len(band), 1 / OUT_OF_BAND), np.where(committed, 1.0, OUT_OF_BAND)])


def gone(offers: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """Held offers of the same providers and options that the new list no longer has; an older list says nothing of later ones."""
    past = _known(held).sort_values("as_of", kind="stable").drop_duplicates(KEY, keep="last")
    past = past[past["as_of"] <= pd.to_datetime(offers["as_of"]).max()] if len(offers) else past
    covered = ["provider", "purchase_option"]
    same = pd.MultiIndex.from_frame(past[covered]).isin(pd.MultiIndex.from_frame(offers[covered]))
    return past[same & ~is_listed(past, offers)]


def is_listed(rows: pd.DataFrame, offers: pd.DataFrame) -> np.ndarray:
    """Whether each row is an offer of the list, at whatever price."""
    return pd.MultiIndex.from_frame(_keyed(rows)[KEY]).isin(pd.MultiIndex.from_frame(_keyed(offers)[KEY]))


def _known(held: pd.DataFrame) -> pd.DataFrame:
    price = held["usd_per_accelerator_hour"].fillna(held["usd_per_accelerator"])
    return _keyed(held.assign(price=price.astype(float)))


def _keyed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(
        sku=rows["sku"].fillna("").astype(str),
        term_months=rows["term_months"].fillna(0).astype(int),
        upfront_fraction=rows["upfront_fraction"].fillna(0.0).astype(float).round(6),
        as_of=pd.to_datetime(rows["as_of"]).astype("datetime64[us]"),
    )
