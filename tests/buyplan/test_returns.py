"""Return model of a plan: its base case is the ledger; draws, drivers and knowledge keep their bounds."""

import numpy as np
import pandas as pd
import pytest
from bp_company import make_case, make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.case import solve_case, solve_expected
from aifactory.buyplan.compare import hosted_path, price_rule, without
from aifactory.buyplan.ledger import build_ledger, net_present_value
from aifactory.buyplan.returns import (
    ALL_SPOT,
    HOSTED,
    ON_DEMAND,
    OURS,
    draw_returns,
    quick_returns,
    returns_basis,
)
from aifactory.finance.information import seen_with_error, value_of_signal
from aifactory.finance.roi import base_case, break_even_levels, evaluate, nearest_level
from aifactory.fleet.nodes import hourly_load
from aifactory.fleet.orders import FLEXIBLE
from aifactory.fleet.streams import EXPECTED
from aifactory.units import HOURS_PER_MONTH

VALUES = {"wacc": 0.1, "tax_rate": 0.25, "contingency_share": 0.05}
BOUGHT = {
    "purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
}  # fmt: skip
API = pd.DataFrame({"use_case_id": ["chat", "train"], "api_usd_per_unit": [0.002, np.nan], "retires": pd.NaT})


@pytest.fixture
def basis(tiny):
    case = tiny(plan=make_plan(18, VALUES), prices=make_prices(BOUGHT), growth={"expected": 0.03})
    answer = solve_case(case)
    return case, answer, returns_basis(case, answer, API)


def test_the_base_case_is_the_ledger(basis):
    case, answer, found = basis
    booked = base_case(found.model)
    ours = found.model.options.index(OURS)
    ledger = answer.expected.ledger
    assert booked.npv_usd[ours, 0] == pytest.approx(net_present_value(ledger, case.plan), rel=1e-9)
    assert booked.cost_usd[ours, 0] == pytest.approx(sum(line.sum() for line in ledger.lines.values()), rel=1e-9)


def test_ways_to_pay_and_what_is_not_offered(basis):
    options = basis[2].model.options
    assert options[:2] == (OURS, ON_DEMAND)
    assert "Base: purchase" in options
    assert "Base: lease" not in options
    assert options[-1] == HOSTED


def test_hosted_use_cases_take_no_accelerators(basis):
    model = basis[2].model
    hosted, rented = model.options.index(HOSTED), model.options.index(ON_DEMAND)
    dear = evaluate(model, np.array([[100.0]]), ["api_price"]).npv_usd[:, 0]
    base = base_case(model).npv_usd[:, 0]
    assert dear[hosted] < base[hosted]
    assert dear[rented] == base[rented]
    # free hosting costs what the training costs alone, in whole nodes by the hour
    case, answer, _ = basis
    still = returns_basis(case, answer, API.assign(api_usd_per_unit=[0.0, np.nan])).model
    rest = without(case, np.array(case.streams.table["use_case_id"] == "chat"))
    alone = solve_expected(rest, np.full(rest.owned.shape, FLEXIBLE)).ledger
    chat = (still.units * still.variable_usd)[case.streams.table["use_case_id"] == "chat"].sum()
    assert base_case(still).cost_usd[hosted, 0] == pytest.approx(
        sum(line.sum() for line in alone.lines.values()) + chat * 1.05, rel=1e-9
    )
    # twice the rented price leaves hosted units alone, but not the training that stays on demand
    doubled = evaluate(model, np.array([[2.0]]), ["flexible_price"]).npv_usd[:, 0]
    assert base[hosted] - doubled[hosted] < base[rented] - doubled[rented]


def test_hours_by_the_hour_are_whole_nodes_and_follow_demand(tiny):
    """Five accelerators at work fill two nodes of four: what is rented is the ledger's, and without demand next to nothing is."""
    case = tiny(plan=make_plan(18, VALUES), chat=5.0, train=0.5, prices=make_prices(BOUGHT))
    answer = solve_case(case)
    model = returns_basis(case, answer, API).model
    ours, rented = model.options.index(OURS), model.options.index(ON_DEMAND)
    compute = price_rule(case, answer, np.zeros(case.owned.shape, dtype=bool), "reserved_1y")
    ledger = build_ledger(compute, case.streams, case.streams.units[EXPECTED], case.plan, case.apart)
    base = base_case(model).cost_usd[rented, 0]
    assert base == pytest.approx(sum(line.sum() for line in ledger.lines.values()), rel=1e-9)
    little = evaluate(model, np.array([[1e-3]]), ["level"])
    assert little.cost_usd[rented, 0] < 0.02 * base < little.cost_usd[ours, 0]
    level = nearest_level(break_even_levels(model, ours, rented))
    same = evaluate(model, np.array([[level]]), ["level"]).pv_cost_usd
    assert 0.01 < level < 1 and same[ours, 0] == pytest.approx(same[rented, 0], rel=1e-6)


