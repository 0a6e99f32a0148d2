"""A second platform for peak hours: by hand, its limits, and against a programme with both platforms."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import TODAY, WAITS, make_case, make_plan, make_prices
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp
from test_futures import paths_of

from aifactory.buyplan.choose import choose_orders
from aifactory.buyplan.excluded import Cells
from aifactory.buyplan.futures import at_todays_prices, problem_of, stream_paths
from aifactory.buyplan.optimise.evaluate import evaluate_plan, path_weights
from aifactory.buyplan.peaks import PeakPool, Rental, best_orders, value_peaks
from aifactory.finance.prices import node_offers

PLAN = make_plan(candidates=["acc", "half"])
MONTH = 730.0


def prices(usd=3.0, node=4, **more):
    row = {"purchase_option": "on_demand", "accelerator_id": "half", "usd_per_accelerator_hour": usd}
    year = {"purchase_option": "reserved_1y", "term_months": 12, "usd_per_accelerator_hour": 2.1}
    rented = {"purchase_option": "on_demand", "usd_per_accelerator_hour": 4.0}
    return make_prices(rented, year, {**row, "accelerators_per_node": node, **more}).iloc[2:]


def cells(speed=1.0, once=(0.0, 0.0), rule=None):
    """Accelerator `half` serves the chat, at `speed` of the speed of `acc`."""
    keys = {"use_case_id": ["chat"], "accelerator_id": ["half"]}
    known = {"units_per_s_per_accelerator": speed, "low": 0.9, "high": 1.1, "tier": "measured", "failure_rate": 0.0}
    known |= {"replica_accelerators": 1.0}
    penalties = pd.DataFrame({**keys, "porting_usd": once[0], "rework_usd": once[1]})
    exclusions = pd.DataFrame({**keys, "rule": rule, "reason": "x"}).iloc[: int(rule is not None)]
    about = pd.DataFrame({"accelerator_id": ["acc", "half"], "accelerators_per_node": 4, "largest_slice": np.nan, "tdp_w": 1e3,
                          "platform_class": "gpu", "vendor": "v"})  # fmt: skip
    return Cells(pd.DataFrame({**keys, **known}), exclusions, penalties, about, pd.DataFrame())


def peaks(tiny, offers=None, known=None, plan=PLAN, **changes):
    offers = prices() if offers is None else offers
    case = tiny(plan=plan, prices=offers, **changes)
    paths = paths_of(case, 3)
    chosen = choose_orders(case, paths)
    problem = chosen.problem if chosen else problem_of(case, paths)
    nodes = chosen.best.nodes if chosen else np.zeros(len(problem.orders))
    sold = node_offers(offers, plan, TODAY)
    return value_peaks(case, paths, problem, nodes, cells() if known is None else known, sold)


def test_the_peak_of_the_day_moves_to_the_cheaper_hours(tiny):
    """Load is 16 by day and 8 by night. Eight are reserved at USD 2.10; the other eight are rented for half of the hours, at
    USD 4, and at USD 3 on `half`: 8 x 1 x 365 = USD 2,920 a month less, over 12 months."""
    row = peaks(tiny, known=cells(once=(10_000.0, 5_000.0))).iloc[0]
    month = 8 * 2.1 * MONTH + 8 * 4 * MONTH / 2
    assert row["now_usd"] == pytest.approx(12 * month)
    assert row["then_usd"] == pytest.approx(12 * month - 11 * 2_920)  # nothing is ported in the first month
    assert (row["once_usd"], row["hours_month"]) == (15_000.0, pytest.approx(8 * MONTH / 2 * 11 / 12))
    assert row["saving_usd"] == pytest.approx(11 * 2_920 - 15_000)
    assert (row["usd_per_accelerator_hour"], row["price_as_of"]) == (3.0, f"{prices()['as_of'].iloc[0]:%Y-%m-%d}")
    free = peaks(tiny).iloc[0]
    assert free["saving_usd"] == pytest.approx(12 * 2_920) and free["hours_month"] == pytest.approx(8 * MONTH / 2)


def test_every_path_counts_by_itself(tiny):
    """Chat of 12 accelerators by day and 4 by night, times the scale of its path, all rented in nodes of 4: at USD 4 an hour, at
    USD 3 on `half`. A mean of paths would need other nodes than the paths do."""
    offers = prices().query("purchase_option == 'on_demand'")
    case = tiny(plan=PLAN, prices=offers, train=0.0)
    paths = paths_of(case, 20, 0.8)
    problem = problem_of(case, paths)
    nodes = np.zeros(len(problem.orders))
    row = value_peaks(case, paths, problem, nodes, cells(), node_offers(offers, PLAN, TODAY)).iloc[0]
    scale = np.exp(0.8 * np.linspace(-1, 1, 20))
    day, night = (np.ceil(load * scale / 4 - 1e-9) * 4 for load in (12, 4))
    weights = path_weights(problem, evaluate_plan(problem, nodes))
    assert row["now_usd"] == pytest.approx(12 * 365 * 4 * float(weights @ (day + night)))
    assert row["then_usd"] == pytest.approx(row["now_usd"] * 3 / 4)


def test_people_and_storage_go_with_the_hours_of_both_platforms(tiny):
    """USD 1 an accelerator-hour: as many hours there save as before; twice as many at half the price cost it twice."""
    plan = make_plan(values={"operator_usd_per_month": 73_000.0}, candidates=["acc", "half"])
    row = peaks(tiny, plan=plan).iloc[0]
    assert row["saving_usd"] == pytest.approx(12 * 2_920) and row["usd_per_accelerator_hour"] == 3.0
    slow = peaks(tiny, prices(1.9), cells(speed=0.5), plan=plan)
    assert slow.empty  # 8 x (4 + 1) here, 16 x (1.90 + 1) there
    assert len(peaks(tiny, prices(1.9), cells(speed=0.5)))


def test_nodes_there_are_whole_and_must_hold_the_speed(tiny):
    """At half the speed 16 accelerators there do the work of 8, in nodes of 5 twenty are paid: USD 1.50 each is 30 of 32."""
    row = peaks(tiny, prices(1.5, 5), cells(speed=0.5)).iloc[0]
    assert row["hours_month"] == pytest.approx(20 * MONTH / 2)
    assert row["saving_usd"] == pytest.approx(12 * (8 * 4 - 20 * 1.5) * MONTH / 2)
    assert peaks(tiny, prices(1.65, 5), cells(speed=0.5)).empty  # 33 of 32


def test_nothing_is_said_where_nothing_can_be_rented_for_less(tiny):
    assert peaks(tiny, owned={("eu", "acc"): 16.0}).empty  # no hour is rented
    assert peaks(tiny, prices(4.1)).empty
    assert peaks(tiny, known=cells(rule="memory")).empty
    assert peaks(tiny, known=cells(once=(1e6, 0.0))).empty
    assert peaks(tiny, prices(region="eu-2")).empty  # sold in another region only


@given(
    capacity=st.integers(0, 6),
    node=st.integers(1, 9),
    usd=st.floats(0.1, 8.0),
    ratio=st.floats(0.2, 5.0),
    first=st.integers(0, 12),
    waits=st.booleans(),
)
def test_a_second_platform_never_costs_more_before_porting(capacity, node, usd, ratio, first, waits):
    pool, held = POOLS[waits], np.full(12, 4.0 * capacity)
    then, hours = pool.with_rental(held, 0, Rental("half", "measured", node, usd, ratio, first=first))
    now = pool.usd(held)
    assert (then <= now).all() and (then[:, :first] == now[:, :first]).all()
    assert (hours[then == now] == 0).all() and (hours[then < now] > 0).all()


def test_orders_with_both_platforms_are_those_of_a_programme_in_whole_nodes():
    """Chat alone, growing by 6 % a month: months of day and night with nodes here (reserved, rented) and nodes of 3 there."""
    rental, discount = Rental("half", "measured", 3.0, 2.6, 1.3), GROWING.problem.discount[:-1]
    steps = 4.0 * np.arange(GROWING.top + 1)[:, None] * np.ones(12)
    usd = np.array([GROWING.with_rental(held, 0, rental)[0][0] for held in steps])
    problem = GROWING.problem
    orders, months = len(problem.orders), 12
    columns = orders + 4 * months  # orders; then rented here and there by month, day and night
    costs, rows, least = np.zeros(columns), np.zeros((2 * months, columns)), np.zeros(2 * months)
    costs[:orders] = problem.order_usd
    for month in range(months):
        for at, load in enumerate((12.0, 4.0)):
            here, there = orders + 4 * month + 2 * at, orders + 4 * month + 2 * at + 1
            costs[here], costs[there] = (usd_h * MONTH / 2 * discount[month] for usd_h in (4 * 4.0, 3 * 2.6))
            row = rows[2 * month + at]
            row[:orders], row[here], row[there] = problem.serves[month, 0], 4.0, 3.0 / 1.3
            least[2 * month + at] = load * 1.06 ** (month + 1)
    best = milp(costs, constraints=LinearConstraint(rows, least), bounds=Bounds(0), integrality=np.ones(columns))
    found = best_orders(problem, 0, usd)
    assert best.fun <= found.usd * (1 + 1e-9) and found.usd <= best.fun * 1.01
    alone = best_orders(problem, 0, np.array([GROWING.usd(held)[0] for held in steps]))
    assert found.usd < 0.98 * alone.usd


def test_orders_of_a_pool_keep_their_smallest_size():
    """A year of one node at a time saves in three of them; sold from four on, three are paid for with a fourth, or none."""
    steps = 4.0 * np.arange(GROWING.top + 1)[:, None] * np.ones(12)
    usd = np.array([GROWING.usd(held)[0] for held in steps])
    problem = GROWING.problem
    plain = best_orders(problem, 0, usd)
    for least in (2, 4):
        small = replace(problem, options=tuple(replace(option, minimum_nodes=least) for option in problem.options))
        found = best_orders(small, 0, usd)
        by_hand = []  # every plan of one order of least or more nodes in the first month, or none
        for count in [0, *range(least, len(usd))]:
            for at, (_, month) in enumerate(small.orders):
                nodes = np.minimum(np.round(small.serves[:, 0, at] / 4.0 * count).astype(int), len(usd) - 1)
                if month == 0:
                    by_hand.append(small.order_usd[at] * count + usd[nodes, np.arange(12)] @ small.discount[:-1])
        assert plain.usd <= found.usd * (1 + 1e-9) and found.usd <= min(by_hand) * (1 + 1e-9)
        assert found.nodes.max() == 0 or found.nodes[found.nodes > 0].min() >= least


def _pool(**changes):
    case = make_case(plan=PLAN, prices=prices(), **changes)
    paths = paths_of(case, 2)
    return PeakPool(case, at_todays_prices(problem_of(case, paths)), stream_paths(case, paths), 0)


POOLS = [_pool(), _pool(**WAITS)]  # training at once, or when there is room
GROWING = _pool(train=0.0, growth={"expected": 0.06})
