"""Limits that no plan can keep together, the cheapest way to relax each, and the least overrun of them all.

Limits are rows A x <= b on the nodes x of the orders, 0 <= x <= the largest useful order. Where they contradict each
other, the least sum of relative excess s over A x <= b + |b| s is found by linear programme; rows with a dual price in it
contradict each other (Farkas), and leaving one row out after the other keeps a smallest set (deletion filter). Limits that
parts of nodes keep and whole nodes or least orders do not are found by the same filter on the integer programme.

A plan is still owed. The fleet that must stand ready comes first; every other limit gives way by the least relative
excess in whole nodes (elastic programme), of all such plans the one whose orders cost least.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog

from aifactory.buyplan.optimise.extensive import order_rows
from aifactory.buyplan.optimise.limit_words import UNITS, amount_up, in_all, kind_of, share_up, without_time
from aifactory.buyplan.optimise.overruns import Overrun
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.silence import milp
from aifactory.errors import InputError

TOLERANCE = 1e-7
#: Share of a limit that orders may exceed it by: what whole nodes leave of the solver's rounding.
ROUNDING = 1e-6
VERBS = {"reserve": "lower", "lead": "shorten"}
#: The limit that never gives way by itself; weight of what orders cost beside the excess; effort of the elastic programme.
FIRST, BESIDE = "reserve", 1e-6
#: Rounds in which the least share of a vendor is found; three are enough in practice.
SHARE_STEPS = 20
OF_EVERY = "share of every vendor"
EFFORT = {"mip_rel_gap": 1e-4, "node_limit": 2000}
#: Status of an integer programme that no plan meets.
NO_PLAN = 2


def exceeded(problem: Problem, nodes: np.ndarray) -> list[str]:
    """Limits that nodes of the orders (ports may follow) exceed, each once, in words and without months."""
    rows, bounds, names = problem.limits()
    over = rows @ nodes[: len(problem.orders)] > bounds + ROUNDING * np.maximum(np.abs(bounds), 1.0)
    return list(dict.fromkeys(problem.in_words(without_time(names[at])) for at in np.flatnonzero(over)))


@dataclass(frozen=True)
class Conflict:
    """Limits that contradict each other; leaving any one of them out lets a plan exist.

    Attributes
    ----------
    names : the limits, as `Problem.limits` names them.
    relief : by name, by how much that limit alone must give way, in its unit; of a vendor's share as a share of what is held.
        A limit of one month that is not enough alone stands here for all months (years) of that limit, see `in_all`.
    usd : by name, what giving way costs, present value: the cheapest orders that keep all other limits, and the demand
        that is missed where the fleet that must stand ready is lowered.
    """

    names: tuple[str, ...]
    relief: dict[str, float]
    usd: dict[str, float] = field(default_factory=dict)

    def sentence(self) -> str:
        """The conflict and its ways out in words, the cheapest first."""
        ways = [
            f"{VERBS.get(kind_of(name), 'raise')} {name} by {self._amount(name, by)}{self._cost(name)}"
            for name, by in sorted(self.relief.items(), key=lambda item: self.usd.get(item[0], np.inf))
        ]
        out = ", or ".join(ways) or "no single one of them, given way to, is enough"
        return f"no plan keeps {' and '.join(self.names)}{' together' if len(self.names) > 1 else ''}: {out}"

    @staticmethod
    def _amount(name: str, by: float) -> str:
        return (
            f"{share_up(by)} of what is held" if kind_of(name) == "share" else f"{amount_up(by)} {UNITS[kind_of(name)]}"
        )

    def _cost(self, name: str) -> str:
        if not self.usd.get(name, 0.0) >= 1.0:  # nothing to order, nothing missed
            return ""
        return f" ({'missed demand and orders' if kind_of(name) == FIRST else 'orders'} of USD {self.usd[name]:,.0f})"


def conflict_words(conflicts: Iterable[Conflict]) -> str:
    """All conflicts with their ways out, as one sentence."""
    return "; beside that ".join(conflict.sentence() for conflict in conflicts)


def find_conflicts(problem: Problem, largest: np.ndarray) -> tuple[Conflict, ...]:
    """Smallest sets of limits that no orders up to `largest` [N] keep together, one for each conflict; empty where all can be kept.

    The limits of a set are freed, in all their months, before the next is looked for: no two sets share a limit. Ways out
    of a set are told as if those of the others were taken.
    """
    found, left = [], problem
    while names := _smallest(left, largest):
        found.append(names)
        left = _freed(left, names)
    return tuple(
        _with_ways(_freed(problem, [name for other in found if other != names for name in other]), names, largest)
        for names in found
    )


def _smallest(problem: Problem, largest: np.ndarray) -> tuple[str, ...]:
    """The names of a smallest set of limits that contradict each other; empty where all can be kept."""
    matrix, bound, names = problem.limits()
    if not len(names):
        return ()
    scale = np.maximum(np.abs(bound), 1.0)
    excess, duals = _least_excess(matrix, bound, scale, largest)
    if excess > TOLERANCE:
        kept = list(np.flatnonzero(np.abs(duals) > TOLERANCE))
        for row in list(kept):
            others = [other for other in kept if other != row]
            if others and _least_excess(matrix[others], bound[others], scale[others], largest)[0] > TOLERANCE:
                kept = others
    elif (bound >= -TOLERANCE * scale).all() or _kept_whole(problem, range(len(names)), largest):
        return ()
    else:
        kept = _needed(problem, list(range(len(names))), [in_all(name) for name in names], largest)
    kept = _fewest(problem, _needed(problem, kept, names, largest), largest)
    return tuple(names[row] for row in kept)


def _freed(problem: Problem, conflict: Iterable[str]) -> Problem:
    """The problem without some limits, all months (years) of each."""
    groups = {in_all(name) for name in conflict}
    names = problem.limits()[2]
    free = np.array([in_all(name) in groups for name in names], dtype=bool)
    mine = {kind: np.array([kind_of(name) == kind for name in names], dtype=bool) for kind in UNITS}
    changes: dict[str, object] = {}
    for kind, field_name in (("capital", "capital_usd"), ("budget", "order_budget_usd")):
        if free[mine[kind]].any():
            changes[field_name] = np.zeros(0)
    for kind, field_name in (("power", "power_kw"), ("space", "space_nodes")):
        if free[mine[kind]].any():
            limit = np.array(getattr(problem, field_name), dtype=float)
            limit[np.isfinite(limit)] = np.where(free[mine[kind]], np.inf, limit[np.isfinite(limit)])
            changes[field_name] = limit
    if free[mine[FIRST]].any():
        floor = np.array(problem.floor, dtype=float)
        floor[:, [_platform(names[row]) for row in np.flatnonzero(free & mine[FIRST])]] = 0.0
        changes["floor"] = floor
    return replace(problem, **changes, **({"vendor_most": 1.0} if free[mine["share"]].any() else {}))


def _platform(name: str) -> int:
    """The platform of "reserve of platform 3 in month 5"."""
    return int(name.split()[3])


def _with_ways(problem: Problem, conflict: tuple[str, ...], largest: np.ndarray) -> Conflict:
    """A conflict with its ways out."""
    names = problem.limits()[2]
    kept = [row for row, name in enumerate(names) if name in conflict]
    relief, usd = {}, {}
    for row in (row for row in kept if kind_of(names[row]) != "share"):
        alone = [row], names[row]
        months = [other for other, name in enumerate(names) if in_all(name) == in_all(names[row])], in_all(names[row])
        for rows, name in (alone, months):
            by = _least_of_rows(problem, rows, largest)
            if by is not None:
                relief[name], usd[name] = by, _way_usd(problem, rows, by, largest)
                break
    shares = [names[row] for row in kept if kind_of(names[row]) == "share"]
    by = _share_beyond(problem, largest) if shares else None
    if by is not None:  # one number is stated for all vendors
        name = shares[0] if len(shares) == 1 else OF_EVERY
        relief[name], usd[name] = by, _orders_usd(replace(problem, vendor_most=problem.vendor_most + by), largest)
    return Conflict(conflict, relief, usd)


def lead_conflicts(problem: Problem) -> tuple[Conflict, ...]:
    """Fleets that must stand ready before any order can serve, one conflict for each platform, with both ways out and their price.

    A lead time shorter by the months up to the first that an order reaches costs the nodes that are missing until then, at
    the cheapest term; a fleet lowered to what is there costs the demand that is missed, mean of the paths. Present values.
    No row of the limits: no order changes it, and a plan is owed all the same.
    """
    if not np.size(problem.floor):
        return ()
    found, missing = [], np.maximum(problem.floor - problem.owned, 0.0)
    reached = problem.serves.any(axis=2)
    for platform in np.flatnonzero(reached.any(axis=0)):
        first = int(reached[:, platform].argmax())
        months = np.flatnonzero(missing[:first, platform] > TOLERANCE)
        if not len(months):
            continue
        lead, reserve = f"lead time of platform {platform}", f"reserve of platform {platform} in month {months[0]}"
        relief = {lead: float(first - months[0]), reserve: float(missing[months, platform].max())}
        usd = {
            lead: _held_usd(problem, platform, months, missing),
            reserve: _missed_usd(problem, platform, months, problem.owned[months, platform]),
        }
        found.append(Conflict((lead, reserve), relief, usd))
    return tuple(found)


def _held_usd(problem: Problem, platform: int, months: np.ndarray, missing: np.ndarray) -> float:
    """Present value of holding the missing accelerators, whole nodes, at the cheapest term per month of service."""
    rate, served = np.inf, problem.serves[:, platform]
    for column in np.flatnonzero(served.any(axis=0)):
        rate = min(rate, problem.order_usd[column] / float(served[:, column] @ problem.discount[:-1]))
    size = problem.node_size[platform]
    whole = np.ceil(missing[months, platform] / size - TOLERANCE) * size
    return float(max(rate, 0.0) * whole @ problem.discount[months])


def _missed_usd(problem: Problem, platform: int, months: np.ndarray, held: np.ndarray) -> float:
    """Present value of the demand of a platform that finds no capacity in months with `held` accelerators, mean of the paths."""
    mine = np.flatnonzero(problem.rate[:, platform] > 0)
    load = problem.demand[:, months][:, :, mine] / problem.rate[mine, platform][:, None]
    short = np.maximum(load.sum(axis=2) - held[:, None], 0.0) @ problem.block_hours
    penalty = float((problem.rate[mine, platform] * problem.miss_usd[mine]).max())
    return float(short.mean(axis=0) @ problem.discount[months]) * penalty


def relaxed(problem: Problem, largest: np.ndarray) -> tuple[Problem, tuple[Conflict, ...], tuple[Overrun, ...]]:
    """The problem with its limits raised by the least that lets a plan exist, what contradicts what, and by how much.

    The fleet that must stand ready does not give way: where it alone cannot be had the problem is returned as it is.

    Returns
    -------
    (problem, the smallest conflicting sets, excess of each limit that gives way)
    """
    conflicts = find_conflicts(problem, largest)
    if not conflicts or any({kind_of(name) for name in conflict.names} == {FIRST} for conflict in conflicts):
        return problem, conflicts, ()
    rows, bounds, names = problem.limits()
    nodes = _least_overrun(problem, largest)
    over = np.maximum(rows @ nodes - bounds, 0.0)
    over[over <= TOLERANCE * np.maximum(np.abs(bounds), 1.0)] = 0.0
    raised, found = _raised(problem, nodes, over, names)
    return raised, conflicts, found


def refuse_conflicts(problem: Problem, largest: np.ndarray) -> None:
    """Raise where limits contradict each other, with the smallest set of them and the ways out.

    Raises
    ------
    InputError
        No plan keeps all limits, or an offer pays whoever takes it, so that only its largest order would bound the plan.
    """
    for (option, _), usd in zip(problem.orders, problem.order_usd, strict=True):
        if usd < 0:
            rule = f"brings USD {-usd:,.0f} a node more than it costs: the plan would order without end; correct its price or resale"
            raise InputError.at("options", rule, value=option.name)
    found = find_conflicts(problem, largest)
    if found:
        raise InputError.at("limits", problem.in_words(conflict_words(found)))


def _least_excess(
    matrix: np.ndarray, bound: np.ndarray, scale: np.ndarray, largest: np.ndarray
) -> tuple[float, np.ndarray]:
    rows, columns = matrix.shape
    found = linprog(
        np.r_[np.zeros(columns), np.ones(rows)], np.hstack([matrix, -np.diag(scale)]), bound,
        bounds=[*((0, top) for top in largest), *((0, None) for _ in range(rows))], method="highs",
    )  # fmt: skip
    return float(found.fun), np.asarray(found.ineqlin.marginals)


def _kept_whole(problem: Problem, rows: Iterable[int], largest: np.ndarray) -> bool:
    """Whether whole nodes, least orders kept, can keep these limits together; a search without an end counts as a yes."""
    return _cheapest(problem, np.zeros(len(largest)), problem.limits()[1], largest, rows)[0] != NO_PLAN


def _needed(problem: Problem, rows: list[int], group: list[str], largest: np.ndarray) -> list[int]:
    """Of limits that no whole nodes keep together, those left when groups are left out, the last first, as long as none do."""
    for name in reversed(dict.fromkeys(group[row] for row in rows)):
        others = [row for row in rows if group[row] != name]
        if others and not _kept_whole(problem, others, largest):
            rows = others
    return rows


def _fewest(problem: Problem, kept: list[int], largest: np.ndarray) -> list[int]:
    """The limits, or fewer of two kinds alone that no whole nodes keep together either: leaving out one by one may miss these."""
    names = problem.limits()[2]
    kinds = [in_all(name) for name in names]
    for pair in combinations(dict.fromkeys(kinds), 2) if len(kept) > 2 else ():
        rows = [row for row, kind in enumerate(kinds) if kind in pair]
        if not _kept_whole(problem, rows, largest):
            fewer = _needed(problem, rows, names, largest)
            kept = fewer if len(fewer) < len(kept) else kept
    return kept


def _cheapest(
    problem: Problem, usd: np.ndarray, bound: np.ndarray, largest: np.ndarray, rows: Iterable[int] | None = None
) -> tuple[int, float]:
    """Status of the search for whole nodes that cost least within the bounds of some or all limits, and their cost; NaN without any."""
    matrix, _, upper, _ = order_rows(problem)
    width = matrix.shape[1] - len(largest)
    kept = [*(range(len(bound)) if rows is None else rows), *range(len(bound), matrix.shape[0])]
    found = milp(
        np.r_[usd, np.zeros(width)], integrality=np.ones(matrix.shape[1]), options=EFFORT,
        bounds=Bounds(0, np.r_[largest, np.ones(width)]),
        constraints=LinearConstraint(matrix[kept], -np.inf, np.r_[bound, upper[len(bound) :]][kept]) if kept else (),
    )  # fmt: skip
    return found.status, np.nan if found.x is None else float(found.fun)


def _least_of_rows(problem: Problem, rows: list[int], largest: np.ndarray) -> float | None:
    """Least amount by which these limits must be raised, all alike, for whole nodes that keep all others; None where that does not help."""
    matrix, _, upper, _ = order_rows(problem)
    width = matrix.shape[1]
    give = np.zeros((matrix.shape[0], 1))
    give[rows] = -1.0
    most = np.r_[largest, np.ones(width - len(largest)), np.inf]
    found = milp(
        np.r_[np.zeros(width), 1.0], integrality=np.r_[np.ones(width), 0.0], bounds=Bounds(0, most),
        constraints=LinearConstraint(sparse.hstack([matrix, give]).tocsr(), -np.inf, upper), options=EFFORT | {"mip_rel_gap": 0.0},
    )  # fmt: skip
    return None if found.x is None else float(found.fun)


def _share_beyond(problem: Problem, largest: np.ndarray) -> float | None:
    """Least share that every vendor may have when all other limits hold, beyond the one allowed; None where none is enough.

    The least largest ratio of linear forms (generalised Dinkelbach; Crouzeix, Ferland and Schaible, J. Optim. Theory Appl. 47,
    1985): at a share m the excess max over vendors (held by it - m x held by all) is made least; m falls to the largest share of
    that plan, until no plan is below it.
    """
    names = problem.limits()[2]
    others = np.array([kind_of(name) != "share" for name in names], dtype=bool)
    mine = np.array([[of == vendor for of in problem.vendor] for vendor in dict.fromkeys(problem.vendor)], dtype=float)
    held, owned = mine @ problem.serves.sum(axis=0), mine @ problem.owned.sum(axis=0)
    most, excess = 1.0, -np.ones((len(mine), 1))
    whole, _, upper, _ = order_rows(problem)
    kept = np.r_[others, np.ones(whole.shape[0] - len(others), dtype=bool)]
    rest = sparse.hstack([whole[kept], sparse.csr_matrix((int(kept.sum()), 1))])
    width = whole.shape[1]
    limits = Bounds(np.r_[np.zeros(width), -np.inf], np.r_[largest, np.ones(width - len(largest)), np.inf])
    for _ in range(SHARE_STEPS):
        shares = np.zeros((len(mine), width + 1))
        shares[:, : len(largest)], shares[:, width:] = held - most * held.sum(axis=0), excess
        ends = np.r_[most * owned.sum() - owned, upper[kept]]
        found = milp(
            np.r_[np.zeros(width), 1.0], integrality=np.r_[np.ones(width), 0.0], bounds=limits,
            constraints=LinearConstraint(sparse.vstack([shares, rest]).tocsr(), -np.inf, ends), options=EFFORT,
        )  # fmt: skip
        if found.x is None:
            return None
        by = owned + held @ np.round(found.x[: len(largest)])
        least = float(by.max() / by.sum()) if by.sum() > 0 else problem.vendor_most
        if least >= most - TOLERANCE:
            break
        most = least
    return max(most - problem.vendor_most, 0.0)


def _orders_usd(problem: Problem, largest: np.ndarray) -> float:
    """Present value of the cheapest orders of whole nodes within the limits."""
    bound = problem.limits()[1]
    return _cheapest(problem, problem.order_usd, bound + TOLERANCE * np.maximum(np.abs(bound), 1.0), largest)[1]


def _way_usd(problem: Problem, rows: list[int], by: float, largest: np.ndarray) -> float:
    """Present value of the cheapest orders where some rows alone give way alike, and of the demand missed by a lower fleet."""
    _, bound, names = problem.limits()
    eased = bound.copy()
    eased[rows] += by + TOLERANCE * np.maximum(np.abs(bound[rows]), 1.0)
    usd = _cheapest(problem, problem.order_usd, eased, largest)[1]
    if kind_of(names[rows[0]]) != FIRST:
        return usd
    platform, months = _platform(names[rows[0]]), np.array([int(names[row].split()[-1]) for row in rows])
    held = problem.owned[months, platform] + np.maximum(-bound[rows] - by, 0.0)
    return usd + _missed_usd(problem, platform, months, held)


def _least_overrun(problem: Problem, largest: np.ndarray) -> np.ndarray:
    """[N] whole nodes that exceed the limits by the least sum of shares, the fleet that must stand ready held.

    Shares of vendors give way alike: one number is stated for all.
    """
    matrix, _, upper, switched = order_rows(problem)
    rows, bounds, names = problem.limits()
    soft = np.array([at for at, name in enumerate(names) if kind_of(name) != FIRST], dtype=int)
    reach = np.abs(rows) @ largest
    scale = np.maximum(np.abs(bounds), np.maximum(1e-3 * reach, 1.0))[soft]
    count, width = len(soft), matrix.shape[1]
    shares = np.array([kind_of(names[at]) == "share" for at in soft], dtype=bool)
    scale[shares] = scale[shares].max(initial=0.0)
    column = np.where(shares, shares.argmax() if count else 0, np.arange(count))
    give = sparse.csr_matrix((-scale, (soft, column)), (matrix.shape[0], count))
    most = np.concatenate([largest, np.ones(width - len(largest)), np.full(count, np.inf)])
    dear = max(float(problem.order_usd @ largest), 1.0)
    usd = np.concatenate([problem.order_usd * BESIDE / dear, np.zeros(width - len(largest)), np.ones(count)])
    whole = np.concatenate([np.ones(width), np.zeros(count)])
    facts = {"constraints": LinearConstraint(sparse.hstack([matrix, give]).tocsr(), -np.inf, upper)}
    found = milp(usd, integrality=whole, bounds=Bounds(0, most), options=EFFORT, **facts)
    if found.x is None:  # too many branches: nodes of the continuous programme, rounded up
        found = milp(usd, bounds=Bounds(0, most), **facts)
        return np.minimum(np.ceil(found.x[: len(largest)] - TOLERANCE), largest)
    return np.round(found.x[: len(largest)])


def _raised(
    problem: Problem, nodes: np.ndarray, over: np.ndarray, names: list[str]
) -> tuple[Problem, tuple[Overrun, ...]]:
    """The problem with limits that hold the nodes, and the excess of each."""
    mine = {kind: np.array([kind_of(name) == kind for name in names], dtype=bool) for kind in UNITS}
    changes, found = {}, []
    for kind, field_name in (("capital", "capital_usd"), ("budget", "order_budget_usd")):
        if over[mine[kind]].any():
            before = np.asarray(getattr(problem, field_name), dtype=float)
            changes[field_name] = before + over[mine[kind]]
            found += [Overrun(name, by, most) for name, by, most in zip(_of(names, mine[kind]), over[mine[kind]], before, strict=True) if by > 0]  # fmt: skip
    for kind, field_name in (("power", "power_kw"), ("space", "space_nodes")):
        if over[mine[kind]].any():
            limit = np.asarray(getattr(problem, field_name), dtype=float).copy()
            bounded = np.isfinite(limit)
            before = limit[bounded]
            limit[bounded] += over[mine[kind]]
            changes[field_name] = limit
            found += [Overrun(name, by, most) for name, by, most in zip(_of(names, mine[kind]), over[mine[kind]], before, strict=True) if by > 0]  # fmt: skip
    if over[mine["share"]].any():
        held = problem.capacity(nodes).sum(axis=0)
        shares = {
            vendor: float(held[[of == vendor for of in problem.vendor]].sum() / held.sum()) for vendor in problem.vendor
        }
        changes["vendor_most"] = min(max(shares.values()) * (1 + TOLERANCE), 1.0)
        found += [Overrun(f"share of {vendor}", share - problem.vendor_most, problem.vendor_most) for vendor, share in shares.items() if share > problem.vendor_most]  # fmt: skip
    return replace(problem, **changes), tuple(found)


def _of(names: list[str], mask: np.ndarray) -> list[str]:
    return [name for name, mine in zip(names, mask, strict=True) if mine]
