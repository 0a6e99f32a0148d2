"""Those that share nodes with a use case that stays hosted take the platform that costs least without it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import make_case, make_prices
from moving_company import ABOUT, PLAN, facts
from test_futures import paths_of

from aifactory.buyplan.case import rebuilt
from aifactory.buyplan.left_alone import WITHOUT, Shortlisted, told_of
from aifactory.shortlist.outcome import SCORED_ABOVE
from aifactory.shortlist.robustness import CLEAR

MONTHS = 12


def shortlisted(old_usd=1.0, porting=0.0, reason="cheapest", decision="choose"):
    """Chat and training share `acc` at USD 4 an hour; an accelerator of `old`, in nodes of four, trains as fast."""
    prices = make_prices(
        {"accelerator_id": "old", "purchase_option": "on_demand", "usd_per_accelerator_hour": old_usd},
        drop=["reserved_1y"],
    )
    cells = facts(prices=prices)
    both = {"use_case_id": "train", "accelerator_id": "old"}
    rate = {"units_per_s_per_accelerator": 1 / 3600, "low": 1 / 3600, "high": 1 / 3600, "tier": "measured"}
    capacity = pd.concat([cells.capacity, pd.DataFrame([both | rate | {"failure_rate": 0.0}])], ignore_index=True)
    once = both | {"compute_usd": 5.0, "porting_usd": porting, "rework_usd": 0.0, "total_usd": 5.0 + porting}
    cells = replace(
        cells,
        capacity=capacity,
        penalties=pd.concat([cells.penalties, pd.DataFrame([once])], ignore_index=True),
    )
    choice = pd.DataFrame(
        {"use_case_id": ["chat", "train"], "accelerator_id": "acc", "reason": reason, "verdict": CLEAR}
    )
    about = {"total": 0.5, "platform_class": "gpu", "tier": "measured", "reason": ""}
    matrix = capacity[["use_case_id", "accelerator_id", "units_per_s_per_accelerator"]].assign(
        decision=decision, **about
    )
    inputs = {"capacity": capacity, "accelerators": ABOUT, "choice": choice}
    plan = PLAN.model_copy(update={"reserve": dict.fromkeys(PLAN.reserve, 0.0)})
    case = make_case(plan=plan, prices=prices, inputs=inputs)
    case = rebuilt(case, plan, case.streams)
    return case, Shortlisted(choice, matrix, cells, paths_of(case, 4, 0.0), lambda grown: grown)


def lines_usd(case, solution):
    return sum(line.sum() for line in solution.ledger.lines.values())


def chat(case):
    return (case.streams.table["use_case_id"] == "chat").to_numpy()


def test_what_is_left_alone_goes_where_it_costs_least():
    """Training keeps four accelerators at work: USD 4 an hour on acc, 1 on old."""
    case, listed = shortlisted()
    usd, homes = listed.cost_usd(case, chat(case), lines_usd)
    assert homes == {"train": "old"} and usd == pytest.approx(MONTHS * 730 * 4 * 1.0)
    anew = listed.rechosen(homes)
    assert anew["accelerator_id"].tolist() == ["acc", "old"]
    assert anew["reason"].tolist() == ["cheapest", WITHOUT] and anew["verdict"].tolist() == [CLEAR, ""]
    assert listed.rechosen({})["accelerator_id"].tolist() == ["acc", "acc"]


@pytest.mark.parametrize(
    "changes",
    [
        {"old_usd": 4.0},  # saves nothing
        {"old_usd": 3.99},  # a quarter of a per cent: chance
        {"porting": 1.0},  # a port is decided elsewhere
        {"reason": f"{SCORED_ABOVE}, though old is cheaper"},
    ],
)
def test_it_stays_where_that_saves_nothing_or_is_not_asked(changes):
    case, listed = shortlisted(**changes)
    usd, homes = listed.cost_usd(case, chat(case), lines_usd)
    assert homes == {} and usd == pytest.approx(MONTHS * 730 * 4 * 4.0)


def test_nothing_is_left_where_all_go():
    case, listed = shortlisted()
    assert listed.cost_usd(case, np.ones(2, dtype=bool), lines_usd) == (np.inf, {})


def test_what_shares_no_nodes_with_it_stays():
    case, listed = shortlisted()
    apart = replace(case, streams=replace(case.streams, table=case.streams.table.assign(pool=[0, 1])))
    assert not np.isin(apart.streams.pool[~chat(case)], apart.streams.pool[chat(case)]).any()
    assert listed.others(apart, chat(case)) == {} and set(listed.others(case, chat(case))) == {"train"}


def test_the_reader_is_told_what_takes_another_platform():
    said = told_of({"train": "old"}, {"mail", "chat"})
    assert said == ["train takes old: the shortlist chose its platform beside chat, mail, hosted for good."]
    assert told_of({}, {"chat"}) == []
