"""Reserve of a stream without hours of its own: from the paths of its demand chain and the hours of its like.

    load of hour h on path s = level_s x hour_h,

with the level of a month relative to the expected one, drawn from every factor of the chain with its doubt (seats, share,
adoption, units per seat, work of a unit, noise of a month: `demand.scenarios`), and hours relative to their mean. The
capacity is the load that the target share of all hours of all paths exceeds; its risk is counted on the same hours, so it
is simulated and no record: it is as good as the stated factors.

What a plan knows when it decides. Capacity of a month is ordered one lead time before. Until the launch nothing was seen
and the whole doubt counts; from then on the level and the age of the month of decision are known, and only what moves
after it is left:

    level_s(t) = g_s / median of g over the paths that began in the same month,   g_s = d_s(t) / d_s(t - m)

with d the demand of a path and m the months of the lead time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from aifactory.demand.reserve import STEPS
from aifactory.units import HOURS_PER_MONTH

#: Load of equally likely hours over their mean where no stream was measured: the middles of 24 equal parts of the 714
#: hours of three public services over ten days (ServeGen, alibaba/ServeGen at f891d11, Apache-2.0), read 2026-11-24;
#: their highest hour is 1.6 to 2.1 times the mean.
PUBLIC_HOURS = np.array(
    [0.49, 0.60, 0.64, 0.69, 0.72, 0.74, 0.77, 0.82, 0.85, 0.88, 0.91, 0.94, 0.97, 1.01, 1.04, 1.09, 1.15, 1.21, 1.26, 1.32,
     1.38, 1.43, 1.49, 1.60]
)  # fmt: skip
RANGE = (0.1, 0.9)
#: Paths that must have begun in a month for their median growth to be told.
LEAST_PATHS = 20


@dataclass(frozen=True)
class ChainReserve:
    """Capacity over the expected average of a month, what it stands on and what it risks over all paths.

    The basis is the 95th percentile of the hours of the expected path. Shares are over all hours of all paths;
    `risk_low` and `risk_high` hold 80 % of the paths, `any_over` is the share of the paths with any hour over.
    `curve` holds a row per fixed reserve over the basis and a last one for this capacity, as that of `Reserve`.
    """

    basis_value: float
    capacity: float
    reserve: float
    exceedance: float
    risk_low: float
    risk_high: float
    any_over: float
    unserved: float
    utilization: float
    hours_per_month_over: float
    paths: int
    curve: pd.DataFrame = field(repr=False)


def levels_of(demand: np.ndarray, expected: np.ndarray, month: int, lead_months: int) -> np.ndarray:
    """Levels of a month relative to the expected one, as far as they are in doubt when the month is decided on.

    Parameters
    ----------
    demand : (S, T), demand of each path by month.
    expected : (T,), that of the expected scenario; above 0 in `month`.
    month : column of the month.
    lead_months : months between decision and month, 1 or more.

    Returns
    -------
    (S,) where nothing is expected at the decision; later one level for each path that has begun by then, months of
    launch with fewer than `LEAST_PATHS` paths left out.

    >>> paths = np.tile([[0.0, 1.0, 2.0], [0.0, 4.0, 10.0]], (20, 1))  # launched in the second month, seen in it
    >>> [np.unique(levels_of(paths, np.array([0.0, 2.0, 4.0]), month, 1)).round(3).tolist() for month in (1, 2)]
    [[0.5, 2.0], [0.889, 1.111]]
    """
    seen = month - lead_months
    if seen < 0 or not expected[seen] > 0:
        return demand[:, month] / expected[month]
    begun = demand[demand[:, seen] > 0]
    grown, first = begun[:, month] / begun[:, seen], (begun > 0).argmax(axis=1)
    alike = [grown[first == start] for start in np.unique(first)]
    found = [part / np.median(part) for part in alike if len(part) >= LEAST_PATHS and np.median(part) > 0]
    return np.concatenate(found) if found else demand[:, month] / expected[month]


def plan_chain(levels: np.ndarray, hours: np.ndarray, target: float) -> ChainReserve:
    """Capacity over the expected average that the target share of all hours of all paths exceeds.

    Parameters
    ----------
    levels : (S,), levels of the paths relative to the expected one, not negative.
    hours : (H,), load of hours of a stream of the same kind relative to their mean.
    target : share of the hours of all paths over capacity, above 0 and below 1.

    Two paths of 1 and 2 and hours of a half and one and a half: loads of 0.5, 1, 1.5 and 3, one of them over.

    >>> found = plan_chain(np.array([1.0, 2.0]), np.array([0.5, 1.5]), 0.25)
    >>> found.capacity, found.exceedance, found.any_over, round(found.utilization, 3)
    (1.5, 0.25, 0.5, 0.75)
    """
    loads = np.multiply.outer(levels, hours)
    ranked = np.sort(loads, axis=None)
    most = int(np.floor(target * ranked.size * (1 + 1e-12)))  # loads that may lie above
    capacity = float(ranked[ranked.size - 1 - most])
    basis = float(np.quantile(hours, 0.95))
    rows = [{"reserve": step, "plan": "fixed"} | _risk(loads, basis * (1 + step)) for step in STEPS]
    own = _risk(loads, capacity)
    curve = pd.DataFrame([*rows, {"reserve": capacity / basis - 1, "plan": "this plan"} | own])
    by_path = (loads > capacity).mean(axis=1)
    low, high = np.quantile(by_path, RANGE)
    return ChainReserve(
        basis_value=basis,
        capacity=capacity,
        reserve=capacity / basis - 1,
        exceedance=own["exceedance"],
        risk_low=float(low),
        risk_high=float(high),
        any_over=float((by_path > 0).mean()),
        unserved=own["unserved_share"],
        utilization=own["utilization"],
        hours_per_month_over=own["hours_per_month_over"],
        paths=len(levels),
        curve=curve,
    )


def _risk(loads: np.ndarray, capacity: float) -> dict[str, float]:
    """Exceedance, unserved share, utilization and hours a month over a capacity above 0; loads (S, H)."""
    over = np.maximum(loads - capacity, 0.0)
    exceeded, total = float((over > 0).mean()), float(loads.sum())
    return {
        "exceedance": exceeded,
        "unserved_share": float(over.sum()) / total if total else 0.0,
        "utilization": (total - float(over.sum())) / (capacity * loads.size) if capacity > 0 else np.nan,
        "hours_per_month_over": exceeded * HOURS_PER_MONTH,
    }
