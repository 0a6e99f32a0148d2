"""What the inventory knows of demand, for its simulation: profiles, costs, chains, creep of units, seasons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.demand.profile import MIN_GROWTH_MONTHS
from aifactory.demand.scenario_inputs import DemandBasis
from aifactory.demand.season import month_factors
from aifactory.inputs.workspace import Workspace

#: Work of a generated token over that of a prompt token, where no price says so: typical of hosted models.
OUTPUT_OVER_INPUT = 4.0
DAYS_PER_WEEK = 7


def demand_basis(
    ws: Workspace,
    windows: pd.DataFrame,
    monthly: pd.DataFrame,
    profile: pd.DataFrame,
    cases: pd.DataFrame,
    token_growth: pd.DataFrame,
) -> DemandBasis:
    """Collect what is known of demand up to the reporting month.

    `cases` are the use cases with the month's cost per unit.
    """
    return DemandBasis(
        profile=profile,
        use_cases=ws.table("use_cases"),
        usd_per_unit=cases.set_index("use_case_id")["usd_per_unit"].dropna(),
        chain=ws.table("demand_chain"),
        what_ifs=ws.table("demand_what_ifs"),
        size_growth=size_growth(token_growth, ws.table("api_prices")),
        seasons=seasons(monthly, ws.period),
        weekly_units=weekly_units(windows, profile, ws.period),
    )


def size_growth(token_growth: pd.DataFrame, api_prices: pd.DataFrame) -> dict[str, float]:
    """Growth a month of the work of a request, by use case: that of its tokens, weighted by work.

    A generated token counts as many prompt tokens as it costs at hosted models (median of the price table).
    """
    ratio = (api_prices["output_usd_per_mtok"] / api_prices["input_usd_per_mtok"]).replace([np.inf, 0.0], np.nan)
    weight = float(ratio.median()) if ratio.notna().any() else OUTPUT_OVER_INPUT
    known = token_growth[token_growth["growth_per_month"].notna() & (token_growth["per_request"] > 0)]
    work = known["per_request"] * np.where(known["tokens"] == "output_tokens", weight, 1.0)
    grown = (work * known["growth_per_month"]).groupby(known["use_case_id"]).sum()
    return (grown / work.groupby(known["use_case_id"]).sum()).to_dict()


def seasons(monthly: pd.DataFrame, period: str) -> dict[str, np.ndarray]:
    """Factor by calendar month of the use cases whose months repeat with the year, tested against chance."""
    past = monthly[monthly["month"] <= period]
    found = {}
    for name, rows in past.groupby("use_case_id"):
        sums = rows.groupby("month")["units"].sum()
        span = pd.period_range(sums.index.min(), period, freq="M")
        per_day = sums.reindex(span.astype("str")).to_numpy(dtype=float) / span.days_in_month.to_numpy()
        factor = month_factors(per_day, int(span[0].month))
        if factor is not None:
            found[str(name)] = factor
    return found


def weekly_units(windows: pd.DataFrame, profile: pd.DataFrame, period: str) -> dict[str, np.ndarray]:
    """Units of each whole week since the first one with demand, of use cases too young for a trend."""
    if profile.empty:
        return {}
    young = profile.groupby("use_case_id")["growth_months"].max()
    end = pd.Timestamp(f"{period}-01", tz="UTC") + pd.DateOffset(months=1)
    rows = windows[windows["use_case_id"].isin(young.index[young < MIN_GROWTH_MONTHS]) & (windows["service_units"] > 0)]
    rows = rows[rows["window_start_utc"] < end]
    found = {}
    for name, mine in rows.groupby("use_case_id"):
        first = mine["window_start_utc"].min().floor("D")
        week = (mine["window_start_utc"] - first) // pd.Timedelta(days=DAYS_PER_WEEK)
        whole = int((end - first) // pd.Timedelta(days=DAYS_PER_WEEK))
        found[str(name)] = np.bincount(week, weights=mine["service_units"], minlength=whole)[:whole]
    return found
