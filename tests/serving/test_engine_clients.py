"""Clients that give up: by hand, against the plain engine, and what must hold of any run."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_engine import PlainFleet
from twin import LAW, agree, check_identities, stream

from aifactory.errors import InputError
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Api, Autoscale, Failures, Fleet, Pool, RequestStream
from aifactory.serving.step_time import StepTime

#: A step takes a second whatever it holds.
SECOND = StepTime(0.0, 1.0, 0.0, 0.0, 0.0, 100_000, max_batch=1, chunk_tokens=10)


def test_giving_up_by_hand():
    # One at a time: the first answers in 3 steps, the second waits from 0.5 and gives up at 4.5, in the middle of its
    # answer of 9; the step in progress ends at 5, when the third begins.
    stream = RequestStream([0.0, 0.5, 1.0], [10, 10, 10], [3, 9, 1])
    run = simulate_fleet(stream, Fleet(Pool(SECOND, 1), timeout_s=4.0))
    assert run.table()["outcome"].tolist() == ["served", "failed", "failed"]
    assert run.causes == {"refused": 0, "too large": 0, "replica lost": 0, "timed out": 2}
    np.testing.assert_allclose(run.e2e_s, [3, 4, 4])
    # ten prompt tokens and one answer token after the first of the second; the third is computed in vain: its
    # client left at 5, when its prompt could begin
    assert run.lost_tokens == 10 + 1
    check_identities(run)


def test_an_answer_in_the_last_step_may_come_too_late():
    late = simulate_fleet(RequestStream([0.0], [10], [3]), Fleet(Pool(SECOND, 1), timeout_s=2.5))
    assert late.counts["failed"] == 1
    assert late.e2e_s[0] == 2.5
    assert late.lost_tokens == 12
    check_identities(late)
    just = simulate_fleet(RequestStream([0.0], [10], [3]), Fleet(Pool(SECOND, 1), timeout_s=3.0))
    assert just.counts["served"] == 1


def test_a_later_try_may_succeed():
    # The first holds the replica until 6; the second gives up at 3 and is back before 6.
    stream = RequestStream([0.0, 1.0], [10, 10], [6, 1])
    fleet = Fleet(Pool(SECOND, 1), timeout_s=6.0, retries=3, backoff_s=1.0)
    assert simulate_fleet(stream, fleet).counts["served"] == 2
    short = simulate_fleet(stream, replace(fleet, timeout_s=2.0))
    assert short.table()["retries"].tolist()[0] == 3
    assert short.causes["timed out"] == short.counts["failed"] >= 1
    check_identities(short)


def test_latency_outside_the_steps_counts():
    law = replace(SECOND, s_per_request=0.7)
    stream = RequestStream([0.0], [10], [3])
    assert simulate_fleet(stream, Fleet(Pool(law, 1), timeout_s=3.6)).counts["failed"] == 1
    assert simulate_fleet(stream, Fleet(Pool(law, 1), timeout_s=3.8)).counts["served"] == 1
    assert simulate_fleet(stream, Fleet(Pool(law, 1), timeout_s=3.6)).e2e_s[0] == pytest.approx(3.6)
    with pytest.raises(InputError, match="timeout_s"):
        Fleet(Pool(law, 1), timeout_s=0.5)


def test_an_api_may_be_too_slow():
    fleet = Fleet(Pool(replace(SECOND, kv_capacity_tokens=16), 1), api=Api(2.0, 0.0), timeout_s=1.5)
    run = simulate_fleet(RequestStream([0.0, 0.1], [20, 20], [1, 1]), fleet)
    assert run.causes["timed out"] == run.counts["failed"] == 2
    check_identities(run)


MOVED = replace(LAW, s_per_transfer_token=1e-4)
CASES = {
    "one replica": (stream(rate=80), Fleet(Pool(LAW, 1), timeout_s=0.4)),
    "tight memory": (
        stream(longest=900, outputs=300, rate=50),
        Fleet(Pool(replace(LAW, kv_capacity_tokens=2400), 1), timeout_s=1.0, retries=2, backoff_s=0.2),
    ),
    "long answers": (stream(30, 50, outputs=3000), Fleet(Pool(LAW, 1), timeout_s=3.0)),
    "priorities": (
        stream(priorities=3, rate=60, outputs=200),
        Fleet(Pool(replace(LAW, kv_capacity_tokens=2600), 1), timeout_s=0.8, retries=1, backoff_s=0.1),
    ),
    "queue limit": (stream(150, 200), Fleet(Pool(LAW, 2), queue_limit=2, retries=2, backoff_s=0.1, timeout_s=0.3)),
    "least KV": (stream(150, 80), Fleet(Pool(LAW, 3), routing="least_kv", timeout_s=0.3, retries=1)),
    "spill": (
        stream(150, 200),
        Fleet(Pool(LAW, 2), spill=Pool(replace(LAW, s_weights=0.02), 1), queue_limit=3, retries=1, timeout_s=0.5),
    ),
    "api": (stream(150, 200), Fleet(Pool(LAW, 1), api=Api(0.4, 0.02), queue_limit=2, timeout_s=0.7, retries=1)),
    "disaggregated": (
        stream(150, 60),
        Fleet(
            Pool(MOVED, 2), decode=Pool(LAW, 2), routing="least_outstanding", timeout_s=0.4, retries=2, backoff_s=0.2
        ),
    ),
    "disaggregated, tight": (
        stream(100, 60, outputs=200),
        Fleet(Pool(MOVED, 1), decode=Pool(replace(LAW, kv_capacity_tokens=2000), 1), timeout_s=2.0, retries=1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_plain_engine_agrees(name):
    requests, fleet = CASES[name]
    run = simulate_fleet(requests, fleet)
    agree(run, PlainFleet(requests, fleet).run())
    check_identities(run)
    assert run.causes["timed out"] > 0 or run.sim.requests["retries"].any()
    assert run.lost_tokens > 0


@pytest.mark.parametrize("name", CASES)
def test_leaps_equal_single_steps(name):
    requests, fleet = CASES[name]
    leaps, steps = simulate_fleet(requests, fleet), simulate_fleet(requests, fleet, step_by_step=True)
    assert leaps.causes == steps.causes
    np.testing.assert_allclose(leaps.e2e_s, steps.e2e_s, rtol=1e-9)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000), rate=st.floats(2, 300), capacity=st.integers(1200, 6000), chunk=st.sampled_from([16, 100, 512]),
    batch=st.integers(1, 20), replicas=st.integers(1, 3), limit=st.sampled_from([None, 0, 2]), retries=st.integers(0, 3),
    routing=st.sampled_from(["round_robin", "least_outstanding", "least_kv"]), priorities=st.integers(1, 3),
    timeout=st.floats(0.02, 4.0), decode=st.booleans(),
)  # fmt: skip
def test_the_plain_engine_agrees_on_random_cases(
    seed, rate, capacity, chunk, batch, replicas, limit, retries, routing, priorities, timeout, decode
):
    law = replace(MOVED, kv_capacity_tokens=capacity, chunk_tokens=chunk, max_batch=batch)
    requests = stream(25, rate, seed, priorities=priorities, outputs=150)
    fleet = Fleet(
        Pool(law, replicas), decode=Pool(law, 2) if decode else None, routing=routing, queue_limit=limit, retries=retries,
        seed=seed, timeout_s=timeout, backoff_s=0.1,
    )  # fmt: skip
    run = simulate_fleet(requests, fleet)
    agree(run, PlainFleet(requests, fleet).run())
    check_identities(run)


EVERYTHING = Fleet(
    Pool(LAW, 8), spill=Pool(replace(LAW, s_weights=0.02), 1), routing="least_outstanding", queue_limit=20, retries=3,
    backoff_s=0.5, autoscale=Autoscale(8.0, 1, 2, tick_s=1.0, warmup_s=2.0, cooldown_s=4.0), failures=Failures(20.0, 3.0), seed=7,
    timeout_s=0.5,
)  # fmt: skip


def test_everything_at_once_keeps_its_books():
    requests = stream(3000, 150, 3)
    run = simulate_fleet(requests, EVERYTHING)
    check_identities(run)
    tries = run.sim.requests["retries"]
    assert run.causes["timed out"] > 0
    assert run.sim.replicas["failures"].sum() > 3
    # an answer comes within the time-out of its try, so within all tries and back-offs
    longest = (tries + 1) * 0.5 + 1.5 * 0.5 * (2.0**tries - 1)
    assert (run.e2e_s <= longest + 0.1)[run.answered].all()


def test_no_client_waits_longer_than_the_time_out():
    for seed in range(5):
        run = simulate_fleet(stream(400, 200, seed), Fleet(Pool(LAW, 2), timeout_s=0.35))
        assert run.e2e_s.max() <= 0.35 * (1 + 1e-12)
        assert run.counts["served"] + run.causes["timed out"] == 400


def test_a_time_out_nobody_reaches_changes_nothing():
    for requests, fleet in CASES.values():
        patient, endless = replace(fleet, timeout_s=1e6), replace(fleet, timeout_s=None)
        ours, theirs = simulate_fleet(requests, patient), simulate_fleet(requests, endless)
        assert ours.counts == theirs.counts
        np.testing.assert_allclose(ours.e2e_s, theirs.e2e_s, rtol=1e-12)


def test_in_overload_a_time_out_keeps_the_queue_bounded():
    requests = stream(4000, 400, 1)
    endless = simulate_fleet(requests, Fleet(Pool(LAW, 1)))
    bounded = simulate_fleet(requests, Fleet(Pool(LAW, 1), timeout_s=1.0))
    assert np.nanmax(bounded.queue_s) < 1.0 < np.nanmax(endless.queue_s)
    assert bounded.end_s < endless.end_s
    check_identities(bounded)


def test_the_horizon_cuts_clients_off_too():
    run = simulate_fleet(stream(300, 100), Fleet(Pool(LAW, 1), timeout_s=0.5, retries=2), horizon_s=2.0)
    assert run.counts["unfinished"] > 0
    assert sum(run.causes.values()) == run.counts["failed"]
