"""Exports as providers write them: nested rows, maps, JSON answers, several files of one delivery. All made by hand
from the providers' documentation; no real sample of these was at hand."""

import gzip
import json

import pandas as pd
import pyarrow as pa
import pytest
from bill_rows import GOOGLE, lines
from pyarrow import parquet

from aifactory.errors import InputError
from aifactory.inputs.importers.bills import bill_report, read_bill
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.new import new_workspace
from aifactory.inputs.workspace import table_file


@pytest.mark.parametrize("form", ["lines", "zipped lines", "list", "parquet"])
def test_a_nested_google_export_reads_the_same_in_every_form(tmp_path, form):
    rows = [GOOGLE, GOOGLE | {"credits": [], "cost": 0.1}]
    path = tmp_path / ("export.parquet" if form == "parquet" else "export.json")
    if form == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        text = json.dumps(rows, indent=1) if form == "list" else lines(*rows)
        path.write_bytes(gzip.compress(text.encode()) if form == "zipped lines" else text.encode())
    report = bill_report(read_bill(path))
    assert report["totals"] == {"billed": "8.20", "effective": "8.20", "list": "25.0"}
    assert report["by"]["team"] == {"cx": "8.20"}
    assert report["by"]["purchase_option"] == {"committed": "8.10", "on_demand": "0.1"}
    assert report["accelerator_hours"] == {"nvidia-h100-sxm": 16.0}
    assert report["format"] == "Google Cloud BigQuery export"


def test_money_of_a_json_bill_keeps_every_digit(tmp_path):
    path = tmp_path / "export.json"
    path.write_text(lines(GOOGLE | {"credits": []}).replace("10.25", "0.1234567890123456789012"))
    assert bill_report(read_bill(path))["totals"]["billed"] == "0.1234567890123456789012"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"cost": 1, "cost": 2}', "key 'cost' is given twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"cost": 1', "is not valid JSON"),
        ("[]", "holds no rows"),
        ("[1, 2]", "holds no rows"),
        ('{"x": 1}', "fits no known bill"),
    ],
)
def test_json_that_is_no_bill_is_refused(tmp_path, text, words):
    path = tmp_path / "bill.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_bill(path)


def allocation(name, cost, gpu_hours=0, **labels):
    return {
        "name": name, "properties": {"cluster": "c1", "namespace": name, "labels": labels}, "gpuHours": gpu_hours,
        "window": {"start": "2026-10-05T00:00:00Z", "end": "2026-10-06T00:00:00Z"}, "totalCost": cost,
    }  # fmt: skip


def test_an_answer_of_opencost_shows_idle_capacity_apart(tmp_path):
    path = tmp_path / "allocation.json"
    sets = {"chat": allocation("chat", 30.5, 12, team="cx"), "__idle__": allocation("__idle__", 9.5)}
    path.write_text(json.dumps({"code": 200, "data": [sets, None]}))
    report = bill_report(read_bill(path))
    assert report["totals"]["effective"] == "40.0"
    assert report["by"]["purchase_option"] == {"on_demand": "30.5", "committed_unused": "9.5"}
    assert report["by"]["team"] == {"cx": "30.5", "(untagged)": "9.5"}
    assert {"text": "idle capacity of the cluster, shown as unused commitment", "rows": 1} in report["warnings"]


AWS = {
    "bill_billing_period_start_date": "2026-10-01T00:00:00Z", "bill_payer_account_id": "0001",
    "line_item_usage_start_date": "2026-10-05T00:00:00Z", "line_item_usage_end_date": "2026-10-05T01:00:00Z",
    "line_item_usage_account_id": "0002", "line_item_line_item_type": "Usage", "line_item_usage_type": "BoxUsage",
    "line_item_usage_amount": 3.0, "pricing_unit": "Hrs", "line_item_currency_code": "USD",
    "line_item_unblended_cost": 295.92, "pricing_public_on_demand_cost": 295.92,
    "product": {"instance_type": "p5.48xlarge"}, "resource_tags": {"user_team": "cx"},
    "cost_category": {"BusinessUnit": "retail"},
}  # fmt: skip


def test_maps_of_an_aws_report_name_team_unit_and_accelerator(tmp_path):
    maps = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in AWS.items()}
    path = tmp_path / "cur2.csv"
    pd.DataFrame([maps]).to_csv(path, index=False)
    stored = tmp_path / "cur2.parquet"
    kinds = [(name, pa.map_(pa.string(), pa.string())) for name in ("product", "resource_tags", "cost_category")]
    frame = pa.Table.from_pylist([AWS | {name: list(AWS[name].items()) for name, _ in kinds}],
                                 schema=pa.schema([*((n, pa.float64() if isinstance(v, float) else pa.string())
                                                     for n, v in AWS.items() if not isinstance(v, dict)), *kinds]))  # fmt: skip
    parquet.write_table(frame, stored)
    for file in (path, stored):
        report = bill_report(read_bill(file))
        assert report["totals"]["billed"] == "295.92"
        assert report["by"]["team"] == {"cx": "295.92"}
        assert report["by"]["business_unit"] == {"retail": "295.92"}
        assert report["accelerator_hours"] == {"nvidia-h100-sxm": 24.0}


