"""The master programme of the decomposition: orders and ports under the cuts so far."""

from __future__ import annotations

import time

import highspy
import numpy as np

from aifactory.buyplan.optimise.cuts import CutPool
from aifactory.buyplan.optimise.evaluate import Slopes
from aifactory.buyplan.optimise.extensive import HAS_SOLUTION, largest_orders, order_rows
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.recourse import INFINITE, quiet_solver
from aifactory.errors import AIFactoryError

SCALE = 1e-3
PRICE_TOLERANCE = 1e-6
#: Slack, as a share, of cuts that are dropped.
SLACK = 0.003
#: Rows of cuts from which on a search lays aside those that none of its last nodes needed, and how many nodes these are.
MANY_CUTS, UNUSED_NODES = 150, 2
#: Cuts that are taken back at once where a point breaks them, and how often in a solve.
TAKEN_BACK, TIMES = 30, 20
#: Slack, as a share, of a cut that binds.
BINDS = 1e-9
#: Devex weights of the dual simplex: exact ones would be worked out anew after each cut.
DEVEX = 1
#: Seconds that a solve gets in any case, so that there is a plan at all.
LEAST_S = 20.0


class Master:
    """Orders, switches, mean recourse by month and the tail mean, under the cuts so far; objective in 1,000 USD.

    A cut of the mean holds `together` months: fewer rows say less, but are solved in less time. Cuts that are laid
    aside wait in a pool and come back when a continuous point breaks them.
    """

    def __init__(self, problem: Problem, together: int = 1) -> None:
        self.problem, self.first, self.decisions = problem, len(problem.orders), len(problem.plan_usd)
        self.together = together
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
        self._pool, self._held, self._unused = CutPool(self.columns), np.zeros(0, dtype=int), np.zeros(0, dtype=int)
        self.solver, self.is_whole = quiet_solver(), False
        self.solver.setOptionValue("simplex_dual_edge_weight_strategy", DEVEX)
        self.solver.passModel(model)

    def add(self, nodes: np.ndarray, slopes: Slopes) -> None:
        """Cuts at a plan: recourse >= its value there plus slope times the change of nodes."""
        for first in range(0, len(slopes.mean), self.together):
            months = np.arange(first, min(first + self.together, len(slopes.mean)))
            slope = slopes.mean[months].sum(axis=0)
            self._add(self.lead + months, slope, slopes.mean_usd[months].sum() - slope @ nodes)
        self._add(np.array([self.columns - 1]), slopes.tail, slopes.tail_usd - slopes.tail @ nodes)

    def limit_prices(self) -> dict[str, float]:
        """Shadow prices of the limits in the last continuous solve, USD per unit; those of 0 are left out."""
        names = self.problem.limits()[2]
        duals = np.array(self.solver.getSolution().row_dual)[: len(names)] / SCALE
        return {name: float(-dual) for name, dual in zip(names, duals, strict=True) if dual < -PRICE_TOLERANCE}

    def whole(self, gap: float) -> None:
        """From here on in whole nodes and ports, each time to this gap."""
        self._integers(True, gap)

    def copy(self) -> Master:
        """Another master under the same cuts, which goes its own way."""
        other = Master(self.problem, self.together)
        other.solver.passModel(self.solver.getLp())
        other._pool, other._held, other._unused = self._pool.copy(), self._held.copy(), self._unused.copy()
        return other

    def hold_ports(self, ports: np.ndarray) -> None:
        """Keep a choice of ports."""
        self._integers(False)
        self.bound_ports(ports, ports)

    def free_ports(self) -> None:
        """Let ports be chosen again, and nodes be continuous."""
        self._integers(False)
        self.bound_ports(np.zeros(len(self.problem.ports)), np.ones(len(self.problem.ports)))

    def purge(self) -> None:
        """Lay cuts aside that are far from binding: the programme in whole numbers takes time by their count."""
        self._integers(False)
        self.solver.run()
        lower = np.array(self.solver.getLp().row_lower_)
        over = np.array(self.solver.getSolution().row_value) - lower
        slack = over > SLACK * np.maximum(np.abs(lower), 1.0)
        self._lay_aside(np.flatnonzero(slack[self.fixed_rows :]))

    def forget(self) -> None:
        """Before each node of a search: lay cuts aside that no recent node needed, where there are many, since it solves thousands of times."""
        self._unused += 1
        if len(self._unused) > MANY_CUTS:
            self._lay_aside(np.flatnonzero(self._unused > UNUSED_NODES))

    def _lay_aside(self, rows: np.ndarray) -> None:
        if len(rows):
            self._held, self._unused = np.delete(self._held, rows), np.delete(self._unused, rows)
            self.solver.deleteRows(len(rows), (rows + self.fixed_rows).astype(np.int32))

    def count_use(self) -> None:
        """Note which cuts the last continuous solve needed."""
        values = np.array(self.solver.getSolution().row_value)[self.fixed_rows :]
        lower = np.array(self.solver.getLp().row_lower_)[self.fixed_rows :]
        self._unused[values - lower <= BINDS * np.maximum(np.abs(lower), 1.0)] = 0

    def bound_ports(self, lower: np.ndarray, upper: np.ndarray) -> None:
        """Ports lie between these."""
        columns = np.arange(self.first, self.first + len(lower), dtype=np.int32)
        self.solver.changeColsBounds(len(columns), columns, lower, upper)

    def _integers(self, whole: bool, gap: float = 0.0) -> None:
        kind = highspy.HighsVarType.kInteger if whole else highspy.HighsVarType.kContinuous
        self.is_whole = (
            whole and self.lead > 0
        )  # without a column of whole numbers the solver proves no bound of its own
        self.solver.changeColsIntegrality(self.lead, np.arange(self.lead, dtype=np.int32), np.full(self.lead, kind))
        self.solver.setOptionValue("mip_rel_gap", gap)

    def solve(self, end: float) -> tuple[np.ndarray, float]:
        """Best nodes under the cuts, and a bound on the cost of every plan."""
        self._run(end)
        for _ in range(0 if self.is_whole else TIMES):
            point = np.array(self.solver.getSolution().col_value)
            broken = self._pool.broken(point, self._held, TAKEN_BACK)
            if not len(broken) or self.solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                break
            for number in broken:
                self._hold(number)
            self._run(end)
        info = self.solver.getInfo()
        status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal and info.primal_solution_status != HAS_SOLUTION:
            raise AIFactoryError(f"the solver found no plan: {self.solver.modelStatusToString(status)}")
        plan = np.array(self.solver.getSolution().col_value)[: self.decisions]
        if self.is_whole:
            return np.round(plan), info.mip_dual_bound / SCALE
        optimal = status == highspy.HighsModelStatus.kOptimal
        return plan, info.objective_function_value / SCALE if optimal else -np.inf

    def _run(self, end: float) -> None:
        self.solver.setOptionValue("time_limit", self.solver.getRunTime() + max(end - time.monotonic(), LEAST_S))
        self.solver.run_whole()

    def _add(self, columns: np.ndarray, slope: np.ndarray, constant: float) -> None:
        row = np.zeros(self.columns)
        row[: self.decisions] = -slope
        row[columns] = 1.0
        self._hold(self._pool.add(row, constant))

    def _hold(self, number: int) -> None:
        """Put a cut of the pool into the programme."""
        row, least = self._pool.cut(number)
        index = np.flatnonzero(row).astype(np.int32)
        self.solver.addRow(least, INFINITE, len(index), index, row[index])
        self._held, self._unused = np.append(self._held, number), np.append(self._unused, 0)
