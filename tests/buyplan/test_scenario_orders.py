"""Scenarios by one rule: moved paths by hand, firm orders, room, equal demand, and nothing to commit to."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import make_prices
from test_futures import paths_of

from aifactory.buyplan.bands import fleet_frame
from aifactory.buyplan.case import solve_case
from aifactory.buyplan.choose import choose_orders
from aifactory.buyplan.futures import stream_paths
from aifactory.buyplan.scenario_orders import demand_ratio, firm_orders, on_slots, solve_over_paths
from aifactory.buyplan.what_ifs import what_ifs_frame
from aifactory.fleet.nodes import Slots
from aifactory.fleet.orders import FLEXIBLE
from aifactory.units import BANDS, SCENARIOS

GROWTH = {"conservative": -0.05, "expected": 0.02, "aggressive": 0.15}


def solved(case, count=8, spread=0.3):
    paths = paths_of(case, count, spread)
    chosen = choose_orders(case, paths)
    return chosen, *solve_over_paths(case, chosen, paths)


def test_paths_move_with_the_scenario(tiny):
    """Chat grows by 2 % a month as expected and by 15 % if demand is aggressive; training stands still."""
    case = tiny(growth=GROWTH)
    ratio = demand_ratio(case, 2)
    chat, train = (case.streams.table["use_case_id"].tolist().index(name) for name in ("chat", "train"))
    assert ratio[:, chat] == pytest.approx((1.15 / 1.02) ** np.arange(1, 13))
    assert ratio[:, train] == pytest.approx(1.0)
    assert (demand_ratio(case, 1) == 1.0).all()
    still = replace(case, streams=replace(case.streams, units=np.zeros_like(case.streams.units)))
    assert (demand_ratio(still, 2) == 1.0).all()


def test_firm_orders_are_placed_in_every_scenario(tiny):
    _, case, answer = solved(tiny(growth=GROWTH))
    firm = firm_orders(answer.baseline, answer.expected.orders)
    at = firm != FLEXIBLE
    assert at.any() and (at.sum(axis=0) <= answer.baseline).all()
    for solution in answer.scenarios:
        assert (solution.orders.signed[at] == firm[at]).all()


def test_today_is_served_on_the_terms_of_the_plan(tiny):
    """A plan that a limit keeps from committing rents all: two nodes of four at USD 4 an hour, though a year reserved costs half."""
    case = tiny(chat=3.0, train=0.0, inputs={"shapes": {}})
    paths = paths_of(case, 4, 0.0)
    chosen = choose_orders(case, paths)
    assert (chosen.decision != FLEXIBLE).any()
    rented = replace(chosen, decision=np.full_like(chosen.decision, FLEXIBLE))
    rented = replace(rented, best=replace(chosen.best, nodes=np.zeros_like(chosen.best.nodes)))
    monthly = [
        solve_over_paths(case, one, paths)[1].today.ledger.compute.cost_usd[1:].sum() / 12 for one in (rented, chosen)
    ]
    assert monthly[0] == pytest.approx(2 * 4 * 4 * 730)
    assert monthly[1] == pytest.approx(2 * 4 * 2 * 730)


def test_there_is_room_for_every_scenario_and_bands_add_up(tiny):
    chosen, case, answer = solved(tiny(growth=GROWTH))
    committed = [solution.orders.state != FLEXIBLE for solution in answer.scenarios]
    assert {len(state.T) for state in committed} == {len(case.slots.pool)}
    assert committed[2].sum() > committed[1].sum() >= committed[0].sum()
    assert (answer.expected.orders.signed != FLEXIBLE).sum() == chosen.best.nodes.sum()
    fleet = fleet_frame(case, answer)
    assert (fleet[list(BANDS)].sum(axis=1) == fleet["accelerators"]).all()
    assert set(fleet["scenario"]) == set(SCENARIOS)


def test_equal_demand_costs_the_same_in_every_scenario(tiny):
    """The same paths and rule: what is left is the gap of the search."""
    _, _, answer = solved(tiny())
    costs = [sum(amount.sum() for amount in solution.ledger.lines.values()) for solution in answer.scenarios]
    assert costs == pytest.approx([costs[1]] * 3, rel=0.02)


def test_a_named_scenario_over_the_paths_of_the_plan(tiny):
    """Demand as expected changes nothing, twice the demand costs more, and the plan's cost stands at its head."""
    _, case, answer = solved(tiny())
    table = pd.DataFrame([{"scenario": name, "multiplier": by} for name, by in (("calm", 1.0), ("rush", 2.0))])
    table = table.reindex(
        columns=[*table, "use_case_id", "workload_class", "region", "first_month", "last_month", "note"]
    )
    calm, rush = (
        row for _, row in what_ifs_frame(case, table, answer=answer, wanted=stream_paths(case, paths_of(case, 8, 0.3))).iterrows()
    )  # fmt: skip
    costs = sum(amount.sum() for amount in answer.expected.ledger.lines.values())
    assert calm["usd_change"] == calm["commitment_usd_change"] == 0 and calm["usd_horizon"] == pytest.approx(costs)
    assert rush["usd_change"] > 0 and rush["commitment_usd_change"] > 0


def test_nothing_to_commit_to_leaves_every_scenario_to_hours(tiny):
    case = tiny(prices=make_prices(drop=["reserved_1y"]), growth=GROWTH)
    other, answer = solve_over_paths(case, choose_orders(case, paths_of(case, 2)), paths_of(case, 2))
    assert other is case
    for one, two in zip(answer.scenarios, solve_case(case).scenarios, strict=True):
        assert (one.orders.signed == FLEXIBLE).all()
        assert one.ledger.compute.present_value(0.0) == two.ledger.compute.present_value(0.0)


def test_decisions_keep_their_node_where_slots_are_cut_anew():
    old = Slots(np.array([0, 0, 1]), np.array([0, 1, 0]), np.full(3, 4))
    new = Slots(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]), np.full(5, 4))
    decision = np.array([[FLEXIBLE, 2, 3], [1, FLEXIBLE, FLEXIBLE]])
    assert on_slots(decision, old, new).tolist() == [[-1, 2, -1, 3, -1], [1, -1, -1, -1, -1]]
