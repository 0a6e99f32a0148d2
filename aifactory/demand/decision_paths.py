"""Demand paths as orders face them: doubt grows for a year and no further.

Paths say how far demand may be from its middle path in every month to come. An order is not decided with the doubt of
its last month: the plan is made anew every month, and what is needed in three years is ordered when the path has shown
itself. A plan that fixes all its orders today over the whole doubt buys the fleet of the worst futures in advance. So
the doubt of a cell stops growing once it has been at work for `DOUBT_MONTHS`: the longest lead time of hardware and the
months in which it pays for itself. It is the usual stand-in for a tree of decisions, which cannot be
solved for so many streams (Birge and Louveaux, Introduction to Stochastic Programming, 2nd ed., 2011, chapter 10).
What a commitment of three years risks in its last two years is understated by it; the scenarios and the returns of
the report keep the whole doubt.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aifactory.demand.scenarios import Paths

#: Months at work after which the doubt of a cell grows no more.
DOUBT_MONTHS = 12


def decision_paths(paths: Paths, months: int = DOUBT_MONTHS) -> Paths:
    """Paths whose spread around the middle path stays, after so many months at work, what it is then.

    With m_t the median of the paths of a cell and s_t the standard deviation of log(path / m_t) over the paths
    that are at work, every path becomes m_t (path / m_t)^p with p = min(1, s at the month / s_t). The middle path,
    the order of the paths and months without work stay as they are.

    Parameters
    ----------
    months : months at work, counted from the first month in which the middle path is above zero; 1 or more.

    Examples
    --------
    >>> work = np.exp(np.array([-1.0, 0.0, 1.0])[:, None] * [0.1, 0.2, 0.4])[:, None, None, :]
    >>> held = decision_paths(Paths(("chat",), ("eu",), work, work), 2)
    >>> np.log(held.work[2, 0, 0]).round(3).tolist()
    [0.1, 0.2, 0.2]
    """
    return replace(paths, units=_held(paths.units, months), work=_held(paths.work, months))


def _held(work: np.ndarray, months: int) -> np.ndarray:
    middle = np.median(work, axis=0)
    alive = (work > 0) & (middle > 0)
    logs = np.log(np.where(alive, work, 1.0) / np.where(middle > 0, middle, 1.0))
    count = np.maximum(alive.sum(axis=0), 1)
    away = np.where(alive, logs - logs.sum(axis=0) / count, 0.0)
    spread = np.sqrt(np.square(away).sum(axis=0) / count)
    at_work = np.cumsum(middle > 0, axis=-1)
    turn = np.maximum((at_work <= months).sum(axis=-1, keepdims=True) - 1, 0)
    most = np.take_along_axis(spread, turn, axis=-1)
    grown = (at_work > months) & (spread > most)
    power = np.where(grown, most / np.where(grown, spread, 1.0), 1.0)
    return np.where(alive & grown, middle * np.exp(power * logs), work)
