"""Rules that organisations buy by, as plans on the same paths, and the bound that no plan can beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.buyplan.optimise.benders import OptimalPlan, optimise
from aifactory.buyplan.optimise.closed_form import has_closed_form
from aifactory.buyplan.optimise.evaluate import Evaluator, evaluate_plan, recourse_of, tail_weights
from aifactory.buyplan.optimise.foresight import known_path_usd
from aifactory.buyplan.optimise.limits import exceeded
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.reference import reference_usd
from aifactory.units import percent

RESERVES = (0.0, 0.2, 0.4)
FORESIGHT, OURS = "perfect foresight", "plan over all paths"
#: Price of a platform that nobody offers by the term: chosen last.
NEVER_USD = 1e30
#: A rule sees demand and gives accelerators [T, W] that each workload should have.
Rule = Callable[[Problem, np.ndarray], np.ndarray]


def cheapest_platform(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Column of the cheapest committed unit of each workload: (platform [W], rate [W]).

    Level price of the cheapest option of a platform per accelerator-month, divided by the rate; simple rules put
    each workload on one platform, one that needs no port where there is any. The rate of work that no platform serves
    is infinite: it asks for no accelerators.
    """
    best = np.full(problem.platforms, np.inf)
    np.minimum.at(best, [option.platform for option, _ in problem.orders], _unit_usd(problem))
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = np.where(problem.rate > 0, np.minimum(best, NEVER_USD) / problem.rate, np.inf)
    closed = (problem.port_of >= 0) & ((problem.port_of < 0) & (problem.rate > 0)).any(axis=1, keepdims=True)
    chosen = np.where(closed, np.inf, unit).argmin(axis=1)
    rate = problem.rate[np.arange(len(chosen)), chosen]
    return chosen, np.where(rate > 0, rate, np.inf)


def policy_plans(problem: Problem) -> dict[str, np.ndarray]:
    """Nodes and ports [N + G] of each rule: nothing committed; peak; average with 0, 20 and 40 %; the newsvendor's quantile.

    Rules commit on the cheapest platform of each workload, in the way to pay that is cheapest per month served, ordered
    when the fleet lacks accelerators. The newsvendor's level is the quantile 1 - committed / on-demand price of demand.
    """
    platform, rate = cheapest_platform(problem)
    hours = problem.block_hours / problem.block_hours.sum()
    average = (problem.demand @ hours).mean(axis=0) / rate
    peak = np.quantile(problem.demand.max(axis=3), 0.95, axis=0) / rate
    plans = {"all on demand": np.zeros(len(problem.orders))}
    plans["peak of the 95 % path"] = _commit(problem, platform, peak)
    for reserve in RESERVES:
        name = f"average + {percent(reserve)}" if reserve else "average"
        plans[name] = _commit(problem, platform, average * (1 + reserve))
    plans["newsvendor"] = _commit(problem, platform, _newsvendor(problem, platform, rate))
    ports = np.zeros(len(problem.ports))
    needed = problem.port_of[np.arange(len(platform)), platform]
    ports[needed[needed >= 0]] = 1.0
    return {name: np.append(nodes, ports) for name, nodes in plans.items()}


@dataclass(frozen=True)
class Compared:
    """Costs by policy and the proven gap of the plan over all paths."""

    table: pd.DataFrame
    gap: float


def compare_policies(
    problem: Problem,
    *,
    gap: float = 0.005,
    time_limit_s: float = 60.0,
    foresight: bool = True,
    ours: OptimalPlan | None = None,
) -> Compared:
    """Cost of every rule, of the plan for the mean path, of our plan, and of perfect foresight on the same paths.

    Perfect foresight plans each path alone, which takes as many solves as there are paths; `ours` spares a solve
    where the plan is known.

    Returns
    -------
    Compared; columns of the table: policy, objective_usd, expected_usd, tail_usd, overrun_usd, orders_usd, exceeds (limits, in words; rules
    heed none), regret (objective over ours - 1; perfect foresight: expected over ours - 1). `value of the stochastic solution` = mean-path plan - ours, `expected value of perfect
    information` = ours - foresight in expected cost, are differences of rows.
    """
    recourse = recourse_of(problem)
    ours = ours or optimise(problem, gap=gap, time_limit_s=time_limit_s)
    mean = replace(problem, demand=problem.demand.mean(axis=0, keepdims=True), **_mean_prices(problem))
    plans = policy_plans(problem) | {
        "plan for the mean path": optimise(mean, gap=gap, time_limit_s=time_limit_s).nodes,
        OURS: ours.nodes,
    }
    rows = [
        {"policy": name, **_figures(problem, nodes, recourse), "exceeds": ", ".join(exceeded(problem, nodes))}
        for name, nodes in plans.items()
    ]
    if foresight:
        rows.append({"policy": FORESIGHT, **_foresight(problem, gap, time_limit_s)})
    table = pd.DataFrame(rows)
    own = table.set_index("policy").loc[OURS]
    regret = table["objective_usd"] / own["objective_usd"] - 1
    regret = regret.where(table["policy"] != FORESIGHT, table["expected_usd"] / own["expected_usd"] - 1)
    return Compared(table.assign(regret=regret), ours.gap)


