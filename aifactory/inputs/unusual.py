"""Values of plan.yaml and prices that are allowed and that hardly anybody means: a slip of units is more likely."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from aifactory.inputs.findings import Finding, Tables, rows_found
from aifactory.inputs.plan import Plan

#: Dearer than industry pays for a kilowatt-hour anywhere.
MOST_USD_PER_KWH = 1.0
#: More than a month of one person costs an employer.
MOST_PAY_USD_PER_MONTH = 60_000.0
PAY = ("engineer_usd_per_month", "operator_usd_per_month")
#: Light in glass needs as much for 50 km and back.
LEAST_ROUND_TRIP_MS = 0.5
#: Two years; the longest waits for accelerators on record were about one (2023).
MOST_LEAD_WEEKS = 104.0
#: A week; work with a limit waits for hours.
MOST_WAIT_HOURS = 168.0
#: Months of the ways to pay that are named by them, and of the longest lease.
TERMS, MOST_TERM_MONTHS = {"reserved_1y": 12, "reserved_3y": 36}, 120
#: US dollars for one unit, lowest and highest of 2000 to 2025 to two digits (daily market rates, recalled).
RANGES = {
    "EUR": (0.82, 1.60), "GBP": (1.0, 2.1), "CHF": (0.54, 1.4), "CAD": (0.61, 1.1), "AUD": (0.47, 1.1), "JPY": (0.0061, 0.013),
}  # fmt: skip
#: A rate is doubted beyond these many times its range.
BEYOND = 1.1
CHECK, WHERE = "unusual_values", "plan.yaml"


def unusual_values(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Prices of power, pay, distances, lead times, terms and rates lie where they usually do; launches stand once; ports have begun in months with data, and what retired has no demand."""
    for column, value, rule in (*_plan_values(plan), *_rates(plan), *_launches(plan), *_ports(tables, plan)):
        yield Finding(WHERE, CHECK, "warned", rule, None, column, value)
    prices = tables["prices"]
    rule = f"is more than {MOST_LEAD_WEEKS:.0f} weeks: days in a column of weeks?"
    far = prices["lead_time_weeks"] > MOST_LEAD_WEEKS
    yield from rows_found(prices, far, "prices", CHECK, "warned", "lead_time_weeks", rule)
    cases = tables["use_cases"]
    rule = "is the first month without traffic, and demand_windows holds traffic of it or later: is the use case still in use?"
    yield from rows_found(cases, _outlived(tables), "use_cases", CHECK, "warned", "retire_month", rule)
    rule = f"is more than {MOST_WAIT_HOURS:.0f} hours: minutes in a column of hours?"
    yield from rows_found(
        cases, cases["slo_p95_wait_hours"] > MOST_WAIT_HOURS, "use_cases", CHECK, "warned", "slo_p95_wait_hours", rule
    )
    yield from _terms(tables["commitments"])


def _terms(book: pd.DataFrame) -> Iterator[Finding]:
    """Orders whose term is not that of their way to pay, or longer than any."""
    rented = book[book["end_month"].notna() & (book["purchase_option"] != "purchase")]
    months = pd.Series(
        [
            (pd.Period(end, "M") - pd.Period(start, "M")).n
            for start, end in zip(rented["start_month"], rented["end_month"], strict=True)
        ],
        index=rented.index,
        dtype=float,
    )
    named = rented["purchase_option"].map(TERMS)
    rule = "is not {0} months after start_month, as {1} says: another way to pay, or a slip of a year?"
    for row in months.index[named.notna() & (months != named)]:
        told = rule.format(int(named[row]), rented.loc[row, "purchase_option"])
        yield Finding(
            "commitments", CHECK, "warned", told, int(row) + 2, "end_month", str(rented.loc[row, "end_month"])
        )
    rule = f"is more than {MOST_TERM_MONTHS} months after start_month: a slip of a year?"
    far = (months > MOST_TERM_MONTHS) & named.isna()
    yield from rows_found(rented, far, "commitments", CHECK, "warned", "end_month", rule)


