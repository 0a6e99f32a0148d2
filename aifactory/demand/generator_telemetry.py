"""Seeded telemetry of the sample company: demand windows, histograms, jobs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from aifactory.demand.generator_company import (
    DRIFT,
    FIRST_MONTH,
    LAST_MONTH,
    OUTAGE,
    POOLS,
    REGIONS,
    TENANTS,
    USE_CASES,
    UseCase,
)
from aifactory.demand.generator_company import peak_units_per_s as peak
from aifactory.inputs.telemetry import BUCKET_OF_ZERO, GAMMA, conform

HISTOGRAM_MONTHS = 3
P99_Z = stats.norm.ppf(0.99)
SERVING = [(name, region) for name, case in USE_CASES.items() for region in case.units_per_hour]


def hours() -> pd.DatetimeIndex:
    """Hours of all months, UTC."""
    end = pd.Period(LAST_MONTH, "M").end_time
    return pd.date_range(f"{FIRST_MONTH}-01", end, freq="h", tz="UTC", unit="us")


def spawn(seed: int, *path: int) -> np.random.Generator:
    """Generator of one part; parts do not disturb each other."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))


def lognormal(median: float, p99: float) -> tuple[float, float]:
    """Parameters mu and sigma of the lognormal with that median and 99th percentile."""
    return float(np.log(median)), float(np.log(p99 / median) / P99_Z)


def lognormal_mean(median: float, p99: float) -> float:
    """Mean of that lognormal: exp(mu + sigma^2 / 2)."""
    mu, sigma = lognormal(median, p99)
    return float(np.exp(mu + sigma**2 / 2))


def shape(case: UseCase, region: str, times: pd.DatetimeIndex) -> np.ndarray:
    """Relative load of each hour: day profile in local time, weekend, launch, monthly growth."""
    local = times + pd.Timedelta(hours=REGIONS[region])
    day = 1 + case.day_swing * np.cos(2 * np.pi * (local.hour - 14) / 24)
    week = np.where(local.day_of_week >= 5, case.weekend, 1.0)
    week = week / ((5 + 2 * case.weekend) / 7)
    months = (times - times[-1]) / pd.Timedelta(days=365.25 / 12)
    load = day * week * (1 + case.growth) ** np.asarray(months, dtype=float)
    if case.launch and case.launch <= LAST_MONTH:
        since = np.asarray((times - pd.Timestamp(case.launch, tz="UTC")) / pd.Timedelta(days=1), dtype=float)
        load = np.where(since < 0, 0.0, load * (1 + 2 * np.exp(-np.maximum(since, 0) / 6)))
    return np.asarray(load)


