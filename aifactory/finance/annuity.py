"""Time value of money: level payments, their parts, balances and terms, with spreadsheet names and signs.

All functions solve PV (1 + r)^n + PMT (1 + r w) ((1 + r)^n - 1) / r + FV = 0, with w = 1 for
payments at the start of a period. Money received is positive, money paid negative. The rate is per
period; for a loan or lease quoted as an annual percentage rate that is the twelfth of it, for a
cost of capital it is `aifactory.units.monthly_rate`.

Reference: the annuity equation of spreadsheets (functions PV, FV, PMT, NPER, RATE, IPMT, PPMT).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.optimize import brentq

from aifactory.finance.cashflow import MOST_PERIODS, check_rate

When = Literal["end", "begin", 0, 1]


def _begin(when: When) -> float:
    if when not in ("end", "begin", 0, 1):
        msg = f"when must be 'end' or 'begin', got {when!r}"
        raise ValueError(msg)
    return float(when in ("begin", 1))


def _check(rate: float, nper: float = 1.0) -> None:
    check_rate(rate)
    if not 0 < nper < np.inf:
        msg = f"the number of periods must be positive, got {nper}"
        raise ValueError(msg)


def _annuity_factor(rate: float, nper: float, begin: float) -> float:
    """Final value of one unit per period: (1 + r w) ((1 + r)^n - 1) / r; n at rate zero."""
    if rate == 0:
        return float(nper)
    return float((1.0 + rate * begin) * np.expm1(nper * np.log1p(rate)) / rate)


def pmt(rate: float, nper: float, pv: float, fv: float = 0.0, when: When = "end") -> float:
    """Level payment per period.

    >>> round(pmt(0.08 / 12, 10, 10_000), 2)
    -1037.03
    """
    _check(rate, nper)
    return -(pv * (1.0 + rate) ** nper + fv) / _annuity_factor(rate, nper, _begin(when))


def pv(rate: float, nper: float, pmt: float, fv: float = 0.0, when: When = "end") -> float:
    """Present value of level payments and a final one.

    >>> round(pv(0.08 / 12, 240, 500), 2)
    -59777.15
    """
    _check(rate, nper)
    return -(fv + pmt * _annuity_factor(rate, nper, _begin(when))) / (1.0 + rate) ** nper


def fv(rate: float, nper: float, pmt: float, pv: float = 0.0, when: When = "end") -> float:
    """Balance after level payments.

    >>> round(fv(0.06 / 12, 10, -200, -500, "begin"), 2)
    2581.4
    """
    if nper:
        _check(rate, nper)
    return -(pv * (1.0 + rate) ** nper + pmt * _annuity_factor(rate, nper, _begin(when)))


def nper(rate: float, pmt: float, pv: float, fv: float = 0.0, when: When = "end") -> float:
    """Periods until the balance reaches `fv`; negative if it was reached in the past.

    n = log(1 - r (PV + FV) / (PMT (1 + r w) + r PV)) / log(1 + r). Raises where it is never reached.

    >>> round(nper(0.01, -100, -1000, 10_000, "begin"), 4)
    59.6739
    """
    _check(rate)
    if rate == 0:
        if pmt == 0:
            msg = "without payment and interest the balance never changes"
            raise ValueError(msg)
        return -(pv + fv) / pmt
    paid = pmt * (1.0 + rate * _begin(when)) + pv * rate  # what a payment changes at the start
    if paid == 0 or not (change := -(pv + fv) * rate / paid) > -1:
        msg = "these payments never bring the balance to that value"
        raise ValueError(msg)
    return float(np.log1p(change) / np.log1p(rate))


def rate(nper: float, pmt: float, pv: float, fv: float = 0.0, when: When = "end", guess: float | None = None) -> float:
    """Rate per period at which the payments are worth `pv`: the rate inside a lease quote.

    Searched between -99.99 % and 1,000,000 %; raises where there is none, or more than one and no `guess`
    whose nearest is meant.

    >>> round(12 * rate(48, -200, 8000), 4)
    0.0924
    """
    _check(0.0, nper)
    begin = _begin(when)

    def balance(log_growth: np.ndarray | float) -> np.ndarray | float:
        # in units of the larger of start and end, so that no power overflows
        growth = np.exp(np.minimum(-np.asarray(log_growth) * nper, 0.0))
        final = np.exp(np.minimum(np.asarray(log_growth) * nper, 0.0))
        interest = np.expm1(log_growth)
        safe = np.where(interest == 0, 1.0, interest)
        payments = np.where(interest == 0, float(nper), (1.0 + safe * begin) * (final - growth) / safe)
        return pv * final + pmt * payments + fv * growth

    grid = np.linspace(np.log(1e-4), np.log(1e4), 2_001)
    values = np.asarray(balance(grid))
    crossings = np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) <= 0)
    found = sorted({round(float(np.expm1(brentq(balance, grid[i], grid[i + 1], xtol=1e-15))), 13) for i in crossings})
    if found and guess is not None:
        return min(found, key=lambda each: abs(each - guess))
    if len(found) != 1:
        msg = "no rate makes these payments worth that value" if not found else f"several rates do: {found}"
        raise ValueError(msg)
    return found[0]


def _check_period(per: int, nper: float) -> None:
    if per != int(per) or not 1 <= per <= nper:
        msg = f"period must be a whole number from 1 to {nper}, got {per}"
        raise ValueError(msg)


def ipmt(rate: float, per: int, nper: float, pv: float, fv: float = 0.0, when: When = "end") -> float:
    """Interest part of the payment of period `per`, counted from 1.

    >>> round(ipmt(0.1 / 12, 1, 36, 8000), 2)
    -66.67
    """
    _check_period(per, nper)
    begin = _begin(when)
    if begin and per == 1:
        return 0.0
    payment = pmt(rate, nper, pv, fv, when)
    balance = _balance(rate, per - 1, payment, pv, when)
    return balance * rate / (1.0 + rate * begin)


def _balance(rate: float, periods: int, payment: float, value: float, when: When) -> float:
    return fv(rate, periods, payment, value, when)


def ppmt(rate: float, per: int, nper: float, pv: float, fv: float = 0.0, when: When = "end") -> float:
    """Repayment part of the payment of period `per`: payment less interest.

    >>> round(ppmt(0.1 / 12, 1, 24, 2000), 2)
    -75.62
    """
    return pmt(rate, nper, pv, fv, when) - ipmt(rate, per, nper, pv, fv, when)


def cumipmt(rate: float, nper: float, pv: float, start: int, end: int, when: When = "end") -> float:
    """Interest paid from period `start` to `end`, both included.

    >>> round(cumipmt(0.09 / 12, 360, 125_000, 13, 24), 4)
    -11135.2321
    """
    _check_span(start, end, nper)
    return float(sum(ipmt(rate, per, nper, pv, 0.0, when) for per in range(int(start), int(end) + 1)))


def cumprinc(rate: float, nper: float, pv: float, start: int, end: int, when: When = "end") -> float:
    """Repayment from period `start` to `end`, both included.

    >>> round(cumprinc(0.09 / 12, 360, 125_000, 13, 24), 4)
    -934.1071
    """
    _check_span(start, end, nper)
    return float(sum(ppmt(rate, per, nper, pv, 0.0, when) for per in range(int(start), int(end) + 1)))


def _check_span(start: int, end: int, nper: float) -> None:
    _check_period(start, nper)
    _check_period(end, nper)
    if end - start > MOST_PERIODS:
        msg = f"more than {MOST_PERIODS:,} periods: is the term in another unit?"
        raise ValueError(msg)
    if start > end:
        msg = f"first period {start} is after the last one, {end}"
        raise ValueError(msg)
