"""Faults of bills by family: refused with their place where a total would be wrong, else named with their rows."""

import gzip
import re

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs import csv_text
from aifactory.inputs.importers.bills import bill_report, read_bill

CHARGE = {
    "BillingAccountId": "000123", "SubAccountId": "001", "ProviderName": "AWS", "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01T00:00:00Z", "ChargePeriodStart": "2026-10-05T00:00:00Z",
    "ChargePeriodEnd": "2026-10-06T00:00:00Z", "ChargeCategory": "Usage", "ChargeDescription": "p5.48xlarge",
    "PricingCategory": "Standard", "CommitmentDiscountStatus": "", "BilledCost": "10.00", "EffectiveCost": "10.00",
    "ListCost": "12.00", "Tags": '"{""team"": ""cx""}"',
}  # fmt: skip
TODAY = pd.Timestamp("2026-11-25", tz="UTC")


def write(folder, *charges, head=None, separator=",", encoding="utf-8", ends="\n"):
    rows = [separator.join(head or CHARGE), *(separator.join((CHARGE | charge).values()) for charge in charges)]
    path = folder / "bill.csv"
    path.write_bytes((ends.join(rows) + ends).encode(encoding))
    return path


@pytest.mark.parametrize(
    "recase", [str.lower, str.upper, lambda name: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()]
)
def test_names_in_the_case_of_a_catalogue_are_those_of_focus(tmp_path, recase):
    bill = read_bill(write(tmp_path, {}, head=[recase(name) for name in CHARGE]), TODAY)
    assert bill.format == "FOCUS"
    assert bill_report(bill)["totals"] == {"billed": "10.00", "effective": "10.00", "list": "12.00"}
    assert any("column names are in another case than FOCUS writes them" in text for text, _ in bill.warnings)


def test_names_that_differ_in_case_only_are_refused(tmp_path):
    names = [name.lower() for name in CHARGE]
    path = tmp_path / "bill.csv"
    path.write_text(",".join([*names, "BILLEDCOST"]) + "\n" + ",".join([*CHARGE.values(), "99"]) + "\n")
    with pytest.raises(InputError, match="column 'BilledCost': the column is given twice in different case"):
        read_bill(path, TODAY)


