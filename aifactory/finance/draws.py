"""Correlated draws of uncertain inputs, each given by its P10, median and P90.

Factors are independent standard normals joined by a correlation matrix (Gaussian copula) and bent
so that the three stated quantiles are met exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

Shape = Literal["log", "linear", "event", "count"]
Z90 = float(ndtri(0.9))


@dataclass(frozen=True)
class Factor:
    """One uncertain input.

    `log`: positive, between the quantiles normal in the logarithm, with its own spread on either
    side of the median. `linear`: the same without logarithm. `count`: linear, rounded to whole
    numbers from 0. `event`: month of the first event at a yearly rate of `middle` (low and high are
    not used), infinite if it never comes.
    """

    name: str
    low: float
    middle: float
    high: float
    group: str = ""
    shape: Shape = "log"

    def __post_init__(self) -> None:
        """Refuse quantiles out of order, or not positive where a logarithm is taken."""
        if self.shape not in get_args(Shape):
            msg = f"{self.name}: shape must be one of {', '.join(get_args(Shape))}, got {self.shape!r}"
            raise ValueError(msg)
        numbers = (self.low, self.middle, self.high)
        least = 0.0 if self.shape in ("log", "event", "count") else -np.inf
        if not all(np.isfinite(numbers)) or not self.low <= self.middle <= self.high or self.low < least:
            msg = f"{self.name}: P10 <= median <= P90 must hold, from {least:g} up, got {numbers}"
            raise ValueError(msg)
        if self.shape == "log" and self.low <= 0:
            msg = f"{self.name}: P10 must be above 0, got {self.low}"
            raise ValueError(msg)

    def value(self, normal: ArrayLike) -> np.ndarray:
        """Values of standard normal draws.

        >>> Factor("price", 0.8, 1.0, 1.5).value([-Z90, 0.0, Z90]).round(9).tolist()
        [0.8, 1.0, 1.5]
        """
        z = np.asarray(normal, dtype=float)
        if self.shape == "event":
            with np.errstate(divide="ignore"):
                wait = -np.log1p(-ndtr(z)) * 12.0 / self.middle if self.middle else np.full(z.shape, np.inf)
            return np.ceil(wait)
        low, middle, high = (np.log(x) if self.shape == "log" else x for x in (self.low, self.middle, self.high))
        bent = middle + z / Z90 * np.where(z < 0, middle - low, high - middle)
        if self.shape == "log":
            return np.exp(bent)
        return np.maximum(np.rint(bent), 0.0) if self.shape == "count" else bent


@dataclass(frozen=True)
class Factors:
    """All uncertain inputs, and the correlations of the normals behind them."""

    items: tuple[Factor, ...]
    correlations: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names in order."""
        return [item.name for item in self.items]

    def matrix(self) -> np.ndarray:
        """Correlation matrix; one that no set of variables can have is refused."""
        names = self.names
        if len(set(names)) < len(names):
            msg = f"a factor is named twice: {names}"
            raise ValueError(msg)
        matrix = np.eye(len(names))
        for (left, right), value in self.correlations.items():
            if left not in names or right not in names or left == right or not -1 <= value <= 1:
                msg = f"correlation of {left!r} and {right!r} must join two factors and be in [-1, 1], got {value}"
                raise ValueError(msg)
            if self.correlations.get((right, left), value) != value:
                msg = f"the correlation of {left!r} and {right!r} is given twice, with different values"
                raise ValueError(msg)
            i, j = names.index(left), names.index(right)
            matrix[i, j] = matrix[j, i] = value
        if len(names) and np.linalg.eigvalsh(matrix).min() < -1e-10:
            msg = "these correlations contradict each other: no variables can have them all"
            raise ValueError(msg)
        return matrix

    def root(self) -> np.ndarray:
        """Lower triangular root of the correlation matrix."""
        matrix = self.matrix()
        return np.linalg.cholesky(matrix + 1e-12 * np.eye(len(matrix)))

    def values(self, normals: np.ndarray) -> np.ndarray:
        """Values of independent standard normals [n, F], joined and bent."""
        joined = normals @ self.root().T
        return np.column_stack([item.value(joined[:, i]) for i, item in enumerate(self.items)])

    def draw(self, count: int, seed: int) -> np.ndarray:
        """`count` draws of all factors, [n, F]; the same for the same seed.

        >>> factors = Factors((Factor("a", 1, 2, 4), Factor("b", -1, 0, 1, shape="linear")), {("a", "b"): 0.5})
        >>> factors.draw(3, seed=1).shape
        (3, 2)
        """
        generator = np.random.default_rng(np.random.SeedSequence(seed))
        return self.values(generator.standard_normal((count, len(self.items))))

    def middle(self) -> np.ndarray:
        """All factors at their medians, [1, F]."""
        return self.values(np.zeros((1, len(self.items))))

    def groups(self) -> dict[str, list[int]]:
        """Positions of the factors of each group, in order of appearance."""
        found: dict[str, list[int]] = {}
        for index, item in enumerate(self.items):
            found.setdefault(item.group or item.name, []).append(index)
        return found

    def check_groups_apart(self) -> None:
        """Refuse correlations between groups: the variance then has no split by group."""
        home = {self.items[i].name: group for group, places in self.groups().items() for i in places}
        for (left, right), value in self.correlations.items():
            if value and home[left] != home[right]:
                msg = f"{left} and {right} are correlated but in different groups; put them into one"
                raise ValueError(msg)


def column(values: np.ndarray, names: Sequence[str], name: str, default: float) -> np.ndarray:
    """Column of one factor, or its default where the factor is certain.

    >>> column(np.array([[1.0, 2.0]]), ["a", "b"], "b", 9.0).tolist(), column(np.ones((2, 1)), ["a"], "c", 9.0).tolist()
    ([2.0], [9.0, 9.0])
    """
    return values[:, list(names).index(name)] if name in names else np.full(len(values), default)
