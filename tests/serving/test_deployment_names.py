"""Systems and models by public names: variants, sizes in names, unknown ones."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.deployment_names import model_shapes, system_identifiers


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("h100_sxm", "nvidia-h100-sxm"), ("H200", "nvidia-h200-sxm"), ("b300", "nvidia-b300-sxm"), ("gb300", "nvidia-gb300"),
        ("gb200", "nvidia-gb200"), ("mi355x", "amd-mi355x"), ("mi300x", "amd-mi300x"), ("l40s", "nvidia-l40s"),
        ("a100_sxm", "nvidia-a100-80-sxm"), ("h100_pcie", "nvidia-h100-pcie"), ("rtx_pro_6000", "nvidia-rtxpro6000-se"),
        ("h20_sxm", "nvidia-h20-96gb"), ("trn2", "aws-trainium2"), ("quantum9", ""), ("", ""),
    ],
)  # fmt: skip
def test_systems_by_their_public_names(name, identifier):
    assert system_identifiers(pd.Series([name])).iloc[0] == identifier


@pytest.mark.parametrize(
    ("path", "params_b", "active_b"),
    [
        ("deepseek-ai/DeepSeek-R1-0528", 671, 37), ("moonshotai/Kimi-K2.5", 1026, 32), ("openai/gpt-oss-120b", 116.8, 5.1),
        ("zai-org/GLM-4.6-FP8", 355, 32), ("MiniMaxAI/MiniMax-M2.1", 230, 10), ("Qwen/Qwen3-32B-FP8", 32.76, 32.76),
        ("meta-llama/Llama-3.3-70B-Instruct", 70.55, 70.55), ("acme/newmodel-80b-a3b", 80, 3), ("acme/newmodel-13B", 13, 13),
        ("acme/Giant-2T", 2000, 2000), ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", 70.55, 70.55),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", 8.19, 8.19), ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", 32.5, 32.5), ("mistralai/Mixtral-8x7B-v0.1", 46.7, 12.9),
    ],
)  # fmt: skip
def test_models_by_catalogue_further_shapes_or_sizes_in_their_names(path, params_b, active_b):
    row = model_shapes(pd.Series([path])).iloc[0]
    assert (row["params_b"], row["active_b"]) == (params_b, active_b)
    assert row[["layers", "width", "kv_gb", "kv_heads"]].astype(float).gt(0).all()


def test_a_latent_cache_is_one_head_and_releases_share_an_architecture():
    rows = model_shapes(pd.Series(["deepseek-ai/DeepSeek-R1", "nvidia/DeepSeek-V3.1-NVFP4", "Qwen/Qwen3-32B"]))
    assert list(rows["kv_heads"]) == [1, 1, 8]
    assert rows["architecture"].iloc[0] == rows["architecture"].iloc[1]


def test_a_name_without_size_has_none():
    assert np.isnan(model_shapes(pd.Series(["some/unsized-model"])).iloc[0]["params_b"])


@pytest.mark.parametrize(
    ("path", "by_hand", "kv_heads"),
    [
        ("meta-llama/Llama-2-7b-chat-hf", 2 * 32 * 128 * 32 * 2, 32), ("meta-llama/Llama-2-13b-hf", 2 * 40 * 128 * 40 * 2, 40),
        ("meta-llama/Llama-2-70b-hf", 2 * 8 * 128 * 80 * 2, 8), ("EleutherAI/gpt-j-6b", 2 * 16 * 256 * 28 * 2, 16),
        ("tiiuae/falcon-7b-instruct", 2 * 1 * 64 * 32 * 2, 1), ("tiiuae/falcon-40b", 2 * 8 * 64 * 60 * 2, 8),
        ("Qwen/Qwen1.5-72B-Chat", 2 * 64 * 128 * 80 * 2, 64), ("mosaicml/mpt-30b", 2 * 64 * 112 * 48 * 2, 64),
        ("facebook/opt-30b", 2 * 56 * 128 * 48 * 2, 56), ("codellama/CodeLlama-34b-Instruct-hf", 2 * 8 * 128 * 48 * 2, 8),
    ],
)  # fmt: skip
def test_older_models_keep_keys_and_values_of_every_head(path, by_hand, kv_heads):
    """Two numbers a head, its width, layers, two bytes: six times the guess for grouped heads in a 7B model."""
    row = model_shapes(pd.Series([path])).iloc[0]
    assert row["kv_gb"] * 1e9 == pytest.approx(by_hand)
    assert row["kv_heads"] == kv_heads
