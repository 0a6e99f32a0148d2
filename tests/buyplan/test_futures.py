"""The plan of the report on many paths: the same money as the ledger, and never below the bound."""

from dataclasses import replace

import numpy as np
import pytest
from bp_company import make_plan, make_prices

from aifactory.buyplan.bands import orders_frame
from aifactory.buyplan.case import solve_expected
from aifactory.buyplan.choose import choose_orders, quick_orders
from aifactory.buyplan.futures import (
    BLOCK_SHARES,
    ONE_PATH,
    THIS_PLAN,
    FuturesBasis,
    block_demand,
    compare_futures,
    futures_basis,
    nodes_of,
    problem_of,
    problem_over,
    stream_paths,
)
from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.reference import reference_usd
from aifactory.buyplan.reasons import with_reasons
from aifactory.buyplan.scenario_orders import solve_over_paths
from aifactory.demand.scenarios import Paths
from aifactory.finance.options import COMMITTED_OPTIONS
from aifactory.fleet.orders import FLEXIBLE
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


def test_demand_is_the_whole_nodes_that_work(tiny):
    """On the expected path the hours of the problem are those of the ledger's slots, block by block."""
    case = tiny()
    problem = problem_of(case, paths_of(case, 1))
    load = case.loads[1]
    used = case.slots.total(load.use[1:] * case.slots.size, case.pools)
    average = problem.demand[0] @ problem.block_hours / problem.block_hours.sum()
    by_pool = average @ (case.streams.pool[:, None] == np.arange(case.pools))
    assert by_pool == pytest.approx(used, rel=2e-3, abs=1e-9)
    assert (np.diff(problem.demand.sum(axis=2), axis=2) <= 1e-9).all()


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
    assert cost.objective_usd == pytest.approx(compute, rel=0.02)


@pytest.mark.parametrize("chat", [1.0, 3.0, 5.5])
def test_people_and_storage_are_those_of_the_ledger_on_spot_too(tiny, chat):
    """A fifth of the hours on spot is lost: their price bears it, people and storage go with the hours that count."""
    spot = {"purchase_option": "spot", "usd_per_accelerator_hour": 1.0}
    plan = make_plan(values={"operator_usd_per_month": 73_000.0, "spot_interruption_share": 0.2})
    case = tiny(chat=chat, train=3.0, prices=make_prices(spot, drop=["reserved_1y"]), plan=plan)
    problem = problem_over(case, case.streams.sized(case.streams.units[1])[None, 1:])
    compute = solve_expected(case).ledger.compute
    usd = compute.cash_usd.sum() + compute.paid_hours.sum()
    assert evaluate_plan(problem, np.zeros(len(problem.orders))).objective_usd == pytest.approx(usd, rel=1e-9)


@pytest.mark.parametrize("chat", [1.0, 3.0, 5.5])
def test_work_on_spot_pays_for_the_nodes_that_firm_work_leaves_to_it(tiny, chat):
    """Without orders paths and ledger agree: a node shared with firm work is paid on demand, what is beyond it on spot."""
    spot = {"purchase_option": "spot", "usd_per_accelerator_hour": 1.0}
    case = tiny(chat=chat, train=3.0, prices=make_prices(spot, drop=["reserved_1y"]))
    assert case.streams.table["interruptible"].tolist() == [False, True] and not case.streams.waits.any()
    solution = solve_expected(case)
    problem = problem_of(case, paths_of(case, 1))
    still = replace(problem, spot_usd=np.ones_like(problem.spot_usd))  # paths move spot prices, the ledger does not
    cost = evaluate_plan(still, np.zeros(len(problem.orders)))
    rate = monthly_rate(case.plan.value("wacc"))
    assert cost.objective_usd == pytest.approx(solution.ledger.compute.present_value(rate), rel=1e-9)


