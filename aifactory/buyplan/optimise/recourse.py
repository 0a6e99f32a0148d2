"""What a month costs once the fleet is there: the cheapest way to serve its demand, by linear programme.

Variables of a month: y[w, p, k] accelerators that serve a workload, on demand od[p, k], spot[w, p, k] of
deferrable work, and units per hour that go to a hosted model api[w, k] or are missed miss[w, k]. Deferrable work
must be done within its month, other work in its block; of a spot hour a share is lost to interruptions.

    min  sum_k h_k (od price + spot price / share + api price + miss price)
    s.t. sum_p rate (y + spot) + api + miss >= demand        each block, or weighted by hours over the month
         sum_w y - od <= capacity                            each p, k

One programme is kept and only its bounds and costs change, paths in order of their demand: the last basis is
close to the next optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import highspy
import numpy as np
from scipy import sparse

from aifactory.buyplan.optimise.problem import Problem
from aifactory.errors import AIFactoryError

INFINITE = highspy.kHighsInf


@dataclass(frozen=True)
class Layout:
    """Columns and rows of the programme of one month."""

    matrix: sparse.csr_matrix
    demand_rows: np.ndarray  # [rows of demand] row of each demand entry
    demand_of: np.ndarray  # [rows of demand, W * K] weights of demand in each row, which is scaled to accelerators
    capacity_rows: np.ndarray  # [rows of capacity]
    capacity_of: np.ndarray  # [rows of capacity] platform whose capacity bounds the row
    upper: np.ndarray  # [columns] upper bounds
    on_demand: slice
    spot: slice
    spot_of: np.ndarray  # platform of each spot cell
    api: slice
    miss: slice


class Recourse:
    """Prices any fleet on any paths: the one evaluator of plans, policies and hand-edited tables."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.layout = month_layout(problem)
        prices = (problem.on_demand_usd, problem.spot_usd, problem.api_usd)
        self._prices_differ = any(np.ndim(of) == 3 for of in prices)

    def cost(self, capacity: np.ndarray, demand: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Undiscounted cost of each path and month, and what one more accelerator would change.

        Parameters
        ----------
        capacity : [T, P] accelerators in service.
        demand : [S, T, W, K]; the problem's paths by default. Prices by path need the problem's own paths.

        Returns
        -------
        (USD [S, T], USD per accelerator [S, T, P], never positive).
        """
        lay = self.layout
        demand = self.problem.demand if demand is None else demand
        paths, months = demand.shape[:2]
        usd, worth = np.zeros((paths, months)), np.zeros((paths, months, self.problem.platforms))
        self._solver.clearSolver()
        for month in range(months):
            need = demand[:, month].reshape(paths, -1) @ lay.demand_of.T
            self._set_capacity(capacity[month])
            order = np.argsort(need.sum(axis=1), kind="stable")
            if not self._prices_differ:
                self._set_costs(0, month)
            for path in order if month % 2 == 0 else order[::-1]:
                if self._prices_differ:
                    self._set_costs(int(path), month)
                usd[path, month], duals = self._solve(int(path), month, need[path])
                lift = np.minimum(duals[lay.capacity_rows], 0.0)
                worth[path, month] = np.bincount(lay.capacity_of, weights=lift, minlength=self.problem.platforms)
        return usd, worth

    def _set_capacity(self, capacity: np.ndarray) -> None:
        rows = self.layout.capacity_rows.astype(np.int32)
        room = capacity[self.layout.capacity_of]
        self._solver.changeRowsBounds(len(rows), rows, np.full(len(rows), -INFINITE), room)

    def _set_costs(self, path: int, month: int) -> None:
        costs = month_costs(self.problem, self.layout, path, month)
        self._solver.changeColsCost(len(costs), self._columns, costs)

    def _solve(self, path: int, month: int, need: np.ndarray) -> tuple[float, np.ndarray]:
        solver, rows = self._solver, self._demand_rows
        solver.changeRowsBounds(len(rows), rows, need, self._endless)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise AIFactoryError(f"month {month}, path {path}: {solver.modelStatusToString(solver.getModelStatus())}")
        return solver.getObjectiveValue(), np.array(solver.getSolution().row_dual)

    @cached_property
    def _columns(self) -> np.ndarray:
        return np.arange(self.layout.matrix.shape[1], dtype=np.int32)

    @cached_property
    def _demand_rows(self) -> np.ndarray:
        return self.layout.demand_rows.astype(np.int32)

    @cached_property
    def _endless(self) -> np.ndarray:
        return np.full(len(self.layout.demand_rows), INFINITE)

    @cached_property
    def _solver(self) -> highspy.Highs:
        lay = self.layout
        rows, columns = lay.matrix.shape
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = columns, rows
        model.col_cost_, model.col_lower_, model.col_upper_ = np.zeros(columns), np.zeros(columns), lay.upper
        model.row_lower_, model.row_upper_ = np.full(rows, -INFINITE), np.full(rows, INFINITE)
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = (
            lay.matrix.indptr, lay.matrix.indices, lay.matrix.data,
        )  # fmt: skip
        solver = quiet_solver()
        solver.setOptionValue("presolve", "off")
        solver.passModel(model)
        return solver


class _Quiet(highspy.Highs):
    """Silent before anything is set up: the first set-up prints a banner, which would stand in a report."""

    def enableCallbacks(self) -> None:  # noqa: N802
        self.silent()
        super().enableCallbacks()


def quiet_solver() -> highspy.Highs:
    """A solver that prints nothing and uses one thread, so that results do not depend on the machine."""
    solver = _Quiet()
    solver.setOptionValue("threads", 1)
    return solver


def month_layout(problem: Problem) -> Layout:
    """Matrix of the programme of one month; the same in every month and path."""
    hours, rate = np.asarray(problem.block_hours, float), np.asarray(problem.rate, float)
    (w_count, p_count), k_count = rate.shape, len(hours)
    cells = np.argwhere(rate > 0)
    patient = cells[np.asarray(problem.deferrable, bool)[cells[:, 0]]]
    widths = [len(cells), p_count, len(patient), w_count, w_count]
    starts = np.cumsum([0, *widths]) * k_count
    held, on_demand, spot, api, miss = (slice(int(a), int(b)) for a, b in pairwise(starts))
    entries, demand_of, row = [], [], 0
    for w in range(w_count):
        for group in [range(k_count)] if problem.deferrable[w] else [[k] for k in range(k_count)]:
            weight = hours if problem.deferrable[w] else np.ones(k_count)
            mine = [
                (start.start + c * k_count + k, weight[k] * rate[w, p])
                for start, of in ((held, cells), (spot, patient))
                for c, (cw, p) in enumerate(of) if cw == w for k in group
            ]  # fmt: skip
            mine += [(part.start + w * k_count + k, weight[k]) for part in (api, miss) for k in group]
            most = max(value for _, value in mine)
            entries += [(row, column, value / most) for column, value in mine]
            need = np.zeros(w_count * k_count)
            need[[w * k_count + k for k in group]] = weight[list(group)] / most
            demand_of.append(need)
            row += 1
    demand_rows = np.arange(row)
    for p in range(p_count):
        for k in range(k_count):
            entries += [(row, c * k_count + k, 1.0) for c, (_, cp) in enumerate(cells) if cp == p]
            entries.append((row, on_demand.start + p * k_count + k, -1.0))
            row += 1
    upper = np.full(int(starts[-1]), INFINITE)
    upper[on_demand] = np.repeat(np.minimum(problem.on_demand_most, INFINITE), k_count)
    at, of, value = (np.array(part) for part in zip(*entries, strict=True))
    matrix = sparse.csr_matrix((value, (at.astype(int), of.astype(int))), shape=(row, int(starts[-1])))
    return Layout(
        matrix, demand_rows, np.array(demand_of), np.arange(len(demand_rows), row),
        np.repeat(np.arange(p_count), k_count), upper, on_demand, spot, patient[:, 1], api, miss,
    )  # fmt: skip


def month_costs(problem: Problem, layout: Layout, path: int, month: int) -> np.ndarray:
    """Costs of the columns in a month; what is not offered costs more than missing the demand."""
    hours = np.asarray(problem.block_hours, float)
    costs = np.zeros(layout.matrix.shape[1])

    def spread(prices: np.ndarray) -> np.ndarray:
        at = prices[path, month] if np.ndim(prices) == 3 else prices[month]
        return np.outer(np.where(np.isfinite(at), at, _never(problem)), hours).ravel()

    costs[layout.on_demand] = spread(problem.on_demand_usd)
    with np.errstate(divide="ignore"):
        costs[layout.spot] = spread((problem.spot_usd / problem.spot_share)[..., layout.spot_of])
    costs[layout.api] = spread(problem.api_usd)
    costs[layout.miss] = np.outer(problem.miss_usd, hours).ravel()
    return costs


def _never(problem: Problem) -> float:
    """A price at which missing the demand is always cheaper."""
    return 10.0 * float(np.max(problem.miss_usd)) * max(float(np.max(problem.rate)), 1.0) + 1.0
