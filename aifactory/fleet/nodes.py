"""From hourly load to whole nodes: how many must be held, and for which share of hours each works.

A pool is one accelerator in one region; its streams share the nodes hour by hour (coincident
load), so the pool needs less than the sum of its streams' peaks. Node n (counted from 1) works
in the hours in which the load exceeds n - 1 nodes: the load-duration curve in steps of a node.
Work that waits fills what the other work leaves of the nodes that are held, and is done node after
node beyond: in a pool of such work alone the last node works for what is left over, not in every hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aifactory.demand.reserve_money import with_one_pool_down
from aifactory.errors import InputError
from aifactory.fleet.sites import TOLERANCE, held_in_sites, in_sites
from aifactory.fleet.streams import Streams
from aifactory.fleet.widths import Widths

#: Nodes of one pool: beyond any order that was ever placed by one organisation in one region.
MAX_NODES = 20_000
#: Digits of a share of hours that are no rounding noise.
ROUNDED = 12
#: Part of work that is done beyond a room of so many accelerators.
Beyond = Callable[[np.ndarray], np.ndarray]


class TooManyNodesError(InputError):
    """A pool needs more nodes than a plan can hold."""


@dataclass(frozen=True)
class Slots:
    """One entry per node that any plan may hold, all pools on one axis of length N."""

    pool: np.ndarray  # [N] pool
    number: np.ndarray  # [N] number of the node in its pool, from 0
    size: np.ndarray  # [N] accelerators in the node

    def total(self, values: np.ndarray, pools: int) -> np.ndarray:
        """Sum values [..., N] by pool, [..., P], in the order of the slots: a pool comes to the same beside any others."""
        before = np.shape(values)[:-1]
        rows = math.prod(before)
        cell = np.arange(rows)[:, None] * pools + self.pool
        sums = np.bincount(cell.ravel(), np.ravel(values).astype(float), minlength=rows * pools)
        return sums.reshape(*before, pools)

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
    work: (
        np.ndarray
    )  # [T + 1, N] what it does in them, in full hours of the slot: the last node of an hour is rarely full
    held: np.ndarray  # [T + 1, N] slot is part of the fleet that covers peak and reserve
    interruptible: np.ndarray  # [T + 1, N] share of these hours that may be interrupted
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


def worked_share(full: np.ndarray, needed: np.ndarray, work: np.ndarray, nodes: int) -> np.ndarray:
    """Work of each of `nodes` nodes as a share of all hours, [..., nodes]: full nodes first, the rest evenly on the others.

    Of `needed` nodes in an hour [..., H] as many as `full` do a full hour of work, and share in what is left of `work`,
    which is in nodes. A fleet that lacks a node lacks what the least filled one does.

    >>> worked_share(np.array([1, 0]), np.array([2, 1]), np.array([1.5, 0.25]), 2).tolist()
    [0.625, 0.25]
    """
    hours = full.shape[-1]
    open_nodes = np.maximum(needed - full, 1)
    part = np.clip((work - full) / open_nodes, 0.0, 1.0)
    first, last = np.minimum(full, nodes), np.minimum(needed, nodes)
    flat = (nodes + 1) * np.arange(full[..., 0].size)[:, None]
    steps = [(first, part - 1.0), (last, -part), (np.zeros_like(first), np.ones_like(part))]
    rises = sum(
        np.bincount((at.reshape(flat.size, -1) + flat).ravel(), by.ravel(), minlength=flat.size * (nodes + 1))
        for at, by in steps
    )
    return (rises.reshape(*full.shape[:-1], nodes + 1).cumsum(axis=-1)[..., :-1] / hours).clip(0.0, 1.0)


def filled_share(
    live: np.ndarray, movable: np.ndarray, size: int, nodes: int, beyond: Beyond | None = None
) -> np.ndarray:
    """Share of hours in which each of `nodes` nodes works, where work that can wait fills what live work leaves of them.

    Live work [..., H] needs n_h whole nodes in hour h. With C nodes held, live work rents those above C; the work that can
    wait, `movable` accelerators on average [...], takes what is idle on both and rents the rest, node after node. With w the
    mean of all work in nodes the rent is, in nodes on average,

        U(C) = mean_h max(n_h - C, 0) + max(w - mean_h max(n_h, C), 0) = max(mean_h max(n_h, C), w) - C,

    and node C works for U(C) - U(C + 1): never more than if the work could not wait. `nodes` must hold all of it. Jobs wider
    than the room that they find take it only while they run, and rent the rest then: with part(r) of that work beyond a room
    of r accelerators (`aifactory.fleet.widths`), no less is rented than

        mean_h max(n_h - C, 0) + left part(mean_h max(C - n_h, 0)),    left = movable part(rest of the nodes of live work).

    beyond : part(r) for r [..., M] accelerators, [..., M].

    >>> filled_share(np.array([12.0, 4.0]), np.array(4.0), 4, 4).tolist(), used_share(np.array([16.0, 8.0]), 4, 4).tolist()
    ([1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.5, 0.5])
    """
    share = used_share(live, size, nodes)
    above = np.concatenate([share[..., ::-1].cumsum(axis=-1)[..., ::-1], np.zeros((*share.shape[:-1], 1))], axis=-1)
    mean = np.asarray(live).mean(axis=-1)
    held = np.arange(nodes + 1.0)
    rented = np.maximum(held + above, ((mean + movable) / size)[..., None]) - held
    if beyond is not None:
        rest, free = above[..., :1] - (mean / size)[..., None], held + above - above[..., :1]
        left = np.maximum(
            np.maximum(movable / size - rest[..., 0], 0.0)[..., None], (movable / size)[..., None] * beyond(size * rest)
        )
        rented = np.maximum(rented, above + left * beyond(size * free))
    return np.round(rented[..., :-1] - rented[..., 1:], ROUNDED)


def hourly_load(streams: Streams, accelerators: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Accelerators that some streams [K] occupy together in each hour, [T + 1, H].

    Accelerators [T + 1, K] are those of an even load times `streams.chance`. Work whose sites stand alone occupies whole nodes at
    each of them (`aifactory.fleet.sites`) and shares them with nobody.
    """
    mine = np.flatnonzero(which)
    sites, size, _ = streams.site_terms
    shape, shared = streams.reach, mine[sites[mine] <= 1]
    load = accelerators[:, shared] @ shape[shared]
    for at in mine[sites[mine] > 1]:
        load = load + in_sites(accelerators[:, at, None] * shape[at], sites[at], size[at])
    return load


