"""Why an order is there: worked by hand, against plans without the node, and in words."""

from dataclasses import replace

import numpy as np
import pytest
from bp_company import make_plan, make_prices
from test_futures import paths_of

from aifactory.buyplan.choose import choose_orders
from aifactory.buyplan.futures import problem_of, problem_over, stream_paths
from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.reasons import CHEAPER, RESERVE, SMALLEST, LastNodes, reasons_of, with_reasons

HARDWARE = {
    "purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
    "lead_time_weeks": 12.0,
}  # fmt: skip


def reasons(case, spread=0.0, **changes):
    problem = replace(problem_over(case, stream_paths(case, paths_of(case, 5, spread))), **changes)
    return problem, (nodes := optimise(problem, gap=1e-6).nodes), reasons_of(case, problem, nodes)


def test_the_last_node_of_a_certain_demand(tiny):
    """12 accelerators by day, 4 by night: the node of 4 works in all hours at USD 3.60 and costs 2; the next would not pay.

    A quarter later means three months of 4 accelerators at the price of hours.
    """
    row = reasons(tiny(train=0.0), on_demand_usd=np.full((12, 1), 3.6))[2].iloc[0]
    assert row["reason"] == CHEAPER and row["paths_share"] == row["binds_share"] == 1.0
    assert row["binds"] == "capacity above 0 in 2026-11, in 100 % of the hours on 100 % of the paths"
    assert row["serves"] == "chat 100 %"
    assert row["saved_usd_per_hour"] == pytest.approx(3.6) and row["price_fall_kept"] == pytest.approx(4 / 9)
    assert row["cost_rise_kept"] == pytest.approx(1.6 / 2)
    assert row["wait_usd"] == pytest.approx(3 * 730 * 4 * 3.6)
    assert row["why"].startswith("chat 100 %: capacity above 0 in 2026-11") and "USD 3.60" in row["why"]


def test_what_may_fall_is_the_price_of_hours_alone(tiny):
    """With USD 1 of people an hour: 4.60 saved and 3 paid, so that hours may fall by 1.60 of their 3.60."""
    case = tiny(train=0.0, plan=make_plan(values={"operator_usd_per_month": 73_000.0}))
    row = reasons(case, on_demand_usd=np.full((12, 1), 3.6))[2].iloc[0]
    assert row["saved_usd_per_hour"] == pytest.approx(4.6) and row["price_fall_kept"] == pytest.approx(1.6 / 3.6)


def test_work_that_can_wait_counts_in_the_hours_that_it_fills(tiny):
    """Chat needs 12 by day and 4 by night, training 4 at any time: the third node works by day for chat, by night for training.

    Counted as load of every hour, training would leave that node half of the hours, each at twice the price.
    """
    same = np.full((12, 1), 3.6)
    waits = np.array([False, True])
    row = reasons(tiny(), deferrable=waits, on_demand_usd=same, spot_usd=same)[2].iloc[-1]
    assert row["binds"] == "capacity above 8 in 2026-11, in 100 % of the hours on 100 % of the paths"
    assert row["saved_usd_per_hour"] == pytest.approx(3.6)
    assert row["serves"] == "chat 50 %, train 50 %"


@pytest.mark.parametrize("prices", [make_prices(), make_prices(HARDWARE)])
def test_what_the_last_node_saves_is_what_the_plan_without_it_costs_more(tiny, prices):
    case = tiny(plan=make_plan(24, {"wacc": 0.1}), prices=prices)
    problem = problem_of(case, paths_of(case, 20, 0.4))
    nodes = optimise(problem, gap=1e-4).nodes
    last, kept = LastNodes(problem, nodes), evaluate_plan(problem, nodes).recourse_usd
    for column in np.flatnonzero(nodes):
        without = nodes.copy()
        without[column] -= 1
        swing = problem.order_swing[:, column]
        lost = evaluate_plan(problem, without).recourse_usd - kept + swing
        assert last.by_path(column) == pytest.approx(lost, rel=1e-9, abs=1e-6)


def test_a_fleet_that_must_stand_ready_binds(tiny):
    _, _, found = reasons(tiny(prices=make_prices(drop=["on_demand", "spot"])))
    held = found[found["binds"].str.contains("must stand ready")]
    assert (found["reason"] == RESERVE).all() and len(held)
    assert (held["binds_share"] == 1.0).all() and held["price_fall_kept"].isna().all() and held["wait_usd"].isna().all()


def test_a_budget_that_keeps_a_cheaper_way_away_is_named(tiny):
    """Hardware is cheaper, capital pays one node: another way to hold the rest, or one node more, waits for it."""
    case = tiny(plan=make_plan(36), prices=make_prices(HARDWARE))
    free = reasons(case)[2]
    problem = problem_over(case, stream_paths(case, paths_of(case, 5)))
    node = max(option.upfront_usd for option, _ in problem.orders) * 4
    named = {"year_names": ("fiscal year 2026", "fiscal year 2027", "fiscal year 2028")}
    tight = reasons(case, capital_usd=np.full(3, node), year_of=np.arange(36) // 12, **named)[2]
    assert (free["limit"] == "").all()
    assert tight["limit"].str.contains("capital of fiscal year 202").any()
    assert tight.loc[tight["limit"] != "", "why"].str.contains("away").all()
    kept = tight.loc[tight["limit"].str.contains("cheaper"), "limit"]
    assert len(kept) and kept.str.contains(r"keeps \w.* in use from 20\d\d-\d\d away").all()


def test_a_smallest_order_and_a_lead_time_are_named(tiny):
    """Five paths of which one needs the order: it comes in two nodes. Hardware that waits is needed before it comes."""
    case = tiny(plan=make_plan(36), prices=make_prices(HARDWARE, drop=["reserved_1y"]))
    assert reasons(case)[2]["timing"].iloc[0] == "lead time of 3 whole months binds"
    problem = problem_over(case, stream_paths(case, paths_of(case, 5)))
    low = replace(problem, demand=problem.demand / 16)
    tied = replace(low, options=tuple(replace(option, minimum_nodes=2) for option in low.options))
    nodes = np.zeros(len(tied.orders))
    nodes[0] = 2.0
    row = reasons_of(case, tied, nodes).iloc[0]
    assert row["reason"] == SMALLEST and "8 is the smallest order" in row["timing"]


def test_orders_without_paths_have_no_reasons(tiny):
    case = tiny()
    chosen = choose_orders(case, paths_of(case, 3))
    orders = chosen.reasons[["purchase_option", "start_index"]].assign(region="eu", accelerator_id="acc")
    assert with_reasons(orders, chosen.reasons, case)["why"].ne("").all()
    assert (with_reasons(orders, None, case)["why"] == "").all()
