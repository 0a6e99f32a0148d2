"""Write a table into a workspace, the same bytes for the same rows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd

from aifactory.inputs.guard import guarded

#: Tables of free text that people open in a spreadsheet program.
GUARDED = ("use_cases", "use_case_candidates")


def write_table(table: pd.DataFrame, name: str, folder: Path, *, suffix: str = ".csv") -> Path:
    """Write `<folder>/<name><suffix>`: `.csv` that a person can open, `.csv.gz`, or `.parquet` for long tables.

    Times are written in UTC with Z; columns without any value are left out of CSV files. Money is text in
    both, digit by digit as it is. Text of use cases that a spreadsheet program would take for a formula gets
    an apostrophe, which reading takes off again.
    """
    path = folder / f"{name}{suffix}"
    if suffix == ".parquet":
        exact = {column: table[column].map(str, na_action="ignore").astype("str") for column in _money(table)}
        table.assign(**exact).to_parquet(path, compression="zstd", index=False)
        return path
    times = {column: _utc_text(table[column]) for column in table.select_dtypes("datetimetz")}
    dates = {column: table[column].dt.strftime("%Y-%m-%d") for column in table.select_dtypes("datetime")}
    filled = table.assign(**times, **dates)
    if name in GUARDED:
        filled = filled.assign(
            **{column: guarded(filled[column]) for column in filled.select_dtypes(["str", "object"])}
        )
    used = [column for column in filled if filled[column].notna().any()] or list(filled)
    zipped = {"method": "gzip", "mtime": 0} if suffix.endswith(".gz") else None
    filled[used].to_csv(path, index=False, lineterminator="\n", compression=zipped)
    return path


def _money(table: pd.DataFrame) -> list[str]:
    objects = [column for column in table if table[column].dtype == object]
    return [column for column in objects if isinstance(_first_known(table[column]), Decimal)]


def _first_known(values: pd.Series) -> object:
    """First value that is not missing; None where all are."""
    position = values.first_valid_index()
    return None if position is None else values[position]


def _utc_text(times: pd.Series) -> pd.Series:
    """ISO 8601 in UTC; microseconds only where a time has them."""
    whole = (times.dropna().dt.microsecond == 0).all()
    return times.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ" if whole else "%Y-%m-%dT%H:%M:%S.%fZ")