REFUSED = {
    "thousands": ([{"BilledCost": '"1,234.56"'}], "row 2, column 'BilledCost': value '1,234.56'"),
    "currency sign": ([{"BilledCost": "$10.00"}], "row 2, column 'BilledCost': value '$10.00'"),
    "brackets for minus": ([{"BilledCost": "(10.00)"}], "row 2, column 'BilledCost'"),
    "decimal comma": ([{"BilledCost": '"10,00"'}], "row 2, column 'BilledCost': value '10,00'"),
    "other digits": ([{"BilledCost": "\u0661\u0662"}], "row 2, column 'BilledCost'"),
    "no number": ([{}, {"EffectiveCost": "-inf"}], "row 3, column 'EffectiveCost': value '-inf'"),
    "no cost": ([{"BilledCost": ""}], "row 2, column 'BilledCost': a value is required"),
    "beyond any charge": ([{"BilledCost": "2e17"}], "row 2, column 'BilledCost': value '2.000000E+17': is 1E+15 or"),
    "serial date": ([{"ChargePeriodStart": "46300"}], "row 2, column 'ChargePeriodStart': value '46300'"),
    "month 13": ([{"ChargePeriodStart": "2026-13-05T00:00:00Z"}], "is not a date of the calendar"),
    "two forms of dates": ([{}, {"ChargePeriodStart": "10/05/2026"}], "row 3, column 'ChargePeriodStart'"),
    "ends before it starts": ([{"ChargePeriodEnd": "2026-10-04T00:00:00Z"}], "row 2, column 'ChargePeriodEnd'"),
    "no currency": ([{"BillingCurrency": ""}], "row 2, column 'BillingCurrency': a value is required"),
    "two currencies": ([{}, {"BillingCurrency": "EUR"}], "row 3, column 'BillingCurrency': several currencies"),
    "a line of totals": ([{}, {}, {"SubAccountId": "Total", "BilledCost": "20.00"}], "row 4, column 'SubAccountId'"),
    "no charges": ([], "row 2: holds a header and no charges"),
    "unknown category": ([{"ChargeCategory": "usage"}], "Did you mean 'Usage'?"),
    "open quote": ([{"ChargeDescription": '"p5'}], "row 2: a quote is opened and never closed"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_fault_that_changes_money_is_refused_with_its_place(tmp_path, fault):
    charges, words = REFUSED[fault]
    with pytest.raises(InputError, match="bill.csv") as refusal:
        read_bill(write(tmp_path, *charges))
    assert words in str(refusal.value)


SAID = {
    "an account cut by a spreadsheet": ([{"BillingAccountId": "1.23457E+11"}], "BillingAccountId is written as a", 1),
    "a charge twice": ([{}, {}, {}], "identical to an earlier charge", 2),
    "an invoice of the future": ([{"BillingPeriodStart": "2031-10-01T00:00:00Z"}], "after the day of import", 1),
    "two invoice months": ([{}, {"BillingPeriodStart": "2026-09-01T00:00:00Z"}], "2 invoice months in one file", 2),
    "tags that are none": ([{"Tags": '"{team: cx"'}, {}], "tags are no JSON object", 1),
    "late usage": ([{}, {"ChargePeriodStart": "2026-09-30T00:00:00Z"}], "usage of another month", 1),
}


@pytest.mark.parametrize("fault", SAID)
def test_an_odd_charge_is_kept_and_named_with_its_rows(tmp_path, fault):
    charges, words, rows = SAID[fault]
    bill = read_bill(write(tmp_path, *charges), TODAY)
    assert len(bill.table) == bill.rows_read == len(charges)
    assert [count for text, count in bill.warnings if words in text] == [rows]


def test_a_good_bill_has_no_remarks(tmp_path):
    hours = {"ConsumedQuantity": "1", "ConsumedUnit": "Hours"}
    charges = hours, hours | {"BilledCost": "-4.00", "EffectiveCost": "1e1"}
    report = bill_report(read_bill(write(tmp_path, *charges, head=[*CHARGE, *hours]), TODAY))
    assert report["warnings"] == []
    assert report["totals"] == {"billed": "6.00", "effective": "20.00", "list": "24.00"}
    assert report["accelerator_hours"] == {"nvidia-h100-sxm": 16.0}


def test_usage_of_an_accelerator_that_counts_no_hours_is_said(tmp_path):
    hours = [{"ConsumedQuantity": "1", "ConsumedUnit": unit} for unit in ("Hours", "Pieces")]
    report = bill_report(read_bill(write(tmp_path, *hours, head=[*CHARGE, *hours[0]]), TODAY))
    assert report["accelerator_hours"] == {"nvidia-h100-sxm": 8.0}
    words = "usage of an accelerator without a quantity in hours counts no accelerator-hours (unit: Pieces)"
    assert report["warnings"] == [{"text": words, "rows": 1}]


@pytest.mark.parametrize(("amount", "billed"), [("0,25", "10.25"), ("1.234,56", "1244.56"), ("0.25", "10.25")])
def test_a_bill_of_a_european_spreadsheet_is_read_and_said(tmp_path, amount, billed):
    rows = [
        dict.fromkeys(("BilledCost", "EffectiveCost"), "10,00" if "," in amount else "10.00"),
        {"BilledCost": amount},
    ]
    others = {"EffectiveCost": amount, "ListCost": "12,00" if "," in amount else "12.00"}
    bill = read_bill(
        write(tmp_path, rows[0] | {"ListCost": others["ListCost"]}, rows[1] | others, separator=";"), TODAY
    )
    assert bill_report(bill)["totals"]["billed"] == billed
    said = [text for text, _ in bill.warnings if "decimal comma" in text]
    assert said == (
        ["numbers with a decimal comma, read as such: BilledCost, EffectiveCost, ListCost"] if "," in amount else []
    )


def test_amounts_that_may_be_thousands_are_refused(tmp_path):
    with pytest.raises(InputError, match="row 2, column 'BilledCost': value '1,234': may be thousands or decimals"):
        read_bill(write(tmp_path, {"BilledCost": "1,234"}, separator=";"))


@pytest.mark.parametrize(("separator", "name"), [("\t", "tabs"), ("|", "'|'")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tabs_and_bars_are_read_and_named(tmp_path, separator, name, encoding):
    other = {"ChargeDescription": "p5, large", "BilledCost": "0.01"}
    bill = read_bill(write(tmp_path, {}, other, separator=separator, encoding=encoding), TODAY)
    assert bill_report(bill)["totals"] == {"billed": "10.01", "effective": "20.00", "list": "24.00"}
    assert bill.charges["ChargeDescription"].iloc[1] == "p5, large"
    expected = [("read as UTF-16", 3)] if encoding == "utf-16" else []
    assert bill.warnings == [*expected, (f"columns are separated by {name}", 2)]
    with pytest.raises(InputError, match="row 2, column 'BilledCost': value '1,5': must be a finite number"):
        read_bill(write(tmp_path, {"BilledCost": "1,5"}, separator=separator), TODAY)
    with pytest.raises(InputError, match=r"row 3.*has 16 cells, the header has 15"):
        read_bill(write(tmp_path, {}, {"Tags": f"a{separator}b"}, separator=separator), TODAY)


def test_headers_that_would_be_guessed_are_refused(tmp_path):
    blank = [name if name != "BilledCost" else " BilledCost" for name in CHARGE]
    with pytest.raises(InputError, match="column ' BilledCost': the name has blanks around it; write 'BilledCost'"):
        read_bill(write(tmp_path, {}, head=blank))
    twice = [name if name != "ListCost" else "BilledCost" for name in CHARGE]
    with pytest.raises(InputError, match="column 'BilledCost': the column is given twice"):
        read_bill(write(tmp_path, {}, head=twice))


def test_unicode_text_of_a_spreadsheet_is_named(tmp_path):
    path = write(tmp_path, {}, encoding="utf-16")
    assert read_bill(path, TODAY).warnings == [("read as UTF-16", 2)]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="row 1: begins as UTF-16 but is not"):
        read_bill(path)


def test_an_archive_that_grows_beyond_reason_is_refused_and_a_torn_one_too(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_text, "FREE_BYTES", 1000)
    monkeypatch.setattr(csv_text, "MAX_GROWTH", 5)
    whole = write(tmp_path, *[{}] * 2000).read_bytes()
    path = tmp_path / "bill.csv.gz"
    path.write_bytes(gzip.compress(whole))
    with pytest.raises(InputError, match="unpacks to more than"):
        read_bill(path)
    path.write_bytes(gzip.compress(whole)[:-200])
    with pytest.raises(InputError, match=r"unpacks to more than|cannot be read"):
        read_bill(path)
    path.write_bytes(gzip.compress(whole[:900])[:-4] + (7_000).to_bytes(4, "little"))  # a false length
    with pytest.raises(InputError, match="cannot be read"):
        read_bill(path)


AZURE = "Date,ChargeType,PricingModel,CostInBillingCurrency,BillingCurrency,SubscriptionId\n"


def test_commas_beside_points_are_refused_in_an_azure_export(tmp_path):
    path = tmp_path / "azure.csv"
    path.write_text(AZURE + '2026-10-01,Usage,OnDemand,"0,075",EUR,s\n2026-10-01,Usage,OnDemand,1.234,EUR,s\n')
    with pytest.raises(InputError, match=r"row 3, column 'CostInB\w+': '1.234' has a point while other numbers"):
        read_bill(path)
    path.write_text(AZURE + '2026-10-01,Usage,OnDemand,"1.234,5",EUR,s\n2026-10-01,Usage,OnDemand,7,EUR,s\n')
    assert bill_report(read_bill(path))["totals"]["billed"] == "1241.5"
