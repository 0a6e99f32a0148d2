"""Work of a region that no charge of its use case names: held against no cost, in unit cost and in no cause of the variance."""

import dataclasses

import pandas as pd
import pytest
from two_months import H100, LAST, NOW, ROWS, UNITS, against_last, company

from aifactory.inputs.hosted import HOSTED
from aifactory.review.bill_variance import against_plan
from aifactory.review.build import _kpis
from aifactory.review.monthly import month_factors
from aifactory.review.planned_in_bill import planned_in_bill
from aifactory.review.uncharged import uncharged, uncharged_note
from aifactory.review.unit_cost import unit_cost_by_month
from aifactory.review.variance import CAUSES, OTHER, REST


def test_growth_where_nothing_is_charged_is_no_volume_of_the_bill(road):
    table, left_out = against_last(*company(road, UNITS, *ROWS))
    assert list(left_out) == [("chat", "eu")]
    assert table.loc["chat", ["volume", "efficiency", "utilization", "mix", "price"]].tolist() == pytest.approx(
        [0, 0, 0, 0, 10]
    )
    assert table.loc["images", "volume"] == pytest.approx(15)
    assert (
        "chat in eu" in uncharged_note(left_out, left_out)[0]
        and "other causes" in uncharged_note(left_out, left_out)[0]
    )
    assert "its part of pools" in uncharged_note(left_out, left_out[:0])[0]
    assert not uncharged_note(left_out[:0], left_out[:0])


def test_a_region_that_comes_onto_the_bill_is_another_cause_in_a_row_of_its_own(road):
    table, left_out = against_last(*company(road, UNITS, *ROWS, (NOW, "chat", "eu-west-1", 20.0, "140")))
    assert list(left_out) == [("chat", "eu")]
    assert table.loc["chat", ["volume", "price", "actual_usd"]].tolist() == pytest.approx([0, 10, 60])
    assert table.loc["chat in eu", ["base_usd", "actual_usd", OTHER]].tolist() == pytest.approx([0, 140, 140])
    assert table.loc[REST, "difference_usd"] == 0


def test_a_region_that_begins_is_volume(road):
    began = {key: count for key, count in UNITS.items() if key != (LAST, "chat", "eu")}
    table, left_out = against_last(*company(road, began, *ROWS, (NOW, "chat", "eu-west-1", 20.0, "120")))
    assert left_out.empty
    assert table.loc["chat", "volume"] == pytest.approx(50 * 300 / 100 - 50)


def test_where_a_charge_names_no_region_the_use_case_has_no_causes(road):
    """September names the US alone, October no region: what of October is of the US nobody can tell."""
    rows = [row if row[:2] != (NOW, "chat") else (NOW, "chat", None, 10.0, "60") for row in ROWS]
    table, left_out = against_last(*company(road, UNITS, *rows))
    assert list(left_out) == [("chat", "eu")]
    assert table.loc["chat", [*CAUSES, OTHER]].tolist() == pytest.approx([0, 0, 0, 0, 0, 10])


def test_storage_in_a_region_is_no_charge_for_the_work_there(road):
    ws, inventory = company(road, UNITS, *ROWS)
    bill = ws.table("billing")
    disk = bill.iloc[[2]].assign(
        RegionId="eu-west-1", accelerator_id="(none)", accelerator_hours=float("nan"), ServiceName="Amazon S3", ServiceCategory="Storage"
    )  # fmt: skip
    more = dataclasses.replace(ws, tables={**ws.tables, "billing": pd.concat([bill, disk], ignore_index=True)})
    assert list(uncharged(more, inventory.demand_monthly, [NOW])) == [("chat", "eu")]
    costs = unit_cost_by_month(more, inventory).set_index(["month", "use_case_id"])["usd_per_unit"]
    assert costs[NOW, "chat"] == pytest.approx(0.6)
    assert costs[NOW, "images"] == pytest.approx(0.5)


def planned():
    """Chat in the US and on own kit in Europe, images hosted."""
    return pd.DataFrame({
        "month": NOW, "use_case_id": ["chat", "chat", "images"], "region": ["us", "eu", "us"], "accelerator_id": [H100, H100, HOSTED],
        "units": [100.0, 150.0, 60.0], "units_p10": 0.0, "units_p90": 0.0, "accelerator_hours": [10.0, 20.0, 0.0],
        "compute_usd": [50.0, 40.0, 0.0], "cost_usd": 0.0, "value_usd": 0.0, "plan_period": LAST,
    })  # fmt: skip


def test_the_plan_of_a_region_that_no_charge_names_stands_apart(road):
    """Planned: 100 units in the US for USD 50, 150 in Europe for 40 of own kit; charged were 60 for 100 in the US."""
    ws, inventory = company(road, UNITS, *ROWS)
    plan = planned()
    bills = pd.Series({NOW: 90.0})
    table = against_plan(ws, inventory, plan, bills).set_index("use_case_id")
    assert table.loc["chat", ["base_usd", "volume", "price", OTHER]].tolist() == pytest.approx([50, 0, 10, 0])
    assert table.loc["chat in eu", ["base_usd", "actual_usd", OTHER]].tolist() == pytest.approx([40, 0, -40])
    assert table["difference_usd"].sum() == pytest.approx(90 - 90)


def test_what_was_billed_is_held_against_the_plan_of_the_same_regions(road):
    ws, inventory = company(road, UNITS, *ROWS)
    plan = planned().query("use_case_id == 'chat'")
    now, before = (month_factors(ws, inventory, month)[0] for month in (NOW, LAST))
    accuracy = pd.DataFrame({"month": [], "error_share": [], "inside_band": []})
    kpis = _kpis(ws, inventory, plan, now, before, accuracy).set_index("kpi")
    assert kpis.loc["cost of accelerator-hours billed to use cases", "plan"] == 50
    assert kpis.loc["accelerator-hours billed to use cases", "plan"] == 10


def test_what_is_planned_in_a_pool_that_is_charged_to_another_use_case_is_held_beside_its_bill(road, monkeypatch):
    """The H100 of the US are charged to chat with 10 h for USD 60; planned there were 10 h of chat for 50 and 4 h of ranking for 20."""
    ws, inventory = company(road, UNITS, *ROWS)
    ranking = planned().iloc[[0]].assign(use_case_id="ranking", accelerator_hours=4.0, compute_usd=20.0)
    edge = ranking.assign(use_case_id="cameras", accelerator_id="nvidia-jetson-orin", compute_usd=7.0)
    plan = pd.concat([planned().iloc[:2], ranking, edge, ranking.assign(region="eu")], ignore_index=True)
    held = planned_in_bill(ws, inventory, plan)
    assert held["compute_usd"].to_dict() == {"chat": 50.0, "ranking": 20.0}
    assert held["accelerator_hours"].sum() == 14.0
    monkeypatch.setattr("aifactory.review.planned_in_bill.hosted_alone", lambda ws: {"ranking"})
    assert planned_in_bill(ws, inventory, plan)["compute_usd"].to_dict() == {"chat": 50.0}
