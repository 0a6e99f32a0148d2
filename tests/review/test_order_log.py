"""The order book in the change log of a month."""

from types import SimpleNamespace

import pandas as pd

from aifactory.review.memory import HELD_COLUMNS
from aifactory.review.order_log import _of_one, order_changes, orders_held

REGIONS = [SimpleNamespace(region="de", provider_regions={"AWS": "eu-central-1"}), SimpleNamespace(region="us", provider_regions={"AWS": "us-east-1"})]  # fmt: skip


def book(*rows):
    names = ["order_id", "accelerator_id", "region", "purchase_option", "accelerators", "start_month", "end_month"]
    return pd.DataFrame(rows, columns=names)


def bill(month, *places):
    rows = [{"month": month, "accelerator_id": name, "RegionId": region, "accelerator_hours": 8.0, "purchase_option": "committed"} for name, region in places]  # fmt: skip
    return pd.DataFrame(rows, columns=["month", "accelerator_id", "RegionId", "accelerator_hours", "purchase_option"])


def told(orders):
    return pd.DataFrame(orders_held(orders), columns=HELD_COLUMNS)


RESERVED = ("r1", "a100", "de", "reserved_1y", 8, "2026-08", "2027-08")
OLD = ("s1", "h100", "us", "reserved_1y", 16, "2025-10", "2026-10")


def changes(orders, period="2026-10", before=None, charges=None):
    found = order_changes(orders, bill(period) if charges is None else charges, REGIONS, period, before)
    return [(subject, text) for _, _, subject, text, _ in found]


def test_terms_that_begin_and_end_with_the_month_are_in_its_log():
    assert changes(book(RESERVED, OLD)) == [
        ("16 h100 in us", "ended with 2026-09; work that stays there is paid by the hour (order s1)")
    ]
    assert changes(book(RESERVED, OLD), "2026-08") == [("8 a100 in de", "begin, reserved, 1 year (order r1)")]


def test_a_term_without_hours_on_the_bill_is_late_or_charged_elsewhere():
    elsewhere = bill("2026-09", ("a100", "us-east-1"), ("h100", "us-east-1"))
    (late,) = changes(book(RESERVED, OLD), "2026-09", charges=elsewhere)
    assert late[0] == "8 a100 in de" and "no hours of them" in late[1]
    assert changes(book(RESERVED), "2026-09", charges=bill("2026-09", ("a100", "eu-central-1"))) == []
    assert changes(book(RESERVED), "2026-09", charges=bill("2026-09", ("a100", "somewhere"))) == []
    bought = book((*RESERVED[:3], "purchase", *RESERVED[4:]))
    assert changes(bought, "2026-09", charges=elsewhere) == []  # what is bought is on no bill


def test_the_hours_of_the_first_term_are_not_those_of_the_next():
    """Eight since August and eight more since September: 8 x 720 hours are billed, of any commitment; on demand beside them counts for none."""
    more = ("r2", "a100", "de", "reserved_1y", 8, "2026-09", "2027-09")
    charged = bill("2026-09", ("a100", "eu-central-1"), ("a100", "eu-central-1"))
    charged = charged.assign(accelerator_hours=[8 * 720.0, 9_000.0], purchase_option=["committed", "on_demand"])
    assert [name for name, text in changes(book(more, RESERVED), "2026-09", charges=charged) if "no hours" in text] == [
        "8 a100 in de"
    ]
    assert "r2" in changes(book(more, RESERVED), "2026-09", charges=charged)[-1][1]
    both = charged.assign(accelerator_hours=[16 * 720.0, 1.0])
    assert not [text for _, text in changes(book(more, RESERVED), "2026-09", charges=both) if "no hours" in text]


def test_a_term_charged_as_hours_is_no_term_without_hours_for_what_another_region_holds():
    charged = bill("2026-09", ("a100", "eu-central-1"), ("a100", "us-east-1")).assign(
        accelerator_hours=8 * 720.0, purchase_option=["on_demand", "committed"]
    )
    assert not [text for _, text in changes(book(RESERVED), "2026-09", charges=charged) if "no hours" in text]


def test_orders_that_moved_came_or_left_since_the_report_before_are_named():
    late = book(
        ("r1", "a100", "de", "reserved_1y", 4, "2026-11", "2027-11"), ("n1", "l4", "us", "spot", 2, "2026-12", None)
    )
    assert changes(late, before=told(book(RESERVED, OLD))) == [
        ("2 l4 in us", "are new in the order book (order n1)"),
        ("16 h100 in us", "left the order book (order s1)"),
        ("4 a100 in de", "begin in 2026-11, told was 2026-08 (order r1)"),
        ("4 a100 in de", "are 4, told were 8 (order r1)"),
        ("4 a100 in de", "end in 2027-11, told was 2027-08 (order r1)"),
    ]
    assert changes(late, before=told(late)) == []
    assert changes(late, before=told(late).assign(what="bill")) == []  # a report that kept no orders


def test_an_order_that_left_is_named_as_far_as_the_report_before_knew_it():
    """Earlier reports kept how many accelerators an order has, under the unit "accelerators"."""
    alone = book(("t1", "l4", "us", "spot", 1, "2026-08", None))
    before = told(pd.concat([book(OLD), alone], ignore_index=True)).assign(unit="accelerators")
    assert changes(book(RESERVED), before=before)[1:] == [
        ("16 accelerators", "left the order book (order s1)"),
        ("1 accelerator", "left the order book (order t1)"),
    ]
    assert changes(book(RESERVED), before=told(alone))[1:] == [("1 l4 in us", "left the order book (order t1)")]


def test_a_single_accelerator_is_spoken_of_in_the_singular():
    assert [_of_one(text) for text in ("begin, purchase", "are new in the order book", "end in 2026-12, told was 2026-11", "left the order book")] == [
        "begins, purchase", "is new in the order book", "ends in 2026-12, told was 2026-11", "left the order book"
    ]  # fmt: skip
