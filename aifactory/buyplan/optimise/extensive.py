"""The whole problem as one mixed-integer programme: the oracle for small cases, and the peer of the decomposition."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.recourse import INFINITE, Layout, month_costs, month_layout, quiet_solver
from aifactory.buyplan.optimise.reference import reference_usd
from aifactory.errors import AIFactoryError

HAS_SOLUTION = 2


@dataclass(frozen=True)
class ExtensiveResult:
    """Nodes and ports [N + G], objective and proven bound in USD, seconds are the caller's to take."""

    nodes: np.ndarray
    objective_usd: float
    bound_usd: float

    @property
    def gap(self) -> float:
        """Proven distance from the optimum, share of the objective."""
        return gap_of(self.objective_usd, self.bound_usd)


def gap_of(objective_usd: float, bound_usd: float) -> float:
    """(objective - bound) / objective; 0 where both are 0.

    >>> gap_of(200.0, 199.0)
    0.005
    """
    return (objective_usd - bound_usd) / abs(objective_usd) if objective_usd else 0.0


def solve_extensive(
    problem: Problem, *, gap: float = 0.005, time_limit_s: float = 60.0, integer: bool = True
) -> ExtensiveResult:
    """Solve all paths at once.

    Columns: nodes, minimum-order switches, then the programme of every path and month, then the tail: its
    threshold and the excess of each path (Rockafellar and Uryasev 2000).

    Raises
    ------
    AIFactoryError
        No plan was found within the time.
    """
    model, columns = _model(problem, integer)
    solver = quiet_solver()
    solver.setOptionValue("time_limit", float(time_limit_s))
    solver.setOptionValue("mip_rel_gap", float(gap))
    solver.passModel(model)
    solver.run_whole()
    info, status = solver.getInfo(), solver.getModelStatus()
    if info.primal_solution_status != HAS_SOLUTION:
        raise AIFactoryError(f"no plan within {time_limit_s:g} s: {solver.modelStatusToString(status)}")
    objective = info.objective_function_value
    bound = info.mip_dual_bound if integer else objective
    return ExtensiveResult(np.array(solver.getSolution().col_value)[:columns], objective, bound)


def order_rows(problem: Problem) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray, np.ndarray]:
    """Rows on nodes, ports and switches: limits, and minimum orders; (matrix, lower, upper, orders with a switch)."""
    limits, bounds, _ = problem.limits()
    count = len(problem.orders) + len(problem.ports)
    switched = np.array([i for i, (option, _) in enumerate(problem.orders) if option.minimum_nodes > 1], dtype=int)
    most = largest_orders(problem)
    beside = len(problem.ports) + len(switched)
    rows = [sparse.hstack([sparse.csr_matrix(limits), sparse.csr_matrix((len(limits), beside))])]
    lower, upper = [np.full(len(limits), -INFINITE)], [bounds]
    if len(switched):
        pick = sparse.csr_matrix((np.ones(len(switched)), (np.arange(len(switched)), switched)), (len(switched), count))
        least = np.array([problem.orders[i][0].minimum_nodes for i in switched], dtype=float)
        for sign, switch in ((1.0, -most[switched]), (-1.0, least)):
            rows.append(sparse.hstack([sign * pick, sparse.diags(switch)]))
            lower.append(np.full(len(switched), -INFINITE))
            upper.append(np.zeros(len(switched)))
    return sparse.vstack(rows).tocsr(), np.concatenate(lower), np.concatenate(upper), switched


def largest_orders(problem: Problem) -> np.ndarray:
    """[N] nodes beyond which an order has no use: the platform alone would serve the largest demand of any path, its floor or its widest job."""
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(problem.rate > 0, problem.demand.max(axis=(0, 1, 3))[:, None] / problem.rate, 0.0)
    floor = np.max(problem.floor, axis=0) if np.size(problem.floor) else 0.0
    most = np.ceil(np.maximum(each.sum(axis=0) + problem.widest, floor) / problem.node_size) + 1
    least = np.array([option.minimum_nodes for option, _ in problem.orders], dtype=float)
    return np.maximum([most[option.platform] for option, _ in problem.orders], least)


