"""A monthly budget that orders cannot help to keep: what they do not hold is rented, and costs more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aifactory.buyplan.case import Case, solve_expected
from aifactory.buyplan.choose import quick_orders
from aifactory.buyplan.payments import paid_by_month
from aifactory.fleet.streams import EXPECTED
from aifactory.inputs.plan import Plan


def told_alone(plan: Plan) -> Plan:
    """The plan whose monthly budget is held against what it costs, and keeps no order away."""
    return plan.model_copy(update={"budget": plan.budget.model_copy(update={"opex_limits_orders": False})})


def in_vain(case: Case) -> bool:
    """Whether the monthly budget, as a limit of what orders may be paid, makes the expected operating cost exceed it by more.

    A limit holds for what is committed. Hours that nothing committed serves are rented, which no limit keeps away: where even the cheapest
    plan exceeds the budget, fewer commitments only raise what is rented. Both plans are those of `choose.quick_orders` for the
    expected demand; the excess is the sum over months of what is above the budget.
    """
    limit = case.plan.budget.opex_usd_per_month
    if limit is None or not case.plan.budget.opex_limits_orders:
        return False
    kept, free = (_excess_usd(replace(case, plan=plan), limit) for plan in (case.plan, told_alone(case.plan)))
    return free < kept - 0.01


def _excess_usd(case: Case, limit: float) -> float:
    wanted = case.streams.sized(case.streams.units[EXPECTED])[None, 1:]
    paid = paid_by_month(case, solve_expected(*quick_orders(case, wanted)).ledger)[1:]
    return float(np.maximum(paid - limit, 0.0).sum())
