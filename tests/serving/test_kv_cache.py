"""KV cache by attention type."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir
from aifactory.serving.kv_cache import KvLayout, kv_layout, layout_needed, memory_need, sequences_that_fit

MODELS = pd.read_csv(data_dir() / "catalogue" / "models.csv").set_index("model", drop=False)


@pytest.mark.parametrize(
    ("model", "context", "by_hand"),
    [
        ("Llama-3.1-70B / 3.3-70B", 1, 320 * 1024),  # 2 x 8 heads x 128 x 80 layers x 2 bytes
        ("Llama-3.1-8B", 1000, 128 * 1024 * 1000),
        ("DeepSeek-V3", 1, 576 * 61 * 2),
        ("llama2-70b", 1, 320 * 1024),
        # gpt-oss-120b: 18 layers keep all, 18 keep 128 tokens; 2 x 8 heads x 64
        ("gpt-oss-120b", 100, 36 * 100 * 1024 * 2),
        ("gpt-oss-120b", 1128, (18 * 1128 + 18 * 128) * 1024 * 2),
        # Gemma-3-27B: 10 of 62 layers keep all, the others 1,024 tokens; 2 x 16 heads x 128
        ("Gemma-3-27B", 8192, (10 * 8192 + 52 * 1024) * 4096 * 2),
        # Qwen3.5-27B: 16 of 64 layers attend, the others hold a constant state; 2 x 4 heads x 256
        ("Qwen3.5-27B", 500, 16 * 500 * 2048 * 2),
    ],
)
def test_bytes_by_hand(model, context, by_hand):
    assert float(kv_layout(MODELS.loc[model]).bytes_of(context)) == by_hand


def test_the_layout_of_every_model_gives_its_stated_bytes_per_token_of_full_layers():
    checked = 0
    for _, model in MODELS[MODELS["kv_bytes_per_token_bf16"] > 0].iterrows():
        layout = kv_layout(model)
        assert 2 * layout.values * layout.full_layers == model["kv_bytes_per_token_bf16"], model["model"]
        checked += 1
    assert checked > 40


def test_one_byte_per_value_halves_it():
    layout = KvLayout(2048, 10, 5, 100)
    assert float(layout.bytes_of(300, 1.0)) == float(layout.bytes_of(300)) / 2


layouts = st.builds(KvLayout, st.integers(1, 8192), st.integers(0, 100), st.integers(0, 100), st.integers(1, 4096))


@settings(max_examples=100)
@given(layouts, st.lists(st.integers(1, 100_000), min_size=1, max_size=20))
def test_the_mean_context_never_understates_a_pool(layout, contexts):
    kept = layout.bytes_of(contexts).sum()
    said = layout.bytes_per_token(np.mean(contexts)) * np.sum(contexts)
    assert kept <= said * (1 + 1e-12)
    assert np.all(layout.bytes_of(contexts) <= layout.bytes_per_token() * np.array(contexts) * (1 + 1e-12))


@settings(max_examples=50)
@given(layouts, st.integers(1, 10_000), st.integers(1, 10_000))
def test_more_context_never_keeps_less_and_grows_ever_slower(layout, first, more):
    one, both = layout.bytes_of([first, first + more])
    assert both >= one
    assert layout.bytes_per_token(first + more) <= layout.bytes_per_token(first) * (1 + 1e-12)


def test_bytes_alone_describe_a_model_without_layers():
    model = pd.Series({"model": "own", "kv_bytes_per_token_bf16": 1000.0})
    assert float(kv_layout(model).bytes_of(7)) == 7000.0


@pytest.mark.parametrize("name", ["DeepSeek-V4-Pro", "SDXL-base-1.0", "ResNet-50"])
def test_what_is_not_described_is_not_guessed(name):
    assert kv_layout(MODELS.loc[name]) is None
    with pytest.raises(InputError, match="kv_bytes_per_token_bf16"):
        layout_needed(MODELS.loc[name])


def test_sequences_beside_the_weights():
    layout = kv_layout(MODELS.loc["Llama-3.1-70B / 3.3-70B"])
    weights = 141.1e9
    assert sequences_that_fit(layout, 8192, weights, 80.0, 4) == int((0.9 * 320e9 - weights) // (320 * 1024 * 8192))
    assert sequences_that_fit(layout, 8192, weights, 80.0, 1) == 0


@pytest.mark.parametrize(
    ("params", "size", "memory", "count", "context", "expected"),
    [
        (34.9, 2.0, 80.0, 1, 4096, True),  # 69.8 + 1.34 + 0.47 of 72 GB
        (35.2, 2.0, 80.0, 1, 4096, False),
        (34.9, 2.0, 80.0, 1, 8192, False),  # the context alone is 1.34 GB more
        (70.0, 1.0, 80.0, 1, 4096, True),  # 8-bit weights, 8-bit cache
        (np.nan, 2.0, 80.0, 1, 4096, True),
        (400.0, 1.0, np.nan, 8, 1e6, True),
        (400.0, 1.0, 80.0, 8, 100_000, True),
    ],
)
def test_weights_cache_and_activations_fill_nine_tenths_at_most(params, size, memory, count, context, expected):
    model = pd.Series({"params_total_b": params, "attention": "gqa", "layers": 80, "kv_heads": 8, "head_dim": 128, "hidden_size": 8192})  # fmt: skip
    assert memory_need(model, size, count, context).fits(memory, count) is expected


def test_what_is_not_known_of_a_model_needs_no_memory():
    image = pd.Series({"params_total_b": 12.0, "attention": "", "kv_bytes_per_token_bf16": np.nan})
    need = memory_need(image, 2.0, 1, 1000)
    assert (need.weights_gb, need.kv_gb, need.activation_gb) == (24.0, 0.0, 0.0)
    assert str(need) == "weights of 24 GB"


def test_need_grows_with_everything():
    model = pd.Series(
        {"params_total_b": 8.0, "attention": "mla", "layers": 61, "kv_latent_dim": 576, "hidden_size": 7168}
    )
    base = memory_need(model, 1.0, 8, 30_000, 4).total_gb
    larger = [(2.0, 8, 30_000, 4), (1.0, 16, 30_000, 4), (1.0, 8, 60_000, 4), (1.0, 8, 30_000, 5)]
    assert all(memory_need(model, *asked).total_gb > base for asked in larger)
    assert memory_need(model, 1.0, 8, 10).kv_gb == memory_need(model, 1.0, 8, 4096).kv_gb


@pytest.mark.parametrize(
    ("model", "accelerators", "ranks", "by_hand"),
    [
        ("Llama-3.1-70B / 3.3-70B", 8, 1, 1.0),  # 8 KV heads, one on each
        ("Llama-3.1-70B / 3.3-70B", 16, 1, 2.0),
        ("Qwen3-235B-A22B", 8, 1, 2.0),  # 4 KV heads
        ("Qwen3.5-397B-A17B", 8, 1, 4.0),  # 2 KV heads
        ("Qwen3.5-397B-A17B", 8, 2, 2.0),  # two groups of four accelerators
        ("DeepSeek-V3", 8, 1, 8.0),  # one latent cache
        ("DeepSeek-V3", 8, 8, 1.0),
        ("DeepSeek-V3", 1, 1, 1.0),
    ],
)
def test_heads_are_dealt_out_whole(model, accelerators, ranks, by_hand):
    assert kv_layout(MODELS.loc[model]).copies(accelerators, ranks) == by_hand


def test_a_cache_without_known_heads_is_kept_once():
    assert kv_layout(pd.Series({"model": "own", "kv_bytes_per_token_bf16": 1000.0})).copies(8) == 1.0


def test_the_memory_needed_counts_every_copy_of_the_cache():
    # 8-bit weights and cache: 576 values of 61 layers for 100,000 tokens on each of 8 accelerators
    need = memory_need(MODELS.loc["DeepSeek-V3"], 1.0, 8, 100_000)
    assert need.kv_gb == pytest.approx(8 * 576 * 61 * 100_000 / 1e9)
