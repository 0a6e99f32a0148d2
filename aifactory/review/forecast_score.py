"""How good the forecast of the month was: last month's, the approved plan's, and last month repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.demand.forecast import simulate_demand
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.basis import launches_of, weekly_units
from aifactory.inventory.demand import profile_and_years
from aifactory.review.monthly import planned_bands, previous_month
from aifactory.units import HOURS_PER_DAY, HOURS_PER_MONTH

ACCURACY_COLUMNS = ["month", "use_case_id", "forecast", "actual", "error_share", "inside_band", "basis"]
SCORE_COLUMNS = ["forecast", "use_cases", "median_error", "median_bias", "inside_band", "pinball", "error_vs_repeat"]
BAND = {"units_p10": 0.1, "units": 0.5, "units_p90": 0.9}
REPEAT = "last month repeated"


def earlier_forecast(ws: Workspace, inventory: Inventory, mix: pd.Series | None = None) -> pd.DataFrame:
    """What the data up to last month say of the month and those after it: P10, median and P90 per use case.

    Indexed by month and use_case_id, columns units, units_p10, units_p90 in the hours of each calendar month, and of a measured one on
    the days that it held (`mix`, see `monthly.mix_of_days`).
    """
    last = previous_month(ws.period)
    earlier = Workspace(ws.path, last, ws.plan, ws.tables, ws.checks, ws.sources)
    profile, years = profile_and_years(earlier, inventory.windows, inventory.demand_monthly)
    columns = {"p50": "units", "p10": "units_p10", "p90": "units_p90"}
    weeks = weekly_units(inventory.windows, profile, last, launches_of(ws), ws.plan.value("unknown_growth_sd"))
    basis = replace(inventory.demand_basis, profile=profile, years=years, weekly_units=weeks, what_ifs=None)
    bands = simulate_demand(basis, ws.plan, last).use_cases.set_index(["month", "use_case_id"])[[*columns]]
    hours = pd.PeriodIndex(bands.index.get_level_values("month"), freq="M").days_in_month.to_numpy() * HOURS_PER_DAY
    share = 1.0 if mix is None else mix.reindex(bands.index).fillna(1.0).to_numpy()
    return bands.rename(columns=columns).mul(share * hours / HOURS_PER_MONTH, axis=0)


def forecast_accuracy(
    ws: Workspace,
    inventory: Inventory,
    approved: pd.DataFrame,
    earlier: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Forecast against actual units: the approved plan's months, else one step from last month."""
    if len(approved):
        planned = planned_bands(approved)
        planned = planned[planned.index.get_level_values("month") <= ws.period]
        return _against(inventory, planned, f"plan approved for {approved['plan_period'].iloc[0]}")
    made = earlier_forecast(ws, inventory) if earlier is None else earlier
    return step_accuracy(ws, inventory, made)


def step_accuracy(ws: Workspace, inventory: Inventory, earlier: pd.DataFrame) -> pd.DataFrame:
    """One step ahead: the month as last month's data foresaw it."""
    month = earlier[earlier.index.get_level_values("month") == ws.period]
    return _against(inventory, month, f"forecast from data up to {previous_month(ws.period)}")


def _against(inventory: Inventory, planned: pd.DataFrame, basis: str) -> pd.DataFrame:
    actual = inventory.demand_monthly.groupby(["month", "use_case_id"])["units"].sum()
    joined = planned.join(actual.rename("actual"), how="inner").reset_index()
    inside = (joined["actual"] >= joined["units_p10"]) & (joined["actual"] <= joined["units_p90"])
    table = joined.rename(columns={"units": "forecast"}).assign(
        error_share=joined["units"] / joined["actual"].where(joined["actual"] > 0) - 1, inside_band=inside, basis=basis
    )
    return table.reindex(columns=ACCURACY_COLUMNS)


def score_forecasts(
    ws: Workspace,
    inventory: Inventory,
    earlier: pd.DataFrame,
    approved: pd.DataFrame,
) -> pd.DataFrame:
    """Scores of the month's forecasts over use cases, columns `SCORE_COLUMNS`.

    Errors are shares of the actual units. `pinball` is the mean loss of P10, median and P90 over the actual units
    (0 perfect; a point forecast counts as all three); `error_vs_repeat` is the mean error over that of repeating
    last month's units per hour: below 1 beats it. A use case counts where it has units and all forecasts.
    """
    actual = inventory.demand_monthly.groupby(["month", "use_case_id"])["units"].sum().unstack(0)
    last = previous_month(ws.period)
    if ws.period not in actual or last not in actual:
        return pd.DataFrame(columns=SCORE_COLUMNS)
    days = [pd.Period(month, "M").days_in_month for month in (last, ws.period)]
    repeat = pd.DataFrame(dict.fromkeys(BAND, actual[last] * days[1] / days[0]))
    made = {f"data up to {last}": _of_month(earlier, ws.period)}
    if len(approved):
        made[f"plan approved for {approved['plan_period'].iloc[0]}"] = _of_month(planned_bands(approved), ws.period)
    made = {name: table for name, table in made.items() if len(table)} | {REPEAT: repeat}
    now = actual[ws.period][actual[ws.period] > 0]
    for table in made.values():
        now = now[now.index.isin(table.dropna().index)]
    return score(made, now)


def score(made: dict[str, pd.DataFrame], actual: pd.Series) -> pd.DataFrame:
    """Score forecasts (columns units, units_p10, units_p90, indexed as `actual`) by name; `REPEAT` is the yardstick."""
    if actual.empty:
        return pd.DataFrame(columns=SCORE_COLUMNS)
    yardstick = (made[REPEAT].loc[actual.index, "units"] / actual - 1).abs().mean()
    rows = []
    for name, table in made.items():
        share = table.loc[actual.index].div(actual, axis=0)
        error = share["units"] - 1
        losses = [np.maximum(level * (1 - share[q]), (level - 1) * (1 - share[q])) for q, level in BAND.items()]
        inside = np.nan if name == REPEAT else float(((share["units_p10"] <= 1) & (share["units_p90"] >= 1)).mean())
        versus = float(error.abs().mean() / yardstick) if yardstick > 0 else np.nan
        rows.append((name, len(actual), error.abs().median(), error.median(), inside, float(np.mean(losses)), versus))
    return pd.DataFrame(rows, columns=SCORE_COLUMNS)


def _of_month(table: pd.DataFrame, month: str) -> pd.DataFrame:
    inside = table[table.index.get_level_values("month") == month]
    return inside.droplevel("month")[[*BAND]]
