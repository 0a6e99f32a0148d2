"""Unit cost: parts add up, failures inflate the load, hosted prices follow the tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.finance.unit_cost import allocate, api_usd_per_unit, load_factor, split_compute

WEIGHTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=12)


def test_load_factor_by_hand():
    assert float(load_factor(0.2)) == pytest.approx(1.25)  # one of five attempts fails
    assert float(load_factor(0.2, 0.1)) == pytest.approx(0.9 / 0.8)  # the test lost one of ten itself
    assert float(load_factor(0.0)) == 1.0


@given(st.floats(0, 0.9))
def test_load_factor_is_the_number_of_attempts_per_success(failed):
    attempts = sum(failed**n for n in range(2_000))  # a geometric series: try until it works
    assert float(load_factor(failed)) == pytest.approx(attempts, rel=1e-9)


@given(st.floats(0, 0.9))
def test_a_test_as_faulty_as_production_needs_no_correction(failed):
    assert float(load_factor(failed, failed)) == pytest.approx(1.0)


@pytest.mark.parametrize(("failed", "measured"), [(1.0, 0.0), (0.0, 1.0), (-0.1, 0.0)])
def test_load_factor_refuses_impossible_rates(failed, measured):
    with pytest.raises(ValueError, match="failure rates"):
        load_factor(failed, measured)


@given(st.floats(-1e9, 1e9), WEIGHTS)
def test_allocated_parts_add_up(total, weights):
    assert allocate(total, weights).sum() == pytest.approx(total, rel=1e-9, abs=1e-6)


def test_allocation_is_proportional_and_even_without_weights():
    np.testing.assert_allclose(allocate(100.0, [3, 1]), [75, 25])
    np.testing.assert_allclose(allocate(100.0, [0, 0]), [50, 50])
    np.testing.assert_allclose(allocate([100.0, 10.0], [[3, 1], [0, 0]]), [[75, 25], [5, 5]])


@given(st.floats(0, 1e6), st.floats(0.1, 1e5), st.floats(0, 1e5), st.floats(0, 1e5))
def test_compute_is_split_without_loss(paid, useful, failed, idle):
    parts = split_compute(paid, useful, failed, idle)
    assert parts.sum() == pytest.approx(paid, rel=1e-9, abs=1e-9)
    assert parts[0] / max(paid, 1e-12) <= 1 + 1e-9


def test_compute_split_by_hand():
    np.testing.assert_allclose(split_compute([100.0, 10.0], [50, 1], [25, 0], [25, 1]), [[50, 25, 25], [5, 0, 5]])


def test_hosted_price_by_hand():
    # 600 fresh x 2.5 + 400 cached x 1.25 + 200 x 10 = 1,500 + 500 + 2,000 = 4,000 per million units
    paid = api_usd_per_unit(
        1_000, 400, 200, input_usd_per_mtok=2.5, output_usd_per_mtok=10.0, cached_input_usd_per_mtok=1.25
    )
    assert float(paid) == pytest.approx(0.004)


def test_cached_tokens_without_a_price_cost_as_much_as_others():
    paid = api_usd_per_unit(1_000, 400, 0, input_usd_per_mtok=2.0, output_usd_per_mtok=1.0)
    assert float(paid) == pytest.approx(0.002)


@given(st.integers(0, 10**6), st.floats(0, 1), st.integers(0, 10**5))
def test_a_cheaper_cache_never_raises_the_price(prompt, share, answer):
    prices = {"input_usd_per_mtok": 3.0, "output_usd_per_mtok": 15.0}
    dear = api_usd_per_unit(prompt, prompt * share, answer, **prices)
    cheap = api_usd_per_unit(prompt, prompt * share, answer, **prices, cached_input_usd_per_mtok=0.3)
    assert cheap <= dear + 1e-15
