"""Two-stage decisions under uncertainty: what is signed now, and what can be bought when demand is known.

Reference: Birge and Louveaux, Introduction to Stochastic Programming, chapter 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog


@dataclass(frozen=True)
class TwoStage:
    """Minimise c x + E[q y] with A x <= b, T_s x + W_s y <= h_s, x, y >= 0, in state s with chance p_s."""

    cost: np.ndarray  # [X]
    limits: np.ndarray  # [R, X]
    bounds: np.ndarray  # [R]
    probs: np.ndarray  # [S]
    recourse_cost: np.ndarray  # [Y]
    technology: np.ndarray  # [S, M, X]
    recourse: np.ndarray  # [M, Y]
    right: np.ndarray  # [S, M]


@dataclass(frozen=True)
class StochasticValues:
    """Costs of deciding in three states of knowledge.

    `recourse` plans for all states at once, `wait_and_see` knows the state before signing,
    `mean_plan` is the plan for the average state, met with every state.
    """

    recourse: float
    wait_and_see: float
    mean_plan: float

    @property
    def evpi(self) -> float:
        """Expected value of perfect information."""
        return self.recourse - self.wait_and_see

    @property
    def vss(self) -> float:
        """Value of planning for all states instead of for their average."""
        return self.mean_plan - self.recourse


def stochastic_values(problem: TwoStage) -> StochasticValues:
    """Solve a two-stage problem with recourse, with perfect knowledge, and by its average state."""
    chance = problem.probs
    states = range(chance.size)
    together = _solve(problem, problem.technology, problem.right, chance)[0]
    alone = [_solve(problem, problem.technology[[s]], problem.right[[s]], np.ones(1))[0] for s in states]
    mean = (np.tensordot(chance, problem.technology, 1)[None], (chance @ problem.right)[None])
    plan = _solve(problem, *mean, np.ones(1))[1]
    met = _solve(problem, problem.technology, problem.right, chance, fixed=plan)[0]
    return StochasticValues(together, float(chance @ np.array(alone)), met)


def _solve(
    problem: TwoStage, technology: np.ndarray, right: np.ndarray, chance: np.ndarray, fixed: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Cost and first stage of the extensive form."""
    first, second = problem.cost.size, problem.recourse_cost.size
    cost = np.concatenate([problem.cost, (chance[:, None] * problem.recourse_cost).ravel()])
    columns = first + second * chance.size
    rows = [np.hstack([problem.limits, np.zeros((len(problem.limits), columns - first))])]
    for state, matrix in enumerate(technology):
        block = np.zeros((len(matrix), columns))
        block[:, :first] = matrix
        block[:, first + state * second : first + (state + 1) * second] = problem.recourse
        rows.append(block)
    bounds = [(0, None)] * columns
    if fixed is not None:
        bounds[:first] = [(value, value) for value in fixed]
    found = linprog(cost, np.vstack(rows), np.concatenate([problem.bounds, right.ravel()]), bounds=bounds)
    if not found.success:
        msg = f"the problem has no solution: {found.message}"
        raise ValueError(msg)
    return float(found.fun), found.x[:first]


def farmer(
    acres: float,
    yields: ArrayLike,
    plant: ArrayLike,
    sell: ArrayLike,
    buy: ArrayLike,
    need: ArrayLike,
    *,
    quota: float,
    over_quota_price: float,
    spread: float = 0.2,
) -> TwoStage:
    """Return the farmer problem: land for wheat, corn and beets before the yield of the year is known.

    Yields per acre vary by 1 - spread, 1, 1 + spread with equal chances. Wheat and corn are needed
    as feed and can be bought; beets beyond the quota sell at a low price.

    >>> crops = dict(yields=[2.5, 3, 20], plant=[150, 230, 260], sell=[170, 150, 36], buy=[238, 210], need=[200, 240])
    >>> values = stochastic_values(farmer(500, quota=6000, over_quota_price=10, **crops))
    >>> round(values.recourse), round(values.evpi, 2), round(values.vss)
    (-108390, 7015.56, 1150)
    """
    harvest = np.asarray(yields, dtype=float)
    states = np.array([1.0 - spread, 1.0, 1.0 + spread])
    sold, bought = np.asarray(sell, dtype=float), np.asarray(buy, dtype=float)
    # y: bought wheat, bought corn, sold wheat, sold corn, sold beets, beets beyond the quota
    recourse = np.array([[-1, 0, 1, 0, 0, 0], [0, -1, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 0]], dtype=float)
    grown = np.vstack([np.diag(-harvest), np.zeros(3)])
    limit = np.array([*(-np.asarray(need, dtype=float)), 0.0, quota])
    return TwoStage(
        cost=np.asarray(plant, dtype=float),
        limits=np.ones((1, 3)),
        bounds=np.array([acres], dtype=float),
        probs=np.full(3, 1 / 3),
        recourse_cost=np.array([*bought, *-sold, -over_quota_price]),
        technology=states[:, None, None] * grown,
        recourse=recourse,
        right=np.tile(limit, (3, 1)),
    )
