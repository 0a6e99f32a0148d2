"""Rolling-origin backtest: what a forecast would have been worth, beside seasonal naive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np

from aifactory.demand.combine import LEVELS, MIN_HISTORY, Forecaster, forecast_series
from aifactory.demand.members import seasonal_naive
from aifactory.errors import InputError
from aifactory.units import counted

#: Only so many origins, the last ones, are scored.
MOST_ORIGINS = 16
INTERVAL = (0.1, 0.9)
UPPER = 0.95


@dataclass(frozen=True)
class Plan:
    """Origins of a backtest, in steps of the series; `max_train` 0 is the whole past."""

    season: int
    horizon: int
    step: int
    min_train: int
    max_train: int = 0

    def origins(self, length: int) -> list[int]:
        """First scored step of each origin: min_train, min_train + step, ...; the last sixteen that fit.

        >>> Plan(24, 24, 24, 168).origins(240)
        [168, 192, 216]
        """
        return list(range(self.min_train, length - self.horizon + 1, self.step))[-MOST_ORIGINS:]


@dataclass(frozen=True)
class Scores:
    """Scores over all origins, each the mean of its origins; NaN where nothing could be scored."""

    mase: float
    pinball_scaled: float
    coverage80: float
    exceed_q95: float
    origins: int
    method: str


@dataclass(frozen=True)
class Backtest:
    """Scores of the chosen forecasts and of seasonal naive on the same steps."""

    scores: Scores
    naive: Scores
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Scores with those of seasonal naive under `seasonal_naive`; NaN is None."""
        own, peer = ({key: _plain(value) for key, value in asdict(part).items()} for part in (self.scores, self.naive))
        return own | {"seasonal_naive": peer}


def default_plan(length: int, season: int, horizon: int) -> Plan:
    """Origins a horizon apart, from seven seasons or half of the series on, two seasons at least.

    >>> default_plan(240, 24, 24)
    Plan(season=24, horizon=24, step=24, min_train=120, max_train=0)
    """
    seasons = season if length >= 2 * season + horizon else 0  # a single season cannot show one
    least = max(min(7 * seasons, length // 2), 2 * seasons, min(12, length // 2), MIN_HISTORY)
    return Plan(season, horizon, horizon, least)


#: Share of what came below which the changes of the past are no unit for its errors, and what is said then.
HARDLY = 0.01
HARDLY_CHANGED = (
    "the past hardly changed beside what came: errors in the unit of its changes, MASE and scaled pinball, say little"
)


def backtest_series(
    values: np.ndarray, observed: np.ndarray, plan: Plan, extra: Mapping[str, Forecaster] | None = None
) -> Backtest:
    """Forecast at every origin from its past only and score what came.

    MASE is the mean absolute error over the in-sample mean absolute error of seasonal naive; the
    scaled pinball loss is the mean over the 10, 50, 90 and 95 % quantiles, in the same unit. Steps
    that were not observed are not scored. Where the past never changes, its mean value is the unit.

    Parameters
    ----------
    values : (n,), finite, filled where nothing was observed.
    observed : (n,), True where a value was measured.

    Raises
    ------
    InputError
        If no origin fits, with the length that is needed.

    References
    ----------
    Hyndman and Koehler 2006 (MASE); Koenker and Bassett 1978 (pinball loss).
    """
    origins = plan.origins(len(values))
    if not origins:
        need, longest = plan.min_train + plan.horizon, len(values) - plan.min_train
        way = f": score {counted(longest, 'step')} at most" if longest > 0 else ""
        raise InputError(
            f"a backtest needs {need} values ({plan.min_train} to learn from, {plan.horizon} to score); the series holds {len(values)}{way}"
        )
    rows, peers, methods, notes = [], [], Counter(), Counter()
    for origin in origins:
        past = values[max(0, origin - plan.max_train) if plan.max_train else 0 : origin]
        seen = observed[origin : origin + plan.horizon]
        actual = values[origin : origin + plan.horizon][seen]
        forecast = forecast_series(past, plan.season, plan.horizon, LEVELS, extra)
        unit = naive_error(past, plan.season)
        if len(actual) and unit < HARDLY * np.abs(actual).mean():
            notes[HARDLY_CHANGED] += 1
        methods[forecast.method] += 1
        notes.update(forecast.notes)
        rows.append(_score(actual, forecast.point[seen], forecast.quantiles[:, seen], unit))
        point, bands = seasonal_naive_bands(past, plan.season, plan.horizon)
        peers.append(_score(actual, point[seen], bands[:, seen], unit))
    told = tuple(f"{text} ({count} of {counted(len(origins), 'origin')})" for text, count in notes.items())
    return Backtest(_mean_scores(rows, _method_text(methods)), _mean_scores(peers, "seasonal naive"), told)


def naive_error(past: np.ndarray, season: int) -> float:
    """In-sample mean absolute error of seasonal naive; of a past that never changes its mean level, or 1.

    >>> naive_error(np.array([1.0, 2.0, 2.0, 4.0]), 2)
    1.5
    """
    season = season if len(past) > season else 1
    error = float(np.abs(past[season:] - past[:-season]).mean()) if len(past) > 1 else 0.0
    return error or float(np.abs(past).mean()) or 1.0


def seasonal_naive_bands(past: np.ndarray, season: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Seasonal naive and its normal bands: deviation of its in-sample errors x sqrt(seasons ahead + 1).

    Shapes (horizon,) and (levels, horizon); not negative where the past is not.
    """
    season = season if len(past) > season else 1
    point = seasonal_naive(past, season, horizon)
    errors = past[season:] - past[:-season] if len(past) > 1 else np.zeros(1)
    deviation = float(np.sqrt(np.square(errors).mean())) * np.sqrt(np.arange(horizon) // season + 1)
    bands = point + np.outer([NormalDist().inv_cdf(level) for level in LEVELS], deviation)
    return point, bands if (past < 0).any() else np.maximum(bands, 0.0)


def pinball(actual: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Pinball loss of each quantile and step, shape (levels, steps).

    >>> pinball(np.array([3.0]), np.array([[1.0]]), np.array([0.9])).round(9).tolist()
    [[1.8]]
    """
    miss = actual - quantiles
    return np.maximum(levels[:, None] * miss, (levels[:, None] - 1) * miss)


def _score(actual: np.ndarray, point: np.ndarray, bands: np.ndarray, unit: float) -> tuple[float, ...]:
    if not len(actual):
        return (np.nan,) * 4
    low, high, upper = (bands[LEVELS.index(level)] for level in (*INTERVAL, UPPER))
    slack = 1e-9 * unit
    return (
        float(np.abs(actual - point).mean()) / unit,
        float(pinball(actual, bands, np.array(LEVELS)).mean()) / unit,
        float(((actual >= low - slack) & (actual <= high + slack)).mean()),
        float((actual > upper + slack).mean()),
    )


def _mean_scores(rows: list[tuple[float, ...]], method: str) -> Scores:
    held = np.array([row for row in rows if np.isfinite(row[0])])
    means = held.mean(axis=0) if len(held) else np.full(4, np.nan)
    return Scores(*(float(mean) for mean in means), origins=len(held), method=method)


def _method_text(methods: Counter[str]) -> str:
    if len(methods) == 1:
        return next(iter(methods))
    return ", ".join(f"{name} ({counted(count, 'origin')})" for name, count in methods.most_common())


def _plain(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value
