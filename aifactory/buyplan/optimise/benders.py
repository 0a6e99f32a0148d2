"""The plan over many futures: Benders decomposition with a proven gap.

The master holds orders, the mean recourse of each month and the tail mean. Evaluating a plan on all paths gives
one cut a month for the mean and one for the tail (whose weights are the dual of the tail mean). First the paths
are means of like paths and the orders continuous, then all paths count; the
orders are continuous and trial points lie between the best plan and the master's (in-out stabilisation); then the
master is solved in whole nodes, again after each evaluation until bound and best plan meet.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import highspy
import numpy as np

from aifactory.buyplan.optimise.evaluate import Evaluator, PlanCost, Slopes, evaluate_with_slopes, recourse_of
from aifactory.buyplan.optimise.extensive import HAS_SOLUTION, gap_of, largest_orders, order_rows
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.recourse import INFINITE, quiet_solver
from aifactory.errors import AIFactoryError

#: Weight of the master's point in a trial point; rounds; the master is solved to a share of the gap that is asked.
STEP, CONTINUOUS_ROUNDS, WHOLE_ROUNDS, MASTER_SHARE = 0.5, 30, 12, 0.25
#: Paths in a group whose mean stands for them at first.
GROUP = 5
SCALE = 1e-3


@dataclass(frozen=True)
class OptimalPlan:
    """A plan, its cost, and how far it can be from the best.

    Attributes
    ----------
    nodes : [N] whole nodes of each order of `Problem.orders`.
    bound_usd : no plan costs less than this.
    gap : (cost - bound) / cost, proven.
    rounds : evaluations over all paths.
    stopped : why the search ended: gap reached, or the limit that came first.
    """

    nodes: np.ndarray
    cost: PlanCost
    bound_usd: float
    rounds: int
    stopped: str

    @property
    def gap(self) -> float:
        """Proven distance from the best plan, share of the cost."""
        return gap_of(self.cost.objective_usd, self.bound_usd)


def optimise(problem: Problem, *, gap: float = 0.005, time_limit_s: float = 60.0) -> OptimalPlan:
    """Cheapest plan of whole nodes for the objective of `Problem`, within a proven gap or a time limit.

    The result always says its gap; where the limit came first, `stopped` says so.
    """
    end = time.monotonic() + time_limit_s
    master = _Master(problem)
    center = np.zeros(len(problem.orders))
    few = _mean_problem(problem)
    if few is not None:
        center = _approach(few, master, center, gap, end)[0]
    recourse = recourse_of(problem)
    center, rounds = _approach(problem, master, center, gap, end, recourse)
    master.whole(gap * MASTER_SHARE)
    best, cost, bound, stopped = None, None, -np.inf, "rounds"
    for _ in range(WHOLE_ROUNDS):
        nodes, at_least = master.solve(end)
        bound = max(bound, at_least)
        found, slopes = evaluate_with_slopes(problem, nodes, recourse=recourse)
        rounds += 1
        if cost is None or found.objective_usd < cost.objective_usd:
            best, cost = nodes, found
        if gap_of(cost.objective_usd, bound) <= gap:
            stopped = "gap reached"
            break
        if time.monotonic() > end:
            stopped = f"time limit of {time_limit_s:g} s"
            break
        master.add(nodes, slopes)
    return OptimalPlan(best, cost, bound, rounds, stopped)


def mean_paths(demand: np.ndarray, count: int) -> np.ndarray:
    """Means of `count` groups of like paths, [count, T, W, K]; groups of equal size by total demand.

    Recourse is convex in demand, so a plan costs no less on the paths than on the means of equal groups of them
    (Jensen), in expectation and in the tail: cuts made on the means hold.
    """
    order = np.argsort(demand.reshape(len(demand), -1).sum(axis=1), kind="stable")
    return demand[order].reshape(count, -1, *demand.shape[1:]).mean(axis=1)


def _mean_problem(problem: Problem) -> Problem | None:
    """The problem on means of groups of 5 paths; None where groups would differ in size or prices by path."""
    by_path = any(np.ndim(of) == 3 for of in (problem.on_demand_usd, problem.spot_usd, problem.api_usd))
    if by_path or problem.paths % GROUP or problem.paths < 4 * GROUP:
        return None
    return replace(problem, demand=mean_paths(problem.demand, problem.paths // GROUP))


def _approach(
    problem: Problem, master: _Master, center: np.ndarray, gap: float, end: float, recourse: Evaluator | None = None
) -> tuple[np.ndarray, int]:
    """Cuts around the best continuous plan, from trial points between it and the master's; (plan, evaluations)."""
    recourse = recourse or recourse_of(problem)
    cost, slopes = evaluate_with_slopes(problem, center, recourse=recourse)
    master.add(center, slopes)
    best_usd, rounds = cost.objective_usd, 1
    while rounds < CONTINUOUS_ROUNDS:
        nodes, bound = master.solve(end)
        if gap_of(best_usd, bound) < gap / 2 or time.monotonic() > end:
            break
        trial = STEP * nodes + (1 - STEP) * center
        found, slopes = evaluate_with_slopes(problem, trial, recourse=recourse)
        rounds += 1
        master.add(trial, slopes)
        if found.objective_usd < best_usd:
            center, best_usd = trial, found.objective_usd
    return center, rounds


