"""Which ports to make: branch and bound over the ports alone, on the cuts of the decomposition.

A node of the search holds some ports made or left and lets the others lie between. Its bound is the master's continuous
programme, which takes hundredths of a second; cuts are made at its points and hold everywhere, so that the search
and the cuts tighten each other. The port to branch on is the one whose two sides raise the bound most (strong branching,
product rule). Choices of ports are rounded from the points and priced with nodes that need not be whole.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from aifactory.buyplan.optimise.evaluate import Evaluator, evaluate_with_slopes
from aifactory.buyplan.optimise.master import Master
from aifactory.buyplan.optimise.problem import Problem

#: Cuts at a node while each raises its bound by this share; the weight of the node's point in the first of them.
CUTS, RISE, STEP = 2, 3e-4, 0.7
#: Ports that are tried at a node, and how far from whole a port must be to be one of them.
TRIED, BETWEEN = 8, 0.02
WHOLE = 1e-6
#: Visits of a node whose ports are whole.
VISITS = 6
ROUNDED = (0.5, 0.3)


@dataclass(order=True)
class _Node:
    bound_usd: float
    number: int
    lower: np.ndarray = field(compare=False)
    upper: np.ndarray = field(compare=False)
    visits: int = field(default=0, compare=False)


class PortSearch:
    """The search, which can be taken up again where it stopped.

    Attributes
    ----------
    best, best_usd : ports of the cheapest choice so far [G], its plan and cost with nodes that need not be whole.
    bound_usd : no plan costs less.
    """

    def __init__(self, problem: Problem, master: Master, center: np.ndarray, recourse: Evaluator, solves: int) -> None:
        self.problem, self.master, self.recourse, self.solves = problem, master, recourse, solves
        self.first, ports = len(problem.orders), len(problem.ports)
        self.center, self.best, self.best_usd = center, center, np.inf
        self._number, self._priced, self._left_usd = count(), set(), np.inf
        self._open = [_Node(-np.inf, next(self._number), np.zeros(ports), np.ones(ports))]

    @property
    def bound_usd(self) -> float:
        """The least bound of what is open, or left with its bound."""
        return min(self._left_usd, self.best_usd, *(node.bound_usd for node in self._open[:1]))

    def run(self, gap: float, whole_usd: float, end: float) -> None:
        """Search until no plan costs less than (1 - gap) times the best one, in whole nodes (`whole_usd`) where known."""
        while self._open and time.monotonic() < end:
            known = self.best_usd if np.isinf(whole_usd) else whole_usd
            if self.bound_usd >= (1 - gap) * known:
                break
            self._visit(heapq.heappop(self._open), end)
        self.master.free_ports()

    def _visit(self, node: _Node, end: float) -> None:
        plan, bound = self._solve(node, end)
        for at in range(CUTS):
            if bound >= self.best_usd:
                return
            held = np.clip(self.center[self.first :], node.lower, node.upper)
            inside = np.concatenate([self.center[: self.first], held])
            self._cut(plan if at else STEP * plan + (1 - STEP) * inside)
            plan, better = self._solve(node, end)
            rise, bound = better - bound, max(better, bound)
            if rise < RISE * abs(bound):
                break
        ports = plan[self.first :]
        for share in ROUNDED:
            self._price(np.where(ports > share, 1.0, 0.0), end)
        if np.minimum(ports, 1 - ports).max() < WHOLE:
            self._again(node, bound)
        else:
            self._branch(node, bound, ports, end)

    def _again(self, node: _Node, bound: float) -> None:
        """A node whose ports are whole: cuts raise its bound to its cost; after some of them it is left with its bound."""
        node.bound_usd, node.visits = bound, node.visits + 1
        if node.visits < VISITS:
            heapq.heappush(self._open, node)
        else:
            self._left_usd = min(self._left_usd, bound)

    def _branch(self, node: _Node, bound: float, ports: np.ndarray, end: float) -> None:
        away = np.minimum(ports, 1 - ports)
        tried = [int(port) for port in np.argsort(-away, kind="stable")[:TRIED] if away[port] > BETWEEN] or [
            int(away.argmax())
        ]
        sides = [
            [max(self._solve(_fixed(node, port, value), end)[1], bound) for value in (0.0, 1.0)] for port in tried
        ]  # fmt: skip
        least = WHOLE * abs(bound)
        worth = [max(low - bound, least) * max(high - bound, least) for low, high in sides]
        at = int(np.argmax(worth))
        self._split(node, tried[at], (sides[at][0], sides[at][1]))

    def _split(self, node: _Node, port: int, bounds: tuple[float, float]) -> None:
        for value, bound in zip((0.0, 1.0), bounds, strict=True):
            side = _fixed(node, port, value)
            side.bound_usd, side.number = bound, next(self._number)
            if bound < self.best_usd:
                heapq.heappush(self._open, side)

    def _price(self, ports: np.ndarray, end: float) -> None:
        """Cost of a choice with nodes that need not be whole: a few cuts at it, each of which helps the bound too."""
        key = ports.tobytes()
        if key in self._priced:
            return
        self._priced.add(key)
        self.master.bound_ports(ports, ports)
        plan, bound = self.master.solve(end)
        if bound >= self.best_usd:
            return
        usd = self._cut(plan)
        trial = (plan + self.master.solve(end)[0]) / 2
        trial_usd = self._cut(trial)
        if trial_usd < usd:
            plan, usd = trial, trial_usd
        if usd < self.best_usd:
            self.best, self.best_usd = plan, usd

    def _solve(self, node: _Node, end: float) -> tuple[np.ndarray, float]:
        self.master.bound_ports(node.lower, node.upper)
        plan, bound = self.master.solve(end)
        return plan, max(bound, node.bound_usd)

    def _cut(self, plan: np.ndarray) -> float:
        cost, slopes = evaluate_with_slopes(self.problem, plan, recourse=self.recourse, solves=self.solves)
        self.master.add(plan, slopes)
        return cost.objective_usd


def _fixed(node: _Node, port: int, value: float) -> _Node:
    lower, upper = node.lower.copy(), node.upper.copy()
    lower[port] = upper[port] = value
    return _Node(node.bound_usd, node.number, lower, upper)
