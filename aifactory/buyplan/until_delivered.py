"""Months until what is ordered for a new platform can stand there: work may stay on its platform of today.

Until its first order is delivered, a platform chosen for good serves from hours at their price, and not at all where none are sold.
Work that runs on another platform may stay until then, on what stands there and on hours where they are sold: offers beside those of
`paid_kit`, whose rule decides. Orders that take longer are not waited for: the choice of the platform counts from the first that can come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from aifactory.buyplan.case import Case
from aifactory.buyplan.moves import Move
from aifactory.fleet.placed import PLACE
from aifactory.fleet.streams import EXPECTED, KEY, Streams
from aifactory.fleet.terms import months_of_lead

#: Region and accelerator.
Place = tuple[str, str]


@dataclass(frozen=True)
class Today:
    """Where work runs today: accelerator, last month of its support (from 0), and whether hours of it are sold there."""

    accelerator_id: str
    last: int
    sold: bool


def may_stay(
    case: Case, base: Streams, today: Mapping[tuple[str, str], str], supported_to: Mapping[str, str]
) -> dict[tuple[str, str], Today]:
    """Where each use case runs today, by use case and region, of those that run there on a known platform and go on in the first month."""
    hourly = case.prices[case.prices["purchase_option"] == "on_demand"]
    sold = set(hourly[PLACE].itertuples(index=False, name=None))
    runs, found = (base.units[EXPECTED, :2] > 0).all(axis=0), {}
    for key, running in zip(base.table[KEY].itertuples(index=False, name=None), runs, strict=True):
        if running and (chip := today.get(key)):
            last = sum(month <= supported_to.get(chip, base.months[-1]) for month in base.months) - 1
            found[key] = Today(chip, last, (key[1], chip) in sold)
    return found


@dataclass(frozen=True)
class Delivery:
    """When a place can be delivered to."""

    months: int = 0  # before the first delivery of an order of the plan, or of one placed before
    silent: bool = False  # nothing serves in these months: no hours are sold and nothing stands


def delivery_to(case: Case, place: Place) -> Delivery:
    """When a place can be delivered to; at once where the case has no pool there."""
    places = list(case.streams.pools[PLACE].itertuples(index=False, name=None))
    if place not in places:
        return Delivery()
    at = places.index(place)
    offered, there = np.isfinite(case.offers.rent[:, at]), case.placed.accelerators[:, at]
    leads = months_of_lead(case.offers.lead_weeks[offered, at])
    comes = [*(int(month) for month in leads), *(int(month) for month in np.flatnonzero(np.diff(there) > 0))]
    sold = np.isfinite(case.offers.on_demand[at]) or np.isfinite(case.offers.spot[at])
    return Delivery(min(comes, default=0), not sold and not there[1] > 0)


def staying(move: Move, months: int, *, sold: bool, needed: bool) -> Move:
    """The move with all of its work there for some months, and after these on what is idle; where no hours are `sold`, for these months alone.

    Without hours it holds no more than what is idle there, unless it is `needed`, as nothing would serve on the new platform in these
    months: what stands then serves as much as it can, and the rest is missed, as all of it would be there.
    """
    first = np.arange(len(move.guests[0].share)) <= months
    guests = []
    for guest in move.guests:
        before, later = (1.0 if sold or needed else guest.share), (guest.share if sold else 0.0)
        guests.append(replace(guest, share=np.where(first, before, later)))
    return replace(move, guests=tuple(guests), stays_to=months if sold or needed else 0, needed=needed)
