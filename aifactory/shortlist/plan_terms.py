"""What every cell costs, bought as the buy plan would buy it: the plan's own streams, offers and orders, one cell at a time.

The expected demand of a use case in a region is cut into whole nodes of the platform. Each node is paid for as is
cheapest over the horizon for the hours in which it works: bought, leased or reserved from the month in which it can be
delivered, for its whole term, else rented by the hour (spot where the work may be interrupted). See
`aifactory.fleet.orders`. The offers are those of the price table that the plan reads; an offer whose least order is above
the fleet is none, and nothing is bought or leased where the own site has no room for a node, or bought where the plan has no capital. What differs from the plan is what a platform cannot know alone: nodes shared with other use cases, and
the spread of demand over many paths.

What is owned, ordered or committed before (`aifactory.fleet.placed`) stands to the use cases whose platform of today it is
until its term ends: what is owed for it is owed in any case, so it costs its power, space and support alone. What these do not
need in their busiest hours with reserve is spare room, which any other use case finds there at the same running cost, parts of a
node too where all that it needs fits in; alone each finds all of it, beside the others (`sharing`) it is there once. Hours in which ordered hardware has not come and nothing can be rented are missed at the plan's price of missed work.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from aifactory.demand.lumps import at_level
from aifactory.finance.cashflow import discount_factors
from aifactory.finance.options import COMMITTED_OPTIONS, FLEXIBLE_OPTIONS, OPTION_NAMES
from aifactory.finance.prices import OWN_SITE_OPTIONS, node_offers, offers_of
from aifactory.finance.tco import around_usd_per_hour, price_index
from aifactory.fleet.compute import price_orders
from aifactory.fleet.need import needed
from aifactory.fleet.node_sizes import MOST_NODES, cheapest_sizes, most_at_once, with_sizes
from aifactory.fleet.nodes import TOLERANCE, Load, Slots, build_load, build_slots, node_counts
from aifactory.fleet.orders import FLEXIBLE, OWNED, Orders, cheapest_decisions, committed_first, follow, rented_usd
from aifactory.fleet.placed import PLACE, Placed, placed_before
from aifactory.fleet.risk_reserve import held_capacity
from aifactory.fleet.stand_in import period_shapes
from aifactory.fleet.streams import ABOUT_POOLS, EXPECTED, Streams, build_streams, busiest, owned_accelerators
from aifactory.fleet.terms import BOUGHT, Offers, Terms, build_terms, longest_lead, read_offers
from aifactory.fleet.widths import jobs_to_go_by
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.today import known_platforms
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.missed import missed_usd, rented_anywhere
from aifactory.shortlist.own_sites import has_room
from aifactory.units import EDGE_CLASS, HOURS_PER_MONTH, monthly_rate, percent

TERM_COLUMNS = [
    "terms",
    "committed_share",
    "terms_source",
    "terms_as_of",
    "terms_stale",
    "no_offer_in",
    "node_accelerators",
]
BOUGHT_COLUMNS = [*KEYS, "compute_usd", "missed_usd", *TERM_COLUMNS, "so_far_usd"]
#: Types of the columns that are reckoned with or shown where there are no rows.
TYPES = dict.fromkeys([*KEYS, "terms", "terms_source", "no_offer_in"], "str") | dict.fromkeys(
    ["compute_usd", "missed_usd", "committed_share", "node_accelerators"], "float64"
)
OPTIONS = ("owned", *COMMITTED_OPTIONS, *FLEXIBLE_OPTIONS)
#: Share of the hours from which a way to pay is told, and its price counts for the age of the prices.
LEAST_TOLD = 0.005


@dataclass(frozen=True)
class Market:
    """The offers of a workspace, and what of the stages before the cells are priced with."""

    ws: Workspace
    inventory: Inventory
    prices: pd.DataFrame  # `node_offers`
    today: pd.Series  # accelerator of today by use case
    shapes: Mapping[tuple[str, str], np.ndarray]  # hourly load of the period by use case and region
    shares: Mapping[tuple[str, str], float]  # of what stands on today's platform, by use case and region
    #: [T + 1] accelerators that each of those whose platform of today it is needs there, by region and accelerator
    needs: Mapping[tuple[str, str], Mapping[str, np.ndarray]] = field(default_factory=dict)
    #: capacity to hold over the average of the period by use case, region and accelerator; the plan's ratios without one
    held: Mapping[tuple[str, str, str], float] = field(default_factory=dict)

    def without(self, gone: Collection[str]) -> Market:
        """The same after some use cases left their platform of today: what stood to them stands to those that stay, else to all."""
        left = {name: share for name, share in self.shares.items() if name[0] in gone}
        freed: dict[tuple[str, str], float] = {}
        for (name, region), share in left.items():
            freed[region, self.today[name]] = freed.get((region, self.today[name]), 0.0) + share
        kept = {key: 1.0 - freed.get((key[1], self.today.get(key[0])), 0.0) for key in self.shares}
        shares = {key: 0.0 if key in left else share / kept[key] if kept[key] > TOLERANCE else share
                  for key, share in self.shares.items()}  # fmt: skip
        needs = {
            place: {name: need for name, need in by.items() if name not in gone} for place, by in self.needs.items()
        }
        return replace(self, shares=shares, needs=needs)


def market_of(ws: Workspace, inventory: Inventory, today: pd.Series, capacity: pd.DataFrame) -> Market:
    """The offers of a workspace as the buy plan reads them."""
    offers = offers_of(ws)
    shapes = period_shapes(ws, inventory.demand_profile)
    shares = standing_shares(inventory.demand_profile, today, capacity)
    prices = node_offers(offers, ws.plan, ws.as_of)
    held = held_capacity(ws, inventory, capacity[KEYS], prices)
    market = Market(ws, inventory, prices, today, shapes, shares, held=held)
    return replace(market, needs=resident_needs(market, capacity))


def resident_needs(market: Market, capacity: pd.DataFrame) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Accelerators [T + 1] that use cases need where they run today, busiest hours with reserve, each alone; by place and name.

    Infinite where the capacity of one that is known to run there is not known: nothing is spare there. What only starts later
    is there no more than anywhere.
    """
    at_home = capacity["accelerator_id"] == capacity["use_case_id"].map(market.today)
    streams = streams_alone(market, capacity[at_home])
    level = needed(streams)
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for column, row in enumerate(streams.table.itertuples(index=False)):
        if market.shares.get((row.use_case_id, row.region), 0.0) > 0:
            found.setdefault((row.region, row.accelerator_id), {})[row.use_case_id] = level[:, column]
    runs_on = known_platforms(market.ws)
    known = set(zip(streams.table["use_case_id"], streams.table["region"], strict=True))
    expected = market.inventory.forecast[["use_case_id", "region"]].drop_duplicates()
    for name, region in expected.itertuples(index=False):
        if (name, region) not in known and name in runs_on:
            found.setdefault((region, runs_on[name]), {})[name] = np.full(streams.units.shape[1], np.inf)
    return found


