"""Recourse in closed form where every workload has one platform: no programme is needed.

Per platform with capacity C, live load L_k in block k of h_k hours and D accelerator-hours of deferrable work:

    live      sum_k h_k p max(L_k - C, 0)                p: on demand where offered, else the penalty
    deferred  q max(D - sum_k h_k max(C - L_k, 0), 0)    q: the cheaper of spot (over its share) and p

Deferrable work takes the hours that live work leaves free and rents the rest; it never displaces live work.
"""

from __future__ import annotations

import numpy as np

from aifactory.buyplan.optimise.problem import Problem

TOLERANCE = 1e-9


def has_closed_form(problem: Problem) -> bool:
    """Whether each workload has one platform, hours on demand are unlimited or none, and nothing goes to a hosted model."""
    if problem.ports:
        return False
    unlimited = np.isin(problem.on_demand_most, (0.0, np.inf)).all()
    penalties = _penalty(problem)
    equal = all(len(np.unique(row[np.isfinite(row)])) <= 1 for row in penalties.T)
    return bool(((problem.rate > 0).sum(axis=1) == 1).all() and unlimited and np.isinf(problem.api_usd).all() and equal)


class ClosedFormRecourse:
    """As `Recourse`, for problems with `has_closed_form`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        own = problem.rate > 0
        self._per_unit = np.where(own, 1.0 / np.where(own, problem.rate, 1.0), 0.0)
        penalty = np.where(np.isfinite(_penalty(problem)), _penalty(problem), 0.0).max(axis=0)
        offered = np.isfinite(problem.on_demand_usd) & (problem.on_demand_most > 0)
        self._live = np.where(offered, np.minimum(problem.on_demand_usd, penalty), penalty)
        with np.errstate(divide="ignore"):
            spot = problem.spot_usd / problem.spot_share
        self._deferred = np.minimum(self._live, spot)

    def cost(
        self,
        capacity: np.ndarray,
        demand: np.ndarray | None = None,
        ported: np.ndarray | None = None,  # noqa: ARG002
        solves: int | None = None,  # noqa: ARG002
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Recourse.cost`; nothing is ported here; between whole nodes the cost is interpolated, and the slope is that of the next node.

        Interpolation is exact for whole nodes and convex, and above the true cost in between: bounds made with it hold
        for plans of whole nodes and are tighter.
        """
        p = self.problem
        demand = p.demand if demand is None else demand
        patient = np.asarray(p.deferrable, bool)
        load = self._per_unit[~patient].T @ demand[:, :, ~patient]
        wait = (demand[:, :, patient] @ p.block_hours) @ self._per_unit[patient]
        nodes = (capacity - p.owned) / p.node_size
        whole = np.floor(nodes + TOLERANCE)
        here, following = (self._usd(load, wait, p.owned + p.node_size * count) for count in (whole, whole + 1))
        step = following - here
        return (here + np.clip(nodes - whole, 0.0, 1.0) * step).sum(axis=2), step / p.node_size

    def _usd(self, load: np.ndarray, wait: np.ndarray, capacity: np.ndarray) -> np.ndarray:
        """Cost [S, T, P] of live load [S, T, P, K] and deferrable hours [S, T, P]."""
        over = load - capacity[None, :, :, None]
        short = np.maximum(over, 0.0) @ self.problem.block_hours
        idle = np.maximum(-over, 0.0) @ self.problem.block_hours
        return self._live * short + self._deferred * np.maximum(wait - idle, 0.0)


def _penalty(problem: Problem) -> np.ndarray:
    """[W, P] USD of an accelerator-hour of a workload that is missed; infinite elsewhere."""
    return np.where(problem.rate > 0, problem.rate * problem.miss_usd[:, None], np.inf)
