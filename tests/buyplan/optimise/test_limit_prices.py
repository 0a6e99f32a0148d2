"""What one more unit of a limit saves where the next unit saves less than the last one did."""

from dataclasses import replace

import numpy as np
import pytest
from planning_problems import one

from aifactory.buyplan.optimise.benders import in_parts
from aifactory.buyplan.optimise.limit_prices import limit_prices
from aifactory.buyplan.optimise.problem import Option

#: 800 USD for four months, at the order or in months.
BUY = Option("buy", 0, 4, upfront_usd=800.0, capital=True)
RENT = Option("rent", 0, 4, monthly_usd=200.0)


def two_steps(option, **changes):
    """An accelerator works 100 hours a month, a second one 50, at 6 USD: the first saves 4 x 600 - 800 = 1,600, the second 400."""
    demand = np.array([20.0, 10.0]) * np.ones((1, 4, 1, 1))
    given = {"demand": demand, "block_hours": np.array([50.0, 50.0]), "on_demand_usd": np.full((4, 1), 6.0)}
    return one([option], **given | changes)


def test_another_server_saves_what_the_second_does_and_not_what_the_first_did():
    """At a limit of one the last server saved 1,600 and the next saves 400: a dual lies anywhere between."""
    case = two_steps(BUY, space_nodes=np.ones((4, 1)))
    assert limit_prices(case) == {"space": pytest.approx(400.0)}
    now, fewer = in_parts(case)[0], in_parts(replace(case, space_nodes=np.full((4, 1), 0.9)))[0]
    assert fewer - now == pytest.approx(160.0)


def test_another_kilowatt_in_every_month_saves_what_the_second_accelerator_does():
    assert limit_prices(two_steps(BUY, power_kw=np.ones(4))) == {"power": pytest.approx(400.0)}
    sites = {"site": np.array([1]), "site_names": ("Old Harbour", "Harbour")}
    power = np.array([[np.inf, 1.0]] * 4)
    assert limit_prices(two_steps(BUY, power_kw=power, **sites)) == {"power of Harbour": pytest.approx(400.0)}


def test_another_dollar_a_month_saves_over_all_months():
    """200 USD a month pay for the second accelerator, which saves 400 over the horizon: 2 USD for a dollar a month."""
    assert limit_prices(two_steps(RENT, order_budget_usd=np.full(4, 200.0))) == {"budget": pytest.approx(2.0)}


def test_a_unit_more_is_none_in_a_month_that_earlier_orders_exceed():
    """By the month, 200 USD: the second accelerator saves 100 in three months, the first, which month 0 has no room for, 400."""
    month = replace(RENT, term_months=1)
    paid = two_steps(month, order_budget_usd=np.array([0.0, 200.0, 200.0, 200.0]), order_months=(0, 1, 2, 3))
    over = np.array([True, False, False, False])
    assert limit_prices(paid) == {"budget": pytest.approx(3.5)}
    assert limit_prices(paid, {"budget": over}) == {"budget": pytest.approx(1.5)}
    housed = two_steps(month, space_nodes=np.array([[0.0], [1.0], [1.0], [1.0]]), order_months=(0, 1, 2, 3))
    assert limit_prices(housed, {"space": over}) == {"space": pytest.approx(300.0)}
    powered = two_steps(month, power_kw=np.array([0.0, 1.0, 1.0, 1.0]), order_months=(0, 1, 2, 3))
    assert limit_prices(powered, {"power": over}) == {"power": pytest.approx(300.0)}


def test_another_dollar_of_capital_saves_what_it_buys_of_the_second_accelerator():
    assert limit_prices(two_steps(BUY, capital_usd=np.array([800.0]))) == {"capital of year 1": pytest.approx(0.5)}


def test_another_point_of_a_vendor_s_share():
    """One accelerator of another vendor stands: at 50 % one may be bought, at 51 % it is 1 + 1/0.49 - 2 more, each worth 400."""
    base = two_steps(BUY)
    two = {
        "demand": np.concatenate([base.demand, 0.0 * base.demand], axis=2), "rate": np.array([[10.0, 0.0], [0.0, 10.0]]),
        "deferrable": np.zeros(2, bool), "node_size": np.array([1, 1]), "miss_usd": np.ones(2), "vendor": ("a", "b"),
        "owned": np.tile([0.0, 1.0], (4, 1)), "on_demand_most": np.full(2, np.inf), "spot_share": np.ones(2),
        "kw": np.ones(2), "vendor_most": 0.5, "on_demand_usd": np.full((4, 2), 6.0),
    }  # fmt: skip
    two |= {"spot_usd": np.full((4, 2), np.inf), "api_usd": np.full((4, 2), np.inf)}
    assert limit_prices(replace(base, **two)) == {"share": pytest.approx((1 / 0.49 - 2) * 400.0)}


def test_one_per_cent_less_of_a_fleet_that_must_stand_ready():
    floor = np.array([[0.0], [1.0], [1.0], [0.0]])
    assert limit_prices(one([BUY], level=0.0, floor=floor)) == {"reserve": pytest.approx(8.0)}


def test_nothing_is_told_of_limits_that_do_not_bind():
    assert limit_prices(two_steps(BUY, space_nodes=np.full((4, 1), 3.0))) == {}
