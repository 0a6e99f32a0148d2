"""The stress section: a finding that follows from the table, and no more rows than asked."""

from dataclasses import replace

import pandas as pd
import pytest
from stress_cases import small_basis

from aifactory.buyplan.backtest import FORESIGHT, OURS
from aifactory.buyplan.backtest_history import HistoryBacktest
from aifactory.buyplan.stress.flexibility import value_flexibility
from aifactory.buyplan.stress.run import run_stresses
from aifactory.report import buy_plan_stress as page
from aifactory.report.text import pct


@pytest.fixture(scope="module")
def test():
    return run_stresses(small_basis())


def text_of(group):
    return "\n".join(block.text for block in group.parts)


def test_the_finding_names_what_breaks_the_plan(sample_ws, test):
    text = text_of(page.stress_section(sample_ws, test))
    for row in test.table[~test.table["survives"]].itertuples():
        assert row.stress.lower() in text.lower()
    assert f"of {len(test.table)} stresses" in text


def test_the_demand_missed_without_stress_stands_beside_that_with_it(sample_ws, test):
    html = page._table(sample_ws, test).html.replace("\xa0", " ")
    assert f"({pct(test.base.missed_share, 1)} of it on all paths".replace("\xa0", " ") in html


def test_a_change_of_next_to_nothing_is_told_in_money_alone():
    row = pd.Series({"change_usd": 1_260_000.0, "change_share": 303.19})
    assert page._change(row).replace("\xa0", " ") == "+USD 1.26 M"
    assert page._change(row.replace(303.19, 0.5)).replace("\xa0", " ") == "+USD 1.26 M (50 %)"


def test_a_plan_that_survives_says_so(sample_ws, test):
    calm = replace(test, table=test.table.assign(survives=True, response="Keep the orders."))
    text = text_of(page.stress_section(sample_ws, calm))
    assert "survives all 17 stresses" in text
    assert "in none of them" in text


def test_the_table_keeps_the_largest_changes_in_order(sample_ws, test):
    shown = page._shown(test)
    assert len(shown) == page.ROWS
    assert shown["change_usd"].is_monotonic_decreasing
    left = test.table[~test.table.index.isin(shown.index)]
    assert left["change_usd"].abs().max() <= shown["change_usd"].abs().min()


def test_without_a_plan_nothing_is_computed(sample_ws):
    assert "Not computed" in page.stress_section(sample_ws, None).text
    assert page.tables(None) == {}


def test_rights_are_named_with_what_they_are_worth(sample_ws):
    worth = value_flexibility(small_basis())
    text = text_of(page.flexibility_section(sample_ws, worth))
    assert f"Most is worth the {page._lower(worth.table['right'].iloc[0])}" in text
    nothing = replace(worth, table=worth.table.assign(share=0.0))
    assert "No right is worth paying for" in text_of(page.flexibility_section(sample_ws, nothing))
    first = worth.table["share"].where(worth.table.index == 0, 0.0)
    some = text_of(page.flexibility_section(sample_ws, replace(worth, table=worth.table.assign(share=first))))
    assert "Most is worth" in some and "Pay nothing for: " in some
    assert "Not computed" in page.flexibility_section(sample_ws, None).text
    assert list(page.tables(None, worth)) == ["flexibility"]


def test_the_own_past_is_judged_against_the_cheapest_rule(sample_ws):
    rows = [(OURS, 100.0, 0.1), (FORESIGHT, 91.0, 0.0), ("average", 120.0, 0.3), ("peak", 150.0, 0.6)]
    frame = pd.DataFrame(rows, columns=["policy", "cost_usd", "regret_share"])
    frame = frame.assign(committed_usd=1.0, rented_usd=2.0, missed_share=0.0, regret_usd=0.0)
    text = text_of(page.history_section(sample_ws, HistoryBacktest(frame, 3, 1, 6, 7)))
    assert "USD 20.00 less than the cheapest rule (average) and 10.0 % more than perfect foresight" in text
    dearer = frame.assign(cost_usd=[130.0, 91.0, 120.0, 150.0])
    assert "more than the cheapest rule (average)" in text_of(
        page.history_section(sample_ws, HistoryBacktest(dearer, 3, 1, 6, 7))
    )
    even = frame.assign(cost_usd=[119.99, 91.0, 120.0, 150.0])
    assert "as much as the cheapest rule (average)" in text_of(
        page.history_section(sample_ws, HistoryBacktest(even, 3, 1, 6, 7))
    )
    assert "Not computed" in page.history_section(sample_ws, None).text


def test_the_workbook_has_every_stress_with_its_source(test):
    table = page.tables(test)["stress_tests"]
    assert len(table) == 17
    assert table["source"].str.len().gt(0).all()
