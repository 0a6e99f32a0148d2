"""The planning problem of a case, and other rules on the same demand paths.

The compute part alone: committed terms, owned kit and hours rented on demand or on spot, in present value over
the horizon. Demand is in accelerators of whole nodes that are occupied; each stream stays on its chosen accelerator and region, so that the
plan decides how much is committed, when and on which terms. Hours beyond the committed fleet are rented where they
are offered; where they are not, the fleet of the expected scenario with its reserve must be held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, Solution, case_terms
from aifactory.buyplan.caveats import fiscal_year
from aifactory.buyplan.missed import missed_usd
from aifactory.buyplan.optimise.benders import OptimalPlan
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.limits import exceeded
from aifactory.buyplan.optimise.policies import OURS, compare_policies
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.optimise.reference import reference_usd
from aifactory.buyplan.order_months import with_dates, with_successors
from aifactory.buyplan.own_sites import POWER, SPACE, Stated, site_of, taken
from aifactory.buyplan.price_paths import draw_prices
from aifactory.demand.scenarios import Paths
from aifactory.finance.options import COMMITTED_OPTIONS, connected_kw
from aifactory.finance.prices import OWN_SITE_OPTIONS
from aifactory.finance.tco import around_usd_per_hour
from aifactory.fleet.compute import work_to_come
from aifactory.fleet.nodes import TOLERANCE, Load
from aifactory.fleet.orders import FLEXIBLE
from aifactory.fleet.sites import in_sites
from aifactory.fleet.streams import EXPECTED
from aifactory.fleet.terms import BOUGHT, spot_is_cheaper
from aifactory.units import HOURS_PER_MONTH

#: Shares of a month's hours in the load blocks of each pool, from its highest hours down: hours beyond a commitment come out within 1 %.
BLOCK_SHARES = (0.05, 0.05, *(0.1,) * 9)
#: Months for which no kit is bought to hold a reserve alone.
BRIEF_MONTHS = 6
QUARTERS = 3
#: Paths in the report; proven gap and the limit of a solve, which stands only in the way of a run without end.
PATHS, GAP, TIME_LIMIT_S = 100, 0.005, 300.0
THIS_PLAN = "plan of this report"
ONE_PATH = "cheapest for the expected scenario"


@dataclass(frozen=True)
class Futures:
    """Policies on the same demand paths, dearest last, and the proven gap of the plan over all paths."""

    table: pd.DataFrame  # policy, objective_usd, expected_usd, tail_usd, overrun_usd, orders_usd, exceeds, regret
    gap: float
    paths: int
    risk_weight: float
    tail: float


@dataclass(frozen=True)
class FuturesBasis:
    """What `compare_futures` works on: the problem, and the report's orders in every month they may be placed."""

    problem: Problem
    monthly: Problem
    nodes: np.ndarray  # of the columns of `monthly`
    best: OptimalPlan | None = None  # of the columns of `problem`, where it is made already
    alone: np.ndarray | None = None  # of the columns of `monthly`: the cheapest orders for the expected scenario


def futures_basis(
    case: Case,
    expected: Solution,
    problem: Problem,
    best: OptimalPlan | None = None,
    alone: Solution | None = None,
) -> FuturesBasis | None:
    """All paths of `problem_of` beside the orders of the expected scenario; None where nothing can be committed to."""
    if not problem.orders or not (problem.demand > 0).any():
        return None
    monthly = replace(problem, order_months=tuple(range(problem.months)))
    other = None if alone is None else nodes_of(case, alone, monthly)
    return FuturesBasis(problem, monthly, nodes_of(case, expected, monthly), best, other)


def compare_futures(basis: FuturesBasis, *, foresight: bool = False) -> Futures:
    """Price the report's orders, rules of thumb and the plan over all paths on the same paths.

    `foresight` also plans each path alone, as if it were known: what no plan can beat.
    """
    problem = basis.problem
    found = compare_policies(problem, gap=GAP, time_limit_s=TIME_LIMIT_S, foresight=foresight, ours=basis.best)
    own = found.table.set_index("policy").loc[OURS, "objective_usd"]
    # Overruns are counted from one reference: that of `monthly` knows more months to order in, and some are cheaper.
    monthly = replace(basis.monthly, reference_usd=reference_usd(problem))
    rows = [_priced(THIS_PLAN, monthly, basis.nodes, own)]
    if basis.alone is not None:
        rows.append(_priced(ONE_PATH, monthly, basis.alone, own))
    table = found.table if basis.best is None else found.table[found.table["policy"] != OURS]
    table = pd.concat([table, pd.DataFrame(rows)]).sort_values("objective_usd", kind="stable", ignore_index=True)
    return Futures(table, found.gap, problem.paths, problem.risk_weight, problem.tail)


