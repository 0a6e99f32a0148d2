"""On which platform each use case settles where nodes are shared, and what every cell costs beside the choice of all others.

Alone every use case pays for whole nodes. The plan lets all work of a platform in a region share them hour by hour, so
that a small use case may cost next to nothing beside a large one. Beside the others a cell costs

    sum over its regions of  C(those on the platform and it) - C(those on the platform)  + what is not compute

with C of `plan_terms.priced_nodes`. Work whose sites stand alone shares nodes with nobody: beside others it costs what it costs alone.
From the platforms that are cheapest alone one use case after the other moves to its clear winner with that money among the criteria,
else to its cheapest cell, until none moves; then all of a platform leave it at once, where that is cheaper in all (`settle`). All money that
platforms are compared by is that beside the choice found so: ranks, winners, runner-up, pilots, rejections and the worth of benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd

from aifactory.fleet.streams import Streams
from aifactory.inputs.workspace import Workspace
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.matrix import with_cost
from aifactory.shortlist.money import billed_usd, with_cheapest
from aifactory.shortlist.outcome import contenders
from aifactory.shortlist.plan_terms import Market, priced_nodes, streams_alone
from aifactory.shortlist.robustness import alternatives, clear_winner

#: Rounds through all use cases; without a clear winner a move must save this share of what the use case costs where it is.
ROUNDS, LEAST_SAVING = 6, 0.01
#: Sets of streams that are priced at once.
AT_ONCE = 100
#: Columns of `priced_beside` and the end of capacity that each is at.
ENDS = {"beside_usd": "units_per_s_per_accelerator", "beside_low_usd": "high", "beside_high_usd": "low"}
MIDDLE = ENDS["beside_usd"]
#: Clear winner of a use case where all others are on given platforms; None without one.
Winner = Callable[[str, Mapping[str, str]], str | None]


class _Set(NamedTuple):
    """Streams of one pool by their rows: `mine` at one end of its capacity, all others in the middle of theirs, `gone` elsewhere."""

    rows: tuple[int, ...]
    gone: frozenset[str]
    mine: int = -1
    end: str = MIDDLE

    @classmethod
    def of(cls, rows: list[int], gone: frozenset[str], mine: int = -1, end: str = MIDDLE) -> _Set:
        """The set in which all are in the middle whatever `mine` is."""
        return cls(tuple(sorted(rows)), gone, *((mine, end) if end != MIDDLE else ()))

    def order(self) -> tuple:
        """By who is gone, then by the streams: whatever order the sets are asked for in, they are priced in the same one."""
        return sorted(self.gone), *self[:1], *self[2:]


class Shared:
    """What cells cost beside a choice for all other use cases, nodes of a platform in a region shared; each set is priced once.

    cells, penalties, exclusions : as `matrix.decide`, `money.horizon_costs` and `find_exclusions` give them; what is excluded
        or has no price is not known here.
    apart : the use cases are of organisations of their own, none of which shares anything with another.
    """

    def __init__(
        self,
        market: Market,
        cells: pd.DataFrame,
        penalties: pd.DataFrame,
        exclusions: pd.DataFrame,
        *,
        apart: bool = False,
    ) -> None:
        money = ["compute_usd", "total_usd", "total_low_usd", "total_high_usd"]
        joined = cells.merge(penalties[[*KEYS, *money]], on=KEYS).set_index(KEYS, drop=False)
        out = pd.MultiIndex.from_frame(exclusions[KEYS])
        self.priced = joined[~joined.index.isin(out) & np.isfinite(joined["total_usd"].astype(float))]
        self.market, self.apart = market, apart
        middle = self.priced[MIDDLE]
        edges = {end: self.priced[end].astype(float).fillna(middle) for end in ENDS.values()}
        self.open = {end: (edge > 0).to_dict() for end, edge in edges.items()}
        self.streams = {end: _at(market, self.priced, edge.where(edge > 0, middle)) for end, edge in edges.items()}
        self.once = (self.priced["total_usd"] - self.priced["compute_usd"]).to_dict()
        self.alone = {end: self.priced[column.replace("beside", "total")].to_dict() for column, end in ENDS.items()}
        table = self.streams[MIDDLE].table[[*KEYS, "region"]]
        self.fixed = (
            self.streams[MIDDLE].table["sites"] > 1
        ).to_numpy()  # devices of places that stand alone, used by nobody else
        self.rows: dict[tuple[str, str], dict[str, int]] = {}
        for at, (name, chip, region) in enumerate(table.itertuples(index=False, name=None)):
            self.rows.setdefault((name, chip), {})[region] = at
        self._known: dict[_Set, float] = {}

    def of(self, use_case: str, chip: str, home: Mapping[str, str], end: str = MIDDLE) -> float:
        """USD over the horizon of a use case on a platform, at one end of its capacity, beside those whose home it is.

        What stands there is there for all of them, whoever has left it. Where nobody else is or was, that of the use case alone.
        """
        pair = use_case, chip
        parts = self._parts(use_case, chip, home, end)
        if parts is None:
            return self.alone[end][pair]
        if not self.open[end][pair]:
            return np.inf
        return self.once[pair] + sum(self._usd(there) - self._usd(before) for there, before in parts)

    def _parts(self, use_case: str, chip: str, home: Mapping[str, str], end: str) -> list[tuple[_Set, _Set]] | None:
        """The sets whose prices differ by the use case, with and without it, one pair a region; None where it has nobody beside it."""
        others = [name for name, at in home.items() if at == chip and name != use_case]
        gone = frozenset(name for name in home if self.market.today.get(name) == chip) - {*others}
        if self.apart or (not others and not gone - {use_case}):
            return None
        found = []
        for region, mine in self.rows.get((use_case, chip), {}).items():
            there = [] if self.fixed[mine] else self._there(others, chip, region)
            found.append((_Set.of([*there, mine], gone - {use_case}, mine, end), _Set.of(there, gone)))
        return found

    def ahead(
        self, pairs: Iterable[tuple[str, str]], home: Mapping[str, str], ends: Collection[str] = (MIDDLE,)
    ) -> None:
        """Price at once what `of` will be asked of some use cases on platforms: one set after the other takes ten times as long."""
        asked = (self._parts(*pair, home, end) for pair in pairs for end in ends if self.open[end][pair])
        self._price(key for parts in asked for both in parts or () for key in both)

    def ends(self, use_case: str, chip: str, home: Mapping[str, str]) -> tuple[float, float, float]:
        """`of` in the middle, at the high and at the low end of capacity, in the order of `ENDS`."""
        usd, low, high = (self.of(use_case, chip, home, end) for end in ENDS.values())
        return usd, min(low, usd), max(high, usd)

    def together(self, chip: str, home: Mapping[str, str]) -> float:
        """USD over the horizon of all use cases on a platform together, what is not compute included."""
        names = [name for name, at in home.items() if at == chip and (name, chip) in self.once]
        if self.apart:
            return sum(self.alone[MIDDLE][name, chip] for name in names)
        gone = frozenset(name for name in home if self.market.today.get(name) == chip) - {*names}
        regions = sorted({region for name in names for region in self.rows.get((name, chip), {})})
        own = [[row] for name in names for row in self.rows.get((name, chip), {}).values() if self.fixed[row]]
        sets = [_Set.of(rows, gone) for rows in (*(self._there(names, chip, region) for region in regions), *own)]
        self._price(sets)
        compute = sum(map(self._usd, sets))
        return compute + sum(self.once[name, chip] for name in names)

    def _there(self, names: list[str], chip: str, region: str) -> list[int]:
        """Streams of some use cases that share the nodes of a pool."""
        found = [self.rows.get((name, chip), {}).get(region) for name in names]
        return sorted(row for row in found if row is not None and not self.fixed[row])

    def _usd(self, key: _Set) -> float:
        """Price of a set of streams."""
        self._price([key])
        return self._known[key] if key.rows else 0.0

    def _price(self, keys: Iterable[_Set]) -> None:
        """Price the sets that no one has asked for, many at once, each a pool of its own."""
        new = sorted({key for key in keys if key.rows and key not in self._known}, key=_Set.order)
        for gone, group in groupby(new, key=lambda key: key.gone):
            market, sets = self.market.without(gone), list(group)
            for at in range(0, len(sets), AT_ONCE):
                part = sets[at : at + AT_ONCE]
                usd = priced_nodes(market, self._pooled(part))[2].usd
                self._known |= zip(part, np.where(np.isfinite(usd), usd, np.inf).tolist(), strict=True)

    def _pooled(self, sets: Sequence[_Set]) -> Streams:
        """Streams of some sets, each in a pool of its own."""
        middle, rows = self.streams[MIDDLE], [row for key in sets for row in key.rows]
        part = middle.take(rows)
        table = part.table.assign(pool=np.repeat(np.arange(len(sets)), [len(key.rows) for key in sets]))
        chance, first = part.chance.copy(), 0
        for key in sets:
            if key.end != MIDDLE:
                at, own = first + key.rows.index(key.mine), self.streams[key.end]
                table.loc[at, MIDDLE] = own.table[MIDDLE].iloc[key.mine]
                chance[:, at] = own.chance[:, key.mine]
            first += len(key.rows)
        pools = middle.pools.iloc[[key.rows[0] for key in sets]].reset_index(drop=True)
        return replace(part, table=table, chance=chance, pools=pools)


def settle(shared: Shared, pools: Mapping[str, pd.DataFrame], winner: Winner) -> dict[str, str]:
    """Platform of every use case at which none has a reason to move while the others stay, and no platform to be given up by all that are on it.

    pools : by use case, the cells one of which may be chosen (`outcome.contenders`).

    From where each is cheapest alone they come to rest (`_rest`). There may be several such choices: use cases that share the nodes of
    a platform may each stay for the others' sake though all would be cheaper elsewhere. So all of a platform leave it, each for its
    cheapest other cell, and come to rest anew, by cost; the cheapest choice found so is taken where it saves `LEAST_SAVING` of the whole, still
    once clear winners have moved, and asked again. More than one platform is not left at a time.
    """
    now = {name: _cheapest({chip: shared.alone[MIDDLE][name, chip] for chip in pool["accelerator_id"]}) for name, pool in pools.items()}  # fmt: skip
    rivals = {name: pool["accelerator_id"].tolist() for name, pool in pools.items() if len(pool) > 1}
    now = _rest(shared, now, rivals, winner)
    for _ in range(0 if shared.apart else ROUNDS):
        left = [_left(shared, chip, now, rivals) for chip in sorted(set(now.values()))]
        others = [_rest(shared, home, rivals) for home in left if home != now]
        best = min(others, key=lambda home: _whole(shared, home), default=now)
        usd = _whole(shared, now)
        most = usd - LEAST_SAVING * abs(usd)
        best = _rest(shared, best, rivals, winner) if _whole(shared, best) < most else now
        if not _whole(shared, best) < most:
            break
        now = best
    return now


def _rest(
    shared: Shared, home: Mapping[str, str], rivals: Mapping[str, list[str]], winner: Winner = lambda *_: None
) -> dict[str, str]:
    """Where use cases come to rest from a start, none moving while the others stay.

    A use case goes to its clear winner, if any is told, else to its cheapest cell where that saves `LEAST_SAVING`; both depend on where the
    others are. Where some still move after `ROUNDS` rounds they go by cost alone, each move of which makes the whole cheaper.
    """
    now = dict(home)

    def led(name: str) -> str:
        found = winner(name, now)
        return found if found in rivals[name] else cheaper(name)

    def cheaper(name: str) -> str:
        shared.ahead([(name, chip) for chip in rivals[name]], now)
        usd = {chip: shared.of(name, chip, now) for chip in rivals[name]}
        undercut = min(usd.values()) < usd[now[name]] - LEAST_SAVING * abs(usd[now[name]])
        return _cheapest(usd) if undercut else now[name]

    restless = _moved(now, list(rivals), led)
    _moved(now, restless, cheaper)
    return now


def _left(shared: Shared, chip: str, home: Mapping[str, str], rivals: Mapping[str, list[str]]) -> dict[str, str]:
    """The choice once all that have another cell have left a platform, one after the other to the cheapest."""
    now = dict(home)
    for name in [name for name in rivals if home[name] == chip]:
        others = [other for other in rivals[name] if other != chip]
        shared.ahead([(name, other) for other in others], now)
        usd = {other: shared.of(name, other, now) for other in others}
        now[name] = _cheapest(usd)
    return now


def _whole(shared: Shared, home: Mapping[str, str]) -> float:
    """USD over the horizon of all use cases on their platforms."""
    return sum(shared.together(chip, home) for chip in sorted(set(home.values())))


def _moved(now: dict[str, str], names: list[str], goal: Callable[[str], str]) -> list[str]:
    """Move use cases to their goal one after the other, round by round; those that moved in the last round of all."""
    moved = names
    for _ in range(ROUNDS if names else 0):
        moved = []
        for name in names:
            chip = goal(name)
            if chip != now[name]:
                now[name] = chip
                moved.append(name)
        if not moved:
            break
    return moved


def _cheapest(usd: dict[str, float]) -> str:
    return min(usd, key=lambda chip: (usd[chip], chip))


def pools_of(cells: pd.DataFrame, penalties: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Cells of each use case one of which may be chosen; use cases without any are left out."""
    joined = cells.merge(penalties[[*KEYS, "total_usd"]], on=KEYS, how="left")
    found = {str(name): contenders(group)[0] for name, group in joined.groupby("use_case_id", sort=True)}
    return {name: pool for name, pool in found.items() if len(pool)}


