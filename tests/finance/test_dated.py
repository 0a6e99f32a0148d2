"""Dated flows against pyxirr, and flows with several rates."""

import datetime as dt

import numpy as np
import pytest
import pyxirr
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.finance.cashflow import TOTAL_LOSS, irr_all
from aifactory.finance.dated import xirr, xnpv

START = dt.date(2026, 1, 1)
YEARS = ["2025-01-01", "2026-01-01", "2027-01-01", "2028-01-01"]  # 365 days each


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 4_000), st.floats(1, 500)), min_size=1, max_size=30), st.floats(-0.5, 1.0))
def test_agrees_with_pyxirr(later, rate):
    dates = [START, *(START + dt.timedelta(days=days) for days, _ in later)]
    flows = [-1_000.0, *(amount for _, amount in later)]
    assert xnpv(rate, flows, dates) == pytest.approx(pyxirr.xnpv(rate, dates, flows), rel=1e-9, abs=1e-6)
    theirs, ours = pyxirr.xirr(dates, flows), xirr(flows, dates)
    (found,) = ours.rates
    assert ours.status == ("unique" if found >= TOTAL_LOSS else "total loss")
    if theirs is not None and -0.999 < theirs < 1e6:
        assert xnpv(found, flows, dates) == pytest.approx(0.0, abs=1e-5)
        assert found == pytest.approx(theirs, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    "flows", [[-100, 230, -132], [-1.6, 10, -10], [-100, 220, -121], [100, -200, 150], [-1000, 3600, -4310, 1716]]
)
def test_whole_years_have_the_rates_of_periods(flows):
    ours, theirs = xirr(flows, YEARS[: len(flows)]), irr_all(flows)
    assert ours.status == theirs.status
    np.testing.assert_allclose(ours.rates, theirs.rates, atol=1e-6)


def test_two_rates_within_one_cell_of_the_grid():
    # (1 - 1.1 x) (1 - 1.1001 x) with x = 1 / (1 + r)
    flows = [1.0, -(1.1 + 1.1001), 1.1 * 1.1001]
    np.testing.assert_allclose(xirr(flows, YEARS[:3]).rates, [0.1, 0.1001], atol=1e-6)


def test_order_of_the_later_flows_does_not_matter():
    dates = ["2026-01-01", "2026-07-01", "2026-03-01"]
    assert xirr([-100, 60, 50], dates).rate == pytest.approx(
        xirr([-100, 50, 60], ["2026-01-01", "2026-03-01", "2026-07-01"]).rate
    )


def test_a_gain_of_a_day_that_no_number_holds_has_no_rate():
    assert xirr([-1, 1000], ["2026-01-01", "2026-01-02"]).status == "none"
    lost = xirr([-1000, 1], ["2026-01-01", "2026-01-02"])
    assert lost.status == "total loss"
    assert lost.rates == pytest.approx([-1.0])
    assert np.isnan(lost.rate)


@pytest.mark.parametrize("date", [20260101, "46000-01-01", "1026-01-01"])
def test_a_number_is_no_day(date):
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        xirr([-100, 110], ["2026-01-01", date])


def test_no_change_of_sign_has_no_rate():
    assert xirr([1, 2], YEARS[:2]).status == "none"
    assert xirr([], []).status == "none"


def test_refusals():
    with pytest.raises(ValueError, match="above -100 %"):
        xnpv(-1.0, [1], YEARS[:1])
    with pytest.raises(ValueError, match="finite"):
        xnpv(0.1, [float("nan")], YEARS[:1])
