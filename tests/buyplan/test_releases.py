"""Steps of a plan that wait for demand: what is added, when, and the load that releases it."""

import pandas as pd
import pytest

from aifactory.buyplan.releases import not_there_yet, release_steps
from aifactory.inputs.contracts import load_contract

MONTHS = ["2026-08", "2026-09", "2026-10", "2026-11"]


def fleet(baseline, growth, surge, average, scenario="expected", accelerator="h100", standing=0):
    rows = pd.DataFrame(
        {
            "month": MONTHS,
            "baseline": baseline,
            "growth": growth,
            "surge": surge,
            "average": average,
            "standing": standing,
        }
    )
    return rows.assign(scenario=scenario, region="us", accelerator_id=accelerator,
                       accelerators=rows["baseline"] + rows["growth"] + rows["surge"])  # fmt: skip


BANDS = pd.DataFrame(
    [("us", "h100", "baseline", "owned", "today", "head"), ("us", "h100", "growth", "purchase", "growth", "head"),
     ("us", "h100", "surge", "spot", "peaks", "head of peaks")],
    columns=["region", "accelerator_id", "band", "purchase_option", "milestone", "owner_role"],
)  # fmt: skip
ORDERS = pd.DataFrame(
    [("us", "h100", "baseline", "purchase", 8, "2026-08", "2026-08", 1e5, False, 8.0),
     ("us", "h100", "growth", "reserved_1y", 8, "2026-10", "2026-11", 5e4, False, 26.0),
     ("us", "h100", "baseline", "reserved_1y", 8, "2026-11", "2026-11", 5e4, True, 0.0)],
    columns=["region", "accelerator_id", "band", "purchase_option", "accelerators", "order_month", "start_month",
             "commitment_usd", "renewal", "lead_time_weeks"],
).assign(order_index=[1, 3, 4])  # fmt: skip
OPTIONS = pd.DataFrame(
    {
        "region": "us",
        "accelerator_id": ["h100", "h100", "l4"],
        "purchase_option": ["purchase", "on_demand", "on_demand"],
    }
)
PLAIN = fleet([8] * 4, [0, 8, 8, 8], [4, 4, 8, 0], [5.0, 6.0, 7.0, 8.0])


def test_capacity_steps_rise_above_everything_held_before():
    steps = release_steps(PLAIN, BANDS, ORDERS.iloc[:0], OPTIONS, "2026-07")
    assert steps[["order_month", "accelerators", "band", "threshold_accelerators"]].to_numpy().tolist() == [
        ["2026-09", 8, "growth", 6.0],
        ["2026-10", 4, "surge", 7.0],
    ]  # November falls back, August is firm
    assert steps["purchase_option"].tolist() == ["spot", "spot"]  # no order begins then, so hours are rented
    assert steps["owner_role"].tolist() == ["head", "head of peaks"]
    assert (steps["commitment_usd"] == 0).all()


def test_capacity_ahead_of_its_order_is_rented_and_none_where_no_hours_are():
    """Growth is bought later and held before: by the hour. Where none is for rent, what is ordered is the only step."""
    bought = BANDS[BANDS["purchase_option"] != "spot"]
    steps = release_steps(PLAIN, bought, ORDERS.iloc[:0], OPTIONS, "2026-07")
    assert steps["purchase_option"].tolist() == ["on_demand", "on_demand"]
    hardware = OPTIONS[OPTIONS["purchase_option"] == "purchase"]
    assert release_steps(PLAIN, bought, ORDERS.iloc[:0], hardware, "2026-07").empty
    on_spot = OPTIONS.assign(purchase_option="spot")  # may be gone at any time
    assert release_steps(PLAIN, bought, ORDERS.iloc[:0], on_spot, "2026-07").empty
    steps = release_steps(PLAIN, bought, ORDERS, hardware, "2026-07")
    assert steps[["kind", "start_month", "accelerators"]].to_numpy().tolist() == [["commitment", "2026-11", 8]]
    begins = ORDERS.iloc[1:2].assign(
        start_month="2026-09", order_month="2026-09", order_index=2
    )  # its own step says all
    assert release_steps(PLAIN, bought, begins, hardware, "2026-07")["kind"].tolist() == ["commitment"]


def test_what_stands_from_orders_before_the_plan_is_no_step_when_work_comes_to_it():
    # 4, 8, 16 and 12 accelerators at work beside 8 that stand until September: 8 more in October
    plan = fleet([4, 8, 8, 8], [0, 0, 8, 4], [0] * 4, [1.0, 2.0, 3.0, 2.0], standing=[8, 8, 0, 0])
    steps = release_steps(plan, BANDS, ORDERS.iloc[:0], OPTIONS, "2026-07")
    assert steps[["order_month", "accelerators"]].to_numpy().tolist() == [["2026-10", 8]]
    begun = ORDERS.iloc[1:2].assign(start_month="2026-10", order_month="2026-08", order_index=2)
    paid = release_steps(plan, BANDS, begun, OPTIONS, "2026-07")
    assert paid[["kind", "purchase_option"]].to_numpy().tolist() == [["capacity", "reserved_1y"]]


