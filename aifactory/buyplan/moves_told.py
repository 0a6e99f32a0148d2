"""What a reader is told of work that runs elsewhere for some months: those with most money at stake in words, all of them in a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.benchmark.telemetry import OWN_EVIDENCE
from aifactory.buyplan.governance import money
from aifactory.buyplan.moves import Move
from aifactory.buyplan.ports import NAMED_SHARE
from aifactory.units import percent

COLUMNS = [
    "use_case_id",
    "region",
    "from_id",
    "to_id",
    "first_month",
    "last_month",
    "share_low",
    "share_high",
    "stays_until",
    "porting_usd",
    "measured",
    "move_saving_usd",
    "move_least_usd",
    "move_low_usd",
    "loss_probability",
]


def moves_frame(moves: Sequence[Move], months: Sequence[str]) -> pd.DataFrame:
    """One row per use case that moves, `COLUMNS`, by what its move saves at present value, most first.

    share_low, share_high: of its work there in the months in which it is there. stays_until: month until which all of it stays where it runs today, on hours too where they are sold; empty where none. measured: own measurements show its rate
    there. move_saving_usd: of the whole move, that may take several use cases, with porting and rework taken off;
    move_least_usd what it must save to be made; move_low_usd the saving at the low end of rates that were not measured there, loss_probability the chance that it saves nothing.
    """
    rows = []
    for move in sorted(moves, key=lambda one: -one.saving_usd):
        for guest in move.guests:
            there = np.flatnonzero(np.asarray(guest.share)[1:] > 0) + 1
            if not len(there):
                continue
            low, high = (float(of(np.asarray(guest.share)[there])) for of in (np.min, np.max))
            about = (guest.use_case_id, guest.region, move.home_id, guest.accelerator_id)
            about += (months[there[0]], months[there[-1]], low, high, months[move.stays_to] if move.stays_to else "")
            shown = guest.facts.get("tier") in OWN_EVIDENCE
            rows.append(
                (
                    *about,
                    move.porting_usd.get(guest.use_case_id, 0.0),
                    shown,
                    move.saving_usd,
                    move.least_usd,
                    move.low_usd,
                    move.loss_probability,
                )
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def move_sentences(moves: Sequence[Move], months: Sequence[str], plan_usd: float) -> tuple[list[str], list[str]]:
    """Moves that are needed or save at least `NAMED_SHARE` of the plan's cost `plan_usd` (present value), most first, and the others as one."""
    named = [move for move in moves if move.needed or move.saving_usd >= NAMED_SHARE * plan_usd]
    small = [move for move in moves if not move.needed and move.saving_usd < NAMED_SHARE * plan_usd]
    told = [move.sentence(months) for move in sorted(named, key=lambda one: -one.saving_usd)]
    if not small:
        return told, []
    kind = (
        "to idle capacity"
        if not any(move.stays_to for move in small)
        else "of work that runs elsewhere for some months"
    )
    count = f"{len(small)} move{'s' * (len(small) > 1)} {kind} save{'s' * (len(small) == 1)}"
    usd = money(sum(move.saving_usd for move in small))
    each = "" if len(small) == 1 else "each "
    return told, [
        f"{count} {usd} at present value, {each}below {percent(NAMED_SHARE)} of the plan's cost: see table moves."
    ]
