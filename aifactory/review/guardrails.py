"""Limits that must hold every month, and the capacity triggers of the bands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.demand.events import usual_factor
from aifactory.finance.prices import offers_of, price_table
from aifactory.inputs.sites import sites_in
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.latency import over_limit, within
from aifactory.inventory.today import known_platforms
from aifactory.inventory.utilization import monthly_utilization
from aifactory.review.own_kit import depreciation_usd
from aifactory.units import MINUTES_PER_HOUR

OK, WATCH, BREACH = "ok", "watch", "breach"
BUDGET = "monthly budget"
FLOOR = "utilisation floor"
DEVICES = "devices at sites"
WAIT = "p95 wait of jobs"
UNIT_COST = "rise of unit cost in a month"
WATCH_SHARE = 0.9
MAX_UNATTRIBUTED = 0.05
MAX_UNIT_COST_RISE = 0.10
#: Part of a rise of unit cost that a season explains below which it is not named.
TOLD_BEYOND = 0.005
APPROACHING_MONTHS = 3.0
TREND_MONTHS = 6
#: A slope below is rounding, not a trend.
LEVEL_SLOPE = 1e-9
GUARDRAIL_COLUMNS = ["guardrail", "subject", "value", "limit", "unit", "state", "owner_role"]
TRIGGER_COLUMNS = ["pool_id", "accelerator_id", "region", "indicator", "value", "threshold", "slope_per_month",
                   "months_to_trigger", "state"]  # fmt: skip


def state_of(value: float, limit: float) -> str:
    """`breach` above the limit, `watch` above nine tenths of it; unknown values are `watch`."""
    if not np.isfinite(value):
        return WATCH
    return BREACH if value > limit else WATCH if value > WATCH_SHARE * limit else OK


def check_guardrails(
    ws: Workspace, inventory: Inventory, unit_cost_change: pd.Series, late: Sequence[str] = ()
) -> pd.DataFrame:
    """Every guardrail with value, limit and state; a budget that holds while charges are missing (`late`) is watched, not kept.

    Parameters
    ----------
    unit_cost_change : relative change of cost per unit against last month, by use case.
    """
    rows = [
        *_bill_rows(ws, inventory),
        *_failure_rows(ws, inventory),
        *_wait_rows(ws, inventory),
        *_unit_cost_rows(ws, inventory, unit_cost_change),
    ]
    table = pd.DataFrame(
        [
            (name, subject, value, limit, unit, state_of(value, limit), owner)
            for name, subject, value, limit, unit, owner in rows
        ],
        columns=GUARDRAIL_COLUMNS,
    )
    if late:
        budget = table["guardrail"] == BUDGET
        table["subject"] = table["subject"].mask(budget, table["subject"] + ", of which charges are missing")
        table["state"] = table["state"].mask(budget & (table["state"] == OK), WATCH)
    return pd.concat(
        [table, _latency(ws, inventory), _floor(ws, inventory), _devices(ws, inventory)], ignore_index=True
    )


def _bill_rows(ws: Workspace, inventory: Inventory) -> list[tuple]:
    """Budget of the month and the share of the bill that no team owns; none without a bill.

    The budget is for operating cost: depreciation of bought kit on the bill is a matter of the budget of capital.
    """
    if inventory.spend_reconciliation.empty:
        return []
    lines = inventory.spend_reconciliation.set_index("line")["effective_cost"]
    bill, orphan, budget = float(lines["bill"]), float(lines["unattributed usage"]), ws.plan.budget.opex_usd_per_month
    charges = ws.table("billing")
    wear = depreciation_usd(charges, ws.table("commitments"), ws.plan.regions)
    wear = float(wear[charges["invoice_month"] == ws.period].sum())
    subject = "bill without depreciation of bought kit" if wear > 0 else "bill"
    rows = [(BUDGET, subject, bill - wear, budget, "USD", "chief financial officer")] if budget else []
    if bill:
        rows.append(("spend without a team", "bill", orphan / bill, MAX_UNATTRIBUTED, "fraction", "cloud cost owner"))
    return rows


def _failure_rows(ws: Workspace, inventory: Inventory) -> list[tuple]:
    """Failure rate against the SLO of each use case that states one."""
    cases = ws.table("use_cases").set_index("use_case_id")
    measured = [
        (row, cases["slo_max_failure_rate"].get(row.use_case_id, np.nan))
        for row in inventory.demand_profile.itertuples(index=False)
    ]
    return [
        (
            "failure rate",
            f"{row.use_case_id}, {row.region}",
            row.failure_rate,
            limit,
            "fraction",
            cases["owner_role"][row.use_case_id],
        )
        for row, limit in measured
        if np.isfinite(limit)
    ]


def _wait_rows(ws: Workspace, inventory: Inventory) -> list[tuple]:
    """Longest p95 wait of jobs in each place against the target of each use case that states one."""
    owners = ws.table("use_cases").set_index("use_case_id")["owner_role"]
    jobs = inventory.jobs
    stated = jobs[jobs["slo_p95_queue_minutes"].notna() & jobs["p95_queue_minutes"].notna()]
    worst = stated.groupby(["use_case_id", "region"])[["p95_queue_minutes", "slo_p95_queue_minutes"]].max()
    return [
        (WAIT, f"{name}, {region}", *(row / MINUTES_PER_HOUR), "hours", owners.get(name, ""))
        for (name, region), row in worst.iterrows()
    ]


def _unit_cost_rows(ws: Workspace, inventory: Inventory, unit_cost_change: pd.Series) -> list[tuple]:
    """Rise of the cost per unit in a month, per use case: beyond what fewer units of a known season make of it."""
    owners = ws.table("use_cases").set_index("use_case_id")["owner_role"]
    rows = []
    for name, change in unit_cost_change.dropna().items():
        beyond = beyond_season(float(change), _expected_volume(ws, inventory, str(name)))
        subject = name if change - beyond < TOLD_BEYOND else f"{name}, beyond its season"
        rows.append((UNIT_COST, subject, beyond, MAX_UNIT_COST_RISE, "fraction", owners.get(name, "")))
    return rows


def _expected_volume(ws: Workspace, inventory: Inventory, use_case: str) -> float:
    """Units of this month over those of last month as far as the season of the year and stated events say."""
    months = pd.period_range(end=pd.Period(ws.period, "M"), periods=2, freq="M")
    factor = usual_factor(ws.plan, inventory.demand_basis.seasons, use_case, months)
    return float(factor[1] / factor[0]) if factor[0] > 0 else 1.0


def beyond_season(change: float, volume: float) -> float:
    """Rise of unit cost that is left when the units fell as known: cost that stays is then spread over `volume` as many.

    Cost that follows the units never rises by a season: what is taken off is at most the whole rise.

    >>> beyond_season(1.0, 0.5), round(beyond_season(1.2, 0.5), 9), beyond_season(0.2, 0.5), beyond_season(0.2, 1.5)
    (0.0, 0.1, 0.0, 0.2)
    >>> beyond_season(-0.1, 0.5)
    -0.1
    """
    return change if change <= 0 or volume >= 1 else max((1.0 + change) * volume - 1.0, 0.0)


def _latency(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    """Worst p95 over its SLO per use case; 1 is the limit.

    Where a server counts in buckets, p95 over the limit is "at least" the bucket's lower end: a bucket that begins at
    the limit is a breach, though its ratio is 1.
    """
    levels = inventory.service_levels[inventory.service_levels["slo"].notna()]
    levels = levels.assign(ratio=over_limit(levels), missed=within(levels).eq(False).fillna(value=False).astype(bool))
    levels = levels.dropna(subset=["ratio"]).sort_values(["missed", "ratio"], kind="stable")
    owners = ws.table("use_cases").set_index("use_case_id")["owner_role"]
    rows = []
    for name, row in levels.groupby("use_case_id").last().iterrows():
        least = row["missed"] and row["p95_low"] < row["p95_high"]
        state = BREACH if row["missed"] else state_of(row["ratio"], 1.0)
        subject = f"{name} (at least)" if least else name
        rows.append(
            ("p95 latency over SLO", subject, row["ratio"], 1.0, "times the limit", state, owners.get(name, ""))
        )
    return pd.DataFrame(rows, columns=GUARDRAIL_COLUMNS)


def _floor(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    """Pools below the utilisation floor: candidates to give up, unless each site that stands alone has its one node there."""
    floor, pools = ws.plan.deprecate_below_utilization, inventory.pools
    rows = []
    for pool, few in zip(pools.itertuples(index=False), one_node_a_site(ws, pools), strict=True):
        state = BREACH if pool.utilization_mean < floor and not few else OK
        subject = f"{pool.pool_id}, one node a site" if few else pool.pool_id
        rows.append((FLOOR, subject, pool.utilization_mean, floor, "fraction", state, "head of platform"))
    return pd.DataFrame(rows, columns=GUARDRAIL_COLUMNS)


def _devices(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    """Devices installed where places stand alone, against one node at each: fewer leave places without, whatever the others do."""
    installed = inventory.pools.groupby(["region", "accelerator_id"])["installed"].sum()
    rows = []
    for (region, accelerator), least in sorted(devices_of_sites(ws).items()):
        found = float(installed.get((region, accelerator), 0.0))
        if found > 0:
            state = BREACH if round(found, 6) < least else OK
            rows.append(
                (DEVICES, f"{accelerator} in {region}", found, float(least), "devices", state, "head of platform")
            )
    return pd.DataFrame(rows, columns=GUARDRAIL_COLUMNS)


def one_node_a_site(ws: Workspace, pools: pd.DataFrame) -> list[bool]:
    """Which pools hold no more than one node at each site that stands alone: none of it can be given up, however little it is used."""
    least, installed = devices_of_sites(ws), pools.groupby(["region", "accelerator_id"])["installed"].sum()
    places = list(pools[["region", "accelerator_id"]].itertuples(index=False, name=None))
    return [bool(0 < installed[place] <= least.get(place, 0)) for place in places]


def devices_of_sites(ws: Workspace) -> dict[tuple[str, str], int]:
    """Accelerators of one node at each site that stands alone, by region and accelerator of today."""
    size = ws.table("accelerators").set_index("accelerator_id")["accelerators_per_node"]
    stated, found = ws.table("use_cases").set_index("use_case_id")["sites"], {}
    for name, accelerator in known_platforms(ws).items():
        for region in (item.region for item in ws.plan.regions):
            sites = sites_in(stated[name], region)
            if sites > 1:
                place = (region, accelerator)
                found[place] = found.get(place, 0) + sites * int(size.get(accelerator, 1))
    return found


def check_triggers(ws: Workspace) -> pd.DataFrame:
    """Months until each pool with readings in the month reaches the utilisation that orders its next band.

    The trend is the least-squares slope of the monthly means over the last six calendar months; the
    mean weighs readings by installed accelerators and length, as the inventory does.
    """
    limit, now = ws.plan.trigger_utilization, pd.Period(ws.period, "M").ordinal
    rows = []
    for (pool, accelerator, region), series in monthly_utilization(ws.table("pools")).groupby(level=[0, 1, 2]):
        months = series.index.get_level_values("month").to_numpy()
        recent = (months > now - TREND_MONTHS) & (months <= now)
        if not (months == now).any():
            continue
        values, times = series.to_numpy()[recent], months[recent]
        slope = float(np.polyfit(times - now, values, 1)[0]) if len(values) > 2 else np.nan
        wait = months_to_trigger(float(values[-1]), slope, limit)
        state = "fired" if values[-1] >= limit else "approaching" if wait <= APPROACHING_MONTHS else "quiet"
        rows.append(
            (pool, accelerator, region, "mean utilisation of the month", float(values[-1]), limit, slope, wait, state)
        )
    return pd.DataFrame(rows, columns=TRIGGER_COLUMNS).sort_values("months_to_trigger", ignore_index=True)


def months_to_trigger(value: float, slope: float, limit: float) -> float:
    """Months until a straight line reaches the limit: 0 if it has, infinity if it never does.

    >>> months_to_trigger(0.5, 0.1, 0.7)
    2.0
    """
    if value >= limit:
        return 0.0
    return round((limit - value) / slope, 9) if slope > LEVEL_SLOPE else np.inf


def watch_prices(ws: Workspace) -> pd.DataFrame:
    """Age of the price that would be used, per accelerator and option, against its freshness limit."""
    table = price_table(offers_of(ws), ws.plan, ws.as_of)
    limits = ws.plan.price_freshness_days
    oldest = table.sort_values("age_days", ascending=False, kind="stable").drop_duplicates(
        ["accelerator_id", "purchase_option"]
    )
    limit = oldest["purchase_option"].map(limits)
    columns = [
        "accelerator_id",
        "purchase_option",
        "provider",
        "usd_per_accelerator_hour",
        "usd_per_accelerator",
        "as_of",
        "age_days",
    ]
    aged = oldest[columns].assign(
        limit_days=limit, stale=oldest["age_days"] > limit, source=oldest["source"], confidence=oldest["confidence"]
    )
    return aged.sort_values(["stale", "age_days"], ascending=False, ignore_index=True)
