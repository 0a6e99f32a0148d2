"""What a reader must know of the orders placed before the plan: what it starts from, and where book and readings differ."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from aifactory.buyplan.case import Case
from aifactory.buyplan.governance import money
from aifactory.buyplan.idle_kit import sale_usd
from aifactory.fleet.placed import BOUGHT, OWN_SITE, PLACE, unused_usd
from aifactory.inputs.hosted import RUN_BY_SELLERS, RUNS_HOSTED

RENTED = ("lease", "reserved_1y", "reserved_3y", "capacity_block")
NAMED = 4


def placed_sentences(case: Case, installed: pd.DataFrame, edge: Collection[str] = ()) -> list[str]:
    """One sentence each, none where all is well.

    Parameters
    ----------
    installed : pools of the period: region, accelerator_id, purchase_option, installed.
    edge : accelerators that stand where the work arises.
    """
    today = case.streams.months[0]
    book = case.book[case.book["end_month"].isna() | (case.book["end_month"] > today)]
    known = book[PLACE].apply(tuple, axis=1).isin(set(case.streams.pools[PLACE].itertuples(index=False, name=None)))
    known = known.astype(bool)
    return [
        *_start(case, book[known]),
        *_not_in_book(book, installed, today),
        *_late(book, installed, today),
        *_unused(case, book[~known], edge),
    ]


def _start(case: Case, book: pd.DataFrame) -> list[str]:
    """Capacity that is there, what was paid for it and what is still owed."""
    placed, today = case.placed, case.streams.months[0]
    if not placed.accelerators.any():
        return []
    now, most = placed.accelerators[0].sum(), placed.accelerators.sum(axis=1).max()
    text = f"The plan starts from {now:,.0f} accelerators that are owned or committed"
    text += f", {most:,.0f} once all are delivered" if most > now else ""
    due = book["order_month"].where(book["purchase_option"] == BOUGHT, book["start_month"])
    paid, coming = book["upfront_usd"].where(due <= today), book["start_month"] > today
    ordered = book.loc[coming, "accelerators"].sum()
    text += f", and {ordered:,.0f} are on order" if ordered else ""
    whom = "those on order" if ordered and not paid[~coming].sum() > 0 else "them"
    rest = "all of them" if whom != "them" else whom
    owed = placed.capex_usd.sum() + placed.paid_usd.sum() + placed.beyond_usd.sum()
    amounts = [f"{money(paid.sum())} was paid for {whom} before and is in none of its cost"] if paid.sum() > 0 else []
    amounts += [f"{money(owed)} is still owed for {rest} and is in its cost"] if owed > 0 else []
    return ["; ".join([text, *amounts]) + "."]


def _not_in_book(book: pd.DataFrame, installed: pd.DataFrame, today: str) -> list[str]:
    """Pools under a contract that the book does not hold."""
    running = book[book["purchase_option"].isin(RENTED) & (book["start_month"] <= today)]
    listed = running.groupby(PLACE)["accelerators"].sum()
    under = installed[installed["purchase_option"].isin(RENTED)].groupby(PLACE)["installed"].sum()
    return [
        f"{count - listed.get(place, 0):,.0f} {place[1]} in {place[0]} are under contract today without a row in the "
        "commitments table: their end is not known, the plan does not count on them and may order them again."
        for place, count in under.items()
        if count > listed.get(place, 0)
    ]


def _late(book: pd.DataFrame, installed: pd.DataFrame, today: str) -> list[str]:
    """Purchases that should have arrived and that no reading of the pools shows."""
    if installed.empty:
        return []
    bought = book[(book["purchase_option"] == BOUGHT) & (book["start_month"] <= today)]
    seen = installed[installed["purchase_option"] == BOUGHT].groupby(PLACE)["installed"].sum()
    missing = {
        place: count - seen.get(place, 0) for place, count in bought.groupby(PLACE)["accelerators"].sum().items()
    }
    late = [f"{count:,.0f} {place[1]} in {place[0]}" for place, count in missing.items() if count > 0]
    if not late:
        return []
    rest = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
    return [
        f"Bought and due, but in no reading of the pools: {', '.join(late[:NAMED])}{rest}. The plan counts them as "
        "delivered; if they are late, set their start_month in the commitments table."
    ]


def _way_out(others: list[str]) -> str:
    return (
        f"They may serve {', '.join(others)}, which it does not cover." if others else "Reassign, sell or return them."
    )


def served_elsewhere(case: Case, region: str, accelerator_id: str) -> list[str]:
    """Use cases that the plan leaves out and that may run on an accelerator in a region today.

    Those that are known to, and those of which nothing is known; not those of hosted models.
    """
    today, found = case.runs_on, set()
    for row in case.streams.not_sized.itertuples(index=False):
        here = not row.region or region in row.region.split(";")
        if (
            here
            and row.units_month > 0
            and row.reason not in (*RUN_BY_SELLERS, RUNS_HOSTED)
            and today.get(row.use_case_id, accelerator_id) == accelerator_id
        ):
            found.add(row.use_case_id)
    return sorted(found)


def _unused(case: Case, book: pd.DataFrame, edge: Collection[str]) -> list[str]:
    """Orders that serve no workload of the plan, with what is still owed for them."""
    count = book.groupby(PLACE)["accelerators"].sum()
    places, owed = unused_usd(book, case.streams.pools, case.streams.months, case.plan)
    priceless = book[book["purchase_option"].isin(RENTED) & book["usd_per_accelerator_hour"].isna()]
    unknown = set(priceless[PLACE].itertuples(index=False, name=None))
    return [
        f"{count[pool.region, pool.accelerator_id]:,.0f} {pool.accelerator_id} in {pool.region} are committed, and no "
        f"workload of the plan uses them: {_owed(usd, known=tuple(pool)[1:] not in unknown)}. "
        f"{_way_out(served_elsewhere(case, pool.region, pool.accelerator_id))}{_worth(case, pool, edge)}{_uncounted(case, book, pool)}"
        for pool, usd in zip(places.itertuples(), owed.sum(axis=0), strict=True)
    ]


def _worth(case: Case, pool: tuple, edge: Collection[str]) -> str:
    """What one of them sells for today, where it was bought at a known price."""
    field = pool.accelerator_id in edge
    usd = sale_usd(case, pool.region, pool.accelerator_id, case.streams.months[0], field=field)
    return (
        f" What was bought sells for about {money(usd)} each today, by the decline of prices in the plan."
        if usd > 0
        else ""
    )


def _uncounted(case: Case, book: pd.DataFrame, pool: tuple) -> str:
    """That what stands on an own site with a limit of power or space, and that nothing uses, is not counted there."""
    mine = book[(book["region"] == pool.region) & (book["accelerator_id"] == pool.accelerator_id)]
    region = next((item for item in case.plan.regions if item.region == pool.region), None)
    stated = region and not (region.power_limit_kw is None and region.space_limit_servers is None)
    if not stated or not mine["purchase_option"].isin(OWN_SITE).any():
        return ""
    return f" The power and space that they take are not counted against the limits of {region.name}."


def _owed(usd: float, *, known: bool) -> str:
    if not known:
        return "their rent is not stated, so what is still owed for them is in no cost of the plan"
    return f"{money(usd)} that is still owed for them is in its cost" if usd > 0 else "nothing more is owed for them"