HEAD = "Date,ChargeType,PricingModel,CostInBillingCurrency,BillingCurrency,BillingAccountId,SubscriptionId,Quantity,UnitOfMeasure,MeterName\n"
USED = "2026-10-01,Usage,Reservation,24.00,USD,b,s,2,1 Hour,ND96isr H100 v5\n"
BOUGHT = "2026-10-01,Purchase,Reservation,8760.00,USD,b,s,1,1 Month,Reservation\n"
PLAIN = "2026-10-02,Usage,OnDemand,5.00,USD,b,s,1,1 Hour,D2s\n"


def files(folder, **texts):
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text(HEAD + text)
    return paths


def test_the_parts_of_one_delivery_are_stored_together(tmp_path):
    workspace = tmp_path / "company"
    new_workspace(workspace)
    parts = files(tmp_path, first=PLAIN, second=PLAIN.replace("5.00", "7.00"), third=BOUGHT)
    reports = import_files("billing", parts, workspace, Target())
    assert [report["totals"]["billed"] for report in reports] == ["5.00", "7.00", "8760.00"]
    stored = pd.read_csv(table_file(workspace, "billing"))
    assert stored["BilledCost"].sum() == 8772
    with pytest.raises(InputError, match="--replace"):
        import_files("billing", parts[:1], workspace, Target())


def test_the_same_charges_are_never_taken_twice(tmp_path):
    plain, copy, actual, amortised = files(tmp_path, a=PLAIN, b=PLAIN, c=PLAIN + BOUGHT, d=PLAIN + USED)
    with pytest.raises(InputError, match=r"b\.csv: holds the same bytes as a\.csv"):
        import_files("billing", [plain, copy], None, Target())
    with pytest.raises(InputError, match=r"d\.csv: is Azure cost export, amortised, c\.csv is .* actual"):
        import_files("billing", [actual, amortised], None, Target())


def test_hours_of_azure_meters_count(tmp_path):
    (path,) = files(tmp_path, used=USED)
    assert bill_report(read_bill(path))["accelerator_hours"] == {"nvidia-h100-sxm": 16.0}


AWS_2 = (
    "bill_billing_period_start_date,line_item_usage_start_date,line_item_usage_end_date,line_item_line_item_type,"
    "line_item_usage_type,line_item_currency_code,line_item_unblended_cost,{},resource_tags_user_team,cost_category_unit\n"
)
SPAN = "2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,2026-10-01T01:00:00Z"


@pytest.mark.parametrize("name", ["reservation_reservation_a_r_n", "reservation/ReservationARN"])
def test_a_fee_counts_unless_it_paid_for_a_reservation(tmp_path, name):
    """Of 100 for a reservation nothing is the cost of this month's use, of 30 for support all."""
    path = tmp_path / "cur.csv"
    rows = [
        f"{SPAN},Fee,HeavyUsage,USD,100,arn:1,,",
        f"{SPAN},Fee,,USD,30,,,",
        f"{SPAN},Usage,BoxUsage,USD,7,,cx,retail",
    ]
    path.write_text(AWS_2.format(name) + "\n".join(rows) + "\n")
    bill = read_bill(path)
    report = bill_report(bill)
    assert (report["totals"]["billed"], report["totals"]["effective"]) == ("137", "37")
    assert ("fees of no reservation (support, marketplace) count when they are billed", 1) in bill.warnings
    assert report["by"]["team"] == {"(untagged)": "30", "cx": "7"}
    assert json.loads(bill.table["Tags"].iloc[2]) == {"team": "cx", "unit": "retail"}


def test_azure_tags_without_braces_are_tags(tmp_path):
    path = tmp_path / "azure.csv"
    head = "Date,SubscriptionId,ChargeType,PricingModel,CostInBillingCurrency,BillingCurrency,Tags\n"
    path.write_text(head + '10/01/2026,s,Usage,OnDemand,2.5,EUR,"""team"": ""cx"",""env"": ""prod"""\n'
                    + '10/02/2026,s,Usage,OnDemand,1,EUR,"{""team"": ""hr""}"\n10/02/2026,s,Usage,OnDemand,1,EUR,\n')  # fmt: skip
    bill = read_bill(path)
    assert bill_report(bill)["by"]["team"] == {"cx": "2.5", "(untagged)": "1", "hr": "1"}
    assert not [text for text, _ in bill.warnings if "tags" in text]


FOCUS_HEAD = (
    "BilledCost,EffectiveCost,BillingCurrency,BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ChargeCategory"
)
FOCUS_ROW = "1.5,1.5,USD,2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,Usage"


