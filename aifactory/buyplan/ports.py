"""Whether a use case is ported at all: the shortlist's platform against one that needs no port, in the plan itself.

Who charges what. The shortlist prices every cell in the expected scenario, beside the other use cases, porting, delay and rework
included, and chooses by that price or by score. The plan knows more: demand has many paths, orders have budgets. Here each use case whose chosen
platform needs porting is planned once more on a platform without, with the measure of `excluded`,

    saving of staying = V(chosen, with u) + V(other, without u) - V(chosen, without u) - V(other, with u) + once(chosen) - once(other),

where once is what the shortlist charges beside compute: porting, delay, rework, missed targets; what the months until the port ends cost is in V. A use case stays where that
is above `LEAST_SHARE` of the cost of the platforms concerned; one after the other, the largest saving first. The ledger then
charges the porting of those that are ported once, at approval, and the rework of every use case month by month on its platform; delay and
missed targets are no payment. Until the
port ends `until_ported` says what runs where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case
from aifactory.buyplan.duties import PORT
from aifactory.buyplan.excluded import Cells, Values, penalties_usd, weighed
from aifactory.buyplan.futures import problem_of
from aifactory.buyplan.governance import money
from aifactory.buyplan.optimise.extensive import largest_orders
from aifactory.buyplan.optimise.limits import relaxed
from aifactory.buyplan.stress.replan import replan
from aifactory.buyplan.stress.world import world_of
from aifactory.demand.scenarios import Paths
from aifactory.inputs.plan import Plan
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.outcome import SCORED_ABOVE, contenders
from aifactory.units import percent

if TYPE_CHECKING:
    from aifactory.buyplan.until_ported import UntilPorted

#: Saving, as a share of the cost of the platforms concerned, from which a use case is not ported: less is chance.
LEAST_SHARE = 0.005
#: Share of the cost of the plan that must be at stake for a move or a port to be told in words.
NAMED_SHARE = 0.001
COLUMNS = ["use_case_id", "chosen_id", "other_id", "ported", "by_score", "porting_usd", "saving_usd", "at_stake_usd"]
NOT_WORTH = "porting does not pay in the plan"


@dataclass(frozen=True)
class Ports:
    """Which use cases are ported.

    Attributes
    ----------
    choice : choice of the shortlist, with the other platform where a use case is not ported.
    table : one row per use case whose chosen platform needs porting: `chosen_id`, `other_id` (the best platform without
        porting, empty where there is none), whether it is `ported`, its one-off cost, what not porting saves
        (`saving_usd`, below 0 where it costs more), the cost that it is a share of, and whether the shortlist chose it `by_score`
        though another cost less: that stands.
    """

    choice: pd.DataFrame
    table: pd.DataFrame

    def reasons(self) -> dict[tuple[str, str], str]:
        """Why the plan does not use the platform that the shortlist chose, by use case and accelerator."""
        stays = self.table[~self.table["ported"].astype(bool)]
        return {(row.use_case_id, row.chosen_id): NOT_WORTH for row in stays.itertuples()}

    def sentences(
        self,
        plan: Plan,
        classes: pd.Series,
        period: str,
        plan_usd: float,
        starts: Mapping[str, str] | None = None,
        billed_usd: Mapping[str, float] | None = None,
        until: UntilPorted | None = None,
    ) -> tuple[list[str], list[str]]:
        """What is ported, what that costs and when it is done, and what is not; and those of little money as one.

        By the money at stake, most first: what the port costs, or what staying saves or costs more. Little is below
        `NAMED_SHARE` of the plan's cost `plan_usd` (present value). `classes`: platform class by accelerator; `starts`: first
        month of the use cases that do not run yet, were there no port; `billed_usd`: what the bill of the period charges them;
        `until`: where they run until then.
        """
        begins, bill = starts or {}, billed_usd or {}
        usd = self.table[["porting_usd", "saving_usd"]].astype(float).abs().max(axis=1)
        most_first = usd.sort_values(ascending=False, kind="stable")
        named = self.table.loc[most_first.index[most_first >= NAMED_SHARE * plan_usd]]
        told = [
            _ported(
                row,
                ready_month(plan, classes, row.use_case_id, row.chosen_id, period),
                begins.get(row.use_case_id),
                _until(row, until, _billed(bill.get(row.use_case_id, np.nan), period)),
            )
            if row.ported
            else _stays(row)
            for row in named.itertuples()
        ]
        small = self.table.drop(index=named.index)
        return told, [_of_little_money(small)] if len(small) else []

    def dates(self, plan: Plan, classes: pd.Series, period: str, owners: pd.Series) -> list[tuple]:
        """Rows of the calendar, one for every port; `owners`: role by use case."""
        return [
            (
                ready_month(plan, classes, row.use_case_id, row.chosen_id, period).end_time.normalize(),
                f"Port {row.use_case_id} to {row.chosen_id}: {_work(row)}",
                owners.get(row.use_case_id, ""),
                "begun on approval of the plan; what is ordered for it counts on this date",
                PORT,
                f"port|{row.use_case_id}|{row.chosen_id}",
            )
            for row in self.table[self.table["ported"].astype(bool)].itertuples()
        ]


def decide_ports(
    case: Case,
    rebuild: Callable[[pd.DataFrame], Case],
    *,
    choice: pd.DataFrame,
    matrix: pd.DataFrame,
    today: pd.Series,
    cells: Cells,
    paths: Paths,
) -> Ports:
    """Decide port by port; nothing is planned where no chosen platform needs porting.

    Parameters
    ----------
    case, rebuild : the case of `choice`, and what makes one of any other choice.
    matrix : cells of the shortlist with decision, score and evidence.
    today : accelerator that each use case runs on now; one without exclusion and of known capacity may always stay.
    """
    porting = cells.penalties.set_index(KEYS)["porting_usd"].fillna(0.0).groupby(level=[0, 1]).first()
    asked = {
        row.use_case_id: row.accelerator_id
        for row in choice.itertuples()
        if (porting.get((row.use_case_id, row.accelerator_id), 0.0) > 0 or _waited(case, cells, row) > 0)
        and row.use_case_id in set(case.streams.table["use_case_id"])
    }
    scored = set(choice.loc[choice["reason"].str.startswith(SCORED_ABOVE), "use_case_id"])
    others = {
        name: [at for at in without_ports(name, matrix, cells, today, porting) if at != asked[name]]
        for name in asked
        if name not in scored
    }
    rows: dict[str, dict] = {}
    while open_ports := [name for name in asked if name not in rows or rows[name]["ported"]]:
        values = quick_values(case, paths, cells) if any(others.get(name) for name in open_ports) else None
        for name in open_ports:
            facts = {"use_case_id": name, "chosen_id": asked[name], "ported": True, "by_score": name in scored}
            usd = {"porting_usd": float(porting[name, asked[name]])}
            rows[name] = facts | usd | _other(name, asked[name], others.get(name, []), values, cells)
        pays = [row for row in rows.values() if row["ported"] and row["saving_usd"] > LEAST_SHARE * row["at_stake_usd"]]
        if not pays:
            break
        best = max(pays, key=lambda row: row["saving_usd"])
        best["ported"] = False
        mine = choice["use_case_id"] == best["use_case_id"]
        choice = choice.assign(accelerator_id=choice["accelerator_id"].mask(mine, best["other_id"]))
        case = rebuild(choice)
    return Ports(choice, pd.DataFrame(list(rows.values()), columns=COLUMNS).astype({"ported": bool, "by_score": bool}))


def platform_classes(accelerators: pd.DataFrame) -> pd.Series:
    """Class of platform by accelerator."""
    return accelerators.drop_duplicates("accelerator_id").set_index("accelerator_id")["platform_class"]


def ready_month(plan: Plan, classes: pd.Series, use_case_id: str, accelerator_id: str, period: str) -> pd.Period:
    """Last month of the work of a port (`Plan.months_to_port`)."""
    return pd.Period(period, "M") + plan.months_to_port(use_case_id, str(classes.get(accelerator_id, "")), period)


def _waited(case: Case, cells: Cells, row: tuple) -> int:
    """Months until a port that is under way ends; 0 where none is, or it has ended."""
    of = str(platform_classes(cells.accelerators).get(row.accelerator_id, ""))
    at = row.use_case_id, of, case.streams.months[0]
    return 0 if case.plan.port_begun(*at) is None else case.plan.months_to_port(*at)


def without_ports(name: str, matrix: pd.DataFrame, cells: Cells, today: pd.Series, porting: pd.Series) -> list[str]:
    """Platforms without porting that the shortlist would choose from, and today's."""
    joined = matrix.merge(cells.penalties[[*KEYS, "total_usd"]], on=KEYS, how="left")
    mine = joined[joined["use_case_id"] == name]
    able = cells.capacity[(cells.capacity["use_case_id"] == name) & (cells.capacity["units_per_s_per_accelerator"] > 0)]
    barred = set(cells.exclusions.loc[cells.exclusions["use_case_id"] == name, "accelerator_id"])
    named = [*contenders(mine)[0]["accelerator_id"], *([today[name]] if name in today else [])]
    known = set(able["accelerator_id"]) - barred
    return [at for at in dict.fromkeys(named) if at in known and porting.get((name, at), np.nan) == 0.0]