def test_more_demand_on_the_same_node_hardly_rents_more(tiny):
    """A tenth of an accelerator fills no node of four: three times of it still is one node, a hundred times some four."""
    case = tiny(plan=make_plan(18, VALUES), chat=0.1, train=0.0, prices=make_prices(BOUGHT))
    model = returns_basis(case, solve_case(case), API).model
    need = (model.units * model.hours_per_unit[:, None]).sum(axis=0)[None, :] / HOURS_PER_MONTH
    assert model.occupied(need)[:, 1:].mean() == pytest.approx(4.0, rel=0.02)
    assert model.occupied(3 * need)[:, 1:].mean() == pytest.approx(4.0, rel=0.1)
    live = hourly_load(
        case.streams,
        100 * case.streams.sized(case.streams.units[EXPECTED])[1:] * case.streams.chance[1:],
        np.ones(len(case.streams.table), dtype=bool),
    )
    assert model.occupied(100 * need)[:, 1:].mean() == pytest.approx(np.ceil(live / 4).mean() * 4, rel=0.1)
    assert model.occupied(0 * need).max() == 0.0


@settings(max_examples=15, deadline=None)
@given(chat=st.floats(0.02, 60.0), times=st.floats(0.3, 4.0))
def test_whole_nodes_of_more_or_less_demand_are_near_those_counted(chat, times):
    """The line through two demands against nodes counted hour by hour: within a node, and within a tenth of large fleets."""
    case = make_case(plan=make_plan(12, VALUES), chat=chat, train=0.0, prices=make_prices(BOUGHT))
    model = returns_basis(case, solve_case(case), API).model
    work = times * case.streams.sized(case.streams.units[EXPECTED])[1:] * case.streams.chance[1:]
    nodes = np.ceil(hourly_load(case.streams, work, np.ones(len(case.streams.table), dtype=bool)) / 4 - 1e-9)
    need = (times * model.units * model.hours_per_unit[:, None]).sum(axis=0)[None, :] / HOURS_PER_MONTH
    counted = 4 * nodes.mean()
    assert abs(model.occupied(need)[:, 1:].mean() - counted) <= max(2.0, 0.1 * counted)


def test_distribution_drivers_and_knowledge(basis):
    returns = draw_returns(basis[2], draws=4_000)
    table = returns.options.set_index("option")
    assert table["best_probability"].sum() == pytest.approx(1)
    assert (table["npv_p10_usd"] < table["npv_p90_usd"]).all()
    assert returns.drivers["total"].is_monotonic_decreasing
    assert set(returns.drivers["group"]) >= {"demand", "value", "capacity", "prices"}
    assert (returns.drivers["first"] >= 0).all() and (returns.drivers["first"] <= returns.drivers["total"]).all()
    worth = returns.knowledge.set_index("knowledge")["worth_usd"]
    assert (worth >= 0).all()
    assert worth.max() == worth["Everything (upper bound)"]
    assert (returns.factors["source"] != "").all()
    again = draw_returns(basis[2], draws=4_000)
    pd.testing.assert_frame_equal(again.options, returns.options)


def test_early_traffic_shows_each_use_case_and_not_only_their_mean():
    """A choice that pays by a - b against nothing: the mean of both says nothing of it, each of them nearly all.

    ln a and ln b are normal with standard deviation s = 0.3 and seen with an error of e = 0.1. What is seen of their difference has a
    standard deviation of sqrt(2) s^2 / sqrt(s^2 + e^2), and the mean of the positive part of a normal is 0.3989 of that.
    """
    draws = np.exp(0.3 * np.random.default_rng(1).standard_normal((200_000, 2)))
    gain = np.log(draws) @ [1.0, -1.0]
    worth, perfect = value_of_signal(
        [gain, 0.0 * gain], seen_with_error(draws, 0.1, np.random.default_rng(2)), products=False
    )
    assert perfect == pytest.approx(np.sqrt(2) * 0.3 * 0.3989, rel=0.01)
    assert worth == pytest.approx(np.sqrt(2) * 0.09 / np.sqrt(0.09 + 0.01) * 0.3989, rel=0.01)


