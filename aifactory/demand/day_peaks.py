"""Months of the year whose busiest day stands higher above their mean than it does now: sales days, ends of quarters, enrolments.

The season of the year says how much a month brings in all (`demand.season`); hours of the period say how a day goes. Neither says that
the last week of November brings three times what the first did. What days of the same month of years before said of that is here.
"""

from __future__ import annotations

from calendar import month_name
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from aifactory.units import MONTHS_PER_YEAR, few, three_digits

#: Months up to the period whose highest day is what capacity is sized by today.
RECENT_MONTHS = 3
#: How far the highest day of a month must stand above the highest of three to differ by more than chance: in 36 streams without such days
#: (sample company and two generated ones, every period) that of an earlier month was at most 1.16 times that. Lower ones are left:
#: of three months one is the highest by chance, up to 1.41 times a single month there.
LEAST_RISE = 1.25
#: Streams named for a month.
SHOWN = 5


def day_peaks(days: pd.Series, period: str) -> np.ndarray:
    """Highest day over the mean of its month, by calendar month, over that of the last three months, (12,); 1 where that is unknown or near 1.

    Several years of a month count as their mean. Only whole months count, and not the first with demand, in which it may have begun. Days
    without any are left out of the mean: gaps, or a service that rests at weekends. A level that rises for good within a month looks like a peak of it.

    Parameters
    ----------
    days : units per day, UTC, without gaps, indexed by day. period : reporting month, YYYY-MM.

    >>> days = pd.Series(1.0, pd.date_range("2025-01-01", "2026-03-31", tz="UTC"))
    >>> days["2025-11-28"] = 3.0
    >>> day_peaks(days, "2026-03").round(2).tolist()  # 3 over a mean of 32 / 30
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.81, 1.0]
    """
    days, now = days[days.gt(0).cummax()], pd.Period(period, "M")
    by_month = days.groupby(days.index.tz_localize(None).to_period("M"))
    whole = by_month.size() == by_month.size().index.days_in_month
    ratio = (by_month.max() / days[days > 0].groupby(days[days > 0].index.tz_localize(None).to_period("M")).mean())[
        whole & (whole.index <= now)
    ]
    ratio = ratio[ratio.index > whole.index.min()] if len(ratio) else ratio
    recent = ratio[ratio.index > now - RECENT_MONTHS].max()
    found = (
        ratio.groupby(ratio.index.month).mean().reindex(range(1, MONTHS_PER_YEAR + 1)).to_numpy(dtype=float) / recent
    )
    return np.where(found >= LEAST_RISE, found, 1.0)


def peaks_over(
    peaks: Mapping[tuple[str, str], np.ndarray], place: tuple[str, str], months: pd.PeriodIndex
) -> np.ndarray:
    """`day_peaks` of a use case in a region in some months, (n,); 1 where none are known."""
    return peaks.get(place, np.ones(MONTHS_PER_YEAR))[months.month - 1]


def peak_sentences(peaks: Mapping[tuple[str, str], np.ndarray]) -> list[str]:
    """Which months of the year hold higher peaks than those of now: a sentence for each, highest first."""
    rows = [(at, place, factor[at]) for place, factor in sorted(peaks.items()) for at in np.flatnonzero(factor > 1.0)]
    found = {at: [row for row in rows if row[0] == at] for at, *_ in rows}
    order = sorted(found, key=lambda at: -max(factor for *_, factor in found[at]))
    return [
        f"In {month_name[1 + at]} of years before the busiest day was {_told(found[at])}: what is held in {month_name[1 + at]} counts "
        "that, hours of work are priced by the days of now."
        for at in order
    ]


def _told(rows: Sequence[tuple[int, tuple[str, str], float]]) -> str:
    """How high the busiest days were, and of which streams."""
    low, high = (three_digits(of(factor for *_, factor in rows)) for of in (min, max))
    names = few([f"{name} in {region}" for _, (name, region), _ in rows], SHOWN)
    return f"{low if low == high else f'{low} to {high}'} times as high over the mean of its month as the highest of the last three months ({names})"
