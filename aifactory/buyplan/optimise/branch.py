"""Which ports to make: branch and bound over the ports alone, on the cuts of the decomposition.

A node of the search holds some ports made or left and lets the others lie between. Its bound is the master's continuous
programme, which takes hundredths of a second; cuts are made at its points and hold everywhere, so that the search
and the cuts tighten each other. The port to branch on is the one whose two sides raise the bound most (product rule):
both sides are solved for a port that was not tried often enough, and for the others the mean rise of the trials is
taken (reliability branching; Achterberg, Koch and Martin 2005). Choices of ports are rounded from the points and priced
with nodes that need not be whole.
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
CUTS, RISE, STEP = 6, 1e-4, 0.7
#: Ports that are tried at a node, trials after which a port's mean rise is trusted, and how far from whole a port must be to be one of them.
TRIED, TRUSTED, BETWEEN = 8, 3, 0.02
WHOLE = 1e-6
#: Visits of a node whose ports are whole.
VISITS = 6
#: Exact prices of a choice that may be the cheapest, at most, and the share of its cost that is near enough.
EXACT, NEAR = 3, 2e-3
#: Ports above these shares are made in the choices that a point is rounded to, one after the other.
ROUNDED = (0.12, 0.3, 0.5)
#: Nodes at which choices are priced: the first ones, then one in so many; the bound needs the time more than the choice.
PRICED_FIRST, PRICED_EACH = 4, 6
#: Neighbours of the cheapest choice that are priced at a node.
NEIGHBOURS = 3


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
    bound_usd : no plan costs less; `root_usd` is what is known of it before.
    """

    def __init__(
        self, problem: Problem, master: Master, center: np.ndarray, recourse: Evaluator, solves: int, root_usd: float
    ) -> None:
        self.problem, self.master, self.recourse, self.solves = problem, master, recourse, solves
        self.first, ports = len(problem.orders), len(problem.ports)
        self.center, self.best, self.best_usd = center, center, np.inf
        self._number, self._priced, self._left_usd = count(), set(), np.inf
        self._visits = 0
        self._rise, self._trials = np.zeros((2, ports)), np.zeros(ports)
        self._open = [_Node(root_usd, next(self._number), np.zeros(ports), np.ones(ports))]

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
        self.master.forget()
        plan, bound = self._solve(node, end)
        for at in range(CUTS):
            if bound >= self.best_usd:
                return
            held = np.clip(self.center[self.first :], node.lower, node.upper)
            inside = np.concatenate([self.center[: self.first], held])
            self._cut(plan if at else STEP * plan + (1 - STEP) * inside, self.solves)
            plan, better = self._solve(node, end)
            rise, bound = better - bound, max(better, bound)
            if rise < RISE * abs(bound):
                break
        ports = plan[self.first :]
        if self._visits < PRICED_FIRST or self._visits % PRICED_EACH == 0:
            self._price(np.where(ports > ROUNDED[self._visits % len(ROUNDED)], 1.0, 0.0), end)
            self._price_neighbours(ports, end)
        self._visits += 1
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
        away, steps = np.minimum(ports, 1 - ports), np.stack([ports, 1 - ports])
        between = np.flatnonzero(away > min(BETWEEN, away.max() / 2))
        least = WHOLE * abs(bound)
        known = self._trials[between] > 0
        usual = self._rise[:, between][:, known].mean(axis=1, keepdims=True) if known.any() else np.ones((2, 1))
        rise = np.where(known, self._rise[:, between], usual) * steps[:, between]
        worth = np.maximum(rise, least).prod(axis=0)
        sides: dict[int, tuple[float, float]] = {}
        for at in np.argsort(-worth, kind="stable")[:TRIED]:
            port = int(between[at])
            if self._trials[port] < TRUSTED:
                low, high = (max(self._solve(_fixed(node, port, value), end)[1], bound) for value in (0.0, 1.0))
                sides[port] = low, high
                self._learn(port, np.array([low - bound, high - bound]) / steps[:, port])
                worth[at] = max(low - bound, least) * max(high - bound, least)
        port = int(between[worth.argmax()])
        self._split(node, port, sides.get(port, (bound, bound)))

    def _learn(self, port: int, rise: np.ndarray) -> None:
        """Mean rise of the bound per unit by which a port is moved down and up."""
        self._trials[port] += 1
        self._rise[:, port] += (rise - self._rise[:, port]) / self._trials[port]

    def _split(self, node: _Node, port: int, bounds: tuple[float, float]) -> None:
        for value, bound in zip((0.0, 1.0), bounds, strict=True):
            side = _fixed(node, port, value)
            side.bound_usd, side.number = bound, next(self._number)
            if bound < self.best_usd:
                heapq.heappush(self._open, side)

    def _price(self, ports: np.ndarray, end: float) -> None:
        """Cost of a choice with nodes that need not be whole: a few cuts at it, each of which helps the bound too.

        Few programmes tell whether it may be the cheapest; then it is priced exactly.
        """
        key = ports.tobytes()
        if key in self._priced:
            return
        self._priced.add(key)
        self.master.bound_ports(ports, ports)
        plan, bound = self.master.solve(end)
        if bound >= self.best_usd:
            return
        usd = self._cut(plan, self.solves)
        trial = (plan + self.master.solve(end)[0]) / 2
        trial_usd = self._cut(trial, self.solves)
        if trial_usd < usd:
            plan, usd = trial, trial_usd
        for _ in range(EXACT if usd < self.best_usd else 0):
            usd = self._cut(plan, None)
            if usd < self.best_usd:
                self.best, self.best_usd = plan, usd
            after, bound = self.master.solve(end)
            if usd - bound < NEAR * usd or bound >= self.best_usd or time.monotonic() > end:
                break
            plan = (plan + after) / 2

    def _price_neighbours(self, ports: np.ndarray, end: float) -> None:
        """Choices that differ from the cheapest in one port: first where it differs most from a node's point."""
        best = np.round(self.best[self.first :])
        for port in np.argsort(-np.abs(ports - best), kind="stable")[: NEIGHBOURS if np.isfinite(self.best_usd) else 0]:
            near = np.round(self.best[self.first :])
            near[port] = 1 - near[port]
            self._price(near, end)

    def _solve(self, node: _Node, end: float) -> tuple[np.ndarray, float]:
        self.master.bound_ports(node.lower, node.upper)
        plan, bound = self.master.solve(end)
        self.master.count_use()
        return plan, max(bound, node.bound_usd)

    def _cut(self, plan: np.ndarray, solves: int | None) -> float:
        cost, slopes = evaluate_with_slopes(self.problem, plan, recourse=self.recourse, solves=solves)
        self.master.add(plan, slopes)
        return cost.objective_usd


def _fixed(node: _Node, port: int, value: float) -> _Node:
    lower, upper = node.lower.copy(), node.upper.copy()
    lower[port] = upper[port] = value
    return _Node(node.bound_usd, node.number, lower, upper)
