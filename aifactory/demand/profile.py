"""Shape of one demand series: level, peak, season where the data support it, outages, growth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

HOURS_PER_DAY, HOURS_PER_WEEK = 24, 168
#: A season is accepted from this autocorrelation on, over at least this many cycles.
MIN_AUTOCORRELATION, MIN_CYCLES = 0.2, 3
#: A zero window is an outage where the series usually is above this share of its median.
BUSY_SHARE = 0.25
MIN_GROWTH_MONTHS = 3


@dataclass(frozen=True)
class Profile:
    """Profile of one series in one month; rates are service units per hour."""

    units: float
    units_per_hour_avg: float
    units_per_hour_peak: float
    peak_window_start_utc: pd.Timestamp | None
    peak_to_average: float
    p95_to_average: float
    busiest_hour_utc: int | None
    weekend_factor: float
    autocorrelation_24h: float
    autocorrelation_168h: float
    daily_season: bool
    weekly_season: bool
    outage_windows: int


def outage_mask(values: np.ndarray, per_week: int) -> np.ndarray:
    """Zero windows of a series that is otherwise busy at that time of the week.

    A zero counts as an outage if the median of the same window in all weeks is above a quarter
    of the median of the series; a series that is idle at night has no outage at night.

    Parameters
    ----------
    values : array of shape (n,), one value per window, no gaps.
    per_week : windows per week.

    Returns
    -------
    Boolean array of shape (n,).
    """
    values = np.asarray(values, dtype=float)
    usual = np.zeros(len(values))
    for offset in range(min(per_week, len(values))):
        usual[offset::per_week] = np.median(values[offset::per_week])
    return (values == 0) & (usual > BUSY_SHARE * np.median(values[values > 0])) if (values > 0).any() else values < 0


def autocorrelation(values: np.ndarray, lag: int) -> float:
    """Pearson correlation of a series with itself `lag` windows earlier; NaN where undefined.

    Missing values are left out pairwise. The linear trend is removed first, since a trend alone
    correlates with everything.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < MIN_CYCLES * lag:
        return np.nan
    time = np.arange(len(values))
    known = np.isfinite(values)
    if known.sum() < MIN_CYCLES * lag:
        return np.nan
    slope, intercept = np.polyfit(time[known], values[known], 1)
    rest = values - slope * time - intercept
    now, before = rest[lag:], rest[:-lag]
    both = np.isfinite(now) & np.isfinite(before)
    now, before = now[both], before[both]
    scale = np.max(np.abs(values[known])) or 1.0
    if min(now.std(), before.std()) < 1e-9 * scale:
        return np.nan
    return float(np.corrcoef(now, before)[0, 1])


