"""The reference of a path: screening cost by hand, near foresight, and what it does to the risk of a plan."""

from dataclasses import replace

import numpy as np
import pytest
from planning_problems import problem as synthetic

from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.evaluate import evaluate_plan, path_weights, tail_weights
from aifactory.buyplan.optimise.foresight import known_path_usd
from aifactory.buyplan.optimise.policies import policy_plans
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.optimise.reference import reference_usd
from aifactory.errors import InputError


def small(demand, **changes):
    """One platform, one year term at 500 a month, hours at 2; blocks of 100 and 600 hours; no discount."""
    demand = np.asarray(demand, dtype=float)
    paths, months, workloads, _ = demand.shape
    given = {
        "demand": demand, "block_hours": np.array([100.0, 600.0]), "rate": np.ones((workloads, 1)),
        "deferrable": np.zeros(workloads, dtype=bool), "node_size": np.array([1]),
        "options": (Option("year", 0, 12, monthly_usd=500.0),), "on_demand_usd": np.full((months, 1), 2.0),
        "spot_usd": np.full((months, 1), np.inf), "api_usd": np.full((months, workloads), np.inf),
        "miss_usd": np.full(workloads, 100.0), "owned": np.zeros((months, 1)), "on_demand_most": np.array([np.inf]),
        "spot_share": np.ones(1), "kw": np.zeros(1), "order_months": (0,), "wacc": 0.0, "stranded": 0.0,
    }  # fmt: skip
    return Problem(**{**given, **changes})


def test_layers_cost_the_term_or_the_hours_whichever_is_less_by_hand():
    # 3 accelerators in 100 hours, 1 in 600: the base works 700 hours (term 500 < 1400), the peak of 2 works 100 (200 < 500)
    one = small([[[[3.0, 1.0]]] * 12])
    assert reference_usd(one).tolist() == pytest.approx([12 * (500 + 2 * 200)])
    # one owned accelerator serves the base
    assert reference_usd(replace(one, owned=np.ones((12, 1)))).tolist() == pytest.approx([12 * 2 * 200])
    # work that may wait is spread over the month: 900 hours at the hour of a held accelerator
    patient = replace(one, deferrable=np.ones(1, dtype=bool))
    assert reference_usd(patient).tolist() == pytest.approx([12 * 900 * 500 / 700])
    # blocks need not come in order of their load
    turned = small([[[[1.0, 3.0]]] * 12])
    assert reference_usd(turned).tolist() == pytest.approx([12 * (500 + 2 * 500)])


def test_work_that_no_platform_serves_is_hosted_or_missed():
    # 700 hours of 3 units beside the one of above: at 0.05 hosted, or at 100 missed, whatever is ordered
    demand = np.array([[[[3.0, 1.0], [3.0, 3.0]]] * 12])
    apart = {"rate": np.array([[1.0], [0.0]]), "api_usd": np.tile([np.inf, 0.05], (12, 1))}
    hosted = small(demand, **apart)
    assert reference_usd(hosted).tolist() == pytest.approx([12 * (500 + 2 * 200 + 2100 * 0.05)])
    by_path = replace(hosted, api_usd=hosted.api_usd[None])
    assert reference_usd(by_path).tolist() == reference_usd(by_path, demand).tolist() == reference_usd(hosted).tolist()
    plan = optimise(hosted, gap=1e-9)
    assert plan.cost.objective_usd == pytest.approx(12 * (500 + 2 * 200 + 2100 * 0.05))
    missed = small(demand, **apart | {"api_usd": np.full((12, 2), np.inf)})
    assert reference_usd(missed).tolist() == pytest.approx([12 * (500 + 2 * 200 + 2100 * 100.0)])
    # one accelerator on average, 900 of 700 hours: rules order two of them, and none for the other work
    assert policy_plans(hosted)["average"].tolist() == [2.0]
    assert policy_plans(hosted)["newsvendor"].tolist() == [1.0]


def test_fresh_paths_need_their_own_prices():
    case = small([[[[3.0, 1.0]]] * 12] * 2, on_demand_usd=np.full((2, 12, 1), 2.0))
    assert evaluate_plan(case, np.ones(1), case.demand * 2).expected_usd > 0
    for count in (1, 3):
        with pytest.raises(InputError, match="prices differ by path: needs 2 paths"):
            evaluate_plan(case, np.ones(1), np.repeat(case.demand[:1], count, axis=0))


