"""`aifactory backtest` and `aifactory reserve`: from a file to the object that is printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.demand.backtest import Backtest, backtest_series, default_plan
from aifactory.demand.combine import Forecaster
from aifactory.demand.library_models import library_forecasters
from aifactory.demand.reserve import ARTICLE, Reserve, plan_reserve
from aifactory.demand.reserve_money import failure_factor, month_windows, price_curve
from aifactory.demand.reserve_range import MOST_BY_CHANCE, MOST_TARGET
from aifactory.demand.series import LEFT_OUT, MONTH, Series, each_series, season_of, span
from aifactory.demand.windows import Demand, read_demand
from aifactory.errors import InputError
from aifactory.inputs.csv_text import read_csv_text
from aifactory.units import counted

SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800, "mo": MONTH.total_seconds()}
MOST_SECONDS = 100 * 366 * 86400
DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(s|min|mo|m|h|d|w)", re.IGNORECASE)
GOAL_WORDS = {"windows": "windows over capacity", "unserved": "demand not served"}
GOAL_NOUNS = {"windows": "windows over", "unserved": "demand not served"}
#: A silence so many times longer than any before it is told.
SILENCE = 3
INDEX, MOST_STEPS = "index.csv", 10_000_000
INDEX_COLUMNS = ("step", "min_train", "max_train")


@dataclass(frozen=True)
class Settings:
    """What the command line says about a backtest; None where it says nothing."""

    freq: str
    horizon: int
    season: int | None = None
    step: int | None = None
    min_train: int | None = None
    max_train: int | None = None
    library: bool = False


def backtest_file(path: Path, settings: Settings) -> dict[str, dict[str, object]]:
    """Backtest of every series of a file: its name -> scores, seasonal naive, settings and warnings.

    Step and lengths come from the command line, else from a table `index.csv` beside the file with a
    row for the series (columns series, step, min_train, max_train), else from `default_plan`. A series
    that cannot be backtested has unknown scores and says under `refused` why.

    Raises
    ------
    InputError
        For a file that cannot be read, and where no series of it can be backtested.
    """
    path = Path(path)
    season = settings.season or season_of(settings.freq)
    _require_positive(settings)
    known = _index_of(path)
    extra = library_forecasters() if settings.library else {}
    found: dict[str, dict[str, object]] = {}
    refusals: list[InputError] = []
    for name, series in each_series(path, settings.freq, season):
        try:
            if isinstance(series, InputError):
                raise series
            found[name] = _backtest(path, series, settings, season, known, extra)
        except InputError as error:
            refusals.append(error)
            found[name] = _refused(() if series is error else series.warnings, str(error))
    if len(refusals) == len(found):
        raise refusals[0]
    return found


def _refused(warnings: tuple[str, ...], rule: str) -> dict[str, object]:
    """Unknown scores of a series that cannot be backtested."""
    unknown = dict.fromkeys(("mase", "pinball_scaled", "coverage80", "exceed_q95"))
    scores: dict[str, object] = unknown | {"origins": 0, "method": "none"}
    return scores | {"seasonal_naive": dict(unknown), "refused": rule, "warnings": [*warnings, rule]}


def _backtest(
    path: Path,
    series: Series,
    settings: Settings,
    season: int,
    known: dict[str, dict[str, int]],
    extra: dict[str, Forecaster],
) -> dict[str, object]:
    plan = default_plan(len(series.values), season, settings.horizon)
    plan = replace(plan, **known.get(series.name, {}))
    given = {name: getattr(settings, name) for name in INDEX_COLUMNS}
    plan = replace(plan, **{name: value for name, value in given.items() if value is not None})
    try:
        result: Backtest = backtest_series(series.values, series.observed, plan, extra)
    except InputError as error:
        raise InputError.at(path.name, f"series {series.name!r}: {error}") from None
    settled = {name: getattr(plan, name) for name in ("season", "horizon", *INDEX_COLUMNS)}
    return result.as_dict() | {
        "settings": {"freq": settings.freq} | settled,
        "warnings": [*series.warnings, *result.notes],
    }


def backtest_lines(found: dict[str, dict[str, object]]) -> list[str]:
    """The result as text: one line a series, then what to know about it."""
    lines = []
    for name, item in found.items():
        if "refused" in item:
            lines.append(f"{name}: REFUSED {item['refused']}")
            continue
        peer = item["seasonal_naive"]
        lines.append(
            f"{name}: MASE {_shown(item['mase'])} (seasonal naive {_shown(peer['mase'])}), "
            f"scaled pinball {_shown(item['pinball_scaled'])} ({_shown(peer['pinball_scaled'])}), "
            f"80 % band covers {_shown(item['coverage80'], 0, 100)} %, q95 exceeded in {_shown(item['exceed_q95'], 1, 100)} %, "
            f"{counted(item['origins'], 'origin')}, {item['method']}"
        )
        lines += [f"  WARNING {text}" for text in item["warnings"]]
    return lines


def _shown(value: float | None, digits: int = 3, factor: float = 1.0) -> str:
    return "unknown" if value is None else f"{value * factor:.{digits}f}"


def _require_positive(settings: Settings) -> None:
    for name in ("horizon", "season", "step", "min_train", "max_train"):
        value = getattr(settings, name)
        if value is not None and value < 1 and (name, value) != ("max_train", 0):  # 0 is the whole past
            raise InputError.at(f"--{name.replace('_', '-')}", "must be at least 1", value=value)


def _index_of(path: Path) -> dict[str, dict[str, int]]:
    """Settings by series name of `index.csv` beside the file; nothing where there is none."""
    index = path.parent / INDEX
    if not index.is_file() or index == path:
        return {}
    table, _ = read_csv_text(index)
    if not {"series", "step", "min_train"} <= set(table.columns):
        return {}
    found: dict[str, dict[str, int]] = {}
    for row, line in enumerate(table.to_dict("records"), start=2):
        stated = {name: line.get(name, "").strip() for name in INDEX_COLUMNS}
        found[line["series"]] = {
            name: _steps(row, name, text) for name, text in stated.items() if text not in ("", "0", "0.0")
        }
    return found


def _steps(row: int, column: str, text: str) -> int:
    """A number of steps of the index; InputError where it is none."""
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 1 <= value <= MOST_STEPS or value != int(value):
        rule = f"must be a whole number of steps, 1 to {MOST_STEPS:,}, or empty"
        raise InputError.at(INDEX, rule, row=row, column=column, value=text)
    return int(value)


@dataclass(frozen=True)
class ReserveSettings:
    """What the command line says about a reserve; durations as text such as 10min or 28d."""

    window: str
    lead_time: str
    target: float
    measure: str = "requests"
    workload: str = ""
    pools: int = 0
    usd_per_unit_hour: float | None = None
    overflow_usd_per_unit: float | None = None
    autoscaler_lag: str = ""
    target_unserved: float | None = None


def reserve_file(path: Path, settings: ReserveSettings) -> dict[str, object]:
    """Reserve of the demand in a file, with what it risked in the past and the article's 20 and 40 %.

    `capacity` is in units of demand per window; `reserve` is its share over the basis.
    """
    window, lead_time = duration("--window", settings.window), duration("--lead-time", settings.lead_time)
    _check_prices(settings)
    lead = round(lead_time / window)
    if lead < 1:
        rule = f"is shorter than a window of {span(window)}: give {settings.window} at least"
        raise InputError.at("--lead-time", rule, value=settings.lead_time)
    demand = read_demand(path, window, settings.measure, settings.workload)
    goal = "windows" if settings.target_unserved is None else "unserved"
    target = settings.target if settings.target_unserved is None else settings.target_unserved
    if not 0 < target < MOST_TARGET:
        hint = f"; {target:g} % is {target / 100:g}" if 1 <= target < 100 * MOST_TARGET else ""
        rule = f"is a share and must lie between 0 and {MOST_TARGET:g}{hint}"
        raise InputError.at("--target" if goal == "windows" else "--target-unserved", rule, value=target)
    plan = partial(_planned, path, demand, window, target, goal)
    found = plan(lead, "--lead-time")
    over = f"95th percentile of {demand.unit} per {settings.window} in the last {span(found.basis_windows * window)}"
    result: dict[str, object] = {
        "basis": over,
        "basis_value": _number(found.basis_value),
        "window": settings.window,
        "lead_time": settings.lead_time,
        "target": found.target,
        "goal": found.goal,
        "reserve": _number(found.reserve),
        "capacity": _number(found.capacity),
        "exceedance_backtest": _number(found.exceedance_backtest),
        "exceedance_low": _number(found.exceedance_low),
        "exceedance_high": _number(found.exceedance_high),
        "independent_windows": _number(found.independent_windows),
        "unserved_backtest": _number(found.unserved_backtest),
        "any_over_backtest": _number(found.any_over_backtest),
        "overloads_expected": _number(found.overloads_expected),
        "target_supported": _number(found.target_supported),
        "missed_by_chance": _number(found.missed_by_chance),
        "judged": bool(found.missed_by_chance <= MOST_BY_CHANCE) if found.goal == "windows" else None,
        "windows_judged": found.windows_judged,
        "risk_low": _number(found.risk_low),
        "risk_high": _number(found.risk_high),
        "hours_per_month_over": _number(found.hours_per_month_over),
        "utilization": _number(found.utilization),
        "origins": found.origins,
        **{f"article_{ratio:.0%}".rstrip("%"): _article(found, ratio) for ratio in ARTICLE},
        "unit": f"{demand.unit} per {settings.window}",
        "windows": len(demand.values),
        "source": demand.source,
        "curve": _curve(found, settings, window),
        "warnings": [*demand.warnings, *_moved(found, demand.rows), *_silent_end(demand.values), *found.notes],
    }
    if settings.autoscaler_lag:
        lag = max(1, int(np.ceil(duration("--autoscaler-lag", settings.autoscaler_lag) / window)))
        result["autoscaled"] = _autoscaled(settings.autoscaler_lag, plan(lag, "--autoscaler-lag"), found)
    if settings.pools:
        factor = failure_factor(settings.pools)
        result |= {"failure_factor": _number(factor), "capacity_with_failure": _number(found.capacity * factor)}
    return result


def _check_prices(settings: ReserveSettings) -> None:
    """Refuse prices that are none, and one of overflow that nothing is weighed against."""
    for name in ("usd_per_unit_hour", "overflow_usd_per_unit"):
        value = getattr(settings, name)
        if value is not None and not 0 <= value < np.inf:
            raise InputError.at(f"--{name.replace('_', '-')}", "must be a price in USD, 0 or more", value=value)
    if settings.overflow_usd_per_unit is not None and settings.usd_per_unit_hour is None:
        rule = "is weighed against the price of capacity: give --usd-per-unit-hour too"
        raise InputError.at("--overflow-usd-per-unit", rule, value=settings.overflow_usd_per_unit)


def _planned(
    path: Path, demand: Demand, window: pd.Timedelta, target: float, goal: str, lead: int, option: str
) -> Reserve:
    """Reserve over a lead time in windows; a history that is too short for it is told with the option and the file."""
    day = pd.Timedelta(days=1) / window
    season = int(day) if day == int(day) else 0
    try:
        return plan_reserve(demand.values, lead, target, season, goal)
    except InputError as error:
        spans = f"{counted(len(demand.values), 'window')} of {span(window)} ({span(len(demand.values) * window)})"
        raise InputError(f"{Path(path).name}, {option}: {error} (read: {spans}{_left_out(demand)})") from None


def _left_out(demand: Demand) -> str:
    """What the file holds but does not count, in the words of its warnings."""
    told = [text for text in demand.warnings if text.endswith(LEFT_OUT)]
    return f"; {'; '.join(told)}" if told else ""


def _autoscaled(lag: str, running: Reserve, whole: Reserve) -> dict[str, object]:
    """Capacity to keep running where more of the ordered capacity starts after a lag: the target over the lag only."""
    return {
        "lag": lag,
        "running_now": _number(min(running.capacity, whole.capacity)),
        "exceedance_backtest": _number(running.exceedance_backtest),
        "utilization": _number(running.utilization),
    }


def _moved(found: Reserve, rows: np.ndarray | None) -> list[str]:
    """Where windows before a lasting move of the level are left out, by row of the file where it has rows."""
    if not found.first_window:
        return []
    known = [] if rows is None else rows[found.first_window :][rows[found.first_window :] > 0]
    place = f"row {known[0]}" if len(known) else f"window {found.first_window + 1:,}"
    return [f"the level moves about {place} and stays: the {found.first_window:,} windows before it do not count"]


def _silent_end(values: np.ndarray) -> list[str]:
    """A remark where the history ends in silence that is far longer than any before it.

    >>> _silent_end(np.array([5.0, 0, 4, 6, 0, 0, 0, 0])), _silent_end(np.array([5.0, 0, 0, 4, 0, 0, 0, 0]))
    (['the last 4 windows hold nothing, 1 in a row at most since demand began: leave them out where they are an outage, since \
they lower the capacity'], [])
    """
    busy = np.flatnonzero(values > 0)
    if not len(busy):
        return []
    end, before = len(values) - 1 - int(busy[-1]), int(np.diff(busy).max(initial=1)) - 1
    if end < SILENCE * max(before, 1):
        return []
    told = f"the last {end:,} windows hold nothing, {before:,} in a row at most since demand began"
    return [f"{told}: leave them out where they are an outage, since they lower the capacity"]


def _curve(found: Reserve, settings: ReserveSettings, window: pd.Timedelta) -> list[dict[str, object]]:
    curve = found.curve
    if settings.usd_per_unit_hour is not None:
        minutes = window / pd.Timedelta(minutes=1)
        overflow = np.nan if settings.overflow_usd_per_unit is None else settings.overflow_usd_per_unit
        month = month_windows(minutes)
        curve = price_curve(found, settings.usd_per_unit_hour * month * minutes / 60, month, overflow)
    rows = curve.to_dict("records")
    return [{key: _number(value) if isinstance(value, float) else value for key, value in row.items()} for row in rows]


def _article(found: Reserve, ratio: float) -> dict[str, float | None]:
    fixed = found.curve[found.curve["plan"] == "fixed"]
    row = fixed.iloc[(fixed["reserve"] - ratio).abs().to_numpy().argmin()]
    names = {
        "exceedance_backtest": "exceedance",
        "hours_per_month_over": "hours_per_month_over",
        "utilization": "utilization",
    }
    return {"capacity": _number(found.basis_value * (1 + ratio))} | {
        name: _number(row[column]) for name, column in names.items()
    }


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def duration(option: str, text: str) -> pd.Timedelta:
    """A duration of the command line, such as 10min, 1h, 28d or 1mo.

    >>> duration("--window", "90min")
    Timedelta('0 days 01:30:00')
    """
    match = DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * SECONDS[match[2].lower()] if match else 0.0
    if seconds > MOST_SECONDS:
        raise InputError.at(option, "is longer than a hundred years", value=text)
    if not seconds > 0:
        rule = "must be a duration above zero such as 30s, 10min, 1h, 28d, 4w or 1mo (a month)"
        raise InputError.at(option, rule, value=text)
    return pd.Timedelta(seconds=seconds)


def reserve_lines(found: dict[str, object]) -> list[str]:
    """The result as text."""
    lines = [
        f"Capacity {found['capacity']:,} {found['unit']}: {_percent(found['reserve'])} over the {found['basis']} ({found['basis_value']:,}).",
        f"Target: {_percent(found['target'], 2)} of the {GOAL_WORDS[found['goal']]} within a lead time of {found['lead_time']}. "
        f"Such plans in the past ({found['origins']} origins, each from its own past only and aiming at what those before it left of the target): "
        f"{_percent(found['exceedance_backtest'], 2)} of the windows over "
        f"({_percent(found['exceedance_low'], 2)} to {_percent(found['exceedance_high'], 2)} in the long run, 80 % range: overloads come in "
        f"clusters, so these windows say as much as {counted(round(found['independent_windows']), 'independent one')}), "
        f"{_percent(found['unserved_backtest'], 2)} of the demand not served, {_percent(found['any_over_backtest'])} of the lead times with any window over, "
        f"{_shown(found['hours_per_month_over'], 1)} hours a month, utilisation {_percent(found['utilization'])}.",
        *_judged_line(found),
        _range_line(found),
    ]
    for ratio in ARTICLE:
        item = found[f"article_{ratio:.0%}".rstrip("%")]
        lines.append(
            f"A fixed {_percent(ratio)} over the same basis: {_percent(item['exceedance_backtest'], 2)} of the windows over, "
            f"{_shown(item['hours_per_month_over'], 1)} hours a month, utilisation {_percent(item['utilization'])}."
        )
    if "capacity_with_failure" in found:
        lines.append(f"With one pool down: {found['capacity_with_failure']:,} ({found['failure_factor']:g} times).")
    if "autoscaled" in found:
        item = found["autoscaled"]
        lines.append(
            f"With {item['lag']} to start what is ordered: {item['running_now']:,} running now, exceeded in "
            f"{_percent(item['exceedance_backtest'], 2)} of the windows, utilisation {_percent(item['utilization'])}."
        )
    return [*lines, *(f"  WARNING {text}" for text in found["warnings"])]


def _judged_line(found: dict[str, object]) -> list[str]:
    """Whether the record is long enough to show that its target is met; nothing where it bounds demand."""
    if found["judged"] is None:
        return []
    windows = f"{found['windows_judged']:,} windows"
    verdict = "the target can be judged on them" if found["judged"] else f"the target cannot be judged on {windows}"
    return [
        f"Were the risk exactly the target, {_percent(found['missed_by_chance'])} of the records of {windows} with such clusters would "
        f"still miss it by more than a factor of two: {verdict}."
    ]


def _range_line(found: dict[str, object]) -> str:
    """What the record says of the lead time to come."""
    noun = GOAL_NOUNS[found["goal"]]
    planned = f"So planned {_percent(found['target'], 2)}; by that record"
    doubt = "seven of ten where the history holds fewer than ten lead times"
    if not found["risk_high"]:
        return f"{planned} no {noun} in nine of ten lead times to come ({doubt}), far more in the tenth."
    low, high = _percent(found["risk_low"], 2), _percent(found["risk_high"], 2)
    return f"{planned} {low} to {high} of the {noun} in the lead time to come (80 % range; nine of ten lie below its end, {doubt})."


def _percent(value: float | None, digits: int = 0) -> str:
    """A share in percent, never minus zero, and little never nothing."""
    if value is None:
        return "unknown"
    if 0 < value < 0.5 * 10 ** -(digits + 2):
        return f"under {10.0**-digits:g} %"
    return f"{100 * round(value, digits + 2) + 0.0:.{digits}f} %"
