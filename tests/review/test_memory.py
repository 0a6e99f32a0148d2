"""What the first report of a month told, and what of it has changed since."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.report.refresh_log import restated_sentence
from aifactory.review import build_review
from aifactory.review.memory import HELD_COLUMNS, figures_held, known_prices, months_restated, told_prices

AUGUST, SEPTEMBER = ("bill", "2026-08", "", 80.0, "USD"), ("bill", "2026-09", "", 100.0, "USD")


def held(*rows):
    return pd.DataFrame(rows, columns=HELD_COLUMNS)


@pytest.fixture(scope="module")
def told(mini_ws):
    ws = load_workspace(mini_ws.path, "2026-09")
    return figures_held(ws, build_inventory(ws))


def test_bill_demand_and_prices_are_held_by_hand(mini_ws, told):
    ws = load_workspace(mini_ws.path, "2026-09")
    bill = ws.table("billing")
    month = bill[bill["invoice_month"] == "2026-09"]
    rows = told.set_index(["what", "month", "subject"])["value"]
    assert rows["bill", "2026-09", ""] == pytest.approx(float(month["EffectiveCost"].sum()))
    assert told["month"].max() == "2026-09"
    assert {"bill", "demand", "price"} == set(told["what"])
    assert told_prices(told) == known_prices(ws, "2026-09") != {}


def test_what_came_later_is_named_with_month_and_size():
    now = held(AUGUST, ("bill", "2026-09", "", 112.5, "USD"), ("demand", "2026-09", "chat", 9.0, "request"), ("bill", "2026-10", "", 5.0, "USD"))  # fmt: skip
    table = months_restated(now, held(AUGUST, SEPTEMBER))
    assert table[["month", "what", "subject", "told", "now", "change"]].to_numpy().tolist() == [
        ["2026-09", "bill", "", 100.0, 112.5, 12.5],
        ["2026-09", "demand", "chat", 0.0, 9.0, 9.0],
    ]


def test_jobs_that_ran_on_are_no_change_of_a_month():
    """Hours of the end of a month that came with the next table are below 0.1 %; of requests nothing is below anything."""
    before = held(*(("demand", "2026-09", name, 10_000.0, unit) for name, unit in (("train", "accelerator_hour"), ("chat", "request"))))  # fmt: skip
    assert months_restated(before.assign(value=10_005.0), before)["subject"].tolist() == ["chat"]
    assert set(months_restated(before.assign(value=10_020.0), before)["subject"]) == {"train", "chat"}


def test_a_month_that_is_gone_is_named():
    table = months_restated(held(SEPTEMBER), held(AUGUST, SEPTEMBER))
    assert table[["month", "now", "change"]].to_numpy().tolist() == [["2026-08", 0.0, -80.0]]


@settings(max_examples=20)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6))
def test_nothing_has_changed_where_nothing_has(values):
    rows = held(*(("bill", f"2026-{place + 1:02}", "", value, "USD") for place, value in enumerate(values)))
    assert months_restated(rows, rows).empty
    assert months_restated(rows, held()).empty


def test_a_review_says_what_has_changed_or_that_nothing_has(mini_ws, mini_stages, told):
    inventory = mini_stages.inventory
    same = build_review(mini_ws, inventory, told=told)
    assert same.months_restated.empty
    assert (
        restated_sentence(same)
        == " No bill or demand of an earlier month has changed since the first report of September 2026."
    )
    bill = told["what"].eq("bill") & told["month"].eq("2026-09")
    late = told.assign(value=told["value"].where(~bill, told["value"] - 123.5))
    text = restated_sentence(build_review(mini_ws, inventory, told=late))
    assert (
        "September 2026 has changed since the first report of September 2026: the bill of September 2026 by USD 123.50, from"
        in text
    )
    assert restated_sentence(build_review(mini_ws, inventory)) == ""  # no report of that month is known


def test_a_price_that_was_overwritten_keeps_its_before(mini_ws, mini_stages, told):
    """The list holds the new price alone: what the report of the month before told stands before it."""
    prices = mini_ws.table("prices")
    (subject, unit), value = next(item for item in told_prices(told).items() if item[0][1] == "USD/h")
    cheaper = told.assign(value=told["value"].where(~(told["subject"].eq(subject) & told["unit"].eq(unit)), value * 2))
    review = build_review(mini_ws, mini_stages.inventory, told=cheaper)
    row = review.figures_changed.set_index(["subject", "unit"]).loc[(subject, unit)]
    assert (row["before"], row["change"]) == (pytest.approx(2 * value), pytest.approx(-0.5))
    assert len(prices)
