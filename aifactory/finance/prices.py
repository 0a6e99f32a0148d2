"""The price that holds for an accelerator in a region on given terms, with its source and age."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.horizon import OFFER
from aifactory.inputs.plan import Plan
from aifactory.inputs.workspace import Workspace

KEYS = ["accelerator_id", "region", "purchase_option"]
OWN_SITE_OPTIONS = ("purchase", "lease")  # hardware in our own or colocated space
BARE = "server not included"  # words in the note of a purchase row that is priced for the card alone
SERVER_SHARE_ITEM = "server_gpu_share_of_server_price"
PRICE_COLUMNS = [
    *KEYS,
    "provider",
    "sku",
    "usd_per_accelerator_hour",
    "usd_per_accelerator",
    "term_months",
    "upfront_fraction",
    "minimum_accelerators",
    "accelerators_per_node",
    "lead_time_weeks",
    "note",
    "as_of",
    "source",
    "confidence",
    "exact_region",
    "age_days",
]


def latest_offers(prices: pd.DataFrame) -> pd.DataFrame:
    """Keep the newest row of each offer: the price list is append-only by `as_of`."""
    newest_first = prices.sort_values(["as_of", "price_id"], ascending=[False, True], kind="stable")
    return newest_first.drop_duplicates(OFFER).sort_index()


def price_table(prices: pd.DataFrame, plan: Plan, as_of: dt.date | str) -> pd.DataFrame:
    """Cheapest offer per candidate accelerator, workspace region and purchase option.

    Rented offers come from the providers that `plan.regions` names. An offer holds in a region if
    its provider region is the one named there for that provider, or `*`. Where no offer holds, one
    of the same providers elsewhere stands in, with `exact_region` False: of each provider the cheapest of
    its region whose cheapest one is the median (of two in the middle the cheaper), of these the cheapest. Hardware to
    own or lease may come from anybody; where the workspace holds a quote for it, bundled list prices,
    which nobody has offered, do not count. Combinations without any offer have no row. Prices noted after
    `as_of` hold only where a combination has no earlier one: what a month was told stays true for it.

    Parameters
    ----------
    prices : the prices table of the workspace, with `quoted` (`aifactory.inputs.workspace`).
    as_of : the date against which `age_days` is counted; a price noted later has age 0.

    Returns
    -------
    One row per combination, columns `PRICE_COLUMNS`, sorted by accelerator, region and option.
    Money is USD per accelerator-hour, or USD per accelerator for a purchase.
    """
    return cheapest_offers(_middle_stands_in(_held(prices, plan, as_of), KEYS), KEYS).reindex(columns=PRICE_COLUMNS)


def node_offers(prices: pd.DataFrame, plan: Plan, as_of: dt.date | str) -> pd.DataFrame:
    """The cheapest offer per combination of `price_table` and size in which it is sold (`accelerators_per_node`).

    An offer from elsewhere stands in only where none of any size holds in the region. Sizes that are not stated stay
    empty and count as one.
    """
    table = _held(prices, plan, as_of)
    here = table.groupby(KEYS)["exact_region"].transform("any")
    sized = [*KEYS, "accelerators_per_node"]
    return cheapest_offers(_middle_stands_in(table[table["exact_region"] | ~here], sized), sized)[PRICE_COLUMNS]


def _held(prices: pd.DataFrame, plan: Plan, as_of: dt.date | str) -> pd.DataFrame:
    """Newest rows of the offers for the candidates in the regions of the plan, with their age."""
    offers = latest_offers(prices[prices["accelerator_id"].isin(plan.candidates)])
    hardware = offers["purchase_option"].isin(OWN_SITE_OPTIONS) & (offers["region"] == "*")
    rows = []
    for region in plan.regions:
        theirs = offers[hardware | offers["provider"].isin(list(region.provider_regions))]
        exact = (theirs["region"] == "*") | (theirs["region"] == theirs["provider"].map(region.provider_regions))
        place = theirs["provider"].astype(str) + " " + theirs["region"].astype(str)
        rows.append(theirs.assign(exact_region=exact.astype(bool), place=place, region=region.region))
    table = pd.concat(rows, ignore_index=True)
    table = _quotes_first(_known_by(table, pd.Timestamp(as_of)))
    table["age_days"] = (pd.Timestamp(as_of) - table["as_of"]).dt.days.clip(lower=0)
    return table


def _known_by(table: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Prices noted by a day; those noted later only for combinations that have none by then."""
    early = table["as_of"] <= day
    return table[early | ~early.groupby([table[key] for key in KEYS]).transform("any")].reset_index(drop=True)


