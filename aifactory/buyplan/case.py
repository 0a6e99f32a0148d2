"""One buy-plan case: everything that stays fixed while scenarios, rules and assumptions vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.buyplan.ledger import PORTING, REWORK, UNUSED, Ledger, build_ledger
from aifactory.finance.tco import price_index
from aifactory.fleet.compute import price_orders, work_to_come
from aifactory.fleet.nodes import TOLERANCE, Load, Slots, build_load, build_slots, node_counts, pool_level
from aifactory.fleet.orders import FLEXIBLE, Orders, cheapest_decisions, committed_first, follow, with_firm_orders
from aifactory.fleet.placed import Placed, placed_before, unused_placed, unused_usd
from aifactory.fleet.streams import EXPECTED, Streams
from aifactory.fleet.terms import Offers, Terms, build_terms, read_offers
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.plan import Plan
from aifactory.units import monthly_rate

#: Assumptions that change the load itself; all others change money only.
LOAD_ASSUMPTIONS = ("growth_damping", "planning_utilization")
#: Assumptions that widen the scenarios and leave the expected one about where it is: shown by demand as a whole.
SPREAD_ASSUMPTIONS = (
    "demand_correlation",
    "demand_noise_sd",
    "demand_noise_memory",
    "launch_slip_months",
    "unknown_growth_sd",
    "growth_drift_sd",
    "unknown_size_growth_sd",
    "size_drift_sd",
)
PEAK_RULE_RESERVE = 0.4  # the dearest rule of thumb that the page compares with: peak + 40 %


@dataclass(frozen=True)
class Case:
    """Streams, slots and offers under one plan."""

    plan: Plan
    streams: Streams
    slots: Slots
    offers: Offers
    owned: np.ndarray  # [T + 1, N] slots that are there from orders placed before the plan
    placed: Placed  # those orders by month and pool, and what is still owed for them
    book: pd.DataFrame  # rows of the `commitments` contract behind them
    prices: pd.DataFrame
    owned_accelerators: dict[tuple[str, str], float]
    porting: dict[str, float]  # one-off cost per use case, USD
    rework: dict[
        str, float
    ]  # monthly cost of its changes of prompts, context or retrieval per use case, USD at the pay of today
    loads: tuple[Load, ...]  # by scenario
    today: Load  # the measured period, repeated every month
    runs_on: Mapping[str, str]  # accelerator of today by use case, where it is known
    counts_unused: bool = True  # whether what is owed for orders where no workload of the plan runs is a cost

    @property
    def pools(self) -> int:
        """Number of pools."""
        return len(self.streams.pools)

    def of_scenario(self, index: int) -> Case:
        """The same case with units as large as in one scenario; its loads have them already."""
        return replace(self, streams=self.streams.of_scenario(index))

    @property
    def porting_usd(self) -> np.ndarray:
        """One-off cost per stream, [K]: that of its use case, divided by accelerators at work."""
        cost = self.streams.table["use_case_id"].map(self.porting).fillna(0.0).to_numpy(dtype=float)
        return cost * self._shares(self.streams.units[EXPECTED].mean(axis=0))

    @property
    def rework_usd(self) -> np.ndarray:
        """Cost of changes by month and stream, [T + 1, K]: that of its use case, divided by accelerators at work in the month; 0 where none is expected to."""
        units = self.streams.units[EXPECTED]
        share = np.array([self._shares(row) for row in units])
        dearer = price_index(len(units), self.plan) * (np.arange(len(units)) > 0)
        return (
            dearer[:, None]
            * share
            * self.streams.table["use_case_id"].map(self.rework).fillna(0.0).to_numpy(dtype=float)
        )

    def _shares(self, units: np.ndarray) -> np.ndarray:
        """Share of each stream in the accelerators at work of its use case at some units [K], [K]; 0 where none works."""
        work = pd.Series(self.streams.accelerators(units))
        whole = work.groupby(self.streams.table["use_case_id"].to_numpy()).transform("sum")
        return (work / whole.where(whole > 0)).fillna(0.0).to_numpy(dtype=float)

    @property
    def apart(self) -> dict[str, np.ndarray]:
        """Lines of the ledger that no order changes, USD [T + 1]: porting at approval, rework, commitments that nothing uses."""
        once = np.zeros(len(self.streams.months))
        once[0] = self.porting_usd.sum()
        lines = {PORTING: once, REWORK: self.rework_usd.sum(axis=1)}
        if not self.counts_unused:
            return lines
        owed = unused_usd(self.book, self.streams.pools, self.streams.months, self.plan)[1].sum(axis=1)
        return lines | ({UNUSED: owed} if owed.any() else {})

    @property
    def on_site(self) -> np.ndarray:
        """Accelerators placed before that stand on an own site, [T + 1, P], until the last expected work of their pool: then they are off, and can go."""
        return self.placed.on_site * work_to_come(self.loads[EXPECTED])

    @property
    def unused(self) -> Placed:
        """What was placed before where no workload of the plan runs."""
        return unused_placed(self.book, self.streams.pools, self.streams.months, self.plan)[1]

    @property
    def paid_before_usd(self) -> np.ndarray:
        """Payments of each month for orders placed before, those that no workload uses included, [T + 1]: a budget pays them first."""
        return self.placed.paid_usd + self.unused.paid_usd

    @property
    def today_units(self) -> np.ndarray:
        """Units of the period in every month, [T + 1, K]."""
        return self.streams.today_units


@dataclass(frozen=True)
class Solution:
    """One demand path with the orders that serve it and what they cost."""

    load: Load
    terms: Terms
    orders: Orders
    ledger: Ledger


@dataclass(frozen=True)
class Answer:
    """The case solved: today's demand held flat, and the three scenarios in order."""

    today: Solution
    scenarios: tuple[Solution, ...]
    baseline: np.ndarray  # [N] slots that today's demand keeps busy beyond the break-even share

    @property
    def expected(self) -> Solution:
        """The expected scenario."""
        return self.scenarios[EXPECTED]