def profile_series(times: pd.DatetimeIndex, values: np.ndarray, window_minutes: int) -> Profile:
    """Profile a series of service units per window, sorted by time and without gaps.

    The peak is the highest window, scaled to an hour; averages, percentile and seasons leave
    outages out. See the module constants for the rules.
    """
    values = np.asarray(values, dtype=float)
    per_hour = values * 60 / window_minutes
    if len(values) == 0 or values.sum() == 0:
        return Profile(0.0, 0.0, 0.0, None, np.nan, np.nan, None, np.nan, np.nan, np.nan, False, False, 0)
    down = outage_mask(values, HOURS_PER_WEEK * 60 // window_minutes)
    up = np.where(down, np.nan, per_hour)
    average, peak = float(np.nanmean(up)), float(per_hour.max())
    hourly = pd.Series(up, index=times).resample("h").mean()
    by_hour = hourly.groupby(hourly.index.hour).mean()
    weekend = hourly.index.day_of_week >= 5
    workday_mean = float(hourly[~weekend].mean()) if (~weekend).any() else np.nan
    day, week = (autocorrelation(hourly.to_numpy(), lag) for lag in (HOURS_PER_DAY, HOURS_PER_WEEK))
    return Profile(
        units=float(values.sum()),
        units_per_hour_avg=average,
        units_per_hour_peak=peak,
        peak_window_start_utc=times[int(per_hour.argmax())],
        peak_to_average=peak / average,
        p95_to_average=float(np.nanquantile(up, 0.95)) / average,
        busiest_hour_utc=int(by_hour.idxmax()),
        weekend_factor=float(hourly[weekend].mean()) / workday_mean if weekend.any() and workday_mean else np.nan,
        autocorrelation_24h=day,
        autocorrelation_168h=week,
        daily_season=bool(day >= MIN_AUTOCORRELATION),
        weekly_season=bool(week >= MIN_AUTOCORRELATION),
        outage_windows=int(down.sum()),
    )


def monthly_growth(units: np.ndarray) -> tuple[float, int]:
    """Growth per month by least squares on the logarithm, and the months used.

    Leading zeros (before launch) are left out; with fewer than three positive months growth is
    NaN. Formula: exp(slope of log u_t over t) - 1.

    >>> monthly_growth(np.array([0.0, 100.0, 110.0, 121.0]))
    (0.1, 3)
    """
    units = np.asarray(units, dtype=float)
    started = np.flatnonzero(units > 0)
    if len(started) == 0:
        return np.nan, 0
    use = units[started[0] :]
    time = np.flatnonzero(use > 0)
    if len(time) < MIN_GROWTH_MONTHS:
        return np.nan, len(time)
    slope = np.polyfit(time, np.log(use[time]), 1)[0]
    return round(float(np.expm1(slope)), 12), len(time)


def hourly_series(windows: pd.DataFrame, column: str = "service_units") -> pd.Series:
    """Sum of a column per hour, UTC, without gaps; missing hours are zero."""
    if windows.empty:
        return pd.Series(dtype="float64")
    return windows.set_index("window_start_utc")[column].astype("float64").resample("h").sum()


def hourly_shape(demand_windows: pd.DataFrame, use_case_id: str, region: str, period: str) -> np.ndarray:
    """Relative load of each hour of the period, mean 1: the basis of load-duration curves.

    Shape (hours of the month,); all ones where the period holds no demand for the pair.
    """
    hours = pd.date_range(
        f"{period}-01", periods=pd.Period(period, "M").days_in_month * HOURS_PER_DAY, freq="h", tz="UTC"
    )
    mine = demand_windows[(demand_windows["use_case_id"] == use_case_id) & (demand_windows["region"] == region)]
    load = hourly_series(mine).reindex(hours, fill_value=0.0).to_numpy()
    return load / load.mean() if load.sum() > 0 else np.ones(len(hours))


def running_accelerators(jobs: pd.DataFrame, speed: pd.Series) -> pd.DataFrame:
    """Reference accelerators in use per hour: hourly rows per use case and region.

    Parameters
    ----------
    jobs : table `jobs`; jobs that never started or still run without an end count nothing.
    speed : speed relative to the reference accelerator, indexed like `jobs`.

    Returns
    -------
    Columns window_start_utc, use_case_id, region, service_units (reference accelerator-hours).
    """
    ran = jobs[jobs["started_utc"].notna() & jobs["ended_utc"].notna()]
    parts = [
        _hours_of(group, speed.reindex(group.index)).assign(use_case_id=use_case, region=region)
        for (use_case, region), group in ran.groupby(["use_case_id", "region"])
    ]
    columns = ["window_start_utc", "use_case_id", "region", "service_units"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _hours_of(jobs: pd.DataFrame, speed: pd.Series) -> pd.DataFrame:
    """Integral of the running load over each hour, exactly, from the sorted starts and ends."""
    weight = (jobs["accelerators"] * speed).to_numpy(dtype=float)
    first = jobs["started_utc"].min().floor("h")
    start, end = (
        ((jobs[c] - first) / pd.Timedelta(hours=1)).to_numpy(dtype=float) for c in ("started_utc", "ended_utc")
    )
    edges = np.arange(int(np.ceil(end.max())) + 1, dtype=float)
    # each job contributes weight * clip(edge - start, 0, end - start) up to an edge
    order = np.argsort(start, kind="stable"), np.argsort(end, kind="stable")
    grown = _ramp(edges, start[order[0]], weight[order[0]]) - _ramp(edges, end[order[1]], weight[order[1]])
    times = pd.date_range(first, periods=len(edges) - 1, freq="h", unit="us")
    return pd.DataFrame({"window_start_utc": times, "service_units": np.maximum(np.diff(grown), 0.0)})


def _ramp(edges: np.ndarray, starts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum over jobs of weight * max(edge - start, 0), for sorted starts."""
    count = np.searchsorted(starts, edges, side="right")
    weight_sum = np.concatenate([[0.0], np.cumsum(weights)])
    moment = np.concatenate([[0.0], np.cumsum(weights * starts)])
    return edges * weight_sum[count] - moment[count]
