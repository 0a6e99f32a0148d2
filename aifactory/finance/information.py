"""What it is worth to know more before deciding: perfect, partial and sample information.

References: Raiffa and Schlaifer, Applied Statistical Decision Theory; Strong, Oakley, Brennan (2014),
Medical Decision Making 34, 311-326 (partial perfect information by regression).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class PerfectInformation:
    """Value of a decision now, of one made with full knowledge, and the difference."""

    best_expected: float
    expected_best: float

    @property
    def evpi(self) -> float:
        """Most that any information can be worth."""
        return self.expected_best - self.best_expected


def probabilities(probs: ArrayLike) -> np.ndarray:
    """Check that chances are in [0, 1] and add up to one."""
    chance = np.asarray(probs, dtype=float)
    if chance.ndim != 1 or np.any(~(chance >= 0)) or abs(chance.sum() - 1.0) > 1e-6:
        msg = f"probabilities must not be negative and add up to 1, got {chance.tolist()}"
        raise ValueError(msg)
    return chance


def _payoff(payoff: ArrayLike, states: int) -> np.ndarray:
    table = np.asarray(payoff, dtype=float)
    if table.ndim != 2 or table.shape[1] != states or not np.isfinite(table).all():
        msg = f"the payoff needs one row per choice and one finite number per state ({states}), got {table.shape}"
        raise ValueError(msg)
    return table


def perfect_information(probs: ArrayLike, payoff: ArrayLike) -> PerfectInformation:
    """Expected value with and without full knowledge; payoff[choice, state].

    >>> found = perfect_information([0.5, 0.5], [[200_000, -180_000], [100_000, -20_000], [0, 0]])
    >>> found.best_expected, found.expected_best, found.evpi
    (40000.0, 100000.0, 60000.0)
    """
    chance = probabilities(probs)
    table = _payoff(payoff, chance.size)
    return PerfectInformation(float((table @ chance).max()), float(table.max(axis=0) @ chance))


def sample_information(probs: ArrayLike, payoff: ArrayLike, likelihood: ArrayLike) -> tuple[float, float]:
    """Value of deciding after a signal, and what the signal adds: likelihood[signal, state].

    Sum over signals of max over choices of sum over states p(state) p(signal | state) payoff. The
    columns of the likelihood add up to one.

    >>> payoff = [[200_000, -180_000], [100_000, -20_000], [0, 0]]
    >>> value, gain = sample_information([0.5, 0.5], payoff, [[0.7, 0.2], [0.3, 0.8]])
    >>> round(value), round(gain)
    (59000, 19000)
    """
    chance = probabilities(probs)
    table, signal = _payoff(payoff, chance.size), np.asarray(likelihood, dtype=float)
    if signal.ndim != 2 or signal.shape[1] != chance.size or np.any(~(signal >= 0)):
        msg = f"the likelihood needs one row per signal and one number per state ({chance.size})"
        raise ValueError(msg)
    if not np.allclose(signal.sum(axis=0), 1.0, atol=1e-6):
        msg = f"the likelihoods of all signals must add up to 1 in every state, got {signal.sum(axis=0).tolist()}"
        raise ValueError(msg)
    value = float((table @ (signal * chance).T).max(axis=0).sum())
    return value, value - float((table @ chance).max())


def value_of_signal(
    benefit: ArrayLike, signal: ArrayLike, *, degree: int = 3, products: bool = True
) -> tuple[float, float]:
    """Return what it is worth to see a signal before choosing, and perfect information, from draws.

    `benefit[choice, draw]` is the net benefit, `signal[draw, s]` what would be seen: inputs
    themselves (value of partial perfect information) or noisy measurements of them (sample
    information). The expected benefit given the signal is a regression on polynomials of the
    signals and, unless there are too many of them (`products`), their products of two; value = mean of its maximum - maximum of its mean. It lies between nothing and
    perfect information up to the error of the regression.

    >>> z = np.random.default_rng(1).standard_normal((20_000, 1))
    >>> worth, perfect = value_of_signal([z[:, 0], np.zeros(20_000)], z)
    >>> round(worth, 1), round(perfect, 1)
    (0.4, 0.4)
    """
    values, seen = np.atleast_2d(np.asarray(benefit, dtype=float)), np.asarray(signal, dtype=float)
    seen = seen[:, None] if seen.ndim == 1 else seen
    if values.shape[1] != len(seen) or not (np.isfinite(values).all() and np.isfinite(seen).all()):
        msg = f"as many signals as draws are needed, all finite, got {len(seen)} and {values.shape[1]}"
        raise ValueError(msg)
    best = values.mean(axis=1).max()
    perfect = float(values.max(axis=0).mean() - best)
    spread = seen.std(axis=0)
    seen = (seen[:, spread > 0] - seen.mean(axis=0)[spread > 0]) / spread[spread > 0]
    columns = [np.ones(len(seen))]
    for index in range(seen.shape[1]):
        columns += [seen[:, index] ** power for power in range(1, degree + 1)]
        columns += [seen[:, index] * seen[:, other] for other in range(index)] if products else []
    basis = np.column_stack(columns)
    fitted = basis @ np.linalg.lstsq(basis, values.T, rcond=None)[0]
    worth = float(fitted.max(axis=1).mean() - fitted.mean(axis=0).max())
    return min(max(worth, 0.0), perfect), perfect


def seen_with_error(values: ArrayLike, error: float, noise: np.random.Generator) -> np.ndarray:
    """Logarithms of what is measured of values above 0 with a log standard error, of the same shape; each with an error of its own."""
    known = np.log(np.asarray(values, dtype=float))
    return known + error * noise.standard_normal(known.shape)
