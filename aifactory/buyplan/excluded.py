"""What it costs that the shortlist left a platform out: each use case moved there, with the orders that follow.

For the weights of the paths in the plan the best orders of a platform are a small programme of their own, whose value is

    V(platform, streams) = min over orders of orders + weighted mean of the recourse + running of what stands there,

so that moving use case u from its platform a to b is worth

    sum over regions of V(a, with u) + V(b, without u) - V(a, without u) - V(b, with u), less the penalties of the move.

Running is power, space, support, people and storage. What stands on a platform without work is switched off, as in the plan. Prices stand at today's. A use case moves as a whole: splitting it over both could save more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, case_terms, with_streams
from aifactory.buyplan.futures import problem_over, stream_paths
from aifactory.buyplan.optimise.evaluate import evaluate_plan, path_weights
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.stress.replan import Replanner
from aifactory.buyplan.stress.world import world_of
from aifactory.demand.scenarios import Paths
from aifactory.finance.cashflow import discount_factors
from aifactory.fleet.compute import work_to_come
from aifactory.fleet.guests import chance_beside_spares, guest_of, rows_of
from aifactory.fleet.node_sizes import offers_of_pools, prices_at, replica_sizes, tried_sizes, with_sizes
from aifactory.fleet.nodes import TooManyNodesError
from aifactory.fleet.streams import ABOUT_POOLS, EXPECTED, Streams, work_per_unit
from aifactory.fleet.terms import BOUGHT, OWN_SITE
from aifactory.inputs.plan import Plan
from aifactory.shortlist.own_sites import has_room

COLUMNS = [
    "use_case_id",
    "chosen_id",
    "accelerator_id",
    "why",
    "tier",
    "now_usd",
    "moved_usd",
    "penalties_usd",
    "saving_usd",
]
#: Rules of what cannot run at all: nothing is forgone.
CANNOT = ("memory", "edge device", "edge power", "edge site")
NOT_CHOSEN, CANNOT_PLAN = "not chosen", "no offer in its regions, or too many nodes to plan"


@dataclass(frozen=True)
class Cells:
    """What the stages before know of every use case and platform.

    Attributes
    ----------
    capacity : use_case_id, accelerator_id, units_per_s_per_accelerator, low, high, tier, failure_rate.
    exclusions : use_case_id, accelerator_id, rule, reason.
    penalties : use_case_id, accelerator_id, total_usd, compute_usd: their difference is paid for being there.
    accelerators : the catalogue.
    offers : `aifactory.finance.prices.node_offers`: in which nodes accelerators are sold.
    reasons : why the shortlist did not choose a cell that no rule excludes.
    supported_to : last month, YYYY-MM, in which an accelerator is supported to the end, where that is known.
    chosen : platform chosen for each use case, which need not be where most of its work runs (moves to idle capacity).
    """

    capacity: pd.DataFrame
    exclusions: pd.DataFrame
    penalties: pd.DataFrame
    accelerators: pd.DataFrame
    offers: pd.DataFrame
    reasons: Mapping[tuple[str, str], str] = field(default_factory=dict)
    supported_to: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)


def value_excluded(case: Case, paths: Paths, problem: Problem, nodes: np.ndarray, cells: Cells) -> pd.DataFrame:
    """Every use case of the plan on every other platform of known capacity that it fits on, what the plan forgoes first.

    Returns
    -------
    use_case_id, chosen_id, accelerator_id; why: rule of the exclusion, or why the shortlist did not choose the cell; tier of its
    capacity; now_usd, moved_usd: cost of the platforms concerned, present value; penalties_usd: porting, rework,
    delay and missed targets over the horizon beyond those of the chosen platform, below 0 where it has the more of them; saving_usd:
    now - moved - penalties, not a number where the cell cannot be planned.
    """
    values = Values(case, weighed(paths, problem, nodes), cells)
    table, known = case.streams.table, cells.capacity[cells.capacity["units_per_s_per_accelerator"] > 0]
    why = cells.exclusions.drop_duplicates(["use_case_id", "accelerator_id"]).set_index(
        ["use_case_id", "accelerator_id"]
    )["rule"]
    beside, planned = penalties_usd(cells.penalties), penalties_usd(cells.penalties, planned=True)
    most = table[case.streams.main].drop_duplicates("use_case_id").set_index("use_case_id")["accelerator_id"]
    chosen = most.to_dict() | dict(cells.chosen)
    rows = []
    for cell in known.itertuples():
        home = chosen.get(cell.use_case_id)
        rule = why.get((cell.use_case_id, cell.accelerator_id))
        if home is None or home == cell.accelerator_id or rule in CANNOT:
            continue
        now, moved = values.of_move(cell)
        more = float(beside.get((cell.use_case_id, cell.accelerator_id), 0.0))
        more = round(more - float(planned.get((cell.use_case_id, home), 0.0)), 2)  # to the cent: the rest is rounding
        left_out = cells.reasons.get((cell.use_case_id, cell.accelerator_id), NOT_CHOSEN)
        rule = rule or (left_out if np.isfinite(moved) else CANNOT_PLAN)
        rows.append(
            (cell.use_case_id, home, cell.accelerator_id, rule, cell.tier, now, moved, more, now - moved - more)
        )
    usd = ["now_usd", "moved_usd", "penalties_usd", "saving_usd"]
    found = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(usd, float))
    found["saving_usd"] = found["saving_usd"].where(np.isfinite(found["moved_usd"]))
    keys = ["saving_usd", "use_case_id", "accelerator_id"]
    return found.sort_values(keys, ascending=[False, True, True], ignore_index=True)


def penalties_usd(penalties: pd.DataFrame, *, planned: bool = False) -> pd.Series:
    """What a use case costs on a platform beside compute, by use case and accelerator: porting and the months until it ends, rework, delay, missed targets.

    planned : without the months until the port ends, which V of the platform that the plan chose holds.
    """
    paid = penalties.set_index(["use_case_id", "accelerator_id"])
    usd = paid["total_usd"] - paid["compute_usd"]
    if planned and "until_ported_usd" in paid:
        usd = usd - paid["until_ported_usd"].fillna(0.0)
    return usd.groupby(level=[0, 1]).first()


def weighed(paths: Paths, problem: Problem, nodes: np.ndarray) -> tuple[Paths, np.ndarray]:
    """Paths and their weights [S] in the objective of the plan.

    Every path counts by itself: hours are rented where its demand is above the fleet, and of a mean of paths fewer are.
    """
    return paths, path_weights(problem, evaluate_plan(problem, nodes))


class Values:
    """V of platforms and streams; each is computed once."""

    def __init__(self, case: Case, weighed: tuple[Paths, np.ndarray], cells: Cells) -> None:
        self.case, (self.paths, self.weights) = case, weighed
        self.offers, self.accelerators = cells.offers, cells.accelerators
        self.about = cells.accelerators.set_index("accelerator_id").reindex(columns=ABOUT_POOLS)
        self.sizes = case.streams.pools.set_index(["region", "accelerator_id"])["accelerators_per_node"].to_dict()
        self._known: dict[tuple, float] = {}

    def of_move(self, cell: object) -> tuple[float, float]:
        """Cost of the platforms concerned without and with the move of a use case to a platform, summed over its regions.

        What runs on two platforms in a region moves from both.
        """
        table, target = self.case.streams.table, cell.accelerator_id
        goes = (table["use_case_id"] == cell.use_case_id) & (table["accelerator_id"] != target)
        now = moved = 0.0
        for region in table.loc[goes, "region"].unique():
            here = table["region"] == region
            rows = tuple(int(row) for row in np.flatnonzero(goes & here))
            for home in table["accelerator_id"].iloc[list(rows)].unique():
                all_there = np.flatnonzero(here & (table["accelerator_id"] == home))
                now += self._value(home, all_there)
                moved += self._value(home, set(all_there) - set(rows))
            there = np.flatnonzero(here & (table["accelerator_id"] == target))
            now += self._value(target, there)
            moved += self._value(target, there, (rows, cell))
        return now, moved

    def of_place(self, streams: Streams, place: tuple[str, str]) -> float:
        """V of the platform of a region and accelerator with those of some streams that run there; 0 without any."""
        here = (streams.table["region"] == place[0]) & (streams.table["accelerator_id"] == place[1])
        rows = tuple(np.flatnonzero(here))
        return self._least(_streams_on(streams, place[1], self.about, rows)) if rows else 0.0

    def _value(
        self, accelerator: str, rows: Iterable[int], guest: tuple[tuple[int, ...], object] | None = None
    ) -> float:
        rows = tuple(sorted(int(row) for row in rows))
        key = (accelerator, rows, guest and guest[0])
        if not rows and guest is None:
            return 0.0
        if key not in self._known:
            streams = _streams_on(self.case.streams, accelerator, self.about, rows, guest)
            self._known[key] = self._least(
                streams if guest is None else _with_chance(streams, len(guest[0]), self.case.plan)
            )
        return self._known[key]

    def _least(self, streams: Streams) -> float:
        """V with the nodes of the plan's pool where these hold every replica, else in the cheapest of those that are sold."""
        place = tuple(streams.pools.iloc[0][["region", "accelerator_id"]])
        size = self.sizes.get(place)
        if size is not None and replica_sizes(streams)[0] <= size:
            return self._cost(self.case, with_sizes(streams, [size]))
        held = offers_of_pools(self.offers, streams)
        if held.empty:
            return np.inf
        return min(
            self._cost(self._priced(place, prices_at(held, np.array([node]))), with_sizes(streams, [node]))
            for node in tried_sizes(streams, held)[0]
        )

    def _priced(self, place: tuple[str, str], offers: pd.DataFrame) -> Case:
        """The case with other offers for a place."""
        prices = self.case.prices
        mine = (prices["region"] == place[0]) & (prices["accelerator_id"] == place[1])
        return replace(
            self.case, prices=pd.concat([prices[~mine], offers.reindex(columns=prices.columns)], ignore_index=True)
        )

    def _within_sites(self, case: Case) -> Case:
        """The case that buys and leases only where the own site has room for a node, and buys nothing without capital."""
        stands = case.book, case.owned_accelerators, case.streams.months
        room = has_room(case.streams.pools, case.plan, self.accelerators, stands)
        barred = OWN_SITE[:, None] & ~room
        barred[BOUGHT] |= case.plan.budget.capex_usd_per_year == 0
        return replace(case, offers=replace(case.offers, rent=np.where(barred, np.nan, case.offers.rent)))

    def _cost(self, case: Case, streams: Streams) -> float:
        try:
            case = self._within_sites(with_streams(case, case.plan, streams))
        except TooManyNodesError:
            return np.inf
        problem = problem_over(case, stream_paths(case, self.paths), limits=False)
        if not problem.orders and not (problem.on_demand_most > 0).all():
            return np.inf
        return Replanner(world_of(problem), np.zeros(len(problem.orders))).at_weights(self.weights)[1] + standing_usd(
            case
        )


