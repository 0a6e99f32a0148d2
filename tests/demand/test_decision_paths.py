"""Paths whose doubt stops growing: by hand, limits, order and medians kept, launches and stops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aifactory.demand.decision_paths import decision_paths
from aifactory.demand.scenarios import Paths


def held(work, months=2):
    """Work [S, T] of one cell."""
    cell = np.asarray(work, dtype=float)[:, None, None, :]
    return decision_paths(Paths(("chat",), ("eu",), cell, cell), months).work[:, 0, 0]


def test_three_paths_by_hand():
    """Twice and half of the middle in month 2, four times and a quarter in month 3: these become twice and half."""
    assert held([[5, 5, 2.5], [10, 10, 10], [20, 20, 40]]) == pytest.approx(
        np.array([[5, 5, 5], [10, 10, 10], [20, 20, 20]])
    )


def test_doubt_that_shrinks_or_is_young_stays():
    work = [[5, 2.5, 8], [10, 10, 10], [20, 40, 12.5]]
    np.testing.assert_array_equal(held(work), work)
    np.testing.assert_array_equal(held([[5, 2], [10, 10], [20, 50]], months=12), [[5, 2], [10, 10], [20, 50]])


def test_months_count_from_the_launch_and_a_late_path_stays_late():
    """Launched in month 2; one of five paths slips to month 3. Month 4 is the third at work."""
    work = np.array([[0, 8, 8, 4], [0, 8, 8, 8], [0, 0, 8, 8], [0, 8, 8, 8], [0, 8, 12, 32.0]])
    found = held(work)
    np.testing.assert_array_equal(found[:, :3], work[:, :3])
    spread = [np.std(np.log(work[:, t] / 8)) for t in (2, 3)]
    assert found[4, 3] == pytest.approx(8 * 4 ** (spread[0] / spread[1]))
    assert found[0, 3] == pytest.approx(8 * 0.5 ** (spread[0] / spread[1]))


def test_a_cell_without_a_middle_path_is_left_alone():
    work = [[0, 0, 0], [0, 0, 0], [0, 3, 9.0]]
    np.testing.assert_array_equal(held(work, months=1), work)


@given(arrays(float, (7, 5), elements=st.floats(0.01, 100)), st.integers(1, 6))
def test_medians_and_order_stay_and_the_spread_is_that_of_the_month(work, months):
    found, turn = held(work, months), min(months, 5) - 1
    np.testing.assert_allclose(np.median(found, axis=0), np.median(work, axis=0), rtol=1e-12)
    spread = [np.log(values).std(axis=0) for values in (work, found)]
    limit = np.where(np.arange(5) > turn, np.minimum(spread[0], spread[0][turn]), spread[0])
    np.testing.assert_allclose(spread[1], limit, atol=1e-9)
    ranks = np.argsort(np.argsort(work, axis=0, kind="stable"), axis=0)
    assert (np.diff(np.take_along_axis(found, np.argsort(ranks, axis=0), axis=0), axis=0) >= -1e-9).all()
