"""Prices of accelerators over the months to come as seeded paths: list, contract and spot, relative to today's.

List prices stand and step down, rarely, for all regions of an accelerator at once. Contract prices hardly ever move but
with a list step of the same day (6 of 6 steps in 102 series-years), so they take its size. Spot prices move every month,
up and down, and stay at or below list. Quotes for leases and purchases have no history: they stand.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aifactory.finance.price_process import PriceProcess

#: Steps of list prices a year and series, and their sizes; spread of a month's log change of spot prices.
HISTORY = "price history 2022-02 to 2025-05, 203 list, 74 contract and 55 spot series, research note of 2026-11-24"
LIST_STEPS_PER_YEAR, LIST_STEPS = 0.029, (-0.458, -0.281, -0.115, -0.052)
SPOT_MONTHLY_SPREAD = 0.102
LIST = PriceProcess("list", LIST_STEPS_PER_YEAR, np.log1p(LIST_STEPS), 0.0, 203, 345.3)
SPOT = PriceProcess("spot", 0.0, np.zeros(0), SPOT_MONTHLY_SPREAD, 55, 68.7)


@dataclass(frozen=True)
class PricePaths:
    """Prices over today's, [S, T, P]; platforms of one accelerator share theirs."""

    on_demand: np.ndarray
    contract: np.ndarray
    spot: np.ndarray


def draw_prices(accelerators: Sequence[str], paths: int, months: int, seed: int) -> PricePaths:
    """Ratios of months 0 to `months` - 1; month 0 is today's price. The same accelerator has the same draws in any plan.

    >>> found = draw_prices(["a", "b", "a"], 200, 36, 7)
    >>> found.spot.shape, bool((found.on_demand[:, :, 0] == found.on_demand[:, :, 2]).all())
    ((200, 36, 3), True)
    >>> bool((found.on_demand <= 1).all()), bool((found.contract == found.on_demand).all())
    (True, True)
    """
    by_name = {name: _of_accelerator(name, paths, months, seed) for name in sorted(set(accelerators))}
    steps, moves = (np.stack([by_name[name][kind] for name in accelerators], axis=2) for kind in (0, 1))
    return PricePaths(steps, steps, moves)


def _of_accelerator(name: str, paths: int, months: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    number = zlib.crc32(name.encode())
    own = [int(np.random.SeedSequence((seed, number, kind)).generate_state(1)[0]) for kind in (0, 1)]
    return LIST.paths(1.0, months - 1, paths, own[0]), SPOT.paths(1.0, months - 1, paths, own[1], accelerator=name)
