"""The event simulator against hand counts, against the plain engine, and against itself in single steps."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_engine import PlainFleet
from twin import LAW, agree, check_identities, stream

from aifactory.errors import InputError
from aifactory.serving.engine_fleet import run_until
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Api, Autoscale, Failures, Fleet, Pool, RequestStream
from aifactory.serving.step_time import StepTime


def test_a_lone_request_by_hand():
    law = StepTime(1e-4, 0.0, 1e-6, 0.0, 0.01, 10_000, chunk_tokens=100, knee=1.0)
    run = simulate_fleet(RequestStream([1.0], [150], [3]), Fleet(Pool(law, 1)))
    ttft = (0.01 + 0.01) + (0.01 + 0.005)
    assert run.ttft_s[0] == pytest.approx(ttft)
    assert run.e2e_s[0] == pytest.approx(ttft + 2 * (0.01 + 1e-4) + 1e-6 * (151 + 152))
    assert run.queue_s[0] == 0
    check_identities(run)


def test_decodes_come_first_and_prompts_share_the_rest():
    law = StepTime(0.0, 1.0, 0.0, 0.0, 0.0, 100_000, chunk_tokens=10)
    run = simulate_fleet(RequestStream([0.0, 0.0, 0.0], [10, 15, 4], [5, 1, 1]), Fleet(Pool(law, 1)))
    # step 1: ten prompt tokens of the first; step 2: its decode and nine of the second;
    # step 3: its decode, the last six of the second, three of the third; step 4: the last one.
    np.testing.assert_allclose(run.ttft_s, [1, 3, 4])
    np.testing.assert_allclose(run.e2e_s, [5, 3, 4])


CASES = {
    "one replica": (stream(), Fleet(Pool(LAW, 1))),
    "tight memory": (stream(longest=900, outputs=300, rate=50), Fleet(Pool(replace(LAW, kv_capacity_tokens=2400), 1))),
    "token blocks": (
        stream(outputs=300),
        Fleet(Pool(replace(LAW, kv_capacity_tokens=1500, block_tokens=1), 1), watermark=0.0),
    ),
    "cached prompts": (stream(cached=True, rate=60), Fleet(Pool(replace(LAW, kv_capacity_tokens=3000), 1))),
    "priorities": (stream(priorities=3, rate=60, outputs=200), Fleet(Pool(replace(LAW, kv_capacity_tokens=2600), 1))),
    "small batch": (stream(rate=60), Fleet(Pool(replace(LAW, max_batch=3), 1))),
    "batch beyond the chunk": (stream(rate=90), Fleet(Pool(replace(LAW, chunk_tokens=8), 1))),
    "in turn": (stream(150, 80), Fleet(Pool(LAW, 3))),
    "least outstanding": (stream(150, 80), Fleet(Pool(LAW, 3), routing="least_outstanding")),
    "least KV": (stream(150, 80), Fleet(Pool(LAW, 3), routing="least_kv")),
    "queue limit": (stream(150, 200), Fleet(Pool(LAW, 2), queue_limit=2, retries=2, backoff_s=0.3, seed=5)),
    "spill": (
        stream(150, 200),
        Fleet(Pool(LAW, 2), spill=Pool(replace(LAW, s_weights=0.02), 1), queue_limit=3, retries=1),
    ),
    "api": (stream(150, 200), Fleet(Pool(LAW, 1), api=Api(0.4, 0.02), queue_limit=2)),
    "disaggregated": (
        stream(150, 60),
        Fleet(Pool(replace(LAW, s_per_transfer_token=1e-5), 2), decode=Pool(LAW, 2), routing="least_outstanding"),
    ),
    "disaggregated, tight": (
        stream(100, 60, outputs=200),
        Fleet(Pool(replace(LAW, s_per_transfer_token=1e-5), 1), decode=Pool(replace(LAW, kv_capacity_tokens=2000), 1)),
    ),
    "too large": (stream(longest=900), Fleet(Pool(replace(LAW, kv_capacity_tokens=500), 1), retries=2)),
    "too large, spilled": (
        stream(longest=900),
        Fleet(Pool(replace(LAW, kv_capacity_tokens=500), 1), spill=Pool(LAW, 1), retries=2),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_plain_engine_agrees(name):
    requests, fleet = CASES[name]
    run = simulate_fleet(requests, fleet)
    agree(run, PlainFleet(requests, fleet).run())
    check_identities(run)


@pytest.mark.parametrize("name", ["tight memory", "token blocks", "priorities", "disaggregated, tight"])
def test_the_tight_cases_do_preempt(name):
    assert simulate_fleet(*CASES[name]).sim.replicas["preempted"].sum() > 5


@pytest.mark.parametrize("name", CASES)
def test_leaps_equal_single_steps(name):
    requests, fleet = CASES[name]
    leaps, steps = simulate_fleet(requests, fleet), simulate_fleet(requests, fleet, step_by_step=True)
    assert leaps.counts == steps.counts
    np.testing.assert_allclose(leaps.e2e_s, steps.e2e_s, rtol=1e-9)
    np.testing.assert_allclose(leaps.ttft_s, steps.ttft_s, rtol=1e-9)
    assert leaps.sim.ledger["steps"] == steps.sim.ledger["steps"]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000), rate=st.floats(2, 300), capacity=st.integers(1200, 6000), chunk=st.sampled_from([16, 100, 512]),
    batch=st.integers(1, 20), replicas=st.integers(1, 3), limit=st.sampled_from([None, 0, 2]), retries=st.integers(0, 2),
    routing=st.sampled_from(["round_robin", "least_outstanding", "least_kv"]), priorities=st.integers(1, 3), cached=st.booleans(),
)  # fmt: skip
def test_the_plain_engine_agrees_on_random_cases(
    seed, rate, capacity, chunk, batch, replicas, limit, retries, routing, priorities, cached
):
    law = replace(LAW, kv_capacity_tokens=capacity, chunk_tokens=chunk, max_batch=batch)
    requests = stream(25, rate, seed, cached=cached, priorities=priorities, outputs=150)
    fleet = Fleet(Pool(law, replicas), routing=routing, queue_limit=limit, retries=retries, seed=seed)
    run = simulate_fleet(requests, fleet)
    agree(run, PlainFleet(requests, fleet).run())
    check_identities(run)


def test_long_answers_go_round_the_wheel():
    requests = RequestStream([0.0, 0.1, 5.0], [10, 20, 30], [5000, 1500, 1025])
    fleet = Fleet(Pool(LAW, 1))
    agree(simulate_fleet(requests, fleet), PlainFleet(requests, fleet).run())


BUSY = stream(3000, 150, 3)


def test_read_only_columns_compile_nothing_anew():
    """Tables hand out columns that cannot be written to; a second minute of compiling would go unnoticed."""
    columns = [np.arange(1.0, 4.0), np.full(3, 50, dtype=np.int32), np.full(3, 5, dtype=np.int32)]
    free = simulate_fleet(RequestStream(*columns), Fleet(Pool(LAW, 2)))
    for column in columns:
        column.flags.writeable = False
    fixed = simulate_fleet(RequestStream(*columns), Fleet(Pool(LAW, 2)))
    assert fixed.e2e_s.tobytes() == free.e2e_s.tobytes()
    assert len(run_until.signatures) == 1


EVERYTHING = Fleet(
    Pool(LAW, 8), spill=Pool(replace(LAW, s_weights=0.02), 1), routing="least_outstanding", queue_limit=20, retries=3,
    backoff_s=0.5, autoscale=Autoscale(8.0, 1, 2, tick_s=1.0, warmup_s=2.0, cooldown_s=4.0), failures=Failures(20.0, 3.0), seed=7,
)  # fmt: skip


def test_everything_at_once_keeps_its_books():
    run = simulate_fleet(BUSY, EVERYTHING)
    check_identities(run)
    assert all(run.counts[name] > 0 for name in ("served", "overflowed"))
    assert run.sim.requests["retries"].any()
    assert run.sim.replicas["failures"].sum() > 3
    minutes = run.minutes().query("pool == 'main'")
    assert minutes["replicas"].max() > 3


def test_everything_at_once_equals_single_steps():
    leaps, steps = simulate_fleet(BUSY, EVERYTHING), simulate_fleet(BUSY, EVERYTHING, step_by_step=True)
    assert leaps.counts == steps.counts
    np.testing.assert_allclose(leaps.e2e_s, steps.e2e_s, rtol=1e-9)


def test_the_same_seed_gives_the_same_digits_and_another_does_not():
    first, second = simulate_fleet(BUSY, EVERYTHING), simulate_fleet(BUSY, EVERYTHING)
    assert first.e2e_s.tobytes() == second.e2e_s.tobytes()
    assert simulate_fleet(BUSY, replace(EVERYTHING, seed=8)).e2e_s.tobytes() != first.e2e_s.tobytes()


def test_long_runs_count_their_steps_anew(monkeypatch):
    monkeypatch.setattr("aifactory.serving.event_simulator.LONGEST_WINDOW_S", 0.7)
    for name in ("tight memory", "least KV", "disaggregated", "spill"):
        requests, fleet = CASES[name]
        spread = replace(requests, arrival_s=requests.arrival_s * 3)
        agree(simulate_fleet(spread, fleet), PlainFleet(spread, fleet).run())


def test_too_many_steps_are_refused(monkeypatch):
    monkeypatch.setattr("aifactory.serving.event_simulator.MOST_STEPS", 50)
    with pytest.raises(InputError, match="without a pause"):
        simulate_fleet(stream(), Fleet(Pool(LAW, 1)))


def test_the_horizon_leaves_the_rest_unfinished():
    run = simulate_fleet(BUSY, Fleet(Pool(LAW, 1)), horizon_s=5.0)
    assert run.counts["unfinished"] > 0
    assert np.nanmax(run.requests.arrival_s[run.answered] + run.e2e_s[run.answered]) <= 5.0
    assert run.utilization == pytest.approx(1.0, abs=0.05)


def test_the_minute_table_adds_up():
    run = simulate_fleet(BUSY, Fleet(Pool(replace(LAW, idle_w=100.0, busy_w=500.0), 2, usd_per_hour=4.0)))
    minutes = run.minutes()
    assert minutes["cost_usd"].sum() == pytest.approx(run.cost_usd) == pytest.approx(2 * 4 * run.end_s / 3600)
    answers = BUSY.output_tokens.sum() - len(BUSY)
    assert minutes["output_tokens"].sum() == pytest.approx(answers)
    busy = run.totals[0, 0]
    joule = busy * 500 + (2 * run.end_s - busy) * 100
    assert minutes["energy_kwh"].sum() == pytest.approx(joule / 3.6e6)
    assert minutes["utilization"].max() <= 1 + 1e-9
    assert minutes["kv_share"].max() <= 1


@pytest.mark.parametrize(
    ("arrivals", "timeout_s", "horizon_s", "busy_s", "end_s"),
    [([0.0], 1.5, np.inf, 2.0, 2.0), ([0.0], None, 0.25, 0.25, 0.25), ([0.0, 61.0], 1.5, 61.5, 2.5, 61.5)],
)
def test_a_step_that_nobody_waits_for_is_paid_and_none_beyond_the_horizon_counts(
    arrivals, timeout_s, horizon_s, busy_s, end_s
):
    """Steps of 1 s: the client leaves in the middle of its second one, or the horizon comes first."""
    law = StepTime(0.0, 0.0, 0.0, 0.0, 1.0, 10_000, idle_w=0.0, busy_w=100.0)
    stream = RequestStream(arrivals, [10] * len(arrivals), [3] * len(arrivals))
    run = simulate_fleet(stream, Fleet(Pool(law, 1, 3600.0), timeout_s=timeout_s), horizon_s=horizon_s)
    minutes = run.minutes()
    assert (run.end_s, run.cost_usd) == pytest.approx((end_s, end_s))
    assert minutes["utilization"].max() <= 1
    assert run.utilization == pytest.approx(busy_s / end_s)
    assert minutes["energy_kwh"].sum() * 3.6e6 == pytest.approx(100 * busy_s)


def test_scaled_replicas_are_paid_from_warm_up_to_drain():
    fleet = Fleet(Pool(LAW, 4, 10.0), autoscale=Autoscale(4.0, 1, 1, 1.0, 5.0, 5.0), routing="least_outstanding")
    requests = RequestStream(np.r_[BUSY.arrival_s[:1000], 200.0], BUSY.input_tokens[:1001], BUSY.output_tokens[:1001])
    run = simulate_fleet(requests, fleet)
    check_identities(run)
    assert run.end_s < run.totals[0, 4] < 4 * run.end_s
    assert run.minutes()["replicas"].iloc[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (([], [], []), "no requests"),
        (([0.0, -1.0], [1, 1], [1, 1]), "row 3.*arrival_s.*negative"),
        (([2.0, 1.0], [1, 1], [1, 1]), "row 3.*earlier"),
        (([0.0, np.nan], [1, 1], [1, 1]), "row 3.*number"),
        (([0.0], [0], [1]), "row 2.*input_tokens.*1 or more"),
        (([0.0], [1], [0]), "output_tokens"),
        (([0.0], [1.5], [1]), "whole number"),
        (([0.0], [2**40], [1]), "at most"),
        (([0.0, 1.0], [1], [1, 1]), "1 values for 2 requests"),
        (([0.0], [5], [1], [5]), "cached_tokens.*less than"),
        (([0.0], [5], [1], [0], [9]), "priority.*at most 7"),
    ],
)
def test_bad_requests_are_refused(columns, text):
    with pytest.raises(InputError, match=text):
        RequestStream(*columns)


@pytest.mark.parametrize(
    "change",
    [{"routing": "least_outstandin"}, {"retries": -1}, {"watermark": 1.0}, {"backoff_s": 0.0}, {"queue_limit": -2},
     {"failures": Failures(0.0, 1.0)}, {"autoscale": Autoscale(0.0)}, {"api": Api(-1.0, 0.0)}],
)  # fmt: skip
def test_bad_fleets_are_refused(change):
    with pytest.raises(InputError):
        Fleet(Pool(LAW, 1), **change)


@pytest.mark.parametrize("routing", ["least_outstanding", "least_kv"])
def test_a_router_knows_what_the_step_in_progress_answers(routing):
    """Prompts alone, a step of 0.1 s each: the second comes while the first replica works and goes to the other one."""
    law = StepTime(1e-3, 0.0, 0.0, 0.0, 1e-9, 10_000)
    stream = RequestStream([0.0, 0.05, 0.11, 0.16], [100, 100, 100, 100], [1, 1, 1, 1])
    run = simulate_fleet(stream, Fleet(Pool(law, 2), routing=routing))
    assert run.table()["replica"].tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(run.ttft_s, 0.1, atol=1e-6)


def test_prompts_join_the_shortest_queue():
    """Single-token answers over 3 replicas against a queue per replica, the fewest in it first."""
    draw, count = np.random.default_rng(5), 4000
    tokens = np.maximum(draw.exponential(1000, count).astype(int), 1)
    arrival = np.cumsum(draw.exponential(1e-4 * tokens.mean() / 2.4, count))
    law = StepTime(1e-4, 0.0, 0.0, 0.0, 1e-12, 10**8, max_batch=1, chunk_tokens=10**6)
    run = simulate_fleet(
        RequestStream(arrival, tokens, np.ones(count, dtype=int)), Fleet(Pool(law, 3), routing="least_outstanding")
    )
    ends, waited = [[], [], []], []
    for time, work in zip(arrival, 1e-4 * tokens, strict=True):
        here = [sum(end > time for end in queue) for queue in ends]
        chosen = ends[here.index(min(here))]
        start = max(time, chosen[-1] if chosen else 0.0)
        waited.append(start - time)
        chosen.append(start + work)
        del chosen[:-50]
    np.testing.assert_allclose(run.queue_s, waited, atol=1e-6)
