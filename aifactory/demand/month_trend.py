"""Growth a month of demand that may also have stepped once for good, and the season of the year that months ahead repeat.

A level that moved once is no growth, and neither is the way from a low season to a high one: with less than three years
a straight line takes both for a trend. So the logarithms y of n months are held against a line with either, both or none:

    y(t) = a + b t + c [t >= k] + s(t) + e(t)

    b ~ N(0, p^2)    p by prior_sd, seldom `WIDE`      c ~ N(0, STEP_SD^2), k any month, with chance STEP_CHANCE
    e ~ N(0, v^2)    v by PRIOR_SCATTER, that counts as SCATTER_MONTHS months (as in `profile.monthly_trend`)
    s ~ N(0, u^2 K)  with chance SEASON_CHANCE, u any of `SEASONS`; K by the distance d of two months:
                     1/2 cos(2 pi d / 12) + 1/4 cos(4 pi d / 12) + 1/4 where they are the same month of the year

Growth, season and their doubt are mean and covariance of b and of s in the twelve calendar months over all of these, each
by the chance that it has given the months. With few months the factors exp(s) stay near 1; from 7
months on they are forecast: level and growth of the last month times its factor over that month's. From
13 months on those a year apart tell growth from season more and more; before, a possible season widens the doubt. Error of
the growth a month in points, and how many of a hundred 80 % intervals hold the truth (300 draws each, growth as the prior
expects it, a scatter of 0.03 to 0.12, a season of 0.07 to 0.3 a month, a step of 0.2 or 0.4; in brackets those of a
straight line, or of one about a step where that is the likelier):

    months            6                9                13               18               24
    nothing           2.0 (1.6) 83     1.4 (1.1) 90     0.9 (0.8) 92     0.4 (0.5) 96     0.3 (0.3) 97
    a yearly wave     2.9 (4.2) 80     2.7 (4.7) 68     1.5 (3.8) 86     0.9 (3.9) 96     0.3 (2.9) 98
    a high season     2.5 (2.6) 80     2.0 (2.5) 81     1.6 (2.5) 83     1.0 (2.2) 96     0.6 (1.5) 96
    a step            2.9 (3.3) 73     2.5 (2.6) 70     1.6 (1.7) 70     1.0 (1.0) 75     0.7 (0.7) 78
    wave and step     3.2 (4.8) 77     3.1 (5.0) 68     2.1 (4.1) 66     1.7 (4.3) 62     1.1 (3.0) 72

Steady growth of 5 % a month is told as 0.6, 1.1, 1.6, 3.3, 4.4 and 4.9 % after 4, 5, 6, 9, 12 and 18 months, of 10 % as
1.0, 1.7, 2.7, 7.6, 9.8 and 10.0. On five public monthly series (two of page views, air passengers, carbon dioxide, sea
temperature) the change to the same month of the next year is missed by less from 4, 6, 9, 13, 19 and 24 months alike, or by
as much: air passengers by 1.0 points a month and not 2.3 from 13, by 0.7 and not 2.6 from 19, views of a page on R by 2.3
and 2.0 and not 2.6 and 2.4. On 54 subjects of Stack Overflow questions (2009 to 2019, damped by 0.95 a month) the logarithm
a year on is missed by 0.30, 0.30, 0.25, 0.22 and 0.22 from 6, 9, 13, 18 and 24 months, two years on by 0.46, 0.44, 0.37,
0.33 and 0.33 (about a step 0.31, 0.31, 0.29, 0.26, 0.23 and 0.45, 0.45, 0.44, 0.37, 0.34; a level that is kept 0.32, 0.34,
0.28, 0.28, 0.26 and 0.51, 0.52, 0.45, 0.46, 0.44).

The twelve months ahead, growth damped as above: mean error of their logarithm with the season and, in brackets, with the
level of the last month kept for that of the year (of 36 months with a season proven by chance, where it was), and how many
of a hundred lie in the 80 % band (300 draws as above; a peak of 0.4 to 1.2 in one month; then 33 public monthly series with a
season: shops of Australia, retail of the United States, drugs, cars, wine, milk, passengers, searches, deaths, pages, sea
temperature; 42 subjects of Stack Overflow questions):

    months            9                  13                 18                 24                 36
    nothing           0.14 (0.14) 95     0.11 (0.11) 96     0.10 (0.10) 96     0.10 (0.10) 96     0.09 (0.09) 96
    a yearly wave     0.28 (0.32) 75     0.18 (0.27) 92     0.14 (0.26) 95     0.11 (0.25) 97     0.10 (0.11) 97
    a high season     0.21 (0.22) 84     0.18 (0.20) 90     0.15 (0.19) 92     0.12 (0.17) 95     0.10 (0.10) 97
    a peak            0.27 (0.27) 83     0.21 (0.26) 90     0.16 (0.23) 93     0.12 (0.21) 97     0.10 (0.10) 96
    a step            0.15 (0.15) 95     0.14 (0.14) 94     0.11 (0.11) 97     0.10 (0.10) 98     0.10 (0.10) 97
    wave and step     0.29 (0.33) 77     0.19 (0.26) 89     0.17 (0.27) 92     0.12 (0.24) 96     0.11 (0.16) 97
    public, season    0.21 (0.23) 83     0.15 (0.20) 92     0.13 (0.18) 94     0.11 (0.17) 96     0.11 (0.11) 95
    questions         0.27 (0.27) 80     0.23 (0.24) 83     0.23 (0.23) 83     0.23 (0.24) 83     0.23 (0.23) 86

Limits: of growth that fades after a launch 4 to 6 months look like the way into a season, which would miss the months ahead by
up to 28 % more, so none is forecast of them; of 13 such months the error is 10 % larger with it, of 18 and 24 one. A season
below the least scatter (carbon dioxide, 0.7 %) is not found. How growth and season doubt each other is left out of the
bands: with it they hold as many.

Reference: Box, Jenkins, Reinsel, Ljung, Time Series Analysis, 5th ed., on level shifts; Rasmussen and Williams, Gaussian
Processes for Machine Learning, 2006, chapters 2 and 5, on means of models by their marginal likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aifactory.demand.profile import MIN_SCATTER, PRIOR_GROWTH, PRIOR_SCATTER, SCATTER_MONTHS, Trend, monthly_trend
from aifactory.demand.season import YearSeason
from aifactory.units import MONTHS_PER_YEAR

#: Chance of a step before months are seen, its deviation in the logarithm, and fewest months before it.
STEP_CHANCE, STEP_SD, MONTHS_BEFORE = 0.5, 0.4, 2
#: Chance of a season, and deviations of a month from the year that it may have; 0 is none.
SEASON_CHANCE, SEASONS = 0.5, np.array([0.0, 0.05, 0.1, 0.2, 0.4])
#: Fewest months of which a season is forecast: within half a year none can be told from growth that fades.
SEASON_MONTHS = 7
#: Chance and size of a prior of growth that is wider than the usual one, in multiples of that; both together deviate by `prior_sd`.
WIDE_CHANCE, WIDE = 0.05, 4.0
#: Deviations of a month about all that.
SCATTERS = np.geomspace(0.02, 0.5, 9)
#: Least chance of a step or a season that is told.
TOLD = 0.6
#: Precision of the level, of which nothing is known before.
VAGUE = 1e-8


def trend_of_months(
    units_per_day: np.ndarray,
    prior_sd: float = PRIOR_GROWTH,
    prior_scatter: float = PRIOR_SCATTER,
    centre: np.ndarray | None = None,
    first_calendar_month: int = 1,
) -> Trend:
    """Growth a month, season of the year and scatter of months, and the chances of a lasting step and of a season.

    Parameters as of `profile.monthly_trend`; `first_calendar_month` (1 to 12) is that of the first. The scatter is that about
    a straight line beside the season: root of the expected squares, with those of the season's doubt. A step scatters.

    >>> found = trend_of_months(np.repeat([100.0, 149.0], 6))
    >>> round(found.growth, 3), round(found.step, 2), round(monthly_trend(np.repeat([100.0, 149.0], 6)).growth, 3)
    (0.005, 0.95, 0.046)
    >>> waves = 100 * 1.02 ** np.arange(15) * np.exp(0.25 * np.cos((np.arange(15) + 8) * 2 * np.pi / 12))
    >>> found = trend_of_months(waves)
    >>> round(found.growth, 3), round(found.season, 2), round(monthly_trend(waves).growth, 3)
    (0.015, 0.94, 0.006)
    >>> found.year.factor[[4, 10]].round(2).tolist(), np.exp([0.25, -0.25]).round(2).tolist()
    ([1.18, 0.85], [1.28, 0.78])
    """
    units = np.asarray(units_per_day, dtype=float)
    straight = monthly_trend(units, prior_sd, prior_scatter, centre)
    if np.isnan(straight.growth) or prior_sd <= 0:
        return straight
    known = np.flatnonzero(units > 0)
    time = known if centre is None else np.asarray(centre, dtype=float)[known]
    logs = np.log(units[known])
    calendar = (known + first_calendar_month - 1) % MONTHS_PER_YEAR
    models = _models(logs - logs.mean(), time - time.mean(), calendar, prior_sd, prior_scatter)
    mean, covariance = _averaged(models)
    year = YearSeason(mean[1:], covariance[1:, 1:]) if len(known) >= SEASON_MONTHS else None
    return replace(
        straight,
        growth=round(float(np.expm1(mean[0])), 10),
        log_sd=float(np.sqrt(covariance[0, 0])),
        step=float(models.chance[:, 1:].sum()),
        season=float(models.chance[models.season > 0].sum()),
        scatter=straight.scatter if year is None else _scatter(straight, logs, time, year, calendar),
        year=year,
    )


def _scatter(straight: Trend, logs: np.ndarray, time: np.ndarray, year: YearSeason, calendar: np.ndarray) -> float:
    """Deviation of months about a line beside the season, at most that about the line alone."""
    rest = logs - year.log_mean[calendar]
    rest = rest - np.polyval(np.polyfit(time, rest, 1), time)
    squares = float(rest @ rest) + float(np.diag(year.covariance)[calendar].sum())
    return float(np.clip(np.sqrt(squares / (len(logs) - 2)), MIN_SCATTER, straight.scatter))


@dataclass(frozen=True)
class _Models:
    """G models without a step, each of season, scatter and prior of growth, and with one at K places."""

    season: np.ndarray  # [G] deviation of a month from the year
    chance: np.ndarray  # [G, 1 + K] without a step, and by its place
    line: np.ndarray  # [G, 2] level and growth without a step
    line_covariance: np.ndarray  # [G, 2, 2]
    step: np.ndarray  # [G, K] size of the step
    step_precision: np.ndarray  # [G, K]
    tilt: np.ndarray  # [G, 2, K] by how much a step of 1 moves the line down
    seen: np.ndarray  # [G, 12, 3 + K] season of a model that level, growth, the months and a step of 1 would have
    unseen: np.ndarray  # [G, 12, 12] covariance of the season where level, growth and step are known


def _models(logs: np.ndarray, time: np.ndarray, calendar: np.ndarray, prior_sd: float, prior_scatter: float) -> _Models:
    """All models of the months whose middle is `time`, each with the chance that they give it.

    A step enters a line as one more column: its gain is that of the Schur complement of its row.
    """
    usual = prior_sd / np.sqrt(1.0 + WIDE_CHANCE * (WIDE**2 - 1.0))
    grid = np.meshgrid(SEASONS, SCATTERS, [usual, WIDE * usual], indexing="ij")
    season, scatter, growth = (axis.ravel() for axis in grid)
    year = np.arange(MONTHS_PER_YEAR)
    law, across, whole = (
        season[:, None, None] ** 2 * by_calendar(one, other)
        for one, other in ((calendar, calendar), (year, calendar), (year, year))
    )
    covariance = law + scatter[:, None, None] ** 2 * np.eye(len(logs))
    weight = np.linalg.inv(covariance)
    steps = (np.arange(len(logs))[:, None] >= np.arange(MONTHS_BEFORE, len(logs))).astype(float)
    every = np.column_stack([np.ones(len(logs)), time, logs, steps])
    inner, seen = every.T @ weight @ every, across @ weight @ every
    precision = inner[:, :2, :2] + np.stack([np.diag([VAGUE, sd**-2]) for sd in growth])
    inverse = np.linalg.inv(precision)
    fitted = np.einsum("gab,gb->ga", inverse, inner[:, :2, 2])
    misfit = inner[:, 2, 2] - np.einsum("ga,ga->g", fitted, inner[:, :2, 2])
    some = np.where(season > 0, SEASON_CHANCE / (len(SEASONS) - 1), 1.0 - SEASON_CHANCE)
    some = some * np.where(growth > usual, WIDE_CHANCE, 1.0 - WIDE_CHANCE)
    prior = np.log(some) - SCATTER_MONTHS * (np.log(scatter) + prior_scatter**2 / (2 * scatter**2))
    plain = prior - np.log(growth) - 0.5 * (np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(precision)[1] + misfit)

    tilt = np.einsum("gab,gbk->gak", inverse, inner[:, :2, 3:])
    own = np.einsum("gkk->gk", inner[:, 3:, 3:]) + STEP_SD**-2 - np.einsum("gak,gak->gk", inner[:, :2, 3:], tilt)
    gain = inner[:, 3:, 2] - np.einsum("gak,ga->gk", inner[:, :2, 3:], fitted)
    stepped = plain[:, None] + 0.5 * (gain**2 / own - np.log(own)) - np.log(STEP_SD)
    places = np.log([1.0 - STEP_CHANCE, *[STEP_CHANCE / steps.shape[1]] * steps.shape[1]])
    logged = np.column_stack([plain, stepped]) + places
    chance = np.exp(logged - logged.max())
    unseen = whole - across @ weight @ np.swapaxes(across, 1, 2)
    return _Models(season, chance / chance.sum(), fitted, inverse, gain / own, own, tilt, seen, unseen)


def _averaged(models: _Models) -> tuple[np.ndarray, np.ndarray]:
    """Mean [13] and covariance [13, 13] over all models of growth and of the season of each calendar month.

    Both are linear in what a model says: q = (b, H (y - a - b t - c [t >= k])) with H the season's gain. A step of 1 adds
    `bent` to q: its own part less that of the line, which it moves down.
    """
    none = np.zeros((len(models.season), 1, models.seen.shape[2]))
    none[:, 0, 1] = -1.0  # growth itself
    part = -np.concatenate([none, models.seen], axis=1)  # [G, 13, 3 + K]
    line, steps = part[:, :, :2], part[:, :, 3:]
    plain = np.einsum("gia,ga->gi", line, models.line) - part[:, :, 2]
    bent = steps - line @ models.tilt
    every = np.concatenate([plain[:, None], plain[:, None] + np.swapaxes(bent * models.step[:, None], 1, 2)], axis=1)
    mean = np.einsum("gk,gki->i", models.chance, every)
    inside = line @ models.line_covariance @ np.swapaxes(line, 1, 2)
    inside[:, 1:, 1:] += models.unseen
    covariance = np.einsum("g,gij->ij", models.chance.sum(axis=1), inside)
    covariance += np.einsum("gk,gik,gjk->ij", models.chance[:, 1:] / models.step_precision, bent, bent)
    away = every - mean
    return mean, covariance + np.einsum("gk,gki,gkj->ij", models.chance, away, away)


def by_calendar(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation of the seasons of months, by how far apart they are in the year, [n, m].

    >>> by_calendar(np.array([0, 6]), np.array([0, 6, 12])).round(2).tolist()
    [[1.0, -0.25, 1.0], [-0.25, 1.0, -0.25]]
    """
    apart = np.abs(one[:, None] - other[None, :]) % MONTHS_PER_YEAR
    turn = 2 * np.pi * apart / MONTHS_PER_YEAR
    return 0.5 * np.cos(turn) + 0.25 * np.cos(2 * turn) + 0.25 * (apart == 0)
