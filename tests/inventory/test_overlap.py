"""Models and tools that are paid for more than once."""

from decimal import Decimal

import pandas as pd
import pytest

from aifactory.inventory.overlap import find_overlaps

CASES = pd.DataFrame({"use_case_id": ["a", "b", "c"], "model": ["Llama", "Llama", None]})


def bill(*rows):
    columns = ["use_case", "ResourceId", "RegionId", "accelerator_id", "EffectiveCost"]
    frame = pd.DataFrame(rows, columns=columns).assign(cost_line="attributed usage", ServiceCategory="Compute")
    frame["EffectiveCost"] = frame["EffectiveCost"].map(Decimal)
    return frame.assign(ServiceName="EC2", ProviderName="AWS")


def test_a_model_on_two_pools_of_one_region_by_hand():
    rows = bill(("a", "p1", "us", "h100", 100), ("a", "p2", "us", "h100", 20), ("b", "p3", "us", "l4", 30))
    row = find_overlaps(CASES, rows).iloc[0]
    assert (row["kind"], row["what"], row["copies"]) == ("model", "Llama in us", 2)
    assert row["where"] == "a on p1/p2, b on p3"
    assert (row["usd"], row["smaller_usd"]) == (150.0, 30.0)


@pytest.mark.parametrize(
    "second",
    [("b", "p1", "us", "h100", 30), ("b", "p3", "eu", "h100", 30), ("c", "p3", "us", "h100", 30),
     ("(unattributed)", "p3", "us", "h100", 30), ("b", "p3", "us", "(none)", 30), ("b", None, "us", "h100", 30)],
)  # fmt: skip
def test_shared_pools_other_regions_and_unnamed_use_are_no_copies(second):
    assert find_overlaps(CASES, bill(("a", "p1", "us", "h100", 100), second)).empty


def test_tools_of_two_sellers_are_copies_and_kinds_of_storage_are_not():
    rows = bill(*[("(unattributed)", None, "us", "(none)", usd) for usd in (70, 30, 5, 9)])
    rows["ServiceCategory"] = ["AI and Machine Learning", "AI and Machine Learning", "Storage", "Storage"]
    rows["ServiceName"] = ["Bedrock", "Vertex", "S3", "EBS"]
    rows["ProviderName"] = ["AWS", "GCP", "AWS", "AWS"]
    table = find_overlaps(CASES, rows)
    assert table[["kind", "what", "copies", "usd", "smaller_usd"]].to_numpy().tolist() == [
        ["service", "AI and Machine Learning", 2, 100.0, 30.0]
    ]
    assert table.loc[0, "where"] == "AWS Bedrock, GCP Vertex"


def test_no_bill_has_no_copies():
    assert find_overlaps(CASES, bill()).empty


def test_the_model_of_the_sample_on_two_accelerators_is_found(sample_ws):
    charges = sample_ws.table("billing")
    table = find_overlaps(sample_ws.table("use_cases"), charges[charges["month"] == "2026-10"])
    assert table["what"].tolist() == ["Llama-3.1-8B in us-east"]
