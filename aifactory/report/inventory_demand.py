"""Demand and service in the inventory page: pattern, growth, latency against targets, outlook."""

from __future__ import annotations

from calendar import month_abbr, month_name

import numpy as np
import pandas as pd

from aifactory.demand.day_peaks import peak_sentences
from aifactory.demand.scenarios import Z90
from aifactory.demand.season import YearSeason
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.seasons import told_seasons
from aifactory.report import charts
from aifactory.report.blocks import (
    Block,
    Col,
    Figure,
    Group,
    bullets,
    figure,
    group,
    missing,
    section,
    table,
)
from aifactory.report.text import join_words, num, pct, plural, usd_compact
from aifactory.units import MINUTES_PER_HOUR, WORKLOAD_CLASSES

#: Longer histories are drawn with every other month.
MAX_MONTHS = 12
DEMAND, LATENCY = "demand_windows and jobs tables", "latency_histograms table"
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def demand_section(inv: Inventory) -> Group:
    """How much, when, and does it repeat."""
    profile = inv.demand_profile
    if profile.empty:
        return group(section("How much is asked of us, and when?", "No demand was found in the month."))
    steep = profile.sort_values("peak_to_average", ascending=False).iloc[0]
    daily, weekly = int(profile["daily_season"].sum()), int(profile["weekly_season"].sum())
    down = profile[profile["outage_hours"] > 0]
    rest = "" if daily == weekly == len(profile) else "; the others are planned without a season"
    text = (
        f"Of {len(profile)} series {daily} {'repeats' if daily == 1 else 'repeat'} with the hour of the day and {weekly} with the day of the week, tested against chance{rest}. "
        f"The steepest peak is {num(steep['units_per_hour_peak'])} {steep['service_unit'].replace('_', ' ')}s an hour over {steep['peak_window_minutes']} minutes, {num(steep['peak_to_average'], 1)} times the average ({steep['use_case_id']}, {steep['region']})."
    )
    text += f" {plural(len(down), 'series', 'series')} had outages." if len(down) else ""
    text += "".join(
        f" {said}" for said in (_yearly(inv), *peak_sentences(inv.demand_basis.day_peaks), _class_peaks(inv)) if said
    )
    return group(section("How much is asked of us, and when?", text), bullets(inv.untested_seasons, ""))


def _yearly(inv: Inventory) -> str:
    """Use cases whose months are likely to repeat with the year, with the highest and the lowest; else how far factors reach."""
    every = inv.demand_basis.seasons
    named = [
        f"{name} (highest in {month_name[1 + int(factor.argmax())]} at {num(factor.max(), 2)} times the mean month, lowest in {month_name[1 + int(factor.argmin())]} at {num(factor.min(), 2)})"
        for name, factor in sorted(told_seasons(inv.demand_profile, every).items())
    ]
    if named:
        return f"With the months of the year, beside growth and stated launches, repeat {join_words(named)}: each month to come is planned at its factor."
    if not every:
        return ""
    low, high = min(map(np.min, every.values())), max(map(np.max, every.values()))
    return f"No season of the year is likely so far: the months to come are planned at {num(low, 2)} to {num(high, 2)} times the mean month."


def _class_peaks(inv: Inventory) -> str:
    """Requests a second of each class, with the window in which they come."""
    peaks = inv.class_peaks.sort_values("requests_per_s", ascending=False)
    if peaks.empty:
        return ""
    named = [
        f"{num(row.requests_per_s)} of {WORKLOAD_CLASSES[row.workload_class].lower()} ({row.window_minutes} min from {row.window_start_utc:%d %b %H:%M})"
        for row in peaks.itertuples()
    ]
    return f"Requests a second in the busiest window of each class, all regions together: {join_words(named)}, UTC."


