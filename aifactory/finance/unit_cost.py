"""Cost of one service unit from first principles: nothing paid is left out, nothing counted twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aifactory.units import MEGA


def load_factor(failure_rate: ArrayLike, measured_failure_rate: ArrayLike = 0.0) -> np.ndarray:
    """Work per successful unit, relative to the measured rate of successful units.

    Each success takes 1 / (1 - failure rate) attempts, retried or not, and failed attempts use
    accelerators too; a measured rate already carries the failures of its own test:
    (1 - measured failure rate) / (1 - failure rate).

    >>> float(load_factor(0.2))
    1.25
    >>> float(load_factor(0.02, 0.02))
    1.0
    """
    failed, measured = np.asarray(failure_rate, dtype=float), np.asarray(measured_failure_rate, dtype=float)
    if np.any((failed < 0) | (failed >= 1) | (measured < 0) | (measured >= 1)):
        msg = "failure rates must be in [0, 1)"
        raise ValueError(msg)
    return (1.0 - measured) / (1.0 - failed)


def allocate(total: ArrayLike, weights: ArrayLike) -> np.ndarray:
    """Split totals over the last axis of the weights; the parts add up to the totals.

    Where all weights are zero the total is split evenly, so that no money is lost. Weights that are
    negative or no number are refused: they would hand one part more than the whole, or hide it.

    >>> allocate(90.0, [1, 2, 0]).tolist()
    [30.0, 60.0, 0.0]
    """
    weight = np.asarray(weights, dtype=float)
    least = -1e-9 * np.abs(weight).sum()  # rounding
    if weight.shape[-1:] == (0,) or not (np.isfinite(weight) & (weight >= least)).all():
        msg = "a total needs at least one weight, and weights must be finite and not negative"
        raise ValueError(msg)
    whole = weight.sum(axis=-1, keepdims=True)
    share = np.where(whole > 0, weight / np.where(whole > 0, whole, 1.0), 1.0 / weight.shape[-1])
    return np.asarray(total, dtype=float)[..., None] * share


def split_compute(paid_usd: ArrayLike, useful: ArrayLike, failed: ArrayLike, idle: ArrayLike) -> np.ndarray:
    """Cost of paid capacity by what it did: useful work, failed work and retries, idle reserve.

    The three are accelerator-hours; their sum is the hours paid for. Last axis of the result:
    useful, failed, idle.

    >>> split_compute(100.0, 60.0, 5.0, 35.0).tolist()
    [60.0, 5.0, 35.0]
    """
    hours = np.stack(np.broadcast_arrays(useful, failed, idle), axis=-1).astype(float)
    return allocate(paid_usd, hours)


def api_usd_per_unit(
    input_tokens: ArrayLike,
    cached_input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    *,
    input_usd_per_mtok: float,
    output_usd_per_mtok: float,
    cached_input_usd_per_mtok: float = float("nan"),
) -> np.ndarray:
    """Price of one unit at a hosted model: tokens x price, cached prompt tokens at their own price.

    Without a price for cached tokens they cost as much as others.

    >>> tokens = {"input_tokens": 1000, "cached_input_tokens": 400, "output_tokens": 200}
    >>> prices = {"input_usd_per_mtok": 2.5, "output_usd_per_mtok": 10.0, "cached_input_usd_per_mtok": 1.25}
    >>> float(api_usd_per_unit(**tokens, **prices))
    0.004
    """
    cached_price = input_usd_per_mtok if np.isnan(cached_input_usd_per_mtok) else cached_input_usd_per_mtok
    cached = np.asarray(cached_input_tokens, dtype=float)
    if np.any(cached > np.asarray(input_tokens, dtype=float) * (1 + 1e-9)) or np.any(cached < 0):
        msg = "cached prompt tokens must be from 0 to the prompt tokens that they are part of"
        raise ValueError(msg)
    fresh = np.asarray(input_tokens, dtype=float) - cached
    paid = fresh * input_usd_per_mtok + cached * cached_price + np.asarray(output_tokens, float) * output_usd_per_mtok
    return paid / MEGA
