"""The best plan of a world in a fraction of a second, where each platform can be planned for itself, with a bound.

Where recourse has a closed form, the cost of a platform in a month depends on its nodes n alone and is convex in them.
For given weights q of the paths the best plan is then a small programme

    min  sum_j price_j x_j - sum_{t, n} saved_{t, n}(q) u_{t, n}    s.t.  sum_n u_{t, n} <= nodes in service(x),  0 <= u <= 1

where saved_{t, n}(q) is what the n-th node saves in month t, and an order with a smallest size is 0 or at least that (semi-integer:
Land and Powell 1979). The objective of a plan is the largest of its
weighted costs over the weights that the tail mean allows (dual of CVaR), less what the references of the paths weigh, so each such programme bounds the best plan
from below, and each plan found is priced by the evaluator. Weights move towards those of the plan found;
where they are these already the plan is the best one up to the gap of a programme.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, linprog

from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.closed_form import ClosedFormRecourse, has_closed_form
from aifactory.buyplan.optimise.evaluate import PlanCost, evaluate_plan, path_weights, recourse_of
from aifactory.buyplan.optimise.extensive import largest_orders
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.silence import milp
from aifactory.buyplan.stress.world import World, after

#: Programmes of a search, and of one that is to find the best plan itself.
ROUNDS, CLOSE_ROUNDS = 4, 16
#: Weights of paths, which sum to one, that differ by less find the same plan.
SAME_WEIGHT = 1e-12
#: Gap that is asked of the decomposition where platforms cannot be planned one by one, and its limit.
GAP, TIME_LIMIT_S = 0.01, 60.0
#: Further nodes priced at once; how far from whole a count may be.
BATCH, WHOLE = 6, 1e-6
#: Kind of a column of `scipy.optimize.milp` that is 0 or a whole number between its bounds.
SEMI_INTEGER = 3
#: Gap of a programme in whole nodes where limits tie platforms, and the branches it may try; the bound reckons with both.
MIP_GAP, MIP_NODES = 3e-3, 500


@dataclass(frozen=True)
class Replanned:
    """A plan, its objective and a bound that no plan of whole nodes is below; what is sunk in a world is in neither."""

    nodes: np.ndarray
    objective_usd: float
    bound_usd: float


def replan(problem: World, start: np.ndarray, *, keep_before: int = 0, gap: float = GAP) -> Replanned:
    """Best plan of a world whose orders before a month are those of `start` [N]; never worse than `start`."""
    return Replanner(problem, start).best(keep_before, gap)


class Replanner:
    """Plans a world anew, from now or from any later month; what both need is computed once."""

    def __init__(self, problem: World, start: np.ndarray, mip_gap: float = MIP_GAP, rounds: int = ROUNDS) -> None:
        self.problem, self.start, self.mip_gap = problem, np.asarray(start, dtype=float), mip_gap
        self.rounds = rounds
        self.separable = has_closed_form(problem)
        self._recourse = recourse_of(problem)

    def best(self, keep_before: int = 0, gap: float = GAP, hold: np.ndarray | None = None) -> Replanned:
        """See `replan`; `hold` [N] says which orders stay as they are, beside those before `keep_before`.

        Holding needs platforms that can be planned one by one; the cost is infinite where no plan within the limits holds them.
        """
        if not self.problem.orders:
            usd = self._usd(self.start).objective_usd
            return Replanned(self.start, usd, usd)
        early = np.array([month < keep_before for _, month in self.problem.orders], dtype=bool)
        if self.separable:
            return self._by_weights(early if hold is None else early | hold, gap)
        return self._decomposed(keep_before, gap)

    def at_weights(self, weights: np.ndarray) -> tuple[np.ndarray, float]:
        """Best orders and their cost where the paths weigh [S]; for platforms that can be planned one by one."""
        if not self.problem.orders:
            usd = self._recourse.cost(self.problem.owned)[0] @ self.problem.discount[:-1]
            return self.start, float(weights @ usd)
        return self._programme.solve(weights, np.zeros(len(self.problem.orders), dtype=bool))

    def _by_weights(self, held: np.ndarray, gap: float) -> Replanned:
        p, best, best_usd, bound = self.problem, self.start, np.inf, -np.inf
        weights, trial = np.zeros(p.paths), self.start
        for number in range(self.rounds + 1):
            cost = self._usd(trial)
            if cost.objective_usd < best_usd:
                best, best_usd = trial, cost.objective_usd
            if number == self.rounds or best_usd - bound <= gap / 4 * abs(best_usd):
                break
            mine, found_by = path_weights(p, cost), weights
            weights = (weights * number + mine) / (number + 1)
            if np.abs(weights - found_by).max() < SAME_WEIGHT:
                break
            trial, below = self._programme.solve(weights, held)
            if np.isinf(below):
                return Replanned(self.start, np.inf, np.inf)
            reference = cost.reference_usd
            bound = max(bound, below + float(reference.mean() - weights @ reference))
        return Replanned(best, best_usd, bound)

    def _decomposed(self, keep_before: int, gap: float) -> Replanned:
        later = after(self.problem, self.start, keep_before) if keep_before else self.problem
        paid = later.sunk_usd - self.problem.sunk_usd
        found = optimise(later, gap=gap, time_limit_s=TIME_LIMIT_S)
        early = np.array([month < keep_before for _, month in self.problem.orders], dtype=bool)
        nodes = np.where(early, self.start, 0.0)
        nodes[~early] = found.nodes[: len(later.orders)]
        kept = self._usd(self.start).objective_usd
        usd = found.cost.objective_usd + paid
        best = (nodes, usd) if usd < kept else (self.start, kept)
        return Replanned(*best, found.bound_usd + paid)

    def _usd(self, nodes: np.ndarray) -> PlanCost:
        return evaluate_plan(self.problem, nodes, recourse=self._recourse)

    @cached_property
    def _programme(self) -> _Programme:
        return _Programme(self.problem, self.start, self.mip_gap)


class _Programme:
    """Orders and the nodes in use of every platform and month, for any weights of the paths."""

    def __init__(self, problem: World, start: np.ndarray, mip_gap: float) -> None:
        self.problem, self.start, self.mip_gap = problem, start, mip_gap
        self.base = recourse_of(problem).cost(problem.owned)[0] @ problem.discount[:-1]
        held = (problem.serves @ start).max(axis=0) / problem.node_size
        self.smallest = np.array([option.minimum_nodes for option, _ in problem.orders], dtype=float)
        self.largest = np.maximum(largest_orders(problem), self.start[: len(problem.orders)])
        for at in np.flatnonzero(self.smallest > 1):  # nodes that do not pay for themselves may come with an order
            platform = problem.orders[at][0].platform
            held[platform] = max(held[platform], self.largest[at])
        self.layers = [
            (platform, saved * problem.discount[:-1])
            for platform in range(problem.platforms)
            for saved in savings(problem, platform, int(np.ceil(held[platform])))
        ]
        self._build()

    def _build(self) -> None:
        """Rows: months of each platform with layers; columns: orders, then months of each layer."""
        p = self.problem
        months, orders = p.months, len(p.orders)
        size = np.asarray(p.node_size)
        used = sorted({platform for platform, _ in self.layers})
        row_of = {platform: at * months for at, platform in enumerate(used)}
        served = [p.serves[:, platform] / size[platform] for platform in used]
        lifts = -sparse.csr_matrix(np.concatenate(served)) if used else sparse.csr_matrix((0, orders))
        # A node that saves nothing on any path in a month is not used then.
        used_in = [(platform, np.flatnonzero(saved.max(axis=0) > 0)) for platform, saved in self.layers]
        at = np.concatenate([row_of[platform] + busy for platform, busy in used_in] or [np.zeros(0, int)])
        use = sparse.csr_matrix((np.ones(len(at)), (at, np.arange(len(at)))), (lifts.shape[0], len(at)))
        self.saved = np.concatenate([saved[:, busy] for (_, saved), (_, busy) in zip(self.layers, used_in, strict=True)]
                                    or [np.zeros((p.paths, 0))], axis=1)  # fmt: skip
        limits, bounds, _ = p.limits()
        beside = sparse.csr_matrix((len(limits), len(at)))
        rows = sparse.vstack([sparse.hstack([lifts, use]), sparse.hstack([sparse.csr_matrix(limits), beside])])
        self.rows = LinearConstraint(rows.tocsr(), -np.inf, np.append(np.zeros(lifts.shape[0]), bounds))
        self.whole = np.append(np.ones(orders), np.zeros(len(at)))
        self.layer_columns = len(at)
        # Row of each layer's month, and how many nodes of its platform come before it.
        self.lifts, self.row = lifts.shape[0], at
        counted: Counter[int] = Counter()
        before = []
        for platform, _ in self.layers:
            before.append(counted[platform])
            counted[platform] += 1
        self.number = np.repeat(before, [len(busy) for _, busy in used_in]).astype(int)

    def solve(self, weights: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, float]:
        """Best nodes for the weights [S], and their cost, which bounds every plan's that keeps the held orders [N]; infinite without one."""
        p = self.problem
        lower = np.append(np.where(held, self.start, 0.0), np.zeros(self.layer_columns))
        upper = np.append(np.where(held, self.start, np.inf), np.ones(self.layer_columns))
        costs = np.append(p.order_usd + weights @ p.order_swing, -(weights @ self.saved)) / 1e3
        # Without limits that tie platforms the rows are intervals of months: corners are whole, no branching is needed.
        facts = {"constraints": self.rows, "bounds": Bounds(lower, upper)}
        found = milp(costs, **facts, options={"presolve": False})
        nodes, usd = found.x, found.fun
        if nodes is None:  # no plan within the limits holds these orders
            return self.start, np.inf
        counts = nodes[: len(p.orders)]
        small = ~held & (counts > WHOLE) & (counts < self.smallest - WHOLE)
        if small.any() or np.abs(counts - np.round(counts)).max() > WHOLE:
            nodes, usd = self._whole(costs, found, lower, upper)
        return np.round(nodes[: len(p.orders)]), usd * 1e3 + float(weights @ self.base)

    def _whole(
        self, costs: np.ndarray, found: OptimizeResult, lower: np.ndarray, upper: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """Whole nodes and a bound: first of the whole numbers next to the programme's, of all where these are too dear."""
        orders = slice(len(self.problem.orders))
        low, high = lower.copy(), upper.copy()
        low[orders] = np.maximum(np.floor(found.x[orders] + WHOLE), lower[orders])
        high[orders] = np.minimum(np.ceil(found.x[orders] - WHOLE), upper[orders])
        free = (lower[orders] < upper[orders]) & (self.smallest > 1) & (high[orders] > 0)
        low[orders] = np.where(free & (low[orders] < self.smallest), 0.0, low[orders])
        high[orders] = np.where(free, np.maximum(high[orders], np.minimum(self.smallest, upper[orders])), high[orders])
        near = self._branch(costs, *self._in_service(low, high))
        if near.x is not None and near.fun - found.fun <= self.mip_gap * abs(found.fun):
            return near.x, found.fun
        if near.x is not None:
            lower, upper = self._worth_trying(costs, lower, upper, near.fun)
        best = self._branch(costs, lower, upper)
        plans = [plan for plan in (best, near) if plan.x is not None]
        if not plans:  # the plan that the search started from stands
            return self.start, found.fun
        bound = best.fun if best.mip_dual_bound is None else best.mip_dual_bound
        cheapest = min(plans, key=lambda plan: plan.fun)
        return cheapest.x, found.fun if best.x is None else min(bound, cheapest.fun)

    def _branch(self, costs: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> OptimizeResult:
        """Branch and bound between bounds of the columns, to the gap that is asked."""
        limits = {"mip_rel_gap": self.mip_gap, "node_limit": MIP_NODES}
        lower, upper, whole = self._all_or_none(lower, upper)
        facts = {"constraints": self.rows, "integrality": whole, "options": limits}
        return milp(costs, bounds=Bounds(lower, upper), **facts)

    def _all_or_none(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bounds and kinds of columns in which an order with a smallest size that is not held is none or at least that."""
        count = len(self.problem.orders)
        lower, upper, whole = lower.copy(), upper.copy(), self.whole.copy()
        free = np.flatnonzero((self.smallest > 1) & (lower[:count] < upper[:count]))
        most, least = np.minimum(upper[free], self.largest[free]), self.smallest[free]
        fits, must = most >= least, lower[free] > 0
        upper[free] = np.where(fits, most, np.where(must, upper[free], 0.0))
        lower[free] = np.where(fits, np.maximum(least, lower[free]), lower[free])
        whole[free[fits & ~must]] = SEMI_INTEGER
        return lower, upper, whole

    def _in_service(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds in which nodes are used that are there under any orders, and none that are there under no orders."""
        count = len(self.problem.orders)
        lifts = -self.rows.A[: self.lifts, :count]
        least, most = np.floor(lifts @ lower[:count] + WHOLE), np.ceil(lifts @ upper[:count] - WHOLE)
        low, high = lower.copy(), upper.copy()
        low[count:] = np.maximum(low[count:], self.number < least[self.row])
        high[count:] = np.minimum(high[count:], self.number < most[self.row])
        return low, high

    def _worth_trying(
        self, costs: np.ndarray, lower: np.ndarray, upper: np.ndarray, usd: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bounds within which every plan of whole nodes is that costs less than `usd`.

        A column away from its bound by one costs at least its reduced cost more than the programme (Dantzig, Fulkerson and
        Johnson 1954). Nodes in use are whole where orders are, and the next one is used after those before it: it costs
        what all of them cost, and giving one up what all after it save.
        """
        facts = {"A_ub": self.rows.A, "b_ub": self.rows.ub, "bounds": np.column_stack([lower, upper])}
        found = linprog(costs, **facts, method="highs-ds", options={"presolve": False})
        more, less, count = found.lower.marginals, -found.upper.marginals, len(self.problem.orders)
        more[count:], less[count:] = self._so_far(more[count:], 1), self._so_far(less[count:], -1)
        room = max(usd - found.fun, 0.0) + WHOLE
        most, down = _steps(room, more), _steps(room, less)
        least = np.subtract(upper, down, out=lower.copy(), where=np.isfinite(upper) & np.isfinite(down))
        return self._in_service(np.maximum(lower, least), np.minimum(upper, lower + most))

    def _so_far(self, usd: np.ndarray, way: int) -> np.ndarray:
        """Sums over the nodes of a platform in a month up to each layer, from the first on or (-1) from the last back."""
        table = np.zeros((self.lifts, self.number.max(initial=0) + 1))
        table[self.row, self.number] = usd
        return table[:, ::way].cumsum(axis=1)[:, ::way][self.row, self.number]


def _steps(room_usd: float, price_usd: np.ndarray) -> np.ndarray:
    """Whole steps at a price each that there is room for; infinite where they cost nothing."""
    return np.floor(np.divide(room_usd, price_usd, out=np.full_like(price_usd, np.inf), where=price_usd > 0) + WHOLE)


def savings(problem: World, platform: int, least_nodes: int = 0) -> Iterator[np.ndarray]:
    """[S, T] USD that each further node of a platform saves, until one cannot pay for itself under any weights."""
    mine = np.array([option.platform == platform for option, _ in problem.orders], dtype=bool)
    if not mine.any():
        return
    least, size = problem.order_usd[mine].min(), float(problem.node_size[platform])
    works = np.asarray(problem.working)[:, platform]
    heaviest = (1 - problem.risk_weight) + problem.risk_weight / (1 - problem.tail)
    recourse = ClosedFormRecourse(copies(problem, platform, BATCH + 1))
    for first in count(0, BATCH):
        capacity = problem.owned[:, [platform]] + size * np.arange(first, first + BATCH + 1)
        saved = -np.diff(recourse.of_platforms(capacity), axis=2) / size * size * works[:, None]
        worth = heaviest * (saved.mean(axis=0).T @ problem.discount[:-1])
        for nodes in range(BATCH):
            if first + nodes >= least_nodes and (worth[nodes] <= least or worth[nodes] <= 0):
                return
            yield saved[:, :, nodes]


def copies(problem: Problem, platform: int, number: int) -> Problem:
    """The work of one platform alone, on several copies of it: one evaluation prices as many sizes of its fleet."""
    streams, one = np.flatnonzero(problem.rate[:, platform] > 0), [platform] * number
    plain = Problem(
        demand=problem.demand[:, :, streams], block_hours=problem.block_hours, rate=problem.rate[np.ix_(streams, one)],
        deferrable=np.asarray(problem.deferrable)[streams], interruptible=problem.may_be_interrupted[streams], node_size=np.asarray(problem.node_size)[one], options=(),
        on_demand_usd=np.asarray(problem.on_demand_usd)[..., one], spot_usd=np.asarray(problem.spot_usd)[..., one],
        api_usd=np.asarray(problem.api_usd)[..., streams], miss_usd=np.asarray(problem.miss_usd)[streams],
        owned=np.asarray(problem.owned)[:, one], on_demand_most=np.asarray(problem.on_demand_most)[one],
        spot_share=np.asarray(problem.spot_share)[one], kw=np.asarray(problem.kw)[one],
        around_usd=problem.around_usd[one], widths=problem.widths.take(streams),
    )  # fmt: skip
    return replace(plain, wacc=problem.wacc, risk_weight=problem.risk_weight, tail=problem.tail)
