"""Capacity that a share of weighted windows, or of their demand, exceeds."""

from __future__ import annotations

import numpy as np

#: Share of the windows that the power law beyond the highest is read from, and its highest index.
TAIL_SHARE, MOST_TAIL_INDEX = 0.1, 0.5


def exceeded_by(top: np.ndarray, weights: np.ndarray, target: float) -> float:
    """Value that a share `target` of the windows exceeds.

    Parameters
    ----------
    top : (origins, kept), the highest windows after each origin, in any order.
    weights : (origins,), weight of one window; over all windows, kept or not, they add up to one.

    >>> exceeded_by(np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([0.25]), 0.25)
    4.0
    """
    flat, weight = top.ravel(), np.repeat(weights, top.shape[1])
    order = np.argsort(-flat, kind="stable")
    if not flat[order[0]] > 0:
        return 0.0
    high, grown = flat[order], np.cumsum(weight[order])
    place = int(np.searchsorted(grown, target * (1 - 1e-9)))
    if place == 0:
        return float(high[0] * (grown[0] / target) ** _tail_index(high, grown))
    place = min(place, len(high) - 1)
    share = (target - grown[place - 1]) / (grown[place] - grown[place - 1])
    if not high[place] > 0:
        return float(high[place - 1] * (1 - share))
    return float(np.exp(np.interp(share, [0.0, 1.0], np.log(high[place - 1 : place + 1]))))


def unserved_by(top: np.ndarray, weights: np.ndarray, target: float) -> float:
    """Capacity c that leaves a share `target` of the demand unserved: sum w (v - c)+ = target sum w v.

    Between two windows the left side falls in a straight line, so the answer is exact; it is never above
    the highest window. Parameters as of `exceeded_by`, all windows kept.

    >>> unserved_by(np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([0.25]), 0.1)
    3.0
    """
    flat, weight = top.ravel(), np.repeat(weights, top.shape[1])
    order = np.argsort(-flat, kind="stable")
    high, grown, demand = flat[order], np.cumsum(weight[order]), np.cumsum((weight * flat)[order])
    if demand[-1] <= 0:
        return 0.0
    above = demand - grown * high  # unserved at a capacity of each window
    place = int(np.searchsorted(above, target * demand[-1], side="right")) - 1
    return float((demand[place] - target * demand[-1]) / grown[place])


def _tail_index(high: np.ndarray, grown: np.ndarray) -> float:
    """Hill estimate over the highest tenth, at most one half (finite variance)."""
    count = int(np.searchsorted(grown, TAIL_SHARE))
    if not 2 < count < len(high) or not high[count] > 0:
        return 0.0
    return float(np.clip(np.log(high[:count] / high[count]).mean(), 0.0, MOST_TAIL_INDEX))
