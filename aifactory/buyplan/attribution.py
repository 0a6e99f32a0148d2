"""Who causes which cost: pool cost by stream, and the cost of one unit line by line.

Paid hours of a pool are split into the hours each stream works and idle reserve, which goes to the
streams in proportion to the reserve they ask for. Every split adds up to the amount split.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, Solution
from aifactory.buyplan.ledger import PORTING, REWORK
from aifactory.finance.options import spot_usd_per_hour
from aifactory.finance.tco import (
    CONTINGENCY,
    OVERHEADS,
    PEOPLE,
    around_usd_per_hour,
    held_usd_per_month,
    price_index,
    serves,
)
from aifactory.finance.unit_cost import allocate, split_compute
from aifactory.fleet.compute import BEYOND, require_equal
from aifactory.inputs.plan import HiddenCost, Plan
from aifactory.units import HOURS_PER_MONTH, SECONDS_PER_HOUR

OWN_SITE_LINES = ("Own site: energy", "Own site: space", "Own site: support")
USEFUL, FAILED, IDLE = (
    "Compute and memory: useful work",
    "Compute and memory: failed work and retries",
    "Compute and memory: idle reserve",
)
POWER_AND_SPACE = "Power, space and support"
#: line -> what moves it, its unit, and the assumption whose owner answers for it
DRIVERS = {
    USEFUL: ("service units x accelerator-hours per unit", "accelerator-hours", "planning_utilization"),
    FAILED: ("failure rate and retries", "accelerator-hours", "retry_backoff_share"),
    IDLE: ("peak to average, reserve, whole nodes", "accelerator-hours", "planning_utilization"),
    POWER_AND_SPACE: ("owned or leased accelerators", "kW-months", "pue"),
    BEYOND: ("length of the terms signed", "accelerator-hours", "planning_utilization"),
    "Storage": ("accelerators held", "GB-months", "storage_usd_per_gb_month"),
    "Network egress": ("output tokens", "GB", "egress_usd_per_gb"),
    "Orchestration": ("compute cost", "share of compute", "orchestration_share"),
    "Human operations": ("accelerators held", "operator-months", "operator_usd_per_month"),
    "Safety checks": ("compute cost", "share of compute", "safety_check_share"),
    PORTING: ("person-months of porting, once, spread over the horizon", "person-months", "engineer_usd_per_month"),
    REWORK: ("changes of prompts, context or retrieval x share of the port", "person-months", "engineer_usd_per_month"),
    CONTINGENCY: ("share of all other lines", "share of cost", "contingency_share"),
}


@dataclass(frozen=True)
class Shares:
    """Accelerator-hours of every stream, [T + 1, K]; they add up to the hours paid."""

    useful: np.ndarray
    failed: np.ndarray
    idle: np.ndarray

    @property
    def paid(self) -> np.ndarray:
        """Hours paid on behalf of each stream."""
        return self.useful + self.failed + self.idle


def attribute_hours(case: Case, solution: Solution, units: np.ndarray) -> Shares:
    """Split the paid hours of every pool over its streams; work that finds no capacity keeps none busy."""
    streams, table = case.streams, case.streams.table
    accelerators = streams.sized(units)
    headroom = accelerators * np.maximum(streams.highest * (1.0 + streams.reserve) * streams.chance - 1.0, 0.0)
    paid, served = solution.ledger.compute.paid_hours, solution.ledger.compute.served
    work, idle = np.zeros_like(accelerators), np.zeros_like(accelerators)
    for pool in range(case.pools):
        mine = streams.pool == pool
        wanted = accelerators[:, mine] * served[:, [pool]] * HOURS_PER_MONTH
        total = wanted.sum(axis=1)
        busy = np.minimum(paid[:, pool], total)
        work[:, mine] = wanted * np.where(total > 0, busy / np.where(total > 0, total, 1.0), 0.0)[:, None]
        idle[:, mine] = allocate(paid[:, pool] - busy, headroom[:, mine])
    failed = work * table["failure_rate"].to_numpy()
    return Shares(work - failed, failed, idle)


def pool_share(hours: np.ndarray, case: Case) -> np.ndarray:
    """Share of each stream in the paid hours of its pool, [T + 1, K]; even where nothing is paid."""
    share = np.zeros_like(hours)
    for pool in range(case.pools):
        mine = case.streams.pool == pool
        share[:, mine] = allocate(np.ones(len(hours)), hours[:, mine])
    return share


def cost_by_stream(case: Case, solution: Solution, shares: Shares) -> dict[str, np.ndarray]:
    """Every cost line split over the streams, [T + 1, K] per line; lines keep their monthly sums."""
    ledger, pool = solution.ledger, case.streams.pool
    share = pool_share(shares.paid, case)
    lines = {name: amount[:, pool] * share for name, amount in ledger.compute.lines.items()}
    compute = np.maximum(sum(lines.values()), 0.0)
    tokens = ledger.units_served * case.streams.table["output_tokens_per_unit"].to_numpy()
    per_unit = {
        item.name: ledger.units_served * serves(item, case.streams.table["use_case_id"])
        for item in case.plan.hidden_costs
        if item.usd_per_unit
    }
    people, storage = held_usd_per_month(case.plan, case.offers.field)
    weights = {"Network egress": tokens, "Storage": shares.paid * storage[pool], PEOPLE: shares.paid * people[pool]}
    for name, amount in ledger.lines.items():
        if name in lines or name == CONTINGENCY:
            continue
        weight = per_unit.get(name, weights.get(name, compute))
        if name == PORTING:
            weight = np.broadcast_to(case.porting_usd, compute.shape)
        if name == REWORK:
            weight = case.rework_usd
        lines[name] = allocate(amount, weight)
    lines[CONTINGENCY] = sum(lines.values()) * case.plan.value("contingency_share")
    total = sum(amount.sum() for amount in lines.values())
    require_equal("cost by use case and cost lines", total, sum(ledger.lines.values()).sum())
    return lines


def unit_cost_frame(case: Case, today: Solution) -> pd.DataFrame:
    """Cost of a unit of every use case, line by line, at the demand of the period.

    The demand of the period is held flat over the horizon and served on this plan's terms, so that
    one-off and long-lived cost is spread over the months it serves. Lines add up to the total. A unit bears what
    all months cost over what is served in them: a use case that retires first is not served after that.
    """
    months = case.plan.horizon_months
    shares = attribute_hours(replace(case, streams=case.streams.of_today()), today, case.today_units)
    by_stream = {name: amount.sum(axis=0) / months for name, amount in cost_by_stream(case, today, shares).items()}
    lines = {name: amount for name, amount in by_stream.items() if name not in today.ledger.compute.lines}
    compute = {name: by_stream[name] for name in today.ledger.compute.lines}
    lines[POWER_AND_SPACE] = sum(compute[name] for name in OWN_SITE_LINES)
    lines[BEYOND] = compute[BEYOND]
    rent = sum(amount for name, amount in compute.items() if name not in (*OWN_SITE_LINES, BEYOND))
    hours = (part[1:].sum(axis=0) for part in (shares.useful, shares.failed, shares.idle))
    parts = split_compute(rent, *hours)
    lines |= {USEFUL: parts[:, 0], FAILED: parts[:, 1], IDLE: parts[:, 2]}
    frame = _by_use_case(case, lines, _served(case, today))
    require_equal("unit cost lines", frame["usd_month"].sum(), sum(today.ledger.lines.values()).sum() / months)
    return frame


def _served(case: Case, today: Solution) -> np.ndarray:
    """Units of a month that each stream is served in the mean of the horizon, [K], which is what `cost_by_stream` is spread over."""
    return today.ledger.units_served[1:].sum(axis=0) / case.plan.horizon_months


def _by_use_case(case: Case, lines: dict[str, np.ndarray], served: np.ndarray) -> pd.DataFrame:
    table = case.streams.table
    hidden = {item.name: item for item in case.plan.hidden_costs}
    order = [USEFUL, FAILED, IDLE, POWER_AND_SPACE, *OVERHEADS, *hidden, PORTING, REWORK, CONTINGENCY, BEYOND]
    rows = []
    for position, name in enumerate(order):
        facts = {"use_case_id": table["use_case_id"], "line": name, "position": position, "usd_month": lines[name]}
        rows.append(pd.DataFrame(facts | line_facts(name, case.plan, hidden.get(name))))
    about = ["driver", "driver_unit", "source", "owner_role"]
    keys = ["use_case_id", "position", "line", *about]
    frame = pd.concat(rows).groupby(keys, as_index=False)["usd_month"].sum()
    units = table.assign(units_month=served).groupby("use_case_id")["units_month"].sum()
    count = frame["use_case_id"].map(units)
    frame["usd_per_unit"] = frame["usd_month"] / count.where(count > 0)
    return frame[["use_case_id", "line", "usd_month", "usd_per_unit", *about]]


def line_facts(name: str, plan: Plan, item: HiddenCost | None) -> dict[str, str]:
    """What moves a line, in which unit it is counted, where its figure comes from and who answers for it."""
    if item is not None:
        unit = "units" if item.usd_per_unit else "share of compute" if item.share_of_compute else "months"
        return {"driver": item.driver, "driver_unit": unit, "source": item.source, "owner_role": item.owner_role}
    driver, unit, assumption = DRIVERS[name]
    stated = plan.assumptions[assumption]
    computed = name in (USEFUL, FAILED, IDLE, BEYOND)
    source = "computed from demand, capacity and prices" if computed else stated.source
    return {"driver": driver, "driver_unit": unit, "source": source, "owner_role": stated.owner_role}


def unit_summary_frame(
    case: Case, unit_cost: pd.DataFrame, today: Solution, current: pd.Series, api: pd.DataFrame
) -> pd.DataFrame:
    """Average, marginal, headline and hosted cost of a unit, one row per use case.

    Marginal: one more unit on the cheapest suitable capacity rented by the hour (on spot with the work that is lost
    to interruptions) and the people and storage that go with its hours, with egress and the shares that follow compute, people and cost centres at the mean pay of the horizon. Headline: on-demand list price over measured peak rate, what is usually
    quoted. `current` is today's cost per unit from the bill, `api` the price at a hosted model.
    """
    table = case.streams.table
    hourly = case.offers.on_demand[case.streams.pool]
    hourly = np.where(np.isfinite(hourly), hourly, np.nan)
    seconds = 1.0 / (table["units_per_s_per_accelerator"] * SECONDS_PER_HOUR)
    plan = case.plan
    spot = spot_usd_per_hour(case.offers.spot[case.streams.pool], plan.value("spot_interruption_share"))
    flexible = np.where(table["interruptible"], np.minimum(hourly, spot), hourly)
    follow = 1.0 + plan.value("orchestration_share") + plan.value("safety_check_share")
    follow += sum(item.share_of_compute for item in plan.hidden_costs)
    egress = table["output_tokens_per_unit"] * plan.value("egress_bytes_per_output_token") / 1e9
    pay = float(price_index(len(case.streams.months), plan)[1:].mean())  # as in the average
    hourly_whole = flexible * follow + around_usd_per_hour(plan, case.offers.field, pay)[case.streams.pool]
    marginal = hourly_whole * seconds * table["load_factor"] + egress * plan.value("egress_usd_per_gb")
    marginal += sum(item.usd_per_unit * pay * serves(item, table["use_case_id"]) for item in plan.hidden_costs)
    rows = table.assign(headline=hourly * seconds, marginal=marginal * (1.0 + plan.value("contingency_share")))
    rows = rows.assign(value=today.ledger.value_usd[1:].mean(axis=0), units_month=_served(case, today))
    return _summarise(rows, unit_cost, current, api)


def _summarise(rows: pd.DataFrame, unit_cost: pd.DataFrame, current: pd.Series, api: pd.DataFrame) -> pd.DataFrame:
    count = rows["units_month"]
    weighted = rows.assign(headline=rows["headline"] * count, marginal=rows["marginal"] * count)
    sums = ["units_month", "headline", "marginal", "value"]
    frame = weighted.groupby(["use_case_id", "service_unit"], as_index=False)[sums].sum(min_count=1)
    units = frame["units_month"].where(frame["units_month"] > 0)
    frame["usd_month"] = frame["use_case_id"].map(unit_cost.groupby("use_case_id")["usd_month"].sum())
    frame["average_usd_per_unit"] = frame["usd_month"] / units
    for name in ("marginal", "headline"):
        frame[f"{name}_usd_per_unit"] = frame[name] / units
    frame["average_to_headline"] = frame["average_usd_per_unit"] / frame["headline_usd_per_unit"]
    frame["current_usd_per_unit"] = frame["use_case_id"].map(current)
    frame["value_usd_per_unit"] = frame["value"] / units
    hosted = api.set_index("use_case_id")
    for name in ("api_model", "api_usd_per_unit"):
        frame[name] = frame["use_case_id"].map(hosted[name])
    return frame.drop(columns=["headline", "marginal", "value"])
