"""A planning problem in which something went wrong, and what becomes of a plan in it.

A plan is a list of orders. In a world where an option is not to be had, arrives late or takes another price, the same
orders are other columns of the problem: `carry` finds them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from aifactory.buyplan.optimise.evaluate import evaluate_plan, recourse_of, tail_weights
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.optimise.reference import reference_usd


@dataclass(frozen=True)
class World(Problem):
    """As `Problem`, with a fleet of which not all works.

    Attributes
    ----------
    working : [T, P] 1 where the fleet of a platform works, 0 where it stands still; it is paid for all the same.
    sunk_usd : present value of what every plan pays here: orders already placed, work forced by the event.
    site_kw : [T, sites] kW that each own site has for new owned and leased nodes; empty: no limit.
    site_draw_kw : [P, sites] kW that an accelerator of each platform takes of each; 0 where it stands elsewhere.
    """

    working: np.ndarray = field(default_factory=lambda: np.ones((1, 1)))
    sunk_usd: float = 0.0
    site_kw: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))
    site_draw_kw: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))

    @cached_property
    def serves(self) -> np.ndarray:
        """[T, P, N] accelerators that a node of each order adds in each month, where the fleet works."""
        return Problem.serves.func(self) * np.asarray(self.working)[:, :, None]

    @cached_property
    def order_usd(self) -> np.ndarray:
        """[N] as in `Problem`; people and storage around a fleet that stands still are paid for too."""
        still = Problem.serves.func(self) - self.serves
        around = np.einsum("tpn,p,t->n", still, self.around_usd, self.discount[:-1]) * np.sum(self.block_hours)
        return Problem.order_usd.func(self) + around

    def site_rows(self) -> np.ndarray:
        """[T, sites, N] kW of each own site that a node of each order takes in each month: bought and leased nodes alone."""
        own = np.array([option.on_site for option, _ in self.orders], dtype=float)
        return np.einsum("pi,tpn->tin", self.site_draw_kw, Problem.serves.func(self)) * own

    def limits(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """As in `Problem`, and the power of the own sites by month."""
        rows, bounds, names = super().limits()
        if not len(self.site_kw):
            return rows, bounds, names
        months, sites = np.shape(self.site_kw)
        named = [f"power of own site {site} in month {month}" for month in range(months) for site in range(sites)]
        site = self.site_rows().reshape(months * sites, -1)
        return np.vstack([rows, site]), np.append(bounds, np.ravel(self.site_kw)), [*names, *named]


def world_of(problem: Problem, **changes: object) -> World:
    """The problem with changes, as a world where the fleet works."""
    given = {item.name: getattr(problem, item.name) for item in fields(problem)}
    given.setdefault("working", np.ones((problem.months, problem.platforms)))
    return World(**given | changes)


def carry(
    problem: Problem,
    nodes: np.ndarray,
    world: Problem,
    when: Callable[[Option, int], int | None] = lambda _, month: month,
) -> np.ndarray:
    """Nodes [N'] of the same orders in another world.

    Parameters
    ----------
    problem, nodes : the plan.
    when : month in which an order of the plan is placed in the world; None: it is given up. An order that cannot
        serve within the horizon any more is given up too.
    """
    column = {(option.name, option.platform, month): at for at, (option, month) in enumerate(world.orders)}
    held = np.zeros(len(world.orders))
    for at in np.flatnonzero(nodes[: len(problem.orders)]):
        option, month = problem.orders[at]
        placed = when(option, month)
        found = column.get((option.name, option.platform, placed))
        if found is not None:
            held[found] += nodes[at]
    return held


def after(world: World, nodes: np.ndarray, month: int) -> World:
    """The world as it is left to decide from a month on: orders placed before are paid and stand.

    Orders of the new world are those of the given one from that month on.
    """
    early = np.array([at < month for _, at in world.orders], dtype=bool)
    placed = np.where(early, nodes[: len(world.orders)], 0.0)
    rows, bounds, _ = world.limits()
    left = np.maximum(bounds - rows @ placed, 0.0)[len(bounds) - np.size(world.site_kw) :]
    return replace(
        world,
        **world.placed(placed),
        order_months=tuple(at for at in world.order_months if at >= month),
        options=tuple(
            replace(option, dated=tuple(at for at in option.dated if at >= month)) for option in world.options
        ),
        sunk_usd=world.sunk_usd + float(world.order_usd @ placed),
        reference_usd=reference_usd(world),
        site_kw=left.reshape(np.shape(world.site_kw)),
    )


def within_reach(world: World, nodes: np.ndarray) -> World:
    """The world where a reserve must stand as far as a plan holds it there: a shortage may leave no way to hold more."""
    if not np.size(world.floor):
        return world
    return replace(world, floor=np.minimum(world.floor, world.capacity(nodes)))


@dataclass(frozen=True)
class Outcome:
    """What a plan comes to in a world; present values in USD, hours not discounted.

    Attributes
    ----------
    by_path_usd : [S] all that is paid on each path, missed demand included.
    missed_hours : mean accelerator-hours of demand that nobody serves, over the horizon.
    missed_share : the same over all demand.
    penalty_usd : mean cost of missed demand, part of the cost.
    """

    orders_usd: float
    by_path_usd: np.ndarray
    expected_usd: float
    tail_usd: float
    objective_usd: float
    missed_hours: float
    missed_share: float
    penalty_usd: float


def outcome(world: World, nodes: np.ndarray) -> Outcome:
    """Price a plan in a world with the evaluator of plans; missed demand is that evaluator's where all else is free."""
    cost = evaluate_plan(world, nodes)
    paid = cost.orders_usd + world.sunk_usd
    capacity = world.capacity(nodes)
    hours = np.einsum("stwk,k->w", world.demand, world.block_hours) / world.paths
    rate = world.rate.max(axis=1)
    free = _free_of_rent(world)
    missed = recourse_of(replace(free, miss_usd=1.0 / rate)).cost(capacity)[0]
    penalty = recourse_of(free).cost(capacity)[0] @ world.discount[:-1]
    wanted = float((hours / rate).sum())
    return Outcome(
        orders_usd=paid,
        by_path_usd=cost.recourse_usd + paid,
        expected_usd=cost.expected_usd + world.sunk_usd,
        tail_usd=cost.tail_usd + world.sunk_usd,
        objective_usd=cost.objective_usd + world.sunk_usd,
        missed_hours=float(missed.sum(axis=1).mean()),
        missed_share=float(missed.sum(axis=1).mean()) / wanted if wanted > 0 else 0.0,
        penalty_usd=float(penalty.mean()),
    )


def objective(world: Problem, by_path: np.ndarray) -> float:
    """Weighed cost of costs by path: (1 - weight) mean + weight (mean reference + mean of the worst overruns)."""
    reference = reference_usd(world)
    over = by_path - reference
    worst = float(reference.mean()) + float(tail_weights(over, world.tail) @ over)
    return (1 - world.risk_weight) * float(by_path.mean()) + world.risk_weight * worst


def _free_of_rent(world: World) -> World:
    """The world where rented hours cost nothing: what is left to pay is missed demand."""

    def free(prices: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(prices), 0.0, np.inf)

    return replace(
        world, on_demand_usd=free(world.on_demand_usd), spot_usd=free(world.spot_usd), api_usd=free(world.api_usd),
        around_usd=0.0,
    )  # fmt: skip
