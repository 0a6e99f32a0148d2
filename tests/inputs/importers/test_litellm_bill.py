"""Spend of the LiteLLM proxy as a bill: exact totals, never beside an invoice of the same provider unsaid."""

import json
from decimal import Decimal

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.importers.bills import bill_report, read_bill
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.workspace import load_workspace

CALLS = "request_id,startTime,endTime,completionStartTime,request_tags,prompt_tokens,total_tokens,spend,model_group,custom_llm_provider,api_key,team_id\n"
CALL = '{0},2026-10-03T10:00:00Z,2026-10-03T10:00:02Z,2026-10-03T10:00:01Z,"[""use_case:chat""]",10,12,{1},gpt-4o,{2},key-1,media\n'
DAYS = "date,api_key,team_id,api_requests,successful_requests,failed_requests,spend,model,custom_llm_provider\n"
DAY = "2026-10-03,key-1,media,3,3,0,{0},gpt-4o,{1}\n"
INVOICE = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart,ProviderName,BillingAccountId\n7,7,USD,Usage,2026-10-05T00:00:00Z,2026-10-06T00:00:00Z,2026-10-01T00:00:00Z,{0},42\n"


def file(folder, text, name="spend.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def warnings(reports):
    return [item["text"] for report in reports for item in report["warnings"]]


def test_calls_by_hand(tmp_path):
    bill = read_bill(file(tmp_path, CALLS + CALL.format("a", "0.5", "openai") + CALL.format("b", "1e-3", "bedrock") + CALL.format("c", "", "hosted_vllm")))  # fmt: skip
    report = bill_report(bill)
    assert report["format"] == "LiteLLM spend, calls"
    assert report["totals"] == {"billed": "0.501", "effective": "0.501", "list": None}
    assert report["by"]["provider"] == {"OpenAI": "0.5", "AWS": "0.001", "hosted_vllm": "0"}
    assert report["by"]["team"] == {"media": "0.501"}
    assert report["by"]["use_case"] == {"chat": "0.501"}
    assert ("calls without a stated spend, counted with 0", 1) in bill.warnings


def test_days_of_a_team_table(tmp_path):
    bill = read_bill(file(tmp_path, DAYS + DAY.format("2.25", "openai")))
    charge = bill.table.iloc[0]
    assert bill.format == "LiteLLM spend, daily by team"
    assert charge["BilledCost"] == Decimal("2.25")
    assert [str(charge[name])[:10] for name in ("ChargePeriodStart", "ChargePeriodEnd")] == ["2026-10-03", "2026-10-04"]


def test_tags_overlap_and_are_refused(tmp_path):
    with pytest.raises(InputError, match="column 'tag': a call counts under each of its tags"):
        read_bill(file(tmp_path, DAYS.replace("team_id", "tag") + DAY.format("2.25", "openai")))


def test_a_spend_that_is_no_number_names_its_cell(tmp_path):
    with pytest.raises(InputError, match="row 2, column 'spend': value 'free'"):
        read_bill(file(tmp_path, CALLS + CALL.format("a", "free", "openai")))


def test_calls_and_days_of_one_proxy_are_not_added(tmp_path):
    calls = file(tmp_path, CALLS + CALL.format("a", "0.5", "openai"))
    days = file(tmp_path, DAYS + DAY.format("0.5", "openai"), "days.csv")
    with pytest.raises(InputError, match="import one of them"):
        import_files("billing", [calls, days], None, Target())


@pytest.mark.parametrize(
    ("provider", "first", "said"),
    [("AWS", "proxy", True), ("AWS", "invoice", True), ("AWS", "together", True), ("Oracle", "together", False)],
)
def test_an_invoice_of_the_same_provider_is_named(mini, tmp_path, provider, first, said):
    proxy = file(tmp_path, CALLS + CALL.format("a", "0.5", "bedrock"))
    invoice = file(tmp_path, INVOICE.format(provider), "invoice.csv")
    (mini / "billing.csv").unlink()
    orders = {"proxy": [[proxy], [invoice]], "invoice": [[invoice], [proxy]], "together": [[proxy, invoice]]}
    reports = [import_files("billing", sources, mini, Target()) for sources in orders[first]]
    assert any("counts twice" in text for text in warnings(reports[-1])) is said
    assert sum(load_workspace(mini).table("billing")["BilledCost"]) == Decimal("7.5")


@pytest.mark.real
def test_spend_by_team_is_the_truth(shared_dir):
    folder = shared_dir / "data" / "telemetry"
    truth = json.loads((folder / "litellm_spendlogs_2026_10.truth.json").read_text())
    teams = bill_report(read_bill(folder / "litellm_spendlogs_2026_10.csv.gz", pd.Timestamp("2026-11-24", tz="UTC")))[
        "by"
    ]["team"]
    assert set(teams) == {name.replace("(none)", "(untagged)") for name in truth}
    for name, exact in truth.items():
        assert float(teams[name.replace("(none)", "(untagged)")]) == pytest.approx(exact["spend_usd"], rel=1e-9)


def test_the_model_behind_a_name_of_the_proxy_is_kept(tmp_path):
    head = CALLS.replace("model_group", "model,model_group")
    bill = read_bill(file(tmp_path, head + CALL.format("a", "0.5", "openai").replace("gpt-4o", "gpt-5,default-chat")))
    charge = bill.table.iloc[0]
    assert (charge["SkuMeter"], json.loads(charge["Tags"])["model"]) == ("default-chat", "gpt-5")
