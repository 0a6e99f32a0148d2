"""Further members of the families of faults: other columns, formats and places than the shared files have."""

import json

import pandas as pd
import pytest
from bill_rows import GOOGLE, lines

from aifactory.errors import InputError
from aifactory.inputs.importers.bills import bill_report, read_bill
from aifactory.inputs.importers.command import Target, import_files

TARGET = Target(today=pd.Timestamp("2026-11-25", tz="UTC"), region="us", use_case="x", accelerator="nvidia-h100-sxm")
LOG = "ts,workload,in_tokens,out_tokens,team\n"
CALL = "2026-10-05T09:00:00Z,chat,{},20,cx\n"


def write(folder, text, name="file.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def requests(folder, text):
    return import_files("telemetry", [write(folder, text)], None, TARGET)[0]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_log_reads_the_same_in_every_plain_form(tmp_path, ends, separator, encoding):
    text = (LOG + CALL.format(7) + CALL.format(9)).replace(",", separator).replace("\n", ends)
    report = requests(tmp_path, text.encode(encoding))
    assert (report["totals"]["requests"], report["totals"]["input_tokens"]) == (2, 16)


@pytest.mark.parametrize(("cell", "tokens"), [("+100", 100), ("100", 100), ("1e2", 100), ("100.0", 100)])
def test_whole_numbers_may_be_written_in_several_ways(tmp_path, cell, tokens):
    assert requests(tmp_path, LOG + CALL.format(cell))["totals"]["input_tokens"] == tokens


@pytest.mark.parametrize("cell", ["1.000", "12.345", "1.234.567", "100.000"])
def test_points_that_may_part_thousands_are_refused(tmp_path, cell):
    with pytest.raises(
        InputError, match=r"row 2, column 'in_tokens': value '.*': may be a decimal number or have points"
    ):
        requests(tmp_path, LOG + CALL.format(cell))


def test_requests_that_look_the_same_are_counted_and_named(tmp_path):
    report = requests(tmp_path, LOG + CALL.format(7) * 3 + CALL.format(8))
    assert report["totals"]["requests"] == 4
    assert [item["rows"] for item in report["warnings"] if "equal to an earlier request" in item["text"]] == [2]


def test_a_run_of_a_job_given_twice_counts_once(tmp_path):
    head = "job_id,submitted,started,ended,accelerators,status\n"
    run = "1,2026-10-01T00:00:00Z,2026-10-01T{}:00:00Z,2026-10-01T09:00:00Z,8,COMPLETED\n"
    report = import_files("jobs", [write(tmp_path, head + run.format("01") * 2 + run.format("05"))], None, TARGET)[0]
    assert report["rows_left_out"] == {"the same run of a job, given again with the same values": 1}
    assert report["totals"] == {"jobs": 2, "accelerator_hours": 96.0}  # 8 h and 4 h on 8
    assert any(item["text"].startswith("jobs ran again") and item["rows"] == 1 for item in report["warnings"])


AZURE = "Date,ChargeType,PricingModel,CostInBillingCurrency,BillingCurrency,SubscriptionId\n"


@pytest.mark.parametrize("recase", [str, str.lower, str.upper])
@pytest.mark.parametrize("model", ["Reservation", "SavingsPlan"])
def test_actual_and_amortised_cost_are_told_apart_in_any_case(tmp_path, recase, model):
    rows = [
        f"2026-10-01,{recase(kind)},{recase(model)},{cost},USD,s" for kind, cost in (("Purchase", 8760), ("Usage", 24))
    ]
    with pytest.raises(InputError, match="actual and amortised exports are never added"):
        read_bill(write(tmp_path, AZURE + "\n".join(rows) + "\n"))


def test_two_columns_of_one_meaning_are_refused(tmp_path):
    azure = "Date,Kosten (Cost),Cost,Currency,SubscriptionId\n2026-10-01,5,7,EUR,s\n"
    with pytest.raises(InputError, match=r"row 1: columns 'Kosten \(Cost\)' and 'Cost' are both cost"):
        read_bill(write(tmp_path, azure))
    cur = "lineItem/UnblendedCost,line_item_unblended_cost,lineItem/LineItemType\n5,7,Usage\n"
    with pytest.raises(InputError, match="are both line_item_unblended_cost"):
        read_bill(write(tmp_path, cur))


def test_kinds_of_charges_that_nobody_knows_are_named(tmp_path):
    bill = read_bill(write(tmp_path, AZURE + "2026-10-01,Mystery,OnDemand,5,USD,s\n"))
    assert ("charge types that are not known count as usage: Mystery", 1) in bill.warnings
    head = "bill/BillingPeriodStartDate,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/LineItemType,lineItem/CurrencyCode,lineItem/UnblendedCost\n"
    row = "2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,2026-10-01T01:00:00Z,{},USD,5\n"
    bill = read_bill(write(tmp_path, head + row.format("Mystery") + row.format("Usage")))
    assert ("line item types that are not known count as usage: Mystery", 1) in bill.warnings


def test_types_of_cost_that_google_does_not_name_are_said(tmp_path):
    rows = lines(*(GOOGLE | {"cost_type": kind} for kind in ("surcharge", "Tax", "regular")))
    bill = read_bill(write(tmp_path, rows, "export.json"))
    assert ("cost_type surcharge is not known: counted as usage", 1) in bill.warnings
    assert bill.charges["ChargeCategory"].tolist() == ["Usage", "Tax", "Usage"]


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ('{"team": "a", "team": "b"}', 1), ('{"team": "a", "Team": "b"}', 1), ('{"team": "a", "team": "a"}', 0),
        ('{"team": "a", "unit": "b"}', 0), ("{}", 0),
    ],
)  # fmt: skip
def test_tags_that_contradict_themselves_are_counted(tmp_path, tags, said):
    head = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart,ProviderName,Tags\n"
    row = '1,1,USD,Usage,2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,2026-10-01T00:00:00Z,AWS,"{}"\n'
    bill = read_bill(write(tmp_path, head + row.format(tags.replace('"', '""'))))
    assert sum(rows for text, rows in bill.warnings if "a tag is given twice" in text) == said