def test_the_best_plan_over_all_paths_costs_no_more(tiny):
    case = tiny()
    found = compare_futures(
        futures_basis(case, solve_expected(case), problem_of(case, paths_of(case, 20, 0.4))), foresight=True
    )
    rows = found.table.set_index("policy").drop(index="perfect foresight")
    best = rows.loc["plan over all paths", "objective_usd"]
    assert best * (1 - found.gap) <= rows["objective_usd"].min() * (1 + 1e-9)
    assert rows.loc[THIS_PLAN, "regret"] == pytest.approx(rows.loc[THIS_PLAN, "objective_usd"] / best - 1, abs=1e-9)
    assert found.table["objective_usd"].is_monotonic_increasing
    known = found.table.set_index("policy").loc["perfect foresight"]
    assert known["expected_usd"] <= rows["expected_usd"].min() * (1 + 1e-9)


def test_the_plan_follows_the_orders_over_all_paths(tiny):
    """Every node of the optimum becomes a signature of the case; money agrees; reasons stand beside each order."""
    case = tiny()
    paths = paths_of(case, 20, 0.4)
    chosen = choose_orders(case, paths)
    case, answer = solve_over_paths(case, chosen, paths)
    assert (answer.expected.orders.signed != -1).sum() == chosen.best.nodes.sum() > 0
    found = compare_futures(
        futures_basis(chosen.case, answer.expected, chosen.problem, chosen.best, solve_expected(case))
    )
    rows = found.table.set_index("policy")
    assert rows.loc[THIS_PLAN, "regret"] == pytest.approx(0.0, abs=1e-9)
    assert rows.loc[ONE_PATH, "regret"] >= -found.gap
    assert (rows["exceeds"] == "").all()
    orders = with_reasons(orders_frame(chosen.case, answer, case.prices), chosen.reasons, case)
    assert orders["reason"].ne("").all() and orders["paths_share"].between(0, 1).all()
    assert orders["accelerators"].sum() == (chosen.best.nodes * chosen.problem.serves.max(axis=(0, 1))).sum()


def test_one_reference_for_the_plan_and_for_what_it_is_compared_with(tiny):
    """Contracts fall by 2 % a month: months between quarters hold a cheaper one than any quarter, which changes no overrun."""
    case = tiny(plan=make_plan(months=24), prices=make_prices().assign(lead_time_weeks=4.0))
    falling = np.broadcast_to(0.98 ** np.arange(24.0)[:, None], (20, 24, case.pools))
    problem = replace(problem_of(case, paths_of(case, 20, 0.6)), order_ratio=falling)
    best = optimise(problem, gap=1e-4)
    monthly = replace(problem, order_months=tuple(range(24)))
    assert (reference_usd(monthly) < reference_usd(problem) - 1.0).all()
    at = {order: column for column, order in enumerate(monthly.orders)}
    nodes = np.zeros(len(at))
    nodes[[at[order] for order in problem.orders]] = best.nodes
    row = compare_futures(FuturesBasis(problem, monthly, nodes, best)).table.set_index("policy").loc[THIS_PLAN]
    assert row["objective_usd"] == pytest.approx(best.cost.objective_usd, rel=1e-9)
    assert row["overrun_usd"] == pytest.approx(best.cost.overrun_usd, rel=1e-9)


def test_certain_demand_gives_the_cheapest_orders_for_it(tiny):
    """With one path the plan is as good as the node rule for that path, but for orders once a quarter."""
    case = tiny()
    chosen = choose_orders(case, paths_of(case, 1))
    rate = monthly_rate(case.plan.value("wacc"))
    ours, alone = (
        found.ledger.compute.present_value(rate)
        for found in (solve_expected(chosen.case, chosen.decision), solve_expected(case))
    )
    assert alone * (1 - 1e-9) <= ours <= alone * 1.02