def standing_shares(profile: pd.DataFrame, today: pd.Series, capacity: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Share of each use case and region in the work of the period that its platform of today does there.

    Work that comes in lumps counts by its level: what stands for it stands in a month without a job too.
    """
    level = at_level(profile)
    units = profile["units_month"].where(~level["lumpy"], level["units_per_hour_avg"] * HOURS_PER_MONTH)
    rate = capacity.set_index(KEYS)["units_per_s_per_accelerator"].astype(float)
    at = profile["use_case_id"].map(today)
    work = units / rate.where(rate > 0).reindex(pd.MultiIndex.from_arrays([profile["use_case_id"], at])).to_numpy()
    share = work / work.groupby([profile["region"], at]).transform("sum")
    return dict(zip(zip(profile["use_case_id"], profile["region"], strict=True), share.fillna(0.0), strict=True))


def price_cells(market: Market, cells: pd.DataFrame) -> pd.DataFrame:
    """Present value of the accelerators of every cell over the horizon, and the terms they are had on.

    Parameters
    ----------
    cells : `KEYS`, units_per_s_per_accelerator and the other capacity columns of the benchmark.

    Returns
    -------
    One row per cell with expected demand, `BOUGHT_COLUMNS`: compute_usd, at the plan's cost of capital, people and storage
    around the accelerators and missed demand included; missed_usd, that part of it; terms, share of the paid hours by way to pay, most first; committed_share of
    the paid hours; source of the price that most hours are paid at, date of the oldest price used, and whether any is past
    its freshness limit; no_offer_in, regions with demand and without an admissible offer, where compute_usd is not a number;
    node_accelerators, in the nodes of the region with the highest demand: the size in which they are cheapest; so_far_usd, [T]
    present value of the months up to each, purchases spread over their months of use.
    """
    streams = streams_alone(market, cells)
    if streams.table.empty:
        return pd.DataFrame(columns=BOUGHT_COLUMNS).astype(TYPES)
    return _by_cell(market, *priced_nodes(market, streams))


def cell_usd(market: Market, cells: pd.DataFrame) -> pd.DataFrame:
    """`KEYS`, compute_usd and missed_usd of `price_cells` alone."""
    streams = streams_alone(market, cells)
    if streams.table.empty:
        names = BOUGHT_COLUMNS[:4]
        return pd.DataFrame(columns=names).astype({name: TYPES[name] for name in names})
    sized, _, priced = priced_nodes(market, streams)
    return _sums(sized, priced)


def bought_nodes(market: Market, streams: Streams) -> tuple[Streams, pd.DataFrame]:
    """Streams with the instances or servers that serve each pool at least cost, and their price list."""
    return cheapest_sizes(streams, market.prices, lambda sized, prices: price_pools(market, sized, prices).usd)


def priced_nodes(market: Market, streams: Streams) -> tuple[Streams, pd.DataFrame, Priced]:
    """`bought_nodes`, and what the pools then cost: priced again only where no size tried was that of all pools."""
    tried: dict[tuple[int, ...], Priced] = {}

    def usd_of(sized: Streams, prices: pd.DataFrame) -> np.ndarray:
        return tried.setdefault(_sizes(sized), price_pools(market, sized, prices)).usd

    sized, prices = cheapest_sizes(streams, market.prices, usd_of)
    known = tried.get(_sizes(sized))
    return sized, prices, price_pools(market, sized, prices) if known is None else known


def _sizes(streams: Streams) -> tuple[int, ...]:
    return tuple(streams.pools["accelerators_per_node"])


@dataclass(frozen=True)
class Priced:
    """What pools cost over the horizon."""

    usd: np.ndarray  # [P] present value, people and storage around it and missed demand included; NaN where there is work and no admissible offer
    missed_usd: np.ndarray  # [P] the part that is demand without capacity
    hours: np.ndarray  # [len(OPTIONS), P] accelerator-hours paid by way to pay
    month_usd: np.ndarray  # [T + 1, P] the same month by month, purchases spread over their months of use


def price_pools(market: Market, streams: Streams, prices: pd.DataFrame) -> Priced:
    """Cheapest way to pay at a price list for every node of every pool of streams in the expected scenario."""
    plan, pools = market.ws.plan, len(streams.pools)
    room = _room(market, streams)
    streams = _in_bundles(streams)
    placed = _standing(market, streams)
    sizes = streams.pools["accelerators_per_node"].to_numpy()
    whole = np.floor(placed.accelerators / sizes + TOLERANCE).astype(int)
    slots = build_slots(streams, whole.max(axis=0, initial=0))
    load = build_load(streams, slots, streams.units[EXPECTED])
    nodes = np.maximum(
        whole, np.where(load.level <= placed.accelerators + TOLERANCE, node_counts(load.level, sizes), 0)
    )
    placed = replace(placed, accelerators=np.maximum(placed.accelerators, nodes * sizes))
    read = read_offers(prices, streams.pools, plan, longest_lead(market.prices))
    offers = _admissible(read, streams, room, buys_nothing=plan.budget.capex_usd_per_year == 0)
    owned = slots.number < nodes[:, slots.pool]
    lacking = slots.total((load.held & ~owned) * slots.size, pools).max(axis=0, initial=0.0)
    terms = build_terms(offers, slots, plan, lacking)
    rate = monthly_rate(plan.value("wacc"))
    orders = follow(cheapest_decisions(load, terms, rate), terms, owned)
    load = committed_first(load, orders.state, slots, terms)
    compute = price_orders(orders, load, slots, terms, pools, placed)
    factors = discount_factors(len(load.use), rate)
    anywhere = np.where(working_at_edge(streams), 0.0, rented_anywhere(market.prices, streams.pools))
    missing = missed_usd(plan, streams, offers, anywhere, (load, slots, terms, compute))
    missed = _present(factors, missing)
    offered = np.isfinite(offers.on_demand) | (slots.total(terms.available.any(axis=0).astype(float), pools) > 0)
    served = offered | (lacking <= 0)  # what stands in any case needs no offer
    idle = slots.total(load.use[1:].sum(axis=0), pools) <= 0
    beside = around_usd_per_hour(plan, offers.field, price_index(len(factors), plan)[:, None])
    tended = compute.paid_hours * beside
    around = _present(factors, tended)
    usd = slots.total(_present(factors, compute.slot_cash_usd), pools) + around + missed
    monthly = factors[:, None] * (compute.cost_usd + tended + missing)
    hours = _hours_by_option(orders, load, slots, terms, pools)
    return Priced(np.where(served | idle, usd, np.nan), missed, hours, monthly)


def _present(factors: np.ndarray, usd: np.ndarray) -> np.ndarray:
    """Sums over months of what they cost [T + 1, ...], month by month: the same whatever else is priced beside it."""
    return (factors[:, None] * usd).sum(axis=0)


def streams_alone(market: Market, cells: pd.DataFrame) -> Streams:
    """Expected demand of every cell and region, each a pool of its own."""
    ws, inventory = market.ws, market.inventory
    profile, use_cases = inventory.demand_profile, ws.table("use_cases")
    tokens = pd.DataFrame(columns=["use_case_id", "region", "input_tokens", "cached_input_tokens", "output_tokens"])
    known = cells[cells["units_per_s_per_accelerator"] > 0]
    streams = build_streams(
        ws.plan, ws.period, forecast=inventory.forecast, demand_profile=profile, tokens=tokens, use_cases=use_cases,
        accelerators=ws.table("accelerators"), choice=known[KEYS], capacity=known,
        shapes=market.shapes, jobs=jobs_to_go_by(ws, profile), capacity_over_average=market.held,
    )  # fmt: skip
    table = streams.table.assign(pool=np.arange(len(streams.table)))
    about = ws.table("accelerators").set_index("accelerator_id").reindex(columns=ABOUT_POOLS)
    pools = table[["region", "accelerator_id"]].join(about, on="accelerator_id").reset_index(drop=True)
    expected = np.repeat(streams.units[[EXPECTED]], len(streams.units), axis=0)
    size = np.repeat(streams.scenario_size[[EXPECTED]], len(streams.units), axis=0)
    return replace(streams, table=table, pools=pools, units=expected, scenario_size=size)


def _in_bundles(streams: Streams) -> Streams:
    """Several nodes as one where a pool would have too many."""
    size = streams.pools["accelerators_per_node"].fillna(1).to_numpy(dtype=float)
    together = np.ceil(most_at_once(streams) / size / MOST_NODES - TOLERANCE)
    together[streams.pool[(streams.table["sites"] > 1).to_numpy()]] = 1.0  # whole nodes at each site
    return with_sizes(streams, size * np.maximum(together, 1.0))


def _by_pool(streams: Streams, values: np.ndarray) -> np.ndarray:
    """Sums of values [K] by pool, [P]."""
    return np.bincount(streams.pool, values, len(streams.pools))


def _standing(market: Market, streams: Streams) -> Placed:
    """What is owned or committed before by month and pool, free of what is owed for it in any case.

    It stands to the use cases whose platform of today it is, in shares of their work in the region; to others what
    these leave, as far as they fill it.
    """
    table = streams.table
    places = streams.pools[[*PLACE, "platform_class"]].drop_duplicates(ignore_index=True)
    owned = owned_accelerators(market.inventory.pools, market.ws.plan, streams)
    book = market.ws.table("commitments")
    placed = placed_before(book, owned, places, streams.months, market.ws.plan)
    at = pd.MultiIndex.from_frame(places[PLACE]).get_indexer(pd.MultiIndex.from_frame(table[PLACE]))
    at_home = (table["accelerator_id"] == table["use_case_id"].map(market.today)).to_numpy()
    who = zip(table["use_case_id"], table["region"], strict=True)
    share = np.where(at_home, [market.shares.get(place, 0.0) for place in who], 0.0)
    spread = np.zeros((len(places), len(streams.pools)))
    np.add.at(spread, (at, streams.pool), share)
    guests = (share <= 0) & (table["sites"] <= 1).to_numpy()  # what stands elsewhere stands at no site of its own
    return placed.there_alone(np.minimum(spread + _spare(market, streams, placed, places, at, guests), 1.0))


def _spare(
    market: Market, streams: Streams, placed: Placed, places: pd.DataFrame, at: np.ndarray, guests: np.ndarray
) -> np.ndarray:
    """[T + 1, places, P] share of what stands that guests [K] find free there, at most the nodes that they fill.

    Where less than a node is free, its other accelerators work: guests fill no more of it than they need with their reserve.

    at : [K] place of each stream.
    """
    who = np.zeros((len(places), len(streams.pools)))
    who[at[guests], streams.pool[guests]] = 1.0
    needs = [sum(market.needs.get(place, {}).values()) for place in places[PLACE].itertuples(index=False, name=None)]
    needs = np.array([np.broadcast_to(need, len(placed.accelerators)) for need in needs]).T
    stands = placed.accelerators > 0
    left = np.where(stands, np.maximum(1.0 - needs / np.where(stands, placed.accelerators, 1.0), 0.0), 0.0)
    spare = left[:, :, None] * who
    fill = np.array([_by_pool(streams, row) for row in busiest(streams) * streams.chance * guests])
    size = streams.pools["accelerators_per_node"].to_numpy(dtype=float)
    room = np.einsum("tp,tpn->tn", placed.accelerators, spare)
    part = np.array([_by_pool(streams, row) for row in needed(streams) * guests])
    fill = np.where(room < size - TOLERANCE, part, np.ceil(fill / size - TOLERANCE) * size)
    return spare * np.minimum(fill / np.where(room > 0, room, 1.0), 1.0)[:, None, :]


def _room(market: Market, streams: Streams) -> np.ndarray:
    """[P] pools for whose nodes the own site of their region has room beside what stands there of candidates and platforms of today, whatever cells are priced."""
    used, pools = {*market.today.dropna(), *market.ws.plan.candidates}, market.inventory.pools
    owned = pools[(pools["purchase_option"] == "purchase") & pools["accelerator_id"].isin(used)]
    book = market.ws.table("commitments")
    stands = book[book["accelerator_id"].isin(used)], owned.groupby(PLACE)["installed"].sum().to_dict(), streams.months
    return has_room(streams.pools, market.ws.plan, market.ws.table("accelerators"), stands)


def working_at_edge(streams: Streams) -> np.ndarray:
    """[P] pools with work of the edge."""
    return _by_pool(streams, (streams.table["workload_class"] == EDGE_CLASS).to_numpy(dtype=float)) > 0


def _admissible(offers: Offers, streams: Streams, room: np.ndarray, *, buys_nothing: bool) -> Offers:
    """What works at the edge stands on an own site: hours of a cloud region are no offer for it. Where a site has no `room` [P], nothing is bought or leased."""
    edge = working_at_edge(streams)
    cloud = np.array([option not in OWN_SITE_OPTIONS for option in COMMITTED_OPTIONS])
    barred = np.where(cloud[:, None], edge, ~room)
    barred[BOUGHT] |= buys_nothing
    return replace(
        offers, on_demand=np.where(edge, np.inf, offers.on_demand), spot=np.where(edge, np.inf, offers.spot),
        rent=np.where(barred, np.nan, offers.rent),
    )  # fmt: skip


def _hours_by_option(orders: Orders, load: Load, slots: Slots, terms: Terms, pools: int) -> np.ndarray:
    """[options, P] accelerator-hours paid over the horizon by way to pay, in the order of `OPTIONS`."""
    state = orders.state[1:]
    rented = (state == FLEXIBLE) & np.isfinite(rented_usd(load, terms)).all(axis=0)[1:]
    spot = np.where(terms.spot_usd_per_month < terms.flexible_usd_per_month, load.interruptible, 0.0)[1:]
    use = np.where(rented, load.use[1:], 0.0)
    found = [
        np.where(state == OWNED, 1.0, 0.0),
        *(np.where(state == code, 1.0, 0.0) for code in range(len(COMMITTED_OPTIONS))),
    ]
    found += [use * (1.0 - spot), use * spot]
    return np.array([slots.total(part.sum(axis=0) * slots.size, pools) for part in found]) * HOURS_PER_MONTH


def _by_cell(market: Market, streams: Streams, prices: pd.DataFrame, priced: Priced) -> pd.DataFrame:
    """Sums over the regions of a cell, and the offers behind them."""
    places = streams.table[[*KEYS, "region", "pool"]]
    total = _sums(streams, priced)
    long = (
        pd.DataFrame(priced.hours.T, columns=list(OPTIONS))
        .assign(**places)
        .melt(id_vars=list(places), var_name="purchase_option", value_name="hours")
    )
    long = long[long["hours"] > 0]
    offers = prices[["pool", "purchase_option", "provider", "source", "as_of", "age_days"]]
    long = long.merge(offers, on=["pool", "purchase_option"], how="left")
    limit = long["purchase_option"].map(market.ws.plan.price_freshness_days).astype("float64")
    long["terms_stale"] = long["age_days"] > limit
    rows = [(*key, *_terms_of(group)) for key, group in long.groupby(KEYS, sort=True)]
    about = pd.DataFrame(rows, columns=[*KEYS, *TERM_COLUMNS[:-2]])
    lacking = places[np.isnan(priced.usd)].groupby(KEYS)["region"].agg(lambda regions: ", ".join(sorted(regions)))
    lacking = lacking.rename("no_offer_in").astype("str").reset_index()
    nodes = places.assign(
        node_accelerators=streams.pools["accelerators_per_node"].to_numpy(dtype=float)[streams.pool],
        most=busiest(streams).max(axis=0),
    )
    nodes = nodes.sort_values("most", ascending=False, kind="stable").drop_duplicates(KEYS)
    total = total.merge(about, on=KEYS, how="left").merge(lacking, on=KEYS, how="left")
    total = total.merge(nodes[[*KEYS, "node_accelerators"]], on=KEYS, how="left")
    so_far = (
        pd.DataFrame(priced.month_usd[1:, streams.pool].cumsum(axis=0).T)
        .groupby([streams.table[name] for name in KEYS])
        .sum()
    )
    total["so_far_usd"] = list(so_far.reindex(pd.MultiIndex.from_frame(total[KEYS])).to_numpy())
    return total.fillna({"no_offer_in": "", "terms": ""})[BOUGHT_COLUMNS]


def _sums(streams: Streams, priced: Priced) -> pd.DataFrame:
    """Money of every cell over its regions; not a number where that of one is not."""
    money = streams.table[KEYS].assign(compute_usd=priced.usd, missed_usd=priced.missed_usd)
    known = money.groupby(KEYS, sort=True)
    whole = known.sum(min_count=1)
    return whole.mask(known["compute_usd"].apply(lambda usd: usd.isna().any()), np.nan).reset_index()


def _terms_of(rows: pd.DataFrame) -> tuple[str, float, str, pd.Timestamp, bool]:
    """Words for the ways to pay of one cell, committed share, and source and age of the prices of those that are told."""
    share = (
        rows.groupby("purchase_option")["hours"].sum().sort_values(ascending=False, kind="stable") / rows["hours"].sum()
    )
    told = share[share >= LEAST_TOLD]
    words = ", ".join(f"{OPTION_NAMES[name].lower()} {percent(part)}" for name, part in told.items())
    priced = rows[rows["purchase_option"].isin(told.index)].dropna(subset=["as_of"])
    committed = float(1.0 - share.reindex(list(FLEXIBLE_OPTIONS)).fillna(0.0).sum())
    if priced.empty:
        return words, committed, "", pd.NaT, False
    most = priced.loc[priced["hours"].idxmax()]
    return (
        words,
        committed,
        f"{most['provider']}, {most['source']}",
        priced["as_of"].min(),
        bool(priced["terms_stale"].any()),
    )
