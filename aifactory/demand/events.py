"""Launch windows of the plan: months in which the demand of a use case is a stated multiple of what it is otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import theilslopes

from aifactory.inputs.plan import Launch, Plan

#: A month departs where its level is this many times that of the months beside it, or one of so many parts.
DEPARTS = 1.5
#: Months of which a trend can be told; months on a side that say what is usual; units a month below which chance departs too.
TREND_MONTHS, BESIDE, FEWEST_UNITS = 6, 3, 100.0
YEAR = 12


def launch_factor(plan: Plan, use_case: str, months: pd.PeriodIndex) -> np.ndarray:
    """Stated multiple of demand in each month, (n,); 1 where none is stated, the product where several are.

    Months that have passed count too: measured demand divided by it is what a trend, or a month without the launch,
    may be taken from.
    """
    factor = np.ones(len(months))
    for event in plan.launches:
        if event.use_case_id == use_case:
            factor[months == pd.Period(event.month, "M")] *= event.demand_multiplier
    return factor


def usual_factor(plan: Plan, seasons: Mapping[str, np.ndarray], use_case: str, months: pd.PeriodIndex) -> np.ndarray:
    """What stated launches and the season of the year make of the demand of each month, (n,); 1 where neither is known.

    `seasons`: factor by calendar month, (12,), of the use cases that have one.
    """
    return launch_factor(plan, use_case, months) * seasons.get(use_case, np.ones(YEAR))[months.month - 1]


def comes_on_its_date(plan: Plan, event: Launch) -> bool:
    """Whether a launch cannot slip: it says so, or is stated for the same calendar month of two years or more, a yearly peak."""
    same = {
        other.month
        for other in plan.launches
        if other.use_case_id == event.use_case_id and other.month[5:] == event.month[5:]
    }
    return not event.may_slip or len(same) > 1


def unstated_peaks(plan: Plan, monthly: pd.DataFrame, period: str) -> list[str]:
    """Say which stated launches were seen in the same calendar month of the past without being stated there.

    The past month counts as such a peak where it lies nearer to the stated multiple than to 1 of the median day of the
    months without a launch in their calendar month. `monthly`: columns month, use_case_id, units.
    """
    found = []
    past = monthly[monthly["month"] <= period]
    for name in sorted({event.use_case_id for event in plan.launches}):
        sums = past.loc[past["use_case_id"] == name].groupby("month")["units"].sum()
        months = pd.PeriodIndex(sums.index, freq="M")
        stated = {pd.Period(e.month, "M"): e.demand_multiplier for e in plan.launches if e.use_case_id == name}
        calendar = {month.month: multiple for month, multiple in stated.items() if multiple > 1}
        per_day = pd.Series(sums.to_numpy() / months.days_in_month.to_numpy(dtype=float), index=months)
        usual = per_day[[month.month not in calendar for month in months]].median()
        seen = [
            str(month)
            for month, level in per_day.items()
            if month.month in calendar and month not in stated and level > usual * np.sqrt(calendar[month.month])
        ]
        if seen:
            found.append(
                f"{name}: {' and '.join(seen)} looks like a peak that plan.yaml states for a later year only; state it "
                "under launches, else its trend takes the peak for growth or decline."
            )
    return found


def past_departures(
    plan: Plan, monthly: pd.DataFrame, period: str, seasons: Mapping[str, np.ndarray] | None = None
) -> list[str]:
    """Months of the last year whose level stood out from the months before and after them, which no launch states: they may come again.

    `monthly`: columns month, use_case_id, units; of serving use cases. Their calendar month is in the plan ahead, at the usual level.
    `seasons`: factor by calendar month, (12,), of the use cases whose season of the year is likely: it stands out from nothing.
    """
    found = []
    for name, usual in _over_usual(plan, monthly, period, seasons or {}):
        year = usual.loc[pd.Period(period, "M") - YEAR + 1 : pd.Period(period, "M") - 1]
        stood = year[[_same_way(before, after) for before, after in zip(year["before"], year["after"], strict=True)]]
        told = [
            f"{month} stood at {row.before:.2g} times"
            for month, row in zip(stood.index, stood.itertuples(), strict=True)
        ]
        if told:
            found.append(
                f"{name}: {' and '.join(told)} the months before. What comes every year is planned where launches of plan.yaml state "
                "it for its past and coming months; a single event is stated for its month alone, else its trend takes it for growth or decline."
            )
    return found


def present_departures(
    plan: Plan, monthly: pd.DataFrame, period: str, seasons: Mapping[str, np.ndarray] | None = None
) -> list[str]:
    """Use cases whose level of the period stands out from the months before: all months to come are planned from it. See `past_departures`."""
    found, month = [], pd.Period(period, "M")
    for name, usual in _over_usual(plan, monthly, period, seasons or {}):
        if month not in usual.index or not _same_way(*usual.loc[month, ["before", "year"]]):
            continue
        now, then = usual.loc[month, "before"], usual["before"].get(month - YEAR, np.nan)
        again = f", as {month - 12} at {then:.2g} times" if _same_way(now, then) else ""
        found.append(
            f"{name} stands at {now:.2g} times the months before {month}{again}, beyond its trend: the plan takes that for the level of all "
            "months to come. If it passes or comes every year, state it under launches in plan.yaml."
        )
    return found


def _over_usual(
    plan: Plan, monthly: pd.DataFrame, period: str, seasons: Mapping[str, np.ndarray]
) -> list[tuple[str, pd.DataFrame]]:
    """By use case, each month's level over the middle one of the months before, of the year before and of those after.

    Without the trend, the season and what launches state; calendar months of launches are left out.
    """
    found, past = [], monthly[monthly["month"] <= period]
    for name, sums in past.groupby("use_case_id"):
        units = sums.groupby("month")["units"].sum().astype(float)
        months = pd.PeriodIndex(units.index, freq="M")
        usual = usual_factor(plan, seasons, str(name), months)
        level = pd.Series(units.to_numpy() / months.days_in_month / usual, index=months)
        level = level[level > 0]
        if len(level) < TREND_MONTHS or units.median() < FEWEST_UNITS:
            continue
        ordinal = level.index.astype("int64").to_numpy()
        level = level / np.exp(theilslopes(np.log(level), ordinal).slope * (ordinal - ordinal[-1]))
        level = level.reindex(pd.period_range(level.index[0], level.index[-1], freq="M"))
        before = level / level.shift(1).rolling(BESIDE, min_periods=BESIDE).median()
        year = level / level.shift(1).rolling(YEAR, min_periods=BESIDE).median()
        after = level / level[::-1].shift(1).rolling(BESIDE, min_periods=1).median()[::-1]
        stated = {event.month[5:] for event in plan.launches if event.use_case_id == name}
        free = [f"{month.month:02d}" not in stated for month in level.index]
        found.append((str(name), pd.DataFrame({"before": before, "year": year, "after": after})[free]))
    return found


def _same_way(one: float, other: float) -> bool:
    """Whether both depart, both up or both down; unknown ones do not."""
    return bool(np.min([one, other]) >= DEPARTS or np.max([one, other]) <= 1 / DEPARTS)
