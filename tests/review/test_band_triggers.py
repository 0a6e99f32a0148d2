"""Measured demand against the load that releases a step of the approved plan."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.pool_load import pool_loads
from aifactory.review.band_triggers import band_triggers, by_date, not_followed

PERIOD = "2026-10"
#: 10 units an hour need one accelerator.
PER_MONTH = 7300.0


def plan(months=("2026-08", "2026-09", "2026-10"), loads=(2.0, 2.0, 2.0), **more):
    rows = [
        {"plan_period": "2026-07", "month": month, "use_case_id": "chat", "region": "us", "accelerator_id": "h100",
         "units": load * PER_MONTH, "load_accelerators": load, **more}
        for month, load in zip(months, loads, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def measured(*loads, last=PERIOD, use_case="chat", region="us"):
    """Units of the last months at so many accelerators' work, in calendar months."""
    months = pd.period_range(end=last, periods=len(loads), freq="M")
    units = [load * 10 * month.days_in_month * 24 for load, month in zip(loads, months, strict=True)]
    return pd.DataFrame({"month": months.astype("str"), "use_case_id": use_case, "region": region, "units": units})


def step(threshold, order_month="2026-12", **more):
    row = {"plan_period": "2026-07", "region": "us", "accelerator_id": "h100", "band": "growth", "kind": "capacity",
           "purchase_option": "on_demand", "accelerators": 8, "order_month": order_month, "start_month": order_month,
           "threshold_accelerators": threshold, "lead_time_weeks": 0.0, "commitment_usd": 0.0, "milestone": "growth",
           "owner_role": "head"}  # fmt: skip
    return pd.DataFrame([{**row, **more}])


def state(threshold, *loads, **more):
    return band_triggers(plan(), step(threshold, **more), measured(*loads), PERIOD).iloc[0]


@pytest.mark.parametrize(
    ("order_month", "state", "wait", "fired"),
    [
        ("2026-10", "fired", 0.0, "2026-10"),
        ("2026-08", "fired", 0.0, "2026-08"),
        ("2027-01", "approaching", 3.0, ""),
        ("2027-02", "quiet", 4.0, ""),
    ],
)
def test_kit_for_a_launch_waits_for_its_date_and_not_for_the_load_of_others(order_month, state, wait, fired):
    """Nothing of `voice` is at work before it starts: chat, at 2 of 90 accelerators, neither releases nor holds back its order."""
    order = step(90.0, order_month=order_month, kind="commitment", starts_with="voice starts")
    row = band_triggers(plan(), order, measured(2.0, 2.0, 2.0), PERIOD).iloc[0]
    assert (row["state"], row["months_to_trigger"], row["fired_in"], row["starts_with"]) == (
        state,
        wait,
        fired,
        "voice starts",
    )
    assert np.isnan(row["value"]) and np.isnan(row["threshold"])
    assert not_followed(order, plan(), band_triggers(plan(), order, measured(2.0), PERIOD), PERIOD) == []
    log = pd.DataFrame(
        {"kind": ["decision"], "status": ["done"], "subject": ["us h100"], "date": pd.to_datetime(["2026-10-20"])}
    )
    decided = band_triggers(plan(), order, measured(2.0, 2.0, 2.0), PERIOD, log).iloc[0]
    assert decided["state"] == ("released" if state == "fired" else state)


def test_a_decision_about_one_way_to_pay_leaves_the_others_open():
    """The lease is decided, the purchase beside it is not; a decision about the pool closes both."""
    steps = pd.concat(
        [step(1.5, kind="commitment", purchase_option=option) for option in ("lease", "purchase")], ignore_index=True
    )

    def states(subject):
        log = pd.DataFrame(
            {"kind": ["decision"], "status": ["done"], "subject": [subject], "date": pd.to_datetime(["2026-10-20"])}
        )
        found = band_triggers(plan(), steps, measured(2.0, 2.0, 2.0), PERIOD, log)
        return found.set_index("purchase_option")["state"].to_dict()

    assert states("us h100 lease") == {"lease": "released", "purchase": "fired"}
    assert states("us h100") == {"lease": "released", "purchase": "released"}
    assert states("us h100 spot") == {"lease": "fired", "purchase": "fired"}


