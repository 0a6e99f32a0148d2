"""What it would save to rent the peak hours of a use case on a second platform, its base staying where it is.

The plan rents what its nodes do not serve on the same platform. In hour h the streams of a pool ask for L_i(h) accelerators; with
C of them in nodes of s, the dearest work is served first and E = max(sum L - C, 0) is rented, R = max(ceil(sum L / s) s - C, 0)
in whole nodes. With e_u of E being work of use case u, the same hour costs with a second platform

    min( R p,  max(ceil((sum L - e_u) / s) s - C, 0) p' + ceil(e_u r x / s2) s2 p2 ),

p the price of the work that is rented here, r the accelerators there for one here (both inside the SLO), x at least 1 the further
ones that chance asks of the part there, s2 and p2 the node and the price of an hour there, both prices with the people and storage
that go with an hour. Work that can wait fills what is
idle of the nodes that are there in that hour. For the weights of the paths in the plan, as in `excluded`,

    V = min over orders of orders + weighted mean of these hours,    saving = V without - V with - porting and rework there.

Limits: one use case at a time and one second platform; prices of today; only offers of the region itself; nodes there are shared
with nobody; work that can wait stays; budgets, power and space of the orders are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint

from aifactory.buyplan.case import Case
from aifactory.buyplan.excluded import Cells, weighed
from aifactory.buyplan.futures import at_todays_prices, stream_paths
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.reference import instead_usd
from aifactory.buyplan.optimise.silence import milp
from aifactory.buyplan.ports import platform_classes
from aifactory.buyplan.stress.replan import SEMI_INTEGER
from aifactory.demand.scenarios import Paths
from aifactory.fleet.guests import guest_of, with_guests
from aifactory.fleet.node_sizes import offers_of_pools
from aifactory.fleet.nodes import TOLERANCE
from aifactory.fleet.sites import in_sites
from aifactory.fleet.streams import ABOUT_POOLS, Streams
from aifactory.serving.staffing import chance_factor
from aifactory.shortlist.exclusions import KEYS
from aifactory.units import HOURS_PER_MONTH

COLUMNS = [
    "use_case_id",
    "chosen_id",
    "peak_id",
    "tier",
    "usd_per_accelerator_hour",
    "price_as_of",
    "hours_month",
    "now_usd",
    "then_usd",
    "once_usd",
    "held_usd",
    "saving_usd",
]
#: Hours of a month of about the same joint load that are taken as one.
HOURS_ALIKE = 6
#: Saving with the plan's orders, as a share of what the second platform costs once, below which no other orders are tried.
WORTH_TRYING = 0.5


@dataclass(frozen=True)
class Rental:
    """Nodes of a second platform, by the hour, for one stream.

    Attributes
    ----------
    node, usd_hour : accelerators of a node and price of an accelerator-hour alone, on spot with the hours lost to interruptions.
    ratio : accelerators there that do the work of one here, even loads.
    in_progress, spread : requests per accelerator and constant of `chance_factor` there; not numbers where unknown.
    first : months (from 0) before which nothing is ported.
    as_of : day of the price, ISO.
    """

    accelerator_id: str
    tier: str
    node: float
    usd_hour: float
    ratio: float
    in_progress: float = np.nan
    spread: float = np.nan
    first: int = 0
    as_of: str = ""


class PeakPool:
    """Hourly loads of a pool of the plan over S paths and T months, and what it costs to serve those that its nodes do not.

    Parameters
    ----------
    wanted : [S, T, K] average accelerators at work by stream, see `stream_paths`.
    """

    def __init__(self, case: Case, problem: Problem, wanted: np.ndarray, pool: int) -> None:
        streams, self.problem, self.pool = case.streams, problem, pool
        self.size = float(streams.pools["accelerators_per_node"].iloc[pool])
        staffed, mine = wanted * streams.chance[1:], streams.pool == pool
        self.live, patient = np.flatnonzero(mine & ~streams.waits), np.flatnonzero(mine & streams.waits)
        sites, reach = streams.table["sites"].to_numpy(), streams.reach
        today = streams.accelerators(streams.table["units_month"].to_numpy(dtype=float))
        alike = np.array_split(
            np.argsort(-(today[self.live] @ reach[self.live]), kind="stable"), max(reach.shape[1] // HOURS_ALIKE, 1)
        )
        self.share = np.array([len(hours) for hours in alike]) / reach.shape[1]
        self.load = np.zeros((len(self.live), *wanted.shape[:2], len(alike)))
        for at, stream in enumerate(self.live):
            load = in_sites(staffed[:, :, stream, None] * reach[stream], sites[stream], self.size)
            self.load[at] = np.stack([load[:, :, hours].mean(axis=2) for hours in alike], axis=2)
        self.total = self.load.sum(axis=0)
        self.chance = streams.chance[1:]
        price = instead_usd(problem)[0, :, pool]  # prices stand still
        self.price = price[self.live]
        self.classes = [(usd, self.load[self.price == usd].sum(axis=0)) for usd in np.unique(self.price)]
        self._known: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self.waits, self.widths = staffed[:, :, patient], problem.widths.take(patient)
        self.waits_usd = price[patient]

    @property
    def top(self) -> int:
        """Nodes beyond those owned that hold all work of every hour."""
        most = self.total.max(initial=0.0) + self.waits.sum(axis=2).max(initial=0.0) + self.widths.widest.max(initial=0)
        return int(np.ceil(max(most - self.problem.owned[:, self.pool].min(), 0.0) / self.size)) + 1

    def usd(self, capacity: np.ndarray) -> np.ndarray:
        """USD of a month [S, T] at a capacity [T] in accelerators, all work on this platform."""
        return self._month(*self._alone(capacity), capacity, self.total)

    def with_rental(self, capacity: np.ndarray, stream: int, rental: Rental) -> tuple[np.ndarray, np.ndarray]:
        """The same with a second platform for a stream, and accelerator-hours [S, T] there; in no month it costs more."""
        here, nodes = self._alone(capacity)
        guest = self._peak(capacity, stream, rental)
        there = self._there(guest, stream, rental)
        fewer, left = self._here(capacity, stream, guest)
        moved = fewer + there * self._whole_usd(rental)
        better = moved < here
        there, guest = there * better, guest * better
        live = np.where(better, moved, here)
        usd = self._month(live, np.where(better, left, nodes), capacity, self.total - guest)
        now = self.usd(capacity)
        return np.minimum(usd, now), there @ self.share * HOURS_PER_MONTH * (usd < now)

    def _whole_usd(self, rental: Rental) -> float:
        """Price of an accelerator-hour there with the people and storage that go with it."""
        return rental.usd_hour + self.problem.around_usd[self.pool]

    def _alone(self, capacity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = capacity.tobytes()
        if key not in self._known:
            self._known[key] = self._here(capacity)
        return self._known[key]

    def _peak(self, capacity: np.ndarray, stream: int, rental: Rental) -> np.ndarray:
        """[S, T, H] work of a stream that the nodes do not serve, once its rent counts at the price of the second platform."""
        at = int(np.flatnonzero(self.live == stream)[0])
        cheaper = np.flatnonzero(self.price < min(self._whole_usd(rental) * rental.ratio, self.price[at]))
        over = np.maximum(self.total - capacity[:, None], 0.0) - self.load[cheaper].sum(axis=0)
        peak = np.clip(over, 0.0, self.load[at])
        peak[:, : rental.first] = 0.0
        return peak

    def _there(self, peak: np.ndarray, stream: int, rental: Rental) -> np.ndarray:
        """[S, T, H] accelerators of whole nodes on the second platform that serve a peak [S, T, H] of a stream."""
        chance = self.chance[:, stream]
        even = peak.max(axis=2) / chance * rental.ratio
        more = np.maximum(chance_factor(even, rental.in_progress, np.nan_to_num(rental.spread)) / chance, 1.0)
        return _whole(peak * (rental.ratio * more)[:, :, None], rental.node)

    def _here(
        self, capacity: np.ndarray, stream: int | None = None, away: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """USD an hour and accelerators of the nodes rented here [S, T, H]; some work of a stream [S, T, H] is `away`."""
        total, held = self.total - away, capacity[:, None]
        over = np.maximum(total - held, 0.0)
        paid, left = np.zeros_like(over), over
        for price, load in self.classes:  # the cheapest to rent is rented first
            mine = stream is not None and self.price[self.live == stream][0] == price
            part = np.clip(left, 0.0, load - away if mine else load)
            paid, left = paid + part * price, left - part
        rented = over > TOLERANCE
        nodes = np.maximum(_whole(total, self.size) - held, 0.0) * rented
        return nodes * np.divide(paid, over, out=np.zeros_like(over), where=rented), nodes

    def _month(self, live_usd: np.ndarray, nodes: np.ndarray, capacity: np.ndarray, total: np.ndarray) -> np.ndarray:
        """USD of a month [S, T]: rent of live work, and of work that waits and finds no idle hour."""
        usd = live_usd @ self.share
        work = self.waits.sum(axis=2)
        if work.any():
            idle = (np.maximum(capacity[:, None] + nodes - total, 0.0)) @ self.share
            wide = (self.waits * self.widths.beyond(idle)).sum(axis=2)
            price = np.divide(self.waits @ self.waits_usd, work, out=np.zeros_like(work), where=work > 0)
            usd = usd + np.maximum(np.maximum(work - idle, 0.0), wide) * price
        return usd * HOURS_PER_MONTH


def value_peaks(
    case: Case, paths: Paths, problem: Problem, nodes: np.ndarray, cells: Cells, offers: pd.DataFrame
) -> pd.DataFrame:
    """Every use case of the plan with a second platform for its peak hours, the largest saving first.

    Parameters
    ----------
    problem, nodes : of the plan.
    offers : `aifactory.finance.prices.node_offers`.

    Returns
    -------
    use_case_id, chosen_id, and peak_id: the platform that saves most with the orders of the plan; tier of the capacity there;
    usd_per_accelerator_hour, price_as_of: of the region where most is saved;
    hours_month: accelerator-hours rented there a month; now_usd, then_usd: orders and rent of its pools, best orders without
    and with the second platform, present value; once_usd: porting and rework there; held_usd: what is saved with the orders of
    the plan; saving_usd: now - then - once. Use cases of which nothing is rented, or for which held_usd is far below 0, have no row.
    """
    weights = weighed(paths, problem, nodes)[1]
    problem = at_todays_prices(problem)
    asked = _Asked(case, problem, stream_paths(case, paths), weights, problem.capacity(nodes))
    table, known = case.streams.table, dict(once_usd(cells.penalties))
    found: dict[tuple[str, str, str], list[tuple[int, Rental, float]]] = {}
    for at, rentals in _choices(case, problem, cells, offers).items():
        for name in dict.fromkeys(rental.accelerator_id for rental in rentals):
            mine = [(asked.held(at, rental), rental) for rental in rentals if rental.accelerator_id == name]
            saved, rental = max(mine, key=lambda pair: pair[0])
            key = (table["use_case_id"][at], table["accelerator_id"][at], name)
            if saved > 0 and np.isfinite(known.get((key[0], name), np.nan)):
                found.setdefault(key, []).append((at, rental, saved))
    held = {key: sum(saved for *_, saved in places) - known[key[0], key[2]] for key, places in found.items()}
    rows = []
    for key in sorted(held, key=held.get, reverse=True):
        once = known[key[0], key[2]]
        if held[key] >= (WORTH_TRYING - 1.0) * once and key[0] not in {row[0] for row in rows}:
            now, then, hours = np.sum([asked.anew(at, rental) for at, rental, _ in found[key]], axis=0)
            rental = max(found[key], key=lambda place: place[2])[1]
            told = (rental.tier, rental.usd_hour, rental.as_of)
            rows.append((*key, *told, hours, now, then, once, held[key], now - then - once))
    keys = ["saving_usd", "use_case_id"]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(keys, ascending=[False, True], ignore_index=True)


def once_usd(penalties: pd.DataFrame) -> pd.Series:
    """What a second platform costs once, present value, by use case and accelerator: porting, and rework at each change of the model."""
    paid = penalties.set_index(KEYS)
    return (paid["porting_usd"] + paid["rework_usd"]).groupby(level=[0, 1]).first()


class _Asked:
    """Answers for streams and rentals of one plan; pools are read once."""

    def __init__(
        self, case: Case, problem: Problem, wanted: np.ndarray, weights: np.ndarray, capacity: np.ndarray
    ) -> None:
        self.case, self.problem, self.wanted, self.weights, self.capacity = case, problem, wanted, weights, capacity
        self._pools: dict[int, PeakPool] = {}
        self._now: dict[int, Ordered] = {}

    def held(self, stream: int, rental: Rental) -> float:
        """Present value that a rental saves with the orders of the plan."""
        pool = self._pool(stream)
        held = self.capacity[:, pool.pool]
        usd = pool.usd(held) - pool.with_rental(held, stream, rental)[0]
        return float(self.weights @ usd @ self.problem.discount[:-1])

    def anew(self, stream: int, rental: Rental) -> tuple[float, float, float]:
        """Cost of the pool with its best orders without and with a rental, and accelerator-hours a month on the rental."""
        pool = self._pool(stream)
        steps = self.problem.owned[:, pool.pool] + pool.size * np.arange(pool.top + 1)[:, None]
        if pool.pool not in self._now:
            self._now[pool.pool] = best_orders(self.problem, pool.pool, self._worth_a_node(pool, steps))
        now = self._now[pool.pool]
        steps = steps[: now.nodes.max(initial=0) + 2]  # what may be rented for less is not held in more nodes
        found = [pool.with_rental(held, stream, rental) for held in steps]
        usd, hours = (np.array([self.weights @ pair[at] for pair in found]) for at in (0, 1))
        plans = [best_orders(self.problem, pool.pool, usd), now.at(self.problem, usd)]
        then = min(plans, key=lambda plan: plan.usd)
        return now.usd, then.usd, float(then.of_month(hours).mean())

    def _worth_a_node(self, pool: PeakPool, steps: np.ndarray) -> np.ndarray:
        """USD of a month [N + 1, T] at capacities [.., T], up to the node that saves less in its best month than any order costs in the mean of its months."""
        p, usd = self.problem, [self.weights @ pool.usd(steps[0])]
        mine = np.array([option.platform == pool.pool for option, _ in p.orders], dtype=bool)
        served = p.discount[:-1] @ (p.serves[:, pool.pool][:, mine] > 0)
        least = float((p.order_usd[mine] / served).min(initial=np.inf))
        for held in steps[1:]:
            usd.append(self.weights @ pool.usd(held))
            if (usd[-2] - usd[-1]).max() < least:
                break
        return np.array(usd)

    def _pool(self, stream: int) -> PeakPool:
        at = int(self.case.streams.pool[stream])
        if at not in self._pools:
            self._pools[at] = PeakPool(self.case, self.problem, self.wanted, at)
        return self._pools[at]


@dataclass(frozen=True)
class Ordered:
    """Orders of one pool.

    Attributes
    ----------
    orders_usd, usd : present value of the orders, and with the hours that they do not serve.
    nodes : [T] nodes in service beyond those owned.
    """

    orders_usd: float
    usd: float
    nodes: np.ndarray

    def of_month(self, values: np.ndarray) -> np.ndarray:
        """Values [N + 1, T] by nodes at those of each month, [T]."""
        return values[self.nodes, np.arange(len(self.nodes))]

    def at(self, problem: Problem, usd: np.ndarray) -> Ordered:
        """The same orders where a month costs `usd` [N + 1, T] by nodes."""
        return Ordered(self.orders_usd, self.orders_usd + float(self.of_month(usd) @ problem.discount[:-1]), self.nodes)


def best_orders(problem: Problem, pool: int, usd: np.ndarray) -> Ordered:
    """Orders of a pool alone that cost least, where a month costs `usd` [N + 1, T] beside them with 0 to N nodes in service.

    As in `stress.replan`: node n saves usd_{n-1} - usd_n in a month in which it is used, and rows are intervals of months, so
    that corners are whole, where no order has a smallest size. Savings are made to fall from node to node (the lower convex hull): the orders found are the best
    for the hull, and are priced at `usd`.
    """
    steps, months = len(usd) - 1, usd.shape[1]
    mine = np.array([option.platform == pool for option, _ in problem.orders], dtype=bool)
    serves = problem.serves[:, pool][:, mine] / problem.node_size[pool]
    saved = -np.diff(np.array([_hull(month) for month in usd.T]).T, axis=0) * problem.discount[:-1]
    costs = np.append(problem.order_usd[mine], -saved.T.ravel())
    used = sparse.kron(sparse.eye(months), np.ones((1, steps)))
    rows = LinearConstraint(sparse.hstack([-sparse.csr_matrix(serves), used]).tocsr(), -np.inf, 0.0)
    upper = np.append(np.full(mine.sum(), np.inf), np.ones(months * steps))
    small = np.array([option.minimum_nodes for option, _ in problem.orders], dtype=float)[mine]
    least = np.append(np.where(small > 1, small, 0.0), np.zeros(months * steps))
    upper = np.where(least > 0, least + steps, upper)
    kind = np.where(
        least > 0, SEMI_INTEGER, np.append(np.full(len(small), (small > 1).any()), np.zeros(months * steps))
    )
    bounds, scale = Bounds(least, upper), max(np.abs(costs).max(initial=0.0), 1.0)
    found = milp(costs / scale, constraints=rows, bounds=bounds, integrality=kind)
    orders = np.round(found.x[: mine.sum()])
    nodes = np.minimum(np.round(serves @ orders).astype(int), steps)
    return Ordered(float(problem.order_usd[mine] @ orders), 0.0, nodes).at(problem, usd)


def _hull(values: np.ndarray) -> np.ndarray:
    """Lower convex hull of values at 0, 1, 2 ...

    >>> _hull(np.array([9.0, 8.0, 3.0, 2.0])).tolist()
    [9.0, 6.0, 3.0, 2.0]
    """
    corners: list[int] = []
    for at in range(len(values)):
        while len(corners) > 1:
            first, last = corners[-2:]
            if (values[last] - values[first]) * (at - first) < (values[at] - values[first]) * (last - first):
                break
            corners.pop()
        corners.append(at)
    return np.interp(np.arange(len(values)), corners, values[corners])


def _whole(load: np.ndarray, size: float) -> np.ndarray:
    """Accelerators of the whole nodes that hold a load."""
    return np.ceil(load / size - TOLERANCE).clip(min=0.0) * size


def _choices(case: Case, problem: Problem, cells: Cells, offers: pd.DataFrame) -> dict[int, list[Rental]]:
    """Streams whose peak hours may be rented, and what could be rented instead: no platform that a rule excludes."""
    streams = case.streams
    table = streams.table
    peaks = streams.main & ~streams.waits & (table["sites"].to_numpy() <= 1)
    peaks &= (problem.on_demand_most > 0)[streams.pool]
    barred = set(cells.exclusions[KEYS].itertuples(index=False, name=None))
    able = cells.capacity[cells.capacity["units_per_s_per_accelerator"] > 0]
    found: dict[int, list[Rental]] = {int(at): [] for at in np.flatnonzero(peaks)}
    for name, ones in able.groupby("accelerator_id"):
        facts = {row["use_case_id"]: row for _, row in ones.iterrows() if (row["use_case_id"], name) not in barred}
        rows = [at for at in found if table["use_case_id"][at] in facts and table["accelerator_id"][at] != name]
        if rows:
            there = _alone_on(case, rows, [facts[table["use_case_id"][at]] for at in rows], cells)
            for at, rental in _rentals(case, rows, there, cells, offers):
                found[at].append(rental)
    return found


def _alone_on(case: Case, rows: list[int], facts: list[pd.Series], cells: Cells) -> Streams:
    """Some streams in the order of `rows`, each on another accelerator in a pool of its own."""
    streams, about = case.streams, cells.accelerators.drop_duplicates("accelerator_id").set_index("accelerator_id")
    guests = [
        guest_of(fact, streams.table["region"][at], np.ones(len(streams.months)))
        for at, fact in zip(rows, facts, strict=True)
    ]
    moved = with_guests(streams.take(rows), guests, cells.accelerators, case.plan)
    keys = ["use_case_id", "region"]
    order = pd.MultiIndex.from_frame(moved.table[keys]).get_indexer(
        pd.MultiIndex.from_frame(streams.table[keys].iloc[rows])
    )
    moved = moved.take(order)
    pools = moved.table[["region", "accelerator_id"]].join(about[ABOUT_POOLS], on="accelerator_id")
    return replace(moved, table=moved.table.assign(pool=np.arange(len(rows))), pools=pools)


def _rentals(
    case: Case, rows: list[int], there: Streams, cells: Cells, offers: pd.DataFrame
) -> Iterator[tuple[int, Rental]]:
    """What can be rented by the hour in the region for each of `rows`: of two nodes the larger only where its hour costs less."""
    here = case.streams.table.iloc[rows]
    per_unit = [t["load_factor"].to_numpy() / t["units_per_s_per_accelerator"].to_numpy() for t in (there.table, here)]
    kept = {"on_demand": 1.0, "spot": 1.0 - case.plan.value("spot_interruption_share")}
    hourly = offers[offers["purchase_option"].isin(kept) & offers["exact_region"].astype(bool)]
    held = offers_of_pools(hourly, there)
    held = held.assign(usd=held["usd_per_accelerator_hour"] / held["purchase_option"].map(kept).astype(float))
    first = _first_months(case, there.table, cells)
    for place, row in enumerate(there.table.itertuples(index=False)):
        mine = held[(held["pool"] == place) & (row.interruptible | (held["purchase_option"] != "spot"))]
        cheapest = mine.sort_values(["node", "usd"], kind="stable").drop_duplicates("node")
        for sold in cheapest[cheapest["usd"] < cheapest["usd"].shift(fill_value=np.inf).cummin()].itertuples():
            yield (
                rows[place],
                Rental(
                    row.accelerator_id, str(row.tier), float(sold.node), float(sold.usd), float(per_unit[0][place] / per_unit[1][place]),
                    float(row.in_progress_per_accelerator), float(row.spread_constant), int(first[place]), f"{sold.as_of:%Y-%m-%d}",
                ),
            )  # fmt: skip


def _first_months(case: Case, table: pd.DataFrame, cells: Cells) -> np.ndarray:
    """Month (from 0) in which each stream is ported: the first where that takes no work."""
    classes, period = platform_classes(cells.accelerators), case.streams.months[0]
    porting = cells.penalties.set_index(KEYS)["porting_usd"].groupby(level=[0, 1]).first()

    def first(name: str, chip: str) -> int:
        port = name, str(classes.get(chip, "")), period
        if case.plan.port_begun(*port) is None and porting.get((name, chip), 0.0) <= 0:
            return 0
        return case.plan.months_to_port(*port)

    return np.array([first(row.use_case_id, row.accelerator_id) for row in table.itertuples(index=False)])
