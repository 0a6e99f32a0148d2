"""Cash flows on dates: years are days / 365, as in spreadsheets (XNPV, XIRR)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar

from aifactory.finance.cashflow import InternalRates, check_rate, finite_flows, only_rate, without_noise

DAYS_PER_YEAR = 365.0
LOWEST, HIGHEST = np.log(1e-6), np.log(1e9)  # of 1 + rate
GRID = 4_001
#: The days that spreadsheets know; a number such as 20260101 is no day.
FIRST_DAY, LAST_DAY = np.datetime64("1900-01-01"), np.datetime64("9999-12-31")
TOUCH = 1e-12  # a minimum this near to zero, relative to the flows, is a double root


def years_from_first(dates: Sequence[object]) -> np.ndarray:
    """Years from the first date given to each, actual days / 365.

    >>> years_from_first(["2026-01-01", "2027-01-01"]).tolist()
    [0.0, 1.0]
    """
    days = np.array([np.datetime64(str(date), "D") for date in dates])
    if np.isnat(days).any():
        msg = "every flow needs a date"
        raise ValueError(msg)
    strange = np.flatnonzero((days < FIRST_DAY) | (days > LAST_DAY))
    if strange.size:
        msg = f"dates must be YYYY-MM-DD from {FIRST_DAY} to {LAST_DAY}, got {dates[strange[0]]!r}"
        raise ValueError(msg)
    return (days - days[0]).astype(float) / DAYS_PER_YEAR


def _read(values: ArrayLike, dates: Sequence[object]) -> tuple[np.ndarray, np.ndarray]:
    flows = finite_flows(values)
    if flows.size != len(dates):
        msg = f"as many dates as values are needed, got {len(dates)} and {flows.size}"
        raise ValueError(msg)
    years = years_from_first(dates) if flows.size else np.zeros(0)
    if np.any(years < 0):
        msg = "no date may lie before the first one"
        raise ValueError(msg)
    return flows, years


def xnpv(rate: float, values: ArrayLike, dates: Sequence[object]) -> float:
    """Present value at the first date: sum of v (1 + rate)^(-days / 365).

    >>> round(xnpv(0.1, [-100, 121], ["2026-01-01", "2027-01-01"]), 9)
    10.0
    """
    check_rate(rate)
    flows, years = _read(values, dates)
    return float((flows * (1.0 + rate) ** -years).sum())


def xirr(values: ArrayLike, dates: Sequence[object]) -> InternalRates:
    """Every annual rate at which the dated flows are worth nothing, with its status.

    With one change of sign in time there is one rate; else found on a grid of log(1 + rate) between 1e-6 and 1e9, refined between changes of sign and where
    the value touches zero. Flows may come in any order after the first date; those of one day are one.

    >>> xirr([-100, 110], ["2026-01-01", "2027-01-01"]).rates
    (0.1,)
    """
    flows, years = _read(values, dates)
    times, place = np.unique(years, return_inverse=True)
    flows = without_noise(np.bincount(place, flows, minlength=times.size))  # by day
    used = np.flatnonzero(flows)
    changes = int((np.diff(np.sign(flows[used])) != 0).sum())
    if changes == 0:
        return InternalRates(())
    first = bool(flows[used[0]] > 0)
    if changes == 1:
        rate = only_rate(flows[used], times[used])
        return InternalRates((round(rate, 12),) if np.isfinite(rate) else (), receives_first=first)
    flows, years = flows[used], times[used] - times[used[0]]
    rates = tuple(round(float(np.expm1(root)), 12) for root in _log_roots(flows, years))
    return InternalRates(rates, receives_first=first)


def _log_roots(flows: np.ndarray, years: np.ndarray) -> list[float]:
    """Zeros of sum v exp(-u t), each term scaled by the largest one."""

    def value(point: float) -> float:
        exponent = -point * years
        return float((flows * np.exp(exponent - exponent.max())).sum())

    grid = np.linspace(LOWEST, HIGHEST, GRID)
    exponents = -grid[:, None] * years
    heights = (flows * np.exp(exponents - exponents.max(axis=1, keepdims=True))).sum(axis=1)
    roots = [float(grid[i]) for i in np.flatnonzero(heights == 0)]
    for i in np.flatnonzero(heights[:-1] * heights[1:] < 0):
        roots.append(brentq(value, grid[i], grid[i + 1], xtol=1e-14, rtol=1e-14))
    size = np.abs(heights)
    dips = np.flatnonzero((size[1:-1] <= size[:-2]) & (size[1:-1] <= size[2:])) + 1
    for i in dips:
        sign = np.sign(heights[i])
        if sign and np.all(np.sign(heights[i - 1 : i + 2]) == sign):
            roots += _touching(value, sign, grid[i - 1], grid[i + 1], TOUCH * np.abs(flows).sum())
    return sorted(roots)


def _touching(value, sign: float, low: float, high: float, nothing: float) -> list[float]:  # noqa: ANN001
    """Two roots inside one cell of the grid, or one where the value only touches zero."""
    found = minimize_scalar(lambda u: sign * value(u), bounds=(low, high), method="bounded", options={"xatol": 1e-13})
    if found.fun < -nothing:
        ends = ((low, found.x), (found.x, high))
        return [brentq(value, left, right, xtol=1e-14, rtol=1e-14) for left, right in ends]
    return [float(found.x)] if found.fun <= nothing else []
