"""Penalties and fallbacks of the two-use-case company, reckoned by hand."""

import numpy as np
import pandas as pd
import pytest
from bp_company import make_prices

from aifactory.buyplan.case import solve_expected
from aifactory.buyplan.futures import futures_basis, problem_of
from aifactory.buyplan.stress.basis import stress_basis
from aifactory.buyplan.stress.run import run_stresses
from aifactory.demand.scenarios import Paths

ACCELERATORS = pd.DataFrame(
    {"accelerator_id": ["acc", "edge"], "vendor": ["Maker", "Other"], "platform_class": ["gpu", "edge"]}
)
NONE = pd.DataFrame({"use_case_id": [], "accelerator_id": []})


def futures_of(case, count=5):
    table = case.streams.table
    names, regions = tuple(sorted(set(table["use_case_id"]))), tuple(sorted(set(table["region"])))
    units = case.streams.units[1, 1:]
    work = np.zeros((count, len(names), len(regions), len(units)))
    for k, row in enumerate(table.itertuples()):
        for path in range(count):
            work[path, names.index(row.use_case_id), regions.index(row.region)] += units[:, k] * (0.8 + 0.1 * path)
    return futures_basis(case, solve_expected(case), problem_of(case, Paths(names, regions, work, work)))


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


def test_what_is_ruled_out_is_no_fallback(case):
    ruled = pd.DataFrame({"use_case_id": ["chat", "train"], "accelerator_id": ["edge", "edge"]})
    pools = basis_of(case, capacity(), ruled).pools
    assert np.isinf(pools["fallback_usd_per_hour"].iloc[0])
    assert np.isinf(basis_of(case, capacity(0.0, 0.0)).pools["fallback_usd_per_hour"].iloc[0])


def test_without_anything_to_commit_to_there_is_no_basis(case):
    assert stress_basis(case, None, capacity=capacity(), exclusions=NONE, accelerators=ACCELERATORS) is None


def test_the_company_goes_through_all_stresses(case):
    found = run_stresses(basis_of(case, capacity()))
    assert len(found.table) == 16
    assert (found.table["regret_usd"] >= -1e-6).all()
