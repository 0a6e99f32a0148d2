"""Population stability: index, chance, bins of a tenth, verdicts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aifactory.demand.stability import (
    PRIOR,
    chance_index,
    histogram_index,
    stability_index,
    tenths,
    verdict,
)
from aifactory.inputs.telemetry import log_bucket

FEW = settings(max_examples=60)
counts = st.lists(st.integers(0, 10_000), min_size=2, max_size=12)


def test_the_index_by_hand():
    # shares 0.5, 0.5 against 0.8, 0.2 with half a request added to each count
    p, q = np.array([50.5, 50.5]) / 101, np.array([80.5, 20.5]) / 101
    expected = (q[0] - p[0]) * np.log(q[0] / p[0]) + (q[1] - p[1]) * np.log(q[1] / p[1])
    assert stability_index(np.array([50, 50]), np.array([80, 20])) == pytest.approx(expected)


@FEW
@given(counts, st.data())
def test_the_index_is_two_relative_entropies(base, data):
    base = np.array(base)
    now = np.array(data.draw(st.lists(st.integers(0, 10_000), min_size=len(base), max_size=len(base))))
    found = stability_index(base, now)
    if base.sum() == 0 or now.sum() == 0:
        assert np.isnan(found)
        return
    seen = base + now > 0
    p, q = base[seen] + PRIOR, now[seen] + PRIOR
    assert found == pytest.approx(stats.entropy(q, p) + stats.entropy(p, q), abs=1e-9)
    assert found == pytest.approx(stability_index(now, base), abs=1e-12)
    assert found >= -1e-12


@FEW
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=12), st.integers(2, 50))
def test_the_same_shares_are_stable_and_order_does_not_matter(base, factor):
    base = np.array(base) * 10_000
    now = base[::-1].copy()
    assert stability_index(base, base * factor) == pytest.approx(0.0, abs=1e-4)
    assert stability_index(base, now) == pytest.approx(stability_index(base[::-1], now[::-1]))


def test_a_new_cell_shifts_and_an_empty_sample_says_nothing():
    assert stability_index(np.array([10_000, 0]), np.array([7_000, 3_000])) > 0.25
    assert np.isnan(stability_index(np.zeros(3), np.array([1, 2, 3])))
    assert np.isnan(chance_index(np.zeros(3), np.array([1, 2, 3])))


@pytest.mark.parametrize(("n", "m"), [(400, 400), (2_000, 500)])
def test_the_chance_limit_holds_in_nineteen_of_twenty_samples(n, m):
    random = np.random.default_rng(3)
    share = np.full(10, 0.1)
    pairs = [(random.multinomial(n, share), random.multinomial(m, share)) for _ in range(2_000)]
    found = np.array([stability_index(*pair) for pair in pairs])
    assert found.mean() == pytest.approx(9 * (1 / n + 1 / m), rel=0.06)  # (B - 1)(1/n + 1/m)
    assert np.mean([index <= chance_index(*pair) for index, pair in zip(found, pairs, strict=True)]) == pytest.approx(
        0.95, abs=0.02
    )


def test_small_samples_prove_nothing_and_large_ones_do():
    small = [np.array([5, 5]), np.array([8, 2])]
    assert verdict(stability_index(*small), chance_index(*small)) == "not proven"
    large = [part * 1_000 for part in small]
    assert verdict(stability_index(*large), chance_index(*large)) == "shifted"


@pytest.mark.parametrize(
    ("index", "chance", "word"),
    [(0.0999, 0.0, "stable"), (0.10, 0.0, "watch"), (0.25, 0.0, "watch"), (0.2501, 0.0, "shifted"),
     (0.15, 0.15, "not proven"), (0.05, 0.09, "stable"), (0.05, 0.2, "not proven"), (np.nan, np.nan, "not measured")],
)  # fmt: skip
def test_the_bands_hold_at_their_edges(index, chance, word):
    assert verdict(index, chance) == word


def test_tenths_hold_a_tenth_each():
    cell = tenths(np.ones(100))
    assert np.bincount(cell).tolist() == [10] * 10


@FEW
@given(st.lists(st.integers(0, 500), min_size=1, max_size=60).filter(any))
def test_every_cell_of_tenths_holds_base_and_cells_rise(base):
    cell = tenths(np.array(base))
    assert (np.diff(cell) >= 0).all()
    assert set(cell) == set(range(cell.max() + 1))
    assert (np.bincount(cell, base) > 0).all()
    assert cell.max() < 10


def test_one_size_only_is_one_cell_and_an_index_of_zero():
    assert histogram_index(np.array([5]), np.array([100]), np.array([7]))[0] == 0.0


def of(values):
    return np.unique(log_bucket(values), return_counts=True)


def test_a_shift_of_half_a_deviation_is_a_quarter():
    # for equal variances the index of two normal distributions is (shift / deviation)^2
    random = np.random.default_rng(1)
    base, now = of(np.exp(random.normal(5, 1, 200_000))), of(np.exp(random.normal(5.5, 1, 200_000)))
    buckets = np.union1d(base[0], now[0])
    aligned = [np.zeros(len(buckets)) for _ in range(2)]
    for counts_, (number, count) in zip(aligned, (base, now), strict=True):
        counts_[np.searchsorted(buckets, number)] = count
    index, chance, cells = histogram_index(buckets, *aligned)
    assert cells == 10
    assert index == pytest.approx(0.25, rel=0.1)  # ten cells lose a little
    assert index > 100 * chance
    shuffled = np.random.default_rng(2).permutation(len(buckets))
    assert histogram_index(buckets[shuffled], *(part[shuffled] for part in aligned))[0] == pytest.approx(index)
