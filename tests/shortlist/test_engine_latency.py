"""Latency of unmeasured platforms: the fixed point, its limits, and what moves the estimate."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.serving.closed_forms import fluid_capacity
from aifactory.serving.fleet import RequestStream
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_estimate import StepTimeEstimate
from aifactory.shortlist.engine_latency import estimate_latencies, loaded_step_s, times_at_half

H100, A100, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"
LAW = StepTime(1e-4, 8e-3, 5e-8, 1e-10, 1e-3, 400_000)
SHARES = np.array([0.5, np.nan, 0.7])


def cells(*chips, use_case="chat"):
    return pd.DataFrame({"use_case_id": use_case, "accelerator_id": chips, "units_per_s_per_accelerator": 1.0})


@given(st.floats(0.01, 5), st.floats(50, 2000), st.floats(2, 500))
@settings(max_examples=40)
def test_the_loaded_step_solves_its_own_equation(rate, prompt, output):
    time = loaded_step_s(LAW, rate, prompt, output)
    if np.isfinite(time):
        decode, new = output - 1, rate * time
        batch = max(new * decode, 1.0)
        again = LAW.step_s(
            max(batch + new * prompt, 1.0), batch + new, batch * (prompt + output / 2), new * prompt * (prompt + 1) / 2
        )
        assert time == pytest.approx(float(again), rel=1e-6)
        assert time <= loaded_step_s(LAW, rate * 1.5, prompt, output)


def test_beyond_saturation_there_is_no_steady_step():
    rate = fluid_capacity(LAW, RequestStream(np.zeros(1), np.array([500]), np.array([100]))).requests_per_s
    assert np.isfinite(loaded_step_s(LAW, 0.5 * rate, 500, 100))
    assert loaded_step_s(LAW, 1.5 * rate, 500, 100) == np.inf


def test_without_load_a_step_is_that_of_a_lone_request():
    assert loaded_step_s(LAW, 1e-12, 500, 100) == pytest.approx(LAW.floor_tpot_s(550), rel=1e-6)


def test_a_law_half_as_fast_has_times_twice_as_long():
    fast, slow = (times_at_half(StepTimeEstimate(law, 0.5, 2.0, "t", "r"), 500, 100) for law in (LAW, LAW.slower(2.0)))
    np.testing.assert_allclose(slow.ms / fast.ms, 2.0, rtol=1e-6)
    assert fast.half_log == pytest.approx(np.log(2))


def with_twins(ws, **faster):
    """The workspace's accelerators with two copies of the A100; figures of the second are multiplied."""
    chips = ws.table("accelerators")
    twins = [chips[chips["accelerator_id"] == A100].assign(accelerator_id=name) for name in ("twin", "second")]
    for column, factor in faster.items():
        twins[1][column] = twins[1][column] * factor
    return pd.concat([chips, *twins], ignore_index=True)


def test_a_twin_has_the_latency_of_its_like(changed, mini_ws):
    ws = changed(accelerators=with_twins(mini_ws))
    row = estimate_latencies(ws, cells("twin", "second"), {("chat", "twin"): SHARES}).loc[1]
    assert row["ratio"] == pytest.approx(0.7)
    assert row["low"] < row["ratio"] < row["high"]
    assert row["low"] * row["high"] == pytest.approx(row["ratio"] ** 2)
    assert row["tier"] == "engine, fitted step model"


def test_a_faster_memory_and_peak_shorten_the_times(changed, mini_ws):
    better = {"memory_bw_gb_per_s": 2, "peak_bf16_dense_tflops": 2, "achievable_bf16_tflops": 2}
    ws = changed(accelerators=with_twins(mini_ws, **better))
    assert estimate_latencies(ws, cells("twin", "second"), {("chat", "twin"): SHARES}).loc[1, "ratio"] < 0.7


def test_several_measured_platforms_give_their_geometric_mean(changed, mini_ws):
    ws = changed(accelerators=with_twins(mini_ws))
    one = estimate_latencies(ws, cells(A100, "twin", H100), {("chat", A100): SHARES})
    other = estimate_latencies(ws, cells(A100, "twin", H100), {("chat", H100): SHARES})
    both = estimate_latencies(ws, cells(A100, "twin", H100), {("chat", A100): SHARES, ("chat", H100): SHARES})
    assert both.loc[1, "ratio"] == pytest.approx(np.sqrt(one.loc[1, "ratio"] * other.loc[1, "ratio"]))


def test_what_the_engine_cannot_simulate_stays_unknown(changed, mini_ws):
    seen = {("chat", A100): SHARES, ("images", A100): SHARES}
    assert estimate_latencies(mini_ws, cells(A100, TPU), {}).empty  # nothing measured
    assert estimate_latencies(mini_ws, cells(A100, TPU, use_case="images"), seen).empty  # no language model
    silent = mini_ws.table("demand_windows").assign(input_tokens=np.nan)
    assert estimate_latencies(changed(demand_windows=silent), cells(A100, TPU), seen).empty  # lengths not known
    dead = cells(A100, TPU).assign(units_per_s_per_accelerator=np.nan)
    assert estimate_latencies(mini_ws, dead, seen).empty  # no capacity
    assert len(estimate_latencies(mini_ws, cells(A100, TPU), seen)) == 1
