"""Named stresses: each turns the problem and the plan into what they are once it has happened.

A stress is a function of the basis; its magnitudes are parameters whose defaults have a source or are named as an
assumption with an owner. Months count from 0, the first month of the plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.price_paths import HISTORY, SPOT, draw_prices
from aifactory.buyplan.stress.basis import StressBasis
from aifactory.buyplan.stress.world import World, carry, world_of
from aifactory.finance.price_process import CADENCE_MONTHS, WORK_PRICE_FACTOR
from aifactory.fleet.nodes import TOLERANCE
from aifactory.units import MONTHS_PER_YEAR

#: Month of the plan from which a change holds, unless a stress says otherwise: two order rounds after the approval.
START = 6
NEXT = " of the next generation"
#: Prices that each path of demand meets where they are drawn.
PRICE_DRAWS = 5


@dataclass(frozen=True)
class Stressed:
    """The world under a stress, the plan's orders in it, and the month from which one can react."""

    world: World
    nodes: np.ndarray
    month: int
    detail: str = ""


@dataclass(frozen=True)
class Stress:
    """A named stress with what its size rests on."""

    name: str
    what: str
    source: str
    apply: Callable[[StressBasis], Stressed]
    owner_role: str = ""  # of an assumption; empty: the source says it
    hours: bool = False  # about hours by demand or spot: nothing where none are offered


def stressed(basis: StressBasis, month: int = START, detail: str = "", **changes: object) -> Stressed:
    """The basis with changes to the problem; the plan's orders stay where they are."""
    world = world_of(basis.problem, **changes)
    return Stressed(world, carry(basis.problem, basis.nodes, world), month, detail)


# ------------------------------------------------------------------ prices


def list_price(basis: StressBasis, factor: float, month: int = START) -> Stressed:
    """List prices of hours on demand change by a factor from a month on; spot stays below them, contracts stand."""
    on_demand = _from(basis.problem.on_demand_usd, month, factor)
    # Where spot cost as much as list there is no market of its own: it follows.
    follows = np.isclose(basis.problem.spot_usd, basis.problem.on_demand_usd)
    spot = np.where(follows, on_demand, np.minimum(basis.problem.spot_usd, on_demand))
    return stressed(basis, month, on_demand_usd=on_demand, spot_usd=spot)


def spot_price(basis: StressBasis, factor: float, month: int = START) -> Stressed:
    """Spot prices change by a factor from a month on, up to the list price."""
    spot = _from(basis.problem.spot_usd, month, factor)
    return stressed(basis, month, spot_usd=np.minimum(spot, basis.problem.on_demand_usd))


def contract_price(basis: StressBasis, factor: float, month: int = START) -> Stressed:
    """Rents of new contracts and renewals change by a factor from a month on; what was signed before keeps its price.

    Power, space and support of leased kit are no part of its rent.
    """
    rented = [option for option in basis.problem.options if not option.resale_per_year]
    early = [replace(option, last_order=min(option.last_order, month - 1)) for option in rented]
    late = [_at_rent(basis, option, factor, month) for option in rented]
    bought = [option for option in basis.problem.options if option.resale_per_year]
    return stressed(basis, month, options=(*early, *late, *bought))


def drawn_prices(basis: StressBasis, seed: int = 0, draws: int = PRICE_DRAWS) -> Stressed:
    """List and spot prices drawn path by path: list stands with rare steps down, spot moves every month.

    Every path of demand meets several `draws` of prices: with one, the rare steps of a few paths would decide the mean.
    """
    p = _repeated(basis.problem, draws)
    drawn = draw_prices(basis.pools["accelerator_id"].tolist(), p.paths, p.months, seed)
    on_demand = p.on_demand_usd * drawn.on_demand
    follows = np.isclose(p.spot_usd, p.on_demand_usd)
    spot = np.where(follows, on_demand, np.minimum(p.spot_usd * drawn.spot, on_demand))
    world = world_of(p, on_demand_usd=on_demand, spot_usd=spot)
    return Stressed(world, carry(basis.problem, basis.nodes, world), 0)


def _repeated(problem: Problem, times: int) -> Problem:
    """The problem with every path so many times."""
    by_path = {name: np.asarray(getattr(problem, name)) for name in ("demand", "order_ratio", "reference_usd")}
    prices = {name: np.asarray(getattr(problem, name)) for name in ("on_demand_usd", "spot_usd", "api_usd")}
    by_path |= {name: usd for name, usd in prices.items() if usd.ndim == 3}
    return replace(
        problem, **{name: np.concatenate([values] * times) for name, values in by_path.items() if values.size}
    )


# ------------------------------------------------------------------ supply