def test_the_provider_of_a_newer_focus_bill_has_another_name(tmp_path):
    path = tmp_path / "focus.csv"
    path.write_text(f"{FOCUS_HEAD},ServiceProviderName,HostProviderName\n{FOCUS_ROW},Example AI,AWS\n")
    bill = read_bill(path)
    assert bill_report(bill)["by"]["provider"] == {"Example AI": "1.5"}
    assert ("ProviderName is not given; ServiceProviderName taken", 1) in bill.warnings


def test_tags_of_a_focus_bill_may_be_a_list_or_stand_in_a_namespace(tmp_path):
    path = tmp_path / "focus.csv"
    tags = [
        '[{"key": "team", "value": "cx"}]',
        "[]",
        '{"finance.team": "hr"}',
        '{"example.org/team": "it", "team": "ops"}',
        "[{",
    ]
    cells = ['"' + text.replace('"', '""') + '"' for text in tags]
    path.write_text(f"{FOCUS_HEAD},ProviderName,Tags\n" + "".join(f"{FOCUS_ROW},GCP,{cell}\n" for cell in cells))
    bill = read_bill(path)
    assert bill_report(bill)["by"]["team"] == {"(untagged)": "3.0", "cx": "1.5", "hr": "1.5", "ops": "1.5"}
    assert ("tags are no JSON object: these charges count as untagged", 1) in bill.warnings


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_bill_in_json_may_be_marked_as_unicode(tmp_path, encoding):
    path = tmp_path / "bill.json"
    path.write_bytes(lines(GOOGLE, GOOGLE | {"cost": 0.75, "credits": []}).encode(encoding))
    plain = tmp_path / "plain.json"
    plain.write_text(lines(GOOGLE, GOOGLE | {"cost": 0.75, "credits": []}))
    assert bill_report(read_bill(path)) == bill_report(read_bill(plain))


def test_a_credit_without_an_amount_is_refused(tmp_path):
    path = tmp_path / "bill.json"
    path.write_text(lines(GOOGLE | {"credits": [{"name": "CUD"}]}))
    with pytest.raises(InputError, match="row 2, column 'credits'.*each with a finite amount"):
        read_bill(path)


def test_a_focus_bill_of_bigquery_in_json(tmp_path):
    """Times in words, tags as an object, which JSON spreads over names with dots."""
    row = dict(zip(FOCUS_HEAD.split(","), FOCUS_ROW.split(","), strict=True)) | {
        "ProviderName": "Google Cloud", "ChargePeriodStart": "2026-10-01 00:00:00 UTC",
        "ChargePeriodEnd": "2026-10-01 01:00:00 UTC", "Tags": {"team": "cx", "finance.unit": "retail"},
        "SkuPriceDetails": {"InstanceType": "a3-highgpu-8g"}, "ConsumedQuantity": "2", "ConsumedUnit": "Hours",
    }  # fmt: skip
    path = tmp_path / "focus.json"
    path.write_text(lines(row, row | {"Tags": {"team": "hr"}}))
    bill = read_bill(path)
    report = bill_report(bill)
    assert report["by"]["team"] == {"cx": "1.5", "hr": "1.5"}
    assert report["accelerator_hours"] == {"nvidia-h100-sxm": 32.0}
    assert bill.table["ChargePeriodEnd"].iloc[0] == pd.Timestamp("2026-10-01T01:00:00Z")
    assert json.loads(bill.table["Tags"].iloc[0]) == {"team": "cx", "finance.unit": "retail"}


@pytest.mark.parametrize(("name", "meter", "hours"), [
    ("x_SkuMeterName", "ND96isr H100 v5", 8.0), ("x_UsageType", "USE1-BoxUsage:p5.48xlarge", 8.0),
    ("x_SkuMeterName", "D4s v5", 0.0),
])  # fmt: skip
def test_older_focus_bills_name_the_meter_in_a_column_of_the_provider(tmp_path, name, meter, hours):
    path = tmp_path / "focus.csv"
    head = f"{FOCUS_HEAD},ProviderName,ConsumedQuantity,ConsumedUnit,{name}\n"
    path.write_text(f"{head}{FOCUS_ROW},Microsoft,1,Hours,{meter}\n")
    bill = read_bill(path)
    assert sum(bill_report(bill)["accelerator_hours"].values()) == hours
    assert (f"SkuMeter is not given; {name} taken", 1) in bill.warnings
    assert bill.table[name].tolist() == [meter]


@pytest.mark.parametrize("wrapped", [True, False])
def test_windows_of_opencost_may_stand_alone(tmp_path, wrapped):
    cell = {"properties": {"namespace": "chat"}, "start": "2026-10-01T00:00:00Z", "end": "2026-10-02T00:00:00Z"}
    windows = [{"chat": cell | {"totalCost": 1.25}}, None, {}, {"chat": cell | {"totalCost": 2}}]
    path = tmp_path / "opencost.json"
    path.write_text(json.dumps({"code": 200, "data": windows} if wrapped else windows))
    assert bill_report(read_bill(path))["totals"]["billed"] == "3.25"
