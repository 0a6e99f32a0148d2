"""Population stability: how far a distribution moved between two months, and what chance alone would show."""

from __future__ import annotations

import numpy as np
from scipy import stats

#: Usual bands of the index: below the first stable, above the second shifted. A rule of thumb of credit
#: scoring: Siddiqi, Credit Risk Scorecards, 2006, chapter 10.
WATCH, SHIFTED = 0.10, 0.25
BINS, CONFIDENCE = 10, 0.95
#: Added to every count, so that an empty cell has a logarithm (Jeffreys' prior of a share).
PRIOR = 0.5


def stability_index(base: np.ndarray, now: np.ndarray) -> float:
    """Population stability index of two samples counted in the same cells.

        PSI = sum_i (q_i - p_i) ln(q_i / p_i),   p_i = (base_i + 1/2) / (sum base + cells / 2), q_i likewise,

    zero for equal shares, without upper limit, and the same in both directions. It is the symmetric
    Kullback-Leibler divergence (Jeffreys 1946). Cells that are empty in both samples are left out.

    Parameters
    ----------
    base, now : counts, shape (cells,).

    Returns
    -------
    Index, 0 or more; NaN where one of the samples is empty.

    >>> round(stability_index(np.array([500_000, 500_000]), np.array([600_000, 400_000])), 4)
    0.0405
    >>> stability_index(np.array([10, 20]), np.array([100, 200])) < 0.001
    True
    """
    base, now = np.asarray(base, dtype=float), np.asarray(now, dtype=float)
    seen = (base + now) > 0
    if base.sum() <= 0 or now.sum() <= 0:
        return np.nan
    p, q = (np.where(seen, counts + PRIOR, 0.0) for counts in (base, now))
    p, q = p[seen] / p.sum(), q[seen] / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def chance_index(base: np.ndarray, now: np.ndarray, confidence: float = CONFIDENCE) -> float:
    """Index that two samples of one distribution stay below with that confidence.

    With n and m independent values in B cells the index is (1/n + 1/m) times a chi-square with B - 1
    degrees of freedom, so its mean is (B - 1)(1/n + 1/m). Requests that come in sessions are not
    independent: the true limit is then higher.

    Reference: Yurdakul and Naranjo, Statistical properties of the population stability index, Journal of
    Risk Model Validation 14(4), 2020.

    >>> round(chance_index(np.full(10, 100), np.full(10, 100)), 4)
    0.0338
    """
    base, now = np.asarray(base, dtype=float), np.asarray(now, dtype=float)
    cells = int(((base + now) > 0).sum())
    if base.sum() <= 0 or now.sum() <= 0:
        return np.nan
    return float(stats.chi2.ppf(confidence, max(cells - 1, 1)) * (1 / base.sum() + 1 / now.sum()))


def verdict(index: float, chance: float) -> str:
    """What an index says: stable, watch, shifted, or not proven where chance alone could reach the bands.

    >>> verdict(0.02, 0.001), verdict(0.15, 0.01), verdict(0.4, 0.01), verdict(0.2, 0.3), verdict(float("nan"), 0.1)
    ('stable', 'watch', 'shifted', 'not proven', 'not measured')
    """
    if not np.isfinite(index):
        return "not measured"
    if index <= chance and chance >= WATCH:
        return "not proven"
    if index < WATCH or index <= chance:
        return "stable"
    return "watch" if index <= SHIFTED else "shifted"


def tenths(base: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Cell of each bucket of a histogram, so that every cell holds about a tenth of the base sample.

    A bucket is never split: a cell ends with the bucket in which the cumulative share reaches the next
    tenth, so that a few often used sizes make fewer cells. Buckets above the base's last one fall into the
    last cell, those below its first into the first.

    Parameters
    ----------
    base : counts of the base sample by bucket, buckets in rising order, shape (n,).

    Returns
    -------
    Cell of each bucket, rising from 0 without gaps.

    >>> tenths(np.array([5, 1, 1, 3]), bins=2).tolist()
    [0, 1, 1, 1]
    """
    base = np.asarray(base, dtype=float)
    if base.sum() <= 0:
        return np.zeros(len(base), dtype="int64")
    before = (np.cumsum(base) - base) / base.sum()
    # the small shift keeps a share of exactly k tenths in the cell that it opens
    cell = np.minimum(np.floor(before * bins + 1e-9), bins - 1).astype("int64")
    used = np.unique(cell[base > 0])
    return np.clip(np.searchsorted(used, cell, side="right") - 1, 0, None)


def histogram_index(buckets: np.ndarray, base: np.ndarray, now: np.ndarray) -> tuple[float, float, int]:
    """Index, chance limit and number of cells of two histograms over the same buckets, in tenths of the base."""
    order = np.argsort(buckets, kind="stable")
    base, now = (np.asarray(counts, dtype=float)[order] for counts in (base, now))
    cell = tenths(base)
    cells = int(cell.max()) + 1 if len(cell) else 0
    merged = [np.bincount(cell, counts, minlength=cells) for counts in (base, now)]
    return stability_index(*merged), chance_index(*merged), cells
