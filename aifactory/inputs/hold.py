"""One writer at a time, no half file and no half change: who holds a folder, and files that are written aside."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from aifactory.errors import InputError, StageError, is_full_disk

#: Lock of the writers of a workspace; beside it stands who holds it.
WRITING = Path(".cache") / ".writing"
ASIDE = ".importing"
#: What an exchange of files still has to do; it stands there only while files take their places.
CHANGING = Path(".cache") / ".changing"
#: How long a reader waits for an exchange, which takes milliseconds, and how often it looks.
WAIT_S, LOOK_S = 30.0, 0.05


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
    _finish(folder)
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


@dataclass
class Exchange:
    """Files written aside that take their places together: all of them, whatever happens in between."""

    folder: Path
    building: Path
    moves: dict[str, str] = field(default_factory=dict)
    drops: list[str] = field(default_factory=list)

    def place(self, written: Path, target: Path) -> Path:
        """Have a file in `building` take the place of `target`, in the folder or one below it."""
        self.moves[written.name] = str(target.relative_to(self.folder))
        return target

    def drop(self, path: Path) -> None:
        """Have a file of the folder removed."""
        self.drops.append(str(path.relative_to(self.folder)))

    def commit(self) -> None:
        """Write down what is to be done, then do it; who comes after a sudden end does the rest."""
        (self.folder / CHANGING.parent).mkdir(exist_ok=True)
        put_bytes(self.folder / CHANGING, json.dumps({"moves": self.moves, "drops": self.drops}).encode())
        _finish(self.folder)


@contextmanager
def exchange(folder: Path) -> Iterator[Exchange]:
    """Files for a folder that take their places together when the block ends; none does if it fails.

    Raises
    ------
    StageError
        The disk is full; nothing under a final name was changed.
    """
    with aside(folder) as building:
        change = Exchange(folder, building)
        yield change
        change.commit()


def _finish(folder: Path) -> None:
    """Do what an exchange has written down and not done yet."""
    try:
        left = json.loads((folder / CHANGING).read_bytes())
    except FileNotFoundError:
        return
    for name in (*left["moves"], *left["moves"].values(), *left["drops"]):
        if folder.resolve() not in (folder / name).resolve().parents:
            raise InputError.at(str(CHANGING), "leads out of the workspace; remove this file", value=name)
    for name, target in left["moves"].items():
        (folder / target).parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # done before
            (folder / ASIDE / name).replace(folder / target)
    for name in left["drops"]:
        (folder / name).unlink(missing_ok=True)
    (folder / CHANGING).unlink(missing_ok=True)


def settle(folder: Path) -> None:
    """Wait while files of a workspace are exchanged; an exchange whose process has ended is completed.

    Raises
    ------
    StageError
        If it takes longer than `WAIT_S`.
    """
    end = time.monotonic() + WAIT_S
    while (folder / CHANGING).exists():
        lock = FileLock(folder / WRITING)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if time.monotonic() > end:
                msg = f"the files of {folder} are being exchanged for over {WAIT_S:g} s{_owner(folder / f'{WRITING}.owner')}"
                raise StageError(msg) from None
            time.sleep(LOOK_S)
            continue
        try:
            _finish(folder)
        finally:
            lock.release()


def put_bytes(path: Path, held: bytes) -> None:
    """Write a file whole or not at all: aside, then renamed."""
    building = path.with_name(f".{path.name}.tmp")
    try:
        building.write_bytes(held)
        building.replace(path)
    finally:
        building.unlink(missing_ok=True)