def test_orders_that_the_book_holds_wait_for_nothing():
    """Steps of 8 and 8 that fired: 12 were ordered since approval, so that 4 of the later one are left."""
    buy = {"kind": "commitment", "purchase_option": "purchase", "commitment_usd": 800.0}
    steps = pd.concat(
        [step(1.5, order_month="2026-10", **buy), step(1.5, order_month="2026-09", **buy)], ignore_index=True
    )
    about = {
        "region": "us",
        "accelerator_id": "h100",
        "purchase_option": "purchase",
        "order_id": "o-1",
        "source": "order log",
    }
    rows = [about | {"accelerators": 8, "order_month": "2026-09", "plan_period": None},
            about | {"accelerators": 4, "order_month": "2026-10", "plan_period": "2026-07"},
            about | {"accelerators": 99, "order_month": "2026-08", "plan_period": "2026-07", "order_id": "2026-07-01"}]  # fmt: skip
    found = band_triggers(plan(), steps, measured(2.0, 2.0, 2.0), PERIOD, book=pd.DataFrame(rows))
    found = found.set_index("order_month")
    assert found["state"].to_dict() == {"2026-10": "fired", "2026-09": "released"}
    assert found.loc["2026-10", ["accelerators", "commitment_usd"]].tolist() == [4, 400.0]
    log = pd.DataFrame(
        {"kind": ["decision"], "status": ["done"], "subject": ["us h100"], "date": pd.to_datetime(["2026-10-20"])}
    )
    both = band_triggers(plan(), steps, measured(2.0, 2.0, 2.0), PERIOD, log, book=pd.DataFrame(rows))
    assert (both["state"] == "released").all() and (both["accelerators"] == 8).all()


@pytest.mark.parametrize(
    ("order_month", "limit", "state", "fired"),
    [
        ("2026-10", 90.0, "fired", "2026-10"),
        ("2026-12", 90.0, "approaching", ""),
        ("2027-04", 90.0, "quiet", ""),
        ("2027-04", 1.9, "fired", "2026-08"),
    ],
)
def test_kit_for_the_end_of_a_term_waits_for_load_until_its_date(order_month, limit, state, fired):
    """What ends must be decided on, however far the load is behind plan; growth may ask for it before."""
    order = step(limit, order_month=order_month, kind="commitment", starts_with="16 h100 end")
    row = band_triggers(plan(), order, measured(2.0, 2.0, 2.0), PERIOD).iloc[0]
    assert (row["state"], row["fired_in"], row["value"]) == (state, fired, pytest.approx(2.0))
    until = (pd.Period(order_month, "M") - pd.Period(PERIOD, "M")).n
    assert row["months_to_trigger"] == (
        0.0 if fired else until
    )  # level load: it never reaches the limit, the date does
    assert by_date(band_triggers(plan(), order, measured(2.0, 2.0, 2.0), PERIOD)).item() is (fired == order_month)
    assert band_triggers(plan(), order.assign(starts_with=None), measured(2.0, 2.0, 2.0), PERIOD).iloc[0]["state"] == (
        "held back" if (order_month, limit) == ("2026-10", 90.0) else "fired" if fired == "2026-08" else "quiet"
    )


