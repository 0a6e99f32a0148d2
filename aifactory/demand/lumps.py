"""Work that comes in lumps: a few jobs in one month, none in the next. All months together then say more than the last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.demand.profile import MIN_GROWTH_MONTHS

#: Coefficient of variation of months above which work comes in lumps: CV^2 = 0.49, the cut between smooth and erratic
#: demand of Syntetos, Boylan and Croston, On the categorization of demand patterns, J. Oper. Res. Soc. 56, 2005.
LUMPY = 0.7
#: Months without work after which it counts as given up, unless a gap half as long came before.
QUIET_MONTHS, LONGER_THAN_BEFORE = 3, 2


@dataclass(frozen=True)
class Lumps:
    """Level of lumpy work, in the units of its months, and how months scatter about it."""

    level: float
    log_sd: float  # deviation of the logarithm of a month with that mean and that coefficient of variation
    months: int


def lumps_of(units_per_day: np.ndarray, growth: float) -> Lumps | None:
    """Level and scatter of work that comes in lumps; None of work that does not, that is new or that has been given up.

    With the months y_t brought to the level of the last one, y_t = u_t / (1 + g)^(t - n), and v their coefficient of
    variation,

        level = mean y,    log_sd = sqrt(log(1 + v^2))    where v > `LUMPY`

    are the mean and the deviation of a log-normal month. Logarithms of the months themselves say nothing: a month with a
    single short job lies as far below the others as one likes, and one without any at minus infinity.

    Parameters
    ----------
    units_per_day : (n,) of consecutive months, 0 without work, NaN unknown.
    growth : growth a month; NaN counts as none.

    >>> lumps_of(np.array([90.0, 0.0, 0.0, 60.0, 0.0, 90.0]), 0.0).level
    40.0
    >>> lumps_of(np.array([90.0, 80.0, 100.0, 60.0, 90.0, 80.0]), 0.0) is None
    True
    """
    units = np.asarray(units_per_day, dtype=float)
    known = np.flatnonzero(np.isfinite(units))
    if len(known) < MIN_GROWTH_MONTHS or given_up(units[known]):
        return None
    rate = 0.0 if np.isnan(growth) else growth
    today = units[known] / (1 + rate) ** (known - (len(units) - 1.0))
    mean = float(today.mean())
    variation = float(today.std(ddof=1)) / mean
    if variation <= LUMPY:
        return None
    return Lumps(mean, float(np.sqrt(np.log1p(variation**2))), len(known))


def given_up(units: np.ndarray) -> bool:
    """Whether months [n] end in a gap that is long, and long beside those before it.

    >>> given_up(np.array([5.0, 0, 0, 7.0, 0, 0, 0, 0])), given_up(np.array([5.0, 0, 0, 0, 0])), given_up(np.zeros(3))
    (False, True, True)
    """
    busy = np.flatnonzero(np.asarray(units, dtype=float) > 0)
    if not len(busy):
        return True
    longest = int(np.diff(busy).max(initial=1)) - 1
    return bool(len(units) - 1 - busy[-1] > max(QUIET_MONTHS, LONGER_THAN_BEFORE * longest))


def at_level(profile: pd.DataFrame) -> pd.DataFrame:
    """A profile with the average an hour that plans start from: of lumpy work that of its months, else that of a week of the month.

    A month that holds more working days than a week does in the mean says more than its service will ask for: its average
    is divided by what its days usually carry over those of a week (`level_per_hour`), and the peak stays where it is.

    >>> month = {"units_per_hour_avg": [0.0, 3.0, 9.9], "level_per_hour": [2.0, 3.0, 10.0], "peak_to_average": [1.0, 2.0, 3.0]}
    >>> at_level(pd.DataFrame(month | {"lumpy": [True, False, False]}))[["units_per_hour_avg", "peak_to_average"]].round(3).values.tolist()
    [[2.0, 1.0], [3.0, 2.0], [10.0, 2.97]]
    """
    if "lumpy" not in profile:
        return profile.assign(lumpy=False)
    lumpy, month = profile["lumpy"].astype(bool), profile["units_per_hour_avg"]
    level = profile["level_per_hour"].fillna(month)
    lower = (month / level.where(level > 0)).fillna(1.0).mask(lumpy, 1.0)
    peaks = {name: profile[name] * lower for name in ("peak_to_average",) if name in profile}
    return profile.assign(units_per_hour_avg=level, lumpy=lumpy, **peaks)


def lumpy_cases(profile: pd.DataFrame) -> list[str]:
    """Use cases of a profile whose work comes in lumps, in some region.

    >>> lumpy_cases(pd.DataFrame({"use_case_id": ["a", "b", "b"], "lumpy": [False, True, True]}))
    ['b']
    """
    if "lumpy" not in profile:
        return []
    return sorted(set(profile.loc[profile["lumpy"].astype(bool), "use_case_id"]))
