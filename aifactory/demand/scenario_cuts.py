"""Conservative, expected and aggressive demand: cuts through simulated paths at quantiles of their total.

The total adds all cells in one common unit. A cut at level q has, in every month, the total that a share q of
the paths stays below, and gives each cell its mean over the paths whose total lies nearest to it:

    cut_c(q) = E[x_c | total = q-quantile],   so that   sum_c weight_c cut_c(q) = q-quantile of the total.

Parts therefore add up, unlike quantiles of the cells, which are wider and must not be added. This is the Euler
allocation of a quantile (Tasche, "Risk contributions and performance measurement", 1999, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aifactory.demand.scenarios import Paths
from aifactory.errors import InputError

LEVELS = (0.1, 0.5, 0.9)
#: Half the width of the neighbourhood of a quantile, as a share of all paths.
NEIGHBOURS = 0.05


@dataclass(frozen=True)
class Cuts:
    """Coherent cuts and, for themselves, the quantiles of cells. L levels, W workloads, R regions, T months."""

    levels: tuple[float, ...]
    units: np.ndarray  # [L, W, R, T] parts of each cut
    work: np.ndarray  # [L, W, R, T] the same at today's size of a unit
    total: np.ndarray  # [L, T] quantiles of the total, in the common unit
    cell_units: np.ndarray  # [L, W, R, T] quantiles of every cell: not to be added


def cut_paths(paths: Paths, weight: np.ndarray, levels: tuple[float, ...] = LEVELS) -> Cuts:
    """Cut paths at quantiles of the total, month by month.

    Parameters
    ----------
    weight : [W, R], work of a unit of each cell in the common unit (USD, accelerator-hours, tokens).

    Returns
    -------
    Cuts; in each month `total` rises with the level, and parts times weight add up to it.
    A single path is its own cut at every level.

    Raises
    ------
    InputError
        If a weight is negative or none is above 0.
    """
    weight = np.asarray(weight, dtype=float)
    if not np.isfinite(weight).all() or (weight < 0).any() or not (weight > 0).any():
        raise InputError.at("weights of the total", "must be 0 or more, and one above 0")
    total = np.einsum("swrt,wr->st", paths.work, weight)
    quantiles = np.quantile(total, levels, axis=0)
    count = len(total)
    width = max(1, round(2 * NEIGHBOURS * count))
    order = np.argsort(total, axis=0, kind="stable")
    shape = (len(levels), *paths.units.shape[1:])
    units, work = np.zeros(shape), np.zeros(shape)
    for place, level in enumerate(levels):
        first = int(np.clip(round(level * (count - 1) - (width - 1) / 2), 0, count - width))
        near = order[first : first + width]
        units[place], work[place] = _mean_of(paths.units, near), _mean_of(paths.work, near)
        found = np.einsum("wrt,wr->t", work[place], weight)
        ratio = np.divide(quantiles[place], found, out=np.ones_like(found), where=found > 0)
        units[place] *= ratio
        work[place] *= ratio
    return Cuts(tuple(levels), units, work, quantiles, np.quantile(paths.units, levels, axis=0))


def _mean_of(values: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Mean over the paths `near` [n, T] of each month, [W, R, T]."""
    months = np.arange(values.shape[-1])
    return values[near, :, :, months].mean(axis=0).transpose(1, 2, 0)


def groups_of_paths(values: np.ndarray, membership: np.ndarray) -> np.ndarray:
    """Sums of cells by group: values [S, W, R, T], membership [G, W, R] of 0 and 1; [S, G, T].

    >>> groups_of_paths(np.ones((1, 2, 1, 3)), np.ones((1, 2, 1))).tolist()
    [[[2.0, 2.0, 2.0]]]
    """
    return np.einsum("swrt,gwr->sgt", values, membership)
