"""What each stress does to the plan: cost, missed demand, whether it survives, regret, and the best response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from aifactory.buyplan.stress.basis import StressBasis
from aifactory.buyplan.stress.replan import Replanned, Replanner
from aifactory.buyplan.stress.stresses import Stress, Stressed, stressed, stresses_of
from aifactory.buyplan.stress.world import Outcome, World, carry, outcome, within_reach
from aifactory.finance.options import OPTION_NAMES

#: A plan survives where its mean cost stays below the mean of its worst paths without stress, and no more than this
#: share of the demand is missed beyond what is missed without stress.
MOST_MISSED = 0.01
#: Another order is worth words where it saves at least this share of the cost; orders named at most.
WORTH_SAYING, ORDERS_NAMED = 0.002, 2
KEEP = "Keep the orders."


@dataclass(frozen=True)
class StressTest:
    """The plan under every stress.

    Attributes
    ----------
    base : the plan where nothing happens.
    table : one row per stress, dearest change first: stress, what, source, owner_role, subject, cost_usd (weighed:
        mean and worst overruns), change_usd and change_share against no stress, expected_change_usd, missed_hours,
        missed_share, penalty_usd, exceeds_share (of the paths, above the mean of the worst paths without stress),
        survives, known_usd (best plan that knows the stress), regret_usd and regret_share against it, bound_usd
        (no plan costs less), adapted_usd (orders from the month of the stress on planned anew), saved_usd by that,
        response.
    """

    base: Outcome
    base_known: Replanned
    table: pd.DataFrame


def run_stresses(basis: StressBasis, stresses: Sequence[Stress] | None = None) -> StressTest:
    """Put the plan of a basis through stresses, on its paths and with its evaluator."""
    plain = stressed(basis, 0)
    base, anew = outcome(plain.world, plain.nodes), Replanner(plain.world, plain.nodes)
    calm = _Calm(base, anew)
    rows = [_row(basis, base, stress, stress.apply(basis), calm) for stress in stresses or stresses_of(basis.problem)]
    table = pd.DataFrame(rows).sort_values("change_usd", ascending=False, kind="stable", ignore_index=True)
    return StressTest(base, calm.known, table)


class _Calm:
    """Planning anew where nothing happens: what it would save anyway."""

    def __init__(self, base: Outcome, anew: Replanner) -> None:
        self.base, self.anew, self._saved = base, anew, {}

    @cached_property
    def known(self) -> Replanned:
        """The best plan."""
        return self.anew.best()

    def saved(self, month: int) -> float:
        """Saved by planning anew from a month on, USD."""
        if month not in self._saved:
            found = self.anew.best(month) if month else self.known
            self._saved[month] = self.base.objective_usd - found.objective_usd
        return self._saved[month]


def _row(basis: StressBasis, base: Outcome, stress: Stress, case: Stressed, calm: _Calm) -> dict[str, object]:
    world, found = case.world, outcome(case.world, case.nodes)
    anew = Replanner(within_reach(world, case.nodes), case.nodes)
    known = anew.best()
    adapted = anew.best(case.month) if case.month else known
    adapted_usd = adapted.objective_usd + world.sunk_usd
    # What is known early may also be done late: the best that is known is no dearer.
    best_usd = min(known.objective_usd + world.sunk_usd, adapted_usd)
    change, saved = found.objective_usd - base.objective_usd, found.objective_usd - adapted_usd
    survives = found.expected_usd <= base.tail_usd and found.missed_share <= base.missed_share + MOST_MISSED
    return {
        "stress": stress.name,
        "what": stress.what,
        "subject": case.detail,
        "source": stress.source,
        "owner_role": stress.owner_role,
        "cost_usd": found.objective_usd,
        "change_usd": change,
        "change_share": change / base.objective_usd if base.objective_usd else np.nan,
        "expected_change_usd": found.expected_usd - base.expected_usd,
        "missed_hours": found.missed_hours,
        "missed_share": found.missed_share,
        "penalty_usd": found.penalty_usd,
        "exceeds_share": float((found.by_path_usd > base.tail_usd).mean()),
        "survives": bool(survives),
        "known_usd": best_usd,
        "bound_usd": known.bound_usd + world.sunk_usd,
        "regret_usd": found.objective_usd - best_usd,
        "regret_share": found.objective_usd / best_usd - 1 if best_usd else np.nan,
        "adapted_usd": adapted_usd,
        "saved_usd": saved,
        "response": _response(basis, case, known, adapted, saved, found.objective_usd - best_usd, calm),
    }


def _response(
    basis: StressBasis, case: Stressed, known: Replanned, adapted: Replanned, saved: float, regret: float, calm: _Calm
) -> str:
    """What to order otherwise from the month of the stress on, else before it, in words; the largest changes only.

    What the same planning would save without the stress is no response to it.
    """
    least = WORTH_SAYING * abs(adapted.objective_usd + case.world.sunk_usd)
    label = basis.months[min(case.month, len(basis.months) - 1)]
    if saved > least and saved - calm.saved(case.month) > least:
        return f"From {label}: {_order_changes(basis, case.world, adapted.nodes - case.nodes)}."
    if regret - calm.saved(0) > least:
        before = carry(basis.problem, calm.known.nodes, case.world)
        return f"{KEEP} Known before: {_order_changes(basis, case.world, known.nodes - before)}."
    return KEEP


def _order_changes(basis: StressBasis, world: World, moved: np.ndarray) -> str:
    """Accelerators more or fewer by option and platform, those of the most money first."""
    rows = [
        (option.name, option.platform, count * world.node_size[option.platform], abs(count) * world.order_usd[at])
        for at, ((option, _), count) in enumerate(zip(world.orders, moved, strict=True)) if count
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["name", "platform", "accelerators", "usd"])
    sums = frame.groupby(["name", "platform"], as_index=False).sum()
    sums = sums[sums["accelerators"] != 0].sort_values("usd", ascending=False, kind="stable")
    named = sums.head(ORDERS_NAMED)[["name", "platform", "accelerators"]].itertuples(index=False, name=None)
    return "; ".join(_words(basis, *row) for row in named) or "other months for the same orders"


def _words(basis: StressBasis, name: str, platform: int, accelerators: float) -> str:
    pool = basis.pools.iloc[platform]
    base, _, rest = name.partition(" of the ")
    way = OPTION_NAMES.get(base, base)
    way = way[:1].lower() + way[1:] + (f" of the {rest}" if rest else "")
    more = "more" if accelerators > 0 else "fewer"
    return f"{abs(accelerators):,.0f} {more} {pool['accelerator_id']} in {pool['region']} ({way})"
