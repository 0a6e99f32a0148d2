"""Recompute what reports tell from the tables beside them, with nothing of the package: `python tests/fuzz/report_audit.py MONTH_FOLDER WORKSPACE`.

Every check reads the tables that a run publishes (and the workspace's own), and yields a sentence for each figure that does
not follow. A table that a company does not have is left alone.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

CENT = 0.02
SHARE = 1e-6


@dataclass(frozen=True)
class Reports:
    """Published tables by stage, and the workspace that they were made from."""

    folder: Path
    workspace: Path

    def table(self, stage: str, name: str) -> pd.DataFrame:
        path = self.folder / stage / "tables" / f"{name}.csv"
        return pd.read_csv(path, low_memory=False) if path.exists() else pd.DataFrame()

    def plan_table(self, name: str) -> pd.DataFrame:
        return self.table("buy_plan", name)

    @property
    def plan(self) -> dict:
        return yaml.safe_load((self.workspace / "plan.yaml").read_text())

    def assumed(self, name: str) -> float:
        return float(self.plan["assumptions"][name]["value"])


def _differ(what: str, told: object, found: object, within: float = CENT) -> Iterator[str]:
    """One sentence where two series (or numbers) of the same order differ by more than `within` and a millionth."""
    left, right = np.atleast_1d(np.asarray(told, dtype=float)), np.atleast_1d(np.asarray(found, dtype=float))
    off = np.abs(left - right) > within + 1e-6 * np.abs(right)
    off |= np.isnan(left) != np.isnan(right)
    if off.any():
        at = int(np.argmax(np.where(np.isnan(left - right), np.inf, np.abs(left - right)) * off))
        yield f"{what}: told {left[at]:,.4f}, found {right[at]:,.4f} (at {at}, {int(off.sum())} of {len(off)} differ)"


def cash_flow_makes_npv(reports: Reports) -> Iterator[str]:
    """Net cash, its sum, the present value at the monthly rate, total cost and value of each scenario."""
    cash, roi, costs = (reports.plan_table(name) for name in ("cash_flow", "roi", "costs"))
    if cash.empty or roi.empty:
        return
    monthly = (1 + reports.assumed("wacc")) ** (1 / 12) - 1
    for row in roi.itertuples():
        own = cash[cash["scenario"] == row.scenario]
        net = own["value_usd"] + own["residual_usd"] - own["capex_usd"] - own["opex_usd"] - own["tax_usd"]
        yield from _differ(f"net cash, {row.scenario}", own["net_usd"], net)
        yield from _differ(f"cumulative cash, {row.scenario}", own["cumulative_usd"], net.cumsum())
        npv = float((net / (1 + monthly) ** own["month_index"]).sum())
        yield from _differ(f"NPV, {row.scenario}", row.npv_usd, npv, 1.0)
        yield from _differ(f"value, {row.scenario}", row.value_usd, own["value_usd"].sum())
        yield from _differ(f"tax, {row.scenario}", row.tax_usd, own["tax_usd"].sum())
        yield from _differ(f"capex, {row.scenario}", row.capex_usd, own["capex_usd"].sum())
        lines = costs.loc[costs["scenario"] == row.scenario, "usd"].sum()
        yield from _differ(f"total cost by lines, {row.scenario}", row.tco_usd, lines)
        paid = own["capex_usd"].sum() + own["opex_usd"].sum() - own["residual_usd"].sum()
        yield from _differ(f"total cost by cash, {row.scenario}", row.tco_usd, paid, 1.0)
        if row.irr_status == "unique":
            rate = (1 + row.irr_annual) ** (1 / 12) - 1
            at_irr = float((net / (1 + rate) ** own["month_index"]).sum())
            yield from _differ(f"NPV at the IRR, {row.scenario}", at_irr, 0.0, 1e-4 * abs(net).sum())


def payback_is_the_last_crossing(reports: Reports) -> Iterator[str]:
    cash, roi = reports.plan_table("cash_flow"), reports.plan_table("roi")
    for row in roi.itertuples():
        own = cash[cash["scenario"] == row.scenario]
        total = own["cumulative_usd"].to_numpy()
        below = np.flatnonzero(total < -1e-6)
        if len(below) == 0:
            found = 0.0
        elif below[-1] == len(total) - 1:
            found = np.nan
        else:
            last = below[-1]
            found = own["month_index"].to_numpy()[last] - total[last] / (total[last + 1] - total[last])
        yield from _differ(f"payback, {row.scenario}", row.payback_month, found, 1e-6)


def parts_add_up(reports: Reports) -> Iterator[str]:
    """Total cost by line, hours paid, unit costs by line, cost by dimension."""
    roi, tco, use = (reports.plan_table(name) for name in ("roi", "tco", "capacity_use"))
    for row in roi.itertuples():
        own = tco[tco["scenario"] == row.scenario]
        yield from _differ(f"total cost by line, {row.scenario}", own["usd_horizon"].sum(), row.tco_usd)
        yield from _differ(
            f"shares of the total cost, {row.scenario}",
            own["share"].sum(),
            1.0 if row.tco_usd else own["share"].sum(),
            SHARE,
        )
        hours = use.loc[use["scenario"] == row.scenario, ["useful_hours", "failed_hours", "idle_hours"]].sum()
        yield from _differ(f"hours paid, {row.scenario}", row.accelerator_hours_paid, hours.sum(), 0.1)
        if hours.sum():
            yield from _differ(f"idle share, {row.scenario}", row.idle_share, hours["idle_hours"] / hours.sum(), SHARE)
    lines, units = reports.plan_table("unit_cost"), reports.plan_table("unit_summary")
    if len(units):
        by_case = lines.groupby("use_case_id")["usd_month"].sum().reindex(units["use_case_id"]).to_numpy()
        yield from _differ("cost of a use case by line", units["usd_month"], by_case)
        served = (units["units_month"] > 0).to_numpy()
        yield from _differ("average cost of a unit", units["average_usd_per_unit"][served], (units["usd_month"] / units["units_month"])[served], 1e-9)  # fmt: skip
    by = reports.plan_table("cost_by")
    if len(by):
        sums = by.groupby("dimension")["usd_month"].sum()
        yield from _differ("cost by dimension", sums, np.full(len(sums), sums.iloc[0]), 1.0)
        yield from _differ("shares of a dimension", by.groupby("dimension")["share"].sum(), np.ones(len(sums)), 1e-6)
        if len(units):
            yield from _differ("cost by use case and by dimension", units["usd_month"].sum(), sums.iloc[0], 1.0)


def approved_rows_are_the_plan(reports: Reports) -> Iterator[str]:
    rows, need, cash = (reports.plan_table(name) for name in ("approved_plan", "need", "cash_flow"))
    roi = reports.plan_table("roi")
    if rows.empty or need.empty or roi.empty:
        return
    expected = roi.set_index("scenario").loc["expected"]
    yield from _differ("cost of the approved rows", rows["cost_usd"].sum(), expected["tco_usd"], 1.0)
    yield from _differ("value of the approved rows", rows["value_usd"].sum(), expected["value_usd"], 1.0)
    yield from _differ("compute of the approved rows", rows["compute_usd"].sum(), rows["compute_cash_usd"].sum(), 1.0)
    own = need[need["scenario"] == "expected"].groupby(["month", "use_case_id"])["units"].sum()
    told = rows[rows["accelerator_id"] != "(hosted)"].groupby(["month", "use_case_id"])["units"].sum()
    both = own.index.intersection(told.index)
    yield from _differ("units of the approved rows", told.loc[both], own.loc[both], 0.5)
    late = rows["units_p10"] > rows["units_p90"] * (1 + 1e-9)
    if late.any():
        yield f"approved rows: P10 above P90 in {int(late.sum())} rows"


def fleet_covers_need(reports: Reports) -> Iterator[str]:
    fleet = reports.plan_table("fleet")
    if fleet.empty:
        return
    bands = fleet[["baseline", "growth", "surge"]].sum(axis=1)
    yield from _differ("bands of the fleet", bands, fleet["accelerators"], 1e-6)
    over = fleet["average"] > fleet["accelerators"] + 1e-6
    if over.any():
        first = fleet[over].iloc[0]
        yield f"fleet: {int(over.sum())} rows hold less than works on average, first {first['scenario']} {first['month']} {first['region']} {first['accelerator_id']}: {first['accelerators']} < {first['average']:.2f}"
    negative = (fleet[["accelerators", "baseline", "growth", "surge", "committed", "standing"]] < -1e-9).any(axis=1)
    if negative.any():
        yield f"fleet: {int(negative.sum())} rows with negative accelerators"


def orders_keep_limits(reports: Reports) -> Iterator[str]:
    """Lead times, the capital of a fiscal year, what was ruled out."""
    orders, plan = reports.plan_table("orders"), reports.plan
    if orders.empty:
        return
    weeks = orders["lead_time_weeks"].fillna(0)
    early = orders["start_index"] - orders["order_index"] < np.ceil(weeks * 7 / (365.25 / 12) - 1e-9) - 1
    if early.any():
        row = orders[early].iloc[0]
        yield f"orders: {int(early.sum())} start before they are delivered, first {row['accelerator_id']} {row['order_month']} to {row['start_month']} with {row['lead_time_weeks']} weeks"
    most = plan.get("budget", {}).get("capex_usd_per_year")
    bought = orders[orders["purchase_option"] == "purchase"]
    if most is not None and len(bought):
        when = pd.PeriodIndex(bought["order_month"], freq="M")
        year = when.year - (when.month < plan.get("fiscal_year_start_month", 1))
        spent = bought["upfront_usd"].groupby(year).sum()
        for name, usd in spent[spent > most + 1].items():
            yield f"orders: capital of {usd:,.0f} in fiscal year {name}, {most:,.0f} allowed"
    strange = (
        set(orders["accelerator_id"]) - set(plan["candidates"]) - set(plan.get("baseline_accelerators", {}).values())
    )
    if strange:
        yield f"orders of what is no candidate: {sorted(strange)}"
    used, paths = reports.plan_table("limit_values"), reports.plan_table("policies_on_paths")
    told = len(paths) and paths.set_index("policy")["exceeds"].notna()["plan of this report"]
    if len(used) and not told:
        over = used[(used["used"] > used["most"] + 1e-6 * used["most"].abs() + 1e-6) & used["most"].notna()]
        for row in over.itertuples():
            yield f"limit exceeded: {row.limit}: {row.used:,.1f} of {row.most:,.1f}"


def no_policy_beats_foresight(reports: Reports) -> Iterator[str]:
    paths = reports.plan_table("policies_on_paths")
    if paths.empty:
        return
    over = paths.set_index("policy")["exceeds"].fillna("")
    alike = [set(over[name].split(", ")) <= {"", *over["plan of this report"].split(", ")} for name in over.index]
    usd = paths.set_index("policy")["objective_usd"][alike]
    if "perfect foresight" in usd and (usd.min() < usd["perfect foresight"] * (1 - 1e-6) - 1):
        yield f"paths: {usd.idxmin()} at {usd.min():,.0f} beats perfect foresight at {usd['perfect foresight']:,.0f}"
    ours = usd["plan of this report"]
    better = usd.drop(["plan of this report", "perfect foresight"], errors="ignore")
    if len(better) and better.min() < ours * (1 - 0.005):
        yield f"paths: {better.idxmin()} at {better.min():,.0f} beats the plan at {ours:,.0f}"


def chances_are_chances(reports: Reports) -> Iterator[str]:
    found = reports.plan_table("returns")
    if found.empty:
        return
    rising = (found["npv_p10_usd"] <= found["npv_p50_usd"] + 1) & (found["npv_p50_usd"] <= found["npv_p90_usd"] + 1)
    if not rising.all():
        yield f"returns: percentiles of {list(found.loc[~rising, 'option'])} are not in order"
    for column in ("loss_probability", "best_probability", "payback_24_probability", "payback_probability"):
        if not found[column].dropna().between(0, 1).all():
            yield f"returns: {column} is no share"
    yield from _differ("chances of being best", found["best_probability"].sum(), 1.0, 1e-6)


def stress_bounds_hold(reports: Reports) -> Iterator[str]:
    found = reports.plan_table("stress_tests")
    if found.empty:
        return
    low = found["regret_usd"] < -1 - 1e-3 * found["cost_usd"].abs()
    for row in found[low].itertuples():
        yield f"stress: {row.stress} ({row.subject}): regret of {row.regret_usd:,.0f}"
    bound = found["bound_usd"] > found["known_usd"] * (1 + 1e-6) + 1
    for row in found[bound].itertuples():
        yield f"stress: {row.stress}: bound {row.bound_usd:,.0f} above {row.known_usd:,.0f}"


def variances_add_up(reports: Reports) -> Iterator[str]:
    parts = ["volume", "efficiency", "utilization", "mix", "price", "other"]
    for name in ("variance", "plan_variance"):
        found = reports.table("refresh", name)
        if found.empty:
            continue
        yield from _differ(f"{name}: causes", found["difference_usd"], found[parts].sum(axis=1))
        yield from _differ(f"{name}: difference", found["difference_usd"], found["actual_usd"] - found["base_usd"])
    charged = reports.table("refresh", "chargeback")
    spend = reports.table("inventory", "spend_reconciliation")
    if len(charged):
        whole = charged[["direct_cost", "pool_cost", "shared_cost"]].sum(axis=1)
        yield from _differ("chargeback by team", charged["charge"], whole)
        yield from _differ(
            "shares of the chargeback",
            charged["share"].sum(),
            1.0 if charged["charge"].sum() else charged["share"].sum(),
            1e-6,
        )
    kpis = reports.table("refresh", "kpis")
    if len(kpis) and len(spend):
        bill = float(kpis.set_index("kpi").loc["bill", "actual"])
        yield from _differ("charges to teams and the bill", charged["charge"].sum(), bill, 1.0)


def inventory_is_the_data(reports: Reports) -> Iterator[str]:
    """Units and bill of each month from the raw tables."""
    told = reports.table("inventory", "demand_monthly")
    windows = reports.workspace / "demand_windows.parquet"
    if len(told) and windows.exists():
        raw = pd.read_parquet(windows, columns=["window_start_utc", "use_case_id", "region", "service_units"])
        raw["month"] = raw["window_start_utc"].dt.strftime("%Y-%m")
        sums = raw.groupby(["month", "use_case_id", "region"])["service_units"].sum()
        told["use_case_id"] = [
            name.removesuffix(f".{region}") for name, region in zip(told["use_case_id"], told["region"], strict=True)
        ]
        own = told.set_index(["month", "use_case_id", "region"])["units"]
        both = own.index.intersection(sums.index)
        yield from _differ("units of a month", own.loc[both], sums.loc[both].astype(float), 0.01)
        lost = sums[sums > 0].index.difference(own.index)
        if len(lost):
            yield f"demand_monthly lacks {len(lost)} months of the windows, first {lost[0]}"
    bill, spent = reports.workspace / "billing.csv.gz", reports.table("inventory", "spend_monthly")
    if len(spent) and bill.exists():
        raw = pd.read_csv(bill, usecols=["BillingPeriodStart", "EffectiveCost"], low_memory=False)
        sums = raw.groupby(raw["BillingPeriodStart"].str[:7])["EffectiveCost"].sum()
        own = spent.groupby("month")["effective_cost_usd"].sum()
        both = own.index.intersection(sums.index)
        yield from _differ("bill of a month", own.loc[both], sums.loc[both], 1.0)


def shortlist_adds_up(reports: Reports) -> Iterator[str]:
    money = reports.table("shortlist", "penalties")
    if len(money):
        parts = ["compute_usd", "sla_miss_usd", "launch_delay_usd", "until_ported_usd", "porting_usd", "rework_usd"]
        yield from _differ("penalties", money["total_usd"], money[parts].sum(axis=1, skipna=False))
        bad = (money["total_low_usd"] > money["total_usd"] + 1) | (money["total_usd"] > money["total_high_usd"] + 1)
        for row in money[bad].itertuples():
            yield f"shortlist: {row.use_case_id} on {row.accelerator_id}: {row.total_usd:,.0f} outside {row.total_low_usd:,.0f} to {row.total_high_usd:,.0f}"
    rank = reports.table("shortlist", "acceptability")
    if len(rank):
        sums = rank.groupby(["use_case_id", "rank"])["share"].sum()
        yield from _differ("acceptability of a rank", sums[sums > 1e-9], np.ones(int((sums > 1e-9).sum())), 1e-6)
    chosen, matrix = reports.table("shortlist", "choice"), reports.table("shortlist", "matrix")
    out = reports.table("shortlist", "exclusions")
    if len(chosen) and len(out):
        pairs = set(zip(out["use_case_id"], out["accelerator_id"], strict=True))
        for row in chosen.dropna(subset=["accelerator_id"]).itertuples():
            if (row.use_case_id, row.accelerator_id) in pairs and not str(row.reason).startswith("stays"):
                yield f"shortlist: {row.use_case_id} is put on {row.accelerator_id}, which is excluded ({row.reason})"
    if len(matrix):
        wrong = (matrix["low"] > matrix["units_per_s_per_accelerator"] * (1 + 1e-9)) | (
            matrix["high"] < matrix["units_per_s_per_accelerator"] * (1 - 1e-9)
        )
        if wrong.any():
            yield f"matrix: {int(wrong.sum())} capacities lie outside their intervals"


CHECKS: tuple[Callable[[Reports], Iterator[str]], ...] = (
    cash_flow_makes_npv, payback_is_the_last_crossing, parts_add_up, approved_rows_are_the_plan, fleet_covers_need,
    orders_keep_limits, no_policy_beats_foresight, chances_are_chances, stress_bounds_hold, variances_add_up,
    inventory_is_the_data, shortlist_adds_up,
)  # fmt: skip


def audit(folder: Path, workspace: Path) -> list[str]:
    """What does not follow in the reports of a month; `folder` holds one folder a stage."""
    reports = Reports(folder, workspace)
    return [text for check in CHECKS for text in check(reports)]


if __name__ == "__main__":
    print(*(audit(Path(sys.argv[1]), Path(sys.argv[2])) or ["fine"]), sep="\n")
