"""How good a forecast of daily demand would have been, by workload class and region, and the next four weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.demand.backtest import backtest_series, default_plan
from aifactory.demand.combine import LEVELS, MIN_HISTORY, forecast_series
from aifactory.demand.profile import by_hour
from aifactory.demand.series import fill_missing
from aifactory.errors import InputError
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.build import Inventory

SEASON_DAYS, HORIZON_DAYS = 7, 28
#: Beyond this share of days without work, the middle of a day is none, whatever four weeks hold together.
MOST_IDLE = 0.5
IDLE = "nothing ran on over half of its days: quantiles of single days say nothing of four weeks"
#: Beyond this mean of its days over their median most of the work comes on few days, and so the middle of a day is far below the mean.
MOST_UNEVEN = 1.5
UNEVEN = "most of its work comes on few days: quantiles of single days say nothing of four weeks"
GROUP = ["workload_class", "region", "service_unit"]
SCORES = [*GROUP, "days", "mase", "naive_mase", "pinball", "naive_pinball", "coverage80", "exceed_q95", "origins", "method",
          "units_per_day_last", "units_per_day_next", "units_per_day_low", "units_per_day_high", "note"]  # fmt: skip
DAYS = [*GROUP, "date", "units", "kind", "low", "high"]


@dataclass(frozen=True)
class ForecastScores:
    """`scores`: a row per class, region and unit. `days`: measured days and the forecast with its 80 % band."""

    scores: pd.DataFrame
    days: pd.DataFrame


def score_forecasts(ws: Workspace, inventory: Inventory) -> ForecastScores:
    """Backtest daily demand four weeks ahead, beside seasonal naive, and forecast the next four weeks.

    Days that were observed from their first hour to their last count, up to the end of the period; a
    day without windows is missing, of jobs zero. Use cases of a class, region and service unit are
    added up. What is too short for a backtest says so in `note` and has no scores.

    Returns
    -------
    ForecastScores; MASE and pinball loss in the unit of seasonal naive's in-sample error.
    """
    daily = daily_demand(inventory.windows, ws.table("use_cases"), ws.period)
    found = [_one(dict(zip(GROUP, key, strict=True)), part) for key, part in daily.groupby(GROUP, sort=True)]
    days = [part for _, part in found]
    return ForecastScores(
        pd.DataFrame([row for row, _ in found]).reindex(columns=SCORES),
        pd.concat(days, ignore_index=True)[DAYS] if days else pd.DataFrame(columns=DAYS),
    )


def daily_demand(windows: pd.DataFrame, use_cases: pd.DataFrame, period: str) -> pd.DataFrame:
    """Service units per whole day, class, region and unit: columns of GROUP, date, units (NaN: not observed)."""
    known = use_cases[["use_case_id", "workload_class", "service_unit"]]
    hours = by_hour(windows)[["use_case_id", "region", "hour", "service_units"]].merge(known, on="use_case_id")
    end = pd.Timestamp(f"{period}-01", tz="UTC") + pd.DateOffset(months=1)
    hours = hours[hours["hour"] < end]
    parts = []
    for key, part in hours.groupby(GROUP, sort=True):
        first, last = part["hour"].min(), part["hour"].max() + pd.Timedelta(hours=1)
        sums = part.groupby(part["hour"].dt.floor("D"))["service_units"].sum()
        whole = pd.date_range(first.ceil("D"), last.floor("D"), freq="D", inclusive="left")
        units = sums.reindex(whole, fill_value=0.0 if key[2] == "accelerator_hour" else np.nan)
        parts.append(
            units.rename("units").rename_axis("date").reset_index().assign(**dict(zip(GROUP, key, strict=True)))
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*GROUP, "date", "units"])


def _one(key: dict[str, str], part: pd.DataFrame) -> tuple[dict[str, object], pd.DataFrame]:
    values, observed = part["units"].to_numpy(dtype=float), part["units"].notna().to_numpy()
    measured = part.assign(kind="measured", low=np.nan, high=np.nan)
    row: dict[str, object] = key | {"days": int(observed.sum()), "note": ""}
    if observed.sum() < max(MIN_HISTORY, len(values) / 2):
        return row | {"note": "too few days observed for a forecast"}, measured
    filled = fill_missing(values, SEASON_DAYS)
    row["units_per_day_last"] = float(filled[-HORIZON_DAYS:].mean())
    forecast = forecast_series(filled, SEASON_DAYS, HORIZON_DAYS)
    low, high = (forecast.quantiles[LEVELS.index(level)] for level in (0.1, 0.9))
    told = {
        "units_per_day_next": float(forecast.point.mean()),
        "units_per_day_low": float(low.mean()),
        "units_per_day_high": float(high.mean()),
    }
    note = _why_untold(values[observed])
    row |= {"note": note} if note else told
    dates = pd.date_range(part["date"].iloc[-1] + pd.Timedelta(days=1), periods=HORIZON_DAYS, freq="D")
    coming = pd.DataFrame(
        {"date": dates, "units": forecast.point, "kind": "forecast", "low": low, "high": high}
    ).assign(**key)
    try:
        found = backtest_series(filled, observed, default_plan(len(filled), SEASON_DAYS, HORIZON_DAYS))
    except InputError as error:
        return row | {"note": f"{note}; {error}" if note else str(error)}, pd.concat([measured, coming])
    own, naive = found.scores, found.naive
    row |= {"mase": own.mase, "pinball": own.pinball_scaled, "coverage80": own.coverage80, "exceed_q95": own.exceed_q95}
    row |= {
        "naive_mase": naive.mase,
        "naive_pinball": naive.pinball_scaled,
        "origins": own.origins,
        "method": own.method,
    }
    return row, pd.concat([measured, coming])


def _why_untold(days: np.ndarray) -> str:
    """Why quantiles of single days say nothing of the sum of four weeks; empty where they do."""
    if np.mean(days == 0.0) > MOST_IDLE:
        return IDLE
    return UNEVEN if days.mean() > MOST_UNEVEN * np.median(days) else ""
