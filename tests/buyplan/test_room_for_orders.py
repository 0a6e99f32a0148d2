"""From which month on limits leave room for an order that demand asks for early."""

from dataclasses import replace

import numpy as np
from stress_cases import small_problem

from aifactory.buyplan.optimise.problem import Option
from aifactory.buyplan.room_for_orders import first_months

MONTHS = tuple(f"2027-{month:02d}" for month in range(1, 13))
BUY = Option("purchase", 0, 36, 2, 4e4, 150.0, 3e4, 0.65, capital=True)


def ordered(month, count=1.0, **limits):
    """Nodes of four accelerators of 0.5 kW, bought in one month of 2027 and there two months later."""
    problem = small_problem(
        options=(BUY,), order_months=(0, 3, 6), month_names=MONTHS, kw=np.array([0.5, 0.5]), owned=np.zeros((12, 2)),
        **limits,
    )  # fmt: skip
    nodes = np.array([count * (at == month) for _, at in problem.orders])
    return problem, nodes


def test_power_that_is_free_from_june_leaves_room_from_april():
    """2 kW a node: the site has 1 kW until May and 4 kW from June (index 5); what is ordered in April is there in June."""
    power = np.where(np.arange(12) < 5, 1.0, 4.0)
    problem, nodes = ordered(6, power_kw=power)
    assert first_months(problem, nodes) == {2: "2027-04"}
    full, two = ordered(6, count=2.0, power_kw=np.where(np.arange(12) < 7, 3.0, 4.0))
    assert first_months(full, two) == {}  # one of the two has room all along


def test_an_order_in_the_first_month_with_room_is_kept_by_its_own_month():
    problem, nodes = ordered(3, power_kw=np.where(np.arange(12) < 5, 1.0, 4.0))
    assert first_months(problem, nodes) == {1: "2027-04"}


def test_money_of_an_earlier_fiscal_year_keeps_an_order_away():
    """USD 160,000 a node: the year that ends in June has USD 100,000 left, the next one enough."""
    years = np.array([0] * 6 + [1] * 6)
    problem, nodes = ordered(6, capital_usd=np.array([1e5, 5e5]), year_of=years)
    assert first_months(problem, nodes) == {2: "2027-07"}


def test_where_nothing_is_in_the_way_no_month_is_named():
    for limits in ({}, {"power_kw": np.full(12, 99.0)}, {"capital_usd": np.array([1e6])}):
        assert first_months(*ordered(6, **limits)) == {}
    problem, nodes = ordered(6, power_kw=np.where(np.arange(12) < 5, 1.0, 4.0))
    assert first_months(replace(problem, month_names=()), nodes) == {}
