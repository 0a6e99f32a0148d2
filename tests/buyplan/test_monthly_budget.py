"""A monthly budget that fewer orders would only exceed by more keeps no order away."""

from dataclasses import replace

import numpy as np
import pytest
from bp_company import make_plan

from aifactory.buyplan.case import solve_case, solve_expected
from aifactory.buyplan.caveats import _budget_warnings
from aifactory.buyplan.choose import quick_orders
from aifactory.buyplan.monthly_budget import in_vain, told_alone
from aifactory.buyplan.payments import paid_by_month
from aifactory.fleet.streams import EXPECTED


def planned(case):
    wanted = case.streams.sized(case.streams.units[EXPECTED])[None, 1:]
    return solve_expected(*quick_orders(case, wanted)).ledger


def budget_of(tiny, usd):
    return tiny(plan=make_plan(budget={"opex_usd_per_month": usd}))


@pytest.fixture
def least(tiny):
    """Highest month of the cheapest plan, USD."""
    return float(planned(tiny()).opex_usd[1:].max())


def test_a_budget_below_the_cheapest_plan_makes_operating_cost_higher(tiny, least):
    """Two fifths of what the cheapest plan costs: no term fits into it, and all is left to be rented at twice the price."""
    case = budget_of(tiny, least * 0.4)
    kept, free = planned(case), planned(replace(case, plan=told_alone(case.plan)))
    assert kept.opex_usd[1:].sum() > free.opex_usd[1:].sum() * 1.05
    assert in_vain(case)
    np.testing.assert_allclose(free.opex_usd, planned(tiny()).opex_usd)


def test_a_budget_that_can_be_kept_or_that_is_told_alone_is_not_in_vain(tiny, least):
    assert not in_vain(tiny())
    assert not in_vain(budget_of(tiny, least * 1.01))
    case = budget_of(tiny, least * 0.4)
    assert not in_vain(replace(case, plan=told_alone(case.plan)))


def test_the_reader_is_told_that_signing_less_does_not_help(tiny, least):
    case = budget_of(tiny, least * 0.4)
    said = _budget_warnings(replace(case, plan=told_alone(case.plan)), solve_case(case))
    assert "This budget keeps no order away" in said[0] and "Operating cost exceeds the budget" in said[0]
    assert "keeps no order away" not in " ".join(_budget_warnings(case, solve_case(case)))


def test_what_falls_due_after_the_horizon_is_paid_in_no_month(tiny):
    """A term of three years in a plan of one: the rest of it stands in the last month, with its contingency, and is no payment of it."""
    case = tiny(plan=make_plan(values={"contingency_share": 0.2}))
    ledger = planned(case)
    owed = replace(ledger, compute=replace(ledger.compute, owed_usd=1000.0))
    np.testing.assert_allclose(paid_by_month(case, ledger)[:-1], ledger.opex_usd[:-1])
    assert paid_by_month(case, ledger)[-1] - paid_by_month(case, owed)[-1] == pytest.approx(1200.0)
