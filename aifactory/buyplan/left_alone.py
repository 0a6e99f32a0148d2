"""Where use cases go that share nodes with one that stays on its hosted model: the shortlist chose their platform beside it.

Without it a platform may cost them far more than another. Each goes to the one, of those that need no work to move and that the shortlist could choose,
where the rest of the plan costs least, by the measure of `excluded`: the largest saving first, until none is above `LEAST_SHARE` of the
cost of both platforms.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, Solution, rebuilt, solve_expected
from aifactory.buyplan.choose import quick_orders
from aifactory.buyplan.excluded import Cells, penalties_usd
from aifactory.buyplan.futures import stream_paths
from aifactory.buyplan.ports import LEAST_SHARE, quick_values
from aifactory.demand.scenarios import Paths
from aifactory.fleet.guests import Guest, guest_of, pooled, with_guests
from aifactory.fleet.streams import Streams
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.outcome import SCORED_ABOVE, contenders

#: Why the plan takes another platform than the shortlist chose.
WITHOUT = "costs least without what stays on hosted models"


@dataclass(frozen=True)
class LeftAlone:
    """What is left without some streams: the accelerator of each use case that moves, and the case in the nodes that serve it at least cost."""

    homes: Mapping[str, str]
    case: Case


@dataclass(frozen=True)
class Shortlisted:
    """What the shortlist found: its choice, its matrix, the cells of every use case and platform, and `Setting.in_best_nodes`."""

    choice: pd.DataFrame
    matrix: pd.DataFrame
    cells: Cells
    paths: Paths
    in_best_nodes: Callable[[Case], Case]

    def cost_usd(
        self, case: Case, gone: np.ndarray, usd: Callable[[Case, Solution], float]
    ) -> tuple[float, Mapping[str, str]]:
        """What the case costs by `usd` without some streams [K], and the accelerators that others then take; infinite where nothing is left to cost."""
        left = self.left_alone(case, gone)
        if left is None:
            return np.inf, {}
        wanted = stream_paths(left.case, self.paths)
        return usd(left.case, solve_expected(*quick_orders(left.case, wanted))), left.homes

    def left_alone(self, case: Case, gone: np.ndarray) -> LeftAlone | None:
        """Where those go that share pools with some streams [K] once these are `gone`; None where nothing is left."""
        others = self.others(case, gone)
        if gone.all():
            return None
        rest = pooled(case.streams.take(np.flatnonzero(~gone)), self.cells.accelerators)
        now, homes, guests = self._case(case, rest, []), {}, []
        while others.keys() - homes.keys():
            values = quick_values(now, self.paths, self.cells)
            found = [
                (before - moved - self._dearer(name, cell), name, cell, before)
                for name in sorted(others.keys() - homes.keys())
                for cell in others[name]
                for before, moved in [values.of_move(cell)]
            ]
            usd, name, cell, before = max((row for row in found if np.isfinite(row[0])), default=(0.0, "", None, 0.0), key=lambda row: row[0])  # fmt: skip
            if not usd > LEAST_SHARE * before:
                break
            homes[name] = cell.accelerator_id
            guests += _all_of(name, cell, rest)
            now = self._case(case, rest, guests)
        return LeftAlone(homes, now)

    def others(self, case: Case, gone: np.ndarray) -> dict[str, list[tuple]]:
        """Rows of capacity on other platforms of the use cases that share pools with some streams [K]; none of what was chosen by score."""
        shared = np.isin(case.streams.pool, case.streams.pool[gone]) & ~gone
        scored = self.choice.loc[self.choice["reason"].str.startswith(SCORED_ABOVE), "use_case_id"]
        names = sorted(set(case.streams.table.loc[shared, "use_case_id"]) - set(scored))
        return {name: cells for name in names if (cells := self._others(name))}

    def rechosen(self, homes: Mapping[str, str]) -> pd.DataFrame:
        """The choice with other platforms for some use cases."""
        names = self.choice["use_case_id"]
        own, moved = dict(zip(names, self.choice["accelerator_id"], strict=True)), names.isin(list(homes))
        why = {"reason": self.choice["reason"].mask(moved, WITHOUT), "verdict": self.choice["verdict"].mask(moved, "")}
        return self.choice.assign(accelerator_id=names.map({**own, **homes}), **why)

    def _case(self, case: Case, rest: Streams, guests: list[Guest]) -> Case:
        return self.in_best_nodes(
            rebuilt(case, case.plan, with_guests(rest, guests, self.cells.accelerators, case.plan))
        )

    def _others(self, name: str) -> list[tuple]:
        """Rows of capacity on the platforms that the shortlist could choose for a use case without porting, its own left out."""
        own = self.choice.loc[self.choice["use_case_id"] == name, "accelerator_id"]
        joined = self.matrix.merge(self.cells.penalties[[*KEYS, "total_usd"]], on=KEYS, how="left")
        able = contenders(joined[joined["use_case_id"] == name])[0]["accelerator_id"]
        once = self.cells.penalties.drop_duplicates(KEYS).set_index(KEYS)["porting_usd"]
        free = [chip for chip in able if once.get((name, chip), np.nan) == 0.0 and chip not in set(own)]
        rows = self.cells.capacity[self.cells.capacity["use_case_id"] == name]
        return list(rows[rows["accelerator_id"].isin(free)].itertuples(index=False))

    def _dearer(self, name: str, cell: tuple) -> float:
        """What the use case costs there beside compute beyond its own platform."""
        beside = penalties_usd(self.cells.penalties, planned=True)
        own = self.choice.loc[self.choice["use_case_id"] == name, "accelerator_id"].iloc[0]
        return float(beside.get((name, cell.accelerator_id), 0.0)) - float(beside.get((name, own), 0.0))


def _all_of(name: str, cell: tuple, rest: Streams) -> list[Guest]:
    regions = rest.table.loc[rest.table["use_case_id"] == name, "region"].unique()
    row = pd.Series(cell._asdict())
    return [guest_of(row, region, np.ones(len(rest.months))) for region in regions]


def told_of(homes: Mapping[str, str], hosted: Collection[str]) -> list[str]:
    """Which use cases take another platform than the shortlist chose, and beside which, `hosted` from now on, it chose that."""
    beside = f"beside {', '.join(sorted(hosted))}, hosted for good"
    return [f"{name} takes {chip}: the shortlist chose its platform {beside}." for name, chip in homes.items()]
