"""Capacity that keeps the wait of training jobs, month by month of the plan."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.fleet.job_queues import QUEUE_MONTHS, JobQueue, Place, job_queues
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.units import HOURS_PER_MONTH

#: What the reserve of such work is known from.
JOB_QUEUE = "queue of its jobs"


def queue_capacity(ws: Workspace, inventory: Inventory) -> dict[Place, np.ndarray]:
    """Accelerators to hold over those at work on average, [T + 1], of training whose wait has a target and whose jobs are known.

    The expected work of each month over that of the months of the jobs says how often these come again (`JobQueue.size`).
    Months without work are NaN.
    """
    found = {}
    for place, queue in _queues(ws).items():
        work = _work_over_past(inventory, place, queue, ws.period)
        if np.nan_to_num(work).any():
            found[place] = queue.over_average(np.append(1.0, work))
    return found


def _queues(ws: Workspace) -> dict[Place, JobQueue]:
    return job_queues(ws.table("jobs"), ws.table("use_cases"), ws.period)


def _work_over_past(inventory: Inventory, place: Place, queue: JobQueue, period: str) -> np.ndarray:
    """(T,) expected accelerator-hours per hour of each month of the plan over those of the months that the queue plays again."""
    rows = inventory.forecast[inventory.forecast["scenario"] == "expected"].sort_values("month", kind="stable")
    ahead = rows[(rows["use_case_id"] == place[0]) & (rows["region"] == place[1])]
    past = inventory.demand_monthly.set_index(["use_case_id", "region", "month"])["units"]
    months = [str(pd.Period(period, "M") - back) for back in range(QUEUE_MONTHS)]
    hours = sum(past.get((*place, month), 0.0) for month in months)
    if not hours > 0:
        return np.zeros(0)
    coming = (ahead["units"] * ahead["size"]).to_numpy(dtype=float) / HOURS_PER_MONTH
    return coming / (hours / queue.span_hours)
