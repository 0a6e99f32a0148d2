"""Purchases that were firm on approval and stand in no order book are approved and not placed."""

import pandas as pd
import pytest

from aifactory.review.firm_orders import with_firm_orders
from aifactory.review.recommendation import recommend

PLACE = {
    "region": "us",
    "accelerator_id": "a100",
    "purchase_option": "purchase",
    "band": "growth",
    "kind": "commitment",
}
STEPS = ["plan_period", "order_month", "accelerators", "commitment_usd"]
NO_STATES = pd.DataFrame(columns=["state", *PLACE, "order_month"])


def frame(names, *rows, **about):
    return pd.DataFrame([PLACE | about | dict(zip(names, row, strict=True)) for row in rows], columns=[*PLACE, *about, *names])  # fmt: skip


def book(*rows):
    """Order book of (order id, accelerators, month of order, money, source)."""
    return frame(["order_id", "accelerators", "order_month", "upfront_usd", "source"], *rows, plan_period="2026-07")


def plan(*outlays):
    """Approved plan of July with what it pays once in each month, over two use cases."""
    rows = [("2026-07", month, usd / 2) for month, usd in outlays for _ in range(2)]
    return frame(["plan_period", "month", "outlay_usd"], *rows)


WAITS = frame(STEPS, ("2026-07", "2026-10", 16, 160.0))
TODAY = frame(STEPS, ("2026-10", "2026-11", 24, 240.0), renewal=False)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ([], [("2026-08", 24), ("2026-10", 8), ("2026-10", 16)]),
        ([("2026-07-01", 24, "2026-08", 240.0, "")], [("2026-10", 8), ("2026-10", 16)]),
        ([("2026-07-01", 24, "2026-08", 240.0, ""), ("x", 8, "2026-10", 80.0, "buy plan approved for 2026-07")], [("2026-10", 16)]),
    ],
)  # fmt: skip
def test_what_approval_signed_is_what_the_plan_pays_beside_its_steps(written, found):
    """USD 240 in August and 240 in October, of which 160 wait for demand, at USD 10 each; May lies beyond the decision window."""
    approved = plan(("2026-08", 240.0), ("2026-10", 240.0), ("2027-05", 80.0))
    steps = with_firm_orders(WAITS, approved, TODAY, book(*written))
    told = steps.sort_values(["order_month", "accelerators"])[["order_month", "accelerators"]]
    assert list(told.itertuples(index=False, name=None)) == found


def test_the_price_of_today_counts_where_no_step_tells_one_and_odd_money_is_left_out():
    nothing, approved = WAITS.iloc[:0], plan(("2026-08", 240.0), ("2026-09", 3.0))
    steps = with_firm_orders(nothing, approved, TODAY, book())
    assert steps[["order_month", "accelerators", "commitment_usd"]].to_numpy().tolist() == [["2026-08", 24, 240.0]]
    assert with_firm_orders(nothing, approved, TODAY.iloc[:0], book()).empty
    assert with_firm_orders(nothing, approved.iloc[:0], TODAY, book()).empty


def test_what_earlier_plans_ordered_and_prepayments_are_no_firm_orders():
    """The plan pays 80 in September for an order of last year's plan; and 1,234 in August, which is no whole number of purchases at 10."""
    earlier = book(("o-1", 8, "2026-09", 80.0, "")).assign(plan_period="2025-01")
    assert with_firm_orders(WAITS.iloc[:0], plan(("2026-09", 80.0)), TODAY, earlier).empty
    assert with_firm_orders(WAITS.iloc[:0], plan(("2026-08", 1234.0)), TODAY, book()).empty
    moved = book(
        ("2026-07-01", 24, "2026-12", 240.0, "buy plan approved for 2026-07")
    )  # put off by four months, and placed
    assert with_firm_orders(WAITS.iloc[:0], plan(("2026-08", 240.0)), TODAY, moved).empty
    part = with_firm_orders(WAITS.iloc[:0], plan(("2026-08", 160.0), ("2026-09", 240.0)), TODAY, moved)
    assert part[["order_month", "accelerators"]].to_numpy().tolist() == [["2026-09", 16]]
    free = TODAY.assign(commitment_usd=0.0)
    assert with_firm_orders(WAITS.iloc[:0], plan(("2026-08", 240.0)), free, book()).empty


def test_an_order_that_was_put_off_is_not_called_new():
    """24 were signed for August and never placed; the plan of today orders 24 in November: put off, and nothing is new."""
    none = WAITS.iloc[:0]
    steps = with_firm_orders(none, plan(("2026-08", 240.0)), TODAY, book())
    told = recommend(steps, NO_STATES, TODAY, "2026-10", book())
    assert told[["action", "accelerators", "approved_month"]].to_numpy().tolist() == [["defer", 24, "2026-08"]]
    late = book(("o-1", 24, "2026-09", 240.0, "bought after all"))
    steps = with_firm_orders(none, plan(("2026-08", 240.0)), TODAY, late)
    assert set(recommend(steps, NO_STATES, TODAY.iloc[:0], "2026-10", late)["action"]) == set()