def test_kit_that_replaces_what_ends_counts_the_work_that_comes_with_it():
    """From January on chat is on `a100`, half of it until then; 4 % more demand than planned asks for no order of what replaces the h100."""
    months = ("2026-09", "2026-10", "2026-11", "2026-12")
    here = plan((*months, "2027-01"), (1.0, 1.0, 1.0, 1.0, 2.4), accelerator_id="a100")
    approved = pd.concat([here, plan(months, (1.0,) * 4)], ignore_index=True)
    order = step(2.4, order_month="2026-12", kind="commitment", accelerator_id="a100", starts_with="16 h100 end")
    order = order.assign(start_month="2027-01")
    row = band_triggers(approved, order, measured(2.0, 2.0, 2.08), PERIOD).iloc[0]
    assert (row["value"], row["fired_in"]) == (pytest.approx(2.08), "")
    row = band_triggers(approved, order, measured(2.0, 2.0, 2.5), PERIOD).iloc[0]  # as much as January is planned with
    assert (row["value"], row["state"], row["fired_in"]) == (pytest.approx(2.5), "fired", "2026-10")
    other = band_triggers(approved, order.assign(starts_with=None), measured(2.0, 2.0, 2.08), PERIOD).iloc[0]
    assert other["value"] == pytest.approx(1.04)


@pytest.mark.parametrize(
    ("not_before", "loads", "state", "wait", "fired"),
    [
        ("2026-12", (2.0, 2.0, 2.0), "no room yet", 2.0, ""),  # the site has power from December on
        ("2026-10", (2.0, 2.0, 2.0), "fired", 0.0, "2026-10"),
        ("2026-09", (1.0, 1.0, 2.0), "fired", 0.0, "2026-10"),  # room first, load later
        (None, (2.0, 2.0, 2.0), "fired", 0.0, "2026-08"),
        ("2026-12", (1.0, 1.0, 1.0), "quiet", np.inf, ""),  # neither
    ],
)
def test_a_load_releases_no_order_before_limits_leave_room_for_it(not_before, loads, state, wait, fired):
    """An order planned for April that 1.9 accelerators at work release: not while power or money of the plan are taken."""
    order = step(1.9, order_month="2027-04", kind="commitment", not_before=not_before)
    row = band_triggers(plan(), order, measured(*loads), PERIOD).iloc[0]
    assert (row["state"], row["fired_in"]) == (state, fired)
    assert row["months_to_trigger"] == wait and (row["not_before"] or None) == not_before


def test_the_load_of_a_pool_is_units_times_accelerators_per_unit():
    both = pd.concat([plan(), plan(loads=(1.0, 1.0, 1.0), use_case_id="faq").assign(units=500.0)])
    demand = pd.concat([measured(3.0), measured(1.0, use_case="faq").assign(units=744.0), measured(9.0, region="eu")])
    loads = pool_loads(both, demand, PERIOD)
    assert loads.loc[PERIOD, ("us", "h100")] == pytest.approx(3.0 + 744.0 / 500.0 * 730 / 744)
    assert list(loads.columns) == [("us", "h100")]  # the plan knows no pool in eu


def test_units_that_grow_are_weighed_as_the_plan_weighs_that_month():
    grown = plan(loads=(2.0, 2.0, 4.0)).assign(units=2 * PER_MONTH)
    loads = pool_loads(grown, measured(2.0, 2.0, 2.0), PERIOD)[("us", "h100")]
    assert loads.tolist() == pytest.approx([2.0, 2.0, 4.0])


def test_months_of_different_length_with_the_same_load_are_level():
    loads = pool_loads(plan(), measured(*[2.5] * 9), PERIOD)[("us", "h100")]
    assert loads.to_numpy() == pytest.approx(np.full(9, 2.5))


