"""Penalties and fallbacks of the two-use-case company, reckoned by hand."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from bp_company import make_plan, make_prices

from aifactory.buyplan.case import solve_expected
from aifactory.buyplan.futures import block_demand, futures_basis, problem_of, stream_paths
from aifactory.buyplan.stress.basis import stress_basis
from aifactory.buyplan.stress.run import run_stresses
from aifactory.buyplan.stress.stresses import demand_changes
from aifactory.demand.scenarios import Paths

ACCELERATORS = pd.DataFrame(
    {"accelerator_id": ["acc", "edge"], "vendor": ["Maker", "Other"], "platform_class": ["gpu", "edge"]}
)
NONE = pd.DataFrame({"use_case_id": [], "accelerator_id": []})


def paths_of(case, count=5):
    table = case.streams.table
    names, regions = tuple(sorted(set(table["use_case_id"]))), tuple(sorted(set(table["region"])))
    units = case.streams.units[1, 1:]
    work = np.zeros((count, len(names), len(regions), len(units)))
    for k, row in enumerate(table.itertuples()):
        for path in range(count):
            work[path, names.index(row.use_case_id), regions.index(row.region)] += units[:, k] * (0.8 + 0.1 * path)
    return Paths(names, regions, work, work)


def futures_of(case):
    return futures_basis(case, solve_expected(case), problem_of(case, paths_of(case)))


def basis_of(case, capacity, exclusions=NONE):
    return stress_basis(case, futures_of(case), capacity=capacity, exclusions=exclusions, accelerators=ACCELERATORS)


@pytest.fixture
def case(tiny):
    rented = {"purchase_option": "on_demand", "usd_per_accelerator_hour": 1.0, "accelerator_id": "edge"}
    return tiny(prices=make_prices(rented))


def capacity(chat=0.5, train=0.25):
    return pd.DataFrame(
        {
            "use_case_id": ["chat", "train"],
            "accelerator_id": ["edge", "edge"],
            "units_per_s_per_accelerator": [chat, train],
        }
    )


def test_work_falls_back_on_the_cheapest_other_platform(case):
    """An hour of chat is two hours of the other platform at 1.00; one of training as the rates say."""
    rate = case.streams.table.set_index("use_case_id")["units_per_s_per_accelerator"]
    pools = basis_of(case, capacity()).pools
    weight = futures_of(case).monthly.demand.mean(axis=(0, 1, 3))
    each = np.array([rate["chat"] / 0.5, rate["train"] / 0.25])
    each = np.minimum(each, basis_of(case, capacity()).problem.miss_usd)
    assert pools["fallback_accelerator_id"].tolist() == ["edge"]
    assert pools["fallback_usd_per_hour"].iloc[0] == pytest.approx(np.average(each, weights=weight))
    assert pools["vendor"].tolist() == ["Maker"]


def test_people_and_storage_go_with_every_hour_that_replaces_one(tiny):
    """USD 1 an accelerator-hour: each of the hours there bears it, and the one here, which the problem adds, is taken off."""
    rented = {"purchase_option": "on_demand", "usd_per_accelerator_hour": 1.0, "accelerator_id": "edge"}
    dear = tiny(prices=make_prices(rented), plan=make_plan(values={"operator_usd_per_month": 73_000.0}))
    rate = dear.streams.table.set_index("use_case_id")["units_per_s_per_accelerator"]
    basis = basis_of(dear, capacity())
    each = np.minimum([2 * rate["chat"] / 0.5, 2 * rate["train"] / 0.25], basis.problem.miss_usd)
    usd = np.average(each, weights=futures_of(dear).monthly.demand.mean(axis=(0, 1, 3))) - 1.0
    assert basis.pools["fallback_usd_per_hour"].iloc[0] == pytest.approx(usd)


def test_what_is_ruled_out_is_no_fallback(case):
    ruled = pd.DataFrame({"use_case_id": ["chat", "train"], "accelerator_id": ["edge", "edge"]})
    pools = basis_of(case, capacity(), ruled).pools
    assert np.isinf(pools["fallback_usd_per_hour"].iloc[0])
    assert np.isinf(basis_of(case, capacity(0.0, 0.0)).pools["fallback_usd_per_hour"].iloc[0])


def test_without_anything_to_commit_to_there_is_no_basis(case):
    assert stress_basis(case, None, capacity=capacity(), exclusions=NONE, accelerators=ACCELERATORS) is None


def test_the_company_goes_through_all_stresses(case):
    found = run_stresses(basis_of(case, capacity()))
    assert len(found.table) == 17
    assert (found.table["regret_usd"] >= -1e-6).all()


def test_growing_work_fills_the_nodes_that_run_before_it_needs_others(case):
    basis = basis_of(case, capacity())
    small = np.full(basis.problem.demand.shape[:3], 1e-3)  # of a node: three times as much is still one node
    nodes = block_demand(case, small)
    basis = replace(
        basis, problem=replace(basis.problem, demand=nodes), wanted=small, in_nodes=partial(block_demand, case)
    )
    assert (demand_changes(basis, 3.0).world.demand == pytest.approx(nodes)) and nodes.max() > 100 * small.max()
    many = demand_changes(basis, 1e5, month=0).world.demand
    assert many.sum() > nodes.sum()


def test_the_nodes_of_unchanged_work_are_those_of_the_problem(case):
    futures = futures_of(case)
    wanted = stream_paths(case, paths_of(case))
    basis = stress_basis(case, futures, capacity=capacity(), exclusions=NONE, accelerators=ACCELERATORS, wanted=wanted)
    same = basis.demand_times(np.ones(wanted.shape[1:]))
    assert same == pytest.approx(basis.problem.demand)


def test_the_rent_of_leased_kit_is_its_price_alone(tiny):
    """USD 2 an hour are 1,460 a month; what the option costs beside that is power, space and support."""
    lease = {"purchase_option": "lease", "usd_per_accelerator_hour": 2.0, "term_months": 36, "lead_time_weeks": 0.0}
    basis = basis_of(tiny(prices=make_prices(lease)), capacity())
    found = [option for option in basis.problem.options if option.name == "lease"]
    assert found and all(basis.rent_of(option) == pytest.approx(1460.0) for option in found)
    assert all(option.monthly_usd > 1460.0 for option in found)
    others = [option for option in basis.problem.options if option.name != "lease"]
    assert all(basis.rent_of(option) == option.monthly_usd for option in others)


def test_what_the_same_vendor_makes_replaces_nothing_once_the_vendor_is_gone(case):
    """The other platform is the same vendor's: it replaces a platform that goes, and goes with the vendor."""
    one = ACCELERATORS.assign(vendor="Maker")
    futures = futures_of(case)
    pools = stress_basis(case, futures, capacity=capacity(), exclusions=NONE, accelerators=one).pools
    apart = basis_of(case, capacity()).pools
    assert pools["fallback_usd_per_hour"].equals(apart["fallback_usd_per_hour"])
    assert np.isinf(pools["vendor_fallback_usd_per_hour"].iloc[0])
    assert apart["vendor_fallback_usd_per_hour"].equals(apart["fallback_usd_per_hour"])
    assert apart["vendor_porting_usd"].equals(apart["porting_usd"])


def test_a_vendor_nobody_knows_is_its_platform(case):
    unknown = ACCELERATORS.assign(vendor=None)
    pools = stress_basis(case, futures_of(case), capacity=capacity(), exclusions=NONE, accelerators=unknown).pools
    assert pools["vendor"].tolist() == ["acc"]
    assert np.isfinite(pools["vendor_fallback_usd_per_hour"]).all()