def chart_demand_heatmap(ws: Workspace, inv: Inventory) -> Figure | Block:
    """Load by hour and weekday, all serving use cases, each relative to its own mean."""
    serving = inv.windows[inv.windows["use_case_id"].isin(_serving(inv))]
    start = pd.Timestamp(f"{ws.period}-01", tz="UTC")
    month = serving[
        (serving["window_start_utc"] >= start) & (serving["window_start_utc"] < start + pd.offsets.MonthBegin())
    ]
    if month.empty:
        return missing("The weekly pattern", "no serving demand in the month")
    month = month[month["window_minutes"] <= MINUTES_PER_HOUR]
    if month.empty:
        return missing("The weekly pattern", "all windows of the month are longer than an hour")
    hourly = (
        month.assign(hour=month["window_start_utc"].dt.floor("h"))
        .groupby(["use_case_id", "hour"])["service_units"]
        .sum()
    )
    relative = hourly / hourly.groupby(level=0).transform("mean")
    times = relative.index.get_level_values("hour")
    frame = (
        relative.groupby([times.day_of_week, times.hour])
        .mean()
        .rename_axis(["day", "hour_utc"])
        .rename("load")
        .reset_index()
    )
    busiest = frame.loc[frame["load"].idxmax()]
    frame["weekday"] = frame["day"].map(dict(enumerate(WEEKDAYS)))
    chart = charts.heatmap(
        frame,
        x="hour_utc",
        y="weekday",
        value="load",
        fmt="num2",
        titles={"hour_utc": "Hour of day, UTC", "load": "Load over mean"},
    )
    highest = f"{WEEKDAYS[int(busiest['day'])]} at {int(busiest['hour_utc']):02d}:00 UTC"
    tested = inv.demand_profile[inv.demand_profile["use_case_id"].isin(_serving(inv))]
    repeats = tested["daily_season"].any() or tested["weekly_season"].any()
    return figure(
        chart,
        title=f"Load peaks on {highest}"
        if repeats
        else f"No hour or weekday is proven to repeat; load was highest on {highest}",
        description=f"Heat map of load by weekday and hour; the highest cell is {busiest['load']:.2f} times the mean, the lowest {frame['load'].min():.2f}.",
        caption="Each use case counts relative to its own mean, so that large ones do not hide small ones.",
        source=DEMAND,
        as_of=ws.as_of,
    )


def table_profile(ws: Workspace, inv: Inventory) -> Block:
    """Average, peak and growth per use case and region."""
    columns = {
        "use_case_id": Col("Use case"),
        "region": Col("Region"),
        "service_unit": Col("Unit"),
        "units_per_hour_avg": Col("Average per hour", "sig3"),
        "units_per_hour_peak": Col("Peak per hour", "sig3"),
        "peak_window_minutes": Col("Of, min", "int"),
        "peak_to_average": Col("Peak / average", "num2"),
        "requests_per_s_peak": Col("Busiest requests/s", "sig3"),
        "window_minutes": Col("Over, min", "int"),
        "dispersion_second": Col("Bursts, second", "sig3"),
        "dispersion_minute": Col("Bursts, minute", "sig3"),
        "dispersion_hour": Col("Bursts, hour", "sig3"),
        "length_correlation": Col("Lengths", "num2"),
        "growth_per_month": Col("Growth a month", "pct1"),
        "growth_months": Col("Over, months", "int"),
        "observed_share": Col("Observed", "pct0"),
    }
    for name in ("dispersion_second", "dispersion_minute", "length_correlation"):
        if inv.demand_profile[name].isna().all():
            del columns[name]
    note = "A peak is of the smallest window (of, min) with ten units on average. Bursts are the variance of requests over their mean, of minutes within their hours and of the hours of the month: 1 if every request came alone. Training counts hours of the reference accelerator. Growth is what the doubt of a short history leaves of the slope, between months made alike in their days of the week."
    if "dispersion_second" in columns:
        note += " Of seconds, within their minutes."
    if "length_correlation" in columns:
        note += " Lengths: correlation of the logarithms of prompt and answer."
    frame = inv.demand_profile.reindex(columns=[*columns])
    frame["service_unit"] = frame["service_unit"].astype("str").str.replace("_", " ")
    return table(frame, caption="Demand in service units by use case and region",
                 source=DEMAND, as_of=ws.as_of, columns=columns, groups=["use_case_id"], max_rows=16, note=note)  # fmt: skip


def table_seasons(ws: Workspace, inv: Inventory) -> Block:
    """Which series repeat with the clock, by how much, and how often chance does as well."""
    columns = {
        "use_case_id": Col("Use case"),
        "region": Col("Region"),
        "daily_season": Col("Daily season", "bool"),
        "autocorrelation_24h": Col("Effect", "num2"),
        "daily_chance": Col("Chance", "num3"),
        "busiest_hour_utc": Col("Busiest hour, UTC", "int"),
        "weekly_season": Col("Weekly season", "bool"),
        "weekly_share": Col("Effect", "num2"),
        "weekly_chance": Col("Chance", "num3"),
        "weekend_factor": Col("Weekend / weekday", "num2"),
        "growth_season": Col("Season of the year, chance", "pct0"),
        "high": Col("Highest month"),
        "low": Col("Lowest month"),
    }
    note = (
        "A season needs an effect of 0.2 (of a day: autocorrelation after 24 hours; of a week: share of the variance of daily means that weekdays explain, and 0.2 after 168 hours) "
        "and a chance of at most 0.01 in 499 random turns of its days or weeks, which keep neighbouring hours together. A dash could not be tested. "
        "Of the year: chance that months repeat, beside growth and a lasting step; the highest and lowest month in times the mean one, with the 80 % range. Plans take each month to come at the middle factor of "
        "its calendar month over that of this month and draw its doubt; fewer than 13 months hold none twice, 36 hold each three times."
    )
    years = [
        _ends_of_year(inv.demand_basis.years.get(pair))
        for pair in zip(*(inv.demand_profile[key] for key in ("use_case_id", "region")), strict=True)
    ]
    frame = inv.demand_profile.assign(high=[high for high, _ in years], low=[low for _, low in years])
    return table(frame.reindex(columns=[*columns]), caption="Seasons, tested against chance", source=DEMAND,
                 as_of=ws.as_of, columns=columns, max_rows=12, note=note)  # fmt: skip


