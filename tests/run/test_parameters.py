"""Settings are refused before anything runs; names can never become code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.plan import REQUIRED_ASSUMPTIONS, default_assumptions
from aifactory.inputs.resources import data_dir
from aifactory.inputs.workspace import load_workspace
from aifactory.run.parameters import SETTABLE_FIELDS, check_period, check_settings, parse_settings
from aifactory.run.stages import STAGES, select_stages


def test_settings_are_typed():
    assert parse_settings(["wacc=0.12", "horizon_months=24", "tax_rate=1e-1"]) == {
        "wacc": 0.12,
        "horizon_months": 24,
        "tax_rate": 0.1,
    }


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("wac=0.1", ["'wac'", "Did you mean 'wacc'"]),
        ("wacc", ["name=value"]),
        ("wacc=", ["finite number", "wacc"]),
        ("wacc=true", ["finite number"]),
        ("wacc=.nan", ["finite number"]),
        ("wacc=.inf", ["finite number"]),
        ("wacc=ten", ["finite number", "'ten'"]),
        ("wacc=[1, 2]", ["finite number"]),
        ("wacc=!!python/object/apply:os.system [id]", ["finite number"]),
        ("months=1;__import__('os').system('touch x');x=1", ["not a parameter"]),
        ("a\nimport os\nb=1", ["not a parameter"]),
        ("organisation=x", ["not a parameter"]),
    ],
)
def test_bad_settings_name_the_rule(setting, words):
    with pytest.raises(InputError) as error:
        parse_settings([setting])
    assert all(word in str(error.value) for word in words)


def test_a_setting_given_twice_is_refused():
    with pytest.raises(InputError, match="twice"):
        parse_settings(["wacc=0.1", "wacc=0.2"])


def test_assumptions_that_the_plan_leaves_out_can_be_set():
    """3 % inflation up to 4.5 % by default; 5 % widens the range, and the unit still bounds it."""
    ws = load_workspace(data_dir() / "sample", "2026-07")
    plan = check_settings(ws, parse_settings(["cost_inflation=0.05", "launch_slip_months=1"]))
    told = plan.assumptions["cost_inflation"]
    assert (told.value, told.low, told.high, plan.value("launch_slip_months")) == (0.05, 0.02, 0.05, 1)
    assert ws.plan.value("cost_inflation") == 0.03
    with pytest.raises(InputError, match="exceedance_target_critical"):
        check_settings(ws, parse_settings(["exceedance_target_critical=7"]))


@given(st.text(max_size=80))
def test_any_text_is_a_known_name_or_refused(text):
    try:
        parsed = parse_settings([text])
    except InputError:
        return
    assert set(parsed) <= {*SETTABLE_FIELDS, *REQUIRED_ASSUMPTIONS, *default_assumptions()}


@pytest.mark.parametrize("period", ["2026-13", "2026-1", "26-10", "2026-10-01", "../etc", "2026-10\n", "x" * 300])
def test_periods_have_one_form(period):
    with pytest.raises(InputError, match="YYYY-MM"):
        check_period(period)


def test_a_good_period_passes():
    assert check_period("2026-10") == "2026-10"
    assert check_period("") == ""


def test_stages_come_in_the_order_of_the_road():
    assert [stage.name for stage in select_stages([])] == [stage.name for stage in STAGES]
    assert [stage.name for stage in select_stages(["shortlist", "inventory"])] == ["inventory", "shortlist"]


def test_an_unknown_stage_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'buy_plan'"):
        select_stages(["buyplan"])
