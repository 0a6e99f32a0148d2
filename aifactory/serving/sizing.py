"""From demand to accelerators."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aifactory.units import SECONDS_PER_HOUR


def accelerator_hours(units: ArrayLike, units_per_s: ArrayLike) -> np.ndarray:
    """Accelerator-hours that serve a number of units: units / (capacity x 3600).

    >>> float(accelerator_hours(7200, 2.0))
    1.0
    """
    capacity = np.asarray(units_per_s, dtype=float)
    if np.any(capacity <= 0):
        msg = "capacity must be positive; a platform without capacity serves nothing"
        raise ValueError(msg)
    return np.asarray(units, dtype=float) / (capacity * SECONDS_PER_HOUR)
