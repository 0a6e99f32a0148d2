"""Estimates from datasheet ratios: wide, anchored, and silent where nothing is known."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.serving.anchor import (
    SERVER_OVER_OFFLINE,
    SERVING_ERROR_P90,
    TRAINING_ERROR_P90,
    anchored_estimate,
    memory_fits,
    no_estimate,
    public_rate,
    speed_ratio,
)

POSITIVE = st.floats(1.0, 1e5)


def chip(bandwidth=1000.0, peak=400.0, achievable=np.nan):
    return pd.Series(
        {"memory_bw_gb_per_s": bandwidth, "peak_bf16_dense_tflops": peak, "achievable_bf16_tflops": achievable}
    )


def estimate(candidate, anchors, measured, training=False):
    return anchored_estimate(
        candidate, pd.DataFrame(anchors).T, pd.Series(measured, dtype=float), training=training, evidence="test"
    )


def test_serving_speed_is_the_geometric_mean_of_bandwidth_and_peak():
    assert speed_ratio(chip(4000, 900), chip(1000, 100), training=False) == 6.0


def test_training_speed_is_the_ratio_of_achievable_flops():
    assert speed_ratio(chip(9000, 900, 300), chip(1, 500, 200), training=True) == 1.5


def test_training_falls_back_on_peak_and_serving_always_uses_it():
    assert speed_ratio(chip(peak=800), chip(peak=400), training=True) == 2.0
    assert speed_ratio(chip(peak=800, achievable=1), chip(peak=800, achievable=100), training=False) == 1.0


@pytest.mark.parametrize("training", [True, False])
def test_an_unknown_figure_gives_no_ratio(training):
    assert math.isnan(speed_ratio(chip(peak=np.nan), chip(), training))
    assert math.isnan(speed_ratio(chip(bandwidth=np.nan), chip(), training=False))


def test_one_anchor_scales_by_its_ratio():
    found = estimate(chip(4000, 900), {"a": chip(1000, 100)}, {"a": 2.0})
    assert found.units_per_s == pytest.approx(12.0)
    assert (found.low, found.high) == pytest.approx((12 * (1 - SERVING_ERROR_P90), 12 * (1 + SERVING_ERROR_P90)))
    assert found.tier == "anchored"


def test_training_estimates_are_wider():
    found = estimate(chip(peak=800), {"a": chip(peak=400)}, {"a": 1.0}, training=True)
    assert (found.units_per_s, found.high) == pytest.approx((2.0, 2 * (1 + TRAINING_ERROR_P90)))
    assert f"{TRAINING_ERROR_P90:.0%}" in found.evidence


def test_several_anchors_are_averaged_geometrically():
    found = estimate(chip(), {"a": chip(), "b": chip()}, {"a": 2.0, "b": 8.0})
    assert found.units_per_s == pytest.approx(4.0)


def test_anchors_without_capacity_or_figures_are_left_out():
    anchors = {"a": chip(), "dead": chip(), "dark": chip(peak=np.nan)}
    assert estimate(chip(), anchors, {"a": 3.0, "dead": 0.0, "dark": 9.0}).units_per_s == pytest.approx(3.0)


@pytest.mark.parametrize("measured", [{"a": 0.0}, {"a": np.nan}])
def test_without_a_usable_anchor_there_is_no_estimate(measured):
    found = estimate(chip(), {"a": chip()}, measured)
    assert found.tier == "none"
    assert math.isnan(found.units_per_s)
    assert "benchmark first" in found.evidence


def test_no_estimate_is_unknown_everywhere_and_says_why():
    found = no_estimate("no run")
    assert all(math.isnan(value) for value in (found.units_per_s, found.low, found.high))
    assert found.evidence == "benchmark first: no run"


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
@settings(max_examples=60, deadline=None)
def test_ratios_of_two_chips_are_inverse(bandwidth, peak, other_bandwidth, other_peak):
    one, two = chip(bandwidth, peak), chip(other_bandwidth, other_peak)
    assert speed_ratio(one, two, False) * speed_ratio(two, one, False) == pytest.approx(1.0)
    assert speed_ratio(one, two, False) == pytest.approx(
        math.exp((math.log(bandwidth / other_bandwidth) + math.log(peak / other_peak)) / 2)
    )


@given(st.lists(POSITIVE, min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_a_twin_of_the_anchors_lies_between_them(values):
    names = [f"chip-{number}" for number in range(len(values))]
    found = estimate(chip(), {name: chip() for name in names}, dict(zip(names, values, strict=True)))
    assert min(values) * (1 - 1e-9) <= found.units_per_s <= max(values) * (1 + 1e-9)
    assert 0 < found.low < found.units_per_s < found.high
    assert found.units_per_s == pytest.approx(math.prod(values) ** (1 / len(values)))


def public(*rows):
    return pd.DataFrame(rows, columns=["accelerator_id", "scenario", "value_per_accelerator"])


def test_offline_results_are_scaled_to_server():
    rate = public_rate(public(("a", "offline", 100.0), ("b", "server", 100.0)))
    assert rate.to_dict() == pytest.approx({"a": 100 * SERVER_OVER_OFFLINE, "b": 100.0})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("server", 10.0), ("server", 30.0), ("server", 14.0), ("interactive", 3.0), ("concurrency", 500.0)], 14.0),
        ([("offline", 100.0), ("interactive", 30.0)], 100 * SERVER_OVER_OFFLINE),
        ([("interactive", 30.0), ("interactive", 40.0), ("concurrency", 500.0)], 35.0),
        ([("concurrency", 5.0), ("concurrency", 80.0), ("concurrency", 60.0)], 80.0),
    ],
)
def test_one_kind_of_run_speaks_for_an_accelerator(rows, expected):
    assert public_rate(public(*(("a", *row) for row in rows)))["a"] == pytest.approx(expected)


def test_other_scenarios_do_not_count():
    assert public_rate(public(("a", "single_stream", 10.0))).empty
    assert public_rate(public()).empty


@pytest.mark.parametrize(
    ("params", "size", "memory", "count", "expected"),
    [
        (36.0, 2.0, 80.0, 1, True),
        (36.1, 2.0, 80.0, 1, False),
        (70.0, 2.0, 80.0, 8, True),
        (70.0, 0.5, 40.0, 1, True),
        (np.nan, 2.0, 80.0, 1, True),
        (405.0, 2.0, np.nan, 1, True),
    ],
)
def test_weights_fill_at_most_nine_tenths_of_a_node(params, size, memory, count, expected):
    assert bool(memory_fits(params, size, memory, count)) is expected
