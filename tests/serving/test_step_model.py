"""First-principles throughput: a hand-computed step, limits, monotony."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.serving.step_model import StepConstants, best_throughput, expert_share, step_constants

IDEAL = StepConstants(1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 64, 1)


def row(**changes):
    base = {
        "params_b": 8.0, "active_b": 8.0, "weight_bytes": 2.0, "kv_gb": 1e-4, "input_tokens": 1000.0, "output_tokens": 100.0,
        "bandwidth": 2000.0, "peak": 500.0, "memory": 80.0, "link": 450.0, "concurrency": 1.0, "tp": 1.0,
        "accelerators": 1.0, "slo_tpot_ms": np.nan, "precision": "bf16", "hbm": True,
    }  # fmt: skip
    return base | changes


def rate(constants=None, **changes):
    return float(np.exp(best_throughput(pd.DataFrame([row(**changes)]), constants)["log_tokens_per_s"].iloc[0]))


def test_batch_one_is_weights_and_context_over_bandwidth_plus_the_prefill_share():
    read = (16 + 1050 * 1e-4) / 2000
    prefill = 10 * 2e-3 * 8 / 500
    assert rate(IDEAL) == pytest.approx(1 / (read + prefill + 1e-3), rel=1e-6)


def test_an_expert_mixture_reads_the_share_that_its_tokens_touch():
    assert expert_share(np.array(1.0), np.array(4.0), np.array(2.0)) == pytest.approx(1 - 0.75**2)
    assert expert_share(np.array(8.0), np.array(8.0), np.array(1.0)) == 1.0
    assert rate(IDEAL, active_b=1.0) > rate(IDEAL)


def test_a_tighter_limit_on_time_per_token_never_helps():
    free = rate(concurrency=np.nan, slo_tpot_ms=np.nan)
    loose, tight = (rate(concurrency=np.nan, slo_tpot_ms=limit) for limit in (100.0, 20.0))
    assert free >= loose >= tight > 0


@given(st.floats(1.05, 4.0), st.sampled_from(["bandwidth", "peak", "memory"]))
def test_better_hardware_is_never_slower(factor, name):
    free = {"concurrency": np.nan, "tp": np.nan, "accelerators": 8.0}
    assert rate(**free, **{name: row()[name] * factor}) >= rate(**free) * 0.999


def test_longer_prompts_never_raise_throughput():
    rates = [rate(concurrency=np.nan, input_tokens=length) for length in (100.0, 1000.0, 10_000.0)]
    assert rates == sorted(rates, reverse=True)


def test_shipped_constants_are_efficiencies():
    c = step_constants()
    for share in (c.compute_8bit, c.compute_4bit, c.bandwidth_hbm, c.bandwidth_other):
        assert 0.2 < share <= 1.0
    assert c.layer_us > 0
    assert c.knee >= 1