@pytest.mark.parametrize(
    ("loads", "order", "expected", "fired_in"),
    [
        ((2.0, 2.2, 2.4, 3.0), "2026-12", "fired", "2026-10"),
        ((2.0, 2.2, 3.1, 3.2), "2026-12", "fired", "2026-09"),
        ((2.0, 3.1, 2.2, 2.2), "2026-12", "fired", "2026-08"),  # it stays so when demand falls again
        ((3.5, 2.0, 2.0, 2.0), "2026-12", "quiet", ""),  # July is before the plan
        ((2.0, 2.2, 2.4, 2.6), "2026-12", "approaching", ""),  # two months away
        ((2.0, 2.01, 2.02, 2.03), "2026-12", "quiet", ""),
        ((2.0, 2.01, 2.02, 2.03), "2026-10", "held back", ""),  # its month has come, its load has not
    ],
)
def test_the_state_follows_the_load(loads, order, expected, fired_in):
    row = state(3.0, *loads, order_month=order)
    assert (row["state"], row["fired_in"]) == (expected, fired_in)


def test_work_that_moves_when_a_term_ends_releases_the_step_of_its_new_pool():
    """From December on the plan has the work on half as many accelerators of another kind."""
    moved = pd.concat([plan(), plan(("2026-12",), (1.0,), accelerator_id="a100").assign(units=2 * PER_MONTH)])
    demand = measured(2.0, 3.0, 4.0)
    order = step(1.5, accelerator_id="a100", kind="commitment")
    row = band_triggers(moved, order, demand, PERIOD).iloc[0]
    assert (row["value"], row["state"], row["fired_in"]) == (pytest.approx(2.0), "fired", "2026-09")
    assert band_triggers(moved, step(1.5), demand, PERIOD).empty  # its old pool has no work by then
    before = band_triggers(moved, step(3.0, order_month="2026-11"), demand, PERIOD).iloc[0]
    assert (before["value"], before["fired_in"]) == (pytest.approx(4.0), "2026-09")


def test_capacity_for_work_that_is_still_elsewhere_waits_for_the_move():
    """As above: hours on the new kind are needed from December on, when the plan has the work there, and not before."""
    moved = pd.concat([plan(), plan(("2026-12",), (1.0,), accelerator_id="a100").assign(units=2 * PER_MONTH)])
    row = band_triggers(moved, step(1.5, accelerator_id="a100"), measured(2.0, 3.0, 4.0), PERIOD).iloc[0]
    assert (row["value"], row["fired_in"]) == (0.0, "")
    later = measured(2.0, 3.0, 4.0, last="2026-12")
    row = band_triggers(moved, step(1.5, accelerator_id="a100"), later, "2026-12").iloc[0]
    assert (row["value"], row["fired_in"]) == (pytest.approx(2.0), "2026-12")
    faq = plan(("2026-10", "2026-12"), (1.0, 1.0), accelerator_id="a100", use_case_id="faq")
    demand = pd.concat([measured(2.0, 3.0, 4.0), measured(1.0, 1.0, 1.6, use_case="faq")])
    row = band_triggers(pd.concat([moved, faq]), step(1.5, accelerator_id="a100"), demand, PERIOD).iloc[0]
    assert (row["value"], row["fired_in"]) == (pytest.approx(1.6), "2026-10")  # what is there grows and counts alone


def test_capacity_for_work_that_is_divided_until_a_term_ends_counts_the_part_that_is_there():
    """Until November a quarter of chat's units is on `a100`; hours there for all of it are needed in December, when the h100 end."""
    both = ("2026-09", "2026-10", "2026-11")
    main, guest = plan(both, (3.0,) * 3), plan((*both, "2026-12"), (1.0, 1.0, 1.0, 4.0), accelerator_id="a100")
    approved = pd.concat([main, guest], ignore_index=True)
    order = step(3.0, accelerator_id="a100")
    row = band_triggers(approved, order, measured(4.0, 4.0, 4.4), PERIOD).iloc[0]
    assert (row["value"], row["fired_in"]) == (pytest.approx(1.1), "")
    row = band_triggers(approved, order, measured(4.0, 4.0, 4.4, last="2026-12"), "2026-12").iloc[0]
    assert (row["value"], row["fired_in"]) == (pytest.approx(4.4), "2026-12")
    # What will have left by the month of the order asks for nothing new there.
    leaving = pd.concat([plan((*both, "2026-12"), (3.0, 3.0, 3.0, 4.0)), plan(both, (1.0,) * 3, accelerator_id="a100")])
    row = band_triggers(leaving, step(3.5), measured(4.0, 4.0, 4.4), PERIOD).iloc[0]
    assert row["value"] == pytest.approx(3.3)


