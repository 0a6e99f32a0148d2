"""The table of stresses: identities between its columns, and answers in words."""

from dataclasses import replace

import numpy as np
import pytest
from stress_cases import small_basis

from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.stress.run import run_stresses
from aifactory.buyplan.stress.stresses import Stress, demand_changes, shortage, stressed
from aifactory.buyplan.stress.world import within_reach, world_of


@pytest.fixture(scope="module")
def found():
    return run_stresses(small_basis())


def test_nothing_happening_changes_nothing(basis):
    calm = Stress("calm", "nothing", "none", lambda b: stressed(b, 0))
    found = run_stresses(basis, [calm])
    row = found.table.iloc[0]
    assert row["change_usd"] == 0
    assert found.base.objective_usd == pytest.approx(evaluate_plan(basis.problem, basis.nodes).objective_usd)
    assert row["known_usd"] == pytest.approx(found.base_known.objective_usd)
    assert row["survives"]
    assert row["response"].startswith("Keep the orders")


def test_costs_add_up(found):
    table = found.table
    assert len(table) == 17
    assert table["change_usd"].is_monotonic_decreasing
    assert (table["cost_usd"] - found.base.objective_usd).to_numpy() == pytest.approx(table["change_usd"].to_numpy())
    assert (table["known_usd"] + table["regret_usd"]).to_numpy() == pytest.approx(table["cost_usd"].to_numpy())
    assert (table["regret_usd"] >= -1e-6).all()
    assert (table["saved_usd"] >= -1e-6).all()
    assert (table["bound_usd"] <= table["known_usd"] * (1 + 1e-6)).all()
    assert table["exceeds_share"].between(0, 1).all()
    assert table["missed_share"].between(0, 1).all()


def test_a_plan_that_breaks_does_not_survive(found):
    rows = found.table.set_index("stress")
    assert not rows.loc["Demand x 3", "survives"]
    assert rows.loc["List price -30 %", "survives"]
    assert rows.loc["Demand x 3", "exceeds_share"] == 1.0


def test_the_response_says_what_to_order_from_when(basis):
    more = Stress("more", "x 4", "test", lambda b: demand_changes(b, 4.0, 5))
    row = run_stresses(basis, [more]).table.iloc[0]
    assert row["response"].startswith("From 2027-04: ")
    assert "more chip-" in row["response"]
    assert row["saved_usd"] > 0
    assert row["adapted_usd"] >= row["known_usd"] - 1e-6


def test_the_same_twice(basis):
    first, second = run_stresses(basis).table, run_stresses(basis).table
    assert first.equals(second)
    assert np.isfinite(first.select_dtypes("number").to_numpy()).all()


def test_a_reserve_that_a_shortage_leaves_no_way_to_hold_is_not_asked_for(basis):
    """Two nodes must stand from month 8 on, beyond what the plan holds, and nothing can be ordered from month 6 on."""
    floor = basis.problem.capacity(basis.nodes) * 0.0
    floor[8:, 0] = basis.problem.capacity(basis.nodes)[8:, 0] + 8.0
    held = replace(basis, problem=replace(basis.problem, floor=floor))
    row = run_stresses(held, [Stress("short", "no orders", "none", shortage)]).table.iloc[0]
    assert row["regret_usd"] >= -1e-6 and np.isfinite(row["adapted_usd"])
    reached = within_reach(world_of(held.problem), held.nodes)
    assert (reached.floor <= held.problem.capacity(held.nodes)).all() and (reached.floor <= floor).all()
