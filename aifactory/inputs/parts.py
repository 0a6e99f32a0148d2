"""Tables kept in parts: a folder `demand_windows/` of one Parquet file a day, to which a new delivery adds days."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.aggregate.tables import KEYS, add_histograms
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.hold import Exchange, exchange
from aifactory.inputs.tenants import add_tenant_usage

WINDOWS, HISTOGRAMS, TENANTS = "demand_windows", "latency_histograms", "tenant_usage"
PARTED = (WINDOWS, HISTOGRAMS, TENANTS)
#: How parts that hold rows of the same key add up.
_ADDED = {HISTOGRAMS: add_histograms, TENANTS: add_tenant_usage}
SUFFIX = ".parquet"


def part_files(folder: Path) -> list[Path]:
    """Files of a table in parts, by name; links and other files are refused."""
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in found:
        if path.is_symlink() or not path.is_file() or path.suffix != SUFFIX:
            raise InputError.at(f"{folder.name}/{path.name}", "is no part of this table; a part is a Parquet file")
    return found


def read_parts(folder: Path) -> pd.DataFrame:
    """All parts as one table; counts of the same bucket or tenant in several parts are added."""
    from pyarrow import Table, concat_tables, lib, parquet

    files = part_files(folder)
    if not files:
        return load_contract(folder.name).empty()
    try:
        parts: list[Table] = [parquet.read_table(path) for path in files]
        table = concat_tables(parts, promote_options="permissive").to_pandas(ignore_metadata=True)
    except (lib.ArrowException, OSError) as error:
        raise InputError.at(
            folder.name, f"holds a part that cannot be read: {str(error).splitlines()[0][:120]}"
        ) from None
    contract = load_contract(folder.name)
    key = list(contract.primary_key)
    whole = set(contract.columns) <= set(table.columns) and not table[key].isna().any(axis=None)
    return _ADDED[folder.name](table) if whole and folder.name in _ADDED else table


def add_parts(
    workspace: Path, windows: pd.DataFrame, *by_day: pd.DataFrame, replace: bool = False, change: Exchange | None = None
) -> str:
    """Add days to the parts of a workspace; what other days hold is neither read nor written.

    A day of a use case and region is one delivery: all of its files take their places together, those of all days
    too, and with the other files of an exchange where one is given.

    Parameters
    ----------
    windows : columns of `demand_windows`.
    by_day : columns of `latency_histograms`, and those of `tenant_usage`, each with `day`.

    Raises
    ------
    InputError
        If windows of the same use case, region and day are there already and `replace` is not set.
    """
    days = windows["window_start_utc"].dt.strftime("%Y-%m-%d")
    plan = {day: _held(workspace, WINDOWS, day) for day in sorted(days.unique())}
    for day, held in plan.items():
        again = _same(held, windows[days == day])
        if again.any() and not replace:
            first = ", ".join(held.loc[again, KEYS].iloc[0])
            rule = f"already holds {int(again.sum()):,} rows of this delivery ({first}); --replace puts the new ones in their place"
            raise InputError.at(f"{WINDOWS}/{day}{SUFFIX}", rule)
    with nullcontext(change) if change else exchange(workspace) as among:
        for day, held in plan.items():
            mine = windows[days == day]
            for name, rows in zip((HISTOGRAMS, TENANTS), by_day, strict=False):
                before = _held(workspace, name, day)
                counts = rows.loc[rows["day"] == day, load_contract(name).columns]
                if len(before) or len(counts):
                    _put(among, name, day, _joined(before[~_same(before, mine)], counts))
            _put(among, WINDOWS, day, _joined(held[~_same(held, mine)], mine))
    return f"{WINDOWS}/"


def part_tables(workspace: Path) -> None:
    """Turn tables that are single files into tables in parts: windows by day, the others by month."""
    from aifactory.inputs.problems import raise_problems
    from aifactory.inputs.tables import SUFFIXES, read_table

    for name in PARTED:
        files = [workspace / f"{name}{suffix}" for suffix in SUFFIXES if (workspace / f"{name}{suffix}").is_file()]
        for path in files[:1]:
            read = read_table(path, load_contract(name))
            raise_problems(path.name, read.problems)
            table = read.frame
            span = table["window_start_utc"].dt.strftime("%Y-%m-%d") if name == WINDOWS else table["month"]
            with exchange(workspace) as among:
                for part, rows in table.groupby(span):
                    _put(among, name, str(part), rows.reset_index(drop=True))
                among.drop(path)


def _held(workspace: Path, name: str, part: str) -> pd.DataFrame:
    path = workspace / name / f"{part}{SUFFIX}"
    return pd.read_parquet(path) if path.is_file() else load_contract(name).empty()


def _same(held: pd.DataFrame, new: pd.DataFrame) -> pd.Series:
    """Rows of workloads that the new rows hold too."""
    return pd.Series(pd.MultiIndex.from_frame(held[KEYS]).isin(pd.MultiIndex.from_frame(new[KEYS])), index=held.index)


def _joined(held: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([held, new], ignore_index=True) if len(held) else new.reset_index(drop=True)


def _put(among: Exchange, name: str, part: str, rows: pd.DataFrame) -> None:
    """Write aside, to take the place of the old part."""
    written = among.building / f"{name}-{part}{SUFFIX}"
    rows.to_parquet(written, compression="zstd", index=False)
    among.place(written, among.folder / name / f"{part}{SUFFIX}")
