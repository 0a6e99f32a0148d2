"""Step times fitted to latencies: own latencies are found again, Vidur's are predicted at other loads."""

from dataclasses import replace

import numpy as np
import pytest
from vidur_runs import FITTED_AT, RATES, fit_and_compare

from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, Pool, RequestStream
from aifactory.serving.replay_fit import FITTED, fit_to_latencies, latency_errors
from aifactory.serving.step_time import StepTime

LAW = StepTime(7e-5, 9e-3, 7e-8, 1e-8, 2e-3, 400_000, chunk_tokens=512, knee=2.0)


def test_own_latencies_are_found_again():
    draw = np.random.default_rng(4)
    stream = RequestStream(
        np.cumsum(draw.exponential(1 / 7, 800)), draw.integers(50, 2000, 800), draw.integers(1, 300, 800)
    )
    truth = simulate_fleet(stream, Fleet(Pool(LAW, 1)))
    start = replace(LAW, **{name: 1.3 * getattr(LAW, name) for name in FITTED})
    found = fit_to_latencies(stream, truth.ttft_s, truth.e2e_s, Fleet(Pool(start, 1)))
    assert found.s_weights == pytest.approx(LAW.s_weights, rel=0.05)
    again = simulate_fleet(stream, Fleet(Pool(found, 1)))
    assert latency_errors(again.e2e_s, truth.e2e_s)["per_request"] < 0.02


def test_vidur_is_predicted_at_loads_that_were_not_fitted(shared_dir):
    _, errors = fit_and_compare(shared_dir, simulate_fleet)
    for rate in set(RATES) - {FITTED_AT}:
        for latency in ("ttft", "e2e"):
            assert max(abs(errors[rate][latency][name]) for name in ("p50", "p90", "p99")) <= 0.06
        assert errors[rate]["e2e"]["per_request"] <= 0.04