def _priced(policy: str, problem: Problem, nodes: np.ndarray, own_usd: float) -> dict[str, float | str]:
    cost = evaluate_plan(problem, nodes)
    figures = {
        name: getattr(cost, name) for name in ("objective_usd", "expected_usd", "tail_usd", "overrun_usd", "orders_usd")
    }
    over = ", ".join(exceeded(problem, nodes))
    return {"policy": policy, **figures, "exceeds": over, "regret": cost.objective_usd / own_usd - 1}


def problem_of(case: Case, paths: Paths) -> Problem:
    """The planning problem of a case over simulated demand paths, each with its own prices."""
    return with_prices(case, problem_over(case, stream_paths(case, paths)))


def with_prices(case: Case, problem: Problem) -> Problem:
    """The problem with list, contract and spot prices drawn path by path; spot never costs more than list."""
    names = case.streams.pools["accelerator_id"].tolist()
    drawn = draw_prices(names, problem.paths, problem.months, case.plan.seed)
    on_demand = problem.on_demand_usd * drawn.on_demand
    # Where spot cost as much as list there is no market of its own: it follows.
    follows = problem.spot_usd >= problem.on_demand_usd
    spot = np.where(follows, on_demand, np.minimum(problem.spot_usd * drawn.spot, on_demand))
    return replace(problem, on_demand_usd=on_demand, spot_usd=spot, order_ratio=drawn.contract)


def at_todays_prices(problem: Problem) -> Problem:
    """The problem with the prices of its first month, which are today's, for good."""
    still = {
        name: np.tile(_first(getattr(problem, name)), (problem.months, 1)) for name in ("on_demand_usd", "spot_usd")
    }
    return replace(problem, **still, order_ratio=np.zeros((0, 0, 0)))


def _first(prices: np.ndarray) -> np.ndarray:
    return prices[0, 0] if np.ndim(prices) == 3 else prices[0]


def problem_over(case: Case, wanted: np.ndarray, load: Load | None = None, *, limits: bool = True) -> Problem:
    """The planning problem of a case for any demand: accelerators of whole nodes by stream and block, offers of each pool.

    `wanted` holds average accelerators at work, [paths, months, streams]: `stream_paths` of simulated demand, or
    `case.streams.sized(units)[None, 1:]` of one scenario. `load` says which fleet stands ready where no hours can be
    rented, by default that of the expected scenario. Without `limits` money, power, space and vendors bind nothing.
    """
    streams, offers, plan = case.streams, case.offers, case.plan
    months, pools = len(streams.months) - 1, case.pools
    own_pool = streams.pool[:, None] == np.arange(pools)
    spot = np.minimum(offers.spot, offers.on_demand)
    options = with_dates(case, _options(case))
    owned = case.slots.total(case.owned[1:] * case.slots.size.astype(float), pools)
    demand = block_demand(case, wanted)
    problem = Problem(
        demand=demand,
        block_hours=HOURS_PER_MONTH * np.array(BLOCK_SHARES),
        rate=own_pool.astype(float),
        deferrable=streams.table["movable"].to_numpy(dtype=bool),
        interruptible=streams.table["interruptible"].to_numpy(dtype=bool),
        node_size=streams.pools["accelerators_per_node"].to_numpy(dtype=int),
        options=options,
        on_demand_usd=np.tile(offers.on_demand, (months, 1)),
        spot_usd=np.tile(spot, (months, 1)),
        api_usd=np.full((months, len(streams.table)), np.inf),
        miss_usd=missed_usd(case, options, _working(demand, wanted)),
        owned=owned,
        on_demand_most=np.where(np.isfinite(offers.on_demand), np.inf, 0.0),
        spot_share=np.full(pools, 1.0 - plan.value("spot_interruption_share")),
        kw=connected_kw(offers.power_w, plan, offers.field),
        around_usd=around_usd_per_hour(plan, offers.field),
        order_months=tuple(range(0, months, QUARTERS)),
        floor=_floor(case, load or case.loads[EXPECTED]),
        wacc=plan.value("wacc"),
        stranded=1.0,
        widths=streams.widths,
        platform_names=tuple(f"{pool.accelerator_id} in {pool.region}" for pool in streams.pools.itertuples()),
        month_names=tuple(streams.months[1:]),
    )
    if not limits:
        return with_successors(problem)
    sites = _power(case, problem) | _space(case)  # both name the sites, in the same way
    stated = _capital(case) | sites | _payments(case, problem) | _vendors(case)
    return with_successors(replace(problem, **stated))


