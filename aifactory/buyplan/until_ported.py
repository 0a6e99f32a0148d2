"""The months until a port ends: what runs already stays where it runs, and a launch waits.

The work of a port begins at approval, or began before (`ports_under_way`), and takes `Plan.months_to_port`. In the months 1 to r until
then

* a use case that runs in a region on a known platform goes on there, at the plan's prices of that platform: as a whole where hours
  are sold there, else as far as what stands there holds it beside the work that the plan puts there. What is left, and work
  whose platform of today is not known, counts on the chosen platform, which is said;
* a use case that does not run there yet does not start: neither its cost nor its value of these months is in the plan. Its users
  come from then on as they would have come before (`launches`).

A use case that leaves a hosted model stays there until the work to move is done (`staying.months_to_move`), and its port where there
is one: as with what stays hosted for good, neither its cost nor its value of these months is in the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from aifactory.buyplan.ports import platform_classes
from aifactory.fleet.guests import Guest, guest_of, with_guests
from aifactory.fleet.need import needed
from aifactory.fleet.placed import PLACE
from aifactory.fleet.streams import EXPECTED, KEY, Streams
from aifactory.inputs.plan import Plan

#: Region and accelerator.
Place = tuple[str, str]


@dataclass(frozen=True)
class UntilPorted:
    """What the months until ports end look like.

    Attributes
    ----------
    guests : use cases that stay on their platform of today, with the share of their work there, [T + 1].
    waits : months for which a use case waits that does not run yet, by use case and region.
    hosted : months for which a use case stays on a hosted model that it leaves, by use case and region.
    counted : use cases of which work runs until then that counts on the chosen platform.
    """

    guests: tuple[Guest, ...] = ()
    waits: Mapping[tuple[str, str], int] = field(default_factory=dict)
    hosted: Mapping[tuple[str, str], int] = field(default_factory=dict)
    counted: frozenset[str] = frozenset()

    def stays_on(self, use_case_id: str) -> list[str]:
        """Accelerators on which a use case goes on until its port ends."""
        return sorted({guest.accelerator_id for guest in self.guests if guest.use_case_id == use_case_id})

    def waits_in(self, use_case_id: str) -> list[str]:
        """Regions in which a use case waits for its port."""
        return sorted(region for name, region in self.waits if name == use_case_id)

    def leaves_hosted(self, use_case_id: str) -> bool:
        """Whether a use case stays on a hosted model until it has moved."""
        return any(name == use_case_id for name, _ in self.hosted)

    def applied(self, streams: Streams, moves: Sequence[Guest], accelerators: pd.DataFrame, plan: Plan) -> Streams:
        """The streams with these months, and with the guests of moves beside them."""
        return with_guests(self.waited(streams), beside(self.guests, moves), accelerators, plan)

    def waited(self, streams: Streams) -> Streams:
        """The streams without the months for which launches wait, or work stays on hosted models."""
        away = {**self.waits, **self.hosted}
        if not away:
            return streams
        served = np.ones(streams.share.shape)
        for at, place in enumerate(streams.table[KEY].itertuples(index=False, name=None)):
            served[1 : 1 + away.get(place, 0), at] = 0.0
        return replace(streams, units=streams.units * served, band=streams.band * served, share=streams.share * served)


NO_PORT = UntilPorted()


def until_ported(
    streams: Streams,
    *,
    porting: Mapping[str, float],
    leaving: Mapping[str, str],
    today: Mapping[tuple[str, str], str],
    capacity: pd.DataFrame,
    accelerators: pd.DataFrame,
    rented: Collection[Place],
    standing: Callable[[Streams], Mapping[Place, np.ndarray]],
    plan: Plan,
) -> UntilPorted:
    """The months until the ports of some streams end, those of chosen platforms alone.

    Parameters
    ----------
    streams : every use case and region on the platform chosen for it.
    porting : USD of the port of each use case; above 0 where it begins with the plan.
    leaving : first month, YYYY-MM, off its hosted model of each use case that moves.
    today : accelerator of today by use case and region, where it is known.
    capacity, accelerators : what each use case does on each accelerator; the catalogue.
    rented : places where hours are sold.
    standing : accelerators that stand at each place of some streams, [T + 1].
    """
    classes, period = platform_classes(accelerators), streams.months[0]
    able = capacity[capacity["units_per_s_per_accelerator"] > 0].set_index(
        ["use_case_id", "accelerator_id"], drop=False
    )
    guests, waits, hosted, running = [], {}, {}, []
    for at, row in enumerate(streams.table.itertuples(index=False)):
        port = row.use_case_id, str(classes.get(row.accelerator_id, "")), period
        ported = plan.port_begun(*port) is not None or porting.get(row.use_case_id, 0.0) > 0
        months, place = plan.months_to_port(*port) if ported else 0, (row.use_case_id, row.region)
        cell = (row.use_case_id, today.get(place, ""))
        if row.use_case_id in leaving:
            hosted[place] = max(months, streams.months.index(leaving[row.use_case_id]) - 1)
            continue
        if not months or cell[1] == row.accelerator_id:
            continue
        if not streams.units[EXPECTED, 0, at] > 0:
            waits[place] = months
            continue
        running.append(row.use_case_id)
        if cell in able.index:
            guests.append(guest_of(able.loc[[cell]].iloc[0], row.region, _until(months, len(streams.months))))
    waiting = UntilPorted((), waits, hosted).waited(streams)
    held = _as_far_as_held(waiting, guests, accelerators, rented, standing, plan)
    wholly = [new.use_case_id for old, new in zip(guests, held, strict=True) if (new.share == old.share).all()]
    counted = {name for name in running if running.count(name) > wholly.count(name)}
    return UntilPorted(tuple(guest for guest in held if guest.share[1:].any()), waits, hosted, frozenset(counted))


def beside(stays: Sequence[Guest], moves: Sequence[Guest]) -> list[Guest]:
    """Guests of moves beside those that stay until their port ends: these go first, and each stands once at a place."""
    kept = {(guest.use_case_id, guest.region): guest for guest in stays}
    joined, found = set(), []
    for guest in moves:
        mine = kept.get((guest.use_case_id, guest.region))
        if mine is None:
            found.append(guest)
        elif mine.accelerator_id == guest.accelerator_id:
            joined.add((guest.use_case_id, guest.region))
            found.append(replace(guest, share=np.maximum(guest.share, mine.share)))
        else:
            found.append(replace(guest, share=guest.share * (1.0 - mine.share)))
    return [*(guest for key, guest in kept.items() if key not in joined), *found]


def _until(months: int, count: int) -> np.ndarray:
    """1 in the period and the months until a port ends, [T + 1]."""
    return (np.arange(count) <= months).astype(float)


def _as_far_as_held(
    streams: Streams,
    guests: Sequence[Guest],
    accelerators: pd.DataFrame,
    rented: Collection[Place],
    standing: Callable[[Streams], Mapping[Place, np.ndarray]],
    plan: Plan,
) -> list[Guest]:
    """The guests, where no hours are sold with the share that what stands there holds beside other work."""
    there = with_guests(streams, guests, accelerators, plan)
    need, places = needed(there), list(there.table[PLACE].itertuples(index=False, name=None))
    mine = {(guest.use_case_id, guest.region, guest.accelerator_id) for guest in guests}
    comes = np.array([key in mine for key in there.table[[*KEY, "accelerator_id"]].itertuples(index=False, name=None)])
    stands, found = standing(there), []
    for guest in guests:
        place, share = (guest.region, guest.accelerator_id), guest.share
        if place not in rented:
            here = np.array([other == place for other in places])
            room = stands.get(place, np.zeros(len(share))) - need[:, here & ~comes].sum(axis=1)
            asked = need[:, here & comes].sum(axis=1)
            share = share * np.divide(room, asked, out=np.ones_like(asked), where=asked > 0).clip(0.0, 1.0)
        found.append(replace(guest, share=share))
    return found
