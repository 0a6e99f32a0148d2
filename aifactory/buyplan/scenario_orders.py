"""Orders of every scenario by the rule of the plan: chosen over many demand paths around the scenario.

The plan is chosen over demand paths around the expected scenario. Another scenario is its own path and the same paths
moved to it: each path times the scenario's demand over the expected one, stream by stream and month by month. So all
scenarios face the same doubt, follow the same rule and differ by their demand only. Orders of the plan that are firm
(the first ones of the baseline and what is ordered for it within the decision window, and all of the first month) are placed in every
scenario; the rest of its orders are made for its own paths.
"""

from __future__ import annotations

import numpy as np

from aifactory.buyplan.case import (
    Answer,
    Case,
    baseline_slots,
    case_terms,
    solve,
    solve_case,
    solve_expected,
    solve_today,
)
from aifactory.buyplan.choose import Chosen, decisions_of, quick_orders
from aifactory.buyplan.futures import stream_paths
from aifactory.buyplan.governance import DECISION_WINDOW_MONTHS
from aifactory.demand.scenarios import Paths
from aifactory.fleet.nodes import Slots
from aifactory.fleet.orders import FLEXIBLE, Orders
from aifactory.fleet.streams import EXPECTED

#: Gap that is asked of the orders of a scenario: what is shown are differences between scenarios.
GAP = 0.002


def solve_over_paths(case: Case, chosen: Chosen | None, paths: Paths) -> tuple[Case, Answer]:
    """Solve a case with the chosen orders in the expected scenario and orders by the same rule in the others.

    Today's demand is served on the plan's terms, the limits of the plan included: the nodes that it keeps busy as the plan orders
    them, all else by the hour. Returns the case with room for the orders of all scenarios. Where nothing can be committed to all
    is rented.
    """
    if chosen is None:
        return case, solve_case(case)
    case, decision = chosen.case, chosen.decision
    wanted = stream_paths(case, paths)
    while True:
        terms = case_terms(case)
        today, expected = solve_today(case), solve_expected(case, decision)
        baseline = baseline_slots(today)
        firm, solutions, grown = firm_orders(baseline, expected.orders, terms.lead), [], case
        for index, load in enumerate(case.loads):
            if index == EXPECTED:
                solutions.append(expected)
                continue
            moved = wanted * demand_ratio(case, index)
            grown, orders = quick_orders(case, moved, load=load, firm=firm, gap=GAP)
            if grown is not case:
                break
            solutions.append(solve(case, load, case.streams.units[index], orders, terms))
        else:
            served = solve_today(case, np.where(baseline, decision, FLEXIBLE))
            return case, Answer(served, tuple(solutions), baseline)
        case, decision = grown, decisions_of(grown, chosen.problem, chosen.best.nodes)


def demand_ratio(case: Case, index: int) -> np.ndarray:
    """[T, K] accelerators of a scenario over those of the expected one; 1 where that asks for none."""
    base = case.streams.sized(case.streams.units[EXPECTED])[1:]
    asked = case.streams.of_scenario(index).sized(case.streams.units[index])[1:]
    return np.divide(asked, base, out=np.ones_like(base), where=base > 0)


def firm_orders(baseline: np.ndarray, orders: Orders, lead: np.ndarray | None = None) -> np.ndarray:
    """[T + 1, N] first signature of each baseline slot, and what is ordered in the first month or, of the baseline, in the decision window.

    FLEXIBLE elsewhere. `lead` [O, N] months from order to use; without it orders work at once.
    """
    signed, months = orders.signed, np.arange(len(orders.signed))[:, None]
    waits = 0 if lead is None else lead[np.maximum(signed, 0), np.arange(signed.shape[1])]
    first = (months == orders.first_signed()[1]) & baseline
    early = months - waits <= np.where(baseline, DECISION_WINDOW_MONTHS, 1)
    return np.where(first | early, signed, FLEXIBLE)


def on_slots(decision: np.ndarray, old: Slots, new: Slots) -> np.ndarray:
    """Decisions [T + 1, N] of the slots of one cut on those of another that has room for them, FLEXIBLE elsewhere."""
    found = np.full((len(decision), len(new.pool)), FLEXIBLE)
    width = int(max(old.number.max(initial=0), new.number.max(initial=0))) + 1
    found[:, np.searchsorted(new.pool * width + new.number, old.pool * width + old.number)] = decision
    return found
