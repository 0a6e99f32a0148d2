"""The closer search after the first one: orders that only noise speaks for are gone."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, make_inputs, make_plan, make_prices
from test_futures import paths_of

from aifactory.buyplan import build_buy_plan
from aifactory.buyplan.choose import LAST_GAP, broken_first, choose_orders, settled
from aifactory.buyplan.futures import problem_of
from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.extensive import solve_extensive
from aifactory.buyplan.stress.stability import plan_stability
from aifactory.errors import IdentityError
from aifactory.shortlist import build_shortlist


def bought_and_reserved():
    rows = [{"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 1.6, "term_months": 36},
            {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
             "lead_time_weeks": 8.0}]  # fmt: skip
    return make_prices(*rows)


@pytest.mark.parametrize(("capital", "people"), [(None, 0.0), (100_000.0, 0.0), (None, 20_000.0)])
def test_the_closer_search_ends_at_the_best_plan(tiny, capital, people):
    """The monolithic programme to a gap of nothing agrees, with a limit that ties orders, with people and without."""
    plan = make_plan(budget={"capex_usd_per_year": capital}, values={"operator_usd_per_month": people})
    case = tiny(plan=plan, prices=bought_and_reserved())
    problem = problem_of(case, paths_of(case, 8, 0.4))
    rough = optimise(problem, gap=0.2)
    close = settled(problem, rough)
    best = solve_extensive(problem, gap=1e-7).objective_usd
    assert close.cost.objective_usd == pytest.approx(best, rel=LAST_GAP)
    assert close.cost.objective_usd <= rough.cost.objective_usd and close.gap <= min(rough.gap, LAST_GAP)
    assert close.bound_usd <= best * (1 + 1e-9)
    rows, bounds, _ = problem.limits()
    assert not len(rows) or (rows @ close.nodes <= bounds + 1e-6).all()


def test_what_the_plan_must_break_is_said_first_and_once():
    def said(conflict, notes):
        return broken_first(SimpleNamespace(conflict=conflict), notes)

    assert said("Power is exceeded.", ["b", "Power is exceeded.", "a"]) == ["Power is exceeded.", "b", "a"]
    assert said("", ["b", "a", "b"]) == broken_first(None, ["b", "a"]) == ["b", "a"]


def test_a_bound_above_the_plan_is_a_contradiction(tiny):
    case = tiny(prices=bought_and_reserved())
    problem = problem_of(case, paths_of(case, 8, 0.4))
    rough = optimise(problem, gap=0.2)
    with pytest.raises(IdentityError, match="is above what orders cost"):
        settled(problem, replace(rough, bound_usd=rough.cost.objective_usd * 1.5))


def test_the_search_alone_moves_nothing(tiny):
    """Planned anew without any change, the orders are the same: whatever moves after a change is due to it."""
    case = tiny(prices=bought_and_reserved())
    chosen = choose_orders(case, paths_of(case, 20, 0.4))
    rows = plan_stability(chosen.problem, chosen.best.nodes).set_index("change")
    assert rows.loc["none", "moved_share"] == 0 and rows.loc["none", "keep_usd"] == pytest.approx(0.0, abs=1e-6)


def test_where_platforms_cannot_be_planned_one_by_one_the_plan_stands(tiny):
    """Hours on demand that are limited tie the work of a platform: the plan of the first search stands."""
    case = tiny()
    problem = problem_of(case, paths_of(case, 8, 0.4))
    limited = replace(problem, on_demand_most=np.full(problem.platforms, 1e6))
    rough = optimise(limited, gap=0.01)
    assert settled(limited, rough) is rough


def test_the_closer_search_keeps_smallest_orders(tiny):
    """Orders of at least two nodes: the plan is never dearer than the first search's, and no order is of one node."""
    case = tiny()
    problem = problem_of(case, paths_of(case, 8, 0.4))
    tied = replace(problem, options=tuple(replace(option, minimum_nodes=2) for option in problem.options))
    rough = optimise(tied, gap=0.01)
    closer = settled(tied, rough)
    assert closer.cost.objective_usd <= rough.cost.objective_usd and closer.gap <= rough.gap
    assert np.isin(closer.nodes, [0, 2, 3, 4]).all()


def test_an_order_for_a_launch_is_neither_a_quarter_early_nor_late(tiny):
    """Chat starts in month 3 of 14: a year at USD 2 from then on is all it needs; a quarter's order costs two months of rent more, or one by the hour."""
    plan = make_plan(months=14)
    inputs = make_inputs(plan)
    early = inputs["forecast"]["month"] < str(pd.Period(PERIOD, "M") + 3)
    for name in ("units", "units_per_hour_avg", "units_p10", "units_p90"):
        inputs["forecast"][name] = inputs["forecast"][name].mask(
            early | (inputs["forecast"]["use_case_id"] == "train"), 0.0
        )
    profile = inputs["demand_profile"]
    inputs["demand_profile"] = profile.assign(units_month=0.0, units_per_hour_avg=0.0)
    case = tiny(plan=plan, inputs=inputs)
    chosen = choose_orders(case, paths_of(case, 4, 0.0))
    assert [option.dated for option in chosen.problem.options] == [(2,)] and 0 in chosen.problem.order_months
    ordered = np.array([month for _, month in chosen.problem.orders])
    assert chosen.best.nodes.sum() >= 1 and (ordered[chosen.best.nodes > 0] == 2).all()


def test_a_plan_without_anything_to_commit_to_rents_all(changed, mini_ws, mini_stages):
    """Hours on demand alone are offered: there is nothing to choose among, and the plan stands without."""
    prices = mini_ws.table("prices")
    ws = changed(prices=prices[prices["purchase_option"] == "on_demand"])
    stages = mini_stages.inventory, mini_stages.benchmark
    plan = build_buy_plan(ws, *stages, build_shortlist(ws, *stages))
    assert plan.orders.empty and set(plan.bands["purchase_option"]) == {"on_demand"}
    assert len(plan.warnings) == len(set(plan.warnings)) > 0
