"""Jobs wider than their average: held or rented while they run, priced alike by optimiser and ledger, and named."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, WAITS, make_inputs, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from aifactory.buyplan.bands import bands_frame
from aifactory.buyplan.case import case_terms, solve, solve_case, solve_expected
from aifactory.buyplan.futures import problem_over
from aifactory.buyplan.gangs import gang_sentences
from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.closed_form import ClosedFormRecourse
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.optimise.recourse import Recourse
from aifactory.buyplan.options_table import options_frame
from aifactory.buyplan.reasons import reasons_of
from aifactory.errors import AIFactoryError
from aifactory.finance.options import COMMITTED_OPTIONS
from aifactory.fleet.nodes import filled_share
from aifactory.fleet.orders import FLEXIBLE
from aifactory.fleet.streams import EXPECTED
from aifactory.fleet.widths import Widths, widths_of
from aifactory.units import HOURS_PER_MONTH

HALF_WIDE = Widths(np.array([1.0, 8.0]), np.array([[0.5, 0.5]]))


def jobs(*sizes, name="train", hours=10.0):
    start = pd.Timestamp("2026-10-05", tz="UTC")
    ended = start + pd.Timedelta(hours=hours)
    return pd.DataFrame({"use_case_id": name, "region": "eu", "accelerators": sizes, "started_utc": start, "ended_utc": ended,
                         "status": "completed"})  # fmt: skip


def test_widths_are_weighed_by_accelerator_hours():
    """Ten hours of 16 and of 4, and what never started: four fifths in jobs of 16."""
    rows = jobs(16.0, 4.0, 64.0)
    rows["started_utc"] = rows["started_utc"].where(rows["accelerators"] < 64)
    found = widths_of(rows, pd.DataFrame({"use_case_id": ["train", "chat"], "region": "eu"}))
    assert found.accelerators.tolist() == [4.0, 16.0]
    assert found.share.tolist() == [[0.2, 0.8], [0.0, 0.0]] and found.widest.tolist() == [16.0, 0.0]
    assert found.beyond(np.array([0.0, 4.0, 8.0, 16.0]))[:, 0].tolist() == pytest.approx([1.0, 0.6, 0.4, 0.0])


def one_job(*accelerators):
    """Work in jobs of these widths alike."""
    known = Widths(np.array(accelerators), np.full((1, len(accelerators)), 1 / len(accelerators)))
    return lambda room: known.beyond(room)[..., 0]


def test_a_job_of_two_nodes_that_runs_half_the_time_by_hand():
    """One node on average: with one held the second is rented for as long as the job runs, half the hours."""
    share = filled_share(np.zeros(2), np.array(4.0), 4, 3, one_job(8.0))
    assert share.tolist() == [0.5, 0.5, 0.0]
    assert filled_share(np.zeros(2), np.array(4.0), 4, 3).tolist() == [1.0, 0.0, 0.0]


def scheduled(live, widths, shares, held):
    """Least rent of any schedule whose jobs run through all hours alike: share of each hour in which each set of jobs runs."""
    sets = [c for n in range(len(widths) + 1) for c in combinations(range(len(widths)), n)]
    runs = np.array([[float(j in c) for c in sets] for j in range(len(widths))])
    rents = []
    for n in live:
        cost = [max(n + sum(widths[j] for j in c) - held, 0) for c in sets]
        rents.append(linprog(cost, A_eq=np.vstack([np.ones(len(sets)), runs]), b_eq=np.r_[1.0, shares]).fun)
    return np.mean(rents)


@settings(max_examples=20)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 10)), min_size=1, max_size=3),
)
def test_rent_is_between_that_of_any_width_and_the_best_schedule(live, work):
    widths, shares = [w for w, _ in work], [s / 10 for _, s in work]
    hours = np.array(widths) * np.array(shares)
    known = Widths(np.array(widths, float), (hours / hours.sum())[None])
    count = max(live) + sum(widths) + 1
    rent = [
        filled_share(np.array(live, float), hours.sum(), 1, count, part)[::-1].cumsum()[::-1]
        for part in (lambda room: known.beyond(room)[..., 0], None)
    ]
    assert (np.diff(rent[0], n=2) >= -1e-9).all()  # convex: a node saves no more than the one below
    assert rent[0][0] == pytest.approx(np.mean(live) + hours.sum())
    for held in range(0, count, 2):
        best = scheduled(live, widths, shares, held)
        assert rent[1][held] - 1e-9 <= rent[0][held] <= best + 1e-7
        if len(widths) == 1 and len(set(live)) == 1 and held >= live[0]:
            assert rent[0][held] == pytest.approx(
                best, abs=1e-7
            )  # one job beside level work: the bound is the schedule


def test_a_wide_job_takes_the_rest_of_a_node_only_while_it_runs():
    """Live 1 of a node of 4, and a job of 12 that runs a quarter of the time: 3 - 3/4 on average are rented beside that node.

    With two nodes held the live node leaves one: two thirds of what is left. A job of any width would fill all of the rest.
    """
    live = np.array([1.0, 1.0])
    rent = filled_share(live, np.array(3.0), 4, 5, one_job(12.0))[::-1].cumsum()[::-1]
    assert rent[:3].tolist() == pytest.approx([1 + 2.25 / 4, 2.25 / 4, 2.25 / 4 * 2 / 3])
    assert filled_share(live, np.array(3.0), 4, 5).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 24), min_size=2, max_size=4),
    st.lists(st.integers(0, 24), min_size=4, max_size=4),
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.floats(0.0, 40.0),
)
def test_more_live_work_never_rents_less(live, more, widths, work):
    """Whatever is held: what joins a pool cannot make the others cheaper than they were without it."""
    live, size, count = np.array(live, float), 8, 40
    joined = live + np.array(more[: len(live)], float)
    rent = [
        filled_share(load, np.array(work), size, count, one_job(*map(float, widths)))[::-1].cumsum()[::-1]
        for load in (live, joined)
    ]
    assert (rent[1] >= rent[0] - 1e-9).all()


OPTIONS = (Option("reserved", 0, 2, monthly_usd=150.0),)


def training(demand, options=OPTIONS, **changes):
    """Training alone, one platform of one-accelerator nodes, months of 100 hours; hours at USD 4."""
    paths, months = demand.shape
    given = {
        "demand": demand[:, :, None, None], "block_hours": np.array([100.0]), "rate": np.ones((1, 1)), "deferrable": np.ones(1, bool),
        "node_size": np.ones(1, int), "options": options, "on_demand_usd": np.full((months, 1), 4.0), "spot_usd": np.full((months, 1), np.inf),
        "api_usd": np.full((months, 1), np.inf), "miss_usd": np.array([50.0]), "owned": np.zeros((months, 1)),
        "on_demand_most": np.array([np.inf]), "spot_share": np.ones(1), "kw": np.ones(1), "order_months": (0, 2), "wacc": 0.0,
        "risk_weight": 0.0, "widths": HALF_WIDE,
    }  # fmt: skip
    return Problem(**given | changes)


def test_the_width_moves_the_best_plan_by_hand():
    """Jobs of 8, 4 on average, for two months: held 8 x 150 x 2; 4 held would rent another 2 on average at 4 x 100 x 2."""
    demand, known = np.full((1, 2), 4.0), Widths(np.array([8.0]), np.ones((1, 1)))
    wide = optimise(training(demand, widths=known, order_months=(0,)), gap=1e-9)
    assert wide.nodes.tolist() == [8.0] and wide.cost.objective_usd == pytest.approx(2400.0)
    assert evaluate_plan(
        training(demand, widths=known, order_months=(0,)), np.array([4.0])
    ).objective_usd == pytest.approx(2800.0)
    assert optimise(
        training(demand, widths=Widths(np.zeros(0), np.zeros((1, 0))), order_months=(0,)), gap=1e-9
    ).nodes.tolist() == [4.0]


def monolith(problem):
    """The same as one mixed-integer programme: rent of a month above work less capacity, and above every line of the width."""
    at = np.r_[0.0, problem.widths.accelerators]
    part = problem.widths.beyond(at)[:, 0]
    slope = np.diff(part) / np.diff(at)
    count, (paths, months) = len(problem.orders), problem.demand.shape[:2]
    rows, least = [], []
    for path in range(paths):
        for month in range(months):
            work, mine = problem.demand[path, month, 0, 0] * 100.0, np.eye(paths * months)[path * months + month]
            serves = problem.serves[month, 0]
            for line, below, value in [(-100.0, 0.0, work), *zip(work * slope, at, work * part, strict=False)]:
                rows.append(np.r_[-line * serves, mine])  # rent >= value + line (capacity - below)
                least.append(value - line * below)
    price = np.repeat(4.0, paths * months) / paths
    found = milp(np.r_[problem.order_usd, price], constraints=LinearConstraint(np.array(rows), np.array(least), np.inf),
                 integrality=np.r_[np.ones(count), np.zeros(paths * months)], bounds=Bounds(0, np.inf))  # fmt: skip
    return found.fun


@pytest.mark.parametrize("seed", range(4))
def test_the_optimiser_finds_what_the_monolithic_programme_does(seed):
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(3))[None]
    problem = training(rng.uniform(0, 12, (3, 4)), widths=Widths(np.array([1.0, 4.0, 16.0]), share))
    assert optimise(problem, gap=1e-8).cost.objective_usd == pytest.approx(monolith(problem), rel=1e-6)


def test_where_a_workload_has_many_platforms_widths_are_refused():
    with pytest.raises(AIFactoryError, match="widths of jobs"):
        Recourse(training(np.ones((1, 2))))


@pytest.mark.parametrize("wide", [4.0, 16.0, 24.0, 60.0])
def test_ledger_and_optimiser_rent_the_same_hours(tiny, wide):
    """Chat and training that waits share a pool, half of whose hours are in jobs of 16 or 24."""
    case = tiny(**WAITS, chat=3.0, train=6.0, inputs={"jobs": pd.concat([jobs(wide), jobs(1.0, hours=10 * wide)])})
    problem = problem_over(case, case.streams.sized(case.streams.units[EXPECTED])[None, 1:])
    used = case.loads[EXPECTED].use[1] * case.slots.size * HOURS_PER_MONTH
    for nodes in range(len(used) + 1):
        left = ClosedFormRecourse(problem).unserved_hours(np.full((12, 1), 4.0 * nodes))[0, 0].sum()
        assert used[nodes:].sum() == pytest.approx(left, abs=1e-6)
    assert case.loads[EXPECTED].level[1, 0] >= wide + 4  # a job stands beside the node of chat


def test_the_rest_of_a_job_is_rented_priced_and_named(tiny):
    """One node held, a job of 8 that is 4 on average and no chat: another node for half the hours, 4 x 365 x 12 at USD 4."""
    case = tiny(**WAITS, chat=0.0, inputs={"jobs": jobs(8.0)})
    decision = np.full(case.loads[EXPECTED].use.shape, FLEXIBLE)
    decision[1, 0] = COMMITTED_OPTIONS.index("reserved_1y")
    one = solve(case, case.loads[EXPECTED], case.streams.units[EXPECTED], decision, case_terms(case))
    assert one.ledger.compute.rented_hours.sum() == pytest.approx(4 * 365 * 12)
    said = gang_sentences(case, one)
    assert len(said) == 1 and "train on acc in eu: up to 8 accelerators at once" in said[0]
    assert "In 12 months fewer are committed (4 at the least)" in said[0] and "17,520 accelerator-hours" in said[0]
    assert "USD 70,080" in said[0]
    decision[1, 1] = decision[1, 0]
    two = solve(case, case.loads[EXPECTED], case.streams.units[EXPECTED], decision, case_terms(case))
    assert two.ledger.compute.rented_hours.sum() == 0 and gang_sentences(case, two) == []


def test_hours_rented_beyond_the_fleet_are_a_share_of_the_months_in_which_they_are(tiny):
    """A job of 24 that is 4 on average, where a queue asks for one node alone: each of six works for a sixth of the hours."""
    case = tiny(**WAITS, chat=0.0, inputs={"jobs": jobs(24.0)})
    answer = solve_case(case)
    load = answer.expected.load
    assert load.use[1, :6].tolist() == pytest.approx([1 / 6] * 6) and not load.use[:, 6:].any()
    one = replace(load, held=np.broadcast_to(np.arange(load.held.shape[1]) < 1, load.held.shape))
    scenarios = tuple(replace(solution, load=one) for solution in answer.scenarios)
    options = options_frame(case.prices, case.streams.pools, make_inputs(case.plan)["accelerators"], case.plan)
    bands = bands_frame(case, replace(answer, scenarios=scenarios), options, PERIOD)
    assert bands["hours_used_share"].tolist() == pytest.approx([1 / 6] * len(bands))
    assert bands["accelerators_max"].sum() == 4


def test_where_no_hours_are_rented_the_widest_job_is_held_and_said(tiny):
    """Sixteen at once, four on average: four nodes are bought for the width, and the reason says so."""
    case = tiny(**WAITS, chat=0.0, prices=make_prices(drop=["on_demand"]), inputs={"jobs": jobs(16.0)})
    problem = problem_over(case, case.streams.sized(case.streams.units[EXPECTED])[None, 1:])
    assert problem.floor.tolist() == [[16.0]] * 12
    found = optimise(problem, gap=1e-6)
    assert problem.capacity(found.nodes).tolist() == [[16.0]] * 12
    assert reasons_of(case, problem, found.nodes)["why"].str.startswith("16 at once for jobs of train").all()
    assert gang_sentences(case, solve_expected(case)) == []


def test_an_order_for_the_width_alone_says_so(tiny):
    """Jobs of 8 that are 5 on average run for five eighths of the hours: above a half, so that a second node is reserved."""
    case = tiny(**WAITS, chat=0.0, train=5.0, inputs={"jobs": jobs(8.0)})
    problem = problem_over(case, case.streams.sized(case.streams.units[EXPECTED])[None, 1:])
    found = optimise(problem, gap=1e-6)
    assert problem.capacity(found.nodes).max() == 8.0
    assert "8 at once for jobs of train" in reasons_of(case, problem, found.nodes)["why"].iloc[0]
    narrow = tiny(**WAITS, chat=0.0, train=5.0)
    assert not reasons_of(narrow, problem_over(narrow, narrow.streams.sized(narrow.streams.units[EXPECTED])[None, 1:]),
                          found.nodes)["why"].str.contains("at once").any()  # fmt: skip


@pytest.mark.parametrize("rows", [jobs(), jobs(64.0, name="chat"), jobs(64.0, name="other")])
def test_live_work_and_streams_without_jobs_have_no_width(tiny, rows):
    case, plain = tiny(inputs={"jobs": rows}), tiny()
    assert gang_sentences(case, solve_expected(case)) == []
    np.testing.assert_array_equal(case.loads[EXPECTED].use, plain.loads[EXPECTED].use)