def next_generation(
    basis: StressBasis, factor: float = WORK_PRICE_FACTOR, resale: float = WORK_PRICE_FACTOR
) -> Stressed:
    """A generation whose unit of work costs a factor less, for work bound by compute, half a release cycle from now.

    The plan goes on ordering the old one. Hours are rented at the price per unit of work of the new one, which can be
    ordered too; what is owned at the end resells for a share. Work that generates tokens gains nothing: it is bound by
    memory bandwidth, whose price hardly moves between generations.
    """
    p = basis.problem
    work = p.demand.mean(axis=(0, 1, 3))
    served = (p.rate > 0).T
    gain = np.array([np.average(np.where(basis.generates, 1.0, factor)[of], weights=work[of] + 1e-12) for of in served])
    cadence = [CADENCE_MONTHS.get(vendor.lower(), max(CADENCE_MONTHS.values())) for vendor in basis.pools["vendor"]]
    first = np.array(cadence) // 2
    late = np.arange(p.months)[:, None] >= first
    ratio = np.where(late, gain, 1.0)
    options = [replace(option, resale_usd=option.resale_usd * resale) for option in p.options]
    options += [
        replace(_priced(option, gain[option.platform], first=int(first[option.platform])), name=option.name + NEXT)
        for option in p.options if gain[option.platform] < 1
    ]  # fmt: skip
    return stressed(
        basis,
        int(first.min()),
        options=tuple(options),
        on_demand_usd=p.on_demand_usd * ratio,
        spot_usd=p.spot_usd * ratio,
    )


def shortage(basis: StressBasis, first: int = START, last: int = START + 11) -> Stressed:
    """Nothing can be ordered in some months; the plan's orders of these months are placed when it is over."""
    p = basis.problem
    options = []
    for option in p.options:
        options.append(replace(option, last_order=min(option.last_order, first - 1)))
        options.append(replace(option, first_order=max(option.first_order, last + 1)))
    world = world_of(p, options=tuple(options))
    nodes = carry(p, basis.nodes, world, lambda _, month: last + 1 if first <= month <= last else month)
    return Stressed(world, nodes, first)


def nothing_to_rent(basis: StressBasis, first: int = START, months: int = 3) -> Stressed:
    """No hours on demand or on spot for some months: what the fleet cannot serve is missed."""
    p = basis.problem
    gone = (np.arange(p.months) >= first) & (np.arange(p.months) < first + months)
    none = np.where(gone[:, None], np.inf, 1.0)
    return stressed(basis, first, on_demand_usd=p.on_demand_usd * none, spot_usd=p.spot_usd * none)


def late_delivery(basis: StressBasis, months: int = 6) -> Stressed:
    """Bought and leased kit comes some months late; it is paid for when ordered, and serves as long."""
    options = tuple(
        replace(option, lead_months=option.lead_months + months) if option.on_site else option
        for option in basis.problem.options
    )
    return stressed(basis, 0, options=options)


def platform_exit(basis: StressBasis, month: int = 12) -> Stressed:
    """The accelerator whose work is worth most is supported no more from a month on: its fleet stands still and is paid for to the end.

    Its work is ported and rents the cheapest other platform that can serve it; work that no other can serve is missed.
    """
    return _exit(basis, month, "accelerator_id", "")


def vendor_exit(basis: StressBasis, month: int = 12) -> Stressed:
    """All accelerators of the vendor whose work is worth most go, as in `platform_exit`; only other vendors' replace them."""
    return _exit(basis, month, "vendor", "vendor_")


def _exit(basis: StressBasis, month: int, column: str, prefix: str) -> Stressed:
    p, pools = basis.problem, basis.pools
    worth = pools.assign(worth=_needed(p).sum(axis=0) * _hour_usd(p)).groupby(column)["worth"].sum()
    chosen = str(worth.idxmax())
    gone = (pools[column] == chosen).to_numpy()
    late = np.arange(p.months) >= month
    over = late[:, None] & gone
    price = np.where(over, pools[f"{prefix}fallback_usd_per_hour"].to_numpy(), p.on_demand_usd)
    spot = np.where(over, price, p.spot_usd)
    options = tuple(
        replace(option, last_order=min(option.last_order, month - 1)) if gone[option.platform] else option
        for option in p.options
    )
    moved = pools.loc[gone, f"{prefix}porting_usd"].sum()
    return stressed(
        basis, month, chosen, on_demand_usd=price, spot_usd=spot, options=options, working=np.where(over, 0.0, 1.0),
        owned=np.where(over, 0.0, p.owned), sunk_usd=float(moved * p.discount[month]),
        on_demand_most=np.where(gone & np.isfinite(price).any(axis=0), np.inf, p.on_demand_most),
    )  # fmt: skip


