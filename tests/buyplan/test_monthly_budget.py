"""A monthly budget that fewer orders would only exceed by more keeps no order away."""

from dataclasses import replace

import numpy as np
import pytest
from bp_company import make_plan

from aifactory.buyplan.case import solve_case, solve_expected
from aifactory.buyplan.caveats import _budget_warnings
from aifactory.buyplan.choose import quick_orders
from aifactory.buyplan.monthly_budget import in_vain, told_alone
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
    assert "Signing less does not help" in said[0] and "Operating cost exceeds the budget" in said[0]
    assert "Signing less" not in " ".join(_budget_warnings(case, solve_case(case)))
