"""What fleets of any size cost on every path and month, platform by platform, where recourse has a closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aifactory.buyplan.optimise.closed_form import ClosedFormRecourse, has_closed_form
from aifactory.buyplan.stress.replan import copies, savings
from aifactory.buyplan.stress.world import World
from aifactory.errors import AIFactoryError


@dataclass(frozen=True)
class Fleet:
    """A plan's nodes as single units, and the recourse of a platform for any number of them.

    Attributes
    ----------
    world, nodes : the plan, where each workload has one platform.
    """

    world: World
    nodes: np.ndarray

    def __post_init__(self) -> None:
        if not has_closed_form(self.world):
            raise AIFactoryError("rights on single nodes are valued where each workload has one platform only")

    @cached_property
    def units(self) -> list[list[int]]:
        """Column of the order of each node that is ordered, by platform."""
        found: list[list[int]] = [[] for _ in range(self.world.platforms)]
        for column in np.flatnonzero(self.nodes):
            found[self.world.orders[column][0].platform] += [int(column)] * round(self.nodes[column])
        return found

    def cover(self, platform: int) -> np.ndarray:
        """[U, T] whether each node of a platform serves in a month."""
        served = self.world.serves[:, platform, self.units[platform]] / self.world.node_size[platform]
        return np.round(served.T).astype(int).reshape(len(self.units[platform]), self.world.months)

    def usd(self, platform: int, most: int) -> np.ndarray:
        """[S, T, most + 1] undiscounted recourse of a platform by its number of ordered nodes."""
        world = self.world
        none = ClosedFormRecourse(copies(world, platform, 1)).cost(world.owned[:, [platform]])[0]
        saved = np.zeros((world.paths, world.months, most))
        for number, one in enumerate(savings(world, platform, most)):
            if number == most:
                break
            saved[:, :, number] = one
        return np.concatenate([none[:, :, None], none[:, :, None] - np.cumsum(saved, axis=2)], axis=2)
