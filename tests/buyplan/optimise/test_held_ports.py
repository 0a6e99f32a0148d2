"""Ports that are held: the same cost as the programme whose rows wait for ports."""

import numpy as np
import pytest

from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.evaluate import evaluate_plan, evaluate_with_slopes
from aifactory.buyplan.optimise.held_ports import HeldPorts
from aifactory.buyplan.optimise.problem import Option, Port, Problem
from aifactory.buyplan.optimise.recourse import Recourse
from tests.buyplan.planning_problems import problem, with_ports


@pytest.mark.parametrize("made", [0.0, 0.5, 1.0])
def test_costs_and_worth_of_accelerators_are_those_of_the_whole_programme(made):
    case = with_ports(problem(6, 12, 4, 3, seed=5), seed=5)
    rng = np.random.default_rng(3)
    ports = (rng.random(len(case.ports)) < made).astype(float)
    capacity = rng.uniform(0, 60, (12, 3))
    usd, worth = HeldPorts(case, ports).cost(capacity)
    whole, whole_worth = Recourse(case).cost(capacity, ported=ports)
    assert usd == pytest.approx(whole, rel=1e-9)
    assert worth[..., :3] == pytest.approx(whole_worth[..., :3], rel=1e-6, abs=1e-6)
    assert (worth[..., 3:] == 0).all()


def test_a_cell_opens_in_the_month_its_port_is_ready():
    case = Problem(
        demand=np.full((1, 3, 1, 1), 100.0), block_hours=np.array([10.0]), rate=np.array([[10.0, 50.0]]),
        deferrable=np.array([False]), node_size=np.array([1, 1]), options=(Option("rent", 0, 1, 0, 0.0, 1e6),),
        on_demand_usd=np.tile([2.0, 3.0], (3, 1)), spot_usd=np.full((3, 2), np.inf), api_usd=np.full((3, 1), np.inf),
        miss_usd=np.array([9.0]), owned=np.zeros((3, 2)), on_demand_most=np.array([np.inf, np.inf]),
        spot_share=np.ones(2), kw=np.zeros(2), order_months=(0,), ports=(Port("to the second", 1, (0,), 7.0, 2),),
    )  # fmt: skip
    usd, _ = HeldPorts(case, np.array([1.0])).cost(case.owned)
    # 10 accelerators at 2 USD for 10 hours, then 2 at 3 USD.
    assert usd.ravel() == pytest.approx([200.0, 200.0, 60.0])
    assert HeldPorts(case, np.array([0.0])).cost(case.owned)[0].ravel() == pytest.approx([200.0] * 3)


def test_a_plan_with_ports_costs_the_same_on_fresh_paths_either_way():
    case = with_ports(problem(10, 12, 3, 3, seed=2), seed=2)
    plan = optimise(case, gap=0.01, time_limit_s=60)
    fresh = problem(40, 12, 3, 3, seed=2).demand[10:]
    general = evaluate_with_slopes(case, plan.nodes, fresh, Recourse(case))[0]
    assert evaluate_plan(case, plan.nodes, fresh).objective_usd == pytest.approx(general.objective_usd, rel=1e-9)


def test_half_a_port_opens_half_of_what_can_be_rented():
    """Need of 12 accelerators, 3 that are there and 4 to rent at 2 USD; all else is missed at 90 USD an accelerator-hour."""
    case = Problem(
        demand=np.full((1, 1, 1, 1), 120.0), block_hours=np.array([1.0]), rate=np.array([[1.0, 10.0]]),
        deferrable=np.array([False]), node_size=np.array([1, 1]), options=(Option("rent", 0, 1, 0, 0.0, 1e6),),
        on_demand_usd=np.full((1, 2), 2.0), spot_usd=np.full((1, 2), np.inf), api_usd=np.full((1, 1), np.inf),
        miss_usd=np.array([9.0]), owned=np.array([[0.0, 3.0]]), on_demand_most=np.array([0.0, 4.0]),
        spot_share=np.ones(2), kw=np.zeros(2), order_months=(0,), ports=(Port("to the second", 1, (0,), 7.0),),
    )  # fmt: skip
    usd, worth = Recourse(case).cost(case.owned, ported=np.array([0.5]))
    assert usd.item() == pytest.approx(7 * 90 + 2 * 2)
    # a unit of the port opens 4 to rent, which spares 88 USD each; an accelerator that is there spares 90
    assert worth.ravel()[1:] == pytest.approx([-90.0, -4 * 88.0])


@pytest.mark.parametrize("seed", range(12))
def test_cuts_between_ports_are_a_lower_bound_of_every_choice_of_them(seed):
    rng = np.random.default_rng(seed)
    few = {"on_demand_most": rng.choice([0.0, 10.0, 64.0, np.inf], 3), "owned": rng.uniform(0, 30, (6, 3))}
    case = with_ports(problem(5, 6, 4, 3, seed=seed, **few), seed=seed)
    orders, ports = len(case.orders), len(case.ports)
    whole = [np.r_[rng.integers(0, 6, orders), rng.integers(0, 2, ports)].astype(float) for _ in range(6)]
    costs = [evaluate_plan(case, plan) for plan in whole]
    for share in (0.02, 0.2, 0.7):
        between = np.r_[rng.uniform(0, 4, orders), np.clip(rng.normal(share, 0.2, ports), 0, 1)]
        cost, slopes = evaluate_with_slopes(case, between)
        for plan, exact in zip(whole, costs, strict=True):
            line = slopes.tail_usd + slopes.tail @ (plan - between)
            assert line <= (exact.overrun_usd - exact.orders_usd + exact.reference_usd.mean()) * (1 + 1e-9)
            mean = slopes.mean_usd.sum() + slopes.mean.sum(axis=0) @ (plan - between)
            assert mean <= exact.recourse_usd.mean() * (1 + 1e-9)
