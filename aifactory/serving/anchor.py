"""Capacity of an accelerator that was not measured, anchored in ones that were.

Ratios of datasheet figures are poor predictors, and how poor is known: left out chip by chip, the
geometric mean of bandwidth and peak missed public server results by 16 % (median) and 47 % (90th
percentile), offline results by 9 % and 59 %. The interval of an anchored figure is the 90th
percentile; it is meant to be wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

SERVING_ERROR_P90 = 0.47
TRAINING_ERROR_P90 = 0.59
#: Median of server over offline throughput in public rounds.
SERVER_OVER_OFFLINE = 0.91
SCENARIO_ORDER = ("server", "offline", "interactive", "concurrency")
ERROR_SOURCE = "leave-one-chip-out on MLPerf Inference v4.1 to v6.0, 90th percentile"


@dataclass(frozen=True)
class Estimate:
    """Units per second of one accelerator with its interval, tier and evidence."""

    units_per_s: float
    low: float
    high: float
    tier: str
    evidence: str


def no_estimate(reason: str) -> Estimate:
    """Nothing can be said; the evidence tells what to measure."""
    return Estimate(np.nan, np.nan, np.nan, "none", f"benchmark first: {reason}")


def speed_ratio(candidate: pd.Series, anchor: pd.Series, training: bool) -> float:
    """Relative speed of two accelerators from their specifications; NaN where one is unknown.

    Training: ratio of achievable (else peak) dense BF16. Serving: geometric mean of the ratios of
    memory bandwidth and peak dense BF16.
    """
    flops = [_flops(chip, achievable=training) for chip in (candidate, anchor)]
    if training:
        return float(flops[0] / flops[1])
    bandwidth = candidate["memory_bw_gb_per_s"] / anchor["memory_bw_gb_per_s"]
    return float(np.sqrt(bandwidth * flops[0] / flops[1]))


def _flops(chip: pd.Series, *, achievable: bool) -> float:
    best = chip["achievable_bf16_tflops"]
    return best if achievable and np.isfinite(best) else chip["peak_bf16_dense_tflops"]


def anchored_estimate(
    candidate: pd.Series, anchors: pd.DataFrame, measured: pd.Series, *, training: bool, evidence: str
) -> Estimate:
    """Scale measured capacities to a candidate: geometric mean over the anchors.

    Parameters
    ----------
    candidate : row of the accelerators table.
    anchors : rows of the accelerators table, indexed by accelerator_id.
    measured : units per second per accelerator, indexed by accelerator_id.
    evidence : what the anchors are.
    """
    ratios = np.array([speed_ratio(candidate, anchors.loc[name], training) for name in measured.index])
    values = measured.to_numpy(dtype=float) * ratios
    values = values[np.isfinite(values) & (values > 0)]
    if values.size == 0:
        return no_estimate("bandwidth or peak of the accelerator is not known, and nothing was measured on it")
    mean, error = float(np.exp(np.log(values).mean())), TRAINING_ERROR_P90 if training else SERVING_ERROR_P90
    return Estimate(
        mean, mean * (1 - error), mean * (1 + error), "anchored", f"{evidence}; +-{error:.0%}: {ERROR_SOURCE}"
    )


def public_rate(measurements: pd.DataFrame) -> pd.Series:
    """Server-equivalent rate per accelerator of public measurements of one model.

    One kind of run speaks for an accelerator, the first there is of `SCENARIO_ORDER`: server runs as they
    are, offline ones scaled to server, interactive ones (a tighter limit, so too low), at last the best
    of the runs at chosen concurrencies. Of server, offline and interactive runs the median counts.
    Indexed by accelerator_id; metric units per second.
    """
    rank = measurements["scenario"].map({name: number for number, name in enumerate(SCENARIO_ORDER)})
    chip = measurements["accelerator_id"]
    used = rank.notna() & (rank == rank.groupby(chip).transform("min"))
    value = measurements["value_per_accelerator"] * np.where(
        measurements["scenario"] == "offline", SERVER_OVER_OFFLINE, 1.0
    )
    groups = value[used].groupby(chip[used])
    points = measurements.loc[used, "scenario"].groupby(chip[used]).first() == "concurrency"
    return groups.median().mask(points, groups.max())


def memory_fits(params_total_b: float, precision_bytes: float, memory_gb: float, accelerators: int) -> bool:
    """Whether the weights fill at most 90 % of the memory of a node; unknown sizes fit.

    >>> memory_fits(70.0, 2.0, 80.0, 8), memory_fits(70.0, 2.0, 24.0, 1)
    (True, False)
    """
    need = params_total_b * precision_bytes
    return not (np.isfinite(need) and np.isfinite(memory_gb)) or need <= 0.9 * memory_gb * accelerators
