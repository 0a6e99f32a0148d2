"""`aifactory jobs`: training and fine-tuning jobs through a queue, and the accelerators that keep their wait."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.csv_text import holds_json
from aifactory.inputs.importers.jobs.read import NEEDED, find_job_columns, is_job_trace
from aifactory.inputs.importers.jobs.read import read_jobs as read_export
from aifactory.inputs.importers.jobs.slurm import is_slurm
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.target import Target
from aifactory.inputs.importers.traces.formats import detect_trace, refuse_milliseconds, refuse_part, sniff
from aifactory.inputs.importers.unnamed import UNNAMED
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import read_source, read_table
from aifactory.serving.jobs import JobStream, simulate_jobs, size_job_pool
from aifactory.units import counted

PLAIN = {"submit_s": "number", "run_s": "number", "accelerators": "number"}
PERCENTILES = (50, 90, 95, 99)
TABLE = {"submitted_utc", "started_utc", "ended_utc", "accelerators"}


def queue_jobs(
    trace: Path, *, accelerators: int = 0, wait_s: float = 0.0, percentile: float = 95.0, backfill: bool = True,
    only: Mapping[str, str] | None = None,
) -> dict[str, object]:  # fmt: skip
    """Run jobs on so many accelerators, or (0) on the fewest that keep the percentile of the wait at `wait_s`.

    Returns
    -------
    jobs, accelerators, steady_accelerators (at work on average if no job waited), wait_s and its percentiles, utilization,
    because (what binds) and remarks.
    """
    jobs, remarks = read_jobs(trace, only)
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
        "because": size.because if size else _as_asked(jobs, start, percentile, wait_s, backfill=backfill),
        "remarks": remarks,
    }


def _steady(jobs: JobStream, work: float) -> int:
    span = float((jobs.submit_s + jobs.run_s).max() - jobs.submit_s[0])
    return max(1, int(np.ceil(work / max(span, 1e-9) - 1e-9)))


def _as_asked(jobs: JobStream, start: np.ndarray, percentile: float, wait_s: float, *, backfill: bool) -> str:
    """Whether as many accelerators as asked for keep the wait, and how many would."""
    wait = float(np.percentile(start - jobs.submit_s, percentile))
    asked = f"as many as asked for: p{percentile:g} wait {wait:,.0f} s"
    if wait <= wait_s:
        return asked
    fewest = size_job_pool(jobs, percentile, wait_s, backfill=backfill).accelerators
    return f"{asked}, more than the {wait_s:,.0f} s allowed; {fewest} keep it"


def read_jobs(path: Path, only: Mapping[str, str] | None = None) -> tuple[JobStream, list[str]]:
    """Jobs of a trace in order of submission: table `jobs`, plain columns submit_s, run_s, accelerators, a known trace,
    or what `aifactory import jobs` reads.

    Jobs without an end are left out, parts of an accelerator count as one. Of a table `jobs`, `only` takes those with
    these values in its columns.
    """
    if not path.exists():
        raise InputError.at(path.name, "no such file", value=str(path))
    kind, names = sniff(path)
    remarks: list[str] = []
    if only and not set(names) >= TABLE:
        raise InputError.at(path.name, f"only a table jobs has {', '.join(only)}")
    if kind == "columns" and set(PLAIN) <= set(names):
        jobs = read_source(path, source_contract("plain jobs", PLAIN)).astype(float)
    elif kind == "columns" and set(names) >= TABLE:
        jobs, remarks = _of_table(path, only or {})
    else:
        if kind == "columns":
            refuse_part(path.name, names, "jobs", tuple(PLAIN))
        jobs, remarks = _of_trace(path) if is_job_trace(path) else _of_export(path, names)
    jobs["row"] = jobs["row"] if "row" in jobs else jobs.index + 2
    known = jobs.notna().all(axis=1) & jobs["accelerators"].gt(0)
    if not known.any():
        raise InputError.at(path.name, "there are no jobs with a start, an end and accelerators")
    if not known.all():
        remarks += [f"{counted(int((~known).sum()), 'job')} without start, end or accelerators left out"]
    jobs = jobs[known].sort_values("submit_s", kind="stable")
    refuse_milliseconds(path.name, "submit_s", float(jobs["submit_s"].iloc[0]), int(jobs["row"].iloc[0]) or None)
    submit = jobs["submit_s"] - jobs["submit_s"].iloc[0]
    return JobStream(submit, jobs["run_s"], np.ceil(jobs["accelerators"]), path.name, jobs["row"]), remarks


def _of_table(path: Path, only: Mapping[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """Jobs of the table `jobs` whose columns hold what `only` says, and what lies in one pool that cannot be one."""
    read = read_table(path, load_contract("jobs"))
    raise_problems(path.name, read.problems)
    frame = read.frame
    for column, value in only.items():
        known = sorted(frame[column].dropna().unique())
        if value not in known:
            raise InputError.at(path.name, "no job has it", column=column, value=value, choices=known)
        frame = frame[frame[column] == value]
    places = frame.groupby(["region", "accelerator_id"]).size()
    mixed = [f"{name} in {region} ({counted(int(count), 'job')})" for (region, name), count in places.items()]
    remarks = [f"one pool is sized for {', '.join(mixed)}: name one with --accelerator and --region"] * (len(mixed) > 1)
    started, ended = (_seconds(frame[name], frame["submitted_utc"]) for name in ("started_utc", "ended_utc"))
    held = frame["accelerators"].astype(float)
    rows = {"submit_s": _seconds(frame["submitted_utc"]), "run_s": ended - started, "accelerators": held}
    return pd.DataFrame(rows), remarks


def _of_export(path: Path, names: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Jobs of a scheduler's export or of any table of jobs, as `aifactory import jobs` reads them, in one pool."""
    try:
        report, frame = read_export(path, Target(region=UNNAMED, use_case=UNNAMED, accelerator=UNNAMED))
    except InputError:
        if path.is_file() and (is_slurm(path) or holds_json(path) or set(NEEDED) <= set(find_job_columns(names, {}))):
            raise
        return _of_trace(path)  # tells the known forms
    started, ended = (_seconds(frame[name], frame["submitted_utc"]) for name in ("started_utc", "ended_utc"))
    held = {"run_s": ended - started, "accelerators": frame["accelerators"].astype(float)}
    remarks = [f"{counted(count, 'row')} left out: {why}" for why, count in report["rows_left_out"].items()]
    remarks += [f"{item['text']} ({counted(item['rows'], 'row')})" for item in report["warnings"] if item["rows"]]
    return pd.DataFrame({"submit_s": _seconds(frame["submitted_utc"])} | held | {"row": 0}), remarks


def _of_trace(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Jobs of a known trace, and what was left out of it or assumed."""
    fits = detect_trace(path)
    if fits.table != "jobs":
        raise InputError.at(path.name, f"{fits.name} hold {fits.table.replace('_', ' ')}, not jobs")
    found = fits.read(path)
    arrival, ran, held = (found.rows[name] for name in ("arrival", "ran_s", "accelerators"))
    submit = _seconds(arrival) if found.dated else arrival.astype(float)
    remarks = [f"{counted(count, 'row')} left out: {why}" for why, count in found.left_out.items()]
    remarks += [f"{text} ({counted(count, 'row')})" for text, count in found.warnings]
    return pd.DataFrame({"submit_s": submit, "run_s": ran.astype(float), "accelerators": held, "row": 0}), remarks


def _seconds(times: pd.Series, before: pd.Series | None = None) -> pd.Series:
    """Seconds since the first submission."""
    return (times - (times if before is None else before).min()) / pd.Timedelta(seconds=1)