def test_a_fleet_is_held_where_no_hours_can_be_rented(tiny):
    case = tiny(prices=make_prices(drop=["on_demand", "spot"]))
    chosen = choose_orders(case, paths_of(case, 5, 0.2))
    fleet = chosen.problem.capacity(chosen.best.nodes)
    reached = chosen.problem.serves.any(axis=2)
    assert (fleet >= np.where(reached, chosen.problem.floor, 0.0) - 1e-9).all() and chosen.problem.floor.any()
    assert set(chosen.reasons["reason"]) == {"no hours to rent"}


def test_nothing_to_commit_to_chooses_nothing(tiny):
    case = tiny(prices=make_prices(drop=["reserved_1y", "reserved_3y", "purchase", "lease"]))
    assert choose_orders(case, paths_of(case, 3)) is None


def test_a_budget_of_capital_is_kept(tiny):
    """A budget of one and a half nodes a year: one node at most is bought in a year, fewer than without it."""
    from bp_company import make_plan

    hardware = {
        "purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
        "lead_time_weeks": 4.0,
    }  # fmt: skip
    prices = make_prices(hardware, drop=["reserved_1y"])
    free = tiny(plan=make_plan(36), prices=prices)
    free = choose_orders(free, paths_of(free, 5, 0.2))
    price = max(option.upfront_usd for option, _ in free.problem.orders) * 4
    tight = tiny(plan=make_plan(36, budget={"capex_usd_per_year": price * 1.5}), prices=prices)
    tight = choose_orders(tight, paths_of(tight, 5, 0.2))
    matrix, bound, names = tight.problem.limits()
    assert names[0] == "capital of year 1" and (matrix @ tight.best.nodes <= bound + 1e-6).all()
    assert tight.best.nodes[0] == 1 < free.best.nodes[0]
    assert tight.best.cost.objective_usd > free.best.cost.objective_usd
    assert "one more dollar" in tight.limits[0] and free.limits == []


def test_quick_orders_follow_the_rule_of_the_plan(tiny):
    """For one scenario and for many paths they cost what the proven plan does; firm orders stand and are counted."""
    from bp_company import WAITS

    case = tiny(**WAITS)
    paths = paths_of(case, 20, 0.4)
    chosen = choose_orders(case, paths)
    roomy, decision = quick_orders(case, stream_paths(case, paths))
    nodes = nodes_of(roomy, solve_expected(roomy, decision), chosen.problem)
    assert evaluate_plan(chosen.problem, nodes).objective_usd <= chosen.best.cost.objective_usd * 1.01
    firm = np.full((13, len(case.slots.pool)), FLEXIBLE)
    firm[1, :2] = COMMITTED_OPTIONS.index("reserved_1y")
    none = np.zeros((1, 12, 2))
    roomy, decision = quick_orders(case, none, firm=firm)
    assert (decision == firm).all()
    expected = case.streams.sized(case.streams.units[1])[None, 1:]
    roomy, decision = quick_orders(case, expected, firm=firm)
    alone = quick_orders(case, expected)[1]
    assert (decision[:, :2] == firm[:, :2]).all()
    assert (decision != FLEXIBLE).sum() == (alone != FLEXIBLE).sum()


def test_work_with_a_latency_limit_runs_on_spot_but_does_not_wait(tiny):
    """Batch requests with a limit on their end: rented on spot in the hour in which they come, as the ledger has them."""
    from bp_company import WAITS

    case = tiny(request_pattern=["batch", "batch"], **WAITS)
    problem = problem_of(case, paths_of(case, 2))
    assert case.streams.table["movable"].tolist() == problem.deferrable.tolist() == [False, True]
    assert problem.may_be_interrupted.tolist() == [True, True]


