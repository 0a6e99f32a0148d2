"""Rates: cost of capital, effective and nominal, real and nominal."""

from __future__ import annotations

import numpy as np

from aifactory.finance.cashflow import annualised, check_rate


def _periods(npery: float) -> int:
    if not 1 <= npery < np.inf:
        msg = f"compounding periods a year must be at least 1, got {npery}"
        raise ValueError(msg)
    return int(npery)


def effect(nominal: float, npery: float) -> float:
    """Effective annual rate of a nominal one compounded `npery` times: (1 + i / n)^n - 1.

    >>> round(effect(0.0525, 4), 7)
    0.0535427
    """
    periods = _periods(npery)
    check_rate(nominal / periods)
    return annualised(nominal / periods, periods)


def nominal(effective: float, npery: float) -> float:
    """Nominal annual rate that compounds to the effective one: n ((1 + r)^(1 / n) - 1).

    >>> round(nominal(0.053543, 4), 8)
    0.05250032
    """
    periods = _periods(npery)
    check_rate(effective)
    return periods * ((1.0 + effective) ** (1.0 / periods) - 1.0)


def real_rate(nominal_rate: float, inflation: float) -> float:
    """Rate in money of constant value: (1 + nominal) / (1 + inflation) - 1 (Fisher).

    >>> round(real_rate(0.10, 0.03), 6)
    0.067961
    """
    check_rate(nominal_rate)
    check_rate(inflation)
    return (1.0 + nominal_rate) / (1.0 + inflation) - 1.0


def nominal_rate(real: float, inflation: float) -> float:
    """Rate in current money: (1 + real) (1 + inflation) - 1.

    >>> round(nominal_rate(real_rate(0.10, 0.03), 0.03), 12)
    0.1
    """
    check_rate(real)
    check_rate(inflation)
    return (1.0 + real) * (1.0 + inflation) - 1.0


def wacc(equity: float, debt: float, equity_rate: float, debt_rate: float, tax: float = 0.0) -> float:
    """Weighted average cost of capital: E/V r_e + D/V r_d (1 - tax), V = E + D, amounts or shares.

    >>> round(wacc(0.6, 0.4, 0.12, 0.08, 0.25), 6)
    0.096
    """
    whole = equity + debt
    if not (equity >= 0 and debt >= 0 and 0 < whole < np.inf):
        msg = f"equity and debt must be finite, not negative and not both zero, got {equity} and {debt}"
        raise ValueError(msg)
    if not 0 <= tax <= 1:
        msg = f"tax must be between 0 and 1, got {tax}"
        raise ValueError(msg)
    check_rate(equity_rate)
    check_rate(debt_rate)
    return equity / whole * equity_rate + debt / whole * debt_rate * (1.0 - tax)