def test_without_orders_all_plans_are_one_and_given_references_stand():
    assert reference_usd(small([[[[3.0, 1.0]]] * 12], options=())).tolist() == [0.0]
    assert reference_usd(small([[[[3.0, 1.0]]] * 12], reference_usd=np.array([7.0]))).tolist() == [7.0]
    with pytest.raises(InputError, match="reference_usd"):
        small([[[[3.0, 1.0]]] * 12], reference_usd=np.zeros(2))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_moves_with_the_cost_of_the_path_were_it_known(seed):
    rng = np.random.default_rng(seed)
    level = rng.lognormal(3, 0.7, (12, 1, 1, 1)) * np.exp(np.cumsum(rng.normal(0.01, 0.1, (12, 12, 1, 1)), axis=1))
    case = small(level * np.array([2.0, 1.0]), risk_weight=0.0)
    known = np.array([known_path_usd(replace(case, demand=case.demand[[path]])) for path in range(12)])
    assert np.corrcoef(reference_usd(case), known)[0, 1] > 0.98
    assert (reference_usd(case) <= known * (1 + 1e-9)).all()  # no whole nodes and no terms longer than a month


def test_overrun_by_hand():
    # two paths with level loads of 1 and 4, all hours: known, they cost 500 and 2000 a month
    case = small(np.array([1.0, 4.0])[:, None, None, None] * np.ones((2, 12, 1, 2)), risk_weight=0.5, tail=0.5)
    assert reference_usd(case).tolist() == pytest.approx([6000.0, 24000.0])
    found = evaluate_plan(case, np.array([2.0]))  # 1,000 a month; the second path rents 2 x 1,400 more
    assert found.recourse_usd.tolist() == pytest.approx([0.0, 12 * 2800])
    overruns = [12000 - 6000, 12000 + 33600 - 24000]
    assert found.overrun_usd == pytest.approx(max(overruns))
    assert found.tail_usd == pytest.approx(12000 + 33600)
    assert found.objective_usd == pytest.approx(0.5 * (12000 + 16800) + 0.5 * (15000 + 21600))
    assert path_weights(case, found).tolist() == pytest.approx([0.25, 0.75])


def test_a_path_with_much_demand_is_no_risk_by_itself():
    """Demand that is known to differ by path and cannot be planned for: where it may all be rented at the price of the
    term there is nothing to hedge, whatever the weight of the risk."""
    demand = np.linspace(1, 30, 10)[:, None, None, None] * np.ones((10, 12, 1, 2))
    case = small(demand, on_demand_usd=np.full((12, 1), 500 / 700), risk_weight=0.9)
    none = evaluate_plan(case, np.zeros(1))
    assert none.overrun_usd == pytest.approx(0.0, abs=1e-6)
    assert none.objective_usd == pytest.approx(none.expected_usd)
    assert none.tail_usd > 1.5 * none.expected_usd


def test_fresh_paths_are_priced_as_own_ones():
    case = synthetic(6, 12, 3, 2)
    plan = np.round(np.random.default_rng(0).uniform(0, 2, len(case.orders)))
    own, fresh = evaluate_plan(case, plan), evaluate_plan(case, plan, case.demand)
    assert fresh.reference_usd == pytest.approx(own.reference_usd)
    assert fresh.objective_usd == pytest.approx(own.objective_usd, rel=1e-9)


def test_a_constant_reference_is_the_tail_of_the_cost():
    case = synthetic(8, 9, 2, 2, reference_usd=np.full(8, 1e5))
    cost = evaluate_plan(case, np.ones(len(case.orders)))
    worst = float(tail_weights(cost.recourse_usd, case.tail) @ cost.recourse_usd)
    weight = case.risk_weight
    assert cost.objective_usd == pytest.approx(
        cost.orders_usd + (1 - weight) * cost.recourse_usd.mean() + weight * worst
    )


def test_weight_on_overruns_buys_no_more_than_weight_on_costs():
    """Skewed demand: the tail of whole costs is the paths with most demand, for which it over-buys."""
    rng = np.random.default_rng(4)
    level = rng.lognormal(2.5, 0.9, (40, 1, 1, 1)) * np.ones((1, 12, 1, 2))
    case = small(level, risk_weight=0.6)
    overruns = optimise(case, gap=1e-4)
    costs = optimise(replace(case, reference_usd=np.zeros(40)), gap=1e-4)
    assert overruns.nodes.sum() < costs.nodes.sum()
    assert overruns.cost.expected_usd < costs.cost.expected_usd
