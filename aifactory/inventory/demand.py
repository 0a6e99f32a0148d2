"""Demand of every use case by month, and its profile in the reporting month."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.demand.events import launch_factor
from aifactory.demand.lengths import length_correlation
from aifactory.demand.lost_days import lost_days
from aifactory.demand.lumps import Lumps, lumps_of
from aifactory.demand.month_trend import trend_of_months
from aifactory.demand.profile import (
    MIN_UNITS,
    Trend,
    hours_of_month,
    monthly_trend,
    profile_series,
    running_accelerators,
)
from aifactory.demand.season import YearSeason
from aifactory.demand.shapes import minute_dispersion, second_dispersion
from aifactory.demand.weekday_mix import average_days, weekday_factors
from aifactory.inputs.aggregate.cube import probed_second
from aifactory.inputs.workspace import Workspace
from aifactory.serving.platforms import platforms_with
from aifactory.units import HOURS_PER_DAY, MINUTES_PER_HOUR, SECONDS_PER_HOUR, few

COUNTS = ["requests", "errors", "retries", "input_tokens", "cached_input_tokens", "output_tokens"]
PAIR = ["use_case_id", "region"]
#: A month with fewer observed days says nothing about a trend.
MIN_DAYS = 7
DAY_MINUTES, DAYS_PER_MONTH = 1440, 365.25 / 12
EPOCH, NO_DAYS = pd.Timestamp("1970-01-01", tz="UTC"), pd.Series(dtype="float64")
#: Columns of a profile without demand that later stages read.
EMPTY_PROFILE = {
    **dict.fromkeys([*PAIR, "workload_class", "service_unit"], "str"),
    **dict.fromkeys(["units_month", "units_per_hour_avg", "units_per_hour_peak", "peak_to_average", "failure_rate", "failed_work_share",
                     "growth_per_month", "growth_log_sd", "growth_step", "growth_season", "month_scatter", "level_per_hour", "week_mix", "observed_hours", "observed_share", "autocorrelation_24h",
                     "weekly_chance", "dispersion_second", "dispersion_minute", "dispersion_hour", "requests_per_s_peak", "length_correlation"], "float64"),
    **dict.fromkeys(["peak_window_minutes", "window_minutes", "outage_hours", "growth_months"], "int64"),
    **dict.fromkeys(["daily_season", "weekly_season", "lumpy"], "bool"),
}  # fmt: skip


def relative_speed(ws: Workspace, pairs: pd.DataFrame) -> pd.DataFrame:
    """Speed of accelerators on training work relative to the plan's reference accelerator.

    A benchmark of the use case counts accelerator-hours of the reference per second, so its rate
    per accelerator times 3,600 is the speed itself. Without one, the ratio of achievable (else
    peak) dense BF16 stands in; that of an accelerator without BF16 is what it usually reaches of its FP16 peak; without all, 1.

    Parameters
    ----------
    pairs : columns use_case_id, accelerator_id.

    Returns
    -------
    `pairs` with columns speed and speed_tier (measured, anchored, assumed).
    """
    runs = ws.table("benchmarks")
    runs = runs[
        runs["use_case_id"].isin(ws.table("use_cases").query("service_unit == 'accelerator_hour'")["use_case_id"])
    ]
    measured = (
        (runs["units_per_s"] / runs["accelerators"] * SECONDS_PER_HOUR)
        .groupby([runs["use_case_id"], runs["accelerator_id"]])
        .mean()
    )
    chips = ws.table("accelerators").set_index("accelerator_id")
    specified = platforms_with(ws.table("accelerators"))
    usual = specified["peak_bf16_dense_tflops"] * specified["achievable_share"]
    flops = chips["achievable_bf16_tflops"].fillna(chips["peak_bf16_dense_tflops"]).fillna(usual)
    anchored = flops / flops.get(ws.plan.reference_accelerator, np.nan)
    unique = pairs[["use_case_id", "accelerator_id"]].drop_duplicates(ignore_index=True)
    own = measured.reindex(pd.MultiIndex.from_frame(unique)).to_numpy(dtype=float)
    ratio = unique["accelerator_id"].map(anchored).to_numpy(dtype=float)
    same = (unique["accelerator_id"] == ws.plan.reference_accelerator).to_numpy()
    speed = np.where(same, 1.0, np.where(np.isfinite(own), own, np.where(np.isfinite(ratio), ratio, 1.0)))
    tier = np.where(same | np.isfinite(own), "measured", np.where(np.isfinite(ratio), "anchored", "assumed"))
    return unique.assign(speed=speed, speed_tier=tier)


def all_windows(ws: Workspace) -> pd.DataFrame:
    """Serving windows and, for jobs, hourly reference accelerator-hours in one frame."""
    serving = ws.table("demand_windows")
    jobs = ws.table("jobs")
    if jobs.empty:
        return serving
    running = running_accelerators(jobs, _speed_of(ws, jobs)).assign(window_minutes=60)
    return pd.concat([serving, running], ignore_index=True)


def _speed_of(ws: Workspace, jobs: pd.DataFrame) -> pd.Series:
    """Speed of each job relative to the reference accelerator."""
    pairs = jobs[["use_case_id", "accelerator_id"]]
    return pairs.merge(relative_speed(ws, jobs), how="left").set_axis(jobs.index)["speed"]


def demand_by_month(ws: Workspace, windows: pd.DataFrame) -> pd.DataFrame:
    """Service units, requests and tokens per month, use case and region, and the share of the work that failed.

    Jobs count as requests in the month they were submitted; failed and cancelled ones as errors.
    Where the outcome of a job is unknown, so is the number of errors. The failed share is of the work of the month: of the
    hours of the reference accelerator that jobs ran in it, whenever they were submitted, else of requests.
    """
    months = windows["window_start_utc"].dt.strftime("%Y-%m")
    sums = windows.groupby([months.rename("month"), *PAIR])[["service_units", *COUNTS]].sum(min_count=1).reset_index()
    sums = sums.rename(columns={"service_units": "units"}).astype(dict.fromkeys(COUNTS, "float64"))
    jobs = ws.table("jobs")
    if jobs.empty:
        sums["failed_work_share"] = sums["errors"] / sums["requests"]
    else:
        month = jobs["submitted_utc"].dt.strftime("%Y-%m").rename("month")
        counted = jobs.assign(requests=1.0, errors=_ended_badly(jobs)).groupby([month, *PAIR])[["requests", "errors"]]
        sums = sums.set_index(["month", *PAIR]).combine_first(counted.sum(skipna=False))
        of_hours = _failed_hours_share(ws, jobs)
        of_requests = (sums["errors"] / sums["requests"]).mask(sums.index.isin(of_hours.index))
        sums = sums.assign(failed_work_share=of_requests.fillna(of_hours)).reset_index()
    known = ws.table("use_cases")[["use_case_id", "workload_class", "service_unit"]]
    table = sums.merge(known, on="use_case_id").sort_values(["month", *PAIR], ignore_index=True)
    return table[
        ["month", "use_case_id", "workload_class", "region", "service_unit", "units", *COUNTS, "failed_work_share"]
    ]


def _ended_badly(jobs: pd.DataFrame) -> pd.Series:
    """1 for jobs that failed or were cancelled, 0 for others, NaN where the outcome is unknown."""
    return jobs["status"].isin(["failed", "cancelled"]).astype("float64").mask(jobs["status"] == "unknown")


def _failed_hours_share(ws: Workspace, jobs: pd.DataFrame) -> pd.Series:
    """Share of failed and cancelled jobs in the hours that ran, by month, use case and region where any did.

    NaN where a job of unknown outcome ran in the month.
    """
    speed, bad = _speed_of(ws, jobs), _ended_badly(jobs)
    ran = _hours_by_month(jobs, speed)
    ran = ran[ran > 0]
    failed, unknown = (
        _hours_by_month(jobs[which], speed).reindex(ran.index, fill_value=0.0) for which in (bad == 1.0, bad.isna())
    )
    return (failed / ran).mask(unknown > 0)


def _hours_by_month(jobs: pd.DataFrame, speed: pd.Series) -> pd.Series:
    """Hours of the reference accelerator that jobs ran, by month, use case and region."""
    hours = running_accelerators(jobs, speed)
    month = hours["window_start_utc"].dt.strftime("%Y-%m").rename("month")
    return hours.groupby([month, *PAIR])["service_units"].sum()


def profile_demand(ws: Workspace, windows: pd.DataFrame, monthly: pd.DataFrame) -> pd.DataFrame:
    """Profile of every use case and region in the reporting month, see `profile_and_years`."""
    return profile_and_years(ws, windows, monthly)[0]


def profile_and_years(
    ws: Workspace, windows: pd.DataFrame, monthly: pd.DataFrame
) -> tuple[pd.DataFrame, dict[tuple[str, str], YearSeason]]:
    """Profile of every use case and region in the reporting month, and the season of the year of those that have one.

    See `demand.profile` and `demand.month_trend`. Trends and seasons are those of `whole_months` without stated launches.
    """
    month = windows[windows["window_start_utc"].dt.strftime("%Y-%m") == ws.period]
    ends = windows["window_start_utc"] + pd.to_timedelta(windows["window_minutes"], unit="min")
    spans = windows.assign(end=ends).groupby(PAIR).agg(first=("window_start_utc", "min"), last=("end", "max"))
    hours, prior = hours_of_month(ws.period), ws.plan.value("unknown_growth_sd")
    training = set(ws.table("use_cases").query("service_unit == 'accelerator_hour'")["use_case_id"])
    whole = whole_months(ws, windows, monthly)
    rows, by_day, years = [], _units_by_day(windows, ws.period), {}
    begun = spans.index[spans["first"] <= hours[-1]].difference(month.set_index(PAIR).index)
    idle = [pair for pair in begun if pair[0] in training]
    for (use_case, region), group in [*month.groupby(PAIR), *((pair, month.iloc[:0]) for pair in idle)]:
        minutes = int(group["window_minutes"].iloc[0]) if len(group) else MINUTES_PER_HOUR
        series = group.set_index("window_start_utc")["service_units"].resample(f"{minutes}min").sum()
        first, last = spans.loc[(use_case, region)]
        if use_case in training:  # a job table is a log: hours without a job are idle, not unobserved
            series, last = series.reindex(hours, fill_value=0.0), max(last, hours[-1] + pd.Timedelta(hours=1))
        found = profile_series(series, minutes, may_idle=use_case in training, units_per_request=_at_once(group))
        if group.empty:  # a job table without a job in the month was seen all of it
            found = replace(found, observed_hours=float(len(hours)))
        days = by_day.get((use_case, region), NO_DAYS)
        factors = _factors(days)
        mix = 1.0 if use_case in training else _week_mix(ws.period, first, last, factors)
        months, levels, centre = _daily_levels(whole, use_case, region, ws.period, first, last, factors)
        levels = levels / launch_factor(ws.plan, str(use_case), months)
        trend = monthly_trend(levels, prior, centre=centre)
        lumps = lumps_of(levels, trend.growth) if use_case in training else None
        if lumps is None:
            trend = trend_of_months(levels, prior, centre=centre, first_calendar_month=months[0].month)
        if group.empty and lumps is None:
            continue
        if trend.year is not None:
            years[str(use_case), str(region)] = trend.year
        rows.append(
            {
                "use_case_id": use_case,
                "region": region,
                "units_month": found.units,
                **{name: value for name, value in vars(found).items() if name != "units"},
                "observed_share": found.observed_hours / len(hours),
                "window_minutes": minutes,
                **_bursts(group, minutes),
                **_of_trend(trend, lumps),
                "level_per_hour": found.units_per_hour_avg / mix if lumps is None else lumps.level / HOURS_PER_DAY,
                "week_mix": mix,
                "lumpy": lumps is not None,
            }
        )
    known = ws.table("use_cases")[["use_case_id", "workload_class", "service_unit"]]
    pairs = {key: length_correlation(part) for key, part in ws.month("latency_histograms").groupby(PAIR)}
    for row in rows:
        row["length_correlation"] = pairs.get((row["use_case_id"], row["region"]), np.nan)
    if not rows:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in EMPTY_PROFILE.items()}), {}
    profile = pd.DataFrame(rows).merge(known, on="use_case_id")
    return _with_shares(profile, monthly[monthly["month"] == ws.period]), years


def _of_trend(trend: Trend, lumps: Lumps | None) -> dict[str, float]:
    """Growth with its doubt, what was set apart, and the scatter of months; months and scatter are those of lumps where there are."""
    return {
        "growth_per_month": trend.growth,
        "growth_months": trend.months if lumps is None else lumps.months,
        "growth_log_sd": trend.log_sd,
        "growth_step": trend.step,
        "growth_season": trend.season,
        "month_scatter": trend.scatter if lumps is None else lumps.log_sd,
    }


def _at_once(group: pd.DataFrame) -> float:
    """Units of a request that succeeded; 1 where requests are not counted."""
    asked = (group["requests"] - group["errors"].fillna(0)).sum() if "requests" in group else 0
    return float(group["service_units"].sum() / asked) if asked > 0 else 1.0


def _bursts(group: pd.DataFrame, minutes: int) -> dict[str, float]:
    """Variance over mean of the month's requests, 1 if all came alone, and requests a second in the busiest window.

    Of counts per second within their minutes, per minute within their hours, and per hour, which holds seasons and
    shifts of the level too; NaN where requests are not counted or windows are longer.
    """
    found = dict.fromkeys(["dispersion_second", "dispersion_minute", "dispersion_hour", "requests_per_s_peak"], np.nan)
    if minutes > 60 or "requests" not in group or group["requests"].isna().all():
        return found
    counts = group.set_index("window_start_utc")["requests"].astype("float64")
    found["requests_per_s_peak"] = float(counts.groupby(level=0).sum().max()) / (minutes * 60)
    if minutes == 1:
        found["dispersion_minute"] = minute_dispersion(counts.resample("1min").sum().to_numpy())
        probed = group.reindex(columns=["probed_requests"])["probed_requests"].astype("float64").to_numpy()
        minute = group["window_start_utc"].dt.tz_localize(None).to_numpy().astype("datetime64[m]").astype("int64")
        found["dispersion_second"] = second_dispersion(counts.to_numpy(), probed, probed_second(minute))
    hourly = counts.resample("h").sum().to_numpy()
    if len(hourly) > 1 and hourly.mean() > 0:
        found["dispersion_hour"] = float(hourly.var(ddof=1) / hourly.mean())
    return found


def class_peaks(ws: Workspace, windows: pd.DataFrame) -> pd.DataFrame:
    """Requests a second of each class in the busiest window of the month, all its use cases and regions together.

    The window is the longest of the class, at most a day, to which shorter ones are added up; training has no requests.
    Columns workload_class, requests_per_s, window_minutes, window_start_utc.
    """
    month = windows[(windows["window_start_utc"].dt.strftime("%Y-%m") == ws.period) & (windows["requests"] > 0)]
    month = month.merge(ws.table("use_cases")[["use_case_id", "workload_class"]], on="use_case_id")
    rows = []
    for name, mine in month.groupby("workload_class"):
        minutes = int(mine["window_minutes"].max())
        counts = mine.groupby(mine["window_start_utc"].dt.floor(f"{minutes}min"))["requests"].sum().astype("float64")
        rows.append((name, float(counts.max()) / (60 * minutes), minutes, counts.idxmax()))
    return pd.DataFrame(rows, columns=["workload_class", "requests_per_s", "window_minutes", "window_start_utc"])


def _daily_levels(
    monthly: pd.DataFrame, use_case: str, region: str, period: str, first: pd.Timestamp, last: pd.Timestamp, factors: np.ndarray
) -> tuple[pd.PeriodIndex, np.ndarray, np.ndarray]:  # fmt: skip
    """The months up to the period, units per average day of the week of each, and the middle of what was observed of it, in months.

    NaN where less than a week was observed. `factors` are those of `demand.weekday_mix.weekday_factors`.
    """
    mine = monthly[(monthly["use_case_id"] == use_case) & (monthly["region"] == region) & (monthly["month"] <= period)]
    months = pd.period_range(mine["month"].min(), period, freq="M")
    start = _days(np.maximum(months.start_time.tz_localize("UTC"), first))
    end = _days(np.minimum((months + 1).start_time.tz_localize("UTC"), last))
    known = end - start >= MIN_DAYS
    days = np.where(known, average_days(start, end, factors), 1.0)
    units = mine.set_index("month")["units"].reindex(months.astype(str), fill_value=0.0).to_numpy()
    return months, np.where(known, units / days, np.nan), (start + end) / 2 / DAYS_PER_MONTH


def _week_mix(month: str, first: pd.Timestamp, last: pd.Timestamp, factors: np.ndarray) -> float:
    """What the days of a month between two moments usually carry, over as many days of whole weeks; 1 without a proven week."""
    begins = pd.Timestamp(f"{month}-01", tz="UTC")
    start, end = _days(pd.DatetimeIndex([max(begins, first), min(begins + pd.DateOffset(months=1), last)]))
    found = float(average_days(np.array([start]), np.array([end]), factors)[0] / (end - start)) if end > start else 1.0
    return found if found > 0 else 1.0


def in_whole_weeks(ws: Workspace, windows: pd.DataFrame, monthly: pd.DataFrame) -> pd.DataFrame:
    """`demand_by_month` with the units that a month would hold if each day of the week came as often as the others.

    A service that rests at weekends has up to 6 % more or less in a month than the mean of its weeks, without growth. Plans count
    months of such weeks. Training stays as it is: its jobs come when they come.
    """
    cases = ws.table("use_cases")
    serving = windows[
        windows["use_case_id"].isin(cases.loc[cases["service_unit"] != "accelerator_hour", "use_case_id"])
    ]
    ends = serving["window_start_utc"] + pd.to_timedelta(serving["window_minutes"], unit="min")
    spans = serving.assign(end=ends).groupby(PAIR).agg(first=("window_start_utc", "min"), last=("end", "max"))
    by_day = _units_by_day(serving, ws.period)
    factors = {pair: _factors(by_day.get(pair, NO_DAYS)) for pair in spans.index}
    mix = [
        _week_mix(row.month, *spans.loc[pair], factors[pair])
        if (pair := (row.use_case_id, row.region)) in factors
        else 1.0
        for row in monthly.itertuples()
    ]
    return monthly.assign(units=monthly["units"] / np.array(mix, dtype=float))


def _factors(days: pd.Series) -> np.ndarray:
    return weekday_factors(days.to_numpy(), days.index[0].day_of_week if len(days) else 0)


def days_lost(ws: Workspace, windows: pd.DataFrame) -> pd.DataFrame:
    """Days that `demand.lost_days` calls lost, by month, use case and region; training is left out, a job table is a log.

    Columns days; work_days and of_work_days: what they, and all days seen of the month, count in average days.
    """
    cases = ws.table("use_cases")
    serving = set(cases.loc[cases["service_unit"] != "accelerator_hour", "use_case_id"])
    asked = windows[windows["use_case_id"].isin(serving)]
    at_once = {pair: max(_at_once(rows), 1.0) for pair, rows in asked.groupby(PAIR)}
    rows = []
    for pair, days in _units_by_day(asked, ws.period).items():
        lost = days.index[lost_days(days.to_numpy(), MIN_UNITS * at_once[pair])]
        work = pd.Series(_factors(days)[days.index.day_of_week], days.index)
        for month in lost.strftime("%Y-%m").unique():
            of_month = work[month]
            part = of_month[of_month.index.isin(lost)]
            rows.append((month, *pair, len(part), part.sum(), of_month.sum()))
    kinds = {"days": "int64", "work_days": "float64", "of_work_days": "float64"}
    return pd.DataFrame(rows, columns=["month", *PAIR, *kinds]).astype(kinds)


def whole_months(ws: Workspace, windows: pd.DataFrame, monthly: pd.DataFrame) -> pd.DataFrame:
    """`demand_by_month` with the units that a month would have had without its lost days; NaN where less than a week is left of it."""
    both = monthly.merge(days_lost(ws, windows), on=["month", *PAIR], how="left").set_axis(monthly.index)
    left = both["of_work_days"] - both["work_days"]
    lifted = (monthly["units"] * both["of_work_days"] / left.where(left > 0)).where(left >= MIN_DAYS)
    return monthly.assign(units=monthly["units"].where(both["days"].isna(), lifted))


def lost_sentences(ws: Workspace, windows: pd.DataFrame) -> list[str]:
    """Say which days of which use cases were not recorded and are taken for lost."""
    found = []
    for (use_case, region), rows in days_lost(ws, windows).groupby(PAIR):
        told = few([f"{row.days} day{'' if row.days == 1 else 's'} of {row.month}" for row in rows.itertuples()])
        found.append(
            f"{use_case} in {region}: nothing was recorded on {told}. They count as lost, not as days without demand: levels, trends and "
            "seasons rest on the other days, the units of the month on what was recorded."
        )
    return found


def _days(moments: pd.DatetimeIndex) -> np.ndarray:
    """Days since 1970-01-01."""
    return ((moments - EPOCH) / pd.Timedelta(days=1)).to_numpy(dtype=float)


def _units_by_day(windows: pd.DataFrame, period: str) -> dict[tuple[str, str], pd.Series]:
    """Units of each whole day of each use case and region up to the period; none where windows are longer than a day."""
    end = pd.Timestamp(f"{period}-01", tz="UTC") + pd.DateOffset(months=1)
    past = windows[(windows["window_start_utc"] < end) & (windows["window_minutes"] <= DAY_MINUTES)]
    day = past["window_start_utc"].dt.floor("D")
    sums = past.groupby([*PAIR, day])["service_units"].sum()
    found = {}
    for pair, mine in sums.groupby(level=PAIR):
        series = mine.droplevel(PAIR).asfreq("D", fill_value=0.0)
        found[pair] = series.iloc[1:-1]  # the first and the last may be seen in part
    return found


def _with_shares(profile: pd.DataFrame, month: pd.DataFrame) -> pd.DataFrame:
    counts = month.set_index(PAIR)[COUNTS].reindex(pd.MultiIndex.from_frame(profile[PAIR]))
    share = {
        "failure_rate": counts["errors"] / counts["requests"],
        "failed_work_share": month.set_index(PAIR)["failed_work_share"].reindex(counts.index),
        "retry_share": counts["retries"] / counts["requests"],
        "cache_share": counts["cached_input_tokens"] / counts["input_tokens"],
    }
    table = profile.assign(**{name: values.to_numpy() for name, values in share.items()})
    return table.sort_values(["workload_class", *PAIR], ignore_index=True)
