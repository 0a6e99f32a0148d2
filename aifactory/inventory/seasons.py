"""Seasons of the year of use cases, and what the data cannot say of seasons yet, in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.demand.lumps import at_level
from aifactory.demand.month_trend import SEASON_MONTHS, TOLD
from aifactory.demand.season import YearSeason
from aifactory.units import MONTHS_PER_YEAR, few

Years = Mapping[tuple[str, str], YearSeason]
#: Months that hold each calendar month three times, and a first one twice.
THREE_YEARS, TWICE = 3 * MONTHS_PER_YEAR, MONTHS_PER_YEAR + 1


def seasons(profile: pd.DataFrame, years: Years, period: str) -> dict[str, np.ndarray]:
    """Middle factor by calendar month, (12,), geometric mean 1, of each use case over its regions; without a year of any, none.

    Regions add up at their levels of a mean month: that of the period over its factor.
    """
    now, found = pd.Period(period, "M").month - 1, {}
    for name, rows in at_level(profile).groupby("use_case_id"):
        if not any((name, region) in years for region in rows["region"]):
            continue
        whole = np.zeros(MONTHS_PER_YEAR)
        for region, level in zip(rows["region"], rows["units_per_hour_avg"].fillna(0.0), strict=True):
            year = years.get((str(name), str(region)))
            factor = np.ones(MONTHS_PER_YEAR) if year is None else year.factor
            whole += level / factor[now] * factor
        if whole.min() > 0:
            found[str(name)] = whole / np.exp(np.log(whole).mean())
    return found


def told_seasons(profile: pd.DataFrame, factors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of `seasons` that are likely enough to be told (`TOLD`) in a region: a single high month is none of them."""
    likely = set(profile.loc[profile["growth_season"] >= TOLD, "use_case_id"]) if len(profile) else set()
    return {name: factor for name, factor in factors.items() if name in likely}


def untested_seasons(profile: pd.DataFrame, monthly: pd.DataFrame, period: str) -> list[str]:
    """Seasons that the data cannot prove or rule out yet, in words."""
    months = monthly.loc[(monthly["month"] <= period) & (monthly["units"] > 0), "month"].nunique()
    found = [_of_the_year(months)] if months < THREE_YEARS else []
    for name, season in (("daily", "autocorrelation_24h"), ("weekly", "weekly_chance")):
        blind = profile[profile[season].isna() & (profile["units_month"] > 0)]
        if len(blind):
            places = few([f"{row.use_case_id} in {row.region}" for row in blind.itertuples()], 5)
            found.append(
                f"A {name} season cannot be tested for {places}: too few cycles, too long windows, or no variation."
            )
    return found


def _of_the_year(months: int) -> str:
    seen = f"{months} month{'s' if months > 1 else ''} of history"
    if months < SEASON_MONTHS:
        return f"A season of the year is not forecast: {seen}; it is from {SEASON_MONTHS} on, and {TWICE} hold a calendar month twice."
    if months < TWICE:
        return (
            f"A season of the year is forecast from {seen}, which hold no calendar month twice: what is taken for one may be growth "
            f"that fades. Its factors stay near 1 until more months bear it out, their doubt is in the bands."
        )
    return (
        f"A season of the year is forecast as far as {seen} bear it out, its doubt is in the bands; {THREE_YEARS} hold each calendar "
        "month three times and prove it."
    )
