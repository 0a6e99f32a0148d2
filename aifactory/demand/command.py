"""`aifactory backtest` and `aifactory reserve`: from a file to the object that is printed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from aifactory.demand.backtest import Backtest, backtest_series, default_plan
from aifactory.demand.series import Series, read_series, season_of
from aifactory.errors import InputError

INDEX = "index.csv"
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


def backtest_file(path: Path, settings: Settings) -> dict[str, dict[str, object]]:
    """Backtest of every series of a file: its name -> scores, seasonal naive, settings and warnings.

    Step and lengths come from the command line, else from a table `index.csv` beside the file with a
    row for the series (columns series, step, min_train, max_train), else from `default_plan`.
    """
    path = Path(path)
    season = settings.season or season_of(settings.freq)
    _require_positive(settings)
    known = _index_of(path)
    return {
        series.name: _backtest(path, series, settings, season, known)
        for series in read_series(path, settings.freq, season)
    }


def _backtest(
    path: Path, series: Series, settings: Settings, season: int, known: dict[str, dict[str, int]]
) -> dict[str, object]:
    plan = default_plan(len(series.values), season, settings.horizon)
    plan = replace(plan, **known.get(series.name, {}))
    given = {name: getattr(settings, name) for name in INDEX_COLUMNS}
    plan = replace(plan, **{name: value for name, value in given.items() if value is not None})
    try:
        result: Backtest = backtest_series(series.values, series.observed, plan)
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
        peer = item["seasonal_naive"]
        lines.append(
            f"{name}: MASE {_shown(item['mase'])} (seasonal naive {_shown(peer['mase'])}), "
            f"scaled pinball {_shown(item['pinball_scaled'])} ({_shown(peer['pinball_scaled'])}), "
            f"80 % band covers {_shown(item['coverage80'], 0, 100)} %, q95 exceeded in {_shown(item['exceed_q95'], 1, 100)} %, "
            f"{item['origins']} origins, {item['method']}"
        )
        lines += [f"  WARNING {text}" for text in item["warnings"]]
    return lines


def _shown(value: float | None, digits: int = 3, factor: float = 1.0) -> str:
    return "unknown" if value is None else f"{value * factor:.{digits}f}"


def _require_positive(settings: Settings) -> None:
    for name in ("horizon", "season", "step", "min_train"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise InputError.at(f"--{name.replace('_', '-')}", "must be at least 1", value=value)


def _index_of(path: Path) -> dict[str, dict[str, int]]:
    """Settings by series name of `index.csv` beside the file; nothing where there is none."""
    index = path.parent / INDEX
    if not index.is_file() or index == path:
        return {}
    table = pd.read_csv(index)
    if not {"series", "step", "min_train"} <= set(table.columns):
        return {}
    numbers = table.reindex(columns=list(INDEX_COLUMNS)).apply(pd.to_numeric, errors="coerce")
    return {
        str(name): {column: int(value) for column, value in row.items() if value >= 1}
        for name, row in zip(table["series"], numbers.to_dict("records"), strict=True)
    }
