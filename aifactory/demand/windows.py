"""Demand per window, of any trace that the importers know or of a series `ds,y`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.demand.series import MONTH, is_separated_series, is_utf16, is_workbook, on_grid, series_rows, span
from aifactory.demand.stamps import refuse
from aifactory.errors import InputError
from aifactory.inputs.importers.traces import detect_trace
from aifactory.inputs.importers.traces.common import Found, trace_contract, typed_rows
from aifactory.inputs.importers.traces.formats import refuse_part, sniff
from aifactory.units import percent

MEASURES = ("requests", "tokens")
MOST_WINDOWS = 2_000_000
#: Least share of the steps that the commonest has, so that it is one.
LEAST_REGULAR = 0.2
#: Rates of a gateway over time, and which of its rows are all of its requests: the others are parts of them by container.
GATEWAY = trace_contract("gentd26_gateway_rates", {"timestamp_anon": "number", "value": "number", "request_type": "string"})  # fmt: skip
ALL_REQUESTS = "API Requests"
SCALED = "rates are scaled by their publisher: shares and the reserve hold, capacity is on that scale"
NO_TOKENS = "--measure tokens does not apply: {}"


@dataclass(frozen=True)
class Demand:
    """Demand per window, oldest first, without gaps; `unit` says what is counted in each window.

    `rows` names the last row of the file in each window, 0 for filled ones; None where rows are single events.
    """

    values: np.ndarray
    window: pd.Timedelta
    unit: str
    source: str
    warnings: tuple[str, ...]
    rows: np.ndarray | None = None


def read_demand(path: Path, window: pd.Timedelta, measure: str = "requests", workload: str = "") -> Demand:
    """Read a file as demand per window.

    Requests and tokens are counted by arrival, from the first one on; the last window, seen in part,
    is left out. Jobs count the accelerators in use on average in each window. A series counts `y`, on the
    terms of `aifactory.demand.series`. Rates of a gateway count on whatever scale they are (`_of_rates`). Windows shorter than those of the file are refused.

    Parameters
    ----------
    workload : of a trace of several. Without it client rates are added up; a file of several series is refused.

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
    if path.is_file() and (is_workbook(path) or is_utf16(path) or is_separated_series(path)):
        return _of_series(path, window, measure, workload)
    if path.is_file() and (found_in := sniff(path))[0] == "columns":
        refuse_part(path.name, found_in[1], "series", ("ds", "y"))
        if {field.name for field in GATEWAY.fields} <= set(found_in[1]):
            return _of_rates(path, window, measure)
    fits = detect_trace(path)
    if fits.name.startswith("series"):
        return _of_series(path, window, measure, workload)
    found = fits.read(path)
    notes = [f"{text} ({rows:,} rows)" for text, rows in found.warnings]
    notes += [f"left out: {reason} ({rows:,} rows)" for reason, rows in found.left_out.items()]
    second = _seconds(found)
    if fits.table == "jobs":
        notes += [NO_TOKENS.format("jobs count accelerators in use")] if measure == "tokens" else []
        return Demand(_in_use(found, second, window), window, "accelerators in use", fits.name, tuple(notes))
    if fits.table == "demand_windows":
        return _of_windows(path, found, window, measure, workload, fits.name, notes)
    weight = np.ones(len(second))
    if measure == "tokens":
        weight = _tokens(path, found.rows)
    values = _counted(path, second, weight, window)
    if len(values) == 1:
        spans = span(pd.Timedelta(seconds=round(float(np.nanmax(second)), 3)))
        raise InputError.at(
            path.name, f"spans {spans}, not one whole window: give a shorter --window", value=span(window)
        )
    return Demand(values[:-1], window, measure, fits.name, tuple(notes))


def _seconds(found: Found) -> np.ndarray:
    arrival = found.rows["arrival"]
    since = arrival - arrival.min()
    return (since / pd.Timedelta(seconds=1) if found.dated else since).to_numpy(dtype=float, na_value=np.nan)


def _tokens(path: Path, rows: pd.DataFrame) -> np.ndarray:
    """Tokens of each row, none where they are unknown; a trace without any known of a request is refused."""
    tokens = rows.reindex(columns=["input_tokens", "output_tokens"]).astype("float64")
    asked = rows["requests"] > 0 if "requests" in rows else np.ones(len(rows), dtype=bool)
    if not tokens[asked].notna().any(axis=None):
        raise InputError.at(path.name, "the trace has no tokens; count requests", column="input_tokens")
    return tokens.fillna(0).sum(axis=1).to_numpy()


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
    weight = rows["requests"].to_numpy(dtype=float) if measure == "requests" else _tokens(path, rows)
    second = _seconds(Found(rows.reset_index(drop=True), len(rows)))
    values = _counted(path, second, weight, own)
    return Demand(_added(values, ratio), window, measure, source, tuple(notes))


