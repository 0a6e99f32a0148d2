"""Identities, discounts and list prices of bills: what AWS, Azure, Oracle and OpenCost say beside the cost."""

import json

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.billing import accelerator_charges, derive_billing
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.bills import bill_report, read_bill
from aifactory.inputs.importers.bills.common import products
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.new import new_workspace
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_source
from aifactory.inventory.spend import accelerator_rate

AWS = {
    "identity/LineItemId": "a1", "bill/PayerAccountId": "000123", "bill/BillingPeriodStartDate": "2026-10-01T00:00:00Z",
    "lineItem/UsageAccountId": "001", "lineItem/LineItemType": "Usage", "lineItem/UsageStartDate": "2026-10-01T00:00:00Z",
    "lineItem/UsageEndDate": "2026-10-01T01:00:00Z", "lineItem/UsageType": "BoxUsage:p5.48xlarge",
    "lineItem/UsageAmount": "2", "pricing/unit": "Hrs", "lineItem/CurrencyCode": "USD", "lineItem/UnblendedCost": "200",
    "pricing/publicOnDemandCost": "220", "product/instanceType": "p5.48xlarge", "resourceTags/user:team": "cx",
}  # fmt: skip


def aws(folder, *rows, name="cur.csv", without=()):
    path = folder / name
    pd.DataFrame([AWS | row for row in rows]).drop(columns=list(without)).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("kind", ["EdpDiscount", "PrivateRateDiscount", "BundledDiscount", "SppDiscount"])
def test_a_discount_lowers_the_cost_of_usage_and_uses_nothing(tmp_path, kind):
    """2 h of 8 accelerators for 200 less 18: 16 accelerator-hours for 182, 11.375 each; list price 220."""
    less = {"lineItem/LineItemType": kind, "lineItem/UnblendedCost": "-18", "identity/LineItemId": "a2"}
    bill = read_bill(aws(tmp_path, {}, less))
    report = bill_report(bill)
    assert report["totals"] == {"billed": "182", "effective": "182", "list": "220"}
    assert report["accelerator_hours"] == {"nvidia-h100-sxm": 16.0}
    assert report["by"]["purchase_option"] == {"on_demand": "200", "discount": "-18"}
    assert report["by"]["team"] == {"cx": "182"} and report["by"]["accelerator"] == {"nvidia-h100-sxm": "182"}
    assert any(text.startswith("discounts lower") and rows == 1 for text, rows in bill.warnings)
    aliases = read_source(data_dir() / "catalogue" / "accelerator_aliases.csv", load_contract("accelerator_aliases"))
    empty = {item.name: None for item in load_contract("billing").fields if item.name not in bill.table}
    derived = derive_billing(bill.table.assign(**empty), load_contract("account_map").empty(), aliases)
    assert accelerator_charges(derived).all()
    assert accelerator_rate(derived).to_dict() == {"nvidia-h100-sxm": 11.375}


def test_discounted_usage_is_no_discount(tmp_path):
    row = {"lineItem/LineItemType": "DiscountedUsage", "reservation/EffectiveCost": "150"}
    report = bill_report(read_bill(aws(tmp_path, row)))
    assert report["by"]["purchase_option"] == {"committed": "150"}
    assert report["accelerator_hours"] == {"nvidia-h100-sxm": 16.0}


def said_again(bill):
    return [rows for text, rows in bill.warnings if text.startswith("identical to an earlier")]


def test_charges_of_other_identity_are_other_charges(tmp_path):
    assert said_again(read_bill(aws(tmp_path, {}, {"identity/LineItemId": "a2"}))) == []
    assert said_again(read_bill(aws(tmp_path, {}, {}, {"identity/LineItemId": "a2"}))) == [1]
    assert said_again(read_bill(aws(tmp_path, {}, {}, {}, without=["identity/LineItemId"]))) == [2]


def test_the_same_identity_in_two_files_is_refused(tmp_path):
    other = {"identity/LineItemId": "a2", "lineItem/UnblendedCost": "3"}
    first, second = aws(tmp_path, {}, name="a.csv"), aws(tmp_path, other, {}, name="b.csv")
    with pytest.raises(InputError, match=r"b\.csv, row 3, column 'x_ChargeId': value 'a1': the same charge"):
        import_files("billing", [first, second], None, Target())
    # the same identity with another cost is another charge: it is unique within a part of the report only
    parts = [first, aws(tmp_path, other | {"identity/LineItemId": "a1"}, name="c.csv")]
    assert [report["totals"]["billed"] for report in import_files("billing", parts, None, Target())] == ["200", "3"]


def test_equal_charges_of_two_files_without_identity_are_counted_and_named(tmp_path):
    lacks = ["identity/LineItemId"]
    parts = [aws(tmp_path, {}, name="a.csv", without=lacks), aws(tmp_path, {}, {}, name="b.csv", without=lacks)]
    first, second = import_files("billing", parts, None, Target())
    text = "identical to a charge of an earlier file: counted; is a part of the bill given twice?"
    assert {"text": text, "rows": 2} in second["warnings"] and all(w["text"] != text for w in first["warnings"])


def test_a_workspace_keeps_identities(tmp_path):
    new_workspace(tmp_path / "company")
    import_files("billing", [aws(tmp_path, {}, {"identity/LineItemId": "a2"})], tmp_path / "company", Target())
    stored = pd.read_csv(tmp_path / "company" / "billing.csv")
    assert stored["x_ChargeId"].tolist() == ["a1", "a2"]