class _Master:
    """Orders, switches, mean recourse by month and the tail mean, under the cuts so far; objective in 1,000 USD."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.orders = problem, len(problem.orders)
        matrix, lower, upper, switched = order_rows(problem)
        self.lead = self.orders + len(switched)
        months, weight = problem.months, problem.risk_weight
        self.columns = self.lead + months + 1
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = self.columns, matrix.shape[0]
        usd = [problem.order_usd, np.zeros(len(switched)), np.full(months, 1 - weight), [weight]]
        model.col_cost_ = np.concatenate(usd) * SCALE
        model.col_lower_ = np.zeros(self.columns)
        bounds = [largest_orders(problem), np.ones(len(switched)), np.full(months + 1, INFINITE)]
        model.col_upper_ = np.concatenate(bounds)
        model.row_lower_, model.row_upper_ = lower, upper
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = (
            matrix.indptr, matrix.indices, matrix.data,
        )  # fmt: skip
        self.solver, self.is_whole = quiet_solver(), False
        self.solver.passModel(model)

    def add(self, nodes: np.ndarray, slopes: Slopes) -> None:
        """Cuts at a plan: recourse >= its value there plus slope times the change of nodes."""
        for month, slope in enumerate(slopes.mean):
            self._cut(self.lead + month, slope, slopes.mean_usd[month] - slope @ nodes)
        self._cut(self.columns - 1, slopes.tail, slopes.tail_usd - slopes.tail @ nodes)

    def whole(self, gap: float) -> None:
        """From here on in whole nodes, each time to this gap."""
        self.is_whole = True
        kinds = np.full(self.lead, highspy.HighsVarType.kInteger)
        self.solver.changeColsIntegrality(self.lead, np.arange(self.lead, dtype=np.int32), kinds)
        self.solver.setOptionValue("mip_rel_gap", gap)

    def solve(self, end: float) -> tuple[np.ndarray, float]:
        """Best nodes under the cuts, and a bound on the cost of every plan."""
        self.solver.setOptionValue("time_limit", self.solver.getRunTime() + max(end - time.monotonic(), 1.0))
        self.solver.run()
        info = self.solver.getInfo()
        status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal and info.primal_solution_status != HAS_SOLUTION:
            raise AIFactoryError(f"the solver found no plan: {self.solver.modelStatusToString(status)}")
        nodes = np.array(self.solver.getSolution().col_value)[: self.orders]
        bound = info.mip_dual_bound if self.is_whole else info.objective_function_value
        return (np.round(nodes) if self.is_whole else nodes), bound / SCALE

    def _cut(self, column: int, slope: np.ndarray, constant: float) -> None:
        at = np.flatnonzero(slope)
        index = np.append(at, column).astype(np.int32)
        self.solver.addRow(constant, INFINITE, len(index), index, np.append(-slope[at], 1.0))
