"""The orders of the plan: chosen over many demand paths, each with what it serves and why it is there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, case_terms, rebuilt
from aifactory.buyplan.futures import GAP, TIME_LIMIT_S, nodes_signed, problem_of, problem_over, stated_money
from aifactory.buyplan.keep import approved_nodes, going_on, keep_approved
from aifactory.buyplan.optimise.benders import REACHED, OptimalPlan, optimise
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.extensive import largest_orders
from aifactory.buyplan.optimise.limit_prices import limit_prices
from aifactory.buyplan.optimise.limits import Conflict, conflict_words, lead_conflicts, relaxed
from aifactory.buyplan.optimise.overruns import Overrun, overrun_words
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.own_sites import as_stated, exceeded_before
from aifactory.buyplan.reasons import reasons_of
from aifactory.buyplan.stress.replan import CLOSE_ROUNDS, Replanner, replan
from aifactory.buyplan.stress.replan import GAP as QUICK_GAP
from aifactory.buyplan.stress.world import world_of
from aifactory.demand.scenarios import Paths
from aifactory.errors import IdentityError
from aifactory.finance.options import COMMITTED_OPTIONS
from aifactory.fleet.nodes import TOLERANCE, Load
from aifactory.fleet.orders import FLEXIBLE, next_owned
from aifactory.units import percent

#: USD that a unit more of a limit must save for it to be told: less is rounding.
LEAST_WORTH_USD = 1e-3
#: Gap of the last, closer search: orders that change by less than this of the cost would change by chance.
LAST_GAP = 1e-4
#: What rounding may lift a bound above the cost that it bounds, share of it: more is a contradiction.
BOUND_ERROR = 1e-6


@dataclass(frozen=True)
class Chosen:
    """The best plan over the paths, as decisions of the slots of a case.

    Attributes
    ----------
    case : the case, with room for every node of the plan.
    best : the plan of `problem` with its proven gap.
    decision : [T + 1, N] option that a slot signs in a month, else FLEXIBLE.
    reasons : why each order is there, see `reasons_of`.
    conflict : limits that contradict each other, the ways out and what the plan exceeds, in words; empty without.
    kept : which orders of the plan approved before stand, in words; empty without one.
    """

    case: Case
    problem: Problem
    best: OptimalPlan
    decision: np.ndarray
    reasons: pd.DataFrame
    conflict: str = ""
    kept: str = ""

    @property
    def bars_all(self) -> bool:
        """Whether the share of a vendor allows no order: so few vendors cannot each keep so small a share."""
        vendors = len(set(self.problem.vendor))
        return vendors * self.problem.vendor_most < 1 - TOLERANCE and not self.best.nodes.any() and vendors > 0

    @property
    def bound(self) -> list[str]:
        """Stated limits of which more would save money: budgets, and power and space of own sites."""
        found = [name for name, usd in self.best.limit_usd.items() if usd > LEAST_WORTH_USD]
        kinds = dict.fromkeys(re.sub(r" (in|of) (month|year) \d+$", "", name) for name in found)
        said = {"capital": "the yearly budget of capital", "budget": "the monthly budget"}
        own = [name for name in kinds if name in said or name.startswith(("power", "space"))]
        return [said.get(name, f"the {name}") for name in own]

    @property
    def late(self) -> list[str]:
        """What cannot be there in time, with both ways out and what each costs."""
        found = [self.problem.in_words(conflict.sentence()) for conflict in lead_conflicts(self.problem)]
        return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in found]

    @property
    def limits(self) -> list[str]:
        """What a reader must know: limits that contradict each other or bind, and a search that ended early."""
        found = [self.conflict] if self.conflict else []
        capital = max((usd for name, usd in self.best.limit_usd.items() if name.startswith("capital")), default=0.0)
        if capital > LEAST_WORTH_USD:
            found.append(
                f"The budget of capital binds: one more dollar of it would save USD {capital:,.2f} over the horizon, "
                "the risk of dear futures weighed in; the expected cost may move less, or the other way."
            )
        if self.bars_all:
            vendors = len(set(self.problem.vendor))
            found.append(
                f"No vendor may have more than {percent(self.problem.vendor_most)} of what is owned and committed, and the plan "
                f"has platforms of {vendors} vendor{'s' * (vendors > 1)}: this allows no commitment at all."
            )
        if self.best.stopped != REACHED:
            found.append(
                f"The search for the best orders ended early ({self.best.stopped}): they are proven to cost at most "
                f"{percent(self.best.gap)} more than the best, not to be the best."
            )
        return found


def broken_first(chosen: Chosen | None, notes: Sequence[str]) -> list[str]:
    """What to know before signing, each once: limits that the plan must break (`Chosen.conflict`) come before all else."""
    broken = [chosen.conflict] if chosen and chosen.conflict else []
    return list(dict.fromkeys([*broken, *notes]))


def choose_orders(case: Case, paths: Paths, approved: pd.DataFrame | None = None) -> Chosen | None:
    """Cheapest orders over all demand paths, mean and worst overruns weighed; None where nothing can be committed to.

    Orders are placed once a quarter and where they serve from a launch, the end of a running commitment or that of a term
    of the plan on, within the budgets, the power of the own sites and the share of a vendor; where these contradict each
    other or the fleet that must be held they give way by the least. Where no hours can be rented the expected fleet with its
    reserve is held. Orders to come of the plan approved before (`approved`, see `keep.earlier_steps`) stand where changing
    them saves next to nothing.
    """
    problem = problem_of(case, paths)
    if approved is not None:
        problem = going_on(problem, case.streams.pools, approved)
    if not problem.orders or not (problem.demand > 0).any():
        return None
    problem, conflicts, overruns = relaxed(problem, largest_orders(problem))
    beyond = exceeded_before(case, stated_money(case))
    best, kept = settled(problem, optimise(problem, gap=GAP, time_limit_s=TIME_LIMIT_S), beyond), ""
    if approved is not None and len(approved):
        nodes = approved_nodes(problem, case.streams.pools, approved)
        found = keep_approved(problem, best, nodes, str(approved["plan_period"].iloc[0]))
        best, kept = found.best, found.sentence()
    gone = {name for name, months in beyond.items() if months.all()}
    best = replace(best, limit_usd={name: usd for name, usd in best.limit_usd.items() if name not in gone})
    case = with_room(case, problem, best.nodes)
    return Chosen(
        case, problem, best, decisions_of(case, problem, best.nodes), reasons_of(case, problem, best.nodes),
        _conflict_words(problem, *as_stated(case, conflicts, overruns, stated_money(case))), kept,
    )  # fmt: skip


def _conflict_words(problem: Problem, conflicts: tuple[Conflict, ...], overruns: tuple[Overrun, ...]) -> str:
    """What contradicts what, the ways out, and what the plan does about it; empty where all limits can be kept."""
    if not conflicts:
        return ""
    done = f" This plan exceeds {overrun_words(overruns)}: the least that any plan must." if overruns else ""
    several = any(len(conflict.names) > 1 for conflict in conflicts)
    head = (
        "Limits contradict each other" if several else f"{'Limits' if len(conflicts) > 1 else 'A limit'} cannot be kept"
    )
    return problem.in_words(f"{head}: {conflict_words(conflicts)}.{done}")


def settled(
    problem: Problem, best: OptimalPlan, beyond: Mapping[str, np.ndarray] = MappingProxyType({})
) -> OptimalPlan:
    """A plan after a closer search from where it is, so that what the search leaves open does not move orders.

    Plans within the gap of a first search differ by orders that nothing speaks for: a small change of the input would
    exchange them. Where platforms can be planned one by one the best plan itself is found, in a fraction of a second;
    elsewhere the plan stands. Never dearer than `best`, and never with a wider gap. `beyond`: as in `limit_prices`.
    """
    search = Replanner(world_of(problem), best.nodes, LAST_GAP, CLOSE_ROUNDS)
    if not search.separable:
        return best
    found = search.best(gap=LAST_GAP)
    cost = evaluate_plan(problem, found.nodes)
    prices = limit_prices(problem, beyond) if best.limit_usd else {}
    bound = max(best.bound_usd, found.bound_usd)
    closer = replace(best, nodes=found.nodes, cost=cost, bound_usd=bound, limit_usd=prices)
    if closer.gap < -BOUND_ERROR:
        msg = f"the bound of the best orders, USD {closer.bound_usd:,.2f}, is above what orders cost, USD {cost.objective_usd:,.2f}"
        raise IdentityError(msg)
    return replace(closer, stopped=REACHED) if closer.gap <= GAP else closer


def decisions_of(case: Case, problem: Problem, nodes: np.ndarray, firm: np.ndarray | None = None) -> np.ndarray:
    """Nodes of orders as decisions of slots [T + 1, N]: each takes the first slots of its pool that are free.

    Slots with an option in `firm` [T + 1, N] keep it and are free again when its term ends; those that are there from
    orders placed before are free when the last of them ends.
    """
    months = len(case.streams.months)
    decision = np.full((months, len(case.slots.pool)), FLEXIBLE)
    free_from = np.where(case.owned.any(axis=0), months - case.owned[::-1].argmax(axis=0), 0)
    if firm is not None:
        decision[:, : firm.shape[1]] = firm
        free_from = np.maximum(free_from, _ends(case, decision))
    for column in sorted(
        np.flatnonzero(nodes), key=lambda at: (_start(problem, at), -problem.orders[at][0].term_months)
    ):
        option, start = problem.orders[column][0], _start(problem, column)
        mine = np.flatnonzero((case.slots.pool == option.platform) & (free_from <= start))[: int(nodes[column])]
        decision[start, mine] = COMMITTED_OPTIONS.index(option.name)
        free_from[mine] = start + option.term_months
    return decision


def quick_orders(
    case: Case, wanted: np.ndarray, *, load: Load | None = None, firm: np.ndarray | None = None, gap: float = QUICK_GAP
) -> tuple[Case, np.ndarray]:
    """Orders for any demand in a fraction of a second, by the rule of `choose_orders`: (case with room for them, decision).

    Parameters
    ----------
    wanted : [paths, months, streams] average accelerators at work, see `problem_over`.
    load : the fleet that stands ready where no hours can be rented, by default that of the expected scenario.
    firm : [T + 1, N] options that slots of the case sign in any case, else FLEXIBLE: paid, and free again when they end.

    Returns
    -------
    (case, decision [T + 1, N']) for `solve` and `solve_expected`; where nothing can be committed to, the firm orders.

    Raises
    ------
    InputError
        An offer pays whoever takes it.
    """
    firm = np.full((len(case.streams.months), len(case.slots.pool)), FLEXIBLE) if firm is None else firm
    problem = _with_firm(case, problem_over(case, wanted, load), firm)
    nodes = np.zeros(len(problem.orders))
    if problem.orders and (problem.demand > 0).any():
        problem = relaxed(problem, largest_orders(problem))[0]
        nodes = replan(world_of(problem), nodes, gap=gap).nodes
    case = with_room(case, problem, nodes)
    return case, decisions_of(case, problem, nodes, firm)


def with_room(case: Case, problem: Problem, nodes: np.ndarray) -> Case:
    """The case with a slot for every node that is in service at once, or kept for one that is to be delivered."""
    mine = case.slots.total(case.owned * case.slots.size, case.pools)[1:]
    taken = case.slots.total((next_owned(case.owned) < len(case.owned)).astype(float), case.pools)[1:]
    wanted = np.ceil(((problem.capacity(nodes) - mine) / problem.node_size + taken).max(axis=0) - TOLERANCE).astype(int)
    have = room_of(case)
    if (wanted <= have).all():
        return case
    room = np.maximum(wanted, have)
    return rebuilt(case, case.plan, case.streams, room)


def room_of(case: Case) -> np.ndarray:
    """[P] nodes of each pool that a case has slots for."""
    return np.bincount(case.slots.pool, minlength=case.pools)


def _with_firm(case: Case, problem: Problem, firm: np.ndarray) -> Problem:
    """The problem in which firm orders stand: their nodes are there, their limits are used up."""
    monthly = replace(problem, order_months=tuple(range(problem.months)))
    return replace(problem, **monthly.placed(nodes_signed(case, firm, monthly)))


def _ends(case: Case, decision: np.ndarray) -> np.ndarray:
    """[N] month from which a slot with firm orders is free again, 0 without one."""
    term, ends = case_terms(case).term, np.zeros(decision.shape[1], dtype=int)
    for start, slot in np.argwhere(decision != FLEXIBLE):
        ends[slot] = max(ends[slot], start + term[decision[start, slot], slot])
    return ends


def _start(problem: Problem, column: int) -> int:
    """First month of use on the axis of the case, whose month 0 is the period."""
    option, month = problem.orders[column]
    return month + 1 + option.lead_months
