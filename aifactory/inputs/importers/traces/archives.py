"""Files of a tar archive or folder, read in memory: nothing is unpacked to disk, limits hold."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from aifactory.errors import InputError

MAX_MEMBERS = 20_000
MAX_MEMBER_BYTES = 200_000_000
MAX_TOTAL_BYTES = 2_000_000_000
#: An archive that unpacks to more than this many times its size is a trap.
MAX_RATIO = 100
MIN_TRAP_BYTES = 50_000_000


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of an archive or folder, sorted by name within a folder.

    Raises
    ------
    InputError
        For absolute names, names that lead out of the archive, links, and sizes over the limits.
    """
    total = 0
    for count, (name, content) in enumerate(_folder(path) if path.is_dir() else _archive(path), 1):
        total += len(content)
        if count > MAX_MEMBERS:
            raise InputError.at(path.name, f"holds more than {MAX_MEMBERS:,} files")
        if total > MAX_TOTAL_BYTES:
            raise InputError.at(path.name, f"unpacks to more than {MAX_TOTAL_BYTES:,} bytes")
        yield name, content


def names(path: Path, most: int = 50) -> list[str]:
    """Names of the first files, without reading them; empty if it is no archive."""
    if path.is_dir():
        return sorted(
            item.relative_to(path).as_posix() for item, _ in zip(path.rglob("*.*"), range(most), strict=False)
        )
    try:
        with tarfile.open(path, "r:*") as archive:
            return [item.name for item, _ in zip(archive, range(most), strict=False)]
    except (tarfile.TarError, OSError, EOFError):
        return []


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    packed, total = max(path.stat().st_size, 1), 0
    try:
        with tarfile.open(path, "r:*") as archive:
            for item in archive:
                if item.isdir():
                    continue
                _check(path.name, item)
                total += item.size
                if total > max(MIN_TRAP_BYTES, MAX_RATIO * packed):
                    raise InputError.at(path.name, f"unpacks to more than {MAX_RATIO} times its size")
                stream = archive.extractfile(item)
                yield item.name, stream.read() if stream else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError.at(path.name, f"is a damaged archive: {str(error)[:100]}") from None


def _check(file: str, item: tarfile.TarInfo) -> None:
    place = PurePosixPath(item.name.replace("\\", "/"))
    if place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
        raise InputError.at(file, "holds a name that leads out of the archive", value=item.name[:80])
    if not item.isfile():
        raise InputError.at(file, "holds a link or device, which is never followed", value=item.name[:80])
    if item.size > MAX_MEMBER_BYTES:
        raise InputError.at(file, f"holds a file of more than {MAX_MEMBER_BYTES:,} bytes", value=item.name[:80])


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for item in sorted(path.rglob("*")):
        if item.is_symlink():
            raise InputError.at(path.name, "holds a link, which is never followed", value=item.name[:80])
        if item.is_file():
            if item.stat().st_size > MAX_MEMBER_BYTES:
                raise InputError.at(path.name, f"holds a file of more than {MAX_MEMBER_BYTES:,} bytes", value=item.name)
            yield item.relative_to(path).as_posix(), item.read_bytes()
