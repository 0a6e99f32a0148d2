"""Rows of bills that others are split off from, and columns that are missing: nothing lost, nothing guessed."""

import pytest
from bill_rows import GOOGLE, lines

from aifactory.errors import InputError
from aifactory.inputs.importers.bills import bill_report, read_bill


def google(tmp_path, *rows):
    path = tmp_path / "export.json"
    path.write_text(lines(*rows))
    return bill_report(read_bill(path))


def test_google_promotions_are_charges_of_their_own(tmp_path):
    gift = {"name": "Trial", "amount": -1.5, "type": "PROMOTION"}
    report = google(tmp_path, GOOGLE | {"credits": [*GOOGLE["credits"], gift]}, GOOGLE | {"credits": []})
    assert report["totals"] == {"billed": "16.85", "effective": "16.85", "list": "25.0"}
    assert report["by"]["purchase_option"] == {"on_demand": "10.25", "committed": "8.10", "credit": "-1.5"}
    assert (report["rows_read"], report["rows_kept"], report["rows_added"]) == (2, 2, 1)
    assert report["accelerator_hours"] == {"nvidia-h100-sxm": 16.0}


def test_google_commitments_are_purchases_and_rounding_is_an_adjustment(tmp_path):
    fee = GOOGLE | {"sku": {"id": "c", "description": "Commitment v1: GPU in Americas for 1 Year"}, "credits": []}
    cent = GOOGLE | {"cost_type": "rounding error", "credits": [], "cost": 0.25}
    told = google(tmp_path, GOOGLE, fee, cent)
    # in effect the fee of the day belongs to the usage that a credit covers: 10.25 - 2.15 + 10.25
    assert told["by"]["charge_category"] == {"Purchase": "0", "Usage": "18.35", "Adjustment": "0.25"}
    alone = google(tmp_path, GOOGLE | {"credits": []}, fee, cent)["by"]["charge_category"]
    assert alone == {"Purchase": "0", "Usage": "20.50", "Adjustment": "0.25"}  # half of it an unused commitment


def test_labels_of_a_google_project_stand_in_for_those_of_a_charge(tmp_path):
    project = {"id": "llm", "labels": [{"key": "team", "value": "nlp"}, {"key": "business_unit", "value": "retail"}]}
    bare = GOOGLE | {"project": project, "labels": [], "credits": []}
    by = google(tmp_path, GOOGLE | {"project": project}, bare)["by"]
    assert by["team"] == {"nlp": "10.25", "cx": "8.10"}
    assert by["business_unit"] == {"retail": "18.35"}


def test_rows_in_are_rows_kept_where_the_unused_part_of_a_commitment_is_split_off(tmp_path):
    path = tmp_path / "cur.csv"
    path.write_text(
        "line_item_line_item_type,line_item_unblended_cost,line_item_currency_code,line_item_usage_start_date,"
        "line_item_usage_end_date,bill_billing_period_start_date,savings_plan_total_commitment_to_date,savings_plan_used_commitment\n"
        "SavingsPlanRecurringFee,70,USD,2026-10-03T00:00:00Z,2026-10-03T01:00:00Z,2026-10-01T00:00:00Z,70,60\n"
    )
    report = bill_report(read_bill(path))
    assert (report["rows_read"], report["rows_kept"], report["rows_added"]) == (1, 1, 1)
    assert report["totals"] == {"billed": "70", "effective": "10", "list": None}


@pytest.mark.parametrize("column", ["BilledCost", "EffectiveCost", "ChargeCategory"])
def test_a_focus_bill_names_the_column_it_lacks(tmp_path, column):
    path = tmp_path / "bill.csv"
    names = ["BilledCost", "EffectiveCost", "ChargeCategory", "BillingCurrency", "ChargePeriodStart", "x_note"]
    path.write_text(",".join(name for name in names if name != column) + "\n")
    with pytest.raises(
        InputError, match=rf"column '{column}': required column of a bill in the format FOCUS is missing"
    ):
        read_bill(path)
