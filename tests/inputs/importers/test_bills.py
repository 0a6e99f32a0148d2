"""Bills of every format: exact totals, nothing dropped, nothing doubled."""

import json
from decimal import Decimal

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.importers.bills import bill_report, detect, read_bill
from aifactory.inputs.importers.bills.aws import aws_name
from aifactory.inputs.importers.bills.azure import azure_name

AWS = (
    "bill_billing_period_start_date,line_item_usage_start_date,line_item_usage_end_date,bill_payer_account_id,"
    "line_item_usage_account_id,line_item_line_item_type,line_item_usage_type,line_item_currency_code,"
    "line_item_unblended_cost,reservation_effective_cost,savings_plan_savings_plan_effective_cost,"
    "savings_plan_total_commitment_to_date,savings_plan_used_commitment,reservation_unused_recurring_fee,"
    "product_instance_type,line_item_usage_amount,pricing_unit,resource_tags\n"
)
SPAN = "2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,111,222"
AZURE = "Date,SubscriptionId,ChargeType,PricingModel,CostInBillingCurrency,BillingCurrency,ReservationId,Tags,AdditionalInfo\n"


def write(folder, text, name="bill.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def total(report, name):
    return Decimal(report["totals"][name])


def test_names_of_both_reports_of_aws_are_one():
    assert aws_name("lineItem/UnblendedCost") == "line_item_unblended_cost"
    assert aws_name("savingsPlan/SavingsPlanEffectiveCost") == "savings_plan_savings_plan_effective_cost"
    assert aws_name("line_item_unblended_cost") == "line_item_unblended_cost"


def test_translated_headers_are_known_by_the_name_in_brackets():
    assert azure_name("Kategorie der Verbrauchseinheit (MeterCategory)") == "metercategory"


def test_a_savings_plan_by_hand(tmp_path):
    """10 committed, 8 used on usage worth 12 on demand: 12 - 12 + 10 billed, 8 + 2 unused effective."""
    rows = [
        f"{SPAN},SavingsPlanCoveredUsage,BoxUsage:p5.48xlarge,USD,12,,8,,,,p5.48xlarge,2,Hrs,",
        f"{SPAN},SavingsPlanNegation,BoxUsage,USD,-12,,,,,,,,,",
        f"{SPAN},SavingsPlanRecurringFee,ComputeSP,USD,10,,,10,8,,,,,",
    ]
    bill = read_bill(write(tmp_path, AWS + "\n".join(rows) + "\n"))
    report = bill_report(bill)
    assert bill.format == "AWS cost and usage report 2.0"
    assert (total(report, "billed"), total(report, "effective")) == (10, 10)
    assert report["by"]["purchase_option"] == {
        "committed": "8",
        "committed_unused": "2",
        "adjustment": "0",
        "commitment_purchase": "0",
    }
    assert report["accelerator_hours"] == {"nvidia-h100-sxm": 16.0}
    assert report["months"] == [report["period"]] * 2
    assert bill.warnings == [("unused part of commitments, shown as its own charge", 1)]


def test_a_reservation_tax_refund_and_spot_by_hand(tmp_path):
    rows = [
        f"{SPAN},DiscountedUsage,BoxUsage:p4de.24xlarge,USD,0,20.5,,,,,p4de.24xlarge,1,Hrs,",
        f"{SPAN},RIFee,HeavyUsage:p4de.24xlarge,USD,24,,,,,3.5,p4de.24xlarge,,,",
        f"{SPAN},Tax,,USD,1.01,,,,,,,,,",
        f"{SPAN},Refund,,USD,-5,,,,,,,,,",
        f"{SPAN},Credit,,USD,-2,,,,,,,,,",
        f'{SPAN},Usage,EU-SpotUsage:g6.12xlarge,USD,7,,,,,,g6.12xlarge,1,Hrs,"{{""team"": ""cx""}}"',
    ]
    report = bill_report(read_bill(write(tmp_path, AWS + "\n".join(rows) + "\n")))
    assert total(report, "billed") == Decimal("24") + Decimal("1.01") - 5 - 2 + 7
    assert total(report, "effective") == Decimal("20.5") + Decimal("3.5") + Decimal("1.01") - 5 - 2 + 7
    options = report["by"]["purchase_option"]
    assert options["committed_unused"] == "3.5"
    assert (options["tax"], options["adjustment"], options["credit"], options["spot"]) == ("1.01", "-5", "-2", "7")
    assert report["by"]["team"]["cx"] == "7"


@pytest.mark.real
def test_the_legacy_report_equals_its_truth(shared_dir):
    truth = json.loads((shared_dir / "data/billing/truth.json").read_text())["aws_cur_legacy_sample.csv.gz"]
    report = bill_report(read_bill(shared_dir / "data/billing/aws_cur_legacy_sample.csv.gz"))
    assert (report["rows_read"], report["rows_kept"]) == (truth["rows"], truth["rows"])
    assert total(report, "billed") == Decimal(truth["unblended"])
    assert total(report, "list") == Decimal(truth["public_on_demand"])
    by_type = {name: Decimal(value) for name, value in report["by"]["charge_category"].items()}
    assert by_type == {name: Decimal(value) for name, value in truth["unblended_by_line_item_type"].items()}


@pytest.mark.real
def test_the_official_sample_equals_its_truth(shared_dir):
    truth = json.loads((shared_dir / "data/billing/truth.json").read_text())["focus_1_0_official_sample.csv.gz"]
    bill = read_bill(shared_dir / "data/billing/focus_1_0_official_sample.csv.gz")
    report = bill_report(bill)
    assert report["rows_kept"] == truth["rows"]
    for name in ("billed", "effective", "list"):
        assert total(report, name) == Decimal(truth[name]), name
    for mine, theirs in (
        ("charge_category", "effective_by_charge_category"),
        ("business_unit", "effective_by_tag_business_unit"),
    ):
        found = {name: Decimal(value) for name, value in report["by"][mine].items()}
        assert found == {name: Decimal(value) for name, value in truth[theirs].items()}, mine
    texts = dict(bill.warnings)
    assert texts["committed usage with an effective cost of 0: its amortisation is missing in the bill"] == 4
    assert texts["BillingPeriodStart: 1000 times without a zone were read as UTC"] == 1000


@pytest.mark.real
def test_the_bill_with_accelerators_equals_its_truth(shared_dir):
    truth = json.loads((shared_dir / "data/billing/focus_1_2_synthetic_ai.truth.json").read_text(), parse_float=Decimal)
    report = bill_report(read_bill(shared_dir / "data/billing/focus_1_2_synthetic_ai.csv.gz"))
    for name in ("billed", "effective", "list"):
        assert total(report, name) == truth[name]
    for name in ("team", "business_unit", "sub_account", "provider", "purchase_option"):
        found = {key: Decimal(value) for key, value in report["by"][name].items()}
        assert found == {key: Decimal(value) for key, value in truth["effective_by"][name].items()}, name
    assert sorted(report["accelerator_hours"].values()) == sorted(float(v) for v in truth["accelerator_hours"].values())
    late = total(report, "billed") - Decimal(report["usage_in_period"]["billed"])
    assert late == truth["outside_usage_month_billed"]


def test_an_actual_export_of_azure(tmp_path):
    rows = [
        '10/01/2026,sub,Usage,OnDemand,40.5,EUR,,"{""team"": ""cx""}","{""ServiceType"": ""Standard_ND96isr_H100_v5""}"',
        "10/01/2026,sub,Purchase,Reservation,8760,EUR,res-1,,",
        "10/14/2026,sub,Usage,Reservation,0,EUR,res-1,,",
    ]
    bill = read_bill(write(tmp_path, AZURE + "\n".join(rows) + "\n"))
    report = bill_report(bill)
    assert (total(report, "billed"), total(report, "effective")) == (Decimal("8800.5"), Decimal("40.5"))
    assert report["by"]["accelerator"]["nvidia-h100-sxm"] == "40.5"
    assert {rows for _, rows in bill.warnings} == {1, 3}


def test_an_amortised_export_of_azure(tmp_path):
    rows = [
        "2026-10-01,sub,Usage,Reservation,24,EUR,res-1,,",
        "2026-10-02,sub,UnusedReservation,Reservation,6,EUR,res-1,,",
    ]
    report = bill_report(read_bill(write(tmp_path, AZURE + "\n".join(rows) + "\n")))
    assert (total(report, "billed"), total(report, "effective")) == (0, 30)
    assert report["by"]["purchase_option"] == {"committed": "24", "committed_unused": "6"}


@pytest.mark.parametrize("purchase", ["", "2026-10-05,sub,Purchase,Reservation,60000,EUR,res-2,,\n"])
def test_a_refund_of_a_reservation_is_money_that_comes_back_in_an_actual_export(tmp_path, purchase):
    rows = (
        "2026-10-01,sub,Usage,OnDemand,7000,EUR,,,\n2026-10-02,sub,Usage,Reservation,0,EUR,res-1,,\n"
        "2026-10-20,sub,Refund,Reservation,-40000,EUR,res-1,,\n2026-10-21,sub,Tax,Reservation,9,EUR,res-1,,\n"
    )
    report = bill_report(read_bill(write(tmp_path, AZURE + rows + purchase)))
    assert report["format"] == "Azure cost export, actual"
    assert (total(report, "billed"), total(report, "effective")) == (-32991 + (60000 if purchase else 0), 7009)


def test_google_credits_come_off_their_row(tmp_path):
    head = "billing_account_id,service.description,sku.description,usage_start_time,usage_end_time,project.id,labels,cost,currency,credits,invoice.month,cost_type\n"
    rows = (
        '1,Compute Engine,Nvidia H100 80GB GPU,2026-10-01 00:00:00 UTC,2026-10-01 01:00:00 UTC,p,"[{""key"":""team"",""value"":""cx""}]",10.10,USD,'
        '"[{""amount"":-3.3,""type"":""COMMITTED_USAGE_DISCOUNT""}]",202610,regular\n'
        "1,Invoice,Tax,2026-10-01 00:00:00 UTC,2026-10-01 01:00:00 UTC,,,0.5,USD,[],202610,tax\n"
    )
    report = bill_report(read_bill(write(tmp_path, head + rows)))
    assert (total(report, "billed"), report["period"]) == (Decimal("7.3"), "2026-10")
    assert report["by"]["team"] == {"cx": "6.80", "(untagged)": "0.5"}
    assert report["by"]["purchase_option"] == {"committed": "6.80", "tax": "0.5"}


def test_an_oracle_report_marks_corrections(tmp_path):
    head = "lineItem/intervalUsageStart,lineItem/intervalUsageEnd,product/compartmentName,product/service,product/Description,usage/billedQuantity,cost/billingUnitReadable,cost/myCost,cost/currencyCode,lineItem/isCorrection,tags/ops.team\n"
    rows = "2026-10-01T00:00Z,2026-10-01T01:00Z,root,COMPUTE,GPU4,1,HOURS,4.25,USD,false,cx\n2026-10-01T00:00Z,2026-10-01T01:00Z,root,COMPUTE,GPU4,1,HOURS,-0.25,USD,true,\n"
    report = bill_report(read_bill(write(tmp_path, head + rows)))
    assert (total(report, "billed"), report["by"]["team"]["cx"]) == (4, "4.25")


def test_opencost_assumes_its_currency_aloud(tmp_path):
    rows = "Date,Namespace,ControllerName,GPUs,GPUCost,TotalCost,Label_team\n2026-10-01 00:00:00,chat,vllm,2,3,4.5,cx\n"
    bill = read_bill(write(tmp_path, rows))
    assert bill.warnings[0] == ("no currency is named: USD assumed", 1)
    assert bill_report(bill)["by"]["team"] == {"cx": "4.5"}


def test_every_format_is_known_by_its_header_alone():
    assert detect(["a", "b"]) is None
    assert detect(["Cost", "Date", "Currency"]).name == "Azure cost export"
    assert detect(["BilledCost", "EffectiveCost", "ChargeCategory", "x_my"]).name == "FOCUS"


def test_an_unknown_header_names_the_known_formats(tmp_path):
    with pytest.raises(InputError, match=r"row 1: the header fits no known bill \(FOCUS, AWS"):
        read_bill(write(tmp_path, "a,b\n1,2\n"))


BAD = {
    "07": "column 'BilledCost': the column is given twice",
    "11": "the file is empty",
    "33": r"row 3, column 'BillingCurrency': several currencies \(EUR, USD\)",
    "41": "row 2, column 'ChargePeriodStart': value '03/04/2026'",
    "43": "actual and amortised exports are never added",
}
GOOD = {
    "05": {"billed": "1234.56"},
    "17": {"billed": "0.075"},
    "23": {"billed": "20.00"},
    "25": {"billed": "10.00"},
    "39": {"billed": "100.00"},
}


@pytest.mark.real
@pytest.mark.parametrize("case", BAD)
def test_bad_bills_are_refused_in_words(shared_dir, case):
    with pytest.raises(InputError, match=BAD[case]):
        read_bill(next((shared_dir / "data/bad_inputs").glob(f"{case}_*")))


@pytest.mark.real
@pytest.mark.parametrize("case", GOOD)
def test_odd_bills_are_read_right(shared_dir, case):
    report = bill_report(read_bill(next((shared_dir / "data/bad_inputs").glob(f"{case}_*"))))
    assert {name: report["totals"][name] for name in GOOD[case]} == GOOD[case]
    if case == "39":
        assert report["usage_in_period"] == {"effective": "70.00", "billed": "70.00"}


@pytest.mark.parametrize("name", ["bill.txt", "bill.parquet.csv", "BILL"])
def test_the_name_of_the_file_does_not_matter(tmp_path, name):
    bill = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart\n1.5,1.5,USD,Usage,2026-10-01T00:00:00Z\n"
    assert bill_report(read_bill(write(tmp_path, bill, name)))["totals"]["billed"] == "1.5"


def test_a_parquet_bill_keeps_its_digits(tmp_path):
    frame = pd.DataFrame(
        {"BilledCost": [Decimal("0.1"), Decimal("0.2")], "EffectiveCost": [Decimal("0.1"), Decimal("0.2")], "BillingCurrency": "USD",
         "ChargeCategory": "Usage", "ChargePeriodStart": pd.Timestamp("2026-10-01", tz="UTC"), "x_note": "kept"}
    )  # fmt: skip
    frame.to_parquet(tmp_path / "bill.csv")
    bill = read_bill(tmp_path / "bill.csv")
    assert bill_report(bill)["totals"]["billed"] == "0.3"
    assert bill.table["x_note"].tolist() == ["kept", "kept"]


@pytest.mark.parametrize("raw", [b"PK\x03\x04rest", b'{"a": 1}', b"<html>", b"\x80\x04\x95", b"%PDF-1.7"])
def test_files_of_another_kind_are_named(tmp_path, raw):
    (tmp_path / "bill.csv").write_bytes(raw)
    with pytest.raises(InputError, match="not a table of cells|fits no known bill"):
        read_bill(tmp_path / "bill.csv")


def test_what_a_charge_cannot_be_is_said_of_the_files_own_column(tmp_path):
    azure = "CostInBillingCurrency,Date,BillingCurrencyCode,MeterCategory,ChargeType\n"
    rows = "1.5,2026-10-01,USD,Virtual Machines,Usage\n2.5,2026-10-02,EUR,Virtual Machines,Usage\n"
    with pytest.raises(InputError, match=r"row 3, column 'BillingCurrencyCode': several currencies"):
        read_bill(write(tmp_path, azure + rows))
    large = "1.5e30,2026-10-01,USD,Virtual Machines,Usage\n"
    with pytest.raises(InputError, match=r"row 2, column 'CostInBillingCurrency': value"):
        read_bill(write(tmp_path, azure + large))


def test_a_file_of_several_months_says_which(tmp_path):
    rows = [f"2026-{month:02d}-01T00:00:00Z/2026-{month:02d}-02T00:00:00Z" for month in (3, 5, 5)]
    spans = [f"2026-{month:02d}" for month in (3, 5, 5)]
    text = "BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ProviderName,ServiceName,ChargeCategory,BillingCurrency,BilledCost,EffectiveCost\n"
    text += "".join(
        f"{month}-01T00:00:00Z,{row.replace('/', ',')},Own site,Devices,Usage,USD,5,5\n"
        for month, row in zip(spans, rows, strict=True)
    )
    report = bill_report(read_bill(write(tmp_path, text)))
    assert (report["period"], report["months"]) == ("2026-05", ["2026-03", "2026-05"])
