"""Cash flows: present value, every internal rate of return, payback.

All functions take one flow per period, the first one at t = 0 (approval) and not discounted, and a
rate per period. For monthly flows use `aifactory.units.monthly_rate`, never a twelfth of the year.

References: Brealey, Myers, Allen, Principles of Corporate Finance (NPV, IRR, MIRR, payback).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from aifactory.units import MONTHS_PER_YEAR

Status = Literal["unique", "multiple", "none", "total loss", "borrowing"]
REAL_ROOT_TOLERANCE = 1e-6
#: Flows this small beside all others are rounding: a root that hangs on them is none.
NOISE = 1e-12
#: Rates below this a year are no return that anybody could quote: within the year all but a hundredth is gone.
TOTAL_LOSS = -0.99
#: A schedule with more rows than this is a term in another unit.
MOST_PERIODS = 100_000


@dataclass(frozen=True)
class InternalRates:
    """All internal rates of return per period, ascending, and whether one may be quoted."""

    rates: tuple[float, ...]
    periods_per_year: int = 1
    receives_first: bool = False  # money comes in before it goes out, so a rate is a cost and not a return

    @property
    def quotable(self) -> tuple[float, ...]:
        """The rates above a total loss."""
        lowest = (1.0 + TOTAL_LOSS) ** (1.0 / self.periods_per_year) - 1.0
        return tuple(rate for rate in self.rates if rate >= lowest)

    @property
    def status(self) -> Status:
        """`unique` only if exactly one rate may be quoted.

        `total loss`: all rates lie below -99 % a year. `borrowing`: there is one, but money comes in
        first, so it is what that money costs and a high one is bad.
        """
        found = len(self.quotable)
        if not found:
            return "total loss" if self.rates else "none"
        return "multiple" if found > 1 else "borrowing" if self.receives_first else "unique"

    @property
    def rate(self) -> float:
        """The rate if only one may be quoted, of a return or of borrowing, else NaN: several are never reduced to one."""
        return self.quotable[0] if len(self.quotable) == 1 else float("nan")

    def near(self, guess: float) -> float:
        """Return the rate nearest to a guess the analyst states; NaN if there is none.

        >>> round(irr_all([-100, 230, -132]).near(0.25), 6)
        0.2
        """
        return min(self.rates, key=lambda rate: abs(rate - guess), default=float("nan"))


def finite_flows(values: ArrayLike) -> np.ndarray:
    """Read a list of flows; numbers that are missing or infinite are refused, naming their place."""
    flows = np.asarray(values, dtype=float)
    if flows.ndim != 1:
        msg = f"a list of numbers is needed, got shape {flows.shape}"
        raise ValueError(msg)
    wrong = np.flatnonzero(~np.isfinite(flows))
    if wrong.size:
        msg = f"every flow must be a finite number, flow {int(wrong[0])} is {flows[wrong[0]]}"
        raise ValueError(msg)
    return flows


def check_rate(rate: float) -> None:
    """Refuse rates of -100 % and below, and those that are no number."""
    if not -1 < rate < np.inf:
        msg = f"rate must be above -100 % and finite, got {rate}"
        raise ValueError(msg)


def discount_factors(periods: int, rate: float) -> np.ndarray:
    """Factors (1 + rate)^-t for t = 0 .. periods - 1.

    >>> discount_factors(3, 0.25).round(2).tolist()
    [1.0, 0.8, 0.64]
    """
    check_rate(rate)
    return (1.0 + rate) ** -np.arange(periods, dtype=float)


def npv(values: ArrayLike, rate: float) -> np.ndarray | float:
    """Net present value over the last axis, sum of v_t (1 + rate)^-t, t = 0 undiscounted.

    Spreadsheet NPV discounts the first value by one period; this function does not.

    >>> round(float(npv([-1000, 500, 400, 300, 100], 0.1)), 2)
    78.82
    """
    flows = np.atleast_1d(np.asarray(values, dtype=float))
    return flows @ discount_factors(flows.shape[-1], rate)


def annualised(rate: float, periods_per_year: int = MONTHS_PER_YEAR) -> float:
    """Effective annual rate (1 + rate)^n - 1.

    >>> round(annualised(0.01), 6)
    0.126825
    """
    if rate < -1:
        msg = f"rate must be -100 % or more, got {rate}"
        raise ValueError(msg)
    with np.errstate(over="ignore"):
        return float(np.float64(1.0 + rate) ** periods_per_year - 1.0)


def irr_all(values: ArrayLike, periods_per_year: int = 1) -> InternalRates:
    """Every rate above -100 % at which the net present value is zero.

    The flows are the coefficients of a polynomial in x = 1 / (1 + rate); its positive real roots
    are the answer. Flows without a change of sign have none; with one change there is exactly one
    (Descartes), which is bracketed. Flows below 1e-12 of all flows together count as nothing.
    `periods_per_year` (12 for months) says which rates are a total loss.

    >>> irr_all([-100, 230, -132]).status, [round(r, 6) for r in irr_all([-100, 230, -132]).rates]
    ('multiple', [0.1, 0.2])
    """
    flows = without_noise(finite_flows(values))
    used = np.flatnonzero(flows)
    changes = int((np.diff(np.sign(flows[used])) != 0).sum())
    if changes == 0:
        return InternalRates((), periods_per_year)
    flows = flows[used[0] : used[-1] + 1]
    first = bool(flows[0] > 0)
    if changes == 1:
        return InternalRates((only_rate(flows, np.arange(flows.size, dtype=float)),), periods_per_year, first)
    roots = np.roots(flows[::-1])
    real = roots.real[(np.abs(roots.imag) <= REAL_ROOT_TOLERANCE * np.abs(roots)) & (roots.real > 0)]
    return InternalRates(tuple(_distinct(np.sort(1.0 / _polish(flows, real) - 1.0))), periods_per_year, first)


def without_noise(flows: np.ndarray) -> np.ndarray:
    """Flows scaled to a largest of 1, with those that rounding left set to zero.

    >>> without_noise(np.array([-200.0, 100.0, 1e-12])).tolist()
    [-1.0, 0.5, 0.0]
    """
    largest = np.abs(flows).max(initial=0.0)
    scaled = flows / largest if largest > 0 else flows
    return np.where(np.abs(scaled) < NOISE * np.abs(scaled).sum(), 0.0, scaled)


def only_rate(flows: np.ndarray, times: np.ndarray) -> float:
    """Rate of flows with one change of sign in time, bracketed in log(1 + rate); infinite if beyond all numbers."""

    def value(log_growth: float) -> float:
        exponent = -log_growth * times
        return float(flows @ np.exp(exponent - exponent.max()))

    reach = 1.0
    while np.sign(value(-reach)) == np.sign(value(reach)):
        reach *= 2.0
    with np.errstate(over="ignore"):
        return float(np.expm1(brentq(value, -reach, reach, xtol=1e-15, rtol=1e-14, maxiter=500)))


def _polish(flows: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """Two Newton steps per root, each only where it brings the value nearer to zero."""
    polynomial = np.polynomial.Polynomial(flows)
    slope = polynomial.deriv()
    for _ in range(2):
        with np.errstate(divide="ignore", invalid="ignore"):
            step = roots - polynomial(roots) / slope(roots)
        better = (step > 0) & (np.abs(polynomial(step)) < np.abs(polynomial(roots)))
        roots = np.where(better, step, roots)
    return roots


def _distinct(rates: np.ndarray) -> list[float]:
    kept: list[float] = []
    for rate in rates.tolist():
        if not kept or rate - kept[-1] > REAL_ROOT_TOLERANCE * (1.0 + abs(rate)):
            kept.append(rate)
    return kept


def mirr(values: ArrayLike, finance_rate: float, reinvest_rate: float) -> float:
    """Return the modified internal rate: outflows discounted at one rate, inflows compounded at another.

    (FV of inflows / -PV of outflows)^(1 / n) - 1 with n periods, FV = PV (1 + reinvest)^n; NaN without both signs.

    >>> round(mirr([-120000, 39000, 30000, 21000, 37000, 46000], 0.1, 0.12), 6)
    0.126094
    """
    flows = finite_flows(values)
    periods = flows.size - 1
    paid = -npv(np.minimum(flows, 0.0), finance_rate)
    received = npv(np.maximum(flows, 0.0), reinvest_rate)
    if paid <= 0 or received <= 0:
        return float("nan")
    return float((received / paid) ** (1.0 / periods) * (1.0 + reinvest_rate) - 1.0)


def payback(values: ArrayLike) -> float | None:
    """Period from which the cumulative flow stays at or above zero, interpolated; None if never.

    A later dip below zero moves the payback behind the dip.

    >>> round(payback([-1000, 500, 400, 300, 100]), 4)
    2.3333
    >>> payback([-1000, 500, 400]) is None
    True
    """
    flows = finite_flows(values)
    if flows.size == 0:
        msg = "payback needs at least one flow"
        raise ValueError(msg)
    cumulative = np.cumsum(flows)
    below = np.flatnonzero(cumulative < -1e-9 * np.abs(flows).sum())
    if below.size == 0:
        return 0.0
    last = int(below[-1])
    if last == flows.size - 1:
        return None
    return float(last - cumulative[last] / flows[last + 1])


#: What a payback is: a period, or why there is none.
BACK, NEVER, NOTHING = "within the horizon", "not within the horizon", "nothing to pay back"


def payback_or_why(values: ArrayLike) -> tuple[float, str]:
    """`payback` and what it is: no period (NaN) `NEVER`, and `NOTHING` where the cumulative flow is never below zero.

    >>> payback_or_why([10, 20]), payback_or_why([-10, 20]), payback_or_why([-10, 5])
    ((nan, 'nothing to pay back'), (0.5, 'within the horizon'), (nan, 'not within the horizon'))
    """
    month = payback(values)
    if not month:
        return float("nan"), NEVER if month is None else NOTHING
    return month, BACK


def discounted_payback(values: ArrayLike, rate: float) -> float | None:
    """Payback of the discounted flows.

    >>> round(discounted_payback([-1000, 500, 400, 300, 100], 0.1), 2)
    2.95
    """
    flows = finite_flows(values)
    return payback(flows * discount_factors(flows.size, rate))


def annuity_payment(
    present_value: ArrayLike, rate: float, periods: ArrayLike, final_value: ArrayLike = 0.0
) -> np.ndarray:
    """Level payment at the end of each period that pays `present_value` less a discounted rest.

    payment = (PV - FV (1 + rate)^-n) rate / (1 - (1 + rate)^-n); (PV - FV) / n at rate zero.

    >>> round(float(annuity_payment(10000, 0.08 / 12, 10)), 2)
    1037.03
    """
    value, rest, count = (np.asarray(item, dtype=float) for item in (present_value, final_value, periods))
    check_rate(rate)
    if np.any(count <= 0):
        msg = f"periods must be positive, got {periods}"
        raise ValueError(msg)
    if rate == 0:
        return (value - rest) / count
    paid_off = -np.expm1(-count * np.log1p(rate))  # 1 - (1 + rate)^-n without cancellation
    return (value - rest * (1.0 - paid_off)) * (rate / paid_off)
