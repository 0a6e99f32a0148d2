"""The article's scenarios come out as argued on the bundled prices, and say why not when they do not."""

import numpy as np
import pandas as pd
import pytest

from aifactory.shortlist.examples import COLUMNS, EXAMPLES, run_examples, work_examples


@pytest.fixture(scope="module")
def worked(sample_ws):
    return work_examples(sample_ws).set_index("example")


def test_each_scenario_comes_out_as_the_article_argues(worked):
    assert worked.reset_index().columns.tolist() == COLUMNS
    assert worked["as_argued"].to_dict() == {item.use_case_id: True for item in EXAMPLES}
    assert worked.at["copilot-rollout", "layer"] == "general GPU layer"
    assert worked.at["edge-site", "platform"] == "nvidia-jetson-agx-orin"
    assert "power rules out" in worked.at["edge-site", "explanation"]


def test_the_copilot_stays_on_gpus_because_change_is_dear(worked, sample_ws):
    row = worked.loc["copilot-rollout"]
    assert row["alternative_usd"] > row["total_usd"]
    burden = run_examples(sample_ws).penalties.set_index(["use_case_id", "accelerator_id"])
    assert burden.loc[("copilot-rollout", row["alternative"]), "rework_usd"] > 0


def test_support_at_scale_pays_and_less_so_when_prompts_change(worked, sample_ws):
    row = worked.loc["support-at-scale"]
    assert row["payback_months"] < sample_ws.plan.horizon_months
    assert row["break_even_units_per_month"] < 2e9
    changed = run_examples(sample_ws, "volatile").migrations.set_index(["use_case_id", "accelerator_id"])
    assert changed.at[("support-at-scale", row["alternative"]), "payback_months"] > row["payback_months"]


def test_without_specialised_candidates_the_answer_says_so(sample_ws):
    import dataclasses

    plan = sample_ws.plan.model_copy(update={"candidates": ["nvidia-h100-sxm", "nvidia-l4"]})
    found = work_examples(dataclasses.replace(sample_ws, plan=plan)).set_index("example")
    assert found.at["copilot-rollout", "as_argued"]
    assert not found.at["support-at-scale", "as_argued"]
    assert found.at["support-at-scale", "explanation"].startswith("no specialised platform")
    assert not found.at["edge-site", "as_argued"]
    assert "nvidia-l4 fits the power limit" in found.at["edge-site", "explanation"]


def test_dear_specialised_hardware_turns_the_support_case(sample_ws):
    import dataclasses

    prices = sample_ws.table("prices")
    special = prices["accelerator_id"].str.contains("google|aws|gaudi")
    dear = prices.assign(
        usd_per_accelerator_hour=np.where(special, 9, 1) * prices["usd_per_accelerator_hour"],
        usd_per_accelerator=np.where(special, 9, 1) * prices["usd_per_accelerator"],
    )
    ws = dataclasses.replace(sample_ws, tables={**sample_ws.tables, "prices": dear})
    row = work_examples(ws).set_index("example").loc["support-at-scale"]
    assert not row["as_argued"]
    assert row["explanation"].startswith("no specialised platform is cheaper")


def test_the_examples_leave_the_workspace_alone(sample_ws):
    before = {name: len(table) for name, table in sample_ws.tables.items()}
    run_examples(sample_ws)
    assert {name: len(table) for name, table in sample_ws.tables.items()} == before


def test_a_workspace_without_telemetry_has_the_examples_too(mini_ws):
    found = work_examples(mini_ws)
    assert found["explanation"].str.len().gt(0).all()
    assert isinstance(found, pd.DataFrame)
