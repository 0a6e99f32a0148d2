"""What each way to plan would have cost on a history: plan on its first part, pay for the rest.

All ways see the first part only and commit nodes of one platform for the rest, in periods (days, weeks or months); hours
beyond are rented where they are offered, else missed. Rules look back as far as they look ahead, as the recommenders of
providers do; our plan is made over many futures of the series' own forecast. What is paid is priced by the evaluator of
plans on every window that came. Money is not discounted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtr

from aifactory.buyplan.optimise.policies import policy_plans
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.stress.replan import replan
from aifactory.buyplan.stress.world import outcome, world_of
from aifactory.demand.combine import forecast_series
from aifactory.errors import InputError

OURS, FORESIGHT, MIX = "plan over many futures", "perfect foresight", "cheapest mix without time"
#: Rules by their name in `policy_plans`, and as they are shown.
RULES = {
    "all on demand": "all on demand", "peak of the 95 % path": "peak", "average": "average", "average + 20 %": "average + 20 %",
    "average + 40 %": "average + 40 %", "newsvendor": "newsvendor",
}  # fmt: skip
#: Quantiles of the forecast that futures are drawn between; share of their variance that lasts over the periods.
LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
LASTING = 0.8
FUTURES, FEWEST_PERIODS, MOST_BLOCKS = 100, 4, 24
GAP = 0.001


@dataclass(frozen=True)
class Offers:
    """Prices of an accelerator-hour: on demand, for terms of whole periods, and of an hour that is missed.

    Attributes
    ----------
    on_demand_usd : infinite where no hours can be rented.
    terms : name, periods and USD per hour of each commitment, which is paid in every hour.
    miss_usd : what an accelerator-hour of missed demand costs.
    source : where the prices are from, and of when.
    stranded : share of the payments beyond the history that counts; 0 where a history is shorter than the terms, so that
        each term is paid for as long as it was tested.
    """

    on_demand_usd: float
    terms: tuple[tuple[str, int, float], ...]
    miss_usd: float
    source: str
    stranded: float = 1.0


def backtest_policies(
    accelerators: np.ndarray,
    offers: Offers,
    *,
    windows: int,
    window_hours: float,
    train: int,
    season: int = 1,
    replan_every: int | None = None,
    node_size: int = 8,
    futures: int = FUTURES,
    seed: int = 0,
) -> pd.DataFrame:
    """Cost of every way to plan on the rest of a history.

    Parameters
    ----------
    accelerators : (n,) accelerators at work in each window of the history: its load over the capacity of one.
    windows, window_hours : windows in a period and hours in a window; an incomplete last period is left out.
    train : periods to plan on; at least four, and at least one is left to pay for.
    season : periods of a season, 7 for days.
    replan_every : periods after which every way plans anew with what was seen since; None: once.
    node_size : accelerators that are committed at once.

    Returns
    -------
    One row per policy, cheapest first: policy, cost_usd, committed_usd, rented_usd, missed_hours, missed_share, penalty_usd,
    regret_usd and regret_share (over perfect foresight, which no plan can beat).

    Raises
    ------
    InputError
        If the history is too short, or holds negative or missing values.
    """
    periods = _periods(accelerators, windows, train)
    came = periods[train:]
    every = replan_every or len(came)
    make = {"offers": offers, "windows": windows, "window_hours": window_hours, "node_size": node_size}
    actual = _problem(-np.sort(-came, axis=1)[None], len(came), **make)
    placed: dict[str, np.ndarray] = {}
    for step in range(0, len(came), every):
        past = periods[: train + step]
        placed = _place(actual, placed, past, step, every, season, np.random.SeedSequence((seed, step)), futures, make)
    best = replan(world_of(actual), np.zeros(len(actual.orders)), gap=GAP)
    plans = placed | {FORESIGHT: best.nodes}
    rows = [{"policy": name, **_paid(actual, nodes)} for name, nodes in plans.items()]
    table = pd.DataFrame(rows).sort_values("cost_usd", kind="stable", ignore_index=True)
    least = table.loc[table["policy"] == FORESIGHT, "cost_usd"].iloc[0]
    regret = table["cost_usd"] - least
    return table.assign(regret_usd=regret, regret_share=regret / least if least > 0 else np.nan)


def _place(
    actual: Problem,
    placed: dict[str, np.ndarray],
    past: np.ndarray,
    step: int,
    every: int,
    season: int,
    seed: np.random.SeedSequence,
    futures: int,
    make: dict[str, object],
) -> dict[str, np.ndarray]:
    """Orders of every policy with those of the periods from `step` until it plans anew; those placed before stand."""
    ahead = actual.months - step
    back = past[-min(ahead, len(past)) :]
    known = _problem(_blocks(back.ravel(), back.shape[1] * len(back))[None], ahead, **make)
    future = _problem(_futures(past, ahead, season, futures, seed), ahead, **make)

    def rule(name: str) -> Callable[[Problem], np.ndarray]:
        return lambda problem: policy_plans(problem)[name]

    def best(problem: Problem) -> np.ndarray:
        return replan(world_of(problem), np.zeros(len(problem.orders)), gap=GAP).nodes

    ways = {shown: (known, rule(name)) for name, shown in RULES.items()} | {MIX: (known, best), OURS: (future, best)}
    column = {(option, month): at for at, (option, month) in enumerate(actual.orders)}
    found = {}
    for name, (problem, way) in ways.items():
        nodes = placed.get(name, np.zeros(len(actual.orders))).copy()
        there = replace(problem, owned=(actual.serves @ nodes)[step:])
        for (option, month), count in zip(there.orders, way(there), strict=True):
            if month < every:
                nodes[column[option, month + step]] += count
        found[name] = nodes
    return found


def _periods(accelerators: np.ndarray, windows: int, train: int) -> np.ndarray:
    """[periods, windows] of the history, checked."""
    values = np.asarray(accelerators, dtype=float)
    if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any():
        raise InputError("a history must be one row of numbers of at least 0, without gaps")
    count = len(values) // windows if windows > 0 else 0
    if not FEWEST_PERIODS <= train < count:
        raise InputError(
            f"a backtest of plans needs at least {FEWEST_PERIODS} periods to plan on and one to pay for; the history holds {count} "
            f"of {windows} windows, {train} to plan on"
        )
    return values[: count * windows].reshape(count, windows)


def _problem(
    demand: np.ndarray, ahead: int, *, offers: Offers, windows: int, window_hours: float, node_size: int
) -> Problem:
    """One platform and one workload; demand [S, T or 1, K] in accelerators, blocks of equal hours from the highest."""
    demand = np.broadcast_to(demand, (len(demand), ahead, demand.shape[2]))[:, :, None]
    hours = windows * window_hours
    options = tuple(Option(name, 0, term, 0, 0.0, usd * hours) for name, term, usd in offers.terms)
    rent = np.full((ahead, 1), offers.on_demand_usd)
    return Problem(
        demand=demand, block_hours=np.full(demand.shape[3], hours / demand.shape[3]), rate=np.ones((1, 1)),
        deferrable=np.zeros(1, bool), node_size=np.array([node_size]), options=options, on_demand_usd=rent, spot_usd=rent,
        api_usd=np.full((ahead, 1), np.inf), miss_usd=np.array([offers.miss_usd]), owned=np.zeros((ahead, 1)),
        on_demand_most=np.array([np.inf if np.isfinite(offers.on_demand_usd) else 0.0]), spot_share=np.ones(1),
        kw=np.zeros(1), order_months=tuple(range(ahead)), wacc=0.0, stranded=offers.stranded, risk_weight=0.0,
    )  # fmt: skip


def _blocks(loads: np.ndarray, most: int) -> np.ndarray:
    """[1, K] loads from the highest down, in at most 24 blocks of about equal hours that keep the volume."""
    ordered = -np.sort(-np.asarray(loads, dtype=float))
    count = min(len(ordered), most, MOST_BLOCKS)
    edges = np.linspace(0, len(ordered), count + 1)
    volume = np.interp(edges, np.arange(len(ordered) + 1), np.concatenate([[0.0], np.cumsum(ordered)]))
    return (np.diff(volume) / np.diff(edges))[None]


def _futures(past: np.ndarray, ahead: int, season: int, count: int, seed: np.random.SeedSequence) -> np.ndarray:
    """[S, T, K] futures of the load: half from the forecast, half of periods that were, as an equal pool of two views.

    Forecast: level of a period at the quantile of a normal draw sqrt(q) z_path + sqrt(1 - q) z, q = `LASTING`, with the
    shape of a period that was. History: whole periods of the look-back, drawn one by one.
    """
    rng = np.random.default_rng(seed)
    level = past.mean(axis=1)
    bands = forecast_series(level, season, ahead, LEVELS).quantiles
    half = count // 2
    lasting, own = rng.standard_normal((half, 1)), rng.standard_normal((half, ahead))
    share = ndtr(np.sqrt(LASTING) * lasting + np.sqrt(1 - LASTING) * own)
    drawn = np.stack([np.interp(share[:, step], LEVELS, bands[:, step]) for step in range(ahead)], axis=1)
    curves = np.concatenate([_blocks(period, past.shape[1]) for period in past])
    shapes = (curves / np.where(level > 0, level, 1.0)[:, None])[level > 0]
    if not len(shapes):
        return np.zeros((count, ahead, curves.shape[1]))
    by_forecast = drawn[:, :, None] * shapes[rng.integers(0, len(shapes), (half, ahead))]
    recent = curves[-min(ahead, len(curves)) :]
    return np.concatenate([by_forecast, recent[rng.integers(0, len(recent), (count - half, ahead))]])


def _paid(actual: Problem, nodes: np.ndarray) -> dict[str, float]:
    found = outcome(world_of(actual), nodes)
    cost = found.objective_usd
    return {
        "cost_usd": cost,
        "committed_usd": found.orders_usd,
        "rented_usd": cost - found.orders_usd - found.penalty_usd,
        "missed_hours": found.missed_hours,
        "missed_share": found.missed_share,
        "penalty_usd": found.penalty_usd,
    }
