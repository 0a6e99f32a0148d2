"""How many accelerators of a pool come as one: a choice among the instances and servers that are sold.

An offer comes in nodes of the size that it states, else of the catalogue's. A node must hold the largest replica of the
pool. Chips of slices (TPUs) and of a node with links between its accelerators may be joined where the replica is
larger: then whole nodes are joined. A pool of nodes of size s can take every offer whose node divides s; which s is
cheapest is asked of the caller, who prices the pools: a server of eight costs less an hour, an instance of one
stands idle less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.finance.prices import cheapest_offers
from aifactory.fleet.need import needed
from aifactory.fleet.sites import TOLERANCE
from aifactory.fleet.streams import Streams

#: Nodes of a pool beyond which smaller ones are not tried: half of one in so many is the most that they save.
MOST_NODES = 400


def replica_sizes(streams: Streams) -> np.ndarray:
    """[P] accelerators of the largest replica of each pool; the catalogue's node where one is not known.

    >>> from types import SimpleNamespace
    >>> table = pd.DataFrame({"pool": [0, 0, 1], "replica_accelerators": [1.0, 4.0, np.nan]})
    >>> pools = pd.DataFrame({"accelerators_per_node": [1, 8]})
    >>> replica_sizes(SimpleNamespace(table=table, pools=pools, pool=np.array([0, 0, 1]))).tolist()
    [4.0, 8.0]
    """
    node = streams.pools["accelerators_per_node"].fillna(1).to_numpy(dtype=float)
    need = np.zeros(len(streams.pools))
    stated = streams.table["replica_accelerators"].to_numpy(dtype=float)
    np.maximum.at(need, streams.pool, np.where(np.isfinite(stated), stated, node[streams.pool]))
    return need


def offers_of_pools(offers: pd.DataFrame, streams: Streams) -> pd.DataFrame:
    """Offers (`aifactory.finance.prices.node_offers`) whose nodes hold the replicas of a pool, with `pool` and `node`."""
    held = _in_pools(offers, streams)
    return held[held["node"] > 0]


def _in_pools(offers: pd.DataFrame, streams: Streams) -> pd.DataFrame:
    """Offers by `pool`, with `node_accelerators` as sold and `node` as used, 0 where it cannot hold the largest replica."""
    pools = streams.pools
    about = pools[["accelerator_id", "region"]].assign(
        pool=np.arange(len(pools)),
        catalogue=pools["accelerators_per_node"].fillna(1).astype(float),
        need=replica_sizes(streams),
        slice=pools["largest_slice"].astype(float).fillna(0.0),
    )
    held = offers.merge(about, on=["accelerator_id", "region"])
    node = held["accelerators_per_node"].astype(float).fillna(held["catalogue"])
    return held.assign(
        node_accelerators=node.astype(int),
        node=node_for(held["need"], node, held["catalogue"], held["slice"]).astype(int),
    )


def node_for(need: ArrayLike, node: ArrayLike, catalogue: ArrayLike, largest_slice: ArrayLike) -> np.ndarray:
    """Accelerators of the nodes, joined where their links allow, that hold a replica of `need`; 0 where none can.

    Full servers of the catalogue's size join by their network, others up to `largest_slice` of their own interconnect.

    >>> node_for([4, 16, 16], [2, 8, 4], [1, 8, 1], [0, 0, 64]).tolist()
    [0.0, 16.0, 16.0]
    """
    need, node, catalogue, most = (np.asarray(value, dtype=float) for value in (need, node, catalogue, largest_slice))
    joined = np.ceil(need / node - TOLERANCE) * node
    joins = ((catalogue > 1) & (node >= catalogue)) | (joined <= most)
    return np.where(node >= need, node, np.where(joins, joined, 0.0))


def prices_at(held: pd.DataFrame, sizes: np.ndarray) -> pd.DataFrame:
    """Price list by `pool` for nodes of `sizes` [P]: the cheapest offer of each option whose node divides the size."""
    fitting = held[np.asarray(sizes)[held["pool"]] % held["node"] == 0]
    return cheapest_offers(fitting, ["pool", "purchase_option"])


#: Why a pool does not take an offer in other nodes.
TOO_SMALL, COSTS_LESS = "too small for the largest replica of the pool", "the pool costs less in its own"
NOT_TRIED = f"not tried, as more than {MOST_NODES} of them would be needed; the pool has its own nodes"
OTHER_COLUMNS = [
    "accelerator_id",
    "region",
    "purchase_option",
    "provider",
    "sku",
    "node_accelerators",
    "pool_node_accelerators",
    "usd_per_accelerator_hour",
    "usd_per_accelerator",
    "usd_in_plan",
    "reason",
    "as_of",
    "source",
    "confidence",
]


def in_other_nodes(offers: pd.DataFrame, streams: Streams, sizes: np.ndarray) -> pd.DataFrame:
    """Offers that pools with nodes of `sizes` [P] cannot take, `OTHER_COLUMNS`: of each way to pay the cheapest.

    Listed where nothing else offers that way to pay there, or only at a higher price per accelerator-hour (purchase: per
    accelerator), `usd_in_plan`. `reason`: the node is too small for the pool's largest replica; or its size does not divide
    that of the pool, which was tried in it (`cheapest_sizes`), or was not, since it would hold too many such nodes.

    Parameters
    ----------
    offers : `aifactory.finance.prices.node_offers`.
    streams : with the nodes of the catalogue.
    """
    rows = _in_pools(offers, streams)
    tried = tried_sizes(streams, rows[rows["node"] > 0])
    rows["usd"] = rows["usd_per_accelerator_hour"].fillna(rows["usd_per_accelerator"])
    rows["pool_node_accelerators"] = np.asarray(sizes, dtype=int)[rows["pool"]]
    fits = (rows["node"] > 0) & (rows["pool_node_accelerators"] % rows["node"].where(rows["node"] > 0, 1) == 0)
    keys = ["pool", "purchase_option"]
    taken = rows[fits].groupby(keys)["usd"].min().rename("usd_in_plan")
    rows = rows[~fits].join(taken, on=keys)
    asked = np.array([node in tried[pool] for pool, node in zip(rows["pool"], rows["node"], strict=True)], dtype=bool)
    rows["reason"] = np.select([rows["node"] == 0, asked], [TOO_SMALL, COSTS_LESS], NOT_TRIED)
    rows = rows[(rows["usd"] < rows["usd_in_plan"]) | (rows["usd_in_plan"].isna() & rows["usd"].notna())]
    rows = rows.sort_values([*keys, "usd", "provider", "sku"], kind="stable").drop_duplicates(keys)
    return rows[OTHER_COLUMNS].reset_index(drop=True)


def most_at_once(streams: Streams) -> np.ndarray:
    """[P] accelerators that the streams of a pool need in their busiest months with reserve, each stream alone."""
    return np.bincount(streams.pool, needed(streams).max(axis=0, initial=0.0), len(streams.pools))


def with_sizes(streams: Streams, sizes: np.ndarray) -> Streams:
    """The streams with nodes of `sizes` [P]."""
    return replace(streams, pools=streams.pools.assign(accelerators_per_node=np.asarray(sizes, dtype=int)))


def cheapest_sizes(
    streams: Streams, offers: pd.DataFrame, usd_of: Callable[[Streams, pd.DataFrame], np.ndarray]
) -> tuple[Streams, pd.DataFrame]:
    """Streams with the node size of every pool that costs least, and the price list for it.

    Parameters
    ----------
    offers : `aifactory.finance.prices.node_offers`.
    usd_of : cost [P] of streams with given nodes under a price list; NaN where a pool cannot be served. Asked once
        per size, none where every pool has one size only.

    A pool without an admissible offer keeps the catalogue's node, and no offer. Of equal costs the larger node wins.
    """
    held = offers_of_pools(offers, streams)
    tried = _candidates(streams, held)
    best = tried[0]
    if len(tried) > 1:
        usd = [usd_of(with_sizes(streams, sizes), prices_at(held, sizes)) for sizes in tried]
        costs = np.where(np.isnan(usd), np.inf, usd)
        best = np.choose(costs.argmin(axis=0), tried)
    return with_sizes(streams, best), prices_at(held, best)


def _candidates(streams: Streams, held: pd.DataFrame) -> list[np.ndarray]:
    """Sizes [P] to try in turn, the largest of every pool first; pools with fewer sizes repeat their last."""
    sizes = tried_sizes(streams, held)
    most = max(map(len, sizes), default=1)
    return [np.array([each[min(at, len(each) - 1)] for each in sizes], dtype=int) for at in range(most)]


def tried_sizes(streams: Streams, held: pd.DataFrame) -> list[list[int]]:
    """Sizes that each pool is tried in, largest first: those on offer, smaller ones only while `MOST_NODES` hold the pool."""
    level, sizes = most_at_once(streams), []
    for pool, node in enumerate(streams.pools["accelerators_per_node"].fillna(1).astype(int)):
        sold = sorted(set(held.loc[held["pool"] == pool, "node"]), reverse=True) or [node]
        sizes.append([size for size in sold if size == sold[0] or level[pool] / size <= MOST_NODES])
    return sizes