def _model(problem: Problem, integer: bool) -> tuple[highspy.HighsLp, int]:
    lay, discount = month_layout(problem), problem.discount
    count, first = len(problem.orders) + len(problem.ports), order_rows(problem)
    switches = len(first[3])
    paths, months, per = problem.paths, problem.months, lay.matrix.shape[1]
    lead, blocks = count + switches, paths * months
    total = lead + blocks * per + 1 + paths
    month_rows = _month_rows(problem, lay, lead, total)
    excess, excess_lower = _tail_rows(problem, lay, lead)
    top = sparse.hstack([first[0], sparse.csr_matrix((first[0].shape[0], total - lead))])
    matrix = sparse.vstack([top, month_rows[0], excess]).tocsr()
    weight = problem.risk_weight
    costs = [problem.plan_usd, np.zeros(switches)]
    costs += [
        (1 - weight) / paths * discount[month] * month_costs(problem, lay, path, month)
        for path in range(paths) for month in range(months)
    ]  # fmt: skip
    costs += [np.array([weight]), np.full(paths, weight / paths / (1 - problem.tail))]
    upper = np.concatenate(
        [
            largest_orders(problem),
            np.ones(len(problem.ports) + switches),
            np.tile(lay.upper, blocks),
            np.full(1 + paths, INFINITE),
        ]
    )
    lower = np.zeros(total)
    lower[lead + blocks * per] = -INFINITE
    row_lower = np.concatenate([first[1], month_rows[1], excess_lower])
    row_upper = np.concatenate([first[2], month_rows[2], np.full(len(excess_lower), INFINITE)])
    model = highspy.HighsLp()
    model.num_col_, model.num_row_, model.offset_ = (
        total,
        matrix.shape[0],
        weight * float(reference_usd(problem).mean()),
    )
    model.col_cost_, model.col_lower_, model.col_upper_ = np.concatenate(costs), lower, upper
    model.row_lower_, model.row_upper_ = row_lower, row_upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    if integer:
        kind = highspy.HighsVarType
        model.integrality_ = [kind.kInteger] * lead + [kind.kContinuous] * (total - lead)
    return model, count


def _month_rows(
    problem: Problem, lay: Layout, lead: int, total: int
) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Rows of the months of every path, with the nodes that lift their capacity."""
    paths, months = problem.paths, problem.months
    rows = lay.matrix.shape[0]
    count, blocks = len(problem.orders), []
    need = problem.demand.reshape(paths, months, -1) @ lay.demand_of.T
    for path in range(paths):
        for month in range(months):
            lift = np.zeros((rows, lead))
            lift[lay.capacity_rows, :count] = -problem.serves[month][lay.capacity_of]
            ready = problem.port_ready[month][lay.port_of]
            lift[lay.port_rows, count + lay.port_of] = -need[path, month, lay.port_demand] * ready
            blocks.append(sparse.csr_matrix(lift))
    own = sparse.kron(sparse.eye(paths * months), lay.matrix)
    matrix = sparse.hstack([sparse.vstack(blocks), own, sparse.csr_matrix((own.shape[0], total - lead - own.shape[1]))])
    lower, upper = (np.full((paths, months, rows), sign * INFINITE) for sign in (-1, 1))
    lower[:, :, lay.demand_rows] = need
    upper[:, :, lay.port_rows] = 0.0
    upper[:, :, lay.capacity_rows] = problem.owned[None][:, :, lay.capacity_of]
    return matrix.tocsr(), lower.ravel(), upper.ravel()


def _tail_rows(problem: Problem, lay: Layout, lead: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Threshold + excess of a path >= its recourse over its reference."""
    paths, months = problem.paths, problem.months
    body = [
        np.concatenate([problem.discount[month] * month_costs(problem, lay, path, month) for month in range(months)])
        for path in range(paths)
    ]
    recourse = sparse.block_diag([sparse.csr_matrix(-costs) for costs in body])
    beside = sparse.csr_matrix((paths, lead - len(problem.orders)))
    matrix = sparse.hstack([
        sparse.csr_matrix(-problem.order_swing), beside, recourse, sparse.csr_matrix(np.ones((paths, 1))), sparse.eye(paths),
    ])  # fmt: skip
    return matrix.tocsr(), -reference_usd(problem)
