"""Dual simplex steps from a known basis: by hand, and the same as the solver's programmes."""

from dataclasses import replace

import numpy as np
import pytest
from planning_problems import problem, with_ports

from aifactory.buyplan.optimise import vertices, walk
from aifactory.buyplan.optimise.recourse import Recourse
from aifactory.buyplan.optimise.vertices import VertexPool

#: min x + 3 y  s.t.  x + y >= need, x <= room, x, y >= 0: y serves what x has no room for.
MATRIX, SIGN, COSTS = np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([1.0, -1.0]), np.array([1.0, 3.0])


def steps_from(pool, sides):
    """From where there is room: x basic, the room's slack basic, the need binds."""
    pool._keep(np.array([[walk.IN, walk.LOW, walk.LOW, walk.IN]], dtype=np.int8))
    start = pool.vertices[0]
    return walk.walk(
        *pool._columns, pool.costs, pool.upper, pool.bound_of, pool.per_side, pool.sign,
        start.inverse, start.head, start.status, np.asarray(sides, float),
    )  # fmt: skip


@pytest.mark.parametrize("most", [np.inf, 5.0])
def test_one_step_by_hand(most):
    pool = VertexPool(MATRIX, SIGN, COSTS, np.array([np.inf, most]))
    values, duals, steps, _ = steps_from(pool, [[3.0, 4.0], [6.0, 4.0]])
    assert values.tolist() == pytest.approx([3.0, 4.0 + 3 * 2.0])
    assert duals.tolist() == [pytest.approx([1.0, 0.0]), pytest.approx([3.0, -2.0])]
    assert steps.tolist() == [0, 1]


def test_an_upper_bound_that_is_a_right_hand_side_by_hand():
    """min x + 3 y, x + y >= need, x <= 2 room: the bound costs 2 USD a unit, and so 4 per unit of room, where it binds."""
    pool = VertexPool(np.array([[1.0, 1.0]]), SIGN[:1], COSTS, np.full(2, np.inf), np.array([0]), np.array([2.0]))
    sides = np.array([[3.0, 2.0], [6.0, 2.0], [6.0, 0.0]])

    def solve(side):
        more = side[0] > 2 * side[1]
        return np.array([not more, more]), np.array([more, False]), np.array([False])

    for _ in range(2):
        values, duals = pool.price(sides, solve)
        assert values.tolist() == [3.0, 10.0, 18.0]
        assert duals.tolist() == [[1.0, 0.0], [3.0, -4.0], [3.0, -4.0]]


def test_a_column_that_is_told_to_be_at_its_lower_bound_where_both_meet_is_at_the_upper_one_for_other_sides():
    pool = VertexPool(np.array([[1.0, 1.0]]), SIGN[:1], COSTS, np.full(2, np.inf), np.array([0]), np.array([2.0]))
    y_serves = np.array([False, True]), np.array([False, False]), np.array([False])
    assert pool.price(np.array([[6.0, 0.0]]), lambda _side: y_serves)[0].tolist() == [18.0]
    values, duals = pool.price(np.array([[6.0, 2.0], [6.0, 0.0]]), lambda _side: y_serves)
    assert values.tolist() == [10.0, 18.0] and duals[0].tolist() == [3.0, -4.0]


def test_a_side_that_nothing_serves_is_left_to_the_solver():
    pool = VertexPool(MATRIX, SIGN, COSTS, np.array([np.inf, 1.0]))
    steps = steps_from(pool, [[6.0, 4.0], [5.0, 4.0]])[2]
    assert steps[0] == -1 and steps[1] > 0


def cases():
    few_hours = {"on_demand_most": np.full(3, 8.0)}
    yield problem(20, 8, 5, 3)
    yield problem(20, 8, 5, 3, seed=3, **few_hours)
    yield problem(
        20,
        8,
        4,
        3,
        seed=4,
        deferrable=np.arange(4) != 1,
        api_usd=np.full((8, 4), np.inf),
        spot_usd=np.full((8, 3), np.inf),
        **few_hours,
    )
    yield with_ports(problem(20, 8, 4, 3, seed=5))


@pytest.mark.parametrize("case", list(cases()))
def test_values_and_duals_are_those_of_the_solver(case, monkeypatch):
    rng, taken = np.random.default_rng(7), []
    load = case.demand.mean(axis=(0, 3)).sum(axis=1) / 1500
    capacity = rng.uniform(0, 0.7, (case.months, case.platforms)) * load[:, None]
    ports = rng.uniform(-0.5, 1.5, len(case.ports)).clip(0, 1)

    def counted(*given):
        found = walk.walk(*given)
        taken.extend(found[2])
        return found

    for name, value in (("SEEDS", 1), ("WALKED", 16), ("BATCH", 2), ("walk", counted)):
        monkeypatch.setattr(vertices, name, value)
    usd, worth = Recourse(case).cost(capacity, ported=ports)
    assert (np.array(taken) > 0).sum() >= 10 and (np.array(taken) >= 0).mean() > 0.95
    monkeypatch.setattr(vertices, "SEEDS", 10**9)
    assert usd == pytest.approx(Recourse(case).cost(capacity, ported=ports)[0], rel=1e-9)
    # duals may differ where several are best: any of them is a subgradient in what is there, and in ports
    rng = np.random.default_rng(8)
    more, others = capacity + rng.uniform(0, 4, capacity.shape), rng.uniform(0, 1, len(case.ports))
    other = Recourse(case).cost(more, ported=others)[0]
    line = usd + np.einsum("stp,tp->st", worth[:, :, : case.platforms], more - capacity)
    line += worth[:, :, case.platforms :] @ (others - ports)
    assert (other >= line - 1e-6 * np.abs(usd).max()).all()


@pytest.mark.parametrize("seeds", [1, 10**9])
@pytest.mark.parametrize("case", list(cases()))
def test_bounds_rise_with_every_call_and_never_pass_the_cost(case, seeds, monkeypatch):
    """Some sides a call: what is known so far bounds all of them from below, with duals that hold at any capacity."""
    monkeypatch.setattr(vertices, "SEEDS", seeds)
    rng = np.random.default_rng(9)
    load = case.demand.mean(axis=(0, 3)).sum(axis=1) / 1500
    here, there = (rng.uniform(0, 0.7, (case.months, case.platforms)) * load[:, None] for _ in range(2))
    exact, elsewhere = (Recourse(case).cost(capacity)[0] for capacity in (here, there))
    recourse, before, scale = Recourse(case), np.full(exact.shape, -np.inf), np.abs(exact).max()
    for _ in range(6):
        usd, worth = recourse.cost(here, solves=32)
        assert (usd <= exact + 1e-9 * scale).all() and (usd >= before - 1e-9 * scale).all()
        line = usd + np.einsum("stp,tp->st", worth[:, :, : case.platforms], there - here)
        assert (elsewhere >= line - 1e-6 * scale).all()
        before = usd
    assert before.sum() >= 0.98 * exact.sum()


def test_without_steps_the_solver_does_it_all(monkeypatch):
    case = problem(10, 6, 4, 3)
    plan = np.ones(len(case.orders))
    usd = Recourse(case).cost(case.capacity(plan))[0]
    monkeypatch.setattr(vertices, "SEEDS", 1)
    monkeypatch.setattr(
        vertices,
        "walk",
        lambda *given: (*(np.zeros((len(given[-1]),)),) * 2, np.full(len(given[-1]), -1), np.zeros((0, 1))),
    )
    assert Recourse(replace(case)).cost(case.capacity(plan))[0] == pytest.approx(usd, rel=1e-12)
