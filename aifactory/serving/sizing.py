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


def whole_nodes(accelerators: ArrayLike, node_size: ArrayLike) -> np.ndarray:
    """Accelerators rounded up to whole nodes; a rounding error of 1e-9 does not buy a node.

    >>> whole_nodes([0.0, 0.2, 8.0, 8.1], 8).tolist()
    [0, 8, 8, 16]
    """
    size = np.asarray(node_size)
    return (np.ceil(np.asarray(accelerators, dtype=float) / size - 1e-9) * size).astype(int)


def accelerators_needed(
    units_per_hour: ArrayLike, units_per_s: ArrayLike, reserve: ArrayLike, node_size: ArrayLike
) -> np.ndarray:
    """Whole-node accelerators for a rate with a reserve: ceil(rate (1 + reserve) / capacity).

    >>> accelerators_needed(3600 * 10, 2.0, 0.4, 8).tolist()
    8
    """
    return whole_nodes(accelerator_hours(units_per_hour, units_per_s) * (1 + np.asarray(reserve)), node_size)
