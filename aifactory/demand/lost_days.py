"""Days of which nothing was recorded, though work comes on that day of the week before and after: lost, not idle.

Counted as days without demand they would lower the level of their month, and tilt or blur its trend. Of a service that grows by 5 %
a month 3.6 % is told after seven months, by the prior of growth; with five working days missing 4.3 to 1.9 %, by the month that they are of.
"""

from __future__ import annotations

import numpy as np

from aifactory.demand.weekday_mix import DAYS_PER_WEEK

#: Weeks before and after that say what a day of the week usually carries; work must come again within them.
WEEKS_BESIDE = 4


def lost_days(units_by_day: np.ndarray, least: float) -> np.ndarray:
    """Days without a unit on which work was due, (n,) of bool.

    A day of zero is lost where the median of its day of the week, over `WEEKS_BESIDE` weeks before and after and itself, is `least`
    or more, and that day of the week carries work again within those weeks after it: what ended has no lost days, nor has work
    that comes once a month. Gaps of more than `WEEKS_BESIDE` weeks are idle.

    Parameters
    ----------
    units_by_day : (n,), consecutive whole days, oldest first, 0 or more.
    least : units a day below which chance alone leaves a day without any.

    >>> week = [50.0, 50, 50, 50, 50, 0, 0]
    >>> np.flatnonzero(lost_days(np.array([*week, *week, 0, 0, *week[2:], *week]), 10.0)).tolist()
    [14, 15]
    >>> lost_days(np.array([*week, *week, *[0.0] * 14]), 10.0).any()
    np.False_
    """
    units = np.asarray(units_by_day, dtype=float)
    beside = np.pad(units, WEEKS_BESIDE * DAYS_PER_WEEK, constant_values=np.nan)
    weeks = np.array(
        [beside[at : at + len(units)] for at in range(0, 2 * WEEKS_BESIDE * DAYS_PER_WEEK + 1, DAYS_PER_WEEK)]
    )
    later = np.nan_to_num(weeks[WEEKS_BESIDE + 1 :]).max(axis=0) if len(units) else units
    usual = np.nanmedian(weeks, axis=0) if len(units) else units
    return (units == 0) & (usual >= least) & (later > 0)
