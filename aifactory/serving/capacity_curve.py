"""Capacity at SLO against fleet size, worked out once per workload and platform; and the cheapest fleet.

A buy plan asks thousands of times how many replicas a rate needs. The curve answers from a few fleet
sizes: at each, the stream is sped up until the SLO just holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from aifactory.errors import InputError
from aifactory.serving.closed_forms import fluid_capacity
from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Fleet, Pool, RequestStream
from aifactory.serving.slo_sizing import Slo, check_floors, fewest, mean_rate, meets, size_fleet

COUNTS = (1, 2, 4, 8, 16, 32)
#: Halvings of the search for the largest rate between a 64th of the fluid limit and all of it: 64^(1 / 2^7) = 3.3 %.
HALVINGS = 7


@dataclass(frozen=True)
class CapacityCurve:
    """Requests per second that so many replicas serve within the SLO."""

    replicas: tuple[int, ...]
    requests_per_s: tuple[float, ...]

    def replicas_for(self, requests_per_s: ArrayLike) -> np.ndarray:
        """Replicas for any rate: linear between the points, the last ratio beyond; shape as given.

        >>> CapacityCurve((1, 2), (5.0, 12.0)).replicas_for([0.0, 4.0, 6.0, 13.0]).tolist()
        [0, 1, 2, 3]
        """
        rate = np.asarray(requests_per_s, dtype=float)
        counts, rates = np.r_[0, self.replicas], np.maximum.accumulate(np.r_[0.0, self.requests_per_s])
        if rates[-1] <= 0:
            raise InputError("no fleet of this curve keeps the SLO at any rate")
        beyond = rate * counts[-1] / rates[-1]
        needed = np.where(rate > rates[-1], beyond, np.interp(rate, rates, counts))
        return np.ceil(needed - 1e-9).astype(np.int64)


def capacity_curve(
    requests: RequestStream,
    fleet: Fleet,
    slos: tuple[Slo, ...],
    counts: Sequence[int] = COUNTS,
    folder: Path | None = None,
) -> CapacityCurve:
    """Curve of a workload on a platform; kept in memory and, with a `folder`, on disk.

    The largest rate is sought between a 64th of the fluid limit and all of it.
    """
    key = _key(requests, fleet, slos, counts)
    if key not in _KEPT:
        path = folder / f"capacity-{key[:32]}.json" if folder else None
        if path and path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            _KEPT[key] = CapacityCurve(tuple(kept["replicas"]), tuple(kept["requests_per_s"]))
        else:
            check_floors(fleet.main.law, requests, slos, "accelerator")
            rates = tuple(_largest_rate(requests, fleet, slos, count) for count in counts)
            _KEPT[key] = CapacityCurve(tuple(counts), rates)
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(asdict(_KEPT[key])), encoding="utf-8")
    return _KEPT[key]


_KEPT: dict[str, CapacityCurve] = {}


def _key(requests: RequestStream, fleet: Fleet, slos: tuple[Slo, ...], counts: Sequence[int]) -> str:
    digest = sha256(repr((fleet, slos, tuple(counts))).encode())
    named = requests.prefixes
    columns = (
        requests.arrival_s,
        requests.input_tokens,
        requests.output_tokens,
        requests.cached_tokens,
        requests.priority,
    )
    for values in (*columns, *((named.start, named.ids, np.array(named.block_tokens)) if named else ())):
        digest.update(values.tobytes())
    return digest.hexdigest()


def _largest_rate(requests: RequestStream, fleet: Fleet, slos: tuple[Slo, ...], count: int) -> float:
    rate = mean_rate(requests)
    top = count * fluid_capacity(fleet.main.law, requests, fleet.watermark).requests_per_s / rate
    sized = replace(fleet, main=replace(fleet.main, replicas=count))

    def good(share: float) -> bool:
        return meets(simulate_fleet(requests.scaled(share * top), sized), slos)

    if good(1.0):
        return top * rate
    low, high = 1 / 64, 1.0
    if not good(low):
        return 0.0
    for _ in range(HALVINGS):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if good(middle) else (low, middle)
    return low * top * rate


@dataclass(frozen=True)
class FleetOffer:
    """A fleet that keeps the SLO, its size and its price."""

    name: str
    fleet: Fleet
    usd_per_hour: float


def cheapest_fleets(
    requests: RequestStream, pools: Mapping[str, Pool], slos: tuple[Slo, ...], queue_limit: int = 4
) -> list[FleetOffer]:
    """Fleets of one platform, and of one that spills to another, cheapest first; each keeps the SLO.

    A mix takes replicas away from the fleet of one platform and adds the fewest of the other that take
    what its queues refuse. Platforms that cannot keep the SLO alone are left out as main pool.
    """
    alone: dict[str, int] = {}
    offers = []
    for name, pool in pools.items():
        fleet = Fleet(pool, routing="least_outstanding")
        try:
            alone[name] = size_fleet(requests, fleet, slos, name).slo_replicas
        except InputError:
            continue
        sized = replace(fleet, main=replace(pool, replicas=alone[name]))
        offers.append(FleetOffer(f"{alone[name]} x {name}", sized, alone[name] * pool.usd_per_hour))
    for name, count in alone.items():
        for other in pools:
            if other != name and count > 1:
                offers += _mixes(requests, pools, name, other, count, slos, queue_limit)
    if not offers:
        raise InputError(f"none of {', '.join(pools)} keeps the SLO")
    return sorted(offers, key=lambda offer: (np.isnan(offer.usd_per_hour), offer.usd_per_hour, offer.name))


def _mixes(
    requests: RequestStream,
    pools: Mapping[str, Pool],
    name: str,
    other: str,
    count: int,
    slos: tuple[Slo, ...],
    limit: int,
) -> list[FleetOffer]:
    found = []
    main, spill = pools[name], pools[other]
    for kept in sorted({count - 1, max(1, 3 * count // 4), max(1, count // 2)} - {count}, reverse=True):
        budget = int((count - kept) * main.usd_per_hour / spill.usd_per_hour) if spill.usd_per_hour > 0 else 0

        def fleet_of(extra: int, kept: int = kept) -> Fleet:
            return Fleet(
                replace(main, replicas=kept),
                spill=replace(spill, replicas=extra),
                queue_limit=limit,
                routing="least_outstanding",
            )

        if budget < 1 or not meets(simulate_fleet(requests, fleet_of(budget)), slos):
            continue
        extra = fewest(lambda n: meets(simulate_fleet(requests, fleet_of(n)), slos), 1, most=budget)
        price = kept * main.usd_per_hour + extra * spill.usd_per_hour
        found.append(FleetOffer(f"{kept} x {name} + {extra} x {other}", fleet_of(extra), price))
    return found