def _ends_of_year(year: YearSeason | None) -> tuple[str, str]:
    """Highest and lowest month with factor and 80 % range; dashes without a season.

    >>> _ends_of_year(YearSeason(np.log([4.0, *[1.0] * 10, 0.25]), np.zeros((12, 12))))
    ('Jan 4.00 (4.00 to 4.00)', 'Dec 0.25 (0.25 to 0.25)')
    """
    if year is None:
        return "", ""
    low, high = (year.factor * np.exp(side * Z90 * year.log_sd) for side in (-1, 1))
    told = [
        f"{month_abbr[1 + at]} {num(year.factor[at], 2)} ({num(low[at], 2)} to {num(high[at], 2)})"
        for at in (int(year.factor.argmax()), int(year.factor.argmin()))
    ]
    return told[0], told[1]


def chart_demand_months(ws: Workspace, inv: Inventory) -> Figure | Block:
    """Demand of each class by month, relative to its first full month."""
    monthly = inv.demand_monthly[inv.demand_monthly["month"] <= ws.period]
    begins = _first_full_month(inv.windows)
    monthly = monthly[monthly["use_case_id"].isin(begins.index)]  # work that waits has no window yet
    if monthly.empty:
        return missing("Demand by month", "no demand up to this month")
    monthly = monthly[monthly["month"] >= monthly["use_case_id"].map(begins)]
    sums = monthly.groupby(["use_case_id", "workload_class", "month"])["units"].sum().reset_index()
    first = sums.groupby("use_case_id")["units"].transform(
        lambda units: units[units > 0].iloc[0] if (units > 0).any() else np.nan
    )
    frame = (
        sums.assign(index=sums["units"] / first)
        .groupby(["workload_class", "month"])["index"]
        .mean()
        .rename("demand_index")
        .reset_index()
    )
    frame["workload_class"] = frame["workload_class"].map(WORKLOAD_CLASSES)
    if frame["demand_index"].notna().sum() == 0:
        return missing("Demand by month", "no demand up to this month")
    months = sorted(frame["month"].unique())
    old = frame.groupby("workload_class").size() > 1
    step = 2 if len(months) > MAX_MONTHS else 1
    frame = frame[frame["month"].isin(months[(len(months) - 1) % step :: step])]  # the last among them
    last = frame[frame["month"] == frame["month"].max()].sort_values("demand_index")
    fastest = last[last["workload_class"].map(old).astype(bool)].tail(1)
    grew = "One full month of demand: no growth can be told yet"
    for name, index in zip(fastest["workload_class"], fastest["demand_index"], strict=True):
        verb = "grew fastest" if index > 1 else "held up best"
        grew = f"{name} {verb}: {num(index, 2 if index < 10 else 1)} times its first full month"
    return figure(
        charts.lines_with_band(
            frame,
            x="month",
            y="demand_index",
            color="workload_class",
            fmt="num2",
            titles={"demand_index": "Demand, first full month = 1"},
        ),
        title=grew,
        description="Lines of demand per workload class by month, each relative to its first full month.",
        caption="Mean over the use cases of a class of units per month over units in its first full month"
        + ("; every other month." if step > 1 else "."),
        source=DEMAND,
        as_of=ws.as_of,
    )


def _first_full_month(windows: pd.DataFrame) -> pd.Series:
    """Month by use case: the first that was observed from its first day on."""
    begun = windows.groupby("use_case_id")["window_start_utc"].min().dt.tz_localize(None)
    return (begun - pd.Timedelta(days=1)).dt.to_period("M").add(1).astype("str")


def _serving(inv: Inventory) -> list[str]:
    return inv.use_cases.loc[inv.use_cases["service_unit"] != "accelerator_hour", "use_case_id"].tolist()


