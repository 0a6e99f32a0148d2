"""Which tier tells a step time, and how sure it is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir
from aifactory.serving.step_model import step_constants
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_estimate import DATASHEET, FITTED, MEASURED_STEPS, estimate_step_time, own_steps
from aifactory.serving.step_time_fit import fit_to_steps, steps_s
from aifactory.serving.step_time_specs import latency_constants

LAW = StepTime(1e-4, 8e-3, 5e-8, 1e-10, 1e-3, 400_000, s_per_sequence=2e-5)


def row(table, key, value):
    frame = pd.read_csv(data_dir() / "catalogue" / f"{table}.csv")
    return frame.loc[frame[key] == value].iloc[0]


def estimate(model="Llama-3.1-8B", chip="nvidia-h100-sxm", **options):
    return estimate_step_time(row("models", "model", model), row("accelerators", "accelerator_id", chip), **options)


def grid(law, noise=0.0, **columns):
    shapes = [(b, c, 0) for b in (1, 8, 64, 256) for c in (128, 2048)] + [(0, 0, n) for n in (64, 512, 2048, 8192)]
    steps = pd.DataFrame(
        shapes + [(8, 2048, 512), (32, 512, 2048)], columns=["batch", "context_tokens", "chunk_tokens"]
    )
    draw = np.random.default_rng(3)
    times = steps_s(law, steps) * 1e3 * np.exp(noise * draw.standard_normal(len(steps)))
    return steps.assign(median_ms=times, **columns)


def test_the_fitted_step_model_speaks_for_a_gpu_by_hand():
    said, c = estimate(precision="fp8"), step_constants()
    assert said.tier == said.law.tier == FITTED
    # weights of 8.03 GB over 3,350 GB/s at the fitted share; 32 layers of launch time, 1 ms of step
    assert said.law.s_weights == pytest.approx(8.03e9 / (c.bandwidth_hbm * 3.35e12))
    assert said.law.s_per_step == pytest.approx(32 * c.layer_us * 1e-6 + 1e-3)
    assert said.law.s_per_request == pytest.approx(latency_constants()["request_ms_dense"] / 1e3)
    assert said.high80 == pytest.approx(np.exp(latency_constants()["half80_dense"]))
    assert said.low80 * said.high80 == pytest.approx(1.0)


def test_weights_that_are_unpacked_to_16_bits_reach_the_share_of_16_bits():
    mx, plain = (
        estimate("gpt-oss-120b", "nvidia-h100-sxm", precision=name, tensor_parallel=4).law for name in ("mxfp4", "bf16")
    )
    assert mx.s_per_token == pytest.approx(plain.s_per_token)
    assert mx.s_experts / plain.s_experts == pytest.approx(4.25 / 16)


@pytest.mark.parametrize(
    ("model", "chip", "tier", "text"),
    [
        ("DeepSeek-V3", "nvidia-b200-sxm", FITTED, "mixtures of experts"),
        ("Llama-3.1-8B", "amd-mi300x", FITTED, "dense models on GPUs"),
        ("Llama-3.1-8B", "google-tpu-v6e", DATASHEET, "benchmark first"),
        ("Llama-3.1-8B", "aws-trainium2", DATASHEET, "benchmark first"),
    ],
)
def test_the_tier_is_the_one_that_carries_the_figure(model, chip, tier, text):
    said = estimate(model, chip)
    assert said.tier == tier
    assert text in said.reason
    assert said.low80 < 1 < said.high80


def test_what_nobody_fitted_is_less_sure():
    widths = [estimate(chip=chip).high80 for chip in ("nvidia-h100-sxm", "google-tpu-v6e")]
    assert widths[0] < widths[1]


def test_measured_steps_win_and_their_number_is_named():
    start = estimate(tensor_parallel=1, precision="bf16")
    steps = grid(start.law.slower(1.7), model="Llama-3.1-8B", precision="bf16", accelerators=1, as_of="2026-11-26")
    said = estimate(tensor_parallel=1, precision="bf16", steps=steps)
    assert said.tier == said.law.tier == MEASURED_STEPS
    assert f"{len(steps)} measured steps" in said.reason
    np.testing.assert_allclose(steps_s(said.law, steps), steps["median_ms"] / 1e3, rtol=0.02)
    other = estimate(tensor_parallel=2, precision="bf16", steps=steps)
    assert other.tier == FITTED


def test_guessed_shapes_are_said():
    model = row("models", "model", "Llama-3.1-8B").copy()
    model["layers"] = np.nan
    said = estimate_step_time(model, row("accelerators", "accelerator_id", "nvidia-h100-sxm"))
    assert "guessed from the size" in said.reason


def test_windows_leave_room_for_more_sequences():
    short, long = (estimate("gpt-oss-120b", "nvidia-h200-sxm", context_tokens=c).law for c in (64, 16_384))
    assert long.kv_capacity_tokens > 1.9 * short.kv_capacity_tokens
    assert long.s_per_kv_token < 0.6 * short.s_per_kv_token
    whole = estimate("Llama-3.1-8B", context_tokens=16_384).law
    assert whole.kv_capacity_tokens == estimate("Llama-3.1-8B").law.kv_capacity_tokens


def test_a_model_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        estimate("Llama-3.1-405B", "nvidia-l4")


@settings(max_examples=20)
@given(st.floats(0.4, 2.5), st.floats(0.4, 2.5), st.integers(0, 99))
def test_a_fit_finds_the_law_that_made_the_steps(compute, memory, seed):
    true = StepTime(compute * 1e-4, memory * 8e-3, memory * 5e-8, 1e-10, 1e-3, 400_000, s_per_sequence=2e-5)
    law, half = fit_to_steps(LAW, grid(true), tier="t")
    check = pd.DataFrame({"batch": [3, 0], "context_tokens": [900, 0], "chunk_tokens": [0, 1500]})
    np.testing.assert_allclose(steps_s(law, check), steps_s(true, check), rtol=0.05)
    assert half < 0.1


def test_noise_widens_the_interval():
    quiet, loud = (fit_to_steps(LAW, grid(LAW, noise), tier="t")[1] for noise in (0.01, 0.2))
    assert quiet < loud


@pytest.mark.parametrize("steps", [grid(LAW).head(7), grid(LAW).assign(median_ms=5.0)])
def test_few_or_equal_steps_are_refused(steps):
    with pytest.raises(InputError, match="do not determine"):
        fit_to_steps(LAW, steps, tier="t")


def test_a_time_that_is_not_positive_is_named():
    with pytest.raises(InputError, match="row 3"):
        fit_to_steps(LAW, grid(LAW).assign(median_ms=[1.0, 0.0] + [5.0] * 12), tier="t")


def test_the_fastest_mode_of_a_step_counts():
    steps = pd.concat([grid(LAW).assign(median_ms=9.0), grid(LAW)]).assign(model="m", precision="fp16", accelerators=1)
    found = own_steps(steps, "m", "bf16", 1)
    assert len(found) == len(grid(LAW))
    assert (found["median_ms"] <= 9.0).all()


def test_time_outside_the_steps_is_added_to_each_answer_and_occupies_nothing():
    from aifactory.serving.event_simulator import simulate_fleet
    from aifactory.serving.fleet import Fleet, Pool, RequestStream

    stream = RequestStream(np.arange(5.0), [100] * 5, [3] * 5)
    plain, late = (
        simulate_fleet(stream, Fleet(Pool(StepTime(1e-4, 0, 0, 0, 0.01, 10_000, s_per_request=extra), 1)))
        for extra in (0.0, 0.25)
    )
    for name in ("ttft_s", "e2e_s"):
        np.testing.assert_allclose(getattr(late, name), getattr(plain, name) + 0.25)
    np.testing.assert_array_equal(late.tpot_s, plain.tpot_s)
    np.testing.assert_array_equal(late.queue_s, plain.queue_s)
    assert late.utilization == plain.utilization
