"""Concentration: index, top shares, tails."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.concentration import herfindahl, tail_share, top_share

FEW = settings(max_examples=60)
amounts = st.lists(st.floats(0.001, 1e9), min_size=1, max_size=50)


@pytest.mark.parametrize("count", [1, 2, 10, 400])
def test_equals_have_the_inverse_of_their_number(count):
    assert herfindahl(np.full(count, 3.7)) == pytest.approx(1 / count)
    assert top_share(np.full(count, 3.7), 1) == pytest.approx(1 / count)


def test_by_hand():
    assert herfindahl(np.array([6, 3, 1])) == pytest.approx(0.46)
    assert [top_share(np.array([1, 6, 3]), k) for k in (1, 2, 3, 9)] == pytest.approx([0.6, 0.9, 1.0, 1.0])


@FEW
@given(amounts, st.floats(0.001, 1e3))
def test_bounds_scale_and_order(values, scale):
    values = np.array(values)
    index = herfindahl(values)
    assert 1 / len(values) - 1e-9 <= index <= 1 + 1e-9
    assert herfindahl(values[::-1] * scale) == pytest.approx(index, abs=1e-9)
    assert top_share(values, 1) ** 2 - 1e-9 <= index <= top_share(values, 1) + 1e-9


@FEW
@given(amounts)
def test_a_merger_of_two_concentrates(values):
    values = np.array([*values, 5.0])
    merged = np.append(values[:-2], values[-2:].sum())
    assert herfindahl(merged) >= herfindahl(values) - 1e-9


@FEW
@given(st.lists(st.integers(1, 10_000), min_size=10, max_size=200), st.sampled_from([0.1, 0.5, 1.0]))
def test_the_tail_agrees_with_sorted_items(sizes, top):
    ordered = np.sort(sizes)[::-1].astype(float)
    exact = top * len(sizes)
    whole = int(exact)
    expected = (ordered[:whole].sum() + (exact - whole) * (ordered[whole] if whole < len(sizes) else 0)) / ordered.sum()
    assert tail_share(np.array(sizes), np.ones(len(sizes)), top) == pytest.approx(expected, rel=1e-9)


def test_nothing_has_no_share():
    assert np.isnan(herfindahl(np.zeros(3)))
    assert np.isnan(top_share(np.array([]), 1))
    assert np.isnan(tail_share(np.array([0.0]), np.array([5]), 0.1))
