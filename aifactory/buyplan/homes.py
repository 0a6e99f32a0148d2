"""Use cases that the shortlist put on a platform for the sake of what stands there: where they are at home once that ends, or where it is full.

The shortlist chooses one platform for the whole horizon, on which what is owned or committed costs no more than its running. Where its
term ends within the horizon, or where it holds a part of the work, a use case may cost least on another platform, and still run on what
stands as long and as far as that serves. So each use case whose platform has such capacity is planned once more on each other one
that the shortlist could choose for it and that needs no port, with the share s(t) of its work that what stands holds beside all others:

    saving = V(a, all) + V(b, there) - V(a, its share s) - V(b, there and its share 1 - s) - (once(b) - once(a)) - rework

summed over its regions, with V and once of `excluded` and s and rework of `paid_kit`. V knows no budgets and no other use case that would
take what stands. So the largest saving is planned as a whole, with the moves to what stands that `paid_kit` then makes, and stands where the plan

    orders + weighed recourse within all limits + porting, rework and unused commitments + running of what stands

and its delay and missed targets cost less by more than `LEAST_SHARE` of the first two V; then the next one, up to `MOST_TRIES` in all. Without this more capacity that costs
nothing could make a plan dearer: it would draw work for good that other kit serves at less cost afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, rebuilt
from aifactory.buyplan.excluded import Cells, Values, penalties_usd, standing_usd
from aifactory.buyplan.futures import problem_over, stream_paths
from aifactory.buyplan.governance import money
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.extensive import largest_orders
from aifactory.buyplan.optimise.limits import relaxed
from aifactory.buyplan.paid_kit import first_month, idle_for, rework_of, room_on
from aifactory.buyplan.ports import LEAST_SHARE, quick_values, without_ports
from aifactory.buyplan.stress.replan import replan
from aifactory.buyplan.stress.world import world_of
from aifactory.demand.scenarios import Paths
from aifactory.finance.cashflow import npv
from aifactory.fleet.guests import guest_of, with_guests
from aifactory.fleet.placed import PLACE
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.outcome import SCORED_ABOVE
from aifactory.units import monthly_rate

#: Why the plan takes another platform than the shortlist chose.
AFTERWARDS = "costs more once what stands there ends or is full"
#: Homes that are planned as a whole: each takes as long as the plan without its tests.
MOST_TRIES = 4
COLUMNS = ["use_case_id", "chosen_id", "other_id", "saving_usd", "at_stake_usd"]


@dataclass(frozen=True)
class Homes:
    """The choice with other platforms for some use cases, and one row for each of them, `COLUMNS`: both platforms, what that saves at present value, and the cost of both."""

    choice: pd.DataFrame
    table: pd.DataFrame

    def reasons(self) -> dict[tuple[str, str], str]:
        """Why the plan does not keep to the platform that the shortlist chose, by use case and accelerator."""
        return {(row.use_case_id, row.chosen_id): AFTERWARDS for row in self.table.itertuples()}

    def sentences(self) -> list[str]:
        """One sentence for each use case."""
        return [
            f"{row.use_case_id} is planned on {row.other_id}, not on {row.chosen_id}, which the shortlist chose for the whole horizon: what stands "
            f"of {row.chosen_id} serves it where that pays. That saves {money(row.saving_usd)} at present value, delay and missed targets counted."
            for row in self.table.itertuples()
        ]


def decide_homes(
    case: Case,
    rebuild: Callable[[pd.DataFrame], Case],
    planned: Callable[[pd.DataFrame], Case],
    *,
    choice: pd.DataFrame,
    matrix: pd.DataFrame,
    today: pd.Series,
    cells: Cells,
    paths: Paths,
    period: str,
    fixed: Collection[str] = (),
) -> Homes:
    """Decide use case by use case; nothing is planned where no chosen platform has capacity that was placed before.

    Parameters
    ----------
    case, rebuild : the case of `choice`, and what makes one of any other choice.
    matrix, today, cells, paths : as in `ports.decide_ports`.
    planned : makes the case of a choice with the moves to what stands that go with it.
    fixed : use cases that stay where they are, beside those that the shortlist chose by score.
    """
    scored = choice.loc[choice["reason"].str.startswith(SCORED_ABOVE), "use_case_id"]
    porting = cells.penalties.set_index(KEYS)["porting_usd"].groupby(level=[0, 1]).first()
    dearer = _unpaid(cells.penalties)
    fixed, rows, now, tries = {*fixed, *scored}, [], None, 0
    while tries < MOST_TRIES and (asked := _on_standing(case, fixed)):
        trials = _Trials(case, quick_values(case, paths, cells), cells, period)
        found = [
            row
            for name, home in asked.items()
            for row in trials.of(name, home, without_ports(name, matrix, cells, today, porting))
            if _pays(row)
        ]
        for row in sorted(found, key=lambda row: -row["saving_usd"])[: MOST_TRIES - tries]:
            now = whole_usd(planned(choice), paths) if now is None else now
            mine, tries = choice["use_case_id"] == row["use_case_id"], tries + 1
            other = choice.assign(accelerator_id=choice["accelerator_id"].mask(mine, row["other_id"]))
            then = whole_usd(planned(other), paths)
            row["saving_usd"] = now - then - dearer(row["use_case_id"], row["chosen_id"], row["other_id"])
            if _pays(row):
                break
        else:
            break
        rows.append(row)
        fixed.add(row["use_case_id"])
        choice, now, case = other, then, rebuild(other)
    return Homes(choice, pd.DataFrame(rows, columns=COLUMNS))


def whole_usd(case: Case, paths: Paths) -> float:
    """What a quick plan of a case over all paths costs within its limits, what no order changes included, present value at today's prices."""
    problem = problem_over(case, stream_paths(case, paths))
    nodes = np.zeros(len(problem.orders))
    if len(nodes):
        problem = relaxed(problem, largest_orders(problem))[0]
        nodes = replan(world_of(problem), nodes).nodes
    apart = npv(sum(case.apart.values()), monthly_rate(case.plan.value("wacc")))
    return evaluate_plan(problem, nodes).objective_usd + float(apart) + standing_usd(case)


