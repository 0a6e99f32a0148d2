"""Ways to plan on the organisation's own past: on its first half, paid for on its second, pool by pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.buyplan.backtest import FEWEST_PERIODS, FORESIGHT, OURS, Offers, backtest_policies
from aifactory.buyplan.case import Case
from aifactory.buyplan.stress.basis import StressBasis
from aifactory.demand.profile import hourly_series, since_as_fine
from aifactory.fleet.allowed_wait import spread_over
from aifactory.fleet.nodes import node_counts
from aifactory.units import HOURS_PER_MONTH, SECONDS_PER_HOUR

#: Most hours of a pool's past without a measurement; futures of a plan; months between plans.
MOST_MISSING, FUTURES, REPLAN_EVERY = 0.05, 60, 1


@dataclass(frozen=True)
class HistoryBasis:
    """Past loads of the pools with their offers.

    Attributes
    ----------
    loads : (hours,) accelerators of the whole nodes at work by pool, as the plan rents and commits them, oldest first; whole
        months of 730 hours up to the period's end.
    offers, node_size : by pool.
    left_out : pools without measured hours, hours to rent or terms.
    """

    loads: tuple[np.ndarray, ...]
    offers: tuple[Offers, ...]
    node_size: tuple[int, ...]
    left_out: int

    @property
    def months(self) -> int:
        """Months of the past."""
        return min(len(load) // HOURS_PER_MONTH for load in self.loads)


@dataclass(frozen=True)
class HistoryBacktest:
    """Costs of every way to plan over all pools, cheapest first, as in `backtest_policies`."""

    table: pd.DataFrame
    pools: int
    left_out: int
    planned_on: int
    paid_for: int


def history_basis(case: Case, stress: StressBasis | None, windows: pd.DataFrame, period: str) -> HistoryBasis | None:
    """Past loads at today's capacity and prices; None where no pool has eight months of them.

    Work of jobs is left out: it has no hourly demand that had to be served. A term costs its payments spread over it,
    and counts as long as it was tested, since the past is shorter than most terms. Bought kit is left out.
    """
    if stress is None:
        return None
    end = (pd.Period(period, "M") + 1).to_timestamp().tz_localize("UTC")
    by_pair = dict(list(windows[windows["window_start_utc"] < end].groupby(["use_case_id", "region"])))
    found, left_out = [], 0
    for pool in range(case.pools):
        load = _load(case, pool, by_pair, end)
        offers = _offers(stress, pool)
        if load is None or offers is None or len(load) < 2 * FEWEST_PERIODS * HOURS_PER_MONTH:
            left_out += 1
            continue
        size = int(stress.problem.node_size[pool])
        found.append((node_counts(load, size) * float(size), offers, size))
    if not found:
        return None
    loads, offers, sizes = zip(*found, strict=True)
    return HistoryBasis(loads, offers, sizes, left_out)


def backtest_history(basis: HistoryBasis, *, seed: int = 0) -> HistoryBacktest:
    """Plan on the first half of the past, anew every month, pay for the second, over all pools."""
    train = basis.months // 2
    tables = []
    for load, offers, node_size in zip(basis.loads, basis.offers, basis.node_size, strict=True):
        tables.append(
            backtest_policies(
                load[-basis.months * HOURS_PER_MONTH :], offers, windows=HOURS_PER_MONTH, window_hours=1.0, train=train,
                season=1, replan_every=REPLAN_EVERY, node_size=node_size, futures=FUTURES, seed=seed,
            ).set_index("policy").assign(wanted_hours=load[train * HOURS_PER_MONTH :].sum())
        )  # fmt: skip
    total = sum(table.drop(columns=["regret_share", "missed_share"]) for table in tables[1:]) if len(tables) > 1 else 0
    total = tables[0].drop(columns=["regret_share", "missed_share"]) + total
    least = total.loc[FORESIGHT, "cost_usd"]
    total["missed_share"] = total["missed_hours"] / total.pop("wanted_hours").where(lambda hours: hours > 0)
    total["regret_share"] = total["regret_usd"] / least if least > 0 else np.nan
    table = total.sort_values("cost_usd", kind="stable").reset_index()
    return HistoryBacktest(table, len(tables), basis.left_out, train, basis.months - train)


def standing(table: pd.DataFrame) -> tuple[str, float]:
    """Cheapest way beside ours that could have been used, and what ours cost more than it (less where negative), USD."""
    rows = table[~table["policy"].isin([OURS, FORESIGHT])]
    ours = table.loc[table["policy"] == OURS, "cost_usd"].iloc[0]
    best = rows.loc[rows["cost_usd"].idxmin()]
    return str(best["policy"]), float(ours - best["cost_usd"])


def _load(case: Case, pool: int, by_pair: dict[tuple[str, str], pd.DataFrame], end: pd.Timestamp) -> np.ndarray | None:
    """(hours,) accelerators that a pool keeps ready for its load; None where its streams were not measured hour by hour."""
    rows = case.streams.table[(case.streams.pool == pool) & case.streams.main]
    series = []
    for stream in rows[~rows["movable"]].itertuples():
        seen = by_pair.get((stream.use_case_id, stream.region))
        if seen is None:
            continue
        per_hour = stream.units_per_s_per_accelerator * SECONDS_PER_HOUR / stream.load_factor
        per_hour /= case.streams.chance[0, stream.Index]
        hours = hourly_series(since_as_fine(seen))
        series.append(pd.Series(spread_over(hours.to_numpy(), stream.wait_hours), hours.index) / per_hour)
    if not series:
        return None
    first = min(one.index.min() for one in series)
    hours = pd.date_range(first, end, freq="h", inclusive="left", unit="us")
    hours = hours[len(hours) % HOURS_PER_MONTH :]
    total = pd.concat(series, axis=1).sum(axis=1, min_count=1).reindex(hours)
    if not len(hours) or total.isna().mean() > MOST_MISSING:
        return None
    return total.ffill().bfill().to_numpy(dtype=float)


def _offers(stress: StressBasis, pool: int) -> Offers | None:
    """Hours on demand and rented terms of a pool with what goes with them, USD per hour; None where either is missing."""
    problem = stress.problem
    on_demand = float(np.mean(problem.on_demand_usd[..., pool])) + problem.around_usd[pool]
    terms = tuple(
        (
            option.name,
            option.term_months,
            (option.upfront_usd / option.term_months + option.monthly_usd) / HOURS_PER_MONTH + problem.around_usd[pool],
        )
        for option in problem.options
        if option.platform == pool and not option.resale_per_year
    )
    if not terms or not np.isfinite(on_demand):
        return None
    missed = float(problem.miss_usd[problem.rate[:, pool] > 0].max())
    return Offers(on_demand, terms, missed, "prices of the plan", stranded=0.0)
