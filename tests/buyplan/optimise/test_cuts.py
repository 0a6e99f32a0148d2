"""Cuts in a pool: those laid aside come back where a point breaks them, and bounds stay those of all cuts."""

import time

import numpy as np
import pytest
from planning_problems import problem, with_ports

from aifactory.buyplan.optimise import master as of
from aifactory.buyplan.optimise.cuts import CutPool
from aifactory.buyplan.optimise.evaluate import evaluate_with_slopes
from aifactory.buyplan.optimise.master import Master


def test_a_point_breaks_the_worst_cuts_first():
    """By hand: at (1, 1) the cuts x >= 2, y >= 1, x + y >= 6 lack 1 of 2, nothing, 4 of 6."""
    pool = CutPool(2)
    for row, least in (([1.0, 0.0], 2.0), ([0.0, 1.0], 1.0), ([1.0, 1.0], 6.0)):
        pool.add(np.array(row), least)
    none = np.zeros(0, dtype=int)
    assert pool.broken(np.ones(2), none, 5).tolist() == [2, 0]
    assert pool.broken(np.ones(2), none, 1).tolist() == [2]
    assert pool.broken(np.ones(2), np.array([2]), 5).tolist() == [0]
    assert pool.broken(np.array([3.0, 3.0]), none, 5).tolist() == []


def test_a_pool_grows_and_its_copy_goes_its_own_way():
    pool = CutPool(1)
    for number in range(600):
        assert pool.add(np.ones(1), float(number)) == number
    other = pool.copy()
    other.add(np.ones(1), 1000.0)
    assert (pool.count, other.count) == (600, 601)
    assert pool.cut(599)[1] == 599.0
    assert pool.broken(np.zeros(1), np.zeros(0, dtype=int), 600).tolist() == list(range(1, 600))


@pytest.mark.parametrize("together", [1, 3])
def test_a_search_that_lays_cuts_aside_keeps_the_bound_of_all_of_them(together, monkeypatch):
    """Oracle: a master that never lays a cut aside, at the same points and bounds of ports."""
    case = with_ports(problem(6, 9, 3, 3))
    monkeypatch.setattr(of, "MANY_CUTS", 5)
    monkeypatch.setattr(of, "UNUSED_NODES", 0)
    few, all_cuts = Master(case, together), Master(case, together)
    rng, ports = np.random.default_rng(3), len(case.ports)
    end, aside = time.monotonic() + 60, 0
    for _ in range(25):
        plan = np.append(rng.uniform(0, 30, len(case.orders)), rng.random(ports))
        slopes = evaluate_with_slopes(case, plan)[1]
        few.forget()
        for master in (few, all_cuts):
            master.add(plan, slopes)
        held = rng.integers(0, 2, ports).astype(float)
        for lower, upper in ((np.zeros(ports), np.ones(ports)), (held, held)):
            bounds = []
            for master in (few, all_cuts):
                master.bound_ports(lower, upper)
                bounds.append(master.solve(end)[1])
                master.count_use()
            assert bounds[0] == pytest.approx(bounds[1], rel=1e-7)
        aside = max(aside, all_cuts.solver.getNumRow() - few.solver.getNumRow())
    assert aside > 20
