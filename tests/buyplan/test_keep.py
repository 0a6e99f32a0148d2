"""Approved orders stand where changing them saves next to nothing, and give way where it saves more."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import make_plan, make_prices
from test_futures import paths_of

from aifactory.buyplan.choose import choose_orders
from aifactory.buyplan.futures import problem_of
from aifactory.buyplan.keep import (
    KEEP_SHARE,
    approved_nodes,
    earlier_steps,
    keep_approved,
    quarters,
)
from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.problem import Option, Problem


@pytest.fixture
def growing(tiny):
    rows = [{"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 1.6, "term_months": 36}]
    return tiny(plan=make_plan(36), prices=make_prices(*rows), growth={"expected": 0.03})


def steps_of(chosen, shift=0, period="2026-08"):
    """The chosen orders after the first month as approved steps, their accelerators moved by `shift` nodes."""
    problem, rows = chosen.problem, []
    for at in np.flatnonzero(chosen.best.nodes):
        option, month = problem.orders[at]
        pool = chosen.case.streams.pools.iloc[option.platform]
        if month > 0:
            rows.append((period, pool["region"], pool["accelerator_id"], "commitment", option.name,
                         (chosen.best.nodes[at] + shift) * problem.node_size[option.platform], problem.month_names[month]))  # fmt: skip
    names = ["plan_period", "region", "accelerator_id", "kind", "purchase_option", "accelerators", "order_month"]
    return pd.DataFrame(rows, columns=names)


def test_steps_are_those_of_the_last_plan_before_the_month():
    steps = pd.DataFrame({"plan_period": ["2026-06", "2026-07", "2026-07", "2026-09"],
                          "kind": ["commitment", "commitment", "capacity", "commitment"]})  # fmt: skip
    assert earlier_steps(steps, "2026-09")["plan_period"].tolist() == ["2026-07"]
    assert earlier_steps(steps, "2026-10")["plan_period"].tolist() == ["2026-09"]
    assert earlier_steps(steps, "2026-06").empty and earlier_steps(steps[:0], "2026-06").empty


def test_steps_that_the_order_book_holds_are_to_come_no_more():
    """Of 8 and 4 approved 10 were ordered since, 8 of them under the plan's name: two of the last are left."""
    steps = pd.DataFrame({"plan_period": "2026-07", "kind": "commitment", "region": "eu", "accelerator_id": "acc",
                          "purchase_option": "lease", "accelerators": [4, 8], "order_month": ["2027-02", "2026-11"]})  # fmt: skip
    about = {"region": "eu", "accelerator_id": "acc", "purchase_option": "lease", "source": "order log"}
    rows = [
        (4, "2026-08", "2026-07", "2026-07-01"),
        (8, "2026-09", "2026-07", "quay-2"),
        (2, "2026-10", None, "quay-3"),
    ]
    names = ["accelerators", "order_month", "plan_period", "order_id"]
    book = pd.DataFrame([about | dict(zip(names, row, strict=True)) for row in rows])
    left = earlier_steps(steps, "2026-10", book)
    assert left[["accelerators", "order_month"]].to_numpy().tolist() == [[2, "2027-02"]]
    assert earlier_steps(steps, "2026-10", book[:1])["accelerators"].tolist() == [4, 8]  # signed on approval: no step
    assert earlier_steps(steps, "2026-10", book.assign(accelerators=99)).empty


def test_the_quarters_of_the_approved_plan_go_on():
    assert quarters([2, 5], 7) == (0, 2, 5)
    assert quarters([2, 4, 5], 7) == (0, 2, 5)  # one order off the quarters moves none of them
    assert quarters([2, 4], 7) == (0, 1, 4)  # as many of each: the earlier start
    assert quarters([], 7) == (0, 3, 6)


def test_steps_find_their_columns_by_hand(growing):
    problem = problem_of(growing, paths_of(growing, 3))
    size, pool = problem.node_size[0], growing.streams.pools.iloc[0]
    like = {"region": pool["region"], "accelerator_id": pool["accelerator_id"], "purchase_option": "reserved_3y"}
    rows = [{**like, "accelerators": 2 * size, "order_month": problem.month_names[3]},
            {**like, "accelerators": size, "order_month": problem.month_names[3]},
            {**like, "accelerators": size, "order_month": "2001-01"},
            {**like, "accelerators": size, "order_month": problem.month_names[3], "region": "nowhere"}]  # fmt: skip
    nodes = approved_nodes(problem, growing.streams.pools, pd.DataFrame(rows))
    (at,) = np.flatnonzero(nodes)
    option, month = problem.orders[at]
    assert (nodes[at], option.name, month) == (3.0, "reserved_3y", 3)


