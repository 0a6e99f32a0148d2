"""Stage 3 in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.benchmark import Benchmark
from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.hosted_today import closed_today
from aifactory.inventory.today import baseline_accelerators, todays_platforms
from aifactory.shortlist import matrix, migration, money, outcome, robustness, scales, scorecard
from aifactory.shortlist.exclusions import KEYS, find_exclusions
from aifactory.shortlist.knowledge import benchmark_costs, platform_knowledge
from aifactory.shortlist.plan_terms import Market, market_of
from aifactory.shortlist.sharing import Shared, pools_of, priced_beside, settle, winner_beside


@dataclass(frozen=True)
class Shortlist:
    """Result of the shortlist stage."""

    matrix: pd.DataFrame
    criteria: pd.DataFrame
    scorecard: pd.DataFrame
    scorecard_long: pd.DataFrame
    penalties: pd.DataFrame
    exclusions: pd.DataFrame
    choice: pd.DataFrame
    pilots: pd.DataFrame
    anchors: pd.DataFrame
    robustness: robustness.Robustness
    migrations: pd.DataFrame
    architecture: pd.DataFrame
    today: pd.DataFrame  # what each use case runs on, see `todays_platforms`
    knowledge: pd.DataFrame  # worth of a benchmark over the choice of platform less its cost, USD over the horizon


def build_shortlist(ws: Workspace, inventory: Inventory, benchmark: Benchmark) -> Shortlist:
    """Exclude, price, score and decide every workload x platform cell, test the ranking, and choose per use case."""
    market = open_market(ws, inventory, benchmark)
    return decide_shortlist(market, benchmark, money.buy_cells(market, benchmark.capacity))


def open_market(ws: Workspace, inventory: Inventory, benchmark: Benchmark) -> Market:
    """The offers for the use cases that have not ended."""
    ws = ws.without_ended()
    return market_of(ws, inventory, baseline_accelerators(ws, benchmark.capacity), benchmark.capacity)


def decide_shortlist(market: Market, benchmark: Benchmark, bought: pd.DataFrame, *, apart: bool = False) -> Shortlist:
    """The shortlist once the accelerators of every cell are priced: `bought` as of `money.buy_cells`.

    apart : no use case shares nodes with another.
    """
    ws, inventory = market.ws, market.inventory
    penalties = money.horizon_costs(ws, inventory, bought)
    exclusions = find_exclusions(ws, benchmark.capacity, penalties)
    scored = matrix.score_matrix(ws, inventory, benchmark, penalties)
    cells = matrix.decide(ws, scored, exclusions)
    card, long = scorecard.score_vendors(ws, cells, penalties)
    shared = Shared(market, cells, penalties, exclusions, apart=apart)
    home = settle(shared, pools_of(cells, penalties), winner_beside(ws, shared, cells, penalties, exclusions))
    penalties, alone = priced_beside(shared, penalties, home), cells
    cells = matrix.with_cost(cells, penalties, market.today, money.billed_usd(ws, inventory))
    firm, apart = (robustness.rank_robustness(ws, table, exclusions) for table in (cells, alone))
    firm = robustness.held_by(firm, home, apart)
    choice = outcome.choose(cells, penalties, firm, home)
    may = cells.loc[cells["decision"] == "choose", KEYS].itertuples(index=False, name=None)
    held = choice.set_index("use_case_id")["beside_usd"].dropna().to_dict()
    pilots = outcome.plan_pilots(ws, cells, penalties, choice)
    before = cells["decision"]
    cells, pilots = outcome.drop_hopeless(cells, penalties, choice, pilots)
    if (cells["decision"] != before).any():  # no run on a platform that cannot pay decides anything
        firm, choice = robustness.decided_again(firm, choice, robustness.rank_robustness(ws, cells, exclusions))
    anchors = pd.DataFrame(
        [(name, ws.plan.matrix_weights.get(name, np.nan), scales.ANCHOR_TEXT[name]) for name in MATRIX_CRITERIA],
        columns=["criterion", "weight", "anchors"],
    )
    return Shortlist(
        matrix=cells, criteria=matrix.criteria_with_evidence(ws, cells), scorecard=card, scorecard_long=long,
        penalties=penalties, exclusions=exclusions, choice=choice, pilots=pilots, anchors=anchors, robustness=firm,
        migrations=migration.plan_migrations(ws, inventory, cells, money.in_shared_nodes(penalties, own_nodes=True), exclusions),
        architecture=outcome.architecture(choice, pilots, {chip: shared.together(chip, home) for chip in set(home.values())}),
        today=todays_platforms(ws, sorted(set(benchmark.capacity["use_case_id"]) - closed_today(ws))),
        knowledge=platform_knowledge(penalties, exclusions, benchmark_costs(ws, cells), tuple(may), held),
    )  # fmt: skip
