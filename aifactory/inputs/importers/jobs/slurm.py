"""Slurm accounting: the output of `sacct --parsable2` (or `--parsable`), job steps left out.

Source: sacct(1). Fields: JobID, Submit, Start, End, State, AllocTRES or ReqTRES, Partition, Account, Cluster.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.jobs.common import FIELDS, RawJobs
from aifactory.inputs.problems import Problem, raise_problems
from aifactory.inputs.spreadsheet import MAX_BYTES

NEEDED = ("JobID", "State", "Submit", "Start", "End")
STEPS = "job steps"
SUSPENDED = (
    "jobs were suspended for a part of their time (Elapsed): they count for as long as they ran, from their start on"
)
LEAST_SUSPENDED, _CLOCK = pd.Timedelta(minutes=1), r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
#: gres/gpu=4, gres/gpu:a100=4, gres/gpu:a100:4
_GPU = re.compile(r"gres/gpu(?::(?P<kind>[^=,]+?))?[=:](?P<count>\d+)(?=,|$)")
_MANY = re.compile(r"\d+_\[[^\]]+\]")


def is_slurm(path: Path) -> bool:
    """Whether the first line is a header of sacct."""
    with path.open("rb") as stream:
        head = stream.readline(65_536).decode("utf-8", "replace").lstrip("\ufeff").strip()
    return "JobID" in head.split("|")


def read_slurm(path: Path) -> RawJobs:
    """Jobs of a sacct file; cells are separated by bars and never quoted.

    Raises
    ------
    InputError
        If a needed field was not exported, or a row has another number of fields (a bar in a job name).
    """
    if path.stat().st_size > MAX_BYTES:
        raise InputError.at(path.name, f"larger than {MAX_BYTES:,} bytes; export it by month")
    frame = _fields(path)
    absent = [name for name in NEEDED if name not in frame]
    if absent or not {"AllocTRES", "ReqTRES"} & set(frame):
        names = ",".join([*NEEDED, "AllocTRES", "ReqTRES", "Partition", "Account", "Cluster"])
        raise InputError.at(
            path.name, f"lacks a field; export --format={names}", row=1, column=(absent or ["AllocTRES"])[0]
        )
    empty = pd.Series("", index=frame.index)
    rows = pd.DataFrame(
        {
            "job_id": frame["JobID"],
            "use_case": frame.get("Account", empty),
            "region": frame.get("Cluster", empty),
            "device": frame.get("Partition", empty),
            "submitted": frame["Submit"],
            "started": frame["Start"],
            "ended": _ended(frame),
            "state": frame["State"],
        }
    )
    raw = RawJobs(path.name, "Slurm sacct", "slurm", rows, len(frame))
    raw.leave_out(frame["JobID"].str.contains(".", regex=False), STEPS)
    if suspended := int((raw.rows["ended"] != frame["End"].loc[raw.rows.index]).sum()):
        raw.warnings.append((SUSPENDED, suspended))
    tres = _used(frame).loc[raw.rows.index]
    raw.rows = _with_devices(raw, tres)[list(FIELDS)]
    many = raw.rows["job_id"].map(lambda text: bool(_MANY.fullmatch(text)))
    if many.any():
        raw.warnings.append(("waiting tasks of an array stand in one row and count as one job", int(many.sum())))
    return raw


def _ended(frame: pd.DataFrame) -> pd.Series:
    """Ends of jobs; of those that were suspended so much earlier, since a suspended job holds no accelerator.

    `Elapsed` leaves out what a job was suspended for. Between two clock times a change of the clock may lie: an hour.
    """
    texts = frame.get("ElapsedRaw", frame.get("Elapsed", pd.Series("", index=frame.index)))
    plain = texts.where(~texts.str.fullmatch(r"\d+"), texts + "s").str.replace("-", " days ", regex=False)
    ran = pd.to_timedelta(plain, errors="coerce")
    start, end = (
        pd.to_datetime(frame[name].where(frame[name].str.fullmatch(_CLOCK)), errors="coerce", format="ISO8601")
        for name in ("Start", "End")
    )
    short = (end - start - ran > LEAST_SUSPENDED) & (end - start - ran != pd.Timedelta(hours=1))
    return frame["End"].mask(short, (start + ran).dt.strftime("%Y-%m-%dT%H:%M:%S"))


def _fields(path: Path) -> pd.DataFrame:
    raw = path.read_bytes()
    if b"\0" in raw:
        raise InputError.at(path.name, "holds a NUL byte", row=raw[: raw.index(b"\0")].count(b"\n") + 1)
    lines = raw.decode("utf-8-sig", "replace").splitlines()
    header = lines[0].split("|")
    width = len(header)
    cells, numbers, bad = [], [], []
    for number, line in enumerate(lines[1:], 2):
        parts = line.split("|")
        if not line.strip() or parts == header:
            continue
        if len(parts) != width:
            bad.append(
                Problem(
                    number,
                    "",
                    "",
                    f"has {len(parts)} fields, the header has {width}; export without JobName if it holds a bar",
                )
            )
        cells.append(parts)
        numbers.append(number)
    raise_problems(path.name, bad)
    if len(set(header)) != width:
        raise InputError.at(path.name, "a field is given twice", row=1)
    return pd.DataFrame(cells, columns=header, index=numbers, dtype="str")


def _used(frame: pd.DataFrame) -> pd.Series:
    """Resources held, or, while a job waits, asked for."""
    empty = pd.Series("", index=frame.index)
    held = frame.get("AllocTRES", empty)
    return held.where(held.str.strip() != "", frame.get("ReqTRES", empty))


def _with_devices(raw: RawJobs, tres: pd.Series) -> pd.DataFrame:
    """One row per kind of device; the total without a kind counts only where no kind is named."""
    counts: list[dict[str, int]] = []
    for text in tres:
        found: dict[str, int] = {}
        for item in _GPU.finditer(text):
            found[item["kind"] or ""] = found.get(item["kind"] or "", 0) + int(item["count"])
        named = {kind: count for kind, count in found.items() if kind}
        counts.append(named or found or {"": 0})
    several = [number for number, kinds in enumerate(counts) if len(kinds) > 1]
    if several:
        raw.warnings.append(("jobs hold several kinds of accelerators; each kind is a row of its own", len(several)))
    position = [number for number, kinds in enumerate(counts) for _ in kinds]
    kinds = pd.Series([kind for kinds in counts for kind in kinds], dtype="str")
    rows = raw.rows.iloc[position]
    # the second kind of row 7 is 7.001: still row 7 in a message, yet a label of its own
    rows.index = rows.index + np.array([order / 1000 for kinds in counts for order in range(len(kinds))])
    split = pd.Series([len(counts[number]) > 1 for number in position], index=rows.index)
    kinds.index = rows.index
    job_id = rows["job_id"].where(~split, rows["job_id"] + "/" + kinds)
    amount = [str(count) for kinds in counts for count in kinds.values()]
    return rows.assign(job_id=job_id, device=kinds.where(kinds != "", rows["device"]), accelerators=amount)
