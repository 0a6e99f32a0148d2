"""Work that for some months runs on another accelerator than the chosen one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.fleet.streams import (
    ABOUT_POOLS,
    CAPACITY_COLUMNS,
    CHANCE_COLUMNS,
    KEY,
    Streams,
    chance_of,
    failure_factors,
    work_per_unit,
)
from aifactory.inputs.plan import Plan

ORDER = ["region", "accelerator_id", "use_case_id"]


@dataclass(frozen=True)
class Guest:
    """A use case of a region that runs in part on an accelerator which the shortlist did not choose for it.

    Attributes
    ----------
    share : [T + 1] part of its units that runs there, 0 to 1, by month.
    facts : its capacity there, by `CAPACITY_COLUMNS` and `CHANCE_COLUMNS`.
    """

    use_case_id: str
    region: str
    accelerator_id: str
    share: np.ndarray
    facts: Mapping[str, object]


def guest_of(cell: pd.Series, region: str, share: np.ndarray) -> Guest:
    """A guest by the row of the table of capacities for its use case and accelerator."""
    found = cell.rename({"failure_rate": "measured_failure_rate"})
    facts = {name: found[name] for name in (*CAPACITY_COLUMNS, *CHANCE_COLUMNS) if name in found}
    return Guest(str(cell["use_case_id"]), region, str(cell["accelerator_id"]), share, facts)


def with_guests(streams: Streams, guests: Sequence[Guest], accelerators: pd.DataFrame, plan: Plan) -> Streams:
    """Streams [K] with a row for every guest, in the pools that they then need; units are divided by the shares.

    A row that is left without work in every month is dropped. What chance adds holds for each part by itself. Guests of
    use cases and regions without demand are left out. `accelerators` is the catalogue: nodes are of its size.
    """
    home = {key: at for at, key in enumerate(streams.table[KEY].itertuples(index=False, name=None))}
    guests = [guest for guest in guests if (guest.use_case_id, guest.region) in home]
    if not guests:
        return streams
    at = [home[guest.use_case_id, guest.region] for guest in guests]
    count = len(streams.table)
    wide = streams.take([*range(count), *at])
    share = np.ones((len(streams.months), count + len(guests)))
    for index, guest in enumerate(guests):
        share[:, count + index] = guest.share
        share[:, at[index]] -= guest.share
    share = share.clip(0.0, 1.0)
    comes = np.arange(count + len(guests)) >= count
    changed = comes | (share < 1).any(axis=0)
    table = pd.concat([wide.table.iloc[:count], rows_of(wide.table.iloc[count:], guests)], ignore_index=True)
    table["load_factor"] = work_per_unit(table)
    table = table.assign(
        **{name: table[name] * share[1:].mean(axis=0) for name in ("units_month", "units_per_hour_avg")}
    )
    wide = replace(
        wide, table=table, units=wide.units * share, band=wide.band * share, share=wide.share * share,
        chance=np.where(changed, chance_beside_spares(replace(wide, table=table, units=wide.units * share), plan), wide.chance),
    )  # fmt: skip
    works = (wide.units[:, 1:] > 0).any(axis=(0, 1))
    kept = share[1:].any(axis=0) & (works | comes | ~changed)
    kept = table[ORDER][kept].sort_values(ORDER, kind="stable").index
    return pooled(wide.take(kept), accelerators)


def rows_of(table: pd.DataFrame, guests: Sequence[Guest]) -> pd.DataFrame:
    """Rows of the streams, [K] as the guests, as guests: where they run and what an accelerator does there."""
    facts = pd.DataFrame([guest.facts for guest in guests], index=table.index)
    facts = facts.reindex(columns=[*CAPACITY_COLUMNS, *CHANCE_COLUMNS])
    there = table.assign(accelerator_id=[guest.accelerator_id for guest in guests])
    there = there.assign(**{name: facts[name].astype(table[name].dtype) for name in facts})
    held = there["in_progress_per_accelerator"]
    return there.assign(in_progress_per_accelerator=held.mask(there["wait_hours"] > 1))


def chance_beside_spares(streams: Streams, plan: Plan) -> np.ndarray:
    """What chance adds to the planned fleets, [T + 1, K], spares for failures left out as in `build_streams`."""
    spare = failure_factors(streams.table, plan)
    return chance_of(replace(streams, reserve=(1.0 + streams.reserve) / spare - 1.0))


def pooled(streams: Streams, accelerators: pd.DataFrame) -> Streams:
    """The streams in the pools of their regions and accelerators."""
    pools = streams.table[["region", "accelerator_id"]].drop_duplicates().reset_index(drop=True)
    about = accelerators.drop_duplicates("accelerator_id").set_index("accelerator_id").reindex(columns=ABOUT_POOLS)
    places = pd.MultiIndex.from_frame(pools)
    at = places.get_indexer(pd.MultiIndex.from_frame(streams.table[["region", "accelerator_id"]]))
    return replace(streams, table=streams.table.assign(pool=at), pools=pools.join(about, on="accelerator_id"))
