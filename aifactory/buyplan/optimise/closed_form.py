"""Recourse in closed form where every workload has one platform: no programme is needed.

An accelerator-hour of workload w that the fleet does not serve costs the least of what it may do instead,

    c_w = min(hour on demand, hour on spot over its share where w may be interrupted, hosted model, missed demand).

The fleet serves the dearest work first. With the work of a platform in order of c, A_i the live load of the i dearest by
block k of h_k hours, D_i their deferrable accelerator-hours of the month and C the capacity, the cost is

    sum_i (c_i - c_{i+1}) U_i,    U_i = sum_k h_k max(A_ik - C, 0) + max(D_i - sum_k h_k max(C - A_ik, 0), 0)

since what is left unserved of the i dearest is U_i whatever else there is (serving is a transversal matroid, for which
the greedy choice is best). Deferrable work takes the hours that live work leaves free. Jobs wider than what is free on average
take it only while they run (`aifactory.fleet.widths`): with F_i(r) the accelerator-hours of the i dearest that are done beyond a
room of r accelerators, and h the hours of the month,

    U_i = sum_k h_k max(A_ik - C, 0) + max(D_i - I_i, F_i(I_i / h)),    I_i = sum_k h_k max(C - A_ik, 0)
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.reference import instead_usd, reference_usd

TOLERANCE = 1e-9
Loads = tuple[np.ndarray, np.ndarray, np.ndarray]


def has_closed_form(problem: Problem) -> bool:
    """Whether each workload has one platform, and hours on demand are unlimited or none."""
    unlimited = np.isin(problem.on_demand_most, (0.0, np.inf)).all()
    return bool(not problem.ports and ((problem.rate > 0).sum(axis=1) == 1).all() and unlimited)


class ClosedFormRecourse:
    """As `Recourse`, for problems with `has_closed_form`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        rate = np.asarray(problem.rate, dtype=float)
        self._per_unit = np.where(rate > 0, 1.0 / np.where(rate > 0, rate, 1.0), 0.0)
        self._wide = np.flatnonzero(problem.widths.known & np.asarray(problem.deferrable, bool))
        self._wide_jobs = problem.widths.take(self._wide)
        self._classes()

    def _classes(self) -> None:
        """Work of a platform at one price is one class: its members [W, P, M], prices [.., T, P, M] and their falls."""
        rate, usd = np.asarray(self.problem.rate), instead_usd(self.problem)
        groups = [_alike(usd[..., p], np.flatnonzero(rate[:, p] > 0)) for p in range(rate.shape[1])]
        width = max((len(group) for group in groups), default=1)
        member = np.zeros((*rate.shape, width))
        prices = np.zeros((*usd.shape[:-2], rate.shape[1], width))
        for p, group in enumerate(groups):
            for at, workloads in enumerate(group):
                member[workloads, p, at] = self._per_unit[workloads, p]
                prices[..., p, at] = usd[..., workloads[0], p]
        order = np.argsort(-prices, axis=-1, kind="stable")
        sorted_usd = np.take_along_axis(prices, order, axis=-1)
        # [..., T, P, M] what an unserved hour of the i dearest classes costs beyond the next one.
        self._fall = sorted_usd - np.concatenate([sorted_usd[..., 1:], np.zeros_like(sorted_usd[..., :1])], axis=-1)
        still = (order == np.arange(width)).all()
        self._member, self._order = member, None if still else order if order.ndim == 4 else order[None]
        reach = np.moveaxis(member[self._wide], 0, -1)[None, None]  # [1, 1, P, M, V]
        if self._order is not None:
            at = np.broadcast_to(self._order[..., None], (*self._order.shape, len(self._wide)))
            reach = np.take_along_axis(np.broadcast_to(reach, at.shape), at, axis=3)
        self._wide_reach = reach.cumsum(axis=3)

    def _loads(self, demand: np.ndarray) -> Loads:
        """Live load [S, T, P, M, K] and deferrable hours [S, T, P, M] of the dearest classes, one after the other; hours of wide work [S, T, V]."""
        patient = np.asarray(self.problem.deferrable, bool)
        live = np.einsum("stwk,wpm->stpmk", demand[:, :, ~patient], self._member[~patient], optimize=True)
        hours = demand[:, :, patient] @ self.problem.block_hours
        wait = np.einsum("stw,wpm->stpm", hours, self._member[patient], optimize=True)
        if self._order is not None:
            order = np.broadcast_to(self._order, wait.shape)
            live = np.take_along_axis(live, order[..., None], axis=3)
            wait = np.take_along_axis(wait, order, axis=3)
        return live.cumsum(axis=3), wait.cumsum(axis=3), demand[:, :, self._wide] @ self.problem.block_hours

    @cached_property
    def reference_usd(self) -> np.ndarray:
        """[S] what the problem's own paths cost about, were they known."""
        return reference_usd(self.problem)

    @cached_property
    def _own(self) -> Loads:
        return self._loads(self.problem.demand)

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
        loads = self._own if demand is None else self._loads(demand)
        nodes = (capacity - p.owned) / p.node_size
        whole = np.floor(nodes + TOLERANCE)
        here, following = (self._usd(*loads, p.owned + p.node_size * count) for count in (whole, whole + 1))
        step = following - here
        return (here + np.clip(nodes - whole, 0.0, 1.0) * step).sum(axis=2), step / p.node_size

    def of_platforms(self, capacity: np.ndarray) -> np.ndarray:
        """Cost of each platform [S, T, P] at a capacity [T, P] of whole nodes."""
        return self._usd(*self._own, capacity)

    def unserved_hours(self, capacity: np.ndarray) -> np.ndarray:
        """[S, T, W] accelerator-hours a month of each workload that the fleet does not serve, by its greedy choice.

        Workloads of a platform at one price share what their class lacks by their work.
        """
        p = self.problem
        lacks = np.diff(self._unserved(*self._own, capacity), axis=3, prepend=0.0)
        if self._order is not None:
            lacks = np.take_along_axis(lacks, np.argsort(np.broadcast_to(self._order, lacks.shape), axis=3), axis=3)
        work = np.einsum("stw,wpm->stwpm", p.demand @ p.block_hours, self._member, optimize=True)
        total = work.sum(axis=2, keepdims=True)
        return (work / np.where(total > 0, total, 1.0) * lacks[:, :, None]).sum(axis=(3, 4))

    def _usd(self, live: np.ndarray, wait: np.ndarray, wide: np.ndarray, capacity: np.ndarray) -> np.ndarray:
        """Cost [S, T, P] of loads as of `_loads`."""
        return np.sum(self._fall * self._unserved(live, wait, wide, capacity), axis=-1)

    def _unserved(self, live: np.ndarray, wait: np.ndarray, wide: np.ndarray, capacity: np.ndarray) -> np.ndarray:
        """Accelerator-hours U_i [S, T, P, M] that a capacity [T, P] leaves of loads as of `_loads`."""
        over = live - capacity[None, :, :, None, None]
        above = np.maximum(over, 0.0)
        short = above @ self.problem.block_hours
        if not wait.any():  # all work is live: nothing is left for idle hours
            return short
        idle = np.subtract(above, over, out=over) @ self.problem.block_hours
        left = np.maximum(wait - idle, 0.0)
        if len(self._wide):
            beyond = self._wide_jobs.beyond(idle / np.sum(self.problem.block_hours))
            left = np.maximum(left, np.einsum("stv,stpmv,stpmv->stpm", wide, beyond, self._wide_reach, optimize=True))
        return short + left


def _alike(usd: np.ndarray, workloads: np.ndarray) -> list[np.ndarray]:
    """Workloads of a platform grouped by their price [..., W], the dearest on average first."""
    found: dict[bytes, list[int]] = {}
    for w in workloads:
        found.setdefault(np.ascontiguousarray(usd[..., w]).tobytes(), []).append(int(w))
    groups = [np.array(group) for group in found.values()]
    return sorted(groups, key=lambda group: -float(np.mean(usd[..., group[0]])))
