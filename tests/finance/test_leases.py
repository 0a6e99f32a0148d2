"""Leases: published examples and schedules that end at zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.finance.leases import lease_liability, lease_schedule, rou_asset


def test_published_liabilities():
    assert lease_liability([50_000] * 9, 0.0587) == pytest.approx(342_017, abs=1)
    assert lease_liability([50_000] * 9, 0.05) == pytest.approx(355_391, abs=1)
    assert lease_liability([50_000] * 10, 0.05, "begin") == pytest.approx(405_391, abs=1)
    assert rou_asset(355_391, 50_000, 20_000, 5_000) == 420_391
    assert lease_liability([], 0.05) == 0
    assert lease_liability([100, 100], 0.0) == 200


@given(
    st.lists(st.floats(0, 1e5), min_size=1, max_size=48),
    st.floats(0, 0.03),
    st.sampled_from(["end", "begin"]),
    st.sampled_from(["finance", "operating"]),
)
def test_a_schedule_ends_at_zero_and_expenses_all_cash(payments, rate, when, kind):
    rows = lease_schedule(payments, rate, when=when, kind=kind, initial_direct_costs=700, incentive=200)
    size = 1e-9 * (1 + sum(payments))
    assert rows["liability_usd"].iloc[-1] == pytest.approx(0, abs=size)
    assert rows["asset_usd"].iloc[-1] == pytest.approx(0, abs=size)
    assert rows["expense_usd"].sum() == pytest.approx(sum(payments) + 500, abs=size)
    if kind == "operating":
        assert np.ptp(rows["expense_usd"]) == pytest.approx(0, abs=size)


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="when must"):
        lease_liability([1], 0.1, "middle")
    with pytest.raises(ValueError, match="kind must"):
        lease_schedule([1], 0.1, kind="sale")
