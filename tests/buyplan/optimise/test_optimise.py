"""The optimiser against the monolithic programme, closed forms and what must hold of any plan."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_problems import problem, with_ports
from scipy.optimize import linprog

from aifactory.buyplan.optimise.benders import fewer_blocks, mean_paths, optimise
from aifactory.buyplan.optimise.closed_form import ClosedFormRecourse, has_closed_form
from aifactory.buyplan.optimise.evaluate import evaluate_plan, evaluate_with_slopes, tail_weights
from aifactory.buyplan.optimise.extensive import solve_extensive
from aifactory.buyplan.optimise.policies import compare_policies, policy_plans
from aifactory.buyplan.optimise.problem import Option, Port, Problem
from aifactory.buyplan.optimise.recourse import Recourse, month_costs
from aifactory.errors import InputError


def one_platform(level, *, months=4, options=(), **changes):
    """One workload, one platform, one block of 100 hours; 10 units an accelerator-hour; nodes of one accelerator."""
    demand = np.broadcast_to(np.asarray(level, float).reshape(-1, 1, 1, 1), (np.size(level), months, 1, 1)).copy()
    given = {
        "demand": demand, "block_hours": np.array([100.0]), "rate": np.array([[10.0]]), "deferrable": np.array([False]),
        "node_size": np.array([1]), "options": tuple(options), "on_demand_usd": np.full((months, 1), 4.0),
        "spot_usd": np.full((months, 1), np.inf), "api_usd": np.full((months, 1), np.inf), "miss_usd": np.array([1.0]),
        "owned": np.zeros((months, 1)), "on_demand_most": np.array([np.inf]), "spot_share": np.array([1.0]),
        "kw": np.array([1.0]), "order_months": (0,), "wacc": 0.0, "risk_weight": 0.0,
    }  # fmt: skip
    return Problem(**{**given, **changes})


RENT = Option("reserved", 0, 4, monthly_usd=200.0)


def test_a_plan_by_hand():
    """20 units an hour need 2 accelerators: rented 2 x 4 x 200 USD, on demand 2 x 100 h x 4 USD x 4 months."""
    case = one_platform([20.0], options=[RENT])
    assert evaluate_plan(case, np.array([0.0])).objective_usd == pytest.approx(3200.0)
    assert evaluate_plan(case, np.array([2.0])).objective_usd == pytest.approx(1600.0)
    found = optimise(case, gap=1e-9)
    assert found.nodes.tolist() == [2.0]
    assert found.cost.objective_usd == pytest.approx(1600.0) and found.gap <= 1e-9


def test_what_goes_with_an_hour_is_paid_on_any_way_to_pay():
    """Held 2 x 4 x (200 + 100 h x 1), rented 2 x 100 h x (4 + 1) x 4 months, owned hours as before at nothing."""
    case = one_platform([20.0], options=[RENT], around_usd=1.0)
    assert evaluate_plan(case, np.array([2.0])).objective_usd == pytest.approx(2400.0)
    assert evaluate_plan(case, np.array([0.0])).objective_usd == pytest.approx(4000.0)
    mine = one_platform([20.0], options=[RENT], around_usd=1.0, owned=np.full((4, 1), 2.0))
    assert evaluate_plan(mine, np.array([0.0])).objective_usd == 0.0


def test_idle_hours_bear_it_too_so_that_less_is_held():
    """A node that works every other hour: held at half the price of its hours it costs the same; what goes with them decides."""
    half = {"block_hours": np.array([50.0, 50.0]), "demand": np.tile([10.0, 0.0], (1, 4, 1, 1))}
    even = one_platform([10.0], options=[Option("reserved", 0, 4, monthly_usd=199.0)], **half)
    assert optimise(even, gap=1e-9).nodes.tolist() == [1.0]
    found = optimise(replace(even, around_usd=0.5), gap=1e-9)
    assert found.nodes.tolist() == [0.0]
    assert found.cost.objective_usd == pytest.approx(4 * 50 * 4.5)


@pytest.mark.parametrize("seed", range(3))
def test_it_counts_alike_in_every_solver(seed):
    """Spot, hosted and missed work among the choices: decomposition and monolith agree, and it is never free."""
    case = problem(3, 6, 3, 2, seed=seed, around_usd=0.7)
    found, whole = optimise(case, gap=1e-6), solve_extensive(case, gap=1e-7)
    assert found.cost.objective_usd == pytest.approx(whole.objective_usd, rel=2e-6)
    assert found.cost.objective_usd > optimise(replace(case, around_usd=0.0), gap=1e-6).cost.objective_usd
    single = problem(3, 6, 2, 1, seed=seed, around_usd=0.7, on_demand_most=np.full(1, np.inf))
    capacity = np.full((6, 1), 16.0)
    assert has_closed_form(single)
    np.testing.assert_allclose(
        ClosedFormRecourse(single).cost(capacity)[0], Recourse(single).cost(capacity)[0], rtol=1e-9
    )


def test_prices_that_move_move_prices_alone():
    """Twice the price of an order on one of two paths: what goes with its hours is no price."""
    case = one_platform(
        [10.0, 10.0], options=[replace(RENT, listed=True)], around_usd=1.0, order_ratio=np.ones((2, 4, 1))
    )
    ratio = np.ones((2, 4, 1))
    ratio[1] = 2.0
    dear = replace(case, order_ratio=ratio)
    assert dear.order_usd[0] == pytest.approx(4 * (200 * 1.5 + 100))
    assert dear.order_swing[:, 0].tolist() == pytest.approx([-400.0, 400.0])


def test_the_newsvendor_is_found():
    """Demand of 1 to 10 accelerators, held hours at half the on-demand price: the median is committed."""
    case = one_platform(10.0 * np.arange(1, 11), options=[RENT])
    assert optimise(case, gap=1e-9).nodes[0] in {5.0, 6.0}  # 5 and 6 cost the same


def test_the_newsvendor_rule_compares_a_level_price_with_hours():
    """800 USD at once for four months at 20 % interest a month are 800 / (1 + 1/1.2 + 1/1.44 + 1/1.728) = 257.5 a month.

    Hours on demand are 400: 1 - 257.5 / 400 = 0.356, the fourth of ten equally likely demands, not the fifth as for 200.
    """
    once = replace(RENT, upfront_usd=800.0, monthly_usd=0.0)
    case = one_platform(10.0 * np.arange(1, 11), options=[once], wacc=1.2**12 - 1)
    assert policy_plans(case)["newsvendor"].tolist() == [4.0]


def test_what_is_missed_costs_its_penalty():
    case = one_platform([20.0], on_demand_most=np.array([0.5]))
    assert evaluate_plan(case, np.zeros(0)).objective_usd == pytest.approx(4 * 100 * (0.5 * 4.0 + 15.0 * 1.0))


@pytest.mark.parametrize("seed", range(4))
def test_decomposition_and_monolith_agree(seed):
    case = problem(4, 6, 3, 2, seed=seed, capital_usd=np.array([3e6]), power_kw=np.full(6, 120.0))
    whole = solve_extensive(case, gap=1e-7)
    found = optimise(case, gap=1e-6)
    assert found.cost.objective_usd == pytest.approx(whole.objective_usd, rel=2e-6)
    assert found.bound_usd <= whole.objective_usd * (1 + 1e-9)
    assert evaluate_plan(case, np.round(whole.nodes)).objective_usd == pytest.approx(whole.objective_usd, rel=1e-7)


def test_a_month_is_what_another_library_says():
    case = problem(3, 4, 3, 2, seed=7)
    recourse = Recourse(case)
    capacity = np.full((4, 2), 24.0)
    usd, worth = recourse.cost(capacity)
    lay = recourse.layout
    for path, month in ((0, 0), (1, 3), (2, 2)):
        need = lay.demand_of @ case.demand[path, month].ravel()
        matrix = lay.matrix.toarray()
        bound = np.concatenate([-need, capacity[month][lay.capacity_of]])
        sign = np.r_[-np.ones(len(need)), np.ones(len(lay.capacity_rows))][:, None]
        limits = [(0, top if top < 1e29 else None) for top in lay.upper]
        other = linprog(month_costs(case, lay, path, month), sign * matrix, bound, bounds=limits, method="highs")
        assert usd[path, month] == pytest.approx(other.fun, rel=1e-9)
    assert (worth <= 0).all()


def test_slopes_are_a_lower_bound_of_every_other_plan():
    """Convexity: cost(y) >= cost(x) + slope (y - x) for any two plans."""
    case, rng = problem(5, 6, 3, 2, seed=3), np.random.default_rng(0)
    count = len(case.orders)
    for _ in range(5):
        x, y = rng.uniform(0, 4, (2, count)) * (rng.random((2, count)) < 0.3)
        cost, slopes = evaluate_with_slopes(case, x)
        other = evaluate_plan(case, y)
        weights = tail_weights(other.recourse_usd, case.tail)
        assert other.recourse_usd.mean() >= slopes.mean_usd.sum() + slopes.mean.sum(axis=0) @ (y - x) - 1e-3
        assert weights @ other.recourse_usd >= slopes.tail_usd + slopes.tail @ (y - x) - 1e-3


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(0.0, 0.95))
def test_tail_weights_are_those_of_the_worst_paths(costs, tail):
    costs = np.array(costs)
    weights = tail_weights(costs, tail)
    assert weights.sum() == pytest.approx(1.0)
    # Rockafellar and Uryasev: the tail mean is the least of threshold + excess, attained at one of the costs
    least = min(threshold + np.maximum(costs - threshold, 0).mean() / (1 - tail) for threshold in costs)
    assert weights @ costs == pytest.approx(least, rel=1e-9, abs=1e-6)


def test_no_demand_orders_nothing():
    case = problem(4, 6, 2, 2)
    found = optimise(replace(case, demand=case.demand * 0))
    assert found.nodes.sum() == 0 and found.cost.objective_usd == 0 and found.gap == 0


def test_tighter_limits_never_cost_less():
    case = problem(4, 12, 3, 2, seed=2)
    costs = [
        optimise(
            replace(case, capital_usd=np.array([budget]), power_kw=np.full(12, power)), gap=1e-5
        ).cost.objective_usd
        for budget, power in ((1e9, 1e9), (2e6, 1e9), (2e6, 60.0), (0.0, 0.0))
    ]
    assert (np.diff(costs) >= -1e-4 * costs[0]).all()


def test_limits_are_kept():
    case = problem(4, 12, 3, 2, seed=2, capital_usd=np.array([2e6]), power_kw=np.full(12, 60.0))
    found = optimise(case)
    matrix, bound, _ = case.limits()
    assert (matrix @ found.nodes <= bound + 1e-6).all()


def test_more_weight_on_the_tail_never_raises_the_tail():
    case = problem(10, 6, 2, 2, seed=5)
    tails = [optimise(replace(case, risk_weight=weight), gap=1e-6).cost.tail_usd for weight in (0.0, 0.5, 1.0)]
    assert tails[0] >= tails[1] * (1 - 1e-5) and tails[1] >= tails[2] * (1 - 1e-5)


def test_minimum_orders_are_all_or_nothing():
    few = Option("reserved", 0, 4, monthly_usd=200.0, minimum_nodes=5)
    found = optimise(one_platform([20.0], options=[few]), gap=1e-9)
    assert found.nodes.tolist() == [0.0]  # five would cost 4000, on demand costs 3200
    assert optimise(one_platform([40.0], options=[few]), gap=1e-9).nodes.tolist() == [5.0]


def test_long_commitments_do_not_pile_up_at_the_horizon():
    """Flat demand: without the stranded tail, three-year terms of the last months would cost months only."""
    long = Option("reserved 3 y", 0, 36, monthly_usd=180.0)
    short = Option("reserved 1 y", 0, 12, monthly_usd=220.0)
    case = one_platform([100.0], months=24, options=[long, short], order_months=tuple(range(0, 24, 3)))
    found = optimise(case, gap=1e-6)
    late = [
        nodes for nodes, (option, month) in zip(found.nodes, case.orders, strict=True) if option is long and month >= 12
    ]
    assert sum(late) == 0
    careless = optimise(replace(case, stranded=0.0), gap=1e-6)
    assert careless.cost.orders_usd < found.cost.orders_usd


def test_owned_kit_is_sold_at_the_horizon():
    buy = Option(
        "buy", 0, 60, upfront_usd=1000.0, monthly_usd=10.0, resale_usd=900.0, resale_per_year=0.5, capital=True
    )
    case = one_platform([10.0], months=12, options=[buy])
    assert case.order_usd[0] == pytest.approx(1000.0 + 12 * 10.0 - 450.0)


def test_deferrable_work_waits_for_free_hours():
    """Two blocks of 100 h, 20 and 0 units an hour, one accelerator: batch work fits, live work does not."""
    demand = np.array([20.0, 0.0]).reshape(1, 1, 1, 2)
    base = {
        "months": 1, "demand": demand, "block_hours": np.array([100.0, 100.0]), "owned": np.ones((1, 1)),
    }  # fmt: skip
    patient = one_platform([0.0], deferrable=np.array([True]), **base)
    assert evaluate_plan(patient, np.zeros(0)).objective_usd == pytest.approx(0.0)
    assert evaluate_plan(one_platform([0.0], **base), np.zeros(0)).objective_usd == pytest.approx(400.0)


def test_spot_serves_only_what_may_be_interrupted():
    spot = {"spot_usd": np.full((4, 1), 1.0), "spot_share": np.array([0.5])}
    assert evaluate_plan(one_platform([10.0], **spot), np.zeros(0)).objective_usd == pytest.approx(1600.0)
    patient = one_platform([10.0], deferrable=np.array([True]), **spot)
    assert evaluate_plan(patient, np.zeros(0)).objective_usd == pytest.approx(800.0)  # two spot hours for one


def test_prices_may_differ_by_path():
    prices = np.array([4.0, 8.0]).reshape(2, 1, 1) * np.ones((2, 4, 1))
    case = one_platform([10.0, 10.0], on_demand_usd=prices)
    assert evaluate_plan(case, np.zeros(0)).recourse_usd.tolist() == pytest.approx([1600.0, 3200.0])


def test_means_of_paths_bound_from_below():
    case = problem(40, 4, 2, 2, seed=9)
    nodes = np.where(np.arange(len(case.orders)) % 5 == 0, 3.0, 0.0)
    few = replace(case, demand=mean_paths(case.demand, 8))
    assert evaluate_plan(few, nodes).objective_usd <= evaluate_plan(case, nodes).objective_usd * (1 + 1e-9)


def test_means_of_load_blocks_bound_from_below():
    """Three blocks of 365, 292 and 73 hours merged into two: the first two become one of 657 hours at their mean."""
    case = problem(6, 4, 3, 2, seed=9)
    few = fewer_blocks(case, 2)
    assert few.block_hours.tolist() == [657.0, 73.0]
    assert few.demand[..., 0] == pytest.approx((365 * case.demand[..., 0] + 292 * case.demand[..., 1]) / 657)
    assert (few.demand @ few.block_hours) == pytest.approx(case.demand @ case.block_hours)
    for ports in (case, with_ports(case)):
        nodes = np.where(np.arange(len(ports.plan_usd)) % 5 == 0, 1.0, 0.0)
        less = evaluate_plan(fewer_blocks(ports, 2), nodes).objective_usd
        assert less < evaluate_plan(ports, nodes).objective_usd


def test_many_load_blocks_are_planned_to_the_gap_and_never_without_a_bound():
    """Twelve blocks: the plan keeps its gap, its bound holds for the plan of three, and a search cut short still has one."""
    case = problem(20, 6, 3, 2, seed=4)
    hours, shape = np.full(12, 730 / 12), np.linspace(0.2, 1.8, 12)
    case = with_ports(replace(case, demand=case.demand[..., :1] * shape, block_hours=hours))
    found = optimise(case, gap=0.01, time_limit_s=120)
    assert 0 <= found.gap <= 0.01
    assert optimise(fewer_blocks(case, 3), gap=0.01, time_limit_s=120).bound_usd <= found.cost.objective_usd * (
        1 + 1e-9
    )
    assert np.isfinite(optimise(case, gap=0.0, time_limit_s=0.2).gap)


def test_the_same_problem_gives_the_same_plan():
    first, again = (optimise(problem(20, 6, 3, 2, seed=4)) for _ in range(2))
    assert first.nodes.tolist() == again.nodes.tolist() and first.bound_usd == again.bound_usd


def test_a_limit_of_time_is_said():
    found = optimise(problem(40, 24, 4, 3), gap=0.0, time_limit_s=0.5)
    assert found.stopped == "time limit of 0.5 s"
    assert found.gap > 0


def test_ours_costs_no_more_than_any_rule_and_no_less_than_foresight():
    case = problem(10, 12, 3, 2, seed=6)
    table = compare_policies(case, gap=1e-4).table.set_index("policy")
    own = table.loc["plan over all paths"]
    rules = table.drop(index=["plan over all paths", "perfect foresight"])
    assert (rules["objective_usd"] >= own["objective_usd"] * (1 - 1e-4)).all()
    assert table.loc["perfect foresight", "expected_usd"] <= own["expected_usd"]
    assert set(rules.index) >= {"all on demand", "average + 20 %", "newsvendor", "plan for the mean path"}


def test_rules_hold_the_level_they_state():
    case = problem(10, 12, 2, 2, seed=8)
    plans = policy_plans(case)
    peak, average = (case.capacity(plans[name]).sum() for name in ("peak of the 95 % path", "average"))
    assert peak > case.capacity(plans["average + 40 %"]).sum() >= average > 0


def test_rules_pay_in_the_cheapest_way():
    """100 a month for a year against 60 a month for six: the rule takes the latter, twice, and rents nothing else."""
    options = (Option("year", 0, 12, monthly_usd=100.0), Option("half", 0, 6, monthly_usd=60.0))
    case = one_platform([0.5, 0.5], months=12, options=options, order_months=(0, 6))
    held = dict(
        zip([(option.name, month) for option, month in case.orders], policy_plans(case)["average"], strict=False)
    )
    assert held["half", 0] == held["half", 6] > 0
    assert held["year", 0] == held["year", 6] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": np.ones((3, 3))}, "rate"),
        ({"demand": np.full((2, 2, 2, 3), np.nan)}, "shape|numbers"),
        ({"risk_weight": 1.5}, "risk_weight"),
        ({"on_demand_usd": np.ones((5, 2))}, "on_demand_usd"),
        ({"options": (Option("x", 9, 12),)}, "needs a platform"),
        ({"rate": np.array([[1.0, 0.0], [1.0, 0.0]])}, "serves no workload"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        problem(2, 4, 2, 2, **changes)


def test_limits_that_owned_kit_breaks_are_named():
    with pytest.raises(InputError, match="owned accelerators draw 120 kW in month 0.*retire 60 kW"):
        problem(2, 4, 2, 2, owned=np.full((4, 2), 50.0), power_kw=np.full(4, 60.0))
    with pytest.raises(InputError, match="budget must be at least 0"):
        problem(2, 4, 2, 2, capital_usd=np.array([-1.0]))


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_the_closed_form_is_the_programme(seed):
    rng = np.random.default_rng(seed)
    own = np.eye(3)[rng.integers(0, 3, 6)]
    own[:3] = np.eye(3)
    case = problem(
        3, 2, 6, 3, seed=seed, rate=own * 1500, api_usd=np.full((2, 6), np.inf),
        on_demand_most=np.where(rng.random(3) < 0.7, np.inf, 0.0), miss_usd=np.full(6, 0.05),
        spot_usd=rng.uniform(0.5, 8.0, (2, 3)),
    )  # fmt: skip
    assert has_closed_form(case)
    nodes = rng.integers(0, 40, (2, 3))
    usd, worth = ClosedFormRecourse(case).cost(8.0 * nodes)
    assert usd == pytest.approx(Recourse(case).cost(8.0 * nodes)[0], rel=1e-9)
    following = sum(Recourse(case).cost(8.0 * (nodes + np.eye(3)[p] * np.ones((2, 3))))[0] - usd for p in range(3))
    assert 8.0 * worth.sum(axis=2) == pytest.approx(following, rel=1e-6, abs=1e-3)


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_the_closed_form_holds_for_work_of_many_prices(seed):
    """Hosted models, prices by path, work that runs on spot but may not wait, and work whose loss costs more."""
    rng = np.random.default_rng(seed)
    own = np.eye(2)[rng.integers(0, 2, 5)]
    own[:2] = np.eye(2)
    hosted = rng.uniform(1e-4, 0.02, (3, 2, 5))
    case = problem(
        3, 2, 5, 2, seed=seed, rate=own * rng.uniform(500, 2000, (5, 1)), deferrable=rng.random(5) < 0.5,
        api_usd=np.where(rng.random(5) < 0.6, hosted, np.inf) if rng.random() < 0.7 else hosted[0],
        on_demand_most=np.where(rng.random(2) < 0.7, np.inf, 0.0), miss_usd=rng.uniform(0.001, 0.05, 5),
        spot_usd=rng.uniform(0.5, 8.0, (3, 2, 2)), interruptible=rng.random(5) < 0.5,
    )  # fmt: skip
    assert has_closed_form(case)
    nodes = rng.integers(0, 40, (2, 2))
    usd, worth = ClosedFormRecourse(case).cost(8.0 * nodes)
    assert usd == pytest.approx(Recourse(case).cost(8.0 * nodes)[0], rel=1e-8)
    assert (worth <= 1e-9).all()
    fresh = case.demand * 1.3
    again = replace(case, demand=fresh)
    assert ClosedFormRecourse(case).cost(8.0 * nodes, fresh)[0] == pytest.approx(
        ClosedFormRecourse(again).cost(8.0 * nodes)[0]
    )


def test_capacity_serves_the_dearest_work_first():
    """10 accelerators of chat (hosted for USD 1), 10 of search (rented for 4): each of the first 10 saves 4, then 1."""
    case = Problem(
        demand=np.full((1, 1, 2, 1), 10.0), block_hours=np.array([100.0]), rate=np.ones((2, 1)),
        deferrable=np.zeros(2, bool), node_size=np.array([5]), options=(), on_demand_usd=np.full((1, 1), 4.0),
        spot_usd=np.full((1, 1), np.inf), api_usd=np.array([[1.0, np.inf]]), miss_usd=np.full(2, 9.0),
        owned=np.zeros((1, 1)), on_demand_most=np.array([np.inf]), spot_share=np.ones(1), kw=np.ones(1), order_months=(0,),
    )  # fmt: skip
    usd = [ClosedFormRecourse(case).cost(np.full((1, 1), 5.0 * n))[0].item() for n in range(5)]
    assert usd == [5000.0, 3000.0, 1000.0, 500.0, 0.0]


def test_between_nodes_the_closed_form_is_a_convex_interpolation():
    case = replace(one_platform(10.0 * np.arange(1, 11)), node_size=np.array([4]))
    at = [ClosedFormRecourse(case).cost(np.full((4, 1), accelerators))[0].mean() for accelerators in (4.0, 6.0, 8.0)]
    assert at[1] == pytest.approx((at[0] + at[2]) / 2)
    assert at[1] >= Recourse(case).cost(np.full((4, 1), 6.0))[0].mean()


def test_the_closed_form_is_used_where_it_holds_only():
    assert has_closed_form(one_platform([10.0]))
    assert not has_closed_form(problem(2, 2, 2, 2))
    assert not has_closed_form(one_platform([10.0], on_demand_most=np.array([5.0])))


@pytest.mark.parametrize("seed", range(3))
def test_ports_are_chosen_as_the_monolith_does(seed):
    case = with_ports(problem(3, 6, 3, 2, seed=seed), usd=(5e3, 4e4), months=2, seed=seed)
    whole = solve_extensive(case, gap=1e-7)
    found = optimise(case, gap=1e-3)
    assert found.cost.objective_usd == pytest.approx(whole.objective_usd, rel=2e-3)
    assert found.bound_usd <= whole.objective_usd * (1 + 1e-9)
    assert found.gap <= 1e-3 or found.stopped != "gap reached"
    assert evaluate_plan(case, np.round(whole.nodes)).objective_usd == pytest.approx(whole.objective_usd, rel=1e-7)


@pytest.mark.parametrize("seed", [5, 21, 40])
def test_few_large_nodes_beside_ports_reach_the_gap_too(seed):
    """Nodes that need not be whole leave a bound of 0.1 to 1 % below the best plan here: the rest needs whole numbers."""
    power = {"power_kw": np.full(3, 40.0), "capital_usd": np.array([0.0])}
    case = with_ports(problem(3, 3, 2, 2, seed=seed, on_demand_most=np.zeros(2), **power), seed=seed, months=1)
    whole, found = solve_extensive(case, gap=1e-7), optimise(case, gap=1e-6)
    assert found.cost.objective_usd == pytest.approx(whole.objective_usd, rel=2e-6)
    assert found.gap <= 1e-6
    assert found.bound_usd <= whole.objective_usd * (1 + 1e-6)


def test_without_any_order_the_plan_is_its_bound():
    found = optimise(one_platform([20.0]), gap=1e-6)
    assert found.cost.objective_usd == pytest.approx(4 * 100 * 2 * 4.0)
    assert found.gap == pytest.approx(0.0)


def two_platforms(usd, months=0, *, workloads=1):
    """Platform 1 costs 1 USD an hour instead of 4, once it is ported to: saves 2 x 100 h x 3 USD x 4 months."""
    level = np.full((1, 4, workloads, 1), 20.0)
    return Problem(
        demand=level, block_hours=np.array([100.0]), rate=np.full((workloads, 2), 10.0),
        deferrable=np.zeros(workloads, bool), node_size=np.array([1, 1]), options=(),
        on_demand_usd=np.tile([4.0, 1.0], (4, 1)), spot_usd=np.full((4, 2), np.inf),
        api_usd=np.full((4, workloads), np.inf), miss_usd=np.full(workloads, 1.0), owned=np.zeros((4, 2)),
        on_demand_most=np.full(2, np.inf), spot_share=np.ones(2), kw=np.ones(2), wacc=0.0, risk_weight=0.0,
        ports=(Port("class on 1", 1, tuple(range(workloads)), usd, months),),
    )  # fmt: skip


def test_a_port_is_made_where_it_pays():
    """Without: 4 x 2 x 100 x 4 = 3200; with: its cost, months at the old price, then 200 a month."""
    assert evaluate_plan(two_platforms(2000.0), np.array([0.0])).objective_usd == pytest.approx(3200.0)
    assert evaluate_plan(two_platforms(2000.0, 1), np.array([1.0])).objective_usd == pytest.approx(2000 + 800 + 600)
    assert optimise(two_platforms(2000.0)).nodes.tolist() == [1.0]  # saves 2400
    assert optimise(two_platforms(2000.0, 1)).nodes.tolist() == [0.0]  # a month later it saves 1800
    assert optimise(two_platforms(2500.0)).nodes.tolist() == [0.0]


def test_workloads_of_a_class_share_a_port():
    assert optimise(two_platforms(4000.0, workloads=2)).nodes.tolist() == [1.0]
    assert optimise(two_platforms(4000.0, workloads=2)).cost.orders_usd == 4000.0


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ((Port("a", 5, (0,), 1.0),), "needs a platform"),
        ((Port("a", 1, (), 1.0),), "needs a platform"),
        ((Port("a", 1, (0,), -1.0),), "cost and months"),
        ((Port("a", 1, (0,), 1.0), Port("b", 1, (0,), 1.0)), "another port opens"),
    ],
)
def test_ports_that_contradict_are_refused(ports, message):
    with pytest.raises(InputError, match=message):
        replace(two_platforms(1.0), ports=ports)


def test_a_plan_of_another_length_is_refused():
    with pytest.raises(InputError, match="needs 0 nodes, then 1 ports"):
        evaluate_plan(two_platforms(1.0), np.zeros(3))


def test_a_limit_of_solves_gives_a_lower_bound():
    case = with_ports(problem(20, 6, 3, 2, seed=3))
    plan = np.r_[np.full(len(case.orders), 0.3), np.full(len(case.ports), 0.5)]
    exact, slopes = evaluate_with_slopes(case, plan)
    quick, line = evaluate_with_slopes(case, plan, solves=5)
    assert quick.objective_usd <= exact.objective_usd * (1 + 1e-9)
    assert line.mean_usd.sum() <= slopes.mean_usd.sum() * (1 + 1e-9)
    assert quick.objective_usd >= 0.5 * exact.objective_usd


def test_known_bases_price_what_new_programmes_do():
    """The same months, one evaluator that has seen many others before and one that has not."""
    case = with_ports(problem(10, 6, 4, 3, seed=2))
    rng, warm = np.random.default_rng(0), Recourse(case)
    for _ in range(4):
        plan = np.r_[rng.uniform(0, 3, len(case.orders)), rng.random(len(case.ports))]
        used = warm.cost(case.capacity(plan), None, case.split(plan)[1])[0]
        assert used == pytest.approx(Recourse(case).cost(case.capacity(plan), None, case.split(plan)[1])[0], rel=1e-9)


def test_rules_use_platforms_that_need_no_port():
    case = with_ports(problem(4, 6, 3, 3, seed=1))
    plans = policy_plans(case)
    assert all(plan[len(case.orders) :].sum() == 0 for plan in plans.values())
    assert (case.capacity(plans["average"])[:, 1:] == 0).all()


def test_orders_at_prices_of_their_paths():
    """Half of the paths pay half for an order of month 3: it costs the mean, and the dear half pays a quarter more."""
    option = Option("reserved", 0, 3, monthly_usd=200.0, listed=True)
    ratio = np.ones((2, 6, 1))
    ratio[0, 3:] = 0.5
    case = one_platform([0.0, 0.0], months=6, options=(option,), order_months=(0, 3), order_ratio=ratio)
    assert case.order_usd == pytest.approx([600.0, 450.0])
    assert case.order_swing == pytest.approx(np.array([[0.0, -150.0], [0.0, 150.0]]))
    cost = evaluate_plan(case, np.array([1.0, 1.0]))
    assert cost.recourse_usd == pytest.approx([-150.0, 150.0])
    assert cost.expected_usd == pytest.approx(1050.0) and cost.tail_usd == pytest.approx(1200.0)


@pytest.mark.parametrize("seed", range(2))
def test_paths_of_prices_are_planned_as_the_monolith_does(seed):
    rng = np.random.default_rng(seed)
    case = problem(4, 6, 2, 2, seed=seed)
    options = tuple(replace(option, listed=not option.capital) for option in case.options)
    case = replace(
        case,
        options=options,
        on_demand_usd=case.on_demand_usd * rng.uniform(0.5, 1.5, (4, 6, 2)),
        order_ratio=rng.uniform(0.5, 1.5, (4, 6, 2)),
    )
    ours, whole = optimise(case, gap=1e-4), solve_extensive(case, gap=1e-6)
    assert ours.cost.objective_usd == pytest.approx(whole.objective_usd, rel=3e-4)
    assert ours.bound_usd <= whole.objective_usd * (1 + 1e-6)


def test_sites_have_their_own_power():
    """Two sites with 1 kW each: on each one node of what it houses; a rented node draws nothing there."""
    case = problem(2, 6, 2, 2, seed=3)
    options = tuple(replace(option, on_site=option.name in {"buy", "lease"}, last_order=0) for option in case.options)
    limit = np.tile(case.kw * 8, (6, 1))
    case = replace(
        case,
        options=options,
        site=np.array([0, 1]),
        site_names=("north", "south"),
        power_kw=limit,
        on_demand_most=np.zeros(2),
    )
    plan = optimise(case, gap=1e-3)
    housed = np.array([option.on_site for option, _ in case.orders]) * plan.nodes
    assert (np.einsum("tpn,n->tp", case.serves, housed) <= 8 + 1e-6).all()
    assert plan.nodes.sum() > housed.sum()
    assert case.limits()[2][0] == "power of north in month 0"


def test_what_is_ordered_uses_up_its_limits():
    """One node bought of a budget of three, in a site of 20 kW: 2 nodes of money and their power are left."""
    case = problem(2, 6, 1, 1, seed=3, capital_usd=np.array([3e5]), power_kw=np.full(6, 20.0))
    nodes = np.zeros(len(case.orders))
    nodes[0] = 1.0
    left = replace(case, **case.placed(nodes))
    each = case.options[0].upfront_usd * 8
    assert left.capital_usd[0] == pytest.approx(max(3e5 - each, 0.0))
    assert (left.owned == case.serves[:, :, 0]).all()
    assert left.limits()[1] == pytest.approx(np.maximum(case.limits()[1] - case.limits()[0] @ nodes, 0.0))
