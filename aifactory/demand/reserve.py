"""How much capacity to hold until the next order arrives, as an output with its risk.

The question is put to every moment of the past where the answer is known: what multiple of a basis
(mean, 95th percentile or peak of several look-backs) would the following lead time have needed? Growth,
season, level shifts and bursts over a lead time are all in those multiples. The capacity is the median,
over the bases, of the pooled multiple that is exceeded in `target` of the windows, times the basis of
today; beyond the highest multiple seen, the tail goes on as a power law (Hill 1975). A factor then
corrects what plans made that way in the past got wrong (conformal calibration on past origins).

Nothing after an origin enters the plan made at it, so `exceedance_backtest` is out of sample. It is the
share of windows over capacity from each origin to one lead time later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.units import HOURS_PER_MONTH

ORIGINS_PER_LEAD, LEAST_ORIGINS, MOST_ORIGINS, POOLED_WINDOWS = 6, 24, 80, 10_000
#: Memory of the pooled multiples and of the correction: lead times, or windows over the target.
MEMORY_LEADS, CORRECTION_LEADS, MEMORY_WINDOWS = 4.0, 3.0, 10.0
CORRECTION_PRIOR_LEADS, CORRECTION_LIMITS = 4.0, (1 / 3, 3.0)
#: A basis never falls below this share of the same statistic of the whole past.
LEAST_BASIS = 0.3
TAIL_SHARE, MOST_TAIL_INDEX = 0.1, 0.5
#: Powers of a basis: 1 where the level stays where it is, less where it returns to its mean (0: no basis).
POWERS = (1.0, 0.5)
#: A basis must be known for this share of the origins; the median is over the steadiest, one in so many.
LEAST_HELD, STEADIEST, MIN_STEADY = 0.6, 3, 3
#: Part of each lead time kept, highest windows first: a multiple of the target, at most a half.
KEPT_TARGETS, KEPT_SHARE = 25, 0.5
MIN_WINDOWS, MIN_COMPLETE = 24, 2
#: Without enough complete lead times, a shorter one is planned and widened; at most by this ratio.
MOST_STRETCH, WIDENING_Z = 8.0, 1.28
STATISTICS = ("mean", "p95", "peak")
ARTICLE = (0.2, 0.4)
STEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Reserve:
    """Capacity in units of demand per window, what it stands on and what it risked in the past.

    The basis is the 95th percentile of the last `basis_windows` windows. `curve` holds a row per fixed reserve over the basis, and a last one for this plan, made anew at
    every origin: reserve, exceedance, unserved share, utilization, hours per month over capacity.
    """

    basis_value: float
    basis_windows: int
    capacity: float
    reserve: float
    target: float
    exceedance_backtest: float
    unserved_backtest: float
    utilization: float
    hours_per_month_over: float
    origins: int
    notes: tuple[str, ...]
    curve: pd.DataFrame = field(repr=False)


def plan_reserve(values: np.ndarray, lead: int, target: float, season: int = 0) -> Reserve:
    """Capacity that is exceeded in `target` of the windows over the lead time ahead.

    Parameters
    ----------
    values : (n,), demand per window, not negative, no gaps, oldest first.
    lead : windows from an order to its arrival; the capacity must last that long.
    target : share of windows over capacity, above 0 and below 0.25.
    season : windows of a day where there is one, else 0: adds look-backs of a day and a week.

    Raises
    ------
    InputError
        If the history is too short for the lead time (less than half of it), or values cannot be used.

    Examples
    --------
    >>> steady = plan_reserve(np.tile([8.0, 10.0, 9.0, 10.0], 100), lead=40, target=0.01)
    >>> round(steady.capacity, 6), steady.exceedance_backtest
    (10.0, 0.0)
    """
    values = _usable(values, lead, target)
    notes: list[str] = []
    planned = min(lead, len(values) // 4)
    if planned < lead:
        notes.append(
            f"the history holds {len(values) / lead:.1f} lead times, four are needed: planned over {planned} windows and widened; "
            f"the backtest is over {planned} windows"
        )
    past = _Past(values, planned, target, season)
    capacities = past.capacities()
    capacity = past.capacity_at(len(values)) * (_stretch(past, lead / planned) if planned < lead else 1.0)
    tested = np.flatnonzero(
        (past.origins >= len(values) / 2) & (past.origins + planned <= len(values)) & np.isfinite(capacities)
    )
    curve = _curve(past, tested, capacities)
    if not len(tested):
        notes.append("too short a history to backtest: the exceedance is not known")
    own = curve.iloc[-1]
    basis_value = float(past.basis_at(len(values)))
    if basis_value <= 0:
        notes.append("the basis is zero: a reserve over it says nothing, use the capacity")
    return Reserve(
        basis_value=basis_value,
        basis_windows=min(planned, len(values)),
        capacity=float(capacity),
        reserve=float(capacity / basis_value - 1) if basis_value > 0 else np.nan,
        target=target,
        exceedance_backtest=float(own["exceedance"]),
        unserved_backtest=float(own["unserved_share"]),
        utilization=float(own["utilization"])
        if len(tested)
        else float(values[-planned:].mean() / max(capacity, 1e-12)),
        hours_per_month_over=float(own["hours_per_month_over"]) if len(tested) else target * HOURS_PER_MONTH,
        origins=len(tested),
        notes=tuple(notes),
        curve=curve,
    )


def _usable(values: np.ndarray, lead: int, target: float) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if not 0 < target < KEPT_SHARE / 2:
        raise InputError.at("target", f"must lie between 0 and {KEPT_SHARE / 2:g}", value=target)
    if lead < 1:
        raise InputError.at("lead time", "must be one window at least", value=lead)
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError("demand per window must be finite and not negative")
    least = max(MIN_WINDOWS, int(np.ceil(4 * lead / MOST_STRETCH)))
    if len(values) < least:
        raise InputError(
            f"a lead time of {lead} windows needs at least {least} windows of history; there are {len(values)}: "
            "plan over a shorter lead time or measure for longer"
        )
    return values


class _Past:
    """Every origin of the past: its bases, the windows that followed, highest first, and their need."""

    def __init__(self, values: np.ndarray, lead: int, target: float, season: int) -> None:
        self.values, self.lead, self.target = values, lead, target
        self.spans = [lead, 2 * lead, 4 * lead, *([season, 7 * season] if season > 1 else [])]
        first = max(min(2 * lead, len(values) // 5), 8)
        kept = max(3, int(np.ceil(min(KEPT_SHARE, KEPT_TARGETS * target) * lead)))
        most = int(np.clip(POOLED_WINDOWS // kept, LEAST_ORIGINS, MOST_ORIGINS))
        step = max(1, lead // ORIGINS_PER_LEAD, (len(values) - first - lead) // most)
        self.origins = np.arange(first, len(values) - lead + 1, step)
        self.bases = np.array([self.bases_at(origin) for origin in self.origins])
        self.top = np.array([np.sort(values[origin : origin + lead])[::-1][:kept] for origin in self.origins])
        each = np.array([1 / lead])
        self.need = np.array([exceeded_by(top[None], each, target) for top in self.top])

    def bases_at(self, origin: int) -> np.ndarray:
        """Powers of the statistics by look-back, the whole past last, then 1; NaN where too short."""
        whole = _statistics(self.values[:origin])
        rows = [
            np.maximum(_statistics(self.values[origin - span : origin]), LEAST_BASIS * whole)
            if MIN_COMPLETE < span <= origin
            else np.full(len(STATISTICS), np.nan)
            for span in self.spans
        ]
        bases = np.maximum(np.array([*rows, whole]).ravel(), 1e-12)
        return np.concatenate([*(bases**power for power in POWERS), np.ones(1)])

    def basis_at(self, origin: int) -> float:
        """What the reserve is stated over: p95 of the last lead time."""
        return float(np.quantile(self.values[max(0, origin - self.lead) : origin], 0.95))

    def capacities(self) -> np.ndarray:
        """Capacity planned at each origin from its past; NaN where none can be."""
        found = np.full(len(self.origins), np.nan)
        self.raw = found.copy()
        for place, origin in enumerate(self.origins):
            if self._complete(origin).sum() >= MIN_COMPLETE:
                self.raw[place] = self._uncorrected(origin, self.bases[place])
                found[place] = self.raw[place] * self._correction(origin)
        return found

    def capacity_at(self, origin: int) -> float:
        """Capacity planned at an origin after `capacities` was called."""
        return self._uncorrected(origin, self.bases_at(origin)) * self._correction(origin)

    def _complete(self, origin: int) -> np.ndarray:
        return self.origins + self.lead <= origin

    def _weights(self, origin: int, chosen: np.ndarray, leads: float) -> np.ndarray:
        memory = max(leads * self.lead, MEMORY_WINDOWS / self.target)
        weight = np.exp(-(origin - self.origins[chosen] - self.lead) / memory)
        return weight / weight.sum() / self.lead

    def _uncorrected(self, origin: int, bases: np.ndarray) -> float:
        complete = np.flatnonzero(self._complete(origin))
        answers, spreads = [], []
        for column in np.flatnonzero(np.isfinite(bases)):
            held = complete[np.isfinite(self.bases[complete, column])]
            if len(held) < max(MIN_COMPLETE, LEAST_HELD * len(complete)):
                continue
            weight = self._weights(origin, held, MEMORY_LEADS)
            basis = self.bases[held, column]
            spreads.append(_deviation(np.log(np.maximum(self.need[held], 1e-12) / basis), weight))
            answers.append(exceeded_by(self.top[held] / basis[:, None], weight, self.target) * bases[column])
        steady = np.argsort(spreads, kind="stable")[: max(MIN_STEADY, len(spreads) // STEADIEST)]
        return float(np.median(np.array(answers)[steady]))

    def _correction(self, origin: int) -> float:
        held = np.flatnonzero(self._complete(origin) & np.isfinite(self.raw))
        held = held[self.raw[held] > 0]
        if len(held) < MIN_COMPLETE:
            return 1.0
        miss = exceeded_by(
            self.top[held] / self.raw[held][:, None], self._weights(origin, held, CORRECTION_LEADS), self.target
        )
        leads = (self.origins[held[-1]] - self.origins[held[0]]) / self.lead + 1
        return float(np.clip(miss, *CORRECTION_LIMITS) ** (leads / (leads + CORRECTION_PRIOR_LEADS)))


def _deviation(values: np.ndarray, weights: np.ndarray) -> float:
    mean = weights @ values / weights.sum()
    return float(np.sqrt(weights @ np.square(values - mean) / weights.sum()))


def _statistics(values: np.ndarray) -> np.ndarray:
    return np.array([values.mean(), np.quantile(values, 0.95), values.max()])


def exceeded_by(top: np.ndarray, weights: np.ndarray, target: float) -> float:
    """Value that a share `target` of the windows exceeds.

    Parameters
    ----------
    top : (origins, kept), the highest windows after each origin, in any order.
    weights : (origins,), weight of one window; over all windows, kept or not, they add up to one.

    >>> exceeded_by(np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([0.25]), 0.25)
    4.0
    """
    flat, weight = top.ravel(), np.repeat(weights, top.shape[1])
    order = np.argsort(-flat, kind="stable")
    high, grown = np.maximum(flat[order], 1e-12), np.cumsum(weight[order])
    place = int(np.searchsorted(grown, target * (1 - 1e-9)))
    if place == 0:
        return float(high[0] * (grown[0] / target) ** _tail_index(high, grown))
    place = min(place, len(high) - 1)
    share = (target - grown[place - 1]) / (grown[place] - grown[place - 1])
    return float(np.exp(np.interp(share, [0.0, 1.0], np.log(high[place - 1 : place + 1]))))


def _tail_index(high: np.ndarray, grown: np.ndarray) -> float:
    """Hill estimate over the highest tenth, at most one half (finite variance)."""
    count = int(np.searchsorted(grown, TAIL_SHARE))
    return (
        float(np.clip(np.log(high[:count] / high[count]).mean(), 0.0, MOST_TAIL_INDEX))
        if 2 < count < len(high)
        else 0.0
    )


def _stretch(past: _Past, ratio: float) -> float:
    """Factor for a longer lead time: the level walks, so its deviation grows with the square root."""
    complete = past.need > 0
    spread = np.log(past.need[complete] / past.bases[complete, 0]) if complete.any() else np.zeros(1)
    deviation = float(np.nanstd(spread))
    return float(np.exp(WIDENING_Z * deviation * np.sqrt(ratio - 1)))


def _curve(past: _Past, tested: np.ndarray, capacities: np.ndarray) -> pd.DataFrame:
    bases = np.array([past.basis_at(past.origins[place]) for place in tested])
    rows = [{"reserve": step, "plan": "fixed"} | _realised(past, tested, (1 + step) * bases) for step in STEPS]
    own = capacities[tested]
    ratio = float(np.median(own / np.maximum(bases, 1e-12) - 1)) if len(tested) else np.nan
    return pd.DataFrame([*rows, {"reserve": ratio, "plan": "this plan"} | _realised(past, tested, own)])


def _realised(past: _Past, tested: np.ndarray, capacity: np.ndarray) -> dict[str, float]:
    if not len(tested):
        return dict.fromkeys(("exceedance", "unserved_share", "utilization", "hours_per_month_over"), np.nan)
    came = np.array([past.values[origin : origin + past.lead] for origin in past.origins[tested]])
    over = np.maximum(came - capacity[:, None], 0.0)
    # a capacity that holds its own windows exactly is not over for rounding
    exceeded = float((over > 1e-9 * np.maximum(capacity, 1.0)[:, None]).mean())
    served, total = float((came - over).sum()), float(came.sum())
    return {
        "exceedance": exceeded,
        "unserved_share": float(over.sum()) / total if total else 0.0,
        "utilization": served / (float(capacity.sum()) * past.lead) if capacity.sum() else np.nan,
        "hours_per_month_over": exceeded * HOURS_PER_MONTH,
    }
