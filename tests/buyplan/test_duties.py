"""The calendar: fiscal periods, orders that keep their identity, ends of life, decisions."""

import pandas as pd
import pytest
from bp_company import PERIOD, make_plan
from hypothesis import given
from hypothesis import strategies as st

from aifactory.buyplan.duties import DECISION, duty_months, governance_frame, hosted_cases, hosted_test, worth_a_test

ORDER = {"order_month": "2026-12", "start_month": "2027-02", "region": "eu", "accelerator_id": "acc", "band": "growth",
         "purchase_option": "purchase", "renewal": False, "order_index": 2, "accelerators": 8, "lead_time_weeks": 8.0}  # fmt: skip
NOTHING = pd.DataFrame()


def calendar(orders=NOTHING, period=PERIOD, **more):
    return governance_frame(make_plan(24), period, orders, **more)


@given(st.integers(1, 24), st.integers(1, 12), st.integers(0, 40))
def test_two_reports_name_the_same_dates(every, start, later):
    first = duty_months(every, start, "2026-10", 60)
    second = duty_months(every, start, str(pd.Period("2026-10", "M") + later), 60 - later)
    assert second == [month for month in first if month > pd.Period("2026-10", "M") + later]


def test_a_test_that_comes_before_signing_has_a_date_an_owner_and_the_time_it_takes():
    """Orders due by 4 December and by 2 November: a test of two weeks from 31 October ends after the second, which waits for it."""
    rows = [("2026-12", "2027-01", 4.0, "chat 90 %"), ("2026-11", "2027-02", 13.0, "voice 60 %, chat 40 %"), ("2026-11", "2027-05", 26.0, "live-chat 100 %")]  # fmt: skip
    orders = pd.DataFrame(rows, columns=["order_month", "start_month", "lead_time_weeks", "serves"])
    orders = orders.assign(order_index=[2, 1, 1], band="baseline")
    plan = make_plan(24)
    later = orders.assign(order_index=5)  # they wait for their load, and for no test
    assert "wait" not in hosted_test(["chat"], later, plan, PERIOD)[0][3]
    (row,) = hosted_test(["chat"], orders[:1], plan, PERIOD)
    assert row[0] == pd.Timestamp("2026-12-04") and row[4] == DECISION and "wait" not in row[3]
    assert row[2] == plan.assumptions["planning_utilization"].owner_role
    (row,) = hosted_test(["chat"], orders, plan, PERIOD)
    assert row[0] == pd.Timestamp("2026-11-16")
    assert row[3].endswith("begun at once it takes one person 16 days, and 1 order due earlier must wait")
    (row,) = hosted_test(["chat", "voice"], orders, plan, PERIOD)  # half a month for each
    assert row[0] == pd.Timestamp("2026-12-01") and "one person 31 days, and 1 order" in row[3]
    rest = orders[:1].assign(serves="voice 55 %, search 28 %")  # who has the rest nobody says
    assert len(hosted_test(["chat"], rest, plan, PERIOD)) == 1
    assert hosted_test(["chat"], orders[:1].assign(serves="voice 70 %, search 28 %"), plan, PERIOD) == []
    assert "2 orders due earlier" in hosted_test([], orders, plan, PERIOD)[0][3]  # none named: all of them
    assert hosted_test(None, orders, plan, PERIOD) == hosted_test(["chat"], orders[2:], plan, PERIOD) == []
    assert hosted_test(["chat"], orders[:0], plan, PERIOD) == []


def test_orders_for_work_that_could_stay_hosted_are_firm_after_the_test():
    """The calendar calls no order firm on approval that the decision lets wait for a test; others are."""
    shares = pd.DataFrame({"use_case_id": ["chat", "voice"], "hosted_share": [0.7, 0.0]})
    assert hosted_cases("Approve USD 1 of commitments", shares) is None
    tested = hosted_cases("Test hosted models on own prompts before signing: ...", shares)
    both = pd.DataFrame([ORDER | {"order_index": 1, "serves": whose} for whose in ("chat 90 %", "voice 100 %")])
    rules = calendar(both, tested=tested).query("kind == 'order'")["rule"].tolist()
    assert rules == ["firm once hosted models have failed their test", "firm on approval of the plan"]
    early = both.assign(
        order_month="2026-11",
        start_month="2027-01",
        order_index=[1, 3],
        serves="chat 90 %",
        timing="there when 8 acc end",
    )
    rules = (
        calendar(early, tested=tested).query("kind == 'order'")["rule"].tolist()
    )  # due on 6 November, tested by the 16th
    after = "once hosted models have failed their test, which takes one person until 2026-11-16"
    assert rules == [f"firm {after}", f"on this date, to be there when 8 acc end, {after}"]


