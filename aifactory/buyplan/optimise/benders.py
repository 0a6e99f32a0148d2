"""The plan over many futures: Benders decomposition with a proven gap.

The master holds orders, the mean recourse of each month and the tail mean. Evaluating a plan on all paths gives
one cut a month for the mean and one for the tail (whose weights are the dual of the tail mean). Orders are continuous at first and trial points lie between the best
plan and the master's (in-out stabilisation): on means of like paths, then on all paths with known bases of the
recourse alone, then exactly. Then the master is solved in whole nodes, again after each evaluation until bound and
best plan meet.

Ports (binary) are chosen first, with nodes that need not be whole: this gives the bound; nodes are made whole for the
best choice. The bound of a choice is weak (a port that is half made serves half the need at half the price), so
problems with ports end at wider gaps; the gap is always stated.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import highspy
import numpy as np

from aifactory.buyplan.optimise.evaluate import Evaluator, PlanCost, Slopes, evaluate_with_slopes, recourse_of
from aifactory.buyplan.optimise.extensive import HAS_SOLUTION, gap_of, largest_orders, order_rows
from aifactory.buyplan.optimise.limits import refuse_conflicts
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.recourse import INFINITE, quiet_solver
from aifactory.errors import AIFactoryError

#: Weight of the master's point in a trial point; rounds; the master is solved to a share of the gap that is asked.
STEP, CONTINUOUS_ROUNDS, WHOLE_ROUNDS, MASTER_SHARE = 0.5, 30, 12, 0.25
#: Paths in a group whose mean stands for them at first.
GROUP = 5
SCALE = 1e-3
#: Programmes solved in an evaluation at first: known bases bound the rest from below.
QUICK = 128
#: Choices of ports that are tried, choices whose nodes are then made whole; how far inside a cut is taken; slack, as
#: a share, of cuts that are dropped.
PORT_ROUNDS, PORT_CYCLES, INSIDE, SLACK = 16, 3, 0.02, 0.05
HEURISTICS = 0.05
PRICE_TOLERANCE = 1e-6
#: Seconds that a master gets in any case, so that there is a plan at all.
LEAST_S = 20.0
REACHED = "gap reached"


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
    limit_usd : by limit that binds, USD of the objective that one more unit of it (USD, kW, accelerator) would save, for
        orders that need not be whole.
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
    master, recourse = _Master(problem), recourse_of(problem)
    center, few = np.zeros(len(problem.plan_usd)), _mean_problem(problem)
    if few is not None:
        center = _approach(few, master, center, gap, end, recourse_of(few), QUICK)[0]
    center = _approach(problem, master, center, gap, end, recourse, QUICK)[0]
    if not problem.ports:
        center = _approach(problem, master, center, gap, end, recourse)[0]
        prices = master.limit_prices()
        return replace(_in_whole_nodes(problem, master, gap, time_limit_s, end, recourse), limit_usd=prices)
    best, bound = None, -np.inf
    for _ in range(PORT_CYCLES):
        center, bound = _choose_ports(problem, master, center, gap, end, recourse, bound)
        master.hold_ports(np.round(center[len(problem.orders) :]))
        _approach(problem, master, center, gap, end, recourse, QUICK)
        prices = master.limit_prices()
        found = replace(_in_whole_nodes(problem, master, gap / 2, time_limit_s, end, recourse), limit_usd=prices)
        if best is None or found.cost.objective_usd < best.cost.objective_usd:
            best = found
        if gap_of(best.cost.objective_usd, bound) <= gap:
            return replace(best, bound_usd=bound, stopped=REACHED)
        if time.monotonic() > end:
            break
        master.free_ports()
    stopped = f"time limit of {time_limit_s:g} s" if time.monotonic() > end else "rounds"
    return replace(best, bound_usd=bound, stopped=stopped)


def _in_whole_nodes(
    problem: Problem, master: _Master, gap: float, time_limit_s: float, end: float, recourse: Evaluator
) -> OptimalPlan:
    """Solve the master in whole nodes and evaluate on all paths, until bound and best plan meet."""
    master.whole(gap * MASTER_SHARE)
    best, cost, bound, stopped, rounds = None, None, -np.inf, "rounds", 0
    for _ in range(WHOLE_ROUNDS):
        nodes, at_least = master.solve(end)
        bound = max(bound, at_least)
        found, slopes = evaluate_with_slopes(problem, nodes, recourse=recourse)
        rounds += 1
        if cost is None or found.objective_usd < cost.objective_usd:
            best, cost = nodes, found
        if gap_of(cost.objective_usd, bound) <= gap:
            stopped = REACHED
            break
        if time.monotonic() > end:
            stopped = f"time limit of {time_limit_s:g} s"
            break
        master.add(nodes, slopes)
    return OptimalPlan(best, cost, bound, rounds, stopped)


def _choose_ports(
    problem: Problem, master: _Master, center: np.ndarray, gap: float, end: float, recourse: Evaluator, bound: float
) -> tuple[np.ndarray, float]:
    """Which ports to make, with nodes that need not be whole; (plan, bound on the cost of every plan).

    Cuts at a choice are taken a little inside, since at 0 and 1 the slopes of a port are not unique and those of
    the solver may say nothing about the other end; a second cut half-way to the best plan keeps the bound tight there.
    """
    first, best, best_usd = len(problem.orders), center, np.inf
    master.purge()
    master.choose_ports(gap * MASTER_SHARE)
    for _ in range(PORT_ROUNDS):
        plan, at_least = master.solve(end)
        bound = max(bound, at_least)
        if gap_of(best_usd, bound) <= gap / 2 or time.monotonic() > end:
            break
        plan[first:] = np.round(plan[first:])
        for share in (1 - INSIDE, STEP):
            trial = share * plan + (1 - share) * center
            found, slopes = evaluate_with_slopes(problem, trial, recourse=recourse, solves=QUICK)
            master.add(trial, slopes)
            if share > STEP and found.objective_usd < best_usd:
                best, best_usd = plan, found.objective_usd
        center = best
    return best, bound


def mean_paths(demand: np.ndarray, count: int) -> np.ndarray:
    """Means of `count` groups of like paths, [count, T, W, K]; groups of equal size by total demand.

    Recourse is convex in demand, so a plan costs no less on the paths than on the means of equal groups of them
    (Jensen), in expectation and in the tail: cuts made on the means hold.
    """
    order = np.argsort(demand.reshape(len(demand), -1).sum(axis=1), kind="stable")
    return demand[order].reshape(count, -1, *demand.shape[1:]).mean(axis=1)


def _mean_problem(problem: Problem) -> Problem | None:
    """The problem on means of groups of 5 paths; None where groups would differ in size or prices go by path."""
    by_path = any(np.ndim(of) == 3 for of in (problem.on_demand_usd, problem.spot_usd, problem.api_usd))
    if by_path or np.size(problem.order_ratio) or problem.paths % GROUP or problem.paths < 4 * GROUP:
        return None
    return replace(problem, demand=mean_paths(problem.demand, problem.paths // GROUP))


def _approach(
    problem: Problem, master: _Master, center: np.ndarray, gap: float, end: float, recourse: Evaluator,
    solves: int | None = None,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """Cuts around the best continuous plan, from trial points between it and the master's; (plan, evaluations)."""
    cost, slopes = evaluate_with_slopes(problem, center, recourse=recourse, solves=solves)
    master.add(center, slopes)
    best_usd, rounds = cost.objective_usd, 1
    while rounds < CONTINUOUS_ROUNDS:
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


