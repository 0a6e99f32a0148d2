"""From hourly load to whole nodes: how many must be held, and for which share of hours each works.

A pool is one accelerator in one region; its streams share the nodes hour by hour (coincident
load), so the pool needs less than the sum of its streams' peaks. Node n (counted from 1) works
in the hours in which the load exceeds n - 1 nodes: the load-duration curve in steps of a node.
Work that waits fills the nodes it is given: in a pool of such work alone the last node works for
what is left over, not in every hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aifactory.errors import InputError
from aifactory.fleet.sites import TOLERANCE, held_in_sites, in_sites
from aifactory.fleet.streams import Streams, site_terms

#: Nodes of one pool: beyond any order that was ever placed by one organisation in one region.
MAX_NODES = 20_000


class TooManyNodesError(InputError):
    """A pool needs more nodes than a plan can hold."""


@dataclass(frozen=True)
class Slots:
    """One entry per node that any plan may hold, all pools on one axis of length N."""

    pool: np.ndarray  # [N] pool
    number: np.ndarray  # [N] number of the node in its pool, from 0
    size: np.ndarray  # [N] accelerators in the node

    def total(self, values: np.ndarray, pools: int) -> np.ndarray:
        """Sum values [..., N] by pool, [..., P]."""
        membership = (self.pool[:, None] == np.arange(pools)).astype(float)
        return values @ membership

    def weights(self, first: np.ndarray) -> np.ndarray:
        """Share of each slot in an amount of its pool, [M, N]: even over `first` [M, N], else all on its first slot.

        >>> slots = Slots(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([8, 8, 4]))
        >>> slots.weights(np.array([[True, True, False], [False, True, False]])).tolist()
        [[0.5, 0.5, 1.0], [0.0, 1.0, 1.0]]
        """
        pools = int(self.pool.max(initial=-1)) + 1
        count = self.total(first.astype(float), pools)[:, self.pool]
        return np.where(count > 0, first / np.maximum(count, 1.0), self.number == 0)


@dataclass(frozen=True)
class Load:
    """What one demand path asks of the slots."""

    use: np.ndarray  # [T + 1, N] share of hours in which the slot works
    held: np.ndarray  # [T + 1, N] slot is part of the fleet that covers peak and reserve
    interruptible: np.ndarray  # [T + 1, N] slot is kept busy by work that may be interrupted
    average: np.ndarray  # [T + 1, P] average accelerators at work
    level: np.ndarray  # [T + 1, P] accelerators to hold: coincident peak with reserve, before whole nodes


def node_counts(load: np.ndarray, size: int) -> np.ndarray:
    """Whole nodes for a load in accelerators.

    >>> node_counts(np.array([0.0, 0.2, 8.0, 8.1]), 8).tolist()
    [0, 1, 1, 2]
    """
    return np.ceil(np.asarray(load) / size - TOLERANCE).astype(int).clip(min=0)


def used_share(load: np.ndarray, size: int, nodes: int) -> np.ndarray:
    """Share of hours in which each of `nodes` nodes is needed, for a load [..., H]; [..., nodes].

    >>> used_share(np.array([1.0, 1.0, 9.0, 0.0]), 8, 3).tolist()
    [0.75, 0.25, 0.0]
    """
    needed = node_counts(load, size)
    flat = needed.reshape(-1, needed.shape[-1])
    width = max(int(flat.max(initial=0)), nodes) + 1
    keys = flat + width * np.arange(len(flat))[:, None]
    counts = np.bincount(keys.ravel(), minlength=width * len(flat)).reshape(len(flat), width)
    at_least = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1 : nodes + 1]
    return (at_least / needed.shape[-1]).reshape(*needed.shape[:-1], nodes)


def packed_share(load: np.ndarray, size: int, nodes: int) -> np.ndarray:
    """Share of hours in which each of `nodes` nodes works if the work of a load [..., H] is done node after node, [..., nodes].

    >>> packed_share(np.array([10.0, 10.0]), 8, 3).tolist()
    [1.0, 0.25, 0.0]
    """
    whole = np.asarray(load).mean(axis=-1, keepdims=True) / size
    return np.clip(whole - np.arange(nodes), 0.0, 1.0)


def waits(streams: Streams, pool: int) -> bool:
    """Whether all work of a pool, in any month and scenario, can wait."""
    idle = streams.units.max(axis=(0, 1), initial=0.0) <= 0
    return bool((streams.table["movable"].to_numpy(dtype=bool) | idle)[streams.pool == pool].all())


def pool_curves(streams: Streams, accelerators: np.ndarray, reserve: np.ndarray, pool: int) -> tuple:
    """Hourly load of one pool and the level to be held: ([T + 1, H], [T + 1]) in accelerators.

    Accelerators are those of an even load times `streams.chance`. The level is the coincident maximum of each stream's load with its
    own reserve. Work whose sites stand alone occupies whole nodes at each of them (`aifactory.fleet.sites`) and shares them with nobody.
    """
    mine = np.flatnonzero(streams.pool == pool)
    reach = streams.table["peak_factor"].to_numpy()[:, None]
    sites, size, spare = site_terms(streams)
    shared, alone = mine[sites[mine] <= 1], mine[sites[mine] > 1]
    shape = streams.shape[shared] * reach[shared]
    load = accelerators[:, shared] @ shape
    held = accelerators[:, shared] * (1.0 + reserve[:, shared]) @ shape
    for at in alone:
        own = accelerators[:, at, None] * (streams.shape[at] * reach[at])
        load = load + in_sites(own, sites[at], size[at])
        held = held + held_in_sites(own * (1.0 + reserve[:, at, None]), sites[at], size[at], spare[at])
    return load, held.max(axis=1, initial=0.0)


def build_slots(streams: Streams, floor: np.ndarray) -> Slots:
    """As many slots per pool as the highest level or peak of any scenario, or `floor` nodes if more."""
    sizes = streams.pools["accelerators_per_node"].to_numpy(dtype=int)
    reserve = np.maximum(streams.reserve, 0.0)
    sized = [streams.of_scenario(index).sized(units) for index, units in enumerate(streams.units)]
    needed = [work * streams.chance for work in _different(sized)]
    counts = []
    for pool, size in enumerate(sizes):
        levels = [pool_curves(streams, work, reserve, pool)[1].max(initial=0.0) for work in needed]
        counts.append(max(int(node_counts(np.array(levels), size).max(initial=0)), int(floor[pool])))
        if counts[-1] > MAX_NODES:
            place = streams.pools.iloc[pool]
            msg = (
                f"{place['accelerator_id']} in {place['region']}: the forecast asks for {counts[-1]:,} nodes of {size}; "
                f"more than {MAX_NODES:,} cannot be planned. Check growth, launches and capacity of its use cases."
            )
            raise TooManyNodesError(msg)
    pool = np.repeat(np.arange(len(sizes)), counts)
    number = np.concatenate([np.arange(count) for count in counts]) if counts else np.zeros(0, dtype=int)
    return Slots(pool.astype(int), number.astype(int), sizes[pool] if len(sizes) else np.zeros(0, dtype=int))


def _different(paths: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Demand paths [T + 1, K] without those that repeat an earlier one."""
    return [path for at, path in enumerate(paths) if not any((path == other).all() for other in paths[:at])]


