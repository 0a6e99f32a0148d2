"""Expected cost against the tail: the best plans for several weights of the worst overruns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.optimise.evaluate import evaluate_plan, recourse_of
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.stress.replan import replan
from aifactory.buyplan.stress.world import world_of

#: The plan stands for a weight where no other plan is cheaper by more than this share.
ALIKE = 1e-3
RISK_WEIGHTS = (0.0, 0.15, 0.3, 0.5, 1.0)
COLUMNS = ["risk_weight", "expected_usd", "tail_usd", "overrun_usd", "orders_usd", "is_plan"]


def risk_frontier(problem: Problem, nodes: np.ndarray, weights: Sequence[float] = RISK_WEIGHTS) -> pd.DataFrame:
    """Cost of the best plan found for each weight of the tail, the plan itself among them.

    Every weight takes the cheapest of all plans that were found, so more weight never raises the overrun or lowers the
    expected cost; the plan itself where it is as good to a share of 0.001.

    Returns
    -------
    risk_weight; expected_usd; tail_usd: mean of the worst (1 - tail) share of the paths; overrun_usd: mean of what
    the worst paths cost over their reference;
    orders_usd: present value of what is ordered; is_plan: the orders are those of `nodes`.
    """
    plans = [nodes, *(replan(world_of(replace(problem, risk_weight=weight)), nodes).nodes for weight in weights)]
    recourse = recourse_of(problem)
    costs = [evaluate_plan(problem, plan, recourse=recourse) for plan in plans]
    expected, tail, over = (
        np.array([getattr(cost, name) for cost in costs]) for name in ("expected_usd", "tail_usd", "overrun_usd")
    )
    reference = float(costs[0].reference_usd.mean())
    rows = []
    for weight in weights:
        weighed = (1 - weight) * expected + weight * (reference + over)
        at = int(np.argmin(weighed)) if weighed[0] > (1 + ALIKE) * weighed.min() else 0
        rows.append((weight, expected[at], tail[at], over[at], costs[at].orders_usd, bool((plans[at] == nodes).all())))
    return pd.DataFrame(rows, columns=COLUMNS)
