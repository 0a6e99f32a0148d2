"""Admissible weights: the simplex, cut by an order of criteria, bounds and other linear limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog

from aifactory.errors import InputError
from aifactory.shortlist.mcda.matrix import SUM_TOLERANCE

#: Share of proposals that must be accepted for rejection to be used; below, chains walk inside.
LEAST_ACCEPTED = 0.02
CHAINS = 4096
#: Steps a chain walks before its first draw, times the square of the criteria.
BURN_IN = 2
#: Steps between two draws of a chain, times the criteria.
THINNING = 2


@dataclass(frozen=True)
class WeightSpace:
    """Weights w >= 0 with a sum of 1 that meet every stated preference.

    order : criteria numbers from the most to the least important; a tuple of several stands for equal
        places, between which nothing is stated; criteria left out are free.
    low, high : bounds by criterion, default 0 and 1.
    limits : rows (a, b) of a . w <= b, for trade-offs such as "cost at least twice latency".
    """

    n: int
    order: tuple[int | tuple[int, ...], ...] = ()
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    limits: tuple[tuple[tuple[float, ...], float], ...] = ()
    bounds: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError.at("weights", "need at least one criterion", value=self.n)
        low, high = (np.full(self.n, default) if given is None else np.asarray(given, dtype=float)
                     for given, default in ((self.low, 0.0), (self.high, 1.0)))  # fmt: skip
        if low.shape != (self.n,) or high.shape != (self.n,) or not (np.isfinite(low) & np.isfinite(high)).all():
            raise InputError.at("weights", f"bounds need one finite number for each of {self.n} criteria")
        if (low < 0).any() or (high < low).any() or (high > 1).any():
            raise InputError.at("weights", "bounds must be 0 <= low <= high <= 1")
        named = [j for group in self._groups for j in group]
        if len(set(named)) != len(named) or not set(named) <= set(range(self.n)):
            raise InputError.at("weights", f"order must name criteria 0 to {self.n - 1}, each at most once")
        if any(len(row) != self.n for row, _ in self.limits):
            raise InputError.at("weights", f"a limit needs one factor for each of {self.n} criteria")
        object.__setattr__(self, "bounds", (low, high))
        if self._corner(np.zeros(self.n)) is None:
            raise InputError.at("weights", "no weights meet every bound, order and limit at once: loosen one")

    @property
    def _groups(self) -> list[list[int]]:
        return [list(group) if isinstance(group, tuple) else [group] for group in self.order]

    @property
    def inequalities(self) -> tuple[np.ndarray, np.ndarray]:
        """A and b of A w <= b: order and limits, without the bounds."""
        rows, ends = [list(row) for row, _ in self.limits], [end for _, end in self.limits]
        for higher, lower in zip(self._groups, self._groups[1:], strict=False):
            for more, less in product(higher, lower):
                row = [0.0] * self.n
                row[less], row[more] = 1.0, -1.0
                rows, ends = [*rows, row], [*ends, 0.0]
        return np.array(rows, dtype=float).reshape(-1, self.n), np.array(ends, dtype=float)

    def contains(self, weights: ArrayLike, tolerance: float = 1e-9) -> np.ndarray:
        """Whether each row of weights is admissible, to `tolerance`."""
        w = np.atleast_2d(np.asarray(weights, dtype=float))
        low, high = self.bounds
        rows, ends = self.inequalities
        inside = (w >= low - tolerance).all(axis=1) & (w <= high + tolerance).all(axis=1)
        return inside & (w @ rows.T <= ends + tolerance).all(axis=1) & (np.abs(w.sum(axis=1) - 1) < SUM_TOLERANCE)

    def _corner(self, cost: np.ndarray) -> np.ndarray | None:
        rows, ends = self.inequalities
        found = linprog(cost, A_ub=rows if len(rows) else None, b_ub=ends if len(rows) else None,
                        A_eq=np.ones((1, self.n)), b_eq=[1.0], bounds=np.column_stack(self.bounds))  # fmt: skip
        return found.x if found.status == 0 else None

    def extremes(self) -> np.ndarray:
        """Table (n, 2): least and greatest admissible weight of each criterion.

        >>> WeightSpace(2, order=(0, 1)).extremes().tolist()
        [[0.5, 1.0], [0.0, 0.5]]
        """
        eye = np.eye(self.n)
        return np.array([[self._corner(side * eye[j])[j] for side in (1, -1)] for j in range(self.n)]) + 0.0

    def draw(self, draws: int, seed: int | list[int]) -> np.ndarray:
        """Weights (draws, n), uniform over the admissible set, the same for the same seed.

        Spacings of exponentials are uniform on the simplex (Rubinstein 1982); sorting them gives a
        complete order, shifting them the low bounds, both exactly. Other limits are met by
        rejection, or by hit-and-run chains (Smith 1984) where few proposals would be accepted.

        >>> WeightSpace(3, order=(2, 0, 1)).draw(2, seed=1).argmax(axis=1).tolist()
        [2, 2]
        """
        if draws < 1:
            raise InputError.at("draws", "must be at least 1", value=draws)
        rng = np.random.default_rng(seed)
        first = self._propose(rng, max(draws, 1000))
        kept = first[self.contains(first)]
        if len(kept) >= draws:
            return kept[:draws]
        if len(kept) < LEAST_ACCEPTED * len(first):
            return self._walk(rng, draws)
        parts, have = [kept], len(kept)
        while have < draws:
            more = self._propose(rng, len(first))
            parts.append(more[self.contains(more)])
            have += len(parts[-1])
        return np.concatenate(parts)[:draws]

    def _propose(self, rng: np.random.Generator, draws: int) -> np.ndarray:
        low = self.bounds[0]
        spacing = rng.standard_exponential((draws, self.n))
        weights = spacing / spacing.sum(axis=1, keepdims=True)
        if len(self.order) > 1 and not low.any():
            weights = self._ordered(weights)
        return low + (1 - low.sum()) * weights

    def _ordered(self, weights: np.ndarray) -> np.ndarray:
        """The largest values go to the first group and so on; inside a group they keep their former order."""
        found, start = weights.copy(), 0
        named = [j for group in self._groups for j in group]
        falling = -np.sort(-weights[:, named], axis=1)
        for group in self._groups:
            block, places = falling[:, start : start + len(group)], np.argsort(-weights[:, group], axis=1)
            mine = np.empty_like(block)
            np.put_along_axis(mine, places, block, axis=1)
            found[:, group] = mine
            start += len(group)
        return found

    def _walk(self, rng: np.random.Generator, draws: int) -> np.ndarray:
        """Hit-and-run: from inside, a random direction in the plane sum(w) = 1, a uniform point on the chord."""
        low, high = self.bounds
        rows, ends = self.inequalities
        rows, ends = np.vstack([rows, np.eye(self.n), -np.eye(self.n)]), np.concatenate([ends, high, -low])
        corners = np.array([self._corner(side) for side in rng.standard_normal((4 * self.n, self.n))])
        mix = rng.dirichlet(np.ones(len(corners)), size=min(CHAINS, draws))
        at = mix @ corners
        basis = _directions(corners)
        if basis.shape[0] == 0:
            return np.repeat(at[:1], draws, axis=0)
        kept = []
        steps = BURN_IN * self.n**2
        while sum(map(len, kept)) < draws:
            for _ in range(steps):
                at = _step(rng, at, basis, rows, ends)
            kept.append(at)
            steps = THINNING * self.n
        return np.concatenate(kept)[:draws]


def _directions(points: np.ndarray) -> np.ndarray:
    """Axes along which the points differ, each as long as they are spread: those in which the set has room.

    Steps drawn from them cross a narrow set as fast as a round one (Lovasz & Vempala 2006: hit-and-run
    mixes fast once the set is rounded).
    """
    _, sizes, vectors = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    return vectors[sizes > 1e-9] * (sizes[sizes > 1e-9] / sizes.max(initial=1e-9))[:, None]


def _step(
    rng: np.random.Generator, at: np.ndarray, basis: np.ndarray, rows: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    way = rng.standard_normal((len(at), len(basis))) @ basis
    room, speed = ends - at @ rows.T, way @ rows.T
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.maximum(room, 0) / speed
    forth = np.where(speed > 1e-12, reach, np.inf).min(axis=1)
    back = np.where(speed < -1e-12, reach, -np.inf).max(axis=1)
    return at + (back + (forth - back) * rng.random(len(at)))[:, None] * way
