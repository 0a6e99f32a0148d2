"""From which month on the limits of a plan leave room for an order, if demand asks for it before its date.

An order of the plan that is placed k months earlier is there k months earlier: a site whose power or space is taken until then
has none for it, and a budget of an earlier year or month may be spent. The first month is the one after the last in which one
node of the order, moved there while all other orders stand, breaks a limit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aifactory.buyplan.optimise.problem import Problem

#: Rows that ask for capacity instead of limiting it.
FLOOR = "reserve"
TOLERANCE = 1e-9


def first_months(problem: Problem, nodes: np.ndarray) -> dict[int, str]:
    """First month, YYYY-MM, in which limits leave room for an order, by column of those that they keep from some month before.

    Parameters
    ----------
    nodes : [N] of the columns of `problem.orders`.
    """
    if not problem.month_names or not len(problem.limits()[2]):
        return {}
    monthly = replace(problem, order_months=tuple(range(problem.months)))
    column = {(option.name, option.platform, month): at for at, (option, month) in enumerate(monthly.orders)}
    rows, bounds, names = monthly.limits()
    kept = np.array([not name.startswith(FLOOR) for name in names], dtype=bool)
    rows, most = rows[kept], bounds[kept] + TOLERANCE * np.maximum(np.abs(bounds[kept]), 1.0)
    mine = {at: column[option.name, option.platform, month] for at, (option, month) in enumerate(problem.orders)}
    used = rows[:, list(mine.values())] @ np.asarray(nodes, dtype=float)[: len(mine)]
    found = {}
    for at in np.flatnonzero(nodes[: len(mine)]):
        option, month = problem.orders[at]
        for earlier in range(month - 1, -1, -1):
            there = column.get((option.name, option.platform, earlier))
            if there is None:
                break
            if (used - rows[:, mine[at]] + rows[:, there] > most).any():
                found[int(at)] = problem.month_names[earlier + 1]
                break
    return found
