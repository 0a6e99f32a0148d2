"""Telemetry of the pools against what the approved plan assumes."""

import pandas as pd
import pytest

from aifactory.review.plan_use import AGREES, CONTRADICTS, NO_READINGS, NOT_MOVED, NOT_PLANNED, use_against_plan

PERIOD = "2026-09"  # 720 hours


def plan(units=7300.0, load=4.0, accelerators=8, place=("us", "h100"), month=PERIOD):
    """Units in 730 h, and the accelerators that they keep at work."""
    return pd.DataFrame(
        [{"plan_period": "2026-07", "month": month, "use_case_id": "chat", "region": place[0], "accelerator_id": place[1],
          "units": units, "load_accelerators": load, "accelerator_hours": accelerators * 730.0}]
    )  # fmt: skip


def pools(*rows, columns=("region", "accelerator_id", "installed", "utilization_mean", "accelerator_hours")):
    return pd.DataFrame(rows, columns=list(columns))


def demand(units):
    return pd.DataFrame({"month": [PERIOD], "use_case_id": ["chat"], "region": ["us"], "units": [units]})


@pytest.mark.parametrize(
    ("measured", "state"),
    [(0.25, AGREES), (0.13, AGREES), (0.49, AGREES), (0.51, CONTRADICTS), (0.12, CONTRADICTS)],
)
def test_readings_far_from_the_capacity_of_the_plan_contradict_it(measured, state):
    """10 units an hour are planned for 4 accelerators; 10 an hour were served, 16 stand there: a quarter of them."""
    row = use_against_plan(plan(), pools(("us", "h100", 16, measured, 16 * 720.0)), demand(7200.0), PERIOD, {}).iloc[0]
    assert row["at_work"] == pytest.approx(4.0)
    assert row[["planned_accelerators", "planned_utilization"]].tolist() == pytest.approx([8.0, 0.5])
    assert row["expected_utilization"] == pytest.approx(0.25)
    assert (row["state"], row["ratio"]) == (state, pytest.approx(measured / 0.25))


def test_a_small_difference_is_none_however_large_its_share():
    row = use_against_plan(
        plan(load=0.1), pools(("us", "h100", 16, 0.05, 16 * 720.0)), demand(7200.0), PERIOD, {}
    ).iloc[0]
    assert row["ratio"] == pytest.approx(8.0)
    assert row["state"] == AGREES


def test_pools_of_a_place_count_by_their_hours_and_places_without_the_other_side_are_named():
    rows = pools(("us", "h100", 8, 0.2, 8 * 720.0), ("us", "h100", 8, 0.4, 8 * 240.0), ("us", "l4", 4, 0.3, 4 * 720.0))
    both = pd.concat([plan(), plan(place=("de", "a100"))])
    table = use_against_plan(both, rows, demand(7200.0), PERIOD, {}).set_index("accelerator_id")
    assert table["state"].to_dict() == {"h100": AGREES, "l4": NOT_PLANNED, "a100": NO_READINGS}
    assert table.loc["h100", "measured_utilization"] == pytest.approx(0.25)
    assert table.loc["h100", "installed"] == 16


def test_without_plan_of_the_month_or_readings_there_is_nothing_to_compare():
    held = pools(("us", "h100", 16, 0.2, 16 * 720.0))
    for approved, read in ((plan(month="2026-08"), held), (plan().iloc[:0], held), (plan(), held.iloc[:0])):
        assert use_against_plan(approved, read, demand(7200.0), PERIOD, {}).empty


def test_work_that_has_not_moved_is_compared_where_it_runs():
    """The plan has chat on a100 by now, it still runs on h100: a100 cannot show it, h100 shows more than its own search."""
    two = pd.concat([plan(place=("us", "a100")), plan().assign(use_case_id="search")])
    read = pools(("us", "h100", 16, 0.6, 16 * 720.0), ("us", "a100", 8, 0.1, 8 * 720.0))
    units = pd.concat([demand(7200.0), demand(7200.0).assign(use_case_id="search")])
    moved = use_against_plan(two, read, units, PERIOD, {}).set_index("accelerator_id")
    assert moved["state"].to_dict() == {"h100": CONTRADICTS, "a100": CONTRADICTS}
    still = use_against_plan(two, read, units, PERIOD, {("chat", "us"): "h100", ("search", "us"): "h100"}).set_index(
        "accelerator_id"
    )
    assert still["state"].to_dict() == {"h100": NOT_MOVED, "a100": NOT_MOVED}
    assert still.loc["a100", "not_moved"] == "chat"
    assert still.loc["a100", ["at_work", "expected_utilization"]].isna().all()
    assert still.loc["h100", "expected_utilization"] == pytest.approx(0.25)
    low = use_against_plan(two, read.assign(utilization_mean=[0.1, 0.1]), units, PERIOD, {("chat", "us"): "h100"})
    assert low.set_index("accelerator_id").loc["h100", "state"] == CONTRADICTS


def test_a_place_keeps_the_comparison_of_the_work_that_runs_there():
    """Chat and search are planned on a100; search is not there yet, and chat alone would keep 4 of 16 at work."""
    two = pd.concat([plan(place=("us", "a100")), plan(place=("us", "a100")).assign(use_case_id="search")])
    units = pd.concat([demand(7200.0), demand(7200.0).assign(use_case_id="search")])
    read = pools(("us", "a100", 16, 0.22, 16 * 720.0))
    row = use_against_plan(two, read, units, PERIOD, {("chat", "us"): "a100", ("search", "us"): "h100"}).iloc[0]
    assert (row["state"], row["not_moved"]) == (AGREES, "search")
    assert (row["at_work"], row["expected_utilization"]) == (pytest.approx(4.0), pytest.approx(0.25))
