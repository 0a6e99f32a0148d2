"""Cost of a plan over paths: expectation, tail, and the objective that plans are compared by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aifactory.buyplan.optimise.closed_form import ClosedFormRecourse, has_closed_form
from aifactory.buyplan.optimise.held_ports import HeldPorts
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.recourse import Recourse
from aifactory.buyplan.optimise.reference import reference_usd
from aifactory.errors import InputError

Evaluator = Recourse | ClosedFormRecourse | HeldPorts


@dataclass(frozen=True)
class PlanCost:
    """Present values in USD of a plan on a set of paths.

    Attributes
    ----------
    orders_usd : cost of what is ordered, the same on every path.
    recourse_usd : [S] on demand, spot, hosted models and missed demand of each path, and what its orders cost over the mean.
    reference_usd : [S] what each path costs about, were it known, see `reference`.
    expected_usd, tail_usd : orders plus the mean of the recourse, and plus the mean of its dearest paths: what they cost.
    overrun_usd : mean of what the worst paths cost over their reference: what the plan risks.
    objective_usd : (1 - risk_weight) expected + risk_weight (mean reference + overrun), which is the expected cost plus
        risk_weight times the worst overrun over the mean one.
    """

    orders_usd: float
    recourse_usd: np.ndarray
    reference_usd: np.ndarray
    expected_usd: float
    tail_usd: float
    overrun_usd: float
    objective_usd: float


@dataclass(frozen=True)
class Slopes:
    """Change of the discounted recourse per node of each order and per port: of the mean by month, and of the tail.

    The tail is the mean reference and what the worst paths' recourse is over theirs.
    """

    mean: np.ndarray  # [T, N + G]
    mean_usd: np.ndarray  # [T]
    tail: np.ndarray  # [N + G]
    tail_usd: float


def recourse_of(problem: Problem) -> Evaluator:
    """The evaluator of a problem: in closed form where there is one, else by linear programme."""
    return ClosedFormRecourse(problem) if has_closed_form(problem) else Recourse(problem)


def evaluate_plan(
    problem: Problem, nodes: np.ndarray, demand: np.ndarray | None = None, recourse: Evaluator | None = None
) -> PlanCost:
    """Price a plan of nodes and ports [N + G], also a hand-edited one, on the problem's paths or on fresh ones [S', T, W, K].

    Raises
    ------
    InputError
        Prices differ by path, and there are not as many fresh paths.
    """
    ports = problem.split(nodes)[1]
    if recourse is None and len(ports) and np.isin(ports, (0.0, 1.0)).all():
        recourse = HeldPorts(problem, ports)
    return evaluate_with_slopes(problem, nodes, demand, recourse)[0]


def evaluate_with_slopes(
    problem: Problem,
    nodes: np.ndarray,
    demand: np.ndarray | None = None,
    recourse: Evaluator | None = None,
    solves: int | None = None,
) -> tuple[PlanCost, Slopes]:
    """Price a plan and say how its cost changes per node: a subgradient, from the duals of each month.

    With a limit of `solves` (see `Recourse.cost`) the cost is a lower bound, and so is the line of its slopes.
    """
    recourse = recourse or recourse_of(problem)
    by_path = any(np.ndim(of) == 3 for of in (problem.on_demand_usd, problem.spot_usd, problem.api_usd))
    if demand is not None and by_path and len(demand) != problem.paths:
        rule = f"prices differ by path: needs {problem.paths} paths, or a problem with the prices of these"
        raise InputError.at("demand", rule, value=len(demand))
    usd, worth = recourse.cost(problem.capacity(nodes), demand, problem.split(nodes)[1], solves)
    discount = problem.discount[:-1]
    ordered, ported = problem.split(nodes)
    swing = problem.order_swing if demand is None else np.zeros((len(usd), len(ordered)))
    by_path = usd @ discount + swing @ ordered
    reference = recourse.reference_usd if demand is None else reference_usd(problem, demand)
    weights = tail_weights(by_path - reference, problem.tail)
    orders = float(problem.plan_usd @ np.append(ordered, ported))
    mean, over = float(by_path.mean()), float(weights @ (by_path - reference))
    tail = float(reference.mean()) + over
    cost = PlanCost(
        orders, by_path, reference, orders + mean, orders + float(tail_weights(by_path, problem.tail) @ by_path),
        orders + over, orders + (1 - problem.risk_weight) * mean + problem.risk_weight * tail,
    )  # fmt: skip
    mean_worth = worth.mean(axis=0) * discount[:, None]
    tail_worth = np.einsum("s,stp,t->tp", weights, worth, discount)
    tail_slope = per_decision(problem, tail_worth).sum(axis=0)
    tail_slope[: len(ordered)] += weights @ swing
    slopes = Slopes(per_decision(problem, mean_worth), usd.mean(axis=0) * discount, tail_slope, tail)
    return cost, slopes


def per_decision(problem: Problem, worth: np.ndarray) -> np.ndarray:
    """[T, N + G] worth of a node of each order and of each port, from that of accelerators and ports [T, P + G]."""
    own = np.einsum("tp,tpn->tn", worth[:, : problem.platforms], problem.serves)
    return np.concatenate([own, worth[:, problem.platforms :]], axis=1)


def path_weights(problem: Problem, cost: PlanCost) -> np.ndarray:
    """[S] weights of the paths in the objective at a plan: the mean, and the worst overruns."""
    worst = tail_weights(cost.recourse_usd - cost.reference_usd, problem.tail)
    return (1 - problem.risk_weight) / len(worst) + problem.risk_weight * worst


def tail_weights(costs: np.ndarray, tail: float) -> np.ndarray:
    """Weights whose mean of the costs is that of the worst (1 - tail) share: the maximiser of the CVaR dual.

    >>> tail_weights(np.array([1.0, 2.0, 3.0, 4.0]), 0.625).round(3).tolist()
    [0.0, 0.0, 0.333, 0.667]
    """
    share = 1.0 / len(costs) / (1.0 - tail)
    order = np.argsort(-costs, kind="stable")
    left = np.clip(1.0 - share * np.arange(len(costs)), 0.0, share)
    weights = np.zeros(len(costs))
    weights[order] = left
    return weights
