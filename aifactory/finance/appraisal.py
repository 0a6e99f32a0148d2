"""Figures of merit of a project beside NPV: levelised cost, annual cost, break-even, crossover."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aifactory.finance.cashflow import InternalRates, annuity_payment, finite_flows, irr_all, npv


def mid_period_npv(values: ArrayLike, rate: float) -> float:
    """Present value of flows that arrive in the middle of their period: NPV (1 + r)^(1/2).

    All flows move by half a period, the one of t = 0 too; keep an outlay at approval outside.

    >>> round(mid_period_npv([0, 1000, 1000, 1000], 0.1), 4)
    2608.2324
    """
    return float(npv(finite_flows(values), rate)) * (1.0 + rate) ** 0.5


def begin_period_npv(values: ArrayLike, rate: float) -> float:
    """Present value of flows that arrive at the start of their period: NPV (1 + r).

    >>> round(begin_period_npv([0, 110], 0.1), 6)
    110.0
    """
    return float(npv(finite_flows(values), rate)) * (1.0 + rate)


def crossover_rate(a: ArrayLike, b: ArrayLike) -> InternalRates:
    """Rates at which two projects have the same present value: internal rates of a - b.

    >>> round(crossover_rate([-1000, 500, 400, 300, 100], [-1000, 100, 300, 400, 675]).rate, 5)
    0.11975
    """
    left, right = finite_flows(a), finite_flows(b)
    size = max(left.size, right.size)
    return irr_all(np.pad(left, (0, size - left.size)) - np.pad(right, (0, size - right.size)))


def equivalent_annual_cost(rate: float, initial: float, annual: float, years: float, salvage: float = 0.0) -> float:
    """Level cost a year of an outlay with a running cost: annuity of (initial - PV of salvage) + annual.

    >>> round(equivalent_annual_cost(0.06, 15, 5, 3), 2)
    10.61
    """
    return annual + float(annuity_payment(initial, rate, years, salvage))


def levelised_unit_cost(costs: ArrayLike, units: ArrayLike, rate: float) -> float:
    """Price per unit that earns all costs back at the rate: PV of costs / PV of units.

    >>> round(levelised_unit_cost([1000, 100, 100], [0, 600, 600], 0.1), 4)
    1.127
    """
    worth = float(npv(finite_flows(units), rate))
    if not worth > 0:
        msg = "no units are served, so there is no cost per unit"
        raise ValueError(msg)
    return float(npv(finite_flows(costs), rate)) / worth


def break_even_units(fixed: ArrayLike, price: ArrayLike, variable: ArrayLike) -> np.ndarray:
    """Units at which revenue covers fixed and variable cost: fixed / (price - variable), at least 0; NaN if never.

    >>> float(break_even_units(1000.0, 0.5, 0.1))
    2500.0
    """
    margin = np.asarray(price, dtype=float) - np.asarray(variable, dtype=float)
    return np.where(
        margin > 0, np.maximum(np.asarray(fixed, dtype=float), 0.0) / np.where(margin > 0, margin, 1.0), np.nan
    )


def profitability_index(values: ArrayLike, rate: float) -> float:
    """Present value of the flows after the first, per unit of outlay.

    >>> round(profitability_index([-100, 60, 72], 0.2), 6)
    1.0
    """
    flows = finite_flows(values)
    if flows.size == 0 or flows[0] >= 0:
        msg = "the first flow must be an outlay"
        raise ValueError(msg)
    return float((npv(flows, rate) - flows[0]) / -flows[0])
