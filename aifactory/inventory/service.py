"""Latency against SLO, failures, pools and jobs in the reporting month."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from aifactory.demand.concentration import tail_share
from aifactory.demand.profile import job_end
from aifactory.inputs.billing import NO_ACCELERATOR
from aifactory.inputs.checks import POWER_TOLERANCE
from aifactory.inputs.plan import Region
from aifactory.inputs.telemetry import bucket_value, histogram_quantile
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.latency import KEYS, QUANTILES, interval_levels, within
from aifactory.inventory.spend import place_rates
from aifactory.units import KILO, MINUTES_PER_HOUR

SLO_OF_METRIC = {"ttft_ms": "slo_p95_ttft_ms", "tpot_ms": "slo_p95_tpot_ms", "e2e_ms": "slo_p95_e2e_ms"}
#: Sizes of requests whose tail is shown.
TAILED = ("input_tokens", "output_tokens", "e2e_ms", "queue_ms")
QUANTILE_SOURCE, BOUNDS_SOURCE = "histogram, within 0.5 %", "buckets of the server, between their bounds"
ENDS = [f"{name}_{end}" for name in QUANTILES for end in ("low", "high")]
#: Lines of the bill that are the cost of a pool.
POOL_LINES = ("attributed usage", "unattributed usage", "idle commitment")
#: What gives a pool its cost.
OWN_CHARGES, BY_RATE, NOT_IN_BILL = "its own charges", "the rate of its accelerator", "nothing: not in the bill"
BY_REGION, BY_TERMS = (
    "the rate of its accelerator in its region",
    "the rate of its accelerator in its region and on its terms",
)
#: Share of the hours of bought hardware that a bill must hold to price them.
HELD_SHARE = 0.9
#: Share of the hours of committed pools that used commitments must hold to price them: most of them. What an outage left
#: unused is charged apart and names no accelerator; its rate is that of the hours that were used.
TERM_SHARE = 0.5
#: Class of accelerators that stand in the field, by the catalogue.
FIELD_CLASS = "edge"
POOL_KEYS = ["pool_id", "region", "accelerator_id", "purchase_option"]
#: Terms of pools whose hours a bill calls committed.
COMMITTED_TERMS = ("reserved_1y", "reserved_3y", "capacity_block")


def service_levels(ws: Workspace, profile: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of latency and sizes per use case and region, set against the SLO.

    Log histograms give points `p50`, `p95` and `p99`. Buckets of a server give intervals `_low` to `_high`
    and no point; they count where no log histogram tells the same.
    """
    month = ws.month("latency_histograms")
    points = _points(month[month["metric"] != "pair_tokens"])
    intervals = interval_levels(ws.month("latency_bounds"))
    told = pd.MultiIndex.from_frame(intervals[KEYS]).isin(pd.MultiIndex.from_frame(points[KEYS]))
    intervals = intervals[~told].assign(source=BOUNDS_SOURCE)
    parts = [part for part in (points, intervals) if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else points
    table = table.reindex(columns=[*KEYS, *QUANTILES, *ENDS, "count", "source"]).sort_values(KEYS, ignore_index=True)
    table = table.astype(dict.fromkeys([*QUANTILES, *ENDS], "float64"))
    limits = ws.table("use_cases").set_index("use_case_id")
    slo = [
        limits[SLO_OF_METRIC[metric]].get(name, np.nan) if metric in SLO_OF_METRIC else np.nan
        for name, metric in zip(table["use_case_id"], table["metric"], strict=True)
    ]
    table["slo"] = pd.Series(slo, dtype="float64")
    table["meets_slo"] = within(table)
    if profile.empty:
        return table.assign(failure_rate=np.nan, slo_max_failure_rate=np.nan)
    failures = profile[["use_case_id", "region", "failure_rate"]]
    table = table.merge(failures, how="left", on=["use_case_id", "region"])
    return table.assign(slo_max_failure_rate=table["use_case_id"].map(limits["slo_max_failure_rate"]))


def _points(histograms: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of log histograms; an interval that is a point."""
    rows = []
    for key, group in histograms.groupby(KEYS):
        row: dict[str, object] = dict(zip(KEYS, key, strict=True)) | {"count": int(group["count"].sum())}
        for name, q in QUANTILES.items():
            value = histogram_quantile(group["bucket"].to_numpy(), group["count"].to_numpy(), q)
            row |= {name: value, f"{name}_low": value, f"{name}_high": value}
        rows.append(row)
    return pd.DataFrame(rows, columns=[*KEYS, *QUANTILES, *ENDS, "count"]).assign(source=QUANTILE_SOURCE)


def failures_and_queues(ws: Workspace, levels: pd.DataFrame, profile: pd.DataFrame) -> pd.DataFrame:
    """Failed share against its limit, waiting time and longest queue per use case and region of the month.

    Waiting times come from `levels` (metric queue_ms), the longest queue from the windows; each is NaN
    where it was not measured. Buckets of a server give `_low` and `_high` of a wait, and no point.
    """
    keys = ["use_case_id", "region"]
    waits = levels[levels["metric"] == "queue_ms"].set_index(keys)[["p50", "p95", *ENDS[:4]]]
    waits.columns = [f"{name[:3]}_queue_ms{name[3:]}" for name in waits.columns]
    longest = ws.month("demand_windows").groupby(keys)["queue_depth_max"].max()
    serving = profile[profile["service_unit"] != "accelerator_hour"]
    table = serving[[*keys, "failure_rate"]].join(waits, on=keys).join(longest.rename("queue_depth_max"), on=keys)
    limits = ws.table("use_cases").set_index("use_case_id")["slo_max_failure_rate"]
    table = table.assign(slo_max_failure_rate=table["use_case_id"].map(limits).astype("float64"))
    known = table["slo_max_failure_rate"].notna() & table["failure_rate"].notna()
    within = (table["failure_rate"] <= table["slo_max_failure_rate"]).astype("boolean").where(known)
    return table.assign(within_limit=within).reset_index(drop=True)


def size_tail(ws: Workspace) -> pd.DataFrame:
    """Share that the longest 1 % and 10 % of requests or jobs hold, per use case: tokens, time, job hours.

    Requests come from the log histograms of the month, jobs of the month from their rows (accelerator-hours).
    `mean_to_median` above 1 says how far the average is from a usual request.
    """
    histograms = ws.month("latency_histograms")
    parts = [
        (use_case, metric, bucket_value(counts.index.to_numpy()), counts.to_numpy())
        for (use_case, metric), group in histograms[histograms["metric"].isin(TAILED)].groupby(
            ["use_case_id", "metric"]
        )
        for counts in [group.groupby("bucket")["count"].sum()]
    ]
    jobs = ws.month("jobs")
    hours = job_hours(ws, jobs)
    for use_case, mine in hours[hours > 0].groupby(jobs["use_case_id"]):
        parts.append((use_case, "accelerator_hours", mine.to_numpy(dtype=float), np.ones(len(mine))))
    rows = [
        {
            "use_case_id": use_case,
            "metric": metric,
            "top_1_share": tail_share(sizes, counts, 0.01),
            "top_10_share": tail_share(sizes, counts, 0.10),
            "mean_to_median": _mean_to_median(sizes, counts),
            "count": int(counts.sum()),
        }
        for use_case, metric, sizes, counts in parts
    ]
    columns = ["use_case_id", "metric", "top_1_share", "top_10_share", "mean_to_median", "count"]
    return pd.DataFrame(rows, columns=columns).sort_values(["use_case_id", "metric"], ignore_index=True)


def _mean_to_median(sizes: np.ndarray, counts: np.ndarray) -> float:
    order = np.argsort(sizes, kind="stable")
    middle = sizes[order][np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)]
    return float(sizes @ counts / counts.sum() / middle) if middle > 0 else np.nan


def job_hours(ws: Workspace, jobs: pd.DataFrame) -> pd.Series:
    """Accelerator-hours of each job; of running ones up to the latest moment of the table."""
    ended = job_end(ws.table("jobs")).reindex(jobs.index)
    return (ended - jobs["started_utc"]) / pd.Timedelta(hours=1) * jobs["accelerators"]


def pool_summary(ws: Workspace, rate: pd.Series, bill: pd.DataFrame | None = None) -> pd.DataFrame:
    """Utilisation, power, queue, idle hours and idle money of each pool in the reporting month.

    A pool that the bill names (ResourceId) has the cost of its own charges, unused commitment
    included, and idle money is its idle share of them; another pool has the effective rate of its
    accelerator in the bill: in its region and on its terms (committed or not) where the bill holds the hours of such pools there,
    else in its region, else of all. Bought hardware is priced so only where the bill holds its hours beside those of
    rented pools; a bill of rented hours alone says nothing of what it cost. The label of the pool is taken as it stands, and marked suspect where its
    power does not fit or the bill charges another accelerator.

    Parameters
    ----------
    rate : USD per accelerator-hour by accelerator, from `spend.accelerator_rate`.
    bill : charges of usage in the month.
    """
    month = ws.month("pools")
    columns = [*POOL_KEYS, "installed", "utilization_mean", "utilization_p95", "power_w_mean", "energy_kwh",
               "queue_depth_mean", "queue_depth_max", "accelerator_hours", "idle_accelerator_hours", "paid_usd",
               "unused_usd", "idle_usd", "priced_by", "label_suspect", "label_note", "in_field"]  # fmt: skip
    if month.empty:
        return pd.DataFrame(columns=columns)
    hours = month["window_minutes"] / 60
    month = month.assign(hours=month["installed"] * hours, busy=month["installed"] * hours * month["utilization"],
                         kwh=month["power_w"] * hours / KILO)  # fmt: skip
    groups = month.groupby(POOL_KEYS)
    table = pd.DataFrame(
        {
            "installed": groups["installed"].mean(),
            "utilization_mean": groups["busy"].sum() / groups["hours"].sum(),
            "utilization_p95": _busy_day(month),
            "power_w_mean": groups["power_w"].mean(),
            "energy_kwh": groups["kwh"].sum(min_count=1),
            "queue_depth_mean": groups["queue_depth"].mean(),
            "queue_depth_max": groups["queue_depth"].max(),
            "accelerator_hours": groups["hours"].sum(),
            "idle_accelerator_hours": groups["hours"].sum() - groups["busy"].sum(),
        }
    ).reset_index()
    table = _priced(table, rate, bill, ws.plan.regions).assign(billed_as=_billed_as(table["pool_id"], bill))
    about = ws.table("accelerators")
    table = table.assign(in_field=table["accelerator_id"].isin(field_accelerators(about)))
    return _with_label_check(table, about.set_index("accelerator_id")["tdp_w"])[columns]


def _busy_day(month: pd.DataFrame) -> pd.Series:
    """95th percentile of the mean utilisation of days (UTC) by pool: alike whatever the length of the windows."""
    days = month.groupby([*POOL_KEYS, month["window_start_utc"].dt.floor("D").rename("day")])[["busy", "hours"]].sum()
    return (days["busy"] / days["hours"]).groupby(POOL_KEYS).quantile(0.95)


def field_accelerators(accelerators: pd.DataFrame) -> frozenset[str]:
    """Accelerators of class edge: devices in the field."""
    return frozenset(accelerators.loc[accelerators["platform_class"] == FIELD_CLASS, "accelerator_id"])


def without_field(pools: pd.DataFrame, in_field: Collection[str]) -> pd.DataFrame:
    """Pools without devices in the field; all of them where there are no others."""
    others = ~pools["accelerator_id"].isin(in_field) if len(in_field) else pd.Series(True, pools.index)
    return pools[others] if others.any() else pools


def _priced(table: pd.DataFrame, rate: pd.Series, bill: pd.DataFrame | None, regions: Sequence[Region]) -> pd.DataFrame:
    charges = pd.DataFrame(columns=["ResourceId", "cost_line", "EffectiveCost"]) if bill is None else bill
    mine = charges[charges["ResourceId"].isin(table["pool_id"]) & charges["cost_line"].isin(POOL_LINES)]
    usd = mine["EffectiveCost"].astype("float64").clip(lower=0)
    own = usd.groupby([mine["ResourceId"], mine["cost_line"] == "idle commitment"]).sum().unstack(fill_value=0.0)
    own = own.reindex(table["pool_id"]).set_axis(table.index)
    unused = own[True] if True in own else pd.Series(0.0, index=table.index)
    known = own.sum(axis=1, min_count=1)
    usd_per_hour, basis = _rates(table, known.isna(), rate, bill, regions)
    by_rate = table["accelerator_hours"] * usd_per_hour
    free = None if bill is None else bill[~bill["ResourceId"].isin(table["pool_id"])]
    elsewhere = known.isna() & _not_in_bill(table[known.isna()], free).reindex(table.index, fill_value=False)
    paid = known.fillna(by_rate).mask(elsewhere)
    elsewhere |= paid.isna()
    return table.assign(
        paid_usd=paid,
        unused_usd=unused.fillna(0.0),
        idle_usd=paid * (1 - table["utilization_mean"]),
        priced_by=np.where(known.notna(), OWN_CHARGES, np.where(elsewhere, NOT_IN_BILL, basis)),
    )


def _rates(
    pools: pd.DataFrame, by_rate: pd.Series, rate: pd.Series, bill: pd.DataFrame | None, regions: Sequence[Region]
) -> tuple[pd.Series, pd.Series]:
    """USD per accelerator-hour of each pool and its basis: the closest group of charges that holds the hours of its pools."""
    found, basis = pools["accelerator_id"].map(rate), pd.Series(BY_RATE, index=pools.index)
    if bill is None:
        return found, basis
    charges = place_rates(bill[~bill["ResourceId"].isin(pools["pool_id"])], regions)
    pools = pools.assign(committed=pools["purchase_option"].isin(COMMITTED_TERMS))
    bought = pools["purchase_option"].eq("purchase")
    for name, keys, mine in ((BY_REGION, POOL_KEYS[2:0:-1], by_rate), (BY_TERMS, [*POOL_KEYS[2:0:-1], "committed"], by_rate & ~bought)):  # fmt: skip
        held = charges.groupby(keys)[["accelerator_hours", "usd"]].sum()
        asked = pools[mine].groupby(keys)["accelerator_hours"].sum()
        committed = name == BY_TERMS and held.index.get_level_values("committed")
        share = np.where(committed, TERM_SHARE, HELD_SHARE)
        enough = held[held["accelerator_hours"] >= share * asked.reindex(held.index)]
        each = (enough["usd"] / enough["accelerator_hours"]).rename("each")
        own = pools[keys].join(each, on=keys)["each"].where(mine)
        found, basis = own.fillna(found), basis.mask(own.notna(), name)
    return found, basis


def _not_in_bill(pools: pd.DataFrame, free: pd.DataFrame | None) -> pd.Series:
    """Whether a bought pool is paid for elsewhere: the charges that no pool is named in lack its hours beside those of rented pools."""
    if free is None:
        return pd.Series(data=False, index=pools.index)
    hours = free.groupby("accelerator_id")["accelerator_hours"].sum()
    bought = pools["purchase_option"].eq("purchase")
    each = pools.groupby(["accelerator_id", bought])["accelerator_hours"].sum().unstack(fill_value=0.0)
    each = each.reindex(columns=[False, True], fill_value=0.0)
    left = hours.reindex(each.index, fill_value=0.0) - each[False]
    return bought & pools["accelerator_id"].map(left < HELD_SHARE * each[True]).astype(bool)


def _with_label_check(table: pd.DataFrame, tdp: pd.Series) -> pd.DataFrame:
    watts = table["power_w_mean"] / table["installed"]
    limit = table["accelerator_id"].map(tdp) * POWER_TOLERANCE
    suspect = (watts > limit).fillna(value=False)
    other = table["billed_as"].ne("") & table["billed_as"].ne(table["accelerator_id"])
    notes = [
        ", ".join(
            [f"draws {w:.0f} W each this month, {name} is built for {limit_w / POWER_TOLERANCE:.0f} W"] * bool(bad)
            + [f"the bill names {billed}"] * bool(differs)
        )
        for w, name, limit_w, bad, billed, differs in zip(
            watts, table["accelerator_id"], limit, suspect, table["billed_as"], other, strict=True
        )
    ]
    return table.assign(label_suspect=suspect | other, label_note=notes)


def _billed_as(pool_ids: pd.Series, bill: pd.DataFrame | None) -> list[str]:
    """Accelerator that the bill charges each pool for; empty where it names none or several."""
    if bill is None:
        return [""] * len(pool_ids)
    named = bill[bill["ResourceId"].isin(pool_ids) & (bill["accelerator_id"] != NO_ACCELERATOR)]
    names = named.groupby("ResourceId")["accelerator_id"].agg(["first", "nunique"])
    found = names.loc[names["nunique"] == 1, "first"].to_dict()
    return [found.get(pool, "") for pool in pool_ids]


def job_summary(ws: Workspace, speeds: pd.DataFrame) -> pd.DataFrame:
    """Jobs that were submitted in the reporting month: hours, failures, queue and the wait allowed to 95 %; one that still waits counts as long as it has."""
    month = ws.month("jobs")
    columns = ["use_case_id", "region", "accelerator_id", "jobs", "accelerator_hours", "reference_accelerator_hours",
               "failed_share", "cancelled_share", "p50_queue_minutes", "p95_queue_minutes", "slo_p95_queue_minutes", "speed_tier"]  # fmt: skip
    if month.empty:
        return pd.DataFrame(columns=columns)
    hours = job_hours(ws, month)
    latest = ws.table("jobs")[["submitted_utc", "started_utc", "ended_utc"]].max().max()
    begun = month["started_utc"].mask(month["started_utc"].isna() & (month["status"] == "running"), latest)
    queue = (begun - month["submitted_utc"]) / pd.Timedelta(minutes=1)
    keys = ["use_case_id", "region", "accelerator_id"]
    ended = {
        name: (month["status"] == name).astype("float64").mask(month["status"] == "unknown")
        for name in ("failed", "cancelled")
    }
    groups = month.assign(hours=hours, queue=queue, **ended).groupby(keys)
    table = pd.DataFrame(
        {
            "jobs": groups.size(),
            "accelerator_hours": groups["hours"].sum(),
            "failed_share": groups["failed"].mean(skipna=False),
            "cancelled_share": groups["cancelled"].mean(skipna=False),
            "p50_queue_minutes": groups["queue"].median(),
            "p95_queue_minutes": groups["queue"].quantile(0.95),
        }
    ).reset_index()
    table = table.merge(speeds, on=["use_case_id", "accelerator_id"])
    limit = ws.table("use_cases").set_index("use_case_id")["slo_p95_wait_hours"].astype("float64") * MINUTES_PER_HOUR
    return table.assign(
        reference_accelerator_hours=table["accelerator_hours"] * table["speed"],
        slo_p95_queue_minutes=table["use_case_id"].map(limit),
    )[columns]
