"""Forecasts and efficiencies of a probe, without PyTorch: on the rows that ship."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir
from aifactory.serving.probe.compare import compare, error_summary, forecast, kernel_s, repeat_spread
from aifactory.serving.probe.fit import Efficiency, efficiency_of, fit_efficiency, law_of, step_errors
from aifactory.serving.probe.points import Point, architecture, mixtures, step_points
from aifactory.serving.step_time_estimate import estimate_step_time
from aifactory.serving.step_time_fit import steps_s
from aifactory.serving.step_time_specs import MBU, MFU

H100, H200 = "nvidia-h100-sxm", "nvidia-h200-sxm"


@pytest.fixture(scope="module")
def accelerators():
    return pd.read_csv(data_dir() / "catalogue" / "accelerators.csv").set_index("accelerator_id", drop=False)


@pytest.fixture(scope="module")
def measured():
    return pd.read_csv(data_dir() / "catalogue" / "step_measurements.csv")


@pytest.fixture(scope="module")
def steps(measured):
    """Of dense models."""
    return measured[(measured["kind"] == "step") & (measured["mode"] == "fused") & ~measured["model"].isin(mixtures())]


def test_a_long_matrix_product_computes_and_a_short_one_reads():
    chip = pd.Series({"accelerator_id": "x", "peak_bf16_dense_tflops": 1000 / MFU, "memory_bw_gb_per_s": 1000 / MBU})
    long = kernel_s(Point("matrix_product", "bf16", sizes={"m": 32768, "n": 32768, "k": 32768}), chip)
    assert long == pytest.approx(2 * 32768**3 / 1e15, rel=0.02)
    short = kernel_s(Point("matrix_product", "bf16", sizes={"m": 1, "n": 4096, "k": 4096}), chip)
    assert short == pytest.approx(2 * 4096**2 / 1e12, rel=0.01)


def test_steps_that_do_not_fit_are_not_planned():
    sizes = architecture("Llama-3.1-8B")
    for point in step_points(sizes, "bf16", 80e9, "fused", 8192):
        cached = 2 * sizes.kv_elements_per_token * point.sizes["batch"] * point.sizes["context_tokens"]
        assert 2 * sizes.params + cached <= 0.85 * 80e9
    with pytest.raises(InputError, match=r"needs 65\.\d GB for its weights"):
        list(step_points(architecture("Qwen2.5-32B"), "bf16", 40e9, "fused", 8192))


def test_the_error_is_forecast_over_measurement():
    sizes = {"m": 8, "n": 4, "k": 2}
    row = {"kind": "matrix_product", "precision": "bf16", "model": None, **dict.fromkeys(
        ("batch", "context_tokens", "chunk_tokens", "heads", "kv_heads", "head_width"), np.nan), **sizes}  # fmt: skip
    told = pd.DataFrame([{**row, "predicted_ms": 1.2}])
    found = compare(pd.DataFrame([{**row, "median_ms": 1.0}, {**row, "m": 9, "median_ms": 1.0}]), told)
    assert found["error"].iloc[0] == pytest.approx(0.2) and np.isnan(found["error"].iloc[1])
    with pytest.raises(InputError, match="names a point twice"):
        compare(found, pd.concat([told, told]))


@settings(max_examples=30)
@given(
    st.lists(st.floats(0.1, 0.99), min_size=4, max_size=4),
    st.floats(1.0, 9.0),
    st.floats(1.0, 99.0),
    st.sampled_from(["Llama-3.1-8B", "Mixtral-8x7B"]),
)
def test_an_efficiency_survives_the_law_it_makes(shares, knee, layer_us, name):
    chip = pd.Series({"peak_bf16_dense_tflops": 989.0, "memory_bw_gb_per_s": 3350.0})
    reached = Efficiency(*shares, knee=knee, layer_us=layer_us)
    back = efficiency_of(law_of(reached, architecture(name), chip), architecture(name), chip)
    assert np.array(list(vars(back).values())) == pytest.approx(np.array(list(vars(reached).values())))


def test_known_efficiencies_are_found_again(accelerators):
    truth = Efficiency(0.55, 0.8, 0.9, 0.4, 2.0, 25.0)
    rows = []
    for model in ("Llama-3.1-8B", "Qwen2.5-14B"):
        sizes = architecture(model)
        made = pd.DataFrame([point.sizes for point in step_points(sizes, "bf16", 80e9, "fused", 8192)])
        law = law_of(truth, sizes, accelerators.loc[H100])
        rows.append(made.assign(model=model, median_ms=1e3 * steps_s(law, made)))
    made = pd.concat(rows).assign(accelerator_id=H100, mode="fused", precision="bf16")
    found = fit_efficiency(made, accelerators)
    assert np.array(list(vars(found).values())) == pytest.approx(np.array(list(vars(truth).values())), rel=0.01)


@pytest.mark.parametrize(("learned", "asked", "limit"), [(H100, H200, 0.03), (H200, H100, 0.02)])
def test_one_accelerator_foretells_the_other(steps, accelerators, learned, asked, limit):
    """Efficiencies of one accelerator, datasheet of the other: median 2.3 and 1.4 % (2026-11-26)."""
    reached = fit_efficiency(steps[steps["accelerator_id"] == learned], accelerators)
    others = steps[steps["accelerator_id"] == asked].groupby("model")
    off = [step_errors(law_of(reached, architecture(name), accelerators.loc[asked]), rows) for name, rows in others]
    assert np.median(np.abs(np.expm1(np.concatenate(off)))) < limit


def test_what_reaches_the_datasheet_stays_below_it(measured, accelerators):
    for name, rows in measured.groupby("accelerator_id"):
        chip = accelerators.loc[name]
        for precision in ("bf16", "fp8"):
            products = rows[(rows["kind"] == "matrix_product") & (rows["precision"] == precision)]
            assert products["tflops_per_s"].max() < chip[f"peak_{precision}_dense_tflops"]
        large = rows[rows["kind"].isin(["memory_copy", "memory_read", "decode_attention"])]
        assert large["gb_per_s"].max() < chip["memory_bw_gb_per_s"]
        assert rows["power_w"].max() < 1.05 * chip["tdp_w"]


def test_an_engine_takes_no_less_than_the_bare_transformer(steps, accelerators):
    """The fitted step model speaks of engines: 1.0 to 1.7 times the bare step, whatever was probed."""
    models = pd.read_csv(data_dir() / "catalogue" / "models.csv").set_index("model", drop=False)
    for (chip, name), rows in steps.groupby(["accelerator_id", "model"]):
        if name in models.index:
            law = estimate_step_time(models.loc[name], accelerators.loc[chip], precision="bf16", tensor_parallel=1).law
            assert 0.95 < np.exp(np.median(step_errors(law, rows))) < 1.7


def test_too_few_or_mixed_steps_are_refused(steps, accelerators):
    with pytest.raises(InputError, match="12 are needed"):
        fit_efficiency(steps.iloc[:5], accelerators)
    with pytest.raises(InputError, match="of decodes and of prompts"):
        fit_efficiency(steps[steps["chunk_tokens"] == 0], accelerators)
    with pytest.raises(InputError, match="one at a time"):
        fit_efficiency(
            steps.assign(mode=["eager", "fused"] * (len(steps) // 2) + ["eager"] * (len(steps) % 2)), accelerators
        )


def test_the_forecast_is_what_the_datasheet_says(accelerators):
    """The file was written before the run; the datasheet part of it can still be made for kernels."""
    told = pd.read_csv(data_dir() / "prediction" / "probe_forecast.csv")
    told = told[(told["accelerator_id"] == H100) & (told["method"] == "datasheet") & (told["kind"] != "step")]
    again = forecast(accelerators.loc[H100], ["Llama-3.1-8B", "Qwen2.5-14B"], "bf16")
    again = again[again["kind"] != "step"]
    assert again["predicted_ms"].to_numpy() == pytest.approx(told["predicted_ms"].to_numpy())


def test_errors_are_summed_up_by_part(measured):
    told = pd.read_csv(data_dir() / "prediction" / "probe_forecast.csv").query("method == 'datasheet'")
    one = measured[measured["accelerator_id"] == H200]
    found = error_summary(compare(one, told[told["accelerator_id"] == H200]).assign(method="datasheet"))
    assert {"decode step", "prompt step", "mixed step", "matrix product, fp8"} <= set(found["part"])
    assert (found["median_abs_error"] <= found["p90_abs_error"]).all()


def test_a_probe_repeats_on_another_machine_far_better_than_it_is_forecast(measured):
    again = pd.read_csv(data_dir() / "prediction" / "probe_repeat.csv")
    spread = repeat_spread(measured, again).set_index("part")
    steps = spread[spread.index.str.endswith(" step")]
    assert steps["rows"].sum() > 80
    assert (steps["p90_abs_change"] < 0.03).all()
    told = pd.read_csv(data_dir() / "prediction" / "probe_forecast.csv").query("method == 'datasheet'")
    one = measured[(measured["accelerator_id"] == H100) & (measured["mode"] != "fused")]
    forecast_errors = error_summary(compare(one, told[told["accelerator_id"] == H100]).assign(method="datasheet"))
    both = (
        forecast_errors.set_index("part")["median_abs_error"].to_frame().join(spread["median_abs_change"], how="inner")
    )
    assert len(both) == len(forecast_errors)
    assert (both["median_abs_change"] < both["median_abs_error"]).all()


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_machine_that_is_slower_throughout_is_told_as_such(measured, factor):
    again = measured[["measurement_id", "as_of"]].assign(median_ms=measured["median_ms"] * factor)
    spread = repeat_spread(measured, again)
    assert spread["rows"].sum() == len(measured)
    assert np.allclose(spread["median_change"], factor - 1)
    assert np.allclose(spread["p90_abs_change"], abs(factor - 1))


def test_points_that_were_not_repeated_say_nothing(measured):
    assert repeat_spread(measured, measured[:0]).empty


@pytest.mark.parametrize(("model", "limit"), [("Qwen3-30B-A3B", 0.012), ("Mixtral-8x7B", 0.022)])
def test_the_experts_that_a_step_touches_explain_its_time(measured, accelerators, model, limit):
    """Decodes of 1 to 256 sequences, four shares of the datasheet fitted: 1 - (1 - k/E)^T of the experts, and no less would do."""
    rows, sizes, chip = (
        measured[(measured["model"] == model) & (measured["kind"] == "step")],
        architecture(model),
        accelerators.loc[H200],
    )
    assert len(rows) > 30 and not rows["chunk_tokens"].fillna(0).any()

    def off(logs, **changes):
        mfu, weights, kv, layer_us = np.exp(logs)
        return step_errors(
            replace(law_of(Efficiency(mfu, weights, kv, 0.5, 2.5, layer_us), sizes, chip), **changes), rows
        )

    def median_error(**changes):
        found = least_squares(off, np.log([0.6, 0.5, 0.9, 10.0]), loss="soft_l1", f_scale=0.05, kwargs=changes)
        return np.median(np.abs(off(found.x, **changes)))

    assert median_error() < limit
    assert median_error(expert_share=1.0) > 5 * limit  # all experts in every step
    assert median_error(expert_share=sizes.experts_per_token / sizes.experts / 4) > 5 * limit