def standing_usd(case: Case) -> float:
    """Present value of running what orders placed before provide: power, space, support, people and storage, as the ledger has them: that on an own site until its last work."""
    terms, at = case_terms(case), case.slots.pool
    paid = sum(
        getattr(terms, f"{name}_usd_month")[BOUGHT] * share[:, at]
        for name, share in case.placed.on_site_shares().items()
    )
    paid = paid + case.placed.support_each_usd[:, at] * case.slots.size
    off, housed = ~work_to_come(case.loads[EXPECTED])[:, at], case.placed.on_site_shares()["energy"][:, at]
    paid = paid * ~off + terms.around_usd_month * (1.0 - off * housed)
    factors = discount_factors(len(case.owned), case.plan.value("wacc"))
    return float(factors[1:] @ (case.owned * paid)[1:].sum(axis=1))


def _streams_on(
    streams: Streams,
    accelerator: str,
    about: pd.DataFrame,
    rows: tuple[int, ...],
    guest: tuple[tuple[int, ...], object] | None = None,
) -> Streams:
    """Some streams on one platform, guests, the last of them, with the capacity that their use case has there."""
    streams = streams.take([*rows, *(guest[0] if guest else [])])
    table = streams.table
    if guest:
        cell = guest_of(pd.Series(guest[1]._asdict()), table["region"].iloc[-1], np.ones(len(streams.months)))
        both = [table.iloc[: len(rows)], rows_of(table.iloc[len(rows) :], [cell] * len(guest[0]))]
        table = pd.concat(both, ignore_index=True)
        table["load_factor"] = work_per_unit(table)
    table = table.assign(accelerator_id=accelerator, pool=0)
    pools = table[["region", "accelerator_id"]].drop_duplicates().join(about, on="accelerator_id")
    return replace(streams, table=table, pools=pools)


def _with_chance(streams: Streams, guests: int, plan: Plan) -> Streams:
    """The streams, the last of which, guests, are staffed for what comes by chance where they now run."""
    chance = streams.chance.copy()
    chance[:, -guests:] = chance_beside_spares(streams, plan)[:, -guests:]
    return replace(streams, chance=chance)
