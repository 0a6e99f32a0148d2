"""Limits that no plan can keep together, and the cheapest way to relax them.

Limits are rows A x <= b on the nodes x of the orders, 0 <= x <= the largest useful order. Where they contradict each
other, the least sum of relative excess s over A x <= b + |b| s is found by linear programme; rows with a dual price in it
contradict each other (Farkas), and leaving one row out after the other keeps a smallest set (deletion filter).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linprog

from aifactory.buyplan.optimise.problem import Problem
from aifactory.errors import InputError

TOLERANCE = 1e-7
UNITS = {"capital": "USD", "budget": "USD", "power": "kW", "reserve": "accelerators", "share": "accelerator-months"}


@dataclass(frozen=True)
class Conflict:
    """Limits that contradict each other; leaving any one of them out lets a plan exist.

    Attributes
    ----------
    names : the limits, as `Problem.limits` names them.
    relief : by name, by how much that limit alone must give way, in its unit.
    """

    names: tuple[str, ...]
    relief: dict[str, float]

    def sentence(self) -> str:
        """The conflict and its ways out in words."""
        ways = [
            f"{'lower' if _kind(name) == 'reserve' else 'raise'} {name} by {by:,.6g} {UNITS[_kind(name)]}"
            for name, by in self.relief.items()
        ]
        out = ", or ".join(ways) or "no single one of them, given way to, is enough"
        return f"no plan keeps {' and '.join(self.names)} together: {out}"


def find_conflict(problem: Problem, largest: np.ndarray) -> Conflict | None:
    """A smallest set of limits that no orders up to `largest` [N] keep together; None where all can be kept."""
    matrix, bound, names = problem.limits()
    if not len(names):
        return None
    scale = np.maximum(np.abs(bound), 1.0)
    excess, duals = _least_excess(matrix, bound, scale, largest)
    if excess <= TOLERANCE:
        return None
    kept = list(np.flatnonzero(np.abs(duals) > TOLERANCE))
    for row in list(kept):
        others = [other for other in kept if other != row]
        if others and _least_excess(matrix[others], bound[others], scale[others], largest)[0] > TOLERANCE:
            kept = others
    relief = {}
    for row in kept:
        others = [other for other in range(len(names)) if other != row]
        by = _least_of_row(matrix, bound, row, others, largest)
        if by is not None:
            relief[names[row]] = by
    return Conflict(tuple(names[row] for row in kept), relief)


def without_conflicts(problem: Problem, largest: np.ndarray) -> tuple[Problem, tuple[Conflict, ...]]:
    """The problem without the limits that cannot be kept beside the fleet that must stand ready, and what contradicts it.

    Of each smallest set of conflicting limits all kinds but the reserve are dropped, until a plan exists.
    """
    none = {"capital": {"capital_usd": np.zeros(0)}, "budget": {"order_budget_usd": np.zeros(0)},
            "power": {"power_kw": np.zeros(0)}, "share": {"vendor_most": 1.0}}  # fmt: skip
    found = []
    while (conflict := find_conflict(problem, largest)) is not None:
        kinds = {_kind(name) for name in conflict.names} & set(none)
        if not kinds:
            break
        found.append(conflict)
        for kind in sorted(kinds):
            problem = replace(problem, **none[kind])
    return problem, tuple(found)


def refuse_conflicts(problem: Problem, largest: np.ndarray) -> None:
    """Raise where limits contradict each other, with the smallest set of them and the ways out.

    Raises
    ------
    InputError
        No plan keeps all limits, or an offer pays whoever takes it, so that only its largest order would bound the plan.
    """
    for (option, _), usd in zip(problem.orders, problem.order_usd, strict=True):
        if usd < 0:
            rule = f"brings USD {-usd:,.0f} a node more than it costs: the plan would order without end; correct its price or resale"
            raise InputError.at("options", rule, value=option.name)
    found = find_conflict(problem, largest)
    if found is not None:
        raise InputError.at("limits", found.sentence())


def _kind(name: str) -> str:
    return name.split()[0]


def _least_excess(
    matrix: np.ndarray, bound: np.ndarray, scale: np.ndarray, largest: np.ndarray
) -> tuple[float, np.ndarray]:
    rows, columns = matrix.shape
    found = linprog(
        np.r_[np.zeros(columns), np.ones(rows)], np.hstack([matrix, -np.diag(scale)]), bound,
        bounds=[*((0, top) for top in largest), *((0, None) for _ in range(rows))], method="highs",
    )  # fmt: skip
    return float(found.fun), np.asarray(found.ineqlin.marginals)


def _least_of_row(
    matrix: np.ndarray, bound: np.ndarray, row: int, others: list[int], largest: np.ndarray
) -> float | None:
    """How far a row must be exceeded when all others hold; None where that does not help."""
    limits = [(0, top) for top in largest]
    if others:
        found = linprog(matrix[row], matrix[others], bound[others], bounds=limits, method="highs")
    else:
        found = linprog(matrix[row], bounds=limits, method="highs")
    return float(found.fun - bound[row]) if found.status == 0 else None
