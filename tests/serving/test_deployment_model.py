"""Closed forms of deployments: worked case, limits, directions, closed-loop identity, constants that are plausible."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.deployment_model import deployment_constants, with_prior

H200 = {
    "chip": "nvidia-h200-sxm", "bandwidth": 4800.0, "peak": 1500.0, "peak_16bit": 1500.0, "memory": 141.0, "link": 450.0, "node": 8.0,
    "params_b": 70.0, "active_b": 70.0, "weight_bytes": 1.0, "kv_gb": 3.3e-4, "layers": 80.0, "width": 8192.0,
    "gpus": 4.0, "prefill_gpus": 4.0, "ranks": 1.0, "workers": 1.0, "prefill_workers": 1.0, "kv_shards": 4.0,
    "concurrency": 16.0, "isl": 1024.0, "osl": 1024.0, "sparse": "dense", "split": "aggregated",
    "crowd": 1.0, "keeps_up": 0.0, "backend": "vllm", "speculated": False,
}  # fmt: skip
BARE = {
    "bandwidth": 1.0, "compute": 1.0, "prefill": np.inf, "prompt_split": 0.0, "attention": 1.0, "layer_us": 0.0,
    "sequence_us": 0.0, "sequence_apart_us": 0.0, "allreduce_us": 0.0, "link": 1.0, "far_us": 0.0, "far_link": 50.0,
    "kv_narrow": 1.0, "moe_compute": 1.0, "moe_layer": 1.0, "step_ms": 0.0,
    "expert_spread": 1.0, "ttft_dense": 1.0, "ttft_mixture": 1.0, "ttft_far": 1.0, "ttft_layer_us": 0.0, "ttft_burst": 0.0,
    "ttft_steady": 0.0, "ttft_full": 0.0, "ttft_behind": 0.0, "ttft_transfer_ms": 0.0, "ttft_steps": 0.0, "ttft_ms": 0.0,
    "ttft_client_us": 0.0, "ttft_moved_gb_per_s": np.inf, "ttft_steps_vllm": 0.0, "ttft_steps_trtllm": 0.0, "ttft_steps_sglang": 0.0,
}  # fmt: skip


def closed_form(constants=None, **changes):
    row = with_prior(pd.DataFrame([H200 | changes]), constants or deployment_constants()).iloc[0]
    return np.exp(row["prior_tpot"]), np.exp(row["prior_ttft"])


def test_bare_hardware_reads_weights_and_cache_and_multiplies():
    tpot, ttft = closed_form(BARE, gpus=1.0, kv_shards=1.0, prefill_gpus=1.0)
    read = (70 + 16 * 1536 * 3.3e-4) / 4800
    work = 16 * 2e-3 * 70 / 1500
    assert tpot == pytest.approx(1e3 * (read + work))
    operations = 2e-3 * 70 + 2e-12 * 1024 * 80 * 8192
    assert ttft == pytest.approx(1e3 * 1024 * operations / 1500)


def test_prompts_attend_at_the_peak_of_16_bits():
    """Weights at 4,500 TFLOPS, scores at 1,500: 1,024 tokens through 70 GB at a third of the time, scores as before."""
    _, ttft = closed_form(BARE, gpus=1.0, prefill_gpus=1.0, peak=4500.0)
    assert ttft == pytest.approx(1e3 * 1024 * (2e-3 * 70 / 4500 + 2e-12 * 1024 * 80 * 8192 / 1500))
    alone = {"gpus": 1.0, "kv_shards": 1.0, "peak": 4500.0}
    free, mixed = closed_form(BARE, **alone)[0], closed_form(BARE | {"prefill": 1.0}, **alone)[0]
    assert mixed - free == pytest.approx(1e3 * 16 * (2e-3 * 70 / 4500 + 2e-12 * 1024 * 80 * 8192 / 1500))


def test_a_mixture_of_experts_reads_only_what_its_tokens_touch():
    one, _ = closed_form(BARE, gpus=1.0, active_b=7.0, sparse="mixture", concurrency=1.0, kv_gb=1e-12)
    assert one == pytest.approx(1e3 * (70 * 0.1 / 4800 + 2e-3 * 7 / 1500))
    many, _ = closed_form(BARE, gpus=1.0, active_b=7.0, sparse="mixture", concurrency=500.0, kv_gb=1e-12)
    assert many == pytest.approx(1e3 * (70 / 4800 + 500 * 2e-3 * 7 / 1500), rel=1e-3)


def test_prompts_let_in_by_finished_answers_share_the_step_of_an_aggregated_engine_only():
    """16 answers of 1,024 tokens let one prompt in every 64 steps: 16 tokens of prompts a step."""
    alone = {"gpus": 1.0, "kv_shards": 1.0}
    free, mixed = closed_form(BARE, **alone)[0], closed_form(BARE | {"prefill": 0.5}, **alone)[0]
    each = (2e-3 * 70 + 2e-12 * 1024 * 80 * 8192) / 1500
    assert mixed - free == pytest.approx(1e3 * 16 * each / 0.5)
    apart = alone | {"split": "disaggregated"}
    assert closed_form(BARE | {"prefill": 0.5}, **apart)[0] == pytest.approx(closed_form(BARE, **apart)[0])


def test_prompts_and_answers_are_moved_between_accelerators_and_split_less_well():
    links = closed_form(BARE)[0] - closed_form(BARE | {"link": np.inf})[0]
    assert links == pytest.approx(1e3 * 2 * 80 * 2 * (16 + 16) * 8192 * 2e-9 / 450)
    whole, lost = (closed_form(BARE | {"prefill": 1.0, "prompt_split": loss})[0] for loss in (0.0, 0.5))
    each = (2e-3 * 70 + 2e-12 * 1024 * 80 * 8192) / 4 / 1500
    assert lost - whole == pytest.approx(1e3 * 16 * each * (4**0.5 - 1))


@pytest.mark.parametrize("split", ["aggregated", "disaggregated"])
def test_the_host_s_time_for_a_sequence_is_that_of_the_way_of_serving(split):
    name = {"aggregated": "sequence_us", "disaggregated": "sequence_apart_us"}[split]
    slower = closed_form(BARE | {name: 50.0}, split=split, ranks=2.0)[0] - closed_form(BARE, split=split, ranks=2.0)[0]
    assert slower == pytest.approx(8 * 0.05)


@pytest.mark.parametrize(
    "slower",
    [
        {"concurrency": 32.0},
        {"isl": 2048.0},
        {"bandwidth": 2400.0},
        {"gpus": 2.0, "kv_shards": 2.0},
        {"kv_shards": 1.0},
    ],
)
def test_more_load_and_less_hardware_are_never_faster(slower):
    assert closed_form(**slower)[0] > closed_form()[0]


def test_links_across_nodes_are_slower_than_inside():
    assert closed_form(gpus=16.0, kv_shards=8.0, node=72.0)[0] < closed_form(gpus=16.0, kv_shards=8.0, node=8.0)[0]


def test_requests_without_a_seat_wait_by_the_closed_loop_identity():
    """N requests over s seats: each is served every N / s service times, of which it waits all but one."""
    free = BARE | {"ttft_full": 1.0}
    crowd = {"gpus": 1.0, "kv_shards": 1.0, "prefill_gpus": 1.0}
    seats = (0.9 * 141 - 70) / (3.3e-4 * 0.75 * (1024 + 0.75 * 1024))
    tpot, ttft = closed_form(free, concurrency=4 * seats, **crowd)
    own = closed_form(BARE, concurrency=1.0, **crowd)[1]
    assert ttft == pytest.approx(own + 3 * (own + tpot * 1024), rel=1e-6)
    assert tpot == pytest.approx(closed_form(free, concurrency=seats, **crowd)[0])


def test_a_prefill_pool_that_cannot_keep_up_is_what_prompts_wait_for():
    apart = {"split": "disaggregated", "concurrency": 20_000.0, "isl": 8192.0, "osl": 100.0, "workers": 8.0}
    few, many = (closed_form(BARE | {"ttft_behind": 1.0}, prefill_workers=n, **apart) for n in (1.0, 64.0))
    assert few[1] > 30 * many[1]
    own = closed_form(BARE, concurrency=1.0, **{k: v for k, v in apart.items() if k != "concurrency"})[1]
    assert few[1] == pytest.approx(own + 20_000 * own - few[0] * 100, rel=0.01)


def test_requests_beyond_the_batch_of_decode_engines_do_not_slow_the_step():
    """1,229 requests on 1,024 seats: steps of 1,024 sequences; the wait is no part of the closed form."""
    apart = {"split": "disaggregated", "prefill_workers": 64.0, "kv_gb": 1e-9}
    tpot, ttft = closed_form(BARE, concurrency=1229.0, crowd=1229 / 1024, **apart)
    seated, own = closed_form(BARE, concurrency=1024.0, **apart)
    assert tpot == pytest.approx(seated)
    assert ttft == pytest.approx(own)


def test_what_prefill_has_not_let_in_does_not_slow_the_step():
    """Steps of 10 ms and 0.1 ms a sequence, p seconds a prompt in one pool: n = 1,024 x (0.01 + 0.0001 n) / p."""
    free = BARE | {"step_ms": 10.0, "sequence_apart_us": 100.0}
    pool = {
        "split": "disaggregated",
        "prefill_gpus": 0.5,
        "isl": 1024.0,
        "bandwidth": 1e12,
        "link": 1e12,
        "kv_gb": 1e-12,
    }
    each = 1024 * (2e-3 * 70 + 2e-12 * 1024 * 80 * 8192) / (0.5 * 1500)
    sequences = 1024 * 0.01 / (each - 1024 * 0.0001)
    assert 10 < sequences < 1000
    work = 1e3 * 2e-3 * 70 / 4 / 1500
    assert closed_form(free | {"compute": 1e9}, concurrency=4000.0, **pool)[0] == pytest.approx(
        10 + 0.1 * sequences, rel=1e-3
    )
    assert closed_form(free | {"compute": 1e9}, concurrency=5.0, **pool)[0] == pytest.approx(10.5, rel=1e-3)
    assert closed_form(free | {"compute": 1e9}, concurrency=4000.0, keeps_up=1.0, **pool)[0] == pytest.approx(
        410, rel=1e-3
    )
    assert closed_form(free, concurrency=4000.0, keeps_up=1.0, **pool)[0] == pytest.approx(410 + 4000 * work, rel=1e-3)


def test_a_prefill_pool_of_unknown_size_is_taken_to_keep_up():
    apart = {"split": "disaggregated", "concurrency": 20_000.0, "isl": 8192.0, "osl": 100.0, "workers": 8.0}
    bound, fed = (closed_form(BARE | {"ttft_behind": 1.0}, keeps_up=known, **apart)[1] for known in (0.0, 1.0))
    assert fed == pytest.approx(closed_form(BARE, **apart)[1])
    assert bound > 30 * fed
    tpot, first = closed_form(BARE | {"ttft_burst": 0.5}, keeps_up=1.0, **apart)
    assert first == pytest.approx(fed + 0.5 * (100 * tpot - fed)), "half the prompts that end while an answer lasts"


def test_a_pool_of_many_prompts_reaches_a_share_of_the_peak_that_a_lone_one_does_not_tell():
    """The fitted share of a lone prompt, its overheads in it, moves no step: mixtures at 0.29 of the peak."""
    pool = {"split": "disaggregated", "concurrency": 4000.0, "sparse": "mixture", "active_b": 7.0, "osl": 256.0}
    lone, slow = (closed_form(BARE | {"ttft_mixture": share}, **pool) for share in (1.0, 0.1))
    assert slow[0] == pytest.approx(lone[0])
    each = 1024 * (2e-3 * 7 + 2e-12 * 1024 * 80 * 8192) / (0.29 * 4 * 1500)
    held = 256 * lone[0] / 1e3 / each
    assert held < 4000, "the pool binds"
    free = closed_form(BARE, **(pool | {"concurrency": held, "keeps_up": 1.0}))
    assert lone[0] == pytest.approx(free[0], rel=1e-3)


def test_speculated_tokens_are_checked_two_at_a_time_and_the_cache_is_read_once():
    """16 sequences: weights and cache as before, twice the products, 1.8 tokens a step (DeepSeek-V3 report, 5.4.3)."""
    one = {"gpus": 1.0, "kv_shards": 1.0, "split": "disaggregated", "keeps_up": 1.0}
    read, work = (70 + 16 * 1536 * 3.3e-4) / 4800, 16 * 2e-3 * 70 / 1500
    assert closed_form(BARE, **one)[0] == pytest.approx(1e3 * (read + work))
    assert closed_form(BARE, speculated=True, **one)[0] == pytest.approx(1e3 * (read + 2 * work) / 1.8)
    mixture = one | {"active_b": 7.0, "sparse": "mixture", "concurrency": 1.0, "kv_gb": 1e-12}
    touched = 70 * (1 - 0.9**2) / 4800
    assert closed_form(BARE, speculated=True, **mixture)[0] == pytest.approx(
        1e3 * (touched + 2 * 2e-3 * 7 / 1500) / 1.8
    )
    layers = BARE | {"layer_us": 100.0}
    slower = closed_form(layers, speculated=True, **one)[0] - closed_form(BARE, speculated=True, **one)[0]
    assert slower == pytest.approx(80 * 0.1 / 1.8), "a step passes its layers once"


def test_prompts_are_added_up_between_the_accelerators_of_a_worker():
    """Two sums a layer of 8,192 numbers of 2 bytes, 2 x 3 / 4 of each over the wire of 4 accelerators: 7.86 MB a token."""
    moved = BARE | {"ttft_moved_gb_per_s": 200.0}
    wait = closed_form(moved)[1] - closed_form(BARE)[1]
    assert wait == pytest.approx(1e3 * 1024 * 80 * 2 * 8192 * 2 * 1.5 / 200e9)
    alone = {"gpus": 1.0, "kv_shards": 1.0, "prefill_gpus": 1.0}
    assert closed_form(moved, **alone)[1] == pytest.approx(closed_form(BARE, **alone)[1])


def test_an_engine_that_sends_several_tokens_at_a_time_shows_its_first_one_later():
    late = BARE | {"ttft_steps_vllm": 2.0, "ttft_steps_trtllm": 10.0, "ttft_steps_sglang": 30.0, "ttft_steps": 5.0}
    tpot, own = closed_form(BARE)
    for engine, steps in (("vllm", 2), ("trtllm", 10), ("SGLang", 30), ("tgi", 10)):
        assert closed_form(late, backend=engine)[1] - own == pytest.approx(steps * tpot)
    tpot, own = closed_form(BARE, split="disaggregated")
    assert closed_form(late, split="disaggregated", backend="sglang")[1] - own == pytest.approx(5 * tpot)


def test_fitted_shares_of_peaks_are_shares():
    found = deployment_constants()
    assert all(0.3 < found[name] <= 1.0 for name in ("bandwidth", "compute", "prefill"))
    assert found["far_us"] > found["allreduce_us"]
    assert found["far_link"] < 450
