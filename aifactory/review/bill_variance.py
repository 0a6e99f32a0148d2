"""Why the bill of the month differs from that of the month before and from the plan, over the regions that both sides hold.

Pools that the bill attributes to nobody count for the use cases that are known to work there (`shared_use`), as in the chargeback.
"""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.review.monthly import (
    accelerator_cost,
    against_hosted_plan,
    cost_apart,
    month_factors,
    plan_apart,
    plan_factors,
    planned_cost,
    previous_month,
    with_hosted_models,
)
from aifactory.review.own_kit import PAID_BEFORE, without_kit_paid_before
from aifactory.review.shared_use import by_use
from aifactory.review.uncharged import place_names, uncharged
from aifactory.review.variance import OTHER, cause_ranges, explain_bill, served_in_both, split_variance


def against_last_month(
    ws: Workspace, inventory: Inventory, before: pd.DataFrame, now: pd.DataFrame, bills: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.MultiIndex]:
    """The bill against that of the month before, by cause.

    Causes are those of the regions whose work is charged in both months; what one month alone charges of another region
    stands in a row of its own, under other causes.

    Parameters
    ----------
    before, now : whole factors of both months, see `monthly.month_factors`.
    bills : USD by month.

    Returns
    -------
    (the variance of the whole bill, that of `split_variance` alone, the ranges of its causes, use cases and regions that are left out)
    """
    last = previous_month(ws.period)
    ws = by_use(ws, [last, ws.period])
    left_out = uncharged(ws, inventory.demand_monthly, [last, ws.period])
    sides = [(month, *month_factors(ws, inventory, month, left_out)) for month in (last, ws.period)]
    paid = [_paid(ws, factors, month, left_out) for month, factors, _ in sides]
    months = with_hosted_models(ws, sides, left_out)
    both = served_in_both(before, now).union(place_names(left_out))
    split, ends = split_variance(*months), (bills.get(last), bills.get(ws.period))
    return _whole(split, *paid, *ends, planned=False, served=both), split, cause_ranges(*months), left_out


def against_plan(ws: Workspace, inventory: Inventory, whole: pd.DataFrame, bills: pd.Series) -> pd.DataFrame:
    """The bill of the month against the plan, by cause; what is planned where the work is not charged stands in rows of its own.

    So does depreciation of kit that the plan counts as paid for (`own_kit`).

    Parameters
    ----------
    whole : the approved plan in calendar months.
    bills : USD by month.
    """
    ws = by_use(ws, [ws.period])
    left_out = uncharged(ws, inventory.demand_monthly, [ws.period])
    planned = plan_factors(whole, ws.period, left_out)
    ws, paid_before = without_kit_paid_before(ws, whole)
    actual = month_factors(ws, inventory, ws.period, left_out)
    cost = planned[0]["cost"]
    split = split_variance(*against_hosted_plan(ws, planned, actual, ws.period))
    paid = planned_cost(ws, _paid(ws, actual[0], ws.period, left_out), cost.index, ws.period)
    base = pd.concat([cost, plan_apart(whole, ws.period, left_out)])
    paid[PAID_BEFORE] = paid_before.get(ws.period, 0.0)
    return _whole(split, base, paid, base.sum(), bills.get(ws.period), planned=True)


def _paid(ws: Workspace, factors: pd.DataFrame, month: str, left_out: pd.MultiIndex) -> pd.Series:
    """USD paid for accelerators by use case, and by use case and region for what is left out."""
    return cost_apart(ws, month, left_out).combine_first(accelerator_cost(ws, factors, month))


def _whole(split: pd.DataFrame, base: pd.Series, actual: pd.Series, base_total: float | None, total: float | None, *, planned: bool, served: pd.Index | None = None) -> pd.DataFrame:  # fmt: skip
    """The variance over the whole bill; without both totals there is nothing to explain."""
    if base_total is None or total is None or (planned and base.empty):
        return split.iloc[:0].assign(**{OTHER: 0.0}).reset_index(names="use_case_id")
    known = base.dropna(), actual.dropna()
    table = explain_bill(split, *known, base_total, total, planned=planned, served=served)
    return table.reset_index(names="use_case_id")
