"""Simple forecasters of one series in numpy: the members that `aifactory.demand.combine` weighs.

Each takes a history of shape (n,), the season in steps and the horizon, and answers shape (horizon,).
`member_forecasts` runs them all on a history whose single outages were filled, keeps the answers
between zero and four times the highest value seen (where the history is not negative), and so never
returns NaN. Multiplying a history by a constant multiplies every answer by it.

Seasonal indices are shrunk by their signal: s' = s max(var(s) - noise, 0) / var(s), with the noise of
a mean over c seasons, so that chance is not repeated as a season (James and Stein 1961, in effect).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aifactory.demand.week import DAYS_PER_WEEK, coming_effect, past_effect, shows_weeks, week_effect

#: Share of the mean that is added before a logarithm, so that zeros have one.
LOG_OFFSET = 0.02
#: Highest answer, as a multiple of the highest value in the history.
CEILING = 4.0
SMOOTHING = (0.03, 0.08, 0.15, 0.25, 0.4, 0.6, 0.85)
SEASONS_OF_INDEX, SEASONS_OF_LEVEL = 10, 7
#: Weeks whose median is repeated.
WEEKS_OF_PROFILE = 4
#: A zero is an outage only where fewer than this share of the values are zero.
RARE_ZEROS = 0.1
#: Zeros that last for more steps than these, and than a season, are no outage.
LONGEST_OUTAGE = 3

#: Exponential smoothing by blocks: level of step k = weights[k] @ block + carry[k] * level before it.
BLOCK = 64
_AGE = np.subtract.outer(np.arange(BLOCK), np.arange(BLOCK))
_RATES = np.array(SMOOTHING)[:, None, None]
_BLOCK_WEIGHTS = np.where(_AGE >= 0, _RATES * (1 - _RATES) ** np.maximum(_AGE, 0), 0.0)
_CARRY = (1 - _RATES[:, 0]) ** np.arange(1, BLOCK + 1)

Member = Callable[[np.ndarray, int, int], np.ndarray]


def repeated(cycle: np.ndarray, horizon: int) -> np.ndarray:
    """A cycle, repeated to the horizon.

    >>> repeated(np.array([1.0, 2.0]), 3).tolist()
    [1.0, 2.0, 1.0]
    """
    return cycle[np.arange(horizon) % len(cycle)]


def seasonal_naive(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """The last season again; the last value where the season is 1 or the history is shorter than it.

    >>> seasonal_naive(np.array([1.0, 2.0, 3.0, 4.0]), 2, 3).tolist()
    [3.0, 4.0, 3.0]
    """
    return repeated(history[-season:] if len(history) >= season else history[-1:], horizon)


def naive(history: np.ndarray, _season: int, horizon: int) -> np.ndarray:
    """The last value again."""
    return np.full(horizon, history[-1])


def _seasons(values: np.ndarray, season: int, most: int) -> np.ndarray:
    """The last whole seasons, shape (at most `most`, season)."""
    count = min(len(values) // season, most)
    return values[len(values) - count * season :].reshape(count, season)


def recent_seasons(history: np.ndarray, season: int, horizon: int, most: int = 3, decay: float = 0.6) -> np.ndarray:
    """Weighted mean of the last seasons, weight decay^age."""
    if len(history) < season:
        return naive(history, season, horizon)
    held = _seasons(history, season, most)
    weight = decay ** np.arange(len(held) - 1, -1, -1)
    return repeated(weight @ held / weight.sum(), horizon)


def median_season(history: np.ndarray, season: int, horizon: int, most: int = 5) -> np.ndarray:
    """Median of the last seasons, phase by phase."""
    if len(history) < season:
        return naive(history, season, horizon)
    return repeated(np.median(_seasons(history, season, most), axis=0), horizon)


def seasonal_index(values: np.ndarray, season: int, most: int = SEASONS_OF_INDEX) -> np.ndarray:
    """Additive index of each phase, shrunk by its signal; zero with fewer than two seasons. Shape (season,)."""
    count = min(len(values) // season, most)
    if season == 1 or count < 2:
        return np.zeros(season)
    held = _seasons(values, season, most)
    about_mean = held - (held @ np.full(season, 1 / season))[:, None]
    index = np.full(count, 1 / count) @ about_mean
    # means over the season are zero, and those over the seasons are the index: variances from sums of squares
    squares = float(index @ index)
    signal = squares / season
    noise = max(float(np.vdot(about_mean, about_mean)) - count * squares, 0.0) / ((count - 1) * season * count)
    return index * (max(signal - noise, 0.0) / signal if signal > 0 else 0.0)


def _without_season(values: np.ndarray, season: int, most: int = SEASONS_OF_INDEX) -> tuple[np.ndarray, np.ndarray]:
    index = seasonal_index(values, season, most)
    return values - index[(np.arange(len(values)) - len(values)) % season], index


def smoothed_level(values: np.ndarray) -> float:
    """Last level of simple exponential smoothing; the rate with the least squared one-step error.

    >>> smoothed_level(np.array([5.0, 5.0, 5.0]))
    5.0
    """
    start = values[: max(1, len(values) // 3)].mean()
    # the start again and again before the values leaves every level as it is
    padded = np.concatenate([np.full(-len(values) % BLOCK, start), values]).reshape(-1, BLOCK)
    inside = padded @ _BLOCK_WEIGHTS.transpose(0, 2, 1)
    levels, carried = np.empty_like(inside), np.full(len(SMOOTHING), start)
    for block in range(len(padded)):
        levels[:, block] = inside[:, block] + _CARRY * carried[:, None]
        carried = levels[:, block, -1]
    levels = levels.reshape(len(SMOOTHING), -1)
    before = np.concatenate([np.full((len(SMOOTHING), 1), start), levels[:, :-1]], axis=1)
    errors = np.square(padded.ravel() - before).sum(axis=1)
    return float(levels[errors.argmin(), -1])


def smoothing(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Smoothed level plus season; shape (horizon,)."""
    return smoothing_and_theta(history, season, horizon)[0]


