"""Orders: the cheapest way to pay for every node, against hand calculation and brute force."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from bp_company import make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.case import case_terms, solve_case, solve_expected
from aifactory.finance.options import COMMITTED_OPTIONS
from aifactory.fleet.compute import price_orders
from aifactory.fleet.nodes import Load, Slots
from aifactory.fleet.orders import (
    FLEXIBLE,
    OWNED,
    cheapest_decisions,
    committed_first,
    flexible_usd,
    follow,
    rule_decisions,
    with_firm_orders,
)
from aifactory.fleet.streams import EXPECTED
from aifactory.units import monthly_rate

ONE_YEAR, THREE_YEARS, BUY = (COMMITTED_OPTIONS.index(name) for name in ("reserved_1y", "reserved_3y", "purchase"))
HARDWARE = {"purchase_option": "purchase", "usd_per_accelerator": 10_000.0, "region": "*", "provider": "vendor"}


def test_always_busy_nodes_are_reserved_the_others_rented(tiny):
    solution = solve_expected(tiny())
    # use 1, 1, .5, .5, 0, 0 and break-even one half: a tie stays flexible
    assert (solution.orders.state[1:] == [ONE_YEAR, ONE_YEAR] + [FLEXIBLE] * 4).all()
    assert solution.ledger.compute.cost_usd.sum() == pytest.approx(12 * (2 * 5_840 + 2 * 5_840))


def test_break_even_of_the_pool(tiny):
    assert case_terms(tiny()).break_even.tolist() == [0.5] * 6
    dear = make_prices(drop=["reserved_1y"])
    assert case_terms(tiny(prices=dear)).break_even.tolist() == [1.0] * 6


def test_a_commitment_is_not_signed_for_the_last_months(tiny):
    # demand from month 8 on: a year would cost 12 x 5,840, five months on demand 5 x 11,680 for a busy node
    case = tiny()
    units = case.streams.units[EXPECTED].copy()
    units[:8] = 0.0
    from aifactory.fleet.nodes import build_load

    load = build_load(case.streams, case.slots, units)
    decision = cheapest_decisions(load, case_terms(case), 0.0)
    orders = follow(decision, case_terms(case), case.owned)
    assert (orders.signed == FLEXIBLE).all()


@pytest.mark.parametrize("months", [12, 24, 36, 48])
def test_flat_demand_orders_nothing_new_towards_the_end_of_the_horizon(tiny, months):
    three = {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 1.5, "term_months": 36}
    case = tiny(plan=make_plan(months), prices=make_prices(three))
    signed = solve_expected(case).orders.signed
    late = signed[max(months - 11, 2) :]
    assert (late != THREE_YEARS).all()


def test_purchase_waits_for_its_lead_time_and_on_demand_bridges(tiny):
    # 20 weeks are 4.6 months: an order of 1 November is in use from month 6
    slow = HARDWARE | {"lead_time_weeks": 20.0}
    case = tiny(plan=make_plan(36), prices=make_prices(slow, drop=["reserved_1y"]))
    orders = solve_expected(case).orders
    assert orders.state[:, 0].tolist() == [FLEXIBLE] * 6 + [BUY] * 31
    assert solve_expected(case).ledger.compute.capex_usd[1] == pytest.approx(40_000 * (orders.signed[6] == BUY).sum())


def test_hardware_of_unknown_lead_time_waits_as_long_as_any_other(tiny):
    elsewhere = HARDWARE | {"lead_time_weeks": 20.0, "accelerator_id": "edge"}  # 20 weeks are 4.6 months
    prices = make_prices(HARDWARE, elsewhere, drop=["reserved_1y"])
    prices.loc[(prices["accelerator_id"] == "acc") & (prices["purchase_option"] == "purchase"), "lead_time_weeks"] = (
        np.nan
    )
    case = tiny(plan=make_plan(36), prices=prices)
    assert solve_expected(case).orders.state[:, 0].tolist() == [FLEXIBLE] * 6 + [BUY] * 31


def test_owned_nodes_come_first_and_cost_only_power(tiny):
    case = tiny(owned={("eu", "acc"): 9.0})  # nine accelerators are two whole nodes
    solution = solve_expected(case)
    assert (solution.orders.state[1:, :2] == OWNED).all()
    energy = 2 * 4 * 1.0 * 730 * 0.10 * 12  # two nodes of four 1 kW accelerators for a year
    assert solution.ledger.compute.lines["Own site: energy"].sum() == pytest.approx(energy)
    assert solution.ledger.compute.cost_usd.sum() == pytest.approx(energy + 12 * 2 * 5_840)


BLOCK = {
    "purchase_option": "capacity_block",
    "usd_per_accelerator_hour": 2.4,
    "term_months": 6,
    "upfront_fraction": 1.0,
}


def test_blocks_of_months_follow_each_other_where_no_year_is_offered(tiny):
    solution = solve_expected(tiny(prices=make_prices(BLOCK, drop=["reserved_1y"])))
    block = COMMITTED_OPTIONS.index("capacity_block")
    assert (solution.orders.state[1:, 0] == block).all()
    assert np.flatnonzero(solution.orders.signed[:, 0] == block).tolist() == [1, 7]
    nodes = int((solution.orders.signed == block).sum()) // 2
    assert solution.ledger.compute.lines["Capacity block"].sum() == pytest.approx(nodes * 12 * 4 * 730 * 2.4)


def test_a_block_takes_the_half_year_that_a_year_would_outlast(tiny):
    case = tiny(plan=make_plan(18), prices=make_prices(BLOCK))
    solution = solve_expected(case)
    state = solution.orders.state[1:, 0]
    assert sorted(np.bincount(state)[np.unique(state)].tolist()) == [6, 12]
    # a node that works all hours: a year at USD 2.00 and half a year at USD 2.40, against USD 4.00 on demand
    lines = solution.ledger.compute.lines
    whole = int((solution.orders.state[1:] != FLEXIBLE).all(axis=0).sum())
    assert whole > 0
    assert lines["Reserved, 1 year"].sum() == pytest.approx(whole * 12 * 4 * 730 * 2.0)
    assert lines["Capacity block"].sum() == pytest.approx(whole * 6 * 4 * 730 * 2.4)


def test_a_rule_takes_blocks_last_where_its_own_term_is_not_offered(tiny):
    case = tiny(prices=make_prices(BLOCK, HARDWARE, drop=["reserved_1y"]))
    terms = solve_expected(case).terms
    hold = np.zeros(case.owned.shape, dtype=bool)
    hold[1:, 0] = True
    assert rule_decisions(hold, "reserved_1y", terms)[-1, 0] == BUY


def test_minimum_order_larger_than_the_fleet_is_not_offered(tiny):
    big = make_prices()
    big["minimum_accelerators"] = np.where(big["purchase_option"] == "reserved_1y", 64, 1)
    assert (solve_expected(tiny(prices=big)).orders.signed == FLEXIBLE).all()


def test_spot_pays_only_for_interruptible_nodes(tiny):
    spot = {"purchase_option": "spot", "usd_per_accelerator_hour": 1.0}
    compute = solve_expected(tiny(prices=make_prices(spot))).ledger.compute
    # the fourth node is train's, by day alone; half of the second is too, but a year of it costs less than chat's half for USD 4
    assert compute.lines["Spot"].sum() == pytest.approx(12 * 730 * 4 * 0.5 * 1.0)
    assert compute.lines["Reserved, 1 year"].sum() == pytest.approx(2 * 12 * 5_840)


def brute_force(case, slot):
    """Cheapest present value of one slot over all start months and options, terms renewed or not."""
    terms, load = case_terms(case), case.loads[EXPECTED]
    rate = monthly_rate(case.plan.value("wacc"))
    months = len(load.use)
    best = np.inf
    offered = np.flatnonzero(terms.available[:, slot])
    options = [[FLEXIBLE, *(o for o in offered if month >= terms.first_month[o, slot])] for month in range(1, months)]
    for plan in itertools.product(*options):
        decision = np.full((months, 1), FLEXIBLE)
        decision[1:, 0] = plan
        one = _only(terms, load, slot)
        orders = follow(decision, one[0], np.array([False]))
        slots = type(case.slots)(np.array([0]), np.array([0]), case.slots.size[[slot]])
        best = min(best, price_orders(orders, one[1], slots, one[0], 1).present_value(rate))
    return best


def _only(terms, load, slot):
    from dataclasses import fields, replace

    cut = {f.name: getattr(terms, f.name)[..., [slot]] for f in fields(terms) if f.name != "decline_per_year"}
    at = [slot]
    part = type(load)(
        load.use[:, at], load.work[:, at], load.held[:, at], load.interruptible[:, at], load.average, load.level
    )
    return replace(terms, **cut), part


@pytest.mark.parametrize("slot", [1, 3])
def test_the_induction_finds_the_cheapest_of_all_decisions(tiny, slot):
    # a six-month horizon and two- and three-month terms keep brute force small
    short = make_prices(
        {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 2.6, "term_months": 2, "upfront_fraction": 0.5},
        HARDWARE | {"usd_per_accelerator": 9_000.0, "lead_time_weeks": 9.0},
    )
    short.loc[short["purchase_option"] == "reserved_1y", "term_months"] = 3
    plan = make_plan(12, {"wacc": 0.3, "residual_decline_per_year": 0.4}).model_copy(update={"horizon_months": 6})
    case = tiny(plan=plan, prices=short, growth={"expected": 0.15})
    terms, load = case_terms(case), case.loads[EXPECTED]
    rate = monthly_rate(0.3)
    orders = follow(cheapest_decisions(load, terms, rate), terms, case.owned)
    one_terms, one_load = _only(terms, load, slot)
    one = type(orders)(orders.state[:, [slot]], orders.signed[:, [slot]])
    slots = type(case.slots)(np.array([0]), np.array([0]), case.slots.size[[slot]])
    ours = price_orders(one, one_load, slots, one_terms, 1).present_value(rate)
    assert ours == pytest.approx(brute_force(case, slot), rel=1e-12)


def test_a_fixed_rule_signs_whenever_it_must_hold(tiny):
    case = tiny(plan=make_plan(24))
    terms = case_terms(case)
    hold = np.zeros((25, 6), dtype=bool)
    hold[3:, 0] = True
    orders = follow(rule_decisions(hold, "reserved_1y", terms), terms, case.owned)
    assert np.flatnonzero(orders.signed[:, 0] == ONE_YEAR).tolist() == [3, 15]
    assert (orders.state[:, 1:] == FLEXIBLE).all()


def test_a_rule_falls_back_to_a_term_that_is_offered(tiny):
    terms = case_terms(tiny())
    decision = rule_decisions(np.ones((13, 6), dtype=bool), "reserved_3y", terms)
    assert (decision[1:] == ONE_YEAR).all()


def test_a_rule_that_buys_rents_hours_until_it_is_delivered_and_signs_no_term_instead(tiny):
    """Three years are to be had at once, hardware from month 4 on: the rule buys, as it says."""
    three = {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 1.5, "term_months": 36}
    slow, hold = HARDWARE | {"lead_time_weeks": 13.0}, np.ones((13, 6), dtype=bool)
    terms = case_terms(tiny(prices=make_prices(slow, three)))
    assert rule_decisions(hold, "purchase", terms)[:, 0].tolist() == [FLEXIBLE] * 4 + [BUY] * 9
    assert rule_decisions(hold, "lease", terms)[:, 0].tolist() == [FLEXIBLE] + [THREE_YEARS] * 12  # nobody leases
    too_late = case_terms(tiny(prices=make_prices(slow | {"lead_time_weeks": 60.0}, three)))
    assert (rule_decisions(hold, "purchase", too_late)[1:] == THREE_YEARS).all()


def test_where_no_hours_are_rented_the_shortest_term_waits_for_what_is_bought(tiny):
    three = {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 1.5, "term_months": 36}
    slow, hold = HARDWARE | {"lead_time_weeks": 13.0}, np.ones((13, 6), dtype=bool)
    terms = case_terms(tiny(prices=make_prices(slow, three, drop=["on_demand"])))
    assert rule_decisions(hold, "purchase", terms)[1:, 0].tolist() == [ONE_YEAR] * 3 + [BUY] * 9


def test_firm_orders_are_paid_although_demand_falls(tiny):
    case = tiny(growth={"conservative": -0.3})
    answer = solve_case(case)
    conservative, expected = answer.scenarios[0], answer.expected
    assert (conservative.orders.signed[1, :2] == ONE_YEAR).all()
    assert conservative.ledger.compute.lines["Reserved, 1 year"].sum() == pytest.approx(
        expected.ledger.compute.lines["Reserved, 1 year"].sum()
    )


def test_firm_orders_leave_other_slots_free():
    decision = np.array([[-1, -1], [0, 0], [-1, -1]])
    signed = np.array([[-1, -1], [-1, -1], [2, 2]])
    from aifactory.fleet.orders import Orders

    found = with_firm_orders(decision, np.array([True, False]), Orders(signed, signed))
    assert found.T.tolist() == [[-1, -1, 2], [-1, 0, -1]]


def test_nothing_to_rent_means_the_whole_fleet_is_held(tiny):
    case = tiny(prices=make_prices(HARDWARE, drop=["on_demand", "reserved_1y"]))
    solution = solve_expected(case)
    assert (solution.orders.state[1:] == BUY).all()
    assert solution.ledger.compute.served.min() == 1.0
    assert np.isinf(flexible_usd(case.loads[EXPECTED], solution.terms)[1]).all()


def test_demand_without_capacity_is_unserved_and_earns_nothing(tiny):
    late = HARDWARE | {"lead_time_weeks": 20.0}
    solution = solve_expected(tiny(prices=make_prices(late, drop=["on_demand", "reserved_1y"])))
    assert solution.ledger.compute.served[:, 0].tolist() == [1.0] + [0.0] * 5 + [1.0] * 7
    assert (solution.ledger.value_usd[:6, 0] == 0).all()
    assert (solution.ledger.value_usd[6:, 0] > 0).all()


def two_slots(use, interruptible=(False, False), spot=1.0):
    """Two slots of one pool over two months, the first rented, the second committed; terms of a node of one accelerator."""
    months = np.ones((2, 1))
    load = Load(
        months * use, months * use, months * use > 0, np.tile(interruptible, (2, 1)), months, np.ones((2, 1, 1))
    )
    slots = Slots(np.array([0, 0]), np.array([0, 1]), np.array([1, 1]))
    money = SimpleNamespace(
        flexible_usd_per_month=np.full(2, 3.0), spot_usd_per_month=np.full(2, spot), around_usd_month=np.full(2, 0.5)
    )
    return load, np.tile([FLEXIBLE, BUY], (2, 1)), slots, money


def test_hours_go_to_what_is_committed_before_any_is_rented():
    load, state, slots, money = two_slots([1.0, 0.25])
    moved = committed_first(load, state, slots, money)
    assert moved.use.tolist() == [[0.25, 1.0]] * 2  # rented: 0.25 x USD 3 in place of USD 3
    assert flexible_usd(moved, money)[:, 0].tolist() == [0.25 * 3.5] * 2


def test_work_on_spot_stays_there_where_moving_it_would_rent_dearer_hours():
    load, state, slots, money = two_slots([1.0, 0.5], (True, False))  # on spot USD 1, its rival would rent for USD 1.50
    assert committed_first(load, state, slots, money).use.tolist() == [[1.0, 0.5]] * 2
    load, state, slots, money = two_slots([1.0, 0.25], (True, False))  # USD 1 against USD 0.75: worth the exchange
    moved = committed_first(load, state, slots, money)
    assert (moved.use.tolist(), moved.interruptible.tolist()) == ([[0.25, 1.0]] * 2, [[False, True]] * 2)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_no_exchange_of_hours_within_a_pool_would_be_cheaper(seed):
    rng = np.random.default_rng(seed)
    slots = Slots(np.array([0, 0, 0, 2, 2]), np.array([0, 1, 2, 0, 1]), np.ones(5, dtype=int))
    load = Load(
        use := rng.random((3, 5)),
        use / 2,
        rng.random((3, 5)) < 0.5,
        rng.random((3, 5)) < 0.5,
        np.ones((3, 3)),
        np.ones((3, 3, 1)),
    )
    money = SimpleNamespace(
        flexible_usd_per_month=np.full(5, 3.0), spot_usd_per_month=np.full(5, 1.0), around_usd_month=np.full(5, 0.5)
    )
    state = np.where(rng.random((3, 5)) < 0.5, FLEXIBLE, BUY)
    moved = committed_first(load, state, slots, money)
    usd, before = flexible_usd(moved, money), flexible_usd(load, money)
    for month in range(3):
        for pool in (0, 2):
            mine, free = slots.pool == pool, state[month] == FLEXIBLE
            cheapest = np.sort(before[month, mine])[: (mine & free).sum()]
            assert usd[month, mine & free].sum() == pytest.approx(cheapest.sum())
            assert sorted(moved.use[month, mine]) == sorted(load.use[month, mine])
            assert (moved.work[month] == moved.use[month] / 2).all()


def test_a_node_bought_while_a_term_runs_takes_its_hours_when_the_term_ends(tiny):
    case = tiny(plan=make_plan(24), prices=make_prices(HARDWARE))
    decision = np.full(case.owned.shape, FLEXIBLE)
    decision[1, 0], decision[12, 1], decision[12, 2] = ONE_YEAR, BUY, BUY
    compute = solve_expected(case, decision).ledger.compute
    late = compute.lines["On demand"][
        13:, 0
    ]  # uses 1, 1, .5, .5: two bought nodes take the whole ones, the halves are rented
    assert late.tolist() == pytest.approx([11_680.0] * 12)


def test_the_plan_over_many_paths_signs_blocks(tiny):
    answer = solve_case(tiny(prices=make_prices(BLOCK, drop=["reserved_1y"])))
    signed = answer.expected.orders.signed
    assert (signed == COMMITTED_OPTIONS.index("capacity_block")).any()
    assert answer.expected.ledger.compute.lines["Capacity block"].sum() > 0
