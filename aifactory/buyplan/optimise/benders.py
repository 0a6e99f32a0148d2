"""The plan over many futures: Benders decomposition with a proven gap.

The master holds orders, the mean recourse of each month and the tail mean. Evaluating a plan on all paths gives
one cut a month for the mean and one for the tail (whose weights are the dual of the tail mean). Orders are continuous at first and trial points lie between the best
plan and the master's (in-out stabilisation): on means of like paths, of few load blocks first, then on all paths with known bases of the
recourse alone, then exactly. Then the master is solved in whole nodes, again after each evaluation until bound and
best plan meet.

Ports are chosen first, by branch and bound with nodes that need not be whole (`branch`): this gives the bound; nodes
are made whole for the best choice, and the search goes on where the gap is too wide.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
from threadpoolctl import threadpool_limits

from aifactory.buyplan.optimise.branch import PortSearch
from aifactory.buyplan.optimise.closed_form import has_closed_form
from aifactory.buyplan.optimise.evaluate import Evaluator, PlanCost, evaluate_with_slopes, recourse_of
from aifactory.buyplan.optimise.extensive import gap_of, largest_orders
from aifactory.buyplan.optimise.held_ports import HeldPorts
from aifactory.buyplan.optimise.limits import refuse_conflicts
from aifactory.buyplan.optimise.master import Master
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.reference import reference_usd

#: Weight of the master's point in a trial point; rounds; the master is solved to a share of the gap that is asked.
STEP, CONTINUOUS_ROUNDS, WHOLE_ROUNDS, MASTER_SHARE = 0.5, 30, 12, 0.25
#: Paths in a group whose mean stands for them at first, and load blocks to which theirs are merged before.
GROUP, FEW_BLOCKS = 5, 3
#: Months of paths that are solved in an evaluation at first, and in the search for ports: known bases bound the rest from below.
QUICK, PORT_SOLVES = 256, 192
#: Months that share a cut where ports are searched for: the master is solved hundreds of times then.
PORT_MONTHS = 3
#: Searches for ports, each after the nodes of the best choice were made whole; the shares of the gap that are asked of
#: the first search and of whole nodes.
PORT_CYCLES, PORT_SHARE, WHOLE_SHARE = 6, 0.85, 0.3
#: Rounds before ports are searched for, and the share of the gap to which they go: what all nodes of the search begin with.
PORT_ROUNDS, ROOT_SHARE = 100, 0.15
#: Share of the time limit that is kept for making nodes whole.
KEPT_TIME = 0.12
#: Gap and rounds of the programme that prices limits (at the gap of a plan its duals may be a tenth off).
PRICE_GAP, PRICE_ROUNDS = 1e-9, 200
REACHED = "gap reached"
#: Products of matrices are small here: more threads wait for each other longer than they reckon.
one_thread = threadpool_limits.wrap(limits=1, user_api="blas")


@dataclass(frozen=True)
class OptimalPlan:
    """A plan, its cost, and how far it can be from the best.

    Attributes
    ----------
    nodes : [N + G] whole nodes of each order of `Problem.orders`, then 1 for each port that is made.
    bound_usd : no plan costs less than this.
    gap : (cost - bound) / cost, proven.
    rounds : evaluations over all paths.
    stopped : why the search ended: gap reached, or the limit that came first.
    limit_usd : by limit that binds, USD of the objective that one more unit of it would save, for orders that need not be
        whole: by row of `Problem.limits` from duals, after `choose.settled` as `limit_prices` names and counts them.
    """

    nodes: np.ndarray
    cost: PlanCost
    bound_usd: float
    rounds: int
    stopped: str
    limit_usd: dict[str, float] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """Proven distance from the best plan, share of the cost."""
        return gap_of(self.cost.objective_usd, self.bound_usd)


@one_thread
def optimise(problem: Problem, *, gap: float = 0.005, time_limit_s: float = 60.0) -> OptimalPlan:
    """Cheapest plan of whole nodes for the objective of `Problem`, within a proven gap or a time limit.

    The result always says its gap; where the limit came first, `stopped` says so.

    Raises
    ------
    InputError
        The limits contradict each other; the smallest set of them and the ways out are named.
    """
    end = time.monotonic() + time_limit_s
    refuse_conflicts(problem, largest_orders(problem))
    master, recourse = Master(problem, PORT_MONTHS if problem.ports else 1), recourse_of(problem)
    center = np.zeros(len(problem.plan_usd))
    for simpler in _simpler(problem):
        center = _approach(simpler, master, center, gap, end, recourse_of(simpler), QUICK)[0]
    root = (PORT_ROUNDS, ROOT_SHARE * gap) if problem.ports else (CONTINUOUS_ROUNDS, gap)
    center = _approach(problem, master, center, root[1], end, recourse, QUICK, root[0])[0]
    if not problem.ports:
        center = _approach(problem, master, center, gap, end, recourse)[0]
        prices = master.limit_prices()
        return replace(_in_whole_nodes(problem, master, gap, time_limit_s, end, recourse), limit_usd=prices)
    return _with_ports(problem, master, center, gap, time_limit_s, end, recourse)


@one_thread
def in_parts(problem: Problem, *, time_limit_s: float = 60.0) -> tuple[float, dict[str, float]]:
    """Objective of the best orders that need not be whole, and the dual of each limit that binds there, USD per unit.

    For problems without ports, to a gap of `PRICE_GAP`. A difference of two objectives says what a unit more saves (`limit_prices`).
    """
    end = time.monotonic() + time_limit_s
    refuse_conflicts(problem, largest_orders(problem))
    master, recourse = Master(problem, 1), recourse_of(problem)
    _approach(problem, master, np.zeros(len(problem.plan_usd)), PRICE_GAP, end, recourse, None, PRICE_ROUNDS)
    bound = master.solve(end)[1]
    return bound, master.limit_prices()


def _with_ports(
    problem: Problem,
    master: Master,
    center: np.ndarray,
    gap: float,
    time_limit_s: float,
    end: float,
    recourse: Evaluator,
) -> OptimalPlan:
    """Choose ports by branch and bound, make nodes whole for the best choice, and search on where the gap is too wide."""
    search = PortSearch(problem, master, center, recourse, PORT_SOLVES, master.solve(end)[1])
    best, found_for = None, None
    ask, search_end = PORT_SHARE * gap, end - KEPT_TIME * time_limit_s
    for _ in range(PORT_CYCLES):
        search.run(ask, np.inf if best is None else best.cost.objective_usd, search_end)
        ports = np.round(search.best[len(problem.orders) :])
        if found_for is None or (ports != found_for).any():
            found_for = ports
            found = _for_ports(problem, master.copy(), search.best, search.bound_usd, gap, time_limit_s, end)
            if best is None or found.cost.objective_usd < best.cost.objective_usd:
                best = found
        if gap_of(best.cost.objective_usd, search.bound_usd) <= gap:
            return replace(best, bound_usd=search.bound_usd, stopped=REACHED)
        if time.monotonic() > search_end:
            break
        ask = gap
    if time.monotonic() > search_end:
        return replace(best, bound_usd=search.bound_usd, stopped=f"time limit of {time_limit_s:g} s")
    return _all_whole(problem, master, best, search.bound_usd, gap, time_limit_s, end, recourse)


def _all_whole(
    problem: Problem,
    master: Master,
    best: OptimalPlan,
    bound_usd: float,
    gap: float,
    time_limit_s: float,
    end: float,
    recourse: Evaluator,
) -> OptimalPlan:
    """Ports and nodes in whole numbers at once, where the bound of nodes that need not be whole stays too low: few, large nodes."""
    cost, slopes = evaluate_with_slopes(problem, best.nodes, recourse=recourse)
    master.add(best.nodes, slopes)
    found = _in_whole_nodes(problem, master, gap, time_limit_s, end, recourse, best=best.nodes, cost=cost)
    bound = max(bound_usd, found.bound_usd)
    reached = gap_of(found.cost.objective_usd, bound) <= gap
    return replace(found, bound_usd=bound, stopped=REACHED if reached else found.stopped, limit_usd=best.limit_usd)


def _for_ports(
    problem: Problem,
    master: Master,
    plan: np.ndarray,
    bound_usd: float,
    gap: float,
    time_limit_s: float,
    end: float,
) -> OptimalPlan:
    """Nodes made whole for the ports of a plan, until they are near enough to the bound of all choices."""
    ports = np.round(plan[len(problem.orders) :])
    plan, recourse = np.append(plan[: len(problem.orders)], ports), HeldPorts(problem, ports)
    master.hold_ports(ports)
    master.purge()
    _approach(problem, master, plan, WHOLE_SHARE * gap, end, recourse, QUICK)
    prices = master.limit_prices()
    found = _in_whole_nodes(
        problem, master, WHOLE_SHARE * gap, time_limit_s, end, recourse, enough_usd=bound_usd / (1 - gap)
    )
    return replace(found, limit_usd=prices)


def _in_whole_nodes(
    problem: Problem,
    master: Master,
    gap: float,
    time_limit_s: float,
    end: float,
    recourse: Evaluator,
    enough_usd: float = -np.inf,
    best: np.ndarray | None = None,
    cost: PlanCost | None = None,
) -> OptimalPlan:
    """Solve the master in whole nodes and evaluate on all paths, until bound and best plan (one may be known) meet or the plan costs little enough."""
    master.whole(gap * MASTER_SHARE)
    bound, stopped, rounds = -np.inf, "rounds", 0
    for _ in range(WHOLE_ROUNDS):
        nodes, at_least = master.solve(end)
        bound = max(bound, at_least)
        found, slopes = evaluate_with_slopes(problem, nodes, recourse=recourse)
        rounds += 1
        if cost is None or found.objective_usd < cost.objective_usd:
            best, cost = nodes, found
        if gap_of(cost.objective_usd, bound) <= gap or cost.objective_usd <= enough_usd:
            stopped = REACHED
            break
        if time.monotonic() > end:
            stopped = f"time limit of {time_limit_s:g} s"
            break
        master.add(nodes, slopes)
    return OptimalPlan(best, cost, bound, rounds, stopped)


def mean_paths(demand: np.ndarray, count: int) -> np.ndarray:
    """Means of `count` groups of like paths, [count, T, W, K]; groups of equal size by total demand.

    Recourse is convex in demand, so a plan costs no less on the paths than on the means of equal groups of them
    (Jensen), in expectation and in the tail over the mean of their references: cuts made on the means hold.
    """
    return demand[like_paths(demand, count)].mean(axis=1)


def like_paths(demand: np.ndarray, count: int) -> np.ndarray:
    """Paths of `count` equal groups by total demand, [count, paths of a group]."""
    return np.argsort(demand.reshape(len(demand), -1).sum(axis=1), kind="stable").reshape(count, -1)


def _mean_problem(problem: Problem) -> Problem | None:
    """The problem on means of groups of 5 paths; None where groups would differ in size or prices go by path."""
    by_path = any(np.ndim(of) == 3 for of in (problem.on_demand_usd, problem.spot_usd, problem.api_usd))
    if by_path or np.size(problem.order_ratio) or problem.paths % GROUP or problem.paths < 4 * GROUP:
        return None
    count = problem.paths // GROUP
    reference = reference_usd(problem)[like_paths(problem.demand, count)].mean(axis=1)
    return replace(problem, demand=mean_paths(problem.demand, count), reference_usd=reference)


def _simpler(problem: Problem) -> list[Problem]:
    """Problems whose cuts hold in this one and cost less to make, the simplest first; closed forms need no fewer blocks."""
    few = _mean_problem(problem)
    if few is None:
        return []
    merged = len(problem.block_hours) > FEW_BLOCKS and not has_closed_form(problem)
    return [fewer_blocks(few, FEW_BLOCKS), few] if merged else [few]


def fewer_blocks(problem: Problem, most: int) -> Problem:
    """The problem with the means of neighbouring load blocks, `most` of them.

    A month costs no less in its blocks than in the mean of some of them (Jensen, as for paths): cuts made on these hold.
    What paths cost about (`reference_usd`) stays that of all blocks.
    """
    hours = np.asarray(problem.block_hours, dtype=float)
    parts = np.array_split(np.arange(len(hours)), most)
    demand = np.stack([problem.demand[..., part] @ hours[part] / hours[part].sum() for part in parts], axis=-1)
    merged = np.array([hours[part].sum() for part in parts])
    return replace(problem, demand=demand, block_hours=merged, reference_usd=reference_usd(problem))


def _approach(
    problem: Problem, master: Master, center: np.ndarray, gap: float, end: float, recourse: Evaluator,
    solves: int | None = None, most_rounds: int = CONTINUOUS_ROUNDS,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """Cuts around the best continuous plan, from trial points between it and the master's; (plan, evaluations)."""
    cost, slopes = evaluate_with_slopes(problem, center, recourse=recourse, solves=solves)
    master.add(center, slopes)
    best_usd, rounds = cost.objective_usd, 1
    while rounds < most_rounds:
        nodes, bound = master.solve(end)
        if gap_of(best_usd, bound) < gap / 2 or time.monotonic() > end:
            break
        trial = STEP * nodes + (1 - STEP) * center
        found, slopes = evaluate_with_slopes(problem, trial, recourse=recourse, solves=solves)
        rounds += 1
        master.add(trial, slopes)
        if found.objective_usd < best_usd:
            center, best_usd = trial, found.objective_usd
    return center, rounds