def winner_beside(
    ws: Workspace, shared: Shared, cells: pd.DataFrame, penalties: pd.DataFrame, exclusions: pd.DataFrame
) -> Winner:
    """Ask for the clear winner (`robustness.clear_winner`) with the criterion cost of the money beside the others."""
    rivals, today = alternatives(cells, exclusions), shared.market.today
    billed = billed_usd(ws, shared.market.inventory)

    def winner(use_case: str, home: Mapping[str, str]) -> str | None:
        group = rivals[rivals["use_case_id"] == use_case]
        may = group[group["decision"] == "choose"]
        group = may if len(may) else group
        chips = dict.fromkeys([*group["accelerator_id"], today.get(use_case)])
        pairs = [(use_case, chip) for chip in chips if (use_case, chip) in shared.once]
        shared.ahead(pairs, home, ENDS.values())
        usd = [(*pair, *shared.ends(*pair, home)) for pair in pairs]
        prices = penalties[penalties["use_case_id"] == use_case]
        prices = prices.merge(pd.DataFrame(usd, columns=[*KEYS, *ENDS]), on=KEYS, how="left")
        return clear_winner(ws, with_cost(group, prices, today, billed)) if len(group) > 1 else None

    return winner


def priced_beside(shared: Shared, penalties: pd.DataFrame, home: Mapping[str, str]) -> pd.DataFrame:
    """`penalties` with what each cell adds to the choice of all other use cases, USD of present value over the horizon.

    Columns `beside_usd` and, at the high and the low end of the cell's own capacity, `beside_low_usd` and `beside_high_usd`: those
    of the use case alone where it finds nobody on the platform; NaN without a price, and for what a rule excludes.
    """
    unknown, pairs = (np.nan,) * len(ENDS), list(penalties[KEYS].itertuples(index=False, name=None))
    shared.ahead([pair for pair in pairs if pair in shared.once], home, ENDS.values())
    found = [shared.ends(*pair, home) if pair in shared.once else unknown for pair in pairs]
    usd = np.array(found, dtype=float).reshape(-1, len(ENDS))
    return with_cheapest(penalties.assign(**dict(zip(ENDS, usd.T, strict=True))))


def _at(market: Market, cells: pd.DataFrame, rate: pd.Series) -> Streams:
    """Streams of cells at a capacity."""
    return streams_alone(market, cells.assign(units_per_s_per_accelerator=rate).reset_index(drop=True))
