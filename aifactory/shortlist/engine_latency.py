"""Latency of a platform that was not measured: a measured curve moved by the ratio of two step-time laws.

At half of capacity a measured platform shows p95 r_m of each limit. The serving engine's closed-form
laws say by which factor q_m a time of the other platform differs when each runs at half of its own
saturation, so r_m q_m is the estimate; several measured platforms give their geometric mean. The
interval joins those of the two laws. Only language models that are simulated token by token have one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.workspace import Workspace
from aifactory.serving.closed_forms import fluid_capacity
from aifactory.serving.fleet import RequestStream
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_estimate import StepTimeEstimate, estimate_step_time

SHARE_OF_SATURATION = 0.5
METRICS = ("p95_ttft_ms", "p95_tpot_ms", "p95_e2e_ms")


@dataclass(frozen=True)
class Times:
    """Times of a request at half of saturation, milliseconds in the order of `METRICS`, and half the log interval."""

    ms: np.ndarray
    half_log: float
    tier: str


def lengths(ws: Workspace) -> pd.DataFrame:
    """Mean input and output tokens of a request in the reporting month, by use case; only where both are known."""
    sums = (
        ws.month("demand_windows")
        .groupby("use_case_id")[["requests", "input_tokens", "output_tokens"]]
        .sum(min_count=1)
    )
    sums = sums.astype("float64")
    means = sums[["input_tokens", "output_tokens"]].div(sums["requests"].where(sums["requests"] > 0), axis=0)
    return means[(means >= 1).all(axis=1)]


def loaded_step_s(law: StepTime, requests_per_s: float, input_tokens: float, output_tokens: float) -> float:
    """Mean time of a step at a steady rate: t = step(lambda D t decodes, lambda t prompts), solved by iteration.

    lambda D t sequences decode at once (Little), at least the one that is looked at; each new request
    brings its prompt. Infinite at or beyond saturation.

    >>> law = StepTime(1e-4, 8e-3, 5e-8, 1e-10, 1e-3, 400_000)
    >>> loaded_step_s(law, 1e-9, 500, 100) < loaded_step_s(law, 4.0, 500, 100) < loaded_step_s(law, 40.0, 500, 100)
    True
    """
    decode, pairs = max(output_tokens - 1, 0.0), input_tokens * (input_tokens + 1) / 2
    context = input_tokens + (decode + 1) / 2
    time = law.floor_tpot_s(context)
    for _ in range(500):
        batch, new = max(requests_per_s * decode * time, 1.0), requests_per_s * time
        longer = float(law.step_s(batch + new * input_tokens, batch + new, batch * context, new * pairs))
        if longer > 1e3:
            return np.inf
        if abs(longer - time) <= 1e-9 * longer:
            return longer
        time = longer
    return np.inf


def times_at_half(estimate: StepTimeEstimate, input_tokens: float, output_tokens: float) -> Times:
    """TTFT, TPOT and end to end of a mean request with each replica at half of its own saturation."""
    whole = np.array([max(round(input_tokens), 1)]), np.array([max(round(output_tokens), 1)])
    law = estimate.law
    rate = SHARE_OF_SATURATION * fluid_capacity(law, RequestStream(np.zeros(1), *whole)).requests_per_s
    step = loaded_step_s(law, rate, input_tokens, output_tokens)
    chunks = max(input_tokens / law.chunk_tokens, 1.0)
    ttft = law.floor_ttft_s(int(whole[0][0])) + step * chunks
    times = np.array([ttft, step, ttft + max(output_tokens - 1, 0.0) * step]) * 1000
    return Times(times, float(np.log(estimate.high80 / estimate.low80) / 2), estimate.tier)


def estimate_latencies(ws: Workspace, cells: pd.DataFrame, shares: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """Worst p95 over its limit for cells without a curve, from the cells of the same use case that have one.

    Parameters
    ----------
    shares : (use case, accelerator) -> p95 over limit in the order of `METRICS` at half of capacity,
        NaN where there is no limit or no figure.

    Returns
    -------
    ratio, low, high and tier by index of `cells`; only cells that could be estimated.
    """
    models, chips = (
        ws.table("models").set_index("model", drop=False),
        ws.table("accelerators").set_index("accelerator_id", drop=False),
    )
    cases, means = ws.table("use_cases").set_index("use_case_id"), lengths(ws)
    found: dict[object, tuple[float, float, float, str]] = {}
    for name, group in cells.groupby("use_case_id"):
        model = cases.loc[name, "model"]
        measured = {chip: shares[name, chip] for chip in group["accelerator_id"] if (name, chip) in shares}
        if not measured or model not in models.index or name not in means.index:
            continue
        known = {chip: _times(models.loc[model], chips.loc[chip], means.loc[name]) for chip in group["accelerator_id"]}
        for index, cell in group.iterrows():
            chip = cell["accelerator_id"]
            if chip not in measured and cell["units_per_s_per_accelerator"] > 0 and known[chip] is not None:
                estimate = _moved(
                    known[chip], [(known[ref], share) for ref, share in measured.items() if known[ref] is not None]
                )
                if estimate is not None:
                    found[index] = estimate
    return pd.DataFrame.from_dict(found, orient="index", columns=["ratio", "low", "high", "tier"])


def _times(model: pd.Series, chip: pd.Series, means: pd.Series) -> Times | None:
    try:
        estimate = estimate_step_time(model, chip)
    except InputError:
        return None
    times = times_at_half(estimate, float(means["input_tokens"]), float(means["output_tokens"]))
    return times if np.isfinite(times.ms).all() else None


def _moved(own: Times, measured: list[tuple[Times, np.ndarray]]) -> tuple[float, float, float, str] | None:
    if not measured:
        return None
    logs = np.array([np.log(share) + np.log(own.ms) - np.log(times.ms) for times, share in measured])
    seen = np.isfinite(logs).any(axis=0)
    if not seen.any():
        return None
    worst = float(np.exp(np.nanmean(logs[:, seen], axis=0)).max())
    half = float(np.hypot(own.half_log, np.mean([times.half_log for times, _ in measured])))
    return worst, worst * np.exp(-half), worst * np.exp(half), f"engine, {own.tier}"
