"""Which slot is paid for how, month by month: the cheapest orders, and any other rule.

Slots are independent once the load is cut into nodes, so the cheapest way to pay for each follows
exactly from backward induction over the months. At every month a slot either stays flexible
(pays used hours) or signs a term:

    W(t) = min( flexible(t) + W(t + 1),  min over options o of  signed(o, t) + W(t + term) )

in present value at the cost of capital. The part of a term beyond the horizon is charged in full
in the last month and no use after it is counted, so the end of the horizon does not invite long
commitments; bought equipment is credited with its resale value. Any other rule (all on-demand,
average plus reserve) is a path of the same induction, hence never cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aifactory.finance.cashflow import discount_factors
from aifactory.finance.options import COMMITTED_OPTIONS
from aifactory.fleet.nodes import Load, Slots
from aifactory.fleet.terms import Terms

FLEXIBLE = -1
INSTEAD = (
    "reserved_3y",
    "reserved_1y",
    "lease",
    "purchase",
    "capacity_block",
)  # longest rent first, blocks of months last
OWNED = len(COMMITTED_OPTIONS)  # state of slots that orders placed before the plan provide
UNSERVED_USD = 1e9  # keeps the induction from leaving demand without capacity where it can be had


@dataclass(frozen=True)
class Orders:
    """State and signatures per month and slot, [T + 1, N]."""

    state: np.ndarray  # option in force, FLEXIBLE, or OWNED where the slot was there before the plan
    signed: np.ndarray  # option signed in that month, else FLEXIBLE

    def first_signed(self) -> tuple[np.ndarray, np.ndarray]:
        """Option and month of each slot's first signature; FLEXIBLE and 0 without one."""
        month = (self.signed != FLEXIBLE).argmax(axis=0)
        return self.signed[month, np.arange(self.signed.shape[1])], month


def rented_usd(load: Load, terms: Terms) -> np.ndarray:
    """Price of a full month of a slot's hours, [2, T + 1, N]: of those on demand, and of those on spot where that is cheaper.

    Infinite where its hours are not offered.
    """
    spot = np.where(terms.spot_usd_per_month < terms.flexible_usd_per_month, load.interruptible, 0.0)
    shares, prices = (1.0 - spot, spot), (terms.flexible_usd_per_month, terms.spot_usd_per_month)
    return np.stack([share * np.where(share > 0, usd, 0.0) for share, usd in zip(shares, prices, strict=True)])


def flexible_usd(load: Load, terms: Terms) -> np.ndarray:
    """Cost of a month without commitment, [T + 1, N]: used hours at on-demand or spot price, with what goes with them.

    Where nothing can be rented by the hour the cost is infinite for every slot of the fleet, since
    its reserve too must stand ready.
    """
    rate = rented_usd(load, terms).sum(axis=0) + terms.around_usd_month
    use = np.where(np.isfinite(rate), load.use, load.held)
    return np.where(use > 0, np.where(use > 0, use, 1.0) * rate, 0.0)


def signature_usd(terms: Terms, month: int, factors: np.ndarray) -> np.ndarray:
    """Present value of signing each option in a month, [O, N]; infinite where it cannot be had."""
    horizon = len(factors) - 1
    last = np.minimum(month + terms.term - 1, horizon)
    until = np.concatenate([[0.0], np.cumsum(factors)])
    paid = until[last + 1] - until[month]
    beyond = (month + terms.term - 1 - last) * (terms.capex_usd == 0)
    rent = terms.rent_usd_month
    upfront = rent * terms.upfront_share * terms.term
    monthly = rent * (1.0 - terms.upfront_share)
    cost = upfront * factors[month] + (monthly + terms.running_usd_month() + terms.around_usd_month) * paid
    cost += monthly * beyond * factors[-1] + terms.capex_usd * factors[np.maximum(month - terms.lead, 1)]
    cost -= terms.resale_usd(horizon - month + 1) * factors[-1]
    return np.where(terms.available & (month >= terms.first_month), cost, np.inf)


def cheapest_decisions(load: Load, terms: Terms, rate: float) -> np.ndarray:
    """Best decision of every slot in every month, [T + 1, N]: FLEXIBLE or an option to sign."""
    months, slots = load.use.shape
    factors = discount_factors(months, rate)
    stay = np.nan_to_num(flexible_usd(load, terms), posinf=UNSERVED_USD) * factors[:, None]
    ahead = np.zeros((months + 1, slots))
    decision = np.full((months, slots), FLEXIBLE)
    columns = np.arange(slots)
    for month in range(months - 1, 0, -1):
        after = ahead[np.minimum(month + terms.term, months), columns]
        signing = signature_usd(terms, month, factors) + after
        option = signing.argmin(axis=0) if slots else np.zeros(0, dtype=int)
        staying = stay[month] + ahead[month + 1]
        best = signing[option, columns]
        signs = best < staying
        decision[month] = np.where(signs, option, FLEXIBLE)
        ahead[month] = np.where(signs, best, staying)
    return decision


