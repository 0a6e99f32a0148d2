"""Atomic publishing: build aside, swap in by rename, keep what failed.

Layout below the output folder::

    <period>/<stage>/           a complete report; its manifest.json was written last
    <period>/.staging/<stage>/  being built
    <period>/.old/<stage>/      the report it replaces, for the moment of the swap
    earlier/<period>-<stage>-<fingerprint>/   a report that one of other inputs has replaced
    runs.jsonl                  who ran when: one line per stage and run, only ever added to
    failed/<time>-<period>-<stage>/   notebook and traceback of a failed run
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from aifactory.errors import InputError
from aifactory.inputs.hold import hold
from aifactory.report.results import EARLIER, RUNS
from aifactory.run.manifest import read_manifest

#: Folder of a month in which its reports are built; it is there only while a run is.
STAGING = ".staging"


def lock_output(out: Path, wait_s: float = 0) -> FileLock:
    """Acquire the output folder, or fail after `wait_s` seconds while another run holds it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = hold(out / ".lock", f"run that writes to {out}", wait_s)
    except OSError as error:
        raise InputError.at("--out", f"cannot be written: {error.strerror}", value=str(error.filename or out)) from None
    return lock


def recover(period_folder: Path) -> None:
    """Finish or undo what a killed run left: restore swapped-out reports, drop half-built ones."""
    for old in sorted((period_folder / ".old").glob("*")):
        final = period_folder / old.name
        if final.exists():
            _keep_earlier(old, final)
        else:
            old.rename(final)
    for leftover in (".old", STAGING):
        shutil.rmtree(period_folder / leftover, ignore_errors=True)


def stage_folder(period_folder: Path, stage: str) -> Path:
    """Empty folder in which a stage is built."""
    folder = period_folder / STAGING / stage
    folder.mkdir(parents=True)
    return folder


def publish(period_folder: Path, stage: str) -> Path:
    """Swap the built report in; at each moment either the old or the new one can be restored."""
    staging, final, old = (period_folder / part / stage for part in (STAGING, "", ".old"))
    for path in sorted(staging.rglob("*")):
        _sync(path)
    if final.exists():
        old.parent.mkdir(exist_ok=True)
        final.rename(old)
    staging.rename(final)
    _sync(period_folder)
    _keep_earlier(old, final)
    return final


def _keep_earlier(old: Path, final: Path) -> None:
    """Set aside a whole report that another took the place of; one of the same inputs is dropped."""
    before, now = (read_manifest(folder) for folder in (old, final))
    if before and before["aifactory"]["fingerprint"] != (now or before)["aifactory"]["fingerprint"]:
        mark = before["aifactory"]["fingerprint"][:12]
        kept = final.parent.parent / EARLIER / f"{final.parent.name}-{final.name}-{mark}"
        kept.parent.mkdir(exist_ok=True)
        if not kept.exists():
            old.rename(kept)
    shutil.rmtree(old, ignore_errors=True)


def log_run(out: Path, lines: Iterable[dict[str, object]]) -> None:
    """Add lines to the list of runs; what it holds is never changed."""
    with (out / RUNS).open("a", encoding="utf-8") as stream:
        stream.write("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))


def keep_failure(out: Path, period_folder: Path, stage: str, traceback: str, moment: str) -> Path:
    """Move a half-built stage to `failed/`, next to its traceback."""
    target = out / "failed" / f"{moment}-{period_folder.name}-{stage}"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(period_folder / STAGING / stage, target)
    (target / "traceback.txt").write_text(traceback, encoding="utf-8")
    return target


def _sync(path: Path) -> None:
    if os.name == "nt":  # folders cannot be opened, and files are flushed on close
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
