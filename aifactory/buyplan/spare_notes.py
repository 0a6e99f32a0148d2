"""What stands by for a failure domain that is down and is paid for only then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aifactory.buyplan.case import Answer, Case
from aifactory.buyplan.governance import money
from aifactory.fleet.nodes import node_counts, pool_level
from aifactory.fleet.orders import FLEXIBLE
from aifactory.fleet.streams import EXPECTED
from aifactory.units import HOURS_PER_MONTH


def rented_spares(case: Case, answer: Answer) -> np.ndarray:
    """Accelerators of whole nodes that failure domains add to each pool beyond what is committed there, [T, P].

    Expected scenario; where hours are rented alone: elsewhere the fleet with its spares is bought, and in the cost.
    """
    streams, slots = case.streams, case.slots
    spare = streams.table["spare"].to_numpy(dtype=float)
    bare = replace(streams, table=streams.table.assign(spare=1.0))
    work = streams.sized(streams.units[EXPECTED]) * streams.chance
    held = []
    for of, reserve in ((streams, streams.reserve), (bare, (1.0 + streams.reserve) / spare - 1.0)):
        levels = np.array([pool_level(of, work, reserve, pool) for pool in range(case.pools)]).reshape(case.pools, -1).T
        sizes = streams.pools["accelerators_per_node"].to_numpy(dtype=int)
        held.append(np.stack([node_counts(levels[:, at], size) * size for at, size in enumerate(sizes)], axis=1))
    committed = slots.total((answer.expected.orders.state != FLEXIBLE) * slots.size, case.pools)
    apart = np.maximum(held[0] - np.maximum(held[1], committed), 0.0)[1:]
    return np.where(np.isfinite(case.offers.on_demand), apart, 0.0)


def spare_sentences(case: Case, answer: Answer) -> list[str]:
    """How many spares for a failure are rented when it comes, and what they would cost if they were held."""
    if not (case.streams.table["spare"] > 1).any():
        return []
    spares = rented_spares(case, answer)
    most = spares.sum(axis=1).max(initial=0.0)
    usd = (
        float((spares @ np.where(np.isfinite(case.offers.on_demand), case.offers.on_demand, 0.0)).mean())
        * HOURS_PER_MONTH
    )
    if not most > 0:
        return []
    return [
        f"Up to {most:,.0f} accelerators that stand by for a failure domain that is down are rented when it fails and paid for only then, "
        f"when others ask for them too: to hold them in every hour on demand would cost {money(usd)} a month on average, which is in no "
        "figure of the plan. Ask for an agreement on supply, or commit more."
    ]
