"""Compiled evaluation of a return model, one draw after the other, without any array of draws x months."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

MEASURES = ("npv_usd", "cost_usd", "pv_cost_usd", "payback_month", "discounted_payback_month", "lowest_cash_usd")
HOURS = 730.0  # a month
HOW = {"cache": True, "error_model": "numpy"}
#: No reordering that depends on the machine is allowed where draws are compared: only fused multiply-add.
FAST = {**HOW, "fastmath": {"contract", "nsz"}}


class Arrays(NamedTuple):
    """The return model as contiguous arrays; see `RoiModel` for shapes and units."""

    units: np.ndarray
    value_usd: np.ndarray
    variable_usd: np.ndarray
    hours_per_unit: np.ndarray
    pool: np.ndarray
    block_first: np.ndarray
    block_floor: np.ndarray
    block_level: np.ndarray
    block_share: np.ndarray
    capacity: np.ndarray
    flexible_usd_per_hour: np.ndarray
    hosted_usd: np.ndarray
    is_hosted: np.ndarray  # [O, K]
    any_hosted: np.ndarray  # [O]
    held_around_usd: np.ndarray  # [O, T + 1] storage and people of all capacity
    committed_usd: np.ndarray
    running_usd: np.ndarray
    base_usd: np.ndarray
    capex_usd: np.ndarray
    depreciation_usd: np.ndarray
    residual_usd: np.ndarray
    once_usd: np.ndarray
    lost_value_share: np.ndarray
    fixed_usd: np.ndarray
    around_usd_per_hour: np.ndarray
    share_of_compute: float
    contingency_share: float
    tax_rate: float
    loss_offset_share: float
    year_starts: np.ndarray
    factors: np.ndarray


class Space(NamedTuple):
    """Working memory, used again for every draw."""

    need: np.ndarray  # [P, T + 1] accelerators, all use cases
    mine: np.ndarray  # [P, T + 1] accelerators, those the option does not buy hosted
    growth: np.ndarray  # [T + 1] multiplier of demand
    worth: np.ndarray  # [T + 1] value
    extra: np.ndarray  # [T + 1] cost per unit, all use cases
    price: np.ndarray  # [T + 1] multiplier of rented hours
    hosted: np.ndarray  # [T + 1] cost of hosted units
    over: np.ndarray  # [T + 1] hours beyond capacity of one pool
    spill: np.ndarray  # [T + 1] cost of them at list price, all pools
    tended: np.ndarray  # [T + 1] storage and people of the hours paid for
    net: np.ndarray  # [T + 1] cash


@njit(**HOW)
def _payback(flows, factors):
    """Month from which the (discounted) cumulative flow stays at or above zero; NaN if never."""
    total, size, last, held = 0.0, 0.0, -1, 0.0
    for month in range(flows.size):
        size += abs(flows[month] * factors[month])
    for month in range(flows.size):
        total += flows[month] * factors[month]
        if total < -1e-9 * size:
            last, held = month, total
    if last < 0:
        return 0.0
    if last == flows.size - 1:
        return np.nan
    return last - held / (flows[last + 1] * factors[last + 1])


@njit(**HOW)
def _present(flows, log_growth):
    """Value at a rate, and its slope in log(1 + rate), by Horner's rule."""
    x = np.exp(-log_growth)
    value, slope = 0.0, 0.0
    for month in range(flows.size - 1, -1, -1):
        slope = slope * x + value
        value = value * x + flows[month]
    return value, -slope * x


@njit(**HOW)
def internal_rate(flows):
    """Rate per period if the flows change sign once, else NaN: bracketed Newton in log(1 + rate)."""
    changes, first, sign = 0, 0.0, 0.0
    for flow in flows:
        if flow != 0.0:
            now = 1.0 if flow > 0.0 else -1.0
            if sign == 0.0:
                first = now
            elif now != sign:
                changes += 1
            sign = now
    if changes != 1:
        return np.nan
    low, high, guess = -1.0, 1.0, 0.0
    while high < 512.0 and _present(flows, high)[0] * first < 0.0:
        high *= 2.0
    while low > -512.0 and _present(flows, low)[0] * first > 0.0:
        low *= 2.0
    for _ in range(200):
        value, slope = _present(flows, guess)
        if value * first > 0.0:
            high = guess
        else:
            low = guess
        step = guess - value / slope
        following = step if low < step < high else 0.5 * (low + high)
        if abs(following - guess) <= 1e-12 * (1.0 + abs(guess)):
            return np.expm1(following)
        guess = following
    return np.expm1(guess)


@njit(**HOW)
def _pays_first(flows):
    """Whether money goes out before any comes in: otherwise a rate is what that money costs, no return."""
    for flow in flows:
        if flow != 0.0:
            return flow < 0.0
    return False


@njit(**FAST)
def _demand(m, s, common, streams, draw):
    """Demand, value, need of accelerators and price path of one draw."""
    months, value, drift = s.worth.size, common[draw, 2], common[draw, 1]
    shift = int(min(max(common[draw, 10], 0.0), months))
    factor = common[draw, 0]
    for month in range(months):
        s.growth[month] = factor
        factor *= 1.0 + drift
        s.price[month] = common[draw, 4] * (1.0 + common[draw, 6] if month >= common[draw, 5] else 1.0)
        s.worth[month], s.extra[month] = 0.0, 0.0
        for at in range(s.need.shape[0]):
            s.need[at, month] = 0.0
    for k in range(m.pool.size):
        ours, at = streams[draw, k], m.pool[k]
        hours = ours * m.hours_per_unit[k] / (HOURS * common[draw, 3])
        for month in range(shift, months):
            units = m.units[k, month - shift]
            s.need[at, month] += units * hours
            s.worth[month] += units * m.value_usd[k, month - shift] * ours
            s.extra[month] += units * m.variable_usd[k, month] * ours
    for month in range(months):
        s.worth[month] *= s.growth[month] * value
        s.extra[month] *= s.growth[month]
    for at in range(s.need.shape[0]):
        for month in range(months):
            s.need[at, month] *= s.growth[month]


