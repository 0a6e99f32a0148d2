"""What each path costs at least about, were it known: the reference that an overrun is counted from.

A path with much demand costs much under any plan; that is no risk of the plan. What a plan does to a path is what it
costs there beyond the path's own screening cost (Stoft, Power System Economics, 2002, chapter 2-2): the load of a month is
cut into layers by its load-duration curve, and each layer costs the less of a node held for the month at the cheapest term
and of the hours in which it works at what these cost otherwise,

    reference = sum_t discount_t sum_layers width min(month of the cheapest term, hours x price of an hour otherwise).

It knows no whole nodes, no lead times, no terms longer than a month and no limits, so that it is near what the path would
cost with foresight, and mostly below it. Each workload stands on the platform of its cheapest term, or on none where none
serves it (a hosted model, or missed); owned capacity serves first. It takes no programme: paths that were never planned for have theirs too.
"""

from __future__ import annotations

import numpy as np

from aifactory.buyplan.optimise.problem import Problem


def instead_usd(problem: Problem) -> np.ndarray:
    """[T, W, P] or [S, T, W, P] USD of an accelerator-hour of each workload that a platform does not serve; 0 elsewhere."""
    rate = np.asarray(problem.rate, dtype=float)
    offered = np.isfinite(problem.on_demand_usd) & (problem.on_demand_most > 0)
    rented = np.where(offered, problem.on_demand_usd + problem.around_usd, np.inf)[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        spot = (problem.spot_usd / problem.spot_share + problem.around_usd)[..., None, :]
        hosted = np.where(rate > 0, np.asarray(problem.api_usd, dtype=float)[..., :, None] * rate, np.inf)
    spot = np.where(problem.may_be_interrupted[:, None], spot, np.inf)
    missed = rate * problem.miss_usd[:, None]
    return np.where(rate > 0, np.minimum(np.minimum(rented, spot), np.minimum(hosted, missed)), 0.0)


def reference_usd(problem: Problem, demand: np.ndarray | None = None) -> np.ndarray:
    """Present value [S] of the screening cost of each path: the problem's own, or fresh ones [S', T, W, K] at its mean prices.

    Returns zeros where nothing can be ordered: all plans are one.
    """
    own = demand is None
    if own and np.size(problem.reference_usd):
        return np.asarray(problem.reference_usd, dtype=float)
    demand = problem.demand if own else demand
    if not problem.orders:
        return np.zeros(len(demand))
    held = _month_usd(problem, own)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = np.where(problem.rate > 0, held.mean(axis=0) / problem.rate, np.inf)
    served = np.where(np.asarray(problem.rate) > 0, 1.0, np.inf)
    place = np.where(np.isfinite(unit).any(axis=1), unit.argmin(axis=1), served.argmin(axis=1))
    price = instead_usd(problem)[..., np.arange(len(place)), place]
    price = price if own or price.ndim == 2 else price.mean(axis=0)
    rate = np.asarray(problem.rate, dtype=float)[np.arange(len(place)), place][:, None]
    load = np.divide(demand, rate, out=np.zeros(demand.shape), where=rate > 0)
    total = _without_platform(problem, demand, own)
    for platform in np.unique(place):
        mine = np.flatnonzero(place == platform)
        patient = mine[np.asarray(problem.deferrable, bool)[mine]]
        live = np.setdiff1d(mine, patient)
        month = held[:, platform, None]
        total += _layers(problem, load[:, :, live], price[..., live], problem.owned[:, platform], month)
        hour = np.minimum(price[..., patient], month[:, :, None] / problem.block_hours.sum())
        total += (load[:, :, patient] @ problem.block_hours * hour).sum(axis=-1)
    return total @ problem.discount[:-1]


def _without_platform(problem: Problem, demand: np.ndarray, own: bool) -> np.ndarray:
    """[S, T] cost of the workloads that no platform serves."""
    mine = ~(np.asarray(problem.rate) > 0).any(axis=1)
    unit = np.minimum(np.asarray(problem.api_usd, dtype=float), problem.miss_usd)[..., mine]
    unit = unit if own or unit.ndim == 2 else unit.mean(axis=0)
    return (demand[:, :, mine] @ problem.block_hours * unit).sum(axis=-1)


def _month_usd(problem: Problem, own: bool) -> np.ndarray:
    """[S or 1, P] USD of an accelerator for a month at the cheapest term that is ever to be had; infinite without one."""
    usd = problem.order_usd + (problem.order_swing if own else np.zeros((1, len(problem.orders))))
    found = np.full((len(usd), problem.platforms), np.inf)
    for column, (option, _) in enumerate(problem.orders):
        served = problem.serves[:, option.platform, column] @ problem.discount[:-1]
        found[:, option.platform] = np.minimum(found[:, option.platform], usd[:, column] / max(served, 1e-9))
    return np.maximum(found, 0.0)


def _layers(problem: Problem, load: np.ndarray, price: np.ndarray, owned: np.ndarray, month: np.ndarray) -> np.ndarray:
    """[S, T] cost of live load [S, T, W, K] on one platform, by layers of its load-duration curve."""
    hours = np.asarray(problem.block_hours, dtype=float)
    work = load @ hours
    whole = work.sum(axis=2)
    hour = np.divide((work * price).sum(axis=2), whole, out=np.zeros_like(whole), where=whole > 0)
    level = np.maximum(load.sum(axis=2) - owned[:, None], 0.0)
    order = np.argsort(-level, axis=2, kind="stable")
    level = np.take_along_axis(level, order, axis=2)
    reached = hours[order].cumsum(axis=2)
    width = level - np.concatenate([level[:, :, 1:], np.zeros_like(level[:, :, :1])], axis=2)
    return (width * np.minimum(month[:, :, None], reached * hour[:, :, None])).sum(axis=2)
