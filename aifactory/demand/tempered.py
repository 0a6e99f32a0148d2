"""Draws of a posterior from draws of its prior: sequential Monte Carlo with tempering.

The likelihood is let in step by step, L^b with b from 0 to 1, each b as far from the one before as leaves half of the draws
with weight. After every step draws are chosen by weight and moved by random-walk Metropolis steps of the width of the
cloud, so that many different ones are left where plain importance sampling keeps a handful.

References: Del Moral, Doucet and Jasra, Sequential Monte Carlo samplers, J. R. Stat. Soc. B 68, 2006; the width of
steps, 2.38 / d^(1/2), is that of Roberts, Gelman and Gilks, Ann. Appl. Probab. 7, 1997.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

KEPT, MOVES, STEP, MOST_STEPS = 0.5, 12, 2.38, 60


def tempered_draws(
    log_likelihood: Callable[[np.ndarray], np.ndarray], prior: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Draws of the posterior, all of one weight, and the logarithm of the evidence, the mean likelihood under the prior.

    Parameters
    ----------
    log_likelihood : of points (n, d), shape (n,).
    prior : (n, d), independent standard normals.

    >>> rng = np.random.default_rng(0)
    >>> found, evidence = tempered_draws(lambda x: -50 * np.square(x[:, 0] - 1), rng.standard_normal((4000, 1)), rng)
    >>> round(found.mean(), 1), round(found.std(), 1)  # normal prior and normal data: 1 / 1.01 and 0.1 / 1.01^(1/2)
    (np.float64(1.0), np.float64(0.1))
    """
    points, fit, share, evidence = prior, log_likelihood(prior), 0.0, 0.0
    for _ in range(MOST_STEPS):
        more = _further(fit, 1.0 - share)
        share += more
        weight = np.exp(more * (fit - fit.max()))
        evidence += float(more * fit.max() + np.log(weight.mean()))
        chosen = np.searchsorted(
            np.cumsum(weight) / weight.sum(), (np.arange(len(points)) + rng.random()) / len(points)
        )
        points, fit = _moved(log_likelihood, points[chosen], fit[chosen], share, rng)
        if share >= 1.0:
            break
    return points, evidence


def _further(fit: np.ndarray, left: float) -> float:
    """Largest step of the power, at most what is left, after which `KEPT` of the draws count; by bisection."""

    def counts(step: float) -> float:
        weight = np.exp(step * (fit - fit.max()))
        return float(weight.sum() ** 2 / np.square(weight).sum()) / len(fit)

    if counts(left) >= KEPT:
        return left
    low, high = 0.0, left
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if counts(middle) >= KEPT else (low, middle)
    return high


def _moved(
    log_likelihood: Callable[[np.ndarray], np.ndarray],
    points: np.ndarray,
    fit: np.ndarray,
    share: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws after random-walk Metropolis steps for prior x likelihood^share."""
    count, width = points.shape
    spread = np.atleast_2d(np.cov(points.T)) + 1e-12 * np.eye(width)
    root = STEP / np.sqrt(width) * np.linalg.cholesky(spread)
    for move in range(MOVES):
        tried = points + rng.standard_normal((count, width)) @ root.T / (1, 3)[move % 2]
        found = log_likelihood(tried)
        gain = share * (found - fit) - 0.5 * (np.square(tried).sum(axis=1) - np.square(points).sum(axis=1))
        taken = np.log(rng.random(count)) < gain
        points, fit = np.where(taken[:, None], tried, points), np.where(taken, found, fit)
    return points, fit
