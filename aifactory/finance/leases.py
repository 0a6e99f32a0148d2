"""Leases as a controller books them: liability, right-of-use asset, schedule of a lease.

Money for a decision comes from the cash flows; these figures are the second view. Which contracts
hold a lease is for the controller to decide. References: ASC 842, IFRS 16.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.finance.cashflow import finite_flows, npv


def lease_liability(payments: ArrayLike, rate: float, when: Literal["end", "begin"] = "end") -> float:
    """Present value of the payments still to come, the first one now (`begin`) or a period from now.

    >>> round(lease_liability([50_000] * 9, 0.0587), 0)
    342017.0
    """
    if when not in ("end", "begin"):
        msg = f"when must be 'end' or 'begin', got {when!r}"
        raise ValueError(msg)
    flows = finite_flows(payments)
    if flows.size == 0:
        return 0.0
    return float(npv(flows, rate)) / (1.0 if when == "begin" else 1.0 + rate)


def rou_asset(
    liability: float,
    first_payment: float = 0.0,
    initial_direct_costs: float = 0.0,
    incentive: float = 0.0,
    prepaid: float = 0.0,
) -> float:
    """Right-of-use asset: liability + payments made at or before the start + direct costs - incentives.

    >>> rou_asset(342_017, 50_000, 15_000)
    407017.0
    """
    return float(liability + first_payment + prepaid + initial_direct_costs - incentive)


def lease_schedule(
    payments: ArrayLike,
    rate: float,
    *,
    when: Literal["end", "begin"] = "begin",
    kind: Literal["finance", "operating"] = "operating",
    initial_direct_costs: float = 0.0,
    incentive: float = 0.0,
) -> pd.DataFrame:
    """Liability, asset and expense of a lease, one row per period.

    Finance lease: expense = interest + straight-line amortisation. Operating lease: expense = all
    cost / periods, amortisation is what interest leaves of it. Cash is the same; both end at zero.

    Returns `period, payment_usd, interest_usd, liability_usd, amortisation_usd, asset_usd,
    expense_usd`, balances at the end of the period.

    >>> rows = lease_schedule([100.0, 100.0], 0.1, when="begin")
    >>> rows["expense_usd"].round(6).tolist(), bool(abs(rows["liability_usd"].iloc[-1]) < 1e-9)
    ([100.0, 100.0], True)
    """
    if kind not in ("finance", "operating"):
        msg = f"kind must be 'finance' or 'operating', got {kind!r}"
        raise ValueError(msg)
    paid = np.asarray(payments, dtype=float)
    count = paid.size
    opening = lease_liability(paid, rate, when)
    closing, interest = np.zeros(count), np.zeros(count)
    balance = opening
    for index, payment in enumerate(paid):
        before = payment if when == "begin" else 0.0
        interest[index] = (balance - before) * rate
        balance += interest[index] - payment
        closing[index] = balance
    asset = opening + initial_direct_costs - incentive
    whole = paid.sum() + initial_direct_costs - incentive
    even = asset / count if kind == "finance" and count else 0.0
    amortisation = np.full(count, even) if kind == "finance" else whole / max(count, 1) - interest
    return pd.DataFrame(
        {
            "period": np.arange(1, count + 1),
            "payment_usd": paid,
            "interest_usd": interest,
            "liability_usd": closing,
            "amortisation_usd": amortisation,
            "asset_usd": asset - np.cumsum(amortisation),
            "expense_usd": interest + amortisation,
        }
    )
