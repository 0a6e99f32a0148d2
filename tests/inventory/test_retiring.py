"""Hosted models in use whose end is announced."""

import json
from decimal import Decimal

import pandas as pd
import pytest

from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.inventory.retiring import retiring_models
from aifactory.report.inventory_page import attention
from aifactory.review import build_review

PRICES = pd.DataFrame(
    [
        ("gpt-5", "openai", 10.0, "2026-12-11"),
        ("gpt-5-mini", "openai", 2.0, None),
        ("gpt-5.5", "openai", 9.0, None),
        ("azure/gpt-5", "azure", 10.0, None),
        ("claude-sonnet-4-5", "anthropic", 15.0, None),
        ("claude-sonnet-4-5-20250929", "anthropic", 15.0, "2026-09-30"),
        ("gemini/gemini-2.0-flash", "gemini", 1.0, None),
        ("gemini/gemini-2.0-flash-20250205", "gemini", 1.0, "2027-02-05"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "bedrock", 1.25, "2027-03-01"),
        ("meta.llama3-1-8b-instruct-v1:0", "bedrock", 0.2, "2027-03-30"),
        ("sambanova/Meta-Llama-3.1-8B-Instruct", "sambanova", 0.1, None),
    ],
    columns=["api_model", "provider", "output_usd_per_mtok", "deprecation_date"],
).assign(
    deprecation_date=lambda f: pd.to_datetime(f["deprecation_date"]),
    source="price list",
    as_of=pd.Timestamp("2026-10-01"),
)


def charge(text, seller="OpenAI", case="chat", tagged="", **more):
    return {"ChargeDescription": text, "SkuMeter": None, "SkuId": None, "SkuPriceDetails": None, "ProviderName": seller,
            "Tags": json.dumps({"model": tagged}) if tagged else None, "use_case": case, "EffectiveCost": Decimal(2),
            "accelerator_id": "(none)", "cost_line": "attributed usage", **more}  # fmt: skip


def found(ws, *charges):
    bill = pd.DataFrame(charges or [charge("storage")])
    return retiring_models(ws, bill)


@pytest.fixture
def ws(changed):
    return changed(api_prices=PRICES)


@pytest.mark.parametrize(
    ("text", "seller", "model", "day"),
    [
        ("gpt-5", "OpenAI", "gpt-5", "2026-12-11"),
        ("openai/gpt-5-2025-08-07", "OpenAI", "gpt-5", "2026-12-11"),
        ("GPT 5 input, 1K tokens", "OpenAI", "gpt-5", "2026-12-11"),
        ("claude-sonnet-4-5-20250929", "Anthropic", "claude-sonnet-4-5-20250929", "2026-09-30"),
        ("Claude Sonnet 4.5 (Amazon Bedrock Edition)", "AWS", "claude-sonnet-4-5", "2026-09-30"),
        ("gemini-2.0-flash", "Google Cloud", "gemini-2.0-flash", "2027-02-05"),
        ("USE1-claude-3-haiku output", "AWS", "claude-3-haiku", "2027-03-01"),
        ("Tokens, meta.llama3-1-8b-instruct-v1:0", "AWS", "llama3-1-8b-instruct", "2027-03-30"),
        ("llama3-1-8b-instruct-v1:0-input-tokens", "AWS", "llama3-1-8b-instruct", "2027-03-30"),
    ],
)
def test_a_charge_names_the_model_as_people_write_it(ws, text, seller, model, day):
    rows = found(ws, charge(text, seller), charge(text, seller))
    assert rows[["model", "use_case_id", "usd_month", "named_in"]].values.tolist() == [[model, "chat", 4.0, "billing"]]
    assert str(rows["retires"].iloc[0])[:10] == day


@pytest.mark.parametrize(
    ("text", "seller"),
    [
        ("gpt-5-mini", "OpenAI"),
        ("gpt-5.1", "OpenAI"),
        ("gpt-5-pro", "OpenAI"),
        ("gpt-5.5", "OpenAI"),
        ("mygpt-5", "OpenAI"),
        ("gpt-50", "OpenAI"),
        ("gpt-5", "Microsoft Azure"),  # the seller's own row has no end
        ("gemini-2.0-flash-lite", "Google Cloud"),
        ("storage", "OpenAI"),
    ],
)
def test_another_model_is_not_named(ws, text, seller):
    assert found(ws, charge(text, seller)).empty


def test_the_model_that_answered_counts_not_its_alias(ws):
    assert found(ws, charge("gpt-5", tagged="gpt-5-mini")).empty
    assert found(ws, charge("default-chat", tagged="gpt-5"))["model"].tolist() == ["gpt-5"]


def test_a_charge_without_a_use_case_and_hours_of_accelerators(ws):
    rows = found(ws, charge("gpt-5", case="(unattributed)"), charge("gpt-5", accelerator_id="nvidia-l4"))
    assert rows[["use_case_id", "usd_month", "owner_role"]].values.tolist() == [["", 2.0, ""]]


def test_a_use_case_names_a_model_that_only_others_run(ws, changed):
    cases = ws.table("use_cases")
    cases = cases.assign(model=["gpt-5", "Llama-3.1-8B", None], retire_month=[None, None, None])
    rows = found(changed(api_prices=PRICES, use_cases=cases))
    assert rows[["model", "use_case_id", "owner_role", "named_in"]].values.tolist() == [
        ["gpt-5", "chat", "head of service", "use_cases"]
    ]
    assert "gpt-5.5" in rows["action"].iloc[0]
    ends = cases.assign(retire_month=["2026-11", None, None])
    assert found(changed(api_prices=PRICES, use_cases=ends))["action"].tolist() == [
        "Nothing to move: the use case ends in 2026-11"
    ]


def test_a_retiring_model_stands_in_the_inventory_and_among_the_decisions_due(mini):
    head, first = (mini / "billing.csv").read_text().splitlines()[:2]
    call = first.split(",Usage")[0].replace("AWS", "OpenAI").split("p5.48xlarge")[0]
    tags = '"{""use_case"": ""chat""}"'
    with (mini / "billing.csv").open("a") as file:
        for day in ("2026-09", "2026-10"):
            span = call.replace("2026-10", "2026-11" if day == "2026-10" else "2026-10").replace("2026-09", day)
            file.write(f"{span}gpt-5,,gpt-5,Usage,Standard,,1000,Tokens,USD,40,40,{tags}\n")
    rows = PRICES.assign(confidence="claimed", input_usd_per_mtok=1.0)
    rows.to_csv(mini / "api_prices.csv", index=False)
    ws = load_workspace(mini, "2026-10")
    inventory = build_inventory(ws)
    said = "Hosted model gpt-5 of chat ends 2026-12-11 at openai (price list, 2026-10-01, USD 40 in the month)."
    assert said in attention(inventory).text
    due = build_review(ws, inventory).decisions_due
    assert due[["subject", "owner_role", "overdue"]].values.tolist() == [
        ["hosted model gpt-5", "head of service", False]
    ]
    assert due["text"].iloc[0].startswith(said)
