"""`aifactory backtest-plans`: from a series on file to what each way to plan would have cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.buyplan.backtest import FORESIGHT, OURS, Offers, backtest_policies
from aifactory.demand.series import FREQUENCIES, Series, read_series
from aifactory.errors import InputError
from aifactory.fleet.missed import LEAST_HOURS

#: Period -> its windows by frequency of the series, and periods of a season.
PERIODS = {
    "day": ({"h": 24, "D": 1}, 7),
    "week": ({"h": 168, "D": 7, "W": 1}, 1),
    "month": ({"h": 730, "D": 30, "W": 4}, 12),
}


#: USD below which two ways to plan cost the same, dearest accelerator-hour, and most accelerators that a step may need.
SAME_USD, MOST_USD, MOST_ACCELERATORS = 0.5, 1e6, 1e7


@dataclass(frozen=True)
class Settings:
    """What the command line says about a backtest of plans."""

    freq: str
    period: str
    units_per_accelerator_hour: float
    on_demand_usd: float
    terms: tuple[str, ...]
    train_share: float = 0.5
    replan_every: int | None = 1
    node_size: int = 8
    miss_usd: float | None = None
    seed: int = 0


def backtest_plans_file(path: Path, settings: Settings) -> dict[str, dict[str, object]]:
    """Costs by policy of every series of a file (units per step): its name -> policies, settings and warnings."""
    windows, season = _windows(settings)
    _require(settings)
    hours = FREQUENCIES[settings.freq][0] / pd.Timedelta(hours=1)
    offers = offers_of(settings)
    found = {}
    for series in read_series(Path(path), settings.freq):
        busy = _busy(Path(path).name, series, settings.units_per_accelerator_hour, hours)
        train = int(len(busy) // windows * settings.train_share)
        try:
            table = backtest_policies(
                busy, offers, windows=windows, window_hours=hours, train=train, season=season,
                replan_every=settings.replan_every, node_size=settings.node_size, seed=settings.seed,
            )  # fmt: skip
        except InputError as error:
            raise InputError.at(Path(path).name, f"series {series.name!r}: {error}") from None
        found[series.name] = {
            "policies": table.astype(object).where(table.notna(), None).to_dict("records"),
            "settings": {"period": settings.period, "periods": len(busy) // windows, "planned_on": train, "mean_accelerators": float(busy.mean())},
            "warnings": list(series.warnings),
        }  # fmt: skip
    return found


def _busy(file: str, series: Series, units_per_hour: float, hours: float) -> np.ndarray:
    """Accelerators that each step of a series keeps at work; shape (steps,)."""
    below = np.flatnonzero(series.values < 0)
    if below.size:
        row, value = int(series.rows[below[0]]), float(series.values[below[0]])
        raise InputError.at(file, "demand must be 0 or more", row=row or None, column="y", value=value)
    busy = series.values / (units_per_hour * hours)
    if busy.max() > MOST_ACCELERATORS:
        rule = f"makes series {series.name!r} need {busy.max():.3g} accelerators, more than any site has (10 million)"
        raise InputError.at("--capacity", f"{rule}; is it units an hour?", value=units_per_hour)
    return busy


def offers_of(settings: Settings) -> Offers:
    """Prices of the command line; a term is written name:periods:USD per accelerator-hour."""
    terms = []
    for text in settings.terms:
        name, _, rest = text.partition(":")
        periods, _, usd = rest.partition(":")
        if not (re.fullmatch(r"\w[\w .-]*", name) and periods.isdecimal() and int(periods) > 0 and _is_price(usd)):
            raise InputError.at(
                "--term", "must be name:periods:USD per accelerator-hour, such as reserved_1y:12:7.67", value=text
            )
        terms.append((name, int(periods), float(usd)))
    dearest = max(
        [usd for _, _, usd in terms] + ([settings.on_demand_usd] if np.isfinite(settings.on_demand_usd) else [])
    )
    missed = LEAST_HOURS * dearest if settings.miss_usd is None else settings.miss_usd
    return Offers(settings.on_demand_usd, tuple(terms), missed, "command line")


def backtest_plans_lines(found: dict[str, dict[str, object]]) -> list[str]:
    """What the command prints: one table a series, cheapest first."""
    lines: list[str] = []
    for name, result in found.items():
        about, rows = result["settings"], result["policies"]
        lines.append(
            f"{name}: planned on {about['planned_on']} of {about['periods']} {about['period']}s, {about['mean_accelerators']:,.1f} accelerators on average"
        )
        lines.append(f"  {'policy':<28}{'USD':>16}{'committed':>16}{'rented':>16}{'missed':>9}{'regret':>9}")
        for row in rows:
            regret = "" if row["regret_share"] is None else f"{row['regret_share']:.1%}"
            lines.append(
                f"  {row['policy']:<28}{row['cost_usd']:>16,.0f}{row['committed_usd']:>16,.0f}{row['rented_usd']:>16,.0f}"
                f"{row['missed_share']:>9.1%}{regret:>9}"
            )
        lines += [f"  {verdict(rows)}", *(f"  note: {text}" for text in result["warnings"])]
    return lines


def verdict(rows: Sequence[dict[str, object]]) -> str:
    """Which way would have been cheapest, and where the plan over many futures stands."""
    ours = next(row for row in rows if row["policy"] == OURS)
    other = next(row for row in rows if row["policy"] not in (OURS, FORESIGHT))
    more = other["cost_usd"] - ours["cost_usd"]
    if abs(more) < SAME_USD:
        return f"{OURS}: cheapest, at the same cost as {other['policy']}"
    first, second = (ours, other) if more > 0 else (other, ours)
    return f"{first['policy']}: cheapest, USD {abs(more):,.0f} less than {second['policy']}"


def _windows(settings: Settings) -> tuple[int, int]:
    if settings.freq not in FREQUENCIES:
        raise InputError.at("--freq", "is no frequency.", value=settings.freq, choices=FREQUENCIES)
    if settings.period not in PERIODS:
        raise InputError.at("--period", "is no period.", value=settings.period, choices=PERIODS)
    windows, season = PERIODS[settings.period]
    if settings.freq not in PERIODS["month"][0]:
        rule = "has steps of different length, which no accelerator-hours fit; count the series by h, D or W"
        raise InputError.at("--freq", rule, value=settings.freq)
    if settings.freq not in windows:
        raise InputError.at(
            "--period", f"is shorter than the steps of a series of frequency {settings.freq}", value=settings.period
        )
    return windows[settings.freq], season


def _require(settings: Settings) -> None:
    positive = {
        "--capacity": settings.units_per_accelerator_hour, "--on-demand": settings.on_demand_usd, "--node-size": settings.node_size,
        "--replan-every": 1 if settings.replan_every is None else settings.replan_every,
    }  # fmt: skip
    for option, value in positive.items():
        if not value > 0:
            raise InputError.at(option, "must be above 0", value=value)
    if MOST_USD < settings.on_demand_usd < np.inf:
        rule = f"must be USD of one accelerator-hour, {MOST_USD:,.0f} at most, or inf"
        raise InputError.at("--on-demand", rule, value=settings.on_demand_usd)
    if not settings.units_per_accelerator_hour < np.inf:
        raise InputError.at("--capacity", "must be finite", value=settings.units_per_accelerator_hour)
    if not 0 < settings.train_share < 1:
        raise InputError.at("--train-share", "must be between 0 and 1", value=settings.train_share)
    if not settings.terms:
        raise InputError.at("--term", "at least one commitment is needed, such as reserved_1y:12:7.67")
    if settings.miss_usd is not None and not 0 <= settings.miss_usd <= 1000 * MOST_USD:
        rule = f"must be USD of a missed accelerator-hour, 0 to {1000 * MOST_USD:,.0f}"
        raise InputError.at("--missed", rule, value=settings.miss_usd)


def _is_price(text: str) -> bool:
    try:
        return 0 < float(text) <= MOST_USD
    except ValueError:
        return False
