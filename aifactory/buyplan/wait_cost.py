"""What it costs to sign later: the orders of the first months placed so many months on, hours rented until they serve."""

from __future__ import annotations

import numpy as np

from aifactory.buyplan.case import Answer, Case, case_terms, solve_expected
from aifactory.buyplan.ledger import net_present_value
from aifactory.fleet.orders import FLEXIBLE


def wait_usd(case: Case, answer: Answer, months: int) -> float:
    """USD of NPV that the expected scenario loses if nothing is ordered in the first `months` months.

    What the plan orders in them is ordered in the month that follows and serves for its term from then on; later orders
    stay, those that follow such a term come at its end.
    """
    signed, terms = answer.expected.orders.signed, case_terms(case)
    late, free = np.full(signed.shape, FLEXIBLE), np.zeros(signed.shape[1], dtype=int)
    for start, slot in np.argwhere(signed != FLEXIBLE):
        option = signed[start, slot]
        lead = terms.lead[option, slot]
        then = max(max(start - lead, months + 1) + lead, free[slot])
        free[slot] = then + terms.term[option, slot]
        if then < len(signed):
            late[then, slot] = option
    now = net_present_value(answer.expected.ledger, case.plan)
    return max(float(now - net_present_value(solve_expected(case, late).ledger, case.plan)), 0.0)
