"""Capacities of accelerators that were not measured, from own runs on others."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.serving.bundled import bundled_rows
from aifactory.serving.measurements import bundled_facts
from aifactory.serving.tiers import REFUSED
from aifactory.serving.transfer import (
    QUESTION,
    UNSEEN_CLASS,
    classes_measured,
    common_names,
    left_out_classes,
    shared_precision,
    transfer,
)

H100, H200, A100, L40S = "nvidia-h100-sxm", "nvidia-h200-sxm", "nvidia-a100-80-sxm", "nvidia-l40s"


@pytest.fixture(scope="module")
def published():
    rows = common_names(bundled_rows())
    return rows[rows["regime"] == "llm_rounds"]


def question(chip, value=np.nan, case="chat", platform_class="gpu", **changes):
    values = (
        case,
        chip,
        platform_class,
        8.0,
        "llm",
        "tokens_per_s",
        "Llama-3.1-70B / 3.3-70B",
        "fp8",
        800.0,
        300.0,
        60.0,
        "2026",
        value,
    )
    return dict(zip(QUESTION, values, strict=True)) | changes


def ask(published, own, asked):
    frames = (pd.DataFrame(rows, columns=list(QUESTION)) for rows in (own, asked))
    return transfer(published, *frames, bundled_facts()).set_index("accelerator_id")


@settings(max_examples=5)
@given(st.floats(1e-3, 1e3))
def test_the_unit_of_own_runs_does_not_matter(published, unit):
    base = ask(published, [question(H100, 900.0), question(A100, 400.0)], [question(H200)])
    scaled = ask(published, [question(H100, 900.0 * unit), question(A100, 400.0 * unit)], [question(H200)])
    np.testing.assert_allclose(
        scaled[["value", "low", "high"]].astype(float), unit * base[["value", "low", "high"]].astype(float), rtol=1e-6
    )


def test_own_runs_set_the_level_and_order_stays_plausible(published):
    found = ask(published, [question(H100, 900.0)], [question(H200), question(A100), question(L40S)])
    assert found.at[H200, "value"] > 900 > found.at[A100, "value"] > found.at[L40S, "value"]
    assert (found["low"] < found["value"]).all()
    assert (found["value"] < found["high"]).all()
    assert (found["tier"] == "anchored").all()


def test_own_runs_pull_the_answer_beyond_the_specifications(published):
    slow = ask(published, [question(H100, 900.0), question(A100, 100.0)], [question("nvidia-a100-80-pcie")])
    fast = ask(published, [question(H100, 900.0), question(A100, 800.0)], [question("nvidia-a100-80-pcie")])
    assert slow["value"].iloc[0] < fast["value"].iloc[0]


def test_a_class_without_reviewed_rounds_needs_an_own_run(published):
    tpu = question("google-tpu-v5p", platform_class="tpu")
    refused = ask(published, [question(H100, 900.0)], [tpu]).iloc[0]
    assert refused["tier"] == REFUSED
    assert np.isnan(refused["value"])
    ran = question("google-tpu-v6e", 300.0, platform_class="tpu")
    assert ask(published, [question(H100, 900.0), ran], [tpu]).iloc[0]["value"] > 0


def test_an_unseen_class_carries_a_wide_interval_where_asked_for(published):
    frames = (
        pd.DataFrame(rows, columns=list(QUESTION))
        for rows in ([], [question(H200), question("google-tpu-v5p", platform_class="tpu")])
    )
    gpu, tpu = transfer(published, *frames, bundled_facts(), unseen_classes=True).itertuples(index=False)
    assert gpu.tier != UNSEEN_CLASS
    assert tpu.tier == UNSEEN_CLASS
    assert tpu.high / tpu.low > 2 * gpu.high / gpu.low


def test_without_own_runs_an_estimate_agrees_with_what_rounds_report():
    """Llama 3.1 8B in MLPerf v5.1, server, fp8: 1,207 tokens/s on an L40S, 7,246 on an H200."""
    rows = common_names(bundled_rows())
    rows = rows[rows["regime"].isin(["llm_rounds", "llm_tables"])]
    asked = [question(H200, precision="fp8", model="Llama-3.1-8B", slo_tpot_ms=np.nan, output_tokens=128.0),
             question(L40S, precision="fp8", model="Llama-3.1-8B", slo_tpot_ms=np.nan, output_tokens=128.0, accelerators=1.0)]  # fmt: skip
    found = ask(rows, [], asked)
    assert found.at[L40S, "low"] < 1_207 < found.at[L40S, "high"]
    assert found.at[H200, "low"] < 7_246 < found.at[H200, "high"]
    assert found.at[H200, "value"] > 2.5 * found.at[L40S, "value"]


def test_the_interval_of_unseen_classes_holds_whole_classes_left_out():
    """What `UNSEEN_EVIDENCE` says: at least half of the rows inside in 8 of 9 classes."""
    found = left_out_classes(common_names(bundled_rows()))
    assert len(found) == 9
    assert (found["inside"] >= 0.5).sum() == 8
    assert set(found["accelerator_class"]) == {"asic", "cpu", "edge", "tpu", "trainium"}


def test_what_rounds_hold_is_read_from_them():
    known = classes_measured(bundled_rows())
    assert ("gpu", "llm") in known
    assert ("tpu", "llm") not in known
    assert ("edge", "llm") not in known  # one chip only
    assert ("tpu", "text-to-image") in known
    assert ("neuromorphic", "llm") not in known


@pytest.mark.parametrize(
    ("used", "peaks", "expected"),
    [
        (["bf16"], {"peak_fp8_dense_tflops": 1000.0}, "bf16"),
        (["bf16", "fp8"], {"peak_fp8_dense_tflops": 1000.0}, "fp8"),
        (["fp8"], {"peak_fp8_dense_tflops": np.nan}, "bf16"),
        ([], {}, "bf16"),
    ],
)
def test_precisions_are_matched(used, peaks, expected):
    assert shared_precision(used, pd.Series(peaks, dtype=float)) == expected
