"""Work that for some months runs on another accelerator than the chosen one, and what a reader is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from aifactory.benchmark.telemetry import OWN_EVIDENCE
from aifactory.buyplan.governance import money
from aifactory.fleet.guests import Guest
from aifactory.units import percent

#: Standard deviations from the middle of a normal distribution to its P10.
TO_P10 = 1.2815515655446004


@dataclass(frozen=True)
class Move:
    """Use cases of a platform and region that run elsewhere for some months: the guests, the platform chosen for them, what is saved.

    `porting_usd` by use case is paid once; it and `rework_usd`, changes that are made a second time, are counted in `saving_usd`,
    which is at present value. `low_usd` is the saving at the low end of the rates where own measurements do not show them, else not a number. A move that saves
    less than `least_usd` is not made: where inputs move by a little across that mark, the cost of the plan does by as much.
    `last_work` is the last month (from 0) in which a guest has work, `supported_to` the last in which the capacity is supported, where known.
    `stays_to` is the month until which they stay on their platform of today with all of their work, on what stands there and on hours; 0: on
    capacity alone that is paid for. `needed`: nothing else would serve until then, so that no saving is asked.
    """

    guests: tuple[Guest, ...]
    home_id: str
    porting_usd: Mapping[str, float]
    rework_usd: float = 0.0
    saving_usd: float = 0.0
    low_usd: float = np.nan
    least_usd: float = 0.0
    last_work: int = 10**6
    supported_to: str = ""
    stays_to: int = 0
    needed: bool = False

    @property
    def loss_probability(self) -> float:
        """Chance that it saves nothing, the saving normal on the side of the low end; 0 where that end (P10) saves too."""
        if not self.low_usd < 0 < self.saving_usd:
            return 0.0
        return float(ndtr(-TO_P10 * self.saving_usd / (self.saving_usd - self.low_usd)))

    @property
    def place(self) -> tuple[str, str]:
        """Region and accelerator of the capacity."""
        return self.guests[0].region, self.guests[0].accelerator_id

    def sentence(self, months: Sequence[str]) -> str:
        """Who runs where and until when, and what that saves."""
        share = np.array([guest.share for guest in self.guests])
        served = np.flatnonzero(share[:, 1:].any(axis=0)) + 1
        busy = share[:, served][share[:, served] > 0]
        low, high = percent(float(busy.min())), percent(float(busy.max()))
        part = "" if busy.min() >= 1 else f" by {high if low == high else f'{low} to {high}'}"
        first, last = months[served[0]], months[served[-1]]
        ends, when = served[-1] < min(len(months) - 1, self.last_work), f"from {first} on"
        if ends:
            when = f"in {first}" if first == last else f"from {first} to {last}"
            when += ", when its support ends" * (last == self.supported_to)
        after = [*(["the rest"] if part else []), *(["all of it later"] if ends else [])]
        rest = f", {' and '.join(after)} on {self.home_id}" if after else ""
        names = ", ".join(guest.use_case_id for guest in self.guests)
        usd = sum(self.porting_usd.values()) + self.rework_usd
        work = f", {money(usd)} of work for it counted" if usd > 0 else ""
        shown = all(guest.facts.get("tier") in OWN_EVIDENCE for guest in self.guests)
        test = "" if shown or self.stays_to else "; what it does there is predicted, so test it on own prompts before"
        if self.low_usd < 0:
            test += f": at the low end of the rate it would lose {money(-self.low_usd)}, and the chance of a loss is {percent(self.loss_probability)}"
        does = ("stay" if self.stays_to else "run") + "s" * (len(self.guests) == 1)
        why = self._why(idle=served[-1] > self.stays_to)
        told = f"{names} in {self.place[0]} {does}{part} on {self.place[1]} {when}{rest}: {why}."
        if self.needed and not self.saving_usd > 0:
            return told
        return f"{told} It saves {money(self.saving_usd)} at present value{work}{test}{self._mark()}."

    def _why(self, *, idle: bool) -> str:
        """`idle`: part of it, or all where no hours are rented, is idle capacity."""
        paid = "capacity is owned or committed and would stand idle"
        if not self.stays_to:
            return f"that {paid}"
        if self.needed:
            return f"no hours of {self.home_id} are sold there, and nothing that is ordered for it comes earlier"
        until = f"while orders for {self.home_id} are on their way that costs less than its hours"
        return f"{until}; later its {paid}" if idle else until

    def _mark(self) -> str:
        """How far the saving is from the least that is worth a move; empty where none was asked."""
        if self.least_usd <= 0:
            return ""
        return f"; below {money(self.least_usd)} it would not be made: a change of inputs that takes it there raises the cost of the plan by as much"