TIMED = "ts,workload,in_tokens,out_tokens,{},e2e_ms\n"


@pytest.mark.parametrize(
    ("column", "unit"), [("ttft_s", "seconds"), ("TTFT (sec)", "seconds"), ("ttft_us", "microseconds")]
)
def test_a_time_in_another_unit_is_neither_taken_nor_passed_over(tmp_path, column, unit):
    path = write(tmp_path, TIMED.format(column) + "2026-10-05T09:00:00Z,chat,7,20,0.2,900\n")
    report = import_files("telemetry", [path], None, TARGET)[0]
    assert any(
        text["text"] == f"times in other units than milliseconds are not read: {column}" for text in report["warnings"]
    )
    mapped = Target(today=TARGET.today, region="us", columns={"ttft_ms": column})
    with pytest.raises(InputError, match=f"is in {unit} by its name, ttft_ms is in milliseconds"):
        import_files("telemetry", [path], None, mapped)


def test_seconds_among_milliseconds_are_counted(tmp_path):
    rows = [
        f"2026-10-05T09:00:{number:02},chat,7,20,{'0.2,1.5' if number < 4 else '200,1500'}\n" for number in range(20)
    ]
    report = requests(tmp_path, TIMED.format("ttft_ms") + "".join(row.replace(",chat", "Z,chat") for row in rows))
    assert [item["rows"] for item in report["warnings"] if "seconds among milliseconds" in item["text"]] == [4]


@pytest.mark.parametrize("kind", ["telemetry", "billing", "trace"])
def test_a_zone_that_would_be_passed_over_is_refused(tmp_path, kind):
    with pytest.raises(InputError, match="--zone: value 'Europe/Berlin': is of jobs"):
        import_files(kind, [write(tmp_path, LOG + CALL.format(7))], None, Target(zone="Europe/Berlin"))


def test_a_file_turned_on_its_side_is_refused_soon(tmp_path):
    cells = ",".join(f"c{number}" for number in range(200_000))
    with pytest.raises(InputError, match="has 200,000 columns, more than 5,000"):
        requests(tmp_path, f"{cells}\n{cells}\n")


@pytest.mark.parametrize("credits", [[{"amount": "x"}], [{"amount": "NaN"}], {"amount": 1}, "none"])
def test_credits_that_cannot_be_read_are_refused(tmp_path, credits):
    rows = lines(GOOGLE, GOOGLE | {"credits": credits if isinstance(credits, list) else json.dumps(credits)})
    with pytest.raises(InputError, match=r"row 3, column 'credits': value .*: must be a list of credits"):
        read_bill(write(tmp_path, rows, "export.json"))


@pytest.mark.parametrize("credits", [[], None, "", "[]", "null"])
def test_no_credits_are_no_credits(tmp_path, credits):
    assert (
        bill_report(read_bill(write(tmp_path, lines(GOOGLE | {"credits": credits}), "export.json")))["totals"]["billed"]
        == "10.25"
    )


KEYS = [
    "format",
    "rows_read",
    "rows_kept",
    "rows_left_out",
    "warnings",
    "period",
    "currency",
    "totals",
    "by",
    "coverage",
]


def test_every_report_has_the_same_keys(tmp_path):
    run = "job_id,submitted,started,ended,accelerators,status\n1,2026-10-01T00:00:00Z,2026-10-01T01:00:00Z,2026-10-01T09:00:00Z,8,COMPLETED\n"
    spend = "request_id,startTime,endTime,completionStartTime,request_tags,prompt_tokens,completion_tokens,spend,model_group,team_id,status\n"
    spend += "a,2026-10-01 00:00:00,2026-10-01 00:00:01,2026-10-01 00:00:01,[],5,6,0.25,m,cx,success\n"
    files = {
        "billing": AZURE + "2026-10-01,Usage,OnDemand,5,USD,s\n", "telemetry": LOG + CALL.format(7), "jobs": run,
        "trace": "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n", "use-cases": "name,team\nA,cx\n",
    }  # fmt: skip
    for kind, text in files.items():
        target = Target(today=TARGET.today) if kind == "use-cases" else TARGET
        report = import_files(kind, [write(tmp_path, text, f"{kind}.csv")], None, target)[0]
        assert not set(KEYS) - set(report), kind
        assert json.loads(json.dumps(report)) == report
        assert report["currency"] == ("USD" if kind == "billing" else None)
    report = import_files("telemetry", [write(tmp_path, spend, "spend.csv")], None, TARGET)[0]
    assert report["currency"] == "USD" and report["by"] == {"team": {"cx": "0.25"}, "use_case": {"m": "0.25"}}
