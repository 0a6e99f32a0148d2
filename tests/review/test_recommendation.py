"""Approved orders against a plan made today: by hand, in the limits, and nothing lost between the two."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.keep import placed_since
from aifactory.review.recommendation import ACTIONS, COLUMNS, not_booked, recommend

PERIOD = "2026-10"
NO_STATES = pd.DataFrame(
    columns=["state", "kind", "band", "order_month", "region", "accelerator_id", "purchase_option"]
)


def orders(*rows):
    names = ["order_month", "accelerators", "commitment_usd"]
    about = {
        "region": "us",
        "accelerator_id": "h100",
        "purchase_option": "lease",
        "band": "growth",
        "renewal": False,
        "kind": "commitment",
    }
    frame = pd.DataFrame(
        [about | dict(zip(names, row[:3], strict=True)) | (row[3] if len(row) > 3 else {}) for row in rows]
    )
    return frame if len(frame) else pd.DataFrame(columns=[*about, *names])


def actions(approved, today, states=NO_STATES):
    table = recommend(orders(*approved), states, orders(*today), PERIOD)
    return [
        tuple(row)
        for row in table.drop(columns=["region", "accelerator_id", "purchase_option"]).itertuples(index=False)
    ]


@pytest.mark.parametrize(
    ("approved", "today", "expected"),
    [
        ([("2027-03", 8, 800.0)], [("2027-01", 8, 880.0)], [("keep", 8, "2027-03", "2027-01", 800.0, 880.0)]),
        ([("2027-03", 8, 800.0)], [("2026-11", 8, 800.0)], [("pull forward", 8, "2027-03", "2026-11", 800.0, 800.0)]),
        ([("2027-03", 8, 800.0)], [("2028-02", 8, 800.0)], [("defer", 8, "2027-03", "2028-02", 800.0, 800.0)]),
        ([("2027-03", 8, 800.0)], [], [("cancel", 8, "2027-03", "", 800.0, 0.0)]),
        ([], [("2027-02", 4, 400.0), ("2027-11", 4, 400.0)], [("new", 4, "", "2027-02", 0.0, 400.0)]),
        ([], [("2027-02", 4, 400.0, {"band": "baseline"})], [("new", 4, "", "2027-02", 0.0, 400.0)]),
        ([], [("2027-02", 4, 400.0, {"renewal": True})], []),
        ([("2027-03", 8, 800.0)], [("2027-03", 8, 900.0, {"purchase_option": "purchase"})],
         [("new", 8, "", "2027-03", 0.0, 900.0), ("cancel", 8, "2027-03", "", 800.0, 0.0)]),
    ],
)  # fmt: skip
def test_each_action_by_hand(approved, today, expected):
    assert actions(approved, today) == expected


def test_orders_are_split_where_today_wants_them_at_two_times():
    """Of 16 approved for March 8 come in November, 4 as approved, and 4 are not wanted any more."""
    found = actions([("2027-03", 16, 1600.0)], [("2026-11", 8, 720.0), ("2027-03", 4, 400.0)])
    assert found == [
        ("pull forward", 8, "2027-03", "2026-11", 800.0, 720.0),
        ("cancel", 4, "2027-03", "", 400.0, 0.0),
        ("keep", 4, "2027-03", "2027-03", 400.0, 400.0),
    ]


def test_an_order_that_a_decision_released_is_placed():
    placed = orders(("2027-03", 8, 800.0)).assign(state="released")
    assert actions([("2027-03", 8, 800.0), ("2027-09", 8, 800.0)], [], placed) == [
        ("cancel", 8, "2027-09", "", 800.0, 0.0)
    ]


def book(*rows):
    """Order book of (accelerators, order month, plan period and number) for the place and terms of `orders`."""
    about = {
        "region": "us",
        "accelerator_id": "h100",
        "purchase_option": "lease",
        "order_id": "o-1",
        "source": "order log",
    }
    names = ["accelerators", "order_month", "plan_period", "order_id", "source"]
    return pd.DataFrame([about | dict(zip(names, row, strict=False)) for row in rows])


APPROVED = [("2027-03", 8, 800.0), ("2027-09", 8, 1600.0)]


@pytest.mark.parametrize(
    ("rows", "released", "left"),
    [
        ([], False, [(8, "2027-09", 1600.0), (8, "2027-03", 800.0)]),
        ([(8, "2026-09", None)], False, [(8, "2027-09", 1600.0)]),
        ([(12, "2026-09", None)], False, [(4, "2027-09", 800.0)]),  # half of the second order is placed too
        ([(8, "2026-09", None)], True, [(8, "2027-09", 1600.0)]),  # the decision and its row are one order
        ([(16, "2026-09", None)], True, []),
        (
            [(8, "2026-07", None), (8, "2026-08", "2026-07", "2026-07-01")],
            False,
            [(8, "2027-09", 1600.0), (8, "2027-03", 800.0)],
        ),
    ],
)
def test_steps_that_the_order_book_holds_are_placed(rows, released, left):
    """Contracts of before the plan and its firm orders are no steps of it."""
    states = orders(APPROVED[0]).assign(state="released") if released else NO_STATES
    steps = orders(*APPROVED).assign(plan_period="2026-07")
    table = recommend(steps, states, orders(), PERIOD, book(*rows))
    found = table[["accelerators", "approved_month", "approved_usd"]].itertuples(index=False, name=None)
    assert list(found) == left and set(table["action"]) <= {"cancel"}


def test_orders_of_one_month_stand_though_others_come_earlier():
    """Approved 8, 40, 8 and 32 of which today orders all in their months, and 24 more at once: nothing moved, 24 are new."""
    approved = [("2026-11", 8, 8.0), ("2026-12", 40, 40.0), ("2027-02", 8, 8.0), ("2027-03", 32, 32.0)]
    found = actions(approved, [("2026-11", 32, 32.0), *approved[1:]])
    assert {row[0]: sum(other[1] for other in found if other[0] == row[0]) for row in found} == {"keep": 88, "new": 24}


def test_orders_that_all_move_a_little_stay_though_two_share_a_month():
    """January and March become March and April: two months and one, not none and three."""
    assert [
        row[:2]
        for row in actions([("2027-01", 8, 8.0), ("2027-03", 8, 8.0)], [("2027-03", 8, 8.0), ("2027-04", 8, 8.0)])
    ] == [("keep", 8)] * 2


def test_orders_entered_under_the_plan_that_asked_for_them_are_placed():
    """What approval wrote bears its number; what was entered under its name since was a step of it."""
    steps = orders(*APPROVED).assign(plan_period="2026-07")
    signed, later = (8, "2026-10", "2026-07", "2026-07-03"), (8, "2026-09", "2026-07")
    assert placed_since(steps, book(signed, later)) == {("us", "h100", "lease"): 8}
    assert placed_since(steps, book((8, "2026-09", "2026-04"))) == {}
    assert placed_since(steps, book((8, "2026-10", "2026-07", "PO-4711", "buy plan approved for 2026-07"))) == {}
    states = steps.assign(state="released").head(1)
    assert not_booked(steps, states, book(signed, later)) == []
    assert recommend(steps, states, orders(), PERIOD, book(later)).equals(
        recommend(steps, states, orders(), PERIOD, book((8, "2026-09", None)))
    )


def test_a_released_order_that_is_in_no_book_is_named():
    states = orders(("2027-03", 8, 800.0)).assign(state="released")
    steps = orders(*APPROVED).assign(plan_period="2026-07")
    assert not_booked(steps, states, book((8, "2026-09", None))) == []
    assert not_booked(steps, NO_STATES, book()) == []
    assert not_booked(steps, states, book((3, "2026-09", None)))[0].startswith("the netting of 5 h100 in us (lease):")


def test_without_plans_there_is_nothing_to_do():
    table = recommend(orders(), NO_STATES, pd.DataFrame(), PERIOD)
    assert table.empty and list(table.columns) == COLUMNS


MONTHS = st.sampled_from(["2026-11", "2027-02", "2027-05", "2027-08"])
LISTS = st.lists(st.tuples(MONTHS, st.integers(1, 9), st.floats(1.0, 1e6)), max_size=5)


@settings(max_examples=40)
@given(LISTS, LISTS)
def test_every_accelerator_and_dollar_of_both_plans_is_named_once(approved, today):
    table = recommend(orders(*approved), NO_STATES, orders(*today), PERIOD)
    assert set(table["action"]) <= set(ACTIONS)
    for plan, month, usd in ((approved, "approved_month", "approved_usd"), (today, "today_month", "today_usd")):
        mine = table[table[month] != ""]
        assert mine["accelerators"].sum() == sum(row[1] for row in plan)
        assert mine[usd].sum() == pytest.approx(sum(row[2] for row in plan))
    assert recommend(orders(*approved), NO_STATES, orders(*approved), PERIOD)["action"].isin(["keep"]).all()


def test_what_follows_a_term_signed_on_approval_is_no_new_order():
    """Eight signed for a year from November: eight of the ten that today's plan orders a year on are their renewal."""
    term = {
        "order_id": "2026-09-01",
        "source": "order log",
        "plan_period": "2026-09",
        "end_month": "2027-11",
        "accelerators": 8,
        "order_month": "2026-10",
    }
    place = {"region": "us", "accelerator_id": "h100", "purchase_option": "lease"}
    steps = orders(("2027-03", 4, 400.0)).assign(plan_period="2026-09")
    today = orders(
        ("2027-03", 4, 400.0, {"start_month": "2027-04"}), ("2027-10", 10, 1000.0, {"start_month": "2027-11"})
    )

    def found(**changes):
        table = recommend(steps, NO_STATES, today, PERIOD, pd.DataFrame([place | term | changes]))
        return table[["action", "accelerators", "today_month", "today_usd"]].to_numpy().tolist()

    hold = ["keep", 4, "2027-03", 400.0]
    assert found() == [hold, ["new", 2, "2027-10", 200.0]]
    for other in ({"plan_period": "2026-06"}, {"end_month": "2027-12"}, {"region": "eu"}, {"end_month": None}):
        assert found(**other) == [["new", 10, "2027-10", 1000.0], hold]
    late = today.assign(start_month=["2027-04", "2028-03"])  # a quarter and more after the end it is no renewal
    table = recommend(steps, NO_STATES, late, PERIOD, pd.DataFrame([place | term]))
    assert table[["action", "accelerators"]].to_numpy().tolist() == [["new", 10], ["keep", 4]]
