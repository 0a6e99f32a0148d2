"""What missed work is worth: the part of its price that does not hang on who else shares its nodes."""

from __future__ import annotations

import numpy as np

from aifactory.fleet.streams import Streams
from aifactory.inputs.plan import Plan
from aifactory.units import SECONDS_PER_HOUR

#: Missed work costs at least this many of the dearest hours; the price where no value is stated.
LEAST_HOURS = 3.0


def lost_value_usd(streams: Streams, plan: Plan) -> np.ndarray:
    """[K] value lost with an accelerator-hour of each stream, USD; 0 where no value or no attribution is stated."""
    table = streams.table
    per_hour = table["units_per_s_per_accelerator"] * SECONDS_PER_HOUR / table["load_factor"]
    value = per_hour * table["value_usd_per_unit"].astype(float) * table["attribution_share"].astype(float)
    return (value * plan.value("sla_miss_usd_per_unit_share")).fillna(0.0).to_numpy()
