"""One sweep on threads, processes and a cluster: the same digits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.serving.capacity_curve import CapacityCurve, capacity_curve, cheapest_fleets
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Failures, Fleet, Pool, RequestStream
from aifactory.serving.slo_sizing import mean_rate, meets, parse_slos, size_fleet
from aifactory.serving.step_time import StepTime
from aifactory.serving.sweeps import Case, sweep, sweep_fleets

LAW = StepTime(6.6e-5, 9.6e-3, 6.5e-8, 4e-9, 1.5e-3, 450_000, knee=2.0, chunk_tokens=512)
CHEAP = replace(LAW, s_per_token=1.6e-4, s_weights=2e-2)


def stream(seed=0, size=1500, rate=20.0):
    draw = np.random.default_rng(seed)
    return RequestStream(
        np.cumsum(draw.exponential(1 / rate, size)), draw.integers(100, 2000, size), draw.integers(1, 300, size)
    )


def cases():
    return [
        Case(workload, platform, f"rate x {rate:g}", stream(seed, 600).scaled(rate), fleet)
        for seed, workload in enumerate(("chat", "code"))
        for platform, law in (("fast", LAW), ("slow", CHEAP))
        for rate in (0.5, 1.0)
        for fleet in (
            Fleet(Pool(law, count), routing="least_outstanding", retries=2, failures=Failures(30.0, 5.0))
            for count in (2, 4)
        )
    ]


@pytest.fixture(scope="module")
def expected():
    return sweep_fleets(cases(), backend="sequential", seed=3)


def test_rows_follow_the_cases(expected):
    assert len(expected) == 16
    assert expected[["workload", "platform"]].drop_duplicates().shape == (4, 2)
    assert (expected[["served", "failed", "overflowed", "unfinished"]].sum(axis=1) == expected["requests"]).all()


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_one_machine_gives_the_same_digits(expected, backend):
    pd.testing.assert_frame_equal(sweep_fleets(cases(), backend=backend, workers=2, seed=3), expected, check_exact=True)


def test_a_cluster_gives_the_same_digits(expected):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)
    with cluster, distributed.Client(cluster):
        found = sweep_fleets(cases(), backend="dask", seed=3)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_another_seed_changes_failures(expected):
    assert not sweep_fleets(cases(), backend="sequential", seed=4)["p99_e2e_ms"].equals(expected["p99_e2e_ms"])


def test_an_unknown_backend_gets_a_hint():
    with pytest.raises(InputError, match="Did you mean 'threading'"):
        sweep(print, [1], backend="threads")


SLOS = parse_slos("p95_ttft_ms=800,p95_tpot_ms=60")


def test_the_curve_agrees_with_the_size_of_the_stream():
    requests, fleet = stream(), Fleet(Pool(LAW, 1), routing="least_outstanding")
    curve = capacity_curve(requests, fleet, SLOS, counts=(1, 2, 4, 8))
    assert sorted(curve.requests_per_s) == list(curve.requests_per_s)
    direct = size_fleet(requests, fleet, SLOS).slo_replicas
    assert abs(int(curve.replicas_for(mean_rate(requests))) - direct) <= 1


def test_the_curve_is_kept(tmp_path):
    requests, fleet = stream(7, 300), Fleet(Pool(LAW, 1))
    first = capacity_curve(requests, fleet, SLOS, counts=(1, 2), folder=tmp_path)
    assert capacity_curve(requests, fleet, SLOS, counts=(1, 2), folder=tmp_path) is first
    assert len(list(tmp_path.iterdir())) == 1
    assert capacity_curve(stream(8, 300), fleet, SLOS, counts=(1, 2), folder=tmp_path) != first


def test_a_rate_beyond_the_curve_grows_in_proportion():
    curve = CapacityCurve((1, 10), (5.0, 80.0))
    assert curve.replicas_for(160.0) == 20
    with pytest.raises(InputError):
        CapacityCurve((1,), (0.0,)).replicas_for(1.0)


def test_the_cheapest_fleet_keeps_the_slo():
    pools = {"fast": Pool(LAW, 1, usd_per_hour=4.0), "slow": Pool(CHEAP, 1, usd_per_hour=1.0)}
    slos = parse_slos("p95_ttft_ms=2500,p95_tpot_ms=120")
    offers = cheapest_fleets(stream(), pools, slos)
    assert [offer.usd_per_hour for offer in offers] == sorted(offer.usd_per_hour for offer in offers)
    for offer in offers:
        assert meets(simulate_fleet(stream(), offer.fleet), slos)
    assert any("+" in offer.name for offer in offers) or len(offers) == 2
    with pytest.raises(InputError, match="none of"):
        cheapest_fleets(stream(), pools, parse_slos("p95_ttft_ms=1"))
