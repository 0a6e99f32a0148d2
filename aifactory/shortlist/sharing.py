"""Which use cases are cheaper on a platform where they share nodes with others than on their cheapest one alone.

Alone every use case pays for whole nodes. The plan lets all work of a platform in a region share them hour by hour, so
that a small use case may cost next to nothing beside a large one. Beside the others a cell costs

    sum over its regions of  C(those on the platform and it) - C(those on the platform)  + what is not compute

with C of `plan_terms.priced_nodes`. So does every cell beside the final choice of all others (`priced_beside`). From the platforms chosen alone one use case after the other moves to its cheapest
cell beside the others, until none moves: each move makes the whole cheaper, so this ends. Clear winners stay, but for
those that count on spare room of standing kit (beside the others it is there once), and those that no longer lead where
the money among their criteria is that beside the others, wherever these end up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.finance.options import OPTION_NAMES
from aifactory.fleet.streams import Streams
from aifactory.inputs.workspace import Workspace
from aifactory.shortlist import scales
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.money import on_todays_platform
from aifactory.shortlist.outcome import Beside, contenders
from aifactory.shortlist.plan_terms import Market, priced_nodes, streams_alone
from aifactory.shortlist.robustness import rank_robustness

#: Rounds through all use cases; a move must save this share of what the use case costs alone.
ROUNDS, LEAST_SAVING = 4, 0.01


#: Columns of `priced_beside` and the end of capacity that each is at.
ENDS = {"beside_usd": "units_per_s_per_accelerator", "beside_low_usd": "high", "beside_high_usd": "low"}
#: Whether a platform still leads a use case where its contenders cost so much over the horizon, USD by accelerator.
Leads = Callable[[str, str, dict[str, float]], bool]


def cheaper_beside(
    market: Market, cells: pd.DataFrame, penalties: pd.DataFrame, choice: pd.DataFrame, leads: Leads | None = None
) -> dict[str, Beside]:
    """Use cases without a clear winner that another contender serves for less, with that platform, the saving and its price.

    Saving and price, USD of present value over the horizon, are those of the use case beside the final choice of all others.
    `leads` (`leads_beside`) is asked of clear winners that another contender undercuts beside the others; without it they stay.
    """
    joined = cells.merge(penalties[[*KEYS, "total_usd", "compute_usd"]], on=KEYS, how="left")
    home = choice.dropna(subset=["accelerator_id"]).set_index("use_case_id")["accelerator_id"].to_dict()
    settled = set(choice.loc[choice["verdict"] == "clear winner", "use_case_id"]) - _guests(market, choice, penalties)
    pools = {str(name): contenders(group)[0] for name, group in joined.groupby("use_case_id", sort=True)}
    rivals = [name for name, pool in pools.items() if name in home and len(pool) > 1]
    free = [name for name in rivals if name not in settled]
    held = [name for name in rivals if name in settled and leads is not None]
    if not free and not held:
        return {}
    mine = pd.MultiIndex.from_tuples(
        [*home.items(), *((name, chip) for name in [*free, *held] for chip in pools[name]["accelerator_id"])]
    )
    wanted = cells[pd.MultiIndex.from_frame(cells[KEYS]).isin(mine)]
    costs = _Beside(market, streams_alone(market, wanted), joined)
    now, lost = _settle(costs, home, free, pools), []
    for _ in range(ROUNDS):  # where those that were freed have moved, a winner may lead again, or another no longer
        before = lost
        lost = [name for name in held if _undercut(usd := costs.all_of(name, pools[name], now), home[name]) and not leads(name, home[name], usd)]  # fmt: skip
        if lost == before:
            break
        now = _settle(costs, home, [name for name in rivals if name in {*free, *lost}], pools)
    moved = [name for name in rivals if now[name] != home[name]]
    usd = {name: (costs.of(name, home[name], now), costs.of(name, now[name], now)) for name in moved}
    return {name: Beside(now[name], old - new, new) for name, (old, new) in usd.items() if old > new}


def priced_beside(
    market: Market, cells: pd.DataFrame, penalties: pd.DataFrame, choice: pd.DataFrame, exclusions: pd.DataFrame
) -> pd.DataFrame:
    """`penalties` with what each cell adds to the final choice of all other use cases, USD of present value over the horizon.

    Columns `beside_usd` and, at the high and the low end of the cell's own capacity, `beside_low_usd` and `beside_high_usd`: those
    of the use case alone where it finds nobody on the platform; NaN without a price, and for what a rule excludes.
    """
    home = choice.dropna(subset=["accelerator_id"]).set_index("use_case_id")["accelerator_id"].to_dict()
    keys = pd.MultiIndex.from_frame(penalties[KEYS])
    open_to = ~keys.isin(pd.MultiIndex.from_frame(exclusions[KEYS])) & np.isfinite(penalties["total_usd"].astype(float))
    money = penalties[[name.replace("beside", "total") for name in ENDS]].where(open_to)
    table = money.set_axis(list(ENDS), axis=1).set_axis(keys)
    joined = cells.merge(penalties[[*KEYS, "total_usd", "compute_usd"]], on=KEYS)
    meets = [bool(open_to[at]) and _meets(market, home, *pair) for at, pair in enumerate(keys)]
    shared = joined[pd.MultiIndex.from_frame(joined[KEYS]).isin(keys[meets])]
    if not shared.empty:
        at_home = [home.get(name) == chip for name, chip in joined[KEYS].itertuples(index=False)]
        there = pd.concat([joined[at_home], shared]).drop_duplicates(KEYS)
        costs = _Beside(market, streams_alone(market, there), joined)
        for column, end in ENDS.items():
            usd = _at_end(costs, market, shared, home, end)
            table.loc[list(usd), column] = list(usd.values())
        ends = table.columns.drop("beside_usd")
        table[ends[0]] = table[ends[0]].clip(upper=table["beside_usd"])
        table[ends[1]] = table[ends[1]].clip(lower=table["beside_usd"])
    return penalties.assign(**{name: table[name].to_numpy() for name in ENDS})


def _meets(market: Market, home: dict[str, str], use_case: str, chip: str) -> bool:
    """Whether others are on a platform, or have left it."""
    return any(chip in (at, market.today.get(name)) for name, at in home.items() if name != use_case)


def _at_end(
    costs: _Beside, market: Market, shared: pd.DataFrame, home: dict[str, str], end: str
) -> dict[tuple[str, str], float]:
    """What cells cost beside the others at one end of their capacity, that of the middle where none is known."""
    rate = shared["units_per_s_per_accelerator"]
    edge = shared[end].astype(float).fillna(rate)
    own = None if (edge == rate).all() else streams_alone(market, shared.assign(units_per_s_per_accelerator=edge))
    pairs = zip(shared["use_case_id"], shared["accelerator_id"], edge > 0, strict=True)
    return {(name, chip): costs.of(name, chip, home, own) if known else np.inf for name, chip, known in pairs}


def _settle(
    costs: _Beside, home: dict[str, str], free: Iterable[str], pools: dict[str, pd.DataFrame]
) -> dict[str, str]:
    """Platform of each use case after those that are free have moved until none moves."""
    now = dict(home)
    for _ in range(ROUNDS):
        before = dict(now)
        for name in free:
            usd = costs.all_of(name, pools[name], now)
            if _undercut(usd, now[name]):
                now[name] = min(usd, key=lambda chip: (usd[chip], chip))
        if now == before:
            break
    return now


def _undercut(usd: dict[str, float], chip: str) -> bool:
    return min(usd.values()) < usd[chip] - LEAST_SAVING * abs(usd[chip])


def leads_beside(ws: Workspace, cells: pd.DataFrame, penalties: pd.DataFrame, exclusions: pd.DataFrame) -> Leads:
    """Ask whether a platform is a clear winner (`rank_robustness`) where its contenders cost what they do beside the others.

    The criterion cost is then that price over today's platform alone, the scale that all cells have; the ends of its interval
    keep their ratio to the price of the accelerators.
    """
    prices = cells[KEYS].merge(penalties, on=KEYS, how="left").set_axis(cells.index)
    today = pd.Series(on_todays_platform(ws, prices, "total_usd"), index=cells.index)

    def leads(use_case: str, chip: str, usd: dict[str, float]) -> bool:
        group = cells[cells["use_case_id"] == use_case].copy()
        beside = group["accelerator_id"].map(usd)
        price = prices.loc[group.index]
        part = (beside - (price["total_usd"] - price["compute_usd"])) / price["compute_usd"]
        for column, end in (("cost", "total_usd"), ("cost_low", "total_high_usd"), ("cost_high", "total_low_usd")):
            at_end = beside + part * (price[end] - price["total_usd"])
            found = pd.Series(scales.anchored(at_end / today[group.index], scales.COST_ANCHORS), index=group.index)
            group[column] = found.fillna(group[column])
        verdict = rank_robustness(ws, group, exclusions).verdicts.iloc[0]
        return verdict["verdict"] == "clear winner" and verdict["leader"] == chip

    return leads


def _guests(market: Market, choice: pd.DataFrame, penalties: pd.DataFrame) -> set[str]:
    """Use cases chosen onto kit that stands to others."""
    joined = choice.merge(penalties[[*KEYS, "terms"]], on=KEYS)
    stands = joined["terms"].fillna("").str.contains(OPTION_NAMES["owned"].lower(), regex=False)
    return set(
        joined.loc[stands & (joined["accelerator_id"] != joined["use_case_id"].map(market.today)), "use_case_id"]
    )


class _Beside:
    """Cost of sets of use cases that share the nodes of a platform in a region; each is computed once."""

    def __init__(self, market: Market, streams: Streams, priced: pd.DataFrame) -> None:
        self.market, self.streams = market, streams
        self.once = (priced["total_usd"] - priced["compute_usd"]).set_axis(pd.MultiIndex.from_frame(priced[KEYS]))
        self.rows = _rows(streams)
        self._known: dict[tuple[tuple[int, ...], frozenset[str]], float] = {}

    def all_of(self, use_case: str, pool: pd.DataFrame, home: dict[str, str]) -> dict[str, float]:
        """`of` every platform of a pool of cells."""
        return {chip: self.of(use_case, chip, home) for chip in pool["accelerator_id"]}

    def of(self, use_case: str, chip: str, home: dict[str, str], own: Streams | None = None) -> float:
        """Cost of a use case on a platform beside those whose home it is, with what is not compute.

        What stands there is there for all of them, whoever has left it. `own` has the use case at another capacity.
        """
        others = [name for name, at in home.items() if at == chip and name != use_case]
        gone = frozenset(name for name in home if self.market.today.get(name) == chip) - {*others}
        total = 0.0
        for region in self.streams.table.loc[self.streams.table["use_case_id"] == use_case, "region"].unique():
            there = [self.rows[name, chip, region] for name in others if (name, chip, region) in self.rows]
            mine = use_case, chip, region
            rows, left = [*there, self.rows[mine]], gone - {use_case}
            if own is None:
                with_it = self._usd(rows, left)
            else:
                with_it = self._priced(_with_rate(self.streams.take(rows), own, _rows(own)[mine]), rows, left)
            total += with_it - self._usd(there, gone)
        return total + float(self.once[use_case, chip])

    def _usd(self, rows: list[int], gone: frozenset[str]) -> float:
        key = tuple(sorted(rows)), gone
        if rows and key not in self._known:
            self._known[key] = self._priced(self.streams.take(key[0]), list(key[0]), gone)
        return self._known.get(key, 0.0)

    def _priced(self, part: Streams, rows: list[int], gone: frozenset[str]) -> float:
        pools = self.streams.pools.iloc[rows[:1]].reset_index(drop=True)
        part = replace(part, table=part.table.assign(pool=0), pools=pools)
        usd = float(priced_nodes(self.market.without(gone), part)[2].usd[0])
        return usd if np.isfinite(usd) else np.inf


def _rows(streams: Streams) -> dict[tuple[str, str, str], int]:
    """Place of each stream by use case, accelerator and region."""
    return {key: at for at, key in enumerate(streams.table[[*KEYS, "region"]].itertuples(index=False, name=None))}


def _with_rate(part: Streams, own: Streams, row: int) -> Streams:
    """Streams whose last one has the capacity, and what chance adds at it, of a row of others."""
    rate, last = "units_per_s_per_accelerator", len(part.table) - 1
    table, chance = part.table.copy(), part.chance.copy()
    table.loc[last, rate] = own.table[rate].iloc[row]
    chance[:, last] = own.chance[:, row]
    return replace(part, table=table, chance=chance)