def quick_values(case: Case, paths: Paths, cells: Cells) -> Values:
    """Values of platforms at the weights of a quick plan of the case."""
    problem = problem_of(case, paths)
    nodes = np.zeros(len(problem.orders))
    if len(nodes):
        problem = relaxed(problem, largest_orders(problem))[0]
        nodes = replan(world_of(problem), nodes).nodes
    return Values(case, weighed(paths, problem, nodes), cells)


def _other(name: str, chosen: str, others: list[str], values: Values | None, cells: Cells) -> dict:
    """The best of the other platforms, what staying on it saves, and the cost of the platforms concerned."""
    beside, found = penalties_usd(cells.penalties, planned=True), []
    known = cells.capacity[cells.capacity["use_case_id"] == name].set_index("accelerator_id", drop=False)
    for other in others if values else []:
        now, moved = values.of_move(next(known.loc[[other]].itertuples(index=False)))
        if np.isfinite(now) and np.isfinite(moved):
            more = float(beside.get((name, other), 0.0)) - float(beside.get((name, chosen), 0.0))
            found.append((now - moved - more, other, now))
    saving, other, now = max(found, default=(np.nan, "", np.nan))
    return {"other_id": other, "saving_usd": saving, "at_stake_usd": now}


def _work(row: tuple) -> str:
    return f"{money(row.porting_usd)} of work" if row.porting_usd > 0 else "work under way and paid"