def local_section(ws: Workspace, inv: Inventory) -> Group:
    """What keeping demand local costs in capacity."""
    question = "What does it cost that regions cannot share capacity?"
    pooled = inv.local_vs_pooled
    if pooled.empty:
        return group(section(question, "No use case is served from more than one region."))
    worst = pooled.sort_values("difference_share", ascending=False).iloc[0]
    answer = f"Peaks fall on different hours: if regions shared as far as residency and latency allow, {worst['use_case_id']} would need {pct(worst['difference_share'], 0)} less peak capacity. "
    if not worst["difference_share"] > 0:
        answer = "Residency, latency or peaks at the same hours leave nothing to share between regions. "
    local, paid = float(pooled["local_usd"].sum()), pooled["accelerators_paid"].sum()
    if local > 0:
        answer += f"At today's accelerators, staying local costs {num(pooled['accelerators_local'].sum(), 0)} of {num(paid, 0)} accelerators and {usd_compact(local)} a month, use case by use case{_shared_too(inv)}. "
    answer += "Demand is therefore sized in each region first and added afterwards."
    columns = {
        "use_case_id": Col("Use case"),
        "service_unit": Col("Unit"),
        "regions": Col("Regions", "int"),
        "sum_of_local_peaks_per_hour": Col("Sum of local peaks per hour", "sig3"),
        "allowed_peak_per_hour": Col("Shared within rules and latency", "sig3"),
        "pooled_peak_per_hour": Col("Peak of the sum per hour", "sig3"),
        "difference_share": Col("Cost of staying local", "pct1"),
        "accelerators_paid": Col("Accelerators paid", "num1"),
        "accelerators_local": Col("For staying local", "num1"),
        "local_usd": Col("USD a month", "usd0"),
    }
    stated = (
        "round trips that plan.yaml states"
        if ws.plan.region_latency
        else "no limit of latency, since plan.yaml states no round trips"
    )
    note = f"Peaks of whole hours; shared within allowed_regions and {stated}; the peak of the sum knows neither. Capacity is taken to follow the peak; a dash means that the bill names no accelerators for the use case, or not in all of its regions."
    return group(
        section(question, answer),
        table(
            pooled,
            caption="Local and pooled peaks",
            source=f"{DEMAND}; billing table",
            as_of=ws.as_of,
            columns=columns,
            max_rows=15,
            note=note,
        ),
        *_fleet(ws, inv),
    )


def _shared_too(inv: Inventory) -> str:
    """What staying local costs where use cases of an accelerator share it first, which also counts those without a bill of every region."""
    usd = float(inv.pooled_fleet["local_usd"].sum()) if len(inv.pooled_fleet) else 0.0
    return (
        f"; {usd_compact(usd)} a month where the use cases of an accelerator share it, as in the second table"
        if usd > 0
        else ""
    )


def _fleet(ws: Workspace, inv: Inventory) -> list[Block]:
    """Accelerators that the month's peaks need, by how far they may be shared."""
    fleet = inv.pooled_fleet
    if fleet.empty:
        return []
    columns = {
        "accelerator_id": Col("Accelerator"),
        "accelerators_paid": Col("Paid, mean", "num1"),
        "accelerators_in_region": Col("Shared within regions", "num1"),
        "accelerators_by_latency": Col("Across, within latency, sites and rules", "num1"),
        "accelerators_by_rule": Col("Across, rules kept", "num1"),
        "accelerators_pooled": Col("Across, no rules", "num1"),
        "local_usd": Col("Staying local, USD", "usd0"),
        "latency_usd": Col("Latency or sites, USD", "usd0"),
        "residency_usd": Col("Residency rules, USD", "usd0"),
        "bound_to": Col("Bound to a region"),
        "too_far": Col("Not pooled over all: latency or sites"),
    }
    latency = (
        f"A use case is pooled with a region where the round trip takes at most {pct(ws.plan.value('detour_share_of_slo'))} of its tightest latency limit."
        if ws.plan.region_latency
        else "Latency between regions is not stated (region_latency in plan.yaml), so these are the most that sharing could free beside work whose sites stand alone."
    )
    note = (
        "Use cases hold accelerators in proportion to their peaks in the regions that their charges for the accelerator name, and share them hour by hour. Rules are the allowed regions of the catalogue; USD a month. "
        f"{latency}"
    )
    return [table(fleet, caption="Accelerators needed at the month's peaks, by how far they are shared", source=f"{DEMAND}; billing table; use_cases table",
                  as_of=ws.as_of, columns=columns, max_rows=15, note=note)]  # fmt: skip