def test_an_order_for_a_pool_without_work_by_then_is_said_not_hidden():
    steps = pd.concat([step(3.0, kind="commitment"), step(0.0, kind="commitment", accelerator_id="tpu")])
    states = band_triggers(plan(), steps, measured(2.0, 2.1, 2.2), PERIOD)
    assert states["accelerator_id"].tolist() == ["h100"]
    (said,) = not_followed(steps, plan(), states, PERIOD)
    assert said.startswith("the trigger of 8 tpu in us, to be ordered in 2026-12: no work")
    assert not_followed(steps.assign(order_month="2027-11"), plan(), states, PERIOD) == []  # more than a year ahead
    row = {"region": "us", "accelerator_id": "tpu", "purchase_option": "on_demand", "accelerators": 8, "order_month": "2026-09",
           "plan_period": None, "order_id": "o-1", "source": "order log"}  # fmt: skip
    assert not_followed(steps.reset_index(drop=True), plan(), states, PERIOD, pd.DataFrame([row])) == []


def test_months_to_the_trigger_follow_the_line_of_the_loads():
    row = state(3.0, 2.0, 2.1, 2.2, 2.3)
    assert row["slope_per_month"] == pytest.approx(0.1)
    assert row["months_to_trigger"] == pytest.approx(7.0)
    assert row["value"] == pytest.approx(2.3)


def test_a_long_lead_time_brings_the_warning_forward():
    assert state(3.0, 2.0, 2.1, 2.2, 2.3, lead_time_weeks=26.0)["state"] == "quiet"  # 6 months, 7 away
    assert state(3.0, 2.0, 2.1, 2.2, 2.3, lead_time_weeks=35.0)["state"] == "approaching"


def test_a_step_counts_from_a_year_before_its_order():
    assert band_triggers(plan(), step(1.0, order_month="2027-11"), measured(2.0, 2.0, 2.0), PERIOD).empty
    assert state(1.0, 2.0, 2.0, 2.0, order_month="2027-10")["fired_in"] == "2026-10"


def test_two_months_are_no_trend():
    row = state(3.0, 2.0, 2.9)
    assert row["months_to_trigger"] == np.inf
    assert row["state"] == "quiet"


def test_without_plan_steps_or_loads_there_is_nothing_to_say():
    for plan_, steps in (
        (plan().iloc[:0], step(1.0)),
        (plan(), step(1.0).iloc[:0]),
        (plan(load_accelerators=np.nan), step(1.0)),
        (plan(), step(1.0, plan_period="2026-01")),  # steps of another plan
        (plan(), step(1.0, region="eu")),  # a pool without demand
    ):
        assert band_triggers(plan_, steps, measured(2.0), PERIOD).empty
    assert band_triggers(plan(), step(1.0), measured(2.0, last="2026-09"), PERIOD).empty  # no demand in the month


@pytest.mark.parametrize(
    ("date", "subject", "kind", "status", "expected"),
    [
        ("2026-09-02", "us h100", "decision", "done", "released"),
        ("2026-10-30", "us h100", "decision", "open", "released"),  # decided, not yet done
        ("2026-08-31", "us h100", "decision", "done", "fired"),  # before the load was there
        ("2026-09-02", "us h100", "decision", "dropped", "fired"),
        ("2026-09-02", "us h100", "incident", "done", "fired"),
        ("2026-09-02", "eu h100", "decision", "done", "fired"),
    ],
)
def test_a_step_stays_fired_until_something_is_decided(date, subject, kind, status, expected):
    log = pd.DataFrame({"date": [pd.Timestamp(date)], "subject": [subject], "kind": [kind], "status": [status]})
    rows = band_triggers(plan(), step(3.0), measured(2.0, 2.0, 3.1, 2.9), PERIOD, log)
    assert rows["state"].tolist() == [expected]
    assert rows["fired_in"].tolist() == ["2026-09"]


