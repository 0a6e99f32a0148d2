"""Whose hours a pool works that several use cases share and no bill divides: as its use moves with the demand of each.

    busy_h = sum over use cases of a_u units_u,h + b,    a_u >= 0 accelerator-seconds a unit, b >= 0 of other use (non-negative least squares)

over the hours of a month. It divides a pool only where that is seen beyond doubt: the sum explains `EXPLAINED` of the variance,
and each a_u fitted on odd and on even days alone lies within `AGREE` of the whole. Use cases whose demand moves alike cannot be told apart,
and are not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import nnls

#: Share of the variance of the hours that the sum must explain; how far fits on half of the days may lie from the whole.
EXPLAINED, AGREE = 0.8, 0.2
#: Hours below which nothing is divided: two weeks.
LEAST_HOURS = 336


def seconds_per_unit(busy: pd.Series, units: pd.DataFrame) -> pd.Series | None:
    """Accelerator-seconds that a unit of each use case takes, or None where the hours do not tell.

    Parameters
    ----------
    busy : accelerator-seconds in use by hour.
    units : (hours, use cases) service units; of hours that both hold.

    >>> hours = pd.date_range("2026-10-01", periods=672, freq="h")
    >>> units = pd.DataFrame({"chat": 100.0 + 80 * (hours.hour > 8), "scan": 50.0 * (hours.hour < 4)}, index=hours)
    >>> seconds_per_unit(3 * units["chat"] + 20 * units["scan"], units).round(6).to_dict()
    {'chat': 3.0, 'scan': 20.0}
    """
    both = units.join(busy.rename("busy"), how="inner").dropna()
    if len(both) < LEAST_HOURS or not both.std().gt(0).all():
        return None
    asked, worked = both[units.columns].assign(other=1.0).to_numpy(dtype=float), both["busy"].to_numpy(dtype=float)
    whole = _fit(asked, worked)
    rest, each = worked - asked @ whole, whole[:-1]
    if rest @ rest > (1 - EXPLAINED) * np.square(worked - worked.mean()).sum() or not (each > 0).all():
        return None
    odd = both.index.day_of_year.to_numpy() % 2 == 1
    halves = (_fit(asked[part], worked[part])[:-1] for part in (odd, ~odd))
    if not all((np.abs(half - each) <= AGREE * each).all() for half in halves):
        return None
    return pd.Series(each, units.columns)


def _fit(asked: np.ndarray, worked: np.ndarray) -> np.ndarray:
    """Non-negative least squares in columns of equal size."""
    size = np.linalg.norm(asked, axis=0)
    size = np.where(size > 0, size, 1.0)
    return nnls(asked / size, worked)[0] / size
