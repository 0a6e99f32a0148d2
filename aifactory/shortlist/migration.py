"""When a specialised platform pays back its porting: stable months, stable volume, changes it can bear."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.benchmark.telemetry import OWN_EVIDENCE
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.today import baseline_accelerators
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.money import level_factors, pay_while_served, present_units
from aifactory.units import MONTHS_PER_YEAR, monthly_rate

GENERAL_CLASSES = ("gpu", "cpu")
#: What a move costs once.
ONCE = ["porting_usd", "launch_delay_usd", "until_ported_usd"]
COLUMNS = ["use_case_id", "from_accelerator_id", "accelerator_id", "tier", "units_per_month", "one_off_usd",
           "saving_usd_per_month", "payback_months", "payback_months_discounted", "payback_months_low_capacity",
           "break_even_units_per_month", "bearable_changes_per_year", "verdict"]  # fmt: skip


def payback_months(one_off_usd: ArrayLike, saving_usd_per_month: ArrayLike, yearly_rate: float = 0.0) -> np.ndarray:
    """Months of steady saving that pay back a cost of today; infinite if they never do.

    Without interest n = C / s. At the monthly rate r = (1 + yearly)^(1/12) - 1 the present value of
    n savings is s (1 - (1 + r)^-n) / r, so n = -ln(1 - C r / s) / ln(1 + r); never where C r >= s.

    >>> payback_months([120.0, 0.0, 50.0], [10.0, 10.0, -1.0]).tolist()
    [12.0, 0.0, inf]
    """
    cost, saving = np.broadcast_arrays(np.asarray(one_off_usd, float), np.asarray(saving_usd_per_month, float))
    ratio = np.divide(cost, saving, out=np.full(cost.shape, np.inf), where=saving > 0)
    rate = monthly_rate(yearly_rate)
    if rate:
        left = 1 - ratio * rate
        ratio = np.where(left > 0, -np.log(np.where(left > 0, left, 1.0)) / np.log1p(rate), np.inf)
    known = ~(np.isnan(cost) | np.isnan(saving))
    return np.where(known, np.where(cost <= 0, np.where(saving >= 0, 0.0, np.inf), ratio), np.nan)


def break_even_units(
    one_off_usd: ArrayLike, rework_usd_per_month: ArrayLike, saving_usd_per_unit: ArrayLike, months: float
) -> np.ndarray:
    """Steady units a month from which the move pays within `months`; infinite if no unit saves anything.

    V (c_general - c_special) months = C + rework months.

    >>> break_even_units(3600.0, 100.0, 0.02, 36).tolist()
    10000.0
    """
    if not months > 0:
        msg = f"months must be above 0, got {months}"
        raise ValueError(msg)
    fixed = np.asarray(one_off_usd, float) / months + np.asarray(rework_usd_per_month, float)
    saving = np.asarray(saving_usd_per_unit, float)
    units = np.divide(
        np.maximum(fixed, 0), saving, out=np.full(np.broadcast(fixed, saving).shape, np.inf), where=saving > 0
    )
    return np.where(np.isnan(fixed) | np.isnan(saving), np.nan, units)


def plan_migrations(
    ws: Workspace, inventory: Inventory, cells: pd.DataFrame, penalties: pd.DataFrame, exclusions: pd.DataFrame
) -> pd.DataFrame:
    """One row per use case and specialised platform that it does not run on today: what the move from the best general platform pays.

    `penalties` as of `money.in_shared_nodes`, where nodes are shared. The best general platform is the measured one (or the one that production shows) with the lowest price over the horizon, else the
    cheapest estimated one. Money and units per month are level ones of the same present value, all regions together. The move's one-off
    cost is porting, delay and the months until the port ends; rework stays in the monthly saving. Verdict, volume and changes are those at
    which the move pays within the horizon with interest; so is the payback at the low end of capacity. bearable_changes_per_year is how
    often prompts, context or retrieval may change before rework eats the whole saving.
    """
    out = set(zip(exclusions["use_case_id"], exclusions["accelerator_id"], strict=True))
    table = cells[[*KEYS, "platform_class", "tier"]].merge(penalties, on=KEYS)
    inside = [pair not in out for pair in zip(table["use_case_id"], table["accelerator_id"], strict=True)]
    table = table[np.array(inside, dtype=bool) & table["total_usd"].notna().to_numpy()]
    expected = inventory.forecast[inventory.forecast["scenario"] == "expected"]
    volume = present_units(expected, ws.plan.value("wacc")) / level_factors(ws).sum()
    today, pay = baseline_accelerators(ws, cells), pay_while_served(ws, expected)
    rows = []
    for name, group in table.groupby("use_case_id", sort=True):
        general = group[group["platform_class"].isin(GENERAL_CLASSES)]
        measured = general[general["tier"].isin(OWN_EVIDENCE)]
        pool = measured if len(measured) else general
        others = group[~group["platform_class"].isin(GENERAL_CLASSES) & (group["accelerator_id"] != today.get(name))]
        if len(pool) and len(others):
            base = pool.sort_values("total_usd").iloc[0]
            rows.append(_moves(ws, base, others, float(volume.get(name, np.nan)), float(pay.get(name, 0.0))))
    return pd.concat(rows, ignore_index=True)[COLUMNS] if rows else pd.DataFrame(columns=COLUMNS)


def _moves(ws: Workspace, base: pd.Series, others: pd.DataFrame, units: float, pay: float) -> pd.DataFrame:
    """Moves of one use case; `pay` is the sum of pay factors over the months in which it has demand."""
    horizon, level = ws.plan.horizon_months, level_factors(ws).sum()

    def running(rows: pd.DataFrame | pd.Series, compute: str = "compute_usd") -> pd.Series | float:
        return (rows[compute] + rows["sla_miss_usd"]) / level

    one_off = others[ONCE].sum(axis=1) - base[ONCE].sum()
    rework = (others["rework_usd"] - base["rework_usd"]) / level
    gross = running(base) - running(others)
    dearest = others["compute_usd"] + others["total_high_usd"] - others["total_usd"]
    low = running(base) - (dearest + others["sla_miss_usd"]) / level - rework
    saving = gross - rework
    per_change = _effort_gap(ws, base, others) * ws.plan.rework_share / MONTHS_PER_YEAR * pay / level
    room = gross - one_off / level
    wacc = ws.plan.value("wacc")
    months, worst = payback_months(one_off, saving, wacc), payback_months(one_off, low, wacc)
    return pd.DataFrame({
        "use_case_id": base["use_case_id"], "from_accelerator_id": base["accelerator_id"],
        "accelerator_id": others["accelerator_id"], "tier": others["tier"], "units_per_month": units,
        "one_off_usd": one_off, "saving_usd_per_month": saving, "payback_months": payback_months(one_off, saving),
        "payback_months_discounted": months,
        "payback_months_low_capacity": worst,
        "break_even_units_per_month": break_even_units(one_off, rework, gross / units if units > 0 else np.nan, level),
        "bearable_changes_per_year": np.where(per_change > 0, np.maximum(room, 0) / per_change.where(per_change > 0, np.nan), np.inf),
        "verdict": [_verdict(m, late, tier, horizon) for m, late, tier in zip(months, worst, others["tier"], strict=True)],
    })  # fmt: skip


def _effort_gap(ws: Workspace, base: pd.Series, others: pd.DataFrame) -> pd.Series:
    months = ws.plan.porting_person_months
    more = others["platform_class"].map(months).fillna(0.0).astype(float) - months.get(base["platform_class"], 0.0)
    return more * ws.plan.value("engineer_usd_per_month")


def _verdict(months: float, worst: float, tier: str, horizon: int) -> str:
    if not months <= horizon:
        return "does not pay"
    if not worst <= horizon:
        return "measure first: not at the low end"
    return "pays" if tier == "measured" else "pilot: pays even at the low end"
