"""Which inputs the spread of a result comes from: Sobol indices.

References: Saltelli et al. (2010), Computer Physics Communications 181, 259-270 (first order);
Jansen (1999), Computer Physics Communications 117, 35-43 (total order).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc


@dataclass(frozen=True)
class SobolIndices:
    """Shares of the variance by input (or group): alone (`first`) and with all interactions (`total`)."""

    first: np.ndarray
    total: np.ndarray
    variance: float
    mean: float
    evaluations: int


def sobol_indices(
    model: Callable[[np.ndarray], np.ndarray],
    inputs: int,
    *,
    samples: int = 1_024,
    seed: int = 0,
    groups: list[list[int]] | None = None,
) -> SobolIndices:
    """First and total Sobol indices of a vectorised model of uniform inputs.

    `model` takes points in the unit cube, [n, inputs], and returns n values; a power of two of
    `samples` is needed for balanced points. Each group of inputs is moved together. Costs
    samples x (2 + groups) evaluations. With A, B two samples and A_i = A with columns i of B:

    first_i = mean(f(B) (f(A_i) - f(A))) / V, total_i = mean((f(A) - f(A_i))^2) / (2 V).

    Correlated inputs have no such split: index the independent factors behind them, or group them.
    A model that does not vary has indices of zero.

    >>> found = sobol_indices(lambda u: u[:, 0] + 2 * u[:, 1], 2, samples=4096)
    >>> found.first.round(3).tolist(), found.total.round(3).tolist()
    ([0.2, 0.8], [0.2, 0.8])
    """
    if samples < 2 or samples & (samples - 1):
        msg = f"samples must be a power of two, got {samples}"
        raise ValueError(msg)
    sets = [[index] for index in range(inputs)] if groups is None else groups
    points = qmc.Sobol(2 * inputs, scramble=True, rng=np.random.default_rng(seed)).random(samples)
    left, right = points[:, :inputs], points[:, inputs:]
    at_left, at_right = _values(model, left), _values(model, right)
    both = np.concatenate([at_left, at_right])
    mean, variance = float(both.mean()), float(both.var())
    first, total = np.zeros(len(sets)), np.zeros(len(sets))
    if variance > 0:
        for index, columns in enumerate(sets):
            mixed = left.copy()
            mixed[:, columns] = right[:, columns]
            at_mixed = _values(model, mixed)
            first[index] = ((at_right - mean) * (at_mixed - at_left)).mean() / variance
            total[index] = ((at_left - at_mixed) ** 2).mean() / (2.0 * variance)
    return SobolIndices(first, total, variance, mean, samples * (2 + len(sets)))


def _values(model: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
    values = np.asarray(model(points), dtype=float)
    if values.shape != (len(points),) or not np.isfinite(values).all():
        msg = f"the model must return one finite value per point, got shape {values.shape}"
        raise ValueError(msg)
    return values


def ishigami(points: np.ndarray, a: float = 7.0, b: float = 0.1) -> np.ndarray:
    """Test function of unit-cube points, x = pi (2 u - 1): sin x1 + a sin^2 x2 + b x3^4 sin x1.

    >>> ishigami(np.array([[0.5, 0.75, 0.5]])).round(6).tolist()
    [7.0]
    """
    x = np.pi * (2.0 * points - 1.0)
    return np.sin(x[:, 0]) * (1.0 + b * x[:, 2] ** 4) + a * np.sin(x[:, 1]) ** 2
