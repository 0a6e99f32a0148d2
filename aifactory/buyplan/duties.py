"""The calendar of governance: duties, orders, ends of support, decisions to make and to look at again.

Duties fall on the ends of fiscal periods (every three months: the quarters of the fiscal year), not so many
months after the report, so that the reports of two months name the same dates. Every event has an identity that
does not contain its date: when an order moves, the calendar that imports the new file moves it too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.buyplan.governance import BY_DATE, TEST_FIRST, is_firm
from aifactory.finance.options import OPTION_NAMES
from aifactory.fleet.placed import BOUGHT
from aifactory.inputs.plan import Plan
from aifactory.units import HOURS_PER_DAY, HOURS_PER_MONTH, MONTHS_PER_YEAR, counted

COLUMNS = ["date", "event", "owner_role", "rule", "kind", "event_id"]
DUTY, ORDER, SUPPORT, TERM = "duty", "order", "end of life", "end of term"
DECISION, REVIEW, PORT = "decision due", "decision review", "porting"
ENDS = {"end_of_sale": "Sale ends", "end_of_support": "Support ends", "end_of_line": "Product line ends"}
LOGGED = ["date", "subject", "text", "owner_role", "status", "due", "review_date"]
#: Orders for work that could stay hosted are signed so.
AFTER_TEST = "once hosted models have failed their test"
#: Event of that test.
HOSTED_TEST = "hosted test"
#: A use case with a smaller share of its work at a hosted model, or of all that is paid for hosted models, is not named.
LEAST_HOSTED = 0.005
#: Percent of its work from which an order names all whom it serves.
ALL_NAMED = 95
ORDER_PLACE = ["region", "accelerator_id", "band", "purchase_option", "renewal"]


def governance_frame(
    plan: Plan,
    period: str,
    orders: pd.DataFrame,
    *,
    lifecycle: pd.DataFrame | None = None,
    decisions: pd.DataFrame | None = None,
    in_use: Sequence[str] = (),
    commitments: pd.DataFrame | None = None,
    ports: Sequence[tuple] = (),
    retiring: pd.DataFrame | None = None,
    tested: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Every date of the plan from the reporting month to the horizon, by date.

    Parameters
    ----------
    orders : orders of the plan; empty without one.
    lifecycle : rows of the `lifecycle` contract; those of `in_use` and of ordered accelerators are dated.
    decisions : rows of the `decisions` contract; open ones are due, those with a review date come back.
    commitments : rows of the `commitments` contract; the last day of each that ends is dated.
    ports : rows of the calendar for what is ported.
    retiring : `aifactory.inventory.retiring.retiring_models`; announced ends to come of hosted models in use are dated.
    tested : use cases of `hosted_cases`, whose orders wait for a test of hosted models; none: there is no test.
    """
    owner = plan.assumptions["planning_utilization"].owner_role
    test = [*hosted_test(tested, orders, plan, period), *_approval(orders, plan, owner, tested)]
    rows = [*_duties(plan, period), *_orders(orders, owner, tested, end_of_test(tested, plan, period)), *test, *ports]
    if lifecycle is not None:
        held = {*in_use, *(orders["accelerator_id"] if len(orders) else ())}
        rows += _ends(lifecycle[lifecycle["accelerator_id"].isin(held)], owner, period, plan.horizon_months)
    if decisions is not None:
        rows += _decisions(decisions)
    if commitments is not None:
        rows += _terms(commitments, owner, period, plan.horizon_months)
    if retiring is not None:
        rows += _retirements(retiring, owner, period, plan.horizon_months)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[us]")
    return frame.sort_values(["date", "event", "event_id"], ignore_index=True)


def duty_months(every_months: int, fiscal_start: int, period: str, horizon_months: int) -> list[pd.Period]:
    """Months after the period in which a duty falls due: the last ones of its fiscal periods.

    >>> [str(month) for month in duty_months(3, 1, "2026-10", 9)]
    ['2026-12', '2027-03', '2027-06']
    >>> [str(month) for month in duty_months(12, 4, "2026-10", 18)]
    ['2027-03', '2028-03']
    """
    first = pd.Period(period, "M") + 1
    months = [first + step for step in range(horizon_months)]
    return [m for m in months if (m.year * MONTHS_PER_YEAR + m.month - fiscal_start + 1) % every_months == 0]


def _duties(plan: Plan, period: str) -> list[tuple]:
    return [
        (_last_day(month), duty.name, duty.owner_role, duty.rule, DUTY, f"duty|{duty.name}|{month}")
        for duty in plan.governance
        for month in duty_months(duty.every_months, plan.fiscal_year_start_month, period, plan.horizon_months)
    ]


def worth_a_test(hosted: pd.DataFrame) -> pd.DataFrame:
    """Rows of use cases that would send `LEAST_HOSTED` of their work to a hosted model, without the smallest of them that together pay less than that share of it all."""
    mine = hosted[hosted["hosted_share"] >= LEAST_HOSTED]
    if "hosted_usd" not in mine:
        return mine
    smallest = mine["hosted_usd"].sort_values(kind="stable").cumsum()
    return mine[(smallest >= LEAST_HOSTED * mine["hosted_usd"].sum()).reindex(mine.index)]


