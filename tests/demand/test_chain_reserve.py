"""Reserve from the paths of a demand chain: closed forms, limits, and what is known after the launch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from aifactory.demand.chain_reserve import PUBLIC_HOURS, levels_of, plan_chain


def test_a_log_normal_doubt_has_its_closed_form():
    levels = np.exp(0.6 * ndtri((np.arange(4000) + 0.5) / 4000))
    found = plan_chain(levels, np.ones(1), 0.01)
    assert found.capacity == pytest.approx(np.exp(0.6 * ndtri(0.99)), rel=0.01)
    assert found.exceedance == found.any_over == pytest.approx(0.01)
    assert found.hours_per_month_over == pytest.approx(7.3)


def test_a_certain_chain_needs_the_quantile_of_its_hours():
    found = plan_chain(np.ones(7), np.arange(1.0, 101.0), 0.05)
    assert found.capacity == 95.0
    assert (found.exceedance, found.risk_low, found.risk_high) == (0.05, 0.05, 0.05)
    assert found.basis_value == pytest.approx(95.05)
    assert found.utilization == pytest.approx(np.minimum(np.arange(1.0, 101.0), 95).sum() / 9500)


@given(
    st.lists(st.floats(0.0, 50.0), min_size=1, max_size=30),
    st.lists(st.floats(0.01, 5.0), min_size=1, max_size=30),
    st.floats(0.001, 0.24),
)
def test_the_capacity_is_the_least_that_meets_the_target(levels, hours, target):
    levels = np.array([*levels, 1.0])
    found = plan_chain(levels, np.array(hours), target)
    loads = np.multiply.outer(levels, np.array(hours))
    assert found.exceedance == (loads > found.capacity).mean() <= target + 1e-9
    below = loads[loads < found.capacity]
    if below.size:
        assert (loads > below.max()).mean() > target - 1 / loads.size
    assert (np.diff(found.curve["exceedance"][:-1]) <= 0).all()
    wider = plan_chain(levels, np.array(hours), target / 2)
    assert wider.capacity >= found.capacity


def test_the_launch_is_known_a_lead_time_later():
    """Half of the paths launch a month late and all grow alike from their launch: once seen, no doubt is left."""
    curve = np.array([0.0, 1.0, 3.0, 5.0, 6.0])
    late = np.concatenate([[0.0], curve[:-1]])
    scale = np.linspace(0.5, 2.0, 40)[:, None]
    paths = np.concatenate([curve * scale, late * scale])
    expected = curve
    np.testing.assert_allclose(levels_of(paths, expected, 2, 1), 1.0)  # those that had begun
    assert np.ptp(levels_of(paths, expected, 2, 2)) > 1.0  # ordered before the launch: all of the doubt
    np.testing.assert_allclose(levels_of(paths, expected, 4, 1), 1.0)


def test_public_hours_are_relative_to_their_mean():
    assert PUBLIC_HOURS.mean() == pytest.approx(1.0, abs=0.01)
    assert (np.diff(PUBLIC_HOURS) > 0).all()
