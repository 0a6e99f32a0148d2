"""What the inventory knows of demand, for its simulation: profiles, costs, chains, creep of units, seasons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.demand.day_peaks import day_peaks
from aifactory.demand.lumps import lumpy_cases
from aifactory.demand.profile import MIN_GROWTH_MONTHS, SHORT_TREND, hourly_series, kept_share
from aifactory.demand.scenario_inputs import DemandBasis
from aifactory.demand.unit_size import Creep, unit_creep
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.seasons import Years, seasons

#: Work of a generated token over that of a prompt token, where no price says so: typical of hosted models.
OUTPUT_OVER_INPUT = 4.0
DAYS_PER_WEEK, MINUTES_PER_DAY = 7, 1440


def demand_basis(
    ws: Workspace,
    windows: pd.DataFrame,
    years: Years,
    profile: pd.DataFrame,
    cases: pd.DataFrame,
    token_growth: pd.DataFrame,
) -> DemandBasis:
    """Collect what is known of demand up to the reporting month.

    `cases` are the use cases with the month's cost per unit, `years` the seasons beside the profile.
    """
    return DemandBasis(
        profile=profile,
        use_cases=ws.table("use_cases"),
        usd_per_unit=cases.set_index("use_case_id")["usd_per_unit"].dropna(),
        chain=ws.table("demand_chain"),
        what_ifs=ws.table("demand_what_ifs"),
        size_growth=size_growth(token_growth, ws.table("api_prices"), ws.plan.value("unknown_size_growth_sd")),
        years=years,
        seasons=seasons(profile, years, ws.period),
        day_peaks=day_peaks_of(windows, profile, ws.period),
        weekly_units=weekly_units(windows, profile, ws.period, launches_of(ws), ws.plan.value("unknown_growth_sd")),
    )


def size_growth(token_growth: pd.DataFrame, api_prices: pd.DataFrame, prior_sd: float) -> dict[str, Creep]:
    """Growth a month of the work of a unit, by use case with tokens, see `demand.unit_size`.

    A generated token counts as many prompt tokens as it costs at hosted models (median of the price table).
    """
    ratio = (api_prices["output_usd_per_mtok"] / api_prices["input_usd_per_mtok"]).replace([np.inf, 0.0], np.nan)
    weight = float(ratio.median()) if ratio.notna().any() else OUTPUT_OVER_INPUT
    known = token_growth[token_growth["per_request"] > 0]
    found = {str(name): unit_creep(rows, weight, prior_sd) for name, rows in known.groupby("use_case_id")}
    return {name: creep for name, creep in found.items() if creep is not None}


def day_peaks_of(windows: pd.DataFrame, profile: pd.DataFrame, period: str) -> dict[tuple[str, str], np.ndarray]:
    """`day_peaks` by use case and region, where a month is unlike those of now; none of work that comes in lumps, and none of jobs."""
    found, jobs = {}, profile["service_unit"].eq("accelerator_hour") if "service_unit" in profile else []
    lumpy = {*lumpy_cases(profile), *(profile.loc[jobs, "use_case_id"] if len(jobs) else ())}
    for place, rows in windows.groupby(["use_case_id", "region"]):
        if place[0] in lumpy:
            continue
        days = hourly_series(rows[rows["window_minutes"] <= MINUTES_PER_DAY]).resample("D").sum()
        peaks = day_peaks(days, period)
        if (peaks != 1.0).any():
            found[place] = peaks
    return found


def launches_of(ws: Workspace) -> dict[str, pd.Timestamp]:
    """First day of the stated launch month of each use case that states one."""
    months = ws.table("use_cases").set_index("use_case_id")["launch_month"].dropna()
    return {str(name): pd.Timestamp(f"{month}-01", tz="UTC") for name, month in months.items()}


def weekly_units(
    windows: pd.DataFrame, profile: pd.DataFrame, period: str, launches: Mapping[str, pd.Timestamp], prior_sd: float
) -> dict[str, np.ndarray]:
    """Units of each whole week since launch, of use cases whose trend says little (`kept_share` below one half).

    The launch is the month stated, else, of use cases with less than `MIN_GROWTH_MONTHS` months, the first day with
    demand. Weeks before the first demand are NaN: they were not seen.
    """
    if profile.empty:
        return {}
    end = pd.Timestamp(f"{period}-01", tz="UTC") + pd.DateOffset(months=1)
    rows = windows[(windows["service_units"] > 0) & (windows["window_start_utc"] < end)]
    found = {}
    for name, cells in profile.groupby("use_case_id"):
        mine = rows[rows["use_case_id"] == name]
        untold = cells["growth_months"].max() < MIN_GROWTH_MONTHS
        kept = max((kept_share(sd, prior_sd) for sd in cells["growth_log_sd"].dropna()), default=0.0)
        if mine.empty or not (untold or (kept < SHORT_TREND and name in launches)):
            continue
        begun = mine["window_start_utc"].min().floor("D")
        first = min(launches.get(str(name), begun), begun)
        week = (mine["window_start_utc"] - first) // pd.Timedelta(days=DAYS_PER_WEEK)
        whole = int((end - first) // pd.Timedelta(days=DAYS_PER_WEEK))
        units = np.bincount(week, weights=mine["service_units"], minlength=whole)[:whole]
        # the first week with demand counts where it was seen from its first day on
        unseen = -(-(begun - first) // pd.Timedelta(days=DAYS_PER_WEEK))
        found[str(name)] = np.where(np.arange(whole) < unseen, np.nan, units)
    return found