def follow(decision: np.ndarray, terms: Terms, owned: np.ndarray) -> Orders:
    """Walk forward through decisions; a slot under a term cannot decide until the term ends.

    `owned` [T + 1, N], or [N] for all months: the slot is there from orders placed before; it signs nothing then, nor a
    term that would still run when they deliver it.
    """
    months, slots = decision.shape
    owned = np.broadcast_to(owned, decision.shape)
    state = np.full((months, slots), FLEXIBLE)
    signed = np.full((months, slots), FLEXIBLE)
    free_from, current = np.zeros(slots, dtype=int), np.full(slots, FLEXIBLE)
    columns, arrives = np.arange(slots), next_owned(owned)
    for month in range(1, months):
        free = (free_from <= month) & ~owned[month]
        choice = np.where(free, decision[month], FLEXIBLE)
        until = month + terms.term[np.where(choice != FLEXIBLE, choice, 0), columns]
        signs = (choice != FLEXIBLE) & ((until <= arrives[month]) | (arrives[month] >= months))
        choice = np.where(signs, choice, FLEXIBLE)
        current = np.where(owned[month], OWNED, np.where(free, choice, current))
        free_from = np.where(signs, until, free_from)
        state[month], signed[month] = current, choice
    state[0] = np.where(owned[0], OWNED, FLEXIBLE)
    return Orders(state, signed)


def next_owned(owned: np.ndarray) -> np.ndarray:
    """First month from each on in which a slot is there from orders placed before, [T + 1, N]; T + 1 if never again.

    >>> next_owned(np.array([[False], [False], [True], [False]]))[:, 0].tolist()
    [2, 2, 2, 4]
    """
    months = len(owned)
    month = np.where(owned, np.arange(months)[:, None], months)
    return np.minimum.accumulate(month[::-1], axis=0)[::-1]


def committed_first(load: Load, state: np.ndarray, slots: Slots, terms: Terms) -> Load:
    """The load with the hours that would cost most to rent on the slots that are committed, month by month.

    Hours go to what is paid for in any case before any is rented: where the first slot waits for a delivery, or its
    term has ended while another is committed, the two exchange their hours. `state` [T + 1, N] as of `follow`.
    """
    rented = np.nan_to_num(flexible_usd(load, terms))
    first = np.searchsorted(slots.pool, slots.pool)
    dearest = np.argsort(-rented, axis=1, kind="stable")
    dearest = np.take_along_axis(dearest, np.argsort(slots.pool[dearest], axis=1, kind="stable"), axis=1)
    pools = int(slots.pool.max(initial=-1)) + 1
    committed = slots.total((state != FLEXIBLE).astype(float), pools)[:, slots.pool]
    taken = np.zeros(state.shape, dtype=bool)
    np.put_along_axis(taken, dearest, np.arange(len(first)) - first < committed, axis=1)
    source = np.argsort(2 * slots.pool + ~taken, axis=1, kind="stable")
    target = np.argsort(2 * slots.pool + (state == FLEXIBLE), axis=1, kind="stable")
    moved = {name: np.zeros_like(getattr(load, name)) for name in ("use", "work", "held", "interruptible")}
    for name, values in moved.items():
        np.put_along_axis(values, target, np.take_along_axis(getattr(load, name), source, axis=1), axis=1)
    return replace(load, **moved)


def with_firm_orders(decision: np.ndarray, firm: np.ndarray, orders: Orders) -> np.ndarray:
    """Replace the decisions of firm slots up to their first signature by the orders already given."""
    option, month = orders.first_signed()
    ordered = firm & (option != FLEXIBLE)
    rows = np.arange(len(decision))[:, None]
    before = np.where(ordered & (rows < month), FLEXIBLE, decision)
    return np.where(ordered & (rows == month), option, before)


def rule_decisions(hold: np.ndarray, option: str, terms: Terms) -> np.ndarray:
    """Decisions of a fixed rule: sign `option` whenever a slot must be held, else stay flexible.

    Where the option is not offered the first of `INSTEAD` that is takes its place. Until it can be delivered hours are
    rented, as a rule that buys would bridge its wait and not sign for years instead; where none are, the shortest term that
    can be had holds the slot.
    """
    order = [COMMITTED_OPTIONS.index(name) for name in (option, *INSTEAD)]
    decision, rows = np.full(hold.shape, FLEXIBLE), np.arange(len(hold))[:, None]
    if not hold.size:
        return decision
    there = terms.available & (terms.first_month < len(hold))
    chosen = np.array(order)[there[order].argmax(axis=0)]
    first = terms.first_month[chosen, np.arange(hold.shape[1])]
    rented = np.isfinite(terms.flexible_usd_per_month)
    for choice in sorted(range(len(COMMITTED_OPTIONS)), key=lambda at: -terms.term[at].min()):
        bridges = hold & ~rented & there[choice] & (rows >= terms.first_month[choice])
        decision = np.where(bridges, choice, decision)
    return np.where(hold & there.any(axis=0) & (rows >= first), chosen, decision)
