"""Penalties in money: what a platform costs over the horizon, porting, delay and misses included."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.shortlist.matrix import KEYS, baseline_accelerators
from aifactory.units import HOURS_PER_MONTH, SECONDS_PER_HOUR

PENALTY_COLUMNS = [*KEYS, "compute_usd", "sla_miss_usd", "launch_delay_usd", "porting_usd", "total_usd",
                   "cheapest_before_penalties", "cheapest_after_penalties"]  # fmt: skip


def horizon_costs(ws: Workspace, inventory: Inventory, cells: pd.DataFrame) -> pd.DataFrame:
    """Cost of each cell over the plan's horizon in the expected scenario.

    compute = provisioned accelerator-hours x price per hour (peak with reserve for serving, work
    over planning utilisation for training); SLA misses = failed units x value x share lost;
    delay and porting apply where the class of platform changes. Nothing of this is scored again:
    the matrix holds judgements, this table holds money.
    """
    expected = inventory.forecast[inventory.forecast["scenario"] == "expected"]
    demand = expected.groupby("use_case_id")[["units", "units_per_hour_peak"]].sum()
    cases = ws.table("use_cases").set_index("use_case_id")
    table = cells[cells["units_per_s_per_accelerator"] > 0].copy()
    if table.empty:
        return pd.DataFrame(columns=PENALTY_COLUMNS).astype(dict.fromkeys(KEYS, "str"))
    by_case = table["use_case_id"]
    units, peak_sum = (by_case.map(demand[name]) for name in ("units", "units_per_hour_peak"))
    rate = table["units_per_s_per_accelerator"] * SECONDS_PER_HOUR
    training = table["service_unit"] == "accelerator_hour"
    reserve = by_case.map(cases["criticality"]).map(ws.plan.reserve)
    provisioned = peak_sum / rate * (1 + reserve) * HOURS_PER_MONTH
    worked = units / rate / ws.plan.value("planning_utilization")
    hours = np.where(training, worked, provisioned)
    value = by_case.map(cases["value_usd_per_unit"]) * by_case.map(cases["attribution_share"])
    moved = _moves_class(ws, table)
    table["compute_usd"] = hours * table["usd_per_accelerator_hour"]
    table["sla_miss_usd"] = (
        table["failure_rate"].fillna(0) * units * value * ws.plan.value("sla_miss_usd_per_unit_share")
    ).fillna(0.0)
    table["launch_delay_usd"] = (
        _by_class(table, ws.plan.launch_delay_months) * moved * ws.plan.value("launch_delay_usd_per_month")
    )
    table["porting_usd"] = (
        _by_class(table, ws.plan.porting_person_months) * moved * ws.plan.value("engineer_usd_per_month")
    )
    parts = ["compute_usd", "sla_miss_usd", "launch_delay_usd", "porting_usd"]
    table["total_usd"] = table[parts].sum(axis=1, skipna=False)
    for name, column in (("cheapest_before_penalties", "compute_usd"), ("cheapest_after_penalties", "total_usd")):
        table[name] = table[column] == table.groupby("use_case_id")[column].transform("min")
    return table[PENALTY_COLUMNS].reset_index(drop=True)


def _by_class(table: pd.DataFrame, per_class: dict[str, float]) -> pd.Series:
    return table["platform_class"].map(per_class).fillna(0.0)


def _moves_class(ws: Workspace, table: pd.DataFrame) -> pd.Series:
    classes = ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    today = table["use_case_id"].map(baseline_accelerators(ws, table)).map(classes)
    return (table["platform_class"] != today).astype(float)
