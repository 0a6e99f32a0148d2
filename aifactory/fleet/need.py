"""Accelerators that streams need, each alone: what plan and shortlist compare before pools share nodes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.fleet.sites import held_in_sites
from aifactory.fleet.streams import Streams, busiest
from aifactory.units import HOURS_PER_MONTH, SCENARIOS


def needed(streams: Streams) -> np.ndarray:
    """Accelerators that each stream alone needs in the busiest window of each month with reserve and chance, [T + 1, K].

    Expected scenario; whole nodes at each site of work whose sites stand alone.
    """
    level = busiest(streams) * (1.0 + np.maximum(streams.reserve, 0.0)) * streams.chance
    return held_in_sites(level, *streams.site_terms)


def need_frame(streams: Streams) -> pd.DataFrame:
    """Accelerators each stream needs in each scenario and month, whole-pool effects left out."""
    units = streams.units[:, 1:, :]
    average = streams.accelerators(units * streams.scenario_size[:, 1:])
    peak = average * streams.highest[1:]
    reserve, rule = (np.broadcast_to(ratio[1:], average.shape) for ratio in (streams.reserve, streams.rule))
    index = pd.MultiIndex.from_product(
        [SCENARIOS, streams.months[1:], range(len(streams.table))], names=["scenario", "month", "stream"]
    )
    frame = index.to_frame(index=False)
    for name in ("region", "accelerator_id", "use_case_id"):
        frame[name] = streams.table[name].to_numpy()[frame["stream"]]
    frame["units"] = units.ravel()
    frame["accelerator_hours"] = average.ravel() * HOURS_PER_MONTH
    frame["accelerators_average"] = average.ravel()
    frame["accelerators_peak"] = peak.ravel()
    frame["reserve_ratio"] = reserve.ravel()
    frame["reserve_rule"] = rule.ravel()
    frame["chance_factor"] = np.broadcast_to(streams.chance[1:], average.shape).ravel()
    level = peak * (1.0 + reserve) * np.broadcast_to(streams.chance[1:], average.shape)
    frame["accelerators_with_reserve"] = held_in_sites(level, *streams.site_terms).ravel()
    return frame.drop(columns="stream")
