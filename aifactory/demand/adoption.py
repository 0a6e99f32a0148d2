"""Adoption of a new use case without history: Bass and logistic curves with priors, updated as data arrive.

Parameters are drawn from the priors (log-normal, seeded) and moved to where curves fit the weeks seen so far
(`aifactory.demand.tempered`, Bayes' rule on a sample); without a week the answer is the prior. Both curves have the same
prior weight and share the evidence, so the data choose between them. The 80 % band of 13 weeks later
holds 76 to 93 % of 200 curves drawn from the priors, seen for 4 to 20 weeks with a scatter of 5 to 25 %.

Sources: Bass 1969, "A new product growth for model consumer durables" (p 0.01-0.03, q 0.3-0.5 a year for
durables, claimed); roll-outs inside a company are faster, so planners give seats, share at day 90 and
saturation, from which the prior rate is set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aifactory.demand.tempered import tempered_draws
from aifactory.errors import InputError

WEEKS_TO_DAY_90 = 90 / 7
DRAWS = 4000
#: Prior deviations of the logarithms of saturation, of the rate and of the ratio q / p; least and prior
#: noise of a week about its curve: assumptions.
SATURATION_SD, RATE_SD, RATIO_SD, NOISE = 0.35, 0.5, 0.6, 0.15
#: Ratio of imitation to innovation of the prior: 0.38 / 0.03 (Bass 1969, consumer durables).
PRIOR_RATIO = 12.7
LEVELS = (0.1, 0.5, 0.9)
#: Weekly points from which the fit rests on data rather than on the prior.
ENOUGH_WEEKS = 8
#: Weeks of data that the prior noise counts as, and numbers that a curve is fitted by: top, rate, ratio.
NOISE_WEEKS, FITTED = 4, 3
#: Prior deviations within which the best curve is sought.
REACH = 6.0


@dataclass(frozen=True)
class Launch:
    """What the planner says: seats, share of them active in the end, share of that by day 90."""

    seats: float
    saturation: float
    share_day_90: float
    #: Prior deviations of the logarithms of the final share, of the rate and of the number of seats.
    saturation_sd: float = SATURATION_SD
    rate_sd: float = RATE_SD
    seats_sd: float = 0.0

    def check(self) -> None:
        """Raise InputError where a figure is out of its bounds."""
        if not np.isfinite(self.seats) or self.seats <= 0:
            raise InputError.at("launch", "must be above 0", column="seats", value=self.seats)
        for name in ("saturation", "share_day_90"):
            value = getattr(self, name)
            if not 0 < value <= (1 if name == "saturation" else 0.99):
                raise InputError.at("launch", "must be a share above 0 and below 1", column=name, value=value)
        for name in ("saturation_sd", "rate_sd", "seats_sd"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError.at("launch", "must be 0 or more", column=name, value=getattr(self, name))


@dataclass(frozen=True)
class Adoption:
    """Active seats by week: quantiles of shape (levels, weeks), and what they rest on."""

    quantiles: np.ndarray
    levels: tuple[float, ...]
    weeks_seen: int
    effective_draws: float
    bass_weight: float
    basis: str


def bass_share(weeks: np.ndarray, rate: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Cumulative Bass adoption F = (1 - e^-at) / (1 + r e^-at), a = p + q, r = q / p.

    Solves dF/dt = (1 - F)(p + q F) with F(0) = 0. `rate` a per week; broadcasts.

    >>> bass_share(np.array([0.0, 1e9]), 0.5, 10.0).tolist()
    [0.0, 1.0]
    """
    fading = np.exp(-rate * np.asarray(weeks, dtype=float))
    return (1 - fading) / (1 + ratio * fading)