def test_what_placed_and_firm_orders_deliver_is_no_step():
    """Of 8, 16, 28 and 28: 8 of September were ordered before the plan, 8 of October are signed on approval, 4 are left."""
    plan = fleet([8, 16, 16, 16], [0, 0, 12, 12], [0] * 4, [1.0, 2.0, 3.0, 4.0], standing=[8, 16, 16, 16])
    firm = ORDERS.iloc[1:2].assign(start_month="2026-10", order_month="2026-08", order_index=1, expires="")
    steps = release_steps(plan, BANDS, firm, OPTIONS, "2026-07")
    assert steps[["order_month", "accelerators"]].to_numpy().tolist() == [["2026-10", 4]]
    until = release_steps(plan, BANDS, firm.assign(expires="2026-11"), OPTIONS, "2026-07")
    assert until[["order_month", "accelerators"]].to_numpy().tolist() == [["2026-10", 4]]  # 28 were held in October


def test_orders_after_the_first_month_wait_and_renewals_do_not():
    steps = release_steps(PLAIN, BANDS, ORDERS, OPTIONS, "2026-07").query("kind == 'commitment'")
    row = steps.iloc[0]
    assert len(steps) == 1
    assert (row["accelerators"], row["order_month"], row["start_month"]) == (8, "2026-10", "2026-11")
    assert row["threshold_accelerators"] == 7.0  # the load when the order is placed, not when it is used
    assert (row["commitment_usd"], row["lead_time_weeks"], row["purchase_option"]) == (5e4, 26.0, "reserved_1y")


def test_an_order_for_a_launch_or_the_end_of_a_term_is_due_on_its_date():
    """Of two orders that wait (the first is firm) one is there when a use case starts; `lead time` sets no date of its own."""
    timing = [
        "",
        "lead time of 1 month binds; there when voice starts; 8 is the smallest order",
        "lead time of 1 month binds",
    ]
    orders = ORDERS.assign(order_month="2026-10", renewal=False, timing=timing, band="growth")
    waits = release_steps(PLAIN, BANDS, orders, OPTIONS, "2026-07").query("kind == 'commitment'")
    assert sorted(waits["starts_with"].fillna("")) == ["", "voice starts"]
    # Its load counts the work that comes with it: that of November, in which it goes to work.
    by = waits.assign(dated=waits["starts_with"].notna()).set_index("dated")["threshold_accelerators"]
    load = PLAIN[PLAIN["scenario"] == "expected"].groupby("month")["average"].first()
    assert by[False] == load["2026-10"]
    start = waits.loc[waits["starts_with"].notna(), "start_month"].item()
    assert by[True] == load[start] != load["2026-10"]
    assert (
        release_steps(PLAIN, BANDS, ORDERS, OPTIONS, "2026-07")["starts_with"].isna().all()
    )  # orders that state no timing


def test_an_order_keeps_the_month_before_which_limits_leave_no_room():
    orders = ORDERS.assign(order_month="2026-10", renewal=False, not_before=["", "2026-09", ""], band="growth")
    waits = release_steps(PLAIN, BANDS, orders, OPTIONS, "2026-07").query("kind == 'commitment'")
    assert sorted(waits["not_before"].fillna("")) == ["", "2026-09"]


def test_what_no_hours_are_rented_for_is_there_only_once_delivered():
    """Ten H100 of which hours are rented; of six L4 that are bought alone two are there."""
    month = pd.DataFrame({"region": "us", "accelerator_id": ["h100", "l4"], "accelerators": [10, 6], "committed": [0, 2], "standing": [0, 1]})  # fmt: skip
    options = OPTIONS.assign(purchase_option=["purchase", "on_demand", "purchase"])
    assert not_there_yet(month, options) == 4.0
    assert not_there_yet(month, OPTIONS) == 0.0
    assert not_there_yet(month.assign(committed=[0, 9]), options) == 0.0


def test_other_scenarios_and_other_pools_do_not_mix():
    more = pd.concat([fleet([99] * 4, [0] * 4, [0, 9, 9, 99], [9.0] * 4, scenario="aggressive"), PLAIN,
                      fleet([1] * 4, [0] * 4, [0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4], accelerator="l4")])  # fmt: skip
    steps = release_steps(more, BANDS, ORDERS.iloc[:0], OPTIONS, "2026-07")
    assert steps.groupby("accelerator_id")["accelerators"].sum().to_dict() == {"h100": 12, "l4": 1}
    assert steps.query("accelerator_id == 'l4'")["purchase_option"].tolist() == ["on_demand"]  # no band says more


def test_a_level_fleet_and_an_empty_plan_have_no_steps():
    level = fleet([8] * 4, [0] * 4, [0] * 4, [5.0] * 4)
    for plan in (level, PLAIN.iloc[:0]):
        steps = release_steps(plan, BANDS, ORDERS.iloc[:0], OPTIONS, "2026-07")
        assert steps.empty
        assert list(steps.columns) == load_contract("approved_bands").columns


@pytest.mark.parametrize("shuffle", [1, 2, 3])
def test_the_order_of_rows_does_not_matter(shuffle):
    plain = release_steps(PLAIN, BANDS, ORDERS, OPTIONS, "2026-07")
    mixed = release_steps(
        PLAIN.sample(frac=1, random_state=shuffle), BANDS.iloc[::-1], ORDERS.iloc[::-1], OPTIONS, "2026-07"
    )
    pd.testing.assert_frame_equal(plain, mixed)
