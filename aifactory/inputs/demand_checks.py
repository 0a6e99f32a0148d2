"""What must hold between windows of demand, the rows of a demand chain, and of named demand scenarios."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from aifactory.errors import share_hint, with_nearest
from aifactory.inputs.sites import at_least_one, sites_by_region

#: (row of the file, column, value, rule)
Fault = tuple[int | None, str, str, str]
SHARES = ("active_share", "active_share_day_90", "region_share", "cached_input_share")
#: Factors that a forecast from a chain needs.
LAUNCH_FACTORS = ("seats", "active_share", "active_share_day_90", "units_per_seat_month")
SHARE_TOLERANCE = 1e-6
#: A window so many times the 95th percentile of those with work is named, where there are so many.
FAR, LEAST_WINDOWS = 100.0, 20
#: A month so many times above or below all others of its use case is named, where there are so many.
FAR_MONTH, LEAST_MONTHS = 30.0, 3
HOUR = 60
#: Least distance of the first days of two months.
MONTH_APART = pd.Timedelta(days=28)


def doubted_windows(windows: pd.DataFrame) -> Iterator[Fault]:
    """Windows that are likely counted wrong: `far_windows`, `far_months`, `lone_windows`, then `moved_windows`."""
    yield from far_windows(windows)
    yield from far_months(windows)
    yield from lone_windows(windows)
    yield from moved_windows(windows)


def moved_windows(windows: pd.DataFrame) -> Iterator[Fault]:
    """Of each use case and region windows that overlap, and windows of hours or a day that begin off UTC, as days from local midnight do.

    A window counts in the UTC day and month in which it begins. Days from local midnight overlap by an hour where clocks go
    forward and leave an hour out where they go back; the first row of each kind is named.
    """
    keys = ["use_case_id", "region", "window_minutes"]
    held = windows[[*keys, "window_start_utc"]].sort_values([*keys, "window_start_utc"])
    length = pd.to_timedelta(held["window_minutes"], unit="min")
    same = held[keys].eq(held[keys].shift()).all(axis=1)
    apart = held["window_start_utc"].diff().where(same) - length
    minutes = held["window_minutes"].astype("int64")
    begins = (held["window_start_utc"] - held["window_start_utc"].dt.normalize()) // pd.Timedelta(minutes=1)
    off = (minutes > HOUR) & (begins % minutes.clip(upper=24 * HOUR) != 0)
    hour_left = off & (apart == pd.Timedelta(hours=1))
    held = held.assign(overlap=apart < pd.Timedelta(0), off=off, hour_left=hour_left)
    for (use_case, region, long), mine in held[held["overlap"] | off].groupby(keys, sort=True, observed=True):
        at = mine["overlap"].idxmax() if mine["overlap"].any() else mine.index[0]
        parts = [f"{mine['off'].sum():,} windows of {long} minutes of {use_case} in {region} begin off UTC, as from local midnight: each counts in the "
                 "UTC day and month in which it begins"] if mine["off"].any() else []  # fmt: skip
        parts += (
            [f"{mine['overlap'].sum():,} of {use_case} in {region} overlap the one before: work may be counted twice"]
            if mine["overlap"].any()
            else []
        )
        parts += (
            [f"{mine['hour_left'].sum():,} come an hour late, as where clocks go back: its work is lacking"]
            if mine["hour_left"].any()
            else []
        )
        yield int(at) + 2, "window_start_utc", f"{mine.loc[at, 'window_start_utc']:%Y-%m-%dT%H:%MZ}", "; ".join(parts)


def far_windows(windows: pd.DataFrame) -> Iterator[Fault]:
    """Of each use case and region the highest window, where it is more than `FAR` times the 95th percentile of those with work.

    Shorter and longer windows are held apart; fewer than `LEAST_WINDOWS` show no such percentile.
    """
    units = windows["service_units"].astype(float)
    held = windows[units > 0].assign(units=units[units > 0])
    groups = held.groupby(["use_case_id", "region", "window_minutes"], sort=True, observed=True)["units"]
    found = groups.agg(["size", "max", "idxmax"]).assign(usual=groups.quantile(0.95))
    found = found[(found["size"] >= LEAST_WINDOWS) & (found["max"] > FAR * found["usual"])]
    for (use_case, region, _), row in found.iterrows():
        times = f"{row['max'] / row['usual']:,.3g} times the 95th percentile of {use_case} in {region}"
        rule = f"is {times} ({row['usual']:,.4g}): it counts, check its unit"
        yield int(row["idxmax"]) + 2, "service_units", f"{row['max']:.6g}", rule


def far_months(windows: pd.DataFrame) -> Iterator[Fault]:
    """Of each use case and region a month whose mean rate is more than `FAR_MONTH` times that of every other, or as far below it, the first left out.

    A launch begins low and grows; it does not fall so far and come back, or stand a month alone above all others. Fewer than `LEAST_MONTHS` with work show nothing.
    """
    held = windows[windows["service_units"].astype(float) > 0]
    month = held["window_start_utc"].dt.strftime("%Y-%m").rename("month")
    groups = held.groupby([held["use_case_id"], held["region"], month], sort=True, observed=True)
    sums = groups[["service_units", "window_minutes"]].sum().astype(float)
    first = held["window_start_utc"].groupby([held["use_case_id"], held["region"], month], observed=True).idxmin()
    rate = sums["service_units"] / sums["window_minutes"] * HOUR
    for (use_case, region), mine in rate.groupby(level=[0, 1], sort=True):
        if len(mine) < LEAST_MONTHS:
            continue
        for at, value in mine.items():
            others = mine.drop(at)
            high, low = value > FAR_MONTH * others.max(), value * FAR_MONTH < others.min() and at != mine.index[0]
            if high or low:
                other = others.max() if high else others.min()
                rule = (
                    f"{value:,.4g} units an hour on average, {max(value / other, other / value):,.3g} times as {'many' if high else 'few'} as "
                    f"in any other month of {use_case} in {region} ({other:,.4g}): it counts, check its unit"
                )
                yield int(first[at]) + 2, "service_units", str(at[2]), rule


def lone_windows(windows: pd.DataFrame) -> Iterator[Fault]:
    """Of each use case and region windows of a day or less that stand a month apart, as sums of months written into their first day do; `LEAST_MONTHS` show it."""
    held = windows.sort_values(["use_case_id", "region", "window_start_utc"], kind="stable")
    for (use_case, region), mine in held.groupby(["use_case_id", "region"], sort=True, observed=True):
        apart = mine["window_start_utc"].diff().dropna()
        minutes = int(mine["window_minutes"].max())
        if len(mine) >= LEAST_MONTHS and minutes <= 24 * HOUR and apart.min() >= MONTH_APART:
            rule = (
                f"is the only window of {minutes:,} minutes of {use_case} in {region} in its month, as in all {len(mine):,} months: the demand of a month in a "
                "window of a day? Then window_minutes is that of the month (44,640 for 31 days)"
            )
            yield int(mine.index[0]) + 2, "window_minutes", str(minutes), rule


def chain_faults(chain: pd.DataFrame, regions: Sequence[str]) -> Iterator[Fault]:
    """Faults of table `demand_chain`, with row, column, value and rule.

    A factor stands once per use case (and region), low <= value <= high, shares lie between 0 and 1, only
    region_share names a region, a known one, and the shares of a use case add up to 1. Whoever gives
    units_per_seat_month gives all factors of a launch, each above 0.
    """
    places = chain["region"].fillna("")
    twice = chain.assign(place=places).duplicated(["use_case_id", "factor", "place"])
    yield from _each(chain, twice, "factor", "is given twice for the use case")
    low, high = chain["low"].fillna(chain["value"]), chain["high"].fillna(chain["value"])
    yield from _each(chain, (low > chain["value"]) | (chain["value"] > high), "value", "low <= value <= high must hold")
    over = chain["factor"].isin(SHARES) & (high > 1)
    for row, column, value, rule in _each(chain, over, "value", "a share is at most 1"):
        yield row, column, value, rule + share_hint(value)
    by_region = chain["factor"] == "region_share"
    yield from _each(chain, by_region != (places != ""), "region", "stands with region_share, and there only")
    unknown = by_region & (places != "") & ~places.isin(regions)
    yield from _each(chain, unknown, "region", "is not described in plan.yaml.", regions)
    sums = chain[by_region].groupby("use_case_id")["value"].sum()
    for name, total in sums[(sums - 1).abs() > SHARE_TOLERANCE].items():
        yield None, "region_share", str(name), f"shares of the regions must add up to 1, got {total:g}"
    launching = chain.loc[chain["factor"] == "units_per_seat_month", "use_case_id"]
    for name in launching.unique():
        mine = chain[chain["use_case_id"] == name].set_index("factor")["value"]
        lacking = [factor for factor in LAUNCH_FACTORS if factor not in mine.index or (mine[[factor]] <= 0).any()]
        if lacking:
            yield None, "factor", str(name), f"needs {', '.join(lacking)} above 0 for a forecast"


def residency_faults(demand: pd.DataFrame, use_cases: pd.DataFrame) -> Iterator[Fault]:
    """Use cases with demand outside the regions that they are allowed in: the first row of each such region."""
    allowed = use_cases.set_index("use_case_id")["allowed_regions"].dropna()
    places = demand[demand["region"].notna() & demand["use_case_id"].isin(allowed.index)]
    for row, case in places.drop_duplicates(["use_case_id", "region"]).iterrows():
        rule = [part.strip() for part in allowed[case["use_case_id"]].split(";")]
        if case["region"] not in rule:
            told = f"is where {case['use_case_id']} has demand, and its residency rule does not allow it"
            yield int(row) + 2, "region", case["region"], with_nearest(told, case["region"], rule)


def what_if_faults(table: pd.DataFrame, regions: Sequence[str]) -> Iterator[Fault]:
    """Faults of table `demand_what_ifs`: unknown regions, months that end before they begin."""
    yield from _each(table, table["region"].notna() & ~table["region"].isin(regions), "region", "is not described in plan.yaml.", regions)  # fmt: skip
    both = table["first_month"].notna() & table["last_month"].notna()
    late = both & (table["first_month"].fillna("") > table["last_month"].fillna(""))
    yield from _each(table, late, "last_month", "comes before first_month")


def _each(frame: pd.DataFrame, bad: pd.Series, column: str, rule: str, choices: Sequence[str] = ()) -> Iterator[Fault]:
    for row in frame.index[bad.to_numpy(dtype=bool)][:5]:
        value = str(frame.loc[row, column])
        yield int(row) + 2, column, value, with_nearest(rule, value, choices)


def site_faults(use_cases: pd.DataFrame, demand: pd.DataFrame, regions: Sequence[str]) -> Iterator[Fault]:
    """Faults of column `sites` of table `use_cases`, with row, column, value and rule.

    Regions are those of plan.yaml; one number says nothing of several regions with demand.
    """
    asked = demand.groupby("use_case_id")["region"].agg(lambda names: sorted(set(names)))
    for row, case in use_cases[use_cases["sites"].notna()].iterrows():
        served = asked.get(case["use_case_id"], [])
        try:
            found = sites_by_region(case["sites"])
        except ValueError:
            found = 0
        if not at_least_one(found):
            yield (
                int(row) + 2,
                "sites",
                case["sites"],
                "must be a number of 1 or more, or region=number separated by ';', each region once (eu-west=30; us-east=10)",
            )
            continue
        if isinstance(found, int) and found > 1 and len(served) > 1:
            each = "; ".join(f"{region}=..." for region in served)
            yield (
                int(row) + 2,
                "sites",
                case["sites"],
                f"is served in several regions: say how many stand in each, as {each}",
            )
        for region in found if isinstance(found, dict) else ():
            if region not in regions:
                yield int(row) + 2, "sites", region, with_nearest("is not described in plan.yaml", region, regions)
