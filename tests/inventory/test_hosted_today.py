"""What runs on a hosted model alone: found in the bill, with its price of a unit."""

import json
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from aifactory.inventory.hosted_today import (
    closed_today,
    hosted_alone,
    hosted_findings,
    hosted_today,
    hosted_usage,
    stated_findings,
)
from aifactory.inventory.retiring import COLUMNS as RETIRING
from aifactory.inventory.today import BY_HOSTED, todays_platforms

NOBODY = pd.DataFrame(columns=RETIRING)


@pytest.fixture
def billed(changed, mini_ws):
    """The tiny workspace with other charges in October: of what service, for whom, for how much."""

    def build(*charges):
        bill = mini_ws.table("billing")
        like = bill[bill["month"] == "2026-10"].iloc[:1]
        rows = [
            like.assign(
                ServiceName=service, ServiceCategory=category, ProviderName=seller, use_case=case, EffectiveCost=Decimal(usd),
                Tags=json.dumps({"model": model}) if model else None, accelerator_id="(none)", accelerator_hours=0.0,
                cost_line="attributed usage", ResourceId=None,
            )
            for service, category, seller, case, usd, model in charges
        ]  # fmt: skip
        earlier = bill[(bill["month"] != "2026-10") | (bill["use_case"] != "chat")]
        return changed(billing=pd.concat([earlier, *rows], ignore_index=True))

    return build


BEDROCK = ("Amazon Bedrock", "AI and Machine Learning", "AWS")


def test_the_price_of_a_unit_is_the_bill_over_the_units(billed):
    ws = billed((*BEDROCK, "chat", "30", "meta.llama3-1-8b-instruct-v1:0"), (*BEDROCK, "chat", "12", "guard-model"))
    row = hosted_today(ws, pd.Series({"chat": 8_400.0}), NOBODY).iloc[0]
    assert row[["use_case_id", "model", "provider"]].tolist() == ["chat", "meta.llama3-1-8b-instruct-v1:0", "AWS"]
    assert (row["usd_month"], row["usd_per_unit"]) == (42.0, 0.005) and pd.isna(row["retires"])
    said = "chat runs on the hosted model meta.llama3-1-8b-instruct-v1:0 of AWS today: USD 42 in the month, USD 0.005 a unit (billing, 2026-10-31)."
    found = hosted_today(ws, pd.Series({"chat": 8_400.0}), NOBODY)
    assert (
        hosted_findings(found, frozenset())[0].text
        == said + " Whether own accelerators would pay is decided in the buy plan."
    )
    assert hosted_findings(found, frozenset({"chat"}))[0].text == said + " Nobody can run its weights elsewhere."


def test_an_untagged_charge_is_named_after_its_use_case_and_uncounted_units_have_no_price(billed):
    row = hosted_today(billed((*BEDROCK, "chat", "30", "")), pd.Series(dtype=float), NOBODY).iloc[0]
    assert row["model"] == "Llama-3.1-8B" and pd.isna(row["usd_per_unit"])


@pytest.mark.parametrize(
    ("named", "charges", "closed"),
    [
        (
            None,
            [("gpt-4o", "30"), ("meta.llama3-1-8b-instruct-v1:0", "12")],
            True,
        ),  # most money goes to what is hosted only
        (None, [("gpt-4o", "12"), ("meta.llama3-1-8b-instruct-v1:0", "30")], False),
        (None, [("", "30")], False),
        ("Llama-3.1-8B", [("gpt-4o", "30")], False),  # what a use case says of itself counts
    ],
)
def test_a_use_case_that_names_no_model_runs_what_it_is_charged_for(billed, named, charges, closed):
    ws = billed(*[(*BEDROCK, "chat", usd, model) for model, usd in charges])
    cases = ws.table("use_cases")
    cases = cases.assign(model=cases["model"].mask(cases["use_case_id"] == "chat", named))
    assert closed_today(replace(ws, tables={**ws.tables, "use_cases": cases})) == ({"chat"} if closed else set())
    on_kit = {**ws.tables, "use_cases": cases, "billing": ws.table("billing").assign(use_case="(unattributed)")}
    assert closed_today(replace(ws, tables=on_kit)) == frozenset()


def test_a_charge_whose_text_names_a_listed_model_is_of_that_one(billed):
    """The use case says Llama-3.1-8B, the meters say what answers: the longest name that the seller lists."""
    ws = billed(("OpenAI API", "AI and Machine Learning", "OpenAI", "chat", "30", ""))
    meter = ws.table("billing").assign(
        SkuMeter=lambda bill: bill["SkuMeter"].where(bill["ProviderName"] != "OpenAI", "gpt-4.1-mini input tokens")
    )
    assert (
        hosted_today(replace(ws, tables={**ws.tables, "billing": meter}), pd.Series({"chat": 10.0}), NOBODY).iloc[0][
            "model"
        ]
        == "gpt-4.1-mini"
    )


def test_the_announced_end_is_that_of_the_model_in_use(billed):
    ends = pd.DataFrame(
        {
            "use_case_id": ["chat", "chat", "images"],
            "retires": pd.to_datetime(["2027-05-01", "2027-02-01", "2026-12-01"]),
        }
    )
    row = hosted_today(billed((*BEDROCK, "chat", "30", "m")), pd.Series({"chat": 10.0}), ends).iloc[0]
    assert str(row["retires"])[:10] == "2027-02-01"


@pytest.mark.parametrize(
    ("service", "category", "hosted"),
    [
        ("Amazon Bedrock", "AI and Machine Learning", True),
        ("Azure OpenAI", None, True),  # native bills state no category
        ("Hosted models", None, True),
        ("Amazon SageMaker", "AI and Machine Learning", False),
        ("Amazon S3", "Storage", False),
        (None, "AI and Machine Learning", True),
    ],
)
def test_what_counts_as_a_hosted_model(billed, service, category, hosted):
    ws = billed((service, category, "AWS", "chat", "30", ""))
    assert (len(hosted_usage(ws.table("billing"))) == 1) is hosted and (hosted_alone(ws) == {"chat"}) is hosted


def test_who_has_accelerators_or_jobs_too_is_not_alone(billed, mini_ws):
    """Tuning and images run on accelerators; a few hosted calls beside them decide nothing."""
    names = set(mini_ws.month("jobs")["use_case_id"])
    ws = billed(*[(*BEDROCK, name, "5", "") for name in [*names, "chat"]])
    assert names and hosted_alone(ws) == {"chat"}


def test_the_reference_accelerator_stands_in_for_a_hosted_model(billed, mini_ws):
    """Hours of its team, or the only accelerator of the bill, are those of others."""
    ws = billed((*BEDROCK, "chat", "30", ""))
    row = todays_platforms(ws, ["chat"]).iloc[0]
    assert (row["basis"], row["seen"], row["accelerator_id"]) == (BY_HOSTED, "", ws.plan.reference_accelerator)
    assert todays_platforms(billed(), ["chat"]).iloc[0]["basis"] != BY_HOSTED


def test_what_the_plan_states_to_run_on_accelerators_does(billed):
    """A few hosted calls beside own kit that is on no bill."""
    ws = billed((*BEDROCK, "chat", "5", ""))
    stated = replace(ws, plan=ws.plan.model_copy(update={"baseline_accelerators": {"chat": "nvidia-l4"}}))
    assert hosted_alone(ws) == {"chat"} and hosted_alone(stated) == frozenset()
    assert stated_findings(ws) == []
    assert stated_findings(stated)[0].text.startswith(
        "chat is charged for hosted models alone, USD 5 in the month (billing, 2026-10-31), while"
    )
