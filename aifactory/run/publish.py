"""Atomic publishing: build aside, swap in by rename, keep what failed.

Layout below the output folder::

    <period>/<stage>/           a complete report; its manifest.json was written last
    <period>/.staging/<stage>/  being built
    <period>/.old/<stage>/      the report it replaces, for the moment of the swap
    failed/<time>-<period>-<stage>/   notebook and traceback of a failed run
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from aifactory.errors import InputError, StageError


def lock_output(out: Path, wait_s: float = 0) -> FileLock:
    """Acquire the output folder, or fail after `wait_s` seconds while another run holds it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock")
        lock.acquire(timeout=wait_s)
    except Timeout:
        msg = f"another run is writing to {out}; wait until it has ended"
        raise StageError(msg) from None
    except OSError as error:
        raise InputError.at("--out", f"cannot be written: {error.strerror}", value=str(out)) from None
    return lock


def recover(period_folder: Path) -> None:
    """Finish or undo what a killed run left: restore swapped-out reports, drop half-built ones."""
    for old in sorted((period_folder / ".old").glob("*")):
        final = period_folder / old.name
        if not final.exists():
            old.rename(final)
    for leftover in (".old", ".staging"):
        shutil.rmtree(period_folder / leftover, ignore_errors=True)


def stage_folder(period_folder: Path, stage: str) -> Path:
    """Empty folder in which a stage is built."""
    folder = period_folder / ".staging" / stage
    folder.mkdir(parents=True)
    return folder


def publish(period_folder: Path, stage: str) -> Path:
    """Swap the built report in; at each moment either the old or the new one can be restored."""
    staging, final, old = (period_folder / part / stage for part in (".staging", "", ".old"))
    for path in sorted(staging.rglob("*")):
        _sync(path)
    if final.exists():
        old.parent.mkdir(exist_ok=True)
        final.rename(old)
    staging.rename(final)
    _sync(period_folder)
    shutil.rmtree(old, ignore_errors=True)
    return final


def keep_failure(out: Path, period_folder: Path, stage: str, traceback: str, moment: str) -> Path:
    """Move a half-built stage to `failed/`, next to its traceback."""
    target = out / "failed" / f"{moment}-{period_folder.name}-{stage}"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(period_folder / ".staging" / stage, target)
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
