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
