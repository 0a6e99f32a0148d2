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
#: Column of durations -> seconds of its unit.
DURATIONS = {"duration_s": 1, "duration_min": 60, "duration_h": 3_600}
DURATION_UNITS = {"duration_s": "seconds", "duration_min": "minutes", "duration_h": "hours"}
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
    absent = next((name for name in columns if name not in (*FIELDS, *DURATIONS)), "")
    if absent:
        raise InputError.at(
            "mapping", "is no column of a job.", column="columns", value=absent, choices=(*FIELDS, *DURATIONS)
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
    open_ended = (rows["ended"].str.strip() == "").all()  # where some jobs end, those without an end still run
    stated = next((name for name in DURATIONS if name in found and open_ended), "")
    if stated:
        raw.runs_s = _seconds(raw, sheet.frame[found[stated]].astype("str"), stated)
    used = [found[name] for name in (*FIELDS, stated) if name in found]
    unused = [header for header in sheet.frame if header not in used]
    if unused:
        raw.warnings.append((f"columns not used: {', '.join(unused)}", 0))
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


def _seconds(raw: RawJobs, texts: pd.Series, name: str) -> pd.Series:
    """Seconds of the durations of a column, NaN where it is empty."""
    stated = texts.str.strip() != ""
    numbers = pd.to_numeric(texts.where(stated, None), errors="coerce") * DURATIONS[name]
    wrong = stated & ~((numbers >= 0) & (numbers <= LONGEST_S))
    rule = f"must be a number of {DURATION_UNITS[name]}, 0 to {LONGEST_S // DURATIONS[name]:,} (30 years)"
    raise_problems(raw.file, [Problem(int(row), raw.called(name), texts[row], rule) for row in texts.index[wrong]])
    return numbers
