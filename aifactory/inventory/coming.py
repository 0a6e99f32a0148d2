"""Requests of a month to come, for the serving engine: the forecast's volume with measured hours, minutes and lengths.

    requests of an hour = units of the month x shape of the hour x requests per unit

where the shape is that of the week, as far as a season is proven (`aifactory.demand.shapes`). Within an hour the rate
of each minute varies so that counts per minute have the dispersion measured within past hours, and the requests of a
minute fall into its seconds with that measured within past minutes. Lengths are those of the month's histograms, prompt
and answer paired with their measured correlation, else drawn apart (it was below 0.08 in three public traces), times
the growth of a unit's size that the forecast holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.demand.lengths import paired
from aifactory.demand.profile import hourly_series, since_as_fine
from aifactory.demand.shapes import units_by_hour, week_shape
from aifactory.errors import InputError
from aifactory.inputs.telemetry import bucket_value
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.build import Inventory
from aifactory.inventory.chains import stated_lengths
from aifactory.serving.arrivals import stream_from_profile
from aifactory.serving.fleet import RequestStream
from aifactory.serving.staffing_fit import DISPERSION
from aifactory.units import SCENARIOS, SECONDS_PER_HOUR, counted

#: Lengths drawn from each histogram, at even ranks.
LENGTHS = 2000
MOST_REQUESTS = 5_000_000


@dataclass(frozen=True)
class ComingRequests:
    """Requests of the busiest hours of a month to come, and what they rest on."""

    stream: RequestStream
    first_hour_utc: pd.Timestamp
    requests_per_hour: np.ndarray  # expected, by hour
    dispersion: float  # variance over mean of the counts per minute within an hour
    second_dispersion: float  # of the counts per second within a minute
    length_correlation: float  # of the logarithms of prompt and answer length; NaN not measured: drawn apart
    notes: tuple[str, ...]


def coming_requests(
    ws: Workspace, inventory: Inventory, use_case: str, region: str, month: str, scenario: str = "expected",
    hours: int = 24, seed: int = 0,
) -> ComingRequests:  # fmt: skip
    """Draw the requests of the `hours` consecutive hours of a month that hold most, under a scenario.

    Raises
    ------
    InputError
        If the forecast does not hold the cell, the hours do not fit the month, or nothing says how long requests are.
    """
    row = _cell(inventory.forecast, use_case, region, month, scenario)
    shape, bursts, notes = _shape(inventory, use_case, region)
    units = units_by_hour(float(row["units"]), shape, month)
    if not 1 <= hours <= len(units):
        raise InputError.at("hours", f"must be 1 to {len(units)}, the hours of {month}", value=hours)
    per_unit, told = _requests_per_unit(ws, inventory, use_case, region)
    expected = units * per_unit
    first = int(np.convolve(expected, np.ones(hours), "valid").argmax())
    chosen = expected[first : first + hours]
    if chosen.sum() > MOST_REQUESTS:
        rule = f"hold {chosen.sum():,.0f} requests, {MOST_REQUESTS:,} can be drawn: take fewer hours"
        raise InputError.at("hours", rule, value=hours)
    sizes, missing = _lengths(ws, use_case)
    inputs, outputs = (np.maximum(np.rint(size * float(row["size"])), 1).astype("int64") for size in sizes)
    outputs = paired(inputs, outputs, bursts.length_correlation, seed)
    stream = stream_from_profile(
        chosen, SECONDS_PER_HOUR, inputs, outputs, dispersion=bursts.minute, second_dispersion=bursts.second, seed=seed
    )
    start = pd.Timestamp(f"{month}-01", tz="UTC") + pd.Timedelta(hours=first)
    return ComingRequests(
        stream, start, chosen, bursts.minute, bursts.second, bursts.length_correlation, (*notes, *told, *missing)
    )


def _cell(forecast: pd.DataFrame, use_case: str, region: str, month: str, scenario: str) -> pd.Series:
    rows = forecast
    wanted = {"scenario": scenario, "use_case_id": use_case, "region": region, "month": month}
    for column, value in wanted.items():
        choices = SCENARIOS if column == "scenario" else sorted(rows[column].unique())
        rows = rows[rows[column] == value]
        if rows.empty:
            raise InputError.at("forecast", "holds no such demand.", column=column, value=value, choices=choices)
    return rows.iloc[0]


@dataclass(frozen=True)
class _Bursts:
    """Dispersion of minutes within hours and of seconds within minutes, and how long prompts get long answers."""

    minute: float = DISPERSION
    second: float = 1.0
    length_correlation: float = np.nan


def _shape(inv: Inventory, use_case: str, region: str) -> tuple[np.ndarray, _Bursts, list[str]]:
    """Shape of the week and bursts within an hour, with what had to be assumed."""
    windows = inv.windows
    mine = since_as_fine(windows[(windows["use_case_id"] == use_case) & (windows["region"] == region)])
    profile = inv.demand_profile
    known = profile[(profile["use_case_id"] == use_case) & (profile["region"] == region)]
    notes = []
    if mine.empty or known.empty:
        return np.ones(168), _Bursts(), ["nothing was measured: all hours alike, minutes as in `serving.staffing`"]
    season = known.iloc[0]
    hourly = hourly_series(mine).where(lambda load: load > 0) if not season["outage_hours"] else hourly_series(mine)
    shape = week_shape(hourly, daily=bool(season["daily_season"]), weekly=bool(season["weekly_season"]))
    if not (season["daily_season"] or season["weekly_season"]):
        notes.append("no season of the day or week is proven: all hours alike")
    dispersion = float(season["dispersion_minute"])
    if np.isnan(dispersion):
        notes.append(
            f"no counts per minute: a variance of {DISPERSION:g} times the mean is assumed (`serving.staffing`)"
        )
        dispersion = DISPERSION
    second = float(season["dispersion_second"])
    return (
        shape,
        _Bursts(max(dispersion, 1.0), max(second, 1.0) if second > 0 else 1.0, float(season["length_correlation"])),
        notes,
    )


def _requests_per_unit(ws: Workspace, inv: Inventory, use_case: str, region: str) -> tuple[float, list[str]]:
    month = inv.demand_monthly[inv.demand_monthly["month"] == ws.period]
    mine = month[(month["use_case_id"] == use_case) & (month["region"] == region)]
    ratio = float(mine["requests"].sum() / mine["units"].sum()) if mine["units"].sum() > 0 else np.nan
    if ratio > 0:
        return ratio, []
    stated = stated_lengths(ws.table("demand_chain"), ws.table("use_cases"))["requests_per_unit"]
    if stated.get(use_case, np.nan) > 0:
        return float(stated[use_case]), ["requests per unit are those of the demand chain"]
    raise InputError.at("demand", "no requests are counted for it: jobs and unmeasured work cannot be served as requests", column="use_case_id", value=use_case)  # fmt: skip


def _lengths(ws: Workspace, use_case: str) -> tuple[list[np.ndarray], list[str]]:
    """Prompt and answer lengths in tokens: histograms, else means of the month, else the demand chain."""
    histograms = ws.month("latency_histograms")
    mine = histograms[histograms["use_case_id"] == use_case]
    month = ws.month("demand_windows")
    sums = (
        month[month["use_case_id"] == use_case][["requests", "input_tokens", "output_tokens"]].astype("float64").sum()
    )
    chain = stated_lengths(ws.table("demand_chain"), ws.table("use_cases"))
    found, notes = [], []
    for name, word in (("input_tokens", "prompts"), ("output_tokens", "answers")):
        counts = mine[mine["metric"] == name].groupby("bucket")["count"].sum()
        mean = sums[name] / sums["requests"] if sums["requests"] > 0 and sums[name] > 0 else np.nan
        mean = chain[name].get(use_case, np.nan) if np.isnan(mean) else mean
        if counts.sum() > 0:
            ranks = (np.arange(LENGTHS) + 0.5) / LENGTHS * counts.sum()
            found.append(bucket_value(counts.index.to_numpy())[np.searchsorted(np.cumsum(counts.to_numpy()), ranks)])
        elif mean > 0:
            found.append(np.full(LENGTHS, mean))
            notes.append(f"no histogram of {word}: all have the mean length, tails are missing")
        else:
            raise InputError.at("demand", f"nothing says how long {word} are", column="use_case_id", value=use_case)
    return found, notes


def check_trace_name(path: Path) -> Path:
    """The path of a trace to write: a CSV or Parquet file in a folder that is there; else InputError."""
    if path.suffix not in (".csv", ".parquet"):
        raise InputError.at("--out", "must end in .csv or .parquet", value=str(path))
    if not path.parent.is_dir():
        raise InputError.at("--out", "lies in a folder that does not exist", value=str(path))
    return path


def write_coming(path: Path, found: ComingRequests) -> dict[str, object]:
    """Write the requests as a trace that `aifactory simulate` and `cheapest` read, and say what it holds."""
    path = check_trace_name(Path(path))
    stream = found.stream
    frame = pd.DataFrame({"arrival_s": stream.arrival_s.round(6), "input_tokens": stream.input_tokens, "output_tokens": stream.output_tokens})  # fmt: skip
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path, index=False)
    return {
        "file": path.name,
        "requests": len(stream),
        "first_hour_utc": str(found.first_hour_utc),
        "hours": len(found.requests_per_hour),
        "expected_requests": round(float(found.requests_per_hour.sum()), 3),
        "busiest_hour": round(float(found.requests_per_hour.max()), 3),
        "minute_dispersion": round(found.dispersion, 3),
        "second_dispersion": round(found.second_dispersion, 3),
        "length_correlation": None if np.isnan(found.length_correlation) else round(found.length_correlation, 3),
        "mean_input_tokens": round(float(stream.input_tokens.mean()), 3),
        "mean_output_tokens": round(float(stream.output_tokens.mean()), 3),
        "warnings": list(found.notes),
    }


def coming_lines(found: dict[str, object]) -> list[str]:
    """The result as text."""
    return [
        f"{counted(found['requests'], 'request')} of {counted(found['hours'], 'hour')} from {found['first_hour_utc']} in {found['file']}; expected {found['expected_requests']:,.0f}, "
        f"{found['busiest_hour']:,.0f} in the busiest hour; counts per minute vary {found['minute_dispersion']:g} times their mean; "
        f"{found['mean_input_tokens']:,.0f} prompt and {found['mean_output_tokens']:,.0f} answer tokens on average.",
        *(f"  WARNING {text}" for text in found["warnings"]),
    ]
