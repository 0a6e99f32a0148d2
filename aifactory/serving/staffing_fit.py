"""Fit the constants of square-root staffing to the event simulator.

    python -m aifactory.serving.staffing_fit 2026-11-29 > data/prediction/staffing.csv

Cells: six models on six accelerators, five pairs of lengths. In each, fleets of 1 to 64 replicas serve streams at 14
loads (lengths lognormal with a coefficient of variation of 1, or all alike; arrivals whose counts in ten seconds vary
twice their mean, as in two public traces: 2.1 and 1.9 within blocks of ten minutes in Azure 2023 conversations and
Mooncake 2025, 1.0 in image requests). For limits of 1.3 to 10 times the p95 of an idle fleet, the load at which the
p95 crosses the limit is the SLO-safe load of that fleet. k is the one number per latency that is nearest to all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aifactory.serving.arrivals import stream_from_profile
from aifactory.serving.catalogue_rows import find_model, find_row
from aifactory.serving.closed_forms import fluid_capacity
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, Pool, RequestStream
from aifactory.serving.staffing import EQUAL_WORK, even_accelerators, safe_accelerators
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_estimate import estimate_step_time

PAIRS = (
    ("Llama-3.1-8B", "nvidia-h100-sxm"), ("Llama-3.1-70B", "nvidia-h100-sxm"), ("Qwen3-32B", "nvidia-a100-80-sxm"),
    ("gpt-oss-120b", "nvidia-h200-sxm"), ("Llama-3.1-8B", "nvidia-l4"), ("Llama-3.1-70B", "google-tpu-v6e"),
)  # fmt: skip
LENGTHS = ((256, 64), (1200, 160), (3000, 300), (8000, 100), (500, 800))
FLEETS = np.array([1, 2, 4, 8, 16, 32, 64])
LOADS = np.array([0.02, 0.06, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.68, 0.76, 0.82, 0.88, 0.94, 1.0])
LIMITS = (1.3, 1.6, 2.0, 3.0, 5.0, 10.0)
#: Even loads, in replicas, at which fitted and simulated counts are compared.
ASKED = np.array([0.3, 0.6, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 40])
LATENCIES = ("ttft", "tpot", "e2e")
DISPERSION, WINDOW_S = 2.0, 10.0
SOURCE = "fitted to the event simulator, see aifactory/serving/staffing_fit.py"


@dataclass(frozen=True)
class Curve:
    """SLO-safe load by fleet size of one cell and limit, in requests per second, and requests in progress per replica."""

    latency: str
    in_progress: float
    requests_per_s: np.ndarray


def stream_at(rate: float, count: int, lengths: tuple[int, int], spread: float, most: int, seed: int) -> RequestStream:
    """About `count` requests at a rate, lengths of one distribution in random order."""
    windows = np.full(max(int(count / (rate * WINDOW_S)), 3), rate * WINDOW_S)
    arrival = stream_from_profile(windows, WINDOW_S, [1], [1], dispersion=DISPERSION, seed=seed).arrival_s
    draw = np.random.default_rng(seed + 1)
    prompts, answers = (draw.permutation(_lengths(mean, arrival.size, spread)) for mean in lengths)
    return RequestStream(arrival, np.minimum(prompts, most - 2000), np.minimum(answers, 1900))


def _lengths(mean: int, count: int, spread: float) -> np.ndarray:
    from scipy.special import ndtri

    sigma = np.sqrt(np.log1p(spread**2))
    values = mean * np.exp(sigma * ndtri((np.arange(count) + 0.5) / count) - sigma**2 / 2)
    return np.maximum(np.rint(values), 1).astype(np.int64)


def cell_curves(
    law: StepTime, lengths: tuple[int, int], spread: float, fleets: np.ndarray = FLEETS, size: int = 12_000
) -> list[Curve]:
    """Curves of one law and pair of lengths for every latency and limit that some load keeps and some does not."""
    most = int(0.9 * law.kv_capacity_tokens)
    fluid = fluid_capacity(law, stream_at(10.0, size, lengths, spread, most, 0)).requests_per_s
    p95 = {name: np.zeros((len(fleets), len(LOADS))) for name in LATENCIES}
    stay_s = np.zeros(len(LOADS))
    for row, count in enumerate(fleets):
        for column, load in enumerate(LOADS):
            stream = stream_at(load * count * fluid, size + 800 * count, lengths, spread, most, 1)
            run = simulate_fleet(stream, Fleet(Pool(law, int(count)), routing="least_outstanding"))
            settled = slice(len(stream) // 10, None)
            for name in LATENCIES:
                p95[name][row, column] = np.nanpercentile(getattr(run, f"{name}_s")[settled], 95)
            stay_s[column] = np.nanmean(run.e2e_s[settled])
    return list(_read_off(p95, stay_s, fluid, fleets))


def _read_off(p95: dict[str, np.ndarray], stay_s: np.ndarray, fluid: float, fleets: np.ndarray) -> Iterator[Curve]:
    """Loads at which the p95 crosses each limit; `stay_s` is the mean time in the system of the largest fleet."""
    for name, values in p95.items():
        grown = np.maximum.accumulate(values, axis=1)
        for limit in np.array(LIMITS) * grown[-1, 0]:
            share = np.array([np.interp(limit, row, LOADS, left=0.0) for row in grown])
            if 0.05 < share[-1] < 0.98:
                busy = share[-1] * fluid * np.interp(share[-1], LOADS, stay_s)
                yield Curve(name, busy, share * fleets * fluid)


def replicas_asked(curve: Curve, k: float, fleets: np.ndarray = FLEETS) -> np.ndarray:
    """Whole replicas for the even loads of `ASKED` that the curve reaches, [3, loads]: even, simulated, fitted.

    The largest fleet says what a replica serves of an even load.
    """
    even = curve.requests_per_s[-1] / even_accelerators(fleets[-1], curve.in_progress, k)
    safe = np.maximum.accumulate(curve.requests_per_s)
    asked = ASKED[ASKED * even <= safe[-1]]
    simulated = np.interp(asked * even, np.r_[0.0, safe], np.r_[0, fleets])
    counts = np.array([asked, simulated, safe_accelerators(asked, curve.in_progress, k)])
    return np.maximum(np.ceil(counts - 1e-9), 1)


def fit(curves: list[Curve]) -> float:
    """The k whose relative SLO-safe loads of the smaller fleets are nearest to the simulated ones, in absolute mean."""
    from scipy.optimize import minimize_scalar

    def error(k: float) -> float:
        even = [even_accelerators(FLEETS, curve.in_progress, k) / FLEETS for curve in curves]
        safe = [curve.requests_per_s / FLEETS for curve in curves]
        return float(np.mean([np.abs(e / e[-1] - s / s[-1]).mean() for e, s in zip(even, safe, strict=True)]))

    return float(minimize_scalar(error, bounds=(0.0, 8.0), method="bounded").x)


def all_curves() -> dict[str, list[Curve]]:
    """Curves of all cells by constant; end to end of equal lengths apart."""
    found: dict[str, list[Curve]] = {name: [] for name in (*LATENCIES, EQUAL_WORK)}
    for model, platform in PAIRS:
        rows = (
            find_model(model, "model"),
            find_row("accelerators", "accelerator_id", platform, "platform"),
        )
        for lengths in LENGTHS:
            law = estimate_step_time(*rows, context_tokens=lengths[0] + lengths[1] / 2).law
            for spread in (1.0, 0.0):
                for curve in cell_curves(law, lengths, spread):
                    if spread or curve.latency == "e2e":
                        found[curve.latency if spread else EQUAL_WORK].append(curve)
            sys.stderr.write(f"{model} {platform} {lengths}\n")
    return found


def main(as_of: str) -> None:
    """Print the table of constants with their errors, in whole replicas against the simulator."""
    sys.stdout.write(
        "latency,k,within_one_share,median_error,mean_error,largest_error,mean_error_even,cases,source,as_of\n"
    )
    for name, curves in all_curves().items():
        k = fit(curves)
        even, simulated, fitted = np.concatenate([replicas_asked(curve, k) for curve in curves], axis=1)
        off, flat = np.abs(fitted - simulated), np.abs(even - simulated)
        shown = f"{k:.3f},{np.mean(off <= 1):.3f},{np.median(off):.0f},{off.mean():.2f},{off.max():.0f},{flat.mean():.2f},{off.size}"
        sys.stdout.write(f'{name},{shown},"{SOURCE}",{as_of}\n')


if __name__ == "__main__":
    main(sys.argv[1])
