"""Orders meet the dates that are known: launches, ends of running terms, and work that comes home when they end."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import make_plan, make_prices
from moving_company import TERM, decide
from test_futures import paths_of
from test_placed import month, order, with_book

from aifactory.buyplan.choose import choose_orders
from aifactory.buyplan.futures import problem_of
from aifactory.buyplan.optimise.extensive import solve_extensive
from aifactory.buyplan.order_months import due_dates, launches

HARDWARE = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
            "lead_time_weeks": 8.0}  # fmt: skip


def test_a_term_that_ends_is_followed_without_a_month_twice_or_by_the_hour(tiny):
    """Four of twelve accelerators work day and night, reserved until month 5 of 16: twelve months at USD 2.40 follow at once.

    The order of a quarter is there in month 4: for that month it spares four of the day half of the hours at USD 4, and in
    month 16 four are rented for all of them.
    """
    year = {"purchase_option": "reserved_1y", "usd_per_accelerator_hour": 2.4, "term_months": 12}
    case = with_book(tiny(plan=make_plan(16), prices=make_prices(year).drop(index=1), train=0.0), order(4, -8, 5))
    chosen = choose_orders(case, paths_of(case, 2))
    problem, nodes = chosen.problem, chosen.best.nodes
    assert [(problem.orders[at][1], nodes[at]) for at in np.flatnonzero(nodes)] == [(4, 1.0)]
    assert [option.dated for option in problem.options] == [(4,)]
    quarterly = replace(problem, options=tuple(replace(option, dated=()) for option in problem.options))
    late = solve_extensive(quarterly, gap=1e-9).objective_usd
    assert chosen.best.cost.objective_usd == pytest.approx(12 * 4 * 730 * 2.4 + 16 * 8 * 365 * 4.0)
    assert late - chosen.best.cost.objective_usd == pytest.approx(4 * 730 * 4.0 - 4 * 365 * 4.0)
    reason = chosen.reasons.iloc[0]
    assert reason["timing"] == "there when 4 acc end" and reason["why"].endswith("there when 4 acc end")


def test_each_way_to_pay_is_ordered_its_lead_time_before(tiny):
    """Hardware of two months is ordered in month 2 for an end in month 4, a reservation in month 4; of an end in month 1 only what is there at once."""
    for ends, months in ((5, {"purchase": (2,), "reserved_1y": (4,)}), (2, {"purchase": (), "reserved_1y": (1,)})):
        case = with_book(tiny(prices=make_prices(HARDWARE)), order(8, -8, ends))
        problem = problem_of(case, paths_of(case, 1))
        assert {option.name: option.dated for option in problem.options} == months
        assert sorted({at for option, at in problem.orders if option.name == "purchase"}) == sorted(
            {0, 3, 6, 9, *months["purchase"]}
        )


def test_without_a_known_date_orders_are_placed_each_quarter(tiny):
    """Neither purchases, which stay, nor a term beyond the horizon give a date."""
    case = with_book(tiny(), order(8, -8, 30), order(8, -8, None, option="purchase"))
    assert due_dates(case) == {}
    assert all(option.dated == () for option in problem_of(case, paths_of(case, 1)).options)


def test_work_that_moves_later_is_not_said_to_start():
    """Belt runs on `old` and moves to `new` in month 2; van has no demand before month 1; belt in us starts in month 2; chat leaves a
    hosted model in month 2.
    """
    rows = [("belt", "eu", 0), ("belt", "eu", 1), ("van", "eu", 1), ("belt", "us", 2), ("chat", "eu", 3)]
    table = pd.DataFrame(rows, columns=["use_case_id", "region", "pool"])
    units = np.array([[[5.0, 0.0, 0.0, 0.0, 7.0], [5.0, 0.0, 9.0, 0.0, 0.0], [0.0, 5.0, 9.0, 5.0, 8.0]]] * 3)
    streams = SimpleNamespace(table=table, units=units, pool=table["pool"].to_numpy())
    assert launches(SimpleNamespace(streams=streams)) == {
        (1, 1): "belt moves",
        (0, 1): "van starts",
        (1, 2): "belt starts",
        (1, 3): "chat moves",
    }


def test_orders_meet_the_work_that_comes_home():
    """Chat runs on `old` until its term ends in month 5: both accelerators have that date."""
    case, moved, _ = decide(TERM)
    pools = moved.streams.pools["accelerator_id"].tolist()
    assert {(at, pools[pool]): words for (at, pool), words in due_dates(moved).items()} == {
        (4, "acc"): "24 old end",
        (4, "old"): "24 old end",
    }
    assert due_dates(case) == {}  # where nothing of the plan runs on it, its end changes nothing


def test_a_plan_made_a_month_later_has_the_same_dates(tiny):
    """The date of an order approved off the quarters stays, and the quarters go on as they were."""
    case = with_book(tiny(plan=make_plan(16), prices=make_prices(HARDWARE)), order(8, -8, 5))
    like = {"plan_period": "2026-09", "region": "eu", "accelerator_id": "acc", "accelerators": 4, "kind": "commitment"}
    rows = [("purchase", month(3)), ("purchase", month(2)), ("purchase", month(5)), ("reserved_1y", month(6))]
    steps = pd.DataFrame([{**like, "purchase_option": option, "order_month": at} for option, at in rows])
    problem = choose_orders(case, paths_of(case, 2), steps).problem
    assert problem.order_months == (0, 1, 4, 7, 10, 13)
    # month 2 is that of the end, less the lead time; month 5 of the reservation was approved; that of today ends in month 12
    assert {option.name: option.dated for option in problem.options} == {
        "purchase": (1, 2, 4, 10),
        "reserved_1y": (4, 5, 12),
    }


def test_a_term_of_the_plan_is_followed_when_it_ends(tiny):
    """Eleven months of lead: the year reserved today ends in month 12, and hardware for it is ordered in month 1, not 0 or 3.

    The quarters would pay for both in month 11, or rent in months 12 and 13; no other month is cheaper.
    """
    year = {"purchase_option": "reserved_1y", "usd_per_accelerator_hour": 2.4, "term_months": 12}
    slow = {**HARDWARE, "usd_per_accelerator": 14_000.0, "lead_time_weeks": 47.0}
    case = tiny(plan=make_plan(36), prices=make_prices(year, slow).drop(index=1), train=0.0)
    chosen = choose_orders(case, paths_of(case, 2))
    problem, nodes = chosen.problem, chosen.best.nodes
    assert {option.name: option.dated for option in problem.options} == {"purchase": (1, 13), "reserved_1y": ()}
    ordered = {(problem.orders[at][0].name, problem.orders[at][1]) for at in np.flatnonzero(nodes)}
    assert {("reserved_1y", 0), ("purchase", 1)} <= ordered
    every = solve_extensive(replace(problem, order_months=tuple(range(36))), gap=1e-9).objective_usd
    assert chosen.best.cost.objective_usd == pytest.approx(every, rel=1e-6)
    quarterly = replace(problem, options=tuple(replace(option, dated=()) for option in problem.options))
    assert solve_extensive(quarterly, gap=1e-9).objective_usd > every * 1.001
    assert chosen.reasons["timing"].str.fullmatch(r"there when \d+ acc of this plan end").any()
