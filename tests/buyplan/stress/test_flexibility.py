"""Rights by hand, against brute force, and in the limits where they are worth nothing."""

import tracemalloc
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from stress_cases import hand_basis, small_basis

from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.stress.fleet import Fleet
from aifactory.buyplan.stress.flexibility import (
    _by_group,
    _jobs_at_a_time,
    _nodes_left,
    _used,
    handed_back,
    shorter_terms,
    spare_usd,
    swapped,
    value_flexibility,
    without_hours,
    without_waiting,
)
from aifactory.buyplan.stress.replan import copies
from aifactory.buyplan.stress.stresses import stressed
from aifactory.buyplan.stress.world import outcome
from aifactory.errors import AIFactoryError
from aifactory.fleet.widths import Widths

MONTH = 730.0


def fleet_of(basis):
    case = stressed(basis, 0)
    return Fleet(case.world, case.nodes)


def idle_basis():
    """The hand-computed company with demand that ends after the first month."""
    basis = hand_basis()
    demand = basis.problem.demand.copy()
    demand[:, 1:] = 0.0
    return replace(basis, problem=replace(basis.problem, demand=demand))


def test_the_table_of_fleets_is_the_evaluator(basis):
    fleet = fleet_of(basis)
    usd = fleet.usd(0, 3)
    for count in range(4):
        world = replace(fleet.world, owned=fleet.world.owned + np.array([4.0 * count, 1e6]))
        own = evaluate_plan(world, np.zeros(len(world.orders))).recourse_usd
        assert usd[:, :, count] @ world.discount[:-1] == pytest.approx(own, rel=1e-9)


def test_an_exit_by_hand():
    """Idle from the second month on: with a review then and no notice two months of 4 x 1,000 are not paid."""
    assert handed_back(fleet_of(idle_basis()), reviews=(1,), notice=0) == pytest.approx([2 * 4000])
    assert handed_back(fleet_of(idle_basis()), reviews=(1,), notice=1) == pytest.approx([4000])
    assert handed_back(fleet_of(idle_basis()), reviews=(1,), notice=2) == pytest.approx([0.0])


