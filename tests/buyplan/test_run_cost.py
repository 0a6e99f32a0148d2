"""What a completed training run costs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.buyplan.run_cost import hours_per_run, with_runs


@dataclass
class Planned:
    unit_summary: pd.DataFrame


def jobs_of(rows):
    names = ["use_case_id", "jobs", "failed_share", "cancelled_share", "reference_accelerator_hours"]
    return pd.DataFrame(rows, columns=names)


def test_runs_that_fail_are_paid_by_those_that_complete():
    """Ten runs of 4 hours, of which two fail and one is cancelled: 40 hours for 7 runs."""
    assert hours_per_run(jobs_of([("tune", 10, 0.2, 0.1, 40.0)])).to_dict() == {"tune": pytest.approx(40 / 7)}


def test_without_a_status_or_a_completed_run_nothing_is_told():
    rows = [("silent", 4, np.nan, np.nan, 8.0), ("broken", 4, 1.0, 0.0, 8.0), ("silent", 4, 0.0, 0.0, 8.0), ("idle", 1, 0.0, 0.0, 0.0)]  # fmt: skip
    assert hours_per_run(jobs_of(rows)).empty
    assert hours_per_run(jobs_of([])).empty


@given(
    st.lists(st.tuples(st.integers(1, 500), st.floats(0.0, 0.5), st.floats(0.0, 0.4), st.floats(0.1, 1e4)), min_size=1)
)
def test_the_money_of_all_completed_runs_is_the_money_of_all_hours(rows):
    jobs = jobs_of([("tune", *row) for row in rows])
    completed = (jobs["jobs"] * (1 - jobs["failed_share"] - jobs["cancelled_share"])).sum()
    found = hours_per_run(jobs)
    if completed > 0.5:
        assert found["tune"] * completed == pytest.approx(jobs["reference_accelerator_hours"].sum())
    else:
        assert found.empty


def test_only_work_in_accelerator_hours_has_runs():
    units = pd.DataFrame(
        {"use_case_id": ["tune", "chat"], "service_unit": ["accelerator_hour", "request"], "average_usd_per_unit": [3.0, 0.1]}
    )  # fmt: skip
    plan = with_runs(Planned(units), jobs_of([("tune", 4, 0.0, 0.0, 8.0), ("chat", 4, 0.0, 0.0, 8.0)]))
    assert plan.unit_summary["hours_per_run"].tolist() == [2.0, pytest.approx(np.nan, nan_ok=True)]
    assert plan.unit_summary["usd_per_run"].iloc[0] == 6.0
