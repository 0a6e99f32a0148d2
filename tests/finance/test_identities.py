"""Identities that hold for any numbers: present value falls with the rate, payback is its definition, shares are whole."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aifactory.finance.cashflow import TOTAL_LOSS, discounted_payback, irr_all, npv, payback
from aifactory.finance.unit_cost import allocate, split_compute

LATER = st.lists(st.floats(0, 1e6), min_size=1, max_size=36).filter(lambda flows: sum(flows) > 1.0)
RATES = st.lists(st.floats(-0.5, 2.0), min_size=2, max_size=6, unique=True).map(sorted)


@settings(max_examples=100)
@example(outlay=201.0, later=[2.0], rates=[0.0, 1.0])  # -99.005 % a year
@given(outlay=st.floats(1, 1e6), later=LATER, rates=RATES)
def test_present_value_of_an_outlay_and_returns_falls_with_the_rate_and_is_zero_at_its_only_rate(outlay, later, rates):
    flows = [-outlay, *later]
    values = [npv(flows, rate) for rate in rates]
    assert all(a >= b - 1e-9 * (abs(a) + outlay) for a, b in zip(values, values[1:], strict=False))
    found = irr_all(flows)
    (rate,) = found.rates
    assert found.status == ("unique" if rate >= TOTAL_LOSS else "total loss")
    size = (np.abs(flows) * (1.0 + rate) ** -np.arange(len(flows), dtype=float)).sum()
    assert abs(npv(flows, rate)) <= 1e-6 * size


@settings(max_examples=150)
@given(flows=st.lists(st.integers(-1_000, 1_000), min_size=1, max_size=30), rate=st.sampled_from([0.0, 0.01, 0.5]))
def test_payback_is_the_period_from_which_the_sum_stays_at_or_above_zero(flows, rate):
    worth = np.array(flows) * (1.0 + rate) ** -np.arange(len(flows), dtype=float)
    total = np.cumsum(worth)
    found = discounted_payback(flows, rate)
    if rate == 0.0:
        assert found == payback(flows)
    stays = [month for month in range(len(flows)) if (total[month:] >= -1e-9 * np.abs(worth).sum()).all()]
    if not stays:
        assert found is None
    elif stays[0] == 0:
        assert found == 0.0
    else:
        assert stays[0] - 1 <= found <= stays[0] + 1e-9
        before = total[stays[0] - 1]
        assert found == pytest.approx(stays[0] - 1 - before / worth[stays[0]])


@settings(max_examples=100)
@given(total=st.floats(0, 1e9), weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_what_is_split_adds_up_to_what_was_paid(total, weights):
    assert allocate(total, weights).sum() == pytest.approx(total, rel=1e-9, abs=1e-9)
    useful, failed, idle = np.array(weights), np.array(weights) * 0.1, np.array(weights)[::-1]
    parts = split_compute(np.full(len(weights), total), useful, failed, idle)
    assert parts.sum(axis=-1) == pytest.approx(total, rel=1e-9, abs=1e-9)
    busy = useful + failed > 0
    assert (parts[busy & (idle == 0)][:, 2] == 0).all()