def test_a_plan_is_approved_by_the_day_of_its_first_firm_order():
    """Of orders due on 7 December, firm, and on 6 November, which waits for its trigger, the first dates the approval."""
    growth = ORDER | {"order_month": "2026-11", "start_month": "2027-01"}
    both = pd.DataFrame([ORDER | {"band": "baseline"}, growth])
    (row,) = calendar(both).query("event == 'Approve this plan'").itertuples()
    assert str(row.date.date()) == "2026-12-07" and row.kind == DECISION
    assert row.owner_role == next(
        (duty.owner_role for duty in make_plan(24).governance if "approval" in duty.name), row.owner_role
    )
    assert calendar(both.tail(1)).query("event == 'Approve this plan'").empty


def test_a_use_case_of_next_to_no_money_is_not_tested():
    """A bot that ends soon would pay USD 232 of a million: two weeks of a person are not for it."""
    shares = pd.DataFrame({"use_case_id": ["chat", "bot"], "hosted_share": [0.7, 0.9], "hosted_usd": [1e6, 232.0]})
    assert hosted_cases("Test hosted models on own prompts", shares) == ["chat"]


@given(st.integers(1, 24), st.integers(1, 12))
def test_duties_come_so_many_months_apart(every, start):
    months = duty_months(every, start, "2026-10", 60)
    gaps = {(later - earlier).n for earlier, later in zip(months, months[1:], strict=False)}
    assert gaps <= {every}
    assert months[0] <= pd.Period("2026-10", "M") + every


def test_quarters_are_those_of_the_fiscal_year():
    assert [str(month) for month in duty_months(3, 4, "2026-10", 6)] == ["2026-12", "2027-03"]
    assert [str(month) for month in duty_months(3, 2, "2026-10", 6)] == ["2027-01", "2027-04"]


def test_an_order_that_moves_keeps_its_identity():
    moved = {**ORDER, "order_month": "2027-03", "start_month": "2027-05", "accelerators": 16}
    one, two = (calendar(pd.DataFrame([row])).query("kind == 'order'").iloc[0] for row in (ORDER, moved))
    assert one["event_id"] == two["event_id"]
    assert one["date"] != two["date"]
    assert two["rule"] == "only if its trigger has fired"
    dated = calendar(pd.DataFrame([{**moved, "timing": "lead time of 2 months binds; there when voice starts"}]))
    assert dated.query("kind == 'order'")["rule"].tolist() == ["on this date, to be there when voice starts"]


@pytest.mark.parametrize(
    ("index", "band", "renewal", "rule"),
    [
        (1, "growth", False, "firm on approval of the plan"),
        (2, "growth", False, "only if its trigger has fired"),
        (2, "baseline", False, "firm on approval of the plan"),
        (2, "baseline", True, "firm on approval of the plan"),  # it takes most of the term before it to arrive
        (4, "baseline", True, "renew only if its hours still pay for the term"),
    ],
)
def test_the_calendar_calls_firm_what_is_signed_on_approval(index, band, renewal, rule):
    """Orders of the first month wait for no trigger, whatever their band; nor does what the baseline orders in the decision window."""
    row = ORDER | {"order_index": index, "band": band, "renewal": renewal}
    assert calendar(pd.DataFrame([row])).query("kind == 'order'")["rule"].tolist() == [rule]


@pytest.mark.parametrize(("weeks", "due"), [(8.0, "2026-12-07"), (0.0, "2026-12-31"), (30.0, "2026-12-01")])
def test_an_order_is_due_so_many_weeks_before_its_use_but_in_its_month(weeks, due):
    """Eight weeks before 1 February 2027 are 7 December."""
    order = calendar(pd.DataFrame([ORDER | {"lead_time_weeks": weeks}])).query("kind == 'order'").iloc[0]
    assert str(order["date"].date()) == due


