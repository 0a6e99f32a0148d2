"""Capacity inside the SLO, read off a measured throughput-latency curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

#: 90th percentile of the deviation between submitters of one chip, model and scenario in public
#: benchmark rounds (MLPerf Inference v4.1 to v6.0): what one run may be off by.
RUN_TO_RUN_P90 = 0.065
#: Latency -> its column in a run, and that of its limit in a use case.
LATENCY_COLUMNS = {"TTFT": ("p95_ttft_ms", "slo_p95_ttft_ms"), "TPOT": ("p95_tpot_ms", "slo_p95_tpot_ms"),
                   "E2E": ("p95_e2e_ms", "slo_p95_e2e_ms")}  # fmt: skip


@dataclass(frozen=True)
class CurveCapacity:
    """Capacity of one run: units per second of the system, and what limits it."""

    units_per_s: float
    binding: str

    @property
    def is_lower_bound(self) -> bool:
        """Whether no limit was reached, so that the true capacity may be higher."""
        return self.binding == "not reached"


def capacity_at_slo(
    units_per_s: np.ndarray, latencies: Mapping[str, np.ndarray], limits: Mapping[str, float]
) -> CurveCapacity:
    """Highest throughput at which every latency stays within its limit.

    Points are sorted by throughput, each latency is made non-decreasing (running maximum: a dip
    at higher load is noise), and the crossing is interpolated linearly. The smallest crossing
    binds. Points beyond saturation, where throughput falls while latency grows, are covered by
    the running maximum.

    Parameters
    ----------
    units_per_s : shape (n,), successful units per second at each load point.
    latencies : name -> shape (n,), milliseconds; NaN where not measured.
    limits : name -> limit in milliseconds; names without a measured latency are ignored.

    Returns
    -------
    Capacity 0 and the binding name if even the lightest load misses a limit; the highest
    measured throughput and "not reached" if no limit is reached.

    >>> capacity_at_slo(np.array([10.0, 20.0]), {"ttft": np.array([100.0, 300.0])}, {"ttft": 200.0})
    CurveCapacity(units_per_s=15.0, binding='ttft')
    """
    order = np.argsort(units_per_s, kind="stable")
    load = np.asarray(units_per_s, dtype=float)[order]
    best = CurveCapacity(float(load[-1]), "not reached") if len(load) else CurveCapacity(0.0, "no points")
    for name, limit in limits.items():
        values = np.asarray(latencies.get(name, np.array([])), dtype=float)
        if values.size == 0 or not np.isfinite(values).any() or not np.isfinite(limit):
            continue
        crossing = _crossing(load[np.isfinite(values[order])], values[order][np.isfinite(values[order])], limit)
        saturated = crossing == best.units_per_s and best.is_lower_bound
        if crossing < best.units_per_s or saturated:
            best = CurveCapacity(crossing, name)
    return best


def _crossing(load: np.ndarray, latency: np.ndarray, limit: float) -> float:
    envelope = np.maximum.accumulate(latency)
    above = np.flatnonzero(envelope > limit)
    if above.size == 0:
        return np.inf
    first = above[0]
    if first == 0:
        return 0.0
    share = (limit - envelope[first - 1]) / (envelope[first] - envelope[first - 1])
    return float(load[first - 1] + share * (load[first] - load[first - 1]))


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of repeats with low and high: half their range, at least the public run-to-run noise.

    >>> interval(np.array([100.0]))
    (93.5, 100.0, 106.5)
    """
    values = np.asarray(values, dtype=float)
    mean = float(values.mean())
    half = max(float(np.ptp(values)) / 2, RUN_TO_RUN_P90 * mean)
    return max(mean - half, 0.0), mean, mean + half


def overlap(low_a: float, high_a: float, low_b: float, high_b: float) -> bool:
    """Whether two intervals overlap, so that no difference is proven."""
    return low_a <= high_b and low_b <= high_a
