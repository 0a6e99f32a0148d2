"""What signing later costs, by hand."""

import pytest
from bp_company import make_plan, make_prices

from aifactory.buyplan.case import solve_case
from aifactory.buyplan.wait_cost import wait_usd

HARDWARE = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor"}


def test_hours_are_rented_while_nothing_is_ordered(tiny):
    """Two nodes work all hours: USD 11,680 a month on demand, 5,840 reserved for a year; a later year runs beyond the horizon."""
    case = tiny()
    answer = solve_case(case)
    assert wait_usd(case, answer, 0) == 0.0
    assert wait_usd(case, answer, 1) == pytest.approx(2 * 11_680)
    assert wait_usd(case, answer, 3) == pytest.approx(3 * 2 * 11_680)


def test_a_year_that_follows_begins_when_the_late_one_ends(tiny):
    """Two years in a row, both a month late: a month is rented, and a month is owed beyond the horizon instead."""
    case = tiny(plan=make_plan(24))
    assert wait_usd(case, solve_case(case), 1) == pytest.approx(2 * 11_680)


def test_hardware_wears_less_if_it_comes_later(tiny):
    """Hours of the bought nodes are rented for two months; the resale after 34 months in use is higher than after 36."""
    plan = make_plan(36, {"residual_decline_per_year": 0.5})
    case = tiny(plan=plan, prices=make_prices(HARDWARE, drop=["reserved_1y"]))
    answer = solve_case(case)
    signed = answer.expected.orders.signed[1]
    nodes = int((signed >= 0).sum())
    hours = answer.expected.load.use[1][signed >= 0].sum() * 4 * 730
    saved = nodes * 80_000 * (0.5 ** (34 / 12) - 0.5 ** (36 / 12)) + 2 * nodes * 4 * 730 * 0.1  # resale, power
    assert nodes > 0 and wait_usd(case, answer, 2) == pytest.approx(2 * hours * 4.0 - saved)
