"""`aifactory jobs`: training and fine-tuning jobs through a queue, and the accelerators that keep their wait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.traces.formats import detect_trace, sniff
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import read_source, read_table
from aifactory.serving.jobs import JobPoolSize, JobStream, simulate_jobs, size_job_pool

PLAIN = {"submit_s": "number", "run_s": "number", "accelerators": "number"}
PERCENTILES = (50, 90, 95, 99)
TABLE = {"submitted_utc", "started_utc", "ended_utc", "accelerators"}


def queue_jobs(
    trace: Path, *, accelerators: int = 0, wait_s: float = 0.0, percentile: float = 95.0, backfill: bool = True
) -> dict[str, object]:
    """Run jobs on so many accelerators, or (0) on the fewest that keep the percentile of the wait at `wait_s`.

    Returns
    -------
    jobs, accelerators, steady_accelerators (what the work alone needs), wait_s and its percentiles, utilization,
    because (what binds) and remarks.
    """
    jobs, remarks = read_jobs(trace)
    size = None if accelerators else size_job_pool(jobs, percentile, wait_s, backfill=backfill)
    count = accelerators or size.accelerators
    start = simulate_jobs(jobs, count, backfill=backfill)
    waits = np.percentile(start - jobs.submit_s, PERCENTILES)
    work = float((jobs.run_s * jobs.accelerators).sum())
    span = max(float((start + jobs.run_s).max() - jobs.submit_s[0]), 1e-9)
    return {
        "jobs": int(jobs.submit_s.size),
        "accelerators": count,
        "steady_accelerators": _steady(jobs, work),
        "wait_s": {f"p{p}": float(wait) for p, wait in zip(PERCENTILES, waits, strict=True)},
        "utilization": work / (count * span),
        "because": _because(size),
        "remarks": remarks,
    }


def _steady(jobs: JobStream, work: float) -> int:
    span = float((jobs.submit_s + jobs.run_s).max() - jobs.submit_s[0])
    return max(1, int(np.ceil(work / max(span, 1e-9) - 1e-9)))


def _because(size: JobPoolSize | None) -> str:
    return size.because if size else "as many as asked for"


def read_jobs(path: Path) -> tuple[JobStream, list[str]]:
    """Jobs of a trace in order of submission: table `jobs`, plain columns submit_s, run_s, accelerators, or a known trace.

    Jobs without an end are left out, parts of an accelerator count as one.
    """
    if not path.exists():
        raise InputError.at(path.name, "no such file", value=str(path))
    kind, names = sniff(path)
    if kind == "columns" and set(PLAIN) <= set(names):
        rows = read_source(path, source_contract("plain jobs", PLAIN))
        submit, run = (rows[name].astype(float) for name in ("submit_s", "run_s"))
        held = rows["accelerators"].astype(float)
    elif kind == "columns" and set(names) >= TABLE:
        read = read_table(path, load_contract("jobs"))
        raise_problems(path.name, read.problems)
        submit = _seconds(read.frame["submitted_utc"])
        run = _seconds(read.frame["ended_utc"], read.frame["submitted_utc"]) - _seconds(
            read.frame["started_utc"], read.frame["submitted_utc"]
        )
        held = read.frame["accelerators"].astype(float)
    else:
        submit, run, held = _of_trace(path)
    known = submit.notna() & run.notna() & held.gt(0)
    order = submit[known].sort_values(kind="stable").index
    if not len(order):
        raise InputError.at(path.name, "there are no jobs with a start, an end and accelerators")
    remarks = [] if known.all() else [f"{int((~known).sum()):,} jobs without start, end or accelerators are left out"]
    first = submit[order[0]]
    return JobStream(submit[order] - first, run[order], np.ceil(held[order])), remarks


def _of_trace(path: Path) -> tuple[pd.Series, pd.Series, pd.Series]:
    fits = detect_trace(path)
    if fits.table != "jobs":
        raise InputError.at(path.name, f"{fits.name} hold {fits.table.replace('_', ' ')}, not jobs")
    rows = fits.read(path).rows
    arrival = rows["arrival"]
    dated = pd.api.types.is_datetime64_any_dtype(arrival)
    return (_seconds(arrival) if dated else arrival.astype(float)), rows["ran_s"].astype(float), rows["accelerators"]


def _seconds(times: pd.Series, before: pd.Series | None = None) -> pd.Series:
    """Seconds since the first submission."""
    return (times - (times if before is None else before).min()) / pd.Timedelta(seconds=1)
