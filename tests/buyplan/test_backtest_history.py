"""The own past of the two-use-case company: loads, offers, and totals over pools."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD

from aifactory.buyplan.backtest import FORESIGHT, OURS
from aifactory.buyplan.backtest_history import backtest_history, history_basis, standing
from aifactory.buyplan.case import solve_expected
from aifactory.buyplan.futures import futures_basis, problem_of
from aifactory.buyplan.stress.basis import stress_basis
from aifactory.demand.scenarios import Paths
from aifactory.units import HOURS_PER_MONTH

ACCELERATORS = pd.DataFrame({"accelerator_id": ["acc"], "vendor": ["Maker"], "platform_class": ["gpu"]})
NONE = pd.DataFrame({"use_case_id": [], "accelerator_id": []})
NO_CAPACITY = pd.DataFrame({"use_case_id": [], "accelerator_id": [], "units_per_s_per_accelerator": []})


def windows(hours=10 * HOURS_PER_MONTH, level=8.0):
    """Hourly chat demand that keeps accelerators busy, with a day and a night, up to the end of the period."""
    stamps = pd.date_range(end=pd.Timestamp("2026-10-31 23:00", tz="UTC"), periods=hours, freq="h", unit="us")
    shape = np.where((stamps.hour >= 8) & (stamps.hour < 20), 1.5, 0.5)
    return pd.DataFrame(
        {
            "window_start_utc": stamps,
            "window_minutes": 60,
            "use_case_id": "chat",
            "region": "eu",
            "service_units": level * 3600 * shape,
        }
    )


def basis_of(case, past):
    table = case.streams.table
    work = np.tile(case.streams.units[1, 1:].T[None, :, None, :], (4, 1, 1, 1))
    paths = Paths(tuple(table["use_case_id"]), ("eu",), work, work)
    futures = futures_basis(case, solve_expected(case), problem_of(case, paths))
    stress = stress_basis(case, futures, capacity=NO_CAPACITY, exclusions=NONE, accelerators=ACCELERATORS)
    return history_basis(case, stress, past, PERIOD)


def test_the_past_in_accelerators_at_todays_capacity(tiny):
    found = basis_of(tiny(), windows())
    assert found.months == 10
    assert len(found.loads) == 1
    assert found.loads[0].mean() == pytest.approx(8.0, rel=0.01)
    assert set(np.unique(found.loads[0]).round(6)) == {4.0, 12.0}
    assert found.offers[0].on_demand_usd == 4.0
    assert found.offers[0].terms == (("reserved_1y", 12, 2.0),)
    assert found.offers[0].stranded == 0.0


def test_hours_are_rented_in_whole_nodes_as_in_the_plan(tiny):
    """2.2 accelerators by night and 6.6 by day keep one and two nodes of four at work."""
    found = basis_of(tiny(), windows(level=4.4))
    assert set(np.unique(found.loads[0])) == {4.0, 8.0}
    paid = backtest_history(found)
    cost = paid.table.set_index("policy")["cost_usd"]
    assert cost["all on demand"] == pytest.approx(paid.paid_for * HOURS_PER_MONTH * 6 * 4, rel=0.01)


def test_totals_over_pools_add_up(tiny):
    one = basis_of(tiny(), windows())
    two = replace(one, loads=one.loads * 2, offers=one.offers * 2, node_size=one.node_size * 2)
    single, double = (backtest_history(basis).table.set_index("policy") for basis in (one, two))
    for column in ("cost_usd", "committed_usd", "missed_hours"):
        assert (2 * single[column]).sort_index().to_numpy() == pytest.approx(double[column].sort_index().to_numpy())
    assert double["regret_share"].sort_index().to_numpy() == pytest.approx(
        single["regret_share"].sort_index().to_numpy()
    )
    assert (single["missed_share"] == 0).all()


def test_a_steady_past_by_hand(tiny):
    """4 accelerators always, 12 by day: one node is busy all day, two half of it, where 2 an hour equals 4 half the time."""
    found = backtest_history(basis_of(tiny(), windows()))
    cost = found.table.set_index("policy")["cost_usd"]
    hours = found.paid_for * HOURS_PER_MONTH
    assert (found.planned_on, found.paid_for) == (5, 5)
    assert cost[FORESIGHT] == pytest.approx(hours * (4 * 2 + 8 * 2), rel=0.01)
    assert cost["all on demand"] == pytest.approx(hours * 8 * 4, rel=0.01)
    assert cost[OURS] == pytest.approx(cost[FORESIGHT], rel=0.01)
    rival, more = standing(found.table)
    assert rival not in (OURS, FORESIGHT)
    assert more == pytest.approx(cost[OURS] - cost.drop([OURS, FORESIGHT]).min())


def test_a_short_or_unmeasured_past_is_not_judged(tiny):
    assert basis_of(tiny(), windows(hours=7 * HOURS_PER_MONTH)) is None
    assert basis_of(tiny(), windows().iloc[:0]) is None
    assert history_basis(tiny(), None, windows(), PERIOD) is None
