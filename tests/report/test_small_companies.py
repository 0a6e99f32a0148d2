"""Sentences that are true of a company with one use case, or with none that can be priced or ranked."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from aifactory.buyplan.what_ifs import COLUMNS
from aifactory.report import (
    benchmark_page,
    buy_plan_reserve,
    buy_plan_what_ifs,
    inventory_outlook,
    inventory_waste,
    shortlist_page,
    shortlist_ranking,
)


@pytest.fixture(scope="module")
def stages(mini_stages):
    return mini_stages.inventory, mini_stages.benchmark, mini_stages.shortlist


def test_pairs_not_measured_are_estimated_or_unknown_and_add_up(mini_ws, stages):
    gaps = stages[1].not_measured
    text = benchmark_page.gaps_section(mini_ws, stages[1]).text
    unknown = int((gaps["tier"] == "none").sum())
    assert f"{len(gaps)} pairs of use case and platform were not measured on own prompts" in text
    assert f"{len(gaps) - unknown} can be estimated, of {unknown} nothing can be said" in text


def test_without_a_bill_nothing_is_said_of_what_is_paid_twice(mini_ws, stages):
    inventory = replace(stages[0], overlaps=stages[0].overlaps.iloc[:0])
    assert "as far as the bill names them" in inventory_waste.overlap_section(mini_ws, inventory).text
    no_bill = replace(inventory, spend_reconciliation=inventory.spend_reconciliation.iloc[:0])
    assert "There is no bill of this month" in inventory_waste.overlap_section(mini_ws, no_bill).text


def test_without_prices_no_platform_stays_the_cheapest(mini_ws, stages):
    short = stages[2]
    priced = shortlist_page.penalties_section(mini_ws, short).text
    assert "cheapest" in priced.split("\n")[1]
    money = [name for name in short.penalties if name.endswith("_usd")]
    unknown = replace(short, penalties=short.penalties.assign(**dict.fromkeys(money, float("nan"))))
    assert (
        "Not computed: no platform has a known capacity and price."
        in shortlist_page.penalties_section(mini_ws, unknown).text
    )


def test_one_platform_each_is_no_ranking(mini_ws, stages):
    verdicts = stages[2].robustness.verdicts.assign(contenders=1)
    assert shortlist_ranking._robust_answer(mini_ws, verdicts).startswith("There is nothing to rank")
    one = verdicts.iloc[[0]].assign(contenders=2, verdict="clear winner")
    assert shortlist_ranking._robust_answer(mini_ws, one).startswith("In 1 of 1 use case with rivals")


def test_winners_of_what_nothing_was_measured_of_are_provisional(mini_ws, stages):
    """All platforms compete where none may be chosen; the page must not say that they may."""
    short = stages[2]
    verdicts = short.robustness.verdicts.iloc[[0, 0]].assign(
        use_case_id=["chat", "images"], contenders=2, verdict="clear winner"
    )
    matrix = pd.DataFrame({"use_case_id": ["chat", "images"], "decision": ["pilot", "choose"], "prior": ""})
    short = replace(short, matrix=matrix, robustness=replace(short.robustness, verdicts=verdicts))
    assert shortlist_ranking.provisional(short) == {"chat"}
    text = shortlist_ranking._robust_answer(mini_ws, verdicts, shortlist_ranking.provisional(short))
    assert text.startswith("In 2 of 2 use cases with rivals one platform is a clear winner")
    assert "But in 1 of them no platform may be chosen yet" in text and "may be chosen today" not in text
    assert "one of the platforms that may be chosen today" in shortlist_ranking._robust_answer(mini_ws, verdicts)
    clear = next(kpi for kpi in shortlist_page._kpis(short) if kpi.label == "Clear winners")
    assert (clear.value, clear.comparison.startswith("use cases with rivals, 1 of them provisional;")) == (
        "2 of 2",
        True,
    )
    open_one = replace(short.robustness, verdicts=verdicts.assign(verdict=["no clear winner", "clear winner"]))
    clear = next(
        kpi for kpi in shortlist_page._kpis(replace(short, robustness=open_one)) if kpi.label == "Clear winners"
    )
    assert (clear.value, clear.comparison.startswith("use cases with rivals;")) == (
        "1 of 2",
        True,
    )  # chat has no winner


def test_one_excluded_cell_is_one(mini_ws, stages):
    rows = stages[2].exclusions
    row = pd.DataFrame([dict.fromkeys(rows.columns, "x") | {"rule": "memory"}]) if rows.empty else rows.iloc[[0]]
    text = shortlist_page.exclusions_section(mini_ws, replace(stages[2], exclusions=row)).text
    assert "1 cell is out: 1 by" in text


def test_a_stream_on_two_platforms_is_told_apart_in_the_reserve_table():
    reserves = pd.DataFrame(
        {
            "use_case_id": ["chat", "chat", "search"],
            "region": ["eu", "eu", "eu"],
            "accelerator_id": ["a", "b", "b"],
        }
    )
    assert buy_plan_reserve._named(reserves).tolist() == ["chat on a", "chat on b", "search"]


def test_a_scenario_that_moves_no_money_says_so():
    rows = pd.DataFrame(
        {"scenario": ["strike", "calm"], "note": "", "first_month": "2027-02", "last_month": "2027-03", "usd_change": 0.0,
         "usd_change_share": 0.0, "accelerators_change": [-18, 0], "change_month": ["2027-02", "2027-01"], "orders_usd": 0.0,
         "served": 1.0, "usd_horizon": 1.0}
    )  # fmt: skip
    ws = SimpleNamespace(plan=SimpleNamespace(horizon_months=36), as_of="2026-10-31")
    plan = SimpleNamespace(what_ifs=rows.reindex(columns=COLUMNS), need=rows)
    text = str(buy_plan_what_ifs.what_ifs_section(ws, plan).parts[0].text)
    assert (
        "No named scenario of 2 moves the cost over 36 months. strike moves the fleet most: 18 accelerators less in February 2027."
    ) in text


def test_a_scenario_that_leaves_the_total_alone_has_no_month():
    part = pd.DataFrame(
        {
            "scenario": "strike",
            "month": ["2026-11", "2026-12"],
            "p10": 0.9,
            "p50": 1.0,
            "p90": 1.1,
            "expected_without": 1.0,
        }
    )
    moves = part.assign(scenario="agents", p50=[1.0, 1.5])
    told = pd.DataFrame({"scenario": ["strike", "agents"], "note": ["quays stand still", "agents everywhere"]})
    inv = SimpleNamespace(scenarios=SimpleNamespace(what_ifs=pd.concat([part, moves])))
    (shown,) = inventory_outlook._what_ifs(SimpleNamespace(as_of="2026-10-31", table=lambda _name: told), inv)
    strike, agents = (
        line for line in shown.text.replace("\xa0", " ").split("\n") if "quays" in line or "everywhere" in line
    )
    assert "\N{EN DASH}" in strike and "Nov 2026" not in strike and "Dec 2026" in agents
    assert "not this total" in shown.html


def test_notes_on_reserves_that_are_cut_say_how_many_are_left():
    streams = pd.DataFrame({"use_case_id": [f"case-{i}" for i in range(7)], "region": "eu", "note": "no record"})
    assert buy_plan_reserve.noted_streams(streams)[4:] == [
        "case-4, eu: no record.", "2 more streams of this kind: see the reserves table of the run folder."
    ]  # fmt: skip
    assert len(buy_plan_reserve.noted_streams(streams.head(5))) == 5