def _figures(problem: Problem, nodes: np.ndarray, recourse: Evaluator) -> dict[str, float]:
    cost = evaluate_plan(problem, nodes, recourse=recourse)
    names = ("objective_usd", "expected_usd", "tail_usd", "overrun_usd", "orders_usd")
    return {name: getattr(cost, name) for name in names}


def _foresight(problem: Problem, gap: float, time_limit_s: float) -> dict[str, float]:
    """Each path planned for alone, as if it were known: a bound on the cheapest plan of each."""
    neutral = replace(problem, risk_weight=0.0)
    costs = np.empty(problem.paths)
    for path in range(problem.paths):
        alone = replace(neutral, demand=problem.demand[path : path + 1], **_path_prices(problem, path))
        costs[path] = (
            known_path_usd(alone)
            if has_closed_form(alone)
            else optimise(alone, gap=gap, time_limit_s=time_limit_s).bound_usd
        )
    tail, mean, reference = (
        float(tail_weights(costs, problem.tail) @ costs),
        float(costs.mean()),
        reference_usd(problem),
    )
    overrun = float(tail_weights(costs - reference, problem.tail) @ (costs - reference))
    objective = (1 - problem.risk_weight) * mean + problem.risk_weight * (float(reference.mean()) + overrun)
    figures = {"expected_usd": mean, "tail_usd": tail, "overrun_usd": overrun}
    return {"objective_usd": objective, **figures, "orders_usd": np.nan, "exceeds": ""}


def _newsvendor(problem: Problem, platform: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Quantile of demand over paths and hours beyond which on-demand hours are cheaper than held ones, [T, W]."""
    level = np.zeros((problem.months, len(rate)))
    on_demand = problem.on_demand_usd + problem.around_usd
    on_demand = on_demand.mean(axis=0) if on_demand.ndim == 3 else on_demand
    weights = np.tile(problem.block_hours / problem.block_hours.sum() / problem.paths, problem.paths)
    offered = {option.platform for option, _ in problem.orders}
    for w, p in enumerate(platform):
        if p not in offered:
            continue
        held = _unit_usd(problem)[_cheapest_column(problem, p)] / problem.block_hours.sum()
        share = np.clip(1 - held / np.where(np.isfinite(on_demand[:, p]), on_demand[:, p], np.inf), 0.0, 0.999)
        for t in range(problem.months):
            values = problem.demand[:, t, w].ravel()
            order = np.argsort(values, kind="stable")
            reached = np.cumsum(weights[order])
            level[t, w] = values[order][min(np.searchsorted(reached, share[t]), len(values) - 1)] / rate[w]
    return level


def _commit(problem: Problem, platform: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Order whole nodes whenever the fleet of a platform falls short of the level [T, W] in a month it can still reach."""
    nodes = np.zeros(len(problem.orders))
    for p in np.unique(platform):
        if not any(option.platform == p for option, _ in problem.orders):
            continue
        wanted = level[:, platform == p].sum(axis=1)
        name = problem.orders[_cheapest_column(problem, p)][0].name
        columns = [c for c, (option, _) in enumerate(problem.orders) if option.platform == p and option.name == name]
        for at, column in enumerate(columns):
            option, month = problem.orders[column]
            start = month + option.lead_months
            following = (
                problem.orders[columns[at + 1]][1] + option.lead_months if at + 1 < len(columns) else problem.months
            )
            have = problem.capacity(nodes)[start:following, p]
            short = (wanted[start:following] - have).max(initial=0.0)
            nodes[column] = np.ceil(short / problem.node_size[p] - 1e-9)
    return nodes


def _cheapest_column(problem: Problem, platform: int) -> int:
    """Order of a platform that costs least for each month that it serves."""
    mine = [column for column, (option, _) in enumerate(problem.orders) if option.platform == platform]
    return min(mine, key=_unit_usd(problem).__getitem__)


def _unit_usd(problem: Problem) -> np.ndarray:
    """[N] level price of each order for an accelerator and month in service: present value over the months' present value.

    Comparable with what hours cost in the month in which they are rented; present value over plain months would be lower
    by the mean discount.
    """
    months = np.einsum("tpn,t->n", problem.serves, problem.discount[:-1])  # accelerator-months of a node
    return problem.order_usd / np.maximum(months, 1e-9)


def _mean_prices(problem: Problem) -> dict[str, np.ndarray]:
    ratio = {"order_ratio": problem.order_ratio.mean(axis=0, keepdims=True)} if np.size(problem.order_ratio) else {}
    return ratio | {name: of.mean(axis=0) for name, of in _prices(problem).items() if np.ndim(of) == 3}


def _path_prices(problem: Problem, path: int) -> dict[str, np.ndarray]:
    ratio = {"order_ratio": problem.order_ratio[[path]]} if np.size(problem.order_ratio) else {}
    return ratio | {name: of[path] for name, of in _prices(problem).items() if np.ndim(of) == 3}


def _prices(problem: Problem) -> dict[str, np.ndarray]:
    return {name: getattr(problem, name) for name in ("on_demand_usd", "spot_usd", "api_usd")}
