"""Months that a run looks at: the one asked for, and those before it that late data may have changed."""

from __future__ import annotations

import pandas as pd

from aifactory.errors import InputError

MAX_BACK = 60


def months_back(period: str, back: int, known: list[str]) -> list[str]:
    """The last `back` months with data before the period, oldest first, then the period.

    >>> months_back("2026-10", 2, ["2026-07", "2026-09", "2026-10"])
    ['2026-09', '2026-10']
    """
    if not 0 <= back <= MAX_BACK:
        raise InputError.at("--back", f"must be 0 to {MAX_BACK}", value=back)
    first = str(pd.Period(period, "M") - back)
    return [*sorted(month for month in known if first <= month < period), period]
