"""Hosted models as an option of the optimiser: by hand, against the monolithic programme, and in words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import make_inputs, make_plan, make_prices
from test_futures import paths_of

from aifactory.buyplan.choose import choose_orders
from aifactory.buyplan.compare import hosted_path, without
from aifactory.buyplan.futures import BLOCK_SHARES, block_demand, problem_of, stream_paths
from aifactory.buyplan.governance import money
from aifactory.buyplan.hosted import hosted_option, hosted_usd_per_hour, in_order
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.extensive import solve_extensive


def api(usd, retires=pd.NaT, reason=""):
    """`api_frame` with a price per chat unit; an accelerator serves 3,600 units an hour."""
    return pd.DataFrame({
        "use_case_id": ["chat", "train"], "api_model": ["m", None], "provider": ["host", None],
        "api_usd_per_unit": [usd, np.nan], "retires": pd.to_datetime([retires, pd.NaT]), "reason": [reason, "no model named"],
        "source": ["page", None], "as_of": pd.to_datetime(["2026-10-01", None]), "confidence": ["measured", None], "next_times": [1.2, np.nan],
    })  # fmt: skip


def asked(case, usd, spread=0.3, count=6, **facts):
    paths = paths_of(case, count, spread)
    return choose_orders(case, paths), hosted_option(
        case, choose_orders(case, paths), stream_paths(case, paths), api(usd, **facts)
    )


def test_the_price_of_an_hour_is_that_of_the_units_it_yields(tiny):
    """3,600 units at USD 0.001 are USD 3.60 an hour at work; where 4 are occupied for 3 at work, three quarters of it."""
    case = tiny(chat=3.0, train=0.0, inputs={"shapes": {}})
    paths = paths_of(case, 2)
    problem, wanted = problem_of(case, paths), stream_paths(case, paths)
    price = np.column_stack([np.full(12, 0.001), np.full(12, np.nan)])
    hourly = hosted_usd_per_hour(case, problem, wanted, price)
    busy = wanted[0, 0, 0] / (problem.demand[0, 0, 0] @ problem.block_hours / 730)
    assert hourly[0, 0, 0] == pytest.approx(3.6 * busy) and busy < 1 and np.isinf(hourly[:, :, 1]).all()
    # a month of it costs what its units cost
    bill = (hourly[:, :, 0] * (problem.demand[:, :, 0] @ problem.block_hours))[0, 0]
    assert bill == pytest.approx(3.0 * 730 * 3600 * 0.001)


def test_growing_units_cost_the_same_in_the_optimiser_and_in_the_comparison(tiny):
    """Units that double in size hold twice the tokens: twice the price, half as many in an hour, the same bill in both."""
    case = tiny(chat=3.0, train=0.0, inputs={"shapes": {}})
    grown = replace(case, streams=replace(case.streams, size=np.linspace(1.0, 2.0, 13)[:, None] * np.ones((1, 2))))
    price, _ = hosted_path(grown, api(0.001))
    assert price[:, 0] == pytest.approx(0.001 * np.linspace(1.0, 2.0, 13))
    paths = paths_of(grown, 2)
    problem, wanted = problem_of(grown, paths), stream_paths(grown, paths)
    hourly = hosted_usd_per_hour(grown, problem, wanted, price[1:])
    bill = (hourly[:, :, 0] * (problem.demand[:, :, 0] @ problem.block_hours))[0]
    assert bill == pytest.approx(grown.streams.units[1, 1:, 0] * price[1:, 0], rel=1e-6)


def test_media_are_paid_by_the_unit_whatever_its_size(tiny):
    case = tiny(chat=3.0, train=0.0)
    table = case.streams.table.assign(service_unit="image")
    grown = replace(case, streams=replace(case.streams, table=table, size=np.full((13, 2), 3.0)))
    assert hosted_path(grown, api(0.001))[0][:, 0] == pytest.approx(0.001)


@pytest.mark.parametrize("usd", [2e-4, 6e-4, 9e-4])
def test_no_plan_with_hosted_models_is_cheaper(tiny, usd):
    """The monolithic programme over all paths, hours and whole nodes agrees."""
    case = tiny(plan=make_plan(12, {"wacc": 0.1}))
    paths = paths_of(case, 4, 0.4)
    chosen, wanted = choose_orders(case, paths), stream_paths(case, paths)
    found = hosted_option(case, chosen, wanted, api(usd))
    price = np.column_stack([np.full(12, usd), np.full(12, np.nan)])
    apart = replace(chosen.problem, demand=block_demand(case, wanted, may_leave=np.array([True, False])))
    whole = replace(apart, api_usd=hosted_usd_per_hour(case, apart, wanted, price))
    best = solve_extensive(whole, gap=1e-6, time_limit_s=120)
    assert found.hosted_usd == pytest.approx(best.objective_usd, rel=2e-4)
    assert found.hosted_usd <= found.plan_usd * (1 + 1e-9)
    row = found.table.iloc[0]
    assert 0 < row["hosted_share"] <= 1 and row["provider"] == "host" and row["source"] == "page"


def test_free_hosting_takes_all_and_dear_hosting_nothing(tiny):
    chosen, free = asked(tiny(train=0.0), 1e-9)
    assert free.table["hosted_share"].item() == pytest.approx(1.0) and free.hosted_usd < 0.01 * free.plan_usd
    assert free.orders_usd == pytest.approx(chosen.problem.order_usd @ chosen.best.nodes)
    model = free.table["api_model"].item().split("/")[-1]
    assert "100 % of chat there" in free.sentence() and f"({model}; prices of host, 2026-10-01)" in free.sentence()
    _, dear = asked(tiny(train=0.0), 1.0)
    assert dear.saving_share == pytest.approx(0.0, abs=1e-9)
    assert dear.sentence() == "Hosted models are priced for chat; the optimiser would send nothing there."


def test_what_stays_pays_the_node_that_it_shared(tiny):
    """Hosting that costs next to nothing leaves exactly what the other use case costs alone: no part of a node leaves with the work."""
    case = tiny(chat=3.0, train=0.5)
    found = asked(case, 1e-9, spread=0.0)[1]
    alone = without(case, np.array([True, False]))
    assert found.table["hosted_share"].item() == pytest.approx(1.0)
    best = choose_orders(alone, paths_of(alone, 6, 0.0)).best
    assert found.hosted_usd == pytest.approx(best.cost.objective_usd, rel=1e-3)
    assert found.hosted_usd > 0.4 * found.plan_usd


def test_the_saving_is_not_what_the_cut_of_the_demand_moves(tiny):
    """Chat shares nodes with work on spot: dear hosting saves nothing though the cut gives that work its nodes whole, on spot."""
    use_cases = make_inputs(make_plan())["use_cases"]
    batch = use_cases.assign(
        request_pattern=["interactive", "batch"], workload_class="real_time_inference", slo_p95_e2e_ms=1e3
    )
    spot = {"purchase_option": "spot", "usd_per_accelerator_hour": 0.2}
    case = tiny(chat=3.0, train=2.5, prices=make_prices(spot), inputs={"use_cases": batch})
    chosen, dear = asked(case, 1.0)
    wanted = stream_paths(case, paths_of(case, 6, 0.3))
    apart = replace(chosen.problem, demand=block_demand(case, wanted, may_leave=np.array([True, False])))
    assert abs(evaluate_plan(apart, chosen.best.nodes).objective_usd / chosen.best.cost.objective_usd - 1.0) > 0.01
    assert dear.table["hosted_share"].item() == 0.0
    assert dear.plan_usd == chosen.best.cost.objective_usd == pytest.approx(dear.hosted_usd, rel=1e-6)


def test_nodes_apart_add_up_to_those_together(tiny):
    case = tiny(chat=3.0, train=2.5)
    wanted = stream_paths(case, paths_of(case, 3, 0.4))
    together = block_demand(case, wanted)
    apart = block_demand(case, wanted, may_leave=np.array([True, False]))
    assert apart.sum(axis=2) == pytest.approx(together.sum(axis=2))
    rest = without(case, np.array([True, False]))
    alone = block_demand(rest, stream_paths(rest, paths_of(rest, 3, 0.4)))
    assert (apart @ BLOCK_SHARES)[:, :, 1] == pytest.approx((alone @ BLOCK_SHARES)[:, :, 1])


def test_a_model_that_retires_costs_its_move(tiny):
    values = {"api_migration_person_months": 2.0, "engineer_usd_per_month": 10_000.0, "api_successor_price_ratio": 1.0}
    case = tiny(plan=make_plan(12, values))
    staying, moving = asked(case, 2e-4)[1], asked(case, 2e-4, retires="2027-03-31")[1]
    assert moving.hosted_usd - staying.hosted_usd == pytest.approx(20_000.0, rel=0.1)
    assert moving.table["moving_usd"].iloc[0] == pytest.approx(20_000.0, rel=0.1)


def test_no_price_no_option(tiny):
    case = tiny()
    assert asked(case, np.nan, reason="residency rule: may not leave its regions")[1].sentence() == ""
    nothing = tiny(prices=make_prices(drop=["reserved_1y"]))
    assert hosted_option(nothing, None, np.zeros((1, 12, 2)), api(1e-3)) is None


def test_what_the_optimiser_says_stands_for_the_comparison(tiny):
    """Far cheaper hosting stands in the decision, its words last; whole use cases speak only where it was not asked."""
    found = asked(tiny(train=0.0), 1e-9)[1]
    rows = pd.DataFrame({"policy": ["This plan", "Hosted API where cheaper"], "dearer_share": [0.0, -0.5],
                         "served_share": 1.0, "note": "n"})  # fmt: skip
    assert in_order(["a"], ["b"], rows, found) == ["a", "b", found.sentence()]
    assert found.first_sentence().startswith(
        "Test hosted models on own prompts before signing: with 100 % of chat there"
    )
    assert (
        f"{money(found.plan_usd)} of {money(found.plan_usd)} of present value, weighed for risk (prices of host, 2026-10-01)"
        in found.first_sentence()
    )
    claimed = replace(found, table=found.table.assign(confidence="claimed", next_times=6.04))
    assert (
        "(prices of host, 2026-10-01, not verified; the next seller asks up to 6.0 times as much)"
        in claimed.first_sentence()
    )
    saved = found.plan_usd - found.hosted_usd
    assert found.first_sentence(plan_usd=saved * 99) and found.first_sentence(plan_usd=saved * 101) == ""
    little = replace(found, hosted_usd=found.plan_usd * 0.95)
    assert in_order(["a"], ["b"], rows, little) == ["a", "b", little.sentence()]
    assert little.first_sentence() == ""
    assert in_order([], [], rows, None)[0].startswith("Hosted API where cheaper would cost 50 % less")