def demand_series(name: str, region: str, seed: int) -> pd.DataFrame:
    """Hourly counts of one use case in one region: Gamma-Poisson, so over-dispersed at an hour."""
    case, times = USE_CASES[name], hours()
    random = spawn(seed, 1, SERVING.index((name, region)))
    day_effect = np.repeat(random.gamma(100, 1 / 100, len(times) // 24), 24)
    hour_effect = random.gamma(case.hour_cv**-2, case.hour_cv**2, len(times))
    rate = case.units_per_hour[region] / case.units_per_request * shape(case, region, times) * day_effect * hour_effect
    if (name, region) == OUTAGE[:2]:
        down = (times >= pd.Timestamp(OUTAGE[2], tz="UTC")) & (times < pd.Timestamp(OUTAGE[3], tz="UTC"))
        rate = np.where(down, 0.0, rate)
    requests = random.poisson(rate)
    errors = random.binomial(requests, case.failure_rate)
    frame = pd.DataFrame({"window_start_utc": times, "requests": requests, "errors": errors})
    frame["retries"] = random.binomial(errors, 0.6)
    frame["service_units"] = ((requests - errors) * case.units_per_request).round(3)
    for column, sizes in (("input_tokens", case.input_tokens), ("output_tokens", case.output_tokens)):
        frame[column] = token_sum(requests, sizes, random) if sizes else pd.NA
    if name == DRIFT[0]:
        later = frame["window_start_utc"].dt.strftime("%Y-%m") >= DRIFT[1]
        longer = (frame["input_tokens"] * DRIFT[2]).round().astype("int64")
        frame["input_tokens"] = frame["input_tokens"].mask(later, longer)
    frame["cached_input_tokens"] = (
        (frame["input_tokens"] * case.cached_share * random.uniform(0.97, 1.0, len(times))).astype("int64")
        if case.input_tokens
        else pd.NA
    )
    capacity = hourly_capacity(name, region)
    busy = np.clip(frame["service_units"] / capacity, 0, 0.98) if capacity else 0.0
    frame["queue_depth_max"] = np.round(3 * busy**2 / (1 - busy), 1)
    frame.insert(1, "use_case_id", name)
    frame.insert(2, "region", region)
    return frame


def token_sum(requests: np.ndarray, sizes: tuple[float, float], random: np.random.Generator) -> np.ndarray:
    """Tokens of n requests with lognormal sizes, by the normal limit of their sum."""
    mu, sigma = lognormal(*sizes)
    mean = np.exp(mu + sigma**2 / 2)
    deviation = mean * np.sqrt(np.exp(sigma**2) - 1)
    total = requests * mean + deviation * np.sqrt(requests) * random.standard_normal(len(requests))
    return np.maximum(total, requests).round().astype("int64")


def demand_windows(seed: int) -> pd.DataFrame:
    """Table `demand_windows`: one row per use case, region and hour."""
    parts = [demand_series(name, region, seed) for name, region in SERVING]
    frame = pd.concat(parts, ignore_index=True).assign(window_minutes=60)
    launched = frame["use_case_id"].map({name: case.launch for name, case in USE_CASES.items()})
    live = (launched == "") | (frame["window_start_utc"].dt.strftime("%Y-%m") >= launched)
    return conform(frame[live], "demand_windows").reset_index(drop=True)


def hourly_capacity(name: str, region: str) -> float:
    """Units per hour that the pools of a use case in a region can do at their highest."""
    return sum(
        pool.installed * pool.share * peak(name, pool.accelerator_id) * 3600
        for pool in POOLS.values()
        if name in pool.use_cases and pool.region == region
    )


def latency_histograms(windows: pd.DataFrame) -> pd.DataFrame:
    """Table `latency_histograms` of the last months: lognormal sizes and latencies, exact counts."""
    months = windows["window_start_utc"].dt.strftime("%Y-%m")
    recent = sorted(months.unique())[-HISTOGRAM_MONTHS:]
    done = (windows["requests"] - windows["errors"]).groupby([months, windows["use_case_id"], windows["region"]]).sum()
    busy = utilization(windows)
    parts = []
    for (month, name, region), count in done.items():
        if month in recent and count:
            for metric, median, p99 in latencies(USE_CASES[name], busy[month, name, region]):
                longer = DRIFT[2] if (name, metric) == (DRIFT[0], "input_tokens") and month >= DRIFT[1] else 1.0
                parts.append(histogram(month, name, region, metric, median * longer, p99 * longer, int(count)))
    return conform(pd.concat(parts, ignore_index=True), "latency_histograms")


def tenant_usage(windows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Table `tenant_usage` of the last months: Zipf shares; requests, errors and tokens add up to those of the windows."""
    months = windows["window_start_utc"].dt.strftime("%Y-%m")
    recent = sorted(months.unique())[-HISTOGRAM_MONTHS:]
    columns = ["requests", "errors", "service_units", "input_tokens", "output_tokens"]
    sums = windows[windows["use_case_id"].isin(TENANTS) & months.isin(recent)]
    sums = sums.groupby([months.rename("month"), "use_case_id", "region"])[columns].sum(min_count=1)
    parts = [_tenants_of(*key, row, spawn(seed, 7, number)) for number, (key, row) in enumerate(sums.iterrows())]
    return conform(pd.concat(parts, ignore_index=True), "tenant_usage")


def _tenants_of(month: str, name: str, region: str, sums: pd.Series, random: np.random.Generator) -> pd.DataFrame:
    count, exponent = TENANTS[name]
    weights = np.arange(1, count + 1, dtype=float) ** -exponent
    # each region has its own favourites among the same tenants
    weights = np.roll(weights, list(REGIONS).index(region) * 5)
    requests = random.multinomial(int(sums["requests"]), weights / weights.sum())
    length = random.lognormal(0.0, 0.25, count)
    per_request = USE_CASES[name].units_per_request
    errors = _split(int(sums["errors"]), requests.astype(float))
    frame = pd.DataFrame({"requests": requests, "errors": errors})
    frame["service_units"] = ((requests - errors) * per_request).round(3)
    for column in ("input_tokens", "output_tokens"):
        known = pd.notna(sums[column])
        frame[column] = pd.array(_split(int(sums[column]), requests * length) if known else [None] * count, "Int64")
    tenant = [f"{name}-tenant-{number:03d}" for number in range(1, count + 1)]
    frame = frame.assign(month=month, use_case_id=name, region=region, tenant=tenant)
    return frame[frame["requests"] > 0]


def _split(total: int, weights: np.ndarray) -> np.ndarray:
    """Whole numbers in proportion to weights that add up to the total: cumulative rounding."""
    shares = np.round(np.cumsum(weights) / weights.sum() * total).astype("int64")
    return np.diff(shares, prepend=0)


def utilization(windows: pd.DataFrame) -> pd.Series:
    """Mean of busy-hour utilisation per month, use case and region (load over highest capacity)."""
    capacity = [
        hourly_capacity(name, region) for name, region in zip(windows["use_case_id"], windows["region"], strict=True)
    ]
    load = windows["service_units"] / np.asarray(capacity)
    months = windows["window_start_utc"].dt.strftime("%Y-%m")
    return load.groupby([months, windows["use_case_id"], windows["region"]]).quantile(0.9).clip(upper=0.85)


def latencies(case: UseCase, busy: float) -> list[tuple[str, float, float]]:
    """Median and 99th percentile of each metric; queueing stretches them as load nears capacity."""
    stretch = 1 + 0.5 * busy**2 / (1 - busy)
    ttft, tpot, e2e = case.slo_ms
    tail = 3.2
    found = [("queue_ms", 4 * stretch**2, 60 * stretch**2)]
    if ttft:
        found.append(("ttft_ms", ttft * 0.28 * stretch, ttft * 0.28 * stretch * tail))
    if tpot:
        found.append(("tpot_ms", tpot * 0.5 * stretch**0.5, tpot * 0.5 * stretch**0.5 * 1.6))
    if e2e:
        found.append(("e2e_ms", e2e * 0.3 * stretch, e2e * 0.3 * stretch * tail))
    found += [("input_tokens", *case.input_tokens)] if case.input_tokens else []
    found += [("output_tokens", *case.output_tokens)] if case.output_tokens else []
    return found


def histogram(month: str, name: str, region: str, metric: str, median: float, p99: float, count: int) -> pd.DataFrame:
    """Log-bucket counts of a lognormal; cumulative rounding keeps the total exact."""
    mu, sigma = lognormal(median, p99)
    low, high = (int(np.floor((mu + z * sigma) / np.log(GAMMA))) for z in (-4, 4))
    edges = np.arange(low, high + 1)
    cumulative = stats.norm.cdf((edges * np.log(GAMMA) - mu) / sigma)
    cumulative[-1] = 1.0
    counts = np.diff(np.round(cumulative * count), prepend=0.0).astype("int64")
    keep = (counts > 0) & (edges != BUCKET_OF_ZERO)
    rows = {"month": month, "use_case_id": name, "region": region, "metric": metric}
    return pd.DataFrame({**rows, "bucket": edges[keep], "count": counts[keep]})


def jobs(seed: int) -> pd.DataFrame:
    """Table `jobs`: heavy-tailed durations, some failed or cancelled, queued by hour of day."""
    parts = [
        _jobs_of(name, pool_id, spawn(seed, 2, list(USE_CASES).index(name), list(POOLS).index(pool_id)))
        for name, case in USE_CASES.items()
        for pool_id, pool in POOLS.items()
        if case.job_hours and name in pool.use_cases
    ]
    frame = pd.concat(parts, ignore_index=True).sort_values(["submitted_utc", "use_case_id"], ignore_index=True)
    frame["job_id"] = [f"job-{number:06d}" for number in range(1, len(frame) + 1)]
    last = pd.Period(LAST_MONTH, "M").end_time.tz_localize("UTC")
    frame = frame[frame["started_utc"] <= last]
    running = frame["ended_utc"] > last
    frame = frame.assign(ended_utc=frame["ended_utc"].mask(running), status=frame["status"].mask(running, "running"))
    return conform(frame, "jobs")


def _jobs_of(name: str, pool_id: str, random: np.random.Generator) -> pd.DataFrame:
    case, pool = USE_CASES[name], POOLS[pool_id]
    pilot = any(other is not pool and name in other.use_cases and other.share < 1 for other in POOLS.values())
    share = pool.share if pool.share < 1 else 1 - 0.08 * pilot
    months = pd.period_range(FIRST_MONTH, LAST_MONTH, freq="M")
    parts = []
    for back, month in enumerate(reversed(months)):
        target = case.job_hours * (1 + case.growth) ** -back * share / peak(name, pool.accelerator_id) / 3600
        parts.append(_month_of_jobs(case, pool_id, month, target, random))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(use_case_id=name, region=pool.region, accelerator_id=pool.accelerator_id)


def _month_of_jobs(
    case: UseCase, pool_id: str, month: pd.Period, target_hours: float, random: np.random.Generator
) -> pd.DataFrame:
    """Draw jobs until the month's accelerator-hours are reached, then scale them to it exactly."""
    pool = POOLS[pool_id]
    median, mean = case.job_duration_s
    sizes = np.array([1, 2, 4, 8])
    chances = np.array([0.55, 0.15, 0.15, 0.15]) if mean > 6_000 else np.array([0.9, 0.08, 0.02, 0.0])
    number = max(int(target_hours * 3600 / (mean * (sizes * chances).sum())), 4)
    duration = np.minimum(random.lognormal(np.log(median), np.sqrt(2 * np.log(mean / median)), number), 12 * 86_400)
    accelerators = random.choice(sizes, number, p=chances)
    duration *= target_hours * 3600 / (duration * accelerators).sum()
    span = (month.end_time - month.start_time).total_seconds() - 3600
    day = random.integers(0, month.days_in_month, number) * 86_400.0
    submitted = np.minimum(day + np.abs(random.normal(12, 5, number) % 24) * 3600, span)
    queued = random.gamma(0.5, 1200.0 / pool.installed * 8, number)
    status = random.choice(
        ["completed", "failed", "cancelled"], number, p=[0.92 - case.failure_rate, case.failure_rate, 0.08]
    )
    start = pd.Timestamp(month.start_time, tz="UTC").as_unit("us")
    seconds = lambda values: start + pd.to_timedelta(np.round(values), unit="s").as_unit("us")  # noqa: E731
    return pd.DataFrame(
        {
            "accelerators": accelerators.astype(float),
            "submitted_utc": seconds(submitted),
            "started_utc": seconds(submitted + queued),
            "ended_utc": seconds(submitted + queued + duration),
            "status": status,
        }
    )
