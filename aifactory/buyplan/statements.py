"""The plan in the tables that finance reads: costs, total cost, cash flow, return, approved figures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.attribution import attribute_hours, cost_by_stream, pool_share
from aifactory.buyplan.case import Answer, Case, Solution
from aifactory.buyplan.ledger import PORTING, REWORK, net_present_value
from aifactory.finance.cashflow import annualised, discount_factors, irr_all, mirr, npv, payback_or_why
from aifactory.finance.options import OPTION_NAMES
from aifactory.finance.tco import CONTINGENCY, OVERHEADS, STORAGE_NETWORK
from aifactory.fleet.compute import BEYOND, require_equal
from aifactory.fleet.streams import EXPECTED
from aifactory.units import HOURS_PER_MONTH, MONTHS_PER_YEAR, SCENARIOS, monthly_rate


def line_group(line: str, case: Case) -> str:
    """Group of a cost line: compute, around compute, hidden cost centres, once, contingency."""
    if line in OVERHEADS:
        return "around compute"
    if line == REWORK or line in {item.name for item in case.plan.hidden_costs}:
        return "hidden cost centres"
    return {PORTING: "once", CONTINGENCY: "contingency"}.get(line, "compute")


def costs_frame(case: Case, answer: Answer) -> pd.DataFrame:
    """Cost by scenario, month and line (cost view: purchases spread over their months of use)."""
    frames = []
    for scenario, solution in zip(SCENARIOS, answer.scenarios, strict=True):
        lines = solution.ledger.lines
        wide = pd.DataFrame(lines, index=pd.Index(case.streams.months, name="month"))
        long = wide.melt(ignore_index=False, var_name="line", value_name="usd").reset_index()
        frames.append(long.assign(scenario=scenario))
    costs = pd.concat(frames, ignore_index=True)
    costs["group"] = costs["line"].map({line: line_group(line, case) for line in costs["line"].unique()})
    return costs[["scenario", "month", "group", "line", "usd"]]


def tco_frame(costs: pd.DataFrame) -> pd.DataFrame:
    """Total cost of ownership over the horizon by scenario and line, with its share."""
    total = costs.groupby(["scenario", "group", "line"], as_index=False, sort=False)["usd"].sum()
    total = total.rename(columns={"usd": "usd_horizon"})
    whole = total.groupby("scenario")["usd_horizon"].transform("sum")
    return total.assign(share=total["usd_horizon"] / whole.where(whole != 0))


def use_frame(case: Case, answer: Answer) -> pd.DataFrame:
    """What the paid accelerator-hours did, by scenario and month: useful, failed, idle, in hours and money."""
    frames = []
    for index, (scenario, solution) in enumerate(zip(SCENARIOS, answer.scenarios, strict=True)):
        shares = attribute_hours(case.of_scenario(index), solution, case.streams.units[index])
        hours = pd.DataFrame({name: getattr(shares, name)[1:].sum(axis=1) for name in ("useful", "failed", "idle")})
        cost = solution.ledger.compute.cost_usd.sum(axis=1)[1:]
        paid = hours.sum(axis=1)
        money = hours.div(paid.where(paid > 0), axis=0).fillna(0.0).mul(cost, axis=0)
        frame = pd.concat([hours.add_suffix("_hours"), money.add_suffix("_usd")], axis=1)
        frames.append(frame.assign(scenario=scenario, month=case.streams.months[1:]))
    return pd.concat(frames, ignore_index=True)


def cash_flow_frame(case: Case, answer: Answer) -> pd.DataFrame:
    """Monthly cash flow of every scenario; month 0 is the approval."""
    frames = []
    for scenario, solution in zip(SCENARIOS, answer.scenarios, strict=True):
        ledger = solution.ledger
        frame = pd.DataFrame(
            {
                "scenario": scenario,
                "month_index": np.arange(len(case.streams.months)),
                "month": case.streams.months,
                "capex_usd": ledger.capex_usd,
                "opex_usd": ledger.opex_usd,
                "tax_usd": ledger.tax_usd,
                "residual_usd": ledger.residual_usd,
                "value_usd": np.nansum(ledger.value_usd, axis=1),
                "net_usd": ledger.net_usd,
            }
        )
        frames.append(frame.assign(cumulative_usd=frame["net_usd"].cumsum()))
    return pd.concat(frames, ignore_index=True)


def roi_frame(case: Case, answer: Answer) -> pd.DataFrame:
    """Return by scenario. Without any value per unit the return is not computed, the cost is.

    ROI ratio = (value - cost) / cost, undiscounted, before tax. Payback in months from approval,
    and what it is where there is none (`payback_or_why`).
    """
    rows = [
        {"scenario": scenario} | _return(case.of_scenario(index), solution, case.streams.units[index])
        for index, (scenario, solution) in enumerate(zip(SCENARIOS, answer.scenarios, strict=True))
    ]
    return pd.DataFrame(rows)


def _return(case: Case, solution: Solution, units: np.ndarray) -> dict:
    ledger, rate = solution.ledger, monthly_rate(case.plan.value("wacc"))
    cost = sum(amount.sum() for amount in ledger.lines.values())
    size = case.streams.size
    demanded, served = (units[1:] * size[1:]).sum(axis=0), (ledger.units_served * size).sum(axis=0)
    asked = float(case.streams.accelerators(demanded).sum())
    served_share = float(case.streams.accelerators(served).sum()) / asked if asked > 0 else 1.0
    paid = float(ledger.compute.paid_hours.sum())
    spent = ledger.capex_usd + ledger.opex_usd - ledger.residual_usd
    known = not np.isnan(ledger.value_usd).all()
    value = float(np.nansum(ledger.value_usd))
    result = {
        "npv_usd": net_present_value(ledger, case.plan),
        "irr_annual": np.nan,
        "irr_status": "not computed",
        "irr_roots": "",
        "mirr_annual": np.nan,
        "payback_month": np.nan,
        "payback_status": "not computed",
        "discounted_payback_month": np.nan,
        "discounted_payback_status": "not computed",
        "tco_usd": float(cost),
        "pv_cost_usd": float(npv(spent, rate)),
        "capex_usd": float(ledger.capex_usd.sum()),
        "compute_usd": float(ledger.compute.cost_usd.sum()),
        "tax_usd": float(ledger.tax_usd.sum()),
        "value_usd": value if known else np.nan,
        "roi_ratio": (value - cost) / cost if known and cost > 0 else np.nan,
        "accelerators_end": int((solution.load.held[-1] * case.slots.size).sum()),
        "accelerator_hours_paid": paid,
        "rented_by_the_hour_share": float(ledger.compute.rented_hours.sum()) / paid if paid > 0 else 0.0,
        "idle_share": max(1.0 - asked * served_share * HOURS_PER_MONTH / paid, 0.0) if paid > 0 else 0.0,
        "served_share": served_share,
    }
    return result | (_rates(ledger.net_usd, rate) if known else {})


def _rates(net: np.ndarray, rate: float) -> dict:
    found = irr_all(net, MONTHS_PER_YEAR)
    (month, status), (discounted, late) = payback_or_why(net), payback_or_why(net * discount_factors(net.size, rate))
    return {
        "irr_annual": annualised(found.rate) if found.status == "unique" else np.nan,
        "irr_status": found.status,
        "irr_roots": "; ".join(f"{annualised(root):.4g}" for root in found.quotable),
        "mirr_annual": annualised(mirr(net, rate, rate)),
        "payback_month": month,
        "payback_status": status,
        "discounted_payback_month": discounted,
        "discounted_payback_status": late,
    }


def approved_plan_frame(case: Case, answer: Answer, period: str) -> pd.DataFrame:
    """Monthly figures per use case, region and accelerator in the columns of the approved_plan contract, but the bands of whole use cases (`staying.approved_with`).

    What runs on two accelerators in a month, or is charged one that stands idle, has a row of each.
    """
    streams, solution = case.streams, answer.expected
    shares = attribute_hours(case, solution, streams.units[EXPECTED])
    lines = cost_by_stream(case, solution, shares)
    cost = sum(lines.values())
    compute = sum(lines[name] for name in solution.ledger.compute.lines if name != BEYOND)
    money = solution.ledger.compute
    cash = (case.slots.total(money.slot_cash_usd, case.pools) - money.lines[BEYOND])[:, streams.pool]
    outlay = case.slots.total(money.slot_outlay_usd, case.pools)[:, streams.pool]
    hourly = sum(money.lines[OPTION_NAMES[name]] for name in ("on_demand", "spot"))
    for amount in (cost, compute, cash, outlay):
        amount[1] += amount[0]  # what is spent at approval belongs to the first month
    share = pool_share(shares.paid, case)
    low, high = streams.band
    frame = pd.DataFrame({"month": streams.months[1:]}).merge(
        streams.table[["use_case_id", "region", "accelerator_id"]], how="cross"
    )
    frame.insert(0, "plan_period", period)
    columns = {
        "units": streams.units[EXPECTED],
        "units_p10": np.minimum(low, streams.units[EXPECTED]),
        "units_p90": np.maximum(high, streams.units[EXPECTED]),
        "accelerator_hours": shares.paid,
        "compute_usd": compute,
        "cost_usd": cost,
        "storage_network_usd": sum(lines[name] for name in STORAGE_NETWORK),
        "compute_cash_usd": cash * share,
        "outlay_usd": outlay * share,
        "hourly_usd": hourly[:, streams.pool] * share,
        "value_usd": solution.ledger.value_usd,
        "units_conservative": streams.units[SCENARIOS.index("conservative")],
        "units_aggressive": streams.units[SCENARIOS.index("aggressive")],
        "load_accelerators": streams.sized(streams.units[EXPECTED]),
    }
    frame = frame.assign(**{name: values[1:].ravel() for name, values in columns.items()})
    frame = frame if case.streams.main.all() else _used(frame)
    require_equal("approved plan and cash", frame["compute_cash_usd"].sum(), frame["compute_usd"].sum())
    require_equal("approved plan and cost lines", frame["cost_usd"].sum(), sum(solution.ledger.lines.values()).sum())
    return frame


def _used(frame: pd.DataFrame) -> pd.DataFrame:
    """Without accelerators on which a use case has neither work nor money in a month; of one that has none at all the first row stays."""
    used = (frame[["units", "accelerator_hours", "cost_usd", "compute_cash_usd", "outlay_usd"]] != 0).any(axis=1)
    keys = ["month", "use_case_id", "region"]
    idle = ~used.groupby([frame[key] for key in keys]).transform("any")
    return frame[used | (idle & ~frame.duplicated(keys))].reset_index(drop=True)


def check_statements(cash_flow: pd.DataFrame, costs: pd.DataFrame) -> None:
    """Cost and cash of every scenario are the same money."""
    spent = cash_flow["capex_usd"] + cash_flow["opex_usd"] - cash_flow["residual_usd"]
    for scenario, amount in spent.groupby(cash_flow["scenario"]).sum().items():
        require_equal(f"cash and cost, {scenario}", amount, costs.loc[costs["scenario"] == scenario, "usd"].sum())