def _of_series(path: Path, window: pd.Timedelta, measure: str, workload: str) -> Demand:
    """A series on the grid of its commonest step; repairs and refusals are those of `aifactory.demand.series`."""
    part, told = series_rows(path, daily=False)
    told += (NO_TOKENS.format("a series counts what y is"),) if measure == "tokens" else ()
    names = list(part["name"].unique())
    if workload or len(names) > 1:
        if workload not in names:
            raise InputError.at(
                path.name, f"holds {len(names)} series: plan one with --workload", column="unique_id", value=workload or None, choices=names
            )  # fmt: skip
        part = part[part["name"] == workload]
    stamps = pd.Series(part["ds"].sort_values().unique())
    if len(stamps) < 2:
        raise InputError.at(
            path.name, f"holds {len(stamps)} stamp{'s' if len(stamps) > 1 else ''}; a step cannot be seen"
        )
    own = _own_step(path, stamps)
    if (stamps.iloc[-1] - stamps.iloc[0]) / own > MOST_WINDOWS:
        raise InputError.at(path.name, f"spans more than {MOST_WINDOWS:,} steps of {span(own)}")
    if (part["y"] < 0).any():
        row = part[part["y"] < 0].iloc[0]
        raise InputError.at(path.name, "demand must be 0 or more", row=int(row["row"]), column="y", value=str(row["y"]))
    found = on_grid(
        path.name, str(part["name"].iloc[0]), part, own, 12 if own == MONTH else max(int(pd.Timedelta(days=1) / own), 1)
    )
    ratio = _whole_ratio(path, own, window)
    rows = found.rows[: len(found.rows) // ratio * ratio].reshape(-1, ratio).max(axis=1)
    return Demand(_added(found.values, ratio), window, "y", "series ds,y", (*told, *found.warnings), rows)


def _of_rates(path: Path, window: pd.Timedelta, measure: str) -> Demand:
    """Rates of a gateway: their mean in each window times its seconds. The scale is the publisher's, which no share depends on.

    The last window, seen in part, is left out. Source: alibaba/clusterdata, cluster-trace-v2026-GenAI.
    """
    rows, told = typed_rows(path, GATEWAY)
    for column in ("timestamp_anon", "value"):
        numbers = rows[column].to_numpy(dtype=float, na_value=np.nan)
        bad = pd.Series(~(np.isfinite(numbers) & (numbers >= 0)))
        refuse(path.name, column, rows[column], bad, "must be a number, 0 or more")
    rows = rows.assign(row=np.arange(len(rows)) + 2)[rows["request_type"] == ALL_REQUESTS]
    if rows.empty:
        raise InputError.at(path.name, f"holds no rows of all requests ({ALL_REQUESTS})", column="request_type")
    second = rows["timestamp_anon"].to_numpy(dtype=float)
    place = np.floor((second - second.min()) / window.total_seconds() + 1e-9)
    if place.max() < 2 or place.max() > MOST_WINDOWS:
        spans = span(pd.Timedelta(seconds=round(float(np.ptp(second)), 3)))
        raise InputError.at(path.name, f"spans {spans}: take a --window with two to {MOST_WINDOWS:,} of them", value=span(window))  # fmt: skip
    part = pd.DataFrame({"ds": pd.Timestamp(0) + place * window, "y": rows["value"].to_numpy(dtype=float), "row": rows["row"].to_numpy()})  # fmt: skip
    part = part.groupby("ds", as_index=False).agg(y=("y", "mean"), row=("row", "max"))
    found = on_grid(path.name, ALL_REQUESTS, part, window, max(int(pd.Timedelta(days=1) / window), 1))
    notes = [SCALED, *(f"{text} ({count:,} rows)" for text, count in told), *found.warnings]
    notes += [NO_TOKENS.format("the file has rates of requests")] if measure == "tokens" else []
    values = found.values[:-1] * window.total_seconds()
    return Demand(values, window, "requests, scaled", "GenTD26 gateway rates", tuple(notes))


def _own_step(path: Path, stamps: pd.Series) -> pd.Timedelta:
    """The commonest step of sorted stamps; a month where they are that far apart."""
    steps = stamps.diff().dropna()
    own = steps.mode().iloc[0]
    if steps.between(pd.Timedelta(days=28), pd.Timedelta(days=31)).mean() > 0.5 and steps.min() < steps.max():
        return MONTH
    if (steps == own).mean() < LEAST_REGULAR:
        rule = f"stamps follow no step (the commonest, {span(own)}, is {percent((steps == own).mean())} of them): count them in even windows first"
        raise InputError.at(path.name, rule, column="ds")
    return own


def _whole_ratio(path: Path, own: pd.Timedelta, window: pd.Timedelta) -> int:
    ratio = window / own
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
        raise InputError.at(
            path.name,
            f"the file counts in windows of {span(own)}; take these or a multiple with --window",
            value=span(window),
        )
    return round(ratio)


def _added(values: np.ndarray, ratio: int) -> np.ndarray:
    """Sums of `ratio` windows each, from the first on; a last one in part is left out."""
    whole = len(values) // ratio * ratio
    return values[:whole].reshape(-1, ratio).sum(axis=1)
