"""The decision asked for, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.buyplan.compare import HOSTED
from aifactory.finance.options import OPTION_NAMES
from aifactory.inputs.hosted import STAYS_HOSTED
from aifactory.inputs.plan import Plan
from aifactory.units import MEGA, MONTHS_PER_YEAR, percent

KINDS_NAMED = 3
HOSTED_WHERE_CHEAPER = f"{HOSTED} where cheaper"
#: How the decision begins where hosted models may cost far less than what is to be signed.
TEST_FIRST = "Test hosted models on own prompts"
#: Saving from which hosted models come before any order: about the error of a predicted capacity.
HOSTED_FIRST_SHARE = 0.10
#: Least saving that comes before any order, of the present value of all that the plan costs.
HOSTED_FIRST_OF_PLAN = 0.01
DECISION_WINDOW_MONTHS = 3  # orders to sign within ninety days of the approval
MONTH_NAMES = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


#: What begins or ends when an order goes to work, in its `timing` of `reasons.reasons_of`: its date releases it.
BY_DATE = r"there when ([^;]+)"


def is_firm(orders: pd.DataFrame) -> pd.Series:
    """Orders that are signed on approval: all of the first month, which can wait for nothing, and the baseline within the decision window.

    What follows another order when its term ends may be due that early, where it takes most of the term to arrive. Later
    renewals are decided when they are due.
    """
    due = orders["order_index"] <= DECISION_WINDOW_MONTHS
    first = orders["order_index"] <= 1
    return first | due & (orders["band"] == "baseline")


def signed_now(orders: pd.DataFrame) -> pd.DataFrame:
    """Orders to sign on approval or in the decision window after it."""
    return orders[is_firm(orders)]


def released_on_triggers(orders: pd.DataFrame) -> pd.DataFrame:
    """Other orders of the first year: each is placed only when its trigger fires."""
    due = orders["order_index"] <= MONTHS_PER_YEAR
    return orders[due & ~orders["renewal"].astype(bool) & ~is_firm(orders)]


def renewed_within_a_year(orders: pd.DataFrame) -> pd.DataFrame:
    """What follows other orders of the plan in the first year, when their terms end: decided when it is due."""
    due = orders["order_index"] <= MONTHS_PER_YEAR
    return orders[due & orders["renewal"].astype(bool) & ~is_firm(orders)]


def decision_sentence(
    orders: pd.DataFrame,
    roi: pd.DataFrame,
    plan: Plan,
    first: str = "",
    held: float = 0.0,
    *,
    barred: bool = False,
    bound: Sequence[str] = (),
    rented: bool = True,
    anyway: pd.DataFrame | None = None,
) -> str:
    """Return the decision asked for: amount, what, until when, and what it brings.

    `first` comes before it (the test of hosted models that cost far less: an amount to sign must not lead a reader past
    them). `held`: accelerators that are owned or
    committed already; `barred`: a limit of the plan allows no order; `bound`: limits that leave less to sign than would pay;
    `rented`: some accelerator of the plan can be had by the hour; `anyway`: orders to sign that wait for no test of hosted models.
    """
    within = f" within {' and '.join(bound)}" if bound else ""
    beyond = f"beyond the {held:,.0f} accelerators owned or committed, " if held else ""
    cheapest = f"{beyond}capacity by the hour is cheapest at today's demand{within}"
    if not rented:
        stands = (
            f"the {held:,.0f} accelerators owned or committed hold the demand" if held else "no demand asks for any"
        )
        cheapest = f"{stands} until the next order{within}"
    why = f"{beyond}no order is allowed by the limits of the plan" if barred else cheapest
    whole = _own_decision(orders, roi, plan, held, why)
    now = signed_now(orders)
    if not first or (anyway is not None and len(anyway) == len(now) > 0):
        return f"{first} {whole}".strip()
    if anyway is None or anyway.empty:
        return f"{first} If they fail it: {whole[0].lower()}{whole[1:]}"
    amount, date = money(anyway["commitment_usd"].sum()), month_name(anyway["order_month"].min())
    rest = _own_decision(orders, roi, plan, held, why, apart=anyway)
    return (
        f"{first} Approve {amount} in any case, from {date} on: {_named(anyway)}. "
        f"If they fail it: {rest[0].lower()}{rest[1:]}"
    )


def hosted_first(comparisons: pd.DataFrame | None, plan_usd: float = 0.0) -> str:
    """The test of hosted models, where the comparison of whole use cases (policy, dearer_share, present_value_usd, note) saves much.

    Much is both a large share of accelerators, people and storage and `HOSTED_FIRST_OF_PLAN` of the present value `plan_usd` of all costs.
    """
    if comparisons is None or comparisons.empty:
        return ""
    rows = comparisons[comparisons["policy"] == HOSTED_WHERE_CHEAPER]
    rows = rows[rows["dearer_share"] <= -HOSTED_FIRST_SHARE]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    if comparisons["present_value_usd"].iloc[0] - row["present_value_usd"] < HOSTED_FIRST_OF_PLAN * plan_usd:
        return ""
    return (
        f"{TEST_FIRST} before signing: they would cost {percent(-row['dearer_share'])} less for "
        f"accelerators, people and storage ({row['note']})."
    )


def covered_sentence(planned: pd.DataFrame, not_sized: pd.DataFrame) -> str:
    """Say how many use cases the plan covers whole, where it leaves some or their regions out.

    >>> left = pd.DataFrame({"use_case_id": ["voice", "voice"]})
    >>> covered_sentence(pd.DataFrame({"use_case_id": ["chat", "chat", "search"]}), left)
    ' It covers 2 of 3 use cases whole; the caveats name what is left out.'
    """
    if "reason" in not_sized:  # what stays on its hosted model is decided, not left out
        not_sized = not_sized[not_sized["reason"] != STAYS_HOSTED]
    left, sized = set(not_sized["use_case_id"]), set(planned["use_case_id"])
    if not left:
        return ""
    whole, of = len(sized - left), len(sized | left)
    return f" It covers {whole} of {of} use cases whole; the caveats name what is left out."


def _own_decision(
    orders: pd.DataFrame, roi: pd.DataFrame, plan: Plan, held: float, why: str, apart: pd.DataFrame | None = None
) -> str:
    """The decision on orders without those told `apart`."""
    expected = roi[roi["scenario"] == "expected"].iloc[0]
    outlook = f"The plan costs {money(expected['tco_usd'])} over {plan.horizon_months} months"
    if np.isfinite(expected["npv_usd"]):
        outlook += f" and has an NPV of {money(expected['npv_usd'])} in the expected scenario."
    else:
        outlook += "; its return is not computed, because no value per unit is stated."
    now, later = signed_now(orders), released_on_triggers(orders)
    kind = "growth" if (later["band"] == "growth").all() else "later"
    growth = f", and release up to {money(later['commitment_usd'].sum())} of {kind} orders within a year"
    dated = later.get("timing", pd.Series("", index=later.index)).astype("str").str.extract(BY_DATE)[0].notna().any()
    growth = f"{growth}, each on its trigger{' or date' if dated else ''}" if len(later) else ""
    renewed = renewed_within_a_year(orders)["commitment_usd"].sum()
    growth += f"; renewals of this plan's own terms within a year would commit {money(renewed)} more" if renewed else ""
    if now.empty:
        return f"Sign no {'further ' if held else ''}commitment now: {why}{growth}. {outlook}"
    now = now if apart is None else now.drop(index=apart.index)
    amount, date = money(now["commitment_usd"].sum()), month_name(now["order_month"].min())
    return f"Approve {amount} {'more ' if apart is not None else ''}of commitments with the first order by {date}: {_named(now)}{growth}. {outlook}"


def _named(orders: pd.DataFrame) -> str:
    """Name the orders that take most of the money; the rest is counted."""
    kinds = orders.groupby(["accelerator_id", "purchase_option"], as_index=False)[
        ["accelerators", "commitment_usd"]
    ].sum()
    kinds = kinds.sort_values(["commitment_usd", "accelerator_id"], ascending=[False, True])
    shown = kinds.head(KINDS_NAMED)
    named = [
        f"{row.accelerators} {row.accelerator_id} ({OPTION_NAMES[row.purchase_option].lower()})"
        for row in shown.itertuples()
    ]
    rest = int(kinds["accelerators"].iloc[KINDS_NAMED:].sum())
    return ", ".join([*named, *([f"{rest} others"] if rest else [])])


def money(usd: float) -> str:
    """Amount in words fit for a sentence.

    >>> money(12_345_678), money(-4_200), money(950)
    ('USD 12.3 million', 'USD −4,200', 'USD 950')
    """
    text = f"USD {usd / MEGA:,.1f} million" if abs(usd) >= MEGA else f"USD {usd:,.0f}"
    return text.replace("-", "\N{MINUS SIGN}")


def month_name(month: str) -> str:
    """Return the month in words.

    >>> month_name("2026-11")
    'November 2026'
    """
    return f"{MONTH_NAMES[int(month[5:7]) - 1]} {month[:4]}"