def _launches(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Launches of one use case and month that stand twice, and scenarios in the wrong order."""
    seen: dict[tuple[str, str], float] = {}
    for item in plan.launches:
        before = seen.get((item.use_case_id, item.month))
        both = item.demand_multiplier * (before or 1.0)
        if before is not None:
            rule = (
                f"stands there before: both count, {before:g} x {item.demand_multiplier:g} = {both:g} times the demand"
            )
            yield f"launches {item.use_case_id}: month", item.month, rule
        seen[item.use_case_id, item.month] = both
    growth = {name: plan.scenario(name).growth_multiplier for name in ("conservative", "aggressive")}
    stated = any(plan.scenario(name).monthly_growth is not None for name in growth)
    if not stated and growth["conservative"] > growth["aggressive"]:
        rule = f"is above that of aggressive, {growth['aggressive']:g}: turned round?"
        yield "scenarios conservative: growth_multiplier", f"{growth['conservative']:g}", rule


def _outlived(tables: Tables) -> pd.Series:
    """Use cases with demand in the month in which they retire, or later."""
    windows, cases = tables["demand_windows"], tables["use_cases"]
    served = windows[windows["service_units"] > 0].groupby("use_case_id", observed=True)["window_start_utc"].max()
    last = (
        cases["use_case_id"].astype(object).map(served.dt.strftime("%Y-%m").to_dict())
        if len(served)
        else pd.Series("", cases.index)
    )
    return cases["retire_month"].notna() & (cases["retire_month"].astype(object).fillna("~") <= last.fillna(""))


def _plan_values(plan: Plan) -> Iterator[tuple[str, str, str]]:
    for region in plan.regions:
        if region.usd_per_kwh > MOST_USD_PER_KWH:
            yield (
                f"regions {region.region}: usd_per_kwh",
                f"{region.usd_per_kwh:g}",
                "is above USD 1 a kWh: cents, or a price per MWh?",
            )
    for name in PAY:
        if plan.value(name) > MOST_PAY_USD_PER_MONTH:
            yield f"assumptions: {name}", f"{plan.value(name):g}", "is above USD 60,000 a month: the pay of a year?"
    for item in plan.region_latency:
        if 0 < item.round_trip_ms < LEAST_ROUND_TRIP_MS:
            rule = f"is below {LEAST_ROUND_TRIP_MS:g} ms between two regions: seconds in a figure of ms?"
            yield f"region_latency {' and '.join(item.between)}: round_trip_ms", f"{item.round_trip_ms:g}", rule


def _rates(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Rates beyond all that their currency was worth, with the slip that would explain them."""
    for rate in plan.exchange_rates:
        usd, (low, high) = float(rate.usd), RANGES.get(rate.currency, (0.0, float("inf")))
        low, high = low / BEYOND, high * BEYOND
        if low <= usd <= high:
            continue
        slips = {"what a dollar costs": 1 / usd, "the rate of a hundred": usd / 100}
        asked = next((f": is it {slip}? That would be USD {right:.4g}" for slip, right in slips.items() if low <= right <= high), "")  # fmt: skip
        rule = f"a {rate.currency} was worth USD {RANGES[rate.currency][0]:g} to {RANGES[rate.currency][1]:g} from 2000 to 2025{asked}"
        yield f"exchange_rates {rate.currency} from {rate.from_month}: usd", f"{rate.usd}", rule


def _ports(tables: Tables, plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Work that begins after the last month of demand: until then a plan charges it."""
    windows = tables["demand_windows"]["window_start_utc"]
    last = f"{windows.max():%Y-%m}" if len(windows) else ""
    for item in plan.ports_under_way:
        if last and item.begun > last:
            rule = f"is after {last}, the last month of demand: no plan up to then knows of it"
            yield f"ports_under_way {item.use_case_id}: begun", item.begun, rule
