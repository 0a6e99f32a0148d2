"""Launch windows of the plan: months in which the demand of a use case is a stated multiple of what it is otherwise."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.plan import Launch, Plan


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
