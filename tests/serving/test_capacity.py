"""Capacity at SLO: interpolated on the measured curve, never above it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.serving.capacity import RUN_TO_RUN_P90, CurveCapacity, capacity_at_slo, interval, overlap

LOAD = np.array([2.0, 4.0, 8.0])
TTFT = np.array([200.0, 400.0, 1600.0])
POSITIVE = st.floats(0.1, 1e6)


def at(limit, load=LOAD, values=TTFT):
    return capacity_at_slo(load, {"TTFT": values}, {"TTFT": limit})


@st.composite
def curves(draw):
    size = draw(st.integers(1, 8))
    load = draw(st.lists(st.floats(0.1, 1e4), min_size=size, max_size=size, unique=True))
    latency = draw(st.lists(st.floats(1.0, 1e5), min_size=size, max_size=size))
    return np.array(load), np.array(latency)


def test_the_crossing_of_the_limit_is_interpolated():
    assert at(1000.0) == CurveCapacity(6.0, "TTFT")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(200.0, 2.0), (300.0, 3.0), (400.0, 4.0), (700.0, 5.0), (1300.0, 7.0)],
)
def test_every_segment_is_interpolated(limit, expected):
    assert at(limit).units_per_s == pytest.approx(expected)


def test_a_limit_just_met_at_the_last_point_is_not_reached():
    assert at(1600.0) == CurveCapacity(8.0, "not reached")
    assert at(1600.0).is_lower_bound


def test_the_lightest_load_above_the_limit_gives_zero():
    assert at(199.9) == CurveCapacity(0.0, "TTFT")
    assert not at(199.9).is_lower_bound


def test_the_tightest_of_several_limits_binds():
    found = capacity_at_slo(
        LOAD,
        {"TTFT": TTFT, "E2E": np.array([1000.0, 3000.0, 3000.0])},
        {"TTFT": 1000.0, "E2E": 2000.0},
    )
    assert found == CurveCapacity(3.0, "E2E")


def test_the_order_of_the_points_does_not_matter():
    order = [2, 0, 1]
    assert at(1000.0, LOAD[order], TTFT[order]) == at(1000.0)


def test_a_dip_at_higher_load_is_noise():
    assert at(350.0, LOAD, np.array([200.0, 400.0, 100.0])) == CurveCapacity(3.5, "TTFT")


def test_falling_throughput_past_saturation_does_not_raise_the_capacity():
    folded = at(500.0, np.array([2.0, 4.0, 3.0]), np.array([200.0, 400.0, 5000.0]))
    assert 2.0 < folded.units_per_s < 3.0
    assert folded.binding == "TTFT"


def test_one_point_is_all_or_nothing():
    one, slow = np.array([5.0]), np.array([300.0])
    assert at(300.0, one, slow) == CurveCapacity(5.0, "not reached")
    assert at(299.0, one, slow) == CurveCapacity(0.0, "TTFT")


def test_no_points_serve_nothing():
    assert capacity_at_slo(np.array([]), {}, {"TTFT": 1.0}) == CurveCapacity(0.0, "no points")
    assert capacity_at_slo(np.array([]), {"TTFT": np.array([])}, {"TTFT": 1.0}).units_per_s == 0.0


@pytest.mark.parametrize("limits", [{}, {"TPOT": 10.0}, {"TTFT": np.nan}])
def test_limits_without_a_value_or_a_measurement_do_not_bind(limits):
    assert capacity_at_slo(LOAD, {"TTFT": TTFT}, limits) == CurveCapacity(8.0, "not reached")


def test_points_without_a_latency_are_left_out_of_the_crossing():
    gap = capacity_at_slo(LOAD, {"TTFT": np.array([200.0, np.nan, 1400.0])}, {"TTFT": 800.0})
    assert gap == CurveCapacity(5.0, "TTFT")
    none = capacity_at_slo(LOAD, {"TTFT": np.full(3, np.nan)}, {"TTFT": 1.0})
    assert none.binding == "not reached"


def test_a_saturated_engine_that_only_gets_slower_reaches_its_limit():
    assert at(500.0, np.array([2.0, 4.0, 4.0]), TTFT) == CurveCapacity(4.0, "TTFT")


@given(curves(), POSITIVE)
@settings(max_examples=60)
def test_capacity_never_exceeds_the_highest_measured_point(curve, limit):
    assert 0.0 <= at(limit, *curve).units_per_s <= curve[0].max()


@given(curves(), st.floats(1.0, 1e5), st.floats(0.0, 1.0))
@settings(max_examples=60)
def test_capacity_never_grows_when_a_limit_shrinks(curve, limit, share):
    assert at(limit * share, *curve).units_per_s <= at(limit, *curve).units_per_s * (1 + 1e-12)


@given(curves(), st.floats(1.0, 1e5), st.floats(1.0, 1e5))
@settings(max_examples=60)
def test_a_second_limit_never_raises_the_capacity(curve, limit, other):
    load, values = curve
    both = capacity_at_slo(load, {"a": values, "b": values[::-1]}, {"a": limit, "b": other})
    assert both.units_per_s <= capacity_at_slo(load, {"a": values}, {"a": limit}).units_per_s


@given(
    st.lists(st.tuples(st.floats(0.5, 10), st.floats(5.0, 500)), min_size=2, max_size=7),
    st.floats(0.01, 0.99),
)
@settings(max_examples=60)
def test_rising_curves_agree_with_numpy_interp(steps, share):
    load, latency = np.cumsum(np.array(steps), axis=0).T
    limit = latency[0] + share * (latency[-1] - latency[0])
    assert at(limit, load, latency).units_per_s == pytest.approx(float(np.interp(limit, latency, load)))


@given(curves(), st.floats(1.0, 1e5))
@settings(max_examples=40)
def test_no_point_inside_the_capacity_misses_the_limit(curve, limit):
    load, values = curve
    inside = values[load < at(limit, load, values).units_per_s * (1 - 1e-9)]
    assert (inside <= limit).all()


def test_the_interval_of_one_run_is_the_public_noise():
    assert interval(np.array([200.0])) == pytest.approx((187.0, 200.0, 213.0))


def test_repeats_that_differ_by_more_than_the_noise_widen_the_interval():
    assert interval(np.array([80.0, 100.0, 120.0])) == pytest.approx((80.0, 100.0, 120.0))


def test_repeats_that_agree_keep_the_noise():
    low, mean, high = interval(np.array([100.0, 101.0]))
    assert (low, mean, high) == pytest.approx((100.5 * (1 - RUN_TO_RUN_P90), 100.5, 100.5 * (1 + RUN_TO_RUN_P90)))


def test_the_interval_of_zero_is_zero():
    assert interval(np.array([0.0])) == (0.0, 0.0, 0.0)


@given(st.lists(st.floats(50.0, 100.0), min_size=1, max_size=6))
@settings(max_examples=60)
def test_the_interval_holds_the_mean_and_is_symmetric(values):
    low, mean, high = interval(np.array(values))
    assert 0 < low < mean < high
    assert high - mean == pytest.approx(mean - low)
    assert mean == pytest.approx(np.mean(values))


def test_a_capacity_interval_never_goes_below_zero():
    assert interval(np.array([0.0, 0.0, 100.0]))[0] >= 0.0


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [((1, 2), (3, 4), False), ((1, 3), (2, 4), True), ((1, 2), (2, 3), True), ((1, 9), (4, 5), True)],
)
def test_intervals_overlap_also_at_their_ends(a, b, expected):
    assert overlap(*a, *b) is expected
    assert overlap(*b, *a) is expected