def test_work_that_does_not_wait_takes_whole_nodes_beside_the_others_hour_by_hour(tiny):
    """Chat of 4.5 by day and 1.5 by night, nodes of 4: training of 3 fits into the idle 3.5 and 2.5, if it waits; else both need 8 and 8."""
    from bp_company import WAITS

    case = tiny(chat=3.0, train=3.0, **WAITS)
    streams, wanted = case.streams, case.streams.sized(case.streams.units[1])[None, 1:]
    together = block_demand(case, wanted, waits=np.zeros(2, dtype=bool)) @ BLOCK_SHARES
    hours = (wanted[0] * streams.chance[1:])[:, :, None] * streams.shape
    size = float(streams.pools["accelerators_per_node"].iloc[0])
    whole = (np.ceil(hours.sum(axis=1) / size - 1e-9) * size).mean(axis=1)
    assert together.sum(axis=2)[0] == pytest.approx(whole)
    patient = (block_demand(case, wanted) @ BLOCK_SHARES).sum(axis=2)[0]
    assert (patient[0], whole[0]) == pytest.approx((6.0, 8.0))
    assert block_demand(case, wanted, waits=streams.waits) == pytest.approx(block_demand(case, wanted))


def test_hours_beyond_a_commitment_are_those_of_the_hours_one_by_one(tiny):
    """A daily wave: with 10 to 30 of up to 60 accelerators committed the blocks rent what the hours do, within 1 %."""
    case = tiny(chat=30.0, train=0.0)
    hour = np.arange(case.streams.shape.shape[1])
    wave = 1.0 + 0.9 * np.sin(hour * np.pi / 12) + 0.05 * np.cos(hour)
    flat = np.ones_like(wave)
    streams = replace(case.streams, shape=np.array([wave, flat]))
    case = replace(case, streams=streams)
    wanted = streams.sized(streams.units[1])[None, 1:]
    size = float(streams.pools["accelerators_per_node"].iloc[0])
    load = (wanted[0] * streams.chance[1:])[:, :1] * wave
    hourly = np.ceil(load / size - 1e-9) * size
    for committed in (8.0, 16.0, 24.0, 32.0):
        asked = np.maximum(hourly - committed, 0.0).mean()
        found = (np.maximum(block_demand(case, wanted).sum(axis=2) - committed, 0.0) @ BLOCK_SHARES).mean()
        assert found == pytest.approx(asked, rel=0.01)


def test_limits_are_spoken_of_by_name(tiny):
    from bp_company import make_plan

    case = tiny(plan=make_plan(budget={"capex_usd_per_year": 1e6}))
    problem = problem_of(case, paths_of(case, 3))
    text = problem.in_words("raise capital of year 1 or lower reserve of platform 0 in month 2")
    assert text == "raise capital of fiscal year 2026 or lower reserve of acc in eu in 2027-01"
    assert (
        replace(problem, platform_names=(), month_names=()).in_words("platform 0 in month 2") == "platform 0 in month 2"
    )


def test_limits_that_contradict_each_other_give_way_by_the_least(tiny):
    """Nothing to rent, 4 nodes must stand ready, and capital for one: it gives way by three nodes, and all is named."""
    from bp_company import make_plan

    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor"}
    prices = make_prices(hardware, drop=["on_demand", "spot", "reserved_1y"])
    free = tiny(prices=prices)
    free = choose_orders(free, paths_of(free, 4))
    spent = sum(n * o.upfront_usd * 4 for (o, _), n in zip(free.problem.orders, free.best.nodes, strict=True))
    case = tiny(plan=make_plan(budget={"capex_usd_per_year": spent / 4}), prices=prices)
    chosen = choose_orders(case, paths_of(case, 4))
    rows, bounds, names = chosen.problem.limits()
    capital = [name.startswith("capital") for name in names]
    over = (rows @ chosen.best.nodes)[capital].max() - spent / 4
    assert 0 < over <= spent * 3 / 4 + 1e-6 and (rows @ chosen.best.nodes <= bounds + 1e-6 * abs(bounds)).all()
    (said, *_) = chosen.limits
    assert "no plan keeps capital of fiscal year 2026 and reserve of acc in eu in 202" in said
    assert f"This plan exceeds capital of fiscal year 2026 by {over:,.6g} USD" in said and "platform 0" not in said
