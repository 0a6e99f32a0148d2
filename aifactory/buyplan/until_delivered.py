"""Months until what is ordered for a new platform can stand there: work may stay on rented hours of its platform of today.

Until its first order is delivered, a platform chosen for good serves from hours at their price, and not at all where none are sold.
Work that runs on another platform, of which hours are sold too, may stay for as long as an order takes: one offer for each of the
lead times of the ways to pay of the new platform, beside those of `paid_kit`, whose rule decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from aifactory.buyplan.case import Case
from aifactory.buyplan.moves import Move
from aifactory.fleet.guests import Guest
from aifactory.fleet.placed import PLACE
from aifactory.fleet.streams import EXPECTED, KEY, Streams
from aifactory.fleet.terms import months_of_lead

#: Region and accelerator.
Place = tuple[str, str]


def may_stay(
    case: Case, base: Streams, today: Mapping[tuple[str, str], str], supported_to: Mapping[str, str]
) -> dict[tuple[str, str], tuple[str, int]]:
    """Platform of today of each use case and region that runs there, where hours of it are sold, and the last month of its support (from 0)."""
    hourly = case.prices[case.prices["purchase_option"] == "on_demand"]
    sold = set(hourly[PLACE].itertuples(index=False, name=None))
    runs = base.units[EXPECTED, 0] > 0
    found = {}
    for key, running in zip(base.table[KEY].itertuples(index=False, name=None), runs, strict=True):
        chip = today.get(key, "")
        if running and (key[1], chip) in sold:
            last = sum(month <= supported_to.get(chip, base.months[-1]) for month in base.months) - 1
            found[key] = chip, last
    return found


def months_to_deliver(case: Case, place: Place) -> list[int]:
    """Months that an order for a place takes, the different ones of its ways to pay, 0 left out."""
    places = list(case.streams.pools[PLACE].itertuples(index=False, name=None))
    if place not in places:
        return []
    at = places.index(place)
    offered = np.isfinite(case.offers.rent[:, at])
    return sorted({int(month) for month in months_of_lead(case.offers.lead_weeks[offered, at])} - {0})


def staying(move: Move, months: int) -> Move:
    """The move with all of its work there for some months, on rented hours beside what stands."""
    return replace(move, guests=tuple(_all_of(guest, months) for guest in move.guests), rented_to=months)


def _all_of(guest: Guest, months: int) -> Guest:
    share = np.asarray(guest.share, dtype=float)
    return replace(guest, share=np.where(np.arange(len(share)) <= months, 1.0, share))
