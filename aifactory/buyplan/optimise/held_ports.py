"""Recourse under one choice of ports: cells that are shut leave the programme, and no row waits for a port.

Most rows of a month's programme hold work back from what it is not ported to (`recourse`). Once ports are chosen each cell
is open or shut in a month, so that these rows go. Months with the same open cells share a programme.
"""

from __future__ import annotations

import numpy as np

from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.recourse import Recourse


class HeldPorts:
    """As `Recourse`, for one choice of ports [G] of 0 and 1; a port is worth nothing here, since none is to be chosen."""

    def __init__(self, problem: Problem, ports: np.ndarray) -> None:
        self.problem = problem
        done = np.round(ports) * problem.port_ready > 0
        ready, of = np.unique(done, axis=0, return_inverse=True)
        shut = problem.port_of >= 0
        self._parts = [
            (np.flatnonzero(of.ravel() == at), Recourse(problem, ~shut | (shut & row[problem.port_of])))
            for at, row in enumerate(ready)
        ]

    def cost(
        self,
        capacity: np.ndarray,
        demand: np.ndarray | None = None,
        ported: np.ndarray | None = None,  # noqa: ARG002
        solves: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Recourse.cost`; months are priced by their own open cells, and `ported` is what is held."""
        usd, worth = 0.0, 0.0
        for months, recourse in self._parts:
            own, own_worth = recourse.cost(capacity, demand, None, solves, months)
            usd, worth = usd + own, worth + own_worth
        return usd, worth

    @property
    def reference_usd(self) -> np.ndarray:
        """[S] what the problem's own paths cost about, were they known."""
        return self._parts[0][1].reference_usd
