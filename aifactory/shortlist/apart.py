"""What it costs that all use cases of a platform in a region share nodes of one size.

A node must hold the largest replica of its pool, so one use case that needs eight accelerators at once brings servers
of eight to all others there, which share them hour by hour. Where those others would be cheaper in smaller nodes of
their own, the plan says by how much.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.fleet.node_sizes import replica_sizes
from aifactory.fleet.streams import EXPECTED, Streams
from aifactory.shortlist.plan_terms import Market, priced_nodes
from aifactory.units import percent

COLUMNS = ["region", "accelerator_id", "use_cases", "together_usd", "saved_usd"]
#: Share of the price of a pool from which a saving is worth a word, and how many are named.
LEAST_SAVING, NAMED = 0.01, 3


def cheaper_apart(market: Market, streams: Streams) -> pd.DataFrame:
    """Pools whose smaller replicas would be cheaper in nodes of their own, `COLUMNS`; most first.

    saved_usd = C(all of the pool) - C(those that need its largest replica) - C(the others), present value over the
    horizon in the expected scenario, each in the nodes in which it is cheapest (`plan_terms.priced_nodes`).

    Parameters
    ----------
    streams : with the nodes of the catalogue, as `aifactory.fleet.streams.build_streams` makes them.
    """
    stated = streams.table["replica_accelerators"].to_numpy(dtype=float)
    largest = replica_sizes(streams)
    node = streams.pools["accelerators_per_node"].fillna(1).to_numpy(dtype=float)
    need = np.where(np.isfinite(stated), stated, node[streams.pool])
    rows = []
    for pool, place in enumerate(streams.pools.itertuples(index=False)):
        mine = streams.pool == pool
        small = mine & (need < largest[pool])
        if not small.any():
            continue
        together, others, apart = (_usd(market, streams, part) for part in (mine, mine & ~small, small))
        saved = together - others - apart
        if saved > LEAST_SAVING * together:
            names = ", ".join(sorted(set(streams.table.loc[small, "use_case_id"])))
            rows.append((place.region, place.accelerator_id, names, together, saved))
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("saved_usd", ascending=False, ignore_index=True)


def apart_sentences(market: Market, streams: Streams) -> list[str]:
    """What one size of node for each pool costs, in one sentence; none where it costs next to nothing."""
    found = cheaper_apart(market, streams)
    if found.empty:
        return []
    named = [f"{row.use_cases} on {row.accelerator_id} in {row.region} (USD {row.saved_usd:,.0f} less, {percent(row.saved_usd / row.together_usd)} of the pool)"
             for row in found.head(NAMED).itertuples()]  # fmt: skip
    rest = f"; {len(found) - NAMED} more pools" if len(found) > NAMED else ""
    return [f"A pool is bought in one size of node, that of its largest replica. In smaller nodes of their own these would cost less over the horizon: {'; '.join(named)}{rest}."]  # fmt: skip


def _usd(market: Market, streams: Streams, rows: np.ndarray) -> float:
    """Price over the horizon of some streams of one pool, in their cheapest nodes; infinite where it cannot be had."""
    at = np.flatnonzero(rows)
    part = streams.take(at.tolist())
    expected = np.repeat(part.units[[EXPECTED]], len(part.units), axis=0)
    pools = streams.pools.iloc[[streams.pool[at[0]]]].reset_index(drop=True)
    part = replace(part, table=part.table.assign(pool=0), pools=pools, units=expected)
    usd = float(priced_nodes(market, part)[2].usd[0])
    return usd if np.isfinite(usd) else np.inf
