"""Step time of a replica from measured steps: the law of the specifications, moved to what was measured.

Times of single steps (of a probe on the accelerator at hand) move five groups of the law's numbers, each by
one factor, by least squares in the logarithm; a weak pull keeps factors near 1 that the steps do not
determine, so that a few steps are enough and many decide alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.serving.intervals import conformal_quantile
from aifactory.serving.step_time import StepTime

#: Groups of numbers that one factor moves.
GROUPS = (
    ("s_per_token", "s_per_link_token"), ("s_weights", "s_experts"), ("s_per_kv_token",), ("s_per_attention_pair",),
    ("s_per_step", "s_per_sequence"),
)  # fmt: skip
COLUMNS = ("batch", "context_tokens", "chunk_tokens", "median_ms")
#: One standard deviation of a factor before anything was measured, and of a measured step, in log units.
FACTOR_SD, STEP_SD = 1.0, 0.05
#: Steps that a fit needs, and the factor of 5 between the smallest and the largest that tells its groups apart.
STEPS_MIN, SPREAD_MIN = 8, 5.0


def steps_s(law: StepTime, steps: pd.DataFrame) -> np.ndarray:
    """Time of each step: `batch` sequences decoding at `context_tokens` each, and a prompt chunk of `chunk_tokens`.

    >>> law = StepTime(1e-4, 8e-3, 5e-8, 1e-10, 1e-3, 400_000)
    >>> round(float(steps_s(law, pd.DataFrame({"batch": [1], "context_tokens": [1000], "chunk_tokens": [0]}))[0]), 8)
    0.00905
    """
    batch, context, chunk = (steps[name].to_numpy(dtype=float) for name in COLUMNS[:3])
    return law.step_s(batch + chunk, batch + (chunk > 0), batch * context, chunk * (chunk + 1) / 2)


def fit_to_steps(law: StepTime, steps: pd.DataFrame, *, tier: str) -> tuple[StepTime, float]:
    """The law moved to measured steps, and the half width of its 80 % interval (log units).

    Parameters
    ----------
    law : start; groups that are 0 in it stay so.
    steps : columns batch, context_tokens, chunk_tokens, median_ms (above 0), one row per step.

    The half width is the conformal 80 % quantile of what each step is off when a tenth of the steps, taken in
    turn, is left out of the fit.

    Raises
    ------
    InputError
        Fewer than 8 steps, or all of about the same time.
    """
    times = steps["median_ms"].to_numpy(dtype=float) * 1e-3
    wrong = ~np.isfinite(times) | (times <= 0)
    if wrong.any():
        raise InputError.at("steps", "must be a positive time", column="median_ms", row=int(np.argmax(wrong)) + 2)
    if len(times) < STEPS_MIN or times.max() < SPREAD_MIN * times.min():
        raise InputError(
            f"steps: {len(times)} measured steps do not determine a step time: at least {STEPS_MIN} are needed, "
            f"the slowest {SPREAD_MIN:g} times the fastest"
        )
    off = np.empty(len(times))
    for fold in range(min(10, len(times))):
        held = np.arange(len(times)) % 10 == fold
        off[held] = np.log(times[held] / steps_s(_fit(law, steps[~held], times[~held]), steps[held]))
    return replace(_fit(law, steps, times), tier=tier), conformal_quantile(np.abs(off), 0.8)


def _fit(law: StepTime, steps: pd.DataFrame, times: np.ndarray) -> StepTime:
    from scipy.optimize import least_squares

    def moved(logs: np.ndarray) -> StepTime:
        values = {
            name: getattr(law, name) * np.exp(log) for log, group in zip(logs, GROUPS, strict=True) for name in group
        }
        return replace(law, **{name: float(value) for name, value in values.items()})

    def residuals(logs: np.ndarray) -> np.ndarray:
        return np.r_[np.log(steps_s(moved(logs), steps) / times) / STEP_SD, logs / FACTOR_SD]

    return moved(least_squares(residuals, np.zeros(len(GROUPS)), loss="soft_l1").x)
