"""Residual value and straight-line depreciation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.finance.depreciation import residual_value, straight_line


def test_residual_after_whole_years():
    assert float(residual_value(1_000.0, 0.5, 24)) == pytest.approx(250.0)


@given(st.floats(0, 1), st.integers(0, 120))
def test_residual_stays_between_zero_and_the_price(decline, months):
    assert 0 <= float(residual_value(1_000.0, decline, months)) <= 1_000.0


@given(st.floats(0, 1), st.integers(0, 60), st.integers(0, 60))
def test_residual_never_rises_with_age(decline, months, more):
    assert residual_value(1.0, decline, months + more) <= residual_value(1.0, decline, months) + 1e-12


def test_limits():
    assert float(residual_value(1_000.0, 0.0, 36)) == 1_000.0
    assert float(residual_value(1_000.0, 1.0, 36)) == 0.0
    assert float(residual_value(1_000.0, 0.3, 0)) == 1_000.0


def test_residual_refuses_a_decline_above_one():
    with pytest.raises(ValueError, match="between 0 and 1"):
        residual_value(1.0, 1.1, 12)


@given(st.floats(0, 1e6), st.floats(0, 1e5), st.integers(1, 120))
def test_depreciation_adds_up_to_cost_less_salvage(cost, salvage, life):
    assert float(straight_line(cost, salvage, life)) * life == pytest.approx(cost - salvage, abs=1e-6)


def test_straight_line_works_on_arrays_and_needs_a_life():
    np.testing.assert_allclose(straight_line([10.0, 20.0], 0.0, 5), [2.0, 4.0])
    with pytest.raises(ValueError, match="life must be positive"):
        straight_line(1.0, 0.0, 0)
