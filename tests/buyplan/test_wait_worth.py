"""Worth of waiting before the choice of a way to pay, each way with its own cost of the wait."""

from types import SimpleNamespace

import numpy as np
import pytest

from aifactory.buyplan.wait_worth import worth_of_waiting


def basis_of(three_months_usd):
    factors = SimpleNamespace(names=["capacity", "level:chat"])
    model = SimpleNamespace(months=36)
    return SimpleNamespace(factors=factors, seed=1, model=model, wait_usd={1: 0.5, 3: three_months_usd})


def found(npv, three_months_usd):
    """This plan, all hours rented, another way, each with one NPV in all draws: nothing is to be learnt."""
    draws = np.tile(np.array(npv)[:, None], 500)
    values = np.random.default_rng(2).lognormal(0.0, 0.1, (500, 2))
    table = worth_of_waiting(basis_of(three_months_usd), values, draws, np.array(npv), 1)
    return table.set_index("knowledge").loc["Wait for a tenth of the traffic"]


def test_each_way_bears_its_own_wait():
    # purchase earns 112 and loses (112 - 40) x 3 / 36 = 6 by the wait: 106; this plan, 111 less 1, is then the best: 110 - 112
    row = found([111.0, 40.0, 112.0], 1.0)
    assert (row["worth_usd"], row["wait_usd"], row["net_usd"]) == pytest.approx((0.0, 2.0, -2.0))


def test_where_this_plan_earns_most_the_wait_costs_its_own():
    row = found([111.0, 40.0, 100.0], 1.0)
    assert (row["wait_usd"], row["net_usd"]) == pytest.approx((1.0, -1.0))


def test_a_better_way_by_little_changes_little():
    """Two ways that earn nearly the same: whichever is a cent ahead, the wait costs nearly the same."""
    ahead, behind = found([112.0, 40.0, 112.01], 1.0), found([112.01, 40.0, 112.0], 1.0)
    assert ahead["wait_usd"] == pytest.approx(behind["wait_usd"], abs=0.02)


def test_what_is_learnt_is_worth_the_better_choice():
    """A fair coin says which of two ways earns 20: to see it is worth 10, less the wait of each, (50 - 20) x 3 / 36 = 2.5."""
    rng = np.random.default_rng(3)
    coin = rng.random(20_000) < 0.5
    npv = np.stack([np.where(coin, 60.0, 40.0), np.zeros(20_000), np.where(coin, 40.0, 60.0)])
    values = np.stack([np.ones(20_000), np.where(coin, 10.0, 0.1)], axis=1)
    table = worth_of_waiting(basis_of(2.5), values, npv, np.array([50.0, 20.0, 50.0]), 1).set_index("knowledge")
    row = table.loc["Wait for a tenth of the traffic"]
    assert row["worth_usd"] == pytest.approx(10.0, abs=0.2)
    assert row["wait_usd"] == pytest.approx(2.5, abs=0.01)