def test_nodes_left_one_by_one_are_those_of_whole_copies_and_take_no_more_memory():
    """300 nodes on 20 paths: a copy for each number of nodes handed back would take 301 times the memory of one."""
    rng = np.random.default_rng(1)
    serves = rng.integers(0, 2, (20, 300, 36))
    held = serves[:, :, 9].astype(bool)
    rank = np.where(held, np.cumsum(held, axis=1), 0)
    tracemalloc.start()
    found = [nodes.copy() for nodes in _nodes_left(serves, rank, 12)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < serves.nbytes + sum(nodes.nbytes for nodes in found)
    assert len(found) == rank.max() + 1
    for count, nodes in enumerate(found):
        kept = serves.copy()
        kept[:, :, 12:] *= ~(held & (rank <= count))[:, :, None]
        np.testing.assert_array_equal(nodes, kept.sum(axis=1))


def test_nothing_is_handed_back_that_works():
    assert handed_back(fleet_of(hand_basis()), reviews=(1,), notice=0) == pytest.approx([0.0])


def test_an_exit_never_costs(basis):
    assert handed_back(fleet_of(basis), reviews=(3, 6, 9), notice=1).mean() >= 0
    # finer groups decide no worse at a single review
    values = [handed_back(fleet_of(basis), reviews=(4,), notice=1, groups=n).mean() for n in (1, 2, 6)]
    assert values == sorted(values)


def test_bought_kit_is_handed_back_at_its_resale():
    basis = idle_basis()
    option = replace(basis.problem.options[0], name="purchase", monthly_usd=0.0, resale_usd=900.0, resale_per_year=0.5)
    fleet = fleet_of(replace(basis, problem=replace(basis.problem, options=(option,))))
    expected = 4 * 900 * (0.5 ** (1 / 12) - 0.5 ** (3 / 12))
    assert handed_back(fleet, reviews=(1,), notice=0) == pytest.approx([expected])


def test_a_swap_against_brute_force():
    basis = small_basis(paths=3, months=3, node_size=np.array([2, 2]))
    nodes = np.zeros(len(basis.problem.orders))
    for at, (option, month) in enumerate(basis.problem.orders):
        if option.name == "reserved_1y" and month == 0:
            nodes[at] = 4 if option.platform == 0 else 1
    fleet = fleet_of(replace(basis, nodes=nodes))
    usd = [fleet.usd(p, 5) for p in (0, 1)]
    best = np.min([usd[0][:, :, a] + usd[1][:, :, b] for a, b in product(range(6), repeat=2) if a + b == 5], axis=0)
    own = usd[0][:, :, 4] + usd[1][:, :, 1]
    expected = (own - best) @ basis.problem.discount[:-1]
    assert swapped(fleet, ["chip", "chip"]) == pytest.approx(expected)
    assert swapped(fleet, ["chip-a", "chip-b"]) == pytest.approx(np.zeros(3))


def test_spare_hours_by_hand():
    """4 accelerators idle for 2 months, at the 1,000 a month that they cost."""
    assert spare_usd(fleet_of(idle_basis())) == pytest.approx([4 * 1000 * 2])
    assert spare_usd(fleet_of(hand_basis())) == pytest.approx([0.0])
    idle = idle_basis()
    dear = replace(idle, problem=replace(idle.problem, around_usd=0.5))
    assert spare_usd(fleet_of(dear)) == pytest.approx([4 * (1000 + 730 * 0.5) * 2])  # people and storage are paid too
    cheap = replace(dear, problem=replace(dear.problem, on_demand_usd=np.ones((3, 1)), spot_usd=np.ones((3, 1))))
    assert spare_usd(fleet_of(cheap)) == pytest.approx([4 * 730 * (1 + 0.5) * 2])  # at most what rented hours cost


def test_used_and_missed_hours_add_up(basis):
    world = stressed(basis, 0).world
    alone, none = copies(world, 0, 1), np.zeros((12, 1))
    hours = np.einsum("stwk,k->st", alone.demand, alone.block_hours)
    assert _used(alone, none) == pytest.approx(np.zeros_like(hours))
    assert _used(alone, np.full((12, 1), 1e4)) == pytest.approx(hours)
    part = _used(alone, np.full((12, 1), 10.0))
    assert ((part <= 10 * MONTH + 1e-6) & (part <= hours + 1e-6)).all()


def test_rights_that_cannot_be_used_are_worth_nothing(basis):
    base = outcome(stressed(basis, 0).world, basis.nodes).by_path_usd
    firm = replace(basis, problem=replace(basis.problem, deferrable=np.zeros(3, bool)))
    assert (without_waiting(firm, base) == base).all()
    short = tuple(option for option in basis.problem.options if option.term_months <= 12)
    only = replace(basis, problem=replace(basis.problem, options=short))
    plan = np.zeros(len(only.problem.orders))
    best = shorter_terms(only, plan)
    assert best == pytest.approx(shorter_terms(only, plan))


def test_without_hours_by_hand():
    """No hours to rent: 6 accelerators need two nodes of 4; missing 2 at 10 an hour costs more."""
    found = without_hours(hand_basis(), np.array([1.0, 0.0, 0.0]))
    assert found == pytest.approx([3 * 2 * 4000])


def test_the_table_adds_up(basis):
    found = value_flexibility(basis).table
    assert len(found) == 6
    assert found["worth_usd"].is_monotonic_decreasing
    assert (found["worth_usd"] >= 0).all()
    weight = basis.problem.risk_weight
    mixed = (1 - weight) * found["expected_usd"] + weight * found["tail_usd"]
    assert found["worth_usd"].to_numpy() == pytest.approx(np.maximum(mixed, 0).to_numpy(), abs=1e-6)


def test_shared_platforms_are_not_valued(basis):
    shared = replace(basis, problem=replace(basis.problem, rate=np.array([[1.0, 0.5], [1.0, 0.0], [0.0, 1.0]])))
    assert value_flexibility(shared) is None
    with pytest.raises(AIFactoryError, match="one platform only"):
        fleet_of(shared)


def test_like_paths_decide_together():
    costs = np.array([[0.0, 0, 0, 0], [-1.0, -1, 3, 3]])
    assert _by_group(costs, np.array([1.0, 2, 3, 4]), 2).tolist() == [1, 1, 0, 0]
    assert _by_group(costs, np.array([1.0, 2, 3, 4]), 1).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("wide", [2.0, 64.0])
def test_work_of_few_wide_jobs_gains_nothing_by_waiting(basis, wide):
    """As an even load it would need less at once than its jobs do, as if not waiting were a gain."""
    one = np.zeros((3, 1))
    waits = np.asarray(basis.problem.deferrable, bool)
    one[waits] = 1.0
    problem = replace(basis.problem, widths=Widths(np.array([wide]), one))
    changed = replace(basis, problem=problem)
    base = outcome(stressed(changed, 0).world, basis.nodes).by_path_usd
    few = _jobs_at_a_time(problem)[waits] < 1.0
    at_work = np.full((2, 12, 3), 3 * wide)  # what fills idle nodes counts too
    assert _jobs_at_a_time(problem, at_work)[waits] == pytest.approx(3.0)
    found = without_waiting(changed, base)
    assert few.all() == (wide == 64.0)
    assert (found == base).all() if few.all() else found.mean() >= base.mean() - 1e-6


def test_where_no_work_waits_without_a_limit_nothing_is_said_of_waiting(basis):
    """Work with a limit of hours is spread over them already: a worth of 0 would say that its wait is worth nothing."""
    named = value_flexibility(basis).table["right"].tolist()
    strict = replace(basis, problem=replace(basis.problem, deferrable=np.zeros(len(basis.problem.rate), dtype=bool)))
    left = value_flexibility(strict).table["right"].tolist()
    assert "Work that may wait" in named and "Work that may wait" not in left and len(left) == len(named) - 1
