"""Robust fits without gradients: coordinate descent over positive constants, errors with levels taken out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

#: Shares of a peak cannot pass 1.
SHARES = (
    "compute_16bit",
    "compute_8bit",
    "compute_4bit",
    "bandwidth_hbm",
    "bandwidth_other",
    "bandwidth",
    "ttft_dense",
)
PULL, LEVEL_WEIGHT, CLIP, SWEEPS = 0.006, 0.25, 0.7, 5


def coordinate_descent(
    error: Callable[[dict[str, float]], float], start: dict[str, float], sweeps: int = SWEEPS
) -> dict[str, float]:
    """Minimise over positive constants, moving one at a time by a factor that grows and shrinks.

    >>> found = coordinate_descent(lambda c: abs(c["a"] - 2.0), {"a": 1.0}, sweeps=30)
    >>> round(found["a"], 2)
    2.0
    """
    values = {name: min(value, 1.0) if name in SHARES else value for name, value in start.items()}
    best = error(values)
    steps = dict.fromkeys(start, 0.25)
    for _ in range(sweeps):
        for name in values:
            for sign in (1, -1):
                moved = float(values[name] * np.exp(sign * steps[name]))
                trial = values | {name: min(moved, 1.0) if name in SHARES else moved}
                score = error(trial)
                if score < best - 1e-9:
                    best, values = score, trial
                    steps[name] *= 1.2
                    break
            else:
                steps[name] *= 0.5
    return values


def robust_error(residual: np.ndarray, group: np.ndarray, weight: np.ndarray) -> float:
    """Weighted mean absolute log error without and with the level of each group, clipped."""
    inside = residual - pd.Series(residual).groupby(group).transform("median").to_numpy()
    level = residual - np.median(residual)
    return float(
        np.average(np.minimum(np.abs(inside), CLIP), weights=weight)
        + LEVEL_WEIGHT * np.average(np.minimum(np.abs(level), 1.0), weights=weight)
    )


def pull(constants: dict[str, float], start: dict[str, float]) -> float:
    """Weak pull of constants towards their start, squares of log ratios."""
    return PULL * sum(np.log(constants[name] / start[name]) ** 2 for name in start)
