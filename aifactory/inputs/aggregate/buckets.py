"""Logarithmic buckets: the same bucket for the same number in every engine.

Bucket b holds the values in (bound(b-1), bound(b)] with bound(b) = gamma^b (1 + 1e-11) and
gamma = 1.005 / 0.995, so the middle of a bucket is at most 0.5 % from each of its values (DDSketch,
Masson et al., VLDB 2019). Engines differ in the last digit of a logarithm. So a logarithm decides only
where its value lies clear of a bound; within 1e-8 of a whole number the value itself is compared with
the bound, a product of fixed factors that IEEE 754 makes the same everywhere. At the edge of that zone
both ways give the same bucket, so an error of the logarithm far below 1e-8 never shows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: Ratio of neighbouring bounds: any value of a bucket is within 0.5 % of its middle.
GAMMA = 1.005 / 0.995
LN_GAMMA = math.log(GAMMA)
BUCKET_OF_ZERO = -100_000
#: Added to each value so that zero has a logarithm; nothing is measured in such small parts.
TINY = 1e-18
LOWEST_BUCKET = -4_000
LARGEST_VALUE = 1e30
_ZONE = 1e-8
_SLACK = 1e-11
#: gamma^n is taken apart as gamma^(128 i - 8192) gamma^j: one exact product of two fixed factors.
_STEP, _LOWEST = 128, -8_192
_COARSE = [GAMMA**power * (1 + _SLACK) for power in range(_LOWEST, -_LOWEST, _STEP)]
_FINE = [GAMMA**power for power in range(_STEP)]


def log_bucket(values: np.ndarray) -> np.ndarray:
    """Bucket of each value; zero and less share `BUCKET_OF_ZERO`.

    Parameters
    ----------
    values : finite numbers up to 1e30, any unit.

    >>> log_bucket(np.array([0.0, 1.0, 100.0])).tolist()
    [-100000, 0, 461]
    """
    values = np.asarray(values, dtype=float)
    shifted = np.where(values > 0, values, 0.0) + TINY
    place = np.log(shifted) / LN_GAMMA
    nearest = np.floor(place + 0.5)
    close = np.abs(nearest - place) < _ZONE
    buckets = np.where(close, nearest + (shifted > bounds(nearest)), np.ceil(place)).astype("int64")
    return np.where(buckets < LOWEST_BUCKET, BUCKET_OF_ZERO, buckets)


def bounds(buckets: np.ndarray) -> np.ndarray:
    """Largest value of each bucket, to which `TINY` was added."""
    steps = np.clip(buckets, _LOWEST, -_LOWEST - 1).astype("int64") - _LOWEST
    return np.array(_COARSE)[steps // _STEP] * np.array(_FINE)[steps % _STEP]


def bucket_value(buckets: np.ndarray) -> np.ndarray:
    """Middle 2 gamma^b / (gamma + 1): at most 0.5 % from any value of the bucket."""
    buckets = np.asarray(buckets)
    return np.where(buckets == BUCKET_OF_ZERO, 0.0, 2 * GAMMA ** np.maximum(buckets, -10_000) / (GAMMA + 1))


def histogram_quantile(buckets: np.ndarray, counts: np.ndarray, q: float) -> float:
    """Value at rank ceil(q n) (inverse of the empirical distribution), within 0.5 %; NaN if empty.

    >>> round(histogram_quantile(log_bucket(np.array([10.0, 20.0, 30.0])), np.array([1, 1, 1]), 0.5), 1)
    20.0
    """
    counts = np.asarray(counts)
    if counts.size == 0 or counts.sum() == 0:
        return math.nan
    order = np.argsort(buckets, kind="stable")
    rank = max(math.ceil(q * counts.sum() - 1e-9), 1)
    position = np.searchsorted(np.cumsum(counts[order]), rank)
    return float(bucket_value(np.asarray(buckets)[order][position]))


def exact(number: float) -> ir.FloatingScalar:
    """A constant of exactly this double: engines read decimal literals as decimals and round them."""
    import ibis

    return ibis.literal(repr(float(number))).cast("float64")


def _listed(numbers: list[float], index: ir.IntegerColumn) -> ir.FloatingColumn:
    """The number at an index of a fixed list, as text: short for the planner, exact for the engine."""
    import ibis

    return ibis.literal(" ".join(repr(number) for number in numbers)).split(" ")[index].cast("float64")


def place(values: ir.NumericColumn) -> ir.FloatingColumn:
    """Logarithm of the value to the base gamma."""
    return (values.cast("float64") + exact(TINY)).ln() / exact(LN_GAMMA)


def bucket(values: ir.NumericColumn, places: ir.FloatingColumn, ceilings: ir.IntegerColumn) -> ir.IntegerColumn:
    """The bucket of `log_bucket` as a column; null stays null.

    Zero lands below `LOWEST_BUCKET`; `BUCKET_OF_ZERO` is put there when the counts are read.

    Parameters
    ----------
    values : zero to 1e30. `places` and `ceilings` are their `place` and its ceiling, as columns of an
        inner query, so that neither is computed twice.
    """
    import ibis

    gap = ceilings - places
    near = ibis.ifelse(gap > exact(0.5), ceilings - 1, ceilings)
    steps = near - _LOWEST
    bound = _listed(_COARSE, (steps // _STEP).cast("int32")) * _listed(_FINE, (steps % _STEP).cast("int32"))
    above = (values.cast("float64") + exact(TINY)) > bound
    close = (gap - exact(0.5)).abs() > exact(0.5 - _ZONE)
    return ibis.ifelse(close, ibis.ifelse(above, near + 1, near), ceilings).cast("int32")
