"""Which use cases are cheaper on a platform where they share nodes with others than on their cheapest one alone.

Alone every use case pays for whole nodes. The plan lets all work of a platform in a region share them hour by hour, so
that a small use case may cost next to nothing beside a large one. Beside the others a cell costs

    sum over its regions of  C(those on the platform and it) - C(those on the platform)  + what is not compute

with C of `plan_terms.priced_nodes`. From the platforms chosen alone one use case after the other moves to its cheapest
cell beside the others, until none moves: each move makes the whole cheaper, so this ends. Clear winners stay, but for
those that count on spare room of standing kit: beside the others it is there once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.finance.options import OPTION_NAMES
from aifactory.fleet.streams import Streams
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.outcome import contenders
from aifactory.shortlist.plan_terms import Market, priced_nodes, streams_alone

#: Rounds through all use cases; a move must save this share of what the use case costs alone.
ROUNDS, LEAST_SAVING = 4, 0.01


def cheaper_beside(
    market: Market, cells: pd.DataFrame, penalties: pd.DataFrame, choice: pd.DataFrame
) -> dict[str, tuple[str, float]]:
    """Use cases without a clear winner that another contender serves for less, with that platform and the saving.

    The saving, USD of present value over the horizon, is that of the use case beside the final choice of all others.
    """
    joined = cells.merge(penalties[[*KEYS, "total_usd", "compute_usd"]], on=KEYS, how="left")
    home = choice.dropna(subset=["accelerator_id"]).set_index("use_case_id")["accelerator_id"].to_dict()
    settled = set(choice.loc[choice["verdict"] == "clear winner", "use_case_id"]) - _guests(market, choice, penalties)
    pools = {str(name): contenders(group)[0] for name, group in joined.groupby("use_case_id", sort=True)}
    free = [name for name, pool in pools.items() if name in home and name not in settled and len(pool) > 1]
    if not free:
        return {}
    mine = pd.MultiIndex.from_tuples(
        [*home.items(), *((name, chip) for name in free for chip in pools[name]["accelerator_id"])]
    )
    wanted = cells[pd.MultiIndex.from_frame(cells[KEYS]).isin(mine)]
    costs = _Beside(market, streams_alone(market, wanted))
    once = (joined["total_usd"] - joined["compute_usd"]).set_axis(pd.MultiIndex.from_frame(joined[KEYS]))
    alone, now = dict(home), dict(home)
    for _ in range(ROUNDS):
        before = dict(now)
        for name in free:
            usd = {chip: costs.of(name, chip, now) + once[name, chip] for chip in pools[name]["accelerator_id"]}
            best = min(usd, key=lambda chip: (usd[chip], chip))
            if usd[best] < usd[now[name]] - LEAST_SAVING * abs(usd[now[name]]):
                now[name] = best
        if now == before:
            break
    moved = [name for name in free if now[name] != alone[name]]
    saved = {name: costs.of(name, alone[name], now) + once[name, alone[name]] - costs.of(name, now[name], now) - once[name, now[name]]
             for name in moved}  # fmt: skip
    return {name: (now[name], float(saved[name])) for name in moved if saved[name] > 0}


def _guests(market: Market, choice: pd.DataFrame, penalties: pd.DataFrame) -> set[str]:
    """Use cases chosen onto kit that stands to others."""
    joined = choice.merge(penalties[[*KEYS, "terms"]], on=KEYS)
    stands = joined["terms"].fillna("").str.contains(OPTION_NAMES["owned"].lower(), regex=False)
    return set(
        joined.loc[stands & (joined["accelerator_id"] != joined["use_case_id"].map(market.today)), "use_case_id"]
    )


class _Beside:
    """Cost of sets of use cases that share the nodes of a platform in a region; each is computed once."""

    def __init__(self, market: Market, streams: Streams) -> None:
        self.market, self.streams = market, streams
        table = streams.table
        self.rows = {
            key: at
            for at, key in enumerate(zip(table["use_case_id"], table["accelerator_id"], table["region"], strict=True))
        }
        self._known: dict[tuple[int, ...], float] = {}

    def of(self, use_case: str, chip: str, home: dict[str, str]) -> float:
        """Cost of a use case on a platform beside those whose home it is."""
        others = [name for name, at in home.items() if at == chip and name != use_case]
        total = 0.0
        for region in self.streams.table.loc[self.streams.table["use_case_id"] == use_case, "region"].unique():
            there = [self.rows[name, chip, region] for name in others if (name, chip, region) in self.rows]
            total += self._usd([*there, self.rows[use_case, chip, region]]) - self._usd(there)
        return total

    def _usd(self, rows: list[int]) -> float:
        key = tuple(sorted(rows))
        if key and key not in self._known:
            s, at = self.streams, list(key)
            part = s.take(at)
            part = replace(part, table=part.table.assign(pool=0), pools=s.pools.iloc[at[:1]].reset_index(drop=True))
            usd = float(priced_nodes(self.market, part)[2].usd[0])
            self._known[key] = usd if np.isfinite(usd) else np.inf
        return self._known.get(key, 0.0)
