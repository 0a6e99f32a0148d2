"""Bands about a forecast from its own earlier errors: split-conformal quantiles by horizon bucket."""

from __future__ import annotations

import numpy as np

#: Weight of an error falls by this factor from one origin to the one before it.
ORIGIN_DECAY = 0.93
#: Weight of an error falls with its distance in steps ahead, by e over half a horizon.
HORIZON_REACH = 0.5
BUCKETS = 3
#: Few origins share their level: quantiles of their errors are widened by this factor ...
WIDENING = 1.2
#: ... and by the past coverage, to this power, with a prior worth so many horizons; within these limits.
ADAPTATION, PRIOR_HORIZONS, ADAPTATION_LIMITS = 0.6, 4.0, (0.5, 2.0)
#: Scale of an error: this share of the step's forecast, the rest of the mean over the horizon.
LOCAL_SHARE = 0.2
LEAST_SCALE = 0.02
INNER_LEVELS = (0.1, 0.9)
MIN_ERRORS = 4


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles of weighted values, linear between the midpoints of their weights.

    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.ones(3), np.array([0.5])).tolist()
    [2.0]
    """
    order = np.argsort(values, kind="stable")
    grown = np.cumsum(weights[order])
    return np.interp(levels, (grown - weights[order] / 2) / grown[-1], values[order])


def error_scale(forecast: np.ndarray, mean_level: float) -> np.ndarray:
    """What an error is measured by: level of the forecast, part of it that of the step. Same shape."""
    level = np.abs(forecast).mean(axis=-1, keepdims=True)
    return LOCAL_SHARE * np.abs(forecast) + (1 - LOCAL_SHARE) * level + LEAST_SCALE * mean_level + 1e-12


def conformal_bands(
    point: np.ndarray, earlier: np.ndarray, actual: np.ndarray, levels: np.ndarray, mean_level: float
) -> np.ndarray:
    """Quantiles of each step ahead from the errors of earlier forecasts, shape (levels, horizon).

    Errors are pooled over origins in three buckets of the horizon, recent origins and near steps
    first, once as they are and once relative to the level forecast. Below the median the relative
    ones count, which shrink as the level shrinks; above it the mean of both. Quantiles are widened by
    `WIDENING` and by how far the earlier bands missed 80 %. Without at least four errors, the band
    is that of a random walk.

    Parameters
    ----------
    point : (horizon,), the forecast, also its median.
    earlier, actual : (origins, horizon), newest origin first; NaN where nothing was observed yet.
    levels : probabilities in rising order.
    mean_level : mean of the absolute history, for the least scale.

    References
    ----------
    Gibbs and Candes 2021 (adaptive conformal inference); Tibshirani et al. 2019 (weights).
    """
    horizon, known = len(point), np.isfinite(actual)
    origin, step = np.nonzero(known)
    weight = ORIGIN_DECAY**origin
    error = (actual - earlier)[known]
    relative = error / error_scale(earlier, mean_level)[known]
    factor = WIDENING * _past_miss(relative, origin, weight, known.sum(axis=1), horizon)
    spread, share = np.empty((2, len(levels), horizon))
    for steps in np.array_split(np.arange(horizon), min(BUCKETS, horizon)):
        near = weight * np.exp(-np.abs(step - steps.mean()) / (horizon * HORIZON_REACH))
        spread[:, steps] = weighted_quantiles(error, near, levels)[:, None]
        share[:, steps] = weighted_quantiles(relative, near, levels)[:, None]
    scale, below = error_scale(point, mean_level), (levels < 0.5)[:, None]
    absolute, relative_band = _one_sided(spread, levels), _one_sided(share, levels) * scale
    return point + factor * np.where(below, relative_band, (absolute + relative_band) / 2)


def _one_sided(quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Lower quantiles at most zero, upper ones at least zero, the median zero: bands hold the forecast."""
    side = np.sign(levels - 0.5)[:, None]
    return np.where(side < 0, np.minimum(quantiles, 0.0), np.where(side > 0, np.maximum(quantiles, 0.0), 0.0))


def _past_miss(relative: np.ndarray, origin: np.ndarray, weight: np.ndarray, counts: np.ndarray, horizon: int) -> float:
    """Factor on the bands of each origin, made from older origins only, that would have covered 80 %."""
    ratios = []
    for newest in range(len(counts) - 3):
        older, own = origin > newest, origin == newest
        if older.sum() < MIN_ERRORS or not own.any():
            continue
        low, high = weighted_quantiles(relative[older], weight[older], np.array(INNER_LEVELS))
        errors = relative[own]
        ratios.append(np.where(errors > 0, errors / max(high, 1e-9), errors / min(low, -1e-9)))
    if not ratios:
        return 1.0
    pooled = np.concatenate(ratios)
    horizons = len(pooled) / horizon
    miss = np.clip(np.quantile(pooled, INNER_LEVELS[1] - INNER_LEVELS[0]), *ADAPTATION_LIMITS)
    return float(miss ** (ADAPTATION * horizons / (horizons + PRIOR_HORIZONS)))