@pytest.mark.parametrize("demand", [0.99, 1.01])
def test_a_small_change_leaves_the_approved_orders_and_costs_next_to_nothing(growing, demand):
    paths = paths_of(growing, 12, 0.4)
    first = choose_orders(growing, paths)
    steps = steps_of(first)
    assert len(steps)
    moved = replace(paths, work=paths.work * demand, units=paths.units * demand)
    again = choose_orders(growing, moved, steps)
    free = choose_orders(growing, moved)
    assert (again.best.nodes >= approved_nodes(again.problem, growing.streams.pools, steps)).all()
    assert again.best.cost.objective_usd <= (1 + KEEP_SHARE) * free.best.cost.objective_usd
    assert "stand as approved" in again.kept and steps["plan_period"].iloc[0] in again.kept


def test_a_collapse_of_demand_takes_them_back(growing):
    paths = paths_of(growing, 12, 0.4)
    steps = steps_of(choose_orders(growing, paths), shift=2)
    less = replace(paths, work=paths.work * 0.3, units=paths.units * 0.3)
    free, again = choose_orders(growing, less), choose_orders(growing, less, steps)
    assert again.best.cost.objective_usd <= (1 + KEEP_SHARE) * free.best.cost.objective_usd
    assert "0 of " in again.kept or again.best.nodes.sum() < steps["accelerators"].sum() / 4


def test_the_same_demand_twice_gives_the_same_orders(growing):
    """Keeping is idempotent: the plan made of its own steps is itself."""
    paths = paths_of(growing, 12, 0.4)
    first = choose_orders(growing, paths)
    steps = steps_of(first)
    again = choose_orders(growing, paths, steps)
    assert again.best.nodes.tolist() == first.best.nodes.tolist()


def test_what_is_kept_is_priced_by_the_evaluator_and_its_gap_is_said(growing):
    chosen = choose_orders(growing, paths_of(growing, 12, 0.4))
    approved = np.roll(chosen.best.nodes, 1) * (np.array([month for _, month in chosen.problem.orders]) > 0)
    found = keep_approved(chosen.problem, chosen.best, approved, "2026-08")
    assert found.best.cost.objective_usd == pytest.approx(evaluate_plan(chosen.problem, found.best.nodes).objective_usd)
    assert found.best.gap <= KEEP_SHARE + max(chosen.best.gap, 0.0) + 1e-9
    assert found.usd >= -1e-6 and found.accelerators <= found.of


def test_without_steps_nothing_is_said(growing):
    chosen = choose_orders(growing, paths_of(growing, 3), pd.DataFrame(columns=["plan_period", "order_month"]))
    assert chosen.kept == ""


def test_orders_that_leave_no_plan_within_the_limits_give_way():
    """Two approved nodes of one platform fit the capital, but not beside the two of the other that must stand ready."""
    demand = np.full((2, 12, 2, 1), 0.5)
    demand[:, :, 0] = np.array([1.0, 2.0])[:, None, None]
    case = Problem(
        demand=demand, deferrable=np.zeros(2, dtype=bool), api_usd=np.full((12, 2), np.inf), miss_usd=np.full(2, 100.0),
        wacc=0.0, block_hours=np.array([700.0]), rate=np.eye(2), node_size=np.ones(2, dtype=int), kw=np.zeros(2),
        options=tuple(Option("purchase", p, 12, upfront_usd=100.0, capital=True) for p in (0, 1)), order_months=(0, 3),
        on_demand_usd=np.column_stack([np.full(12, 0.01), np.full(12, np.inf)]), spot_usd=np.full((12, 2), np.inf),
        on_demand_most=np.array([np.inf, 0.0]), owned=np.zeros((12, 2)), spot_share=np.ones(2),
        capital_usd=np.array([300.0]), floor=np.column_stack([np.zeros(12), np.full(12, 2.0)]),
    )  # fmt: skip
    best = optimise(case, gap=1e-6)
    approved = np.array([2.0 * (option.platform == 0 and month == 3) for option, month in case.orders])
    found = keep_approved(case, best, approved, "2026-08")
    assert found.best is best and found.usd == 0.0 and found.of == 2.0
    one = keep_approved(case, best, approved / 2, "2026-08")  # one of them fits beside, and costs more than it is worth
    assert one.best.cost.objective_usd <= (1 + KEEP_SHARE) * best.cost.objective_usd