def outage(basis: StressBasis, month: int = START, pool: int | None = None) -> Stressed:
    """The fleet of a pool is lost for a month and paid for; hours on demand can still be had at list price.

    By default the pool whose fleet would cost most to replace by the hour in that month.
    """
    p = basis.problem
    if pool is None:
        fleet = p.capacity(basis.nodes)[month]
        used = np.minimum(_needed(p)[month], fleet)
        pool = int((used * _hour_usd(p)).argmax())
    working, owned = np.ones((p.months, p.platforms)), np.array(p.owned, dtype=float)
    working[month, pool], owned[month, pool] = 0.0, 0.0
    name = f"{basis.pools['accelerator_id'].iloc[pool]} in {basis.pools['region'].iloc[pool]}"
    return stressed(basis, month + 1, name, working=working, owned=owned)


def power_cap(basis: StressBasis, share: float = 0.5, month: int = 0) -> Stressed:
    """Each own site gives a share of the power that the plan's new bought and leased kit draws there; sites lend each other none.

    Orders beyond it are given up, latest first. Devices at the edge take nothing of it (`own_sites.counted`).
    """
    p = basis.problem
    region = basis.pools["region"].to_numpy()
    here = region[:, None] == np.unique(region)
    kw = np.where(basis.pools["in_data_centre"], p.kw, 0.0)[:, None] * here
    plain = world_of(p, site_draw_kw=kw)
    most = (plain.site_rows() @ basis.nodes[: len(p.orders)]).max(axis=0)
    cap = np.where(np.arange(p.months)[:, None] >= month, share * most, most)
    world = world_of(p, site_kw=cap, site_draw_kw=kw)
    return Stressed(world, within_site(world, carry(p, basis.nodes, world)), month)


def within_site(world: World, nodes: np.ndarray) -> np.ndarray:
    """The orders of own kit, in order of month, as far as the power of the sites goes; all others unchanged."""
    nodes, left, rows = nodes.copy(), np.array(world.site_kw, dtype=float), world.site_rows()
    for at in sorted(np.flatnonzero(nodes), key=lambda column: world.orders[column][1]):
        option, _ = world.orders[at]
        if not option.on_site:
            continue
        each = rows[:, :, at]
        drawn = each > 0
        fits = np.floor((left[drawn] / each[drawn]).min(initial=nodes[at]) + 1e-9)
        nodes[at] = min(nodes[at], fits)
        left -= nodes[at] * each
    return nodes


# ------------------------------------------------------------------ demand


def demand_changes(basis: StressBasis, factor: float, month: int = START) -> Stressed:
    """All demand is multiplied from a month on."""
    return _with_demand(basis, month, factor, np.ones(len(basis.generates), bool))


def model_shift(basis: StressBasis, factor: float = 2.0, month: int = START) -> Stressed:
    """Models that generate tokens need a factor more of every accelerator, from a month on.

    2 is one step of precision back: weights and cache of two bytes instead of one, so that each accelerator holds and
    reads half as much work.
    """
    return _with_demand(basis, month, factor, basis.generates)


# ------------------------------------------------------------------ the list


def default_stresses() -> tuple[Stress, ...]:
    """The stresses of the report, with their default sizes."""
    _, low, high = SPOT.interval(1.0, MONTHS_PER_YEAR)
    steps = f"steps seen: -5 to -46 %, median -28 %, 0.03 a year and series; {HISTORY}"
    return (
        Stress("List price -30 %", "hours on demand, from month 7", steps, lambda basis: list_price(basis, 0.7), hours=True),
        Stress("List price -50 %", "hours on demand, from month 7", "a little beyond the largest step seen, -46 %; " + HISTORY, lambda basis: list_price(basis, 0.5), hours=True),
        Stress("List price +30 %", "hours on demand, from month 7", "assumption: no rise was seen in 345 series-years", lambda basis: list_price(basis, 1.3), "cloud cost owner", hours=True),
        Stress("Spot price x 2", "spot, from month 7", f"the process of the plan puts 80 % of prices a year ahead within x {low:.2g} and x {high:.2g}; {HISTORY}", lambda basis: spot_price(basis, 2.0), hours=True),
        Stress("Contracts +20 %", "orders and renewals, from month 7", "assumption: contract prices only fell in the price history, by 5 to 12 %", lambda basis: contract_price(basis, 1.2), "cloud cost owner"),
        Stress("Prices as drawn", "list and spot by path, each by its own process", HISTORY, drawn_prices, hours=True),
        Stress("Next generation", "compute at half the price per unit of work, half a release cycle from now; resale halved", "V100 to A100: -46 % per FLOP, bandwidth unchanged; cycles 25 (NVIDIA), 14 (AMD, Google), 19 (AWS) months; research note of 2026-11-24", next_generation),
        Stress("Shortage", "nothing to order in months 7 to 18", "lead times of 36 to 52 weeks, lifecycle table, 2026 (claimed)", shortage),
        Stress("Nothing to rent", "no hours on demand or spot in months 7 to 9", "assumption", nothing_to_rent, "head of platform", hours=True),
        Stress("Late delivery", "bought and leased kit 6 months late", "B200: 4 to 10 months, new production 10 to 14, lifecycle table, 2026 (claimed)", late_delivery),
        Stress("Platform exit", "one accelerator unsupported from month 13", "assumption: a year's notice", platform_exit, "head of platform"),
        Stress("Vendor exit", "all of one vendor's unsupported from month 13, others' replace them", "assumption: a year's notice", vendor_exit, "head of platform"),
        Stress("Model family shift", "generated tokens need twice the accelerators, from month 7", "one step of precision: two bytes instead of one for weights and cache", model_shift),
        Stress("Demand x 0.3", "all use cases, from month 7", "assumption", lambda basis: demand_changes(basis, 0.3), "head of planning"),
        Stress("Demand x 3", "all use cases, from month 7", "tokens of a public router grew x 2.2 in 12 weeks (P50, 2025-11 to 2026-03); x 3 assumed", lambda basis: demand_changes(basis, 3.0), "head of planning"),
        Stress("Power cap", "each own site gives half the power asked for", "assumption", power_cap, "head of data centres"),
        Stress("Outage of a pool", "its fleet lost in month 7", "assumption: one month", outage, "head of platform"),
    )  # fmt: skip


