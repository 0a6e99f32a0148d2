"""Work that runs elsewhere than on the platform chosen for some months: on capacity that is paid for in any case, before more is rented,
or where it runs today, until an order for the new platform comes (`until_delivered`).

The shortlist chooses one platform for a use case, for good. What is owned, or committed until the end of its term, costs no
more than its running there, on whatever platform it stands. So each use case whose platform is another one, and that can run on
idle capacity of its region (its rate there is known, no rule but one of buying, or the end of support to come, bars it), is offered it month by month, as long as it is supported:

    share(t) = min(1, accelerators paid for and idle in t / accelerators that it needs there in t, chance and reserve included),

0 until it is ported where that takes work, and for the months of a pilot where own measurements do not show its rate there.
Idle are parts of a node too. It is taken where

    V(chosen, all) + V(there, without) - V(chosen, 1 - share) - V(there, with share) - porting - rework > `LEAST_SHARE` of the first two,

with V of `excluded`: best orders, recourse and the running of what stands; the largest saving first, until none is left. Rework
tests a use case anew whenever it changes platform, and keeps it in step on two in the months in which both serve it. Where
own measurements do not show a rate, the mean saving over its interval must be above that too, with P10, the middle and P90 of
the rate at 0.3, 0.4 and 0.3, less the staff of a test on own prompts (Keefer and Bodily, Management Science 29 (1983), 595-609): where the interval moves a little, so does the mean, and a move
that only just fails would be worth next to nothing in expectation. What it may lose is told. What is owed for the capacity is no part of V: it
is owed either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.benchmark.telemetry import OWN_EVIDENCE
from aifactory.buyplan.case import Case
from aifactory.buyplan.excluded import Cells, Values
from aifactory.buyplan.moves import Move
from aifactory.buyplan.ports import LEAST_SHARE, platform_classes, quick_values
from aifactory.buyplan.until_delivered import Today, delivery_to, may_stay, staying
from aifactory.buyplan.until_ported import NO_PORT, UntilPorted, beside
from aifactory.demand.scenarios import Paths
from aifactory.fleet.guests import Guest, guest_of, with_guests
from aifactory.fleet.need import needed
from aifactory.fleet.node_sizes import node_for
from aifactory.fleet.nodes import TOLERANCE
from aifactory.fleet.placed import PLACE, placed_before
from aifactory.fleet.streams import EXPECTED, KEY, Streams
from aifactory.inputs.plan import Plan
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.outcome import PILOT_MONTHS

#: Weights of the saving at the low end of a rate, in the middle and at the high end: P10, P50 and P90.
WEIGHTS = {"low": 0.3, "units_per_s_per_accelerator": 0.4, "high": 0.3}
#: Rules against choosing a platform for good: what stands there serves all the same, as long as it is supported.
OF_BUYING = ("availability", "region", "price", "support end")


def decide_moves(
    case: Case,
    rebuild: Callable[[Sequence[Move]], Case],
    *,
    cells: Cells,
    paths: Paths,
    period: str,
    chosen: Streams | None = None,
    until: UntilPorted = NO_PORT,
    today: Mapping[tuple[str, str], str] | None = None,
) -> list[Move]:
    """Use cases that run on capacity paid for, or stay on hours of their platform until orders come; nothing is planned where neither can be.

    Parameters
    ----------
    case, rebuild : the case without moves, and what makes one with some.
    chosen, until : its streams where all run on the platform chosen from the first month on, and what differs until ports end;
        without them no port is open.
    today : accelerator of today by use case and region, where it is known; without it none is.
    """
    base, moves, prices = case.streams if chosen is None else until.waited(chosen), [], None
    stay = may_stay(case, base, today or {}, cells.supported_to)
    rework = rework_of(base, cells, case, {key: now.accelerator_id for key, now in stay.items()})
    while offers := _offers(case, (base, until), moves, cells, period, stay):
        prices = prices or _Prices(quick_values(case, paths, cells), (base, until), cells, case.plan)
        idle = [offer for offer in offers if offer.guests[0].share[1:].any()]
        made = [*bundles(idle), *_staying(case, offers, stay)]
        made = [replace(move, rework_usd=sum(rework(guest) for guest in move.guests)) for move in made]
        found = [prices.paying(offer, moves) for offer in made]
        found = sorted((move for move in found if move), key=lambda move: -move.saving_usd)
        best = next((kept for move in found if (kept := prices.worth_it(move, moves))), None)
        if best is None:
            break
        moves.append(best)
        case = rebuild(moves)
    return moves


def idle_accelerators(case: Case, nodes: Mapping[str, float]) -> dict[tuple[str, str], np.ndarray]:
    """Accelerators that are there from orders placed before and that no work needs, [T + 1] by region and accelerator.

    Parts of a node count: its other parts may work. Work needs what it holds with its reserve in the expected scenario.
    `nodes`: accelerators of a node where no pool of the plan says so. Capacity that runs what the plan leaves out is not idle.
    """
    places = list(dict.fromkeys([*case.book[PLACE].itertuples(index=False, name=None), *case.owned_accelerators]))
    frame = pd.DataFrame(places, columns=PLACE)
    there = placed_before(case.book, case.owned_accelerators, frame, case.streams.months, case.plan).accelerators
    pools = list(case.streams.pools[PLACE].itertuples(index=False, name=None))
    left_out = _left_out(case)
    found = {}
    for at, place in enumerate(places):
        pool = pools.index(place) if place in pools else None
        size = float(
            nodes.get(place[1], 1.0) if pool is None else case.streams.pools["accelerators_per_node"].iloc[pool]
        )
        needed = 0.0 if pool is None else case.loads[EXPECTED].level[:, pool]
        idle = np.floor(there[:, at] / size + TOLERANCE) * size - needed
        idle = np.where(idle > TOLERANCE, idle, 0.0)
        if idle[1:].any() and place not in left_out:
            found[place] = idle
    return found


def _left_out(case: Case) -> set[tuple[str, str]]:
    """Places where demand that the plan does not cover runs today, as far as that is known."""
    today, rows = case.runs_on, case.streams.not_sized
    busy = rows[(rows["units_month"] > 0) & rows["use_case_id"].isin(list(today))]
    return {
        (region, today[row.use_case_id])
        for row in busy.itertuples(index=False)
        for region in (row.region.split(";") if row.region else [r.region for r in case.plan.regions])
    }


def _staying(case: Case, offers: Sequence[Move], stay: Mapping[tuple[str, str], Today]) -> list[Move]:
    """The offers at a platform of today, alone and together, until an order for the new platform comes."""
    there = [offer for offer in offers if _today(offer, stay)]
    found = []
    for move in bundles(there):
        now, home = _today(move, stay), delivery_to(case, (move.place[0], move.home_id))
        months = min(home.months, now.last)
        if months and (now.sold or all(guest.share[1] > 0 for guest in move.guests)):
            found.append(staying(move, months, sold=now.sold, needed=home.silent))
    return found


def _today(offer: Move, stay: Mapping[tuple[str, str], Today]) -> Today | None:
    """Where the work of an offer runs today, if that is the place of the offer."""
    now = stay.get((offer.guests[0].use_case_id, offer.guests[0].region))
    return now if now and now.accelerator_id == offer.place[1] else None


def _offers(
    case: Case,
    streams: tuple[Streams, UntilPorted],
    moves: Sequence[Move],
    cells: Cells,
    period: str,
    stay: Mapping[tuple[str, str], Today],
) -> list[Move]:
    """Every use case of the plan on idle capacity of its region that it can run on, or where it may `stay`; shares may exceed 1: room over need."""
    base, until = streams
    about = cells.accelerators.drop_duplicates("accelerator_id").set_index("accelerator_id")
    idle = idle_for(case, cells)
    if not idle and not stay:
        return []
    barred = cells.exclusions[~cells.exclusions["rule"].isin(OF_BUYING)]
    barred = set(barred[KEYS].itertuples(index=False, name=None))
    able = cells.capacity[cells.capacity["units_per_s_per_accelerator"] > 0]
    once = cells.penalties.set_index(KEYS)["porting_usd"].groupby(level=[0, 1]).first()
    guests = [guest for move in moves for guest in move.guests]
    paid = {(guest.use_case_id, guest.accelerator_id) for guest in guests}
    moved = {(guest.use_case_id, guest.region) for guest in guests}
    found = []
    for at, stream in enumerate(base.table.itertuples()):
        for cell in able[able["use_case_id"] == stream.use_case_id].to_dict("records"):
            key, place = (stream.use_case_id, cell["accelerator_id"]), (stream.region, cell["accelerator_id"])
            known = np.isfinite(once.get(key, np.nan)) and key not in barred
            now = stay.get((stream.use_case_id, stream.region))
            stays = now is not None and now.sold and now.accelerator_id == place[1]
            if place[1] == stream.accelerator_id or not known or key[:1] + place[:1] in moved:
                continue
            if place not in idle and not stays:
                continue
            if not _fits(case, cell, place[0], about.loc[place[1]]):
                continue
            porting = 0.0 if key in paid else float(once[key])
            first = first_month(case, cells, pd.Series(cell), porting, period)
            none = np.zeros(len(base.months))
            share = room_on(base, pd.Series(cell), stream.region, idle.get(place, none), first, case, cells)
            if share[1:].any() or stays:
                guest = beside(until.guests, [guest_of(pd.Series(cell), stream.region, share)])[-1]
                found.append(
                    Move(
                        (guest,),
                        stream.accelerator_id,
                        {stream.use_case_id: porting},
                        last_work=int(np.flatnonzero(base.units[EXPECTED, :, at] > 0).max(initial=0)),
                        supported_to=cells.supported_to.get(place[1], ""),
                    )
                )
    return found


def first_month(case: Case, cells: Cells, cell: pd.Series, porting_usd: float, period: str) -> int:
    """First month in which a use case can run on an accelerator, `cell` its capacity there: after the work to move it, and a pilot where nobody measured it."""
    first = 1 if cell["tier"] in OWN_EVIDENCE else 1 + PILOT_MONTHS
    port = cell["use_case_id"], platform_classes(cells.accelerators)[cell["accelerator_id"]], period
    return first + (case.plan.months_to_port(*port) if porting_usd > 0 or case.plan.port_begun(*port) else 0)


def idle_for(case: Case, cells: Cells) -> dict[tuple[str, str], np.ndarray]:
    """`idle_accelerators` [T + 1] by place in the months in which they are supported to the end."""
    sizes = cells.accelerators.drop_duplicates("accelerator_id").set_index("accelerator_id")["accelerators_per_node"]
    idle, months = idle_accelerators(case, sizes.fillna(1.0)), case.streams.months
    last = {place: cells.supported_to.get(place[1], months[-1]) for place in idle}
    kept = {place: np.where(np.array(months) <= last[place], there, 0.0) for place, there in idle.items()}
    return {place: there for place, there in kept.items() if there[1:].any()}


def _fits(case: Case, cell: dict, region: str, chip: pd.Series) -> bool:
    """Whether the nodes that stand in a region hold a replica of a use case: those of the plan's pool, else the catalogue's."""
    pools, (catalogue, joined) = (
        case.streams.pools,
        chip.reindex(["accelerators_per_node", "largest_slice"]).fillna(0.0),
    )
    here = pools[(pools["region"] == region) & (pools["accelerator_id"] == cell["accelerator_id"])]
    node = here["accelerators_per_node"].iloc[0] if len(here) else max(catalogue, 1.0)
    need = cell.get("replica_accelerators", np.nan)
    return bool(pd.isna(need) or node_for(need, node, catalogue, joined) > 0)


def bundles(offers: Sequence[Move]) -> list[Move]:
    """Each use case alone, and all of a platform that can go to the same place: a node is saved only when it is empty.

    Shares are room over need; together, room over the sum of needs, at most 1.
    """
    groups: dict[tuple, list[Move]] = {}
    for offer in offers:
        groups.setdefault((offer.home_id, *offer.place), []).append(offer)
    some = [*([offer] for offer in offers), *(group for group in groups.values() if len(group) > 1)]
    return [_together(group) for group in some]


def rework_of(
    base: Streams, cells: Cells, case: Case, today: Mapping[tuple[str, str], str]
) -> Callable[[Guest], float]:
    """USD of making changes a second time for a guest: each time that it changes platform, and all those of the months that both serve.

    What stays for a while on its platform of `today`, changes once in any case: that is its porting. A change costs `rework_share` of the effort of porting, of which `rework_usd` of the shortlist counts those of the whole horizon.
    """
    whole = cells.penalties.set_index(KEYS)["rework_usd"].groupby(level=[0, 1]).first()
    classes = platform_classes(cells.accelerators)
    plan = case.plan
    change = plan.rework_share * plan.value("engineer_usd_per_month")
    keys = list(base.table[KEY].itertuples(index=False, name=None))

    def usd(guest: Guest) -> float:
        works = base.units[EXPECTED, :, keys.index((guest.use_case_id, guest.region))] > 0
        now = today.get((guest.use_case_id, guest.region), case.runs_on.get(guest.use_case_id))
        stays = now == guest.accelerator_id
        there = np.concatenate([[stays], guest.share[1:] > 0])
        moves = ((there[1:] != there[:-1]) & works[1:] & works[:-1]).sum() - (stays and not there[-1])
        both = works[1:] & there[1:] & (guest.share[1:] < 1)
        each = change * plan.porting_person_months.get(str(classes.get(guest.accelerator_id)), 0.0)
        return float(each * max(moves, 0) + whole.get((guest.use_case_id, guest.accelerator_id), 0.0) * both.mean())

    return usd


def at_end(move: Move, end: str) -> Move | None:
    """The move with one end of capacity where own measurements do not show it; None where that end is not known."""
    guests = []
    for guest in move.guests:
        shown = guest.facts.get("tier") in OWN_EVIDENCE
        rate = guest.facts["units_per_s_per_accelerator"] if shown else guest.facts.get(end, np.nan)
        if not rate > 0:
            return None
        guests.append(replace(guest, facts={**guest.facts, "units_per_s_per_accelerator": rate}))
    return replace(move, guests=tuple(guests))


def _together(offers: Sequence[Move]) -> Move:
    room = np.array([offer.guests[0].share for offer in offers])
    need = np.divide(1.0, room, out=np.zeros_like(room), where=room > 0).sum(axis=0)
    share = np.where(room > 0, 1.0 / np.maximum(need, 1.0), 0.0)
    share[:, 0] = share[:, 1]
    guests = tuple(replace(offer.guests[0], share=part) for offer, part in zip(offers, share, strict=True))
    porting = {name: usd for offer in offers for name, usd in offer.porting_usd.items()}
    last_work = max(offer.last_work for offer in offers)
    return Move(guests, offers[0].home_id, porting, last_work=last_work, supported_to=offers[0].supported_to)


def room_on(
    base: Streams, cell: pd.Series, region: str, idle: np.ndarray, first: int, case: Case, cells: Cells
) -> np.ndarray:
    """[T + 1] idle accelerators over those that all of a stream needs with its reserve; 0 before month `first`.

    What is too little for a replica is none.
    """
    least = cell.get("replica_accelerators", np.nan)
    idle = np.where(idle >= (0.0 if pd.isna(least) else least) - TOLERANCE, idle, 0.0)
    whole = guest_of(cell, region, np.ones(len(base.months)))
    there = with_guests(base, [whole], cells.accelerators, case.plan)
    keys = list(there.table[[*KEY, "accelerator_id"]].itertuples(index=False, name=None))
    at = keys.index((whole.use_case_id, region, whole.accelerator_id))
    need = needed(there)[:, at]
    room = np.divide(idle, need, out=np.zeros_like(need), where=need > 0)
    room[:first] = 0.0
    return room


class _Prices:
    """What moves save; the weights of the paths are those of the plan without any, and V of the same work is computed once."""

    def __init__(self, values: Values, streams: tuple[Streams, UntilPorted], cells: Cells, plan: Plan) -> None:
        self.values, (self.base, self.until) = values, streams
        self.accelerators, self.plan = cells.accelerators, plan
        self._known: dict[tuple, float] = {}

    def paying(self, offer: Move, moves: Sequence[Move]) -> Move | None:
        """A move beside others with what it saves; None where that is not above `LEAST_SHARE` of the cost of both platforms, and something else would serve."""
        saved, least = self._saved(offer, moves)
        if offer.needed:
            return replace(offer, saving_usd=saved if np.isfinite(saved) else 0.0)
        return replace(offer, saving_usd=saved, least_usd=least) if np.isfinite(saved) and saved > least else None

    def worth_it(self, move: Move, moves: Sequence[Move]) -> Move | None:
        """A paying move whose mean saving over the interval of the rates, less the tests, is above the same share, with that at the low end.

        None too where a low end is not known; a high end that is not known is the middle.
        """
        if move.needed or all(guest.facts.get("tier") in OWN_EVIDENCE for guest in move.guests):
            return move
        low, high = at_end(move, "low"), at_end(move, "high") or move
        if low is None:
            return None
        at_low, least = self._saved(low, moves)
        saved = at_low, move.saving_usd, self._saved(high, moves)[0]
        mean = float(np.dot(list(WEIGHTS.values()), saved)) - self._tests_usd(move, moves)
        return replace(move, low_usd=at_low) if np.isfinite(mean) and mean > least else None

    def _tests_usd(self, move: Move, moves: Sequence[Move]) -> float:
        """Staff that tests what own measurements do not show, once for each use case and accelerator; the kit stands idle. None where work stays where it runs."""
        if move.stays_to:
            return 0.0
        known = {(guest.use_case_id, guest.accelerator_id) for other in moves for guest in other.guests}
        asked = {(guest.use_case_id, guest.accelerator_id) for guest in move.guests if guest.facts.get("tier") not in OWN_EVIDENCE}  # fmt: skip
        return (
            len(asked - known) * self.plan.value("benchmark_person_months") * self.plan.value("engineer_usd_per_month")
        )

    def _saved(self, offer: Move, moves: Sequence[Move]) -> tuple[float, float]:
        """What a move beside others saves, and the least that is worth it."""
        places = [(offer.place[0], offer.home_id), offer.place]
        now = sum(self._usd(moves, place) for place in places)
        moved = sum(self._usd([*moves, offer], place) for place in places)
        return now - moved - sum(offer.porting_usd.values()) - offer.rework_usd, LEAST_SHARE * now

    def _usd(self, moves: Sequence[Move], place: tuple[str, str]) -> float:
        """V of a place with some moves: they count by who leaves and who comes."""
        here = [move for move in moves if move.place[0] == place[0] and place[1] in (move.home_id, move.place[1])]
        key = (place, *(_trace(guest) for move in here for guest in move.guests))
        if key not in self._known:
            guests = [guest for move in moves for guest in move.guests]
            streams = self.until.applied(self.base, guests, self.accelerators, self.plan)
            self._known[key] = self.values.of_place(streams, place)
        return self._known[key]


def _trace(guest: Guest) -> tuple:
    """What tells guests apart."""
    return guest.use_case_id, guest.accelerator_id, guest.share.tobytes(), guest.facts["units_per_s_per_accelerator"]
