"""Words of the buy plan: ways that commit to nothing where no hours are rented, and use cases that start later."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.compare import ON_DEMAND as ALL_BY_THE_HOUR
from aifactory.buyplan.returns import ON_DEMAND as PEAKS_BY_THE_HOUR
from aifactory.finance.options import FLEXIBLE_OPTIONS
from aifactory.fleet.placed import BOUGHT
from aifactory.inputs.workspace import Workspace
from aifactory.report.text import is_missing, join_words, pct, pct_beside

#: Without hours to rent, what a rule without commitments holds is bought for the expected demand alone.
AS_EXPECTED = "Fleet of the expected demand"


def hours_are_rented(plan: BuyPlan) -> bool:
    """Whether any accelerator of the plan can be had by the hour."""
    return bool(plan.options["purchase_option"].isin(FLEXIBLE_OPTIONS).any())


def told_ways(names: pd.Series, *, rented: bool) -> pd.Series:
    """Names as a reader must know them: nothing is on demand where no hours are rented.

    >>> told_ways(pd.Series(["This plan", "All on demand"]), rented=False).tolist()
    ['This plan', 'Fleet of the expected demand']
    """
    return names if rented else names.replace(dict.fromkeys((ALL_BY_THE_HOUR, PEAKS_BY_THE_HOUR), AS_EXPECTED))


def no_power(cost_by: pd.DataFrame) -> str:
    """Platforms of the plan whose rated power nobody publishes, so that no sum holds their carbon; "" where all are known.

    >>> rows = {"dimension": "Platform", "name": ["gpu", "tpu"], "carbon_kg_month": [5.0, float("nan")]}
    >>> no_power(pd.DataFrame(rows))
    ' No rated power is known of tpu: its carbon is in no sum.'
    """
    unknown = (cost_by["dimension"] == "Platform") & cost_by["carbon_kg_month"].isna()
    names = sorted(cost_by.loc[unknown, "name"])
    its = "its" if len(names) == 1 else "their"
    return f" No rated power is known of {join_words(names)}: {its} carbon is in no sum." if names else ""


def starts_later(summary: pd.DataFrame) -> str:
    """What the money of use cases without units in the period is, in a table at its demand; "" where all have units.

    >>> starts_later(pd.DataFrame({"use_case_id": ["chat", "camera"], "units_month": [5.0, 0.0]}))
    ' camera has no units in the period: what it will run on is not in these figures, the work of its port is.'
    """
    names = summary.loc[~(summary["units_month"] > 0), "use_case_id"].tolist()
    if not names:
        return ""
    has, it, its = ("has", "it", "its") if len(names) == 1 else ("have", "they", "their")
    return f" {join_words(names)} {has} no units in the period: what {it} will run on is not in these figures, the work of {its} port is."


def left_out(not_sized: pd.DataFrame) -> str:
    """Use cases that the plan leaves out, whole or in a region, below a table of sums; "" where it holds all.

    >>> left_out(pd.DataFrame({"use_case_id": ["interpreter", "interpreter"]}))
    ' Not in these sums, neither with cost nor with carbon, is what the plan leaves out: interpreter (see the caveats).'
    """
    names = list(dict.fromkeys(not_sized["use_case_id"]))
    if not names:
        return ""
    return f" Not in these sums, neither with cost nor with carbon, is what the plan leaves out: {join_words(names)} (see the caveats)."


def bought_before(ws: Workspace) -> str:
    """What kit costs in this plan that was paid for before it; empty where none is known."""
    book, pools = ws.table("commitments"), ws.month("pools")
    known = (book["purchase_option"].eq(BOUGHT) & book["order_month"].le(ws.period)).any()
    if not known and not pools["purchase_option"].eq(BOUGHT).any():
        return ""
    return "Kit bought before bears its power, space and support alone: its price is paid, though a bill may still write it off. "


def reached(value: float, threshold: float) -> str:
    """A share beside its threshold, told apart, and whether it is there.

    >>> reached(0.2339, 0.2344), reached(0.71, 0.7), reached(0.0, 0.26)
    ('23.39 % of 23.44 %', '71 % of 70 %, reached', '0 % of 26 %')
    >>> reached(float("nan"), 0.7)
    '70 %, no readings'
    """
    if is_missing(value):
        return f"{pct(threshold, 0)}, no readings"
    return f"{pct_beside(value, threshold)} of {pct_beside(threshold, value)}" + (
        ", reached" if value >= threshold else ""
    )