def _quotes_first(table: pd.DataFrame) -> pd.DataFrame:
    """Without the bundled list prices of hardware to own or lease that the workspace holds a quote for."""
    hardware = table["purchase_option"].isin(OWN_SITE_OPTIONS)
    quote = table["quoted"] & table["exact_region"] & hardware
    told = quote.groupby([table[key] for key in KEYS]).transform("any")
    return table[table["quoted"] | ~(hardware & told)].reset_index(drop=True)


def offers_of(ws: Workspace) -> pd.DataFrame:
    """The prices of a workspace as they are paid: cards that are sold bare at their share of a server (`add_server`)."""
    return add_server(ws.table("prices"), ws.table("accelerators"), ws.table("operating_costs"))


def add_server(prices: pd.DataFrame, accelerators: pd.DataFrame, operating_costs: pd.DataFrame) -> pd.DataFrame:
    """Raise purchase prices of bare data-centre cards to the card with its share of a server.

    price / (share of the server price that goes into accelerators), for rows of the prices table
    whose note says that the server is not included. Edge and neuromorphic devices stand alone.
    The note of a raised row names the share.
    """
    shares = operating_costs.loc[operating_costs["item"] == SERVER_SHARE_ITEM, "typical"]
    classes = prices["accelerator_id"].map(accelerators.set_index("accelerator_id")["platform_class"])
    bare = prices["note"].fillna("").str.contains(BARE) & (prices["purchase_option"] == "purchase")
    bare &= ~classes.isin(["edge", "neuromorphic"])
    if not bare.any():
        return prices
    if shares.empty:
        raise InputError.at("operating_costs", f"item {SERVER_SHARE_ITEM!r} is needed to price bare accelerators")
    share = float(shares.iloc[0])
    note = prices["note"].where(~bare, prices["note"] + f"; raised to a server share at {share:.2f} of its price")
    price = prices["usd_per_accelerator"].where(~bare, prices["usd_per_accelerator"] / share)
    return prices.assign(usd_per_accelerator=price, note=note)


def cheapest_offers(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The cheapest row per `keys`, offers of the region itself before stand-ins; rows without a price are left out."""
    return _by_price(table, keys).drop_duplicates(keys).drop(columns="price").reset_index(drop=True)


def _by_price(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    price = table["usd_per_accelerator_hour"].fillna(table["usd_per_accelerator"])
    order = [*keys, "exact_region", "price", "provider", "sku"]
    ascending = [*[True] * len(keys), False, True, True, True]
    return table.assign(price=price).dropna(subset=["price"]).sort_values(order, ascending=ascending, kind="stable")


def _middle_stands_in(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Offers of the region itself, and of the others by `keys` and provider the cheapest of the `place` in the middle.

    The cheapest of all places would be a bargain of one of them, which nobody offers in the region; among providers one
    may choose, so that another one never makes a price dearer.
    """
    groups = [*keys, "exact_region", "provider"]
    ranked = _by_price(table, keys).drop_duplicates([*groups, "place"])
    among = ranked.groupby(groups, dropna=False)["price"]
    middle = among.cumcount() == (among.transform("size") - 1) // 2
    return ranked[ranked["exact_region"] | middle].drop(columns=["price", "place"])
