"""From demand to whole nodes."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.serving.sizing import accelerator_hours, accelerators_needed, whole_nodes


def test_hours_are_units_over_capacity():
    assert float(accelerator_hours(36_000, 5.0)) == 2.0
    assert accelerator_hours([3600.0, 0.0], [1.0, 2.0]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("capacity", [0.0, -1.0, [1.0, 0.0]])
def test_a_platform_without_capacity_is_refused(capacity):
    with pytest.raises(ValueError, match="capacity must be positive"):
        accelerator_hours(1.0, capacity)


def test_unknown_capacity_stays_unknown():
    assert np.isnan(accelerator_hours(10.0, np.nan))


@pytest.mark.parametrize(
    ("need", "size", "expected"),
    [(0.0, 8, 0), (1e-12, 8, 0), (0.01, 8, 8), (8.0, 8, 8), (8.0 + 1e-12, 8, 8), (8.001, 8, 16), (2.5, 1, 3)],
)
def test_accelerators_are_bought_in_whole_nodes(need, size, expected):
    assert int(whole_nodes(need, size)) == expected


def test_sizes_may_differ_by_row():
    assert whole_nodes([5.0, 5.0, 5.0], [1, 4, 8]).tolist() == [5, 8, 8]
    assert whole_nodes([], 8).tolist() == []


def test_the_reserve_is_held_on_top_of_the_peak():
    # 36,000 an hour at 2 a second are 5 accelerators, 7 with 40 % reserve: one node of 8
    assert int(accelerators_needed(36_000, 2.0, 0.4, 8)) == 8
    assert int(accelerators_needed(36_000, 2.0, 0.4, 1)) == 7
    assert int(accelerators_needed(36_000, 2.0, 0.0, 1)) == 5
    assert int(accelerators_needed(0, 2.0, 0.4, 8)) == 0


@pytest.mark.xfail(strict=True, reason="an unknown need becomes a huge negative number of accelerators")
def test_an_unknown_need_is_never_a_number_of_accelerators():
    with pytest.raises(ValueError, match=r".+"):
        whole_nodes([np.nan], 8)


@given(st.floats(0, 1e5), st.integers(1, 72))
@settings(max_examples=60, deadline=None)
def test_whole_nodes_cover_the_need_and_no_node_is_idle(need, size):
    got = int(whole_nodes(need, size))
    assert got % size == 0
    assert got >= need - 1e-6
    assert got - size < need


@given(st.integers(0, 10**6), st.integers(1, 50), st.integers(0, 100), st.integers(1, 16))
@settings(max_examples=60, deadline=None)
def test_the_need_agrees_with_exact_arithmetic(units, rate, percent, size):
    exact = Fraction(units, rate * 3600) * (1 + Fraction(percent, 100)) / size
    assert int(accelerators_needed(units, rate, percent / 100, size)) == math.ceil(exact) * size


@given(st.floats(0, 1e7), st.floats(0.01, 100), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_more_reserve_never_needs_fewer(units, rate, reserve, more):
    assert accelerators_needed(units, rate, reserve + more, 8) >= accelerators_needed(units, rate, reserve, 8)
