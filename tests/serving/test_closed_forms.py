"""The simulator against queueing theory and the fluid limit, within Monte-Carlo error."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.serving.closed_forms import (
    allen_cunneen_wait_s,
    erlang_b,
    erlang_c,
    fluid_capacity,
    kv_threshold_per_s,
    md1_wait_s,
    mmc_wait_s,
)  # fmt: skip
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, Pool, RequestStream
from aifactory.serving.step_time import StepTime

STEP_S = 1e-3
#: Every step takes a millisecond whatever it holds: sequences are servers, output tokens are service times.
SERVERS = StepTime(0.0, STEP_S, 0.0, 0.0, 0.0, 10**9, max_batch=1, chunk_tokens=4096)
LAW = StepTime(6.6e-5, 9.6e-3, 6.5e-8, 4e-9, 1.5e-3, 450_000, knee=2.0, chunk_tokens=512, max_batch=512)


def waits(rate, outputs, servers, seed):
    arrivals = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, outputs.size))
    stream = RequestStream(arrivals, np.ones(outputs.size, int), outputs)
    run = simulate_fleet(stream, Fleet(Pool(replace(SERVERS, max_batch=servers), 1)))
    # a request is seated at the next step boundary: half a step of its wait is the grid, not the queue
    return run.queue_s, run


def mean_and_error(values, batches=40):
    means = values[: values.size // batches * batches].reshape(batches, -1).mean(axis=1)
    return means.mean(), means.std(ddof=1) / math.sqrt(batches)


def test_erlang_c_by_hand():
    load, servers = 3.0, 4
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    assert erlang_c(servers, load) == pytest.approx(last / (sum(terms) + last))
    assert erlang_c(2, 2.0) == 1.0
    assert mmc_wait_s(3.0, 1.0, 3) == math.inf
    assert md1_wait_s(1.0, 1.0) == math.inf


def test_erlang_b_by_hand():
    terms = [8.0**k / math.factorial(k) for k in range(11)]
    assert erlang_b(10, 8.0) == pytest.approx(terms[-1] / sum(terms))


@pytest.mark.parametrize("shape", ["exponential", "constant", "two speeds"])
def test_without_a_queue_requests_are_lost_like_erlang_b(shape):
    """M/G/c/c: whatever the service times, 12.17 % of the requests find 10 seats taken at a load of 8."""
    draw = np.random.default_rng(7)
    drawn = {
        "exponential": lambda n: 1 + draw.exponential(500, n).astype(int),
        "constant": lambda n: np.full(n, 500),
        "two speeds": lambda n: draw.choice([100, 1500], n, p=[0.8, 0.2]),
    }[shape](200_000)
    held_s = (drawn.mean() - 0.5) * STEP_S  # from arrival to the start of the last step
    arrivals = np.cumsum(draw.exponential(held_s / 8.0, drawn.size))
    stream = RequestStream(arrivals, np.ones(drawn.size, int), drawn)
    run = simulate_fleet(stream, Fleet(Pool(replace(SERVERS, max_batch=10), 1), queue_limit=0))
    mean, error = mean_and_error((run.status == 2).astype(float))
    assert run.causes["refused"] == run.counts["failed"] > 0
    assert abs(mean - erlang_b(10, 8.0)) < 4 * error
    assert np.nanmax(run.queue_s) <= 1.001 * STEP_S


def test_room_in_the_next_step_is_not_a_queue():
    """Three seats, one taken: two of three that come during a step start in the next, the last is refused or waits."""
    law = replace(SERVERS, max_batch=3)
    stream = RequestStream([0.0, 0.0002, 0.0004, 0.0006], np.ones(4, int), [50] * 4)
    refused = {
        limit: simulate_fleet(stream, Fleet(Pool(law, 1), queue_limit=limit)).counts["failed"] for limit in (0, 1)
    }
    assert refused == {0: 1, 1: 0}


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (4, 3.2), (16, 14.0)])
def test_exponential_service_waits_like_mmc(servers, load):
    outputs = 1 + np.random.default_rng(1).exponential(1000, 200_000).astype(int)
    service = outputs.mean() * STEP_S
    queue, _ = waits(load / service, outputs, servers, 2)
    mean, error = mean_and_error(queue)
    assert abs(mean - STEP_S / 2 - mmc_wait_s(load / service, service, servers)) < 4 * error


def test_constant_service_waits_like_md1():
    outputs = np.full(200_000, 1000)
    queue, run = waits(0.8, outputs, 1, 3)
    mean, error = mean_and_error(queue)
    assert abs(mean - STEP_S / 2 - md1_wait_s(0.8, 1.0)) < 4 * error
    assert mmc_wait_s(0.8, 1.0) == pytest.approx(2 * md1_wait_s(0.8, 1.0))
    assert run.utilization == pytest.approx(0.8, abs=0.01)


def test_two_speeds_of_service_wait_like_allen_cunneen():
    outputs = np.random.default_rng(4).choice([200, 3000], 200_000, p=[0.8, 0.2])
    service, variation = outputs.mean() * STEP_S, outputs.var() / outputs.mean() ** 2
    queue, _ = waits(0.6 / service, outputs, 1, 5)
    mean, error = mean_and_error(queue)
    assert abs(mean - STEP_S / 2 - allen_cunneen_wait_s(0.6 / service, service, 1, 1.0, variation)) < 4 * error


def backlog(law, inputs, outputs, cached=()):
    return RequestStream(np.zeros(inputs.size), inputs, outputs, np.asarray(cached, dtype=int))


def saturation_per_s(run):
    done = np.sort(run.sim.requests["finish_s"])
    low, high = int(0.3 * done.size), int(0.7 * done.size)
    return (high - low) / (done[high] - done[low])


DRAW = np.random.default_rng(0)
MIXED = (DRAW.integers(100, 2000, 12_000), DRAW.integers(1, 400, 12_000))
SATURATED = {
    "tokens": (LAW, *MIXED),
    "tokens, reused prompts": (LAW, *MIXED, MIXED[0] // 2),
    "sequences": (replace(LAW, max_batch=40), *MIXED),
    "sequences, few": (replace(LAW, max_batch=10), np.full(8000, 1000), np.full(8000, 100)),
    "memory": (replace(LAW, kv_capacity_tokens=40_000), *MIXED),
    "tokens, prompts only": (LAW, MIXED[0], np.ones(12_000, int)),
    "tokens, long chunk": (replace(LAW, chunk_tokens=2048, max_batch=1024), *MIXED),
}


@pytest.mark.parametrize("name", SATURATED)
def test_saturation_reaches_the_fluid_limit(name):
    law, *columns = SATURATED[name]
    requests = backlog(law, *columns)
    capacity = fluid_capacity(law, requests)
    assert capacity.binds == name.split(",")[0]
    measured = saturation_per_s(simulate_fleet(requests, Fleet(Pool(law, 1))))
    assert measured == pytest.approx(capacity.requests_per_s, rel=0.02)


def test_the_kv_threshold_separates_stable_from_unstable():
    law = replace(LAW, kv_capacity_tokens=40_000)
    requests = backlog(law, *MIXED)
    capacity = fluid_capacity(law, requests)
    threshold = kv_threshold_per_s(law, requests, capacity.step_s)
    assert capacity.requests_per_s < threshold < 1.1 * capacity.requests_per_s
    late = {}
    for share in (0.85, 1.15):
        arrivals = np.cumsum(np.random.default_rng(6).exponential(1 / (share * threshold), 12_000))
        run = simulate_fleet(RequestStream(arrivals, *MIXED), Fleet(Pool(law, 1)))
        late[share] = run.queue_s[-1000:].mean()
    assert late[0.85] < 30
    assert late[1.15] > 0.1 * 12_000 / threshold


def test_the_fluid_count_is_stable_and_one_less_is_not():
    requests = RequestStream(
        np.cumsum(np.random.default_rng(7).exponential(1 / 70, 40_000)), *(np.resize(c, 40_000) for c in MIXED)
    )
    need = 70 / fluid_capacity(LAW, requests).requests_per_s
    enough, short = (
        simulate_fleet(requests, Fleet(Pool(LAW, int(n)))) for n in (math.ceil(need) + 1, math.floor(need))
    )
    assert enough.queue_s[-2000:].mean() < 5 < short.queue_s[-2000:].mean()


def random_stream(seed, size=300, rate=12.0):
    draw = np.random.default_rng(seed)
    return RequestStream(
        np.cumsum(draw.exponential(1 / rate, size)), draw.integers(1, 3000, size), draw.integers(1, 300, size)
    )


def run_with(requests, replicas, law=LAW, routing="least_outstanding"):
    return simulate_fleet(requests, Fleet(Pool(law, replicas), routing=routing))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_more_replicas_are_not_worse_in_aggregate(seed, replicas):
    requests = random_stream(seed)
    few, more = run_with(requests, replicas), run_with(requests, 2 * replicas)
    assert np.mean(more.e2e_s) <= np.mean(few.e2e_s) * 1.01
    assert (more.ttft_s <= 0.5).mean() >= (few.ttft_s <= 0.5).mean() - 0.02


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 2000))
def test_longer_prompts_are_never_faster(seed, extra):
    requests = random_stream(seed)
    longer = RequestStream(requests.arrival_s, requests.input_tokens + extra, requests.output_tokens)
    few, more = (run_with(which, 1, routing="round_robin") for which in (requests, longer))
    assert np.mean(more.ttft_s) >= 0.99 * np.mean(few.ttft_s)
    assert more.totals[0, 0] >= 0.99 * few.totals[0, 0]
    alone = RequestStream([0.0], [int(requests.input_tokens[0])], [10])
    with_more = RequestStream([0.0], [int(requests.input_tokens[0]) + extra], [10])
    assert run_with(with_more, 1).ttft_s[0] >= run_with(alone, 1).ttft_s[0]


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_time_has_no_unit(seed, factor):
    requests = random_stream(seed)
    scaled = {
        name: getattr(LAW, name) * factor
        for name in ("s_per_token", "s_weights", "s_per_kv_token", "s_per_attention_pair", "s_per_step")
    }
    slow = run_with(requests.scaled(1 / factor), 2, replace(LAW, **scaled))
    np.testing.assert_allclose(slow.e2e_s, factor * run_with(requests, 2).e2e_s, rtol=1e-9)


def test_the_order_of_equal_replicas_does_not_matter():
    requests = random_stream(1, size=400)
    twice = RequestStream(
        np.repeat(requests.arrival_s, 2), np.repeat(requests.input_tokens, 2), np.repeat(requests.output_tokens, 2)
    )
    run = run_with(twice, 2, routing="round_robin")
    np.testing.assert_array_equal(run.e2e_s[::2], run.e2e_s[1::2])


def test_twice_the_rate_on_twice_the_replicas_has_better_tails():
    draw = np.random.default_rng(9)
    requests = random_stream(9, size=4000, rate=7.5)
    double = RequestStream(
        np.cumsum(draw.exponential(1 / 15, 8000)), np.tile(requests.input_tokens, 2), np.tile(requests.output_tokens, 2)
    )
    one, two = run_with(requests, 2), run_with(double, 4)
    assert np.percentile(two.ttft_s, 99) < np.percentile(one.ttft_s, 99)
