"""Square-root staffing: by hand, in the limit, as inverse, and against the event simulator outside the fitted cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.serving import staffing_fit as fitted
from aifactory.serving.catalogue_rows import find_row
from aifactory.serving.staffing import (
    chance_factor,
    even_accelerators,
    safe_accelerators,
    spread_constant,
    staffing_constants,
)
from aifactory.serving.step_time_estimate import estimate_step_time

BUSY = st.floats(0.01, 1e4)


def test_by_hand():
    # an even load of 9 accelerators with 4 requests in progress each, k = 2: 9 + 2 sqrt(9 / 4)
    assert safe_accelerators(9.0, 4.0, 2.0) == pytest.approx(12.0)
    assert chance_factor(9.0, 4.0, 2.0) == pytest.approx(12 / 9)


def test_no_chance_without_requests_in_progress_or_load():
    assert safe_accelerators(7.0, np.inf, 2.0) == 7.0
    assert chance_factor([0.0, 5.0, 5.0], [3.0, np.nan, np.inf], 2.0).tolist() == [1.0, 1.0, 1.0]


def test_the_extra_fades_as_fleets_grow():
    factor = chance_factor(np.array([1.0, 2.0, 4.0, 1e8]), 10.0, 1.5)
    assert (np.diff(factor) < 0).all()
    assert factor[0] - 1 == pytest.approx(2 * (factor[2] - 1))
    assert factor[3] == pytest.approx(1.0, abs=1e-4)


@given(even=BUSY, held=st.floats(0.1, 1e3), k=st.floats(0.0, 5.0))
def test_the_inverse_gives_the_even_load_back(even, held, k):
    assert even_accelerators(safe_accelerators(even, held, k), held, k) == pytest.approx(even, rel=1e-6)


@given(first=BUSY, second=BUSY, held=st.floats(0.1, 1e3), k=st.floats(0.0, 5.0))
def test_two_fleets_need_no_less_than_one_for_both(first, second, held, k):
    apart = safe_accelerators(first, held, k) + safe_accelerators(second, held, k)
    assert apart >= safe_accelerators(first + second, held, k) * (1 - 1e-12)


def test_constants_are_sourced_and_near_the_simulator():
    table = staffing_constants()
    assert set(table.index) == {"ttft", "tpot", "e2e", "e2e_equal"}
    assert (table["k"] > 0).all() and (table["within_one_share"] >= 0.95).all() and (table["median_error"] == 0).all()
    assert (table["mean_error"] < table["mean_error_even"] / 3).all()
    assert table["source"].str.len().gt(0).all() and table["as_of"].str.match(r"\d{4}-\d\d-\d\d$").all()


def test_the_latency_that_binds_chooses_the_constant():
    table = staffing_constants()["k"]
    assert spread_constant("TTFT") == table["ttft"] and spread_constant("TPOT", varied=False) == table["tpot"]
    assert spread_constant("E2E") == table["e2e"] and spread_constant("E2E", varied=False) == table["e2e_equal"]
    assert spread_constant("not reached") == table["e2e_equal"]


def test_the_fit_finds_the_constant_of_curves_that_obey_the_formula():
    curves = [
        fitted.Curve("tpot", held, 3.0 * even_accelerators(fitted.FLEETS, held, 1.7)) for held in (2.0, 20.0, 80.0)
    ]
    assert fitted.fit(curves) == pytest.approx(1.7, abs=1e-3)
    _, simulated, said = fitted.replicas_asked(curves[1], 1.7)
    assert np.abs(said - simulated).max() <= 1  # between fleets the curve is read off linearly


FLEETS = np.array([1, 2, 4, 8, 16])


@pytest.fixture(scope="module")
def outside():
    """Curves of a model, accelerator and lengths that were not fitted to."""
    rows = (
        find_row("models", "model", "Qwen3-32B", "model"),
        find_row("accelerators", "accelerator_id", "nvidia-h100-sxm", "chip"),
    )
    law = estimate_step_time(*rows, context_tokens=900).law
    return fitted.cell_curves(law, (800, 200), 1.0, FLEETS, size=5_000)


def test_counts_agree_with_the_simulator_outside_the_fitted_cells(outside):
    counts = [fitted.replicas_asked(curve, staffing_constants()["k"][curve.latency], FLEETS) for curve in outside]
    even, simulated, said = np.concatenate(counts, axis=1)
    assert even.size > 60
    assert np.mean(np.abs(said - simulated) <= 1) > 0.9
    assert np.abs(said - simulated).mean() < np.abs(even - simulated).mean() / 2


def test_averages_understate_small_fleets(outside):
    counts = np.concatenate([fitted.replicas_asked(curve, 1.0, FLEETS) for curve in outside], axis=1)
    small = counts[1] <= 4
    assert (counts[1, small] >= counts[0, small]).mean() > 0.95
    assert (counts[1, small] > counts[0, small]).any()