def test_the_end_of_what_is_committed_is_dated():
    """A term whose first month without it is February 2027 runs out on 31 January."""
    book = pd.DataFrame({"order_id": ["a", "b", "c", "d"], "region": "eu", "accelerator_id": "acc", "accelerators": 8,
                         "purchase_option": ["reserved_1y", "purchase", "purchase", "lease"], "source": "contract",
                         "end_month": ["2027-02", "2028-07", None, "2026-01"]})  # fmt: skip
    ends = calendar(commitments=book).query("kind == 'end of term'")
    assert [str(day.date()) for day in ends["date"]] == ["2027-01-31", "2028-06-30"]
    assert ends["event"].tolist() == ["Term ends: 8 acc, reserved, 1 year, eu", "In use until: 8 acc, purchase, eu"]
    assert ends["event_id"].tolist() == ["term|a", "term|b"]


def test_orders_of_one_place_are_told_apart_by_their_number():
    table = calendar(pd.DataFrame([ORDER, {**ORDER, "start_month": "2027-08"}, {**ORDER, "renewal": True}]))
    assert table["event_id"].is_unique
    assert (table["kind"] == "order").sum() == 3


def life(*rows):
    return pd.DataFrame(rows, columns=["accelerator_id", "event", "date", "note", "source"])


def test_ends_of_life_to_come_are_dated_by_their_last_day():
    table = calendar(
        pd.DataFrame([ORDER]),
        in_use=["old"],
        lifecycle=life(("acc", "end_of_support", "2028-02", "drivers end", "vendor"), ("old", "end_of_sale", "2027", None, "note"),
                       ("old", "end_of_line", "2024", None, "note"), ("other", "end_of_support", "2027", None, "note")),
    ).query("kind == 'end of life'")  # fmt: skip
    assert table[["event", "rule"]].to_numpy().tolist() == [
        ["Sale ends: old", " (note)"],
        ["Support ends: acc", "drivers end (vendor)"],
    ]
    assert table["date"].dt.strftime("%Y-%m-%d").tolist() == ["2027-12-31", "2028-02-29"]


@pytest.mark.parametrize(
    ("status", "due", "review", "kinds"),
    [
        ("open", "2026-11-15", None, ["decision due"]),
        ("open", "2026-11-15", "2027-01-05", ["decision due", "decision review"]),
        ("open", None, None, []),
        ("done", "2026-11-15", "2027-01-05", ["decision review"]),
        ("dropped", "2026-11-15", "2027-01-05", []),
    ],
)
def test_decisions_are_due_while_open_and_looked_at_again(status, due, review, kinds):
    log = pd.DataFrame([{"date": pd.Timestamp("2026-10-01"), "subject": "pilot", "text": "go on", "owner_role": "head",
                         "status": status, "due": pd.Timestamp(due), "review_date": pd.Timestamp(review)}])  # fmt: skip
    table = calendar(decisions=log)
    assert table.loc[table["kind"].str.startswith("decision"), "kind"].tolist() == kinds
    assert table["date"].is_monotonic_increasing
    assert table["event_id"].is_unique


def test_announced_ends_of_hosted_models_to_come_are_dated():
    """Past ends and those beyond the horizon are no date to come."""
    rows = pd.DataFrame({
        "model": ["gpt-5", "old", "late"], "provider": "openai", "use_case_id": ["chat", "chat", ""], "usd_month": 1.0, "named_in": "billing",
        "retires": pd.to_datetime(["2027-03-01", "2026-09-30", "2031-01-01"]), "owner_role": "head of service", "action": "Test a successor",
        "source": "price list", "as_of": pd.Timestamp("2026-10-01"),
    })  # fmt: skip
    ends = calendar(retiring=rows).query("kind == 'end of life'")
    assert ends["event"].tolist() == ["Hosted model ends: gpt-5 of chat"] and ends["event_id"].tolist() == [
        "end|gpt-5|chat"
    ]
    assert ends["rule"].item() == "Test a successor (price list)" and str(ends["date"].item())[:10] == "2027-03-01"


def test_many_small_use_cases_are_tested_together_and_next_to_nothing_is_not():
    """Of 250 alike none is next to nothing; beside one that pays 1,000 two of a dollar are; one below the least share of its work never counts."""
    alike = pd.DataFrame({"use_case_id": [f"u{at}" for at in range(250)], "hosted_share": 0.5, "hosted_usd": 10.0})
    assert len(worth_a_test(alike)) >= 248
    two = pd.DataFrame({"use_case_id": ["a", "b", "c", "d"], "hosted_share": [0.5, 0.5, 0.5, 0.001], "hosted_usd": [1.0, 1000.0, 1.0, 500.0]})  # fmt: skip
    assert worth_a_test(two)["use_case_id"].tolist() == ["b"]
