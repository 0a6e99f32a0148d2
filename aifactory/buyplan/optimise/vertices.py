"""Optimal bases of a linear programme, kept: right-hand sides that an old basis solves need no new solve.

    min c x   s.t.  sign_i (A x)_i >= sign_i b_i,  0 <= x <= u

Only b differs between months and paths. A basis that was optimal once stays dual feasible, so its value is a lower
bound for every b, and the optimum wherever its solution is feasible. Values of all known bases are one product of
matrices; the largest is tried first. Where no known basis fits, a few dual simplex steps lead from the best one to
the optimum (`walk`), and only what these leave goes to the solver: on the benchmark 130 solves price 36,000 months.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from aifactory.buyplan.optimise.walk import HIGH, IN, LOW, walk

#: Feasibility tolerance relative to the largest right-hand side.
TOLERANCE = 1e-9
#: Programmes solved between two look-ups of the bases they gave; bases that are kept.
BATCH, MOST = 128, 3000
#: Known bases from which the others are reached by steps; right-hand sides that walk between two look-ups, and bases kept of them.
SEEDS, WALKED, KEPT = 64, 1024, 128
#: Newest bases of a dual that are tried where all sides must be solved: where none of them fits, a walk of few steps costs less than trying all.
RECENT = 8
#: Right-hand sides that are tried for each that may be solved.
TRIED = 4
#: Masks of a basis: basic columns, columns at their upper bound, basic rows.
Basis = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass
class Vertex:
    """One basis: rows that bind, columns that are basic, columns at their upper bound."""

    key: bytes
    binding: np.ndarray
    basic: np.ndarray
    at_upper: np.ndarray
    inverse: np.ndarray  # of matrix[binding, basic]
    dual: np.ndarray  # [rows + 1]: value = dual @ (b, 1)
    used: int = 0  # last call in which it solved something


class VertexPool:
    """Known bases of one cost vector; `matrix` dense [rows, columns], `sign` +1 for >= and -1 for <= rows."""

    def __init__(self, matrix: np.ndarray, sign: np.ndarray, costs: np.ndarray, upper: np.ndarray) -> None:
        self.matrix, self.sign, self.costs, self.upper = matrix, sign, costs, upper
        self.calls = 0
        self._fill([])

    def price(
        self, sides: np.ndarray, solve: Callable[[np.ndarray], Basis], solves: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Optimal values [R] and duals [R, rows] of right-hand sides [R, rows], in an order that changes them little.

        `solve` gives an optimal basis of one right-hand side; it is asked where no known basis fits. With `solves` about so
        many at most are solved, and all others get the largest known lower bound, with its dual.
        """
        self.calls += 1
        if len(self.vertices) > MOST:
            self._fill(sorted(self.vertices, key=lambda vertex: -vertex.used)[: MOST // 2])
        count, tried, known = len(sides), 0, 0
        extended = np.column_stack([sides, np.ones(count)])
        best, group = np.full(count, -np.inf), np.full(count, -1)
        if solves is not None:
            return self._bounds(extended, best, group, solve, solves)
        duals, left = np.zeros(sides.shape), np.arange(count)
        while len(left):
            better, before = self._improve(extended[left], best[left], known)
            fresh = better >= 0
            best[left[fresh]], group[left[fresh]] = before[fresh], better[fresh]
            done = self._fit(sides, left, group, fresh, tried, duals, RECENT)
            tried, known = len(self.vertices), len(self._groups)
            left = left[~done[left]]
            if len(left) and len(self.vertices) >= SEEDS:
                # Where many are left some walk first: of what they find the rest start nearer.
                many = len(left) > 2 * WALKED
                some = _evenly(len(left), WALKED) if many else np.ones(len(left), dtype=bool)
                now, found = self._walk(sides, left[some], group, best, duals)
                for end in found[:: max(len(found) // KEPT, 1)] if many else ():
                    self._add(*end).used = self.calls
            else:
                some = _evenly(len(left), BATCH)
                now = left[some]
            left = left[~some]
            for at in now:
                vertex = self._add(*solve(sides[at]))
                vertex.used = self.calls
                best[at], duals[at] = vertex.dual @ extended[at], vertex.dual[:-1]
        return best, duals

    def _bounds(
        self,
        extended: np.ndarray,
        best: np.ndarray,
        group: np.ndarray,
        solve: Callable[[np.ndarray], Basis],
        solves: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Largest lower bounds of right-hand sides [R, rows + 1], once about `solves` of those that no known basis fits are solved.

        They are looked for among some of all, others in each call: whether a basis fits matters for the choice alone.
        """
        sides, known = extended[:, :-1], len(self._groups)
        group, best = self._improve(extended, best, 0)
        some = np.flatnonzero(_evenly(len(sides), TRIED * solves, self.calls))
        if known:
            some = some[~self._fit(sides, some, group, np.ones(len(some), dtype=bool), 0, np.zeros(sides.shape))[some]]
        some = some[_evenly(len(some), solves)]
        if len(self.vertices) >= SEEDS:
            some, found = self._walk(sides, some, group, best.copy(), np.zeros(sides.shape))
            for end in found:
                self._add(*end).used = self.calls
        for at in some:
            self._add(*solve(sides[at])).used = self.calls
        better, values = self._improve(extended, best, known)
        group, best = np.where(better >= 0, better, group), np.where(better >= 0, values, best)
        for of in np.unique(group):
            self.vertices[self._groups[of][0]].used = self.calls
        return best, np.array([self.vertices[of[0]].dual[:-1] for of in self._groups])[group]

    def _walk(
        self, sides: np.ndarray, rows: np.ndarray, group: np.ndarray, best: np.ndarray, duals: np.ndarray
    ) -> tuple[np.ndarray, list[Basis]]:
        """Walk from the best known bases of some right-hand sides to the optimal ones: (those where it failed, bases found)."""
        columns, failed, found = len(self.costs), [], []
        rows = rows[np.argsort(group[rows], kind="stable")]
        for mine in np.split(rows, np.flatnonzero(np.diff(group[rows])) + 1):
            if not len(mine):
                continue
            vertex = self.vertices[self._groups[group[mine[0]]][-1]]
            values, own, steps, ends = walk(
                *self._columns, self.costs, self.upper, self.sign, *self._tableau(vertex), sides[mine]
            )
            solved = steps >= 0
            best[mine[solved]], duals[mine[solved]] = values[solved], own[solved]
            failed.append(mine[~solved])
            found.extend((end[:columns] == IN, end[:columns] == HIGH, end[columns:] == IN) for end in ends[solved])
        return np.concatenate(failed) if failed else rows, found

    def _tableau(self, vertex: Vertex) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inverse of the whole basis with its slacks, its variables, and where each variable stands."""
        columns, rows = len(self.costs), len(self.sign)
        loose = np.setdiff1d(np.arange(rows), vertex.binding)
        inverse = np.zeros((rows, rows))
        size = len(vertex.basic)
        inverse[:size, vertex.binding] = vertex.inverse
        inverse[size:, vertex.binding] = self.sign[loose, None] * (
            self.matrix[np.ix_(loose, vertex.basic)] @ vertex.inverse
        )
        inverse[np.arange(size, rows), loose] = -self.sign[loose]
        head = np.concatenate([vertex.basic, columns + loose])
        status = np.full(columns + rows, LOW, dtype=np.int8)
        status[head], status[vertex.at_upper] = IN, HIGH
        return inverse, head, status

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The matrix by columns: where each starts, rows, values."""
        by = sparse.csc_matrix(self.matrix)
        return by.indptr.astype(np.int64), by.indices.astype(np.int64), by.data

    def _improve(self, extended: np.ndarray, best: np.ndarray, known: int) -> tuple[np.ndarray, np.ndarray]:
        """Group of the largest dual since `known`, -1 where none beats `best`, and its value."""
        if known == len(self._groups):
            return np.full(len(extended), -1), best
        table = np.array([self.vertices[group[0]].dual for group in self._groups[known:]])
        worth = extended @ table.T
        at = worth.argmax(axis=1)
        values = worth[np.arange(len(at)), at]
        return np.where(values > best, at + known, -1), values

    def _fit(
        self, sides: np.ndarray, left: np.ndarray, group: np.ndarray, fresh: np.ndarray, tried: int, duals: np.ndarray,
        newest: int = 0,
    ) -> np.ndarray:  # fmt: skip
        """Mask [R] of sides that a basis of their best dual solves; sides with an old dual try new bases alone.

        Of each dual so many `newest` bases are tried, all with 0.
        """
        done = np.zeros(len(sides), dtype=bool)
        for again in (False, True):
            some = left[fresh != again]
            some = some[np.argsort(group[some], kind="stable")]
            for rows in np.split(some, np.flatnonzero(np.diff(group[some])) + 1):
                if not len(rows) or group[rows[0]] < 0:
                    continue
                for at in self._groups[group[rows[0]]][-newest:]:
                    if again and at < tried:
                        continue
                    vertex = self.vertices[at]
                    fits = self._feasible(vertex, sides[rows])
                    done[rows[fits]], duals[rows[fits]] = True, vertex.dual[:-1]
                    vertex.used = self.calls if fits.any() else vertex.used
                    rows = rows[~fits]  # noqa: PLW2901
                    if not len(rows):
                        break
        return done

    def _add(self, basic_columns: np.ndarray, at_upper: np.ndarray, basic_rows: np.ndarray) -> Vertex:
        key = np.packbits(np.concatenate([basic_columns, at_upper, basic_rows])).tobytes()
        if key in self._of_key:
            return self._of_key[key]
        binding, basic, top = np.flatnonzero(~basic_rows), np.flatnonzero(basic_columns), np.flatnonzero(at_upper)
        inverse = np.linalg.inv(self.matrix[np.ix_(binding, basic)])
        dual = np.zeros(len(self.sign) + 1)
        dual[binding] = self.costs[basic] @ inverse
        dual[:-1] = self.sign * np.maximum(self.sign * dual[:-1], 0.0)  # against the sign of its row: rounding
        dual[-1] = (self.costs[top] - dual[:-1] @ self.matrix[:, top]) @ self.upper[top]
        vertex = Vertex(key, binding, basic, top, inverse, dual)
        self._keep(vertex)
        return vertex

    def _keep(self, vertex: Vertex) -> None:
        self._of_key[vertex.key] = vertex
        group = self._of_dual.setdefault(vertex.dual.round(7).tobytes(), len(self._groups))
        if group == len(self._groups):
            self._groups.append([])
        self._groups[group].append(len(self.vertices))
        self.vertices.append(vertex)

    def _fill(self, vertices: list[Vertex]) -> None:
        self.vertices: list[Vertex] = []
        self._of_key: dict[bytes, Vertex] = {}
        self._of_dual: dict[bytes, int] = {}
        self._groups: list[list[int]] = []  # vertices with the same dual
        for vertex in vertices:
            self._keep(vertex)

    def _feasible(self, vertex: Vertex, sides: np.ndarray) -> np.ndarray:
        """Whether the solution of the basis keeps all rows and bounds, [R]."""
        slack = TOLERANCE * (1.0 + np.abs(sides).max(axis=1))[:, None]
        top = self.matrix[:, vertex.at_upper] @ self.upper[vertex.at_upper]
        x = (sides[:, vertex.binding] - top[vertex.binding]) @ vertex.inverse.T
        inside = ((x >= -slack) & (x <= self.upper[vertex.basic] + slack)).all(axis=1)
        reached = x @ self.matrix[:, vertex.basic].T + top
        return inside & ((reached - sides) * self.sign >= -slack * 10).all(axis=1)


def _evenly(count: int, some: int, first: int = 0) -> np.ndarray:
    """Mask [count] of about `some` of them, evenly from `first` on and around; all where they are fewer."""
    return (np.arange(count) + first) % max(count // max(some, 1), 1) == 0
