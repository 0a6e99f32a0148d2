"""The plan of the report on many paths: the same money as the ledger, and never below the bound."""

from dataclasses import replace

import numpy as np
import pytest

from aifactory.buyplan.case import solve_expected
from aifactory.buyplan.futures import THIS_PLAN, block_levels, compare_futures, futures_basis, nodes_of, problem_of
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.demand.scenarios import Paths
from aifactory.units import monthly_rate


def paths_of(case, count, spread=0.0):
    """Demand of the expected scenario, scaled path by path."""
    table = case.streams.table
    names, regions = tuple(sorted(set(table["use_case_id"]))), tuple(sorted(set(table["region"])))
    units = case.streams.units[1, 1:] * case.streams.size[1:]
    work = np.zeros((count, len(names), len(regions), len(units)))
    scale = np.exp(spread * np.linspace(-1, 1, count))
    for k, row in enumerate(table.itertuples()):
        work[:, names.index(row.use_case_id), regions.index(row.region)] += scale[:, None] * units[None, :, k]
    return Paths(names, regions, work, work)


def test_blocks_keep_the_volume(tiny):
    case = tiny()
    levels = block_levels(case)
    assert levels @ np.array([0.05, 0.15, 0.3, 0.5]) == pytest.approx(np.ones(len(levels)))
    assert (np.diff(levels.sum(axis=0)) <= 1e-9).all()


def test_demand_is_the_accelerators_at_work(tiny):
    case = tiny()
    problem = problem_of(case, paths_of(case, 1))
    work = (problem.demand[0] @ problem.block_hours) / problem.block_hours.sum()
    expected = case.streams.sized(case.streams.units[1])[1:]
    assert work == pytest.approx(expected)


def test_orders_cost_what_the_ledger_says(tiny):
    """Committed cash of the report's plan, in present value, is the cost of its nodes."""
    case = tiny()
    solution = solve_expected(case)
    problem = problem_of(case, paths_of(case, 1))
    monthly = replace(problem, order_months=tuple(range(problem.months)), stranded=1.0)
    nodes = nodes_of(case, solution, monthly)
    signed = int((solution.orders.signed != -1).sum())
    assert nodes.sum() == signed
    cost = evaluate_plan(monthly, nodes)
    compute = solution.ledger.compute.present_value(monthly_rate(case.plan.value("wacc")))
    assert cost.objective_usd == pytest.approx(compute, rel=0.15)


def test_the_best_plan_over_all_paths_costs_no_more(tiny):
    case = tiny()
    found = compare_futures(futures_basis(case, solve_expected(case), paths_of(case, 20, 0.4)), foresight=True)
    rows = found.table.set_index("policy").drop(index="perfect foresight")
    best = rows.loc["plan over all paths", "objective_usd"]
    assert best * (1 - found.gap) <= rows["objective_usd"].min() * (1 + 1e-9)
    assert rows.loc[THIS_PLAN, "regret"] == pytest.approx(rows.loc[THIS_PLAN, "objective_usd"] / best - 1, abs=1e-9)
    assert found.table["objective_usd"].is_monotonic_increasing
    known = found.table.set_index("policy").loc["perfect foresight"]
    assert known["expected_usd"] <= rows["expected_usd"].min() * (1 + 1e-9)
