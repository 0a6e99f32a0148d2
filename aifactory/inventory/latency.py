"""Quantiles of latency that a server counted in buckets of its own: intervals, and what they say of a limit."""

from __future__ import annotations

import numpy as np
import pandas as pd

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
KEYS = ["use_case_id", "region", "metric"]


def quantile_interval(lower: np.ndarray, upper: np.ndarray, counts: np.ndarray, q: float) -> tuple[float, float]:
    """Interval that holds the quantile q of values known only to lie between bounds; NaN if there are none.

    Each value x_i lies in (lower_i, upper_i], so the value at rank ceil(q n) is at least that of the
    lower and at most that of the upper bounds (both are order statistics of sequences below and above x).
    Buckets of different widths may overlap.

    Parameters
    ----------
    lower, upper, counts : shape (buckets,); `upper` may be infinite.

    >>> bounds = np.array([0.0, 100.0, 500.0]), np.array([100.0, 500.0, np.inf])
    >>> quantile_interval(*bounds, np.array([50, 40, 10]), 0.9)
    (100.0, 500.0)
    """
    total = counts.sum()
    if not total > 0:
        return np.nan, np.nan
    rank = max(np.ceil(q * total - 1e-9), 1)
    ends = []
    for edge in (lower, upper):
        order = np.argsort(edge, kind="stable")
        ends.append(float(edge[order][np.searchsorted(np.cumsum(counts[order]), rank)]))
    return ends[0], ends[1]


def interval_levels(bounds: pd.DataFrame) -> pd.DataFrame:
    """p50, p95 and p99 per use case, region and metric as `_low` and `_high`, ms, with their `count`."""
    rows = []
    for key, group in bounds.groupby(KEYS):
        counts = group["count"].to_numpy()
        lower = group["lower_ms"].to_numpy(dtype=float)
        upper = group["upper_ms"].fillna(np.inf).to_numpy(dtype=float)
        row: dict[str, object] = dict(zip(KEYS, key, strict=True)) | {"count": int(counts.sum())}
        for name, q in QUANTILES.items():
            row[f"{name}_low"], row[f"{name}_high"] = quantile_interval(lower, upper, counts, q)
        rows.append(row)
    ends = [f"{name}_{end}" for name in QUANTILES for end in ("low", "high")]
    return pd.DataFrame(rows, columns=[*KEYS, "count", *ends])


def within(levels: pd.DataFrame) -> pd.Series:
    """Whether p95 is within `slo`; unknown where there is no limit, or where it lies inside the interval.

    >>> rows = {"p95_low": [1.0, 9.0, 1.0], "p95_high": [5.0, 12.0, 12.0], "slo": [5.0, 9.0, 5.0]}
    >>> within(pd.DataFrame(rows)).tolist()
    [True, False, <NA>]
    """
    point = levels["p95_low"] == levels["p95_high"]
    met = levels["p95_high"] <= levels["slo"]
    missed = (levels["p95_low"] > levels["slo"]) | (~point & (levels["p95_low"] >= levels["slo"]))
    return met.astype("boolean").mask(~(met | missed))


def over_limit(levels: pd.DataFrame) -> pd.Series:
    """p95 over its limit: at most so much where it is met, at least so much where it is missed; NaN if unknown.

    >>> rows = {"p95_low": [1.0, 9.0, 1.0], "p95_high": [4.0, 12.0, 12.0], "slo": [5.0, 6.0, 5.0]}
    >>> over_limit(pd.DataFrame(rows)).tolist()
    [0.8, 1.5, nan]
    """
    met = within(levels)
    told = levels["p95_high"].where(met.fillna(value=False), levels["p95_low"])
    return (told / levels["slo"]).where(met.notna())
