"""Rates against hand calculation and each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.finance.rates import effect, nominal, nominal_rate, real_rate, wacc


@given(st.floats(-0.5, 2.0), st.integers(1, 365))
def test_effective_and_nominal_are_the_inverse(rate, periods):
    assert nominal(effect(rate, periods), periods) == pytest.approx(rate, abs=1e-9)


@given(st.floats(-0.9, 2.0), st.floats(-0.5, 0.5))
def test_real_and_nominal_are_the_inverse(rate, inflation):
    assert real_rate(nominal_rate(rate, inflation), inflation) == pytest.approx(rate, abs=1e-12)


def test_wacc_takes_amounts_or_shares():
    # 60 % x 12 % + 40 % x 8 % x 75 % = 7.2 % + 2.4 %
    assert wacc(0.6, 0.4, 0.12, 0.08, 0.25) == pytest.approx(0.096)
    assert wacc(600, 400, 0.12, 0.08, 0.25) == pytest.approx(0.096)
    assert wacc(1, 0, 0.12, 0.08) == pytest.approx(0.12)


def test_more_than_twelve_periods_truncate_like_a_spreadsheet():
    assert effect(0.05, 4.9) == effect(0.05, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: effect(0.1, 0),
        lambda: effect(-5, 4),
        lambda: nominal(-1, 4),
        lambda: real_rate(-1, 0.0),
        lambda: real_rate(0.1, -1.0),
        lambda: wacc(-1, 2, 0.1, 0.1),
        lambda: wacc(1, 1, 0.1, 0.1, 1.5),
    ],
)
def test_rates_out_of_range_are_refused(call):
    with pytest.raises(ValueError, match="must"):
        call()
