"""What one more unit of each limit saves: the difference of two programmes, since a dual may lie anywhere at a kink.

At a kink a dual is somewhere between what one unit more saves and what one less costs; servers and kilowatts are large
units, so that the two differ. A unit more is a dollar of the capital of a year; a kilowatt, a server or a dollar in every
month; a percentage point of the share of one vendor; one per cent less of the fleet that must stand ready.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from aifactory.buyplan.optimise.benders import in_parts
from aifactory.buyplan.optimise.problem import Problem

#: USD more of capital or of a month's payments, in which a difference is taken: one dollar is near what the solver rounds.
STEP_USD = 100.0
#: Share of one vendor, and of the fleet that must stand ready, whose worth is told.
POINT = 0.01
POWER, SPACE, PAYMENTS, SHARE, RESERVE = "power", "space", "budget", "share", "reserve"


def limit_prices(problem: Problem, beyond: Mapping[str, np.ndarray] = MappingProxyType({})) -> dict[str, float]:
    """By limit that binds, what one more unit of it saves over the horizon, USD, for orders that need not be whole.

    Names are `capital of year n`, `power of SITE` and `space of SITE` (without a site where sites have no names), `budget`,
    `share` and `reserve`. For problems without ports. `beyond`: months [T] by limit in which a unit more is none, since
    what stands in any case exceeds it.
    """
    now, duals = in_parts(problem)
    names = dict.fromkeys(_group(name) for name in duals)
    return {
        name: max((now - in_parts(more)[0]) / units, 0.0)
        for name in names
        for more, units in [_with_more(problem, name, beyond.get(name, np.zeros(problem.months, dtype=bool)))]
    }


def _group(name: str) -> str:
    """The limit that a row belongs to.

    >>> [_group(name) for name in ("power of Europe in month 3", "budget of month 4", "share of a", "capital of year 2")]
    ['power of Europe', 'budget', 'share', 'capital of year 2']
    >>> _group("reserve of platform 1 in month 13")
    'reserve'
    """
    kind = name.split(maxsplit=1)[0]
    if kind in {PAYMENTS, SHARE, RESERVE}:
        return kind
    return re.sub(r" in month \d+$", "", name)


def _with_more(problem: Problem, name: str, beyond: np.ndarray) -> tuple[Problem, float]:
    """The problem with more of a limit in all months but those `beyond`, and by how many units."""
    if name.startswith("capital"):
        capital = np.array(problem.capital_usd, dtype=float)
        capital[int(name.split()[-1]) - 1] += STEP_USD
        return replace(problem, capital_usd=capital), STEP_USD
    if name == PAYMENTS:
        paid = np.asarray(problem.order_budget_usd, dtype=float) + STEP_USD * ~beyond
        return replace(problem, order_budget_usd=paid), STEP_USD
    if name == SHARE:
        most = min(problem.vendor_most + POINT, 1.0)
        return replace(problem, vendor_most=most), (most - problem.vendor_most) / POINT
    if name == RESERVE:
        return replace(problem, floor=np.asarray(problem.floor, dtype=float) * (1.0 - POINT)), 1.0
    field = "power_kw" if name.startswith(POWER) else "space_nodes"
    limit = np.array(getattr(problem, field), dtype=float)
    mine = list(_sites(problem, name))
    if limit.ndim > 1:
        limit[:, mine] += ~beyond[:, None]
    else:
        limit += ~beyond
    return replace(problem, **{field: limit}), 1.0


def _sites(problem: Problem, name: str) -> Iterator[int]:
    """Sites that a limit of power or space is of: all where they have no names."""
    count = problem.sites().shape[1]
    for site in range(count):
        if not problem.site_names or name.endswith(f" of {problem.site_names[site]}"):
            yield site
