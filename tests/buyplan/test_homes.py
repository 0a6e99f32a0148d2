"""Where a use case is at home that the shortlist put on a platform for the sake of what stands there."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, make_case
from moving_company import ABOUT, PLAN, PRICES, TERM, facts, spent
from test_futures import paths_of
from test_placed import book_of, order

from aifactory.buyplan import homes as homes_module
from aifactory.buyplan.case import rebuilt
from aifactory.buyplan.homes import AFTERWARDS, decide_homes
from aifactory.buyplan.paid_kit import decide_moves
from aifactory.fleet.guests import with_guests
from aifactory.shortlist.outcome import SCORED_ABOVE

CHEAPEST = "cheapest over the horizon"
MATRIX = pd.DataFrame({"use_case_id": ["chat", "chat", "train"], "accelerator_id": ["acc", "old", "acc"], "decision": "choose",
                       "total": 0.8, "platform_class": "gpu", "tier": "measured", "reason": "",
                       "units_per_s_per_accelerator": 1.0})  # fmt: skip


def settle(*rows, home="old", reason=CHEAPEST, fixed=(), **changes):
    """Homes where the shortlist put chat, and the case before and after with the moves that follow."""
    cells = facts(**changes)
    choice = pd.DataFrame(
        {"use_case_id": ["chat", "train"], "accelerator_id": [home, "acc"], "reason": [reason, CHEAPEST]}
    )
    plan = PLAN.model_copy(update={"reserve": dict.fromkeys(PLAN.reserve, 0.0)})

    def case_of(choice):
        inputs = {
            "capacity": cells.capacity,
            "accelerators": ABOUT,
            "choice": choice[["use_case_id", "accelerator_id"]],
        }
        case = make_case(plan=plan, prices=PRICES, inputs=inputs)
        return rebuilt(replace(case, book=book_of(*rows)), plan, case.streams)

    def moved(case):
        def build(moves):
            guests = [guest for move in moves for guest in move.guests]
            return rebuilt(case, plan, with_guests(case.streams, guests, ABOUT, plan))

        return build(decide_moves(case, build, cells=cells, paths=paths_of(case, 4, 0.0), period=PERIOD))

    case, today = case_of(choice), pd.Series({"chat": home, "train": "acc"})
    known = {"matrix": MATRIX, "today": today, "cells": cells, "paths": paths_of(case, 4, 0.0)}
    homes = decide_homes(
        case, case_of, lambda choice: moved(case_of(choice)), choice=choice, period=PERIOD, fixed=fixed, **known
    )
    return homes, moved(case), moved(case_of(homes.choice))


def test_what_stands_serves_until_its_term_ends_and_the_cheaper_platform_after_it():
    """Twenty-four of `old` until month 5; then its hours cost 24 by day and 8 by night, 16 on average at USD 4, and those of `acc` 8."""
    homes, before, after = settle(TERM)
    row = homes.table.iloc[0]
    assert (row["use_case_id"], row["chosen_id"], row["other_id"]) == ("chat", "old", "acc")
    assert row["saving_usd"] == pytest.approx(8 * 730 * (16 - 8) * 4.0)
    assert spent(before) - spent(after) == pytest.approx(row["saving_usd"])
    assert homes.choice["accelerator_id"].tolist() == ["acc", "acc"]
    assert homes.reasons() == {("chat", "old"): AFTERWARDS}
    assert "chat is planned on acc, not on old" in homes.sentences()[0] and "186,880" in homes.sentences()[0]


def test_what_holds_a_part_of_the_work_for_good_holds_it_beside_the_cheaper_platform():
    """Eight of `old` for the whole year hold a third of chat: at home the rest rents 16 of it by day, 8 on average.

    Or 8 and 2.7 of `acc` beside the 4 of training, 12 and 6.7 in nodes of four: 8 and 4 more, 6 on average.
    """
    homes, before, after = settle(order(8, -8, 60, place=("eu", "old")))
    assert homes.table["other_id"].tolist() == ["acc"]
    assert homes.table["saving_usd"].sum() == pytest.approx(12 * 730 * (8 - 6) * 4.0)
    assert spent(before) - spent(after) == pytest.approx(homes.table["saving_usd"].sum())


def test_what_stands_for_the_whole_horizon_and_holds_all_stays_home():
    homes, before, after = settle(order(24, -8, 60, place=("eu", "old")))
    assert homes.table.empty and homes.sentences() == []
    assert spent(before) == spent(after)


def test_nothing_that_stands_no_other_home():
    """The platform of the shortlist is none of this stage's where nothing was placed there."""
    assert settle()[0].table.empty


@pytest.mark.parametrize("changes", [{"reason": f"{SCORED_ABOVE} acc"}, {"fixed": ["chat"]}, {"home": "acc"}])
def test_what_was_chosen_otherwise_stays(changes):
    """By score, by a decision before this one, or on the cheaper platform already."""
    assert settle(TERM, **changes)[0].table.empty


def test_a_plan_that_costs_more_as_a_whole_leaves_it(monkeypatch):
    """Budgets, and others that would take what stands, are in the cost of the whole plan alone."""
    costs = iter([500_000.0, 499_999.0])
    monkeypatch.setattr(homes_module, "whole_usd", lambda case, paths: next(costs))
    assert settle(TERM)[0].table.empty
    assert list(costs) == []


def test_missed_targets_count_though_the_plan_pays_them_to_nobody(monkeypatch):
    """On `acc` the plan costs 186,880 less; targets missed there are worth 100,000, or 200,000."""
    known = facts()

    def missed(usd):
        penalties = known.penalties
        worse = penalties["accelerator_id"].eq("acc") & penalties["use_case_id"].eq("chat")
        return replace(known, penalties=penalties.assign(total_usd=penalties["total_usd"] + np.where(worse, usd, 0.0)))

    monkeypatch.setitem(settle.__globals__, "facts", lambda: missed(100_000.0))
    assert settle(TERM)[0].table["saving_usd"].tolist() == pytest.approx([86_880.0])
    monkeypatch.setitem(settle.__globals__, "facts", lambda: missed(200_000.0))
    assert settle(TERM)[0].table.empty


def test_the_cost_of_a_whole_plan_by_hand():
    """Without orders and terms: 12 months of 12 accelerators of `acc` at USD 4."""
    case = settle(home="acc")[1]
    assert homes_module.whole_usd(case, paths_of(case, 4, 0.0)) == pytest.approx(12 * 730 * 12 * 4.0)


@pytest.mark.parametrize("until", [2, 3, 5, 8, 11, 13])
def test_more_that_is_there_at_no_price_never_makes_the_rest_dearer(until):
    """Cost without the rent of what stands, by how long it stands: it falls from term to term."""
    rents = [24 * 2.0 * 730 * (months - 1) for months in (until, until + 1)]  # the months after the horizon too
    costs = [spent(settle(order(24, -8, months, place=("eu", "old")))[2]) for months in (until, until + 1)]
    assert costs[1] - rents[1] <= costs[0] - rents[0] + 1e-6
    assert np.isfinite(costs).all()