AZURE = {
    "Date": "2026-10-01", "ChargeType": "Usage", "PricingModel": "OnDemand", "CostInBillingCurrency": "70.00", "BillingCurrency": "EUR",
    "SubscriptionId": "s", "Quantity": "3", "UnitOfMeasure": "1 Hour", "MeterName": "NC24ads A100 v4", "PayGPrice": "27.2",
}  # fmt: skip

#: what an export says more -> list cost of its first charge, worked out by hand; None where it is not known
LIST_COSTS = {
    "price of the billing currency": ({}, "81.6"),
    "price of another currency": ({"PricingCurrency": "USD", "exchangeRatePricingToBilling": "0.9"}, "73.44"),
    "no rate": ({"PricingCurrency": "USD"}, None),
    "same currency, a rate of no use": ({"PricingCurrency": "EUR", "exchangeRatePricingToBilling": "0.9"}, "81.6"),
    "stated": ({"paygCostInBillingCurrency": "80.01"}, "80.01"),
    "no price": ({"PayGPrice": ""}, None),
    "no list price of a marketplace": ({"PayGPrice": "0"}, None),
    "free": ({"PayGPrice": "0", "CostInBillingCurrency": "0"}, "0"),
    "unused": ({"ChargeType": "UnusedReservation", "PricingModel": "Reservation"}, None),
    "many digits": ({"PayGPrice": "0.000000000000000000123", "Quantity": "1000000000.5"}, "0.0000000001230000000615"),
    "decimal commas": ({"PayGPrice": "27,2", "CostInBillingCurrency": "70,00", "Quantity": "1,5"}, "40.80"),
}  # fmt: skip


@pytest.mark.parametrize("case", LIST_COSTS)
def test_list_cost_of_azure_is_price_times_quantity_in_the_billing_currency(tmp_path, case):
    more, expected = LIST_COSTS[case]
    path = tmp_path / "azure.csv"
    pd.DataFrame([AZURE | more]).to_csv(path, index=False)
    bill = read_bill(path)
    report = bill_report(bill)
    listed = report["totals"]["list"]
    assert (listed is None) == (expected is None)
    assert listed is None or pd.to_numeric(listed) == pytest.approx(float(expected), rel=1e-15)
    assert report["coverage"]["list_cost"] == (0.0 if expected is None else 1.0)
    assert any("no exchange rate" in text for text, _ in bill.warnings) == (case == "no rate")


def test_points_beside_decimal_commas_are_refused_in_any_number(tmp_path):
    path = tmp_path / "azure.csv"
    pd.DataFrame([AZURE | {"CostInBillingCurrency": "70,00", "PayGPrice": "1.234"}]).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"row 2, column 'PayGPrice': '1\.234' has a point while other numbers"):
        read_bill(path)


def test_products_keep_every_digit():
    found = products(pd.Series(["1.10", "x", "1E-5"]), pd.Series(["0.333333333333333333333333333333", "1", "7"]))
    assert found.tolist() == ["0.36666666666666666666666666666630", "", "0.00007"]


def test_numbers_of_lines_tell_charges_of_oracle_apart(tmp_path):
    head = "lineItem/referenceNo,lineItem/intervalUsageStart,lineItem/intervalUsageEnd,cost/currencyCode,cost/myCost\n"
    row = ",2026-10-01T00:00Z,2026-10-01T01:00Z,USD,2.5\n"
    path = tmp_path / "oci.csv"
    path.write_text(head + "r1" + row + "r2" + row)
    assert said_again(read_bill(path)) == []
    path.write_text(head + "r1" + row + "r1" + row)
    assert said_again(read_bill(path)) == [1]


def test_accelerators_of_an_opencost_csv_have_no_hours(tmp_path):
    path = tmp_path / "opencost.csv"
    path.write_text("Date,Namespace,GPUs,TotalCost\n2026-10-01,llm,8,20\n2026-10-01,web,0,3\n")
    bill = read_bill(path)
    assert bill_report(bill)["accelerator_hours"] == {}
    assert [rows for text, rows in bill.warnings if text.startswith("GPUs without GPUHours")] == [1]


@pytest.mark.parametrize(("details", "hours"), [
    ('{"ServiceType": "Standard_ND96isr_H100_v5", "VMName": "m1"}', 16.0), ('{"ServiceType": null}', 0.0), ("[", 0.0),
])  # fmt: skip
def test_older_focus_bills_of_microsoft_tell_the_machine_elsewhere(tmp_path, details, hours):
    row = {
        "BillingAccountId": "b", "BillingCurrency": "USD", "BillingPeriodStart": "2026-10-01T00:00:00Z",
        "ChargePeriodStart": "2026-10-01T00:00:00Z", "ChargePeriodEnd": "2026-10-01T01:00:00Z", "ChargeCategory": "Usage",
        "ProviderName": "Microsoft", "BilledCost": "20", "EffectiveCost": "20", "ConsumedQuantity": "2",
        "ConsumedUnit": "Hours", "x_SkuDetails": details,
    }  # fmt: skip
    path = tmp_path / "focus.csv"
    pd.DataFrame([row]).to_csv(path, index=False)
    bill = read_bill(path)
    assert sum(bill_report(bill)["accelerator_hours"].values()) == hours
    assert bill.charges["x_SkuDetails"].iloc[0] == details
    assert "SkuPriceDetails" not in bill.charges or json.loads(bill.charges["SkuPriceDetails"].iloc[0])
