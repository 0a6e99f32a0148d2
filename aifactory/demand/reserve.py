"""How much capacity to hold until the next order arrives, as an output with its risk.

Four steps, each of which a planner can redo by hand:

1. the windows that count: those since the level last halved or doubled for good;
2. growth: where block means drift by more than their own scatter explains (twice the standard error of a
   random walk is taken off), each window is moved to the lead time ahead;
3. the quantile of these windows, weighted towards the recent ones (or, where the level wanders so slowly that its last value
   says more about a lead time later than its mean does, of their ratio to the level before), at the target times K / (K + 1):
   K lead times were seen, or K separate overloads if these are fewer, and what comes is one more of the same kind; beyond the
   highest window the tail goes on as a power law (Hill 1975), of a wandering level to twice the highest window;
4. in the record an error budget: where its plans left part of their target unused, or overdrew it, the next one aims at what
   is left of it, never above three times the target nor below a tenth (as in adaptive conformal inference, Gibbs and Candes
   2021, and in the error budgets of Google's Site Reliability Engineering, chapter 4). Windows count as soon as they are over.
   The plan of today aims at the target itself, as the first of the record does: nobody held those before it, so what they
   overdrew is no debt, and it says nothing of what comes. Who held one gives what is left as the target (`budget_left`).

The record is made by planning anew from every origin of the later half, each from its own past only, so
`exceedance_backtest` is out of sample: the share of windows over capacity from each origin to one lead
time later. Memory and blocks were set by leaving out one trace after the other.

How near the target such a record can come: peaks come in clusters (a busy day), and a later half holds few of
them. What was measured stands in `aifactory.demand.reserve_range`.
So state a target below 5 % only with months of history, and read `risk_low` and `risk_high`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from aifactory.demand.reserve_quantile import exceeded_by, unserved_by
from aifactory.demand.reserve_range import (
    MOST_TARGET,
    exceedance_range,
    independent_windows,
    missed_by_chance,
    risk_range,
    support_notes,
    supported_target,
)
from aifactory.errors import InputError
from aifactory.units import HOURS_PER_MONTH, counted, percent

ORIGINS_PER_LEAD, MOST_ORIGINS, WINDOWS_READ = 6, (60, 240), 400_000
#: Only so many windows, the last ones, count, or so many lead times where these are long.
MOST_HISTORY, MOST_LEADS = 50_000, 40
#: Weight of a window falls by e over this share of the history.
MEMORY = 1.0
#: Blocks of the history for growth and for levels; growth needs four, and no window further back than a factor.
GROWTH_BLOCKS, LEVEL_BLOCKS, MIN_BLOCKS, GROWTH_REACH = 12, 24, 4, 8.0
#: Standard errors of a random walk that are taken off the growth.
GROWTH_DOUBT = 2.0
#: A level has moved for good if every block since lies beyond this factor of the median of the three before.
SHIFT_FACTOR, SHIFT_BEFORE, SHIFT_LEADS = 2.0, 3, 2
#: Lead times over which what is left of the target is spent, and the limits of the next target.
BUDGET_LEADS, BUDGET_LIMITS = 1.0, (1 / 10, 3.0)
#: Multiple of the highest window that a wandering level may ask for: a high ratio times a high last level has no other bound.
MOST_OVER_HIGHEST = 2.0
#: Places within the lead time to which a growing series is moved.
AHEAD = (1 / 6, 1 / 2, 5 / 6)
MIN_WINDOWS, DAYS_OF_A_WEEK = 24, 7
#: A lead time longer than a quarter of the history is tested over that quarter; beyond twice the history it is refused.
MOST_STRETCH = 8.0
#: A level wanders if it moves within a lead time by less than its own variance: fewest lead times to see it, lowest
#: level as a share of the mean, and starts of a lead time that count in each.
MIN_LEADS, LEAST_LEVEL, STARTS_PER_LEAD = 4, 0.3, 3
GOALS = ("windows", "unserved")
ARTICLE = (0.2, 0.4)
STEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Reserve:
    """Capacity in units of demand per window, what it stands on and what it risked in the past.

    The basis is the 95th percentile of the last `basis_windows` windows. `first_window` is the first that
    counts (later than 0 after a lasting move of the level), `growth` the growth over the lead time, and
    `budget` what the record's plans left of the target, as a factor (not in `capacity`). `any_over_backtest` is the share of the record's lead
    times with any window over capacity. As overloads come in clusters, the record's windows say as much as
    `independent_windows`, and its risk in the long run lies between `exceedance_low` and `exceedance_high` (80 %).
    `overloads_expected` is how many independent ones would be over at the target, `target_supported` the least target
    at which three would (NaN where none below a quarter), and `missed_by_chance` the share of such records that miss the
    target by more than a factor of two though the plan is right: above a fifth it cannot be judged on them.
    Between `risk_low` and `risk_high` lie 80 % of the lead times
    to come, in the unit of the target. `curve` holds a row per fixed reserve over the basis,
    and a last one for this plan, made anew at every origin: reserve, exceedance, unserved share,
    utilization, hours per month over capacity.
    """

    basis_value: float
    basis_windows: int
    capacity: float
    reserve: float
    target: float
    goal: str
    exceedance_backtest: float
    exceedance_low: float
    exceedance_high: float
    independent_windows: float
    unserved_backtest: float
    any_over_backtest: float
    overloads_expected: float
    target_supported: float
    windows_judged: int
    missed_by_chance: float
    risk_low: float
    risk_high: float
    utilization: float
    hours_per_month_over: float
    origins: int
    first_window: int
    growth: float
    budget: float
    notes: tuple[str, ...]
    curve: pd.DataFrame = field(repr=False)


def plan_reserve(values: np.ndarray, lead: int, target: float, season: int = 0, goal: str = "windows") -> Reserve:
    """Capacity that is exceeded in `target` of the windows over the lead time ahead.

    Parameters
    ----------
    values : (n,), demand per window, not negative, no gaps, oldest first; the last `MOST_HISTORY` count.
    lead : windows from an order to its arrival; the capacity must last that long.
    target : share of windows over capacity, or of demand that is not served; above 0 and below 0.25.
    season : windows of a day where there is one (1: a window is a day), else 0: levels and growth are read from whole days.
    goal : what the target bounds: `windows` over capacity, or `unserved` demand.

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
    values = _usable(values, lead, target, goal)
    older = max(0, len(values) - max(MOST_HISTORY, MOST_LEADS * lead))
    values = values[older:]
    planned = min(lead, len(values) // 4)
    plan = _Plan(lead, target, season, goal)
    record = _Record(values, replace(plan, lead=planned))
    found = _reserve(record, plan)
    if not older:
        return found
    told = f"only the last {len(values):,} windows count, {older:,} before them do not"
    moved = found.first_window + older if found.first_window else 0
    return replace(found, first_window=moved, notes=(told, *found.notes))


def _reserve(record: _Record, plan: _Plan) -> Reserve:
    values, lead = record.values, record.plan.lead
    capacity = plan.capacity(values)
    curve = _curve(record)
    own, basis_value = curve.iloc[-1], float(record.basis_at(len(values)))
    first = plan.first_window(values)
    over = record.came > record.capacities[:, None] * (1 + 1e-9)
    span = len(values) - int(record.origins[0])
    independent = independent_windows(record.shares_over(over), lead)
    separate = plan.target * span * (_runs(over) / int(over.sum()) if over.any() else 1.0)
    met = float(own["exceedance" if plan.goal == "windows" else "unserved_share"])
    long_run = exceedance_range(float(own["exceedance"]), independent)
    low, high = risk_range(plan.target, met, separate, span / lead)
    return Reserve(
        basis_value=basis_value,
        basis_windows=lead,
        capacity=capacity,
        reserve=capacity / basis_value - 1 if basis_value > 0 else np.nan,
        target=plan.target,
        goal=plan.goal,
        exceedance_backtest=float(own["exceedance"]),
        exceedance_low=long_run[0],
        exceedance_high=long_run[1],
        independent_windows=independent,
        unserved_backtest=float(own["unserved_share"]),
        any_over_backtest=float(over.any(axis=1).mean()),
        overloads_expected=plan.target * independent,
        target_supported=supported_target(plan.target, plan.target * independent),
        windows_judged=span,
        missed_by_chance=missed_by_chance(values[-span:], plan.target, lead) if plan.goal == "windows" else np.nan,
        risk_low=low,
        risk_high=high,
        utilization=float(own["utilization"]),
        hours_per_month_over=float(own["hours_per_month_over"]),
        origins=len(record.origins),
        first_window=first,
        growth=float(np.expm1(plan.growth(values[first:]) * plan.lead)),
        budget=record.budget_at(len(values)),
        notes=(*_notes(record, plan, basis_value), *support_notes(plan.target, plan.target * independent)),
        curve=curve,
    )


def _notes(record: _Record, plan: _Plan, basis_value: float) -> list[str]:
    count, planned = len(record.values), record.plan.lead
    notes = []
    if planned < plan.lead:
        notes.append(
            f"the history holds {count / plan.lead:.1f} lead times, four are needed: the target is lowered "
            f"and so the capacity widened, but the backtest is over {counted(planned, 'window')} only"
        )
    if np.ptp(record.values) == 0:
        notes.append(f"every window holds {record.values[0]:g}: a reserve cannot be seen in such a history")
    busy = float((record.values > 0).mean())
    if 0 < busy <= plan.target and plan.goal == "windows":
        notes.append(
            f"only {percent(busy)} of the windows hold any demand, {percent(plan.target)} may be over: no capacity would do; "
            "bound the demand not served instead (--target-unserved), or count in longer windows"
        )
    if basis_value <= 0:
        notes.append("the basis is zero: a reserve over it says nothing, use the capacity")
    return notes


def _usable(values: np.ndarray, lead: int, target: float, goal: str) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if goal not in GOALS:
        raise InputError.at("goal", "is no goal.", value=goal, choices=GOALS)
    if not 0 < target < MOST_TARGET:
        raise InputError.at("target", f"must lie between 0 and {MOST_TARGET:g}", value=target)
    if lead < 1:
        raise InputError.at("lead time", "must be one window at least", value=lead)
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError("demand per window must be finite and not negative")
    least = max(MIN_WINDOWS, int(np.ceil(4 * lead / MOST_STRETCH)))
    if len(values) < least:
        raise InputError(
            f"a lead time of {counted(lead, 'window')} needs at least {counted(least, 'window')} of history; "
            f"there are {len(values):,}: {_nearest_lead(len(values))}"
        )
    return values


def _nearest_lead(count: int) -> str:
    """What a history of so many windows can be used for."""
    if count < MIN_WINDOWS:
        return "measure for longer or count in shorter windows"
    return f"plan over {counted(int(count * MOST_STRETCH / 4), 'window')} at most, or measure for longer"


@dataclass(frozen=True)
class _Plan:
    """The rule: from a history to a capacity."""

    lead: int
    target: float
    season: int
    goal: str

    def capacity(self, history: np.ndarray, budget: float = 1.0) -> float:
        """Capacity for the lead time after a history, (n,); it aims at `budget` times the target."""
        history = history[self.first_window(history) :]
        growth = self.growth(history)
        if growth > 0:  # a window far below today's level says little about it
            history = history[-max(SHIFT_LEADS * self.lead, int(np.log(GROWTH_REACH) / growth)) :]
        age = np.arange(len(history), 0, -1.0)
        weight = np.exp(-age / (MEMORY * len(history)))
        weight /= weight.sum()
        high = history > exceeded_by(history[:, None], weight, self.target)
        seen = min(1 / (weight @ weight) / self.lead, max(_runs(high), 1))
        level = self.target * budget * seen / (seen + 1)
        now = history * np.exp(growth * age) if growth else history
        wandered = self._wandered(now)
        if wandered is not None:
            leads, weights, last = wandered
            grown = np.exp(growth * np.arange(1, self.lead + 1))
            most = MOST_OVER_HIGHEST * now.max() * grown.max()
            return min(self._level_of(leads * grown, weights, level) * last, float(most))
        if growth:
            ahead = [history * np.exp(growth * (age + place * self.lead)) for place in AHEAD]
            history, weight = np.concatenate(ahead), np.tile(weight / len(AHEAD), len(AHEAD))
        return self._level_of(history, weight, level)

    def _level_of(self, values: np.ndarray, weights: np.ndarray, level: float) -> float:
        level_of = exceeded_by if self.goal == "windows" else unserved_by
        return level_of(values.ravel()[:, None], weights.ravel() / weights.sum(), level)

    def _wandered(self, history: np.ndarray) -> tuple[np.ndarray, np.ndarray, float] | None:
        """Lead times over the level before each, their weights (both (starts, lead)), and the last level.

        None where the level, the mean of half a lead time, does not wander: where it moves within a lead time
        by more than its own variance, mean (log L(t + lead) - log L(t))^2 >= var log L, the mean of the past says
        more about what comes than the last level does. Levels are those of whole days, of whole weeks where the lead time is as
        long: those of other blocks swing with the day and the week, and are back a lead time later.
        """
        block = self._whole(max(1, self.lead // 2))
        if len(history) < max(MIN_LEADS * self.lead, 2 * self.lead + block + 2):
            return None
        total = np.concatenate([[0.0], np.cumsum(history)])
        level = np.maximum((total[block:] - total[:-block]) / block, LEAST_LEVEL * history.mean())
        if level[-1] <= 0:
            return None
        logs = np.log(level)
        if np.square(logs[self.lead :] - logs[: -self.lead]).mean() >= logs.var():
            return None
        starts = np.arange(len(history) - self.lead, block - 1, -max(1, self.lead // STARTS_PER_LEAD))[::-1]
        leads = sliding_window_view(history, self.lead)[starts] / level[starts - block, None]
        age = len(history) - starts
        return leads, np.broadcast_to(np.exp(-age / (MEMORY * len(history)))[:, None], leads.shape), float(level[-1])

    def _whole(self, block: int) -> int:
        """The block in whole days, in whole weeks where the lead time is a week or more; as it is where there are no days."""
        if not self.season or self.lead < self.season:
            return block
        unit = self.season * (DAYS_OF_A_WEEK if self.lead >= DAYS_OF_A_WEEK * self.season else 1)
        return -(-block // unit) * unit

    def first_window(self, history: np.ndarray) -> int:
        """First window since the level halved or doubled for good; 0 where it did not."""
        block = max(self.lead // 2, len(history) // LEVEL_BLOCKS, self.season, MIN_BLOCKS)
        count = len(history) // block
        start = len(history) - count * block
        level = history[start:].reshape(count, block).mean(axis=1)
        least = max(SHIFT_LEADS * self.lead, MIN_WINDOWS)
        for first in range(count - 2, SHIFT_BEFORE - 1, -1):
            before = float(np.median(level[first - SHIFT_BEFORE : first]))
            if (count - first) * block < least or before <= 0:
                continue
            for moved in (level < before / SHIFT_FACTOR, level > before * SHIFT_FACTOR):
                if moved[first:].all() and not moved[first - 1]:
                    return start + first * block
        return 0

    def growth(self, history: np.ndarray) -> float:
        """Growth of the logarithm per window, less what a random walk of its scatter may show."""
        block = max(len(history) // GROWTH_BLOCKS, self.season, 1)
        count = len(history) // block
        level = history[len(history) - count * block :].reshape(count, block).mean(axis=1)
        if count < MIN_BLOCKS or (level <= 0).any():
            return 0.0
        steps = np.diff(np.log(level))
        mean, error = float(steps.mean()), float(steps.std(ddof=1)) / np.sqrt(len(steps))
        kept = max(0.0, 1 - (GROWTH_DOUBT * error / mean) ** 2) if mean else 0.0
        return mean * kept / block


class _Record:
    """What plans made by the rule at each origin of the later half met in the lead time after it."""

    def __init__(self, values: np.ndarray, plan: _Plan) -> None:
        self.values, self.plan = values, plan
        first, last = (len(values) + 1) // 2, len(values) - plan.lead
        most = int(np.clip(WINDOWS_READ // len(values), *MOST_ORIGINS))
        step = max(1, plan.lead // ORIGINS_PER_LEAD, (last - first) // most)
        self.origins = np.arange(first, last + 1, step)
        self.came = np.array([values[origin : origin + plan.lead] for origin in self.origins])
        self.capacities = np.full(len(self.origins), np.nan)
        self.step = step
        self.missed, self.counted = [], []  # of each plan: sums over its windows up to each of them
        for place, origin in enumerate(self.origins):
            self.capacities[place] = plan.capacity(values[:origin], self.budget_at(origin))
            self._settle(self.came[place], self.capacities[place])

    def _settle(self, came: np.ndarray, capacity: float) -> None:
        over = np.maximum(came - capacity, 0.0)
        if self.plan.goal == "windows":
            over, came = over > 1e-9 * capacity, np.ones(len(came))
        self.missed.append(np.cumsum(over))
        self.counted.append(np.cumsum(came))

    def budget_at(self, origin: int) -> float:
        """What the plans before an origin left of their target by then, as a factor of the next target."""
        seen = np.clip(origin - self.origins[: len(self.missed)], 0, self.plan.lead)
        begun = [(place, count - 1) for place, count in enumerate(seen) if count > 0]
        counted = sum(self.counted[place][last] for place, last in begun)
        if not counted > 0:
            return 1.0
        missed = sum(self.missed[place][last] for place, last in begun)
        leads = float(seen.sum()) * self.step / self.plan.lead**2
        return budget_left(float(missed / counted), leads, self.plan.target)

    def shares_over(self, over: np.ndarray) -> np.ndarray:
        """Share of the plans over capacity in each window since the first; without any, windows above the target's
        quantile. Over is (origins, lead).
        """
        first = int(self.origins[0])
        later = self.values[first:]
        if not over.any():
            return (later >= np.quantile(later, 1 - self.plan.target)).astype(float)
        hit, plans = np.zeros(len(later)), np.zeros(len(later))
        for origin, row in zip(self.origins - first, over, strict=True):
            hit[origin : origin + self.plan.lead] += row
            plans[origin : origin + self.plan.lead] += 1
        return hit / np.maximum(plans, 1)

    def basis_at(self, origin: int) -> float:
        """What the reserve is stated over: p95 of the last lead time."""
        return float(np.quantile(self.values[max(0, origin - self.plan.lead) : origin], 0.95))


def _runs(over: np.ndarray) -> int:
    """Stretches of neighbouring windows over capacity; rows, where there are, stand alone.

    >>> _runs(np.array([False, True, True, False, True]))
    2
    """
    return int((np.diff(over.astype("int8"), axis=-1, prepend=0) > 0).sum())


def budget_left(missed: float, leads: float, target: float) -> float:
    """Next target over the target: 1 + leads (1 - missed / target), within limits.

    What `leads` lead times with a risk of `missed` on average left of their target, spent over one.

    >>> budget_left(0.01, 2, 0.01), budget_left(0.0, 1, 0.01), budget_left(0.05, 8, 0.01)
    (1.0, 2.0, 0.1)
    """
    return float(np.clip(1 + leads / BUDGET_LEADS * (1 - missed / target), *BUDGET_LIMITS))


def _curve(record: _Record) -> pd.DataFrame:
    bases = np.array([record.basis_at(origin) for origin in record.origins])
    rows = [{"reserve": step, "plan": "fixed"} | _realised(record, (1 + step) * bases) for step in STEPS]
    own = record.capacities
    ratio = float(np.median(own / np.maximum(bases, 1e-12) - 1))
    return pd.DataFrame([*rows, {"reserve": ratio, "plan": "this plan"} | _realised(record, own)])


def _risk(came: np.ndarray, capacity: np.ndarray | float) -> tuple[float, float, float]:
    """Share of windows over capacity, of demand unserved, of capacity used; came (..., lead)."""
    capacity = np.asarray(capacity, dtype=float)[..., None]
    over = np.maximum(came - capacity, 0.0)
    # a capacity that holds its own windows exactly is not over for rounding
    exceeded = float((over > 1e-9 * capacity).mean())
    served, total = float((came - over).sum()), float(came.sum())
    held = float(capacity.sum()) * came.shape[-1]
    return exceeded, float(over.sum()) / total if total else 0.0, served / held if held else np.nan


def _realised(record: _Record, capacity: np.ndarray) -> dict[str, float]:
    exceeded, unserved, used = _risk(record.came, capacity)
    return {
        "exceedance": exceeded,
        "unserved_share": unserved,
        "utilization": used,
        "hours_per_month_over": exceeded * HOURS_PER_MONTH,
    }
