"""Demand of the plan as load-duration blocks: local first, each pool with the hours its streams share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.streams import EXPECTED, Streams
from aifactory.demand.load_blocks import block_labels, load_duration_blocks
from aifactory.units import HOURS_PER_MONTH, SCENARIOS

BLOCK_COLUMNS = [
    "scenario",
    "month",
    "region",
    "accelerator_id",
    "use_case_id",
    "block",
    "hours",
    "accelerators",
    "accelerators_peak",
    "reserve_ratio",
]


def demand_blocks(streams: Streams, blocks: int = 3) -> pd.DataFrame:
    """Accelerators at work by scenario, month, stream and block of hours.

    Streams of a pool (an accelerator in a region) may share it, so their blocks are hours of their joint load;
    streams of other pools may not. Hours keep their block in all months and scenarios, set by the expected
    demand of the period. Hours of the blocks of a month add up to 730, hours times accelerators to the
    accelerator-hours of the stream; `accelerators_peak` is what it needs in the hour and shortest windows that
    the block must reach, before the reserve.

    >>> BLOCK_COLUMNS[:2]
    ['scenario', 'month']
    """
    parts = []
    average = streams.sized(streams.units)[:, 1:]
    today = streams.accelerators(streams.units[EXPECTED, 0])
    for pool in range(len(streams.pools)):
        mine = np.flatnonzero(streams.pool == pool)
        shape, factor = streams.shape[mine], streams.table["peak_factor"].to_numpy()[mine]
        labels = block_labels(today[mine] @ shape, blocks)
        # blocks of a volume of one hour's mean: every month is a multiple of it, stream by stream
        unit = load_duration_blocks(np.full(len(mine), float(HOURS_PER_MONTH)), shape, labels=labels)
        peak = np.stack([shape[:, labels == block].max(axis=1) for block in range(len(unit.hours))], axis=1)
        peak = peak * factor[:, None]
        values = average[:, :, mine, None]
        index = pd.MultiIndex.from_product(
            [SCENARIOS, streams.months[1:], range(len(mine)), range(len(unit.hours))],
            names=["scenario", "month", "stream", "block"],
        ).to_frame(index=False)
        at = mine[index["stream"]]
        reserve = np.broadcast_to(
            streams.reserve[1:, mine, None], (len(SCENARIOS), *values.shape[1:3], len(unit.hours))
        )
        parts.append(
            index.assign(
                **{name: streams.table[name].to_numpy()[at] for name in ("region", "accelerator_id", "use_case_id")},
                hours=unit.hours[index["block"]],
                accelerators=(values * unit.load).ravel(),
                accelerators_peak=(values * peak).ravel(),
                reserve_ratio=reserve.ravel(),
            )
        )
    return pd.concat(parts, ignore_index=True)[BLOCK_COLUMNS] if parts else pd.DataFrame(columns=BLOCK_COLUMNS)
