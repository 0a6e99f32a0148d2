"""One writer at a time, and no half file: who holds a folder, and files that are written aside."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from aifactory.errors import InputError, StageError, is_full_disk

#: Lock of the writers of a workspace; beside it stands who holds it.
WRITING = Path(".cache") / ".writing"
ASIDE = ".importing"


def hold(lock: Path, what: str, wait_s: float = 0) -> FileLock:
    """Acquire a lock, or say who holds it; the system lets go of it when its process ends, however it ends.

    Raises
    ------
    StageError
        Another process still holds it after `wait_s` seconds.
    """
    held, owner = FileLock(lock), lock.with_name(f"{lock.name}.owner")
    try:
        held.acquire(timeout=wait_s)
    except Timeout:
        msg = f"another {what} is at work{_owner(owner)}; wait until it has ended, or end that process"
        raise StageError(msg) from None
    with suppress(OSError):  # it only helps a message
        owner.write_text(f"{os.getpid()}\n", encoding="ascii")
    return held


def _owner(path: Path) -> str:
    """Process and age of a lock; nothing where nobody has said so."""
    try:
        return f" (process {int(path.read_text(encoding='ascii'))}, for {time.time() - path.stat().st_mtime:,.0f} s)"
    except (OSError, ValueError):
        return ""


@contextmanager
def writing(workspace: Path) -> Iterator[None]:
    """Hold a workspace from the reading of its tables to their writing: of two writers at once, one would lose rows."""
    try:
        (workspace / WRITING.parent).mkdir(exist_ok=True)
        held = hold(workspace / WRITING, f"command that writes to {workspace}")
    except OSError as error:
        why = "no room on the disk" if is_full_disk(error) else (error.strerror or str(error))
        raise InputError.at(
            "workspace", f"cannot be written ({why}); nothing was changed", value=str(workspace)
        ) from None
    try:
        yield
    finally:
        held.release()


@contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """Yield an empty folder inside `folder` to write to before a rename; what a killed writer left is dropped.

    Raises
    ------
    StageError
        The disk is full; nothing under a final name was changed.
    """
    building = folder / ASIDE
    for left in folder.glob(f"{ASIDE}*"):
        shutil.rmtree(left, ignore_errors=True)
    try:
        building.mkdir()
        yield building
    except OSError as error:
        if not is_full_disk(error):
            raise
        msg = f"{folder}: no room on the disk ({error.strerror or error}); nothing was changed: free some space and repeat the command"
        raise StageError(msg) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


def put_bytes(path: Path, held: bytes) -> None:
    """Write a file whole or not at all: aside, then renamed."""
    building = path.with_name(f".{path.name}.tmp")
    try:
        building.write_bytes(held)
        building.replace(path)
    finally:
        building.unlink(missing_ok=True)