def test_what_if_moves_with_its_three_controls(basis):
    found = basis[2]
    base = quick_returns(found, wacc=0.1, price=1.0, utilization=1.0).set_index("option")
    np.testing.assert_allclose(base["npv_usd"], base_case(found.model).npv_usd[:, 0])
    dear = quick_returns(found, wacc=0.1, price=1.5, utilization=1.0).set_index("option")
    assert dear.loc[ON_DEMAND, "npv_usd"] < base.loc[ON_DEMAND, "npv_usd"]
    half = quick_returns(found, wacc=0.1, price=1.0, utilization=0.5).set_index("option")
    assert half.loc[OURS, "usd_per_useful_hour"] > base.loc[OURS, "usd_per_useful_hour"]
    late = quick_returns(found, wacc=0.3, price=1.0, utilization=1.0).set_index("option")
    assert late.loc[OURS, "npv_usd"] < base.loc[OURS, "npv_usd"]
    none = quick_returns(found, wacc=0.1, price=1.0, utilization=0.0)
    assert none["usd_per_useful_hour"].isna().all()


def test_without_value_there_is_no_distribution(tiny):
    case = tiny(plan=make_plan(12, VALUES), value_usd_per_unit=[np.nan, np.nan])
    assert returns_basis(case, solve_case(case), API) is None


def test_a_retired_hosted_model_is_followed_by_its_successor(tiny):
    values = VALUES | {"engineer_usd_per_month": 10_000.0}
    case = tiny(plan=make_plan(18, values), prices=make_prices())
    answer = solve_case(case)
    ends = API.assign(retires=[pd.Timestamp("2027-04-15"), pd.NaT])
    price, once = hosted_path(case, ends)
    chat = case.streams.table["use_case_id"].tolist().index("chat")
    ratio = case.plan.value("api_successor_price_ratio")
    assert price[5, chat] == 0.002
    assert price[6, chat] == pytest.approx(0.002 * ratio)
    assert once[6, chat] == pytest.approx(10_000 * case.plan.value("api_migration_person_months"))
    assert once.sum() == once[6, chat]
    still, ended = (returns_basis(case, answer, api).model for api in (API, ends))
    hosted = still.options.index(HOSTED)
    gap = base_case(still).cost_usd[hosted, 0] - base_case(ended).cost_usd[hosted, 0]
    assert gap == pytest.approx(-once.sum() * (1 + case.plan.value("contingency_share")))


def test_spot_is_cheaper_and_loses_value_of_what_is_interrupted(tiny):
    values = VALUES | {"spot_interruption_share": 0.2, "sla_miss_usd_per_unit_share": 0.5}
    spot = {"purchase_option": "spot", "usd_per_accelerator_hour": 1.0}
    case = tiny(plan=make_plan(12, values), prices=make_prices(spot))
    answer = solve_case(case)
    model = returns_basis(case, answer, API).model
    at, on_demand = model.options.index(ALL_SPOT), model.options.index(ON_DEMAND)
    base = base_case(model)
    assert base.cost_usd[at, 0] < base.cost_usd[on_demand, 0]
    assert model.lost_value_share[at, 1:] == pytest.approx(
        0.2 * 0.5
    )  # all value is that of chat, which is not interruptible
    assert model.flexible_usd_per_hour[at, 0] == pytest.approx(1.0 / 0.8)
    plain = tiny(plan=make_plan(12, values))
    assert ALL_SPOT not in returns_basis(plain, solve_case(plain), API).model.options


def test_the_frozen_tornado_is_the_exposure_of_this_plan(basis):
    returns = draw_returns(basis[2], draws=500)
    frame = returns.frozen.set_index("factor")
    assert frame["swing_usd"].is_monotonic_decreasing
    value = evaluate(basis[2].model, np.array([[0.7], [1.3]]), ["value"]).npv_usd[0]
    assert frame.loc["value", ["npv_low_usd", "npv_high_usd"]].tolist() == pytest.approx(value.tolist())


def test_a_base_that_is_held_already_is_no_way_to_pay_of_its_own(tiny, basis):
    held = tiny(
        plan=make_plan(18, VALUES), prices=make_prices(BOUGHT), growth={"expected": 0.03}, owned={("eu", "acc"): 400.0}
    )
    options = returns_basis(held, solve_case(held), API).model.options
    assert "Base: purchase" in basis[2].model.options
    assert "Base: purchase" not in options and options[:2] == (OURS, ON_DEMAND)


def test_a_way_that_comes_to_the_orders_of_another_is_shown_as_that_one(tiny):
    """What is bought within the horizon is a way of its own; where it comes after it three years are reserved, under one name."""
    long = {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 1.5, "term_months": 36}

    def options(weeks):
        prices = make_prices(BOUGHT | {"lead_time_weeks": weeks}, long, drop=["reserved_1y"])
        case = tiny(plan=make_plan(18, VALUES), prices=prices)
        return returns_basis(case, solve_case(case), API).model.options

    assert "Base: reserved, 3 years" in options(10.0) and "Base: purchase" in options(10.0)
    assert "Base: reserved, 3 years" in options(90.0) and "Base: purchase" not in options(90.0)
