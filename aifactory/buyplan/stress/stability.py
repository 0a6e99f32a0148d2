"""Whether small changes of the input change the plan, and what they change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.stress.replan import replan
from aifactory.buyplan.stress.world import world_of
from aifactory.units import signed_percent

#: Sizes of the changes; gap to which each problem is planned anew.
SMALL, GAP = 0.01, 1e-4
COLUMNS = [
    "change",
    "moved_accelerators",
    "moved_share",
    "first_orders_moved",
    "orders_change_usd",
    "keep_usd",
    "keep_share",
    "refresh_share",
]


def plan_stability(problem: Problem, nodes: np.ndarray, small: float = SMALL, most: float = 0.0) -> pd.DataFrame:
    """Plan anew after each small change of demand and hourly prices, and after none: what the search itself moves.

    Returns
    -------
    change; moved_accelerators: mean over the months of the accelerators by which the fleets of all platforms differ, and
    as a share of the fleet of the plan; first_orders_moved: accelerators of the first month's orders that differ;
    orders_change_usd: change of what is ordered, present value; keep_usd, keep_share: what keeping the orders costs more
    than the new ones, after the change; refresh_share: share of the fleet that a refresh moves, which keeps the orders where
    keeping them costs at most `most` of the cost more.
    """
    rows = [_row("none", problem, nodes)]
    for sign in (1.0, -1.0):
        factor, shown = 1.0 + sign * small, signed_percent(sign * small)
        rows.append(_row(f"demand {shown}", replace(problem, demand=problem.demand * factor), nodes))
        prices = {name: getattr(problem, name) * factor for name in ("on_demand_usd", "spot_usd")}
        rows.append(_row(f"prices of rented hours {shown}", replace(problem, **prices), nodes))
    found = pd.DataFrame(rows, columns=COLUMNS[:-1])
    return found.assign(refresh_share=found["moved_share"].where(found["keep_share"] > most, 0.0))


def _row(change: str, problem: Problem, nodes: np.ndarray) -> tuple:
    found = replan(world_of(problem), nodes, gap=GAP)
    moved = np.abs(problem.serves @ (found.nodes - nodes)).sum(axis=1).mean()
    fleet = (problem.serves @ nodes).sum(axis=1).mean()
    size = np.array([problem.node_size[option.platform] for option, _ in problem.orders], dtype=float)
    first = np.array([month == min(problem.order_months) for _, month in problem.orders], dtype=bool)
    keep = evaluate_plan(problem, nodes).objective_usd
    return (
        change, float(moved), float(moved / fleet) if fleet > 0 else 0.0,
        float((np.abs(found.nodes - nodes) * size)[first].sum()), float(problem.order_usd @ (found.nodes - nodes)),
        keep - found.objective_usd, (keep - found.objective_usd) / keep if keep else 0.0,
    )  # fmt: skip