def _live_work(streams: Streams, accelerators: np.ndarray, which: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Nodes that some streams fill in each hour, and their work in nodes, [T + 1, H] each; arguments as in `hourly_load`."""
    mine = np.flatnonzero(which)
    sites, shape = np.maximum(streams.site_terms[0], 1), streams.reach
    shared = mine[sites[mine] <= 1]
    work = accelerators[:, shared] @ shape[shared] / size
    full = np.floor(work + TOLERANCE)
    for at in mine[sites[mine] > 1]:
        here = accelerators[:, at, None] * shape[at] / size
        full, work = full + sites[at] * np.floor(here / sites[at] + TOLERANCE), work + here
    return full.astype(int), work


def pool_level(streams: Streams, accelerators: np.ndarray, reserve: np.ndarray, pool: int) -> np.ndarray:
    """Accelerators to hold in a pool, [T + 1]: the coincident maximum of each stream's hours, as high as in that month of the year, with its own reserve [T + 1, K].

    At least its widest job beside the nodes that live work takes on average, in the months in which the stream of the job has
    work; and as many whole nodes as hold the work with spares for a failure, alone, when one of its failure domains is down
    (streams over as many domains together, those over others by themselves). Accelerators as in `hourly_load`.
    """
    mine = np.flatnonzero(streams.pool == pool)
    sites, size, spare = streams.site_terms
    shape, shared = streams.reach, mine[sites[mine] <= 1]
    wanted = accelerators * streams.season_peak * (1.0 + reserve)
    held = wanted[:, shared] @ shape[shared]
    safe = np.zeros(len(wanted))
    for factor in np.unique(spare[shared][spare[shared] > 1]):
        alike = shared[spare[shared] == factor]
        need = (wanted[:, alike] @ shape[alike]).max(axis=1, initial=0.0) / factor
        safe = np.maximum(safe, with_one_pool_down(need, size[alike[0]], factor))
    for at in mine[sites[mine] > 1]:
        held = held + held_in_sites(wanted[:, at, None] * shape[at], sites[at], size[at], spare[at])
    wide = (np.where(streams.waits, streams.widths.widest, 0.0)[mine] * (accelerators[:, mine] > 0)).max(
        axis=1, initial=0.0
    )
    if wide.any():
        size = int(streams.pools["accelerators_per_node"].iloc[pool])
        live = hourly_load(streams, accelerators, (streams.pool == pool) & ~streams.waits)
        wide = np.where(wide > 0, wide + size * node_counts(live, size).mean(axis=1), 0.0)
    return np.maximum(held.max(axis=1, initial=0.0), np.maximum(wide, safe))


def build_slots(streams: Streams, floor: np.ndarray) -> Slots:
    """As many slots per pool as the highest level or peak of any scenario, or `floor` nodes if more."""
    sizes = streams.pools["accelerators_per_node"].to_numpy(dtype=int)
    reserve = np.maximum(streams.reserve, np.maximum(1.0 / streams.season_peak - 1.0, 0.0))  # what the hours ask for
    sized = [streams.of_scenario(index).sized(units) for index, units in enumerate(streams.units)]
    needed = [work * streams.chance for work in _different(sized)]
    counts = []
    for pool, size in enumerate(sizes):
        levels = [pool_level(streams, work, reserve, pool).max(initial=0.0) for work in needed]
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

    Work that can wait fills what the rest leaves of the nodes (`filled_share`). Of the hours of a slot those may be
    interrupted that work which bears no interruption does not need: it is on the nodes that are held before all other.
    """
    accelerators = streams.sized(units)
    table, staffed = streams.table, accelerators * streams.chance
    waits, batch = streams.waits, table["interruptible"].to_numpy(dtype=bool)
    use, work, held, interruptible = (np.zeros((len(units), len(slots.pool))) for _ in range(4))
    average, levels = (np.zeros((len(units), len(streams.pools))) for _ in range(2))
    for pool, size in enumerate(streams.pools["accelerators_per_node"].to_numpy(dtype=int)):
        at, mine = slots.pool == pool, streams.pool == pool
        count = int(at.sum())
        levels[:, pool] = pool_level(streams, staffed, streams.reserve, pool)
        live, firm = (hourly_load(streams, staffed, mine & kind) for kind in (~waits, ~batch))
        patient = staffed[:, mine & waits]
        beyond = _mixed_beyond(patient, streams.widths.take(np.flatnonzero(mine & waits)))
        use[:, at] = filled_share(live, patient.sum(axis=1), size, count, beyond)
        full, done = _live_work(streams, staffed, mine & ~waits, size)
        open_share = used_share(live, size, count) - worked_share(full, node_counts(live, size), done, count)
        work[:, at] = np.clip(use[:, at] - open_share, 0.0, use[:, at])
        held[:, at] = slots.number[at] < node_counts(levels[:, pool], size)[:, None]
        fixed = np.minimum(used_share(firm, size, count), use[:, at])
        whole = np.where(use[:, at] > 0, use[:, at], 1.0)
        interruptible[:, at] = np.where(use[:, at] > 0, 1.0 - fixed / whole, bool(batch[mine].all()))
        average[:, pool] = accelerators[:, mine].sum(axis=1)
    return Load(use, work, held.astype(bool), interruptible, average, levels)


def _mixed_beyond(work: np.ndarray, widths: Widths) -> Beyond | None:
    """Part of all work [T + 1, K] of some streams beyond a room [T + 1, M]; None where no jobs of theirs are known."""
    if not widths.known.any():
        return None
    total = work.sum(axis=1, keepdims=True)
    share = work / np.where(total > 0, total, 1.0)
    return lambda room: np.einsum("tk,tmk->tm", share, widths.beyond(room))
