"""Hosted models as an option of the optimiser: what it would send there, hour by hour, and how orders would change.

Work beyond the committed fleet may go to a hosted model where the workspace prices the same model and its residency rule
allows it. The price of an accelerator-hour of a stream in a month is

    USD per unit x units an accelerator-hour yields x average accelerators at work / accelerators it occupies,

the last factor because a hosted model is paid by the unit while a fleet holds whole nodes. A node that work without a
hosted price fills in part is paid in full whatever goes elsewhere (`futures.block_demand`). Hosted models were not
benchmarked on the organisation's prompts, so the plan itself does not use them; the same search with them allowed says
what that caution costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case
from aifactory.buyplan.choose import LAST_GAP, Chosen
from aifactory.buyplan.compare import HOSTED, hosted_path, worse_policies
from aifactory.buyplan.duties import worth_a_test
from aifactory.buyplan.futures import block_demand
from aifactory.buyplan.governance import HOSTED_FIRST_OF_PLAN, HOSTED_FIRST_SHARE, TEST_FIRST, money
from aifactory.buyplan.optimise.closed_form import ClosedFormRecourse, has_closed_form
from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.reference import instead_usd
from aifactory.buyplan.stress.replan import Replanner
from aifactory.buyplan.stress.world import world_of
from aifactory.finance.cashflow import npv
from aifactory.units import SECONDS_PER_HOUR, few, monthly_rate, percent

COLUMNS = ["use_case_id", "api_model", "provider", "hosted_share", "hosted_usd", "moving_usd", "source", "as_of", "confidence", "next_times"]  # fmt: skip


#: Confidence of a price that was seen and not only claimed; how much dearer the next seller must be to be told of.
MEASURED, MUCH_DEARER = "measured", 1.5


@dataclass(frozen=True)
class Hosted:
    """The best plan with hosted models allowed, beside the plan without.

    Attributes
    ----------
    table : one row per use case with a price: share of its work that goes to the hosted model over all paths, what is paid
        for it and for moving to a successor (mean of the paths, present value), and where the price comes from.
    plan_usd, hosted_usd : risk-weighted cost without and with them, missed demand counted.
    orders_usd : orders fewer (above 0) or more, with the people and storage around them, present value.
    """

    table: pd.DataFrame
    plan_usd: float
    hosted_usd: float
    orders_usd: float

    @property
    def saving_share(self) -> float:
        """Share of the risk-weighted cost that hosted models would save."""
        return 1.0 - self.hosted_usd / self.plan_usd if self.plan_usd > 0 else 0.0

    def first_sentence(self, plan_usd: float = 0.0) -> str:
        """The test that comes before any signature, where hosted models would save `HOSTED_FIRST_SHARE` of the cost; else empty.

        It is left out too where they save less than `HOSTED_FIRST_OF_PLAN` of `plan_usd`, the present value of all that the plan costs.
        """
        used, saved = self._used(), self.plan_usd - self.hosted_usd
        if used.empty or self.saving_share < HOSTED_FIRST_SHARE or saved < HOSTED_FIRST_OF_PLAN * plan_usd:
            return ""
        return (
            f"{TEST_FIRST} before signing: with {self._parts(used)} there, new orders and rented hours would cost "
            f"{percent(self.saving_share)} less, people and storage included, {money(self.plan_usd - self.hosted_usd)} of {money(self.plan_usd)} of present value, weighed for risk "
            f"({self._source(used)})."
        )

    def _used(self) -> pd.DataFrame:
        return worth_a_test(self.table)

    @staticmethod
    def _parts(used: pd.DataFrame) -> str:
        return few([f"{percent(row.hosted_share)} of {row.use_case_id}" for row in used.itertuples()])

    @staticmethod
    def _source(used: pd.DataFrame) -> str:
        who, day = ", ".join(dict.fromkeys(used["provider"])), pd.to_datetime(used["as_of"]).min()
        doubt = "" if (used["confidence"] == MEASURED).all() else ", not verified"
        times = used["next_times"].max()
        rival = f"; the next seller asks up to {times:.1f} times as much" if times > MUCH_DEARER else ""
        return f"prices of {who}, {day:%Y-%m-%d}{doubt}{rival}"

    def sentence(self) -> str:
        """What the optimiser would do with them."""
        if self.table.empty:
            return ""
        used = self._used()
        if used.empty or self.saving_share <= 0:
            names = few(list(self.table["use_case_id"]))
            return f"Hosted models are priced for {names}; the optimiser would send nothing there."
        change = f"order {money(abs(self.orders_usd))} {'less' if self.orders_usd >= 0 else 'more'} (present value, people and storage included)"
        change = change if abs(self.orders_usd) >= 1.0 else "leave the orders as they are"
        return (
            f"With hosted models allowed the optimiser would send {self._parts(used)} there, {change} and cut the risk-weighted cost of orders and rented hours "
            f"by {percent(self.saving_share)}, {money(self.plan_usd - self.hosted_usd)} of {money(self.plan_usd)} "
            f"({', '.join(dict.fromkeys(used['api_model'].str.split('/').str[-1]))}; {self._source(used)}). "
            "Hosted models were not benchmarked on our prompts, so the plan does not rely on them: decide on a test."
        )


def hosted_option(case: Case, chosen: Chosen | None, wanted: np.ndarray, api: pd.DataFrame) -> Hosted | None:
    """Plan with hosted models allowed, from where the plan is; None where platforms cannot be planned one by one.

    What they save is counted on the demand that is cut for them (`block_demand` with streams that may leave), with and without
    them: that cut alone moves the cost, since parts of a node on spot become hours of the work that stays.

    Parameters
    ----------
    wanted : [S, T, K] average accelerators at work, which the demand of the plan was rounded from.
    api : `api_frame`, the price of a unit by use case.
    """
    if chosen is None or not has_closed_form(chosen.problem):
        return None
    nodes = chosen.best.nodes
    price, moving = (part[1:] for part in hosted_path(case, api))
    apart = block_demand(case, wanted, may_leave=np.isfinite(price).any(axis=0))
    problem = replace(chosen.problem, demand=apart)
    offered = replace(problem, api_usd=hosted_usd_per_hour(case, problem, wanted, price))
    search = Replanner(world_of(offered), nodes, LAST_GAP)
    if not search.separable:
        return None
    found = search.best(gap=LAST_GAP)
    hours, usd = _sent(offered, found.nodes)
    rate = monthly_rate(case.plan.value("wacc"))
    once = np.array([npv(np.append(0.0, column), rate) for column in moving.T]) * (hours.sum(axis=0) > 0)
    total = (problem.demand @ problem.block_hours).mean(axis=0).sum(axis=0)
    by = pd.DataFrame({"use_case_id": case.streams.table["use_case_id"], "sent": hours.sum(axis=0), "all": total,
                       "hosted_usd": usd, "moving_usd": once}).groupby("use_case_id", as_index=False).sum()  # fmt: skip
    table = api[np.isfinite(api["api_usd_per_unit"])].merge(by, on="use_case_id")
    table = table.assign(hosted_share=table["sent"] / table["all"].where(table["all"] > 0)).fillna(
        {"hosted_share": 0.0}
    )
    change = float(problem.order_usd @ (nodes[: len(problem.orders)] - found.nodes[: len(problem.orders)]))
    table = (
        table.sort_values("hosted_usd", ascending=False, kind="stable").reindex(columns=COLUMNS).reset_index(drop=True)
    )
    plan_usd, apart_usd = chosen.best.cost.objective_usd, evaluate_plan(problem, nodes).objective_usd
    return Hosted(table, plan_usd, plan_usd - (apart_usd - found.objective_usd - float(once.sum())), change)


def hosted_usd_per_hour(case: Case, problem: Problem, wanted: np.ndarray, price: np.ndarray) -> np.ndarray:
    """[S, T, K] USD of an occupied accelerator-hour at hosted prices [T, K] of each month's units; infinite where there is none.

    Of units that have grown in size an accelerator-hour yields fewer.
    """
    table = case.streams.table
    yields = (table["units_per_s_per_accelerator"] * SECONDS_PER_HOUR / table["load_factor"]).to_numpy(dtype=float)
    occupied = problem.demand @ (problem.block_hours / np.sum(problem.block_hours))
    whole = np.divide(wanted, occupied, out=np.ones_like(occupied), where=occupied > 0)
    return np.where(np.isfinite(price), np.nan_to_num(price) * yields / case.streams.size[1:] * whole, np.inf)


def _sent(problem: Problem, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean hours of each stream that go to its hosted model [T, K], and their mean present value [K]."""
    usd = instead_usd(problem).max(axis=-1)
    hosted = problem.api_usd * np.max(problem.rate, axis=1)
    hours = ClosedFormRecourse(problem).unserved_hours(problem.capacity(nodes)) * (hosted <= usd)
    paid = np.where(hours > 0, hours * np.where(np.isfinite(hosted), hosted, 0.0), 0.0)
    return hours.mean(axis=0), np.einsum("stk,t->k", paid, problem.discount[:-1]) / problem.paths


def in_order(
    first: Sequence[str], warnings: Sequence[str], comparisons: pd.DataFrame, hosted: Hosted | None
) -> list[str]:
    """What to know before signing: `first`, then `warnings`, then what other policies and hosted models would cost.

    Hosting that costs far less stands in the decision itself. Of hosted models the optimiser speaks where it was asked,
    else the comparison of whole use cases.
    """
    moved = comparisons["policy"].str.startswith(HOSTED)
    said = hosted.sentence() if hosted else ""
    others = [*worse_policies(comparisons[~moved]), said] if said else worse_policies(comparisons)
    return list(dict.fromkeys([*first, *warnings, *others]))