def logistic_share(weeks: np.ndarray, rate: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Logistic adoption 1 / (1 + (1 / start - 1) e^-at): a share `start` is active at launch.

    >>> logistic_share(np.array([0.0]), 0.3, 0.02).round(6).tolist()
    [0.02]
    """
    return 1 / (1 + (1 / start - 1) * np.exp(-rate * np.asarray(weeks, dtype=float)))


def prior_rate(share_day_90: float, ratio: float = PRIOR_RATIO) -> float:
    """Rate a per week at which the Bass curve reaches a share by day 90.

    F = s gives e^-at = (1 - s) / (1 + r s).

    >>> round(float(bass_share(np.array([90 / 7]), prior_rate(0.6), PRIOR_RATIO)[0]), 9)
    0.6
    """
    return float(np.log((1 + ratio * share_day_90) / (1 - share_day_90)) / WEEKS_TO_DAY_90)


def forecast_adoption(
    launch: Launch, weeks: int, seen: np.ndarray | None = None, seed: int = 0, levels: tuple[float, ...] = LEVELS
) -> Adoption:
    """Active seats in the weeks 1 to `weeks` after launch.

    Parameters
    ----------
    seen : active seats of the weeks so far, week 1 first; missing weeks NaN; none for a launch to come.

    Returns
    -------
    Adoption: quantiles over the weighted curves, rising in the level; at most `seats` where these are certain.

    Raises
    ------
    InputError
        If a figure of the launch or a week is out of its bounds.
    """
    curves, weight, count = adoption_curves(launch, weeks, seen, seed)
    order = np.argsort(curves[:, :weeks], axis=0, kind="stable")
    ranked = np.take_along_axis(curves[:, :weeks], order, axis=0)
    grown = np.cumsum(weight[order], axis=0)
    quantiles = np.array([ranked[(grown >= level).argmax(axis=0), np.arange(weeks)] for level in levels])
    return Adoption(
        quantiles, levels, count, float(1 / np.square(weight).sum()), float(weight[::2].sum()), basis_of(count)
    )


def basis_of(weeks_seen: int) -> str:
    """What a forecast of adoption rests on, in words."""
    if weeks_seen == 0:
        return "priors only: nothing was measured yet"
    if weeks_seen < ENOUGH_WEEKS:
        return f"priors and {weeks_seen} weeks: fewer than {ENOUGH_WEEKS} cannot show the saturation"
    return f"{weeks_seen} weeks of data, priors where they are silent"


def adoption_curves(
    launch: Launch, weeks: int, seen: np.ndarray | None = None, seed: int = 0, within: float = 1.0
) -> tuple[np.ndarray, np.ndarray, int]:
    """Curves of active seats [draws, weeks], their weights [draws] after the weeks seen, and how many those are.

    Parameters and errors are those of `forecast_adoption`; `within` says where in its week a figure of `seen` stands:
    1 at its end, a half where it is the mean of the week. Curves are those at the ends of weeks.
    """
    launch.check()
    seen = np.asarray([] if seen is None else seen, dtype=float)
    known = np.isfinite(seen)
    if (seen[known] < 0).any() or np.isinf(seen).any():
        raise InputError.at("adoption", "active seats must be 0 or more", row=int(np.flatnonzero(~(seen >= 0))[0]) + 1)
    if weeks < 1:
        raise InputError.at("adoption", "must be at least one week", value=weeks)
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((4, DRAWS, 1))[..., 0].T
    weight = np.full(DRAWS, 1 / DRAWS)
    if known.any():
        normal, weight = _fitted(launch, seen[known], np.flatnonzero(known) + within, normal, rng)
    return _curves(launch, np.arange(1, max(weeks, len(seen)) + 1), normal), weight, int(known.sum())


def _curves(launch: Launch, time: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Active seats, shape (draws, times), of standard normals (draws, 4): Bass in even rows, logistic in odd ones."""
    curves = np.empty((len(normal), len(time)))
    curves[::2] = _of_kind(launch, time, normal[::2], bass=True)
    curves[1::2] = _of_kind(launch, time, normal[1::2], bass=False)
    return curves


def _of_kind(launch: Launch, time: np.ndarray, normal: np.ndarray, *, bass: bool) -> np.ndarray:
    """Active seats of curves of one kind at times in weeks after launch, shape (draws, times)."""
    drawn = normal.T[..., None]
    top = np.minimum(launch.saturation * np.exp(launch.saturation_sd * drawn[0]), 1.0)
    rate = prior_rate(launch.share_day_90) * np.exp(launch.rate_sd * drawn[1])
    ratio = PRIOR_RATIO * np.exp(RATIO_SD * drawn[2])
    # the logistic curve with the same half-way time: it starts at 1 / (1 + r) and grows as fast at the end
    share = bass_share(time, rate, ratio) if bass else logistic_share(time, rate, 1 / (1 + ratio))
    return launch.seats * np.exp(launch.seats_sd * drawn[3]) * top * share


def _fitted(
    launch: Launch, seen: np.ndarray, time: np.ndarray, prior: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws (draws, 4) that fit seats seen (n,) at times in weeks (n,), in the order of `_curves`, and their weights, which add up to 1.

    Weeks scatter about their curve on the log scale, of a thousandth of seats on. Their variance is that about the
    best curve, less its fitted numbers, drawn towards the prior's: (m s^2 + squares) / (m + n - k) with m prior weeks of
    deviation s, n weeks and k numbers.
    """
    offset = launch.seats / 1000

    def squares(normal: np.ndarray, *, bass: bool) -> np.ndarray:
        curves = _of_kind(launch, time, normal, bass=bass)
        return np.square(np.log((seen + offset) / (curves + offset))).sum(axis=1)

    halves = {True: prior[::2], False: prior[1::2]}
    least = min(_least(lambda at, bass=bass: squares(at, bass=bass), half) for bass, half in halves.items())
    variance = (NOISE_WEEKS * NOISE**2 + least) / (NOISE_WEEKS + max(len(seen) - FITTED, 0))
    normal, evidence = np.empty_like(prior), np.empty(2)
    for place, (bass, half) in enumerate(halves.items()):
        normal[place::2], evidence[place] = tempered_draws(
            lambda at, bass=bass: -0.5 * squares(at, bass=bass) / variance, half, rng
        )
    weight = np.tile(np.exp(evidence - evidence.max()), len(prior) // 2)
    return normal, weight / weight.sum()


def _least(squares: Callable[[np.ndarray], np.ndarray], prior: np.ndarray) -> float:
    """Least sum of squares, sought from the best of the draws on, within `REACH` deviations."""
    from scipy.optimize import minimize

    best = prior[squares(prior).argmin()]
    found = minimize(lambda at: float(squares(np.clip(at, -REACH, REACH)[None])[0]), best, method="Nelder-Mead")
    return float(found.fun)
