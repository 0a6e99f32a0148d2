"""What demand would cost if each path were known beforehand: a bound that no plan can beat.

Of a known path, node n of a platform that is not committed in a month costs the step of the recourse from n - 1 to n
nodes; steps never rise with n. The best orders are those of the linear programme

    min  order_usd x + sum step u    s.t.  nodes in service + sum_n u >= nodes of any use,  0 <= u <= 1,  limits on x

whose optimum is whole where no limit binds (each order serves consecutive months), and a lower bound elsewhere.
"""

from __future__ import annotations

from itertools import count

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from aifactory.buyplan.optimise.closed_form import ClosedFormRecourse
from aifactory.buyplan.optimise.extensive import largest_orders
from aifactory.buyplan.optimise.problem import Problem
from aifactory.errors import AIFactoryError

#: Steps below this are no use, USD.
LEAST_USD = 1e-6


def known_path_usd(problem: Problem) -> float:
    """Bound on the cost of the one path of a problem in closed form, were it known, present value in USD."""
    steps, rest = _steps(problem)
    orders, (_, months, platforms) = len(problem.orders), steps.shape
    useful = np.flatnonzero(steps.ravel() > LEAST_USD)
    cell = useful % (months * platforms)
    wanted = np.bincount(cell, minlength=months * platforms).astype(float)
    in_service = (problem.serves / problem.node_size[:, None]).reshape(months * platforms, orders)
    rows = np.flatnonzero(wanted > 0)
    rented = sparse.csr_matrix(
        (np.ones(len(useful)), (cell, np.arange(len(useful)))), (months * platforms, len(useful))
    )
    cover = sparse.hstack([sparse.csr_matrix(in_service), rented]).tocsr()[rows]
    matrix, bound, names = problem.limits()
    limits = sparse.hstack([sparse.csr_matrix(matrix), sparse.csr_matrix((len(names), len(useful)))])
    found = linprog(
        np.r_[problem.order_usd, steps.ravel()[useful]],
        sparse.vstack([-cover, limits]).tocsr(), np.r_[-wanted[rows], bound],
        bounds=np.column_stack([np.zeros(orders + len(useful)), np.r_[largest_orders(problem), np.ones(len(useful))]]),
        method="highs",
    )  # fmt: skip
    if found.status != 0:
        raise AIFactoryError(f"foresight: {found.message}")
    return float(found.fun + rest)


def _steps(problem: Problem) -> tuple[np.ndarray, float]:
    """Discounted saving of each further node, [nodes, T, P], and what is left when no node saves any more."""
    recourse, discount = ClosedFormRecourse(problem), problem.discount[:-1]
    found, here = [], recourse.of_platforms(problem.owned.astype(float))[0]
    for nodes in count(1):
        following = recourse.of_platforms(problem.owned + problem.node_size * nodes)[0]
        step = (here - following) * discount[:, None]
        if not (step > LEAST_USD).any():
            break
        found.append(step)
        here = following
    return np.array(found).reshape(-1, *step.shape), float(here.sum(axis=1) @ discount)