def build_case(
    plan: Plan,
    streams: Streams,
    prices: pd.DataFrame,
    *,
    owned: dict[tuple[str, str], float],
    porting: dict[str, float],
    rework: dict[str, float] | None = None,
    room: np.ndarray | int = 0,
    book: pd.DataFrame | None = None,
    runs_on: Mapping[str, str] | None = None,
) -> Case:
    """Cut demand into slots and read the offers.

    `owned` counts accelerators by region and accelerator, `porting` is the one-off cost of moving
    a use case to its chosen accelerator, `rework` what its changes cost there a month, `room` the nodes of each pool that some plan holds at once, `book` the orders
    placed before (rows of the `commitments` contract), `runs_on` what use cases run on today (`aifactory.inventory.today.known_platforms`).
    """
    sizes = streams.pools["accelerators_per_node"].to_numpy(dtype=float)
    book = load_contract("commitments").empty() if book is None else book
    placed = placed_before(book, owned, streams.pools, streams.months, plan)
    nodes = np.floor(placed.accelerators / sizes + TOLERANCE).astype(int)
    least = np.maximum(nodes.max(axis=0, initial=0), placed.accelerators.any(axis=0))
    slots = build_slots(streams, np.maximum(np.maximum(least, room), _rule_of_thumb_nodes(streams)))
    return Case(
        plan=plan,
        streams=streams,
        slots=slots,
        offers=read_offers(prices, streams.pools, plan),
        owned=slots.number < nodes[:, slots.pool],
        placed=placed,
        book=book,
        prices=prices,
        owned_accelerators=owned,
        porting=porting,
        rework=rework or {},
        loads=tuple(build_load(streams.of_scenario(index), slots, units) for index, units in enumerate(streams.units)),
        today=build_load(streams.of_today(), slots, streams.today_units),
        runs_on=runs_on or {},
    )


def peak_levels(streams: Streams) -> np.ndarray:
    """Coincident peak of the expected scenario without reserve and spares, accelerators [T + 1, P]."""
    streams = replace(streams, table=streams.table.assign(spare=1.0))
    average = streams.sized(streams.units[EXPECTED])
    bare = np.zeros_like(average)
    levels = [pool_level(streams, average, bare, pool) for pool in range(len(streams.pools))]
    return np.array(levels).reshape(len(levels), len(average)).T


def _rule_of_thumb_nodes(streams: Streams) -> np.ndarray:
    level = peak_levels(streams).max(axis=0, initial=0.0) * (1.0 + PEAK_RULE_RESERVE)
    return node_counts(level, streams.pools["accelerators_per_node"].to_numpy(dtype=int))