def hosted_cases(decision: str, hosted: pd.DataFrame) -> list[str] | None:
    """Use cases that a decision would send to hosted models, in part, once a test is passed; none named: all of them; None without a test.

    >>> hosted_cases("Test hosted models on own prompts before signing", pd.DataFrame({"use_case_id": ["chat"], "hosted_share": [0.7]}))
    ['chat']
    """
    if not decision.startswith(TEST_FIRST):
        return None
    return list(worth_a_test(hosted)["use_case_id"]) if len(hosted) else []


def _waits(order: object, tested: Sequence[str] | None) -> bool:
    """Whether an order is, or may be, for work that could stay hosted: it names the two use cases that it serves most."""
    whose = str(getattr(order, "serves", ""))
    if tested is None:
        return False
    named = sum(map(int, re.findall(r"(\d+) %", whose)))
    return (
        not tested or 0 < named < ALL_NAMED or any(re.search(rf"(^|, ){re.escape(name)} \d", whose) for name in tested)
    )


def not_waiting(orders: pd.DataFrame, tested: Sequence[str] | None) -> pd.DataFrame:
    """Orders that no test of hosted models keeps from being signed."""
    return orders[[not _waits(order, tested) for order in orders.itertuples()]] if len(orders) else orders


def _orders(orders: pd.DataFrame, owner: str, tested: Sequence[str] | None, done: pd.Timestamp) -> list[tuple]:
    if orders.empty:
        return []
    ordered = orders.sort_values(["start_month", *ORDER_PLACE], kind="stable")
    number = ordered.groupby(ORDER_PLACE).cumcount()
    rows = []
    for order, nth, firm in zip(ordered.itertuples(), number, is_firm(ordered), strict=True):
        later = order.renewal and not firm
        kind = "Renewal due" if later else "Order due"
        what = f"{order.accelerators} {order.accelerator_id}, {OPTION_NAMES[order.purchase_option].lower()}"
        name = f"{kind}: {what}, {order.region}, {order.band}, from {order.start_month}"
        waits, late = _waits(order, tested), _latest(order) < done
        after = f"{AFTER_TEST}{f', which takes one person until {done:%Y-%m-%d}' if late else ''}"
        rule = f"firm {after if waits else 'on approval of the plan'}" if firm else "only if its trigger has fired"
        if not firm and (found := re.search(BY_DATE, str(getattr(order, "timing", "")))):
            rule = f"on this date, to be there when {found[1]}{f', {after}' if waits else ''}"
        rule = "renew only if its hours still pay for the term" if later else rule
        place = "|".join(str(getattr(order, column)) for column in ORDER_PLACE)
        rows.append((_latest(order), name, owner, rule, ORDER, f"order|{place}|{nth}"))
    return rows


def _approval(orders: pd.DataFrame, plan: Plan, owner: str, tested: Sequence[str] | None) -> list[tuple]:
    """The approval that firm orders wait for, on the day on which the first of them is due, by whoever approves plans.

    Orders that wait for the test of hosted models count only where there is no other.
    """
    firm = list(orders[is_firm(orders)].itertuples()) if len(orders) else []
    due = [_latest(order) for order in [order for order in firm if not _waits(order, tested)] or firm]
    owners = [duty.owner_role for duty in plan.governance if "approval" in duty.name.lower()]
    rule = "the first order that is firm on approval is due"
    return [(min(due), "Approve this plan", (*owners, owner)[0], rule, DECISION, "approval")] if due else []


def days_of_test(tested: Sequence[str] | None, plan: Plan) -> int:
    """Days that a test of hosted models takes: `benchmark_person_months` of one person for each use case."""
    months = plan.value("benchmark_person_months") * max(len(tested or ()), 1)
    return math.ceil(months * HOURS_PER_MONTH / HOURS_PER_DAY)


def end_of_test(tested: Sequence[str] | None, plan: Plan, period: str) -> pd.Timestamp:
    """Last day of a test of hosted models that begins with the month after the report."""
    return _last_day(pd.Period(period, "M")) + pd.Timedelta(days=days_of_test(tested, plan))


def late_for_test(tested: Sequence[str] | None, orders: pd.DataFrame, plan: Plan, period: str) -> pd.DataFrame:
    """Orders for work that could stay hosted which are due, firm or by their date, before a test that begins at once ends."""
    done = end_of_test(tested, plan, period)
    late = [_waits(order, tested) and _latest(order) < done for order in orders.itertuples()]
    dated = (
        orders.get("timing", pd.Series("", index=orders.index)).astype("str").str.contains(BY_DATE.replace("(", "(?:"))
    )
    return orders[np.array(late, dtype=bool) & (is_firm(orders) | dated).to_numpy()] if len(orders) else orders