def smoothing_and_theta(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Smoothed level plus season, and the same plus half the linear trend (Theta method); shape (2, horizon)."""
    rest, index = _without_season(history, season)
    level = smoothed_level(rest) + repeated(index, horizon)
    if len(rest) < 3:
        return np.array([level, level])
    time = np.arange(len(rest)) - (len(rest) - 1) / 2
    return np.array([level, level + 0.5 * (time @ rest) / (time @ time) * np.arange(1, horizon + 1)])


def last_season_level(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Median of the last season (three values at least) plus season."""
    rest, index = _without_season(history, season)
    return np.median(rest[-max(season, 3) :]) + repeated(index, horizon)


def long_level(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Mean of the last seven seasons plus season."""
    rest, index = _without_season(history, season, SEASONS_OF_LEVEL)
    return rest[-SEASONS_OF_LEVEL * max(season, 4) :].mean() + repeated(index, horizon)


def damped_trend(history: np.ndarray, season: int, horizon: int, damping: float = 0.9) -> np.ndarray:
    """Median level of the last season plus the median change between seasons, damped per season."""
    rest, index = _without_season(history, season)
    block = max(season, 2)
    held = _seasons(rest, block, 6)
    if len(held) < 2:
        return np.median(rest[-block:]) + repeated(index, horizon)
    level = np.median(held, axis=1)
    ahead = np.arange(horizon) // block
    grown = np.cumsum(damping ** np.arange(1, ahead[-1] + 2))[ahead]
    return level[-1] + np.median(np.diff(level)) * grown + repeated(index, horizon)


def shrunk_drift(history: np.ndarray, _season: int, horizon: int, damping: float = 0.95) -> np.ndarray:
    """Last value plus half the mean change of the last three horizons, damped per step."""
    span = max(2, min(len(history) - 1, 3 * horizon))
    change = np.diff(history[-span - 1 :]).mean() / 2 if len(history) > 1 else 0.0
    return history[-1] + change * np.cumsum(damping ** np.arange(1, horizon + 1))


def week_profile(history: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """Median of the last four weeks, hour by hour, plus half of what the last day lies above it.

    Half, since a day that differs may be an event or a new level. A history of less than eight days has no week to
    repeat: the last day then.
    """
    week = DAYS_PER_WEEK * season
    if len(history) < week + season:
        return seasonal_naive(history, season, horizon)
    profile = np.median(_seasons(history, week, WEEKS_OF_PROFILE), axis=0)
    moved = float(np.median(history[-season:] - profile[-season:]))
    return repeated(profile, horizon) + moved / 2


#: Two members that share their level.
SMOOTHED = "smoothing (log), theta (log)"
SEASONAL: dict[str, Member] = {
    "seasonal naive": seasonal_naive,
    "naive": naive,
    "recent seasons": recent_seasons,
    "median season": median_season,
    "long level": long_level,
}
SEASONAL_LOG: dict[str, Member] = {
    SMOOTHED: smoothing_and_theta,
    "last season level (log)": last_season_level,
}
#: Beside these for hours, whose days of the week differ.
HOURLY_LOG: dict[str, Member] = {"week profile (log)": week_profile}
PLAIN: dict[str, Member] = {"naive": naive, "smoothing": smoothing, "damped trend": damped_trend}
PLAIN_LOG: dict[str, Member] = {
    SMOOTHED: smoothing_and_theta,
    "damped trend (log)": damped_trend,
    "shrunk drift (log)": shrunk_drift,
}
#: Members that see the history as it is, outages included: what they repeat is what was measured.
AS_MEASURED = ("seasonal naive", "naive")


def member_names(season: int, length: int) -> tuple[str, ...]:
    """Members in the order of `member_forecasts` for a history of a length: a season of 1 has its own, weeks of hours one more."""
    named, logs = _members(season, length)
    return tuple(name for names in (*named, *logs) for name in names.split(", "))


def _members(season: int, length: int) -> tuple[dict[str, Member], dict[str, Member]]:
    """Members on values and on their logarithms."""
    if season == 1:
        return PLAIN, PLAIN_LOG
    return SEASONAL, SEASONAL_LOG | HOURLY_LOG if shows_weeks(season, length) else SEASONAL_LOG


def long_pauses(zero: np.ndarray, season: int) -> np.ndarray:
    """Which zeros stand in a stretch too long for an outage: longer than a season and `LONGEST_OUTAGE`. Both (n,).

    >>> long_pauses(np.array([True, False, True, True, True, True]), 1).tolist()
    [False, False, True, True, True, True]
    """
    kept = np.zeros(len(zero), dtype=bool)
    edges = np.flatnonzero(np.diff(zero.astype("int8"), prepend=0, append=0))
    for begin, end in edges.reshape(-1, 2):
        kept[begin:end] = end - begin > max(season, LONGEST_OUTAGE)
    return kept


def without_outages(history: np.ndarray, season: int) -> np.ndarray:
    """Rare zeros replaced by the value a season before or after, else by interpolation.

    Zeros stay where they are usual (a tenth of the values or more) or the median is below ten, and where they last
    for more than a season and more than three steps: an end or a pause is no outage.

    >>> without_outages(np.array([50.0, 60, 51, 61, 52, 0, 53, 63, 54, 64, 55]), 2).tolist()[4:7]
    [52.0, 61.0, 53.0]
    """
    zero = history == 0
    if not zero.any() or zero.mean() >= RARE_ZEROS or np.median(history) < 10:
        return history
    zero &= ~long_pauses(zero, season)
    filled, known = history.copy(), np.flatnonzero(history != 0)
    for place in np.flatnonzero(zero):
        near = [place + shift * season for shift in (-1, 1, -2, 2)]
        near = [other for other in near if 0 <= other < len(history) and history[other] != 0]
        filled[place] = history[near[0]] if near else np.interp(place, known, history[known])
    return filled


def member_forecasts(history: np.ndarray, season: int, horizon: int, length: int = 0) -> np.ndarray:
    """Every member's answer, shape (members, horizon), finite; not negative where the history is not.

    `length` is that of the whole history where this is the beginning of one: its members answer.

    >>> member_forecasts(np.array([4.0, 8.0] * 6), 2, 2).round(6).tolist()[0]
    [4.0, 8.0]
    """
    season = season if len(history) >= season else 1
    named, logs = _members(season, max(length, len(history)))
    filled = without_outages(history, season)
    signed = bool((history < 0).any())
    offset = LOG_OFFSET * float(np.abs(filled).mean())
    scale = _Additive() if signed or offset == 0.0 else _Logarithm(offset, np.log(10 * CEILING * float(history.max())))
    logged = scale.of(filled)
    effect = week_effect(logged, season)
    past, ahead = past_effect(effect, len(history)), coming_effect(effect, horizon)
    even = filled if not effect.any() else scale.back(logged - past)
    measured = history if not effect.any() else scale.back(scale.of(history) - past)
    answers = [member(measured if name in AS_MEASURED else even, season, horizon) for name, member in named.items()]
    if effect.any():
        answers = [scale.back(scale.of(np.maximum(answer, scale.least)) + ahead) for answer in answers]
    for name, member in logs.items():
        whole = name in HOURLY_LOG
        for answer in np.atleast_2d(member(logged if whole else logged - past, season, horizon)):
            answers.append(scale.back(answer if whole else answer + ahead))
    highest = float(np.abs(history).max())
    return np.clip(np.array(answers), -CEILING * highest if signed else 0.0, CEILING * highest)


@dataclass(frozen=True)
class _Additive:
    """Values as they are."""

    least: float = -np.inf

    def of(self, values: np.ndarray) -> np.ndarray:
        return values

    def back(self, values: np.ndarray) -> np.ndarray:
        return values


@dataclass(frozen=True)
class _Logarithm:
    """Logarithms of values and an offset, `most` at most on the way back."""

    offset: float
    most: float
    least: float = 0.0

    def of(self, values: np.ndarray) -> np.ndarray:
        return np.log(values + self.offset)

    def back(self, values: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(values, self.most)) - self.offset