REAL = highspy.HighsVarType.kContinuous


class _Master:
    """Orders, switches, mean recourse by month and the tail mean, under the cuts so far; objective in 1,000 USD."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.first, self.decisions = problem, len(problem.orders), len(problem.plan_usd)
        matrix, lower, upper, switched = order_rows(problem)
        self.lead, self.fixed_rows = self.decisions + len(switched), matrix.shape[0]
        months, weight = problem.months, problem.risk_weight
        self.columns = self.lead + months + 1
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = self.columns, matrix.shape[0]
        usd = [problem.plan_usd, np.zeros(len(switched)), np.full(months, 1 - weight), [weight]]
        model.col_cost_ = np.concatenate(usd) * SCALE
        model.col_lower_ = np.zeros(self.columns)
        bounds = [largest_orders(problem), np.ones(len(problem.ports) + len(switched)), np.full(months + 1, INFINITE)]
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

    def limit_prices(self) -> dict[str, float]:
        """Shadow prices of the limits in the last continuous solve, USD per unit; those of 0 are left out."""
        names = self.problem.limits()[2]
        duals = np.array(self.solver.getSolution().row_dual)[: len(names)] / SCALE
        return {name: float(-dual) for name, dual in zip(names, duals, strict=True) if dual < -PRICE_TOLERANCE}

    def whole(self, gap: float) -> None:
        """From here on in whole nodes, each time to this gap."""
        self._integers(np.arange(self.lead), gap)

    def choose_ports(self, gap: float) -> None:
        """From here on ports alone are made or not, each time to this gap; nodes need not be whole."""
        self.solver.setOptionValue("mip_heuristic_effort", 0.0)  # the bound is wanted; plans are made elsewhere
        self._integers(np.arange(self.first, self.lead), gap)

    def hold_ports(self, ports: np.ndarray) -> None:
        """Keep a choice of ports."""
        self.solver.setOptionValue("mip_heuristic_effort", HEURISTICS)
        self._integers(np.zeros(0), 0.0)
        self._bound_ports(ports, ports)

    def free_ports(self) -> None:
        """Let ports be chosen again."""
        self._bound_ports(np.zeros(len(self.problem.ports)), np.ones(len(self.problem.ports)))

    def purge(self) -> None:
        """Drop cuts that are far from binding: the programme in whole numbers takes time by their count."""
        self._integers(np.zeros(0), 0.0)
        self.solver.run()
        lower = np.array(self.solver.getLp().row_lower_)
        over = np.array(self.solver.getSolution().row_value) - lower
        slack = over > SLACK * np.maximum(np.abs(lower), 1.0)
        slack[: self.fixed_rows] = False
        rows = np.flatnonzero(slack).astype(np.int32)
        if len(rows):
            self.solver.deleteRows(len(rows), rows)

    def _bound_ports(self, lower: np.ndarray, upper: np.ndarray) -> None:
        columns = np.arange(self.first, self.first + len(lower), dtype=np.int32)
        self.solver.changeColsBounds(len(columns), columns, lower, upper)

    def _integers(self, columns: np.ndarray, gap: float) -> None:
        kinds = np.full(self.lead, highspy.HighsVarType.kContinuous)
        kinds[columns.astype(int)] = highspy.HighsVarType.kInteger
        self.is_whole = len(columns) > 0
        self.solver.changeColsIntegrality(self.lead, np.arange(self.lead, dtype=np.int32), kinds)
        self.solver.setOptionValue("mip_rel_gap", gap)

    def solve(self, end: float) -> tuple[np.ndarray, float]:
        """Best nodes under the cuts, and a bound on the cost of every plan."""
        self.solver.setOptionValue("time_limit", self.solver.getRunTime() + max(end - time.monotonic(), LEAST_S))
        self.solver.run()
        info = self.solver.getInfo()
        status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal and info.primal_solution_status != HAS_SOLUTION:
            raise AIFactoryError(f"the solver found no plan: {self.solver.modelStatusToString(status)}")
        plan = np.array(self.solver.getSolution().col_value)[: self.decisions]
        bound = info.mip_dual_bound if self.is_whole else info.objective_function_value
        kinds = np.array(self.solver.getLp().integrality_[: self.decisions] or [REAL] * self.decisions)
        return np.where(kinds == REAL, plan, np.round(plan)), bound / SCALE

    def _cut(self, column: int, slope: np.ndarray, constant: float) -> None:
        at = np.flatnonzero(slope)
        index = np.append(at, column).astype(np.int32)
        self.solver.addRow(constant, INFINITE, len(index), index, np.append(-slope[at], 1.0))