def hosted_test(tested: Sequence[str] | None, orders: pd.DataFrame, plan: Plan, period: str) -> list[tuple]:
    """The test of hosted models that comes before signing, by whoever repeats the benchmark: due before the first order that waits for it.

    If its end (`end_of_test`) is later, that is its date.
    """
    waiting = [order for order in orders.itertuples() if _waits(order, tested)]
    if not waiting:
        return []
    owner = plan.assumptions["planning_utilization"].owner_role
    owners = [duty.owner_role for duty in plan.governance if "benchmark" in duty.name.lower()]
    first, done = min(map(_latest, waiting)), end_of_test(tested, plan, period)
    late = len(late_for_test(tested, orders, plan, period))
    rule = "before an order is signed for work that could stay hosted: it cannot be given back"
    rule += (
        f"; begun at once it takes one person {counted(days_of_test(tested, plan), 'day')}, and {counted(late, 'order')} due earlier must wait"
        if late
        else ""
    )
    return [(max(first, done), TEST_FIRST, (*owners, owner)[0], rule, DECISION, HOSTED_TEST)]


def _latest(order: object) -> pd.Timestamp:
    """Last day on which an order still arrives before its first month of use; within its month of order."""
    month = pd.Period(order.order_month, "M")
    day = pd.Period(order.start_month, "M").start_time - pd.Timedelta(weeks=float(order.lead_time_weeks))
    return min(max(day.normalize(), month.start_time), _last_day(month))


def end_date(text: str) -> pd.Timestamp:
    """Last day of a year, a month, or the day.

    >>> end_date("2028-02"), end_date("2032")
    (Timestamp('2028-02-29 00:00:00'), Timestamp('2032-12-31 00:00:00'))
    """
    return pd.Period(re.sub(r"\s", "", text)).end_time.normalize()


def _ends(lifecycle: pd.DataFrame, owner: str, period: str, horizon_months: int) -> list[tuple]:
    """Ends from the month on, within ten years or the horizon; what ended before is no date to come."""
    now, last = pd.Period(period, "M").start_time, pd.Period(period, "M") + max(horizon_months, 10 * MONTHS_PER_YEAR)
    return [
        (end_date(row.date), f"{ENDS[row.event]}: {row.accelerator_id}", owner, f"{row.note if isinstance(row.note, str) else ''} ({row.source})",
         SUPPORT, f"end|{row.accelerator_id}|{row.event}")
        for row in lifecycle.itertuples(index=False)
        if now <= end_date(row.date) <= last.end_time
    ]  # fmt: skip


def _retirements(retiring: pd.DataFrame, owner: str, period: str, horizon_months: int) -> list[tuple]:
    """Announced ends of hosted models in use, from the month on and within the horizon."""
    now, last = pd.Period(period, "M").start_time, (pd.Period(period, "M") + horizon_months).end_time
    coming = retiring[(retiring["retires"] >= now) & (retiring["retires"] <= last)]
    return [
        (row.retires, f"Hosted model ends: {row.model}{f' of {row.use_case_id}' if row.use_case_id else ''}", row.owner_role or owner,
         f"{row.action} ({row.source})", SUPPORT, f"end|{row.model}|{row.use_case_id}")
        for row in coming.itertuples(index=False)
    ]  # fmt: skip


def _terms(commitments: pd.DataFrame, owner: str, period: str, horizon_months: int) -> list[tuple]:
    """Last days of the commitments that end from the month on, within the horizon."""
    now, rows = pd.Period(period, "M"), []
    for row in commitments[commitments["end_month"].notna()].itertuples(index=False):
        last = pd.Period(row.end_month, "M") - 1
        if not now <= last <= now + horizon_months:
            continue
        ends = "In use until" if row.purchase_option == BOUGHT else "Term ends"
        what = f"{ends}: {row.accelerators} {row.accelerator_id}, {OPTION_NAMES[row.purchase_option].lower()}, {row.region}"
        rule = f"order {row.order_id}: replace or give up what the plan still needs in time ({row.source})"
        rows.append((_last_day(last), what, owner, rule, TERM, f"term|{row.order_id}"))
    return rows


def _decisions(decisions: pd.DataFrame) -> list[tuple]:
    """Open decisions on the day they are due; decisions with a review date, unless dropped."""
    rows = []
    for row in decisions.reindex(columns=LOGGED).itertuples(index=False):
        identity = f"{row.subject}|{row.date:%Y-%m-%d}"
        if row.status == "open" and not pd.isna(row.due):
            rows.append(
                (row.due, f"Decision due: {row.subject}", row.owner_role, row.text, DECISION, f"due|{identity}")
            )
        if row.status != "dropped" and not pd.isna(row.review_date):
            what = f"Decision to look at again: {row.subject}"
            rows.append((row.review_date, what, row.owner_role, row.text, REVIEW, f"review|{identity}"))
    return rows


def _last_day(month: pd.Period) -> pd.Timestamp:
    return month.end_time.normalize()
