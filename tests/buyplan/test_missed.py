"""The price of missed demand: by hand, without a value, without hours, and the same everywhere."""

import numpy as np
import pandas as pd
import pytest
from bp_company import make_plan, make_prices
from test_futures import paths_of

from aifactory.buyplan.backtest_file import Settings, offers_of
from aifactory.buyplan.case import solve_expected
from aifactory.buyplan.futures import BLOCK_SHARES, futures_basis, problem_of, problem_over, stream_paths
from aifactory.buyplan.missed import dearest_hour_usd, missed_usd
from aifactory.buyplan.optimise.problem import Option
from aifactory.buyplan.stress.basis import stress_basis
from aifactory.fleet.missed import LEAST_HOURS, lost_value_usd

PLAN = make_plan(values={"sla_miss_usd_per_unit_share": 0.5})
ACCELERATORS = pd.DataFrame({"accelerator_id": ["acc"], "vendor": ["Maker"], "platform_class": ["gpu"]})
NOTHING = pd.DataFrame({"use_case_id": [], "accelerator_id": [], "units_per_s_per_accelerator": []})


def prices_of(case):
    return problem_of(case, paths_of(case, 1)).miss_usd


def test_a_missed_hour_costs_the_value_that_is_lost(tiny):
    """Chat: 3600 units an hour x USD 0.02 x half attributed x half lost = USD 18; training: 3 hours of USD 4.

    Chat keeps two thirds of the accelerators busy, so that an hour of the pool misses USD 16 where all hours work.
    """
    case = tiny(plan=PLAN, value_usd_per_unit=[0.02, np.nan])
    assert lost_value_usd(case.streams, case.plan).tolist() == pytest.approx([18.0, 0.0])
    assert missed_usd(case, (), np.ones(2)) == pytest.approx([16.0, 16.0])
    assert missed_usd(case, (), np.array([0.75, 1.0])) == pytest.approx(np.full(2, (2 * 18 * 0.75 + 12) / 3))


def test_a_missed_hour_of_nodes_that_hardly_work_loses_what_they_would_have_done(tiny):
    """A path of occupied hours costs what its units are worth: value of the work, whatever stands around it."""
    case = tiny(plan=PLAN, value_usd_per_unit=[2.0, np.nan], chat=0.05, train=0.0)
    wanted = stream_paths(case, paths_of(case, 3))
    problem = problem_over(case, wanted)
    occupied = (problem.demand[:, :, 0] @ np.array(BLOCK_SHARES)).sum()
    assert occupied > 10 * wanted[:, :, 0].sum()
    lost = lost_value_usd(case.streams, case.plan)[0] * wanted[:, :, 0].sum()
    assert problem.miss_usd[0] * occupied == pytest.approx(max(lost, LEAST_HOURS * 4.0 * occupied))


@pytest.mark.parametrize("fields", [{"value_usd_per_unit": [np.nan, np.nan]}, {"value_usd_per_unit": [1e-6, np.nan]}, {"attribution_share": [np.nan, np.nan]}])  # fmt: skip
def test_without_a_value_it_costs_three_of_the_dearest_hours(tiny, fields):
    assert prices_of(tiny(plan=PLAN, **fields)) == pytest.approx(np.full(2, LEAST_HOURS * 4.0))


def test_where_no_hours_are_rented_the_dearest_term_counts(tiny):
    case = tiny(prices=make_prices(drop=["on_demand"]), value_usd_per_unit=[np.nan, np.nan])
    assert prices_of(case) == pytest.approx(np.full(2, LEAST_HOURS * 2.0))


def test_bought_kit_counts_by_its_outlay_over_the_term():
    bought = Option("purchase", 0, term_months=36, upfront_usd=26_280.0, monthly_usd=73.0)
    assert dearest_hour_usd(np.array([np.inf]), [bought]).tolist() == pytest.approx([1.0 + 0.1])
    assert dearest_hour_usd(np.array([np.inf]), []).tolist() == [1.0]


def test_more_value_never_makes_missing_cheaper(tiny):
    prices = [
        prices_of(tiny(plan=PLAN, value_usd_per_unit=[value, np.nan]))[0] for value in (0.0, 0.01, 0.02, 0.2, 2.0)
    ]
    assert (np.diff(prices) >= 0).all() and prices[-1] > prices[0]


def test_plan_stresses_and_backtests_take_one_price(tiny):
    case = tiny(plan=PLAN, value_usd_per_unit=[0.02, np.nan])
    futures = futures_basis(case, solve_expected(case), problem_of(case, paths_of(case, 3, 0.2)))
    stress = stress_basis(case, futures, capacity=NOTHING, exclusions=NOTHING, accelerators=ACCELERATORS)
    assert (stress.problem.miss_usd == futures.problem.miss_usd).all()
    assert (futures.problem.miss_usd == futures.monthly.miss_usd).all()
    stated = offers_of(Settings("D", "month", 1.0, 4.0, ("a:12:2",)))  # a file states no value
    assert stated.miss_usd == LEAST_HOURS * 4.0
