"""The three questions per use case: what is it doing, what does it cost, what happens if it fails."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory.spend import charged_rows, units_charged, use_case_cost

TOTAL = "total"
#: Two months whose cost differs by less of it are charged by the month.
FLAT = 1e-4
#: What the value of a unit needs, and how it is asked for.
VALUE_FIELDS = {"value_usd_per_unit": "value of a unit", "attribution_share": "share of a unit's value due to AI"}


def three_questions(
    ws: Workspace, hourly: pd.DataFrame, monthly: pd.DataFrame, cases: pd.DataFrame, profile: pd.DataFrame,
    levels: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """One row per use case with demand in the month, by cost, and one for all of them.

    Doing: units of the month, per hour on average and in the highest hour, all regions together.
    Cost: attributed effective USD and USD per unit (`spend.units_charged`), and their change against the month
    before, the cost per day; `uncharged_regions` have units that no charge names, so that USD per unit leaves them out.
    Failing: criticality, failed share, targets missed of those measured, those untold because their limit lies inside a bucket, hours down, and the value of an
    hour's work, value_usd_per_unit x attribution_share x units per hour, average and highest hour; accelerator-hours
    count those of failed jobs too, so the share of them that succeeds applies. The value is NaN where the owner has not said what a unit is worth; `ask` then names the owner's role and what is missing.
    The total adds money only, over the use cases that know theirs; units of different kinds do not add.
    """
    live = cases[cases["units_month"] > 0]
    table = live[["use_case_id", "name", "owner_role", "service_unit", "criticality", "failure_rate"]].assign(
        units_month=live["units_month"], usd=live["effective_cost_usd"], usd_per_unit=live["usd_per_unit"]
    )
    table = table.set_index("use_case_id")
    table = table.join(_hours(hourly, profile)).join(_before(ws, monthly, table))
    table["uncharged_regions"] = _uncharged(ws, monthly).reindex(table.index).fillna("")
    table = table.join(_targets(levels)).join(profile.groupby("use_case_id")["outage_hours"].sum())
    counts = {"targets": 0, "targets_missed": 0, "targets_untold": 0, "outage_hours": 0}
    table = table.fillna(counts).astype(dict.fromkeys(counts, "int64"))
    known = live.set_index("use_case_id")[list(VALUE_FIELDS)]
    worth = known["value_usd_per_unit"] * known["attribution_share"] * _succeeding(live)
    table["value_per_hour_usd"] = worth * table["units_per_hour"]
    table["value_per_peak_hour_usd"] = worth * table["units_per_peak_hour"]
    table["ask"] = [
        _ask(role, [label for field, label in VALUE_FIELDS.items() if gaps[field]], measured)
        for role, (_, gaps), measured in zip(
            table["owner_role"], known.isna().iterrows(), table["units_per_hour"].notna(), strict=True
        )
    ]
    table = table.sort_values("usd", ascending=False, na_position="last", kind="stable").reset_index()
    return pd.concat([table, _total(table)], ignore_index=True) if len(table) else table


def _succeeding(live: pd.DataFrame) -> np.ndarray:
    """Share of the units counted that succeed: of accelerator-hours those of jobs that did, other units are delivered."""
    trains = live["service_unit"] == "accelerator_hour"
    return 1.0 - live["failed_work_share"].fillna(0.0).where(trains, 0.0).to_numpy()


def _ask(role: str, missing: list[str], measured: bool) -> str:
    """Whom to ask for what, so that the value of an hour becomes known."""
    if missing:
        return f"ask {role} for the {' and the '.join(missing)}"
    return "" if measured else f"ask {role} for the hours served"


def _hours(hourly: pd.DataFrame, profile: pd.DataFrame) -> pd.DataFrame:
    """Average hour (outages left out) and highest clock hour of each use case, all regions together.

    A series that begins and ends within an hour has no full clock hour: its highest is then the average.
    """
    highest = hourly.groupby(["use_case_id", "hour"])["service_units"].sum().groupby(level=0).max()
    average = profile.groupby("use_case_id")["units_per_hour_avg"].sum(min_count=1)
    table = pd.DataFrame({"units_per_hour": average, "units_per_peak_hour": highest})
    return table.assign(units_per_peak_hour=table.max(axis=1))


def _before(ws: Workspace, monthly: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Change of cost per day and of unit cost against the month before; NaN where that month has none.

    What costs the same in both months is charged by the month and has not changed, whatever their days.
    """
    now_month = pd.Period(ws.period, "M")
    month = str(now_month - 1)
    days = (now_month - 1).days_in_month / now_month.days_in_month
    bill = ws.table("billing")
    bill = bill[bill["month"] == month]
    cost = use_case_cost(bill).reindex(now.index)
    units = units_charged(bill, monthly[monthly["month"] == month], ws.plan.regions).reindex(now.index)
    unit_cost = (cost / units).where(units > 0)
    change = now["usd"] / cost.where(cost > 0)
    return pd.DataFrame(
        {
            "cost_change_share": (change * days - 1).mask((change - 1).abs() < FLAT, 0.0),
            "unit_cost_change_share": now["usd_per_unit"] / unit_cost.where(unit_cost > 0) - 1,
        }
    )


def _uncharged(ws: Workspace, monthly: pd.DataFrame) -> pd.Series:
    """Regions of each use case whose units of the month no charge of it names, by name."""
    bill, rows = ws.table("billing"), monthly[(monthly["month"] == ws.period) & (monthly["units"] > 0)]
    left = rows[~charged_rows(bill[bill["month"] == ws.period], rows, ws.plan.regions)]
    return left.groupby("use_case_id")["region"].agg(lambda of: ", ".join(sorted(of)))


def _targets(levels: pd.DataFrame) -> pd.DataFrame:
    measured = levels[levels["meets_slo"].notna()]
    missed = ~measured["meets_slo"].astype("bool")
    return pd.DataFrame(
        {
            "targets": measured.groupby("use_case_id").size(),
            "targets_missed": missed.groupby(measured["use_case_id"]).sum(),
            "targets_untold": levels[levels["slo"].notna() & levels["meets_slo"].isna()].groupby("use_case_id").size(),
        }
    )


def _total(table: pd.DataFrame) -> pd.DataFrame:
    sums = {name: table[name].sum(min_count=1) for name in ("usd", "value_per_hour_usd", "value_per_peak_hour_usd")}
    before = table["usd"] / (1 + table["cost_change_share"])
    both = before.notna()
    change = table.loc[both, "usd"].sum() / before[both].sum() - 1 if before[both].sum() > 0 else np.nan
    counted = {name: int(table[name].sum()) for name in ("targets", "targets_missed", "targets_untold", "outage_hours")}
    unknown = int((table["ask"] != "").sum())
    ask = f"{unknown} not known" if unknown else ""
    return pd.DataFrame(
        [
            {
                "use_case_id": TOTAL,
                "name": TOTAL,
                "cost_change_share": change,
                "uncharged_regions": "",
                **sums,
                **counted,
                "ask": ask,
            }
        ]
    )
