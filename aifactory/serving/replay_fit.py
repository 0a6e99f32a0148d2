"""Step-time numbers from measured latencies of requests, by replaying their arrivals.

Where nobody measured single steps, the times to first and last token of a served stream still say what
a step takes: the simulator replays the stream and a few numbers of the law are moved until its latencies
agree. One busy stream is enough; other loads are then predicted, not fitted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, RequestStream
from aifactory.serving.step_time import StepTime

#: What a table of matrix products does not say: reads of weights and KV cache, attention of prompts.
FITTED = ("s_weights", "s_per_kv_token", "s_per_attention_pair")
LEVELS = np.arange(2, 100, 2)
#: Errors beyond this count by their size, not by their square.
TOLERANT = 0.1
#: About so many single requests enter beside the quantiles.
SINGLE = 1000
#: Each number is sought between a fourth and four times its start.
SPAN = np.log(4.0)


def fit_to_latencies(
    requests: RequestStream,
    ttft_s: np.ndarray,
    e2e_s: np.ndarray,
    fleet: Fleet,
    *,
    fitted: tuple[str, ...] = FITTED,
    seed: int = 0,
) -> StepTime:
    """Least squares in the log of latencies: quantiles of TTFT and E2E, and single requests.

    The law of `fleet.main` gives the numbers that stay and the start of those that move. The loss is
    soft, sum of 2 (sqrt(1 + (e / 0.1)^2) - 1), since one late step changes a whole queue; the search is global
    (differential evolution), since the numbers can stand in for each other and valleys are many.

    Parameters
    ----------
    ttft_s, e2e_s : shape (n,), measured times of the same requests, above 0.
    fitted : fields of `StepTime` to move; those at 0 cannot.
    """
    from scipy.optimize import differential_evolution

    start = fleet.main.law
    every = max(1, len(requests) // SINGLE)
    share = 1 / np.sqrt(np.ceil(len(requests) / every))

    def law_at(logs: np.ndarray) -> StepTime:
        return replace(start, **dict(zip(fitted, np.exp(logs).tolist(), strict=True)))

    def misfit(logs: np.ndarray) -> float:
        run = simulate_fleet(requests, replace(fleet, main=replace(fleet.main, law=law_at(logs))))
        parts = []
        for ours, theirs in ((run.ttft_s, ttft_s), (run.e2e_s, e2e_s)):
            parts += [share * np.log(ours / theirs)[::every], _quantile_misfit(ours, theirs)]
        return float(np.sum(np.sqrt(1 + (np.concatenate(parts) / TOLERANT) ** 2) - 1))

    first = np.log([getattr(start, name) for name in fitted])
    bounds = [(value - SPAN, value + SPAN) for value in first]
    found = differential_evolution(misfit, bounds, rng=seed, popsize=10, maxiter=40, tol=1e-6, polish=False, x0=first)
    return replace(law_at(found.x), tier=f"fitted to latencies: {', '.join(fitted)}")


def _quantile_misfit(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    ratio = np.log(np.percentile(ours, LEVELS) / np.percentile(theirs, LEVELS))
    return ratio / np.sqrt(LEVELS.size)


def latency_errors(ours_s: np.ndarray, theirs_s: np.ndarray) -> dict[str, float]:
    """Relative errors of P50, P90 and P99, and the median relative error per request."""
    errors = {f"p{p}": float(np.percentile(ours_s, p) / np.percentile(theirs_s, p) - 1) for p in (50, 90, 99)}
    return errors | {"per_request": float(np.median(np.abs(ours_s / theirs_s - 1)))}
