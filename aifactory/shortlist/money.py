"""Penalties in money: what a platform costs over the horizon, everything that has a price included.

Nothing of this is scored again: the score of a cell holds what has no price.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.shortlist.exclusions import KEYS
from aifactory.units import HOURS_PER_MONTH, SECONDS_PER_HOUR

PARTS = ["compute_usd", "sla_miss_usd", "launch_delay_usd", "porting_usd", "rework_usd"]
PENALTY_COLUMNS = [*KEYS, *PARTS, "total_usd", "total_low_usd", "total_high_usd", "present_value_usd",
                   "cheapest_before_penalties", "cheapest_after_penalties"]  # fmt: skip


def horizon_costs(ws: Workspace, inventory: Inventory, cells: pd.DataFrame) -> pd.DataFrame:
    """Cost of each cell over the plan's horizon in the expected scenario.

    compute = provisioned accelerator-hours x price per hour (peak with reserve for serving, work
    over planning utilisation for training); SLA misses = failed units x value x share lost; delay
    and porting apply once where the class of platform changes; rework = porting effort x share that
    comes again x changes of prompts, context or retrieval in the horizon. total_low and total_high
    are the total at the high and the low end of capacity; without a low end the high is infinite.
    The present value discounts running cost month by month at the plan's WACC.
    """
    expected = inventory.forecast[inventory.forecast["scenario"] == "expected"]
    cases = ws.table("use_cases").set_index("use_case_id")
    table = cells[cells["units_per_s_per_accelerator"] > 0].copy()
    if table.empty:
        return pd.DataFrame(columns=PENALTY_COLUMNS).astype(dict.fromkeys(KEYS, "str"))
    demand, discount = _demand(expected, ws.plan.value("wacc"))
    by_case = table["use_case_id"]
    moved = moves_class(ws, table)
    table["compute_usd"] = _hours(ws, table, demand, cases) * table["usd_per_accelerator_hour"]
    value = by_case.map(cases["value_usd_per_unit"]) * by_case.map(cases["attribution_share"])
    lost = table["failure_rate"].fillna(0) * by_case.map(demand["units"]) * value
    table["sla_miss_usd"] = (lost * ws.plan.value("sla_miss_usd_per_unit_share")).fillna(0.0)
    effort = _by_class(table, ws.plan.porting_person_months) * ws.plan.value("engineer_usd_per_month")
    table["launch_delay_usd"] = (
        _by_class(table, ws.plan.launch_delay_months) * moved * ws.plan.value("launch_delay_usd_per_month")
    )
    table["porting_usd"] = effort * moved
    table["rework_usd"] = effort * ws.plan.rework_share * changes_in_horizon(ws, by_case)
    table["total_usd"] = table[PARTS].sum(axis=1, skipna=False)
    for name, end in (("total_low_usd", "high"), ("total_high_usd", "low")):
        table[name] = table["total_usd"] + table["compute_usd"] * (_stretch(table, end) - 1)
    once = table["launch_delay_usd"] + table["porting_usd"]
    table["present_value_usd"] = once + (table["total_usd"] - once) * by_case.map(discount)
    for name, column in (("cheapest_before_penalties", "compute_usd"), ("cheapest_after_penalties", "total_usd")):
        table[name] = table[column] == table.groupby("use_case_id")[column].transform("min")
    return table[PENALTY_COLUMNS].reset_index(drop=True)


def _demand(expected: pd.DataFrame, wacc: float) -> tuple[pd.DataFrame, pd.Series]:
    """Units and sum of hourly peaks by use case, and the share of running cost that is its present value."""
    sums = expected.groupby("use_case_id")[["units", "units_per_hour_peak"]].sum()
    month = expected.groupby("use_case_id").cumcount() + 1
    factor = (1 + wacc) ** (-month / 12)
    present = (expected["units"] * factor).groupby(expected["use_case_id"]).sum()
    return sums, (present / sums["units"]).fillna(1.0)


def _hours(ws: Workspace, table: pd.DataFrame, demand: pd.DataFrame, cases: pd.DataFrame) -> np.ndarray:
    """Accelerator-hours to pay for over the horizon."""
    rate = table["units_per_s_per_accelerator"] * SECONDS_PER_HOUR
    reserve = table["use_case_id"].map(cases["criticality"]).map(ws.plan.reserve)
    units, peaks = (table["use_case_id"].map(demand[name]) for name in ("units", "units_per_hour_peak"))
    provisioned = peaks / rate * (1 + reserve) * HOURS_PER_MONTH
    worked = units / rate / ws.plan.value("planning_utilization")
    return np.where(table["service_unit"] == "accelerator_hour", worked, provisioned)


def _stretch(table: pd.DataFrame, end: str) -> np.ndarray:
    """Factor on compute when capacity lies at one end of its interval; 1 where none is known."""
    rate = table["units_per_s_per_accelerator"].to_numpy(dtype=float)
    edge = table[end].to_numpy(dtype=float) if end in table else rate
    edge = np.where(np.isnan(edge), rate, edge)
    return np.divide(rate, edge, out=np.full(len(rate), np.inf), where=edge > 0)


def changes_in_horizon(ws: Workspace, use_cases: pd.Series) -> pd.Series:
    """Changes of prompts, context or retrieval over the horizon, by the stated stability of demand."""
    stability = ws.table("use_cases").set_index("use_case_id")["demand_stability"]
    yearly = ws.plan.model_changes_per_year
    rate = use_cases.map(stability).fillna("changing").map(yearly).fillna(0.0)
    return rate.astype("float64") * ws.plan.horizon_months / 12


def _by_class(table: pd.DataFrame, per_class: dict[str, float]) -> pd.Series:
    return table["platform_class"].map(per_class).fillna(0.0).astype("float64")


def baseline_accelerators(ws: Workspace, cells: pd.DataFrame) -> pd.Series:
    """Today's platform of each use case: stated in the plan, else the reference accelerator."""
    stated = pd.Series(ws.plan.baseline_accelerators, dtype="str")
    return pd.Series(
        {name: stated.get(name, ws.plan.reference_accelerator) for name in cells["use_case_id"].unique()}, dtype="str"
    )


def on_todays_platform(ws: Workspace, cells: pd.DataFrame, column: str) -> np.ndarray:
    """A column's value on today's platform of the same use case; NaN where that is unknown."""
    today = baseline_accelerators(ws, cells)
    values = cells.set_index(KEYS)[column]
    pairs = pd.MultiIndex.from_arrays([cells["use_case_id"], cells["use_case_id"].map(today)])
    return values.reindex(pairs).to_numpy(dtype=float)


def moves_class(ws: Workspace, table: pd.DataFrame) -> pd.Series:
    """1 where the platform is of another class than today's, 0 elsewhere."""
    classes = ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    today = table["use_case_id"].map(baseline_accelerators(ws, table)).map(classes)
    return (table["platform_class"] != today).astype(float)
