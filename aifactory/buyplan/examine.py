"""Questions to the plan: risk against cost, limits, steadiness, what the shortlist left out, and second platforms for peaks."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from aifactory.buyplan.choose import Chosen
from aifactory.buyplan.excluded import Cells, value_excluded
from aifactory.buyplan.keep import KEEP_SHARE
from aifactory.buyplan.limit_values import limit_values
from aifactory.buyplan.optimise.closed_form import has_closed_form
from aifactory.buyplan.peaks import value_peaks
from aifactory.buyplan.stress.frontier import risk_frontier
from aifactory.buyplan.stress.stability import plan_stability
from aifactory.demand.scenarios import Paths


@dataclass(frozen=True)
class ExamineBasis:
    """The chosen orders, the demand they were chosen for, what is known of other platforms, and what is sold."""

    chosen: Chosen
    paths: Paths
    cells: Cells
    offers: pd.DataFrame  # `aifactory.finance.prices.node_offers`


@dataclass(frozen=True)
class Examination:
    """Tables of the questions; columns as their functions say."""

    frontier: pd.DataFrame  # `risk_frontier`
    limits: pd.DataFrame  # `limit_values`
    stability: pd.DataFrame  # `plan_stability`
    excluded: pd.DataFrame  # `value_excluded`
    peaks: pd.DataFrame  # `value_peaks`
    risk_weight: float
    tail: float


def examine_plan(basis: ExamineBasis) -> Examination | None:
    """Ask a plan its questions; None where platforms cannot be planned one by one (shared work)."""
    problem, nodes = basis.chosen.problem, basis.chosen.best.nodes
    if not has_closed_form(problem):
        return None
    asked = (basis.chosen.case, basis.paths, problem, nodes, basis.cells)
    return Examination(
        frontier=risk_frontier(problem, nodes),
        limits=limit_values(basis.chosen),
        stability=plan_stability(problem, nodes, most=KEEP_SHARE),
        excluded=value_excluded(*asked),
        peaks=value_peaks(*asked, basis.offers),
        risk_weight=problem.risk_weight,
        tail=problem.tail,
    )
