"""Where request rows lie: files read by DuckDB in this process, or a table of an engine that Ibis reaches."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.csv_text import check_beginning

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

#: DuckDB's own limit; what does not fit is spilled to a temporary folder.
MEMORY_LIMIT = "1GB"
#: Groups of up to 2^20 cells are counted in an array instead of a hash table.
ARRAY_BITS = 20
#: Files are read together until they hold this many bytes.
PART_BYTES = 100_000_000
CSV_OPTIONS = {"all_varchar": True, "header": True, "quote": '"', "strict_mode": True, "null_padding": False}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Request rows as they were delivered: as one table, and in one or several parts of it."""

    name: str
    backend: BaseBackend
    whole: ir.Table
    parts: tuple[ir.Table, ...]
    files: tuple[Path, ...] = ()

    def file(self, path: Path) -> ir.Table:
        """Rows of one of the files."""
        return _read(self.backend, (path,))

    def known(self, name: str, frame: pd.DataFrame) -> ir.Table:
        """A small frame as a table of the engine."""
        import ibis

        if self.backend.name != "duckdb":
            return ibis.memtable(frame)
        return held(self.backend, name, frame)


def held(backend: BaseBackend, name: str, frame: pd.DataFrame) -> ir.Table:
    """Copy a frame into a temporary table of DuckDB."""
    import pyarrow as pa

    backend.con.register(f"{name}_given", pa.Table.from_pandas(frame, preserve_index=False))
    backend.raw_sql(f"CREATE OR REPLACE TEMP TABLE {name} AS {backend.compile(backend.table(f'{name}_given'))}")
    backend.con.unregister(f"{name}_given")
    return backend.table(name, database="temp.main")


def stage(table: ir.Table, name: str = "coded") -> ir.Table:
    """Keep an intermediate result as a temporary table of DuckDB; elsewhere it stays a query."""
    backend = table._find_backend(use_default=False)
    if backend.name != "duckdb":
        return table
    query = backend.compile(table)
    backend.raw_sql(f"DROP TABLE IF EXISTS temp.main.{name}")  # before, not while, the next one is made
    backend.raw_sql(f"CREATE TEMP TABLE {name} AS {query}")
    return backend.table(name, database="temp.main")


def release(staged: ir.Table) -> None:
    """Give back the memory of an intermediate result that `stage` keeps."""
    backend = staged._find_backend(use_default=False)
    if backend.name == "duckdb":
        backend.raw_sql(f"DROP TABLE IF EXISTS temp.main.{staged.get_name()}")


@contextmanager
def duckdb_session(memory_limit: str = MEMORY_LIMIT, threads: int = 0) -> Iterator[BaseBackend]:
    """DuckDB in this process with a memory limit and a folder to spill to, removed afterwards."""
    import ibis

    spill = tempfile.mkdtemp(prefix="aifactory-spill-")
    backend = ibis.duckdb.connect(
        memory_limit=memory_limit, temp_directory=spill, threads=threads or os.cpu_count() or 1
    )
    try:
        for setting in ("preserve_insertion_order = false", "TimeZone = 'UTC'", f"perfect_ht_threshold = {ARRAY_BITS}"):
            backend.raw_sql(f"SET {setting}")
        yield backend
    finally:
        backend.disconnect()
        shutil.rmtree(spill, ignore_errors=True)


def open_files(backend: BaseBackend, paths: list[Path]) -> Source:
    """CSV and Parquet files as one source; all of one kind, with the same columns."""
    files = tuple(paths)
    separators = {path: check_beginning(path) for path in files if not is_parquet(path)}
    other = next((path for path, separator in separators.items() if separator != separators.get(files[0])), None)
    if other and files[0] in separators:
        raise InputError.at(other.name, f"has other separators than {files[0].name}; import them apart", row=1)
    first = _read(backend, files[:1]).schema()
    for path in files[1:]:
        if set(_read(backend, (path,)).columns) != set(first.names):
            raise InputError.at(path.name, f"has other columns than {files[0].name}; import them apart")
    parts = tuple(_read(backend, group) for group in _groups(files))
    return Source(name_of(files), backend, parts[0] if len(parts) == 1 else _read(backend, files), parts, files)


def name_of(files: Sequence[Path]) -> str:
    """How messages name these files."""
    return files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"


def _groups(files: tuple[Path, ...]) -> Iterator[tuple[Path, ...]]:
    group: list[Path] = []
    size = 0
    for path in files:
        group.append(path)
        size += path.stat().st_size
        if size >= PART_BYTES:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def _read(backend: BaseBackend, files: tuple[Path, ...]) -> ir.Table:
    import duckdb

    kinds = {is_parquet(path) for path in files}
    if len(kinds) > 1:
        raise InputError.at(files[0].name, "stands beside files of another kind; import CSV and Parquet apart")
    names = [str(path) for path in files]
    try:
        if kinds == {True}:
            return _with_known_types(backend.read_parquet(names, union_by_name=True))
        return backend.read_csv(names, delim=check_beginning(files[0]), **CSV_OPTIONS)
    except duckdb.Error as error:
        raise InputError.at(files[0].name, f"cannot be read: {str(error).splitlines()[0][:160]}") from None


def _with_known_types(table: ir.Table) -> ir.Table:
    """What Ibis does not know: times in nanoseconds with a zone become microseconds, columns of nothing but nulls text."""
    schema = table.schema()
    unknown = {name: str(schema[name]) for name in schema.names if schema[name].is_unknown()}
    known = {
        name: table[name].cast("timestamp('UTC')" if "TIMESTAMPTZ" in kind else "string")
        for name, kind in unknown.items()
        if "TIMESTAMPTZ" in kind or "NULL" in kind
    }
    return table.mutate(**known) if known else table


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def _without_login(text: str) -> str:
    """A text without the logins and queries of addresses in it.

    >>> _without_login("to postgres://me:pa@ss@host:5432/db?token=x failed")
    'to postgres://...@host:5432/db?... failed'
    """
    return re.sub(r"(://[^\s?]*)\?\S+", r"\1?...", re.sub(r"://\S*@", "://...@", text))


@contextmanager
def open_engine(url: str, table: str) -> Iterator[Source]:
    """A table of an engine: `url` as Ibis takes it, such as `duckdb://file`, `pyspark://` or `bigquery://project`.

    Raises
    ------
    InputError
        If the engine cannot be reached or has no such table.
    """
    import ibis

    if "://" not in url:
        url += "://"
    try:
        backend = ibis.connect(url)
        found: ir.Table = backend.table(table)
    except Exception as error:  # each engine has errors of its own
        shown, lines = _without_login(url), str(error).splitlines() or [type(error).__name__]
        said = _without_login(lines[0].replace(url, shown))[:160]
        raise InputError.at("--engine", f"table {table!r} cannot be reached: {said}", value=shown) from None
    try:
        yield Source(table, backend, found, (found,))
    finally:
        backend.disconnect()