@njit(**FAST)
def _own_load(m, s, o, common, streams, draw):
    """Load of an option without the use cases it buys hosted, and what those cost."""
    shift = int(min(max(common[draw, 10], 0.0), s.worth.size))
    for p in range(s.need.shape[0]):
        for month in range(s.worth.size):
            s.mine[p, month] = s.need[p, month]
    for k in range(m.pool.size):
        if m.is_hosted[o, k]:
            hours = m.hours_per_unit[k] / (HOURS * common[draw, 3])
            for month in range(shift, s.worth.size):
                units = m.units[k, month - shift] * s.growth[month] * streams[draw, k]
                s.mine[m.pool[k], month] -= units * hours
                s.hosted[month] += units * m.hosted_usd[o, k, month] * common[draw, 7]


@njit(**FAST)
def _serve(m, s, o, load):
    """Cost of rented hours of one option, and of what goes with them, for the load of its pools."""
    for p in range(load.shape[0]):
        price = m.flexible_usd_per_hour[o, p]
        for month in range(s.worth.size):
            s.over[month] = 0.0
        for block in range(m.block_share.size):
            weight, first = HOURS * m.block_share[block], m.block_first[p, block]
            floor, times = m.block_floor[p, block], m.block_level[p, block]
            for month in range(s.worth.size):
                occupied = min(load[p, month] * first, floor + load[p, month] * times)
                s.over[month] += weight * max(occupied - m.capacity[o, p, month], 0.0)
        for month in range(s.worth.size):
            s.spill[month] += s.over[month] * price
            s.tended[month] += s.over[month] * m.around_usd_per_hour[p, month]


@njit(**HOW)
def _cash(m, s, o, power, resale, around):
    """Net cash of one option into `net`; returns cost, its present value, NPV and the lowest cash."""
    npv, cost, pv_cost, total, lowest = 0.0, 0.0, 0.0, 0.0, 0.0
    losses, year, advance = 0.0, 0.0, 0.0
    last = s.net.size - 1
    for month in range(last + 1):
        rented = s.spill[month] * s.price[month] + s.hosted[month]
        view = m.base_usd[o, month] + m.running_usd[o, month] * (power - 1.0) + rented
        centres = m.share_of_compute * view + s.tended[month] + m.fixed_usd[month]
        others = around * (centres + s.extra[month]) + m.once_usd[o, month]
        opex = m.committed_usd[o, month] + m.running_usd[o, month] * power + rented + others
        opex += m.contingency_share * (view + others)
        earned = s.worth[month] * (1.0 - m.lost_value_share[o, month])
        if m.year_starts[month]:
            losses -= year if year < 0.0 else min(losses, m.loss_offset_share * year)
            year, advance = 0.0, 0.0
        year += earned - opex - m.depreciation_usd[o, month]
        if month == last:
            year += m.residual_usd[o] * (resale - 1.0)
        base = max(year, 0.0)
        taxed = m.tax_rate * (base - min(losses, m.loss_offset_share * base)) - advance
        advance += taxed
        spent = opex + m.capex_usd[o, month]
        if month == last:
            spent -= m.residual_usd[o] * resale
        s.net[month] = earned - spent - taxed
        npv += s.net[month] * m.factors[month]
        cost += spent
        pv_cost += spent * m.factors[month]
        total += s.net[month]
        lowest = min(lowest, total)
    return npv, cost, pv_cost, lowest


@njit(**HOW)
def evaluate_draws(m, common, streams, with_rate, out, rates):
    """Fill `out` [O, M, n] with the measures and `rates` [O, n] with internal rates of return a month.

    `common` [n, 12] holds the factors in the order of `NEUTRAL`, `streams` [n, K] those of use cases.
    """
    months, pools = m.units.shape[1], m.block_level.shape[0]
    ones, row = np.ones(months), np.zeros((9, months))
    need, mine = np.zeros((pools, months)), np.zeros((pools, months))
    s = Space(need, mine, row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8])
    for draw in range(common.shape[0]):
        power, resale, around = common[draw, 8], common[draw, 9], common[draw, 11]
        _demand(m, s, common, streams, draw)
        for o in range(m.capacity.shape[0]):
            for month in range(months):
                s.spill[month], s.hosted[month], s.tended[month] = 0.0, 0.0, m.held_around_usd[o, month]
            if m.any_hosted[o]:
                _own_load(m, s, o, common, streams, draw)
                _serve(m, s, o, s.mine)
            else:
                _serve(m, s, o, s.need)
            npv, cost, pv_cost, lowest = _cash(m, s, o, power, resale, around)
            out[o, 0, draw], out[o, 1, draw], out[o, 2, draw] = npv, cost, pv_cost
            out[o, 3, draw], out[o, 4, draw] = _payback(s.net, ones), _payback(s.net, m.factors)
            out[o, 5, draw] = lowest
            if with_rate and _pays_first(s.net):
                rates[o, draw] = internal_rate(s.net)