def stresses_of(problem: Problem) -> list[Stress]:
    """The stresses of the report that a problem knows: those of rented hours only where some are offered."""
    rented = bool(np.isfinite(problem.on_demand_usd).any() or np.isfinite(problem.spot_usd).any())
    return [item for item in default_stresses() if rented or not item.hours]


def _from(prices: np.ndarray, month: int, factor: float) -> np.ndarray:
    """[T, P] prices times a factor from a month on."""
    return prices * np.where(np.arange(prices.shape[-2]) >= month, factor, 1.0)[:, None]


def _with_demand(basis: StressBasis, month: int, factor: float, which: np.ndarray) -> Stressed:
    """Demand of some streams times a factor from a month on; what must stand ready follows its highest hours, in whole nodes."""
    p = basis.problem
    demand = basis.demand_times(np.where((np.arange(p.months)[:, None] >= month) & which, factor, 1.0))
    if not np.size(p.floor):
        return stressed(basis, month, demand=demand)
    before, after = (_peaks(p, asked) for asked in (p.demand, demand))
    ratio = np.divide(after, before, out=np.ones_like(after), where=before > 0)
    floor = np.ceil(p.floor * ratio / p.node_size - TOLERANCE) * p.node_size
    return stressed(basis, month, demand=demand, floor=floor)


def _peaks(problem: Problem, demand: np.ndarray) -> np.ndarray:
    """[T, P] accelerators at work in the highest block of a month, mean over paths."""
    each = np.where(problem.rate > 0, 1.0 / np.where(problem.rate > 0, problem.rate, 1.0), 0.0)
    return np.einsum("stwk,wp->stpk", demand, each).max(axis=3).mean(axis=0)


def _priced(option: Option, factor: float, *, first: int) -> Option:
    """The option at a factor of its price, from a month on."""
    return replace(
        option, upfront_usd=option.upfront_usd * factor, monthly_usd=option.monthly_usd * factor,
        resale_usd=option.resale_usd * factor, first_order=max(option.first_order, first),
    )  # fmt: skip


def _at_rent(basis: StressBasis, option: Option, factor: float, month: int) -> Option:
    """The option at a factor of its rent, from a month on; what comes with it costs the same."""
    beside = option.monthly_usd - basis.rent_of(option)
    later = _priced(replace(option, monthly_usd=basis.rent_of(option)), factor, first=month)
    return replace(later, monthly_usd=later.monthly_usd + beside)


def _needed(problem: Problem) -> np.ndarray:
    """[T, P] mean accelerators at work over paths and hours."""
    hours = problem.block_hours / problem.block_hours.sum()
    rate = np.where(problem.rate > 0, problem.rate, np.inf)
    return np.einsum("stwk,k,wp->tp", problem.demand, hours, 1.0 / rate) / problem.paths


def _hour_usd(problem: Problem) -> np.ndarray:
    """[P] what an hour of each platform costs to replace: on demand with what goes with it, else what is lost."""
    rented = problem.on_demand_usd[0] if problem.on_demand_usd.ndim == 2 else problem.on_demand_usd[0, 0]
    lost = np.where(problem.rate > 0, problem.miss_usd[:, None] * problem.rate, 0.0).max(axis=0)
    return np.where(np.isfinite(rented), rented + problem.around_usd, lost)