def build_load(streams: Streams, slots: Slots, units: np.ndarray) -> Load:
    """Use of every slot under one demand path, units [T + 1, K].

    Slots may be interrupted if all work of the pool may be, or up to the load of such work in its
    quietest hour.
    """
    accelerators = streams.sized(units)
    batch = streams.table["interruptible"].to_numpy()
    use, held, interruptible = (np.zeros((len(units), len(slots.pool))) for _ in range(3))
    average, levels = (np.zeros((len(units), len(streams.pools))) for _ in range(2))
    for pool, size in enumerate(streams.pools["accelerators_per_node"].to_numpy(dtype=int)):
        at = slots.pool == pool
        load, levels[:, pool] = pool_curves(streams, accelerators * streams.chance, streams.reserve, pool)
        share = packed_share if waits(streams, pool) else used_share
        use[:, at] = share(load, size, int(at.sum()))
        held[:, at] = slots.number[at] < node_counts(levels[:, pool], size)[:, None]
        mine = streams.pool == pool
        always = (accelerators[:, mine & batch] @ streams.shape[mine & batch]).min(axis=1, initial=np.inf)
        bottom = slots.number[at] < np.floor(always / size + TOLERANCE)[:, None]
        interruptible[:, at] = bottom | bool(batch[mine].all())
        average[:, pool] = accelerators[:, mine].sum(axis=1)
    return Load(use, held.astype(bool), interruptible.astype(bool), average, levels)