def _billed(usd: float, period: str) -> str:
    """What a month costs where the work runs now; empty where no bill says so."""
    return f" for {money(usd)} a month by the bill of {period}" if usd > 0 else ""


def _until(row: tuple, until: UntilPorted | None, billed: str) -> str:
    """Where a use case runs until its port ends, and at which price."""
    stays = until.stays_on(row.use_case_id) if until else []
    waits = until.waits_in(row.use_case_id) if until else []
    late = f"; in {', '.join(waits)} it starts after that" if waits else ""
    if until and until.leaves_hosted(row.use_case_id):
        return f"until then it stays on its hosted model{billed}, and neither cost nor value of that is in the plan"
    if not stays:
        return f"until then it runs where it does now{billed}, which this plan counts at the price of {row.chosen_id}{late}"
    rest = f", as far as hours are sold or kit stands there, and the rest at that of {row.chosen_id}"
    partly = rest if row.use_case_id in until.counted else ""
    return f"until then it stays on {', '.join(stays)}{billed}, counted at the plan's price of that{partly}{late}"


def _ported(row: tuple, ready: pd.Period, starts: str | None, until: str = "") -> str:
    """`starts`: month in which a use case starts that does not run yet; None for one that does, which runs `until` then somewhere."""
    paid = (
        f"for {money(row.porting_usd)}, paid at approval"
        if row.porting_usd > 0
        else "by work that is under way and paid"
    )
    told = f"{row.use_case_id} is ported to {row.chosen_id} {paid}: {_because(row)}. The work ends in {ready}"
    if starts is None:
        return f"{told}; {until}."
    if starts > str(ready):
        return f"{told}; it starts in {starts}."
    return f"{told}: it starts in {ready + 1} instead of {starts}, and what it would cost and yield before is not in the plan."


def _of_little_money(ports: pd.DataFrame) -> str:
    done = ports["ported"].astype(bool)
    said = [f"{name} to {chosen}" for name, chosen in zip(ports["use_case_id"], ports["chosen_id"], strict=True)]
    made = [text for text, mine in zip(said, done, strict=True) if mine]
    left = [text for text, mine in zip(said, done, strict=True) if not mine]
    parts = [f"done for {money(ports.loc[done, 'porting_usd'].sum())}: {', '.join(made)}"] * bool(made)
    parts += [f"not done: {', '.join(left)}"] * bool(left)
    return f"Ports with less than {percent(NAMED_SHARE)} of the plan's cost at stake (see table ports), {'; '.join(parts)}."


def _because(row: tuple) -> str:
    if row.by_score:
        return "it leads by score, though another platform costs less"
    if not row.other_id:
        return "no platform that needs no porting is left to choose from"
    if row.saving_usd > 0:
        return f"on {row.other_id}, which needs no port, it would save only {money(row.saving_usd)} at present value"
    return f"on {row.other_id}, which needs no port, it would cost {money(-row.saving_usd)} more at present value"


def _stays(row: tuple) -> str:
    return (
        f"{row.use_case_id} is not ported to {row.chosen_id}, which the shortlist chose: on {row.other_id} the plan "
        f"costs {money(row.saving_usd)} less at present value, porting of {money(row.porting_usd)} and what goes with it included."
    )
