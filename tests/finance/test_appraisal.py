"""Figures of merit: hand calculation and identities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.finance.appraisal import (
    begin_period_npv,
    break_even_units,
    crossover_rate,
    equivalent_annual_cost,
    levelised_unit_cost,
    mid_period_npv,
    profitability_index,
)
from aifactory.finance.cashflow import npv

COSTS = st.lists(st.floats(0, 1e4), min_size=2, max_size=20)


@given(COSTS, st.floats(0, 0.3))
def test_selling_at_the_levelised_cost_earns_nothing(costs, rate):
    units = np.arange(len(costs), dtype=float)
    price = levelised_unit_cost(costs, units, rate)
    assert npv(price * units - np.array(costs), rate) == pytest.approx(0.0, abs=1e-6)


@given(COSTS, st.floats(-0.2, 0.5))
def test_timing_moves_by_half_and_whole_periods(flows, rate):
    assert mid_period_npv(flows, rate) == pytest.approx(npv(flows, rate) * (1 + rate) ** 0.5)
    assert begin_period_npv(flows, rate) == pytest.approx(npv([*flows[1:]], rate) + flows[0] * (1 + rate))


def test_projects_are_worth_the_same_at_the_crossover():
    a, b = [-1000, 500, 400, 300, 100], [-1000, 100, 300, 400, 675]
    rate = crossover_rate(a, b).rate
    assert npv(a, rate) == pytest.approx(npv(b, rate))
    assert crossover_rate([-10, 20], [-10, 20, 0]).status == "none"


def test_break_even():
    assert float(break_even_units(1000, 0.5, 0.1)) == pytest.approx(2500)
    assert np.isnan(break_even_units(1000, 0.1, 0.1))
    assert np.isnan(break_even_units(1000, 0.1, 0.5))


def test_annual_cost_and_index():
    assert equivalent_annual_cost(0.06, 10, 6, 2) == pytest.approx(11.45, abs=0.005)
    assert equivalent_annual_cost(0.0, 12, 1, 3, salvage=3) == pytest.approx(4)
    assert profitability_index([-100, 60, 72], 0.2) == pytest.approx(1.0)


def test_refusals():
    with pytest.raises(ValueError, match="no units"):
        levelised_unit_cost([1, 2], [0, 0], 0.1)
    with pytest.raises(ValueError, match="outlay"):
        profitability_index([1, 2], 0.1)
