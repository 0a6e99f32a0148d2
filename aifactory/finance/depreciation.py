"""What bought equipment loses: market value and book value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aifactory.units import MONTHS_PER_YEAR


def residual_value(price: ArrayLike, decline_per_year: float, months: ArrayLike) -> np.ndarray:
    """Resale value after some months: price (1 - decline)^(months / 12).

    >>> round(float(residual_value(30_000, 0.3, 36)), 2)
    10290.0
    """
    if not 0 <= decline_per_year <= 1:
        msg = f"decline must be between 0 and 1 a year, got {decline_per_year}"
        raise ValueError(msg)
    if np.any(np.asarray(months, dtype=float) < 0):
        msg = "a resale value needs months of use, 0 or more"
        raise ValueError(msg)
    return np.asarray(price, dtype=float) * (1.0 - decline_per_year) ** (
        np.asarray(months, dtype=float) / MONTHS_PER_YEAR
    )


def straight_line(cost: ArrayLike, salvage: ArrayLike, life: int) -> np.ndarray:
    """Depreciation per period: (cost - salvage) / life.

    >>> float(straight_line(30_000, 7_500, 10))
    2250.0
    """
    if life <= 0:
        msg = f"life must be positive, got {life}"
        raise ValueError(msg)
    return (np.asarray(cost, dtype=float) - np.asarray(salvage, dtype=float)) / life
