"""Limits of a plan as rows of `matrix @ nodes <= bound`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aifactory.units import MONTHS_PER_YEAR

if TYPE_CHECKING:
    from aifactory.buyplan.optimise.problem import Problem

Row = tuple[Sequence[float], float, str]


def limit_rows(problem: Problem) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows, bounds and names: capital by year; power and space of sites, payments and floor by month; share by vendor."""
    rows, bounds, names = [], [], []
    for part in (_capital, _sites, _payments, _floor, _vendors):
        for row, bound, name in part(problem):
            rows.append(row)
            bounds.append(float(bound))
            names.append(name)
    return np.array(rows).reshape(len(rows), len(problem.orders)), np.array(bounds), names


def _capital(problem: Problem) -> Iterator[Row]:
    years = problem.year_of if len(problem.year_of) else np.arange(problem.months) // MONTHS_PER_YEAR
    for year, budget in enumerate(problem.capital_usd):
        spent = [
            option.upfront_usd * problem.node_size[option.platform] if option.capital and years[month] == year else 0.0
            for option, month in problem.orders
        ]
        yield spent, budget, f"capital of year {year + 1}"


def _sites(problem: Problem) -> Iterator[Row]:
    """Power that nodes on a site draw, and nodes that stand there."""
    on_site = np.array([option.on_site for option, _ in problem.orders], dtype=float)
    sites, power, space = problem.sites(), problem.power_by_site(), np.asarray(problem.space_nodes)

    def named(kind: str, month: int, site: int) -> str:
        return f"{kind}{f' of {problem.site_names[site]}' if problem.site_names else ''} in month {month}"

    for month, site in np.argwhere(np.isfinite(power)) if len(problem.power_kw) else ():
        row = (problem.kw * sites[:, site]) @ problem.serves[month] * on_site
        yield row, power[month, site] - problem.owned_kw()[month, site], named("power", month, site)
    for month, site in np.argwhere(np.isfinite(space)):
        row = (sites[:, site] / problem.node_size) @ problem.serves[month] * on_site
        yield row, space[month, site], named("space", month, site)


def _payments(problem: Problem) -> Iterator[Row]:
    for month, most in enumerate(problem.order_budget_usd):
        yield problem.paid_usd(month), most, f"budget of month {month}"


def _floor(problem: Problem) -> Iterator[Row]:
    for month, platform in np.argwhere(problem.floor > problem.owned) if np.size(problem.floor) else ():
        if problem.serves[month, platform].any():
            left = problem.owned[month, platform] - problem.floor[month, platform]
            yield -problem.serves[month, platform], left, f"reserve of platform {platform} in month {month}"


def _vendors(problem: Problem) -> Iterator[Row]:
    if problem.vendor_most >= 1:
        return
    held, mine = problem.serves.sum(axis=0), problem.owned.sum(axis=0)
    for vendor in dict.fromkeys(problem.vendor):
        weight = np.array([float(of == vendor) for of in problem.vendor]) - problem.vendor_most
        yield weight @ held, -weight @ mine, f"share of {vendor}"
