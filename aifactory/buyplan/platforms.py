"""On which platforms the plan puts use cases: what the shortlist chose, unless a port does not pay, or what stands there ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from aifactory.buyplan.case import Case
from aifactory.buyplan.excluded import Cells
from aifactory.buyplan.homes import Homes, decide_homes
from aifactory.buyplan.moves import Move
from aifactory.buyplan.moves_told import move_sentences
from aifactory.buyplan.paid_kit import decide_moves
from aifactory.buyplan.ports import Ports, decide_ports
from aifactory.buyplan.prepare import Prepared, Setting, setting_of
from aifactory.demand.scenarios import Paths
from aifactory.fleet.streams import Streams
from aifactory.inventory.today import baseline_accelerators, known_by_region

if TYPE_CHECKING:
    from aifactory.benchmark import Benchmark
    from aifactory.inventory import Inventory
    from aifactory.shortlist import Shortlist


@dataclass(frozen=True)
class Placement:
    """The case once it is decided what is ported, where use cases are at home, and what runs elsewhere for some months."""

    setting: Setting
    made: Prepared
    ports: Ports
    homes: Homes
    moves: list[Move]

    def sentences(
        self, classes: pd.Series, plan_usd: float, starts: Mapping[str, str], billed_usd: Mapping[str, float]
    ) -> tuple[list[str], list[str], list[str]]:
        """What is at home elsewhere and what is ported; what moves; and what of both is of little money (arguments of `Ports.sentences`)."""
        ws, until = self.setting.ws, self.setting.until
        moved, small = move_sentences(self.moves, self.made.streams.months, plan_usd)
        ported, few = self.ports.sentences(ws.plan, classes, ws.period, plan_usd, starts, billed_usd, until)
        return [*self.homes.sentences(), *ported], moved, [*small, *few]

    def told_to(self, cells: Cells, planned: Streams) -> Cells:
        """The cells with why the plan leaves a chosen platform, and with the platforms of the streams before work moves to idle capacity."""
        chosen = planned.table.drop_duplicates("use_case_id").set_index("use_case_id")["accelerator_id"]
        reasons = cells.reasons | self.ports.reasons() | self.homes.reasons()
        return replace(cells, reasons=reasons, chosen=chosen.to_dict())


def on_platforms(
    inventory: Inventory,
    benchmark: Benchmark,
    shortlist: Shortlist,
    setting: Setting,
    first: tuple[Prepared, Cells, Paths],
) -> Placement:
    """Decide ports, then homes, then moves to capacity that is paid for; `first` is the case of the shortlist's choice."""
    made, cells, paths = first
    ws, found = setting.ws, {}

    def again(choice: pd.DataFrame) -> Case:
        nonlocal setting, made
        setting = setting_of(ws, inventory, benchmark, replace(shortlist, choice=choice), setting.staying)
        made = setting.prepared()
        return made.case

    def moved(moves: Sequence[Move]) -> Case:
        nonlocal made
        made = setting.prepared(moves)
        return made.case

    def planned(choice: pd.DataFrame) -> Case:
        key = tuple(choice["accelerator_id"].astype("str"))
        if key not in found:
            case = made.case if choice is ports.choice else again(choice)
            until = {"chosen": setting.restream(ws.plan), "until": setting.until, "today": known_by_region(ws)}
            moves = decide_moves(case, moved, cells=cells, paths=paths, period=ws.period, **until)
            found[key] = setting, made, moves
        return found[key][1].case

    today = baseline_accelerators(ws, benchmark.capacity)
    known = {"matrix": shortlist.matrix, "today": today, "cells": cells, "paths": paths}
    ports = decide_ports(made.case, again, choice=shortlist.choice, **known)
    fixed = ports.table["use_case_id"]
    homes = decide_homes(made.case, again, planned, choice=ports.choice, period=ws.period, fixed=fixed, **known)
    planned(homes.choice)
    setting, made, moves = found[tuple(homes.choice["accelerator_id"].astype("str"))]
    return Placement(setting, made, ports, homes, moves)
