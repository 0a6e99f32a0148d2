"""Annuities against pyxirr, hand-made balances and each other."""

import pytest
import pyxirr
from hypothesis import given
from hypothesis import strategies as st

from aifactory.finance import annuity

RATES = st.floats(-0.05, 0.2).filter(lambda rate: abs(rate) > 1e-6)
MONEY = st.floats(-1e5, 1e5)
WHEN = st.sampled_from(["end", "begin"])
COUNTS = st.integers(1, 60)


@given(RATES, COUNTS, MONEY, MONEY, WHEN)
def test_level_payments_agree_with_pyxirr(rate, nper, value, other, when):
    begin = when == "begin"
    size = 1e-8 * (1 + abs(value) + abs(other)) * (1 + abs(rate)) ** nper * nper
    assert annuity.pmt(rate, nper, value, other, when) == pytest.approx(
        pyxirr.pmt(rate, nper, value, other, pmt_at_beginning=begin), rel=1e-6, abs=size
    )
    assert annuity.pv(rate, nper, value, other, when) == pytest.approx(
        pyxirr.pv(rate, nper, value, other, pmt_at_beginning=begin), rel=1e-6, abs=size * nper
    )
    assert annuity.fv(rate, nper, value, other, when) == pytest.approx(
        pyxirr.fv(rate, nper, value, other, pmt_at_beginning=begin), rel=1e-6, abs=size * nper
    )


@given(st.floats(0.001, 0.2), COUNTS, st.floats(1.0, 1e5), WHEN, st.data())
def test_parts_of_a_payment_agree_with_pyxirr(rate, nper, value, when, data):
    per, begin = data.draw(st.integers(1, nper)), when == "begin"
    ours = annuity.ipmt(rate, per, nper, value, 0.0, when)
    assert ours == pytest.approx(pyxirr.ipmt(rate, per, nper, value, pmt_at_beginning=begin), rel=1e-6, abs=1e-6)
    assert ours + annuity.ppmt(rate, per, nper, value, 0.0, when) == pytest.approx(
        annuity.pmt(rate, nper, value, 0.0, when)
    )
    interest = annuity.cumipmt(rate, nper, value, per, nper, when)
    assert interest == pytest.approx(
        pyxirr.cumipmt(rate, nper, value, per, nper, pmt_at_beginning=begin), rel=1e-6, abs=1e-5
    )


@given(st.floats(0.0, 0.2), COUNTS, st.floats(1.0, 1e5), WHEN)
def test_all_repayments_add_up_to_the_loan(rate, nper, value, when):
    assert annuity.cumprinc(rate, nper, value, 1, nper, when) == pytest.approx(-value, rel=1e-7)


@given(st.floats(-0.02, 0.2), st.integers(2, 60), st.floats(10.0, 1e5), WHEN)
def test_rate_and_term_are_the_inverse(rate, nper, value, when):
    payment = annuity.pmt(rate, nper, value, 0.0, when)
    assert annuity.rate(nper, payment, value, 0.0, when) == pytest.approx(rate, abs=1e-8)
    assert annuity.nper(rate, payment, value, 0.0, when) == pytest.approx(nper, rel=1e-5)


def test_zero_rate_is_plain_division():
    assert annuity.pmt(0, 10, 1000) == -100
    assert annuity.pv(0, 10, -100) == 1000
    assert annuity.fv(0, 10, -100, 50) == 950
    assert annuity.nper(0, -100, 1000) == 10
    assert annuity.ipmt(0, 3, 10, 1000) == 0
    assert annuity.rate(10, -100, 1000) == pytest.approx(0.0, abs=1e-12)
    assert annuity.fv(0.1, 0, 5, -10) == 10


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: annuity.pmt(-1, 3, 1), "above -100 %"),
        (lambda: annuity.pmt(float("nan"), 3, 1), "above -100 %"),
        (lambda: annuity.pmt(0.1, -3, 1), "must be positive"),
        (lambda: annuity.nper(0.1, -50, 1000), "never"),
        (lambda: annuity.nper(0.0, 0, 1000), "never"),
        (lambda: annuity.rate(10, 100, 1000), "no rate"),
        (lambda: annuity.ipmt(0.1, 4, 3, 1), "whole number from 1 to 3"),
        (lambda: annuity.cumipmt(0.1, 3, 1, 3, 2), "after the last"),
        (lambda: annuity.pmt(0.1, 3, 1, 0, "middle"), "'end' or 'begin'"),
    ],
)
def test_what_has_no_answer_says_why(call, text):
    with pytest.raises(ValueError, match=text):
        call()
