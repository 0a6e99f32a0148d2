"""The interactive layer of the shortlist: the default stands without it, and each control changes the ranking."""

from dataclasses import replace

import pytest

from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.report import shortlist_explore, widgets
from aifactory.report.shortlist_explore import Explorer


@pytest.fixture(scope="module")
def stages(mini_stages):
    return mini_stages.ws, mini_stages.inventory, mini_stages.benchmark, mini_stages.shortlist


def texts(shown):
    return "\n".join(part.text for part in shown.parts)


def test_the_default_names_the_leader_the_settings_and_the_cost(stages):
    explorer = Explorer(*stages)
    answer = texts(explorer.show())
    assert explorer.first in answer
    limited = bool(explorer.grounds[explorer.first].limits)
    assert ("latency limits times 1.00" if limited else "without latency limits") in answer
    assert "latency limits times 1.00" in texts(explorer.show("chat"))
    assert "JupyterLab" in answer
    dearest = stages[3].choice.sort_values("total_usd", ascending=False)["use_case_id"].iloc[0]
    assert explorer.first == dearest


def test_limits_that_no_platform_meets_are_said_and_nobody_leads(stages):
    explorer = Explorer(*stages)
    answer = texts(explorer.show("chat", slo_factor=1e-6))
    assert "no platform meets these limits at any load" in answer
    assert "leads" not in answer
    assert "not known" not in answer.split("JupyterLab")[0]


def test_limits_are_named_only_where_they_move_something(stages):
    explorer = Explorer(*stages)
    ground = explorer.grounds["chat"]
    blind = replace(ground, curves=(None,) * len(ground.curves))
    explorer.grounds = {"chat": blind, "free": replace(ground, limits={})}
    assert "latency limits as stated, since no latency under load was measured" in texts(
        explorer.show("chat", slo_factor=0.25)
    )
    assert "without latency limits" in texts(explorer.show("free", slo_factor=0.25))


def test_weights_limits_and_utilisation_change_what_is_shown(stages):
    explorer = Explorer(*stages)
    plain = texts(explorer.show("chat"))
    only_cost = texts(explorer.show("chat", **{name: float(name == "cost") for name in MATRIX_CRITERIA}))
    assert (
        len(
            {
                plain,
                only_cost,
                texts(explorer.show("chat", slo_factor=0.5)),
                texts(explorer.show("chat", utilization=0.2)),
            }
        )
        == 4
    )


def test_controls_start_at_the_plan_and_a_move_shows_anew(stages, monkeypatch):
    shown, kept = [], {}
    monkeypatch.setattr("IPython.display.display", shown.append)
    original = widgets.explore
    monkeypatch.setattr(
        shortlist_explore, "explore", lambda f, **controls: (kept.update(controls), original(f, **controls))
    )
    shortlist_explore.explore_ranking(*stages)
    weights = stages[0].plan.matrix_weights
    assert {name: kept[name].value for name in weights} == weights
    assert len(shown) == 2  # the default, then the controls
    before = texts(shown[0])
    kept["cost"].value = 1.0
    assert len(shown) == 3
    assert texts(shown[2]) != before


def test_without_any_known_platform_the_page_says_so(stages):
    ws, inventory, benchmark, short = stages
    empty = type(
        "S",
        (),
        {
            "matrix": short.matrix,
            "penalties": short.penalties.iloc[:0],
            "exclusions": short.exclusions,
            "choice": short.choice,
        },
    )
    assert "could not be computed" in Explorer(ws, inventory, benchmark, empty).show().text
