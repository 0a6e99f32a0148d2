"""Jobs that need many accelerators at once: what their width adds to the plan, in words.

The plan holds, where no hours can be rented, and rents elsewhere at least the width of the jobs that run (`aifactory.fleet.widths`):
optimiser and ledger price both. What is rented for the width alone is the difference to the same orders with jobs of any width.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aifactory.buyplan.case import Case, Solution
from aifactory.buyplan.governance import money
from aifactory.fleet.compute import price_orders
from aifactory.fleet.nodes import Load, build_load
from aifactory.fleet.orders import FLEXIBLE, committed_first
from aifactory.fleet.streams import EXPECTED
from aifactory.fleet.widths import no_widths
from aifactory.units import counted


def gang_sentences(case: Case, solution: Solution) -> list[str]:
    """One sentence per pool where some job is wider than what is committed in a month of its work: what the rest costs.

    `solution` is of the expected scenario.
    """
    streams, orders = case.streams, solution.orders
    wide = streams.widths.widest * streams.waits
    if not wide.any():
        return []
    held = case.slots.total((orders.state != FLEXIBLE) * case.slots.size, case.pools)[1:]
    few = (streams.sized(streams.units[EXPECTED])[1:] > 0) & (held[:, streams.pool] < wide)
    load = committed_first(load_of_any_width(case), orders.state, case.slots, solution.terms)
    narrow = price_orders(orders, load, case.slots, solution.terms, case.pools, case.placed)
    ours = solution.ledger.compute
    hours = (ours.rented_hours - narrow.rented_hours).sum(axis=0)
    usd = (ours.cost_usd - narrow.cost_usd).sum(axis=0)
    found = []
    for pool in np.unique(streams.pool[few.any(axis=0)]):
        mine = np.flatnonzero((streams.pool == pool) & few.any(axis=0))
        months, place = few[:, mine].any(axis=1), streams.pools.iloc[pool]
        names = ", ".join(sorted(set(streams.table["use_case_id"].iloc[mine])))
        rented = np.isfinite(case.offers.on_demand[pool]) or np.isfinite(case.offers.spot[pool])
        if rented and hours[pool] < 1:  # what is rented for their work holds their width
            continue
        way = (
            f"the rest is rented while they run ({hours[pool]:,.0f} accelerator-hours for their width alone, {money(usd[pool])})"
            if rented
            else "no hours are rented there, so that such a job cannot start then"
        )
        found.append(
            f"{names} on {place['accelerator_id']} in {place['region']}: up to {wide[mine].max():,.3g} accelerators at once for a job. "
            f"In {counted(int(months.sum()), 'month')} fewer are committed ({held[months, pool].min():,.0f} at the least); {way}."
        )
    return found


def load_of_any_width(case: Case) -> Load:
    """The expected load if jobs had any width."""
    streams = replace(case.streams, widths=no_widths(len(case.streams.table)))
    return build_load(streams, case.slots, streams.units[EXPECTED])
