"""Cash flows against hand calculation, spreadsheets and an independent library."""

import numpy as np
import pytest
import pyxirr
from hypothesis import given
from hypothesis import strategies as st

from aifactory.finance.cashflow import (
    TOTAL_LOSS,
    annualised,
    annuity_payment,
    discount_factors,
    discounted_payback,
    irr_all,
    mirr,
    npv,
    payback,
)
from aifactory.units import monthly_rate

FLOWS = st.lists(st.integers(-1_000, 1_000), min_size=2, max_size=40)
RATES = st.floats(-0.2, 0.5)


def test_npv_does_not_discount_the_first_flow():
    # -100 + 60 / 1.2 + 72 / 1.44 = -100 + 50 + 50
    assert npv([-100, 60, 72], 0.2) == pytest.approx(0.0, abs=1e-12)


def test_npv_of_a_table_of_flows_works_row_by_row():
    table = np.array([[-100, 60, 72], [10, 0, 0]])
    np.testing.assert_allclose(npv(table, 0.2), [0.0, 10.0], atol=1e-12)


def test_a_year_of_monthly_discounting_is_the_annual_rate():
    flows = np.zeros(13)
    flows[12] = 110.0
    assert npv(flows, monthly_rate(0.10)) == pytest.approx(100.0, rel=1e-12)


@given(FLOWS, FLOWS, RATES, st.integers(-5, 5))
def test_npv_is_linear(left, right, rate, factor):
    size = min(len(left), len(right))
    a, b = np.array(left[:size], float), np.array(right[:size], float)
    assert npv(a + factor * b, rate) == pytest.approx(npv(a, rate) + factor * npv(b, rate), rel=1e-9, abs=1e-3)


@given(FLOWS, RATES)
def test_npv_agrees_with_pyxirr(flows, rate):
    assert npv(flows, rate) == pytest.approx(pyxirr.npv(rate, flows), rel=1e-9, abs=1e-4)


def test_rates_of_minus_one_or_less_are_refused():
    with pytest.raises(ValueError, match="above -100 %"):
        discount_factors(3, -1.0)


@pytest.mark.parametrize(
    ("flows", "status", "rates"),
    [
        ([-100, 110], "unique", [0.10]),
        ([-100, 0, 121], "unique", [0.10]),
        ([0, 0, -100, 110], "unique", [0.10]),  # leading zeros only shift time
        ([-100, 230, -132], "multiple", [0.10, 0.20]),
        ([-1.6, 10, -10], "multiple", [0.25, 4.0]),
        ([-100, 220, -121], "unique", [0.10]),  # a double root is one rate
        ([100, -200, 150], "none", []),
        ([100, 50, 20], "none", []),
        ([-1, -2], "none", []),
        ([0, 0], "none", []),
    ],
)
def test_all_internal_rates_with_their_status(flows, status, rates):
    found = irr_all(flows)
    assert found.status == status
    np.testing.assert_allclose(found.rates, rates, rtol=1e-6)
    assert np.isnan(found.rate) == (status != "unique")


def test_a_rate_is_quoted_only_when_unique():
    assert irr_all([-100, 110]).rate == pytest.approx(0.10)


@given(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=36), st.floats(0.5, 500))
def test_one_outlay_then_income_agrees_with_pyxirr(incomes, outlay):
    flows = [-outlay, *incomes]
    found = irr_all(flows)
    (rate,) = found.rates
    assert found.status == ("unique" if rate >= TOTAL_LOSS else "total loss")
    assert rate == pytest.approx(pyxirr.irr(flows), rel=1e-6, abs=1e-7)
    scale = float(np.abs(np.array(flows) * discount_factors(len(flows), rate)).sum())
    assert npv(flows, rate) == pytest.approx(0.0, abs=1e-8 * scale)


@pytest.mark.parametrize(
    ("flows", "status", "quoted"),
    [
        ([-1000.0] * 35 + [2000.0], "total loss", np.nan),  # 36,000 less 1,000 paid, 2,000 come back: -99 % a year
        ([-100.0, -5.0, 1.0], "total loss", np.nan),
        ([-100.0, 60.0], "total loss", np.nan),  # 0.6^12 - 1 = -99.8 % a year
        ([-100.0, 70.0], "unique", -0.30),  # 0.7^12 - 1 = -98.6 % a year
        ([-100.0, 110.0], "unique", 0.10),
        ([100.0, -110.0], "borrowing", 0.10),
        ([1.0] + [-100.0] * 3, "borrowing", None),  # a huge rate, and money is lost
        ([-100.0, 115.0, -1.0], "unique", None),  # the other root, -99.1 % a month, is nothing to quote
        ([-1.0, -2.0], "none", np.nan),
    ],
)
def test_rates_of_a_total_loss_and_of_borrowing_are_no_return(flows, status, quoted):
    found = irr_all(flows, 12)
    assert found.status == status
    if quoted is not None:
        assert found.rate == pytest.approx(quoted, nan_ok=True)
    assert all(npv(flows, rate) == pytest.approx(0.0, abs=1e-6 * 1e6) for rate in found.rates)


