"""Whose figures are missing, by field and by role."""

import dataclasses

import pandas as pd
import pytest

from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.inventory.owners import NEEDED, coverage, filled_fields, no_owner_knows, owners_to_ask


@pytest.fixture(scope="module")
def inventory(mini_stages):
    return mini_stages.inventory


def test_missing_fields_name_the_roles_to_ask(inventory):
    table = inventory.coverage.set_index("field")
    assert table["total"].unique().tolist() == [3]
    assert table.loc["volume", ["filled", "filled_share"]].tolist() == [3, 1.0]
    assert table.loc["slo_max_failure_rate", "missing_use_cases"] == "images"
    assert table.loc["slo_max_failure_rate", "ask_owner_roles"] == "head of brand"
    assert table.loc["slo_max_failure_rate", "filled_share"] == pytest.approx(2 / 3)
    roles = "head of brand, head of planning, head of service"
    assert table.loc["demand_stability", ["filled", "ask_owner_roles"]].tolist() == [0, roles]
    assert table.loc["cost", "missing_use_cases"] == "images"  # nothing in the bill is tagged with it


def test_training_needs_no_model_and_no_latency_target(inventory):
    table = inventory.coverage.set_index("field")
    assert table.loc["model", "missing_use_cases"] == table.loc["latency target", "missing_use_cases"] == ""


def test_one_of_three_latency_targets_is_enough(mini):
    path = mini / "use_cases.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",1000,20000,", ",1000,,"), encoding="utf-8")
    table = build_inventory(load_workspace(mini)).coverage.set_index("field")
    assert table.loc["latency target", "filled"] == 3


def test_without_use_cases_nothing_is_filled(inventory):
    none = inventory.use_cases.iloc[:0]
    assert (coverage(none, filled_fields(none))["filled_share"] == 0).all()
    assert owners_to_ask(none, filled_fields(none)).empty


def test_a_use_case_without_demand_has_no_volume(inventory):
    cases = inventory.use_cases.assign(units_month=float("nan"))
    table = coverage(cases, filled_fields(cases)).set_index("field")
    assert table.loc["volume", "missing_use_cases"] == "chat, images, models"


def test_an_idea_and_a_launch_to_come_need_no_cost_and_their_stated_volume_is_all_there_is(mini_ws, inventory):
    cases = inventory.use_cases.assign(
        units_month=float("nan"), effective_cost_usd=float("nan"), stage=["idea", "production", "production"],
        launch_month=[pd.NA, "2026-11", "2026-10"], stated_units_per_month=[5.0, 7.0, 9.0],
    )  # fmt: skip
    stated, unbilled = no_owner_knows(mini_ws, cases)
    assert stated == unbilled == cases["use_case_id"].tolist()[:2]
    filled = filled_fields(cases, stated, unbilled)
    assert filled["volume"].tolist() == filled["cost"].tolist() == [True, True, False]
    assert no_owner_knows(mini_ws, cases.assign(stated_units_per_month=float("nan")))[0] == []


def test_no_bill_is_asked_of_what_runs_on_own_accelerators(mini_ws, inventory):
    pools, cases = mini_ws.table("pools"), inventory.use_cases
    own = pools.assign(accelerator_id="own-chip", purchase_option="purchase").iloc[:1]
    plan = mini_ws.plan.model_copy(update={"baseline_accelerators": {"images": "own-chip"}})
    ws = dataclasses.replace(mini_ws, plan=plan, tables={**mini_ws.tables, "pools": own})
    assert no_owner_knows(ws, cases)[1] == ["images"]
    bill = mini_ws.table("billing")
    used = bill[bill["accelerator_hours"] > 0].iloc[:1].assign(accelerator_id="own-chip")
    for region, expected in (("us", ["images"]), ("eu", []), ("elsewhere", [])):  # images run in eu alone
        billed = dataclasses.replace(ws, tables={**ws.tables, "billing": used.assign(RegionId=region)})
        assert no_owner_knows(billed, cases)[1] == expected, region
    rented = dataclasses.replace(ws, tables={**ws.tables, "pools": own.assign(purchase_option="on_demand")})
    assert no_owner_knows(rented, cases)[1] == []


def test_each_role_gets_its_list_the_longest_first(inventory):
    table = inventory.owners_to_ask
    assert table["owner_role"].drop_duplicates().tolist() == ["head of brand", "head of planning", "head of service"]
    brand = table[table["owner_role"] == "head of brand"].set_index("field")
    assert brand.index.tolist() == ["cost", "slo_max_failure_rate", "demand_stability"]
    assert brand.loc["cost", ["missing", "of", "use_cases", "needed_for"]].tolist() == [1, 1, "images", "unit cost"]


def test_roles_and_fields_count_the_same_gaps(inventory, sample_stages):
    for cases in (inventory.use_cases, sample_stages.inventory.use_cases):
        by_role = owners_to_ask(cases, filled_fields(cases)).groupby("field")["missing"].sum()
        fields = coverage(cases, filled_fields(cases)).set_index("field")
        gaps = (fields["total"] - fields["filled"]).loc[lambda counts: counts > 0]
        pd.testing.assert_series_equal(by_role.sort_index(), gaps.sort_index(), check_names=False)
        assert set(by_role.index) <= set(NEEDED)


def test_an_owner_is_not_asked_for_what_has_ended(mini_ws):
    cases, windows = mini_ws.table("use_cases"), mini_ws.table("demand_windows")
    ends = cases["retire_month"].astype("str").mask(cases["use_case_id"] == "images", "2026-10")
    october = windows["window_start_utc"] >= pd.Timestamp("2026-10-01", tz="UTC")
    left = windows[~(october & (windows["use_case_id"] == "images"))]
    ws = dataclasses.replace(
        mini_ws, tables={**mini_ws.tables, "use_cases": cases.assign(retire_month=ends), "demand_windows": left}
    )
    found = build_inventory(ws)
    assert found.coverage["total"].unique().tolist() == [2]
    assert "head of brand" not in set(found.owners_to_ask["owner_role"])
    assert "images" in set(found.use_cases["use_case_id"])  # the catalogue still holds it
    mixes = found.drift[found.drift["what"].isin(["mix of use cases", "mix of models"])]
    assert mixes.empty  # of one use case that goes on there is no mix
