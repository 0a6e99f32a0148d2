"""Shape of one demand series: level, peak, season where the data support it, outages, growth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.demand.season import MAX_CHANCE, YearSeason, day_means, season_test

HOURS_PER_DAY, HOURS_PER_WEEK = 24, 168
#: A season needs this autocorrelation over at least this many cycles, and a small chance (`season`).
MIN_AUTOCORRELATION, MIN_CYCLES, DAYS_PER_WEEK = 0.2, 3, 7
#: An hour is busy above this share of the median hour; so many weeks show what is usual.
BUSY_SHARE, MIN_WEEKS = 0.25, 4
#: Windows of a peak, and the units one must hold on average.
PEAK_MINUTES, MIN_UNITS = (1, 5, 15, 30, 60), 10
MIN_GROWTH_MONTHS = 4
#: Prior deviation of growth per month, and prior scatter of months about a trend with the months it counts as.
#: Chosen with the plan's `growth_drift_sd` on 56 series (54 subjects of Stack Overflow questions, 2009 to 2019, by month,
#: two pages of Wikipedia): forecast 3 to 36 months ahead from 4, 6, 12 and 24 months, every half of the series gives
#: the least pinball loss within 2 % of that of the other half's choice. With a prior of 0.10, four months of trend were
#: kept to two thirds: the loss was 26 % higher, and growth seen over four months said next to nothing of the year after.
#: A true growth of 5 % a month is so told as 1.1, 1.9, 2.7, 4.3 and 4.7 % after 4, 5, 6, 9 and 12 months. On 60 other
#: series (weeks of airline routes, shops, pages, rides) even that is more than they bear out: a level that is kept misses
#: that of 3 and 6 months later by 2 to 18 % less from 5, 9 and 12 months of history.
PRIOR_GROWTH, PRIOR_SCATTER, SCATTER_MONTHS = 0.03, 0.15, 4
#: A trend of which the prior leaves less than this share is called short.
SHORT_TREND = 0.5
#: Least scatter of months about a trend, where it is taken for noise to come: an assumption.
MIN_SCATTER = 0.05


@dataclass(frozen=True)
class Profile:
    """Profile of one series in one month; rates are service units per hour."""

    units: float
    units_per_hour_avg: float
    units_per_hour_peak: float
    peak_window_minutes: int
    peak_window_start_utc: pd.Timestamp | None
    peak_to_average: float
    p95_to_average: float
    busiest_hour_utc: int | None
    weekend_factor: float
    autocorrelation_24h: float
    autocorrelation_168h: float
    daily_share: float
    daily_chance: float
    weekly_share: float
    weekly_chance: float
    daily_season: bool
    weekly_season: bool
    outage_hours: int
    observed_hours: float


def outage_mask(hourly: np.ndarray) -> np.ndarray:
    """Zero hours of a series that is busy at that hour in the other weeks.

    A zero counts as an outage if, of all weeks of the series, at most this one falls below a quarter
    of the median hour at that hour of the week; a series that is idle at night has no outage at night,
    and sparse work (a median hour below ten units) has none at all. Fewer than four weeks cannot tell.

    Parameters
    ----------
    hourly : array of shape (hours,), no gaps.

    Returns
    -------
    Boolean array of shape (hours,).
    """
    hourly = np.asarray(hourly, dtype=float)
    median = np.median(hourly[hourly > 0]) if (hourly > 0).any() else 0.0
    down = np.zeros(len(hourly), dtype=bool)
    if median < MIN_UNITS:
        return down
    for offset in range(min(HOURS_PER_WEEK, len(hourly))):
        weeks = hourly[offset::HOURS_PER_WEEK]
        if len(weeks) >= MIN_WEEKS and np.partition(weeks, 1)[1] > BUSY_SHARE * median:
            down[offset::HOURS_PER_WEEK] = weeks == 0
    return down


def peak_minutes(units_per_hour: float, window_minutes: int) -> int:
    """Smallest window, not below that of the data, that holds ten units on average; an hour at most.

    Below that the highest window shows chance rather than load: one session in a minute is no peak
    of sixty an hour.

    >>> peak_minutes(19_366, 1), peak_minutes(112, 1), peak_minutes(0.9, 1), peak_minutes(5, 60)
    (1, 15, 60, 60)
    """
    for minutes in PEAK_MINUTES:
        if minutes >= window_minutes and minutes % window_minutes == 0 and units_per_hour * minutes >= 60 * MIN_UNITS:
            return minutes
    return max(60, window_minutes)


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


def profile_series(
    series: pd.Series, window_minutes: int, *, may_idle: bool = False, units_per_request: float = 1.0
) -> Profile:
    """Profile service units per window, indexed by time, without gaps.

    The peak is the highest window of `peak_window_minutes`, scaled to an hour; averages, percentile
    and seasons leave outages out. A season needs both an effect (autocorrelation at its lag) and
    significance: hours of the day within days, days of the week within weeks, see `season.season_test`.

    Parameters
    ----------
    may_idle : zero hours are no outages, as of a cluster without jobs.
    units_per_request : where above 1, chance is that of requests: few of them make many units, as of audio in minutes.
    """
    if len(series) == 0 or series.sum() == 0:
        return Profile(0.0, 0.0, 0.0, 60, None, np.nan, np.nan, None, *[np.nan] * 7, False, False, 0, 0.0)
    hourly, hours = _hourly_rate(series, window_minutes)
    alone = max(units_per_request, 1.0)  # units that come at once
    down = np.zeros(len(hourly), dtype=bool) if may_idle else outage_mask(hourly.to_numpy() / alone)
    up = hourly.where(~down)
    average = float(up.mean()) if down.any() else float(series.sum()) / hours
    minutes = peak_minutes(average / alone, window_minutes)
    windows = series.resample(f"{minutes}min").sum() * 60 / minutes
    of_day = up.groupby(up.index.hour).mean()
    weekend = up.index.day_of_week >= 5
    workday_mean = float(up[~weekend].mean()) if (~weekend).any() else np.nan
    return Profile(
        units=float(series.sum()),
        units_per_hour_avg=average,
        units_per_hour_peak=float(windows.max()),
        peak_window_minutes=minutes,
        peak_window_start_utc=windows.idxmax(),
        peak_to_average=float(windows.max()) / average,
        p95_to_average=float(up.quantile(0.95)) / average,
        busiest_hour_utc=int(of_day.idxmax()) if window_minutes <= 60 else None,
        weekend_factor=float(up[weekend].mean()) / workday_mean if weekend.any() and workday_mean else np.nan,
        **_seasons(up.to_numpy(), window_minutes),
        outage_hours=int(down.sum()),
        observed_hours=hours,
    )


def _seasons(hourly: np.ndarray, window_minutes: int) -> dict[str, float | bool]:
    """Effect and chance of a daily and a weekly season; windows that hide a cycle say nothing of it."""
    days, untested = day_means(hourly), (np.nan, np.nan)
    tests = {
        HOURS_PER_DAY: lambda: season_test(hourly, HOURS_PER_DAY),
        HOURS_PER_WEEK: lambda: season_test(days, DAYS_PER_WEEK),
    }
    found: dict[str, float | bool] = {}
    for name, lag in (("daily", HOURS_PER_DAY), ("weekly", HOURS_PER_WEEK)):
        shown = lag * 60 % window_minutes == 0 and window_minutes * 2 < lag * 60
        correlation = autocorrelation(hourly, lag) if shown else np.nan
        share, chance = tests[lag]() if np.isfinite(correlation) else untested
        found |= {f"autocorrelation_{lag}h": correlation, f"{name}_share": share, f"{name}_chance": chance}
        found[f"{name}_season"] = bool(correlation >= MIN_AUTOCORRELATION and chance <= MAX_CHANCE)
    return found


def _hourly_rate(series: pd.Series, window_minutes: int) -> tuple[pd.Series, float]:
    """Units per hour of every clock hour, and the hours observed; the first and last may be partial."""
    observed = float(len(series) * window_minutes / 60)
    if window_minutes > 60:
        frame = pd.DataFrame({"window_start_utc": series.index, "service_units": series.to_numpy()})
        return hourly_series(frame.assign(window_minutes=window_minutes)), observed
    return series.resample("h").sum() * 60 / (series.resample("h").count() * window_minutes), observed


@dataclass(frozen=True)
class Trend:
    """Growth a month with its doubt; NaN growth where the months are too few."""

    growth: float
    months: int
    log_sd: float  # standard error of log(1 + growth); NaN unknown
    scatter: float  # deviation of the logarithm of a month about the trend, beside the season
    step: float = 0.0  # chance of a lasting step of the level that is set apart (`aifactory.demand.month_trend`)
    season: float = 0.0  # chance that months repeat by the year
    year: YearSeason | None = None  # by how much, over all chances; None of few months


def monthly_trend(
    units_per_day: np.ndarray,
    prior_sd: float = PRIOR_GROWTH,
    prior_scatter: float = PRIOR_SCATTER,
    centre: np.ndarray | None = None,
) -> Trend:
    """Growth per month from daily levels of months, shrunk by its own doubt, with that doubt.

    Least squares on the logarithm over n months gives the slope b and the sum r of squared rests;

        e^2 = (r + m s^2) / (n - 2 + m) / sum (t - mean t)^2    s = prior_scatter, m = SCATTER_MONTHS
        b' = b k,   k = p^2 / (p^2 + e^2)                       growth = exp(b') - 1
        log_sd = e sqrt(k)

    are the mean and the deviation of the slope given a prior of zero with deviation p (`prior_sd`). Missing (NaN)
    months and zeros before the launch are left out; with fewer than `MIN_GROWTH_MONTHS` months growth and its deviation
    are NaN. Reference: normal prior with normal data, as in any text on Bayesian regression.

    Parameters
    ----------
    units_per_day : (n,), of consecutive months.
    centre : (n,), middle of what was observed of each month, in months; 0, 1, 2, ... without.

    >>> young, old = (monthly_trend(100 * 1.1 ** np.arange(months)) for months in (4, 13))
    >>> round(young.growth, 3), round(old.growth, 3), round(young.log_sd, 3), round(old.log_sd, 4)
    (0.022, 0.096, 0.026, 0.0056)
    """
    units = np.asarray(units_per_day, dtype=float)
    known = np.flatnonzero(units > 0)
    count = len(known)
    if count < MIN_GROWTH_MONTHS:
        return Trend(np.nan, count, np.nan, np.nan)
    logs = np.log(units[known])
    time = known if centre is None else np.asarray(centre, dtype=float)[known]
    slope, level = np.polyfit(time, logs, 1)
    rest = logs - slope * time - level
    squares = float(rest @ rest)
    variance = (squares + SCATTER_MONTHS * prior_scatter**2) / (count - 2 + SCATTER_MONTHS)
    doubt = variance / float(((time - time.mean()) ** 2).sum())
    kept = prior_sd**2 / (prior_sd**2 + doubt)
    growth = round(float(np.expm1(slope * kept)), 12)
    return Trend(growth, count, float(np.sqrt(doubt * kept)), max(float(np.sqrt(squares / (count - 2))), MIN_SCATTER))


def kept_share(log_sd: float, prior_sd: float) -> float:
    """Share k of a measured trend that `monthly_trend` kept, from the deviation p sqrt(1 - k) that it states.

    >>> round(kept_share(0.015, 0.03), 2), kept_share(0.0, 0.0)
    (0.75, 1.0)
    """
    return 1 - min(log_sd / max(prior_sd, 1e-9), 1.0) ** 2


def monthly_growth(units_per_day: np.ndarray) -> tuple[float, int]:
    """Growth per month and the months used, see `monthly_trend`.

    >>> growth, months = monthly_growth(np.array([np.nan, *100 * 1.1 ** np.arange(13)]))
    >>> round(growth, 4), months
    (0.0963, 13)
    """
    found = monthly_trend(units_per_day)
    return found.growth, found.months


def by_hour(windows: pd.DataFrame, column: str = "service_units") -> pd.DataFrame:
    """Windows with `hour`, the start of their hour; longer ones are spread evenly over their hours."""
    hours = np.maximum(windows["window_minutes"].to_numpy() // 60, 1)
    spread = windows.loc[windows.index.repeat(hours)].reset_index(drop=True)
    share = np.repeat(hours, hours)
    number = np.arange(len(spread)) - np.repeat(np.cumsum(hours) - hours, hours)
    start = spread["window_start_utc"].dt.floor("h") + pd.to_timedelta(number, unit="h")
    return spread.assign(**{"hour": start, column: spread[column].astype("float64") / share})


def hourly_series(windows: pd.DataFrame, column: str = "service_units") -> pd.Series:
    """Sum of a column per hour, UTC, without gaps; missing hours are zero."""
    if windows.empty:
        return pd.Series(dtype="float64", index=pd.DatetimeIndex([], tz="UTC"))
    counted = windows[["window_start_utc", "window_minutes", column]]
    return by_hour(counted, column).set_index("hour")[column].resample("h").sum()


def since_as_fine(windows: pd.DataFrame) -> pd.DataFrame:
    """Windows of one use case and region since the last that was longer than the newest: older months are often kept by day only.

    What says how demand moves within a day rests on these.
    """
    if windows.empty:
        return windows
    start, minutes = windows["window_start_utc"], windows["window_minutes"]
    longer = start[minutes > minutes.iloc[int(start.argmax())]]
    return windows[start > longer.max()] if len(longer) else windows


def hours_of_month(period: str) -> pd.DatetimeIndex:
    """Start of every hour of a month, UTC."""
    count = pd.Period(period, "M").days_in_month * HOURS_PER_DAY
    return pd.date_range(f"{period}-01", periods=count, freq="h", tz="UTC", unit="us")


def hourly_shape(demand_windows: pd.DataFrame, use_case_id: str, region: str, period: str) -> np.ndarray:
    """Relative load of each hour of the period, mean 1: the basis of load-duration curves.

    Shape (hours of the month,). Hours before the first and after the last window of the month were not
    observed and stand at the mean; all ones where the period holds no demand for the pair.
    """
    hours = hours_of_month(period)
    mine = demand_windows[(demand_windows["use_case_id"] == use_case_id) & (demand_windows["region"] == region)]
    load = hourly_series(mine[mine["window_start_utc"].between(hours[0], hours[-1] + pd.Timedelta(hours=1))])
    load = load.reindex(hours).to_numpy()
    mean = np.nanmean(load) if np.isfinite(load).any() else 0.0
    return np.nan_to_num(load / mean, nan=1.0) if mean > 0 else np.ones(len(hours))


def job_end(jobs: pd.DataFrame) -> pd.Series:
    """End of each job; of running ones the latest moment in the table."""
    latest = jobs[["started_utc", "ended_utc"]].max().max()
    running = jobs["ended_utc"].isna() & (jobs["status"] == "running")
    return jobs["ended_utc"].mask(running, latest)


def running_accelerators(jobs: pd.DataFrame, speed: pd.Series) -> pd.DataFrame:
    """Reference accelerators in use per hour: hourly rows per use case and region.

    Parameters
    ----------
    jobs : table `jobs`; jobs that never started count nothing, running ones up to the latest moment
        that the table knows.
    speed : speed relative to the reference accelerator, indexed like `jobs`.

    Returns
    -------
    Columns window_start_utc, use_case_id, region, service_units (reference accelerator-hours).
    """
    ran = jobs.assign(ended_utc=job_end(jobs))
    ran = ran[ran["started_utc"].notna() & ran["ended_utc"].notna()]
    parts = [
        _hours_of(group, speed.reindex(group.index)).assign(use_case_id=use_case, region=region)
        for (use_case, region), group in ran.groupby(["use_case_id", "region"])
    ]
    columns = ["window_start_utc", "use_case_id", "region", "service_units"]
    if not parts:
        empty = pd.Series(dtype="datetime64[us, UTC]")
        return pd.DataFrame({"window_start_utc": empty, "service_units": pd.Series(dtype="float64")}).reindex(
            columns=columns
        )
    return pd.concat(parts, ignore_index=True)[columns]


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
    started, ended = start[order[0]], end[order[1]]
    grown = _ramp(edges, started, weight[order[0]]) - _ramp(edges, ended, weight[order[1]])
    # differences of large sums leave dust behind: an hour in which no job runs holds nothing
    runs = np.searchsorted(started, edges[1:], side="left") > np.searchsorted(ended, edges[:-1], side="right")
    times = pd.date_range(first, periods=len(edges) - 1, freq="h", unit="us")
    units = np.where(runs, np.maximum(np.diff(grown), 0.0), 0.0)
    return pd.DataFrame({"window_start_utc": times, "service_units": units})


def _ramp(edges: np.ndarray, starts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum over jobs of weight * max(edge - start, 0), for sorted starts."""
    count = np.searchsorted(starts, edges, side="right")
    weight_sum = np.concatenate([[0.0], np.cumsum(weights)])
    moment = np.concatenate([[0.0], np.cumsum(weights * starts)])
    return edges * weight_sum[count] - moment[count]
