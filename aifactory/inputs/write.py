"""Write a table into a workspace, the same bytes for the same rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def write_table(table: pd.DataFrame, name: str, folder: Path, *, suffix: str = ".csv") -> Path:
    """Write `<folder>/<name><suffix>`: `.csv` that a person can open, `.csv.gz`, or `.parquet` for long tables.

    Times are written in UTC with Z; columns without any value are left out of CSV files.
    """
    path = folder / f"{name}{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path, compression="zstd", index=False)
        return path
    times = {column: _utc_text(table[column]) for column in table.select_dtypes("datetimetz")}
    dates = {column: table[column].dt.strftime("%Y-%m-%d") for column in table.select_dtypes("datetime")}
    filled = table.assign(**times, **dates)
    used = [column for column in filled if filled[column].notna().any()] or list(filled)
    zipped = {"method": "gzip", "mtime": 0} if suffix.endswith(".gz") else None
    filled[used].to_csv(path, index=False, lineterminator="\n", compression=zipped)
    return path


def _utc_text(times: pd.Series) -> pd.Series:
    """ISO 8601 in UTC; microseconds only where a time has them."""
    whole = (times.dropna().dt.microsecond == 0).all()
    return times.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ" if whole else "%Y-%m-%dT%H:%M:%S.%fZ")
