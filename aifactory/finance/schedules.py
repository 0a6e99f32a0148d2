"""Depreciation schedules: straight line, declining balance, sum of years, tax tables.

References: spreadsheet functions SLN, SYD, DB, DDB, VDB; IRS Publication 946, Appendix A.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from aifactory.finance.cashflow import MOST_PERIODS, check_rate

Convention = Literal["half-year", "mid-quarter", "mid-month"]


def _check(cost: float, salvage: float, life: float) -> None:
    if not (cost >= 0 and salvage >= 0):
        msg = f"cost and salvage must not be negative, got {cost} and {salvage}"
        raise ValueError(msg)
    if not life > 0:
        msg = f"life must be positive, got {life}"
        raise ValueError(msg)


def _check_period(per: float, last: float) -> None:
    if not 0 < per <= last:
        msg = f"period must be above 0 and at most {last}, got {per}"
        raise ValueError(msg)


def _check_length(periods: float) -> None:
    if periods > MOST_PERIODS:
        msg = f"more than {MOST_PERIODS:,} periods: is the life in another unit?"
        raise ValueError(msg)


def sln(cost: float, salvage: float, life: float) -> float:
    """Straight line: (cost - salvage) / life per period.

    >>> sln(30_000, 7_500, 10)
    2250.0
    """
    _check(cost, salvage, life)
    return (cost - salvage) / life


def syd(cost: float, salvage: float, life: float, per: float) -> float:
    """Sum of the years' digits: (cost - salvage) (life - per + 1) 2 / (life (life + 1)).

    >>> round(syd(30_000, 7_500, 10, 1), 2)
    4090.91
    """
    _check(cost, salvage, life)
    _check_period(per, life)
    return (cost - salvage) * (life - per + 1) * 2 / (life * (life + 1))


def db(cost: float, salvage: float, life: int, month: int = 12) -> list[float]:
    """Fixed declining balance with a rate rounded to three digits; the first year has `month` months.

    rate = round(1 - (salvage / cost)^(1 / life), 3). The schedule has one more year if the first is short.

    >>> [round(value, 2) for value in db(1_000_000, 100_000, 6, 7)][:2]
    [186083.33, 259639.42]
    """
    _check(cost, salvage, life)
    if int(life) != life or int(month) != month or not 1 <= month <= 12:
        msg = f"life must be whole and month from 1 to 12, got {life} and {month}"
        raise ValueError(msg)
    _check_length(life)
    if cost == 0:
        return [0.0] * (int(life) + (month < 12))
    rate = round(1.0 - (salvage / cost) ** (1.0 / life), 3)
    left, schedule = float(cost), []
    shares = [month / 12, *[1.0] * (int(life) - 1), *([(12 - month) / 12] if month < 12 else [])]
    for share in shares:
        schedule.append(left * rate * share)
        left -= schedule[-1]
    return schedule


def ddb_schedule(cost: float, salvage: float, life: float, factor: float = 2.0) -> list[float]:
    """Declining balance of every whole period of the life.

    >>> [round(value) for value in ddb_schedule(2_400, 300, 4)]
    [1200, 600, 300, 0]
    """
    _check(cost, salvage, life)
    _check_length(life)
    return [ddb(cost, salvage, life, period, factor) for period in range(1, int(life) + 1)]


def ddb(cost: float, salvage: float, life: float, per: float, factor: float = 2.0) -> float:
    """Declining balance at factor / life, never below the salvage value.

    >>> round(ddb(2_400, 300, 10, 10), 2)
    22.12
    """
    _check(cost, salvage, life)
    _check_period(per, life)
    return _declining(cost, salvage, life, per, factor)


def _declining(cost: float, salvage: float, life: float, per: float, factor: float) -> float:
    if not factor > 0:
        msg = f"factor must be positive, got {factor}"
        raise ValueError(msg)
    kept = 1.0 - min(factor / life, 1.0)
    before = cost * kept ** (per - 1) if per > 1 else cost
    return max(before - max(cost * kept**per, salvage), 0.0)


def vdb(
    cost: float,
    salvage: float,
    life: float,
    start: float,
    end: float,
    factor: float = 2.0,
    no_switch: bool = False,  # noqa: FBT001, FBT002
) -> float:
    """Declining balance from time `start` to `end`, switching to straight line once that is more.

    Times may be fractions; inside a period depreciation is even.

    >>> round(vdb(2_400, 300, 120, 6, 18), 2)
    396.31
    >>> vdb(2_400, 300, 10, 0, 0.875, 1.5)
    315.0
    """
    _check(cost, salvage, life)
    if not 0 <= start <= end <= life:
        msg = f"start and end must satisfy 0 <= start <= end <= life, got {start}, {end} and {life}"
        raise ValueError(msg)
    _check_length(end)
    left, straight, total = cost - salvage, 0.0, 0.0
    for index in range(math.ceil(end)):
        if not straight:
            declining = _declining(cost, salvage, life, index + 1, factor)
            even = max(left, 0.0) / (life - index)
            straight = even if even > declining and not no_switch else 0.0
        amount = straight or declining
        left -= amount
        total += amount * max(min(end, index + 1) - max(start, index), 0.0)
    return total


def macrs_pct(
    life: float, convention: Convention = "half-year", quarter: int | None = None, month: int | None = None
) -> list[float]:
    """US tax depreciation in percent of cost a year, unrounded (the tables round to two digits).

    200 % declining balance up to 10 years, 150 % for 15 and 20 years, straight line for buildings,
    each with the switch to straight line once that is more. In the first year half a year counts, or
    half of the quarter or month in which the property is placed in service and all that follow.

    >>> [round(value, 2) for value in macrs_pct(5)]
    [20.0, 32.0, 19.2, 11.52, 11.52, 5.76]
    """
    factor = {3: 2.0, 5: 2.0, 7: 2.0, 10: 2.0, 15: 1.5, 20: 1.5, 27.5: 0.0, 39: 0.0}.get(life)
    if factor is None:
        msg = f"life must be 3, 5, 7, 10, 15, 20, 27.5 or 39 years, got {life}"
        raise ValueError(msg)
    first = _first_year(convention, quarter, month)
    if (convention == "mid-month") != (factor == 0):
        msg = "mid-month belongs to buildings (27.5 and 39 years), the others to equipment"
        raise ValueError(msg)
    left, elapsed, shares = 100.0, 0.0, []
    while left > 1e-12 and elapsed < life:
        span = first if not shares else min(1.0, life - elapsed)
        even = left * span / (life - elapsed)
        shares.append(min(max(left * factor / life * span, even), left))
        left -= shares[-1]
        elapsed += span
    return shares


def _first_year(convention: str, quarter: int | None, month: int | None) -> float:
    """Share of the first year that counts."""
    if convention == "half-year":
        return 0.5
    given, most = {"mid-quarter": (quarter, 4), "mid-month": (month, 12)}.get(convention, (None, 0))
    if not most:
        msg = f"convention must be half-year, mid-quarter or mid-month, got {convention!r}"
        raise ValueError(msg)
    if given not in range(1, most + 1):
        msg = f"{convention} needs a {'quarter' if most == 4 else 'month'} from 1 to {most}, got {given}"
        raise ValueError(msg)
    return (most - given + 0.5) / most


def tax_shield_pv(rate: float, tax: float, cost: float, schedule: list[float]) -> float:
    """Present value of the tax saved by depreciation, at the end of each year: tax x cost x share / (1 + r)^t.

    `schedule` is in percent of cost and must not exceed 100.

    >>> round(tax_shield_pv(0.1, 0.35, 1000, macrs_pct(5)), 6)
    270.641146
    """
    check_rate(rate)
    shares = np.asarray(schedule, dtype=float)
    if np.any(~(shares >= 0)) or shares.sum() > 100.0 + 0.05:
        msg = f"the schedule must hold shares of cost in percent, 100 at most in all, got {shares.sum():.2f}"
        raise ValueError(msg)
    return float(tax * cost * (shares / 100.0 * (1.0 + rate) ** -np.arange(1.0, shares.size + 1)).sum())
