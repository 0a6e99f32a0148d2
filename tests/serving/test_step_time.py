"""The closed-form step time and its constructor from datasheets."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, Pool, RequestStream
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_specs import pair_flop, step_time_from_specs

LAW = StepTime(1e-4, 8e-3, 5e-8, 1e-10, 1e-3, 400_000)


def row(table, key, value):
    frame = pd.read_csv(data_dir() / "catalogue" / f"{table}.csv")
    return frame.loc[frame[key] == value].iloc[0]


def specs(model="Llama-3.1-8B", chip="nvidia-h100-sxm", **options):
    return step_time_from_specs(row("models", "model", model), row("accelerators", "accelerator_id", chip), **options)


def test_far_from_the_knee_one_side_decides():
    assert LAW.linear_s(1) == pytest.approx(9e-3, rel=1e-6)
    assert LAW.linear_s(2000) == pytest.approx(0.2 + 1e-3, rel=1e-6)


def test_a_sharp_knee_is_the_plain_maximum():
    tokens = np.array([1, 79, 80, 81, 500])
    sharp = replace(LAW, knee=1e4)
    np.testing.assert_allclose(sharp.linear_s(tokens), np.maximum(1e-4 * tokens, 8e-3) + 1e-3, rtol=1e-3)


def test_tokens_are_rounded_up_to_tiles():
    tiled = replace(LAW, tile_tokens=128)
    assert tiled.linear_s(129) == tiled.linear_s(256) > tiled.linear_s(128)


def test_a_mixture_reads_active_weights_first_and_all_at_last():
    law = StepTime(0.0, 0.0, 0.0, 0.0, 0.0, 1000, s_experts=1.0, expert_share=0.05)
    assert law.linear_s(1) == pytest.approx(0.05)
    assert law.linear_s(10_000) == pytest.approx(1.0)


@settings(max_examples=50)
@given(st.integers(1, 4000), st.integers(1, 4000), st.floats(0, 1), st.floats(1, 20), st.integers(1, 256))
def test_more_tokens_never_take_less(few, more, share, knee, tile):
    law = replace(LAW, s_experts=3e-3, expert_share=share, knee=knee, tile_tokens=tile)
    low, high = sorted((few, few + more))
    assert law.linear_s(high) >= law.linear_s(low) * (1 - 1e-12)


@pytest.mark.parametrize("bad", [{"s_per_token": -1.0}, {"s_weights": np.nan}, {"max_batch": 0}, {"expert_share": 1.5}])
def test_nonsense_is_refused(bad):
    with pytest.raises(InputError):
        replace(LAW, **bad)


def test_lone_request_floors():
    law = replace(LAW, chunk_tokens=100)
    parts = 2 * law.linear_s(100) + law.linear_s(50) + 1e-10 * 250 * 251 / 2
    assert law.floor_ttft_s(250) == pytest.approx(float(parts))
    assert law.floor_tpot_s(1000) == pytest.approx(float(law.linear_s(1)) + 5e-5)


def test_datasheet_arithmetic_of_a_dense_model():
    law = specs()
    assert law.accelerators == 1
    assert law.s_per_token == pytest.approx(2 * 8.03e9 / (0.78 * 989e12))
    assert law.s_weights == pytest.approx(16.06e9 / (0.82 * 3.35e12))
    assert law.kv_capacity_tokens == (0.9 * 80e9 - 16.06e9) // 131072


@pytest.mark.parametrize(
    ("precision", "bits"),
    [
        ("fp4", 4 + 8 / 16),  # NVFP4: an 8-bit scale for 16 weights
        ("mxfp4", 4 + 8 / 32),  # OCP MX: an 8-bit scale for 32
        ("fp8", 8),
    ],
)
def test_weights_weigh_with_the_scales_of_their_blocks(precision, bits):
    law = specs("Llama-3.1-70B / 3.3-70B", "nvidia-b200-sxm", tensor_parallel=1, precision=precision)
    weight_bytes = 70.55e9 * bits / 8  # 39.7 GB of NVFP4, 37.5 GB of MXFP4
    memory, bandwidth = (
        row("accelerators", "accelerator_id", "nvidia-b200-sxm")[n] for n in ("memory_gb", "memory_bw_gb_per_s")
    )
    assert law.s_weights == pytest.approx(weight_bytes / (0.82 * bandwidth * 1e9))
    assert law.kv_capacity_tokens == pytest.approx((0.9 * memory * 1e9 - weight_bytes) / (8 * 2 * 128 * 80), abs=1)


@pytest.mark.parametrize(
    ("model", "weights_gb", "bytes_of_a_token", "copies", "attention_gb"),
    [
        # a latent cache lies on every accelerator; queries by a rank of 1,536, output, latent and rotary part, its expansion
        ("DeepSeek-V3", 671.0, 576 * 61, 8, 61 * 187_105_280 / 1e9),
        ("Qwen3-235B-A22B", 235.0, 2 * 4 * 128 * 94, 2, 94 * 4096 * 128 * (2 * 64 + 2 * 4) / 1e9),  # 4 KV heads on 8
        ("Llama-3.1-70B / 3.3-70B", 70.55, 2 * 8 * 128 * 80, 1, 80 * 8192 * 128 * (2 * 64 + 2 * 8) / 1e9),
    ],
)
def test_a_cache_that_cannot_be_split_is_kept_and_read_more_than_once(
    model, weights_gb, bytes_of_a_token, copies, attention_gb
):
    law, apart = (
        specs(model, "nvidia-h200-sxm", tensor_parallel=8, precision="fp8", attention_ranks=ranks) for ranks in (1, 8)
    )
    room = 0.9 * 141e9 * 8 - weights_gb * 1e9
    assert law.kv_capacity_tokens == pytest.approx(room / (copies * bytes_of_a_token), abs=1)
    assert law.s_per_kv_token == pytest.approx(copies * bytes_of_a_token / (8 * 0.82 * 4.8e12))
    # eight ranks: attention lies on each, seven times more than once, and is read in each step
    assert apart.kv_capacity_tokens == pytest.approx((room - 7 * attention_gb * 1e9) / bytes_of_a_token, abs=1)
    assert apart.s_weights - law.s_weights == pytest.approx(7 * attention_gb * 1e9 / (8 * 0.82 * 4.8e12))


@pytest.mark.parametrize(
    ("model", "context", "by_hand"),
    [
        ("Llama-3.1-70B / 3.3-70B", 0, 4 * 64 * 128 * 80),
        ("Qwen3-235B-A22B", 0, 4 * 64 * 128 * 94),  # heads are wider together than its hidden vectors of 4,096
        ("Qwen3.5-27B", 0, 4 * 24 * 256 * 16),  # 16 of 64 layers attend
        ("DeepSeek-V3", 0, 4 * 128 * 128 * 61),
        ("Gemma-3-27B", 0, 4 * 32 * 128 * 62),
        # 52 of 62 layers see 1,024 tokens: of 4,096 x 4,097 / 2 = 8,390,656 pairs 1,024 x 4,096 - 1,024 x 1,023 / 2 = 3,670,528
        ("Gemma-3-27B", 4096, 4 * 32 * 128 * (10 + 52 * 3_670_528 / 8_390_656)),
    ],
)
def test_attention_of_a_pair_counts_the_heads_and_layers_that_see_it(model, context, by_hand):
    assert pair_flop(row("models", "model", model), context) == pytest.approx(by_hand)
    law = specs(model, "nvidia-b200-sxm", tensor_parallel=8, precision="fp8", context_tokens=context)
    peak = row("accelerators", "accelerator_id", "nvidia-b200-sxm")["peak_fp8_dense_tflops"] * 1e12
    assert law.s_per_attention_pair == pytest.approx(by_hand / (8 * 0.78 * peak))


def test_pairs_inside_a_window_are_counted_one_by_one():
    seen = sum(min(position, 1024) for position in range(1, 3001))
    gemma = row("models", "model", "Gemma-3-27B")
    share = (pair_flop(gemma, 3000) / (4 * 32 * 128) - 10) / 52
    assert share * 3000 * 3001 / 2 == pytest.approx(seen)


def test_heads_that_are_not_stated_are_as_wide_as_the_hidden_vectors():
    model = row("models", "model", "Llama-3.1-70B / 3.3-70B").copy()
    model["attention_heads"] = np.nan
    assert pair_flop(model) == 4 * 8192 * 80


def test_moving_a_cache_takes_its_bytes_over_the_links():
    """Llama 3.1 70B in 16 bits: 327,680 bytes a token; between nodes 0.7 of 50 GB/s an accelerator, inside one half of 450."""
    far, near = (specs("Llama-3.1-70B / 3.3-70B", tensor_parallel=degree).s_per_transfer_token for degree in (8, 4))
    assert far == pytest.approx(327_680 / (8 * 35e9))
    assert near == pytest.approx(327_680 / (4 * 225e9))
    ranked, copied = (
        specs("DeepSeek-V3", "nvidia-h200-sxm", tensor_parallel=8, precision="fp8", attention_ranks=ranks)
        for ranks in (8, 1)
    )
    # a latent cache of 576 x 61 bytes lies on the one accelerator of its rank, or whole on each of eight
    assert ranked.s_per_transfer_token == copied.s_per_transfer_token == pytest.approx(576 * 61 / 35e9)
    assert specs(engine={"s_per_transfer_token": 0.0}).s_per_transfer_token == 0.0


def test_a_prompt_that_is_handed_over_waits_for_its_cache():
    law = specs("Llama-3.1-70B / 3.3-70B", tensor_parallel=8)
    free = replace(law, s_per_transfer_token=0.0)
    requests = RequestStream([0.0], [10_000], [2])
    moved, kept = (
        simulate_fleet(requests, Fleet(Pool(each, 1), decode=Pool(each, 1))).e2e_s[0] for each in (law, free)
    )
    assert moved - kept == pytest.approx(10_000 * 327_680 / (8 * 35e9))  # 11.7 ms


def test_decoding_on_a_latent_computes_where_that_takes_longer():
    """128 heads x (576 + 512) x 2 x 61 layers = 16.99 million operations a context token, at 0.67 of 989 TFLOPS on eight."""
    both = {
        ranks: specs("DeepSeek-V3", "nvidia-h200-sxm", tensor_parallel=8, precision="fp8", attention_ranks=ranks)
        for ranks in (1, 8)
    }
    computed, read = 2 * 128 * 1088 * 61 / (8 * 0.67 * 989e12), 576 * 61 / (8 * 0.82 * 4.8e12)
    assert read < computed < 8 * read
    assert both[8].s_per_kv_token == pytest.approx(computed)  # kept once: reading is the shorter part
    assert both[1].s_per_kv_token == pytest.approx(8 * read)  # kept eight times: reading is the longer part


def test_a_latent_whose_steps_select_tokens_reads_an_index_and_the_selected():
    """DeepSeek-V3.2 at 8,192 tokens: 576 bytes of a quarter of them, 132 of an index of all, in 61 layers on eight."""
    law = specs("DeepSeek-V3.2", "nvidia-h200-sxm", tensor_parallel=8, precision="fp8", context_tokens=8192)
    held, read = 8 * 61 * (576 + 132), 8 * 61 * (576 / 4 + 132)
    assert law.kv_capacity_tokens == pytest.approx((0.9 * 141e9 * 8 - 671e9) / held, abs=1)
    assert law.s_per_kv_token == pytest.approx(read / (8 * 0.82 * 4.8e12))
    apart = specs(
        "DeepSeek-V3.2", "nvidia-h200-sxm", tensor_parallel=8, precision="fp8", context_tokens=8192, attention_ranks=8
    )
    # 128 heads x 2 x 1,088 of a quarter; an index of 64 heads x 128 x 2 at twice the rate
    computed = 61 * (128 * 2 * 1088 / 4 + 64 * 128) / (8 * 0.67 * 989e12)
    assert apart.s_per_kv_token == pytest.approx(max(computed, read / 8 / (8 * 0.82 * 4.8e12)))


@pytest.mark.parametrize(
    ("context", "by_hand"),
    [
        (2000, 4 * 128 * 128 + 64 * 128),  # nothing to select: heads expanded, and the index
        (8192, 4 * 128 * 128 + 64 * 128),  # selected pairs on the latent would cost more than all on heads
        # of 65,536 x 65,537 / 2 pairs 2,048 x 65,536 - 2,048 x 2,047 / 2 = 132,121,600 are selected
        (65536, 128 * 2 * 1088 * 132_121_600 / 2_147_516_416 + 64 * 128),
    ],
)
def test_prompts_select_where_that_costs_less(context, by_hand):
    assert pair_flop(row("models", "model", "DeepSeek-V3.2"), context) == pytest.approx(61 * by_hand)


def test_ranks_add_up_attention_among_themselves_only():
    law, some, apart = (
        specs("Qwen3-235B-A22B", "nvidia-h200-sxm", tensor_parallel=8, precision="fp8", attention_ranks=n)
        for n in (1, 4, 8)
    )
    moved = 94 * 2 * 4096 * 2 / (0.5 * 450e9)  # seconds a token for a part of one: 4,096 values of 16 bits in 94 layers
    assert law.s_per_link_token == pytest.approx(moved * (7 / 8 + 7 / 8))
    assert some.s_per_link_token == pytest.approx(moved * (7 / 8 + 1 / 2 / 4))  # pairs, four at a time
    assert apart.s_per_link_token == pytest.approx(moved * 7 / 8)
    assert law.s_per_step - apart.s_per_step == pytest.approx(94 * 6e-6)


def test_attention_ranks_divide_the_accelerators():
    with pytest.raises(InputError, match="divide the 8 accelerators"):
        specs("DeepSeek-V3", "nvidia-h200-sxm", tensor_parallel=8, attention_ranks=3)


def test_the_degree_is_the_smallest_that_fits():
    assert specs("Llama-3.1-70B / 3.3-70B").accelerators == 4
    assert specs("Llama-3.1-70B / 3.3-70B", precision="fp8").accelerators == 2
    assert specs("Llama-3.1-8B", tensor_parallel=2).accelerators == 2


def test_two_accelerators_are_faster_but_not_twice():
    one, two = specs(tensor_parallel=1), specs(tensor_parallel=2)
    assert 0.5 < two.step_s(512, 8, 8000) / one.step_s(512, 8, 8000) < 1


def test_every_language_model_and_accelerator_gets_a_finite_law_or_an_error():
    models = pd.read_csv(data_dir() / "catalogue" / "models.csv")
    chips = pd.read_csv(data_dir() / "catalogue" / "accelerators.csv")
    answered = 0
    for _, model in models.iterrows():
        for _, chip in chips.iterrows():
            try:
                law = step_time_from_specs(model, chip)
            except InputError:
                continue
            assert np.isfinite(law.step_s(512, 8, 8000))
            answered += 1
    assert answered > 700


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"chip": "hailo-8"}, "memory_bw_gb_per_s"),
        ({"chip": "nvidia-l4", "model": "Llama-3.1-405B"}, "does not fit"),
        ({"model": "SDXL-base-1.0"}, "of kind image"),
        ({"model": "Qwen3-Embedding-8B"}, "token by token"),
        ({"precision": "bf17"}, "Did you mean 'bf16'"),
        ({"model": "DeepSeek-V4-Pro"}, "params_total_b"),
    ],
)
def test_what_cannot_be_simulated_is_said(options, text):
    with pytest.raises(InputError, match=text):
        specs(**options)