def _working(demand: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """[K] share of the occupied accelerator-hours that work fills, over all paths and months."""
    occupied = (demand @ np.array(BLOCK_SHARES)).mean(axis=(0, 1))
    return np.minimum(wanted.mean(axis=(0, 1)) / np.where(occupied > 0, occupied, 1.0), 1.0)


def _capital(case: Case) -> dict[str, np.ndarray]:
    """What orders placed before leave of the capital budget in each fiscal year that the horizon meets, by month of order."""
    budget, months = case.plan.budget.capex_usd_per_year, case.streams.months
    if budget is None:
        return {}
    years = np.array([fiscal_year(month, case.plan.fiscal_year_start_month) for month in months[1:]])
    named = tuple(f"fiscal year {year}" for year in range(years[0], years[-1] + 1))
    left = np.maximum(float(budget) - _spent_before(case, years), 0.0)
    return {"capital_usd": left, "year_of": years - years[0], "year_names": named}


def _spent_before(case: Case, years: np.ndarray) -> np.ndarray:
    """Outlay of purchases ordered before the plan in each fiscal year from the first to the last of `years`."""
    spent = np.zeros(years[-1] - years[0] + 1)
    for month, usd in case.placed.spent_usd.items():
        year = fiscal_year(month, case.plan.fiscal_year_start_month) - years[0]
        if 0 <= year < len(spent):
            spent[year] += usd
    return spent


def stated_money(case: Case) -> dict[str, tuple[Stated, int]]:
    """Limits of capital by year and of payments by month, by their name in the problem, with what earlier orders take of them."""
    budget, months = case.plan.budget, case.streams.months[1:]
    years = np.array([fiscal_year(month, case.plan.fiscal_year_start_month) for month in months])
    parts = (
        ("capital of year", 1, budget.capex_usd_per_year, _spent_before(case, years)),
        (
            "budget of month",
            0,
            budget.opex_usd_per_month if budget.opex_limits_orders else None,
            case.paid_before_usd[1:],
        ),
    )
    return {
        f"{name} {at + first}": (Stated(float(most), taken_before), at)
        for name, first, most, taken_before in parts
        if most is not None
        for at in range(len(taken_before))
    }


def _useful(problem: Problem) -> np.ndarray:
    """[P] accelerators beyond which a platform has no use on any path: its largest demand, widest job or floor and one node."""
    work = (problem.demand.max(axis=(0, 1, 3))[:, None] * (problem.rate > 0)).sum(axis=0)
    return np.maximum(work + problem.widest, problem.floor.max(axis=0)) + problem.node_size


def _power(case: Case, problem: Problem) -> dict[str, object]:
    """Power of the own sites by month and region; none where the plan cannot come near it.

    A site whose owned kit draws more than its limit can add nothing.
    """
    site = site_of(case)
    most = np.array([np.inf if r.power_limit_kw is None else r.power_limit_kw for r in case.plan.regions])
    at = site[:, None] == np.arange(len(most))
    housed = np.isin(np.arange(problem.platforms), [option.platform for option in problem.options if option.on_site])
    here = taken(case, case.on_site[1:])[POWER]
    reach = here.max(axis=0) + (problem.kw * _useful(problem) * housed) @ at
    most = np.where(reach <= most, np.inf, np.maximum(most, here))
    if np.isinf(most).all():
        return {}
    named = tuple(region.name for region in case.plan.regions)
    rented = (problem.kw * problem.owned) @ at - here  # what stands elsewhere draws nothing here
    return {"power_kw": most + rented, "site": site, "site_names": named}


def _space(case: Case) -> dict[str, object]:
    """Servers that the own sites have room for beside what stands there, by month and region; none where no region states it."""
    most = np.array([np.inf if r.space_limit_servers is None else r.space_limit_servers for r in case.plan.regions])
    if np.isinf(most).all():
        return {}
    stand = taken(case, case.on_site[1:])[SPACE]
    named = tuple(region.name for region in case.plan.regions)
    return {"space_nodes": np.maximum(most - stand, 0.0), "site": site_of(case), "site_names": named}


def _payments(case: Case, problem: Problem) -> dict[str, np.ndarray]:
    """What orders placed before leave of a month's budget; none where the plan cannot come near it."""
    budget = case.plan.budget.opex_usd_per_month if case.plan.budget.opex_limits_orders else None
    dearest = np.zeros(problem.platforms)
    for option in problem.options:
        paid = option.monthly_usd + (0.0 if option.capital else option.upfront_usd)
        dearest[option.platform] = max(dearest[option.platform], paid)
    if budget is None:
        return {}
    left = np.maximum(budget - case.paid_before_usd[1:], 0.0)
    return {} if float(dearest @ _useful(problem)) <= left.min() else {"order_budget_usd": left}


def _vendors(case: Case) -> dict[str, object]:
    """The largest share of one vendor, where the plan sets one."""
    if case.plan.vendor_share_most >= 1:
        return {}
    return {"vendor": tuple(case.streams.pools["vendor"]), "vendor_most": case.plan.vendor_share_most}


def _floor(case: Case, load: Load) -> np.ndarray:
    """Accelerators to hold by month and pool: the fleet of a scenario with its reserve where no hours can be rented.

    Where the work of a pool ends within `BRIEF_MONTHS`, what stands is enough: nothing is bought for so short a time to hold a reserve alone.
    """
    held, stands = (
        case.slots.total(slots[1:] * case.slots.size, case.pools) for slots in (load.held, load.held & case.owned)
    )
    held = np.where(work_to_come(load)[min(BRIEF_MONTHS + 1, len(load.level) - 1)], held, stands)
    return np.where(np.isfinite(case.offers.on_demand), 0.0, held)


def stream_paths(case: Case, paths: Paths) -> np.ndarray:
    """Average accelerators at work, [paths, months, streams]: units at today's size, as the simulation counts work."""
    table = case.streams.table
    at = [paths.workloads.index(name) for name in table["use_case_id"]]
    place = [paths.regions.index(name) for name in table["region"]]
    return case.streams.accelerators(np.moveaxis(paths.work[:, at, place], 1, 2) * case.streams.share[1:])


def block_demand(
    case: Case, wanted: np.ndarray, may_leave: np.ndarray | None = None, waits: np.ndarray | None = None
) -> np.ndarray:
    """Accelerators that each stream occupies in the blocks of its pool, [S, T, K, B], for averages [S, T, K].

    Averages are those of even loads; what chance adds (`streams.chance`) is occupied too. Blocks are the highest hours
    of the pool's joint load downwards: streams of a pool share its nodes hour by hour, pools share nothing within an
    hour. Nodes are whole in every hour for work that cannot wait, as they are rented and as the ledger counts them
    (`filled_share`), and each stream has its part of them by load. Work that can wait has what does not fit on these, jobs
    that are wider than their idle rest only while they run.
    A node that work on demand fills in part is paid on demand in full: streams that may run on spot have only the nodes that
    the others do not need alone, as in the ledger, and streams that `may_leave` [K] the pool, to a hosted model, only those
    that neither of them needs. The sum over a pool is the same. `waits` [K] names the streams that wait, by default all that can.
    """
    streams = case.streams
    today = streams.accelerators(streams.table["units_month"].to_numpy(dtype=float))
    waits = streams.waits if waits is None else waits & streams.waits
    rank = (
        streams.table["interruptible"].to_numpy(dtype=bool) & spot_is_cheaper(case.offers, case.plan)[streams.pool]
    ).astype(int)
    rank = rank if may_leave is None else np.where(may_leave, 2, rank)
    edges = np.cumsum((0.0, *BLOCK_SHARES))
    staffed = wanted * streams.chance[1:]
    found = np.zeros((*wanted.shape, len(BLOCK_SHARES)))
    for pool, size in enumerate(streams.pools["accelerators_per_node"].to_numpy(dtype=float)):
        here = streams.pool == pool
        live, patient = np.flatnonzero(here & ~waits), np.flatnonzero(here & waits)
        order = np.argsort(-(today[live] @ streams.shape[live]), kind="stable")
        occupied, idle = _occupied(case, staffed, live, order, size)
        hours, before = np.round(edges * len(order)).astype(int), 0.0
        for members, upto in _by_rank(live, rank):
            whole = occupied if len(upto) == len(live) else _occupied(case, staffed, upto, order, size)[0]
            nodes, before = whole - before, whole
            for block, (first, last) in enumerate(zip(hours[:-1], hours[1:], strict=True)):
                inside = slice(first, max(last, first + 1))
                at_work = staffed[:, :, members] * streams.shape[members][:, order][:, inside].mean(axis=1)
                total = at_work.sum(axis=2)
                ratio = nodes[:, :, inside].mean(axis=2) / np.where(total > 0, total, 1.0)
                found[:, :, members, block] = at_work * ratio[:, :, None]
        work = staffed[:, :, patient].sum(axis=2)
        wide = (staffed[:, :, patient] * streams.widths.take(patient).beyond(idle)).sum(axis=2)
        beyond = np.maximum(np.maximum(work - idle, 0.0), wide) / np.where(work > 0, work, 1.0)
        found[:, :, patient] = (staffed[:, :, patient] * beyond[:, :, None])[..., None]
    return found


def _by_rank(live: np.ndarray, rank: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Streams of each rank, lowest first, and all up to it."""
    return [(live[rank[live] == level], live[rank[live] <= level]) for level in np.unique(rank[live])]


def _occupied(
    case: Case, staffed: np.ndarray, members: np.ndarray, order: np.ndarray, size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Accelerators of the whole nodes that streams of a pool occupy hour by hour [S, T, H], and what of them is idle on average [S, T]."""
    reach, sites = case.streams.reach, case.streams.table["sites"].to_numpy()
    shared = members[sites[members] <= 1]
    load = staffed[:, :, shared] @ reach[shared][:, order]
    occupied = np.ceil(load / size - TOLERANCE) * size
    idle = (occupied - load).mean(axis=2)
    for at in members[sites[members] > 1]:  # whole nodes at each site, shared with nobody
        occupied = occupied + in_sites(staffed[:, :, at, None] * reach[at][order], sites[at], size)
    return occupied, idle


def nodes_of(case: Case, solution: Solution, problem: Problem) -> np.ndarray:
    """Orders of a solved scenario as nodes of the columns of a problem with orders in every month."""
    return nodes_signed(case, solution.orders.signed, problem)


def nodes_signed(case: Case, signed: np.ndarray, problem: Problem) -> np.ndarray:
    """Options that slots sign [T + 1, N] as nodes of the columns of a problem with orders in every month."""
    column = {(option.name, option.platform, month): at for at, (option, month) in enumerate(problem.orders)}
    nodes, leads = np.zeros(len(problem.orders)), case_terms(case).lead
    for start, slot in np.argwhere(signed != FLEXIBLE):
        code, pool = int(signed[start, slot]), int(case.slots.pool[slot])
        month = start - 1 - leads[code, slot]
        nodes[column[COMMITTED_OPTIONS[code], pool, month]] += 1
    return nodes


def _options(case: Case) -> list[Option]:
    """Ways to commit of every pool, per accelerator, from the terms of its first slot."""
    terms, horizon = case_terms(case), len(case.streams.months) - 1
    running, found = terms.running_usd_month(), []
    for pool in range(case.pools):
        slots = np.flatnonzero(case.slots.pool == pool)
        for code, name in enumerate(COMMITTED_OPTIONS):
            if not len(slots) or not terms.available[code, slots[0]]:
                continue
            at, size = (code, slots[0]), float(case.slots.size[slots[0]])
            rent, share, term = terms.rent_usd_month[at] / size, terms.upfront_share[at], int(terms.term[at])
            bought = code == BOUGHT
            found.append(
                Option(
                    name, pool, term_months=horizon if bought else term, lead_months=int(terms.lead[at]),
                    upfront_usd=terms.capex_usd[at] / size + rent * share * term,
                    monthly_usd=rent * (1.0 - share) + running[at] / size,
                    resale_usd=terms.resale_base_usd[at] / size, resale_per_year=1.0 - terms.decline_per_year if bought else 0.0,
                    capital=bought, on_site=name in OWN_SITE_OPTIONS, listed=name not in OWN_SITE_OPTIONS,
                    minimum_nodes=math.ceil(case.offers.minimum[code, pool] / size - TOLERANCE),
                )
            )  # fmt: skip
    return found
