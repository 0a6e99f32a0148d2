"""Tax on profit by fiscal year: what of an outlay may be written off when, and losses carried forward.

Only timing differs between the ways to write off: over the horizon, write-offs less the taxed gain of
the sale are outlay less resale value in all of them. What holds for an organisation is for its tax
adviser to say. References: IRS Publication 946 (MACRS); IRC section 168(k) as amended in July 2025
(first-year write-off of 100 % for property acquired after 2025-01-19); IRC section 172 (losses offset
at most 80 % of a later year's profit and do not expire; other countries set other shares).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from aifactory.finance.cashflow import finite_flows
from aifactory.finance.schedules import macrs_pct
from aifactory.units import MONTHS_PER_YEAR

Regime = Literal["straight_line", "macrs_5", "bonus_100"]
REGIMES: dict[Regime, str] = {
    "straight_line": "straight line to the resale value",
    "macrs_5": "five-year MACRS, half-year or mid-quarter convention",
    "bonus_100": "all in the first year (100 % bonus)",
}
LIFE_YEARS = 5  # computers and their peripherals
#: Share of a year's purchases in its last quarter beyond which the mid-quarter convention holds (Pub 946).
MID_QUARTER_SHARE = 0.4


def year_starts(months: int, first_position: int) -> np.ndarray:
    """Whether a fiscal year starts in each month; month 0 is `first_position` months into its year.

    >>> year_starts(4, 10).tolist()
    [False, False, True, False]
    """
    if not 0 <= first_position < MONTHS_PER_YEAR:
        msg = f"the position in the fiscal year must be 0 to {MONTHS_PER_YEAR - 1}, got {first_position}"
        raise ValueError(msg)
    return (np.arange(months) + first_position) % MONTHS_PER_YEAR == 0


def tax_due(profit: ArrayLike, rate: float, loss_offset_share: float, starts: ArrayLike) -> np.ndarray:
    """Tax by month on profit by month, [T]: advances on the profit of the year so far.

    Within a fiscal year losses and profits offset each other (tax paid in advance comes back). A loss
    of the year is carried forward without end and offsets at most `loss_offset_share` of the profit
    of each later year: 0 means that losses are lost, 1 that they offset everything. Losses left at
    the end are worth nothing.

    >>> tax_due([-100, 300], 0.25, 0.8, [True, True]).tolist()
    [0.0, 50.0]
    >>> tax_due([-100, 50], 0.25, 0.8, [True, True]).tolist(), tax_due([40, -40], 0.25, 0.0, [True, False]).tolist()
    ([0.0, 2.5], [10.0, -10.0])
    """
    flows, begins = finite_flows(profit), np.asarray(starts, dtype=bool)
    if flows.shape != begins.shape or not 0 <= rate <= 1 or not 0 <= loss_offset_share <= 1:
        msg = f"one start per month and shares in [0, 1] are needed, got {begins.shape}, {rate}, {loss_offset_share}"
        raise ValueError(msg)
    due, losses, year, paid = np.zeros(flows.size), 0.0, 0.0, 0.0
    for month, amount in enumerate(flows):
        if begins[month]:
            losses = losses_after(losses, year, loss_offset_share)
            year, paid = 0.0, 0.0
        year += amount
        base = max(year, 0.0)
        due[month] = rate * (base - min(losses, loss_offset_share * base)) - paid
        paid += due[month]
    return due


def losses_after(losses: float, year: float, loss_offset_share: float) -> float:
    """Losses carried into the next year, from those carried into this one and its profit.

    >>> losses_after(10.0, -5.0, 0.8), losses_after(10.0, 5.0, 0.8)
    (15.0, 6.0)
    """
    return losses - year if year < 0 else losses - min(losses, loss_offset_share * year)


def write_offs(placed: ArrayLike, resale: ArrayLike, regime: Regime, first_position: int = 0) -> np.ndarray:
    """Deductible write-off by month less the taxed gain of the sale in the last one, [T + 1].

    `placed` is the outlay by the month in which its equipment goes to work, `resale` what that
    equipment sells for in the last month. MACRS percentages of a year are spread over its months of
    use, at the convention that holds for its purchases (`mid_quarter_years`); equipment is sold at the
    end of the last month, for a gain over what is left of its outlay. The year of the sale writes off what
    the convention leaves of it: half of a full year, or up to the middle of the quarter of the sale, and
    nothing where the equipment also began in that year (Pub 946, "Dispositions").

    >>> write_offs([0, 120, 0], [0, 20, 0], "straight_line").tolist()
    [0.0, 50.0, 50.0]
    >>> write_offs([0, 120, 0], [0, 20, 0], "bonus_100").tolist()
    [0.0, 120.0, -20.0]
    >>> write_offs([0, 120, 0], [0, 20, 0], "macrs_5").tolist()
    [0.0, 0.0, 100.0]
    """
    if regime not in REGIMES:
        msg = f"tax depreciation must be one of {', '.join(REGIMES)}, got {regime!r}"
        raise ValueError(msg)
    outlay, sold = finite_flows(placed), finite_flows(resale)
    if outlay.size != sold.size:
        msg = f"as many resale values as outlays are needed, got {sold.size} and {outlay.size}"
        raise ValueError(msg)
    found, last = np.zeros(outlay.size), outlay.size - 1
    late = mid_quarter_years(outlay, first_position)
    for month in np.flatnonzero(outlay):
        if regime == "straight_line":
            found[month:] += (outlay[month] - sold[month]) / (last - month + 1)
            continue
        year, position = divmod(int(month) + first_position, MONTHS_PER_YEAR)
        shares = _shares(regime, last - month + 1, position, late[year])
        found[month:] += outlay[month] * shares
        found[last] -= sold[month] - outlay[month] * (1.0 - shares.sum())
    return found


def mid_quarter_years(placed: ArrayLike, first_position: int = 0) -> np.ndarray:
    """Whether each fiscal year takes the mid-quarter convention: over 40 % of its purchases in the last quarter.

    A year that the horizon cuts off counts what falls into it.

    >>> mid_quarter_years([60, 0, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0]).tolist()
    [False]
    >>> mid_quarter_years([59, 0, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0]).tolist()
    [True]
    """
    outlay = finite_flows(placed)
    years, position = np.divmod(np.arange(outlay.size) + first_position, MONTHS_PER_YEAR)
    count = int(years.max(initial=0)) + 1
    whole = np.bincount(years, weights=outlay, minlength=count)
    last = np.bincount(years, weights=np.where(position >= MONTHS_PER_YEAR - 3, outlay, 0.0), minlength=count)
    return last > MID_QUARTER_SHARE * whole * (1 + 1e-12)


def _shares(regime: Regime, months: int, position: int, mid_quarter: bool) -> np.ndarray:  # noqa: FBT001
    """Share of the outlay written off in each month of use."""
    if regime == "bonus_100":
        return np.eye(1, months)[0]
    years = (np.arange(months) + position) // MONTHS_PER_YEAR
    schedule = macrs_pct(LIFE_YEARS, "mid-quarter", position // 3 + 1) if mid_quarter else macrs_pct(LIFE_YEARS)
    percent = np.array([*schedule, *np.zeros(months)])
    percent[years[-1]] *= _sold_share(years[-1], position, (months - 1 + position) % MONTHS_PER_YEAR, mid_quarter)
    used = np.where(years == 0, MONTHS_PER_YEAR - position, MONTHS_PER_YEAR)
    used = np.where(years == years[-1], np.count_nonzero(years == years[-1]), used)
    return percent[years] / 100.0 / used


def _sold_share(year: int, placed: int, sold: int, mid_quarter: bool) -> float:  # noqa: FBT001
    """Share of the percentage of the year of the sale that is written off; `placed` and `sold` are months of their years."""
    if year == 0:
        return 0.0
    end, begin = ((sold // 3 + 0.5) / 4, (placed // 3 + 0.5) / 4) if mid_quarter else (0.5, 0.5)
    # the recovery period ends in its sixth fiscal year as late in the year as it began in the first
    return end if year < LIFE_YEARS else min(end / begin, 1.0)
