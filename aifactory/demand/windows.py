"""Demand per window, of any trace that the importers know or of a series `ds,y`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.demand.series import LARGEST, MISSING, fill_missing, named_rows, parse_stamps
from aifactory.errors import InputError
from aifactory.inputs.importers.traces import detect_trace
from aifactory.inputs.importers.traces.common import Found
from aifactory.inputs.tables import read_text

MEASURES = ("requests", "tokens")
MOST_WINDOWS = 2_000_000
MOST_MISSING = 0.5


@dataclass(frozen=True)
class Demand:
    """Demand per window, oldest first, without gaps; `unit` says what is counted in each window."""

    values: np.ndarray
    window: pd.Timedelta
    unit: str
    source: str
    warnings: tuple[str, ...]


def read_demand(path: Path, window: pd.Timedelta, measure: str = "requests", workload: str = "") -> Demand:
    """Read a file as demand per window.

    Requests and tokens are counted by arrival, from the first one on; the last window, seen in part,
    is left out. Jobs count the accelerators in use on average in each window. A series counts `y`; its
    missing stamps are filled and named. Windows shorter than those of the file are refused.

    Parameters
    ----------
    workload : of a trace of several (client rates by model); without it they are added up.

    Raises
    ------
    InputError
        If the file cannot be read or cannot be counted in such windows.
    """
    path = Path(path)
    if window <= pd.Timedelta(0):
        raise InputError.at("--window", "must be longer than nothing", value=str(window))
    if measure not in MEASURES:
        raise InputError.at("--measure", "cannot be counted.", value=measure, choices=MEASURES)
    fits = detect_trace(path)
    if fits.name.startswith("series"):
        return _of_series(path, window)
    found = fits.read(path)
    notes = [f"{text} ({rows:,} rows)" for text, rows in found.warnings]
    notes += [f"left out: {reason} ({rows:,} rows)" for reason, rows in found.left_out.items()]
    second = _seconds(found)
    if fits.table == "jobs":
        return Demand(_in_use(found, second, window), window, "accelerators in use", fits.name, tuple(notes))
    if fits.table == "demand_windows":
        return _of_windows(path, found, window, measure, workload, fits.name, notes)
    weight = np.ones(len(second))
    if measure == "tokens":
        weight = sum(_tokens(path, found, name) for name in ("input_tokens", "output_tokens"))
    values = _counted(path, second, weight, window)
    return Demand(values[:-1], window, measure, fits.name, tuple(notes))


def _seconds(found: Found) -> np.ndarray:
    arrival = found.rows["arrival"]
    since = arrival - arrival.min()
    return (since / pd.Timedelta(seconds=1) if found.dated else since).to_numpy(dtype=float, na_value=np.nan)


def _tokens(path: Path, found: Found, name: str) -> np.ndarray:
    if name not in found.rows:
        raise InputError.at(path.name, "the trace has no tokens; count requests", column=name)
    return found.rows[name].fillna(0).to_numpy(dtype=float)


def _counted(path: Path, second: np.ndarray, weight: np.ndarray, window: pd.Timedelta) -> np.ndarray:
    known = np.isfinite(second)
    place = np.floor(second[known] / window.total_seconds() + 1e-9)
    if len(place) and place.max() >= MOST_WINDOWS:
        raise InputError.at(path.name, f"holds more than {MOST_WINDOWS:,} windows of {window}: take longer ones")
    return np.bincount(place.astype("int64"), weights=weight[known])


def _in_use(found: Found, second: np.ndarray, window: pd.Timedelta) -> np.ndarray:
    """Accelerators in use on average per window, from the first start to the last submission."""
    rows, step = found.rows, window.total_seconds()
    start = second + rows["waited_s"].fillna(0).to_numpy(dtype=float)
    ran = rows["ran_s"].fillna(0).to_numpy(dtype=float)
    count = rows["accelerators"].to_numpy(dtype=float)
    known = np.isfinite(start)
    edges = np.arange(0, np.nanmax(second) + 1e-9, step)
    integral = np.zeros(len(edges))
    for moment, sign in ((start, 1.0), (start + ran, -1.0)):
        order = np.argsort(moment[known], kind="stable")
        at, weight = moment[known][order], sign * count[known][order]
        seen = np.searchsorted(at, edges, side="right")
        total = np.concatenate([[0.0], np.cumsum(weight)])
        integral += edges * total[seen] - np.concatenate([[0.0], np.cumsum(weight * at)])[seen]
    return np.maximum(np.diff(integral) / step, 0.0)


def _of_windows(
    path: Path, found: Found, window: pd.Timedelta, measure: str, workload: str, source: str, notes: list[str]
) -> Demand:
    rows = found.rows
    names = sorted(rows["workload"].astype("str").unique())
    if workload:
        if workload not in names:
            raise InputError.at("--workload", "is not in the trace.", value=workload, choices=names)
        rows = rows[rows["workload"].astype("str") == workload]
    elif len(names) > 1:
        notes = [*notes, f"{', '.join(names)} are added up; --workload plans one of them"]
    own = pd.Timedelta(minutes=float(rows["window_minutes"].iloc[0]))
    ratio = _whole_ratio(path, own, window)
    weight = (
        rows["requests"] if measure == "requests" else rows["input_tokens"].fillna(0) + rows["output_tokens"].fillna(0)
    )
    second = _seconds(Found(rows.reset_index(drop=True), len(rows)))
    values = _counted(path, second, weight.to_numpy(dtype=float), own)
    return Demand(_added(values, ratio), window, measure, source, tuple(notes))


def _of_series(path: Path, window: pd.Timedelta) -> Demand:
    text, _ = read_text(path)
    stamps = parse_stamps(path.name, text["ds"])
    words = text["y"].astype("str").str.strip()
    empty = words.isin(MISSING) | text["y"].isna()
    values = pd.to_numeric(words.mask(empty), errors="coerce")
    bad = ~empty & ~((values >= 0) & (values <= LARGEST))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError.at(
            path.name, "demand must be a number, 0 or more", row=row + 2, column="y", value=words.iloc[row]
        )
    notes = [] if stamps.is_monotonic_increasing else ["stamps are not in order: sorted"]
    double = stamps[stamps.duplicated()].index + 2
    if len(double):
        notes.append(f"stamps given before in {named_rows(double)}: the mean of each stamp counts")
    merged = values.groupby(stamps).mean()
    if len(merged) < 2:
        raise InputError.at(path.name, f"holds {len(merged)} stamp(s); a step cannot be seen")
    own = pd.Series(merged.index).diff().mode().iloc[0]
    if (merged.index[-1] - merged.index[0]) / own > MOST_WINDOWS:
        raise InputError.at(path.name, f"spans more than {MOST_WINDOWS:,} steps of {own}")
    grid = merged.reindex(pd.date_range(merged.index[0], merged.index[-1], freq=own))
    missing = grid.isna().to_numpy()
    if missing.mean() > MOST_MISSING:
        raise InputError.at(
            path.name, f"{int(missing.sum()):,} of {len(grid):,} stamps a step of {own} apart are missing"
        )
    if missing.any():
        notes.append(
            f"{int(missing.sum()):,} stamps are missing, the first is {grid.index[missing][0]}: filled from the day before"
        )
    filled = fill_missing(grid.to_numpy(dtype=float), max(int(pd.Timedelta(days=1) / own), 1))
    return Demand(_added(filled, _whole_ratio(path, own, window)), window, "y", "series ds,y", tuple(notes))


def _whole_ratio(path: Path, own: pd.Timedelta, window: pd.Timedelta) -> int:
    ratio = window / own
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
        raise InputError.at(
            path.name, f"the file counts in windows of {own}; take these or a multiple with --window", value=str(window)
        )
    return round(ratio)


def _added(values: np.ndarray, ratio: int) -> np.ndarray:
    """Sums of `ratio` windows each, from the first on; a last one in part is left out."""
    whole = len(values) // ratio * ratio
    return values[:whole].reshape(-1, ratio).sum(axis=1)
