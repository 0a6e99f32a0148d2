"""A company with work that may run elsewhere for some months: chat and training on `acc`, beside it `old` of half its rate."""

from dataclasses import replace

import numpy as np
import pandas as pd
from bp_company import PERIOD, TODAY, make_case, make_plan, make_prices
from test_futures import paths_of
from test_placed import book_of, order

from aifactory.buyplan.case import rebuilt, solve_expected
from aifactory.buyplan.excluded import Cells
from aifactory.buyplan.paid_kit import decide_moves
from aifactory.finance.prices import node_offers
from aifactory.fleet.guests import with_guests

PLAN = make_plan(candidates=["acc", "old"], launch_delay_months={"gpu": 2.0})
#: Hours only, all at USD 4.
PRICES = make_prices({"accelerator_id": "old", "purchase_option": "on_demand", "usd_per_accelerator_hour": 4.0},
                     drop=["reserved_1y"])  # fmt: skip
ABOUT = pd.DataFrame({"accelerator_id": ["acc", "old"], "accelerators_per_node": 4, "tdp_w": 1e3, "platform_class": "gpu",
                      "vendor": "v", "verified_sources": 2})  # fmt: skip
#: Twenty-four of `old`, which does half the work of `acc`, reserved at USD 2 until month 5 begins: chat's peak of 12 needs them all.
TERM = order(24, -8, 5, place=("eu", "old"))
RENT = 24 * 2.0 * 730


def facts(
    rate=0.5,
    porting=0.0,
    excluded=False,
    tier="measured",
    low=0.9,
    rework=0.0,
    rule="SLO",
    supported_to="",
    prices=PRICES,
):
    keys = {"use_case_id": ["chat", "chat", "train"], "accelerator_id": ["acc", "old", "acc"]}
    each = np.array([1.0, rate, 1 / 3600])
    capacity = pd.DataFrame({**keys, "units_per_s_per_accelerator": each, "low": low * each, "high": 1.1 * each, "tier": tier,
                             "failure_rate": 0.0})  # fmt: skip
    once = np.array([0.0, porting, 0.0])
    penalties = pd.DataFrame(
        {**keys, "compute_usd": 5.0, "porting_usd": once, "rework_usd": rework, "total_usd": 5.0 + once + rework}
    )
    rules = pd.DataFrame({"use_case_id": ["chat"], "accelerator_id": ["old"], "rule": [rule], "reason": ["x"]})
    ends = {"old": supported_to} if supported_to else {}
    rules, sold = rules if excluded else rules.iloc[:0], node_offers(prices, PLAN, TODAY)
    return Cells(capacity, rules, penalties, ABOUT, sold, supported_to=ends)


def with_people(plan):
    """The plan with USD 1 for the people that go with an accelerator-hour."""
    pay = plan.assumptions["operator_usd_per_month"].model_copy(update={"value": 73_000.0})
    return plan.model_copy(update={"assumptions": plan.assumptions | {"operator_usd_per_month": pay}})


def spent(case):
    return sum(line.sum() for line in solve_expected(case).ledger.lines.values())


def decide(*rows, home="acc", demand=None, plan=PLAN, runs_on=None, today=None, prices=PRICES, **changes):
    cells = facts(prices=prices, **changes)
    choice = pd.DataFrame({"use_case_id": ["chat", "train"], "accelerator_id": [home, "acc"]})
    inputs = {"capacity": cells.capacity, "accelerators": ABOUT, "choice": choice}
    plan = plan.model_copy(update={"reserve": dict.fromkeys(plan.reserve, 0.0)})
    case = make_case(plan=plan, prices=prices, inputs=inputs, **(demand or {}))
    case = rebuilt(replace(case, book=book_of(*rows), runs_on=runs_on or {}), plan, case.streams)

    def build(moves):
        guests = [guest for move in moves for guest in move.guests]
        due = {name: usd for move in moves for name, usd in move.porting_usd.items()}
        streams = with_guests(case.streams, guests, ABOUT, plan)
        return rebuilt(replace(case, porting=due), plan, streams)

    moves = decide_moves(case, build, cells=cells, paths=paths_of(case, 4, 0.0), period=PERIOD, today=today)
    return case, build(moves), moves
