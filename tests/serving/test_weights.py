"""Weights of published checkpoints: what stays in 16 bits, what a step reads."""

import pandas as pd
import pytest

from aifactory.inputs.resources import data_dir
from aifactory.serving.step_time_specs import Efficiency, step_time_from_specs
from aifactory.serving.weights import BYTES, bytes_per_weight, read_bytes, wide_bytes, wide_params_b

TABLES = data_dir() / "catalogue"
MODELS = pd.read_csv(TABLES / "models.csv").set_index("model", drop=False)
CHIPS = pd.read_csv(TABLES / "accelerators.csv").set_index("accelerator_id", drop=False)


@pytest.mark.parametrize(
    ("name", "wide"),
    # model card (arXiv 2508.10925): attention 0.96 and 0.64, both embeddings 1.16 each, routers below 0.02
    [("gpt-oss-120b", 0.96 + 1.16), ("gpt-oss-20b", 0.64 + 1.16)],
)
def test_the_size_of_a_checkpoint_tells_what_stays_in_16_bits(name, wide):
    model = MODELS.loc[name]
    assert wide_params_b(model) == pytest.approx(wide, rel=0.05)
    assert (wide_bytes(model, "mxfp4"), wide_bytes(model, "fp8"), wide_params_b(MODELS.loc["DeepSeek-V3"])) == (2, 1, 0)
    assert bytes_per_weight(model, "mxfp4") * model["params_total_b"] == pytest.approx(model["weights_gb"])
    assert bytes_per_weight(model, "fp8") == 1


def test_a_step_reads_16_bits_of_attention_and_the_experts_that_its_tokens_touch():
    """One token of gpt-oss-120b: 4 of 128 experts of 114.6e9 weights at 4.25 bits, 1.52e9 others at 16: 4.9 GB, not 2.7."""
    law = step_time_from_specs(
        MODELS.loc["gpt-oss-120b"],
        CHIPS.loc["nvidia-h100-sxm"],
        tensor_parallel=1,
        efficiency=Efficiency(bandwidth=1.0),
    )
    one = law.s_weights + law.s_experts * law.expert_share
    wide = (65.28 - 0.53125 * 116.8) / 1.46875
    experts = 0.53125 * (116.8 - wide)
    every = 2 * (5.1 - (116.8 - wide) * 4 / 128)
    assert one * 3350 == pytest.approx(every + experts * 4 / 128)
    assert one * 3350 == pytest.approx(4.94, abs=0.02)
    everything = law.s_weights + law.s_experts
    assert everything * 3350 < 65.28, "embeddings are looked up, not read"


def test_without_a_published_size_every_weight_has_the_precision():
    plain = MODELS.loc["gpt-oss-120b"].drop("weights_gb")
    assert read_bytes(plain, "mxfp4") == pytest.approx((0.0, 0.53125 * 116.8e9, 5.1 / 116.8))
    llama = MODELS.loc["Llama-3.1-8B"]
    assert read_bytes(llama, "fp8") == pytest.approx((8.03e9, 0.0, 0.0))
    assert all(bytes_per_weight(llama, name) == width for name, width in BYTES.items())


def test_the_published_size_takes_memory_from_the_cache():
    """65.28 GB held instead of 62.05."""
    chip, model = CHIPS.loc["nvidia-h100-sxm"], MODELS.loc["gpt-oss-120b"]
    held, thought = (step_time_from_specs(row, chip, tensor_parallel=1) for row in (model, model.drop("weights_gb")))
    assert thought.kv_capacity_tokens - held.kv_capacity_tokens == pytest.approx(
        (65.28 - 62.05) * 1e9 / 36864, rel=0.01
    )