@given(st.lists(st.floats(0.1, 9.0), min_size=3, max_size=6), st.floats(0.5, 9.0))
@settings(max_examples=40)
def test_a_step_that_fired_stays_fired_since_the_same_month(loads, threshold):
    demand = measured(*loads)
    months = [month for month in demand["month"] if month > "2026-07"]
    rows = [band_triggers(plan(), step(threshold, order_month="2027-01"), demand, month).iloc[0] for month in months]
    fired = [row["fired_in"] for row in rows if row["state"] == "fired"]
    assert len(set(fired)) <= 1
    if fired:
        assert all(row["state"] == "fired" for row, month in zip(rows, months, strict=True) if month >= fired[0])


def in_autumn(use_case, months):
    """Twice the demand in October, half of it in May, nothing in January."""
    return np.array([{1: 0.0, 5: 0.5, 10: 2.0}.get(month, 1.0) for month in months.month])


@pytest.mark.parametrize(
    ("kind", "order", "value", "expected"),
    [
        ("commitment", "2027-04", 2.2, "quiet"),  # of the peak of 4.4 half is there in April
        ("commitment", "2027-05", 1.1, "quiet"),
        ("commitment", "2027-10", 4.4, "fired"),  # in the same month of the next year it is all there
        ("commitment", "2027-01", 0.0, "quiet"),
        ("capacity", "2027-04", 4.4, "fired"),  # rented hours are needed now
    ],
)
def test_a_yearly_peak_alone_releases_no_order(kind, order, value, expected):
    orders = step(3.0, order_month=order, kind=kind)
    row = band_triggers(plan(), orders, measured(2.1, 2.15, 2.2, 4.4), PERIOD, usual=in_autumn).iloc[0]
    assert (row["value"], row["state"]) == (pytest.approx(value), expected)
    assert band_triggers(plan(), orders, measured(2.1, 2.15, 2.2, 4.4), PERIOD).iloc[0]["state"] == "fired"


def test_a_month_that_usually_has_no_demand_counts_as_measured():
    row = band_triggers(plan(), step(3.0, kind="commitment"), measured(2.0, last="2027-01"), "2027-01", usual=in_autumn)
    assert row["value"].tolist() == pytest.approx([2.0])


def test_work_divided_between_two_accelerators_loads_each_by_its_share():
    """A quarter of chat's units runs on `a100` at 4 an hour each, the rest on `h100` at 10: 40 units an hour keep 2.5 and 3 at work."""
    main = plan(loads=(3.0, 3.0, 3.0))
    guest = plan(loads=(1.0, 1.0, 1.0), accelerator_id="a100").assign(load_accelerators=2.5)
    loads = pool_loads(pd.concat([main, guest], ignore_index=True), measured(4.0, 8.0), PERIOD)
    assert loads["us", "h100"].tolist() == pytest.approx([3.0, 6.0])
    assert loads["us", "a100"].tolist() == pytest.approx([2.5, 5.0])


def test_work_that_is_divided_until_a_term_ends_loads_what_it_moves_to_with_all_of_it():
    """From November on all of chat runs on `h100`: the pool of that month has all that is measured, also before."""
    main = plan(("2026-09", "2026-10", "2026-11"), (3.0, 3.0, 4.0))
    guest = plan(("2026-09", "2026-10"), (1.0, 1.0), accelerator_id="a100")
    loads = pool_loads(pd.concat([main, guest], ignore_index=True), measured(4.0, 4.0), PERIOD, "2026-11")
    assert loads["us", "h100"].tolist() == pytest.approx([4.0, 4.0]) and ("us", "a100") not in loads
