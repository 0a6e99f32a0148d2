"""Keep, watch or retire: the rule for hardware that underperforms, on measured use and cost.

A pool is retired when its support has ended, or when in each of the last six months its utilisation was below
the floor of `plan.yaml` and its used hour costs more than renting the same hour would. It is watched when only
one of these holds, when the trend falls below the floor within six months, or when support ends within a year.
Everything else is kept, and so is one node at each site that stands alone until its support ends: however little it is
used, none can be given up. The rule proposes; what is decided stands in the decision log.

    cost of a used hour   = (cost of the pool in the month / accelerator-hours + a) / utilisation
    rented used hour      = (cheapest hour on demand of the same accelerator in the region + a) / typical utilisation

with a of people and storage of an accelerator-hour (`around_usd_per_hour`): idle hours bear them too, and they are
in neither the charge of a pool nor the price of an hour.

Retiring a pool means renting its used hours without a commitment. The typical utilisation is the median over the pools of the month
of their means of the last six months, so a pool is compared with renting at the use that this organisation reaches, not at an ideal
one, and not at that of a single month, which one large job may fill.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.duties import end_date
from aifactory.finance.options import in_field
from aifactory.finance.prices import offers_of, price_table
from aifactory.finance.tco import around_usd_per_hour
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.utilization import monthly_utilization
from aifactory.review.guardrails import TREND_MONTHS, one_node_a_site
from aifactory.units import MONTHS_PER_YEAR, percent

KEEP, WATCH, RETIRE = "keep", "watch", "retire"
OWNER = "head of platform"
PLACE = ["pool_id", "accelerator_id", "region"]
COLUMNS = ["pool_id", "region", "accelerator_id", "purchase_option", "installed", "utilization_mean", "months_below",
           "months_measured", "slope_per_month", "usd_month", "used_hours", "usd_per_used_hour", "rented_usd_per_used_hour",
           "dearer_share", "idle_usd_month", "support_ends", "verdict", "reason", "decision", "owner_role", "needed_next"]  # fmt: skip
PLATFORM_COLUMNS = ["accelerator_id", "pools", "installed", "utilization_mean", "usd_month", "usd_per_used_hour",
                    "to_retire", "to_watch", "support_ends", "support_source"]  # fmt: skip


def judge_hardware(ws: Workspace, inventory: Inventory, fleet: pd.DataFrame | None = None) -> pd.DataFrame:
    """Verdict on every pool with readings in the month, the worst first, columns `COLUMNS`.

    needed_next: accelerators of its kind that a plan made now (its `fleet`) needs in the region in its first month; NaN without a plan.
    """
    pools = inventory.pools.reset_index(drop=True)
    if pools.empty:
        return pd.DataFrame(columns=COLUMNS)
    used = pools["accelerator_hours"] * pools["utilization_mean"]
    classes = ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    around = around_usd_per_hour(ws.plan, in_field(pools["accelerator_id"].map(classes)))
    history = _history(ws)
    typical = float(pools[PLACE].merge(history, on=PLACE, how="left")["mean_of_months"].median())
    table = pools[["pool_id", "region", "accelerator_id", "purchase_option", "installed", "utilization_mean"]].assign(
        usd_month=pools["paid_usd"],
        used_hours=used,
        usd_per_used_hour=(pools["paid_usd"] + around * pools["accelerator_hours"]) / used.where(used > 0),
        rented_usd_per_used_hour=(_rent(ws, pools) + around) / (typical if typical > 0 else np.nan),
        idle_usd_month=pools["idle_usd"],
    )
    table["dearer_share"] = table["usd_per_used_hour"] / table["rented_usd_per_used_hour"] - 1
    table = table.merge(history, on=PLACE, how="left")
    ends = _ends(ws)
    table["support_ends"] = [
        end_date(ends[name][0]).date().isoformat() if name in ends else "" for name in table["accelerator_id"]
    ]
    table["needed"] = one_node_a_site(ws, pools)
    verdicts = [_verdict(row, ws) for row in table.itertuples(index=False)]
    table[["verdict", "reason"]] = verdicts
    table["needed_next"] = _needed_next(table, fleet)
    table["decision"] = [_logged(ws.table("decisions"), name) for name in table["pool_id"]]
    rank = table["verdict"].map({RETIRE: 0, WATCH: 1, KEEP: 2})
    worst = table.assign(owner_role=OWNER, rank=rank).sort_values(["rank", "utilization_mean", "pool_id"])
    return worst[COLUMNS].reset_index(drop=True)


def judge_platforms(ws: Workspace, hardware: pd.DataFrame) -> pd.DataFrame:
    """The same by accelerator: mean utilisation over its pools, cost of a used hour, end of support and who says so."""
    weight = hardware["installed"] * hardware["utilization_mean"]
    hours = hardware["used_hours"].where(hardware["usd_per_used_hour"].notna())
    whole = hardware["usd_per_used_hour"] * hours
    paid = hardware["usd_month"].where(hours.notna())
    frame = hardware.assign(busy=weight, hours=hours, paid=paid, whole=whole, retire=hardware["verdict"] == RETIRE, watch=hardware["verdict"] == WATCH)  # fmt: skip
    sums = frame.groupby("accelerator_id")[["installed", "busy", "hours", "paid", "whole", "retire", "watch"]].sum(
        min_count=1
    )
    table = pd.DataFrame(
        {
            "pools": frame.groupby("accelerator_id").size(),
            "installed": sums["installed"],
            "utilization_mean": sums["busy"] / sums["installed"],
            "usd_month": sums["paid"],
            "usd_per_used_hour": sums["whole"] / sums["hours"],
            "to_retire": sums["retire"].astype("int64"),
            "to_watch": sums["watch"].astype("int64"),
        }
    ).reset_index()
    ends = _ends(ws)
    stated = [ends.get(name, ("no date published", "")) for name in table["accelerator_id"]]
    return table.assign(support_ends=[text for text, _ in stated], support_source=[source for _, source in stated])[
        PLATFORM_COLUMNS
    ]


def _rent(ws: Workspace, pools: pd.DataFrame) -> np.ndarray:
    """Cheapest hour on demand of the same accelerator in the region; unknown where nobody offers one."""
    prices = price_table(offers_of(ws), ws.plan, ws.as_of)
    rent = prices[prices["purchase_option"] == "on_demand"]
    cheapest = rent.groupby(["accelerator_id", "region"])["usd_per_accelerator_hour"].min()
    return cheapest.reindex(pd.MultiIndex.from_frame(pools[["accelerator_id", "region"]])).to_numpy(dtype=float)


def _history(ws: Workspace) -> pd.DataFrame:
    """Months with readings among the last six, those below the floor, mean and slope of the monthly means."""
    now = pd.Period(ws.period, "M").ordinal
    rows = []
    for place, series in monthly_utilization(ws.table("pools")).groupby(level=[0, 1, 2]):
        months = series.index.get_level_values("month").to_numpy()
        recent = (months > now - TREND_MONTHS) & (months <= now)
        values = series.to_numpy()[recent]
        slope = float(np.polyfit(months[recent] - now, values, 1)[0]) if recent.sum() > 2 else np.nan
        below = int((values < ws.plan.deprecate_below_utilization).sum())
        rows.append((*place, below, int(recent.sum()), slope, float(values.mean()) if len(values) else np.nan))
    return pd.DataFrame(rows, columns=[*PLACE, "months_below", "months_measured", "slope_per_month", "mean_of_months"])


def _needed_next(pools: pd.DataFrame, fleet: pd.DataFrame | None) -> np.ndarray:
    if fleet is None or fleet.empty:
        return np.full(len(pools), np.nan)
    first = fleet[(fleet["scenario"] == "expected") & (fleet["month"] == fleet["month"].min())]
    kind = ["region", "accelerator_id"]
    needed = first.groupby(kind)["accelerators"].sum()
    return needed.reindex(pd.MultiIndex.from_frame(pools[kind])).fillna(0.0).to_numpy(dtype=float)


def _ends(ws: Workspace) -> dict[str, tuple[str, str]]:
    """Published end of support and its source, by accelerator."""
    rows = ws.table("lifecycle").query("event == 'end_of_support'")
    return {row.accelerator_id: (row.date, row.source) for row in rows.itertuples(index=False)}


def _verdict(row: tuple, ws: Workspace) -> tuple[str, str]:
    floor, as_of = ws.plan.deprecate_below_utilization, pd.Timestamp(ws.as_of)
    if row.support_ends and pd.Timestamp(row.support_ends) <= as_of:
        return RETIRE, f"support ended on {row.support_ends}"
    long_below = row.months_measured >= TREND_MONTHS and row.months_below == row.months_measured
    dear = row.dearer_share > 0 and not row.needed
    cost = (
        f"its used hour costs USD {row.usd_per_used_hour:.2f}, rented on demand USD {row.rented_usd_per_used_hour:.2f}"
    )
    if long_below and dear:
        return RETIRE, f"below {percent(floor)} in all of {row.months_measured} months, and {cost}"
    found = []
    if row.needed:
        pass  # its use says nothing
    elif row.utilization_mean < floor:
        found.append(f"below {percent(floor)} in {row.months_below} of {row.months_measured} months")
    elif row.slope_per_month < 0 and row.utilization_mean + row.slope_per_month * TREND_MONTHS < floor:
        found.append(f"falls below {percent(floor)} within {TREND_MONTHS} months by its trend")
    if dear:
        found.append(cost)
    if row.support_ends and pd.Timestamp(row.support_ends) <= as_of + pd.DateOffset(months=MONTHS_PER_YEAR):
        found.append(f"support ends on {row.support_ends}")
    return (WATCH, "; ".join(found)) if found else (KEEP, "")


def _logged(decisions: pd.DataFrame, subject: str) -> str:
    """The last decision about a pool that still stands, with its date."""
    made = decisions[(decisions["subject"] == subject) & (decisions["kind"] == "decision") & (decisions["status"] != "dropped")]  # fmt: skip
    if made.empty:
        return ""
    last = made.sort_values("date", kind="stable").iloc[-1]
    return f"{last['date']:%Y-%m-%d}: {last['text']}"
