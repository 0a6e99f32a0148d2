"""Optimal bases of a linear programme, kept: most right-hand sides are a few steps from one of them.

    min c x   s.t.  sign_i (A x)_i >= sign_i b_i,  0 <= x <= u

Only b differs between months and paths, and upper bounds of some columns, which are counted as right-hand sides. A
basis that was optimal once stays dual feasible, so its value is a lower bound for every b. Values of all known bases
are one product of matrices; from the largest a few dual simplex steps lead to the optimum (`walk`), none where the
basis fits already. Only what these leave goes to the solver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from aifactory.buyplan.optimise.walk import HIGH, IN, LOW, walk

#: Programmes solved between two look-ups of the bases they gave; bases that are kept, one for each dual.
BATCH, MOST = 128, 800
#: Known bases from which the others are reached by steps; right-hand sides that walk between two look-ups, and duals kept of them.
SEEDS, WALKED, KEPT = 8, 1024, 128
#: Digits to which duals are the same; reduced costs below this share of the largest cost are 0.
DIGITS, TOLERANCE = 7, 1e-9
_NONE = np.zeros(0, dtype=int)
#: Masks of a basis: basic columns, columns at their upper bound, basic rows.
Basis = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Vertex:
    """A basis from which walks start, and when it was last the best known one of a right-hand side."""

    inverse: np.ndarray  # [rows, rows] of the whole basis with its slacks
    head: np.ndarray  # [rows] its variables, slacks counted from the number of columns on
    status: np.ndarray  # [columns + rows] where each variable stands
    used: int


class VertexPool:
    """Known bases of one cost vector; `matrix` dense [rows, columns], `sign` +1 for >= and -1 for <= rows.

    Right-hand sides [rows + bounds] are those of the rows, then one for each of `bounded`: columns whose upper bound is
    that side times the entry of `per_side`; the bounds of all others are `upper`.
    """

    def __init__(
        self,
        matrix: np.ndarray,
        sign: np.ndarray,
        costs: np.ndarray,
        upper: np.ndarray,
        bounded: np.ndarray = _NONE,
        per_side: np.ndarray = _NONE,
    ) -> None:
        self.matrix, self.sign, self.costs, self.upper = matrix, sign, costs, upper
        self.bound_of, self.per_side = np.full(len(costs), -1), np.zeros(len(costs))
        self.bound_of[bounded], self.per_side[bounded] = len(sign) + np.arange(len(bounded)), per_side
        self.calls, self.vertices = 0, []
        self.duals = np.zeros((0, len(sign) + len(bounded) + 1))
        self._known: set[bytes] = set()

    def price(
        self, sides: np.ndarray, solve: Callable[[np.ndarray], Basis], solves: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Optimal values [R] and duals of right-hand sides, both [R, rows + bounds].

        `solve` gives an optimal basis of one right-hand side; it is asked where no steps lead to one. With `solves` only
        about so many are solved, others in each call, and the rest get the largest known lower bound, with its dual.
        """
        self.calls += 1
        self._forget()
        count = len(sides)
        extended, left = np.column_stack([sides, np.ones(count)]), np.arange(count)
        values, duals, group = np.full(count, -np.inf), np.zeros(sides.shape), np.full(count, -1)
        known = self._improve(extended, left, values, group, 0)
        while len(left):
            some = self._next(len(left), solves)
            self._solve(sides, left[some], group, solve, values, duals)
            left = left[~some]
            known = self._improve(extended, left, values, group, known)
            if solves is not None:
                break
        duals[left] = self.duals[group[left], :-1]
        for of in np.unique(group[group >= 0]):
            self.vertices[of].used = self.calls
        return values, duals

    def _next(self, count: int, solves: int | None) -> np.ndarray:
        """Mask of those that are solved before the known bases are looked up again: of what they find the rest start nearer."""
        if solves is not None:
            return _evenly(count, solves, self.calls)
        if len(self.vertices) < SEEDS:
            return _evenly(count, BATCH)
        return _evenly(count, WALKED if count > 2 * WALKED else count)

    def _improve(
        self, extended: np.ndarray, rows: np.ndarray, values: np.ndarray, group: np.ndarray, known: int
    ) -> int:
        """Raise the bounds and their bases of some right-hand sides by the duals since `known`; how many there are now."""
        if known < len(self.duals) and len(rows):
            mine, duals = extended[rows], self.duals[known:]
            # few digits find the best one, since each is a bound; its value is reckoned in full
            at = (mine.astype(np.float32) @ duals.astype(np.float32).T).argmax(axis=1)
            found = (mine * duals[at]).sum(axis=1)
            better = found > values[rows]
            values[rows[better]], group[rows[better]] = found[better], known + at[better]
        return len(self.duals)

    def _solve(
        self,
        sides: np.ndarray,
        rows: np.ndarray,
        group: np.ndarray,
        solve: Callable[[np.ndarray], Basis],
        values: np.ndarray,
        duals: np.ndarray,
    ) -> None:
        """Optimal values and duals of some right-hand sides, by steps or by the solver; what they find is kept."""
        if len(self.vertices) >= SEEDS:
            rows = self._walk(sides, rows, group, values, duals)
        if len(rows):
            ends = np.array([_stands(*solve(sides[at])) for at in rows])
            found = self._keep(ends)
            duals[rows], values[rows] = found[:, :-1], (found[:, :-1] * sides[rows]).sum(axis=1) + found[:, -1]

    def _walk(
        self, sides: np.ndarray, rows: np.ndarray, group: np.ndarray, values: np.ndarray, duals: np.ndarray
    ) -> np.ndarray:
        """Walk from the best known bases to the optimal ones; those where it failed."""
        failed, found = [np.zeros(0, dtype=int)], {}
        rows = rows[np.argsort(group[rows], kind="stable")]
        for mine in np.split(rows, np.flatnonzero(np.diff(group[rows])) + 1):
            if not len(mine):
                continue
            start = self.vertices[group[mine[0]]]
            usd, own, steps, ends = walk(
                *self._columns, self.costs, self.upper, self.bound_of, self.per_side, self.sign,
                start.inverse, start.head, start.status, sides[mine],
            )  # fmt: skip
            solved = steps >= 0
            values[mine[solved]], duals[mine[solved]] = usd[solved], own[solved]
            failed.append(mine[~solved])
            for at in np.flatnonzero(steps > 0):
                found.setdefault(_key(own[at]), ends[at])
        fresh = [end for key, end in found.items() if key not in self._known]
        if fresh:
            self._keep(np.array(fresh[:: max(len(fresh) // KEPT, 1)]))
        return np.concatenate(failed)

    def _keep(self, ends: np.ndarray) -> np.ndarray:
        """Keep bases [F, columns + rows], where each variable stands, unless one of their dual is known.

        Their duals [F, rows + bounds + 1]: value = dual @ (b, 1).
        """
        columns, rows = len(self.costs), len(self.sign)
        heads = np.nonzero(ends == IN)[1].reshape(len(ends), rows)
        inverses = np.linalg.inv(self._whole.T[heads].transpose(0, 2, 1))
        prices = np.einsum("fi,fik->fk", np.append(self.costs, np.zeros(rows))[heads], inverses)
        prices = self.sign * np.maximum(self.sign * prices, 0.0)  # against the sign of its row: rounding
        reduced = self.costs - prices @ self.matrix
        ends = self._at_bounds(ends, reduced)
        high, moves = ends[:, :columns] == HIGH, self.bound_of >= 0
        duals = np.zeros((len(ends), self.duals.shape[1]))
        duals[:, :rows] = prices
        duals[:, self.bound_of[moves]] = np.where(high, np.minimum(reduced, 0.0) * self.per_side, 0.0)[:, moves]
        fixed = np.isfinite(self.upper)
        duals[:, -1] = np.where(high, reduced, 0.0)[:, fixed] @ self.upper[fixed]
        fresh = []
        for at, dual in enumerate(duals):
            if _key(dual[:-1]) not in self._known:
                self._known.add(_key(dual[:-1]))
                self.vertices.append(Vertex(inverses[at], heads[at], ends[at], self.calls))
                fresh.append(at)
        self.duals = np.concatenate([self.duals, duals[fresh]])
        return duals

    def _at_bounds(self, ends: np.ndarray, reduced: np.ndarray) -> np.ndarray:
        """A column whose bounds meet may be told to be at either, but for other sides it matters."""
        ends, columns = ends.copy(), len(self.costs)
        own, most = ends[:, :columns], np.abs(self.costs).max() * TOLERANCE
        loose = (self.bound_of >= 0) & (own != IN)
        own[loose & (reduced < -most)] = HIGH
        own[loose & (reduced > most)] = LOW
        return ends

    @cached_property
    def _whole(self) -> np.ndarray:
        """The matrix with its slacks, [rows, columns + rows]."""
        return np.hstack([self.matrix, -np.diag(self.sign)])

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The matrix by columns: where each starts, rows, values."""
        by = sparse.csc_matrix(self.matrix)
        return by.indptr.astype(np.int64), by.indices.astype(np.int64), by.data

    def _forget(self) -> None:
        """Keep the bases that were needed last, where there are many."""
        if len(self.vertices) > MOST:
            kept = sorted(range(len(self.vertices)), key=lambda at: -self.vertices[at].used)[: MOST // 2]
            self.vertices, self.duals = [self.vertices[at] for at in kept], self.duals[kept]
            self._known = {_key(dual[:-1]) for dual in self.duals}


def _key(dual: np.ndarray) -> bytes:
    return (dual.round(DIGITS) + 0.0).tobytes()


def _stands(basic_columns: np.ndarray, at_upper: np.ndarray, basic_rows: np.ndarray) -> np.ndarray:
    """Where each variable stands [columns + rows] in a basis of the solver."""
    own = np.where(basic_columns, IN, np.where(at_upper, HIGH, LOW))
    return np.concatenate([own, np.where(basic_rows, IN, LOW)]).astype(np.int8)


def _evenly(count: int, some: int, first: int = 0) -> np.ndarray:
    """Mask [count] of about `some` of them, evenly from `first` on and around; all where they are fewer."""
    return (np.arange(count) + first) % max(count // max(some, 1), 1) == 0