def _unpaid(penalties: pd.DataFrame) -> Callable[[str, str, str], float]:
    """What a use case costs on a platform beyond another one that the plan pays to nobody: delay and missed targets, USD."""
    paid = (
        penalties.set_index(KEYS)[["porting_usd", "rework_usd"]].fillna(0.0).sum(axis=1).groupby(level=[0, 1]).first()
    )
    usd = penalties_usd(penalties, planned=True) - paid

    def dearer(name: str, home: str, other: str) -> float:
        return float(usd.get((name, other), 0.0) - usd.get((name, home), 0.0))

    return dearer


def _pays(row: Mapping[str, float]) -> bool:
    return row["saving_usd"] > LEAST_SHARE * row["at_stake_usd"]


def _on_standing(case: Case, fixed: Collection[str]) -> dict[str, str]:
    """Platform of each use case that has one alone, on which capacity placed before stands in a region of it."""
    there = {*case.book[PLACE].itertuples(index=False, name=None), *case.owned_accelerators}
    found = {}
    for name, rows in case.streams.table.groupby("use_case_id"):
        homes = rows["accelerator_id"].unique()
        if name not in fixed and len(homes) == 1 and {(region, homes[0]) for region in rows["region"]} & there:
            found[str(name)] = str(homes[0])
    return found


class _Trials:
    """What use cases of a case cost on other platforms and, as far as it goes, on what stands of their own; each V is computed once."""

    def __init__(self, case: Case, values: Values, cells: Cells, period: str) -> None:
        self.case, self.values, self.cells, self.period = case, values, cells, period
        self.rework = rework_of(case.streams, cells, case, {})
        self.beside = penalties_usd(cells.penalties, planned=True)
        self.once = cells.penalties.set_index(KEYS)["porting_usd"].groupby(level=[0, 1]).first()
        self._known: dict[tuple[str, str], float] = {}

    def of(self, name: str, home: str, others: Sequence[str]) -> list[dict[str, object]]:
        """A row of `COLUMNS` for each other platform that may save something."""
        shares, others = self._shares(name, home), [other for other in others if other != home]
        if not others or not any(share.any() for share in shares.values()):
            return []
        guests = [guest_of(self._cell(name, home), region, share) for region, share in shares.items()]
        rework, here = sum(self.rework(guest) for guest in guests), self._now(shares, home)
        left = self._split(name, shares, others[0], home)
        rows = []
        for other in others:
            more = float(self.beside.get((name, other), 0.0)) - float(self.beside.get((name, home), 0.0)) + rework
            now = here + self._now(shares, other)
            if not here - left - more > LEAST_SHARE * now:
                continue  # not even if the rest cost nothing there
            saving = now - left - self._split(name, shares, other, other) - more
            if np.isfinite(saving):
                rows.append(dict(zip(COLUMNS, (name, home, other, saving, now), strict=True)))
        return rows

    def _shares(self, name: str, home: str) -> dict[str, np.ndarray]:
        """Part of the work of a use case that what stands of its platform holds beside all others, [T + 1] by region."""
        streams, cell = self.case.streams, self._cell(name, home)
        mine = (streams.table["use_case_id"] == name).to_numpy()
        idle = idle_for(rebuilt(self.case, self.case.plan, streams.take(np.flatnonzero(~mine))), self.cells)
        porting = float(self.once.get((name, home), 0.0))
        first = first_month(self.case, self.cells, cell, porting, self.period)
        none, found = np.zeros(len(streams.months)), {}
        for region in streams.table.loc[mine, "region"]:
            there = idle.get((region, home), none)
            room = np.minimum(room_on(streams, cell, region, there, first, self.case, self.cells), 1.0)
            found[str(region)] = np.concatenate([room[1:2], room[1:]])
        return found

    def _split(self, name: str, shares: Mapping[str, np.ndarray], other: str, chip: str) -> float:
        """V of a platform in some regions where a use case keeps `shares` of its work at home and runs the rest on another one."""
        guests = [guest_of(self._cell(name, other), region, 1.0 - share) for region, share in shares.items()]
        streams = with_guests(self.case.streams, guests, self.cells.accelerators, self.case.plan)
        return sum(self.values.of_place(streams, (region, chip)) for region in shares)

    def _now(self, regions: Iterable[str], chip: str) -> float:
        places = [(region, chip) for region in regions]
        for place in places:
            if place not in self._known:
                self._known[place] = self.values.of_place(self.case.streams, place)
        return sum(self._known[place] for place in places)

    def _cell(self, name: str, chip: str) -> pd.Series:
        rows = self.cells.capacity
        return rows[(rows["use_case_id"] == name) & (rows["accelerator_id"] == chip)].iloc[0]
