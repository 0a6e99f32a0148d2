"""Put imported rows into a workspace: appended, never doubled, never half written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.aggregate.tables import Aggregates
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.hold import Exchange, exchange
from aifactory.inputs.months import month_of
from aifactory.inputs.parts import PARTED, add_parts, part_files, part_tables
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import read_table, read_text
from aifactory.inputs.workspace import table_file
from aifactory.inputs.write import write_table

#: What one delivery is: rows that agree in these are the same delivery, imported again.
DELIVERY = {"billing": ["ProviderName", "BillingAccountId", "invoice_month"], "requests": ["use_case_id", "day"], "demand_windows": ["use_case_id", "region", "day"],
            "benchmarks": ["file_sha256"], "jobs": ["use_case_id", "day"], "pools": ["pool_id", "day"], "latency_bounds": ["use_case_id", "region", "day"]}  # fmt: skip


def add_rows(
    workspace: Path, name: str, rows: pd.DataFrame, *, replace: bool = False, suffix: str = ".csv",
    change: Exchange | None = None,
) -> Path:  # fmt: skip
    """Append rows to a table of a workspace, at once or with the other files of an exchange.

    Raises
    ------
    InputError
        If the folder is no workspace, or if the table already holds rows of the same delivery (a bill
        of one provider, account and month; one use case and day) and `replace` is not set; or if a bill of several
        months has less than half the rows of one that is held: late lines would take the place of the whole month.
    """
    require_workspace(workspace)
    if name in PARTED and (workspace / name).is_dir():
        return workspace / add_parts(workspace, rows, replace=replace, change=change)
    held_file = table_file(workspace, name)
    held = _held(held_file, name)
    again = _delivery(held, name).isin(_delivery(rows, name).unique()) if len(held) else pd.Series(dtype=bool)
    if again.any() and name == "billing":
        _refuse_remnants(held_file.name, _delivery(held[again], name), _delivery(rows, name))
    if again.any() and not replace:
        first = ", ".join(_delivery(held[again], name).iloc[0])
        rule = f"already holds {int(again.sum()):,} rows of this delivery ({first}); --replace puts the new ones in their place"
        if name == "billing":
            rule += "; actual and amortised export of a month are one delivery: keep the amortised one, whose use of commitments has its cost"
        if name == "requests":
            rule += "; where two instruments saw the same calls, one of them is enough"
        raise InputError.at(held_file.name, rule)
    kept = held[~again] if len(held) else held
    both = pd.concat([kept, rows], ignore_index=True) if len(kept) else rows
    return _swap(workspace, held_file, name, both, suffix, change)


def _refuse_remnants(file: str, held: pd.Series, new: pd.Series) -> None:
    """Refuse a file of several bills that would replace one of them by a few late lines of it."""
    counts = new.value_counts()
    for delivery, number in held.value_counts().items():
        if len(counts) > 1 and counts[delivery] * 2 < number:
            rule = (
                f"holds {number:,} rows of {', '.join(delivery)}, the new file of several months only {counts[delivery]:,} of them: "
                f"late lines would take the place of the whole month; import the complete export of {delivery[-1]} by itself "
                "with --replace, and the other months without these lines"
            )
            raise InputError.at(file, rule)


def append_rows(workspace: Path, name: str, rows: pd.DataFrame) -> Path:
    """Append rows to a table that keeps its history; nothing held is changed."""
    require_workspace(workspace)
    held_file = table_file(workspace, name)
    held = _held(held_file, name)
    both = pd.concat([held, rows], ignore_index=True) if len(held) else rows
    suffix = next((end for end in (".csv.gz", ".parquet") if held_file and held_file.name.endswith(end)), ".csv")
    return _swap(workspace, held_file, name, both, suffix)


def deliveries(rows: pd.DataFrame, name: str) -> list[tuple[str, ...]]:
    """The deliveries that rows belong to, in the order of the rows."""
    return list(_delivery(rows, name).unique())


def held_rows(workspace: Path, name: str) -> pd.DataFrame:
    """Rows that a table of a workspace holds; none without a file."""
    return _held(table_file(workspace, name), name)


def held_use_cases(workspace: Path, name: str) -> set[str]:
    """Use cases of a table of a workspace; of Parquet only their column is read."""
    path = table_file(workspace, name)
    if path is None:
        return set()
    if path.is_dir() or path.name.endswith(".parquet"):
        from pyarrow import parquet

        files = part_files(path) if path.is_dir() else [path]
        columns = (parquet.read_table(file, columns=["use_case_id"])["use_case_id"] for file in files)
        return {use_case for column in columns for use_case in column.unique().to_pylist()}
    return set(held_rows(workspace, name)["use_case_id"])


def add_aggregates(workspace: Path, found: Aggregates, *, replace: bool = False) -> str:
    """Add windows, histograms and use by tenant as parts by day; earlier days are not read again."""
    require_workspace(workspace)
    part_tables(workspace)
    return add_parts(workspace, found.windows, found.histograms, found.tenants, replace=replace)


def require_workspace(folder: Path, option: str = "--into") -> None:
    """Refuse a folder without plan.yaml, which `option` named."""
    if not (folder / "plan.yaml").is_file():
        raise InputError.at(
            option, "is not a workspace (no plan.yaml); make one with `aifactory new`", value=str(folder)
        )


def _held(path: Path | None, name: str) -> pd.DataFrame:
    if path is None:
        return load_contract(name).empty()
    read = read_table(path, load_contract(name), amounts_as_text=True)
    raise_problems(path.name, read.problems)
    text, _ = read_text(path)
    return read.frame.assign(**{column: text[column] for column in text if column.startswith("x_")})


def _delivery(rows: pd.DataFrame, name: str) -> pd.Series:
    time = {
        "billing": "BillingPeriodStart",
        "requests": "timestamp_utc",
        "demand_windows": "window_start_utc",
        "benchmarks": "as_of",
        "jobs": "submitted_utc",
        "pools": "window_start_utc",
        "latency_bounds": "window_start_utc",
    }[name]
    marks = rows.assign(invoice_month=month_of(rows[time]), day=rows[time].dt.strftime("%Y-%m-%d"))
    texts: Sequence[pd.Series] = [
        marks[column].fillna("").astype("str") if column in marks else pd.Series("", index=rows.index)
        for column in DELIVERY[name]
    ]
    return pd.Series(list(zip(*texts, strict=True)), index=rows.index, dtype="object")


def _swap(
    workspace: Path, held: Path | None, name: str, rows: pd.DataFrame, suffix: str, change: Exchange | None = None
) -> Path:
    """Write aside, to take the place of the old file."""
    with nullcontext(change) if change else exchange(workspace) as among:
        written = write_table(rows, name, among.building, suffix=suffix)
        target = among.place(written, workspace / written.name)
        if held and held != target:
            among.drop(held)
    return target
