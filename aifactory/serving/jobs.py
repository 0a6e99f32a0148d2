"""Training and fine-tuning jobs in a queue: gang scheduling on one pool of accelerators.

A job starts when all its accelerators are free at once (gang) and keeps them to its end. First come first
served, or with EASY backfill: a later job may start earlier where it does not delay the first in the
queue (Lifka, "The ANL/IBM SP scheduling system", 1995); run times are taken as known.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from aifactory.errors import InputError
from aifactory.serving.slo_sizing import fewest

#: Longest run and largest job: 20 years and ten million accelerators; more is a slip of units.
LONGEST_S, MOST_ACCELERATORS = 20 * 366 * 86_400.0, 10_000_000


@dataclass(frozen=True)
class JobStream:
    """Jobs by time of submission: seconds, seconds, accelerators, each of shape (n,)."""

    submit_s: np.ndarray
    run_s: np.ndarray
    accelerators: np.ndarray

    def __post_init__(self) -> None:
        for name, kind in (("submit_s", float), ("run_s", float), ("accelerators", np.int64)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
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
                row = int(np.argmax(bad))
                raise InputError.at("jobs", rule, row=row + 2, column=name, value=getattr(self, name)[row].item())
        if (np.diff(self.submit_s) < 0).any():
            row = int(np.argmax(np.diff(self.submit_s) < 0)) + 1
            raise InputError.at("jobs", "must not be earlier than the row before", row=row + 2, column="submit_s")


def simulate_jobs(jobs: JobStream, accelerators: int, *, backfill: bool = False) -> np.ndarray:
    """Start of each job in seconds, shape (n,).

    >>> jobs = JobStream([0, 0, 0], [10, 5, 4], [3, 4, 1])
    >>> simulate_jobs(jobs, 4).tolist(), simulate_jobs(jobs, 4, backfill=True).tolist()
    ([0.0, 10.0, 15.0], [0.0, 10.0, 0.0])
    """
    return _run(jobs, accelerators, backfill).start_s


def _run(
    jobs: JobStream, accelerators: int, backfill: bool, longest_s: float = np.inf, most_late: float = np.inf
) -> _Pool:
    """A pool after all jobs, or as soon as more than `most_late` of them waited longer than `longest_s`."""
    if int(jobs.accelerators.max()) > accelerators:
        raise InputError(f"a job of {int(jobs.accelerators.max())} accelerators never starts on {accelerators}")
    pool = _Pool(jobs, accelerators, backfill)
    pool.longest_s = longest_s
    for number in range(jobs.submit_s.size):
        pool.advance(jobs.submit_s[number])
        pool.queue.append(number)
        pool.schedule()
        if pool.late > most_late:
            return pool
    pool.advance(np.inf)
    return pool


class _Pool:
    def __init__(self, jobs: JobStream, accelerators: int, backfill: bool) -> None:
        self.jobs, self.free, self.backfill, self.now = jobs, accelerators, backfill, 0.0
        self.start_s = np.full(jobs.submit_s.size, np.nan)
        self.longest_s, self.late = np.inf, 0
        self.queue: list[int] = []
        self.ends: list[tuple[float, int]] = []

    def advance(self, until: float) -> None:
        """Let jobs end up to and at `until`, and others start when they do."""
        while self.ends and self.ends[0][0] <= until:
            self.now = self.ends[0][0]
            while self.ends and self.ends[0][0] == self.now:
                self.free += int(self.jobs.accelerators[heapq.heappop(self.ends)[1]])
            self.schedule()
        self.now = until

    def start(self, number: int) -> None:
        self.start_s[number] = self.now
        self.late += self.now - self.jobs.submit_s[number] > self.longest_s
        self.free -= int(self.jobs.accelerators[number])
        heapq.heappush(self.ends, (self.now + float(self.jobs.run_s[number]), number))

    def schedule(self) -> None:
        while self.queue and self.jobs.accelerators[self.queue[0]] <= self.free:
            self.start(self.queue.pop(0))
        if self.backfill and len(self.queue) > 1 and self.free > 0:
            self.fill_gaps()

    def fill_gaps(self) -> None:
        """Start later jobs that end before the first can start, or use what it leaves."""
        need, at, free = int(self.jobs.accelerators[self.queue[0]]), self.now, self.free
        for end, number in sorted(self.ends):
            if free >= need:
                break
            at, free = end, free + int(self.jobs.accelerators[number])
        spare = free - need
        for number in self.queue[1:]:
            size = int(self.jobs.accelerators[number])
            in_time = self.now + self.jobs.run_s[number] <= at
            if size <= self.free and (in_time or size <= spare):
                spare -= 0 if in_time else size
                self.queue.remove(number)
                self.start(number)
            if self.free == 0:
                return


@dataclass(frozen=True)
class JobPoolSize:
    """Accelerators for a stream of jobs: what the work needs on average, and what keeps the wait."""

    steady_accelerators: int
    accelerators: int
    wait_s: float
    utilization: float
    because: str


def size_job_pool(jobs: JobStream, percentile: float, wait_s: float, *, backfill: bool = True) -> JobPoolSize:
    """Fewest accelerators at which the percentile of the wait is at most `wait_s`."""
    if not (0 < percentile < 100 and wait_s >= 0):
        raise InputError("jobs: the wait target needs a percentile between 0 and 100 and seconds of 0 or more")
    work = float((jobs.run_s * jobs.accelerators).sum())
    span = max(float((jobs.submit_s + jobs.run_s).max() - jobs.submit_s[0]), 1e-9)
    steady, widest = max(1, int(np.ceil(work / span))), int(jobs.accelerators.max())

    most_late = (1 - percentile / 100) * jobs.submit_s.size + 1

    def wait(count: int) -> float:
        pool = _run(jobs, count, backfill, wait_s, most_late)
        return np.inf if pool.late > most_late else float(np.percentile(pool.start_s - jobs.submit_s, percentile))

    count = fewest(
        lambda n: n >= widest and wait(n) <= wait_s, max(steady, widest), most=int(jobs.accelerators.sum()) * 2
    )
    start = simulate_jobs(jobs, count, backfill=backfill)
    busy = work / (count * max(float((start + jobs.run_s).max() - jobs.submit_s[0]), 1e-9))
    binds = "the widest job" if count == widest else "the mean work" if count == steady else "waiting in bursts"
    because = f"{binds} binds: the work alone needs {steady}, the widest job {widest}; p{percentile:g} wait {wait(count):,.0f} s"
    return JobPoolSize(steady, count, wait(count), busy, because)
