"""What a completed training or tuning run costs: the unit cost of its hours times the hours that one takes.

Work in accelerator-hours is planned and priced by the hour. A reader asks what a run costs, and a run that fails or is
cancelled is paid for by those that complete:

    hours per completed run = reference hours of all runs of the month / runs of it that completed,
    USD per completed run   = USD per reference hour x hours per completed run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from aifactory.buyplan.plan import BuyPlan

TRAINED = "accelerator_hour"


def hours_per_run(jobs: pd.DataFrame) -> pd.Series:
    """Reference accelerator-hours for each completed run, by use case.

    jobs : `Inventory.jobs`, one row per use case, region and accelerator. A use case whose jobs tell no status, or of
    which none completed, is left out.

    >>> jobs = pd.DataFrame({"use_case_id": ["tune", "tune", "base"], "jobs": [8, 4, 2], "failed_share": [0.25, 0.0, 1.0],
    ...                      "cancelled_share": [0.0, 0.5, 0.0], "reference_accelerator_hours": [30.0, 10.0, 5.0]})
    >>> hours_per_run(jobs).to_dict()
    {'tune': 5.0}
    """
    completed = jobs["jobs"] * (1.0 - jobs["failed_share"] - jobs["cancelled_share"])
    hours = jobs["reference_accelerator_hours"].astype(float)
    sums = pd.DataFrame({"hours": hours, "runs": completed.astype(float)}).groupby(jobs["use_case_id"])
    known = sums.agg(lambda part: part.sum(skipna=False))
    known = known[(known["runs"] > 0.5) & (known["hours"] > 0)]
    return known["hours"] / known["runs"]


def with_runs(plan: BuyPlan, jobs: pd.DataFrame) -> BuyPlan:
    """The plan whose `unit_summary` tells `hours_per_run` and `usd_per_run` of work in accelerator-hours; NaN elsewhere."""
    units = plan.unit_summary
    hours = units["use_case_id"].map(hours_per_run(jobs)).where(units["service_unit"] == TRAINED).astype(float)
    return replace(
        plan, unit_summary=units.assign(hours_per_run=hours, usd_per_run=hours * units["average_usd_per_unit"])
    )
