"""Training and fine-tuning jobs in a queue: gang scheduling on one pool of accelerators.

A job starts when all its accelerators are free at once (gang) and keeps them to its end. First come first
served, or with EASY backfill: a later job may start earlier where it does not delay the first in the
queue (Lifka, "The ANL/IBM SP scheduling system", 1995); run times are taken as known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aifactory.errors import InputError
from aifactory.serving.job_kernel import run_queue
from aifactory.serving.slo_sizing import fewest

#: Jobs run in all to try every count below a size.
TRIED = 2_000_000
#: Longest run and largest job: 20 years and ten million accelerators; more is a slip of units.
LONGEST_S, MOST_ACCELERATORS = 20 * 366 * 86_400.0, 10_000_000


@dataclass(frozen=True)
class JobStream:
    """Jobs by time of submission: seconds, seconds, accelerators, each of shape (n,).

    `rows` (n,) are their rows in the file `source`, for errors: 0 where not known; empty: one after the other.
    """

    submit_s: np.ndarray
    run_s: np.ndarray
    accelerators: np.ndarray
    source: str = "jobs"
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        for name, kind in (("submit_s", float), ("run_s", float), ("accelerators", np.int64)):
            object.__setattr__(self, name, np.require(getattr(self, name), kind, ["C", "W"]))
        object.__setattr__(self, "rows", np.asarray(self.rows))
        if self.submit_s.size == 0 or not self.submit_s.size == self.run_s.size == self.accelerators.size:
            raise InputError("jobs: needs as many submissions as run times and accelerators, at least one")
        for name, bad, rule in (
            ("submit_s", ~np.isfinite(self.submit_s), "must be a number"),
            ("run_s", ~(np.isfinite(self.run_s) & (self.run_s >= 0)), "must be 0 or more"),
            ("run_s", self.run_s > LONGEST_S, "must be seconds, 20 years at most"),
            ("accelerators", self.accelerators < 1, "must be 1 or more"),
            ("accelerators", self.accelerators > MOST_ACCELERATORS, "is more than any site has (10 million)"),
        ):
            if bad.any():
                at = int(np.argmax(bad))
                raise InputError.at(
                    self.source, rule, row=self.row(at), column=name, value=getattr(self, name)[at].item()
                )
        if (np.diff(self.submit_s) < 0).any():
            row = self.row(int(np.argmax(np.diff(self.submit_s) < 0)) + 1)
            raise InputError.at(self.source, "must not be earlier than the row before", row=row, column="submit_s")

    def row(self, place: int) -> int | None:
        """Row of the file that a job stands in; None where it is not known."""
        return (int(self.rows[place]) or None) if self.rows.size else place + 2


def simulate_jobs(jobs: JobStream, accelerators: int, *, backfill: bool = False) -> np.ndarray:
    """Start of each job in seconds, shape (n,).

    >>> jobs = JobStream([0, 0, 0], [10, 5, 4], [3, 4, 1])
    >>> simulate_jobs(jobs, 4).tolist(), simulate_jobs(jobs, 4, backfill=True).tolist()
    ([0.0, 10.0, 15.0], [0.0, 10.0, 0.0])
    """
    return _run(jobs, accelerators, backfill)[0]


def _run(
    jobs: JobStream, accelerators: int, backfill: bool, longest_s: float = np.inf, most_late: float = np.inf
) -> tuple[np.ndarray, int]:
    """Starts of all jobs and how many waited longer than `longest_s`; it gives up once more than `most_late` did."""
    widest = int(jobs.accelerators.argmax())
    if jobs.accelerators[widest] > accelerators:
        rule = f"a job of so many accelerators never starts on {accelerators}"
        value = int(jobs.accelerators[widest])
        raise InputError.at(jobs.source, rule, row=jobs.row(widest), column="accelerators", value=value)
    columns = jobs.submit_s, jobs.run_s, jobs.accelerators
    return run_queue(*columns, int(accelerators), bool(backfill), float(longest_s), float(most_late))


@dataclass(frozen=True)
class JobPoolSize:
    """Accelerators for a stream of jobs: what would be at work on average if no job waited, and what keeps the wait."""

    steady_accelerators: int
    accelerators: int
    wait_s: float
    utilization: float
    because: str


def size_job_pool(jobs: JobStream, percentile: float, wait_s: float, *, backfill: bool = True) -> JobPoolSize:
    """Fewest accelerators at which the percentile of the wait is at most `wait_s`.

    Now and then more accelerators make a stream wait longer. Below what bisection finds every count is tried, up to
    `TRIED` jobs in all.
    """
    if not 0 < percentile < 100:
        rule = "must lie between 0 and 100, without them: 0 asks nothing, and the longest wait of all is no percentile"
        raise InputError.at("--percentile", rule, value=percentile)
    if not wait_s >= 0:
        raise InputError.at("--wait-s", "must be seconds, 0 or more", value=wait_s)
    work = float((jobs.run_s * jobs.accelerators).sum())
    span = max(float((jobs.submit_s + jobs.run_s).max() - jobs.submit_s[0]), 1e-9)
    steady, widest = max(1, int(np.ceil(work / span))), int(jobs.accelerators.max())

    most_late = (1 - percentile / 100) * jobs.submit_s.size + 1

    def wait(count: int) -> float:
        start, late = _run(jobs, count, backfill, wait_s, most_late)
        return np.inf if late > most_late else float(np.percentile(start - jobs.submit_s, percentile))

    count = fewest(
        lambda n: n >= widest and wait(n) <= wait_s, max(steady, widest), most=int(jobs.accelerators.sum()) * 2
    )
    if (count - widest) * jobs.submit_s.size <= TRIED:
        count = next((n for n in range(widest, count) if wait(n) <= wait_s), count)
    start = simulate_jobs(jobs, count, backfill=backfill)
    busy = work / (count * max(float((start + jobs.run_s).max() - jobs.submit_s[0]), 1e-9))
    because = (
        f"{_binds(count, steady, widest)} binds: {steady} would be at work on average if no job waited, "
        f"the widest job needs {widest}; p{percentile:g} wait {wait(count):,.0f} s"
    )
    return JobPoolSize(steady, count, wait(count), busy, because)


def _binds(count: int, steady: int, widest: int) -> str:
    if count == widest:
        return "the widest job"
    if count == steady:
        return "the mean work"
    return "waiting in bursts" if count > steady else "the work within the wait allowed"
