"""What the accelerators of a set of orders cost, month by month: two views that add up to the same total.

The cost view spreads purchases and up-front rent over the months of use; the cash view has them
when they are paid. Over the horizon both sum to the same amount, which is checked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aifactory.errors import IdentityError
from aifactory.finance.cashflow import npv
from aifactory.finance.options import COMMITTED_OPTIONS, OPTION_NAMES
from aifactory.fleet.nodes import Load, Slots
from aifactory.fleet.orders import FLEXIBLE, OWNED, Orders, rented_usd
from aifactory.fleet.placed import Placed
from aifactory.fleet.terms import BOUGHT, Terms
from aifactory.units import HOURS_PER_MONTH

DEPRECIATION = "Owned: depreciation"
PLACED = "Committed before the plan: rent"
BEYOND = "Commitment beyond the horizon"
ON_SITE = ("energy", "space", "support")


@dataclass(frozen=True)
class Compute:
    """Money and hours of the accelerators alone."""

    lines: dict[str, np.ndarray]  # [T + 1, P] cost view by line
    slot_usd: np.ndarray  # [T + 1, N] cost view by slot
    slot_cash_usd: np.ndarray  # [T + 1, N] cash view by slot, resale counted
    slot_outlay_usd: np.ndarray  # [T + 1, N] of it purchases and prepayments, less resale
    paid_hours: np.ndarray  # [T + 1, P] accelerator-hours paid for
    rented_hours: np.ndarray  # [T + 1, P] of them rented by the hour
    served: np.ndarray  # [T + 1, P] share of demand that finds capacity
    capex_usd: np.ndarray  # [T + 1] at the order
    rent_usd: np.ndarray  # [T + 1] rent, power, space and support when paid
    residual_usd: np.ndarray  # [T + 1]
    ahead_usd: np.ndarray  # [T + 1] of the rent what is paid ahead of the months that it is for; below 0 in those
    placed_usd: np.ndarray  # [T + 1] outlay by the month in which what it bought goes to work
    placed_resale_usd: np.ndarray  # [T + 1] what that sells for at the horizon
    owed_usd: float  # of the rent in the last month what falls due after it

    @property
    def cost_usd(self) -> np.ndarray:
        """Cost view by month and pool, [T + 1, P]."""
        return np.sum(list(self.lines.values()), axis=0)

    @property
    def cash_usd(self) -> np.ndarray:
        """Cash view by month, [T + 1]."""
        return self.capex_usd + self.rent_usd - self.residual_usd

    def present_value(self, rate: float) -> float:
        """Present value of the cash paid."""
        return float(npv(self.cash_usd, rate))


def price_orders(
    orders: Orders, load: Load, slots: Slots, terms: Terms, pools: int, placed: Placed | None = None
) -> Compute:
    """Cost and cash of the accelerators under given orders, and what is still owed for those `placed` before.

    Slots that are there already run like bought ones, in as far as `placed` does not say that they are leased or
    reserved; their support follows from what was paid for them where it is known. After the last work of their pool those on an own
    site are switched off; hours of a running term are paid all the same.
    """
    state, months = orders.state, len(orders.state)
    horizon = months - 1
    option = np.where((state != FLEXIBLE) & (state != OWNED), state, BOUGHT)
    columns = np.arange(state.shape[1])
    per_slot = {name: getattr(terms, f"{name}_usd_month")[option, columns] for name in ("rent", *ON_SITE)}
    rates = rented_usd(load, terms)
    offered = np.isfinite(rates).all(axis=0)
    flexible = (state == FLEXIBLE) & (load.use > 0) & offered & (np.arange(months)[:, None] > 0)
    on_demand, spot = np.where(flexible, load.use * np.where(offered, rates, 0.0), 0.0)
    running = (state != FLEXIBLE) & (np.arange(months)[:, None] > 0)
    lines = {"on_demand": on_demand, "spot": spot}
    terms_paid = [(code, name) for code, name in enumerate(COMMITTED_OPTIONS) if code != BOUGHT]
    lines |= {name: np.where(state == code, per_slot["rent"], 0.0) for code, name in terms_paid}
    lines = {OPTION_NAMES[name]: amount for name, amount in lines.items()}
    capex, resale, wear, starting, sold = _purchases(orders, terms, horizon)
    upfront, prepaid, beyond, owed = _prepayments(orders, terms, horizon)
    if placed is not None:
        at, weight = slots.pool, slots.weights(state == OWNED)
        if placed.rent_usd.any():
            lines[PLACED] = placed.rent_usd[:, at] * weight
        capex, wear = capex + placed.capex_usd[:, at] * weight, wear + placed.wear_usd[:, at] * weight
        resale[-1] += placed.resale_usd.sum(axis=0)[at] * weight[-1]
        upfront, prepaid = upfront + placed.upfront_usd[:, at] * weight, prepaid + placed.prepaid_usd[:, at] * weight
        beyond, owed = beyond + placed.beyond_usd[at] * weight[-1], owed + placed.owed_usd[at] * weight[-1]
        starting, sold = starting + placed.starting_usd.sum(axis=1), sold + placed.resale_usd.sum(axis=1)
    lines[DEPRECIATION] = wear
    off = (state == OWNED) & ~work_to_come(load)[:, slots.pool]
    for name, usd in _on_site({name: per_slot[name] for name in ON_SITE}, state == OWNED, slots, placed).items():
        lines[f"Own site: {name}"] = np.where(running & ~off, usd, 0.0)
    lines[BEYOND] = np.zeros_like(spot)
    lines[BEYOND][-1] = beyond
    paid = _paid_share(running, np.where(flexible, load.use, 0.0), off, slots, placed) * slots.size * HOURS_PER_MONTH
    slot_usd = sum(lines.values())
    rent = slot_usd - wear - prepaid + upfront
    compute = Compute(
        slot_usd=slot_usd,
        slot_cash_usd=capex + rent - resale,
        slot_outlay_usd=capex + upfront - resale,
        lines={name: slots.total(amount, pools) for name, amount in lines.items()},
        paid_hours=slots.total(paid, pools),
        rented_hours=slots.total(np.where(flexible, paid, 0.0), pools),
        served=_served(load, flexible | running, slots, pools),
        capex_usd=capex.sum(axis=1),
        rent_usd=rent.sum(axis=1),
        residual_usd=resale.sum(axis=1),
        ahead_usd=(upfront - prepaid).sum(axis=1),
        placed_usd=starting,
        placed_resale_usd=sold,
        owed_usd=float(owed.sum()),
    )
    require_equal("cost and cash of compute", compute.cost_usd.sum(), compute.cash_usd.sum())
    return compute


def _paid_share(
    running: np.ndarray, rented: np.ndarray, off: np.ndarray, slots: Slots, placed: Placed | None
) -> np.ndarray:
    """Share of the hours of a month that are paid, [T + 1, N]: none of what is `off` on an own site."""
    held = 1.0 if placed is None else 1.0 - off * placed.on_site_shares()["energy"][:, slots.pool]
    return np.where(running, held, rented)


def work_to_come(load: Load) -> np.ndarray:
    """[T + 1, P] whether a pool has work in a month or later."""
    return np.logical_or.accumulate(load.level[::-1] > 0)[::-1]


def _on_site(
    per_slot: dict[str, np.ndarray], there: np.ndarray, slots: Slots, placed: Placed | None
) -> dict[str, np.ndarray]:
    """Energy, space and support of a month by slot, [T + 1, N] each; of those that are `there` already as `placed` says."""
    if placed is None:
        return per_slot
    shares = placed.on_site_shares()
    usd = {name: amount * np.where(there, shares[name][:, slots.pool], 1.0) for name, amount in per_slot.items()}
    known = np.where(there, placed.support_each_usd[:, slots.pool] * slots.size, 0.0)
    return usd | {"support": usd["support"] + known}


def _purchases(orders: Orders, terms: Terms, horizon: int) -> tuple[np.ndarray, ...]:
    """Outlay at the order, resale at the horizon, straight-line wear, [T + 1, N]; the first two by first month of use, [T + 1]."""
    capex, resale, wear = (np.zeros(orders.state.shape) for _ in range(3))
    placed, sold = np.zeros(horizon + 1), np.zeros(horizon + 1)
    for month, slot in np.argwhere(orders.signed == BOUGHT):
        outlay = terms.capex_usd[BOUGHT, slot]
        rest = terms.resale_usd(horizon - month + 1)[BOUGHT, slot]
        capex[max(month - terms.lead[BOUGHT, slot], 1), slot] += outlay
        resale[horizon, slot] += rest
        wear[month:, slot] += (outlay - rest) / (horizon - month + 1)
        placed[month] += outlay
        sold[month] += rest
    return capex, resale, wear, placed, sold


def _prepayments(orders: Orders, terms: Terms, horizon: int) -> tuple[np.ndarray, ...]:
    """Rent paid at the start of terms, the part of monthly rent it covers, rent beyond the horizon, and what of that is unpaid."""
    upfront, prepaid = np.zeros(orders.state.shape), np.zeros(orders.state.shape)
    beyond, owed = np.zeros((2, orders.state.shape[1]))
    rented = (orders.signed != FLEXIBLE) & (orders.signed != BOUGHT)
    for month, slot in np.argwhere(rented):
        option = orders.signed[month, slot]
        rent, share, term = (getattr(terms, name)[option, slot] for name in ("rent_usd_month", "upfront_share", "term"))
        inside = min(term, horizon - month + 1)
        upfront[month, slot] += rent * share * term
        prepaid[month : month + inside, slot] += rent * share
        prepaid[horizon, slot] += rent * share * (term - inside)
        beyond[slot] += rent * (term - inside)
        owed[slot] += rent * (1 - share) * (term - inside)
    return upfront, prepaid, beyond, owed


def _served(load: Load, accessible: np.ndarray, slots: Slots, pools: int) -> np.ndarray:
    """Share of the work that has capacity; 1 where nothing is asked, as at approval."""
    asked = slots.total(load.work * slots.size, pools)
    found = slots.total(np.where(accessible, load.work, 0.0) * slots.size, pools)
    share = np.where(asked > 0, found / np.where(asked > 0, asked, 1.0), 1.0)
    share[0] = 1.0
    return share


def require_equal(what: str, left: float, right: float) -> None:
    """Raise `IdentityError` unless two amounts agree to a billionth (and a cent)."""
    if not abs(left - right) <= 0.01 + 1e-9 * max(abs(left), abs(right)):
        msg = f"{what}: {left:,.2f} is not {right:,.2f}"
        raise IdentityError(msg)
