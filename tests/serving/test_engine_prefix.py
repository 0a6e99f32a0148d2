"""The prefix cache: by hand, against the plain engine and a plain LRU, and what must hold of any run."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_engine import PlainFleet
from twin import LAW, agree, check_identities

from aifactory.errors import InputError
from aifactory.serving.command import read_stream
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Autoscale, Failures, Fleet, Pool, Prefixes, RequestStream
from aifactory.serving.step_time import StepTime

BLOCK = 32
#: A step takes a second whatever it holds; room for ten blocks of ten tokens.
SECOND = StepTime(0.0, 1.0, 0.0, 0.0, 0.0, 100, chunk_tokens=100, block_tokens=2)


def conversations(size=60, rate=20.0, seed=0, *, talks=8, longest=400, outputs=60, priorities=1):
    """Talks that grow: each prompt repeats a beginning of its talk, all talks share two blocks."""
    draw = np.random.default_rng(seed)
    talk, inputs = draw.integers(0, talks, size), draw.integers(1, longest, size)
    names = [
        [f"all-{k}" if k < 2 else f"{t}-{k}" for k in range(-(-tokens // BLOCK))]
        for t, tokens in zip(talk, inputs, strict=True)
    ]
    return RequestStream(
        np.cumsum(draw.exponential(1 / rate, size)), inputs, draw.integers(1, outputs, size),
        priority=draw.integers(0, priorities, size) if priorities > 1 else np.empty(0, int), prefixes=Prefixes.of(names, BLOCK),
    )  # fmt: skip


def test_eviction_by_hand():
    # Room for ten blocks. A and B leave four each; C needs four and a little for its answer, which leaves room for five
    # idle ones: the last three of A go. Then A finds its first, needs the rest, and the last three of B go.
    names = [[f"{who}{k}" for k in range(4)] for who in "ABCAB"]
    stream = RequestStream(np.arange(5) * 10.0, [40] * 5, [2] * 5, prefixes=Prefixes.of(names, 10))
    run = simulate_fleet(stream, Fleet(Pool(SECOND, 1), watermark=0.0))
    assert run.reused_tokens.tolist() == [0, 0, 0, 10, 10]
    check_identities(run)


def test_the_second_of_two_finds_the_first_while_it_runs():
    names = [list("abcd"), list("abcd")]
    stream = RequestStream([0.0, 1.5], [45, 45], [9, 9], prefixes=Prefixes.of(names, 10))
    run = simulate_fleet(stream, Fleet(Pool(replace(SECOND, kv_capacity_tokens=80), 1), watermark=0.0))
    assert run.reused_tokens.tolist() == [0, 40]
    # forty shared tokens once, five and the answer of each: both fit at a time into what holds only one alone
    assert run.queue_s[1] == pytest.approx(0.5)
    apart = simulate_fleet(replace(stream, prefixes=Prefixes.of([list("abcd"), list("efgh")], 10)), run.fleet)
    assert apart.queue_s[1] > 5


CASES = {
    "room for all": (conversations(), Fleet(Pool(replace(LAW, kv_capacity_tokens=50_000), 1))),
    "some eviction": (conversations(200), Fleet(Pool(replace(LAW, kv_capacity_tokens=2500), 1))),
    "tight": (conversations(100, 60, outputs=200), Fleet(Pool(replace(LAW, kv_capacity_tokens=1200), 1))),
    "priorities": (conversations(100, 60, priorities=3), Fleet(Pool(replace(LAW, kv_capacity_tokens=1600), 1))),
    "least KV": (conversations(150, 80), Fleet(Pool(replace(LAW, kv_capacity_tokens=2000), 3), routing="least_kv")),
    "spill": (
        conversations(150, 200),
        Fleet(Pool(LAW, 2), spill=Pool(replace(LAW, s_weights=0.02), 1), queue_limit=3, retries=1),
    ),
    "clients give up": (
        conversations(150, 120, outputs=200),
        Fleet(Pool(replace(LAW, kv_capacity_tokens=1500), 1), timeout_s=0.6, retries=2, backoff_s=0.1),
    ),
    "disaggregated": (
        conversations(150, 60, outputs=200),
        Fleet(
            Pool(replace(LAW, s_per_transfer_token=1e-5, kv_capacity_tokens=1500), 2),
            decode=Pool(replace(LAW, kv_capacity_tokens=1500), 2), routing="least_outstanding", timeout_s=2.0,
        ),
    ),
    "switched off": (conversations(), Fleet(Pool(LAW, 1), prefix_cache=False)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_plain_engine_agrees(name):
    requests, fleet = CASES[name]
    run = simulate_fleet(requests, fleet)
    agree(run, PlainFleet(requests, fleet).run())
    check_identities(run)
    assert run.reused_tokens.any() == fleet.prefix_cache
    steps = simulate_fleet(requests, fleet, step_by_step=True)
    np.testing.assert_allclose(run.e2e_s, steps.e2e_s, rtol=1e-9)
    assert run.reused_tokens.tolist() == steps.reused_tokens.tolist()


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10_000), rate=st.floats(2, 300), capacity=st.integers(800, 6000), chunk=st.sampled_from([16, 100, 512]),
    batch=st.integers(1, 20), replicas=st.integers(1, 3), talks=st.integers(1, 12), priorities=st.integers(1, 3),
    routing=st.sampled_from(["round_robin", "least_outstanding", "least_kv"]), timeout=st.sampled_from([None, 0.3, 2.0]),
)  # fmt: skip
def test_the_plain_engine_agrees_on_random_cases(
    seed, rate, capacity, chunk, batch, replicas, talks, priorities, routing, timeout
):
    law = replace(LAW, kv_capacity_tokens=capacity, chunk_tokens=chunk, max_batch=batch)
    requests = conversations(30, rate, seed, talks=talks, priorities=priorities, outputs=120)
    fleet = Fleet(Pool(law, replicas), routing=routing, seed=seed, timeout_s=timeout, retries=1, backoff_s=0.1)
    run = simulate_fleet(requests, fleet)
    agree(run, PlainFleet(requests, fleet).run())
    check_identities(run)


def test_everything_at_once_keeps_its_books():
    fleet = Fleet(
        Pool(replace(LAW, kv_capacity_tokens=3000), 8), spill=Pool(replace(LAW, s_weights=0.02), 1), queue_limit=20, retries=3,
        backoff_s=0.5, autoscale=Autoscale(8.0, 1, 2, tick_s=1.0, warmup_s=2.0, cooldown_s=4.0), failures=Failures(20.0, 3.0),
        seed=7, routing="least_outstanding", timeout_s=1.5,
    )  # fmt: skip
    run = simulate_fleet(conversations(3000, 150, talks=40), fleet)
    check_identities(run)
    assert run.sim.replicas["failures"].sum() > 3
    assert 0 < run.prefix_hit_rate < 1


def plain_lru(stream, law, watermark):
    """Hit tokens of requests that are alone: blocks live in what the one that runs leaves, the last used longest."""
    block, kept, hits = stream.prefixes.block_tokens, OrderedDict(), []
    total = law.kv_capacity_tokens // law.block_tokens
    for i, (prompt, answer) in enumerate(zip(stream.input_tokens.tolist(), stream.output_tokens.tolist(), strict=True)):
        held = -(-(prompt + answer) // law.block_tokens)
        if held + int(watermark * total) > total:
            hits.append(0)
            continue
        names = stream.prefixes.ids[stream.prefixes.start[i] : stream.prefixes.start[i + 1]].tolist()
        found = 0
        while found < min(len(names), (prompt - 1) // block) and names[found] in kept:
            found += 1
        hits.append(found * block)
        for name in names[: prompt // block]:
            kept.pop(name, None)
        most = -(-(prompt + max(answer - 1, 0)) // law.block_tokens)
        while len(kept) * (block // law.block_tokens) > total - most:
            kept.popitem(last=False)
        for name in reversed(names[: prompt // block]):
            kept[name] = True
    return np.array(hits)


@pytest.fixture(scope="module")
def mooncake(shared_dir):
    stream = read_stream(shared_dir / "data" / "traces" / "mooncake_fast25_conversation_first70pct.jsonl.gz")
    return replace(stream, arrival_s=np.arange(len(stream)) * 1e4)


@pytest.mark.parametrize("capacity", [150_000, 1_000_000, 6_000_000])
def test_a_real_trace_hits_like_a_plain_lru(mooncake, capacity):
    law = replace(LAW, kv_capacity_tokens=capacity, chunk_tokens=8192)
    run = simulate_fleet(mooncake, Fleet(Pool(law, 1)))
    ours = np.where(run.by_replica, run.reused_tokens, 0)
    assert ours.tolist() == plain_lru(mooncake, law, run.fleet.watermark).tolist()
    check_identities(run)


def test_endless_memory_reuses_what_the_importer_counts(mooncake):
    run = simulate_fleet(mooncake, Fleet(Pool(replace(LAW, kv_capacity_tokens=400_000_000, chunk_tokens=8192), 1)))
    best = mooncake.prefixes.best_hits(mooncake.input_tokens)
    assert run.reused_tokens.tolist() == best.tolist()
    # the importer also counts the last block where it is only begun
    assert (best <= mooncake.cached_tokens).all()
    assert (mooncake.cached_tokens - best <= mooncake.prefixes.block_tokens).all()


def test_more_memory_never_hits_less_on_a_real_trace(mooncake):
    rates = [
        simulate_fleet(
            mooncake, Fleet(Pool(replace(LAW, kv_capacity_tokens=size, chunk_tokens=8192), 1))
        ).prefix_hit_rate
        for size in (150_000, 400_000, 1_600_000, 6_400_000, 100_000_000)
    ]
    assert rates == sorted(rates)
    assert rates[0] < 0.5 * rates[-1]


def test_reuse_saves_prompt_work_and_never_slows_a_lone_request():
    requests = replace(conversations(300), arrival_s=np.arange(300) * 10.0)
    warm, cold = (simulate_fleet(requests, Fleet(Pool(LAW, 1), prefix_cache=on)) for on in (True, False))
    assert (warm.ttft_s <= cold.ttft_s + 1e-9).all()
    assert warm.computed_tokens()[0] + warm.reused_tokens.sum() == pytest.approx(cold.computed_tokens()[0])


def test_given_reuse_without_names_is_taken_as_it_is():
    stream = RequestStream([0.0, 1.0], [100, 100], [2, 2], [0, 60])
    run = simulate_fleet(stream, Fleet(Pool(LAW, 1)))
    assert run.prefix_hit_rate == 60 / 200
    assert simulate_fleet(stream, Fleet(Pool(LAW, 1), prefix_cache=False)).prefix_hit_rate == 0
    check_identities(run)


def test_wrong_names_are_refused():
    with pytest.raises(InputError, match="prefixes of 2 requests for 1"):
        RequestStream([0.0], [5], [5], prefixes=Prefixes.of([["a"], ["b"]], 16))
    with pytest.raises(InputError, match="follow one another"):
        Prefixes([0, 2, 1], [0, 1], 16)
    with pytest.raises(InputError, match="whole KV blocks"):
        simulate_fleet(RequestStream([0.0], [50], [5], prefixes=Prefixes.of([["a"]], 24)), Fleet(Pool(LAW, 1)))


def test_blocks_named_twice_in_a_prompt_do_no_harm():
    stream = RequestStream([0.0, 1.0, 2.0], [70, 70, 70], [5, 5, 5], prefixes=Prefixes.of([["a", "a"]] * 3, BLOCK))
    check_identities(simulate_fleet(stream, Fleet(Pool(LAW, 1))))
