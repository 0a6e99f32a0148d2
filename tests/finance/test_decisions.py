"""Information, risk and two-stage decisions: textbook values, bounds and an enumerated oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.finance.information import perfect_information, sample_information
from aifactory.finance.risk import var_cvar
from aifactory.finance.two_stage import farmer, stochastic_values

PAYOFF = [[200_000, -180_000], [100_000, -20_000], [0, 0]]
TABLES = st.lists(st.lists(st.integers(-100, 100), min_size=3, max_size=3), min_size=1, max_size=4)


@given(TABLES, st.floats(0.01, 0.98), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_information_is_worth_between_nothing_and_perfection(payoff, first, favourable):
    chance = [first, (1 - first) / 2, (1 - first) / 2]
    good = np.array(favourable)
    _, gain = sample_information(chance, payoff, [good, 1 - good])
    assert -1e-9 <= gain <= perfect_information(chance, payoff).evpi + 1e-9


def test_a_signal_that_tells_all_is_perfect_and_one_that_tells_nothing_is_worthless():
    assert sample_information([0.5, 0.5], PAYOFF, np.eye(2))[1] == pytest.approx(60_000)
    assert sample_information([0.5, 0.5], PAYOFF, [[0.3, 0.3], [0.7, 0.7]])[1] == pytest.approx(0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.floats(0, 0.999))
def test_tail_mean_is_the_minimum_of_rockafellar_and_uryasev(losses, alpha):
    values = np.array(losses)
    level, beyond = var_cvar(values, alpha)
    oracle = min(x + np.maximum(values - x, 0).mean() / (1 - alpha) for x in values)
    assert beyond == pytest.approx(oracle, rel=1e-9, abs=1e-6)
    assert level <= beyond + 1e-6 * (1 + abs(level))


def test_risk_with_chances():
    assert var_cvar([0, 100], 0.95, [0.9, 0.1]) == (100.0, 100.0)
    assert var_cvar([0, 100], 0.5, [0.9, 0.1]) == (0.0, pytest.approx(20.0))


CROPS = {"yields": [2.5, 3, 20], "plant": [150, 230, 260], "sell": [170, 150, 36], "buy": [238, 210]}


@settings(max_examples=15)
@given(st.floats(0, 0.5), st.floats(200, 900))
def test_knowing_more_never_costs_more(spread, acres):
    values = stochastic_values(farmer(acres, need=[200, 240], quota=6000, over_quota_price=10, spread=spread, **CROPS))
    assert values.evpi >= -1e-6
    assert values.vss >= -1e-6


def test_without_spread_nothing_is_uncertain():
    values = stochastic_values(farmer(500, need=[200, 240], quota=6000, over_quota_price=10, spread=0, **CROPS))
    assert values.recourse == pytest.approx(-118_600)  # printed in the book for average yields
    assert values.evpi == pytest.approx(0, abs=1e-6)
    assert values.vss == pytest.approx(0, abs=1e-6)


def test_a_problem_without_solution_says_so():
    with pytest.raises(ValueError, match="no solution"):
        stochastic_values(farmer(-1, need=[200, 240], quota=6000, over_quota_price=10, **CROPS))
