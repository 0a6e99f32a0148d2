"""Find out what a file of jobs is, and read it into rows of the table `jobs`."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.jobs.common import FIELDS, RawJobs, job_report, to_jobs
from aifactory.inputs.importers.jobs.kubernetes import read_kubernetes
from aifactory.inputs.importers.jobs.slurm import is_slurm, read_slurm
from aifactory.inputs.importers.target import Target
from aifactory.inputs.importers.traces.formats import detect_trace
from aifactory.inputs.importers.use_cases.words import header_words
from aifactory.inputs.problems import Problem, raise_problems
from aifactory.inputs.spreadsheet import read_spreadsheet

LONGEST_S = 946_080_000
NEEDED = ("job_id", "accelerators", "submitted", "state")


def read_jobs(path: Path, target: Target) -> tuple[dict[str, object], pd.DataFrame]:
    """Report and rows of a file of jobs: sacct, Kubernetes objects in JSON, or any table with a header.

    Raises
    ------
    InputError
        If the file is none of them, lacks what a job needs, or holds a value that cannot be read.
    """
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    with path.open("rb") as stream:
        begin = stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if begin in (b"{", b"["):
        raw = read_kubernetes(path)
    elif is_slurm(path):
        raw = read_slurm(path)
    else:
        raw = read_job_table(path, target.columns)
    jobs = to_jobs(raw, target)
    return job_report(raw, jobs), jobs


def is_job_trace(path: Path) -> bool:
    """Whether a file is a public trace of jobs (Philly and its like), which the reader of traces knows."""
    try:
        return detect_trace(path).table == "jobs"
    except InputError:
        return False


@cache
def _headers() -> dict[str, list[str]]:
    with (Path(__file__).parent / "headers.csv").open(encoding="utf-8", newline="") as stream:
        return {row["field"]: row["texts"].split("|") for row in csv.DictReader(stream)}


def read_job_table(path: Path, columns: dict[str, str]) -> RawJobs:
    """Jobs of a CSV or XLSX file under usual names; `columns` (ours: theirs) names unusual ones."""
    sheets = read_spreadsheet(path)
    chosen = [(sheet, find_job_columns(list(sheet.frame), columns)) for sheet in sheets]
    sheet, found = max(chosen, key=lambda pair: len(pair[1]))
    absent = next((name for name in columns if name not in (*FIELDS, "duration_s")), "")
    if absent:
        raise InputError.at(
            "mapping", "is no column of a job.", column="columns", value=absent, choices=(*FIELDS, "duration_s")
        )
    gone = next((theirs for theirs in columns.values() if theirs not in sheet.frame), "")
    if gone:
        raise InputError.at(
            sheet.place, "the mapping names a column that is not there.", value=gone, choices=list(sheet.frame)
        )
    missing = next((name for name in NEEDED if name not in found), "")
    if missing:
        rule = f"no column for it; name one in `columns` of a mapping; found: {', '.join(list(sheet.frame)[:12])}"
        raise InputError.at(sheet.place, rule, row=1, column=missing)
    rows = pd.DataFrame(
        {name: sheet.frame[found[name]] if name in found else "" for name in FIELDS}, index=sheet.frame.index
    ).astype("str")
    raw = RawJobs(
        path.name,
        "table of jobs",
        "any",
        rows,
        len(rows) + sum(sheet.left_out.values()),
        dict(sheet.left_out),
        list(sheet.notes),
        headers=found,
    )
    if "duration_s" in found and "ended" not in found:
        raw.rows = raw.rows.assign(ended=_ends(raw, sheet.frame[found["duration_s"]]))
    raw.recoded = [{"field": name, "theirs": theirs, "ours": name, "rows": len(rows), "certainty": "header"}
                   for name, theirs in found.items() if name != theirs]  # fmt: skip
    return raw


def _exact(text: str) -> str:
    return text.strip().casefold().replace("_", " ")


def find_job_columns(headers: list[str], columns: dict[str, str]) -> dict[str, str]:
    """Our field -> header; a mapping wins, then the more usual name; each header once."""
    found = {name: theirs for name, theirs in columns.items() if theirs in headers}
    free = [header for header in headers if header not in found.values()]
    for name, known in _headers().items():  # our own names first: `accelerator` beside `accelerators` is another column
        mine = next((header for header in free if _exact(header) in (_exact(name), known[0])), None)
        if name not in found and mine is not None:
            found[name] = free.pop(free.index(mine))
    for name, known in _headers().items():
        mine = next((header for text in known for header in free if header_words(header) == header_words(text)), None)
        if name not in found and mine is not None:
            found[name] = free.pop(free.index(mine))
    return found


def _ends(raw: RawJobs, seconds: pd.Series) -> pd.Series:
    """Start plus duration, as text; '' where either is missing."""
    start = pd.to_datetime(
        raw.rows["started"].where(raw.rows["started"] != "", None), format="ISO8601", errors="coerce", utc=False
    )
    stated = seconds.str.strip() != ""
    numbers = pd.to_numeric(seconds.where(stated, None), errors="coerce")
    wrong = stated & ~((numbers >= 0) & (numbers <= LONGEST_S))
    rule = f"must be seconds, 0 to {LONGEST_S:,} (30 years)"
    raise_problems(
        raw.file, [Problem(int(row), raw.called("duration_s"), seconds[row], rule) for row in seconds.index[wrong]]
    )
    length = pd.to_timedelta(numbers, unit="s")
    if start.dtype == "object":
        raise InputError.at(raw.file, "starts have several zones; give the end of each job instead of its duration")
    ends = start + length
    return ends.map(lambda time: "" if pd.isna(time) else time.isoformat())
