"""Sizes that keep percentiles: the three numbers, what binds, and what cannot be had."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from aifactory.errors import InputError
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, Pool, RequestStream
from aifactory.serving.slo_sizing import (
    MTBF_HOURS,
    REPAIR_HOURS,
    Slo,
    attained_ms,
    failure_reserve,
    fewest,
    floor_ms,
    meets,
    parse_slos,
    size_fleet,
)  # fmt: skip
from aifactory.serving.step_time import StepTime

LAW = StepTime(6.6e-5, 9.6e-3, 6.5e-8, 4e-9, 1.5e-3, 450_000, knee=2.0, chunk_tokens=512)


def stream(size=3000, rate=40.0, seed=0):
    draw = np.random.default_rng(seed)
    return RequestStream(
        np.cumsum(draw.exponential(1 / rate, size)), draw.integers(100, 2000, size), draw.integers(1, 300, size)
    )


def test_the_count_keeps_the_slo_and_one_less_does_not():
    fleet, slos = Fleet(Pool(LAW, 1), routing="least_outstanding"), parse_slos("p95_ttft_ms=800,p95_tpot_ms=60")
    size = size_fleet(stream(), fleet, slos)
    assert size.run.fleet.main.replicas == size.slo_replicas
    assert meets(size.run, slos)
    fewer = simulate_fleet(stream(), replace(fleet, main=Pool(LAW, size.slo_replicas - 1)))
    assert not meets(fewer, slos)
    assert 1 <= size.steady_replicas <= size.slo_replicas
    assert "token budget" in size.steady_because
    assert size.replicas == size.slo_replicas + size.reserve_replicas


def test_a_looser_slo_needs_no_more():
    fleet = Fleet(Pool(LAW, 1), routing="least_outstanding")
    counts = [
        size_fleet(stream(), fleet, parse_slos(f"p95_tpot_ms={limit}")).slo_replicas for limit in (30, 45, 80, 400)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_small_memory_is_named():
    tight = replace(LAW, kv_capacity_tokens=30_000, chunk_tokens=2048)
    size = size_fleet(stream(), Fleet(Pool(tight, 1)), parse_slos("p95_e2e_ms=60000"))
    assert "KV cache" in size.steady_because


def test_a_burst_is_named():
    calm = stream(1500, 2.0)
    burst = RequestStream(
        np.sort(np.r_[calm.arrival_s, 300 + np.arange(1500) / 50]),
        *(np.resize(c, 3000) for c in (calm.input_tokens, calm.output_tokens)),
    )
    size = size_fleet(burst, Fleet(Pool(LAW, 1), routing="least_outstanding"), parse_slos("p99_ttft_ms=2000"))
    assert "burst binds" in size.slo_because
    assert size.slo_replicas > size.steady_replicas


@pytest.mark.parametrize("text", ["p95_ttft_ms=1", "p50_tpot_ms=2", "p95_e2e_ms=100"])
def test_below_the_physical_floor_is_refused(text):
    with pytest.raises(InputError, match="alone on an idle replica"):
        size_fleet(stream(), Fleet(Pool(LAW, 1)), parse_slos(text))


def test_the_floor_is_what_lone_requests_take():
    lonely = RequestStream(
        np.arange(50) * 100.0, *(np.resize(c, 50) for c in (stream().input_tokens, stream().output_tokens))
    )
    run = simulate_fleet(lonely, Fleet(Pool(LAW, 1)))
    for metric in ("ttft_ms", "tpot_ms", "e2e_ms"):
        slo = Slo(90, metric, 1.0)
        assert floor_ms(LAW, lonely, slo) == pytest.approx(attained_ms(run, slo), rel=1e-6)


def test_a_request_beyond_the_memory_is_refused():
    huge = RequestStream([0.0, 1.0], [100, 600_000], [10, 10])
    with pytest.raises(InputError, match="does not fit into the KV cache"):
        size_fleet(huge, Fleet(Pool(LAW, 1)), parse_slos("p50_ttft_ms=1000"))


def test_a_request_without_answer_is_infinitely_late():
    requests = RequestStream([0.0, 0.0, 0.0, 10.0], [10, 600_000, 10, 10], [2, 2, 2, 2])
    run = simulate_fleet(requests, Fleet(Pool(LAW, 1)))
    assert np.isinf(attained_ms(run, Slo(99, "ttft_ms", 1.0)))
    assert np.isfinite(attained_ms(run, Slo(50, "ttft_ms", 1.0)))


@pytest.mark.parametrize(
    ("text", "hint"),
    [("p95_ttft=500", "Did you mean 'ttft_ms'"), ("ttft_ms<5", "must read like"), ("p95_ttft_ms=-1", "must read like"),
     ("", "names no limit"), ("p95_ttft_ms=x", "must read like"), ("p95_ttft_ms=nan", "must read like")],
)  # fmt: skip
def test_a_wrong_slo_is_explained(text, hint):
    with pytest.raises(InputError, match=hint):
        parse_slos(text)


@pytest.mark.parametrize("least", [1, 2, 7, 33, 100])
def test_the_search_finds_the_least(least):
    for guess in (1, 5, 60):
        assert fewest(lambda count: count >= least, guess) == least


def test_the_search_gives_up():
    with pytest.raises(InputError, match="4096"):
        fewest(lambda count: False, 1)


@pytest.mark.parametrize(("replicas", "accelerators"), [(1, 1), (10, 8), (200, 8), (4000, 1)])
def test_the_reserve_keeps_enough_up(replicas, accelerators):
    spare, because = failure_reserve(replicas, accelerators)
    up = (MTBF_HOURS / accelerators) / (MTBF_HOURS / accelerators + REPAIR_HOURS)
    assert binom.sf(replicas - 1, replicas + spare, up) >= 0.999
    assert spare == 0 or binom.sf(replicas - 1, replicas + spare - 1, up) < 0.999
    assert "failure binds" in because
