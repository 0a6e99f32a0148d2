"""Training whose jobs may wait only so long: their hours as they are asked for, and accelerators that keep the wait.

Without a target jobs wait until there is room, and a fleet holds their average. With `slo_p95_wait_hours` of W hours their work is
spread over the W hours after it was asked for (`fleet.allowed_wait`), and the fleet holds what the queue needs: gangs in order of
submission with backfill (`serving.jobs.size_job_pool`), so many accelerators that 95 of 100 jobs start within W.

Limits: a queue of its own for each use case and region on the accelerators that its jobs took; the last `QUEUE_MONTHS` months speak
for the future, where f times the work is the same jobs f times as often, not wider or longer ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.demand.profile import hours_of_month, job_end, running_accelerators
from aifactory.fleet.allowed_wait import WAIT_LIMIT
from aifactory.serving.jobs import JobPoolSize, JobStream, size_job_pool
from aifactory.units import SECONDS_PER_HOUR

Place = tuple[str, str]
#: Months of jobs that are played again, to the end of the period.
QUEUE_MONTHS = 3
PERCENTILE = 95.0
SECOND = pd.Timedelta(seconds=1)


@dataclass(frozen=True)
class JobQueue:
    """Jobs of one use case in one region that may wait so long."""

    jobs: JobStream
    wait_hours: float
    span_hours: float  # time in which they were submitted

    @property
    def average(self) -> float:
        """Accelerators at work on average, had no job waited."""
        return float(self.jobs.run_s @ self.jobs.accelerators) / (self.span_hours * SECONDS_PER_HOUR)

    def size(self, growth: float = 1.0) -> JobPoolSize:
        """Fewest accelerators that keep the wait of `growth` times the work: as many jobs more, as wide and long as now."""
        jobs = JobStream(self.jobs.submit_s / growth, self.jobs.run_s, self.jobs.accelerators)
        return size_job_pool(jobs, PERCENTILE, self.wait_hours * SECONDS_PER_HOUR)

    def over_average(self, growth: np.ndarray) -> np.ndarray:
        """Accelerators to hold over those at work on average, at least 1, for work of `growth` (n,) times today's; NaN without work.

        A few jobs that meet, or do not, where they come a little more often decide the 95th percentile of some hundred: more work
        never needs fewer accelerators than less work of the same growths does.
        """
        sizes, most = {}, 0
        for value in sorted({*growth[growth > 0]}):
            most = max(most, self.size(value).accelerators)
            sizes[value] = max(most / (self.average * value), 1.0)
        return np.array([sizes.get(value, np.nan) for value in growth])


def with_target(use_cases: pd.DataFrame) -> dict[str, float]:
    """Hours that 95 of 100 jobs may wait, by use case, of those that state them."""
    stated = use_cases.set_index("use_case_id")[WAIT_LIMIT].astype("float64").dropna()
    return {str(name): float(hours) for name, hours in stated.items()}


def as_asked(jobs: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table `jobs` as if none had waited; those that never ran are left out."""
    ran = jobs.assign(ended_utc=job_end(jobs))
    ran = ran[ran["started_utc"].notna() & ran["ended_utc"].notna()]
    return ran.assign(
        started_utc=ran["submitted_utc"], ended_utc=ran["submitted_utc"] + (ran["ended_utc"] - ran["started_utc"])
    )


def queued_shapes(jobs: pd.DataFrame, use_cases: pd.DataFrame, period: str) -> dict[Place, np.ndarray]:
    """Hourly work of the period over its mean, had no job waited, of use cases with a target: (hours of the month,) by place."""
    mine = as_asked(jobs[jobs["use_case_id"].isin(list(with_target(use_cases)))])
    hours, found = hours_of_month(period), {}
    for place, rows in running_accelerators(mine, pd.Series(1.0, mine.index)).groupby(["use_case_id", "region"]):
        load = rows.set_index("window_start_utc")["service_units"].reindex(hours).fillna(0.0).to_numpy()
        if load.any():
            found[place] = load / load.mean()
    return found


def job_queues(jobs: pd.DataFrame, use_cases: pd.DataFrame, period: str) -> dict[Place, JobQueue]:
    """Queue of each use case with a target and region, from the jobs submitted in the last `QUEUE_MONTHS` months of their record."""
    end = pd.Timestamp(f"{period}-01", tz="UTC") + pd.DateOffset(months=1)
    since, found = end - pd.DateOffset(months=QUEUE_MONTHS), {}
    targets = with_target(use_cases)
    ran = as_asked(jobs[jobs["use_case_id"].isin(list(targets))])
    recent = ran[(ran["started_utc"] >= since) & (ran["started_utc"] < end)].sort_values("started_utc", kind="stable")
    for place, rows in recent.groupby(["use_case_id", "region"]):
        begin = max(since, jobs["submitted_utc"].min().floor("D"))
        submit, end_s = ((rows[name] - begin) / SECOND for name in ("started_utc", "ended_utc"))
        stream = JobStream(submit, end_s - submit, np.ceil(rows["accelerators"].astype(float)))
        if stream.run_s.any():
            found[place] = JobQueue(stream, targets[place[0]], (end - begin) / pd.Timedelta(hours=1))
    return found