def case_terms(case: Case) -> Terms:
    """Money per slot; a minimum order must fit into the largest expected fleet of the pool."""
    held = case.loads[EXPECTED].held & ~case.owned
    largest = case.slots.total(held * case.slots.size, case.pools).max(axis=0, initial=0.0)
    return build_terms(case.offers, case.slots, case.plan, largest)


def solve(case: Case, load: Load, units: np.ndarray, decision: np.ndarray, terms: Terms) -> Solution:
    """Follow decisions through one demand path and price them."""
    orders = follow(decision, terms, case.owned)
    load = committed_first(load, orders.state, case.slots, terms)
    compute = price_orders(orders, load, case.slots, terms, case.pools, case.placed)
    return Solution(load, terms, orders, build_ledger(compute, case.streams, units, case.plan, case.apart))


def solve_expected(case: Case, decision: np.ndarray | None = None) -> Solution:
    """The expected scenario under given decisions [T + 1, N]; by default those that are cheapest for it alone."""
    terms = case_terms(case)
    load = case.loads[EXPECTED]
    if decision is None:
        decision = cheapest_decisions(load, terms, monthly_rate(case.plan.value("wacc")))
    return solve(case, load, case.streams.units[EXPECTED], decision, terms)


def solve_case(case: Case) -> Answer:
    """Solve today and the scenarios, each with the orders that are cheapest for its own demand alone.

    Baseline slots are those that today's demand keeps busy for at least the break-even share of
    hours, however they are then paid for. Their first orders in the expected
    scenario are firm: they are paid in every scenario. All later orders follow the
    demand of their own scenario, as triggers would.
    """
    rate = monthly_rate(case.plan.value("wacc"))
    terms = case_terms(case)
    today, expected = solve_today(case), solve_expected(case)
    baseline = baseline_slots(today)
    solutions = []
    for index, load in enumerate(case.loads):
        if index == EXPECTED:
            solutions.append(expected)
            continue
        decision = with_firm_orders(cheapest_decisions(load, terms, rate), baseline, expected.orders)
        solutions.append(solve(case, load, case.streams.units[index], decision, terms))
    return Answer(today, tuple(solutions), baseline)


def solve_today(case: Case, decision: np.ndarray | None = None) -> Solution:
    """Today's demand held flat, with the decisions [T + 1, N] of a plan, by default those that are cheapest for it alone.

    Commitments that nothing uses are left out: what a unit costs is what its use case causes.
    """
    case = replace(case, counts_unused=False)
    terms = case_terms(case)
    if decision is None:
        decision = cheapest_decisions(case.today, terms, monthly_rate(case.plan.value("wacc")))
    return solve(case, case.today, case.today_units, decision, terms)


def baseline_slots(today: Solution) -> np.ndarray:
    """[N] slots that today's demand, held flat, keeps busy beyond the break-even share or commits to."""
    return justified(today)[0] | (today.orders.signed != FLEXIBLE).any(axis=0)


def justified(solution: Solution) -> np.ndarray:
    """Slots busy for at least the break-even share of hours, [T + 1, N]; the whole fleet where none is rented."""
    use = solution.load.use
    return np.where(solution.terms.break_even > 0, (use > 0) & (use >= solution.terms.break_even), solution.load.held)


def with_assumption(case: Case, name: str, value: float) -> Case:
    """Return the case with one money assumption replaced; porting and rework follow the cost of engineers."""
    old = case.plan.assumptions[name]
    assumptions = {**case.plan.assumptions, name: old.model_copy(update=dict.fromkeys(("low", "value", "high"), value))}
    plan = case.plan.model_copy(update={"assumptions": assumptions})
    dearer = value / old.value if name == "engineer_usd_per_month" and old.value > 0 else 1.0
    porting, rework = ({name: usd * dearer for name, usd in each.items()} for each in (case.porting, case.rework))
    return replace(case, plan=plan, porting=porting, rework=rework)


def with_streams(case: Case, plan: Plan, streams: Streams) -> Case:
    """Return the case with other streams, cut into slots anew."""
    return rebuilt(case, plan, streams)


def rebuilt(case: Case, plan: Plan, streams: Streams, room: np.ndarray | int = 0) -> Case:
    """The case of a plan and streams with the offers, orders placed, porting and rework of another."""
    return build_case(
        plan,
        streams,
        case.prices,
        owned=case.owned_accelerators,
        porting=case.porting,
        rework=case.rework,
        room=room,
        book=case.book,
        runs_on=case.runs_on,
    )
