"""The quick planner against the whole programme, and its bound."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import Bounds, milp
from stress_cases import small_basis

from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.extensive import solve_extensive
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.stress.replan import CLOSE_ROUNDS, Replanner, replan, savings
from aifactory.buyplan.stress.world import after, world_of


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("risk_weight", "around_usd"), [(0.0, 0.0), (0.3, 0.0), (0.3, 1.5)])
def test_it_finds_what_the_whole_programme_finds(seed, risk_weight, around_usd):
    basis = small_basis(seed=seed, months=7, risk_weight=risk_weight, around_usd=around_usd)
    world = world_of(basis.problem)
    oracle = solve_extensive(world, gap=1e-6, time_limit_s=60)
    found = replan(world, basis.nodes, gap=1e-5)
    assert found.bound_usd <= oracle.objective_usd * (1 + 1e-6)
    assert found.objective_usd == pytest.approx(oracle.objective_usd, rel=2e-3)
    assert found.objective_usd >= oracle.bound_usd * (1 - 1e-6)


@pytest.mark.parametrize(("seed", "risk_weight"), [(1, 0.3), (2, 0.6)])
def test_the_close_search_finds_the_best_plan_where_a_quick_one_does_not(seed, risk_weight):
    basis = small_basis(seed=seed, months=9, risk_weight=risk_weight)
    world = world_of(basis.problem)
    best = solve_extensive(world, gap=1e-9, time_limit_s=60).objective_usd
    assert replan(world, basis.nodes, gap=1e-4).objective_usd > best * 1.0001
    close = Replanner(world, basis.nodes, 1e-4, CLOSE_ROUNDS).best(gap=1e-4)
    assert close.objective_usd == pytest.approx(best, rel=1e-8)


@pytest.mark.parametrize(("seed", "risk_weight"), [(1, 0.0), (1, 0.3), (2, 0.6), (3, 0.3)])
def test_no_programme_is_solved_again_for_weights_that_stayed(seed, risk_weight):
    """A gap that cannot be reached asks for every round; without a tail the weights never change, and one is enough."""
    basis = small_basis(seed=seed, months=9, risk_weight=risk_weight)
    search = Replanner(world_of(basis.problem), basis.nodes, 1e-4, CLOSE_ROUNDS)
    programme, asked = search._programme, []

    class Counted:
        def solve(self, weights, held):
            asked.append(weights)
            return programme.solve(weights, held)

    search.__dict__["_programme"] = Counted()
    found = search.best(gap=-1.0)
    moved = np.abs(np.diff(asked, axis=0)).max(axis=1)
    assert (moved > 1e-12).all() and (risk_weight > 0) == (len(moved) > 0)
    best = solve_extensive(world_of(basis.problem), gap=1e-9, time_limit_s=60).objective_usd
    assert found.objective_usd == pytest.approx(best, rel=1e-8)


def test_a_plan_is_priced_by_the_evaluator_and_never_beaten_by_its_start(basis):
    world = world_of(basis.problem)
    found = replan(world, basis.nodes)
    assert found.objective_usd == pytest.approx(evaluate_plan(world, found.nodes).objective_usd, rel=1e-12)
    assert found.objective_usd <= evaluate_plan(world, basis.nodes).objective_usd
    assert replan(world, found.nodes).objective_usd <= found.objective_usd


def test_early_orders_stand(basis):
    world = world_of(basis.problem)
    anew = Replanner(world, basis.nodes)
    free, kept = anew.best(), anew.best(4)
    early = np.array([month < 4 for _, month in world.orders])
    assert (kept.nodes[early] == basis.nodes[early]).all()
    assert free.objective_usd <= kept.objective_usd * (1 + 1e-9)
    assert free.bound_usd <= kept.bound_usd * (1 + 1e-9)
    rest = solve_extensive(after(world, basis.nodes, 4), gap=1e-6)
    paid = after(world, basis.nodes, 4).sunk_usd
    assert kept.objective_usd == pytest.approx(rest.objective_usd + paid, rel=2e-3)


def test_limits_hold(basis):
    world = world_of(basis.problem, site_kw=np.full((12, 1), 3.0), site_draw_kw=basis.problem.kw[:, None])
    found = replan(world, np.zeros(len(world.orders)))
    rows, bounds, _ = world.limits()
    assert (rows @ found.nodes <= bounds + 1e-9).all()
    oracle = solve_extensive(world, gap=1e-6)
    assert found.objective_usd == pytest.approx(oracle.objective_usd, rel=3e-3)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("site_kw", [1.7, 3.3])
def test_bounds_around_the_programme_lose_no_plan(seed, site_kw):
    basis = small_basis(seed=seed, months=8)
    world = world_of(basis.problem, site_kw=np.full((8, 1), site_kw), site_draw_kw=basis.problem.kw[:, None])
    start, count = np.zeros(len(world.orders)), len(world.orders)
    programme = Replanner(world, start, mip_gap=1e-8)._programme
    weights = np.random.default_rng(seed).dirichlet(np.full(world.paths, 0.5))
    nodes, bound = programme.solve(weights, np.zeros(count, dtype=bool))
    costs = np.append(world.order_usd + weights @ world.order_swing, -(weights @ programme.saved))
    most = Bounds(0.0, np.append(np.full(count, np.inf), np.ones(programme.layer_columns)))
    oracle = milp(
        costs, constraints=programme.rows, bounds=most, integrality=programme.whole, options={"mip_rel_gap": 1e-9}
    )
    best = oracle.fun + weights @ programme.base
    held = Bounds(
        np.append(nodes, np.zeros(programme.layer_columns)), np.append(nodes, np.ones(programme.layer_columns))
    )
    mine = milp(costs, constraints=programme.rows, bounds=held).fun + weights @ programme.base
    assert mine == pytest.approx(best, rel=1e-7)
    assert bound <= best * (1 + 1e-9)


@pytest.mark.parametrize(
    ("seed", "least", "around_usd"), [(1, 2, 0.0), (2, 3, 1.5), (3, 2, 0.0), (6, 3, 0.0), (8, 5, 0.0)]
)
def test_orders_with_a_smallest_size_are_planned_as_in_the_whole_programme(seed, least, around_usd):
    basis = small_basis(seed=seed, months=9, around_usd=around_usd)
    options = tuple(replace(option, minimum_nodes=least) for option in basis.problem.options)
    world = world_of(replace(basis.problem, options=options))
    oracle = solve_extensive(world, gap=1e-7, time_limit_s=60)
    anew = Replanner(world, np.zeros(len(world.orders)), 1e-4, CLOSE_ROUNDS)
    found = anew.best(gap=1e-3)
    assert anew.separable
    assert found.objective_usd == pytest.approx(oracle.objective_usd, rel=1e-3)
    assert found.bound_usd <= oracle.objective_usd * (1 + 1e-7)
    assert ((found.nodes == 0) | (found.nodes >= least)).all()


def test_a_second_node_that_does_not_pay_comes_with_an_order_of_two_that_does():
    """One node saves 10 x 730, the second 3 x 730, at 6 x 730 each: two save 13 and cost 12; one is not sold."""
    pair = Option("reserved_1y", 0, 12, 0, 0.0, 6.0 * 730, on_site=False, minimum_nodes=2)
    world = one_pool(np.array([2.0, 1.0]), np.array([219.0, 511.0]), 10.0, pair)
    found = replan(world, np.zeros(1), gap=1e-6)
    assert found.nodes.tolist() == [2.0]
    assert found.objective_usd == pytest.approx(2 * 6.0 * 730 * 12) and found.bound_usd <= found.objective_usd * (
        1 + 1e-9
    )
    dearer = replace(world, options=(replace(pair, monthly_usd=6.6 * 730),))  # 13.2 for what saves 13
    assert replan(dearer, np.zeros(1), gap=1e-6).nodes.tolist() == [0.0]


def one_pool(level, hours, usd, option):
    """A stream on one platform with nodes of one accelerator: so many in so many hours of each month, rented at a price."""
    return world_of(Problem(
        demand=np.tile(level, (2, 12, 1, 1)), block_hours=hours, rate=np.ones((1, 1)), deferrable=np.zeros(1, bool),
        node_size=np.ones(1), options=(option,), on_demand_usd=np.full((12, 1), usd), spot_usd=np.full((12, 1), usd),
        api_usd=np.full((12, 1), np.inf), miss_usd=np.full(1, 1e3), owned=np.zeros((12, 1)), on_demand_most=np.full(1, np.inf),
        spot_share=np.ones(1), kw=np.ones(1), order_months=(0,), wacc=0.0,
    ))  # fmt: skip


def test_where_platforms_share_work_the_decomposition_plans(basis):
    shared = replace(
        basis.problem, rate=np.array([[1.0, 0.5], [1.0, 0.0], [0.0, 1.0]]), demand=basis.problem.demand[:3]
    )
    world = world_of(shared)
    anew = Replanner(world, basis.nodes)
    assert not anew.separable
    found, kept = anew.best(), anew.best(4)
    assert found.bound_usd <= found.objective_usd * (1 + 1e-9)
    assert found.objective_usd <= kept.objective_usd * (1 + 0.01)
    assert kept.objective_usd == pytest.approx(evaluate_plan(world, kept.nodes).objective_usd, rel=1e-9)


@pytest.mark.parametrize("around_usd", [0.0, 1.5])
def test_each_further_node_saves_less_and_the_sum_is_the_difference(basis, around_usd):
    world = world_of(basis.problem, around_usd=around_usd)
    saved = list(savings(world, 1, least_nodes=3))
    assert all((after <= before + 1e-9).all() for before, after in zip(saved, saved[1:], strict=False))
    none, three = (
        evaluate_plan(replace(world, owned=world.owned + np.array([0.0, 2.0 * count])), np.zeros(len(world.orders)))
        for count in (0, 3)
    )
    difference = none.recourse_usd - three.recourse_usd
    assert sum(saved[:3]) @ world.discount[:-1] == pytest.approx(difference, rel=1e-9)


def test_nothing_to_order_costs_what_it_costs(basis):
    world = world_of(replace(basis.problem, options=()))
    found = replan(world, np.zeros(0))
    assert found.objective_usd == found.bound_usd > 0
