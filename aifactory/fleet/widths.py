"""Widths of jobs: accelerators that one training job needs at the same time (gang).

Training is planned by its accelerator-hours of a month, but with C accelerators held a job of g of them needs g - C more for
as long as it runs, whatever the average. With w_d the part of the accelerator-hours of a stream that its jobs of width g_d
take, the part that no held accelerator can do is

    beyond(C) = sum_d w_d max(1 - C / g_d, 0),

1 with nothing held, 0 from the widest job on, convex. Beside live work C is the room that it leaves on average: jobs run through
its busy and its quiet hours alike, one beside the other without gaps, and hold the room only while they run. It is the least that
must then be rented. Limits: jobs stay as wide as in the period (`jobs_to_go_by`), on any accelerator, and more
work is more jobs, not wider ones; how long a job waits is not said. What may wait only so long is in `aifactory.fleet.job_queues`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.demand.lumps import lumpy_cases
from aifactory.demand.profile import job_end
from aifactory.inputs.workspace import Workspace

PLACE = ["use_case_id", "region"]


@dataclass(frozen=True)
class Widths:
    """Widths of the jobs of streams; rows of 0 where a stream has no jobs or theirs are not known."""

    accelerators: np.ndarray  # [D] each width once
    share: np.ndarray  # [K, D] part of the accelerator-hours of a stream in jobs of that width

    @property
    def known(self) -> np.ndarray:
        """[K] streams whose jobs are known."""
        return self.share.any(axis=1)

    @property
    def widest(self) -> np.ndarray:
        """[K] accelerators of the widest job, 0 where none is known."""
        return np.where(self.share > 0, self.accelerators, 0.0).max(axis=1, initial=0.0)

    def beyond(self, held: np.ndarray) -> np.ndarray:
        """Part of the accelerator-hours of each stream that is done beyond `held` accelerators, or room, [...], [..., K].

        >>> half_wide = Widths(np.array([1.0, 8.0]), np.array([[0.5, 0.5]]))
        >>> half_wide.beyond(np.array([0.0, 0.5, 4.0, 8.0]))[:, 0].tolist()
        [1.0, 0.71875, 0.25, 0.0]
        """
        over = 1.0 - np.asarray(held, dtype=float)[..., None] / self.accelerators
        return np.maximum(over, 0.0) @ self.share.T

    def take(self, rows: Sequence[int] | np.ndarray) -> Widths:
        """Some streams."""
        return Widths(self.accelerators, self.share[np.asarray(rows, dtype=int)])


def no_widths(streams: int) -> Widths:
    """Nothing known of the jobs of `streams` streams."""
    return Widths(np.zeros(0), np.zeros((streams, 0)))


def widths_of(jobs: pd.DataFrame, places: pd.DataFrame) -> Widths:
    """Widths of the jobs that ran in the places (use_case_id, region) of streams, weighed by their accelerator-hours.

    `jobs` is the table of that name; what failed or was cancelled took its accelerators too, what never started took none.
    """
    hours = (job_end(jobs) - jobs["started_utc"]) / pd.Timedelta(hours=1) * jobs["accelerators"].astype(float)
    ran = jobs[PLACE].assign(width=jobs["accelerators"].astype(float), hours=hours)[hours > 0]
    if ran.empty:
        return no_widths(len(places))
    sums = ran.pivot_table(index=PLACE, columns="width", values="hours", aggfunc="sum", fill_value=0.0)
    share = sums.div(sums.sum(axis=1), axis=0).reindex(pd.MultiIndex.from_frame(places[PLACE])).fillna(0.0)
    return Widths(sums.columns.to_numpy(dtype=float), share.to_numpy())


def jobs_to_go_by(ws: Workspace, profile: pd.DataFrame) -> pd.DataFrame:
    """Jobs of the month; of use cases whose work comes in lumps all up to its end, as a month may hold none of them."""
    month, jobs = ws.month("jobs"), ws.table("jobs")
    past = jobs["use_case_id"].isin(lumpy_cases(profile)) & (
        jobs["submitted_utc"] < pd.Timestamp(ws.as_of, tz="UTC") + pd.Timedelta(days=1)
    )
    return jobs[past | jobs.index.isin(month.index)]
