"""The event simulator beside the plain engine: small streams, and what must agree or add up."""

import numpy as np
import pytest

from aifactory.serving.fleet import RequestStream
from aifactory.serving.step_time import StepTime

LAW = StepTime(1e-4, 4e-3, 2e-8, 1e-9, 1e-3, 20_000, s_per_sequence=1e-5, max_batch=32, chunk_tokens=256)


def stream(size=60, rate=20.0, seed=0, *, longest=600, outputs=80, cached=False, priorities=1):
    draw = np.random.default_rng(seed)
    inputs = draw.integers(1, longest, size)
    return RequestStream(
        np.cumsum(draw.exponential(1 / rate, size)),
        inputs,
        draw.integers(1, outputs, size),
        draw.integers(0, inputs) if cached else np.empty(0, int),
        draw.integers(0, priorities, size) if priorities > 1 else np.empty(0, int),
    )


def agree(run, plain):
    assert run.table()["outcome"].tolist() == plain.column("outcome").tolist()
    records = run.sim.requests
    for ours, theirs in (("finish_s", "finish"), ("first_s", "first"), ("start_s", "start")):
        known = run.answered
        np.testing.assert_allclose(records[ours][known], plain.column(theirs)[known], rtol=1e-9)
    assert records["retries"].tolist() == plain.column("retries").tolist()
    assert run.sim.replicas["preempted"].sum() == sum(r.preempted for pool in plain.pools for r in pool)
    assert run.causes == {why: int((plain.column("cause") == why).sum()) for why in run.causes}
    assert (run.preempted_tokens, run.lost_tokens) == (plain.wasted["preempted"], plain.wasted["lost"])
    here = run.by_replica
    assert run.reused_tokens[here].tolist() == plain.column("reused")[here].tolist()
    busy = sum(replica.busy for pool in plain.pools for replica in pool)
    assert run.totals[:, 0].sum() == pytest.approx(busy, rel=1e-9)


def check_identities(run):
    assert sum(run.counts.values()) == len(run.requests)
    inside, stays = run.little()
    assert inside == pytest.approx(stays, rel=1e-9)
    done, spent = run.computed_tokens()
    assert done == pytest.approx(spent, rel=1e-9)
    if run.sim.hits.size:
        assert (run.sim.caches["idle"] <= run.sim.replicas["free"]).all()
        assert run.fleet.failures or run.fleet.autoscale or not run.sim.prefixes["users"].any()
    free = run.sim.replicas["free"]
    assert (free == run.sim.laws["blocks"][run.sim.replicas["law"]]).all()
    assert not run.sim.residues.any()
    assert (run.sim.wheel == -1).all()
