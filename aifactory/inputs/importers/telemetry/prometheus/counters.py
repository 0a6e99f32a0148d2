"""Counters and histograms of a server: increases by window across resets and gaps, quantiles as intervals.

A histogram of buckets does not know a quantile, only the bucket it lies in; that interval is reported,
never a point within it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Samples further apart than so many scrape intervals leave a gap between them.
GAP_INTERVALS = 2.5
#: A first value up to so many times the largest increase of one interval was counted since the start of the pod.
BORN_INTERVALS = 2.0


@dataclass(frozen=True)
class Counted:
    """What one counter says about the windows between neighbouring edges; arrays of shape (windows,)."""

    increase: np.ndarray
    covered: np.ndarray  # share of the window of which the counter knows the increase
    spread: np.ndarray  # part of the increase that fell into a gap, laid evenly over it
    resets: int
    lost: float  # about what was counted between the last sample and a reset, and is gone
    history: float  # first value that was counted before the series was seen, and is left out


def counter_increase(values: np.ndarray) -> np.ndarray:
    """Increase between neighbouring samples of a counter; after a reset it has counted from zero.

    Shape (n - 1,). A scrape gap loses nothing, since the next sample holds what was counted meanwhile;
    what was counted between the last sample and a reset is lost, as in every counter.

    >>> counter_increase(np.array([10.0, 15.0, 2.0, 2.0])).tolist()
    [5.0, 2.0, 0.0]
    """
    values = np.asarray(values, dtype=float)
    step = np.diff(values)
    return np.where(step < 0, values[1:], step)


def window_counts(
    times: np.ndarray, values: np.ndarray, edges: np.ndarray, interval: float, *, born: bool | None = None
) -> Counted:
    """Increase of a counter in each window, by linear interpolation between samples.

    Between two samples the increase is laid evenly. A gap without a reset keeps its increase (its total
    is known, its profile is not). After a reset within a gap the new count belongs to the last interval
    and the rest of the gap is unknown, not zero. Before the first and after the last sample nothing is
    known, but for one interval before the first one of a counter that was `born` there.

    Parameters
    ----------
    times : seconds, rising; values : the samples, finite, 0 or more.
    edges : seconds, rising, shape (windows + 1,).
    interval : seconds between scrapes.
    born : whether the first value was counted since the sample before it would have been; None decides
        by its size (at most twice the largest increase of one interval).

    >>> counted = window_counts(np.array([0.0, 60, 120]), np.array([5.0, 11, 2]), np.array([0.0, 60, 120]), 60)
    >>> counted.increase.tolist(), counted.resets, counted.lost
    ([6.0, 2.0], 1, 4.0)
    """
    increase, apart = counter_increase(values), np.diff(times)
    reset, gap = np.diff(values) < 0, apart > GAP_INTERVALS * interval
    rate = increase / np.where(apart > 0, apart, 1)
    if born is None:
        usual = rate[~reset].max() * interval if (~reset).any() else 0.0
        born = bool(values[0] <= BORN_INTERVALS * usual)
    start = values[0] if born else 0.0
    cumulative = start + np.concatenate([[0.0], np.cumsum(increase)])
    hole = np.flatnonzero(reset & gap)
    late = times[hole + 1] - interval  # what is counted after a reset in a gap began here
    knots = np.concatenate([[times[0] - interval], times])
    counts = np.concatenate([[0.0], cumulative])
    order = np.argsort(np.concatenate([knots, late]), kind="stable")
    at, count = np.concatenate([knots, late])[order], np.concatenate([counts, cumulative[hole]])[order]
    return Counted(
        np.diff(np.interp(edges, at, count)),
        np.diff(_covered(edges, times, interval if start > 0 else 0.0, times[hole], late)) / np.diff(edges),
        np.diff(np.interp(edges, times, np.concatenate([[0.0], np.cumsum(np.where(gap & ~reset, increase, 0))]))),
        int(reset.sum()),
        float(_lost(rate, np.minimum(apart, interval), reset, np.where(gap, 0.0, values[1:]))),
        0.0 if born else float(values[0]),
    )


def _covered(edges: np.ndarray, times: np.ndarray, lead: float, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Seconds known up to each edge: from `lead` before the first sample to the last one, without the holes."""
    known = np.clip(edges, times[0] - lead, times[-1])
    holes = np.clip(edges[:, None], begin, end) - begin
    return known - holes.sum(axis=1)


def _lost(rate: np.ndarray, span: np.ndarray, reset: np.ndarray, after: np.ndarray) -> float:
    """Counted at the rate before each reset, for one interval at most, and not seen after it: what is about lost.

    What a pod may have counted in a gap before it restarted is unknown and no part of it.
    """
    at = np.flatnonzero(reset[1:]) + 1
    return np.maximum(rate[at - 1] * span[at] - after[at], 0).sum()


def whole_counts(increase: np.ndarray) -> np.ndarray:
    """Whole counts whose sum is the rounded sum: each rest is carried into the next window.

    >>> whole_counts(np.array([0.4, 0.4, 0.4])).tolist()
    [0, 1, 0]
    """
    return np.diff(np.rint(np.cumsum(increase)), prepend=0.0).astype("int64")


def bucket_interval(bounds: np.ndarray, cumulative: np.ndarray, q: float, unknown: float = 0.0) -> tuple[float, float]:
    """Interval [low, high] of the buckets that hold rank q n of a cumulative histogram; NaN if empty.

    Parameters
    ----------
    bounds : upper bounds ("le") in rising order, the last one infinite.
    cumulative : observations at or below each bound.
    unknown : observations that are missing from the histogram and may lie in any bucket; the interval
        widens to hold the rank wherever they lie.

    >>> bucket_interval(np.array([0.1, 0.5, np.inf]), np.array([50.0, 90.0, 100.0]), 0.9)
    (0.1, 0.5)
    >>> bucket_interval(np.array([0.1, 0.5, np.inf]), np.array([50.0, 90.0, 100.0]), 0.9, unknown=5)
    (0.1, inf)
    """
    total = cumulative[-1] if len(cumulative) else 0.0
    if not total > 0:
        return float("nan"), float("nan")
    # all missing ones above the rank, or all below it: rank q (n + u) counts u or none of them
    low, high = max(q * (total + unknown) - unknown, 0.0), q * (total + unknown)
    first, last = (int(np.searchsorted(cumulative, rank * (1 - 1e-12))) for rank in (low, high))
    return (float(bounds[first - 1]) if first else 0.0), float(bounds[min(last, len(bounds) - 1)])


def merge_histograms(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, int]:
    """Add cumulative histograms over the bounds they share; returns how many parts had other bounds.

    Counts at or below a shared bound add up exactly, so a coarser histogram stays true.
    """
    shared = sorted(set.intersection(*(set(bounds) for bounds, _ in parts)))
    every = set.union(*(set(bounds) for bounds, _ in parts))
    total = np.zeros(len(shared))
    for bounds, cumulative in parts:
        total += cumulative[np.searchsorted(bounds, shared)]
    other = sum(len(bounds) < len(every) for bounds, _ in parts)
    return np.array(shared), total, other
