"""What a plan pays in each month, held against a monthly budget."""

from __future__ import annotations

import numpy as np

from aifactory.buyplan.case import Case
from aifactory.buyplan.ledger import Ledger


def paid_by_month(case: Case, ledger: Ledger) -> np.ndarray:
    """Operating cost [T + 1] that is paid in each month.

    Without what falls due after the horizon, which stands in its last month, and the outlay for what nothing uses, in the month of its order.
    """
    elsewhere = np.zeros(len(ledger.opex_usd))
    elsewhere[-1] = ledger.compute.owed_usd
    if case.counts_unused:
        elsewhere += case.unused.capex_usd.sum(axis=1)
        elsewhere[-1] += case.unused.owed_usd.sum()
    return ledger.opex_usd - elsewhere * (1 + case.plan.value("contingency_share"))
