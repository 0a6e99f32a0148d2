"""A month's volume as load-duration blocks: how long the load stays how high, several streams together.

A plan that knows averages only buys too little, one that knows peaks only buys too much; blocks say for how
many hours each level is needed. Hours are ordered by the joint load of all streams, so that in each block the
streams' loads happen at the same time and may share capacity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aifactory.errors import InputError
from aifactory.units import HOURS_PER_MONTH

MOST_BLOCKS = 24


@dataclass(frozen=True)
class LoadBlocks:
    """Blocks from the highest load to the lowest; K streams, B blocks."""

    hours: np.ndarray  # [B] duration; adds up to the hours of the month
    load: np.ndarray  # [K, B] mean load per hour in the block; hours @ load is the volume
    peak: np.ndarray  # [K, B] highest load in a window of the block, per hour: what capacity must reach
    peak_window_minutes: int  # length of that window

    @property
    def joint_peak(self) -> float:
        """Highest coincident load of all streams, the sum of their peaks in the first block at most."""
        return float(self.peak.sum(axis=0).max(initial=0.0))


def load_duration_blocks(
    volume: np.ndarray,
    shape: np.ndarray,
    blocks: int = 3,
    *,
    hours: float = HOURS_PER_MONTH,
    peak_factor: np.ndarray | float = 1.0,
    peak_window_minutes: int = 60,
    labels: np.ndarray | None = None,
) -> LoadBlocks:
    """Cut a month into blocks of similar joint load.

    The cuts minimise the squared error of the joint load about the means of its blocks, exactly, by dynamic
    programming over the sorted hours (Fisher, "On grouping for maximum homogeneity", JASA 53, 1958).

    Parameters
    ----------
    volume : [K] units of the month (or a number).
    shape : [K, H] load of each hour relative to the mean (or [H]); rescaled to mean 1.
    blocks : at most this many; fewer where the load has fewer levels.
    hours : length of the month.
    peak_factor : [K] or a number, load of the highest window of `peak_window_minutes` over that of its whole hour.
    labels : [H] block of each hour, from `block_labels`, to keep the blocks of many months alike.

    Returns
    -------
    LoadBlocks: durations add up to `hours`; per stream, duration times load adds up to the volume.

    Raises
    ------
    InputError
        If a volume or shape is negative or not finite, or a shape with volume is all zero.

    Examples
    --------
    >>> found = load_duration_blocks(720.0, np.repeat([2.0, 0.5], [8, 16]), 2, hours=720)
    >>> found.hours.tolist(), found.load.round(6).tolist(), found.peak[0, 0].round(6)
    ([240.0, 480.0], [[2.0, 0.5]], np.float64(2.0))
    """
    volume, shape = np.atleast_1d(np.asarray(volume, dtype=float)), np.atleast_2d(np.asarray(shape, dtype=float))
    _check(volume, shape, blocks, hours)
    mean = shape.mean(axis=1, keepdims=True)
    relative = np.divide(shape, mean, out=np.ones_like(shape), where=mean > 0)
    load = volume[:, None] / hours * relative
    joint = load.sum(axis=0)
    labels = block_labels(joint, blocks) if labels is None else labels
    parts = [load[:, labels == block] for block in range(int(labels.max()) + 1)]
    means = np.stack([part.mean(axis=1) for part in parts], axis=1)
    highest = np.stack([part[:, part.sum(axis=0).argmax()] for part in parts], axis=1)
    duration = np.bincount(labels) * (hours / shape.shape[1])
    found = means @ duration
    means *= np.divide(volume, found, out=np.ones_like(volume), where=found > 0)[:, None]
    factor = np.broadcast_to(np.asarray(peak_factor, dtype=float), volume.shape)
    return LoadBlocks(duration, means, highest * factor[:, None], peak_window_minutes)


def block_labels(joint: np.ndarray, blocks: int) -> np.ndarray:
    """Block of every hour of a joint load, 0 the highest, [H].

    >>> block_labels(np.array([1.0, 9.0, 1.0, 5.0]), 3).tolist()
    [2, 0, 2, 1]
    """
    joint = np.asarray(joint, dtype=float)
    order = np.argsort(-joint, kind="stable")
    edges = best_cuts(joint[order], min(blocks, len(np.unique(joint))))
    labels = np.empty(len(joint), dtype=int)
    labels[order] = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    return labels


def _check(volume: np.ndarray, shape: np.ndarray, blocks: int, hours: float) -> None:
    if len(volume) != len(shape):
        raise InputError.at("load blocks", f"{len(volume)} volumes and {len(shape)} shapes do not match")
    for name, values in (("volume", volume), ("shape", shape)):
        if not np.isfinite(values).all() or (values < 0).any():
            raise InputError.at("load blocks", "must be finite and 0 or more", column=name)
    if ((shape.sum(axis=1) <= 0) & (volume > 0)).any():
        raise InputError.at("load blocks", "a stream with volume has no hour with load", column="shape")
    if not 1 <= blocks <= MOST_BLOCKS:
        raise InputError.at("load blocks", f"must be 1 to {MOST_BLOCKS}", column="blocks", value=blocks)
    if not hours > 0:
        raise InputError.at("load blocks", "must be above 0", column="hours", value=hours)


def best_cuts(ordered: np.ndarray, blocks: int) -> np.ndarray:
    """Edges of the blocks of least squared error of ordered values, [blocks + 1].

    >>> best_cuts(np.array([9.0, 9.0, 5.0, 1.0, 1.0, 1.0]), 3).tolist()
    [0, 2, 3, 6]
    """
    count = len(ordered)
    sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (ordered, np.square(ordered)))
    places = np.arange(count + 1)

    def error(first: np.ndarray, last: int) -> np.ndarray:
        return squares[last] - squares[first] - np.square(sums[last] - sums[first]) / (last - first)

    best = np.array([0.0, *(float(error(np.array([0]), last)[0]) for last in places[1:])])
    choices = []
    for block in range(1, blocks):
        least, choice = np.full(count + 1, np.inf), np.zeros(count + 1, dtype=int)
        for last in range(block + 1, count + 1):
            first = places[block:last]
            whole = best[first] + error(first, last)
            choice[last] = first[whole.argmin()]
            least[last] = whole.min()
        best = least
        choices.append(choice)
    edges = [count]
    for choice in reversed(choices):
        edges.append(int(choice[edges[-1]]))
    return np.array([0, *reversed(edges)])
