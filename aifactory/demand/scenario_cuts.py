"""Conservative, expected and aggressive demand: cuts through simulated paths at quantiles of their total.

The total adds all cells in one common unit. A cut at level q has, in every month, the total that a share q of
the paths stays below, and puts each cell at one and the same quantile u of its own paths:

    cut_c(q) = Q_c(u),   u such that   sum_c weight_c Q_c(u) = q-quantile of the total.

Parts therefore add up, unlike quantiles of the cells at q itself, which are wider and must not be added: where
cells do not move as one, u lies nearer to the middle than q. A certain cell keeps its value at every level, an
uncertain one stands near its median in the expected cut rather than at its mean, which a few paths may carry far
above it, and no part falls from one level to the next. This is the quantile allocation with a common level of
Dhaene, Tsanakas, Valdez and Vanduffel, "Optimal capital allocation principles", Journal of Risk and Insurance
79(1), 2012, section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aifactory.demand.scenarios import Paths
from aifactory.errors import InputError

LEVELS = (0.1, 0.5, 0.9)
#: Sums that differ by less than this share are equal.
ROUNDING = 1e-13


@dataclass(frozen=True)
class Cuts:
    """Coherent cuts and, for themselves, the quantiles of cells. L levels, W workloads, R regions, T months."""

    levels: tuple[float, ...]
    units: np.ndarray  # [L, W, R, T] parts of each cut
    work: np.ndarray  # [L, W, R, T] the same at today's size of a unit
    total: np.ndarray  # [L, T] quantiles of the total, in the common unit
    place: np.ndarray  # [L, T] the quantile of itself at which every cell stands
    cell_units: np.ndarray  # [L, W, R, T] quantiles of every cell: not to be added


def cut_paths(paths: Paths, weight: np.ndarray, levels: tuple[float, ...] = LEVELS) -> Cuts:
    """Cut paths at quantiles of the total, month by month.

    Parameters
    ----------
    weight : [W, R], work of a unit of each cell in the common unit (USD, accelerator-hours, tokens).

    Returns
    -------
    Cuts; in each month `total` and every part rise with the level, and parts times weight add up to the total.
    A single path is its own cut at every level.

    Raises
    ------
    InputError
        If a weight is negative or none is above 0.

    Examples
    --------
    A certain cell of 10 beside one of 1, 2 or 9 (median 2, mean 4):

    >>> units = np.array([[10.0, 1.0], [10.0, 2.0], [10.0, 9.0]])[:, :, None, None]
    >>> cut = cut_paths(Paths(("sure", "unsure"), ("eu",), units, units), np.ones((2, 1)), (0.5,))
    >>> cut.units.ravel().tolist(), cut.total.tolist(), cut.place.tolist()
    ([10.0, 2.0], [[12.0]], [[0.5]])
    """
    weight = np.asarray(weight, dtype=float)
    if not np.isfinite(weight).all() or (weight < 0).any() or not (weight > 0).any():
        raise InputError.at("weights of the total", "must be 0 or more, and one above 0")
    total = np.quantile(np.einsum("swrt,wr->st", paths.work, weight), levels, axis=0)
    units = np.sort(paths.units, axis=0)
    work = units if paths.work is paths.units else np.sort(paths.work, axis=0)
    rank = _ranks(np.einsum("swrt,wr->st", work, weight), total, levels)
    parts = _at(units, rank)
    own = np.repeat(np.multiply(levels, len(units) - 1)[:, None], total.shape[1], axis=1)
    share = rank / max(len(units) - 1, 1)
    return Cuts(tuple(levels), parts, parts if work is units else _at(work, rank), total, share, _at(units, own))


def _ranks(summed: np.ndarray, wanted: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Rank, 0 to S - 1, at which rising sums [S, T] reach what is wanted, [L, T]; nearest to the level where several do."""
    ranks, own = np.arange(len(summed), dtype=float), np.multiply(levels, len(summed) - 1)
    slack = ROUNDING * wanted + np.finfo(float).tiny
    first, last = (
        np.stack(
            [np.interp(wanted[:, t] + side * slack[:, t], summed[:, t], ranks) for t in range(summed.shape[1])], axis=1
        )
        for side in (-1, 1)
    )
    return np.clip(own[:, None], first, last)


def _at(rising: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Values [L, W, R, T] of sorted paths [S, W, R, T] at the ranks of each month, [L, T]."""
    before = np.clip(np.floor(rank).astype(int), 0, max(len(rising) - 2, 0))
    after = np.minimum(before + 1, len(rising) - 1)
    months = np.arange(rising.shape[-1])
    low, high = (np.moveaxis(rising[place, :, :, months], 1, -1) for place in (before, after))
    return low + (high - low) * (rank - before)[:, None, None, :]


def groups_of_paths(values: np.ndarray, membership: np.ndarray) -> np.ndarray:
    """Sums of cells by group: values [S, W, R, T], membership [G, W, R] of 0 and 1; [S, G, T].

    >>> groups_of_paths(np.ones((1, 2, 1, 3)), np.ones((1, 2, 1))).tolist()
    [[[2.0, 2.0, 2.0]]]
    """
    return np.einsum("swrt,gwr->sgt", values, membership)