@pytest.mark.parametrize("noise", [1e-12, -1e-12])
@pytest.mark.parametrize("place", [0, 3])
def test_rounding_adds_no_rate(noise, place):
    flows = np.insert([-100.0, 0.0, 121.0], place, noise)
    assert irr_all(flows).status == "unique"
    assert irr_all(flows).rate == pytest.approx(0.10)


def test_the_size_of_the_flows_does_not_matter():
    for size in (1e-300, 1.0, 1e300):
        np.testing.assert_allclose(irr_all(np.array([-100.0, 230.0, -132.0]) * size).rates, [0.1, 0.2])


@pytest.mark.parametrize("rate", [-1.0, -1.5, np.nan, np.inf])
def test_rates_that_are_none_are_refused_everywhere(rate):
    calls = [
        lambda: npv([1.0, 2.0], rate),
        lambda: mirr([-1.0, 2.0], rate, 0.1),
        lambda: mirr([-1.0, 2.0], 0.1, rate),
        lambda: annuity_payment(1.0, rate, 3),
        lambda: monthly_rate(rate),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="above -100 %"):
            call()


def test_extreme_rates_end_in_numbers():
    assert annualised(1e300) == np.inf
    with pytest.raises(ValueError, match="-100 % or more"):
        annualised(-1.5)
    assert mirr([-1.0] + [1.0] * 400, 0.1, 1e5) == pytest.approx(1e5 ** (399 / 400), rel=1e-4)


def test_long_monthly_flows():
    flows = [-1_000_000.0, *[40_000.0] * 36]
    assert annualised(irr_all(flows).rate) == pytest.approx(annualised(pyxirr.irr(flows)), rel=1e-9)


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=20), st.floats(0.0, 0.3), st.floats(0.0, 0.3))
def test_mirr_agrees_with_pyxirr(incomes, finance, reinvest):
    flows = [-1_000, *incomes]
    assert mirr(flows, finance, reinvest) == pytest.approx(pyxirr.mirr(flows, finance, reinvest), rel=1e-9, abs=1e-9)


def test_mirr_needs_both_signs():
    assert np.isnan(mirr([1, 2, 3], 0.1, 0.1))
    assert np.isnan(mirr([-1, -2, -3], 0.1, 0.1))


@pytest.mark.parametrize(
    ("flows", "expected"),
    [
        ([-100, 50, 50, 10], 2.0),
        ([-100, 40, 40, 40], 2.5),
        ([-100, 60, 60, -50, 40], 4 - 10 / 40),  # cumulative -100 -40 20 -30 10: the dip counts
        ([-100, 30], None),
        ([-100, 150, -60], None),  # ends below zero
        ([10, 20], 0.0),
        ([0, 0], 0.0),
    ],
)
def test_payback(flows, expected):
    found = payback(flows)
    assert found == (None if expected is None else pytest.approx(expected))


@given(FLOWS)
def test_after_the_payback_the_cumulative_flow_stays_up(flows):
    month = payback(flows)
    cumulative = np.cumsum(np.array(flows, float))
    if month is None:
        assert cumulative[-1] < 0
    else:
        assert (cumulative[int(np.ceil(month)) :] >= -1e-6).all()


@given(st.lists(st.integers(1, 100), min_size=1, max_size=24), st.floats(0.0, 0.3))
def test_discounting_never_shortens_the_payback(incomes, rate):
    flows = [-200, *incomes]
    plain, discounted = payback(flows), discounted_payback(flows, rate)
    assert discounted is None or discounted >= plain - 1e-9


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e5), st.floats(0.0, 0.05), st.integers(1, 60))
def test_annuity_agrees_with_pyxirr(value, rest, rate, periods):
    ours = annuity_payment(value, rate, periods, rest)
    theirs = (value - rest) / periods if rate < 1e-9 else -pyxirr.pmt(rate, periods, value, -rest)
    assert float(ours) == pytest.approx(theirs, rel=1e-5, abs=1e-2)


def test_annuity_pays_exactly_the_present_value():
    payment = float(annuity_payment(1_000.0, 0.01, 24, 200.0))
    flows = [1_000.0, *[-payment] * 24]
    flows[-1] -= 200.0
    assert npv(flows, 0.01) == pytest.approx(0.0, abs=1e-9)


def test_annuity_needs_periods():
    with pytest.raises(ValueError, match="periods must be positive"):
        annuity_payment(1.0, 0.1, 0)
