"""Orders of the plan approved before stand, unless changing them saves more than a stated share of the cost.

The cost of a plan is flat around its best: a per cent more demand exchanges orders for others that cost as much. A plan
that is made anew every month must not change for nothing what was approved and is being prepared. So the orders to come of
the approved plan are held, all other orders chosen best around them, and the result is the plan where

    cost with approved orders held <= (1 + KEEP_SHARE) x cost of the best orders.

Where holding all of them costs more, those of the platforms that cost least to hold are kept, one platform after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from aifactory.buyplan.optimise.benders import OptimalPlan
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.limits import exceeded
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.order_months import with_successors
from aifactory.buyplan.releases import written_by_approval
from aifactory.buyplan.stress.replan import CLOSE_ROUNDS, Replanner
from aifactory.buyplan.stress.world import world_of

#: Share of the risk-weighted cost below which a change of approved orders is not worth making.
KEEP_SHARE = 5e-4
COMMITMENT = "commitment"
#: What orders of an approved plan and of the order book are matched by.
ORDERED = ["region", "accelerator_id", "purchase_option"]
#: Months between two months of orders, and gap of the search around held orders.
QUARTER, CLOSE = 3, 1e-4


@dataclass(frozen=True)
class Kept:
    """The plan with approved orders held, how many accelerators of them stand and of how many, and what it costs more."""

    best: OptimalPlan
    accelerators: float
    of: float
    usd: float
    period: str = ""

    def sentence(self) -> str:
        """What stands as approved; empty where nothing to come was approved."""
        if self.of <= 0:
            return ""
        share = f"{100 * self.usd / self.best.cost.objective_usd:.2f} %" if self.best.cost.objective_usd else "0 %"
        return (
            f"{self.accelerators:,.0f} of {self.of:,.0f} accelerators that the plan approved for {self.period} orders later stand as "
            f"approved: changing them would save {share} of the cost; only more than {100 * KEEP_SHARE:g} % is worth a change."
        )


def earlier_steps(steps: pd.DataFrame, period: str, book: pd.DataFrame | None = None) -> pd.DataFrame:
    """Orders to come of the last plan approved for a month before this one, rows of the `approved_bands` contract.

    Without what the order `book` (rows of the `commitments` contract) holds of them since, which counts for the earliest.
    """
    mine = steps[(steps["plan_period"].astype(str) < period) & (steps["kind"] == COMMITMENT)]
    return beyond_book(mine[mine["plan_period"] == mine["plan_period"].max()], book).reset_index(drop=True)


def beyond_book(steps: pd.DataFrame, book: pd.DataFrame | None) -> pd.DataFrame:
    """Orders of one approved plan without what the order book holds of them since, which counts for the earliest."""
    left, rest = placed_since(steps, book), {}
    if not left:
        return steps
    for step in steps.sort_values("order_month", kind="stable").itertuples():
        key = tuple(getattr(step, name) for name in ORDERED)
        taken = min(left.get(key, 0), step.accelerators)
        left[key] = left.get(key, 0) - taken
        rest[step.Index] = step.accelerators - taken
    found = steps.assign(accelerators=pd.Series(rest))
    return found[found["accelerators"] > 0]


def placed_since(steps: pd.DataFrame, book: pd.DataFrame | None) -> dict[tuple[str, ...], int]:
    """Accelerators by place and way to pay that were ordered since a plan was approved, beyond what was signed on approval.

    steps : its rows of `approved_bands`. Orders of the book that name no plan or this one count from the month after its period,
    but for those that approval wrote there itself (`releases.written_by_approval`).
    """
    if book is None or book.empty or steps.empty:
        return {}
    period = str(steps["plan_period"].max())
    plan = book["plan_period"].astype(object).fillna(period)
    since = (plan == period) & ~written_by_approval(book, period) & (book["order_month"] > period)
    return book[since].groupby(ORDERED)["accelerators"].sum().to_dict()


def going_on(problem: Problem, pools: pd.DataFrame, steps: pd.DataFrame) -> Problem:
    """The problem whose quarters are those of the approved plan, and in which each approved order may be placed in its month.

    What follows it when its term ends may be ordered for that date too.
    """
    known: dict[tuple[str, int], set[int]] = {}
    for _, option, platform, month in _placed(problem, pools, steps):
        known.setdefault((option, platform), set()).add(month)
    options, months = [], []
    for option in problem.options:
        mine = known.get((option.name, option.platform), set())
        months += sorted(mine - set(option.dated))
        options.append(replace(option, dated=tuple(sorted({*option.dated, *mine}))))
    return with_successors(replace(problem, options=tuple(options), order_months=quarters(months, problem.months)))


def quarters(known: Sequence[int], months: int) -> tuple[int, ...]:
    """Months of orders, from 0: the first, and once a quarter where most of the known ones are, else from the first on.

    >>> quarters([2, 5, 8, 4], 9), quarters([], 7)
    ((0, 2, 5, 8), (0, 3, 6))
    """
    counts = np.bincount(np.asarray(known, dtype=int) % QUARTER, minlength=QUARTER)
    return tuple(sorted({0, *range(int(counts.argmax()), months, QUARTER)}))


def _placed(problem: Problem, pools: pd.DataFrame, steps: pd.DataFrame) -> Iterator[tuple[float, str, int, int]]:
    """Accelerators, option, platform and month of each approved step that is not past and whose platform is in the plan."""
    place = {(pool.region, pool.accelerator_id): at for at, pool in enumerate(pools.itertuples())}
    axis = {month: at for at, month in enumerate(problem.month_names)}
    for step in steps.itertuples():
        platform, month = place.get((step.region, step.accelerator_id)), axis.get(str(step.order_month))
        if platform is not None and month is not None:
            yield float(step.accelerators), str(step.purchase_option), platform, month


def approved_nodes(problem: Problem, pools: pd.DataFrame, steps: pd.DataFrame) -> np.ndarray:
    """[N] whole nodes that approved steps order in the columns of a problem; steps that are past or offered no more are none."""
    column = {(option.name, option.platform, month): at for at, (option, month) in enumerate(problem.orders)}
    nodes = np.zeros(len(problem.orders))
    for accelerators, option, platform, month in _placed(problem, pools, steps):
        at = column.get((option, platform, month))
        if at is not None:
            nodes[at] += np.floor(accelerators / problem.node_size[platform] + 1e-9)
    return nodes


def keep_approved(problem: Problem, best: OptimalPlan, approved: np.ndarray, period: str = "") -> Kept:
    """The best plan that holds approved nodes [N] where that costs little; where platforms share work or limits tie them the best stands."""
    size = np.array([problem.node_size[option.platform] for option, _ in problem.orders], dtype=float)
    whole = float(size @ approved)
    search = Replanner(
        world_of(problem), np.where(approved > 0, approved, best.nodes[: len(problem.orders)]), CLOSE, CLOSE_ROUNDS
    )
    if whole <= 0 or not search.separable or not _fits(problem, approved):
        return Kept(best, float(size @ np.minimum(approved, best.nodes[: len(size)])), whole, 0.0, period)
    platform = np.array([option.platform for option, _ in problem.orders])
    most = (1 + KEEP_SHARE) * best.cost.objective_usd

    @cache
    def holding(*platforms: int) -> tuple[float, np.ndarray]:
        found = search.best(hold=(approved > 0) & np.isin(platform, platforms), gap=CLOSE)
        return (np.inf if exceeded(problem, found.nodes) else found.objective_usd), found.nodes

    names = [int(p) for p in np.unique(platform[approved > 0])]
    usd, nodes = holding(*names)
    if usd > most:
        names = [p for _, p in sorted((holding(p)[0], p) for p in names)]
        while names and usd > most:
            names.pop()
            usd, nodes = holding(*names) if names else (best.cost.objective_usd, best.nodes)
    stand = float(size @ np.minimum(approved, nodes))
    if usd <= best.cost.objective_usd and not names:
        return Kept(best, stand, whole, 0.0, period)
    cost = evaluate_plan(problem, nodes)
    kept = replace(best, nodes=nodes, cost=cost)
    return Kept(kept, stand, whole, cost.objective_usd - best.cost.objective_usd, period)


def _fits(problem: Problem, approved: np.ndarray) -> bool:
    """Whether approved nodes alone are within the limits; rows that ask for a fleet can be met by other orders."""
    rows, bounds, names = problem.limits()
    if not len(names):
        return True
    plain = np.array([not name.startswith("reserve") for name in names])
    over = rows @ approved > bounds + 1e-9 * np.maximum(np.abs(bounds), 1.0)
    return problem.vendor_most >= 1 and not (over & plain).any()
