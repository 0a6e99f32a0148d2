"""What rights are worth: the cost of the plan without a right less its cost with it, on the same paths.

The most to pay for a right is the fall of the weighed cost of mean and worst overruns. Rights that are used path by path
(handing back, moving) are used on what was seen by then only; what is best to do is learnt from like paths, so the
values of few paths are somewhat high. Values of different rights do not add up. What it is worth that work with a limit of hours
waits is in none of them: it is spread over these hours with and without every right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from aifactory.buyplan.optimise.closed_form import ClosedFormRecourse, has_closed_form
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.stress.basis import StressBasis
from aifactory.buyplan.stress.fleet import Fleet
from aifactory.buyplan.stress.replan import Replanner, copies
from aifactory.buyplan.stress.stresses import stressed
from aifactory.buyplan.stress.world import World, carry, objective, outcome, world_of
from aifactory.units import percent

#: Months in which nodes may be handed back, months of notice, and groups of like paths that decide together.
REVIEWS, NOTICE, GROUPS = (6, 12, 18, 24, 30), 3, 5
#: Months of demand that a decision looks back on.
LOOK_BACK = 3
#: Share of the idle hours that other teams take, an assumption of the head of platform.
TAKEN_UP = 0.25
SHORT_TERM = 12


@dataclass(frozen=True)
class Flexibility:
    """Value of each right, dearest first.

    Attributes
    ----------
    table : right, how, expected_usd, tail_usd, worth_usd (fall of the weighed cost: the most to pay), share of the
        plan's cost.
    """

    table: pd.DataFrame


def value_flexibility(basis: StressBasis) -> Flexibility | None:
    """Value the rights of the report on the plan of a basis; None where workloads share platforms."""
    if not has_closed_form(basis.problem):
        return None
    plain = stressed(basis, 0)
    base = outcome(plain.world, plain.nodes).by_path_usd
    fleet = Fleet(plain.world, plain.nodes)
    anew = Replanner(plain.world, plain.nodes).best()
    best = outcome(plain.world, anew.nodes).by_path_usd
    rows = [
        _row("Burst option (hours on demand)", "against the best orders if no hours could be had", plain.world, without_hours(basis, anew.nodes), best),
        _row("Exit clause (nodes handed back)", f"every half year with {NOTICE} months' notice; bought kit at its resale value", plain.world, base, base - handed_back(fleet)),
        _row("Swap right (between regions)", "committed nodes work where their accelerator is needed that month", plain.world, base, base - swapped(fleet, basis.pools["accelerator_id"])),
        _row("Shorter term (at the long price)", "every longer contract also for a year, orders made anew", plain.world, best, shorter_terms(basis, anew.nodes)),
        _row("Spare capacity (chargeback)", f"other teams take {percent(TAKEN_UP)} of idle hours at cost (assumption)", plain.world, base, base - TAKEN_UP * spare_usd(fleet)),
    ]  # fmt: skip
    if np.asarray(basis.problem.deferrable, bool).any():
        how = "training and batch without a limit run when others idle; not where less than one job runs at a time"
        rows.append(_row("Work that may wait", how, plain.world, without_waiting(basis, base), base))
    table = pd.DataFrame(rows).sort_values("worth_usd", ascending=False, kind="stable", ignore_index=True)
    return Flexibility(table.assign(share=table["worth_usd"] / objective(plain.world, base)))


def _row(right: str, how: str, problem: Problem, without: np.ndarray, with_it: np.ndarray) -> dict[str, object]:
    """Fall of mean, tail and weighed cost from paths without to paths with the right."""
    tails = [objective(replace(problem, risk_weight=1.0), costs) for costs in (without, with_it)]
    return {
        "right": right,
        "how": how,
        "expected_usd": float(without.mean() - with_it.mean()),
        "tail_usd": tails[0] - tails[1],
        "worth_usd": max(objective(problem, without) - objective(problem, with_it), 0.0),
    }


def without_hours(basis: StressBasis, start: np.ndarray) -> np.ndarray:
    """[S] cost of the best orders where no hours can be rented."""
    p = basis.problem
    world = world_of(p, on_demand_usd=np.full_like(p.on_demand_usd, np.inf), spot_usd=np.full_like(p.spot_usd, np.inf))
    return outcome(world, Replanner(world, carry(p, start, world)).best().nodes).by_path_usd


def without_waiting(basis: StressBasis, base: np.ndarray) -> np.ndarray:
    """[S] cost of the plan where all work that can wait runs when it comes, as an even load; unchanged where none can.

    It then has nodes of its own beside those of other work, hour by hour, where it could fill their idle rest.

    Streams of so few jobs that less than one runs at a time stay as they are: theirs is no even load.
    """
    p = basis.problem
    waits = np.asarray(p.deferrable, bool)
    if not waits.any():
        return base
    whole = basis.wanted is not None and basis.in_nodes is not None
    still = waits & (_jobs_at_a_time(p, basis.wanted) < 1.0)
    demand = basis.in_nodes(basis.wanted, waits=still) if whole else p.demand
    case = stressed(basis, 0, deferrable=still, demand=demand)
    return outcome(case.world, case.nodes).by_path_usd


def _jobs_at_a_time(problem: Problem, wanted: np.ndarray | None = None) -> np.ndarray:
    """[W] jobs that run on average over months and paths; infinite where their widths are not known.

    `wanted` [S, T, W] accelerators at work; without it the demand of the problem, which leaves out what fills idle nodes.
    """
    rate = np.asarray(problem.rate, dtype=float)
    per_unit = np.where(rate > 0, 1.0 / np.where(rate > 0, rate, 1.0), 0.0).max(axis=1)
    hours = np.asarray(problem.block_hours, dtype=float)
    in_blocks = (problem.demand @ hours).mean(axis=(0, 1)) / hours.sum() * per_unit
    work = in_blocks if wanted is None else wanted.mean(axis=(0, 1))
    if not problem.widths.known.any():
        return np.full(len(work), np.inf)
    return np.where(problem.widths.known, work * (problem.widths.share @ (1.0 / problem.widths.accelerators)), np.inf)


def shorter_terms(basis: StressBasis, start: np.ndarray) -> np.ndarray:
    """[S] cost of the best orders where every longer contract is also had for a year at its price."""
    p = basis.problem
    long = [o for o in p.options if o.term_months > SHORT_TERM and not o.resale_per_year]
    short = [
        replace(o, name=f"{o.name} for a year", term_months=SHORT_TERM, upfront_usd=o.upfront_usd * SHORT_TERM / o.term_months)
        for o in long
    ]  # fmt: skip
    world = world_of(p, options=(*p.options, *short))
    return outcome(world, Replanner(world, carry(p, start, world)).best().nodes).by_path_usd


def swapped(fleet: Fleet, accelerators: Sequence[str]) -> np.ndarray:
    """[S] present value saved if the nodes of an accelerator may work in any of its regions each month.

    What each node saves falls with their number, so that the n largest savings of all regions are the best use of n.
    """
    world, names = fleet.world, np.asarray(accelerators)
    saved = np.zeros((world.paths, world.months))
    for name in dict.fromkeys(names):
        mine = [int(p) for p in np.flatnonzero(names == name)]
        held = [fleet.cover(p).sum(axis=0) for p in mine]
        most = int(sum(held).max())
        if len(mine) < 2 or not most or len(set(np.asarray(world.node_size)[mine])) > 1:
            continue
        steps = [-np.diff(fleet.usd(p, most), axis=2) for p in mine]
        every = -np.sort(-np.concatenate(steps, axis=2), axis=2)
        for month in range(world.months):
            own = sum(step[:, month, : count[month]].sum(axis=1) for step, count in zip(steps, held, strict=True))
            saved[:, month] += every[:, month, : int(sum(held)[month])].sum(axis=1) - own
    return saved @ world.discount[:-1]


def spare_usd(fleet: Fleet) -> np.ndarray:
    """[S] present value of all idle hours of the fleet at what its hours cost, at most the price of a rented one.

    Hours of platforms without orders are priced at nothing: what is owned already costs nothing more.
    """
    world, total = fleet.world, np.zeros(fleet.world.paths)
    for platform in range(world.platforms):
        alone = copies(world, platform, 1)
        rented = np.minimum(alone.spot_usd, alone.on_demand_usd)[..., 0] + alone.around_usd[0]
        price = np.minimum(rented, _usd_per_hour(fleet, platform))
        capacity = (world.owned + world.serves @ fleet.nodes)[:, [platform]]
        idle = capacity[:, 0] * world.block_hours.sum() - _used(alone, capacity)
        total += (idle * price) @ world.discount[:-1]
    return total


def _usd_per_hour(fleet: Fleet, platform: int) -> float:
    """What an accelerator-hour of the ordered fleet of a platform costs, levelled over its months."""
    world, units = fleet.world, fleet.units[platform]
    hours = (
        world.discount[:-1] @ fleet.cover(platform).sum(axis=0) * world.node_size[platform] * world.block_hours.sum()
    )
    return float(world.order_usd[units].sum() / hours) if hours > 0 else 0.0


def _used(alone: Problem, capacity: np.ndarray) -> np.ndarray:
    """[S, T] hours that the accelerators of a platform work: demand less what is rented or missed, at a price of 1."""
    even = np.ones_like(alone.on_demand_usd)
    priced = replace(
        alone, on_demand_usd=even, spot_usd=even * alone.spot_share, miss_usd=1.0 / alone.rate.max(axis=1),
        on_demand_most=np.full(1, np.inf), around_usd=0.0,
    )  # fmt: skip
    recourse = ClosedFormRecourse(priced)
    return recourse.cost(np.zeros_like(capacity))[0] - recourse.cost(capacity)[0]


def handed_back(
    fleet: Fleet, reviews: Sequence[int] = REVIEWS, notice: int = NOTICE, groups: int = GROUPS
) -> np.ndarray:
    """[S] present value saved by handing nodes back at reviews.

    At each review and platform the paths with like demand of late decide together how many nodes to hand back, those
    first that save most; payments end after the notice, bought kit brings its resale value then. What comes later is not
    reckoned with, except that the next reviews decide anew.
    """
    total = np.zeros(fleet.world.paths)
    for platform in range(fleet.world.platforms):
        if fleet.units[platform]:
            total += _handed_back(fleet, platform, reviews, notice, groups)
    return total


def _handed_back(fleet: Fleet, platform: int, reviews: Sequence[int], notice: int, groups: int) -> np.ndarray:
    world, units, cover = fleet.world, fleet.units[platform], fleet.cover(platform)
    usd = fleet.usd(platform, len(units)) * world.discount[:-1, None]
    load = _load(copies(world, platform, 1))
    serves = np.broadcast_to(cover, (world.paths, *cover.shape)).copy()  # [S, U, T]
    saved = np.zeros(world.paths)
    for review in reviews:
        end = review + notice
        if end >= world.months:
            break
        free = np.array([_freed_usd(world, column, end) for column in units])
        order = np.argsort(-free, kind="stable")
        held = serves[:, :, review].astype(bool) & serves[:, :, end].astype(bool) & (free > 0)
        rank = np.where(held, np.cumsum(held[:, order], axis=1)[:, np.argsort(order)], 0)
        costs = np.stack(
            [
                _sum(usd, nodes) - (held & (rank <= count)) @ np.maximum(free, 0)
                for count, nodes in enumerate(_nodes_left(serves, rank, end))
            ]
        )
        choice = _by_group(costs, load[:, max(review - LOOK_BACK, 0) : review].mean(axis=1), groups)
        rows = np.arange(world.paths)
        saved += costs[0] - costs[choice, rows]
        serves[:, :, end:] *= ~(held & (rank <= choice[:, None]))[:, :, None]
    return saved


def _freed_usd(world: World, column: int, end: int) -> float:
    """Present value per node of what is not paid from a month on, and of its resale then instead of at the horizon."""
    option, month = world.orders[column]
    start = month + option.lead_months
    inside = np.arange(max(end, start), min(start + option.term_months, world.months))
    paid = option.monthly_usd + world.around_usd[option.platform] * world.block_hours.sum()
    freed = paid * world.discount[inside].sum()
    if option.resale_per_year > 0:
        now, then = (option.resale_usd * option.resale_per_year ** ((at - start) / 12) for at in (end, world.months))
        return float(world.node_size[option.platform] * (freed + now * world.discount[end] - then * world.discount[-1]))
    beyond = max(start + option.term_months - world.months, 0)
    freed += world.stranded * option.monthly_usd * beyond * world.discount[-1]
    return float(world.node_size[option.platform] * freed)


def _nodes_left(serves: np.ndarray, rank: np.ndarray, end: int) -> Iterator[np.ndarray]:
    """[S, T] nodes in service when none, one, two ... of them are gone from a month on, in the order of their rank (0: they stay).

    One array at a time: of hundreds of nodes on a hundred paths, all of them together would take gigabytes.
    """
    nodes, rows = serves.sum(axis=1), np.arange(len(serves))
    yield nodes
    for count in range(1, int(rank.max()) + 1):
        next_one = rank == count
        nodes[:, end:] -= serves[rows, next_one.argmax(axis=1), end:] * next_one.any(axis=1)[:, None]
        yield nodes


def _sum(usd: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """[S] recourse over the months for the nodes in service, [S, T]."""
    return np.take_along_axis(usd, nodes[:, :, None], axis=2)[:, :, 0].sum(axis=1)


def _load(alone: Problem) -> np.ndarray:
    """[S, T] accelerator-hours of demand."""
    return np.einsum("stwk,k,w->st", alone.demand, alone.block_hours, 1.0 / alone.rate.max(axis=1))


def _by_group(costs: np.ndarray, signal: np.ndarray, groups: int) -> np.ndarray:
    """[S] choice of least mean cost [choices, S] among the paths whose signal is alike."""
    order = np.argsort(signal, kind="stable")
    edges = np.linspace(0, len(order), min(groups, len(order)) + 1).astype(int)
    choice = np.zeros(len(order), dtype=int)
    for first, last in pairwise(edges):
        choice[order[first:last]] = int(costs[:, order[first:last]].mean(axis=1).argmin())
    return choice
