"""The article's scenarios come out as argued on the bundled prices, and say why not when they do not."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.shortlist.examples import _JUDGES, COLUMNS, EXAMPLES, run_examples, work_examples


@pytest.fixture(scope="module")
def worked(sample_ws):
    return work_examples(sample_ws).set_index("example")


def test_each_scenario_comes_out_as_argued_or_says_why_not(worked):
    assert worked.reset_index().columns.tolist() == COLUMNS
    assert worked.index.tolist() == [item.use_case_id for item in EXAMPLES]
    assert worked.at["copilot-rollout", "as_argued"]
    assert worked.at["copilot-rollout", "layer"] == "general GPU layer"
    assert "power rules out" in worked.at["edge-site", "explanation"]
    open_ones = worked[~worked["as_argued"].astype(bool)]
    assert open_ones["explanation"].str.contains("benchmark first|cheaper|costs less").all()


def judged(name, **row):
    """The judgement on one example with these figures, its stage results left out."""
    return _JUDGES[name]({"example": name, **row}, None, SimpleNamespace(migrations=MOVES))


MOVES = pd.DataFrame([{"use_case_id": "support-at-scale", "accelerator_id": "chip", "payback_months": 9.0}])


def test_support_at_scale_is_argued_right_where_a_platform_pays_back():
    figures = {"alternative": "chip", "break_even_units_per_month": 1e8, "bearable_changes_per_year": 20.0}
    argued, why = judged("support-at-scale", payback_months=4.0, **figures)
    assert argued
    assert "4.0 months" in why
    assert "monthly changes stretch the payback to 9.0 months" in why
    argued, why = judged("support-at-scale", payback_months=np.inf, **figures)
    assert not argued
    assert why.startswith("no specialised platform is cheaper")


def test_an_unknown_capacity_leaves_the_case_open():
    argued, why = judged("support-at-scale")
    assert not argued
    assert "benchmark first" in why
    assert judged("copilot-rollout", layer="general GPU layer")[0]


def test_the_examples_leave_the_workspace_alone(sample_ws):
    before = {name: len(table) for name, table in sample_ws.tables.items()}
    run_examples(sample_ws)
    assert {name: len(table) for name, table in sample_ws.tables.items()} == before


def test_a_workspace_without_telemetry_has_the_examples_too(mini_ws):
    found = work_examples(mini_ws)
    assert found["explanation"].str.len().gt(0).all()
    assert isinstance(found, pd.DataFrame)
