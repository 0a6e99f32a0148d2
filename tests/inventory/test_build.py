"""The inventory in one call, with whatever tables there are."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.money import exact_total
from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.inventory.findings import UNANSWERED
from aifactory.inventory.waste import CAUSES

TABLES = ["demand_windows", "jobs", "pools", "billing", "benchmarks", "account_map"]

#: Parts that hold tables of their own.
OBJECTS = ("demand_basis", "scenarios")


@pytest.fixture(scope="module")
def inventory(mini_stages):
    return mini_stages.inventory


@pytest.fixture(scope="module")
def sample(sample_stages):
    return sample_stages.inventory


def emptied(mini, table, how):
    path = mini / f"{table}.csv"
    if how == "no file":
        path.unlink()
    else:
        path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    return load_workspace(mini)


# the whole by hand


def test_unit_cost_is_attributed_cost_over_units(inventory):
    table = inventory.use_cases.set_index("use_case_id")
    # chat runs in two regions of 113,832 units; images has no tagged cost; models did 320 hours
    assert table["units_month"].to_dict() == pytest.approx({"chat": 227_664, "images": 81_840, "models": 320})
    assert table.loc["chat", "usd_per_unit"] == pytest.approx(29760.10 / 227_664)
    assert table.loc["models", "usd_per_unit"] == pytest.approx(12000.000001 / 320)
    assert np.isnan(table.loc["images", "usd_per_unit"])
    assert table.loc["chat", "failure_rate"] == pytest.approx(2108 / 115_940)
    assert table.loc["models", "failure_rate"] == 0.25


def test_the_latest_complete_month_is_reported(inventory):
    assert inventory.period == "2026-10"
    assert set(inventory.demand_monthly["month"]) == {"2026-09", "2026-10"}
    assert inventory.forecast["month"].min() == "2026-11"


def test_another_month_can_be_reported(mini):
    inventory = build_inventory(load_workspace(mini, period="2026-09"))
    table = inventory.use_cases.set_index("use_case_id")
    assert table.loc["images", "units_month"] == 72_000
    assert table.loc["chat", "effective_cost_usd"] == pytest.approx(28800.10)
    assert inventory.forecast["month"].min() == "2026-10"


def test_every_part_of_the_sample_is_there_and_adds_up(sample, sample_ws):
    for field in dataclasses.fields(sample):
        # its catalogue has no gap, and it uses no hosted model
        if field.name not in ("not_computed", "candidate_owners", "retiring_models", "hosted_today", *OBJECTS):
            assert len(getattr(sample, field.name)), field.name
    bill = sample_ws.table("billing")
    invoiced = exact_total(bill.loc[bill["invoice_month"] == sample.period, "EffectiveCost"])
    assert sample.spend_reconciliation.set_index("line").loc["bill", "effective_cost"] == invoiced
    for _, parts in sample.spend.groupby("dimension"):
        assert exact_total(parts["effective_cost"]) == invoiced


def test_units_of_use_cases_regions_and_months_agree(sample):
    month = sample.demand_monthly.query("month == @sample.period").groupby("use_case_id")["units"].sum()
    profile = sample.demand_profile.groupby("use_case_id")["units_month"].sum()
    cases = sample.use_cases.set_index("use_case_id")["units_month"].dropna()
    pd.testing.assert_series_equal(month, profile, check_names=False)
    pd.testing.assert_series_equal(month, cases.sort_index(), check_names=False)


def test_restricted_use_cases_of_the_sample_stay_in_their_region(sample):
    allowed = sample.use_cases.set_index("use_case_id")["allowed_regions"].dropna()
    assert set(allowed.index) == {"claims-assistant", "fraud-model"}
    for table in (sample.demand_monthly, sample.demand_profile, sample.forecast, sample.jobs, sample.service_levels):
        found = table[table["use_case_id"].isin(allowed.index)]
        assert set(found["region"]) <= {"eu-west"}
    assert not set(allowed.index) & set(sample.local_vs_pooled["use_case_id"])


def test_the_traps_of_the_sample_are_named(sample):
    texts = " ".join(item.text for item in sample.gaps)
    assert "us-media-l4" in texts
    assert "has no team" in texts
    assert {"tagging", "label", "invoice"} <= {item.kind for item in sample.gaps}
    assert sample.waste["usd"].is_monotonic_decreasing
    assert set(sample.waste["cause"]) == set(CAUSES)
    shifted = sample.drift[sample.drift["verdict"] == "shifted"]
    assert shifted[["use_case_id", "what"]].drop_duplicates().to_numpy().tolist() == [
        ["claims-assistant", "prompt length"]
    ]


def test_the_month_of_the_outage_names_it(sample_dir):
    inventory = build_inventory(load_workspace(sample_dir, period="2026-08"))
    assert "support-chat in eu-west was down for 6 hours." in [item.text for item in inventory.gaps]


def test_the_inventory_is_the_same_twice(mini_ws, inventory):
    again = build_inventory(mini_ws)
    for field in dataclasses.fields(inventory):
        one, other = getattr(inventory, field.name), getattr(again, field.name)
        if field.name == "demand_basis":
            continue  # holds other parts
        if field.name == "scenarios":
            pairs = [(getattr(one, part.name), getattr(other, part.name)) for part in dataclasses.fields(one)]
        else:
            pairs = [(one, other)]
        for mine, theirs in pairs:
            assert mine.equals(theirs) if hasattr(mine, "equals") else mine == theirs


# whatever tables there are


@pytest.mark.parametrize("how", ["no file", "no rows"])
@pytest.mark.parametrize("table", TABLES)
def test_an_empty_table_is_named_and_the_rest_is_computed(mini, table, how):
    inventory = build_inventory(emptied(mini, table, how))
    missing = ([table] if table in UNANSWERED else []) + ["latency_histograms", "tenant_usage"]
    assert set(inventory.not_computed) == {UNANSWERED[name] for name in missing}
    assert inventory.period == "2026-10"
    assert inventory.spend.empty is inventory.accelerator_rate.empty is (table == "billing")
    assert inventory.pools.empty is (table == "pools")
    assert inventory.jobs.empty is (table == "jobs")
    seen = {"chat", "images", "models"} - {"demand_windows": {"chat", "images"}, "jobs": {"models"}}.get(table, set())
    assert set(inventory.forecast["use_case_id"]) == set(inventory.demand_profile["use_case_id"]) == seen


@pytest.mark.parametrize("kept", ["demand_windows", "jobs"])
def test_one_table_of_telemetry_is_enough(mini, kept):
    for name in TABLES:
        if name != kept:
            (mini / f"{name}.csv").unlink()
    inventory = build_inventory(load_workspace(mini))
    missing = (set(TABLES) | {"latency_histograms", "tenant_usage"}) - {kept, "benchmarks"}
    assert set(inventory.not_computed) == {UNANSWERED[name] for name in missing}
    assert len(inventory.forecast)
    assert inventory.use_cases["effective_cost_usd"].isna().all()
    assert (inventory.waste.empty, inventory.spend.empty, inventory.pools.empty) == (True, True, True)


def test_without_an_account_map_untagged_charges_have_no_team(mini):
    lines = build_inventory(emptied(mini, "account_map", "no file")).spend_reconciliation.set_index("line")
    assert float(lines.loc["unattributed usage", "effective_cost"]) == pytest.approx(250.25 + 99.99)


def test_without_a_bill_idle_capacity_has_no_price(mini):
    inventory = build_inventory(emptied(mini, "billing", "no file"))
    assert inventory.pools["idle_usd"].isna().all()
    assert inventory.waste.empty


def test_an_empty_table_keeps_its_columns(mini, inventory):
    bare = build_inventory(emptied(mini, "billing", "no file"))
    for name in ("spend", "spend_reconciliation", "spend_monthly"):
        assert set(getattr(bare, name).columns) == set(getattr(inventory, name).columns)


def test_a_catalogue_without_use_cases_is_refused_in_words(mini):
    with pytest.raises(InputError):
        build_inventory(emptied(mini, "use_cases", "no rows"))


def test_telemetry_without_rows_is_refused_in_words(mini):
    for name in TABLES[1:]:
        (mini / f"{name}.csv").unlink()
    with pytest.raises(InputError):
        emptied(mini, "demand_windows", "no rows")


def test_a_month_that_credits_cancel_is_reported(mini):
    path = mini / "billing.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("USD,-100,-100", "USD,-45000.850001,-45000.850001"))
    inventory = build_inventory(load_workspace(mini))
    assert inventory.spend_reconciliation["effective_cost"].iloc[-1] == 0


def test_a_column_without_readings_is_named(mini):
    path = mini / "pools.csv"
    frame = pd.read_csv(path).drop(columns=["power_w", "queue_depth"])
    frame.to_csv(path, index=False)
    named = build_inventory(load_workspace(mini)).not_computed
    assert any("no power readings" in text for text in named)
    assert any("no queue readings" in text for text in named)
